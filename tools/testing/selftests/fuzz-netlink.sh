#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# kernels: 7.3-uml
# check: 7.3-uml
# timeout: 36000
#
# Requests by chance, good, forbidden by the specification and spoilt, by threads that race
# for the same SAs and rules, as root of a user namespace: what is forbidden is refused, what is
# refused says why, and memory comes back; see fuzznetlink.py.
# SEED=n MESSAGES=n THREADS=n to do others; SOAK_SECONDS=n to go on for so long.
. "$(dirname "$0")/lib.sh"

modprobe xfrm_ext
seed=${SEED:-1}
[[ ! ${SOAK_SECONDS-} ]] || seed=${SEED:-$((RANDOM * 32768 + RANDOM))}
messages=${MESSAGES:-20000}
# (Several wait for each other, and for what is deleted)
for threads in ${THREADS:-1 4}; do
	# shellcheck disable=SC2086 # a word, or none
	run "requests by chance, SEED=$seed MESSAGES=$messages THREADS=$threads" \
		unshare --user --map-root-user --net \
		"$here/fuzznetlink.py" "$seed" $((messages / threads)) "$threads" ${SOAK_SECONDS-}
done
run "nothing is left" wait_for 20 unused
finish
