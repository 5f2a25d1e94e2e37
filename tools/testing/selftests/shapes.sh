#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# check: 7.3-uml
#
# Packets in every shape that the kernel knows: GSO, checksums to be completed, page
# fragments of files and of other people's memory, clones, fragments, frames of 9,000
# octets; forwarded and of our own; received by GRO or on another CPU; with connection
# tracking, NAT and counters about. What comes back is compared octet by octet; nothing
# is lost on the way; on our own path and on the kernel's.
. "$(dirname "$0")/lib.sh"

octets=$((150000 / factor))

# Nothing lost and nothing dropped, in both directions
nothing_lost() {
	local dir spi tx rx

	for dir in "0x100 $g1 $g2" "0x200 $g2 $g1"; do
		read -r spi tx rx <<<"$dir"
		wait_for 10 all_received
		expect "drops of $spi on the sender" "$(drops "$tx" "$spi")" none
		expect "drops of $spi on the receiver" "$(drops "$rx" "$spi")" none
	done
}

all_received() {
	[[ $(stat "$tx" "$spi" tx-packets) == $(stat "$rx" "$spi" rx-packets) ]]
}

# Nothing of the test before; then SAs, after nftables if that is asked for: of two hooks
# of the same priority the kernel calls the younger first
fresh() { # outer path [namespace to watch]...
	local outer=$1 path=$2 n

	for n in "$g1" "$g2"; do
		ip netns exec "$n" nft flush ruleset
	done
	flush
	wait_for 20 unused
	shift 2
	for n; do
		watch "$n"
	done
	tunnel "$outer" 4
	fastpath "$path"
}

# A command for both addresses of b at once; @ is the address
both() { # ns word...
	local v6 n=$1

	shift
	ip netns exec "$n" "${@/#@/fd02::2}" &
	v6=$!
	ip netns exec "$n" "${@/#@/10.2.0.2}"
	wait "$v6"
}

shapes() { # ns
	both "$1" "$here/shapes.py" @ 7 "$octets" --segments
}

# The kernel does not do UDP_SEGMENT for a socket whose route has a transformation
own_shapes() {
	both "$g1" "$here/shapes.py" @ 7 "$octets"
}

# That there is GSO: what the gateway forwards and is longer than a link can carry
gso_watch() {
	ip netns exec "$g1" nft -f - <<-'EOF'
		table inet gso {
			chain forwarded {
				type filter hook forward priority 0
				meta length > 1500 tcp dport 7 counter
				meta length > 1500 udp dport 7 counter
			}
		}
	EOF
}

gso_seen() {
	local tcp udp

	{
		read -r tcp
		read -r udp
	} < <(ip netns exec "$g1" nft list table inet gso | sed -n 's/.* packets \([0-9]*\) .*/\1/p')
	echo "# GSO: $tcp of TCP, $udp of UDP"
	[[ $tcp -gt 10 && $udp -eq 2 ]]
}

forwarded() { # outer path
	fresh "$1" "$2"
	gso_watch
	shapes "$a"
	nothing_lost
	gso_seen
}

own() { # outer path
	fresh "$1" "$2"
	own_shapes
	nothing_lost
}

# Every packet has a clone while somebody captures
cloned() { # outer path
	local i pids=()

	fresh "$1" "$2"
	for i in "$a lan" "$g1 lan" "$g1 wan" "$g2 wan" "$g2 lan"; do
		ip netns exec "${i% *}" tcpdump -n -i "${i#* }" -Z root -w "$tmp/dump" 2>"$tmp/dump.$i" &
		pids+=($!)
		wait_for 20 grep -q 'listening on' "$tmp/dump.$i"
	done
	shapes "$a"
	stop "${pids[@]}"
	rm "$tmp/dump."*
	nothing_lost
}

mtu() { # octets
	local n

	ip -n "$a" link set lan mtu "$1"
	ip -n "$b" link set lan mtu "$1"
	for n in "$g1" "$g2"; do
		ip -n "$n" link set lan mtu "$1"
		ip -n "$n" link set wan mtu "$1"
	done
	for n in "$a" "$b" "$g1" "$g2"; do
		ip -n "$n" route flush cache
		ip -n "$n" -6 route flush cache
	done
}

jumbo() { # outer path
	local rc=0

	fresh "$1" "$2"
	mtu 9000
	(shapes "$a" && own_shapes && nothing_lost) || rc=1
	mtu 1500
	return "$rc"
}

