#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 400
#
# SAs come and go, namespaces and CPUs too, all while packets are on their way. Nothing
# stays behind, and the module can go.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-wire.sh"

few() { # n: fewer where everything takes longer, but not none
	echo $((factor > 1 ? ($1 + 9) / 10 : $1))
}

# The lines of ip -batch that make an SA of the pair
add() { # 1>2|2>1 word...
	local key=$key1 ends="src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x100 reqid 1"

	if [[ $1 == '2>1' ]]; then
		key=$key2 ends="src 10.0.0.2 dst 10.0.0.1 proto esp spi 0x200 reqid 2"
	fi
	echo "xfrm state add $ends mode tunnel flag af-unspec aead $aead $key 128 ext" "${@:2}"
}

delete() { # 1>2|2>1
	case $1 in
	'1>2') echo "xfrm state delete src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x100" ;;
	'2>1') echo "xfrm state delete src 10.0.0.2 dst 10.0.0.1 proto esp spi 0x200" ;;
	esac
}

flood_start() { # ns
	ip netns exec "$1" "$here/traffic.py" flood 10.2.0.1 9 100000000 200 --rate 2000 &
	flood_pid=$!
}

flood_stop() {
	kill "$flood_pid"
	wait "$flood_pid" || true
}

# Packets that a device of a namespace has sent
sent() { # ns dev
	ip netns exec "$1" cat "/sys/class/net/$2/statistics/tx_packets"
}

more_sent() { # ns dev than
	(($(sent "$1" "$2") > $3))
}

# Kilobytes that the kernel has
kernel_memory() {
	awk '$1 == "Slab:" || $1 == "Percpu:" || $1 == "VmallocUsed:" { n += $2 }
		END { print n }' /proc/meminfo
}

grown_less() { # than before, kB
	(($(kernel_memory) - $1 < $2))
}

cycle() { # times: both ends, each at its own pace
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

cycles() {
	local times before wire

	times=$(few 1000)
	flush
	policies 4
	flood_start "$g1"
	cycle $((times / 10))
	before=$(kernel_memory)
	wire=$(sent "$g1" wan)
	cycle "$times"
	flood_stop
	wire=$(($(sent "$g1" wan) - wire))
	echo "# $wire packets while $times SAs came and went"
	((wire > times / 10))
	# KASAN keeps what was freed; there kmemleak sees to it
	if [[ ! -e /sys/kernel/debug/kmemleak ]]; then
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
	ip netns exec "$g1" ping -q -c 3 -i 0.05 -W 2 10.2.0.1
}

# CPUs leave and return; numbers and counts stay right
hotplug() {
	local cpu rounds=3 total

	if [[ ! -w /sys/devices/system/cpu/cpu1/online ]]; then
		echo "# SKIP: CPUs cannot be switched off here"
		return
	fi
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
	expect "packets accepted" "$(stat "$g2" 0x100 rx-packets)" "$total"
	expect "clear packets" "$(clear_packets "$tmp/pcap")" ''
}

# A host that floods stays; the gateways before it are made and go
host() {
	h=h-$$
	netns_add "$h"
	ip -n "$h" -batch - <<-EOF
		link add out type dummy
		addr add 10.1.0.2/24 dev out
		link set out up
	EOF
}

# Each time with other names: the kernel takes its time to destroy the last ones
doomed_gateways() { # round
	x=x$1-$$ y=y$1-$$
	made+=("$x" "$y")
	ip -batch - <<-EOF
		netns add $x
		netns add $y
		link add lan$1 netns $h type veth peer name lan netns $x
		link add wan netns $x type veth peer name wan netns $y
	EOF
	ip -n "$x" -batch - <<-EOF
		addr add 10.1.1.1/24 dev lan
		addr add 10.0.0.1/24 dev wan
		link set lan up
		link set wan up
		route add 10.2.0.0/24 via 10.0.0.2
		route add 10.1.0.0/24 via 10.1.1.2
		xfrm policy add src 10.1.0.0/24 dst 10.2.0.0/24 dir out tmpl src 10.0.0.1 dst 10.0.0.2 proto esp reqid 1 mode tunnel
		$(add '1>2' tx-subspaces 4)
		$(add '2>1' rx-subspaces 4)
	EOF
	ip -n "$y" -batch - <<-EOF
		addr add 10.0.0.2/24 dev wan
		addr add 10.2.0.1/24 dev lo
		link set lo up
		link set wan up
		route add 10.1.0.0/24 via 10.0.0.1
		xfrm policy add src 10.1.0.0/24 dst 10.2.0.0/24 dir in tmpl src 10.0.0.1 dst 10.0.0.2 proto esp reqid 1 mode tunnel
		xfrm policy add src 10.2.0.0/24 dst 10.1.0.0/24 dir out tmpl src 10.0.0.2 dst 10.0.0.1 proto esp reqid 2 mode tunnel
		$(add '1>2' rx-subspaces 4)
		$(add '2>1' tx-subspaces 4)
	EOF
	ip netns exec "$x" sysctl -qw net.ipv4.ip_forward=1
	ip -n "$h" -batch - <<-EOF
		addr add 10.1.1.2/32 dev lan$1
		link set lan$1 up
		route replace 10.2.0.0/24 via 10.1.1.1 dev lan$1 onlink src 10.1.0.2
	EOF
}

arrives() {
	(($(stat "$y" 0x100 rx-packets) > 20))
}

destroyed() {
	local n rounds

	flush
	rounds=$((factor > 1 ? 5 : 20))
	host
	doomed_gateways 0
	flood_start "$h"
	for ((n = 1; n <= rounds; n++)); do
		wait_for 20 arrives
		if ((n % 2)); then
			ip netns del "$x"
			ip netns del "$y"
		else
			ip netns del "$y"
			ip netns del "$x"
		fi
		((n == rounds)) || doomed_gateways "$n"
	done
	flood_stop
	wait_for 30 module_goes
}

modprobe xfrm_ext
pair
run "SAs come and go, with traffic" cycles
run "the module stays as long as an SA is there" unload
run "policies and SAs are flushed under traffic" flushes
run "CPUs go and come back under traffic" hotplug
run "namespaces are destroyed under traffic" destroyed
finish
