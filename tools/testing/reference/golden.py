#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Golden esp64 packets, by a second route.

Nothing here uses esp64.py, nor a GCM from a library: counter mode and GHASH
are spelled out below (NIST SP 800-38D), only the AES block comes from outside.
What this prints is committed: golden/golden.json (whole packets, compared with
esp64.py by the tests), golden/modes.json (the same for transport, BEET and UDP,
and BEET's pseudo headers) and ../kunit/golden.h (what the module's header builder,
header parser, nonce and pseudo headers must give).

    golden.py --json  >golden/golden.json
    golden.py --modes >golden/modes.json
    golden.py --c     >../kunit/golden.h
"""

import argparse
import json
import struct
import sys

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

import golden_beet

KEYS = (
    bytes(range(0x10, 0x20)),
    bytes(range(0x20, 0x38)),
    bytes(range(0x40, 0x60)),
)
SALTS = (b"\xca\xfe\xba\xbe", b"\x00\x00\x00\x00", b"\xff\xfe\xfd\xfc")
ICVS = (8, 12, 16)

# 192.0.2.1 > 192.0.2.2, 2001:db8::1 > 2001:db8::2
V4 = bytes.fromhex("c0000201" "c0000202")
V6 = bytes.fromhex("20010db8" + "0" * 23 + "1" "20010db8" + "0" * 23 + "2")
V4_TEXT = ("192.0.2.1", "192.0.2.2")
V6_TEXT = ("2001:db8::1", "2001:db8::2")

# UDP 10.1.0.1:1000 > 10.2.0.1:2000 and fd01::1 > fd02::1, N octets of payload.
# The checksum is left at 0: nobody here looks at it.
INNER4 = "45000000" "00000000" "40110000" "0a010001" "0a020001"
INNER6 = "60000000" "00001140" "fd01" + "0" * 27 + "1" "fd02" + "0" * 27 + "1"

# SPI, Subspace ID, SN: the ends of every field, and where a carry would show
NUMBERS = (
    (0x00000100, 0x0000, 0x000000000001),
    (0x00000101, 0x0001, 0x000000000001),
    (0x7FFFFFFF, 0x0007, 0x0000FFFFFFFF),
    (0x80000000, 0x0007, 0x000100000000),
    (0xFFFFFFFF, 0xFFFF, 0xFFFFFFFFFFFF),
    (0x12345678, 0x9ABC, 0xDEF012345678),
    (0x00000100, 0x8000, 0x7FFFFFFFFFFF),
    (0x00000100, 0x7FFF, 0x800000000000),
    (0x00010000, 0x0100, 0x00000000FFFF),
    (0x00010001, 0x00FF, 0x000000010000),
    (0xDEADBEEF, 0xFFFF, 0x000000000001),
    (0xDEADBEEF, 0x0000, 0xFFFFFFFFFFFF),
)


def gf_mult(x, y):
    """SP 800-38D 6.3, bit 0 of a block being its leftmost."""
    z = 0
    for i in range(127, -1, -1):
        if y >> i & 1:
            z ^= x
        x = x >> 1 ^ (0xE1 << 120 if x & 1 else 0)
    return z


def gcm(key, nonce, aad, plain):
    """Ciphertext and 16-octet tag, for a 12-octet nonce."""
    aes = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
    h = int.from_bytes(aes.update(bytes(16)), "big")
    sealed = b""
    for i in range(0, len(plain), 16):
        stream = aes.update(nonce + struct.pack("!I", 2 + i // 16))
        sealed += bytes(a ^ b for a, b in zip(plain[i : i + 16], stream))
    blocks = aad + bytes(-len(aad) % 16) + sealed + bytes(-len(sealed) % 16)
    blocks += struct.pack("!QQ", 8 * len(aad), 8 * len(sealed))
    s = 0
    for i in range(0, len(blocks), 16):
        s = gf_mult(s ^ int.from_bytes(blocks[i : i + 16], "big"), h)
    mask = aes.update(nonce + b"\0\0\0\1")
    return sealed, bytes(a ^ b for a, b in zip(s.to_bytes(16, "big"), mask))


def ones_complement(header):
    """RFC 1071, word by word."""
    total = sum(struct.unpack(f"!{len(header) // 2}H", header))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def inner_packet(version, payload):
    """A UDP packet of the inner family with its lengths filled in."""
    udp = struct.pack("!HHHH", 1000, 2000, 8 + payload, 0)
    udp += bytes(i & 0xFF for i in range(payload))
    ip = bytearray.fromhex(INNER4 if version == 4 else INNER6)
    if version == 4:
        ip[2:4] = struct.pack("!H", 20 + len(udp))
        ip[10:12] = struct.pack("!H", ones_complement(bytes(ip)))
    else:
        ip[4:6] = struct.pack("!H", len(udp))
    return bytes(ip) + udp


def packets():
    """One packet for every combination of families and ICV length."""
    made = []
    for i, (outer, inner) in enumerate(((4, 4), (4, 6), (6, 4), (6, 6))):
        for j, icv in enumerate(ICVS):
            spi, subspace, sn = NUMBERS[3 * i + j]
            key, salt = KEYS[(i + j) % 3], SALTS[(i + j) % 3]
            carried = inner_packet(inner, 3 * i + j)

            header = struct.pack("!I", spi) + struct.pack("!H", subspace)
            header += struct.pack("!HI", sn >> 32, sn & 0xFFFFFFFF)
            iv = header[4:12]
            plain = carried
            while len(plain) % 4 != 2:
                plain += bytes((len(plain) - len(carried) + 1,))
            plain += bytes((len(plain) - len(carried), 4 if inner == 4 else 41))
            sealed, tag = gcm(key, salt + iv, header, plain)
            esp = header + iv + sealed + tag[:icv]

            if outer == 4:
                ip = bytearray.fromhex("45000000" "00004000" "40320000") + V4
                ip[2:4] = struct.pack("!H", 20 + len(esp))
                ip[10:12] = struct.pack("!H", ones_complement(bytes(ip)))
            else:
                ip = bytes.fromhex("60000000") + struct.pack("!H", len(esp))
                ip += bytes.fromhex("3240") + V6
            src, dst = V4_TEXT if outer == 4 else V6_TEXT
            made.append({
                "name": f"v{inner} in v{outer}, AES-{8 * len(key)}, ICV {icv}",
                "sa": {
                    "spi": f"{spi:#010x}",
                    "key": "0x" + (key + salt).hex(),
                    "icv": 8 * icv,
                    "src": src,
                    "dst": dst,
                },
                "subspace": subspace,
                "sn": sn,
                "header": header.hex(),
                "iv": iv.hex(),
                "salt": salt.hex(),
                "nonce": (salt + iv).hex(),
                "aad": header.hex(),
                "inner": carried.hex(),
                "plain": plain.hex(),
                "packet": (bytes(ip) + esp).hex(),
            })
    return made


# Transport, BEET and UDP. In the texts LLLL is a length and SSSS a checksum, to be
# filled in.
UDP = "03e807d000130000" "68656c6c6f20776f726c64"
DATA = bytes(range(0xA0, 0xB0)).hex()
T4, T6 = V4.hex(), V6.hex()
I4 = "0a010001" "0a020001"
I6 = "fd01" + "0" * 27 + "1" "fd02" + "0" * 27 + "1"
I4_TEXT, I6_TEXT = ("10.1.0.1", "10.2.0.1"), ("fd01::1", "fd02::1")
OPTS = "94040000" "01010101"
DST = "11000104" "00000000"
HOP = "05020000" "0100"

# Name; what the SA has besides; outer addresses; inner header, Next Header, pseudo
# header (None: the whole inner packet is sent), what is behind these; outer header;
# the inner header that is delivered, if it is another
MODES = (
    ("transport, v4", {"mode": "transport"}, V4_TEXT,
     "452eLLLL 12340000 3b11SSSS" + T4, 17, "", UDP,
     "452eLLLL 12340000 3b32SSSS" + T4, None),
    ("transport, v4 with options", {"mode": "transport"}, V4_TEXT,
     "472eLLLL 12344000 3b11SSSS" + T4 + OPTS, 17, "", UDP,
     "472eLLLL 12344000 3b32SSSS" + T4 + OPTS, None),
    ("transport, v6", {"mode": "transport"}, V6_TEXT,
     "62e54321 LLLL113b" + T6, 17, "", UDP,
     "62e54321 LLLL323b" + T6, None),
    ("transport, v6 with hop-by-hop options", {"mode": "transport"}, V6_TEXT,
     "62e54321 LLLL003b" + T6 + "1100" + HOP, 17, "", UDP,
     "62e54321 LLLL003b" + T6 + "3200" + HOP, None),
    ("transport, v6 with destination options behind a routing header",
     {"mode": "transport"}, V6_TEXT,
     "60000000 LLLL2b40" + T6 + "3c00fd0000000000", 60, "", DST + UDP,
     "60000000 LLLL2b40" + T6 + "3200fd0000000000", None),
    ("beet, v4 in v4", {"mode": "beet", "inner": I4_TEXT}, V4_TEXT,
     "452eLLLL 12340000 3b11SSSS" + I4, 17, "", UDP,
     "452eLLLL 12340000 3b32SSSS" + T4, None),
    ("beet, v4 with options in v4", {"mode": "beet", "inner": I4_TEXT}, V4_TEXT,
     "472eLLLL 12344000 3b11SSSS" + I4 + OPTS, 94, "11010400 01010101" + OPTS, UDP,
     "452eLLLL 12344000 3b32SSSS" + T4, None),
    ("beet, v4 in v6", {"mode": "beet", "inner": I4_TEXT}, V6_TEXT,
     "452eLLLL 12340000 3b11SSSS" + I4, 17, "", UDP,
     "62e00000 LLLL323b" + T6, "452eLLLL 00004000 3b11SSSS" + I4),
    ("beet, v4 with options in v6", {"mode": "beet", "inner": I4_TEXT}, V6_TEXT,
     "462eLLLL 00004000 3b11SSSS" + I4 + "94040000", 94, "11000000 94040000", UDP,
     "62e00000 LLLL323b" + T6, None),
    ("beet, v6 in v4", {"mode": "beet", "inner": I6_TEXT}, V4_TEXT,
     "62e54321 LLLL113b" + I6, 17, "", UDP,
     "452eLLLL 00004000 3b32SSSS" + T4, "62e00000 LLLL113b" + I6),
    ("beet, v6 with extension headers in v4", {"mode": "beet", "inner": I6_TEXT}, V4_TEXT,
     "62e00000 LLLL003b" + I6, 0, "", "3c00" + HOP + DST + UDP,
     "452eLLLL 00004000 3b32SSSS" + T4, None),
    ("beet, v6 in v6", {"mode": "beet", "inner": I6_TEXT}, V6_TEXT,
     "6ff54321 LLLL1101" + I6, 17, "", UDP,
     "6ff54321 LLLL3201" + T6, None),
    ("beet, v6 with extension headers in v6", {"mode": "beet", "inner": I6_TEXT}, V6_TEXT,
     "62e54321 LLLL003b" + I6, 0, "", "3c00" + HOP + DST + UDP,
     "62e54321 LLLL323b" + T6, None),
    ("beet, first fragment in v4",
     {"mode": "beet", "inner": I4_TEXT, "beet_frag": True}, V4_TEXT,
     "4500LLLL beef2000 4011SSSS" + I4, 94, "11000240 20000000", DATA,
     "4500LLLL beef0000 4032SSSS" + T4, None),
    ("beet, last fragment with options and DF in v4",
     {"mode": "beet", "inner": I4_TEXT, "beet_frag": True}, V4_TEXT,
     "4700LLLL beef4002 4011SSSS" + I4 + OPTS, 94, "11010280 40020000" + OPTS, DATA[:10],
     "4500LLLL beef4000 4032SSSS" + T4, None),
    ("beet, first fragment with options in v6",
     {"mode": "beet", "inner": I4_TEXT, "beet_frag": True}, V6_TEXT,
     "4600LLLL beef2000 4011SSSS" + I4 + "94040000", 94,
     "11010680 20000000 00000000 94040000", DATA,
     "6000beef LLLL3240" + T6, None),
    ("beet, last fragment in v6",
     {"mode": "beet", "inner": I4_TEXT, "beet_frag": True}, V6_TEXT,
     "4500LLLL beef0002 4011SSSS" + I4, 94, "11000240 00020000", DATA[:10],
     "6000beef LLLL3240" + T6, None),
    ("tunnel, UDP over v4", {"encap": [4500, 4501]}, V4_TEXT,
     "4500LLLL 00000000 4011SSSS" + I4, 4, None, UDP,
     "4500LLLL 00004000 4011SSSS" + T4, None),
    ("tunnel, UDP over v6", {"encap": [4500, 4501]}, V6_TEXT,
     "60000000 LLLL1140" + I6, 41, None, UDP,
     "60000000 LLLL1140" + T6, None),
    ("transport, UDP over v4", {"mode": "transport", "encap": [4500, 4500]}, V4_TEXT,
     "472eLLLL 12344000 3b06SSSS" + T4 + OPTS, 6, "", DATA,
     "472eLLLL 12344000 3b11SSSS" + T4 + OPTS, None),
    ("beet, UDP over v6", {"mode": "beet", "inner": I4_TEXT, "encap": [1, 65535]}, V6_TEXT,
     "4500LLLL 00004000 4011SSSS" + I4, 17, "", UDP,
     "60000000 LLLL1140" + T6, None),
)


def filled(header, body):
    """A header's octets with length and checksum, and the body behind it."""
    v4, size = header[0] == "4", len(header.replace(" ", "")) // 2
    text = header.replace("LLLL", f"{len(body) + (size if v4 else size - 40):04x}")
    if v4:
        check = ones_complement(bytes.fromhex(text.replace("SSSS", "0000")))
        text = text.replace("SSSS", f"{check:04x}")
    return bytes.fromhex(text) + body


