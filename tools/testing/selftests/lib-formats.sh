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

# A key of so many octets, for a direction and a purpose; of none, as a batch has it
key_of() { # octets direction [purpose]
	local i first=$((16 * $2 + 64 * ${3:-0}))

	if (($1 == 0)); then
		printf '""'
		return
	fi
	printf '0x'
	for ((i = 0; i < $1; i++)); do
		printf '%02x' $(((first + i) & 255))
	done
}

# The words of an SA of direction 1 or 2
words_of() { # direction aead|pair word...
	case $2 in
	aead) echo "aead $3 $(key_of "$4" "$1") $5" ;;
	pair) echo "enc $3 $(key_of "$4" "$1") auth-trunc $5 $(key_of "$6" "$1" 1) $7" ;;
	esac
}

# The same for the reference, without braces
reference_words() { # direction aead|pair word...
	case $2 in
	aead) echo "\"aead\": \"$3\", \"key\": \"$(key_of "$4" "$1")\", \"icv\": $5" ;;
	pair)
		echo "\"enc\": \"$3\", \"key\": \"$(key_of "$4" "$1" | tr -d '"')\", \"auth\": \"$5\"," \
			"\"auth_key\": \"$(key_of "$6" "$1" 1)\", \"icv\": $7"
		;;
	esac
}

# Does an algorithm have a nonce of which the IV can be left out (RFC 8750)?
has_implicit() { # aead|pair name
	[[ $1 == aead && $2 != 'rfc4543(gcm(aes))' ]]
}

# Sets in_words and in_json of both directions. To begin a process takes its time
algorithm_is() { # aead|pair word...
	local n

	[[ ${of_algorithm-} != "$*" ]] || return 0
	of_algorithm=$*
	for n in 1 2; do
		in_words[n]=$(words_of "$n" "$@")
		in_json[n]=$(reference_words "$n" "$@")
	done
}

# The words of an extension, the same for the reference (without braces), and how many
# subspaces it has. esn is format esp with ESN
extension_of() { # esp64|esp|esn trailer iv: sets words extension subspaces
	subspaces=4
	[[ $1 == esp64 ]] || subspaces=1
	words="format ${1/esn/esp} trailer $2 iv $3"
	[[ $1 != esn ]] || words+=' esn on'
	extension="\"format\": \"${1/esn/esp}\", \"trailer\": \"$2\", \"iv\": \"$3\""
	[[ $1 != esn ]] || extension+=', "esn": true'
}
