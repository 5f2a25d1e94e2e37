#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# kernels: 6.1-debug 7.3-uml
# check: 7.3-uml
# needs: faults
# timeout: 3600
#
# The n-th thing that can fail does, for n = 1, 2, ... until a scenario needs no more: what the
# module calls of the kernel, from any context, and where the kernel can also what it allocates
# for the process. What there is then is what was asked for, or nothing; what is sent is what the
# SA says, or nothing, and counted; the next time it goes well, and in the end all is given
# back. In the end each place must have failed but those of faults/unhit.txt.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-wire.sh"
needs_cpus 2

kos=/usr/lib/xfrm-ext/faults
export HITS=$tmp/hits
: >"$HITS"
which=calls
# One fault, in one way
[[ ! $quick ]] || which=call
if [[ -e /proc/thread-self/fail-nth ]]; then
	which=call,allocations
	# Those that may wait, too
	echo N >/sys/kernel/debug/failslab/ignore-gfp-wait
	echo 0 >/sys/kernel/debug/failslab/verbose
fi

scenarios() { # faults name...
	flush
	[[ ! -e /sys/module/xfrm_ext ]] || ip -n "$g1" xfrm ext rule flush
	"$here/faultscenarios.py" "$g1" "$@"
	flush
}

# Lines by which an end has its SA anew
anew() { # line
	local name=${1/add/delete}

	printf '%s\n' "${name% reqid *}" "$1"
}

# What leaves is judged by the reference, in the format that it takes
wire() { # 4|6 extension address kind...
	local kind

	record_out "$tmp/pcap" "$g1" wan
	for kind in "${@:4}"; do
		"$here/faultpackets.py" "$g1" "$g2" "$which" "$tmp/lines" 0x100 "$3" "$kind"
	done
	record_end "$tmp/pcap" "$g1" 10.0.0.2
	reference_sa "$1" '1>2' | sed "s/}/$2}/" >"$tmp/sa"
	expect "clear packets" "$(clear_packets "$tmp/pcap")" ''
	echo "# sender: $(drops "$g1" 0x100)"
}

all_left_and_counted() {
	"$reference/check_capture.py" --sa "$tmp/sa" --only --lost --min-packets 20 "$tmp/pcap" \
		>"$tmp/judged" || { cat "$tmp/judged"; return 1; }
	head -n 1 "$tmp/judged"
}

# Through tunnels of both directions
tunnels() { # fastpath 4|6 words address kind...
	local line

	fastpath "$1"
	flush
	policies "$2"
	# shellcheck disable=SC2086 # words
	sa_line tx "$2" '1>2' '1024 select mark' $3 | ip -n "$g1" -batch -
	line=$(sa_line rx "$2" '1>2' 1024)
	anew "$line" >"$tmp/lines"
	ip -n "$g2" -batch - <<<"$line"
	sa "$2" '2>1' 4
	wire "$2" '' "${@:4}"
	all_left_and_counted
	flush
	fastpath on
}

# A root key, and a protocol of its own: that nothing comes twice, the receiver knows
eesp() { # fastpath kind...
	local line

	fastpath "$1"
	flush
	OCTETS=32 key_for 0x100
	policies 4
	KEY=$key sa_line tx 4 '1>2' '64 select mark format eesp' | ip -n "$g1" -batch -
	line=$(KEY=$key sa_line rx 4 '1>2' '64 format eesp')
	anew "$line" >"$tmp/lines"
	ip -n "$g2" -batch - <<<"$line"
	sa 4 '2>1' 4
	wire 4 '' 10.2.0.1 "${@:2}"
	expect "ESP" "$(tcpdump -nn -r "$tmp/pcap" esp 2>/dev/null)" ''
	(($(tcpdump -nn -r "$tmp/pcap" ip proto 253 2>/dev/null | wc -l) > 50))
	expect "drops at the receiver" "$(drops "$g2" 0x100 | grep -w rx-replay || true)" ''
	flush
	fastpath on
}

# Before IP sees it
early() {
	gro on "$g2" wan "$g1" wan
	tunnels on 4 '' 10.2.0.1 plain pages
	gro off "$g2" wan "$g1" wan
}

