#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Send packets of the reference's making to an extended SA, and compare with each
what it did to every counter.

    verdicts.py --from NS --to NS --log FILE < requests, one a line

Runs in the receiving gateway's namespace. --from is where packets are put on the
link, past the IP stack; --to has the application behind the tunnel. Answers every
request with "ok" or "failed", after it has written to FILE what there is to say:

    cases SA WINDOW PATH      in tunnel mode, the well-formed and the malformed
    forge SA WINDOW PATH      what somebody without the key can send; wants nothing
                              to come of it
    ends SA WINDOW PATH       in transport mode or BEET, the same, and every Next
                              Header and pseudo header
    formats SA WINDOW PATH    in any mode, numbers and trailers of any format

SA is a file, PATH fast or slow. It stays, because starting it takes its time, as
does making packets: what has been made for one path is sent by the other, too.

For every packet: exactly one counter of the SA moves, and by one; of the
namespace's xfrm_stat exactly the one that goes with it; what is delivered is
delivered once and whole, and nothing else is. What is expected comes from
reference/receiver.py, that is from the description of the format, and from the
tables here.
"""

import argparse
import contextlib
import itertools
import os
import pathlib
import random
import select
import struct
import sys
import time
import traceback
from collections import Counter

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "reference"))

# pylint: disable=wrong-import-position
import batches
import esp64
import genl
import inject
from ears import PACKET_OUTGOING, PROTO_ICMPV6, Datagrams, Raw, Tap

SHOWN_PROBLEMS = 10
FACTOR = int(os.environ.get("TIME_FACTOR", "1"))
# (Nothing takes that long; a machine that others use as well may stop for a while)
TIMEOUT = int(os.environ.get("WAIT", "60")) * FACTOR

# Documentation/counters.rst: what goes along in xfrm_stat on our own path
XFRM_STAT = {
    "rx-truncated": "XfrmInHdrError",
    "rx-subspace": "XfrmInStateSeqError",
    "rx-zero": "XfrmInStateSeqError",
    "rx-replay": "XfrmInStateSeqError",
    "rx-too-old": "XfrmInStateSeqError",
    "rx-icv": "XfrmInStateProtoError",
    "rx-trailer": "XfrmInStateProtoError",
    "rx-next-header": "XfrmInStateModeError",
    "rx-inner": "XfrmInStateModeError",
    "rx-pseudo-header": "XfrmInStateModeError",
    "rx-fragment": "XfrmInStateModeError",
    "rx-header": "XfrmInHdrError",
    "rx-crypt-offset": "XfrmInStateProtoError",
    "rx-dummy": None,
    "rx-echo-refused": "XfrmInStateModeError",
    "rx-packets": None,
}
# The kernel reads SPI and its own idea of a sequence number before it looks for an SA
KERNEL_HEADER_LEN = 8


def expected_counters(verdict, esp_len, fast):
    """What one packet moves, in the SA and in xfrm_stat."""
    moved = Counter()
    name = verdict.counter
    if name == "no-spi" or esp_len < KERNEL_HEADER_LEN and not (fast and name != "no-sa"):
        moved["XfrmInHdrError"] = 1
        return moved
    if name == "no-sa":
        moved["XfrmInNoStates"] = 1
        return moved
    moved[name] = 1
    if verdict.payload is not None:
        moved["rx-bytes"] = len(verdict.payload)
    # On its own path the kernel has one counter for whatever a type refuses
    stat = XFRM_STAT[name] if fast or name == "rx-packets" else "XfrmInStateProtoError"
    if stat:
        moved[stat] = 1
    return moved


STATS = genl.names("xfrm_ext_stat", "XFRM_EXT_STAT_")
SUBSPACE = genl.names("xfrm_ext_subspace", "XFRM_EXT_SUBSPACE_")


def nest(data, known):
    """A nest of numbers, by name."""
    return {
        known[kind]: int.from_bytes(value, sys.byteorder)
        for kind, value in genl.attrs(data)
        if known[kind] != "pad"
    }


class Bench:
    """An SA, the way to it, the way behind it, and all that it counts."""

    def __init__(self, stack, maker, args, path):
        self.maker, self.sa = maker, maker.sa
        self.fast = path == "fast"
        self.family = genl.Family()
        stack.callback(self.family.netlink.sock.close)
        self.identity = b"".join(
            genl.attr(genl.NUMBERS[name], genl.encode(name, value))
            for name, value in (
                ("family", "2" if self.sa.version == 4 else "10"),
                ("daddr", self.sa.dst),
                ("spi", hex(self.sa.spi)),
            )
        )
        mac = pathlib.Path("/sys/class/net/wan/address").read_text().strip()
        with genl.namespace(getattr(args, "from")):
            self.sender = inject.Sender(self.sa, "wan", mac)
        stack.callback(self.sender.socket.close)
        if self.sa.mode == "tunnel":
            with genl.namespace(args.to):
                self.ears = [Datagrams(stack, ("10.2.0.2", "fd02::2"))]
        elif self.sa.mode == "beet":
            self.ears = [Datagrams(stack, self.sa.inner[1:]), Tap(stack, self.sa.inner_addresses)]
        else:
            self.ears = [Datagrams(stack, (self.sa.dst,)), Raw(stack, self.sa)]
        self.poll = stack.enter_context(select.epoll())
        self.sources = {}
        for ear in self.ears:
            for sock in ear.sockets:
                self.sources[sock.fileno()] = ear, sock
                self.poll.register(sock, select.EPOLLIN)
        # What the stack counts of packets that it has been given
        self.ignored = ()
        self.before = self.counters()
        self.problems = []
        self.odd = set()

    def wrong(self, problem):
        """The module and the rules disagree."""
        self.problems.append(problem)

    def get(self, attributes, flags=0):
        """(name, octets) of every attribute that is answered."""
        body = struct.pack("=BBH", genl.COMMANDS["get"], 1, 0) + attributes
        for answer in self.family.netlink.request(self.family.id, body, flags):
            for kind, data in genl.attrs(answer[4:]):
                yield genl.NAMES.get(kind), data

    def subspaces(self):
        """The receive subspaces of the namespace's only SA."""
        found = {}
        for name, data in self.get(b"", genl.NLM_F_DUMP):
            if name == "rx-subspace":
                one = nest(data, SUBSPACE)
                found[one.pop("id")] = one
        return found

    def counters(self):
        """Everything that a packet might move."""
        (stats,) = (data for name, data in self.get(self.identity) if name == "stats")
        now = Counter(nest(stats, STATS))
        with open("/proc/self/net/xfrm_stat", encoding="ascii") as f:
            for line in f:
                name, value = line.split()
                now[name] = int(value)
        return now

    def moved(self):
        """What has moved since the last time it was asked for."""
        now = self.counters()
        moved = now - self.before
        self.before = now
        for name in self.ignored:
            del moved[name]
        return moved

    def delivered(self, wanted=()):
        """What each ear has heard; waits if that is less than is wanted."""
        got = [[] for _ in self.ears]
        end = time.monotonic() + TIMEOUT
        while True:
            short = any(len(g) < len(w) for g, w in zip(got, wanted))
            ready = self.poll.poll(max(0, end - time.monotonic()) if short else 0)
            if not ready:
                return got
            for number, _ in ready:
                ear, sock = self.sources[number]
                got[self.ears.index(ear)].extend(ear.heard(sock))

    def send(self, judged):
        """Packets there; compare what came of them."""
        expected = Counter()
        wanted = [[] for _ in self.ears]
        for j in judged:
            expected += expected_counters(j.verdict, len(j.esp), self.fast)
            if j.verdict.inner is not None:
                for ear, want in zip(self.ears, wanted):
                    want.extend(ear.expected(j))
        self.sender.send([j.packet for j in judged])
        got = self.delivered(wanted)
        moved = self.moved()
        end = time.monotonic() + TIMEOUT
        while moved < expected and time.monotonic() < end:
            time.sleep(0.005)
            moved += self.moved()
        what = judged[0].what
        if len(judged) > 1:
            what += f" to {judged[-1].what}"
        if moved != expected:
            self.wrong(f"{what}: {dict(moved)}, want {dict(expected)}: {judged[0].esp.hex()}")
        for ear, g, w in zip(self.ears, got, wanted):
            if sorted(g) != sorted(w):
                g, w = ([o.hex() for o in (Counter(a) - Counter(b)).elements()]
                        for a, b in ((g, w), (w, g)))
                self.wrong(f"{what}: {type(ear).__name__}: delivered {g}, want {w}")

    def batch(self, batch, together=1):
        """All of it; then the windows, and that nothing comes late."""
        for _, group in itertools.groupby(batch.judged, lambda j: j.verdict.counter):
            group = list(group)
            for at in range(0, len(group), together):
                self.send(group[at : at + together])
        late = self.moved()
        if late or any(self.delivered()):
            self.wrong(f"{batch.name}: something came late: {dict(late)}")
        self.windows(batch)
        verdicts = Counter(j.verdict.counter for j in batch.judged)
        text = " ".join(f"{k} {v}" for k, v in sorted(verdicts.items()))
        print(f"# {batch.name}: {len(batch.judged)} packets: {text}")

    def windows(self, batch):
        """Compare every subspace with the model's."""
        got, want = self.subspaces(), batch.windows
        for number in sorted(got.keys() | want.keys()):
            if got.get(number) != want.get(number) and number not in self.odd:
                self.odd.add(number)
                self.wrong(
                    f"{batch.name}: subspace {number}: {got.get(number)},"
                    f" want {want.get(number)}"
                )


