#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# kernels: 6.1-cloud 7.3-uml
# check: 7.3-uml
#
# Floods by somebody without the key, each by itself and all together, beside legitimate packets:
# of these each arrives, and windows and memory are as they alone make them; each other is counted
# under its name, and few words are made of it (floods.py). Of each format, in UDP and not, by GRO, by our
# own path and the kernel's. And an unprivileged user, in a user namespace of his own, who announces SAs
# without end. With auditing on, no more records than its rate allows. (What a packet of a flood costs: make bench BENCH=floods.)
. "$(dirname "$0")/lib.sh"

user=(setpriv --reuid 1000 --regid 1000 --clear-groups nsenter --preserve-credentials -U -n -t)
one=one$$ other=other$$
packets=256
[[ ! $whole ]] || packets=1280
chmod 755 "$tmp"

floods_open() {
	mkfifo "$tmp/floods.in" "$tmp/floods.out"
	ip netns exec "$g2" "$here/floods.py" "$g1" "$g2" "$tmp/floods.log" \
		<"$tmp/floods.in" >"$tmp/floods.out" &
	exec {floods_in}>"$tmp/floods.in" {floods_out}<"$tmp/floods.out"
	rm "$tmp/floods.in" "$tmp/floods.out"
	read -r -t $((60 * factor * patience)) <&"$floods_out"
}

# As the script takes it, and fails
judge() { # format count path kind...
	local answer=nothing

	echo "$1 $tmp/sa.json ${*:2}" >&"$floods_in"
	read -r -t $((180 * factor * patience)) answer <&"$floods_out" || true
	cat "$tmp/floods.log"
	[[ $answer == ok ]]
}

# A new SA at the receiver's end; the sender's is the reference. And one for answers of ESP Echo
receiver() { # esp|esp64|eesp plain|udp
	local words json='' encap='' octets=20 subspaces=4

	case $1 in
	esp) words='format esp rx-subspaces 1' subspaces=1 json=', "format": "esp"' ;;
	esp64) words='rx-subspaces 4' json=', "subspaces": 4' ;;
	eesp)
		words='format eesp rx-subspaces 4 sub-key 128' octets=32
		json=', "sskdf": "hkdf-sha256", "cipher_key": 128, "max_sub_sa": 3'
		;;
	esac
	[[ $1 == eesp ]] || words+=' echo on'
	if [[ $2 == udp ]]; then
		encap='encap espinudp 4500 4500 0.0.0.0'
		json+=', "encap": [4500, 4500]'
	fi
	flush
	wait_for 20 netns_empty "$g2"
	key_for 0x100 "$octets"
	{
		gateway_policies 4 2
		echo "xfrm state add src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x100 reqid 1 mode tunnel" \
			"flag af-unspec aead $aead $key 128 $encap ext $words window 128"
		[[ $1 == eesp ]] || echo "xfrm state add src 10.0.0.2 dst 10.0.0.1 proto esp spi 0x200 reqid 2" \
			"mode tunnel flag af-unspec aead $aead $key2 128 $encap ext ${words%% rx-*}" \
			"tx-subspaces $subspaces" | sed 's/ext rx-.* tx/ext tx/'
	} | ip -n "$g2" -batch -
	printf '{"spi": "0x100", "key": "%s", "icv": 128, "src": "10.0.0.1", "dst": "10.0.0.2"%s}\n' \
		"$key" "$json" >"$tmp/sa.json"
}

# All that there are of a format
kinds_of() { # format
	kinds=(spi icv spoilt ident replay old zero short fragments echo)
	case $1 in
	esp) kinds=("${kinds[@]/ident/}") ;;
	eesp) kinds=("${kinds[@]/echo/}" malformed options) ;;
	esac
	read -ra kinds <<<"${kinds[*]}"
}

# Each by itself
each() { # format plain|udp fast|gro|slow
	local kinds kind

	kinds_of "$1"
	for kind in "${kinds[@]}"; do
		new_keys
		receiver "$1" "$2"
		judge "$1" "$packets" "$3" "$kind"
		[[ $kind != echo ]] || expect "answers" "$(stat "$g2" 0x200 tx-packets)" 1
	done
}

