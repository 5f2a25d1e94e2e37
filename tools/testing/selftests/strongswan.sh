#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 3000
# kernels: 7.3-uml
# needs: strongswan
#
# SAs of strongSwan's (as Debian has it: scripts/strongswan.sh), made extended ones by rules: one
# daemon at each end, which know nothing of it. What they negotiate, and what happens to SAs while
# there is traffic: rekeying from either end, a new IKE SA, reauthentication, another address
# (MOBIKE), a daemon that dies. The same with stock SAs first, which tells what is to be
# expected. Prints a table.
#
#   --env REKEYS=N   so many times is an SA made anew in the scenario "often", default 100
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-ike.sh"
. "$(dirname "$0")/lib-strongswan.sh"

# --- daemons ------------------------------------------------------------------

# Connections are alike, and have a child of their name, but for these words
own_words() { # connection
	case $1 in
	window) echo 'child replay_window = 4096' ;;
	esn) echo 'child esp_proposals = aes128gcm16-esn' ;;
	chacha) echo 'child esp_proposals = chacha20poly1305' ;;
	cbc) echo 'child esp_proposals = aes128-sha256' ;;
	cbc-esn) echo 'child esp_proposals = aes128-sha256-esn' ;;
	transport) echo 'child mode = transport' ;;
	beet) echo 'child mode = beet' ;;
	natt) echo 'ike encap = yes' ;;
	natt-transport)
		echo 'ike encap = yes'
		echo 'child mode = transport'
		;;
	interface)
		echo 'child if_id_in = 7'
		echo 'child if_id_out = 7'
		;;
	dpd) echo 'ike dpd_delay = 1s' ;;
	esac
}

sign() { # connection
	case $1 in
	window) echo '\<4096\>' ;;
	*esn | *esn-*) echo '\<esn\>' ;;
	chacha) echo 'aead rfc7539esp\(chacha20,poly1305\) ' ;;
	cbc) echo 'enc cbc\(aes\) ' ;;
	*transport) echo 'mode transport' ;;
	beet) echo 'mode beet' ;;
	natt) echo 'encap type espinudp ' ;;
	interface) echo 'if_id 0x7' ;;
	*) echo 'aead rfc4106\(gcm\(aes\)\) .* 128$' ;;
	esac
}

# Traffic selectors, and addresses of the ends
networks() { # connection end
	case $1 in
	transport | natt-transport) echo dynamic ;;
	beet) echo "10.$2.0.1/32" ;;
	interface) echo '0.0.0.0/0, ::/0' ;;
	6in4 | 6in6) echo "fd0$2::/64" ;;
	on-demand) echo "10.1$2.0.0/24" ;;
	*) echo "10.$2.0.0/24" ;;
	esac
}

address() { # connection end
	case $1 in
	4in6 | 6in6) echo "fd00::$2" ;;
	# It may change
	moved) (($2 == 1)) && echo %any || echo 10.0.0.2 ;;
	*) echo "10.0.0.$2" ;;
	esac
}

connections=(
	default window esn chacha cbc cbc-esn transport beet natt natt-transport interface 6in4 4in6 6in6
	rekeyed esn-rekeyed often ike-rekeyed on-demand dpd moved killed
)

connection() { # name end
	local far=$((3 - $2))

	cat <<-EOF
		$1 {
			version = 2
			local_addrs = $(address "$1" "$2")
			remote_addrs = $(address "$1" "$far")
			rekey_time = 0
			$(own_words "$1" | sed -n 's/^ike //p')
			local {
				auth = psk
				id = $1.g$2
			}
			remote {
				auth = psk
				id = $1.g$far
			}
			children {
				$1 {
					local_ts = $(networks "$1" "$2")
					remote_ts = $(networks "$1" "$far")
					rekey_time = 0
					$(own_words "${1/-rekeyed/}" | sed -n 's/^child //p')
				}
			}
		}
	EOF
}

daemons_start() {
	local n

	for n in 1 2; do
		configure "$n"
		daemon "$n"
	done
}

# --- what lib-ike.sh wants --------------------------------------------------------

up() { # connection
	case $1 in
	on-demand)
		control 1 --install --child "$1"
		# A packet asks
		wait_for 20 asked_for
		return
		;;
	# By which path one is answered first is chance
	moved) ip netns exec "$g2" nft -f - <<-EOF ;;
		table ip6 closed {
			chain received {
				type filter hook input priority filter
				udp dport 4500 drop
			}
		}
	EOF
	esac
	control 1 --initiate --child "$1" --timeout $((60 * factor))
}

asked_for() {
	ip netns exec "$g1" ping -q -c 1 -W 1 -I 10.11.0.1 10.12.0.1
}

down() { # connection
	[[ $1 != on-demand ]] || control 1 --uninstall --child "$1"
	ip netns exec "$g2" nft flush ruleset
	control 1 --terminate --ike "$1" --timeout $((60 * factor))
}

hang_up() {
	local name n

	control 1 --uninstall --child on-demand || true
	for name in "${connections[@]}"; do
		control 1 --terminate --ike "$name" --timeout 5 || true
	done
	wait_for 10 no_sas || for n in 1 2; do
		ip -n "$(ns_of "$n")" -batch - <<<$'xfrm state flush\nxfrm policy flush'
	done
}

counted() { # connection end
	control "$2" --list-sas --ike "$1" | awk '
		$1 ~ /^(in|out)$/ {
			for (i = 3; i < NF; i++) n[$(i + 1)] = $i
			printf "%d %d%s", n["packets,"], n["bytes,"], ($1 == "in") ? " " : "\n"
		}'
}

