#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# kernels: 6.1-cloud 6.12-cloud 7.3-kcsan 7.3-uml
# check: 7.3-uml
#
# One SA's packets are received on several CPUs, each of which has a stand-in for the state
# in their secpath: policy finds in it what it finds in the state, also when it refuses;
# pieces of one packet that arrive on different CPUs are put together; and nothing stays.
#
# veth hands a packet over on the CPU that has sent it.
. "$(dirname "$0")/lib.sh"

cpus=$(nproc)

# So many from each CPU, the first on CPU 0: it needs no stand-in
ping_all() { # address each [ping option...]
	local cpu

	for ((cpu = 0; cpu < cpus; cpu++)); do
		taskset -c "$cpu" ip netns exec "$g1" ping -q -i 0.02 -c "$2" "${@:3}" "$1"
	done
}

passes() { # inner-address outer-family path
	fastpath "$3"
	tunnel "$2" 4
	ping_all "$1" 3 -W 10
	expect "accepted" "$(stat "$g2" 0x100 rx-packets)" $((3 * cpus))
	expect "drops" "$(drops "$g2" 0x100) $(drops "$g1" 0x200)" "none none"
}

# Each is decrypted, compared, and refused: by one of the kernel's counters, by reason
refused_all() { # counter path
	local before

	fastpath "$2"
	before=$(mib "$g2" "$1")
	! ping_all 10.2.0.1 2 -W 0.2 || return 1
	expect "accepted" "$(stat "$g2" 0x100 rx-packets)" $((2 * cpus))
	expect "in xfrm_stat" $(($(mib "$g2" "$1") - before)) $((2 * cpus))
}

# What came through an SA and has no policy is refused, though clear packets are not
no_policy() { # path
	tunnel 4 4
	ip -n "$g2" xfrm policy flush
	refused_all XfrmInNoPols "$1"
}

# A template of another SA's
wrong_template() { # path word...
	tunnel 4 4
	ip -n "$g2" -batch - <<-EOF2
		xfrm policy delete src 10.1.0.0/24 dst 10.2.0.0/24 dir in
		xfrm policy add src 10.1.0.0/24 dst 10.2.0.0/24 dir in tmpl ${*:2}
	EOF2
	refused_all XfrmInTmplMismatch "$1"
}

selector() { # path
	tunnel 4 4
	ip -n "$g2" -batch - <<-EOF2
		xfrm state delete src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x100
		$(sa_line rx 4 '1>2' 4 sel src 10.1.0.0/24 dst 10.2.0.0/24 proto udp)
	EOF2
	refused_all XfrmInStateMismatch "$1"
}

# nftables sees a secpath on every CPU
seen() { # path
	fastpath "$1"
	tunnel 4 4
	ip netns exec "$g2" nft -f - <<-EOF2
		table ip t {
			chain c {
				type filter hook input priority 0
				ip protocol icmp ip saddr 10.1.0.1 meta secpath exists counter
				ip protocol icmp ip saddr 10.1.0.1 meta secpath missing counter
			}
		}
	EOF2
	ping_all 10.2.0.1 2 -W 10
	ip netns exec "$g2" nft list table ip t >"$tmp/rules"
	ip netns exec "$g2" nft delete table ip t
	grep -q "secpath exists counter packets $((2 * cpus)) " "$tmp/rules" ||
		grep -q "ipsec exists counter packets $((2 * cpus)) " "$tmp/rules"
	grep -Eq "(secpath|ipsec) missing counter packets 0 " "$tmp/rules"
}

# One datagram in as many pieces as there are CPUs, sent by each in turn, and its echo
pieces() { # 4|6 path
	fastpath "$2"
	tunnel "$1" 4
	ip netns exec "$g1" /usr/bin/python3 - "$1" "$cpus" <<-'EOF2'
		import os, socket, struct, sys
		family, cpus = int(sys.argv[1]), int(sys.argv[2])
		af = socket.AF_INET if family == 4 else socket.AF_INET6
		here, there = ("10.1.0.1", "10.2.0.1") if family == 4 else ("fd01::1", "fd02::1")
		src, dst = (socket.inet_pton(af, a) for a in (here, there))

		def checksum(data):
		    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
		    while total >> 16:
		        total = (total & 0xffff) + (total >> 16)
		    return ~total & 0xffff or 0xffff

		raw = socket.socket(af, socket.SOCK_RAW, socket.IPPROTO_RAW)
		with socket.socket(af, socket.SOCK_DGRAM) as sock:
		    sock.bind((here, 0))
		    sock.settimeout(20)
		    for n in range(20):
		        payload = os.urandom(256 * cpus - 8)
		        udp = struct.pack("!4H", sock.getsockname()[1], 7, 8 + len(payload), 0) + payload
		        pseudo = src + dst + struct.pack("!2H", 17, len(udp))
		        udp = udp[:6] + struct.pack("!H", checksum(pseudo + udp)) + udp[8:]
		        for i in range(cpus):
		            cpu = (i + n) % cpus
		            os.sched_setaffinity(0, {cpu})
		            part, more = udp[256 * i:256 * i + 256], i < cpus - 1
		            if family == 4:
		                packet = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(part), 1000 + n,
		                                     32 * i | more << 13, 64, 17, 0) + src + dst
		            else:
		                packet = struct.pack("!IHBB", 6 << 28, 8 + len(part), 44, 64) + src + dst
		                packet += struct.pack("!BBHI", 17, 0, 256 * i | more, 1000 + n)
		            raw.sendto(packet + part, (there, 0))
		        if sock.recv(65536) != payload:
		            sys.exit("not what was sent")
	EOF2
	expect "accepted" "$(stat "$g2" 0x100 rx-packets)" $((20 * cpus))
	expect "drops" "$(drops "$g2" 0x100)" none
}

