#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# kernels: 6.1-cloud 7.3-uml
# check: 7.3-uml
#
# UDP encapsulation (RFC 3948) of extended SAs in all modes: traffic without NAT and
# with it, checksums on the wire, what the kernel tells key managers when the other end
# moves and what it does not, how an SA follows, packets that should have a UDP header
# and have none or the reverse, IKE and keepalives on the same port, GRO.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-wire.sh"
. "$(dirname "$0")/lib-ends.sh"

octets=$((60000 / factor))

# Outer addresses: of c, of s, and what s sees of c; and the port
addresses() { # 4|6 none|nat
	case $1 in
	4) o1=10.1.0.2 o2=10.2.0.2 n1=10.2.0.1 any=0.0.0.0 ;;
	6) o1=fd01::2 o2=fd02::2 n1=fd02::1 any=:: ;;
	esac
	p1=20000 nat_port=20000
	[[ $2 == nat ]] || n1=$o1 p1=4500 nat_port=
}

# SAs and policies of one end: of all traffic between what is on both lo, or in
# transport mode between the ends themselves. BEET has a pair of SAs for each family.
end_lines() { # c|s tunnel|transport|beet
	local k mode=$2 far=$o1 port=4500 in1 in2 words sel12 sel21 tx rx key

	[[ $1 == c ]] || far=$n1 port=$p1
	words="mode $mode $([[ $mode != tunnel ]] || echo flag af-unspec) aead $aead"
	case $1 in
	c) tx='tx-subspaces 4' rx='rx-subspaces 4' ;;
	s) tx='rx-subspaces 4' rx='tx-subspaces 4' ;;
	esac
	echo xfrm state flush
	echo xfrm policy flush
	for k in 0 1; do
		case $mode$k in
		transport0) in1=$far in2=$o2 ;;
		transport1) return ;;
		*0) in1=10.11.0.1 in2=10.12.0.1 ;;
		*1) in1=fd11::1 in2=fd12::1 ;;
		esac
		sel12='' sel21=''
		[[ $mode != beet ]] || sel12="sel src $in1 dst $in2" sel21="sel src $in2 dst $in1"
		if [[ $k == 0 || $mode == beet ]]; then
			key_for "0x10$k"
			echo "xfrm state add src $far dst $o2 proto esp spi 0x10$k reqid 1$k $words" \
				"$key 128 encap espinudp $port 4500 $any $sel12 ext ${FORMAT-} $tx"
			key_for "0x20$k"
			echo "xfrm state add src $o2 dst $far proto esp spi 0x20$k reqid 2$k $words" \
				"$key 128 encap espinudp 4500 $port $any $sel21 ext ${FORMAT-} $rx"
		fi
		[[ $mode == beet ]] || k=0
		case $1 in
		c) set -- c "$2" out in ;;
		s) set -- s "$2" in out ;;
		esac
		echo "xfrm policy add src $in1 dst $in2 dir $3" \
			"tmpl src $far dst $o2 proto esp reqid 1$k mode $mode"
		echo "xfrm policy add src $in2 dst $in1 dir $4" \
			"tmpl src $o2 dst $far proto esp reqid 2$k mode $mode"
	done
}

ends() { # mode
	new_keys
	end_lines c "$1" | ip -n "$c" -batch -
	end_lines s "$1" | ip -n "$s" -batch -
}

# Their reference, behind r
end_sas() { # mode
	local k inner='' key

	for k in 0 1; do
		[[ $k == 0 || $1 == beet ]] || break
		[[ $1 != beet ]] || case $k in
		0) inner='10.11.0.1 10.12.0.1' ;;
		1) inner='fd11::1 fd12::1' ;;
		esac
		key_for "0x10$k"
		TTL=63 reference_end "0x10$k" "$key" "$1" "$n1" "$o2" "$p1" 4500 "$inner"
		key_for "0x20$k"
		reference_end "0x20$k" "$key" "$1" "$o2" "$n1" 4500 "$p1" \
			"${inner#* }${inner:+ }${inner% *}"
	done | sed '1s/^/[/; $!s/$/,/; $s/$/]/'
}

# What c, or s, sends and gets back
from() { # c|s verb address word...
	case $1 in
	c) traffic_in=$c_in traffic_out=$c_out ;;
	s) traffic_in=$s_in traffic_out=$s_out ;;
	esac
	traffic "${@:2}"
}

