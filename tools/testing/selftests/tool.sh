#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# kernels: 6.1-cloud 7.3-uml
# check: 7.3-uml
# needs: xfrm-ext
#
# xfrm-ext: SAs made, rules, events, JSON that says what is there and no key, counters that do
# not go back over a rekey, and what is wrong in a sentence. And "ip -j".
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-wire.sh"

newer=/usr/lib/xfrm-ext/xfrm-ext-newer

tool() { # ns word...
	ip netns exec "$1" xfrm-ext "${@:2}"
}

check() { # word...: tool.py
	"$here/tool.py" "$@"
}

# An SA 1>2 or 2>1, as xfrm-ext makes it: its key comes from a file, or a pipe
sa() { # ns way word...
	local spi=0x100 reqid=1 from=10.0.0.1 to=10.0.0.2

	[[ $2 == '1>2' ]] || spi=0x200 reqid=2 from=10.0.0.2 to=10.0.0.1
	key_for "${SPI:-$spi}"
	# shellcheck disable=SC2154 # key_for() sets it
	tool "$1" add src "$from" dst "$to" spi "${SPI:-$spi}" reqid "$reqid" mode tunnel \
		flag af-unspec aead "$aead" 128 "${@:3}" <<<"$key"
}

pings() { # count
	ip netns exec "$g1" ping -q -c "$1" -i 0.02 -W 5 10.2.0.1
}

lost_pings() { # count
	ip netns exec "$g1" ping -q -c "$1" -i 0.02 -W 0.1 10.2.0.1 || true
}

both_ways() { # subspaces
	flush
	policies 4
	sa "$g1" '1>2' tx-subspaces "$1"
	sa "$g2" '1>2' rx-subspaces "$1"
	sa "$g1" '2>1' rx-subspaces "$1"
	sa "$g2" '2>1' tx-subspaces "$1"
}

# --- what is not there ---------------------------------------------------------------

no_module() {
	local word

	mkdir -p /etc/modprobe.d
	wait_for 20 module_goes
	echo 'blacklist xfrm_ext' >/etc/modprobe.d/xfrm_ext.conf
	for word in capabilities monitor save 'rule list' 'rule add format esp' \
		'set dst 10.0.0.2 spi 1 release' 'dummy dst 10.0.0.2 spi 1'; do
		# shellcheck disable=SC2086 # words
		refused 'xfrm_ext: kernel module not loaded (modprobe xfrm_ext)' xfrm-ext $word
		# shellcheck disable=SC2086 # words
		refused 'xfrm_ext: kernel module not loaded (modprobe xfrm_ext)' ip xfrm ext $word
	done
	refused 'xfrm_ext: kernel module not loaded (modprobe xfrm_ext)' \
		sa "$g1" '1>2' tx-subspaces 1
	refused 'xfrm_ext: kernel module not loaded (modprobe xfrm_ext)' \
		ip -n "$g1" -batch - <<<"$(sa_line tx 4 '1>2' 1)"
	expect "SAs" "$(ip -n "$g1" xfrm state)" ''
	expect "SAs, as JSON" "$(ip -n "$g1" -j xfrm state | tr -d ' \n')" '[]'
	# These ask nobody for it
	expect "shown" "$(xfrm-ext -j show)" '[]'
	expect "up" "$(xfrm-ext metrics | grep -v '^#')" 'xfrm_ext_up 0'
	refused 'problem: the module xfrm_ext is installed, but not loaded: "modprobe xfrm_ext"' \
		xfrm-ext doctor
	[[ ! -d /sys/module/xfrm_ext ]]
	rm /etc/modprobe.d/xfrm_ext.conf
	xfrm-ext capabilities >"$tmp/capabilities"
	[[ -d /sys/module/xfrm_ext ]]
	grep -qx 'format esp64 esp eesp' "$tmp/capabilities"
	expect "two programs, capabilities" "$(<"$tmp/capabilities")" "$(ip xfrm ext capabilities)"
}

