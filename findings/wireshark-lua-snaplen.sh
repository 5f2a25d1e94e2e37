#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# In Wireshark 4.0, 200 packets that are cut off end a dissector in Lua for good: "C stack overflow"
#
# A dissector in Lua that hands packets to one of Wireshark's own, as nearly all do. If that one asks for
# an octet that was not captured (tcpdump -s), the exception passes the Lua interpreter by, which so
# believes ever more C functions to be running. At 200 it refuses to call any: from the 199th such
# packet on, every packet is "Lua Error: C stack overflow", whole ones as well, until the capture is
# opened again. Packets that are too short by themselves do no harm: that exception is caught.
# pcall() around the call is of no use.
#
# Seen with tshark 4.0.17-0+deb12u3 of Debian 12. 4.4 of Debian 13 has an error of that one packet only.
# In 4.0 a dissector hands over a copy of what was captured: tvb():bytes():tvb("name").
set -euo pipefail
scripts=$(cd "$(dirname "$0")/../scripts" && pwd)
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cat >"$dir/handing.lua" <<'END'
local p = Proto("handing", "Hands ESP to Wireshark's own dissector")
local protos = DissectorTable.get("ip.proto")
local own = protos:get_dissector(50)
function p.dissector(tvb, pinfo, tree)
	return own:call(tvb, pinfo, tree)
end
protos:add(50, p)
END
# 300 packets of ESP, of which 24 of 60 octets were captured; then a whole one
python3 - "$dir/cut.pcap" <<'END'
import struct
import sys

packet = bytes.fromhex("4500003c00000000403200000a0000010a000002") + bytes((0, 0, 1, 0)) + bytes(36)
with open(sys.argv[1], "wb") as f:
    f.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 0x40000, 101))
    for captured in [24] * 300 + [60]:
        f.write(struct.pack("<IIII", 0, 0, captured, 60) + packet[:captured])
END
chmod -R a+rX "$dir"
user=()
((EUID)) || user=(setpriv --reuid 65534 --regid 65534 --clear-groups)

bad=0
while read -r script version wanted; do
	rm -rf "$dir/tshark"
	cp -r "$("$scripts/$script")/usr/lib/tshark" "$dir/tshark"
	chmod -R a+rX "$dir"
	tshark=("${user[@]}" env "HOME=$dir" "WIRESHARK_DATA_DIR=$dir/tshark/data" "$dir/tshark/ld-linux-x86-64.so.2"
		--library-path "$dir/tshark" "$dir/tshark/tshark")
	said=$("${tshark[@]}" --version 2>/dev/null | head -n 1)
	echo "--- $said"
	[[ $said == *"$version"* ]] || { echo "this is about $version" >&2; exit 2; }
	"${tshark[@]}" -X "lua_script:$dir/handing.lua" -r "$dir/cut.pcap" -T fields -e frame.number \
		-e _ws.expert.message >"$dir/out" 2>/dev/null
	awk -F '\t' '/overflow/ && !n++ { print "first: frame " $1 ": " $2 } END { print n + 0 " frames of 301" }' "$dir/out"
	[[ $(grep -c overflow "$dir/out") == "$wanted" ]] || { echo "!!! not as before"; bad=1; }
done <<'END'
tshark.sh 4.0.17 103
tshark-trixie.sh 4.4.19 0
END
exit $bad
