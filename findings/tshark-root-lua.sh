#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# As root, tshark 4.4 runs no script that "-X lua_script:" names, and does not say so
#
# Nor does it run those in root's own plugin folder; a file that is not there is no error, either. Its
# one warning, "Running as user root ... could be dangerous", is on standard error with every other call.
# So on a gateway, where one is root, a protocol is simply shown as if there were no dissector for
# it. tshark 4.0 of Debian 12 does run them: its /etc/wireshark/init.lua says
# run_user_scripts_when_superuser. In 4.4 that file is gone, and one that is put there changes nothing.
#
# Seen with tshark 4.4.19-0+deb13u1 of Debian 13. Needs no privilege but user namespaces. Scripts in the
# global plugin folder (/usr/lib/x86_64-linux-gnu/wireshark/plugins) are run for root as well, or look at
# captures as an ordinary user.
set -euo pipefail
version=4.4.19
tree=$("$(dirname "$0")/../scripts/tshark-trixie.sh")/usr/lib/tshark
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cp -r "$tree" "$dir/tshark"
echo 'print("the script runs")' >"$dir/hello.lua"
# A capture without packets
printf '\xd4\xc3\xb2\xa1\x02\0\x04\0\0\0\0\0\0\0\0\0\0\0\x04\0\x65\0\0\0' >"$dir/empty.pcap"
chmod -R a+rX "$dir"
as_user=() as_root=(unshare -r)
((EUID)) || as_user=(setpriv --reuid 65534 --regid 65534 --clear-groups) as_root=()

tshark() { # word...
	HOME=$dir WIRESHARK_DATA_DIR=$dir/tshark/data "$dir/tshark/ld-linux-x86-64.so.2" \
		--library-path "$dir/tshark" "$dir/tshark/tshark" "$@"
}
export -f tshark
export dir

said=$(tshark --version 2>/dev/null | head -n 1)
echo "$said"
[[ $said == *"$version"* ]] || { echo "this is about $version" >&2; exit 2; }

bad=0
while read -r who wanted; do
	case $who in
	user) as=("${as_user[@]}") ;;
	root) as=("${as_root[@]}") ;;
	esac
	# shellcheck disable=SC2016 # for the inner shell
	said=$("${as[@]}" bash -c 'tshark -X "lua_script:$dir/hello.lua" -r "$dir/empty.pcap"' 2>"$dir/err") && rc=0 || rc=$?
	echo "--- as $who: status $rc, printed '$said'; errors: $(grep -v 'Running as user' "$dir/err" || echo none)"
	[[ $said == "${wanted//_/ }" && $rc == 0 ]] || { echo "!!! not as before"; bad=1; }
done <<'END'
user the_script_runs
root
END
exit $bad
