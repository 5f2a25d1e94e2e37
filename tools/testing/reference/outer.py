# SPDX-License-Identifier: GPL-2.0-only
"""What stands around ESP in each mode: outer headers, payload and Next Header.

enter() and leave() go between an inner packet and (head, Next Header, payload);
wrap() and split() between head and ESP packet and the outer packet. head is
all that stands before ESP or, if there is one, before the UDP header.
"""

import collections
import ipaddress
from functools import cached_property

import beet
import iphdr
from errors import BadInner, BadNextHeader, BadOuter, BadPseudoHeader, BadUdp
from iphdr import IP_DF, IP_FLAGS, PROTO_BEETPH, PROTO_ESP, PROTO_IPIP, PROTO_IPV6, PROTO_UDP

ECN_ECT0, ECN_CE = 2, 3
ADDRESS_PROTO = {4: PROTO_IPIP, 6: PROTO_IPV6}


class Addresses:
    """What an SA of any format has: src and dst, and in BEET inner, in a header's octets."""

    @cached_property
    def src_octets(self):
        """Outer source address."""
        return ipaddress.ip_address(self.src).packed

    @cached_property
    def dst_octets(self):
        """Outer destination address."""
        return ipaddress.ip_address(self.dst).packed

    @cached_property
    def addresses(self):
        """Both outer addresses, as they stand in a header."""
        return self.src_octets + self.dst_octets

    @cached_property
    def inner_addresses(self):
        """BEET's inner addresses, as they stand in a header."""
        return b"".join(ipaddress.ip_address(a).packed for a in self.inner)

    @property
    def version(self):
        """Outer IP version."""
        return 4 if len(self.dst_octets) == 4 else 6

    @property
    def inner_version(self):
        """BEET's inner IP version."""
        return 4 if len(self.inner_addresses) == 8 else 6


def plain_head(sa):
    """A head with nothing special in it."""
    return iphdr.Header(sa.addresses, PROTO_ESP).octets(0)


# --- making packets ---------------------------------------------------------


def wrap(sa, esp, head=None, ports=None):
    """Put outer headers before an ESP packet, whole or mutilated; ports are UDP's, if not those
    that the SA has."""
    head = plain_head(sa) if head is None else head
    if not sa.encap:
        return iphdr.complete(head, sa.proto, esp)
    esp = iphdr.udp(iphdr.parse(head)[0].addresses, ports or sa.encap, esp)
    if sa.version == 4:
        esp = esp[:6] + b"\0\0" + esp[8:]
    return iphdr.complete(head, PROTO_UDP, esp)


def enter_transport(sa, inner):
    """The packet's own header, and all behind it."""
    if iphdr.parse(inner)[0].addresses != sa.addresses:
        raise ValueError("addresses are not the SA's")
    if iphdr.is_fragment(inner):
        raise ValueError("a fragment")
    at, field = iphdr.transport_point(inner)
    return inner[:at], inner[field], inner[at:]


def enter_beet(sa, inner):
    """The outer header that goes with the inner one, and what is behind that."""
    header, at = iphdr.parse(inner)
    next_header, payload = header.proto, inner[at:]
    if header.addresses != sa.inner_addresses:
        raise ValueError("addresses are not the SA's")
    if next_header == PROTO_BEETPH:
        raise ValueError("protocol 94")
    outer = iphdr.Header(sa.addresses, PROTO_ESP, header.tos, header.ttl)
    if sa.inner_version == 6:
        return outer._replace(label=header.label).octets(0), next_header, payload

    fragment = iphdr.is_fragment(inner)
    if fragment and not sa.beet_frag:
        raise ValueError("a fragment")
    if not beet.options_parse(header.options):
        raise ValueError(f"options {header.options.hex()}")
    outer = outer._replace(ident=header.ident, frag=header.frag)
    if fragment:
        outer = outer._replace(frag=header.frag & IP_DF)
        # Only IPv6 writes it: the draft has no place for the Identification
        outer = outer._replace(label=header.ident)
    if fragment or header.options:
        frag = header.frag if fragment else None
        payload = beet.pseudo_header(next_header, header.options, frag) + payload
        next_header = PROTO_BEETPH
    return outer.octets(0), next_header, payload


def enter(sa, inner):
    """Head, Next Header and payload for an inner packet. A ValueError says that a
    sender does not send it. (It does send a packet of protocol 59, which in transport
    mode and BEET ends as a dummy packet.)"""
    if sa.mode == "tunnel":
        return plain_head(sa), ADDRESS_PROTO[inner[0] >> 4], inner
    if iphdr.inner_length(inner) != len(inner):
        raise ValueError("not the length that its header says")
    return {"transport": enter_transport, "beet": enter_beet}[sa.mode](sa, inner)


