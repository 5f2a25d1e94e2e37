#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# kernels: 6.1-cloud 6.12-trixie 7.3-uml
# check: 7.3-uml
#
# Every format with every placement of the trailer, IV and algorithm, in every mode, on
# our own path and on the kernel's: the same packets through each, every one on the link
# decoded by the reference; the largest packet that is said to fit goes whole, and one
# octet more gets the error that says how much would, in UDP, too. Prints the table of
# MTUs. Format eesp, in which the mode says where the trailer is, with Sub SAs, without, and with
# something in clear. Format esp is on the link as the kernel's own ESP, octet for octet where nothing is random.
# TFC padding.
#
# 7.3-uml does all, but for ESN of some algorithms; the others each format, trailer and mode
# once at least.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-formats.sh"
. "$(dirname "$0")/lib-modes.sh"

# What is not usual about an SA for modes.py, and the words for `ip`: sets words and shape
variant() { # format trailer iv algorithm-words...
	local format=$1 trailer=$2 iv=$3 header=12 iv_len=8 align=4 proto=50 icv bits n
	local plain_key root

	shift 3
	case $1:$2 in
	aead:*) bits=$4 ;;
	pair:cbc*) iv_len=16 align=16 bits=$6 ;;
	pair:ecb*) iv_len=0 bits=$6 ;;
	pair:*) bits=$6 ;;
	esac
	icv=$((bits / 8))
	[[ $format != eesp* ]] || root_of "$2" "$3" "$4"
	extension_of "$format" "$trailer" "$iv" "${plain_key-}"
	case $format in
	eesp | eesp-clear) algorithm_is aead "$2" "$root" "$4" ;;
	*) algorithm_is "$@" ;;
	esac
	case $format in
	esp64) ;;
	eesp*)
		header=16 proto=253 trailer=front
		if [[ $format == eesp-clear ]]; then
			header=20
		elif [[ $mode == tunnel ]]; then
			trailer=omit
		elif [[ $i1$o1 == *:* ]]; then
			# What follows the Payload Info Header begins at a multiple of eight
			header=20
		fi
		;;
	*) header=8 ;;
	esac
	[[ $iv == explicit ]] || iv_len=0
	{
		printf '{"shape": {"header": %d, "iv": %d, "align": %d, "icv": %d, "udp": %d, "trailer": "%s", "proto": %d}' \
			"$header" "$iv_len" "$align" "$icv" "${UDP:+8}" "$trailer" "$proto"
		for n in 1 2; do
			printf ',\n"%d": {%s, %s%s%s}' "$n" "$extension" "${in_json[n]}" \
				"${TFC:+, \"tfcpad\": $TFC}" "${UDP:+, \"encap\": [4500, 4500]}"
		done
		echo '}'
	} >"$tmp/shape"
}

# SAs and policies of both ends, ours or the kernel's
ends() { # mode path algorithm-words...
	local mode=$1 path=$2 n k dir spi src dst i j more any=0.0.0.0

	[[ $o1 != *:* ]] || any=::
	shift 2
	for n in 1 2; do
		{
			echo xfrm state flush
			echo xfrm policy flush
			for k in 1 2; do
				more='' dir=in src=$o1 dst=$o2 i=$i1 j=$i2
				((k == 1)) || src=$o2 dst=$o1 i=$i2 j=$i1
				((n != k)) || dir=out
				case $mode in
				beet) more="sel src $i dst $j" ;;
				tunnel) more="flag af-unspec" ;;
				esac
				[[ ! $TFC || $dir == in ]] || more+=" tfcpad $TFC"
				[[ ! $UDP ]] || more+=" encap espinudp 4500 4500 $any"
				[[ $path == stock ]] || case $dir in
				out) more+=" ext tx-subspaces $subspaces $words${own[tx]}" ;;
				in) more+=" ext rx-subspaces $subspaces $words${own[rx]}" ;;
				esac
				echo "xfrm state add src $src dst $dst proto esp spi 0x${k}00 reqid $k" \
					"mode $mode ${in_words[k]} $more"
				echo "xfrm policy add src $i dst $j dir $dir" \
					"tmpl src $src dst $dst proto esp reqid $k mode $mode"
			done
		} | ip -n "${hosts[n]}" -batch -
	done
}

# One cell: mode, families, path; the rest as variant() takes it
carries() { # mode inner outer path format trailer iv algorithm-words...
	local mode=$1 inner=$2 outer=$3 path=$4 i1 i2 o1 o2 words extension subspaces

	mode_addresses "$mode" "$inner" "$outer"
	new_keys
	variant "${@:5}"
	[[ $path == stock ]] || fastpath "$path"
	ends "$mode" "$path" "${@:8}"
	modes begin "$mode" "$inner" "$outer" "$path" "$tmp/shape"
	[[ $LENGTHS ]] || modes packets
	modes largest
	if [[ ! $LENGTHS && $path != stock ]]; then
		modes lengths
		modes settled
	fi
	modes too_long
	[[ $path == stock ]] || modes room
}

# Of a format, where the trailer can be
placements() { # format
	case $1 in
	eesp*) echo the-mode ;;
	*) echo end front omit ;;
	esac
}

