#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Make libreswan's IKE daemon available in the cache, with what it needs to run; prints a
# directory in which all is at the path where it belongs.
#
# Unpacked, not installed: its service would begin to run on this machine. What is taken
# are Debian 12's packages, these and all that they depend on; of them the daemon, its
# helpers, NSS's tool for its database, and the libraries that these are linked with or load.
# The C library is the guest's.
#
# It is the newest there when it is first asked for, and stays so until it is removed
# from the cache or this file changes.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

SUITE=bookworm
PACKAGES=(libreswan libnss3-tools)
PROGRAMS=(
	usr/sbin/ipsec usr/bin/certutil
	usr/libexec/ipsec/{pluto,whack,addconn,_updown,_updown.xfrm}
)
# NSS loads its ciphers and its database
LOADED=(libsoftokn3.so libfreebl3.so libfreeblpriv3.so)
lib=usr/lib/x86_64-linux-gnu
dir=$CACHE/libreswan-$(hash_of <"$0")

fetch() {
	local tmp=$1 conf deb name path files names

	conf=$(debian_apt deb "$SUITE")
	mkdir -p "$tmp/all" "$tmp/tree/$lib"
	cd "$tmp/all"
	with_dependencies "$conf" "${PACKAGES[@]}" >"$tmp/names"
	mapfile -t names < <(grep -vx libc6 "$tmp/names")
	((${#names[@]}))
	apt-get -q -c "$conf" download "${names[@]}"
	for deb in *.deb; do
		dpkg-deb -x "$deb" .
	done

	files=()
	for name in "${PROGRAMS[@]}"; do
		mkdir -p "$tmp/tree/${name%/*}"
		cp -L "$name" "$tmp/tree/$name"
		files+=("$name")
	done
	for name in "${LOADED[@]}"; do
		cp -L "$lib/$name" "$tmp/tree/$lib/"
		files+=("$lib/$name")
	done
	for name in "${files[@]}"; do
		# It fails for what is a script
		LD_LIBRARY_PATH=$PWD/$lib:$PWD/lib/${lib##*/} ldd "$name" || true
	done >"$tmp/linked"
	if grep 'not found' "$tmp/linked"; then
		return 1
	fi
	awk -v here="$PWD/" 'index($3, here) == 1 { print $3 }' "$tmp/linked" | sort -u >"$tmp/libraries"
	while read -r path; do
		cp -L "$path" "$tmp/tree/$lib/"
	done <"$tmp/libraries"
	[[ -e $tmp/tree/$lib/libnss3.so ]]
}

if [[ ${1-} == --fetch ]]; then
	# In a shell of its own, where errexit holds
	fetch "$2"
	exit
fi

if [[ ! -e $dir ]]; then
	lock libreswan
fi
if [[ ! -e $dir ]]; then
	log "fetching libreswan from $SUITE"
	rm -rf "$dir.tmp"
	quietly "$CACHE/logs/fetch-libreswan.log" "$0" --fetch "$dir.tmp" ||
		die "cannot fetch libreswan"
	mv "$dir.tmp/tree" "$dir"
	rm -rf "$dir.tmp"
fi
echo "$dir"