# Inner addresses of the other end
targets() { # c|s mode
	case $1-$2 in
	c-transport) echo "$o2" ;;
	s-transport) echo "$n1" ;;
	c-*) echo 10.12.0.1 fd12::1 ;;
	s-*) echo 10.11.0.1 fd11::1 ;;
	esac
}

small() { # mode
	local target

	for target in $(targets c "$1"); do
		ip netns exec "$c" ping -q -c 3 -i 0.05 -W 10 "$target"
		from c udp "$target" 7 1 100 1300
		from c tcp "$target" 7 "$octets"
	done
	for target in $(targets s "$1"); do
		from s udp "$target" 7 1 1300
		from s tcp "$target" 7 "$((octets / 4))"
	done
}

# Cut before ESP, or behind it
large() { # mode
	local target

	for target in $(targets c "$1"); do
		from c udp "$target" 7 5000 1473
	done
	for target in $(targets s "$1"); do
		from s udp "$target" 7 5000
	done
}

all_arrived_at_both() { # mode
	local k

	for k in 0 1; do
		[[ $k == 0 || $1 == beet ]] || break
		arrived "0x10$k" "$c" "$s"
		arrived "0x20$k" "$s" "$c"
	done
}

# --- traffic ------------------------------------------------------------------

carries() { # mode 4|6 none|nat path
	local judge=1 only=(--only)

	addresses "$2" "$3"
	fastpath "$4"
	# Behind NAT the checksums of what transport mode carries are wrong: nobody could judge.
	# And it takes its time
	[[ $1-$3-$4 == *-none-on || $1-$4 == @(tunnel|beet)-on ]] || judge=0
	# shellcheck disable=SC2086 # a port or nothing
	nat $nat_port
	ends "$1"
	record "$tmp/pcap" "$r" out
	small "$1"
	record_end "$tmp/pcap" "$r" 10.2.9.2
	large "$1"
	all_arrived_at_both "$1"
	expect "mappings told" "$(told "$s" mapping) $(told "$c" mapping)" "0 0"
	expect "clear or bare packets" "" "$(tcpdump -nn -r "$tmp/pcap" 'esp or ip proto 253 or ip6 proto 253 or
		net 10.11.0.0/24 or net fd11::/64 or tcp' 2>/dev/null)"
	# The reference looks at UDP's checksums, too
	if ((!judge)); then
		"$here/natt.py" checksums "$tmp/pcap" "$p1"
		return
	fi
	end_sas "$1" >"$tmp/sas"
	# To who reads EESP, all else is of others
	[[ ! ${FORMAT-} ]] || only=()
	judged --sa "$tmp/sas" "${only[@]}" --complete --min-packets 20 "$tmp/pcap"
}

# --- the other end moves ------------------------------------------------------

attacker_sa() { # mode
	reference_end 0x100 "$key1" "$1" "$o1" "$o2" 4500 4500 '' >"$tmp/attacker.sa"
}

attacker_open() { # mode inner
	attacker_sa "$1"
	mkfifo "$tmp/attacker.in" "$tmp/attacker.out"
	ip netns exec "$r" "$here/natt.py" packets "$tmp/attacker.sa" "$2" \
		<"$tmp/attacker.in" >"$tmp/attacker.out" &
	exec 5>"$tmp/attacker.in" 6<"$tmp/attacker.out"
	rm "$tmp/attacker.in" "$tmp/attacker.out"
	read -r -t $((60 * factor)) <&6
}

attack() { # source port|- subspace sn [flip], or again: as attacker_sa() says now
	local answer

	echo "$*" >&5
	read -r -t $((60 * factor)) answer <&6
	[[ $answer == sent ]]
}

dropped() { # ns spi "name n ..."
	wait_for 10 drops_are "$@" || expect "drops" "$(drops "$1" "$2")" "$3"
}

drops_are() {
	[[ $(drops "$1" "$2") == "$3" ]]
}

