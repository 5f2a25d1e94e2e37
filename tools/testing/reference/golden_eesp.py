#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Golden EESP packets, by a second route.

Nothing here uses eesp.py. Headers, options, Payload Info Headers and padding are written out by
hand from the draft's figures, nothing of them being computed; ciphers and key derivation are
those of golden.py and golden_ciphers.py. What this prints is committed.

    golden_eesp.py >golden/eesp.json
    golden_eesp.py --c >../kunit/golden_eesp.h
"""

import json
import struct
import sys

import golden_ciphers
from golden import (I4, I4_TEXT, I6, I6_TEXT, T4, T6, V4_TEXT, V6, V6_TEXT, filled, gcm,
                    ones_complement)

KEY = bytes(range(0x40, 0x60))
SALT = bytes.fromhex("a0a1a2a3")
ROOT = bytes(range(0x80, 0xC0))
AEADS = {
    "gcm": "rfc4106(gcm(aes))",
    "gmac": "rfc4543(gcm(aes))",
    "ccm": "rfc4309(ccm(aes))",
    "chacha": "rfc7539esp(chacha20,poly1305)",
}

# Bodies of UDP, which pad by 0, 1, 2 and 3 octets behind a PIH or an IPv4 header
B0 = "03e807d0 00080000"
B1 = "03e807d0 00130000" "68656c6c6f20776f726c64"
B2 = "03e807d0 000a0000" "abcd"
B3 = "03e807d0 00090000" "ab"
OPTS = "94040000" "01010101"
DST = "11000104" "00000000"

IN4 = "4500LLLL 00000000 4011SSSS" + I4
IN6 = "60000000 LLLL1140" + I6
TR4 = "452eLLLL 12340000 3b11SSSS" + T4
TR6 = "62e54321 LLLL113b" + T6
OUT4 = "4500LLLL 00004000 40fdSSSS" + T4
OUT6 = "60000000 LLLLfd40" + T6
TUN4, TUN6 = (V4_TEXT, OUT4), (V6_TEXT, OUT6)
TRA4 = V4_TEXT, "452eLLLL 12340000 3bfdSSSS" + T4
TRA6 = V6_TEXT, "62e54321 LLLLfd3b" + T6

# Name; algorithm and octets of key; outer addresses and header; what the SA has besides;
# inner header and body; EESP header, with the Session ID in octets 2 and 3 and SPI in 4 to 7; what
# stands before the body in P, "ip" being the inner header, and the padding; octets of P in clear
ROWS = (
    ("tunnel, v4 in v4", "gcm16", TUN4, {}, IN4, B1,
     "80000000 11223344  0000000000000001 0000000000000001", "ip", "00", 0),
    ("tunnel, v6 in v4, implicit IV", "gcm32", TUN4, {"iv": "implicit"}, IN6, B3,
     "80000000 00000100  0000000100000000", "ip", "000000", 0),
    ("tunnel, v4 in v6, Sub SA 0", "gcm16", TUN6, {"sskdf": "hkdf-sha256"}, IN4, B2,
     "80000000 fffffffe  00000000ffffffff 00000000ffffffff", "ip", "0000", 0),
    ("tunnel, v6 in v6, Sub SA 0x1234", "gcm24", TUN6, {"sskdf": "hkdf-sha384"}, IN6, B0,
     "80001234 00000101  0000000000000007 0000000000000007", "ip", "", 0),
    ("tunnel, no SN", "gcm16", TUN4, {"sn": "none"}, IN4, B0,
     "80000000 80000000  0000000000000001", "ip", "", 0),
    ("tunnel, no SN, Sub SA 0xffff", "chacha32", TUN4,
     {"sn": "none", "sskdf": "hkdf-sha512"}, IN6, B1,
     "8000ffff 80000001  0000000000000203", "ip", "00", 0),
    ("tunnel, ChaCha20-Poly1305", "chacha32", TUN6, {}, IN4, B3,
     "80000000 7fffffff  ffffffffffffffff ffffffffffffffff", "ip", "000000", 0),
    ("tunnel, ChaCha20-Poly1305, implicit IV, Sub SA 1", "chacha32", TUN6,
     {"iv": "implicit", "sskdf": "hkdf-sha256"}, IN6, B2,
     "80000001 7fffffff  0102030405060708", "ip", "0000", 0),
    ("tunnel, AES-CCM", "ccm16", TUN4, {}, IN4, B1,
     "80000000 00000200  0000000000000002 0000000000000002", "ip", "00", 0),
    ("tunnel, AES-CCM, Sub SA 3, ICV 8", "ccm32", TUN4,
     {"sskdf": "hkdf-sha512", "icv": 64, "iv": "implicit"}, IN6, B1,
     "80000003 00000201  0000000000000002", "ip", "00", 0),
    ("tunnel, ICV 12", "gcm32", TUN4, {"icv": 96}, IN4, B0,
     "80000000 00000202  0000000000000003 0000000000000003", "ip", "", 0),
    ("transport, v4", "gcm16", TRA4, {"mode": "transport"}, TR4, B1,
     "80000000 00000300  0000000000000001 0000000000000001", "00001101", "00", 0),
    ("transport, v4, implicit IV", "gcm16", TRA4, {"mode": "transport", "iv": "implicit"}, TR4, B2,
     "80000000 00000301  0000000000000001", "00001102", "0000", 0),
    ("transport, v6", "gcm16", TRA6, {"mode": "transport"}, TR6, B1,
     "80040000 00000302  01020000  0000000000000001 0000000000000001", "00001101", "00", 0),
    ("transport, v6, implicit IV", "gcm32", TRA6, {"mode": "transport", "iv": "implicit"}, TR6, B0,
     "80040000 00000303  01020000  0000000000000001", "00001100", "", 0),
    ("transport, v6, no SN", "gcm16", TRA6, {"mode": "transport", "sn": "none"}, TR6, B3,
     "80040000 00000304  01020000  0000000000000009", "00001103", "000000", 0),
    ("transport, v6 with destination options behind a routing header", "gcm16",
     (V6_TEXT, "60000000 LLLL2b40" + T6 + "fd00fd0000000000"), {"mode": "transport"},
     "60000000 LLLL2b40" + T6 + "3c00fd0000000000", DST + B0,
     "80040000 00000305  01020000  0000000000000001 0000000000000001", "00003c00", "", 0),
    ("transport, AES-GMAC", "gmac16", TRA4, {"mode": "transport"}, TR4, B1,
     "80000000 00000306  0000000000000001 0000000000000001", "00001101", "00", 0),
    ("transport, AES-GMAC, Sub SA 2, Crypt Offset", "gmac32", TRA4,
     {"mode": "transport", "sskdf": "hkdf-sha384", "crypt_offset": 1, "max_crypt_offset": 1}, TR4, B3,
     "80040002 00000307  02021c10  0000000000000001 0000000000000001", "00001103", "000000", 4),
    ("Crypt Offset, transport, v4", "gcm16", TRA4,
     {"mode": "transport", "crypt_offset": 3, "max_crypt_offset": 63}, TR4, B1,
     "80040000 00000400  02021c30  0000000000000001 0000000000000001", "00001101", "00", 12),
    ("Crypt Offset, transport, v6", "gcm16", TRA6,
     {"mode": "transport", "crypt_offset": 2, "max_crypt_offset": 2}, TR6, B1,
     "80040000 00000401  02021c20  0000000000000001 0000000000000001", "00001101", "00", 8),
    ("Crypt Offset, transport, v6, implicit IV", "gcm16", TRA6,
     {"mode": "transport", "iv": "implicit", "crypt_offset": 1, "max_crypt_offset": 4}, TR6, B2,
     "80040000 00000402  02021410  0000000000000001", "00001102", "0000", 4),
    ("Crypt Offset 0", "chacha32", TRA4,
     {"mode": "transport", "crypt_offset": 0, "max_crypt_offset": 0}, TR4, B1,
     "80040000 00000403  02021c00  0000000000000001 0000000000000001", "00001101", "00", 0),
    # Figure 19
    ("Crypt Offset, tunnel, figure 19", "gcm16", TUN4, {"crypt_offset": 8, "max_crypt_offset": 8},
     IN4, B1,
     "80040000 00000404  02021c80  0000000000000001 0000000000000001", "00000401 ip", "00", 32),
    ("Crypt Offset, tunnel, v6 in v4, no more than the inner packet", "gcm16", TUN4,
     {"crypt_offset": 63, "max_crypt_offset": 63}, IN6, B1,
     "80040000 00000405  02021ce0  0000000000000001 0000000000000001", "00002901 ip", "00", 56),
    ("Crypt Offset, tunnel, no SN, Sub SA 0x8000", "gcm24", TUN6,
     {"sn": "none", "sskdf": "hkdf-sha512", "crypt_offset": 6, "max_crypt_offset": 6}, IN4, B0,
     "80048000 00000406  02021460  0000000000000001", "00000400 ip", "", 24),
    ("Crypt Offset, ChaCha20-Poly1305, implicit IV", "chacha32", TUN4,
     {"iv": "implicit", "crypt_offset": 8, "max_crypt_offset": 8}, IN4, B2,
     "80040000 00000407  02021470  0000000000000001", "00000402 ip", "0000", 28),
    ("a private option and PadN", "gcm16", TUN4, {"options": [[224, "010203"]]}, IN4, B1,
     "80080000 00000500  e003010203 010100  0000000000000001 0000000000000001", "ip", "00", 0),
    ("an unknown option and Pad1", "gcm16", TUN4, {"options": [[99, "aa"]]}, IN4, B1,
     "80040000 00000501  6301aa 00  0000000000000001 0000000000000001", "ip", "00", 0),
    ("an unknown option in IPv6", "gcm16", TUN6, {"options": [[99, "aa"]]}, IN4, B1,
     "80080000 00000502  6301aa 0103000000  0000000000000001 0000000000000001", "ip", "00", 0),
    ("Crypt Offset and a private option", "gcm16", TRA6,
     {"mode": "transport", "crypt_offset": 2, "max_crypt_offset": 2, "options": [[255, "aa"]]},
     TR6, B1,
     "800c0000 00000503  02022420 ff01aa 0103000000  0000000000000001 0000000000000001",
     "00001101", "00", 8),
    ("other numbers", "gcm16", (V4_TEXT, "452eLLLL 12340000 3bfeSSSS" + T4),
     {"mode": "transport", "crypt_offset": 2, "max_crypt_offset": 2, "version_number": 15,
      "proto": 254, "numbers": [240, 241, 242], "options": [[0, "aabb"]]}, TR4, B1,
     "f8080000 00000504  f2022020 0002aabb  0000000000000001 0000000000000001",
     "00001101", "00", 8),
    ("beet, v4 in v4", "gcm16", TRA4, {"mode": "beet", "inner": I4_TEXT},
     "452eLLLL 12340000 3b11SSSS" + I4, B1,
     "80000000 00000600  0000000000000001 0000000000000001", "00001101", "00", 0),
    ("beet, v4 with options in v4", "gcm16", TRA4, {"mode": "beet", "inner": I4_TEXT},
     "472eLLLL 12340000 3b11SSSS" + I4 + OPTS, B1,
     "80000000 00000601  0000000000000001 0000000000000001",
     "00005e01 11010400 01010101" + OPTS, "00", 0),
    ("beet, v4 with options in v6", "gcm16", (V6_TEXT, "62e00000 LLLLfd3b" + T6),
     {"mode": "beet", "inner": I4_TEXT},
     "462eLLLL 00004000 3b11SSSS" + I4 + "94040000", B1,
     "80040000 00000602  01020000  0000000000000001 0000000000000001",
     "00005e01 11000000 94040000", "00", 0),
    ("beet, v6 in v4, Sub SA 1, implicit IV", "gcm16",
     (V4_TEXT, "452eLLLL 00004000 3bfdSSSS" + T4),
     {"mode": "beet", "inner": I6_TEXT, "sskdf": "hkdf-sha256", "iv": "implicit"},
     "62e00000 LLLL113b" + I6, B1,
     "80040001 00000603  01020000  0000000000000001", "00001101", "00", 0),
    ("beet, v6 in v6, Crypt Offset", "gcm16", (V6_TEXT, "6ff54321 LLLLfd01" + T6),
     {"mode": "beet", "inner": I6_TEXT, "crypt_offset": 4, "max_crypt_offset": 4},
     "6ff54321 LLLL1101" + I6, B1,
     "80040000 00000604  02021c40  0000000000000001 0000000000000001", "00001101", "00", 16),
    ("tunnel, UDP over v4, Sub SA 7", "gcm16", (V4_TEXT, "4500LLLL 00004000 4011SSSS" + T4),
     {"encap": [4500, 4501], "sskdf": "hkdf-sha256"}, IN4, B1,
     "80000007 00000700  0000000000000001 0000000000000001", "ip", "00", 0),
    ("transport, UDP over v6", "gcm16", (V6_TEXT, "62e54321 LLLL113b" + T6),
     {"mode": "transport", "encap": [4500, 4500]}, TR6, B2,
     "80040000 00000701  01020000  0000000000000001 0000000000000001", "00001102", "0000", 0),
)


def protected(name, octets, words, session, head, plain, clear):
    """The packet of a header and P, and the key and salt that it has."""
    salt = SALT[:3] if name == "ccm" else SALT
    key = KEY[:octets] + salt
    if "sskdf" in words:
        digest = words["sskdf"].removeprefix("hkdf-")
        root = ROOT[: {"sha256": 32, "sha384": 48, "sha512": 64}[digest]]
        key = golden_ciphers.hkdf_expand(digest, root, session, len(key))
    # The last eight octets are the IV, or the SN that is an implicit one
    nonce = key[octets:] + head[-8:]
    aad, rest = head + plain[:clear], plain[clear:]
    icv = words.get("icv", 128) // 8
    if name == "gcm":
        sealed, tag = gcm(key[:octets], nonce, aad, rest)
    elif name == "gmac":
        sealed, tag = rest, gcm(key[:octets], nonce, aad + rest, b"")[1]
    elif name == "ccm":
        sealed, tag = golden_ciphers.ccm(key[:octets], nonce, aad, rest, icv)
    else:
        sealed, tag = golden_ciphers.chacha20_poly1305(key[:octets], nonce, aad, rest)
    return aad + sealed + tag[:icv], key


def in_udp(packet, ports, v6):
    """UDP around it: over IPv4 without a checksum."""
    udp, check = struct.pack("!HHH", *ports, 8 + len(packet)), 0
    if v6:
        pseudo = V6 + struct.pack("!IBBBB", 8 + len(packet), 0, 0, 0, 17)
        data = pseudo + udp + b"\0\0" + packet + bytes(len(packet) % 2)
        check = ones_complement(data) or 0xFFFF
    return udp + struct.pack("!H", check) + packet


def packets():
    """The packets of ROWS."""
    made = []
    for name, kind, (addresses, outer), words, inner, body, head, before, pad, clear in ROWS:
        cipher, octets = kind.rstrip("0123456789"), int(kind.lstrip("abcdefghijklmnopqrstuvwxyz"))
        head, body = bytes.fromhex(head), bytes.fromhex(body)
        whole = filled(inner, body)
        start = whole[: len(whole) - len(body)].hex()
        plain = bytes.fromhex(before.replace("ip", start)) + body + bytes.fromhex(pad)
        packet, key = protected(cipher, octets, words, head[2:4], head, plain, clear)
        sa = {"spi": "0x" + head[4:8].hex(), "src": addresses[0], "dst": addresses[1],
              "aead": AEADS[cipher]} | words
        if "sskdf" in words:
            size = {"hkdf-sha256": 32, "hkdf-sha384": 48, "hkdf-sha512": 64}[words["sskdf"]]
            sa |= {"key": "0x" + ROOT[:size].hex(), "cipher_key": 8 * octets}
        else:
            sa["key"] = "0x" + key.hex()
        around = in_udp(packet, words["encap"], outer[0] == "6") if "encap" in words else packet
        made.append({
            "name": name,
            "sa": sa,
            "session": int.from_bytes(head[2:4], "big"),
            # Also what an IV without SN comes from
            "sn": int.from_bytes(head[-8:], "big"),
            "key": key.hex(),
            "header": head.hex(),
            "plain": plain.hex(),
            "clear": clear,
            "inner": whole.hex(),
            "eesp": packet.hex(),
            "packet": filled(outer, around).hex(),
        })
    return made


def text():
    """eesp.json, with a field a line."""
    fields = (",\n  ".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in p.items())
              for p in packets())
    return "[\n {\n  " + "\n },\n {\n  ".join(fields) + "\n }\n]\n"


C_HEAD = """/* SPDX-License-Identifier: GPL-2.0-only */
/* Printed by tools/testing/reference/golden_eesp.py --c; change it there. */
#ifndef XFRM_EXT_KUNIT_GOLDEN_EESP_H
#define XFRM_EXT_KUNIT_GOLDEN_EESP_H