# What the receiving links put together, and what they give to other CPUs
links_receive() { # on|off
	local n rps=0

	[[ $1 == off ]] || printf -v rps '%x' $(((1 << $(nproc)) - 1))
	gro "$1" "$g1" wan "$g2" wan
	gro "$1" "$g2" wan "$g1" wan
	for n in "$g1" "$g2"; do
		ip netns exec "$n" sh -c "echo $rps >/sys/class/net/wan/queues/rx-0/rps_cpus
			echo $rps >/sys/class/net/lan/queues/rx-0/rps_cpus"
	done
}

# All that an SA has received, GRO has had before
by_gro() { # ns spi before
	local had received

	had=$(($(gro_packets "$1" wan) - $3))
	received=$(stat "$1" "$2" rx-packets)
	echo "# $2: $received packets received, $had by GRO"
	((received > 0 && had >= received))
}

received() { # outer path our-own|kernels: the path that packets come by
	local rps before1 before2 by_ours by_kernels

	fresh "$1" "$2"
	rps=$(rps_count)
	before1=$(gro_packets "$g1" wan) before2=$(gro_packets "$g2" wan)
	shapes "$a"
	nothing_lost
	by_gro "$g1" 0x200 "$before1"
	by_gro "$g2" 0x100 "$before2"
	rps=$(($(rps_count) - rps))
	echo "# CPUs woken $rps times by others"
	[[ $rps -gt 0 ]]
	replays_refused_by "$g1" wan "$g2" 0x100 -I 10.1.0.1 10.2.0.1
	case $3 in
	our-own) expect "by our own path" "$by_ours" 5 ;;
	kernels) expect "by the kernel's path" "$by_kernels" 5 ;;
	esac
}

# Where it is there, GRO asks us, and then esp4_offload; with RPS about, we leave it to that
offload_gone() {
	[[ $(modinfo -F filename esp4_offload) == *.ko* ]] || return 1
	modprobe -rq esp4_offload esp6_offload || true
	! grep -q '^esp[46]_offload' /proc/modules
}

# How often CPUs were woken for packets that others gave to them
rps_count() {
	local -a word
	local sum=0

	while read -r -a word; do
		sum=$((sum + 0x${word[9]}))
	done </proc/net/softnet_stat
	echo "$sum"
}

watch() { # ns: count packets at every hook, keep track of connections
	ip netns exec "$1" nft -f - <<-'EOF'
		table inet watch {
			chain received {
				type filter hook prerouting priority 0
				meta l4proto esp counter
				udp dport 7 counter
			}
			chain for_us {
				type filter hook input priority 0
				meta l4proto esp counter
			}
			chain forwarded {
				type filter hook forward priority 0
				udp dport 7 counter
				udp dport 7 ct state new counter
				udp sport 7 ct state established counter
			}
			chain from_us {
				type filter hook output priority 0
				meta l4proto esp counter
				udp dport 7 counter
			}
			chain sent {
				type filter hook postrouting priority 300
				meta l4proto esp counter
				udp dport 7 counter
			}
		}
	EOF
}

hooks() { # ns: what they have counted
	ip netns exec "$1" nft list table inet watch | sed -n 's/^\t*\(.*counter packets [0-9]*\).*/\1/p'
}

snat() { # text of a rule for each family
	ip netns exec "$g1" nft -f - <<-EOF
		table ip nat {
			chain sent {
				type nat hook postrouting priority srcnat
				oifname wan ip saddr 10.1.0.2 $1
			}
		}
		table ip6 nat {
			chain sent {
				type nat hook postrouting priority srcnat
				oifname wan ip6 saddr fd01::2 $2
			}
		}
	EOF
}

# The entry of a connection is confirmed by the last hook of its first packet. Ours may
# come before that one; if it took the packet the entry never would be: every packet
# were new, and what comes back nobody's.
tracked() { # outer path
	fresh "$1" "$2" "$g1" "$g2"
	snat 'snat to 10.1.0.1' 'snat to fd01::1'
	both "$a" "$here/traffic.py" udp @ 7 1 100 1000 1300
	nothing_lost
	expect "packets of the first way" "$(stat "$g1" 0x100 tx-packets)" 8
	{
		hooks "$g1"
		hooks "$g2"
	} >"$tmp/hooks.$2"
	# Two connections of four packets: the first of each is new, and the answers belong to them
	[[ $(grep -c 'udp dport 7 ct state new counter packets 2$' "$tmp/hooks.$2") == 2 ]]
	[[ $(grep -c 'udp sport 7 ct state established counter packets 8$' "$tmp/hooks.$2") == 2 ]]
}

# The same packets pass the same hooks
same_hooks() {
	[[ -s $tmp/hooks.on ]]
	diff "$tmp/hooks.on" "$tmp/hooks.off"
	sed 's/^/# /' "$tmp/hooks.on"
}

