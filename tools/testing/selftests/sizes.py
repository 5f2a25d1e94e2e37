#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Packets of exact lengths.

    sizes.py serve PORT              on every address: receive datagrams; for each a line with
                                     its length, and whether its octets are right
    sizes.py send ADDRESS PORT N...  datagrams of N octets; what sendto() says of each
    sizes.py catch ADDRESS COUNT     so many packets of protocol 253 to an address: a line
                                     with the octets behind the IP header for each
    sizes.py raw ADDRESS N...        packets of protocol 253 with N octets behind the IP header
"""

import errno
import socket
import sys

PROTOCOL = 253
IP_MTU_DISCOVER, IPV6_MTU_DISCOVER, DONT = 10, 23, 0
SO_SNDBUFFORCE, SO_RCVBUFFORCE = 32, 33
LONGEST = 65535


def family(address):
    """The family of an address."""
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def octets(length):
    """The same for everybody, and no two places alike for long."""
    return (b"".join(i.to_bytes(2, "big") for i in range(length // 2 + 1)))[:length]


def opened(which, kind, protocol=0):
    """A socket that has room, and whose packets may be cut."""
    sock = socket.socket(which, kind, protocol)
    sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 22)
    sock.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, 1 << 22)
    if which == socket.AF_INET:
        sock.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, DONT)
    else:
        sock.setsockopt(socket.IPPROTO_IPV6, IPV6_MTU_DISCOVER, DONT)
    return sock


def serve(port):
    """Datagrams, of both families."""
    with opened(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        sock.bind(("::", port))
        while True:
            got = sock.recv(LONGEST)
            print(len(got), "good" if got == octets(len(got)) else "bad", flush=True)


def told(sock, data, to):
    """What sendto() says."""
    try:
        sock.sendto(data, to)
    except OSError as error:
        return errno.errorcode[error.errno]
    return "ok"


def main():
    """The command line."""
    verb, *words = sys.argv[1:] or [None]
    if verb == "serve" and len(words) == 1:
        serve(int(words[0]))
    elif verb == "send" and len(words) > 2:
        with opened(family(words[0]), socket.SOCK_DGRAM) as sock:
            print(*(told(sock, octets(int(n)), (words[0], int(words[1]))) for n in words[2:]))
    elif verb == "catch" and len(words) == 2:
        with opened(family(words[0]), socket.SOCK_RAW, PROTOCOL) as sock:
            sock.bind((words[0], 0))
            print("ready", flush=True)
            for _ in range(int(words[1])):
                got = sock.recv(LONGEST)
                if family(words[0]) == socket.AF_INET:
                    got = got[(got[0] & 15) * 4:]
                print(len(got), "good" if got == octets(len(got)) else "bad", flush=True)
    elif verb == "raw" and len(words) > 1:
        with opened(family(words[0]), socket.SOCK_RAW, PROTOCOL) as sock:
            print(*(told(sock, octets(int(n)), (words[0], 0)) for n in words[1:]))
    else:
        sys.exit(__doc__)


main()
