#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# check: 7.3-uml
# kernels: 6.1-cloud 6.1-debug 6.12-cloud 6.12-trixie 7.3-uml
#
# What a device gives to GRO is taken there: with esp4_offload and esp6_offload and, if that
# is asked for, without; and is not where somebody on its way would look at it, or it may be
# for somebody else. The IP layer counts packets behind GRO: one of ours that it counts once
# was taken, one that it counts twice has gone the way of all packets.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-ends.sh"

n=50

# SAs of both directions, and a packet of each: it goes the way of all packets in any case, and
# shows that the SA is for this machine
sas() { # mode 4|6 [words of senders, of receivers]
	local o1 o2

	outer "$2"
	mode_sas "$1" 10.1.0.1 10.2.0.1 "$o1" "$o2" "${3-ext tx-subspaces 4}" \
		"${4-ext rx-subspaces 4 window 1024}"
	ping_once
}

ping_once() {
	ip netns exec "$g1" ping -q -c 1 -W 10 -I 10.1.0.1 10.2.0.1
}

# IP packets that g2 has got
counted() { # 4|6
	case $1 in
	4) ip netns exec "$g2" cat /proc/net/snmp | awk '$1 == "Ip:" && $3 ~ /^[0-9]/ { print $4 }' ;;
	6) ip netns exec "$g2" cat /proc/net/snmp6 | awk '$1 == "Ip6InReceives" { print $2 }' ;;
	esac
}

# n questions, all answered; how many of the outer packets the IP layer has seen. Over IPv6
# other packets are counted, too; over IPv4 the inner ones
asked() { # 4|6 [ping word...]: sets seen
	local rx

	rx=$(stat "$g2" 0x100 rx-packets)
	seen=$(counted "$1")
	ip netns exec "$g1" ping -q -c "$n" -i 0.01 -W 10 -I 10.1.0.1 "${@:2}" 10.2.0.1
	seen=$(($(counted "$1") - seen))
	[[ $1 == 6 ]] || seen=$((seen - n))
	echo "# outer packets that the IP layer has seen: $seen of $n"
	[[ $rx ]] || return 0
	expect "packets received" $(($(stat "$g2" 0x100 rx-packets) - rx)) "$n"
	expect "drops" "$(drops "$g2" 0x100)" none
}

taken() { # 4|6 [ping word...]
	asked "$@"
	((seen < n / 5))
}

not_taken() { # 4|6 [ping word...]
	asked "$@"
	((seen >= n))
}

# nft looks at what is for g2
watch() { # hook
	ip netns exec "$g2" nft -f - <<-EOF2
		table inet watch {
			chain in {
				type filter hook $1 priority 0
				meta l4proto $([[ ${FORMAT-} ]] && echo 253 || echo esp) counter
			}
		}
	EOF2
}

watched() {
	ip netns exec "$g2" nft list chain inet watch in | sed -n 's/.*packets \([0-9]*\) .*/\1/p'
}

watch_end() {
	ip netns exec "$g2" nft flush ruleset
}

modular() {
	[[ $(modinfo -F filename esp4_offload) == *.ko* ]]
}

offload_there() {
	modprobe -a esp4_offload esp6_offload
	! modular || [[ $(grep -c '^esp[46]_offload' /proc/modules) == 2 ]]
}

# SAs hold them, until they have been freed
offload_gone() {
	flush
	wait_for 30 offload_goes
}

offload_goes() {
	modprobe -rq esp4_offload esp6_offload || true
	nudge_cpus
	! grep -q '^esp[46]_offload' /proc/modules
}

module() { # [parameter]
	flush
	wait_for 30 module_goes
	modprobe xfrm_ext "$@"
}

# --- taken ------------------------------------------------------------------------

by_gro() { # mode 4|6 [words of senders, of receivers]
	sas "$@"
	taken "$2"
	# And refused where all others are
	replays_refused_by "$g1" wan "$g2" 0x100 -I 10.1.0.1 10.2.0.1
	expect "by our own path" "$by_ours" 5
}

past_nft() {
	sas tunnel 4
	watch input
	taken 4
	expect "packets that nft has seen" "$(watched)" 0
	watch_end
}

# In UDP the socket has to ask for it
in_udp() { # 4|6
	local any=0.0.0.0 words

	[[ $1 == 4 ]] || any=::
	words="encap espinudp 4500 4500 $any ext"
	c=$g1 s=$g2
	socks "$g1" --gro 4500
	socks "$g2" --gro 4500
	sas tunnel "$1" "$words tx-subspaces 4" "$words rx-subspaces 4"
	taken "$1"
	expect "mappings told" "$(told "$g2" mapping)" 0
	exec {c_sock}>&- {s_sock}>&-
}

