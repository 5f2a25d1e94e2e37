#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# kernels: 6.1-cloud 7.3-uml
#
# Limits in packets, octets and time end an SA where they should, and the kernel's
# EXPIRE messages say so; and what the kernel itself shows lags no more than documented
# in net/xfrm_ext/lifetime.c.
. "$(dirname "$0")/lib.sh"

cpus=$(getconf _NPROCESSORS_CONF 2>/dev/null || grep -c ^processor /proc/cpuinfo)

# EXPIRE messages of a namespace, each as "SPI soft" or "SPI hard"
monitor() { # ns
	ip -n "$1" -o xfrm monitor expire >"$tmp/monitor" &
	monitor_pid=$!
	# Protocol NETLINK_XFRM, with a group
	wait_for 20 grep -Eq '^[0-9a-f]+ +6 +[0-9]+ +0*[1-9]' "/proc/$monitor_pid/net/netlink"
}

expired() {
	sed -E 's/.* spi (0x[0-9a-f]+).*\thard ([01])\\.*/\1 \2/; s/ 0$/ soft/; s/ 1$/ hard/' \
		"$tmp/monitor" | tr '\n' ','
}

expired_is() {
	[[ $(expired) == "$1" ]]
}

expires() { # what
	if ! wait_for 8 expired_is "$1"; then
		cat "$tmp/monitor"
		return 1
	fi
}

# The SA 1>2 with limits on one of its ends
limited() { # tx|rx limit...
	local end=$1

	shift
	flush
	policies 4
	sa 4 '2>1' 4
	if [[ $end == tx ]]; then
		sa_end "$g1" "$@" ext tx-subspaces 4
		sa_end "$g2" ext rx-subspaces 4
	else
		sa_end "$g1" ext tx-subspaces 4
		sa_end "$g2" "$@" ext rx-subspaces 4
	fi
}

sa_end() { # ns word...
	local n=$1 words

	shift
	words=" $* "
	# shellcheck disable=SC2086 # words
	ip -n "$n" xfrm state add src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x100 reqid 1 \
		mode tunnel flag af-unspec aead "$aead" "$key1" 128 ${words/ ext / ext ${FORMAT-} }
}

gone() { # ns
	[[ ! $(block "$1" 0x100) ]]
}

# 15 packets of 100 octets from one CPU, of which 10 may pass
ends() { # fastpath tx|rx limit...
	local end=$g1

	[[ $2 == tx ]] || end=$g2
	fastpath "$1"
	limited "${@:2}"
	monitor "$end"
	# The first beyond the limit is counted, then the SA is on its way out
	ip netns exec "$g1" taskset -c 1 ping -q -c 15 -i 0.01 -s 72 -W 0.2 10.2.0.1 || true
	expires '0x00000100 soft,0x00000100 hard,'
	wait_for 5 gone "$end"
	stop "$monitor_pid"
	# That many have been answered
	accepts "$g1" 0x200 10
	if [[ $2 == tx ]]; then
		accepts "$g2" 0x100 10
	else
		expect "packets sent" "$(stat "$g1" 0x100 tx-packets)" 15
	fi
}

# As many at once as there are CPUs
flood() { # packets on each
	local n pids=()

	rm -rf "$tmp/gate"
	mkdir "$tmp/gate"
	for ((n = 0; n < cpus; n++)); do
		ip netns exec "$g1" taskset -c "$n" "$here/traffic.py" flood 10.2.0.1 9 "$1" 100 \
			--gate "$tmp/gate" &
		pids+=($!)
	done
	wait_for 30 flood_ready
	touch "$tmp/gate/go"
	wait "${pids[@]}"
}

flood_from() { # cpu packets
	ip netns exec "$g1" taskset -c "$1" "$here/traffic.py" flood 10.2.0.1 9 "$2" 100
}

flood_ready() {
	(($(find "$tmp/gate" -type f | wc -l) == cpus))
}

all_come() { # packets
	(($(stat "$g2" 0x100 rx-packets) >= $1))
}

many_cpus() { # fastpath
	local limit=1500 got

	fastpath "$1"
	limited tx limit packet-soft 1000 limit packet-hard "$limit"
	monitor "$g1"
	flood 600
	expires '0x00000100 soft,0x00000100 hard,'
	wait_for 5 gone "$g1"
	stop "$monitor_pid"
	# The last ones may be on their way
	wait_for 10 all_come "$limit"
	got=$(stat "$g2" 0x100 rx-packets)
	echo "# $got packets passed, $cpus CPUs, limit $limit"
	# Each other CPU may have been past the question when the last one asked
	((got >= limit && got < limit + cpus))
}

