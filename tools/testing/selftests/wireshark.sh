#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# kernels: 7.3-uml
# check: 7.3-uml
# needs: tshark
#
# tools/wireshark/xfrm_ext.lua in tshark: every format with every placement of the trailer, IV,
# mode and algorithm, in UDP and not, sent by the module and captured; each field that tshark
# shows of each packet is what the reference finds there. What is missing, late or there twice,
# by brute force. What is not ours is left alone; what is cut off or changed in any place is no
# error of the script. And what Documentation/analysers.rst says of those who do not know the
# formats.
#
# And xfrm_ext_eesp.lua, of packets that the reference makes, and the module.
#
# wireshark-trixie.sh runs it with Debian 13's tshark.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-formats.sh"
. "$(dirname "$0")/lib-wire.sh"

script=$here/../../wireshark/xfrm_ext.lua
judge=$here/wireshark.py

# As root it takes neither the data that are in this place nor a script
plain_tshark() { # word...
	setpriv --reuid nobody --regid nogroup --clear-groups env HOME=/tmp tshark -n "$@"
}

with_script() { # word...
	plain_tshark -X "lua_script:$script" "$@"
}

# One line a packet
fields() { # pcap word...
	local words=() name

	while read -r name; do
		words+=(-e "$name")
	done < <("$judge" fields)
	with_script -r "$1" -T fields -E separator=/t -E occurrence=a -E aggregator=, "${words[@]}" \
		"${@:2}" 2>"$tmp/err"
	grep . "$tmp/err" && return 1
	return 0
}

# --- the packets --------------------------------------------------------------------

# Every SA is there at once: packets find theirs by their mark, of which the upper half is the
# subspace. Nobody needs to receive them.
cells=0
cell() { # format trailer iv mode inner outer udp|esp name algorithm-words...
	local i1 i2 o1 o2 spi more='' key1='' words extension subspaces select='' any=0.0.0.0 sel=''

	cells=$((cells + 1))
	spi=$((0x1000 + cells))
	new_keys
	words_are 1 "${@:9}"
	extension_of "$1" "$2" "$3"
	outer "$6"
	[[ $6 == 4 ]] || any=::
	case $4:$5 in
	transport:*) i1=$o1 i2=$o2 ;;
	*:4) i1=10.1.0.1 i2=10.2.0.1 ;;
	*:6) i1=fd01::1 i2=fd02::1 ;;
	esac
	case $4 in
	beet) more="sel src $i1 dst $i2" sel=", \"inner\": [\"$i1\", \"$i2\"]" ;;
	tunnel) more="flag af-unspec" ;;
	esac
	if [[ $4$5 == beet4 ]]; then
		words+=" beet-frag on"
		sel+=', "beet_frag": true'
	fi
	[[ $7 == esp ]] || more+=" encap espinudp 4500 4500 $any"
	# Far from 1, and the upper 16 of 48 bits are used
	[[ $1 != esp64 ]] || select="select mark select-mask 0x30000 select-shift 16 tx-start $((cells << 33 | 1))"
	[[ $7$6 != udp4 || $1 != esp64 ]] || select+=" spread on"
	echo "xfrm state add src $o1 dst $o2 proto esp spi $spi reqid $cells mode $4 ${in_words[1]}" \
		"$more ext tx-subspaces $subspaces $select $words" >>"$tmp/batch"
	echo "xfrm policy add src $i1 dst $i2 dir out mark $cells mask 0xffff" \
		"tmpl src $o1 dst $o2 proto esp reqid $cells mode $4" >>"$tmp/batch"
	echo "{\"spi\": $spi, \"src\": \"$o1\", \"dst\": \"$o2\", \"mode\": \"$4\"," \
		"\"subspaces\": $subspaces, $extension, ${in_json[1]}$sel}" >>"$tmp/sas"
	echo "$cells $4 $i1 $i2 $subspaces" >>"$tmp/send"
}