# From the other end, of SA 0x100: one packet, which moves a counter by one
sends() { # counter case session sn [option...]
	local before

	before=$(counter "$1")
	echo "${*:2}" >&5
	read -r -t $((60 * factor)) _ <&6
	wait_for 10 counter_is "$1" $((before + 1))
}

counter() { # name
	{
		echo "rx-packets $(stat "$g2" 0x100 rx-packets)"
		drops "$g2" 0x100
	} | xargs -n 2 | awk -v name="$1" '$1 == name { n = $2 } END { print n + 0 }'
}

counter_is() { # name value
	[[ $(counter "$1") == "$2" ]]
}

# Options of any length, and what is refused, at GRO as elsewhere
odd_eesp() {
	local FORMAT='format eesp'

	sas tunnel 4 'ext tx-subspaces 1' 'ext rx-subspaces 1'
	printf '{"spi": "0x100", "key": "%s", "aead": "%s", "icv": "128", "src": "10.0.0.1", "dst": "10.0.0.2"}' \
		"$key1" "$aead" >"$tmp/gro.sa"
	mkfifo "$tmp/send.in" "$tmp/send.out"
	ip netns exec "$g1" "$here/eesp.py" send "$tmp/gro.sa" 4 <"$tmp/send.in" >"$tmp/send.out" &
	exec 5>"$tmp/send.in" 6<"$tmp/send.out"
	rm "$tmp/send.in" "$tmp/send.out"
	seen=$(counted 4)
	sends rx-packets valid 0 11
	sends rx-packets valid 0 12 options=hex:01020000
	sends rx-packets valid 0 13 "options=hex:07fd$(printf %0506d 0)"
	sends rx-icv flip 0 14
	sends rx-replay valid 0 13
	sends rx-too-old valid 0 0x1000000000000
	sends rx-header valid 0 15 first=0x88
	sends rx-header valid 0 15 options=hex:07 parse=0
	sends rx-truncated opt-len 0 15
	sends rx-truncated truncated 0 15 length=15
	# The three inner packets, and the one that is shorter than a header
	expect "packets that the IP layer has seen" $(($(counted 4) - seen)) 4
	exec 5>&- 6<&-
}

# --- and not ----------------------------------------------------------------------

# Those of any other kind are the kernel's, as without us
plain() {
	sas tunnel 4 '' ''
	asked 4
	((seen < n / 5))
}

of_its_own_path() { # words-of-receivers
	sas tunnel 4 'ext tx-subspaces 4' "ext rx-subspaces 4 $1"
	replays_refused_by "$g1" wan "$g2" 0x100 -I 10.1.0.1 10.2.0.1
	expect "by the kernel's path" "$by_kernels" 5
	# GRO's own notes are where a fragment's length would stand
	expect "reassembled" "$(stat "$g2" 0x100 reassembled)" ''
}

# A question that somebody else has on the way keeps packets from GRO, and none from arriving
wanted() { # begin end
	sas tunnel 4
	taken 4
	"$1"
	not_taken 4
	"$2"
	taken 4
}

tc_on() {
	tc -n "$g2" qdisc add dev wan clsact
	tc -n "$g2" filter add dev wan ingress protocol all u32 match u32 0 0 classid 1:1
}

tc_off() {
	tc -n "$g2" qdisc del dev wan clsact
}

rps() { # mask
	ip netns exec "$g2" sh -c "echo $1 >/sys/class/net/wan/queues/rx-0/rps_cpus"
}

rps_on() {
	rps 3
}

rps_off() {
	rps 0
}

# As a link's end is configured, on another device
moved() { # from to
	ip -n "$g2" -batch - <<-EOF2
		addr del 10.0.0.2/24 dev $1
		addr add 10.0.0.2/24 dev $2
		route replace 10.1.0.0/24 via 10.0.0.1 src 10.2.0.1
		neigh replace 10.0.0.1 lladdr 02:00:00:00:00:01 dev $2 nud permanent
	EOF2
}

bridge_on() {
	ip -n "$g2" link add br0 address 02:00:00:00:00:02 type bridge
	ip -n "$g2" link set br0 up
	ip -n "$g2" link set wan master br0
	moved wan br0
}

bridge_off() {
	ip -n "$g2" link set wan nomaster
	moved br0 wan
	ip -n "$g2" link del br0
}

