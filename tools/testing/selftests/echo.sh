#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# kernels: 6.1-cloud 7.3-uml
# check: 7.3-uml
# needs: xfrm-ext
#
# ESP Echo: requests go out through every subspace of SAs of each mode, format and trailer, by
# either path and in UDP, and are answered in the same; on the link they are what the reference
# takes for requests and for answers to them, and nothing else is there. What is not answered,
# and why; no more in a second than echo_rate says, and nothing out of another peer's SA.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-wire.sh"
. "$(dirname "$0")/lib-formats.sh"

parameters=/sys/module/xfrm_ext/parameters

# Both directions at both ends, without a policy: echoes need none. Answers where ECHO says
ECHO=on
sas_of() { # mode outer format trailer iv "algorithm-words" ["words of the kernel's" [JSON]]
	local mode=$1 more='' selector=('' '' '') n words extension subspaces line=() dir

	outer "$2"
	flush
	case $mode in
	beet)
		selector=('' 'sel src 10.1.0.1 dst 10.2.0.1' 'sel src 10.2.0.1 dst 10.1.0.1')
		more=', "inner": ["10.1.0.1", "10.2.0.1"]'
		;;
	tunnel) selector=('' 'flag af-unspec' 'flag af-unspec') ;;
	esac
	extension_of "$3" "$4" "$5"
	# shellcheck disable=SC2086 # words
	algorithm_is $6
	line[1]="xfrm state add src $o1 dst $o2 proto esp spi 0x100 reqid 1 mode $mode ${in_words[1]} ${selector[1]} ${7-} ext $words"
	line[2]="xfrm state add src $o2 dst $o1 proto esp spi 0x200 reqid 2 mode $mode ${in_words[2]} ${selector[2]} ${7-} ext $words"
	for n in 1 2; do
		dir=$((3 - n))
		printf '%s\n' "${line[n]} tx-subspaces $subspaces" \
			"${line[dir]} rx-subspaces $subspaces echo $ECHO" | ip -n "$(ns_of "$n")" -batch -
	done
	printf '{"spi": "0x100", "src": "%s", "dst": "%s", "mode": "%s"%s, %s, %s%s}' \
		"$o1" "$o2" "$mode" "$more" "$extension" "${in_json[1]}" "${8-}" >"$tmp/sa1"
	printf '{"spi": "0x200", "src": "%s", "dst": "%s", "mode": "%s"%s, %s, %s%s}' \
		"$o2" "$o1" "$mode" "${more:+, \"inner\": [\"10.2.0.1\", \"10.1.0.1\"]}" "$extension" \
		"${in_json[2]}" "${8-}" >"$tmp/sa2"
}

pings() { # word...
	ip netns exec "$g1" xfrm-ext ping dst "$o2" spi 0x100 interval 0.1 timeout 60 "$@"
}

# A request that no program waits for
asks() { # attribute=value...
	answers ok echo "family=$([[ $o2 == *:* ]] && echo 10 || echo 2)" "daddr=$o2" spi=0x100 "$@"
}

on_the_link='esp or ip6 proto 50 or udp port 4500'

# Each subspace twice, there and back
answered() { # as sas_of
	local n subspaces=4

	sas_of "$@"
	[[ $3 == esp64 ]] || subspaces=1
	n=$((2 * subspaces))
	record "$tmp/wire" "$g1" wan "$on_the_link"
	pings tx-subspace all count 2 size 100 >"$tmp/said"
	cat "$tmp/said"
	expect "replies" "$(grep -c ' octets by spi 0x00000200 rx-subspace ' "$tmp/said")" "$n"
	expect "lost" "$(grep -c ': 2 sent, 2 received, 0 % lost, min ' "$tmp/said")" "$subspaces"
	expect "at the peer" "$(drops "$g2" 0x100)" "rx-echo $n"
	expect "here" "$(drops "$g1" 0x200)" "rx-echo $n"
	expect "answers" "$(stat "$g2" 0x200 tx-packets)" "$n"
	for ((n = 0; n < subspaces; n++)); do
		expect "asked in $n" "$(subspace "$g2" 0x100 rx "$n" packets)" 2
		expect "answered in $n" "$(subspace "$g1" 0x200 rx "$n" packets)" 2
	done
	n=$((2 * subspaces))
	recorded "$tmp/wire" $((2 * n))
	"$reference/check_capture.py" --sa "$tmp/sa1" --sa "$tmp/sa2" --only --complete \
		--min-packets "$n" "$tmp/wire" >"$tmp/judged"
	cat "$tmp/judged"
	grep -q "  $n echo requests, 0 replies" "$tmp/judged"
	grep -q "  0 echo requests, $n replies" "$tmp/judged"
}

