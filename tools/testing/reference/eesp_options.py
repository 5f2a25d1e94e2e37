# SPDX-License-Identifier: GPL-2.0-only
"""Options of the EESP base header: sections 2.2.2 and 3 of the draft.

    Option Type 8 | Opt Data Len 8 | Option Data      Opt Data Len counts the data alone
    Pad1: one octet, Option Type
    Crypt Offset's data: Payload Offset 6 | CryptOffset 6 | R 4, in words of 4 octets
"""

from typing import NamedTuple

from eesp_errors import BadCryptOffset, BadOption

OPTIONS_MAX = 255
# What six bits hold
OFFSET_MAX = 63


class Numbers(NamedTuple):
    """The option types, until IANA has assigned them."""

    pad1: int = 0
    padn: int = 1
    crypt_offset: int = 2


class Option(NamedTuple):
    """One option. Pad1 has no data: None."""

    kind: int
    data: bytes | None = b""

    def octets(self):
        """As it is sent."""
        if self.data is None:
            return bytes((self.kind,))
        return bytes((self.kind, len(self.data))) + self.data


class CryptOffset(NamedTuple):
    """What a Crypt Offset option says, in words."""

    payload: int
    crypt: int
    reserved: int = 0

    def option(self, numbers):
        """The option that says so."""
        if not (0 <= self.payload <= OFFSET_MAX and 0 <= self.crypt <= OFFSET_MAX):
            raise ValueError(f"{self} does not fit into six bits each")
        word = self.payload << 10 | self.crypt << 4 | self.reserved
        return Option(numbers.crypt_offset, word.to_bytes(2, "big"))

    @property
    def clear(self):
        """The octets from the packet's start on that are not encrypted."""
        return 4 * (self.payload + self.crypt)


def padding(size, numbers):
    """The option that fills so many octets: none, Pad1 or PadN."""
    if size == 0:
        return []
    if size == 1:
        return [Option(numbers.pad1, None)]
    return [Option(numbers.padn, bytes(size - 2))]


def joined(options):
    """The field with these options."""
    field = b"".join(option.octets() for option in options)
    if len(field) > OPTIONS_MAX:
        raise ValueError(f"{len(field)} octets of options, more than {OPTIONS_MAX}")
    return field


def parse(field, numbers):
    """The options in a field."""
    found, at = [], 0
    while at < len(field):
        kind = field[at]
        if kind == numbers.pad1:
            found.append(Option(kind, None))
            at += 1
            continue
        if at + 2 > len(field):
            raise BadOption(f"type {kind} without a length")
        end = at + 2 + field[at + 1]
        if end > len(field):
            raise BadOption(f"type {kind}: {field[at + 1]} octets, {len(field) - at - 2} left")
        found.append(Option(kind, field[at + 2 : end]))
        at = end
    return found


def crypt_offset(options, numbers):
    """What the Crypt Offset option says, or None."""
    data = [option.data for option in options if option.kind == numbers.crypt_offset]
    if not data:
        return None
    if len(data) > 1:
        raise BadCryptOffset(f"{len(data)} of them")
    if len(data[0]) != 2:
        raise BadCryptOffset(f"{len(data[0])} octets of data")
    word = int.from_bytes(data[0], "big")
    return CryptOffset(word >> 10, word >> 4 & OFFSET_MAX, word & 15)
