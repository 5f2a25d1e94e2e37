# SPDX-License-Identifier: GPL-2.0-only
"""Packets by chance for fuzzpackets.py: good ones, and such as were spoilt before they were
encrypted, behind it, and on their way; and what a receiver has to do with each, by the
reference.

Everything comes out of one random.Random: the same seed, the same packets.
"""

import pathlib
import sys
from typing import NamedTuple

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "reference"))

# pylint: disable=wrong-import-position
import beet
import echo
import esp64
import iphdr
import receiver

# What transport mode is heard of: nothing in the stack answers to, or changes, what is in it
PROTOS = (17, 132, 253, 254)
PORTS = (4500, 4500)
ROUTER_ALERT, NOPS = bytes.fromhex("94040000"), bytes(3) + b"\1"
MARGIN = 1 << 20


class Sent(NamedTuple):
    """A packet as it is put on the wire; what of it comes to which SA, as (number of the SA,
    Verdict, octets of ESP), and what is delivered, as (number of the SA, octets)."""

    what: str
    frames: list
    judged: list
    delivered: list


class Anything(receiver.Subspace):
    """Of an SA without replay protection: no number is unwanted, none remembered."""

    def verdict(self, sn, window):
        return None

    def accept(self, sn):
        pass


class Unprotected(dict):
    """Subspaces of such an SA."""

    def get(self, key, default=None):
        return Anything()

    def __setitem__(self, key, value):
        pass


