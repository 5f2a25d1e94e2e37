#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Decrypt every EESP packet of a capture and judge the whole of it: check_capture.py's like.

Per packet: what eesp.decode() refuses; in tunnel mode the outer header; an explicit IV that is
not the SN; the inner packet's checksums. Per Sub SA: an SN or an IV twice, an SN that is less than
one before (not with --unordered), one that is missing, from 1 on (with --complete). Prints '# ' lines that fit into KTAP, the last one with the
verdict; exit status 0 if the capture is good, 1 if not, 2 if it could not be judged.
"""

import argparse
import sys

import check_capture
import eesp
import eesp_peer
import iphdr
import outer
import pcap
from errors import DecodeError


def find(packet, sas):
    """The SA of an outer packet, None if it is not EESP of these; a DecodeError if it is EESP of
    none of them."""
    try:
        at, proto_at = iphdr.transport_point(packet)
    except (ValueError, IndexError):
        return None
    proto, inside = packet[proto_at], packet[at:]
    if proto == iphdr.PROTO_UDP:
        ports = int.from_bytes(inside[2:4], "big")
        inside = inside[iphdr.UDP_LEN :]
        if not any(sa.encap and sa.encap[1] == ports for sa in sas.values()):
            return None
        if eesp_peer.kind_in_udp(inside) != "eesp":
            return None
    elif not any(sa.proto == proto for sa in sas.values()):
        return None
    return sas.get(eesp.spi_of(inside))


class Judge:
    """What is known of one SA's packets so far."""

    def __init__(self, sa, ordered, idents):
        self.sa, self.ordered, self.idents = sa, ordered, idents
        self.packets = self.dummies = 0
        self.numbers, self.ivs, self.highest, self.inner = {}, {}, {}, []

    def packet(self, packet):
        """Judge one packet; yield what is wrong with it."""
        try:
            found = eesp.decode(self.sa, packet)
        except DecodeError as e:
            yield f"{type(e).__name__}: {e}"
            return
        self.packets += 1
        session, sn, iv = found.parts[:3]
        where = f"Sub SA {session}, SN {sn}"
        # Without Sub SAs it is 0, or it would have been refused
        numbers, ivs = self.numbers.setdefault(session, set()), self.ivs.setdefault(session, set())
        if sn is not None:
            if sn in numbers:
                yield f"{where}: number used again"
            elif self.ordered and sn < self.highest.get(session, 0):
                yield f"{where}: after SN {self.highest[session]}"
            self.highest[session] = max(sn, self.highest.get(session, 0))
            numbers.add(sn)
        if iv:
            if iv in ivs:
                yield f"{where}: IV {iv.hex()} used again"
            if sn is not None and int.from_bytes(iv, "big") != sn:
                yield f"{where}: IV {iv.hex()} is not the SN"
            ivs.add(iv)
        if found.dummy:
            self.dummies += 1
        else:
            self.inner.append(found.inner)
            if not check_capture.inner_checksums_good(found.inner):
                yield f"{where}: inner checksum"
        if self.sa.mode == "tunnel":
            for problem in (*self.idents.problems(packet),
                            *outer.tunnel_problems(self.sa, packet, found.inner)):
                yield f"{where}: {problem}"

    def end(self, min_packets, min_sub_sas, complete):
        """Yield what is wrong with the whole of the SA's packets."""
        for session, numbers in sorted(self.numbers.items()):
            missing = self.highest.get(session, 0) - len(numbers)
            if complete and missing:
                yield f"Sub SA {session}: {missing} numbers missing"
        if self.packets < min_packets:
            yield f"{self.packets} good packets, not {min_packets}"
        if len(self.numbers) < min_sub_sas:
            yield f"{len(self.numbers)} Sub SAs, not {min_sub_sas}"

    def summary(self):
        """A line for the operator."""
        return (f"spi {self.sa.spi:#x} {self.sa.src} -> {self.sa.dst}: {self.packets} packets"
                f" ({self.dummies} dummies), {len(self.numbers)} Sub SAs")


def arguments():
    """The command line."""
    p = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--sa", required=True, action="append", metavar="FILE",
                   help="JSON: an SA or a list of SAs; may be given again")
    p.add_argument("--min-packets", type=int, default=1, metavar="N",
                   help="fail if an SA has fewer (default 1)")
    p.add_argument("--min-sub-sas", type=int, default=1, metavar="N",
                   help="fail if an SA used fewer (default 1)")
    p.add_argument("--unordered", action="store_true", help="order means nothing")
    p.add_argument("--complete", action="store_true", help="no number may be missing")
    p.add_argument("--only", action="store_true", help="EESP packets of other SPIs are an error")
    p.add_argument("--inner", metavar="PCAP", help="write what was inside here")
    p.add_argument("captures", nargs="+", metavar="PCAP")
    return p.parse_args()


def main():
    """Read, judge, print."""
    args = arguments()
    idents, problems, others, inner = outer.Identifications(), [], 0, []
    try:
        sas = {sa.spi: sa for path in args.sa for sa in eesp.load_sas(path)}
        judges = {spi: Judge(sa, not args.unordered, idents) for spi, sa in sas.items()}
        for path in args.captures:
            # Each is of a machine of its own, which counts for itself
            idents.last.clear()
            for at, packet in enumerate(pcap.read(path), 1):
                try:
                    sa = find(packet, sas)
                except DecodeError as e:
                    problems.append(f"packet {at}: {type(e).__name__}: {e}")
                    continue
                if sa:
                    before = len(judges[sa.spi].inner)
                    problems += (f"packet {at}: spi {sa.spi:#x}: {problem}"
                                 for problem in judges[sa.spi].packet(packet))
                    inner += judges[sa.spi].inner[before:]
                else:
                    others += 1
        if args.inner:
            pcap.write(args.inner, inner)
    except (OSError, ValueError, KeyError, TypeError) as e:
        print(f"# capture: not judged: {type(e).__name__}: {e}")
        return 2
    for spi, judge in judges.items():
        problems += (f"spi {spi:#x}: {problem}"
                     for problem in judge.end(args.min_packets, args.min_sub_sas, args.complete))
        print(f"# {judge.summary()}")
    if others and args.only:
        problems.append(f"{others} packets that are not of these SAs")
    for problem in problems[: check_capture.SHOWN_PROBLEMS]:
        print(f"# {problem}")
    print(f"# capture: fail: {len(problems)} problems" if problems else "# capture: pass")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
