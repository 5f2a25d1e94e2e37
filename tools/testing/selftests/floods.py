#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Floods that somebody without the key can send to an SA, beside its legitimate packets.

    floods.py FROM TO LOG

FROM and TO are namespaces: packets leave by FROM's device wan, past its IP stack, and the SA is
TO's. Requests are lines of standard input:

    FORMAT SA COUNT PATH KIND...    COUNT packets of each kind, together if there are several
    FORMAT SA COUNT PATH first KIND...      to an SA that has had no packet of the peer's
    FORMAT SA COUNT PATH audited KIND...    with auditing on, AUDITED records a second at most

FORMAT is esp, esp64 or eesp, SA a file as the reference takes it, PATH fast, gro or slow. The
answer is "ok" or "failed", and what was wrong is in LOG.

Before the flood the SA's peer sends a few packets with gaps between their numbers; behind each
burst of the flood he sends one more, and it must have come before the next burst goes. What then
must be so does not come from the module: each packet was counted, once, under the name that
Documentation/counters.rst has for it; accounts of memory and windows are as the legitimate packets
alone make them; each number of the gaps is still good, once; events are as rare as security.rst
says, and nobody else was told anything.
"""

import contextlib
import os
import pathlib
import random
import select
import socket
import struct
import sys
import time
import traceback
from collections import Counter

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "reference"))

# pylint: disable=wrong-import-position
import eesp
import esp64
import genl
import inject
import iphdr
from outer import wrap
from verdicts import STATS, SUBSPACE, TIMEOUT, XFRM_STAT, nest

BURST = 64
WINDOW = 128  # as the script has it
# The numbers before the flood: gaps are for later. In subspace 0, and of more than one in another
GAPS, FIRST = 8, 40
BODY = 80  # octets behind an IV, with ICV: whole words
XFRM_GROUPS, NETLINK_XFRM = 8, 6
REST = 10  # seconds between events of one kind
DROPS_ALARM, FORGED_ALARM = 1000, 16
COMMANDS = genl.names("xfrm_ext_cmd", "XFRM_EXT_CMD_")
LOG_LINES = 10  # somebody else may have something to say
AUDITED = 20
NETLINK_AUDIT, AUDIT_SET, AUDIT_READLOG, AUDIT_MAC_IPSEC_EVENT = 9, 1001, 1, 1415
AUDIT_ENABLED, AUDIT_FAILURE, AUDIT_RATE = 1, 2, 8
INNER = inject.inner_maker("udp:10.1.0.1:1000:10.2.0.1:9:24")


class Format:
    """What differs between them: how headers are written without a key."""

    def __init__(self, name, path):
        self.name = name
        self.module = eesp if name == "eesp" else esp64
        (self.sa,) = self.module.load_sas(path)
        self.subspaces = self.sa.max_sub_sa + 1 if name == "eesp" else self.sa.subspaces
        self.rng = random.Random(4303)

    def encode(self, subspace, sn):
        """A packet of the peer's."""
        return self.module.encode(self.sa, subspace, sn, INNER(subspace, sn))

    def header(self, spi, subspace, sn, options=b""):
        """All before the IV."""
        spi = spi.to_bytes(4, "big")
        if self.name == "esp":
            return spi + (sn & 0xFFFFFFFF).to_bytes(4, "big")
        if self.name == "esp64":
            return spi + (subspace << 48 | sn).to_bytes(8, "big")
        return (bytes((0x80, len(options))) + subspace.to_bytes(2, "big") + spi + options
                + sn.to_bytes(8, "big"))

    def junk(self, subspace, sn, spi=None, body=BODY, options=b""):
        """A packet of somebody who has no key."""
        spi = self.sa.spi if spi is None else spi
        head = self.header(spi, subspace, sn, options)
        return wrap(self.sa, head + self.rng.randbytes(8 + body))

    def inside(self):
        """A subspace that the SA has."""
        return self.rng.randrange(self.subspaces)

    def ahead(self):
        """A number right of all windows."""
        return self.rng.randrange(1 << 20, 1 << 32)


