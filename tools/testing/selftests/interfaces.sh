#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# kernels: 6.1-cloud 6.12-cloud 6.12-trixie 7.3-uml
# check: 7.3-uml
#
# What decides which SA and which policy a packet gets, and whether it may pass: xfrm
# interfaces, VTI, marks, selectors of SAs, policies and those of sockets. (paths.sh and
# shapes.sh have forwarding, natt.sh has packets that should be in UDP or should not.)
. "$(dirname "$0")/lib.sh"

# Of interfaces.py: sets answer
ask_helper() { # verb word...
	answer=nothing
	echo "$*" >&"$helper_in"
	read -r -t $((30 * factor)) answer <&"$helper_out" || true
}

datagram() { # goes|stopped|refused 1|2 source destination port word...
	local words=" $* "

	# What is sent in the format of in_eesp()
	[[ ! ${FORMAT-} ]] || words=${words/ esp / eesp }
	ask_helper "$words"
	expect "datagram $*" "$answer" ok
}

# Packets that both SAs have sent, none of which is missing: sets sent1 sent2
balanced() {
	ask_helper figures
	echo "figures: $answer"
	[[ $answer =~ ^[0-9]+\ [0-9]+$ ]]
	sent1=${answer% *} sent2=${answer#* }
}

# Two hosts. To 10.9.0.0/24 and fd09::/64 only packets with a mark find a route.
hosts() {
	local n other

	pair_acquainted
	for n in 1 2; do
		other=$((3 - n))
		ip -n "$(ns_of $n)" -batch - <<-EOF
			addr add 10.0.0.$((n + 2))/24 dev wan
			addr add 10.9.0.$n/32 dev lo
			addr add fd09::$n/128 dev lo nodad
			rule add fwmark 0x20/0xff table 7
			route add 10.9.0.$other via 10.0.0.$other table 7
			route add fd09::$other via fd00::$other table 7
			link add x7 type xfrm dev wan if_id 7
			link add x8 type xfrm dev wan if_id 8
			link set x8 up
			link add vti type vti local 10.0.0.$n remote 10.0.0.$other key 9
			link add vti6 type vti6 local fd00::$n remote fd00::$other key 9
		EOF
		ip -6 -n "$(ns_of $n)" rule add fwmark 0x20/0xff table 7
	done
}

# Of that mode and these families: sets i1 i2 o1 o2. (A test is a subshell: what it sets is
# its own.)
begin() { # mode inner outer path
	fastpath "$4"
	outer "$3"
	case $1:$2 in
	transport:*) i1=$o1 i2=$o2 ;;
	*:4) i1=10.1.0.1 i2=10.2.0.1 ;;
	*:6) i1=fd01::1 i2=fd02::1 ;;
	esac
}

# SAs and policies in both directions between the addresses of the caller, each host's lines
# edited by sed
ends() { # mode [script-of-1 [script-of-2]]
	local scripts=("${2-}" "${3-}") dirs=(out in out) words=(tx rx tx) n

	new_keys
	for n in 0 1; do
		{
			printf 'xfrm %s flush\n' state policy
			mode_lines "$1" "${dirs[n]}" 0x100 1 "$key1" "$i1" "$i2" "$o1" "$o2" \
				ext "${words[n]}-subspaces" 4
			mode_lines "$1" "${dirs[n + 1]}" 0x200 2 "$key2" "$i2" "$i1" "$o2" "$o1" \
				ext "${words[n + 1]}-subspaces" 4
		} | sed -e "${scripts[n]}" | ip -n "$(ns_of $((n + 1)))" -batch -
	done
}

# Packets that the devices of that name have received and sent, on g1 and on g2
counted() { # name pattern
	ask_helper device "$1"
	echo "$1: $answer, wanted $2"
	# shellcheck disable=SC2053 # it is a pattern
	[[ $answer == $2 ]]
}

# Traffic between the addresses of the caller: devices of that name, which send if that is 1,
# count as many packets as the SAs
through() { # device 0|1 longest-datagram
	ip netns exec "$g1" ping -q -c 3 -i 0.02 -W $((5 * factor)) "$i2"
	traffic udp "$i2" 7 1 "$3"
	traffic tcp "$i2" 7 20000
	datagram goes 1 "$i1" "$i2" 9 esp
	datagram goes 2 "$i2" "$i1" 9 esp
	balanced
	# What it sends may be GSO
	[[ $i1 == *:* ]] || any='*'
	counted "$1" "$sent2 ${any-$((sent1 * $2))} $sent1 ${any-$((sent2 * $2))}"
}

