#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# kernels: 6.1-cloud 6.12-cloud 6.12-trixie 6.1-debug 7.3-uml
# check: 7.3-uml
#
# One key, one set of numbers: whoever makes an SA again with a key that was used goes on
# with its counters and windows - the same SA, one for another address, a clone that MIGRATE
# makes, with or without a rule or an announcement - or is refused with the reason.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-wire.sh"

pings() { # number
	ip netns exec "$g1" ping -q -c "$1" -i 0.02 -W 10 10.2.0.1
}

xfrm() {
	ip netns exec "$g1" "$here/xfrm.py" "$@"
}

# Numbers taken by all subspaces of an SA
sent() { # ns spi
	block "$1" "$2" -s | awk '$1 == "tx-subspace" { n += $4 } END { print n + 0 }'
}

gone() { # ns spi
	ip -n "$1" xfrm state delete src 10.0.0.1 dst 10.0.0.2 proto esp spi "$2"
}

# The SA 1>2 of an SPI, with key1 whatever that is
again() { # ns spi word...
	ip -n "$1" xfrm state add src 10.0.0.1 dst 10.0.0.2 proto esp spi "$2" reqid 1 \
		mode tunnel flag af-unspec aead "$aead" "$key1" 128 "${@:3}"
}

extension() { # ns spi
	block "$1" "$2" | awk '$1 == "ext" { $1 = $1; print }'
}

# Nothing that was ever sent is there twice: SPI and IV, which is made of the number
unique_in() { # pcap esp|esp64
	local n

	tcpdump -nn -r "$1" 'esp' 2>/dev/null | sed -n 's/.*ESP(spi=\(0x[0-9a-f]*\),seq=\(0x[0-9a-f]*\)).*/\1 \2/p' >"$tmp/esp"
	n=$(wc -l <"$tmp/esp")
	((n > 0))
	"$here/ivs.py" "$1" "$2" >"$tmp/ivs"
	expect "different (SPI, IV)" "$(sort -u "$tmp/ivs" | wc -l)" "$n"
}

# --- the same again ---------------------------------------------------------------

# At the sender: its peer accepts all, so none came twice
sender() { # 4|6 format-words fastpath
	local words tx rx

	fastpath "$3"
	case $2 in
	esp) tx='format esp tx-subspaces 1' rx='format esp rx-subspaces 1 window 1024' ;;
	esn) tx='format esp esn on tx-subspaces 1' rx='format esp esn on rx-subspaces 1 window 1024' ;;
	esp64) tx='tx-subspaces 4' rx='rx-subspaces 4 window 1024' ;;
	esac
	flush
	policies "$1"
	outer "$1"
	sa "$1" '2>1' 4
	words="src $o1 dst $o2 proto esp spi 0x100 reqid 1 mode tunnel flag af-unspec aead"
	# shellcheck disable=SC2086 # words
	ip -n "$g2" xfrm state add $words "$aead" "$key1" 128 ext $rx
	# shellcheck disable=SC2086
	ip -n "$g1" xfrm state add $words "$aead" "$key1" 128 ext $tx
	record_out "$tmp/pcap" "$g1" wan
	pings 10
	ip -n "$g1" xfrm state delete src "$o1" dst "$o2" proto esp spi 0x100
	# shellcheck disable=SC2086
	ip -n "$g1" xfrm state add $words "$aead" "$key1" 128 ext $tx
	pings 10
	expect "numbers" "$(sent "$g1" 0x100)" 20
	accepts "$g2" 0x100 20
	expect "drops" "$(drops "$g2" 0x100)" none
	record_end "$tmp/pcap" "$g1" 10.0.0.2
	unique_in "$tmp/pcap" "${2/esn/esp}"
	fastpath on
}

