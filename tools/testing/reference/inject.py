#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Send esp64 packets, good and bad, made by the reference implementation.

One case from the command line:

    inject.py --sa sa.json --dev v0 --inner udp:10.1.0.1:1000:10.2.0.1:2000:64 \\
              --case flip --subspace 3 --sn 18 --offset 40 --bit 7

or many, one a line, from standard input with --batch:

    valid 3 17              flip 3 18 offset=40 bit=7      sleep 0.2
    valid 0 1 count=100     truncate-all 3 19              # comment

or those of a capture once more, as they are:

    inject.py --sa sa.json --pcap wire.pcap

Every case is answered with `sent K`, so that a driver can wait for it. Octet
offsets and lengths are those of the ESP packet: 0 is the first octet of the
SPI. The UDP payload begins with "SUBSPACE SN ", so that a receiver can tell
which packet it got. In transport mode and BEET the inner packet has the addresses
of the SA, or those inside it. Cases with `optlen` and `word` are for BEET: octets
of IPv4 options, and the fragment word if not 0.

cases:
"""

import argparse
import errno
import inspect
import ipaddress
import re
import socket
import sys
import time
from dataclasses import replace

import beet_cases
import echo
import esp64
import iphdr
import pcap

ETH_P_IP, ETH_P_IPV6 = 0x0800, 0x86DD


def ip_packet(src, dst, proto, body):
    """An IP packet of the family of its addresses."""
    src, dst = ipaddress.ip_address(src).packed, ipaddress.ip_address(dst).packed
    return iphdr.Header(src + dst, proto, frag=0).octets(len(body)) + body


def udp_packet(src, sport, dst, dport, payload):
    """A UDP packet with its checksum."""
    addresses = ipaddress.ip_address(src).packed + ipaddress.ip_address(dst).packed
    body = iphdr.udp(addresses, (sport, dport), payload)
    return ip_packet(src, dst, iphdr.PROTO_UDP, body)


def inner_maker(text):
    """From udp:SRC:SPORT:DST:DPORT:LEN or hex:..., a function of (subspace, sn)."""
    if text.startswith("hex:"):
        packet = bytes.fromhex(text[4:])
        return lambda subspace, sn: packet
    host = r"\[?([0-9a-fA-F.:]+?)\]?"
    m = re.fullmatch(rf"udp:{host}:(\d+):{host}:(\d+):(\d+)", text)
    if not m or ("[" not in text and text.count(":") != 5):
        raise ValueError(f"{text}: not udp:SRC:SPORT:DST:DPORT:LEN, IPv6 in []")
    src, sport, dst, dport, length = m.groups()
    sport, dport, length = int(sport), int(dport), int(length)

    def make(subspace, sn):
        marker = f"{subspace} {sn} ".encode()
        return udp_packet(src, sport, dst, dport, marker.ljust(length, b".")[:length])

    return make


# --- the cases: each returns the list of outer packets to send ----------------
# A case takes sa, subspace, sn, inner (a packet) and options of its own, whose
# defaults are given here. What the receiver must do with it is in its text.


def valid(sa, subspace, sn, inner, pad_extra=0):
    """accepted (a replay when sent before; dropped if ID or SN are bad)"""
    return [esp64.encode(sa, subspace, sn, inner, pad_extra=pad_extra)]


def replay(sa, subspace, sn, inner):
    """the same packet twice: accepted, then a replay"""
    return [esp64.encode(sa, subspace, sn, inner)] * 2


def flip(sa, subspace, sn, inner, offset=0, bit=0):
    """one bit of the ESP packet inverted"""
    head, esp = esp64.split(sa, esp64.encode(sa, subspace, sn, inner))
    esp = bytearray(esp)
    esp[offset] ^= 1 << bit
    return [esp64.wrap(sa, bytes(esp), head)]


def flip_all(sa, subspace, sn, inner, bit=0, start=0):
    """one packet for every octet from start on, with that octet's bit inverted"""
    head, esp = esp64.split(sa, esp64.encode(sa, subspace, sn, inner))
    packets = []
    for offset in range(start, len(esp)):
        flipped = bytearray(esp)
        flipped[offset] ^= 1 << bit
        packets.append(esp64.wrap(sa, bytes(flipped), head))
    return packets


