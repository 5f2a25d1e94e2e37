# SPDX-License-Identifier: GPL-2.0-only
"""Who hears what an SA delivers, for verdicts.py: applications, and those who get the
inner packet to the octet.

Each has sockets; heard() is all that has come to one of them, expected() what has to
come of a packet that is accepted.
"""

import contextlib
import pathlib
import socket
import struct
import sys

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "reference"))

# pylint: disable=wrong-import-position
import iphdr

PORT = 4000
PORTS = struct.pack("!HH", PORT, PORT)
PROTO_ICMPV6, ICMPV6_NEIGHBOURS, PROTO_MH = 58, range(133, 138), 135
# ESP, AH, IPComp
PROTOS_XFRM = (50, 51, 108)

# Of the kernel, where the socket module has no name for it
ETH_P_ALL, PACKET_HOST, PACKET_OUTGOING = 3, 0, 4
SOL_PACKET, PACKET_STATISTICS, SO_RCVBUFFORCE, SOL_RAW = 263, 6, 33, 255
IPV6_FLOWINFO, IPV6_CHECKSUM = 11, 7


def upper(packet):
    """What an IP packet carries, and where it begins; None if it is not whole."""
    if len(packet) != iphdr.inner_length(packet):
        return None
    if packet[0] >> 4 == 4:
        return packet[9], (packet[0] & 15) * 4
    proto, at = packet[6], 40
    while proto in (iphdr.PROTO_HOPOPTS, iphdr.PROTO_DSTOPTS):
        if at + 8 > len(packet):
            return None
        proto, at = packet[at], at + 8 + 8 * packet[at + 1]
    return (proto, at) if at <= len(packet) else None


def datagram(packet):
    """What a socket on PORT gets of a packet that is no fragment, None if nothing."""
    proto, at = upper(packet) or (None, 0)
    body = packet[at:]
    if proto != iphdr.PROTO_UDP or len(body) < iphdr.UDP_LEN:
        return None
    _, port, length, check = struct.unpack_from("!HHHH", body)
    if port != PORT or not iphdr.UDP_LEN <= length <= len(body):
        return None
    body = body[:length]
    if not check and packet[0] >> 4 == 4:
        return body[iphdr.UDP_LEN :]
    good = check and not iphdr.udp_sum(iphdr.parse(packet)[0].addresses, body)
    return body[iphdr.UDP_LEN :] if good else None


def read(sock, size=1 << 16):
    """Everything that there is."""
    with contextlib.suppress(BlockingIOError):
        while True:
            yield sock.recvmsg(size, 4096)


def open_socket(stack, *kind):
    """Closed with the stack; waits for nothing."""
    sock = stack.enter_context(socket.socket(*kind))
    sock.setblocking(False)
    sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 8 << 20)
    return sock


class Datagrams:
    """Sockets of an application: what is in good UDP, put together again."""

    def __init__(self, stack, addresses):
        self.parts = {}
        self.sockets = []
        for address in addresses:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            sock = open_socket(stack, family, socket.SOCK_DGRAM)
            sock.bind((address, PORT))
            self.sockets.append(sock)

    def whole(self, packet):
        """The packet, or what it is the missing piece of."""
        if packet[0] >> 4 == 6 or not iphdr.is_fragment(packet):
            return packet
        header, end = iphdr.parse(packet)
        parts = self.parts.setdefault((header.ident, header.addresses, header.proto), {})
        parts[(header.frag & 0x1FFF) * 8] = header, packet[end:]
        body = b""
        while part := parts.get(len(body)):
            body += part[1]
            if not part[0].frag & 0x2000:
                return parts[0][0]._replace(frag=0).octets(len(body)) + body
            if not part[1]:
                break
        return None

    def expected(self, judged):
        """What is to be heard of a packet that is accepted."""
        whole = self.whole(judged.verdict.inner)
        got = datagram(whole) if whole else None
        return [] if got is None else [got]

    @staticmethod
    def heard(sock):
        """What has come."""
        return (data for data, *_ in read(sock))


