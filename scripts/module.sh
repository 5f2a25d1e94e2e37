#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Build xfrm_ext.ko for a kernel, xfrm_ext_bench.ko, which nobody loads but "make bench",
# and xfrm_ext_kunit.ko too if it has KUnit.
#
#   module.sh NAME      NAME as in kernel.sh; prints the directory of the .ko files
#   module.sh --sparse NAME
#                       the same in a directory of its own, every file run through
#                       sparse, whose warnings about our files are errors
#
# The build runs in a copy in the cache, incrementally; the tree stays clean. Any
# warning (W=1) is an error.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

usage="usage: module.sh [--sparse] NAME"
sparse=
if [[ ${1-} == --sparse ]]; then
	sparse=-sparse
	shift
fi
name=${1:?$usage}
answer=$("$ROOT/scripts/kernel.sh" "$name")
eval "$answer"
: "${kdir:?}" "${arch:?}"

# One directory per source tree and kernel build: nothing of another's is reused.
key=$(echo "$ROOT $kdir" | hash_of)
build=$CACHE/build/$name$sparse-$key
logfile=$CACHE/logs/module-$name$sparse-$key.log
lock "build-$name$sparse-$key"
mkdir -p "$build"

for file in Makefile Kbuild; do
	[[ -e $ROOT/$file ]] || die "no $file in $ROOT"
done
# What the build makes is neither sent, should the tree have been built in, nor
# deleted.
rsync -a --relative --delete --delete-missing-args \
	--exclude='*.o' --exclude='*.ko' --exclude='*.mod' --exclude='*.mod.c' --exclude='.*.cmd' \
	--exclude='*.a' --exclude=modules.order --exclude=Module.symvers \
	"$ROOT"/./{Makefile,Kbuild,net,include,tools/testing/{kunit,bench}} "$build/" >&2

args=(-C "$kdir" "M=$build" "ARCH=$arch" "-j$(nproc)" W=1 KCFLAGS=-Werror
	CONFIG_DEBUG_INFO_BTF_MODULES= BENCH=1)
! grep -qx CONFIG_KUNIT=y "$kdir/.config" || args+=(KUNIT=1)
if [[ $sparse ]]; then
	args+=(C=2 'CF=-D__CHECK_ENDIAN__')
	# C=2 checks what is compiled, and all of it shall be
	find "$build" -name '*.o' -delete
fi

rc=0
quietly "$logfile" make "${args[@]}" modules || rc=$?
# modpost and sparse warn without failing. Headers of the kernel are not ours.
if ((!rc)) && grep -E '^WARNING: |warning: ' "$logfile" | grep -vE "^(/usr/src|$CACHE/kernels)/" >&2; then
	log "--- warnings, see $logfile"
	rc=1
fi
if ((rc)); then
	find "$build" -name '*.ko' -delete
	exit 1
fi
echo "$build"
