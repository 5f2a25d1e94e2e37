#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# kernels: 6.1-debug 7.3-kcsan 7.3-uml
#
# SAs come and go, namespaces and CPUs too, all while packets are on their way. Nothing
# stays behind, and the module can go.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-wire.sh"
. "$(dirname "$0")/lib-cycles.sh"

# Kilobytes that the kernel has
kernel_memory() {
	awk '$1 == "Slab:" || $1 == "Percpu:" || $1 == "VmallocUsed:" { n += $2 }
		END { print n }' /proc/meminfo
}

grown_less() { # than before, kB
	(($(kernel_memory) - $1 < $2))
}

cycle() { # times: both ends, each at its own pace. All with one key: each goes on as the one before
	local n

	for ((n = 0; n < $1; n++)); do
		add '1>2' tx-subspaces 16
		delete '1>2'
	done >"$tmp/batch1"
	for ((n = 0; n < $1; n++)); do
		add '1>2' rx-subspaces 16 window 4096
		delete '1>2'
	done >"$tmp/batch2"
	ip -n "$g1" -batch "$tmp/batch1" &
	ip -n "$g2" -batch "$tmp/batch2"
	wait $!
}

remembered() { # ns
	echo $(($(netns_memory "$1" -all) - $(netns_memory "$1")))
}

cycles() {
	local times before wire

	times=$(few 1000)
	flush
	policies 4
	flood_start "$g1"
	cycle $((times / 10))
	before=$(kernel_memory)
	wire=$(sent "$g1" wan)
	"$here/cycle.py" "$g1" "$g2" "$times"
	flood_stop
	wire=$(($(sent "$g1" wan) - wire))
	echo "# $wire packets while $times SAs came and went"
	((wire >= times))
	# With few it says little; on a debug kernel kmemleak sees to it
	if [[ $whole ]]; then
		# What is remembered of their keys is twice what it counts for at most: the
		# kernel's allocator rounds up
		before=$((before + ($(remembered "$g1") + $(remembered "$g2")) * 2 / 1024))
		wait_for 20 grown_less "$before" "$times"
		echo "# memory of the kernel: $before kB before, $(kernel_memory) kB after"
	fi
	expect "SAs left" "$(ip -n "$g1" xfrm state; ip -n "$g2" xfrm state)" ''
}

unload() {
	add '1>2' rx-subspaces 2 | ip -n "$g2" -batch -
	refused 'in use' modprobe -r xfrm_ext
	delete '1>2' | ip -n "$g2" -batch -
	wait_for 30 module_goes
	modprobe xfrm_ext
}

# Policies and SAs go and come back in one batch after the other
flushes() {
	local n wire

	flush
	wire=$(sent "$g1" wan)
	flood_start "$g1"
	for ((n = 0; n < $(few 200); n++)); do
		new_keys
		echo "xfrm policy add src 10.1.0.0/24 dst 10.2.0.0/24 dir out" \
			"tmpl src 10.0.0.1 dst 10.0.0.2 proto esp reqid 1 mode tunnel"
		add '1>2' tx-subspaces 4
		((n % 2)) || echo "xfrm policy flush"
		echo "xfrm state flush"
		((n % 2 == 0)) || echo "xfrm policy flush"
	done | ip -n "$g1" -batch -
	wait_for 10 more_sent "$g1" wan "$wire"
	flood_stop
	tunnel 4 4
	ip netns exec "$g1" ping -q -c 3 -i 0.05 -W 10 10.2.0.1
}

# CPUs leave and return; numbers and counts stay right
hotplug() {
	local cpu rounds=3 total

	((factor == 1)) || rounds=1
	flush
	tunnel 4 4
	record_out "$tmp/pcap" "$g1" wan
	ip netns exec "$g1" "$here/traffic.py" flood 10.2.0.1 9 100000000 200 --rate 300 &
	flood_pid=$!
	while ((rounds--)); do
		for cpu in 1 2 3; do
			total=$(sent "$g1" wan)
			wait_for 10 more_sent "$g1" wan $((total + 40))
			echo 0 >/sys/devices/system/cpu/cpu"$cpu"/online
		done
		total=$(sent "$g1" wan)
		wait_for 10 more_sent "$g1" wan $((total + 40))
		for cpu in 1 2 3; do
			echo 1 >/sys/devices/system/cpu/cpu"$cpu"/online
		done
	done
	flood_stop
	record_end "$tmp/pcap" "$g1" 10.0.0.2
	expect "drops on the sender" "$(drops "$g1" 0x100)" none
	expect "drops on the receiver" "$(drops "$g2" 0x100)" none
	reference_sa 4 '1>2' >"$tmp/sa"
	"$reference/check_capture.py" --sa "$tmp/sa" --only --unordered --min-packets 400 \
		"$tmp/pcap" | tee "$tmp/judged"
	total=$(sed -n 's/.*: \([0-9]*\) packets (.*/\1/p' "$tmp/judged")
	expect "packets sent" "$(stat "$g1" 0x100 tx-packets)" "$total"
	accepts "$g2" 0x100 "$total"
	expect "clear packets" "$(clear_packets "$tmp/pcap")" ''
}

needs_cpus 4
modprobe xfrm_ext
pair
run "SAs come and go, with traffic" cycles
run "the module stays as long as an SA is there" unload
run "policies and SAs are flushed under traffic" flushes
# User-mode Linux keeps its CPUs
[[ ! -e /sys/devices/system/cpu/cpu1/online ]] ||
	run "CPUs go and come back under traffic" hotplug
run "namespaces are destroyed under traffic" destroyed "$(few 20)"
finish