# At the receiver: what it has seen it does not take again
receiver() { # fastpath
	fastpath "$1"
	tunnel 4 4
	record_out "$tmp/pcap" "$g1" wan
	pings 10
	accepts "$g2" 0x100 10
	record_end "$tmp/pcap" "$g1" 10.0.0.2
	gone "$g2" 0x100
	sa_line rx 4 '1>2' 4 | ip -n "$g2" -batch -
	tcpdump -r "$tmp/pcap" -w "$tmp/esp.pcap" 'src 10.0.0.1 and esp' 2>/dev/null
	ip netns exec "$g1" "$here/replay.py" "$tmp/esp.pcap" 10.0.0.2
	wait_for 10 dropped "$g2" 0x100 'rx-replay 10' ||
		expect "drops" "$(drops "$g2" 0x100)" 'rx-replay 10'
	expect "accepted" "$(stat "$g2" 0x100 rx-packets)" 0
	pings 5
	accepts "$g2" 0x100 5
	fastpath on
}

dropped() { # ns spi drops
	[[ $(drops "$1" "$2") == "$3" ]]
}

# Whoever deletes all and types it in again, in any order
everything() {
	local n

	tunnel 4 4
	pings 10
	for n in "$g1" "$g2"; do
		ip -n "$n" xfrm state flush
	done
	sa 4 '1>2' 4
	sa 4 '2>1' 4
	pings 10
	expect "numbers" "$(sent "$g1" 0x100) $(sent "$g2" 0x200)" "20 20"
	accepts "$g2" 0x100 10
	expect "drops" "$(drops "$g2" 0x100) $(drops "$g1" 0x200)" "none none"
}

# Where the first one was told to begin, the second does not go back to
starts() {
	tunnel 4 1
	gone "$g1" 0x100
	# Nothing was sent: nothing is remembered
	sa_line tx 4 '1>2' '1 tx-start 1000' | ip -n "$g1" -batch -
	pings 1
	expect "first number" "$(sent "$g1" 0x100)" 1000
	gone "$g1" 0x100
	sa_line tx 4 '1>2' 1 | ip -n "$g1" -batch -
	pings 1
	expect "second number" "$(sent "$g1" 0x100)" 1001
	gone "$g1" 0x100
	sa_line tx 4 '1>2' '1 tx-start 5000' | ip -n "$g1" -batch -
	pings 1
	expect "third number" "$(sent "$g1" 0x100)" 5000
}

# --- held ---------------------------------------------------------------------------

# Another machine has had the SA in between: what this one remembers is behind that
back_again() {
	tunnel 4 1
	pings 1
	gone "$g1" 0x100
	sa_line tx 4 '1>2' 1 | sed 's/$/ hold on/' | ip -n "$g1" -batch -
	expect "number" "$(sent "$g1" 0x100)" 1
	ip -n "$g1" xfrm ext set dst 10.0.0.2 spi 0x100 release gap 5000
	pings 1
	expect "number" "$(sent "$g1" 0x100)" 5002
	accepts "$g2" 0x100 2
	# One that has been set goes on behind that, and not farther
	gone "$g1" 0x100
	sa_line tx 4 '1>2' 1 | sed 's/$/ hold on/' | ip -n "$g1" -batch -
	ip -n "$g1" xfrm ext set dst 10.0.0.2 spi 0x100 tx-subspace 0 highest 6000 gap 10
	ip -n "$g1" xfrm ext set dst 10.0.0.2 spi 0x100 release gap 100000
	pings 1
	expect "number" "$(sent "$g1" 0x100)" 6011
	accepts "$g2" 0x100 3
}

is_held() {
	extension "$g1" 0x100 | grep -q ' state held'
}

