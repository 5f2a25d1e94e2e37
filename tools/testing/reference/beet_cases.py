# SPDX-License-Identifier: GPL-2.0-only
"""Cases of inject.py for BEET with IPv4 inside: pseudo headers, good and bad.

All have a good ICV. Where a case makes several packets, each has a number of
its own, from SN on. Cases about one field of the pseudo header start from a good
one with `optlen` octets of options and, if `word` is not 0, with that fragment
word. What the receiver must do is in their texts; receiver.py knows it of each.
"""

import beet
import esp64
import iphdr

# MF, offset 0
FIRST = 0x2000
# Two options, so that more than the first must be read; NOPs fill what is left
STAMPS = bytes.fromhex("440c0d00" "0000000000000000")
ALERT = bytes.fromhex("94040000")


def options_of(length):
    """Valid options, of any multiple of 4 octets."""
    made = b""
    if length >= 12:
        made = STAMPS
    if length >= len(made) + 4:
        made += ALERT
    return made.ljust(length, b"\x01")


def ipv4(sa, inner):
    """The inner packet's header, and what is behind it."""
    if sa.mode != "beet" or sa.inner_version != 4:
        raise ValueError("a case for BEET with IPv4 inside")
    header, end = iphdr.parse(inner)
    return header, inner[end:]


def around(sa, sn, inner, payload):
    """What esp64.enclose() takes around a payload that begins with a pseudo header."""
    header, body = ipv4(sa, inner)
    # Packets of one case are not fragments of one packet
    plain = header._replace(ident=sn & 0xFFFF, options=b"", frag=0).octets(len(body)) + body
    return esp64.plaintext(sa, payload, esp64.PROTO_BEETPH), esp64.enter(sa, plain)[0]


def each(sa, subspace, sn, inner, payloads):
    """One outer packet for every payload."""
    return [
        esp64.enclose(sa, subspace, n, *around(sa, n, inner, payload))
        for n, payload in enumerate(payloads, sn)
    ]


def good(sa, inner, optlen, word):
    """A good pseudo header for the inner packet's protocol, and the body."""
    header, body = ipv4(sa, inner)
    made = beet.pseudo_header(header.proto, options_of(optlen), word or None)
    return bytearray(made), body


def changed(sa, subspace, sn, inner, optlen, word, at, values):
    """One packet for each value of the octet `at` of the pseudo header."""
    pseudo, body = good(sa, inner, optlen, word)
    payloads = []
    for value in values:
        pseudo[at] = value
        payloads.append(bytes(pseudo) + body)
    return each(sa, subspace, sn, inner, payloads)


def options(sa, subspace, sn, inner, optlen=8):
    """accepted: the inner packet with so many octets of IPv4 options"""
    header, body = ipv4(sa, inner)
    header = header._replace(options=options_of(optlen))
    return [esp64.encode(sa, subspace, sn, header.octets(len(body)) + body)]


def options_all(sa, subspace, sn, inner):
    """accepted: one packet for every length of options, 4 to 40"""
    packets = []
    for n, length in enumerate(range(4, 41, 4), sn):
        packets += options(sa, subspace, n, inner, length)
    return packets


def fragments(sa, subspace, sn, inner, size=16, optlen=0, df=0):
    """with beet-frag accepted, and together the inner packet: its fragments"""
    header, body = ipv4(sa, inner)
    header = header._replace(options=options_of(optlen), ident=sn & 0xFFFF)
    if size % 8 or size >= len(body):
        raise ValueError(f"no fragments of {size} octets")
    packets = []
    for n, at in enumerate(range(0, len(body), size), sn):
        part = body[at : at + size]
        more = 0x2000 if at + size < len(body) else 0
        frag = (0x4000 if df else 0) | more | at // 8
        packet = header._replace(frag=frag).octets(len(part)) + part
        packets.append(esp64.encode(sa, subspace, n, packet))
    return packets


def pseudo(sa, subspace, sn, inner, hex=""):  # pylint: disable=redefined-builtin
    """Next Header 94 around these octets, pseudo header and payload"""
    return each(sa, subspace, sn, inner, [bytes.fromhex(hex)])


def pseudo_fragment(sa, subspace, sn, inner, optlen=0, word=FIRST):
    """with beet-frag accepted, one fragment alone; without it a fragment"""
    made, body = good(sa, inner, optlen, word)
    return each(sa, subspace, sn, inner, [bytes(made) + body])


def pseudo_reserved(sa, subspace, sn, inner, value=0x3F, optlen=8, word=0):
    """accepted: reserved bits set; in front of options alone F is two of them"""
    made, _ = good(sa, inner, optlen, word)
    return changed(sa, subspace, sn, inner, optlen, word, 3, [made[3] | value])


def pseudo_padding(sa, subspace, sn, inner, value=0xFF, optlen=8, word=0):
    """accepted: octets of padding that are neither NOP nor 0"""
    made, body = good(sa, inner, optlen, word)
    end = len(made) - optlen
    made[end - made[2] : end] = bytes((value,)) * made[2]
    return each(sa, subspace, sn, inner, [bytes(made) + body])