# Not for this machine, says the frame: nothing of it must be taken, or come back
other_mac() {
	sas tunnel 4
	taken 4
	ip -n "$g2" link set wan promisc on
	ip -n "$g1" neigh replace 10.0.0.2 lladdr 02:00:00:00:00:99 dev wan nud permanent
	local rx

	rx=$(stat "$g2" 0x100 rx-packets)
	! ip netns exec "$g1" ping -q -c 5 -i 0.01 -W 1 -I 10.1.0.1 10.2.0.1 || return 1
	expect "packets received" "$(stat "$g2" 0x100 rx-packets)" "$rx"
	ip -n "$g1" neigh replace 10.0.0.2 lladdr 02:00:00:00:00:02 dev wan nud permanent
	ip -n "$g2" link set wan promisc off
	taken 4
}

# ESP on its way through, with SPI and destination of an SA that is for what we send
passing() {
	local key

	sas tunnel 4
	key_for 0x900
	ip -n "$g2" -batch - <<-EOF2
		link add behind type dummy
		link set behind up
		addr add 10.0.9.1/24 dev behind
		neigh replace 10.0.9.9 lladdr 02:00:00:00:09:09 dev behind nud permanent
		xfrm state add src 10.0.9.1 dst 10.0.9.9 proto esp spi 0x900 reqid 9 mode tunnel aead $aead $key 128 ext tx-subspaces 1 rx-subspaces 4
	EOF2
	ip -n "$g1" route replace 10.0.9.0/24 via 10.0.0.2
	ip netns exec "$g1" /usr/bin/python3 - <<-EOF2
		import socket
		with socket.socket(socket.AF_INET, socket.SOCK_RAW, 50) as s:
		    for i in range(20):
		        s.sendto(b"\0\0\x09\0\0\0\0" + bytes([i + 1]) + bytes(80), ("10.0.9.9", 0))
	EOF2
	wait_for 10 passed
	expect "drops" "$(drops "$g2" 0x900)" none
	ip -n "$g2" link del behind
}

passed() {
	[[ $(ip -n "$g2" -s -j link show dev behind | tr , '\n' |
		awk -F: '/"tx"/ { tx = 1 } tx && /"packets"/ { print $2; exit }') -ge 20 ]]
}

# The first packet is filtered as all are; so is all that follows
first_filtered() {
	module gro=1
	ip netns exec "$g2" nft -f - <<-'EOF2'
		table inet watch {
			chain in {
				type filter hook input priority 0
				meta l4proto esp counter drop
			}
		}
	EOF2
	! sas tunnel 4 || return 1
	! ip netns exec "$g1" ping -q -c 5 -i 0.01 -W 1 -I 10.1.0.1 10.2.0.1 || return 1
	expect "packets received" "$(stat "$g2" 0x100 rx-packets)" 0
	watch_end
	ping_once
	taken 4
}

# A VLAN's device is another, here in another namespace
vlan() {
	local v=v-$$

	sas tunnel 4
	taken 4
	netns_add "$v"
	ip -n "$g2" link add link wan name wan.5 type vlan id 5
	ip -n "$g2" link set wan.5 netns "$v"
	ip -n "$v" addr add 10.0.0.2/24 dev wan.5
	ip -n "$v" addr add 10.2.0.1/24 dev lo
	ip -n "$v" link set wan.5 up
	ip -n "$v" route add 10.1.0.0/24 via 10.0.0.1
	ip -n "$g1" link add link wan name wan.5 type vlan id 5
	ip -n "$g1" link set wan.5 up
	ip -n "$g1" addr add 10.0.0.3/24 dev wan.5
	# Those that came by the VLAN are the other namespace's, which has no such SA
	ip -n "$g1" route replace 10.0.0.2/32 dev wan.5
	! ip netns exec "$g1" ping -q -c 5 -i 0.01 -W 1 -I 10.1.0.1 10.2.0.1 || return 1
	expect "states not found there" "$(mib "$v" XfrmInNoStates)" 5
	ip -n "$g1" link del wan.5
	ip -n "$v" link del wan.5
	ip -n "$g1" route replace 10.0.0.2/32 dev wan
	taken 4
}

# Where esp4_offload is not there, nothing goes past nft
filtered() {
	local hook

	offload_gone
	module gro=1
	for hook in prerouting input; do
		sas tunnel 4
		taken 4
		watch "$hook"
		not_taken 4
		expect "packets that nft has seen" "$(watched)" "$n"
		watch_end
		taken 4
	done
}

# --- modules come and go ------------------------------------------------------------

by_default() {
	offload_gone
	module
	sas tunnel 4
	not_taken 4
}

