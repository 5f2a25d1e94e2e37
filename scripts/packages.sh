#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Build the Debian packages, for Debian 12 and Debian 13, in the cache; prints the directory that
# has bookworm/*.deb and trixie/*.deb, and the source package beside them.
#
#   packages.sh [SUITE...]     only for these
#
# Built in clean roots (root.sh), without network: what comes from Debian's sources, iproute2 and
# the headers of strongSwan, goes into the source package. The same tree makes the same packages,
# octet by octet, out of the same root. What lintian says ends it.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

SUITES=(bookworm trixie)
DEBIAN=$ROOT/tools/packaging/debian
VERSION=$(sed -n 's/^PACKAGE_VERSION="\(.*\)"$/\1/p' "$ROOT/dkms.conf")
name=xfrm-ext_$VERSION
SOURCE_DATE_EPOCH=$(dpkg-parsechangelog -l "$DEBIAN/changelog" -S Timestamp)
export SOURCE_DATE_EPOCH

# Nothing of who, when and where
even_out() { # dir
	chmod -R u=rwX,go=rX "$1"
	find "$1" -print0 | xargs -0 touch -h -d "@$SOURCE_DATE_EPOCH"
}

archive() { # dir file
	even_out "$1"
	tar -C "$(dirname "$1")" --sort=name --owner=0 --group=0 --numeric-owner -cf - "$(basename "$1")" |
		xz -T1 >"$2"
}

# The tree as it is, without tests and what a build in it leaves
tree_files() {
	find . \( -path ./.git -o -path ./.ci -o -path ./findings -o -path ./tools/testing \
		-o -path ./Documentation/netlink/examples/build -o -name __pycache__ \) \
		-prune -o -type f -print |
		grep -vE '\.(o|ko|mod|mod\.c|cmd)$|/(Module\.symvers|modules\.order)$' | sort
}

# And what the packages have of others
assemble() { # dir suite
	local dir=$1 suite=$2 top=$1/xfrm-ext-$VERSION other headers source

	mkdir -p "$top" "$dir/strongswan"
	(cd "$ROOT" && tree_files) | rsync -a --files-from=- "$ROOT/" "$top/"
	archive "$top" "$dir/$name.orig.tar.xz"
	source=$("$ROOT/scripts/iproute2.sh" --source)
	cp "$source"/iproute2_*.orig.tar.xz "$dir/$name.orig-iproute2.tar.xz"
	for other in "${SUITES[@]}"; do
		headers=$(STRONGSWAN=$other "$ROOT/scripts/strongswan-plugin.sh" --headers)
		cp -r "$headers" "$dir/strongswan/$(sed -n 's/^#define VERSION "\(.*\)"/\1/p' "$headers/config.h")"
	done
	archive "$dir/strongswan" "$dir/$name.orig-strongswan.tar.xz"
	mv "$dir/strongswan" "$top/"
	tar -C "$top" -xf "$dir/$name.orig-iproute2.tar.xz"
	mv "$top"/iproute2-* "$top/iproute2"
	cp -r "$DEBIAN" "$top/debian"
	# The next Debian's package is the newer one
	case $suite in
	bookworm) sed -i '1s/)/~deb12u1)/' "$top/debian/"{changelog,*.NEWS} ;;
	trixie) sed -i '1s/)/~deb13u1)/' "$top/debian/"{changelog,*.NEWS} ;;
	esac
	even_out "$top/debian"
}

build() { # dir suite
	assemble "$1" "$2"
	cat >"$1/build" <<-EOF
		set -e
		cd /mnt/share/xfrm-ext-$VERSION
		dpkg-buildpackage -us -uc
		lintian --allow-root --info --display-info --fail-on error,warning ../*.changes
	EOF
	"$ROOT/scripts/root.sh" --run "build-$2" "$1" bash /mnt/share/build
	rm -rf "$1/build" "$1/xfrm-ext-$VERSION" "$1"/*-dbgsym_*.deb
}

if [[ ${1-} == --build ]]; then
	# In a shell of its own, where errexit holds
	build "$2" "$3"
	exit
fi

wanted=("$@")
((${#wanted[@]})) || wanted=("${SUITES[@]}")
key=$(cd "$ROOT" && tree_files | tr '\n' '\0' | xargs -0 sha256sum | hash_of)
dir=$CACHE/packages/$VERSION-$key
for suite in "${wanted[@]}"; do
	[[ " ${SUITES[*]} " == *" $suite "* ]] || die "suites: ${SUITES[*]}"
	# A root of its own, made first: it says so itself
	"$ROOT/scripts/root.sh" "build-$suite" >/dev/null
	if [[ ! -e $dir/$suite ]]; then
		lock "packages-$suite"
	fi
	if [[ ! -e $dir/$suite ]]; then
		log "building the packages for $suite: a minute or two"
		rm -rf "$dir/$suite.tmp"
		quietly "$CACHE/logs/packages-$suite.log" "$0" --build "$dir/$suite.tmp" "$suite" ||
			die "the packages for $suite do not build"
		mv "$dir/$suite.tmp" "$dir/$suite"
	fi
done
# What replaced others long ago
find "$CACHE/packages" -mindepth 1 -maxdepth 1 -mtime +7 -exec rm -rf {} +
touch "$dir"
echo "$dir"