# A program that knows more than the module
old_module() {
	refused "module is older than this program, and has no command \"dummy\": load the module" \
		"$newer" dummy dst 10.0.0.2 spi 1
	refused "module is older than this program, and has no command \"rule-get\": load the module" \
		"$newer" rule list
	refused "module is older than this program, and does not know \"window\": load the module" \
		"$newer" rule add format esp window 64
	expect "rules" "$(xfrm-ext rule list)" ''
	refused "module is older than this program, and does not know \"window\": load the module" \
		"$newer" add src 10.0.0.1 dst 10.0.0.2 spi 0x100 aead "$aead" 128 \
		rx-subspaces 1 window 64 <<<"$key1"
	refused "format 3: must be 0 to 2. The kernel's module is older than this program: load the" \
		"$newer" add src 10.0.0.1 dst 10.0.0.2 spi 0x100 aead "$aead" 128 \
		rx-subspaces 1 format later <<<"$key1"
	refused "only 0x7f are known. The kernel's module is older than this program: load the" \
		"$newer" rule add format esp echo on
	expect "SAs" "$(ip xfrm state)" ''
	refused 'older than this program (it does not know "format later"): load' "$newer" doctor
}

# What the machine is, as the doctor sees it
elsewhere() { # file content command...
	# shellcheck disable=SC2016 # the other bash expands it
	unshare -m bash -c 'echo "$2" >"$3" && mount --bind "$3" "$1" && exec "${@:4}"' - \
		"$1" "$2" "$tmp/elsewhere" "${@:3}"
}

old_kernel() {
	local config

	refused 'problem: this kernel is 5.10.0-9-amd64, and the module needs 6.1 or later: install' \
		elsewhere /proc/sys/kernel/osrelease 5.10.0-9-amd64 xfrm-ext doctor
	config=/boot/config-$(uname -r)
	mkdir -p /boot
	printf 'CONFIG_%s=y\n' 64BIT MODULES NET INET IPV6 NETFILTER XFRM INET_ESP INET6_ESP \
		CRYPTO_AES CRYPTO_GCM >"$config"
	echo CONFIG_XFRM_USER=m >>"$config"
	xfrm-ext doctor >"$tmp/doctor"
	[[ $(<"$tmp/doctor") != *CONFIG_* ]]
	sed -i '/INET6_ESP/d; s/XFRM_USER=m/XFRM_USER is not set/' "$config"
	echo CONFIG_PREEMPT_RT=y >>"$config"
	refused 'problem: the kernel lacks CONFIG_XFRM_USER' xfrm-ext doctor
	refused 'problem: the kernel lacks CONFIG_INET6_ESP' xfrm-ext doctor
	refused 'problem: this kernel has PREEMPT_RT' xfrm-ext doctor
	rm "$config"
}

nobody() {
	local nobody=(setpriv --reuid 65534 --regid 65534 --clear-groups xfrm-ext)

	"${nobody[@]}" capabilities >/dev/null
	refused 'this needs root, or CAP_NET_ADMIN' "${nobody[@]}" rule add format esp
	refused 'this needs root, or CAP_NET_ADMIN' "${nobody[@]}" rule list
	refused 'this needs root, or CAP_NET_ADMIN' "${nobody[@]}" monitor
	refused 'this needs root, or CAP_NET_ADMIN' "${nobody[@]}" show
	# shellcheck disable=SC2154 # set at the top of lib.sh
	refused 'this needs root, or CAP_NET_ADMIN' "${nobody[@]}" add src 10.0.0.1 dst 10.0.0.2 \
		spi 1 aead "$aead" 128 tx-subspaces 1 <<<"$key1"
}

# --- words ------------------------------------------------------------------------

# The same of ip, in its own name
ip_words() {
	local state=(ip xfrm state add src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x100 aead "$aead" "$key1" 128)

	refused 'Command "sow" is unknown, try "ip xfrm ext help"' ip xfrm ext sow
	refused 'format: "esp65" is not one of: esp64 | esp' ip xfrm ext rule add format esp65
	refused 'window: "wide" is not a number of 32 bits' ip xfrm ext rule add window wide
	refused 'argument "inet7" is wrong' ip xfrm ext rule add family inet7 plain
	refused 'what SAs shall be is required' ip xfrm ext rule add reqid 1
	refused '"tx-subspaces", "rx-subspaces" or both are required' "${state[@]}" ext
	refused '"window" is of no use without "rx-subspaces"' "${state[@]}" ext tx-subspaces 1 window 64
	refused 'format: "esp65" is not one of: esp64 | esp' "${state[@]}" ext tx-subspaces 1 format esp65
	refused 'tx-subspaces: "many" is not a number of 32 bits' "${state[@]}" ext tx-subspaces many
	refused 'duplicate "ext"' "${state[@]}" ext tx-subspaces 1 mark 1 ext rx-subspaces 1
	refused '"ext" is invalid with "allocspi": give it to the "ip xfrm state update" that' \
		ip xfrm state allocspi src 10.0.0.1 dst 10.0.0.2 proto esp ext tx-subspaces 1
}

