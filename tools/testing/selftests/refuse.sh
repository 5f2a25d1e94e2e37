#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# kernels: 6.1-cloud 6.1-debug 6.12-cloud 7.3-uml
# check: 6.1-cloud
#
# What cannot be is refused, with a text that says why, and leaves nothing behind.
. "$(dirname "$0")/lib.sh"

id='family=2 daddr=10.0.0.2 spi=0x300'
hex() { # octets: a key
	printf '0x'
	printf '%02x' $(seq 1 "$1")
}

# Neither an announcement nor an SA
nothing_left() {
	answers 'ENOENT xfrm_ext: no announcement pending*' withdraw "$id"
	expect "SAs left" "$(ip -n "$g1" xfrm state)" ''
}

# What one test has left is not the next one's failure
fresh() { # function
	ip -n "$g1" xfrm state flush
	ask withdraw "$id"
	"$1"
}

newsa_refused() { # text words...
	local text=$1

	shift
	refused "$text" ip -n "$g1" xfrm state add src 10.0.0.1 dst 10.0.0.2 spi 0x300 "$@"
	nothing_left
}

gcm_refused() { # text words...
	local text=$1

	shift
	newsa_refused "$text" proto esp aead "$aead" "$key1" 128 "$@"
}

ciphers() {
	local pair=(proto esp mode tunnel enc 'cbc(aes)' "$(hex 16)")

	# Where the kernel has one that we do not know
	if modprobe -q des_generic; then
		newsa_refused 'xfrm_ext: enc cbc(des3_ede) not supported; ip xfrm ext capabilities lists those that are' \
			proto esp mode tunnel enc 'cbc(des3_ede)' "$(hex 24)" \
			auth-trunc 'hmac(sha256)' "$(hex 32)" 128 ext tx-subspaces 2
	fi
	if modprobe -q md5; then
		newsa_refused 'xfrm_ext: auth hmac(md5) not supported: enc cbc(aes) needs integrity beside it' \
			"${pair[@]}" auth-trunc 'hmac(md5)' "$(hex 16)" 96 ext tx-subspaces 2
	fi
	# Never without
	newsa_refused 'xfrm_ext: auth (none) not supported: enc cbc(aes) needs integrity beside it' \
		"${pair[@]}" ext tx-subspaces 2
	newsa_refused 'xfrm_ext: auth digest_null not supported: enc cbc(aes) needs integrity beside it' \
		"${pair[@]}" auth digest_null '' ext tx-subspaces 2
	newsa_refused 'xfrm_ext: auth hmac(sha256) truncated to 32 bits; must be a multiple of 32, 64 or more' \
		"${pair[@]}" auth-trunc 'hmac(sha256)' "$(hex 32)" 32 ext tx-subspaces 2
	newsa_refused 'xfrm_ext: auth hmac(sha256) truncated to 104 bits; must be a multiple of 32, 64 or more' \
		"${pair[@]}" auth-trunc 'hmac(sha256)' "$(hex 32)" 104 ext tx-subspaces 2
	newsa_refused 'xfrm_ext: iv implicit (1) contradicts enc cbc(aes), which has none; must be explicit (0)' \
		"${pair[@]}" auth-trunc 'hmac(sha256)' "$(hex 32)" 128 ext tx-subspaces 2 iv implicit
	newsa_refused 'xfrm_ext: iv implicit (1) contradicts aead rfc4543(gcm(aes)), which has none; must be explicit (0)' \
		proto esp mode tunnel aead 'rfc4543(gcm(aes))' "$(hex 20)" 128 \
		ext rx-subspaces 2 iv implicit
}

