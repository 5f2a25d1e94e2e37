#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 900
#
# What an SA's subspaces take, in a guest:
#
#   tools/testing/qemu/run.sh --kernel 6.1-cloud --raw tools/testing/bench/memory.sh
#
# For each number of receive subspaces and each window: octets by the SA's own account
# ("memory"), idle and with every subspace used once; and by the kernel's, as the
# difference of slab and vmalloc with 16 such SAs, or with one of which all is in use.
# The latter has in it whatever else the guest has done meanwhile.
. "$(dirname "$0")/../selftests/lib.sh"
. "$(dirname "$0")/../selftests/lib-wire.sh"

# Slab and vmalloc, in octets
kernel_memory() {
	sleep 1
	awk '$1 == "Slab:" || $1 == "VmallocUsed:" || $1 == "Percpu:" { n += $2 }
		END { print n * 1024 }' /proc/meminfo
}

receive() { # spi subspaces window
	ip -n "$g2" xfrm state add src 10.0.0.1 dst 10.0.0.2 proto esp spi "$1" reqid 1 \
		mode tunnel aead "$aead" "$key1" 128 \
		ext rx-subspaces "$2" window "$3" memory-max $((1 << 33))
}

measure() { # subspaces window
	local before idle=16 i one used all

	reference_sa 4 '1>2' >"$tmp/sa"
	before=$(kernel_memory)
	for ((i = 0; i < idle; i++)); do
		receive $((0x200 + i)) "$1" "$2"
	done
	one=$((($(kernel_memory) - before) / idle))
	ip -n "$g2" xfrm state flush
	# A guest has no memory for the largest, and the next takes long
	if (($1 > 1024 && $2 > 64)); then
		printf '# %8d %8d %12d %12d %12s %12s\n' "$1" "$2" $(($1 * 8)) "$one" - -
		return
	fi
	receive 0x100 "$1" "$2"
	expect "idle" "$(stat "$g2" 0x100 memory)" $(($1 * 8))
	before=$(kernel_memory)
	for ((i = 0; i < $1; i++)); do
		echo "valid $i 1"
	done | ip netns exec "$g1" "$reference/inject.py" --sa "$tmp/sa" --batch \
		--inner udp:10.1.0.1:1000:10.2.0.1:9:8 >"$tmp/sent"
	expect "used" "$(stat "$g2" 0x100 rx-packets)" "$1"
	used=$(($(kernel_memory) - before))
	all=$(stat "$g2" 0x100 memory)
	ip -n "$g2" xfrm state flush
	printf '# %8d %8d %12d %12d %12d %12d\n' "$1" "$2" $(($1 * 8)) "$one" "$all" "$used"
}

sysctl -qw net.core.netdev_max_backlog=100000
modprobe xfrm_ext
pair
echo "#                             idle, octets         all in use, octets"
echo "# subspaces window         itself    kernel's*       itself     kernel's"
for n in 1 8 64 1024 65536; do
	for w in 64 1024 65536; do
		run "$n subspaces, window $w" measure $n $w
	done
done
echo "# * of an SA as a whole, its state and transform included"
finish
