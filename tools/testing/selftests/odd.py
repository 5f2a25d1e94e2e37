#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Packets that no application makes.

    odd.py datagrams NS SRC DST PORT COUNT    small UDP datagrams from NS, one to each port
                                              from PORT on
    odd.py ufo NS PEER SRC DST PORT OCTETS [delivered]
                                              a UDP datagram from the tun device "ufo" of NS,
                                              to be cut into fragments; "delivered": PEER must
                                              get it whole
"""

import fcntl
import os
import pathlib
import socket
import struct
import sys

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "reference"))

# pylint: disable=wrong-import-position
import esp64
import genl

TUNSETIFF, IFF_TUN, IFF_NO_PI, IFF_VNET_HDR = 0x400454CA, 1, 0x1000, 0x4000
NEEDS_CSUM, GSO_UDP = 1, 3
TIMEOUT = 30 * int(os.environ.get("TIME_FACTOR", "1"))


def datagrams(ns, src, dst, port, count):
    with genl.namespace(ns), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((src, 0))
        for i in range(int(count)):
            try:
                sock.sendto(b"odd", (dst, int(port) + i))
            except OSError as error:
                print(f"# {error.strerror}")


def ufo_packet(src, dst, port, data):
    """With the header of virtio: the checksum is the sum of the pseudo header so far."""
    src, dst = socket.inet_aton(src), socket.inet_aton(dst)
    length = 8 + len(data)
    pseudo = src + dst + struct.pack("!HH", 17, length)
    udp = struct.pack("!HHHH", port, port, length, 0xFFFF - esp64.checksum(pseudo)) + data
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + length, 0x1234, 0, 64, 17, 0, src, dst)
    head = head[:10] + esp64.checksum(head).to_bytes(2, "big") + head[12:]
    virtio = struct.pack("=BBHHHH", NEEDS_CSUM, GSO_UDP, 28, 1400, 20, 6)
    return virtio + head + udp


def ufo(ns, peer, src, dst, port, octets, delivered=None):
    data = bytes(i & 0xFF for i in range(int(octets)))
    with genl.namespace(peer):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind((dst, int(port)))
        sock.settimeout(TIMEOUT if delivered else 0.5)
    with genl.namespace(ns):
        tun = os.open("/dev/net/tun", os.O_RDWR)
        fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", b"ufo",
                                                IFF_TUN | IFF_NO_PI | IFF_VNET_HDR))
        os.write(tun, ufo_packet(src, dst, int(port), data))
    try:
        if sock.recv(65536) != data or not delivered:
            sys.exit("delivered, and should not have been, or changed")
    except TimeoutError:
        if delivered:
            sys.exit("not delivered")
    os.close(tun)


def main():
    """The command line."""
    verbs = {"datagrams": datagrams, "ufo": ufo}
    if len(sys.argv) < 2 or sys.argv[1] not in verbs:
        sys.exit(__doc__)
    verbs[sys.argv[1]](*sys.argv[2:])


main()
