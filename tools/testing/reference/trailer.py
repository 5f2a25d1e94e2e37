# SPDX-License-Identifier: GPL-2.0-only
"""Where Pad Length and Next Header stand in the plaintext: end, front, omit."""

from errors import BadInfoWord, BadInner, BadNextHeader, BadPadding, BadPadLength
from iphdr import PROTO_IPIP, PROTO_IPV6

TRAILERS = ("end", "front", "omit")


def plaintext(sa, payload, next_header, pad_extra=0):
    """P: payload, least padding plus pad_extra octets, and what says so."""
    fixed = {"end": 2, "front": 4, "omit": 0}[sa.trailer]
    pad = -(len(payload) + fixed) % sa.align + pad_extra
    if sa.trailer == "end":
        return payload + bytes(range(1, pad + 1)) + bytes((pad, next_header))
    info = bytes((0, 0, next_header, pad)) if sa.trailer == "front" else b""
    return info + payload + bytes(pad)


def told_length(payload):
    """What an inner packet says of its length, however much there is of it."""
    if payload[0] >> 4 == 4:
        return int.from_bytes(payload[2:4], "big")
    return 40 + int.from_bytes(payload[4:6], "big")


def find(sa, plain):
    """Next Header, payload and padding, as a receiver finds them, which looks at no
    padding. A DecodeError says what is malformed."""
    if sa.trailer == "end":
        pad, next_header = plain[-2:]
        at, end = 0, len(plain) - 2 - pad
        if end < 0:
            raise BadPadLength(f"{pad} in {len(plain)} octets")
        return next_header, plain[at:end], plain[end:-2]
    if sa.trailer == "front":
        if plain[0] >> 4:
            raise BadInfoWord(plain[:4].hex())
        next_header, pad = plain[2:4]
        end = len(plain) - pad
        if end < 4:
            raise BadPadLength(f"{pad} in {len(plain)} octets")
        return next_header, plain[4:end], plain[end:]
    protos = {4: PROTO_IPIP, 6: PROTO_IPV6}
    if plain[0] >> 4 not in protos:
        raise BadNextHeader(f"first octet {plain[:1].hex()}")
    end = told_length(plain)
    if not 0 <= len(plain) - end <= 255:
        raise BadPadLength(f"{end} octets told, of {len(plain)}")
    return protos[plain[0] >> 4], plain[:end], plain[end:]


def split_plaintext(sa, plain):
    """Undo plaintext(): Next Header and payload. Strict: only what a sender makes, but
    for more padding than need be."""
    next_header, payload, padding = find(sa, plain)
    want = bytes(range(1, len(padding) + 1)) if sa.trailer == "end" else bytes(len(padding))
    if padding != want:
        raise BadPadding(padding.hex())
    if sa.trailer == "front" and plain[:2] != b"\0\0":
        raise BadInfoWord(plain[:4].hex())
    if sa.tfcpad and next_header in (PROTO_IPIP, PROTO_IPV6):
        end = told_length(payload)
        if len(payload) > max(end, sa.tfcpad):
            raise BadInner(f"{len(payload)} octets with TFC padding to {sa.tfcpad}")
        if any(payload[end:]):
            raise BadPadding(f"TFC padding {payload[end:].hex()}")
        payload = payload[:end]
    return next_header, payload
