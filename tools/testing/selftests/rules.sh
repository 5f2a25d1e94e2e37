#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# kernels: 6.1-cloud 6.12-cloud 6.1-debug 7.3-uml
# check: 7.3-uml
#
# Rules: SAs that nobody announces are what the first rule says that matches them, or are
# refused, or plain where the rule allows it; whatever a key manager asks for that knows
# nothing of extended SAs. And the same leniency for SAs that are announced.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-wire.sh"

rule() { # add|delete|... word...: in g1
	ip -n "$g1" xfrm ext rule "$@"
}

fresh() { # function word...
	flush
	new_keys
	rule flush
	ip -n "$g2" xfrm ext rule flush
	"$@"
}

# An SA as somebody makes it who knows nothing of extensions
plainly() { # ns spi word...
	key_for "$2"
	# shellcheck disable=SC2154 # key_for() sets it
	ip -n "$1" xfrm state add src 10.0.0.1 dst 10.0.0.2 proto esp spi "$2" \
		mode tunnel aead "$aead" "$key" 128 "${@:3}"
}

extension() { # ns spi
	block "$1" "$2" | awk '$1 == "ext" { $1 = $1; print }'
}

is() { # what ns spi extension
	expect "$1" "$(extension "$2" "$3")" "$4"
}

esp='ext format esp trailer end iv explicit tx-subspaces 1 select cpu rx-subspaces 1 window 1024'

# What the unit does, without systemd
unit() {
	local dir=$here/../../systemd words

	mkdir -p /etc/xfrm_ext
	cp "$dir/rules" /etc/xfrm_ext/
	rule add reqid 7 plain
	for words in "$(sed -n 's|^ExecStart=/opt/xfrm_ext/sbin/ip ||p' "$dir/xfrm-ext-rules.service")" \
		"$(sed -n 's|^ExecStop=/opt/xfrm_ext/sbin/ip ||p' "$dir/xfrm-ext-rules.service")"; do
		[[ $words ]]
		# shellcheck disable=SC2086 # words
		ip netns exec "$g1" ip $words
		rule list | grep -v hits || true
	done >"$tmp/listed"
	expect "rules, started and stopped" "$(<"$tmp/listed")" \
		"pref 10 ${esp#ext } or plain"
	rm /etc/xfrm_ext/rules
}

# --- the list ------------------------------------------------------------------

listed() {
	rule add reqid 7 src 10.0.0.0/8 dst 10.1.0.0/16 format esp window 4096 or plain
	rule add pref 5 if_id 42 mark 0x5 mask 0xff plain
	rule add family inet6 format esp64 tx-subspaces 8 rx-subspaces 4 select flow
	rule add format esp
	rule list >"$tmp/list"
	expect "rules" "$(grep -v hits "$tmp/list")" \
"pref 5 if_id 0x2a mark 0x5 mask 0xff plain
pref 10 reqid 7 src 10.0.0.0/8 dst 10.1.0.0/16 format esp trailer end iv explicit tx-subspaces 1 select cpu rx-subspaces 1 window 4096 or plain
pref 20 family inet6 format esp64 trailer end iv explicit tx-subspaces 8 select flow rx-subspaces 4 window 1024
pref 30 format esp trailer end iv explicit tx-subspaces 1 select cpu rx-subspaces 1 window 1024"
	expect "counters" "$(grep hits "$tmp/list" | sort -u | xargs)" "hits 0 refused 0 plain 0"
	rule delete pref 20
	refused 'xfrm_ext: no rule with rule-pref 20' rule delete pref 20
	# What is listed can be said again
	rule list | grep -v hits | sed 's/^/xfrm ext rule add /' >"$tmp/again"
	rule flush
	expect "rules left" "$(rule list)" ''
	ip -n "$g1" -batch "$tmp/again"
	expect "rules, again" "$(rule list)" "$(sed '/pref 20/,+1d' "$tmp/list")"
	# They are this namespace's alone
	expect "rules of another" "$(ip -n "$g2" xfrm ext rule list)" ''
}

