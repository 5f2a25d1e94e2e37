# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2034,SC2154
#
# For scripts that have unmodified IKE daemons make SAs, at the ends that pair_acquainted()
# makes: the same scenario with stock SAs, and with rules that make extended ones of them. To be
# read behind lib.sh.
#
# The script has, for its daemon (a connection's name is that of its child, too):
#
#	up CONNECTION            from end 1; both have SAs when it returns
#	sign CONNECTION          what `ip xfrm state` shows of an SA of this connection, if
#	                         nothing else is: a pattern
#	down CONNECTION          both delete them
#	hang_up                  whatever there is
#	counted CONNECTION END   "packets bytes" in and out, as the daemon tells them, and "*"
#	                         for what it does not

# Variants: what end 1 and end 2 are told, and what their packets must look like (see
# ike.py). They are for all scenarios but where the script says otherwise
declare -A rule1=(
	[stock]='' [one end]='format esp' [other end]='' [esp64]='format esp64 tx-subspaces 4 rx-subspaces 4'
	[front]='format esp64 tx-subspaces 4 rx-subspaces 4 trailer front' [implicit]='format esp iv implicit'
	[or plain]='format esp iv implicit or plain'
)
declare -A rule2=(
	[stock]='' [one end]='' [other end]='format esp' [esp64]=${rule1[esp64]}
	[front]=${rule1[front]} [implicit]=${rule1[implicit]}
	[or plain]=${rule1[or plain]}
)
declare -A look=(
	[stock]='stock stock' [one end]='esp stock' [other end]='stock esp' [esp64]='esp64 esp64 4'
	[front]='esp64 esp64 4' [implicit]='esp-implicit esp-implicit'
	[or plain]='stock stock'
)

# Each end also has an xfrm interface for SAs with if_id 7, to 10.21.0.1 and 10.22.0.1
ike_ends() { # interface
	local n

	modprobe xfrm_ext
	pair_acquainted
	for n in 1 2; do
		ip -n "$(ns_of $n)" -batch - <<-EOF
			addr add 10.2$n.0.1/24 dev lo
			link add $1 type xfrm dev wan if_id 7
			link set $1 up
			route add 10.2$((3 - n)).0.0/24 dev $1 src 10.2$n.0.1
		EOF
	done
	# End 1 may move to 10.0.0.3: it keeps its second address when the first goes, and does
	# not forward what comes for that
	ip netns exec "$g1" sysctl -qw net.ipv4.conf.all.promote_secondaries=1 net.ipv4.ip_forward=0
	ip -n "$g2" neigh add 10.0.0.3 lladdr 02:00:00:00:00:01 dev wan nud permanent
	watch_open
}

# An ike.py that stays
watch_open() {
	mkfifo "$tmp/watch.in" "$tmp/watch.out"
	"$here/ike.py" "$g1" "$g2" <"$tmp/watch.in" >"$tmp/watch.out" &
	exec {watch_in}>"$tmp/watch.in" {watch_out}<"$tmp/watch.out"
	rm "$tmp/watch.in" "$tmp/watch.out"
}

# Sets answer, an array
watch() { # request...
	local line

	echo "$*" >&"$watch_in"
	read -r -t $((60 * factor * patience)) line <&"$watch_out"
	if [[ $line != ok* ]]; then
		echo "$*: $line" >&2
		return 1
	fi
	read -r -a answer <<<"${line#ok}"
}

# What the next SAs shall be
rules() { # variant
	local n words

	for n in 1 2; do
		case $n in
		1) words=${rule1[$1]} ;;
		2) words=${rule2[$1]} ;;
		esac
		ip -n "$(ns_of "$n")" xfrm ext rule flush
		# shellcheck disable=SC2086 # words
		[[ ! $words ]] || ip -n "$(ns_of "$n")" xfrm ext rule add $words
	done
}

# "spi extended" of each of an end's SAs; not of those that only have their SPI yet
# shellcheck disable=SC2016 # awk's
sas() { # 1|2
	ip -n "$(ns_of "$1")" xfrm state | awk '
		function done() { if (spi && keys) print spi, extended; spi = keys = "" }
		$1 == "src" { done() }
		$1 == "proto" { spi = $4; extended = 0 }
		$1 ~ /^(aead|enc)$/ { keys = 1 }
		$1 == "ext" { extended = 1 }
		END { done() }' | sort
}

spis() { # 1|2
	sas "$1" | cut -d ' ' -f 1
}

# Both ends have the same pair
one_pair() {
	[[ $(spis 1 | wc -l) == 2 && $(spis 1) == "$(spis 2)" ]]
}

# For wait_for: the same pair, and it is another one than that
another_pair() { # spis
	one_pair && ! spis 1 | grep -qxF "$1"
}

# For wait_for
no_sas() {
	[[ ! $(ip -n "$g1" xfrm state)$(ip -n "$g2" xfrm state) ]]
}

# A rule must have caught them all, and where there is none, or it could not, nothing else
caught() { # variant
	local n wanted

	for n in 1 2; do
		case $n in
		1) wanted=${rule1[$1]:+1} ;;
		2) wanted=${rule2[$1]:+1} ;;
		esac
		[[ $1 != 'or plain' ]] || wanted=
		expect "SAs of end $n extended" "$(sas "$n" | cut -d ' ' -f 2 | sort -u)" "${wanted:-0}"
	done
}

