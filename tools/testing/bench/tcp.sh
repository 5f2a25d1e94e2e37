#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 3600
#
# TCP end to end, in a guest with --icount: two hosts in two namespaces, a veth link, tunnel
# mode, AES-128-GCM. run.sh beside this runs it; Documentation/bench.rst describes it.
#
#   what a segment costs    one flow, $MIB MiB by iperf3, both ends on the one CPU: which never
#                           idles, so that nanoseconds are instructions. Clear, stock ESP and
#                           format esp64, without esp4_offload and with it (*-offload), in
#                           turn, ROUNDS times
#   what is sent again      16 flows into a queue of 12 packets, 20 Mbit/s, 6 seconds of the
#                           guest's clock: by an extended SA's own path, by the kernel's
#                           (fastpath=N), and by stock ESP
#
# Each result is a line as datapath.sh has it: dir=tcp, value the instructions for each 1,000
# octets of payload; dir=retrans, value the segments sent again of packets segments.
. "$(dirname "$0")/../selftests/lib.sh"

ROUNDS=${ROUNDS:-3} MIB=${MIB:-8}
fastpath=/sys/module/xfrm_ext/parameters/fastpath

bail() {
	echo "Bail out! $*"
	exit 1
}

# Lines of ip -batch: both SAs at an end
stock() { # 1|2
	local window=(replay-window\ 32 '')

	echo "xfrm state add src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x100 reqid 1 mode tunnel" \
		"aead $aead $key1 128 ${window[2 - $1]}"
	echo "xfrm state add src 10.0.0.2 dst 10.0.0.1 proto esp spi 0x200 reqid 2 mode tunnel" \
		"aead $aead $key2 128 ${window[$1 - 1]}"
}

configure() { # variant
	local n

	flush
	case $1 in
	clear*) return ;;
	stock*)
		for n in 1 2; do
			stock $n | ip -n "$(ns_of $n)" -batch -
		done
		;;
	esp64*)
		sa 4 '1>2' 1
		sa 4 '2>1' 1
		;;
	esac
	policies 4
}

# ESP passes on the link, or nothing but what is clear
carried() { # variant packets
	local n

	[[ $1 != clear* ]] || return 0
	n=$(ip -n "$g1" -s xfrm state | grep -o '[0-9]*(packets)' | tr -dc '0-9\n' | sort -n | tail -n 1)
	((n >= $2)) || bail "$1: $n packets through the SA"
}

say() { # dir variant round value packets
	echo "= kernel=$KERNEL_NAME meter=insn dir=$1 variant=$2 alg=aes128 len=0 cpus=1 round=$3" \
		"value=$4 packets=$5 arrived=$5"
}

server() { # word...
	ip netns exec "$g2" iperf3 -s "$@" >"$tmp/server" 2>&1 &
	wait_for 10 listening
}

listening() {
	ip netns exec "$g2" ss -Hltn 'sport = 5201' | grep -q .
}

client() { # word...
	ip netns exec "$g1" iperf3 -c 10.2.0.1 -B 10.1.0.1 --json "$@" >"$tmp/client" ||
		bail "iperf3: $(<"$tmp/client")"
}

# Of what iperf3 has received
result() { # expression
	python3 -c "import json, sys
r = json.load(open('$tmp/client'))['end']['sum_received']
print($1)"
}

# Hundredths of a second in which the CPU had nothing to do
idle() {
	awk '$1 == "cpu" { print $5 + $6 }' /proc/stat
}

transfer() { # variant round
	local idle again

	configure "$1"
	server -1
	idle=$(idle) again=$(counter RetransSegs)
	client -n "${MIB}M"
	echo "# $1: $(result "round(r['seconds'], 3)") s, idle for $(($(idle) - idle)) ticks of 0.01 s," \
		"$(($(counter RetransSegs) - again)) segments sent again"
	wait
	# What iperf3 sends at once, at least
	carried "$1" $((MIB * 8))
	[[ $2 == 0 ]] || say tcp "$1" "$2" \
		"$(result "round(r['seconds'] * 1e9 / r['bytes'] * 1000)")" "$(result "r['bytes']")"
}

transfers() { # first-round last-round variant...
	local round variant

	for ((round = $1; round <= $2; round++)); do
		for variant in "${@:3}"; do
			transfer "$variant" $round
		done
	done
}

counter() { # name
	ip netns exec "$g1" cat /proc/net/snmp | awk -v name="$1" '
		$1 != "Tcp:" { next }
		n { for (i = 2; i <= n; i++) if (names[i] == name) print $i }
		{ n = split($0, names) }'
}

# Sets sent, again
crowd() {
	again=$(counter RetransSegs) sent=$(counter OutSegs)
	client -P 16 -t 6
	again=$(($(counter RetransSegs) - again)) sent=$(($(counter OutSegs) - sent))
}

queue_dropped() {
	tc -n "$g1" -s qdisc show dev wan | sed -n 's/.*dropped \([0-9]*\).*/\1/p' | head -n 1
}

full_queue() { # round
	local path drops

	for path in own kernel stock; do
		[[ $path != kernel ]] || echo N >$fastpath
		configure "$([[ $path == stock ]] && echo stock || echo esp64)"
		server -1
		drops=$(queue_dropped)
		crowd
		wait
		echo Y >$fastpath
		drops=$(($(queue_dropped) - drops))
		((drops)) || bail "$path: the queue was not full"
		[[ $1 == 0 ]] || say retrans $path "$1" $again $sent
		echo "# $path: $again of $sent segments sent again, the queue dropped $drops," \
			"$(result "round(r['bits_per_second'] / 1e6, 2)") Mbit/s"
	done
}

modprobe -q aesni_intel || true
modprobe xfrm_ext
pair
# With what is built in there is no without
if [[ $(modinfo -F filename esp4_offload) == *.ko* ]]; then
	transfers 0 "$ROUNDS" clear stock esp64
	modprobe esp4_offload || bail 'no esp4_offload'
fi
transfers 0 "$ROUNDS" clear-offload stock-offload esp64-offload
tc -n "$g1" qdisc add dev wan root netem rate 20mbit limit 12
for ((round = 0; round <= ROUNDS; round++)); do
	full_queue $round
done