class Peer:
    """Who has the key, and what windows must look like when only he is believed."""

    def __init__(self, form):
        self.form = form
        self.sn, self.sent, self.gaps = {}, [], []
        self.windows = {}

    def next(self, subspace, step=1):
        """His next packet there."""
        sn = self.sn.get(subspace, 0) + step
        self.gaps += [(subspace, n) for n in range(sn - step + 1, sn)]
        self.sn[subspace] = sn
        return self.packet(subspace, sn)

    def packet(self, subspace, sn):
        """With that number, whatever came before."""
        w = self.windows.setdefault(subspace, Counter())
        w["packets"] += 1
        w["backtrack"] = max(w["backtrack"], w["highest"] - sn)
        w["highest"] = max(w["highest"], sn)
        packet = self.form.encode(subspace, sn)
        self.sent.append((subspace, sn, packet))
        return f"{subspace} {sn} ", packet

    def refused(self, subspace, sn):
        """How a number is counted that he has sent: by the SA, and by the window."""
        if sn + WINDOW <= self.sn[subspace]:
            return "rx-too-old", (subspace, "too-old")
        return "rx-replay", (subspace, "replays")

    def late(self):
        """What has not been sent and is still in the window."""
        return [(s, n) for s, n in self.gaps if n + WINDOW > self.sn[s] + 1]


# --- the floods: each yields (packet, counter, (subspace, "replays" or "too-old") or None). A counter of
# xfrm_stat alone begins with Xfrm; None: nothing is counted by SA or xfrm.


def spi(form, _peer):
    """Of no SA."""
    while True:
        other = form.rng.randrange(256, 1 << 32)
        if other != form.sa.spi:
            yield form.junk(form.inside(), form.ahead(), other), "XfrmInNoStates", None


def icv(form, peer):
    """Forged, with numbers that are new: to the right, or in a gap."""
    while True:
        yield form.junk(form.inside(), form.ahead()), "rx-icv", None
        for subspace, sn in peer.late()[:1]:
            yield form.junk(subspace, sn), "rx-icv", None


def spoilt(form, peer):
    """A new packet of the peer's, which somebody has changed on its way."""
    del peer
    sn = 1 << 30
    while True:
        sn += 1
        packet = bytearray(form.encode(form.inside(), sn))
        packet[-1 - form.rng.randrange(16)] ^= 1 << form.rng.randrange(8)
        yield bytes(packet), "rx-icv", None


def ident(form, _peer):
    """A subspace that the SA has not got: just beyond, and any."""
    while True:
        yield form.junk(form.subspaces, form.ahead()), "rx-subspace", None
        yield (form.junk(form.rng.randrange(form.subspaces, 1 << 16), form.ahead()), "rx-subspace",
               None)


def replay(form, peer):
    """What the peer has sent last, and before, once more: unchanged, and from elsewhere."""
    while True:
        for subspace, sn, packet in peer.sent[-4:]:
            name, window = peer.refused(subspace, sn)
            yield packet, name, window
            other = bytearray(packet)
            other[12:16] = form.rng.randbytes(4)
            other[12] = 11  # nobody's
            if form.sa.encap:
                other[20:22] = form.rng.randrange(1024, 1 << 16).to_bytes(2, "big")
            other[10:12] = b"\0\0"
            other[10:12] = iphdr.checksum(bytes(other[:20])).to_bytes(2, "big")
            yield bytes(other), name, window


def old(form, peer):
    """Left of the window, where there is one."""
    while True:
        top = peer.sn[0]
        if top <= WINDOW:
            raise ValueError("nothing is left of the window yet")
        yield form.junk(0, form.rng.randrange(1, top - WINDOW + 1)), "rx-too-old", (0, "too-old")


