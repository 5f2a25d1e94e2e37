#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Tests of formats, trailers and algorithms: published vectors, the kernel's own, and
every combination there and back."""

import functools
import itertools
import os
import random
import re
import subprocess
import unittest
from collections import Counter
from dataclasses import replace

import check_capture
import ciphers
import esp64
import inject
import outer
import receiver
import trailer

SOURCE = "/usr/src/linux-source-6.1.tar.xz"
LENGTHS = tuple(f"{of}len" for of in "kpac")
TESTMGR = "linux-source-6.1/crypto/testmgr.h"

UDP4 = "udp:10.1.0.1:1000:10.2.0.1:2000:33"
UDP6 = "udp:[fd01::1]:1000:[fd02::1]:2000:33"
ENDS = "192.0.2.1", "192.0.2.2"

# Name: key and salt, ICV, the rest of the words
SUITES = {
    **{f"gcm {n} {icv}": (n + 4, icv, {}) for n, icv in itertools.product((16, 24, 32), (8, 12, 16))},
    **{f"gmac {n}": (n + 4, 16, {"aead": "rfc4543(gcm(aes))"}) for n in (16, 24, 32)},
    **{f"ccm {n} {icv}": (n + 3, icv, {"aead": "rfc4309(ccm(aes))"})
       for n, icv in itertools.product((16, 24, 32), (8, 12, 16))},
    "chacha": (36, 16, {"aead": "rfc7539esp(chacha20,poly1305)"}),
    **{f"{enc} {auth}": (n, icv, {"enc": enc, "auth": auth, "auth_key": bytes(range(1, 1 + size))})
       for (enc, n), (auth, size, icv) in itertools.product(
           (("cbc(aes)", 16), ("rfc3686(ctr(aes))", 20), ("ecb(cipher_null)", 0)),
           (("hmac(sha1)", 20, 12), ("hmac(sha256)", 32, 16), ("hmac(sha384)", 48, 24),
            ("hmac(sha512)", 64, 32), ("xcbc(aes)", 16, 12), ("cmac(aes)", 16, 12)))},
}
FORMATS = ({"format": "esp64", "subspaces": 8}, {"format": "esp", "subspaces": 1},
           {"format": "esp", "subspaces": 1, "esn": True})


def combinations():
    """Every SA in tunnel mode."""
    for (name, (size, icv, words)), of, where in itertools.product(
            SUITES.items(), FORMATS, trailer.TRAILERS):
        sa = esp64.SA(0x100, bytes(range(0x40, 0x40 + size)), icv, *ENDS, trailer=where,
                      **words, **of)
        yield f"{name}, {of}, {where}", sa
        if sa.suite.implicit:
            yield f"{name}, {of}, {where}, implicit", replace(sa, iv="implicit")


# --- the kernel's vectors -----------------------------------------------------


@functools.cache
def testmgr():
    """The kernel's crypto/testmgr.h, of Debian's source package."""
    return subprocess.run(["tar", "--occurrence=1", "-xOf", SOURCE, TESTMGR], check=True,
                          stdout=subprocess.PIPE).stdout.decode()


def unescape(text):
    """The octets of C string literals."""
    body = "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', text))
    return body.encode().decode("unicode_escape").encode("latin-1")


def vectors(name):
    """The test vectors of an array, those that are of good packets."""
    array = re.search(rf"aead_testvec {name}\[\] = \{{\n(.*?)\n\}};", testmgr(), re.S)[1]
    # What depends on the machine's byte order: a key's header, which is of no interest
    array = re.sub(r"#ifdef __LITTLE_ENDIAN\n(.*?)#else\n.*?#endif\n", r"\1", array, flags=re.S)
    array = re.sub(r"/\*.*?\*/", "", array, flags=re.S)
    for one in re.split(r"\n\s*\}, ?\{", array):
        fields = dict(re.findall(r"\.(\w+)\s*=\s*(.*?)(?=,\s*\.\w+\s*=|,?\s*$)", one.strip(" \t\n{},"), re.S))
        number = {k: int(fields.get(k, "0").replace(" ", "").split("+")[0], 0)
                  if "+" not in fields.get(k, "0") else sum(map(int, fields[k].split("+")))
                  for k in LENGTHS}
        if "novrfy" in fields or "setkey_error" in fields or "setauthsize_error" in fields:
            continue
        octets = {k: bytes(64) if fields.get(k) == "zeroed_string" else unescape(fields.get(k, ""))
                  for k in ("key", "iv", "ptext", "assoc", "ctext")}
        yield {"key": octets["key"][: number["klen"]], "iv": octets["iv"],
               "plain": octets["ptext"][: number["plen"]],
               "assoc": octets["assoc"][: number["alen"]],
               "sealed": octets["ctext"][: number[LENGTHS[3]]]}


class Kernel(unittest.TestCase):
    """crypto/testmgr.h. There the IV is the end of the AAD, once more."""

    def check(self, name, make, iv_len, least):
        """make: the suite, from a vector"""
        count = 0
        for v in vectors(name):
            with self.subTest(array=name, key=v["key"].hex(), plain=v["plain"].hex()[:40]):
                iv = v["iv"][:iv_len]
                head = v["assoc"][: len(v["assoc"]) - iv_len]
                suite = make(v)
                around = ciphers.Around(head, head, b"")
                self.assertEqual(suite.seal(around, iv, v["plain"]), v["sealed"])
                self.assertEqual(suite.open(around, iv, v["sealed"]), v["plain"])
                count += 1
        self.assertGreaterEqual(count, least, name)

    def test_aeads(self):
        """rfc4106, rfc4543, rfc4309, rfc7539esp"""
        def of(name):
            return lambda v: ciphers.suite(v["key"], len(v["sealed"]) - len(v["plain"]), name)

        self.check("aes_gcm_rfc4106_tv_template", of("rfc4106(gcm(aes))"), 8, 20)
        self.check("aes_gcm_rfc4543_tv_template", of("rfc4543(gcm(aes))"), 8, 1)
        self.check("aes_ccm_rfc4309_tv_template", of("rfc4309(ccm(aes))"), 8, 15)
        self.check("rfc7539esp_tv_template", of("rfc7539esp(chacha20,poly1305)"), 8, 1)

    def test_pairs(self):
        """authenc: struct rtattr and the cipher's part of the key, then both keys"""
        def of(enc, auth):
            def make(v):
                rest, size = v["key"][8:], int.from_bytes(v["key"][4:8], "big")
                at = len(rest) - size
                return ciphers.suite(rest[at:], len(v["sealed"]) - len(v["plain"]), None, enc,
                                     auth, rest[:at])
            return make

        for auth in ("sha1", "sha256", "sha512"):
            self.check(f"hmac_{auth}_aes_cbc_tv_temp", of("cbc(aes)", f"hmac({auth})"), 16, 3)
        self.check("hmac_sha1_ecb_cipher_null_tv_temp", of("ecb(cipher_null)", "hmac(sha1)"), 0, 1)


