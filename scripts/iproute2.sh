#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Build iproute2 with the patches that teach "ip xfrm" extended SAs.
#
#   iproute2.sh [VERSION]          build if need be; print the prefix it is in
#   iproute2.sh [VERSION] --install PREFIX   ... and copy it to PREFIX (default
#                                  /opt/xfrm_ext); print that one
#   iproute2.sh --compile DIR PREFIX   make ip of the unpacked source in DIR, into PREFIX;
#                                      CFLAGS and LDFLAGS as usual. For packages
#   iproute2.sh --source           fetch Debian 12's source package; print the directory
#   iproute2.sh --list             the versions that there are patches for
#
# VERSION, or IPROUTE2=VERSION in the environment, is one of these; default 6.1.0, Debian 12's.
# A prefix has sbin/ip, sbin/tc and the manual page ip-xfrm.8. The system's own ip is
# never touched. Needs no root, except for --install into a place that needs it.
#
# 6.1.0 comes from the Debian mirror that this machine's apt uses (see debian_mirrors in
# lib.sh), or XFRM_EXT_DEBIAN_MIRROR=URL. The others are tags of upstream's git repository, or
# IPROUTE2_GIT=URL, and have to be the commit that patches/iproute2/VERSION/series names.
# IPROUTE2_SRC=DIR is unpacked source that is there already, of whatever version: it gets the
# patches of VERSION, by default those that fit it best.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

SELF=$ROOT/scripts/iproute2.sh
DEFAULT=6.1.0
ALL_PATCHES=$ROOT/patches/iproute2
UPSTREAM='https://git.kernel.org/pub/scm/network/iproute2/iproute2.git
	https://github.com/iproute2/iproute2.git'
HEADER=$ROOT/include/uapi/linux/xfrm_ext.h
# What parses and prints, of which xfrm-ext is made as well; the patches have the hooks
SHARED=("$ROOT"/tools/xfrm-ext/xfrm_ext*.[ch])

