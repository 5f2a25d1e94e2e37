#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 900
#
# What two gateways forward, in a guest: pktgen in a source, two gateways, a sink, in four
# namespaces over three veth links, all on the CPU that sends. run.sh beside this runs it.
#
# Packets of 64 octets with their Ethernet header, AES-128-GCM; clear, stock ESP and format
# esp64, in turn, ROUNDS times; what reaches the sink counts. Each result is a line as
# datapath.sh has it, with dir=fwd.
. "$(dirname "$0")/../selftests/lib.sh"

ROUNDS=${ROUNDS:-9}
packets=$([[ $KERNEL_NAME == *-uml ]] && echo 60000 || echo 15000)
target=10.2.0.9

# Lines of ip -batch; there are no packets the other way
stock() { # in|out
	echo "xfrm state add src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x100 reqid 1 mode tunnel" \
		"aead $aead $key1 128 $([[ $1 == out ]] || echo replay-window 32)"
}

configure() { # variant
	flush
	case $1 in
	stock)
		stock out | ip -n "$g1" -batch -
		stock in | ip -n "$g2" -batch -
		policies 4
		;;
	esp64)
		sa 4 '1>2' "$(nproc)"
		policies 4
		;;
	esac
}

mac() { # ns dev
	ip netns exec "$1" cat "/sys/class/net/$2/address"
}

pktgen() { # file word...
	ip netns exec "$a" bash -c "echo '${*:2}' >/proc/net/pktgen/$1"
}

# A device for each CPU that sends
senders() { # cpus
	local cpu dev word

	for ((cpu = 0; cpu < $(nproc); cpu++)); do
		pktgen "kpktgend_$cpu" rem_device_all
	done
	for ((cpu = 0; cpu < $1; cpu++)); do
		dev=lan@$cpu
		pktgen "kpktgend_$cpu" "add_device $dev"
		for word in "count $((packets / $1))" 'pkt_size 64' 'delay 0' "dst $target" \
			"dst_mac $(mac "$g1" lan)" 'udp_src_min 1000' 'udp_src_max 1000'; do
			pktgen "$dev" "$word"
		done
	done
}

arrived() {
	ip netns exec "$b" cat /sys/class/net/lan/statistics/rx_packets
}

# Sets pps, got
forward() {
	local before start

	before=$(arrived)
	start=${EPOCHREALTIME/./}
	pktgen pgctrl start
	# The last of them are still on their way: no more than a backlog
	got=$(($(arrived) - before))
	pps=$((got * 1000000 / (${EPOCHREALTIME/./} - start)))
}

measure() { # variant cpus round
	configure "$1"
	forward
	echo "= kernel=$KERNEL_NAME meter=pps dir=fwd variant=$1 alg=aes128 len=64 cpus=$2" \
		"round=$3 value=$pps packets=$packets arrived=$got"
}

modprobe -q -a pktgen aesni_intel xfrm_ext || true
gateways
ip -n "$g2" neigh replace "$target" lladdr "$(mac "$b" lan)" dev lan nud permanent
ip -n "$b" route add blackhole "$target"
for ((cpus = 1; cpus <= $(nproc); cpus *= 2)); do
	senders $cpus
	for ((round = 0; round <= ROUNDS; round++)); do
		for variant in clear stock esp64; do
			# The first round is for caches, and for what is translated
			measure $variant $cpus $round | sed '/round=0/d'
		done
	done
done
