# SPDX-License-Identifier: GPL-2.0-only
"""The wire formats esp64 and esp, written from their description and not from the
module.

    outer headers | header | IV | C | ICV

    esp64   SPI 32 | Subspace ID 16 | SN 48       N = Subspace ID << 48 | SN
    esp     SPI 32 | SN 32                        N = SN, with ESN 64 bits of it

    AEADs: IV = N, as far as the sender goes, sent or implicit
    AAD   = header; of esp with ESN SPI | N       nonce = salt | IV
    P     = with its trailer (trailer.py) a multiple of four octets or of blocks

What protects it is in ciphers.py; what the outer headers and the payload are is the
mode's: outer.py, and beet.py for BEET's pseudo header. Documentation/wire-formats.rst is
the full text. The decoder is strict: what it accepts is what a correct sender makes, which
is less than what a receiver has to put up with.
"""

import json
import os
import struct
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import ciphers
import echo
# What others take from here
# pylint: disable=unused-import
from errors import (BadFragment, BadIcv, BadInfoWord, BadInner, BadNextHeader, BadNumber, BadOptions,
                    BadOuter, BadPadding, BadPadLength, BadPseudoHeader, BadSpi, BadSubspace,
                    BadUdp, DecodeError, Truncated)
from beet import parse_pseudo_header, pseudo_header
from iphdr import PROTO_BEETPH, PROTO_ESP, PROTO_IPIP, PROTO_IPV6, PROTO_NONE
from iphdr import checksum, inner_length
from outer import ADDRESS_PROTO, Addresses, enter, leave, leave_strictly, split, wrap
from trailer import TRAILERS, find, plaintext, split_plaintext
# pylint: enable=unused-import

SN_BITS = 48
SN_MAX = (1 << SN_BITS) - 1

MODES = ("tunnel", "transport", "beet")
# Of `ip xfrm state`, those that change an outer header
SA_FLAGS = {"noecn", "nopmtudisc", "dont-encap-dscp"}


