#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# kernels: 6.1-cloud 6.12-cloud
# needs: steer
#
# xfrm-ext-steer: received packets of an SA, each subspace on a CPU of its own, in order; which
# SAs and CPUs it knows of, what it leaves alone, what is lost, and what is left when it ends.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-wire.sh"
. "$(dirname "$0")/lib-ends.sh"

n=16 cpus=$(nproc)

# Not "ip netns exec", which has another /sys
steer() { # word...
	nsenter --net="/run/netns/$s" xfrm-ext-steer "$@"
}

# In the background, on s's link
start() { # word...
	# That of a test that has failed
	[[ ! ${steer_pid-} || ! -d /proc/$steer_pid ]] || stop "$steer_pid"
	rm -f "$tmp/steer"
	nsenter --net="/run/netns/$s" xfrm-ext-steer "$@" wan 2>"$tmp/steer" &
	steer_pid=$!
	wait_for 20 attached
	wait_for 20 grep -q 'CPUs$' "$tmp/steer"
}

attached() {
	ip -n "$s" link show dev wan | grep -q xdp
}

end() {
	stop "$steer_pid"
	attached && return 1
	[[ ! -e /sys/fs/bpf/xfrm-ext-steer-wan ]]
}

# Each subspace of c's asks, and is answered
ask() { # times
	local mark

	for ((mark = 0; mark < n; mark++)); do
		ip netns exec "$c" ping -q -c "$1" -i 0.005 -W 10 -m "$mark" 10.12.0.1
	done
}

# SAs of format esp64 between c and s, or of other words
sas() { # tunnel|transport|beet 4|6 udp|esp [words-of-senders words-of-receivers]
	local o1=10.1.0.2 o2=10.2.0.2 any=0.0.0.0 encap=''

	[[ $2 == 4 ]] || o1=fd01::2 o2=fd02::2 any=::
	[[ $3 == esp ]] || encap="encap espinudp 4500 4500 $any"
	mode_sas "$1" 10.11.0.1 10.12.0.1 "$o1" "$o2" \
		"$encap ${4-ext tx-subspaces $n select mark}" "$encap ${5-ext rx-subspaces $n}"
}

# Steered to each CPU: "packets packets..."
steered() {
	steer --stats wan | awk -v cpus="$cpus" '
		$1 == "cpu" { got[$2] = $4; dropped += $6 }
		END { for (i = 0; i < cpus; i++) printf "%s%d", i ? " " : "", got[i]
		      print dropped ? " dropped " dropped : "" }'
}

