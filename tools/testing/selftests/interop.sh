#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# check: 6.1-cloud
# timeout: 1800
#
# Format esp with the kernel's own ESP as peer, both ways: every algorithm, mode and
# outer family, with and without ESN and UDP encapsulation, by our own path and the
# kernel's. Prints a table. A number's upper half changes under traffic; replays are
# dropped by either; and what we send cannot be told from what the kernel sends.
#
# 7.3-uml does all of some algorithms and something of each; the others each kind of
# algorithm, mode, family and path once at least.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-formats.sh"

# SAs and policies of one end. In BEET and tunnel mode what is on lo, else the ends
end_lines() { # 1|2 ours|stock mode esn udp direction-1-words direction-2-words
	local n=$1 kind=$2 mode=$3 more='' k dirs replay tx=() rx=()

	((n == 1)) && dirs=(out in) || dirs=(in out)
	[[ $mode != tunnel ]] || more='flag af-unspec'
	(($5)) && more+=" encap espinudp 4500 4500 $any"
	case $kind:$4 in
	ours:0) tx=(ext format esp tx-subspaces 1) rx=(ext format esp rx-subspaces 1 window 1024) ;;
	ours:1)
		tx=(ext format esp esn on tx-subspaces 1)
		rx=(ext format esp esn on rx-subspaces 1 window 1024)
		;;
	stock:0) tx=(replay-window 32) rx=(replay-window 32) ;;
	stock:1) more+=' flag esn' tx=(replay-window 128) rx=(replay-window 128) ;;
	esac
	[[ $START ]] && case $kind in
	ours) tx+=(tx-start $((START + 1))) ;;
	stock)
		tx+=(replay-oseq "$START")
		;;
	esac
	echo xfrm state flush
	echo xfrm policy flush
	for k in 1 2; do
		local src=$o1 dst=$o2 i=$i1 j=$i2 words=$6 spi=0x100 sel=''

		((k == 1)) || src=$o2 dst=$o1 i=$i2 j=$i1 words=$7 spi=0x200
		[[ $mode != beet ]] || sel="sel src $i dst $j"
		case ${dirs[k - 1]} in
		out) replay="${tx[*]}" ;;
		in) replay="${rx[*]}" ;;
		esac
		# The words of an extension are the last
		if [[ $kind == stock ]]; then
			echo "xfrm state add src $src dst $dst proto esp spi $spi reqid $k mode $mode" \
				"$replay $more $words $sel"
		else
			echo "xfrm state add src $src dst $dst proto esp spi $spi reqid $k mode $mode" \
				"$more $words $sel $replay"
		fi
		echo "xfrm policy add src $i dst $j dir ${dirs[k - 1]}" \
			"tmpl src $src dst $dst proto esp reqid $k mode $mode"
	done
}

addresses() { # mode outer: sets i1 i2 o1 o2 any
	outer "$2"
	any=0.0.0.0
	(($2 == 4)) || any=::
	i1=$o1 i2=$o2
	[[ $1 == transport ]] || case $2 in
	4) i1=10.1.0.1 i2=10.2.0.1 ;;
	6) i1=fd01::1 i2=fd02::1 ;;
	esac
}

# shellcheck disable=SC2016 # awk's
errors() { # ns: what the kernel has counted as wrong
	ip netns exec "$1" awk '$2 && $1 != "XfrmOutNoStates" { printf "%s %s ", $1, $2 }' \
		/proc/net/xfrm_stat
}

# Of g1's SAs, in one go, for to begin a process takes its time: packets sent, received, drops
# shellcheck disable=SC2016 # awk's
ours() {
	ip -n "$g1" -s xfrm state | awk '
		{ for (i = 1; i < NF; i++) if ($i ~ /^(tx|rx)-packets$/) n[$i] += $(i + 1) }
		$1 == "drops" { drops = drops " " $2 }
		END { print n["tx-packets"] + 0, n["rx-packets"] + 0 drops }'
}

