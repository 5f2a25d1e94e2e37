#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Every shape that packets leave an application in, to a `traffic.py serve`.

    shapes.py ADDRESS PORT OCTETS [--segments]

TCP in large writes, out of a file (sendfile: page fragments of the page cache) and out
of the application's own memory (MSG_ZEROCOPY); UDP small, with fragments, and with
--segments cut by the kernel (UDP_SEGMENT). What comes back is compared, and what was sent from: file and
memory must not have been encrypted under their owners.
"""

import errno
import hashlib
import os
import socket
import sys
import tempfile

SO_ZEROCOPY, MSG_ZEROCOPY = 60, 0x4000000
SOL_UDP, UDP_SEGMENT = 17, 103
LENGTHS = (1, 100, 1300, 9000, 60000)
SEGMENT, SEGMENTS = 1200, 30
# What has lost a fragment to the path's MTU is sent again
TIMEOUT = 2 + 2 * int(os.environ.get("TIME_FACTOR", "1"))


def octets_of(seed, length):
    """Octets that are nowhere alike."""
    return hashlib.shake_256(seed.encode()).digest(length)


def same(what, got, want):
    """Compare, or that was it."""
    if got != want:
        sys.exit(f"{what}: {len(got)} octets for {len(want)}, or others")


def tcp(how, address, port, octets):
    """Bulk there and back; how is a function that sends, and says that it was all."""
    data = octets_of(how.__name__, octets)
    with socket.create_connection((address, port), timeout=60) as conn:
        how(conn, bytearray(data), data)
        back = bytearray()
        while chunk := conn.recv(65536):
            back += chunk
    same(how.__name__, back, data)


def write(conn, memory, _):
    """The usual"""
    conn.sendall(memory)
    conn.shutdown(socket.SHUT_WR)


def sendfile(conn, _, data):
    """Out of the page cache"""
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.seek(0)
        conn.sendfile(file)
        conn.shutdown(socket.SHUT_WR)
        # The other end answers when it has everything
        same("answer", conn.recv(1, socket.MSG_PEEK), data[:1])
        file.seek(0)
        same("file sent from", file.read(), data)


def zerocopy(conn, memory, data):
    """Out of the application's memory"""
    conn.setsockopt(socket.SOL_SOCKET, SO_ZEROCOPY, 1)
    view = memoryview(memory)
    while view:
        view = view[conn.send(view, MSG_ZEROCOPY) :]
    conn.shutdown(socket.SHUT_WR)
    same("answer", conn.recv(1, socket.MSG_PEEK), data[:1])
    same("memory sent from", memory, data)


def datagrams(sock, lengths):
    """One by one, echoed."""
    for length in lengths:
        data = octets_of("udp", length)
        for _ in range(5):
            try:
                sock.send(data)
                # What does not fit may be a late answer to one that was sent again
                while len(back := sock.recv(65536)) != length:
                    pass
                same("udp", back, data)
                break
            except TimeoutError:
                continue
            except OSError as error:
                # The path has just told its MTU: send again
                if error.errno != errno.EMSGSIZE:
                    raise
        else:
            sys.exit(f"udp: no answer to {length} octets")


def segments(sock):
    """Many by one call."""
    data = octets_of("segments", SEGMENT * SEGMENTS)
    sock.setsockopt(SOL_UDP, UDP_SEGMENT, SEGMENT)
    want = {data[at : at + SEGMENT] for at in range(0, len(data), SEGMENT)}
    sock.send(data)
    got = set()
    while len(got) < SEGMENTS:
        back = sock.recv(65536)
        if len(back) == SEGMENT:
            got.add(back)
    if got != want:
        sys.exit("segments: came back changed")


def main():
    """The command line."""
    if len(sys.argv) != 4 + ("--segments" in sys.argv):
        sys.exit(__doc__)
    address, port, octets = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.settimeout(TIMEOUT)
        sock.connect((address, port))
        datagrams(sock, LENGTHS)
        if "--segments" in sys.argv:
            segments(sock)
    for how in (write, sendfile, zerocopy):
        tcp(how, address, port, octets)


main()
