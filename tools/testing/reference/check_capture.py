#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Decrypt every packet of a capture and judge the whole of it.

Per packet: the outer headers, in every field as the mode and the SA's flags have it, the
format, the ICV, IV = N, the inner packet as it is delivered and its checksums.
Per SA: (Subspace ID, SN) and IV never twice; SN strictly increasing in every
subspace, from the first number on; with --complete without holes. With
--unordered, for a capture that may have mixed the order, the numbers of every
subspace must be first..k, all of them. Prints '# ' lines that fit into KTAP, the
last one with the verdict; exit status 0 if the capture is good, 1 if not, 2 if it
could not be judged.
"""

import argparse
import sys

import echo
import esp64
import iphdr
import outer
import pcap

SHOWN_PROBLEMS = 10
PROTO_TCP, PROTO_UDP, PROTO_ICMP, PROTO_ICMPV6 = 6, 17, 1, 58


def inner_checksums_good(inner):
    """Whether the checksums of an inner packet are final and right.

    Only what can be told without reassembly or following routes.
    """
    if inner[0] >> 4 == 4:
        head = (inner[0] & 15) * 4
        if head < 20 or len(inner) < head or esp64.checksum(inner[:head]):
            return False
        if int.from_bytes(inner[6:8], "big") & 0x3FFF:
            return True
        proto, addresses = inner[9], inner[12:20]
    else:
        head, proto, addresses = 40, inner[6], inner[8:40]
        while proto in (iphdr.PROTO_HOPOPTS, iphdr.PROTO_DSTOPTS):
            if head + 8 > len(inner):
                return False
            proto, head = inner[head], head + 8 + 8 * inner[head + 1]
    body = inner[head:]
    if proto == PROTO_UDP and body[6:8] == b"\0\0":
        return inner[0] >> 4 == 4
    if proto == PROTO_ICMP:
        return not esp64.checksum(body)
    if proto not in (PROTO_TCP, PROTO_UDP, PROTO_ICMPV6):
        return True
    pseudo = addresses + len(body).to_bytes(4, "big") + proto.to_bytes(4, "big")
    return not esp64.checksum(pseudo + body)


def esp_spi(packet, encaps):
    """The SPI if this is an ESP packet; None if not; -1 for a fragment of one."""
    at = outer.find_esp(packet, encaps)
    return int.from_bytes(packet[at : at + 4], "big") if at not in (None, -1) else at


def numbers_only(sa, packet, top):
    """As esp64.decode(), for where decrypting all would take too long."""
    at = outer.find_esp(packet, {sa.encap})
    if at is None:
        raise esp64.BadOuter("other ports than the SA's")
    subspace, sn = esp64.read_number(sa, packet[at:], top)
    return subspace, sn, packet[at + sa.header_len :][: sa.iv_len], None, None


class Judge:
    """What is known of one SA's packets so far."""

    def __init__(self, sa, first, ordered, complete, decode=esp64.decode, idents=None):
        self.sa = sa
        self.idents = idents or outer.Identifications()
        self.decode = decode
        self.first = first
        self.ordered = ordered
        self.complete = complete
        self.packets = 0
        self.dummies = 0
        self.echoes = []
        self.highest = {}
        self.numbers = {}
        self.ivs = set()
        self.lost = False

    def packet(self, packet):
        """Judge one packet; yield what is wrong with it."""
        try:
            top = self.highest.get(0, self.first - 1)
            subspace, sn, iv, next_header, inner = self.decode(self.sa, packet, top)
        except esp64.DecodeError as e:
            yield f"{type(e).__name__}: {e}"
            return
        self.packets += 1
        where = f"subspace {subspace}, SN {sn}"
        if self.sa.suite.counted and int.from_bytes(iv, "big") != subspace << esp64.SN_BITS | sn:
            yield f"{where}: IV {iv.hex()} is not N"
        if iv in self.ivs and iv:
            yield f"{where}: IV {iv.hex()} used again"
        self.ivs.add(iv)
        numbers = self.numbers.setdefault(subspace, set())
        if sn in numbers:
            yield f"{where}: number used again"
        elif self.ordered:
            before = self.highest.get(subspace)
            if before is None and sn != self.first and not self.lost:
                yield f"{where}: first packet, but not SN {self.first}"
            elif before is not None and sn < before:
                yield f"{where}: after SN {before}"
        numbers.add(sn)
        self.highest[subspace] = max(sn, self.highest.get(subspace, 0))
        if next_header == esp64.PROTO_NONE:
            self.dummies += 1
        elif echo.is_echo(next_header, inner or b""):
            try:
                self.echoes.append(echo.parse(inner))
            except ValueError as e:
                yield f"{where}: ESP Echo: {e}"
        elif inner is not None and not inner_checksums_good(inner):
            yield f"{where}: inner checksum"
        if self.sa.mode == "tunnel":
            for problem in self.idents.problems(packet):
                yield f"{where}: {problem}"
            # (Where nothing was decrypted nothing can be told)
            if next_header is not None:
                own = next_header in (esp64.PROTO_NONE, echo.PROTO_AGGFRAG)
                inside = None if own else inner
                for problem in outer.tunnel_problems(self.sa, packet, inside):
                    yield f"{where}: {problem}"

    def missing(self):
        """Yield (subspace, how many numbers up to the highest are not there)."""
        for subspace, numbers in sorted(self.numbers.items()):
            missing = self.highest[subspace] - self.first + 1 - len(numbers)
            if missing:
                yield subspace, missing

    def foreseen(self):
        """What an IV that nobody may foresee cannot be: an octet that is always the same, or
        grows with the packets. (Of 24 random ones, once in 2^100 runs.)"""
        size = self.sa.iv_len
        if self.sa.suite.counted or not size or len(self.ivs) < 24:
            return
        for at in range(size):
            if len({iv[at] for iv in self.ivs}) < 6:
                yield f"octet {at} of the IVs is hardly ever another"

    def end(self, min_packets, min_subspaces):
        """Yield what is wrong with the whole of the SA's packets."""
        if self.packets < min_packets:
            yield f"{self.packets} good packets, not {min_packets}"
        if len(self.numbers) < min_subspaces:
            yield f"{len(self.numbers)} subspaces, not {min_subspaces}"
        yield from self.foreseen()
        if self.complete:
            for subspace, missing in self.missing():
                yield f"subspace {subspace}: {missing} numbers missing or too low"

    def summary(self):
        """Lines for the operator."""
        sa = self.sa
        yield (
            f"spi {sa.spi:#x} {sa.src} -> {sa.dst}: {self.packets} packets"
            f" ({self.dummies} dummies), {len(self.numbers)} subspaces,"
            f" {len(self.ivs - {b''})} IVs"
        )
        if self.echoes:
            requests = sum(e.kind == echo.REQUEST for e in self.echoes)
            yield f"  {requests} echo requests, {len(self.echoes) - requests} replies"
        holes = dict(self.missing())
        for subspace, numbers in sorted(self.numbers.items()):
            yield (
                f"  subspace {subspace}: {len(numbers)} packets,"
                f" highest SN {self.highest[subspace]},"
                f" {holes.get(subspace, 0)} missing"
            )


