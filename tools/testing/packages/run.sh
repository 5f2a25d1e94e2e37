#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# run.sh SUITE: the packages as somebody meets them who has a clean Debian 12 (bookworm) or 13
# (trixie): installed, used, upgraded while an older module has SAs, removed and purged.
#
#   in-root.sh   in a clean root: installs, has DKMS build with that Debian's compiler for its
#                kernel, looks at what there is, and leaves a disk with the older version
#   guest.sh     with that disk, in QEMU, Debian's kernel and systemd; over a reboot
#
# The older version is the same with another number.
set -euo pipefail
. "$(dirname "$0")/../../../scripts/lib.sh"

OLD=0.8.99
HERE=$ROOT/tools/testing/packages
suite=${1:?usage: run.sh bookworm|trixie}

# A package with an older number, and the module's, too
older() { # deb dir
	local tmp=$2/older

	dpkg-deb -R "$1" "$tmp"
	sed -i "s/^Version: .*/Version: $OLD-1/" "$tmp/DEBIAN/control"
	if [[ -d $tmp/usr/src ]]; then
		mv "$tmp/usr/src/xfrm_ext-$version" "$tmp/usr/src/xfrm_ext-$OLD"
		sed -i "s/${version//./\\.}/$OLD/" "$tmp/usr/src/xfrm_ext-$OLD/"{dkms.conf,net/xfrm_ext/main.c} \
			"$tmp/DEBIAN/"{postinst,prerm}
		(cd "$tmp" && find usr -type f -print0 | xargs -0 md5sum >DEBIAN/md5sums)
	fi
	dpkg-deb --root-owner-group -b "$tmp" "$2" >/dev/null
	rm -r "$tmp"
}

boot() { # round
	local qemu

	qemu=$("$ROOT/scripts/qemu.sh")
	: >"$work/said-$1"
	# As tools/testing/qemu/run.sh has them
	timeout -k 10 3000 "$qemu" -machine q35 -accel tcg,thread=multi -cpu max,la57=off -smp 2 -m 1536 \
		-nodefaults -no-user-config -display none -no-reboot \
		-kernel "$work/vmlinuz" -initrd "$work/initrd" \
		-append "root=/dev/vda rw console=ttyS0 loglevel=5 panic=-1 oops=panic mitigations=off \
cpu_init_udelay=20000 random.trust_cpu=on systemd.show_status=0 test_round=$1" \
		-drive "file=$work/disk,if=virtio,format=raw,cache=unsafe" \
		-serial "file:$work/console-$1" -serial "file:$work/said-$1" </dev/null
	tr -d '\r' <"$work/said-$1"
	if grep -q '^not ok' "$work/said-$1" || ! grep -qx 'done' <(tr -d '\r' <"$work/said-$1"); then
		echo "--- end of the console"
		tail -n 40 "$work/console-$1"
		return 1
	fi
}

version=$(sed -n 's/^PACKAGE_VERSION="\(.*\)"$/\1/p' "$ROOT/dkms.conf")
debs=$("$ROOT/scripts/packages.sh" "$suite" | tail -n 1)/$suite
# A directory of that name could stay, of a run that was killed: only one at a time
lock "packages-test-$suite"
work=$CACHE/packages/test-$suite
rm -rf "$work"
mkdir -p "$work"/{new,old,tree}
trap 'rm -rf "$work"' EXIT
cp "$debs"/*.deb "$work/new/"
for deb in "$debs"/xfrm-ext{,-dkms,-strongswan}_*.deb; do
	older "$deb" "$work/old"
done
rsync -a --exclude=/.git --exclude-from="$ROOT/.gitignore" "$ROOT/" "$work/tree/"
cp "$HERE"/*.sh "$work/"
printf '%s=%s\n' OLD "$OLD" NEW "$version" >"$work/versions"
"$ROOT/scripts/root.sh" --run "clean-$suite" "$work" bash /mnt/share/in-root.sh
for round in 1 2; do
	boot "$round"
done
