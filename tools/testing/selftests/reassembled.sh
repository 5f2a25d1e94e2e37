#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# kernels: 6.1-cloud 6.12-cloud 7.3-uml
# check: 7.3-uml
#
# A path that cuts outer packets: what comes as fragments is delivered, and the SA says of how
# many packets that is so and how large the fragments were, the first time in an event. By
# either path, of both families, in UDP. What is not authentic says nothing.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-wire.sh"

monitor() { # ns
	ip -n "$1" xfrm ext monitor >"$tmp/events" &
	monitor_pid=$!
	wait_for 20 grep -Eq '^[0-9a-f]+ +16 +[0-9]+ +[0-9a-f]*[1-9a-f]' \
		"/proc/$monitor_pid/net/netlink"
}

# Of which SA, and how large: 20 or 48 octets before a multiple of 8
cut() { # 4|6 path ["kernel's words" JSON]
	local large=596 larger=1196 o1 o2

	outer "$1"
	[[ $1 == 4 ]] || large=600 larger=1200
	fastpath "$2"
	flush
	{
		gateway_policies "$1" 2
		sa_line rx "$1" '1>2' 4 "${3-}"
	} | ip -n "$g2" -batch -
	monitor "$g2"
	printf '{"spi": "0x100", "key": "%s", "icv": "128", "src": "%s", "dst": "%s"%s}\n' \
		"$key1" "$o1" "$o2" "${4-}" >"$tmp/sa"
	inject_of
	# Whole ones
	inject valid 0 1 count=3
	accepts "$g2" 0x100 3
	expect "reassembled" "$(stat "$g2" 0x100 reassembled)" ''
	# Somebody else's
	inject fragmented-wrong-key 0 4 size=300
	wait_for 10 forged 1
	expect "reassembled" "$(stat "$g2" 0x100 reassembled)" ''
	expect "events" "$(grep -c ^reassembled "$tmp/events")" 0
	inject fragmented 1 1 size=600
	accepts "$g2" 0x100 4
	expect "reassembled" "$(stat "$g2" 0x100 reassembled)" 1
	expect "largest" "$(stat "$g2" 0x100 fragment-max)" "$large"
	# Smaller ones, larger ones, whole ones
	inject fragmented 1 2 size=400
	inject valid 1 3
	accepts "$g2" 0x100 6
	expect "largest" "$(stat "$g2" 0x100 fragment-max)" "$large"
	inject fragmented 0 4 size=1200
	accepts "$g2" 0x100 7
	expect "reassembled" "$(stat "$g2" 0x100 reassembled)" 3
	expect "largest" "$(stat "$g2" 0x100 fragment-max)" "$larger"
	# Once more is a replay, which is no news
	inject fragmented 0 4 size=1300
	wait_for 10 replayed 1
	expect "largest" "$(stat "$g2" 0x100 fragment-max)" "$larger"
	inject_close
	wait_for 10 grep -q ^reassembled "$tmp/events"
	stop "$monitor_pid"
	expect "events" "$(grep ^reassembled "$tmp/events")" \
		"reassembled dst $o2 spi 0x00000100: a packet came as fragments, the largest of $large octets"
	ip -n "$g2" -j -s xfrm state >"$tmp/json"
	/usr/bin/python3 - "$tmp/json" "$larger" <<-EOF
		import json, sys
		(sa,) = json.load(open(sys.argv[1]))
		assert sa["ext"]["reassembled"] == 3, sa
		assert sa["ext"]["fragment-max"] == int(sys.argv[2]), sa
	EOF
	fastpath on
}

forged() {
	[[ $(drops "$g2" 0x100) == "rx-icv $1" ]]
}

replayed() {
	[[ $(drops "$g2" 0x100) == "rx-replay $1 rx-icv 1" ]]
}

inject_of() {
	mkfifo "$tmp/inject.in" "$tmp/inject.out"
	ip netns exec "$g1" "$reference/inject.py" --sa "$tmp/sa" \
		--inner udp:10.1.0.1:5000:10.2.0.1:9:1300 --batch \
		<"$tmp/inject.in" >"$tmp/inject.out" &
	exec 5>"$tmp/inject.in" 6<"$tmp/inject.out"
	rm "$tmp/inject.in" "$tmp/inject.out"
}

modprobe xfrm_ext
pair_acquainted
ip netns exec "$g2" "$here/natt.py" end 4500 >"$tmp/natt" </dev/null &
wait_for 20 grep -q ready "$tmp/natt"
# Or each is an error that comes back
ip netns exec "$g2" "$here/traffic.py" count 10.2.0.1 9 >/dev/null &
wait_for 20 ip netns exec "$g2" grep -q ':0009 ' /proc/net/udp
encap='encap espinudp 4500 4500 0.0.0.0'
ports=', "encap": [4500, 4500]'
run "IPv4" cut 4 on
run "IPv6" cut 6 on
run "IPv4, the kernel's own path" cut 4 off
[[ ! $whole ]] || run "IPv6, the kernel's own path" cut 6 off
run "IPv4, UDP" cut 4 on "$encap" "$ports"
[[ ! $whole ]] || run "IPv6, UDP" cut 6 on "${encap/0.0.0.0/::}" "$ports"
finish
