#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# kernels: 6.1-cloud 6.12-cloud 6.12-trixie 7.3-uml
# check: 7.3-uml
#
# The largest inner packet that fits goes out whole; one octet more gets the error
# that says how much would fit; what may be cut arrives in pieces.
. "$(dirname "$0")/lib.sh"

# The longest inner packet whose ESP packet has at most 1,500 octets: outer header, 12
# octets of ESP header, 8 of IV, trailer up to a multiple of four, 16 of ICV. Counted up
# rather than computed backwards.
longest() { # outer family: sets mtu
	local header=20

	(($1 == 4)) || header=40
	mtu=1300
	while ((header + 12 + 8 + ((mtu + 1 + 2 + 3) & ~3) + 16 <= 1500)); do
		mtu=$((mtu + 1))
	done
}

inner_target() { # family: sets target, head (IP and ICMP)
	case $1 in
	4) target=10.2.0.2 head=28 ;;
	6) target=fd02::2 head=48 ;;
	esac
}

forget() {
	local n

	for n in "$a" "$g1"; do
		ip -n "$n" route flush cache
		ip -n "$n" -6 route flush cache
	done
}

# shellcheck disable=SC2016 # awk's
fragments() { # ns: created there, both families
	ip netns exec "$1" awk '/^Ip:/ { if (n++) print $19 }' /proc/net/snmp
	ip netns exec "$1" awk '$1 == "Ip6FragCreates" { print $2 }' /proc/net/snmp6
}

forwarded() { # outer inner fastpath
	local target head mtu before out

	fastpath "$3"
	tunnel "$1" 2
	forget
	inner_target "$2"
	longest "$1"
	before=$(fragments "$g1")
	ip netns exec "$a" ping -q -c 2 -i 0.1 -W 10 -M "do" -s $((mtu - head)) "$target"
	expect "fragments" "$(fragments "$g1")" "$before"
	# ping fails, and says why
	out=$(ip netns exec "$a" ping -c 1 -W 10 -M "do" -s $((mtu - head + 1)) "$target" 2>&1) && return 1
	case $2 in
	4) [[ $out == *"Frag needed and DF set (mtu = $mtu)"* ]] ;;
	6) [[ $out == *"Packet too big: mtu=$mtu"* ]] ;;
	esac || {
		echo "no error for $mtu: $out"
		return 1
	}
	fastpath on
}

local_socket() { # outer inner fastpath
	local target head mtu out source

	fastpath "$3"
	tunnel "$1" 2
	forget
	inner_target "$2"
	longest "$1"
	source=10.1.0.1
	(($2 == 4)) || source=fd01::1
	ip netns exec "$g1" ping -q -c 2 -i 0.1 -W 10 -I "$source" -M "do" -s $((mtu - head)) "$target"
	out=$(ip netns exec "$g1" ping -c 1 -W 10 -I "$source" -M "do" -s $((mtu - head + 1)) "$target" 2>&1) &&
		return 1
	[[ $out =~ "message too long, mtu"[=:]" "?"$mtu" ]] || {
		echo "no error for $mtu: $out"
		return 1
	}
	fastpath on
}

# Without DF: cut, on the way or before, and whole again at the other end
cut() { # outer fastpath
	fastpath "$2"
	tunnel "$1" 2
	forget
	ip netns exec "$a" ping -q -c 2 -i 0.1 -W 10 -M dont -s 4000 10.2.0.2
	ip netns exec "$a" ping -q -c 2 -i 0.1 -W 10 -M dont -s 1472 10.2.0.2
	expect "drops" "$(drops "$g2" 0x100)" none
	fastpath on
}

# TCP finds a smaller path by itself
smaller() {
	tunnel 4 2
	forget
	ip -n "$g1" link set wan mtu 1300
	ip -n "$g2" link set wan mtu 1300
	ip netns exec "$a" "$here/traffic.py" tcp 10.2.0.2 7 $((100000 / factor))
	ip -n "$g1" link set wan mtu 1500
	ip -n "$g2" link set wan mtu 1500
}

modprobe xfrm_ext
gateways
ip netns exec "$b" "$here/traffic.py" serve 10.2.0.2 7 &
for path in on off; do
	for outer in 4 6; do
		for inner in 4 6; do
			# Half
			[[ $whole || ($path == on && $inner == "$outer") ||
				($path == off && $inner != "$outer") ]] || continue
			run "forwarded IPv$inner in IPv$outer, fastpath $path" \
				forwarded $outer $inner $path
			run "local socket, IPv$inner in IPv$outer, fastpath $path" \
				local_socket $outer $inner $path
		done
		run "IPv4 without DF in IPv$outer, fastpath $path" cut $outer $path
	done
done
run "TCP over a path with a smaller MTU" smaller
finish
