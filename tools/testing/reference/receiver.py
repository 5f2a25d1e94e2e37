# SPDX-License-Identifier: GPL-2.0-only
"""What a receiver of esp64 has to do with a packet, told from the rules alone.

Documentation/wire-formats.rst, Documentation/counters.rst and RFC 4303 section
3.4, with a set of all numbers seen instead of a bitmap. Unlike esp64.decode()
this is no stricter than a receiver may be, and it has a memory.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

import esp64


class Verdict(NamedTuple):
    """The counter that moves, and what is left of the packet if accepted."""

    counter: str
    payload: bytes | None = None


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

    def judge(self, esp):
        """The verdict on an ESP packet, from its first octet to its last."""
        if len(esp) < 4:
            return Verdict("no-spi")
        if int.from_bytes(esp[:4], "big") != self.sa.spi:
            return Verdict("no-sa")
        sealed = len(esp) - esp64.HEADER_LEN - esp64.IV_LEN - self.sa.icv
        if sealed < 4 or sealed % 4:
            return Verdict("rx-truncated")

        n = int.from_bytes(esp[4:12], "big")
        number, sn = n >> esp64.SN_BITS, n & esp64.SN_MAX
        if number >= self.sa.subspaces:
            return Verdict("rx-subspace")
        if sn == 0:
            return Verdict("rx-zero")
        subspace = self.subspaces.get(number, Subspace())
        unwanted = subspace.verdict(sn, self.window)
        if unwanted:
            return Verdict(unwanted)
        try:
            plain = esp64.unseal(self.sa, esp)[3]
        except esp64.BadIcv:
            return Verdict("rx-icv")
        # Nothing has been remembered up to here
        self.subspaces[number] = subspace
        subspace.accept(sn)

        pad, next_header = plain[-2:]
        if pad + 2 > len(plain):
            return Verdict("rx-trailer")
        payload = plain[: len(plain) - 2 - pad]
        if next_header == esp64.PROTO_NONE:
            return Verdict("rx-dummy")
        if next_header not in esp64.ADDRESS_PROTO.values():
            return Verdict("rx-next-header")
        version, head = (4, 20) if next_header == esp64.PROTO_IPIP else (6, 40)
        if len(payload) < head or payload[0] >> 4 != version:
            return Verdict("rx-inner")
        return Verdict("rx-packets", payload)
