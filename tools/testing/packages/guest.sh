#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# On a machine with the older packages, see run.sh: a service of systemd's, in two rounds with a
# reboot between them.
set -u
cd /var/lib/test || exit
. ./lib.sh
# shellcheck source=/dev/null
. ./versions
: "${OLD:=}" "${NEW:=}"
# DKMS is to find the make of in-root.sh
export PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
KEY1=0x1111111111111111111111111111111111111111 KEY2=0x2222222222222222222222222222222222222222

loaded() {
	cat /sys/module/xfrm_ext/version
}

rules() {
	xfrm-ext-ip xfrm ext rule list
}

# The unit has loaded module and rules; nobody has asked for either
persists() { # version
	wait_for 60 systemctl is-active xfrm-ext-rules.service
	expect "module" "$(loaded)" "$1"
	says "format esp" "$(rules)"
}

first_round() {
	persists "$OLD"
}

second_round() {
	persists "$NEW"
}

# SAs as a daemon makes them, by the system's own ip: the rules make them what they are. The peer
# is a namespace.
tunnel() {
	local n ns=() o=(x 192.0.2.1 192.0.2.2) i=(x 10.1.0.1 10.2.0.1) other

	ip netns add peer
	ip link add wan type veth peer name wan netns peer
	ip netns exec peer xfrm-ext-ip xfrm ext rule add format esp
	for n in 1 2; do
		other=$((3 - n))
		((n == 1)) || ns=(-n peer)
		ip "${ns[@]}" link set lo up
		ip "${ns[@]}" addr add "${o[n]}/24" dev wan
		ip "${ns[@]}" addr add "${i[n]}/32" dev lo
		ip "${ns[@]}" link set wan up
		ip "${ns[@]}" route add "${i[other]}" via "${o[other]}" src "${i[n]}"
		ip "${ns[@]}" xfrm state add src "${o[1]}" dst "${o[2]}" proto esp spi 0x100 reqid 1 mode tunnel \
			replay-window 64 aead 'rfc4106(gcm(aes))' "$KEY1" 128
		ip "${ns[@]}" xfrm state add src "${o[2]}" dst "${o[1]}" proto esp spi 0x200 reqid 1 mode tunnel \
			replay-window 64 aead 'rfc4106(gcm(aes))' "$KEY2" 128
		ip "${ns[@]}" xfrm policy add src "${i[n]}" dst "${i[other]}" dir out \
			tmpl src "${o[n]}" dst "${o[other]}" proto esp reqid 1 mode tunnel
		ip "${ns[@]}" xfrm policy add src "${i[other]}" dst "${i[n]}" dir in \
			tmpl src "${o[other]}" dst "${o[n]}" proto esp reqid 1 mode tunnel
	done
	wait_for 20 ping -c 1 -W 5 10.2.0.1
	received 1
}

received() { # at-least
	local n

	n=$(xfrm-ext-ip -s xfrm state get src 192.0.2.2 dst 192.0.2.1 proto esp spi 0x200 |
		awk '{ for (i = 1; i < NF; i++) if ($i == "rx-packets") print $(i + 1) }')
	((n >= $1)) || { echo "rx-packets: '$n', want $1 or more"; return 1; }
}

# A doubled packet is a replay: the script says so
shows_drops() {
	local pid

	[[ -x /usr/share/xfrm-ext/bpftrace/xfrm-ext-drops.bt ]]
	# Into a file it would write when it ends
	bpftrace -B none /usr/share/xfrm-ext/bpftrace/xfrm-ext-drops.bt >/tmp/drops 2>&1 &
	pid=$!
	wait_for 120 grep -q '^NETNS' /tmp/drops
	tc -n peer qdisc replace dev wan root netem duplicate 100%
	ping -q -c 5 -i 0.2 -W 20 10.2.0.1
	tc -n peer qdisc del dev wan root
	wait_for 20 grep -q 'rx-replay' /tmp/drops
	kill -INT "$pid"
	wait "$pid"
	cat /tmp/drops
	# By SA and reason, at the end; 0x200
	grep -q '^@drops\[512, rx-replay\]: [5-9]$' /tmp/drops
	grep -q "^$(stat -L -c %i /proc/self/ns/net) *0x00000200 rx-replay " /tmp/drops
}

daemon_loads_plugin() {
	systemctl restart strongswan.service
	says xfrm-ext "$(swanctl --stats)"
}

# The tunnel is in use meanwhile
upgrades() {
	local pid out

	ping -i 0.2 -W 60 10.2.0.1 >/tmp/ping 2>&1 &
	pid=$!
	out=$(install_debs /var/lib/test/new 2>&1) || { echo "$out"; return 1; }
	echo "$out"
	says "xfrm_ext: $OLD is loaded and goes on, with its SAs; $NEW is installed." "$out"
	expect "loaded" "$(loaded)" "$OLD"
	expect "installed" "$(modinfo -F version xfrm_ext)" "$NEW"
	says "$NEW" "$(dkms status)"
	[[ $(dkms status) != *"$OLD"* ]]
	# A packet of after the upgrade
	ping -q -c 3 -W 60 10.2.0.1
	kill -INT "$pid"
	wait "$pid" || true
	cat /tmp/ping
	grep -q ' 0% packet loss' /tmp/ping
	systemctl is-active xfrm-ext-rules.service strongswan.service
	says "format esp" "$(rules)"
}

removes() {
	local out

	systemctl start strongswan.service
	out=$(apt-get -y -q purge xfrm-ext xfrm-ext-dkms xfrm-ext-strongswan 2>&1) || { echo "$out"; return 1; }
	echo "$out"
	says "stays loaded, with its rules and SAs, until a reboot" "$out"
	# The daemon required the unit
	systemctl is-active strongswan.service
	expect "loaded" "$(loaded)" "$NEW"
	# The file is gone, and with it what modprobe knows of it
	rmmod xfrm_ext
	[[ ! -d /sys/module/xfrm_ext ]]
	fails modprobe xfrm_ext
}

gone_and_removed() {
	ip netns del peer
	ip xfrm state flush
	ip xfrm policy flush
	removes
}

quiet_log() {
	dmesg >/tmp/dmesg
	if grep -E 'WARNING:|BUG:|Oops|general protection|refcount_t|soft lockup' /tmp/dmesg; then
		return 1
	fi
}

# After a step that has failed, or the last
failed() {
	sync
	systemctl --force --force poweroff
	sleep infinity
}

case $(</proc/cmdline) in
*test_round=1*)
	step "booted: module $OLD and the rules are there" first_round
	step "an SA of the system's ip becomes an extended one, by the rule" tunnel
	step "xfrm-ext-drops.bt shows replays" shows_drops
	step "strongSwan loads the plugin" daemon_loads_plugin
	step "upgraded to $NEW: SAs and rules go on, and it is said" upgrades
	;;
*)
	step "booted again: module $NEW and the rules are there" second_round
	step "an SA, with the new module" tunnel
	step "SAs go, packages are purged, the daemon runs on" gone_and_removed
	;;
esac
step "nothing in the kernel's log" quiet_log
echo 'done'
failed