def ip_truncated():
    """How many packets the IP stack found too short."""
    with open("/proc/self/net/netstat", encoding="ascii") as f:
        rows = [line.split() for line in f if line.startswith("IpExt:")]
    number = int(dict(zip(*rows))["InTruncatedPkts"])
    with open("/proc/self/net/snmp6", encoding="ascii") as f:
        return number + int(dict(line.split() for line in f)["Ip6InTruncatedPkts"])


# --- requests ---------------------------------------------------------------


def cases(bench, made):
    """Every batch."""
    for batch, together in made:
        before = ip_truncated()
        bench.batch(batch, together)
        if batch.name == "truncated inside" and ip_truncated() - before != 2:
            bench.wrong(f"{batch.name}: not counted by the IP stack")


def ends(bench, made):
    """Every batch."""
    for batch, together in made:
        if batch.name in ("next headers", "misplaced"):
            # What is inside may be ESP or IP to the stack
            bench.ignored = ("XfrmInNoStates", "XfrmInHdrError")
        if batch.name == "closed port":
            quoted(bench, batch)
        else:
            bench.batch(batch, together)
        bench.ignored = ()


def quoted(bench, batch):
    """What the stack says of a datagram that nobody wants is all of the packet: this way
    the length in an IPv6 header is seen, which raw sockets are not told."""
    sa, want, errors = bench.sa, batch.judged[0].verdict.inner, []
    with contextlib.ExitStack() as stack:
        tap = Tap(stack, sa.dst_octets + sa.src_octets, PACKET_OUTGOING)
        bench.batch(batch)
        end = time.monotonic() + TIMEOUT
        while not errors and time.monotonic() < end:
            time.sleep(0.005)
            errors += [p[48:] for p in tap.heard(tap.sockets[0])
                       if p[6] == PROTO_ICMPV6 and p[40:42] == b"\x01\x04"]
    if errors != [want]:
        bench.wrong(f"{batch.name}: {[e.hex() for e in errors]}, want {want.hex()}")


