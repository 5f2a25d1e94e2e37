# SPDX-License-Identifier: GPL-2.0-only
"""The wire format esp64, written from its description and not from the module.

esp64, tunnel mode, trailer `end`, explicit IV, AES-GCM:

    IP header | SPI 32 | Subspace ID 16 | SN 48 | IV 64 | C | ICV

    N     = Subspace ID << 48 | SN         IV  = N, as far as the sender goes
    AAD   = SPI | N (12 octets)            nonce = salt (4) | IV (8)
    P     = inner packet | 1, 2, 3, ... | Pad Length | Next Header
    len P = multiple of 4

Documentation/wire-formats.rst is the full text. The decoder is strict: what
it accepts is what a correct sender makes, which is less than what a receiver
has to put up with.
"""

import ipaddress
import json
import struct
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

PROTO_IPIP = 4
PROTO_ESP = 50
PROTO_NONE = 59
PROTO_IPV6 = 41

HEADER_LEN = 12
IV_LEN = 8
SN_BITS = 48
SN_MAX = (1 << SN_BITS) - 1

ADDRESS_PROTO = {4: PROTO_IPIP, 6: PROTO_IPV6}


class DecodeError(ValueError):
    """Base of everything that decode() finds wrong with a packet."""


class BadOuter(DecodeError):
    """The outer IP header is not what the SA's sender would write."""


class BadSpi(DecodeError):
    """The SPI is not the SA's."""


class BadSubspace(DecodeError):
    """The Subspace ID is not below the SA's number of subspaces."""


class BadNumber(DecodeError):
    """The Sequence Number is 0."""


class Truncated(DecodeError):
    """Too short for header, IV, trailer and ICV, or not a multiple of 4."""


class BadIcv(DecodeError):
    """Authentication failed."""


class BadPadLength(DecodeError):
    """Pad Length says more than there is."""


class BadPadding(DecodeError):
    """The padding is not 1, 2, 3, ..."""


class BadNextHeader(DecodeError):
    """Next Header does not belong in tunnel mode."""


class BadInner(DecodeError):
    """The inner packet is not of Next Header's family, or not of its length."""


@dataclass(frozen=True)
class SA:
    """One direction of an SA. key is key and salt together, icv in octets."""

    spi: int
    key: bytes
    icv: int
    src: str
    dst: str
    subspaces: int = 1 << 16

    def __post_init__(self):
        if len(self.key) not in (20, 28, 36):
            raise ValueError(f"key is {len(self.key)} octets, not 20, 28, 36")
        if self.icv not in (8, 12, 16):
            raise ValueError(f"ICV is {self.icv} octets, not 8, 12, 16")
        if not 1 <= self.subspaces <= 1 << 16:
            raise ValueError(f"{self.subspaces} subspaces, not 1..65536")
        if len(self.src_octets) != len(self.dst_octets):
            raise ValueError("outer addresses of different families")

    @classmethod
    def from_dict(cls, d):
        """From the words of `ip xfrm state`: spi, key, icv in bits, src, dst."""
        known = {"spi", "key", "icv", "src", "dst", "subspaces"}
        if set(d) - known:
            raise ValueError(f"unknown: {', '.join(sorted(set(d) - known))}")
        spi = d["spi"]
        return cls(
            spi=spi if isinstance(spi, int) else int(spi, 0),
            key=bytes.fromhex(d["key"].removeprefix("0x")),
            icv=int(d.get("icv", 128)) // 8,
            src=d["src"],
            dst=d["dst"],
            subspaces=int(d.get("subspaces", 1 << 16)),
        )

    @cached_property
    def salt(self):
        """The part of the nonce that is not on the wire."""
        return self.key[-4:]

    @cached_property
    def cipher(self):
        """AES with the SA's key, for a GCM mode object per packet."""
        return algorithms.AES(self.key[:-4])

    @cached_property
    def src_octets(self):
        """Outer source address."""
        return ipaddress.ip_address(self.src).packed

    @cached_property
    def dst_octets(self):
        """Outer destination address."""
        return ipaddress.ip_address(self.dst).packed

    @property
    def version(self):
        """Outer IP version."""
        return 4 if len(self.dst_octets) == 4 else 6


class Packet(NamedTuple):
    """What decode() found. For a dummy packet (59), inner is what it carried."""

    subspace: int
    sn: int
    iv: bytes
    next_header: int
    inner: bytes


def load_sas(path):
    """The SAs of a JSON file: one object, or a list of them."""
    with open(path, encoding="utf-8") as f:
        data = json.load(f)
    return [SA.from_dict(d) for d in (data if isinstance(data, list) else [data])]


def checksum(data):
    """The Internet checksum: 2^16 is 1 modulo 65535, so one division does it."""
    if len(data) & 1:
        data += b"\0"
    return -int.from_bytes(data, "big") % 0xFFFF


# --- making packets ---------------------------------------------------------


def number(subspace, sn):
    """N, the 64-bit number."""
    if not 0 <= subspace < 1 << 16 or not 0 <= sn <= SN_MAX:
        raise ValueError(f"no such number: subspace {subspace}, SN {sn}")
    return subspace << SN_BITS | sn


def plaintext(payload, next_header, pad_extra=0):
    """P: payload, least padding plus pad_extra octets, trailer."""
    pad = -(len(payload) + 2) % 4 + pad_extra
    return payload + bytes(range(1, pad + 1)) + bytes((pad, next_header))


