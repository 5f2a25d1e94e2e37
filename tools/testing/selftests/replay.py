#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Send the IPv4 packets of a capture to an address once more, as they are.

    replay.py PCAP ADDRESS

As reference/inject.py --pcap, without a cipher, which takes long to load.
"""

import pathlib
import socket
import sys

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "reference"))

# pylint: disable=wrong-import-position
import pcap

with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as sock:
    for packet in pcap.read(sys.argv[1]):
        sock.sendto(packet, (sys.argv[2], 0))
