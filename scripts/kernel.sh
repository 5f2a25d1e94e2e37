#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Make a kernel available in the cache and say where it is.
#
#   kernel.sh NAME             prints lines that a shell can eval:
#                                release=  what uname -r says in the guest
#                                vmlinuz=  what QEMU boots; for UML the program
#                                kdir=     build directory for external modules
#                                modules=  its lib/modules/<release>
#                                arch=     x86, or um for User-mode Linux
#                                built=    1 if we built it: everything built in
#                                tried=    0 if nobody has looked at it yet: modules that
#                                          tests want may be missing
#                                factor=   how many times slower tests may be
#                                broot=    root in which modules for it are built, by the
#                                          compiler there (root.sh --in); empty: here
#   kernel.sh --newest NAME    the same, and what has been fetched before is replaced if the
#                              archive has a newer one; *-trixie and debian-* only
#   kernel.sh --source NAME    prints the archive of the source of one that we build
#   kernel.sh --list [WORD...] expands words to names, one a line: a name stands
#                              for itself, a version for all its kernels
#                              (6.1 -> 6.1-cloud ...), nothing for every kernel; but
#                              *-bench, which "make bench" measures on, by name only
#
# A name that is not in the table: debian-SUITE is the newest kernel for clouds of any suite of
# Debian's (debian-sid, debian-experimental, debian-trixie-backports), debian-SUITE-7.2 its
# newest 7.2.
#
# The stock kernels are Debian's own image packages; they are unpacked, not installed.
# Those of Debian 12 itself have the version of the headers packages that are installed
# on this machine. Of a suite whose C library is newer than this machine's the compiler
# comes along, unpacked as well ("root"). The others are built from Debian's kernel sources,
# with fragments from tools/testing/qemu on top of allnoconfig.
#
# What comes from another suite of Debian is the newest there when it is first asked
# for, and stays so until it is removed from the cache.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

# name		how	suite			package				factor	configuration
# (what is "root" has the kernel's version for a package)
KERNELS_TABLE='
6.1-cloud	stock	-			linux-headers-cloud-amd64	1
6.1-amd64	stock	-			linux-headers-amd64		1
6.1-debug	built	-			linux-source-6.1		5	base pc debug
6.12-cloud	stock	bookworm-backports	linux-headers-cloud-amd64	1
6.12-trixie	root	trixie			6.12				1
7.3-kcsan	built	trixie-backports	linux-source-7.3		1	base pc kcsan
7.3-uml		built	trixie-backports	linux-source-7.3		1	base uml
7.3-bench	built	trixie-backports	linux-source-7.3		1	base pc bench
7.3-uml-bench	built	trixie-backports	linux-source-7.3		1	base uml xdp
'

# debian-SUITE and debian-SUITE-VERSION
SUITE_NAME='^debian-([a-z]+(-[a-z]+)*)(-([0-9][0-9.]*))?$'