# Nobody but who sets its counters sets a held SA free
still_held() {
	tunnel 4 4
	gone "$g1" 0x100
	sa_line tx 4 '1>2' 4 | sed 's/$/ hold on/' | ip -n "$g1" -batch -
	is_held
	xfrm migrate 10.1.0.0/24 10.2.0.0/24 1 10.0.0.1 10.0.0.2 10.0.0.11 10.0.0.2
	block "$g1" 0x100 | grep -q '^src 10.0.0.11 dst 10.0.0.2'
	wait_for 10 is_held
	ip netns exec "$g1" ping -q -c 1 -W 0.2 10.2.0.1 || true
	expect "drops" "$(drops "$g1" 0x100)" 'tx-not-ready 1'
	ip -n "$g1" xfrm ext set dst 10.0.0.2 spi 0x100 tx-subspace 0 highest 50 gap 0
	# Made again by somebody who does not know
	ip -n "$g1" xfrm state delete src 10.0.0.11 dst 10.0.0.2 proto esp spi 0x100
	again "$g1" 0x100
	is_held
	gone "$g1" 0x100
	refused 'xfrm_ext: key is that of a held SA, whose counters nobody has set' \
		again "$g1" 0x100 ext tx-subspaces 4
	{
		echo "xfrm policy flush"
		gateway_policies 4 1
		sa_line tx 4 '1>2' 4 | sed 's/$/ hold on/'
		echo "xfrm ext set dst 10.0.0.2 spi 0x100 release gap 1000"
	} | ip -n "$g1" -batch -
	pings 1
	expect "drops at the receiver" "$(drops "$g2" 0x100)" none
	(($(sent "$g1" 0x100) >= 1001))
}

# --- refused ------------------------------------------------------------------------

refusals() {
	tunnel 4 4
	pings 1
	# Of another SPI, as long as it is there and when it has gone
	refused 'xfrm_ext: key is that of extended SA spi 0x00000100; a key is for one SA: make new ones' \
		again "$g1" 0x101 ext tx-subspaces 4
	refused 'xfrm_ext: key is that of extended SA spi 0x00000100' again "$g1" 0x101
	gone "$g1" 0x100
	wait_for 10 remembered 'key was that of extended SA spi 0x00000100; a key is for one SA: make new ones (remembered for'
	refused 'xfrm_ext: key was that of extended SA spi 0x00000100' again "$g1" 0x101
	# Of another kind
	refused 'xfrm_ext: key was that of an SA with format 0, tx-subspaces 4, tx-base 0, rx-subspaces 0' \
		again "$g1" 0x100 ext tx-subspaces 8
	refused 'xfrm_ext: key was that of an SA with' again "$g1" 0x100 ext tx-subspaces 4 tx-base 4
	refused 'xfrm_ext: key was that of an SA with' again "$g1" 0x100 ext format esp tx-subspaces 1
	refused 'xfrm_ext: key was that of an SA with' \
		again "$g1" 0x100 ext tx-subspaces 4 rx-subspaces 4
	expect "SAs" "$(ip -n "$g1" xfrm state | grep -c 'spi 0x0000010')" 0
	# Another key is another matter
	new_keys
	again "$g1" 0x100 ext tx-subspaces 8
}

remembered() { # text
	refused "$1" again "$g1" 0x101 ext tx-subspaces 4
}

# It takes no number to receive
receivers_only() {
	flush
	again "$g2" 0x100 ext rx-subspaces 4
	again "$g2" 0x101 ext rx-subspaces 4
	refused 'xfrm_ext: key is that of extended SA' again "$g2" 0x102 ext tx-subspaces 4
	flush
}

# Nobody said "ext": it is what the first one was, and no plain SA
plainly() {
	tunnel 4 4
	pings 10
	gone "$g1" 0x100
	ip -n "$g1" xfrm state add src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x100 reqid 1 \
		mode tunnel flag af-unspec aead "$aead" "$key1" 128
	expect "what it is" "$(extension "$g1" 0x100)" \
		'ext format esp64 trailer end iv explicit tx-subspaces 4 select cpu'
	pings 10
	expect "numbers" "$(sent "$g1" 0x100)" 20
	accepts "$g2" 0x100 20
}

# --- daemons ------------------------------------------------------------------------

