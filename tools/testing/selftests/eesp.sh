#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# kernels: 6.1-cloud 7.3-uml
# check: 7.3-uml
#
# Format eesp between two hosts: all modes, families, paths, algorithms and root keys, in UDP,
# with something in clear; every packet on the link is read by somebody who knows the draft
# only (eesp.py), and by the reference, whose author has not read the module; what that makes by
# chance is taken and delivered (PACKETS, SEED). What a receiver refuses, and what it does not look at. Nothing of it is ever
# ESP, and no ESP is ever taken for it.
#
# 7.3-uml does all, the others one of each kind at least.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-wire.sh"
. "$(dirname "$0")/lib-eesp.sh"

# What the reference makes, with any packet inside, the module takes; and in tunnel mode it comes
# out as it went in, which is seen where it comes in again
made_elsewhere() { # mode inner outer path
	local packets=${PACKETS:-$((240 / factor))}

	fastpath "$4"
	pair_of "$1" "$2" "$3"
	[[ $1 != tunnel ]] || record "$tmp/came.pcap" "$g2" wan -Q in
	expect sent "$(ip netns exec "$g1" "$here/eesp_reference.py" send "$tmp/sa1" "$SUBS" "$packets" "${SEED:-1}" wan \
		"$(ip netns exec "$g2" cat /sys/class/net/wan/address)" "$tmp/inner.pcap")" "$packets"
	accepts "$g2" 0x100 "$packets"
	expect drops "$(drops "$g2" 0x100)" none
	[[ $1 != tunnel ]] || wait_for 20 "$here/eesp_reference.py" came "$tmp/came.pcap" "$tmp/inner.pcap"
	[[ $1 != tunnel ]] || kill -INT "$(<"$tmp/came.pcap.pid")"
	fastpath on
}

made_elsewhere_crypt() { # octets mode inner outer
	local CRYPT=$1

	made_elsewhere "${@:2}" on
}

made_elsewhere_udp() { # mode inner outer path
	local UDP=1

	made_elsewhere "$@"
}

made_elsewhere_with() { # aead root icv json words mode inner outer
	local AEAD=$1 ROOT=$2 BITS=$3 JSON=$4 EXT=$5

	made_elsewhere "${@:6}" on
}

carries() { # mode inner outer path
	fastpath "$4"
	pair_of "$1" "$2" "$3"
	exchange
	fastpath on
}

all_modes() {
	local mode inner outer

	for mode in tunnel transport beet; do
		for inner in 4 6; do
			for outer in 4 6; do
				[[ $mode != transport || $inner == "$outer" ]] || continue
				[[ $whole || $mode$inner$outer == @(tunnel44|transport66|beet46) ]] || continue
				"$@" $mode $inner $outer
			done
		done
	done
}

modes_on() { # path
	local path=$1

	all_modes carries_on "$path"
}

carries_on() { # path mode inner outer
	run "$2, IPv$3 over IPv$4, fastpath $1" carries "$2" "$3" "$4" "$1"
}

algorithm() { # aead root bits json ext
	local AEAD=$1 ROOT=$2 BITS=$3 JSON=$4 EXT=$5

	pair_of tunnel 4 4
	exchange
	pair_of transport 6 6
	exchange
}

one_key() { # octets
	local ROOT=$1 SUBS=1

	pair_of tunnel 4 4
	exchange
	pair_of transport 6 6
	exchange
}

in_udp() { # mode inner outer path
	local UDP=1

	carries "$@"
}

# With a source port for each Sub SA but 0
spread() {
	local UDP=1 EXT='spread on' filter='udp dst port 4500'

	pair_of tunnel 4 4
	exchange
	(($(tcpdump -nn -r "$tmp/1.pcap" "$filter" 2>/dev/null | awk '{ print $3 }' | sort -u | wc -l) > 1))
}

in_clear() { # octets mode inner outer
	local CRYPT=$1

	pair_of "$2" "$3" "$4"
	exchange
	# In transport mode as short as a payload gets
	ip netns exec "$g1" ping -q -c 2 -i 0.02 -s 0 -W 10 -I "$i1" "$i2"
	wait_for 20 equal
	expect drops "$(drops "$g2" 0x100)" none
}

