#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Tests of what judges captures of EESP, and of what writes random ones."""

import contextlib
import io
import json
import tempfile
import unittest
from dataclasses import replace
from pathlib import Path
from unittest import mock

import eesp
import eesp_capture
import eesp_random
import inject
import iphdr
import outer
import pcap

WORDS = {"spi": "0x100", "key": "0x" + bytes(range(32)).hex(), "sskdf": "hkdf-sha256",
         "cipher_key": 128, "max_sub_sa": 7, "src": "10.0.0.1", "dst": "10.0.0.2"}
SA = eesp.SA.from_dict(WORDS)
UDP = WORDS | {"spi": "0x101", "encap": [4500, 4500]}
TRANSPORT = {"spi": "0x102", "key": "0x" + bytes(range(20)).hex(), "src": "fd01::1",
             "dst": "fd02::1", "mode": "transport", "crypt_offset": 2, "max_crypt_offset": 2}
NO_SN = WORDS | {"spi": "0x103", "sn": "none"}
MAKE4 = inject.inner_maker("udp:10.1.0.1:1000:10.2.0.1:2000:33")
MAKE6 = inject.inner_maker("udp:[fd01::1]:1000:[fd02::1]:2000:33")


def made(sa, session, sn, inner=None, **how):
    """A packet with the outer header that a sender puts before it."""
    inner = inner or (MAKE6 if sa.mode == "transport" else MAKE4)(0, sn)
    packet = eesp.encode(sa, session, sn, inner, **how)
    if sa.mode != "tunnel":
        return packet
    ident = (sa.spi & 3) << 12 | 16 * sn + session
    head = outer.tunnel_head(sa, inner)._replace(ident=ident)
    return eesp.wrap(sa, eesp.split_outer(sa, packet)[1], head.octets(0))


