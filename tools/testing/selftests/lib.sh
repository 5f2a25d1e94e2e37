# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# What the selftests share. A test script reads this, makes a topology and runs
# its test functions:
#
#	. "$(dirname "$0")/lib.sh"
#	gateways
#	run "what is shown" function [argument...]
#	finish
#
# A test function runs in a subshell with errexit: any command that fails, fails
# the test, and what it printed is shown. Everything a script makes is in its own
# namespaces and its own temporary directory, and goes when it ends.

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck disable=SC2034 # for the scripts that read this
reference=$here/../reference
tmp=$(mktemp -d)
made=()
count=0
failed=0

# KASAN and lockdep under emulation take their time
factor=${TIME_FACTOR:-1}

# One kernel does all of everything, the one that runs on this machine's own CPUs. The others
# do some of each kind, for what differs between kernels. So does "make check", and, but for what
# it leaves out, "make coverage" (SOME)
quick=${QUICK-}
# shellcheck disable=SC2034 # for the scripts that read this
if [[ ${KERNEL_NAME-} == *-uml && ! $quick && ! ${SOME-} ]]; then whole=1; else whole=; fi

aead='rfc4106(gcm(aes))'

# A key is one SA's, once: whatever makes SAs anew has new keys before. run() does that, and
# tunnel(), mode_sas() and flush(), but nothing that is for one end only: both need the same.
# Sets key1 and key2, of SPIs 0x100 and 0x200.
new_keys() {
	local key

	printf -v keys '%08x%08x%08x%08x' "$SRANDOM" "$SRANDOM" "$SRANDOM" "$SRANDOM"
	key_for 0x100
	key1=$key
	key_for 0x200
	key2=$key
}