@dataclass(frozen=True)
class SA(Addresses):
    """One direction of an SA. key is key and salt together, icv in octets; enc and
    auth instead of aead make a pair; inner is BEET's inner source and destination, encap
    the ports of UDP, in this order. tfcpad is for the strict decoder; flags (of SA_FLAGS) and
    ttl, what its sender puts into outer headers of tunnel mode, for who judges them."""

    spi: int
    key: bytes
    icv: int
    src: str
    dst: str
    subspaces: int = 1 << 16
    mode: str = "tunnel"
    inner: tuple[str, str] | None = None
    beet_frag: bool = False
    encap: tuple[int, int] | None = None
    format: str = "esp64"
    esn: bool = False
    trailer: str = "end"
    iv: str = "explicit"
    aead: str = "rfc4106(gcm(aes))"
    enc: str | None = None
    auth: str | None = None
    auth_key: bytes = b""
    tfcpad: int = 0
    flags: tuple[str, ...] = ()
    ttl: int = 64

    def __post_init__(self):
        # Refuses keys and ICVs of other lengths
        implicit = self.suite.implicit
        if self.format not in ("esp64", "esp") or self.trailer not in TRAILERS:
            raise ValueError(f"format {self.format}, trailer {self.trailer}")
        if self.format == "esp" and self.subspaces != 1:
            raise ValueError(f"{self.subspaces} subspaces in format esp")
        if self.esn and self.format != "esp":
            raise ValueError("ESN is format esp's")
        if self.iv not in ("explicit", "implicit") or self.iv == "implicit" and not implicit:
            raise ValueError(f"IV {self.iv} of this algorithm")
        if self.trailer == "omit" and self.mode != "tunnel":
            raise ValueError("trailer omit is tunnel mode's")
        if not 1 <= self.subspaces <= 1 << 16:
            raise ValueError(f"{self.subspaces} subspaces, not 1..65536")
        if len(self.src_octets) != len(self.dst_octets):
            raise ValueError("outer addresses of different families")
        if self.mode not in MODES:
            raise ValueError(f"mode {self.mode}, not one of {', '.join(MODES)}")
        if (self.inner is not None) != (self.mode == "beet"):
            raise ValueError("inner addresses are BEET's, and BEET needs them")
        if self.inner and (len(self.inner) != 2 or len(self.inner_addresses) not in (8, 32)):
            raise ValueError("inner addresses of different families, or not two")
        if set(self.flags) - SA_FLAGS:
            raise ValueError(f"flags {self.flags}")
        if self.beet_frag and self.mode != "beet":
            raise ValueError("beet_frag is BEET's")
        if self.encap and (
            len(self.encap) != 2 or not all(0 < port < 1 << 16 for port in self.encap)
        ):
            raise ValueError(f"encap {self.encap}, not two ports")

    @classmethod
    def from_dict(cls, d):
        """From the words of `ip xfrm state`: spi, key, icv in bits, src, dst."""
        known = {"spi", "key", "icv", "src", "dst", "subspaces", "mode", "inner",
                 "beet_frag", "encap", "format", "esn", "trailer", "iv", "aead", "enc", "auth",
                 "auth_key", "tfcpad", "flags", "ttl"}
        if set(d) - known:
            raise ValueError(f"unknown: {', '.join(sorted(set(d) - known))}")
        spi = d["spi"]
        return cls(
            spi=spi if isinstance(spi, int) else int(spi, 0),
            key=bytes.fromhex(d["key"].removeprefix("0x")),
            icv=int(d.get("icv", 128)) // 8,
            src=d["src"],
            dst=d["dst"],
            subspaces=int(d.get("subspaces", 1 if d.get("format") == "esp" else 1 << 16)),
            mode=d.get("mode", "tunnel"),
            inner=tuple(d["inner"]) if d.get("inner") else None,
            beet_frag=bool(d.get("beet_frag", False)),
            encap=tuple(int(port) for port in d["encap"]) if d.get("encap") else None,
            auth_key=bytes.fromhex(d.get("auth_key", "").removeprefix("0x")),
            esn=bool(d.get("esn", False)),
            tfcpad=int(d.get("tfcpad", 0)),
            flags=tuple(d.get("flags", ())),
            ttl=int(d.get("ttl", 64)),
            **{k: d[k] for k in ("format", "trailer", "iv", "aead", "enc", "auth") if k in d},
        )

    # The IP protocol
    proto = PROTO_ESP

    def takes_ports(self, ports):
        """Whether its packets in UDP may come with these."""
        return ports == self.encap

    @cached_property
    def suite(self):
        """What protects its packets."""
        return ciphers.suite(self.key, self.icv, self.aead, self.enc, self.auth, self.auth_key)

    @property
    def header_len(self):
        """Octets before the IV."""
        return 12 if self.format == "esp64" else 8

    @property
    def iv_len(self):
        """Octets of IV on the wire."""
        return 0 if self.iv == "implicit" else self.suite.iv_len

    @property
    def align(self):
        """What the plaintext is a multiple of."""
        return self.suite.align

    @property
    def sn_max(self):
        """The last sequence number."""
        return SN_MAX if self.format == "esp64" or self.esn else (1 << 32) - 1


class Packet(NamedTuple):
    """What decode() found; next_header is the trailer's, inner the packet that is
    delivered. For a dummy packet (59) and ESP Echo (144), inner is what it carried."""

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


# --- making packets ---------------------------------------------------------


def number(sa, subspace, sn):
    """N, the 64-bit number."""
    if not 0 <= subspace < (1 << 16 if sa.format == "esp64" else 1) or not 0 <= sn <= sa.sn_max:
        raise ValueError(f"no such number: subspace {subspace}, SN {sn}")
    return subspace << SN_BITS | sn


def around(sa, n):
    """The header of that number, and what else authenticates it."""
    if sa.format == "esp64":
        header = struct.pack("!IQ", sa.spi, n)
        return ciphers.Around(header, header, b"")
    header = struct.pack("!II", sa.spi, n & 0xFFFFFFFF)
    if not sa.esn:
        return ciphers.Around(header, header, b"")
    return ciphers.Around(header, struct.pack("!IQ", sa.spi, n), struct.pack("!I", n >> 32))


