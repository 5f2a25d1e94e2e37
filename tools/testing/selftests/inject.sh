#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# kernels: 6.1-debug 7.3-uml
# check: 7.3-uml
#
# Packets that the reference makes, good and bad, get exactly the verdict that the
# wire's rules give them, and move exactly one counter, on our own path and on the
# kernel's: in tunnel mode, and to the ends themselves in transport mode and BEET, with
# every Next Header and pseudo header. Somebody without the key makes no window, and moves
# none.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-wire.sh"
. "$(dirname "$0")/lib-formats.sh"

# A verdicts.py that stays: starting it takes its time
verdicts_open() {
	mkfifo "$tmp/verdicts.in" "$tmp/verdicts.out"
	ip netns exec "$g2" "$here/verdicts.py" --from "$g1" --to "$b" --log "$tmp/verdicts.log" \
		<"$tmp/verdicts.in" >"$tmp/verdicts.out" &
	exec {verdicts_in}>"$tmp/verdicts.in" {verdicts_out}<"$tmp/verdicts.out"
	rm "$tmp/verdicts.in" "$tmp/verdicts.out"
	read -r -t $((60 * factor)) <&"$verdicts_out"
}

verdicts_close() {
	exec {verdicts_in}>&- {verdicts_out}<&-
	wait
}

# As the script takes it, of the SA in sa.json, and fails
judge() { # cases|forge|ends|formats window fastpath
	local path=slow answer=nothing

	[[ $3 == off ]] || path=fast
	fastpath "$3"
	echo "$1 $tmp/sa.json $2 $path" >&"$verdicts_in"
	read -r -t $((120 * factor)) answer <&"$verdicts_out" || true
	cat "$tmp/verdicts.log"
	expect "answer" "$answer" ok
}

verdicts() { # cases|forge outer fastpath ICV subspaces window
	local what=$1 outer=$2 ICV=$4 subspaces=$5 WINDOW=$6
	local MEMORY=$((1 << 32))

	flush
	policies "$outer"
	sa "$outer" '1>2' "$subspaces"
	reference_sa "$outer" '1>2' | sed "s/}/, \"subspaces\": $subspaces}/" >"$tmp/sa.json"
	judge "$what" "$WINDOW" "$3"
}

# The receiving gateway is the end itself. What is UDP must have come through the SA; in
# BEET so must all else
ends() { # transport|beet outer inner fastpath [beet-frag]
	local mode=$1 o1 o2 i1 i2 sel='' selector=proto\ udp more=''

	outer "$2"
	i1=$o1 i2=$o2
	if [[ $mode == beet ]]; then
		case $3 in
		4) i1=10.1.0.1 i2=10.2.0.1 ;;
		6) i1=fd01::1 i2=fd02::1 ;;
		esac
		sel="sel src $i1 dst $i2" selector=
		more=", \"inner\": [\"$i1\", \"$i2\"]"
		[[ ${5-} != on ]] || more+=', "beet_frag": true'
	fi
	flush
	ip -n "$g2" -batch - <<-EOF
		xfrm state add src $o1 dst $o2 proto esp spi 0x100 reqid 1 mode $mode \
			aead $aead $key1 128 $sel ext rx-subspaces 4 window 128 ${5:+beet-frag $5}
		xfrm policy add src $i1 dst $i2 $selector dir in \
			tmpl src $o1 dst $o2 proto esp reqid 1 mode $mode
	EOF
	reference_sa "$2" '1>2' | sed "s/}/, \"subspaces\": 4, \"mode\": \"$mode\"$more}/" >"$tmp/sa.json"
	judge ends 128 "$4"
}

# Of any format, placement, IV and algorithm
placed() { # fastpath mode outer format trailer iv algorithm-words...
	local mode=$2 o1 o2 i1 i2 inner='' sel='' words extension subspaces more=''

	outer "$3"
	i1=$o1 i2=$o2
	flush
	case $mode in
	tunnel)
		more='flag af-unspec'
		policies "$3"
		;;
	beet)
		i1=fd01::1 i2=fd02::1
		sel="sel src $i1 dst $i2" inner=", \"inner\": [\"$i1\", \"$i2\"]"
		;;
	esac
	extension_of "$4" "$5" "$6"
	{
		echo "xfrm state add src $o1 dst $o2 proto esp spi 0x100 reqid 1 mode $mode $more" \
			"$(words_of 1 "${@:7}") $sel ext rx-subspaces $subspaces window 128 $words"
		[[ $mode == tunnel ]] || echo "xfrm policy add src $i1 dst $i2" \
			"$([[ $mode == beet ]] || echo proto udp) dir in" \
			"tmpl src $o1 dst $o2 proto esp reqid 1 mode $mode"
	} | ip -n "$g2" -batch -
	printf '{"spi": "0x100", "src": "%s", "dst": "%s", "mode": "%s", "subspaces": %d%s, %s, %s}' \
		"$o1" "$o2" "$mode" "$subspaces" "$inner" "$extension" \
		"$(reference_words 1 "${@:7}")" >"$tmp/sa.json"
	judge formats 128 "$1"
}

# One kernel does all of three algorithms; the others each placement, format and mode once
placements() { # fastpath "name algorithm-words"
	local format trailer iv mode outer

	# shellcheck disable=SC2086 # words
	set -- "$1" $2
	for format in esp64 esp esn; do
		for trailer in end front omit; do
			for iv in explicit implicit; do
				[[ $iv == explicit ]] || has_implicit "${@:3}" || continue
				for mode in tunnel transport beet; do
					[[ $trailer != omit || $mode == tunnel ]] || continue
					outer=4
					[[ $mode$format != transportesn ]] || outer=6
					[[ $whole || "$format-$trailer-$iv-$mode" == @(esp64-omit-implicit-tunnel|esn-front-explicit-beet|esp-front-implicit-transport) ]] ||
						continue
					echo "# $2, $format, trailer $trailer, IV $iv, $mode over IPv$outer"
					placed "$1" "$mode" "$outer" "$format" "$trailer" "$iv" "${@:3}"
				done
			done
		done
	done
}

