#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# kernels: 7.3-kcsan 7.3-uml
#
# An SA is made in two steps. Whatever dies between them, or comes in another order,
# leaves nothing that sends plain ESP or plaintext.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-wire.sh"

id='family=2 daddr=10.0.0.2 spi=0x100'
none='ENOENT xfrm_ext: no announcement pending*'

new() { # more words: the SA 1>2 on its sender, without an announcement
	ip -n "$g1" xfrm state add src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x100 reqid 1 \
		mode tunnel flag af-unspec aead "$aead" "$key1" 128 "$@"
}

no_sa() {
	expect "SAs" "$(ip -n "$g1" xfrm state list proto esp | grep -c 'spi 0x00000100')" 0
}

# Whatever bits stand where the mask has none, it is the same mark, also for who asks later
masked() {
	answers ok announce "$id" mark=0x1ff mark-mask=0xff tx-subspaces=4
	answers ok announce "$id" mark=0x2ff mark-mask=0xff tx-subspaces=7
	new mark 0x4ff mask 0xff extra-flag 0x80000000
	answers "$none" withdraw "$id" mark=0xff mark-mask=0xff
	block "$g1" 0x100 | grep -q 'ext format esp64 .* tx-subspaces 7 select cpu$'
	answers 'ok *' get "$id" mark=0x8ff mark-mask=0xff
	answers 'ok *' get "$id" mark=0xff mark-mask=0xff
	ip -n "$g1" xfrm state flush
}

# What a policy wants protected, and no SA can, does not leave. The announcement is there all
# the time: a slow machine takes longer about the capture than an announcement lives
announced_only() {
	flush
	policies 4
	record_out "$tmp/pcap" "$g1" wan
	answers ok announce "$id" tx-subspaces=4
	refused '100% packet loss' ip netns exec "$g1" ping -q -c 2 -i 0.05 -W 0.2 10.2.0.1
	answers 'ENOENT xfrm_ext: *' get "$id"
	answers ok dump
	answers ok withdraw "$id"
	answers "$none" withdraw "$id"
	record_end "$tmp/pcap" "$g1" 10.0.0.2
	expect "packets on the wire" "$(tcpdump -nn -r "$tmp/pcap" \
		'esp or net 10.1.0.0/24 or net 10.2.0.0/24' 2>/dev/null)" ''
	no_sa
	# Acquire states that the pings asked for
	ip -n "$g1" xfrm state flush
}

replaced() {
	answers ok announce "$id" tx-subspaces=4
	answers ok announce "$id" tx-subspaces=7
	new extra-flag 0x80000000
	block "$g1" 0x100 | grep -q 'ext format esp64 .* tx-subspaces 7 select cpu$'
	answers "$none" withdraw "$id"
	ip -n "$g1" xfrm state flush
}

# The mark alone is no order to guess what was meant
marked_only() {
	refused 'xfrm_ext: SA is marked as extended, but no announcement fits its daddr, spi and mark' \
		new extra-flag 0x80000000
	no_sa
}

# And an announcement is for one SA: others stay what they are
other_sa() {
	answers ok announce family=2 daddr=10.0.0.2 spi=0x101 tx-subspaces=4
	answers ok announce family=2 daddr=10.0.0.3 spi=0x100 tx-subspaces=4
	answers ok announce family=10 daddr=fd00::2 spi=0x100 tx-subspaces=4
	answers ok announce "$id" mark=1 mark-mask=1 tx-subspaces=4
	answers ok announce "$id" mark=0 mark-mask=1 tx-subspaces=4
	refused 'no announcement fits' new extra-flag 0x80000000
	refused 'no announcement fits' new mark 1 mask 3 extra-flag 0x80000000
	new
	expect "a plain SA's extension" "$(block "$g1" 0x100 | grep -w ext)" ''
	ip -n "$g1" xfrm state flush
	answers ok withdraw family=2 daddr=10.0.0.2 spi=0x101
	answers ok withdraw family=2 daddr=10.0.0.3 spi=0x100
	answers ok withdraw family=10 daddr=fd00::2 spi=0x100
	answers "$none" withdraw "$id"
	new mark 1 mask 1 extra-flag 0x80000000
	block "$g1" 0x100 | grep -q 'ext format esp64 .* tx-subspaces 4 select cpu$'
	answers ok withdraw "$id" mark=0 mark-mask=1
	answers "$none" withdraw "$id" mark=1 mark-mask=1
	ip -n "$g1" xfrm state flush
}

