#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 1800
# kernels: 7.3-uml
# needs: strongswan strongswan-plugin
#
# Extended SAs that strongSwan daemons negotiate with the plugin of tools/strongswan: what
# comes of what is configured at the two ends, what stays stock or must not be, rekeying from
# either end and from both at once. There are no rules here.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-ike.sh"
. "$(dirname "$0")/lib-strongswan.sh"

# --- daemons ------------------------------------------------------------------

# Connections are alike, and have a child of their name, but for these words: of the plugin at
# either end, or of swanctl.conf
own_words() { # connection
	case $1 in
	different) echo 'plugin2 subspaces = 8' ;;
	front) echo 'plugin trailer = front' ;;
	omit) echo 'plugin trailer = omit' ;;
	omit-transport)
		echo 'plugin trailer = omit'
		echo 'child mode = transport'
		;;
	implicit) echo 'plugin iv = implicit' ;;
	both)
		echo 'plugin trailer = front'
		echo 'plugin iv = implicit'
		;;
	one-wants)
		echo 'plugin1 trailer = front'
		echo 'plugin1 iv = implicit'
		;;
	other-wants)
		echo 'plugin2 trailer = front'
		echo 'plugin2 iv = implicit'
		;;
	cbc)
		echo 'plugin iv = implicit'
		echo 'child esp_proposals = aes128-sha256'
		;;
	esn)
		echo 'child esp_proposals = aes128gcm16-esn'
		echo 'child replay_window = 4096'
		;;
	pfs)
		# The first is refused, and asked for again with the other group
		echo 'child1 esp_proposals = aes128gcm16-x25519-ecp256'
		echo 'child2 esp_proposals = aes128gcm16-ecp256'
		;;
	off) echo 'plugin2 subspaces = 0' ;;
	off-here) echo 'plugin1 subspaces = 0' ;;
	required) echo 'plugin require = yes' ;;
	required-in-vain)
		echo 'plugin1 require = yes'
		echo 'plugin2 subspaces = 0'
		;;
	required-there)
		echo 'plugin1 subspaces = 0'
		echo 'plugin2 require = yes'
		;;
	v1) echo 'ike version = 1' ;;
	v1-required)
		echo 'ike version = 1'
		echo 'plugin require = yes'
		;;
	several-2) echo 'plugin subspaces = 2' ;;
	several-3) echo 'plugin2 subspaces = 0' ;;
	window)
		# The module has none such
		echo 'plugin2 window = 1000'
		;;
	esac
}

# What an end reads of these
words_for() { # connection what end
	own_words "$1" | sed -n "s/^$2$3\? //p"
}

connections=(
	default different front omit omit-transport implicit both one-wants other-wants cbc esn pfs off off-here
	required required-in-vain required-there v1 v1-required window rekeyed collision ike-rekeyed several moved
)

networks() { # connection end
	case $1 in
	omit-transport) echo dynamic ;;
	several-2) echo "10.1$2.0.0/24" ;;
	several-3) echo "10.2$2.0.0/24" ;;
	*) echo "10.$2.0.0/24" ;;
	esac
}

address() { # connection end
	# It may change
	[[ $1$2 == moved1 ]] && echo %any || echo "10.0.0.$2"
}

connection() { # name end
	local far=$((3 - $2))

	cat <<-END
		$1 {
			version = 2
			local_addrs = $(address "$1" "$2")
			remote_addrs = $(address "$1" "$far")
			rekey_time = 0
			$(words_for "$1" ike "$2")
			local {
				auth = psk
				id = $1.g$2
			}
			remote {
				auth = psk
				id = $1.g$far
			}
			children {
	END
	child "$1" "$2"
	if [[ $1 == several ]]; then
		child several-2 "$2"
		child several-3 "$2"
	fi
	printf '}\n}\n'
}

child() { # name end
	cat <<-END
		$1 {
			local_ts = $(networks "$1" "$2")
			remote_ts = $(networks "$1" $((3 - $2)))
			rekey_time = 0
			esp_proposals = aes128gcm16
			$(words_for "$1" child "$2")
		}
	END
}

plugin_section() { # end
	local name

	printf 'xfrm-ext {\nsubspaces = 4\nchildren {\n'
	for name in "${connections[@]}" several-2 several-3; do
		printf '%s {\n%s\n}\n' "$name" "$(words_for "$name" plugin "$1")"
	done
	printf '}\n}\n'
}

daemons() { # plugin-1 plugin-2
	local n

	configure 1 "$1"
	configure 2 "$2"
	for n in 1 2; do
		daemon "$n"
	done
	[[ ! $1 ]] || control 1 --stats | grep -w xfrm-ext
}

# What the daemon of an end has logged of a child since the test began
log_of() { # end
	tail -n "+$((logged[$1] + 1))" "$tmp/$1/log"
}

logs_begin() {
	local n

	for n in 1 2; do
		logged[n]=$(wc -l <"$tmp/$n/log")
	done
}

said() { # end pattern
	log_of "$1" | grep -E "CHILD_SA \{[0-9]+\} $2" || {
		log_of "$1"
		echo "end $1 has not said: $2"
		return 1
	} >&2
}

# --- what lib-ike.sh wants --------------------------------------------------------

# There are none; what is said there, is what must have become extended SAs
rules() {
	:
}

rule1=([stock]='' [extended]=1 [implicit]=1)
rule2=([stock]='' [extended]=1 [implicit]=1)
look=([stock]='stock stock' [extended]='esp64 esp64 4' [implicit]='esp64-implicit esp64-implicit 4')

# What is not as it is by default
sign() { # connection
	case $1 in
	front) echo '^\sext format esp64 .*\<trailer front\>' ;;
	omit) echo '^\sext format esp64 .*\<trailer omit\>' ;;
	implicit) echo '^\sext format esp64 .*\<iv implicit\>' ;;
	both) echo '^\sext format esp64 .*\<trailer front\>.*\<iv implicit\>' ;;
	esn) echo '\<esn\>' ;;
	cbc) echo 'enc cbc\(aes\) ' ;;
	omit-transport) echo 'mode transport' ;;
	*) echo 'aead rfc4106\(gcm\(aes\)\) .* 128$' ;;
	esac
}