# Sets key, to that of an SPI until there are new ones: the SPI, and what all have in common
key_for() { # spi [octets]
	local size=$((2 * ${2:-${OCTETS:-20}}))

	printf -v key '%08x' "$1"
	while ((${#key} < size)); do
		key+=$keys
	done
	key=0x${key:0:size}
}

new_keys

# A test with SAs of format eesp, with a root key: words of a test function. What makes SAs here puts
# $FORMAT before the other words of an extension, and so does what a script makes itself
in_eesp() { # function argument...
	local OCTETS=32 FORMAT='format eesp'

	new_keys
	"$@"
}

cleanup() {
	local n

	for n in "${made[@]}"; do
		ip netns pids "$n" 2>/dev/null | xargs -r kill -9 2>/dev/null
		ip netns del "$n" 2>/dev/null
	done
	rm -rf "$tmp"
}
trap cleanup EXIT

# Neighbours that have been found stay found: on a slow machine probes are answered too
# late, and packets dropped meanwhile
sysctl -qw net.ipv4.neigh.default.base_reachable_time_ms=3600000 \
	net.ipv6.neigh.default.base_reachable_time_ms=3600000 \
	net.ipv4.neigh.default.mcast_solicit=20 net.ipv6.neigh.default.mcast_solicit=20

echo "KTAP version 1"

# With MATCH=GLOB in the environment, only those whose description matches
run() { # description function argument...
	local what=$1 rc

	# shellcheck disable=SC2053 # a glob is wanted here
	[[ ! ${MATCH-} || $what == $MATCH ]] || return 0
	shift
	count=$((count + 1))
	new_keys
	(
		set -eE
		trap 'echo "failed: line $LINENO: $BASH_COMMAND" >&2' ERR
		# What a test leaves running when it fails must not disturb the next
		trap 'jobs -p | xargs -r kill 2>/dev/null || true' EXIT
		"$@"
	) >"$tmp/log" 2>&1
	rc=$?
	if ((rc)); then
		sed 's/^/# /' "$tmp/log"
		echo "not ok $count $what"
		failed=$((failed + 1))
	else
		grep '^# ' "$tmp/log"
		echo "ok $count $what"
	fi
}

# Not in "make check", which has no time for it
run_full() { # as run
	[[ $quick ]] || run "$@"
}

finish() {
	echo "1..$count"
	exit $((failed > 0))
}

# What would not be shown with fewer
needs_cpus() { # number
	if (($(nproc) < $1)); then
		echo "Bail out! $(nproc) CPUs; this needs $1"
		exit 1
	fi
}

older_than() { # kernel version
	[[ $(printf '%s\n' "$1" "$(uname -r)" | sort -V | head -n 1) != "$1" ]]
}

# Wait until a command succeeds. The seconds are those of an idle machine; on one that does other
# things besides, a failure may take longer to be one
patience=6
wait_for() { # seconds command...
	local end=$((SECONDS + $1 * factor * patience))

	shift
	until "$@" >/dev/null 2>&1; do
		if ((SECONDS >= end)); then
			echo "waited in vain for: $*" >&2
			return 1
		fi
		sleep 0.05
	done
}

# An SA lives as long as a packet that came through it. Datagrams that were read on another
# CPU wait there to be freed until that CPU receives its next packet, however long it takes
# (skb_attempt_defer_free(), called by UDP with the secpath in place): let each receive one.
nudge_cpus() {
	local cpu

	for ((cpu = 0; cpu < $(nproc); cpu++)); do
		taskset -c "$cpu" ping -q -c 1 127.0.0.1
	done
}

# For wait_for: no SA and no announcement, of no namespace
unused() {
	[[ $(</sys/module/xfrm_ext/refcnt) != 0 ]] || return 0
	nudge_cpus
	[[ $(</sys/module/xfrm_ext/refcnt) == 0 ]]
}

# For wait_for
module_goes() {
	modprobe -r xfrm_ext && return
	nudge_cpus
	return 1
}

# End processes of one's own, and see them gone
stop() { # pid...
	kill "$@"
	wait "$@" || true
}

expect() { # what got wanted
	if [[ $2 != "$3" ]]; then
		echo "$1: got '$2', want '$3'" >&2
		return 1
	fi
}

# A command must fail and say why
refused() { # text command...
	local text=$1 out

	shift
	if out=$("$@" 2>&1); then
		echo "not refused: $*" >&2
		return 1
	fi
	if [[ $out != *"$text"* ]]; then
		printf 'refused: %s\nbut it says: %s\nand not: %s\n' "$*" "$out" "$text" >&2
		return 1
	fi
}

netns_add() { # name...
	local n

	for n; do
		ip netns add "$n"
		made+=("$n")
		ip -n "$n" link set lo up
		ip netns exec "$n" sysctl -qw net.ipv4.ip_forward=1 \
			net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0 \
			net.ipv6.conf.all.forwarding=1 net.ipv6.conf.default.accept_dad=0 \
			net.ipv6.conf.all.accept_dad=0
	done
}

link() { # ns dev addr4 addr6 ns dev addr4 addr6
	ip link add "$2" netns "$1" type veth peer name "$6" netns "$5"
	ip -n "$1" addr add "$3/24" dev "$2"
	ip -n "$1" addr add "$4/64" dev "$2" nodad
	ip -n "$5" addr add "$7/24" dev "$6"
	ip -n "$5" addr add "$8/64" dev "$6" nodad
	ip -n "$1" link set "$2" up
	ip -n "$5" link set "$6" up
}

# Two hosts behind two gateways:
#
#	  a ------- g1 ===== wan ===== g2 ------- b
#	10.1.0.2  10.1.0.1          10.2.0.1  10.2.0.2
#	fd01::2   fd01::1           fd02::1   fd02::2
#	     10.0.0.1/fd00::1   10.0.0.2/fd00::2
gateways() {
	a=a$$ g1=g1-$$ g2=g2-$$ b=b$$
	netns_add "$a" "$g1" "$g2" "$b"
	link "$a" lan 10.1.0.2 fd01::2 "$g1" lan 10.1.0.1 fd01::1
	link "$g1" wan 10.0.0.1 fd00::1 "$g2" wan 10.0.0.2 fd00::2
	link "$g2" lan 10.2.0.1 fd02::1 "$b" lan 10.2.0.2 fd02::2
	ip -n "$a" route add default via 10.1.0.1
	ip -n "$a" route add default via fd01::1
	ip -n "$b" route add default via 10.2.0.1
	ip -n "$b" route add default via fd02::1
	ip -n "$g1" route add 10.2.0.0/24 via 10.0.0.2
	ip -n "$g1" route add fd02::/64 via fd00::2
	ip -n "$g2" route add 10.1.0.0/24 via 10.0.0.1
	ip -n "$g2" route add fd01::/64 via fd00::1
	wait_for 10 ip netns exec "$a" ping -c 1 -W 1 10.2.0.2
	wait_for 10 ip netns exec "$a" ping -c 1 -W 1 fd02::2
}

# Two gateways that are their own hosts, quicker to make:
#
#	g1 ===== wan ===== g2
#	10.0.0.1/fd00::1   10.0.0.2/fd00::2
#	10.1.0.1/fd01::1   10.2.0.1/fd02::1 on lo
pair() {
	g1=g1-$$ g2=g2-$$
	netns_add "$g1" "$g2"
	ip link add wan netns "$g1" type veth peer name wan netns "$g2"
	pair_end "$g1" 1 2
	pair_end "$g2" 2 1
	wait_for 10 ip netns exec "$g1" ping -c 1 -W 1 10.2.0.1
	wait_for 10 ip netns exec "$g1" ping -c 1 -W 1 fd02::1
}

# The same, and neighbours are known: nobody asks for them, in clear or through the SAs of
# transport mode, which are for all that the outer addresses send
pair_acquainted() {
	local n other

	pair
	for n in 1 2; do
		other=$((3 - n))
		ip -n "$(ns_of "$n")" -batch - <<-EOF
			link set wan address 02:00:00:00:00:0$n
			neigh replace 10.0.0.$other lladdr 02:00:00:00:00:0$other dev wan nud permanent
			neigh replace fd00::$other lladdr 02:00:00:00:00:0$other dev wan nud permanent
		EOF
	done
}

pair_end() { # ns number-here number-there
	ip -n "$1" -batch - <<-EOF
		addr add 10.0.0.$2/24 dev wan
		addr add fd00::$2/64 dev wan nodad
		addr add 10.$2.0.1/24 dev lo
		addr add fd0$2::1/64 dev lo nodad
		link set wan up
		route add 10.$3.0.0/24 via 10.0.0.$3 src 10.$2.0.1
		route add fd0$3::/64 via fd00::$3 src fd0$2::1
	EOF
}

outer() { # 4|6: sets o1 o2
	case $1 in
	4) o1=10.0.0.1 o2=10.0.0.2 ;;
	6) o1=fd00::1 o2=fd00::2 ;;
	esac
}

# Policies for all traffic between the two lans through tunnels of that outer family
policies() { # 4|6
	local n

	for n in 1 2; do
		gateway_policies "$1" "$n" | ip -n "$(ns_of "$n")" -batch -
	done
}

ns_of() { # 1|2
	case $1 in
	1) echo "$g1" ;;
	2) echo "$g2" ;;
	esac
}