# One cell of the table
speaks() { # mode outer esn udp words...
	local mode=$1 i1 i2 o1 o2 any

	addresses "$1" "$2"
	new_keys
	algorithm_is "${@:5}"
	end_lines 1 ours "$mode" "$3" "$4" "${in_words[@]}" | ip -n "$g1" -batch -
	end_lines 2 stock "$mode" "$3" "$4" "${in_words[@]}" | ip -n "$g2" -batch -
	# (The kernel's own ESP in UDP over IPv6 loses the shortest, with itself, too)
	ip netns exec "$g1" ping -q -c 2 -i 0.01 -W 5 -s $((40 * $4)) -I "$i1" "$i2"
	ip netns exec "$g2" ping -q -c 4 -i 0.01 -W 5 -s 1301 -I "$i2" "$i1"
	# All have come, and nothing was wrong with any
	expect "ours sent, received, drops" "$(ours)" "6 6 none none"
	expect "errors" "$(errors "$g1")/$(errors "$g2")" "$before"
}

# The cells that this kernel does of an algorithm: mode outer esn udp
wanted_cells() { # path name
	local mode outer esn udp

	for mode in transport tunnel beet; do
		for outer in 4 6; do
			for esn in 0 1; do
				for udp in 0 1; do
					! wanted_here "$1" $mode $outer $esn $udp "$2" ||
						echo $mode $outer $esn $udp
				done
			done
		done
	done
}

cells() { # path name cells words...
	local mode outer esn udp before

	fastpath "$1"
	before=$(errors "$g1")/$(errors "$g2")
	while read -r mode outer esn udp; do
		START=''
		speaks "$mode" "$outer" "$esn" "$udp" "${@:4}"
		((esn)) && esn=ESN || esn=32
		((udp)) && esn+=+UDP
		echo "# kernel's ESP | $2 | $mode over IPv$outer | $esn"
	done <<<"$3"
}

# User-mode Linux does all, of algorithms that differ from one another, and each of the
# others. Emulated kernels: each mode, family, ESN and encapsulation with one AEAD, and one
# cell of each kind of algorithm
wanted_here() { # path mode outer esn udp name
	case $whole$6 in
	1gcm-128-16 | 1cbc-128-sha256) ;;
	1chacha20-poly1305 | 1ccm-128-8 | 1ctr-128-sha256 | 1null-cmac) [[ $1 == on ]] ;;
	gcm-128-16)
		[[ $1$4$2$3$5 == @(on1|off0)@(tunnel40|transport61|beet40) ||
			$1$4$2$3$5 == on@(0transport40|1tunnel61|1beet61) ]]
		;;
	cbc-128-sha256) [[ $1$2$3$4$5 == @(ontunnel600|offtransport410) ]] ;;
	1gmac-128 | 1cbc-192-xcbc) [[ $1$5 == on0 && $2$3 == @(tunnel6|transport4|beet6) ]] ;;
	1*-16 | 1*-12 | 1*-8 | 1gmac*) [[ $1$2$3$4$5 == ontunnel400 ]] ;;
	1*) [[ $1$2$3$4$5 == ontunnel610 ]] ;;
	gmac-128 | ccm-128-8 | chacha20-poly1305) [[ $1$2$3$4$5 == ontunnel400 ]] ;;
	cbc-256-sha512 | cbc-192-xcbc | ctr-128-sha256 | null-cmac) [[ $1$2$3$4$5 == ontunnel610 ]] ;;
	*) false ;;
	esac
}

# The lower 32 bits of both sides' numbers come to their end under traffic
crosses() { # path words...
	local START=4294967000 i1 i2 o1 o2 any one two

	fastpath "$1"
	addresses tunnel 4
	one=$(words_of 1 "${@:2}") two=$(words_of 2 "${@:2}")
	end_lines 1 ours tunnel 1 0 "$one" "$two" | ip -n "$g1" -batch -
	# The window of the kernel's begins where numbers do
	end_lines 2 stock tunnel 1 0 "$one" "$two" | sed '/spi 0x100/s/replay-oseq/replay-seq/' |
		ip -n "$g2" -batch -
	ip -n "$g1" xfrm ext set dst "$o1" spi 0x200 rx-subspace 0 highest "$START"
	ip netns exec "$g1" ping -q -f -c 600 -W 5 -I "$i1" "$i2"
	expect "ours sent, received" \
		"$(stat "$g1" 0x100 tx-packets) $(stat "$g1" 0x200 rx-packets)" "600 600"
	expect "highest sent" "$(subspace "$g1" 0x100 tx 0 highest)" $((START + 600))
	expect "highest received" "$(subspace "$g1" 0x200 rx 0 highest)" $((START + 600))
	expect "drops" "$(drops "$g1" 0x100) $(drops "$g1" 0x200)" "none none"
	block "$g2" 0x100 -d | grep -q 'seq-hi 0x1'
}