list() {
	local word name rest found

	(($#)) || set -- ''
	for word; do
		if [[ $word =~ $SUITE_NAME ]]; then
			echo "$word"
			continue
		fi
		found=
		while read -r name rest; do
			[[ $name ]] || continue
			[[ $name == "$word" || $name != *-bench ]] || continue
			[[ -z $word || $name == "$word" || $name == "$word"-* ]] || continue
			found=1
			echo "$name"
		done <<<"$KERNELS_TABLE"
		[[ $found ]] || die "unknown kernel '$word'; known: $(list | tr '\n' ' ')"
	done
}

package_version() {
	local version

	version=$(dpkg-query -W -f '${db:Status-Abbrev}${Version}' "$1" 2>/dev/null) || true
	[[ $version == ii* ]] || die "package $1 is not installed: run scripts/setup.sh"
	echo "${version#ii }"
}

answer() {
	printf '%s=%q\n' release "$1" vmlinuz "$2" kdir "$3" modules "$4" arch "$ARCH" \
		built "$5" tried "$TRIED" factor "$FACTOR" broot "${6-}"
}

# The image as a package has it, ready for depmod and QEMU
unpack_image() {
	local tmp=$1 release=$2

	dpkg-deb -x "$tmp/linux-image-$release"_*.deb "$tmp"
	rm -rf "$tmp"/linux-image-*.deb "${tmp:?}/usr/share"
	depmod -b "$tmp" "$release"
	touch "$tmp/ready"
}

stock() {
	local meta=$1 version release dir tmp

	version=$(package_version "$meta")
	# linux-headers-amd64 depends on linux-headers-<release> and no other
	release=$(dpkg-query -W -f '${Depends}' "$meta")
	release=${release#linux-headers-}
	release=${release%% *}
	dir=$CACHE/kernels/$release-$version

	if [[ ! -e $dir/ready ]]; then
		log "fetching Debian's linux-image-$release $version"
		tmp=$dir.tmp
		rm -rf "$tmp" "$dir"
		mkdir -p "$tmp"
		cd "$tmp"
		quietly "$CACHE/logs/fetch-$release.log" fetch_deb "linux-image-$release=$version" ||
			die "cannot fetch linux-image-$release $version; if the archive has moved on, upgrade $meta"
		unpack_image "$tmp" "$release"
		cd /
		mv "$tmp" "$dir"
	fi
	answer "$release" "$dir/boot/vmlinuz-$release" "/usr/src/linux-headers-$release" \
	       "$dir/lib/modules/$release" 0
}

# Image, headers and the headers' tools, none of them installed
fetch_stock() {
	local meta=$1 suite=$2 tmp=$3 conf release deb

	conf=$(debian_apt deb "$suite")
	release=$(apt-cache -c "$conf" show --no-all-versions "$meta" |
		sed -n 's/^Depends: linux-headers-\([^ ]*\).*/\1/p')
	mkdir -p "$tmp"
	cd "$tmp"
	apt-get -q -c "$conf" download "linux-image-$release" "linux-headers-$release" \
		"linux-headers-${release%-cloud-amd64}-common" "linux-kbuild-${release%-cloud-amd64}"
	for deb in linux-headers-*.deb linux-kbuild-*.deb; do
		dpkg-deb -x "$deb" .
		rm "$deb"
	done
	# The only absolute path in there; where the directory will be in the end
	sed -i "s,/usr/src/,${tmp%.tmp}/usr/src/," "usr/src/linux-headers-$release/Makefile"
	unpack_image "$tmp" "$release"
	echo "$release" >release
}

stock_from() {
	local meta=$1 suite=$2 dir=$CACHE/kernels/$NAME release

	if [[ ! -e $dir/ready ]]; then
		log "fetching the $NAME kernel from $suite"
		rm -rf "$dir" "$dir.tmp"
		quietly "$CACHE/logs/fetch-$NAME.log" \
			"$0" --run fetch_stock "$meta" "$suite" "$dir.tmp" ||
			die "cannot fetch the $NAME kernel"
		mv "$dir.tmp" "$dir"
	fi
	release=$(<"$dir/release")
	answer "$release" "$dir/boot/vmlinuz-$release" "$dir/usr/src/linux-headers-$release" \
	       "$dir/lib/modules/$release" 0
}

# The suites in which a suite's kernels, and what they are built with, are found
family() { # suite
	case $1 in
	sid | unstable) echo "$1" ;;
	experimental) echo experimental sid ;;
	*-backports) echo "$1" "${1%-backports}" ;;
	*) echo "$1" "$1-updates" "$1-security" ;;
	esac
}

known() { # conf apt-cache's-words...
	apt-cache -c "$1" -o Dir::State::status=/dev/null "${@:2}"
}

# Each has headers packages of its own, but not each suite one that depends on the newest
newest_release() { # conf version
	local version=${2:-[0-9]+}

	known "$1" pkgnames linux-headers- |
		sed -nE "s/^linux-headers-(${version//./\\.}([^0-9].*)?-cloud-amd64)\$/\1/p" |
		sort -V | tail -n 1
}

