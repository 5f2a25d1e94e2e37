#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Tests of the reference for EESP. Run: ./test_eesp.py, and ./eesp_random.py for more packets"""

import hmac
import json
import random
import unittest
from dataclasses import replace
from pathlib import Path

import ciphers
import eesp
import eesp_errors as wrong
import eesp_keys
import eesp_options
import eesp_peer
import eesp_random
import errors
import golden_ciphers
import golden_eesp
import iphdr
import test_formats
from eesp_options import CryptOffset, Numbers, Option

HERE = Path(__file__).resolve().parent
QUICK = 1000

KEY = bytes(range(16)) + bytes.fromhex("a0a1a2a3")
SA4 = eesp.SA(0x11223344, KEY, "192.0.2.1", "192.0.2.2")
SA6 = replace(SA4, src="2001:db8::1", dst="2001:db8::2")
T4, T6 = replace(SA4, mode="transport"), replace(SA6, mode="transport")
SUB = replace(SA4, key=bytes(range(32)), sskdf="hkdf-sha256", cipher_key=16, max_sub_sa=7)
OFFSET = replace(SA4, crypt_offset=8, max_crypt_offset=8)
UDP = bytes.fromhex("03e807d0000b0000") + b"abc"
IN4 = iphdr.Header(bytes((10, 1, 0, 1, 10, 2, 0, 1)), 17, frag=0).octets(len(UDP)) + UDP
IN6 = iphdr.Header(bytes(range(32)), 17).octets(len(UDP)) + UDP


def transport(sa, body=UDP, proto=17):
    """A packet for transport mode."""
    return iphdr.Header(sa.addresses, proto).octets(len(body)) + body


def golden():
    """The committed packets."""
    return json.loads((HERE / "golden" / "eesp.json").read_text(encoding="utf-8"))


def crafted(sa, plain, *, session=0, sn=1, crypt=None, options=None, align=4, head=None):
    """An EESP packet with a good ICV around anything. Options as octets; head: all of it."""
    iv = sn.to_bytes(8, "big")
    if head is None:
        head = eesp.header(sa, session, sn, iv, crypt, align)
        if options is not None:
            end = 8 + head[1]
            head = head[:1] + bytes((len(options),)) + head[2:8] + options + head[end:]
    return eesp.enclose(sa, session, iv, head, crypt, plain)


