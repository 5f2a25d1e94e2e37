#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Send datagrams that differ in what subspaces are selected by.

    marked.py ADDRESS PORT < lines of: CPU DSCP MARK SOURCE-PORT COUNT
"""

import os
import socket
import struct
import sys

ADDRESS, PORT = sys.argv[1], int(sys.argv[2])
V6 = ":" in ADDRESS
FAMILY = socket.AF_INET6 if V6 else socket.AF_INET

for line in sys.stdin:
    cpu, dscp, mark, source, count = (int(word, 0) for word in line.split())
    os.sched_setaffinity(0, {cpu})
    with socket.socket(FAMILY, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_MARK,
                        struct.pack("=I", mark))
        if V6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, dscp << 2)
        else:
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, dscp << 2)
        # Not connected: an error that comes back is not ours
        sock.bind(("", source))
        for _ in range(count):
            sock.sendto(b"datagram", (ADDRESS, PORT))
