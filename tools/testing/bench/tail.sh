#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 60
#
# What is touched, copied and allocated behind a payload, counted, not timed: the
# tables of the KUnit suite xfrm_ext_tail, in User-mode Linux:
#
#   tools/testing/qemu/run.sh --kernel 7.3-uml --raw tools/testing/bench/tail.sh
#
# In each cell the figures of the trailers end/front/omit. heads: new linear parts;
# copied: octets of the packet that were; written: octets of trailer; piece: new page
# fragments for what comes behind the payload; read: octets that decide where the
# payload ends and what it is, at the front and the tail of the plaintext; lines, pages:
# cache lines and pages with octets of the tail that are written (sender) or read
# (receiver), and nothing of ESP header, IV and the first 40 octets of the payload.
# Documentation/trailers.rst says what "today" and "least" are.
set -euo pipefail

[[ -d /sys/module/xfrm_ext_kunit ]] || modprobe xfrm_ext_kunit
results=/sys/kernel/debug/kunit/xfrm_ext_tail/results
sed -n 's/^ *# tail_[a-z]*: /# /p' "$results"
if grep -q '^ *not ok' "$results"; then
	grep -v '^ *# tail_' "$results"
	exit 1
fi
