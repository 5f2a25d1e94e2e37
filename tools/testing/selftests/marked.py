#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Send datagrams that differ in what subspaces are selected by.

    marked.py PORT < lines of: ADDRESS CPU DSCP MARK SOURCE-PORT COUNT

An empty line is answered with one.
"""

import os
import socket
import struct
import sys

PORT = int(sys.argv[1])

for line in sys.stdin:
    if not line.strip():
        print(flush=True)
        continue
    address, *numbers = line.split()
    cpu, dscp, mark, source, count = (int(word, 0) for word in numbers)
    v6 = ":" in address
    os.sched_setaffinity(0, {cpu})
    with socket.socket(socket.AF_INET6 if v6 else socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_MARK,
                        struct.pack("=I", mark))
        if v6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, dscp << 2)
        else:
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, dscp << 2)
        # Not connected: an error that comes back is not ours
        sock.bind(("", source))
        for _ in range(count):
            sock.sendto(b"datagram", (address, PORT))
