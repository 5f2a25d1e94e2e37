#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# check: 6.1-cloud 7.3-uml
#
# Packets that are lost behind the SA, in transport mode: a full queue (rx-nomem), and a
# rule of the receiver's that gives what comes out an address that there is no way to,
# 127.0.0.1 without route_localnet (rx-inner). They are dropped and counted, whichever CPU
# receives them: on all but the first, a packet carries a stand-in of the SA's state.
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

# One SA in transport mode in another in tunnel mode, one way. What comes out of two SAs waits
# in a queue of the kernel's, which is as long as a device's; shortened to nothing it is full.
nested() { # 4|6
	local o1 o2 inner outer_sa key

	outer "$1"
	flush
	key_for 0x101
	inner="src $o1 dst $o2 proto esp spi 0x100 reqid 1 mode transport aead $aead $key1 128"
	outer_sa="src $o1 dst $o2 proto esp spi 0x101 reqid 2 mode tunnel aead $aead $key 128"
	ip -n "$g1" -batch - <<-END
		xfrm state add $inner ext tx-subspaces 4
		xfrm state add $outer_sa ext tx-subspaces 4
		xfrm policy add src $o1 dst $o2 dir out tmpl proto esp reqid 1 mode transport tmpl src $o1 dst $o2 proto esp reqid 2 mode tunnel
	END
	ip -n "$g2" -batch - <<-END
		xfrm state add $inner ext rx-subspaces 4
		xfrm state add $outer_sa ext rx-subspaces 4
	END
}

datagrams_from() { # cpu address number
	ip netns exec "$g1" taskset -c "$1" python3.11 - "$2" "$3" <<-'END'
		import socket, sys
		s = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
		for i in range(int(sys.argv[2])):
		    s.sendto(b"x", (sys.argv[1], 9))
	END
}

queue_full() { # 4|6 cpu
	local backlog o1 o2 mib n

	outer "$1"
	nested "$1"
	# Not a drop while there is room; and CPU 0 is the first
	datagrams_from 0 "$o2" 1
	accepts "$g2" 0x100 1
	expect "drops" "$(drops "$g2" 0x100)" none
	mib=$(mib "$g2" XfrmInError)
	backlog=$(sysctl -n net.core.netdev_max_backlog)
	sysctl -qw net.core.netdev_max_backlog=0
	# One at a time: a second could find the device's own queue full
	for n in 1 2 3; do
		datagrams_from "$2" "$o2" 1
		wait_for 10 queue_dropped "$n" || true
	done
	sysctl -qw "net.core.netdev_max_backlog=$backlog"
	expect "drops" "$(drops "$g2" 0x100)" "rx-nomem 3"
	expect "the kernel's counter" "$(($(mib "$g2" XfrmInError) - mib))" 3
	# And it goes on
	datagrams_from "$2" "$o2" 1
	accepts "$g2" 0x100 5
	expect "drops" "$(drops "$g2" 0x100)" "rx-nomem 3"
}

queue_dropped() { # number
	[[ $(drops "$g2" 0x100) == "rx-nomem $1" ]]
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
for family in 4 6; do
	run "a full queue, IPv$family, on the first CPU" queue_full "$family" 0
	run "a full queue, IPv$family, on another CPU" queue_full "$family" 1
done
finish
