#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# kernels: 6.1-cloud 7.3-kcsan 7.3-uml
# check: 6.1-cloud
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

# Of an event that comes once in ten seconds at most, there is one, and no more than the
# time since allows
seldom() { # ns SECONDS-at-start first-event pattern-of-any
	local text

	wait_for 5 grep -qx "$4" "$tmp/events-$1"
	text=$(grep -v -e ^first-use -e ' spi 0x00000101 ' "$tmp/events-$1")
	expect "first event" "${text%%$'\n'*}" "$3"
	expect "other events" "$(grep -cvx "$4" <<<"$text")" 0
	echo "$(wc -l <<<"$text") in $((SECONDS - $2)) s: $text"
	(($(wc -l <<<"$text") <= 1 + (SECONDS - $2) / 10))
}

drops_are() { # ns spi drops
	[[ $(drops "$1" "$2") == "$3" ]]
}

# Packets are counted when all events of them have been sent
dropped() { # ns spi drops
	wait_for 10 drops_are "$@" || expect "drops" "$(drops "$1" "$2")" "$3"
}

pings() { # cpu count [wait]
	ip netns exec "$g1" taskset -c "$1" ping -q -c "$2" -i 0.02 -W "${3-0.3}" 10.2.0.1 || true
}

first_use() { # fastpath
	local sa='dst 10.0.0.2 spi 0x00000100'

	fastpath "$1"
	tunnel 4 4
	monitor "$g1"
	local one=$monitor_pid
	monitor "$g2"
	pings 1 3 5
	pings 2 2 5
	hears "$g1" "first-use $sa tx-subspace 1 highest 1
first-use dst 10.0.0.1 spi 0x00000200 rx-subspace 1 highest 1
first-use $sa tx-subspace 2 highest 1
first-use dst 10.0.0.1 spi 0x00000200 rx-subspace 2 highest 1"
	hears "$g2" "first-use $sa rx-subspace 1 highest 1
first-use dst 10.0.0.1 spi 0x00000200 tx-subspace 1 highest 1
first-use $sa rx-subspace 2 highest 1
first-use dst 10.0.0.1 spi 0x00000200 tx-subspace 2 highest 1"
	stop "$one" "$monitor_pid"
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
	local start=$SECONDS first='out-of-range dst 10.0.0.2 spi 0x00000100 id 10'
	pings 3 20
	dropped "$g2" 0x100 'rx-subspace 20'
	seldom "$g2" "$start" "$first" "$first"
	pings 2 20
	dropped "$g2" 0x100 'rx-subspace 40'
	expect "first one" "$(stat "$g2" 0x100 out-of-range-first)" 10
	# Nothing else is believed of them: none has made a window
	expect "memory" "$(stat "$g2" 0x100 memory)" $((8 * 8))
	# An ID that is in range, from somebody without the key: no event of it
	pings 0 5
	dropped "$g2" 0x100 'rx-subspace 40 rx-icv 5'
	expect "memory" "$(stat "$g2" 0x100 memory)" $((8 * 8))
	# One of another SA: then all before have been heard
	other_sa "$g1" tx-subspaces 1 tx-base 5
	other_sa "$g2" rx-subspaces 1
	ip -n "$g1" xfrm policy update src 10.1.0.0/24 dst 10.2.0.0/24 dir out \
		tmpl src 10.0.0.1 dst 10.0.0.2 proto esp reqid 3 mode tunnel
	pings 1 1
	wait_for 5 grep -qx 'out-of-range dst 10.0.0.2 spi 0x00000101 id 5' "$tmp/events-$g2"
	seldom "$g2" "$start" "$first" 'out-of-range dst 10.0.0.2 spi 0x00000100 id \(9\|10\)'
	stop "$monitor_pid"
}

other_sa() { # ns word...
	local key

	key_for 0x101
	ip -n "$1" xfrm state add src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x101 reqid 3 \
		mode tunnel flag af-unspec aead "$aead" "$key" 128 ext "${@:2}"
}

# The first packet of another subspace: when that has been heard, all before has
marker() { # subspace
	inject valid "$1" 1
	wait_for 5 grep -qx "first-use dst 10.0.0.2 spi 0x00000100 rx-subspace $1 highest 1" \
		"$tmp/events-$g2"
}

# As many replays as somebody on the path may care to send
replays() {
	local start n=1200 event='window-drops dst 10.0.0.2 spi 0x00000100 rx-subspace 3 highest 1200'

	fastpath on
	tunnel 4 4
	inject_open 4 udp:10.1.0.1:1000:10.2.0.1:9:8
	inject valid 3 1 "count=$n"
	accepts "$g2" 0x100 "$n"
	monitor "$g2"
	start=$SECONDS
	inject valid 3 $((n - 899)) count=900
	dropped "$g2" 0x100 'rx-replay 900'
	# Not enough for an event
	marker 0
	expect "events" "$(grep -v ^first-use "$tmp/events-$g2")" ''
	inject valid 3 1 "count=$n"
	wait_for 5 grep -qx "$event" "$tmp/events-$g2"
	inject valid 3 1 "count=$n"
	dropped "$g2" 0x100 "rx-replay $((900 + 2 * 1024)) rx-too-old $((2 * (n - 1024)))"
	# However many: one in ten seconds
	marker 1
	seldom "$g2" "$start" "$event" "$event"
	inject_close
	stop "$monitor_pid"
}

sysctl -qw net.core.netdev_max_backlog=100000
modprobe xfrm_ext
pair
for path in on off; do
	# On our own path only
	[[ $whole || $path == on ]] || continue
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
