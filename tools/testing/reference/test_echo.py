# SPDX-License-Identifier: GPL-2.0-only
"""Tests of echo.py, and of fragments."""

import unittest

import echo
import iphdr
from echo import Echo

# By hand, of Documentation/echo.rst
WIRE = bytes.fromhex("02 80 0003 0001 0203 00000200 616263")
ASKED = Echo(2, 0x80, 1, 0x203, 0x200, b"abc")


class Octets(unittest.TestCase):
    """On the wire."""

    def test_both_ways(self):
        """What is made is what is read; TFC padding is not read."""
        self.assertEqual(ASKED.octets(), WIRE)
        self.assertEqual(echo.parse(WIRE), ASKED)
        self.assertEqual(echo.parse(WIRE + b"\0" * 9), ASKED)

    def test_none(self):
        """What is not whole."""
        for wire in (b"", WIRE[:11], WIRE[:14], WIRE[:2] + b"\0\4" + WIRE[4:]):
            with self.assertRaises(ValueError):
                echo.parse(wire)
        self.assertEqual(echo.parse(WIRE[:2] + b"\0\0" + WIRE[4:12]).data, b"")

    def test_which(self):
        """Sub-types 2 and 3 of Next Header 144, and nothing else."""
        self.assertTrue(echo.is_echo(144, WIRE) and echo.is_echo(144, b"\3"))
        for proto, payload in ((59, WIRE), (144, b""), (144, b"\0"), (144, b"\1"), (144, b"\4")):
            self.assertFalse(echo.is_echo(proto, payload))


class Problems(unittest.TestCase):
    """Each that a responder can have."""

    reply = Echo(3, 0, 1, 0x203, 0, b"abc")

    def test_good(self):
        """An answer, or none."""
        self.assertEqual(list(echo.problems([ASKED], [self.reply])), [])
        self.assertEqual(list(echo.problems([ASKED], [])), [])

    def test_bad(self):
        """One thing wrong at a time."""
        for requests, reply in (
            ([], self.reply), ([ASKED._replace(flags=0)], self.reply),
            ([ASKED], self.reply._replace(data=b"abcd")), ([ASKED], self.reply._replace(ident=2)),
            ([ASKED], self.reply._replace(seq=2)), ([ASKED], self.reply._replace(flags=0x80)),
            ([ASKED], self.reply._replace(reply_spi=0x200)),
        ):
            self.assertEqual(len(list(echo.problems(requests, [reply]))), 1, (requests, reply))
        self.assertEqual(len(list(echo.problems([ASKED], [self.reply] * 2))), 1)


class Fragments(unittest.TestCase):
    """Put together again they are the packet."""

    def test_both_families(self):
        """Offsets, flags, lengths and checksums."""
        body = bytes(n & 0xFF for n in range(1003))
        for addresses in (bytes(8), bytes(32)):
            packet = iphdr.Header(addresses, 50, frag=0).octets(len(body)) + body
            made, whole = list(iphdr.fragments(packet, 300)), b""
            self.assertEqual(len(made), 4 if len(addresses) == 8 else 5)
            for n, part in enumerate(made):
                self.assertLessEqual(len(part), 300)
                self.assertEqual(iphdr.inner_length(part), len(part))
                self.assertTrue(iphdr.is_fragment(part))
                at, more = 20, part[6] & 0x20
                offset = int.from_bytes(part[6:8], "big") & 0x1FFF
                if len(addresses) == 32:
                    at, more = 48, part[43] & 1
                    offset = int.from_bytes(part[42:44], "big") >> 3
                    self.assertEqual((part[6], part[40]), (44, 50))
                else:
                    self.assertFalse(iphdr.checksum(part[:20]))
                self.assertEqual(offset * 8, len(whole))
                self.assertEqual(bool(more), n < len(made) - 1)
                whole += part[at:]
            self.assertEqual(whole, body)


if __name__ == "__main__":
    unittest.main()
