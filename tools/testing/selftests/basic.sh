#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# kernels: 6.1-cloud 6.1-amd64 6.12-cloud 6.12-trixie 7.3-uml
# check: 6.1-cloud 6.12-cloud 7.3-uml
#
# An extended SA pair carries real traffic: every combination of inner and outer
# family, on our own path and on the kernel's, with every key and ICV length.
. "$(dirname "$0")/lib.sh"

autoload() {
	modprobe -r xfrm_ext
	ip xfrm ext capabilities >"$tmp/caps"
	grep -q esp64 "$tmp/caps"
	grep -q '65536' "$tmp/caps"
	[[ -d /sys/module/xfrm_ext ]]
}

# By anybody, as README.md says, unless it is kept away
kept_away() {
	local conf=/etc/modprobe.d/xfrm_ext.conf
	local nobody=(setpriv --reuid 65534 --regid 65534 --clear-groups "$here/genl.py")

	mkdir -p "${conf%/*}"
	modprobe -r xfrm_ext
	echo 'blacklist xfrm_ext' >"$conf"
	refused ENOENT "${nobody[@]}" caps
	refused ENOENT "$here/genl.py" caps
	[[ ! -d /sys/module/xfrm_ext ]]
	modprobe xfrm_ext
	modprobe -r xfrm_ext
	rm "$conf"
	"${nobody[@]}" caps
	[[ -d /sys/module/xfrm_ext ]]
}

# What one gateway says of its two SAs: sets sent, received and drops
gateway() { # ns
	ip -n "$1" -s xfrm state >"$tmp/state"
	sent=$(awk '$1 == "tx-packets" && $2 > 0 { print $2, $4 }' "$tmp/state")
	received=$(awk '$1 == "tx-packets" && $6 > 0 { print $6, $8 }' "$tmp/state")
	drops=$(awk '$1 == "drops"' "$tmp/state" | xargs)
}

# For wait_for: of both gateways
settled() {
	gateway "$g1"
	sent1=$sent received1=$received drops1=$drops
	gateway "$g2"
	[[ $received == "$sent1" && $received1 == "$sent" ]]
}

# Traffic from a to b and back; then what left one gateway has come to the other
carries() { # 4|6 inner family
	local target sent received drops sent1 received1 drops1

	case $1 in
	4) target=10.2.0.2 ;;
	6) target=fd02::2 ;;
	esac
	ip netns exec "$a" ping -q -c 5 -i 0.05 -W 10 "$target"
	traffic udp "$target" 7 1 100 1300 5000
	traffic tcp "$target" 7 $((300000 / factor / factor))
	# The last packets of a connection may still be on their way
	wait_for 10 settled || true
	expect "drops" "$drops1, $drops" "drops none drops none, drops none drops none"
	[[ ${sent1% *} -gt 20 && ${sent% *} -gt 20 ]]
	expect "packets and octets from g1 to g2" "$received" "$sent1"
	expect "packets and octets from g2 to g1" "$received1" "$sent"
}

combination() { # inner outer fastpath
	fastpath "$3"
	tunnel "$2" 4
	carries "$1"
	fastpath on
}

algorithm() { # key octets without salt, ICV bits
	# shellcheck disable=SC2034 # tunnel() uses them
	local OCTETS=$(($1 + 4)) ICV=$2

	tunnel 4 2
	carries 4
}

# What the kernel's own listing shows is what passed
listing() {
	local packets bytes

	tunnel 4 4
	ip netns exec "$a" ping -q -c 7 -i 0.05 -s 100 -W 10 10.2.0.2
	ip -n "$g1" -s xfrm state >"$tmp/out"
	packets=$(block "$g1" 0x100 -s | awk '/lifetime current/ { getline; print $2 }')
	bytes=$(block "$g1" 0x100 -s | awk '/lifetime current/ { getline; print $1 }')
	expect "packets" "$packets" "7(packets)"
	# 20 IP, 8 ICMP, 100 data
	expect "octets" "$bytes" "$((7 * 128))(bytes),"
	block "$g1" 0x100 | grep -q 'ext format esp64 trailer end iv explicit tx-subspaces 4 select cpu'
	block "$g2" 0x100 | grep -q 'rx-subspaces 4 window 1024'
	# The mark of an extended SA is ours to explain, not a number to show
	expect "marks shown" "$(block "$g1" 0x100 | grep -c 0x80000000)" 0
	expect "accepted" "$(block "$g2" 0x100 -s | awk '$1 == "rx-subspace" {
		for (i = 1; i < NF; i++) if ($i == "packets") n += $(i + 1) } END { print n }')" 7
}

run "asking for the family loads the module" autoload
run "not where it is kept away" kept_away
gateways
ip netns exec "$b" "$here/traffic.py" serve 10.2.0.2 7 &
ip netns exec "$b" "$here/traffic.py" serve fd02::2 7 &
traffic_open "$a"
wait_for 20 traffic udp 10.2.0.2 7 1
wait_for 20 traffic udp fd02::2 7 1

for path in on off; do
	for outer in 4 6; do
		for inner in 4 6; do
			# Half of the kernel's own path; where all is slow, the half of everything
			[[ $whole || $inner != "$outer" || ($factor == 1 && $path == on) ]] || continue
			run "IPv$inner in IPv$outer, fastpath $path" combination $inner $outer $path
		done
	done
done
for key in 16 24 32; do
	for icv in 64 96 128; do
		# The diagonal
		[[ $whole ]] || ((key == icv / 4)) || continue
		run "AES-$((key * 8))-GCM, ICV $((icv / 8))" algorithm $key $icv
	done
done
run "ip xfrm state shows the extension and exact counts" listing
flush
finish
