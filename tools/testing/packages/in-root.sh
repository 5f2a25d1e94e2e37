#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# In a clean root, see run.sh; leaves a disk for guest.sh.
set -u
# shellcheck source=/dev/null
. /mnt/share/lib.sh
# shellcheck source=/dev/null
. /mnt/share/versions
: "${OLD:=}" "${NEW:=}"
kernel=$(basename /lib/modules/*)
ko=/lib/modules/$kernel/updates/dkms/xfrm_ext.ko

ours() {
	find / -xdev -path /mnt/share -prune -o \( -name '*xfrm-ext*' -o -name '*xfrm_ext*' \) -print |
		grep -v '^/var/cache/apt/' || true
}

built() { # version
	# xfrm_ext/0.9.0, 6.1.0-1-cloud-amd64, x86_64: installed
	says "xfrm_ext/$1, $kernel, x86_64: installed" "$(dkms status)"
	expect "modinfo" "$(modinfo -k "$kernel" -F version xfrm_ext)" "$1"
	says "$kernel " "$(modinfo -k "$kernel" -F vermagic xfrm_ext)"
	says "insmod /lib/modules/$kernel/updates/dkms/xfrm_ext.ko" "$(modprobe -S "$kernel" --show-depends xfrm_ext)"
	ls "$ko"*
	# Found by whoever asks for the family
	modinfo -k "$kernel" -F alias xfrm_ext | grep -q '^net-pf-16-proto-16-family-xfrm_ext$'
}

installs() {
	expect "before" "$(ours)" ""
	install_debs /mnt/share/new
	built "$NEW"
}

# Source of the module, and nothing of tests
holds() {
	expect "/usr/src" "$(cd "/usr/src/xfrm_ext-$NEW" && printf '%s ' *)" "Kbuild dkms.conf include net "
	expect "files beside C, headers" "$(cd "/usr/src/xfrm_ext-$NEW" &&
		find . -type f ! -name '*.[ch]' | sort | tr '\n' ' ')" "./Kbuild ./dkms.conf "
	fails grep -rq 'kunit/' "/usr/src/xfrm_ext-$NEW/net"
}

# A kernel that is too old, one with PREEMPT_RT, one that lacks something: DKMS passes them by
excludes() {
	local name release

	for name in 5.10.0-1-amd64 6.1.0-1-rt-amd64 6.1.0-1-small-amd64; do
		mkdir -p "/lib/modules/$name" "/tmp/$name/include"
		cp "/usr/src/linux-headers-$kernel/.config" "/tmp/$name/"
		ln -s "/tmp/$name" "/lib/modules/$name/build"
	done
	echo CONFIG_PREEMPT_RT=y >>/tmp/6.1.0-1-rt-amd64/.config
	sed -i /CONFIG_INET6_ESP=/d /tmp/6.1.0-1-small-amd64/.config
	for release in 5.10.0-1-amd64 6.1.0-1-rt-amd64 6.1.0-1-small-amd64; do
		rc=0
		dkms build -m xfrm_ext -v "$NEW" -k "$release" >/tmp/said 2>&1 || rc=$?
		expect "$release" "$rc" 77
		says BUILD_EXCLUSIVE "$(</tmp/said)"
		rm -r "/lib/modules/$release"
	done
}

# What needs no kernel
tools_run() {
	xfrm-ext-ip -V
	says 'tx-subspaces' "$(xfrm-ext-ip xfrm state help 2>&1 || true)"
	says 'xfrm-ext metrics' "$(xfrm-ext help)"
	says 'xfrm_ext_up 0' "$(xfrm-ext metrics)"
	[[ -e /usr/share/man/man8/xfrm-ext.8.gz && -e /usr/share/bash-completion/completions/xfrm-ext ]]
	ls /usr/lib/*/wireshark/plugins/xfrm_ext{,_eesp}.lua
	says 'usage: xfrm-ext-steer' "$(xfrm-ext-steer 2>&1 || true)"
	systemd-analyze verify --man=no /lib/systemd/system/xfrm-ext-rules.service \
		/lib/systemd/system/xfrm-ext-steer@.service
	expect "libraries not found" "$(ldd /usr/libexec/xfrm-ext/ip /usr/sbin/xfrm-ext{,-steer} \
		/usr/lib/ipsec/plugins/libstrongswan-xfrm-ext.so | grep -c 'not found.*so' || true)" 0
	grep -q XFRM_EXT_GENL_NAME /usr/include/linux/xfrm_ext.h
	grep -q 'name: xfrm_ext' /usr/share/xfrm-ext/netlink/specs/xfrm_ext.yaml
	[[ -e /usr/share/xfrm-ext/netlink/examples/Makefile ]]
	# Debian 12 has it at another path than PATH finds it at
	expect "owner of ip" "$(dpkg -S '*bin/ip' | sed 's/:.*//' | sort -u)" iproute2
	# No unit that waits for something the administrator has not made
	expect "rules unit" "$(systemctl is-enabled xfrm-ext-rules.service || true)" disabled
}

