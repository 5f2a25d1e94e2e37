#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# kernels: 6.1-cloud 7.3-uml
# timeout: 3600
# needs: kselftests
#
# The kernel's own tests of IPsec, those of the very kernel that runs, as they are
# (scripts/kselftests.sh), with Debian's ip, which has not heard of extended SAs. Each four times:
#
#	stock	without the module
#	loaded	with the module
#	rule	and each ESP SA is an extended one, by a rule: "ip xfrm ext rule add format esp"
#	keys	and each has a key of its own, as it must: most of these tests give one key to
#		several SAs, and of these a rule lets the first be made
#
# What passes without the module passes with it; what does not is in a table here, with the sentence
# of the documentation that says so. What passes in the table's stead fails this test, too.
#
# Nothing of the tests is changed. A new network namespace has no rule: where there is to be one, ip
# is lib-peers-ip.sh, which adds it to what "ip netns add" makes, and the program that makes its
# namespaces itself has peers-unshare.c before the C library.
. "$(dirname "$0")/lib.sh"

# As the kernel has it: they wait for it to say that a neighbour is not there
sysctl -qw net.ipv4.neigh.default.base_reachable_time_ms=30000 \
	net.ipv6.neigh.default.base_reachable_time_ms=30000 \
	net.ipv4.neigh.default.mcast_solicit=3 net.ipv6.neigh.default.mcast_solicit=3

home=/usr/lib/kselftests
export PEERS_IP=$home/bin/ip PEERS_EXT=/usr/bin/ip PEERS_RULE='format esp'
export PEERS_HITS=$tmp/hits PEERS_OWN_KEYS=

# name, ways, folder, command. What of a script is about IPsec, if it can be told; and no sizes by
# chance, as nft_flowtable.sh takes some if nothing is said. "keys" is for those that do not
# give each SA a key of its own, which ipsec.c does; whose 32 processes shall not break into one
# another's lines
vti='pmtu_vti6_exception pmtu_vti4_exception pmtu_vti6_udp_exception pmtu_vti4_udp_exception
	pmtu_vti6_udp_routed_exception pmtu_vti4_udp_routed_exception pmtu_vti4_default_mtu
	pmtu_vti6_default_mtu pmtu_vti4_link_add_mtu pmtu_vti6_link_add_mtu pmtu_vti6_link_change_mtu'
suites="
xfrm_state	rule		net		./xfrm_state.sh
xfrm_policy	keys		net		./xfrm_policy.sh
rtnetlink	rule		net		./rtnetlink.sh -t kci_test_ipsec
offload		rule		net		./rtnetlink.sh -t kci_test_ipsec_offload
ipsec		rule		net		stdbuf -oL ./ipsec 32
pmtu		rule,keys	net		bash ./pmtu.sh ${vti//[$'\n\t']/ }
vrf-xfrm	rule,keys	net		./vrf-xfrm-tests.sh
flowtable	rule,keys	net/netfilter	./nft_flowtable.sh -o 9000 -l 1500 -r 2000
speed		-		net		./xfrm_policy_add_speed.sh"
case $(uname -r) in
# It has not all of them yet; rtnetlink.sh does all or nothing, nft_flowtable.sh cuts off what has
# not been sent after three seconds, and xfrm_policy.sh, which calls ip some thousand times, takes
# an emulated machine a quarter of an hour
6.1.*) suites=$(grep -E '^(ipsec|pmtu|vrf-xfrm)' <<<"$suites") ;;
esac
[[ ! ${ONLY-} ]] || suites=$(grep -E "^(${ONLY// /|})[[:space:]]" <<<"$suites")

