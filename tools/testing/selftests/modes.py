#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Two hosts that are the ends of their SAs: what one sends, what is on the link
between them, what the other delivers; and what all of it should have been.

    modes.py NS1 NS2 LOG < requests, one a line

Answers every request with "ok" or "failed", after it has written to LOG what
there is to say. It stays, and has sockets in both namespaces, because starting it
takes its time. Everything that it sends, it sends on one CPU. Before a request stands the
key of SPI 0x100, as lib.sh's key_for() makes it.

    begin MODE INNER OUTER WAY [FILE]
                                 new SAs are there: forget what was before. WAY is
                                 on, off (our own path or the kernel's) or stock. FILE
                                 says what is not as usual: "shape" (modepackets.Shape),
                                 and as "1" and "2" the reference's words for the SAs
    packets                      the same packets every time, and what became of them
    lengths                      datagrams of many lengths, there and back
    largest                      the largest that fits: it is not cut
    too_long                     one octet more
    extensions                   IPv6 extension headers as applications ask for them
    room                         prints the MTU that is said, and what would fit
    padded TO                    "packets" have ESP as if they had TO octets at least
    settled                      nothing lost or dropped, nothing in clear, and every
                                 packet on the link as the format has it
    refusals                     what the mode cannot carry is counted, and stays here
    path WAY                     what WAY really is: the SA of NS1 cannot send now
    compare                      "packets" of this mode and families by all ways
    fragments OUTER WAY          BEET with beet-frag on: SPI 0x100 at both ends, 0x101
                                 not at the sender, 0x102 not at the receiver
    stock_options OUTER OCTET... BEET from the kernel's own ESP: all lengths of options,
                                 between inner addresses of each last octet
"""

import contextlib
import errno
import json
import os
import pathlib
import socket
import struct
import sys
import time
import traceback

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "reference"))

# pylint: disable=wrong-import-position
import esp64
import genl
import modejudge
import pcap
from modepackets import (
    BEETPH, DF, DSTOPTS, ECHO_PORT, EXTENSIONS, FRAGMENT, HEADER, HOPOPTS, INNER, LINK_MTU,
    MF, OPTION, OUTER, PORT, Reassembly, STOCK, Shape, UDP, chain_of, comparable, datagrams, delivered,
    esp_at, fragment, in_front, ip4, ip6, mtu_of, number_of, octets, options_of, packets4,
    packets6, payload, udp, version, without_length,
)

FACTOR = int(os.environ.get("TIME_FACTOR", "1"))
PATIENCE = 60 * FACTOR
SHOWN_PROBLEMS = 10
SPIS = {1: 0x100, 2: 0x200}

# Of the kernel, where the socket module has no name for it
ETH_P_ALL, PACKET_HOST, PACKET_OUTGOING = 3, 0, 4
SOL_PACKET, PACKET_STATISTICS, SO_RCVBUFFORCE = 263, 6, 33
IP_MTU_DISCOVER, IP_RECVERR, IP_MTU, PMTUDISC_DO = 10, 11, 14, 2
IPV6_FLOWINFO, IPV6_MTU_DISCOVER, IPV6_MTU, IPV6_RECVERR = 11, 23, 24, 25
MSG_ERRQUEUE = 0x2000

BOTH_ON, SENDER_OFF, RECEIVER_OFF = 0x100, 0x101, 0x102
FRAGMENT_TO = {BOTH_ON: "10.2.0.1", SENDER_OFF: "10.2.0.2", RECEIVER_OFF: "10.2.0.3"}


class Wrong(Exception):
    """What the test looks for."""


def expect(what, got, want):
    if got != want:
        raise Wrong(f"{what}: got {got}, want {want}")


def say(text):
    """For whoever reads the results."""
    print(f"# {text}")


def wait_for(what, condition):
    """What comes by itself, in a while."""
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise Wrong(f"waited in vain: {what()}")
        time.sleep(0.01)


# --- the two hosts ----------------------------------------------------------


STATS = genl.names("xfrm_ext_stat", "XFRM_EXT_STAT_")
TRAFFIC = {"tx-packets", "tx-bytes", "rx-packets", "rx-bytes"}


class Host:
    """One end."""

    def __init__(self, ns):
        self.ns = ns
        with genl.namespace(ns):
            self.family = genl.Family()
            self.tap = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
        self.tap.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
        with genl.namespace(ns):
            self.tap.bind(("wan", ETH_P_ALL))
        self.tap.setblocking(False)
        self.forget()

    def forget(self, lost=0):
        """Nothing was there."""
        self.left, self.came = [], []
        self.reassembly = Reassembly(lost)
        with contextlib.suppress(BlockingIOError):
            while True:
                self.tap.recv(1)

    def look(self):
        """What has passed the link's end since."""
        with contextlib.suppress(BlockingIOError):
            while True:
                data, (_, proto, kind, *_) = self.tap.recvfrom(1 << 16)
                if proto not in (0x0800, 0x86DD):
                    continue
                packet = pcap.trim(data)
                if kind == PACKET_OUTGOING:
                    if whole := self.reassembly.packet(packet):
                        self.left.append(whole)
                elif kind == PACKET_HOST:
                    self.came.append(packet)
        _, dropped = struct.unpack("=II", self.tap.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))
        expect(f"packets that the capture on {self.ns} missed", dropped, 0)

    def socket(self, *kind):
        with genl.namespace(self.ns):
            sock = socket.socket(*kind)
        sock.settimeout(PATIENCE)
        return sock

    def counters(self, dst, spi):
        """Of an SA: all of its counters that are not 0."""
        words = ["get", f"family={2 if '.' in dst else 10}", f"daddr={dst}", f"spi={spi}"]
        (answer,) = self.family.netlink.request(self.family.id, self.family.message(words))
        stats = dict(genl.attrs(answer[4:]))[genl.NUMBERS["stats"]]
        numbers = {STATS[kind]: int.from_bytes(value, sys.byteorder)
                   for kind, value in genl.attrs(stats)}
        return {name: n for name, n in numbers.items() if n and name != "pad"}

    def mib(self):
        """The namespace's xfrm_stat, what is not 0."""
        with genl.namespace(self.ns), open("/proc/net/xfrm_stat", encoding="ascii") as file:
            return {name: int(n) for name, n in map(str.split, file) if int(n)}