class Tap:
    """What comes by the link with the inner addresses: behind BEET a packet passes there
    once more, before the IP stack has looked at it."""

    def __init__(self, stack, addresses, kind=PACKET_HOST):
        self.addresses, self.kind = addresses, kind
        self.sockets = [open_socket(stack, socket.AF_PACKET, socket.SOCK_DGRAM, 0)]
        self.sockets[0].bind(("wan", ETH_P_ALL))

    @staticmethod
    def expected(judged):
        """All of it."""
        return [judged.verdict.inner]

    def heard(self, sock):
        """What has come."""
        at = 12 if len(self.addresses) == 8 else 8
        version = 4 if len(self.addresses) == 8 else 6
        for data, _, _, (_, _, kind, *_) in read(sock):
            if (kind == self.kind and data[:1] and data[0] >> 4 == version
                    and data[at : at + len(self.addresses)] == self.addresses):
                yield data
        _, missed = struct.unpack("=II", sock.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))
        if missed:
            raise OSError(f"the tap missed {missed} packets")


class Raw:
    """In transport mode nothing passes the link's end again. A raw socket for every
    protocol gets IPv4 packets whole; of IPv6 the header is put together from what is told
    along. Protocol 0 cannot be had, nor can what mobile IPv6 finds malformed."""

    def __init__(self, stack, sa, protos=range(1, 256)):
        self.sa = sa
        self.protos = {}
        family = socket.AF_INET if sa.version == 4 else socket.AF_INET6
        for proto in protos:
            if proto == PROTO_MH and sa.version == 6:
                continue
            sock = open_socket(stack, family, socket.SOCK_RAW, proto)
            if sa.version == 6:
                # (Where ICMPv6 allows it)
                sock.setsockopt(SOL_RAW, IPV6_CHECKSUM, -1)
                for option in (socket.IPV6_RECVTCLASS, IPV6_FLOWINFO, socket.IPV6_RECVHOPLIMIT,
                               socket.IPV6_RECVHOPOPTS, socket.IPV6_RECVDSTOPTS):
                    sock.setsockopt(socket.IPPROTO_IPV6, option, 1)
            sock.bind((sa.dst, 0))
            sock.connect((sa.src, 0))
            self.protos[sock] = proto
        self.sockets = list(self.protos)

    def expected(self, judged):
        """Almost all. What is ESP, AH or IPComp once more is looked up as such before
        anybody hears of it, and has no SA here."""
        inner = judged.verdict.inner
        proto = inner[iphdr.transport_point(judged.head)[1]]
        return [inner] if proto in self.protos.values() and proto not in PROTOS_XFRM else []

    def heard(self, sock):
        """What has come, but for what is before ESP, ESP itself, and neighbours."""
        proto = self.protos[sock]
        for data, told, _, _ in read(sock):
            at = 0 if self.sa.version == 6 else (data[0] & 15) * 4
            if proto == iphdr.PROTO_ESP and data[at : at + 4] != PORTS:
                continue
            if self.sa.version == 6:
                if (proto == iphdr.PROTO_DSTOPTS and data[0] == iphdr.PROTO_ESP
                        or proto == PROTO_ICMPV6 and data[0] in ICMPV6_NEIGHBOURS):
                    continue
                data = self.header6(proto, {kind: v for _, kind, v in told}, data) + data
            yield data

    def header6(self, proto, told, body):
        """All before the payload."""
        chain = [(number, told[kind]) for number, kind in
                 ((0, socket.IPV6_HOPOPTS), (60, socket.IPV6_DSTOPTS)) if kind in told]
        extensions = b"".join(octets for _, octets in chain)
        (hops,) = struct.unpack("=i", told[socket.IPV6_HOPLIMIT])
        flow = int.from_bytes(told.get(IPV6_FLOWINFO, b""), "big")
        first = chain[0][0] if chain else proto
        return struct.pack("!IHBB", 6 << 28 | flow, len(extensions) + len(body), first,
                           hops) + self.sa.addresses + extensions
