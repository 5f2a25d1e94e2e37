# SPDX-License-Identifier: GPL-2.0-only
"""The packets that verdicts.py sends, in batches, and what a receiver has to do with
them.
"""

import functools
import itertools
import pathlib
import random
import sys
from dataclasses import replace
from typing import NamedTuple

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "reference"))

# pylint: disable=wrong-import-position
import beet_cases
import esp64
import inject
import iphdr
import receiver

PORT, CLOSED_PORT = 4000, 4001
# So many that have the same verdict are sent together where there are many
TOGETHER = 32


class Judged(NamedTuple):
    """A packet, and what must come of it."""

    what: str
    packet: bytes
    head: bytes
    esp: bytes
    verdict: receiver.Verdict


class Batch(NamedTuple):
    """Packets, and what the windows are behind them."""

    name: str
    judged: list
    windows: dict


class Maker:
    """Makes packets for an SA, and knows what a receiver does with them."""

    def __init__(self, sa, window):
        self.sa, self.window = sa, window
        self.receiver = receiver.Receiver(sa, window)
        self.sn = 0
        # A sender's, which a receiver without would get fragments from
        self.sender_sa = sa
        if sa.mode == "beet" and sa.inner_version == 4:
            self.sender_sa = replace(sa, beet_frag=True)
        if sa.mode == "tunnel":
            self.inner4 = inject.inner_maker(f"udp:10.1.0.2:{PORT}:10.2.0.2:{PORT}:23")
            self.inner6 = inject.inner_maker(f"udp:[fd01::2]:{PORT}:[fd02::2]:{PORT}:24")
        else:
            self.inner4 = self.inner_to(PORT)

    def inner_to(self, port):
        """Of the SA's own addresses, in transport mode and BEET."""
        src, dst = self.sa.inner or (self.sa.src, self.sa.dst)
        return inject.inner_maker(f"udp:[{src}]:{PORT}:[{dst}]:{port}:23")

    def case(self, name, subspace, sn, inner=None, **options):
        """(what, packet) pairs of one of inject.py's cases."""
        inner = inner or self.inner4
        packets = inject.make(self.sender_sa, inner, name, subspace, sn, **options)
        what = " ".join([name, str(subspace), str(sn)] + [f"{k}={v}" for k, v in options.items()])
        return [(f"{what} [{i}]", packet) for i, packet in enumerate(packets)]

    def next(self, name, inner=None, **options):
        """The same in subspace 0, with numbers that none had before."""
        packets = self.case(name, 0, self.sn + 1, inner, **options)
        self.sn += len(packets)
        return packets

    def enclosed(self, what, head, proto, payload):
        """One with a payload of one's own."""
        self.sn += 1
        plain = esp64.plaintext(self.sa, payload, proto)
        return f"{what} {self.sn}", esp64.enclose(self.sa, 0, self.sn, plain, head)

    def plain(self, what, head, plain):
        """One with a whole plaintext of one's own."""
        self.sn += 1
        return f"{what} {self.sn}", esp64.enclose(self.sa, 0, self.sn, plain, head)

    def batch(self, name, packets):
        """Of (what, packet) pairs."""
        judged = []
        for what, packet in packets:
            head, esp = esp64.split(self.sa, packet)
            verdict = self.receiver.judge(esp, head)
            judged.append(Judged(f"{name}: {what}", packet, head, esp, verdict))
        windows = {
            number: {
                "highest": s.highest,
                "packets": len(s.seen),
                "replays": s.replays,
                "too-old": s.too_old,
                "backtrack": s.backtrack,
            }
            for number, s in self.receiver.subspaces.items()
        }
        return Batch(name, judged, windows)


# --- the batches: (what, packet) pairs --------------------------------------