words() {
	local good=(add src 10.0.0.1 dst 10.0.0.2 spi 0x100 aead "$aead" 128 tx-subspaces 1)

	refused 'Command "sow" is unknown, try "xfrm-ext help"' xfrm-ext sow
	refused 'what is "-x"?' xfrm-ext -x show
	refused 'it is none of src, dst, spi, reqid' xfrm-ext show id 5
	refused '"300.1.1.1" is no IP address' xfrm-ext show dst 300.1.1.1
	refused 'what is "-1"?' xfrm-ext show spi -1
	refused 'spi: "x" is not a number' xfrm-ext show spi x
	refused 'something is missing at the end' xfrm-ext show spi
	refused 'format: "esp65" is not one of: esp64 | esp' xfrm-ext rule add format esp65
	refused 'window: "wide" is not a number of 32 bits' xfrm-ext rule add window wide
	refused 'duplicate "window"' xfrm-ext rule add window 64 window 64
	refused '"10.0.0.0/33" is no IP prefix, such as 10.0.0.0/8' xfrm-ext rule add src 10.0.0.0/33 plain
	refused 'argument "inet7" is wrong' xfrm-ext rule add family inet7 plain
	refused 'what SAs shall be is required' xfrm-ext rule add reqid 1
	refused 'argument "pref" is required' xfrm-ext rule delete
	refused 'interval: "0" is not seconds' xfrm-ext watch interval 0
	refused 'count: "none" is not a number' xfrm-ext watch count none
	refused 'the only word is "state FILE"' xfrm-ext metrics all
	refused 'argument "src" is required' xfrm-ext add
	refused '"tx-subspaces", "rx-subspaces" or both are required' xfrm-ext "${good[@]:0:10}" <<<"$key1"
	refused '"window" is of no use without "rx-subspaces"' xfrm-ext "${good[@]}" window 64 <<<"$key1"
	refused 'mode: "tunel" is not one of: transport tunnel beet' xfrm-ext "${good[@]}" mode tunel
	refused 'flag: "x" is not one of: noecn' xfrm-ext "${good[@]}" flag x
	refused 'aead does what enc and auth-trunc do' xfrm-ext "${good[@]}" enc 'cbc(aes)'
	refused 'the only encapsulation is espinudp' xfrm-ext "${good[@]}" encap espintcp 1 2
	refused '"fd00::1" is no IPv4 address' xfrm-ext add src 10.0.0.1 dst fd00::1
	refused 'what is "colour"?' xfrm-ext "${good[@]}" colour
	ip_words
	# Keys
	refused 'no keys on the command line' xfrm-ext "${good[@]}" key "$key1"
	refused 'no keys on the command line' xfrm-ext "${good[@]}" "$key1"
	refused 'standard input, line 0: there is no key' xfrm-ext "${good[@]}" </dev/null
	refused 'line 1: a key is hex digits' xfrm-ext "${good[@]}" <<<0xxyz
	refused 'line 2: an odd number of hex digits' xfrm-ext "${good[@]}" <<<$'# key\n0x123'
	refused 'one key more than the SA has' xfrm-ext "${good[@]}" <<<"$key1"$'\n'"$key2"
	refused 'cannot read the key from /nowhere' xfrm-ext "${good[@]}" key-file /nowhere
	refused 'longer than any key' xfrm-ext "${good[@]}" <<<"$(printf '%0258d' 0)"
	expect "SAs" "$(ip xfrm state)" ''
}

