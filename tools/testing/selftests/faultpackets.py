#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Packets with the n-th thing failing on their way: see faults.py.

    faultpackets.py NETNS NETNS FAULTS LINES SPI ADDRESS KIND...
                        from the first to ADDRESS in the second, through an SA of that SPI, whose
                        receiving end `ip -batch` makes anew of LINES each time
    faultpackets.py NETNS NETNS calls - SPI ADDRESS echo REPLY-SPI
                        ESP Echo: a request by the SA, answered by that of REPLY-SPI

    plain       a datagram
    tapped      the same, and somebody at the receiver looks on
    pages       a datagram out of pages that are a file's
    tcp         the first packet of a connection, whose checksum is still to come
    stream      a packet of many segments, of a connection: TCP sends again what was lost

The subspace of each is another one, of which neither end knows anything yet. A packet comes, or
what has become of it is counted; the next one comes in any case, and none twice.
"""

import contextlib
import errno
import os
import re
import socket
import struct
import subprocess
import sys
import time

from faults import PATIENCE, Call, need, sweep
from genl import Family, namespace

PORT = 9
# Where the kernel counts it: of the device, or behind all that is ours
ELSEWHERE = ("gro_cells_receive", "ip6_route_input_lookup")


def until(true):
    end = time.monotonic() + PATIENCE
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(0.001)
    return True


class Ends:
    """Who sends, who receives, and what both count."""

    def __init__(self, sender, receiver, lines, spi, address):
        self.address, self.lines, self.receiver = address, lines, receiver
        of = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.of, self.kernel, self.modules, self.tap = of, [], [], None
        for name in (sender, receiver):
            with namespace(name):
                self.kernel.append(os.open("/proc/thread-self/net/xfrm_stat", os.O_RDONLY))
                self.modules.append(Family())
                if name == sender:
                    self.ears = Family()
                    self.out = socket.socket(of, socket.SOCK_DGRAM)
                    self.out.connect((address, PORT))
                else:
                    self.socket = socket.socket(of, socket.SOCK_DGRAM)
                    self.listener = socket.socket(of, socket.SOCK_STREAM)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((address, PORT + 1))
        self.listener.listen()
        self.socket.bind((address, PORT))
        self.socket.setblocking(False)
        self.spi = int(spi, 0)
        self.sent, self.mark, self.got, self.name = 0, 0, set(), sender

    def tcp(self):
        with namespace(self.name):
            return socket.socket(self.of, socket.SOCK_STREAM)

    def tapped(self):
        """Somebody looks at what the receiver's device gets, and so has a part in it."""
        if not self.tap:
            with namespace(self.receiver):
                self.tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
            self.tap.bind(("wan", 3))
            self.tap.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while self.tap.recv(1 << 16):
                pass

    def receive(self):
        while True:
            try:
                (number,) = struct.unpack_from("=Q", self.socket.recv(65536))
            except BlockingIOError:
                return
            need(number not in self.got, f"datagram {number} has come twice")
            need(number < self.sent, f"datagram {number} was never sent")
            self.got.add(number)

    def came(self, numbers):
        self.receive()
        return self.got.issuperset(numbers)

    def numbers(self, count):
        self.sent += count
        return range(self.sent - count, self.sent)

    def good(self):
        """One that nothing happens to."""
        numbers = self.numbers(1)
        self.out.send(struct.pack("=Q", numbers[0]).ljust(100, b"."))
        need(until(lambda: self.came(numbers)), "a packet without a fault does not come")

    def dropped(self):
        """By both ends, for whatever reason."""
        count = 0
        for kernel, module in zip(self.kernel, self.modules):
            count += sum(int(line.split()[1])
                         for line in os.pread(kernel, 1 << 16, 0).decode().splitlines())
            for answer in module.request(["totals"]):
                count += sum(int(n) for n in re.findall(
                    r"(?:(?<!-)\b[tr]x-(?!packets|bytes)[a-z-]+):(\d+)", answer["stats"]))
        return count

    def anew(self):
        """An SA that has received nothing yet, and is somebody's of this CPU then."""
        os.sched_setaffinity(0, {0})
        if self.lines != "-":
            subprocess.run(["ip", "-n", self.receiver, "-batch", self.lines], check=True)
        self.out.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, 0)
        self.good()
        self.mark += 1
        self.out.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, self.mark)
        os.sched_setaffinity(0, {1})


