#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# kernels: 6.1-cloud 6.12-cloud 7.3-kcsan
# timeout: 200
#
# A cipher that finishes every packet later, and on its own time: cryptd around the one
# that is used otherwise or, where that says itself that it may finish later, which cryptd
# does not want, pcrypt. Nothing is lost, SAs and namespaces go while the cipher has
# packets of theirs, and so can the module.
#
# A wrapper that is built in cannot be taken away again, so this script is to be the last:
# that is why it is not called "asynchronous".
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-wire.sh"
. "$(dirname "$0")/lib-cycles.sh"

# Ask for an algorithm in the way of an application. What is made for it stays, also where
# later kernels do not give it to an application.
instantiate() { # name
	/usr/bin/python3 - "$1" <<-EOF || true
		import socket, sys
		with socket.socket(socket.AF_ALG, socket.SOCK_SEQPACKET) as sock:
		    sock.bind(("aead", sys.argv[1]))
	EOF
}

# What an SA would get now: sets driver, async, users
best() {
	read -r driver async users < <(awk -v RS= -F '[ \t]*:[ \t]*|\n' '
		{ for (i = 1; i < NF; i += 2) value[$i] = $(i + 1) }
		value["name"] == "gcm(aes)" && value["internal"] == "no" && value["priority"] + 0 > top {
			top = value["priority"] + 0
			found = value["driver"] " " value["async"] " " value["refcnt"]
		}
		END { print found }' /proc/crypto)
}

wraps() {
	local plain

	# Those of a stock kernel are modules
	modprobe -aq algif_aead cryptd pcrypt || true
	# Later kernels give an application few of them unless they are told to
	[[ ! -e /proc/sys/crypto/af_alg_restrict ]] || sysctl -qw crypto.af_alg_restrict=0
	instantiate 'gcm(aes)'
	best
	plain=$driver
	instantiate "cryptd($plain)"
	best
	[[ $driver != "$plain" ]] || instantiate "pcrypt($plain)"
	best
	echo "# $driver"
	[[ $driver == @(cryptd|pcrypt)"($plain)" ]]
	expect "async" "$async" yes
	echo "${driver%%(*}" >"$tmp/wrapper"
}

unused() {
	nudge_cpus
	best
	((users == 1))
}

all_received() {
	[[ $(stat "$g1" 0x100 tx-packets) == "$(stat "$g2" 0x100 rx-packets)" &&
		$(stat "$g2" 0x200 tx-packets) == "$(stat "$g1" 0x200 rx-packets)" ]]
}

carries() { # outer fastpath
	local spi each=2

	flush
	fastpath "$2"
	wait_for 20 unused
	tunnel "$1" 4
	# Two SAs with two ends each: a transform of the module's; and one that esp4 or esp6
	# makes for itself, if that is made of the same
	best
	grep -qF ": rfc4106($driver)" /proc/crypto || each=1
	expect "users of ${driver%%(*}" $((users - 1)) $((4 * each))
	record_out "$tmp/pcap" "$g1" wan
	ip netns exec "$g1" ping -q -c 20 -i 0.01 -W 5 10.2.0.1
	ip netns exec "$g1" ping -q -c 5 -i 0.01 -s 5000 -W 5 fd02::1
	traffic tcp 10.2.0.1 7 $((200000 / factor))
	wait_for 10 all_received
	[[ $(stat "$g1" 0x100 tx-packets) -gt 50 ]]
	for spi in 0x100 0x200; do
		expect "drops of $spi" "$(drops "$g1" "$spi") $(drops "$g2" "$spi")" "none none"
	done
	record_end "$tmp/pcap" "$g1" "$([[ $1 == 4 ]] && echo 10.0.0.2 || echo fd00::2)"
	expect "clear packets" "$(clear_packets "$tmp/pcap")" ''
	# Once as good as all
	[[ $1$2 == 4on ]] || return 0
	reference_sa "$1" '1>2' >"$tmp/sa"
	"$reference/check_capture.py" --sa "$tmp/sa" --unordered --min-packets 50 "$tmp/pcap"
}

# SAs are deleted while the cipher has packets of theirs
deleted() { # fastpath
	local before

	fastpath "$1"
	flush
	policies 4
	before=$(mib "$g2" XfrmInStateProtoError)
	flood_start "$g1"
	"$here/cycle.py" "$g1" "$g2" "$(few 100)"
	flood_stop
	expect "SAs left" "$(ip -n "$g1" xfrm state; ip -n "$g2" xfrm state)" ''
	# (On its own path that is the kernel's counter for SAs that are being deleted, too)
	[[ $1 == off ]] ||
		expect "packets refused by the cipher" $(($(mib "$g2" XfrmInStateProtoError) - before)) 0
}

# The cipher is free when the SAs are
taken_away() {
	local wrapper

	wrapper=$(<"$tmp/wrapper")
	wait_for 20 unused
	[[ -e /sys/module/$wrapper/refcnt ]] || return 0
	modprobe -r "$wrapper"
	best
	echo "# $driver again"
	[[ $driver != "$wrapper("* ]]
}

sysctl -qw net.core.netdev_max_backlog=100000
needs_cpus 4
run "the cipher finishes later" wraps
modprobe xfrm_ext
pair
ip netns exec "$g2" "$here/traffic.py" serve 10.2.0.1 7 &
traffic_open "$g1"
wait_for 20 traffic udp 10.2.0.1 7 1
for path in on off; do
	for outer in 4 6; do
		run "nothing is lost, outer IPv$outer, fastpath $path" carries $outer $path
	done
	run "SAs are deleted under traffic, fastpath $path" deleted $path
done
fastpath on
run "namespaces are destroyed under traffic, and the module goes" destroyed 4
run "the cipher has no user left" taken_away
finish
