#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Steps of rates by the kernel's own packet generator, for Documentation/bench-hardware.rst:
# UDP out of one port, what comes back is counted at another. Root.
#
#   pktgen.sh OUT IN WEST-MAC RATE...
#
#   OUT, IN         the port to west, the one to east
#   WEST-MAC        of west's device on that side
#   RATE            packets per second of all flows together, as in 500k or 2.5M
#   $FLOWS          how many, 1 if not said: a CPU sends each
#   $SIZE           octets of a frame without its checksum, 60 if not said
#   $SECONDS_EACH   10 if not said; $RUNS 5
#
# A line for each run: flows, octets, rate asked, packets sent, come back, per second of
# these, and how many of 100 were lost.
set -euo pipefail

(($# >= 4)) || {
	sed -n 's/^#   \(pktgen.sh .*\)/usage: \1/p' "$0" >&2
	exit 2
}
out=$1 in=$2 mac=$3
shift 3
FLOWS=${FLOWS:-1} SIZE=${SIZE:-60} SECONDS_EACH=${SECONDS_EACH:-10} RUNS=${RUNS:-5}
[[ -d /proc/net/pktgen ]] || modprobe pktgen

number() { # as in 2.5M
	awk -v n="$1" 'BEGIN {
		if (n !~ /^[0-9]+([.][0-9]+)?[kM]?$/) exit 1
		print int(n * (n ~ /k$/ ? 1000 : n ~ /M$/ ? 1000000 : 1)) }'
}

tell() { # file word...
	echo "${*:2}" >"/proc/net/pktgen/$1"
}

devices_gone() {
	local file

	for file in /proc/net/pktgen/kpktgend_*; do
		tell "${file##*/}" rem_device_all
	done
}

# Each by a CPU, from an address and a port of its own: a NIC's hash tells them apart
flows() { # rate
	local n word each=$(($1 / FLOWS))

	devices_gone
	for ((n = 0; n < FLOWS; n++)); do
		tell "kpktgend_$n" add_device "$out@$n"
		for word in "count $((each * SECONDS_EACH))" "ratep $each" 'clone_skb 0' \
			"pkt_size $SIZE" "dst_mac $mac" "src_min 198.18.1.$((n + 1))" \
			"src_max 198.18.1.$((n + 1))" "dst_min 198.19.1.$((n + 1))" \
			"dst_max 198.19.1.$((n + 1))" "udp_src_min $((1024 + n))" \
			"udp_src_max $((1024 + n))" 'udp_dst_min 9' 'udp_dst_max 9'; do
			tell "$out@$n" "$word"
		done
	done
}

received() {
	cat "/sys/class/net/$in/statistics/rx_packets"
}

sent() {
	local n all=0 some

	for ((n = 0; n < FLOWS; n++)); do
		some=$(awk '/^ *pkts-sofar:/ { print $2 }' "/proc/net/pktgen/$out@$n")
		all=$((all + some))
	done
	echo $all
}

# The last ones are on their way for a moment
settled() {
	local now before

	now=$(received)
	while sleep 0.2; do
		before=$now
		now=$(received)
		((now != before)) || break
	done
	echo "$now"
}

trap devices_gone EXIT
echo 'flows octets rate sent received received-pps lost-percent'
for rate; do
	asked=$(number "$rate") || {
		echo "$rate is no rate" >&2
		exit 2
	}
	for ((run = 0; run < RUNS; run++)); do
		flows "$asked"
		before=$(settled)
		start=${EPOCHREALTIME/./}
		tell pgctrl start
		took=$((${EPOCHREALTIME/./} - start))
		got=$(($(settled) - before)) gave=$(sent)
		awk -v f="$FLOWS" -v o="$SIZE" -v r="$asked" -v s="$gave" -v g="$got" -v us="$took" \
			'BEGIN { printf "%d %d %d %d %d %.0f %.3f\n", f, o, r, s, g, g / us * 1e6, (s - g) / s * 100 }'
	done
done
