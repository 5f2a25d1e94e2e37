#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Scapy 2.5 with extended sequence numbers and HMAC: the ICV does not cover the high half
#
# SecurityAssociation(ESP, ..., esn_en=True, esn=N) is how Scapy is told to speak with a peer that has ESN.
# With AES-GCM it puts N into the AAD. With a cipher and an integrity algorithm of its own (AES-CBC and
# HMAC-SHA-256 here) it does not append N to what is authenticated, as RFC 4303 section 2.2.1 has it, and
# does not say so: the packet is the one without ESN, octet by octet, whatever N is. A peer with ESN
# drops every one of them for its ICV. Scapy itself believes them, as it checks them the same way: a test that
# sends and receives with Scapy passes. For AH of the same class it is right.
#
# Seen with python3-scapy 2.5.0+dfsg-2 of Debian 12. In 2.6.1 of Debian 13 the ICV is as the RFC has it, so
# that two ends of these versions do not understand each other with ESN and HMAC. Needs no privilege.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
apt-get -qq download python3-scapy=2.5.0+dfsg-2 python3-cryptography=38.0.4-3+deb12u1 python3-cffi-backend=1.15.1-5+b1 >/dev/null
for deb in *.deb; do dpkg -x "$deb" root; done
HOME=$dir PYTHONPATH=$dir/root/usr/lib/python3/dist-packages /usr/bin/python3 -W ignore - <<'END'
import hashlib
import hmac
import struct

from scapy.all import IP, UDP, conf, raw
from scapy.layers.ipsec import ESP, SecurityAssociation

KEY, AUTH = bytes(range(16)), bytes(range(32))
PACKET = IP(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=7, dport=7) / (b"x" * 40)


def icv(octets):
    return hmac.new(AUTH, octets, hashlib.sha256).digest()[:16]


print("Scapy", conf.version)
as_before = conf.version == "2.5.0"
for high in (None, 1, 2):
    sa = SecurityAssociation(ESP, 0x100, crypt_algo="AES-CBC", crypt_key=KEY, auth_algo="SHA2-256-128",
                             auth_key=AUTH, esn_en=high is not None, esn=high or 0)
    octets = raw(sa.encrypt(PACKET.copy(), seq_num=7, iv=bytes(16))[ESP])
    text, got = octets[:-16], octets[-16:]
    without, wanted = icv(text), icv(text + (struct.pack("!L", high) if high else b""))
    print(f"ESN, high half {high}:" if high else "no ESN:", got.hex(), "by RFC 4303:", wanted.hex())
    as_before &= got == without and (not high or got != wanted)
if not as_before:
    raise SystemExit("!!! not as before")
END
