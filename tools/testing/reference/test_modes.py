#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Tests of the reference's modes: transport, BEET, UDP. Run: ./test_modes.py"""

import contextlib
import io
import json
import tempfile
import unittest
from collections import Counter
from dataclasses import replace
from pathlib import Path
from unittest import mock

import beet
import beet_cases
import check_capture
import esp64
import golden
import golden_beet
import inject
import iphdr
import outer
import pcap
import receiver

HERE = Path(__file__).resolve().parent

A4, B4, A6, B6 = "10.1.0.1", "10.2.0.1", "fd01::1", "fd02::1"
UDP4 = f"udp:{A4}:1000:{B4}:2000:33"
UDP6 = f"udp:[{A6}]:1000:[{B6}]:2000:33"
OUTER4 = esp64.SA(0x100, bytes(range(20)), 16, "10.0.0.1", "10.0.0.2", 8)
OUTER6 = replace(OUTER4, src="fd00::1", dst="fd00::2")
T4 = replace(OUTER4, mode="transport", src=A4, dst=B4)
T6 = replace(OUTER4, mode="transport", src=A6, dst=B6)


def beet_sa(outside, inside, **options):
    """An SA of BEET by its families."""
    return replace(
        OUTER4 if outside == 4 else OUTER6, mode="beet",
        inner=(A4, B4) if inside == 4 else (A6, B6), **options,
    )


B44, B46, B64, B66 = (beet_sa(o, i) for o, i in ((4, 4), (4, 6), (6, 4), (6, 6)))
F44, F64 = beet_sa(4, 4, beet_frag=True), beet_sa(6, 4, beet_frag=True)
MAKE4, MAKE6 = inject.inner_maker(UDP4), inject.inner_maker(UDP6)


def ipv4(body=b"12345678", proto=17, **fields):
    """An inner IPv4 packet."""
    addresses = iphdr.parse(MAKE4(0, 1))[0].addresses
    return iphdr.Header(addresses, proto, **fields).octets(len(body)) + body


def ipv6(body, proto=17, **fields):
    """An inner IPv6 packet."""
    addresses = iphdr.parse(MAKE6(0, 1))[0].addresses
    return iphdr.Header(addresses, proto, **fields).octets(len(body)) + body


class Golden(unittest.TestCase):
    """The second route."""

    def setUp(self):
        """The file, which must be what golden.py prints."""
        text = (HERE / "golden" / "modes.json").read_text(encoding="utf-8")
        self.assertEqual(text, golden.modes_json())
        self.golden = json.loads(text)

    def test_pseudo_headers(self):
        """beet.py makes and takes the golden ones."""
        seen = set()
        for p in self.golden["pseudo_headers"]:
            with self.subTest(p["name"]):
                frag = p["frag_off"] if p["fragment"] else None
                options = bytes.fromhex(p["options"])
                made = beet.pseudo_header(p["next_header"], options, frag)
                self.assertEqual(made.hex(), p["ph"])
                want = (p["next_header"], options, frag, len(made))
                for behind in (b"", b"x"):
                    self.assertEqual(beet.parse_pseudo_header(made + behind, True), want)
                    if frag is None:
                        self.assertEqual(beet.parse_pseudo_header(made + behind, False), want)
                    else:
                        with self.assertRaises(esp64.BadFragment):
                            beet.parse_pseudo_header(made + behind, False)
                seen.add((len(options), p["name"].split()[-2]))
        self.assertEqual(len(seen), 11 * 4 - 1)

    def test_packets(self):
        """esp64.py makes and takes the golden packets."""
        for p in self.golden["packets"]:
            with self.subTest(p["name"]):
                sa = esp64.SA.from_dict(p["sa"])
                inner, packet = bytes.fromhex(p["inner"]), bytes.fromhex(p["packet"])
                made = esp64.encode(sa, p["subspace"], p["sn"], inner)
                self.assertEqual(made.hex(), p["packet"])
                got = esp64.decode(sa, packet)
                self.assertEqual(got.inner.hex(), p["delivered"])
                self.assertEqual(got[:2], (p["subspace"], p["sn"]))
                self.assertEqual(got.next_header, p["next_header"])
                head, esp = esp64.split(sa, packet)
                self.assertEqual(esp64.unseal(sa, esp)[3].hex(), p["plain"])
                verdict = receiver.Receiver(sa, 64).judge(esp, head)
                self.assertEqual(verdict.counter, "rx-packets")
                self.assertEqual(verdict.inner.hex(), p["delivered"])
                self.assertTrue(p["plain"].startswith(verdict.payload.hex()))
        self.assertEqual(len(golden_beet.OPTIONS), 11)