# Where Pad Length and Next Header stand, and what goes with it
trailers() {
	gcm_refused 'xfrm_ext: trailer omit (2) with mode 0: must be tunnel (1)' \
		mode transport ext tx-subspaces 2 trailer omit
	gcm_refused 'xfrm_ext: trailer omit (2) with mode 4: must be tunnel (1)' \
		mode beet sel src 10.1.0.1 dst 10.2.0.1 ext rx-subspaces 2 trailer omit
	gcm_refused 'xfrm_ext: tfcpad 100 contradicts trailer omit (2), which has no room for it; must be 0' \
		mode tunnel tfcpad 100 ext tx-subspaces 2 trailer omit
}

# RFC 4303 has one counter
one_counter() {
	local n

	for n in tx-subspaces rx-subspaces; do
		answers "EINVAL xfrm_ext: $n 2 with format esp (1), which has one counter: must be 1" \
			announce "$id" format=1 "$n=2"
	done
	answers 'EINVAL xfrm_ext: tx-base 1 with format esp (1), which has one counter: must be 0' \
		announce "$id" format=1 tx-subspaces=1 tx-base=1
	answers 'EINVAL xfrm_ext: select 3 with format esp (1), which has one counter: must be 0' \
		announce "$id" format=1 tx-subspaces=1 select=3
	# 32 bits, or 48 of 64
	for n in tx-start tx-warn; do
		answers "EINVAL xfrm_ext: $n 4294967296: must be 1 to 4294967295" \
			announce "$id" format=1 tx-subspaces=1 "$n=4294967296"
		answers "EINVAL xfrm_ext: $n $((1 << 48)): must be 1 to $(((1 << 48) - 1))" \
			announce "$id" format=1 flags=16 tx-subspaces=1 "$n=$((1 << 48))"
	done
	answers 'EINVAL xfrm_ext: esn on with format 0, which sends all of its numbers: must be esp (1)' \
		announce "$id" tx-subspaces=1 flags=16
	answers 'EINVAL xfrm_ext: esn on with replay protection off: there is no window to tell the high half from' \
		announce "$id" format=1 rx-subspaces=1 flags=18
	nothing_left
}

protocols() {
	newsa_refused '"ext" is invalid with XFRM-PROTO value "ah"' \
		proto ah mode tunnel auth 'hmac(sha256)' "$(hex 32)" ext tx-subspaces 2
	newsa_refused '"ext" is invalid with XFRM-PROTO value "comp"' \
		proto comp mode tunnel comp deflate ext tx-subspaces 2
}

modes() {
	gcm_refused 'xfrm_ext: mode beet with selector prefixes /0 and /0: both must be one address, the inner ones' \
		mode beet ext tx-subspaces 2
	gcm_refused 'xfrm_ext: mode beet with selector prefixes /32 and /24: both must be one address, the inner ones' \
		mode beet sel src 10.1.0.1 dst 10.2.0.0/24 ext tx-subspaces 2
	gcm_refused 'xfrm_ext: mode beet with selector prefixes /64 and /128: both must be one address, the inner ones' \
		mode beet sel src fd01::/64 dst fd02::1 ext tx-subspaces 2
	gcm_refused 'xfrm_ext: mode beet with selector prefixes /0 and /0: both must be one address, the inner ones' \
		mode beet flag af-unspec ext tx-subspaces 2
	gcm_refused 'xfrm_ext: beet-frag on with mode 1 and a selector of family 2: must be beet (4) and IPv4 (2)' \
		mode tunnel ext tx-subspaces 2 beet-frag on
	gcm_refused 'xfrm_ext: beet-frag on with mode 0 and a selector of family 2: must be beet (4) and IPv4 (2)' \
		mode transport ext tx-subspaces 2 beet-frag on
	gcm_refused 'xfrm_ext: beet-frag on with mode 4 and a selector of family 10: must be beet (4) and IPv4 (2)' \
		mode beet sel src fd01::1 dst fd02::1 ext tx-subspaces 2 beet-frag on
	gcm_refused 'xfrm_ext: beet-frag on contradicts if_id 0x7: xfrm interfaces receive no fragments; must be 0' \
		mode beet sel src 10.1.0.1 dst 10.2.0.1 if_id 7 ext rx-subspaces 2 beet-frag on
}

