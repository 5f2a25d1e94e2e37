#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# kernels: 7.3-uml
#
# The cache of flows changes nothing but speed; see flows.py. And the switch.
. "$(dirname "$0")/lib.sh"

switch() {
	expect "at first" "$(ip -n "$g1" xfrm ext flows)" \
		'flows off max 4096 hits 0 learnt 0 stale 0 evicted 0'
	refused 'expected' ip -n "$g1" xfrm ext flows maybe
	refused 'EINVAL xfrm_ext: flows 2: must be 0 or 1' ip netns exec "$g1" "$here/genl.py" flows flows=2
	refused 'EPERM' ip netns exec "$g1" setpriv --bounding-set -net_admin --inh-caps -net_admin \
		"$here/genl.py" flows
	ip -n "$g1" xfrm ext flows on
	ip -n "$g1" xfrm ext flows on
	expect "on" "$(ip -n "$g1" xfrm ext flows)" \
		'flows on max 4096 hits 0 learnt 0 stale 0 evicted 0'
	expect "the other's" "$(ip -n "$g2" xfrm ext flows | cut -d ' ' -f 1-2)" 'flows off'
	ip -n "$g1" xfrm ext flows off
	ip -n "$g1" xfrm ext flows off
	expect "off" "$(ip -n "$g1" xfrm ext flows | cut -d ' ' -f 1-2)" 'flows off'
}

# What a way holds does not keep anything; that the kernel had to wait for a device, the guest
# sees in its log
gone() {
	local pid

	sa 4 '1>2' 4
	sa 4 '2>1' 4
	policies 4
	for n in "$g1" "$g2"; do
		ip -n "$n" xfrm ext flows on
	done
	ip netns exec "$a" ping -q -i 0.01 -W 1 10.2.0.2 >/dev/null &
	pid=$!
	wait_for 20 hits
	# Of a bundle, of what is behind it, of a route that is copied
	ip -n "$g1" link del wan
	ip -n "$g2" xfrm state flush
	ip -n "$g2" link del lan
	kill "$pid"
	wait "$pid" || true
	ip netns del "$g1"
	ip netns del "$g2"
	wait_for 20 module_goes
}

hits() {
	[[ $(ip -n "$g1" xfrm ext flows) != *' hits 0 '* && $(ip -n "$g2" xfrm ext flows) != *' hits 0 '* ]]
}

modprobe xfrm_ext
gateways
run "the switch" switch
run "what invalidates flows" "$here/flows.py" rows
n=6
run "random changes and traffic" "$here/flows.py" random "${SEED:-$RANDOM}" "${SEQUENCES:-$n}"
run "devices and namespaces go while flows are known" gone
finish