refusals() {
	refused 'xfrm_ext: a rule is for SAs of both directions: tx-subspaces and rx-subspaces are both needed; rx-subspaces is missing' \
		rule add format esp64 tx-subspaces 4
	refused 'xfrm_ext: a rule is for SAs of both directions: tx-subspaces and rx-subspaces are both needed; tx-subspaces is missing' \
		rule add format esp64 rx-subspaces 4
	refused 'xfrm_ext: neither tx-subspaces nor rx-subspaces given' rule add format esp64
	refused 'xfrm_ext: hold in a rule' rule add format esp hold on
	refused 'xfrm_ext: esn in a rule' rule add format esp esn on
	refused 'xfrm_ext: tx-start in a rule' rule add format esp tx-start 5
	refused 'xfrm_ext: mark 0x100 has bits outside of its mask 0xff: no SA would match' \
		rule add mark 0x100 mask 0xff format esp
	refused 'xfrm_ext: tx-subspaces 2 with format esp (1), which has one counter: must be 1' \
		rule add format esp tx-subspaces 2
	refused 'xfrm_ext: window 100: must be a power of two' rule add format esp window 100
	rule add pref 7 format esp
	refused 'xfrm_ext: rule-pref 7 is taken' rule add pref 7 plain
	rule add pref 4294967295 format esp
	refused 'xfrm_ext: no rule-pref left behind 4294967295; say which' rule add format esp
	expect "rules" "$(rule list | grep -c ^pref)" 2
}

# Nonsense that ip would not send
nonsense() {
	answers 'EINVAL xfrm_ext: rule-pref 0: must be 1 or more' rule-add rule-pref=0 rule-flags=2
	answers 'EINVAL xfrm_ext: rule-flags 0x4: only 0x3 are known' rule-add rule-flags=4 format=1
	answers 'EINVAL xfrm_ext: rule-flags 0x3: or-plain and plain exclude each other' \
		rule-add rule-flags=3
	answers 'EINVAL xfrm_ext: family 7: must be 2 (IPv4) or 10 (IPv6)' rule-add family=7 rule-flags=2
	answers 'EINVAL xfrm_ext: rule-src of 3 octets: must have 4 or 16' \
		rule-add rule-src=hex:010203 rule-flags=2
	answers 'EINVAL xfrm_ext: rule-dst of family 10 in a rule for family 2' \
		rule-add family=2 rule-dst=fd00::1 rule-flags=2
	answers 'EINVAL xfrm_ext: rule-src of family 2 in a rule for family 10' \
		rule-add family=10 rule-src=10.0.0.1 rule-flags=2
	answers 'EINVAL xfrm_ext: rule-src-len 33: must be 0 to 32' \
		rule-add rule-src=10.0.0.1 rule-src-len=33 rule-flags=2
	answers 'EINVAL xfrm_ext: rule-dst-len 8 without rule-dst' rule-add rule-dst-len=8 rule-flags=2
	answers 'EINVAL xfrm_ext: mark-mask 0xff without mark' rule-add mark-mask=255 rule-flags=2
	answers 'EINVAL xfrm_ext: attribute 7 says what an SA shall be, and the rule that it shall be plain' \
		rule-add format=1 rule-flags=2
	answers 'EINVAL xfrm_ext: spi in a rule*' rule-add spi=1 format=1
	answers 'EINVAL xfrm_ext: daddr in a rule*' rule-add daddr=10.0.0.1 format=1
	answers 'EINVAL xfrm_ext: rule-pref is needed*' rule-del
	expect "rules" "$(rule list)" ''
}

full() {
	for ((i = 0; i < 1024; i++)); do
		echo "xfrm ext rule add reqid $i format esp"
	done | ip -n "$g1" -batch -
	refused 'xfrm_ext: 1024 rules already; no more than 1024' rule add format esp
	# All of them come in a dump of many messages
	expect "rules" "$(rule list | grep -c ^pref)" 1024
	expect "the most there may be" "$(ip netns exec "$g1" ip xfrm ext capabilities |
		awk '$1 == "rules-max" { print $2 }')" 1024
	plainly "$g1" 0x100 reqid 1023
	is "the last one's" "$g1" 0x100 "$esp rule 10240"
}

# --- what matches ---------------------------------------------------------------

# Every word by itself: SAs that have it, and SAs that do not
match() { # rule-words / words of an SA that matches / of one that does not
	local words
	IFS=/ read -r -a words <<<"$1"

	fresh true
	# shellcheck disable=SC2086 # words
	rule add ${words[0]} format esp
	# shellcheck disable=SC2086
	plainly "$g1" 0x100 ${words[1]}
	is "$1: one that matches" "$g1" 0x100 "$esp rule 10"
	flush
	# shellcheck disable=SC2086
	plainly "$g1" 0x101 ${words[2]}
	is "$1: one that does not" "$g1" 0x101 ''
	expect "$1: counters" "$(rule list | awk '/hits/ { print $2 }')" 1
}