# New devices, and the way through them to the other host's inner addresses. In 1,400 octets
# there is room for ESP, so that nobody has to learn the path's MTU. For IPv6 they take no GSO
# packets.
devices() { # x7|vti|vti6
	local n near=$o1 far=$o2 words segments=65535

	[[ $i1 != *:* ]] || segments=1
	for n in 1 2; do
		words="type $1 local $near remote $far key 9"
		[[ $1 != x7 ]] || words='type xfrm dev wan if_id 7'
		ip -n "$(ns_of "$n")" -batch - <<-EOF
			link del $1
			link add $1 $words
			link set $1 mtu 1400 gso_max_segs $segments up
			route replace 10.$((3 - n)).0.1 dev $1 src 10.$n.0.1
			route replace fd0$((3 - n))::1 dev $1 src fd0$n::1
		EOF
		near=$o2 far=$o1
	done
}

with_if_id='s/ ext / if_id 7&/; s/ tmpl / if_id 7&/'

# The kernel sends nothing in transport mode through an xfrm interface: the route behind it
# would be the interface again. There it receives only.
xfrm_interface() { # mode inner outer path
	local script="/ rx-/{$with_if_id}; / dir in /{$with_if_id}"

	begin "$@"
	devices x7
	[[ $1 == transport ]] || script=$with_if_id
	ends "$1" "$script" "$script"
	case $1$2 in
	transport?) through x7 0 3000 ;;
	beet4)
		through x7 1 1300
		# It has cut what is longer before the SA gets it
		datagram stopped 1 "$i1" "$i2" 9 XfrmOutStateModeError times=3 length=3000
		expect "drops" "$(drops "$g1" 0x100)" "tx-fragment 3"
		;;
	*) through x7 1 3000 ;;
	esac
}

# Interfaces that have another number, or are down
other_interfaces() { # mode inner outer path
	begin "$@"
	devices x7
	ends "$1" "$with_if_id" "$with_if_id; / rx-/s/if_id 7/if_id 8/"
	ask_helper device x8
	read -r -a before <<<"$answer"
	datagram refused 1 "$i1" "$i2" 9 esp XfrmInNoPols
	counted x8 "${before[*]:0:2} $((before[2] + 1)) ${before[3]}"
	ends "$1" "$with_if_id; / tx-/s/if_id 7/if_id 8/" "$with_if_id"
	datagram stopped 1 "$i1" "$i2" 9 XfrmOutNoStates
	ends "$1" "$with_if_id" "$with_if_id"
	ip -n "$g2" link set x7 down
	datagram refused 1 "$i1" "$i2" 9 esp XfrmInNoPols
	counted x7 "0 2 0 0"
	ip -n "$g2" link set x7 up
	datagram goes 1 "$i1" "$i2" 9 esp
	counted x7 "0 3 1 0"
}

# Policies have the key as a mark; SAs have it, or none
through_vti() { # vti|vti6 inner outer mark|any path
	local script='s/ tmpl / mark 9&/'

	begin tunnel "$2" "$3" "$5"
	[[ $4 == any ]] || script+='; s/ ext / mark 9&/'
	devices "$1"
	ends tunnel "$script" "$script"
	through "$1" 1 3000
	[[ $4 == mark ]] || return 0
	ends tunnel "$script" "$script; s/ mark 9 ext/ mark 8 ext/"
	datagram refused 1 "$i1" "$i2" 9 esp XfrmInNoStates
}

# The outer header's protocol in these tests
sealed_proto() {
	if [[ ${FORMAT-} ]]; then
		echo 253
	else
		echo esp
	fi
}

# Give marks to ESP that is received; count what is sent and what was inside, with the marks
# of output_marks()
marks() { # ns [match mark]...
	ip netns exec "$1" nft -f - <<-EOF
		table inet marks {
			chain received { type filter hook prerouting priority raw
				$(printf "meta l4proto $(sealed_proto) %s meta mark set %s\n" "${@:2}")
			}
			chain sent { type filter hook output priority 0
				meta l4proto $(sealed_proto) meta mark 0x1320 counter
			}
			chain inside { type filter hook input priority 0
				udp dport 9 meta mark 0x235 counter
			}
		}
	EOF
}