# Where the counters stand is a number's business that the extension has not got:
# an SA that began at 1 all the same would use numbers twice
counters() {
	gcm_refused 'replay' mode tunnel replay-oseq 1000 ext tx-subspaces 2
	gcm_refused 'replay' mode tunnel replay-seq 1000 ext rx-subspaces 2
}

other_features() {
	# Later kernels are content without it, if the device has none
	if older_than 6.13; then
		gcm_refused "offload" mode tunnel offload dev wan dir out ext tx-subspaces 2
	fi
	if older_than 6.9; then
		gcm_refused 'xfrm_ext: encap type 1 not supported; must be espinudp (2)' \
			mode tunnel encap espinudp-nonike 4500 4500 0.0.0.0 ext tx-subspaces 2
	fi
	gcm_refused 'xfrm_ext: extra-flag oseq-may-wrap contradicts the announcement; an extended SA never uses a number twice' \
		mode tunnel extra-flag oseq-may-wrap ext tx-subspaces 2
}

# Announced as the words before -- say, the SA as those behind; refused with that text
extended_refused() { # text words... -- words...
	local text=$1 announced=()

	shift
	while [[ $1 != -- ]]; do
		announced+=("$1")
		shift
	done
	shift
	answers ok announce "$id" "${announced[@]}"
	refused "EINVAL xfrm_ext: $text" \
		ip netns exec "$g1" "$here/xfrm.py" extended 10.0.0.1 10.0.0.2 0x300 "$@"
	# Unlike ip, this takes nothing back
	answers ok withdraw "$id"
	nothing_left
}

# What older kernels do not look at
later_features() {
	extended_refused 'dir out contradicts rx-subspaces 2; must be absent' \
		tx-subspaces=2 rx-subspaces=2 -- dir=2
	extended_refused 'dir in contradicts tx-subspaces 3; must be absent' \
		tx-subspaces=3 rx-subspaces=2 -- dir=1
	extended_refused 'pcpu-num 1 contradicts the announcement; an extended SA is for all CPUs' \
		tx-subspaces=2 -- dir=2 cpu=1
}

# A direction that agrees is no contradiction
directed() {
	local dir

	for dir in tx-subspaces:2 rx-subspaces:1; do
		answers ok announce "$id" "${dir%:*}=2"
		ip netns exec "$g1" "$here/xfrm.py" extended 10.0.0.1 10.0.0.2 0x300 "dir=${dir#*:}"
		answers 'ok *state=1*' get "$id"
		ip -n "$g1" xfrm state flush
	done
}

words() {
	gcm_refused '"tx-subspaces", "rx-subspaces" or both are required' mode tunnel ext
	gcm_refused '"window" is of no use without "rx-subspaces"' \
		mode tunnel ext tx-subspaces 2 window 64
	gcm_refused '"tx-start" is of no use without "tx-subspaces"' \
		mode tunnel ext rx-subspaces 2 tx-start 1
	gcm_refused 'xfrm_ext: tx-subspaces 65537: must be 1 to 65536' \
		mode tunnel ext tx-subspaces 65537
	gcm_refused 'xfrm_ext: window 63: must be a power of two, 64 to 65536' \
		mode tunnel ext rx-subspaces 1 window 63
}

