#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# check: 7.3-uml
#
# Each subspace a flow of its own, outside: UDP source ports and IPv6 flow labels, in every
# mode and on both paths, through NAT; what the kernel tells key managers of it, and what it
# does not; and that Linux (RPS) spreads one SA over CPUs by it.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-wire.sh"
. "$(dirname "$0")/lib-ends.sh"

n=16 in1=10.11.0.1 in2=10.12.0.1

addresses() { # 4|6
	case $1 in
	4) o1=10.1.0.2 o2=10.2.0.2 n1=10.2.0.1 any=0.0.0.0 ;;
	6) o1=fd01::2 o2=fd02::2 n1=fd02::1 any=:: ;;
	esac
}

# From c to s in n subspaces, by the packet's mark; back in one
sas() { # mode 4|6 udp|esp words-of-sender words-of-receiver [address-of-c port-of-c, as s sees them]
	local mode=$1 encap='' back='' far p1=${7-4500}

	addresses "$2"
	far=${6-$o1}
	[[ $mode != transport ]] || in1=$o1 in2=$o2
	[[ $mode == transport ]] || in1=10.11.0.1 in2=10.12.0.1
	new_keys
	for end in "$c $o1 4500" "$s $far $p1"; do
		read -r ns far p1 <<<"$end"
		[[ $3 == esp ]] || encap="encap espinudp $p1 4500 $any" back="encap espinudp 4500 $p1 $any"
		[[ $mode != transport ]] || in1=$far
		{
			printf 'xfrm %s flush\n' state policy
			if [[ $ns == "$c" ]]; then
				mode_lines "$mode" out 0x100 1 "$key1" "$in1" "$in2" "$far" "$o2" "$encap ext tx-subspaces $n select mark $4"
				mode_lines "$mode" in 0x200 2 "$key2" "$in2" "$in1" "$o2" "$far" "$back ext rx-subspaces 1"
			else
				mode_lines "$mode" in 0x100 1 "$key1" "$in1" "$in2" "$far" "$o2" "$encap ext rx-subspaces $n $5"
				mode_lines "$mode" out 0x200 2 "$key2" "$in2" "$in1" "$o2" "$far" "$back ext tx-subspaces 1"
			fi
		} | ip -n "$ns" -batch -
	done
}

# Each subspace asks, and is answered
ask() { # times [subspaces]
	local mark

	for mark in ${2-$(seq 0 $((n - 1)))}; do
		ip netns exec "$c" ping -q -c "$1" -i 0.01 -W 10 -m "$mark" "$in2"
	done
}

watch() {
	record "$tmp/pcap" "$r" in "src host $o1 or src net 10.1.0.0/24"
}

# Ports and labels of the subspaces, as r sees them; all of them were there, so often
seen() { # packets-of-each
	wait_for 20 seen_are $((n * $1))
	kill -INT "$(<"$tmp/pcap.pid")"
	wait "$(<"$tmp/pcap.pid")"
	"$here/spread.py" "$tmp/pcap" 0x100 | tee "$tmp/flows"
	expect "subspaces" "$(cut -d ' ' -f 1 "$tmp/flows" | xargs)" "$(seq 0 $((n - 1)) | xargs)"
	expect "packets of each" "$(cut -d ' ' -f 4 "$tmp/flows" | sort -u)" "$1"
}

seen_are() {
	"$here/spread.py" "$tmp/pcap" 0x100 | awk -v all="$1" '{ n += $4 } END { exit n < all }'
}

ports() {
	cut -d ' ' -f 2 "$tmp/flows"
}

labels() {
	cut -d ' ' -f 3 "$tmp/flows"
}

# One for each, none of them 0
all_different() { # what words
	expect "$1: different ones" "$(sort -u <<<"$2" | wc -l)" "$n"
	! grep -qx '0x00000' <<<"$2"
}

all_the_same() { # what words wanted
	expect "$1" "$(sort -u <<<"$2")" "$3"
}

by_port() {
	all_different ports "$(ports)"
	# That of IKE, and dynamic ones
	expect "port of subspace 0" "$(ports | head -n 1)" 4500
	ports | tail -n +2 | awk '$1 < 49152 { exit 1 }'
}

# As they should be
told_apart() { # 4|6 udp|esp
	case $2-$1 in
	udp-4) by_port ;;
	udp-6) all_the_same ports "$(ports)" 4500 ;;
	esp-*) all_the_same ports "$(ports)" - ;;
	esac
	case $1 in
	4) all_the_same labels "$(labels)" - ;;
	6) all_different labels "$(labels)" ;;
	esac
}