# Lines of ip -batch
gateway_policies() { # 4|6 1|2
	local o1 o2

	outer "$1"
	case $2 in
	1) policy_lines 10.1.0.0/24,10.2.0.0/24 fd01::/64,fd02::/64 "$o1" "$o2" 1 2 ;;
	2) policy_lines 10.2.0.0/24,10.1.0.0/24 fd02::/64,fd01::/64 "$o2" "$o1" 2 1 ;;
	esac
}

policies_of() { # ns here,there here,there outer-here outer-there reqid-out reqid-in
	policy_lines "${@:2}" | ip -n "$1" -batch -
}

policy_lines() { # here,there here,there outer-here outer-there reqid-out reqid-in
	local n dir

	for n in "$1" "$2"; do
		echo "xfrm policy add src ${n%,*} dst ${n#*,} dir out" \
			"tmpl src $3 dst $4 proto esp reqid $5 mode tunnel"
		for dir in in fwd; do
			echo "xfrm policy add src ${n#*,} dst ${n%,*} dir $dir" \
				"tmpl src $4 dst $3 proto esp reqid $6 mode tunnel"
		done
	done
}

# One SA: on the sender with transmit subspaces, on the receiver with windows
sa() { # 4|6 1>2|2>1 subspaces [more words for both ends]
	sa_line tx "$@" | ip -n "$(ns_of "${2%>*}")" -batch -
	sa_line rx "$@" | ip -n "$(ns_of "${2#*>}")" -batch -
}

# One end of it
sa_line() { # tx|rx 4|6 1>2|2>1 subspaces [more words]
	local o1 o2 line

	outer "$2"
	case $3 in
	'1>2') line="src $o1 dst $o2 proto esp spi 0x100 reqid 1 aead $aead ${KEY:-$key1}" ;;
	'2>1') line="src $o2 dst $o1 proto esp spi 0x200 reqid 2 aead $aead ${KEY:-$key2}" ;;
	esac
	line="xfrm state add $line ${ICV:-128} mode tunnel flag af-unspec ${*:5} ext ${FORMAT-}"
	case $1 in
	tx) echo "$line tx-subspaces $4" ;;
	rx) echo "$line rx-subspaces $4 window ${WINDOW:-1024} memory-max ${MEMORY:-67108864}" ;;
	esac
}

# The usual: both directions
tunnel() { # 4|6 subspaces [more words]
	new_keys
	tunnel_end 1 tx rx "$@" | ip -n "$g1" -batch -
	tunnel_end 2 rx tx "$@" | ip -n "$g2" -batch -
}

