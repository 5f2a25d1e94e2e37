#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# kernels: 6.1-cloud 7.3-kcsan 7.3-uml
#
# No number and no IV comes twice while CPUs go off- and on-line and the senders move
# from CPU to CPU; nor are numbers lost in bulk: all of 1..k are there in each subspace.
# With fewer subspaces than CPUs, with as many, and with one.
#
#   UNIQUE_PACKETS=N   so many packets in each (run.sh --env; with many, --limit)
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-wire.sh"

packets=8000
[[ ! $whole ]] || packets=40000
packets=${UNIQUE_PACKETS:-$packets}
cpus=$(nproc)

# All but the first go, one after the other, and come back, until there is no such file;
# a line for each time in "rounds". Slowly: an emulated CPU that is called back before it
# has quite gone never comes. User-mode Linux keeps its CPUs.
hotplug() { # file
	local cpu dir=/sys/devices/system/cpu

	if [[ ! -e $dir/cpu1/online ]]; then
		echo >>"$tmp/rounds"
		return
	fi
	while [[ -e $1 ]]; do
		for ((cpu = 1; cpu < cpus; cpu++)); do
			echo 0 >"$dir/cpu$cpu/online"
			sleep 0.5
		done
		sleep 0.5
		for ((cpu = 1; cpu < cpus; cpu++)); do
			echo 1 >"$dir/cpu$cpu/online"
		done
		# One that the senders have seen to its end
		[[ ! -e $1 ]] || echo >>"$tmp/rounds"
		sleep 0.3
	done
}

unique() { # subspaces fastpath
	local i sent pids plugger

	fastpath "$2"
	tunnel 4 "$1"
	# Small, so that the buffer holds all of them, should tcpdump have to wait
	record "$tmp/wire" "$g1" wan -Q out -s 256 esp
	: >"$tmp/hotplug"
	: >"$tmp/rounds"
	hotplug "$tmp/hotplug" &
	plugger=$!
	# On a fast machine once more, until there has been a round
	while :; do
		pids=()
		for i in 1 2 3 4; do
			ip netns exec "$g1" "$here/traffic.py" flood 10.2.0.1 9 $((packets / 4)) 20 --roam 50 &
			pids+=($!)
		done
		for i in "${pids[@]}"; do
			wait "$i"
		done
		[[ ! -s $tmp/rounds ]] || break
	done
	rm "$tmp/hotplug"
	wait "$plugger"
	echo "# $(wc -l <"$tmp/rounds") rounds of CPUs going and coming"
	sent=$(stat "$g1" 0x100 tx-packets)
	[[ $sent -ge $packets ]]
	wait_for 20 all_there "$sent"
	expect "drops" "$(drops "$g1" 0x100) $(drops "$g2" 0x100)" 'none none'
	recorded "$tmp/wire" "$sent"
	reference_sa 4 '1>2' >"$tmp/sa"
	"$reference/check_capture.py" --sa "$tmp/sa" --only --numbers-only --unordered \
		--min-packets "$packets" --min-subspaces "$1" "$tmp/wire"
	rm "$tmp/wire"
}

all_there() { # packets
	[[ $(stat "$g2" 0x100 rx-packets) == "$1" ]]
}

needs_cpus 4
sysctl -qw net.core.netdev_max_backlog=100000
modprobe xfrm_ext
pair
# Or every other packet is an error that comes back
ip netns exec "$g2" "$here/traffic.py" count 10.2.0.1 9 >/dev/null &
run "as many subspaces as CPUs" unique "$cpus" on
run "fewer" unique 3 on
run "one" unique 1 on
((factor > 1)) || run "as many, fastpath off" unique "$cpus" off
for ((cpu = 1; cpu < cpus; cpu++)); do
	echo 1 >/sys/devices/system/cpu/cpu$cpu/online 2>/dev/null
done
fastpath on
flush
finish