# The kernel's no: nothing is left, neither SA nor announcement
kernel_says_no() {
	refused 'xfrm_ext: tx-subspaces 65537: must be 1 to 65536' sa "$g1" '1>2' tx-subspaces 65537
	refused 'xfrm_ext: trailer omit (2) with mode 0: must be tunnel (1)' \
		tool "$g1" add src 10.0.0.1 dst 10.0.0.2 spi 0x100 aead "$aead" 128 \
		tx-subspaces 1 trailer omit <<<"$key1"
	# No key of that cipher; what the kernel says differs
	refused '' tool "$g1" add src 10.0.0.1 dst 10.0.0.2 spi 0x100 aead "$aead" 128 \
		tx-subspaces 1 <<<0x1234
	expect "SAs" "$(ip -n "$g1" xfrm state)" ''
	wait_for 10 unused
}

# --- SAs, rules, events -------------------------------------------------------------

made() {
	local file=$tmp/key

	flush
	policies 4
	sa "$g1" '1>2' tx-subspaces 4
	# The other end by ip, and the other way by two algorithms, of a file
	ip -n "$g2" -batch - <<<"$(sa_line rx 4 '1>2' 4)"
	printf '# enc, then auth\n\n%s\n  %s \n' 00112233445566778899aabbccddeeff \
		"0x$(printf '%064d' 7)" >"$file"
	for n in "$g1 rx" "$g2 tx"; do
		tool "${n% *}" add src 10.0.0.2 dst 10.0.0.1 spi 0x200 reqid 2 mode tunnel \
			flag af-unspec enc 'cbc(aes)' auth-trunc 'hmac(sha256)' 128 \
			key-file "$file" "${n#* }-subspaces" 4 2>"$tmp/said"
	done
	grep -q "can be read by others than its owner: chmod 600" "$tmp/said"
	pings 10
	expect "drops" "$(drops "$g1" 0x200),$(drops "$g2" 0x100)" none,none
	expect "received" "$(stat "$g2" 0x100 rx-packets)" 10
	expect "received" "$(stat "$g1" 0x200 rx-packets)" 10
	# Words that go with an SA
	key_for 0x300
	tool "$g1" add src 10.0.0.1 dst 10.0.0.9 spi 0x300 reqid 7 mode beet mark 5 mask 0xff if_id 9 \
		aead "$aead" 128 encap espinudp 4500 4501 sel-src 10.1.0.1/32 \
		sel-dst 10.2.0.1/32 dont-encap-dscp output-mark 3 ext tx-subspaces 2 <<<"$key"
	tool "$g1" -j show spi 0x300 | check made
	key_for 0x301
	tool "$g1" add src fd00::1 dst fd00::9 spi 0x301 mode tunnel tfcpad 300 \
		aead "$aead" 128 rx-subspaces 1 window 65536 <<<"$key"
	block "$g1" 0x301 | grep -q 'tfcpad 300'
	block "$g1" 0x301 | grep -q 'rx-subspaces 1 window 65536$'
	expect "one of many" "$(tool "$g1" show spi 0x300 | head -n 1)" \
		'src 10.0.0.1 dst 10.0.0.9 spi 0x00000300 reqid 7 mode beet mark 0x5 mask 0xff if_id 0x9'
}

no_keys() {
	local word

	both_ways 2
	{
		tool "$g1" -s -d show
		tool "$g1" -j -s -d show
		ip -n "$g1" -j -s xfrm state
		ip -n "$g1" -j xfrm state get src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x100
		tool "$g1" metrics state "$tmp/metrics"
		tool "$g1" watch count 1
		tool "$g1" doctor
		cat "$tmp/metrics"
	} >"$tmp/all" || true
	(($(wc -l <"$tmp/all") > 50))
	for word in "$key1" "$key2"; do
		# The key as it is in text, without the 0x
		if grep -i "${word:2:12}" "$tmp/all"; then
			return 1
		fi
	done
	# That would be found
	ip -n "$g1" xfrm state | grep -q "${key1:2:12}"
}

listed() {
	both_ways 1
	pings 10
	tool "$g1" -j -s show >"$tmp/tool.json"
	ip -n "$g1" -j -s xfrm state >"$tmp/ip.json"
	check listed <"$tmp/tool.json"
	check listed <"$tmp/ip.json"
	# Without -s no counters; and one that is not extended
	ip -n "$g1" xfrm state add src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x999 \
		aead "$aead" 0x000102030405060708090a0b0c0d0e0f10111213 128
	ip -n "$g1" -j xfrm state | check plain
	expect "extended ones" "$(tool "$g1" show | grep -c ^src)" 2
	ip -n "$g1" -j xfrm state get src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x999 | check got
}

