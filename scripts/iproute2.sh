#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Build Debian's iproute2 with the patches that teach "ip xfrm" extended SAs.
#
#   iproute2.sh                    build if need be; print the prefix it is in
#   iproute2.sh --install PREFIX   ... and copy it to PREFIX (default /opt/xfrm_ext);
#                                  print that one
#   iproute2.sh --compile DIR PREFIX   make ip of the unpacked source in DIR, into PREFIX;
#                                      CFLAGS and LDFLAGS as usual. For packages
#   iproute2.sh --source           fetch Debian's source package; print the directory
#
# A prefix has sbin/ip, sbin/tc and the manual page ip-xfrm.8. The system's own ip is
# never touched. Needs no root, except for --install into a place that needs it.
#
# The source comes from the Debian mirror that this machine's apt uses (see
# debian_mirrors in lib.sh), or XFRM_EXT_DEBIAN_MIRROR=URL.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

SELF=$ROOT/scripts/iproute2.sh
VERSION=6.1.0-3		# of Debian's source package
SUITE=bookworm
PATCHES=$ROOT/patches/iproute2/${VERSION%-*}
HEADER=$ROOT/include/uapi/linux/xfrm_ext.h
# What parses and prints, of which xfrm-ext is made as well; the patches have the hooks
SHARED=("$ROOT"/tools/xfrm-ext/xfrm_ext*.[ch])
SOURCE=$CACHE/iproute2/source-$VERSION
LOG=$CACHE/logs/iproute2.log

usage() {
	die "usage: iproute2.sh [--install [PREFIX] | --compile DIR PREFIX | --source]"
}

# What must be there: a command or file, and the package that has it.
check_needs() {
	local what pkg missing=()

	while read -r what pkg; do
		case $what in
		/*) [[ -e $what ]] ;;
		*.pc) pkg-config --exists "${what%.pc}" 2>/dev/null ;;
		*) command -v "$what" >/dev/null ;;
		esac || missing+=("$pkg")
	done <<-END
		gcc		gcc
		make		make
		bison		bison
		flex		flex
		patch		patch
		xz		xz-utils
		dpkg-source	dpkg-dev
		pkg-config	pkg-config
		libmnl.pc	libmnl-dev
		/usr/include/stdio.h	libc6-dev
	END
	((!${#missing[@]})) ||
		die "missing packages: ${missing[*]} (apt-get install ${missing[*]})"
}

series() {
	sed 's/#.*//; /^[[:space:]]*$/d' "$PATCHES/series"
}

fetch() {
	local conf

	conf=$(debian_apt deb-src "$SUITE")
	mkdir -p "$SOURCE.tmp"
	cd "$SOURCE.tmp"
	apt-get -q -c "$conf" source --download-only "iproute2=$VERSION"
	cd /
	mv "$SOURCE.tmp" "$SOURCE"
}

build() {
	dpkg-source -x "$SOURCE/iproute2_$VERSION.dsc" "$1/src"
	compile "$1/src" "$2" ip tc
}

compile() { # source prefix program...
	local src=$1 prefix=$2 name flags=()

	shift 2

	cd "$src"
	while read -r name; do
		echo "applying $name"
		patch -p1 --fuzz=0 <"$PATCHES/$name"
	done < <(series)
	cp "$HEADER" include/uapi/linux/
	cp "${SHARED[@]}" ip/

	# libmnl only, whatever else is installed here: the result shall be the same
	# everywhere and run with few libraries.
	mkdir pkgconfig
	ln -s "$(pkg-config --variable=pcfiledir libmnl)/libmnl.pc" pkgconfig/
	PKG_CONFIG_LIBDIR=$src/pkgconfig ./configure --libbpf_force off
	# Whatever else is in the environment, they are for all of it
	[[ ! ${CFLAGS-} ]] || flags=("CCOPTS=$CFLAGS")
	env -u CFLAGS make "-j$(nproc)" SUBDIRS="lib $*" NETNS_RUN_DIR=/run/netns "${flags[@]}"

	for name; do
		install -D -m 755 -t "$prefix/sbin" "$name/$name"
	done
	install -D -m 644 -t "$prefix/share/man/man8" man/man8/ip-xfrm.8
}

target=
case ${1-} in
--build)
	# In a shell of its own, where errexit holds
	if [[ ! -d $SOURCE ]]; then
		fetch
	fi
	build "$2" "$3"
	exit
	;;
--source)
	lock iproute2
	[[ -d $SOURCE ]] || quietly "$LOG" "$SELF" --fetch || die "cannot fetch iproute2's source"
	echo "$SOURCE"
	exit
	;;
--fetch)
	fetch
	exit
	;;
--compile)
	(($# == 3)) || usage
	compile "$2" "$3" ip
	exit
	;;
--install)
	(($# <= 2)) || usage
	target=${2:-/opt/xfrm_ext}
	;;
'') ;;
*) usage ;;
esac

key=$( (echo "$VERSION"; cat "$PATCHES/series"; cd "$PATCHES"; series | xargs cat;
	cat "$HEADER" "${SHARED[@]}" "$SELF") | sha256sum | cut -c1-12)
prefix=$CACHE/iproute2/$VERSION-$key

if [[ ! -e $prefix/sbin/tc || ! -e $prefix/sbin/ip ]]; then
	check_needs
	lock iproute2
fi
if [[ ! -e $prefix/sbin/tc || ! -e $prefix/sbin/ip ]]; then
	log "building iproute2 $VERSION with ip xfrm ... ext: about half a minute, once"
	work=$(mktemp -d "$CACHE/iproute2-build.XXXXXX")
	trap 'rm -rf "$work"' EXIT
	quietly "$LOG" "$SELF" --build "$work" "$work/out" || die "iproute2 does not build"
	rm -rf "$prefix"
	mkdir -p "$(dirname "$prefix")"
	mv "$work/out" "$prefix"
fi

if [[ $target ]]; then
	mkdir -p "$target"
	cp -r --remove-destination "$prefix/." "$target/"
	prefix=$(cd "$target" && pwd)
fi
echo "$prefix"
