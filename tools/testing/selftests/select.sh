#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# kernels: 6.1-cloud 7.3-uml
# check: 6.1-cloud
#
# Every packet takes the subspace that the documentation gives it: by CPU, DSCP, mark
# and flow, and by a class and the CPU; machines that share an SA stay in their ranges.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-wire.sh"

cpus=$(nproc)

# An SA of those words on the sender, and one that takes what it sends
# shellcheck disable=SC2086 # FORMAT is words
sender() { # 4|6 word...
	local o1 o2

	outer "$1"
	shift
	ip -n "$g1" xfrm state add src "$o1" dst "$o2" proto esp spi 0x100 reqid 1 \
		mode tunnel flag af-unspec aead "$aead" "$key1" 128 ext ${FORMAT-} "$@"
	ip -n "$g2" xfrm state add src "$o1" dst "$o2" proto esp spi 0x100 reqid 1 \
		mode tunnel flag af-unspec aead "$aead" "$key1" 128 ext ${FORMAT-} rx-subspaces "${RX:-65536}"
}

# Packets of each subspace, as "ID:PACKETS ...", at the receiver
got() {
	block "$g2" 0x100 -s | awk '$1 == "rx-subspace" { printf "%s:%s ", $2, $6 }'
}

got_is() {
	[[ $(got) == "$1" ]]
}

gets() { # what
	if ! wait_for 5 got_is "$1"; then
		expect "packets of each subspace" "$(got)" "$1"
	fi
	expect "drops on the sender" "$(drops "$g1" 0x100)" none
	expect "drops on the receiver" "$(drops "$g2" 0x100)" none
}

begin() { # 4|6 fastpath
	flush
	policies "$1"
	fastpath "$2"
}

# Class Selectors: eight classes have eight code points each
by_dscp() { # 4|6 inner-address fastpath
	local d

	begin "$1" "$3"
	sender "$1" tx-subspaces 8 select dscp
	for d in 0 7 8 10 14 46 48 63; do
		echo "0 $d 0 1000 $((d + 1))"
	done | datagrams "$2"
	# 0 and 7; 8, 10 and 14; 46; 48; 63
	gets '0:9 1:35 5:47 6:49 7:64 '
}

by_dscp_fully() {
	begin 4 on
	sender 4 tx-subspaces 64 select dscp
	printf '%s\n' '0 0 0 1000 1' '1 46 0 1000 2' '2 63 0 1000 3' | datagrams 10.2.0.1
	gets '0:1 46:2 63:3 '
}

by_map() {
	begin 4 on
	sender 4 tx-subspaces 3 select dscp select-dscp 46:2,10-14:1
	printf '%s\n' '0 0 0 1000 1' '1 9 0 1000 2' '1 10 0 1000 4' '2 14 0 1000 8' \
		'0 15 0 1000 16' '0 46 0 1000 32' '0 47 0 1000 64' | datagrams 10.2.0.1
	gets '0:83 1:12 2:32 '
	block "$g1" 0x100 | grep -q 'select dscp select-dscp 10-14:1,46:2'
}

# DSCP and CPU: class times three, plus CPU modulo three
by_dscp_and_cpu() { # fastpath
	begin 4 "$1"
	sender 4 tx-subspaces 6 tx-base 100 select dscp select-cpus 3 select-dscp 46:1
	printf '%s\n' '0 0 0 1000 1' '1 0 0 1000 2' '2 0 0 1000 4' '3 0 0 1000 8' \
		'0 46 0 1000 16' '3 46 0 1000 32' '2 46 0 1000 64' | datagrams 10.2.0.1
	gets '100:9 101:2 102:4 103:48 105:64 '
}

by_mark() { # fastpath
	begin 4 "$1"
	sender 4 tx-subspaces 5 select mark select-mask 0xf0 select-shift 4
	printf '%s\n' '0 0 0x00 1000 1' '1 0 0x10 1000 2' '2 0 0x54f 1000 4' \
		'3 0 0xabcd0051 1000 8' '0 0 0xf0 1000 16' | datagrams 10.2.0.1
	# 0, 5 and 15 modulo 5; 1; 4
	gets '0:25 1:2 4:4 '
	block "$g1" 0x100 | grep -q 'select mark select-mask 0xf0 select-shift 4'
}

# What the policy's routing saw is what counts, on both paths
by_mark_beside_output_mark() { # fastpath
	local o1 o2

	begin 4 "$1"
	outer 4
	ip -n "$g1" xfrm state add src "$o1" dst "$o2" proto esp spi 0x100 reqid 1 \
		mode tunnel flag af-unspec aead "$aead" "$key1" 128 output-mark 0x7 mask 0xf \
		ext tx-subspaces 4 select mark select-mask 0xf0 select-shift 4
	ip -n "$g2" xfrm state add src "$o1" dst "$o2" proto esp spi 0x100 reqid 1 \
		mode tunnel flag af-unspec aead "$aead" "$key1" 128 ext rx-subspaces 4
	printf '%s\n' '0 0 0x20 1000 3' '1 0 0x11 1000 5' | datagrams 10.2.0.1
	gets '1:5 2:3 '
}

