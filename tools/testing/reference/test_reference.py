#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Tests of the reference itself. Run: ./test_reference.py"""

import contextlib
import io
import itertools
import json
import tempfile
import unittest
from dataclasses import replace
from pathlib import Path
from unittest import mock

import check_capture
import ciphers
import esp64
import golden
import inject
import iphdr
import outer
import pcap

HERE = Path(__file__).resolve().parent

SA4 = esp64.SA(0x100, bytes(range(20)), 16, "10.0.0.1", "10.0.0.2", 8)
SA6 = esp64.SA(0x200, bytes(range(36)), 8, "fd00::1", "fd00::2", 8)
UDP4 = "udp:10.1.0.1:1000:10.2.0.1:2000:33"
UDP6 = "udp:[fd01::1]:1000:[fd02::1]:2000:33"

# McGrew, Viega: The Galois/Counter Mode of Operation, appendix B, test cases
# with a nonce of 12 octets: key, nonce, plaintext, AAD, ciphertext, tag
K3 = "feffe9928665731c6d6a8f9467308308"
P3 = (
    "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
    "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255"
)
N3 = "cafebabefacedbaddecaf888"
A4 = "feedfacedeadbeeffeedfacedeadbeefabaddad2"
GCM_CASES = {
    1: ("00" * 16, "00" * 12, "", "", "", "58e2fccefa7e3061367f1d57a4e7455a"),
    2: (
        "00" * 16, "00" * 12, "00" * 16, "",
        "0388dace60b6a392f328c2b971b2fe78", "ab6e47d42cec13bdf53a67b21257bddf",
    ),
    3: (
        K3, N3, P3, "",
        "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
        "21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091473f5985",
        "4d5c2af327cd64a62cf35abd2ba6fab4",
    ),
    4: (
        K3, N3, P3[:120], A4,
        "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
        "21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091",
        "5bc94fbc3221a5db94fae95ae7121a47",
    ),
    7: ("00" * 24, "00" * 12, "", "", "", "cd33b28ac773f74ba00ed1f312572435"),
    10: (
        K3 + K3[:16], N3, P3[:120], A4,
        "3980ca0b3c00e841eb06fac4872a2757859e1ceaa6efd984628593b40ca1e19c"
        "7d773d00c144c525ac619d18c84a3f4718e2448b2fe324d9ccda2710",
        "2519498e80f1478f37ba55bd6d27618c",
    ),
    13: ("00" * 32, "00" * 12, "", "", "", "530f8afbc74536b9a963b4f1c4cb738b"),
    16: (
        K3 * 2, N3, P3[:120], A4,
        "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
        "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662",
        "76fc6ece0f4e1768cddf8853bb2d551b",
    ),
}

# draft-mcgrew-gcm-test-01, the first ESP packet with an extended sequence
# number: RFC 4106 with an AAD of SPI | 64-bit number is esp64's cryptography,
# the number being 0x8765432100000000. Its Next Header is 1, not tunnel mode's.
RFC4106_ESN = {
    "spi": 0x00004321,
    "number": 0x8765432100000000,
    "key": "4c80cdefbb5d10da906ac73c3613a6342e443b68",
    "iv": "4956ed7e3b244cfe",
    "plain": (
        "45000048699a000080114db7c0a80102c0a801010a9bf15638d3010000010000"
        "00000000045f736970045f756470037369700963796265726369747902646b00"
        "0021000101020201"
    ),
    "sealed": (
        "fecf537e729d5b07dc30df528dd22b768d1b98736696a6fd348509fa13ceac34"
        "cfa2436f14a3f3cf65925bf1f4a13c5d15b21e1884f5ff6247aeabb786b93bce"
        "61bc17d768fd9732459018148f6cbe722fd04796562dfdb4"
    ),
}