# Two SAs with the same SPI and destination. The receiver tells them apart by the lower
# octet of a mark.
same_spi() { # transport|tunnel path
	local i2=10.0.0.2 k key=("$key1" "$key2") near=(10.0.0.1 10.0.0.3) inner=(10.0.0.1 10.0.0.3)

	fastpath "$2"
	[[ $1 == transport ]] || inner=(10.1.0.1 10.1.0.1) i2=10.2.0.1
	printf 'xfrm %s flush\n' state policy >"$tmp/lines"
	for k in 0 1; do
		mode_lines "$1" out 0x100 1 "${key[k]}" "${inner[k]}" "$i2" "${near[k]}" 10.0.0.2 \
			ext tx-subspaces 4 | sed "s/ ext \| tmpl / mark $((k + 5)) mask 0xff&/"
	done >>"$tmp/lines"
	ip -n "$g1" -batch "$tmp/lines"
	sed 's/ dir out / dir in /; s/ tx-/ rx-/' "$tmp/lines" | ip -n "$g2" -batch -
	marks "$g2" 'ip saddr 10.0.0.1' 0x105 'ip saddr 10.0.0.3' 0x206
	datagram goes 1 "${inner[0]}" "$i2" 9 esp mark=0x105
	datagram goes 1 "${inner[1]}" "$i2" 9 esp mark=0x306 length=3000
	datagram goes 1 "${inner[0]}" "$i2" 9 esp mark=0x5 length=3000
	balanced
	expect "packets" "$sent1 $sent2" "2 1"
	datagram goes 1 "${inner[0]}" "$i2" 9 clear mark=0x107
	ip netns exec "$g2" nft flush ruleset
	datagram refused 1 "${inner[0]}" "$i2" 9 esp XfrmInNoStates mark=0x105
}

# What an SA makes of the mark: of the packet it sends (which routing sees, too, where
# there is a new header), and of the packet that was inside
output_marks() { # mode inner outer path
	local script='/ tx-/s/ ext / output-mark 0x20 mask 0xff&/; / rx-/s/ ext / output-mark 0x30 mask 0xf0&/'

	begin "$@"
	case $1$3 in
	transport*) ;;
	*4) o1=10.9.0.1 o2=10.9.0.2 ;;
	*6) o1=fd09::1 o2=fd09::2 ;;
	esac
	ends "$1" "$script" "$script"
	marks "$g1" '' 0x205
	marks "$g2" '' 0x205
	datagram goes 1 "$i1" "$i2" 9 esp mark=0x1305
	datagram goes 1 "$i1" "$i2" 9 esp mark=0x1315
	datagram goes 2 "$i2" "$i1" 9 esp mark=0x1305
	balanced
	for n in "$g1" "$g2"; do
		ip netns exec "$n" nft list ruleset
		ip netns exec "$n" nft flush ruleset
	done | sed -n 's/.*counter packets \([0-9]*\) .*/\1/p' >"$tmp/marks"
	# Sent and inside, of both
	expect "packets with the marks" "$(xargs <"$tmp/marks")" '2 1 1 2'
}

# An SA is for some of what its policy is for
selectors() { # transport|tunnel family path
	begin "$1" "$2" "$2" "$3"
	sel="s| ext | sel src $i1 dst $i2 proto udp sport 9 dport 9&|"
	ends "$1" "/ tx-/$sel"
	datagram goes 1 "$i1" "$i2" 9 esp length=3000
	datagram stopped 1 "$i1" "$i2" 10 XfrmOutNoStates
	datagram goes 2 "$i2" "$i1" 10 esp
	balanced
	ends "$1" '' "/ rx-/$sel"
	datagram goes 1 "$i1" "$i2" 9 esp length=3000
	datagram refused 1 "$i1" "$i2" 10 esp XfrmInStateMismatch
	datagram goes 2 "$i2" "$i1" 10 esp
	balanced
}