# Only a packet that is authentic and new can move the other end
mapping() { # 4|6 path
	local before elsewhere=10.2.0.1

	[[ $1 == 4 ]] || elsewhere=fd02::1
	addresses "$1" none
	fastpath "$2"
	nat
	ends tunnel
	before=$(told "$s" mapping)
	attacker_open tunnel udp:10.11.0.1:7:10.12.0.1:9:64
	# From where it should come; forged; replayed
	attack "$o1" 4500 0 1
	attack "$elsewhere" 4500 0 2 flip
	attack "$elsewhere" 5555 0 1
	attack "$o1" 5555 1 1 flip
	attack "$elsewhere" 5555 4 1
	attack "$elsewhere" 5555 0 0
	attack "$o1" 4500 0 2
	accepts "$s" 0x100 2
	dropped "$s" 0x100 'rx-subspace 1 rx-zero 1 rx-replay 1 rx-icv 2'
	expect "mappings told" "$(told "$s" mapping)" "$before"
	# Another port, another address, both, another port again
	attack "$o1" 5555 0 3
	wait_for 10 is_told "$s" "mapping 0x00000100 $o1 4500 $o1 5555\$" 1
	attack "$elsewhere" 4500 0 4
	wait_for 10 is_told "$s" "mapping 0x00000100 $o1 4500 $elsewhere 4500\$" 1
	attack "$elsewhere" 6666 0 5
	wait_for 10 is_told "$s" "mapping 0x00000100 $o1 4500 $elsewhere 6666\$" 1
	accepts "$s" 0x100 5
	expect "mappings told" "$(told "$s" mapping)" $((before + 3))
	# Nothing has followed by itself
	block "$s" 0x100 | grep -q "^src $o1 dst $o2"
	block "$s" 0x100 | grep -q 'espinudp sport 4500 dport 4500'
	told_before "$s"
}

# s's SA with that SPI gets other ports: as a key manager does it, and not announced
update() { # mode spi key src dst sport dport
	local flags=()

	[[ $1 != tunnel ]] || flags=(flag af-unspec)
	ip -n "$s" xfrm state update src "$4" dst "$5" proto esp spi "$2" reqid 10 mode "$1" \
		"${flags[@]}" aead "$aead" "$3" 128 encap espinudp "$6" "$7" "$any"
}

new_port() { # mode 4|6 path
	local before target

	addresses "$2" nat
	fastpath "$3"
	nat 20000
	ends "$1"
	small "$1"
	expect "mappings told" "$(told "$s" mapping)" 0
	nat 20001
	read -r target _ <<<"$(targets c "$1")"
	# Its packets still come; the answers go to the old port, and nowhere
	ip netns exec "$c" ping -q -c 1 -W 1 "$target" && return 1
	wait_for 10 is_told "$s" "mapping 0x00000100 $n1 20000 $n1 20001\$" 1
	update "$1" 0x100 "$key1" "$n1" "$o2" 20001 4500
	update "$1" 0x200 "$key2" "$o2" "$n1" 4500 20001
	block "$s" 0x200 | grep -q 'espinudp sport 4500 dport 20001'
	block "$s" 0x200 | grep -q "ext ${FORMAT:-format esp64}"
	before=$(told "$s" mapping)
	small "$1"
	large "$1"
	expect "mappings told" "$(told "$s" mapping)" "$before"
	# The answer that was lost
	expect "packets lost" $(($(stat "$s" 0x200 tx-packets) - $(stat "$c" 0x200 rx-packets))) 1
	arrived 0x100 "$c" "$s"
	expect "drops" "$(drops "$s" 0x200) $(drops "$c" 0x200)" "none none"
	told_before "$s"
}

# Another address: an SA to there with the same key, that goes on behind all numbers
new_address() { # 4|6 path
	local new=10.2.0.3

	[[ $1 == 4 ]] || new=fd02::3
	addresses "$1" nat
	fastpath "$2"
	nat 20000
	ends tunnel
	small tunnel
	nat 20002 10.2.0.3 fd02::3
	ip netns exec "$c" ping -q -c 1 -W 1 10.12.0.1 && return 1
	wait_for 10 is_told "$s" "mapping 0x00000100 $n1 20000 $new 20002\$" 1
	ip -n "$s" -batch - <<-EOF
		xfrm state delete src $o2 dst $n1 proto esp spi 0x200
		xfrm state add src $o2 dst $new proto esp spi 0x200 reqid 20 mode tunnel flag af-unspec aead $aead $key2 128 encap espinudp 4500 20002 $any ext ${FORMAT-} tx-subspaces 4 tx-start 1000000
		xfrm policy update src 10.12.0.1 dst 10.11.0.1 dir out tmpl src $o2 dst $new proto esp reqid 20 mode tunnel
		xfrm policy update src fd12::1 dst fd11::1 dir out tmpl src $o2 dst $new proto esp reqid 20 mode tunnel
	EOF
	small tunnel
	large tunnel
	arrived 0x100 "$c" "$s"
	expect "drops" "$(drops "$s" 0x200) $(drops "$c" 0x200)" "none none"
	# It has told again with every packet, and may
	[[ $(told "$s" "mapping 0x00000100 $n1 20000 $new 20002\$") -gt 1 ]]
	ip -n "$r" addr flush dev out to "$new"
	told_before "$s"
}

