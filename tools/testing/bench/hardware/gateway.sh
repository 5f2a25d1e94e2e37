#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# One of the two gateways of Documentation/bench-hardware.rst, and nothing but that: its
# addresses, its SA and its policies. Root, iproute2 of this project.
#
#   gateway.sh west|east VARIANT RED BLACK GENERATOR-MAC
#
#   RED             the device to the generator; BLACK the one to the other gateway
#   GENERATOR-MAC   the generator's port on that side
#   VARIANT         clear    no IPsec: what the machines forward
#                   stock    the kernel's ESP: one SA, a window of 4,096
#                   pcpu     an SA for each CPU (RFC 9611, Linux 6.13 and later)
#                   ext      one extended SA, a subspace for each CPU
#   $CPUS           how many CPUs or subspaces, as many as there are if not said; the
#                   same at both
#   $KEYS           40 hexadecimal digits, the same at both, others each time: the last
#                   eight are replaced for each SA
#
# What was there of state and policy in this network namespace is gone afterwards.
set -euo pipefail

usage() {
	sed -n 's/^#   \(gateway.sh .*\)/usage: \1/p' "$0" >&2
	exit 2
}

(($# == 5)) || usage
end=$1 variant=$2 red=$3 black=$4 mac=$5
here=$(cd "$(dirname "$0")" && pwd)
CPUS=${CPUS:-$(nproc)}
[[ $end == @(west|east) && $variant == @(clear|stock|pcpu|ext) ]] || usage
[[ $variant == clear || ${KEYS-} =~ ^[0-9a-fA-F]{40}$ ]] || {
	echo 'KEYS must be 40 hexadecimal digits' >&2
	exit 2
}

key() { # spi
	printf '0x%s%08x' "${KEYS:0:32}" "$1"
}

# Benchmarks have addresses of their own (RFC 2544): 198.18.0.0/16 sends to 198.19.0.0/16
case $end in
west) own=1 other=2 net=198.18.0 near=198.18.0.0/16 far=198.19.0.0/16 ;;
east) own=2 other=1 net=198.19.0 near=198.19.0.0/16 far=198.18.0.0/16 ;;
esac
ip addr flush dev "$red"
ip addr flush dev "$black"
ip -batch - <<-END
	link set $red up
	link set $black up
	addr add $net.1/16 dev $red
	addr add 192.0.2.$own/24 dev $black
	route replace $far via 192.0.2.$other
	xfrm state flush
	xfrm policy flush
END
# The generator answers no questions: its packets' addresses are behind its port
ip route replace "$near" via "$net.2" dev "$red" onlink
ip neigh replace "$net.2" lladdr "$mac" dev "$red" nud permanent
sysctl -qw net.ipv4.ip_forward=1 "net.ipv4.conf.$red.rp_filter=0" \
	"net.ipv4.conf.$black.rp_filter=0" net.ipv4.conf.all.rp_filter=0
[[ $variant != clear ]] || exit 0

sa="xfrm state add src 192.0.2.1 dst 192.0.2.2 proto esp spi 0x100 reqid 1 mode tunnel"
template="tmpl src 192.0.2.1 dst 192.0.2.2 proto esp reqid 1 mode tunnel"
case $end in
west) ip -batch - <<<"xfrm policy add src $near dst $far dir out $template" ;;
east)
	printf "xfrm policy add src $far dst $near dir %s $template\n" fwd in | ip -batch -
	;;
esac
sa+=" aead rfc4106(gcm(aes)) $(key 0x100) 128"
case $variant-$end in
stock-west) ip -batch - <<<"$sa flag esn replay-window 4096" ;;
stock-east) ip -batch - <<<"$sa flag esn replay-window 4096" ;;
ext-west) ip -batch - <<<"$sa ext tx-subspaces $CPUS" ;;
ext-east) ip -batch - <<<"$sa ext rx-subspaces $CPUS window 1024" ;;
pcpu-*)
	for ((cpu = 0; cpu < CPUS; cpu++)); do
		spi=$((0x100 + cpu))
		words=(dir=2)
		[[ $end == west ]] || words=(dir=1 window=32)
		# The word for the CPU is in iproute2 from 6.13 on, and here in no ip
		python3 "$here/../../selftests/xfrm.py" extended 192.0.2.1 192.0.2.2 $spi \
			"key=$(key $spi | cut -c3-)" reqid=1 marked=0 "cpu=$cpu" "${words[@]}"
	done
	;;
esac
