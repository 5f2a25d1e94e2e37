#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# kernels: 6.1-cloud 7.3-uml
#
# SAs in SAs, extended ones and plain ones in any order. And what transport mode meets
# that tunnels do not, or otherwise: link-local and multicast addresses, ESP in
# fragments, a router with a smaller MTU, NAT of decrypted and of not yet encrypted packets.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-wire.sh"
. "$(dirname "$0")/lib-ends.sh"

octets=$((60000 / factor))

# Addresses of c and s: outer, inner, and one of their own for a tunnel in another
addresses() { # 4|6
	case $1 in
	4) o=10.1.0.2,10.2.0.2 i=10.11.0.1,10.12.0.1 m=10.11.0.9,10.12.0.9 d=10.9.0.1,10.9.0.2 ;;
	6) o=fd01::2,fd02::2 i=fd11::1,fd12::1 m=fd11::9,fd12::9 d=fd09::1,fd09::2 ;;
	esac
}

# SAs and policies for what is between two addresses, at both ends: layers from the
# innermost to the outermost, each KIND,MODE,ADDRESS,ADDRESS; kind: ext, plain, eesp, or udp,
# which is extended with UDP encapsulation. (BEET can only be the innermost: the kernel
# compares its selector with the flow.) SPIs 0x101 and 0x201 are the innermost ones'.
layers() { # address,address layer...
	local i1=${1%,*} i2=${1#*,} kind mode a1 a2 n=0 words tx rx encap b1='' b2='' layer key inside=esp below OCTETS
	local -a sel=() tmpl12=('') tmpl21=('') middle=()

	shift
	new_keys
	printf 'xfrm %s flush\n' state policy >"$tmp/c.lines"
	cp "$tmp/c.lines" "$tmp/s.lines"
	for layer; do
		IFS=, read -r kind mode a1 a2 <<<"$layer"
		n=$((n + 1)) encap='' sel=('' '') OCTETS='' below=$inside inside=esp
		words="mode $mode"
		tx='ext tx-subspaces 4' rx='ext rx-subspaces 4'
		case $kind in
		plain) tx='replay-window 32' rx=$tx ;;
		eesp)
			tx='ext format eesp tx-subspaces 4' rx='ext format eesp rx-subspaces 4'
			OCTETS=32 inside=253
			;;
		udp) encap="encap espinudp 4500 4500 $([[ $a1 == *:* ]] && echo :: || echo 0.0.0.0)" ;;
		esac
		case $mode in
		tunnel) words+=' flag af-unspec' ;;
		beet) sel=("sel src $i1 dst $i2" "sel src $i2 dst $i1") ;;
		esac
		key_for "0x10$n"
		set_sa c "src $a1 dst $a2 proto esp spi 0x10$n reqid 10$n $words aead $aead $key 128 $encap ${sel[0]} $tx"
		set_sa s "src $a1 dst $a2 proto esp spi 0x10$n reqid 10$n $words aead $aead $key 128 $encap ${sel[0]} $rx"
		key_for "0x20$n"
		set_sa c "src $a2 dst $a1 proto esp spi 0x20$n reqid 20$n $words aead $aead $key 128 $encap ${sel[1]} $rx"
		set_sa s "src $a2 dst $a1 proto esp spi 0x20$n reqid 20$n $words aead $aead $key 128 $encap ${sel[1]} $tx"
		tmpl12[n]=" tmpl src $a1 dst $a2 proto esp reqid 10$n mode $mode"
		tmpl21[n]=" tmpl src $a2 dst $a1 proto esp reqid 20$n mode $mode"
		# ESP that comes out of a tunnel: kernels from 6.3 on ask a policy about it, too. EESP also if
		# it comes out of transport mode, where the kernel knows ESP, and goes on by itself
		if [[ ($mode == tunnel || $below == 253) && $n -gt 1 ]]; then
			middle+=("$n $b1 $b2 $below")
		fi
		b1=$a1 b2=$a2
	done
	for layer in "${middle[@]}"; do
		read -r n b1 b2 below <<<"$layer"
		echo "xfrm policy add src $b1 dst $b2 proto $below dir in priority 5 ${tmpl12[*]:n}" \
			>>"$tmp/s.lines"
		echo "xfrm policy add src $b2 dst $b1 proto $below dir in priority 5 ${tmpl21[*]:n}" \
			>>"$tmp/c.lines"
	done
	cat >>"$tmp/c.lines" <<-EOF
		xfrm policy add src $i1 dst $i2 dir out priority 10 ${tmpl12[*]}
		xfrm policy add src $i2 dst $i1 dir in priority 10 ${tmpl21[*]}
	EOF
	cat >>"$tmp/s.lines" <<-EOF
		xfrm policy add src $i1 dst $i2 dir in priority 10 ${tmpl12[*]}
		xfrm policy add src $i2 dst $i1 dir out priority 10 ${tmpl21[*]}
	EOF
	ip -n "$c" -batch - <"$tmp/c.lines"
	ip -n "$s" -batch - <"$tmp/s.lines"
}

