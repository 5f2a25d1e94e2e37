#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# kernels: 6.1-cloud 6.1-debug 6.12-cloud 7.3-uml
# check: 7.3-uml
#
# Memory has an owner and a bound. An ordinary user, in a user namespace of his own, makes
# SAs without number, and packets make windows and counters: all is charged to the memory
# cgroup of whoever made the SA, not of whoever sends, and a namespace has a bound beside
# it. What is refused is counted or says why, other namespaces do not notice, and when the
# SAs are gone the accounts are empty. (Each failing allocation: failing.sh.)
. "$(dirname "$0")/lib.sh"

needs_cpus 2
user=user$$ other=other$$
cg=$tmp/cg
parameters=/sys/module/xfrm_ext/parameters
chmod 755 "$tmp"

# One octet in the subspace of each mark, from one CPU; an error is not ours to judge
cat >"$tmp/send.py" <<'END'
import os, socket, sys
cpu, first, last = (int(word) for word in sys.argv[1:])
os.sched_setaffinity(0, {cpu})
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for mark in range(first, last + 1):
    s.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, mark)
    try:
        s.sendto(b"x", ("127.0.0.2", 9))
    except OSError:
        pass
END

# A user namespace with a network namespace of a user's own
user_netns() { # name
	rm -f "$tmp/pid"
	setpriv --reuid 1000 --regid 1000 --clear-groups \
		unshare -Urn sh -c 'echo $$; exec sleep 100000' >"$tmp/pid" &
	wait_for 10 test -s "$tmp/pid"
	ip netns attach "$1" "$(<"$tmp/pid")"
	made+=("$1")
	ip -n "$1" link set lo up
	ip netns exec "$1" sysctl -qw net.ipv4.conf.lo.disable_xfrm=0 \
		net.ipv4.conf.lo.disable_policy=0
	loopback_policy "$1"
}

loopback_policy() { # ns
	ip -n "$1" xfrm policy add src 127.0.0.1 dst 127.0.0.2 dir out \
		tmpl src 127.0.0.1 dst 127.0.0.2 proto esp reqid 1 mode transport
}

# What he does is done in his namespaces, as him, and in his cgroup if he has one
as_user() { # command...
	(
		[[ ! -d $cg/user ]] || echo "$BASHPID" >"$cg/user/cgroup.procs"
		exec setpriv --reuid 1000 --regid 1000 --clear-groups \
			nsenter --preserve-credentials -U -n -t "$(<"$tmp/pid")" "$@"
	)
}

sa_words() { # spi subspaces window
	local key

	key_for "$1"
	echo "src 127.0.0.1 dst 127.0.0.2 proto esp spi $1 reqid 1 mode transport" \
		"aead $aead $key 128 ext tx-subspaces $2 select mark select-cpus 1" \
		"rx-subspaces $2 window $3 memory-max 1073741824"
}

user_sa() { # spi subspaces window
	# shellcheck disable=SC2046 # words are wanted
	as_user ip xfrm state add $(sa_words "$@")
}

sends() { # ns cpu first last
	ip netns exec "$1" python3.11 "$tmp/send.py" "$2" "$3" "$4"
}

bound() { # octets
	echo "$1" >"$parameters/netns_memory_max"
}

# Delete all, and nothing is left in the account; what comes next is new
gone() { # ns
	new_keys
	ip -n "$1" xfrm state flush
	wait_for 10 netns_empty "$1" || expect "account" "$(netns_memory "$1")" 0
}

received() { # ns spi packets
	(($(stat "$1" "$2" rx-packets) + $(stat "$1" "$2" rx-nomem-window) == $3))
}

# Or refused before that
judged() { # ns spi packets
	received "$1" "$2" $(($3 - $(stat "$1" "$2" tx-nomem)))
}

cgroup_memory() { # cgroup
	cat "$cg/$1/memory.current"
}

# Whatever the test before has left
fresh() { # function [argument...]
	ip -n "$user" xfrm state flush
	"$@"
}