echoes() {
	tunnel 4 4
	ip -n "$g2" xfrm state delete src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x100
	sa_line rx 4 '1>2' '4 echo on' | ip -n "$g2" -batch -
	"$here/faultpackets.py" "$g1" "$g2" "${which%%,*}" - 0x100 10.2.0.1 echo 0x200
	flush
}

# Between two hosts, in another mode: neighbours are known, all else goes through the SAs
modes() { # fastpath mode 4|6 inner-1 inner-2 words kind...
	local o1 o2

	outer "$3"
	fastpath "$1"
	# shellcheck disable=SC2086 # words
	mode_sas "$2" "$4" "$5" "$o1" "$o2" "ext $6 tx-subspaces 1024 select mark" \
		"ext $6 rx-subspaces 1024 window 1024"
	anew "$(mode_lines "$2" in 0x100 1 "$key1" "$4" "$5" "$o1" "$o2" \
		"ext $6 rx-subspaces 1024 window 1024" | head -n 1)" >"$tmp/lines"
	for kind in "${@:7}"; do
		"$here/faultpackets.py" "$g1" "$g2" "$which" "$tmp/lines" 0x100 "$5" "$kind"
	done
	echo "# sender: $(drops "$g1" 0x100)"
	flush
	fastpath on
}

# "last": who is called then takes the caller's caller for it
unhit() {
	local list=$here/../faults/unhit.txt

	awk 'FILENAME == ARGV[1] && !/^#/ && NF { listed[$1 " " $2] }
		FILENAME == ARGV[2] { hit[$0]; called[$2] }
		FILENAME == ARGV[3] {
			place = $1 " " $2
			has = place in hit || ($3 == "last" && $2 in called)
			n++
			if (!has && !(place in listed)) print "has never failed:", place
			if (has && place in listed) print "in unhit.txt, and has failed:", place
			if (!has) left++
		}
		END { print "# of", n, "places", n - left, "have failed" }' \
		"$list" <(sort -u "$HITS") "$kos/places" >"$tmp/out"
	cat "$tmp/out"
	expect "places" "$(grep -c -v '^#' "$tmp/out" || true)" 0
}

# An allocation that failed has no part in a namespace's account either
given_back() {
	wait_for 10 netns_empty "$g1" || expect "account" "$(netns_memory "$g1")" 0
	wait_for 10 netns_empty "$g2" || expect "account" "$(netns_memory "$g2")" 0
	wait_for 30 module_goes
}

pair_acquainted
ip -n "$g1" addr add 10.0.0.11/24 dev wan
insmod /lib/modules/"$(uname -r)"/extra/xfrm_ext_faults.ko
run "the module" scenarios "${which%%,*}" load "$kos/xfrm_ext.ko"
insmod "$kos/xfrm_ext.ko"
run_full eesp scenarios "$which" eesp
for name in announced announced6 cbc rule or-plain daemon again forgotten migrate held \
	not-held rule-add rule-del rule-get rule-refuses announce get dump caps totals dummy dummy6; do
	run "$name" scenarios "$which" "$name"
done
run "a namespace" scenarios "${which%%,*}" netns
# Again: what a CPU keeps for the next packet, none has yet
wait_for 30 module_goes
insmod "$kos/xfrm_ext.ko"
run "tunnel" tunnels on 4 '' 10.2.0.1 plain tapped
for path in on off; do
	run_full "tunnel, fastpath $path" tunnels $path 4 '' 10.2.0.1 plain tapped pages tcp stream
	run_full "tunnel over IPv6, fastpath $path" tunnels $path 6 '' 10.2.0.1 plain pages
	run_full "transport, fastpath $path" modes $path transport 4 10.0.0.1 10.0.0.2 '' plain pages
	run_full "transport over IPv6, fastpath $path" modes $path transport 6 fd00::1 fd00::2 '' plain
	run_full "BEET, fastpath $path" modes $path beet 4 fd01::1 fd02::1 '' plain
	run_full "EESP, fastpath $path" eesp $path plain tapped pages
done
run_full "tunnel, GRO" early
run "echo" echoes
run "all is given back" given_back
# How a compiler puts functions into others is another matter on each kernel: once is enough
[[ ! $whole ]] || run "every place has failed" unhit
finish