# --- published ----------------------------------------------------------------


class Published(unittest.TestCase):
    """What RFCs have of whole packets and of parts."""

    def test_rfc7634(self):
        """Appendix A: an ESP packet around an ICMP echo request."""
        key = bytes(range(0x80, 0xA0)) + bytes.fromhex("a0a1a2a3")
        inner = bytes.fromhex(
            "45000054a6f200004001e778c6336405c000020508005b7a3a080000553bec100007362708090a0b"
            "0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f30313233"
            "34353637")
        esp = bytes.fromhex(
            "010203040000000510111213141516172403 9428b97f417e3c13753a4f05087b67c352e6a7fab1b9"
            "82d466ef407ae5c614ee8099d52844eb61aa95dfab4c02f72aa71e7c4c4f64c9befe2facc638e8f3"
            "cbec163fac469b502773f6fb94e664da9165b82829f641e076aaa8266b7fb0f7b11b369907e1ad43")
        sa = esp64.SA(0x01020304, key, 16, *ENDS, subspaces=1, format="esp",
                      aead="rfc7539esp(chacha20,poly1305)")
        iv = bytes.fromhex("1011121314151617")
        plain = esp64.plaintext(sa, inner, 4)
        self.assertEqual(esp64.seal(sa, 0, 5, plain, iv), esp)
        self.assertEqual(esp64.unseal(sa, esp), (0, 5, iv, plain))

    def test_rfc3686(self):
        """Section 6, test vector 1 and 4: the counter block."""
        for key, nonce, iv, plain, sealed in (
            ("ae6852f8121067cc4bf7a5765577f39e", "00000030", "0000000000000000",
             b"Single block msg", "e4095d4fb7a7b3792d6175a3261311b8"),
            ("16af5b145fc9f579c175f93e3bfb0eed863d06ccfdb78515", "00000048",
             "36733c147d6d93cb", b"Single block msg", "4b55384fe259c9c84e7935a003cbe928"),
        ):
            suite = ciphers.Ctr(bytes.fromhex(key + nonce), 12, "hmac(sha1)", b"k")
            got = suite.seal(ciphers.Around(b"", b"", b""), bytes.fromhex(iv), plain)
            self.assertEqual(got[:-12].hex(), sealed)

    def test_rfc3566(self):
        """Section 4.6: AES-XCBC-MAC with all lengths that there are."""
        key = bytes(range(16))
        for size, mac in ((0, "75f0251d528ac01c4573dfd584d79f29"),
                          (3, "5b376580ae2f19afe7219ceef172756f"),
                          (16, "d2a246fa349b68a79998a4394ff7a263"),
                          (20, "47f51b4564966215b8985c63055ed308"),
                          (32, "f54f0ec8d2b9f3d36807734bd5283fd4"),
                          (34, "becbb3bccdb518a30677d5481fb6b4d8")):
            self.assertEqual(ciphers.xcbc(key, bytes(range(size))).hex(), mac)
        self.assertEqual(ciphers.xcbc(key, bytes(1000)).hex(), "f0dafee895db30253761103b5d84528f")

    def test_rfc4493(self):
        """Section 4: AES-CMAC."""
        key = bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c")
        message = bytes.fromhex("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
                                "30c81c46a35ce411")
        for size, mac in ((0, "bb1d6929e95937287fa37d129b756746"),
                          (16, "070a16b46b4d4144f79bdd9dd04a287c"),
                          (40, "dfa66747de9ae63030ca32611497c827")):
            self.assertEqual(ciphers.cmac(key, message[:size]).hex(), mac)

    def test_rfc4868(self):
        """Section 2.7.2, AUTH256-1 and the like: HMAC with a key of the digest's length."""
        for auth, size, icv, mac in (
            ("hmac(sha256)", 32, 16, "198a607eb44bfbc69903a0f1cf2bbdc5"),
            ("hmac(sha384)", 48, 24, "b6a8d5636f5c6a7224f9977dcf7ee6c7fb6d0c48cbdee973"),
            ("hmac(sha512)", 64, 32,
             "637edc6e01dce7e6742a99451aae82df23da3e92439e590e43e761b33e910fb8"),
        ):
            suite = ciphers.Null(b"", icv, auth, b"\x0b" * size)
            around = ciphers.Around(b"", b"", b"")
            self.assertEqual(suite.seal(around, b"", b"Hi There")[8:].hex(), mac)


