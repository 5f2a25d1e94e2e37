#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# kernels: 7.3-uml
# needs: strongswan
#
# Format esp with strongSwan's ESP in userspace as peer: libipsec, which shares no code
# with any kernel. Two of its IKE daemons, as Debian has them, agree on SAs: that of g2
# keeps its own in libipsec (behind the tun device ipsec0), that of g1 gives its own to
# the kernel. It has not heard of extended SAs: both are taken over from it, as extended
# SAs with the same keys and SPIs, before the first packet. Prints a table.
#
# What libipsec (5.9.8) does: tunnel mode, in UDP only, with a window of 128, and all
# algorithms that some plugin of the daemon's has. What it does not, and refuses or has no
# word for: ESN, GMAC, transport mode and BEET, ESP without UDP, and all that is not RFC
# 4303. The first two are asked for here and must be refused, for as long as there is
# nothing to test.
. "$(dirname "$0")/lib.sh"

# As IKE calls it; and as the kernel must show the SA: aead NAME OCTETS-OF-KEY
# BITS-OF-ICV, or enc NAME OCTETS auth-trunc NAME OCTETS BITS
proposals=(
	'aes128gcm16 aead rfc4106(gcm(aes)) 20 128'
	'aes128-sha256 enc cbc(aes) 16 auth-trunc hmac(sha256) 32 128'
	'aes256gcm12 aead rfc4106(gcm(aes)) 36 96'
	'chacha20poly1305 aead rfc7539esp(chacha20,poly1305) 36 128'
	'aes192gcm8 aead rfc4106(gcm(aes)) 28 64'
	'aes128ccm16 aead rfc4309(ccm(aes)) 19 128'
	'aes256ccm8 aead rfc4309(ccm(aes)) 35 64'
	'aes128-sha1 enc cbc(aes) 16 auth-trunc hmac(sha1) 20 96'
	'aes256-sha384 enc cbc(aes) 32 auth-trunc hmac(sha384) 48 192'
	'aes256-sha512 enc cbc(aes) 32 auth-trunc hmac(sha512) 64 256'
	'aes192-aesxcbc enc cbc(aes) 24 auth-trunc xcbc(aes) 16 96'
	'aes128-aescmac enc cbc(aes) 16 auth-trunc cmac(aes) 16 96'
	'aes128ctr-sha256 enc rfc3686(ctr(aes)) 20 auth-trunc hmac(sha256) 32 128'
	'null-sha256 enc ecb(cipher_null) 0 auth-trunc hmac(sha256) 32 128'
)
# What libipsec must refuse, and what it says
refusals=(
	'aes128gcm16-esn ESN not supported'
	'chacha20poly1305-esn ESN not supported'
	'aes128-sha256-esn ESN not supported'
	'aes128gmac unsupported AEAD algorithm'
)
octets=$((30000 / factor))

# --- daemons ------------------------------------------------------------------

names() {
	printf '%s\n' "${proposals[@]}" "${refusals[@]}" | sed 's/ .*//'
}

# Every proposal is a child that this end can ask for; "any" is what it grants, the first
# whose traffic matches
children() { # 1|2
	local name words

	for name in any $(names); do
		words=$name
		[[ $name != any ]] || words=$(names | tr '\n' ,)
		cat <<-EOF
			$name {
				local_ts = 10.$1.0.0/24, fd0$1::/64
				remote_ts = 10.$((3 - $1)).0.0/24, fd0$((3 - $1))::/64
				esp_proposals = ${words%,}
				rekey_time = 0
			}
		EOF
	done
}

connection() { # 4|6 1|2
	local o1 o2

	outer "$1"
	(($2 == 1)) || set -- "$1" "$2" "$o2" "$o1"
	cat <<-EOF
		outer$1 {
			version = 2
			local_addrs = ${3-$o1}
			remote_addrs = ${4-$o2}
			proposals = aes128gcm16-prfsha256-ecp256
			encap = yes
			mobike = no
			rekey_time = 0
			local {
				auth = psk
				id = g$2
			}
			remote {
				auth = psk
				id = g$((3 - $2))
			}
			children {
				$(children "$2")
			}
		}
	EOF
}

configure() { # 1|2
	local dir=$tmp/$1 esp=''

	# What the kernel would do is libipsec's at one end; addresses and routes are the
	# kernel's at both
	(($1 == 1)) || esp=kernel-libipsec
	mkdir -p "$dir"
	cat >"$dir/strongswan.conf" <<-EOF
		charon-systemd {
			dos_protection = no
			load = random nonce openssl kdf xcbc cmac $esp kernel-netlink socket-default vici
			filelog {
				all {
					path = $dir/log
					flush_line = yes
					default = 1
				}
			}
			journal {
				default = -1
			}
			plugins {
				vici {
					socket = unix://$dir/vici
				}
			}
		}
		swanctl {
			load = random openssl
		}
	EOF
	cat >"$dir/swanctl.conf" <<-EOF
		connections {
			$(connection 4 "$1")
			$(connection 6 "$1")
		}
		secrets {
			ike-both {
				id-1 = g1
				id-2 = g2
				secret = 0x$(printf '%02x' {1..32})
			}
		}
	EOF
}

