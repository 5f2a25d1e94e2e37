#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What the tests of others find in place of ip when their SAs are to become extended ones. It
# does what ip does, and besides
#
#	ip netns add NAME		puts the rule of PEERS_RULE into the new namespace
#	ip netns delete NAME		adds what the rule has done to the file PEERS_HITS
#	ip xfrm state add ...		with PEERS_OWN_KEYS: gives the SA a key that no other has, made
#					of its own key, SPI and addresses, which are the same at both ends
#
# PEERS_IP is ip itself; what that is not asked, because it has not heard of it, the guest's
# patched one is: PEERS_EXT.

# The same number of hex digits as the key has
other_key() { # key
	local size=${#1} key=0x i

	for ((i = 0; ${#key} < size; i++)); do
		key+=$(printf '%s\n' "$i" "$1" "${identity[@]}" | sha256sum | cut -d ' ' -f 1)
	done
	echo "${key:0:size}"
}

words=("$@")
case " $* " in
*' netns exec '*) ;; # what that runs comes here once more
*' netns add '*)
	"$PEERS_IP" "$@" || exit
	# shellcheck disable=SC2086 # words
	exec "$PEERS_EXT" -n "${!#}" xfrm ext rule add $PEERS_RULE
	;;
*' netns del'*)
	"$PEERS_EXT" -n "${!#}" xfrm ext rule list >>"$PEERS_HITS" 2>/dev/null
	;;
*' xfrm state add '* | *' x s add '*)
	if [[ $PEERS_OWN_KEYS ]]; then
		identity=()
		for ((i = 0; i < $#; i++)); do
			case ${words[i]} in
			sel) break ;;
			src | dst | spi) identity+=("${words[i + 1]}") ;;
			esac
		done
		for ((i = 0; i < $#; i++)); do
			case ${words[i]} in
			enc | auth | auth-trunc | aead) words[i + 2]=$(other_key "${words[i + 2]}") ;;
			esac
		done
	fi
	;;
esac
exec "$PEERS_IP" "${words[@]}"