# Ports change while packets are on their way: each goes to the one or the other
flipped() { # 4|6 path
	local i port ping

	addresses "$1" none
	fastpath "$2"
	nat
	ends tunnel
	ip netns exec "$s" ping -q -c 100 -i 0.02 -W 10 10.11.0.1 >"$tmp/ping" &
	ping=$!
	for ((i = 0; i < 20 / factor; i++)); do
		for port in 4501 4500; do
			update tunnel 0x200 "$key2" "$o2" "$o1" 4500 "$port"
		done
	done
	wait "$ping"
	grep -q '100 packets transmitted, 100 received' "$tmp/ping"
	arrived 0x200 "$s" "$c"
}

# --- with and without UDP -----------------------------------------------------

mismatched() {
	mib "$s" XfrmInStateMismatch
}

mismatches_are() { # number
	[[ $(mismatched) == "$1" ]]
}

# What is answered has been delivered
answered() { # times
	wait_for 10 answers_are "$1"
}

answers_are() {
	[[ $(stat "$s" 0x200 tx-packets) == "$1" ]]
}

mismatch() { # mode 4|6 path
	local before inner=udp:10.11.0.1:1000:10.12.0.1:7:64

	addresses "$2" none
	fastpath "$3"
	nat
	[[ $1 != transport ]] || inner=udp:$o1:1000:$o2:7:64
	[[ $1-$2 != transport-6 ]] || inner=udp:[$o1]:1000:[$o2]:7:64
	ends "$1"
	attacker_open "$1" "$inner"
	before=$(mismatched)
	# No UDP header, and there should be
	attack "$o1" - 0 1
	attack "$o1" - 3 7
	wait_for 10 mismatches_are $((before + 2))
	expect "packets received" "$(stat "$s" 0x100 rx-packets) $(drops "$s" 0x100)" "0 none"
	# No window has been made or moved by it: the same numbers
	attack "$o1" 4500 3 7
	attack "$o1" 4500 0 1
	accepts "$s" 0x100 2
	answered 2
	# The reverse
	new_keys
	attacker_sa "$1"
	attack again
	end_lines c "$1" | sed 's/encap espinudp [^ ]* [^ ]* [^ ]*//' | ip -n "$c" -batch -
	end_lines s "$1" | sed 's/encap espinudp [^ ]* [^ ]* [^ ]*//' | ip -n "$s" -batch -
	attack "$o1" 4500 0 1
	wait_for 10 mismatches_are $((before + 3))
	expect "packets received" "$(stat "$s" 0x100 rx-packets) $(drops "$s" 0x100)" "0 none"
	attack "$o1" - 0 1
	accepts "$s" 0x100 1
	answered 1
	expect "mismatches" "$(mismatched)" $((before + 3))
}

# --- what else is on the port -------------------------------------------------

# Before, between and behind ESP. A keepalive is eaten: what came behind it is there, it
# is not. What is not for xfrm must not pass for ESP.
ike() { # mode 4|6 none|nat path
	addresses "$2" "$3"
	fastpath "$4"
	# shellcheck disable=SC2086 # a port or nothing
	nat $nat_port
	ends "$1"
	told_before "$s"
	told_before "$c"
	echo "$o2 4500 00000000aabbcc01" >&"$c_sock"
	wait_for 10 is_told "$s" "ike $n1 $p1 00000000aabbcc01\$" 1
	echo "$o2 4500 ff" >&"$c_sock"
	echo "$n1 $p1 ff" >&"$s_sock"
	small "$1"
	echo "$o2 4500 00000000$(printf '%02x' {1..200})" >&"$c_sock"
	echo "$n1 $p1 00000000aabbcc02" >&"$s_sock"
	wait_for 10 is_told "$s" "ike $n1 $p1 00000000$(printf '%02x' {1..200})\$" 1
	wait_for 10 is_told "$c" "ike $o2 4500 00000000aabbcc02\$" 1
	expect "what came to the sockets" "$(told "$s" ike) $(told "$c" ike)" "2 1"
	all_arrived_at_both "$1"
	told_before "$s"
	told_before "$c"
}

