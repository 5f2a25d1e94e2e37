# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2034,SC2154
#
# For scripts about format eesp: SAs for `ip` and for eesp.py between the two hosts of
# pair_acquainted(), traffic of which each packet is read, single packets to a receiver. To
# be read behind lib-wire.sh.

default_aead=$aead

both() { # command...
	local n

	for n in "$g1" "$g2"; do
		"$@" "$n"
	done
}

addresses() { # mode inner outer: sets i1 i2 o1 o2
	outer "$3"
	case $1-$2 in
	transport-*) i1=$o1 i2=$o2 ;;
	*-4) i1=10.1.0.1 i2=10.2.0.1 ;;
	*-6) i1=fd01::1 i2=fd02::1 ;;
	esac
}

# One SA for ip, and for eesp.py
sa_is() { # 1|2 mode tx|rx
	local k=$1 mode=$2 way=$3 src=$o1 dst=$o2 i=$i1 j=$i2 more='' words

	((k == 1)) || src=$o2 dst=$o1 i=$i2 j=$i1
	case $mode in
	beet) more="sel src $i dst $j" ;;
	tunnel) more="flag af-unspec" ;;
	esac
	[[ ! $UDP ]] || more+=" encap espinudp 4500 4500 $([[ $o1 == *:* ]] && echo :: || echo 0.0.0.0)"
	words="$way-subspaces $SUBS"
	[[ $way == rx || $SUBS == 1 ]] || words+=" select flow"
	[[ ! $CRYPT ]] || words+=" $way-crypt-offset $CRYPT"
	[[ ! $ECHO || $way == tx ]] || words+=" echo on"
	key_for $((k << 8)) "$ROOT"
	echo "xfrm state add src $src dst $dst proto esp spi 0x${k}00 reqid $k mode $mode" \
		"aead $AEAD $key $BITS $more $MORE ext format eesp $words $EXT"
	printf '{"spi": "0x%d00", "key": "%s", "aead": "%s", "icv": "%s", "src": "%s", "dst": "%s"' \
		"$k" "$key" "$AEAD" "$BITS" "$src" "$dst" >"$tmp/sa$k"
	printf ', "mode": "%s", "inner": %d%s}\n' "$mode" "$([[ $i == *:* ]] && echo 6 || echo 4)" \
		"$JSON${UDP:+, \"udp\": true}${CRYPT:+, \"crypt\": $CRYPT}" >>"$tmp/sa$k"
}

policy_is() { # 1|2 mode dir
	local k=$1 src=$o1 dst=$o2 i=$i1 j=$i2

	((k == 1)) || src=$o2 dst=$o1 i=$i2 j=$i1
	echo "xfrm policy add src $i dst $j dir $3 $IF" \
		"tmpl src $src dst $dst proto esp reqid $k mode $2"
}

# Both directions at both ends. What is not usual is in variables
AEAD=$default_aead BITS=128 ROOT=32 SUBS=4 UDP='' CRYPT='' ECHO='' JSON='' EXT='' MORE='' IF=''
pair_of() { # mode inner outer
	addresses "$@"
	new_keys
	{
		printf 'xfrm %s flush\n' state policy
		sa_is 1 "$1" tx
		policy_is 1 "$1" out
		sa_is 2 "$1" rx
		policy_is 2 "$1" in
	} | ip -n "$g1" -batch -
	{
		printf 'xfrm %s flush\n' state policy
		sa_is 1 "$1" rx
		policy_is 1 "$1" in
		sa_is 2 "$1" tx
		policy_is 2 "$1" out
	} | ip -n "$g2" -batch -
}

captured() { # file ns spi
	local pid

	pid=$(<"$1.pid")
	wait_for 20 captured_all "$@"
	kill -INT "$pid"
	wait "$pid" || true
	grep -qx '0 packets dropped by kernel' "$1.log"
}

captured_all() {
	[[ $(tcpdump --count -r "$1" "$filter" 2>/dev/null) == "$(stat "$2" "$3" tx-packets) packets" ]]
}

