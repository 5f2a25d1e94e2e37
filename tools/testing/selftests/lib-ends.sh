# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2034,SC2154
#
# For scripts about the two ends of SAs of any mode, with a router between them. To be
# read behind lib-wire.sh.

#	c ======= wan in ======= r ======= out wan ======= s
#	10.1.0.2   10.1.0.1         10.2.0.1      10.2.0.2
#	fd01::2    fd01::1          fd02::1       fd02::2
#	10.11.0.1, fd11::1 on lo        10.12.0.1, fd12::1 on lo
#
# c and s are the ends of the SAs, r may be a NAT. 10.2.9.1 and 10.2.9.2 are for clear
# packets between r and s.
topology() {
	c=c$$ r=r$$ s=s$$
	g1=$c g2=$s
	netns_add "$c" "$r" "$s"
	link "$c" wan 10.1.0.2 fd01::2 "$r" in 10.1.0.1 fd01::1
	link "$r" out 10.2.0.1 fd02::1 "$s" wan 10.2.0.2 fd02::2
	ip -n "$r" addr add 10.2.9.1/24 dev out
	ip -n "$s" addr add 10.2.9.2/24 dev wan
	host "$c" 1 2
	host "$s" 2 1
	wait_for 10 ip netns exec "$c" ping -c 1 -W 1 10.2.0.2
	wait_for 10 ip netns exec "$c" ping -c 1 -W 1 fd02::2
}

host() { # ns number-here number-there
	ip -n "$1" -batch - <<-EOF
		addr add 10.1$2.0.1/24 dev lo
		addr add fd1$2::1/64 dev lo nodad
		route add default via 10.$2.0.1
		route add default via fd0$2::1
		route add 10.1$3.0.0/24 via 10.$2.0.1 src 10.1$2.0.1
		route add fd1$3::/64 via fd0$2::1 src fd1$2::1
	EOF
}

# From now on r is a NAT: from its own address, and this port, if the port was 4500, otherwise
# some other one. It comes up anew with an address, so that nothing is left of what was before.
# Without words, no NAT.
nat() { # [port [address4 address6]]
	ip netns exec "$r" nft flush ruleset
	if [[ ! ${1-} ]]; then
		nat_address 10.2.0.1 fd02::1
		return
	fi
	ip netns exec "$r" nft -f - <<-EOF
		table inet nat {
			chain received {
				type filter hook prerouting priority raw
				meta l4proto != udp notrack
			}
			chain from_us {
				type filter hook output priority raw
				notrack
			}
			chain tracked {
				type filter hook prerouting priority filter
				iifname out ct state new drop
			}
			chain sent {
				type nat hook postrouting priority srcnat
				oifname out udp sport 4500 udp dport 4500 masquerade to :$1
				oifname out udp dport 4500 masquerade to :30000-40000
			}
		}
	EOF
	ip -n "$r" -batch - <<-EOF
		addr flush dev out to 10.2.0.0/24
		addr flush dev out to fd02::/64
	EOF
	wait_for 20 nothing_tracked
	nat_address "${2:-10.2.0.1}" "${3:-fd02::1}"
}

nat_address() { # address4 address6
	ip -n "$r" -batch - <<-EOF
		addr replace $1/24 dev out
		addr replace $2/64 dev out nodad
	EOF
}

nothing_tracked() {
	[[ $(ip netns exec "$r" sysctl -n net.netfilter.nf_conntrack_count) == 0 ]]
}

# An SA for the reference implementation; no ports or inner addresses: ''. TTL is what is left of
# an outer header's where packets are looked at
reference_end() { # spi key mode src dst sport dport "inner-src inner-dst"
	printf '{"spi": "%s", "key": "%s", "icv": 128, "mode": "%s", "src": "%s", "dst": "%s"' \
		"${@:1:5}"
	[[ ! ${TTL-} ]] || printf ', "ttl": %d' "$TTL"
	[[ ! $6 ]] || printf ', "encap": [%s, %s]' "$6" "$7"
	[[ ! $8 ]] || printf ', "inner": ["%s", "%s"]' "${8% *}" "${8#* }"
	echo "$(reference_format)}"
}

# As key managers have them, and what they are told
socks() { # ns [word...]
	local n=$1

	shift
	mkfifo "$tmp/$n.in"
	told_before "$n"
	ip netns exec "$n" "$here/natt.py" end "$@" <"$tmp/$n.in" >>"$tmp/$n.told" &
	socks_pid=$!
	case $n in
	"$c") exec {c_sock}>"$tmp/$n.in" ;;
	"$s") exec {s_sock}>"$tmp/$n.in" ;;
	esac
	rm "$tmp/$n.in"
	wait_for 20 grep -q ready "$tmp/$n.told"
}

# Of what came so far nothing counts
told_before() { # ns
	: >"$tmp/$1.told"
}

told() { # ns pattern: lines that match
	grep -c -- "$2" "$tmp/$1.told" || true
}

is_told() { # ns pattern times
	[[ $(told "$1" "$2") == "$3" ]]
}

# What one end has sent by an SA has come to the other
arrived() { # spi sender receiver
	wait_for 10 all_arrived "$@" ||
		expect "packets of $1 that arrived" "$(stat "$3" "$1" rx-packets)" \
			"$(stat "$2" "$1" tx-packets)"
	expect "drops of $1" "$(drops "$2" "$1") $(drops "$3" "$1")" "none none"
	[[ $(stat "$3" "$1" rx-packets) -gt 5 ]]
}

all_arrived() {
	[[ $(stat "$3" "$1" rx-packets) == $(stat "$2" "$1" tx-packets) ]]
}
