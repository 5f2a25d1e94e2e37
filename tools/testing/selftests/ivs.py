#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""SPI and IV of every ESP packet over IPv4 or IPv6 in a capture, one a line.

    ivs.py PCAP esp|esp64

Of format esp the eight octets behind SPI and Sequence Number; of esp64 Subspace ID and
Sequence Number, whether they are sent once more or not.
"""

import pathlib
import sys

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "reference"))

# pylint: disable=wrong-import-position
import pcap

for packet in pcap.read(sys.argv[1]):
    version = packet[0] >> 4
    at, proto = (packet[0] % 16 * 4, packet[9]) if version == 4 else (40, packet[6])
    if proto == 50:
        iv = at + (8 if sys.argv[2] == "esp" else 4)
        print(packet[at : at + 4].hex(), packet[iv : iv + 8].hex())