# --- on the wire ------------------------------------------------------------------

spread() { # mode 4|6 udp|esp fastpath
	fastpath "$4"
	sas "$1" "$2" "$3" "spread on" "spread on"
	block "$c" 0x100 | grep -qw 'spread on'
	block "$s" 0x100 | grep -qw 'spread on'
	told_before "$s"
	watch
	ask 2
	seen 2
	told_apart "$2" "$3"
	expect "packets" "$(stat "$s" 0x100 rx-packets)" $((2 * n))
	expect "drops" "$(drops "$c" 0x100) $(drops "$s" 0x100)" "none none"
	expect "mappings told" "$(told "$s" mapping) $(told "$c" mapping)" "0 0"
	fastpath on
}

# Packets of nothing look like the others of their subspace
dummies() { # 4|6 udp|esp
	local place

	sas tunnel "$1" "$2" "spread on" "spread on"
	watch
	ask 1
	for ((place = 0; place < n; place++)); do
		ip -n "$c" xfrm ext dummy dst "$o2" spi 0x100 len 40 tx-subspace "$place"
	done
	seen 2
	told_apart "$1" "$2"
	expect "drops" "$(drops "$s" 0x100)" "rx-dummy $n"
}

# Without it, they are one
together() { # 4|6 udp|esp
	sas tunnel "$1" "$2" '' ''
	watch
	ask 1
	seen 1
	all_the_same ports "$(ports)" "$([[ $2 == esp ]] && echo - || echo 4500)"
	all_the_same labels "$(labels)" "$([[ $1 == 4 ]] && echo - || echo 0x00000)"
}

# The flow label inside stays inside, and the same
label_inside() {
	sas tunnel 6 esp "spread on" "spread on"
	ip -n "$c" -batch - <<-EOF
		xfrm policy flush
		xfrm policy add src fd11::1 dst fd12::1 dir out tmpl src $o1 dst $o2 proto esp reqid 1 mode tunnel
		xfrm policy add src fd12::1 dst fd11::1 dir in tmpl src $o2 dst $o1 proto esp reqid 2 mode tunnel
	EOF
	ip -n "$s" -batch - <<-EOF
		xfrm policy flush
		xfrm policy add src fd11::1 dst fd12::1 dir in tmpl src $o1 dst $o2 proto esp reqid 1 mode tunnel
		xfrm policy add src fd12::1 dst fd11::1 dir out tmpl src $o2 dst $o1 proto esp reqid 2 mode tunnel
	EOF
	ip netns exec "$s" nft -f - <<-EOF
		table ip6 labels {
			chain received {
				type filter hook input priority 0
				ip6 saddr fd11::1 ip6 flowlabel 0x12345 counter
				ip6 saddr fd11::1 ip6 flowlabel != 0x12345 counter
			}
		}
	EOF
	watch
	ip netns exec "$c" ping -q -c 3 -i 0.01 -W 10 -F 0x12345 -m 5 fd12::1
	kill -INT "$(<"$tmp/pcap.pid")"
	wait "$(<"$tmp/pcap.pid")"
	"$here/spread.py" "$tmp/pcap" 0x100 | tee "$tmp/flows"
	expect "outside" "$(labels | grep -c 0x12345 || true)" 0
	expect "inside" "$(ip netns exec "$s" nft list ruleset | grep -o 'counter packets [0-9]*' | xargs)" \
		"counter packets 3 counter packets 0"
	ip netns exec "$s" nft flush ruleset
}

# --- the path's MTU ---------------------------------------------------------------

# Not by udp_err() of Debian's 6.12.95, as by those of 6.1.192 and 7.3: without a socket it
# does not look at the route
hears_every_port() {
	[[ $(uname -r) != 6.12.95* ]]
}

# What a router says of packets from ports that no socket has
too_big() { # 4|6
	sas tunnel "$1" udp "spread on" "spread on"
	ip netns exec "$c" ping -q -c 1 -W 10 -m 5 "$in2"
	expect "MTU learned" "$(path_mtu)" ''
	ip -n "$r" link set out mtu 1300
	ip netns exec "$c" ping -q -c 1 -W 1 -M 'do' -s 1350 -m 5 "$in2" || true
	if [[ $1 == 4 ]] && ! hears_every_port; then
		# Subspace 0 has the port of IKE's socket, and the route is everybody's
		expect "MTU learned" "$(path_mtu)" ''
		ip netns exec "$c" ping -q -c 1 -W 1 -M 'do' -s 1350 -m 0 "$in2" || true
	fi
	wait_for 10 path_mtu_is 1300
	ip netns exec "$c" ping -c 1 -W 1 -M 'do' -s 1350 -m 5 "$in2" >"$tmp/ping" 2>&1 || true
	grep -qi 'message too long' "$tmp/ping"
	ip netns exec "$c" ping -q -c 1 -W 10 -M 'do' -s 1100 -m 5 "$in2"
	ip -n "$r" link set out mtu 1500
	ip -n "$c" -"$1" route flush cache
}