rules() {
	tool "$g1" rule add reqid 7 src 10.0.0.0/8 dst 10.1.0.0/16 format esp window 4096 or plain
	tool "$g1" rule add pref 5 if_id 42 mark 0x5 mask 0xff plain
	tool "$g1" rule add family inet6 format esp64 tx-subspaces 8 rx-subspaces 4 select flow
	tool "$g1" rule list >"$tmp/rules"
	expect "rules" "$(grep -v hits "$tmp/rules")" \
"pref 5 if_id 0x2a mark 0x5 mask 0xff plain
pref 10 reqid 7 src 10.0.0.0/8 dst 10.1.0.0/16 format esp trailer end iv explicit tx-subspaces 1 select cpu rx-subspaces 1 window 4096 or plain
pref 20 family inet6 format esp64 trailer end iv explicit tx-subspaces 8 select flow rx-subspaces 4 window 1024"
	expect "as ip has them" "$(ip -n "$g1" xfrm ext rule list)" "$(<"$tmp/rules")"
	tool "$g1" -j rule list | check rules
	ip -n "$g1" -j xfrm ext rule list | check rules
	# Files for ip are files for this one
	grep -v hits "$tmp/rules" | sed 's/^/xfrm ext rule add /; 1i # rules' >"$tmp/again"
	tool "$g1" rule delete pref 20
	refused 'xfrm_ext: no rule with rule-pref 20' tool "$g1" rule delete pref 20
	tool "$g1" rule flush
	expect "rules left" "$(tool "$g1" rule list)" ''
	tool "$g1" -batch "$tmp/again"
	expect "rules, again" "$(tool "$g1" rule list)" "$(<"$tmp/rules")"
	refused "line 2: that was it" tool "$g1" -batch "$tmp/again"
	tool "$g1" rule flush
}

events() {
	both_ways 1
	rm -f "$tmp/events"
	ip netns exec "$g1" xfrm-ext -j monitor >"$tmp/events" &
	wait_for 20 grep -Eq '^[0-9a-f]+ +16 +[0-9]+ +[0-9a-f]*[1-9a-f]' "/proc/$!/net/netlink"
	pings 1
	tool "$g1" rule add pref 9 format esp
	tool "$g1" rule flush
	wait_for 10 grep -q rule-del "$tmp/events"
	stop $!
	check events <"$tmp/events"
}

# --- metrics --------------------------------------------------------------------------

measured() { # what
	tool "$g1" metrics state "$tmp/state" >"$tmp/prom"
	check metrics "$1" <"$tmp/prom"
}

# The SAs are made anew, with other SPIs and keys: the peer and reqid are the same
metrics() {
	rm -f "$tmp/state"
	both_ways 1
	pings 10
	measured tx=10,rx=10,sas=1
	pings 5
	measured tx=15,rx=15,sas=1
	flush
	measured tx=15,rx=15,sas=0
	SPI=0x102
	policies 4
	sa "$g1" '1>2' tx-subspaces 1
	sa "$g2" '1>2' rx-subspaces 1
	SPI=0x202
	sa "$g1" '2>1' rx-subspaces 1
	sa "$g2" '2>1' tx-subspaces 1
	SPI=
	pings 7
	measured tx=22,rx=22,sas=1
	# The same SA again, of which nothing was seen meanwhile
	both_ways 1
	pings 3
	measured tx=25,rx=25,sas=1
	expect "others cannot read it" "$(command stat -c %a "$tmp/state")" 600
	echo nonsense >"$tmp/state"
	refused "is not what \"xfrm-ext metrics\" has written" tool "$g1" metrics state "$tmp/state"
	refused 'cannot lock' tool "$g1" metrics state /nowhere/state
	expect "no file of nobody's" "$(<"$tmp/state")" nonsense
	tool "$g1" metrics >"$tmp/prom"
	[[ -s /run/xfrm-ext/metrics-$(ip netns exec "$g1" stat -L -c %i /proc/self/ns/net) ]]
}

# --- watch, doctor --------------------------------------------------------------------