# --- taking packets apart ---------------------------------------------------


def unwrap_udp(sa, packet, addresses, datagram):
    """The ESP packet in the UDP packet that is behind the outer header."""
    if len(datagram) < iphdr.UDP_LEN:
        raise BadUdp(f"{len(datagram)} octets")
    ports = int.from_bytes(datagram[:2], "big"), int.from_bytes(datagram[2:4], "big")
    if not sa.takes_ports(ports):
        raise BadUdp(f"ports {ports}")
    if int.from_bytes(datagram[4:6], "big") != len(datagram):
        raise BadUdp("length is not the packet's")
    if packet[0] >> 4 == 4:
        if datagram[6:8] != b"\0\0":
            raise BadUdp("a checksum")
    elif datagram[6:8] == b"\0\0" or iphdr.udp_sum(addresses, datagram):
        raise BadUdp("checksum")
    return datagram[iphdr.UDP_LEN :]


def split(sa, packet):
    """Head and ESP packet of an outer IP packet from the SA's sender."""
    try:
        header, end = iphdr.parse(packet)
        at, field = iphdr.transport_point(packet)
    except ValueError as e:
        raise BadOuter(str(e)) from None
    if packet[0] >> 4 != sa.version:
        raise BadOuter(f"version {packet[0] >> 4}")
    if sa.mode != "transport" and at != (20 if sa.version == 4 else 40):
        raise BadOuter("options or extension headers")
    if packet[field] != (PROTO_UDP if sa.encap else sa.proto):
        raise BadOuter(f"protocol {packet[field]} behind {at} octets")
    if iphdr.inner_length(packet) != len(packet):
        raise BadOuter("not of the length that the header says")
    if iphdr.is_fragment(packet):
        raise BadOuter("a fragment")
    if sa.version == 4 and iphdr.checksum(packet[:end]):
        raise BadOuter("header checksum")
    if header.addresses != sa.addresses:
        raise BadOuter("addresses are not the SA's")
    if sa.encap:
        return packet[:at], unwrap_udp(sa, packet, header.addresses, packet[at:])
    return packet[:at], packet[at:]


def leave_tunnel(next_header, payload):
    """The inner packet: octets behind its end are cut off."""
    if next_header not in ADDRESS_PROTO.values():
        raise BadNextHeader(str(next_header))
    length = iphdr.inner_length(payload)
    if length is None or ADDRESS_PROTO[payload[0] >> 4] != next_header:
        raise BadInner(f"Next Header {next_header}, inner {payload[:1].hex()}")
    return payload[:length]


def leave_beet(sa, head, next_header, payload):
    """The inner header, made again out of the outer one."""
    outer, _ = iphdr.parse(head)
    inner = iphdr.Header(sa.inner_addresses, next_header, outer.tos, outer.ttl)
    if sa.inner_version == 6:
        inner = inner._replace(label=outer.label)
        return inner.octets(len(payload)) + payload

    if sa.version == 4:
        inner = inner._replace(ident=outer.ident, frag=outer.frag & IP_FLAGS)
    if next_header == PROTO_BEETPH:
        pseudo = beet.parse_pseudo_header(payload, sa.beet_frag)
        payload = payload[pseudo.length :]
        inner = inner._replace(proto=pseudo.next_header, options=pseudo.options)
        if pseudo.frag is not None:
            inner = inner._replace(frag=pseudo.frag)
            if sa.version == 6:
                inner = inner._replace(ident=outer.label & 0xFFFF)
    return inner.octets(len(payload)) + payload


def tunnel_head(sa, inner):
    """The outer header that tunnel mode has for an inner packet, RFC 4301 section 5.1.2.1, but
    for Identification. Of a dummy packet, which has none inside, inner is None."""
    tos, frag, label = 0, IP_DF, 0
    if inner:
        header, _ = iphdr.parse(inner)
        tos, label = header.tos, header.label
        # What is in IPv6 must not be cut on the way
        if inner[0] >> 4 == 4:
            frag = header.frag & IP_DF
    dscp, ecn = tos & ~3, tos & 3
    # RFC 3168 section 9.1.1, full functionality: that there is congestion is not told outside
    if ecn == ECN_CE:
        ecn = ECN_ECT0
    if "noecn" in sa.flags:
        ecn = 0
    if "dont-encap-dscp" in sa.flags:
        dscp = 0
    if "nopmtudisc" in sa.flags:
        frag = 0
    outer = iphdr.Header(sa.addresses, PROTO_UDP if sa.encap else PROTO_ESP, dscp | ecn, sa.ttl)
    if sa.version == 4:
        return outer._replace(frag=frag)
    return outer._replace(label=label)