class RoundTrip(unittest.TestCase):
    """What is sent is delivered, as far as the mode can."""

    def trip(self, sa, inner, want=None):
        """Encode, decode, compare; with every padding and in UDP, too."""
        for encap in (None, (4500, 4501)):
            for extra in (0, 4):
                one = replace(sa, encap=encap)
                packet = esp64.encode(one, 3, 17, inner, pad_extra=extra)
                self.assertEqual(esp64.decode(one, packet).inner, want or inner)

    def test_transport(self):
        """IPv4 with options, IPv6 with extension headers in every order."""
        self.trip(T4, MAKE4(0, 1))
        for length in range(0, 41, 4):
            self.trip(T4, ipv4(options=beet_cases.options_of(length), tos=0xFF, ttl=1,
                               ident=0xFFFF, frag=0xC000))
        for proto in (0, 4, 6, 50, 51, 94, 255):
            self.trip(T4, ipv4(proto=proto))
        self.trip(T4, ipv4(b""))
        self.trip(T6, MAKE6(0, 1))
        self.trip(T6, ipv6(b"", tos=0xFF, ttl=0, label=0xFFFFF))
        kinds = {"h": 0, "r": 43, "d": 60}
        for chain, before in (
            ("h", 1), ("r", 1), ("d", 1), ("hd", 2), ("hr", 2), ("hdr", 3), ("hdrd", 3),
            ("rd", 1), ("dr", 2), ("dd", 2), ("hrd", 2), ("rr", 2),
        ):
            numbers = [kinds[c] for c in chain]
            body = b"".join(
                bytes((n, i % 2)) + bytes(6 + 8 * (i % 2))
                for i, n in enumerate(numbers[1:] + [17])
            ) + b"12345678"
            with self.subTest(chain):
                packet = ipv6(body, numbers[0])
                self.trip(T6, packet)
                head, proto, _ = esp64.enter(T6, packet)
                size = sum(8 + 8 * (i % 2) for i in range(before))
                self.assertEqual(len(head), 40 + size)
                self.assertEqual(proto, (numbers + [17])[before])

    def test_beet(self):
        """All four pairs of families, and fields at their ends."""
        for sa in (B44, B64):
            for length in range(0, 41, 4):
                options = beet_cases.options_of(length)
                inner = ipv4(options=options, tos=0xFF, ttl=1, ident=0xFFFF, frag=0)
                want = inner if sa is B44 else ipv4(options=options, tos=0xFF, ttl=1)
                self.trip(sa, inner, want)
        # The reserved flag goes along like DF, if there is a place outside
        for frag in (0, 0x4000, 0x8000, 0xC000):
            self.trip(B44, ipv4(frag=frag, ident=7))
            self.trip(F44, ipv4(frag=frag, options=bytes(4)))
            self.trip(B64, ipv4(frag=frag), ipv4())
        for sa in (F44, F64):
            for frag in (0x2000, 0x3FFF, 0x0001, 0xE001, 0x5FFF):
                for length in range(0, 41, 4):
                    self.trip(sa, ipv4(options=beet_cases.options_of(length), frag=frag,
                                       ident=0xFFFF, tos=3))
        for body, proto in ((b"", 17), (b"1234567", 6), (b"\x11" + bytes(15), 44),
                            (b"\x3c\0" + bytes(6) + b"\x11\0" + bytes(6), 0)):
            inner = ipv6(body, proto, tos=0xFF, ttl=0, label=0xFFFFF)
            self.trip(B66, inner)
            self.trip(B46, inner, ipv6(body, proto, tos=0xFF, ttl=0))

    def test_refused(self):
        """What a sender does not send."""
        atomic = ipv6(b"\x11" + bytes(15), 44)
        behind = ipv6(b"\x2c\0" + bytes(6) + b"\x11" + bytes(15), 0)
        for sa, inner in (
            (T4, MAKE6(0, 1)), (T4, ipv4(frag=0x2000)), (T4, ipv4(frag=1)),
            (T4, ipv4() + b"?"), (T4, b""), (T4, ipv4()[:19]),
            (T4, ipv4(options=bytes(8))[:24]), (T6, MAKE4(0, 1)), (T6, atomic), (T6, behind),
            (T6, ipv6(b"", 0)), (T6, ipv6(b"\x11\x01" + bytes(6), 0)),
            (replace(T4, src="10.1.0.2"), MAKE4(0, 1)),
            (B44, MAKE6(0, 1)), (B66, MAKE4(0, 1)), (B44, ipv4(proto=94)),
            (B66, ipv6(b"", 94)), (B44, ipv4()[:-1]),
            (B44, ipv4(frag=0x2000)), (B64, ipv4(frag=0x1FFF)),
            (F44, ipv4(frag=0x2000, proto=94)), (B44, ipv4(options=b"\x94\0\0\0")),
            (replace(B44, inner=(A4, "10.2.0.2")), MAKE4(0, 1)),
        ):
            with self.assertRaises(ValueError, msg=inner.hex()):
                esp64.encode(sa, 0, 1, inner)

    def test_parameters(self):
        """What no SA can have, and the words of a file."""
        for change in (
            {"mode": "iptfs"}, {"mode": "beet"}, {"inner": (A4, B4)}, {"beet_frag": True},
            {"mode": "beet", "inner": (A4, B6)}, {"mode": "beet", "inner": (A4,)},
            {"encap": (0, 4500)}, {"encap": (4500, 65536)}, {"encap": (4500,)},
            {"mode": "transport", "beet_frag": True},
        ):
            with self.assertRaises(ValueError, msg=change):
                replace(OUTER4, **change)
        words = {"spi": "0x100", "key": OUTER6.key.hex(), "src": "fd00::1", "dst": "fd00::2",
                 "subspaces": 8, "mode": "beet", "inner": [A4, B4], "beet_frag": True,
                 "encap": ["4500", 4501]}
        self.assertEqual(esp64.SA.from_dict(words), replace(F64, encap=(4500, 4501)))


