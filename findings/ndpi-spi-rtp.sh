#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# nDPI takes ESP in UDP on port 4500 for RTP, if the SPI begins with 0x80 or 0xa0
#
# Port 4500 has been IPsec's since RFC 3948, and what tells ESP from IKE there is four octets: not zero. nDPI knows
# the port, and calls a flow on it IPsec - unless its first octets could be an RTP header: version 2, no CSRC, a
# payload type that is in use. So one SA in some hundreds, by the SPI that its receiver has drawn, is voice in
# statistics, in what is shaped by them, and in what is alarmed about; after the next rekeying it is IPsec again.
# EESP (draft-ietf-ipsecme-eesp) in UDP begins with 0x80 in every packet, by design, and mostly with 0 behind it.
#
# Seen with libndpi-bin 4.2-2 of Debian 12 (ndpiReader). Of second octets that were tried, 0x23 to 0x5f and 0xc8 to
# 0xd0 are left IPsec. A rule of one's own ("udp:4500@IPsec" in a file for -p) did not change it. Needs no privilege.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
apt-get -qq download libndpi-bin=4.2-2 libndpi4.2=4.2-2 libpcap0.8=1.10.3-1 >/dev/null
for deb in *.deb; do dpkg -x "$deb" root; done
export LD_LIBRARY_PATH=$dir/root/usr/lib/x86_64-linux-gnu

# A capture of one SA each way: UDP 4500 to 4500, SPI and number, and what could be ciphertext
capture() { # SPI
	/usr/bin/python3 - "$1" <<-'END'
		import random, socket, struct, sys

		spi, rng, packets = int(sys.argv[1], 0), random.Random(1), []
		for n in range(40):
		    src, dst = ("10.0.0.1", "10.0.0.2")[:: 1 - n % 2 * 2]
		    esp = struct.pack("!II", spi ^ n % 2, n // 2 + 1) + rng.randbytes(120)
		    udp = struct.pack("!HHHH", 4500, 4500, 8 + len(esp), 0) + esp
		    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), n, 0, 64, 17, 0,
		                       socket.inet_aton(src), socket.inet_aton(dst))
		    frame = bytes.fromhex("020000000002" "020000000001" "0800") + head + udp
		    packets.append(struct.pack("<IIII", 1700000000 + n, 0, len(frame), len(frame)) + frame)
		with open("one.pcap", "wb") as f:
		    f.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1) + b"".join(packets))
	END
}

called() { # SPI: prints what the flow is called
	capture "$1"
	root/usr/bin/ndpiReader -i one.pcap 2>/dev/null |
		awk '/^Detected protocols/ { on = 1; next } /^Protocol statistics/ { on = 0 } on && NF { print $1 }'
}

status=0
for line in '0x01234567 IPsec' '0x7f123456 IPsec' '0x80123456 RTP' '0x80001234 RTP' '0x80041234 RTP' \
	'0x80501234 IPsec' '0x81123456 IPsec' '0xa0123456 RTP' '0xc0123456 IPsec'; do
	read -r spi want <<<"$line"
	got=$(called "$spi")
	echo "SPI $spi: $got"
	[[ $got == "$want" ]] || status=1
done
((!status)) || echo '!!! not as before'
exit $status
