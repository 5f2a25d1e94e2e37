#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# check: 7.3-uml
#
# TCP of this machine's own through an extended SA: the socket makes packets of many segments,
# as it does in clear, and the module makes segments of them. What it is sent from (a file's
# pages, a program's) stays as it is; the socket forgets with its route; and a segment that
# a queue refuses ends its packet, for TCP sends all of it again.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-modes.sh"

octets=$((600000 / factor))

# Packets to the server that are longer than the link takes, as they pass the hooks; all of
# them; and what the other end receives from the link that is too long
watch() {
	ip netns exec "$g1" nft -f - <<-'EOF'
		table inet own {
			chain post {
				type filter hook postrouting priority 0
				tcp dport 7 counter comment "all"
				tcp dport 7 meta length > 1500 counter comment "large"
			}
		}
	EOF
	ip netns exec "$g2" nft -f - <<-'EOF'
		table inet own {
			chain pre {
				type filter hook prerouting priority -400
				iifname "wan" meta length > 1500 counter comment "long"
			}
		}
	EOF
}

counted() { # ns counter
	ip netns exec "$1" nft list table inet own | sed -n "s/.*packets \\([0-9]*\\) .*comment \"$2\"/\\1/p"
}

connection() { # request...
	local reply=nothing

	echo "$*" >&"$to"
	read -r -t $((100 * factor)) reply <&"$from" || true
	expect "$*" "$reply" ok
}

# Both directions; so that the module's answers are not taken for the server's
sas() { # mode inner outer [words of either end]
	mode_addresses "$1" "$2" "$3"
	mode_sas "$1" "$i1" "$i2" "$o1" "$o2" "${4-ext tx-subspaces 4}" "${5-ext rx-subspaces 4}"
}

# Does the socket make large packets?
sends_large() { # yes|no how octets
	local before got=no

	# A route that has changed is found by the first packet, which has its length already
	connection send copy 1
	connection drain
	before=$(counted "$g1" large)
	connection send "$2" "$3"
	connection drain
	(($(counted "$g1" large) == before)) || got=yes
	expect "large packets, $2" "$got" "$1"
}

nothing_long() {
	expect "too long on the link" "$(counted "$g2" long)" 0
	expect "drops of the sender" "$(drops "$g1" 0x100)" none
	expect "drops of the receiver" "$(drops "$g2" 0x100)" none
}

large() { # mode inner outer
	local how

	sas "$@"
	connection open "$i2" 7
	for how in copy file zerocopy; do
		sends_large yes "$how" "$octets"
	done
	connection end
	nothing_long
}

# The kernel's own path has nobody who tells the socket
by_kernel() { # mode inner outer
	sas "$@" 'ext tx-subspaces 4 fastpath off'
	connection open "$i2" 7
	sends_large no copy "$octets"
	connection end
	nothing_long
}

# An SA by the kernel's own path in the place of the first one, and the other way
forgets() {
	sas tunnel 4 4
	connection open "$i2" 7
	sends_large yes copy "$octets"
	sas tunnel 4 4 'ext tx-subspaces 4 fastpath off'
	sends_large no copy "$octets"
	sas tunnel 4 4
	sends_large yes copy "$octets"
	connection end
	nothing_long
}

# A route that goes on to another SA
two() {
	local n

	sas tunnel 4 4
	key_for 0x101
	for n in 1 2; do
		ip -n "$(ns_of "$n")" -batch - <<-EOF
			xfrm policy flush
			xfrm state add src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x101 reqid 3 mode transport aead $aead $key 128 ext $(way "$n" 1)-subspaces 4
			xfrm policy add src 10.1.0.1 dst 10.2.0.1 dir $(way "$n" 1 out in) $(outer_of 10.0.0.1 10.0.0.2 1) tmpl src 10.0.0.1 dst 10.0.0.2 proto esp reqid 3 mode transport
			xfrm policy add src 10.2.0.1 dst 10.1.0.1 dir $(way "$n" 2 out in) $(outer_of 10.0.0.2 10.0.0.1 2)
		EOF
	done
	connection open 10.2.0.1 7
	sends_large no copy "$octets"
	connection end
	nothing_long
}

way() { # host sender [word-of-the-sender word-of-the-receiver]
	if (($1 == $2)); then
		echo "${3-tx}"
	else
		echo "${4-rx}"
	fi
}

outer_of() { # src dst reqid
	echo "tmpl src $1 dst $2 proto esp reqid $3 mode tunnel"
}

# The packets that wait are as long as the link was
falls() { # mode inner outer
	sas "$@"
	connection open "$i2" 7
	sends_large yes copy "$octets"
	connection send copy "$octets"
	link_mtu 1300
	connection send copy "$octets"
	sends_large yes copy "$octets"
	connection end
	link_mtu 1500
}

link_mtu() {
	ip -n "$g2" link set wan mtu "$1"
	ip -n "$g1" link set wan mtu "$1"
}

# A queue that takes nothing: of each packet that TCP makes one segment is tried
refused_segments() { # mode inner outer
	local used all large

	sas "$@"
	# By what a slow machine takes for a timeout TCP would come to have one segment under way
	ip -n "$g1" route change 10.2.0.0/24 via 10.0.0.2 src 10.1.0.1 rto_min 60s
	connection open "$i2" 7
	sends_large yes copy $((octets / 4))
	used=$(stat "$g1" 0x100 tx-packets) all=$(counted "$g1" all) large=$(counted "$g1" large)
	tc -n "$g1" qdisc add dev wan root pfifo limit 0
	connection send copy 60000
	wait_for 10 more_than "$large"
	connection abort
	tc -n "$g1" qdisc del dev wan root
	expect "numbers used" $(($(stat "$g1" 0x100 tx-packets) - used)) $(($(counted "$g1" all) - all))
}

more_than() { # large packets
	(($(counted "$g1" large) > $1))
}

modprobe xfrm_ext
pair_acquainted
# However slow the machine: a connection with few segments under way makes no large packets
ip netns exec "$g1" sysctl -qw net.ipv4.tcp_slow_start_after_idle=0
watch
ip netns exec "$g2" "$here/tcp.py" serve 7 &
mkfifo "$tmp/tcp.in" "$tmp/tcp.out"
ip netns exec "$g1" "$here/tcp.py" batch <"$tmp/tcp.in" >"$tmp/tcp.out" &
exec {to}>"$tmp/tcp.in" {from}<"$tmp/tcp.out"
wait_for 20 ip netns exec "$g1" python3 -c 'import socket; socket.create_connection(("fd02::1", 7))'

for mode in tunnel transport beet; do
	for family in 4 6; do
		run "large packets, $mode IPv$family" large "$mode" "$family" "$family"
	done
done
run "large packets, IPv6 in IPv4" large tunnel 6 4
run "by the kernel's own path" by_kernel tunnel 4 4
run "a socket forgets with its route" forgets
run "another SA behind it" two
run "the link's MTU falls, IPv4" falls tunnel 4 4
run "the link's MTU falls, IPv6" falls tunnel 6 6
run "segments that a queue refuses" refused_segments tunnel 4 4
flush
finish