def seal(sa, subspace, sn, plain, iv=None):
    """The ESP packet, from SPI to ICV, around any plaintext."""
    n = number(subspace, sn)
    iv = n.to_bytes(8, "big") if iv is None else iv
    aad = struct.pack("!IQ", sa.spi, n)
    gcm = Cipher(sa.cipher, modes.GCM(sa.salt + iv)).encryptor()
    gcm.authenticate_additional_data(aad)
    sealed = gcm.update(plain) + gcm.finalize()
    return aad + iv + sealed + gcm.tag[: sa.icv]


def wrap(sa, esp):
    """Put the outer IP header before an ESP packet, whole or mutilated."""
    if sa.version == 6:
        head = struct.pack("!IHBB", 6 << 28, len(esp), PROTO_ESP, 64)
        return head + sa.src_octets + sa.dst_octets + esp
    fields = [0x45, 0, 20 + len(esp), 0, 0x4000, 64, PROTO_ESP, 0]
    addresses = sa.src_octets + sa.dst_octets
    fields[-1] = checksum(struct.pack("!BBHHHBBH", *fields) + addresses)
    return struct.pack("!BBHHHBBH", *fields) + addresses + esp


def encode(sa, subspace, sn, inner, *, pad_extra=0, iv=None, next_header=None):
    """The outer IP packet. Next Header follows the inner version by default."""
    if next_header is None:
        next_header = ADDRESS_PROTO[inner[0] >> 4]
    plain = plaintext(inner, next_header, pad_extra)
    return wrap(sa, seal(sa, subspace, sn, plain, iv))


# --- taking packets apart ---------------------------------------------------


def unwrap(sa, packet):
    """The ESP packet in an outer IP packet from the SA's sender."""
    version = packet[0] >> 4 if packet else 0
    if version != sa.version:
        raise BadOuter(f"version {version}")
    if version == 6:
        if len(packet) < 40 or packet[6] != PROTO_ESP:
            raise BadOuter("not an IPv6 header with ESP behind it")
        if int.from_bytes(packet[4:6], "big") != len(packet) - 40:
            raise BadOuter("Payload Length is not the packet's")
        addresses, esp = packet[8:40], packet[40:]
    else:
        if len(packet) < 20 or packet[0] != 0x45 or packet[9] != PROTO_ESP:
            raise BadOuter("not an IPv4 header with ESP behind it")
        if int.from_bytes(packet[2:4], "big") != len(packet):
            raise BadOuter("Total Length is not the packet's")
        if int.from_bytes(packet[6:8], "big") & 0x3FFF:
            raise BadOuter("a fragment")
        if checksum(packet[:20]):
            raise BadOuter("header checksum")
        addresses, esp = packet[12:20], packet[20:]
    if addresses != sa.src_octets + sa.dst_octets:
        raise BadOuter("addresses are not the SA's")
    return esp


def unseal(sa, esp):
    """Undo seal(): subspace, SN, IV and plaintext of an ESP packet."""
    if len(esp) < HEADER_LEN + IV_LEN + 4 + sa.icv or len(esp) % 4:
        raise Truncated(f"ESP packet of {len(esp)} octets")
    spi, n = struct.unpack_from("!IQ", esp)
    if spi != sa.spi:
        raise BadSpi(f"{spi:#x}")
    subspace, sn = n >> SN_BITS, n & SN_MAX
    if subspace >= sa.subspaces:
        raise BadSubspace(f"{subspace} of {sa.subspaces}")
    if not sn:
        raise BadNumber(f"SN 0 in subspace {subspace}")
    iv = esp[HEADER_LEN : HEADER_LEN + IV_LEN]
    gcm = Cipher(
        sa.cipher, modes.GCM(sa.salt + iv, esp[-sa.icv :], min_tag_length=8)
    ).decryptor()
    gcm.authenticate_additional_data(esp[:HEADER_LEN])
    plain = gcm.update(esp[HEADER_LEN + IV_LEN : -sa.icv])
    try:
        gcm.finalize()
    except InvalidTag:
        raise BadIcv(f"subspace {subspace}, SN {sn}") from None
    return subspace, sn, iv, plain


def split_plaintext(plain):
    """Undo plaintext(): Next Header and payload."""
    pad, next_header = plain[-2], plain[-1]
    end = len(plain) - 2 - pad
    if end < 0:
        raise BadPadLength(f"{pad} in {len(plain)} octets")
    if plain[end:-2] != bytes(range(1, pad + 1)):
        raise BadPadding(plain[end:-2].hex())
    return next_header, plain[:end]


def inner_length(inner):
    """The length that an IP packet's own header gives, or None."""
    if len(inner) >= 20 and inner[0] >> 4 == 4:
        return int.from_bytes(inner[2:4], "big")
    if len(inner) >= 40 and inner[0] >> 4 == 6:
        return 40 + int.from_bytes(inner[4:6], "big")
    return None


def decode(sa, packet):
    """Take an outer IP packet apart; a DecodeError says what is wrong with it."""
    subspace, sn, iv, plain = unseal(sa, unwrap(sa, packet))
    next_header, inner = split_plaintext(plain)
    if next_header != PROTO_NONE:
        if next_header not in (PROTO_IPIP, PROTO_IPV6):
            raise BadNextHeader(str(next_header))
        if not inner or ADDRESS_PROTO.get(inner[0] >> 4) != next_header:
            raise BadInner(f"Next Header {next_header}, inner {inner[:1].hex()}")
        if inner_length(inner) != len(inner):
            raise BadInner(f"{len(inner)} octets, header says otherwise")
    return Packet(subspace, sn, iv, next_header, inner)
