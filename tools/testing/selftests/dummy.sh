#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# kernels: 6.1-cloud 7.3-uml
#
# Dummy packets: sent in every mode, with each format and trailer that has them, in UDP, up
# to the longest that fits; each is on the link what the reference takes for one, the peer
# counts it and delivers nothing. With TFC padding one is as long as any other packet. What
# cannot send one says why, and sends nothing.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-wire.sh"
. "$(dirname "$0")/lib-formats.sh"

dummy() { # [word...]
	ip -n "$g1" xfrm ext dummy dst "$o2" spi 0x100 "$@"
}

# One SA 1>2 with no policy: dummies need none. Sets what the reference needs
sa_of() { # mode outer format trailer iv "algorithm-words" ["words of the kernel's" [JSON]]
	local mode=$1 sel='' more='' words extension

	outer "$2"
	flush
	case $mode in
	beet)
		sel='sel src 10.1.0.1 dst 10.2.0.1'
		more=', "inner": ["10.1.0.1", "10.2.0.1"]'
		;;
	tunnel) sel='flag af-unspec' ;;
	esac
	extension_of "$3" "$4" "$5"
	# shellcheck disable=SC2086 # words
	set -- "$1" "$2" "$(words_of 1 $6)" "$(reference_words 1 $6)" "${7-}" "${8-}"
	line="xfrm state add src $o1 dst $o2 proto esp spi 0x100 reqid 1 mode $mode $3 $sel $5 ext $words"
	ip -n "$g1" -batch - <<<"$line tx-subspaces $subspaces"
	ip -n "$g2" -batch - <<<"$line rx-subspaces $subspaces"
	printf '{"spi": "0x100", "src": "%s", "dst": "%s", "mode": "%s"%s, %s, %s%s}' \
		"$o1" "$o2" "$mode" "$more" "$extension" "$4" "${6-}" >"$tmp/sa"
}

# So many have gone, and come as what they are; nothing else has
are_dummies() { # packets
	wait_for 10 came "$1" || true
	expect "sent" "$(stat "$g1" 0x100 tx-packets)" "$1"
	expect "came" "$(drops "$g2" 0x100)" "rx-dummy $1"
	expect "received" "$(stat "$g2" 0x100 rx-packets)" 0
	expect "drops" "$(drops "$g1" 0x100)" none
	recorded "$tmp/wire" "$1"
	"$reference/check_capture.py" --sa "$tmp/sa" --only --min-packets "$1" "$tmp/wire" >"$tmp/judged"
	cat "$tmp/judged"
	grep -q ": $1 packets ($1 dummies)" "$tmp/judged"
}

came() {
	[[ $(drops "$g2" 0x100) == "rx-dummy $1" ]]
}

# Length of the longest packet, with its IP header
longest() {
	/usr/bin/python3 - "$reference" "$tmp/wire" <<-EOF
		import sys
		sys.path.append(sys.argv[1])
		import pcap
		print(max(len(p) for p in pcap.read(sys.argv[2])))
	EOF
}

# max is what is left of 1,500 octets, by the format's description
sent() { # max mode outer format trailer iv "algorithm-words" ["kernel's words" [JSON]]
	local max=$1 largest

	sa_of "${@:2}"
	record "$tmp/wire" "$g1" wan -Q out 'esp or ip6 proto 50 or udp port 4500'
	dummy
	dummy len 1
	dummy len "$max"
	refused "xfrm_ext: len $((max + 1)): too much for the path, which takes packets of 1500 octets" \
		dummy len $((max + 1))
	refused 'xfrm_ext: len 4294967295: too much' dummy len 4294967295
	are_dummies 3
	largest=$(longest)
	# Nothing longer would fit: what is padded to a multiple of 16 leaves up to 15
	[[ $largest -le 1500 && $largest -gt $((1500 - 16)) ]]
	[[ $7 == *cbc* ]] || expect "longest" "$largest" 1500
}

# A dummy is as long as what it is to hide
padded() { # trailer
	local lengths

	sa_of tunnel 4 esp64 "$1" explicit "$gcm" 'tfcpad 500' ', "tfcpad": 500'
	ip -n "$g1" xfrm policy add src 10.1.0.1 dst 10.2.0.1 dir out \
		tmpl src "$o1" dst "$o2" proto esp reqid 1 mode tunnel
	ip -n "$g2" xfrm policy add src 10.1.0.1 dst 10.2.0.1 dir in \
		tmpl src "$o1" dst "$o2" proto esp reqid 1 mode tunnel
	record "$tmp/wire" "$g1" wan -Q out esp
	dummy
	dummy len 499
	ip netns exec "$g1" ping -q -c 1 -w 1 -I 10.1.0.1 10.2.0.1 || true
	ip netns exec "$g1" ping -q -c 1 -w 1 -s 472 -I 10.1.0.1 10.2.0.1 || true
	accepts "$g2" 0x100 2
	wait_for 10 came 2
	recorded "$tmp/wire" 4
	lengths=$(tcpdump -r "$tmp/wire" -n 2>/dev/null | sed 's/.*length //' | sort -u)
	# Header, IV, 500 octets and 2, padded to a multiple of 4; or an info word and 500; ICV
	expect "length" "$lengths" $((12 + 8 + 504 + 16))
	"$reference/check_capture.py" --sa "$tmp/sa" --only --min-packets 4 "$tmp/wire" |
		grep ': 4 packets (2 dummies)'
	# More than fits is as much as fits
	sa_of tunnel 4 esp64 "$1" explicit "$gcm" 'tfcpad 9000' ', "tfcpad": 9000'
	record "$tmp/wire" "$g1" wan -Q out esp
	dummy
	dummy
	are_dummies 2
	expect "longest" "$(longest)" 1500
}