control() { # 1|2 word...
	STRONGSWAN_CONF=$tmp/$1/strongswan.conf SWANCTL_DIR=$tmp/$1 \
		swanctl "${@:2}" --uri "unix://$tmp/$1/vici"
}

daemon() { # 1|2
	configure "$1"
	ip netns exec "$(ns_of "$1")" env "STRONGSWAN_CONF=$tmp/$1/strongswan.conf" \
		charon-systemd >"$tmp/$1/output" 2>&1 &
	daemons+=($!)
}

daemons_are_ready() {
	local n

	for n in 1 2; do
		wait_for 60 control "$n" --stats
		control "$n" --load-all
	done
	# Each has what it should do ESP with
	ip -n "$g2" link show dev ipsec0
	! ip -n "$g1" link show dev ipsec0
}

# --- SAs ----------------------------------------------------------------------

spis() { # source-address: of SAs in g1's kernel
	ip -n "$g1" xfrm state | awk -v from="$1" '
		$1 == "src" { src = $2 }
		$1 == "proto" && src == from { print $4 }'
}

# Also what a test that failed has left
hang_up() {
	local outer

	for outer in 4 6; do
		control 1 --terminate --ike outer$outer || true
	done
}

# Sets spi_out, spi_in: there is one SA each way, and nothing else
negotiated() { # 4|6 proposal 1|2
	local o1 o2

	outer "$1"
	[[ ! $(ip -n "$g1" xfrm state) ]] || hang_up
	control "$3" --initiate --ike "outer$1" --child "$2" --timeout $((60 * factor))
	spi_out=$(spis "$o1") spi_in=$(spis "$o2")
	[[ $spi_out == 0x???????? && $spi_in == 0x???????? ]]
}

# The octets of a key in place of the key
# shellcheck disable=SC2016 # awk's
algorithm() { # spi
	block "$g1" "$1" | awk '
		function octets(key) { return (length(key) > 2) ? (length(key) - 2) / 2 : 0 }
		$1 == "aead" { print $1, $2, octets($3), $4 }
		$1 == "enc" { enc = $1 " " $2 " " octets($3) }
		$1 == "auth-trunc" { auth = $1 " " $2 " " octets($3) " " $4 }
		END { if (enc) print enc, auth }'
}

# An SA of the daemon's becomes an extended one with the same name, keys and addresses;
# its numbers go on
take_over() { # spi out|in packets-so-far
	local line head='' flags='' words='' encap='' seq oseq used

	while read -r -a line; do
		case ${line[0]} in
		src) head="src ${line[1]} dst ${line[3]}" ;;
		proto)
			expect "mode" "${line[7]}" tunnel
			used="reqid ${line[5]} mode tunnel"
			;;
		replay-window) flags=${line[*]:2} ;;
		# An empty key is no word
		aead | enc | auth-trunc) words+=" ${line[*]}" ;;
		encap) encap="encap espinudp ${line[4]} ${line[6]} ${line[8]}" ;;
		anti-replay) seq=$((${line[3]%,})) oseq=$((${line[5]%,})) ;;
		esac
	done < <(block "$g1" "$1" | sed 's/ecb(cipher_null)/& ""/')
	case $2 in
	out) expect "packets sent so far" "$oseq" "$3" ;;
	in) expect "packets received so far" "$seq" "$3" ;;
	esac
	[[ $words && $encap ]]
	expect "flags" "$flags" "flag af-unspec"
	{
		echo "xfrm state delete $head proto esp spi $1"
		echo "xfrm state add $head proto esp spi $1 $used $flags $words $encap ext format esp" \
			"$(case $2 in
			out) echo "tx-subspaces 1 tx-start $((oseq + 1))" ;;
			in) echo "rx-subspaces 1 window 1024" ;;
			esac)"
		[[ $2 == out || $seq == 0 ]] ||
			echo "xfrm ext set dst ${head#* dst } spi $1 rx-subspace 0 highest $seq"
	} | ip -n "$g1" -batch -
	block "$g1" "$1" | grep -q 'ext format esp '
}

# What libipsec has counted of the SA with that SPI
libipsec_packets() { # in|out spi
	control 2 --list-sas | awk -v way="$1" -v spi="${2#0x}," '
		$1 == way && $2 == spi { for (i = 3; i < NF; i++) if ($(i + 1) ~ /^packets/) print $i }'
}

