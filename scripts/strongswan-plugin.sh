#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Make the plugin of tools/strongswan for Debian's strongSwan available in the cache;
# prints a directory in which it is at the path where it belongs.
#
# There are no development packages. The headers come from Debian's source package of
# the daemon, which is configured as far as they depend on it: with mediation, as
# Debian has it, since interfaces have more methods then.
#
#   STRONGSWAN=SUITE   the daemon that this suite of Debian's has; bookworm if not said otherwise
#
#   strongswan-plugin.sh
#   strongswan-plugin.sh --source DIR FILE   for another daemon: make FILE with the
#                                            headers of its source, configured as it was
#   strongswan-plugin.sh --headers           fetch the headers only; print their directory
#
#   CC, CFLAGS, LDFLAGS     as usual
set -euo pipefail
. "$(dirname "$0")/lib.sh"

SUITE=${STRONGSWAN:-bookworm}
SRC=$ROOT/tools/strongswan
path=usr/lib/ipsec/plugins

source_of() { # suite
	local conf

	conf=$(debian_apt deb-src "$1") && apt-get -q -c "$conf" source strongswan
}

fetch() {
	local tmp=$1

	mkdir -p "$tmp"
	cd "$tmp"
	# A mirror may have the packages of a security update, and not their source
	source_of "$SUITE" || source_of "$SUITE-security"
	cd strongswan-*/
	grep -q -- --enable-mediation debian/rules
	./configure --quiet --disable-defaults --enable-charon --enable-ikev2 --enable-mediation
	cd ..
	mkdir -p headers/src
	cp strongswan-*/config.h headers/
	(cd strongswan-*/ && find src/libstrongswan src/libcharon -name '*.h' -print0 |
		xargs -0 cp --parents -t "$tmp/headers")
	rm -rf strongswan-* strongswan_*
}

# strongSwan has conversions of its own for printf, of which gcc does not know
compile() { # directory-of-source file
	# shellcheck disable=SC2086 # words
	"${CC:-gcc}" ${CFLAGS:--O2 -g} -Wall -Werror -Wno-format -Wno-format-security \
		-Wno-pointer-sign -fPIC -shared \
		-include "$1/config.h" -I "$1/src/libstrongswan" -I "$1/src/libcharon" \
		-I "$ROOT/include/uapi" "$SRC"/*.c -o "$2" ${LDFLAGS-}
}

build() {
	mkdir -p "$1/$path"
	compile "$2" "$1/$path/libstrongswan-xfrm-ext.so"
}

case ${1-} in
--source)
	(($# == 3)) || die "needs --source DIR FILE"
	compile "$2" "$3"
	exit
	;;
--fetch | --build)
	# In a shell of its own, where errexit holds
	"${1#--}" "${@:2}"
	exit
	;;
esac

headers=$CACHE/strongswan-headers-$SUITE-$(sed -n '/^source_of()/,/^compile()/p' "$0" | hash_of)
dir=$CACHE/strongswan-plugin-$SUITE-$(cat "$0" "$SRC"/*.[ch] "$ROOT/include/uapi/linux/xfrm_ext.h" | hash_of)
if [[ ! -e $dir ]]; then
	lock "strongswan-plugin-$SUITE"
fi
if [[ ! -e $headers ]]; then
	log "fetching strongSwan's headers from $SUITE's source"
	rm -rf "$headers.tmp"
	quietly "$CACHE/logs/fetch-strongswan-headers-$SUITE.log" "$0" --fetch "$headers.tmp" ||
		die "cannot fetch strongSwan's headers"
	mv "$headers.tmp/headers" "$headers"
	rm -rf "$headers.tmp"
fi
if [[ ${1-} == --headers ]]; then
	echo "$headers"
	exit
fi
if [[ ! -e $dir ]]; then
	rm -rf "$dir.tmp"
	quietly "$CACHE/logs/build-strongswan-plugin-$SUITE.log" "$0" --build "$dir.tmp" "$headers" ||
		die "cannot build the plugin"
	mv "$dir.tmp" "$dir"
fi
echo "$dir"
