#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 3000
# kernels: 7.3-uml
# needs: libreswan
#
# The same as strongswan.sh with another daemon: libreswan (4.10, as Debian 12 has it), whose
# SAs have ESN and windows of 128 if nobody wants anything else.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-ike.sh"

# --- daemons ------------------------------------------------------------------

# Connections are alike, but for these words
own_words() { # connection
	case $1 in
	gcm) printf '%s\n' esp=aes_gcm128 esn=no ;;
	window) printf '%s\n' replay-window=2000 esn=no ;;
	chacha) echo esp=chacha20_poly1305 ;;
	cbc) printf '%s\n' esp=aes128-sha2_256 esn=no ;;
	cbc-esn) echo esp=aes128-sha2_256 ;;
	natt) echo encapsulation=yes ;;
	natt-transport) printf '%s\n' encapsulation=yes type=transport ;;
	transport) echo type=transport ;;
	interface) echo ipsec-interface=7 ;;
	moved) echo mobike=yes ;;
	killed) echo initial-contact=yes ;;
	esac
}

sign() { # connection
	case $1 in
	window) echo '\<2000\>' ;;
	chacha) echo 'aead rfc7539esp\(chacha20,poly1305\) ' ;;
	cbc) echo 'enc cbc\(aes\) ' ;;
	gcm) echo 'aead rfc4106\(gcm\(aes\)\) 0x.{40} 128$' ;;
	*transport) echo 'mode transport' ;;
	natt) echo 'encap type espinudp ' ;;
	interface) echo 'if_id 0x7' ;;
	*) echo '\<esn\>' ;;
	esac
}

network() { # connection end
	case $1 in
	interface) echo "10.2$2.0.0/24" ;;
	6in4 | 6in6) echo "fd0$2::/64" ;;
	*) echo "10.$2.0.0/24" ;;
	esac
}

address() { # connection end whose
	case $1 in
	4in6 | 6in6) echo "fd00::$3" ;;
	# It may change, and the other end must not mind
	moved) (($2 == 2 && $3 == 1)) && echo %any || echo "10.0.0.$3" ;;
	*) echo "10.0.0.$3" ;;
	esac
}

connections=(
	default gcm window chacha cbc cbc-esn transport natt natt-transport interface 6in4 4in6 6in6
	rekeyed gcm-rekeyed ike-rekeyed moved killed
)

# Both ends have the same: left is g1
connection() { # name end
	local n side

	echo "conn $1"
	for n in 1 2; do
		case $n in
		1) side=left ;;
		2) side=right ;;
		esac
		printf '\t%s\n' "$side=$(address "$1" "$2" "$n")" "${side}id=@$1.g$n"
		[[ $1 == *transport ]] || printf '\t%s\n' "${side}subnet=$(network "$1" "$n")"
	done
	printf '\t%s\n' authby=secret
	own_words "${1/-rekeyed/}" | sed 's/^/\t/'
}

configure() { # end
	local dir=$tmp/$1 name

	mkdir -p "$dir/nss"
	certutil -N -d "sql:$dir/nss" --empty-password
	{
		echo "config setup"
		printf '\t%s\n' "logfile=$dir/log" "nssdir=$dir/nss" "secretsfile=$dir/secrets" \
			dnssec-enable=no
		for name in "${connections[@]}"; do
			connection "$name" "$1"
		done
	} >"$dir/ipsec.conf"
	echo ": PSK 0x$(printf '%02x' {1..32})" >"$dir/secrets"
}

whack() { # end word...
	/usr/libexec/ipsec/whack --rundir "$tmp/$1" "${@:2}"
}

daemon() { # end
	ip netns exec "$(ns_of "$1")" env "IPSEC_CONF=$tmp/$1/ipsec.conf" \
		/usr/libexec/ipsec/pluto --nofork --config "$tmp/$1/ipsec.conf" --rundir "$tmp/$1" \
		>>"$tmp/$1/output" 2>&1 &
	echo $! >"$tmp/$1/own-pid"
	# It stays when the test ends that has started it
	disown
	wait_for 20 whack "$1" --status
}

daemons_start() {
	local n

	for n in 1 2; do
		configure "$n"
		daemon "$n"
	done
}

daemons_end() {
	local n

	for n in 1 2; do
		whack "$n" --shutdown
	done
	wait_for 30 daemons_gone
}

daemons_gone() {
	! kill -0 "$(<"$tmp/1/own-pid")" 2>/dev/null && ! kill -0 "$(<"$tmp/2/own-pid")" 2>/dev/null
}

# --- what lib-ike.sh wants --------------------------------------------------------

# One that has been up once keeps its policies, in the way of others with the same addresses: a
# daemon has one at a time
add() { # connection end
	/usr/libexec/ipsec/addconn --config "$tmp/$2/ipsec.conf" --ctlsocket "$tmp/$2/pluto.ctl" "$1"
}

