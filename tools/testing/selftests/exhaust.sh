#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# kernels: 6.1-cloud 7.3-uml
# check: 7.3-uml
#
# A subspace that has sent 2^48 - 1 stops, for good: counted, told once, and nothing
# takes the place of what it does not send. That its end is near has been told before,
# and to key daemons by the kernel's own soft expiry.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-wire.sh"

last=$(((1 << 48) - 1))

monitor() {
	ip -n "$g1" xfrm ext monitor >"$tmp/monitor" &
	monitor_pid=$!
	# Protocol NETLINK_GENERIC, with a group
	wait_for 20 grep -Eq '^[0-9a-f]+ +16 +[0-9]+ +[0-9a-f]*[1-9a-f]' \
		"/proc/$monitor_pid/net/netlink"
	ip -n "$g1" -o xfrm monitor expire >"$tmp/expire" &
	expire_pid=$!
	# Protocol NETLINK_XFRM
	wait_for 20 grep -Eq '^[0-9a-f]+ +6 +[0-9]+ +[0-9a-f]*[1-9a-f]' \
		"/proc/$expire_pid/net/netlink"
}

told() { # events, but first use
	[[ $(grep -v ^first-use "$tmp/monitor") == "$1" ]]
}

event() { # what subspace highest
	echo "$1 dst $o2 spi 0x00000100 tx-subspace $2 highest $3"
}

# As many packets, by that CPU, of which so many may pass: they come to the other end, and
# their answers come back, however long that takes
send() { # cpu packets passing
	ip netns exec "$g1" taskset -c "$1" ping -q -c "$2" -i 0.01 -W 0.1 "$target" || true
	passed=$((passed + $3))
	accepts "$g2" 0x100 "$passed"
	accepts "$g1" 0x200 "$passed"
}

# Ten numbers are left in each subspace
stops() { # 4|6 fastpath
	local o1 o2 target=10.2.0.1 told_all passed=0 format

	read -ra format <<<"${FORMAT-}"
	fastpath "$2"
	outer "$1"
	[[ $1 == 4 ]] || target=fd02::1
	flush
	policies "$1"
	sa "$1" '2>1' 4
	ip -n "$g1" xfrm state add src "$o1" dst "$o2" proto esp spi 0x100 reqid 1 \
		mode tunnel flag af-unspec aead "$aead" "$key1" 128 \
		ext "${format[@]}" tx-subspaces 3 tx-start $((last - 9)) tx-warn $((last - 3))
	ip -n "$g2" xfrm state add src "$o1" dst "$o2" proto esp spi 0x100 reqid 1 \
		mode tunnel flag af-unspec aead "$aead" "$key1" 128 ext "${format[@]}" rx-subspaces 3
	monitor
	record_out "$tmp/pcap" "$g1" wan

	send 1 6 6
	told ''
	expect "soft expiry" "$(<"$tmp/expire")" ''
	send 1 8 4
	wait_for 5 told "$(event near-end 1 $((last - 3)); event exhausted 1 "$last")"
	wait_for 5 grep -q 'spi 0x00000100.*hard 0' "$tmp/expire"
	expect "drops" "$(drops "$g1" 0x100)" "tx-exhausted 4"
	# Another has its own ten, and comes to its own end
	send 2 5 5
	expect "drops" "$(drops "$g1" 0x100)" "tx-exhausted 4"
	send 2 8 5
	told_all=$(event near-end 1 $((last - 3)); event exhausted 1 "$last"
		event near-end 2 $((last - 3)); event exhausted 2 "$last")
	wait_for 5 told "$told_all"
	send 1 3 0
	send 0 2 2
	expect "drops" "$(drops "$g1" 0x100)" "tx-exhausted 10"
	expect "packets sent" "$(stat "$g1" 0x100 tx-packets)" 22
	accepts "$g2" 0x100 22
	block "$g1" 0x100 -s | grep -q "tx-subspace 1 highest $last\$"

	record_end "$tmp/pcap" "$g1" "$o2"
	stop "$monitor_pid" "$expire_pid"
	told "$told_all"
	expect "soft expiries" "$(grep -c 'spi 0x00000100.*hard 0' "$tmp/expire")" 1
	expect "clear packets" "$(clear_packets "$tmp/pcap")" ''
	reference_sa "$1" '1>2' >"$tmp/sa"
	if [[ ${FORMAT-} ]]; then
		for n in 0 1 2; do
			echo "$(subspace "$g1" 0x100 tx "$n" highest) $(subspace "$g2" 0x100 rx "$n" packets)"
		done >"$tmp/highest"
		expect "highest and accepted" "$(paste -sd, "$tmp/highest")" "$((last - 8)) 2,$last 10,$last 10"
		judged --sa "$tmp/sa" --min-packets 22 --min-sub-sas 3 "$tmp/pcap"
		return
	fi
	"$reference/check_capture.py" --sa "$tmp/sa" --only --first $((last - 9)) \
		--min-packets 22 "$tmp/pcap" | tee "$tmp/judged"
	grep -q "subspace 1: 10 packets, highest SN $last, 0 missing" "$tmp/judged"
	grep -q "subspace 2: 10 packets, highest SN $last, 0 missing" "$tmp/judged"
	grep -q "subspace 0: 2 packets" "$tmp/judged"
}

sysctl -qw net.core.netdev_max_backlog=100000
modprobe xfrm_ext
pair
for path in on off; do
	for outer in 4 6; do
		# Each path and each family once
		[[ $whole || $path$outer == on4 || $path$outer == off6 ]] || continue
		run "IPv$outer, fastpath $path" stops $outer $path
		run "eesp, IPv$outer, fastpath $path" in_eesp stops $outer $path
	done
done
fastpath on
flush
finish
