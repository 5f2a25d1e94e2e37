# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2034,SC2154
#
# strongSwan's daemon at each of the two ends, and what it does to SAs. To be read behind
# lib-ike.sh.
#
# The script has
#
#	connections              an array of names
#	connection NAME END      the section of swanctl.conf
#	plugin_section END       that of one more plugin in strongswan.conf, if it has one loaded

# All as it comes, but for where things are, and: how long one may still receive by SAs that
# have been replaced is 5 seconds otherwise; and BEET is a matter between strongSwans, which
# must have said that they are
configure() { # end [plugin]
	local dir=$tmp/$1 name

	mkdir -p "$dir"
	cat >"$dir/strongswan.conf" <<-EOF
		charon-systemd {
			load = random nonce openssl kdf kernel-netlink socket-default vici ${2-}
			delete_rekeyed_delay = 1
			send_vendor_id = yes
			filelog {
				all {
					path = $dir/log
					append = yes
					flush_line = yes
					default = 1
				}
			}
			journal {
				default = -1
			}
			plugins {
				vici {
					socket = unix://$dir/vici
				}
				$([[ ! ${2-} ]] || plugin_section "$1")
			}
		}
		swanctl {
			load = random openssl
		}
	EOF
	{
		echo "connections {"
		for name in "${connections[@]}"; do
			connection "$name" "$1"
		done
		echo "}"
		echo "secrets { ike { secret = 0x$(printf '%02x' {1..32}) } }"
	} >"$dir/swanctl.conf"
}

control() { # end word...
	STRONGSWAN_CONF=$tmp/$1/strongswan.conf SWANCTL_DIR=$tmp/$1 \
		swanctl "${@:2}" --uri "unix://$tmp/$1/vici"
}

daemon() { # end
	ip netns exec "$(ns_of "$1")" env "STRONGSWAN_CONF=$tmp/$1/strongswan.conf" \
		charon-systemd >>"$tmp/$1/output" 2>&1 &
	echo $! >"$tmp/$1/pid"
	# It stays when the test ends that has started it
	disown
	wait_for 60 control "$1" --stats
	control "$1" --load-all
}

daemons_end() {
	local n

	for n in 1 2; do
		kill "$(<"$tmp/$n/pid")"
	done
	wait_for 30 daemons_gone
}

daemons_gone() {
	! kill -0 "$(<"$tmp/1/pid")" 2>/dev/null && ! kill -0 "$(<"$tmp/2/pid")" 2>/dev/null
}

# Each end asks once, for the child
rekey() { # connection
	local n before

	for n in 1 2; do
		before=$(spis 1)
		control "$n" --rekey --child "$1"
		wait_for 20 another_pair "$before"
		watch more 5
	done
}

# To another address, and back
move() { # connection
	local before

	before=$(spis 1)
	move_to 10.0.0.1 10.0.0.3
	move_to 10.0.0.3 10.0.0.1
	expect "SPIs" "$(spis 1)" "$before"
}

# The peer hears of a second address before the first one goes: a daemon whose address goes while
# it waits for an answer tries again after 4 seconds
move_to() { # from to
	local before

	before=$(replies)
	ip -n "$g1" addr add "$2/24" dev wan
	wait_for 20 more_replies "$before"
	watch cut
	ip -n "$g1" addr del "$1/24" dev wan
	wait_for 20 moved "$@"
	watch whole
	watch more 5
}

replies() {
	grep -c 'parsed INFORMATIONAL response' "$tmp/1/log" || true
}

more_replies() { # replies
	(($(replies) > $1))
}
