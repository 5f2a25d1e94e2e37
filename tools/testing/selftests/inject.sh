#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 480
#
# Packets that the reference makes, good and bad, get exactly the verdict that the
# wire's rules give them, and move exactly one counter, on our own path and on the
# kernel's. Somebody without the key makes no window, and moves none.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-wire.sh"

verdicts() { # cases|forge outer fastpath ICV subspaces window
	local what=$1 outer=$2 ICV=$4 subspaces=$5 WINDOW=$6 path=slow
	local MEMORY=$((1 << 32))

	[[ $3 == off ]] || path=fast
	flush
	policies "$outer"
	sa "$outer" '1>2' "$subspaces"
	fastpath "$3"
	reference_sa "$outer" '1>2' | sed "s/}/, \"subspaces\": $subspaces}/" >"$tmp/sa.json"
	ip netns exec "$g2" "$here/verdicts.py" "$what" --sa "$tmp/sa.json" --window "$WINDOW" \
		--path "$path" --from "$g1" --to "$b"
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
for path in on off; do
	run "every case in IPv4, fastpath $path" verdicts cases 4 $path 128 8 64
	# A slow kernel does these once
	[[ $factor == 1 || $path == on ]] || continue
	run "somebody without the key, fastpath $path" verdicts forge 4 $path 128 65536 65536
	[[ $factor == 1 ]] || continue
	# One kernel does all
	[[ $KERNEL_NAME == 6.1-cloud || $path == on ]] || continue
	run "every case in IPv6, fastpath $path" verdicts cases 6 $path 128 5 128
	[[ $KERNEL_NAME == 6.1-cloud ]] || continue
	run "every case with an ICV of 8 octets, fastpath $path" verdicts cases 4 $path 64 8 64
done
run "replay protection off, outer IPv4, fastpath on" unprotected 4 on
run "replay protection off, outer IPv6, fastpath off" unprotected 6 off
fastpath on
flush
finish
