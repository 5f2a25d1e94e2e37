#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Scapy asked for ESP with sequence number 0 sends another number, which it then uses again
#
# SecurityAssociation.encrypt(packet, seq_num=N): "if specified, use this sequence number instead of the
# generated one". A receiver's answer to number 0, which no sender may use (RFC 4303 section 3.3.3), is
# something one wants to test. Scapy takes 0 for "not specified" when it writes the number, so that the next of
# its own goes out; and for "specified" when it counts, so that the packet behind it has the same number. The
# receiver delivers the first, and the next one, which is good, it drops as a replay. The same with esn=0 for
# an SA whose esn is not 0.
#
# Seen with python3-scapy 2.5.0+dfsg-2 of Debian 12; 2.6.1 of Debian 13 does the same. The number can be set
# before encryption by an SA with seq_num=0 and seq_num=None in encrypt(). Needs no privilege.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
apt-get -qq download python3-scapy=2.5.0+dfsg-2 python3-cryptography=38.0.4-3+deb12u1 python3-cffi-backend=1.15.1-5+b1 >/dev/null
for deb in *.deb; do dpkg -x "$deb" root; done
HOME=$dir PYTHONPATH=$dir/root/usr/lib/python3/dist-packages /usr/bin/python3 -W ignore - <<'END'
from scapy.all import IP, UDP, conf
from scapy.layers.ipsec import ESP, SecurityAssociation

PACKET = IP(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=7, dport=7) / (b"x" * 40)


def numbers(start, asked):
    sa = SecurityAssociation(ESP, 0x100, seq_num=start, crypt_algo="AES-GCM", crypt_key=bytes(20))
    got = [sa.encrypt(PACKET.copy(), seq_num=number)[ESP].seq for number in asked]
    print("asked for", ", ".join("its own" if n is None else str(n) for n in asked), "- sent:", *got)
    return got


print("Scapy", conf.version)
if (conf.version != "2.5.0" or numbers(1, (9, None, None)) != [9, 1, 2] or
        numbers(1, (0, None, 0, None)) != [1, 1, 2, 2] or numbers(0, (None, None)) != [0, 1]):
    raise SystemExit("!!! not as before")
END
