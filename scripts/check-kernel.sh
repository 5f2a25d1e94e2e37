#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# "make check-kernel": does the module work on a kernel that nobody has tried yet? Fetches the
# newest of a suite of Debian's, with its headers and compiler, builds the module without a
# warning, boots the kernel in QEMU and runs the selftests that are named below there.
#
#   SUITE=NAME       default sid; experimental, trixie-backports, trixie and so on
#   VERSION=N        only the suite's kernels N (7.2, 7.2.13), if not its newest
#   TESTS="GLOB..."  other tests, as for "make check"
#
# It ends with "N passed, N failed, N skipped". What does not compile is one failure, with the
# compiler's lines, and no more is tried. Modules that the kernel does not have are named: a test
# that needs one will fail.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$ROOT"

# What the module does by functions, structures and offsets that differ from kernel to kernel
BROAD=(basic formats gro interfaces pmtu tcp trace)
name=debian-${SUITE:-sid}${VERSION:+-$VERSION}

failed() {
	echo "FAILED host $1"
	echo "0 passed, 1 failed, 0 skipped"
	exit 1
}

scripts/setup.sh
# What one has fetched another would replace
lock "check-$name"
answer=$(scripts/kernel.sh --newest "$name") || failed "fetch/$name"
eval "$answer"
: "${kdir:?}" "${release:?}"
log "$name is $release, by $(sed -n 's/^CONFIG_CC_VERSION_TEXT="\(.*\)"$/\1/p' "$kdir/.config")"
scripts/module.sh "$name" >/dev/null || failed "build/$name"
TESTS=${TESTS:-build/$name ${BROAD[*]/#/selftests/}} KERNELS=$name scripts/check.sh
