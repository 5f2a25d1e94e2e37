# SPDX-License-Identifier: GPL-2.0-only
"""EESP, written from the draft (draft-ietf-ipsecme-eesp-04, draft-ietf-ipsecme-eesp-ikev2-02)
and not from the module.

    outer headers | base header 8 | options | SN 8 | IV 8 | PIH 4 | payload, padding | ICV
                    `------------------- AAD -----------'   `-------- P, sent as C -'

    base header   1 | Version 4 | R 3 | Opt Len 8 | Session ID 16 | SPI 32
    SN            absent if the SA has no replay protection
    IV            absent if it is implicit: then it is the SN
    PIH           0 8 | 0 8 | Next Header 8 | Pad Length 8
                  in the full format: not in tunnel mode, but with a Crypt Offset option

With a Crypt Offset option, what it exposes of P is part of the AAD, and is not encrypted.

Where the draft is silent or contradicts itself, Documentation/eesp-notes.rst says what is done
here, and why. open_packet() is a receiver, as lax as the draft has it; decode() is strict: what
it accepts is what a correct sender makes. Memory, of what has been sent and received, is in
eesp_peer.py.
"""

import json
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import ciphers
import eesp_keys
import eesp_options
import iphdr
from eesp_errors import (BadAlignment, BadCryptOffset, BadFormat, BadOption, BadReserved, BadSubSa,
                         BadVersion, CryptOffsetTooLarge, Fragment, NotEesp, UnknownOption)
from eesp_options import CryptOffset, Numbers, Option
from errors import (BadIcv, BadInfoWord, BadInner, BadNextHeader, BadNumber, BadPadding,
                    BadPadLength, BadSpi, Truncated)
from iphdr import PROTO_IPIP, PROTO_IPV6, PROTO_NONE
from outer import ADDRESS_PROTO, Addresses, enter, leave, leave_strictly, split, wrap

MODES = ("tunnel", "transport", "beet")
BASE_LEN, SN_LEN, PIH_LEN = 8, 8, 4
SN_MAX = (1 << 64) - 1
SESSION_MAX = (1 << 16) - 1
PAD_MAX = 255
# RFC 3692: for experiments, until IANA has assigned one
PROTO_EXPERIMENT = 253