# What one has sent the other has received, and nothing was dropped
equal() {
	[[ $(stat "$g1" 0x100 tx-packets) == "$(stat "$g2" 0x100 rx-packets)" &&
		$(stat "$g2" 0x200 tx-packets) == "$(stat "$g1" 0x200 rx-packets)" ]]
}

# Traffic both ways, each packet read on the link
filter='ip proto 253 or ip6 proto 253 or udp port 4500'
exchange() { # inner
	local n seen

	record_out "$tmp/1.pcap" "$g1" wan
	record_out "$tmp/2.pcap" "$g2" wan
	ip netns exec "$g1" ping -q -c 4 -i 0.02 -W 10 -I "$i1" "$i2"
	for n in 1 2 3 4 5 6; do
		traffic udp "$i2" 7 "$n" $((n * 40 + 1)) 1300
	done
	traffic tcp "$i2" 7 $((60000 / factor))
	wait_for 20 equal
	for n in "$g1 0x100" "$g2 0x100" "$g1 0x200" "$g2 0x200"; do
		# shellcheck disable=SC2086 # words
		expect "drops of $n" "$(drops $n)" none
	done
	captured "$tmp/1.pcap" "$g1" 0x100
	captured "$tmp/2.pcap" "$g2" 0x200
	for n in 1 2; do
		seen=$("$here/eesp.py" check "$tmp/$n.pcap" "$tmp/sa$n")
		expect "packets of SA $n that were read" "${seen%/*}" "$(stat "$(ns_of "$n")" "0x${n}00" tx-packets)"
		((SUBS == 1 ? ${seen#*/} == 1 : ${seen#*/} > 1))
		"$here/eesp_reference.py" read "$tmp/$n.pcap" "$tmp/sa$n" "$SUBS"
	done
}

no_answer() { # ping-word...
	if ip netns exec "$g1" ping -q "$@" -W 1 -I "$i1" "$i2"; then
		echo "an answer to a ping that must not have one" >&2
		return 1
	fi
}

# A batch of eesp.py's that stays
sender_open() { # 4|6
	mkfifo "$tmp/send.in" "$tmp/send.out"
	ip netns exec "$g1" "$here/eesp.py" send "$tmp/sa1" "$1" <"$tmp/send.in" >"$tmp/send.out" &
	exec 5>"$tmp/send.in" 6<"$tmp/send.out"
	rm "$tmp/send.in" "$tmp/send.out"
}

sends() { # counter what session sn [option...]: one packet moves that counter by one
	local counter=$1 before

	shift
	before=$(counted "$counter")
	echo "$*" >&5
	read -r -t $((60 * factor)) _ <&6
	wait_for 10 moved "$counter" $((before + 1))
}

# A subspace's line begins as a counter's name does
SPI=0x100
counted() { # counter
	{
		echo "rx-packets $(stat "$g2" "$SPI" rx-packets)"
		drops "$g2" "$SPI"
	} | xargs -n 2 | awk -v name="$1" '$1 == name { n = $2 } END { print n + 0 }'
}

moved() { # counter value
	[[ $(counted "$1") == "$2" ]]
}

receiver_alone() { # inner outer
	addresses tunnel "$1" "$2"
	new_keys
	flush_keeping_keys
	{
		sa_is 1 tunnel rx
		policy_is 1 tunnel in
	} | sed "s/spi 0x100/spi $SPI/" | ip -n "$g2" -batch -
	sed -i "s/0x100/$SPI/" "$tmp/sa1"
	sender_open "$1"
}

flush_keeping_keys() {
	both flush_one
}

flush_one() {
	ip -n "$1" -batch - <<<$'xfrm state flush\nxfrm policy flush'
}

serving() {
	[[ $(ip netns exec "$g2" cat /proc/net/tcp /proc/net/tcp6 | grep -c ':0007 .* 0A ') == 4 ]]
}

# Two hosts, of which the second answers at port 7
eesp_hosts() {
	local address

	modprobe xfrm_ext
	pair_acquainted
	for address in 10.0.0.2 10.2.0.1 fd00::2 fd02::1; do
		ip netns exec "$g2" "$here/traffic.py" serve "$address" 7 &
	done
	wait_for 20 serving
	traffic_open "$g1"
}