def numbers(maker):
    """IDs and sequence numbers at the edges of what is allowed."""
    n, window = maker.sa.subspaces, maker.window
    for subspace in (0, n - 1, n, n + 1, 0x7FFF, 0x8000, 0xFFFF):
        yield from maker.case("valid", subspace, 1)
    for subspace in (0, 1, n - 1):
        yield from maker.case("valid", subspace, 0)
    # In order, doubled, then a jump and what is left of the window
    yield from maker.case("valid", 2, 1, count=3)
    yield from maker.case("replay", 2, 4)
    for sn in (3, 2, 1, window, 5, 1000, 1000, 1001 - window, 1000 - window, 1,
               1001 - window, 999, 1002 - window, 1001, 1001 - window):
        yield from maker.case("valid", 2, sn)
    # A jump by a multiple of the ring must not leave old bits behind
    for sn in (1000 + 2 * window, 1000 + 2 * window, 1000 + 4 * window, 1001 + 2 * window,
               1000 + 3 * window, 1001 + 3 * window, 1 << 32, (1 << 32) - 1, (1 << 32) + 1,
               esp64.SN_MAX - 1, esp64.SN_MAX, esp64.SN_MAX, esp64.SN_MAX - window,
               esp64.SN_MAX - window + 1, 1):
        yield from maker.case("valid", 2, sn)
    # Another subspace knows nothing of it
    yield from maker.case("valid", 1, 1)