# The address changes: read, deleted, made again with all that was read, as a daemon does that
# has not heard of extensions; the rule may be another one or gone by then
moved() { # fastpath
	local n

	fastpath "$1"
	flush
	policies 4
	for n in "$g1" "$g2"; do
		ip -n "$n" xfrm ext rule flush
		ip -n "$n" xfrm ext rule add format esp64 tx-subspaces 4 rx-subspaces 4
		ip -n "$n" -batch - <<-EOF
			xfrm state add src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x100 reqid 1 mode tunnel flag af-unspec replay-window 32 aead $aead $key1 128
			xfrm state add src 10.0.0.2 dst 10.0.0.1 proto esp spi 0x200 reqid 2 mode tunnel flag af-unspec replay-window 32 aead $aead $key2 128
		EOF
	done
	pings 10
	ip -n "$g1" xfrm ext rule flush
	ip -n "$g2" xfrm ext rule flush
	ip -n "$g2" xfrm ext rule add plain
	for n in "$g1" "$g2"; do
		ip -n "$n" -batch - <<-EOF
			xfrm state delete src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x100
			xfrm state add src 10.0.0.11 dst 10.0.0.2 proto esp spi 0x100 reqid 1 mode tunnel flag af-unspec replay-window 32 aead $aead $key1 128
			xfrm state delete src 10.0.0.2 dst 10.0.0.1 proto esp spi 0x200
			xfrm state add src 10.0.0.2 dst 10.0.0.11 proto esp spi 0x200 reqid 2 mode tunnel flag af-unspec replay-window 32 aead $aead $key2 128
		EOF
	done
	policies_moved 10.0.0.11
	pings 10
	expect "numbers" "$(sent "$g1" 0x100) $(sent "$g2" 0x200)" "20 20"
	accepts "$g2" 0x100 10
	accepts "$g1" 0x200 10
	expect "drops" "$(drops "$g2" 0x100) $(drops "$g1" 0x200)" "none none"
	ip -n "$g2" xfrm ext rule flush
	fastpath on
}

policies_moved() { # address-of-end-1
	local n

	for n in "$g1" "$g2"; do
		ip -n "$n" xfrm policy flush
	done
	policies_of "$g1" 10.1.0.0/24,10.2.0.0/24 fd01::/64,fd02::/64 "$1" 10.0.0.2 1 2
	policies_of "$g2" 10.2.0.0/24,10.1.0.0/24 fd02::/64,fd01::/64 10.0.0.2 "$1" 2 1
}

# --- MIGRATE --------------------------------------------------------------------------

usable() {
	pings 3
}

# What MIGRATE makes is what it has copied, and who says nothing gets what the last one was: not
# what the first SA with the key had been
last_counts() {
	local is='ext format esp64 trailer end iv explicit tx-subspaces 4 select cpu'

	flush
	policies 4
	sa_line tx 4 '1>2' '4 trailer front iv implicit tx-warn 1000 fastpath off' | ip -n "$g1" -batch -
	ip -n "$g1" xfrm ext dummy dst 10.0.0.2 spi 0x100
	gone "$g1" 0x100
	sa_line tx 4 '1>2' 4 | ip -n "$g1" -batch -
	expect "the second" "$(extension "$g1" 0x100)" "$is"
	xfrm migrate 10.1.0.0/24 10.2.0.0/24 1 10.0.0.1 10.0.0.2 10.0.0.11 10.0.0.2
	block "$g1" 0x100 | grep -q '^src 10.0.0.11 dst 10.0.0.2'
	expect "its clone" "$(extension "$g1" 0x100)" "$is"
	ip -n "$g1" xfrm ext dummy dst 10.0.0.2 spi 0x100
	ip -n "$g1" xfrm state delete src 10.0.0.11 dst 10.0.0.2 proto esp spi 0x100
	again "$g1" 0x100
	expect "the next one" "$(extension "$g1" 0x100)" "$is"
	ip -n "$g1" xfrm ext dummy dst 10.0.0.2 spi 0x100
	expect "numbers" "$(sent "$g1" 0x100)" 3
	# The kernel has it for the same again; what it would have been does not count
	refused 'exists already' ip -n "$g1" -batch - <<<"$(sa_line tx 4 '1>2' '4 trailer front')"
	xfrm migrate 10.1.0.0/24 10.2.0.0/24 1 10.0.0.11 10.0.0.2 10.0.0.1 10.0.0.2 || true
	expect "still" "$(extension "$g1" 0x100)" "$is"
}

