#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Make the guest's root, an initramfs.
#
#   mkinitramfs.sh --kernel NAME --out FILE --env FILE [--no-module] [--extra FILE]...
#                  [--with NAME]...
#
#   --env FILE    becomes /xfrm_ext/run.env, which init.sh reads
#   --extra FILE  becomes /xfrm_ext/extra/<its name>
#   --with NAME   add the tree whose directory scripts/NAME.sh prints, and the libraries
#                 that its files need
#   --no-module   leave xfrm_ext out (for testing the runner)
#
# Archives, one after the other: the userland, out of this machine's packages and cached;
# the kernel's modules and ours; the tests, at /xfrm_ext as in the tree; what was added.
set -euo pipefail
. "$(dirname "$0")/../../../scripts/lib.sh"

# What scripts in the guest may call, in the original; anything else is busybox.
TOOLS=(
	bash dd date timeout env stat sort grep sed mawk
	ping tcpdump nft iperf3 ethtool
	ss bridge
	taskset unshare nsenter setpriv flock prlimit
	kmod python3.11
)
# Their packages: a new version of one makes a new userland.
PACKAGES=(
	bash coreutils grep sed mawk iputils-ping tcpdump nftables iperf3 ethtool
	iproute2 util-linux kmod busybox-static libc6 libssl3 netbase
	python3.11-minimal libpython3.11-stdlib python3-cryptography python3-cffi-backend
)

kernel='' out='' env='' module=1 extra=() with=()
while (($#)); do
	case $1 in
	--kernel) kernel=$2; shift ;;
	--out) out=$2; shift ;;
	--env) env=$2; shift ;;
	--extra) extra+=("$2"); shift ;;
	--with) with+=("$2"); shift ;;
	--no-module) module= ;;
	*) die "unknown option $1" ;;
	esac
	shift
done
[[ $kernel && $out && $env ]] || die "needs --kernel, --out and --env"

archive() {
	(cd "$1" && find . -mindepth 1 -print0 | sort -z |
		cpio --quiet -0 -o -H newc -R 0:0) >"$2"
}