# The receiver accepts less
too_much_clear() {
	local CRYPT=64

	pair_of tunnel 4 4
	ip -n "$g2" xfrm state delete dst "$o2" proto esp spi 0x100
	CRYPT=32 sa_is 1 tunnel rx | ip -n "$g2" -batch -
	no_answer -c 2 -i 0.02
	expect drops "$(drops "$g2" 0x100)" "rx-crypt-offset 2"
	ip -n "$g2" xfrm state delete dst "$o2" proto esp spi 0x100
	CRYPT='' sa_is 1 tunnel rx | ip -n "$g2" -batch -
	no_answer -c 2 -i 0.02
	# A key that has been used goes on with its numbers, but counts anew
	expect drops "$(drops "$g2" 0x100)" "rx-crypt-offset 2"
}

refuses() { # inner outer path
	local CRYPT=

	fastpath "$3"
	receiver_alone "$1" "$2"
	sends rx-packets valid 0 1
	sends rx-packets valid 3 1
	sends rx-replay valid 3 1
	sends rx-subspace valid 4 1
	sends rx-subspace valid 0xffff 1
	# The key of another Sub SA
	sends rx-icv valid 2 1 key_of=1
	sends rx-icv flip 0 2
	sends rx-icv flip-header 0 2
	sends rx-zero valid 0 0
	sends rx-packets valid 0 0xffffffffffff
	sends rx-too-old valid 0 0x1000000000000
	sends rx-too-old valid 0 0xffffffffffffffff
	sends rx-too-old valid 0 5
	# Version, reserved bits, and the bit that tells it from ESP
	sends rx-header valid 1 1 first=0x88
	sends rx-header valid 1 1 first=0x81
	sends rx-header valid 1 1 first=0x84
	sends rx-header valid 1 1 first=0
	# Options: one alone, one of no length, one that is longer than all
	sends rx-header valid 1 1 options=hex:07 parse=0
	sends rx-header valid 1 1 options=hex:01010000000005 parse=0
	sends rx-header valid 1 1 options=hex:07030000 parse=0
	sends rx-header valid 1 1 options=hex:02021800 parse=0
	sends rx-header valid 1 1 options=hex:020300001c000000 parse=0
	sends rx-header valid 1 1 options=hex:02021c0002021c00 parse=0
	sends rx-truncated truncated 1 1 length=15
	sends rx-truncated truncated 1 1 length=39
	sends rx-truncated opt-len 1 1
	# A Crypt Offset, that nobody has allowed, is authenticated before it is refused
	sends rx-crypt-offset valid 1 1 options=hex:02021c00 full=1
	sends rx-icv flip 1 2 options=hex:02021c00 full=1
	sends rx-replay valid 1 1
	# What is not looked at: padding options, unknown ones, private ones, more padding
	sends rx-packets valid 1 2 options=hex:00000000
	sends rx-packets valid 1 3 options=hex:01020000
	sends rx-packets valid 1 4 options=hex:0702abcd
	sends rx-packets valid 1 5 options=hex:e00600000000000001020000
	sends rx-packets valid 1 6 pad_extra=20
	sends rx-packets valid 1 7 iv=hex:0123456789abcdef
	sends rx-trailer valid 1 8 pad_extra=70
	# In tunnel mode there is no Payload Info Header
	sends rx-next-header valid 1 9 full=1
	# ESP by its protocol number; the same SPI
	sends rx-header esp 1 10 protocol=50
	exec 5>&- 6<&-
	fastpath on
}

# Octets that are EESP, in a packet that says it is ESP: its first word is the SPI, as it happens
eesp_as_esp() { # path
	local SPI=0x80000001

	fastpath "$1"
	receiver_alone 4 4
	sends rx-packets valid 1 1
	sends rx-header valid 1 2 protocol=50
	sends rx-packets valid 1 2
	exec 5>&- 6<&-
	fastpath on
}

full_refuses() { # the same with a Payload Info Header
	local CRYPT=64

	receiver_alone 4 4
	sends rx-packets valid 1 1
	sends rx-packets valid 1 2 options=hex:02021ca0 full=1
	sends rx-trailer valid 1 3 nibble=1
	# The inner packet says more or less than what there is
	sends rx-inner valid 1 4 next_header=41
	sends rx-next-header valid 1 5 next_header=17
	sends rx-dummy valid 1 6 next_header=59
	# Without an option, its first four bits say what it is
	sends rx-packets valid 1 7 options=hex: full=1
	sends rx-packets valid 1 8 options=hex: full=0
	sends rx-trailer valid 1 9 options=hex:02021c00 full=0
	exec 5>&- 6<&-
}