# The one that is asked for, or the one of the CPU that asks
subspaces_of() {
	local cpu id

	sa_of tunnel 4 esp64 end explicit "$gcm"
	for id in 3 3 1; do
		dummy tx-subspace "$id"
	done
	for cpu in 0 2; do
		taskset -c "$cpu" ip -n "$g1" xfrm ext dummy dst "$o2" spi 0x100
	done
	for id in '0 1' '1 1' '2 1' '3 2'; do
		expect "sent in ${id% *}" "$(subspace "$g1" 0x100 tx "${id% *}" highest)" "${id#* }"
	done
	wait_for 10 came 5
	refused 'xfrm_ext: tx-subspace 4: the SA sends in 4 subspaces from 0 on' dummy tx-subspace 4
}

# Among other packets, from all CPUs: no number twice, none left out
among_others() {
	local sent i pids=() part=$factor

	[[ $whole ]] || part=4
	# Or every other packet is an error that comes back
	ip netns exec "$g2" "$here/traffic.py" count 10.2.0.1 9 >/dev/null &
	wait_for 20 ip netns exec "$g2" grep -q ':0009 ' /proc/net/udp
	tunnel 4 2
	outer 4
	record "$tmp/wire" "$g1" wan -Q out -s 256 esp
	for i in 1 2; do
		ip netns exec "$g1" "$here/traffic.py" flood 10.2.0.1 9 $((2000 / part)) 20 --roam 50 &
		pids+=($!)
	done
	for i in 1 2; do
		yes "xfrm ext dummy dst $o2 spi 0x100" | head -n $((500 / part)) |
			ip -n "$g1" -batch - &
		pids+=($!)
	done
	for i in "${pids[@]}"; do
		wait "$i"
	done
	sent=$((4000 / part + 1000 / part))
	expect "sent" "$(stat "$g1" 0x100 tx-packets)" "$sent"
	wait_for 20 came $((1000 / part))
	recorded "$tmp/wire" "$sent"
	reference_sa 4 '1>2' >"$tmp/sa"
	"$reference/check_capture.py" --sa "$tmp/sa" --only --unordered --min-packets "$sent" \
		--min-subspaces 2 "$tmp/wire"
}

# Each says why; no packet leaves
says_no() {
	sa_of tunnel 4 esp64 omit explicit "$gcm"
	refused 'xfrm_ext: trailer omit (2) has no Next Header' dummy
	sa_of tunnel 4 esp64 end explicit "$gcm"
	refused 'xfrm_ext: the SA is for receiving only' \
		ip -n "$g2" xfrm ext dummy dst "$o2" spi 0x100
	refused 'xfrm_ext: no extended SA' ip -n "$g1" xfrm ext dummy dst "$o2" spi 0x101
	refused 'xfrm_ext: no extended SA' \
		ip -n "$g1" xfrm ext dummy dst "$o2" spi 0x100 mark 1 mask 1
	refused '"spi" is required' ip -n "$g1" xfrm ext dummy dst "$o2" len 5
	refused '"5x" is not a number' dummy len 5x
	refused '"highest"' dummy highest 5
	# Held: nobody has said yet which numbers are free
	flush
	ip -n "$g1" -batch - <<<"$line tx-subspaces 4 hold on"
	refused 'xfrm_ext: the SA is not ready' dummy
	ip -n "$g1" xfrm ext set dst "$o2" spi 0x100 gap 0 release
	dummy
}

# Numbers end, and so do lifetimes
ends() {
	sa_of tunnel 4 esp end explicit "$gcm"
	ip -n "$g1" xfrm state flush
	ip -n "$g1" -batch - <<<"$line tx-subspaces 1 tx-start 0xffffffff"
	dummy
	refused 'xfrm_ext: the dummy packet was dropped: -75' dummy
	expect "drops" "$(drops "$g1" 0x100)" 'tx-exhausted 1'
	expect "sent" "$(stat "$g1" 0x100 tx-packets)" 1
	# Behind the last number nothing would go
	sa_of tunnel 4 esp end explicit "$gcm"
	ip -n "$g1" xfrm state flush
	ip -n "$g1" -batch - <<<"${line/ ext / limit packet-hard 2 ext } tx-subspaces 1"
	dummy
	dummy
	refused 'xfrm_ext: ' dummy
	[[ $(block "$g1" 0x100 -s) != *'tx-packets 3'* ]]
}