all_cells() {
	local algorithm name rest format trailer iv mode outer

	for algorithm in "${algorithms[@]}"; do
		read -r name rest <<<"$algorithm"
		for format in esp64 esp esn; do
			for trailer in end front omit; do
				for iv in explicit implicit; do
					# shellcheck disable=SC2086 # words
					[[ $iv == explicit ]] || has_implicit $rest || continue
					for mode in tunnel transport beet; do
						[[ $trailer != omit || $mode == tunnel ]] || continue
						for outer in 4 6; do
							wanted_here || continue
							# shellcheck disable=SC2086 # words
							cell $format $trailer $iv $mode $outer $outer esp "$name" $rest
						done
					done
				done
			done
		done
	done
	for format in esp64 esp; do
		for mode in tunnel transport beet; do
			for outer in 4 6; do
				cell $format end explicit $mode $outer $outer udp gcm aead "$aead" 20 128
				cell $format front explicit $mode $outer $outer udp null \
					pair 'ecb(cipher_null)' 0 'hmac(sha256)' 32 128
			done
		done
	done
	cell esp64 end explicit tunnel 6 4 esp gcm aead "$aead" 20 128
	cell esp64 end explicit beet 4 6 esp gcm aead "$aead" 20 128
	cell esp64 front explicit beet 4 6 esp null pair 'ecb(cipher_null)' 0 'hmac(sha256)' 32 128
}

# All of the two that tell most; of the others each once, where there is no time
wanted_here() {
	[[ ! $whole ]] || return 0
	case $name in
	gcm-128-16 | null-sha256) [[ $outer == 4 || $format$mode == esp64beet ]] ;;
	*) [[ $format$mode$outer == esp64tunnel6 ]] ;;
	esac
}

sent() {
	ip -n "$g1" -batch "$tmp/batch"
	record "$tmp/wire" "$g1" wan -Q out esp or udp port 4500
	ip netns exec "$g1" "$judge" send <"$tmp/send" >"$tmp/sent"
	recorded "$tmp/wire" "$(<"$tmp/sent")"
	# As Documentation/analysers.rst has it
	ip -n "$g1" xfrm state list nokeys >"$tmp/told"
	expect "keys" "$(grep -o '0x[0-9a-f]\{32,\}' "$tmp/told" || true)" ''
	json_list "$tmp/sas" >"$tmp/sas.json"
	chmod a+r "$tmp/"*
	echo "# $cells SAs, $(<"$tmp/sent") packets"
}

json_list() { # file with an object a line
	echo "[$(paste -sd , "$1")]"
}

# --- what it shows ------------------------------------------------------------------

# Each field of each packet
as_the_reference() {
	fields "$tmp/wire" -o "xfrm_ext.sas:@$tmp/told" >"$tmp/out"
	"$judge" packets "$tmp/wire" "$tmp/sas.json" <"$tmp/out"
}

# The one whose IV is its number
guessed() {
	fields "$tmp/wire" >"$tmp/out"
	"$judge" guessed "$tmp/wire" "$tmp/sas.json" <"$tmp/out"
	fields "$tmp/wire" -o xfrm_ext.guess:FALSE -Y xfrm_ext >"$tmp/out"
	expect "packets of ours, without guessing" "$(wc -l <"$tmp/out")" 0
}

# Dropped, doubled and mixed up; read once, and twice, as in a window
numbers() {
	"$judge" disturb "$tmp/wire" "$tmp/disturbed"
	chmod a+r "$tmp/disturbed"
	fields "$tmp/disturbed" -o "xfrm_ext.sas:@$tmp/told" >"$tmp/out"
	"$judge" numbers "$tmp/disturbed" "$tmp/sas.json" once <"$tmp/out"
	fields "$tmp/disturbed" -2 -o "xfrm_ext.sas:@$tmp/told" >"$tmp/out"
	"$judge" numbers "$tmp/disturbed" "$tmp/sas.json" twice <"$tmp/out"
	with_script -r "$tmp/disturbed" -q -z xfrm_ext -o "xfrm_ext.sas:@$tmp/told" >"$tmp/out"
	"$judge" table "$tmp/disturbed" "$tmp/sas.json" <"$tmp/out"
}

