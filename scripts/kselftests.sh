#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Make the kernel's own tests of the network, tools/testing/selftests/net, available in the cache,
# out of Debian's archive of the very kernel's source, as they are: for guests of that kernel.
# Prints a directory in which all is at the path where it belongs:
#
#   /usr/lib/kselftests/selftests     the scripts; ipsec and nettest, compiled
#   /usr/lib/kselftests/bin           what they call and a guest has not, of Debian's packages; and
#                                     an ip that has not heard of extended SAs
#   /usr/lib/kselftests/unshare.so    see tools/testing/selftests/peers-unshare.c
#   /usr/lib/modules/RELEASE/extra    the kernel's modules that they need. For a kernel of ours
#                                     these are compiled from the same source: nothing that is
#                                     built into it, as options of its configuration would be
#
#   KERNEL=NAME    which one, 7.3-uml if not said otherwise; 6.1-cloud
#
# It stays until it is removed from the cache or something that it is made of changes.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

KERNEL=${KERNEL:-7.3-uml}
PRELOAD=$ROOT/tools/testing/selftests/peers-unshare.c

# Debian 12's, with what they are linked with. For most of these the guest has busybox, which
# lacks options that the scripts use.
PACKAGES=(
	coreutils diffutils findutils procps socat netcat-openbsd iptables jq
	libbpf1 libelf1 libmnl0 libbsd0 libcap2 libselinux1
)
PROGRAMS=(
	basename cat chmod comm cp cut dirname du head id ls md5sum mkdir mktemp nproc
	readlink realpath rm seq sha1sum sleep sort stat stdbuf tail tee touch tr uname wc
	ip tc bridge ss
	cmp diff find xargs ps pgrep pkill sysctl jq socat nc.openbsd
	iptables-nft iptables-nft-restore iptables-nft-save
	ip6tables-nft ip6tables-nft-restore ip6tables-nft-save
)

# Of kernels of ours: where the source is, and the module's name if the file's is taken
OURS='
net/netfilter/nft_log
net/netfilter/nf_log_syslog
net/netfilter/x_tables
net/netfilter/xt_policy
net/netfilter/nft_compat
net/ipv4/ah4
lib/crypto/md5		libmd5
lib/crypto/des		libdes
crypto/md5
crypto/des_generic
crypto/cast_common
crypto/cast5_generic
crypto/blowfish_common
crypto/blowfish_generic
crypto/serpent_generic
crypto/camellia_generic
crypto/twofish_common
crypto/twofish_generic'
# Of stock kernels, beside what guest-modules.txt has
STOCK=(
	xt_policy nft_compat nft_objref nf_log_syslog ah4 ipcomp ipip ip6_tunnel deflate rmd160
	des_generic cast5_generic blowfish_generic serpent_generic camellia_generic twofish_generic
)

lib=usr/lib/x86_64-linux-gnu
home=usr/lib/kselftests

# --- Debian's programs ----------------------------------------------------------

