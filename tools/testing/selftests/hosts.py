#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Traffic by a device: of groups, and of link-local addresses.

    hosts.py send GROUP DEV SOURCE COUNT    numbered, port 9, looped back to who has joined
    hosts.py receive GROUP DEV COUNT        joins, prints "ready", and "all" when that many
                                            different ones have come, each once
    hosts.py answer ADDRESS DEV             UDP and TCP, port 7, until killed; prints "ready"
    hosts.py ask ADDRESS DEV OCTETS         some UDP and so many octets by TCP, which must
                                            come back
"""

import os
import socket
import struct
import sys

PATIENCE = 10 * int(os.environ.get("TIME_FACTOR", "1"))


def family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def at(address, port, dev):
    """With what says which link it is on."""
    if ":" in address:
        return address, port, 0, socket.if_nametoindex(dev)
    return address, port


def send(group, dev, source, count):
    index = socket.if_nametoindex(dev)
    with socket.socket(family(group), socket.SOCK_DGRAM) as sock:
        if sock.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP, 1)
        else:
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF,
                            struct.pack("=4s4si", bytes(4), bytes(4), index))
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 1)
        sock.bind((source, 0))
        for number in range(count):
            sock.sendto(str(number).encode().ljust(100 + number), at(group, 9, dev))


def receive(group, dev, count):
    index = socket.if_nametoindex(dev)
    with socket.socket(family(group), socket.SOCK_DGRAM) as sock:
        address = socket.inet_pton(sock.family, group)
        if sock.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP,
                            address + struct.pack("=i", index))
        else:
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP,
                            address + struct.pack("=4si", bytes(4), index))
        sock.bind(at(group, 9, dev))
        print("ready", flush=True)
        seen = set()
        while len(seen) < count:
            data = sock.recv(65536)
            number = int(data)
            if number in seen or len(data) != 100 + number:
                sys.exit(f"datagram {number}, {len(data)} octets: twice, or changed")
            seen.add(number)
        print("all", flush=True)


def answer(address, dev):
    import select

    udp = socket.socket(family(address), socket.SOCK_DGRAM)
    udp.bind(at(address, 7, dev))
    tcp = socket.socket(family(address), socket.SOCK_STREAM)
    tcp.bind(at(address, 7, dev))
    tcp.listen()
    print("ready", flush=True)
    while True:
        for ready in select.select([udp, tcp], [], [])[0]:
            if ready is udp:
                udp.sendto(*udp.recvfrom(65536))
                continue
            with tcp.accept()[0] as conn:
                data = bytearray()
                while chunk := conn.recv(65536):
                    data += chunk
                conn.sendall(data)


def ask(address, dev, octets):
    with socket.socket(family(address), socket.SOCK_DGRAM) as sock:
        sock.settimeout(PATIENCE)
        sock.connect(at(address, 7, dev))
        for length in 1, 100, 1200, 5000:
            data = os.urandom(length)
            sock.send(data)
            if sock.recv(65536) != data:
                sys.exit(f"udp, {length} octets: came back changed")
    data = os.urandom(octets)
    with socket.socket(family(address), socket.SOCK_STREAM) as sock:
        sock.settimeout(60)
        sock.connect(at(address, 7, dev))
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        back = bytearray()
        while chunk := sock.recv(65536):
            back += chunk
    if back != data:
        sys.exit(f"tcp: {len(back)} octets came back of {octets}, or others")


def main():
    match sys.argv[1:]:
        case ["send", group, dev, source, count]:
            send(group, dev, source, int(count))
        case ["receive", group, dev, count]:
            receive(group, dev, int(count))
        case ["answer", address, dev]:
            answer(address, dev)
        case ["ask", address, dev, octets]:
            ask(address, dev, int(octets))
        case _:
            sys.exit(__doc__)


main()