# XFRM_MSG_MIGRATE of the sender's SA, in the middle of it, and again
migrated() { # new-src fastpath
	fastpath "$2"
	tunnel 4 4
	record_out "$tmp/pcap" "$g1" wan
	usable
	xfrm migrate 10.1.0.0/24 10.2.0.0/24 1 10.0.0.1 10.0.0.2 "$1" 10.0.0.2
	expect "SAs" "$(ip -n "$g1" xfrm state | grep -c '^src')" 2
	block "$g1" 0x100 | grep -q "^src $1 dst 10.0.0.2"
	# Before a packet has found it
	ip netns exec "$g1" "$here/genl.py" get family=2 daddr=10.0.0.2 spi=0x100 >"$tmp/out"
	grep -q ' state=1 ' "$tmp/out"
	usable
	expect "numbers" "$(sent "$g1" 0x100)" 6
	expect "packets sent since" "$(stat "$g1" 0x100 tx-packets)" 3
	xfrm migrate 10.1.0.0/24 10.2.0.0/24 1 "$1" 10.0.0.2 10.0.0.1 10.0.0.2
	usable
	expect "numbers" "$(sent "$g1" 0x100)" 9
	accepts "$g2" 0x100 9
	expect "drops" "$(drops "$g2" 0x100)" none
	record_end "$tmp/pcap" "$g1" 10.0.0.2
	unique_in "$tmp/pcap" esp64
	expect "clear packets" "$(clear_packets "$tmp/pcap")" ''
	expect "from the new address" "$(tcpdump -nn -r "$tmp/pcap" "src $1 and esp" 2>/dev/null | wc -l)" 3
	fastpath on
}

# Numbers received, if all have come
all_received() { # ns spi
	block "$1" "$2" -s | awk '$1 == "rx-subspace" { n += $4 } END { print n }'
}

# The receiver gets another address: its windows come along
migrated_in() { # fastpath
	fastpath "$1"
	tunnel 4 4
	usable
	record_out "$tmp/pcap" "$g1" wan
	usable
	record_end "$tmp/pcap" "$g1" 10.0.0.2
	ip netns exec "$g2" "$here/xfrm.py" migrate 10.1.0.0/24 10.2.0.0/24 1 \
		10.0.0.1 10.0.0.2 10.0.0.1 10.0.0.12 in
	ip -n "$g1" xfrm state delete src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x100
	sa_line tx 4 '1>2' 4 | sed 's/dst 10.0.0.2/dst 10.0.0.12/' | ip -n "$g1" -batch -
	ip -n "$g1" xfrm policy update src 10.1.0.0/24 dst 10.2.0.0/24 dir out \
		tmpl src 10.0.0.1 dst 10.0.0.12 proto esp reqid 1 mode tunnel
	usable
	accepts "$g2" 0x100 3
	expect "the highest of all" "$(all_received "$g2" 0x100)" 9
	expect "drops" "$(drops "$g2" 0x100)" none
	fastpath on
}