class Vectors(unittest.TestCase):
    """Published vectors, through both routes."""

    def test_gcm(self):
        """The published cases of GCM: library by way of seal(), and golden.gcm()."""
        for number, case in GCM_CASES.items():
            key, nonce, plain, aad, sealed, tag = map(bytes.fromhex, case)
            with self.subTest(case=number):
                self.assertEqual(golden.gcm(key, nonce, aad, plain), (sealed, tag))
                sa = esp64.SA(1, key + nonce[:4], 16, "10.0.0.1", "10.0.0.2")
                around = ciphers.Around(b"", aad, b"")
                self.assertEqual(sa.suite.seal(around, nonce[4:], plain), sealed + tag)
                self.assertEqual(sa.suite.open(around, nonce[4:], sealed + tag), plain)

    def test_rfc4106_packet(self):
        """A published RFC 4106 ESP packet: seal() and unseal() at every ICV length."""
        v = RFC4106_ESN
        iv, plain = bytes.fromhex(v["iv"]), bytes.fromhex(v["plain"])
        subspace, sn = v["number"] >> 48, v["number"] & esp64.SN_MAX
        wire = v["spi"].to_bytes(4, "big") + v["number"].to_bytes(8, "big")
        wire += iv + bytes.fromhex(v["sealed"])
        for icv in (8, 12, 16):
            sa = esp64.SA(
                v["spi"], bytes.fromhex(v["key"]), icv, "10.0.0.1", "10.0.0.2"
            )
            esp = wire[: len(wire) - 16 + icv]
            self.assertEqual(esp64.seal(sa, subspace, sn, plain, iv), esp)
            self.assertEqual(esp64.unseal(sa, esp), (subspace, sn, iv, plain))
            self.assertEqual(esp64.split_plaintext(sa, plain), (1, plain[:-4]))


class Golden(unittest.TestCase):
    """The committed golden packets."""

    def test_files_are_current(self):
        """golden.json and golden.h are what golden.py prints."""
        text = (HERE / "golden" / "golden.json").read_text(encoding="utf-8")
        self.assertEqual(json.loads(text), golden.packets())
        header = HERE.parent / "kunit" / "golden.h"
        self.assertEqual(header.read_text(encoding="utf-8"), golden.c_header())

    def test_packets(self):
        """esp64.py makes and takes the golden packets."""
        text = (HERE / "golden" / "golden.json").read_text(encoding="utf-8")
        seen = set()
        for p in json.loads(text):
            with self.subTest(p["name"]):
                sa = esp64.SA.from_dict(p["sa"])
                octets = {k: bytes.fromhex(p[k]) for k in ("inner", "packet", "iv")}
                made = esp64.encode(sa, p["subspace"], p["sn"], octets["inner"])
                self.assertEqual(made.hex(), p["packet"])
                got = esp64.decode(sa, octets["packet"])
                version = octets["inner"][0] >> 4
                self.assertEqual(got, (
                    p["subspace"], p["sn"], octets["iv"],
                    esp64.ADDRESS_PROTO[version], octets["inner"],
                ))
                self.assertIn(p["header"], p["packet"])
                seen.add((len(sa.key), sa.icv))
                seen.add((sa.version, version))
        self.assertEqual(len(seen), 9 + 4)


