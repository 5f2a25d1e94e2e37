#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# kernels: 6.1-cloud 7.3-uml
#
# An SA that goes on where another one was, on another machine or after a restart:
# no number is sent twice and no packet accepted twice, whatever was not saved.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-wire.sh"

gap=$((1 << 32))

pings() { # cpu count
	ip netns exec "$g1" taskset -c "$1" ping -q -c "$2" -i 0.02 -W 5 10.2.0.1
}

# Packets that the sender drops
lost_pings() { # cpu count
	ip netns exec "$g1" taskset -c "$1" ping -q -c "$2" -i 0.02 -W 0.1 10.2.0.1 || return 0
	return 1
}

# What one test has put in the place of a machine is there for the next
machines() {
	[[ ! -e $tmp/machine1 ]] || g1=$(<"$tmp/machine1")
	[[ ! -e $tmp/machine2 ]] || g2=$(<"$tmp/machine2")
}

begin() { # fastpath [subspaces]
	fastpath "$1"
	machines
	[[ ! ${2-} ]] || tunnel 4 "$2"
}

# Another machine in the place of one that is gone, with its link, addresses and policies: the
# first one's kernel knows its keys, and goes on with their numbers by itself
replace() { # 1|2
	local old new=m$1-$$-$SRANDOM

	old=$(ns_of "$1")
	netns_add "$new"
	echo "$new" >"$tmp/machine$1"
	ip -n "$old" link set wan netns "$new"
	ip netns del "$old"
	machines
	pair_end "$new" "$1" $((3 - $1))
	gateway_policies 4 "$1" | ip -n "$new" -batch -
	wait_for 10 ip netns exec "$new" ping -q -c 1 -W 1 "10.0.0.$((3 - $1))"
}

# What a standby does: the SAs again, held, then what was saved. Without words of the one
# 2>1 that is as ever, and where it is the sender's its numbers are far ahead
ahead=0
take_over() { # 1|2 words-of-1>2 [words-of-2>1|-]
	local other=${3-rx-subspaces 4}

	if [[ $1 == 2 && ! ${3-} ]]; then
		ahead=$((ahead + 1000))
		other="tx-subspaces 4 tx-start $ahead"
	fi
	replace "$1"
	{
		echo "xfrm state add src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x100 reqid 1 mode tunnel" \
			"flag af-unspec aead $aead $key1 128 ext ${FORMAT-} $2"
		[[ $other == - ]] ||
			echo "xfrm state add src 10.0.0.2 dst 10.0.0.1 proto esp spi 0x200 reqid 2 mode tunnel" \
				"flag af-unspec aead $aead $key2 128 ext ${FORMAT-} $other"
	} | ip -n "$(ns_of "$1")" -batch -
}

# The sender is another one from now on
sending() { # fastpath
	local set='xfrm ext set dst 10.0.0.2 spi 0x100' text

	begin "$1" 4
	record "$tmp/wire" "$g2" wan -Q in "$(sealed)"
	pings 1 5
	pings 3 3
	ip -n "$g1" xfrm ext save >"$tmp/saved"
	grep -q '^xfrm ext set dst 10.0.0.2 spi 0x00000100 tx-subspace 1 highest 5 tx-subspace 3 highest 3$' \
		"$tmp/saved"
	# The old one sends on; what it sends now is not in what was saved, nor is a
	# subspace that was not in use
	pings 1 4
	pings 0 2

	take_over 1 'tx-subspaces 4 hold on' 'rx-subspaces 4 hold on'
	block "$g1" 0x100 | grep -q 'hold on \(.* \)\?state held$'
	lost_pings 1 2
	expect "drops while held" "$(drops "$g1" 0x100)" 'tx-not-ready 2'
	# Somebody has forgotten the file
	# shellcheck disable=SC2086 # words
	refused 'xfrm_ext: release: no tx-subspace has been set; name one or give gap' \
		ip -n "$g1" $set release
	ip -n "$g1" -batch "$tmp/saved"
	# More than once is as good, and nothing goes back
	ip -n "$g1" -batch "$tmp/saved"
	# shellcheck disable=SC2086
	ip -n "$g1" $set tx-subspace 1 highest 2 gap 0
	expect "subspace 1, held" "$(subspace "$g1" 0x100 tx 1 highest)" $((5 + gap))
	block "$g1" 0x100 | grep -q 'state held$'
	lost_pings 1 1
	expect "drops while held" "$(drops "$g1" 0x100)" 'tx-not-ready 3'
	# shellcheck disable=SC2086
	ip -n "$g1" $set release
	# One that does not send has nothing to be set
	ip -n "$g1" xfrm ext set dst 10.0.0.1 spi 0x200 release
	pings 1 2
	pings 3 1
	pings 0 1
	accepts "$g2" 0x100 18
	expect "subspace 1" "$(subspace "$g1" 0x100 tx 1 highest)" $((5 + gap + 2))
	expect "subspace 3" "$(subspace "$g1" 0x100 tx 3 highest)" $((3 + gap + 1))
	expect "subspace 0" "$(subspace "$g1" 0x100 tx 0 highest)" $((gap + 1))
	expect "drops of the receiver" "$(drops "$g2" 0x100)" none
	# It has sent now
	text="xfrm_ext: tx-subspace 1: highest 5 is behind $((5 + gap + 2)), which it has sent"
	refused "$text" ip -n "$g1" -batch "$tmp/saved"
	# What it has left out the next one leaves out, too
	expect "saved again" "$(ip -n "$g1" xfrm ext save | grep 0x00000100)" \
		"xfrm ext set dst 10.0.0.2 spi 0x00000100 tx-subspace 0 highest $((gap + 1)) tx-subspace 1 highest $((5 + gap + 2)) tx-subspace 2 highest $gap tx-subspace 3 highest $((3 + gap + 1))"
	recorded "$tmp/wire" 18
	reference_sa 4 '1>2' >"$tmp/sa"
	judged --sa "$tmp/sa" --only --min-packets 18 "$tmp/wire"
}

