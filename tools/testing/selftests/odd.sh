#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# kernels: 6.1-cloud 6.1-debug 6.12-cloud 7.3-uml
# check: 7.3-uml
#
# Packets that no application makes, in the modes that look into their headers: IPv4
# headers of impossible lengths, and total lengths that are not the packet's where trailer
# omit would have the receiver believe them, both written by a rule of nftables on the way
# out; and datagrams that a virtual machine wants cut into fragments (UFO). They are counted
# and do not leave; nothing is read or written outside of them.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-wire.sh"

modes_of() { # mode path
	fastpath "$2"
	case $1 in
	tunnel) here1=10.1.0.1 there=10.2.0.1 ;;
	transport) here1=10.0.0.1 there=10.0.0.2 ;;
	beet) here1=10.1.0.1 there=10.2.0.1 ;;
	esac
	mode_sas "$1" "$here1" "$there" 10.0.0.1 10.0.0.2 "ext tx-subspaces 1 ${3-}" \
		"ext rx-subspaces 1 ${3-}"
}

# The first octet: version and length. Later kernels let a rule write no such thing.
lengths() { # mode path
	local refused firsts=(0x40 0x41 0x42 0x44 0x4f 0x00)

	modes_of "$@"
	ip netns exec "$g1" nft -f - <<-EOF
		table ip odd {
			chain sent {
				type filter hook postrouting priority 0
				$(for i in "${!firsts[@]}"; do
					echo "udp dport $((70 + i)) @nh,0,8 set ${firsts[i]}"
				done)
			}
		}
	EOF
	"$here/odd.py" datagrams "$g1" "$here1" "$there" 70 ${#firsts[@]}
	ip netns exec "$g1" nft flush ruleset
	refused=$(stat "$g1" 0x100 tx-inner)
	echo "# $refused of ${#firsts[@]} refused"
	expect "refused and sent" $((refused + $(stat "$g1" 0x100 tx-packets))) ${#firsts[@]}
	if older_than 6.2; then
		expect "refused" "$refused" ${#firsts[@]}
	fi
	accepts "$g2" 0x100 $((${#firsts[@]} - refused))
}

# Total lengths. As above, later kernels write none.
told() { # path
	local refused lengths=(0 19 20 30 32 65535)

	modes_of tunnel "$1" 'trailer omit'
	ip netns exec "$g1" nft -f - <<-EOF
		table ip odd {
			chain sent {
				type filter hook postrouting priority 0
				$(for i in "${!lengths[@]}"; do
					echo "udp dport $((70 + i)) @nh,16,16 set ${lengths[i]}"
				done)
			}
		}
	EOF
	"$here/odd.py" datagrams "$g1" "$here1" "$there" 70 $((${#lengths[@]} + 1))
	ip netns exec "$g1" nft flush ruleset
	refused=$(stat "$g1" 0x100 tx-inner)
	expect "refused and sent" $((refused + $(stat "$g1" 0x100 tx-packets))) \
		$((${#lengths[@]} + 1))
	if older_than 6.2; then
		expect "drops" "$(drops "$g1" 0x100)" "tx-inner ${#lengths[@]}"
	fi
	accepts "$g2" 0x100 $((${#lengths[@]} + 1 - refused))
}

# Through a gateway that stands in for the virtual machine
from_tun() { # mode path beet-frag
	local sent

	ip -n "$g1" tuntap add ufo mode tun vnet_hdr
	ip -n "$g1" link set ufo up
	modes_of "$1" "$2" "$3"
	record_out "$tmp/pcap" "$g1" wan
	# In transport mode and BEET its addresses are the gateway's own: accepted all the same
	ip netns exec "$g1" sysctl -qw net.ipv4.conf.all.accept_local=1 \
		net.ipv4.conf.ufo.accept_local=1
	"$here/odd.py" ufo "$g1" "$g2" "$here1" "$there" 79 4000 ${3:+delivered} >"$tmp/out"
	cat "$tmp/out"
	sent=$(stat "$g1" 0x100 tx-packets)
	record_end "$tmp/pcap" "$g1" 10.0.0.2 || true
	if [[ $3 ]]; then
		[[ $sent -gt 2 ]]
		accepts "$g2" 0x100 "$sent"
		expect "drops" "$(drops "$g1" 0x100)" none
	else
		expect "sent" "$sent" 0
		expect "drops" "$(drops "$g1" 0x100)" "tx-fragment 1"
	fi
	expect "clear packets" "$(clear_packets "$tmp/pcap")" ''
	ip -n "$g1" link del ufo
}

modprobe xfrm_ext
modprobe tun || true
pair
for path in on off; do
	[[ ! $quick || $path == on ]] || continue
	for mode in transport beet; do
		# A slow kernel does what looks for bugs in memory once
		((factor == 1)) || [[ $path == on ]] || continue
		run "IPv4 headers of impossible lengths, $mode, fastpath $path" lengths $mode $path
	done
	run "lengths that are not the packet's, trailer omit, fastpath $path" told $path
	# Kernels of ours have no tun
	[[ -e /dev/net/tun ]] || continue
	run "UFO in BEET, fastpath $path" from_tun beet $path ''
	run "UFO in BEET with beet-frag, fastpath $path" from_tun beet $path 'beet-frag on'
done
fastpath on
flush
finish
