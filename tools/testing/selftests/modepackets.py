# SPDX-License-Identifier: GPL-2.0-only
"""The packets of modes.py, and what should become of them: told from the description
of the modes, and of nothing else."""

import pathlib
import socket
import struct
import sys
from typing import NamedTuple

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "reference"))

# pylint: disable=wrong-import-position
import esp64

LINK_MTU = 1500
DF, MF, OFFSET = 0x4000, 0x2000, 0x1FFF
UDP, DSTOPTS, FRAGMENT, HOPOPTS, BEETPH = 17, 60, 44, 0, 94
PORT, ECHO_PORT = 9, 7

HEADER = {4: 20, 6: 40}
INNER = {4: ("10.1.0.1", "10.2.0.1"), 6: ("fd01::1", "fd02::1")}
OUTER = {4: ("10.0.0.1", "10.0.0.2"), 6: ("fd00::1", "fd00::2")}

# Every ECN codepoint alone and with a DSCP; DSCPs with every bit set and clear
DS_FIELDS = (0x00, 0x01, 0x02, 0x03, 0xB8, 0x89, 0x4A, 0xFF, 0x54, 0xA8)
# The peer is on the link: one hop is enough
TTLS = (64, 1, 255, 2)
FLOW_LABELS = (0, 1, 0x12345, 0xFFFFF)
# An option that no stack knows is no stack's to change; it is to be copied into
# fragments
OPTION = 0x9E


def octets(address):
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


def version(packet):
    return packet[0] >> 4


# --- packets ----------------------------------------------------------------


def ip4(src, dst, body, proto=UDP, tos=0, ident=1, frag=0, ttl=64, options=b""):
    head = struct.pack("!BBHHHBBH", 0x45 + len(options) // 4, tos, 20 + len(options) + len(body),
                       ident, frag, ttl, proto, 0) + octets(src) + octets(dst) + options
    return head[:10] + struct.pack("!H", esp64.checksum(head)) + head[12:] + body