# The libraries that the files on standard input are linked with, at the paths they
# are looked for under.
copy_libraries() {
	local lib

	# ldd fails for what is static, or a script; what stands at the beginning of a line
	# is wrong with one that is linked with another C library
	{ xargs -r -d '\n' -n 1 ldd 2>/dev/null || true; } |
		sed -nE 's/^.* => (\/[^ ]+) .*/\1/p; s/^[[:space:]]+(\/[^ ]+) .*/\1/p' | sort -u |
		while read -r lib; do
			[[ $lib == /usr/* ]] || lib=/usr$lib
			mkdir -p "$1${lib%/*}"
			cp -L "$lib" "$1$lib"
		done
}

# The standard library without what no test will ask for, compiled: unpacking the
# archive is most of a guest's boot, and starting Python slow enough emulated.
copy_python() {
	local py=/usr/lib/python3.11 dist=/usr/lib/python3/dist-packages

	rsync -a --relative --prune-empty-dirs \
		--exclude=test --exclude=tests --exclude=idlelib --exclude=lib2to3 \
		--exclude=ensurepip --exclude=tkinter --exclude=turtledemo --exclude=pydoc_data \
		--exclude=distutils --exclude='config-3.11-*' --exclude=__pycache__ \
		--exclude=venv --exclude=wsgiref --exclude=xmlrpc --exclude=curses --exclude=dbm \
		--exclude=sqlite3 --exclude='_sqlite3*.so' --exclude='_dbm*.so' --exclude='nis*.so' \
		--exclude='_curses*.so' --exclude='_codecs_*.so' --exclude='cp[0-9]*.py' \
		--exclude='mac_*.py' --exclude='iso*.py' --exclude='_test*.so' --exclude='*.pyi' \
		$py $dist/cryptography $dist/_cffi_backend.*.so "$1/"
	/usr/bin/python3 -m compileall -q -b -j 0 --invalidation-mode unchecked-hash \
		-s "$1" "$1/usr/lib" >&2
	find "$1/usr/lib" -name '*.py' -delete
	ln -s python3.11 "$1/usr/bin/python3"
	# cryptography wants OpenSSL's legacy provider
	rsync -a --relative /usr/lib/x86_64-linux-gnu/ossl-modules "$1/"
}

make_userland() {
	local root=$1 tool path

	mkdir -p "$root"/usr/{bin,lib,lib64} "$root"/{dev,etc,out,proc,root,run,sys,tmp,var}
	ln -s bin "$root/usr/sbin"
	for path in bin sbin lib lib64; do
		ln -s "usr/$path" "$root/$path"
	done
	ln -s ../run "$root/var/run"

	cp "$iproute2"/sbin/{ip,tc} "$root/usr/bin/"
	for tool in "${TOOLS[@]}"; do
		path=$(command -v "$tool") || die "no $tool on this machine"
		cp -L "$path" "$root/usr/bin/$tool"
	done
	for tool in modprobe insmod rmmod lsmod modinfo depmod; do
		ln -s kmod "$root/usr/bin/$tool"
	done
	ln -s mawk "$root/usr/bin/awk"
	cp -L "$(command -v busybox)" "$root/usr/bin/busybox"
	for tool in $("$root/usr/bin/busybox" --list); do
		[[ -e $root/usr/bin/$tool ]] || ln -s busybox "$root/usr/bin/$tool"
	done
	copy_python "$root"
	find "$root" -type f \( -perm /111 -o -name '*.so*' \) | copy_libraries "$root"

	printf '%s\n' root:x:0:0:root:/root:/bin/bash nobody:x:65534:65534:::/bin/false \
		tcpdump:x:100:100:::/bin/false >"$root/etc/passwd"
	printf '%s\n' root:x:0: nogroup:x:65534: tcpdump:x:100: >"$root/etc/group"
	printf '127.0.0.1 localhost\n::1 localhost\n' >"$root/etc/hosts"
	cp /etc/protocols /etc/services "$root/etc/"
	for path in /usr/lib/tc /etc/iproute2; do
		[[ ! -d $path ]] || rsync -a --relative "$path" "$root/"
	done
}

userland() {
	local key

	key=$( (dpkg-query -W "${PACKAGES[@]}"; cat "$0" "$iproute2"/sbin/{ip,tc}) | hash_of)
	base=$CACHE/initramfs/userland-$key.cpio
	[[ ! -e $base ]] || return 0
	log "making the guest's userland"
	lock userland
	[[ ! -e $base ]] || return 0
	make_userland "$work/userland"
	archive "$work/userland" "$base.$$"
	mv "$base.$$" "$base"
}

# The chosen ones of the kernel's modules, with whatever they depend on.
: "${modules:=}" "${release:=}" "${built:=}" "${tried:=}"	# set by kernel.sh's answer
kernel_modules() {
	local list=$ROOT/tools/testing/qemu/guest-modules.txt
	local from=${modules%/lib/modules/*} lacks=() names name path key

	key=$( (echo "$modules"; cat "$0" "$list") | hash_of)
	tree=$CACHE/initramfs/modules-$release-$key
	[[ -e $tree ]] || lock "modules-$release"
	if [[ -e $tree ]]; then
		[[ ! -e $tree/lacks ]] || log "$(<"$tree/lacks")"
		return
	fi
	rm -rf "$tree.tmp"
	mkdir -p "$tree.tmp/lib/modules/$release"
	while read -r -a names; do
		[[ ${names[0]-} && ${names[0]} != \#* ]] || continue
		# Of several names a module has had, the first that there is
		for name in "${names[@]}"; do
			modprobe -d "$from" -S "$release" --show-depends "$name" 2>/dev/null && continue 2
		done
		((built)) || lacks+=("${names[0]}")
	done <"$list" >"$work/insmod"
	if ((${#lacks[@]})); then
		name="kernel $kernel ($release) has no modules: ${lacks[*]}"
		((!tried)) || die "$name"
		log "$name"
		echo "$name" >"$tree.tmp/lacks"
	fi
	awk '$1 == "insmod" { print $2 }' "$work/insmod" | sort -u | while read -r path; do
		echo "${path#"$modules"/}"
	done | rsync -a --files-from=- "$modules" "$tree.tmp/lib/modules/$release"
	cp "$modules"/modules.{order,builtin,builtin.modinfo} "$tree.tmp/lib/modules/$release/"
	mv "$tree.tmp" "$tree"
}

work=$(mktemp -d "${TMPDIR:-/tmp}/xfrm_ext.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir -p "$CACHE/initramfs" "$CACHE/runs"

iproute2=$("$ROOT/scripts/iproute2.sh" | tail -n 1)
answer=$("$ROOT/scripts/kernel.sh" "$kernel")
eval "$answer"

userland
kernel_modules
# Drop what newer ones replaced long ago, and what failed runs left.
touch "$base" "$tree"
find "$CACHE/initramfs" "$CACHE/runs" -mindepth 1 -maxdepth 1 -mtime +7 -exec rm -rf {} +
mkdir -p "$work/modules/usr"
cp -a "$tree/lib" "$work/modules/usr/lib"
if [[ $module ]]; then
	dir=$("$ROOT/scripts/module.sh" "$kernel")
	mkdir "$work/modules/usr/lib/modules/$release/extra"
	cp "$dir"/*.ko "$work/modules/usr/lib/modules/$release/extra/"
fi
depmod -b "$work/modules/usr" "$release"
archive "$work/modules" "$work/modules.cpio"

mkdir -p "$work/tests/xfrm_ext/"{extra,tools}
cp -a "$ROOT/include" "$work/tests/xfrm_ext/"
install -D -m 644 -t "$work/tests/xfrm_ext/Documentation" "$ROOT/Documentation/howto.rst"
install -D -m 644 -t "$work/tests/xfrm_ext/Documentation/netlink/specs" \
	"$ROOT/Documentation/netlink/specs/xfrm_ext.yaml"
cp -a "$ROOT/tools/"{testing,systemd,wireshark} "$work/tests/xfrm_ext/tools/"
((!${#extra[@]})) || cp "${extra[@]}" "$work/tests/xfrm_ext/extra/"
cp "$env" "$work/tests/xfrm_ext/run.env"
cp "$ROOT/tools/testing/qemu/guest/init.sh" "$work/tests/init"
chmod 755 "$work/tests/init"
archive "$work/tests" "$work/tests.cpio"

mkdir "$work/with"
for name in "${with[@]}"; do
	dir=$(KERNEL=$kernel "$ROOT/scripts/$name.sh")
	cp -a "$dir/." "$work/with/"
done
# In the guest /usr/sbin is a link to /usr/bin
if [[ -d $work/with/usr/sbin ]]; then
	mkdir -p "$work/with/usr/bin"
	mv "$work/with/usr/sbin/"* "$work/with/usr/bin/"
	rmdir "$work/with/usr/sbin"
fi
# Those of its own, at paths of their own, ldd does not find and need not
find "$work/with" -type f | copy_libraries "$work/with"
archive "$work/with" "$work/with.cpio"

cat "$base" "$work/modules.cpio" "$work/tests.cpio" "$work/with.cpio" >"$out"