def tunnel_problems(sa, packet, inner):
    """What is wrong with the outer header of a packet that split() takes."""
    got, _ = iphdr.parse(packet)
    want = tunnel_head(sa, inner)
    for field in ("tos", "ttl") + (("frag",) if sa.version == 4 else ("label",)):
        if getattr(got, field) != getattr(want, field):
            yield (f"outer {field} {getattr(got, field):#x}, not {getattr(want, field):#x},"
                   f" of {inner[:40].hex() if inner else 'a dummy packet'}")


class Identifications:
    """Those of outer IPv4 headers. What may be cut needs one that no other packet with the
    same addresses and protocol has that is on the way (RFC 6864); what has DF may have any.
    That is true if it has not come again for so many packets; the kernel counts, and seldom
    goes further than a few at a time."""

    MEMORY = 256

    def __init__(self):
        self.last = {}

    def problems(self, packet):
        """What is wrong with that of one more packet."""
        if packet[0] >> 4 != 4 or int.from_bytes(packet[6:8], "big") & IP_DF:
            return
        ident = packet[4:6]
        last = self.last.setdefault(packet[9:10] + packet[12:20],
                                    collections.deque(maxlen=self.MEMORY))
        if ident in last:
            yield f"outer Identification {ident.hex()} again after {len(last) - last.index(ident)}"
        last.append(ident)


def leave(sa, head, next_header, payload):
    """The inner packet as a receiver delivers it, being no stricter than it may."""
    if sa.mode == "tunnel":
        return leave_tunnel(next_header, payload)
    if sa.mode == "transport":
        return iphdr.complete(head, next_header, payload)
    return leave_beet(sa, head, next_header, payload)


def leave_strictly(sa, head, next_header, payload):
    """As leave(), for what a correct sender makes: it would make this of it."""
    inner = leave(sa, head, next_header, payload)
    if sa.mode == "tunnel":
        if inner != payload or iphdr.inner_length(inner) != len(inner):
            raise BadInner(f"{len(payload)} octets, header says otherwise")
        return inner
    try:
        again = enter(sa, inner)
    except ValueError as e:
        raise BadNextHeader(f"{next_header}: {e}") from None
    if again[1:] != (next_header, payload):
        if next_header == PROTO_BEETPH:
            raise BadPseudoHeader(payload[:48].hex())
        raise BadNextHeader(str(next_header))
    if iphdr.complete(again[0], 0, b"") != iphdr.complete(head, 0, b""):
        raise BadOuter("the inner header and the outer do not go together")
    return inner


def find_esp(packet, encaps=()):
    """Where the SPI is in a packet, be it of any SA: None if nowhere, -1 if it is
    a fragment of an ESP packet. encaps: pairs of ports that are ESP in UDP."""
    try:
        _, at = iphdr.parse(packet)
    except ValueError:
        return None
    if packet[0] >> 4 == 4:
        proto, frag = packet[9], int.from_bytes(packet[6:8], "big")
        fragment, begins = frag & iphdr.IP_FRAGMENT, not frag & 0x1FFF
    else:
        proto, fragment, begins = packet[6], False, True
        while proto in (iphdr.PROTO_HOPOPTS, iphdr.PROTO_ROUTING, iphdr.PROTO_DSTOPTS,
                        iphdr.PROTO_FRAGMENT) and begins and at + 8 <= len(packet):
            if proto == iphdr.PROTO_FRAGMENT:
                fragment, begins = True, not int.from_bytes(packet[at + 2 : at + 4], "big") >> 3
                proto, at = packet[at], at + 8
            else:
                proto, at = packet[at], at + 8 + 8 * packet[at + 1]
    if proto == PROTO_UDP and begins:
        ports = int.from_bytes(packet[at : at + 2], "big"), int.from_bytes(
            packet[at + 2 : at + 4], "big")
        # Four zeros are IKE's, one octet keeps the NAT's state
        spi = packet[at + 8 : at + 12]
        if ports in encaps and len(spi) == 4 and any(spi):
            return -1 if fragment else at + 8
        return None
    if proto != PROTO_ESP:
        return None
    if fragment:
        return -1
    return at if at + 4 <= len(packet) else None
