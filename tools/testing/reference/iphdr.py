# SPDX-License-Identifier: GPL-2.0-only
"""IP and UDP headers, as far as ESP has to do with them."""

import struct
from typing import NamedTuple

PROTO_HOPOPTS = 0
PROTO_IPIP = 4
PROTO_UDP = 17
PROTO_IPV6 = 41
PROTO_ROUTING = 43
PROTO_FRAGMENT = 44
PROTO_ESP = 50
PROTO_NONE = 59
PROTO_DSTOPTS = 60
PROTO_BEETPH = 94

# The 16 bits of flags and offset of IPv4: R and DF stay when it is no fragment
IP_DF = 0x4000
IP_FLAGS = 0xC000
IP_FRAGMENT = 0x3FFF
UDP_LEN = 8


def checksum(data):
    """The Internet checksum: 2^16 is 1 modulo 65535, so one division does it."""
    if len(data) & 1:
        data += b"\0"
    return -int.from_bytes(data, "big") % 0xFFFF


class Header(NamedTuple):
    """A fixed IP header with IPv4 options; addresses are source | destination."""

    addresses: bytes
    proto: int
    tos: int = 0
    ttl: int = 64
    ident: int = 0
    frag: int = IP_DF
    options: bytes = b""
    label: int = 0

    def octets(self, length):
        """The header before so many octets."""
        if len(self.addresses) == 32:
            first = 6 << 28 | self.tos << 20 | self.label
            head = struct.pack("!IHBB", first, length, self.proto, self.ttl)
            return head + self.addresses
        size = 20 + len(self.options)
        head = struct.pack(
            "!BBHHHBBH", 0x40 | size // 4, self.tos, size + length, self.ident,
            self.frag, self.ttl, self.proto, 0,
        ) + self.addresses + self.options
        return head[:10] + checksum(head).to_bytes(2, "big") + head[12:]


def parse(packet):
    """The Header of a packet, and where it ends. ValueError if it is not whole."""
    version = packet[0] >> 4 if packet else 0
    if version == 6 and len(packet) >= 40:
        first, _, proto, ttl = struct.unpack_from("!IHBB", packet)
        return Header(packet[8:40], proto, first >> 20 & 0xFF, ttl,
                      label=first & 0xFFFFF), 40
    if version == 4 and len(packet) >= 20:
        end = (packet[0] & 15) * 4
        if 20 <= end <= len(packet):
            tos, _, ident, frag, ttl, proto = struct.unpack_from("!BHHHBB", packet, 1)
            return Header(packet[12:20], proto, tos, ttl, ident, frag, packet[20:end]), end
    raise ValueError("not a whole IP header")


def inner_length(inner):
    """The length that an IP packet's own header gives, or None."""
    if len(inner) >= 20 and inner[0] >> 4 == 4:
        return int.from_bytes(inner[2:4], "big")
    if len(inner) >= 40 and inner[0] >> 4 == 6:
        return 40 + int.from_bytes(inner[4:6], "big")
    return None


def transport_point(packet):
    """Where transport mode puts ESP: the offset, and that of the Protocol or Next
    Header field that becomes 50."""
    if packet[0] >> 4 == 4:
        return (packet[0] & 15) * 4, 9
    at, field, routed = 40, 6, False
    while (
        packet[field] == PROTO_HOPOPTS and at == 40
        or packet[field] == PROTO_ROUTING
        or packet[field] == PROTO_DSTOPTS and not routed
    ):
        if at + 8 > len(packet):
            raise ValueError("an extension header is not whole")
        routed |= packet[field] == PROTO_ROUTING
        field, at = at, at + 8 + 8 * packet[at + 1]
    if at > len(packet):
        raise ValueError("an extension header is not whole")
    return at, field


def is_fragment(packet):
    """Whether an IP packet is a fragment; one that is the whole of it, too."""
    if packet[0] >> 4 == 4:
        return bool(int.from_bytes(packet[6:8], "big") & IP_FRAGMENT)
    kind, at = packet[6], 40
    while kind in (PROTO_HOPOPTS, PROTO_ROUTING, PROTO_DSTOPTS) and at + 2 <= len(packet):
        kind, at = packet[at], at + 8 + 8 * packet[at + 1]
    return kind == PROTO_FRAGMENT


def fragments(packet, size):
    """The fragments of an IP packet without options or extension headers, none of more octets
    than size, as a router or, of IPv6, a sender makes them."""
    v6 = packet[0] >> 4 == 6
    at = 40 if v6 else 20
    body, room = packet[at:], size - at - (8 if v6 else 0) & ~7
    ident = sum(body[-8:]) & 0xFFFF
    for offset in range(0, len(body), room):
        part, more = body[offset : offset + room], offset + room < len(body)
        if v6:
            part = struct.pack("!BBHI", packet[6], 0, offset | more, ident) + part
            head = bytearray(packet[:at])
            head[4:6], head[6] = len(part).to_bytes(2, "big"), PROTO_FRAGMENT
        else:
            head = bytearray(packet[:at])
            head[2:4] = (at + len(part)).to_bytes(2, "big")
            head[4:8] = struct.pack("!HH", ident, more << 13 | offset >> 3)
            head[10:12] = bytes(2)
            head[10:12] = checksum(bytes(head)).to_bytes(2, "big")
        yield bytes(head) + part


def complete(head, proto, body):
    """A packet out of what stands before ESP, and what comes instead of ESP: with
    proto in the last header's field, and the lengths and checksum that follow."""
    head, (_, field) = bytearray(head), transport_point(head)
    head[field] = proto
    if head[0] >> 4 == 4:
        head[2:4] = (len(head) + len(body)).to_bytes(2, "big")
        head[10:12] = bytes(2)
        head[10:12] = checksum(bytes(head)).to_bytes(2, "big")
    else:
        head[4:6] = (len(head) - 40 + len(body)).to_bytes(2, "big")
    return bytes(head) + body


def udp_sum(addresses, udp):
    """The checksum of a UDP packet with its checksum field as it is."""
    pseudo = addresses + struct.pack("!II", len(udp), PROTO_UDP)
    return checksum(pseudo + udp)


def udp(addresses, ports, body):
    """UDP around body, with its checksum."""
    made = struct.pack("!HHHH", *ports, UDP_LEN + len(body), 0) + body
    check = udp_sum(addresses, made) or 0xFFFF
    return made[:6] + check.to_bytes(2, "big") + body