#include <linux/types.h>

struct xfrm_ext_golden_eesp {
	const char *name;
	u32 spi;
	u16 session;
	u64 sn;
	u8 version;
	u8 types[3];
	bool others;
	bool crypt;
	u8 clear;
	u8 iv_len;
	u8 header_len;
	u8 header[40];
	u8 root_len;
	u8 root[64];
	u8 key_len;
	u8 key[36];
};

static const struct xfrm_ext_golden_eesp xfrm_ext_golden_eesp[] = {
"""


def c_octets(name, octets):
    """One initializer, in lines of eight octets."""
    words = [f"0x{o:02x}," for o in octets]
    lines = [" ".join(words[i : i + 8]) for i in range(0, len(words), 8)]
    return f"\t\t.{name} = {{\n\t\t\t" + "\n\t\t\t".join(lines) + "\n\t\t},\n"


def c_header():
    """golden_eesp.h: what has numbers on the wire."""
    made = C_HEAD
    for p in packets():
        sa, header = p["sa"], bytes.fromhex(p["header"])
        if sa.get("sn") == "none":
            continue
        root = bytes.fromhex(sa["key"][2:]) if "sskdf" in sa else b""
        values = {
            "name": f'"{p["name"]}"', "spi": sa["spi"], "session": f'0x{p["session"]:04x}',
            "sn": f'0x{p["sn"]:016x}ULL', "version": sa.get("version_number", 0),
            "types": "{ " + ", ".join(map(str, sa.get("numbers", (0, 1, 2)))) + " }",
            "others": str(bool(sa.get("options"))).lower(),
            "crypt": str("crypt_offset" in sa).lower(), "clear": p["clear"],
            "iv_len": 0 if sa.get("iv") == "implicit" else 8, "header_len": len(header),
        }
        made += "\t{\n" + "".join(f"\t\t.{k} = {v},\n" for k, v in values.items())
        made += c_octets("header", header)
        if root:
            key = bytes.fromhex(p["key"])
            made += f"\t\t.root_len = {len(root)},\n" + c_octets("root", root)
            made += f"\t\t.key_len = {len(key)},\n" + c_octets("key", key)
        made += "\t},\n"
    return made + "};\n\n#endif /* XFRM_EXT_KUNIT_GOLDEN_EESP_H */\n"


if __name__ == "__main__":
    print(c_header() if sys.argv[1:] == ["--c"] else text(), end="")
