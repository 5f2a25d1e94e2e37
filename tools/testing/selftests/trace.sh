#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# kernels: 6.1-cloud 6.12-cloud 6.12-trixie
#
# The tracepoint xfrm_ext:xfrm_ext_drop says of each packet that is dropped which SA's it
# was, in which namespace, why it was dropped, and the numbers that decided. (Kernels of ours cannot trace.)
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-wire.sh"

tracing=/sys/kernel/tracing
last=$(((1 << 48) - 1))

# What of a packet is to be traced
drop() { # ns spi reason subspace sn top window
	printf 'netns=%d saddr=%s daddr=%s spi=0x%08x reason=%s subspace=%d sn=%d top=%d window=%d\n' \
		"$(command stat -Lc %i "/run/netns/$1")" "$o1" "$o2" "${@:2}"
}

traced() {
	sed -n 's/.*: xfrm_ext_drop: //p' "$tracing/trace"
}

traced_are() { # number
	(($(traced | wc -l) >= $1))
}

fields() { # 4|6 fastpath
	local o1 o2

	outer "$1"
	fastpath "$2"
	new_keys
	WINDOW=64 tunnel_end 1 tx rx "$1" 4 | grep -v ' spi 0x100 ' | ip -n "$g1" -batch -
	WINDOW=64 tunnel_end 2 rx tx "$1" 4 | ip -n "$g2" -batch -
	ip -n "$g1" xfrm state add src "$o1" dst "$o2" proto esp spi 0x100 reqid 1 \
		mode tunnel flag af-unspec aead "$aead" "$key1" 128 \
		ext tx-subspaces 2 tx-start "$last" hold on
	inject_open "$1" udp:10.1.0.1:1000:10.2.0.1:9:8
	inject valid 3 1000

	echo >"$tracing/trace"
	echo 1 >"$tracing/events/xfrm_ext/xfrm_ext_drop/enable"
	inject valid 3 1000		# seen
	inject valid 3 936		# left of the window
	inject valid 4 7
	inject valid 3 0
	inject flip 3 1001 offset=40
	inject flip 1 5 offset=40	# of a subspace without a window
	inject next-header 2 9
	inject dummy 2 10
	inject truncate 3 1002 length=20
	inject_close
	# Held; then with one number left
	ping_of 0
	ip -n "$g1" xfrm ext set dst "$o2" spi 0x100 release gap 0
	ping_of 1
	ping_of 1
	wait_for 10 traced_are 11
	echo 0 >"$tracing/events/xfrm_ext/xfrm_ext_drop/enable"
	{
		drop "$g2" 0x100 rx-replay 3 1000 1000 64
		drop "$g2" 0x100 rx-too-old 3 936 1000 64
		drop "$g2" 0x100 rx-subspace 4 7 0 64
		drop "$g2" 0x100 rx-zero 3 0 0 64
		drop "$g2" 0x100 rx-icv 3 1001 1000 64
		drop "$g2" 0x100 rx-icv 1 5 0 64
		drop "$g2" 0x100 rx-next-header 2 9 9 64
		drop "$g2" 0x100 rx-dummy 2 10 10 64
		drop "$g2" 0x100 rx-truncated 0 0 0 64
		drop "$g1" 0x100 tx-not-ready 0 0 0 "$window"
		drop "$g1" 0x100 tx-exhausted 1 $((last + 1)) 0 "$window"
	} | sort >"$tmp/want"
	traced | sort | diff "$tmp/want" -
	# As many as were counted, and for the same reasons
	expect "drops of the receiver" "$(drops "$g2" 0x100)" \
		'rx-truncated 1 rx-subspace 1 rx-zero 1 rx-replay 1 rx-too-old 1 rx-icv 2 rx-next-header 1 rx-dummy 1'
	expect "drops of the sender" "$(drops "$g1" 0x100)" 'tx-not-ready 1 tx-exhausted 1'
}

ping_of() { # cpu
	ip netns exec "$g1" taskset -c "$1" ping -q -c 1 -W 0.1 10.2.0.1 || true
}

# What an SA that does not receive has for a window: the default
window=1024

modprobe xfrm_ext
pair
for path in on off; do
	run "every field, IPv4, fastpath $path" fields 4 $path
	run "every field, IPv6, fastpath $path" fields 6 $path
done
fastpath on
flush
finish