# What both daemons say of an SA that has been there all the time: every datagram, as long
# as the SA counts it
counts() { # connection octets
	wait_for 20 counts_are "$@" || {
		echo "sent and received: $stream"
		echo "end 1: $(counted "$1" 1)"
		echo "end 2: $(counted "$1" 2)"
		return 1
	} >&2
}

counts_are() {
	local sent1 got2 sent2 got1

	read -r sent1 got2 sent2 got1 _ <<<"$stream"
	# shellcheck disable=SC2053 # they are patterns
	[[ "$got1 $((got1 * $2)) $sent1 $((sent1 * $2))" == $(counted "$1" 1) &&
		"$got2 $((got2 * $2)) $sent2 $((sent2 * $2))" == $(counted "$1" 2) ]]
}

# None gets lost, or hardly any, but while nobody can receive them, with stock SAs neither: how
# many those are is a matter of time
lost() { # connection variant: of $stream
	local sent1 got2 sent2 got1 twice lost

	read -r sent1 got2 sent2 got1 twice lost <<<"$stream"
	echo "# $1 | $2 | sent $((sent1 + sent2)) | lost $((sent1 - got2 + sent2 - got1 - lost))" \
		"while cut, $lost otherwise"
	expect "received twice" "$twice" 0
	if ((lost > 2)); then
		echo "lost $lost" >&2
		return 1
	fi
}

# For `xfrm state delete` in a batch: those that nobody knows any more
# shellcheck disable=SC2016 # awk's
orphans() { # spis
	awk -v spis="$1" '
		$1 == "src" { head = $0 }
		$1 == "proto" && index(spis, $4) { print "xfrm state delete", head, "proto esp spi", $4 }'
}

# For wait_for: both SAs, at both ends, and their policies
moved() { # from to
	local n

	one_pair || return
	for n in 1 2; do
		[[ $(ip -n "$(ns_of "$n")" xfrm state | grep -c "^src .*\<$2\>") == 2 ]] || return
		! ip -n "$(ns_of "$n")" xfrm policy | grep "tmpl src .*\<$1\>" || return
	done
}

# For wait_for: both ends have the same pair, other than those
new_pair() { # spis
	local new

	new=$(spis 1 | grep -vxF "$1")
	[[ $(wc -l <<<"$new") == 2 && $new == "$(spis 2 | grep -vxF "$1")" ]]
}

# What a test has left that failed
clear_away() {
	hang_up
	ip -n "$g1" -batch - <<-EOF
		addr replace 10.0.0.1/24 dev wan
		addr replace 10.0.0.3/24 dev wan
		addr del 10.0.0.3/24 dev wan
	EOF
}

# A stream while something happens to the SAs that it goes through. The datagrams have 100
# octets; the SA counts some more of each, or ("-") only some of them, if it is not the same one all
# the time. Where SAs are cut the function says when datagrams may get lost
scenario() { # connection variant address-1 address-2 steady|cut octets [function]
	local connection=$1 variant=$2 how=$5 octets=$6 stream answer n

	no_sas || clear_away
	rules "$variant"
	watch new
	up "$connection"
	wait_for 20 one_pair
	caught "$variant"
	for n in 1 2; do
		ip -n "$(ns_of "$n")" xfrm state | grep -E "$(sign "$connection")"
	done
	watch stream 100 "$3" "$4"
	watch more 10
	[[ ! ${7-} ]] || "$7" "$connection"
	watch more 10
	watch stop
	stream=${answer[*]}
	wait_for 20 one_pair
	caught "$variant"
	for n in 1 2; do
		[[ $how == cut ]] || expect "drops at end $n" \
			"$(ip -n "$(ns_of "$n")" -s xfrm state | grep -w drops | grep -vw none || true)" ""
	done
	[[ $octets == - ]] || counts "$connection" "$octets"
	down "$connection"
	wait_for 20 no_sas
	# shellcheck disable=SC2086 # words
	watch wire ${look[$variant]}
	lost "$connection" "$variant"
}

# What a rule cannot make of an SA is not there, nor is another one, and the rule says so
refused_by_rule() { # connection
	local n

	no_sas || clear_away
	rules implicit
	# Not every daemon says that it has failed
	up "$1" || true
	expect "SAs" "$(sas 1) $(sas 2)" ' '
	hang_up
	wait_for 20 no_sas
	for n in 1 2; do
		ip -n "$(ns_of "$n")" xfrm ext rule list
	done | awk '$1 == "hits" { hits += $2; refused += $4 } END { exit hits || !refused }'
}

# All of them, or those that ONLY and VARIANTS name, and stock SAs in any case: the script's scenarios, each a line of what
# scenario() wants to know but for the variant
run_scenarios() {
	local variant line name words

	for variant in stock 'one end' 'other end' esp64 front implicit 'or plain'; do
		[[ ! ${VARIANTS-} || " stock $VARIANTS " == *" $variant "* ]] || continue
		for line in "${scenarios[@]}"; do
			read -r name words <<<"$line"
			[[ " ${ONLY:-$name} " == *" $name "* ]] || continue
			# Long enough once
			[[ $name != often || $variant == esp64 ]] || continue
			# There is no nonce to take the number for
			[[ $variant != implicit || $name != cbc* ]] || continue
			[[ $variant != 'or plain' || $name == cbc* ]] || continue
			# shellcheck disable=SC2086 # words
			run "$name, $variant" scenario "$name" "$variant" $words
		done
	done
	[[ " ${ONLY:-cbc} " != *" cbc "* ]] || run "cbc, refused" refused_by_rule cbc
}