def memory():
    """Octets of kernel memory that could be windows."""
    with open("/proc/meminfo", encoding="ascii") as f:
        info = {line.split(":")[0]: int(line.split()[1]) for line in f}
    return 1024 * (info["Slab"] + info["VmallocUsed"] + info["Percpu"])


def pour(bench, what, packets, expected):
    """Many packets, then their counters together."""
    bench.moved()
    bench.sender.send(packets)
    moved = Counter()
    end = time.monotonic() + TIMEOUT
    while sum(moved.values()) < sum(expected.values()) and time.monotonic() < end:
        moved += bench.moved()
    if moved != expected:
        bench.wrong(f"{what}: {dict(moved)}, want {dict(expected)}")


def forge(bench, _):
    """Somebody who knows the SPI and not the key."""
    rng = random.Random(4303)
    count = 2000 // int(os.environ.get("TIME_FACTOR", "1"))
    stat = "XfrmInStateProtoError"

    def forged(subspace, sn):
        head = bench.sa.spi.to_bytes(4, "big") + esp64.number(bench.sa, subspace, sn).to_bytes(8, "big")
        return esp64.wrap(bench.sa, head + rng.randbytes(8 + 64 + bench.sa.icv))

    def windows(want):
        got = {n: s["highest"] for n, s in bench.subspaces().items()}
        if got != want:
            bench.wrong(f"windows: {got}, want {want}")

    ids = rng.sample(range(bench.sa.subspaces), 2 * count)
    before = memory()
    flood = [forged(n, rng.randint(1, esp64.SN_MAX)) for n in ids[:count]]
    pour(bench, "forged", flood, Counter({"rx-icv": count, stat: count}))
    grown = memory() - before
    windows({})
    made = len(bench.subspaces())
    print(f"# {count} forged packets in {count} subspaces: {made} windows, {grown >> 10} KiB more")

    # Where there is a window it stays where it is
    bench.batch(bench.maker.batch("valid", bench.maker.case("valid", 7, 1000)))
    flood = [forged(7, rng.randint(1001, esp64.SN_MAX)) for _ in range(count)]
    pour(bench, "forged", flood, Counter({"rx-icv": count, stat: count}))
    windows({7: 1000})
    both = bench.maker.case("valid", 7, 1001) + bench.maker.case("valid", 7, 999)
    bench.batch(bench.maker.batch("valid", both))
    print(f"# {count} forged packets in one subspace: highest number as before")

    # With the key there is a window for each: that it would have been seen
    ids = [n for n in ids[count:] if n != 7][: count // 2]
    before = memory()
    packets = [esp64.wrap(bench.sa, esp64.seal(bench.sa, n, 1, bytes(2) + b"\0\x3b")) for n in ids]
    expected = Counter({"rx-dummy": len(ids)})
    if not bench.fast:
        expected[stat] = len(ids)
    pour(bench, "authentic", packets, expected)
    real = memory() - before
    windows({7: 1001} | dict.fromkeys(ids, 1))
    print(f"# {len(ids)} authentic ones: {len(ids)} windows, {real >> 10} KiB more")
    if real < len(ids) * bench.maker.window // 8 or grown * 4 > real:
        bench.wrong(f"memory: {grown} octets for forged packets, {real} for authentic ones")


REQUESTS = {
    "cases": (batches.cases, cases),
    "forge": (lambda maker: None, forge),
    "ends": (batches.ends, ends),
    "formats": (batches.formats, ends),
}


def do(args, known, words):
    """One request; returns whether all was well."""
    what, path_of_sa, window, path = words
    make, check = REQUESTS[what]
    (sa,) = esp64.load_sas(path_of_sa)
    key = what, sa, window
    if key not in known:
        maker = batches.Maker(sa, int(window))
        # One is enough: the same is asked for by both paths, one after the other
        known.clear()
        known[key] = maker, make(maker)
    maker, made = known[key]
    with contextlib.ExitStack() as stack:
        bench = Bench(stack, maker, args, path)
        if made is None:
            known.clear()
        check(bench, made)
    for problem in bench.problems[:SHOWN_PROBLEMS]:
        print(problem)
    if bench.problems:
        print(f"{len(bench.problems)} problems")
    return not bench.problems


def main():
    """The command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--from", required=True)
    parser.add_argument("--to", required=True)
    parser.add_argument("--log", required=True)
    args = parser.parse_args()
    # In the order in which they are sent packets shall come
    os.sched_setaffinity(0, {0})
    known = {}
    print("ready", flush=True)
    for line in sys.stdin:
        good = False
        with open(args.log, "w", encoding="utf-8") as file, contextlib.redirect_stdout(file):
            try:
                good = do(args, known, line.split())
            except (OSError, genl.Refused, ValueError, KeyError, IndexError):
                traceback.print_exc(file=file)
        print("ok" if good else "failed", flush=True)


if __name__ == "__main__":
    main()
