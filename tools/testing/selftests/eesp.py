#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""EESP as somebody reads it who has the draft and not the module.

    eesp.py check PCAP SA...   every packet of these SAs in a capture: header, options,
                               key of its Sub SA, numbers from 1 on without hole, IV,
                               padding, inner packet. Nothing of the inner addresses may
                               be there in clear, and no ESP. Prints how many there were of
                               each SA, and of how many Sub SAs
    eesp.py send SA 4|6        packets with such a datagram inside, one a line from standard
                               input: CASE SESSION SN [option=value]...; "sent" each time. In
                               UDP with sport= and from= (a source port, another address)
    eesp.py too-big SPI FROM TO MTU
                               what a router says of EESP from TO to FROM, in its place
    eesp.py keys ROOT SESSION OCTETS
                               what HKDF-Expand comes to

An SA is a JSON file: spi, key, aead, icv (bits), src, dst, mode, iv; sub_key (bits), crypt
(octets), inner (4 or 6), padded, udp.
"""

import hashlib
import hmac
import ipaddress
import json
import pathlib
import socket
import struct
import sys

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "reference"))

# pylint: disable=wrong-import-position
import ciphers
import iphdr
import pcap
from errors import BadIcv

PROTOCOL = 253
HASHES = {32: hashlib.sha256, 48: hashlib.sha384, 64: hashlib.sha512}


class Wrong(Exception):
    """A packet is not what the draft says."""


def need(truth, text):
    """Say what is wrong."""
    if not truth:
        raise Wrong(text)


def expand(root, info, length):
    """HKDF-Expand, RFC 5869 section 2.3."""
    made, last, count = b"", b"", 0
    while len(made) < length:
        count += 1
        last = hmac.new(root, last + info + bytes([count]), HASHES[len(root)]).digest()
        made += last
    return made[:length]


class SA:
    """What both ends know."""

    def __init__(self, path):
        d = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
        self.spi, self.key = int(d["spi"], 0), bytes.fromhex(d["key"].removeprefix("0x"))
        self.aead, self.icv = d["aead"], int(d["icv"]) // 8
        self.src, self.dst = (ipaddress.ip_address(d[n]) for n in ("src", "dst"))
        self.mode, self.implicit = d.get("mode", "tunnel"), d.get("iv") == "implicit"
        self.sub_key, self.crypt = d.get("sub_key"), d.get("crypt")
        self.udp, self.inner = d.get("udp"), d.get("inner", self.src.version)
        self.derived = len(self.key) in HASHES
        self.made = {}

    def suite(self, session):
        """Of a Sub SA."""
        if session not in self.made:
            key = self.key
            if self.derived:
                kind = ciphers.AEADS[self.aead]
                bits = self.sub_key or max(kind.key_lens) * 8
                key = expand(key, session.to_bytes(2, "big"), bits // 8 + kind.salt_len)
            self.made[session] = ciphers.suite(key, self.icv, self.aead)
        return self.made[session]

    def iv_len(self):
        """Octets of IV that are sent."""
        return 0 if self.implicit else 8

    def full(self):
        """Is there a Payload Info Header?"""
        return self.mode != "tunnel" or self.crypt is not None

    def options(self, payload):
        """As we send them."""
        at = 8 + 4 + 8 + self.iv_len()
        if self.crypt is not None:
            words = min(self.crypt, payload) // 4
            return struct.pack("!BBH", 2, 2, at // 4 << 10 | words << 4)
        if self.full() and 6 in (self.src.version, self.inner):
            return bytes((1, 2, 0, 0))
        return b""


def exposed_of(options):
    """What a Crypt Offset option among them exposes and where it begins, or None."""
    found = None
    while options:
        if options[0] == 0:
            options = options[1:]
            continue
        need(len(options) >= 2 and len(options) >= 2 + options[1], "an option is cut short")
        if options[0] == 2:
            need(options[1] == 2 and found is None, "a Crypt Offset is malformed")
            word = int.from_bytes(options[2:4], "big")
            found = (word >> 10) * 4, (word >> 4 & 63) * 4
        options = options[2 + options[1] :]
    return found


def seal(sa, session, sn, inner, next_header, **o):
    """EESP around a payload; options change one thing each."""
    payload, full = inner, o.get("full", sa.full())
    options = o.get("options", sa.options(len(payload)))
    pad = -(len(payload) + 4 * full) % 4 + 4 * o.get("pad_extra", 0) + o.get("pad_odd", 0)
    plain = payload + bytes(pad)
    if full:
        plain = bytes((o.get("nibble", 0) << 4, 0, next_header, pad)) + plain
    first = o.get("first", 0x80)
    header = struct.pack("!BBHI", first, len(options), session, o.get("spi", sa.spi))
    header += options + sn.to_bytes(8, "big")
    number = sn.to_bytes(8, "big")
    iv = b"" if sa.implicit else o.get("iv", number)
    crypt = exposed_of(options) if o.get("parse", True) else None
    exposed = crypt[1] if crypt else 0
    suite = sa.suite(o.get("key_of", session))
    body = protect(suite, header, iv, plain, exposed, iv or number)
    return header + iv + plain[:exposed] + body


def around(suite, header, iv, shown):
    """What is authenticated; GMAC takes its IV by itself."""
    aad = header + (b"" if isinstance(suite, ciphers.Gmac) else iv) + shown
    return ciphers.Around(header, aad, b"")


def protect(suite, header, iv, plain, exposed, nonce):
    """Ciphertext and ICV."""
    if isinstance(suite, ciphers.Gmac):
        sealed = suite.seal(around(suite, header, iv, b""), nonce, plain)
        return sealed[exposed:]
    return suite.seal(around(suite, header, iv, plain[:exposed]), nonce, plain[exposed:])


def unseal(sa, eesp):
    """Session ID, number, whether there was an option, what is inside."""
    need(len(eesp) >= 16 and eesp[0] == 0x80, f"begins with {eesp[:1].hex()}")
    session, spi = struct.unpack_from("!HI", eesp, 2)
    need(spi == sa.spi, f"SPI {spi:#x}")
    at = 16 + eesp[1]
    header, iv = eesp[:at], eesp[at : at + sa.iv_len()]
    sn = header[-8:]
    crypt = exposed_of(header[8:-8])
    start, exposed = at + len(iv), crypt[1] if crypt else 0
    if crypt:
        need(crypt[0] == start, f"payload at {crypt[0]}, not {start}")
    need(sa.implicit or iv == sn, "the IV is not the number")
    suite = sa.suite(session)
    shown, rest = eesp[start : start + exposed], eesp[start + exposed :]
    if isinstance(suite, ciphers.Gmac):
        plain = suite.open(around(suite, header, iv, b""), iv or sn, shown + rest)
    else:
        plain = shown + suite.open(around(suite, header, iv, shown), iv or sn, rest)
    return session, int.from_bytes(sn, "big"), header[8:-8], plain


def payload_of(sa, plain):
    """Next Header and payload; padding must be zeros, and the least."""
    if not sa.full():
        version = plain[0] >> 4
        need(version in (4, 6), f"the payload begins with {version}")
        length = iphdr.inner_length(plain)
        next_header, payload, rest = {4: 4, 6: 41}[version], plain[:length], plain[length:]
    else:
        need(plain[:2] == bytes(2), "reserved bits")
        next_header, pad = plain[2:4]
        need(pad <= len(plain) - 4, "more padding than there is")
        payload = plain[4 : len(plain) - pad]
        rest = plain[len(plain) - pad :]
    need(rest == bytes(len(rest)) and len(rest) < 4, "padding")
    return next_header, payload


def check_packet(sa, eesp):
    """Session ID and number of a packet that must be right."""
    session, sn, options, plain = unseal(sa, eesp)
    next_header, payload = payload_of(sa, plain)
    need(options == sa.options(len(payload)), f"options {options.hex()}")
    need(sa.derived or session == 0, f"Session ID {session} without Sub SAs")
    start = 16 + len(options) + sa.iv_len() + 4 * sa.full()
    need(start % (8 if 6 in (sa.src.version, sa.inner) else 4) == 0,
         f"the payload is at {start}")
    if sa.mode == "tunnel":
        need(next_header == {4: 4, 6: 41}[payload[0] >> 4], f"Next Header {next_header}")
        need(iphdr.inner_length(payload) == len(payload), "the inner length")
    return session, sn


def eesp_of(packet, sas):
    """The EESP in an outer packet and whose it is, or None."""
    head, _ = iphdr.parse(packet)
    at, field = iphdr.transport_point(packet)
    body, udp = packet[at:], None
    if packet[field] == 17 and body[2:4] == struct.pack("!H", 4500):
        if len(body) == 9 or body[8:12] == bytes(4):
            return None
        body, udp = body[8:], True
    elif packet[field] in (4, 6, 17, 41, 50, 1, 58):
        inner = [a for a in (head.addresses[:4], head.addresses[:2])
                 if a in (b"\x0a\x01\x00\x01", b"\x0a\x02\x00\x01", b"\xfd\x01", b"\xfd\x02")]
        need(packet[field] != 50 and not inner, f"protocol {packet[field]} in clear")
        return None
    elif packet[field] != PROTOCOL:
        return None
    for sa in sas:
        if body[4:8] == sa.spi.to_bytes(4, "big") and bool(udp) == bool(sa.udp) and (
            head.addresses == sa.src.packed + sa.dst.packed
        ):
            return sa, body
    raise Wrong(f"EESP of nobody: {body[:16].hex()}")


def check(path, names):
    """Each packet of a capture."""
    sas = [SA(name) for name in names]
    last = {sa: {} for sa in sas}
    total = {sa: 0 for sa in sas}
    for n, packet in enumerate(pcap.read(path), 1):
        try:
            found = eesp_of(packet, sas)
            if not found:
                continue
            sa, eesp = found
            session, sn = check_packet(sa, eesp)
            before = last[sa].get(session, 0)
            need(sn == before + 1, f"session {session}: {sn} behind {before}")
        except (Wrong, BadIcv) as e:
            sys.exit(f"packet {n}: {type(e).__name__} {e}: {packet.hex()}")
        last[sa][session] = sn
        total[sa] += 1
    print(*(f"{total[sa]}/{len(last[sa])}" for sa in sas))


# --- what a receiver must refuse, or not -------------------------------------


def case_of(name, sa, session, sn, inner, nh, o):
    """A packet of that kind."""
    if name == "valid":
        return seal(sa, session, sn, inner, nh, **o)
    if name == "flip":
        packet = bytearray(seal(sa, session, sn, inner, nh, **o))
        packet[-1] ^= 1
        return bytes(packet)
    if name == "flip-header":
        # Whatever of the header a receiver does not look at is authenticated all the same
        packet = bytearray(seal(sa, session, sn, inner, nh, options=bytes((7, 2, 0, 0)), **o))
        packet[10] ^= 1
        return bytes(packet)
    if name == "esp":
        return struct.pack("!II", sa.spi, sn) + bytes(64)
    if name == "truncated":
        return seal(sa, session, sn, inner, nh, **o)[: o.get("length", 15)]
    if name == "opt-len":
        packet = bytearray(seal(sa, session, sn, inner, nh, **o))
        packet[1] = 255
        return bytes(packet)
    raise ValueError(name)


def typed(text):
    """Octets if it is hex:... or an address, else a number."""
    if "." in text:
        return ipaddress.ip_address(text).packed
    return bytes.fromhex(text[4:]) if text.startswith("hex:") else int(text, 0)


def datagram(version):
    """UDP from one of the inner addresses to the other."""
    names = {4: ("10.1.0.1", "10.2.0.1"), 6: ("fd01::1", "fd02::1")}[version]
    addresses = b"".join(ipaddress.ip_address(n).packed for n in names)
    body = iphdr.udp(addresses, (1000, 9), b"EESP!")
    return iphdr.Header(addresses, 17, frag=0).octets(len(body)) + body


def too_big(spi, src, dst, mtu):
    """Packet Too Big about a packet that dst has sent."""
    src, dst = ipaddress.ip_address(src), ipaddress.ip_address(dst)
    eesp = struct.pack("!BBHI", 0x80, 0, 0, spi) + bytes(32)
    about = iphdr.Header(dst.packed + src.packed, PROTOCOL).octets(1400) + eesp
    if src.version == 4:
        raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)
        icmp = struct.pack("!BBHHH", 3, 4, 0, 0, mtu) + about
        icmp = icmp[:2] + iphdr.checksum(icmp).to_bytes(2, "big") + icmp[4:]
    else:
        raw = socket.socket(socket.AF_INET6, socket.SOCK_RAW, 58)
        icmp = struct.pack("!BBHI", 2, 0, 0, mtu) + about
    raw.sendto(icmp, (str(dst), 0))


def send(sa, version):
    """A batch of them."""
    inner = datagram(version)
    v6 = sa.src.version == 6
    raw = socket.socket(socket.AF_INET6 if v6 else socket.AF_INET, socket.SOCK_RAW, 255)
    for line in sys.stdin:
        name, session, sn, *words = line.split()
        o = {k: typed(v) for k, v in (w.split("=") for w in words)}
        protocol = o.pop("protocol", PROTOCOL)
        nh = o.pop("next_header", {4: 4, 6: 41}[inner[0] >> 4])
        sport, src = o.pop("sport", 0), o.pop("from", sa.src.packed)
        addresses = src + sa.dst.packed
        body = case_of(name, sa, int(session, 0), int(sn, 0), inner, nh, o)
        if sport:
            protocol, body = 17, iphdr.udp(addresses, (sport, 4500), body)
        head = iphdr.Header(addresses, protocol, frag=0)
        raw.sendto(head.octets(len(body)) + body, (str(sa.dst), 0))
        print("sent", flush=True)


def main():
    """As above."""
    what, *args = sys.argv[1:]
    if what == "check":
        check(args[0], args[1:])
    elif what == "send":
        send(SA(args[0]), int(args[1]))
    elif what == "too-big":
        too_big(int(args[0], 0), args[1], args[2], int(args[3]))
    elif what == "keys":
        print(expand(bytes.fromhex(args[0]), int(args[1], 0).to_bytes(2, "big"), int(args[2])).hex())
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
