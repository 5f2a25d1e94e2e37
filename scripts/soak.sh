#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# "make soak": what "make check" does a little of by chance, for a long time, each time
# something else: the selftests that know SOAK_SECONDS, each in a guest of its own.
#
#   SOAK_SECONDS=N    so long each, by default 600
#   TESTS="WORD..."   only these of PARTS
#   SEED=N            begin there, and not by chance: what a failure says to begin with
#   KERNELS="WORD..." on these, by default 7.3-uml
#
# As all guests, each is looked at in the end: what the kernel has said, and whether the
# module goes. Exit status 1 if anything was not as it should be.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

PARTS='fuzz-packets fuzz-eesp fuzz-netlink'
seconds=${SOAK_SECONDS:-600}
read -r -a parts <<<"${TESTS:-$PARTS}"
read -r -a words <<<"${KERNELS:-7.3-uml}"
rc=0
"$ROOT/scripts/setup.sh"
while read -r kernel; do
	for part in "${parts[@]}"; do
		"$ROOT/tools/testing/qemu/run.sh" --kernel "$kernel" --limit $((8 * seconds + 3600)) \
			--env "SOAK_SECONDS=$seconds" ${SEED:+--env "SEED=$SEED"} \
			"$ROOT/tools/testing/selftests/$part.sh" </dev/null || rc=1
	done
done < <("$ROOT/scripts/kernel.sh" --list "${words[@]}")
exit "$rc"
