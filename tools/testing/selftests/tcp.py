#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""TCP of a host's own, for tcp.sh.

    tcp.py serve PORT       takes connections of either family, for ever: reads what it is sent
                            to the end and answers its SHA-256
    tcp.py batch            requests, one a line, from standard input; answers each with "ok"
                            or with what went wrong:

    open ADDRESS PORT           a connection, which stays
    send HOW OCTETS             by that connection: "copy", "file" (sendfile(), whose pages are
                                the file's), or "zerocopy" (MSG_ZEROCOPY: the program's)
    drain                       until the other end has acknowledged all
    end                         of what is sent: what the other end got is compared, and
                                file and buffer must be as they were
    abort                       the connection, at once
"""

import fcntl
import hashlib
import os
import socket
import struct
import sys
import tempfile
import termios
import threading
import time

SO_ZEROCOPY, MSG_ZEROCOPY = 60, 0x4000000


def answer(conn):
    """What one connection sends, and its digest."""
    digest = hashlib.sha256()
    with conn:
        while data := conn.recv(1 << 16):
            digest.update(data)
        conn.sendall(digest.digest())


def serve(port):
    """For ever."""
    with socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True) as sock:
        while True:
            threading.Thread(target=answer, args=sock.accept()[:1], daemon=True).start()


class Connection:
    """One, and all that has been sent by it."""

    def __init__(self, address, port):
        self.sock = socket.create_connection((address, int(port)))
        self.sock.setsockopt(socket.SOL_SOCKET, SO_ZEROCOPY, 1)
        self.digest = hashlib.sha256()
        self.kept = []

    def send(self, how, octets):
        """Random octets, so that what is not the same is seen."""
        data = os.urandom(int(octets))
        self.digest.update(data)
        if how == "file":
            file = tempfile.TemporaryFile()
            file.write(data)
            file.flush()
            self.sock.sendfile(file)
            self.kept.append((data, lambda: os.pread(file.fileno(), len(data), 0)))
        elif how == "zerocopy":
            buffer = bytearray(data)
            view = memoryview(buffer)
            while view:
                view = view[self.sock.send(view, MSG_ZEROCOPY):]
            self.kept.append((data, lambda: bytes(buffer)))
        else:
            self.sock.sendall(data)

    def drain(self):
        """Nothing is under way, or waits to be sent."""
        while any(fcntl.ioctl(self.sock, termios.TIOCOUTQ, bytes(4))):
            time.sleep(0.01)

    def end(self):
        """Is everything as it was?"""
        self.sock.shutdown(socket.SHUT_WR)
        got = b""
        while data := self.sock.recv(64):
            got += data
        self.sock.close()
        if got != self.digest.digest():
            raise ValueError("other octets have arrived")
        if any(data != now() for data, now in self.kept):
            raise ValueError("what was sent from has been changed")

    def abort(self):
        """By RST: nothing is sent again."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


def batch():
    """Requests."""
    connection = None
    for line in sys.stdin:
        verb, *words = line.split()
        try:
            if verb == "open":
                connection = Connection(*words)
            else:
                getattr(connection, verb)(*words)
            print("ok", flush=True)
        except (OSError, ValueError) as error:
            print(error, flush=True)


def main():
    """The command line."""
    match sys.argv[1:]:
        case ["serve", port]:
            serve(int(port))
        case ["batch"]:
            batch()
        case _:
            sys.exit(__doc__)


main()
