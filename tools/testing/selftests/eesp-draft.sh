#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# kernels: 6.1-cloud 7.3-uml
# check: 7.3-uml
#
# Format eesp: what its draft demands, one by one, and no other test shows: numbers that go on,
# the order of a receiver's checks, fragments, ports, who is told what. (eesp.sh has traffic and
# what is refused; audit.sh and audit-tx.sh what is logged, exhaust.sh the end of numbers.
# Documentation/eesp-notes.rst has the table.)
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-wire.sh"
. "$(dirname "$0")/lib-ends.sh"
. "$(dirname "$0")/lib-eesp.sh"

sender_close() {
	exec 5>&- 6<&-
}

# 2.3.1: an SA that its sender makes again, with the key that it had, goes on
made_again() { # path
	local n before after

	fastpath "$1"
	pair_of tunnel 4 4
	for n in 1 2 3 4 5 6 7 8; do
		traffic udp "$i2" 7 "$n" 100
	done
	before=$(highest)
	ip -n "$g1" xfrm state delete dst "$o2" proto esp spi 0x100
	sa_is 1 tunnel tx | ip -n "$g1" -batch -
	for n in 1 2 3 4 5 6 7 8; do
		traffic udp "$i2" 7 "$n" 100
	done
	after=$(highest)
	echo "# numbers used: $before, then $after"
	expect "packets sent since" "$(stat "$g1" 0x100 tx-packets)" $((after - before))
	((after > before))
	accepts "$g2" 0x100 "$after"
	expect "drops" "$(drops "$g2" 0x100)" none
	fastpath on
}

# All Sub SAs' numbers together
highest() {
	block "$g1" 0x100 -s | awk '$1 == "tx-subspace" { n += $4 } END { print n + 0 }'
}

# 4.5.3: the number first, which costs nothing, then the ICV; and what is in it last
order() { # path
	fastpath "$1"
	receiver_alone 4 4
	sends rx-packets valid 1 5
	sends rx-replay flip 1 5
	sends rx-icv flip 1 6
	sends rx-subspace flip 9 6
	sends rx-zero flip 1 0
	# What is refused for its number has not been looked into
	sends rx-replay valid 1 5 full=1
	sends rx-next-header valid 1 6 full=1
	# 2.6: no whole words of four octets
	for n in 1 2 3; do
		sends rx-truncated valid 1 7 pad_odd="$n"
	done
	sends rx-packets valid 1 7
	sender_close
	fastpath on
}

# 2.9.2: the ICV is good before there is a window
before_windows() { # path
	local memory

	fastpath "$1"
	receiver_alone 4 4
	memory=$(stat "$g2" 0x100 memory)
	sends rx-icv flip 1 1
	sends rx-icv flip 2 0xffffffffffff
	sends rx-icv valid 3 1 key_of=2
	expect "memory, of nothing but forgeries" "$(stat "$g2" 0x100 memory)" "$memory"
	expect "windows" "$(block "$g2" 0x100 -s | grep -c 'rx-subspace ' || true)" 0
	sends rx-packets valid 2 1
	(($(stat "$g2" 0x100 memory) > memory))
	expect "windows" "$(block "$g2" 0x100 -s | grep -c 'rx-subspace ' || true)" 1
	sender_close
	fastpath on
}

# 4.5.3: a window of 64, which all implementations must have
window() {
	local EXT='window 64'

	receiver_alone 4 4
	sends rx-packets valid 2 100
	sends rx-packets valid 2 37
	sends rx-too-old valid 2 36
	sends rx-replay valid 2 37
	sends rx-replay valid 2 100
	sends rx-packets valid 2 101
	sends rx-too-old valid 2 37
	# Another Sub SA has its own
	sends rx-packets valid 0 1
	sender_close
}

# 4.5.1: IP puts fragments together before
fragments() { # 4|6 path
	fastpath "$2"
	pair_of transport "$1" "$1"
	traffic udp "$i2" 7 5000 3000
	wait_for 20 equal
	expect "reassembled" "$(stat "$g2" 0x100 reassembled)" 2
	expect "drops" "$(drops "$g2" 0x100)" none
	fastpath on
}

# 6: on one port, told apart by the first bit
one_port() { # path
	local UDP=1 k

	fastpath "$1"
	pair_of tunnel 4 4
	for k in "1 $o1 $o2 $g1 $g2 fd01::1 fd02::1" "2 $o2 $o1 $g2 $g1 fd02::1 fd01::1"; do
		# shellcheck disable=SC2086 # words
		esp_beside $k
	done
	traffic udp "$i2" 7 1 100 1300
	traffic udp fd02::1 7 1 100 1300
	traffic tcp fd02::1 7 $((20000 / factor))
	traffic tcp "$i2" 7 $((20000 / factor))
	wait_for 20 equal
	for k in "$g1 0x101 $g2" "$g2 0x201 $g1"; do
		read -r from spi to <<<"$k"
		arrived "$spi" "$from" "$to"
	done
	expect "drops" "$(drops "$g2" 0x100) $(drops "$g1" 0x200)" "none none"
	fastpath on
}

esp_beside() { # number src dst sender receiver inner-src inner-dst
	local key words="src $2 dst $3 proto esp spi 0x${1}01 reqid 1$1 mode tunnel"

	key_for "0x${1}01" 20
	words+=" aead $default_aead $key 128 flag af-unspec encap espinudp 4500 4500 0.0.0.0 ext"
	echo "xfrm state add $words tx-subspaces 4" | ip -n "$4" -batch -
	echo "xfrm policy add src $6 dst $7 dir out tmpl src $2 dst $3 proto esp reqid 1$1 mode tunnel" |
		ip -n "$4" -batch -
	echo "xfrm state add $words rx-subspaces 4" | ip -n "$5" -batch -
	echo "xfrm policy add src $6 dst $7 dir in tmpl src $2 dst $3 proto esp reqid 1$1 mode tunnel" |
		ip -n "$5" -batch -
}

