#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 3600
#
# What a packet costs between dst_output() and a device, and between
# netif_receive_skb() and a protocol, in a guest. run.sh beside this runs it;
# Documentation/bench.rst describes it.
#
#   $METER    insn: nanoseconds per packet, which are instructions in a guest with --icount,
#             the median of batches of 64
#             pps: packets per second of all CPUs together, and alone= of one of them while the
#             others wait, in turns of some milliseconds; ROUNDS rounds of all variants in turn
#   $SET      quick: 64 octets, AES-128-GCM; clear, stock ESP, formats esp64 and eesp
#             full: all sizes, algorithms and formats
#             cheap: the same with an AES-GCM that does nothing
#             profile: the quick set on one CPU, for profile.py
#             functions: the quick set, for functions.py
#             forward: what gateways forward, AES-128-GCM
#             gro: as drivers with GRO receive, AES-128-GCM
#             gso: large packets that are cut, AES-128-GCM, for functions.py
#             lines: all CPUs at once, for lines.py
#             lines-many: 2, 4, 8 and 16 of them
#             floods: what somebody without the key can send
#             floods-lines: replays to all CPUs at once, for lines.py
#             steer: one receive queue, with xfrm-ext-steer and without; in a guest that has it
#
# Each result is a line "= kernel=... meter=... dir=tx|rx variant=... alg=... len=...
# cpus=... round=... value=... order=... packets=... arrived=..."; variants are
#   clear, stock, esp, esp64, eesp
#                               with insn, the first two before xfrm_ext is loaded
#   pcpu                        stock with an SA for each CPU (RFC 9611)
#   clear-loaded, stock-loaded  with xfrm_ext loaded
#   clear-beside, stock-beside  and an extended SA in the same namespaces
#   clear-flowtable, stock-flowtable, esp64-flowtable
#                               of gateways: under nft's flowtable, the flow is offloaded
#   *-offload                   with esp4_offload loaded, or built in
#   *-gro, *-pages              fed by napi_gro_receive(); and but for the headers in pages
#   esp64-queue, esp64-steered  through a link with one receive queue; steered, besides
#   esp64-steering              with insn, of that what CPU 0 does until the packet is in a queue
# and dir is, besides, flood-*: received, and refused for that reason; out and in: of a gateway that encrypts, and of one that decrypts;
#   cipher                      the AEAD alone; alg is the kernel's name of it
. "$(dirname "$0")/../selftests/lib.sh"

METER=${METER:-insn} SET=${SET:-quick} ROUNDS=${ROUNDS:-15}
bench=/proc/xfrm_ext_bench
cpus=$(nproc) label='' scale='' orders=0
[[ $METER == insn || $SET == lines* ]] || scale=' scale=1'

# In transmitter and receiver: a device that swallows everything, and addresses behind
end() { # ns number-here number-there
	netns_add "$1"
	ip -n "$1" -batch - <<-EOF2
		link add sink mtu 9216 type dummy
		link set sink up
		addr add 10.0.0.$2/24 dev sink
		addr add 10.$2.0.1/24 dev lo
		route add 10.$3.0.0/24 via 10.0.0.$3 src 10.$2.0.1
	EOF2
	# A packet that is to be cut is cut by this machine, in clear, too
	ip netns exec "$1" ethtool -K sink tso off gso off >/dev/null
}

pair() { # variant
	end "t-$1" 1 2
	end "r-$1" 2 1
}

# A key is one SA's, once: those of SAs made anew are new
new_keys() {
	printf -v keys '%08x' "$SRANDOM" "$SRANDOM" "$SRANDOM" "$SRANDOM" "$SRANDOM" "$SRANDOM" \
		"$SRANDOM" "$SRANDOM"
}
new_keys

key() { # octets spi
	local k

	printf -v k '%08x' "$2"
	k+=$keys
	echo "0x${k:0:2 * $1}"
}

algorithm() { # alg spi
	case $1 in
	aes128) echo "rfc4106(gcm(aes)) $(key 20 "$2") 128" ;;
	aes256) echo "rfc4106(gcm(aes)) $(key 36 "$2") 128" ;;
	chacha) echo "rfc7539esp(chacha20,poly1305) $(key 36 "$2") 128" ;;
	esac
}

