#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# check: 6.1-cloud 7.3-uml
#
# Packets that are lost behind the SA: transport mode, and a rule of the receiver's that
# gives what comes out an address that there is no way to, 127.0.0.1 without
# route_localnet. They are dropped and counted (rx-inner), whichever CPU receives them:
# on all but the first, a packet carries a stand-in of the SA's state.
. "$(dirname "$0")/lib.sh"

dropped_are() { # more than before
	[[ $(($(stat "$g2" 0x100 rx-inner) - before)) == "$1" ]]
}

dropped() { # cpu: of ten datagrams that this CPU sends, and so receives
	local before mib

	before=$(stat "$g2" 0x100 rx-inner) mib=$(mib "$g2" XfrmInStateModeError)
	: "${before:=0}"
	ip netns exec "$g1" taskset -c "$1" python3.11 - <<-'END'
		import socket
		s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
		for i in range(10):
		    s.sendto(b"x", ("10.0.0.2", 5000))
	END
	wait_for 10 dropped_are 10 || dropped_are 10
	expect "the kernel's counter" "$(($(mib "$g2" XfrmInStateModeError) - mib))" 10
}

needs_cpus 2
pair_acquainted
mode_sas transport 10.0.0.1 10.0.0.2 10.0.0.1 10.0.0.2 "ext tx-subspaces 4" "ext rx-subspaces 4 window 1024"
ip netns exec "$g2" nft -f - <<'END'
table ip t {
	chain c {
		type nat hook prerouting priority dstnat;
		udp dport 5000 dnat to 127.0.0.1
	}
}
END
run "dropped on the CPU that the SA first received on" dropped 0
run "dropped on another CPU" dropped 1
finish
