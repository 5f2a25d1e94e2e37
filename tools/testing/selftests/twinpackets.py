# SPDX-License-Identifier: GPL-2.0-only
"""Packets for differential.py, octet by octet."""

import socket
import struct

UDP, TCP, ICMP, ICMP6, GRE, FRAGMENT, ESP = 17, 6, 1, 58, 47, 44, 50
SYN, ACK, PSH, FIN, RST = 2, 16, 8, 1, 4
SERVICES = (7, 9, 80)
VXLAN = (4789).to_bytes(2, "big")


def checksum(data):
    """RFC 1071."""
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def octets(address):
    """Of either family."""
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


def ip4(src, dst, proto, payload, *, tos=0, ttl=64, df=True, options=b"", ident=1, frag=0):
    """An IPv4 packet."""
    head = struct.pack("!BBHHHBBH4s4s", 0x45 + len(options) // 4, tos,
                       20 + len(options) + len(payload), ident, 0x4000 * df | frag, ttl, proto, 0,
                       octets(src), octets(dst)) + options
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload


def ip6(src, dst, proto, payload, *, tos=0, ttl=64, label=0):
    """An IPv6 packet."""
    return struct.pack("!IHBB", 6 << 28 | tos << 20 | label, len(payload), proto, ttl) + \
        octets(src) + octets(dst) + payload


def upper(src, dst, proto, payload, at):
    """An upper-layer header's checksum, with its pseudo header, put in."""
    pseudo = octets(src) + octets(dst) + (struct.pack("!II", len(payload), proto) if ":" in src
                                          else struct.pack("!HH", proto, len(payload)))
    return payload[:at] + struct.pack("!H", checksum(pseudo + payload) or 0xFFFF) + payload[at + 2:]


def udp(src, dst, sport, dport, fill):
    """Protocol and payload."""
    return UDP, upper(src, dst, UDP, struct.pack("!HHHH", sport, dport, 8 + len(fill), 0) + fill, 6)


def tcp(src, dst, sport, dport, seq, ack, flags, fill):
    """Protocol and payload."""
    head = struct.pack("!HHIIBBHHH", sport, dport, seq, ack, 0x50, flags, 1000, 0, 0)
    return TCP, upper(src, dst, TCP, head + fill, 16)


def echo(src, dst, number, seq, fill, reply=False):
    """Protocol and payload."""
    if ":" in src:
        data = struct.pack("!BBHHH", 129 if reply else 128, 0, 0, number, seq) + fill
        return ICMP6, upper(src, dst, ICMP6, data, 2)
    data = struct.pack("!BBHHH", 0 if reply else 8, 0, 0, number, seq) + fill
    return ICMP, data[:2] + struct.pack("!H", checksum(data)) + data[4:]


def packets(src, dst, proto, payload, *, tos=0, ttl=64, df=True, options=b"", ident=1, cut=0):
    """As one packet, or in fragments of that many octets; options for IPv4 only."""
    if ":" in src:
        if not cut:
            return [ip6(src, dst, proto, payload, tos=tos, ttl=ttl)]
        return [ip6(src, dst, FRAGMENT, struct.pack(
            "!BBHI", proto, 0, at | (at + cut < len(payload)), ident) + payload[at:at + cut],
            tos=tos, ttl=ttl) for at in range(0, len(payload), cut)]
    more = {"tos": tos, "ttl": ttl, "options": options, "ident": ident}
    if not cut:
        return [ip4(src, dst, proto, payload, df=df, **more)]
    return [ip4(src, dst, proto, payload[at:at + cut], df=False, frag=at // 8 | (
        0x2000 if at + cut < len(payload) else 0), **more) for at in range(0, len(payload), cut)]


def ports(data, at, proto):
    """Without a source port that NAT has drawn because another was taken, and the checksum."""
    if proto not in (TCP, UDP) or len(data) < at + 20:
        return data
    port = int.from_bytes(data[at:at + 2], "big")
    if port >= 1024 or port in SERVICES:
        return data
    check = at + (16 if proto == TCP else 6)
    return data[:at] + b"\0\0" + data[at + 2:check] + b"\0\0" + data[check + 2:]


def plain(data):
    """Without the Identification, which a sender chooses as it likes (and in IPv6 conntrack, of what it
    has put together and cuts again), also of a packet that an ICMP error tells of, whose checksum
    covers what is taken away."""
    if data[0] >> 4 == 6:
        if data[6] == UDP and data[42:44] == VXLAN:
            return data[:46] + b"\0\0" + inside(data[48:])
        if data[6] == FRAGMENT:
            data = data[:44] + b"\0\0\0\0" + data[48:]
        if data[6] == ICMP6 and len(data) >= 88 and data[40] in (1, 2, 3, 4):
            return data[:42] + b"\0\0" + data[44:48] + plain(data[48:])
        return ports(data, 40, data[6])
    head = (data[0] & 15) * 4
    data = data[:4] + b"\0\0" + data[6:10] + b"\0\0" + data[12:]
    if data[9] == UDP and data[head + 2:head + 4] == VXLAN and not data[6] & 0x1F and not data[7]:
        return data[:head + 6] + b"\0\0" + inside(data[head + 8:])
    if data[9] == ICMP and len(data) >= head + 28 and data[head] in (3, 11, 12):
        return data[:head + 2] + b"\0\0" + data[head + 4:head + 8] + plain(data[head + 8:])
    return data if data[6] & 0x1F or data[7] else ports(data, head, data[9])


def inside(data):
    """VXLAN's and Ethernet's headers and an IP packet."""
    return data[:22] + plain(data[22:]) if len(data) >= 42 else data


def on_wire(data):
    """What is the same of ESP whoever sent it: not the IV, not what is encrypted, nor the number, for
    with RPS another flow may have been before it. And the length."""
    data = plain(data)
    at = 40 if data[0] >> 4 == 6 else (data[0] & 15) * 4
    proto = data[6] if data[0] >> 4 == 6 else data[9]
    if proto == ESP and not (data[0] >> 4 == 4 and struct.unpack_from("!H", data, 6)[0] & 0x1FFF):
        return data[:at + 4], len(data)
    if proto == ESP:
        return data[:at], len(data)
    # A later fragment of ESP in IPv6, or the first
    if proto == FRAGMENT and data[40] == ESP:
        return data[:44], len(data)
    return data, len(data)


def number(data):
    """SPI and sequence number of a whole ESP packet."""
    at = 40 if data[0] >> 4 == 6 else (data[0] & 15) * 4
    return data[at:at + 8]


def is_esp(data):
    """A whole packet of it."""
    if data[0] >> 4 == 6:
        return data[6] == ESP
    return data[9] == ESP and not struct.unpack_from("!H", data, 6)[0] & 0x3FFF


def ours(data):
    """Whether a packet is of what was sent: no neighbour discovery, no multicast."""
    if data[0] >> 4 == 6:
        return data[24] != 0xFF and not (data[6] == ICMP6 and 130 <= data[40] <= 137)
    return data[0] >> 4 == 4 and data[16] < 0xE0


def describe(data):
    """Shortly."""
    six = data[0] >> 4 == 6
    family, at = (socket.AF_INET6, 40) if six else (socket.AF_INET, (data[0] & 15) * 4)
    src, dst = (data[8:24], data[24:40]) if six else (data[12:16], data[16:20])
    return (f"{socket.inet_ntop(family, src)}>{socket.inet_ntop(family, dst)}"
            f" proto {data[6] if six else data[9]} ttl {data[7] if six else data[8]}"
            f" {len(data)} octets {'' if six else data[6:8].hex()} {data[at:at + 16].hex()}")