set_sa() { # c|s words
	echo "xfrm state add $2" >>"$tmp/$1.lines"
}

small() { # address
	ip netns exec "$c" ping -q -c 3 -i 0.05 -W 10 "$1"
	traffic udp "$1" 7 1 100 1200
	traffic tcp "$1" 7 "$octets"
}

# How many packets a plain SA has sent
# shellcheck disable=SC2016 # awk's
oseq() { # ns spi
	block "$1" "$2" | sed -n 's/.* oseq \(0x[0-9a-f]*\),.*/\1/p'
}

# @i, @m and @o stand for the addresses
nested() { # path 4|6 @ layer...
	local path=$1 family=$2 i2 n=0 kind mode a1 a2 encap='' key

	fastpath "$path"
	addresses 6
	set -- "${@//@m6/$m}"
	addresses "$2"
	set -- "${@//@i/$i}"
	set -- "${@//@m/$m}"
	set -- "${@//@o/$o}"
	i2=${3#*,}
	layers "${@:3}"
	shift 3
	record_out "$tmp/pcap" "$c" wan
	small "$i2"
	record_end "$tmp/pcap" "$c" 10.1.9.1
	# What is in fragments behind ESP, too
	traffic udp "$i2" 7 5000
	for layer; do
		IFS=, read -r kind mode a1 a2 <<<"$layer"
		n=$((n + 1))
		if [[ $kind == plain ]]; then
			[[ $(($(oseq "$c" "0x10$n"))) -gt 5 && $(($(oseq "$s" "0x20$n"))) -gt 5 ]]
			continue
		fi
		arrived "0x10$n" "$c" "$s"
		arrived "0x20$n" "$s" "$c"
	done
	expect "clear packets" "$(tcpdump -nn -r "$tmp/pcap" 'tcp or udp port 7' 2>/dev/null)" ''
	# The outermost is all that is to be seen. Once for each is enough: it takes its time
	[[ $path-$family-$# == on-4-2 && $* != *@(plain|eesp)* ]] || return 0
	[[ $kind != udp ]] || encap=4500
	key_for "0x10$n"
	reference_end "0x10$n" "$key" "$mode" "$a1" "$a2" "$encap" "$encap" '' >"$tmp/sa"
	"$reference/check_capture.py" --sa "$tmp/sa" --only --complete --min-packets 10 "$tmp/pcap"
}

# --- addresses ----------------------------------------------------------------

# Neighbour discovery goes through the SAs as everything else does
link_local() { # path
	fastpath "$1"
	layers fe80::1,fe80::2 ext,transport,fe80::1,fe80::2
	ip -n "$c" neigh flush dev direct
	ip netns exec "$c" ping -q -c 3 -i 0.05 -W 10 fe80::2%direct
	ip netns exec "$c" "$here/hosts.py" ask fe80::2 direct "$octets"
	arrived 0x101 "$c" "$s"
	arrived 0x201 "$s" "$c"
}

# One SA for all of a group; who sends has joined, too, and gets its own by the SA
multicast() { # path 4|6 group
	local words n pids=()

	fastpath "$1"
	addresses "$2"
	set -- "$1" "$3" "${d%,*}"
	words="src $3 dst $2 proto esp spi 0x101 reqid 1 mode transport aead $aead $key1 128 ext"
	ip -n "$c" -batch - <<-EOF
		xfrm state flush
		xfrm policy flush
		xfrm state add $words tx-subspaces 4 rx-subspaces 4
		xfrm policy add src $3 dst $2 dir out tmpl proto esp reqid 1 mode transport
		xfrm policy add src $3 dst $2 dir in tmpl proto esp reqid 1 mode transport
	EOF
	ip -n "$s" -batch - <<-EOF
		xfrm state flush
		xfrm policy flush
		xfrm state add $words rx-subspaces 4
		xfrm policy add src $3 dst $2 dir in tmpl proto esp reqid 1 mode transport
	EOF
	for n in "$c" "$s"; do
		rm -f "$tmp/$n.group"
		ip netns exec "$n" "$here/hosts.py" receive "$2" direct 20 >"$tmp/$n.group" &
		pids+=($!)
		wait_for 20 grep -q ready "$tmp/$n.group"
	done
	ip netns exec "$c" "$here/hosts.py" send "$2" direct "$3" 20
	for n in "$c" "$s"; do
		wait_for 10 grep -q all "$tmp/$n.group"
	done
	wait "${pids[@]}"
	expect "packets sent" "$(stat "$c" 0x101 tx-packets)" 20
	expect "packets received" "$(stat "$c" 0x101 rx-packets) $(stat "$s" 0x101 rx-packets)" "20 20"
	expect "drops" "$(drops "$c" 0x101) $(drops "$s" 0x101)" "none none"
}

# --- lengths ------------------------------------------------------------------

# A counter of IP, by the name that IPv4 gives it
ip_count() { # ns 4|6 name
	if [[ $2 == 4 ]]; then
		# shellcheck disable=SC2016 # awk's
		ip netns exec "$1" awk -v name="$3" '$1 == "Ip:" && !n {
			for (n = 2; $n != name;) n++; next }
			$1 == "Ip:" { print $n; exit }' /proc/net/snmp
	else
		# shellcheck disable=SC2016
		ip netns exec "$1" awk -v name="Ip6$3" '$1 == name { print $2 }' /proc/net/snmp6
	fi
}

# All MTUs learnt so far are forgotten; r's link to s carries so much
router_mtu() { # octets
	local n

	ip -n "$r" link set out mtu "$1"
	ip -n "$s" link set wan mtu "$1"
	for n in "$a" "$c" "$r" "$s"; do
		ip -n "$n" route flush cache
		ip -n "$n" -6 route flush cache
	done
}

# ESP packets in fragments are put together before we see them
fragments() { # path 4|6
	local before cut key

	fastpath "$1"
	addresses "$2"
	# By the sender: transport mode does not cut before
	layers "$o" "ext,transport,$o"
	before=$(ip_count "$s" "$2" ReasmOKs)
	traffic udp "${o#*,}" 7 5000 3000 20000
	expect "put together" $(($(ip_count "$s" "$2" ReasmOKs) - before)) 3
	arrived_exactly 3
	# By a router: IPv4, and a tunnel that lets it
	[[ $2 == 4 ]] || return 0
	layers "$i" "ext,tunnel,$o"
	# What has not sent yet goes on as the same
	key_for 0x101
	ip -n "$c" xfrm state delete src "${o%,*}" dst "${o#*,}" proto esp spi 0x101
	ip -n "$c" xfrm state add src "${o%,*}" dst "${o#*,}" proto esp spi 0x101 reqid 101 \
		mode tunnel flag nopmtudisc flag af-unspec aead "$aead" "$key" 128 ext tx-subspaces 4
	router_mtu 1300
	before=$(ip_count "$s" 4 ReasmOKs)
	cut=$(ip_count "$r" 4 FragOKs)
	traffic udp "${i#*,}" 7 1250
	router_mtu 1500
	expect "put together" $(($(ip_count "$s" 4 ReasmOKs) - before)) 1
	expect "cut by the router" $(($(ip_count "$r" 4 FragOKs) - cut)) 1
	arrived_exactly 1
}

arrived_exactly() { # packets
	accepts "$s" 0x101 "$1"
	expect "sent" "$(stat "$c" 0x101 tx-packets)" "$1"
	expect "drops" "$(drops "$c" 0x101) $(drops "$s" 0x101)" "none none"
}

# The longest packet whose ESP packet has at most 1,300 octets. header: what stands before
# ESP; own: what of that belongs to the packet itself. (As in pmtu.sh.)
longest() { # header own
	local payload=1000

	while (($1 + 12 + 8 + ((payload + 1 + 2 + 3) & ~3) + 16 <= 1300)); do
		payload=$((payload + 1))
	done
	echo $((payload + $2))
}

# r drops what is too long and tells c; c tells those who send
pmtu() { # path 4|6 tunnel|transport
	local header=20 mtu from=$c target head before

	fastpath "$1"
	addresses "$2"
	[[ $2 == 4 ]] || header=40
	case $3 in
	transport)
		layers "$o" "ext,transport,$o"
		mtu=$(longest "$header" "$header")
		target=${o#*,}
		;;
	tunnel)
		layers "$i" "ext,tunnel,$o"
		# What a sends is forwarded
		ip -n "$c" xfrm policy add src "${a_at[$2]}" dst "${i#*,}" dir out \
			tmpl src "${o%,*}" dst "${o#*,}" proto esp reqid 101 mode tunnel
		ip -n "$c" xfrm policy add dst "${a_at[$2]}" src "${i#*,}" dir fwd \
			tmpl src "${o#*,}" dst "${o%,*}" proto esp reqid 201 mode tunnel
		ip -n "$s" xfrm policy add src "${a_at[$2]}" dst "${i#*,}" dir in \
			tmpl src "${o%,*}" dst "${o#*,}" proto esp reqid 101 mode tunnel
		ip -n "$s" xfrm policy add dst "${a_at[$2]}" src "${i#*,}" dir out \
			tmpl src "${o#*,}" dst "${o%,*}" proto esp reqid 201 mode tunnel
		mtu=$(longest "$header" 0)
		target=${i#*,}
		from=$a
		;;
	esac
	router_mtu 1300
	head=$((header + 8))
	# The first gets lost. IPv6's own packets are cut behind ESP then, as by plain ESP
	if [[ $2-$3 == 6-transport ]]; then
		before=$(ip_count "$s" 6 ReasmOKs)
		wait_for 10 ip netns exec "$c" ping -q -c 1 -W 1 -s $((mtu - head + 1)) "$target"
		expect "put together" $(($(ip_count "$s" 6 ReasmOKs) - before)) 1
	else
		wait_for 10 told_mtu "$from" "$mtu" $((mtu - head + 1)) "$target"
	fi
	ip netns exec "$from" ping -q -c 2 -i 0.05 -W 10 -M "do" -s $((mtu - head)) "$target"
	traffic tcp "$target" 7 "$octets"
	router_mtu 1500
	expect "drops" "$(drops "$c" 0x101) $(drops "$s" 0x101)" "none none"
}

told_mtu() { # ns mtu length target
	ip netns exec "$1" ping -c 1 -W 1 -M "do" -s "$3" "$4" >"$tmp/ping" 2>&1 || true
	grep -Eq "(DF set \\(mtu = |Packet too big: mtu=|message too long, mtu[=:] ?)$2\\b" "$tmp/ping"
}

# --- netfilter ----------------------------------------------------------------

# Decrypted packets pass PRE_ROUTING, and may get another port and another address there;
# the answers get back theirs before they are encrypted
translated_in() { # path 4|6
	local proto=ip to=(10.12.0.1 10.2.0.2)

	fastpath "$1"
	addresses "$2"
	[[ $2 == 4 ]] || proto=ip6 to=('[fd12::1]' '[fd02::2]')
	layers "$o" "ext,transport,$o"
	ip netns exec "$s" nft -f - <<-EOF
		table $proto nat {
			chain received {
				type nat hook prerouting priority dstnat
				meta l4proto { tcp, udp } th dport 98 dnat to ${to[0]}:7
				meta l4proto { tcp, udp } th dport 99 dnat to ${to[1]}:7
			}
		}
	EOF
	for port in 98 99; do
		traffic udp "${o#*,}" "$port" 1 100 1300
	done
	# To another address not in bulk: the answers' route does not know of ESP, and plain
	# ESP has the same trouble with what is too long then
	traffic tcp "${o#*,}" 98 400
	traffic tcp "${o#*,}" 99 "$octets"
	arrived 0x101 "$c" "$s"
	arrived 0x201 "$s" "$c"
	ip netns exec "$s" nft flush ruleset
}

# A packet that gets another source behind routing has another policy then
translated_out() { # path 4|6
	local proto=ip

	fastpath "$1"
	addresses "$2"
	[[ $2 == 4 ]] || proto=ip6
	layers "$o" "ext,transport,$o"
	ip netns exec "$c" nft -f - <<-EOF
		table $proto nat {
			chain sent {
				type nat hook postrouting priority srcnat
				$proto saddr ${i%,*} snat to ${o%,*}
			}
		}
	EOF
	ip netns exec "$c" ping -q -c 6 -i 0.05 -W 10 -I "${i%,*}" "${o#*,}"
	ip netns exec "$c" nft flush ruleset
	arrived 0x101 "$c" "$s"
	arrived 0x201 "$s" "$c"
	expect "packets" "$(stat "$c" 0x101 tx-packets)" 6
}

# -------------------------------------------------------------------------------

sysctl -qw net.core.netdev_max_backlog=100000
modprobe -a xfrm_ext nf_defrag_ipv6
# As where there are such interfaces: see layers()
modprobe -q xfrm_interface || true
topology
a=a$$
netns_add "$a"
link "$a" lan 10.3.0.2 fd03::2 "$c" lan 10.3.0.1 fd03::1
declare -A a_at=([4]=10.3.0.2 [6]=fd03::2)
ip -n "$a" -batch - <<-EOF
	route add default via 10.3.0.1
	route add default via fd03::1
EOF
link "$c" direct 10.9.0.1 fd09::1 "$s" direct 10.9.0.2 fd09::2
ip -n "$c" -batch - <<-EOF
	addr add 10.1.9.2/24 dev wan
	addr add 10.11.0.9/32 dev lo
	addr add fd11::9/128 dev lo nodad
	addr add fe80::1/64 dev direct nodad
EOF
ip -n "$r" addr add 10.1.9.1/24 dev in
ip -n "$s" -batch - <<-EOF
	addr add 10.12.0.9/32 dev lo
	addr add fd12::9/128 dev lo nodad
	addr add fe80::2/64 dev direct nodad
	route add 10.3.0.0/24 via 10.2.0.1 src 10.12.0.1
	route add fd03::/64 via fd02::1 src fd12::1
EOF
for n in "$c" "$s"; do
	ip netns exec "$n" sysctl -qw net.ipv4.ipfrag_time=5 net.ipv6.ip6frag_time=5
done
for address in 10.2.0.2 fd02::2 10.12.0.1 fd12::1; do
	ip netns exec "$s" "$here/traffic.py" serve $address 7 &
done
ip netns exec "$s" "$here/hosts.py" answer fe80::2 direct >"$tmp/answer" &
wait_for 20 grep -q ready "$tmp/answer"
socks "$c" 4500
socks "$s" 4500
traffic_open "$c"
for address in 10.2.0.2 fd02::2 10.12.0.1 fd12::1; do
	case $address in
	10.12.* | fd12*)
		addresses "$([[ $address == *:* ]] && echo 6 || echo 4)"
		layers "$i" "ext,tunnel,$o"
		;;
	esac
	wait_for 20 traffic udp $address 7 1
	flush
done

# In some of the ways: path and family. One kernel does all, the others the first
ways() { # "PATH-FAMILY..." description function [word...]
	local way path family

	for way in $1; do
		IFS=- read -r path family <<<"$way"
		run "$2, IPv$family, fastpath $path" "$3" "$path" "$family" "${@:4}"
		[[ $whole ]] || break
	done
}

ways 'on-4 off-6' "tunnel in tunnel" nested @i ext,tunnel,@m ext,tunnel,@o
ways 'on-6 off-4' "transport in tunnel" nested @i ext,transport,@i ext,tunnel,@o
ways 'on-4 off-6' "transport in transport" nested @o ext,transport,@o ext,transport,@o
ways 'off-4 on-6' "tunnel in a plain tunnel" nested @i ext,tunnel,@m plain,tunnel,@o
ways 'on-4 off-6' "a plain tunnel in a tunnel" nested @i plain,tunnel,@m ext,tunnel,@o
ways 'on-6 off-4' "plain transport in transport" nested @o plain,transport,@o ext,transport,@o
ways 'on-4 off-6' "transport in plain transport" nested @o ext,transport,@o plain,transport,@o
ways 'off-6 on-4' "tunnel in transport" nested @i ext,tunnel,@o ext,transport,@o
ways 'on-4 off-6' "transport in UDP" nested @i ext,transport,@i udp,tunnel,@o
ways 'on-6 off-4' "BEET in tunnel" nested @i ext,beet,@m ext,tunnel,@o
ways 'on-4 off-4' "tunnel for IPv4 in one for IPv6" nested @i ext,tunnel,@m6 ext,tunnel,@o
ways 'on-4 off-6' "eesp: tunnel in tunnel" nested @i eesp,tunnel,@m eesp,tunnel,@o
ways 'on-6 off-4' "eesp: transport in tunnel" nested @i eesp,transport,@i ext,tunnel,@o
ways 'on-4 off-6 off-4' "eesp: transport in transport" nested @o eesp,transport,@o eesp,transport,@o
ways 'on-6 off-4' "eesp: in plain transport" nested @o eesp,transport,@o plain,transport,@o
ways 'off-6 on-4' "eesp: plain transport in it" nested @o plain,transport,@o eesp,transport,@o
ways 'on-4 off-6' "eesp: BEET in tunnel" nested @i eesp,beet,@m eesp,tunnel,@o
ways 'on-4 off-4' "eesp: in a plain tunnel" nested @i eesp,tunnel,@m plain,tunnel,@o
# The kernel takes no transport mode of another family than the packet's in such a chain
ways 'on-6 off-4' "five" nested @i ext,transport,@i ext,tunnel,@m plain,transport,@m \
	ext,tunnel,@o ext,transport,@o
ways 'on-6 off-6' "link-local addresses" link_local
ways 'on-4' "a group" multicast 239.1.2.3
ways 'on-6' "a group" multicast ff05::1:3
ways 'off-6' "a group of the link" multicast ff02::1:3
ways 'on-4 off-4' "ESP in fragments" fragments
ways 'on-6' "ESP in fragments" fragments
ways 'on-4 off-6' "a smaller MTU on the way of a tunnel" pmtu tunnel
ways 'off-4 on-6' "a smaller MTU on the way of transport mode" pmtu transport
ways 'on-4 off-4 on-6' "DNAT of decrypted packets" translated_in
ways 'on-6 off-4' "SNAT of packets to be encrypted" translated_out
fastpath on
flush
finish
