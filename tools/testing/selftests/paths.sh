#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# kernels: 6.1-cloud 7.3-uml
# check: 7.3-uml
#
# Three times the same inner packets: over our own path, over the kernel's, and through
# stock ESP. Ours and the kernel's path must send the same octets from the outer header
# to the ICV, but for the key, and deliver the same; stock ESP the same outer headers, and deliver the
# same. So it is for every flag of an SA that has a say in the outer or the inner header,
# as the packets came and with other DSCP and CE put on them on their way.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-wire.sh"

# A network behind b for each of them, and one more whose packets are changed in flight
flags=(
	'flag af-unspec'
	'flag af-unspec noecn'
	'flag af-unspec decap-dscp'
	'flag af-unspec nopmtudisc'
	'flag af-unspec extra-flag dont-encap-dscp'
)
networks=(1 2 3 4 5 11 12 13 14 15)
changed=10

# SAs and policies of all networks
ways() { # ns policy-direction outer [words that make the SAs extended]
	local i o1 o2 n=$1 dir=$2 key

	outer "$3"
	shift 3
	for i in "${networks[@]}"; do
		key_for $((0x100 + i))
		echo "xfrm state add src $o1 dst $o2 proto esp spi $((0x100 + i)) reqid $i mode tunnel" \
			"${flags[i % changed - 1]} aead $aead $key 128 $*"
		echo "xfrm policy add src 10.1.0.0/24 dst 10.2.$i.0/24 dir $dir" \
			"tmpl src $o1 dst $o2 proto esp reqid $i mode tunnel"
		echo "xfrm policy add src fd01::/64 dst fd02:$i::/64 dir $dir" \
			"tmpl src $o1 dst $o2 proto esp reqid $i mode tunnel"
	done | ip -n "$n" -batch -
}

# The same for the reference
ways_reference() { # outer
	local i o1 o2 key

	outer "$1"
	for i in "${networks[@]}"; do
		key_for $((0x100 + i))
		printf ', {"spi": %d, "key": "%s", "icv": 128, "src": "%s", "dst": "%s"}' \
			$((0x100 + i)) "$key" "$o1" "$o2"
	done | sed 's/^,/[/; s/$/]/'
}

same_packets() { # outer fast|slow|stock
	local outer=$1 path=$2 sent

	flush
	if [[ $path == stock ]]; then
		ways "$g1" out "$outer"
		ways "$g2" fwd "$outer"
	else
		ways "$g1" out "$outer" ext tx-subspaces 1
		ways "$g2" fwd "$outer" ext rx-subspaces 1 window 4096
		fastpath "$([[ $path == fast ]] && echo on || echo off)"
		ways_reference "$outer" >"$tmp/$path.sas"
	fi
	record "$tmp/$path.wan" "$g1" wan -Q out 'ip proto 50 or ip6 proto 50 or ip6 proto 44'
	record "$tmp/$path.lan" "$b" lan -Q in 'udp port 9'
	# All on one CPU, so that they stay in order
	sent=$(ip netns exec "$a" taskset -c 0 "$here/paths.py" send lan "$mac" "${networks[@]}")
	recorded "$tmp/$path.lan" "$sent"
	# One for each network was too long, and was cut
	recorded "$tmp/$path.wan" $((sent + ${#networks[@]}))
}

paths() { # outer
	same_packets "$1" fast
	same_packets "$1" slow
	same_packets "$1" stock
	"$here/paths.py" compare "$tmp"
}

sysctl -qw net.core.netdev_max_backlog=100000
modprobe xfrm_ext
gateways
mac=$(ip netns exec "$g1" cat /sys/class/net/lan/address)
ip -n "$g1" route add 10.2.0.0/16 via 10.0.0.2
ip -n "$g1" route add fd02::/16 via fd00::2
ip -n "$g2" route add 10.2.0.0/16 via 10.2.0.2
ip -n "$g2" route add fd02::/16 via fd02::2
# b looks at them and answers nothing
ip netns exec "$b" nft -f - <<-'EOF'
	table inet quiet {
		chain in {
			type filter hook prerouting priority raw
			udp dport 9 drop
		}
	}
EOF
# What a network does to packets, done where the receiver gets them. (Not to fragments:
# one of them with CE and another without ECN, and the packet may not be put together.)
# Version 6, cs6 and CE are written at once: later kernels let no "ip6 ecn set" through.
ip netns exec "$g2" nft -f - <<-EOF
	table inet network {
		chain in {
			type filter hook prerouting priority raw
			ip frag-off & 0x3fff == 0 esp spi $((0x10a))-$((0x11f)) ip dscp set cs6 ip ecn set ce
			ip6 nexthdr esp esp spi $((0x10a))-$((0x11f)) @nh,0,12 set 0x6c3
		}
	}
EOF
for outer in 4 6; do
	[[ $whole || $outer == 4 ]] || continue
	run "the same packets by all paths, outer IPv$outer" paths $outer
done
fastpath on
flush
finish