# By Wireshark's own dissector, with its own table of keys: what is inside, not the ICV
decrypted() {
	local words=(-o esp.enable_encryption_decode:TRUE -o esp.do_esp_sequence_analysis:FALSE) line

	while read -r line; do
		words+=(-o "uat:esp_sa:$line")
	done < <("$judge" keys "$tmp/sas.json" "$(plain_tshark --version 2>/dev/null | head -n 1)")
	fields "$tmp/wire" -o "xfrm_ext.sas:@$tmp/told" "${words[@]}" >"$tmp/out"
	"$judge" decrypted "$tmp/wire" "$tmp/sas.json" <"$tmp/out"
}

# A plain SA, IKE and keepalives; and what a router quotes was not sent again
not_ours() {
	"$judge" others "$tmp/wire" "$tmp/sas.json" "$tmp/others"
	chmod a+r "$tmp/others"
	fields "$tmp/others" -o "xfrm_ext.sas:@$tmp/told" >"$tmp/out"
	"$judge" others_are <"$tmp/out"
}

# What cannot be dissected is shown as that
damaged() { # cut|changed
	local n

	"$judge" "$1" "$tmp/wire" "$tmp/sas.json" "$tmp/damaged"
	chmod a+r "$tmp/damaged"
	with_script -r "$tmp/damaged" -T fields -e frame.number -e xfrm_ext.spi -e _ws.expert.message \
		-o "xfrm_ext.sas:@$tmp/told" -o esp.enable_encryption_decode:TRUE \
		>"$tmp/out" 2>"$tmp/err"
	n=$(wc -l <"$tmp/out")
	expect "packets" "$(tcpdump --count -r "$tmp/damaged" 2>/dev/null)" "$n packets"
	echo "# $n packets"
	((n > 1000))
	expect "errors" "$(grep -hoiE '.*(lua error|dissector bug|traceback).*' "$tmp/out" "$tmp/err" | head -n 5)" ''
	# It has looked at them
	(($(grep -c 0x00001 "$tmp/out") > n / 2))
}

# What somebody may type
words() {
	local said

	said=$(with_script -r "$tmp/wire" -c 1 \
		-o 'xfrm_ext.sas:src 10.0.0.x spi 0x1001 format esp65; spi 1; spi zz format esp; trailer' 2>&1 >/dev/null |
		grep xfrm_ext)
	diff - <(echo "$said") <<-EOF
		xfrm_ext: no address: 10.0.0.x
		xfrm_ext: format: not known: esp65
		xfrm_ext: SPI 0x00001001: format esp64 or esp?
		xfrm_ext: SPI 0x00000001: format esp64 or esp?
		xfrm_ext: no SPI: zz
		xfrm_ext: trailer: not known: nil
	EOF
	said=$(with_script -r "$tmp/wire" -c 1 -o xfrm_ext.sas:@/nowhere 2>&1 >/dev/null | grep xfrm_ext)
	expect "of no file" "$said" "xfrm_ext: /nowhere: No such file or directory"
	# All in one argument
	with_script -r "$tmp/wire" -c 1 -T fields -e xfrm_ext.format -o \
		"xfrm_ext.sas:$(head -c 100000 "$tmp/told")" >"$tmp/out"
	grep -q esp "$tmp/out"
	# Of the same SPI the first that agrees, whatever is said of the others
	with_script -r "$tmp/wire" -c 1 -T fields -e xfrm_ext.trailer -o \
		'xfrm_ext.sas:src 10.0.0.2 spi 0x1001 format esp64 trailer omit; dst 10.0.0.2 spi 4097 format esp64 trailer front; spi 0x1001 format esp' \
		>"$tmp/out"
	expect "trailer" "$(<"$tmp/out")" front
}

# --- eesp ---------------------------------------------------------------------------

eesp_script=$here/../../wireshark/xfrm_ext_eesp.lua
eesp_judge=$here/wireshark_eesp.py

with_eesp() { # octets-of-IV pcap word...
	plain_tshark -X "lua_script:$eesp_script" -o "xfrm_ext_eesp.iv:$1" \
		-o xfrm_ext_eesp.udp_ports:4500 -r "$2" "${@:3}"
}

