#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 180
#
# Who listens hears of the first packet of each subspace, of Subspace IDs out of range
# and of windows that refuse many packets; of what anybody can cause, seldom.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-wire.sh"

monitor() { # ns
	ip -n "$1" xfrm ext monitor >"$tmp/events-$1" &
	monitor_pid=$!
	# Protocol NETLINK_GENERIC, with a group
	wait_for 20 grep -Eq '^[0-9a-f]+ +16 +[0-9]+ +[0-9a-f]*[1-9a-f]' \
		"/proc/$monitor_pid/net/netlink"
}

heard() { # ns events
	[[ $(<"$tmp/events-$1") == "$2" ]]
}

hears() { # ns events
	if ! wait_for 5 heard "$@"; then
		expect "events of $1" "$(<"$tmp/events-$1")" "$2"
	fi
}

pings() { # cpu count
	ip netns exec "$g1" taskset -c "$1" ping -q -c "$2" -i 0.02 -W 0.3 10.2.0.1 || true
}

first_use() { # fastpath
	local sa='dst 10.0.0.2 spi 0x00000100'

	fastpath "$1"
	tunnel 4 4
	monitor "$g1"
	local one=$monitor_pid
	monitor "$g2"
	pings 1 3
	pings 2 2
	hears "$g1" "first-use $sa tx-subspace 1 highest 1
first-use dst 10.0.0.1 spi 0x00000200 rx-subspace 1 highest 1
first-use $sa tx-subspace 2 highest 1
first-use dst 10.0.0.1 spi 0x00000200 rx-subspace 2 highest 1"
	hears "$g2" "first-use $sa rx-subspace 1 highest 1
first-use dst 10.0.0.1 spi 0x00000200 tx-subspace 1 highest 1
first-use $sa rx-subspace 2 highest 1
first-use dst 10.0.0.1 spi 0x00000200 tx-subspace 2 highest 1"
	kill "$one" "$monitor_pid"
}

# Anybody can send these: one event for all
out_of_range() { # fastpath
	fastpath "$1"
	flush
	policies 4
	ip -n "$g1" xfrm state add src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x100 reqid 1 \
		mode tunnel flag af-unspec aead "$aead" "$key1" 128 ext tx-subspaces 4 tx-base 7
	ip -n "$g2" xfrm state add src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x100 reqid 1 \
		mode tunnel flag af-unspec aead "$aead" "$key2" 128 ext rx-subspaces 8
	monitor "$g2"
	pings 3 20
	hears "$g2" 'out-of-range dst 10.0.0.2 spi 0x00000100 id 10'
	pings 2 20
	hears "$g2" 'out-of-range dst 10.0.0.2 spi 0x00000100 id 10'
	expect "drops" "$(drops "$g2" 0x100)" 'rx-subspace 40'
	expect "first one" "$(stat "$g2" 0x100 out-of-range-first)" 10
	# Nothing else is believed of them: none has made a window
	expect "memory" "$(stat "$g2" 0x100 memory)" $((8 * 8))
	# An ID that is in range, from somebody without the key: no event of it
	pings 0 5
	hears "$g2" 'out-of-range dst 10.0.0.2 spi 0x00000100 id 10'
	expect "drops" "$(drops "$g2" 0x100)" 'rx-subspace 40 rx-icv 5'
	expect "memory" "$(stat "$g2" 0x100 memory)" $((8 * 8))
	kill "$monitor_pid"
}

inject() { # case subspace sn count
	ip netns exec "$g1" "$reference/inject.py" --sa "$tmp/sa" \
		--inner udp:10.1.0.1:1000:10.2.0.1:9:8 --case "$1" --subspace "$2" --sn "$3" --count "$4"
}

heard_drops() {
	grep -q "^$event\$" "$tmp/events-$g2"
}

# As many replays as somebody on the path may care to send
replays() {
	local start event='window-drops dst 10.0.0.2 spi 0x00000100 rx-subspace 3 highest 5000'

	fastpath on
	tunnel 4 4
	reference_sa 4 '1>2' >"$tmp/sa"
	inject valid 3 1 5000
	monitor "$g2"
	start=$SECONDS
	inject valid 3 4101 900
	hears "$g2" ''
	inject valid 3 1 5000
	wait_for 5 heard_drops
	inject valid 3 1 5000
	# However many: one in ten seconds
	expect "other events" "$(grep -cv "^$event\$" "$tmp/events-$g2")" 0
	(($(grep -c . "$tmp/events-$g2") <= 1 + (SECONDS - start) / 10))
	expect "drops" "$(drops "$g2" 0x100)" \
		"rx-replay $((900 + 2 * 1024)) rx-too-old $((2 * (5000 - 1024)))"
	kill "$monitor_pid"
}

modprobe xfrm_ext
pair
for path in on off; do
	# A slow kernel does it on our own path only
	[[ $factor == 1 || $path == on ]] || continue
	run "first use, fastpath $path" first_use $path
	run "Subspace IDs out of range, fastpath $path" out_of_range $path
done
# A slow kernel would take long to send that many
if ((factor == 1)); then
	run "replays, many" replays
fi
fastpath on
flush
finish
