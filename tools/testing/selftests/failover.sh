#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 180
#
# An SA that goes on where another one was, on another machine or after a restart:
# no number is sent twice and no packet accepted twice, whatever was not saved.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-wire.sh"

gap=$((1 << 32))

pings() { # cpu count
	ip netns exec "$g1" taskset -c "$1" ping -q -c "$2" -i 0.02 -W 1 10.2.0.1
}

# What a standby does: the SAs again, held, then what was saved
take_over() { # ns 1>2|2>1 word...
	local n=$1 sa

	case $2 in
	'1>2') sa='src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x100' key=$key1 reqid=1 ;;
	'2>1') sa='src 10.0.0.2 dst 10.0.0.1 proto esp spi 0x200' key=$key2 reqid=2 ;;
	esac
	shift 2
	# shellcheck disable=SC2086 # words
	ip -n "$n" xfrm state delete ${sa/src 10.0.0.? /}
	# shellcheck disable=SC2086
	ip -n "$n" xfrm state add $sa reqid "$reqid" mode tunnel flag af-unspec \
		aead "$aead" "$key" 128 ext "$@"
}

# The sender is another one from now on
sending() { # fastpath
	local before

	fastpath "$1"
	tunnel 4 4
	record "$tmp/wire" "$g1" wan -Q out esp
	pings 1 5
	pings 3 3
	ip -n "$g1" xfrm ext save >"$tmp/saved"
	grep -q '^xfrm ext set dst 10.0.0.2 spi 0x00000100 tx-subspace 1 highest 5 tx-subspace 3 highest 3$' \
		"$tmp/saved"
	# The old one sends on; what it sends now is not in what was saved
	pings 1 4

	take_over "$g1" '1>2' tx-subspaces 4 hold on
	take_over "$g1" '2>1' rx-subspaces 4 hold on
	block "$g1" 0x100 | grep -q 'hold on state held$'
	refused 'packet loss' pings 1 2
	expect "drops while held" "$(drops "$g1" 0x100)" 'tx-not-ready 2'
	ip -n "$g1" -batch "$tmp/saved"
	block "$g1" 0x100 | grep -q 'state held$'
	refused 'packet loss' pings 1 1
	expect "drops while held" "$(drops "$g1" 0x100)" 'tx-not-ready 3'
	ip -n "$g1" xfrm ext set dst 10.0.0.2 spi 0x100 release
	ip -n "$g1" xfrm ext set dst 10.0.0.1 spi 0x200 release
	pings 1 2
	pings 3 1
	pings 0 1
	expect "subspace 1" "$(subspace "$g1" 0x100 tx 1 highest)" $((5 + gap + 2))
	expect "subspace 3" "$(subspace "$g1" 0x100 tx 3 highest)" $((3 + gap + 1))
	expect "subspace 0" "$(subspace "$g1" 0x100 tx 0 highest)" 1
	expect "drops of the receiver" "$(drops "$g2" 0x100)" none
	before=$(stat "$g2" 0x100 rx-packets)
	expect "packets of both" "$before" 16
	recorded "$tmp/wire" 16
	reference_sa 4 '1>2' >"$tmp/sa"
	"$reference/check_capture.py" --sa "$tmp/sa" --only --min-packets 16 "$tmp/wire"
}

replay_all() { # packets that come
	ip netns exec "$g1" "$reference/inject.py" --sa "$tmp/sa" --pcap "$tmp/wire"
	wait_for 5 all_counted "$1"
}

all_counted() { # packets
	local n

	n=$(block "$g2" 0x100 -s | awk '$1 == "drops" { for (i = 3; i <= NF; i += 2) n += $i }
		$1 == "tx-packets" { n += $6 } END { print n }')
	((n == $1))
}

# The receiver is another one; somebody has kept the packets
receiving() { # fastpath
	fastpath "$1"
	tunnel 4 4
	reference_sa 4 '1>2' >"$tmp/sa"
	record "$tmp/wire" "$g1" wan -Q out esp
	pings 1 5
	pings 3 3
	recorded "$tmp/wire" 8
	ip -n "$g2" xfrm ext save | grep 'spi 0x00000100' >"$tmp/saved"

	# Without what was saved they would all be new: that is what it is for
	take_over "$g2" '1>2' rx-subspaces 4
	replay_all 8
	expect "drops without" "$(drops "$g2" 0x100)" none

	take_over "$g2" '1>2' rx-subspaces 4 hold on
	replay_all 8
	expect "drops while held" "$(drops "$g2" 0x100)" 'rx-not-ready 8'
	ip -n "$g2" -batch "$tmp/saved"
	ip -n "$g2" xfrm ext set dst 10.0.0.2 spi 0x100 release
	replay_all 16
	expect "drops" "$(drops "$g2" 0x100)" 'rx-not-ready 8 rx-too-old 8'
	expect "subspace 1" "$(subspace "$g2" 0x100 rx 1 highest)" 5
	expect "subspace 3" "$(subspace "$g2" 0x100 rx 3 highest)" 3
	pings 1 2
	pings 3 1
	pings 0 1
	expect "subspace 1" "$(subspace "$g2" 0x100 rx 1 highest)" 7
	expect "accepted" "$(stat "$g2" 0x100 rx-packets)" 4
	expect "drops" "$(drops "$g2" 0x100)" 'rx-not-ready 8 rx-too-old 8'
	# Saved again it is what it was, not what came since it was set
	ip -n "$g2" xfrm ext save | grep -q 'spi 0x00000100 rx-subspace 0 highest 1 rx-subspace 1 highest 7 rx-subspace 3 highest 4$'
}

# A gap that goes beyond the last number leaves none
beyond() {
	fastpath on
	tunnel 4 2
	ip -n "$g1" xfrm ext set dst 10.0.0.2 spi 0x100 tx-subspace 1 highest $((1 << 47)) \
		gap $((1 << 47))
	refused 'packet loss' pings 1 2
	expect "drops" "$(drops "$g1" 0x100)" 'tx-exhausted 2'
	pings 0 1
	expect "subspace 1" "$(subspace "$g1" 0x100 tx 1 highest)" $(((1 << 48) - 1))
}

modprobe xfrm_ext
pair
for path in on off; do
	# A slow kernel does it on our own path only
	[[ $factor == 1 || $path == on ]] || continue
	run "another sender, fastpath $path" sending $path
	run "another receiver, fastpath $path" receiving $path
done
run "a gap beyond the last number" beyond
fastpath on
flush
finish
