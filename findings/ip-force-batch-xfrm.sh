#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# ip -force -batch ends at the first xfrm command that the kernel refuses
#
# "ip -force -batch FILE" is for going on after a line that failed: ip(8) says "Don't terminate ip on
# errors in batch mode". It does so for routes, links and addresses, and says which line it was
# ("Command failed -:1"). A refused "xfrm state" or "xfrm policy" line ends ip itself, with status 2, without
# a line number; what stands behind it in the file is not done. A script that deletes SAs and
# policies of which some are gone, and then adds others, silently adds nothing.
#
# Seen with iproute2 6.1.0-3 of Debian 12, on Linux 6.18, in a network namespace of its own. Needs no
# privilege but user namespaces. One line a call, or "|| true" around each, is the way out.
set -euo pipefail
version=6.1.0-3
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
apt-get -qq download "iproute2=$version" >/dev/null
dpkg -x iproute2_*.deb root
export PATH=$dir/root/bin:$dir/root/sbin:$PATH

# What ip says of two lines, the second of which asks for lo; then its status
two() { # line
	unshare -rn "$dir/root/bin/ip" -force -batch <(printf '%s\nlink show dev lo\n' "$1") 2>&1 &&
		echo "status 0" || echo "status $?"
}

ip -V
bad=0
while read -r goes_on line; do
	said=$(two "$line")
	echo "--- $line"
	echo "$said"
	if [[ $said == *'lo: <LOOPBACK'* ]]; then went_on=1; else went_on=0; fi
	[[ $went_on == "$goes_on" ]] || { echo "!!! not as before: went on: $went_on"; bad=1; }
done <<'END'
1 addr del 192.0.2.1/32 dev lo
1 link del nosuchlink
0 xfrm state delete src 192.0.2.1 dst 192.0.2.2 proto esp spi 0x1
0 xfrm state get src 192.0.2.1 dst 192.0.2.2 proto esp spi 0x1
0 xfrm policy delete src 192.0.2.1 dst 192.0.2.2 dir in
END
exit $bad
