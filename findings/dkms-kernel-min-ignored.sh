#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# DKMS of Debian 12 ignores BUILD_EXCLUSIVE_KERNEL_MIN, and says nothing
#
# "BUILD_EXCLUSIVE_KERNEL_MIN=6.1" in dkms.conf is what dkms(8) has for "this module is
# for Linux 6.1 and later". DKMS has it since 3.1. The 3.0.10 of Debian 12 sources dkms.conf as a shell
# script, so a variable that it has never heard of is no error, no warning and no effect: it builds for any kernel, and
# users of older ones get a compiler's errors in place of "passed by". A packager who tests with a current
# DKMS does not see it, and dh_dkms (3.0.10) does not raise the dependency either: it does so for
# BUILD_EXCLUSIVE_CONFIG only. The way out is the older BUILD_EXCLUSIVE_KERNEL beside it, a
# regular expression, which both obey.
#
# Seen with dkms 3.0.10-8+deb12u1, as a program unpacked from its package, with a module that can be built for
# no kernel: status 77 is "passed by", 10 is "I tried, and it failed". Needs no privilege.
set -euo pipefail
version=3.0.10-8+deb12u1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
apt-get -qq download "dkms=$version" >/dev/null
dpkg -x dkms_*.deb root
release=5.10.0-1-amd64

# What DKMS does with a line of dkms.conf, for Linux 5.10
tries() { # line
	local rc=0

	rm -rf tree src modules kernel
	mkdir -p tree src/demo-1 "modules/$release" kernel/include
	touch kernel/.config src/demo-1/demo.c
	cat >src/demo-1/dkms.conf <<-END
		PACKAGE_NAME=demo
		PACKAGE_VERSION=1
		BUILT_MODULE_NAME[0]=demo
		DEST_MODULE_LOCATION[0]=/extra
		MAKE[0]="echo the compiler was asked; false"
		$1
	END
	root/usr/sbin/dkms build demo/1 -k "$release" -a x86_64 \
		--kernelsourcedir "$dir/kernel" --dkmstree "$dir/tree" --sourcetree "$dir/src" \
		--installtree "$dir/modules" >said 2>&1 || rc=$?
	echo "$rc"
}

bad=0
while read -r wanted line; do
	got=$(tries "$line")
	echo "--- $line"
	grep -E 'Error|BUILD_EXCLUSIVE|exit status|asked' said || true
	echo "status $got"
	[[ $got == "$wanted" ]] || { echo "!!! not as before: $wanted"; bad=1; }
done <<'END'
77 BUILD_EXCLUSIVE_KERNEL="^(6\.[1-9]|[7-9]\.|[1-9][0-9])"
10 BUILD_EXCLUSIVE_KERNEL_MIN="6.1"
END
exit $bad
