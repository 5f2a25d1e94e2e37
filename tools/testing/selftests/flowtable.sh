#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 900
#
# SAs under nft's flowtable, at both gateways: each test for stock ESP and for extended SAs, and
# what it wants is the same for both. What passes the forward chain is counted: of flows that
# are offloaded, nothing does. Documentation/flowtable.rst claims what is shown here.
. "$(dirname "$0")/lib.sh"
. "$here/lib-wire.sh"

# Flowtables at both gateways, with rules of nat before them
flowtables() { # rules-of-g1 rules-of-g2
	local n rules=("$@")

	for n in 1 2; do
		ip netns exec "$(ns_of "$n")" nft -f - <<-EOF2
			flush ruleset
			${rules[n - 1]-}
			table inet ft {
				flowtable f {
					hook ingress priority 0
					devices = { lan, wan }
				}
				chain forward {
					type filter hook forward priority 0
					th dport 9 counter
					th sport 9 counter
					meta l4proto { tcp, udp } flow add @f
				}
			}
		EOF2
	done
}

# Nothing of the test before; then SAs, and flowtables. Policies change what is known of routes,
# and so flows: they come first
begin() { # stock|ext 4|6 [rules-of-g1 [rules-of-g2]]
	new_keys
	tunnel_end 1 tx rx "$2" 4 | as "$1" | ip -n "$g1" -batch -
	tunnel_end 2 rx tx "$2" 4 | as "$1" | ip -n "$g2" -batch -
	flowtables "${@:3}"
	record_out "$tmp/wire1" "$g1" wan
	record_out "$tmp/wire2" "$g2" wan
	mkfifo "$tmp/in" "$tmp/out"
	ip netns exec "$a" taskset -c 0 "$here/flowtable.py" batch <"$tmp/in" >"$tmp/out" &
	exec 5>"$tmp/in" 6<"$tmp/out"
	rm "$tmp/in" "$tmp/out"
}

# Lines of ip -batch
as() { # stock|ext
	case $1 in
	stock) sed 's/ ext .*//' ;;
	ext) cat ;;
	esac
}

# Nothing went in clear, all the time; and ESP did
end() {
	local n

	exec 5>&- 6<&-
	record_end "$tmp/wire1" "$g1" 10.0.0.2
	record_end "$tmp/wire2" "$g2" 10.0.0.1
	for n in 1 2; do
		expect "in clear" "$(clear_packets "$tmp/wire$n")" ""
		tcpdump -nn -r "$tmp/wire$n" esp 2>/dev/null | grep -q ESP
	done
}

# Sets answered
client() { # request of flowtable.py
	echo "$*" >&5
	read -r -t $((90 * factor)) answered <&6
}

delivered() { # flow messages
	client ask "$1" "$2" $((20 * factor))
	expect "$1: answered" "$answered" "$2"
}

slow() { # ns
	ip netns exec "$1" nft list chain inet ft forward |
		sed -n 's/.*counter packets \([0-9]*\) .*/\1/p' | tr '\n' ' '
}

# All is answered, and neither forward chain sees any of it
offloaded() { # flow
	wait_for 20 offloaded_now "$1" || { slow "$g1"; slow "$g2"; false; }
}

offloaded_now() {
	local before

	before="$(slow "$g1") $(slow "$g2")"
	client ask "$1" 10 1
	[[ $answered == 10 && "$(slow "$g1") $(slow "$g2")" == "$before" ]]
}

# shellcheck disable=SC2016 # awk's
arrived() { # ns
	ip netns exec "$1" awk '$1 == "Udp:" && $2 ~ /^[0-9]/ { print $2 }' /proc/net/snmp
}

# Behind what a has sent before: on one CPU veth delivers in order
gone_through_g1() {
	ip netns exec "$a" taskset -c 0 ping -q -c 1 -W 10 10.1.0.1
}

# Sent, and dropped by the gateway that would have to encrypt it
stopped() { # flow
	local before

	before=$(arrived "$b")
	client send "$1" 10
	gone_through_g1
	expect "$1: arrived" "$(arrived "$b")" "$before"
}