# One root with the kernel, its headers, their tools, the compiler and what make calls
fetch_root() { # conf release dir
	local conf=$1 release=$2 tmp=$3 image=linux-image-$2 names deb

	# It is signed some days later than built
	known "$conf" pkgnames "$image" | grep -xF "$image" || image+=-unsigned
	mkdir -p "$tmp/debs"
	cd "$tmp/debs"
	with_dependencies "$conf" "$image" "linux-headers-$release" \
		bash coreutils dash diffutils findutils gawk grep make perl python3 sed >../names
	mapfile -t names <../names
	((${#names[@]}))
	apt-get -q -c "$conf" download "${names[@]}"
	cd ..
	# The first has the links from /bin to /usr/bin and the like
	for deb in debs/base-files_*.deb debs/*.deb; do
		dpkg-deb -x "$deb" .
	done
	rm -rf debs names usr/share/{doc,locale,man}
	ln -sf gawk usr/bin/awk
	depmod -b . "$release"
	echo "$release" >release
}

# Of all that has been fetched one is in use: NAME links to it
root() { # suite version
	local suite=$1 version=$2 link=$CACHE/kernels/$NAME conf release dir vmlinuz

	if [[ $NEWEST || ! -e $link ]]; then
		# shellcheck disable=SC2046 # words
		conf=$(debian_apt deb $(family "$suite")) || die "cannot look for the newest kernel of $suite"
		release=$(newest_release "$conf" "$version")
		[[ $release ]] || die "$suite has no kernel $version for clouds"
		dir=$link@$(known "$conf" show --no-all-versions "linux-headers-$release" |
			sed -n 's/^Version: //p')
		if [[ ! -e $dir ]]; then
			log "fetching $release and its compiler from $suite"
			rm -rf "$dir.tmp"
			quietly "$CACHE/logs/fetch-$NAME.log" \
				"$0" --run fetch_root "$conf" "$release" "$dir.tmp" ||
				die "cannot fetch $release of $suite"
			mv "$dir.tmp" "$dir"
		fi
		ln -sfn "${dir##*/}" "$link"
		find "$CACHE/kernels" -maxdepth 1 -path "$link@*" ! -path "$dir" -exec rm -rf {} +
	fi
	dir=$(realpath "$link")
	release=$(<"$dir/release")
	# Since 7.2 or so it is beside the modules
	vmlinuz=$dir/boot/vmlinuz-$release
	[[ -e $vmlinuz ]] || vmlinuz=$dir/lib/modules/$release/vmlinuz
	answer "$release" "$vmlinuz" "$dir/usr/src/linux-headers-$release" \
	       "$dir/lib/modules/$release" 0 "$dir"
}

# Every symbol of the fragments must have survived the dependencies.
check_config() {
	local line sym lost=()

	while read -r line; do
		[[ $line == CONFIG_* ]] || continue
		sym=${line%%=*}
		if [[ $line == *=n ]]; then
			! grep -q "^$sym=" "$1" || lost+=("$line")
		else
			grep -qxF "$line" "$1" || lost+=("$line")
		fi
	done < <(cat "${@:2}")
	((!${#lost[@]})) || die "not in the kernel's configuration: ${lost[*]}"
}

# What an external module's build reads, out of a built kernel tree.
keep_build_dir() {
	local src=$1 dst=$2

	mkdir -p "$dst"
	(
		cd "$src"
		find . -maxdepth 1 \( -name 'Makefile*' -o -name 'Kconfig*' -o -name Kbuild \)
		find arch/x86 arch/um -name 'Makefile*' -o -name '*.h'
		find scripts include arch/x86/include arch/x86/tools -not -type d
		find tools/objtool -name objtool -type f
		ls .config Module.symvers
	) | sort -u | rsync -a --files-from=- "$src/" "$dst/"
	# Asked for, but there is none: W=1 warns
	mkdir -p "$dst"/arch/um/include/{,generated/}uapi
}

# With KCSAN only modules of ours are to be watched: the kernel's own races are not our
# business, and checking each of its accesses would make guests several times slower.
# What implements locks tells KCSAN of its barriers all the same.
kcsan_args() {
	local object

	echo KCSAN_SANITIZE=n
	for object in spinlock mutex qspinlock qrwlock rwsem rtmutex_api refcount rhashtable \
		tree tree_stall update srcutree kthread workqueue; do
		echo "KCSAN_INSTRUMENT_BARRIERS_$object.o=y"
	done
}

build() {
	local tarball=$1 work=$2 dir=$3 arch=$4
	local make=(make -C "$work/src" "-j$(nproc)" "ARCH=$arch")
	local fragments=("${@:5}") image release

	mkdir -p "$work/src"
	tar -C "$work/src" --strip-components=1 -xf "$tarball"
	"${make[@]}" allnoconfig
	(cd "$work/src" && scripts/kconfig/merge_config.sh -m .config "${fragments[@]}")
	"${make[@]}" olddefconfig
	check_config "$work/src/.config" "${fragments[@]}"
	if grep -qx CONFIG_KCSAN=y "$work/src/.config"; then
		mapfile -t -O "${#make[@]}" make < <(kcsan_args)
	fi
	case $arch in
	um) image=linux ;;
	*) image=bzImage ;;
	esac
	# The Debian source is no git tree, but the cache may lie inside one.
	"${make[@]}" LOCALVERSION= "$image" modules
	keep_build_dir "$work/src" "$dir/build"
	case $arch in
	um) strip -g -o "$dir/vmlinuz" "$work/src/linux" ;;
	*) cp "$work/src/arch/x86/boot/bzImage" "$dir/vmlinuz" ;;
	esac
	release=$(<"$work/src/include/config/kernel.release")
	mkdir -p "$dir/lib/modules/$release"
	cp "$work/src"/modules.{order,builtin,builtin.modinfo} "$dir/lib/modules/$release/"
	depmod -b "$dir" "$release"
	echo "$release" >"$dir/release"
}

fetch_source() {
	local pkg=$1 suite=$2 tmp=$3 conf

	conf=$(debian_apt deb "$suite")
	mkdir -p "$tmp"
	cd "$tmp"
	apt-get -q -c "$conf" download "$pkg"
	dpkg-deb -f "$pkg"_*.deb Version >version
	dpkg-deb --fsys-tarfile "$pkg"_*.deb |
		tar -x --strip-components=3 "./usr/src/$pkg.tar.xz"
	rm "$pkg"_*.deb
}

# Sets version and tarball
source_of() { # package suite
	local pkg=$1 suite=$2 source=$CACHE/sources/$1

	if [[ $suite == - ]]; then
		version=$(package_version "$pkg")
		tarball=/usr/src/$pkg.tar.xz
	else
		# Not to be held for as long as the build takes
		[[ -e $source ]] || (
			lock "source-$pkg"
			[[ ! -e $source ]] || exit 0
			log "fetching $pkg from $suite"
			rm -rf "$source.tmp"
			quietly "$CACHE/logs/fetch-$pkg.log" \
				"$0" --run fetch_source "$pkg" "$suite" "$source.tmp" ||
				die "cannot fetch $pkg"
			mv "$source.tmp" "$source"
		)
		version=$(<"$source/version")
		tarball=$source/$pkg.tar.xz
	fi
}

built() {
	local pkg=$1 suite=$2 version key dir tmp name fragments=() release tarball

	source_of "$pkg" "$suite"
	shift 2
	for name; do
		fragments+=("$ROOT/tools/testing/qemu/$name.config")
	done
	key=$( (echo "$version"; gcc --version; grep -h ^CONFIG_ "${fragments[@]}") | hash_of)
	dir=$CACHE/kernels/$NAME-$key

	# One is used while another, of other options, is built
	[[ -e $dir/ready ]] || lock "kernel-$NAME"
	if [[ ! -e $dir/ready ]]; then
		log "building the $NAME kernel from $pkg $version: some 10 minutes on two cores, once"
		tmp=$dir.tmp
		rm -rf "$tmp" "$dir"
		mkdir -p "$tmp/out"
		# In a shell of its own: errexit would be off inside "build || die"
		quietly "$CACHE/logs/build-$NAME.log" \
			"$0" --run build "$tarball" "$tmp" "$tmp/out" "$ARCH" "${fragments[@]}" ||
			die "the $NAME kernel does not build"
		touch "$tmp/out/ready"
		mv "$tmp/out" "$dir"
		rm -rf "$tmp"
	fi
	release=$(<"$dir/release")
	answer "$release" "$dir/vmlinuz" "$dir/build" "$dir/lib/modules/$release" 1
}

NEWEST=''
case ${1-} in
--list)
	shift
	list "$@"
	exit
	;;