class Decoder(unittest.TestCase):
    """Every case of inject.py meets the refusal that it should."""

    def judge(self, sa, inner, case, subspace=3, sn=17, **options):
        """Names of what decode() says to the packets of a case."""
        said = []
        make = inject.inner_maker(inner)
        for packet in inject.make(sa, make, case, subspace, sn, **options):
            try:
                got = esp64.decode(sa, packet)
                said.append("good")
                self.assertEqual(got[:2], (subspace, sn))
                if got.next_header != esp64.PROTO_NONE:
                    self.assertEqual(got.inner, make(subspace, sn))
                    self.assertTrue(check_capture.inner_checksums_good(got.inner))
            except esp64.DecodeError as e:
                said.append(type(e).__name__)
        return said

    def test_cases(self):
        """Both families outside, both inside."""
        for sa in (SA4, SA6):
            for inner in (UDP4, UDP6):
                with self.subTest(sa=sa.src, inner=inner):
                    self.every_case(sa, inner)

    def every_case(self, sa, inner):
        """All cases of one combination."""
        def said(case, *args, **options):
            return self.judge(sa, inner, case, *args, **options)

        self.assertEqual(said("valid"), ["good"])
        for extra in (4, 248):
            self.assertEqual(said("valid", pad_extra=extra), ["good"])
        self.assertEqual(said("valid", pad_extra=1), ["Truncated"])
        self.assertEqual(said("valid", 0, 1), ["good"])
        self.assertEqual(said("valid", 7, esp64.SN_MAX), ["good"])
        self.assertEqual(said("valid", 8, 1), ["BadSubspace"])
        self.assertEqual(said("valid", 0, 0), ["BadNumber"])
        self.assertEqual(said("replay"), ["good"] * 2)
        self.assertEqual(said("other-iv"), ["good"])
        self.assertEqual(said("dummy"), ["good"])
        self.assertEqual(said("next-header"), ["BadNextHeader"])
        self.assertEqual(said("pad-length"), ["BadPadLength"])
        self.assertEqual(said("padding"), ["BadPadding"])
        self.assertEqual(said("wrong-key"), ["BadIcv"])
        self.assertEqual(said("wrong-salt"), ["BadIcv"])
        self.assertEqual(said("short-plain"), ["Truncated"])
        self.assertEqual(said("short-inner", length=0), ["BadInner"])
        self.assertEqual(said("short-inner"), ["BadInner"])
        self.assertEqual(said("inner-version"), ["BadInner"])
        self.assertEqual(said("swapped-family"), ["BadInner"])
        self.assertEqual(said("tfc"), ["BadInner"])

        for bit in range(8):
            flips = said("flip-all", bit=bit)
            self.assertEqual(flips[:4], ["BadSpi"] * 4)
            self.assertEqual(set(flips[4:6]), {"BadSubspace", "BadIcv"} if bit < 3
                             else {"BadSubspace"})
            self.assertEqual(set(flips[6:]), {"BadIcv"})
        esp = len(flips)
        self.assertEqual(said("flip", offset=40, bit=7), ["BadIcv"])
        cuts = said("truncate-all")
        self.assertEqual(len(cuts), esp)
        self.assertLessEqual(set(cuts), {"Truncated", "BadIcv"})
        self.assertEqual(set(cuts[: 12 + 8 + 4 + sa.icv]), {"Truncated"})
        self.assertEqual(said("truncate", length=40)[0], cuts[40])

    def test_number_flip_moves_nothing_else(self):
        """A flipped SN octet fails the ICV: the header is authenticated whole."""
        for offset in range(6, 12):
            self.assertEqual(
                self.judge(SA4, UDP4, "flip", offset=offset, bit=6), ["BadIcv"]
            )

    def test_outer(self):
        """Outer headers that the SA's sender does not write."""
        good = esp64.encode(SA4, 0, 1, inject.inner_maker(UDP4)(0, 1))
        for packet in (
            b"", good[:19], good[:-1], good + b"\0", b"\x46" + good[1:],
            good[:6] + b"\x20\x00" + good[8:], good[:8] + b"\x05" + good[9:],
            esp64.wrap(replace(SA4, src="10.0.0.3"), good[20:]),
            esp64.wrap(SA6, good[20:]),
        ):
            with self.assertRaises(esp64.BadOuter):
                esp64.decode(SA4, packet)

    def test_refused_parameters(self):
        """What no SA or packet can have."""
        for change in ({"key": bytes(16)}, {"icv": 10}, {"dst": "::1"},
                       {"subspaces": 0}, {"subspaces": 65537}):
            with self.assertRaises(ValueError):
                replace(SA4, **change)
        for subspace, sn in ((65536, 1), (0, 1 << 48), (-1, 1), (0, -1)):
            with self.assertRaises(ValueError):
                esp64.number(SA4, subspace, sn)
        with self.assertRaises(ValueError):
            esp64.SA.from_dict({"spi": "1", "kye": ""})
        for text in ("udp:1:2", "udp:fd01::1:1000:fd02::1:2000:33", "icmp"):
            with self.assertRaises(ValueError):
                inject.inner_maker(text)
        for name, options in (("nosuch", {}), ("valid", {"offset": "1"})):
            with self.assertRaises(ValueError):
                inject.typed(name, options)

    def test_batch(self):
        """The lines of a batch."""
        class Sink:
            """Keeps what would be sent."""
            sent = []

            def send(self, packets):
                """As Sender.send()."""
                self.sent += packets
                return len(packets)

        sink, inner = Sink(), inject.inner_maker(UDP4)
        for line, count in (
            ("valid 3 17", 1), ("  # nothing", None), ("sleep 0", None),
            ("valid 0 1 count=5", 5), ("flip 3 0x12 offset=40 bit=7 # x", 1),
            ("truncate-all 3 18 start=99", 1), ("next-header 1 2 value=17", 1),
            ("short-plain 1 3 length=2", 1), ("valid 1 4 pad-extra=4", 1),
        ):
            self.assertEqual(inject.batch_line(SA4, inner, sink, line), count)
        self.assertEqual(
            [esp64.decode(SA4, p).sn for p in sink.sent[1:6]], [1, 2, 3, 4, 5]
        )