# --- traffic ------------------------------------------------------------------

from() { # 1|2 verb address word...
	case $1 in
	1) traffic_in=$in1 traffic_out=$out1 ;;
	2) traffic_in=$in2 traffic_out=$out2 ;;
	esac
	traffic "${@:2}"
}

# One by one: ping waits for the last of several only as long as others took
pings() { # ns times word...
	local i

	for ((i = 0; i < $2; i++)); do
		ip netns exec "$1" ping -q -c 1 -W $((10 * factor)) "${@:3}"
	done
}

# Between what is on lo, from both ends; with fragments, too. One family in one direction
# and the other in the other: each ping is two programs that an emulated machine starts
exchange() {
	local n size far

	for n in 1 2; do
		case $n in
		1) far=10.2.0.1 ;;
		2) far=fd01::1 ;;
		esac
		for size in 0 101 4000; do
			pings "$(ns_of "$n")" 1 -s "$size" "$far"
		done
		from "$n" udp "$far" 7 1 1300
		from "$n" tcp "$far" 7 "$octets"
	done
}

# What libipsec counts includes what has been before the SA was ours
arrived() { # packets-before
	[[ $(($(stat "$g1" "$spi_out" tx-packets) + $1)) == "$(libipsec_packets in "$spi_out")" &&
		$(($(stat "$g1" "$spi_in" rx-packets) + $1)) == "$(libipsec_packets out "$spi_in")" ]]
}

all_arrived() { # packets-before
	wait_for 10 arrived "$1" || {
		echo "sent $(stat "$g1" "$spi_out" tx-packets), to libipsec" \
			"$(libipsec_packets in "$spi_out"); libipsec sent" \
			"$(libipsec_packets out "$spi_in"), to us $(stat "$g1" "$spi_in" rx-packets)"
		return 1
	} >&2
	(($(stat "$g1" "$spi_out" tx-packets) > 20 && $(stat "$g1" "$spi_in" rx-packets) > 20))
}

# What libipsec found wrong: at this level it says nothing else
complaints() {
	grep -F '[ESP]' "$tmp/2/log" || true
}

complaints_of() { # text
	complaints | grep -cF "$1" || true
}

# shellcheck disable=SC2016 # awk's
errors() {
	ip netns exec "$g1" awk '$2 { printf "%s %s ", $1, $2 }' /proc/net/xfrm_stat
}

# What tcpdump saw on the wire between them
on_wire() { # filter
	tcpdump -nn -r "$tmp/pcap" "$1" 2>/dev/null
}

# Of one that has been fragmented behind ESP, tcpdump shows the SPI once. It prints them all:
# its filters do not look behind the headers of IPv6
encapsulated() { # spi
	on_wire '' | grep -cF "UDP-encap: ESP(spi=$1," || true
}

captured() {
	[[ $(encapsulated "$spi_out") == "$(stat "$g1" "$spi_out" tx-packets)" &&
		$(encapsulated "$spi_in") == "$(stat "$g1" "$spi_in" rx-packets)" ]]
}

# What the daemon deletes of itself, it deletes of ours
terminated() { # proposal 1|2
	control "$2" --terminate --child "$1"
	expect "SAs left" "$(ip -n "$g1" xfrm state)$(control 2 --list-sas | grep INSTALLED)" ""
}

# --- tests --------------------------------------------------------------------

speaks() { # 4|6 1|2 path name words...
	local before0 before1 spi_out spi_in

	fastpath "$3"
	before0=$(complaints | wc -l) before1=$(errors)
	negotiated "$1" "$4" "$2"
	expect "algorithm out" "$(algorithm "$spi_out")" "${*:5}"
	expect "algorithm in" "$(algorithm "$spi_in")" "${*:5}"
	take_over "$spi_out" out 0
	take_over "$spi_in" in 0
	exchange
	all_arrived 0
	expect "drops" "$(drops "$g1" "$spi_out") $(drops "$g1" "$spi_in")" "none none"
	expect "errors" "$(errors)" "$before1"
	expect "complaints" "$(complaints | wc -l)" "$before0"
	# tcpdump may not have written them all yet
	wait_for 10 captured || expect "packets on the wire" \
		"$(encapsulated "$spi_out") $(encapsulated "$spi_in")" \
		"$(stat "$g1" "$spi_out" tx-packets) $(stat "$g1" "$spi_in" rx-packets)"
	echo "# libipsec | $4 | over IPv$1 | 32 | sent $(stat "$g1" "$spi_out" tx-packets)," \
		"received $(stat "$g1" "$spi_in" rx-packets)"
	terminated "$4" "$2"
}

