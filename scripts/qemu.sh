#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Make the emulator available in the cache; prints the program to run.
#
# It is the QEMU of Debian 12's backports, unpacked, not installed: the one of Debian 12
# itself (7.2) cannot be trusted with more than one emulated CPU. A CPU can go on running
# the breakpoint that stood in code for a moment while the kernel patched it (any static
# key), and flags are wrong after an interrupt behind cmpxchg16b. Both crash guests, once
# in some hours, where nothing is wrong with the kernel. Its libraries are those that the
# package of Debian 12 depends on.
#
# It is the newest there when it is first asked for, and stays so until it is removed
# from the cache.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

SUITE=bookworm-backports
dir=$CACHE/qemu

fetch() {
	local tmp=$1 conf deb

	conf=$(debian_apt deb "$SUITE")
	mkdir -p "$tmp"
	cd "$tmp"
	apt-get -q -c "$conf" download qemu-system-{x86,common,data} seabios
	for deb in *.deb; do
		dpkg-deb -x "$deb" .
		rm "$deb"
	done
	cat >qemu-system-x86_64 <<-'END'
		#!/bin/sh
		dir=$(dirname "$0")/usr
		exec "$dir/bin/qemu-system-x86_64" -L "$dir/share/qemu" -L "$dir/share/seabios" "$@"
	END
	chmod +x qemu-system-x86_64
	./qemu-system-x86_64 --version
}

if [[ ${1-} == --fetch ]]; then
	# In a shell of its own, where errexit holds
	fetch "$2"
	exit
fi

if [[ ! -e $dir ]]; then
	lock qemu
fi
if [[ ! -e $dir ]]; then
	log "fetching QEMU from $SUITE"
	rm -rf "$dir.tmp"
	quietly "$CACHE/logs/fetch-qemu.log" "$0" --fetch "$dir.tmp" || die "cannot fetch QEMU"
	mv "$dir.tmp" "$dir"
fi
echo "$dir/qemu-system-x86_64"
