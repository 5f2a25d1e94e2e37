#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# kernels: 6.1-cloud 7.3-kcsan 7.3-uml
#
# A cipher that finishes every packet later, and on its own time: cryptd around the one
# that is used otherwise or, where that says itself that it may finish later, which cryptd
# does not want, pcrypt. (pcrypt, too, on kernels before 6.3: their cryptd changes requests
# that are not its own, and fails the kernel's tests.) Nothing is lost, SAs and namespaces go
# while the cipher has packets of theirs, and so can the module.
#
# A wrapper that is built in cannot be taken away again, so this script is to be the last:
# that is why it is not called "asynchronous".
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-wire.sh"
. "$(dirname "$0")/lib-cycles.sh"
. "$(dirname "$0")/lib-formats.sh"

# What the module asks for, for the SAs below
ciphers=('gcm(aes)' 'ccm(aes)' 'rfc7539(chacha20,poly1305)'
	'authenc(hmac(sha256),cbc(aes))' 'authencesn(hmac(sha256),cbc(aes))')

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
best() { # [cipher]
	read -r driver async users < <(awk -v name="${1:-gcm(aes)}" -v RS= -F '[ \t]*:[ \t]*|\n' '
		{ for (i = 1; i < NF; i += 2) value[$i] = $(i + 1) }
		value["name"] == name && value["internal"] == "no" &&
		value["selftest"] == "passed" && value["priority"] + 0 > top {
			top = value["priority"] + 0
			found = value["driver"] " " value["async"] " " value["refcnt"]
		}
		END { print found }' /proc/crypto)
}

wraps() {
	local cipher

	# Those of a stock kernel are modules
	modprobe -aq algif_aead cryptd pcrypt || true
	# Later kernels give an application few of them unless they are told to
	[[ ! -e /proc/sys/crypto/af_alg_restrict ]] || sysctl -qw crypto.af_alg_restrict=0
	for cipher in "${ciphers[@]}"; do
		wraps_one "$cipher"
		echo "${driver%%(*}" >>"$tmp/wrappers"
	done
}

wraps_one() { # cipher
	local plain

	instantiate "$1"
	best "$1"
	plain=$driver
	if ! older_than 6.3; then
		instantiate "cryptd($plain)"
		best "$1"
	fi
	[[ $driver != "$plain" ]] || instantiate "pcrypt($plain)"
	best "$1"
	echo "# $driver"
	[[ $driver == @(cryptd|pcrypt)"($plain)" ]]
	expect "async" "$async" yes
}

cipher_unused() { # [cipher]
	nudge_cpus
	best "$@"
	((users == 1))
}

all_received() {
	[[ $(stat "$g1" 0x100 tx-packets) == "$(stat "$g2" 0x100 rx-packets)" &&
		$(stat "$g2" 0x200 tx-packets) == "$(stat "$g1" 0x200 rx-packets)" ]]
}

carries() { # outer fastpath
	local spi

	flush
	fastpath "$2"
	wait_for 20 cipher_unused
	tunnel "$1" 4
	# Two SAs with two ends each; the one that esp4 or esp6 has made is freed
	best
	expect "users of ${driver%%(*}" $((users - 1)) 4
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

nothing_lost() { # source destination
	local spi

	ip netns exec "$g1" ping -q -c 20 -i 0.01 -W 5 -I "$1" "$2"
	ip netns exec "$g1" ping -q -c 5 -i 0.01 -s 5000 -W 5 -I "$1" "$2"
	traffic tcp "$2" 7 $((200000 / factor))
	wait_for 10 all_received
	[[ $(stat "$g1" 0x100 tx-packets) -gt 50 ]]
	for spi in 0x100 0x200; do
		expect "drops of $spi" "$(drops "$g1" "$spi") $(drops "$g2" "$spi")" "none none"
	done
}

# What stands before ESP, and how a packet goes on behind the cipher, is another there
other_mode() { # fastpath mode inner-1 inner-2 outer-1 outer-2 [word...]
	flush
	fastpath "$1"
	wait_for 20 cipher_unused
	mode_sas "${@:2:5}" "${*:7} ext tx-subspaces 4" "${*:7} ext rx-subspaces 4"
	nothing_lost "$3" "$4"
}

# Another algorithm in another format. Words of lib-formats.sh's list
other_format() { # cipher fastpath "words of the extension" algorithm-words...
	local n k before

	flush
	wait_for 20 cipher_unused "$1"
	best "$1"
	before=$users
	fastpath "$2"
	for n in 1 2; do
		{
			gateway_policies 4 "$n"
			for k in 1 2; do
				echo "xfrm state add src 10.0.0.$k dst 10.0.0.$((3 - k)) proto esp spi 0x${k}00" \
					"reqid $k mode tunnel flag af-unspec $(words_of "$k" "${@:4}")" \
					"ext $3 $( ((k == n)) && echo tx || echo rx)-subspaces 1"
			done
		} | ip -n "$(ns_of "$n")" -batch -
	done
	# Two SAs with two ends each have the wrapped one
	best "$1"
	[[ $async == yes ]]
	((users >= before + 4))
	nothing_lost 10.1.0.1 10.2.0.1
}

# Dummy packets hold their SA by themselves, until the cipher is done with them
dummies() {
	local i sender line='xfrm ext dummy dst 10.0.0.2 spi 0x100'

	flush
	wait_for 20 cipher_unused
	tunnel 4 4
	yes "$line" | head -n 200 | ip -n "$g1" -batch -
	expect "sent" "$(stat "$g1" 0x100 tx-packets) $(drops "$g1" 0x100)" '200 none'
	wait_for 20 dummies_came 200
	# SAs go while the cipher has some
	for i in 1 2 3 4 5; do
		yes "$line len 1000" | head -n 500 | ip -n "$g1" -force -batch - 2>/dev/null &
		sender=$!
		wait_for 20 dummies_sent "$((i == 1 ? 300 : 100))"
		ip -n "$g1" xfrm state flush
		wait "$sender" || true
		tunnel 4 4
	done
	flush
	wait_for 20 cipher_unused
}

dummies_came() {
	[[ $(drops "$g2" 0x100) == "rx-dummy $1" ]]
}

dummies_sent() {
	(($(stat "$g1" 0x100 tx-packets) >= $1))
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
	local wrapper cipher

	for cipher in "${ciphers[@]}"; do
		wait_for 20 cipher_unused "$cipher"
	done
	sort -u "$tmp/wrappers" >"$tmp/wrappers.once"
	while read -r wrapper; do
		[[ -e /sys/module/$wrapper/refcnt ]] || continue
		modprobe -r "$wrapper"
		for cipher in "${ciphers[@]}"; do
			best "$cipher"
			echo "# $driver again"
			[[ $driver != "$wrapper("* ]]
		done
	done <"$tmp/wrappers.once"
}

sysctl -qw net.core.netdev_max_backlog=100000
needs_cpus 4
run "the cipher finishes later" wraps
modprobe xfrm_ext
pair
for address in 10.2.0.1 10.0.0.2 fd02::1; do
	ip netns exec "$g2" "$here/traffic.py" serve "$address" 7 &
done
# Who takes ESP out of UDP
for n in "$g1" "$g2"; do
	ip netns exec "$n" "$here/natt.py" end 4500 </dev/null >/dev/null &
	wait_for 20 ip netns exec "$n" grep -q ':1194 ' /proc/net/udp6
done
traffic_open "$g1"
for address in 10.2.0.1 10.0.0.2 fd02::1; do
	wait_for 20 traffic udp "$address" 7 1
done
for path in on off; do
	for outer in 4 6; do
		run "nothing is lost, outer IPv$outer, fastpath $path" carries $outer $path
	done
	run "SAs are deleted under traffic, fastpath $path" deleted $path
	# Other modes on our own path only
	[[ $whole || $path == on ]] || continue
	run "nothing is lost, transport mode, fastpath $path" \
		other_mode $path transport 10.0.0.1 10.0.0.2 10.0.0.1 10.0.0.2
	run "nothing is lost, BEET IPv4 in UDP in IPv6, fastpath $path" \
		other_mode $path beet 10.1.0.1 10.2.0.1 fd00::1 fd00::2 encap espinudp 4500 4500 ::
	run "nothing is lost, BEET IPv6 in IPv4, fastpath $path" \
		other_mode $path beet fd01::1 fd02::1 10.0.0.1 10.0.0.2
	run "nothing is lost, CCM, trailer front, fastpath $path" \
		other_format 'ccm(aes)' $path 'trailer front' aead 'rfc4309(ccm(aes))' 19 128
	run "nothing is lost, ChaCha20-Poly1305, implicit IV, fastpath $path" \
		other_format 'rfc7539(chacha20,poly1305)' $path 'trailer omit iv implicit' \
		aead 'rfc7539esp(chacha20,poly1305)' 36 128
	run "nothing is lost, GMAC, format esp, fastpath $path" \
		other_format 'gcm(aes)' $path 'format esp' aead 'rfc4543(gcm(aes))' 20 128
	run "nothing is lost, CBC and HMAC, fastpath $path" \
		other_format 'authenc(hmac(sha256),cbc(aes))' $path '' \
		pair 'cbc(aes)' 16 'hmac(sha256)' 32 128
	run "nothing is lost, CBC and HMAC, ESN, fastpath $path" \
		other_format 'authencesn(hmac(sha256),cbc(aes))' $path 'format esp esn on' \
		pair 'cbc(aes)' 16 'hmac(sha256)' 32 128
done
fastpath on
run "dummy packets" dummies
run "namespaces are destroyed under traffic, and the module goes" destroyed 4
run "the cipher has no user left" taken_away
finish