def truncate(sa, subspace, sn, inner, length=0):
    """the ESP packet cut to length octets, outer header made to fit"""
    head, esp = esp64.split(sa, esp64.encode(sa, subspace, sn, inner))
    return [esp64.wrap(sa, esp[:length], head)]


def truncate_all(sa, subspace, sn, inner, start=0):
    """one packet for every length from start to one less than the whole"""
    head, esp = esp64.split(sa, esp64.encode(sa, subspace, sn, inner))
    return [esp64.wrap(sa, esp[:length], head) for length in range(start, len(esp))]


def wrong_key(sa, subspace, sn, inner):
    """ICV fails: another key"""
    if sa.enc:
        other = replace(sa, auth_key=bytes((sa.auth_key[0] ^ 1,)) + sa.auth_key[1:])
    else:
        other = replace(sa, key=bytes((sa.key[0] ^ 1,)) + sa.key[1:])
    return [esp64.encode(other, subspace, sn, inner)]


def wrong_salt(sa, subspace, sn, inner):
    """ICV fails: another salt; what a pair has instead, of its integrity's key"""
    if sa.enc:
        other = replace(sa, auth_key=sa.auth_key[:-1] + bytes((sa.auth_key[-1] ^ 1,)))
        return [esp64.encode(other, subspace, sn, inner)]
    other = replace(sa, key=sa.key[:-1] + bytes((sa.key[-1] ^ 1,)))
    return [esp64.encode(other, subspace, sn, inner)]


def other_iv(sa, subspace, sn, inner, iv="0123456789abcdef"):
    """accepted: a receiver uses the IV it receives, N or not (implicit: ICV fails)"""
    iv = (2 * bytes.fromhex(iv))[: sa.suite.iv_len]
    return [esp64.encode(sa, subspace, sn, inner, iv=iv)]


def needs_next_header(sa):
    """Trailer omit has none, nor a Pad Length."""
    if sa.trailer == "omit":
        raise ValueError("a case for trailers that there are")


def next_header(sa, subspace, sn, inner, value=6):
    """good ICV, then a Next Header that tunnel mode does not have; others may"""
    needs_next_header(sa)
    head, _, payload = esp64.enter(sa, inner)
    return [esp64.enclose(sa, subspace, sn, esp64.plaintext(sa, payload, value), head)]


def next_header_all(sa, subspace, sn, inner):
    """one packet for every Next Header, with SN to SN + 255"""
    needs_next_header(sa)
    packets = []
    for value in range(256):
        packets += next_header(sa, subspace, sn + value, inner, value)
    return packets


def dummy(sa, subspace, sn, inner):
    """Next Header 59 around what is no IP packet: dropped, counted as dummy"""
    needs_next_header(sa)
    plain = esp64.plaintext(sa, bytes(len(inner)), esp64.PROTO_NONE)
    return [esp64.enclose(sa, subspace, sn, plain)]


def echo_request(sa, subspace, sn, inner, ident=1, seq=1, spi=0, flags=0x80, length=-1, size=16,
                 kind=echo.REQUEST, extra=0, cut=0):
    """a request of ESP Echo of size octets; Data Length as given, octets behind, or cut off"""
    needs_next_header(sa)
    made = echo.Echo(kind, flags, ident, seq, spi, bytes(n & 0xFF for n in range(size))).octets()
    if length >= 0:
        made = made[:2] + length.to_bytes(2, "big") + made[4:]
    made = (made + bytes(extra))[: len(made) + extra - cut]
    return [esp64.enclose(sa, subspace, sn, esp64.plaintext(sa, made, echo.PROTO_AGGFRAG))]


def fragmented(sa, subspace, sn, inner, size=600):
    """accepted: the outer packet comes as fragments of size octets at most"""
    return list(iphdr.fragments(esp64.encode(sa, subspace, sn, inner), size))


def fragmented_wrong_key(sa, subspace, sn, inner, size=600):
    """ICV fails, of what came as fragments"""
    return list(iphdr.fragments(wrong_key(sa, subspace, sn, inner)[0], size))