flows() { # 4|6
	case $1 in
	4) printf '%s\n' udp/10.2.0.2 tcp/10.2.0.2 ;;
	6) printf '%s\n' udp/fd02::2 tcp/fd02::2 ;;
	esac
}

plain_flows() { # stock|ext 4|6
	local flow

	begin "$1" "$2"
	for flow in $(flows 4) $(flows 6); do
		delivered "$flow" 5
		offloaded "$flow"
		delivered "$flow" 20
	done
	end
}

# The source at one gateway, the destination at the other
nat() { # stock|ext
	local flow

	begin "$1" 4 'table ip nat {
		chain post {
			type nat hook postrouting priority srcnat
			ip saddr 10.1.0.2 oifname wan snat to 10.1.0.77
		}
	}' 'table ip nat {
		chain pre {
			type nat hook prerouting priority dstnat
			ip daddr 10.2.0.99 dnat to 10.2.0.2
		}
	}'
	for flow in udp/10.2.0.99 tcp/10.2.0.99; do
		delivered "$flow" 5
		offloaded "$flow"
	done
	end
}

new_sas() { # stock|ext tx-end rx-end: lines of ip -batch
	local key

	key_for 0x101
	KEY=$key sa_line "$2" 4 '1>2' 4 | sed 's/ spi 0x100 / spi 0x101 /' | as "$1"
	key_for 0x201
	KEY=$key sa_line "$3" 4 '2>1' 4 | sed 's/ spi 0x200 / spi 0x201 /' | as "$1"
}

old_gone() {
	printf 'xfrm state delete src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x100\n'
	printf 'xfrm state delete src 10.0.0.2 dst 10.0.0.1 proto esp spi 0x200\n'
}

rekeyed() { # stock|ext
	local flow

	begin "$1" 4
	for flow in $(flows 4); do
		offloaded "$flow"
	done
	new_sas "$1" rx tx | ip -n "$g2" -batch -
	new_sas "$1" tx rx | ip -n "$g1" -batch -
	for flow in $(flows 4); do
		delivered "$flow" 5
	done
	old_gone | ip -n "$g1" -batch -
	old_gone | ip -n "$g2" -batch -
	for flow in $(flows 4); do
		delivered "$flow" 5
		offloaded "$flow"
	done
	end
	tcpdump -nn -r "$tmp/wire1" esp 2>/dev/null | grep -q 'spi=0x00000101'
}

deleted() { # stock|ext
	local flow=udp/10.2.0.2 before key

	begin "$1" 4
	key_for 0x101
	offloaded "$flow"
	offloaded tcp/10.2.0.2
	# The one that a's gateway sends by
	ip -n "$g1" xfrm state delete src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x100
	stopped "$flow"
	client send tcp/10.2.0.2 1
	gone_through_g1
	ip -n "$g2" xfrm state delete src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x100
	KEY=$key sa_line rx 4 '1>2' 4 | as "$1" | ip -n "$g2" -batch -
	KEY=$key sa_line tx 4 '1>2' 4 | as "$1" | ip -n "$g1" -batch -
	for flow in $(flows 4); do
		delivered "$flow" 5
		offloaded "$flow"
	done
	# The one that it receives by
	flow=udp/10.2.0.2
	before=$(mib "$g1" XfrmInNoStates)
	ip -n "$g1" xfrm state delete src 10.0.0.2 dst 10.0.0.1 proto esp spi 0x200
	client send "$flow" 10
	wait_for 20 lost_in $((before + 10))
	end
}

lost_in() { # how many
	[[ $(mib "$g1" XfrmInNoStates) == "$1" ]]
}

out_policy() { # verb [word...]
	ip -n "$g1" xfrm policy "$1" src 10.1.0.0/24 dst 10.2.0.0/24 dir out "${@:2}"
}

blocked() { # stock|ext
	begin "$1" 4
	offloaded udp/10.2.0.2
	out_policy update action block
	stopped udp/10.2.0.2
	out_policy update tmpl src 10.0.0.1 dst 10.0.0.2 proto esp reqid 1 mode tunnel
	delivered udp/10.2.0.2 5
	offloaded udp/10.2.0.2
	end
}