# Without ESN the number after 2^32-1 does not exist: it stops
ends_here() {
	local START=4294967290 i1 i2 o1 o2 any one two

	fastpath on
	addresses tunnel 4
	# shellcheck disable=SC2046 # words
	one=$(words_of 1 aead "$aead" 20 128) two=$(words_of 2 aead "$aead" 20 128)
	end_lines 1 ours tunnel 0 0 "$one" "$two" | ip -n "$g1" -batch -
	end_lines 2 stock tunnel 0 0 "$one" "$two" | sed '/spi 0x200/s/replay-oseq [0-9]*//' |
		ip -n "$g2" -batch -
	ip netns exec "$g1" ping -q -c 20 -i 0.01 -W 1 -I "$i1" "$i2" || true
	expect "ours sent" "$(stat "$g1" 0x100 tx-packets)" 5
	expect "highest sent" "$(subspace "$g1" 0x100 tx 0 highest)" 4294967295
	expect "ours received" "$(stat "$g1" 0x200 rx-packets)" 5
	expect "drops" "$(drops "$g1" 0x100)" "tx-exhausted 15"
}

# Every packet sent twice
replayed() { # path esn words...
	local START='' i1 i2 o1 o2 any one two

	fastpath "$1"
	addresses tunnel 4
	one=$(words_of 1 "${@:3}") two=$(words_of 2 "${@:3}")
	end_lines 1 ours tunnel "$2" 0 "$one" "$two" | ip -n "$g1" -batch -
	end_lines 2 stock tunnel "$2" 0 "$one" "$two" | ip -n "$g2" -batch -
	for n in "$g1" "$g2"; do
		ip netns exec "$n" tc qdisc add dev wan root netem duplicate 100%
	done
	ip netns exec "$g1" ping -q -c 20 -i 0.01 -W 5 -I "$i1" "$i2" | grep -q '20 received'
	for n in "$g1" "$g2"; do
		ip netns exec "$n" tc qdisc del dev wan root
	done
	expect "ours sent, received" \
		"$(stat "$g1" 0x100 tx-packets) $(stat "$g1" 0x200 rx-packets)" "20 20"
	expect "drops" "$(drops "$g1" 0x200)" "rx-replay 20"
	expect "kernel's replays" "$(block "$g2" 0x100 -s | sed -n 's/.*replay-window [0-9]* replay \([0-9]*\) failed 0/\1/p')" 20
}

modprobe xfrm_ext
pair_acquainted
for n in "$g1" "$g2"; do
	mkfifo "$tmp/$n.in"
	ip netns exec "$n" "$here/natt.py" end 4500 <"$tmp/$n.in" >"$tmp/$n.told" &
	# shellcheck disable=SC2034 # it is only held open
	exec {hold}>"$tmp/$n.in"
	wait_for 20 grep -q ready "$tmp/$n.told"
done
for path in on off; do
	for algorithm in "${algorithms[@]}"; do
		read -r name words <<<"$algorithm"
		wanted=$(wanted_cells $path "$name")
		[[ $wanted ]] || continue
		# shellcheck disable=SC2086 # words
		run "$name, fastpath $path" cells $path "$name" "$wanted" $words
	done
	[[ $whole || $path == on ]] || continue
	run "numbers pass 2^32, AEAD, fastpath $path" crosses $path aead "$aead" 20 128
	run "numbers pass 2^32, pair, fastpath $path" crosses $path pair 'cbc(aes)' 16 'hmac(sha256)' 32 128
	run "replays, fastpath $path" replayed $path 0 aead "$aead" 20 128
	run "replays, ESN, fastpath $path" replayed $path 1 aead "$aead" 20 128
done
run "without ESN numbers end" ends_here
fastpath on
flush
finish