path_mtu_is() { # octets
	[[ $(path_mtu) == "$1" ]]
}

path_mtu() {
	ip -n "$c" route get "$o2" | sed -n 's/.*\<mtu \([0-9]*\).*/\1/p'
}

# --- key managers ----------------------------------------------------------------

# A receiver that does not know takes every other port for a peer that has moved. Over IPv6
# there are none
unaware() { # 4|6
	sas tunnel "$1" udp "spread on" ''
	told_before "$s"
	ask 1 "0 3"
	expect "packets" "$(stat "$s" 0x100 rx-packets)" 2
	if [[ $1 == 6 ]]; then
		expect "mappings told" "$(told "$s" mapping)" 0
		return
	fi
	wait_for 10 is_told "$s" "mapping 0x00000100 $o1 4500 $o1 [0-9]*\$" 1
	told_before "$s"
}

# r has subspaces appear from other ports; only that of the peer's IKE is his. If all have
# that one, each tells
moved() { # 4|6
	addresses "$1"
	sas tunnel "$1" udp "spread on" "spread on" "$n1" 20000
	nat 20000
	told_before "$s"
	ask 2
	expect "mappings told" "$(told "$s" mapping)" 0
	expect "packets" "$(stat "$s" 0x100 rx-packets)" $((2 * n))
	nat 20001
	ip netns exec "$c" ping -q -c 2 -i 0.01 -W 1 -m 3 "$in2" || true
	wait_for 10 received "$((2 * n + 2))"
	if [[ $1 == 4 ]]; then
		expect "mappings told, not of subspace 0" "$(told "$s" mapping)" 0
		ip netns exec "$c" ping -q -c 1 -W 1 -m 0 "$in2" || true
		wait_for 10 is_told "$s" "mapping 0x00000100 $n1 20000 $n1 20001\$" 1
	else
		wait_for 10 is_told "$s" "mapping 0x00000100 $n1 20000 $n1 20001\$" 2
	fi
	told_before "$s"
	nat
}

received() { # packets
	[[ $(stat "$s" 0x100 rx-packets) == "$1" ]]
}

# --- what can be, and what cannot -------------------------------------------------