class Mutator:
    """Makes packets for one SA."""

    def __init__(self, rng, sa, window, protected=True, trims=True):
        self.rng, self.sa, self.window, self.trims = rng, sa, window, trims
        self.receiver = receiver.Receiver(sa, window)
        if not protected:
            self.receiver.subspaces = Unprotected()
        self.top = {}
        self.old = []

    # --- plain values ---

    def chance(self, p):
        """True so often."""
        return self.rng.random() < p

    def octets(self, most=32):
        """A few."""
        return self.rng.randbytes(self.rng.randrange(most + 1))

    def size(self):
        """Of a payload: small as a rule."""
        kind = self.rng.random()
        if kind < 0.8:
            return self.rng.randrange(0, 140)
        if kind < 0.97:
            return self.rng.randrange(140, 1420)
        return self.rng.randrange(1420, 20000)

    def spoilt(self, data, times=None):
        """Some octets with others in their place, or cut, or longer."""
        data = bytearray(data)
        for _ in range(times or 1 + int(self.rng.expovariate(0.7))):
            how = self.rng.randrange(8)
            at = self.rng.randrange(len(data)) if data else 0
            # What says what the rest is, is at the ends
            if data and self.chance(0.5):
                at = min(len(data) - 1, self.rng.randrange(24))
            if how < 3 and data:
                data[at] ^= 1 << self.rng.randrange(8)
            elif how == 3 and data:
                data[at] = self.rng.choice((0, 1, 2, 4, 0x45, 0x60, 0x7F, 0x80, 0xFE, 0xFF))
            elif how == 4:
                del data[at : at + self.rng.randrange(1, 40)]
            elif how == 5:
                data[at:at] = self.octets(40)
            elif how == 6:
                del data[at:]
            else:
                data += self.octets(40)
        return bytes(data)

    # --- numbers ---

    def number(self):
        """Subspace and SN: in order as a rule, and about the edges of the window."""
        rng, sa = self.rng, self.sa
        subspace = rng.randrange(sa.subspaces)
        if sa.format == "esp64" and self.chance(0.02):
            subspace = rng.choice((sa.subspaces, sa.subspaces + 1, 0xFFFF)) & 0xFFFF
        top = self.top.get(subspace, 0)
        kind = rng.random()
        if kind < 0.75:
            sn = top + 1
        elif kind < 0.85:
            sn = top + rng.randrange(2, 3 * self.window)
        elif kind < 0.97:
            sn = top - rng.randrange(min(top, self.window + 4) + 1) or 1
        elif kind < 0.98:
            sn = top - self.window + rng.randrange(-2, 3)
        elif kind < 0.99:
            sn = 0
        elif kind < 0.998:
            # Over the middle and the end of a half
            sn = (top | 0x7FFFFFFF) + rng.randrange(-self.window, self.window)
        else:
            sn = rng.randrange(sa.sn_max + 1)
        sn = max(0, min(sn, sa.sn_max))
        # What none of the next would get beyond is left alone
        if sa.sn_max - sn < MARGIN:
            sn = min(top + 1, sa.sn_max)
        return subspace, sn

    # --- inner packets ---

    def addresses(self):
        """Of an inner packet."""
        if self.sa.mode == "transport":
            return self.sa.addresses
        if self.sa.mode == "beet":
            return self.sa.inner_addresses
        if self.chance(0.5):
            return bytes((10, 1, 0, self.rng.randrange(256), 10, 2, 0, 1 + self.rng.randrange(2)))
        return b"".join(bytes((0xFD, n)) + bytes(13) + b"\1" for n in (1, 2))

    def inner(self):
        """A packet that the SA's mode carries."""
        rng, addresses = self.rng, self.addresses()
        body = rng.randbytes(self.size())
        proto = rng.choice(PROTOS)
        if proto == 17:
            ports = rng.randrange(1 << 16), rng.randrange(1 << 16)
            body = iphdr.udp(addresses, ports, body)
        header = iphdr.Header(addresses, proto, ttl=1 + rng.randrange(255))
        if self.sa.mode == "transport":
            return header.octets(len(body)) + body
        header = header._replace(tos=rng.randrange(256) & ~3)
        if len(addresses) == 32:
            header = header._replace(label=rng.randrange(1 << 20))
        elif self.sa.mode == "beet" and self.chance(0.5):
            # Options, fragments
            header = header._replace(options=rng.choice((b"", NOPS[::-1], ROUTER_ALERT * rng.randrange(1, 11))),
                                     ident=rng.randrange(1 << 16))
            if self.sa.beet_frag and self.chance(0.6):
                header = header._replace(frag=rng.choice((0x2000, 0x2001, 0x6002, 0x1000)))
        return header.octets(len(body)) + body

    def spoilt_payload(self, proto, payload):
        """Next Header and payload, other than a sender makes them."""
        rng, sa = self.rng, self.sa
        if sa.trailer != "omit" and self.chance(0.05):
            # ESP Echo, near to a good one: by no SA that there is, and nobody listens
            one = echo.Echo(rng.choice((2, 3)), rng.choice((0, 0x80, 0xFF)), rng.getrandbits(16),
                            rng.getrandbits(16), rng.getrandbits(32), self.octets(80)).octets()
            return echo.PROTO_AGGFRAG, self.spoilt(one) if self.chance(0.7) else one
        if sa.trailer != "omit" and self.chance(0.2):
            proto = rng.choice((4, 41, 94, 59, 50, 0, 255) + PROTOS)
        if sa.mode == "beet" and self.chance(0.5):
            # A pseudo header, near to a good one
            fragment = rng.choice((None, 0x2000, 0x2003, 1, 0, 0x4000))
            options = rng.choice((b"", ROUTER_ALERT, ROUTER_ALERT * 3, rng.randbytes(4), rng.randbytes(8)))
            head = bytearray(beet.pseudo_header(rng.choice(PROTOS + (94,)), options, fragment))
            for _ in range(rng.randrange(3)):
                head[rng.randrange(min(8, len(head)))] = rng.choice((0, 1, 2, 3, 4, 5, 6, 8, 0x40, 0x80, 0xFF))
            return 94, bytes(head) + payload
        if sa.mode == "tunnel" and self.chance(0.3):
            # What its header says of itself
            data = bytearray(payload)
            for _ in range(1 + rng.randrange(2)):
                at = rng.choice((0, 2, 3, 4, 5, 6, 7, 9))
                if at < len(data):
                    data[at] = rng.choice((0, 1, 0x14, 0x28, 0x40, 0x4F, 0x46, 0x60, 0x6F, 0xFF, data[at] ^ 1))
            return proto, bytes(data)
        return proto, self.spoilt(payload)

    # --- ESP ---

    def iv(self):
        """None: what the number says."""
        return None if self.sa.suite.counted else self.rng.randbytes(self.sa.suite.iv_len)

    def seal(self, plain, number=None):
        """ESP around any plaintext, which is made whole words or blocks of."""
        subspace, sn = number or self.number()
        align = self.sa.align
        plain = plain[: len(plain) // align * align] or bytes(align)
        esp = esp64.seal(self.sa, subspace, sn, plain, self.iv())
        self.top[subspace] = max(self.top.get(subspace, 0), sn)
        return esp

    def good(self, inner=None):
        """Head and ESP of a packet as a sender makes it."""
        inner = inner or self.inner()
        head, proto, payload = esp64.enter(self.sa, inner)
        extra = 0
        if self.chance(0.1):
            extra = self.sa.align * self.rng.randrange(1, 8)
            # As much as there may be behind an inner packet, and more
            if self.sa.trailer == "omit" and self.chance(0.5):
                extra = self.sa.align * self.rng.randrange(244 // self.sa.align, 264 // self.sa.align)
        if self.trims and self.sa.trailer != "omit" and self.sa.mode == "tunnel" and self.chance(0.05):
            payload += bytes(self.rng.randrange(300))
        plain = esp64.plaintext(self.sa, payload, proto, extra)
        return head, self.seal(plain)

    def before(self):
        """Spoilt, and then encrypted."""
        head, proto, payload = esp64.enter(self.sa, self.inner())
        if self.chance(0.7):
            proto, payload = self.spoilt_payload(proto, payload)
            if self.sa.trailer == "omit" and not payload:
                payload = b"\x45"
            plain = esp64.plaintext(self.sa, payload, proto)
        else:
            plain = bytearray(esp64.plaintext(self.sa, payload, proto))
            # Where its trailer is, above all
            at = self.rng.choice((-1, -2, 0, 1, 2, 3)) if self.chance(0.7) else 0
            plain[at] = self.rng.choice((0, 1, 4, 15, 41, 59, 94, 254, 255, self.rng.randrange(256)))
            if self.chance(0.3):
                plain = plain[: self.sa.align * self.rng.randrange(1, 4)]
            plain = bytes(plain)
        return head, self.seal(plain)

    def behind(self):
        """Encrypted, and then spoilt."""
        head, esp = self.good()
        rng, kind = self.rng, self.rng.randrange(6)
        if kind == 0:
            return head, esp[: rng.randrange(len(esp) + 1)]
        if kind == 1:
            return head, esp + rng.randbytes(rng.choice((1, 2, 3, 4, 8, 16)))
        if kind == 2 and self.old:
            # A header of one, the rest of another
            other, at = rng.choice(self.old)[1], rng.choice((4, 6, 8, 12, 16, 20, 28))
            return head, esp[:at] + other[at:]
        if kind == 3:
            data = bytearray(esp)
            at = rng.choice((4, 5, 6, 7, 8, 9, 10, 11))
            data[min(at, len(data) - 1)] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
            return head, bytes(data)
        if kind == 4:
            data = bytearray(esp)
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
            return head, bytes(data)
        return head, self.spoilt(esp)

    def packet(self):
        """(what, head, ESP) of the next one."""
        kind = self.rng.random()
        if kind < 0.45:
            what, made = "good", self.good()
        elif kind < 0.70:
            what, made = "spoilt before", self.before()
        elif kind < 0.9 or not self.old:
            what, made = "spoilt behind", self.behind()
        else:
            what, made = "again", self.rng.choice(self.old)
        if len(self.old) < 64:
            self.old.append(made)
        else:
            self.old[self.rng.randrange(64)] = made
        return what, *made

    def judge(self, head, esp):
        """The verdict, and what is delivered or None."""
        if self.sa.mode == "tunnel":
            verdict = self.receiver.judge(esp)
            return verdict, verdict.payload
        verdict = self.receiver.judge(esp, head)
        return verdict, verdict.inner


class Way:
    """The way of packets to an SA: outer headers as networks leave them, and worse, as far as
    it is certain what the IP stack makes of them. Where esp4_offload or esp6_offload take packets
    at GRO (trims is False) nobody has looked for octets behind their end, or at IPv6's version."""

    def __init__(self, rng, sa, trims):
        self.rng, self.sa, self.trims = rng, sa, trims

    def fields(self, head):
        """A head with other fields in it; no congestion, which an inner header would be told."""
        rng, (header, end) = self.rng, iphdr.parse(head)
        header = header._replace(tos=rng.randrange(64) << 2, ttl=1 + rng.randrange(255))
        if len(header.addresses) == 8:
            header = header._replace(ident=rng.randrange(1 << 16), frag=rng.choice((0, 0x4000)))
            if self.sa.mode != "beet" and rng.random() < 0.3:
                header = header._replace(options=rng.choice((b"\1" * 4, b"\1" * 40, ROUTER_ALERT)))
        else:
            header = header._replace(label=rng.randrange(1 << 20))
        return header.octets(0) + head[end:]

    def pieces(self, packet):
        """Fragments of an IPv4 packet without options, in any order, and the head that it has
        when they are one again."""
        rng = self.rng
        header, end = iphdr.parse(packet)
        body, ident = packet[end:], rng.randrange(1 << 16)
        size = 8 * max(1, len(body) // 8 // rng.randrange(2, 5))
        made = []
        for at in range(0, len(body), size):
            part = body[at : at + size]
            more = 0x2000 if at + size < len(body) else 0
            one = header._replace(ident=ident, frag=more | at // 8)
            made.append(one.octets(len(part)) + part)
        if rng.random() < 0.5:
            rng.shuffle(made)
        return made, header._replace(ident=ident, frag=0)

    def send(self, head, esp):
        """(frames, head or None, ESP): what is put on the wire, and what comes out of the IP
        stack: None if nothing does."""
        rng = self.rng
        kind = rng.random()
        if kind < 0.15:
            head = self.fields(head)
        packet = esp64.wrap(self.sa, esp, head)
        # The kernel drops what in UDP is shorter than its IP header, unless GRO was faster
        if self.sa.encap and 8 < len(esp) < len(head) + 8:
            return [], None, esp
        if kind < 0.9:
            return [packet], *self.taken(head, esp)
        v4 = self.sa.version == 4
        if kind < 0.93 and v4 and len(head) == 20:
            if len(packet) < 60:
                return [packet], *self.taken(head, esp)
            made, header = self.pieces(packet)
            return made, *self.taken(header._replace(proto=iphdr.PROTO_ESP).octets(0), esp)
        if kind < 0.95 and self.trims:
            # Octets behind the end, as Ethernet puts them there
            return [packet + rng.randbytes(1 + rng.randrange(20))], *self.taken(head, esp)
        if kind < 0.97 and self.trims:
            # Its end is lost
            return [packet[: rng.randrange(len(head) - 1, len(packet))]], None, esp
        data, at = bytearray(packet), len(head)
        if v4 and kind < 0.985:
            data[10] ^= 1 + rng.randrange(255)
            return [bytes(data)], None, esp
        if v4 and self.sa.encap:
            # UDP that is no end of itself, or of a checksum that is wrong
            if rng.random() < 0.5:
                data[at + 6 : at + 8] = b"\x12\x34"
                if not iphdr.udp_sum(self.sa.addresses, bytes(data[at:])):
                    data[at + 7] ^= 1
            else:
                length = len(packet) - at + 1 + rng.randrange(9)
                data[at + 4 : at + 6] = min(length, 0xFFFF).to_bytes(2, "big")
            return [bytes(data)], None, esp
        if not v4 and not self.trims:
            return [packet], *self.taken(head, esp)
        data[0] = rng.choice((0x05, 0x35, 0x55, 0xF5) if v4 else (0x00, 0x50, 0x70))
        return [bytes(data)], None, esp

    def taken(self, head, esp):
        """What is UDP without ESP in it is IKE's."""
        if self.sa.encap and (len(esp) <= 8 or esp[:4] == bytes(4)):
            return None, esp
        return head, esp


class Line:
    """One SA, or one in another: what is sent, and what must come of it."""

    def __init__(self, rng, mutators, trims):
        self.rng, self.mutators = rng, mutators
        self.way = Way(rng, mutators[0].sa, trims)

    def next(self):
        """The next packet."""
        if len(self.mutators) == 1 or self.rng.random() < 0.3:
            (first,) = self.mutators[:1]
            what, head, esp = first.packet()
            return self.through(what, first, head, esp)
        first, second = self.mutators
        what, head, esp = second.packet()
        inner = esp64.wrap(second.sa, esp, head)
        head, esp = first.good(inner)
        return self.through(f"inside: {what}", first, head, esp)

    def through(self, what, first, head, esp):
        """On its way."""
        frames, head, esp = self.way.send(head, esp)
        if head is None:
            return Sent(f"{what}, lost", frames, [], [])
        verdict, inner = first.judge(head, esp)
        judged, delivered = [(0, verdict, len(esp))], []
        if inner is not None:
            delivered.append((0, inner))
            if len(self.mutators) > 1:
                self.nested(inner, judged, delivered)
        return Sent(what, frames, judged, delivered)

    def nested(self, inner, judged, delivered):
        """What came out of the first SA, if it is the second's."""
        second = self.mutators[1]
        try:
            head, esp = esp64.split(second.sa, inner[: iphdr.inner_length(inner) or len(inner)])
        except esp64.DecodeError:
            return
        verdict, inner = second.judge(head, esp)
        judged.append((1, verdict, len(esp)))
        if inner is not None:
            delivered.append((1, inner))