# What a gap given with the release is for: all that was not set
released() {
	local set='xfrm ext set dst 10.0.0.2 spi 0x100'

	begin on 4
	take_over 1 'tx-subspaces 4 hold on'
	# shellcheck disable=SC2086 # words
	ip -n "$g1" $set release gap 1000
	pings 2 1
	expect "behind the gap" "$(subspace "$g1" 0x100 tx 2 highest)" 1001
	take_over 1 'tx-subspaces 4 tx-start 5000 hold on'
	# shellcheck disable=SC2086
	ip -n "$g1" $set release gap 0
	pings 2 1
	expect "at tx-start" "$(subspace "$g1" 0x100 tx 2 highest)" 5000
	take_over 1 'tx-subspaces 4 tx-start 5000 hold on'
	# shellcheck disable=SC2086
	ip -n "$g1" $set release gap 1000
	pings 2 1
	expect "behind tx-start and gap" "$(subspace "$g1" 0x100 tx 2 highest)" 6000
	take_over 1 'tx-subspaces 4 hold on'
	# shellcheck disable=SC2086
	ip -n "$g1" $set tx-subspace 1 highest 7 gap 10 release
	pings 1 1
	pings 0 1
	expect "set and released at once" "$(subspace "$g1" 0x100 tx 1 highest)" 18
	expect "released at once" "$(subspace "$g1" 0x100 tx 0 highest)" 11
	accepts "$g2" 0x100 5
	# Nothing holds it any more, so there is nothing to release
	# shellcheck disable=SC2086
	ip -n "$g1" $set release
	pings 0 1
	expect "released again" "$(subspace "$g1" 0x100 tx 0 highest)" 12
}

# One successor after the other: what the second sends, the third does not send again, of
# subspaces that were not in use when the numbers were saved, either
chained() { # word...
	local set='xfrm ext set dst 10.0.0.2 spi 0x100' first=1

	[[ ! $* ]] || first=$2
	begin on 4
	record "$tmp/wire" "$g2" wan -Q in "$(sealed)"
	pings 0 1
	pings 1 1
	take_over 1 "tx-subspaces 4 $* hold on"
	# shellcheck disable=SC2086 # words
	ip -n "$g1" $set tx-subspace 0 highest $((first + 5)) release
	pings 0 1
	ip -n "$g1" xfrm ext save >"$tmp/saved"
	pings 1 1
	expect "the second's subspace 1" "$(subspace "$g1" 0x100 tx 1 highest)" $((first + gap))

	take_over 1 "tx-subspaces 4 $* hold on"
	grep 'spi 0x00000100' "$tmp/saved" | ip -n "$g1" -batch -
	# shellcheck disable=SC2086
	ip -n "$g1" $set release
	pings 0 1
	pings 1 1
	expect "the third's subspace 1" "$(subspace "$g1" 0x100 tx 1 highest)" $((first + 2 * gap))
	expect "the third's subspace 0" "$(subspace "$g1" 0x100 tx 0 highest)" \
		$((first + 5 + gap + 1 + gap + 1))
	accepts "$g2" 0x100 6
	recorded "$tmp/wire" 6
	reference_sa 4 '1>2' >"$tmp/sa"
	judged --sa "$tmp/sa" --only --min-packets 6 "$tmp/wire"
}

