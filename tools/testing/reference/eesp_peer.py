# SPDX-License-Identifier: GPL-2.0-only
"""The two ends of an EESP SA, with their memory: numbers, anti-replay windows, the events that
the draft calls auditable (section 7); and what stands before them in UDP (section 6).
"""

import time
from dataclasses import dataclass, field
from typing import NamedTuple

import eesp
import eesp_errors
import errors
import iphdr

WINDOW_MIN = 64


class Sender:
    """Numbers, one count for each Sub SA: section 2.9.1. The peer has announced its largest
    Sub SA ID and its largest Crypt Offset; None: it takes none."""

    def __init__(self, sa, peer_max=eesp.SESSION_MAX, peer_crypt_offset=None):
        if sa.crypt_offset is not None and (
            peer_crypt_offset is None or sa.crypt_offset > peer_crypt_offset
        ):
            raise ValueError(f"Crypt Offset {sa.crypt_offset}, the peer takes {peer_crypt_offset}")
        self.sa, self.peer_max = sa, peer_max
        self.last = {}

    def next(self, session=0, step=1):
        """The next number of a Sub SA. One is sent once."""
        if session > (self.peer_max if self.sa.sskdf else 0):
            raise ValueError(f"Sub SA {session}, more than the peer takes")
        sn = self.last.get(session, 0) + step
        if step < 1:
            raise ValueError("numbers go up")
        if sn > eesp.SN_MAX:
            raise eesp_errors.NumbersExhausted(f"Sub SA {session}")
        self.last[session] = sn
        return sn

    def send(self, inner, session=0, **how):
        """The outer packet."""
        return eesp.encode(self.sa, session, self.next(session), inner, **how)


@dataclass
class Window:
    """The anti-replay window of a Sub SA: bit i stands for highest - i."""

    size: int = WINDOW_MIN
    highest: int = 0
    seen: int = 0

    def check(self, sn):
        """A DecodeError if the number is not wanted."""
        behind = self.highest - sn
        if behind >= self.size:
            raise eesp_errors.TooOld(f"SN {sn}, {self.highest} was there")
        if behind >= 0 and self.seen >> behind & 1:
            raise eesp_errors.Replayed(f"SN {sn}")

    def accept(self, sn):
        """Take a number in, that check() has let pass."""
        if sn > self.highest:
            # Further than the window is wide, nothing of it stays
            shift = min(sn - self.highest, self.size)
            self.seen = (self.seen << shift) & ((1 << self.size) - 1)
            self.highest = sn
        self.seen |= 1 << self.highest - sn


class Event(NamedTuple):
    """An auditable event: its name, which is the error's, and what an entry of the log SHOULD
    have. sn is None where there is none to be found."""

    name: str
    spi: int | None
    session: int | None
    sn: int | None
    src: bytes
    dst: bytes
    flow_label: int | None
    when: float


AUDITED = (eesp_errors.NoSa, eesp_errors.Fragment, eesp_errors.Replayed, eesp_errors.TooOld,
           errors.BadIcv, eesp_errors.BadSubSa, eesp_errors.CryptOffsetTooLarge)


@dataclass
class Receiver:
    """An SA's receiving end. Windows are made when a Sub SA's first packet is authentic, and
    not before (section 2.9.2)."""

    sa: eesp.SA
    size: int = WINDOW_MIN
    windows: dict[int, Window] = field(default_factory=dict)

    def __post_init__(self):
        if self.size < WINDOW_MIN:
            raise ValueError(f"a window of {self.size}, less than {WINDOW_MIN}")

    def window(self, session):
        """A Sub SA's, or one that is forgotten if nobody takes it in."""
        session = session if self.sa.sskdf else 0
        return session, self.windows.get(session, Window(self.size))

    def receive(self, packet, head=None):
        """The Packet in an EESP packet; a DecodeError says why it is dropped. head is what
        stood before it, without UDP; without it nothing is delivered."""
        parts = eesp.parse(self.sa, packet)
        session, window = self.window(parts.session)
        if parts.sn is not None:
            window.check(parts.sn)
        plain = eesp.open_packet(self.sa, packet, parts)
        # Nothing has been remembered up to here
        if parts.sn is not None:
            window.accept(parts.sn)
            self.windows[session] = window
        eesp.check_crypt_offset(self.sa, parts)
        found = eesp.split_plain(self.sa, parts, plain)
        return found if head is None else eesp.deliver(self.sa, head, found)


class Host:
    """Receiving ends of many SAs, found by their SPIs; events, if they are wanted, with the
    time that clock says."""

    def __init__(self, receivers, auditing=True, clock=time.time):
        self.by_spi = {receiver.sa.spi: receiver for receiver in receivers}
        self.auditing, self.clock, self.events = auditing, clock, []

    def receive(self, packet):
        """The Packet in an outer IP packet of any of the SAs."""
        try:
            receiver, eesp_packet, head = self.find(packet)
            return receiver.receive(eesp_packet, head)
        except AUDITED as e:
            if self.auditing:
                self.events.append(self.event(packet, e))
            raise

    def find(self, packet):
        """Receiver, EESP packet and what stood before it."""
        try:
            at, proto_at = iphdr.transport_point(packet)
            fragment = iphdr.is_fragment(packet)
        except (ValueError, IndexError) as e:
            raise errors.BadOuter(str(e)) from None
        if fragment:
            raise eesp_errors.Fragment("a fragment")
        inside, encap = packet[at:], packet[proto_at] == iphdr.PROTO_UDP
        if encap:
            inside = inside[iphdr.UDP_LEN :]
            kind = kind_in_udp(inside)
            if kind != "eesp":
                raise eesp_errors.NotEesp(f"{kind} in UDP")
        spi = eesp.spi_of(inside)
        receiver = self.by_spi.get(spi)
        if not receiver or bool(receiver.sa.encap) != encap:
            raise eesp_errors.NoSa(f"{spi:#x}")
        head, inside = eesp.split_outer(receiver.sa, packet)
        return receiver, inside, head

    def event(self, packet, error):
        """What an entry of the log has. Only a packet with an SA is known to have an SN."""
        header, at = iphdr.parse(packet)
        half = len(header.addresses) // 2
        inside = packet[at:]
        if header.proto == iphdr.PROTO_UDP:
            inside = inside[iphdr.UDP_LEN :]
        spi = session = sn = None
        if not isinstance(error, eesp_errors.Fragment) and len(inside) >= eesp.BASE_LEN:
            session = int.from_bytes(inside[2:4], "big")
            spi = int.from_bytes(inside[4:8], "big")
            receiver = self.by_spi.get(spi)
            if receiver and receiver.sa.sn_len:
                sn_at = eesp.BASE_LEN + inside[1]
                sn = int.from_bytes(inside[sn_at : sn_at + eesp.SN_LEN], "big")
        return Event(type(error).__name__, spi, session, sn, header.addresses[:half],
                     header.addresses[half:], header.label if packet[0] >> 4 == 6 else None,
                     self.clock())


def kind_in_udp(data):
    """What is in a UDP packet to a port where IKE, ESP and EESP come in. ESP's SPIs have their
    first bit clear there (section 6); the octet that keeps a NAT's state has it set."""
    if data == b"\xff":
        return "keepalive"
    if data[:4] == bytes(4):
        return "ike"
    if len(data) >= eesp.BASE_LEN:
        return "eesp" if data[0] & 0x80 else "esp"
    return "nothing"