# The same and more, without a tool that knows better
announcements() {
	local n

	for n in 0 65537 0xffffffff; do
		answers "EINVAL xfrm_ext: tx-subspaces $((n)): must be 1 to 65536" \
			announce "$id" tx-subspaces="$n"
		answers "EINVAL xfrm_ext: rx-subspaces $((n)): must be 1 to 65536" \
			announce "$id" tx-subspaces=1 rx-subspaces="$n"
	done
	answers 'EINVAL xfrm_ext: neither tx-subspaces nor rx-subspaces given: *' announce "$id"
	for n in 0 32 63 65 65535 131072; do
		answers "EINVAL xfrm_ext: window $n: must be a power of two, 64 to 65536" \
			announce "$id" rx-subspaces=1 window="$n"
	done
	answers 'EINVAL xfrm_ext: window 64 without rx-subspaces: *' \
		announce "$id" tx-subspaces=1 window=64
	for n in 0 $((1 << 48)) $(((1 << 62) + 1)); do
		answers "EINVAL xfrm_ext: tx-start $n: must be 1 to $(((1 << 48) - 1))" \
			announce "$id" tx-subspaces=1 tx-start="$n"
	done
	answers 'EINVAL xfrm_ext: tx-start 5 without tx-subspaces: *' \
		announce "$id" rx-subspaces=1 tx-start=5
	for n in format:2 trailer:2 iv:1; do
		answers "EINVAL xfrm_ext: ${n%:*} $((${n#*:} + 1)): must be 0 to ${n#*:}" \
			announce "$id" tx-subspaces=1 "${n%:*}=$((${n#*:} + 1))"
	done
	answers 'EINVAL xfrm_ext: flags 0x80: only 0x7f are known' \
		announce "$id" tx-subspaces=1 flags=128
	nothing_left
}

# What chooses a subspace, and what goes with what
selection() {
	local n

	answers 'EINVAL xfrm_ext: select 4: must be 0 to 3' announce "$id" tx-subspaces=1 select=4
	answers 'EINVAL xfrm_ext: tx-base 65533: must be 0 to 65532' \
		announce "$id" tx-subspaces=4 tx-base=65533
	answers 'EINVAL xfrm_ext: tx-base 4 without tx-subspaces: *' \
		announce "$id" rx-subspaces=4 tx-base=4
	answers 'EINVAL xfrm_ext: select-cpus belongs to a rule with classes; *' \
		announce "$id" tx-subspaces=4 select-cpus=4
	for n in 0 9; do
		answers "EINVAL xfrm_ext: select-cpus $n: must be 1 to 8" \
			announce "$id" tx-subspaces=8 select=1 select-cpus="$n"
	done
	answers 'EINVAL xfrm_ext: select-cpus 3: tx-subspaces 8 is no multiple of it' \
		announce "$id" tx-subspaces=8 select=1 select-cpus=3
	answers 'EINVAL xfrm_ext: select-dscp of 126 octets: must have 128, *' announce "$id" \
		tx-subspaces=8 select=1 select-dscp=hex:"$(printf '0000%.0s' {1..63})"
	answers 'EINVAL xfrm_ext: select-dscp: class 8 of DSCP 63: *classes 0 to 7' announce "$id" \
		tx-subspaces=8 select=1 select-dscp=hex:"$(printf '0700%.0s' {1..63})0800"
	answers 'EINVAL xfrm_ext: select-dscp belongs to select 1; this is 2' announce "$id" \
		tx-subspaces=8 select=2 select-dscp=hex:"$(printf '0000%.0s' {1..64})"
	answers 'EINVAL xfrm_ext: select-mask belongs to select 2; this is 0' \
		announce "$id" tx-subspaces=8 select-mask=1
	answers 'EINVAL xfrm_ext: select-mask 0: must be 1 to 4294967295' \
		announce "$id" tx-subspaces=8 select=2 select-mask=0
	answers 'EINVAL xfrm_ext: select-shift 32: must be 0 to 31' \
		announce "$id" tx-subspaces=8 select=2 select-shift=32
	answers 'EINVAL xfrm_ext: select-shift 8: leaves nothing of select-mask 0xff' \
		announce "$id" tx-subspaces=8 select=2 select-mask=0xff select-shift=8
	gcm_refused 'xfrm_ext: output-mark with mask 0xffffffff sets bits that select mark 0xf0' \
		mode tunnel output-mark 5 ext tx-subspaces 4 select mark select-mask 0xf0
	gcm_refused 'DSCP 5 has two classes' mode tunnel \
		ext tx-subspaces 4 select dscp select-dscp 0-5:1,5:2
	gcm_refused '"64:1" is not DSCP:CLASS' mode tunnel \
		ext tx-subspaces 4 select dscp select-dscp 64:1
	nothing_left
}

