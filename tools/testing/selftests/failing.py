#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Fail each allocation in turn (Documentation/fault-injection, fail-nth).

    failing.py make DST     announce and make an extended SA to DST, deleting it again,
                            with the 1st, 2nd, ... allocation failing, until none does
    failing.py send ADDRESS COUNT
                            send datagrams with marks 1, 2, ..., each with one of its
                            first allocations failing

Prints how often it went well and how often not; exit status 1 if something is left
that must not be.
"""

import collections
import os
import socket
import struct
import sys

from genl import Family, Netlink, Refused
from xfrm import NETLINK_XFRM, delete, extended, family, states

SPI = 0x700


def failing(n, action):
    """Run it with its n-th allocation failing: whether there was one, what it said."""
    file = os.open("/proc/thread-self/fail-nth", os.O_RDWR)
    try:
        os.write(file, b"%d\n" % n)
        try:
            action()
            said = "ok"
        except Refused as e:
            said = str(e).split()[0]
        except OSError as e:
            said = f"errno {e.errno}"
        left = os.pread(file, 20, 0).strip(b"\0\n ")
        os.write(file, b"0\n")
    finally:
        os.close(file)
    return left == b"0", said


def make(dst):
    number = "2" if family(dst) == socket.AF_INET else "10"
    identity = [f"family={number}", f"daddr={dst}", f"spi={SPI}"]
    netlink, module = Netlink(NETLINK_XFRM), Family()
    src = dst.rsplit(".", 1)[0] + ".1"
    results = collections.Counter()
    n = 0
    while True:
        n += 1
        key = os.urandom(20).hex()
        list(module.request(["announce", *identity, "tx-subspaces=4", "rx-subspaces=4"]))
        hit, said = failing(n, lambda: extended(netlink, src, dst, str(SPI), f"key={key}"))
        # An answer that could not be made is missed; what it was about is not
        netlink, results[said] = Netlink(NETLINK_XFRM), results[said] + 1
        there = [s for s in states(netlink) if f"spi=0x{SPI:08x} " in s]
        if said == "ok" and not there:
            sys.exit(f"allocation {n}: made, but not there")
        for state in there:
            if "extra=0x80000000" not in state:
                sys.exit(f"allocation {n}: {said}, and it is a plain SA: {state}")
            (known,) = module.request(["get", *identity])
            if known["state"] not in (1, 2):
                sys.exit(f"allocation {n}: {said}, and it is in state {known['state']}")
            delete(netlink, dst, str(SPI))
        try:
            list(module.request(["withdraw", *identity]))
        except Refused:
            pass
        if not hit:
            break
        if n > 2000:
            sys.exit("there is no end to it")
    # Each request by itself, too
    for n in range(1, 20):
        for verb in ("announce", "get", "withdraw", "caps", "dump"):
            words = [verb] + (identity if verb not in ("caps", "dump") else [])
            module = Family()
            failing(n, lambda: list(module.request(
                words + (["tx-subspaces=4"] if verb == "announce" else []))))
    try:
        list(Family().request(["withdraw", *identity]))
    except Refused:
        pass
    print(f"# {n} allocations: {dict(results)}")


def send(address, count):
    results = collections.Counter()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for i in range(count):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, struct.pack("=I", i + 1))
            _, said = failing(1 + i % 25, lambda: sock.sendto(b"datagram", (address, 9)))
            results[said] += 1
    print(f"# {count} datagrams: {dict(results)}")


def main():
    verb, *rest = sys.argv[1:] or [None]
    if verb == "make":
        make(*rest)
    elif verb == "send":
        send(rest[0], int(rest[1]))
    else:
        sys.exit(__doc__)


main()