def more(before, after):
    """What has been counted."""
    return {name: n - before.get(name, 0) for name, n in after.items()
            if n != before.get(name, 0)}


def drops(counters):
    return {name: n for name, n in counters.items() if name not in TRAFFIC}


class Received:
    """A packet of UDP as the peer's stack has it, to the octet; of IPv6 put together from
    what a raw socket is told."""

    def __init__(self, host, inner, address):
        self.inner, self.address = inner, address
        family = socket.AF_INET if inner == 4 else socket.AF_INET6
        self.sock = host.socket(family, socket.SOCK_RAW, UDP)
        self.sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 4 << 20)
        if inner == 6:
            for option in (socket.IPV6_RECVTCLASS, IPV6_FLOWINFO, socket.IPV6_RECVHOPLIMIT,
                           socket.IPV6_RECVHOPOPTS, socket.IPV6_RECVDSTOPTS):
                self.sock.setsockopt(socket.IPPROTO_IPV6, option, 1)
        self.sock.bind((address, 0))
        self.sock.setblocking(False)

    def packets(self):
        """Those to PORT that have come since."""
        with contextlib.suppress(BlockingIOError):
            while True:
                data, told, _, peer = self.sock.recvmsg(1 << 16, 4096)
                if self.inner == 6:
                    data = self.whole(data, {kind: value for _, kind, value in told}, peer[0])
                at = (data[0] & 15) * 4 if self.inner == 4 else chain_of(data)[-1][1]
                if int.from_bytes(data[at + 2 : at + 4], "big") == PORT:
                    yield data

    def whole(self, body, told, src):
        extensions = []
        for number, kind in ((HOPOPTS, socket.IPV6_HOPOPTS), (DSTOPTS, socket.IPV6_DSTOPTS)):
            if kind in told:
                extensions.append((number, told[kind]))
        chain = b"".join(header for _, header in extensions)
        first = extensions[0][0] if extensions else UDP
        (hops,) = struct.unpack("=i", told[socket.IPV6_HOPLIMIT])
        flow = int.from_bytes(told.get(IPV6_FLOWINFO, b""), "big")
        return struct.pack("!IHBB", 6 << 28 | flow, len(chain) + len(body), first,
                           hops) + octets(src) + octets(self.address) + chain + body


# --- requests ---------------------------------------------------------------