# All cells that this kernel does of an algorithm and a format
cells() { # path format name algorithm-words...
	local path=$1 format=$2 name=$3 mode trailer iv outer QUIET=1 LENGTHS=1

	# All that is sent, of one of each kind; of the others the largest that fits is enough
	[[ $whole$name != 1@(gcm-128-16|ccm-128-8|cbc-128-sha256) && $whole ]] || LENGTHS=

	shift 3
	for trailer in $(placements "$format"); do
		for iv in explicit implicit; do
			[[ $iv == explicit ]] || has_implicit "$@" || continue
			for mode in tunnel transport beet; do
				[[ $trailer != omit || $mode == tunnel ]] || continue
				for outer in 4 6; do
					wanted_here "$path" "$format" "$trailer" "$iv" "$mode" "$outer" "$name" ||
						continue
					carries "$mode" "$outer" "$outer" "$path" "$format" "$trailer" "$iv" "$@"
					echo "# $name | $format | $trailer | $iv | $mode over IPv$outer |" \
						"$(<"$tmp/modes.log")"
				done
			done
		done
	done
}

wanted_here() { # path format trailer iv mode outer name
	if [[ $whole ]]; then
		[[ $1 == on ]] || (($6 == 4))
		return
	fi
	case $2-$7 in
	eesp-gcm-128-16) [[ $1-$4-$5-$6 == @(on-explicit-tunnel-4|on-implicit-transport-6|off-implicit-beet-4) ]] ;;
	eesp-plain-gcm-128-16) [[ $1-$4-$5-$6 == on-explicit-beet-6 ]] ;;
	eesp-clear-gcm-128-16) [[ $1-$4-$5-$6 == on-explicit-tunnel-6 ]] ;;
	*-gcm-128-16)
		# What others do once: a quarter of all, of each kind one
		[[ $1$5 == ontunnel || $1$5$3 == offbeetfront ]] && (($6 == 4 || ${#2} == 5))
		;;
	*) [[ $1$2$4$5$6 == onesp64implicittunnel4 || $1$2$3$5$6 == onesp64endtunnel6 ]] ;;
	esac
}

# What fits in UDP
encapsulated() { # path format name algorithm-words...
	local path=$1 format=$2 name=$3 mode trailer outer UDP=1 QUIET=1 LENGTHS=1

	shift 3
	for trailer in $(placements "$format"); do
		for mode in tunnel transport beet; do
			[[ $trailer != omit || $mode == tunnel ]] || continue
			for outer in 4 6; do
				[[ $whole || $trailer$mode$outer == @(endtunnel4|fronttransport6|endbeet6|the-mode@(transport|beet)4) ]] ||
					continue
				carries "$mode" "$outer" "$outer" "$path" "$format" "$trailer" explicit "$@"
				echo "# $name | $format | $trailer | explicit | $mode over IPv$outer, UDP |" \
					"$(<"$tmp/modes.log")"
			done
		done
	done
}

# On the link as the kernel's own ESP
alike() { # mode outer algorithm-words...
	local path

	for path in on off stock; do
		carries "$1" "$2" "$2" "$path" esp end explicit "${@:3}"
	done
	modes compare
}

# Short packets have one length, with ESP; the peer gets what was sent
padded() { # path format trailer algorithm-words...
	local TFC=600

	carries tunnel 4 4 "$1" "$2" "$3" explicit "${@:4}"
	modes padded 600
	# Beyond what fits there is no padding
	TFC=5000
	carries tunnel 4 4 "$1" "$2" "$3" explicit "${@:4}"
	modes padded 5000
}

modprobe xfrm_ext
pair_acquainted
hosts=('' "$g1" "$g2")
TFC='' LENGTHS='' UDP=''
modes_open
for path in on off; do
	for format in esp64 esp esn eesp eesp-plain eesp-clear; do
		for algorithm in "${algorithms[@]}"; do
			read -r name rest <<<"$algorithm"
			# An AEAD, and nothing else
			[[ $format != eesp* || $rest == aead* ]] || continue
			case $path$format$whole-$name in
			offeesp-plain-* | offeesp-clear-*) continue ;;
			*-gcm-128-16 | *1-cbc-128-sha256 | *1-ccm-128-8) ;;
			onesp641-* | onesp1-* | onesp64-chacha20-poly1305 | onesp64-cbc-256-sha384) ;;
			oneesp1-*) ;;
			*) continue ;;
			esac
			# shellcheck disable=SC2086 # words
			run "$format, $name, fastpath $path" cells $path $format "$name" $rest
		done
	done
	for trailer in end front; do
		run "TFC padding, trailer $trailer, fastpath $path" padded $path esp64 $trailer aead "$aead" 20 128
	done
	run "TFC padding, blocks, fastpath $path" padded $path esp end pair 'cbc(aes)' 16 'hmac(sha256)' 32 128
done
# Who takes ESP out of UDP
for n in 1 2; do
	ip netns exec "${hosts[n]}" "$here/natt.py" end 4500 </dev/null >/dev/null &
	wait_for 20 ip netns exec "${hosts[n]}" grep -q ':1194 ' /proc/net/udp6
done
run "in UDP, esp64, gcm-128-16, fastpath on" encapsulated on esp64 gcm-128-16 aead "$aead" 20 128
run "in UDP, esn, gcm-128-8, fastpath off" encapsulated off esn gcm-128-8 aead "$aead" 20 64
run "in UDP, esp, cbc-128-sha256, fastpath on" \
	encapsulated on esp cbc-128-sha256 pair 'cbc(aes)' 16 'hmac(sha256)' 32 128
run "in UDP, eesp, gcm-128-16, fastpath on" encapsulated on eesp gcm-128-16 aead "$aead" 20 128
run "in UDP, eesp-clear, gcm-128-12, fastpath off" encapsulated off eesp-clear gcm-128-12 aead "$aead" 20 96
for mode in tunnel transport beet; do
	for outer in 4 6; do
		run "$mode over IPv$outer, as the kernel's own ESP" alike $mode $outer aead "$aead" 20 128
	done
done
fastpath on
flush
finish
