#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Traffic for the selftests, checked to the octet.

    traffic.py serve ADDRESS PORT          TCP and UDP; runs until killed
    traffic.py tcp ADDRESS PORT OCTETS [--sendfile]
                                           bulk there, the same octets back
    traffic.py udp ADDRESS PORT LENGTH...  one datagram each, echoed
    traffic.py flood ADDRESS PORT COUNT LENGTH [--mark M] [--tos T]
                           [--rate PPS] [--gate DIR] [--roam N]
                                           datagrams, numbered, not echoed; at
                                           most that many a second, at any time;
                                           goes to some
                                           other CPU every N datagrams; makes the
                                           file DIR/PID when ready, and begins
                                           when there is a DIR/go
    traffic.py count ADDRESS PORT [EXPECTED [PATIENCE]]
                                           counts those, until that many different
                                           ones have come and then nothing more, or
                                           nothing comes for PATIENCE seconds, or
                                           SIGTERM; prints how many different ones
                                           came, and how many came twice
    traffic.py batch                       such requests, one a line, from standard
                                           input; answers "ok", or what is wrong
"""

import errno
import hashlib
import os
import signal
import socket
import sys
import time


PATIENCE = 60 * int(os.environ.get("TIME_FACTOR", "1"))
SO_RCVBUFFORCE = 33  # the module has no name for it


def family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def pattern(length):
    """Octets that are nowhere alike, the same for each run."""
    return hashlib.shake_256(b"xfrm_ext").digest(length)


def serve(address, port):
    import threading  # what only some need is not loaded by all: that takes its time

    def echo_udp(sock):
        while True:
            data, peer = sock.recvfrom(65536)
            sock.sendto(data, peer)

    def echo_tcp(conn):
        with conn:
            data = bytearray()
            while chunk := conn.recv(65536):
                data += chunk
            conn.sendall(data)

    udp = socket.socket(family(address), socket.SOCK_DGRAM)
    udp.bind((address, port))
    threading.Thread(target=echo_udp, args=(udp,), daemon=True).start()
    tcp = socket.create_server((address, port), family=family(address))
    while True:
        threading.Thread(target=echo_tcp, args=(tcp.accept()[0],), daemon=True).start()


def tcp(address, port, octets, use_sendfile):
    data = pattern(octets)
    with socket.create_connection((address, port), timeout=60) as conn:
        if use_sendfile:
            import tempfile

            with tempfile.TemporaryFile() as file:
                file.write(data)
                file.seek(0)
                conn.sendfile(file)
        else:
            conn.sendall(data)
        conn.shutdown(socket.SHUT_WR)
        back = bytearray()
        while chunk := conn.recv(65536):
            back += chunk
    if hashlib.sha256(back).digest() != hashlib.sha256(data).digest():
        sys.exit(f"{len(back)} octets came back of {octets}, or others")


def udp(address, port, lengths):
    with socket.socket(family(address), socket.SOCK_DGRAM) as sock:
        sock.connect((address, port))
        for length in lengths:
            # What is in fragments may have lost one to the path's MTU
            sock.settimeout(3 if length > 1300 else PATIENCE)
            data = pattern(length)
            for _ in range(3):
                try:
                    sock.send(data)
                    # A late answer to one that was sent again is of another length
                    while len(back := sock.recv(65536)) != length:
                        pass
                    break
                except TimeoutError:
                    continue
                except OSError as error:
                    # The path has just told its MTU: send again
                    if error.errno != errno.EMSGSIZE:
                        raise
            else:
                sys.exit(f"{length} octets: no answer")
            if back != data:
                sys.exit(f"{length} octets: came back changed")


def flood(address, port, count, length, mark=0, tos=0, rate=0, gate=None, roam=0):
    if roam:
        import random

    with socket.socket(family(address), socket.SOCK_DGRAM) as sock:
        if mark:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, mark)
        if tos:
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, tos)
        sock.connect((address, port))
        rest = b"." * max(0, length - 16)
        head = os.getpid().to_bytes(8, "big")
        if gate:
            open(f"{gate}/{os.getpid()}", "x").close()
            while not os.path.exists(f"{gate}/go"):
                time.sleep(0.01)
        start = time.monotonic()
        for i in range(count):
            try:
                sock.send(head + i.to_bytes(8, "big") + rest)
            except OSError:
                pass
            if roam and i % roam == 0:
                try:
                    os.sched_setaffinity(0, {random.randrange(os.cpu_count())})
                except OSError:
                    pass  # it is off
            if rate and i % 16 == 15:
                ahead = start + i / rate - time.monotonic()
                if ahead > 0:
                    time.sleep(ahead)
                elif ahead < -0.05:
                    start -= ahead  # never faster, to make up for being held up


def count(address, port, expected=None, patience=None):
    seen, twice, idle = set(), 0, 0
    stop = []
    signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
    with socket.socket(family(address), socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
        sock.bind((address, port))
        sock.settimeout(0.2)
        while True:
            try:
                number = sock.recv(65536)[:16]
            except TimeoutError:
                idle += 0.2
                if stop or (patience and idle >= patience):
                    break
                if len(seen) == expected and idle >= 0.5:
                    break
                continue
            idle = 0
            twice += number in seen
            seen.add(number)
    print(len(seen), twice)


def request(verb, address, port, *rest):
    options = {}
    while len(rest) > 1 and rest[-2] in ("--mark", "--tos", "--rate", "--gate", "--roam"):
        name, value = rest[-2][2:], rest[-1]
        options[name] = value if name == "gate" else int(value, 0)
        rest = rest[:-2]
    port = int(port)
    if verb == "serve":
        serve(address, port)
    elif verb == "tcp":
        tcp(address, port, int(rest[0]), "--sendfile" in rest)
    elif verb == "udp":
        udp(address, port, map(int, rest))
    elif verb == "flood":
        flood(address, port, int(rest[0]), int(rest[1]), **options)
    elif verb == "count":
        count(address, port, *map(int, rest))
    else:
        sys.exit(__doc__)


def main():
    if sys.argv[1:] != ["batch"]:
        request(*sys.argv[1:])
        return
    for line in sys.stdin:
        try:
            request(*line.split())
            print("ok", flush=True)
        except (OSError, SystemExit) as e:
            print(f"{type(e).__name__}: {e}", flush=True)


main()