# Stock ESP has a window of 32, as usual; several CPUs deliver one SA's packets out of order,
# which takes its largest, and that takes ESN
words() { # variant tx|rx
	case $METER-$1-$2 in
	insn-stock*-rx) echo "replay-window 32" ;;
	pps-stock*) echo "replay-window 4096 flag esn" ;;
	*-esp-tx) echo "ext format esp tx-subspaces 1" ;;
	*-esp-rx) echo "ext format esp rx-subspaces 1 window 4096" ;;
	*-eesp-tx) echo "ext format eesp tx-subspaces 1" ;;
	*-eesp-rx) echo "ext format eesp rx-subspaces 1 window 1024" ;;
	*-esp64-tx) echo "ext format esp64 tx-subspaces $cpus" ;;
	*-esp64-rx) echo "ext format esp64 rx-subspaces $cpus window 1024" ;;
	esac
}

sas() { # variant alg
	local state

	[[ $1 != clear* ]] || return 0
	if [[ $1 == pcpu ]]; then
		sas_of_cpus
		return
	fi
	state="state add src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x100 reqid 1 mode tunnel"
	state+=" aead $(algorithm "$2" 0x100)"
	ip -n "t-$1" -batch - <<-EOF2
		xfrm state flush
		xfrm policy flush
		xfrm $state $(words "$1" tx)
		xfrm policy add src 10.1.0.0/24 dst 10.2.0.0/24 dir out tmpl src 10.0.0.1 dst 10.0.0.2 proto esp reqid 1 mode tunnel
	EOF2
	ip -n "r-$1" -batch - <<-EOF2
		xfrm state flush
		xfrm policy flush
		xfrm $state $(words "$1" rx)
		xfrm policy add src 10.1.0.0/24 dst 10.2.0.0/24 dir in tmpl src 10.0.0.1 dst 10.0.0.2 proto esp reqid 1 mode tunnel
	EOF2
}

# Nobody's packets of one SA come to two CPUs: the window need not be large. The patched ip
# has no word for the CPU
sas_of_cpus() {
	local cpu spi words

	for words in 't out dir=2' 'r in dir=1 window=32'; do
		# shellcheck disable=SC2086 # words
		set -- $words
		ip -n "$1-pcpu" -batch - <<-EOF2
			xfrm state flush
			xfrm policy flush
			xfrm policy add src 10.1.0.0/24 dst 10.2.0.0/24 dir $2 tmpl src 10.0.0.1 dst 10.0.0.2 proto esp reqid 1 mode tunnel
		EOF2
		for ((cpu = 0; cpu < cpus; cpu++)); do
			spi=$((0x100 + cpu))
			ip netns exec "$1-pcpu" python3 "$here/xfrm.py" extended 10.0.0.1 10.0.0.2 \
				$spi key="$(key 20 $spi | cut -c3-)" reqid=1 marked=0 cpu=$cpu \
				"${@:3}" || bail "no SA for CPU $cpu"
		done
	done
}

# An extended SA that has nothing to do with the packets
beside() { # variant
	local more

	more="proto esp spi 0x300 reqid 3 mode tunnel aead $(algorithm aes128 0x300)"
	ip -n "t-$1" -batch - <<<"xfrm state add src 10.0.0.1 dst 10.0.0.3 $more ext tx-subspaces 1" ||
		bail "no extended SA beside $1"
	ip -n "r-$1" -batch - <<<"xfrm state add src 10.0.0.1 dst 10.0.0.4 $more ext rx-subspaces 1" ||
		bail "no extended SA beside $1"
}

bail() {
	echo "Bail out! $*"
	exit 1
}

# Sets packets_, arrived_, alone_, pps_, each_
order() { # ns words...
	local n=$1

	shift
	orders=$((orders + 1))
	ip netns exec "$n" bash -c "echo '$*' >$bench" || bail "$n: $*"
	# shellcheck disable=SC2046 # words
	local $(<$bench)
	# shellcheck disable=SC2154 # read just now
	packets_=$packets arrived_=$arrived alone_=$alone pps_=$pps each_=$each
}

