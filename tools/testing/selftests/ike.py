#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""A stream through the SAs that IKE daemons make, and every packet on the wire, for lib-ike.sh.

    ike.py NETNS NETNS      the two ends; requests, one a line, from standard input:

    new                     forget what was on the wire, and which SAs there were, and end
                            a stream that a test has left when it failed
    stream LENGTH A1 A2     begin to send numbered datagrams, RATE a second each way, by all
                            CPUs in turn: the first end from its address A1 to A2, the second
                            back
    more N                  wait until each end has received N of those sent from now on
    pause                   send none until there shall be more
    cut, whole              what is sent from now on may get lost; may not any more
    stop                    send no more, and wait for what is on its way. Answers what was
                            sent by the first end, received by the second, sent by the
                            second, received by the first, received twice, and how many
                            were lost that should not
    wire W1 W2 [SUBSPACES]  judge all packets since `new` by what the SAs of both ends must
                            look like on the wire: stock; esp, with the counter as IV;
                            esp64; "-implicit" behind these: without IV. Answers the
                            packets of ESP from both ends, and their SPIs

The answer is one line, "ok WORD..." or what is wrong. The SAs are those of which the kernel
tells its key managers.
"""

import collections
import ctypes
import os
import select
import socket
import struct
import sys
import time

from genl import CLONE_NEWNET, attrs
from ears import ETH_P_ALL, PACKET_OUTGOING, PACKET_STATISTICS, SO_RCVBUFFORCE, SOL_PACKET

import iphdr  # pylint: disable=wrong-import-order # its place is known from ears

libc = ctypes.CDLL(None, use_errno=True)
FACTOR = int(os.environ.get("TIME_FACTOR", "1"))
PATIENCE = 60 * FACTOR
RATE, PORT = 40, 7000
# So many datagrams each way, then from another CPU
STAY = 3
# More numbers than there are packets, and than are left out where an SA is made again (2^20)
STOCK_NUMBERS, NUMBERS = 1 << 16, 1 << 24
# What may be late on a busy machine; nothing but a link is between the ends
LATE = 2 * FACTOR

NETLINK_XFRM, XFRMNLGRP_SA, XFRM_MSG_NEWSA, XFRM_MSG_UPDSA = 6, 3, 0x10, 0x1A
XFRMA_ALG_CRYPT, XFRMA_ENCAP, XFRMA_ALG_AEAD = 2, 4, 18
NLMSG_HEAD, SA_INFO, SA_SPI, SA_PROTO = 16, 224, 72, 76

ETH_P_IP, ETH_P_ARP, ETH_P_IPV6 = 0x0800, 0x0806, 0x86DD
PROTO_ICMPV6 = 58
# Solicitations, advertisements, redirects and listener reports
ICMPV6_LINK = {*range(130, 138), 143}
IKE_PORT, NATT_PORT = 500, 4500

Seen = collections.namedtuple("Seen", "end spi head encap")
SA = collections.namedtuple("SA", "name aead encap")


class Wrong(Exception):
    """What is answered in place of "ok"."""


class End:
    """What there is in one namespace."""

    def __init__(self, name, index):
        self.index = index
        self.sas = {}
        self.sock = None
        self.address = None
        self.sent = self.twice = 0
        self.got, self.may = set(), set()
        with open(f"/var/run/netns/{name}", encoding="ascii") as file:
            self.netns = os.dup(file.fileno())
        self.enter()
        # Outgoing packets only: those that come are here twice, as ESP and decrypted
        self.wan = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL))
        self.wan.bind(("wan", ETH_P_ALL))
        self.told = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_XFRM)
        self.told.bind((0, 1 << (XFRMNLGRP_SA - 1)))
        for sock in (self.wan, self.told):
            sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 16 << 20)
            sock.setblocking(False)

    def enter(self):
        if libc.setns(self.netns, CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")

    def open(self, address):
        self.enter()
        self.address = address
        self.sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET,
                                  socket.SOCK_DGRAM)
        self.sock.bind((address, PORT))
        self.sock.setblocking(False)
        self.sent = self.twice = 0
        self.got, self.may = set(), set()

    def close(self):
        if self.sock:
            self.sock.close()
        self.sock = None

    def send(self, to, length, may):
        """Whatever becomes of it: one that the kernel refuses is lost, too."""
        if may:
            self.may.add(self.sent)
        try:
            self.sock.sendto(struct.pack("!Q", self.sent).ljust(length, b"."), (to, PORT))
        except OSError:
            pass
        self.sent += 1

    def receive(self):
        for data in read(self.sock):
            (number,) = struct.unpack_from("!Q", data)
            self.twice += number in self.got
            self.got.add(number)

    def hear(self):
        for data in read(self.told):
            kind, body = struct.unpack_from("=H", data, 4)[0], data[NLMSG_HEAD:]
            if kind not in (XFRM_MSG_NEWSA, XFRM_MSG_UPDSA) or body[SA_PROTO] != iphdr.PROTO_ESP:
                continue
            rest = dict(attrs(body[SA_INFO:]))
            aead = XFRMA_ALG_AEAD in rest
            name = rest[XFRMA_ALG_AEAD if aead else XFRMA_ALG_CRYPT][:64].rstrip(b"\0").decode()
            self.sas[body[SA_SPI : SA_SPI + 4].hex()] = SA(name, aead, XFRMA_ENCAP in rest)


def read(sock):
    while True:
        try:
            yield sock.recv(65536)
        except BlockingIOError:
            return


class Wire:
    """Every packet, as it leaves either end."""

    def __init__(self):
        self.esp = []
        self.strange = []

    def look(self, end):
        while True:
            try:
                packet, (_, kind, way, *_) = end.wan.recvfrom(65536)
            except BlockingIOError:
                return
            if way == PACKET_OUTGOING and kind != ETH_P_ARP:
                self.packet(end, packet, kind)

    def packet(self, end, packet, kind):
        if kind in (ETH_P_IP, ETH_P_IPV6):
            header, at = iphdr.parse(packet)
            body = packet[at:]
            whole = kind == ETH_P_IPV6 or not header.frag & iphdr.IP_FRAGMENT
            if whole and header.proto == iphdr.PROTO_ESP:
                return self.found(end, body, False)
            if whole and header.proto == iphdr.PROTO_UDP:
                ports, body = set(struct.unpack_from("!HH", body)), body[iphdr.UDP_LEN :]
                if IKE_PORT in ports:
                    return None
                if NATT_PORT in ports:
                    # IKE's marker, or a keepalive
                    if body[:4] == bytes(4) or body == b"\xff":
                        return None
                    return self.found(end, body, True)
            if kind == ETH_P_IPV6 and header.proto == iphdr.PROTO_HOPOPTS:
                header, body = header._replace(proto=body[0]), body[8 + 8 * body[1] :]
            if header.proto == PROTO_ICMPV6 and body[0] in ICMPV6_LINK:
                return None
        self.strange.append(f"from end {end.index + 1}, in clear: {packet[:60].hex()}")
        return None

    def found(self, end, body, encap):
        self.esp.append(Seen(end.index, body[:4].hex(), body[:28], encap))


def judge(seen, sa, look, subspaces):
    """What must be different from packet to packet; Wrong if the layout is another one."""
    form, _, implicit = look.partition("-")
    head = 12 if form == "esp64" else 8
    low, number = seen.head[4:8], seen.head[4:12]
    iv = seen.head[head : head + (8 if sa.aead else 16)]
    if seen.encap != sa.encap:
        raise Wrong("UDP where there should be none, or none")
    # Read as another format's, a number is 0, or more than there can have been
    if form == "esp64":
        if int.from_bytes(number[:2], "big") >= subspaces:
            raise Wrong("Subspace ID")
        counter = number[2:]
    else:
        counter = low
    if not 0 < int.from_bytes(counter, "big") < (STOCK_NUMBERS if form == "stock" else NUMBERS):
        raise Wrong("Sequence Number")
    if implicit:
        return number if form == "esp64" else low
    if not sa.aead:
        # It shall be one that nobody foresees
        if (number if form == "esp64" else low) in iv:
            raise Wrong("IV and number")
    elif form == "esp64" and iv != number or form == "esp" and iv[4:] != low:
        raise Wrong("IV and number are not the same")
    return iv


class Watch:
    """Both ends, the stream between them, the wire, and who asks."""

    def __init__(self, names):
        self.ends = [End(name, i) for i, name in enumerate(names)]
        self.wire = Wire()
        self.length = 0
        self.next = None
        self.is_cut = False
        self.turns = 0
        self.line = b""

    def turn(self):
        """Wait for something, and do what there is to do."""
        socks = [0]
        for end in self.ends:
            socks += [end.wan, end.told] + ([end.sock] if end.sock else [])
        wait = 0.1 if self.next is None else max(0, self.next - time.monotonic())
        ready = select.select(socks, [], [], wait)[0]
        self.drain()
        if self.next is not None and time.monotonic() >= self.next:
            self.turns += 1
            os.sched_setaffinity(0, {self.turns // STAY % os.cpu_count()})
            for end in self.ends:
                end.send(self.ends[1 - end.index].address, self.length, self.is_cut)
            # Never faster to make up for being held up
            self.next = time.monotonic() + 1 / RATE
        return 0 in ready

    def drain(self):
        for end in self.ends:
            end.hear()
            self.wire.look(end)
            if end.sock:
                end.receive()

    def wait(self, done, seconds):
        limit = time.monotonic() + seconds
        while not done():
            if time.monotonic() > limit:
                return False
            self.turn()
        return True

    # --- requests ---------------------------------------------------------

    def new(self):
        self.next = None
        self.drain()
        self.wire = Wire()
        for end in self.ends:
            end.close()
            end.sas.clear()
            end.wan.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8)

    def stream(self, length, *addresses):
        self.length = int(length)
        self.is_cut = False
        for end, address in zip(self.ends, addresses):
            end.open(address)
        self.next = time.monotonic()

    def more(self, count):
        first = [self.ends[1 - end.index].sent for end in self.ends]
        self.next = self.next or time.monotonic()

        def came(end):
            return sum(number >= first[end.index] for number in end.got)

        if not self.wait(lambda: all(came(end) >= int(count) for end in self.ends), PATIENCE):
            raise Wrong("stream: of those sent from then on the ends received"
                        f" {came(self.ends[0])} and {came(self.ends[1])}, not {count} each")

    def pause(self):
        self.next = None

    def cut(self):
        self.is_cut = True

    def whole(self):
        self.is_cut = False

    def stop(self):
        first, second = self.ends
        self.next = None
        self.wait(lambda: len(second.got) == first.sent and len(first.got) == second.sent, LATE)
        self.drain()
        lost = sum(len(set(range(a.sent)) - a.may - b.got)
                   for a, b in ((first, second), (second, first)))
        for end in self.ends:
            end.close()
        return (first.sent, len(second.got), second.sent, len(first.got),
                first.twice + second.twice, lost)

    def judge_wire(self, look1, look2, subspaces="1"):
        self.drain()
        for end in self.ends:
            if end.wan.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8)[4:] != bytes(4):
                raise Wrong(f"packets of end {end.index + 1} were not seen")
        if self.wire.strange:
            raise Wrong(f"{len(self.wire.strange)} strange packets, the first {self.wire.strange[0]}")
        once, spis, ids = set(), [set(), set()], [set(), set()]
        for seen in self.wire.esp:
            what = f"packet of ESP from end {seen.end + 1}, {seen.head.hex()}"
            sas = [end.sas.get(seen.spi) for end in self.ends]
            if None in sas:
                raise Wrong(f"{what}: nobody has such an SA")
            try:
                nonce = judge(seen, sas[seen.end], (look1, look2)[seen.end], int(subspaces))
            except Wrong as e:
                raise Wrong(f"{what}: {e}") from None
            if (seen.spi, nonce) in once:
                raise Wrong(f"{what}: that was there before")
            once.add((seen.spi, nonce))
            spis[seen.end].add(seen.spi)
            ids[seen.end].add(seen.head[4:6])
        for end, look in enumerate((look1, look2)):
            if look == "esp64" and len(ids[end]) < min(int(subspaces), os.cpu_count()):
                raise Wrong(f"ESP from end {end + 1}: only {len(ids[end])} Subspace IDs")
        packets = collections.Counter(seen.end for seen in self.wire.esp)
        return packets[0], packets[1], len(spis[0]), len(spis[1])

    def request(self, verb, *words):
        verbs = {"new": self.new, "stream": self.stream, "more": self.more, "pause": self.pause,
                 "cut": self.cut, "whole": self.whole, "stop": self.stop, "wire": self.judge_wire}
        return verbs[verb](*words) or ()

    def run(self):
        while True:
            if not self.turn():
                continue
            data = os.read(0, 4096)
            if not data:
                return
            self.line += data
            while b"\n" in self.line:
                line, _, self.line = self.line.partition(b"\n")
                try:
                    print("ok", *self.request(*line.decode().split()), flush=True)
                except (Wrong, OSError, KeyError, TypeError) as e:
                    print(f"{type(e).__name__}: {e}", flush=True)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    Watch(sys.argv[1:]).run()
