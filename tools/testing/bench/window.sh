#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What a window costs per packet, in a process on this machine, and what it would
# cost with a spinlock. Figures to compare with each other; nothing is judged.
#
#   window.sh [CPUS]    1, 2, 4 ... up to CPUS, default: all
#
# Each packet is looked at, "enciphered" and accepted. All CPUs deliver numbers of
# one subspace:
#   order    in bursts of 64, in order
#   reorder  the same, up to 511 numbers out of order
#   spray    neighbouring numbers on different CPUs
# work is for how many turns of a loop the cipher lasts: 0, nobody does anything but
# windows; 400, about what AES-GCM takes for a small packet. Then, in nanoseconds per
# packet and CPU, the median of undisturbed rounds, the variants taking turns:
#   locked   a ring of RFC 6479 under a spinlock
#   free     net/xfrm_ext/window.c
#   counting the same, and one atomic addition per packet to count it
# and the last two as parts of the first; the rounds that counted; and the packets
# refused (left of a window, because a CPU was slow).
#
# As root it runs with real-time priority, for some seconds.
set -euo pipefail

here=$(realpath "$(dirname "$0")")
source=$here/../../../net/xfrm_ext
tmp=$(mktemp -d "${TMPDIR:-/tmp}/xfrm_ext.XXXXXX")
trap 'rm -rf "$tmp"' EXIT

# shim.h stands for all of them
mkdir "$tmp/linux"
sed -n 's,^#include <\(linux/.*\)>,\1,p' "$source"/window.[ch] |
	while read -r header; do
		: >"$tmp/$header"
	done
gcc -O2 -Wall -Werror -pthread -D_GNU_SOURCE -I "$tmp" -include "$here/shim.h" \
	-D'____cacheline_aligned_in_smp=__attribute__((aligned(64)))' \
	-o "$tmp/window" "$source/window.c" "$here/window.c"
[[ ${1-} == --build ]] || "$tmp/window" "${1:-$(nproc)}"
