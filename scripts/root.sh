#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Debian's roots in the cache, and commands in them. Needs no root: an ordinary user has one in
# a user namespace (newuidmap, and a range of his in /etc/subuid).
#
#   root.sh KIND-SUITE              make it if need be; prints a tar archive. SUITE: bookworm, trixie.
#                                   KIND:
#                                     build   what building our packages needs
#                                     clean   a machine with systemd, a kernel and its headers; what
#                                             our packages depend on is in apt's cache, not installed
#   root.sh --run KIND-SUITE DIR CMD...   unpack it, run CMD in it as root, with DIR at /mnt/share, without
#                                   network; what it does to the root is gone behind it
#   root.sh --in ROOT DIR CMD...    the same in the directory ROOT, which stays as CMD leaves it: for
#                                   a compiler and the like. Packages need not be installed there,
#                                   unpacked will do
#
# What is in a root is the newest there when it is first asked for, and stays so until it is
# removed from the cache or this file says something else.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

BUILD=(
	build-essential debhelper dh-dkms lintian bison flex pkgconf libmnl-dev libcap-dev libelf-dev
	clang libbpf-dev libstrongswan strongswan-libcharon bash-completion
)
MACHINE=(
	systemd-sysv udev e2fsprogs kmod iproute2 iputils-ping initramfs-tools
	linux-image-cloud-amd64 linux-headers-cloud-amd64
)
LATER=(
	dkms libmnl0 libcap2 libelf1 libbpf1 charon-systemd strongswan-swanctl strongswan-libcharon
	bpftrace rpm
)

# Namespaces in which the caller is root, and nothing that is mounted or runs outlives them
others=--map-auto
apart() { # unshare-option... command...
	((EUID == 0)) || set -- --map-root-user $others "$@"
	unshare --mount --pid --ipc --uts --fork --kill-child "$@"
}

sources() { # suite
	local mirror keyring=/usr/share/keyrings/debian-archive-keyring.gpg

	mirror=$(sed -n '1s/.*] \([^ ]*\) .*/\1/p' "$CACHE/apt/deb-$1/sources.list")
	printf 'deb [signed-by=%s] %s %s main\n' "$keyring" "$mirror" "$1" \
		"$keyring" "$mirror" "$1-updates" \
		"$keyring" "${mirror%/debian}/debian-security" "$1-security"
}

make_root() { # kind suite file
	local kind=$1 suite=$2 packages=("${BUILD[@]}") more=() conf

	# Its lock ends with the inner shell
	conf=$(debian_apt deb "$suite")
	log "$conf"
	sources "$suite" >"$3.list"
	if [[ $kind == clean ]]; then
		packages=("${MACHINE[@]}")
		# shellcheck disable=SC2016 # mmdebstrap's shell
		more=(--customize-hook='chroot "$1" apt-get -y --download-only install '"${LATER[*]}")
	fi
	mmdebstrap --variant=apt --skip=cleanup/apt,cleanup/reproducible \
		--aptopt='APT::Install-Recommends "false"' --include="debian-archive-keyring ${packages[*]}" \
		--dpkgopt='force-unsafe-io' "${more[@]}" "$suite" "$3" "$3.list"
	rm "$3.list"
}

# Nothing that is mounted there may be deleted with it
leave() { # root
	local dir

	for dir in $(awk -v root="$1/" 'index($2, root) == 1 { print $2 }' /proc/self/mounts | tac); do
		umount -l "$dir" || return
	done
	rm -rf --one-file-system "$1"
}

# In the namespaces
devices() { # root
	local node

	mount -t tmpfs -o mode=755 dev "$1/dev"
	for node in null zero full random urandom tty; do
		touch "$1/dev/$node"
		mount --bind "/dev/$node" "$1/dev/$node"
	done
	ln -s /proc/self/fd "$1/dev/fd"
}

enter() { # archive dir command...
	local root

	root=$(mktemp -d "$CACHE/root.XXXXXX")
	# shellcheck disable=SC2064 # now
	trap "leave $root" EXIT
	mount --make-rprivate /
	tar -C "$root" --numeric-owner -xf "$1"
	mkdir -p "$root/mnt/share"
	mount --bind "$2" "$root/mnt/share"
	mount -t proc proc "$root/proc"
	devices "$root"
	mkdir "$root/dev/"{shm,pts}
	mount -t devpts -o newinstance,ptmxmode=666 devpts "$root/dev/pts"
	ln -s pts/ptmx "$root/dev/ptmx"
	ip link set lo up
	shift 2
	chroot "$root" /usr/bin/env -i PATH="$PATH" HOME=/root LC_ALL=C.UTF-8 \
		DEBIAN_FRONTEND=noninteractive ${SOURCE_DATE_EPOCH:+"SOURCE_DATE_EPOCH=$SOURCE_DATE_EPOCH"} "$@"
}

inside() { # root dir command...
	local root=$1

	mount --make-rprivate /
	mount --bind "$2" "$root/mnt/share"
	mount -t proc proc "$root/proc"
	mount -t tmpfs tmp "$root/tmp"
	devices "$root"
	shift 2
	exec chroot "$root" /usr/bin/env -i PATH="$PATH" HOME=/root LC_ALL=C.UTF-8 "$@"
}

case ${1-} in
--make | --enter | --inside)
	# In a shell of its own, where errexit holds
	what=${1#--}
	"${what/make/make_root}" "${@:2}"
	exit
	;;
--run)
	archive=$("$0" "$2")
	apart --net "$0" --enter "$archive" "$(realpath "$3")" "${@:4}"
	exit
	;;
--in)
	mkdir -p "$2"/{dev,proc,tmp,mnt/share}
	# All in there is the caller's own
	others=
	apart --net "$0" --inside "$(realpath "$2")" "$(realpath "$3")" "${@:4}"
	exit
	;;
build-* | clean-*) ;;
*) die "usage: root.sh [build|clean]-SUITE, root.sh --run [build|clean]-SUITE DIR COMMAND..., \
root.sh --in ROOT DIR COMMAND..." ;;
esac

case $1 in
build-*) what=${BUILD[*]} ;;
*) what="${MACHINE[*]} ${LATER[*]}" ;;
esac
archive=$CACHE/roots/$1-$( (echo "$what"; declare -f sources make_root) | hash_of).tar
if [[ ! -e $archive ]]; then
	lock "root-$1"
fi
if [[ ! -e $archive ]]; then
	log "making a root of Debian's ${1#*-}: some minutes, once"
	mkdir -p "$CACHE/roots"
	rm -f "$CACHE/roots/$1"-*
	quietly "$CACHE/logs/root-$1.log" "$0" --make "${1%%-*}" "${1#*-}" "$archive.tmp.tar" ||
		die "cannot make the root $1"
	mv "$archive.tmp.tar" "$archive"
fi
echo "$archive"
