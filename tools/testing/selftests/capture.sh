#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# kernels: 7.3-uml
# check: 7.3-uml
#
# What goes over the wire, seen by somebody who has not read the module: every
# packet of traffic from all CPUs is decrypted by the reference; no number and no
# IV comes twice, and numbers grow from 1 on in every subspace.
#
# The capture stands where the sender gives packets to its link. What a gateway
# forwards is given its number and put on the link in one softirq, so packets
# of a CPU, and that is of a subspace, cannot overtake each other on the way there:
# any step back or hole is a mistake of the module. (That needs a subspace for
# each CPU. Packets of different subspaces may come in any order.)
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-wire.sh"

cpus=$(nproc)

# Datagrams from every CPU at once, in both families, and TCP beside them: how many
# datagrams per CPU of IPv4 and IPv6
from_all_cpus() { # IPv4 IPv6
	local cpu pid pids=()

	for ((cpu = 0; cpu < cpus; cpu++)); do
		if (($1)); then
			ip netns exec "$a" taskset -c "$cpu" "$here/traffic.py" \
				flood 10.2.0.2 9 "$1" 100 &
			pids+=($!)
		fi
		if (($2)); then
			ip netns exec "$a" taskset -c "$cpu" "$here/traffic.py" \
				flood fd02::2 9 "$2" 301 &
			pids+=($!)
		fi
	done
	ip netns exec "$a" "$here/traffic.py" tcp 10.2.0.2 7 $((200000 / factor)) &
	pids+=($!)
	ip netns exec "$a" "$here/traffic.py" tcp fd02::2 7 $((200000 / factor)) &
	pids+=($!)
	for pid in "${pids[@]}"; do
		wait "$pid"
	done
}

# Every datagram comes to the application, and once
count_at() { # address datagrams
	(($2)) || return 0
	ip netns exec "$b" "$here/traffic.py" count "$1" 9 "$2" $((30 * factor)) >"$tmp/count-$1" &
	echo $! >"$tmp/count-$1.pid"
}

counted() { # address datagrams
	(($2)) || return 0
	wait "$(<"$tmp/count-$1.pid")"
	expect "datagrams to $1, doubles" "$(<"$tmp/count-$1")" "$2 0"
}

# shellcheck disable=SC2154 # on_the_wire has it
all_listen() {
	ip netns exec "$b" ss -Hlun >"$tmp/listen"
	{ ((!v4)) || grep -qF '10.2.0.2:9 ' "$tmp/listen"; } &&
		{ ((!v6)) || grep -qF '[fd02::2]:9 ' "$tmp/listen"; }
}

idle() {
	local before

	before=$(stat "$g2" 0x100 rx-packets)
	sleep 0.3
	expect "still" "$(stat "$g2" 0x100 rx-packets)" "$before"
}

on_the_wire() { # outer IPv4 IPv6 [words of the SA]
	local outer=$1 v4=$2 v6=$3 sent

	shift 3
	tunnel "$outer" $((2 * cpus)) "$@"
	record "$tmp/wire" "$g1" wan -Q out esp
	count_at 10.2.0.2 $((cpus * v4))
	count_at fd02::2 $((cpus * v6))
	wait_for 20 all_listen
	from_all_cpus "$v4" "$v6"
	counted 10.2.0.2 $((cpus * v4))
	counted fd02::2 $((cpus * v6))
	wait_for 10 idle

	sent=$(stat "$g1" 0x100 tx-packets)
	accepts "$g2" 0x100 "$sent"
	expect "drops on the sender" "$(drops "$g1" 0x100)" none
	expect "drops on the receiver" "$(drops "$g2" 0x100)" none
	recorded "$tmp/wire" "$sent"
	reference_sa "$outer" '1>2' >"$tmp/sa.json"
	"$reference/check_capture.py" --sa "$tmp/sa.json" --only --complete \
		--min-packets $((cpus * (v4 + v6))) --min-subspaces "$cpus" "$tmp/wire"
}

needs_cpus 4
sysctl -qw net.core.netdev_max_backlog=100000
gateways
for address in 10.2.0.2 fd02::2; do
	ip netns exec "$b" "$here/traffic.py" serve "$address" 7 &
	wait_for 20 ip netns exec "$a" "$here/traffic.py" udp "$address" 7 1
done

# More than 10,000 packets on one kernel
less=8
[[ ! $whole ]] || less=1
run "traffic of all CPUs in IPv4" on_the_wire 4 $((2000 / less)) $((600 / less))
run "traffic of all CPUs in IPv6" on_the_wire 6 0 $((100 / factor))
fastpath off
run "traffic of all CPUs in IPv4, fastpath off" on_the_wire 4 $((100 / factor)) 0
fastpath on
flush
finish
