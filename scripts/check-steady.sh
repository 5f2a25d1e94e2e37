#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# "make check-steady": does "make check" say the same whatever else the machine does?
#
#   ROUNDS=N        so many runs, default 10; every other one has BUSY loops beside it
#   BUSY=N          default 2
#
# A line per run with how long it took and its own closing line, and what failed. At the end
# "N passed, N failed, N skipped", which counts runs.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$ROOT"

passed=0 failed=0 loops=()
tmp=$(mktemp -d "${TMPDIR:-/tmp}/xfrm_ext.XXXXXX")
stop_loops() {
	((!${#loops[@]})) || kill "${loops[@]}" 2>/dev/null || true
	loops=()
}
trap 'stop_loops; rm -rf "$tmp"' EXIT

for ((round = 1; round <= ${ROUNDS:-10}; round++)); do
	beside='alone'
	if ((round % 2 == 0)); then
		beside="beside ${BUSY:-2} busy loops"
		for ((n = 0; n < ${BUSY:-2}; n++)); do
			while :; do :; done &
			loops+=($!)
		done
	fi
	start=$SECONDS rc=0
	scripts/check.sh >"$tmp/log" 2>&1 </dev/null || rc=$?
	stop_loops
	if ((rc)); then
		failed=$((failed + 1))
		grep -E '^(FAILED|not ok)' "$tmp/log" | sort -u || true
		cp "$tmp/log" "$CACHE/logs/check-steady-$round.log"
		log "the whole of it: $CACHE/logs/check-steady-$round.log"
	else
		passed=$((passed + 1))
	fi
	echo "run $round, $beside: $(tail -n 1 "$tmp/log") ($((SECONDS - start)) s)"
done
echo "$passed passed, $failed failed, 0 skipped"
((failed == 0 && passed > 0))
