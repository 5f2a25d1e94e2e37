#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Make strongSwan's IKE daemon available in the cache, with the kernel's ESP and with its own
# in userspace (libipsec); prints a directory in which all is at the path where it belongs.
#
# Unpacked, not installed: its service would begin to run on this machine. What is taken
# are Debian's packages: the daemon as it runs beside systemd (it does without, and
# needs no place outside for a pid), swanctl, and the plugins that a guest may load.
# The other libraries that Debian 12's need are on every Debian 12. Those of another suite
# bring their own, the C library and its loader as well, at a place of their own.
#
#   STRONGSWAN=SUITE   Debian's suite, bookworm if not said otherwise; trixie, sid
#
# It is the newest there when it is first asked for, and stays so until it is removed
# from the cache or this file changes.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

SUITE=${STRONGSWAN:-bookworm}
PACKAGES=(
	charon-systemd strongswan-swanctl strongswan-libcharon libstrongswan
	libstrongswan-standard-plugins libstrongswan-extra-plugins libcharon-extra-plugins
)
LIBRARIES=(libstrongswan libcharon libvici libipsec)
PLUGINS=(
	random nonce openssl kdf xcbc cmac
	kernel-libipsec kernel-netlink socket-default vici
)
ipsec=usr/lib/ipsec
bundle=$ipsec/own-libraries
dir=$CACHE/strongswan-$SUITE-$(hash_of <"$0")

fetch() {
	local tmp=$1 conf deb name names=("${PACKAGES[@]}")

	conf=$(debian_apt deb "$SUITE")
	mkdir -p "$tmp/all" "$tmp/tree/usr/sbin" "$tmp/tree/$ipsec/plugins"
	cd "$tmp/all"
	if [[ $SUITE != bookworm ]]; then
		with_dependencies "$conf" "${PACKAGES[@]}" >"$tmp/names"
		mapfile -t names <"$tmp/names"
		((${#names[@]}))
	fi
	apt-get -q -c "$conf" download "${names[@]}"
	for deb in *.deb; do
		dpkg-deb -x "$deb" .
	done
	cp usr/sbin/{charon-systemd,swanctl} "$tmp/tree/usr/sbin/"
	for name in "${LIBRARIES[@]}"; do
		cp -L "$ipsec/$name.so.0" "$tmp/tree/$ipsec/"
	done
	for name in "${PLUGINS[@]}"; do
		cp "$ipsec/plugins/libstrongswan-$name.so" "$tmp/tree/$ipsec/plugins/"
	done
	[[ $SUITE == bookworm ]] || take_libraries "$tmp/tree"
}

# Of the suite that is unpacked here: the libraries that the files in a tree need, and
# programs that begin with its own loader
take_libraries() { # tree
	local lib=usr/lib/x86_64-linux-gnu loader=ld-linux-x86-64.so.2 name path

	mkdir -p "$1/$bundle"
	cp -L "$lib/$loader" "$1/$bundle/"
	find "$1/usr" -type f ! -name "$loader" -print0 |
		xargs -0 -n 1 "$lib/$loader" --library-path "$PWD/$lib:$PWD/$ipsec" --list >"$1.linked"
	awk -v here="$PWD/$lib/" 'index($3, here) == 1 { print $3 }' "$1.linked" | sort -u >"$1.libraries"
	while read -r path; do
		cp -L "$path" "$1/$bundle/"
	done <"$1.libraries"
	[[ -e $1/$bundle/libc.so.6 ]]
	for name in "$1/usr/sbin/"*; do
		mv "$name" "$1/$ipsec/"
		name=${name##*/}
		cat >"$1/usr/sbin/$name" <<-EOF
			#!/bin/sh
			exec /$bundle/$loader --library-path /$bundle:/$ipsec /$ipsec/$name "\$@"
		EOF
		chmod 755 "$1/usr/sbin/$name"
	done
}

if [[ ${1-} == --fetch ]]; then
	# In a shell of its own, where errexit holds
	fetch "$2"
	exit
fi

if [[ ! -e $dir ]]; then
	lock "strongswan-$SUITE"
fi
if [[ ! -e $dir ]]; then
	log "fetching strongSwan from $SUITE"
	rm -rf "$dir.tmp"
	quietly "$CACHE/logs/fetch-strongswan-$SUITE.log" "$0" --fetch "$dir.tmp" ||
		die "cannot fetch strongSwan"
	mv "$dir.tmp/tree" "$dir"
	rm -rf "$dir.tmp"
fi
echo "$dir"