# What n subspaces with so many packets each are for CPUs from a list, or all
shares() { # packets [cpu...]
	local i cpu all=() list=("${@:2}")

	((${#list[@]})) || mapfile -t list < <(seq 0 $((cpus - 1)))
	for ((i = 0; i < cpus; i++)); do
		all[i]=0
	done
	for ((i = 0; i < n; i++)); do
		cpu=${list[i % ${#list[@]}]}
		all[cpu]=$((all[cpu] + $1))
	done
	echo "${all[*]}"
}

# On which CPU packets with ESP in them are worked on, as nft sees it
count_cpus() {
	local i

	{
		printf 'table inet cpus {\nchain arrived {\ntype filter hook prerouting priority raw\n'
		printf 'iifname wan meta l4proto { esp, udp } jump count\n}\nchain count {\n'
		for ((i = 0; i < cpus; i++)); do
			printf 'meta cpu %d counter\n' "$i"
		done
		printf '}\n}\n'
	} | ip netns exec "$s" nft -f -
}

cpus_counted() {
	ip netns exec "$s" nft list ruleset | awk '/meta cpu .* counter/ { print $(NF - 2) }' | xargs
	ip netns exec "$s" nft flush ruleset
}

# And in order: no packet was behind another one
in_order() {
	expect "backtracks" "$(block "$s" 0x100 -s | awk '
		$1 == "rx-subspace" { for (i = 3; i < NF; i++) if ($i == "backtrack") print $(i + 1) }' | sort -u)" 0
	expect "drops" "$(drops "$s" 0x100)" none
}

# What c sends is of 16 subspaces; the answers are of one, which nobody spreads
steered_by() { # mode 4|6 udp|esp native|generic
	sas "$1" "$2" "$3"
	start --mode "$4"
	knows 1 "$cpus"
	count_cpus
	ask 4
	expect "packets worked on" "$(cpus_counted)" "$(shares 4)"
	expect "packets steered" "$(steered)" "$(shares 4)"
	expect "packets received" "$(stat "$s" 0x100 rx-packets)" $((4 * n))
	in_order
	end
}

knows() { # SAs CPUs
	wait_for 20 knows_now "$@"
}

knows_now() {
	steer --stats wan | grep -qx "sas $1 cpus $2"
}

# Packets in a hurry are in order, too: each subspace by one CPU
hurry() {
	local mark pids=()

	sas tunnel 4 esp
	start
	knows 1 "$cpus"
	for ((mark = 0; mark < n; mark++)); do
		ip netns exec "$c" taskset -c $((mark % cpus)) ping -q -f -c 200 -W 10 -m "$mark" 10.12.0.1 &
		pids+=($!)
	done
	wait "${pids[@]}"
	# What a link in a hurry has lost nobody has seen
	steered >"$tmp/steered"
	cat "$tmp/steered"
	expect "packets received" "$(stat "$s" 0x100 rx-packets)" \
		"$(awk '{ for (i = 1; i <= NF && $i != "dropped"; i++) n += $i; print n - $(i + 1) }' "$tmp/steered")"
	(($(stat "$s" 0x100 rx-packets) > 50 * n))
	in_order
	end
}

# What has one counter, or is no ESP of ours, goes the usual way
left_alone() {
	start
	sas tunnel 4 esp 'ext format esp tx-subspaces 1' 'ext format esp rx-subspaces 1'
	knows 0 "$cpus"
	ip netns exec "$c" ping -q -c 20 -i 0.005 -W 10 10.12.0.1
	expect "packets received" "$(stat "$s" 0x100 rx-packets)" 20
	sas tunnel 4 esp '' 'replay-window 32'
	ip netns exec "$c" ping -q -c 20 -i 0.005 -W 10 10.12.0.1
	# Of an SA that it knows, but of another address
	sas tunnel 6 esp
	knows 1 "$cpus"
	ip netns exec "$c" ping -q -c 5 -W 10 10.2.0.2
	expect "packets steered" "$(steered)" "$(shares 0)"
	ask 1
	expect "packets steered" "$(steered)" "$(shares 1)"
	end
}

# SAs come and go while it runs
come_and_go() {
	ip -n "$s" xfrm state flush
	start
	knows 0 "$cpus"
	sas tunnel 4 esp
	knows 1 "$cpus"
	ask 1
	sas tunnel 6 udp
	# The number is the same
	wait_for 20 is_steered
	ip -n "$s" xfrm state flush
	knows 0 "$cpus"
	end
}

is_steered() {
	local before

	before=$(steered)
	ip netns exec "$c" ping -q -c 1 -W 1 -m 0 10.12.0.1
	[[ $(steered) != "$before" ]]
}

# By those that it may have
some_cpus() {
	sas tunnel 4 esp
	start --cpus 1
	knows 1 1
	count_cpus
	ask 1
	expect "packets worked on" "$(cpus_counted)" "$(shares 1 1)"
	expect "packets steered" "$(steered)" "$(shares 1 1)"
	end
}

# One that goes is left out, and has packets again when it comes back
cpu_goes() {
	local file=/sys/devices/system/cpu/cpu1/online others

	mapfile -t others < <(seq 2 $((cpus - 1)))
	sas tunnel 4 esp
	start
	knows 1 "$cpus"
	echo 0 >"$file"
	knows 1 $((cpus - 1))
	ask 1
	expect "packets steered" "$(steered)" "$(shares 1 0 "${others[@]}")"
	echo 1 >"$file"
	knows 1 "$cpus"
	ask 1
	expect "packets received" "$(stat "$s" 0x100 rx-packets)" $((2 * n))
	expect "CPUs without a packet" "$(steered | tr ' ' '\n' | grep -cx 0 || true)" 0
	in_order
	end
}

# Nothing is left of it that would hold packets
killed() {
	sas tunnel 4 esp
	start
	knows 1 "$cpus"
	kill -9 "$steer_pid"
	wait "$steer_pid" || true
	attached && return 1
	ask 1
	expect "packets received" "$(stat "$s" 0x100 rx-packets)" "$n"
	# The next one does not count on from there
	start
	knows 1 "$cpus"
	expect "packets steered" "$(steered)" "$(shares 0 0)"
	end
}

# A CPU's queue that is full: what is lost has a name
full() {
	local lost

	sas tunnel 4 esp
	start --mode generic --queue 1
	knows 1 "$cpus"
	# All at once
	ip netns exec "$c" tc qdisc add dev wan root netem slot 300ms packets 1000
	ip netns exec "$c" ping -q -c 100 -i 0.002 -W 2 -m 1 10.12.0.1 >"$tmp/ping" || true
	ip netns exec "$c" tc qdisc del dev wan root
	lost=$(steered | sed -n 's/.* dropped //p')
	echo "# dropped: $lost"
	((lost > 0))
	expect "packets" $(($(stat "$s" 0x100 rx-packets) + lost)) 100
	end
}

refusals() {
	refused 'no device nosuch' steer nosuch
	refused 'no device a/b' steer a/b
	refused '--cpus 3-1: must be a list as in 0-3,8, of numbers below 1024' steer --cpus 3-1 wan
	refused '--cpus 0-1024: must be' steer --cpus 0-1024 wan
	refused '--cpus x: must be' steer --cpus x wan
	refused '--queue 0: must be 1 to 16384' steer --queue 0 wan
	refused 'usage: ' steer --mode fast wan
	refused 'usage: ' steer
	refused 'nothing runs on wan' steer --stats wan
	start
	refused 'wan does not take the program: it has another one' steer wan
	# The first is not disturbed
	attached
	end
}

unload() {
	ip -n "$c" -batch - <<<$'xfrm state flush\nxfrm policy flush'
	ip -n "$s" -batch - <<<$'xfrm state flush\nxfrm policy flush'
	wait_for 30 module_goes
}

needs_cpus 2
mount -t bpf bpf /sys/fs/bpf
[[ -e /sys/kernel/tracing/events ]] || mount -t tracefs tracefs /sys/kernel/tracing
modprobe xfrm_ext
topology
socks "$c" 4500
socks "$s" 4500
for how in native generic; do
	for family in 4 6; do
		run "tunnel over IPv$family, $how" steered_by tunnel $family esp $how
		run "tunnel over IPv$family in UDP, $how" steered_by tunnel $family udp $how
	done
	run "BEET over IPv4, $how" steered_by beet 4 esp $how
done
run "in a hurry" hurry
run "left alone" left_alone
run "SAs come and go" come_and_go
run "some CPUs" some_cpus
run "a CPU goes" cpu_goes
run "killed" killed
run "full queues" full
run "refused" refusals
run "the module can be unloaded" unload
finish