def zero(form, _peer):
    """The number that there is not."""
    while True:
        yield form.junk(form.inside(), 0), "rx-zero", None


def short(form, _peer):
    """Less than a packet can be."""
    while True:
        yield form.junk(form.inside(), form.ahead(), body=8), "rx-truncated", None


def malformed(form, _peer):
    """Options that do not end where they should."""
    while True:
        yield form.junk(form.inside(), form.ahead(), options=bytes((1, 200, 0, 0))), "rx-header", None


def options(form, _peer):
    """As many options as there can be."""
    while True:
        yield form.junk(form.inside(), form.ahead(), options=bytes(252)), "rx-icv", None


def fragments(form, _peer):
    """Forged, and in pieces: those of every other one are all there, the others' first only."""
    while True:
        for whole in (True, False):
            packet = form.junk(form.inside(), form.ahead(), body=400)
            parts = [bytearray(part) for part in iphdr.fragments(packet, 300)]
            number = form.rng.randbytes(2)
            for n, part in enumerate(parts if whole else parts[:1]):
                part[4:6], part[10:12] = number, b"\0\0"
                part[12:16] = bytes((11, 0, 0, 2 - whole))
                part[10:12] = iphdr.checksum(bytes(part[:20])).to_bytes(2, "big")
                yield bytes(part), "rx-icv" if whole and n == len(parts) - 1 else None, None


def echo(form, peer):
    """Requests of ESP Echo: forged, and one of the peer's, which has been answered, again."""
    while True:
        yield form.junk(form.inside(), form.ahead(), body=40), "rx-icv", None
        subspace, sn, packet = peer.request
        yield packet, *peer.refused(subspace, sn)


FLOODS = {f.__name__: f for f in (spi, icv, spoilt, ident, replay, old, zero, short, malformed, options,
                                  fragments, echo)}


class Ear:
    """What is told in a namespace without being asked for."""

    def __init__(self, stack, family):
        self.events = genl.Family()
        for group in self.events.groups:
            self.events.join(group)
        self.xfrm = genl.Netlink(NETLINK_XFRM).sock
        for group in range(1, XFRM_GROUPS + 1):
            self.xfrm.setsockopt(genl.SOL_NETLINK, genl.NETLINK_ADD_MEMBERSHIP, group)
        self.socks = self.events.netlink.sock, self.xfrm
        for sock in self.socks:
            stack.callback(sock.close)
            sock.setblocking(False)
        self.kmsg = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
        stack.callback(os.close, self.kmsg)
        os.lseek(self.kmsg, 0, os.SEEK_END)
        self.family = family

    def heard(self):
        """How many of each: events by name, and "xfrm"."""
        said = Counter()
        for sock in self.socks:
            with contextlib.suppress(BlockingIOError):
                while data := sock.recv(1 << 16):
                    while len(data) >= 16:
                        length, kind = struct.unpack_from("=IH", data)
                        said[COMMANDS[data[16]] if kind == self.family.id else "xfrm"] += 1
                        data = data[(length + 3) & ~3 :]
        return said

    def logged(self):
        """Lines of the kernel's log."""
        lines = []
        with contextlib.suppress(BlockingIOError):
            while True:
                lines.append(os.read(self.kmsg, 8192).decode(errors="replace"))
        return lines


