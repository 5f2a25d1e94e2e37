#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Make and delete the SA 1>2 of lib.sh's pair, and each time have a datagram come through.

    cycle.py SENDER RECEIVER TIMES      the namespaces

One process for all: to start others would take longer than what they do. Each time with
another SPI and key, so that what is still on its way is not taken for the new SA's. Exit status 1
if a datagram does not come.
"""

import os
import socket
import sys

from genl import Family, Netlink, Refused, namespace
from xfrm import NETLINK_XFRM, delete, extended

SRC, DST, FIRST_SPI = "10.0.0.1", "10.0.0.2", 0x1000
INNER = ("10.2.0.1", 10)


class End:
    """One of the two."""

    def __init__(self, name, *words):
        self.words = words
        with namespace(name):
            self.module, self.xfrm = Family(), Netlink(NETLINK_XFRM)
            self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.sock.settimeout(60 * int(os.environ.get("TIME_FACTOR", "1")))

    def add(self, spi, key):
        list(self.module.request(
            ["announce", "family=2", f"daddr={DST}", f"spi={spi}", *self.words]))
        extended(self.xfrm, SRC, DST, spi, "reqid=1", f"key={key}")

    def delete(self, spi):
        delete(self.xfrm, DST, spi)


def main():
    sender, receiver, times = sys.argv[1:]
    sender = End(sender, "tx-subspaces=16")
    receiver = End(receiver, "rx-subspaces=16", "window=4096")
    receiver.sock.bind(INNER)
    for n in range(int(times)):
        spi, key = str(FIRST_SPI + n), os.urandom(20).hex()
        try:
            receiver.add(spi, key)
            sender.add(spi, key)
            sender.sock.sendto(b"%d" % n, INNER)
            if (got := int(receiver.sock.recv(100))) != n:
                sys.exit(f"datagram {n}: {got} has come")
            sender.delete(spi)
            receiver.delete(spi)
        except (OSError, Refused) as e:
            sys.exit(f"SA {n}: {type(e).__name__}: {e}")
    print(f"# {times} SAs, a datagram through each")


main()
