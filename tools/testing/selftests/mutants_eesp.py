# SPDX-License-Identifier: GPL-2.0-only
"""The same as mutants.py, of format eesp: options by chance, well-formed and not, in packets
that are authentic as well, Session IDs, Crypt Offsets, Payload Info Headers where none belongs.

What a receiver has to do with each is told from Documentation/wire-formats.rst, with the
reference's own parser of options and its keys; it has no code of the module's.
"""

import pathlib
import sys

# Before this folder, which has an eesp.py, too
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "reference"))

# pylint: disable=wrong-import-position
import eesp
import eesp_options
import mutants
import receiver
import trailer
from echo import is_echo
from errors import BadIcv, BadInfoWord, BadNextHeader, BadPadLength, DecodeError
from iphdr import PROTO_NONE
from outer import enter, leave

# A number that nothing by chance has as Next Header, and of which no inner packet is
PROTO = 200
BASE, HEADER, PIH = 8, 16, 4
SN_MAX = (1 << 48) - 1
# Their packets would be looked for an SA
OTHERS = (50, PROTO)


class Sa(eesp.SA):
    """With what mutants.py asks of an SA."""

    align, format, sn_max = 4, "eesp", SN_MAX

    @property
    def subspaces(self):
        """Those that a sender uses."""
        return self.max_sub_sa + 1 if self.sskdf else 1

    @property
    def trailer(self):
        """Of the SA's own packets."""
        return "front" if self.mode != "tunnel" or self.crypt_offset is not None else "omit"


class Receiver(receiver.Receiver):
    """What one has to do with a packet, by wire-formats.rst."""

    def judge(self, esp, head=None):
        sa = self.sa
        if len(esp) < BASE or esp[4:8] == bytes(4):
            return receiver.Verdict("no-spi")
        if int.from_bytes(esp[4:8], "big") != sa.spi:
            return receiver.Verdict("no-sa")
        if len(esp) < HEADER:
            return receiver.Verdict("rx-truncated")
        if esp[0] != 0x80:
            return receiver.Verdict("rx-header")
        size = HEADER + esp[1] + sa.iv_len
        if len(esp) < size + sa.icv:
            return receiver.Verdict("rx-truncated")
        try:
            options = eesp_options.parse(esp[BASE : BASE + esp[1]], sa.numbers)
            crypt = eesp_options.crypt_offset(options, sa.numbers)
        except DecodeError:
            return receiver.Verdict("rx-header")
        if crypt and (4 * crypt.payload != size or crypt.clear > len(esp) - sa.icv):
            return receiver.Verdict("rx-header")
        sn = int.from_bytes(esp[BASE + esp[1] : HEADER + esp[1]], "big")
        if sn > SN_MAX:
            return receiver.Verdict("rx-too-old")
        if len(esp) < size + 4 + sa.icv or (len(esp) - size - sa.icv) % 4:
            return receiver.Verdict("rx-truncated")
        session = int.from_bytes(esp[2:4], "big")
        if sa.sskdf and session > sa.max_sub_sa:
            return receiver.Verdict("rx-subspace")
        return self.judge_number(esp, head, eesp.Parts(
            session, sn, esp[size - sa.iv_len : size], options, crypt, size))

    def judge_number(self, esp, head, parts):
        """A header that is well-formed."""
        number = parts.session if self.sa.sskdf else 0
        if not parts.sn:
            return receiver.Verdict("rx-zero")
        subspace = self.subspaces.get(number, receiver.Subspace())
        unwanted = subspace.verdict(parts.sn, self.window)
        if unwanted:
            return receiver.Verdict(unwanted)
        try:
            plain = eesp.open_packet(self.sa, esp, parts)
        except BadIcv:
            return receiver.Verdict("rx-icv")
        self.subspaces[number] = subspace
        subspace.accept(parts.sn)
        most = self.sa.max_crypt_offset
        if parts.crypt and (most is None or parts.crypt.crypt > most):
            return receiver.Verdict("rx-crypt-offset")
        # In tunnel mode the first four bits tell
        full = self.sa.mode != "tunnel" or parts.crypt or most is not None and not plain[0] >> 4
        return self.judge_inside(plain, "front" if full else "omit", head)

    def judge_inside(self, plain, where, head):
        """The trailer, and what is inside."""
        try:
            next_header, payload, _ = trailer.find(Where(where), plain)
        except (BadPadLength, BadInfoWord):
            return receiver.Verdict("rx-trailer")
        except BadNextHeader:
            return receiver.Verdict("rx-next-header")
        if next_header == PROTO_NONE:
            return receiver.Verdict("rx-dummy")
        if is_echo(next_header, payload):
            return receiver.Verdict("rx-echo-refused")
        tunnel = self.sa.mode == "tunnel"
        # There is no TFC padding
        if tunnel and where == "front" and next_header != 144 and (
                len(payload) < 1 or payload[0] >> 4 not in (4, 6) or
                trailer.told_length(payload + bytes(40)) != len(payload)):
            return receiver.Verdict("rx-inner")
        refusal = self.refusal(next_header, payload)
        if refusal:
            return receiver.Verdict(refusal)
        inner = None if head is None else leave(self.sa, head, next_header, payload)
        return receiver.Verdict("rx-packets", payload, inner)


class Where:
    """Where find() finds it."""

    def __init__(self, where):
        self.trailer = where