# By XFRM_MSG_MIGRATE_STATE, all SAs of both ends, to another address and back: the policies
# are somebody else's matter. Of each SA there is only one all the time
states_moved() { # fastpath
	local from to=10.0.0.1 end n

	fastpath "$1"
	tunnel 4 4
	record_out "$tmp/pcap" "$g1" wan
	usable
	for n in 1 2; do
		from=$to
		[[ $from == 10.0.0.1 ]] && to=10.0.0.11 || to=10.0.0.1
		for end in "$g1" "$g2"; do
			ip netns exec "$end" "$here/xfrm.py" migrate-state 10.0.0.2 0x100 1 "$to" 10.0.0.2
			ip netns exec "$end" "$here/xfrm.py" migrate-state "$from" 0x200 2 10.0.0.2 "$to"
		done
		expect "SAs" "$(ip -n "$g1" xfrm state | grep '^src')" \
			$'src 10.0.0.2 dst '"$to"$'\nsrc '"$to"' dst 10.0.0.2'
		refused ESRCH xfrm migrate-state "$from" 0x200 2 10.0.0.2 "$to"
		policies_moved "$to"
		usable
		expect "numbers" "$(sent "$g1" 0x100) $(sent "$g2" 0x200)" "$((3 + 3 * n)) $((3 + 3 * n))"
	done
	# Those since; the windows are of all
	accepts "$g2" 0x100 3
	accepts "$g1" 0x200 3
	expect "the highest of all" "$(all_received "$g2" 0x100) $(all_received "$g1" 0x200)" "9 9"
	for n in "$g1" "$g2"; do
		expect "drops" "$(drops "$n" 0x100) $(drops "$n" 0x200)" "none none"
	done
	record_end "$tmp/pcap" "$g1" 10.0.0.2
	unique_in "$tmp/pcap" esp64
	expect "clear packets" "$(clear_packets "$tmp/pcap")" ''
	fastpath on
}

# A daemon's, with the kernel's windows beside ours, which look at it first: at the receiver, in
# the one subspace whose packets have 0 where RFC 4303 has the number
migrated_with_esn() { # fastpath window-words
	local n

	fastpath "$1"
	flush
	policies 4
	for n in "$g1" "$g2"; do
		ip -n "$n" xfrm ext rule flush
		ip -n "$n" xfrm ext rule add format esp64 tx-subspaces 1 rx-subspaces 1
		ip -n "$n" -batch - <<-EOF
			xfrm state add src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x100 reqid 1 mode tunnel flag af-unspec ${*:2} aead $aead $key1 128
			xfrm state add src 10.0.0.2 dst 10.0.0.1 proto esp spi 0x200 reqid 2 mode tunnel flag af-unspec ${*:2} aead $aead $key2 128
		EOF
	done
	usable
	ip netns exec "$g2" "$here/xfrm.py" migrate 10.1.0.0/24 10.2.0.0/24 1 \
		10.0.0.1 10.0.0.2 10.0.0.11 10.0.0.2 in
	xfrm migrate 10.1.0.0/24 10.2.0.0/24 1 10.0.0.1 10.0.0.2 10.0.0.11 10.0.0.2
	# Nobody asks the module, which would see to it
	wait_for 10 ip netns exec "$g1" ping -q -c 1 -W 1 10.2.0.1
	usable
	(($(sent "$g1" 0x100) >= 7))
	expect "drops" "$(drops "$g2" 0x100)" none
	for n in "$g1" "$g2"; do
		ip -n "$n" xfrm ext rule flush
	done
	fastpath on
}

# A plain SA whose key an extended one of another SPI has got since: it goes where it likes
plain_one() {
	flush
	again "$g1" 0x100
	ip -n "$g1" xfrm policy add src 10.1.0.0/24 dst 10.2.0.0/24 dir out \
		tmpl src 10.0.0.1 dst 10.0.0.2 proto esp reqid 1 mode tunnel
	ip -n "$g1" xfrm state add src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x101 reqid 9 \
		mode tunnel aead "$aead" "$key1" 128 ext tx-subspaces 4
	xfrm migrate 10.1.0.0/24 10.2.0.0/24 1 10.0.0.1 10.0.0.2 10.0.0.11 10.0.0.2
	block "$g1" 0x100 | grep -q '^src 10.0.0.11 dst 10.0.0.2'
	expect "what it is" "$(extension "$g1" 0x100)" ''
	flush
}

