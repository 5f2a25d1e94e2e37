#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# check: 7.3-uml
#
# A hub: what comes out of one SA goes into another, whose subspaces are chosen by flow. A
# packet's hash must be that of the flow inside, not of the ESP packet that it came in,
# which a device or RPS has left there, and which is one for all.
. "$(dirname "$0")/lib.sh"

flows=64 subspaces=16

# A second SA, from the second gateway to the host behind it
spoke() {
	local t="proto esp spi 0x300 reqid 3 mode tunnel"
	local p="src 10.1.0.0/24 dst 10.2.0.0/24" key

	key_for 0x300
	ip -n "$g2" -batch - <<-END
		xfrm state add src 10.2.0.1 dst 10.2.0.2 $t aead $aead $key 128 ext ${FORMAT-} tx-subspaces $subspaces select flow
		xfrm policy add $p dir out tmpl src 10.2.0.1 dst 10.2.0.2 proto esp reqid 3 mode tunnel
	END
	ip -n "$b" -batch - <<-END
		xfrm state add src 10.2.0.1 dst 10.2.0.2 $t aead $aead $key 128 ext ${FORMAT-} rx-subspaces $subspaces
		xfrm policy add $p dir in tmpl src 10.2.0.1 dst 10.2.0.2 proto esp reqid 3 mode tunnel
	END
}

spread() { # path
	local used

	fastpath "$1"
	for n in "$g1" "$g2" "$b"; do
		ip -n "$n" -batch - <<<$'xfrm state flush\nxfrm policy flush'
	done
	tunnel 4 2
	spoke
	ip netns exec "$a" python3.11 - "$flows" <<-'END'
		import socket, sys
		for port in range(4000, 4000 + int(sys.argv[1])):
		    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
		        s.bind(("10.1.0.2", port))
		        s.sendto(b"x", ("10.2.0.2", 9))
	END
	accepts "$b" 0x300 "$flows"
	used=$(block "$g2" 0x300 -s | grep -c '^[[:space:]]*tx-subspace ')
	echo "# $used of $subspaces subspaces used by $flows flows"
	# Fewer than half are used by chance once in 10^13 times
	((used >= subspaces / 2))
}

modprobe xfrm_ext
gateways
# The hash of a received packet is there from then on
printf '%x\n' $(((1 << $(nproc)) - 1)) | ip netns exec "$g2" tee /sys/class/net/wan/queues/rx-0/rps_cpus >/dev/null
run "flows use all subspaces" spread on
run "flows use all subspaces, fastpath off" spread off
run "flows use all Sub SAs of eesp" in_eesp spread on
fastpath on
finish
