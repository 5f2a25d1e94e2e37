#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# check: 7.3-uml
#
# Who sends a packet through an SA hears what becomes of it: of a full queue behind the SA, of
# an SA that has no number left, or whose limit is reached. By our own path the same as by
# the kernel's, and where there is such a thing the same as of a plain SA.
. "$(dirname "$0")/lib.sh"

last=$(((1 << 48) - 1))

# Both directions, plain or by one of the paths
sas() { # plain|off|on mode 4|6 [words of the sender [of a plain one]]
	local i1 i2 o1 o2 tx='ext tx-subspaces 4' rx='ext rx-subspaces 4'

	outer "$3"
	case $2:$3 in
	transport:*) i1=$o1 i2=$o2 ;;
	*:4) i1=10.1.0.1 i2=10.2.0.1 ;;
	*:6) i1=fd01::1 i2=fd02::1 ;;
	esac
	if [[ $1 == plain ]]; then
		tx=${5-} rx=''
	else
		fastpath "$1"
		tx+=" ${4-}"
	fi
	target=$i2
	mode_sas "$2" "$i1" "$i2" "$o1" "$o2" "$tx" "$rx"
}

# An extended tunnel in an extended SA of transport mode
nested() { # off|on 4|6
	local i1=10.1.0.1 i2=10.2.0.1 o1 o2 n tx rx spi key k=()

	fastpath "$1"
	flush
	outer "$2"
	[[ $2 == 4 ]] || i1=fd01::1 i2=fd02::1
	target=$i2
	for spi in 0x101 0x102 0x201 0x202; do
		key_for "$spi"
		k[spi]=$key
	done
	for n in 1 2; do
		tx='tx-subspaces 4' rx='rx-subspaces 4'
		[[ $n == 1 ]] || tx=$rx rx='tx-subspaces 4'
		ip -n "$(ns_of "$n")" -batch - <<-EOF
			xfrm state add src $o1 dst $o2 proto esp spi 0x101 reqid 1 mode tunnel aead $aead ${k[0x101]} 128 ext $tx
			xfrm state add src $o1 dst $o2 proto esp spi 0x102 reqid 2 mode transport aead $aead ${k[0x102]} 128 ext $tx
			xfrm state add src $o2 dst $o1 proto esp spi 0x201 reqid 3 mode tunnel aead $aead ${k[0x201]} 128 ext $rx
			xfrm state add src $o2 dst $o1 proto esp spi 0x202 reqid 4 mode transport aead $aead ${k[0x202]} 128 ext $rx
			xfrm policy add src $i1 dst $i2 dir $( ((n == 1)) && echo out || echo in) tmpl src $o1 dst $o2 proto esp reqid 1 mode tunnel tmpl src $o1 dst $o2 proto esp reqid 2 mode transport
			xfrm policy add src $i2 dst $i1 dir $( ((n == 1)) && echo in || echo out) tmpl src $o2 dst $o1 proto esp reqid 3 mode tunnel tmpl src $o2 dst $o1 proto esp reqid 4 mode transport
		EOF
	done
}

says() { # wanted verb [word...]
	local got

	got=$(ip netns exec "$g1" "$here/results.py" "$2" "$target" "${@:3}")
	echo "# $got"
	expect "what programs are told" "$got" "$1"
}

# No room for a packet: ENOBUFS for who asked to be told, TCP slows down and has nothing under
# way, so that nothing is lost
full() { # plain|off|on mode 4|6
	sas "$@"
	says 'ENOBUFS ok cwr 0 0' full 7 wan pfifo limit 0
}

full_nested() { # off|on 4|6
	nested "$@"
	says 'ENOBUFS ok cwr 0 0' full 7 wan pfifo limit 0
}

exhausted() { # plain|off|on mode 4|6
	sas "$@" "tx-start $last" 'replay-oseq 0xfffffffe'
	says 'ok EOVERFLOW EOVERFLOW' send 3
	[[ $1 == plain ]] || expect "drops" "$(drops "$g1" 0x100)" "tx-exhausted 2"
}

expired() { # plain|off|on mode 4|6
	sas "$1" "$2" "$3" 'limit packet-hard 1' 'limit packet-hard 1'
	says 'ok EINVAL' send 2
}

held() { # off|on 4|6
	sas "$1" transport "$2" 'hold on'
	says 'EINVAL EINVAL' send 2
	expect "drops" "$(drops "$g1" 0x100)" "tx-not-ready 2"
}

modprobe xfrm_ext
pair_acquainted
# Nothing else goes into the queues; and what TCP did not send it does not send again soon
ip netns exec "$g1" nft -f - <<-'EOF'
	table ip6 quiet {
		chain out {
			type filter hook output priority 0
			icmpv6 type { mld-listener-report, mld2-listener-report, nd-router-solicit } drop
		}
	}
EOF
ip netns exec "$g2" "$here/results.py" listen 7 &
wait_for 20 ip netns exec "$g1" python3 -c 'import socket; socket.create_connection(("fd02::1", 7))'

for family in 4 6; do
	for mode in transport tunnel beet; do
		[[ $whole || $mode$family == transport4 || $mode$family == tunnel6 ]] || continue
		for path in plain off on; do
			run "a full queue, $mode IPv$family, $path" full $path $mode $family
			run "an exhausted SA, $mode IPv$family, $path" exhausted $path $mode $family
			run "an expired SA, $mode IPv$family, $path" expired $path $mode $family
		done
	done
	for path in off on; do
		run "a full queue behind two SAs, IPv$family, $path" full_nested $path $family
		run "an SA that is held, IPv$family, $path" held $path $family
	done
done
fastpath on
flush
finish