def ip6(src, dst, body, proto=UDP, tclass=0, flow=0, hops=64, extensions=()):
    """extensions: of number and options, as they follow one another."""
    chain = b""
    following = [number for number, _ in extensions[1:]] + [proto]
    for (_, options), then in zip(extensions, following):
        chain += bytes((then, (len(options) + 2) // 8 - 1)) + options
    first = extensions[0][0] if extensions else proto
    return struct.pack("!IHBB", 6 << 28 | tclass << 20 | flow, len(chain) + len(body), first,
                       hops) + octets(src) + octets(dst) + chain + body


def udp(src, dst, payload, port=PORT):
    head = struct.pack("!HHH", port, port, 8 + len(payload))
    pseudo = octets(src) + octets(dst) + struct.pack("!IHBB", 8 + len(payload), 0, 0, UDP)
    return head + struct.pack("!H", esp64.checksum(pseudo + head + payload) or 0xFFFF) + payload


def payload(number, length):
    """Tells packets apart."""
    return (struct.pack("!H", number) + bytes(range(256)) * (length // 256 + 1))[:length]


def number_of(packet):
    """The number in such a packet's payload."""
    at = (packet[0] & 15) * 4 if version(packet) == 4 else chain_of(packet)[-1][1]
    return int.from_bytes(packet[at + 8 : at + 10], "big")


def chain_of(packet):
    """What follows an IPv6 header, up to what is not one of its extensions: the place
    of the octet that names it, its own place, what it is."""
    chain = [(6, 40, packet[6])]
    while chain[-1][2] in (HOPOPTS, DSTOPTS):
        _, at, _ = chain[-1]
        chain.append((at, at + packet[at + 1] * 8 + 8, packet[at]))
    return chain


def options_of(length):
    """IPv4 options, different for each length."""
    before = b"\x01" * (length // 4 % 3)
    after = b"\0" * (length // 8 % 2)
    inside = length - len(before) - len(after) - 2
    return before + bytes((OPTION, inside + 2)) + bytes(range(length, length + inside)) + after


def padded(options):
    """Of an IPv6 extension header: 8 octets, or a multiple of that, with its first two."""
    missing = -(len(options) + 2) % 8
    if missing == 1:
        return options + b"\0"
    return options + (bytes((1, missing - 2)) + bytes(missing - 2) if missing else b"")


# (An option that no stack knows, and that it is to pass over)
EXTENSIONS = (
    [(HOPOPTS, padded(b""))],
    [(DSTOPTS, padded(b"\x1e\x04abcd"))],
    [(HOPOPTS, padded(b"\x1e\x03xyz"))],
    [(HOPOPTS, padded(b"\x1e\x04efgh")), (DSTOPTS, padded(b"\x1e\x14" + bytes(range(20))))],
    [(DSTOPTS, padded(b"\x1e\x78" + bytes(range(120))))],
)


def packets4(src, dst, mtu, less=0):
    """One of everything. Not the same number twice. less: how much shorter the largest
    with options have to be."""
    number = 0

    def make(length=64, options=b"", **fields):
        nonlocal number
        number += 1
        body = udp(src, dst, payload(number, length - 28 - len(options)))
        return ip4(src, dst, body, options=options, ident=0x1000 + number, **fields)

    for i, tos in enumerate(DS_FIELDS):
        for df in (0, DF):
            yield make(tos=tos, frag=df, ttl=TTLS[i % len(TTLS)])
    for length in (30, 31, 32, 33, mtu - 3, mtu - 2, mtu - 1, mtu):
        yield make(length, frag=DF)
    for length in range(4, 44, 4):
        yield make(100 + length, options_of(length), frag=DF * (length // 4 % 2),
                   tos=DS_FIELDS[length // 4 % len(DS_FIELDS)])
    yield make(mtu - less, options_of(36), frag=DF)
    yield make(mtu - less, options_of(40))
    # The last to be sent and, on one CPU, to arrive
    yield make()


def packets6(src, dst, mtu, less=0):
    number = 0

    def make(length=84, extensions=(), **fields):
        nonlocal number
        number += 1
        extra = sum(len(options) + 2 for _, options in extensions)
        body = udp(src, dst, payload(number, length - 48 - extra))
        return ip6(src, dst, body, extensions=extensions, **fields)

    for i, tclass in enumerate(DS_FIELDS):
        yield make(tclass=tclass, hops=TTLS[i % len(TTLS)])
    for flow in FLOW_LABELS:
        yield make(tclass=0x2E, flow=flow)
    for length in (50, 51, 52, 53, mtu - 3, mtu - 2, mtu - 1, mtu):
        yield make(length)
    for extensions in EXTENSIONS:
        yield make(250, extensions, flow=0x4321)
        yield make(mtu - less, extensions)
    yield make()


# --- what should become of them ---------------------------------------------


class Shape(NamedTuple):
    """What of an SA the length of its packets depends on: octets of ESP header (stock ESP
    has 8; of EESP with its options), IV, ICV and UDP header, the unit of padding, the placement
    of the trailer. And its IP protocol number."""

    header: int = 12
    iv: int = 8
    align: int = 4
    icv: int = 16
    udp: int = 0
    trailer: str = "end"
    proto: int = esp64.PROTO_ESP

    def fixed(self):
        """Octets of plaintext that are neither payload nor padding."""
        return {"end": 2, "front": 4, "omit": 0}[self.trailer]

    def length(self, payload_length):
        """Of the whole ESP packet."""
        plain = -(-(payload_length + self.fixed()) // self.align) * self.align
        return self.udp + self.header + self.iv + plain + self.icv

    def counted(self, payload_length, pseudo_header=False):
        """What the kernel takes it for (Documentation/wire-formats.rst, MTU): it has Pad
        Length and Next Header at the end in mind, and nothing else inside whole blocks."""
        front, align, icv = self.fixed(), self.align, self.icv
        if self.trailer == "end":
            front = 0
            if not pseudo_header or align == 4:
                return self.length(payload_length)
        if (front or pseudo_header) and align > 4:
            icv, align = icv + align - 4, 4
        plain = -(-(payload_length + 2) // align) * align
        return self.udp + self.header + self.iv + front + plain + icv


STOCK = Shape(header=8)


def mtu_of(mode, inner, outer, shape=Shape(), count=None):
    """The longest inner packet that is said to fit.

    In tunnel and transport mode that is what does fit, if the trailer is at the end,
    counted up rather than computed backwards. In BEET the kernel takes the inner header
    to be as long as the outer one, and reserves 8 octets for a pseudo header with inner
    IPv4; in IPv6 it counts the difference of the headers, too.
    """
    pseudo_header = (mode, inner) == ("beet", 4)
    count = count or (lambda length: shape.counted(length, pseudo_header))
    reserved = own = 0
    if mode == "transport":
        own = HEADER[inner]
    elif mode == "beet":
        own = HEADER[outer]
        if inner == 4:
            reserved = 8 + HEADER[outer] - HEADER[4]
    mtu = 1280
    while HEADER[outer] + reserved + count(mtu + 1 - own) <= LINK_MTU:
        mtu += 1
    return mtu


def delivered(mode, inner, outer, packet):
    """What the peer should get. All of what was sent, but in BEET what has no place in an
    outer header of the other family."""
    if mode != "beet" or inner == outer:
        return packet
    if inner == 6:
        return struct.pack("!I", int.from_bytes(packet[:4], "big") & ~0xFFFFF) + packet[4:]
    # Identification 0, DF
    head = bytearray(packet[: (packet[0] & 15) * 4])
    head[4:8] = struct.pack("!HH", 0, DF)
    return with_checksum(head) + packet[len(head) :]


def with_checksum(head):
    head = bytearray(head)
    head[10:12] = b"\0\0"
    head[10:12] = struct.pack("!H", esp64.checksum(head))
    return bytes(head)


def in_front(mode, outer, packet, length, proto=esp64.PROTO_ESP):
    """All that should be in front of ESP, in a packet of that length; of tunnel mode
    nothing is said."""
    src, dst = OUTER[outer]
    body = bytes(length - HEADER[outer])
    if mode == "transport":
        if outer == 4:
            head = bytearray(packet[: (packet[0] & 15) * 4])
            head[2:4] = struct.pack("!H", length)
            head[9] = proto
            return with_checksum(head)
        name, at, _ = chain_of(packet)[-1]
        head = bytearray(packet[:at])
        head[4:6] = struct.pack("!H", length - 40)
        head[name] = proto
        return bytes(head)
    if version(packet) == 4:
        ds, ttl, flow = packet[1], packet[8], 0
        ident, frag = struct.unpack_from("!HH", packet, 4)
        if frag & (MF | OFFSET):
            frag, flow = frag & DF, ident
    else:
        word, ttl = int.from_bytes(packet[:4], "big"), packet[7]
        ds, flow, ident, frag = word >> 20 & 0xFF, word & 0xFFFFF, 0, DF
    if outer == 4:
        return ip4(src, dst, body, proto, ds, ident, frag, ttl)[:20]
    return ip6(src, dst, body, proto, ds, flow, ttl)[:40]


def esp_at(packet, proto=esp64.PROTO_ESP):
    """Where ESP, or EESP, begins; None if there is none, or this is a fragment."""
    if version(packet) == 4:
        at = (packet[0] & 15) * 4
        whole = not int.from_bytes(packet[6:8], "big") & (MF | OFFSET)
        return at if whole and packet[9] == proto else None
    _, at, what = chain_of(packet)[-1]
    return at if what == proto else None


def comparable(mode, packet):
    """The header in front of ESP without what is different each time: in tunnel mode IPv4
    draws the Identification of what may be cut."""
    head = bytearray(packet[: esp_at(packet)])
    if mode == "tunnel" and version(packet) == 4 and not head[6] & DF >> 8:
        head[4:6] = b"\0\0"
        return with_checksum(head)
    return bytes(head)


def without_length(head):
    """Stock ESP's is four octets shorter."""
    if version(head) == 4:
        return head[:2] + head[4:10] + head[12:]
    return head[:4] + head[6:]


class Reassembly:
    """Puts the link's fragments together again. lost: flags that IPv4 takes from a packet
    that it cuts."""

    def __init__(self, lost=0):
        self.parts = {}
        self.fragments = 0
        self.lost = lost

    def packet(self, packet):
        """The whole packet, or None as long as something is missing."""
        if version(packet) == 4:
            word = int.from_bytes(packet[6:8], "big")
            if not word & (MF | OFFSET):
                return packet
            at, offset, more = (packet[0] & 15) * 4, (word & OFFSET) * 8, word & MF
            key = packet[4:6] + packet[12:20] + packet[9:10]
            head = bytearray(packet[:at])
            head[6:8] = struct.pack("!H", word & DF | self.lost)
        else:
            name, at, what = chain_of(packet)[-1]
            if what != FRAGMENT:
                return packet
            word = int.from_bytes(packet[at + 2 : at + 4], "big")
            offset, more, key = word & 0xFFF8, word & 1, packet[at + 4 : at + 8] + packet[8:40]
            head = bytearray(packet[:at])
            head[name] = packet[at]
            at += 8
        self.fragments += 1
        parts = self.parts.setdefault(key, {})
        parts[offset] = (head, packet[at:], more)
        body, last = b"", True
        while (part := parts.get(len(body))) and part[1]:
            body, last = body + part[1], part[2]
        if last:
            return None
        del self.parts[key]
        head = parts[0][0]
        if version(packet) == 4:
            head[2:4] = struct.pack("!H", len(head) + len(body))
            return with_checksum(head) + body
        head[4:6] = struct.pack("!H", len(head) - 40 + len(body))
        return bytes(head) + body


def fragment(src, dst, data, ident, sizes, options=b"", later=None, df=0, **fields):
    """A datagram in pieces of these many octets, and one with the rest. options are those
    of the first, later those of the others."""
    body = udp(src, dst, data)
    pieces, at = [], 0
    later = options if later is None else later
    for size in (*sizes, len(body) - sum(sizes)):
        following = MF if at + size < len(body) else 0
        pieces.append(ip4(src, dst, body[at : at + size], ident=ident, frag=df | following | at // 8,
                          options=later if at else options, **fields))
        at += size
    return pieces


def datagrams(src, dst, mtu):
    """Fragments in the order in which they are sent, and the payloads that they are of."""
    count = 0

    def make(length, *args, **kwargs):
        nonlocal count
        count += 1
        data = payload(count, length)
        return data, fragment(src, dst, data, *args, **kwargs)

    data, pieces = make(100, 0x0001, (40, 40), tos=0xB9, ttl=17)
    yield pieces, [data]
    data, pieces = make(101, 0xFFFF, (48, 32), df=DF)
    yield pieces[::-1], [data]
    for length in (4, 8, 12, 40):
        data, pieces = make(200 + length, 0x8000 + length, (64, 64), options_of(length))
        yield pieces, [data]
    # Not all options are copied into all fragments
    data, pieces = make(300, 0x4321, (80, 120), options_of(36), b"")
    yield pieces[::-1], [data]
    one, ones = make(200, 0x1111, (64, 64))
    other, others = make(200, 0x1112, (64, 64), options_of(20))
    yield [p for pair in zip(ones, others) for p in pair], [one, other]
    one, ones = make(200, 0x2221, (64, 64))
    other, others = make(200, 0x1222, (64, 64))
    yield [p for pair in zip(ones, others[::-1]) for p in pair], [one, other]
    # The longest that fit, and the longest that the link takes, which is cut once more
    for options in (b"", options_of(40)):
        size = mtu - 20 - len(options) & ~7
        data, pieces = make(3 * size - 100, 0x3300 + len(options), (size, size), options, df=DF)
        yield pieces, [data]
    size = LINK_MTU - 20 & ~7
    data, pieces = make(3 * size - 100, 0x5555, (size, size))
    yield pieces, [data]