purges() {
	# For the guest, see disk()
	cp "$ko"* /mnt/share/
	[[ ! -e /mnt/share/xfrm_ext.ko.xz ]] || unxz /mnt/share/xfrm_ext.ko.xz
	apt-get -y -q purge xfrm-ext xfrm-ext-dkms xfrm-ext-strongswan xfrm-ext-dev xfrm-ext-doc
	expect "left behind" "$(ours)" ""
	fails modinfo -k "$kernel" xfrm_ext
}

# The whole tree, as from an archive or git, without any package
plain_tree() {
	dkms add /mnt/share/tree
	dkms install -m xfrm_ext -v "$NEW" -k "$kernel"
	built "$NEW"
	dkms remove -m xfrm_ext -v "$NEW" --all
	fails modinfo -k "$kernel" xfrm_ext
	rm -rf "/usr/src/xfrm_ext-$NEW"
	expect "left behind" "$(ours)" ""
}

disk() {
	local size

	# With what is suggested, and the daemon
	install_debs /mnt/share/old bpftrace charon-systemd strongswan-swanctl
	built "$OLD"
	mkdir -p /etc/xfrm_ext /var/lib/test /mnt/root
	printf '%s\n' 'xfrm ext rule flush' 'xfrm ext rule add format esp or plain' >/etc/xfrm_ext/rules
	systemctl enable xfrm-ext-rules.service
	systemctl mask ssh.service systemd-networkd-wait-online.service apt-daily.timer apt-daily-upgrade.timer
	cp -r /mnt/share/{lib.sh,guest.sh,versions,new,xfrm_ext.ko} /var/lib/test/
	# Emulated, a compiler takes a quarter of an hour for what it has made here just now; the rest
	# of what DKMS does with an upgrade is done there
	cat >/usr/local/bin/make <<-'END'
		#!/bin/sh
		for word; do
			case $word in
			M=*) dir=${word#M=} ;;
			modules) cp /var/lib/test/xfrm_ext.ko "$dir/" ;;
			esac
		done
	END
	chmod 755 /usr/local/bin/make
	cat >/etc/systemd/system/xfrm-ext-test.service <<-END
		[Unit]
		After=multi-user.target
		[Service]
		ExecStart=/bin/bash /var/lib/test/guest.sh
		StandardOutput=file:/dev/ttyS1
		StandardError=inherit
		[Install]
		WantedBy=default.target
	END
	systemctl enable xfrm-ext-test.service
	: >/etc/fstab
	cp "/boot/vmlinuz-$kernel" /mnt/share/vmlinuz
	cp "/boot/initrd.img-$kernel" /mnt/share/initrd
	rm -rf /var/cache/apt/archives/linux-* /usr/src/linux-headers-*/scripts/gcc-plugins
	# Without what is mounted in it
	mount --bind / /mnt/root
	size=$(du -sxm /mnt/root | cut -f 1)
	mke2fs -q -t ext4 -O ^has_journal -d /mnt/root /mnt/share/disk $((size * 3 / 2 + 256))M
	umount /mnt/root
}

step "installed: built for $kernel" installs
step "dkms: Kbuild, net/ and include/, nothing else" holds
step "kernels without what it needs are passed by" excludes
step "tools, units, header, plugin" tools_run
step "purged: nothing is left" purges
step "dkms add, of the plain tree" plain_tree
step "the older version, on a disk" disk