up() { # connection
	control 1 --initiate --child "$1" --timeout $((60 * factor))
}

down() { # connection
	control 1 --terminate --ike "$1" --timeout $((60 * factor))
}

hang_up() {
	local name

	for name in "${connections[@]}"; do
		control 1 --terminate --ike "$name" --timeout 5 || true
	done
	wait_for 10 no_sas
}

# --- tests --------------------------------------------------------------------

# What the SAs of both ends shall be, and traffic through them
comes_to() { # connection variant said-1 said-2 [function]
	local addresses='10.1.0.1 10.2.0.1'

	logs_begin
	[[ $1 != *transport ]] || addresses='10.0.0.1 10.0.0.2'
	# shellcheck disable=SC2086 # words
	scenario "$1" "$2" $addresses steady - ${5-}
	said 1 "$3"
	said 2 "$4"
	# Whatever came after has come to the same
	expect "other results" "$(log_of 1 | grep -cE 'CHILD_SA \{[0-9]+\} (stock|refused|extended)')" \
		"$(log_of 1 | grep -cE "CHILD_SA \{[0-9]+\} $3")"
}

# Both are told, and nothing is left in either kernel
fails() { # connection said-1 said-2
	no_sas || hang_up
	logs_begin
	if up "$1"; then
		echo "it is up" >&2
		return 1
	fi
	[[ ! $2 ]] || said 1 "$2"
	[[ ! $3 ]] || said 2 "$3"
	# Of IKEv1 there are SPIs for some time, as always when it has failed
	[[ $1 != v1-* ]] || drop_spis
	wait_for 20 no_sas
	hang_up
}

drop_spis() {
	local n

	wait_for 20 no_keys
	for n in 1 2; do
		ip -n "$(ns_of "$n")" xfrm state flush
	done
}

no_keys() {
	[[ ! $(sas 1)$(sas 2) ]]
}

# Both ask at once: four SAs come, and two of them go
rekey_both() { # connection
	local before

	for _ in 1 2 3; do
		before=$(spis 1)
		control 1 --rekey --child "$1" &
		control 2 --rekey --child "$1"
		wait $!
		wait_for 20 another_pair "$before"
		caught "$variant"
		watch more 5
	done
}

rekey_ike_then_child() { # connection
	local before

	before=$(spis 1)
	control 1 --rekey --ike "$1"
	sleep 1
	watch more 5
	expect "SPIs" "$(spis 1)" "$before"
	rekey "$1"
}

# Each child of an IKE SA has a result of its own, at the next rekeying, too
several() {
	local n

	no_sas || hang_up
	logs_begin
	up several
	up several-2
	up several-3
	for n in 1 2; do
		wait_for 20 has_each "$n"
		said 1 'extended: esp64, 4 subspaces out, 4 in'
		said 1 'extended: esp64, 2 subspaces out, 2 in'
		said 1 'stock: peer does not know'
	done
	control 1 --rekey --ike several
	for n in 1 2; do
		control "$n" --rekey --child several
		control "$n" --rekey --child several-2
		control "$n" --rekey --child several-3
	done
	# Those before are there for one second more
	wait_for 20 have_each
	control 1 --terminate --ike several
	wait_for 20 no_sas
}

have_each() {
	has_each 1 && has_each 2 && [[ $(log_of 1 | grep -c 'CHILD_SA {[0-9]*} extended') == 6 ]]
}

# Two SAs of each kind, of those that there are
has_each() { # end
	local all

	all=$(ip -n "$(ns_of "$1")" xfrm state)
	[[ $(grep -c '^src' <<<"$all") == 6 && $(grep -cE '^\sext .*[tr]x-subspaces 4\>' <<<"$all") == 2 &&
		$(grep -cE '^\sext .*[tr]x-subspaces 2\>' <<<"$all") == 2 ]]
}