# Both have counted already
under_way() { # proposal
	local spi_out spi_in

	negotiated 4 "$1" 1
	pings "$g1" 7 10.2.0.1
	take_over "$spi_out" out 7
	take_over "$spi_in" in 7
	exchange
	all_arrived 7
	expect "drops" "$(drops "$g1" "$spi_out") $(drops "$g1" "$spi_in")" "none none"
	terminated "$1" 1
}

# Every packet twice, by both
replayed() { # proposal
	local spi_out spi_in n before

	negotiated 4 "$1" 1
	take_over "$spi_out" out 0
	take_over "$spi_in" in 0
	before=$(complaints_of 'sequence number verification failed')
	for n in "$g1" "$g2"; do
		ip netns exec "$n" tc qdisc add dev wan root netem duplicate 100%
	done
	pings "$g1" 20 10.2.0.1
	for n in "$g1" "$g2"; do
		ip netns exec "$n" tc qdisc del dev wan root
	done
	wait_for 10 arrived 0
	expect "ours sent, received" \
		"$(stat "$g1" "$spi_out" tx-packets) $(stat "$g1" "$spi_in" rx-packets)" "20 20"
	expect "drops" "$(drops "$g1" "$spi_in")" "rx-replay 20"
	expect "replays to libipsec" \
		$(($(complaints_of 'sequence number verification failed') - before)) 20
	terminated "$1" 1
}

# An answer that there will be none, for this reason and no other
refuses() { # proposal reason...
	local before

	[[ ! $(ip -n "$g1" xfrm state) ]] || hang_up
	before=$(complaints_of "${*:2}")
	if control 1 --initiate --ike outer4 --child "$1" --timeout $((60 * factor)); then
		echo "libipsec can do $1: test it" >&2
		return 1
	fi
	(($(complaints_of "${*:2}") > before))
	expect "SAs" "$(ip -n "$g1" xfrm state)$(control 2 --list-sas | grep INSTALLED)" ""
	echo "# libipsec | $1 | not supported, not tested"
}

nothing_in_clear() {
	# There is something to see
	[[ $(on_wire 'udp port 4500' | wc -l) -gt 500 ]]
	on_wire 'net 10.1.0.0/24 or net 10.2.0.0/24 or net fd01::/64 or net fd02::/64 or
		proto 50 or tcp' >"$tmp/clear"
	cat "$tmp/clear" >&2
	[[ ! -s $tmp/clear ]]
}

daemons_gone() {
	! kill -0 "${daemons[@]}" 2>/dev/null
}

# -------------------------------------------------------------------------------

modprobe -a xfrm_ext tun
pair_acquainted
for address in 10.2.0.1 fd02::1; do
	ip netns exec "$g2" "$here/traffic.py" serve $address 7 &
done
for address in 10.1.0.1 fd01::1; do
	ip netns exec "$g1" "$here/traffic.py" serve $address 7 &
done
traffic_open "$g1"
in1=$traffic_in out1=$traffic_out
traffic_open "$g2"
in2=$traffic_in out2=$traffic_out
for address in 10.2.0.1 fd02::1; do
	wait_for 20 from 1 tcp $address 7 1
done
for address in 10.1.0.1 fd01::1; do
	wait_for 20 from 2 tcp $address 7 1
done
# At libipsec's end the wire has nothing else: what comes out of ESP does so on ipsec0
ip netns exec "$g2" tcpdump -n -i wan -U -w "$tmp/pcap" -Z root 2>"$tmp/pcap.log" &
wait_for 20 grep -q 'listening on' "$tmp/pcap.log"

daemons=()
daemon 1
daemon 2
run "daemons" daemons_are_ready
i=0
for proposal in "${proposals[@]}"; do
	read -r name words <<<"$proposal"
	# Either end asks, we on either path
	((i++ % 2)) && way='2 off' || way='1 on'
	# shellcheck disable=SC2086 # words
	run "$name" speaks 4 $way "$name" $words
done
for proposal in "${proposals[@]:0:2}"; do
	read -r name words <<<"$proposal"
	# shellcheck disable=SC2086 # words
	run "$name over IPv6" speaks 6 1 on "$name" $words
done
fastpath on
run "replays" replayed aes128gcm16
run "replays, pair" replayed aes128-sha256
run "taken over under way" under_way aes256gcm12
for refusal in "${refusals[@]}"; do
	read -r name words <<<"$refusal"
	run "libipsec refuses $name" refuses "$name" "$words"
done
run "nothing in clear" nothing_in_clear
hang_up >/dev/null 2>&1
kill "${daemons[@]}"
run "daemons end" wait_for 30 daemons_gone
if ((failed)); then
	for n in 1 2; do
		cp "$tmp/$n/log" "/out/libipsec-g$n.log"
	done
fi
finish
