#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# kernels: 6.1-cloud
# check: 6.1-cloud
# append: audit=1
#
# Audit records of what a receiver refuses (RFC 4303 sections 3.4.3 and 3.4.4.1): a number that
# was seen before, a wrong ICV. With format esp they are those that the kernel writes of a
# stock SA, to the letter; with esp64 and eesp they have the whole number and the Subspace ID. And of a
# Subspace ID out of range, of which stock ESP has none; of what else eesp's draft wants in the
# log; and that the log can be switched off.
. "$(dirname "$0")/lib.sh"

# One way only, of which the receiver may have another key
setup() { # 4|6 good|bad words-of-sender words-of-receiver
	local o1 o2 t key

	outer "$1"
	flush
	key=$key1
	[[ $2 == good ]] || key=$key2
	t="proto esp spi 0x100 reqid 1 mode transport"
	{
		echo "xfrm state add src $o1 dst $o2 $t aead $aead $key1 128 $3"
		echo "xfrm policy add src $o1 dst $o2 dir out tmpl src $o1 dst $o2 proto esp reqid 1 mode transport"
	} | ip -n "$g1" -batch -
	echo "xfrm state add src $o1 dst $o2 $t aead $aead $key 128 $4" | ip -n "$g2" -batch -
}

# The records of one kind since the mark, without their time
records() { # op
	dmesg | sed -n "/$mark/,\$s/.*audit: type=1415 audit([^)]*): op=$1/op=$1/p" | sed 's/ res=.*//'
}

records_are() { # op number
	[[ $(records "$1" | wc -l) == "$2" ]]
}

# Three packets, and what is recorded of them
recorded() { # 4|6 op
	local o1 o2

	outer "$1"
	mark="mark-$RANDOM-$RANDOM"
	echo "$mark" >/dev/kmsg
	ip netns exec "$g1" python3.11 - "$o2" <<-'END'
		import socket, sys
		s = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
		s.bind(("", 4000))  # the flow label is made of it
		for _ in range(3):
		    s.sendto(b"x", (sys.argv[1], 9))
	END
	wait_for 10 records_are "$2" 3 || true
	records "$2"
}

replayed() { # 4|6 path
	fastpath "$2"
	tc -n "$g1" qdisc replace dev wan root netem duplicate 100%
	setup "$1" good "replay-window 0" "replay-window 32"
	recorded "$1" SA-replayed-pkt >"$tmp/stock"
	setup "$1" good "ext format esp tx-subspaces 1" "ext format esp rx-subspaces 1"
	recorded "$1" SA-replayed-pkt >"$tmp/own"
	setup "$1" good "ext tx-subspaces 1 tx-base 3 tx-start 4294967296" "ext rx-subspaces 8"
	recorded "$1" SA-replayed-pkt >"$tmp/esp64"
	in_eesp setup "$1" good "ext format eesp tx-subspaces 1 tx-base 3 tx-start 4294967296" \
		"ext format eesp rx-subspaces 8"
	recorded "$1" SA-replayed-pkt >"$tmp/eesp"
	tc -n "$g1" qdisc del dev wan root
	same 4294967296
}

forged() { # 4|6 path
	fastpath "$2"
	setup "$1" bad "replay-window 0" "replay-window 32"
	recorded "$1" SA-icv-failure >"$tmp/stock"
	setup "$1" bad "ext format esp tx-subspaces 1" "ext format esp rx-subspaces 1"
	recorded "$1" SA-icv-failure >"$tmp/own"
	setup "$1" bad "ext tx-subspaces 1 tx-base 3 tx-start 4294967296" "ext rx-subspaces 8"
	recorded "$1" SA-icv-failure >"$tmp/esp64"
	in_eesp setup "$1" bad "ext format eesp tx-subspaces 1 tx-base 3 tx-start 4294967296" \
		"ext format eesp rx-subspaces 8"
	recorded "$1" SA-icv-failure >"$tmp/eesp"
	same 4294967296
}

same() { # first number of esp64
	local i

	cat "$tmp/stock" "$tmp/own" "$tmp/esp64" "$tmp/eesp"
	expect "records of stock ESP" "$(wc -l <"$tmp/stock")" 3
	expect "records of format esp" "$(<"$tmp/own")" "$(<"$tmp/stock")"
	for i in 1 2 3; do
		sed -n "${i}s/seqno=$i\$/seqno=$(($1 + i - 1)) subspace=3/p" "$tmp/stock"
	done >"$tmp/want"
	expect "records of esp64" "$(<"$tmp/esp64")" "$(<"$tmp/want")"
	expect "records of eesp" "$(<"$tmp/eesp")" "$(<"$tmp/want")"
}

