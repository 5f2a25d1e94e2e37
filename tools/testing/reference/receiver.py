# SPDX-License-Identifier: GPL-2.0-only
"""What a receiver has to do with a packet, told from the rules alone.

Documentation/wire-formats.rst, Documentation/counters.rst and RFC 4303 section
3.4, with a set of all numbers seen instead of a bitmap. Unlike esp64.decode()
this is no stricter than a receiver may be, and it has a memory.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

import echo
import esp64


class Verdict(NamedTuple):
    """The counter that moves; if accepted, what RX octets count (all between IV and
    padding), and the inner packet as it is delivered, if the head was given."""

    counter: str
    payload: bytes | None = None
    inner: bytes | None = None


@dataclass
class Subspace:
    """The window of a subspace, and what `ip -s xfrm state` says of it."""

    highest: int = 0
    seen: set = field(default_factory=set)
    replays: int = 0
    too_old: int = 0
    backtrack: int = 0

    def verdict(self, sn, window):
        """The counter for an unwanted number, or None."""
        if sn + window <= self.highest:
            self.too_old += 1
            return "rx-too-old"
        if sn in self.seen:
            self.replays += 1
            return "rx-replay"
        return None

    def accept(self, sn):
        """Take a number into the window."""
        self.backtrack = max(self.backtrack, self.highest - sn)
        self.highest = max(self.highest, sn)
        self.seen.add(sn)


class Receiver:
    """An SA's receiving end."""

    def __init__(self, sa, window):
        self.sa = sa
        self.window = window
        self.subspaces = {}

    def judge(self, esp, head=None):
        """The verdict on an ESP packet, from its first octet to its last. head is what
        stood before it, without UDP."""
        if len(esp) < 4:
            return Verdict("no-spi")
        if int.from_bytes(esp[:4], "big") != self.sa.spi:
            return Verdict("no-sa")
        sealed = len(esp) - self.sa.header_len - self.sa.iv_len - self.sa.icv
        if sealed < self.sa.align or sealed % self.sa.align:
            return Verdict("rx-truncated")

        top = self.subspaces[0].highest if 0 in self.subspaces else 0
        number, sn = esp64.read_number(self.sa, esp, top, self.window)
        if number >= self.sa.subspaces:
            return Verdict("rx-subspace")
        subspace = self.subspaces.get(number, Subspace())
        if sn is None:
            subspace.too_old += 1
            return Verdict("rx-too-old")
        if sn == 0:
            return Verdict("rx-zero")
        unwanted = subspace.verdict(sn, self.window)
        if unwanted:
            return Verdict(unwanted)
        try:
            plain = esp64.unseal(self.sa, esp, top, self.window)[3]
        except esp64.BadIcv:
            return Verdict("rx-icv")
        # Nothing has been remembered up to here
        self.subspaces[number] = subspace
        subspace.accept(sn)
        return self.judge_plain(plain, head)

    def judge_plain(self, plain, head=None):
        """The verdict on what was inside, authentic and fresh."""
        try:
            next_header, payload, _ = esp64.find(self.sa, plain)
        except (esp64.BadPadLength, esp64.BadInfoWord):
            return Verdict("rx-trailer")
        except esp64.BadNextHeader:
            return Verdict("rx-next-header")
        if next_header == esp64.PROTO_NONE:
            return Verdict("rx-dummy")
        # The SAs here answer none, and nobody listens
        if echo.is_echo(next_header, payload):
            return Verdict("rx-echo-refused")
        refusal = self.refusal(next_header, payload)
        if refusal:
            return Verdict(refusal)
        inner = None
        if head is not None:
            inner = esp64.leave(self.sa, head, next_header, payload)
        return Verdict("rx-packets", payload, inner)

    def refusal(self, next_header, payload):
        """The counter for what does not go with the SA's mode, or None."""
        if self.sa.mode == "tunnel":
            if next_header not in esp64.ADDRESS_PROTO.values():
                return "rx-next-header"
            version, size = (4, 20) if next_header == esp64.PROTO_IPIP else (6, 40)
            if len(payload) < size or payload[0] >> 4 != version:
                return "rx-inner"
        elif (self.sa.mode == "beet" and self.sa.inner_version == 4
              and next_header == esp64.PROTO_BEETPH):
            try:
                esp64.parse_pseudo_header(payload, self.sa.beet_frag)
            except esp64.BadFragment:
                return "rx-fragment"
            except esp64.BadPseudoHeader:
                return "rx-pseudo-header"
        return None