# What is changed, and what becomes of a datagram from 1 to 2 then
policy_checks() { # transport|beet inner outer path
	local mismatch='refused esp XfrmInTmplMismatch' in out tmpl change verb rest

	begin "$@"
	in="$g2 xfrm policy update src $i1 dst $i2 dir in"
	out="$g1 xfrm policy update src $i1 dst $i2 dir out"
	tmpl="tmpl src $o1 dst $o2 proto esp"
	# For the kernel, transport mode is no other way to come in
	cat >"$tmp/steps" <<-EOF
		$in $tmpl reqid 3 mode $1: $mismatch
		$in $tmpl reqid 1 mode tunnel: $mismatch
		$in action block: refused esp XfrmInPolBlock
		$in: $([[ $1 == transport ]] && echo goes esp || echo "$mismatch")
		${in/update/delete}: $([[ $1 == transport ]] && echo goes esp || echo refused esp XfrmInNoPols)
		$out action block: stopped XfrmOutPolBlock
		$in $tmpl reqid 1 mode $1: stopped XfrmOutPolBlock
		${out/update/delete}: refused clear XfrmInTmplMismatch
		$in $tmpl reqid 1 mode $1 level use: goes clear
		$out $tmpl reqid 1 mode $1: goes esp
	EOF
	# The kernel refuses it for sending in other modes
	[[ $1 != transport ]] || cat >>"$tmp/steps" <<-EOF
		$out $tmpl reqid 1 mode $1 level use: goes esp
		$g1 xfrm state delete src $o1 dst $o2 proto esp spi 0x100: goes clear
	EOF
	ends "$1"
	datagram goes 1 "$i1" "$i2" 9 esp length=3000
	while read -r change; do
		read -r verb rest <<<"${change##*: }"
		# shellcheck disable=SC2086 # they are words
		ip -n ${change%: *}
		datagram "$verb" 1 "$i1" "$i2" 9 "$rest"
	done <"$tmp/steps"
}

socket_policies() { # family path
	begin transport "$1" "$1" "$2"
	flow="1 $i1 $i2 9"
	ends transport '/ policy add /d' '/ policy add /d'
	datagram goes "$flow" clear
	datagram goes "$flow" esp out=1
	datagram goes "$flow" esp out=1 in=1 length=3000
	datagram goes 2 "$i2" "$i1" 9 esp out=2 in=2
	datagram refused "$flow" clear XfrmInTmplMismatch in=1
	datagram refused "$flow" esp XfrmInTmplMismatch out=1 in=2
	datagram stopped "$flow" none out=3
	balanced
	# They come before the host's
	ends transport
	datagram goes "$flow" clear out=none in=none
	datagram goes "$flow" esp
}

# In UDP, where VTI looks for an SPI in the first word
vti_in_udp() { # vti inner outer path
	local script='s/ tmpl / mark 9&/; s/ ext / mark 9 encap espinudp 4500 4500 0.0.0.0&/' n

	begin tunnel "$2" "$3" "$4"
	devices "$1"
	for n in 1 2; do
		ip netns exec "$(ns_of "$n")" "$here/natt.py" end 4500 </dev/null >/dev/null &
		wait_for 20 ip netns exec "$(ns_of "$n")" grep -q ':1194 ' /proc/net/udp6
	done
	ends tunnel "$script" "$script"
	ip netns exec "$g1" ping -q -c 3 -i 0.02 -W $((5 * factor)) "$i2"
	traffic udp "$i2" 7 1 1300
	traffic tcp "$i2" 7 20000
	balanced
	counted "$1" "$sent2 * $sent1 *"
}

# Of an SA with a mark what a router says is heard
vti_pmtu() { # path
	local script='s/ tmpl / mark 9&/; s/ ext / mark 9&/'

	begin tunnel 4 4 "$1"
	devices vti
	ends tunnel "$script" "$script"
	datagram goes 1 "$i1" "$i2" 9 esp
	ip netns exec "$g2" "$here/eesp.py" too-big 0x777 "$o2" "$o1" 1320
	ip netns exec "$g2" "$here/eesp.py" too-big 0x100 "$o2" "$o1" 1340
	wait_for 10 mtu_is 1340
	ip -n "$g1" route flush cache
}

mtu_is() {
	[[ $(ip -n "$g1" route get "$o2") != *'mtu 1320'* ]] && ip -n "$g1" route get "$o2" | grep -q "mtu $1"
}