# What passes on stock and not here: way, test, row, and why
algorithm='rules.rst: "What an extended SA cannot be is refused ...: another algorithm than ip xfrm ext capabilities lists"'
key='rules.rst: "any other SA, plain ones too, is refused: ... a key is for one SA"'
differences="
rule ipsec	create tunnel: [[]50, 'digest_null', *		| $algorithm
rule ipsec	create tunnel: [[]50, 'hmac(md5)', *		| $algorithm
rule ipsec	create tunnel: [[]50, *, 'cbc(des)', *		| $algorithm
rule ipsec	create tunnel: [[]50, *, 'cbc(des3_ede)', *	| $algorithm
rule ipsec	create tunnel: [[]50, *, 'cbc(cast5)', *	| $algorithm
rule ipsec	create tunnel: [[]50, *, 'cbc(blowfish)', *	| $algorithm
rule ipsec	create tunnel: [[]50, *, 'cbc(serpent)', *	| $algorithm
rule ipsec	create tunnel: [[]50, *, 'cbc(camellia)', *	| $algorithm
rule ipsec	create tunnel: [[]50, *, 'cbc(twofish)', *	| $algorithm
"
# Later ones have it no more
[[ $(uname -r) != 6.1.* ]] ||
	differences+="rule ipsec	create tunnel: [[]50, 'hmac(rmd160)', * | $algorithm"

# --- a test ------------------------------------------------------------------------

rules() { # add|flush
	if [[ $1 == add ]]; then
		# shellcheck disable=SC2086 # words
		"$PEERS_EXT" xfrm ext rule add $PEERS_RULE
	else
		"$PEERS_EXT" xfrm ext rule list >>"$PEERS_HITS"
		"$PEERS_EXT" xfrm ext rule flush
	fi
}

# What it says is in a file of that name, and goes to the host
perform() { # file way folder command...
	local file=/out/peers-$1 way=$2 folder=$3 path=$home/bin before=() name rc=0

	shift 3
	: >"$PEERS_HITS"
	PEERS_OWN_KEYS=
	if [[ $way == @(rule|keys) ]]; then
		[[ $way == rule ]] || PEERS_OWN_KEYS=1
		path=$tmp/bin:$path
		rules add
		[[ $* != *./ipsec* ]] || before=(
			env "LD_PRELOAD=$home/unshare.so"
			"PEERS_BEGIN=$PEERS_EXT xfrm ext rule add $PEERS_RULE"
			"PEERS_END=$PEERS_EXT xfrm ext rule list >>$PEERS_HITS"
		)
	fi
	(
		cd "$home/selftests/$folder"
		PATH=$path:$home/selftests/net:$PATH KSFT_MACHINE_SLOW=yes "${before[@]}" "$@"
	) >"$file" 2>&1 </dev/null || rc=$?
	echo "exit status $rc" >>"$file"
	# Not all clean up
	while read -r name _; do
		"$PEERS_IP" netns pids "$name" | xargs -r kill -9
		PATH=$path:$PATH ip netns delete "$name"
	done < <("$PEERS_IP" netns list)
	[[ $way != @(rule|keys) ]] || rules flush
}

# Some wait for a thing no longer than so many milliseconds, whatever else the machine does: what
# has not passed is asked again, twice here, once on stock
attempts=3

stock() { # test folder command...
	local n said

	[[ ! -e /sys/module/xfrm_ext ]]
	for n in 1 2; do
		perform "$1-stock-$n" stock "${@:2}"
		said=$("$here/peers.py" rows /out/peers-"$1"-stock-*) || break
		[[ $said == *FAIL* ]] || break
	done
	[[ ! -e /sys/module/xfrm_ext ]]
	[[ ! $said ]] || echo "# on stock: ${said//$'\n'/$'\n# on stock: '}"
	"$here/peers.py" rows /out/peers-"$1"-stock-* >/dev/null || touch "$tmp/none-$1"
}

# Number of what the rules have done, in all namespaces
done_by_rules() { # hits|refused|plain
	awk -v name="$1" '{ for (i = 1; i < NF; i++) if ($i == name) n += $(i + 1) } END { print n + 0 }' \
		"$PEERS_HITS"
}

as_stock() { # way test folder command...
	local n well hits=0 refused=0

	[[ -e /sys/module/xfrm_ext ]]
	for ((n = 1; n <= attempts; n++)); do
		perform "$2-$1-$n" "$1" "${@:3}"
		hits=$((hits + $(done_by_rules hits))) refused=$((refused + $(done_by_rules refused)))
		well=1
		"$here/peers.py" compare "$1" "$2" /out/peers-"$2"-stock-* -- /out/peers-"$2-$1"-* \
			<<<"$differences" >"$tmp/compared" || well=
		[[ ! $well ]] || break
	done
	cat "$tmp/compared"
	if [[ $1 != loaded ]]; then
		echo "# SAs extended: $hits, refused: $refused"
		((hits))
	fi
	[[ $well ]]
}

skip() { # description reason
	count=$((count + 1))
	echo "ok $count $1 # SKIP $2"
}

each() { # way
	local name ways folder command

	while read -r name ways folder command; do
		read -r -a command <<<"$command"
		if [[ $1 == stock ]]; then
			run "stock: $name" stock "$name" "$folder" "${command[@]}"
		elif [[ $1 != loaded && ,$ways, != *,$1,* ]]; then
			continue
		elif [[ -e $tmp/none-$name ]]; then
			skip "$1: $name" "nothing of it passes on stock"
		else
			run "$1: $name" as_stock "$1" "$name" "$folder" "${command[@]}"
		fi
	done < <(grep . <<<"$suites")
}

something_ran() {
	(($(grep -c . <<<"$suites") > $(find "$tmp" -name 'none-*' | wc -l)))
}

modprobe -rq xfrm_ext
# Modules of the kernel's own have come along. Ours is not to come by itself
depmod
mkdir -p /etc/modprobe.d
echo 'blacklist xfrm_ext' >/etc/modprobe.d/peers.conf
mkdir -p "$tmp/bin"
ln -s "$here/lib-peers-ip.sh" "$tmp/bin/ip"
rm -f /out/peers-*
each stock
rm /etc/modprobe.d/peers.conf
modprobe xfrm_ext
for way in loaded rule keys; do
	each "$way"
done
run "something of them runs on stock" something_ran
finish