def seal(sa, subspace, sn, plain, iv=None):
    """The ESP packet, from SPI to ICV, around any plaintext."""
    n = number(sa, subspace, sn)
    if iv is None:
        counted = n.to_bytes(8, "big") if sa.suite.iv_len else b""
        iv = counted if sa.suite.counted else os.urandom(sa.suite.iv_len)
    parts = around(sa, n)
    sealed = sa.suite.seal(parts, iv, plain)
    return parts.header + (iv if sa.iv == "explicit" else b"") + sealed


def enclose(sa, subspace, sn, plain, head=None):
    """The outer packet around any plaintext, with a good ICV."""
    return wrap(sa, seal(sa, subspace, sn, plain), head)


def encode(sa, subspace, sn, inner, *, pad_extra=0, iv=None, next_header=None):
    """The outer IP packet. Next Header follows the inner packet by default. A
    ValueError says that transport mode or BEET do not carry this packet."""
    head, proto, payload = enter(sa, inner)
    plain = plaintext(sa, payload, proto if next_header is None else next_header, pad_extra)
    return wrap(sa, seal(sa, subspace, sn, plain, iv), head)


# --- taking packets apart ---------------------------------------------------


def unwrap(sa, packet):
    """The ESP packet in an outer IP packet from the SA's sender."""
    return split(sa, packet)[1]


def esn_number(top, window, low):
    """The whole of a number with that lower half, the highest accepted being top: RFC
    4303 appendix A2.2. None if it would be negative."""
    high, edge = top >> 32, (top & 0xFFFFFFFF) - window + 1
    if edge >= 0:
        # Case A: the window is in one subspace of 2^32
        return (high if low >= edge else high + 1) << 32 | low
    # Case B: it spans two
    high = high - 1 if low >= edge + (1 << 32) else high
    return high << 32 | low if high >= 0 else None


def read_number(sa, esp, top=0, window=1 << 16):
    """Subspace and SN of an ESP packet; with ESN None for one that cannot be."""
    if sa.format == "esp64":
        n = int.from_bytes(esp[4:12], "big")
        return n >> SN_BITS, n & SN_MAX
    sn = int.from_bytes(esp[4:8], "big")
    if sa.esn:
        sn = esn_number(top, window, sn)
        if sn is not None and sn > sa.sn_max:
            sn = None
    return 0, sn


def unseal(sa, esp, top=0, window=1 << 16):
    """Undo seal(): subspace, SN, IV and plaintext of an ESP packet. With ESN, top is the
    highest number before."""
    sealed = len(esp) - sa.header_len - sa.iv_len - sa.icv
    if sealed < sa.align or sealed % sa.align:
        raise Truncated(f"ESP packet of {len(esp)} octets")
    spi = int.from_bytes(esp[:4], "big")
    if spi != sa.spi:
        raise BadSpi(f"{spi:#x}")
    subspace, sn = read_number(sa, esp, top, window)
    if subspace >= sa.subspaces:
        raise BadSubspace(f"{subspace} of {sa.subspaces}")
    if not sn:
        raise BadNumber(f"SN {sn} in subspace {subspace}")
    n = number(sa, subspace, sn)
    iv = esp[sa.header_len : sa.header_len + sa.iv_len]
    used = iv if sa.iv == "explicit" else n.to_bytes(8, "big")
    try:
        plain = sa.suite.open(around(sa, n), used, esp[sa.header_len + sa.iv_len :])
    except BadIcv:
        raise BadIcv(f"subspace {subspace}, SN {sn}") from None
    return subspace, sn, used, plain


def opened(sa, esp):
    """An ESP packet as it is without its key: header, IV and plaintext. What two SAs with the
    same numbers have sent can be compared so."""
    *_, plain = unseal(sa, esp)
    return esp[: sa.header_len + sa.iv_len] + plain


def decode(sa, packet, top=0):
    """Take an outer IP packet apart; a DecodeError says what is wrong with it."""
    head, esp = split(sa, packet)
    subspace, sn, iv, plain = unseal(sa, esp, top)
    next_header, inner = split_plaintext(sa, plain)
    if next_header != PROTO_NONE and not echo.is_echo(next_header, inner):
        inner = leave_strictly(sa, head, next_header, inner)
    return Packet(subspace, sn, iv, next_header, inner)
