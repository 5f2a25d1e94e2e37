#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Build xfrm_ext.ko for a kernel, xfrm_ext_bench.ko, which nobody loads but "make bench",
# xfrm_ext_kunit.ko too if it has KUnit, and for kernels that we build xfrm_ext_faults.ko, see faults.sh.
#
#   module.sh NAME      NAME as in kernel.sh; prints the directory of the .ko files
#   module.sh --sparse NAME
#                       the same in a directory of its own, every file run through
#                       sparse, whose warnings about our files are errors
#
# With COVERAGE in the environment, in another directory still, they count what of them runs
# (coverage.sh).
#
# The build runs in a copy in the cache, incrementally; the tree stays clean. Any
# warning (W=1) is an error. What cannot be built is said with the compiler's lines, and
# for which kernel.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

usage="usage: module.sh [--sparse] NAME"
variant=
if [[ ${1-} == --sparse ]]; then
	variant=-sparse
	shift
fi
[[ ! ${COVERAGE-} ]] || variant=-gcov
name=${1:?$usage}
answer=$("$ROOT/scripts/kernel.sh" "$name")
eval "$answer"
: "${kdir:?}" "${arch:?}" "${release:?}" "${built:?}" "${broot=}"

# One directory per source tree and kernel build: nothing of another's is reused.
key=$(echo "$ROOT $kdir" | hash_of)
build=$CACHE/build/$name$variant-$key
logfile=$CACHE/logs/module-$name$variant-$key.log
lock "build-$name$variant-$key"
mkdir -p "$build"

for file in Makefile Kbuild; do
	[[ -e $ROOT/$file ]] || die "no $file in $ROOT"
done
# What the build makes is neither sent, should the tree have been built in, nor
# deleted.
rsync -a --relative --delete --delete-missing-args \
	--exclude='*.o' --exclude='*.ko' --exclude='*.mod' --exclude='*.mod.c' --exclude='.*.cmd' \
	--exclude='*.a' --exclude='*.gcno' --exclude=modules.order --exclude=Module.symvers \
	"$ROOT"/./{Makefile,Kbuild,net,include,tools/testing/{kunit,bench,faults,gcov}} "$build/" >&2

command=(make -C "$kdir" "M=$build")
if [[ $broot ]]; then
	[[ ! $sparse ]] || die "no sparse in the root of $name"
	command=("$ROOT/scripts/root.sh" --in "$broot" "$build" make -C "${kdir#"$broot"}" M=/mnt/share)
fi
args=("ARCH=$arch" "-j$(nproc)" W=1 KCFLAGS=-Werror
	CONFIG_DEBUG_INFO_BTF_MODULES= BENCH=1)
((!built)) || args+=(FAULTS=1)
! grep -qx CONFIG_KUNIT=y "$kdir/.config" || args+=(KUNIT=1)
if [[ $variant == -gcov ]]; then
	args+=(GCOV=1)
elif [[ $variant ]]; then
	args+=(C=2 'CF=-D__CHECK_ENDIAN__')
	# C=2 checks what is compiled, and all of it shall be
	find "$build" -name '*.o' -delete
fi

rc=0
"${command[@]}" "${args[@]}" modules >"$logfile" 2>&1 </dev/null || rc=$?
if ((rc)); then
	# All but what make has been at
	grep -vE '^  [A-Z]+ |^make(\[[0-9]+\])?: (Entering|Leaving)' "$logfile" |
		sed "s,$build/,,g; s,/mnt/share/,,g" | head -n 60 >&2
	log "--- the whole: $logfile"
fi
# modpost and sparse warn without failing. Headers of the kernel are not ours.
if ((!rc)) && grep -E '^WARNING: |warning: ' "$logfile" | grep -vE "^(/usr/src|$CACHE/kernels)/" >&2; then
	log "--- warnings, see $logfile"
	rc=1
fi
if ((rc)); then
	find "$build" -name '*.ko' -delete
	die "xfrm_ext does not build for $name, the kernel $release; the compiler is $(
		sed -n 's/^CONFIG_CC_VERSION_TEXT="\(.*\)"$/\1/p' "$kdir/.config")"
fi
echo "$build"