def pseudo_length(sa, subspace, sn, inner, value=255, optlen=8, word=0):
    """Header Len as given, by default beyond the payload"""
    return changed(sa, subspace, sn, inner, optlen, word, 1, [value])


def pseudo_length_all(sa, subspace, sn, inner, optlen=8, word=0):
    """one packet for every Header Len"""
    return changed(sa, subspace, sn, inner, optlen, word, 1, range(256))


def pseudo_pad(sa, subspace, sn, inner, value=8, optlen=8, word=0):
    """Pad Len as given"""
    return changed(sa, subspace, sn, inner, optlen, word, 2, [value])


def pseudo_pad_all(sa, subspace, sn, inner, optlen=8, word=0):
    """one packet for every Pad Len; only 0 and 4 (with a word: 2 and 6) may be right"""
    return changed(sa, subspace, sn, inner, optlen, word, 2, range(256))


def pseudo_f(sa, subspace, sn, inner, value=3, optlen=8, word=0):
    """F as given, by default 11; looked at with a fragment word only"""
    return changed(sa, subspace, sn, inner, optlen, word, 3, [value << 6])


def pseudo_f_all(sa, subspace, sn, inner, optlen=8, word=0):
    """one packet for every value of F; all are right, but with a word only one"""
    return changed(sa, subspace, sn, inner, optlen, word, 3, (0, 64, 128, 192))


def pseudo_word(sa, subspace, sn, inner, optlen=0):
    """malformed: fragment words without offset and MF, with and without R and DF"""
    made, body = good(sa, inner, optlen, FIRST)
    payloads = []
    for flags in (0, 0x40, 0x80, 0xC0):
        made[4:6] = flags, 0
        payloads.append(bytes(made) + body)
    return each(sa, subspace, sn, inner, payloads)


def pseudo_nested(sa, subspace, sn, inner, optlen=8, word=0):
    """malformed: Next Header 94 in the pseudo header, around another"""
    made, body = good(sa, inner, optlen, word)
    payload = beet.pseudo_header(esp64.PROTO_BEETPH, options_of(optlen), word or None)
    return each(sa, subspace, sn, inner, [payload + bytes(made) + body])


def pseudo_no_options(sa, subspace, sn, inner):
    """malformed: F 00 and 10 without options, and F 01 with"""
    header, body = ipv4(sa, inner)
    heads = ("00 04 00 01010101", "00 02 80 20000000", "01 02 40 20000000 94040000 01010101")
    payloads = [bytes((header.proto,)) + bytes.fromhex(head) + body for head in heads]
    return each(sa, subspace, sn, inner, payloads)


# Length octet missing, 0, 1, beyond the end; as the first option and behind others.
# Of 4 octets each, to be put behind NOPs
BAD_OPTIONS = (
    "94000000", "94010000", "94050000", "94ff0000", "07000401", "01940000", "01940100",
    "01940400", "01019403", "0101017f", "01010194", "94030094", "94020701", "44020744",
)


def pseudo_bad_options(sa, subspace, sn, inner, optlen=4, word=0):
    """malformed: one packet for every way in which options may fail to parse"""
    header, body = ipv4(sa, inner)
    payloads = []
    for bad in map(bytes.fromhex, BAD_OPTIONS):
        made = beet.pseudo_header(header.proto, bad.rjust(optlen, b"\x01"), word or None)
        payloads.append(made + body)
    return each(sa, subspace, sn, inner, payloads)


def pseudo_end_of_list(sa, subspace, sn, inner, optlen=8, word=0):
    """accepted: behind the end of the list there may be anything"""
    made, body = good(sa, inner, optlen, word)
    made[-4:] = b"\0\x94\0\1"
    if optlen >= 8:
        made[-optlen:-4] = ALERT.ljust(optlen - 4, b"\x01")
    return each(sa, subspace, sn, inner, [bytes(made) + body])


def pseudo_long_options(sa, subspace, sn, inner, word=0):
    """malformed: options of 44 to 260 octets"""
    header, body = ipv4(sa, inner)
    payloads = []
    for length in range(44, 261, 4):
        made = beet.pseudo_header(header.proto, options_of(length), word or None)
        payloads.append(made + body)
    return each(sa, subspace, sn, inner, payloads)


def pseudo_truncate_all(sa, subspace, sn, inner, optlen=8, word=0):
    """one packet for every length, from nothing to the pseudo header alone"""
    made, _ = good(sa, inner, optlen, word)
    payloads = [bytes(made[:length]) for length in range(len(made) + 1)]
    return each(sa, subspace, sn, inner, payloads)


CASES = {
    f.__name__.replace("_", "-"): f
    for f in (options, options_all, fragments, pseudo, pseudo_fragment, pseudo_reserved,
              pseudo_padding, pseudo_length, pseudo_length_all, pseudo_pad, pseudo_pad_all,
              pseudo_f, pseudo_f_all, pseudo_word, pseudo_nested, pseudo_no_options,
              pseudo_bad_options, pseudo_end_of_list, pseudo_long_options,
              pseudo_truncate_all)
}