# Of nothing, where a Payload Info Header can say so
dummies() {
	pair_of transport 4 4
	ip -n "$g1" xfrm ext dummy dst "$o2" spi 0x100 len 100
	wait_for 10 moved rx-dummy 1
	pair_of tunnel 4 4
	refused 'has no Next Header' ip -n "$g1" xfrm ext dummy dst "$o2" spi 0x100
}

# Requests, and an answer to each in its own Sub SA; on the link, the reference's
echoes() { # crypt-offset as pair_of
	local ECHO=on CRYPT=$1 JSON='' n family=2

	pair_of "${@:2}"
	[[ $o2 != *:* ]] || family=10
	record_out "$tmp/1.pcap" "$g1" wan
	record_out "$tmp/2.pcap" "$g2" wan
	genl_open "$g1"
	for n in 0 1 2 3; do
		answers ok echo "family=$family" "daddr=$o2" spi=0x100 echo-reply-spi=0x200 \
			"echo-subspace=$n" "echo-seq=$n" echo-len=50
	done
	genl_close
	wait_for 10 moved rx-echo 4
	# Nobody listens
	wait_for 10 heard_nobody
	captured "$tmp/1.pcap" "$g1" 0x100
	captured "$tmp/2.pcap" "$g2" 0x200
	for n in 1 2; do
		"$here/eesp_reference.py" echoes "$tmp/$n.pcap" "$tmp/sa$n" "$SUBS" "$n"
	done
}

heard_nobody() {
	[[ $(drops "$g1" 0x200) == 'rx-echo-refused 4' ]]
}

# Nobody's: for SAs of other formats it does not exist
strangers() {
	local SUBS=1 ROOT=36 no_states

	receiver_alone 4 4
	sends rx-packets valid 0 1
	flush_keeping_keys
	new_keys
	for ext in '' 'ext rx-subspaces 1 format esp64' 'ext rx-subspaces 1 format esp'; do
		key_for 0x100 36
		ip -n "$g2" xfrm state flush
		# The listener is there as long as anybody has an SA of it
		sa_is 2 tunnel tx | sed 's/0x200/0x300/' | ip -n "$g1" -batch -
		# shellcheck disable=SC2086 # words
		ip -n "$g2" xfrm state add src "$o1" dst "$o2" proto esp spi 0x100 reqid 1 mode tunnel \
			aead "$AEAD" "$key" 128 flag af-unspec $ext
		no_states=$(mib "$g2" XfrmInNoStates)
		echo "valid 0 2" >&5
		read -r -t 60 _ <&6
		wait_for 10 no_states_are $((no_states + 1))
		expect "the SA's packets" "$(ip -n "$g2" -s xfrm state get dst "$o2" proto esp spi 0x100 |
			awk '/lifetime current/ { getline; print $2 }')" '0(packets)'
		flush_keeping_keys
		new_keys
	done
	exec 5>&- 6<&-
}

no_states_are() {
	[[ $(mib "$g2" XfrmInNoStates) == "$1" ]]
}

# A peer that has the same key and SPI, and the kernel's own ESP
stock_sends() { # path
	local SUBS=1 ROOT=36

	fastpath "$1"
	pair_of tunnel 4 4
	ip -n "$g1" xfrm state flush
	key_for 0x100 36
	ip -n "$g1" xfrm ext capabilities >/dev/null
	ip -n "$g1" xfrm state add src "$o1" dst "$o2" proto esp spi 0x100 reqid 1 mode tunnel \
		aead "$AEAD" 0x"$(printf '11%.0s' {1..36})" 128 flag af-unspec
	no_answer -c 2 -i 0.02
	expect drops "$(drops "$g2" 0x100)" "rx-header 2"
	fastpath on
}

