#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# kernels: 6.1-debug
#
# Every allocation fails once: while an SA is made, which then is there as it was asked
# for or not at all; and while packets are sent, which then are counted and nothing else
# goes out in their place. And there is no memory for windows: nothing is accepted without.
# (That nothing leaks, the guest looks at in the end.)
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-wire.sh"

made() {
	ip netns exec "$g1" "$here/failing.py" make 10.0.0.9 | tee "$tmp/out"
	# Some have failed for it
	grep -Eq "errno (12|105)|ENOMEM|ENOBUFS" "$tmp/out"
	expect "states" "$(ip -n "$g1" xfrm state)" ''
	wait_for 20 unused
}

sent() { # fastpath
	local lost

	fastpath "$1"
	flush
	policies 4
	ip -n "$g1" xfrm state add src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x100 reqid 1 \
		mode tunnel flag af-unspec aead "$aead" "$key1" 128 ext tx-subspaces 1024 select mark
	ip -n "$g2" xfrm state add src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x100 reqid 1 \
		mode tunnel flag af-unspec aead "$aead" "$key1" 128 ext rx-subspaces 1024
	record_out "$tmp/pcap" "$g1" wan
	ip netns exec "$g1" "$here/failing.py" send 10.2.0.1 250
	record_end "$tmp/pcap" "$g1" 10.0.0.2
	lost=$(drops "$g1" 0x100)
	echo "# $lost"
	[[ $lost =~ ^tx-nomem\ [0-9]+$ ]]
	reference_sa 4 '1>2' >"$tmp/sa"
	"$reference/check_capture.py" --sa "$tmp/sa" --only --min-packets 100 "$tmp/pcap"
	expect "clear packets" "$(clear_packets "$tmp/pcap")" ''
	expect "packets" "$(stat "$g2" 0x100 rx-packets)" "$(stat "$g1" 0x100 tx-packets)"
}

failslab=/sys/kernel/debug/failslab

fails() { # parameter value...
	while (($#)); do
		echo "$2" >"$failslab/$1"
		shift 2
	done
}

mib_of() { # fastpath
	case $1 in
	on) mib "$g2" XfrmInError ;;
	off) mib "$g2" XfrmInStateProtoError ;;
	esac
}

# The ring of a window of 16,384 is 8,192 octets, asked for by the first authentic packet,
# which cannot wait. So many octets may be had without waiting for each packet, and the
# first request that they are not more than fails: nothing else is as large. (Starting a
# program would use them up: the sender is one that waits.)
windowless() { # fastpath
	local n left before

	fastpath "$1"
	flush
	policies 4
	sa 4 '2>1' 4
	sa_line tx 4 '1>2' 16 | sed 's/$/ select mark/' | ip -n "$g1" -batch -
	# The sender has its counters, and has said so, before there is a receiver
	all_subspaces
	WINDOW=16384 sa_line rx 4 '1>2' 16 | ip -n "$g2" -batch -
	before=$(mib_of "$1")
	fails ignore-gfp-wait Y probability 100
	refused=()
	for ((n = 0; n < 16 && ${#refused[@]} < 5; n++)); do
		fails space 8192 times 1
		echo "10.2.0.1 0 0 $n 1000 1" >&"$marked_in"
		echo >&"$marked_in"
		read -r -t $((20 * factor)) <&"$marked_out"
		read -r left <"$failslab/space"
		fails times 0
		# If something else was as large, that had it, and the packet its window
		wait_for 10 counted $((n + 1))
		[[ $(stat "$g2" 0x100 rx-nomem-window) == "${#refused[@]}" ]] || refused+=("$n")
	done
	fails probability 0 times 1 space 0 ignore-gfp-wait N
	echo "# ${#refused[@]} of $n; $left octets were left"
	expect "refused" "${#refused[@]}" 5
	expect "drops" "$(drops "$g2" 0x100)" 'rx-nomem-window 5'
	expect "accepted" "$(stat "$g2" 0x100 rx-packets)" $((n - 5))
	expect "in xfrm_stat" $(($(mib_of "$1") - before)) 5
	for n in "${refused[@]}"; do
		expect "window of $n" "$(subspace "$g2" 0x100 rx "$n" highest)" ''
	done
	# And the next ones find it as it was
	n=$(stat "$g2" 0x100 rx-packets)
	all_subspaces
	accepts "$g2" 0x100 $((n + 16))
	expect "drops" "$(drops "$g2" 0x100)" 'rx-nomem-window 5'
	expect "windows" "$(block "$g2" 0x100 -s | grep -c 'rx-subspace ')" 16
}

all_subspaces() {
	printf '0 0 %d 1000 1\n' {0..15} | datagrams 10.2.0.1
}

counted() { # packets
	(($(stat "$g2" 0x100 rx-packets) + $(stat "$g2" 0x100 rx-nomem-window) == $1))
}

# An allocation that failed has no part in a namespace's account either
given_back() {
	wait_for 10 netns_empty "$g1" || expect "account" "$(netns_memory "$g1")" 0
	wait_for 10 netns_empty "$g2" || expect "account" "$(netns_memory "$g2")" 0
}

modprobe xfrm_ext
pair
marked_open "$g1"
fails ignore-gfp-wait N verbose 0
run "while an SA is made" made
for path in on off; do
	fails ignore-gfp-wait N probability 0
	run "while packets are sent, fastpath $path" sent $path
done
fails ignore-gfp-wait N probability 0
# The receiver's own path takes the same way from there
run "no memory for windows" windowless on
fails ignore-gfp-wait Y
fastpath on
flush
run "all that was taken has been given back" given_back
finish