class Vectors(unittest.TestCase):
    """Published vectors, and what others have computed from the draft."""

    def test_hkdf(self):
        """RFC 5869, appendix A.1 to A.3, from PRK to OKM."""
        for prk, info, okm in (
            ("077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5",
             bytes(range(0xF0, 0xFA)),
             "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"
             "34007208d5b887185865"),
            ("06a6b88c5853361a06104c9ceb35b45cef760014904671014a193f40c15fc244",
             bytes(range(0xB0, 0x100)),
             "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c"
             "59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71"
             "cc30c58179ec3e87c14c01d5c1f3434f1d87"),
            ("19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04", b"",
             "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"
             "9d201395faa4b61a96c8"),
        ):
            prk, okm = bytes.fromhex(prk), bytes.fromhex(okm)
            self.assertEqual(eesp_keys.expand("hkdf-sha256", prk, info, len(okm)), okm)
            self.assertEqual(golden_ciphers.hkdf_expand("sha256", prk, info, len(okm)), okm)

    def test_hashes(self):
        """RFC 4231, test case 2: the hashes that RFC 5869 has no vectors of; and that the first
        block of HKDF-Expand is their HMAC."""
        for digest, mac in (
            ("sha256", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
            ("sha384", "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e"
                       "8e2240ca5e69e2c78b3239ecfab21649"),
            ("sha512", "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
                       "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737"),
        ):
            said = hmac.digest(b"Jefe", b"what do ya want for nothing?", digest)
            self.assertEqual(said.hex(), mac)
            key, size = bytes(range(len(said))), len(said)
            first = hmac.digest(key, b"\x12\x34\x01", digest)
            second = hmac.digest(key, first + b"\x12\x34\x02", digest)
            for length in (1, 20, size, size + 1, 2 * size):
                want = (first + second)[:length]
                self.assertEqual(eesp_keys.derive(f"hkdf-{digest}", key, 0x1234, length), want)
                self.assertEqual(golden_ciphers.hkdf_expand(digest, key, b"\x12\x34", length), want)

    def test_sskdf(self):
        """Keys of Sub SAs that another hand has computed from the draft, before this was
        written: K = 00 01 02 ..."""
        for digest, session, keymat in (
            ("sha256", 0x0000, "472a557f71f01e8d125da03ec21f6b770f62b36f2d7938df3fb55ab3960795166e16532b"),
            ("sha256", 0x0001, "bfb9feca177e0964367d975ca7e41bd64f44224af8851afaa04f7a2d92707dfdaeb0b4a1"),
            ("sha256", 0x1234, "6d241a8efb1df3c0d7d5c3e3d8f51d78d4f48342dca2479c2483e3d7eb74a33338eeef45"),
            ("sha384", 0x0001, "bc435472e3a65f445e39ed5960b0f5c1f3a2e83994592b3a52d3cc860f9e6c4258d74111"),
            ("sha512", 0x0001, "988a26eeb4c69dfd7829f454d63e66913bc60577a13f33b91e65886236739c0a9134f558"),
        ):
            name = f"hkdf-{digest}"
            root = bytes(range(eesp_keys.root_key_len(name)))
            self.assertEqual(eesp_keys.derive(name, root, session, 36).hex(), keymat)

    def test_packets(self):
        """Two packets of the same other hand: Optimized; full with Crypt Offset."""
        packet = bytes.fromhex(
            "8000000011223344 0000000000000001 0000000000000001 03711ced6c843750c77d60dbd1049467"
            "1bf21981951d87726dfa8b107dc43c12 f092f64e39893b4430fc2cdacc046e3f")
        sa = SA4
        got = eesp_peer.Receiver(sa).receive(packet)
        self.assertEqual((len(got.payload), got.padding, got.payload[28:]), (31, b"\0", b"abc"))
        self.assertEqual(eesp.seal(sa, 0, 1, got.payload), packet)
        packet = bytes.fromhex(
            "8004000511223344 02021c30 0000000100000002 0000000100000002 00001101"
            "03e807d0000b0000 206832b9 549e3b25eabdffd626d77d4deb6a3c8f")
        sa = replace(T4, max_crypt_offset=3)
        self.assertEqual(eesp.seal(sa, 5, 0x100000002, UDP, 17, crypt=3), packet)
        self.assertEqual(eesp_peer.Receiver(sa).receive(packet).payload, UDP)

    def test_chacha(self):
        """RFC 8439, section 2.8.2."""
        key, aad = bytes(range(0x80, 0xA0)), bytes.fromhex("50515253c0c1c2c3c4c5c6c7")
        nonce = bytes.fromhex("070000004041424344454647")
        plain = (b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for "
                 b"the future, sunscreen would be it.")
        sealed = bytes.fromhex(
            "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d6"
            "3dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b36"
            "92ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc"
            "3ff4def08e4b7a9de576d26586cec64b6116")
        tag = bytes.fromhex("1ae10b594f09e26a7e902ecbd0600691")
        self.assertEqual(golden_ciphers.chacha20_poly1305(key, nonce, aad, plain), (sealed, tag))
        suite = eesp_keys.AEADS["rfc7539esp(chacha20,poly1305)"](key + nonce[:4], 16)
        self.assertEqual(suite.seal(ciphers.Around(b"", aad, b""), nonce[4:], plain), sealed + tag)

    def test_ccm(self):
        """RFC 3610, packet vector 1; and the kernel's vectors of RFC 4309."""
        key, nonce = bytes(range(0xC0, 0xD0)), bytes.fromhex("00000003020100a0a1a2a3a4a5")
        sealed, tag = golden_ciphers.ccm(key, nonce, bytes(range(8)), bytes(range(8, 31)), 8)
        self.assertEqual(sealed.hex(), "588c979a61c663d2f066d0c2c0f989806d5f6b61dac384")
        self.assertEqual(tag.hex(), "17e8d12cfdf926e0")
        count = 0
        for v in test_formats.vectors("aes_ccm_rfc4309_tv_template"):
            key, salt = v["key"][:-3], v["key"][-3:]
            icv = len(v["sealed"]) - len(v["plain"])
            aad = v["assoc"][:-8]
            got = golden_ciphers.ccm(key, salt + v["iv"][:8], aad, v["plain"], icv)
            self.assertEqual(b"".join(got), v["sealed"])
            count += 1
        self.assertGreaterEqual(count, 15)

    def test_gmac(self):
        """The kernel's vector of RFC 4543, in which the IV is the AAD's end, as in EESP."""
        count = 0
        for v in test_formats.vectors("aes_gcm_rfc4543_tv_template"):
            suite = eesp_keys.Gmac(v["key"], 16)
            around = ciphers.Around(b"", v["assoc"], b"")
            self.assertEqual(suite.seal(around, v["iv"][:8], v["plain"]), v["sealed"])
            self.assertEqual(suite.open(around, v["iv"][:8], v["sealed"]), v["plain"])
            count += 1
        self.assertGreaterEqual(count, 1)


class Golden(unittest.TestCase):
    """The committed golden packets."""

    def test_file_is_current(self):
        """eesp.json and golden_eesp.h are what golden_eesp.py prints."""
        text = (HERE / "golden" / "eesp.json").read_text(encoding="utf-8")
        self.assertEqual(text, golden_eesp.text())
        header = HERE.parent / "kunit" / "golden_eesp.h"
        self.assertEqual(header.read_text(encoding="utf-8"), golden_eesp.c_header())

    def test_packets(self):
        """eesp.py makes and takes them."""
        seen = set()
        for p in golden():
            with self.subTest(p["name"]):
                sa, inner = eesp.SA.from_dict(p["sa"]), bytes.fromhex(p["inner"])
                packet, whole = bytes.fromhex(p["packet"]), bytes.fromhex(p["eesp"])
                self.assertEqual(eesp.encode(sa, p["session"], p["sn"], inner).hex(), p["packet"])
                got = eesp.decode(sa, packet)
                self.assertEqual(got.inner.hex(), p["inner"])
                self.assertEqual(got.parts.session, p["session"])
                self.assertEqual(got.parts.sn, p["sn"] if sa.sn == "64" else None)
                self.assertEqual(eesp.split_outer(sa, packet)[1], whole)
                self.assertEqual(eesp.opened(sa, whole).hex(), p["header"] + p["plain"])
                size = len(bytes.fromhex(p["header"])) + p["clear"]
                self.assertEqual(whole[:size].hex(), (p["header"] + p["plain"])[: 2 * size])
                self.assertEqual(eesp_peer.Host([eesp_peer.Receiver(sa)]).receive(packet), got)
                seen |= {sa.mode, sa.aead, sa.iv, sa.sn, sa.sskdf, sa.icv, sa.crypt_offset is None,
                         bool(sa.options), bool(sa.encap)}
        self.assertLessEqual({*eesp.MODES, *eesp_keys.AEADS, *eesp_keys.SSKDFS, None, "explicit",
                              "implicit", "64", "none", 8, 12, 16, True, False}, seen)

    def test_every_octet(self):
        """Each bit of every octet of them, changed; each cut; something behind: refused."""
        for p in golden():
            sa, whole = eesp.SA.from_dict(p["sa"]), bytes.fromhex(p["eesp"])
            receiver, names = eesp_peer.Receiver(sa), {}
            for at in range(len(whole)):
                for bit in range(8):
                    bad = bytearray(whole)
                    bad[at] ^= 1 << bit
                    with self.subTest(p["name"], at=at, bit=bit):
                        with self.assertRaises(errors.DecodeError) as e:
                            receiver.receive(bytes(bad))
                        names[at, bit] = type(e.exception)
                with self.assertRaises(errors.DecodeError):
                    receiver.receive(whole[:at])
            for more in (b"\0", bytes(4), bytes(16), whole):
                with self.assertRaises(errors.DecodeError):
                    receiver.receive(whole + more)
            self.assertEqual(receiver.windows, {})
            # Which of them before any cryptography
            self.assertEqual({names[0, bit] for bit in range(3)}, {wrong.BadReserved})
            self.assertEqual({names[0, bit] for bit in range(3, 7)}, {wrong.BadVersion})
            self.assertEqual(names[0, 7], wrong.NotEesp)
            self.assertEqual({names[at, bit] for at in range(4, 8) for bit in range(8)},
                             {errors.BadSpi})
            at = len(bytes.fromhex(p["header"]))
            self.assertEqual({kind for (where, _), kind in names.items() if where >= at},
                             {errors.BadIcv})
            self.assertEqual({names[at, bit] for at in (2, 3) for bit in range(8)},
                             {errors.BadIcv})

    def test_nothing_else_is_taken(self):
        """With another key, Sub SA, salt, offset or format each is refused, or is another."""
        for p in golden():
            sa, packet = eesp.SA.from_dict(p["sa"]), bytes.fromhex(p["packet"])
            for at in range(len(sa.key)):
                other = replace(sa, key=sa.key[:at] + bytes((sa.key[at] ^ 1,)) + sa.key[at + 1 :])
                with self.subTest(p["name"], at=at), self.assertRaises(errors.BadIcv):
                    eesp.decode(other, packet)


class Layout(unittest.TestCase):
    """Where things stand."""

    def sizes(self, sa, payload, **how):
        """Opt Len, and where PIH or the inner header begin, and all of it."""
        packet = eesp.seal(sa, 0, 1, payload, 17, **how)
        return packet[1], eesp.parse(sa, packet).header_len, len(packet)

    def test_sizes(self):
        """Section 5.8's sizes: 24 octets of header in tunnel mode, four more for a PIH; eight
        less with an implicit IV or without SN; four of PadN where IPv6 wants 8."""
        less = {"iv": "implicit"}, {"sn": "none"}
        self.assertEqual(self.sizes(SA4, IN4), (0, 24, 24 + 32 + 16))
        self.assertEqual(self.sizes(SA4, IN6), (0, 24, 24 + 52 + 16))
        self.assertEqual(self.sizes(T4, UDP), (0, 24, 24 + 4 + 12 + 16))
        self.assertEqual(self.sizes(T6, UDP), (4, 28, 28 + 4 + 12 + 16))
        for change in less:
            self.assertEqual(self.sizes(replace(SA6, **change), IN4), (0, 16, 16 + 32 + 16))
            self.assertEqual(self.sizes(replace(T4, **change), UDP), (0, 16, 16 + 4 + 12 + 16))
            self.assertEqual(self.sizes(replace(T6, **change), UDP), (4, 20, 20 + 4 + 12 + 16))
        for crypt in (0, 1, 2):
            self.assertEqual(self.sizes(replace(T6, crypt_offset=crypt), UDP)[:2], (4, 28))
        self.assertEqual(self.sizes(replace(SA4, crypt_offset=1), IN4), (4, 28, 28 + 4 + 32 + 16))

    def test_alignment(self):
        """Whatever options there are, the next layer's header is aligned."""
        for sa, payload, want in ((SA4, IN4, 4), (SA4, IN6, 8), (SA6, IN4, 8), (SA6, IN6, 8),
                                  (T4, UDP, 4), (T6, UDP, 8)):
            for crypt in (None, 2):
                for size in range(40):
                    options = [Option(77, bytes(size))]
                    packet = eesp.seal(sa, 0, 1, payload, 17, crypt=crypt, options=options)
                    parts = eesp.parse(sa, packet)
                    full = 4 if sa.mode == "transport" or crypt else 0
                    self.assertEqual((parts.header_len + full) % want, 0)
                    # No more than need be
                    self.assertLess(sum(len(o.octets()) for o in parts.options
                                        if o.kind in (0, 1)), want)

    def test_crypt_offset(self):
        """Figure 19: 8 and 7 words; never more than the inner packet; six bits each."""
        packet = eesp.seal(OFFSET, 0, 1, IN4 + bytes(8), 4)
        self.assertEqual(packet[8:12], b"\x02\x02" + (7 << 10 | 8 << 4).to_bytes(2, "big"))
        self.assertEqual(packet[28:32], b"\0\0\x04\x01")
        self.assertEqual(packet[32:60], IN4[:28])
        self.assertNotEqual(packet[60:70], (IN4 + bytes(8))[28:38])
        for size in range(60):
            sa = replace(T4, crypt_offset=9)
            self.assertEqual(eesp.clamped(sa, bytes(size)), min(9, size // 4))
            packet = eesp.encode(sa, 0, 1, transport(sa, bytes(size)))
            eesp.decode(replace(sa, max_crypt_offset=9), packet)
        with self.assertRaises(ValueError):
            # Payload Offset 64
            eesp.seal(OFFSET, 0, 1, IN4, 4, options=[Option(77, bytes(224))])
        eesp.seal(OFFSET, 0, 1, IN4, 4, options=[Option(77, bytes(218))])
        with self.assertRaises(ValueError):
            eesp.seal(SA4, 0, 1, IN4, options=[Option(77, bytes(254))])

    def test_options(self):
        """There and back, by themselves."""
        numbers = Numbers()
        rng = random.Random(7)
        for _ in range(500):
            made = [Option(0, None) if rng.random() < .3 else
                    Option(rng.randrange(1, 256), rng.randbytes(rng.randrange(9)))
                    for _ in range(rng.randrange(12))]
            field = eesp_options.joined(made)
            self.assertEqual(eesp_options.parse(field, numbers), made)
        for size in range(256):
            self.assertEqual(len(eesp_options.joined(eesp_options.padding(size, numbers))), size)
        self.assertEqual(eesp_options.joined(eesp_options.padding(5, numbers)), b"\1\3\0\0\0")
        for bad in (b"\1", b"\1\1", b"\0\0\5", b"\7\3ab", b"\1\xff" + bytes(253)):
            with self.assertRaises(wrong.BadOption):
                eesp_options.parse(bad, numbers)

    def test_padding(self):
        """A multiple of four octets behind the header; zeros; more of it, up to 255."""
        for size in range(9):
            for extra in (0, 4, 248):
                packet = eesp.encode(T4, 0, 1, transport(T4, bytes(size)), pad_extra=extra)
                got = eesp.decode(T4, packet)
                self.assertEqual(got.padding, bytes(-size % 4 + extra))
                self.assertEqual(len(packet) % 4, 0)
        with self.assertRaises(ValueError):
            eesp.encode(T4, 0, 1, transport(T4, bytes(1)), pad_extra=253)


class Received(unittest.TestCase):
    """What a receiver does with packets that have a good ICV. Sections in the texts."""

    def verdict(self, sa, packet, strictly=None):
        """What receive() says: the error's name, or the payload's length; and decode()."""
        try:
            said = len(eesp_peer.Receiver(sa).receive(packet).payload)
        except errors.DecodeError as e:
            said = type(e).__name__
        if strictly is not None:
            with self.assertRaises(strictly):
                eesp.decode(sa, eesp.wrap(sa, packet))
        return said

    def test_base_header(self):
        """2.2.1, 2.9: first bit, version, R; Session ID with and without Sub SAs."""
        good = eesp.seal(SA4, 0, 1, IN4)
        self.assertEqual(self.verdict(SA4, good), len(IN4))
        for first, name in ((0x00, "NotEesp"), (0x81, "BadReserved"), (0x84, "BadReserved"),
                            (0x88, "BadVersion"), (0xF8, "BadVersion")):
            head = bytes((first,)) + good[1:24]
            self.assertEqual(self.verdict(SA4, crafted(SA4, IN4 + b"\0", head=head)), name)
        other = replace(SA4, version_number=14)
        self.assertEqual(self.verdict(other, eesp.seal(other, 0, 1, IN4)), len(IN4))
        self.assertEqual(self.verdict(other, good), "BadVersion")
        # Opaque without Sub SAs: a receiver does not look, and ours does not send it
        self.assertEqual(self.verdict(SA4, eesp.seal(SA4, 9, 1, IN4), wrong.BadSubSa), len(IN4))
        for session in range(8):
            self.assertEqual(self.verdict(SUB, eesp.seal(SUB, session, 1, IN4)), len(IN4))
        for session in (8, 0x100, 0xFFFF):
            self.assertEqual(self.verdict(SUB, eesp.seal(SUB, session, 1, IN4)), "BadSubSa")
        for size in range(8):
            self.assertEqual(self.verdict(SA4, good[:size]), "NotEesp")
        self.assertEqual(self.verdict(SA4, good[:39]), "Truncated")

    def test_sub_sas(self):
        """5: each has a key of its own, 0 too; the root key is nobody's."""
        keys = {SUB.suite(n).key + SUB.suite(n).salt for n in range(8)}
        self.assertEqual(len(keys), 8)
        plain = replace(SA4, key=SUB.key[:20])
        self.assertEqual(self.verdict(SUB, eesp.seal(plain, 0, 1, IN4)), "BadIcv")
        moved = eesp.seal(SUB, 1, 1, IN4)
        moved = moved[:2] + b"\0\2" + moved[4:]
        self.assertEqual(self.verdict(SUB, moved), "BadIcv")

    def test_options(self):
        """2.2.2, 3: unknown ones are passed over, malformed ones are not."""
        def said(options, sa=T4, **how):
            packet = crafted(sa, b"\0\0\x11\1" + UDP + b"\0", options=options)
            return self.verdict(sa, packet, **how)

        for good in (b"", bytes(4), b"\1\2\0\0", b"\1\0\1\0", b"\3\1\0\0", b"\xff\2ab",
                     b"\xe3\0\0\0", bytes(255), b"\1\xfd" + bytes(253), b"\x83\1a\0"):
            self.assertEqual(said(good), 11, good)
        for bad in (b"\1", b"\0\0\0\1", b"\1\3\0\0", b"\x05\xff\0\0", b"\0\0\0\xff"):
            self.assertEqual(said(bad), "BadOption", bad)
        # What Pad1 and PadN have for data is not looked at, unless strictly; nor is alignment
        self.assertEqual(said(b"\1\2\0\1", strictly=wrong.BadOption), 11)
        self.assertEqual(said(b"", T6, strictly=wrong.BadAlignment), 11)
        self.assertEqual(said(b"\0\0", T4, strictly=wrong.BadAlignment), 11)
        refuse = replace(T4, unknown_options="refuse")
        self.assertEqual(said(b"\3\1\0\0", refuse), "UnknownOption")
        self.assertEqual(said(b"\1\2\0\0", refuse), 11)
        # Opt Len, to the last octet that there can be
        packet = crafted(T4, b"\0\0\x11\1" + UDP + b"\0", options=bytes(16))
        for size, name in ((16, 11), (255, "Truncated"), (17, "BadIcv"), (20, "BadIcv"),
                           (33, "Truncated")):
            changed = packet[:1] + bytes((size,)) + packet[2:]
            self.assertEqual(self.verdict(T4, changed), name, size)

    def test_crypt_offset(self):
        """3.1.2: what the option may say."""
        plain = b"\0\0\x11\1" + UDP + b"\0"
        sa = replace(T4, max_crypt_offset=4)

        def said(option, crypt=0, sa=sa, **how):
            return self.verdict(sa, crafted(sa, plain, options=option, crypt=crypt), **how)

        def option(payload, crypt, reserved=0):
            return CryptOffset(payload, crypt, reserved).option(Numbers()).octets()

        for crypt in range(5):
            self.assertEqual(said(option(7, crypt), crypt), 11 if crypt < 5 else None)
        # The literal limit, 11 octets, is a sender's; a receiver needs but P's end
        said(option(7, 3), 3, strictly=wrong.BadCryptOffset)
        self.assertEqual(said(option(7, 5), 5, replace(sa, max_crypt_offset=63)), "BadCryptOffset")
        self.assertEqual(said(option(7, 63), 0, replace(sa, max_crypt_offset=63)), "BadCryptOffset")
        for payload in (0, 6, 8, 63):
            self.assertEqual(said(option(payload, 0)), "BadCryptOffset")
        # Reserved: ignored
        self.assertEqual(said(option(7, 1, 15), 1, strictly=wrong.BadCryptOffset), 11)
        # Too long, too short, twice
        for bad in (b"\2\0\0\0", b"\2\1\x1c\0", b"\2\4\x20\0\0\0\0\0", b"\2\4\0\0\x20\0\0\0"):
            self.assertEqual(said(bad), "BadCryptOffset")
        self.assertEqual(said(option(8, 0) * 2), "BadCryptOffset")
        # Not what was agreed: only if it is authentic
        for most in (None, 0, 1):
            other = replace(sa, max_crypt_offset=most)
            self.assertEqual(said(option(7, 2), 2, other), "CryptOffsetTooLarge")
            bad = crafted(sa, plain, options=option(7, 2), crypt=2)
            receiver = eesp_peer.Receiver(other)
            with self.assertRaises(errors.BadIcv):
                receiver.receive(bad[:-1] + bytes((bad[-1] ^ 1,)))
            with self.assertRaises(wrong.CryptOffsetTooLarge):
                receiver.receive(bad)
            with self.assertRaises(wrong.Replayed):
                receiver.receive(bad)

    def test_formats(self):
        """2.4, 2.8: Optimized and full."""
        info4 = b"\0\0\4\1"
        # No PIH on transport mode
        self.assertEqual(self.verdict(T4, crafted(T4, IN4 + b"\0")), "BadInfoWord")
        # A PIH in tunnel mode, without Crypt Offset on the SA, with it, and with the option
        self.assertEqual(self.verdict(SA4, crafted(SA4, info4 + IN4 + b"\0")), "BadFormat")
        self.assertEqual(self.verdict(OFFSET, crafted(SA4, info4 + IN4 + b"\0"), wrong.BadFormat),
                         len(IN4))
        good = crafted(OFFSET, info4 + IN4 + b"\0", crypt=2)
        self.assertEqual(self.verdict(OFFSET, good), len(IN4))
        # None, with it
        self.assertEqual(self.verdict(OFFSET, crafted(OFFSET, IN4 + b"\0", crypt=2)), "BadFormat")
        self.assertEqual(self.verdict(OFFSET, crafted(OFFSET, IN4 + b"\0")), len(IN4))
        for nibble in (1, 2, 3, 5, 7, 8, 15):
            bad = crafted(OFFSET, bytes((nibble << 4,)) + bytes(39))
            self.assertEqual(self.verdict(OFFSET, bad), "BadFormat")
            bad = crafted(T4, bytes((nibble << 4, 0, 17, 1)) + UDP + b"\0")
            self.assertEqual(self.verdict(T4, bad), "BadInfoWord")
        # The reserved bits: ignored
        for info in (b"\x0f\xff\x11\1", b"\0\1\x11\1", b"\1\0\x11\1"):
            odd = crafted(T4, info + UDP + b"\0")
            self.assertEqual(self.verdict(T4, odd, errors.BadInfoWord), 11)

    def test_optimized(self):
        """2.8: the inner packet's length is what padding is told by."""
        for inner in (IN4, IN6):
            for extra, said in ((0, len(inner)), (1, len(inner)), (255, len(inner)),
                                (256, "BadPadLength"), (-1, "BadPadLength")):
                plain = (inner + bytes(256))[: len(inner) + extra]
                strictly = errors.DecodeError if len(plain) % 4 else None
                self.assertEqual(self.verdict(SA4, crafted(SA4, plain), strictly), said)
        self.assertEqual(self.verdict(SA4, crafted(SA4, IN4 + b"\1"), errors.BadPadding), len(IN4))
        for size in (1, 4, 16, 19):
            self.assertEqual(self.verdict(SA4, crafted(SA4, IN4[:size])), "BadInner")
        self.assertEqual(self.verdict(SA4, crafted(SA4, IN6[:36])), "BadInner")
        self.assertEqual(self.verdict(SA4, crafted(SA4, b"")), "BadInner")
        # Shorter than its header; a header of no length; a jumbogram, and one with nothing in it
        for total in (0, 19, 23):
            short = b"\x46\0" + total.to_bytes(2, "big") + IN4[4:32]
            self.assertEqual(self.verdict(SA4, crafted(SA4, short)), "BadInner")
        self.assertEqual(self.verdict(SA4, crafted(SA4, b"\x44" + IN4[1:] + b"\0")), "BadInner")
        jumbo = IN6[:4] + b"\0\0" + IN6[6:] + bytes(256)
        self.assertEqual(self.verdict(SA4, crafted(SA4, jumbo)), "BadPadLength")
        self.assertEqual(self.verdict(SA4, crafted(SA4, IN6[:4] + b"\0\0" + IN6[6:40])), 40)

    def test_full(self):
        """2.4.2, 4.5.4.1: Pad Length, Next Header; dummies."""
        for pad, said in ((0, 12), (1, 11), (12, 0), (13, "BadPadLength"), (255, "BadPadLength")):
            plain = bytes((0, 0, 17, pad)) + UDP + b"\0"
            self.assertEqual(self.verdict(T4, crafted(T4, plain)), said)
        for size in range(4):
            self.assertEqual(self.verdict(T4, crafted(T4, bytes(size))), "Truncated")
        got = eesp.decode(T4, eesp.wrap(T4, crafted(T4, b"\0\0\x3b\0" + bytes(8))))
        self.assertTrue(got.dummy)
        self.assertIsNone(got.inner)
        receiver = eesp_peer.Receiver(OFFSET)
        dummy = crafted(OFFSET, b"\0\0\x3b\0" + bytes(8), crypt=1)
        head = eesp.split_outer(OFFSET, eesp.wrap(OFFSET, dummy))[0]
        self.assertTrue(receiver.receive(dummy, head).dummy)
        with self.assertRaises(wrong.Replayed):
            receiver.receive(dummy)
        # In tunnel mode what PIH and inner header say is the same
        for info, inner, said in (
            (b"\0\0\4\1", IN4 + b"\0", len(IN4)), (b"\0\0\4\0", IN4 + b"\0", "BadInner"),
            (b"\0\0\4\2", IN4 + b"\0", "BadInner"), (b"\0\0\x29\1", IN4 + b"\0", "BadInner"),
            (b"\0\0\4\1", IN6 + b"\0", "BadInner"), (b"\0\0\x29\1", IN6 + b"\0", len(IN6)),
            (b"\0\0\x11\1", IN4 + b"\0", "BadNextHeader"),
        ):
            self.assertEqual(self.verdict(OFFSET, crafted(OFFSET, info + inner, crypt=1)), said)

    def test_numbers(self):
        """2.3.1, 4.4.4: 0 is none, the last is one; implicit IVs are these."""
        for sa in (SA4, replace(SA4, iv="implicit"), SUB):
            self.assertEqual(self.verdict(sa, eesp.seal(sa, 0, 0, IN4)), "BadNumber")
            for sn in (1, (1 << 32) - 1, 1 << 32, 1 << 63, eesp.SN_MAX):
                self.assertEqual(self.verdict(sa, eesp.seal(sa, 0, sn, IN4)), len(IN4))
        for sa in (SA4, T4):
            with self.assertRaises(ValueError):
                eesp.encode(sa, 0, 0, transport(sa))
        # Any explicit IV
        for iv in (bytes(8), b"\xff" * 8):
            self.assertEqual(self.verdict(SA4, eesp.seal(SA4, 0, 1, IN4, iv=iv)), len(IN4))


class Peers(unittest.TestCase):
    """Numbers and windows, and what is before them."""

    def test_sender(self):
        """2.9.1: a count for each Sub SA, to the end and not further."""
        sender = eesp_peer.Sender(SUB, 3)
        self.assertEqual([sender.next(n) for n in (0, 1, 0, 3, 0)], [1, 1, 2, 1, 3])
        for session in (4, 0xFFFF):
            with self.assertRaises(ValueError):
                sender.next(session)
        sender.last[2] = eesp.SN_MAX - 1
        self.assertEqual(sender.next(2), eesp.SN_MAX)
        for _ in range(2):
            with self.assertRaises(wrong.NumbersExhausted):
                sender.next(2)
        self.assertEqual(sender.next(1), 2)
        with self.assertRaises(ValueError):
            sender.next(1, 0)
        with self.assertRaises(ValueError):
            eesp_peer.Sender(SA4).next(1)
        self.assertEqual(eesp.decode(SUB, sender.send(IN4, 1)).parts.sn, 3)
        for most in (8, 9, 63):
            eesp_peer.Sender(OFFSET, peer_crypt_offset=most)
        for most in (None, 0, 7):
            with self.assertRaises(ValueError):
                eesp_peer.Sender(OFFSET, peer_crypt_offset=most)

    def test_window(self):
        """4.5.3: beside a list of all that were there."""
        rng = random.Random(3)
        for size in (64, 65, 128, 1000):
            window, seen = eesp_peer.Window(size), set()
            for _ in range(3000):
                top = max(seen, default=0)
                sn = max(1, top + rng.choice((1, 1, 2, -rng.randrange(2 * size), size, 3 * size)))
                want = ("TooOld" if sn <= top - size else "Replayed" if sn in seen else None)
                try:
                    window.check(sn)
                    said = None
                except errors.DecodeError as e:
                    said = type(e).__name__
                self.assertEqual(said, want)
                if said is None:
                    window.accept(sn)
                    seen.add(sn)
            self.assertLess(window.seen, 1 << size)
        with self.assertRaises(ValueError):
            eesp_peer.Receiver(SA4, 63)

    def test_windows(self):
        """2.9.2: one for each Sub SA, made by an authentic packet alone; without Sub SAs one
        for all Session IDs."""
        receiver = eesp_peer.Receiver(SUB)
        good = {n: eesp.seal(SUB, n, 1, IN4) for n in range(8)}
        for packet in good.values():
            with self.assertRaises(errors.BadIcv):
                receiver.receive(packet[:-1] + bytes((packet[-1] ^ 1,)))
        self.assertEqual(receiver.windows, {})
        for packet in good.values():
            receiver.receive(packet)
            with self.assertRaises(wrong.Replayed):
                receiver.receive(packet)
        receiver.receive(eesp.seal(SUB, 3, 100, IN4))
        with self.assertRaises(wrong.TooOld):
            receiver.receive(eesp.seal(SUB, 3, 36, IN4))
        receiver.receive(eesp.seal(SUB, 3, 37, IN4))
        receiver.receive(eesp.seal(SUB, 4, 2, IN4))
        receiver = eesp_peer.Receiver(SA4)
        receiver.receive(eesp.seal(SA4, 0, 1, IN4))
        with self.assertRaises(wrong.Replayed):
            receiver.receive(eesp.seal(SA4, 1, 1, IN4))
        # No numbers, no windows
        none = replace(SUB, sn="none")
        receiver = eesp_peer.Receiver(none)
        for _ in range(3):
            receiver.receive(eesp.seal(none, 1, 1, IN4))
        self.assertEqual(receiver.windows, {})

    def test_udp(self):
        """6: what comes to a port; where the Sub SAs' packets may come from."""
        for data, kind in ((b"\xff", "keepalive"), (bytes(4) + b"ike", "ike"),
                           (b"\x80" + bytes(7), "eesp"), (b"\xff" * 8, "eesp"),
                           (b"\x7f" + b"\xff" * 7, "esp"), (b"\x80" * 7, "nothing"),
                           (b"", "nothing"), (bytes(3), "nothing"), (bytes(8), "ike")):
            self.assertEqual(eesp_peer.kind_in_udp(data), kind, data)
        sa = replace(SUB, encap=(4500, 4501))
        for ports in (None, (4500, 4501), (1, 4501), (65535, 4501)):
            eesp.decode(sa, eesp.encode(sa, 1, 1, IN4, ports=ports))
        with self.assertRaises(errors.BadUdp):
            eesp.decode(sa, eesp.encode(sa, 1, 1, IN4, ports=(4500, 4500)))
        with self.assertRaises(errors.BadUdp):
            eesp.decode(replace(sa, sub_ports=False), eesp.encode(sa, 1, 1, IN4, ports=(1, 4501)))
        host = eesp_peer.Host([eesp_peer.Receiver(sa)])
        udp = eesp.encode(sa, 1, 1, IN4)
        for data in (b"\xff", bytes(4) + b"ike", b"\x11" + bytes(20)):
            body = iphdr.udp(sa.addresses, sa.encap, data)
            with self.assertRaises(wrong.NotEesp):
                host.receive(iphdr.Header(sa.addresses, 17).octets(len(body)) + body)
        self.assertEqual(host.receive(udp).inner, IN4)

    def test_events(self):
        """7: what is auditable, with what it has."""
        sa6 = replace(SA6, spi=6, mode="transport")
        host = eesp_peer.Host([eesp_peer.Receiver(sa) for sa in (SUB, sa6, OFFSET_2)],
                              clock=lambda: 7.5)
        good = eesp.encode(SUB, 2, 70, IN4)

        def event(packet, kind):
            with self.assertRaises(kind):
                host.receive(packet)
            return host.events.pop()

        host.receive(good)
        src, dst = SUB.src_octets, SUB.dst_octets
        self.assertEqual(event(good, wrong.Replayed),
                         ("Replayed", SUB.spi, 2, 70, src, dst, None, 7.5))
        self.assertEqual(event(eesp.encode(SUB, 2, 6, IN4), wrong.TooOld).sn, 6)
        self.assertEqual(event(good[:-1] + b"?", wrong.Replayed).name, "Replayed")
        bad = eesp.encode(SUB, 2, 71, IN4)
        self.assertEqual(event(bad[:-1] + bytes((bad[-1] ^ 1,)), errors.BadIcv),
                         ("BadIcv", SUB.spi, 2, 71, src, dst, None, 7.5))
        self.assertEqual(event(eesp.encode(SUB, 8, 1, IN4), wrong.BadSubSa)[:4],
                         ("BadSubSa", SUB.spi, 8, 1))
        stranger = replace(SA4, spi=99)
        self.assertEqual(event(eesp.encode(stranger, 0, 1, IN4), wrong.NoSa),
                         ("NoSa", 99, 0, None, src, dst, None, 7.5))
        too_far = eesp.encode(replace(OFFSET_2, crypt_offset=3), 0, 1, IN4)
        self.assertEqual(event(too_far, wrong.CryptOffsetTooLarge).name, "CryptOffsetTooLarge")
        fragment = bytearray(good)
        fragment[6] = 0x20
        self.assertEqual(event(bytes(fragment), wrong.Fragment)[:4], ("Fragment", None, None, None))
        inner = iphdr.Header(sa6.addresses, 17, label=0x12345).octets(len(UDP)) + UDP
        host.receive(eesp.encode(sa6, 0, 1, inner))
        self.assertEqual(event(eesp.encode(sa6, 0, 1, inner), wrong.Replayed).flow_label, 0x12345)
        host.auditing = False
        with self.assertRaises(wrong.Replayed):
            host.receive(good)
        self.assertEqual(host.events, [])
        # Not what section 7 names
        host.auditing = True
        for packet in (b"", good[:19], good[:28], eesp.wrap(replace(SUB, proto=50), good[20:])):
            with self.assertRaises(errors.DecodeError):
                host.receive(packet)
        self.assertEqual(host.events, [])


OFFSET_2 = replace(OFFSET, spi=0x55, crypt_offset=2, max_crypt_offset=2)


class Refused(unittest.TestCase):
    """What no SA, packet or file can be."""

    def test_sas(self):
        """Lengths, names, combinations."""
        for change in (
            {"key": bytes(21)}, {"icv": 10}, {"dst": "::1"}, {"mode": "iptfs"}, {"sn": "32"},
            {"iv": "implicit", "sn": "none"}, {"sskdf": "hkdf-sha256"}, {"cipher_key": 16},
            {"sskdf": "hkdf-sha256", "key": bytes(32)}, {"max_crypt_offset": 64},
            {"crypt_offset": -1},
            {"sskdf": "hkdf-sha384", "key": bytes(32), "cipher_key": 16}, {"version_number": 16},
            {"mode": "beet"}, {"inner": ("10.0.0.1", "10.0.0.2")}, {"encap": (0, 4500)},
            {"numbers": Numbers(1, 1, 2)}, {"unknown_options": "x"}, {"iv": "none"}, {"proto": 256},
            {"aead": "rfc4543(gcm(aes))", "iv": "implicit"}, {"max_sub_sa": 65536},
            {"spi": 1 << 32},
        ):
            with self.subTest(change), self.assertRaises(ValueError):
                replace(SA4, **change)
        for sskdf, aead, size in (("hkdf-sha256", "rfc4106(gcm(aes))", 24),
                                  ("hkdf-sha512", "rfc7539esp(chacha20,poly1305)", 32)):
            root = bytes(eesp_keys.root_key_len(sskdf))
            replace(SA4, sskdf=sskdf, key=root, aead=aead, cipher_key=size)
        with self.assertRaises(TypeError):
            eesp.SA.from_dict({"spi": "1", "key": "", "kye": "", "src": "::1", "dst": "::1"})
        self.assertNotIn("a0a1a2a3", repr(SA4) + repr(SA4.key.hex() in repr(SA4)))

    def test_packets(self):
        """What a sender does not send."""
        short = IN4 + b"\0"
        fragment = iphdr.Header(T4.addresses, 17, frag=0x2000).octets(8) + bytes(8)
        for sa, session, sn, inner in ((SA4, 1, 1, IN4), (SA4, 0, 0, IN4), (SA4, 0, 1 << 64, IN4),
                                       (SUB, 1 << 16, 1, IN4), (SA4, 0, 1, short), (T4, 0, 1, IN4),
                                       (T4, 0, 1, fragment)):
            with self.assertRaises(ValueError):
                eesp.encode(sa, session, sn, inner)

    def test_outer(self):
        """Outer headers that the SA's sender does not write."""
        good = eesp.encode(SA4, 0, 1, IN4)
        for packet in (b"", good[:19], good[:-1], good + b"\0", b"\x46" + good[1:],
                       eesp.wrap(replace(SA4, src="10.0.0.3"), good[20:]),
                       eesp.wrap(replace(SA4, proto=50), good[20:]), eesp.wrap(SA6, good[20:]),
                       eesp.encode(replace(SA4, encap=(4500, 4500)), 0, 1, IN4)):
            with self.assertRaises(errors.BadOuter):
                eesp.decode(SA4, packet)


class Random(unittest.TestCase):
    """A quick number of random packets; eesp_random.py does more."""

    def test_random(self):
        """There and back, and refused."""
        made = eesp_random.run(QUICK, 20)
        self.assertEqual(sum(n for kind, n in made.kinds.items() if kind.startswith("mode")), QUICK)
        for name in ("Replayed", "BadIcv", "BadSpi", "NotEesp", "Truncated", "NoSa"):
            self.assertGreater(made.errors[name], 0, name)


if __name__ == "__main__":
    unittest.main()