# Where it is counted what each costs, not even one may be lost
say() { # dir variant alg len cpus round
	local value=$each_ n ns=${2%%-*}

	if [[ $METER == pps ]]; then
		value="$pps_ alone=$alone_"
	elif [[ $4 != gso ]] && ((arrived_ != packets_)); then
		for n in "t-$ns" "r-$ns" "$1-$ns"; do
			echo "# $n"
			ip netns exec "$n" grep -v ' 0$' /proc/net/xfrm_stat
			ip -n "$n" -s xfrm state
		done
		bail "$*: $arrived_ of $packets_ arrived"
	fi
	echo "= kernel=$KERNEL_NAME meter=$METER dir=$1 variant=$2 alg=${label:-$3} len=$4 cpus=$5" \
		"round=$6 value=$value order=$orders packets=$packets_ arrived=$arrived_"
}

flow() { # len cpus packets
	echo "dev=sink src=10.1.0.1 dst=10.2.0.1 len=$1 packets=$3 cpus=$2"
}

sent() { # variant alg len cpus packets round
	order "t-$1" "send $(flow "$3" "$4" "$5")$scale"
	say tx "$1" "$2" "$3" "$4" "$6"
}

received() { # variant alg len cpus packets round
	order "t-$1" "keep $(flow "$3" "$4" "$5")$scale"
	order "r-$1" "receive dev=sink packets=$5 cpus=$4$scale"
	say rx "$1" "$2" "$3" "$4" "$6"
}

measure() { # variant alg len cpus packets round
	sent "$@"
	received "$@"
}

# The kernel's counter that refuses them for what is wrong with them. Where there is no ID of a subspace,
# or one that says nothing, it is the ICV that is wrong
refuses() { # variant kind
	case $2-$1 in
	spi-*) echo XfrmInNoStates ;;
	replay-* | id-esp64) echo XfrmInStateSeqError ;;
	*) echo XfrmInStateProtoError ;;
	esac
}

# None of them may arrive, or be refused by somebody else
flood() { # variant kind cpus packets
	local counter before

	counter=$(refuses "$1" "$2")
	order "t-$1" "keep $(flow 64 "$3" "$4")"
	before=$(mib "r-$1" "$counter")
	order "r-$1" "receive dev=sink packets=$4 cpus=$3 spoil=$2"
	((arrived_ == 0 && packets_ == $3 * $4 &&
		$(mib "r-$1" "$counter") - before == packets_)) ||
		lost "flood of $2, $1"
	arrived_=$packets_
}

# The first ones of a size, and of an SA, make what the others find
warm() { # variant len packets
	order "t-$1" "keep $(flow "$2" "$cpus" "$3")"
	order "r-$1" "receive dev=sink cpus=$cpus packets=$3"
}

# A gateway that encrypts (out) or decrypts (in), and nothing else does either. Dummy devices
# have no neighbours to ask for. Policies are for both directions, as gateways have them.
gateway() { # out|in variant
	local n=$1-$2 sa=${2%%-*} here there far near tx=tx

	case $1 in
	out) here=10.0.0.1 there=10.0.0.2 near=10.1.0.0/24 far=10.2.0.0/24 ;;
	in) here=10.0.0.2 there=10.0.0.1 near=10.2.0.0/24 far=10.1.0.0/24 tx=rx ;;
	esac
	netns_add "$n"
	ip -n "$n" -batch - <<-EOF2
		link add in mtu 9216 type dummy
		link add out mtu 9216 type dummy
		link set in up
		link set out up
		addr add $here/32 dev lo
		route add 10.1.0.0/24 dev in
		route add 10.2.0.0/24 dev out
		route add $there dev $([[ $1 == out ]] && echo out || echo in)
	EOF2
	[[ $2 != *-flowtable* ]] || flowtable "$n"
	[[ $sa != clear ]] || return 0
	ip -n "$n" -batch - <<-EOF2
		xfrm state add src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x100 reqid 1 mode tunnel aead $(algorithm aes128 0x100) $(words "$sa" $tx)
		xfrm policy add src $near dst $far dir out tmpl src $here dst $there proto esp reqid 1 mode tunnel
		xfrm policy add src $far dst $near dir in tmpl src $there dst $here proto esp reqid 1 mode tunnel
		xfrm policy add src $far dst $near dir fwd tmpl src $there dst $here proto esp reqid 1 mode tunnel
	EOF2
}