matches() {
	match 'reqid 7/reqid 7/reqid 8'
	match 'reqid 0//reqid 1'
	match 'if_id 7/if_id 7/if_id 8'
	match 'if_id 7/if_id 7/reqid 7'
	match 'mark 5/mark 5 mask 0xff/mark 6 mask 0xff'
	match 'mark 0x10 mask 0xf0/mark 0x15 mask 0xff/mark 0x25 mask 0xff'
	match 'reqid 3 if_id 4/reqid 3 if_id 4/reqid 3 if_id 5'
	match 'reqid 3 if_id 4/reqid 3 if_id 4/reqid 4 if_id 4'
}

# Addresses and families, with one rule after the other about the same SA
places() {
	local words

	for words in 'src 10.0.0.1' 'src 10.0.0.0/31' 'src 10.0.0.0/8' 'dst 10.0.0.2/32' \
		'src 10.0.0.1 dst 10.0.0.2' 'dst 10.0.0.0/30' 'family inet' ''; do
		fresh true
		# shellcheck disable=SC2086 # words
		rule add $words format esp
		plainly "$g1" 0x100
		is "with '$words'" "$g1" 0x100 "$esp rule 10"
	done
	for words in 'src 10.0.0.2' 'src 10.0.0.2/31' 'src 11.0.0.0/8' 'dst 10.0.0.1/32' \
		'src 10.0.0.1 dst 10.0.0.1' 'dst 10.0.0.4/30' 'family inet6' 'dst fd00::/8' \
		'src ::/1'; do
		fresh true
		# shellcheck disable=SC2086 # words
		rule add $words format esp
		plainly "$g1" 0x100
		is "with '$words'" "$g1" 0x100 ''
	done
	for words in 'src fd00::1' 'dst fd00::/64' 'family inet6' 'dst fd00::2/127'; do
		fresh true
		# shellcheck disable=SC2086 # words
		rule add $words format esp
		ip -n "$g1" xfrm state add src fd00::1 dst fd00::2 proto esp spi 0x100 \
			mode tunnel aead "$aead" "$key1" 128
		is "with '$words'" "$g1" 0x100 "$esp rule 10"
	done
}

# The first that matches decides
order() {
	rule add pref 20 format esp
	rule add pref 10 reqid 5 plain
	rule add pref 15 reqid 6 format esp64 tx-subspaces 2 rx-subspaces 2
	plainly "$g1" 0x105 reqid 5
	plainly "$g1" 0x106 reqid 6
	plainly "$g1" 0x107 reqid 7
	is "reqid 5" "$g1" 0x105 ''
	is "reqid 6" "$g1" 0x106 \
		'ext format esp64 trailer end iv explicit tx-subspaces 2 select cpu rx-subspaces 2 window 1024 rule 15'
	is "reqid 7" "$g1" 0x107 "$esp rule 20"
	expect "counters" "$(rule list | grep hits | xargs)" \
		"hits 0 refused 0 plain 1 hits 1 refused 0 plain 0 hits 1 refused 0 plain 0"
	# SAs that are there stay what they are
	rule flush
	is "reqid 7" "$g1" 0x107 "$esp rule 20"
	# An announcement goes before all rules
	rule add plain
	key_for 0x108
	ip -n "$g1" xfrm state add src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x108 mode tunnel \
		aead "$aead" "$key" 128 ext tx-subspaces 4
	is "announced" "$g1" 0x108 'ext format esp64 trailer end iv explicit tx-subspaces 4 select cpu'
}

# What is not ESP, or of a mode that cannot be extended, is nobody's business here
others() {
	rule add format esp
	ip -n "$g1" xfrm state add src 10.0.0.1 dst 10.0.0.2 proto ah spi 0x100 mode tunnel \
		auth 'hmac(sha256)' "0x$(printf '%064d' 1)"
	is "AH" "$g1" 0x100 ''
	expect "counters" "$(rule list | grep hits | xargs)" "hits 0 refused 0 plain 0"
}

# --- what key managers send -------------------------------------------------------

window() { # spi
	block "$g1" "$1" | grep -o 'window [0-9]* \|window [0-9]*$' | tail -n 1 | xargs
}