# What may be received, and what that may take
windows() {
	local n

	answers 'EINVAL xfrm_ext: window 64 with replay protection off: *' \
		announce "$id" rx-subspaces=1 window=64 flags=2
	answers 'EINVAL xfrm_ext: replay protection off without rx-subspaces: *' \
		announce "$id" tx-subspaces=1 flags=2
	answers 'EINVAL xfrm_ext: echo on without rx-subspaces: *' announce "$id" tx-subspaces=1 flags=0x40
	answers 'EINVAL xfrm_ext: echo on with trailer omit (2), which has no Next Header: *' \
		announce "$id" rx-subspaces=1 trailer=2 flags=0x40
	answers 'EINVAL xfrm_ext: echo on with replay protection off: *' \
		announce "$id" rx-subspaces=1 flags=0x42
	for n in 0 $((1 << 48)); do
		answers "EINVAL xfrm_ext: tx-warn $n: must be 1 to *" \
			announce "$id" tx-subspaces=1 tx-warn="$n"
	done
	answers 'EINVAL xfrm_ext: memory-max 0: must be 1 to *' \
		announce "$id" rx-subspaces=1 memory-max=0
	answers 'EINVAL xfrm_ext: 0 transmit and 65536 receive subspaces with window 65536 may take * octets; memory-max is 67108864' \
		announce "$id" rx-subspaces=65536 window=65536
	answers ok announce "$id" rx-subspaces=65536 window=65536 memory-max=$((1 << 32))
	answers ok withdraw "$id"
	nothing_left
}

# Counters are set forward, or not at all
setting() {
	local n sn=$(((1 << 48) - 1))

	tunnel 4 4
	usable
	answers 'ENOENT xfrm_ext: no extended SA *' set "$id" release=
	for n in 4 65536; do
		answers "EINVAL xfrm_ext: tx-subspace $n: the SA sends in 4 subspaces from 0 on" \
			set family=2 daddr=10.0.0.2 spi=0x100 tx-subspace="$n":5
		answers "EINVAL xfrm_ext: rx-subspace $n: the SA receives in 4 subspaces from 0 on" \
			set family=2 daddr=10.0.0.1 spi=0x200 rx-subspace="$n":5
	done
	answers "EINVAL xfrm_ext: highest $((sn + 1)): must be 0 to $sn" \
		set family=2 daddr=10.0.0.2 spi=0x100 tx-subspace=0:$((sn + 1))
	answers "EINVAL xfrm_ext: gap $((sn + 1)): must be 0 to $sn" \
		set family=2 daddr=10.0.0.2 spi=0x100 tx-subspace=0:5 gap=$((sn + 1))
	answers 'EINVAL xfrm_ext: a subspace needs id and highest; highest is missing' \
		set family=2 daddr=10.0.0.2 spi=0x100 tx-subspace=1
	answers ok set family=2 daddr=10.0.0.2 spi=0x100 tx-subspace=1:1000 gap=0
	# All or nothing
	answers 'EINVAL xfrm_ext: tx-subspace 1: highest 999 is behind 1000, which it has sent' \
		set family=2 daddr=10.0.0.2 spi=0x100 tx-subspace=2:2000 tx-subspace=1:999 gap=0
	expect "subspace 1" "$(subspace "$g1" 0x100 tx 1 highest)" 1000
	expect "subspace 2" "$(subspace "$g1" 0x100 tx 2 highest)" ''
	usable
	flush
	nothing_left
}

