#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# kernels: 6.1-cloud
# append: security=selinux enforcing=0
#
# Labelled SAs and policies: SELinux compares their contexts, and an extended SA keeps the
# one that it was given. There is no policy of SELinux's: then it knows the contexts that it
# begins with, "kernel", which every process has, and "unlabeled" among them, and allows
# everything but an SA whose context is not the packet's.
. "$(dirname "$0")/lib.sh"

# SAs and policies of both ends with these labels, or none: -
labelled() { # tunnel|transport label-of-SAs label-of-policies
	local n out in words sa='' policy='' flags='' i1=10.0.0.1 i2=10.0.0.2

	[[ $2 == - ]] || sa="ctx $2"
	[[ $3 == - ]] || policy="ctx $3"
	[[ $1 != tunnel ]] || i1=10.1.0.1 i2=10.2.0.1 flags='flag af-unspec'
	words="mode $1 $flags aead $aead"
	new_keys
	for n in 1 2; do
		case $n in
		1) out=tx-subspaces in=rx-subspaces ;;
		2) out=rx-subspaces in=tx-subspaces ;;
		esac
		ip -n "$(ns_of "$n")" -batch - <<-LINES
			xfrm state flush
			xfrm policy flush
			xfrm state add src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x100 reqid 1 $words $key1 128 $sa ext $out 4
			xfrm state add src 10.0.0.2 dst 10.0.0.1 proto esp spi 0x200 reqid 2 $words $key2 128 $sa ext $in 4
			xfrm policy add src $i1 dst $i2 $policy dir $( ((n == 1)) && echo out || echo in) tmpl src 10.0.0.1 dst 10.0.0.2 proto esp reqid 1 mode $1
			xfrm policy add src $i2 dst $i1 $policy dir $( ((n == 1)) && echo in || echo out) tmpl src 10.0.0.2 dst 10.0.0.1 proto esp reqid 2 mode $1
		LINES
	done
	target=$i2
}

active() {
	grep -qw selinux /sys/kernel/security/lsm
}

# The label that a TCP server sees on its client; "none" without
peer_label() { # address of the server
	ip netns exec "$g2" /usr/bin/python3 - "$1" <<-'EOF' >"$tmp/label" &
		import socket, sys
		SO_PEERSEC = 31
		with socket.create_server((sys.argv[1], 8)) as server:
		    server.settimeout(10)
		    with server.accept()[0] as conn:
		        try:
		            print(conn.getsockopt(socket.SOL_SOCKET, SO_PEERSEC, 64).rstrip(b"\0").decode())
		        except OSError:
		            print("none")
	EOF
	wait_for 10 ip netns exec "$g2" grep -q ':0008 .* 0A ' /proc/net/tcp
	ip netns exec "$g1" /usr/bin/python3 -c '
import socket, sys
socket.create_connection((sys.argv[1], 8), timeout=10).recv(1)' "$1"
	wait $!
	cat "$tmp/label"
}

unlabelled() {
	flush
	expect "label of a client in clear" "$(peer_label 10.0.0.2)" none
}

carries() { # mode path
	local target

	fastpath "$2"
	labelled "$1" kernel kernel
	block "$g1" 0x100 | grep -qx '	security context kernel '
	block "$g1" 0x100 | grep -q 'ext format esp64'
	ip netns exec "$g1" ping -q -c 3 -i 0.05 -W 10 "$target"
	traffic udp "$target" 7 1 1300 5000
	traffic tcp "$target" 7 100000
	expect "label of the client" "$(peer_label "$target")" kernel
	[[ $(stat "$g1" 0x100 tx-packets) -gt 50 ]]
	wait_for 10 accepted "$g2" 0x100 "$(stat "$g1" 0x100 tx-packets)"
	expect "drops" "$(drops "$g1" 0x100) $(drops "$g2" 0x100)" "none none"
	expect "drops" "$(drops "$g1" 0x200) $(drops "$g2" 0x200)" "none none"
}

# Neither by the SA nor in clear
nothing() { # mode path label-of-SAs label-of-policies
	local target before

	fastpath "$2"
	labelled "$1" "$3" "$4"
	before=$(mib "$g1" XfrmOutNoStates)
	ip netns exec "$g1" ping -q -c 2 -i 0.05 -W 1 "$target" && return 1
	expect "packets sent" "$(stat "$g1" 0x100 tx-packets)" 0
	[[ $(mib "$g1" XfrmOutNoStates) -gt $before ]]
}

# ESP Echo is answered by an SA of the request's label, and by no other
echoes() {
	local words="mode tunnel aead $aead"

	fastpath on
	flush
	ip -n "$g1" -batch - <<-LINES
		xfrm state add src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x100 $words $key1 128 ctx kernel ext tx-subspaces 4
		xfrm state add src 10.0.0.2 dst 10.0.0.1 proto esp spi 0x200 $words $key2 128 ctx kernel ext rx-subspaces 4
	LINES
	ip -n "$g2" -batch - <<-LINES
		xfrm state add src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x100 $words $key1 128 ctx kernel ext rx-subspaces 4 echo on
		xfrm state add src 10.0.0.2 dst 10.0.0.1 proto esp spi 0x200 $words $key2 128 ctx kernel ext tx-subspaces 4
		xfrm state add src 10.0.0.2 dst 10.0.0.1 proto esp spi 0x201 $words ${key2/0x00/0x01} 128 ctx unlabeled ext tx-subspaces 4
		xfrm state add src 10.0.0.2 dst 10.0.0.1 proto esp spi 0x202 $words ${key2/0x00/0x02} 128 ext tx-subspaces 4
	LINES
	genl_open "$g1"
	answers ok echo family=2 daddr=10.0.0.2 spi=0x100 echo-reply-spi=0x201
	answers ok echo family=2 daddr=10.0.0.2 spi=0x100 echo-reply-spi=0x202
	answers ok echo family=2 daddr=10.0.0.2 spi=0x100 echo-reply-spi=0x200
	genl_close
	wait_for 10 echoed
	expect "sent by another label" "$(stat "$g2" 0x201 tx-packets) $(stat "$g2" 0x202 tx-packets)" "0 0"
}

echoed() {
	[[ $(drops "$g2" 0x100) == 'rx-echo 1 rx-echo-refused 2' ]]
}

mount -t securityfs securityfs /sys/kernel/security 2>/dev/null || true
modprobe xfrm_ext
pair
for address in 10.2.0.1 10.0.0.2; do
	ip netns exec "$g2" "$here/traffic.py" serve $address 7 &
done
traffic_open "$g1"
wait_for 20 traffic udp 10.2.0.1 7 1
wait_for 20 traffic udp 10.0.0.2 7 1
run "SELinux is at work" active
run "no SA, no label" unlabelled
for path in on off; do
	for mode in tunnel transport; do
		[[ $path == on || $mode == tunnel ]] || continue
		run "SAs and policies of one label, $mode, fastpath $path" carries $mode $path
		run "an SA with a label, a policy without, $mode, fastpath $path" \
			nothing $mode $path kernel -
		run "a policy with a label, an SA without, $mode, fastpath $path" \
			nothing $mode $path - kernel
		run "an SA of another label, $mode, fastpath $path" nothing $mode $path unlabeled kernel
	done
done
run "ESP Echo" echoes
fastpath on
flush
finish