@dataclass(frozen=True)
class SA(Addresses):
    """One direction of an SA.

    key          key and salt; with an SSKDF the root key, and cipher_key the octets of key,
                 without salt, that each Sub SA has
    sn           "64", or "none": no replay protection
    max_sub_sa   the largest Sub SA ID that the receiver takes
    crypt_offset what the sender leaves in clear, in words; None: it sends no such option
    max_crypt_offset  the most that the receiver takes; None: no such option
    options      of a sender's own, for tests
    inner        BEET's inner source and destination; encap the ports of UDP, in this order
    sub_ports    Sub SAs above 0 may come from ports of their own
    """

    spi: int
    key: bytes = field(repr=False)
    src: str
    dst: str
    icv: int = 16
    aead: str = "rfc4106(gcm(aes))"
    iv: str = "explicit"
    sn: str = "64"
    sskdf: str | None = None
    cipher_key: int = 0
    max_sub_sa: int = SESSION_MAX
    mode: str = "tunnel"
    inner: tuple[str, str] | None = None
    beet_frag: bool = False
    encap: tuple[int, int] | None = None
    sub_ports: bool = True
    crypt_offset: int | None = None
    max_crypt_offset: int | None = None
    options: tuple[Option, ...] = ()
    unknown_options: str = "skip"
    version_number: int = 0
    numbers: Numbers = Numbers()
    proto: int = PROTO_EXPERIMENT
    flags: tuple[str, ...] = ()
    ttl: int = 64

    def __post_init__(self):
        # Refuses keys and ICVs of other lengths
        suite = self.suite(0)
        if self.mode not in MODES:
            raise ValueError(f"mode {self.mode}, not one of {', '.join(MODES)}")
        if self.iv not in ("explicit", "implicit") or self.iv == "implicit" and not suite.implicit:
            raise ValueError(f"IV {self.iv} of this algorithm")
        if self.sn not in ("64", "none") or self.sn == "none" and self.iv == "implicit":
            raise ValueError(f"SN {self.sn} with IV {self.iv}")
        if not self.sskdf and self.cipher_key:
            raise ValueError("a key length for Sub SAs, and no SSKDF")
        for name, most in (("max_sub_sa", SESSION_MAX), ("crypt_offset", eesp_options.OFFSET_MAX),
                           ("max_crypt_offset", eesp_options.OFFSET_MAX), ("version_number", 15),
                           ("proto", 255), ("spi", (1 << 32) - 1)):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= most:
                raise ValueError(f"{name} {value}, not 0..{most}")
        if len(set(self.numbers)) != 3 or not all(0 <= n <= 255 for n in self.numbers):
            raise ValueError(f"option types {self.numbers}")
        if self.unknown_options not in ("skip", "refuse"):
            raise ValueError(f"unknown options: {self.unknown_options}")
        if len(self.src_octets) != len(self.dst_octets):
            raise ValueError("outer addresses of different families")
        if (self.inner is not None) != (self.mode == "beet"):
            raise ValueError("inner addresses are BEET's, and BEET needs them")
        if self.inner and (len(self.inner) != 2 or len(self.inner_addresses) not in (8, 32)):
            raise ValueError("inner addresses of different families, or not two")
        if self.encap and (
            len(self.encap) != 2 or not all(0 < port < 1 << 16 for port in self.encap)
        ):
            raise ValueError(f"encap {self.encap}, not two ports")

    @classmethod
    def from_dict(cls, words):
        """From the words of a JSON file: spi, key, src, dst, icv in bits, key lengths too."""
        words = dict(words)
        spi = words.pop("spi")
        made = {
            "spi": spi if isinstance(spi, int) else int(spi, 0),
            "key": bytes.fromhex(words.pop("key").removeprefix("0x")),
            "icv": int(words.pop("icv", 128)) // 8,
            "cipher_key": int(words.pop("cipher_key", 0)) // 8,
            "numbers": Numbers(*words.pop("numbers", Numbers())),
            "options": tuple(Option(kind, None if data is None else bytes.fromhex(data))
                             for kind, data in words.pop("options", ())),
        }
        for name in ("inner", "encap", "flags"):
            if words.get(name):
                made[name] = tuple(words.pop(name))
        return cls(**made, **words)

    @cached_property
    def _suites(self):
        """Of the Sub SAs that have been used."""
        return {}

    def suite(self, session):
        """What protects the packets with that Session ID."""
        session = session if self.sskdf else 0
        if session not in self._suites:
            key, kind = self.key, eesp_keys.AEADS[self.aead]
            if self.sskdf:
                if self.cipher_key not in kind.key_lens:
                    raise ValueError(f"Sub SAs' keys of {self.cipher_key} octets, without salt")
                key = eesp_keys.derive(self.sskdf, key, session, self.cipher_key + kind.salt_len)
            self._suites[session] = kind(key, self.icv)
        return self._suites[session]

    def takes_ports(self, ports):
        """Whether its packets in UDP may come with these: the receiver learns a Sub SA's
        source port when its packets come (section 6.1)."""
        return ports[1] == self.encap[1] and (ports == self.encap or self.sub_ports)

    @property
    def sn_len(self):
        """Octets of SN on the wire."""
        return 0 if self.sn == "none" else SN_LEN

    @property
    def iv_len(self):
        """Octets of IV on the wire."""
        return 0 if self.iv == "implicit" else eesp_keys.AEADS[self.aead].iv_len


class Parts(NamedTuple):
    """An EESP packet, taken apart but for its payload. sn is None if there is none on the
    wire; crypt, what the Crypt Offset option says, or None."""

    session: int
    sn: int | None
    iv: bytes
    options: list[Option]
    crypt: CryptOffset | None
    header_len: int


class Packet(NamedTuple):
    """What a receiver finds. payload is what follows the PIH, without padding; inner the packet
    that is delivered, None of a dummy packet."""

    parts: Parts
    next_header: int
    payload: bytes
    padding: bytes
    inner: bytes | None = None

    @property
    def dummy(self):
        """Discarded, and nothing is wrong with it."""
        return self.next_header == PROTO_NONE