# Add time runs from the beginning, use time from the first packet. Soft and hard limits are
# on different SAs: where a machine stands still from one to the other the kernel tells the
# hard one only.
times() {
	local src='src 10.0.0.1 dst 10.0.0.3 proto esp' spi key k=()

	fastpath on
	flush
	policies 4
	sa_end "$g2" ext rx-subspaces 4
	sa 4 '2>1' 4 limit time-use-soft 1
	monitor "$g1"
	sa_end "$g1" limit time-use-hard 2 ext tx-subspaces 4
	for spi in 0x301 0x302 0x303; do
		key_for "$spi"
		k[spi]=$key
	done
	ip -n "$g1" -batch - <<-EOF
		xfrm state add $src spi 0x301 mode tunnel aead $aead ${k[0x301]} 128 limit time-soft 1 ext tx-subspaces 2
		xfrm state add $src spi 0x302 mode tunnel aead $aead ${k[0x302]} 128 limit time-use-soft 1 limit time-use-hard 2 ext tx-subspaces 2
		xfrm state add $src spi 0x303 mode tunnel aead $aead ${k[0x303]} 128 limit time-hard 2 ext tx-subspaces 2
	EOF
	wait_for 8 expired_all '0x00000301 soft 0x00000303 hard'
	expect "SAs gone" "$(block "$g1" 0x303)" ''
	# In use for the first time now, longer after its creation than it may be used
	ip netns exec "$g1" ping -q -c 1 -W 5 10.2.0.1
	wait_for 8 expired_all '0x00000301 soft 0x00000303 hard 0x00000200 soft 0x00000100 hard'
	wait_for 5 gone "$g1"
	expect "use time of one not used" \
		"$(block "$g1" 0x302 -s | awk '$1 == "add" { print $5 }')" -
	stop "$monitor_pid"
}

# In whatever order
expired_all() { # SPI and which, ...
	[[ $(expired | tr ',' '\n' | sort) == $(xargs -n 2 <<<"$1" | sort) ]]
}

raw_packets() {
	ip netns exec "$g1" "$here/xfrm.py" states |
		sed -n 's/^spi=0x00000100 .* packets=\([0-9]*\) .*/\1/p'
}

# A CPU has a credit of packets that the kernel hears of when it is used up, or if nobody
# asks, within a second; or at once when the module is asked
lag() { # packets limit...
	fastpath on
	limited tx "${@:2}"
	flood "$1"
	expect "packets, when the module is asked" \
		"$(block "$g1" 0x100 -s | awk '/lifetime current/ { getline; print $1, $2 }')" \
		"$((cpus * $1 * 128))(bytes), $((cpus * $1))(packets)"
	expect "packets from then on" "$(raw_packets)" $((cpus * $1))
	flood "$1"
	wait_for 5 knows_of $((2 * cpus * $1)) || expect "packets the kernel knows of" "$(raw_packets)" \
		$((2 * cpus * $1))
}

knows_of() { # packets
	[[ $(raw_packets) == "$1" ]]
}

# By UPDSA: credits that were given without it are no longer good. Those of 512 packets have
# begun.
new_limit() { # packets-left [same-time|one-by-one]
	local limit=$((cpus * 600 + $1)) got n

	flush
	limited tx
	flood 600
	ip -n "$g1" xfrm state update src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x100 reqid 1 \
		mode tunnel flag af-unspec aead "$aead" "$key1" 128 limit packet-hard "$limit"
	monitor "$g1"
	if [[ $2 == same-time ]]; then
		flood 300
	else
		# The first is told that the limit is far; the others had their credits before
		flood_from 0 1
		for ((n = 1; n < cpus; n++)); do
			flood_from "$n" 300
		done
	fi
	expires '0x00000100 hard,'
	wait_for 5 gone "$g1"
	stop "$monitor_pid"
	wait_for 10 all_come "$limit"
	got=$(stat "$g2" 0x100 rx-packets)
	echo "# $got packets passed, $cpus CPUs, limit $limit"
	((got >= limit && got < limit + cpus))
}

# UPDSA may set a limit that is behind already, also where the kernel does not know
lowered() {
	flush
	limited tx
	ip netns exec "$g1" taskset -c 0 "$here/traffic.py" flood 10.2.0.1 9 10 100
	# Of one, or within a second of all
	[[ $(raw_packets) == @(1|10) ]]
	monitor "$g1"
	ip -n "$g1" xfrm state update src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x100 reqid 1 \
		mode tunnel flag af-unspec aead "$aead" "$key1" 128 limit packet-hard 5
	expires '0x00000100 hard,'
	wait_for 5 gone "$g1"
	stop "$monitor_pid"
}

sysctl -qw net.core.netdev_max_backlog=100000
modprobe xfrm_ext
pair
ip netns exec "$g2" "$here/traffic.py" count 10.2.0.1 9 >/dev/null &
for path in on off; do
	run "packets out, fastpath $path" ends $path tx limit packet-soft 5 limit packet-hard 10
	run "packets in, fastpath $path" ends $path rx limit packet-soft 5 limit packet-hard 10
	# The kernel's own path is its own: less of it
	[[ $whole || $path == on ]] || continue
	run "from all CPUs at once, fastpath $path" many_cpus $path
	run "octets out, fastpath $path" ends $path tx limit byte-soft 500 limit byte-hard 1000
	run "octets in, fastpath $path" ends $path rx limit byte-soft 500 limit byte-hard 1000
done
for path in on off; do
	run "packets out, eesp, fastpath $path" in_eesp ends $path tx limit packet-soft 5 limit packet-hard 10
	run "octets in, eesp, fastpath $path" in_eesp ends $path rx limit byte-soft 500 limit byte-hard 1000
done
run "from all CPUs at once, eesp" in_eesp many_cpus on
run "add time and use time" times
if ((factor == 1)); then
	run "the kernel's figures lag by a second at most, and not when asked" \
		lag 195 limit packet-hard 1000000
	run "the same without a limit" lag 450
	run "a limit where there was none is kept" new_limit 100 same-time
	run "a limit where there was none is kept, if it is far" \
		new_limit $((2 * 64 * cpus + 10)) one-by-one
	run "a limit lowered below what was used ends the SA" lowered
fi
fastpath on
flush
finish