# A flow stays where it is, whatever the CPU; many spread
by_flow() { # inner-address fastpath
	local n used

	begin 4 "$2"
	sender 4 tx-subspaces 8 select flow
	for ((n = 0; n < 16; n++)); do
		echo "$((n % cpus)) 0 0 1000 5"
	done | datagrams "$1"
	accepts "$g2" 0x100 80
	used=$(got)
	gets "${used%%:*}:80 "
	for ((n = 0; n < 64; n++)); do
		echo "0 0 0 $((2000 + n)) 1"
	done | datagrams "$1"
	accepts "$g2" 0x100 144
	used=$(got | wc -w)
	echo "# 65 flows in $used subspaces"
	[[ $used -ge 5 ]]
}

# More subspaces than CPUs, and fewer: each CPU is in one, and always the same
by_cpu() { # subspaces fastpath
	local cpu want

	begin 4 "$2"
	sender 4 tx-subspaces "$1"
	for ((cpu = 0; cpu < 4; cpu++)); do
		echo "$cpu 0 0 1000 $((1 << cpu))"
	done | datagrams 10.2.0.1
	case $1 in
	1) want='0:15 ' ;;
	3) want='0:9 1:2 2:4 ' ;;
	65536) want='0:1 1:2 2:4 3:8 ' ;;
	esac
	gets "$want"
}

# Two machines, one SA: nothing between them but their ranges. The third host stands
# where the first does: same addresses inside and outside, on a link of its own.
shared() {
	local g3=g3-$$ o1 o2 n pids=()

	begin 4 on
	outer 4
	netns_add "$g3"
	ip link add wan netns "$g3" type veth peer name wan3 netns "$g2"
	ip -n "$g2" link set wan3 up
	ip -n "$g2" addr add 10.0.3.2/24 dev wan3
	ip -n "$g3" -batch - <<-EOF
		addr add 10.0.3.1/24 dev wan
		addr add 10.0.0.1/32 dev lo
		addr add 10.1.0.1/24 dev lo
		link set wan up
		route add 10.2.0.0/24 via 10.0.3.2 src 10.1.0.1
		route add 10.0.0.2/32 via 10.0.3.2 src 10.0.0.1
	EOF
	policies_of "$g3" 10.1.0.0/24,10.2.0.0/24 fd01::/64,fd02::/64 "$o1" "$o2" 1 2
	sender 4 tx-subspaces 4 tx-base 0
	ip -n "$g3" xfrm state add src "$o1" dst "$o2" proto esp spi 0x100 reqid 1 \
		mode tunnel flag af-unspec aead "$aead" "$key1" 128 ext tx-subspaces 4 tx-base 4
	record "$tmp/one" "$g1" wan -Q out esp
	record "$tmp/two" "$g3" wan -Q out esp
	for n in "$g1" "$g3"; do
		printf '10.2.0.1 %s 0 0 1000 50\n' 0 1 2 3 | ip netns exec "$n" "$here/marked.py" 9 &
		pids+=($!)
	done
	for n in "${pids[@]}"; do
		wait "$n"
	done
	gets '0:50 1:50 2:50 3:50 4:50 5:50 6:50 7:50 '
	block "$g3" 0x100 | grep -q 'tx-subspaces 4 tx-base 4 select cpu$'
	recorded "$tmp/one" 200
	recorded "$tmp/two" 200
	# As if it had been one machine: no number and no IV twice
	reference_sa 4 '1>2' >"$tmp/sa"
	tcpdump -r "$tmp/two" -w "$tmp/two.pcap" 2>/dev/null
	"$reference/check_capture.py" --sa "$tmp/sa" --only --complete --min-packets 400 \
		--min-subspaces 8 "$tmp/one" "$tmp/two"
}

needs_cpus 4
sysctl -qw net.core.netdev_max_backlog=100000
modprobe xfrm_ext
pair
marked_open "$g1"
for path in on off; do
	# On our own path only
	[[ $whole || $path == on ]] || continue
	run "by DSCP, IPv4 in IPv4, fastpath $path" by_dscp 4 10.2.0.1 $path
	run "by DSCP, IPv6 in IPv6, fastpath $path" by_dscp 6 fd02::1 $path
	run "by DSCP and CPU, fastpath $path" by_dscp_and_cpu $path
	run "by mark, fastpath $path" by_mark $path
	run "by mark beside an output-mark, fastpath $path" by_mark_beside_output_mark $path
	run "by flow, IPv4, fastpath $path" by_flow 10.2.0.1 $path
	run "by flow, IPv6, fastpath $path" by_flow fd02::1 $path
	for n in 1 3 65536; do
		run "by CPU, $n subspaces, fastpath $path" by_cpu $n $path
	done
done
# There are no more Sub SAs than that, and each has its key
RX=1024
for path in on off; do
	[[ $whole || $path == on ]] || continue
	run "by DSCP and CPU, eesp, fastpath $path" in_eesp by_dscp_and_cpu $path
	run "by flow, eesp, fastpath $path" in_eesp by_flow 10.2.0.1 $path
done
run "by DSCP, eesp, IPv6 in IPv6" in_eesp by_dscp 6 fd02::1 on
run "by mark, eesp" in_eesp by_mark on
run "by CPU, 3 Sub SAs" in_eesp by_cpu 3 on
run "by a table of DSCPs, eesp" in_eesp by_map
RX=
run "by DSCP, all code points" by_dscp_fully
run "by a table of DSCPs" by_map
run "two machines share an SA" shared
fastpath on
flush
finish
