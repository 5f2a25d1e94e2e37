#!/usr/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Load the KUnit tests; what they found is in debugfs, suite by suite.
set -u

# KCSAN holds up so many accesses that the usual 10^7 deliveries would take minutes, and looks
# for what needs more than one CPU: what has only one is for the other kernels
words=()
if [[ -e /sys/kernel/debug/kcsan ]]; then
	words=(ops=1000000)
	# (It would keep a newline)
	printf 'xfrm_ext_[cs]*' >/sys/module/kunit/parameters/filter_glob || exit 1
fi
((TIME_FACTOR == 1)) || words=(ops=1000000)
# Where nothing is emulated there is time for ten times as many
[[ $KERNEL_NAME != *-uml || ${SOME-} ]] || words=(ops=100000000)
[[ -d /sys/module/xfrm_ext_kunit ]] || modprobe xfrm_ext_kunit "${words[@]}" || exit 1
# Each suite's file is a whole of its own. Of a case with parameters it keeps only the
# last one's line, next to the case's own, which is the one to count.
sed -E -e '/^(KTAP version|1\.\.1$)/d' -e 's/^( {8,})((not )?ok )/\1# \2/' \
	/sys/kernel/debug/kunit/*/results
