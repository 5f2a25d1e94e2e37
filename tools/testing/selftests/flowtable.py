#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Flows that last, for flowtable.sh.

    flowtable.py serve ADDRESS...   echoes at port 9, UDP and TCP; runs until killed
    flowtable.py batch              requests, one a line, from standard input:

    ask FLOW N SECONDS      N messages, each when the one before has been answered; none
                            waits longer. Answers how many have been answered
    send FLOW N             N messages at once, whatever becomes of them

A flow is udp/ADDRESS or tcp/ADDRESS: always the same socket.
"""

import socket
import struct
import sys
import threading
import time

PORT, LENGTH = 9, 256


def family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def echo_udp(sock):
    while True:
        data, peer = sock.recvfrom(LENGTH)
        sock.sendto(data, peer)


def echo_tcp(conn):
    while data := conn.recv(65536):
        conn.sendall(data)


def accept(listening):
    while True:
        threading.Thread(target=echo_tcp, args=(listening.accept()[0],), daemon=True).start()


def serve(addresses):
    for address in addresses:
        udp = socket.socket(family(address), socket.SOCK_DGRAM)
        udp.bind((address, PORT))
        tcp = socket.create_server((address, PORT), family=family(address))
        for target, sock in ((echo_udp, udp), (accept, tcp)):
            threading.Thread(target=target, args=(sock,), daemon=True).start()
    threading.Event().wait()


class Flow:
    """One socket; its messages have numbers."""

    def __init__(self, name):
        proto, address = name.split("/")
        kind = socket.SOCK_DGRAM if proto == "udp" else socket.SOCK_STREAM
        self.sock = socket.socket(family(address), kind)
        self.sock.settimeout(60)
        self.sock.connect((address, PORT))
        self.stream = proto == "tcp"
        self.number = 0
        self.data = b""

    def send(self):
        self.number += 1
        self.sock.sendall(struct.pack("!Q", self.number).ljust(LENGTH, b"."))

    def receive(self):
        """The number of the next answer."""
        while True:
            self.data = (self.data if self.stream else b"") + self.sock.recv(LENGTH)
            if len(self.data) >= LENGTH:
                message, self.data = self.data[:LENGTH], self.data[LENGTH:]
                return struct.unpack_from("!Q", message)[0]

    def ask(self, count, seconds):
        for done in range(count):
            self.send()
            end = time.monotonic() + seconds
            try:
                while True:
                    self.sock.settimeout(max(end - time.monotonic(), 0.001))
                    if self.receive() == self.number:
                        break
            except (TimeoutError, ConnectionError):
                return done
        return count


def batch():
    flows = {}
    for line in sys.stdin:
        verb, name, *words = line.split()
        try:
            if name not in flows:
                flows[name] = Flow(name)
            if verb == "ask":
                answer = flows[name].ask(int(words[0]), float(words[1]))
            else:
                for _ in range(int(words[0])):
                    flows[name].send()
                answer = words[0]
        except OSError as error:
            answer = error
        print(answer, flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(sys.argv[2:])
    else:
        batch()
