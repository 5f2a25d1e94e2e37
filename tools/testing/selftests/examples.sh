#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# kernels: 7.3-uml
# check: 7.3-uml
# needs: xfrm-ext examples
#
# The examples for the netlink specification, Documentation/netlink/examples: what ynl makes of it
# in C and what its Python library does with it say what xfrm-ext says.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-wire.sh"

home=/usr/lib/xfrm-ext/examples
programs='in_c in_python'

in_c() { # ns word...
	ip netns exec "$1" "$home/ynl-c" "${@:2}"
}

in_python() { # ns word...
	PYTHONPATH=$home PYTHONDONTWRITEBYTECODE=1 ip netns exec "$1" \
		python3 "$home/ynl-python.py" --spec "$home/xfrm_ext.yaml" "${@:2}"
}

# What xfrm-ext says, as the examples say it
in_json() { # ns what
	case $2 in
	caps) ip netns exec "$1" xfrm-ext -j capabilities ;;
	show) ip netns exec "$1" xfrm-ext -j -s show ;;
	esac | "$here/examples.py" "$2"
}

same() { # what lines
	local program

	in_json "$g1" "$1" | sort >"$tmp/wanted"
	expect "lines of $1" "$(wc -l <"$tmp/wanted")" "$2"
	for program in $programs; do
		"$program" "$g1" "$1" | sort >"$tmp/$program"
		diff "$tmp/wanted" "$tmp/$program"
	done
}

capabilities() {
	local algorithms

	algorithms=$(ip netns exec "$g1" xfrm-ext capabilities | grep -c '^algorithm ')
	((algorithms > 3))
	# Three formats and the window
	same caps $((algorithms + 4))
}

nothing() {
	local program

	for program in $programs; do
		expect "SAs" "$("$program" "$g1" show)" ''
	done
}

shown() {
	both_ways 1
	pings 5
	# Two SAs, and one subspace in use of each
	same show 4
	in_c "$g1" show | grep -qx 'sa 10.0.0.2 0x00000100 format esp64 state ready tx-packets 5 rx-packets 0'
	in_c "$g1" show | grep -qx 'subspace 10.0.0.1 0x00000200 rx 0 highest 5'
	by_cli
}

# Ynl's own program
by_cli() {
	PYTHONPATH=$home PYTHONDONTWRITEBYTECODE=1 ip netns exec "$g1" \
		python3 "$home/pyynl/cli.py" --no-schema --spec "$home/xfrm_ext.yaml" \
		--process-unknown --dump get --output-json >"$tmp/cli.json"
	expect "SAs" "$("$here/examples.py" cli <"$tmp/cli.json")" \
$'256 esp64 ready 5\n512 esp64 ready 5'
}

# One in several messages
many() {
	local n

	both_ways 1000
	for ((n = 0; n < 1000; n++)); do
		echo "set family=2 daddr=10.0.0.1 spi=0x200 rx-subspace=$n:$((1000 + n))"
	done | ip netns exec "$g1" "$here/genl.py" batch >"$tmp/answers"
	expect "answers" "$(grep -c '^ok' "$tmp/answers")" 1000
	same show 1002
}

# By one program, and seen by xfrm-ext; and no is no
announced() {
	local program

	flush
	for program in $programs; do
		"$program" "$g1" announce 10.0.0.2 0x100 4
		# Which the SA that is made of it uses up
		ip netns exec "$g1" "$here/xfrm.py" extended 10.0.0.1 10.0.0.2 0x100
		in_json "$g1" show | grep '^sa 10.0.0.2 0x00000100 format esp64 state ready '
		refused 'xfrm_ext: no announcement pending' "$program" "$g1" withdraw 10.0.0.2 0x100
		flush
		"$program" "$g1" announce fd00::2 0x100 4
		"$program" "$g1" withdraw fd00::2 0x100
		refused 'xfrm_ext: tx-subspaces 65537: must be 1 to 65536' \
			"$program" "$g1" announce 10.0.0.2 0x100 65537
	done
}

# A command without attributes
rules() {
	local program

	for program in $programs; do
		ip -n "$g1" xfrm ext rule add reqid 7 format esp
		"$program" "$g1" rule-flush
		expect "rules" "$(ip -n "$g1" xfrm ext rule list)" ''
	done
}

# Adding a rule is an event that ynl does not know
told() {
	local program

	for program in $programs; do
		both_ways 1
		rm -f "$tmp/$program"
		"$program" "$g1" events 2 >"$tmp/$program" 2>&1 &
		wait_for 60 somebody_listens
		ip -n "$g1" xfrm ext rule add format esp
		ip -n "$g1" xfrm ext rule flush
		pings 1
		wait_for 60 finished $!
		wait $!
		printf '%s\n' 'event first-use 10.0.0.2 0x00000100 tx 0' \
			'event first-use 10.0.0.1 0x00000200 rx 0' |
			diff - <(grep ^event "$tmp/$program")
	done
}

# To a group of generic netlink
somebody_listens() {
	ip netns exec "$g1" grep -Eq '^[0-9a-f]+ +16 +[0-9]+ +[0-9a-f]*[1-9a-f]' /proc/net/netlink
}

finished() { # pid
	! kill -0 "$1" 2>/dev/null
}

absent() {
	mkdir -p /etc/modprobe.d
	flush
	wait_for 20 module_goes
	echo 'blacklist xfrm_ext' >/etc/modprobe.d/xfrm_ext.conf
	refused 'is the module xfrm_ext installed?' in_c "$g1" show
	refused "Family 'xfrm_ext' not supported by the kernel" in_python "$g1" show
	rm /etc/modprobe.d/xfrm_ext.conf
	in_c "$g1" show
}

pings() { # count
	ip netns exec "$g1" ping -q -c "$1" -i 0.02 -W 5 10.2.0.1
}

both_ways() { # subspaces
	tunnel 4 "$1"
}

pair
run "what module and kernel can do" capabilities
run "no SA" nothing
run "SAs and subspaces" shown
run "an SA of many subspaces, in several messages" many
run "announced, and refused" announced
run "a command without attributes" rules
run "events" told
run "no module" absent
finish
