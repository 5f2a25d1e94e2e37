#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# check: 7.3-uml
#
# Every mode with every inner and outer family, on our own path and on the kernel's:
# TCP, datagrams of all lengths, IPv4 options, IPv6 extension headers, PMTU, and every
# field of the inner header; each packet on the link decoded by the reference. The same
# packets by both paths and by the kernel's own ESP: the same outer headers and the same
# inner packets (paths.sh has the flags of tunnel mode). What a mode cannot carry is
# counted, and does not leave.
#
# The ends of the SAs are the hosts themselves: transport mode and BEET know no others.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-modes.sh"

# Mode, inner family, outer family; and those that every kernel does on the kernel's own path
# and by all paths, too
cells=(
	'transport 4 4'
	'transport 6 6 each'
	'beet 4 4'
	'beet 4 6 each'
	'beet 6 4 each'
	'beet 6 6'
	'tunnel 4 4 each'
	'tunnel 4 6'
	'tunnel 6 4'
	'tunnel 6 6 each'
)

# SAs in both directions, between the addresses of the caller
sas() { # mode on|off|stock
	local tx='' rx=''

	if [[ $2 != stock ]]; then
		fastpath "$2"
		tx='ext tx-subspaces 4' rx='ext rx-subspaces 4'
	fi
	mode_sas "$1" "$i1" "$i2" "$o1" "$o2" "$tx" "$rx"
}

# What ping says of the options that came back: the addresses, and how many times
options_back() { # source destination
	ip netns exec "$g1" ping -R -c 1 -W $((5 * factor)) -I "$1" "$2" | sed -n '/^RR:/,/^$/p'
	ip netns exec "$g1" ping -T tsonly -c 1 -W $((5 * factor)) -I "$1" "$2" |
		sed -n '/^TS:/,/^$/p' | grep -c .
}

carries() { # mode inner outer path
	local i1 i2 o1 o2

	mode_addresses "$1" "$2" "$3"
	sas "$1" "$4"
	modes begin "$@"
	modes packets
	modes extensions
	modes lengths
	modes largest
	traffic tcp "$i2" 7 $((150000 / factor))
	if (($2 == 4)); then
		options_back "$i1" "$i2" >"$tmp/options"
		diff "$tmp/options.$i2" "$tmp/options"
	fi
	modes settled
	modes too_long
	modes refusals
	which_path "$1" "$4"
}

# That it has been the path it is called, or all that is shown here is shown twice
which_path() { # mode path
	local line

	new_keys
	line=$(mode_lines "$1" out 0x100 1 "$key1" "$i1" "$i2" "$o1" "$o2" ext rx-subspaces 1 | head -n 1)
	ip -n "$g1" -batch - <<-EOF
		xfrm state delete src $o1 dst $o2 proto esp spi 0x100
		$line
	EOF
	modes path "$2"
}

# The kernel's ESP, without us
alike() { # mode inner outer
	local i1 i2 o1 o2

	mode_addresses "$@"
	sas "$1" stock
	modes begin "$@" stock
	modes packets
	modes largest
	modes too_long
	modes compare
}

# One end of three SAs: with fragments at both ends, not at the sender, not at the receiver
fragment_lines() { # out|in outer
	local o1 o2 dir=$1 n word key
	local -a on

	outer "$2"
	case $dir in
	out) word=tx-subspaces on=(on off on) ;;
	in) word=rx-subspaces on=(on on off) ;;
	esac
	echo "xfrm state flush"
	echo "xfrm policy flush"
	for n in 0 1 2; do
		key_for $((0x100 + n))
		mode_lines beet "$dir" $((0x100 + n)) $((n + 1)) "$key" 10.1.0.1 10.2.0.$((n + 1)) \
			"$o1" "$o2" ext "$word" 4 beet-frag "${on[n]}"
	done
}

fragments() { # outer path
	fastpath "$2"
	fragment_lines out "$1" | ip -n "$g1" -batch -
	fragment_lines in "$1" | ip -n "$g2" -batch -
	modes fragments "$1" "$2"
}

# The kernel's own BEET leaves an octet of an inner address where F is in a fragment: 00, 01,
# 10, 11 in its upper bits
last=(4 65 130 193)

stock_lines() { # out|in outer [words of the receiver]
	local o1 o2 n key

	outer "$2"
	echo "xfrm state flush"
	echo "xfrm policy flush"
	for n in "${!last[@]}"; do
		key_for $((0x100 + n))
		mode_lines beet "$1" $((0x100 + n)) $((n + 1)) "$key" 10.1.0."${last[n]}" \
			10.2.0."${last[n]}" "$o1" "$o2" "${@:3}"
	done
}

stock_options() { # outer path beet-frag
	fastpath "$2"
	stock_lines out "$1" | ip -n "$g1" -batch -
	stock_lines in "$1" ext format esp rx-subspaces 1 beet-frag "$3" | ip -n "$g2" -batch -
	modes stock_options "$1" "${last[@]}"
}

# With more addresses for the SAs of fragments and of stock ESP
hosts() {
	local n octet

	pair_acquainted
	for n in 1 2; do
		for octet in 2 3 "${last[@]}"; do
			echo "addr add 10.$n.0.$octet/32 dev lo"
		done | ip -n "$(ns_of $n)" -batch -
	done
}

modprobe xfrm_ext
hosts
modes_open
# In clear
options_back 10.1.0.1 10.2.0.1 >"$tmp/options.10.2.0.1"
options_back 10.0.0.1 10.0.0.2 >"$tmp/options.10.0.0.2"

for cell in "${cells[@]}"; do
	read -r mode inner outer each <<<"$cell"
	case $mode in
	transport) name="transport $inner" ;;
	beet) name="BEET $inner in $outer" ;;
	tunnel) name="tunnel $inner in $outer" ;;
	esac
	run "$name, fastpath on" carries "$mode" "$inner" "$outer" on
	[[ $whole || $each ]] || continue
	run "$name, fastpath off" carries "$mode" "$inner" "$outer" off
	run "$name, the same packets by all paths" alike "$mode" "$inner" "$outer"
done
for path in on off; do
	for outer in 4 6; do
		[[ $whole || $path$outer == on4 || $path$outer == off6 ]] || continue
		run "BEET 4 in $outer, fragments, fastpath $path" fragments "$outer" $path
	done
done
for outer in 4 6; do
	for frag in on off; do
		for path in on off; do
			[[ $whole || $outer$frag$path == 4onon || $outer$frag$path == 6onoff ]] || continue
			run "BEET 4 in $outer, options of stock ESP, beet-frag $frag, fastpath $path" \
				stock_options $outer $path $frag
		done
	done
done
fastpath on
flush
finish
