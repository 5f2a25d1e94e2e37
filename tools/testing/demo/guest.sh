#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 170
#
# The demonstration, inside the guest; demo.sh starts it. Two gateways, two paths:
#
#	         path A, 1 ms
#	 g1 ==========================  g2
#	    ==========================
#	         path B, DELAY ms
#
#	tunnel 192.0.2.1 -> 192.0.2.2, carries 10.1.0.1 -> 10.2.0.1
#
# Four senders on g1, each on a CPU of its own; two take path A, two path B.
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

# A tunnel's route looks at the packet's mark only if the SA has an output mark; this
# one leaves the bits alone that choose the path.
paths=(output-mark 0x100 mask 0x100)

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

# One serves one SA, once
new_key() {
	printf -v key '%08x' "$SRANDOM" "$SRANDOM" "$SRANDOM" "$SRANDOM" "$SRANDOM"
	key=0x$key
}

sa() { # g1 words | g2 words
	ip -n "$1" xfrm state add src 192.0.2.1 dst 192.0.2.2 proto esp spi 0x100 reqid 1 \
		mode tunnel aead 'rfc4106(gcm(aes))' "$key" 128 "${@:2}"
}

policy() {
	ip -n g1 xfrm policy add src 10.1.0.1 dst 10.2.0.1 dir out \
		tmpl src 192.0.2.1 dst 192.0.2.2 proto esp reqid 1 mode tunnel
	ip -n g2 xfrm policy add src 10.1.0.1 dst 10.2.0.1 dir in \
		tmpl src 192.0.2.1 dst 192.0.2.2 proto esp reqid 1 mode tunnel
}

# What g2 refused for its number. With ESN, stock takes a number left of its window
# for one of the next 2^32; that fails authentication and is counted there.
# shellcheck disable=SC2016 # awk's
refused() {
	ip netns exec g2 awk '/XfrmInState(Seq|Proto)Error/ { n += $2 } END { print n }' \
		/proc/net/xfrm_stat
}

# What g2's windows have accepted, while it happens
moving() { # file that ends it
	while [[ -e $1 ]]; do
		sleep 1
		ip -n g2 -s xfrm state list nokeys | awk '
			$1 == "rx-subspace" { line = line sprintf("  %s: %d", $2, $6) }
			END { if (line) print "  accepted by subspace" line }'
	done
}

measure() { # name [what to run meanwhile]
	local before got twice sent=$((packets * 4)) pids=() i meanwhile

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
	wait "${pids[@]}"
	# Path B still has what was sent in its last $delay ms
	until [[ $(tc -n g1 -s qdisc show dev pathB | awk '/backlog/ { print $3 }') == 0p ]]; do
		sleep 0.1
	done
	rm "$tmp/runs"
	wait "$meanwhile"
	kill -TERM $counter
	wait $counter || true
	read -r got twice <"$tmp/count"
	printf '%-44s %8d %9d %11d %8s\n' "$1" "$sent" "$got" \
		$(($(refused) - before)) \
		"$(awk -v s=$sent -v g="$got" 'BEGIN { printf "%.1f %%", 100 * (s - g) / s }')" >>"$tmp/table"
	((twice == 0))
}

say "Kernel $(uname -r), Debian's own, no patch. $(nproc) CPUs. The module comes by itself when ip asks for it:"
show ip xfrm ext capabilities

new_key
say "One extended SA: a transmit subspace per CPU on g1, a window for each on g2"
show ip -n g1 xfrm state add src 192.0.2.1 dst 192.0.2.2 proto esp spi 0x100 reqid 1 \
	mode tunnel aead 'rfc4106(gcm(aes))' "$key" 128 "${paths[@]}" ext tx-subspaces 4
show ip -n g2 xfrm state add src 192.0.2.1 dst 192.0.2.2 proto esp spi 0x100 reqid 1 \
	mode tunnel aead 'rfc4106(gcm(aes))' "$key" 128 ext rx-subspaces 4 window 1024
policy

say "4 x $packets packets, sent by 4 CPUs at once over two paths (1 ms and $delay ms)
4 x $rate packets per second: path B falls $((rate * 4 * delay / 1000)) packets behind"
measure "extended SA, 4 subspaces, windows of 1024" moving
show ip -n g2 -s xfrm state list nokeys | sed -n '/\$ ip/p; /ext format/,/drops/p'
ip -n g1 xfrm state flush
ip -n g2 xfrm state flush

say "The same traffic through stock SAs ..."
new_key
sa g1 replay-window 32 "${paths[@]}"
sa g2 replay-window 32
measure "stock SA, window of 32 (the usual)"
ip -n g1 xfrm state flush
ip -n g2 xfrm state flush
new_key
sa g1 flag esn replay-window 4096 "${paths[@]}"
sa g2 flag esn replay-window 4096
measure "stock SA, window of 4096 (the most it can)"

say "Side by side"
printf '%-44s %8s %9s %11s %8s\n' '' sent delivered 'as replay' lost
cat "$tmp/table"
echo "(\"as replay\" with 4096: stock takes a number left of that window for one of the next
2^32, and the packet fails authentication)"
echo