# No way to the peer
no_route() {
	sa_of tunnel 4 esp64 end explicit "$gcm"
	ip -n "$g1" route add unreachable 10.0.0.2/32
	refused "xfrm_ext: no route to the SA's destination: -" dummy
	ip -n "$g1" route del unreachable 10.0.0.2/32
	# Under the SA's output mark there is one
	sa_of tunnel 4 esp64 end explicit "$gcm" 'output-mark 7'
	ip -n "$g1" route add unreachable 10.0.0.2/32 table 7
	ip -n "$g1" rule add fwmark 7 table 7
	refused "xfrm_ext: no route to the SA's destination: -" dummy
	ip -n "$g1" rule del fwmark 7 table 7
	dummy
	wait_for 10 came 1
	# In UDP, the one that UDP has
	ip -n "$g1" rule add ipproto udp dport 4500 table 7
	dummy
	wait_for 10 came 2
	sa_of tunnel 4 esp64 end explicit "$gcm" "$encap"
	refused "xfrm_ext: no route to the SA's destination: -" dummy
	ip -n "$g1" rule del ipproto udp dport 4500 table 7
	dummy
	wait_for 10 came 1
	# Nobody's
	flush
	ip -n "$g1" xfrm state add src 0.0.0.0 dst 10.0.0.2 proto esp spi 0x100 mode transport \
		aead "$aead" "$key1" 128 ext tx-subspaces 1
	refused 'xfrm_ext: the SA has no source address' dummy
	sa_of tunnel 4 esp64 end explicit "$gcm"
	# Behind the SA
	tc -n "$g1" qdisc add dev wan root pfifo limit 0
	refused 'xfrm_ext: the dummy packet was dropped: -105, by the SA' dummy
	tc -n "$g1" qdisc del dev wan root
}

# A namespace whose last packet was a dummy: with it goes its end of a link, and so the other
gone() {
	local t=t-$$

	netns_add "$t"
	ip link add tmp netns "$t" type veth peer name tmp netns "$g1"
	ip -n "$t" -batch - <<-EOF
		addr add 10.9.0.1/24 dev tmp
		link set tmp up
		xfrm state add src 10.9.0.1 dst 10.9.0.2 proto esp spi 0x100 mode tunnel \
			aead $aead $key1 128 ext tx-subspaces 1
	EOF
	ip -n "$g1" link set tmp up
	ip -n "$t" neigh replace 10.9.0.2 lladdr 02:00:00:00:00:09 dev tmp nud permanent
	ip -n "$t" xfrm ext dummy dst 10.9.0.2 spi 0x100
	expect "sent" "$(stat "$t" 0x100 tx-packets)" 1
	ip -n "$g1" link show dev tmp
	ip netns del "$t"
	wait_for 20 no_link
}

no_link() {
	! ip -n "$g1" link show dev tmp
}

needs_cpus 4
pair_acquainted
ip netns exec "$g2" "$here/natt.py" end 4500 >"$tmp/natt" </dev/null &
wait_for 20 grep -q ready "$tmp/natt"
gcm="aead $aead 20 128"
cbc='pair cbc(aes) 16 hmac(sha256) 32 128'
# 1,500 less: outer header, ESP header, IV, ICV; whole words of them; Pad Length and Next Header, or
# an info word
run "tunnel, IPv4, esp64" sent $((1444 - 2)) tunnel 4 esp64 end explicit "$gcm"
[[ ! $whole ]] || run "tunnel, IPv6, esp64, front" sent $((1424 - 4)) tunnel 6 esp64 front explicit "$gcm"
[[ ! $whole ]] || run "tunnel, IPv4, esp, implicit IV" sent $((1456 - 2)) tunnel 4 esp end implicit "$gcm"
[[ ! $whole ]] || run "transport, IPv4, esp64, front" sent $((1444 - 4)) transport 4 esp64 front explicit "$gcm"
run "transport, IPv6, ESN" sent $((1428 - 2)) transport 6 esn end explicit "$gcm"
[[ ! $whole ]] || run "BEET, IPv4, esp64" sent $((1444 - 2)) beet 4 esp64 end explicit "$gcm"
run "BEET, IPv6, esp, front" sent $((1428 - 4)) beet 6 esp front explicit "$gcm"
run "tunnel, IPv4, esp, CBC and HMAC" sent $((1440 - 2)) tunnel 4 esp end explicit "$cbc"
encap='encap espinudp 4500 4500 0.0.0.0'
[[ ! $whole ]] || run "tunnel, IPv4, UDP" sent $((1436 - 2)) tunnel 4 esp64 end explicit "$gcm" "$encap" ', "encap": [4500, 4500]'
run "tunnel, IPv6, UDP, front" sent $((1416 - 4)) tunnel 6 esp64 front explicit "$gcm" "${encap/0.0.0.0/::}" ', "encap": [4500, 4500]'
[[ ! $whole ]] || run "TFC padding" padded end
run "TFC padding, front" padded front
run "subspaces" subspaces_of
run "among others" among_others
run "says no" says_no
run "ends" ends
run "no route" no_route
run "its namespace goes" gone
flush
finish