order() {
	module gro=1
	for _ in 1 2; do
		sas tunnel 4
		taken 4
		# It finds its place, and we come behind it
		offload_there
		ping_once
		watch input
		taken 4
		expect "packets that nft has seen" "$(watched)" 0
		offload_gone
		sas tunnel 4
		not_taken 4
		watch_end
	done
	taken 4
}

# What we stood before is there again
plain_afterwards() {
	offload_there
	module
	sas tunnel 4
	taken 4
	flush
	wait_for 30 module_goes
	sas tunnel 4 '' ''
	asked 4
	((seen < n / 5))
	offload_gone
	sas tunnel 4 '' ''
	not_taken 4
}

# --- where packets are in pages -----------------------------------------------------

# veth with XDP copies into pages of its pool, on later kernels. Who may write to what pages,
# we know at GRO only
paged() {
	local probes=/sys/kernel/tracing/kprobe_events pid copies

	[[ -d /sys/kernel/tracing/events ]] || mount -t tracefs tracefs /sys/kernel/tracing
	offload_gone
	module gro=1
	ip -n "$g1" link set wan mtu 9000
	ip -n "$g2" link set wan mtu 9000
	sas tunnel 4
	echo 'p:cow skb_cow_data' >"$probes"
	echo 1 >/sys/kernel/tracing/events/kprobes/cow/enable
	mkfifo "$tmp/xdp.in"
	ip netns exec "$g2" "$here/xdp_pass.py" wan <"$tmp/xdp.in" >"$tmp/xdp" &
	pid=$!
	exec {xdp_in}>"$tmp/xdp.in"
	wait_for 20 grep -q ready "$tmp/xdp"
	copies=$(cows)
	taken 4 -s 8000
	expect "packets copied" $(($(cows) - copies)) 0
	replays_refused_by "$g1" wan "$g2" 0x100 -s 8000 -I 10.1.0.1 10.2.0.1
	expect "by our own path" "$by_ours" 5
	# That they are in pages
	sas tunnel 4
	rps_on
	copies=$(cows)
	not_taken 4 -s 8000
	rps_off
	expect "packets copied that were not taken" $(($(cows) - copies)) "$n"
	exec {xdp_in}>&-
	wait "$pid"
	echo 0 >/sys/kernel/tracing/events/kprobes/cow/enable
	echo '-:cow' >>"$probes"
}

cows() {
	awk '$1 == "cow" { print $2 }' /sys/kernel/tracing/kprobe_profile
}

pair_acquainted
gro on "$g2" wan "$g1" wan
offload_there
for family in 4 6; do
	for mode in tunnel beet; do
		run "$mode, outer IPv$family" by_gro $mode $family
	done
done
run "format esp" by_gro tunnel 4 'ext format esp tx-subspaces 1' 'ext format esp rx-subspaces 1'
run "trailer at the front, no IV" by_gro tunnel 4 'ext trailer front iv implicit tx-subspaces 4' \
	'ext trailer front iv implicit rx-subspaces 4'
for family in 4 6; do
	run "eesp, tunnel, outer IPv$family" in_eesp by_gro tunnel $family
	run "eesp, BEET, outer IPv$family" in_eesp by_gro beet $family
done
run "past nft, as the kernel's own" past_nft
run "eesp, past nft" in_eesp past_nft
older_than 6.8 || for family in 4 6; do
	run "in UDP, outer IPv$family" in_udp $family
	run "eesp in UDP, outer IPv$family" in_eesp in_udp $family
done
run "plain SAs are the kernel's" plain
run "so is fastpath off" of_its_own_path 'fastpath off'
run "and that of eesp" in_eesp of_its_own_path 'fastpath off'
run "options and malformed packets of eesp" odd_eesp
run "frames for another machine" other_mac
run "ESP that only passes" passing
run "RPS gives them to other CPUs" wanted rps_on rps_off
# Of which 6.1-debug has none
[[ $KERNEL_NAME == 6.1-debug ]] || run "a bridge's port" wanted bridge_on bridge_off
if modular; then
	run "a VLAN of another namespace" vlan
	run "tc looks at packets first" wanted tc_on tc_off
	run "without esp4_offload, by default" by_default
	run "the same of eesp" in_eesp by_default
	run "asked for, esp4_offload comes and goes" order
	run "what nft looks at" filtered
	run "what nft looks at of eesp" in_eesp filtered
	run "the first packet is filtered, and what follows" first_filtered
	run "plain SAs behind us" plain_afterwards
	older_than 6.12 || run "pages of a pool are not copied" paged
fi
finish