class Bench:
    """Both, and SAs between them."""

    def __init__(self, ns1, ns2):
        os.sched_setaffinity(0, {0})
        self.hosts = {1: Host(ns1), 2: Host(ns2)}
        self.key, self.seen, self.opened = None, {}, contextlib.ExitStack()

    def begin(self, mode, inner, outer, way, path=None):
        self.mode, self.way = mode, way
        words = json.loads(pathlib.Path(path).read_text(encoding="ascii")) if path else {}
        self.shape = Shape(**words["shape"]) if path else STOCK if way == "stock" else Shape()
        if way != "stock":
            self.ours = self.shape
        self.words = {n: words.get(str(n), {}) for n in (1, 2)}
        self.inner, self.outer = int(inner), int(outer)
        self.src, self.dst = (OUTER if mode == "transport" else INNER)[self.inner]
        # With stock ESP, too: the packets are to be the same
        self.mtu = mtu_of(mode, self.inner, self.outer, self.ours)
        self.opened.close()
        self.raw = self.sender(self.inner, self.src)
        self.received = Received(self.hosts[2], self.inner, self.dst)
        self.opened.enter_context(self.received.sock)
        self.sink = self.listener(self.inner, self.dst)
        # An own IPv6 packet that is too long is cut behind ESP, with all that says DF
        lost = DF if (mode, self.inner, self.outer) == ("beet", 6, 4) else 0
        for host in self.hosts.values():
            host.forget(lost)

    def udp_socket(self, host, inner):
        family = socket.AF_INET if inner == 4 else socket.AF_INET6
        return self.opened.enter_context(self.hosts[host].socket(family, socket.SOCK_DGRAM))

    def sender(self, inner, src):
        """Sends whole packets: the route, policy and SA are those of its own address and
        where it sends to."""
        family = socket.AF_INET if inner == 4 else socket.AF_INET6
        sock = self.opened.enter_context(
            self.hosts[1].socket(family, socket.SOCK_RAW, socket.IPPROTO_RAW))
        sock.bind((src, 0))
        return sock

    def listener(self, inner, dst):
        """Somebody has to, or there is an ICMP error."""
        sock = self.udp_socket(2, inner)
        sock.bind((dst, PORT))
        sock.setblocking(False)
        return sock

    def look(self):
        for host in self.hosts.values():
            host.look()

    def counters(self, host, end):
        """Of the SA by which host sends, at host end."""
        return self.hosts[end].counters(OUTER[self.outer][host % 2], SPIS[host])

    def drain(self):
        with contextlib.suppress(BlockingIOError):
            while True:
                self.sink.recv(1 << 16)

    def esp_at(self, packet):
        return esp_at(packet, self.shape.proto)

    # The same packets each time

    def packets(self):
        make = packets4 if self.inner == 4 else packets6
        # Options stand before the blocks, and what is behind them may need one more: with the
        # kernel's own ESP, too
        less = self.shape.align if self.mode == "transport" and self.shape.align > 4 else 0
        sent = list(make(self.src, self.dst, self.mtu, less))
        # Some other's, of what was before
        list(self.received.packets())
        self.look()
        before = {n: len(host.left) for n, host in self.hosts.items()}
        came_before = len(self.hosts[2].came)
        fragments = self.hosts[1].reassembly.fragments
        got = []

        for packet in sent:
            self.raw.sendto(packet, (self.dst, 0))

        def all_came():
            got.extend(self.received.packets())
            return got and number_of(got[-1]) == number_of(sent[-1])

        wait_for(lambda: f"{len(got)} of {len(sent)} packets delivered", all_came)
        self.drain()
        self.look()
        wire = self.hosts[1].left[before[1] :]
        for packet in wire:
            if self.esp_at(packet) is None:
                raise Wrong(f"in clear: {packet.hex()}")
        if self.way != "stock":
            expect("packets cut on the link", self.hosts[1].reassembly.fragments, fragments)
            self.as_expected(sent, wire, got)
            if self.mode != "transport":
                # As the link's end has them, if it shows them twice, as tunnels do
                came = [p for p in self.hosts[2].came[came_before:] if self.esp_at(p) is None]
                self.same("decapsulated", came, [self.becomes(p) for p in sent])
        words = self.words_of(SPIS[1], 1, (self.src, self.dst))
        self.seen[self.mode, self.inner, self.outer, self.way] = sent, wire, got, words
        say(f"{len(sent)} packets of {min(map(len, sent))} to {max(map(len, sent))} octets,"
            f" at most {self.mtu} fit")

    def becomes(self, packet):
        return delivered(self.mode, self.inner, self.outer, packet)

    def same(self, what, got, want):
        for i, (one, other) in enumerate(zip(got, want)):
            if one != other:
                raise Wrong(f"{what} {i}:\n  got  {one.hex()}\n  want {other.hex()}")
        expect(f"packets {what}", len(got), len(want))

    def as_expected(self, sent, wire, got):
        """What the description of the format says of them."""
        self.same("delivered", got, [self.becomes(packet) for packet in sent])
        expect("packets on the link", len(wire), len(sent))
        if self.mode != "tunnel":
            self.same("in front of ESP", [packet[: self.esp_at(packet)] for packet in wire],
                      [in_front(self.mode, self.outer, packet, len(on_wire), self.shape.proto)
                       for packet, on_wire in zip(sent, wire)])

    # What applications do

    def lengths(self):
        sock = self.udp_socket(1, self.inner)
        sock.bind((self.src, 0))
        sock.connect((self.dst, ECHO_PORT))
        head = HEADER[self.inner] + 8
        lengths = [1, 100, 1300, *range(self.mtu - head - 1, self.mtu - head + 3),
                   LINK_MTU - head, LINK_MTU - head + 1, 9000]
        for length in lengths if FACTOR == 1 else lengths[:1] + lengths[4:7] + lengths[-1:]:
            data = payload(length, length)
            sock.send(data)
            if sock.recv(1 << 16) != data:
                raise Wrong(f"{length} octets: came back changed")

    def mtu_socket(self):
        """A socket that does not have its packets cut; the MTU that it is told."""
        sock = self.udp_socket(1, self.inner)
        if self.inner == 4:
            sock.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, PMTUDISC_DO)
            sock.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
            mtu_option = socket.IPPROTO_IP, IP_MTU
        else:
            sock.setsockopt(socket.IPPROTO_IPV6, IPV6_MTU_DISCOVER, PMTUDISC_DO)
            sock.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVERR, 1)
            mtu_option = socket.IPPROTO_IPV6, IPV6_MTU
        sock.bind((self.src, 0))
        sock.connect((self.dst, PORT))
        mtu = self.mtu
        if self.way == "stock":
            mtu = mtu_of(self.mode, self.inner, self.outer, self.shape)
        expect("MTU that the socket has", sock.getsockopt(*mtu_option), mtu)
        return sock, mtu

    def largest(self):
        sock, mtu = self.mtu_socket()
        self.look()
        left, fragments = len(self.hosts[1].left), self.hosts[1].reassembly.fragments
        data = payload(1, mtu - HEADER[self.inner] - 8)
        sock.send(data)
        got = []

        def came():
            with contextlib.suppress(BlockingIOError):
                got.append(self.sink.recv(1 << 16))
            return got

        wait_for(lambda: f"a packet of {mtu} octets", came)
        if got != [data]:
            raise Wrong("the largest that fits has arrived changed")
        self.look()
        expect("packets on the link", len(self.hosts[1].left), left + 1)
        expect("fragments on the link", self.hosts[1].reassembly.fragments, fragments)

    def too_long(self):
        sock, mtu = self.mtu_socket()
        self.look()
        left = len(self.hosts[1].left)
        before = self.counters(1, 1) if self.way != "stock" else {}
        # What the kernel finds behind ESP only, be it stock ESP, is what does not fit; then it has
        # taken its number, and nobody is told an MTU
        behind = (self.mode, self.inner) == ("transport", 6)
        if behind:
            mtu = mtu_of(self.mode, self.inner, self.outer, self.shape, self.shape.length)
        try:
            sock.send(payload(1, mtu + 1 - HEADER[self.inner] - 8))
        except OSError as e:
            expect("error", errno.errorcode[e.errno], "EMSGSIZE")
        else:
            raise Wrong(f"{mtu + 1} octets: no error")
        told = []
        sock.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            told = sock.recvmsg(1 << 16, 4096, MSG_ERRQUEUE)[1]
        # struct sock_extended_err: errno, four octets, info
        expect("errno and MTU told", [struct.unpack_from("=I4xI", one[2]) for one in told],
               [] if behind else [(errno.EMSGSIZE, mtu)])
        self.look()
        expect("packets that left", len(self.hosts[1].left) - left, 0)
        if self.way != "stock":
            moved = more(before, self.counters(1, 1))
            expect("counted", set(moved), {"tx-packets", "tx-bytes"} if behind else set())

    def extensions(self):
        if self.inner == 4:
            return
        kinds = {HOPOPTS: socket.IPV6_HOPOPTS, DSTOPTS: socket.IPV6_DSTOPTS}
        list(self.received.packets())
        for extensions in EXTENSIONS:
            with self.udp_socket(1, 6) as sock:
                for number, options in extensions:
                    sock.setsockopt(socket.IPPROTO_IPV6, kinds[number],
                                    bytes((0, (len(options) + 2) // 8 - 1)) + options)
                sock.bind((self.src, 0))
                sock.sendto(payload(1, 1000), (self.dst, PORT))
            got = []

            def came():
                got.extend(self.received.packets())
                return got

            wait_for(lambda: "a packet with extension headers", came)
            (packet,) = got
            chain = chain_of(packet)
            expect("extension headers", [what for _, _, what in chain],
                   [number for number, _ in extensions] + [UDP])
            for (_, at, _), (_, then, _), (_, options) in zip(chain, chain[1:], extensions):
                if packet[at + 2 : then] != options:
                    raise Wrong(f"options {packet[at + 2 : then].hex()}, not {options.hex()}")
        self.drain()

    def room(self):
        fits = mtu_of(self.mode, self.inner, self.outer, self.shape, self.shape.length)
        if (self.mode, self.inner) == ("beet", 4) and self.shape.align > 4:
            less = range(15)
        elif self.shape.trailer == "end":
            less = (0,)
        elif self.shape.trailer == "front" and self.shape.align > 4:
            less = range(2, 15)
        else:
            less = (2,)
        if fits - self.mtu not in less:
            raise Wrong(f"{self.mtu} octets are said to fit, and {fits} do")
        print(f"MTU {self.mtu}" + (f" of {fits}" if fits > self.mtu else ""))

    def padded(self, to):
        sent, wire, *_ = self.seen[self.mode, self.inner, self.outer, self.way]
        to = min(int(to), self.mtu)
        expect("octets of ESP", [len(packet) - self.esp_at(packet) for packet in wire],
               [self.shape.length(max(to, len(packet))) for packet in sent])

    # What became of all

    def settled(self):
        def counted():
            return {f"SA {host}": [self.counters(host, end) for end in (host, 3 - host)]
                    for host in (1, 2)}

        def equal():
            return all(
                drops(one) == drops(other) == {}
                and [one.get(f"tx-{name}") for name in names]
                == [other.get(f"rx-{name}") for name in names]
                for one, other in counted().values())

        # The receiver counts TFC padding, too
        names = ("packets", "bytes")[: 1 if "tfcpad" in self.words[1] else 2]
        wait_for(counted, equal)
        self.look()
        for number, host in self.hosts.items():
            if host.reassembly.parts:
                raise Wrong(f"fragments on the link that belong to nothing: {host.reassembly.parts}")
            self.no_clear(host.left)
        sent = {n: self.counters(n, n).get("tx-packets", 0) for n in self.hosts}
        expect("ESP packets of both", {n: len(list(self.unicast(h.left)))
                                       for n, h in self.hosts.items()}, sent)
        if min(sent.values()) < 10:
            raise Wrong(f"hardly any packets: {sent}")
        self.judge({SPIS[n]: (n, (self.src, self.dst)) for n in (1, 2)})

    def unicast(self, packets):
        """Without what hosts say to their link by themselves."""
        return (p for p in packets
                if not (p[16] >> 4 == 14 if version(p) == 4 else p[24] == 0xFF))

    def no_clear(self, packets):
        for packet in self.unicast(packets):
            if self.esp_at(packet) is None:
                raise Wrong(f"in clear: {packet.hex()}")

    def words_of(self, spi, host, inner, **more_words):
        """The reference's words for the SA by which host sends."""
        src, dst = OUTER[self.outer][:: 3 - 2 * host]
        words = {"spi": hex(spi), "key": f"0x{spi:08x}{self.key[10:]}", "icv": 128, "src": src,
                 "dst": dst, "mode": self.mode} | self.words[host] | more_words
        return words | {"inner": inner[:: 3 - 2 * host]} if self.mode == "beet" else words

    def judge(self, sas, **more_words):
        """The reference's judgement of all packets."""
        modejudge.judge([self.words_of(spi, host, inner, **more_words)
                         for spi, (host, inner) in sas.items()],
                        [list(self.unicast(host.left)) for host in self.hosts.values()])

    def refusals(self):
        src, dst = self.src, self.dst
        counter = "tx-inner"
        body = udp(src, dst, payload(1, 50))
        if self.mode == "tunnel":
            return
        if self.mode == "transport":
            counter = "tx-fragment"
            if self.inner == 4:
                packets = [ip4(src, dst, body, frag=frag) for frag in (MF, 1, MF | 7, DF | MF)]
            else:
                packets = [ip6(src, dst, struct.pack("!BBHI", UDP, 0, word, 1) + body, FRAGMENT,
                               extensions=extensions)
                           for word in (1, 8, 9, 0) for extensions in ((), EXTENSIONS[0])]
        elif self.inner == 4:
            packets = [ip4(*ends, udp(*ends, payload(1, 50)))
                       for ends in (("10.1.0.2", dst), (src, "10.2.0.2"), (dst, src),
                                    ("10.0.0.1", "10.0.0.2"))]
            packets.append(ip4(src, dst, body, BEETPH))
            # Length 0, 1, more than there is, missing; and the same behind a good one
            bad = [bytes((OPTION, 0, 1, 1)), bytes((OPTION, 1, 1, 1)), bytes((OPTION, 5, 1, 1)),
                   bytes((1, 1, 1, OPTION))]
            bad += [bytes((OPTION, 36)) + bytes(34) + options for options in bad]
            packets += [ip4(src, dst, body, options=options) for options in bad]
        else:
            packets = [ip6(*ends, udp(*ends, payload(1, 50)))
                       for ends in (("fd01::2", dst), (src, "fd02::2"), (dst, src),
                                    ("fd00::1", "fd00::2"))]
        self.look()
        before, mib = self.counters(1, 1), self.hosts[1].mib()
        left = len(self.hosts[1].left)
        for packet in packets:
            with contextlib.suppress(OSError):
                self.raw.sendto(packet, (dst, 0))
        self.look()
        expect("counted", more(before, self.counters(1, 1)), {counter: len(packets)})
        expect("counted in xfrm_stat", more(mib, self.hosts[1].mib()),
               {"XfrmOutStateModeError": len(packets)})
        expect("packets that left", len(self.hosts[1].left) - left, 0)
        # Nothing is wrong with the SA
        self.one_more()
        say(f"{len(packets)} refused")

    def one_more(self):
        list(self.received.packets())
        (*_, packet) = (packets4 if self.inner == 4 else packets6)(self.src, self.dst, self.mtu)
        self.raw.sendto(packet, (self.dst, 0))
        got = []

        def came():
            got.extend(self.received.packets())
            return got

        wait_for(lambda: "a packet after those refused", came)
        expect("delivered", got, [self.becomes(packet)])
        self.drain()

    def path(self, way):
        (*_, packet) = (packets4 if self.inner == 4 else packets6)(self.src, self.dst, self.mtu)
        before = self.hosts[1].mib()
        with contextlib.suppress(OSError):
            self.raw.sendto(packet, (self.dst, 0))
        expect("refused by", more(before, self.hosts[1].mib()),
               {{"on": "XfrmOutStateInvalid", "off": "XfrmOutStateProtoError"}[way]: 1})

    # The three of them

    def compare(self):
        seen = {way: self.seen.get((self.mode, self.inner, self.outer, way))
                for way in ("on", "off", "stock")}
        if not seen["on"]:
            raise Wrong("there is nothing of our own path to compare with")
        sent, fast, got, words = seen["on"]
        sa = esp64.SA.from_dict(words)
        for way in ("off", "stock"):
            if seen[way] and seen[way][0] != sent:
                raise Wrong(f"other packets have been sent, {way}")
        if seen["off"]:
            _, slow, got_slow, words_slow = seen["off"]
            sa_slow = esp64.SA.from_dict(words_slow)
            self.same("in front of ESP", [comparable(self.mode, p) for p in fast],
                      [comparable(self.mode, p) for p in slow])
            self.same("ESP", [esp64.opened(sa, p[esp_at(p) :]) for p in fast],
                      [esp64.opened(sa_slow, p[esp_at(p) :]) for p in slow])
            self.same("delivered", got, got_slow)
        _, stock, got_stock, _ = seen["stock"]
        self.same("in front of ESP but for lengths, by stock ESP",
                  [without_length(comparable(self.mode, p)) for p in fast],
                  [without_length(comparable(self.mode, p)) for p in stock])
        self.same("delivered, by stock ESP", got, got_stock)
        # Or it has not been stock ESP, or is not as it is
        expect("octets longer than stock ESP's",
               {len(one) - len(other) for one, other in zip(fast, stock)},
               {self.ours.header - STOCK.header})
        if self.ours == STOCK:
            self.same("SPI and number, by stock ESP",
                      [p[esp_at(p) : esp_at(p) + 8] for p in fast],
                      [p[esp_at(p) : esp_at(p) + 8] for p in stock])
        heads = {without_length(comparable(self.mode, packet)) for packet in fast}
        ways = ", ".join(way for way in seen if seen[way])
        say(f"{len(sent)} packets with {len(heads)} different outer headers: {ways}")

    # Fragments in BEET

    def fragments(self, outer, way):
        """All in one direction."""
        self.begin("beet", 4, outer, way)
        src = self.src
        mtu = self.mtu
        sinks = {spi: self.sink if spi == BOTH_ON else self.listener(4, dst)
                 for spi, dst in FRAGMENT_TO.items()}
        sent, payloads = [], []
        for group in datagrams(src, FRAGMENT_TO[BOTH_ON], mtu):
            order, wholes = group
            sent += order
            payloads += wholes
            for packet in order:
                self.raw.sendto(packet, (FRAGMENT_TO[BOTH_ON], 0))
        got = []

        def came():
            with contextlib.suppress(BlockingIOError):
                while True:
                    got.append(sinks[BOTH_ON].recv(1 << 16))
            return len(got) >= len(payloads)

        wait_for(lambda: f"{len(got)} of {len(payloads)} datagrams put together", came)
        self.same("put together", sorted(got), sorted(payloads))
        self.look()
        wire = self.hosts[1].left
        self.no_clear(wire)
        self.same("in front of ESP", [packet[: esp_at(packet)] for packet in wire],
                  [in_front("beet", self.outer, packet, len(on_wire))
                   for packet, on_wire in zip(sent, wire)])
        came_in = [packet for packet in self.hosts[2].came
                   if version(packet) == 4 and packet[16:20] == octets(FRAGMENT_TO[BOTH_ON])]
        self.same("decapsulated", came_in, sent)
        expect("sent", self.fragment_counters(1, BOTH_ON)["tx-packets"], len(sent))
        expect("drops of the sender", drops(self.fragment_counters(1, BOTH_ON)), {})
        counters = self.fragment_counters(2, BOTH_ON)
        expect("accepted", counters["rx-packets"], len(sent))
        expect("octets", counters["rx-bytes"], self.fragment_counters(1, BOTH_ON)["tx-bytes"])
        expect("drops of the receiver", drops(counters), {})

        self.fragment_too_long()
        # The sender does not
        pieces = fragment(src, FRAGMENT_TO[SENDER_OFF], payload(1, 100), 0x77, (48, 48))
        left = len(wire)
        for packet in pieces:
            with contextlib.suppress(OSError):
                self.raw.sendto(packet, (FRAGMENT_TO[SENDER_OFF], 0))
        self.look()
        expect("left, sender off", len(wire), left)
        expect("counted, sender off", self.fragment_counters(1, SENDER_OFF),
               {"tx-fragment": len(pieces)})
        # The receiver does not
        pieces = fragment(src, FRAGMENT_TO[RECEIVER_OFF], payload(1, 100), 0x78, (48, 48))
        pieces += fragment(src, FRAGMENT_TO[RECEIVER_OFF], payload(1, 100), 0x79, (48, 48),
                           options_of(4))
        for packet in pieces:
            self.raw.sendto(packet, (FRAGMENT_TO[RECEIVER_OFF], 0))
        wait_for(lambda: self.fragment_counters(2, RECEIVER_OFF),
                 lambda: self.fragment_counters(2, RECEIVER_OFF) == {"rx-fragment": len(pieces)})
        self.look()
        expect("left, receiver off", len(wire), left + len(pieces))
        for spi in (SENDER_OFF, RECEIVER_OFF):
            with contextlib.suppress(BlockingIOError):
                raise Wrong(f"delivered: {sinks[spi].recv(1 << 16).hex()}")
        # What is whole goes through all of them
        for spi, dst in FRAGMENT_TO.items():
            packet = ip4(src, dst, udp(src, dst, b"whole"), options=options_of(8), frag=DF)
            self.raw.sendto(packet, (dst, 0))
            sinks[spi].settimeout(PATIENCE)
            expect("whole", sinks[spi].recv(1 << 16), b"whole")
        self.look()
        self.no_clear(wire)
        self.judge({spi: (1, (src, dst)) for spi, dst in FRAGMENT_TO.items()}, beet_frag=True)
        say(f"{len(sent)} fragments of {len(payloads)} datagrams,"
            f" {self.hosts[1].reassembly.fragments} fragments on the link")

    def stock_options(self, outer, *last):
        """All that it may leave in the octet that is reserved: the last one of an address."""
        self.begin("beet", 4, outer, "on")
        found = set()
        for spi, octet in enumerate(last, 0x100):
            src, dst = (end.rsplit(".", 1)[0] + "." + octet for end in INNER[4])
            raw, received = self.sender(4, src), Received(self.hosts[2], 4, dst)
            self.opened.enter_context(received.sock)
            self.listener(4, dst)
            sent = [ip4(src, dst, udp(src, dst, payload(length, 100)), options=options_of(length),
                        ident=length) for length in range(4, 44, 4)]
            got = []
            for packet in sent:
                raw.sendto(packet, (dst, 0))

            def came(received=received, got=got, sent=sent):
                got.extend(received.packets())
                return len(got) >= len(sent)

            wait_for(lambda got=got: f"{len(got)} packets with options delivered", came)
            self.same("delivered", got, [self.becomes(packet) for packet in sent])
            counters = self.fragment_counters(2, spi)
            expect("accepted, drops", (counters["rx-packets"], drops(counters)), (len(sent), {}))
            self.look()
            sa = esp64.SA.from_dict(self.words_of(spi, 1, (src, dst), format="esp"))
            for packet in self.hosts[1].left[-len(sent) :]:
                found.add(esp64.unseal(sa, packet[esp_at(packet) :])[3][3])
        # Or there is nothing in it that could be taken for a fragment's
        expect("octets in the reserved field", found, set(map(int, last)))
        say(f"{len(sent) * len(last)} packets")

    def fragment_too_long(self):
        """With DF: the sender is told how much fits, and nothing leaves."""
        left, before = len(self.hosts[1].left), self.fragment_counters(1, BOTH_ON)
        self.raw.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
        size = self.mtu - 20 + 8 & ~7
        packet, *_ = fragment(self.src, self.dst, payload(1, size), 0x80, (size,), df=DF)
        with contextlib.suppress(OSError):
            self.raw.sendto(packet, (self.dst, 0))
        self.raw.setblocking(False)
        told = self.raw.recvmsg(1 << 16, 4096, MSG_ERRQUEUE)[1]
        self.raw.settimeout(PATIENCE)
        self.raw.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 0)
        expect("errno and MTU told", [struct.unpack_from("=I4xI", one[2]) for one in told],
               [(errno.EMSGSIZE, self.mtu)])
        self.look()
        expect("left, too long", len(self.hosts[1].left) - left, 0)
        moved = more(before, self.fragment_counters(1, BOTH_ON))
        expect("sent, too long", TRAFFIC & set(moved), set())

    def fragment_counters(self, host, spi):
        return self.hosts[host].counters(OUTER[self.outer][1], spi)


def main():
    """The command line."""
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    _, ns1, ns2, log = sys.argv
    bench = Bench(ns1, ns2)
    print("ready", flush=True)
    for line in sys.stdin:
        bench.key, verb, *words = line.split()
        verdict = "ok"
        with open(log, "w", encoding="utf-8") as file, contextlib.redirect_stdout(file):
            try:
                getattr(bench, verb)(*words)
            # It stays, whatever goes wrong
            except Exception as e:  # pylint: disable=broad-exception-caught
                print(f"{line.strip()}: {type(e).__name__}: {e}")
                lines = (frame.lineno for frame in traceback.extract_tb(e.__traceback__)
                         if frame.filename == __file__)
                print("at lines", *lines)
                verdict = "failed"
        print(verdict, flush=True)


if __name__ == "__main__":
    main()
