#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# check-config.sh KDIR: name what a kernel lacks that xfrm_ext needs, or has that it cannot
# run with.
set -euo pipefail

kdir=${1-}
if [[ ! $kdir ]]; then
	echo "no kernel headers are installed: apt-get install linux-headers-amd64, or KDIR=..." >&2
	exit 1
fi
for config in "$kdir/include/config/auto.conf" "$kdir/.config" ''; do
	[[ ! -e $config ]] || break
done
if [[ ! $config ]]; then
	echo "$kdir is no configured kernel build directory (KDIR=...)" >&2
	exit 1
fi

missing=()
for symbol in 64BIT MODULES NET INET IPV6 NETFILTER XFRM XFRM_USER INET_ESP INET6_ESP \
	CRYPTO_AES CRYPTO_GCM; do
	grep -q "^CONFIG_$symbol=[ym]$" "$config" || missing+=("CONFIG_$symbol")
done
if ((${#missing[@]})); then
	echo "the kernel of $kdir lacks ${missing[*]}" >&2
	exit 1
fi
if grep -q '^CONFIG_PREEMPT_RT=y$' "$config"; then
	echo "the kernel of $kdir has CONFIG_PREEMPT_RT, with which xfrm_ext does not run" >&2
	exit 1
fi