# What is authentic is accepted as often as it comes; all else is as ever
unprotected() { # outer fastpath
	local o1 o2 counter target=10.2.0.2 inner=udp:10.1.0.2:1000:10.2.0.2:9:23

	fastpath "$2"
	outer "$1"
	flush
	policies "$1"
	sa "$1" '2>1' 4
	ip -n "$g1" xfrm state add src "$o1" dst "$o2" proto esp spi 0x100 reqid 1 \
		mode tunnel flag af-unspec aead "$aead" "$key1" 128 ext tx-subspaces 4
	ip -n "$g2" xfrm state add src "$o1" dst "$o2" proto esp spi 0x100 reqid 1 \
		mode tunnel flag af-unspec aead "$aead" "$key1" 128 \
		ext rx-subspaces 4 replay-protection off
	block "$g2" 0x100 | grep -q 'rx-subspaces 4 replay-protection off'
	expect "others" "$(block "$g1" 0x200 | grep -c 'replay-protection off')" 0

	ip netns exec "$b" "$here/traffic.py" count "$target" 9 >"$tmp/count" &
	counter=$!
	wait_for 20 ip netns exec "$b" grep -q ':0009 ' /proc/net/udp
	inject_open "$1" "$inner"
	# Twice, again, and far behind
	inject replay 1 1000000
	inject valid 1 1000000
	inject valid 1 1
	inject valid 1 1
	inject valid 3 0xffffffffffff count=1
	inject valid 3 0xffffffffffff count=1
	# These are no matter of replay
	inject valid 1 0
	inject valid 4 1
	inject flip 1 5 offset=30
	inject_close
	accepts "$g2" 0x100 7
	wait_for 10 drops_are 'rx-subspace 1 rx-zero 1 rx-icv 1'
	ip netns exec "$a" ping -q -c 3 -i 0.05 -W 5 "$target"
	accepts "$g2" 0x100 10
	kill -TERM "$counter"
	wait "$counter"
	expect "datagrams, of them once more" "$(<"$tmp/count")" '3 4'
	# There is no window: nothing to show, to set or to take over
	expect "subspaces shown" "$(block "$g2" 0x100 -s | grep -c 'rx-subspace [0-9]* highest')" 0
	expect "memory" "$(stat "$g2" 0x100 memory)" $((4 * 8))
	expect "saved" "$(ip -n "$g2" xfrm ext save | grep -c 'spi 0x00000100')" 0
	refused 'replay protection is off, there is no window to set' \
		ip -n "$g2" xfrm ext set dst "$o2" spi 0x100 rx-subspace 1 highest 5
}

drops_are() { # drops
	[[ $(drops "$g2" 0x100) == "$1" ]]
}

sysctl -qw net.core.netdev_max_backlog=100000
gateways
# All of what it says is compared; that the rest of a fragmented packet has not come it would
# say half a minute later, when something else is judged
ip netns exec "$g2" sysctl -qw net.ipv6.icmp.ratelimit=0 net.ipv4.ipfrag_time=3600 \
	net.ipv6.ip6frag_time=3600
verdicts_open
for path in on off; do
	[[ $factor == 1 || $path == on ]] || continue
	run "every case in IPv4, fastpath $path" verdicts cases 4 $path 128 8 64
done
for path in on off; do
	[[ $whole || $path == on ]] || continue
	run "somebody without the key, fastpath $path" verdicts forge 4 $path 128 65536 65536
done
for path in on off; do
	[[ $whole || ($factor == 1 && $path == on) ]] || continue
	run "every case in IPv6, fastpath $path" verdicts cases 6 $path 128 5 128
done
for path in on off; do
	[[ $whole ]] || continue
	run "every case with an ICV of 8 octets, fastpath $path" verdicts cases 4 $path 64 8 64
done
for outer in 4 6; do
	for frag in on off; do
		for path in on off; do
			[[ $whole || $outer$frag$path == 4onon || $factor$outer$frag$path == 16onoff ]] ||
				continue
			run "every pseudo header, outer IPv$outer, fastpath $path, beet-frag $frag" \
				ends beet $outer 4 $path $frag
		done
	done
	for path in on off; do
		[[ $whole || $outer$path == 4off || $factor$outer$path == 16on ]] || continue
		run "transport, IPv$outer, fastpath $path" ends transport $outer $outer $path
	done
	for path in on off; do
		[[ $whole || ($factor == 1 && $outer$path == 4on) ]] || continue
		run "BEET, IPv6 in IPv$outer, fastpath $path" ends beet $outer 6 $path
	done
done
for path in on off; do
	for algorithm in "${algorithms[@]}"; do
		name=${algorithm%% *}
		[[ $name == gcm-128-16 || $whole$path == 1on && $name == @(ccm-128-8|cbc-128-sha256) ]] ||
			continue
		[[ $factor == 1 || $path == on ]] || continue
		run "trailers, formats and IVs, $name, fastpath $path" placements $path "$algorithm"
	done
done
verdicts_close
((factor > 1)) || run_full "replay protection off, outer IPv4, fastpath on" unprotected 4 on
run "replay protection off, outer IPv6, fastpath off" unprotected 6 off
fastpath on
flush
finish