refusals() {
	local line="xfrm state add src 10.1.0.2 dst 10.2.0.2 proto esp spi 0x300 aead $aead $key1 128"
	local line6=${line//10.1.0.2/fd01::2}
	local why='the outer header has no place for it; must be encap over IPv4 (2), or a tunnel over IPv6 (10)'

	line6=${line6//10.2.0.2/fd02::2}
	ip -n "$c" -batch - <<<$'xfrm state flush\nxfrm policy flush'
	asked "spread on with mode 1 and outer family 2: $why" "$line mode tunnel ext tx-subspaces 2 spread on"
	asked "spread on with mode 0 and outer family 10: $why" "$line6 mode transport ext tx-subspaces 2 spread on"
	asked "spread on with mode 0 and outer family 10: $why" \
		"$line6 mode transport encap espinudp 4500 4500 :: ext tx-subspaces 2 spread on"
	asked "spread on with mode 4 and outer family 10: $why" \
		"$line6 mode beet sel src fd11::1 dst fd12::1 ext tx-subspaces 2 spread on"
	asked "spread on with mode 4 and outer family 10: $why" \
		"$line6 mode beet sel src 10.11.0.1 dst 10.12.0.1 ext tx-subspaces 2 spread on beet-frag on"
	asked 'spread on with format esp (1), which has one counter: must be esp64 (0)' \
		"$line6 mode tunnel ext format esp tx-subspaces 1 spread on"
	expect "SAs" "$(ip -n "$c" xfrm state)" ''
	# It is off
	ip -n "$c" -batch - <<<"$line mode tunnel ext tx-subspaces 2 spread off"
	! block "$c" 0x300 | grep -w spread
}

asked() { # text line
	refused "xfrm_ext: $1" ip -n "$c" -batch - <<<"$2"
}

# Of an SA that a rule has made, whoever made it: where there is a place for it
by_rule() { # 4|6 udp|esp
	local encap='' back='' ns

	addresses "$1"
	in1=10.11.0.1 in2=10.12.0.1
	new_keys
	[[ $2 == esp ]] || encap="encap espinudp 4500 4500 $any" back=$encap
	for ns in "$c" "$s"; do
		ip -n "$ns" xfrm ext rule flush
		ip -n "$ns" xfrm ext rule add format esp64 tx-subspaces "$n" rx-subspaces "$n" select mark spread on
		ip -n "$ns" xfrm ext rule list | grep -qw 'spread on'
		{
			printf 'xfrm %s flush\n' state policy
			mode_lines tunnel "$([[ $ns == "$c" ]] && echo out || echo in)" 0x100 1 "$key1" "$in1" "$in2" "$o1" "$o2" "$encap"
			mode_lines tunnel "$([[ $ns == "$c" ]] && echo in || echo out)" 0x200 2 "$key2" "$in2" "$in1" "$o2" "$o1" "$back"
		} | ip -n "$ns" -batch -
	done
	told_before "$s"
	watch
	ask 1
	seen 1
	if [[ $1-$2 == 4-esp ]]; then
		all_the_same ports "$(ports)" -
	else
		told_apart "$1" "$2"
	fi
	expect "mappings told" "$(told "$s" mapping) $(told "$c" mapping)" "0 0"
	for ns in "$c" "$s"; do
		ip -n "$ns" xfrm ext rule flush
	done
}

# --- what it is for ----------------------------------------------------------------

# With nothing installed at the receiver: where the ESP packets are worked on
rps() { # 4|6 udp|esp on|off
	local counted

	sas tunnel "$1" "$2" "spread $3" "spread $3"
	ip netns exec "$s" nft -f - <<-EOF
		table inet cpus {
			chain arrived {
				type filter hook prerouting priority raw
				iifname wan meta l4proto { esp, udp } jump count
			}
			chain count {
				meta cpu 0 counter
				meta cpu != 0 counter
			}
		}
	EOF
	ask 4
	counted=$(ip netns exec "$s" nft list ruleset | awk '/meta cpu .* counter/ { print $(NF - 2) }')
	ip netns exec "$s" nft flush ruleset
	echo "# packets on the first CPU, and on others: ${counted//$'\n'/ }"
	case $3 in
	# Each of 16 flows takes one of them
	on) ! grep -qx 0 <<<"$counted" ;;
	off) expect "CPUs without a packet" "$(grep -cx 0 <<<"$counted")" 1 ;;
	esac
}

unload() {
	ip -n "$c" -batch - <<<$'xfrm state flush\nxfrm policy flush'
	ip -n "$s" -batch - <<<$'xfrm state flush\nxfrm policy flush'
	wait_for 30 module_goes
}

needs_cpus 2
modprobe xfrm_ext
topology
socks "$c" 4500
socks "$s" 4500
for path in on off; do
	for family in 4 6; do
		run "UDP, tunnel over IPv$family, fastpath $path" spread tunnel $family udp $path
		[[ $family == 6 ]] ||
			run "UDP, transport over IPv$family, fastpath $path" spread transport $family udp $path
		run "UDP, BEET over IPv$family, fastpath $path" spread beet $family udp $path
	done
	run "tunnel over IPv6, fastpath $path" spread tunnel 6 esp $path
	run "BEET, IPv4 over IPv6, fastpath $path" spread beet 6 esp $path
done
for family in 4 6; do
	run "not asked for, UDP over IPv$family" together $family udp
	run "not asked for, IPv$family" together $family esp
	run "a receiver that does not know, IPv$family" unaware $family
	run "NAT, IPv$family" moved $family
	run "too big, IPv$family" too_big $family
	run "by rule, UDP over IPv$family" by_rule $family udp
	run "by rule, IPv$family" by_rule $family esp
done
run "dummy packets, UDP over IPv4" dummies 4 udp
run "dummy packets, IPv6" dummies 6 esp
run "the label inside" label_inside
run "refused" refusals
ip netns exec "$s" sh -c 'echo 3 >/sys/class/net/wan/queues/rx-0/rps_cpus'
for family in 4 6; do
	run "RPS, UDP over IPv$family" rps $family udp on
	run "RPS, UDP over IPv$family, not asked for" rps $family udp off
done
run "RPS, IPv6" rps 6 esp on
run "RPS, IPv6, not asked for" rps 6 esp off
run "the module can be unloaded" unload
finish
