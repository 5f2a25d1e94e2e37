# SPDX-License-Identifier: GPL-2.0-only
"""ESP Echo, as Documentation/echo.rst describes it, and not from the module.

    Sub-type 8 | R 1 | Reserved 7 | Data Length 16 | Identifier 16 | Sequence 16 |
    Reply SPI 32 | Data                                         in Next Header 144
"""

import struct
from typing import NamedTuple

PROTO_AGGFRAG = 144
REQUEST, REPLY = 2, 3
HEADER = struct.Struct("!BBHHHI")
R = 0x80


class Echo(NamedTuple):
    """What is behind the ESP header, or in front of the trailer."""

    kind: int
    flags: int
    ident: int
    seq: int
    reply_spi: int
    data: bytes

    def octets(self):
        """As it stands in the payload."""
        return HEADER.pack(self.kind, self.flags, len(self.data), self.ident, self.seq,
                           self.reply_spi) + self.data


def is_echo(next_header, payload):
    """Whether a receiver takes it for one, good or bad."""
    return next_header == PROTO_AGGFRAG and payload[:1] in (bytes((REQUEST,)), bytes((REPLY,)))


def parse(payload):
    """The Echo in a payload, behind which there may be padding. ValueError if it is none."""
    if len(payload) < HEADER.size:
        raise ValueError(f"{len(payload)} octets")
    kind, flags, length, ident, seq, spi = HEADER.unpack_from(payload)
    data = payload[HEADER.size : HEADER.size + length]
    if len(data) != length:
        raise ValueError(f"Data Length {length}, and there are {len(data)}")
    return Echo(kind, flags, ident, seq, spi, data)


def problems(requests, replies):
    """What is wrong with replies, given all requests that were sent: each answers one that has
    not been answered, says what that said, and is no longer."""
    open_requests = list(requests)
    for reply in replies:
        asked = [q for q in open_requests
                 if (q.ident, q.seq, q.data) == (reply.ident, reply.seq, reply.data)]
        if not asked:
            yield f"a reply to nothing: {reply}"
            continue
        open_requests.remove(asked[0])
        if not asked[0].flags & R:
            yield f"an answer to what asked for none: {asked[0]}"
        if reply.flags or reply.reply_spi:
            yield f"flags {reply.flags:#x}, Reply SPI {reply.reply_spi:#x} in a reply"
        if len(reply.octets()) > len(asked[0].octets()):
            yield f"a reply longer than its request: {reply}"