def load_sas(path):
    """The SAs of a JSON file: one object, or a list of them."""
    with open(path, encoding="utf-8") as f:
        data = json.load(f)
    return [SA.from_dict(d) for d in (data if isinstance(data, list) else [data])]


# --- making packets ---------------------------------------------------------


def alignment(sa, payload):
    """Section 2.5: where the next layer's header may begin. IPv6 is either family's."""
    families = {sa.version}
    if sa.mode == "tunnel":
        families.add(payload[0] >> 4 if payload else 4)
    elif sa.mode == "beet":
        families.add(sa.inner_version)
    return 8 if 6 in families else 4


def clamped(sa, payload):
    """The CryptOffset of that payload: section 3.1.2 has none larger than the inner packet."""
    if sa.crypt_offset is None:
        return None
    return min(sa.crypt_offset, len(payload) // 4)


def header(sa, session, sn, iv, crypt, align, options=()):
    """All up to IV. crypt: CryptOffset, or None; the option that says so stands first, what
    aligns stands last."""
    full = sa.mode != "tunnel" or crypt is not None
    numbers = sa.numbers
    others = list(options)
    first = [] if crypt is None else [CryptOffset(0, crypt).option(numbers)]
    size = len(eesp_options.joined(first + others))
    fixed = BASE_LEN + sa.sn_len + sa.iv_len + (PIH_LEN if full else 0)
    fill = eesp_options.padding(-(fixed + size) % align, numbers)
    opt_len = len(eesp_options.joined(first + others + fill))
    if first:
        words = (BASE_LEN + opt_len + sa.sn_len + sa.iv_len) // 4
        first = [CryptOffset(words, crypt).option(numbers)]
    base = bytes((0x80 | sa.version_number << 3, opt_len))
    base += session.to_bytes(2, "big") + sa.spi.to_bytes(4, "big")
    number = sn.to_bytes(8, "big") if sa.sn_len else b""
    return (base + eesp_options.joined(first + others + fill) + number
            + (iv if sa.iv_len else b""))


def enclose(sa, session, iv, head, crypt, plain):
    """The EESP packet of a header and any plaintext: with a good ICV, whatever they are."""
    clear = 4 * (crypt or 0)
    aad = head + plain[:clear]
    around = ciphers.Around(b"", aad, b"")
    return aad + sa.suite(session).seal(around, iv, plain[clear:])


def seal(sa, session, sn, payload, next_header=0, *, iv=None, pad_extra=0, crypt="sa", options=None,
         align=None):
    """The EESP packet, from its first octet to ICV. With SN None, sn is where the IV comes
    from. What is not given is as the SA has it."""
    if not 0 <= session <= SESSION_MAX or not 0 <= sn <= SN_MAX:
        raise ValueError(f"no such number: Session ID {session}, SN {sn}")
    if crypt == "sa":
        crypt = clamped(sa, payload)
    iv = sn.to_bytes(8, "big") if iv is None else iv
    head = header(sa, session, sn, iv, crypt, align or alignment(sa, payload),
                  sa.options if options is None else options)
    full = PIH_LEN if sa.mode != "tunnel" or crypt is not None else 0
    pad = -(full + len(payload)) % 4 + pad_extra
    if pad > PAD_MAX:
        raise ValueError(f"{pad} octets of padding, more than {PAD_MAX}")
    info = bytes((0, 0, next_header, pad)) if full else b""
    return enclose(sa, session, iv, head, crypt, info + payload + bytes(pad))


def encode(sa, session, sn, inner, *, ports=None, next_header=None, **how):
    """The outer IP packet. A ValueError says that a sender does not send it; how is what
    seal() takes besides."""
    if not sa.sskdf and session:
        raise ValueError(f"Session ID {session} without Sub SAs")
    if not sn:
        raise ValueError("0 is no sequence number")
    head, proto, payload = enter(sa, inner)
    if sa.mode == "tunnel" and iphdr.inner_length(inner) != len(inner):
        raise ValueError("not the length that its header says")
    packet = seal(sa, session, sn, payload, proto if next_header is None else next_header, **how)
    return wrap(sa, packet, head, ports)


# --- taking packets apart ---------------------------------------------------


def spi_of(packet):
    """The SPI of what looks like an EESP packet; without an SA, version and R are not known
    to be wrong."""
    if len(packet) < BASE_LEN or not packet[0] & 0x80:
        raise NotEesp(packet[:BASE_LEN].hex())
    return int.from_bytes(packet[4:8], "big")


def parse(sa, packet):
    """The Parts of an EESP packet: all that can be refused without a key."""
    spi = spi_of(packet)
    if packet[0] >> 3 & 15 != sa.version_number:
        raise BadVersion(f"{packet[0] >> 3 & 15}, not {sa.version_number}")
    if packet[0] & 7:
        raise BadReserved(f"{packet[0] & 7}")
    if spi != sa.spi:
        raise BadSpi(f"{spi:#x}")
    session = int.from_bytes(packet[2:4], "big")
    if sa.sskdf and session > sa.max_sub_sa:
        raise BadSubSa(f"{session}, more than {sa.max_sub_sa}")
    end = BASE_LEN + packet[1]
    size = end + sa.sn_len + sa.iv_len
    if size + sa.icv > len(packet):
        raise Truncated(f"{len(packet)} octets, {packet[1]} of options")
    options = eesp_options.parse(packet[BASE_LEN:end], sa.numbers)
    unknown = [option.kind for option in options if option.kind not in sa.numbers]
    if unknown and sa.unknown_options == "refuse":
        raise UnknownOption(f"types {unknown}")
    crypt = eesp_options.crypt_offset(options, sa.numbers)
    if crypt:
        if 4 * crypt.payload != size:
            raise BadCryptOffset(f"Payload Offset {4 * crypt.payload}, not {size}")
        if crypt.clear > len(packet) - sa.icv:
            raise BadCryptOffset(f"{crypt.clear} octets in clear, of {len(packet)} with ICV")
    sn = None
    if sa.sn_len:
        sn = int.from_bytes(packet[end : end + SN_LEN], "big")
        if not sn:
            raise BadNumber(f"SN {sn}, Session ID {session}")
    return Parts(session, sn, packet[size - sa.iv_len : size], options, crypt, size)


def open_packet(sa, packet, parts):
    """The plaintext of an EESP packet, what was sent in clear as well."""
    clear = parts.crypt.clear if parts.crypt else parts.header_len
    iv = parts.iv if sa.iv_len else parts.sn.to_bytes(8, "big")
    try:
        around = ciphers.Around(b"", packet[:clear], b"")
        plain = sa.suite(parts.session).open(around, iv, packet[clear:])
    except BadIcv:
        raise BadIcv(f"Session ID {parts.session}, SN {parts.sn}") from None
    return packet[parts.header_len : clear] + plain


def check_crypt_offset(sa, parts):
    """Whether so much was to be in clear: asked when the packet is known to be authentic, that
    it may be told from a forged one."""
    if parts.crypt and (sa.max_crypt_offset is None or parts.crypt.crypt > sa.max_crypt_offset):
        raise CryptOffsetTooLarge(f"{parts.crypt.crypt} words, {sa.max_crypt_offset} agreed")


def is_full(sa, parts, plain):
    """Whether there is a PIH. In tunnel mode the first nibble tells."""
    if sa.mode != "tunnel":
        return True
    if not plain:
        raise BadInner("nothing")
    nibble = plain[0] >> 4
    if nibble in (4, 6):
        if parts.crypt:
            raise BadFormat("a Crypt Offset option, and no Payload Info Header")
        return False
    # A peer may take the format for the SA's and not the packet's
    if nibble == 0 and sa.max_crypt_offset is not None:
        return True
    raise BadFormat(f"first octet {plain[:1].hex()}")


def split_plain(sa, parts, plain):
    """A Packet, of an authentic plaintext."""
    if not is_full(sa, parts, plain):
        next_header, size = ADDRESS_PROTO[plain[0] >> 4], iphdr.inner_length(plain)
        check_inner(plain, next_header)
        if not size <= len(plain) <= size + PAD_MAX:
            raise BadPadLength(f"{size} octets told, of {len(plain)}")
        return Packet(parts, next_header, plain[:size], plain[size:])
    if len(plain) < PIH_LEN:
        raise Truncated(f"{len(plain)} octets of plaintext")
    if plain[0] >> 4:
        raise BadInfoWord(plain[:PIH_LEN].hex())
    next_header, pad = plain[2:4]
    end = len(plain) - pad
    if end < PIH_LEN:
        raise BadPadLength(f"{pad} in {len(plain)} octets")
    payload = plain[PIH_LEN:end]
    if sa.mode == "tunnel" and next_header != PROTO_NONE:
        check_inner(payload, next_header)
        if iphdr.inner_length(payload) != len(payload):
            raise BadInner(f"{len(payload)} octets, the header says otherwise")
    return Packet(parts, next_header, payload, plain[end:])


def check_inner(payload, next_header):
    """Whether there is a header of the family."""
    if next_header not in (PROTO_IPIP, PROTO_IPV6):
        raise BadNextHeader(f"{next_header} in tunnel mode")
    size = iphdr.inner_length(payload)
    if size is None or ADDRESS_PROTO[payload[0] >> 4] != next_header:
        raise BadInner(f"Next Header {next_header}, inner {payload[:1].hex()}")
    # An IPv4 packet is no shorter than its header
    least = 4 * (payload[0] & 15) if next_header == PROTO_IPIP else 40
    if size < max(least, 20) or next_header == PROTO_IPIP and least < 20:
        raise BadInner(f"{size} octets told, of a header of {least}")


def split_outer(sa, packet):
    """Head and EESP packet of an outer IP packet from the SA's sender."""
    try:
        iphdr.parse(packet)
        fragment = iphdr.is_fragment(packet)
    except (ValueError, IndexError):
        fragment = False
    if fragment:
        raise Fragment("a fragment")
    return split(sa, packet)


def check_strictly(sa, packet, plain):
    """What a receiver does not look at, and a sender MUST do, or what ours does."""
    parts = packet.parts
    full = len(plain) != len(packet.payload) + len(packet.padding)
    at = parts.header_len + (PIH_LEN if full else 0)
    if at % alignment(sa, packet.payload):
        raise BadAlignment(f"{at}")
    for option in parts.options:
        if option.kind == sa.numbers.padn and any(option.data):
            raise BadOption(f"PadN with {option.data.hex()}")
    if parts.crypt and parts.crypt.reserved:
        raise BadCryptOffset("reserved bits")
    if parts.crypt and 4 * parts.crypt.crypt > len(packet.payload):
        raise BadCryptOffset(f"{parts.crypt.crypt} words, inner {len(packet.payload)} octets")
    if not sa.sskdf and parts.session:
        raise BadSubSa(f"Session ID {parts.session} without Sub SAs")
    if full and plain[:2] != b"\0\0":
        raise BadInfoWord(plain[:PIH_LEN].hex())
    if full and sa.mode == "tunnel" and not parts.crypt:
        raise BadFormat("full format in tunnel mode, no Crypt Offset option")
    if any(packet.padding):
        raise BadPadding(packet.padding.hex())
    if len(plain) % 4:
        raise Truncated(f"{len(plain)} octets of plaintext")


def decode(sa, packet):
    """Take an outer IP packet apart, strictly; a DecodeError says what is wrong with it."""
    head, eesp = split_outer(sa, packet)
    parts = parse(sa, eesp)
    plain = open_packet(sa, eesp, parts)
    check_crypt_offset(sa, parts)
    found = split_plain(sa, parts, plain)
    check_strictly(sa, found, plain)
    if found.dummy:
        return found
    return found._replace(inner=leave_strictly(sa, head, found.next_header, found.payload))


def deliver(sa, head, found):
    """The Packet with the inner packet, as a receiver makes it."""
    if found.dummy:
        return found
    return found._replace(inner=leave(sa, head, found.next_header, found.payload))


def opened(sa, packet):
    """An EESP packet as it is without its key: header and plaintext."""
    parts = parse(sa, packet)
    return packet[: parts.header_len] + open_packet(sa, packet, parts)