# The larger window, and extended sequence numbers where the format has room for them
lenient() {
	rule add reqid 64 format esp64 tx-subspaces 2 rx-subspaces 2 window 128
	rule add format esp window 128
	plainly "$g1" 0x100 replay-window 32
	is "a window of 32" "$g1" 0x100 "${esp/1024/128} rule 20"
	# In a bitmap, without ESN
	plainly "$g1" 0x101 replay-window 4096
	is "a window of 4096" "$g1" 0x101 "${esp/1024/4096} rule 20"
	plainly "$g1" 0x102 replay-window 33
	is "a window of 33" "$g1" 0x102 "${esp/1024/128} rule 20"
	plainly "$g1" 0x103 replay-window 129 flag esn
	is "ESN, a window of 129" "$g1" 0x103 "$(
		sed 's/1024/256/; s/explicit/explicit esn on/' <<<"$esp") rule 20"
	plainly "$g1" 0x104 replay-window 64 flag esn reqid 64
	is "ESN with esp64" "$g1" 0x104 \
		'ext format esp64 trailer end iv explicit tx-subspaces 2 select cpu rx-subspaces 2 window 128 rule 10'
	# What it asked for is still shown
	block "$g1" 0x101 | grep -q 'replay_window 4096'
	# An SPI that was asked for first
	ip -n "$g1" xfrm state allocspi src 10.0.0.1 dst 10.0.0.2 proto esp mode tunnel \
		min 0x110 max 0x110
	is "an allocated SPI" "$g1" 0x110 ''
	key_for 0x110
	ip -n "$g1" xfrm state update src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x110 mode tunnel \
		aead "$aead" "$key" 128 replay-window 32
	is "made of it" "$g1" 0x110 "${esp/1024/128} rule 20"
	# And one that is there: limits, and nothing else
	ip -n "$g1" xfrm state update src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x110 mode tunnel \
		aead "$aead" "$key" 128 replay-window 32 limit packet-hard 1000
	is "updated" "$g1" 0x110 "${esp/1024/128} rule 20"
	block "$g1" 0x110 -s | grep -q 'hard 1000(packets)'
	expect "SAs" "$(ip -n "$g1" xfrm state | grep -c '^src')" 6
	# Of the one in place, what it was to become is the key's business
	expect "hits" "$(rule list | awk '/hits/ { n += $2 } END { print n }')" 6
}

# The same of SAs that are announced
announced() {
	local sa=(src 10.0.0.1 dst 10.0.0.2 proto esp)

	key_for 0x100
	ip -n "$g1" xfrm state add "${sa[@]}" spi 0x100 aead "$aead" "$key" 128 mode tunnel replay-window 32 ext rx-subspaces 2
	is "a window of 32" "$g1" 0x100 'ext format esp64 trailer end iv explicit rx-subspaces 2 window 1024'
	key_for 0x101
	ip -n "$g1" xfrm state add "${sa[@]}" spi 0x101 aead "$aead" "$key" 128 mode tunnel replay-window 2048 ext rx-subspaces 2
	is "a window of 2048" "$g1" 0x101 'ext format esp64 trailer end iv explicit rx-subspaces 2 window 2048'
	key_for 0x102
	ip -n "$g1" xfrm state add "${sa[@]}" spi 0x102 aead "$aead" "$key" 128 mode tunnel flag esn replay-window 64 \
		ext format esp tx-subspaces 1
	is "ESN" "$g1" 0x102 'ext format esp trailer end iv explicit esn on tx-subspaces 1 select cpu'
	key_for 0x103
	refused 'xfrm_ext: flag esn contradicts replay protection off' \
		ip -n "$g1" xfrm state add "${sa[@]}" spi 0x103 aead "$aead" "$key" 128 mode tunnel flag esn replay-window 64 \
		ext format esp rx-subspaces 1 replay-protection off
}

# --- what cannot be -----------------------------------------------------------------

monitor() {
	ip -n "$g1" xfrm ext monitor >"$tmp/events" &
	monitor_pid=$!
	wait_for 20 grep -Eq '^[0-9a-f]+ +16 +[0-9]+ +[0-9a-f]*[1-9a-f]' \
		"/proc/$monitor_pid/net/netlink"
}

hears() { # event
	wait_for 10 grep -qFx "$1" "$tmp/events" || {
		cat "$tmp/events" >&2
		expect "event" "" "$1"
	}
}

