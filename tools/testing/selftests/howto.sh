#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# kernels: 6.1-cloud
# needs: strongswan steer
#
# What Documentation/howto.rst tells to type in does what it says there, word for word.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-wire.sh"
. "$(dirname "$0")/lib-ike.sh"
. "$(dirname "$0")/lib-strongswan.sh"

# As the page has it, with a host behind each gateway, left's second way out, and left2, which
# right reaches by a link of its own
hosts() {
	a=a$$ left=left-$$ left2=left2-$$ right=right-$$ b=b$$
	g1=$left g2=$right
	netns_add "$a" "$left" "$left2" "$right" "$b"
	link "$a" lan 10.1.0.2 fd01::2 "$left" lan 10.1.0.1 fd01::1
	link "$left" wan 192.0.2.1 fd00::1 "$right" wan 192.0.2.2 fd00::2
	link "$left" wan2 198.51.100.1 fd03::1 "$right" wan2 198.51.100.2 fd03::2
	link "$left2" wan 203.0.113.2 fd04::2 "$right" wan3 203.0.113.1 fd04::1
	link "$right" lan 10.2.0.1 fd02::1 "$b" lan 10.2.0.2 fd02::2
	ip -n "$a" addr add 10.1.0.200/24 dev lan
	ip -n "$left2" addr add 10.1.0.1/32 dev lo
	ip -n "$left2" route add 192.0.2.2 via 203.0.113.1
	ip -n "$a" route add default via 10.1.0.1
	ip -n "$b" route add default via 10.2.0.1
	wait_for 10 ip netns exec "$left" ping -c 1 -W 1 192.0.2.2
	wait_for 10 ip netns exec "$left2" ping -c 1 -W 1 192.0.2.2
}

end_of() { # left|left2|right
	echo "${!1}"
}

# Not "ip netns exec", in which other namespaces cannot be made
on() { # host command...
	nsenter "--net=/run/netns/$(end_of "$1")" "${@:2}"
}

# Nothing of the section before
clean() {
	local n

	for n in left left2 right; do
		on $n ip -batch - <<<$'xfrm state flush\nxfrm policy flush\nxfrm ext rule flush'
		on $n nft flush ruleset
	done
	on left ip rule del fwmark 2/3 table 2 || true
	on left ip route del 192.0.2.2 table 2 || true
	on left ip link del blue || true
	ip netns del blue 2>/dev/null || true
	for n in 10.2.0.0/24 10.1.0.0/24 10.1.1.0/24; do
		on left ip route del $n via 192.0.2.2 || true
		on right ip route del $n via 192.0.2.1 || true
		on left2 ip route del $n via 203.0.113.1 || true
	done
} 2>/dev/null