# A datagram in each subspace
in_each() { # subspaces
	local n

	for ((n = 0; n < $1; n++)); do
		echo "0 0 $n 1000 1"
	done | datagrams 10.2.0.1
}

# More subspaces than a line has room for
many() {
	local n=300 end words="tx-subspaces 300 select mark select-mask 0xfff"

	begin on
	flush
	policies 4
	sa_line tx 4 '1>2' "$n" | sed "s/ tx-.*/ $words/" | ip -n "$g1" -batch -
	WINDOW=64 sa_line rx 4 '1>2' "$n" | ip -n "$g2" -batch -
	marked_open "$g1"
	in_each "$n"
	accepts "$g2" 0x100 "$n"
	ip -n "$g1" xfrm ext save >"$tmp/saved1"
	ip -n "$g2" xfrm ext save >"$tmp/saved2"
	for end in 1:tx 2:rx; do
		expect "${end#*:}-subspaces saved" \
			"$(grep -o "${end#*:}-subspace [0-9]* highest 1\b" "$tmp/saved${end%:*}" | sort -u | wc -l)" "$n"
	done
	echo "# $n subspaces in $(wc -l <"$tmp/saved1") lines, and $(wc -l <"$tmp/saved2")"

	take_over 1 "$words hold on" -
	take_over 2 "rx-subspaces $n window 64 hold on" -
	marked_open "$g1"
	ip -n "$g1" -batch "$tmp/saved1"
	ip -n "$g2" -batch "$tmp/saved2"
	ip -n "$g1" xfrm ext save | sed "s/highest $((1 + gap))/highest 1/g" | diff "$tmp/saved1" -
	ip -n "$g2" xfrm ext save | diff "$tmp/saved2" -
	ip -n "$g1" xfrm ext set dst 10.0.0.2 spi 0x100 release
	ip -n "$g2" xfrm ext set dst 10.0.0.2 spi 0x100 release
	in_each "$n"
	accepts "$g2" 0x100 "$n"
	expect "drops" "$(drops "$g1" 0x100) $(drops "$g2" 0x100)" 'none none'
	ip -n "$g2" xfrm ext save | sed "s/highest $((2 + gap))/highest 1/g" | diff "$tmp/saved2" -
}

replay_all() { # packets that come
	ip netns exec "$g1" "$here/replay.py" "$tmp/wire" 10.0.0.2
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
	begin "$1" 4
	record "$tmp/wire" "$g1" wan -Q out "$(sealed)"
	pings 1 5
	pings 3 3
	recorded "$tmp/wire" 8
	ip -n "$g2" xfrm ext save | grep 'spi 0x00000100' >"$tmp/saved"

	# Without what was saved they would all be new: that is what it is for
	take_over 2 'rx-subspaces 4'
	replay_all 8
	expect "drops without" "$(drops "$g2" 0x100)" none

	take_over 2 'rx-subspaces 4 hold on'
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
	accepts "$g2" 0x100 4
	expect "subspace 1" "$(subspace "$g2" 0x100 rx 1 highest)" 7
	expect "drops" "$(drops "$g2" 0x100)" 'rx-not-ready 8 rx-too-old 8'
	# Saved again it is what it was, not what came since it was set
	ip -n "$g2" xfrm ext save | grep -q 'spi 0x00000100 rx-subspace 0 highest 1 rx-subspace 1 highest 7 rx-subspace 3 highest 4$'
}

# A gap that goes beyond the last number leaves none
beyond() {
	begin on 2
	ip -n "$g1" xfrm ext set dst 10.0.0.2 spi 0x100 tx-subspace 1 highest $((1 << 47)) \
		gap $((1 << 47))
	lost_pings 1 2
	expect "drops" "$(drops "$g1" 0x100)" 'tx-exhausted 2'
	pings 0 1
	expect "subspace 1" "$(subspace "$g1" 0x100 tx 1 highest)" $(((1 << 48) - 1))
}

modprobe xfrm_ext
pair
for path in on off; do
	# On our own path only
	[[ $whole || $path == on ]] || continue
	run "another sender, fastpath $path" sending $path
	run "another receiver, fastpath $path" receiving $path
	run "another sender, eesp, fastpath $path" in_eesp sending $path
	run "another receiver, eesp, fastpath $path" in_eesp receiving $path
done
run "released with a gap" released
run "taken over twice" chained
run "taken over twice, eesp" in_eesp chained
((factor > 1)) || run "taken over twice, with tx-start" chained tx-start 5000000000
run "300 subspaces are saved and set" many
run "a gap beyond the last number" beyond
run "a gap beyond the last number, eesp" in_eesp beyond
fastpath on
machines
made+=("$g1" "$g2")
flush
finish