# ESP is not for connection tracking
flowtable() { # ns
	ip netns exec "$1" nft -f - <<-'EOF2' || bail "$1: no flowtable"
		table inet ft {
			flowtable f {
				hook ingress priority 0
				devices = { "in", "out" }
			}
			chain pre {
				type filter hook prerouting priority raw
				meta l4proto esp notrack
			}
			chain out {
				type filter hook output priority raw
				meta l4proto esp notrack
			}
			chain forward {
				type filter hook forward priority 0
				counter
				flow add @f
			}
		}
	EOF2
}

# A flow is offloaded when a packet of it passes the rule that has not come out of an SA: at
# the gateway that decrypts, one the other way
begun() { # variant
	local n=in-$1

	case $1 in
	stock-* | esp64-*)
		ip -n "$n" -batch - <<-EOF2
			xfrm state add src 10.0.0.2 dst 10.0.0.1 proto esp spi 0x200 reqid 1 mode tunnel aead $(algorithm aes128 0x200) $(words "${1%%-*}" tx)
		EOF2
		;;
	esac
	order r-clear "keep dev=sink src=10.2.0.1 dst=10.1.0.1 len=64 packets=256 proto=17"
	order "$n" "receive dev=out out=in packets=256"
}

# How many packets have passed the chain
seen() { # ns
	ip netns exec "$1" nft list chain inet ft forward | sed -n 's/.*packets \([0-9]*\) .*/\1/p'
}

forwarded() { # out|in variant packets
	local sender=t-${2%%-*}

	[[ $1 == in ]] || sender=t-clear
	order "$sender" "keep $(flow 64 1 "$3") proto=17"
	order "$1-$2" "receive dev=in out=out packets=$3"
}

forward() {
	local way variant

	for variant in stock esp64; do
		sas $variant aes128
	done
	for way in out in; do
		for variant in {clear,stock,esp64}{,-flowtable}; do
			forward_by $way "$variant"
		done
	done
	modprobe esp4_offload || bail 'no esp4_offload'
	for way in out in; do
		for variant in {stock,esp64}{,-flowtable}-offload; do
			forward_by $way "$variant"
		done
	done
}

forward_by() { # out|in variant
	local before

	gateway "$1" "$2"
	[[ $1-$2 != in-*-flowtable* ]] || begun "$2"
	forwarded "$1" "$2" 256
	before=$([[ $2 != *-flowtable* ]] || seen "$1-$2")
	forwarded "$1" "$2" 2048
	say "$1" "$2" aes128 64 1 1
	[[ $2 != *-flowtable* || $(seen "$1-$2") == "$before" ]] ||
		bail "$1-$2: the flow is not offloaded"
}

# From now on AES-GCM does nothing
cheap() {
	label=cheap
	echo cheap >$bench || bail 'no cheap cipher'
}

