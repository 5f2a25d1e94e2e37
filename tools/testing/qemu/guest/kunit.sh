#!/usr/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 300
#
# Load the KUnit tests; what they found is in debugfs, suite by suite.
set -u

# KCSAN holds up so many accesses that the usual 10^7 deliveries would take minutes
words=()
[[ ! -e /sys/kernel/debug/kcsan ]] || words=(ops=1000000)
[[ -d /sys/module/xfrm_ext_kunit ]] || modprobe xfrm_ext_kunit "${words[@]}" || exit 1
# Each suite's file is a whole of its own. Of a case with parameters it keeps only the
# last one's line, next to the case's own, which is the one to count.
sed -E -e '/^(KTAP version|1\.\.1$)/d' -e 's/^( {8,})((not )?ok )/\1# \2/' \
	/sys/kernel/debug/kunit/*/results