# What was in clear is not when policy comes
from_clear() { # stock|ext
	local n

	begin "$1" 4
	for n in "$g1" "$g2"; do
		ip -n "$n" xfrm policy flush
	done
	offloaded udp/10.2.0.2
	for n in 1 2; do
		record_end "$tmp/wire$n" "$(ns_of "$n")" "10.0.0.$((3 - n))"
		[[ $(clear_packets "$tmp/wire$n") ]]
		gateway_policies 4 "$n" | ip -n "$(ns_of "$n")" -batch -
	done
	record_out "$tmp/wire1" "$g1" wan
	record_out "$tmp/wire2" "$g2" wan
	delivered udp/10.2.0.2 10
	offloaded udp/10.2.0.2
	end
}

# Policy for what has been received is not asked: a clear packet of an offloaded flow, made up on
# the way, is delivered. A rule before the flowtable has it dropped
made_up() { # stock|ext
	local before

	begin "$1" 4
	offloaded udp/10.2.0.2
	before=$(arrived "$b")
	forged
	wait_for 10 arrived_are $((before + 5))
	if ip netns exec "$g2" nft add table netdev guard; then
		guard
	else
		echo "# no tables of devices in this kernel: the rule is not tried"
	fi
	exec 5>&- 6<&-
	kill "$(<"$tmp/wire1.pid")" "$(<"$tmp/wire2.pid")"
}

guard() {
	local before

	ip netns exec "$g2" nft -f - <<-'EOF2'
		table netdev guard {
			chain wan {
				type filter hook ingress device wan priority -10
				ip saddr 10.1.0.0/24 meta secpath missing counter drop
				ip6 saddr fd01::/64 meta secpath missing drop
			}
		}
	EOF2
	before=$(arrived "$b")
	forged
	wait_for 10 guarded 5
	expect "delivered with the rule" "$(arrived "$b")" "$before"
	offloaded udp/10.2.0.2
}

arrived_are() { # datagrams
	[[ $(arrived "$b") == "$1" ]]
}

guarded() { # packets
	ip netns exec "$g2" nft list chain netdev guard wan | grep -q "counter packets $1 "
}

# Five packets of a's flow that g1 sends in clear, as anybody on the way might
forged() {
	local port mac

	mac=$(ip netns exec "$g2" cat /sys/class/net/wan/address)
	port=$(ip netns exec "$a" ss -Hnu dst 10.2.0.2 | sed -n 's/.* 10\.1\.0\.2:\([0-9]*\) .*/\1/p')
	[[ $port ]]
	ip netns exec "$g1" /usr/bin/python3 - "$port" "$mac" <<-'EOF2'
		import socket, struct, sys
		udp = struct.pack("!4H", int(sys.argv[1]), 9, 16, 0) + b"made up."
		words = [0x4500, 20 + len(udp), 1, 0, 0x4011, 0, 0x0a01, 2, 0x0a02, 2]
		total = sum(words)
		words[5] = ~(total + (total >> 16)) & 0xffff
		ip = struct.pack("!10H", *words)
		mac = bytes.fromhex(sys.argv[2].replace(":", ""))
		with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM) as s:
		    for _ in range(5):
		        s.sendto(ip + udp, ("wan", 0x800, 0, 0, mac))
	EOF2
}

modprobe -q -a nf_flow_table_inet nft_flow_offload || true
gateways
ip netns exec "$b" "$here/flowtable.py" serve 10.2.0.2 fd02::2 &
# shellcheck disable=SC2016 # that shell's
wait_for 20 ip netns exec "$b" bash -c '[[ $(ss -Hlnt "sport = :9" | wc -l) == 2 ]]'
for variant in stock ext; do
	run "$variant: UDP and TCP, outer IPv4" plain_flows $variant 4
	run "$variant: UDP and TCP, outer IPv6" plain_flows $variant 6
	run "$variant: NAT at both gateways" nat $variant
	run "$variant: rekeyed" rekeyed $variant
	run "$variant: SAs that are deleted" deleted $variant
	run "$variant: a policy that blocks" blocked $variant
	run "$variant: a policy for what was in clear" from_clear $variant
	run "$variant: what is made up on the way" made_up $variant
done
kill %1
finish
