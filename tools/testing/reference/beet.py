# SPDX-License-Identifier: GPL-2.0-only
"""The pseudo header of BEET: IPv4 options and fragment word, before the payload.

    Next Header 8 | Header Len 8 | Pad Len 8 | F 2 | Reserved 6
    F 00 (options):           NOP, 0 or 4 octets | options
    F 01, 10 (fragment, both): flags and offset 16 | zeros, 2 or 6 octets | options

The whole is a multiple of 8 octets; Header Len counts these, less one.
"""

from typing import NamedTuple

from errors import BadFragment, BadOptions, BadPseudoHeader
from iphdr import IP_FRAGMENT, PROTO_BEETPH

OPTIONS, FRAGMENT, BOTH = 0, 1, 2
OPTIONS_MAX = 40
END, NOP = 0, 1


class PseudoHeader(NamedTuple):
    """What a pseudo header says. frag is None if it is no fragment's."""

    next_header: int
    options: bytes
    frag: int | None
    length: int


def options_parse(options):
    """Whether IPv4 options can be told one from another (RFC 791, section 3.1)."""
    at = 0
    while at < len(options) and options[at] != END:
        if options[at] == NOP:
            at += 1
            continue
        if at + 2 > len(options) or options[at + 1] < 2:
            return False
        at += options[at + 1]
    return at <= len(options)


def pseudo_header(next_header, options=b"", frag=None):
    """The octets of a pseudo header; frag is flags and offset of a fragment."""
    if frag is None:
        kind, word, filler = OPTIONS, b"", NOP
    else:
        kind, word, filler = BOTH if options else FRAGMENT, frag.to_bytes(2, "big"), 0
    pad = -(4 + len(word) + len(options)) % 8
    units = (4 + len(word) + pad + len(options)) // 8
    head = bytes((next_header, units - 1, pad, kind << 6))
    return head + word + bytes((filler,)) * pad + options


def parse_pseudo_header(data, fragments):
    """Take the pseudo header before a payload apart, with a receiver's rules.

    fragments: whether the SA takes them. What has a fragment word is told by Pad Len:
    options are whole words. Only there is F looked at: in front of options it was
    reserved before there were fragments, and senders leave there what they find.
    """
    if len(data) < 8:
        raise BadPseudoHeader(f"{len(data)} octets")
    size, pad, kind = 8 * (data[1] + 1), data[2], data[3] >> 6
    if size > len(data):
        raise BadPseudoHeader(f"Header Len says {size} of {len(data)} octets")
    if data[0] == PROTO_BEETPH:
        raise BadPseudoHeader("a pseudo header in a pseudo header")
    if pad not in (0, 2, 4, 6):
        raise BadPseudoHeader(f"Pad Len {pad} in {size} octets")
    frag = int.from_bytes(data[4:6], "big") if pad in (2, 6) else None
    length = size - pad - (4 if frag is None else 6)
    if length < 0 or length > OPTIONS_MAX or frag is None and not length:
        raise BadOptions(f"Pad Len {pad}, {length} octets of options")
    options = data[size - length : size]
    if not options_parse(options):
        raise BadOptions(f"options {options.hex()}")
    if frag is not None:
        if kind != (BOTH if length else FRAGMENT):
            raise BadPseudoHeader(f"F {kind:02b}, {length} octets of options")
        if not frag & IP_FRAGMENT:
            raise BadPseudoHeader(f"fragment word {frag:#06x} of no fragment")
        if not fragments:
            raise BadFragment(f"fragment word {frag:#06x}")
    return PseudoHeader(data[0], options, frag, size)