# One octet more than what fits is said not to
fits() { # mode outer data
	pair_of "$1" "$2" "$2"
	ip netns exec "$g1" ping -q -c 1 -M "do" -s "$3" -W 10 -I "$i1" "$i2"
	ip netns exec "$g1" ping -c 1 -M "do" -s $(($3 + 1)) -W 1 -I "$i1" "$i2" >"$tmp/big" 2>&1 || true
	cat "$tmp/big"
	grep -qi 'too long\|mtu' "$tmp/big"
	grep -q '100% packet loss' "$tmp/big"
}

path_mtu() { # 4|6
	pair_of tunnel "$1" "$1"
	ip -n "$g1" route flush cache
	ip netns exec "$g2" "$here/eesp.py" too-big 0x777 "$o2" "$o1" 1320
	ip netns exec "$g2" "$here/eesp.py" too-big 0x100 "$o2" "$o1" 1340
	wait_for 10 route_has_mtu 1340
	ip -n "$g1" route flush cache
	ip -n "$g1" -6 route flush cache
}

route_has_mtu() {
	[[ $(ip -n "$g1" route get "$o2") != *'mtu 1320'* ]] &&
		ip -n "$g1" route get "$o2" | grep -q "mtu $1"
}

made_by_rule() {
	local n

	flush
	addresses tunnel 4 4
	for n in "$g1" "$g2"; do
		ip netns exec "$n" ip xfrm ext rule add format eesp tx-subspaces 1 rx-subspaces 1
	done
	for n in 1 2; do
		{
			printf 'xfrm state add src %s dst %s proto esp spi 0x100 reqid 1 mode tunnel %s\n' \
				"$o1" "$o2" "aead $AEAD $key1 128 flag af-unspec"
			printf 'xfrm state add src %s dst %s proto esp spi 0x200 reqid 2 mode tunnel %s\n' \
				"$o2" "$o1" "aead $AEAD $key2 128 flag af-unspec"
			policy_is "$n" tunnel out
			policy_is $((3 - n)) tunnel in
		} | ip -n "$(ns_of "$n")" -batch -
	done
	SUBS=1 ROOT=20 sa_is 1 tunnel tx >/dev/null
	SUBS=1 ROOT=20 sa_is 2 tunnel tx >/dev/null
	SUBS=1 exchange
	both drop_rules
}

# MIGRATE of the sender's SA, and the receiver's made again: numbers, windows and keys go on
moved_on() { # path
	local from n sent=0

	fastpath "$1"
	pair_of tunnel 4 4
	ip -n "$g1" addr replace 10.0.0.11/24 dev wan
	for from in 10.0.0.1 10.0.0.11; do
		[[ $from == 10.0.0.1 ]] || ip netns exec "$g1" "$here/xfrm.py" migrate \
			10.1.0.1/32 10.2.0.1/32 1 10.0.0.1 10.0.0.2 "$from" 10.0.0.2
		sed -i "s/\"src\": \"[^\"]*\"/\"src\": \"$from\"/" "$tmp/sa1"
		record_out "$tmp/1.pcap" "$g1" wan
		for n in 1 2 3 4 5 6 7 8; do
			traffic udp "$i2" 7 "$n" 100 100
		done
		captured "$tmp/1.pcap" "$g1" 0x100
		"$here/eesp_reference.py" read "$tmp/1.pcap" "$tmp/sa1" "$SUBS"
		sent=$((sent + $(stat "$g1" 0x100 tx-packets)))
		expect "drops" "$(drops "$g2" 0x100)" none
		ip -n "$g2" xfrm state delete src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x100
		sa_is 1 tunnel rx | ip -n "$g2" -batch -
	done
	expect "numbers" "$(block "$g1" 0x100 -s | awk '$1 == "tx-subspace" { n += $4 } END { print n }')" "$sent"
	# To the SA that is made again, what has been is a replay
	ip netns exec "$g1" "$here/replay.py" "$tmp/1.pcap" 10.0.0.2
	wait_for 10 moved rx-replay "$(stat "$g1" 0x100 tx-packets)"
	ip -n "$g1" addr del 10.0.0.11/24 dev wan
	fastpath on
}

drop_rules() {
	ip netns exec "$1" ip xfrm ext rule flush
}

# On the kernel's own path, since a device wants to know
interface() {
	local n MORE='if_id 7' IF='if_id 7'