# An SA that cannot send refuses on either path, and xfrm_stat tells which
receive_only() {
	new_keys
	ip -n "$g1" xfrm state delete src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x100
	ip -n "$g1" xfrm state add src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x100 reqid 1 \
		mode tunnel flag af-unspec aead "$aead" "$key1" 128 ext rx-subspaces 1
}

refused_by() {
	echo "$(mib "$g1" XfrmOutStateInvalid) $(mib "$g1" XfrmOutStateProtoError)"
}

took() { # before on-our-path on-the-kernel's
	local -a was now

	read -r -a was <<<"$1"
	read -r -a now <<<"$(refused_by)"
	expect "refused on our path, on the kernel's" \
		"$((now[0] - was[0])) $((now[1] - was[1]))" "$2 $3"
}

pings() {
	ip netns exec "$a" ping -q -c 3 -i 0.1 -W 1 10.2.0.2
}

# That the fast path is what it says, or all that is shown here is shown twice; and of a
# connection the kernel gets the first packet, we the others
takes() { # path
	local before

	fresh 4 "$1"
	receive_only
	before=$(refused_by)
	pings || true
	if [[ $1 == on ]]; then took "$before" 3 0; else took "$before" 0 3; fi

	fresh 4 "$1" "$g1"
	receive_only
	before=$(refused_by)
	pings || true
	if [[ $1 == on ]]; then took "$before" 2 1; else took "$before" 0 3; fi
}

# The address is the wan's, and another policy the packet's
masqueraded() { # outer path
	fresh "$1" "$2"
	outer "$1"
	policies_of "$g1" 10.0.0.1/32,10.2.0.0/24 fd00::1/128,fd02::/64 "$o1" "$o2" 1 2
	policies_of "$g2" 10.2.0.0/24,10.0.0.1/32 fd02::/64,fd00::1/128 "$o2" "$o1" 2 1
	watch "$g1"
	snat masquerade masquerade
	shapes "$a"
	nothing_lost
	[[ $(stat "$g1" 0x100 tx-packets) -gt 100 ]]
}

sysctl -qw net.core.netdev_max_backlog=100000
modprobe -a xfrm_ext nf_defrag_ipv6
gateways
# What has lost a fragment waits for it, and holds the SA that it came through
for n in "$g1" "$g2"; do
	ip netns exec "$n" sysctl -qw net.ipv4.ipfrag_time=5 net.ipv6.ip6frag_time=5 \
		net.netfilter.nf_conntrack_frag6_timeout=5
done
ip -n "$g1" route replace 10.2.0.0/24 via 10.0.0.2 src 10.1.0.1
ip -n "$g1" route replace fd02::/64 via fd00::2 src fd01::1
for address in 10.2.0.2 fd02::2; do
	ip netns exec "$b" "$here/traffic.py" serve "$address" 7 &
	wait_for 20 ip netns exec "$a" "$here/traffic.py" udp "$address" 7 1
done

declare -A by=([on]=our-own [off]=kernels)
for path in on off; do
	# Which path it is does not depend on how slow a kernel is
	((factor > 1)) || run "which path it is, fastpath $path" takes $path
	run "connection tracking and SNAT, fastpath $path" tracked 4 $path
	# The rest on our own path only
	[[ $whole || $path == on ]] || continue
	run "forwarded, outer IPv4, fastpath $path" forwarded 4 $path
	links_receive on
	# On kernels of ours it is built in
	! offload_gone || run "GRO and other CPUs, fastpath $path" received 4 $path "${by[$path]}"
	modprobe -a esp4_offload esp6_offload
	run "GRO with esp4_offload and other CPUs, fastpath $path" received 4 $path "${by[$path]}"
	offload_gone || true
	links_receive off
	run_full "of our own, fastpath $path" own 4 $path
	run_full "cloned, fastpath $path" cloned 4 $path
	run_full "9,000 octets, fastpath $path" jumbo 6 $path
	((factor > 1)) || run_full "masquerading, fastpath $path" masqueraded 4 $path
done
run "forwarded, eesp" in_eesp forwarded 4 on
run_full "forwarded, eesp, outer IPv6" in_eesp forwarded 6 off
run_full "of our own, eesp" in_eesp own 6 on
run_full "9,000 octets, eesp" in_eesp jumbo 4 on
((factor > 1)) || run_full "masquerading, eesp" in_eesp masqueraded 4 on
run "the hooks see the same on both paths" same_hooks
run "no SA stays behind" fresh 4 on
fastpath on
flush
finish
