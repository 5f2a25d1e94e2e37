#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Have SPIN try every order of steps of window.pml: the model must hold, and each
# of the mistakes that can be built into it must be found.
#
#   check.sh [-D...]    with arguments: only this variant of the model
set -euo pipefail

model=$(realpath "$(dirname "$0")")/window.pml
tmp=$(mktemp -d "${TMPDIR:-/tmp}/xfrm_ext.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"

# explore DEFINE...: prints what SPIN found; fails if it could not look at all
explore() {
	spin -a "$@" "$model" >spin.log || { cat spin.log; return 2; }
	gcc -O2 -w -DSAFETY -DMEMLIM=4096 -o pan pan.c || return
	./pan -m2000000 >pan.log || { cat pan.log; return 2; }
	grep -e 'assertion violated' -e 'errors:' -e 'states, stored' -e 'elapsed time' pan.log
	# Anything that was not looked at is no proof
	if grep -e 'out of memory' -e 'search depth too small' -e 'Search not completed' pan.log &&
		! grep -q 'assertion violated' pan.log; then
		return 2
	fi
}

holds() {
	echo "holds: $*"
	explore "$@" && grep -q 'errors: 0$' pan.log
}

found() {
	echo "must be found: $*"
	explore "$@" && grep -q 'assertion violated' pan.log
}

if (($#)); then
	holds "$@"
	exit
fi
holds -DCPUS=2
holds -DCPUS=3 -DLAST=4 -DTOP=0
for mistake in 1 2 3 4 5 6; do
	found -DCPUS=2 -DLAST=9 "-DBROKEN=$mistake"
done
echo "all mistakes found"