# Windows of 128 MiB that packets of root's make for a user with 64 MiB
charged() {
	local memory before charge refused

	bound $((1 << 30))
	before=$(cgroup_memory user)
	user_sa 0x100 4096 65536
	sends "$user" 0 0 4095
	wait_for 10 judged "$user" 0x100 4096
	memory=$(stat "$user" 0x100 memory)
	refused=$(stat "$user" 0x100 rx-nomem-window)
	charge=$(cgroup_memory user)
	echo "# $((memory >> 20)) MiB of windows, $((charge >> 20)) MiB charged, $refused packets refused"
	((memory < 64 << 20))
	((memory > 32 << 20))
	((charge - before >= memory))
	((refused + $(stat "$user" 0x100 tx-nomem) > 1024))
	# The windows that there are go on
	sends "$user" 0 0 0
	wait_for 10 judged "$user" 0x100 4097
	expect "refused" "$(stat "$user" 0x100 rx-nomem-window)" "$refused"
	gone "$user"
	wait_for 10 uncharged $((before + (4 << 20)))
}

# The kernel gives back what it keeps for the next in its own time
uncharged() { # octets
	(($(cgroup_memory user) < $1))
}

# Root of a user namespace makes as many SAs as he likes
without_number() {
	local max=$((1 << 20)) n used each

	bound "$max"
	expect "bound" "$(netns_memory "$user" -max)" "$max"
	user_sa 0x1 1 64
	each=$(netns_memory "$user")
	# The structure and what there is per CPU, whatever the size: not nothing
	((each > 4096))
	for ((n = 0x2; n < max / 4096; n++)); do
		echo "xfrm state add $(sa_words "$n" 1 64)" | sed "s/rfc4106(gcm(aes))/'&'/"
	done >"$tmp/batch"
	as_user ip -force -batch "$tmp/batch" >"$tmp/out" 2>&1 && return 1
	n=$(ip -n "$user" xfrm state | grep -c '^src ')
	used=$(netns_memory "$user" -all)
	echo "# $n SAs take $used octets of $max"
	expect "account" "$(netns_memory "$user")" $((n * each))
	((used <= max && used + each > max))
	refused "no memory for an SA of $each octets: the namespace's SAs take $used of at most $max (netns_memory_max)" \
		user_sa 0x2000 1 64
	# An ordinary SA has no part in it, and nobody else has
	as_user ip xfrm state add src 127.0.0.1 dst 127.0.0.3 proto esp spi 0x1 mode transport \
		aead "$aead" "$key1" 128
	# shellcheck disable=SC2046 # words are wanted
	ip -n "$other" xfrm state add $(sa_words 0x100 16 1024)
	sends "$other" 0 0 15
	wait_for 10 received "$other" 0x100 16
	expect "drops" "$(drops "$other" 0x100)" none
	gone "$other"
	# One goes, one comes
	as_user ip xfrm state delete src 127.0.0.1 dst 127.0.0.2 proto esp spi 0x2
	wait_for 10 user_sa 0x2000 1 64
	expect "account" "$(netns_memory "$user" -all)" "$used"
	gone "$user"
}

# Windows up to the bound; whatever is refused tries again
windows() {
	local max used refused

	# What is remembered of keys counts, too, and is not always the same: room is left over behind
	# the last window, for the transmit counters
	max=$(($(netns_memory "$user" -all) + (1 << 20)))
	bound "$max"
	user_sa 0x100 64 65536
	sends "$user" 0 0 63
	wait_for 10 received "$user" 0x100 64
	used=$(netns_memory "$user" -all)
	refused=$(stat "$user" 0x100 rx-nomem-window)
	echo "# $used octets of $max, $refused packets refused"
	expect "drops" "$(drops "$user" 0x100)" "rx-nomem-window $refused"
	# A window takes 128 + 65536 / 2 octets
	expect "windows" $((64 - refused)) $(((max - (used - (64 - refused) * 32896)) / 32896))
	((refused > 0 && used <= max))
	expect "listed" "$(block "$user" 0x100 -s | grep -c 'rx-subspace ')" $((64 - refused))
	bound $((64 << 20))
	sends "$user" 0 0 63
	wait_for 10 received "$user" 0x100 128
	expect "drops" "$(drops "$user" 0x100)" "rx-nomem-window $refused"
	expect "listed" "$(block "$user" 0x100 -s | grep -c 'rx-subspace ')" 64
	expect "memory" "$(stat "$user" 0x100 memory)" $((64 * (8 + 8 + 64 + 32896)))
	gone "$user"
}