# --- what happens to SAs ----------------------------------------------------------

# The SPIs of a connection's IKE SA
ike_sas() { # connection end
	control "$2" --list-sas --ike "$1" | sed -n "s/^$1: .* \(.*_i\)\*\? \(.*_r\)\*\?$/\1 \2/p"
}

another_ike_sa() { # connection spis
	[[ $(ike_sas "$1" 1) == ????????????????_i\ ????????????????_r && $(ike_sas "$1" 1) != "$2" ]]
}

rekey_ike() { # connection
	local n before ike

	before=$(spis 1)
	for n in 1 2; do
		ike=$(ike_sas "$1" 1)
		control "$n" --rekey --ike "$1"
		wait_for 20 another_ike_sa "$1" "$ike"
		watch more 5
	done
	expect "SPIs" "$(spis 1)" "$before"
}

# Faster than old SAs go: the next ones are made when there are some that were not there before
rekey_often() { # connection
	local n before memory1 memory2

	memory1=$(netns_memory "$g1") memory2=$(netns_memory "$g2")
	for ((n = 0; n < ${REKEYS:-100}; n++)); do
		before=$(spis 1)
		control $((n % 2 + 1)) --rekey --child "$1" >/dev/null
		wait_for 20 new_pair "$before"
		watch more 1
	done
	wait_for 20 one_pair
	expect "memory of end 1" "$(netns_memory "$g1")" "$memory1"
	expect "memory of end 2" "$(netns_memory "$g2")" "$memory2"
}

# Who hears nothing, asks, and hears that the other one lives. Who has been asked has heard
# something
ask() { # connection
	local before asked

	watch pause
	before=$(spis 1) asked=$(requests)
	wait_for 30 asked_more $((asked + 2))
	expect "SPIs" "$(spis 1)" "$before"
}

requests() {
	cat "$tmp/1/log" "$tmp/2/log" | grep -c 'sending DPD request' || true
}

asked_more() { # requests
	(($(requests) >= $1))
}

# What a daemon leaves behind when it is killed, goes on without it. The next one begins anew:
# it takes over the policies, and lets the SAs be. The other end deletes them when it hears of
# that (INITIAL_CONTACT)
kill_one() { # connection
	local before

	before=$(spis 1)
	kill -9 "$(<"$tmp/1/pid")"
	watch more 10
	watch pause
	daemon 1
	expect "SPIs" "$(spis 1)" "$before"
	up "$1"
	ip -n "$g1" xfrm state | orphans "$before" | ip -n "$g1" -batch -
	wait_for 20 another_pair "$before"
}

# All as it comes: the old SAs go before there are new ones. Policies stay, a packet asks
reauthenticate() { # connection
	local before ike

	before=$(spis 1) ike=$(ike_sas "$1" 1)
	watch cut
	control 1 --rekey --ike "$1" --reauth
	wait_for 20 another_pair "$before"
	wait_for 20 another_ike_sa "$1" "$ike"
	watch whole
}

# -------------------------------------------------------------------------------

# Connection, addresses, and what scenario() wants to know
scenarios=(
	'default 10.1.0.1 10.2.0.1 steady 128'
	'window 10.1.0.1 10.2.0.1 steady 128'
	'esn 10.1.0.1 10.2.0.1 steady 128'
	'chacha 10.1.0.1 10.2.0.1 steady 128'
	'cbc 10.1.0.1 10.2.0.1 steady 128'
	'cbc-esn 10.1.0.1 10.2.0.1 steady 128'
	'transport 10.0.0.1 10.0.0.2 steady 108'
	'beet 10.1.0.1 10.2.0.1 steady 108'
	'natt 10.1.0.1 10.2.0.1 steady 128'
	'natt-transport 10.0.0.1 10.0.0.2 steady 108'
	'interface 10.21.0.1 10.22.0.1 steady 128'
	'6in4 fd01::1 fd02::1 steady 148'
	'4in6 10.1.0.1 10.2.0.1 steady 128'
	'6in6 fd01::1 fd02::1 steady 148'
	'rekeyed 10.1.0.1 10.2.0.1 steady - rekey'
	'esn-rekeyed 10.1.0.1 10.2.0.1 steady - rekey'
	'often 10.1.0.1 10.2.0.1 steady - rekey_often'
	'ike-rekeyed 10.1.0.1 10.2.0.1 steady 128 rekey_ike'
	'on-demand 10.11.0.1 10.12.0.1 cut - reauthenticate'
	'dpd 10.1.0.1 10.2.0.1 steady 128 ask'
	'moved 10.1.0.1 10.2.0.1 cut - move'
	'killed 10.1.0.1 10.2.0.1 cut - kill_one'
)

ike_ends xfrm7
# For on-demand: one end asks when there are no SAs, and the other one must not do without
for n in 1 2; do
	ip -n "$(ns_of $n)" -batch - <<-EOF
		addr add 10.1$n.0.1/24 dev lo
		route add 10.1$((3 - n)).0.0/24 via 10.0.0.$((3 - n)) src 10.1$n.0.1
	EOF
done
ip -n "$g2" xfrm policy add src 10.12.0.0/16 dst 10.11.0.0/16 dir out action block priority 1000000

run "daemons" daemons_start
run_scenarios
run "daemons end" daemons_end
if ((failed)); then
	for n in 1 2; do
		cp "$tmp/$n/log" "/out/strongswan-g$n.log"
	done
fi
finish
