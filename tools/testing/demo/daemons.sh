#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 170
# needs: strongswan
#
# The demonstration's second scene, inside the guest; demo.sh starts it. The same paths and
# traffic, but two strongSwans make the SAs. They know nothing of extended ones; a rule at the
# receiving end does.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# Twice what path B falls behind. A window is a power of two
window=1024
while ((window < 2 * behind && window < 65536)); do
	window=$((2 * window))
done

# All as it comes, but for where the two daemons' sockets are; and what chooses the path is
# the packet's mark, which a tunnel's route looks at only if the SA has an output mark
configure() { # end
	local etc=/etc/netns/g$1 far=$((3 - $1))

	mkdir -p "$etc/swanctl"
	cat >"$etc/strongswan.conf" <<-EOF
		charon-systemd {
			load = random nonce openssl kdf kernel-netlink socket-default vici
			plugins {
				vici {
					socket = unix:///run/g$1.vici
				}
			}
			journal {
				default = -1
			}
		}
		swanctl {
			load = random openssl
			socket = unix:///run/g$1.vici
		}
	EOF
	cat >"$etc/swanctl/swanctl.conf" <<-EOF
		connections {
			demo {
				version = 2
				local_addrs = 192.0.2.$1
				remote_addrs = 192.0.2.$far
				local {
					auth = psk
				}
				remote {
					auth = psk
				}
				children {
					demo {
						local_ts = 10.$1.0.1/32
						remote_ts = 10.$far.0.1/32
						set_mark_out = 0x100/0x100
					}
				}
			}
		}
		secrets {
			ike {
				secret = $psk
			}
		}
	EOF
}

start() { # end
	ip netns exec "g$1" charon-systemd >"$tmp/daemon$1" 2>&1 &
	daemons+=($!)
	until ip netns exec "g$1" swanctl --stats >/dev/null 2>&1; do
		kill -0 "${daemons[@]}"
		sleep 0.2
	done
	ip netns exec "g$1" swanctl --load-all >"$tmp/load$1" 2>&1 || {
		cat "$tmp/daemon$1" "$tmp/load$1" >&2
		exit 1
	}
}

# What g1 sends by
spi() {
	ip -n g1 xfrm state list nokeys src 192.0.2.1 | awk '$1 == "proto" { print $4 }'
}

# What g2 receives by: its window and counters, and what its daemon counts
received() { # lines
	show ip -n g2 -s xfrm state list nokeys src 192.0.2.1 | sed -n "/\$ ip/p; /proto esp/p; $1p"
	show ip netns exec g2 swanctl --list-sas | sed -n '/\$ ip/p; /^ *in /p'
}

psk=0x$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')
daemons=()
# Each finds its own in /etc
mkdir -p /etc/swanctl
touch /etc/strongswan.conf
for n in 1 2; do
	configure $n
	start $n
done

version=$(ip netns exec g1 swanctl --version | awk '$1 == "strongSwan" { print $1, $3 }')
say "The SAs of an IKE daemon: $version, Debian's own, no patch, at both ends"
show ip netns exec g1 swanctl --initiate --child demo --loglevel 0

say "The same two paths, the same traffic: path B falls $behind packets behind"
measure "strongSwan's SA as it comes, window of 32"
received /replay-window/

say "One rule, at the receiving end; it is for SAs to come, so have one made"
show ip -n g2 xfrm ext rule add format esp window "$window"
before=$(spi)
show ip netns exec g2 swanctl --rekey --child demo
# g1 sends by another one, and by that only
until now=$(spi); [[ $now && $now != *"$before"* ]]; do
	kill -0 "${daemons[@]}"
	sleep 0.1
done

say "And again the same traffic. g1 has heard of nothing: on the wire this is ESP as ever"
measure "the same daemons, g2's rule: window of $window"
show ip -n g2 xfrm ext rule list
received '/ext format/,/drops/'

side_by_side
echo