# The same on the kernel's own path, which takes what ends for an error
by_the_kernels_path() {
	local before

	before=$(mib "$g2" XfrmInStateProtoError)
	fastpath off
	answered tunnel 4 esp64 end explicit "$gcm"
	fastpath on
	expect "counted" $(($(mib "$g2" XfrmInStateProtoError) - before)) 8
}

# A name for each, and no packet comes back
refuses() { # what request-word...
	local what=$1 before

	shift
	before=$(stat "$g2" 0x200 tx-packets)
	asks "$@"
	wait_for 10 refused_are "$((++refusals))" || expect "$what" "$(drops "$g2" 0x100)" "rx-echo-refused $refusals"
	expect "$what: answers" "$(stat "$g2" 0x200 tx-packets)" "$before"
}

refused_are() {
	[[ $(drops "$g2" 0x100) == "rx-echo-refused $1" ]]
}

not_answered() {
	local refusals=0 spi=0x200

	sas_of tunnel 4 esp64 end explicit "$gcm"
	genl_open "$g1"
	refuses 'asks for none'
	refuses 'an SA that is not' echo-reply-spi=0x201
	refuses 'for receiving only' echo-reply-spi=0x100
	# Plain; to another peer; from another address; of another interface, and mark
	ip -n "$g2" -batch - <<-EOF
		xfrm state add src $o2 dst $o1 proto esp spi 0x300 mode tunnel aead $aead ${key1/0x00/0x08} 128
		xfrm state add src $o2 dst 10.0.0.9 proto esp spi 0x301 mode tunnel aead $aead ${key1/0x00/0x01} 128 ext tx-subspaces 4
		xfrm state add src 10.2.0.1 dst $o1 proto esp spi 0x302 mode tunnel aead $aead ${key1/0x00/0x02} 128 ext tx-subspaces 4
		xfrm state add src $o2 dst $o1 proto esp spi 0x303 mode tunnel if_id 7 aead $aead ${key1/0x00/0x03} 128 ext tx-subspaces 4
		xfrm state add src $o2 dst $o1 proto esp spi 0x304 mode tunnel mark 7 mask 0xff aead $aead ${key1/0x00/0x04} 128 ext tx-subspaces 4
		xfrm state add src $o2 dst $o1 proto esp spi 0x305 mode tunnel encap espinudp 4500 4500 0.0.0.0 aead $aead ${key1/0x00/0x05} 128 ext tx-subspaces 4
		xfrm state add src $o2 dst $o1 proto esp spi 0x306 mode tunnel aead $aead ${key1/0x00/0x06} 128 ext trailer omit tx-subspaces 4
		xfrm state add src $o2 dst $o1 proto esp spi 0x307 mode tunnel aead $aead ${key1/0x00/0x07} 128 ext tx-subspaces 4 hold on
	EOF
	for spi in 0x300 0x301 0x302 0x303 0x304 0x305 0x306 0x307; do
		refuses "by $spi" "echo-reply-spi=$spi"
		expect "sent by $spi" "$(ip -n "$g2" -s xfrm state | awk -v spi="$spi" '
			$3 == "spi" { on = index($4, "0x00000" substr(spi, 3)) == 1 }
			on && $1 == "tx-packets" { n += $2 }
			END { print n + 0 }')" 0
	done
	# And by the right one, still
	asks echo-reply-spi=0x200
	wait_for 10 has_answered 1
	genl_close
}

has_answered() {
	[[ $(stat "$g2" 0x200 tx-packets) == "$1" ]]
}

# Off is as always
off_is_off() {
	local ECHO=off said refusals=0

	sas_of tunnel 4 esp64 end explicit "$gcm"
	if said=$(pings count 2 timeout 0.2); then
		echo "answered: $said" >&2
		return 1
	fi
	grep 'Nothing has come back' <<<"$said"
	wait_for 10 refused_are 2
	expect "answers" "$(stat "$g2" 0x200 tx-packets)" 0
	# Without policy and switch the SA has not told anybody that it is there
	expect "said" "$(grep -c '2 sent, 0 received, 100 % lost' <<<"$said")" 1
}