def pad_length(sa, subspace, sn, inner, value=255):
    """good ICV; Pad Length as given, by default beyond a packet below 254 octets"""
    needs_next_header(sa)
    head, proto, payload = esp64.enter(sa, inner)
    plain = bytearray(esp64.plaintext(sa, payload, proto))
    plain[-2 if sa.trailer == "end" else 3] = value
    plain = bytes(plain)
    return [esp64.enclose(sa, subspace, sn, plain, head)]


def padding(sa, subspace, sn, inner):
    """good ICV; the padding is not as it should be (a receiver need not look)"""
    head, proto, payload = esp64.enter(sa, inner)
    plain = bytearray(esp64.plaintext(sa, payload, proto, sa.align))
    plain[-3 if sa.trailer == "end" else -1] = 0xFF
    return [esp64.enclose(sa, subspace, sn, bytes(plain), head)]


def short_plain(sa, subspace, sn, inner, length=0):
    """good ICV around only the last length octets of the plaintext"""
    head, proto, payload = esp64.enter(sa, inner)
    plain = esp64.plaintext(sa, payload, proto)
    return [esp64.enclose(sa, subspace, sn, plain[len(plain) - length :], head)]


def tunneled(sa, subspace, sn, inner, proto):
    """One outer packet around what may not be an inner packet."""
    if sa.mode != "tunnel":
        raise ValueError("a case for tunnel mode")
    return [esp64.enclose(sa, subspace, sn, esp64.plaintext(sa, inner, proto))]


def short_inner(sa, subspace, sn, inner, length=1):
    """good ICV, right trailer, inner packet cut to length octets (0 too)"""
    proto = esp64.ADDRESS_PROTO[inner[0] >> 4]
    return tunneled(sa, subspace, sn, inner[:length], proto)


def inner_version(sa, subspace, sn, inner, value=5):
    """good ICV; Next Header says the right family, the inner header another"""
    proto = esp64.ADDRESS_PROTO[inner[0] >> 4]
    inner = bytes((value << 4 | inner[0] & 15,)) + inner[1:]
    return tunneled(sa, subspace, sn, inner, proto)


def swapped_family(sa, subspace, sn, inner):
    """good ICV; Next Header 41 around IPv4, or 4 around IPv6"""
    other = esp64.PROTO_IPIP if inner[0] >> 4 == 6 else esp64.PROTO_IPV6
    return tunneled(sa, subspace, sn, inner, other)


def tfc(sa, subspace, sn, inner, length=32):
    """accepted: octets behind the inner packet (RFC 4303 2.7) are cut off"""
    proto = esp64.ADDRESS_PROTO[inner[0] >> 4]
    return tunneled(sa, subspace, sn, inner + bytes(length), proto)


CASES = {
    f.__name__.replace("_", "-"): f
    for f in (valid, replay, flip, flip_all, truncate, truncate_all, wrong_key,
              wrong_salt, other_iv, next_header, next_header_all, dummy, echo_request,
              fragmented, fragmented_wrong_key, pad_length,
              padding, short_plain, short_inner, inner_version, swapped_family, tfc)
} | beet_cases.CASES


def case_options(case):
    """Names and defaults of a case's own options."""
    parameters = list(inspect.signature(case).parameters.values())[4:]
    return {p.name: p.default for p in parameters}


def make(sa, inner, name, subspace, sn, count=1, **options):
    """The packets of a case, count times with growing SN."""
    if name not in CASES:
        raise ValueError(f"no case {name}")
    case, packets = CASES[name], []
    for n in range(sn, sn + count):
        packets += case(sa, subspace, n, inner(subspace, n), **options)
    return packets