# What is sent, and a function that says whether it has come

def plain(ends):
    numbers = ends.numbers(1)
    ends.out.send(struct.pack("=Q", numbers[0]).ljust(300, b"."))
    return lambda: ends.came(numbers)


def tapped(ends):
    ends.tapped()
    return plain(ends)


def pages(ends):
    numbers = ends.numbers(1)
    file = os.memfd_create("pages")
    os.write(file, struct.pack("=Q", numbers[0]).ljust(1000, b"."))
    try:
        os.sendfile(ends.out.fileno(), file, 0, 1000)
    finally:
        os.close(file)
    return lambda: ends.came(numbers)


def tcp(ends):
    sock = ends.tcp()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, ends.mark)
    sock.setblocking(False)
    try:
        sock.connect((ends.address, PORT))
    except BlockingIOError:
        pass
    except ConnectionRefusedError:
        sock.close()
        return lambda: True
    error = []

    def came():
        error.append(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
        return errno.ECONNREFUSED in error

    return came


# Large packets are made of what is sent when as many may be under way
def stream(ends):
    sock = ends.tcp()
    sock.settimeout(PATIENCE)
    sock.connect((ends.address, PORT + 1))
    conn, _ = ends.listener.accept()
    conn.settimeout(PATIENCE)
    for _ in range(5):
        sock.sendall(bytes(20000))
        left = 20000
        while left:
            left -= len(conn.recv(left))
    conn.setblocking(False)
    data, got = os.urandom(20000), []

    def begin():
        sock.sendall(data)

    def came():
        try:
            while more := conn.recv(1 << 16):
                got.append(more)
        except BlockingIOError:
            pass
        need(data.startswith(b"".join(got)), "another stream has come")
        return sum(map(len, got)) == len(data)

    return begin, came


KINDS = {"plain": plain, "tapped": tapped, "pages": pages, "tcp": tcp, "stream": stream}


def sending(ends, send):
    def scenario(attempt):
        ends.anew()
        before = ends.dropped()
        came, begin = [lambda: False], None
        if send is stream:
            begin, came[0] = stream(ends)

        def act():
            if begin:
                begin()
            else:
                came[0] = send(ends)
            # What is behind the device may be done by another thread
            if isinstance(attempt, Call):
                need(until(lambda: came[0]() or attempt.happened()), "it does not come")

        attempt(act)
        if not attempt.hit or begin:
            need(until(came[0]), "it does not come")
        # One behind the other on one CPU: if this has come, that one has, or never will
        ends.good()
        # Not of what the kernel has for itself, as in the end all can be
        if isinstance(attempt, Call) and not attempt.lasting and not came[0]() and not attempt.hit.endswith(ELSEWHERE):
            need(ends.dropped() > before, "lost, and not counted")
    return scenario


def echoing(ends, reply_spi):
    ends.ears.join("echo")
    ends.ears.netlink.sock.setblocking(False)
    whose = ["family=2", "daddr=10.0.0.2", f"spi={ends.spi}"]

    def told():
        try:
            ends.ears.netlink.sock.recv(1 << 16)
            return True
        except BlockingIOError:
            return False

    def scenario(attempt):
        while told():
            pass
        os.sched_setaffinity(0, {1})

        def act():
            list(ends.modules[0].request(
                ["echo", *whose, "echo-id=1", "echo-seq=1", f"echo-reply-spi={reply_spi}",
                 "echo-data=hex:00112233"]))
            need(until(lambda: told() or attempt.happened()), "no answer")

        attempt(act)
        with namespace(ends.name):
            ends.modules[0] = Family()
    return scenario


def main():
    if len(sys.argv) < 8:
        sys.exit(__doc__)
    ends, which = Ends(*sys.argv[1:3], *sys.argv[4:7]), sys.argv[3].split(",")
    if sys.argv[7] == "echo":
        sweep("echo", which, echoing(ends, sys.argv[8]))
        return
    for kind in sys.argv[7:]:
        sweep(kind, which, sending(ends, KINDS[kind]))


main()
