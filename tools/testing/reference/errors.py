# SPDX-License-Identifier: GPL-2.0-only
"""What decode() may find wrong with a packet."""


class DecodeError(ValueError):
    """Base of everything that decode() finds wrong with a packet."""


class BadOuter(DecodeError):
    """The outer IP header is not what the SA's sender would write."""


class BadUdp(DecodeError):
    """The UDP header before ESP is not what the SA's sender would write."""


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
    """Next Header does not belong in the SA's mode."""


class BadInner(DecodeError):
    """The inner packet is not of Next Header's family, or not of its length."""


class BadPseudoHeader(DecodeError):
    """BEET: the pseudo header is malformed, or not as a sender makes it."""


class BadOptions(BadPseudoHeader):
    """BEET: IPv4 options of an impossible length, or that do not parse."""


class BadFragment(DecodeError):
    """BEET: a fragment, well-formed, on an SA that does not take them."""


class BadInfoWord(DecodeError):
    """Trailer front: the first octets are no info word, or not as a sender makes it."""
