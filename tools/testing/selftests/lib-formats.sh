# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2034,SC2154
#
# For scripts about algorithms and formats: what there is, as `ip xfrm state` and as the
# reference implementation have it. To be read behind lib.sh.

# Name; aead NAME OCTETS-OF-KEY BITS-OF-ICV, or pair ENC OCTETS AUTH OCTETS BITS; block
algorithms=(
	'gcm-128-16 aead rfc4106(gcm(aes)) 20 128'
	'gcm-128-12 aead rfc4106(gcm(aes)) 20 96'
	'gcm-128-8 aead rfc4106(gcm(aes)) 20 64'
	'gcm-192-16 aead rfc4106(gcm(aes)) 28 128'
	'gcm-256-16 aead rfc4106(gcm(aes)) 36 128'
	'gmac-128 aead rfc4543(gcm(aes)) 20 128'
	'gmac-256 aead rfc4543(gcm(aes)) 36 128'
	'ccm-128-16 aead rfc4309(ccm(aes)) 19 128'
	'ccm-128-12 aead rfc4309(ccm(aes)) 19 96'
	'ccm-128-8 aead rfc4309(ccm(aes)) 19 64'
	'ccm-256-16 aead rfc4309(ccm(aes)) 35 128'
	'chacha20-poly1305 aead rfc7539esp(chacha20,poly1305) 36 128'
	'cbc-128-sha1 pair cbc(aes) 16 hmac(sha1) 20 96'
	'cbc-128-sha256 pair cbc(aes) 16 hmac(sha256) 32 128'
	'cbc-256-sha384 pair cbc(aes) 32 hmac(sha384) 48 192'
	'cbc-256-sha512 pair cbc(aes) 32 hmac(sha512) 64 256'
	'cbc-192-xcbc pair cbc(aes) 24 xcbc(aes) 16 96'
	'cbc-128-cmac pair cbc(aes) 16 cmac(aes) 16 96'
	'ctr-128-sha256 pair rfc3686(ctr(aes)) 20 hmac(sha256) 32 128'
	'ctr-256-sha512 pair rfc3686(ctr(aes)) 36 hmac(sha512) 64 256'
	'null-sha1 pair ecb(cipher_null) 0 hmac(sha1) 20 96'
	'null-sha256 pair ecb(cipher_null) 0 hmac(sha256) 32 128'
	'null-cmac pair ecb(cipher_null) 0 cmac(aes) 16 96'
)

# The words of an SA of direction 1 or 2, and the same for the reference, without braces: sets
# in_words and in_json of that direction. To begin a process takes its time. The first of its
# keys is that of SPI 0x100 or 0x200.
words_are() { # direction aead|pair word...
	local n=$1 key key_enc

	key_for $((n << 8)) "$4"
	case $2 in
	aead)
		in_words[n]="aead $3 $key $5"
		in_json[n]="\"aead\": \"$3\", \"key\": \"$key\", \"icv\": $5"
		;;
	pair)
		# There is none of no octets, as a batch has it, and as JSON has it
		key_enc=${key#0x}
		key_enc=${key_enc:+$key}
		key_for $((n << 8 | 1)) "$6"
		in_words[n]="enc $3 ${key_enc:-\"\"} auth-trunc $5 $key $7"
		in_json[n]="\"enc\": \"$3\", \"key\": \"$key_enc\", \"auth\": \"$5\","
		in_json[n]+=" \"auth_key\": \"$key\", \"icv\": $7"
		;;
	esac
}

words_of() { # direction aead|pair word...
	words_are "$@"
	echo "${in_words[$1]}"
}

reference_words() { # direction aead|pair word...
	words_are "$@"
	echo "${in_json[$1]}"
}

# Does an algorithm have a nonce of which the IV can be left out (RFC 8750)?
has_implicit() { # aead|pair name
	[[ $1 == aead && $2 != 'rfc4543(gcm(aes))' ]]
}

# Both directions
algorithm_is() { # aead|pair word...
	words_are 1 "$@"
	words_are 2 "$@"
}

# The words of an extension, the same for the reference (without braces), and how many
# subspaces it has. esn is format esp with ESN; eesp has Sub SAs, eesp-plain a key and no root
# key, eesp-clear something in clear. What of the words is the sender's or the receiver's only is in
# own, by tx and rx
declare -A own
extension_of() { # esp64|esp|esn|eesp|eesp-plain|eesp-clear trailer iv [octets-of-key]: sets words extension subspaces own
	own=([tx]='' [rx]='')
	subspaces=4
	case $1 in
	eesp*)
		# Where the trailer is, its mode says
		words="format eesp iv $3"
		extension="\"format\": \"eesp\", \"iv\": \"$3\""
		if [[ $1 == eesp-plain ]]; then
			subspaces=1
			return
		fi
		words+=" sub-key $(($4 * 8))"
		own[tx]=' select flow'
		extension+=", \"sskdf\": \"hkdf-sha$((root * 8))\", \"cipher_key\": $(($4 * 8)), \"max_sub_sa\": 3"
		[[ $1 == eesp-clear ]] || return 0
		own=([tx]=' select flow tx-crypt-offset 32' [rx]=' rx-crypt-offset 32')
		extension+=', "crypt_offset": 8, "max_crypt_offset": 8'
		return
		;;
	esp64) ;;
	*) subspaces=1 ;;
	esac
	words="format ${1/esn/esp} trailer $2 iv $3"
	[[ $1 != esn ]] || words+=' esn on'
	extension="\"format\": \"${1/esn/esp}\", \"trailer\": \"$2\", \"iv\": \"$3\""
	[[ $1 != esn ]] || extension+=', "esn": true'
}

# Octets of an AEAD's key without its salt, and of a root key that those of Sub SAs come from, one
# of each kind: by the length of the ICV. Sets plain_key root
root_of() { # name octets-of-key bits-of-icv
	plain_key=$(($2 - 4))
	[[ $1 != *ccm* ]] || plain_key=$(($2 - 3))
	case $3 in
	128) root=32 ;;
	96) root=48 ;;
	*) root=64 ;;
	esac
}
