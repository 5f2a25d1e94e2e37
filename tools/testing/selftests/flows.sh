#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# kernels: 6.1-cloud 6.1-debug 7.3-uml
# timeout: 1800
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

hits_of() { # ns
	ip -n "$1" xfrm ext flows | sed 's/.* hits \([0-9]*\) .*/\1/'
}

# What one CPU sends it receives at the other end, too
known_on() { # cpu
	local before

	before=$(hits_of "$g1")
	ip netns exec "$a" taskset -c "$1" ping -q -c 5 -i 0.01 -W 1 10.2.0.2
	(($(hits_of "$g1") > before))
}

# It has its flows without being asked
new_cpu() {
	local online=/sys/devices/system/cpu/cpu1/online

	tunnel 4 4
	echo 0 >"$online"
	ip -n "$g1" xfrm ext flows on
	known_on 0
	echo 1 >"$online"
	wait_for 20 known_on 1
	ip -n "$g1" xfrm ext flows off
	flush
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
	[[ $(hits_of "$g1") != 0 && $(hits_of "$g2") != 0 ]]
}

modprobe xfrm_ext
gateways
run "the switch" switch
[[ ! -e /sys/devices/system/cpu/cpu1/online ]] || run "a CPU that comes" new_cpu
# A slow kernel does one of each kind
rows=()
((factor == 1)) || rows=("policy gone out" "rekey" "link down")
n=2
[[ ! $whole ]] || n=20
((factor == 1)) || n=1
run "what invalidates flows" "$here/flows.py" rows "${rows[@]}"
run "what is received as a list" "$here/flows.py" hints
run "random changes and traffic" "$here/flows.py" random "${SEED:-$RANDOM}" "${SEQUENCES:-$n}"
[[ ! $whole ]] || run "nothing is lost over changes under load" "$here/flows.py" load 60
run "devices and namespaces go while flows are known" gone
finish