class Esn(unittest.TestCase):
    """RFC 4303 appendix A."""

    def test_number(self):
        """Against a search for the only number that it can be."""
        for top, window in itertools.product(
                (0, 1, 62, 63, 64, 0xFFFFFFBF, 0xFFFFFFFF, 1 << 32, (1 << 32) + 63,
                 (1 << 32) + 64, 5 << 32, (5 << 32) + 1000000), (64, 1024)):
            for low in (0, 1, 62, 63, 64, 0x80000000, 0xFFFFFFC0, 0xFFFFFFC1, 0xFFFFFFFF,
                        (top + 1) & 0xFFFFFFFF, (top - window) & 0xFFFFFFFF,
                        (top - window + 1) & 0xFFFFFFFF):
                left = top - window + 1
                (only,) = (n for high in range(-1, 8) if left <= (n := high << 32 | low) < left + (1 << 32))
                self.assertEqual(esp64.esn_number(top, window, low), only if only >= 0 else None)

    def test_boundary(self):
        """A walk over 2^32, with what comes late; a wrong half fails."""
        sa = esp64.SA(0x100, bytes(range(20)), 16, *ENDS, **FORMATS[2])
        inner = inject.inner_maker(UDP4)(0, 0)
        r = receiver.Receiver(sa, 64)
        base = (1 << 32) - 5
        r.subspaces[0] = receiver.Subspace(base - 1)
        for sn, want in ((base, "rx-packets"), (base + 6, "rx-packets"), (base + 2, "rx-packets"),
                         (base + 2, "rx-replay"), (base + 70, "rx-packets"), (base + 6, "rx-icv"),
                         (base + 7, "rx-packets"), (base + 7 + (1 << 32), "rx-replay"),
                         (base + 71 + (1 << 32), "rx-icv")):
            esp = esp64.unwrap(sa, esp64.encode(sa, 0, sn, inner))
            self.assertEqual(r.judge(esp).counter, want, sn - base)


