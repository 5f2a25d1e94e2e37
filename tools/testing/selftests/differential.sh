#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# kernels: 6.1-cloud 7.3-uml
# check: 7.3-uml
# timeout: 36000
#
# Stock SAs and extended ones (format esp) in two otherwise identical topologies: random
# sequences of traffic and changes, and nobody may see a difference; see differential.py.
# SEED=n SEQUENCES=n STEPS=n WITHOUT="word..." to do others, or the same again.
. "$(dirname "$0")/lib.sh"

modprobe xfrm_ext
# "make check" does the same each time
seed=${SEED:-$([[ $quick ]] && echo 1 || echo $((RANDOM * 32768 + RANDOM)))}
echo "# SEED=$seed SEQUENCES=${SEQUENCES:-20} STEPS=${STEPS:-8}"
# shellcheck disable=SC2086 # words
run "stock and extended SAs, seed $seed" \
	"$here/differential.py" "$seed" "${SEQUENCES:-20}" "${STEPS:-8}" ${WITHOUT-}
fastpath on
finish