--run)
	shift
	"$@"
	exit
	;;
--source)
	shift
	only_source=1
	;;
--newest)
	NEWEST=1
	shift
	;;
esac
case ${1-} in
'' | -*)
	die "usage: kernel.sh [--newest|--source] NAME | --list [WORD...]; known: $(list | tr '\n' ' ')"
	;;
esac

NAME=$1 TRIED=1
row=$(awk -v n="$NAME" '$1 == n' <<<"$KERNELS_TABLE")
if [[ $NAME =~ $SUITE_NAME ]]; then
	row="$NAME root ${BASH_REMATCH[1]} ${BASH_REMATCH[4]:--} 1"
	TRIED=0
fi
[[ $row ]] || die "unknown kernel '$NAME'; known: $(list | tr '\n' ' ')"
read -r _ how suite pkg FACTOR config <<<"$row"
read -r -a config <<<"$config"
if [[ ${only_source-} ]]; then
	[[ $how == built ]] || die "$NAME is not built here, and has no source"
	source_of "$pkg" "$suite"
	echo "$tarball"
	exit
fi
case $NAME in
*-uml | *-uml-bench) ARCH=um ;;
*) ARCH=x86 ;;
esac
[[ ! $NEWEST || $how == root ]] || die "$NAME is not fetched anew by --newest"
[[ $how == built ]] || lock "kernel-$NAME"
case $how-$suite in
stock--) stock "$pkg" ;;
stock-*) stock_from "$pkg" "$suite" ;;
root-*) root "$suite" "${pkg#-}" ;;
built-*) built "$pkg" "$suite" "${config[@]}" ;;
esac