class Everything(unittest.TestCase):
    """All that can be combined."""

    def test_round(self):
        """There and back, both families inside."""
        for name, sa in combinations():
            with self.subTest(sa=name):
                for inner in (inject.inner_maker(UDP4), inject.inner_maker(UDP6)):
                    packet = esp64.encode(sa, 0, 3, inner(0, 3))
                    got = esp64.decode(sa, packet)
                    self.assertEqual((got.subspace, got.sn, got.inner), (0, 3, inner(0, 3)))
                    esp = esp64.unwrap(sa, packet)
                    self.assertEqual((len(esp) - sa.header_len - sa.iv_len - sa.icv) % sa.align, 0)
                    verdict = receiver.Receiver(sa, 64).judge(esp)
                    self.assertEqual(verdict.counter, "rx-packets")
                    # Any octet of it
                    for at in (4, sa.header_len, len(esp) // 2, len(esp) - 1):
                        flipped = bytearray(esp)
                        flipped[at] ^= 1
                        verdict = receiver.Receiver(replace(sa, subspaces=sa.subspaces), 64)
                        self.assertIn(verdict.judge(bytes(flipped)).counter,
                                      ("rx-icv", "rx-subspace", "rx-too-old"))

    def test_malformed(self):
        """Trailers, by their rules."""
        # 60 octets
        payload = inject.inner_maker(UDP4[:-2] + "32")(0, 1)
        for where, plain, want in (
            ("front", bytes((0x0F, 0xFF, 4, 0)) + payload, "rx-packets"),
            ("front", bytes((0x10, 0, 4, 0)) + payload, "rx-trailer"),
            ("front", payload, "rx-trailer"),
            ("front", bytes((0, 0, 4, 1)), "rx-trailer"),
            ("front", bytes((0, 0, 59, 0)), "rx-dummy"),
            ("front", bytes((0, 0, 6, 0)) + payload, "rx-next-header"),
            ("omit", payload, "rx-packets"),
            ("omit", payload + bytes(252), "rx-packets"),
            ("omit", payload[:3] + b"\x39" + payload[4:] + bytes(252), "rx-packets"),
            ("omit", payload[:3] + b"\x38" + payload[4:] + bytes(252), "rx-trailer"),
            ("omit", payload + bytes(256), "rx-trailer"),
            ("omit", payload[:-4], "rx-trailer"),
            ("omit", b"\0" + payload[1:], "rx-next-header"),
            ("omit", b"\x45\0\0\x04", "rx-inner"),
            ("omit", b"\x60\0\0\0", "rx-trailer"),
            ("end", bytes((0, 0, 2, 4)), "rx-inner"),
            ("end", bytes((0, 0, 3, 4)), "rx-trailer"),
        ):
            sa = esp64.SA(0x100, bytes(range(20)), 16, *ENDS, trailer=where)
            esp = esp64.seal(sa, 0, 1, plain)
            with self.subTest(where=where, plain=plain.hex()):
                self.assertEqual(receiver.Receiver(sa, 64).judge(esp).counter, want)

    def misplaced(self, sa, count, where, there):
        """What a receiver with its trailer there makes of a sender's with it elsewhere: the
        counters, and how many of its packets are what was sent."""
        rng = random.Random(4303)
        counters, same = Counter(), 0
        ends = sa.inner or (("10.1.0.1", "10.2.0.1") if sa.mode == "tunnel" else ENDS)
        sender, end = replace(sa, trailer=where), receiver.Receiver(replace(sa, trailer=there), 64)
        for _ in range(count):
            ports = rng.randrange(1, 1 << 16), rng.randrange(1, 1 << 16)
            inner = inject.udp_packet(ends[0], ports[0], ends[1], ports[1],
                                      rng.randbytes(rng.randrange(64)))
            head, next_header, payload = esp64.enter(sa, inner)
            verdict = end.judge_plain(esp64.plaintext(sender, payload, next_header), head)
            counters[verdict.counter] += 1
            same += verdict.inner == inner
        return dict(counters), same

    def test_misplaced(self):
        """The table in Documentation/wire-formats.rst."""
        tunnel = esp64.SA(0x100, bytes(range(20)), 16, *ENDS)
        said = functools.partial(self.misplaced, tunnel, 3000)
        for pair in (("end", "front"), ("omit", "front")):
            self.assertEqual(said(*pair), ({"rx-trailer": 3000}, 0))
        self.assertEqual(said("end", "omit"), ({"rx-packets": 3000}, 3000))
        self.assertEqual(said("front", "omit"), ({"rx-next-header": 3000}, 0))
        for pair in (("front", "end"), ("omit", "end")):
            counters, same = said(*pair)
            self.assertEqual(same, 0)
            for name in ("rx-next-header", "rx-trailer"):
                self.assertGreater(counters.pop(name), 900)
            # Whatever a packet ends with
            self.assertLess(sum(counters.values()), 30)
        for sa in (replace(tunnel, mode="transport"),
                   replace(tunnel, mode="beet", inner=("10.1.0.1", "10.2.0.1")),
                   replace(tunnel, mode="beet", inner=("fd01::1", "fd02::1"))):
            counters, same = self.misplaced(sa, 3000, "end", "front")
            self.assertEqual(same, 0)
            self.assertGreater(counters["rx-trailer"], 2900)
            self.assertGreater(counters["rx-packets"], 10)
            counters, same = self.misplaced(sa, 3000, "front", "end")
            self.assertEqual(same, 0)
            self.assertGreater(counters["rx-trailer"], 1000)
            self.assertGreater(counters["rx-packets"], 1500)

    def test_other_mode(self):
        """What is said of modes, below the table."""
        tunnel = esp64.SA(0x100, bytes(range(20)), 16, *ENDS)
        others = (replace(tunnel, mode="transport"),
                  replace(tunnel, mode="beet", inner=("10.1.0.1", "10.2.0.1")))
        for sa in others:
            ends = sa.inner or ENDS
            inner = inject.udp_packet(ends[0], 1, ends[1], 2, bytes(30))
            head, next_header, payload = esp64.enter(sa, inner)
            plain = esp64.plaintext(sa, payload, next_header)
            self.assertEqual(receiver.Receiver(tunnel, 64).judge_plain(plain, head).counter,
                             "rx-next-header")
            head, next_header, payload = esp64.enter(tunnel, inner)
            plain = esp64.plaintext(tunnel, payload, next_header)
            verdict = receiver.Receiver(sa, 64).judge_plain(plain, head)
            self.assertEqual((verdict.counter, verdict.inner[9], verdict.inner[20:]),
                             ("rx-packets", 4, inner))

    def test_misplaced_exactly(self):
        """What the table says of packets of one kind."""
        for where, there, plain, want in (
            # Padding and trailer that are too much padding, and a dummy packet
            ("end", "omit", bytes((0x45, 0, 0, 20)) + bytes(16 + 254) + b"\xfe\x04", "rx-trailer"),
            ("end", "omit", bytes(22) + b"\0\x3b", "rx-next-header"),
            # An IPv4 packet that ends with 0, 4; 0, 41; 0, 59
            ("omit", "end", b"\x45\0\0\x18" + bytes(18) + b"\0\x04", "rx-packets"),
            ("omit", "end", b"\x45\0\0\x18" + bytes(18) + b"\0\x29", "rx-inner"),
            ("omit", "end", b"\x45\0\0\x18" + bytes(18) + b"\0\x3b", "rx-dummy"),
            ("front", "end", b"\0\0\x04\0\x45\0\0\x18" + bytes(18) + b"\0\x04", "rx-inner"),
        ):
            end = receiver.Receiver(
                esp64.SA(0x100, bytes(range(20)), 16, *ENDS, trailer=there), 64)
            with self.subTest(where=where, there=there, plain=plain.hex()):
                self.assertEqual(end.judge_plain(plain).counter, want)

    def test_tfc(self):
        """TFC padding up to what the SA says, of zeros."""
        inner = inject.inner_maker(UDP4)(0, 1)
        for where in ("end", "front"):
            sa = esp64.SA(0x100, bytes(range(20)), 16, *ENDS, trailer=where, tfcpad=100)
            for more, error in ((b"", None), (bytes(100 - len(inner)), None),
                                (bytes(101 - len(inner)), esp64.BadInner),
                                (b"\1", esp64.BadPadding)):
                plain = esp64.plaintext(sa, inner + more, 4)
                packet = esp64.enclose(sa, 0, 1, plain)
                if error:
                    self.assertRaises(error, esp64.decode, sa, packet)
                else:
                    self.assertEqual(esp64.decode(sa, packet).inner, inner)

    def test_foreseen(self):
        """CBC's IV is no counter's."""
        sa = esp64.SA(0x100, bytes(16), 16, *ENDS, enc="cbc(aes)", auth="hmac(sha256)",
                      auth_key=bytes(32))
        inner = inject.inner_maker(UDP4)
        for make, good in ((lambda sn: None, True),
                           (lambda sn: sn.to_bytes(16, "big"), False),
                           (lambda sn: os.urandom(8) + sn.to_bytes(8, "big"), False)):
            judge = check_capture.Judge(sa, 1, True, True)
            for sn in range(1, 41):
                packet = esp64.encode(sa, 0, sn, inner(0, sn), iv=make(sn))
                head = outer.tunnel_head(sa, inner(0, sn))._replace(ident=sn).octets(0)
                packet = esp64.wrap(sa, esp64.unwrap(sa, packet), head)
                self.assertEqual(list(judge.packet(packet)), [])
            self.assertEqual(not list(judge.end(1, 1)), good)

    def test_refused(self):
        """What does not go together."""
        good = esp64.SA(0x100, bytes(range(20)), 16, *ENDS, subspaces=1)
        for words in ({"format": "eesp"}, {"trailer": "none"}, {"iv": "none"}, {"esn": True},
                      {"format": "esp", "subspaces": 2}, {"icv": 10}, {"key": bytes(21)},
                      {"trailer": "omit", "mode": "transport"},
                      {"iv": "implicit", "aead": "rfc4543(gcm(aes))"},
                      {"iv": "implicit", "enc": "cbc(aes)", "auth": "hmac(sha1)", "key": bytes(16)}):
            with self.subTest(words=words):
                self.assertRaises(ValueError, replace, good, **words)


if __name__ == "__main__":
    unittest.main()