class Sender:
    """Sends outer IP packets: by the routing table, or out of a device.

    With the MAC address of the next hop the packets go straight to the device,
    past routing, netfilter and xfrm of this namespace.
    """

    def __init__(self, sa, dev=None, mac=None):
        v6 = sa.version == 6
        if mac:
            if not dev:
                raise ValueError("a MAC address needs a device")
            proto = ETH_P_IPV6 if v6 else ETH_P_IP
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
            self.to = (dev, proto, 0, 0, bytes.fromhex(mac.replace(":", "")))
            return
        family = socket.AF_INET6 if v6 else socket.AF_INET
        # IPPROTO_RAW means that the packet brings its IP header
        self.socket = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_RAW)
        if dev:
            self.socket.setsockopt(
                socket.SOL_SOCKET, socket.SO_BINDTODEVICE, dev.encode() + b"\0"
            )
        self.to = (sa.dst, 0)

    def send(self, packets):
        """Send them all; a full queue is waited for."""
        for packet in packets:
            while True:
                try:
                    self.socket.sendto(packet, self.to)
                    break
                except OSError as e:
                    if e.errno not in (errno.EAGAIN, errno.ENOBUFS):
                        raise
                    time.sleep(0.001)
        return len(packets)


def batch_line(sa, inner, sender, line):
    """Do one line of a batch; returns how many packets were sent, None if none."""
    words = line.split("#")[0].split()
    if not words:
        return None
    if words[0] == "sleep":
        time.sleep(float(words[1]))
        return None
    options = dict(w.split("=", 1) for w in words[3:])
    return sender.send(
        make(sa, inner, words[0], int(words[1], 0), int(words[2], 0),
             **typed(words[0], options))
    )


def typed(name, options):
    """Give the options of a case the types of their defaults."""
    if name not in CASES:
        raise ValueError(f"no case {name}")
    known = case_options(CASES[name]) | {"count": 1}
    for key in options:
        if key.replace("-", "_") not in known:
            raise ValueError(f"case {name} has no option {key}")
    return {
        k.replace("-", "_"): v if isinstance(known[k.replace("-", "_")], str)
        else int(v, 0)
        for k, v in options.items()
    }


def arguments():
    """The command line. Options of the cases come from the cases."""
    texts = []
    for name, case in CASES.items():
        options = " ".join(f"{k}={v}" for k, v in case_options(case).items())
        texts.append(f"  {name:<20} {options:<24} {case.__doc__}")
    p = argparse.ArgumentParser(
        description=__doc__ + "\n".join(texts),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument("--sa", required=True, metavar="FILE", help="JSON, one SA")
    p.add_argument("--inner", metavar="WHAT",
                   help="udp:SRC:SPORT:DST:DPORT:LEN (IPv6 in []), or hex:...")
    p.add_argument("--dev", help="device to send by")
    p.add_argument("--mac", help="next hop's MAC address: send past the IP stack")
    p.add_argument("--batch", action="store_true", help="cases from standard input")
    p.add_argument("--case", choices=CASES, default="valid")
    p.add_argument("--subspace", type=lambda s: int(s, 0), default=0)
    p.add_argument("--sn", type=lambda s: int(s, 0), default=1)
    own = {k for case in CASES.values() for k in case_options(case)}
    for key in sorted(own | {"count"}):
        p.add_argument(f"--{key.replace('_', '-')}")
    p.add_argument("--pcap", metavar="FILE", help="packets of a capture, unchanged")
    args = p.parse_args()
    if not args.pcap and not args.inner:
        p.error("--inner is needed, but for --pcap")
    args.options = {
        k: v for k in own | {"count"} if (v := getattr(args, k)) is not None
    }
    return args


def main():
    """One case or a batch."""
    args = arguments()
    try:
        (sa,) = esp64.load_sas(args.sa)
        sender = Sender(sa, args.dev, args.mac)
        if args.pcap:
            print(f"sent {sender.send(list(pcap.read(args.pcap)))}")
            return 0
        inner = inner_maker(args.inner)
        if not args.batch:
            options = typed(args.case, args.options)
            packets = make(sa, inner, args.case, args.subspace, args.sn, **options)
            print(f"sent {sender.send(packets)}")
            return 0
        for line in sys.stdin:
            sent = batch_line(sa, inner, sender, line)
            if sent is not None:
                print(f"sent {sent}", flush=True)
    except (OSError, ValueError, IndexError, KeyError) as e:
        print(f"inject.py: {type(e).__name__}: {e}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
