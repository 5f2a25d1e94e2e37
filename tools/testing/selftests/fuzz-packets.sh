#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# kernels: 7.3-uml
# check: 7.3-uml
# timeout: 36000
#
# Packets by chance, good and spoilt, before and behind encryption and on their way, to SAs of
# every format, mode, trailer and algorithm, one in another, too: by NAPI with GRO, out of pages,
# steered to another CPU. Each does what the reference says; see fuzzpackets.py.
# SEED=n ROUNDS=n PACKETS=n to do others, or the same again; SOAK_SECONDS=n to go on for so long.
. "$(dirname "$0")/lib.sh"

modprobe -a xfrm_ext tun
needs_cpus 2
n=fuzz-$$
netns_add "$n"
ip netns exec "$n" sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0 \
	net.ipv4.conf.all.log_martians=0 net.ipv6.conf.default.accept_ra=0
# The same each time, unless there is time for others
seed=${SEED:-1}
[[ ! ${SOAK_SECONDS-} ]] || seed=${SEED:-$((RANDOM * 32768 + RANDOM))}
rounds=${ROUNDS:-40} packets=${PACKETS:-500}
# shellcheck disable=SC2086 # a word, or none
run "packets by chance, SEED=$seed ROUNDS=$rounds PACKETS=$packets" \
	ip netns exec "$n" "$here/fuzzpackets.py" "$seed" "$rounds" "$packets" ${SOAK_SECONDS-}
fastpath on
run "all that was taken has been given back" wait_for 20 netns_empty "$n"
finish
