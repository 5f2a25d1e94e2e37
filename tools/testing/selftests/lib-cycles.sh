# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2154
#
# For scripts whose SAs and namespaces come and go while there is traffic. To be read
# behind lib.sh.

few() { # n: fewer where everything takes longer, but not none
	if [[ $whole ]]; then
		echo "$1"
	else
		echo $((factor > 1 ? ($1 + 14) / 15 : ($1 + 2) / 3))
	fi
}

# The lines of ip -batch that make an SA of the pair
add() { # 1>2|2>1 word...
	local key=$key1 ends="src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x100 reqid 1"

	if [[ $1 == '2>1' ]]; then
		key=$key2 ends="src 10.0.0.2 dst 10.0.0.1 proto esp spi 0x200 reqid 2"
	fi
	echo "xfrm state add $ends mode tunnel flag af-unspec aead $aead $key 128 ext" "${@:2}"
}

delete() { # 1>2|2>1
	case $1 in
	'1>2') echo "xfrm state delete src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x100" ;;
	'2>1') echo "xfrm state delete src 10.0.0.2 dst 10.0.0.1 proto esp spi 0x200" ;;
	esac
}

flood_start() { # ns
	ip netns exec "$1" "$here/traffic.py" flood 10.2.0.1 9 100000000 200 --rate 2000 &
	flood_pid=$!
}

flood_stop() {
	stop "$flood_pid"
}

# Packets that a device of a namespace has sent
sent() { # ns dev
	ip netns exec "$1" cat "/sys/class/net/$2/statistics/tx_packets"
}

more_sent() { # ns dev than
	(($(sent "$1" "$2") > $3))
}

# A host that floods stays; the gateways before it are made and go
host() {
	h=h-$$
	netns_add "$h"
	ip -n "$h" -batch - <<-EOF
		link add out type dummy
		addr add 10.1.0.2/24 dev out
		link set out up
	EOF
}

# Each time with other names: the kernel takes its time to destroy the last ones
doomed_gateways() { # round
	x=x$1-$$ y=y$1-$$
	made+=("$x" "$y")
	ip -batch - <<-EOF
		netns add $x
		netns add $y
		link add lan$1 netns $h type veth peer name lan netns $x
		link add wan netns $x type veth peer name wan netns $y
	EOF
	ip -n "$x" -batch - <<-EOF
		addr add 10.1.1.1/24 dev lan
		addr add 10.0.0.1/24 dev wan
		link set lan up
		link set wan up
		route add 10.2.0.0/24 via 10.0.0.2
		route add 10.1.0.0/24 via 10.1.1.2
		xfrm policy add src 10.1.0.0/24 dst 10.2.0.0/24 dir out tmpl src 10.0.0.1 dst 10.0.0.2 proto esp reqid 1 mode tunnel
		$(add '1>2' tx-subspaces 4)
		$(add '2>1' rx-subspaces 4)
	EOF
	ip -n "$y" -batch - <<-EOF
		addr add 10.0.0.2/24 dev wan
		addr add 10.2.0.1/24 dev lo
		link set lo up
		link set wan up
		route add 10.1.0.0/24 via 10.0.0.1
		xfrm policy add src 10.1.0.0/24 dst 10.2.0.0/24 dir in tmpl src 10.0.0.1 dst 10.0.0.2 proto esp reqid 1 mode tunnel
		xfrm policy add src 10.2.0.0/24 dst 10.1.0.0/24 dir out tmpl src 10.0.0.2 dst 10.0.0.1 proto esp reqid 2 mode tunnel
		$(add '1>2' rx-subspaces 4)
		$(add '2>1' tx-subspaces 4)
	EOF
	ip netns exec "$x" sysctl -qw net.ipv4.ip_forward=1
	ip -n "$h" -batch - <<-EOF
		addr add 10.1.1.2/32 dev lan$1
		link set lan$1 up
		route replace 10.2.0.0/24 via 10.1.1.1 dev lan$1 onlink src 10.1.0.2
	EOF
}

arrives() {
	(($(stat "$y" 0x100 rx-packets) > 20))
}

# Namespaces go while packets are on their way through them; and at last the module
destroyed() { # times
	local n rounds=$1

	flush
	host
	doomed_gateways 0
	flood_start "$h"
	for ((n = 1; n <= rounds; n++)); do
		wait_for 20 arrives
		if ((n % 2)); then
			ip netns del "$x"
			ip netns del "$y"
		else
			ip netns del "$y"
			ip netns del "$x"
		fi
		((n == rounds)) || doomed_gateways "$n"
	done
	flood_stop
	wait_for 30 module_goes
}
