#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# kernels: 6.1-cloud 6.1-debug 7.3-uml
# check: 7.3-uml
#
# Totals: what the SAs of a namespace, and those that a rule has made, have counted stays
# when they are gone, is never counted twice and never goes backward.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-wire.sh"

# What g1 says of itself, or of a rule: sets sas, and total[] by counter
totals() { # [pref]
	local line word

	if (($#)); then
		ask rule-get
		line=$(tr ';' '\n' <<<"${answer#ok}" | grep "\brule-pref=$1 ")
	else
		ask totals
		[[ $answer == 'ok sas='* ]]
		line=${answer#ok}
	fi
	declare -gA total=()
	sas=
	for word in $line; do
		case $word in
		sas=*) sas=${word#*=} ;;
		stats=*)
			while IFS=: read -r word line; do
				total[$word]=$line
			done < <(tr ',' '\n' <<<"${word#*=}" | sed '/^$/d')
			;;
		esac
	done
	[[ $sas ]]
}

# All of them, in the order of their names
all() { # [pref]
	local name

	totals "$@"
	for name in "${!total[@]}"; do
		echo "$name ${total[$name]}"
	done | sort | xargs
}

pings() { # packets
	ip netns exec "$g1" ping -q -c "$1" -i 0.02 -W 10 10.2.0.1
}

# Two SAs at a time, of 84 octets each packet
rekeyed() {
	local n before

	before=$(all)
	expect "before" "$before" ''
	for n in 1 2 3; do
		tunnel 4 2
		pings 10
		accepts "$g1" 0x200 10
		totals
		expect "SAs" "$sas" 2
		expect "$n" "$(all)" "rx-bytes $((840 * n)) rx-packets $((10 * n)) tx-bytes $((840 * n)) tx-packets $((10 * n))"
	done
	expect "as ip says it" "$(ip -n "$g1" xfrm ext totals | xargs)" \
		'sas 2 tx-packets 30 tx-bytes 2520 rx-packets 30 rx-bytes 2520 drops none'
	flush
	wait_for 10 has_sas 0
	expect "with none" "$(all)" 'rx-bytes 2520 rx-packets 30 tx-bytes 2520 tx-packets 30'
	# Not another's
	genl_close
	genl_open "$g2"
	totals
	expect "SAs of the other end" "$sas" 0
	expect "the other end" "$(all)" 'rx-bytes 2520 rx-packets 30 tx-bytes 2520 tx-packets 30'
	genl_close
	ip netns add "$g1-new"
	genl_open "$g1-new"
	totals
	expect "SAs of a new namespace" "$sas" 0
	expect "a new namespace" "$(all)" ''
	genl_close
	ip netns del "$g1-new"
	genl_open "$g1"
}

has_sas() { # number
	nudge_cpus
	totals
	[[ $sas == "$1" ]]
}

# Every reason has its total: what an SA had dropped is still there when it is gone
reasons() {
	local after

	WINDOW=64 tunnel 4 4
	# To g2; its totals
	genl_close
	genl_open "$g2"
	declare -A was=()
	totals
	for name in "${!total[@]}"; do
		was[$name]=${total[$name]}
	done
	inject_open 4 udp:10.1.0.1:1000:10.2.0.1:9:8
	inject valid 3 1000
	inject valid 3 1000
	inject valid 3 1000
	inject valid 3 936
	inject valid 4 7
	inject flip 3 1001 offset=40
	inject dummy 2 10
	inject truncate 3 1002 length=20
	inject_close
	accepts "$g2" 0x100 1
	after=$(drops "$g2" 0x100)
	expect "drops" "$after" 'rx-truncated 1 rx-subspace 1 rx-replay 2 rx-too-old 1 rx-icv 1 rx-dummy 1'
	flush
	wait_for 10 has_sas 0
	totals
	for name in rx-truncated rx-subspace rx-too-old rx-icv rx-dummy; do
		expect "$name" $((${total[$name]-0} - ${was[$name]-0})) 1
	done
	expect rx-replay $((${total[rx-replay]-0} - ${was[rx-replay]-0})) 2
	expect rx-zero $((${total[rx-zero]-0} - ${was[rx-zero]-0})) 0
	genl_close
}

# As a daemon makes them
daemon_sas() {
	local n

	flush
	policies 4
	for n in "$g1" "$g2"; do
		ip -n "$n" -batch - <<-END
			xfrm state add src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x100 reqid 1 mode tunnel flag af-unspec replay-window 32 aead $aead $key1 128
			xfrm state add src 10.0.0.2 dst 10.0.0.1 proto esp spi 0x200 reqid 2 mode tunnel flag af-unspec replay-window 32 aead $aead $key2 128
		END
	done
}

rules() {
	local n

	ip -n "$g1" xfrm ext rule add pref 10 reqid 1 format esp
	ip -n "$g1" xfrm ext rule add pref 20 format esp
	ip -n "$g1" xfrm ext rule add pref 30 plain
	for n in 1 2; do
		daemon_sas
		pings 10
		accepts "$g1" 0x200 10
		expect "$n, out" "$(all 10)" "tx-bytes $((840 * n)) tx-packets $((10 * n))"
		expect "$n, in" "$(all 20)" "rx-bytes $((840 * n)) rx-packets $((10 * n))"
		totals 10
		expect "SAs" "$sas" 1
	done
	expect "as ip says it" "$(ip -n "$g1" -s xfrm ext rule list | sed -n '/^pref 10 /,/^pref 20 /p' |
		sed '1d;$d' | xargs)" \
		'hits 2 refused 0 plain 0 sas 1 tx-packets 20 tx-bytes 1680 rx-packets 0 rx-bytes 0 drops none'
	# A plain one's SAs are the kernel's
	ask rule-get
	[[ $(tr ';' '\n' <<<"$answer" | grep 'rule-pref=30 ') != *stats=* ]]
	# One that goes takes its totals along, whoever comes in its place
	ip -n "$g1" xfrm ext rule delete pref 20
	ip -n "$g1" xfrm ext rule add pref 20 format esp
	expect "anew" "$(all 20)" ''
	totals 20
	expect "SAs anew" "$sas" 0
	pings 10
	accepts "$g1" 0x200 20
	expect "in, of no rule that is" "$(all 20)" ''
	expect "out" "$(all 10)" "tx-bytes 2520 tx-packets 30"
	flush
	wait_for 10 has_sas 0
	expect "in, and gone" "$(all 20)" ''
	expect "out, and gone" "$(all 10)" "tx-bytes 2520 tx-packets 30"
	ip -n "$g1" xfrm ext rule flush
}

# Lower than before, anything? Of what is there now
never_backward() {
	local name

	for name in "${!last[@]}"; do
		((${total[$name]-0} >= last[$name])) || {
			echo "$name: ${total[$name]-0} behind ${last[$name]}" >&2
			return 1
		}
	done
	for name in "${!total[@]}"; do
		last[$name]=${total[$name]}
	done
}

# SAs come and go under traffic; the wire says how many packets there were
under_traffic() {
	local n before pid

	declare -A last=()
	totals
	before=${total[tx-packets]-0}
	ip -n "$g1" xfrm ext rule add format esp
	ip netns exec "$g1" nft -f - <<-'END'
		table ip wire {
			chain out {
				type filter hook postrouting priority 300
				ip protocol 50 counter
			}
		}
	END
	policies 4
	ip netns exec "$g1" ping -q -f -W 1 10.2.0.1 >/dev/null &
	pid=$!
	for ((n = 0; n < 40; n++)); do
		new_keys
		ip -n "$g1" -batch - <<-END
			xfrm state flush
			xfrm state add src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x100 reqid 1 mode tunnel flag af-unspec aead $aead $key1 128
		END
		totals
		never_backward
		wait_for 10 more_than "${last[tx-packets]-0}"
		totals
		never_backward
		totals 10
		((sas >= 1))
	done
	stop "$pid"
	flush
	wait_for 10 has_sas 0
	totals
	never_backward
	expect "packets" $((total[tx-packets] - before)) \
		"$(ip netns exec "$g1" nft list table ip wire | sed -n 's/.*counter packets \([0-9]*\) .*/\1/p')"
	((total[tx-packets] - before >= 40))
	n=${total[tx-packets]}
	totals 10
	expect "packets of the rule" "${total[tx-packets]}" $((n - before))
	ip netns exec "$g1" nft delete table ip wire
	ip -n "$g1" xfrm ext rule flush
}

more_than() { # packets
	totals
	((${total[tx-packets]-0} > $1))
}

unload() {
	flush
	ip -n "$g1" xfrm ext rule flush
	wait_for 30 module_goes
	modprobe xfrm_ext
	genl_open "$g1"
	expect "of a new module" "$(all)" ''
}

modprobe xfrm_ext
pair
genl_open "$g1"
run "SAs that are rekeyed" rekeyed
run "every reason" reasons
run "rules" rules
run "under traffic" under_traffic
genl_close
run "the module can be unloaded" unload
finish
