#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Build xfrm-ext-steer (tools/steer), the program that sends the packets of each subspace
# to a CPU of its own.
#
#   steer.sh                    build if need be; print a directory in which it is at the
#                               path where it belongs
#   steer.sh --install PREFIX   ... and copy it to PREFIX (default /opt/xfrm_ext)
#
#   CC, CFLAGS, LDFLAGS     as usual; CLANG for what runs in the kernel
set -euo pipefail
. "$(dirname "$0")/lib.sh"

SRC=$ROOT/tools/steer
dir=$CACHE/steer-$(cat "$0" "$SRC"/*.[chS] "$ROOT/include/uapi/linux/xfrm_ext.h" | hash_of)

build() {
	local include

	mkdir -p "$1/usr/sbin"
	# The kernel's headers for this machine; there are none for BPF
	include=/usr/include/$(dpkg-architecture -qDEB_HOST_MULTIARCH)
	"${CLANG:-clang}" -O2 -g -Wall -Werror -target bpf -I"$include" \
		-c "$SRC/steer.bpf.c" -o "$1/steer.bpf.o"
	# shellcheck disable=SC2086 # words
	"${CC:-gcc}" ${CFLAGS:--O2 -g} -Wall -Wextra -Werror -DSTEER_OBJECT="\"$1/steer.bpf.o\"" \
		"$SRC/steer.c" "$SRC/object.S" -o "$1/usr/sbin/xfrm-ext-steer" ${LDFLAGS-} -lbpf -lmnl
	rm "$1/steer.bpf.o"
}

if [[ ${1-} == --build ]]; then
	# In a shell of its own, where errexit holds
	build "$2"
	exit
fi

if [[ ! -e $dir ]]; then
	lock steer
fi
if [[ ! -e $dir ]]; then
	rm -rf "$dir.tmp"
	quietly "$CACHE/logs/build-steer.log" "$0" --build "$dir.tmp" || die "cannot build xfrm-ext-steer"
	mv "$dir.tmp" "$dir"
fi
if [[ ${1-} == --install ]]; then
	install -D -m 755 "$dir/usr/sbin/xfrm-ext-steer" "${2:-/opt/xfrm_ext}/sbin/xfrm-ext-steer"
	echo "${2:-/opt/xfrm_ext}"
else
	echo "$dir"
fi