	for n in "$g1" "$g2"; do
		ip -n "$n" link add x7 type xfrm dev wan if_id 7
		ip -n "$n" link set x7 up
	done
	ip -n "$g1" route replace 10.2.0.0/24 dev x7 src 10.1.0.1
	ip -n "$g2" route replace 10.1.0.0/24 dev x7 src 10.2.0.1
	pair_of tunnel 4 4
	exchange
	expect "received by the device" "$(ip -n "$g2" -s link show x7 | awk '/RX:/ { getline; print $2 }')" \
		"$(stat "$g2" 0x100 rx-packets)"
	ip -n "$g1" link del x7
	ip -n "$g2" link del x7
	ip -n "$g1" route replace 10.2.0.0/24 via 10.0.0.2 src 10.1.0.1
	ip -n "$g2" route replace 10.1.0.0/24 via 10.0.0.1 src 10.2.0.1
}

# Each says which attribute, its value and its limit
refusals() {
	local SUBS=1 why=("$g1" xfrm state add src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x900)
	local root gcm="aead $default_aead"

	flush
	root=0x$(printf '5a%.0s' {1..32})
	says() { # text words...
		local text=$1

		shift
		refused "$text" ip -n "${why[@]}" "$@"
		expect "SAs that are there" "$(ip -n "$g1" xfrm state count | grep -o 'SAD count [0-9]*')" "SAD count 0"
	}
	# shellcheck disable=SC2086 # words
	{
		says "must be 1 to 1024" mode tunnel $gcm $root 128 ext format eesp tx-subspaces 1025
		says "must be 1 to 1024" mode tunnel $gcm $root 128 ext format eesp rx-subspaces 1025
		says "which has none at the end" mode tunnel $gcm $root 128 \
			ext format eesp trailer end tx-subspaces 1
		says "what the mode has, 2" mode tunnel $gcm $root 128 \
			ext format eesp trailer front tx-subspaces 1
		says "what the mode has, 1" mode transport $gcm $root 128 \
			ext format eesp trailer omit tx-subspaces 1
		# SN None: with an implicit IV the draft forbids it, and with an explicit one nobody has made it
		says "without numbers are not supported" mode tunnel $gcm $root 128 \
			ext format eesp rx-subspaces 1 replay-protection off
		says "without numbers are not supported" mode tunnel $gcm $root 128 \
			ext format eesp rx-subspaces 1 iv implicit replay-protection off
		says "tx-start 281474976710656: must be 1 to 281474976710655" mode tunnel $gcm $root 128 \
			ext format eesp tx-subspaces 1 tx-start 281474976710656
		says "esn on with format 2" mode tunnel $gcm $root 128 ext format eesp tx-subspaces 1 esn on
		says "must be an aead" mode tunnel enc 'cbc(aes)' ${root:0:34} auth-trunc 'hmac(sha256)' $root 128 \
			ext format eesp tx-subspaces 1
		says "no root key to derive theirs from" mode tunnel $gcm ${root}5a5a5a5a 128 \
			ext format eesp tx-subspaces 2
		says "which is no root key" mode tunnel $gcm ${root}5a5a5a5a 128 \
			ext format eesp tx-subspaces 1 sub-key 128
		says "sub-key 136 with aead" mode tunnel $gcm $root 128 ext format eesp tx-subspaces 1 sub-key 136
		says "must be 128 to 256" mode tunnel $gcm $root 128 ext format eesp tx-subspaces 1 sub-key 64
		says "sub-key 128 with format 0" mode tunnel $gcm $root 128 ext tx-subspaces 1 sub-key 128
		says "must be 0 to 252" mode tunnel $gcm $root 128 \
			ext format eesp tx-subspaces 1 tx-crypt-offset 256
		says "multiple of 4" mode tunnel $gcm $root 128 ext format eesp rx-subspaces 1 rx-crypt-offset 6
		says "without rx-subspaces" mode tunnel $gcm $root 128 \
			ext format eesp tx-subspaces 1 rx-crypt-offset 8
		says "which has none; must be 0" mode tunnel $gcm $root 128 tfcpad 100 \
			ext format eesp tx-subspaces 1
		says "which has none; must be explicit" mode tunnel aead 'rfc4543(gcm(aes))' $root 128 \
			ext format eesp tx-subspaces 1 iv implicit
		says "memory-max is 20000" mode tunnel $gcm $root 128 ext format eesp tx-subspaces 4 memory-max 20000
	}
	wait_for 20 netns_empty "$g1"
}

