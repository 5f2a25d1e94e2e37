#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# kernels: 6.1-cloud 7.3-uml
#
# The longest and the shortest packet that an SA can carry, of each family in each: it comes
# through, and with four octets more, which is what one octet can make, sendto() says
# EMSGSIZE. IPv4's Total Length counts the outer header, IPv6's Payload Length does not.
. "$(dirname "$0")/lib.sh"

# The most octets that can be encrypted as payload, from RFC 4303 and the wire format: 12
# octets of header, 8 of IV, Pad Length and Next Header up to a multiple of four, 16 of
# ICV; all of it, with the IPv4 header or without IPv6's, in 65,535. Counted up. Of eesp, from
# its draft: 16 octets of header, and four more of padding where a Payload Info Header of
# four octets stands before what has IPv6 in it or around it.
longest() { # mode inner outer: sets most
	local header=20 own=12 behind=2 before=0

	(($3 == 4)) || header=0
	if [[ ${FORMAT-} ]]; then
		own=16 behind=0
		if [[ $1 != tunnel ]]; then
			before=4
			[[ $2$3 == 44 ]] || own=20
		fi
	fi
	most=65000
	while ((header + own + 8 + before + ((most + 1 + behind + 3) & ~3) + 16 <= 65535)); do
		most=$((most + 1))
	done
}

addresses() { # mode inner outer: sets i1 i2 o1 o2
	outer "$3"
	case $1:$2 in
	transport:*) i1=$o1 i2=$o2 ;;
	*:4) i1=10.1.0.1 i2=10.2.0.1 ;;
	*:6) i1=fd01::1 i2=fd02::1 ;;
	esac
}

lines() { # file number
	(($(wc -l <"$1") >= $2))
}

# What is below the payload in the packet: UDP's header, and a tunnel's inner one
datagram() { # mode inner outer fastpath
	local i1 i2 o1 o2 most head=8

	addresses "$@"
	longest "$@"
	case $1:$2 in
	tunnel:4) head=28 ;;
	tunnel:6) head=48 ;;
	esac
	fastpath "$4"
	mode_sas "$1" "$i1" "$i2" "$o1" "$o2" 'ext tx-subspaces 1' 'ext rx-subspaces 1'
	: >"$tmp/served"
	expect "sendto()" \
		"$(ip netns exec "$g1" "$here/sizes.py" send "$i2" 9 \
			$((most - head)) $((most - head + 1)) 0 $((most - head - 1)))" \
		'ok EMSGSIZE ok ok'
	wait_for 20 lines "$tmp/served" 3
	# In any order: a cipher may finish one later than the next
	expect "received" "$(sort -n "$tmp/served" | paste -sd,)" \
		"0 good,$((most - head - 1)) good,$((most - head)) good"
	expect "drops" "$(drops "$g1" 0x100)" "tx-too-big 1"
	expect "drops" "$(drops "$g2" 0x100)" none
	expect "octets" "$(stat "$g1" 0x100 tx-bytes)" $((2 * most + head - 1))
	echo "# at most $most octets of payload"
}

# Nothing at all behind the IP header, and one octet to four
shortest() { # mode inner outer fastpath
	local i1 i2 o1 o2

	addresses "$@"
	fastpath "$4"
	mode_sas "$1" "$i1" "$i2" "$o1" "$o2" 'ext tx-subspaces 1' 'ext rx-subspaces 1'
	rm -f "$tmp/caught"
	ip netns exec "$g2" "$here/sizes.py" catch "$i2" 5 >"$tmp/caught" &
	wait_for 20 grep -q ready "$tmp/caught"
	expect "sendto()" "$(ip netns exec "$g1" "$here/sizes.py" raw "$i2" 0 1 2 3 4)" 'ok ok ok ok ok'
	wait_for 20 lines "$tmp/caught" 6
	wait %1
	expect "received" "$(grep -v ready "$tmp/caught" | sort -n | paste -sd,)" \
		'0 good,1 good,2 good,3 good,4 good'
	expect "drops" "$(drops "$g1" 0x100)" none
	expect "drops" "$(drops "$g2" 0x100)" none
}

sysctl -qw net.core.netdev_max_backlog=100000
modprobe xfrm_ext
pair_acquainted
ip netns exec "$g2" "$here/sizes.py" serve 9 >>"$tmp/served" &
served() {
	ip netns exec "$g1" "$here/sizes.py" send 10.2.0.1 9 1
	ip netns exec "$g1" "$here/sizes.py" send fd02::1 9 1
	lines "$tmp/served" 2
}
wait_for 20 served
for path in on off; do
	# The kernel cuts IPv6 packets that are too long for a tunnel before they come to it
	for modes in 'transport 4 4' 'transport 6 6' 'beet 4 4' 'beet 6 6' 'beet 4 6' 'beet 6 4' \
		'tunnel 4 4' 'tunnel 4 6'; do
		read -ra words <<<"$modes"
		run "the longest, $modes, fastpath $path" datagram "${words[@]}" $path
	done
	for modes in 'transport 4 4' 'transport 6 6' 'beet 4 4' 'beet 6 6' 'beet 4 6' 'beet 6 4' \
		'tunnel 4 4' 'tunnel 6 6' 'tunnel 4 6' 'tunnel 6 4'; do
		read -ra words <<<"$modes"
		run "the shortest, $modes, fastpath $path" shortest "${words[@]}" $path
	done
done
for modes in 'transport 4 4 on' 'transport 6 6 off' 'beet 6 4 on' 'beet 4 6 off' 'tunnel 4 4 on' 'tunnel 4 6 off'; do
	read -ra words <<<"$modes"
	run "eesp, the longest, $modes" in_eesp datagram "${words[@]}"
	run "eesp, the shortest, $modes" in_eesp shortest "${words[@]}"
done
fastpath on
flush
finish