# Type in a section, behind what is the same for all; what runs on stays in $tmp/typed
type_in() { # title
	local file

	rm -rf "$tmp/typed"
	mkdir "$tmp/typed" "$tmp/typed/common"
	"$here/howto.py" 'Where they are' "$tmp/typed/common"
	"$here/howto.py" "$1" "$tmp/typed"
	printf -v KEY1 '0x%s%s' "${keys}" 00000001
	printf -v KEY2 '0x%s%s' "${keys}" 00000002
	export KEY1 KEY2
	for file in "$tmp"/typed/common/*-left "$tmp"/typed/common/*-right "$tmp"/typed/*-*; do
		[[ ${file##*-} == *.* ]] || typed "$file"
	done
}

typed() { # file
	local host=${1##*-}

	# shellcheck disable=SC2016 # for the shell that types
	on "$host" bash -euc '. "$1"; . "$2"' - "$tmp"/typed/common/*-both "$1"
}

pings() { # packets [from [to]]
	ip netns exec "$a" ping -q -c "$1" -i 0.02 -W 10 -I "${2:-10.1.0.2}" "${3:-10.2.0.2}"
}

# As many each way as pings have asked for, and no drops
carried() { # packets [spi spi]
	local out=${2:-0x100} in=${3:-0x200}

	accepts "$right" "$out" "$1"
	accepts "$left" "$in" "$1"
	expect "drops" "$(drops "$right" "$out") $(drops "$left" "$in")" "none none"
}

strongswan() {
	local n

	rm -rf "$tmp/typed"
	mkdir "$tmp/typed"
	"$here/howto.py" 'A gateway with strongSwan' "$tmp/typed"
	on left bash -eu "$tmp/typed/01-left"
	on left ip route add 10.2.0.0/24 via 192.0.2.2 src 10.1.0.1
	on right ip route add 10.1.0.0/24 via 192.0.2.1 src 10.2.0.1
	configure 1
	configure 2
	for n in 1 2; do
		{
			if ((n == 1)); then
				cat "$tmp/typed/02-left.swanctl.conf"
			else
				# The peer's is the mirror image
				sed 's/192\.0\.2\.1$/X/; s/192\.0\.2\.2$/192.0.2.1/; s/X$/192.0.2.2/
					s/10\.1\.0\.0/X/; s/10\.2\.0\.0/10.1.0.0/; s/X/10.2.0.0/; s/right {/left {/' \
					"$tmp/typed/02-left.swanctl.conf"
			fi
			echo "secrets { ike { secret = 0x$(printf '%02x' {1..32}) } }"
		} >"$tmp/$n/swanctl.conf"
		daemon "$n"
	done
	wait_for 30 pings 1
	pings 10
	expect "rules" "$(on left ip xfrm ext rule list | grep -c '^pref 10 format esp .* window 4096')" 1
	expect "SAs" "$(on left ip xfrm state | grep -c 'ext format esp .* window 4096 rule 10')" 2
	expect "the peer's" "$(on right ip xfrm state | awk '$1 == "ext"')" ''
	on left ip xfrm ext rule list | grep -q 'hits [2-9]'
	(($(on left ip -s -d xfrm state | awk '{ for (i = 1; i < NF; i++) if ($i == "rx-packets") n += $(i + 1) }
		END { print n + 0 }') >= 10))
	daemons_end
}

# lib-strongswan.sh wants some
connections=()

cores() {
	local pid i

	type_in 'A gateway with many cores'
	# shellcheck disable=SC2016 # for the shell that types
	on right bash -c '. "$1"' - "$tmp/typed/03-right.later" &
	pid=$!
	wait_for 30 steering
	for ((i = 0; i < $(nproc); i++)); do
		ip netns exec "$left" taskset -c "$i" ping -q -c 5 -i 0.02 -W 10 -I 10.1.0.1 10.2.0.1
	done
	carried $((5 * $(nproc)))
	expect "subspaces" "$(block "$right" 0x100 -s | grep -c '^[[:space:]]*rx-subspace ')" "$(nproc)"
	on right xfrm-ext-steer --stats wan >"$tmp/steered"
	expect "CPUs, packets" "$(awk '$1 == "cpu" && $4 == 5' "$tmp/steered" | wc -l)" "$(nproc)"
	ip netns pids "$right" | xargs kill
	wait "$pid" || true
}

steering() {
	on right xfrm-ext-steer --stats wan | grep -q '^sas 1 '
}

two_paths() {
	record_out "$tmp/wan" "$left" wan
	record_out "$tmp/wan2" "$left" wan2
	type_in 'Two paths'
	pings 7
	pings 9 10.1.0.200
	carried 16
	expect "the first path" "$(subspace "$right" 0x100 rx 0 packets)" 7
	expect "the second" "$(subspace "$right" 0x100 rx 2 packets)" 9
	record_end "$tmp/wan" "$left" 192.0.2.2
	record_end "$tmp/wan2" "$left" 198.51.100.2
	expect "by wan" "$(tcpdump -nn -r "$tmp/wan" esp 2>/dev/null | wc -l)" 7
	expect "by wan2" "$(tcpdump -nn -r "$tmp/wan2" esp 2>/dev/null | wc -l)" 9
}

classes() {
	local n

	type_in 'Classes of traffic'
	ip netns exec "$a" ping -q -c 5 -i 0.02 -W 10 -Q $((46 << 2)) 10.2.0.2
	pings 7
	carried 12
	for n in $(block "$right" 0x100 -s | awk '$1 == "rx-subspace" { print $2 / 4 }'); do
		echo "${n%.*}"
	done | sort -u | xargs >"$tmp/classes"
	expect "classes" "$(<"$tmp/classes")" "0 5"
}

machines() {
	type_in 'Several machines on one SA'
	# Nothing comes back here: sent is enough
	on left ping -q -c 5 -i 0.02 -W 0.1 -I 10.1.0.1 10.2.0.1 || true
	on left2 ping -q -c 7 -i 0.02 -W 0.1 -I 10.1.0.1 10.2.0.1 || true
	accepts "$right" 0x100 12
	expect "drops" "$(drops "$right" 0x100)" none
	expect "subspaces from 8 on" "$(block "$right" 0x100 -s | awk '
		$1 == "rx-subspace" { for (i = 3; i < NF; i++) if ($i == "packets") n[$2 >= 8] += $(i + 1) }
		END { print n[0], n[1] }')" "5 7"
}

beet() {
	type_in 'Two hosts, BEET'
	on left ping -q -c 8 -i 0.02 -W 10 -I 10.1.0.1 10.2.0.1
	carried 8
	expect "mode" "$(block "$left" 0x100 | grep -c 'mode beet')" 1
}

plain_peer() {
	type_in 'A peer that has never heard of it'
	pings 6
	accepts "$left" 0x200 6
	expect "drops" "$(drops "$left" 0x200)" none
	expect "the peer's" "$(on right ip xfrm state | awk '$1 == "ext"')" ''
	expect "at the peer" "$(block "$right" 0x100 -s |
		awk '/lifetime current/ { getline; print $2 }')" "6(packets)"
}

flowtable() {
	local before

	type_in "A gateway under nft's flowtable"
	on left nft add rule inet ft forward udp dport 7 counter
	ip netns exec "$b" "$here/traffic.py" serve 10.2.0.2 7 &
	wait_for 20 ip netns exec "$a" "$here/traffic.py" udp 10.2.0.2 7 100
	ip netns exec "$a" "$here/traffic.py" udp 10.2.0.2 7 100 200 300 400 500 600 700 800
	ip netns exec "$a" "$here/traffic.py" tcp 10.2.0.2 7 100000
	# Of the last eight datagrams the first few came this way
	(($(on left nft list chain inet ft forward | awk '/dport 7/ { print $6 }') < 8))
	expect "drops" "$(drops "$right" 0x100) $(drops "$left" 0x200)" "none none"
	# What has not come out of an SA has come, and is stopped before policy is asked, which would
	# stop it, too
	before=$(on left cat /proc/net/xfrm_stat)
	on left nft insert rule netdev guard wan ip saddr 10.2.0.77 counter
	on right ip addr add 10.2.0.77/32 dev lo
	on right ip xfrm policy flush
	on right ping -q -c 3 -i 0.02 -W 0.1 -I 10.2.0.77 10.1.0.2 || true
	on right ip addr del 10.2.0.77/32 dev lo
	wait_for 10 guarded 3
	diff <(echo "$before") <(on left cat /proc/net/xfrm_stat)
}

guarded() { # packets
	[[ $(on left nft list chain netdev guard wan |
		sed -n 's/.*10\.2\.0\.77 counter packets \([0-9]*\) .*/\1/p') == "$1" ]]
}

containers() {
	type_in 'Containers'
	ip netns exec blue ping -q -c 4 -i 0.02 -W 10 10.2.0.1
	accepts "$right" 0x300 4
	accepts blue 0x400 4
	expect "SAs of the gateway" "$(on left ip xfrm state)" ''
}

fresh() { # function
	clean
	"$@"
}

modprobe xfrm_ext
mount -t bpf bpf /sys/fs/bpf
hosts
run "strongSwan" fresh strongswan
run "many cores" fresh cores
run "two paths" fresh two_paths
run "classes" fresh classes
run "several machines" fresh machines
run "BEET" fresh beet
run "a plain peer" fresh plain_peer
run "a flowtable" fresh flowtable
run "containers" fresh containers
clean
finish