# 6.1: Sub SA 0 has the port that IKE has, and no other has it
ports() {
	local UDP=1 EXT='spread on' n

	pair_of tunnel 4 4
	record_out "$tmp/1.pcap" "$g1" wan
	# That none of so many flows is in Sub SA 0 comes once in 3 * 10^7 times
	for ((n = 0; n < 60; n++)); do
		traffic udp "$i2" 7 100
	done
	filter='udp dst port 4500' captured "$tmp/1.pcap" "$g1" 0x100
	expect "of Sub SA 0 by other ports, of others by 4500" \
		"$(of_link 'udp[10:2] = 0 and not udp src port 4500') $(of_link 'udp[10:2] != 0 and udp src port 4500')" "0 0"
	(($(of_link 'udp[10:2] = 0') > 0 && $(of_link 'udp[10:2] != 0') > 0))
}

of_link() { # filter
	tcpdump -nn -r "$tmp/1.pcap" "udp dst port 4500 and $1" 2>/dev/null | wc -l
}

# ikev2, 7: only a packet that is authentic and new can move the other end, and it is only told
mapping() { # path
	local UDP=1 mismatched

	fastpath "$1"
	receiver_alone 4 4
	told_before "$g2"
	sends rx-packets valid 0 1 sport=4500
	sends rx-icv flip 0 2 sport=4500 from=10.0.0.9
	sends rx-replay valid 0 1 sport=5555 from=10.0.0.9
	sends rx-replay valid 0 1 sport=5555
	sends rx-subspace valid 9 1 sport=5555
	sends rx-zero valid 0 0 sport=5555
	sends rx-packets valid 0 2 sport=4500
	expect "mappings told" "$(told "$g2" mapping)" 0
	sends rx-packets valid 1 1 sport=5555
	wait_for 10 is_told "$g2" "mapping 0x00000100 10.0.0.1 4500 10.0.0.1 5555\$" 1
	sends rx-packets valid 0 3 sport=4500 from=10.0.0.9
	wait_for 10 is_told "$g2" "mapping 0x00000100 10.0.0.1 4500 10.0.0.9 4500\$" 1
	block "$g2" 0x100 | grep -q '^src 10.0.0.1 dst 10.0.0.2'
	block "$g2" 0x100 | grep -q 'espinudp sport 4500 dport 4500'
	# Without UDP it is nobody's, and the number is not used up
	mismatched=$(mib "$g2" XfrmInStateMismatch)
	echo "valid 0 4" >&5
	read -r -t $((60 * factor)) _ <&6
	wait_for 10 mismatches_are $((mismatched + 1))
	sends rx-packets valid 0 4 sport=4500
	expect "mappings told" "$(told "$g2" mapping)" 2
	sender_close
	fastpath on
}

mismatches_are() {
	[[ $(mib "$g2" XfrmInStateMismatch) == "$1" ]]
}

# 3.1.2: of a peer that says more in clear than it should, somebody is told who can end the SA
exposed() { # path
	local crypt start of='crypt-offset dst 10.0.0.2 spi 0x00000100 rx-subspace 1 highest 1'

	fastpath "$1"
	CRYPT=4 receiver_alone 4 4
	rm -f "$tmp/monitor"
	ip -n "$g2" xfrm ext monitor >"$tmp/monitor" &
	crypt=$!
	wait_for 20 grep -Eq '^[0-9a-f]+ +16 +[0-9]+ +[0-9a-f]*[1-9a-f]' "/proc/$crypt/net/netlink"
	sends rx-icv flip 1 1 options=hex:02021c20
	sends rx-packets valid 0 1 options=hex:02021c10
	start=$SECONDS
	sends rx-crypt-offset valid 1 1 options=hex:02021c20
	sends rx-crypt-offset valid 1 2 options=hex:02021c30
	sends rx-crypt-offset valid 3 1 options=hex:02021c40
	sends rx-packets valid 2 1
	wait_for 10 grep -q 'first-use .* rx-subspace 2' "$tmp/monitor"
	cat "$tmp/monitor"
	stop "$crypt"
	# Once in ten seconds at most
	((SECONDS - start >= 10)) || expect "events" "$(grep -c ^crypt-offset "$tmp/monitor")" 1
	expect "the first" "$(grep -m 1 ^crypt-offset "$tmp/monitor")" "$of: authentic, with 8 octets in clear"
	# It is the key manager's to end it
	sends rx-packets valid 1 3
	sender_close
	fastpath on
}

eesp_hosts
c=$g1 s=$g2
paths='on off'
[[ ! $quick ]] || paths=on
for path in $paths; do
	run "an SA made again goes on, fastpath $path" made_again "$path"
	run "the order of checks, fastpath $path" order "$path"
	run "no window before the ICV, fastpath $path" before_windows "$path"
	run "too much in clear is told, fastpath $path" exposed "$path"
done
run_full "a window of 64" window
for family in 4 6; do
	run "in fragments, IPv$family, fastpath on" fragments $family on
	run_full "in fragments, IPv$family, fastpath off" fragments $family off
done
socks "$g1" 4500
socks "$g2" 4500
for path in $paths; do
	run "ESP and EESP on one port, fastpath $path" one_port "$path"
	run "a mapping only for what is authentic and new, fastpath $path" mapping "$path"
done
run_full "ports of Sub SAs" ports
fastpath on
flush
finish
