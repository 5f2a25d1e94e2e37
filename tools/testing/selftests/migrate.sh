#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# kernels: 6.1-cloud 7.3-uml
#
# Plain SAs migrate as ever (extended ones: takeover.sh). And SAs made by PF_KEY.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-wire.sh"

plain_pair() {
	local gcm="mode tunnel flag af-unspec aead $aead"

	flush
	policies 4
	for n in "$g1" "$g2"; do
		ip -n "$n" -batch - <<-EOF
			xfrm state add src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x100 reqid 1 $gcm $key1 128
			xfrm state add src 10.0.0.2 dst 10.0.0.1 proto esp spi 0x200 reqid 2 $gcm $key2 128
		EOF
	done
}

xfrm() {
	ip netns exec "$g1" "$here/xfrm.py" "$@"
}

# The SA 1>2 on its sender, to these outer addresses
migrate() { # new-src new-dst
	xfrm migrate 10.1.0.0/24 10.2.0.0/24 1 10.0.0.1 10.0.0.2 "$@"
}

usable() {
	ip netns exec "$g1" ping -q -c 3 -i 0.05 -W 10 10.2.0.1
}

plain() {
	plain_pair
	usable
	migrate 10.0.0.11 10.0.0.2
	block "$g1" 0x100 | grep -q '^src 10.0.0.11 dst 10.0.0.2'
	expect "SAs" "$(ip -n "$g1" xfrm state | grep -c '^src')" 2
	record_out "$tmp/pcap" "$g1" wan
	usable
	record_end "$tmp/pcap" "$g1" 10.0.0.2
	expect "packets from the new address" 3 "$(tcpdump -nn -r "$tmp/pcap" \
		'src 10.0.0.11 and esp' 2>/dev/null | wc -l)"
}

without_module() {
	wait_for 30 module_goes
	plain
	[[ ! -d /sys/module/xfrm_ext ]]
}

with_module() {
	modprobe xfrm_ext
	plain
}

# It knows no AEAD, so what it makes cannot be extended
pfkey() {
	flush
	xfrm pfkey 10.0.0.1 10.0.0.2 0x300 1
	block "$g1" 0x300 >"$tmp/out"
	grep -q 'enc cbc(aes)' "$tmp/out"
	expect "extensions of a plain SA" "$(grep -w ext "$tmp/out")" ''
	flush
	ip netns exec "$g1" "$here/genl.py" announce family=2 daddr=10.0.0.2 spi=0x300 \
		tx-subspaces=2
	# Who makes it is all the same
	xfrm pfkey 10.0.0.1 10.0.0.2 0x300 1
	block "$g1" 0x300 >"$tmp/out"
	grep -q 'enc cbc(aes)' "$tmp/out"
	grep -q 'ext format esp64 .* tx-subspaces 2' "$tmp/out"
	expect "state" "$(ip netns exec "$g1" "$here/genl.py" get family=2 daddr=10.0.0.2 spi=0x300 |
		grep -o ' state=[0-9]*')" ' state=1'
	flush
	refused ENOENT ip netns exec "$g1" "$here/genl.py" withdraw \
		family=2 daddr=10.0.0.2 spi=0x300
	expect "SAs left" "$(ip -n "$g1" xfrm state)" ''
}

unload() {
	flush
	wait_for 30 module_goes
}

pair
ip -n "$g1" addr add 10.0.0.11/24 dev wan
ip -n "$g2" addr add 10.0.0.12/24 dev wan
# A slow kernel looks at what the module does
((factor > 1)) || run "a plain SA migrates, module not loaded" without_module
run "a plain SA migrates, module loaded" with_module
run "PF_KEY makes plain SAs, and those that were announced" pfkey
run "the module can be unloaded" unload
finish