def mode_packets():
    """The packets of MODES."""
    made = []
    for i, row in enumerate(MODES):
        name, sa, addresses, inner, next_header, pseudo, payload, outer, delivered = row
        spi, subspace, sn = NUMBERS[i % len(NUMBERS)]
        key, salt, icv = KEYS[i % 3], SALTS[i % 3], ICVS[i // 3 % 3]
        body = bytes.fromhex(payload)
        sent = filled(inner, body)
        plain = sent if pseudo is None else bytes.fromhex(pseudo) + body
        for pad in range(4):
            if (len(plain) + pad + 2) % 4 == 0:
                break
        plain += bytes((1, 2, 3)[:pad]) + bytes((pad, next_header))
        header = struct.pack("!IHHI", spi, subspace, sn >> 32, sn & 0xFFFFFFFF)
        sealed, tag = gcm(key, salt + header[4:], header, plain)
        esp = header + header[4:] + sealed + tag[:icv]
        if "encap" in sa:
            udp = struct.pack("!HHH", *sa["encap"], 8 + len(esp))
            check = 0
            if outer[0] == "6":
                pseudo = V6 + struct.pack("!IBBBB", 8 + len(esp), 0, 0, 0, 17)
                check = ones_complement(pseudo + udp + b"\0\0" + esp) or 0xFFFF
            esp = udp + struct.pack("!H", check) + esp
        made.append({
            "name": name,
            "sa": {"spi": f"{spi:#010x}", "key": "0x" + (key + salt).hex(),
                   "icv": 8 * icv, "src": addresses[0], "dst": addresses[1]}
                  | {k: list(v) if isinstance(v, tuple) else v for k, v in sa.items()},
            "subspace": subspace,
            "sn": sn,
            "next_header": next_header,
            "inner": sent.hex(),
            "plain": plain.hex(),
            "packet": filled(outer, esp).hex(),
            "delivered": (filled(delivered, body) if delivered else sent).hex(),
        })
    return made


C_HEAD = """\
/* SPDX-License-Identifier: GPL-2.0-only */
/* Printed by tools/testing/reference/golden.py --c; change it there. */
#ifndef XFRM_EXT_KUNIT_GOLDEN_H
#define XFRM_EXT_KUNIT_GOLDEN_H

#include <linux/types.h>

struct xfrm_ext_golden {
	const char *name;
	u32 spi;
	u16 subspace;
	u64 sn;
	u8 salt[4];
	u8 header[12];
	u8 iv[8];
	u8 nonce[12];
	u8 aad[12];
};

static const struct xfrm_ext_golden xfrm_ext_golden[] = {
"""
C_TAIL = """
#endif /* XFRM_EXT_KUNIT_GOLDEN_H */
"""


def c_bytes(name, octets):
    """One initializer, in lines of eight octets."""
    words = [f"0x{o:02x}," for o in bytes.fromhex(octets)]
    if len(words) <= 4:
        return f"\t\t.{name} = {{ {' '.join(words)[:-1]} }},\n"
    lines = [" ".join(words[i : i + 8]) for i in range(0, len(words), 8)]
    return f"\t\t.{name} = {{\n\t\t\t" + "\n\t\t\t".join(lines) + "\n\t\t},\n"


def c_header():
    """golden.h."""
    text = C_HEAD
    for p in packets():
        text += "\t{\n"
        text += f"\t\t.name = \"{p['name']}\",\n"
        text += f"\t\t.spi = {p['sa']['spi']},\n"
        text += f"\t\t.subspace = 0x{p['subspace']:04x},\n"
        text += f"\t\t.sn = 0x{p['sn']:012x}ULL,\n"
        for name in ("salt", "header", "iv", "nonce", "aad"):
            text += c_bytes(name, p[name])
        text += "\t},\n"
    return text + "};\n" + golden_beet.c_table() + C_TAIL


def modes_json():
    """modes.json, with a pseudo header a line."""
    lines = [json.dumps(p) for p in golden_beet.pseudo_headers()]
    text = json.dumps({"pseudo_headers": [], "packets": mode_packets()}, indent=1)
    return text.replace("[]", "[\n  " + ",\n  ".join(lines) + "\n ]", 1) + "\n"


def main():
    """Print one of the files."""
    p = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    what = p.add_mutually_exclusive_group(required=True)
    what.add_argument("--json", action="store_true", help="print golden.json")
    what.add_argument("--modes", action="store_true", help="print modes.json")
    what.add_argument("--c", action="store_true", help="print golden.h")
    args = p.parse_args()
    if args.c:
        sys.stdout.write(c_header())
    elif args.modes:
        sys.stdout.write(modes_json())
    else:
        print(json.dumps(packets(), indent=1))


if __name__ == "__main__":
    main()
