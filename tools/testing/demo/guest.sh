#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 170
#
# The demonstration's first scene, inside the guest; demo.sh starts it. An extended SA
# over two paths, and stock SAs.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# A tunnel's route looks at the packet's mark only if the SA has an output mark; this
# one leaves the bits alone that choose the path.
paths=(output-mark 0x100 mask 0x100)

# One serves one SA, once
new_key() {
	printf -v key '%08x' "$SRANDOM" "$SRANDOM" "$SRANDOM" "$SRANDOM" "$SRANDOM"
	key=0x$key
}

sa() { # g1 words | g2 words
	ip -n "$1" xfrm state add src 192.0.2.1 dst 192.0.2.2 proto esp spi 0x100 reqid 1 \
		mode tunnel aead 'rfc4106(gcm(aes))' "$key" 128 "${@:2}"
}

policy() {
	ip -n g1 xfrm policy add src 10.1.0.1 dst 10.2.0.1 dir out \
		tmpl src 192.0.2.1 dst 192.0.2.2 proto esp reqid 1 mode tunnel
	ip -n g2 xfrm policy add src 10.1.0.1 dst 10.2.0.1 dir in \
		tmpl src 192.0.2.1 dst 192.0.2.2 proto esp reqid 1 mode tunnel
}

# What g2's windows have accepted, while it happens
moving() { # file that ends it
	while [[ -e $1 ]]; do
		sleep 1
		ip -n g2 -s xfrm state list nokeys | awk '
			$1 == "rx-subspace" { line = line sprintf("  %s: %d", $2, $6) }
			END { if (line) print "  accepted by subspace" line }'
	done
}

say "Kernel $(uname -r), Debian's own, no patch. $(nproc) CPUs. The module comes by itself when ip asks for it:"
show ip xfrm ext capabilities

new_key
say "One extended SA: a transmit subspace per CPU on g1, a window for each on g2"
show ip -n g1 xfrm state add src 192.0.2.1 dst 192.0.2.2 proto esp spi 0x100 reqid 1 \
	mode tunnel aead 'rfc4106(gcm(aes))' "$key" 128 "${paths[@]}" ext tx-subspaces 4
show ip -n g2 xfrm state add src 192.0.2.1 dst 192.0.2.2 proto esp spi 0x100 reqid 1 \
	mode tunnel aead 'rfc4106(gcm(aes))' "$key" 128 ext rx-subspaces 4 window 1024
policy

say "4 x $packets packets, sent by 4 CPUs at once over two paths (1 ms and $delay ms)
4 x $rate packets per second: path B falls $behind packets behind"
measure "extended SA, 4 subspaces, windows of 1024" moving
show ip -n g2 -s xfrm state list nokeys | sed -n '/\$ ip/p; /ext format/,/drops/p'
ip -n g1 xfrm state flush
ip -n g2 xfrm state flush

say "The same traffic through stock SAs ..."
new_key
sa g1 replay-window 32 "${paths[@]}"
sa g2 replay-window 32
measure "stock SA, window of 32 (the usual)"
ip -n g1 xfrm state flush
ip -n g2 xfrm state flush
new_key
sa g1 flag esn replay-window 4096 "${paths[@]}"
sa g2 flag esn replay-window 4096
measure "stock SA, window of 4096 (the most it can)"

side_by_side
echo "(\"as replay\" with 4096: stock takes a number left of that window for one of the next
2^32, and the packet fails authentication)"
echo
