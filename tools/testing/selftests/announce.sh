#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# kernels: 6.1-cloud 6.12-cloud 7.3-uml
#
# Whatever an announced SA is refused for, the announcement is there for the next try, as a
# daemon makes it that knows nothing of extensions: an extended SA comes of that, or none.
. "$(dirname "$0")/lib.sh"

id='family=2 daddr=10.0.0.2 spi=0x100'
none='ENOENT xfrm_ext: no announcement pending*'
cbc=(mode tunnel enc 'cbc(aes)' "0x$(printf '%032d' 1)")
xfrm=("$here/xfrm.py" extended 10.0.0.1 10.0.0.2 0x100 marked=0)

state() { # add|update words...: as somebody sends it who knows nothing of extensions
	ip -n "$g1" xfrm state "$1" src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x100 reqid 1 "${@:2}"
}

# What one test has left is not the next one's failure
fresh() { # function
	ip -n "$g1" xfrm state flush
	ask withdraw "$id"
	gcm=(mode tunnel aead "$aead" "$key1" 128)
	"$1"
}

# The next try is an extended SA, and uses the announcement up
then_extended() {
	state add "${gcm[@]}"
	block "$g1" 0x100 | grep -q 'ext format esp64 .* tx-subspaces 4 select cpu$'
	answers 'ok *state=1*' get "$id"
	answers "$none" withdraw "$id"
	ip -n "$g1" xfrm state flush
}

again() { # text command...: refused with that text, and again, and then not
	local refusals=0

	answers ok announce "$id" tx-subspaces=4
	while ((refusals++ < 3)); do
		refused "$@"
		expect "SAs" "$(ip -n "$g1" xfrm state)" ''
	done
	then_extended
}

# By the kernel, before we are asked about the state
before() {
	again '' state add mode tunnel aead 'rfc4106(gcm(none))' "$key1" 128
	again '' state add mode 9 aead "$aead" "$key1" 128
}

# By the kernel's own ESP, and by us
by_type() {
	again '' state add mode tunnel aead "$aead" "${key1%??}" 128
	again '' state add mode tunnel aead "$aead" "$key1" 72
	again 'oseq-may-wrap contradicts' state add "${gcm[@]}" extra-flag oseq-may-wrap
	again 'auth (none) not supported' state add "${cbc[@]}"
	again 'truncated to 32 bits' \
		state add "${cbc[@]}" auth-trunc 'hmac(sha256)' "0x$(printf '%064d' 1)" 32
	again 'mode beet with selector prefixes' state add mode beet aead "$aead" "$key1" 128
}

# By the kernel, after the state has become one of ours
behind() {
	again EINVAL ip netns exec "$g1" "${xfrm[@]}" offload=$((0x80))
	again EINVAL ip netns exec "$g1" "${xfrm[@]}" window=64
	again 'No such process' state update "${gcm[@]}"
}

# There is one already: nothing happens to it, and when it has gone the next is extended
existing() {
	state add "${gcm[@]}"
	answers ok announce "$id" tx-subspaces=4
	refused 'SA exists already' state add "${gcm[@]}"
	refused 'SA exists already' state update "${gcm[@]}" limit packet-hard 1000
	expect "the plain SA's extension" "$(block "$g1" 0x100 | grep -w ext)" ''
	ip -n "$g1" xfrm state flush
	then_extended

	answers ok announce "$id" tx-subspaces=4
	state add "${gcm[@]}"
	answers ok announce "$id" tx-subspaces=4
	refused 'SA exists already' state add "${gcm[@]}"
	answers 'ok *state=1*' get "$id"
	ip -n "$g1" xfrm state flush
	then_extended
}

listening() { # pid
	# shellcheck disable=SC2016 # awk's
	ip netns exec "$g1" awk -v pid="$1" '
		$3 == pid && $4 != "00000000" { found = 1 }
		END { exit !found }' /proc/net/netlink
}