class Mutator(mutants.Mutator):
    """Makes packets for one SA."""

    def __init__(self, rng, sa, window, protected=True, trims=True):
        super().__init__(rng, sa, window, True, trims)
        self.receiver = Receiver(sa, window)

    def number(self):
        """Session ID and number; without Sub SAs the ID says nothing."""
        session, sn = super().number()
        if self.sa.sskdf:
            if self.chance(0.02):
                session = self.rng.choice((session + 1, self.sa.subspaces, 0xFFFF)) & 0xFFFF
        elif self.chance(0.1):
            session = self.rng.getrandbits(16)
        if self.chance(0.01):
            sn = self.rng.choice((1 << 48, (1 << 48) + sn, (1 << 64) - 1))
        return session, sn

    def good_options(self):
        """Unknown ones, and padding, between which there may be a Crypt Offset."""
        rng, numbers, made = self.rng, self.sa.numbers, []
        for _ in range(rng.choice((0, 0, 0, 1, 2, 5))):
            kind = rng.choice((*numbers, rng.randrange(256)))
            if kind == numbers.pad1:
                made += [eesp_options.Option(kind, None)] * rng.choice((1, 1, 2, 7))
            elif kind != numbers.crypt_offset:
                made.append(eesp_options.Option(kind, self.octets(30)))
        rng.shuffle(made)
        return made

    def bad_options(self):
        """Octets that look like options."""
        rng, numbers = self.rng, self.sa.numbers
        field = b""
        for _ in range(rng.randrange(1, 6)):
            kind = rng.choice((*numbers, *numbers, rng.randrange(256)))
            size = rng.choice((0, 1, 2, 2, 2, 3, 4, 252, 255, rng.randrange(40)))
            data = rng.randbytes(size if self.chance(0.8) else rng.randrange(size + 1))
            field += bytes((kind, size)) + data if self.chance(0.9) else bytes((kind,))
        return field[: rng.choice((255, 252, 4, 8, rng.randrange(1, 256)))]

    def head(self, session, sn, iv, field):
        """A header with these octets for options."""
        base = bytes((0x80, len(field))) + session.to_bytes(2, "big") + self.sa.spi.to_bytes(4, "big")
        return base + field + sn.to_bytes(8, "big") + (iv if self.sa.iv_len else b"")

    def note(self, session, sn):
        """So far it is."""
        if sn <= SN_MAX:
            number = session if self.sa.sskdf else 0
            self.top[number] = max(self.top.get(number, 0), sn)

    def protect(self, plain, exposed, field=None, options=None):
        """EESP around any plaintext, with exposed words of it in clear, or None: no such
        option. field: octets for options, instead of options that are as they should be."""
        plain = plain[: len(plain) // 4 * 4] or bytes(4)
        session, sn = self.number()
        iv = self.rng.randbytes(8) if self.sa.iv_len else sn.to_bytes(8, "big")
        if field is None:
            align = self.rng.choice((1, 4, 8))
            try:
                head = eesp.header(self.sa, session, sn, iv, exposed, align, options or ())
            except ValueError:
                # More of them than there may be, or than a Payload Offset can tell
                head = eesp.header(self.sa, session, sn, iv, exposed, 4)
        else:
            head, exposed = self.head(session, sn, iv, field), exposed or 0
        self.note(session, sn)
        exposed = min(exposed or 0, len(plain) // 4)
        return eesp.enclose(self.sa, session, iv, head, exposed, plain)

    def exposed(self, payload):
        """Words in clear: as the SA has it, or as it should not be."""
        if self.chance(0.8):
            return eesp.clamped(self.sa, payload)
        return self.rng.choice((None, 0, 1, min(63, len(payload) // 4)))

    def inside(self, payload, proto, full, extra=0):
        """The plaintext."""
        # Nothing that the stack would look for an SA for
        if self.sa.mode != "tunnel" and proto in OTHERS:
            proto = 17
        pad = min(255, -(len(payload) + 4 * full) % 4 + extra)
        return (bytes((0, 0, proto, pad)) if full else b"") + payload + bytes(pad)

    def good(self, inner=None):
        head, proto, payload = enter(self.sa, inner or self.inner())
        exposed = self.exposed(payload) if inner is None else eesp.clamped(self.sa, payload)
        full = self.sa.mode != "tunnel" or exposed is not None
        extra = 4 * self.rng.randrange(1, 64) if self.chance(0.1) else 0
        return head, self.protect(self.inside(payload, proto, full, extra), exposed,
                                  options=self.good_options())

    def before(self):
        head, proto, payload = enter(self.sa, self.inner())
        exposed, field = self.exposed(payload), None
        full = self.sa.mode != "tunnel" or exposed is not None
        if self.chance(0.1):
            full = not full
        kind = self.rng.random()
        if kind < 0.4:
            field = self.bad_options()
        elif kind < 0.7:
            proto, payload = self.spoilt_payload(proto, payload)
        plain = bytearray(self.inside(payload, proto, full))
        if kind >= 0.7 and plain:
            at = self.rng.choice((0, 0, 1, 3)) if self.sa.mode != "tunnel" else self.rng.choice((0, 1, 2, 3))
            plain[min(at, len(plain) - 1)] = self.rng.choice((0, 1, 4, 16, 41, 59, 69, 96, 144, 255))
            if self.chance(0.3):
                plain = plain[: 4 * self.rng.randrange(1, 4)]
        return head, self.protect(bytes(plain), exposed, field)