class Audit:
    """Auditing, of the initial namespace; records of IPsec are counted."""

    def __init__(self, stack):
        with genl.namespace("/proc/1/ns/net"):
            self.netlink, self.log = genl.Netlink(NETLINK_AUDIT), genl.Netlink(NETLINK_AUDIT).sock
        stack.callback(self.netlink.sock.close)
        stack.callback(self.log.close)
        self.log.setsockopt(genl.SOL_NETLINK, genl.NETLINK_ADD_MEMBERSHIP, AUDIT_READLOG)
        self.log.setblocking(False)
        self.set(0, 0)
        stack.callback(self.set, 0, 0)

    def set(self, enabled, rate):
        """On or off; what is lost is not complained of."""
        mask = AUDIT_ENABLED | AUDIT_FAILURE | AUDIT_RATE
        self.netlink.request(AUDIT_SET, struct.pack("=10I", mask, enabled, 0, 0, rate, 0, 0, 0, 0, 0))

    def records(self):
        """How many there are: a thread of the kernel's brings them, when it comes to that."""
        n = 0
        select.select([self.log], [], [], 60)
        with contextlib.suppress(BlockingIOError):
            while True:
                n += struct.unpack_from("=IH", self.log.recv(1 << 16))[1] == AUDIT_MAC_IPSEC_EVENT
        return n


class Target:
    """An SA under a flood, and all that is to be seen of it."""

    def __init__(self, stack, args, form, path):
        self.form, self.path = form, path
        self.peer = Peer(form)
        self.family = genl.Family()
        stack.callback(self.family.netlink.sock.close)
        self.identity = b"".join(
            genl.attr(genl.NUMBERS[name], genl.encode(name, value))
            for name, value in (("family", "2"), ("daddr", form.sa.dst), ("spi", hex(form.sa.spi))))
        self.ear = Ear(stack, self.family)
        mac = pathlib.Path("/sys/class/net/wan/address").read_text(encoding="ascii").strip()
        with genl.namespace(args[0]):
            self.sender = inject.Sender(form.sa, "wan", mac)
        stack.callback(self.sender.socket.close)
        self.sock = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        self.sock.bind(("10.2.0.1", 9))
        self.before = self.counters()
        self.audit = None
        self.problems = []

    def wrong(self, text):
        """Not as it must be."""
        self.problems.append(text)

    def expect(self, what, got, want):
        """Both are the same, or that is a problem."""
        if got != want:
            self.wrong(f"{what}: {got}, want {want}")

    def get(self, attributes=b"", flags=0, command="get"):
        """The attributes of each answer."""
        body = struct.pack("=BBH", genl.COMMANDS[command], 1, 0) + attributes
        for answer in self.family.netlink.request(self.family.id, body, flags):
            yield [(genl.NAMES.get(kind), data) for kind, data in genl.attrs(answer[4:])]

    def counters(self):
        """The SA's, and those of xfrm."""
        (answer,) = self.get(self.identity)
        now = Counter(nest(dict(answer)["stats"], STATS))
        for line in pathlib.Path("/proc/self/net/xfrm_stat").read_text(encoding="ascii").splitlines():
            name, value = line.split()
            now[name] = int(value)
        return now

    def moved(self):
        """All that has, since the beginning."""
        now = self.counters()
        return Counter({name: now[name] - self.before[name] for name in now
                        if now[name] != self.before[name]})

    def windows(self):
        """By subspace."""
        found = {}
        for answer in self.get(flags=genl.NLM_F_DUMP):
            if genl.attr(genl.NUMBERS["spi"], dict(answer)["spi"]) not in self.identity:
                continue
            for name, data in answer:
                if name == "rx-subspace":
                    one = nest(data, SUBSPACE)
                    found[one.pop("id")] = one
        return found

    def memory(self):
        """Of the SA, and of all SAs of the namespace."""
        (sa,), (caps,) = self.get(self.identity), self.get(command="caps")
        sa, netns, keys = (int.from_bytes(data, sys.byteorder) for data in (
            dict(sa)["memory"], dict(caps)["cap-netns-memory"], dict(caps)["cap-netns-keys-memory"]))
        return sa, netns - keys

    def arrives(self, sent):
        """One packet of the peer's, and nothing else has come."""
        marker, packet = sent
        self.sender.send([packet])
        if not select.select([self.sock], [], [], TIMEOUT)[0]:
            raise OSError(f"a legitimate packet has not come: {marker}; {dict(self.moved())}")
        got = self.sock.recv(2000)
        self.expect("delivered", got.rstrip(b"."), marker.encode())

    def counted(self, expected):
        """All of it, however long that takes."""
        end = time.monotonic() + TIMEOUT
        while (moved := self.moved()) != expected and time.monotonic() < end:
            time.sleep(0.005)
        self.expect("counted", dict(sorted(moved.items())), dict(sorted(expected.items())))


