#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""What the packets of format esp64 in a capture look like to who spreads flows.

    spread.py PCAP SPI      one line for each Subspace ID of the SA, in order: ID, UDP
                            source port or -, IPv6 flow label or -, packets. Fails if a
                            subspace has several of them.
"""

import pathlib
import struct
import sys

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "reference"))

# pylint: disable=wrong-import-position
import iphdr
import pcap

NATT_PORT = 4500


def flows(path, spi):
    found = {}
    for packet in pcap.read(path):
        header, at = iphdr.parse(packet)
        port = "-"
        if header.proto == iphdr.PROTO_UDP:
            sport, dport = struct.unpack_from("!HH", packet, at)
            if dport != NATT_PORT:
                continue
            port, at = str(sport), at + iphdr.UDP_LEN
        elif header.proto != iphdr.PROTO_ESP:
            continue
        if struct.unpack_from("!I", packet, at)[0] != spi:
            continue
        label = f"{header.label:#07x}" if len(header.addresses) == 32 else "-"
        of = found.setdefault(struct.unpack_from("!H", packet, at + 4)[0], {})
        of[port, label] = of.get((port, label), 0) + 1
    return found


def main(path, spi):
    found = flows(path, int(spi, 0))
    if not found:
        sys.exit("no packets of that SPI")
    for subspace, of in sorted(found.items()):
        if len(of) != 1:
            sys.exit(f"subspace {subspace}: {of}")
        (port, label), count = of.popitem()
        print(subspace, port, label, count)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