# The kernel goes on behind the outer SA, with that itself
nested() { # path
	local n o1 o2 out in spi key k=()

	fastpath "$1"
	flush
	for spi in 0x100 0x101 0x200 0x201; do
		key_for "$spi"
		k[spi]=$key
	done
	for n in 1 2; do
		case $n in
		1) o1=10.0.0.1 o2=10.0.0.2 out=tx-subspaces in=rx-subspaces ;;
		2) o1=10.0.0.2 o2=10.0.0.1 out=rx-subspaces in=tx-subspaces ;;
		esac
		ip -n "$(ns_of "$n")" -batch - <<-EOF2
			xfrm state add src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x100 reqid 1 mode transport aead $aead ${k[0x100]} 128 ext $out 4
			xfrm state add src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x101 reqid 3 mode transport aead $aead ${k[0x101]} 128 ext $out 4
			xfrm state add src 10.0.0.2 dst 10.0.0.1 proto esp spi 0x200 reqid 2 mode transport aead $aead ${k[0x200]} 128 ext $in 4
			xfrm state add src 10.0.0.2 dst 10.0.0.1 proto esp spi 0x201 reqid 4 mode transport aead $aead ${k[0x201]} 128 ext $in 4
			xfrm policy add src $o1 dst $o2 proto icmp dir out tmpl proto esp reqid $n mode transport tmpl proto esp reqid $((n + 2)) mode transport
			xfrm policy add src $o2 dst $o1 proto icmp dir in tmpl proto esp reqid $((3 - n)) mode transport tmpl proto esp reqid $((5 - n)) mode transport
		EOF2
	done
	ping_all 10.0.0.2 2 -W 10
	for n in 0x100 0x101; do
		expect "accepted by $n" "$(stat "$g2" "$n" rx-packets)" $((2 * cpus))
		expect "drops of $n" "$(drops "$g2" "$n")" none
	done
}

# Packets with a stand-in that wait in a socket: the SA goes before them
outlives() {
	fastpath on
	tunnel 4 4
	ping_all 10.2.0.1 1 -W 10
	flush
	wait_for 30 module_goes
	modprobe xfrm_ext
}

needs_cpus 2
modprobe xfrm_ext
pair
for address in 10.2.0.1 fd02::1; do
	ip netns exec "$g2" "$here/traffic.py" serve $address 7 &
done
traffic_open "$g1"
wait_for 20 traffic udp 10.2.0.1 7 1
wait_for 20 traffic udp fd02::1 7 1
other="src 10.0.0.1 dst 10.0.0.2 proto esp"
for path in on off; do
	[[ ! $quick || $path == on ]] || continue
	run "IPv4, fastpath $path" passes 10.2.0.1 4 $path
	run "IPv6 in IPv4, fastpath $path" passes fd02::1 4 $path
	run "IPv6, fastpath $path" passes fd02::1 6 $path
	run "no policy, fastpath $path" no_policy $path
	run "another reqid, fastpath $path" wrong_template $path "$other reqid 7 mode tunnel"
	run "another mode, fastpath $path" wrong_template $path "$other reqid 1 mode transport"
	run "another address, fastpath $path" \
		wrong_template $path "src 10.0.0.9 dst 10.0.0.2 proto esp reqid 1 mode tunnel"
	run "another selector, fastpath $path" selector $path
	run "seen by nftables, fastpath $path" seen $path
	run "pieces of IPv4, fastpath $path" pieces 4 $path
	run "pieces of IPv6, fastpath $path" pieces 6 $path
	run "transport in transport, fastpath $path" nested $path
done
run "the module goes when they have gone" outlives
flush
finish
