#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# check: 7.3-uml
#
# SCTP of a container or a virtual machine: its device leaves the CRC32c to whoever sends the
# packet on the wire (tx-checksum-sctp, which veth has), and large messages uncut. A gateway
# that puts such packets into an extended SA is the last one that can do either.
. "$(dirname "$0")/lib.sh"

modprobe sctp 2>/dev/null || true
[[ -e /proc/net/sctp ]] || {
	echo "1..0 # SKIP no SCTP"
	exit 0
}

# shellcheck disable=SC2016 # awk's
errors() {
	ip netns exec "$b" awk '$1 == "SctpChecksumErrors" { print $2 }' /proc/net/sctp/snmp
}

listens() {
	ip netns exec "$b" grep -q ' 3868 ' /proc/net/sctp/eps
}

# An association from a to b: one message of a packet, one of many
talk() { # address
	local before

	before=$(errors)
	ip netns exec "$b" timeout $((60 * factor)) python3 - "$1" <<-'END' &
		import socket
		import sys

		family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
		with socket.socket(family, socket.SOCK_STREAM, 132) as sock:
		    sock.bind((sys.argv[1], 3868))
		    sock.listen()
		    end, _ = sock.accept()
		    got = b""
		    while len(got) < 20500:
		        got += end.recv(65536)
		    assert got == b"x" * 500 + bytes(range(250)) * 80
		    end.send(b"y" * 700)
		    while end.recv(1000):
		        pass
	END
	wait_for 20 listens
	ip netns exec "$a" timeout $((60 * factor)) python3 - "$1" <<-'END'
		import socket
		import sys

		family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
		with socket.socket(family, socket.SOCK_STREAM, 132) as sock:
		    sock.connect((sys.argv[1], 3868))
		    sock.send(b"x" * 500)
		    sock.send(bytes(range(250)) * 80)
		    assert sock.recv(1000) == b"y" * 700
	END
	wait %1
	expect "packets with a wrong checksum" $(($(errors) - before)) 0
}

through() { # 4|6 inner-address fastpath
	fastpath "$3"
	tunnel "$1" 4
	talk "$2"
	(($(stat "$g1" 0x100 tx-packets) > 10))
	expect "drops" "$(drops "$g1" 0x100)" none
	expect "drops" "$(drops "$g2" 0x200)" none
}

# In an extended SA of transport mode that carries the extended tunnel
nested() { # fastpath
	local n there key out

	fastpath "$1"
	tunnel 4 4
	key_for 0x101
	out=$key
	key_for 0x201
	for n in 1 2; do
		there='rx-subspaces 1'
		((n == 2)) || there='tx-subspaces 1'
		ip -n "$(ns_of "$n")" -batch - <<-EOF
			xfrm state add src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x101 reqid 11 mode transport aead $aead $out 128 ext $there
			xfrm state add src 10.0.0.2 dst 10.0.0.1 proto esp spi 0x201 reqid 12 mode transport aead $aead $key 128 ext $([[ $there == tx* ]] && echo rx || echo tx)-subspaces 1
		EOF
	done
	ip -n "$g1" -batch - <<-EOF
		xfrm policy update src 10.1.0.0/24 dst 10.2.0.0/24 dir out tmpl src 10.0.0.1 dst 10.0.0.2 proto esp reqid 1 mode tunnel tmpl src 10.0.0.1 dst 10.0.0.2 proto esp reqid 11 mode transport
		xfrm policy update src 10.2.0.0/24 dst 10.1.0.0/24 dir fwd tmpl src 10.0.0.2 dst 10.0.0.1 proto esp reqid 2 mode tunnel tmpl src 10.0.0.2 dst 10.0.0.1 proto esp reqid 12 mode transport
	EOF
	ip -n "$g2" -batch - <<-EOF
		xfrm policy update src 10.2.0.0/24 dst 10.1.0.0/24 dir out tmpl src 10.0.0.2 dst 10.0.0.1 proto esp reqid 2 mode tunnel tmpl src 10.0.0.2 dst 10.0.0.1 proto esp reqid 12 mode transport
		xfrm policy update src 10.1.0.0/24 dst 10.2.0.0/24 dir fwd tmpl src 10.0.0.1 dst 10.0.0.2 proto esp reqid 1 mode tunnel tmpl src 10.0.0.1 dst 10.0.0.2 proto esp reqid 11 mode transport
	EOF
	talk 10.2.0.2
	(($(stat "$g1" 0x101 tx-packets) > 10))
}

modprobe xfrm_ext
gateways
ip netns exec "$a" ethtool -k lan | grep -q '^tx-checksum-sctp: on'
for path in on off; do
	run "SCTP over IPv4, outer IPv4, fastpath $path" through 4 10.2.0.2 $path
	run "SCTP over IPv6, outer IPv4, fastpath $path" through 4 fd02::2 $path
	[[ ! $whole ]] || run "SCTP over IPv4, outer IPv6, fastpath $path" through 6 10.2.0.2 $path
	run "SCTP in an SA in an SA, fastpath $path" nested $path
done
fastpath on
flush
finish