# Of an SA that is idle, and of none that is in use
keepalives() { # 4|6 path
	local pid

	addresses "$1" none
	fastpath "$2"
	nat
	ends tunnel
	ip -n "$c" xfrm state delete src "$o1" dst "$o2" proto esp spi 0x100
	ip netns exec "$c" "$here/genl.py" announce family="$([[ $1 == 4 ]] && echo 2 || echo 10)" \
		spi=0x100 tx-subspaces=4 "daddr=$o2"
	ip netns exec "$c" "$here/natt.py" keepalive "$o1" "$o2" 0x100 4500 4500 2
	block "$c" 0x100 | grep -q 'ext format esp64'
	rm -f "$tmp/alive.log"
	# ESP is longer
	ip netns exec "$r" tcpdump -n -i in -U -w "$tmp/alive" -Z root \
		'udp port 4500 and less 70' 2>"$tmp/alive.log" &
	pid=$!
	wait_for 20 grep -q 'listening on' "$tmp/alive.log"
	# Three times the interval in use
	ip netns exec "$c" ping -q -c 24 -i 0.25 -W 0.1 10.12.0.1 || true
	expect "packets sent" "$(stat "$c" 0x100 tx-packets)" 24
	expect "keepalives of an SA in use" \
		"$(tcpdump --count -r "$tmp/alive" 2>/dev/null)" "0 packets"
	wait_for 20 alive
	stop "$pid"
	tcpdump -nn -X -r "$tmp/alive" -c 1 | sed 's/^/# /'
	"$here/natt.py" checksums "$tmp/alive" 4500
}

alive() {
	[[ $(tcpdump --count -r "$tmp/alive" 2>/dev/null) == [2-9]\ packets ]]
}

# Links that put together what belongs together, and find ESP first; kernels from 6.8 on
# also in UDP, for sockets that ask for it
links_gro() {
	local n option=()

	modprobe -a esp4_offload esp6_offload || true
	older_than 6.8 || option=(--gro)
	stop "$c_socks" "$s_socks"
	gro on "$c" wan "$r" in
	gro on "$s" wan "$r" out
	for n in "$c" "$s"; do
		socks "$n" "${option[@]}" 4500
	done
}

by_gro() { # mode 4|6
	local before1 before2 by_ours by_kernels target

	addresses "$2" none
	fastpath on
	nat
	ends "$1"
	before1=$(gro_packets "$c" wan) before2=$(gro_packets "$s" wan)
	small "$1"
	large "$1"
	all_arrived_at_both "$1"
	expect "mappings told" "$(told "$s" mapping) $(told "$c" mapping)" "0 0"
	# What was received, in UDP, has been with GRO before
	before1=$(($(gro_packets "$c" wan) - before1)) before2=$(($(gro_packets "$s" wan) - before2))
	echo "# packets that GRO had: $before1 $before2"
	((before1 >= $(stat "$c" 0x200 rx-packets) && before2 >= $(stat "$s" 0x100 rx-packets)))
	read -r target _ <<<"$(targets c "$1")"
	replays_refused_by "$c" wan "$s" 0x100 "$target"
	expect "by our own path" "$by_ours" 5
}

# -------------------------------------------------------------------------------

sysctl -qw net.core.netdev_max_backlog=100000
modprobe -a xfrm_ext nf_defrag_ipv6
topology
ip netns exec "$c" sysctl -qw net.ipv4.ipfrag_time=5 net.ipv6.ip6frag_time=5
for address in 10.2.0.2 fd02::2 10.12.0.1 fd12::1; do
	ip netns exec "$s" "$here/traffic.py" serve $address 7 &
done
for address in 10.1.0.2 fd01::2 10.11.0.1 fd11::1; do
	ip netns exec "$c" "$here/traffic.py" serve $address 7 &