# Requests of ESP Echo
echoes() {
	local of='family=2 daddr=10.0.0.2 spi=0x100'

	tunnel 4 4
	answers 'EINVAL xfrm_ext: echo-reply-spi 0: must be 1 or more, or absent' echo "$of" echo-reply-spi=0
	answers 'EINVAL xfrm_ext: echo-len 2: must be 3, which echo-data has, to 65535' \
		echo "$of" echo-len=2 echo-data=hex:616263
	answers 'EINVAL xfrm_ext: echo-len 65536: must be 0, which echo-data has, to 65535' \
		echo "$of" echo-len=65536
	answers 'EINVAL xfrm_ext: tx-subspace 4: the SA sends in 4 subspaces from 0 on' \
		echo "$of" echo-subspace=4
	answers 'EINVAL xfrm_ext: the SA is for receiving only' echo family=2 daddr=10.0.0.1 spi=0x200
	answers 'ENOENT xfrm_ext: no extended SA *' echo family=2 daddr=10.0.0.2 spi=0x101
	answers 'EMSGSIZE xfrm_ext: len 65547: too much for the path, *' echo "$of" echo-len=65535
	expect "sent" "$(stat "$g1" 0x100 tx-packets)" 0
	flush
	ip -n "$g1" xfrm state add src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x100 mode tunnel \
		aead "$aead" "$key1" 128 ext tx-subspaces 1 trailer omit
	answers 'EINVAL xfrm_ext: trailer omit (2) has no Next Header: *' echo "$of"
	flush
	nothing_left
}

identity() {
	local verb

	for verb in announce withdraw get set echo; do
		answers 'EINVAL xfrm_ext: spi 0: must be 1 or more' \
			"$verb" family=2 daddr=10.0.0.2 spi=0
		answers 'EINVAL xfrm_ext: family 1: must be 2 (IPv4) or 10 (IPv6)' \
			"$verb" family=1 daddr=10.0.0.2 spi=0x300
		answers 'EINVAL xfrm_ext: daddr of 3 octets: must have 4' \
			"$verb" family=2 daddr=hex:0a0000 spi=0x300
		answers 'EINVAL xfrm_ext: daddr of 16 octets: must have 4' \
			"$verb" family=2 daddr=fd00::2 spi=0x300
		answers 'EINVAL xfrm_ext: daddr of 4 octets: must have 16' \
			"$verb" family=10 daddr=10.0.0.2 spi=0x300
		answers 'EINVAL xfrm_ext: *; family is missing' "$verb" daddr=10.0.0.2 spi=0x300
		answers 'EINVAL xfrm_ext: *; daddr is missing' "$verb" family=2 spi=0x300
		answers 'EINVAL xfrm_ext: *; spi is missing' "$verb" family=2 daddr=10.0.0.2
	done
	answers 'ENOENT xfrm_ext: no extended SA *' get "$id"
	nothing_left
}

# Attributes that are not this command's, unknown to all, too long, too short, of a
# kind that they are not
attributes() {
	local verb

	for verb in announce withdraw get dummy echo; do
		answers 'EINVAL Unknown attribute type' "$verb" "$id" 200=1
		answers 'EINVAL Unknown attribute type' "$verb" "$id" 300=hex:
		answers 'ERANGE *' "$verb" family=2 daddr=hex:"$(printf '00%.0s' {1..17})" spi=1
		answers 'E* *attribute*' "$verb" family=hex:020000000000 daddr=10.0.0.2 spi=1
		answers 'E* *attribute*' "$verb" family=2 daddr=10.0.0.2 spi=hex:0000
		answers 'EINVAL *' "$verb" "$id" state=1
		# nested, as its flag has it
		answers 'EINVAL *' "$verb" "$id" mark=1 0x8006=1
	done
	answers 'EINVAL *' withdraw "$id" tx-subspaces=2
	answers 'EINVAL *' announce "$id" tx-subspaces=hex:02
	answers 'EINVAL *' announce "$id" tx-subspaces=1 tx-start=hex:0100000000000000ff
	answers 'EINVAL *' announce "$id" tx-subspaces=1 cap-formats=1
	answers 'EINVAL *' caps family=2
	answers 'EINVAL *' caps 200=1
	answers 'EINVAL *' dump family=2
	answers 'EINVAL *' dump "$id"
	answers 'EINVAL *' dummy "$id" gap=1
	answers 'E* *attribute*' dummy "$id" dummy-len=hex:02
	answers 'E* *attribute*' dummy "$id" dummy-subspace=hex:0200
	answers 'EINVAL *' echo "$id" gap=1
	answers 'E* *attribute*' echo "$id" echo-id=hex:02
	answers 'E* *attribute*' echo "$id" echo-seq=hex:02
	answers 'E* *attribute*' echo "$id" echo-reply-spi=hex:0200
	answers 'ERANGE *' echo "$id" echo-data=hex:"$(printf '00%.0s' {1..65})"
	# An event is no request
	answers 'ENOTSUP*' 7
	answers 'ENOTSUP*' 20
	answers 'ENOTSUP*' 21
	answers 'ENOTSUP*' 77
	answers 'ok cap-formats=7 *' caps
	nothing_left
}