# Under traffic nothing is lost that has a way, and nothing comes twice
under_way() { # fastpath
	local n

	fastpath "$1"
	tunnel 4 4
	record_out "$tmp/pcap" "$g1" wan
	ip netns exec "$g1" ping -q -c 200 -i 0.01 -W 10 10.2.0.1 >"$tmp/ping" &
	for ((n = 0; n < 10; n++)); do
		xfrm migrate 10.1.0.0/24 10.2.0.0/24 1 10.0.0.1 10.0.0.2 10.0.0.11 10.0.0.2
		xfrm migrate 10.1.0.0/24 10.2.0.0/24 1 10.0.0.11 10.0.0.2 10.0.0.1 10.0.0.2
	done
	wait $!
	grep -q ' 0% packet loss' "$tmp/ping" || cat "$tmp/ping"
	record_end "$tmp/pcap" "$g1" 10.0.0.2
	unique_in "$tmp/pcap" esp64
	expect "clear packets" "$(clear_packets "$tmp/pcap")" ''
	expect "drops at the receiver" "$(drops "$g2" 0x100)" none
	expect "numbers" "$(sent "$g1" 0x100)" "$(stat "$g2" 0x100 rx-packets)"
	fastpath on
}

# --- bounds ----------------------------------------------------------------------------

keys_are() { # number
	[[ $(keys) == "$1" ]]
}

keys() {
	ip -n "$g3" xfrm ext capabilities | awk '$1 == "netns-keys" { print $2 }'
}

# SAs that come, use a number each and go, one key each
come_and_go() { # first-key number
	local i sa

	for ((i = $1; i < $1 + $2; i++)); do
		printf -v sa 'dst 10.0.0.2 proto esp spi 0x%x' $((0x1000 + i))
		printf -v key '0x%040x' $((0x1000000 + i))
		echo "xfrm state add src 10.0.0.1 $sa mode tunnel aead $aead $key 128 ext" \
			"tx-subspaces 1 rx-subspaces 1"
		echo "xfrm ext set dst 10.0.0.2 spi $((0x1000 + i)) tx-subspace 0 highest 5" \
			"rx-subspace 0 highest 5 gap 0"
		echo "xfrm state delete src 10.0.0.1 $sa"
	done | ip -n "$g3" -batch -
}

# The number that an SA of a key comes to begin behind
highest() { # key
	local n

	printf -v n '0x%040x' $((0x1000000 + $1))
	ip -n "$g3" xfrm state add src 10.0.0.1 dst 10.0.0.2 proto esp spi $((0x1000 + $1)) \
		mode tunnel aead "$aead" "$n" 128 ext tx-subspaces 1 rx-subspaces 1
	subspace "$g3" $((0x1000 + $1)) tx 0 highest
	ip -n "$g3" xfrm state delete src 10.0.0.1 dst 10.0.0.2 proto esp spi $((0x1000 + $1))
}

# Windows in great number do not wait: their highest numbers do
many() {
	local sa=(src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x777 mode tunnel aead "$aead" "$key1" 128
		ext rx-subspaces 64 window 65536) i n before

	before=$(netns_memory "$g3" -all)

	for i in 1 2; do
		ip -n "$g3" xfrm state add "${sa[@]}"
		for ((n = 0; n < 64; n++)); do
			printf 'xfrm ext set dst 10.0.0.2 spi 0x777 rx-subspace %d highest %d\n' \
				"$n" $((i * 1000 + n))
		done | ip -n "$g3" -batch -
		((i == 1)) || expect "highest" "$(subspace "$g3" 0x777 rx 63 highest)" 2063
		(($(netns_memory "$g3" -all) > 64 * 32768))
		ip -n "$g3" xfrm state delete "${sa[@]:0:8}"
		wait_for 10 all_gone
		(($(netns_memory "$g3" -all) < before + 16384))
	done
	ip -n "$g3" xfrm state add "${sa[@]}"
	ip -n "$g3" xfrm ext set dst 10.0.0.2 spi 0x777 rx-subspace 5 highest 7
	expect "highest" "$(subspace "$g3" 0x777 rx 5 highest)" 2005
	ip -n "$g3" xfrm state delete "${sa[@]:0:8}"
}

# Beyond the bound the first goes first. (States are freed in another order than they are
# deleted: but not so much later)
bounded() { # most-there-may-be
	come_and_go 0 1
	wait_for 20 keys_are 1
	come_and_go 1 $(($1 - 1))
	wait_for 20 keys_are "$1"
	come_and_go "$1" 10
	wait_for 20 all_gone
	wait_for 20 keys_are "$1"
	expect "the first" "$(highest 0)" ''
	expect "the last" "$(highest $(($1 + 9)))" 5
}

