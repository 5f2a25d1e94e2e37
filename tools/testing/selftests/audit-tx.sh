#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# kernels: 6.1-cloud 7.3-uml
# append: audit=1
#
# RFC 4303 section 3.3.3: a packet that would make the sequence number cycle is written to the
# audit log. For an extended SA, by either path, the same words as for a plain one.
. "$(dirname "$0")/lib.sh"

# What the kernel has said of it, without the time. Nobody takes records here, so that
# they come to the kernel's log
records() {
	dmesg | sed -n 's/.*\(op=SA-replay-overflow .*\)/\1/p'
}

count_is() { # number
	[[ $(records | wc -l) == "$1" ]]
}

# An SA with one number left, which is sent; and three packets more
exhaust() { # 4|6 mode words...
	local o1 o2 i1=10.1.0.1 i2=10.2.0.1 before

	outer "$1"
	[[ $1 == 4 ]] || i1=fd01::1 i2=fd02::1
	[[ $2 != transport ]] || i1=$o1 i2=$o2
	flush
	mode_lines "$2" out 0x100 1 "$key1" "$i1" "$i2" "$o1" "$o2" "${*:3}" | ip -n "$g1" -batch -
	before=$(records | wc -l)
	expect "what programs are told" \
		"$(ip netns exec "$g1" "$here/results.py" send "$i2" 4)" \
		'ok EOVERFLOW EOVERFLOW EOVERFLOW'
	wait_for 10 count_is $((before + 3))
	records | tail -n 3 >"$tmp/now"
}

same() { # 4|6 mode
	local path

	exhaust "$1" "$2" replay-oseq 0xfffffffe
	cp "$tmp/now" "$tmp/plain"
	echo "# $(head -n 1 "$tmp/plain")"
	grep -q 'spi=256(0x100)' "$tmp/plain"
	for path in on off; do
		fastpath "$path"
		exhaust "$1" "$2" ext tx-subspaces 1 tx-start $(((1 << 48) - 1))
		diff "$tmp/plain" "$tmp/now"
		exhaust "$1" "$2" ext format eesp tx-subspaces 1 tx-start $(((1 << 48) - 1))
		diff "$tmp/plain" "$tmp/now"
	done
}

# A packet that nobody sent has nobody's header but the SA's
dummy() { # 4|6
	local o1 o2 before

	outer "$1"
	exhaust "$1" tunnel ext tx-subspaces 1 tx-start $(((1 << 48) - 1))
	before=$(records | wc -l)
	refused 'dropped' ip -n "$g1" xfrm ext dummy dst "$o2" spi 0x100
	wait_for 10 count_is $((before + 1))
	expect "record" "$(records | tail -n 1)" "$(head -n 1 "$tmp/now")"
}

# All that is asked for is in the log, however fast it comes
sysctl -qw kernel.printk_ratelimit=0
modprobe xfrm_ext
pair_acquainted
# A record tells the flow label, which else is every socket's own
ip netns exec "$g1" sysctl -qw net.ipv6.auto_flowlabels=0
for family in 4 6; do
	for mode in tunnel transport; do
		run "an exhausted SA in the audit log, $mode IPv$family" same $family $mode
	done
	run "a dummy packet of one, IPv$family" dummy $family
done
fastpath on
flush
finish
