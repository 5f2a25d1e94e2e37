#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Build xfrm-ext (tools/xfrm-ext), the tool for extended SAs that works beside the system's ip.
#
#   xfrm-ext.sh                    build if need be; print a directory in which it is at the
#                                  path where it belongs
#   xfrm-ext.sh --install PREFIX   ... and copy it to PREFIX (default /opt/xfrm_ext)
#
# There is a second one for the tests, usr/lib/xfrm-ext/xfrm-ext-newer: the same of a header that
# has a command and an attribute which no module knows yet.
#
#   CC, CFLAGS, LDFLAGS     as usual
set -euo pipefail
. "$(dirname "$0")/lib.sh"

SRC=$ROOT/tools/xfrm-ext
HEADER=$ROOT/include/uapi/linux/xfrm_ext.h
dir=$CACHE/xfrm-ext-$(cat "$0" "$SRC"/*.[ch] "$SRC"/host/*.[ch] "$SRC"/xfrm-ext.{8,bash} "$HEADER" |
	hash_of)

compile() { # headers sources output
	# shellcheck disable=SC2086 # words
	"${CC:-gcc}" ${CFLAGS:--O2 -g} -D_GNU_SOURCE -Wall -Wextra -Werror -Wno-unused-parameter \
		-Wno-sign-compare -Wno-missing-field-initializers -I"$1" -I"$2/host" -I"$2" \
		"$2"/*.c "$2"/host/*.c -o "$3" ${LDFLAGS-} -lmnl
}

build() {
	mkdir -p "$1/usr/sbin" "$1/usr/lib/xfrm-ext" "$1/newer/linux"
	compile "$ROOT/include/uapi" "$SRC" "$1/usr/sbin/xfrm-ext"
	# Two of each get numbers that no module has; what is behind them keeps its own.
	# So does a flag; and there is a format more
	sed 's/XFRM_EXT_SA_F_ECHO = 1 << 6/XFRM_EXT_SA_F_ECHO = 1 << 20/
		s/XFRM_EXT_CMD_DUMMY,/XFRM_EXT_CMD_DUMMY = 98,/; s/XFRM_EXT_CMD_FIRST_USE,/XFRM_EXT_CMD_FIRST_USE = 7,/
		s/XFRM_EXT_CMD_RULE_GET,/XFRM_EXT_CMD_RULE_GET = 99,/
		s/XFRM_EXT_CMD_RULE_REFUSED,/XFRM_EXT_CMD_RULE_REFUSED = 16,/
		s/^\t__XFRM_EXT_CMD_MAX/& = 100/
		s/XFRM_EXT_A_WINDOW,/XFRM_EXT_A_WINDOW = 199,/; s/XFRM_EXT_A_MEMORY_MAX,/XFRM_EXT_A_MEMORY_MAX = 21,/
		s/^\t__XFRM_EXT_A_MAX/& = 200/' \
		"$HEADER" >"$1/newer/linux/xfrm_ext.h"
	cp -r "$SRC" "$1/newer/src"
	sed -i 's/\[XFRM_EXT_FORMAT_EESP\] = "eesp",/& "later",/' "$1/newer/src/xfrm_ext_words.c"
	compile "$1/newer" "$1/newer/src" "$1/usr/lib/xfrm-ext/xfrm-ext-newer"
	rm -r "$1/newer"
	install -D -m 644 "$SRC/xfrm-ext.8" "$1/usr/share/man/man8/xfrm-ext.8"
	install -D -m 644 "$SRC/xfrm-ext.bash" "$1/usr/share/bash-completion/completions/xfrm-ext"
}

if [[ ${1-} == --build ]]; then
	# In a shell of its own, where errexit holds
	build "$2"
	exit
fi
[[ ! ${1-} || ( $1 == --install && $# -le 2 ) ]] || die "usage: xfrm-ext.sh [--install [PREFIX]]"

if [[ ! -e $dir ]]; then
	lock xfrm-ext
fi
if [[ ! -e $dir ]]; then
	rm -rf "$dir.tmp"
	quietly "$CACHE/logs/build-xfrm-ext.log" "$0" --build "$dir.tmp" || die "cannot build xfrm-ext"
	mv "$dir.tmp" "$dir"
fi
if [[ ${1-} == --install ]]; then
	prefix=${2:-/opt/xfrm_ext}
	install -D -m 755 "$dir/usr/sbin/xfrm-ext" "$prefix/sbin/xfrm-ext"
	install -D -m 644 -t "$prefix/share/man/man8" "$dir/usr/share/man/man8/xfrm-ext.8"
	install -D -m 644 -t "$prefix/share/bash-completion/completions" \
		"$dir/usr/share/bash-completion/completions/xfrm-ext"
	echo "$prefix"
else
	echo "$dir"
fi