# What the kernel says no more about when it shows: the SA is there, dead and in the way of
# any other, key managers are told, and deleted it is no way to a plain one
failed() { # command...
	local pid

	answers ok announce "$id" tx-subspaces=4
	ip -n "$g1" xfrm monitor expire >"$tmp/expired" &
	pid=$!
	wait_for 10 listening "$pid"
	"$@"
	answers "ok *state=2*reason=*kernel's replay*" get "$id"
	wait_for 10 grep -q 'hard 1' "$tmp/expired"
	stop "$pid"
	refused 'SA exists already' state add "${gcm[@]}"
	ip -n "$g1" xfrm state flush
	then_extended
}

windowed() {
	failed state add "${gcm[@]}" replay-oseq 1000
	failed state add "${gcm[@]}" replay-seq 1000
}

# An SPI that was asked for first
larval() {
	answers ok announce "$id" rx-subspaces=4
	ip -n "$g1" xfrm state allocspi src 10.0.0.1 dst 10.0.0.2 proto esp reqid 1 mode tunnel \
		min 0x100 max 0x100
	refused 'oseq-may-wrap contradicts' state update "${gcm[@]}" extra-flag oseq-may-wrap
	refused EINVAL ip netns exec "$g1" "${xfrm[@]}" window=64
	answers 'ENOENT *' get "$id"
	state update "${gcm[@]}"
	answers 'ok *state=1*' get "$id"
	answers "$none" withdraw "$id"
	expect "SAs" "$(ip -n "$g1" xfrm state | grep -c '^src')" 1
	ip -n "$g1" xfrm state flush
}

# It goes when it is told to, also if nobody has freed yet what was refused
withdrawn() {
	answers ok announce "$id" tx-subspaces=4
	refused EINVAL ip netns exec "$g1" "${xfrm[@]}" window=64
	answers ok withdraw "$id"
	answers "$none" withdraw "$id"
	state add "${gcm[@]}"
	expect "a plain SA's extension" "$(block "$g1" 0x100 | grep -w ext)" ''
	ip -n "$g1" xfrm state flush
}

# And is replaced
replaced() {
	answers ok announce "$id" tx-subspaces=8
	refused EINVAL ip netns exec "$g1" "${xfrm[@]}" window=64
	answers ok announce "$id" tx-subspaces=4
	then_extended
}

# It goes with its namespace, and by itself at the time it would have gone anyway
gone() {
	local g3=g3-$$

	netns_add "$g3"
	ip netns exec "$g3" "$here/genl.py" announce family=2 daddr=10.0.0.2 spi=0x100 tx-subspaces=4
	refused EINVAL ip netns exec "$g3" "${xfrm[@]}" window=64
	ip netns del "$g3"
	wait_for 10 unused

	ask caps
	ttl=${answer#*cap-announce-ttl=}
	answers ok announce "$id" tx-subspaces=4
	refused EINVAL ip netns exec "$g1" "${xfrm[@]}" window=64
	refused 'in use' modprobe -r xfrm_ext
	wait_for $((${ttl%% *} + 10)) unused
	answers "$none" withdraw "$id"
	# Nobody remembers it: without the mark this is what it would be without us
	state add "${gcm[@]}"
	expect "a plain SA's extension" "$(block "$g1" 0x100 | grep -w ext)" ''
	refused 'no announcement fits' ip -n "$g1" xfrm state add src 10.0.0.1 dst 10.0.0.2 \
		proto esp spi 0x101 "${gcm[@]}" extra-flag 0x80000000
	ip -n "$g1" xfrm state flush
}

modprobe xfrm_ext
pair
genl_open "$g1"
run "refused before it is claimed, then extended" fresh before
run "refused when it is claimed, then extended" fresh by_type
run "refused when it has been claimed, then extended" fresh behind
run "refused for one that is there, then extended" fresh existing
run "failed in its place, told, then extended" fresh windowed
run "refused for an allocated SPI, then extended" fresh larval
run "refused, then withdrawn" fresh withdrawn
run "refused, then announced anew" fresh replaced
run "refused, and gone with its namespace or its time" fresh gone
genl_close
finish