# All together; of replays enough for an event
together() { # format plain|udp fast|gro|slow
	local kinds

	kinds_of "$1"
	receiver "$1" "$2"
	judge "$1" $((1024 * 3 / ${#kinds[@]} + packets)) "$3" "${kinds[@]}" replay old replay old
	[[ $1 == eesp ]] || expect "answers" "$(stat "$g2" 0x200 tx-packets)" 1
}

# Nothing authentic has come yet
unborn() { # format plain|udp fast|gro|slow
	receiver "$1" "$2"
	if [[ $1 == esp ]]; then
		judge "$1" 640 "$3" first spi icv short
	else
		judge "$1" 640 "$3" first spi icv ident short
	fi
}

# Records of each kind, but as many as somebody wants
audited() { # format
	receiver "$1" plain
	judge "$1" $((packets * 2)) fast audited icv ident replay old
}

path() { # fast|gro|slow function format plain|udp
	case $1 in
	gro) gro on "$g2" wan "$g1" wan ;;
	slow) fastpath off ;;
	esac
	"${@:2}" "$1"
	gro off "$g2" wan "$g1" wan
	fastpath on
}

module() { # [parameter]
	flush
	wait_for 30 module_goes
	modprobe xfrm_ext "$@"
}

# --- announcements ----------------------------------------------------------------

user_netns() { # name
	rm -f "$tmp/pid"
	setpriv --reuid 1000 --regid 1000 --clear-groups \
		unshare -Urn sh -c 'echo $$; exec sleep 100000' >"$tmp/pid" &
	wait_for 10 test -s "$tmp/pid"
	pid_of[$1]=$(<"$tmp/pid")
	ip netns attach "$1" "${pid_of[$1]}"
	made+=("$1")
}

as_user() { # name command...
	"${user[@]}" "${pid_of[$1]}" "${@:2}"
}

announces() { # name word...
	as_user "$1" "$here/genl.py" "${@:2}"
}

# As many as there may be, and then he goes on; nobody else has less for it, and packets arrive
announcements() {
	local -A pid_of
	local pid sa='announce family=2 daddr=10.9.0.2 spi=0x100 tx-subspaces=1' said

	user_netns "$one"
	user_netns "$other"
	receiver esp64 plain
	for _ in 1 2 3; do
		said=$SECONDS
		# shellcheck disable=SC2086 # words
		announces "$one" many 1024 ${sa/0x100/0x1000}
		# shellcheck disable=SC2086 # words
		refused 'EBUSY xfrm_ext: 1024 announcements pending; no more than 1024, each ages out after 30 s' \
			announces "$one" $sa
		# Otherwise the first may have aged out before the last was there
		((SECONDS - said >= 25)) || break
	done
	# No shell between: this is who is to be stopped
	yes "$sa" | "${user[@]}" "${pid_of[$one]}" "$here/genl.py" batch >"$tmp/flood" &
	pid=$!
	wait_for 20 grep -q EBUSY "$tmp/flood"
	# Packets, and SAs of others'
	judge esp64 64 fast spi icv replay
	# shellcheck disable=SC2086 # words
	expect "the other user" "$(announces "$other" $sa)" ok
	as_user "$other" ip xfrm state add src 10.9.0.1 dst 10.9.0.2 proto esp spi 0x101 mode tunnel \
		aead "$aead" "$key1" 128 ext tx-subspaces 4
	receiver esp64 plain
	judge esp64 64 fast spi icv replay
	if ((SECONDS - said < 25)); then
		# Each holds the module, and there are no more of them
		expect "the user's announcements" "$(sort "$tmp/flood" | sed 's/ after.*//' | uniq -c | wc -l)" 1
	fi
	kill "$pid"
	wait "$pid" || true
	echo "# $(wc -l <"$tmp/flood") announcements refused while packets came"
	ip -n "$other" xfrm state flush
	ip netns del "$one"
	ip netns del "$other"
	kill "${pid_of[@]}"
}

sysctl -qw net.core.netdev_max_backlog=100000
modprobe xfrm_ext
pair_acquainted
ip netns exec "$g2" sysctl -qw net.ipv4.ipfrag_high_thresh=$((1 << 28))
ip netns exec "$g2" "$here/natt.py" end --gro 4500 >"$tmp/natt" </dev/null &
wait_for 20 grep -q ready "$tmp/natt"
floods_open
for format in esp esp64 eesp; do
	for encap in plain udp; do
		if [[ $whole || $format-$encap == esp64-plain || $format-$encap == eesp-plain ]]; then
			run "$format, $encap, each" path fast each $format $encap
		fi
		run "$format, $encap, all together" path fast together $format $encap
	done
	run "$format, nothing authentic before" path fast unborn $format plain
	run_full "$format, each, the kernel's own path" path slow each $format plain
	[[ $quick && $format != esp64 ]] ||
		run "$format, all together, the kernel's own path" path slow together $format plain
done
run "esp64, audited" audited esp64
run "announcements by an unprivileged user" announcements
module gro=1
for format in esp esp64; do
	run_full "$format, GRO, each" path gro each $format plain
	run "$format, GRO, all together" path gro together $format plain
	run_full "$format, GRO, nothing authentic before" path gro unborn $format plain
	older_than 6.8 || run "$format, GRO, UDP, all together" path gro together $format udp
done
module
finish
