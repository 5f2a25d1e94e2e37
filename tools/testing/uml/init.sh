#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The first process in User-mode Linux: what ../qemu/guest/init.sh is in QEMU, with
# everything for monitor.py on the console.
set -u
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb

# TOKEN KERNEL_NAME TIME_FACTOR MODULES SCRIPTS
# shellcheck source=/dev/null
. "$XFRM_EXT_ENV"
# What scripts leave is not kept
export KERNEL_NAME TIME_FACTOR OUT=/run

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t tmpfs tmpfs /run
mount -t debugfs debugfs /sys/kernel/debug
ln -s /proc/self/fd /dev/fd
exec </dev/null >/dev/console 2>&1
stty -opost </dev/console

tell() {
	printf '\x1e%s %s\n' "$TOKEN" "$*"
}

run() {
	local name=$1 script=$2 rc=0

	echo "xfrm_ext-test: begin $name" >/dev/kmsg
	tell begin "$name" "$(sed -n '/^[^#]/q; s/^# timeout: //p' "$script")"
	bash "$script" || rc=$?
	tell end "$name" "$rc"
	echo "xfrm_ext-test: end $name $rc" >/dev/kmsg
}

for module in "$MODULES"/*.ko; do
	args=()
	# Here nothing is emulated: the concurrent tests may take ten times as many turns
	[[ $module != *_kunit.ko ]] || args=(ops=100000000)
	insmod "$module" "${args[@]}"
done
for entry in "${SCRIPTS[@]}"; do
	run "${entry%%=*}" "${entry#*=}"
done
tell verdict 'done'
busybox poweroff -f
