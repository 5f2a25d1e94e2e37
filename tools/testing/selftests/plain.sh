#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# kernels: 6.1-cloud 7.3-uml
# check: 6.1-cloud
#
# Plain SAs and cleartext are the kernel's as ever: before the module comes, while it
# is there with extended SAs beside them, and after it has gone.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-wire.sh"

# What the gateways talk about with each other, each over plain SAs of its own: third
# octet on g1, on g2; outer family; SPI of 1>2, one less than that of 2>1; algorithm
plain='
11 12 4 0x301 gcm
13 14 4 0x303 cbc
15 16 6 0x305 gcm
17 18 6 0x307 cbc'

cipher() { # gcm|cbc spi
	local key

	case $1 in
	gcm)
		key_for "$2"
		echo "aead $aead $key 128"
		;;
	cbc) echo "enc cbc(aes) 0x$(printf '%02x' {1..16})" \
		"auth-trunc hmac(sha256) 0x$(printf '%02x' {1..32}) 128" ;;
	esac
}

plain_addresses() {
	local h1 h2

	while read -r h1 h2 _; do
		[[ ! $h1 ]] || cat <<-EOF
			1 addr add 10.$h1.0.1/24 dev lo
			1 route add 10.$h2.0.0/24 via 10.0.0.2 src 10.$h1.0.1
			2 addr add 10.$h2.0.1/24 dev lo
			2 route add 10.$h1.0.0/24 via 10.0.0.1 src 10.$h2.0.1
		EOF
	done <<<"$plain" >"$tmp/lines"
	sed -n 's/^1 //p' "$tmp/lines" | ip -n "$g1" -batch -
	sed -n 's/^2 //p' "$tmp/lines" | ip -n "$g2" -batch -
}

plain_make() {
	local h1 h2 family spi algorithm o1 o2 back

	while read -r h1 h2 family spi algorithm; do
		[[ $h1 ]] || continue
		outer "$family"
		back=$((spi + 1))
		cat <<-EOF
			12 state add src $o1 dst $o2 proto esp spi $spi reqid $spi mode tunnel flag af-unspec replay-window 32 $(cipher "$algorithm" "$spi")
			12 state add src $o2 dst $o1 proto esp spi $back reqid $back mode tunnel flag af-unspec replay-window 32 $(cipher "$algorithm" "$back")
			1 policy add src 10.$h1.0.0/24 dst 10.$h2.0.0/24 dir out tmpl src $o1 dst $o2 proto esp reqid $spi mode tunnel
			2 policy add src 10.$h1.0.0/24 dst 10.$h2.0.0/24 dir in tmpl src $o1 dst $o2 proto esp reqid $spi mode tunnel
			2 policy add src 10.$h2.0.0/24 dst 10.$h1.0.0/24 dir out tmpl src $o2 dst $o1 proto esp reqid $back mode tunnel
			1 policy add src 10.$h2.0.0/24 dst 10.$h1.0.0/24 dir in tmpl src $o2 dst $o1 proto esp reqid $back mode tunnel
		EOF
	done <<<"$plain" >"$tmp/lines"
	sed -n 's/^12* /xfrm /p' "$tmp/lines" | ip -n "$g1" -batch -
	sed -n 's/^1*2 /xfrm /p' "$tmp/lines" | ip -n "$g2" -batch -
}

# All numbers that the plain SAs of g1 have sent
sent() {
	local sum=0 number

	while read -r number; do
		sum=$((sum + number))
	done < <(ip -n "$g1" xfrm state | sed -n 's/.* oseq \(0x[0-9a-f]*\),.*/\1/p')
	echo "$sum"
}

plain_works() {
	local before h1 h2 failed

	before=$(sent)
	while read -r h1 h2 _; do
		[[ ! $h1 ]] || ip netns exec "$g1" ping -q -c 2 -i 0.02 -s 1200 -W 10 "10.$h2.0.1"
	done <<<"$plain"
	expect "packets by plain SAs" $(($(sent) - before)) 8
	traffic tcp 10.12.0.1 7 100000
	failed=$(ip -n "$g2" -s xfrm state | sed -n '/spi 0x0000030/,/stats:/p' |
		grep -A 1 'stats:' | grep -c 'failed [1-9]' || true)
	expect "plain SAs with failures" "$failed" 0
}

clear_works() {
	ip netns exec "$g1" ping -q -c 2 -i 0.02 -s 1200 -W 10 10.0.0.2
	ip netns exec "$g1" ping -q -c 2 -i 0.02 -s 1200 -W 10 fd00::2
}

extended_make() {
	policies 4
	sa 4 '1>2' 4
	sa 4 '2>1' 4
}

extended_works() {
	ip netns exec "$a" ping -q -c 2 -i 0.02 -s 1200 -W 10 10.2.0.2
	ip netns exec "$a" "$here/traffic.py" tcp 10.2.0.2 7 100000
	expect "drops" "$(drops "$g1" 0x100) $(drops "$g2" 0x100)" "none none"
}