UDP_IN4, UDP_IN6 = inject.inner_maker(UDP4), inject.inner_maker(UDP6)


def remade(sa, packet, **fields):
    """The packet with an outer header of one's own."""
    head = iphdr.Header(sa.addresses, iphdr.PROTO_ESP, **fields).octets(0)
    return esp64.wrap(sa, esp64.unwrap(sa, packet), head)


def outside(sa, packet, inner, ident=0):
    """The packet with the outer header that a sender puts before it."""
    head = outer.tunnel_head(sa, inner)._replace(ident=ident & 0xFFFF).octets(0)
    return esp64.wrap(sa, esp64.unwrap(sa, packet), head)


class Capture(unittest.TestCase):
    """check_capture.py passes what is good and fails what is not."""

    def setUp(self):
        """A capture's worth of packets, three subspaces interleaved."""
        tmp = tempfile.TemporaryDirectory()
        self.addCleanup(tmp.cleanup)
        self.dir = Path(tmp.name)
        self.sa_file = self.dir / "sa.json"
        self.sa_file.write_text(json.dumps({
            "spi": SA4.spi, "key": SA4.key.hex(), "icv": 128,
            "src": SA4.src, "dst": SA4.dst, "subspaces": 8,
        }), encoding="utf-8")
        self.inner = inject.inner_maker(UDP4)
        self.packets = [self.make(s, n) for n in range(1, 11) for s in (0, 3, 7)]

    def make(self, subspace, sn, inner=None, **options):
        """One good packet."""
        inner = inner or self.inner(subspace, sn)
        return outside(SA4, esp64.encode(SA4, subspace, sn, inner, **options), inner,
                       ident=16 * sn + subspace)

    def run_on(self, packets, *options):
        """Exit status and output of a run over packets."""
        path = self.dir / "x.pcap"
        pcap.write(path, packets)
        argv = ["check_capture.py", "--sa", str(self.sa_file), *options, str(path)]
        out = io.StringIO()
        with mock.patch("sys.argv", argv), contextlib.redirect_stdout(out):
            status = check_capture.main()
        return status, out.getvalue()

    def test_good(self):
        """A good capture, with a plain ESP packet and cleartext in between."""
        stranger = esp64.encode(replace(SA4, spi=9), 0, 1, self.inner(0, 1))
        packets = self.packets + [stranger, self.inner(0, 1)]
        status, out = self.run_on(
            packets, "--min-packets", "30", "--min-subspaces", "3"
        )
        self.assertEqual(status, 0, out)
        self.assertIn("30 packets (0 dummies), 3 subspaces, 30 IVs", out)
        self.assertTrue(out.endswith("# capture: pass\n"))
        self.assertEqual(self.run_on(packets, "--only")[0], 1)

    def test_order(self):
        """Order and holes, with and without --unordered."""
        mixed = self.packets[::-1]
        holed = self.packets[:12] + self.packets[13:]
        self.assertEqual(self.run_on(mixed)[0], 1)
        self.assertEqual(self.run_on(mixed, "--unordered")[0], 0)
        self.assertEqual(self.run_on(holed)[0], 0)
        self.assertEqual(self.run_on(holed, "--unordered")[0], 1)
        self.assertEqual(self.run_on(self.packets[1:])[0], 1)
        self.assertEqual(self.run_on(self.packets[3:], "--first", "2")[0], 0)
        self.assertEqual(
            self.run_on(self.packets, "--first", "2", "--unordered")[0], 1
        )

    def test_bad(self):
        """One bad packet, or one too few, is enough."""
        wrong = bytearray(self.inner(0, 11))
        wrong[-1] ^= 1
        fragment = bytearray(self.packets[0])
        fragment[6] = 0x20
        for name, extra in {
            "twice": self.packets[-1],
            "IV again": self.make(0, 11, iv=(7 << 48 | 10).to_bytes(8, "big")),
            "IV not N": self.make(0, 11, iv=bytes(8)),
            "ICV": self.packets[-1][:-1] + b"?",
            "padding": outside(SA4, inject.padding(SA4, 0, 11, self.inner(0, 11))[0],
                               self.inner(0, 11)),
            "subspace": self.make(8, 1),
            "zero": self.make(5, 0),
            "inner checksum": self.make(0, 11, bytes(wrong)),
            "fragment": bytes(fragment),
        }.items():
            with self.subTest(name):
                status, out = self.run_on(self.packets + [extra])
                self.assertEqual(status, 1, out)
                self.assertIn("# capture: fail", out)
                self.assertEqual("outer" in out, name == "twice", out)
        self.assertEqual(self.run_on(self.packets, "--min-packets", "31")[0], 1)
        self.assertEqual(self.run_on(self.packets, "--min-subspaces", "4")[0], 1)
        self.assertEqual(self.run_on([])[0], 1)

    def judged(self, sa, packets):
        """What is wrong with packets of that SA, in all orders."""
        judge = check_capture.Judge(sa, 1, False, False)
        return [problem for packet in packets for problem in judge.packet(packet)]

    def test_outer(self):
        """Every field of an outer header, for every inner one and every flag."""
        for (outside_version, src, dst), flag, tos, frag, label, version in itertools.product(
                ((4, "10.0.0.1", "10.0.0.2"), (6, "fd00::1", "fd00::2")),
                ((), ("noecn",), ("nopmtudisc",), ("dont-encap-dscp",),
                 ("noecn", "dont-encap-dscp")),
                (0, 1, 2, 3, 0xB8, 0xBB, 0xFF), (0, 0x4000), (0, 0xABCDE), (4, 6)):
            sa = replace(SA4, src=src, dst=dst, flags=flag)
            body = iphdr.parse((UDP_IN4 if version == 4 else UDP_IN6)(0, 1))
            inner = body[0]._replace(tos=tos, frag=frag, label=label)
            payload = (UDP_IN4 if version == 4 else UDP_IN6)(0, 1)[body[1]:]
            inner = inner.octets(len(payload)) + payload
            # Told once more, from RFC 4301 and the manual of `ip xfrm state`
            ecn = 0 if "noecn" in flag else (0, 1, 2, 2)[tos % 4]
            want = {"tos": ecn if "dont-encap-dscp" in flag else tos // 4 * 4 + ecn, "ttl": 64}
            if outside_version == 4:
                want["frag"] = 0 if "nopmtudisc" in flag or (version == 4 and not frag) else 0x4000
            else:
                want["label"] = label if version == 6 else 0
            packet = esp64.encode(sa, 0, 1, inner)
            with self.subTest(sa=sa, inner=inner.hex()):
                good = remade(sa, packet, ident=7, **want)
                self.assertEqual(self.judged(sa, [good]), [])
                for field, value in want.items():
                    for bit in (1, 2, 4, 0x80) if field != "frag" else (0x4000, 0x8000):
                        bad = remade(sa, packet, ident=7, **want | {field: value ^ bit})
                        problem, = self.judged(sa, [bad])
                        self.assertIn(f"outer {field} ", problem)

    def test_outer_dummy(self):
        """Of a dummy packet, which has nothing inside to copy from."""
        for flag, want in (((), 0x4000), (("nopmtudisc",), 0)):
            sa = replace(SA4, flags=flag)
            packet = esp64.enclose(sa, 0, 1, esp64.plaintext(sa, bytes(20), esp64.PROTO_NONE))
            self.assertEqual(self.judged(sa, [remade(sa, packet, frag=want, ident=1)]), [])
            for fields in ({"frag": want ^ 0x4000}, {"tos": 1}, {"ttl": 63}):
                bad = remade(sa, packet, **{"frag": want, "ident": 1} | fields)
                self.assertEqual(len(self.judged(sa, [bad])), 1)

    def test_identification(self):
        """Not again among packets that may be cut; others may have any."""
        inner = self.inner(0, 1)
        df = inner[:6] + b"\x40\0" + inner[8:10] + bytes(2) + inner[12:]
        df = df[:10] + esp64.checksum(df[:20]).to_bytes(2, "big") + df[12:]

        def made(idents, inner=inner):
            return [outside(SA4, esp64.encode(SA4, 0, sn, inner), inner, ident=ident)
                    for sn, ident in enumerate(idents, 1)]

        self.assertEqual(self.judged(SA4, made(range(600))), [])
        self.assertEqual(self.judged(SA4, made([*range(300), 10])), [])
        for idents in ([5, 5], [5, 6, 5], [*range(200), 10]):
            problem, = self.judged(SA4, made(idents))
            self.assertIn("Identification", problem)
        self.assertEqual(self.judged(SA4, made([0] * 10, df)), [])
        # One count for all SAs with these addresses
        idents = outer.Identifications()
        other = replace(SA4, spi=0x101)
        for sa, count in ((SA4, 0), (other, 1)):
            judge = check_capture.Judge(sa, 1, True, False, idents=idents)
            packet = outside(sa, esp64.encode(sa, 0, 1, inner), inner, ident=9)
            self.assertEqual(len(list(judge.packet(packet))), count)

    def test_files(self):
        """Broken captures are not judged; link layers and padding are removed."""
        packet = self.packets[0]
        path = self.dir / "y.pcap"
        for link, head in (
            (pcap.EN10MB, bytes(12) + b"\x08\x00"),
            (pcap.LINUX_SLL, bytes(14) + b"\x08\x00"),
            (pcap.LINUX_SLL2, b"\x08\x00" + bytes(18)),
        ):
            pcap.write(path, [head + packet + b"\0\0", b"\x08\x06" * 20])
            data = bytearray(path.read_bytes())
            data[20:24] = link.to_bytes(4, "little")
            path.write_bytes(data)
            self.assertEqual(list(pcap.read(path)), [packet])
        for cut in (data[:10], data[:30], data[:-1], b"\x0a\x0d\x0d\x0a" + data[4:]):
            path.write_bytes(cut)
            with self.assertRaises(pcap.PcapError):
                list(pcap.read(path))
        data[20] = 99
        path.write_bytes(data)
        with self.assertRaises(pcap.PcapError):
            list(pcap.read(path))


if __name__ == "__main__":
    unittest.main()
