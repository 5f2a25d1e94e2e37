#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# kernels: 6.1-debug
# timeout: 120
#
# Every allocation fails once: while an SA is made, which then is there as it was asked
# for or not at all; and while packets are sent, which then are counted and nothing else
# goes out in their place. (That nothing leaks, the guest looks at in the end.)
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-wire.sh"

made() {
	ip netns exec "$g1" "$here/failing.py" make 10.0.0.9 | tee "$tmp/out"
	# Some have failed for it
	grep -Eq "errno (12|105)|ENOMEM|ENOBUFS" "$tmp/out"
	expect "states" "$(ip -n "$g1" xfrm state)" ''
	expect "references" "$(</sys/module/xfrm_ext/refcnt)" 0
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

dir=/sys/kernel/debug/failslab
modprobe xfrm_ext
pair
echo N >$dir/ignore-gfp-wait
echo 0 >$dir/verbose
run "while an SA is made" made
for path in on off; do
	run "while packets are sent, fastpath $path" sent $path
done
echo Y >$dir/ignore-gfp-wait
fastpath on
flush
finish
