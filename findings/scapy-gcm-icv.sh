#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Scapy's crypt_icv_size is taken for AES-GCM and does nothing
#
# SecurityAssociation(ESP, ..., crypt_icv_size=8) is "change the default size of the crypt_algo". RFC 4106 has
# ICVs of 8, 12 and 16 octets for AES-GCM, and Linux takes all three (aead 'rfc4106(gcm(aes))' KEY 64). With AES-CCM
# Scapy does what it is told. With AES-GCM every packet has 16 octets, without a word; and it can read its own,
# for what it cuts off at the end by the size it was given it puts back behind the text. So a test between two
# Scapys passes, and a peer with a shorter ICV refuses everything.
#
# Seen with python3-scapy 2.5.0+dfsg-2 of Debian 12; 2.6.1 of Debian 13 does the same. Needs no privilege.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
apt-get -qq download python3-scapy=2.5.0+dfsg-2 python3-cryptography=38.0.4-3+deb12u1 python3-cffi-backend=1.15.1-5+b1 >/dev/null
for deb in *.deb; do dpkg -x "$deb" root; done
HOME=$dir PYTHONPATH=$dir/root/usr/lib/python3/dist-packages /usr/bin/python3 -W ignore - <<'END'
from scapy.all import IP, UDP, conf, raw
from scapy.layers.ipsec import ESP, SecurityAssociation

PACKET = IP(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=7, dport=7) / (b"x" * 40)
# SPI, sequence number, IV; the UDP packet, padding to four octets with Pad Length and Next Header
WITHOUT_ICV = 4 + 4 + 8 + 8 + 40 + 2 + 2

print("Scapy", conf.version)
as_before = conf.version == "2.5.0"
for algorithm, key, obeys in (("AES-CCM", bytes(19), True), ("AES-GCM", bytes(20), False)):
    for size in (8, 12, 16):
        sa = SecurityAssociation(ESP, 0x100, crypt_algo=algorithm, crypt_key=key, crypt_icv_size=size)
        packet = sa.encrypt(PACKET.copy())
        got = len(raw(packet[ESP])) - WITHOUT_ICV
        reads = raw(sa.decrypt(packet)).endswith(b"x" * 40)
        print(f"{algorithm}, crypt_icv_size={size}: {got} octets of ICV;", "Scapy reads it" if reads else "unread")
        as_before &= got == (size if obeys else 16) and reads
if not as_before:
    raise SystemExit("!!! not as before")
END
