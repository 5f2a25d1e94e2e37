#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# check-config.sh KDIR: name what a kernel lacks that xfrm_ext needs, or has that it cannot
# run with; dkms.conf has the list.
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

read -r -a symbols < <(sed -n 's/^BUILD_EXCLUSIVE_CONFIG="\(.*\)"$/\1/p' "$(dirname "$0")/../dkms.conf")
((${#symbols[@]})) || { echo "no BUILD_EXCLUSIVE_CONFIG in dkms.conf" >&2; exit 1; }
missing=() wrong=()
for symbol in "${symbols[@]}"; do
	if [[ $symbol == !* ]]; then
		! grep -q "^${symbol#!}=[ym]$" "$config" || wrong+=("${symbol#!}")
	else
		grep -q "^$symbol=[ym]$" "$config" || missing+=("$symbol")
	fi
done
if ((${#missing[@]})); then
	echo "the kernel of $kdir lacks ${missing[*]}" >&2
	exit 1
fi
if ((${#wrong[@]})); then
	echo "the kernel of $kdir has ${wrong[*]}, with which xfrm_ext does not run" >&2
	exit 1
fi