# Each field of each packet, as the reference has made it
eesp() { # octets-of-IV
	local words=() name

	while read -r name; do
		words+=(-e "$name")
	done < <("$eesp_judge" fields)
	"$eesp_judge" make 1 "$1" "$tmp/eesp"
	chmod a+r "$tmp/eesp"
	with_eesp "$1" "$tmp/eesp" -T fields -E separator=/t -E occurrence=a -E aggregator=, \
		"${words[@]}" >"$tmp/out" 2>"$tmp/err"
	expect "errors" "$(<"$tmp/err")" ''
	"$eesp_judge" judge 1 "$1" "$tmp/eesp" <"$tmp/out"
}

eesp_damaged() { # octets-of-IV
	local n

	"$eesp_judge" cut 1 "$1" "$tmp/eesp"
	chmod a+r "$tmp/eesp"
	with_eesp "$1" "$tmp/eesp" -T fields -e frame.number -e xfrm_ext_eesp.spi -e _ws.expert.message \
		>"$tmp/out" 2>"$tmp/err"
	n=$(wc -l <"$tmp/out")
	expect "packets" "$(tcpdump --count -r "$tmp/eesp" 2>/dev/null)" "$n packets"
	expect "errors" "$(grep -hoiE '.*(lua error|dissector bug|traceback).*' "$tmp/out" "$tmp/err" | head -n 5)" ''
	(($(grep -c 0x "$tmp/out") > n / 2))
}

# Of the module's own: what it sends, with the parameter's number, and the other script beside it
eesp_sent() {
	local n

	flush
	new_keys
	key_for 0x100 36
	ip -n "$g1" xfrm state add src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x100 mode transport \
		aead "$aead" "$key" 128 ext format eesp tx-subspaces 1 tx-crypt-offset 8
	record "$tmp/wire" "$g1" wan -Q out ip proto 253
	for n in 1 2 3; do
		ip -n "$g1" xfrm ext dummy dst 10.0.0.2 spi 0x100 len 100
	done
	recorded "$tmp/wire" 3
	chmod a+r "$tmp/wire"
	plain_tshark -X "lua_script:$script" -X "lua_script:$eesp_script" -r "$tmp/wire" -T fields \
		-E separator=, -e xfrm_ext_eesp.spi -e xfrm_ext_eesp.sn -e xfrm_ext_eesp.crypt_offset \
		-e xfrm_ext_eesp.next_header -e xfrm_ext_eesp.clear >"$tmp/out" 2>"$tmp/err"
	diff "$tmp/out" - <<-EOF
		0x00000100,1,8,59,00000000
		0x00000100,2,8,59,00000000
		0x00000100,3,8,59,00000000
	EOF
}

# --- what others say ----------------------------------------------------------------

# The upper half of the 64-bit number for a sequence number, and most of them missing
without() {
	plain_tshark -r "$tmp/wire" -T fields -E separator=/t -e esp.spi -e esp.sequence \
		-e esp.sequence-analysis.wrong-sequence-number >"$tmp/tshark" 2>/dev/null
	tcpdump -nr "$tmp/wire" 2>/dev/null >"$tmp/tcpdump"
	"$judge" without "$tmp/wire" "$tmp/sas.json" "$tmp/tshark" "$tmp/tcpdump"
	# And the kernel of an extended SA
	expect "replay windows" "$(grep -o 'replay-window [0-9]*' "$tmp/told" | sort -u)" "replay-window 0"
}

chmod 755 "$tmp"
modprobe xfrm_ext
pair_acquainted
all_cells
run "packets" sent
run "every field as the reference reads it" as_the_reference
run "esp64 by its IV" guessed
run "missing, late and doubled numbers" numbers
run "decrypted by Wireshark itself" decrypted
run "what is not ours" not_ours
run "cut off anywhere" damaged cut
run "changed anywhere" damaged changed
run "SAs as one may write them" words
run "without the script" without
for octets in 8 0; do
	run "eesp, IVs of $octets octets" eesp $octets
	run "eesp, cut off or changed anywhere, IVs of $octets octets" eesp_damaged $octets
done
run "eesp, as the module sends it" eesp_sent
finish