ciphers() { # len...
	local len name assoc decrypt

	for len; do
		for name in 'gcm(aes)/8' 'rfc4106(gcm(aes))/16'; do
			for decrypt in 0 1; do
				assoc=${name#*/} name=${name%/*}
				order "t-clear" "cipher alg=$name keylen=$((16 + (assoc == 16) * 4)) assoc=$assoc len=$(((len + 2 + 3) / 4 * 4)) packets=2048 decrypt=$decrypt"
				echo "= kernel=$KERNEL_NAME meter=$METER dir=$([[ $decrypt == 1 ]] && echo rx || echo tx)" \
					"variant=cipher alg=$name len=$len cpus=1 round=1 value=$each_ order=$orders"
				name=$name/$assoc
			done
		done
	done
}

# Its packets have the number that eesp has otherwise
mkdir -p /etc/modprobe.d
echo 'options xfrm_ext eesp_protocol=252' >/etc/modprobe.d/xfrm_ext.conf
modprobe xfrm_ext_bench
# The fast ones of what the CPU can do; User-mode Linux has none
modprobe -q -a aesni_intel chacha-x86_64 poly1305-x86_64 || true
sysctl -qw net.core.netdev_max_backlog=100000
for variant in clear stock esp esp64 eesp; do
	pair $variant
done

insn() { # alg size...
	local alg=$1 variant len

	new_keys
	for variant in clear stock $variants; do
		[[ $variant != clear || $alg == aes128 ]] || continue
		sas "$variant" "$alg"
		for len in "${@:2}"; do
			warm "$variant" "$len" 256
			measure "$variant" "$alg" "$len" 1 $((len > 2000 ? 640 : 2048)) 1
		done
		gso "$variant" "$alg"
	done
}

# 61,440 octets of payload, cut into segments that fit 1,500 with ESP; per large packet
gso() { # variant alg
	[[ $SET == @(full|cheap|gso) ]] || return 0
	order "t-$1" "send $(flow 0 1 64) gso=1380"
	order "t-$1" "send $(flow 0 1 256) gso=1380"
	say tx "$1" "$2" gso 1 1
}

# The same packets with the module loaded, and with an extended SA in their namespaces
with() {
	local variant

	new_keys
	for variant in clear stock; do
		sas $variant aes128
		again $variant loaded
		beside $variant
		again $variant beside
	done
}

again() { # variant word
	order "t-$1" "send $(flow 64 1 256)"
	order "t-$1" "send $(flow 64 1 4096)"
	say tx "$1-$2" aes128 64 1 1
	warm "$1" 64 256
	order "t-$1" "keep $(flow 64 1 4096)"
	order "r-$1" "receive dev=sink cpus=1 packets=4096"
	say rx "$1-$2" aes128 64 1 1
}

pps() { # alg size packets rounds
	local round variant

	new_keys
	for variant in $variants; do
		sas "$variant" "$1"
		warm "$variant" "$2" 2048
	done
	for ((round = 1; round <= $4; round++)); do
		for variant in $variants; do
			measure "$variant" "$1" "$2" "$cpus" "$3" "$round"
		done
	done
}

# CPUs keep pace with each other: few packets say it. Of 16 CPUs there are as many as are asked
lines_many() {
	local variant counts=(2 4 8 16)

	[[ $(uname -r) == 6.1.* ]] || variants+=' pcpu'
	for variant in $variants; do
		[[ -e /run/netns/t-$variant ]] || pair "$variant"
	done
	for cpus in "${counts[@]}"; do
		new_keys
		for variant in $variants; do
			sas "$variant" aes128
			warm "$variant" 64 512
			measure "$variant" aes128 64 "$cpus" "$1" 1
		done
	done
}

# All through one receive queue, worked on by CPU 0. Both ends of the link have the same address:
# prepared packets leave by one of them. XDP in the driver takes none that are larger than a page
queue() {
	netns_add i-esp64
	ip link add out netns i-esp64 type veth peer name wan netns r-esp64
	ip -n i-esp64 link set out mtu 2000 up address 02:00:00:00:00:01
	ip -n r-esp64 link set wan mtu 2000 up address 02:00:00:00:00:01
	# So received packets go through a NAPI
	ip netns exec i-esp64 ethtool -K out tso off gso off >/dev/null
	ip netns exec r-esp64 ethtool -K wan gro on >/dev/null
	mount -t bpf bpf /sys/fs/bpf || bail "no BPF"
}

steer() { # word...
	nsenter --net=/run/netns/r-esp64 xfrm-ext-steer "$@"
}

knows() {
	steer --stats wan | grep -qx "sas 1 cpus $cpus"
}

# No more on their way than the shortest queue holds
injected() { # variant len packets round
	order t-esp64 "keep $(flow "$2" "$cpus" "$3") xdp=1"
	order i-esp64 "inject dev=out packets=$((cpus * $3)) queued=1024"
	((arrived_ == packets_ && packets_ == cpus * $3)) || lost "$@"
	# Of instructions, all that a packet takes, wherever; and what CPU 0 does with it at once
	at_once=$each_
	[[ $METER == pps ]] || each_=$((1000000000 / pps_))
	[[ ! $4 ]] || say rx "$1" aes128 "$2" "$cpus" "$4"
}

lost() { # variant...
	local n

	for n in /run/netns/[ir]-*; do
		n=${n##*/}
		echo "# $n"
		ip netns exec "$n" grep -v -w 0 /proc/net/xfrm_stat
		ip -n "$n" -s link
		ip -n "$n" -s xfrm state | grep -v aead
	done
	bail "$*: $arrived_ of $packets_ packets arrived"
}

# Steered: an equal number to each CPU, and nothing lost
steered() { # len packets round
	local pid

	# No shell between: this is who is to be stopped
	nsenter --net=/run/netns/r-esp64 xfrm-ext-steer --mode native wan 2>"$tmp/steer" &
	pid=$!
	wait_for 20 knows || bail "xfrm-ext-steer: $(<"$tmp/steer")"
	injected esp64-steered "$@"
	steer --stats wan >"$tmp/stats"
	(($(grep -cx "cpu [0-9]* steered $2 dropped 0" "$tmp/stats") == cpus)) ||
		bail "not steered: $(<"$tmp/stats")"
	if [[ $METER == insn && $3 ]]; then
		each_=$at_once
		say rx esp64-steering aes128 "$1" "$cpus" "$3"
	fi
	stop $pid
	! ip -n r-esp64 link show dev wan | grep -q xdp || bail 'steered still'
}

one_queue() { # packets
	local len round

	queue
	new_keys
	# Those of one receive subspace are not steered
	[[ $METER == pps ]] || cpus=2
	sas esp64 aes128
	cpus=$(nproc)
	for len in 64 1420; do
		for ((round = 0; round <= ROUNDS; round++)); do
			# The first round is for caches, and for what is translated
			injected esp64-queue $len "$1" "${round#0}"
			steered $len "$1" "${round#0}"
		done
	done
}

# Windows are in use; then of each kind. Legitimate ones, too: what they cost is in the share that
# is left to them
floods() {
	local variant kind kinds

	new_keys
	for variant in stock esp64 esp eesp; do
		sas $variant aes128
		warm $variant 64 256
		received $variant aes128 64 1 2048 1
		kinds='spi icv id replay'
		[[ $variant != eesp ]] || kinds+=' options'
		for kind in $kinds; do
			flood $variant "$kind" 1 128
			flood $variant "$kind" 1 1024
			say "flood-$kind" $variant aes128 64 1 1
		done
	done
}

# All CPUs at once, in one window
flood_lines() {
	local variant

	new_keys
	for variant in stock esp; do
		sas $variant aes128
		warm $variant 64 256
		flood $variant replay "$cpus" 128
		flood $variant replay "$cpus" 2048
		say flood-replay $variant aes128 64 "$cpus" 1
	done
}

# For a profile taken from outside: when each was measured, by the clock that this machine
# shares with the one it runs on
profile() {
	local round variant

	for variant in $variants; do
		sas "$variant" aes128
		warm "$variant" 64 2048
	done
	for round in {1..12}; do
		for variant in $variants; do
			timed tx "$variant" "t-$variant" "send $(flow 64 1 30000)"
			order "t-$variant" "keep $(flow 64 1 30000)"
			timed rx "$variant" "r-$variant" "receive dev=sink packets=30000"
		done
	done
}

timed() { # dir variant ns words...
	local start=$EPOCHREALTIME

	order "${@:3}"
	echo "= window dir=$1 variant=$2 start=$start end=$EPOCHREALTIME each=$each_"
}

variants='esp esp64'
many=$([[ $KERNEL_NAME == *-uml* ]] && echo 20000 || echo 6000)
# As drivers receive; the first packets of an SA come without GRO
by_gro() { # variant suffix
	local shape len

	warm "$1" 64 256
	for shape in gro:64 gro:1420 pages:1420; do
		len=${shape#*:} shape=${shape%:*}
		order "t-$1" "keep $(flow "$len" 1 256)$([[ $shape == gro ]] || echo ' pages=1')"
		order "r-$1" "receive dev=sink packets=256 gro=1"
		order "t-$1" "keep $(flow "$len" 1 2048)$([[ $shape == gro ]] || echo ' pages=1')"
		order "r-$1" "receive dev=sink packets=2048 gro=1"
		say rx "$1-$shape$2" aes128 "$len" 1 1
	done
}

received_all() {
	local variant suffix=''

	# With what is built in there is no without
	[[ $(modinfo -F filename esp4_offload) == *.ko* ]] || suffix=-offload
	new_keys
	for variant in clear stock; do
		sas $variant aes128
		by_gro $variant "$suffix"
	done
	if [[ ! $suffix ]]; then
		modprobe esp4_offload
		new_keys
		sas stock aes128
		by_gro stock -offload
	fi
	sas esp64 aes128
	by_gro esp64 -offload
	# Plain packets of which we are asked first
	by_gro stock -offload-beside
	[[ ! $suffix ]] || return 0
	for variant in stock esp64; do
		ip -n "t-$variant" xfrm state flush
		ip -n "r-$variant" xfrm state flush
	done
	wait_for 20 modprobe -rq esp4_offload
	wait_for 20 modprobe -rq xfrm_ext
	modprobe xfrm_ext gro=1
	new_keys
	sas esp64 aes128
	by_gro esp64 ''
}

# esp4_offload enciphers behind POST_ROUTING; with what is built in there is no without
cut_all() {
	local variant

	[[ $(modinfo -F filename esp4_offload) == *.ko* ]] || stock_only=1
	new_keys
	for variant in clear stock esp64; do
		sas $variant aes128
		gso $variant aes128
	done
	[[ ! ${stock_only-} ]] || return 0
	modprobe esp4_offload
	pair stock-offload
	sas stock-offload aes128
	gso stock-offload aes128
}

case $METER-$SET in
insn-gso)
	cut_all
	[[ ! -d /out ]] || cat /proc/kallsyms >/out/kallsyms
	;;
insn-gro)
	variants=esp64
	received_all
	[[ ! -d /out ]] || cat /proc/kallsyms >/out/kallsyms
	;;
insn-quick)
	variants='esp64 eesp'
	insn aes128 64
	ciphers 64
	with
	;;