up() { # connection
	add "$1" 1
	add "$1" 2
	whack 1 --initiate --name "$1"
}

down() { # connection
	local n

	whack 1 --terminate --name "$1"
	wait_for 20 no_sas
	for n in 1 2; do
		whack "$n" --delete --name "$1"
	done
}

hang_up() {
	local name n

	for name in "${connections[@]}"; do
		for n in 1 2; do
			whack "$n" --delete --name "$name" || true
		done
	done
	wait_for 10 no_sas || for n in 1 2; do
		ip -n "$(ns_of "$n")" -batch - <<<$'xfrm state flush\nxfrm policy flush'
	done
}

# It does not tell packets
counted() { # connection end
	whack "$2" --trafficstatus |
		sed -n "s/.*\"$1\".*, inBytes=\([0-9]*\), outBytes=\([0-9]*\),.*/* \1 * \2/p"
}

# --- what happens to SAs ----------------------------------------------------------

# Each end asks once. Who is asked sends by the new SA at once, perhaps before the other end can
# receive by it
rekey() { # connection
	local n before

	for n in 1 2; do
		before=$(spis 1)
		watch cut
		whack "$n" --rekey-ipsec --name "$1"
		wait_for 20 another_pair "$before"
		watch whole
		watch more 5
	done
}

# The numbers that end 1 has given them
ike_sas() { # connection
	whack 1 --showstates | sed -n "s/^000 #\([0-9]*\): \"$1\":.* STATE_V2_ESTABLISHED_IKE_SA .*/\1/p"
}

another_ike_sa() { # connection number
	[[ $(ike_sas "$1") =~ ^[0-9]+$ && $(ike_sas "$1") != "$2" ]]
}

rekey_ike() { # connection
	local n before ike

	before=$(spis 1)
	for n in 1 2; do
		ike=$(ike_sas "$1")
		whack "$n" --rekey-ike --name "$1"
		wait_for 20 another_ike_sa "$1" "$ike"
		watch more 5
	done
	expect "SPIs" "$(spis 1)" "$before"
}

# To another address, and back
move() { # connection
	local before

	before=$(spis 1)
	move_to 10.0.0.1 10.0.0.3
	move_to 10.0.0.3 10.0.0.1
	expect "SPIs" "$(spis 1)" "$before"
}

move_to() { # from to
	ip -n "$g1" addr add "$2/24" dev wan
	watch cut
	ip -n "$g1" addr del "$1/24" dev wan
	wait_for 20 moved "$@"
	watch whole
	watch more 5
}

# What a daemon leaves behind when it is killed, goes on without it. The next one begins anew:
# it replaces the policies, and lets the SAs be. The other end deletes them when it hears of that
kill_one() { # connection
	local before

	before=$(spis 1)
	kill -9 "$(<"$tmp/1/own-pid")"
	watch more 10
	watch pause
	daemon 1
	expect "SPIs" "$(spis 1)" "$before"
	add "$1" 1
	whack 1 --initiate --name "$1"
	ip -n "$g1" xfrm state | orphans "$before" | ip -n "$g1" -batch -
	wait_for 20 another_pair "$before"
}

# -------------------------------------------------------------------------------

# Connection, addresses, and what scenario() wants to know
scenarios=(
	'default 10.1.0.1 10.2.0.1 steady 128'
	'gcm 10.1.0.1 10.2.0.1 steady 128'
	'window 10.1.0.1 10.2.0.1 steady 128'
	'chacha 10.1.0.1 10.2.0.1 steady 128'
	'cbc 10.1.0.1 10.2.0.1 steady 128'
	'cbc-esn 10.1.0.1 10.2.0.1 steady 128'
	'transport 10.0.0.1 10.0.0.2 steady 108'
	'natt 10.1.0.1 10.2.0.1 steady 128'
	'natt-transport 10.0.0.1 10.0.0.2 steady 108'
	'interface 10.21.0.1 10.22.0.1 steady 128'
	'6in4 fd01::1 fd02::1 steady 148'
	'4in6 10.1.0.1 10.2.0.1 steady 128'
	'6in6 fd01::1 fd02::1 steady 148'
	'rekeyed 10.1.0.1 10.2.0.1 cut - rekey'
	'gcm-rekeyed 10.1.0.1 10.2.0.1 cut - rekey'
	'ike-rekeyed 10.1.0.1 10.2.0.1 steady 128 rekey_ike'
	'moved 10.1.0.1 10.2.0.1 cut - move'
	'killed 10.1.0.1 10.2.0.1 cut - kill_one'
)

ike_ends ipsec7
# How it finds its new address
ip -n "$g1" route add default via 10.0.0.2
run "daemons" daemons_start
run_scenarios
run "daemons end" daemons_end
if ((failed)); then
	for n in 1 2; do
		cp "$tmp/$n/log" "/out/libreswan-g$n.log"
	done
fi
finish