rates() {
	tool "$g1" watch count 1 interval 0.3 >"$tmp/watch"
	grep -Eq '^  tx-subspace 0 +[1-9][0-9]*/s  highest [1-9]' "$tmp/watch" &&
		grep -Eq '^  rx-subspace 0 +[1-9][0-9]*/s  replays 0/s  too-old 0/s  backtrack 0 of 1024' \
			"$tmp/watch"
}

watched() {
	both_ways 1
	ip netns exec "$g1" ping -q -i 0.01 10.2.0.1 >/dev/null &
	wait_for 20 rates
	kill $!
	# On a terminal it goes back to what was there, however it ends
	ip netns exec "$g1" "$here/tool.py" terminal
}

says() { # text
	refused "$1" tool "$g1" doctor
}

healthy() {
	tool "$g1" doctor >"$tmp/doctor" || { cat "$tmp/doctor"; return 1; }
}

doctor() {
	both_ways 1
	pings 20
	healthy
	# A peer that has lost its SAs
	ip -n "$g2" xfrm state flush
	lost_pings 5
	healthy
	both_ways 1
	ip -n "$g2" xfrm state flush
	lost_pings 20
	says 'problem: 20 packets have been sent to 10.0.0.2, and nothing has come back: does 10.0.0.2 have the SAs'
	ip -n "$g1" xfrm state delete src 10.0.0.2 dst 10.0.0.1 proto esp spi 0x200
	says 'problem: 20 packets have been sent to 10.0.0.2, and there is no SA for the way back: make one.'
	# Another key there
	both_ways 1
	ip -n "$g2" xfrm state delete src 10.0.0.2 dst 10.0.0.1 proto esp spi 0x200
	key2=$key1
	tool "$g2" add src 10.0.0.2 dst 10.0.0.1 spi 0x200 reqid 2 mode tunnel flag af-unspec \
		aead "$aead" 128 tx-subspaces 1 <<<"0x$(printf '%040d' "$RANDOM")"
	lost_pings 20
	says 'problem: 20 packets have been sent to 10.0.0.2, and of the 20 that came back none was authentic: keys'
	says 'spi 0x00000200 reqid 2 has got 20 packets, none authentic'
	# The machine
	flush
	healthy
	ip netns exec "$g1" sysctl -qw net.ipv4.conf.wan.disable_xfrm=1
	says 'problem: what leaves by wan is not encrypted, whatever the policies say: "sysctl -w net.ipv4.conf.wan.disable_xfrm=0".'
	ip netns exec "$g1" sysctl -qw net.ipv4.conf.wan.disable_xfrm=0
	healthy
	# SAs
	sa "$g1" '1>2' tx-subspaces 2 hold on
	tool "$g1" doctor | grep -q '^hint: SA 10.0.0.1 > 10.0.0.2 spi 0x00000100 reqid 1 is held'
	ip -n "$g1" xfrm state flush
	new_keys
	sa "$g1" '1>2' tx-subspaces 1 tx-warn 5 tx-start 4
	policies 4
	lost_pings 3
	says 'is near its last number in subspace 0: it needs a successor'
	ip -n "$g1" xfrm state flush
	tool "$g1" rule add format esp64 tx-subspaces 2 rx-subspaces 2 trailer omit
	ip -n "$g1" xfrm state add src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x300 mode transport \
		aead "$aead" 0x000102030405060708090a0b0c0d0e0f10111213 128 2>/dev/null || true
	tool "$g1" doctor | grep -q '^hint: rule 10 has refused 1 SAs'
	tool "$g1" rule flush
	wait_for 10 healthy
	# Nothing but, on some kernels, that it cannot see everything
	expect "what is missing" "$(tool "$g1" doctor | grep -v -e '^hint: cannot see' -e '^nothing')" ''
}

ip link set lo up
pair
run "no module" no_module
run "an old module" old_module
run "an old kernel, and one that lacks options" old_kernel
run "not root" nobody
run "words of the wrong kind" words
run "the kernel says no" kernel_says_no
run "SAs made, and used" made
run "no key is shown" no_keys
run "JSON of states, by both" listed
run "rules, by both" rules
run "events" events
run "metrics, over a rekey" metrics
run "watch" watched
run "doctor" doctor
finish