class Decoder(unittest.TestCase):
    """Every refusal of decode() that modes have."""

    def refused(self, error, sa, packet):
        """decode() must refuse this packet so, and no otherwise."""
        with self.assertRaises(esp64.DecodeError) as caught:
            esp64.decode(sa, packet)
        self.assertEqual(type(caught.exception), error, caught.exception)

    def test_transport_outer(self):
        """Headers before ESP that a sender does not write."""
        good = esp64.encode(T4, 0, 1, ipv4(options=bytes(4)))
        head, esp = esp64.split(T4, good)
        self.refused(esp64.BadOuter, T4, good[:11] + b"??" + good[13:])
        self.refused(esp64.BadOuter, T4, good[:-1])
        fragment = iphdr.Header(T4.addresses, 50, frag=0x2000).octets(0)
        self.refused(esp64.BadOuter, T4, esp64.wrap(T4, esp, fragment))
        self.refused(esp64.BadOuter, replace(T4, mode="tunnel"), good)
        self.refused(esp64.BadOuter, replace(T4, dst="10.1.0.9"), good)
        self.refused(esp64.BadOuter, T4, iphdr.complete(head, 51, esp))
        self.refused(esp64.BadOuter, T4, b"\x4f" + good[1:20])
        fixed = iphdr.Header(T6.addresses, 0)
        for first, chain in (
            (43, "3c00 000000000000 3200 000000000000"), (44, "3200 000000000000"),
            (60, "0000 000000000000 3200 000000000000"), (51, "3200 000000000000"),
            (0, "3204 000000000000"), (0, ""),
        ):
            chain = bytes.fromhex(chain)
            body = chain + (esp if chain[1:2] != b"\x04" else b"")
            packet = fixed._replace(proto=first).octets(len(body)) + body
            self.refused(esp64.BadOuter, T6, packet)

    def test_next_header(self):
        """What belongs before ESP, or nowhere."""
        inner = ipv6(bytes((17, 0)) + bytes(14), 60)
        for value, refused in ((17, False), (0, True), (43, True), (44, True), (60, True),
                               (41, False), (50, False), (94, False)):
            packet = esp64.encode(T6, 0, 1, ipv6(bytes((17, 0)) + bytes(14)), next_header=value)
            if refused:
                self.refused(esp64.BadNextHeader, T6, packet)
            else:
                self.assertEqual(esp64.decode(T6, packet).inner[6], value)
        self.assertEqual(esp64.decode(T6, esp64.encode(T6, 0, 1, inner)).inner, inner)
        # Less than an extension header
        packet = esp64.encode(T6, 0, 1, ipv6(b""), next_header=60)
        self.refused(esp64.BadNextHeader, T6, packet)
        for sa in (B46, B66):
            packet = esp64.encode(sa, 0, 1, MAKE6(0, 1), next_header=94)
            self.refused(esp64.BadNextHeader, sa, packet)

    def test_beet_outer(self):
        """Outer fields that do not go with what is inside."""
        def sent(sa, head, inner):
            _, proto, payload = esp64.enter(sa, inner)
            plain = esp64.plaintext(sa, payload, proto)
            return esp64.enclose(sa, 0, 1, plain, head)

        v4 = iphdr.Header(B44.addresses, 50, frag=0)
        v6 = iphdr.Header(B66.addresses, 50)
        for sa, head, inner in (
            (B44, v4._replace(options=bytes(4)), MAKE4(0, 1)),
            (B44, v4._replace(frag=0x2000), MAKE4(0, 1)),
            (F44, v4._replace(frag=0x8000), ipv4(frag=0x2000)),
            (F44, v4._replace(frag=0xC000), ipv4(frag=0xE000)),
            (B46, v4._replace(frag=0xC000), MAKE6(0, 1)),
            (B46, v4, MAKE6(0, 1)),
            (B46, v4._replace(frag=0x4000, ident=1), MAKE6(0, 1)),
            (B64, v6._replace(label=1), MAKE4(0, 1)),
            (F64, v6._replace(label=0x10000), ipv4(frag=0x2000)),
            (F44, v4._replace(frag=0x4000), ipv4(frag=0x2000)),
            (F44, v4, ipv4(frag=0x6000)),
        ):
            self.refused(esp64.BadOuter, sa, sent(sa, head.octets(0), inner))
        for sa, head, inner in (
            (B44, v4._replace(ident=7, tos=3, ttl=1), MAKE4(0, 1)),
            (B44, v4._replace(frag=0x8000), MAKE4(0, 1)),
            (F44, v4, ipv4(frag=0xA000)),
            (B46, v4._replace(frag=0x4000), MAKE6(0, 1)),
            (F64, v6._replace(label=0xFFFF), ipv4(frag=0x2000)),
            (F44, v4._replace(frag=0x4000), ipv4(frag=0x6000)),
        ):
            esp64.decode(sa, sent(sa, head.octets(0), inner))

    def test_udp(self):
        """UDP headers."""
        for sa, inner in ((OUTER4, MAKE4(0, 1)), (OUTER6, MAKE4(0, 1)), (B64, MAKE4(0, 1))):
            sa = replace(sa, encap=(4500, 4501))
            good = esp64.encode(sa, 0, 1, inner)
            at = 20 if sa.version == 4 else 40
            esp64.decode(sa, good)
            self.refused(esp64.BadOuter, replace(sa, encap=None), good)
            self.refused(esp64.BadUdp, replace(sa, encap=(4501, 4500)), good)
            self.refused(esp64.BadUdp, sa, iphdr.complete(good[:at], 17, good[at : at + 7]))
            self.refused(esp64.BadUdp, sa, iphdr.complete(good[:at], 17, good[at:] + b"?"))
            for check in (b"\0\0", b"\0\1"):
                packet = good[: at + 6] + check + good[at + 8 :]
                if packet != good:
                    self.refused(esp64.BadUdp, sa, packet)
            self.refused(esp64.Truncated, sa, esp64.wrap(sa, b""))

    def said(self, sa, case, make=MAKE4, **options):
        """Names of what decode() says to the packets of a case, counted."""
        said = Counter()
        for packet in inject.make(sa, make, case, 3, 1000, **options):
            try:
                esp64.decode(sa, packet)
                said["good"] += 1
            except esp64.DecodeError as e:
                said[type(e).__name__] += 1
        return said

    def test_pseudo_cases(self):
        """The cases for BEET: a strict decoder takes only what a sender makes."""
        for off, on in ((B44, F44), (B64, F64)):
            for sa in (off, on):
                said = lambda *a, sa=sa, **o: self.said(sa, *a, **o)
                fragment = "good" if sa is on else "BadFragment"
                self.assertEqual(said("options"), {"good": 1})
                self.assertEqual(said("options-all"), {"good": 10})
                self.assertEqual(said("pseudo-fragment"), {fragment: 1})
                self.assertEqual(said("pseudo-fragment", optlen=12), {fragment: 1})
                self.assertEqual(said("pseudo-reserved"), {"BadPseudoHeader": 1})
                self.assertEqual(said("pseudo-padding"), {"BadPseudoHeader": 1})
                self.assertEqual(said("pseudo-padding", optlen=4), {"good": 1})
                self.assertEqual(said("pseudo", hex=""), {"BadPseudoHeader": 1})
                self.assertEqual(said("pseudo", hex="1100000001010101"), {"good": 1})
                self.assertEqual(said("pseudo-end-of-list"), {"good": 1})
                self.assertEqual(said("pseudo-bad-options"), {"BadOptions": 14})
                self.assertEqual(said("pseudo-nested"), {"BadPseudoHeader": 1})
                self.assertEqual(said("pseudo-pad-all")["good"], 2)
                self.assertEqual(said("pseudo-f-all")["good"], 1)
                self.assertEqual(said("pseudo-length-all")["good"], 1)
                self.assertEqual(said("pseudo-long-options"), {"BadOptions": 55})
                self.assertEqual(
                    said("pseudo-truncate-all"), {"BadPseudoHeader": 16, "good": 1})
            self.assertEqual(self.said(on, "fragments"), {"good": 3})
            self.assertEqual(self.said(on, "fragments", optlen=40, df=1), {"good": 3})
            with self.assertRaises(ValueError):
                self.said(off, "fragments")
            with self.assertRaises(ValueError):
                self.said(on, "fragments", size=12)
        for sa, make in ((B46, MAKE6), (T4, MAKE4), (OUTER4, MAKE4)):
            for case in ("options", "fragments", "pseudo-nested"):
                with self.assertRaises(ValueError):
                    self.said(sa, case, make)

    def test_other_cases(self):
        """The cases of all modes, in transport and BEET."""
        for sa, make in ((T4, MAKE4), (T6, MAKE6), (B44, MAKE4), (B64, MAKE4), (B46, MAKE6),
                         (B66, MAKE6), (replace(B64, encap=(1, 2)), MAKE4)):
            for case in ("valid", "other-iv", "dummy"):
                self.assertEqual(self.said(sa, case, make), {"good": 1})
            self.assertEqual(self.said(sa, "padding", make), {"BadPadding": 1})
            self.assertEqual(self.said(sa, "pad-length", make), {"BadPadLength": 1})
            self.assertEqual(self.said(sa, "wrong-key", make), {"BadIcv": 1})
            self.assertEqual(self.said(sa, "short-plain", make), {"Truncated": 1})
            cuts = self.said(sa, "truncate-all", make)
            self.assertEqual(set(cuts), {"Truncated", "BadIcv"})
            flips = self.said(sa, "flip-all", make, bit=4)
            self.assertEqual(set(flips), {"BadSpi", "BadSubspace", "BadIcv"})
            for case in ("tfc", "short-inner", "inner-version", "swapped-family"):
                with self.assertRaises(ValueError):
                    self.said(sa, case, make)