# The most that there can be, and all is given back
many() {
	local SUBS=1024

	flush
	pair_of tunnel 4 4
	(($(netns_memory "$g2") > 2 * 1024 * 8192))
	wait_for 10 ip netns exec "$g1" ping -q -c 1 -W 1 -I "$i1" "$i2"
	flush
	wait_for 20 netns_empty "$g1"
	wait_for 20 netns_empty "$g2"
}

# The number is not ours as long as there is no SA, and not at all if somebody has it
number() {
	flush
	wait_for 20 unused
	wait_for 20 module_goes
	refused 'Invalid argument' modprobe xfrm_ext eesp_protocol=255
	modprobe xfrm_ext eesp_protocol=17
	pair_refused
	wait_for 20 module_goes
	modprobe xfrm_ext eesp_protocol=200
	ip -n "$g1" xfrm ext capabilities | grep -qx 'eesp-protocol 200'
	pair_of tunnel 4 4
	record_out "$tmp/200.pcap" "$g1" wan
	ip netns exec "$g1" ping -q -c 3 -i 0.02 -W 10 -I "$i1" "$i2"
	filter='ip proto 200' captured "$tmp/200.pcap" "$g1" 0x100
	flush
	wait_for 20 module_goes
	refused 'Invalid argument' modprobe xfrm_ext eesp_version=16
	refused 'Invalid argument' modprobe xfrm_ext eesp_option_pad1=1
	refused 'Invalid argument' modprobe xfrm_ext eesp_option_crypt_offset=0
	refused 'Invalid argument' modprobe xfrm_ext eesp_option_padn=7 eesp_option_crypt_offset=7
	modprobe xfrm_ext eesp_version=5 eesp_option_pad1=9 eesp_option_padn=10 eesp_option_crypt_offset=0
	numbered 0 transport 4 4
	numbered 8 tunnel 4 6
	numbered '' transport 6 6
	flush
	wait_for 20 module_goes
	modprobe xfrm_ext
}

# Other numbers than the draft's, in every header, and the reference reads them
numbered() { # crypt-offset as pair_of
	local CRYPT=$1 JSON=', "version_number": 5, "numbers": [9, 10, 0]' n

	pair_of "${@:2}"
	record_out "$tmp/1.pcap" "$g1" wan
	record_out "$tmp/2.pcap" "$g2" wan
	ip netns exec "$g1" ping -q -c 4 -i 0.02 -W 10 -I "$i1" "$i2"
	captured "$tmp/1.pcap" "$g1" 0x100
	captured "$tmp/2.pcap" "$g2" 0x200
	for n in 1 2; do
		"$here/eesp_reference.py" read "$tmp/$n.pcap" "$tmp/sa$n" "$SUBS"
	done
}

pair_refused() {
	addresses tunnel 4 4
	sa_is 1 tunnel tx >"$tmp/words"
	# shellcheck disable=SC2046 # words
	refused "IP protocol 17 is somebody else's" ip -n "$g1" $(<"$tmp/words")
	expect "SAs that are there" "$(ip -n "$g1" xfrm state count | grep -o 'SAD count [0-9]*')" "SAD count 0"
	# What has the number is still there
	traffic udp 10.2.0.1 7 100
}

# Where all is done; elsewhere others of the kind do
run_whole() { # as run
	[[ ! $whole ]] || run "$@"
}

eesp_hosts

modes_on on
modes_on off
run "AES-128" algorithm "$default_aead" 32 128 ', "sub_key": 128' 'sub-key 128'
run_whole "AES-192, ICV of 8 octets" algorithm "$default_aead" 32 64 ', "sub_key": 192' 'sub-key 192'
run "implicit IV" algorithm "$default_aead" 32 128 ', "iv": "implicit"' 'iv implicit'
run "ChaCha20-Poly1305" algorithm 'rfc7539esp(chacha20,poly1305)' 32 128 '' ''
run_whole "AES-CCM" algorithm 'rfc4309(ccm(aes))' 32 128 ', "sub_key": 128' 'sub-key 128'
run "GMAC" algorithm 'rfc4543(gcm(aes))' 32 128 '' ''
run_whole "SHA-384" algorithm "$default_aead" 48 128 '' ''
run "SHA-512, implicit IV" algorithm "$default_aead" 64 128 ', "iv": "implicit"' 'iv implicit'
run_whole "no root key, AES-128" one_key 20
run "no root key, AES-256" one_key 36
for octets in 0 252; do
	run_whole "$octets octets in clear, tunnel" in_clear $octets tunnel 4 4
	run_whole "$octets octets in clear, transport over IPv6" in_clear $octets transport 6 6
