# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2154
#
# For scripts that look at every packet: captures that miss none, and what the
# reference implementation needs. To be read behind lib.sh.

# Capture whole packets in the background; recorded() ends it
record() { # file ns dev [tcpdump word...]
	local file=$1 n=$2 dev=$3

	shift 3
	# Those of the last time would be taken for this one's
	rm -f "$file" "$file.log"
	# Packets at once and not by the block; no more per packet than links carry,
	# so that the buffer holds many (a packet cut off is found by pcap.py)
	ip netns exec "$n" tcpdump -n -i "$dev" -s 2000 -B 32768 -U --immediate-mode -Z root \
		-w "$file" "$@" 2>"$file.log" &
	echo $! >"$file.pid"
	wait_for 20 grep -q 'listening on' "$file.log"
}

# End a capture that must have seen that many packets, and missed none
recorded() { # file packets
	local pid

	pid=$(<"$1.pid")
	wait_for 20 recorded_are "$1" "$2" || true
	kill -INT "$pid"
	wait "$pid"
	grep -qx '0 packets dropped by kernel' "$1.log"
	expect "packets in the capture" "$(tcpdump --count -r "$1" 2>/dev/null)" "$2 packets"
}

recorded_are() {
	[[ $(tcpdump --count -r "$1" 2>/dev/null) == "$2 packets" ]]
}

# Capture what leaves by a device. (What comes by it would be there twice, as
# ESP and decrypted.)
record_out() { # file ns dev
	record "$1" "$2" "$3" -Q out
}

# End such a capture when all that was sent before is in it: a clear packet that no
# policy matches was sent behind it and has come
record_end() { # file ns address on the same link
	local pid

	pid=$(<"$1.pid")
	wait_for 20 record_mark "$@"
	kill -INT "$pid"
	wait "$pid" || true
	grep -qx '0 packets dropped by kernel' "$1.log"
}

record_mark() {
	ip netns exec "$2" ping -q -c 1 -W 1 -s 40 -p 454e444d41524b21 "$3"
	grep -q 'ENDMARK!ENDMARK!' "$1"
}

# What a capture has of the networks behind the gateways that is not encrypted
clear_packets() { # file
	tcpdump -nn -r "$1" 'net 10.1.0.0/24 or net 10.2.0.0/24 or net fd01::/64 or net fd02::/64' \
		2>/dev/null
}

# What of a packet tcpdump knows ESP by, or EESP
sealed() {
	if [[ ${FORMAT-} == *eesp* ]]; then
		echo 'ip proto 253 or ip6 proto 253'
	else
		echo esp
	fi
}

# The words of the reference for what in_eesp() has been asked for
reference_format() {
	[[ ${FORMAT-} != *eesp* ]] ||
		echo ', "sskdf": "hkdf-sha256", "cipher_key": 256, "max_sub_sa": 65535'
}

# The reference's judgement of captures of either
judged() { # word as check_capture.py takes it...
	if [[ ${FORMAT-} == *eesp* ]]; then
		"$reference/eesp_capture.py" "$@"
	else
		"$reference/check_capture.py" "$@"
	fi
}

# What the reference implementation needs to know of sa()'s SA
reference_sa() { # 4|6 1>2|2>1
	local o1 o2

	outer "$1"
	case $2 in
	'1>2') printf '{"spi": "0x100", "key": "%s", "icv": "%s", "src": "%s", "dst": "%s"%s}\n' \
		"${KEY:-$key1}" "${ICV:-128}" "$o1" "$o2" "$(reference_format)" ;;
	'2>1') printf '{"spi": "0x200", "key": "%s", "icv": "%s", "src": "%s", "dst": "%s"%s}\n' \
		"${KEY:-$key2}" "${ICV:-128}" "$o2" "$o1" "$(reference_format)" ;;
	esac
}

# An inject.py of the SA 1>2 that stays, in its sender's namespace: starting it takes its
# time. At the end of the script or the test it goes by itself.
inject_open() { # 4|6 inner
	reference_sa "$1" '1>2' >"$tmp/inject.sa"
	mkfifo "$tmp/inject.in" "$tmp/inject.out"
	ip netns exec "$g1" "$reference/inject.py" --sa "$tmp/inject.sa" --inner "$2" --batch \
		<"$tmp/inject.in" >"$tmp/inject.out" &
	exec 5>"$tmp/inject.in" 6<"$tmp/inject.out"
	rm "$tmp/inject.in" "$tmp/inject.out"
}

# Packets of a case, as inject.py takes it; they have been sent when it returns
inject() { # case subspace sn [option=value]...
	local sent

	echo "$*" >&5
	read -r -t $((60 * factor)) sent <&6
	[[ $sent == sent\ * ]]
}

inject_close() {
	exec 5>&- 6<&-
}