# The first second, or the next, has no more; how long sending takes does not matter
rate_is_kept() {
	local began answers seconds n=200

	sas_of tunnel 4 esp64 end explicit "$gcm"
	genl_open "$g1"
	echo 0 >"$parameters"/echo_rate
	asks echo-reply-spi=0x200
	wait_for 10 refused_are 1
	sas_of tunnel 4 esp64 end explicit "$gcm"
	echo 5 >"$parameters"/echo_rate
	began=$SECONDS
	while ((n--)); do
		asks echo-reply-spi=0x200
	done
	wait_for 20 all_counted 200
	seconds=$((SECONDS - began + 1))
	answers=$(stat "$g2" 0x200 tx-packets)
	echo "# $answers of 200 answered in $seconds seconds at most"
	expect "counted" "$(drops "$g2" 0x100)" "rx-echo $answers rx-echo-refused $((200 - answers))"
	((answers >= 5 && answers <= 5 * (seconds + 1)))
	genl_close
}

all_counted() { # packets
	[[ $(block "$g2" 0x100 -s -d | awk '
		{ for (i = 1; i < NF; i++) if ($i ~ /^rx-echo/) n += $(i + 1) }
		END { print n }') == "$1" ]]
}

# What another implementation might send
malformed() {
	local refusals=0

	sas_of tunnel 4 esp64 end explicit "$gcm"
	inject_of "$tmp/sa1"
	record "$tmp/wire" "$g2" wan -Q out esp
	# Not whole, or less than it says
	counts 'rx-echo-refused 1' echo-request 0 1 spi=0x200 cut=1
	counts 'rx-echo-refused 2' echo-request 0 2 spi=0x200 size=0 cut=1
	counts 'rx-echo-refused 3' echo-request 0 3 spi=0x200 size=0 cut=11
	counts 'rx-echo-refused 4' echo-request 0 4 spi=0x200 length=17
	counts 'rx-echo-refused 5' echo-request 0 5 spi=0x200 length=65535
	# Neither request nor reply: what else has this Next Header
	counts 'rx-next-header 1 rx-echo-refused 5' echo-request 0 6 spi=0x200 kind=0
	counts 'rx-next-header 2 rx-echo-refused 5' echo-request 0 7 spi=0x200 kind=4
	# A reply, and nobody listens
	counts 'rx-next-header 2 rx-echo-refused 6' echo-request 0 8 spi=0x200 kind=3
	# Without R, whatever else it says
	counts 'rx-next-header 2 rx-echo-refused 7' echo-request 2 1 spi=0x200 flags=0
	counts 'rx-next-header 2 rx-echo-refused 8' echo-request 2 2 spi=0x200 flags=0x7f
	# No data; more than is said, which is TFC padding; reserved bits
	counts 'rx-next-header 2 rx-echo 1 rx-echo-refused 8' echo-request 0 9 spi=0x200 size=0
	counts 'rx-next-header 2 rx-echo 2 rx-echo-refused 8' echo-request 1 1 spi=0x200 size=16 extra=100 ident=7
	counts 'rx-next-header 2 rx-echo 3 rx-echo-refused 8' echo-request 3 1 spi=0x200 flags=0xff seq=9
	# Not again
	counts 'rx-replay 1 rx-next-header 2 rx-echo 3 rx-echo-refused 8' echo-request 3 1 spi=0x200
	recorded "$tmp/wire" 3
	/usr/bin/python3 - "$reference" "$tmp/wire" "$tmp/sa2" <<-EOF
		import sys
		sys.path.append(sys.argv[1])
		import echo, esp64, pcap
		(sa,) = esp64.load_sas(sys.argv[3])
		got = [esp64.decode(sa, p) for p in pcap.read(sys.argv[2])]
		want = [(0, echo.Echo(3, 0, 1, 1, 0, b"")), (1, echo.Echo(3, 0, 7, 1, 0, bytes(range(16)))),
		        (3, echo.Echo(3, 0, 1, 9, 0, bytes(range(16))))]
		assert [(p.subspace, echo.parse(p.inner)) for p in got] == want, got
		assert all(len(p.inner) == 12 + len(e.data) for p, (_, e) in zip(got, want)), got
	EOF
	inject_close
}

inject_of() { # SA's file
	mkfifo "$tmp/inject.in" "$tmp/inject.out"
	ip netns exec "$g1" "$reference/inject.py" --sa "$1" \
		--inner udp:10.1.0.1:5000:10.2.0.1:7:1000 --batch \
		<"$tmp/inject.in" >"$tmp/inject.out" &
	exec 5>"$tmp/inject.in" 6<"$tmp/inject.out"
	rm "$tmp/inject.in" "$tmp/inject.out"
}

counts() { # counters case...
	inject "${@:2}"
	wait_for 10 drops_are "$1" || expect "drops" "$(drops "$g2" 0x100)" "$1"
}

drops_are() {
	[[ $(drops "$g2" 0x100) == "$1" ]]
}

# To who listens, with what the request said
told() {
	sas_of tunnel 4 esp64 end explicit "$gcm"
	genl_open "$g1"
	ip netns exec "$g1" "$here/genl.py" listen echo >"$tmp/heard" &
	wait_for 20 grep -q listening "$tmp/heard"
	asks echo-reply-spi=0x200 echo-id=513 echo-seq=65535 echo-subspace=3 echo-len=70 \
		echo-data=hex:616263
	wait_for 10 grep -q echo-id "$tmp/heard"
	# Of 70 octets 64 are told
	grep -qx "20 family=2 daddr=$o1 spi=0x00000200 mark=0 mark-mask=0 echo-id=513 echo-seq=65535 echo-subspace=3 echo-len=70 echo-data=hex:616263$(printf '00%.0s' {1..61})" "$tmp/heard"
	stop $!
	# Nobody does any more
	asks echo-reply-spi=0x200
	wait_for 10 refused_here 1
	genl_close
}

refused_here() {
	[[ $(drops "$g1" 0x200) == "rx-echo 1 rx-echo-refused $1" ]]
}

# A peer that has nothing else to say is found again all the same
moved() {
	sas_of tunnel 4 esp64 end explicit "$gcm" "$encap" "$ports"
	ip -n "$g1" xfrm state delete src "$o1" dst "$o2" proto esp spi 0x100
	# shellcheck disable=SC2086 # words
	ip -n "$g1" xfrm state add src "$o1" dst "$o2" proto esp spi 0x100 reqid 1 mode tunnel \
		${in_words[1]} flag af-unspec encap espinudp 4501 4500 0.0.0.0 \
		ext tx-subspaces 4 tx-start 1000
	pings count 1
	wait_for 10 grep -qx 'mapping 0x00000100 10.0.0.1 4500 10.0.0.1 4501' "$tmp/natt"
}

# Whatever IANA assigns
sub_types() {
	sas_of tunnel 4 esp64 end explicit "$gcm"
	echo 200 >"$parameters"/echo_request
	echo 201 >"$parameters"/echo_reply
	record "$tmp/wire" "$g1" wan esp
	pings count 1
	echo 2 >"$parameters"/echo_request
	echo 3 >"$parameters"/echo_reply
	recorded "$tmp/wire" 2
	/usr/bin/python3 - "$reference" "$tmp/wire" "$tmp/sa1" "$tmp/sa2" <<-EOF
		import sys
		sys.path.append(sys.argv[1])
		import esp64, pcap, trailer
		for sa, packet, kind in zip(sys.argv[3:], pcap.read(sys.argv[2]), (200, 201)):
		    (sa,) = esp64.load_sas(sa)
		    *_, plain = esp64.unseal(sa, esp64.unwrap(sa, packet))
		    next_header, payload = trailer.split_plaintext(sa, plain)
		    assert (next_header, payload[0]) == (144, kind), (next_header, payload.hex())
	EOF
	# Sub-types 2 and 3 were none then, and are again
	pings count 1
}

# It is a packet as any other to the limits of both SAs
limits() {
	sas_of tunnel 4 esp64 end explicit "$gcm" 'limit packet-hard 3'
	pings count 3
	# A header of 12 and 8 octets of data each
	expect "the kernel's count" "$(block "$g2" 0x100 -s |
		awk '/lifetime current/ { getline; print $1, $2 }')" '60(bytes), 3(packets)'
	refused 'xfrm_ext: ' ip netns exec "$g1" xfrm-ext ping dst "$o2" spi 0x100 count 1
}

# What ping says without sending anything
says_why() {
	local ping=(ip netns exec "$g1" xfrm-ext ping)

	sas_of tunnel 4 esp64 end explicit "$gcm"
	refused 'there is no extended SA with this dst, spi and mark' "${ping[@]}" dst "$o2" spi 0x102
	refused 'the SA is for receiving only' "${ping[@]}" dst "$o1" spi 0x200
	refused 'Error: size: 7 is less than 8' "${ping[@]}" dst "$o2" spi 0x100 size 7
	refused 'xfrm_ext: tx-subspace 4: the SA sends in 4 subspaces from 0 on' \
		"${ping[@]}" dst "$o2" spi 0x100 tx-subspace 4
	refused 'it is none of dst, spi' "${ping[@]}" dst "$o2" spi 0x100 foo
	refused '"spi" is required' "${ping[@]}" dst "$o2"
	ip -n "$g1" xfrm state delete src "$o2" dst "$o1" proto esp spi 0x200
	refused 'no extended SA that is ready comes back from 10.0.0.2: which SPI does the peer send to? reply-spi SPI' \
		"${ping[@]}" dst "$o2" spi 0x100
	sas_of tunnel 4 esp64 end explicit "$gcm"
	# As far as the path goes
	refused 'xfrm_ext: len 1443: too much for the path, which takes packets of 1500 octets' \
		"${ping[@]}" dst "$o2" spi 0x100 size 1431
	"${ping[@]}" dst "$o2" spi 0x100 size 1430 count 1 timeout 60
	ip netns exec "$g1" xfrm-ext -j ping dst "$o2" spi 0x100 tx-subspace all count 1 timeout 60 >"$tmp/json"
	/usr/bin/python3 - "$tmp/json" <<-EOF
		import json, sys
		said = json.load(open(sys.argv[1]))
		assert (said["spi"], said["reply-spi"]) == (256, 512), said
		assert [s["tx-subspace"] for s in said["subspaces"]] == [0, 1, 2, 3], said
		for s in said["subspaces"]:
		    assert (s["sent"], s["received"]) == (1, 1), said
		    assert 0 <= s["min-us"] == s["avg-us"] == s["max-us"], said
	EOF
}

needs_cpus 4
pair_acquainted
ip netns exec "$g2" "$here/natt.py" end 4500 >"$tmp/natt" </dev/null &
wait_for 20 grep -q ready "$tmp/natt"
ip netns exec "$g1" "$here/natt.py" end 4500 >"$tmp/natt1" </dev/null &
wait_for 20 grep -q ready "$tmp/natt1"
gcm="aead $aead 20 128"
cbc='pair cbc(aes) 16 hmac(sha256) 32 128'
encap='encap espinudp 4500 4500 0.0.0.0'
ports=', "encap": [4500, 4500]'
run "tunnel, IPv4, esp64" answered tunnel 4 esp64 end explicit "$gcm"
run "tunnel, IPv6, esp64, front" answered tunnel 6 esp64 front explicit "$gcm"
run "transport, IPv6, ESN" answered transport 6 esn end explicit "$gcm"
[[ ! $whole ]] || run "transport, IPv4, esp64, front, implicit IV" answered transport 4 esp64 front implicit "$gcm"
run "BEET, IPv4, esp64" answered beet 4 esp64 end explicit "$gcm"
[[ ! $whole ]] || run "BEET, IPv6, esp, front" answered beet 6 esp front explicit "$gcm"
run "tunnel, IPv4, esp, CBC and HMAC" answered tunnel 4 esp end explicit "$cbc"
run "tunnel, IPv4, UDP" answered tunnel 4 esp64 end explicit "$gcm" "$encap" "$ports"
[[ ! $whole ]] || run "tunnel, IPv6, UDP" answered tunnel 6 esp64 front explicit "$gcm" "${encap/0.0.0.0/::}" "$ports"
run "the kernel's own path" by_the_kernels_path
run "what is not answered" not_answered
run "off" off_is_off
run "rate" rate_is_kept
echo 100 >"$parameters"/echo_rate
run "malformed, and more than is asked for" malformed
run "told to who listens" told
run "NAT has moved the peer" moved
run "sub-types" sub_types
run "limits" limits
run "ping says why" says_why
flush
finish