class Capture(unittest.TestCase):
    """What is good passes, and what is not fails."""

    def setUp(self):
        """A capture's worth of packets of each SA."""
        tmp = tempfile.TemporaryDirectory()
        self.addCleanup(tmp.cleanup)
        self.dir = Path(tmp.name)
        self.words = [WORDS, UDP, TRANSPORT, NO_SN]
        self.sas = [eesp.SA.from_dict(words) for words in self.words]
        self.sa_file = self.dir / "sa.json"
        self.sa_file.write_text(json.dumps(self.words), encoding="utf-8")
        self.packets = [made(sa, session, sn) for sn in range(1, 6) for sa in self.sas
                        for session in ((0, 3, 7) if sa.sskdf else (0,))]

    def run_on(self, packets, *options):
        """Exit status and output of a run over packets."""
        path = self.dir / "x.pcap"
        pcap.write(path, packets)
        argv = ["eesp_capture.py", "--sa", str(self.sa_file), *options, str(path)]
        out = io.StringIO()
        with mock.patch("sys.argv", argv), contextlib.redirect_stdout(out):
            status = eesp_capture.main()
        return status, out.getvalue()

    def test_good(self):
        """All of them, with packets of others in between; and what was inside."""
        esp = iphdr.complete(iphdr.Header(SA.addresses, 50).octets(0), 50, bytes(40))
        keepalive = iphdr.udp(SA.addresses, (4500, 4500), b"\xff")
        keepalive = iphdr.complete(iphdr.Header(SA.addresses, 17).octets(0), 17, keepalive)
        inner = self.dir / "inner.pcap"
        status, said = self.run_on([*self.packets, esp, keepalive, MAKE4(0, 1)], "--min-packets", "5",
                                   "--inner", str(inner))
        self.assertEqual(status, 0, said)
        self.assertIn("# spi 0x100 10.0.0.1 -> 10.0.0.2: 15 packets (0 dummies), 3 Sub SAs\n", said)
        self.assertIn("# spi 0x102 fd01::1 -> fd02::1: 5 packets", said)
        self.assertTrue(said.endswith("# capture: pass\n"))
        found = list(pcap.read(inner))
        self.assertEqual(len(found), len(self.packets))
        self.assertEqual(set(found), {make(0, sn) for sn in range(1, 6) for make in (MAKE4, MAKE6)})
        for extra in (esp, keepalive):
            self.assertEqual(self.run_on([*self.packets, extra], "--only")[0], 1)
        self.assertEqual(self.run_on(self.packets, "--only")[0], 0)

    def test_order(self):
        """Order, with and without --unordered."""
        mixed = self.packets[::-1]
        self.assertEqual(self.run_on(mixed)[0], 1)
        self.assertEqual(self.run_on(mixed, "--unordered")[0], 0)
        self.assertEqual(self.run_on(mixed, "--unordered", "--complete")[0], 0)

    def test_complete(self):
        """With --complete nothing may be missing, at the beginning or in between."""
        for at in (0, len(self.packets) // 2):
            some = self.packets[:at] + self.packets[at + 1 :]
            self.assertEqual(self.run_on(some)[0], 0)
            status, said = self.run_on(some, "--complete")
            self.assertEqual(status, 1)
            self.assertIn("1 numbers missing", said)

    def test_bad(self):
        """One bad packet, or one too few, is enough."""
        wrong = bytearray(MAKE4(0, 9))
        wrong[-1] ^= 1
        other_outer = eesp.wrap(SA, eesp.split_outer(SA, made(SA, 0, 9))[1],
                                iphdr.Header(SA.addresses, 0, tos=4, ident=9).octets(0))
        zeros = made(SA, 0, 9, pad_extra=4)
        for name, extra, says in (
            ("twice", made(SA, 3, 5), "number used again"),
            ("IV again", made(SA, 3, 9, iv=(5).to_bytes(8, "big")), "used again"),
            ("IV not SN", made(SA, 3, 9, iv=bytes(8)), "is not the SN"),
            ("IV again without SN", made(self.sas[3], 3, 5), "used again"),
            ("ICV", made(SA, 3, 9)[:-1] + b"?", "BadIcv"),
            ("Sub SA", made(SA, 8, 9), "BadSubSa"),
            ("alignment", made(self.sas[2], 0, 9, crypt=None, align=4), "BadAlignment"),
            ("Crypt Offset", made(replace(self.sas[2], crypt_offset=3), 0, 9), "CryptOffsetTooLarge"),
            ("inner checksum", made(SA, 0, 9, bytes(wrong)), "inner checksum"),
            ("outer", other_outer, "outer tos"),
            ("SPI", made(replace(SA, spi=9), 0, 9), None),
            ("no EESP", eesp.wrap(SA, bytes(40)), "NotEesp"),
            ("more padding", zeros, None),
        ):
            with self.subTest(name):
                status, said = self.run_on([*self.packets, extra])
                self.assertEqual(status, 1 if says else 0, said)
                self.assertIn(says or "pass", said)
        self.assertEqual(self.run_on(self.packets, "--min-packets", "16")[0], 1)
        self.assertEqual(self.run_on(self.packets, "--min-sub-sas", "2")[0], 1)
        self.assertEqual(self.run_on([])[0], 1)
        self.sa_file.write_text('{"spi": 1}', encoding="utf-8")
        self.assertEqual(self.run_on(self.packets)[0], 2)

    def test_random(self):
        """What eesp_random.py writes comes out as it says, and again with that seed."""
        sas = [sa for sa in self.sas if sa.sn == "64"]
        files = [self.dir / name for name in ("wire", "inner", "wire2", "inner2")]
        eesp_random.write(sas, 60, 5, *files[:2])
        eesp_random.write(sas, 60, 5, *files[2:])
        self.assertEqual(files[0].read_bytes(), files[2].read_bytes())
        wire, inner = (list(pcap.read(path)) for path in files[:2])
        by_spi = {sa.spi: sa for sa in sas}
        self.assertEqual(len(wire), 60)
        for packet, want in zip(wire, inner, strict=True):
            self.assertEqual(eesp.decode(eesp_capture.find(packet, by_spi), packet).inner, want)


if __name__ == "__main__":
    unittest.main()