# One more than may be pending, in a namespace where nothing else happens
too_many() {
	local start ttl

	ask caps
	ttl=${answer#*cap-announce-ttl=}
	ttl=${ttl%% *}
	for _ in 1 2 3; do
		start=$SECONDS
		answers ok many 1024 announce family=2 daddr=10.0.0.2 spi=$((0x1001)) tx-subspaces=1
		ask announce "$id" tx-subspaces=1
		# Otherwise the first may have aged out before the last was there
		((SECONDS - start >= ttl - 1)) || break
		ask withdraw "$id"
	done
	[[ $answer == "EBUSY xfrm_ext: 1024 announcements pending; no more than 1024, each ages out after $ttl s" ]]
	# To change one takes no room
	answers ok announce family=2 daddr=10.0.0.2 spi=$((0x1400)) tx-subspaces=2
	# Nor has another namespace less for it
	ip netns exec "$g2" "$here/genl.py" announce "family=2" "daddr=10.0.0.2" "spi=0x100" \
		rx-subspaces=1
	refused 'in use' modprobe -r xfrm_ext
}

# They go by themselves, and only then the module can
aged() {
	local ttl

	ask caps
	ttl=${answer#*cap-announce-ttl=}
	flush
	wait_for $((${ttl%% *} + 10)) unused
	answers "$none" withdraw family=2 daddr=10.0.0.2 spi=$((0x1400))
	answers "$none" withdraw family=2 daddr=10.0.0.2 spi=$((0x1001))
	modprobe -r xfrm_ext
}

# The SA that ip is killed over
doomed() { # n
	local key

	key_for $((0x1000 + $1))
	echo "xfrm state add src 10.0.0.1 dst 10.0.0.2 proto esp spi $((0x1000 + $1)) reqid 1" \
		"mode tunnel flag af-unspec aead $aead $key 128 ext"
}

# About the moment when ip announces, which the module's reference count tells, and a
# little before and behind; runs in the namespace
kill_ip() { # times
	local n pid start moment rest words before now refs=/sys/module/xfrm_ext/refcnt

	exec 9<> <(:)
	ip xfrm state list >/dev/null
	start=${EPOCHREALTIME/./}
	ip xfrm state list >/dev/null
	moment=$((${EPOCHREALTIME/./} - start))
	for ((n = 0; n < $1; n++)); do
		read -ra words <<<"$(doomed "$n")"
		rest=$((moment * (80 + RANDOM % 50) / 100))
		printf -v rest '%d.%06d' $((rest / 1000000)) $((rest % 1000000))
		read -r before <"$refs"
		ip "${words[@]}" tx-subspaces 4 &
		pid=$!
		read -r -t "$rest" <&9 || true
		kill -9 "$pid" || true
		wait "$pid" || true
		read -r now <"$refs"
		moment=$((moment * (now > before ? 90 : 110) / 100 + 1))
	done
} 2>/dev/null

# Before and behind each of the messages that ip sends, and at moments about them
killed() {
	local times=10 runs alone words n pending spi key

	((factor == 1)) || times=4
	[[ ! $whole ]] || times=30

	flush
	policies 4
	sa 4 '2>1' 4
	export aead keys
	export -f doomed kill_ip key_for
	ip netns exec "$g1" bash -c "kill_ip $times"
	read -ra words <<<"$(doomed "$times")"
	read -r runs alone < <(ip netns exec "$g1" "$here/killed.py" $((0x1000 + times)) \
		ip "${words[@]}" tx-subspaces 4)
	echo "# ip killed $runs times about its messages: $alone times announced only"
	# Once behind the announcement, once before the SA, at least
	((alone >= 2))
	times=$((times + runs))
	for ((n = 0; n <= times; n++)); do
		echo "$(doomed "$n") rx-subspaces 4"
	done | ip -n "$g2" -batch -

	# What has the mark is the module's, and nothing is without the mark
	ip netns exec "$g1" "$here/xfrm.py" states | grep -v spi=0x00000200 >"$tmp/states"
	for ((n = 0; n <= times; n++)); do
		printf 'withdraw family=2 daddr=10.0.0.2 spi=0x%x\n' $((0x1000 + n))
	done >"$tmp/requests"
	echo dump >>"$tmp/requests"
	ip netns exec "$g1" "$here/genl.py" batch <"$tmp/requests" >"$tmp/out"
	pending=$(grep -c '^ok$' "$tmp/out" || true)
	tail -n 1 "$tmp/out" | tr ';' '\n' | grep -w state=1 | grep -v spi=0x00000200 |
		grep -o 'spi=[^ ]*' | sort >"$tmp/module"
	sed -n 's/ proto=50 .* extra=0x80000000 .*//p' "$tmp/states" | sort >"$tmp/marked"
	n=$(wc -l <"$tmp/states")
	echo "# ip killed $times times: $n SAs made, $pending announced only"
	diff "$tmp/marked" "$tmp/module"
	expect "SAs with the mark" "$(wc -l <"$tmp/marked")" "$n"
	((n > 0 && n + alone < times))

	# They work, and nothing but esp64 comes of them
	record_out "$tmp/pcap" "$g1" wan
	shuf -n 3 "$tmp/marked" | while IFS='=' read -r _ spi; do
		ip -n "$g1" xfrm policy update src 10.1.0.0/24 dst 10.2.0.0/24 dir out tmpl \
			src 10.0.0.1 dst 10.0.0.2 proto esp spi "$spi" reqid 1 mode tunnel
		ip netns exec "$g1" ping -q -c 2 -i 0.05 -W 10 10.2.0.1
		key_for "$spi"
		KEY=$key reference_sa 4 '1>2' | sed "s/\"0x100\"/\"$spi\"/" >"$tmp/sa.$spi"
	done
	record_end "$tmp/pcap" "$g1" 10.0.0.2
	{
		echo '['
		cat "$tmp"/sa.0x* | paste -sd,
		echo ']'
	} >"$tmp/sas"
	"$reference/check_capture.py" --sa "$tmp/sas" --only "$tmp/pcap"
	expect "clear packets" "$(clear_packets "$tmp/pcap")" ''
}

modprobe xfrm_ext
pair
# While these age out the others have their turn
g3=g3-$$
netns_add "$g3"
genl_open "$g3"
run "1024 announcements may be pending, and hold the module" too_many
genl_close
genl_open "$g1"
run "announced, and no SA: nothing leaves" announced_only
run "an announcement replaces the one before" replaced
run "an SA with the mark and without announcement is refused" marked_only
run "an announcement is for the SA that it names" other_sa
run "of a mark its mask counts" masked
genl_close
run "ip killed at any moment" killed
genl_open "$g3"
run "announcements age out, and the module can be unloaded" aged
genl_close
finish