before() {
	wait_for 30 module_goes
	plain_make
	plain_works
}

beside() {
	modprobe xfrm_ext
	plain_works
	extended_make
	extended_works
	plain_works
	clear_works
	expect "extended SAs" "$(ip -n "$g1" xfrm state | grep -c '	ext format')" 2
}

made_beside() {
	flush
	plain_make
	extended_make
	plain_works
	extended_works
	clear_works
}

# The gate stands in the types' place and holds what they are in, when nothing else does
esp_stays() {
	flush
	wait_for 30 offload_gone
	wait_for 30 one_reference
	refused 'Module esp4 is in use' modprobe -r esp4
	refused 'Module esp6 is in use' modprobe -r esp6
	plain_make
	plain_works
}

# Loaded by tests before: they use esp4 and esp6, too
offload_gone() {
	modprobe -rq esp4_offload esp6_offload || true
	! grep -q '^esp[46]_offload' /proc/modules
}

one_reference() {
	nudge_cpus
	[[ $(</sys/module/esp4/refcnt) == 1 && $(</sys/module/esp6/refcnt) == 1 ]]
}

replayed() {
	local before

	before=$(mib "$g2" XfrmInStateSeqError)
	record_out "$tmp/pcap" "$g1" wan
	ip netns exec "$g1" ping -q -c 2 -i 0.02 -W 10 10.12.0.1
	record_end "$tmp/pcap" "$g1" 10.0.0.2
	PYTHONPATH=$reference ip netns exec "$g1" /usr/bin/python3 - "$tmp/pcap" <<-EOF
		import pcap, socket, sys
		packet = [p for p in pcap.read(sys.argv[1]) if p[20:24] == b"\0\0\3\1"][-1]
		with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as sock:
		    for _ in range(3):
		        sock.sendto(packet, ("10.0.0.2", 0))
	EOF
	expect "packets refused" $(($(mib "$g2" XfrmInStateSeqError) - before)) 3
	block "$g2" 0x301 -s | grep -q 'replay 3 failed 0'
}

# With them the kernel builds plain ESP itself on output, and takes ESP early on input
offload() {
	local had1 had2

	modprobe -a esp4_offload esp6_offload
	gro on "$g1" wan "$g2" wan
	gro on "$g2" wan "$g1" wan
	flush
	plain_make
	extended_make
	had1=$(gro_packets "$g1" wan) had2=$(gro_packets "$g2" wan)
	record_out "$tmp/pcap" "$g1" wan
	rm -f "$tmp/big" "$tmp/big.log"
	ip netns exec "$g1" tcpdump -nn -l -c 1 -i lan -Q in 'tcp and greater 2000' \
		>"$tmp/big" 2>"$tmp/big.log" &
	wait_for 20 grep -q 'listening on' "$tmp/big.log"
	extended_works
	plain_works
	# GSO was there to be done
	wait_for 5 test -s "$tmp/big"
	record_end "$tmp/pcap" "$g1" 10.0.0.2
	# So was GRO
	had1=$(($(gro_packets "$g1" wan) - had1)) had2=$(($(gro_packets "$g2" wan) - had2))
	echo "# packets that GRO had: $had1 $had2"
	((had1 >= $(stat "$g1" 0x200 rx-packets) && had2 >= $(stat "$g2" 0x100 rx-packets)))
	reference_sa 4 '1>2' >"$tmp/sa"
	"$reference/check_capture.py" --sa "$tmp/sa" --min-packets 50 "$tmp/pcap"
	expect "clear packets" "$(clear_packets "$tmp/pcap")" ''
}

unloaded() {
	local spi

	refused 'in use' modprobe -r xfrm_ext
	for n in "$g1" "$g2"; do
		ip -n "$n" -batch - <<-EOF
			xfrm state delete src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x100
			xfrm state delete src 10.0.0.2 dst 10.0.0.1 proto esp spi 0x200
		EOF
	done
	wait_for 30 module_goes
	plain_works
	clear_works
	flush
	plain_make
	plain_works
}

gateways
plain_addresses
ip netns exec "$b" "$here/traffic.py" serve 10.2.0.2 7 &
ip netns exec "$g2" "$here/traffic.py" serve 10.12.0.1 7 &
traffic_open "$g1"
wait_for 20 traffic udp 10.12.0.1 7 1
wait_for 20 ip netns exec "$a" "$here/traffic.py" udp 10.2.0.2 7 1
run "plain SAs, no module" before
run "extended SAs and cleartext beside plain SAs made before" beside
# On a slow kernel the last ones have it in them
((factor > 1)) || run "and beside plain SAs made now" made_beside
# On kernels of ours they are built in
[[ $(modinfo -F filename esp4) != *.ko* ]] || run "esp4 and esp6 stay" esp_stays
run "a plain SA's window is the kernel's" replayed
run "esp4_offload and esp6_offload loaded" offload
run "plain SAs stay when the module goes, and others can be made" unloaded
flush
finish