insn-functions)
	variants=esp64
	insn aes128 64
	ciphers 64
	cat /proc/kallsyms >/out/kallsyms
	;;
insn-floods)
	floods
	[[ ! -d /out ]] || cat /proc/kallsyms >/out/kallsyms
	;;
pps-floods-lines)
	flood_lines
	cat /proc/kallsyms >/out/kallsyms
	;;
insn-full)
	for alg in aes128 aes256 chacha; do
		insn $alg 64 576 1420 9000
	done
	ciphers 64 576 1420 9000
	with
	;;
insn-forward)
	forward
	[[ ! -d /out ]] || cat /proc/kallsyms >/out/kallsyms
	;;
insn-cheap)
	cheap
	insn aes128 64 576 1420 9000
	;;
pps-full)
	variants='clear stock esp esp64'
	pps aes128 64 "$many" "$ROUNDS"
	pps aes128 1420 $((many / 2)) $(((ROUNDS + 1) / 2))
	;;
pps-cheap)
	cheap
	variants='clear stock esp esp64'
	pps aes128 64 "$many" $(((ROUNDS + 1) / 2))
	;;
pps-lines)
	variants='clear stock esp esp64'
	pps aes128 64 4096 1
	cat /proc/kallsyms >/out/kallsyms
	;;
pps-lines-many)
	variants='clear stock esp64'
	lines_many 1024
	cat /proc/kallsyms >/out/kallsyms
	;;
pps-steer | insn-steer)
	[[ $METER == pps ]] || ROUNDS=1 many=2048
	one_queue $((many / 64 * 64))
	[[ ! -d /out ]] || cat /proc/kallsyms >/out/kallsyms
	;;
pps-profile)
	variants='clear stock esp64'
	profile
	cat /proc/kallsyms >/out/kallsyms
	;;
*)
	bail "no such set: $METER-$SET"
	;;
esac