# A Subspace ID that is none of the SA's: the kernel has no word for it
out_of_range() { # 4|6 path
	local o1 o2 flow='' of OCTETS

	fastpath "$2"
	outer "$1"
	[[ $1 == 4 ]] || flow=' flowlbl=0x[0-9a-f]*'
	for of in '' 'format eesp '; do
		# A root key, of which each Sub SA has one
		[[ ! $of ]] || OCTETS=32
		setup "$1" good "ext ${of}tx-subspaces 1 tx-base 3" "ext ${of}rx-subspaces 3"
		recorded "$1" SA-subspace-range >"$tmp/own"
		cat "$tmp/own"
		expect "records" "$(grep -cx "op=SA-subspace-range.* src=[^ ]* dst=[^ ]*$flow spi=256(0x100) seqno=[123] subspace=3" "$tmp/own")" 3
		expect "drops" "$(drops "$g2" 0x100)" "rx-subspace 3"
	done
}

# More in clear than the receiver takes
crypt_offset() { # 4|6 path
	local flow='' accepted

	fastpath "$2"
	[[ $1 == 4 ]] || flow=' flowlbl=0x[0-9a-f]*'
	for accepted in '' ' rx-crypt-offset 4'; do
		in_eesp setup "$1" good "ext format eesp tx-subspaces 1 tx-crypt-offset 12" \
			"ext format eesp rx-subspaces 1$accepted"
		recorded "$1" SA-crypt-offset >"$tmp/own"
		cat "$tmp/own"
		expect "records" "$(grep -cx "op=SA-crypt-offset.* src=[^ ]* dst=[^ ]*$flow spi=256(0x100) seqno=[123] subspace=0" "$tmp/own")" 3
		expect "drops" "$(drops "$g2" 0x100)" "rx-crypt-offset 3"
	done
}

# EESP of no SA: the kernel's record, as of ESP, without Session ID and number
not_found() { # 4|6 path
	local flow=''

	fastpath "$2"
	[[ $1 == 4 ]] || flow=' flowlbl=0x[0-9a-f]*'
	in_eesp setup "$1" good "ext format eesp tx-subspaces 1 tx-base 3" "ext format eesp rx-subspaces 8"
	ip -n "$g2" xfrm state flush
	recorded "$1" SA-notfound >"$tmp/own"
	cat "$tmp/own"
	expect "records" "$(grep -cx "op=SA-notfound.* src=[^ ]* dst=[^ ]*$flow spi=256(0x100) seqno=0" "$tmp/own")" 3
}

# AUDIT_SET, AUDIT_STATUS_ENABLED
auditing() { # 0|1
	python3.11 - "$1" <<-'END'
		import socket, struct, sys
		s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 9)
		s.bind((0, 0))
		body = struct.pack("=10I", 1, int(sys.argv[1]), 0, 0, 0, 0, 0, 0, 0, 0)
		s.send(struct.pack("=IHHII", 16 + len(body), 1001, 5, 1, 0) + body)
		assert struct.unpack_from("=i", s.recv(4096), 16)[0] == 0
	END
}

# Where the system does not audit, nothing is written, and counted all the same
switched() {
	in_eesp setup 4 good "ext format eesp tx-subspaces 1 tx-base 3" "ext format eesp rx-subspaces 3"
	recorded 4 SA-subspace-range >"$tmp/on"
	expect "records" "$(wc -l <"$tmp/on")" 3
	auditing 0
	patience=1 recorded 4 SA-subspace-range >"$tmp/off"
	auditing 1
	expect "drops" "$(drops "$g2" 0x100)" "rx-subspace 6"
	recorded 4 SA-subspace-range >"$tmp/on"
	expect "records, off and on" "$(wc -l <"$tmp/off") $(wc -l <"$tmp/on")" "0 3"
}

modprobe xfrm_ext
pair_acquainted
sysctl -qw kernel.printk_ratelimit=0
for path in on off; do
	for family in 4 6; do
		run "replays, IPv$family, fastpath $path" replayed "$family" "$path"
		run "wrong ICVs, IPv$family, fastpath $path" forged "$family" "$path"
		run "Subspace IDs out of range, IPv$family, fastpath $path" out_of_range "$family" "$path"
		run "too much in clear, IPv$family, fastpath $path" crypt_offset "$family" "$path"
		run "EESP of no SA, IPv$family, fastpath $path" not_found "$family" "$path"
	done
done
run "auditing is switched off and on" switched
fastpath on
finish
