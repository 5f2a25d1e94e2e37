# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2034,SC2154
#
# For scripts that send through SAs with modes.py. To be read behind lib.sh; the hosts are
# those of pair_acquainted().

# A modes.py that stays, with sockets on both hosts; and who answers at the other
modes_open() {
	local address

	for address in 10.2.0.1 fd02::1 10.0.0.2 fd00::2; do
		ip netns exec "$g2" "$here/traffic.py" serve "$address" 7 &
	done
	traffic_open "$g1"
	mkfifo "$tmp/modes.in" "$tmp/modes.out"
	"$here/modes.py" "$g1" "$g2" "$tmp/modes.log" <"$tmp/modes.in" >"$tmp/modes.out" &
	exec {modes_in}>"$tmp/modes.in" {modes_out}<"$tmp/modes.out"
	rm "$tmp/modes.in" "$tmp/modes.out"
	read -r -t $((60 * factor)) <&"$modes_out"
	for address in 10.2.0.1 fd02::1 10.0.0.2 fd00::2; do
		wait_for 20 traffic udp "$address" 7 1
	done
}

# As the script takes it, and fails; what it says of what went well is not of interest if
# QUIET is set
modes() { # verb word...
	local answer=nothing

	echo "$key1 $*" >&"$modes_in"
	read -r -t $((100 * factor)) answer <&"$modes_out" || true
	[[ ${QUIET-} && $answer == ok ]] || cat "$tmp/modes.log"
	expect "answer" "$answer" ok
}

# Of that mode and these families: sets i1 i2 o1 o2
mode_addresses() { # mode inner outer
	outer "$3"
	case $1:$2 in
	transport:*) i1=$o1 i2=$o2 ;;
	*:4) i1=10.1.0.1 i2=10.2.0.1 ;;
	*:6) i1=fd01::1 i2=fd02::1 ;;
	esac
}
