#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Scapy 2.5 with nat_t_header: over IPv4 the UDP header says that nothing follows it
#
# SecurityAssociation(ESP, ..., nat_t_header=UDP(sport=4500, dport=4500)) puts ESP into UDP (RFC 3948). Over
# IPv4 the packet has its ESP, and an IP header with the right length, but UDP's length is 8: Scapy computes it
# before ESP is behind it. A receiver takes it for a datagram without data and some padding: nothing of it
# reaches a decapsulating socket's ESP, no counter of xfrm moves, and Scapy itself does not find ESP in it
# again. Over IPv6 the length is right.
#
# Seen with python3-scapy 2.5.0+dfsg-2 of Debian 12; 2.6.1 of Debian 13 writes the right one. Setting
# packet[UDP].len by hand before sending helps. Needs no privilege.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
apt-get -qq download python3-scapy=2.5.0+dfsg-2 python3-cryptography=38.0.4-3+deb12u1 python3-cffi-backend=1.15.1-5+b1 >/dev/null
for deb in *.deb; do dpkg -x "$deb" root; done
HOME=$dir PYTHONPATH=$dir/root/usr/lib/python3/dist-packages /usr/bin/python3 -W ignore - <<'END'
from scapy.all import IP, UDP, IPv6, conf, raw
from scapy.layers.ipsec import ESP, SecurityAssociation

PACKET = IP(src="10.1.0.1", dst="10.2.0.1") / UDP(sport=7, dport=7) / (b"x" * 40)

print("Scapy", conf.version)
as_before = conf.version == "2.5.0"
for outer, header, says_nothing in ((IP(src="10.0.0.1", dst="10.0.0.2"), 20, True),
                                    (IPv6(src="fd00::1", dst="fd00::2"), 40, False)):
    sa = SecurityAssociation(ESP, 0x100, crypt_algo="AES-GCM", crypt_key=bytes(20), tunnel_header=outer,
                             nat_t_header=UDP(sport=4500, dport=4500))
    octets = raw(sa.encrypt(PACKET.copy()))
    got = int.from_bytes(octets[header + 4:header + 6], "big")
    again = type(outer)(octets)
    print(f"{outer.name}: {len(octets) - header} octets from the UDP header on, which says {got};",
          "read again:", again.summary())
    as_before &= (got == 8) == says_nothing and again.haslayer(ESP) != says_nothing
if not as_before:
    raise SystemExit("!!! not as before")
END