unprivileged() {
	local nobody=(ip netns exec "$g1" setpriv --reuid 65534 --regid 65534 --clear-groups
		"$here/genl.py")

	printf '%s\n' caps "announce $id tx-subspaces=2" "withdraw $id" "get $id" dump "set $id release=" \
		"dummy $id" "echo $id" "rule-add format=1" "rule-del rule-pref=1" rule-flush rule-get totals \
		>"$tmp/requests"
	"${nobody[@]}" batch <"$tmp/requests" >"$tmp/out"
	expect "answers to nobody" "$(sed 's/ .*//' "$tmp/out" | tr '\n' ' ')" \
		'ok EPERM EPERM EPERM EPERM EPERM EPERM EPERM EPERM EPERM EPERM EPERM EPERM '
	# Events tell of SAs, too
	expect "events to nobody" "$("${nobody[@]}" join 2>&1 || true)" EPERM
	expect "events to root" "$(ip netns exec "$g1" "$here/genl.py" join)" ok
	nothing_left
}

usable() {
	# By one CPU, so that it is known which subspaces are in use
	ip netns exec "$g1" taskset -c 0 ping -q -c 3 -i 0.05 -W 10 10.2.0.1
	expect "drops" "$(drops "$g1" 0x100)" none
}

duplicate() {
	local key

	tunnel 4 4
	usable
	key_for 0x101
	refused 'xfrm_ext: SA exists already' sa 4 '1>2' 8
	refused 'File exists' ip -n "$g1" xfrm state add src 10.0.0.1 dst 10.0.0.2 proto esp \
		spi 0x100 reqid 1 mode tunnel aead "$aead" "$key" 128
	block "$g1" 0x100 | grep -q 'ext format esp64 .* tx-subspaces 4 select cpu$'
	answers 'ENOENT *' withdraw family=2 daddr=10.0.0.2 spi=0x100
	usable
	expect "packets" "$(stat "$g1" 0x100 tx-packets)" 6
}

other_namespace() {
	answers 'ENOENT xfrm_ext: no extended SA *' get family=2 daddr=10.0.0.2 spi=0x999
	ip -n "$g2" xfrm state add src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x999 reqid 9 \
		mode tunnel aead "$aead" "$key1" 128 ext rx-subspaces 4
	answers 'ENOENT xfrm_ext: no extended SA *' get family=2 daddr=10.0.0.2 spi=0x999
	ask dump
	[[ $answer == 'ok '*spi=0x00000100* ]]
	[[ $answer != *spi=0x00000999* ]]
	# An announcement is of its own namespace, too
	answers ok announce family=2 daddr=10.0.0.2 spi=0x998 rx-subspaces=2
	refused 'no announcement fits' ip -n "$g2" xfrm state add src 10.0.0.1 dst 10.0.0.2 \
		proto esp spi 0x998 mode tunnel aead "$aead" "$key2" 128 extra-flag 0x80000000
	answers ok withdraw family=2 daddr=10.0.0.2 spi=0x998
}

