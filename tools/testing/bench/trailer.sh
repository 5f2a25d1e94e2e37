#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What the placement of the trailer costs per packet, in a process on this machine.
# Figures to compare with each other; nothing is judged.
#
#   trailer.sh [MIB]    packets in so many MiB of memory, default: 512 or four times the
#                       last-level cache, whichever is more
#
# The packets lie at random places. Those of a burst of 64 are prepared; then the time is
# taken for all of them together:
#   receive  find the payload, as input.c does, with xe_trailer_parse(); the length of one
#            packet must be known before the next can begin (chain), or not (stream)
#   send     write the trailer with xe_trailer_build(); each packet's writes must be seen
#            before the next begins, as if a doorbell was rung (chain), or not (stream)
# The header, from ESP's to the 40th octet of the payload, is in the nearest cache. The
# last two lines of the packet are
#   hot      in the nearest cache
#   llc      in the last-level cache, if that is one of its own: as behind a DMA that ends
#            there, or a cipher that ran long ago or on another CPU
#   cold     in memory
# "ahead" is "end" with the tail prefetched 16 packets ahead, as a driver can do it; "none"
# reads the first octet of the header and leaves the trailer out. In nanoseconds
# per packet, the median of rounds, the variants taking turns; octets are of payload.
#
# As root it runs with real-time priority, for some seconds.
set -euo pipefail

here=$(realpath "$(dirname "$0")")
source=$here/../../../net/xfrm_ext
tmp=$(mktemp -d "${TMPDIR:-/tmp}/xfrm_ext.XXXXXX")
trap 'rm -rf "$tmp"' EXIT

# shim.h stands for all of them but the one that uapi headers have here, too
mkdir "$tmp/linux"
sed -n 's,^#include <\(linux/.*\)>,\1,p' "$source"/trailer.[ch] |
	while read -r header; do
		[[ $header == linux/types.h ]] || : >"$tmp/$header"
	done
gcc -O2 -Wall -Werror -D_GNU_SOURCE -DXFRM_EXT_COMPAT_H -I "$tmp" -include "$here/shim.h" \
	-o "$tmp/trailer" "$source/trailer.c" "$here/trailer.c"
[[ ${1-} == --build ]] || "$tmp/trailer" "${1:-0}"