all_gone() {
	[[ $(netns_memory "$g3") == 0 ]]
}

# They are charged, and their counters and windows go when memory is short. SAs come to be, and
# none with a key of which nobody knows any more what it was used for
short() {
	local all i lost=0 kept=0

	come_and_go 10000 40
	wait_for 20 all_gone
	wait_for 20 keys_are 40
	all=$(netns_memory "$g3" -all)
	((all >= 40 * 600 && all < 40 * 2048))
	# Nothing is taken from them for what would not do
	echo $((all - 1)) >/sys/module/xfrm_ext/parameters/memory_max
	refused 'xfrm_ext: no memory for an SA' ip -n "$g3" xfrm state add src 10.0.0.1 dst 10.0.0.2 \
		proto esp spi 0x99 mode tunnel aead "$aead" "$key1" 128 ext tx-subspaces 65536 \
		memory-max 1073741824
	expect "what they take" "$(netns_memory "$g3" -all)" "$all"
	echo $((all + 2000)) >/sys/module/xfrm_ext/parameters/memory_max
	ip -n "$g3" xfrm state add src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x99 mode tunnel \
		aead "$aead" "$key1" 128 ext tx-subspaces 1
	echo 0 >/sys/module/xfrm_ext/parameters/memory_max
	ip -n "$g3" xfrm state delete src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x99
	for ((i = 10000; i < 10040; i++)); do
		if [[ $(highest "$i" 2>"$tmp/err") == 5 ]]; then
			kept=$((kept + 1))
		else
			grep -q 'key was that of extended SA spi .* (remembered for' "$tmp/err"
			lost=$((lost + 1))
		fi
	done
	echo "# $kept known, $lost refused"
	((lost > 0 && kept > 0))
}

unlimited() {
	echo 0 >/sys/module/xfrm_ext/parameters/memory_max
}

unload() {
	flush
	# Keys are remembered still: they hold nothing
	wait_for 30 module_goes
	modprobe xfrm_ext
}

modprobe xfrm_ext
pair
ip -n "$g1" addr add 10.0.0.11/24 dev wan
ip -n "$g2" addr add 10.0.0.12/24 dev wan
for path in on off; do
	run "the sender's again, fastpath $path" sender 4 esp64 $path
	run "the sender's again, format esp, fastpath $path" sender 4 esp $path
	run "the sender's again, ESN, fastpath $path" sender 4 esn $path
	run_full "the sender's again, over IPv6, fastpath $path" sender 6 esp64 $path
	run "the receiver's again, fastpath $path" receiver $path
	run "an address changes, fastpath $path" moved $path
	run "MIGRATE of the sender's, fastpath $path" migrated 10.0.0.11 $path
	run "MIGRATE of the receiver's, fastpath $path" migrated_in $path
	older_than 7.2 || run "MIGRATE_STATE, fastpath $path" states_moved $path
	run "MIGRATE with the kernel's windows, fastpath $path" migrated_with_esn $path replay-window 64 flag esn
	run "MIGRATE with the kernel's bitmap, fastpath $path" migrated_with_esn $path replay-window 128
	run "MIGRATE under traffic, fastpath $path" under_way $path
done
run "all deleted and typed again" everything
run "what the last SA of a key was counts" last_counts
run "a first number" starts
run "back from another machine" back_again
run "a held SA stays so" still_held
run "MIGRATE of a plain SA, with a key that is an extended one's" plain_one
run "refused" refusals
run "keys of receivers" receivers_only
run "made again without a word of extensions" plainly
g3=g3-$$
netns_add "$g3"
run "what is remembered is charged" short
run "many windows" many
unlimited
ip netns del "$g3"
ip netns add "$g3"
# As many keys as that within the time for which they are remembered
((factor > 1)) || run_full "what is remembered is bounded" bounded 4096
ip netns del "$g3"
run "the module can be unloaded" unload
finish