def arguments():
    """The command line."""
    p = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("--sa", required=True, action="append", metavar="FILE",
                   help="JSON: an SA or a list of SAs; may be given again")
    p.add_argument("--min-packets", type=int, default=1, metavar="N",
                   help="fail if an SA has fewer (default 1)")
    p.add_argument("--min-subspaces", type=int, default=1, metavar="N",
                   help="fail if an SA used fewer (default 1)")
    p.add_argument("--first", type=int, default=1, metavar="SN",
                   help="first number of every subspace (default 1)")
    p.add_argument("--lost", action="store_true",
                   help="the first number may be missing, too")
    p.add_argument("--complete", action="store_true",
                   help="no number may be missing")
    p.add_argument("--unordered", action="store_true",
                   help="order means nothing, but no number may be missing")
    p.add_argument("--only", action="store_true",
                   help="ESP packets of other SPIs are an error")
    p.add_argument("--numbers-only", action="store_true",
                   help="do not decrypt: look at headers and IVs only")
    p.add_argument("captures", nargs="+", metavar="PCAP")
    return p.parse_args()


def main():
    """Read, judge, print."""
    args = arguments()
    judges = {}
    idents = outer.Identifications()
    problems = []
    other = {}
    try:
        for path in args.sa:
            for sa in esp64.load_sas(path):
                judges[sa.spi] = Judge(
                    sa, args.first, not args.unordered, args.unordered or args.complete,
                    numbers_only if args.numbers_only else esp64.decode, idents
                )
        for judge in judges.values():
            judge.lost = args.lost
        encaps = {judge.sa.encap for judge in judges.values() if judge.sa.encap}
        for path in args.captures:
            # Each is of a machine of its own, which counts for itself
            idents.last.clear()
            for at, packet in enumerate(pcap.read(path), 1):
                spi = esp_spi(packet, encaps)
                judge = judges.get(spi)
                if judge:
                    for problem in judge.packet(packet):
                        problems.append(f"packet {at}: spi {spi:#x}: {problem}")
                elif spi == -1:
                    problems.append(f"packet {at}: fragment of an ESP packet")
                elif spi is not None:
                    other[spi] = other.get(spi, 0) + 1
    except (OSError, ValueError, KeyError) as e:
        print(f"# capture: not judged: {type(e).__name__}: {e}")
        return 2

    everything = [e for judge in judges.values() for e in judge.echoes]
    problems += echo.problems([e for e in everything if e.kind == echo.REQUEST],
                              [e for e in everything if e.kind == echo.REPLY])
    for spi, judge in judges.items():
        for problem in judge.end(args.min_packets, args.min_subspaces):
            problems.append(f"spi {spi:#x}: {problem}")
        for line in judge.summary():
            print(f"# {line}")
    for spi, count in other.items():
        print(f"# spi {spi:#x}: {count} packets, not looked into")
        if args.only:
            problems.append(f"spi {spi:#x}: {count} packets of no SA given")
    for problem in problems[:SHOWN_PROBLEMS]:
        print(f"# {problem}")
    if problems:
        print(f"# capture: fail: {len(problems)} problems")
        return 1
    print("# capture: pass")
    return 0


if __name__ == "__main__":
    sys.exit(main())