done
traffic_open "$c"
c_in=$traffic_in c_out=$traffic_out
traffic_open "$s"
s_in=$traffic_in s_out=$traffic_out
# What is sent to c from port 1000 is not answered
ip netns exec "$c" nft -f - <<-'EOF'
	table inet quiet {
		chain received {
			type filter hook prerouting priority raw
			udp dport 1000 drop
		}
	}
EOF
socks "$c" 4500 4501
c_socks=$socks_pid
socks "$s" 4500
s_socks=$socks_pid
addresses 4 none
ends tunnel
for address in 10.12.0.1 fd12::1; do
	wait_for 20 from c udp $address 7 1
done
for address in 10.11.0.1 fd11::1; do
	wait_for 20 from s udp $address 7 1
done
flush
wait_for 20 from c udp 10.2.0.2 7 1
wait_for 20 from c udp fd02::2 7 1
wait_for 20 from s udp 10.1.0.2 7 1
wait_for 20 from s udp fd01::2 7 1

# All modes and families on our own path, half of it on the kernel's: on one kernel. The others
# do one of each mode, and a slow one only what is there to watch memory.
for path in on off; do
	for mode in tunnel transport beet; do
		for outer in 4 6; do
			case $path-$mode-$outer in
			on-beet-6) [[ ! $quick ]] || continue ;;
			off-tunnel-6 | off-transport-4 | off-beet-6) continue ;;
			off-transport-6) [[ $factor == 1 ]] || continue ;;
			*) [[ $whole ]] || continue ;;
			esac
			run "$mode over IPv$outer, fastpath $path" carries $mode $outer none $path
		done
	done
done
for way in on-4-transport on-6-tunnel off-6-transport on-6-transport on-4-beet; do
	IFS=- read -r path outer mode <<<"$way"
	[[ $whole || $way == off-* || ($factor == 1 && ! $quick && $way == on-6-tunnel) ]] || continue
	run "$mode over IPv$outer through NAT, fastpath $path" carries "$mode" "$outer" nat "$path"
done
for way in on-4-tunnel off-6-transport on-6-transport; do
	IFS=- read -r path outer mode <<<"$way"
	[[ $whole || $way == on-4-* ]] || continue
	((factor > 1)) || run "NAT gives another port, $mode over IPv$outer, fastpath $path" \
		new_port "$mode" "$outer" "$path"
	run "ESP without UDP and the reverse, $mode over IPv$outer, fastpath $path" \
		mismatch "$mode" "$outer" "$path"
	[[ $way != on-6-* ]] || continue
	run "a mapping only for what is authentic and new, IPv$outer, fastpath $path" \
		mapping "$outer" "$path"
	((factor == 1)) || continue
	run "ports change under way, IPv$outer, fastpath $path" flipped "$outer" "$path"
	run "IKE and keepalives beside $mode over IPv$outer, fastpath $path" \
		ike "$mode" "$outer" nat "$path"
	older_than 6.11 ||
		run_full "NAT keepalives by the kernel, IPv$outer, fastpath $path" keepalives "$outer" "$path"
	run_full "NAT gets another address, IPv$outer, fastpath $path" new_address "$outer" "$path"
done
for way in tunnel-4-none-on transport-6-none-on beet-4-none-off tunnel-6-nat-on transport-4-nat-off; do
	IFS=- read -r mode outer nat path <<<"$way"
	[[ $whole || $way == *4-none* ]] || continue
	run "eesp, $mode over IPv$outer, NAT: $nat, fastpath $path" in_eesp carries "$mode" "$outer" "$nat" "$path"
done
for path in on off; do
	((factor == 1)) || continue
	run "eesp: NAT gives another port, fastpath $path" in_eesp new_port tunnel 4 $path
	run_full "eesp: NAT gets another address, fastpath $path" in_eesp new_address 6 $path
	run "eesp: IKE and keepalives, fastpath $path" in_eesp ike transport 6 none $path
done
links_gro
run "GRO, transport over IPv4" by_gro transport 4
if [[ $whole ]]; then
	run "GRO, tunnel over IPv4" by_gro tunnel 4
	run "GRO, transport over IPv6" by_gro transport 6
	run "GRO, BEET over IPv6" by_gro beet 6
fi
fastpath on
flush
finish