tunnel_end() { # 1|2 end-of-1>2 end-of-2>1 4|6 subspaces [more words]
	echo "xfrm state flush"
	echo "xfrm policy flush"
	gateway_policies "$4" "$1"
	sa_line "$2" "$4" '1>2' "${@:5}"
	sa_line "$3" "$4" '2>1' "${@:5}"
}

flush() {
	local n

	new_keys
	for n in "$g1" "$g2"; do
		ip -n "$n" -batch - <<<$'xfrm state flush\nxfrm policy flush'
	done
}

# Lines of ip -batch: an SA of any mode with its policy. Of a selector BEET has the inner
# addresses, and a tunnel must have none for both families
mode_lines() { # mode out|in spi reqid key inner-src inner-dst outer-src outer-dst [word...]
	local mode=$1 more='' words=" ${*:10} "

	case $mode in
	beet) more="sel src $6 dst $7" ;;
	tunnel) more="flag af-unspec" ;;
	esac
	words=${words/ ext / ext ${FORMAT-} }
	echo "xfrm state add src $8 dst $9 proto esp spi $3 reqid $4 mode $mode" \
		"aead $aead $5 128 $more$words"
	echo "xfrm policy add src $6 dst $7 dir $2" \
		"tmpl src $8 dst $9 proto esp reqid $4 mode $mode"
}

# Both directions between two hosts, at both ends
mode_sas() { # mode inner-1 inner-2 outer-1 outer-2 [words of senders [of receivers]]
	local tx=${6-} rx=${7-}

	new_keys
	{
		printf 'xfrm %s flush\n' state policy
		mode_lines "$1" out 0x100 1 "$key1" "$2" "$3" "$4" "$5" "$tx"
		mode_lines "$1" in 0x200 2 "$key2" "$3" "$2" "$5" "$4" "$rx"
	} | ip -n "$g1" -batch -
	{
		printf 'xfrm %s flush\n' state policy
		mode_lines "$1" in 0x100 1 "$key1" "$2" "$3" "$4" "$5" "$rx"
		mode_lines "$1" out 0x200 2 "$key2" "$3" "$2" "$5" "$4" "$tx"
	} | ip -n "$g2" -batch -
}

# The block of `ip xfrm state` that describes the SA with that SPI
block() { # ns spi option...
	local n=$1 spi

	printf -v spi '0x%08x' "$2"
	shift 2
	ip -n "$n" "$@" xfrm state | awk -v spi="$spi" '
		$1 == "src" { head = $0; on = 0; next }
		$1 == "proto" && $3 == "spi" && substr($4, 1, 10) == spi { on = 1; print head }
		on'
}

# A counter of the SA with that SPI, by the name that `ip -s xfrm state` prints
stat() { # ns spi name
	block "$1" "$2" -s -d | awk -v name="$3" '
		{ for (i = 1; i < NF; i++) if ($i == name) { print $(i + 1); exit } }'
}

# A number that `ip -s xfrm state` prints of a subspace; nothing if it was not used
subspace() { # ns spi tx|rx id highest|packets|replays|too-old|backtrack
	block "$1" "$2" -s | awk -v word="$3-subspace" -v id="$4" -v name="$5" '
		$1 == word && $2 == id { for (i = 3; i < NF; i += 2) if ($i == name) print $(i + 1) }'
}

# What all extended SAs of a namespace take (but not what is remembered of those that are
# gone), and may; or all that is taken
netns_memory() { # ns [-max|-all]
	ip netns exec "$1" ip xfrm ext capabilities | awk -v of="${2-}" '
		{ value[$1] = $2 }
		END {
			if (of == "-max")
				print value["netns-memory-max"]
			else if (of == "-all")
				print value["netns-memory"]
			else
				print value["netns-memory"] - value["netns-keys-memory"]
		}'
}

# For wait_for: they are gone, and have given all back
netns_empty() { # ns
	nudge_cpus
	[[ $(netns_memory "$1") == 0 ]]
}

# What an SA must have received in the end, and no more
accepts() { # ns spi packets
	wait_for 10 accepted "$@" || expect "packets accepted" "$(stat "$1" "$2" rx-packets)" "$3"
}

accepted() { # ns spi packets
	[[ $(stat "$1" "$2" rx-packets) == "$3" ]]
}

# All drops of an SA that are not zero, as "name n name n", or "none"
drops() { # ns spi
	block "$1" "$2" -s | awk '$1 == "drops" { sub(/^[ \t]*drops[ \t]*/, ""); print; exit }'
}