usage() {
	die "usage: iproute2.sh [VERSION] [--install [PREFIX]] | --compile DIR PREFIX | --source | --list"
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
	[[ ! $commit || ${IPROUTE2_SRC-} ]] || command -v git >/dev/null || missing+=(git)
	((!${#missing[@]})) ||
		die "missing packages: ${missing[*]} (apt-get install ${missing[*]})"
}

versions() {
	find "$ALL_PATCHES" -mindepth 1 -maxdepth 1 -printf '%f\n' | sort -V
}

# How unpacked source calls itself
version_of() { # directory
	sed -n 's/^static const char version\[\] = "\(.*\)";$/\1/p' "$1/include/version.h" 2>/dev/null ||
		true
}

# The newest series whose first version is not later than this one
series_for() { # version
	local version first best=''

	for version in $(versions); do
		first=$(head_says from "$ALL_PATCHES/$version/series")
		[[ $(printf '%s\n' "$first" "$1" | sort -V | tail -n 1) != "$1" ]] || best=$version
	done
	echo "${best:-$DEFAULT}"
}

# What is known of a version, from the head of its series: where its source comes from
choose() { # version
	[[ -e $ALL_PATCHES/$1/series ]] ||
		die "no patches for iproute2 $1: there are some for $(versions | paste -s -d ' '); IPROUTE2_SRC=DIR takes the nearest"
	version=$1
	patches=$ALL_PATCHES/$version
	# Debian's suite, and the version of its source package
	read -r suite package <<<"$(head_says debian "$patches/series")"
	read -r tag commit <<<"$(head_says tag "$patches/series")"
	source=$CACHE/iproute2/source-${package:-$version}
	logfile=$CACHE/logs/iproute2-$version.log
}

series() {
	sed 's/#.*//; /^[[:space:]]*$/d' "$patches/series"
}

fetch() {
	rm -rf "$source.tmp"
	mkdir -p "$source.tmp"
	cd "$source.tmp"
	if [[ $package ]]; then
		fetch_package
	else
		fetch_tag
	fi
	cd /
	mv "$source.tmp" "$source"
}

fetch_package() {
	local conf

	conf=$(debian_apt deb-src "$suite")
	apt-get -q -c "$conf" source --download-only "iproute2=$package"
}

# Whoever the repository belongs to: it is the commit or it is not
fetch_tag() {
	local url

	git -c init.defaultBranch=main init -q .
	for url in ${IPROUTE2_GIT:-$UPSTREAM}; do
		git fetch -q --depth 1 "$url" "refs/tags/$tag" || continue
		if [[ $(git rev-parse "FETCH_HEAD^{commit}") == "$commit" ]]; then
			git checkout -q "$commit"
			rm -rf .git
			return
		fi
		echo "$url: $tag is not the commit $commit"
	done
	return 1
}

# After a failure
why_not() {
	if [[ ! ${IPROUTE2_SRC-} && ! -d $source ]]; then
		echo "the source of iproute2 $version cannot be fetched: IPROUTE2_SRC=DIR takes unpacked source${commit:+, IPROUTE2_GIT=URL another repository}"
	elif grep -q 'hunks\? FAILED' "$logfile"; then
		echo "the patches for iproute2 $version do not apply to $name: see $logfile, and choose others by IPROUTE2=VERSION ($(versions | paste -s -d ' '))"
	else
		echo "iproute2 $name does not build: see $logfile"
	fi
}

build() { # work
	if [[ ${IPROUTE2_SRC-} ]]; then
		cp -a "$IPROUTE2_SRC" "$1/src"
		# Built by somebody, with other settings
		[[ ! -e $1/src/config.mk ]] || make -C "$1/src" distclean
	elif [[ $package ]]; then
		dpkg-source -x "$source/iproute2_$package.dsc" "$1/src"
	else
		cp -a "$source" "$1/src"
	fi
	compile "$1/src" "$1/out" ip tc
}

compile() { # source prefix program...
	local src=$1 prefix=$2 name flags=()

	shift 2

	cd "$src"
	while read -r name; do
		echo "applying $name"
		patch -p1 --fuzz=0 <"$patches/$name"
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

asked=${IPROUTE2-} theirs=''
if [[ ${1-} == [0-9]* ]]; then
	asked=$1
	shift
fi
if [[ ${IPROUTE2_SRC-} ]]; then
	IPROUTE2_SRC=$(realpath "$IPROUTE2_SRC")
	export IPROUTE2_SRC
	theirs=$(version_of "$IPROUTE2_SRC")
	[[ $theirs ]] || die "$IPROUTE2_SRC is no source of iproute2: it has no include/version.h"
	: "${asked:=$(series_for "$theirs")}"
fi
choose "${asked:-$DEFAULT}"
name=${theirs:-${package:-$version}}

target=
case ${1-} in
--build)
	# In a shell of its own, where errexit holds
	if [[ ! ${IPROUTE2_SRC-} && ! -d $source ]]; then
		fetch
	fi
	build "$2"
	exit
	;;
--source)
	choose "$DEFAULT"
	lock iproute2
	[[ -d $source ]] || quietly "$logfile" "$SELF" "$version" --fetch || die "cannot fetch iproute2's source"
	echo "$source"
	exit
	;;
--fetch)
	fetch
	exit
	;;
--compile)
	(($# == 3)) || usage
	choose "$(series_for "$(version_of "$2")")"
	compile "$2" "$3" ip
	exit
	;;
--list)
	versions
	exit
	;;
--install)
	(($# <= 2)) || usage
	target=${2:-/opt/xfrm_ext}
	;;
'') ;;
*) usage ;;
esac

key=$( (echo "${package:-$version}"; cat "$patches/series"; cd "$patches"; series | xargs cat;
	cat "$HEADER" "${SHARED[@]}" "$SELF"
	[[ ! ${IPROUTE2_SRC-} ]] || find "$IPROUTE2_SRC" -type f -exec sha256sum {} + | sort
	) | sha256sum | cut -c1-12)
prefix=$CACHE/iproute2/$name-$key

if [[ ! -e $prefix/sbin/tc || ! -e $prefix/sbin/ip ]]; then
	check_needs
	lock iproute2
fi
if [[ ! -e $prefix/sbin/tc || ! -e $prefix/sbin/ip ]]; then
	log "building iproute2 $name with ip xfrm ... ext: about half a minute, once"
	work=$(mktemp -d "$CACHE/iproute2-build.XXXXXX")
	trap 'rm -rf "$work"' EXIT
	quietly "$logfile" "$SELF" "$version" --build "$work" || die "$(why_not)"
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