fetch_programs() {
	local tmp=$1 conf deb name path names files=()

	conf=$(debian_apt deb bookworm bookworm-backports)
	mkdir -p "$tmp/all" "$tmp/tree/$home/bin" "$tmp/tree/$lib"
	cd "$tmp/all"
	with_dependencies "$conf" "${PACKAGES[@]}" >"$tmp/names"
	mapfile -t names < <(grep -vx libc6 "$tmp/names")
	((${#names[@]}))
	# This machine may have newer ones, of other suites
	apt-get -q -c "$conf" -o Dir::State::status=/dev/null download \
		"${names[@]}" "iproute2/$IPROUTE2"
	for deb in *.deb; do
		dpkg-deb -x "$deb" .
	done

	for name in "${PROGRAMS[@]}"; do
		path=$(find bin sbin usr/bin usr/sbin -name "$name" -print -quit)
		[[ $path ]] || die "no $name in ${PACKAGES[*]}"
		# Some know by the name that they are called by what they are
		name=${name/tables-nft/tables}
		cp -L "$path" "$tmp/tree/$home/bin/${name%.openbsd}"
	done
	cp -r "$lib/xtables" "$tmp/tree/$lib/"
	install -D -t "$tmp/tree/usr/libexec/coreutils" usr/libexec/coreutils/libstdbuf.so
	mapfile -t files < <(find "$tmp/tree" -type f)
	for name in "${files[@]}"; do
		LD_LIBRARY_PATH=$PWD/$lib:$PWD/lib/${lib##*/} ldd "$name"
	done >"$tmp/linked"
	if grep 'not found' "$tmp/linked"; then
		return 1
	fi
	awk -v here="$PWD/" 'index($3, here) == 1 { print $3 }' "$tmp/linked" | sort -u >"$tmp/libraries"
	while read -r path; do
		cp -L "$path" "$tmp/tree/$lib/"
	done <"$tmp/libraries"
}

programs() {
	programs=$CACHE/kselftests-programs-$( (declare -f fetch_programs
		echo "$IPROUTE2" "${PACKAGES[@]}" "${PROGRAMS[@]}") | hash_of)
	[[ -e $programs ]] || lock kselftests-programs
	[[ ! -e $programs ]] || return 0
	log "fetching what the kernel's selftests call"
	rm -rf "$programs.tmp"
	quietly "$CACHE/logs/fetch-kselftests-programs.log" "$0" --run fetch_programs "$programs.tmp" ||
		die "cannot fetch what the kernel's selftests call"
	mv "$programs.tmp/tree" "$programs"
	rm -rf "$programs.tmp"
}

# --- the tests themselves ---------------------------------------------------------

build() { # tarball tree
	local src=$2/source name

	mkdir -p "$src" "$2/$home/selftests"
	tar -C "$src" --strip-components=1 -xf "$1" --wildcards \
		'*/tools/testing/selftests/kselftest*' '*/tools/testing/selftests/net*' \
		'*/net/netfilter/*.[ch]' '*/net/ipv4/*.[ch]' '*/crypto/*.[ch]'
	cp -a "$src/tools/testing/selftests/." "$2/$home/selftests/"
	cd "$2/$home/selftests"
	for name in ipsec nettest; do
		gcc -O2 -w -I . -o "net/$name" "net/$name.c"
	done
	find . -type f ! -name '*.sh' ! -path ./net/ipsec ! -path ./net/nettest -delete
	find . -type d -empty -delete
	gcc -O2 -Wall -Werror -shared -fPIC -o "$2/$home/unshare.so" "$PRELOAD"
	cp -a "$programs/." "$2/"
	mkdir -p "$2/usr/lib/modules/$release/extra"
	if ((built)); then
		our_modules "$src" "$2/usr/lib/modules/$release/extra"
	else
		stock_modules "$2/usr/lib/modules/$release/extra"
	fi
	rm -r "$src"
}

our_modules() { # source directory
	local work=$1/modules path name objects=()

	mkdir "$work"
	while read -r path name; do
		[[ $path ]] || continue
		name=${name:-${path##*/}}
		cp "$1/$path.c" "$work/$name.c"
		objects+=("$name.o")
	done <<<"$OURS"
	echo "obj-m := ${objects[*]}" >"$work/Kbuild"
	make -C "$kdir" "M=$work" "ARCH=$arch" "-j$(nproc)" modules
	cp "$work"/*.ko "$2/"
}

stock_modules() { # directory
	local name

	for name in "${STOCK[@]}"; do
		modprobe -d "${modules%/lib/modules/*}" -S "$release" --show-depends "$name" ||
			die "$KERNEL has no module $name"
	done >"$1.list"
	awk '$1 == "insmod" { print $2 }' "$1.list" | sort -u | xargs cp -t "$1"
	rm "$1.list"
}

: "${release:=}" "${modules:=}" "${kdir:=}" "${arch:=}" "${built:=}"	# set by kernel.sh's answer
# An ip that knows the attributes that the kernel's tests are about
case $KERNEL in
6.1-cloud) source=6.1-debug IPROUTE2=bookworm ;;
7.3-uml) source=$KERNEL IPROUTE2=bookworm-backports ;;
*) die "no tests of the kernel's own for $KERNEL" ;;
esac
answer=$("$ROOT/scripts/kernel.sh" "$KERNEL")
eval "$answer"
tarball=$("$ROOT/scripts/kernel.sh" --source "$source")

if [[ ${1-} == --run ]]; then
	# In a shell of its own, where errexit holds
	shift
	"$@"
	exit
fi
((!$#)) || die "usage: kselftests.sh"

programs
dir=$CACHE/kselftests-$KERNEL-$( (cat "$0" "$PRELOAD"; echo "$modules"
	stat -c '%s %Y' "$tarball"; gcc --version) | hash_of)
[[ -e $dir ]] || lock "kselftests-$KERNEL"
if [[ ! -e $dir ]]; then
	log "making the kernel's selftests for $KERNEL"
	rm -rf "$dir.tmp"
	export programs
	quietly "$CACHE/logs/build-kselftests-$KERNEL.log" "$0" --run build "$tarball" "$dir.tmp" ||
		die "the kernel's selftests for $KERNEL cannot be made"
	mv "$dir.tmp" "$dir"
fi
echo "$dir"