# Limits are what UPDSA is for; all else of an SA stays, as with a plain one
update() {
	local before key
	local sa=(src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x100 reqid 1 mode tunnel flag af-unspec
		aead "$aead")

	# The SAs are those of duplicate()
	key=$(block "$g1" 0x100 | awk '$1 == "aead" { print $3 }')
	sa+=("$key" 128)
	usable
	before=$(stat "$g1" 0x100 tx-packets)
	ip -n "$g1" xfrm state update "${sa[@]}" limit packet-hard 70000
	usable
	refused 'xfrm_ext: SA exists already; extensions are set when it is made, and only then' \
		ip -n "$g1" xfrm state update "${sa[@]}" limit packet-hard 60000 ext tx-subspaces 16
	usable
	block "$g1" 0x100 -s >"$tmp/out"
	grep -q 'hard 70000(packets)' "$tmp/out"
	grep -q 'ext format esp64 .* tx-subspaces 4 select cpu$' "$tmp/out"
	expect "packets" "$(stat "$g1" 0x100 tx-packets)" $((before + 6))
	accepts "$g2" 0x100 $((before + 6))
	expect "replays" "$(drops "$g2" 0x100)" none
	ask dump
	expect "SAs in the module" "$(grep -o 'spi=' <<<"$answer" | wc -l)" 2
	answers 'ENOENT *' withdraw family=2 daddr=10.0.0.2 spi=0x100

	# Nor does a plain SA become an extended one
	key_for 0x101
	sa=(src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x101 reqid 1 mode tunnel flag af-unspec
		aead "$aead" "$key" 128)
	ip -n "$g1" xfrm state add "${sa[@]}"
	refused 'xfrm_ext: SA exists already' \
		ip -n "$g1" xfrm state update "${sa[@]}" ext tx-subspaces 4
	expect "extended SAs" "$(ip -n "$g1" xfrm state | grep -c '	ext format')" 2
	block "$g1" 0x101 | grep -q "$aead"
}

allocated() {
	flush
	policies 4
	ip -n "$g2" xfrm state allocspi src 10.0.0.1 dst 10.0.0.2 proto esp reqid 1 mode tunnel \
		min 0x100 max 0x100
	ip -n "$g2" xfrm state update src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x100 reqid 1 \
		mode tunnel flag af-unspec aead "$aead" "$key1" 128 ext rx-subspaces 4 window 128
	expect "SAs" "$(ip -n "$g2" xfrm state | grep -c '^src')" 1
	block "$g2" 0x100 | grep -q 'ext format esp64 .* rx-subspaces 4 window 128'
	sa 4 '2>1' 4
	ip -n "$g1" xfrm state add src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x100 reqid 1 \
		mode tunnel flag af-unspec aead "$aead" "$key1" 128 ext tx-subspaces 4
	usable
	accepts "$g2" 0x100 3
}

unload() {
	flush
	wait_for 30 module_goes
}

modprobe xfrm_ext
pair
genl_open "$g1"
for what in ciphers trailers one_counter protocols modes counters other_features words announcements \
	selection windows identity attributes unprivileged; do
	run "refused: ${what/_/ }" fresh "$what"
done
if ! older_than 6.12.13; then
	run "refused: later features" fresh later_features
	run "a direction that fits the subspaces" fresh directed
fi
run "counters are set forward, or not at all" setting
run "refused: requests of ESP Echo" echoes
run "a second SA of the same SPI is refused, the first stays" duplicate
run "other namespaces' SAs and announcements are not ours" other_namespace
run "UPDSA changes limits and nothing else" update
run "UPDSA completes an allocated SPI" allocated
genl_close
run "the module can be unloaded" unload
finish
