# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2034
#
# What the scenes of the demonstration have in common: two gateways, two paths,
#
#	         path A, 1 ms
#	 g1 ==========================  g2
#	    ==========================
#	         path B, DELAY ms
#
#	tunnel 192.0.2.1 -> 192.0.2.2, carries 10.1.0.1 -> 10.2.0.1
#
# and four senders on g1, each on a CPU of its own; two take path A, two path B.
set -eu

tests=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
traffic=$tests/selftests/traffic.py
# Stock ESP loses what falls behind by more than its window. That takes a rate and
# a difference of delays; this machine is emulated and slow, so the delay is long.
# At a million packets a second 6 ms do the same.
rate=${DEMO_RATE:-750}		# packets per second and sender
delay=${DEMO_DELAY:-2000}	# ms, path B
packets=${DEMO_PACKETS:-5000}	# per sender
tmp=$(mktemp -d)
behind=$((rate * 4 * delay / 1000))	# packets

bold=$'\e[1m' dim=$'\e[2m' off=$'\e[0m'
if [[ ! ${DEMO_COLOUR-} ]]; then bold='' dim='' off=''; fi

say() { printf '\n%s%s%s\n' "$bold" "$*" "$off"; }
show() {
	printf '%s$ %s%s\n' "$dim" "$*" "$off"
	"$@"
}

# A slow machine lets packets pile up; that must not look like loss on the way
sysctl -qw net.core.netdev_max_backlog=100000

for n in g1 g2; do
	ip netns add "$n"
	ip -n "$n" link set lo up
	ip netns exec "$n" sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0
done
for p in A:1 B:2; do
	i=${p#*:} p=path${p%:*}
	ip link add "$p" netns g1 type veth peer name "$p" netns g2
	ip -n g1 addr add 198.51.100.$((i * 4 + 1))/30 dev "$p"
	ip -n g2 addr add 198.51.100.$((i * 4 + 2))/30 dev "$p"
	ip -n g1 link set "$p" up
	ip -n g2 link set "$p" up
done
ip -n g1 addr add 192.0.2.1/32 dev lo
ip -n g2 addr add 192.0.2.2/32 dev lo
ip -n g1 addr add 10.1.0.1/32 dev lo
ip -n g2 addr add 10.2.0.1/32 dev lo
for i in 1 2; do
	# What the application marks 1 goes by path A, what it marks 2 by path B
	ip -n g1 route replace 192.0.2.2 via 198.51.100.$((i * 4 + 2)) src 192.0.2.1 table $i
	ip -n g1 rule add fwmark $i/0xff table $i
done
ip -n g1 route add 192.0.2.2 via 198.51.100.6 src 192.0.2.1
ip -n g2 route add 192.0.2.1 via 198.51.100.5 src 192.0.2.2
ip -n g1 route add 10.2.0.1 via 198.51.100.6 src 10.1.0.1
tc -n g1 qdisc add dev pathA root netem delay 1ms limit 200000
tc -n g1 qdisc add dev pathB root netem delay "${delay}ms" limit 200000
# The first packets must not wait for neighbours
ip netns exec g1 ping -q -c 1 -W 9 198.51.100.6 >/dev/null
ip netns exec g1 ping -q -c 1 -W 9 198.51.100.10 >/dev/null

# What g2 refused for its number. With ESN, stock takes a number left of its window
# for one of the next 2^32; that fails authentication and is counted there.
# shellcheck disable=SC2016 # awk's
refused() {
	ip netns exec g2 awk '/XfrmInState(Seq|Proto)Error/ { n += $2 } END { print n }' \
		/proc/net/xfrm_stat
}

# Datagrams that have been read at g2, ever
delivered() {
	# shellcheck disable=SC2016 # awk's
	ip netns exec g2 awk '$1 == "Udp:" && $2 ~ /^[0-9]/ { print $2 }' /proc/net/snmp
}

# A curve for demo.sh to draw
curve() { # name file-that-ends-it
	local begin=${EPOCHREALTIME/./} before

	before=$(delivered)
	while :; do
		printf '%s\t%d\t%d\n' "$1" $(((${EPOCHREALTIME/./} - begin) / 1000)) \
			$(($(delivered) - before))
		[[ -e $2 ]] || break
		sleep 0.5
	done >>"${OUT:-/out}/curves"
}

measure() { # name [what to run meanwhile]
	local before got twice sent=$((packets * 4)) pids=() i meanwhile drawing

	before=$(refused)
	rm -rf "$tmp/gate"
	mkdir "$tmp/gate"
	ip netns exec g2 "$traffic" count 10.2.0.1 9 >"$tmp/count" &
	local counter=$!
	until ip netns exec g2 grep -q ':0009 ' /proc/net/udp; do
		kill -0 $counter
		sleep 0.1
	done
	for i in 0 1 2 3; do
		ip netns exec g1 taskset -c "$i" "$traffic" flood 10.2.0.1 9 "$packets" 64 \
			--mark $((i / 2 + 1)) --rate "$rate" --gate "$tmp/gate" &
		pids+=($!)
	done
	until [[ $(find "$tmp/gate" -type f | wc -l) == 4 ]]; do
		kill -0 "${pids[@]}"
		sleep 0.1
	done
	touch "$tmp/gate/go" "$tmp/runs"
	"${2:-true}" "$tmp/runs" &
	meanwhile=$!
	curve "$1" "$tmp/runs" &
	drawing=$!
	wait "${pids[@]}"
	# Path B still has what was sent in its last $delay ms
	until [[ $(tc -n g1 -s qdisc show dev pathB | awk '/backlog/ { print $3 }') == 0p ]]; do
		sleep 0.1
	done
	rm "$tmp/runs"
	wait "$meanwhile" "$drawing"
	kill -TERM $counter
	wait $counter || true
	read -r got twice <"$tmp/count"
	printf '%-44s %8d %9d %11d %8s\n' "$1" "$sent" "$got" \
		$(($(refused) - before)) \
		"$(awk -v s=$sent -v g="$got" 'BEGIN { printf "%.1f %%", 100 * (s - g) / s }')" >>"$tmp/table"
	((twice == 0))
}

side_by_side() {
	say "Side by side"
	printf '%-44s %8s %9s %11s %8s\n' '' sent delivered 'as replay' lost
	cat "$tmp/table"
}
