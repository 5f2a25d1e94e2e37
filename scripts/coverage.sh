#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# "make coverage": the unit tests and the selftests in guests where our module counts what of
# it runs; then how much of it that was, and what it was not.
#
#   TESTS="GLOB..."    only these: kunit, selftests/*; as check.sh has them
#   KERNELS="WORD..."  on these, by default COVERAGE_KERNELS
#   JOBS=N             so many guests at a time
#
#   coverage.sh --again     the figures of the last run once more
#
# Prints the tests as they end; of each file how many lines and branches were reached, what
# was not, and is not in tools/testing/unreached.txt with a reason; at the end "coverage.lines N"
# and "coverage.branches N", per cent. All that was not reached, listed or not, is in the
# file that it names. Exit status 1 if a test failed, or something that is listed was reached.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

# What can run on User-mode Linux, and on the kernel where allocations fail what else there is
COVERAGE_KERNELS='7.3-uml'
read -r -a words <<<"${KERNELS:-$COVERAGE_KERNELS}"
out=$CACHE/coverage
rc=0
export COVERAGE=$out
if [[ ${1-} != --again ]]; then
	rm -rf "$out"
	mkdir -p "$out"
	FULL=1 KERNELS="${words[*]}" TESTS=${TESTS:-kunit selftests} "$ROOT/scripts/check.sh" || rc=1
fi
args=()
while read -r kernel; do
	build=$("$ROOT/scripts/module.sh" "$kernel")
	for file in "$out/$kernel"-*/gcov; do
		[[ ! -e $file ]] || args+=("$build=$file")
	done
done < <("$ROOT/scripts/kernel.sh" --list "${words[@]}")
((${#args[@]})) || die "nothing was counted"
"$ROOT/scripts/coverage.py" --list "$ROOT/tools/testing/unreached.txt" \
	--all "$out/unreached" "${args[@]}" || rc=1
exit "$rc"
