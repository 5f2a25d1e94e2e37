#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# kernels: 6.1-cloud
#
# What reordering costs: traffic of four CPUs over two paths, or in two classes, of which
# one is slower by as much as makes its packets fall DEPTH packets behind. Stock ESP
# throws away what has fallen behind its window; with a subspace for each path or class,
# and each CPU, nothing is lost, as each is in order within itself.
#
#	path A or class A, 1 ms
#	==========================
#  g1				g2	10.1.0.1 -> 10.2.0.1
#	==========================
#	path B or class B, DEPTH packets
#
# Prints the table of Documentation/subspaces.rst.
. "$(dirname "$0")/lib.sh"

rate=750	# packets per second and sender; four of them

two_paths() {
	local p n i

	g1=g1-$$ g2=g2-$$
	netns_add "$g1" "$g2"
	for i in 1 2; do
		p=path$i
		ip link add "$p" netns "$g1" type veth peer name "$p" netns "$g2"
		ip -n "$g1" addr add 10.0.$i.1/24 dev "$p"
		ip -n "$g2" addr add 10.0.$i.2/24 dev "$p"
		ip -n "$g1" link set "$p" up
		ip -n "$g2" link set "$p" up
	done
	for n in "$g1 1" "$g2 2"; do
		ip -n "${n% *}" addr add "10.0.0.${n#* }/32" dev lo
		ip -n "${n% *}" addr add "10.${n#* }.0.1/32" dev lo
	done
	ip -n "$g1" route add 10.0.0.2 via 10.0.1.2 src 10.0.0.1
	ip -n "$g1" route add 10.2.0.1 via 10.0.1.2 src 10.1.0.1
	ip -n "$g2" route add 10.0.0.1 via 10.0.1.1 src 10.0.0.2
	# What is marked 2 goes by the other path
	ip -n "$g1" route add 10.0.0.2 via 10.0.2.2 src 10.0.0.1 table 2
	ip -n "$g1" rule add fwmark 2/0xf table 2
	for i in 1 2; do
		wait_for 10 ip netns exec "$g1" ping -q -c 1 -W 1 10.0.$i.2
	done
	ip -n "$g1" xfrm policy add src 10.1.0.1 dst 10.2.0.1 dir out \
		tmpl src 10.0.0.1 dst 10.0.0.2 proto esp reqid 1 mode tunnel
	ip -n "$g2" xfrm policy add src 10.1.0.1 dst 10.2.0.1 dir in \
		tmpl src 10.0.0.1 dst 10.0.0.2 proto esp reqid 1 mode tunnel
}

# The second path, or the second class on the first path, is slower by that
slower_by() { # path|class milliseconds
	local i

	for i in 1 2; do
		tc -n "$g1" qdisc del dev "path$i" root 2>/dev/null || true
	done
	if [[ $1 == path ]]; then
		tc -n "$g1" qdisc add dev path1 root netem delay 1ms limit 200000
		tc -n "$g1" qdisc add dev path2 root netem delay "$2ms" limit 200000
		return
	fi
	# By the priority that the kernel gives to a TOS: 0x10 is of the first band,
	# 0x08 of the last
	tc -n "$g1" qdisc add dev path1 root handle 1: prio
	tc -n "$g1" qdisc add dev path1 parent 1:1 handle 11: netem delay 1ms limit 200000
	tc -n "$g1" qdisc add dev path1 parent 1:3 handle 13: netem delay "$2ms" limit 200000
}

# A tunnel's route looks at the packet's mark only if the SA has an output mark; this
# one leaves alone the bits that choose the path
the_sa() { # sender's words , receiver's words
	local words=()

	while [[ $1 != , ]]; do
		words+=("$1")
		shift
	done
	shift
	new_keys
	ip -n "$g1" xfrm state flush
	ip -n "$g2" xfrm state flush
	ip -n "$g1" xfrm state add src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x100 reqid 1 \
		mode tunnel aead "$aead" "$key1" 128 output-mark 0x100 mask 0x100 "${words[@]}"
	ip -n "$g2" xfrm state add src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x100 reqid 1 \
		mode tunnel aead "$aead" "$key1" 128 "$@"
}

