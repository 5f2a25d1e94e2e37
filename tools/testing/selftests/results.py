#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""What the kernel tells programs of what they send.

    results.py listen PORT           take TCP connections, of either family, for ever
    results.py send ADDRESS COUNT    datagrams one after the other, and what sendto() says
    results.py full ADDRESS PORT DEV QDISC...
                                     TCP to PORT; then DEV gets a queue that takes nothing:
                                     what sendto() says, with and without IP_RECVERR, and
                                     what TCP thinks
"""

import errno
import socket
import struct
import subprocess
import sys

IP_RECVERR, IPV6_RECVERR = 11, 25
PORT = 9
CA_STATES = ("open", "disorder", "cwr", "recovery", "loss")
# struct tcp_info: tcpi_ca_state is its second octet; these 32-bit fields follow
TCPI_UNACKED, TCPI_TOTAL_RETRANS = 24, 100


def family(address):
    """The family of an address."""
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def sent(sock, address):
    """What sendto() says."""
    try:
        sock.sendto(b"x" * 64, (address, PORT))
    except OSError as error:
        return errno.errorcode[error.errno]
    return "ok"


def listen(port):
    """Take connections."""
    with socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True) as sock:
        kept = []
        while True:
            kept.append(sock.accept())


def send(address, count):
    """Some datagrams."""
    with socket.socket(family(address), socket.SOCK_DGRAM) as sock:
        print(*(sent(sock, address) for _ in range(count)))


def datagrams(address):
    """One that asks for errors of queues, and one that does not."""
    for asks in 1, 0:
        with socket.socket(family(address), socket.SOCK_DGRAM) as sock:
            if family(address) == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVERR, asks)
            else:
                sock.setsockopt(socket.IPPROTO_IP, IP_RECVERR, asks)
            yield sent(sock, address)


def tcp_state(sock):
    """What TCP thinks: state of congestion control, segments under way, sent again."""
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
    return CA_STATES[info[1]], *(int.from_bytes(info[at:at + 4], sys.byteorder)
                                 for at in (TCPI_UNACKED, TCPI_TOTAL_RETRANS))


def full(address, port, dev, qdisc):
    """A queue that takes nothing."""
    with socket.create_connection((address, port)) as sock:
        subprocess.run(["tc", "qdisc", "add", "dev", dev, "root", *qdisc], check=True)
        try:
            sock.send(b"x" * 100)
            # It tries again, with the same result, so that this does not change
            print(*datagrams(address), *tcp_state(sock))
        finally:
            # With RST, at once: what it would send yet would take numbers of the next test's SA
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            subprocess.run(["tc", "qdisc", "del", "dev", dev, "root"], check=True)


def main():
    """The command line."""
    verb, *words = sys.argv[1:] or [None]
    if verb == "listen" and len(words) == 1:
        listen(int(words[0]))
    elif verb == "send" and len(words) == 2:
        send(words[0], int(words[1]))
    elif verb == "full" and len(words) > 3:
        full(words[0], int(words[1]), words[2], words[3:])
    else:
        sys.exit(__doc__)


main()