def ip_received():
    """Packets that the IP layer has seen; GRO's are counted behind it."""
    rows = [line.split() for line in
            pathlib.Path("/proc/self/net/snmp").read_text(encoding="ascii").splitlines()
            if line.startswith("Ip:")]
    return int(dict(zip(*rows))["InReceives"])


def by_gro(target, seen, sent, expected, pieces, first):
    """GRO takes what has an SA that has received, and is long enough, and in one piece."""
    others = expected["XfrmInNoStates"] + expected["rx-truncated"] + expected["rx-packets"] + pieces
    if seen < sent if first else seen > sent // 10 + others:
        target.wrong(f"the IP layer has seen {seen} packets of {sent} and the peer's")


def tell_apart(target, expected, name, window, want):
    """What one packet of a flood adds to what must be counted."""
    if name is None:
        return
    expected[name] += 1
    if window:
        want[window[0]][window[1]] += 1
    if not name.startswith("Xfrm"):
        stat = XFRM_STAT[name] if target.path != "slow" else "XfrmInStateProtoError"
        expected[stat] += 1


def accept(expected, packets):
    """The same of the peer's."""
    for _, packet in packets:
        del packet
        expected["rx-packets"] += 1
        expected["rx-bytes"] += len(INNER(0, 1))


def begin(target, expected):
    """The peer's packets before the flood: gaps in subspace 0, a few in another, one of ESP Echo."""
    peer, form = target.peer, target.form
    packets = []
    for _ in range(FIRST):
        packets.append(peer.next(0, GAPS))
        target.arrives(packets[-1])
    if form.subspaces > 1:
        packets += [peer.next(2), peer.next(2)]
        for packet in packets[-2:]:
            target.arrives(packet)
    accept(expected, packets)


def ask(target, expected):
    """One request of ESP Echo, which the SA answers by another."""
    peer, form = target.peer, target.form
    if form.name == "eesp":
        raise ValueError("its reference has no ESP Echo")
    sn = peer.sn[0] + GAPS
    peer.sn[0] = sn
    (packet,) = inject.CASES["echo-request"](form.sa, 0, sn, b"", spi=0x200)
    w = peer.windows[0]
    w["packets"] += 1
    w["highest"] = sn
    peer.request = 0, sn, packet
    target.sender.send([packet])
    expected["rx-echo"] += 1
    if target.path == "slow":
        expected["XfrmInStateProtoError"] += 1
    target.counted(expected)


def events(target, started, expected, subspaces, first):
    """Seldom, and those that must be."""
    said, seconds = target.ear.heard(), int(time.monotonic() - started) + 1
    print(f"# told in {seconds} s: {dict(said)}")
    target.expect("told by xfrm", said.pop("xfrm", 0), 0)
    target.expect("first-use", said.pop("first-use", 0), subspaces)
    refused = expected["rx-replay"] + expected["rx-too-old"]
    for name, much in (("window-drops", refused >= 2 * DROPS_ALARM),
                       ("out-of-range", expected["rx-subspace"] > 0)):
        n = said.pop(name, 0)
        if n > 1 + seconds // REST or n < much:
            target.wrong(f"{name}: {n} events in {seconds} s")
    # Twice as many each time
    forged, n = 0, FORGED_ALARM
    while first and n <= expected["rx-icv"]:
        forged, n = forged + 1, 2 * n
    target.expect("none-authentic", said.pop("none-authentic", 0), forged)
    target.expect("other events", dict(said), {})
    lines = target.ear.logged()
    if target.audit:
        n = target.audit.records()
        print(f"# audited: {n} in {seconds} s")
        if not 0 < n <= AUDITED * (seconds + 1):
            target.wrong(f"{n} records in {seconds} s")
    elif len(lines) > LOG_LINES:
        target.wrong(f"{len(lines)} lines of the kernel's log: {lines[:3]}")