# An SA of ESP in VTI is not for what says it is EESP: nobody asks VTI
not_in_vti() { # path
	local script='s/ tmpl / mark 9&/; s/ ext / mark 9&/' before

	begin tunnel 4 4 "$1"
	devices vti
	ends tunnel "$script" "$script"
	# The listener is there as long as anybody has an SA of it
	key_for 0x300
	ip -n "$g1" xfrm state add src "$o1" dst "$o2" proto esp spi 0x300 reqid 3 mode tunnel \
		aead "$aead" "${key[0]}" 128 ext format eesp tx-subspaces 1
	before=$(mib "$g2" XfrmInNoStates)
	printf '{"spi": "0x100", "key": "%s", "aead": "%s", "icv": "128", "src": "%s", "dst": "%s"}' \
		"$key1" "$aead" "$o1" "$o2" >"$tmp/vti.sa"
	echo 'valid 0 1' | ip netns exec "$g1" "$here/eesp.py" send "$tmp/vti.sa" 4
	wait_for 10 no_states_are $((before + 1))
	counted vti '0 0 0 0'
	expect "packets of the SA" "$(stat "$g2" 0x100 rx-packets) $(drops "$g2" 0x100)" '0 none'
}

no_states_are() {
	[[ $(mib "$g2" XfrmInNoStates) == "$1" ]]
}

# Functions with their words, and the paths that make a difference. Devices come last: their
# routes stay. What comes through them is received on the kernel's own path.
tests=(
	'same_spi transport: on off' 'same_spi tunnel: on off'
	'output_marks transport 6 6: on off' 'output_marks beet 6 4: on off'
	'output_marks tunnel 4 6: on off'
	'selectors transport 4: on off' 'selectors tunnel 6: on off'
	'policy_checks transport 6 6: on off' 'policy_checks beet 4 6: on off'
	'socket_policies 4: on off' 'socket_policies 6: on off'
	'xfrm_interface tunnel 4 4: on' 'xfrm_interface tunnel 6 6: off'
	'xfrm_interface beet 4 6: off' 'xfrm_interface beet 6 4: on'
	'xfrm_interface transport 4 4: on' 'xfrm_interface transport 6 6: off'
	'other_interfaces tunnel 4 4: off' 'other_interfaces beet 6 4: on'
	'in_eesp xfrm_interface tunnel 4 4: on' 'in_eesp xfrm_interface beet 4 6: off'
	'in_eesp xfrm_interface transport 6 6: on' 'in_eesp other_interfaces tunnel 4 4: off'
	'through_vti vti 4 4 mark: on' 'through_vti vti 6 4 any: off'
	'through_vti vti6 4 6 any: on' 'through_vti vti6 6 6 mark: off'
	'in_eesp through_vti vti 4 4 mark: on' 'in_eesp through_vti vti 6 4 any: off'
	'in_eesp through_vti vti6 4 6 any: on' 'in_eesp through_vti vti6 6 6 mark: on'
	'in_eesp vti_in_udp vti 4 4: on' 'in_eesp vti_pmtu: on' 'not_in_vti: on'
)

modprobe -a xfrm_ext xfrm_interface ip_vti ip6_vti
hosts
# An interfaces.py that stays, with sockets on both hosts
mkfifo "$tmp/helper.in" "$tmp/helper.out"
"$here/interfaces.py" "$g1" "$g2" <"$tmp/helper.in" >"$tmp/helper.out" &
exec {helper_in}>"$tmp/helper.in" {helper_out}<"$tmp/helper.out"
traffic_open "$g1"
for address in 10.2.0.1 fd02::1 10.0.0.2 fd00::2; do
	ip netns exec "$g2" "$here/traffic.py" serve "$address" 7 &
	wait_for 20 traffic udp "$address" 7 1
done

turn=0
for test in "${tests[@]}"; do
	name=${test%: *}
	read -r -a words <<<"$name"
	read -r -a paths <<<"${test#*: }"
	# One of two, in turn
	[[ $whole || ${#paths[@]} == 1 ]] || paths=("${paths[turn++ % 2]}")
	for path in "${paths[@]}"; do
		run "${name//_/ }, fastpath $path" "${words[@]}" "$path"
	done
done
fastpath on
flush
finish