done
run "32 octets in clear, tunnel" in_clear 32 tunnel 4 4
run "32 octets in clear, transport over IPv6" in_clear 32 transport 6 6
run_whole "32 octets in clear, BEET" in_clear 32 beet 4 6
run "more in clear than accepted" too_much_clear
run "what a receiver refuses, fastpath on" refuses 4 4 on
run "what a receiver refuses, fastpath off" refuses 4 4 off
run_whole "what a receiver refuses, IPv6" refuses 6 6 on
run "EESP that says it is ESP, fastpath on" eesp_as_esp on
run "EESP that says it is ESP, fastpath off" eesp_as_esp off
run "with a Payload Info Header" full_refuses
run "dummy packets" dummies
run "ESP Echo, transport" echoes '' transport 4 4
run "ESP Echo, tunnel with a Payload Info Header" echoes 0 tunnel 4 6
run_whole "ESP Echo, BEET" echoes '' beet 4 6
run "SAs of other formats" strangers
run "stock ESP is not taken, fastpath on" stock_sends on
run "stock ESP is not taken, fastpath off" stock_sends off
while read -r mode outer octets; do
	run "what fits, $mode over IPv$outer" fits "$mode" "$outer" "$octets"
done <<<$'tunnel 4 1410\ntunnel 6 1370\ntransport 4 1426\nbeet 6 1402'
run "PMTU, IPv4" path_mtu 4
run "PMTU, IPv6" path_mtu 6
run "made by a rule" made_by_rule
for path in on off; do
	run "MIGRATE, and made again, fastpath $path" moved_on $path
done
run "an xfrm interface" interface
run "refusals" refusals
run "1,024 Sub SAs" many
# Of what is made by chance, some are longer than links carry as a rule
for n in "$g1" "$g2"; do ip -n "$n" link set wan mtu 1700; done
for path in on off; do
	for mode in tunnel transport beet; do
		run "made by the reference, $mode, IPv4, fastpath $path" made_elsewhere $mode 4 4 $path
		run_whole "made by the reference, $mode, IPv6, fastpath $path" made_elsewhere $mode 6 6 $path
	done
done
run "made by the reference, BEET, both families" made_elsewhere beet 4 6 on
run "made by the reference, 32 octets in clear" made_elsewhere_crypt 32 tunnel 4 6
run_whole "made by the reference, 252 octets in clear" made_elsewhere_crypt 252 transport 6 6
run "made by the reference, SHA-512, implicit IV" made_elsewhere_with "$default_aead" 64 128 ', "iv": "implicit"' 'iv implicit' tunnel 4 4
run_whole "made by the reference, SHA-384, ChaCha20-Poly1305" made_elsewhere_with 'rfc7539esp(chacha20,poly1305)' 48 128 '' '' transport 4 4
run_whole "made by the reference, AES-CCM" made_elsewhere_with 'rfc4309(ccm(aes))' 32 128 ', "sub_key": 128' 'sub-key 128' tunnel 6 4
for n in "$g1" "$g2"; do
	ip netns exec "$n" "$here/natt.py" end 4500 </dev/null >/dev/null &
	wait_for 20 ip netns exec "$n" grep -q ':1194 ' /proc/net/udp6
done
for path in on off; do
	run "in UDP, tunnel, fastpath $path" in_udp tunnel 4 4 $path
	run "made by the reference, in UDP, fastpath $path" made_elsewhere_udp tunnel 4 4 $path
	run_whole "in UDP, transport, fastpath $path" in_udp transport 4 4 $path
	run_whole "in UDP over IPv6, BEET, fastpath $path" in_udp beet 4 6 $path
done
run "a UDP port for each Sub SA" spread
run "the IP protocol number" number
fastpath on
flush
finish