# The kernel takes it, and the peer would have no way to know who has sent what comes
bare() { # ns spi word...
	ip -n "$1" xfrm state add src 10.0.0.1 dst 10.0.0.2 proto esp spi "$2" mode tunnel \
		enc 'cbc(aes)' "0x$(printf '%032d' 1)" "${@:3}"
}

cannot() {
	rule add format esp
	monitor
	refused 'xfrm_ext: auth (none) not supported' bare "$g1" 0x100
	hears 'rule-refused dst 10.0.0.2 spi 0x00000100 rule 10 refused: xfrm_ext: auth (none) not supported: enc cbc(aes) needs integrity beside it, see ip xfrm ext capabilities'
	expect "SAs" "$(ip -n "$g1" xfrm state)" ''
	rule delete pref 10
	hears "rule-del pref 10 ${esp#ext }"
	rule add format esp or plain
	hears "rule-add pref 10 ${esp#ext } or plain"
	bare "$g1" 0x100
	hears 'rule-refused dst 10.0.0.2 spi 0x00000100 rule 10 plain now: xfrm_ext: auth (none) not supported: enc cbc(aes) needs integrity beside it, see ip xfrm ext capabilities'
	is "plain" "$g1" 0x100 ''
	plainly "$g1" 0x101
	is "not plain" "$g1" 0x101 "$esp rule 10"
	expect "counters" "$(rule list | grep hits | xargs)" "hits 1 refused 0 plain 1"
	stop "$monitor_pid"
}

# Plain is plain: the kernel's own window is there, and packets pass
or_plain() {
	rule add src 10.0.0.2 dst 10.0.0.1 format esp
	rule add format esp or plain
	policies 4
	for n in "$g1" "$g2"; do
		bare "$n" 0x100 reqid 1 flag af-unspec
		ip -n "$n" xfrm state add src 10.0.0.2 dst 10.0.0.1 proto esp spi 0x200 reqid 2 \
			mode tunnel flag af-unspec replay-window 32 aead "$aead" "$key2" 128
	done
	is "out" "$g1" 0x100 ''
	is "in" "$g1" 0x200 "$esp rule 10"
	ip netns exec "$g1" ping -q -c 5 -i 0.02 -W 10 10.2.0.1
	accepts "$g1" 0x200 5
}

# An offload that the device has not got: refused, and the next try of a daemon is no
# plain one for it. Later kernels make it without
offload() {
	rule add format esp
	if plainly "$g1" 0x100 offload dev wan dir out 2>"$tmp/err"; then
		older_than 6.13 && return 1
		# From iproute2 6.10 on ip says "dir out" of the SA as well: then it is for that one
		[[ $(extension "$g1" 0x100) == 'ext format esp '*' tx-subspaces 1 '*' rule 10' ]]
	else
		plainly "$g1" 0x100
		is "the next try" "$g1" 0x100 "$esp rule 10"
	fi
}

# --- traffic ---------------------------------------------------------------------------

# Both directions, made without a word of extensions
daemons() { # 4|6 [more words for both ends]
	local n o1 o2

	flush
	new_keys
	outer "$1"
	policies "$1"
	for n in "$g1" "$g2"; do
		ip -n "$n" -batch - <<-EOF
			xfrm state add src $o1 dst $o2 proto esp spi 0x100 reqid 1 mode tunnel flag af-unspec ${*:2} aead $aead $key1 128
			xfrm state add src $o2 dst $o1 proto esp spi 0x200 reqid 2 mode tunnel flag af-unspec ${*:2} aead $aead $key2 128
		EOF
	done
}

pings() {
	ip netns exec "$g1" ping -q -c 10 -i 0.02 -W 10 10.2.0.1
	ip netns exec "$g1" ping -q -c 10 -i 0.02 -W 10 fd02::1
}

# One end has the rule, the other has never heard of us
one_end() { # 4|6 fastpath esn-words
	fastpath "$2"
	rule add format esp window 4096
	# shellcheck disable=SC2086 # words
	daemons "$1" replay-window 64 $3
	record_out "$tmp/pcap" "$g1" wan
	pings
	accepts "$g1" 0x200 20
	expect "packets sent" "$(stat "$g1" 0x100 tx-packets)" 20
	expect "drops" "$(drops "$g1" 0x100) $(drops "$g1" 0x200)" "none none"
	is "at the other end" "$g2" 0x100 ''
	is "at the other end" "$g2" 0x200 ''
	expect "packets at the other end" "$(block "$g2" 0x100 -s |
		awk '/lifetime current/ { getline; print $2 }')" "20(packets)"
	record_end "$tmp/pcap" "$g1" "$(outer 4; echo "$o2")"
	expect "clear packets" "$(clear_packets "$tmp/pcap")" ''
	fastpath on
}

