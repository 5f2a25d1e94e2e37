#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Make strongSwan's IKE daemon available in the cache, with the kernel's ESP and with its own
# in userspace (libipsec); prints a directory in which all is at the path where it belongs.
#
# Unpacked, not installed: its service would begin to run on this machine. What is taken
# are Debian 12's packages: the daemon as it runs beside systemd (it does without, and
# needs no place outside for a pid), swanctl, and the plugins that a guest may load.
# The other libraries that these need are on every Debian.
#
# It is the newest there when it is first asked for, and stays so until it is removed
# from the cache or this file changes.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

SUITE=bookworm
PACKAGES=(
	charon-systemd strongswan-swanctl strongswan-libcharon libstrongswan
	libstrongswan-standard-plugins libstrongswan-extra-plugins libcharon-extra-plugins
)
LIBRARIES=(libstrongswan libcharon libvici libipsec)
PLUGINS=(
	random nonce openssl kdf xcbc cmac
	kernel-libipsec kernel-netlink socket-default vici
)
dir=$CACHE/strongswan-$(hash_of <"$0")

fetch() {
	local tmp=$1 conf deb name path=usr/lib/ipsec

	conf=$(debian_apt deb "$SUITE")
	mkdir -p "$tmp/all" "$tmp/tree/usr/sbin" "$tmp/tree/$path/plugins"
	cd "$tmp/all"
	apt-get -q -c "$conf" download "${PACKAGES[@]}"
	for deb in *.deb; do
		dpkg-deb -x "$deb" .
	done
	cp usr/sbin/{charon-systemd,swanctl} "$tmp/tree/usr/sbin/"
	for name in "${LIBRARIES[@]}"; do
		cp -L "$path/$name.so.0" "$tmp/tree/$path/"
	done
	for name in "${PLUGINS[@]}"; do
		cp "$path/plugins/libstrongswan-$name.so" "$tmp/tree/$path/plugins/"
	done
}

if [[ ${1-} == --fetch ]]; then
	# In a shell of its own, where errexit holds
	fetch "$2"
	exit
fi

if [[ ! -e $dir ]]; then
	lock strongswan
fi
if [[ ! -e $dir ]]; then
	log "fetching strongSwan from $SUITE"
	rm -rf "$dir.tmp"
	quietly "$CACHE/logs/fetch-strongswan.log" "$0" --fetch "$dir.tmp" ||
		die "cannot fetch strongSwan"
	mv "$dir.tmp/tree" "$dir"
	rm -rf "$dir.tmp"
fi
echo "$dir"