# Without one nothing is sent; those that there are go on
counters() {
	local used

	bound $((64 << 20))
	user_sa 0x100 64 64
	sends "$user" 0 0 1
	wait_for 10 received "$user" 0x100 2
	used=$(netns_memory "$user" -all)
	bound "$used"
	sends "$user" 0 1 63
	wait_for 10 received "$user" 0x100 3
	expect "drops" "$(drops "$user" 0x100)" 'tx-nomem 62'
	expect "account" "$(netns_memory "$user" -all)" "$used"
	refused "no memory for a counter of 64 octets: the namespace's SAs take $used of at most $used (netns_memory_max)" \
		ip -n "$user" xfrm ext set dst 127.0.0.2 spi 0x100 tx-subspace 5 highest 10
	refused "no memory for a window of 192 octets: the namespace's SAs take $used of at most $used (netns_memory_max)" \
		ip -n "$user" xfrm ext set dst 127.0.0.2 spi 0x100 rx-subspace 5 highest 10
	gone "$user"
}

# What an SA has for each CPU that receives; where there is no room it does without
other_cpus() {
	local one two

	bound $((64 << 20))
	user_sa 0x100 1 64
	sends "$user" 0 0 0
	wait_for 10 received "$user" 0x100 1
	one=$(netns_memory "$user")
	sends "$user" 1 0 0
	wait_for 10 received "$user" 0x100 2
	two=$(netns_memory "$user")
	((two > one + 256))
	((two < one + 4096))
	gone "$user"

	user_sa 0x100 1 64
	sends "$user" 0 0 0
	wait_for 10 received "$user" 0x100 1
	expect "account" "$(netns_memory "$user")" "$one"
	bound "$(netns_memory "$user" -all)"
	sends "$user" 1 0 0
	wait_for 10 received "$user" 0x100 2
	expect "drops" "$(drops "$user" 0x100)" none
	expect "account" "$(netns_memory "$user")" "$one"
	gone "$user"
}

# Made, used and deleted, and refused: whatever way one goes, it gives back what it had
cycles() { # times
	local n

	bound $((64 << 20))
	for ((n = 0; n < $1; n++)); do
		new_keys
		user_sa 0x100 8 1024
		sends "$user" $((n % 2)) 0 7
		sends "$user" $(((n + 1) % 2)) 0 7
		user_sa 0x100 8 1024 2>/dev/null && return 1
		user_sa 0x101 0 1024 2>/dev/null && return 1
		# shellcheck disable=SC2046 # words are wanted
		as_user ip xfrm state add $(sa_words 0x102 8 1024) extra-flag oseq-may-wrap 2>/dev/null && return 1
		ip -n "$user" xfrm state flush
	done
	gone "$user"
}

# The namespace goes first
left() {
	local pid

	pid=$(<"$tmp/pid")
	user_sa 0x100 8 1024
	sends "$user" 0 0 7
	ip netns del "$user"
	kill "$pid"
	ip -n "$other" xfrm state flush
	wait_for 20 unused
}

modprobe xfrm_ext
mkdir "$cg"
user_netns "$user"
netns_add "$other"
ip netns exec "$other" sysctl -qw net.ipv4.conf.lo.disable_xfrm=0 net.ipv4.conf.lo.disable_policy=0
loopback_policy "$other"
if mount -t cgroup2 none "$cg" && echo +memory >"$cg/cgroup.subtree_control"; then
	mkdir "$cg/user"
	echo 64M >"$cg/user/memory.max"
	run "windows that packets make are charged to whoever made the SA" fresh charged
	rmdir "$cg/user"
	umount "$cg"
else
	count=$((count + 1))
	echo "ok $count windows are charged # SKIP no memory cgroup"
fi
run_full "SAs without number" fresh without_number
run "windows up to the bound" fresh windows
run "counters up to the bound" fresh counters
run "states for other CPUs up to the bound" fresh other_cpus
run "the account is empty in the end" fresh cycles "$([[ $quick ]] && echo 2 || echo 10)"
run "a namespace that goes" fresh left
finish
