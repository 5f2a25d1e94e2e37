#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Make tshark, Wireshark without its windows, available in the cache; prints a directory in
# which all is at the path where it belongs: /usr/bin/tshark, and the rest in /usr/lib/tshark.
#
# Unpacked, not installed: nobody's /etc or groups are changed for a test. What is taken are
# Debian's packages, with all libraries that they need, the C library and its loader as well:
# so a suite's tshark runs on any machine.
#
#   TSHARK=SUITE   Debian's suite: bookworm (4.0) if not said otherwise; trixie (4.4)
#
# Run it as an ordinary user: as root it heeds no WIRESHARK_DATA_DIR, nor scripts in Lua.
#
# It is the newest there when it is first asked for, and stays so until it is removed
# from the cache or this file changes.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

SUITE=${TSHARK:-bookworm}
home=usr/lib/tshark
dir=$CACHE/tshark-$SUITE-$(hash_of <"$0")

fetch() {
	local tmp=$1 conf deb path names lib=usr/lib/x86_64-linux-gnu loader=ld-linux-x86-64.so.2

	conf=$(debian_apt deb "$SUITE")
	mkdir -p "$tmp/all" "$tmp/tree/usr/bin" "$tmp/tree/$home"
	cd "$tmp/all"
	with_dependencies "$conf" tshark >"$tmp/names"
	mapfile -t names <"$tmp/names"
	((${#names[@]}))
	apt-get -q -c "$conf" download "${names[@]}"
	for deb in *.deb; do
		dpkg-deb -x "$deb" .
	done
	# Before Debian 13 the C library has not moved to /usr
	[[ ! -d lib ]] || cp -an lib/. usr/lib/
	[[ -e $lib/$loader ]] || cp -L "$PWD/lib64/$loader" "$lib/"

	cp usr/bin/tshark "$tmp/tree/$home/"
	cp -L "$lib/$loader" "$tmp/tree/$home/"
	"$lib/$loader" --library-path "$PWD/$lib" --list usr/bin/tshark >"$tmp/linked"
	awk -v here="$PWD/$lib/" 'index($3, here) == 1 { print $3 }' "$tmp/linked" |
		sort -u >"$tmp/libraries"
	while read -r path; do
		cp -L "$path" "$tmp/tree/$home/"
	done <"$tmp/libraries"
	[[ -e $tmp/tree/$home/libc.so.6 ]]
	# What links to /etc is not at hand but for the script that begins Lua before 4.4
	cp -r usr/share/wireshark "$tmp/tree/$home/data"
	find "$tmp/tree/$home/data" '(' -type l -o -name '*.html' ')' -delete
	[[ ! -e etc/wireshark/init.lua ]] || cp etc/wireshark/init.lua "$tmp/tree/$home/data/"
	# Where it looks for its files it works out from its program, which is the loader
	cat >"$tmp/tree/usr/bin/tshark" <<-END
		#!/bin/sh
		WIRESHARK_DATA_DIR=/$home/data WIRESHARK_PLUGIN_DIR=/$home/data/plugins
		export WIRESHARK_DATA_DIR WIRESHARK_PLUGIN_DIR
		exec /$home/$loader --library-path /$home /$home/tshark "\$@"
	END
	chmod 755 "$tmp/tree/usr/bin/tshark"
}

if [[ ${1-} == --fetch ]]; then
	# In a shell of its own, where errexit holds
	fetch "$2"
	exit
fi

if [[ ! -e $dir ]]; then
	lock "tshark-$SUITE"
fi
if [[ ! -e $dir ]]; then
	log "fetching tshark from $SUITE"
	rm -rf "$dir.tmp"
	quietly "$CACHE/logs/fetch-tshark-$SUITE.log" "$0" --fetch "$dir.tmp" ||
		die "cannot fetch tshark"
	mv "$dir.tmp/tree" "$dir"
	rm -rf "$dir.tmp"
fi
echo "$dir"
