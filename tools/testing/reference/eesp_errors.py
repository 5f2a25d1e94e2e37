# SPDX-License-Identifier: GPL-2.0-only
"""What is wrong with an EESP packet, by its name, besides what ESP has, too."""

from errors import BadOuter, DecodeError


class NotEesp(DecodeError):
    """The first bit is not set, or there is no fixed base header."""


class BadVersion(DecodeError):
    """Not the version that the SA has."""


class BadReserved(DecodeError):
    """The base header's reserved bits are not 0."""


class NoSa(DecodeError):
    """There is no SA with that SPI."""


class BadSubSa(DecodeError):
    """The Session ID is above the receiver's largest Sub SA ID."""


class BadOption(DecodeError):
    """The options cannot be told one from another, or do not end where Opt Len says."""


class UnknownOption(DecodeError):
    """An option that is not known, on an SA that is told to refuse these."""


class BadCryptOffset(DecodeError):
    """The Crypt Offset option is malformed, there twice, or points where nothing is."""


class CryptOffsetTooLarge(DecodeError):
    """Authentic, and more in clear than was agreed: the peer is to blame, and nobody else."""


class BadFormat(DecodeError):
    """Payload Info Header where there must be none, or none where there must be one."""


class BadAlignment(DecodeError):
    """The next layer's header is not where section 2.5 wants it (the strict decoder's)."""


class Replayed(DecodeError):
    """The number was there before."""


class TooOld(DecodeError):
    """The number is to the left of the window."""


class Fragment(BadOuter):
    """A fragment."""


class NumbersExhausted(ValueError):
    """A sender has come to the end of a Sub SA's numbers."""