both_ends() { # fastpath
	local n

	fastpath "$1"
	for n in "$g1" "$g2"; do
		ip -n "$n" xfrm ext rule add format esp64 tx-subspaces 4 rx-subspaces 4 trailer front iv implicit
	done
	daemons 4 replay-window 32
	pings
	for n in "$g1" "$g2"; do
		accepts "$n" "$([[ $n == "$g1" ]] && echo 0x200 || echo 0x100)" 20
		expect "drops" "$(drops "$n" 0x100) $(drops "$n" 0x200)" "none none"
	done
	fastpath on
}

# The peer has no rule: nothing passes, and somebody is told why
mismatch() {
	rule add format esp64 tx-subspaces 4 rx-subspaces 4
	daemons 4 replay-window 32
	# shellcheck disable=SC2119 # no words
	monitor
	ip netns exec "$g2" ping -q -c 40 -i 0.01 -W 0.2 10.1.0.1 || true
	wait_for 10 dropped_at_least 32
	hears 'none-authentic dst 10.0.0.1 spi 0x00000200 rule 10: 16 packets, none authentic since the SA was made: does the peer have the rule?'
	hears 'none-authentic dst 10.0.0.1 spi 0x00000200 rule 10: 32 packets, none authentic since the SA was made: does the peer have the rule?'
	expect "such events" "$(grep -c none-authentic "$tmp/events")" 2
	ip -n "$g1" -s xfrm state | grep -q 'packets, none authentic since the SA was made: does the peer have the rule?'
	stop "$monitor_pid"
}

dropped_at_least() { # packets
	(($(stat "$g1" 0x200 rx-icv) >= $1))
}

# A daemon restores a plain SA that has been in use: its numbers go on
restored() {
	local highest

	daemons 4 replay-window 32
	pings
	rule add format esp
	# What it has read of its SA, and an extended one in its place
	ip -n "$g1" -batch - <<-EOF
		xfrm state delete src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x100
		xfrm state add src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x100 reqid 1 mode tunnel flag af-unspec aead $aead $key1 128 replay-oseq 20
		xfrm state delete src 10.0.0.2 dst 10.0.0.1 proto esp spi 0x200
		xfrm state add src 10.0.0.2 dst 10.0.0.1 proto esp spi 0x200 reqid 2 mode tunnel flag af-unspec aead $aead $key2 128 replay-seq 20
	EOF
	pings
	accepts "$g1" 0x200 20
	highest=$(subspace "$g1" 0x100 tx 0 highest)
	((highest > 20 + 20))
	expect "drops" "$(drops "$g1" 0x100) $(drops "$g1" 0x200)" "none none"
	expect "the highest received" "$(subspace "$g1" 0x200 rx 0 highest)" 40
}

unload() {
	flush
	rule flush
	wait_for 30 module_goes
	modprobe xfrm_ext
	# With rules it goes, too: they hold nothing
	rule add format esp
	wait_for 30 module_goes
	modprobe xfrm_ext
	expect "rules" "$(rule list)" ''
}

modprobe xfrm_ext
pair
genl_open "$g1"
run "listed, in order, and said again" fresh listed
run "from a file, as the unit does it" fresh unit
run "refused" fresh refusals
run "nonsense" fresh nonsense
run "as many as may be" fresh full
run "who matches" matches
run "who matches: addresses" places
run "the first that matches" fresh order
# Not in kernels that we build
! modprobe ah4 2>/dev/null || run "AH" fresh others
run "what key managers ask for" fresh lenient
run "the same of announced SAs" fresh announced
run "refused, or plain" fresh cannot
run "plain ones carry packets" fresh or_plain
run "an offload" fresh offload
for path in on off; do
	run "format esp at one end, IPv4, fastpath $path" fresh one_end 4 $path ''
	run_full "format esp at one end, IPv6, fastpath $path" fresh one_end 6 $path ''
	run "format esp at one end, ESN, fastpath $path" fresh one_end 4 $path 'flag esn'
	run "esp64 at both ends, fastpath $path" fresh both_ends $path
done
run "esp64 at one end" fresh mismatch
run "numbers of a plain SA go on" fresh restored
genl_close
run "the module can be unloaded" unload
finish
