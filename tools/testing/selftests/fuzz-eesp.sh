#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# kernels: 7.3-uml
# check: 7.3-uml
# timeout: 36000
#
# As fuzz-packets.sh, with SAs of format eesp: options, Sub SAs, Crypt Offset, Payload Info Header.
# SEED=n ROUNDS=n PACKETS=n to do others, or the same again; SOAK_SECONDS=n to go on for so long.
. "$(dirname "$0")/lib.sh"

# (Whoever was before may still be going)
wait_for 20 modprobe -r xfrm_ext
modprobe xfrm_ext eesp_protocol=200
modprobe tun
needs_cpus 2
n=fuzz-$$
netns_add "$n"
ip netns exec "$n" sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0 \
	net.ipv4.conf.all.log_martians=0 net.ipv6.conf.default.accept_ra=0
seed=${SEED:-1}
[[ ! ${SOAK_SECONDS-} ]] || seed=${SEED:-$((RANDOM * 32768 + RANDOM))}
rounds=${ROUNDS:-30} packets=${PACKETS:-400}
export FORMAT=eesp
# shellcheck disable=SC2086 # a word, or none
run "EESP packets by chance, SEED=$seed ROUNDS=$rounds PACKETS=$packets" \
	ip netns exec "$n" "$here/fuzzpackets.py" "$seed" "$rounds" "$packets" ${SOAK_SECONDS-}
fastpath on
run "all that was taken has been given back" wait_for 20 netns_empty "$n"
# For whoever comes next the number is as it was
wait_for 20 modprobe -r xfrm_ext
modprobe xfrm_ext
finish