# GRO on a link's end. veth does it for what comes from an end without TSO; the rest passes
# it by, whatever ethtool says
gro() { # on|off ns dev peer-ns peer-dev
	local tso=on

	[[ $1 == off ]] || tso=off
	ip netns exec "$4" ethtool -K "$5" tso "$tso"
	ip netns exec "$2" ethtool -K "$3" gro "$1"
}

# How many packets a link's end has given to GRO
gro_packets() { # ns dev
	ip netns exec "$1" ethtool -S "$2" |
		awk '$1 ~ /^rx_queue_[0-9]+_xdp_packets:$/ { n += $2 } END { print n + 0 }'
}

# Five pings through an SA whose packets a link doubles: the second ones are replays, and
# xfrm_stat tells which path has refused them
replays_refused_by() { # ns dev peer-ns spi ping-word...: sets by_ours by_kernels
	local tx=$1 dev=$2 rx=$3 spi=$4

	shift 4
	by_ours=$(mib "$rx" XfrmInStateSeqError) by_kernels=$(mib "$rx" XfrmInStateProtoError)
	expect "drops" "$(drops "$rx" "$spi")" none
	tc -n "$tx" qdisc replace dev "$dev" root netem duplicate 100%
	ip netns exec "$tx" ping -q -c 5 -i 0.02 -W 10 "$@"
	tc -n "$tx" qdisc del dev "$dev" root
	expect "drops" "$(drops "$rx" "$spi")" "rx-replay 5"
	by_ours=$(($(mib "$rx" XfrmInStateSeqError) - by_ours))
	by_kernels=$(($(mib "$rx" XfrmInStateProtoError) - by_kernels))
	echo "# replays refused on our own path: $by_ours, on the kernel's: $by_kernels"
	expect "refused on either path" $((by_ours + by_kernels)) 5
}

# One of the kernel's own counters
# shellcheck disable=SC2016 # awk's
mib() { # ns name
	ip netns exec "$1" awk -v name="$2" '$1 == name { print $2 }' /proc/net/xfrm_stat
}

fastpath() { # on|off
	case $1 in
	on) echo Y ;;
	off) echo N ;;
	esac >/sys/module/xfrm_ext/parameters/fastpath
}

# A genl.py that stays, for ask(): starting Python takes its time
genl_open() { # ns
	mkfifo "$tmp/genl.in" "$tmp/genl.out"
	ip netns exec "$1" "$here/genl.py" batch <"$tmp/genl.in" >"$tmp/genl.out" &
	exec 7>"$tmp/genl.in" 8<"$tmp/genl.out"
}

genl_close() {
	exec 7>&- 8<&-
	rm -f "$tmp/genl.in" "$tmp/genl.out"
}

# Sets answer
ask() { # request as genl.py takes it
	echo "$*" >&7
	read -r -t $((20 * factor * patience)) answer <&8
}

answers() { # pattern request...
	local pattern=$1

	shift
	ask "$@"
	# shellcheck disable=SC2053 # it is a pattern
	if [[ $answer != $pattern ]]; then
		printf 'asked: %s\nanswer: %s\nwanted: %s\n' "$*" "$answer" "$pattern" >&2
		return 1
	fi
}

# A traffic.py that stays
traffic_open() { # ns
	mkfifo "$tmp/traffic.in" "$tmp/traffic.out"
	ip netns exec "$1" "$here/traffic.py" batch <"$tmp/traffic.in" >"$tmp/traffic.out" &
	exec {traffic_in}>"$tmp/traffic.in" {traffic_out}<"$tmp/traffic.out"
	rm "$tmp/traffic.in" "$tmp/traffic.out"
}

# As the script takes it, and fails
traffic() { # verb address port word...
	local answer

	echo "$*" >&"$traffic_in"
	read -r -t $((60 * factor * patience)) answer <&"$traffic_out"
	if [[ $answer != ok ]]; then
		echo "traffic $*: $answer" >&2
		return 1
	fi
}

# A marked.py that stays
marked_open() { # ns
	mkfifo "$tmp/marked.in" "$tmp/marked.out"
	ip netns exec "$1" "$here/marked.py" 9 <"$tmp/marked.in" >"$tmp/marked.out" &
	exec {marked_in}>"$tmp/marked.in" {marked_out}<"$tmp/marked.out"
	rm "$tmp/marked.in" "$tmp/marked.out"
}

# Datagrams that nobody answers: one packet each, from CPU with DSCP and mark
datagrams() { # address < lines of: cpu dscp mark source-port count
	sed "s/^/$1 /; \$s/\$/\n/" >&"$marked_in"
	read -r -t $((20 * factor * patience)) <&"$marked_out"
}