def walk(maker):
    """Numbers at random about a moving middle."""
    rng = random.Random(4303)
    window, middle = maker.window, 2 * maker.window
    for _ in range(150):
        middle += rng.choice((0, 1, 1, 2, window // 2))
        yield from maker.case("valid", 3, middle + rng.randint(-window - 20, 3))


def flips(maker):
    """Every octet of a packet that would be accepted with a bit inverted; in the
    header, every bit."""
    # A window that the flipped numbers can fall into, left of or right of
    yield from maker.case("valid", 4, 0x1000)
    yield from maker.case("valid", 4, 0x1010)
    yield from maker.case("valid", 5, 0x100000)
    for offset in range(maker.sa.header_len):
        for bit in range(8):
            yield from maker.case("flip", 4, 0x1012, offset=offset, bit=bit)
    (_, whole), = maker.case("valid", 4, 0x1012)
    length = len(esp64.unwrap(maker.sa, whole))
    for offset in range(maker.sa.header_len, length):
        yield from maker.case("flip", 4, 0x1012, offset=offset, bit=offset % 8)
    # One bit away from 0, from the window's left edge, from what was seen
    for sn, bit in ((1 << 3, 3), (0x1011, 0), (0x1014, 2)):
        yield from maker.case("flip", 4, sn, offset=11, bit=bit)
    # After all that, the packet itself is as welcome as ever
    yield "valid 4 0x1012", whole
    yield "valid 4 0x1012 again", whole


def lengths(maker):
    """Cut off at every length, and longer than it was."""
    yield from maker.case("truncate-all", 0, 100)
    (_, whole), = maker.case("valid", 0, 100)
    esp = esp64.unwrap(maker.sa, whole)
    for more in range(1, 9):
        yield f"{more} octets more", esp64.wrap(maker.sa, esp + bytes(more))
    yield "whole", whole


def insides(maker):
    """Authentic, and yet..."""
    sn = 200
    for name, options in (
        ("wrong-key", {}), ("wrong-salt", {}), ("other-iv", {}), ("padding", {}),
        ("tfc", {}), ("tfc", {"length": 255}), ("valid", {"pad_extra": 4}),
        ("valid", {"pad_extra": 248}), ("dummy", {}), ("swapped-family", {}),
        *(("next-header", {"value": v}) for v in (0, 1, 6, 17, 43, 50, 58, 59, 60, 255)),
        *(("inner-version", {"value": v}) for v in (0, 1, 5, 6, 7, 15)),
        *(("short-plain", {"length": v}) for v in (0, 4, 8, 20, 24)),
        *(("short-inner", {"length": v}) for v in (0, 1, 2, 19)),
    ):
        sn += 1
        yield from maker.case(name, 0, sn, **options)
    for length in (0, 1, 19, 20, 39):
        sn += 1
        yield from maker.case("short-inner", 0, sn, maker.inner6, length=length)
    for name in ("valid", "swapped-family", "tfc", "dummy"):
        sn += 1
        yield from maker.case(name, 0, sn, maker.inner6)
    # Pad Length up to the last octet that there is, and one more
    room = len(esp64.plaintext(maker.sa, maker.inner4(0, sn), esp64.PROTO_IPIP)) - 2
    for value in (255, room + 1, room, room - 1, room - 19, room - 20):
        sn += 1
        yield from maker.case("pad-length", 0, sn, value=value)
    yield from maker.case("valid", 0, sn + 1)


def truncated_inside(maker):
    """An inner packet shorter than it says is the IP stack's to drop."""
    yield from maker.case("short-inner", 0, 300, length=20)
    yield from maker.case("short-inner", 0, 301, maker.inner6, length=40)


def one_counter(maker):
    """Of the one counter of format esp: the edges of the window, and of all that there is.
    Nothing can come behind it."""
    base, window, end = maker.sn, maker.window, maker.sa.sn_max
    steps = [base + n for n in (
        1, 3, 2, 2, 1, window, 5, 1000, 1000, 1001 - window, 1000 - window, 1, 999, 1002 - window,
        1001, 1001 - window, 1000 + 2 * window, 1000 + 2 * window, 1000 + 4 * window,
        1001 + 2 * window, 1000 + 3 * window, 1001 + 3 * window)]
    if maker.sa.esn:
        # Over the ends of halves, in steps that can be told; and what cannot
        for top in range(1 << 31, 5 << 31, 1 << 31):
            steps += [top - 1, top, top, top - window, top - window + 1, top + 1,
                      top + (1 << 32) - window, top + (1 << 32) - window + 1]
        steps += [top + 2 * window, 1 << 32, 7]
    else:
        steps += [1 << 31, end - 1, end, end, end - window, end - window + 1, 1]
    for sn in (0, *steps):
        yield from maker.case("valid", 0, sn)


def few_numbers(maker):
    """Of IDs and sequence numbers, what does not ask for much."""
    n, window = maker.sa.subspaces, maker.window
    for subspace, sn in ((n - 1, 1), (n, 1), (0xFFFF, 1), (1, 0), (1, 5), (1, 5), (1, 1),
                         (1, esp64.SN_MAX), (1, esp64.SN_MAX - window), (1, 5)):
        yield from maker.case("valid", subspace, sn)
    yield from maker.next("replay")
    # (One number, twice)
    maker.sn -= 1


def octets(maker):
    """Of a packet that would be accepted: every octet with a bit inverted, in the header
    every bit; cut off at every length, and longer than it was."""
    sn = maker.sn + 1
    (_, whole), = maker.next("valid")
    head, esp = esp64.split(maker.sa, whole)
    for offset, bit in itertools.product(range(maker.sa.header_len), range(8)):
        flipped = bytearray(esp)
        flipped[offset] ^= 1 << bit
        yield f"flip {offset} {bit}", esp64.wrap(maker.sa, bytes(flipped), head)
    yield from maker.case("flip-all", 0, sn, start=maker.sa.header_len, bit=3)
    yield from maker.case("truncate-all", 0, sn)
    for more in range(1, 9):
        yield f"{more} octets more", esp64.wrap(maker.sa, esp + bytes(more), head)
    yield "whole", whole
    yield "whole again", whole


def payloads(maker):
    """Authentic, and yet..."""
    sa = maker.sa
    for name, options in (
        ("wrong-key", {}), ("wrong-salt", {}), ("other-iv", {}), ("padding", {}),
        ("valid", {"pad_extra": sa.align}), ("valid", {"pad_extra": 240}),
        *(("short-plain", {"length": v}) for v in (0, 4, 8, 12, 16, 20)),
    ):
        yield from maker.next(name, **options)
    head, proto, payload = esp64.enter(sa, maker.inner4(0, 0))
    if sa.trailer != "omit":
        yield from maker.next("dummy")
        # Pad Length up to the last octet that there is, and one more
        room = len(esp64.plaintext(sa, payload, proto)) - (2 if sa.trailer == "end" else 4)
        for value in (255, room + 1, room, room - 1, room - 8):
            yield from maker.next("pad-length", value=value)
        # Dummies with anything inside, or nothing
        for length in (0, 1, 8, len(payload)):
            yield maker.enclosed("dummy of a packet", head, esp64.PROTO_NONE, payload[:length])
    # As much as there is, be it less than UDP says, or more
    for length in range(len(payload) + 1):
        yield maker.enclosed(f"{length} octets", head, proto, payload[:length])
    for length in (1, 4, 255):
        yield maker.enclosed(f"and {length} octets", head, proto, payload + bytes(length))
    # Checksums, good and bad and none
    for field in (b"\0\0", bytes((payload[6] ^ 1, payload[7]))):
        yield maker.enclosed("checksum", head, proto, payload[:6] + field + payload[8:])


def retold(packet, told):
    """An inner packet that says to have another length."""
    if packet[0] >> 4 == 6:
        return packet[:4] + (told - 40 & 0xFFFF).to_bytes(2, "big") + packet[6:]
    head = packet[:2] + told.to_bytes(2, "big") + packet[4:10] + bytes(2) + packet[12:20]
    return head[:10] + esp64.checksum(head).to_bytes(2, "big") + head[12:] + packet[20:]


def placements(maker):
    """What trailers in front and none at all can look like, by rule."""
    sa = maker.sa
    head, proto, payload = esp64.enter(sa, maker.inner4(0, 0))
    fill = bytes(-len(payload) % 16)
    if sa.trailer == "front":
        room = len(payload + fill) // sa.align * sa.align + (12 if sa.align == 16 else 0)
        body = (payload + fill + bytes(12))[:room]
        for first in range(256):
            yield maker.plain(f"info {first:02x}", head, bytes((first, 0, proto, 0)) + body)
        for reserved in (1, 0x80, 0xFF):
            yield maker.plain("reserved", head, bytes((0, reserved, proto, 0)) + body)
        for pad in (*range(len(body) - 3, len(body) + 4), 255):
            yield maker.plain(f"pad {pad}", head, bytes((0, 0, proto, pad & 255)) + body)
        # Somebody who has the trailer elsewhere
        for where in ("end", "omit"):
            other = replace(sa, trailer=where, mode="tunnel" if where == "omit" else sa.mode,
                            inner=None if where == "omit" else sa.inner)
            yield maker.plain(where, head, esp64.plaintext(other, payload, proto))
        yield maker.plain("nothing but a word", head, bytes((0, 0, proto, 0)) + bytes(sa.align - 4))
    if sa.trailer == "omit":
        for inner in (payload, maker.inner6(0, 0)):
            whole = inner + bytes(-len(inner) % 16)
            for version in range(16):
                first = bytes((version << 4 | inner[0] & 15,))
                yield maker.plain(f"version {version}", head, first + whole[1:])
            base = 0 if inner[0] >> 4 == 4 else 40
            for told in (0, 1, 19, 20, 39, 40, 41, len(whole) - 1, len(whole), len(whole) + 1,
                         len(whole) + 4, 0x8000, 0xFFFF):
                if told < base:
                    continue
                yield maker.plain(f"told {told}", head, retold(whole, told))
            for more in (16, 240, 256, 272, 512):
                yield maker.plain(f"and {more}", head, whole + bytes(more))
            # 255 octets behind it, and one more
            for over in (255, 256):
                size = -(-(len(inner) + over) // 16) * 16
                padded = (inner + bytes(512))[:size]
                yield maker.plain(f"{over} behind", head, retold(padded, size - over))
        for where in ("end", "front"):
            yield maker.plain(where, head, esp64.plaintext(replace(sa, trailer=where), payload, proto))
        yield maker.plain("a word", head, b"\x45\0\0\x04" + bytes(sa.align - 4))
        yield maker.plain("another word", head, b"\x60\0\0\0" + bytes(sa.align - 4))


def misplaced(maker):
    """Of a sender that has the trailer elsewhere: what would be no padding, padding and more,
    and both ports that are no info word and such as are."""
    sa = maker.sa
    src, dst = sa.inner or (sa.src, sa.dst)
    if sa.mode == "tunnel":
        src, dst = "10.1.0.2", "10.2.0.2"
    for where in esp64.TRAILERS:
        if where == sa.trailer or where == "omit" and sa.mode != "tunnel":
            continue
        # (Its mode is of no interest for where its trailer is)
        sender = replace(sa, trailer=where)
        for port, length, (pad, proto) in itertools.product(
                (PORT, 40000), (20, 21, 22, 23, 32, 180),
                ((0, 0), (0, 4), (1, 15), (3, 41), (20, 59), (40, 99), (255, 253))):
            data = bytes(length - 2) + bytes((pad, proto))
            inner = inject.udp_packet(src, port, dst, PORT, data)
            head, next_header, payload = esp64.enter(sa, inner)
            yield maker.plain(f"{where} {port} {length} {pad} {proto}", head,
                              esp64.plaintext(sender, payload, next_header))
        if where != "omit":
            yield maker.plain(f"{where} dummy", head, esp64.plaintext(sender, bytes(20), 59))


def next_headers(maker):
    """All that there are."""
    yield from maker.next("next-header-all")


FIELDS = (
    {"tos": 1}, {"tos": 2}, {"tos": 3}, {"tos": 0xFC}, {"tos": 0xFF, "ttl": 1}, {"ttl": 2},
    {"ttl": 255}, {"frag": 0}, {"frag": 0x4000, "ident": 1}, {"frag": 0x8000, "ident": 0xFFFF},
    {"frag": 0xC000, "ident": 0x100}, {"label": 1}, {"label": 0xFFFFF, "tos": 0x81},
)
# What may be between header and ESP in transport mode. Of IPv4, options that the stack
# does not write into
OPTIONS4 = ("01010101", "94040000", "9404000001010100", "9e06abcdef010101", "01" * 40)
# Of IPv6, hop-by-hop and destination options, behind what they are
HOP, DEST, ESP = "00", "3c", "32"
OPTIONS6 = (
    HOP + ESP + "001e0461626364", DEST + ESP + "001e0461626364",
    HOP + DEST + "001e0461626364" + ESP + "001e0371727300",
)


def with_options(sa, options, fields):
    """A header with options before ESP."""
    if sa.version == 4:
        header = iphdr.Header(sa.addresses, iphdr.PROTO_ESP, options=options, **fields)
        return header.octets(0)
    header = iphdr.Header(sa.addresses, options[0], **fields)
    return header.octets(len(options) - 1) + options[1:]


def outer_fields(maker):
    """Headers before ESP, as they may come out of a network."""
    sa = maker.sa
    _, proto, payload = esp64.enter(sa, maker.inner4(0, 0))
    for fields in FIELDS:
        head = iphdr.Header(sa.addresses, iphdr.PROTO_ESP, **fields).octets(0)
        yield maker.enclosed(f"{fields}", head, proto, payload)
    if sa.mode != "transport":
        return
    fields = {"tos": 0xB9, "ttl": 7, "ident": 0x1234, "label": 0x12345}
    for options in OPTIONS4 if sa.version == 4 else OPTIONS6:
        head = with_options(sa, bytes.fromhex(options), fields)
        yield maker.enclosed(options, head, proto, payload)


def closed_port(maker):
    """A datagram for nobody."""
    yield from maker.next("valid", maker.inner_to(CLOSED_PORT))


def pseudo_headers(maker):
    """Every case of beet_cases.py, with options, with a fragment word, with both."""
    first = beet_cases.FIRST
    yield from maker.next("options-all")
    # Of the two large sets each outer family has one
    word = 0 if maker.sa.version == 4 else first
    for name in ("pseudo-length-all", "pseudo-pad-all"):
        yield from maker.next(name, word=word)
        # And the others of those that are near
        name = name.removesuffix("-all")
        for value in range(12):
            yield from maker.next(name, word=first - word, value=value)
        yield from maker.next(name, word=first - word, value=255)
    for word in (0, first):
        for name in ("pseudo-nested", "pseudo-bad-options", "pseudo-truncate-all",
                     "pseudo-end-of-list", "pseudo-reserved", "pseudo-padding", "pseudo-f-all"):
            for length in (4, 8, 40):
                yield from maker.next(name, optlen=length, word=word)
        for value in (0, 1, 0x20):
            yield from maker.next("pseudo-reserved", word=word, value=value)
        yield from maker.next("pseudo-long-options", word=word)
        for length in (4, 12):
            for name, value in (("pseudo-length", 0), ("pseudo-length", 1), ("pseudo-length", 255),
                                ("pseudo-pad", 0), ("pseudo-pad", 2), ("pseudo-pad", 4),
                                ("pseudo-pad", 6), ("pseudo-pad", 8), ("pseudo-f", 3)):
                yield from maker.next(name, optlen=length, word=word, value=value)
    for length in (0, 4, 40):
        yield from maker.next("pseudo-word", optlen=length)
        for word in (0x2000, 0x6001, 0xBFFF, 0x2010):
            yield from maker.next("pseudo-fragment", optlen=length, word=word)
    yield from maker.next("pseudo-no-options")
    for text in ("", "11", "1100040001010194", "110004000101010094040000"):
        yield from maker.next("pseudo", hex=text)


def fragments(maker):
    """Datagrams in pieces: in order, backwards, two at a time."""
    for options in ({}, {"optlen": 4}, {"optlen": 40, "df": 1}, {"size": 8, "df": 1}):
        yield from maker.next("fragments", **options)
    yield from maker.next("fragments", optlen=8)[::-1]
    both = maker.next("fragments"), maker.next("fragments", optlen=12)
    yield from (packet for pair in zip(*both) for packet in pair)
    # Outer fields of fragments: all but DF is the fragment word's
    _, _, payload = esp64.enter(maker.sender_sa, beet_fragment(maker.sa))
    for fields in FIELDS + ({"label": 0xABCDE}, {"ident": 0x7777, "frag": 0xC000}):
        head = iphdr.Header(maker.sa.addresses, iphdr.PROTO_ESP, **fields).octets(0)
        yield maker.enclosed(f"{fields}", head, iphdr.PROTO_BEETPH, payload)


def beet_fragment(sa):
    """One alone, that is never completed."""
    header = iphdr.Header(sa.inner_addresses, iphdr.PROTO_UDP, frag=0x3234)
    return header.octets(24) + bytes(24)


@functools.lru_cache(maxsize=1)
def beet_packets(sender_sa, window):
    """The same, whether the receiver takes fragments or not."""
    maker = Maker(sender_sa, window)
    # Behind those of the other batches
    maker.sn = 1 << 12
    return [("pseudo headers", list(pseudo_headers(maker)), TOGETHER),
            ("fragments", list(fragments(maker)), 8)]


def ends(maker):
    """Of transport mode and BEET: those that there are, and how many are sent together."""
    sa, sets = maker.sa, []
    in_ipv4 = sa.mode == "beet" and sa.inner_version == 4
    if sa.mode == "transport" or sa.beet_frag:
        sets += [("numbers", few_numbers(maker), 1), ("octets", octets(maker), TOGETHER)]
    if sa.beet_frag or not in_ipv4:
        sets += [("payloads", payloads(maker), 8), ("next headers", next_headers(maker), TOGETHER),
                 ("outer fields", outer_fields(maker), 8)]
    if sa.mode == "transport" and sa.version == 6:
        sets.append(("closed port", closed_port(maker), 1))
    if in_ipv4:
        sets += beet_packets(maker.sender_sa, maker.window)
    return [(maker.batch(name, packets), together) for name, packets, together in sets]


def cases(maker):
    """Of tunnel mode."""
    sets = (("numbers", numbers), ("random walk", walk), ("flipped", flips),
            ("truncated", lengths), ("inside", insides), ("truncated inside", truncated_inside))
    return [(maker.batch(name, packets(maker)), 1) for name, packets in sets]


def formats(maker):
    """Of any format, in any mode: what does not depend on the mode."""
    sa = maker.sa
    sets = [("octets", octets, TOGETHER), ("payloads", payloads, 8),
            ("misplaced", misplaced, TOGETHER)]
    if sa.trailer != "end":
        sets.append(("placements", placements, 8))
    if sa.trailer != "omit" and sa.mode != "tunnel":
        sets.append(("next headers", next_headers, TOGETHER))
    sets.append(("numbers", one_counter if sa.format == "esp" else few_numbers, 1))
    return [(maker.batch(name, packets(maker)), together) for name, packets, together in sets]