# The first two senders are of A, the others of B. Sets sent and got.
send() { # path|class packets-per-sender
	local i mark tos gate counter pids=()

	gate=$(mktemp -d "$tmp/gate.XXXXXX")
	sent=$((4 * $2))
	ip netns exec "$g2" "$here/traffic.py" count 10.2.0.1 9 >"$tmp/count" &
	counter=$!
	wait_for 20 ip netns exec "$g2" grep -q ':0009 ' /proc/net/udp
	for i in 0 1 2 3; do
		if [[ $1 == path ]]; then
			mark=$((i / 2 + 1)) tos=0
		else
			mark=0 tos=$((i / 2 ? 0x08 : 0x10))
		fi
		ip netns exec "$g1" taskset -c "$i" "$here/traffic.py" flood 10.2.0.1 9 "$2" 64 \
			--mark "$mark" --tos "$tos" --rate "$rate" --gate "$gate" &
		pids+=($!)
	done
	wait_for 20 all_at "$gate"
	touch "$gate/go"
	for i in "${pids[@]}"; do
		wait "$i"
	done
	wait_for 30 nothing_queued
	kill -TERM "$counter"
	wait "$counter"
	read -r got twice <"$tmp/count"
	expect "twice" "$twice" 0
}

all_at() { # gate
	[[ $(find "$1" -type f | wc -l) == 4 ]]
}

nothing_queued() {
	local i

	for i in 1 2; do
		[[ $(tc -n "$g1" -s qdisc show dev "path$i" | awk '/backlog/ { print $3 }' |
			sort -u) == 0p ]] || return 1
	done
}

lost() {
	awk -v s="$sent" -v g="$got" 'BEGIN { printf "%.1f %%\n", 100 * (s - g) / s }'
}

depth() { # packets
	local ms=$(($1 * 1000 / (4 * rate))) each=2000 sent got twice line how by

	((each * 4 > 5 * $1 / 2)) || each=$((5 * $1 / 8))
	line=$(printf '%6d' "$1")

	slower_by path "$ms"
	the_sa replay-window 32 , replay-window 32
	send path "$each"
	line+=$(printf '%16s' "$(lost)")
	# The test tests something: there is reordering, and it costs
	(($1 < 1024 || got < sent * 9 / 10))
	the_sa flag esn replay-window 4096 , flag esn replay-window 4096
	send path "$each"
	line+=$(printf '%16s' "$(lost)")
	# A delay may be longer than it should, on a machine that is busy, and then even this
	# window is left behind: by few, or this one would be no wider than the other
	if (($1 > 4096)); then ((got < sent * 9 / 10)); else ((got >= sent * 9 / 10)); fi

	for how in path:mark class:dscp; do
		by=${how#*:}
		slower_by "${how%:*}" "$ms"
		if [[ $by == mark ]]; then
			the_sa ext tx-subspaces 8 select mark select-mask 1 select-cpus 4 , \
				ext rx-subspaces 8
		else
			the_sa ext tx-subspaces 8 select dscp select-cpus 4 select-dscp 4:1 , \
				ext rx-subspaces 8
		fi
		send "${how%:*}" "$each"
		line+=$(printf '%16s' "$(lost)")
		expect "delivered, by $by" "$got" "$sent"
		expect "drops, by $by" "$(drops "$g2" 0x100)" none
		expect "subspaces, by $by" \
			"$(block "$g2" 0x100 -s | grep -c 'rx-subspace ')" 4
	done
	echo "# $line"
}

sysctl -qw net.core.netdev_max_backlog=100000
modprobe xfrm_ext
two_paths
echo "# packets lost by    stock, window   stock, window   extended SA, by extended SA, by"
echo "#  depth                    32            4096        path & CPU     class & CPU"
for d in 64 1024 8192; do
	run "reordered by $d packets" depth $d
done
flush
finish