class Receiver(unittest.TestCase):
    """The verdicts of receiver.py."""

    def verdicts(self, sa, case, make=MAKE4, **options):
        """Counters of a case's packets, in order."""
        end = receiver.Receiver(sa, 512)
        made = []
        for packet in inject.make(sa, make, case, 3, 1000, **options):
            head, esp = esp64.split(sa, packet)
            made.append(end.judge(esp, head))
        return made

    def counters(self, *args, **options):
        """Only their counters, counted."""
        return Counter(v.counter for v in self.verdicts(*args, **options))

    def test_accepted(self):
        """Deliveries, and what octets count."""
        for sa in (B44, F44, B64, F64):
            for length, verdict in zip(range(4, 41, 4), self.verdicts(sa, "options-all")):
                self.assertEqual(verdict.counter, "rx-packets")
                ends = len(MAKE4(3, 1000)) - 20
                self.assertEqual(len(verdict.payload), ends + (length + 11) // 8 * 8)
                self.assertEqual(iphdr.parse(verdict.inner)[0].options,
                                 beet_cases.options_of(length))
            for case in ("pseudo-reserved", "pseudo-padding", "pseudo-end-of-list"):
                for length in (4, 8, 40):
                    verdict, = self.verdicts(sa, case, optlen=length)
                    self.assertEqual(verdict.counter, "rx-packets")
                    self.assertEqual(verdict.inner[-41:], MAKE4(3, 1000)[-41:])
                    for verdict in self.verdicts(sa, "pseudo-f-all", optlen=length):
                        self.assertEqual(iphdr.parse(verdict.inner)[0].options,
                                         beet_cases.options_of(length))
        for sa in (F44, F64):
            made = self.verdicts(sa, "fragments", optlen=8, df=1)
            parts = [iphdr.parse(v.inner) for v in made]
            self.assertEqual([p[0].frag for p in parts], [0x6000, 0x6002, 0x4004])
            self.assertEqual({p[0].ident for p in parts}, {1000})
            whole = b"".join(v.inner[end:] for v, (_, end) in zip(made, parts))
            self.assertEqual(whole, MAKE4(3, 1000)[20:])
            for case in ("pseudo-reserved", "pseudo-padding", "pseudo-fragment"):
                self.assertEqual(self.counters(sa, case, word=0x2001), {"rx-packets": 1})
        verdict = receiver.Receiver(T4, 64).judge(esp64.unwrap(T4, esp64.encode(
            T4, 0, 1, ipv4(b"12345678"))))
        self.assertEqual(verdict, ("rx-packets", b"12345678", None))

    def test_next_headers(self):
        """Only tunnel mode minds, and BEET what is not a pseudo header. Port 1000 begins as a
        reply of ESP Echo does, behind 144."""
        echo = {"rx-echo-refused": 1}
        for sa, make, want in (
            (OUTER4, MAKE4, {"rx-packets": 1, "rx-inner": 1, "rx-next-header": 253}),
            (T4, MAKE4, echo | {"rx-packets": 254}), (T6, MAKE6, echo | {"rx-packets": 254}),
            (B44, MAKE4, echo | {"rx-packets": 253, "rx-pseudo-header": 1}),
            (F64, MAKE4, echo | {"rx-packets": 253, "rx-pseudo-header": 1}),
            (B46, MAKE6, echo | {"rx-packets": 254}),
        ):
            got = self.counters(sa, "next-header-all", make)
            self.assertEqual(got, want | {"rx-dummy": 1})

    def test_protocol_59(self):
        """Is sent as it is, and ends as a dummy; not so with options before it."""
        for sa, inner in (
            (T4, ipv4(proto=59)), (T6, ipv6(b"", 59)), (T6, ipv6(b"\x3b\0" + bytes(6), 0)),
            (B44, ipv4(proto=59)), (B64, ipv4(proto=59)), (B46, ipv6(b"", 59)),
            (B66, ipv6(b"1234", 59)),
        ):
            packet = esp64.encode(sa, 0, 1, inner)
            _, proto, payload = esp64.enter(sa, inner)
            self.assertEqual(proto, 59)
            self.assertEqual(esp64.decode(sa, packet)[3:], (59, payload))
            head, esp = esp64.split(sa, packet)
            verdict = receiver.Receiver(sa, 64).judge(esp, head)
            self.assertEqual(verdict, ("rx-dummy", None, None))
        inner = ipv4(proto=59, options=bytes(4))
        self.assertEqual(esp64.decode(B44, esp64.encode(B44, 0, 1, inner)).inner, inner)

    def test_malformed(self):
        """The rules for pseudo headers, one after the other."""
        bad = "rx-pseudo-header"
        for off, on in ((B44, F44), (B64, F64)):
            for sa in (off, on):
                for case, count in (
                    ("pseudo-length", 1), ("pseudo-pad", 1), ("pseudo-word", 4),
                    ("pseudo-nested", 1), ("pseudo-no-options", 3),
                    ("pseudo-bad-options", 14), ("pseudo-long-options", 55), ("pseudo", 1),
                ):
                    self.assertEqual(self.counters(sa, case), {bad: count}, case)
                self.assertEqual(
                    self.counters(sa, "pseudo-truncate-all"), {bad: 16, "rx-packets": 1})
                for length in (4, 8, 12, 40):
                    got = self.verdicts(sa, "pseudo-pad-all", optlen=length)
                    right = [n for n, v in enumerate(got) if v.counter == "rx-packets"]
                    # NOPs may be padding or options, so the other may be right, too
                    self.assertIn(4 if length % 8 == 0 else 0, right)
                    self.assertLessEqual(set(right), {0, 4})
                    self.assertEqual({v.counter for v in got}, {bad, "rx-packets"})
                    got = self.verdicts(sa, "pseudo-length-all", optlen=length)
                    right = [n for n, v in enumerate(got) if v.counter == "rx-packets"]
                    self.assertIn(length // 8, right)
                    self.assertLess(max(right), 6)
                self.assertEqual(self.counters(sa, "pseudo-bad-options", optlen=40), {bad: 14})
            # F is looked at in fragments only
            for sa, fragment in ((on, "rx-packets"), (off, "rx-fragment")):
                for length in range(4, 41, 4):
                    self.assertEqual(
                        self.counters(sa, "pseudo-f-all", optlen=length), {"rx-packets": 4})
                    self.assertEqual(
                        self.counters(sa, "pseudo-f-all", optlen=length, word=1),
                        {fragment: 1, bad: 3})
                self.assertEqual(
                    self.counters(sa, "pseudo-f-all", optlen=0, word=1), {fragment: 1, bad: 3})
            for length in range(0, 41, 4):
                for word in (0x2000, 0x2001, 0xE001, 1):
                    options = {"optlen": length, "word": word}
                    self.assertEqual(
                        self.counters(on, "pseudo-fragment", **options), {"rx-packets": 1})
                    self.assertEqual(
                        self.counters(off, "pseudo-fragment", **options), {"rx-fragment": 1})
                    if length not in (0, 4, 40) or word != 1:
                        continue
                    got = self.verdicts(on, "pseudo-pad-all", **options)
                    # With 0 and 4 it is not a fragment, but the end of a list of options
                    right = [n for n, v in enumerate(got) if v.counter == "rx-packets"
                             and iphdr.is_fragment(v.inner)]
                    self.assertIn(2 if length % 8 == 0 else 6, right)
                    self.assertLessEqual(set(right), {2, 6} if length else {2})
            self.assertEqual(self.counters(on, "pseudo-f", word=1), {bad: 1})


class Capture(unittest.TestCase):
    """check_capture.py finds ESP wherever it is."""

    def run_on(self, sas, packets, *options):
        """Exit status and output of a run over packets."""
        with tempfile.TemporaryDirectory() as tmp:
            path, sa_file = Path(tmp, "x.pcap"), Path(tmp, "sa.json")
            pcap.write(path, packets)
            sa_file.write_text(json.dumps(sas), encoding="utf-8")
            argv = ["check_capture.py", "--sa", str(sa_file), *options, str(path)]
            out = io.StringIO()
            with mock.patch("sys.argv", argv), contextlib.redirect_stdout(out):
                return check_capture.main(), out.getvalue()

    def test_modes(self):
        """Good packets of all modes, then with a wrong checksum inside."""
        sas, packets = [], []
        hop = b"\x11\0\x01\x04" + bytes(4)
        made = (
            (T4, ipv4(MAKE4(0, 1)[20:], options=beet_cases.options_of(8))),
            (T6, ipv6(hop + MAKE6(0, 1)[40:], 0)), (B44, MAKE4(0, 1)), (B46, MAKE6(0, 1)),
            (B64, ipv4(MAKE4(0, 1)[20:], options=beet_cases.options_of(12))),
            (B66, ipv6(hop + MAKE6(0, 1)[40:], 0)), (F64, ipv4(frag=0x2000)),
            (replace(OUTER4, encap=(4500, 4501)), MAKE6(0, 1)),
            (replace(B64, encap=(4500, 4500)), MAKE4(0, 1)),
            (replace(T6, encap=(4500, 4500)), MAKE6(0, 1)),
        )
        for spi, (sa, inner) in enumerate(made, 0x100):
            sa = replace(sa, spi=spi)
            words = {k: v for k, v in vars(sa).items() if k in sa.__dataclass_fields__}
            sas.append(words | {"key": sa.key.hex(), "icv": 8 * sa.icv, "auth_key": ""})
            packets.append(esp64.encode(sa, 0, 1, inner))
            wrong = bytearray(inner)
            wrong[-1] ^= 1
            status, out = self.run_on(
                sas[-1], [packets[-1], esp64.encode(sa, 0, 2, bytes(wrong))])
            # Of a fragment nothing can be told
            self.assertEqual(status, 0 if sa.beet_frag else 1, out)
            self.assertEqual("inner checksum" in out, not sa.beet_frag)
        # Clear packets, IKE and a keepalive on the port
        ike = iphdr.udp(OUTER4.addresses, (4500, 4500), bytes(8) + b"IKE")
        alive = iphdr.udp(OUTER4.addresses, (4500, 4500), b"\xff")
        clear = [MAKE4(0, 1), MAKE6(0, 1)] + [
            iphdr.Header(OUTER4.addresses, 17).octets(len(u)) + u for u in (ike, alive)]
        for options in ((), ("--numbers-only",)):
            status, out = self.run_on(sas, packets + clear, "--only", *options)
            self.assertEqual(status, 0, out)
        other = esp64.encode(replace(T6, spi=9, encap=(4500, 4500)), 0, 1, MAKE6(0, 1))
        self.assertEqual(self.run_on(sas, packets + [other], "--only")[0], 1)
        # Of an SA in UDP, but not in UDP
        bare = esp64.encode(replace(OUTER4, spi=0x107), 0, 2, MAKE6(0, 1))
        self.assertEqual(self.run_on(sas, packets + [bare])[0], 1)

    def test_find_esp(self):
        """Where ESP is, and where it cannot be told."""
        esp = bytes.fromhex("00000100") + bytes(36)
        ports = {(4500, 4500)}
        udp = iphdr.udp(T6.addresses, (4500, 4500), esp)

        def at(addresses, proto, body, **fields):
            packet = iphdr.Header(addresses, proto, **fields).octets(len(body)) + body
            return outer.find_esp(packet, ports)

        v4, v6, ext = T4.addresses, T6.addresses, "{:02x}00 000000000000"
        self.assertEqual(at(v4, 50, esp), 20)
        self.assertEqual(at(v4, 50, esp, options=bytes(40)), 60)
        self.assertEqual(at(v4, 17, udp, options=bytes(4)), 32)
        self.assertEqual(at(v4, 50, esp, frag=0x2000), -1)
        self.assertEqual(at(v4, 50, esp, frag=1), -1)
        self.assertEqual(at(v4, 17, udp, frag=0x2000), -1)
        self.assertIsNone(at(v4, 17, udp, frag=1))
        self.assertIsNone(at(v4, 6, esp))
        self.assertIsNone(at(v4, 50, b"\0\0\1"))
        self.assertEqual(at(v6, 50, esp), 40)
        self.assertEqual(at(v6, 0, bytes.fromhex(ext.format(50)) + esp), 48)
        self.assertEqual(at(v6, 43, bytes.fromhex(ext.format(17)) + udp), 56)
        self.assertEqual(at(v6, 44, bytes.fromhex("3200 0001 00000000") + esp), -1)
        self.assertEqual(at(v6, 44, bytes.fromhex("3200 0009 00000000") + esp), -1)
        self.assertEqual(at(v6, 44, bytes.fromhex("1100 0001 00000000") + udp), -1)
        self.assertIsNone(at(v6, 44, bytes.fromhex("1100 0009 00000000") + udp))
        self.assertIsNone(outer.find_esp(b"", ports))
        self.assertIsNone(outer.find_esp(b"\x45" + bytes(10), ports))


if __name__ == "__main__":
    unittest.main()