def compare(target, want):
    """Windows, and what they have refused."""
    got = target.windows()
    target.expect("windows", got, {s: {name: w[name] for name in got.get(s, ("highest",))}
                                   for s, w in want.items()})


def afterwards(target, expected, want):
    """Windows, and that each number of the gaps is good once."""
    peer = target.peer
    compare(target, want)
    late = peer.late()
    for subspace, sn in late:
        packet = peer.packet(subspace, sn)
        target.arrives(packet)
        accept(expected, [packet])
        target.sender.send([packet[1]])
        tell_apart(target, expected, "rx-replay", (subspace, "replays"), want)
    target.counted(expected)
    compare(target, want)
    return len(late)


def flooded(target, kinds, count, first):
    """One request."""
    form, peer, expected = target.form, target.peer, Counter()
    started, received = time.monotonic(), ip_received()
    sources = [FLOODS[kind](form, peer) for kind in kinds]
    if not first:
        begin(target, expected)
    if "echo" in kinds:
        ask(target, expected)
    target.counted(expected)
    target.expect("told before", dict(target.ear.heard()),
                  {} if first else {"first-use": len(peer.windows) + ("echo" in kinds)})
    before, sent, pieces = target.memory(), 0, 0
    if target.audit:
        target.audit.set(1, AUDITED)
    want = peer.windows
    while sent < count * len(kinds):
        burst = []
        while len(burst) < BURST:
            source = form.rng.choice(sources)
            packet, name, window = next(source)
            pieces += source.gi_code is fragments.__code__
            burst.append(packet)
            tell_apart(target, expected, name, window, want)
        target.sender.send(burst)
        sent += len(burst)
        if not first:
            packet = peer.next(0, 1 + form.rng.randrange(3))
            target.arrives(packet)
            accept(expected, [packet])
    target.counted(expected)
    target.expect("memory of SA and namespace", target.memory(), before)
    if target.path == "gro":
        by_gro(target, ip_received() - received, sent, expected, pieces, first)
    events(target, started, expected, 0, first)
    if first:
        target.expect("windows", target.windows(), {})
        target.arrives(packet := peer.next(0))
        accept(expected, [packet])
        target.counted(expected)
    filled = 0 if first else afterwards(target, expected, want)
    print(f"# {sent} packets of {'all' if len(kinds) > 3 else ' '.join(kinds)}, "
          f"{expected['rx-packets']} legitimate, {filled} of gaps: "
          + " ".join(f"{k} {v}" for k, v in sorted(expected.items()) if k.startswith("rx-")))


def do(args, words):
    """One request; returns whether all was well."""
    name, path, count, way, *kinds = words
    how = kinds.pop(0) if kinds[0] in ("first", "audited") else ""
    with contextlib.ExitStack() as stack:
        target = Target(stack, args, Format(name, path), way)
        if how == "audited":
            target.audit = Audit(stack)
        try:
            flooded(target, kinds, int(count), how == "first")
        finally:
            for problem in target.problems[:10]:
                print(problem)
    return not target.problems


def main():
    """The command line."""
    # In the order in which they are sent packets shall come, and to one CPU
    os.sched_setaffinity(0, {0})
    args = sys.argv[1:4]
    print("ready", flush=True)
    for line in sys.stdin:
        good = False
        with open(args[2], "w", encoding="utf-8") as file, contextlib.redirect_stdout(file):
            try:
                good = do(args, line.split())
            except (OSError, genl.Refused, ValueError, KeyError, IndexError):
                traceback.print_exc(file=file)
        print("ok" if good else "failed", flush=True)


if __name__ == "__main__":
    main()