# Without module it is as without plugin
without_module() {
	rmmod xfrm_ext
	mkdir -p /etc/modprobe.d
	echo 'blacklist xfrm_ext' >/etc/modprobe.d/negotiated.conf
	logs_begin
	scenario default stock 10.1.0.1 10.2.0.1 steady -
	said 1 'stock: no kernel module xfrm_ext'
	said 2 'stock: no kernel module xfrm_ext'
	fails required '' 'refused.*: no kernel module'
}

ike_ends xfrm7
# Who moves asks by no other path
for n in 1 2; do
	ip -n "$(ns_of $n)" addr del fd00::$n/64 dev wan
done
logged=(0 0 0)

run "a daemon without plugin as responder" daemons xfrm-ext ''
run "declined" scenario default stock 10.1.0.1 10.2.0.1 steady -
run "declined, rekeyed" scenario rekeyed stock 10.1.0.1 10.2.0.1 steady - rekey
run "declined, to another address" scenario moved stock 10.1.0.1 10.2.0.1 cut - move
run "required in vain" fails required 'refused.*: peer does not know' ''
run "daemons end" daemons_end

all='extended: esp64, 4 subspaces out, 4 in, window 1024'
run "daemons" daemons xfrm-ext xfrm-ext
run "default" comes_to default extended "$all, trailer end, IV explicit" "$all, trailer end, IV explicit"
run "different numbers of subspaces" comes_to different extended \
	'extended: esp64, 4 subspaces out, 4 in' 'extended: esp64, 4 subspaces out, 8 in'
run "trailer front" comes_to front extended "$all, trailer front, IV explicit" "$all, trailer front, IV explicit"
run "no trailer" comes_to omit extended "$all, trailer omit, IV explicit" "$all, trailer omit, IV explicit"
run "no trailer in transport mode" comes_to omit-transport extended \
	"$all, trailer end, IV explicit" "$all, trailer end, IV explicit"
run "implicit IV" comes_to implicit implicit "$all, trailer end, IV implicit" "$all, trailer end, IV implicit"
run "trailer front, implicit IV" comes_to both implicit \
	"$all, trailer front, IV implicit" "$all, trailer front, IV implicit"
run "what only the initiator wants" comes_to one-wants extended \
	"$all, trailer end, IV explicit" "$all, trailer end, IV explicit"
run "what only the responder wants" comes_to other-wants extended \
	"$all, trailer end, IV explicit" "$all, trailer end, IV explicit"
run "implicit IV, and no nonce" comes_to cbc extended \
	"$all, trailer end, IV explicit" "$all, trailer end, IV explicit"
run "ESN, replay window of 4096" comes_to esn extended "$all, trailer end" "$all, trailer end"
run "another group is asked for" comes_to pfs extended "$all, trailer end" "$all, trailer end" rekey
run "required, negotiated" comes_to required extended "$all" "$all"
run "rekeyed from both ends" comes_to rekeyed extended "$all" "$all" rekey
run "rekeyed by both at once" comes_to collision extended "$all" "$all" rekey_both
run "a new IKE SA, then rekeyed" comes_to ike-rekeyed extended "$all" "$all" rekey_ike_then_child
run "to another address" scenario moved extended 10.1.0.1 10.2.0.1 cut - move
run "off at the responder" comes_to off stock 'stock: peer does not know' 'stock: not configured'
run "off at the initiator" comes_to off-here stock 'stock: not configured' 'stock: not configured|stock: peer does not know'
run "required, off at the responder" fails required-in-vain 'refused.*: peer does not know' 'stock: not configured'
run "required by the responder" fails required-there '' 'refused.*: peer does not know'
run "a window that cannot be" fails window '' "extended"
run "several children" several
# Debian's 6.1.0 has none
if grep -q aggressive_mode /usr/lib/ipsec/libcharon.so.0; then
	run "IKEv1" comes_to v1 stock 'stock: not negotiated' 'stock: not negotiated'
	run "IKEv1, required" fails v1-required 'refused.*: not negotiated' ''
fi
run "daemons end" daemons_end

run "a daemon without plugin as initiator" daemons '' xfrm-ext
run "not offered" scenario default stock 10.1.0.1 10.2.0.1 steady -
run "not offered, required" fails required '' 'refused.*: peer does not know'
run "daemons end" daemons_end

run "daemons" daemons xfrm-ext xfrm-ext
run "without kernel module" without_module
rm -f /etc/modprobe.d/negotiated.conf
modprobe xfrm_ext
run "daemons end" daemons_end

if ((failed)); then
	for n in 1 2; do
		cp "$tmp/$n/log" "/out/negotiated-g$n.log"
		cp "$tmp/$n/output" "/out/negotiated-g$n.output"
	done
fi
finish
