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

sysctl -qw net.core.netdev_max_backlog=100000
gateways
for path in on off; do
	run "every case in IPv4, fastpath $path" verdicts cases 4 $path 128 8 64
	# A slow kernel does these once
	[[ $factor == 1 || $path == on ]] || continue
	run "somebody without the key, fastpath $path" verdicts forge 4 $path 128 65536 65536
	[[ $factor == 1 ]] || continue
	run "every case in IPv6, fastpath $path" verdicts cases 6 $path 128 5 128
	run "every case with an ICV of 8 octets, fastpath $path" verdicts cases 4 $path 64 8 64
done
fastpath on
flush
finish
