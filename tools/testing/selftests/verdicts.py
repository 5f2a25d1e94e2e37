#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Send packets of the reference's making to an extended SA, one at a time, and
compare with each what it did to every counter.

    verdicts.py cases --sa FILE --window N --path fast|slow --from NS --to NS
    verdicts.py forge --sa FILE --window N --path fast|slow --from NS --to NS

Runs in the receiving gateway's namespace. --from is where packets are put on the
link, past the IP stack; --to has the application. cases sends the well-formed and
the malformed in batches; forge sends what somebody without the key can send, and
wants nothing to come of it.

For every packet: exactly one counter of the SA moves, and by one; of the
namespace's xfrm_stat exactly the one that goes with it; what is delivered is
delivered once and whole, and nothing else is. What is expected comes from
reference/receiver.py, that is from the description of the format, and from the
tables here.
"""

import argparse
import os
import pathlib
import random
import re
import select
import socket
import struct
import sys
import time
from collections import Counter

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "reference"))

# pylint: disable=wrong-import-position
import esp64
import genl
import inject
import receiver

PORT = 4000
SHOWN_PROBLEMS = 10
TIMEOUT = 3 * int(os.environ.get("TIME_FACTOR", "1"))

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
    "rx-dummy": None,
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


def names(enum, prefix):
    """Numbers and names of an enum of the uapi header."""
    body = re.search(rf"enum {enum} {{(.*?)}};", genl.HEADER.read_text(), re.S).group(1)
    body = re.sub(r"/\*.*?\*/", "", body, flags=re.S)
    words = (word.strip().removeprefix(prefix) for word in body.split(","))
    return dict(enumerate(word.lower().replace("_", "-") for word in words))


STATS = names("xfrm_ext_stat", "XFRM_EXT_STAT_")
SUBSPACE = names("xfrm_ext_subspace", "XFRM_EXT_SUBSPACE_")


def nest(data, known):
    """A nest of numbers, by name."""
    return {
        known[kind]: int.from_bytes(value, sys.byteorder)
        for kind, value in genl.attrs(data)
        if known[kind] != "pad"
    }


class Bench:
    """An SA, the way to it, the way behind it, and all that it counts."""

    def __init__(self, args):
        (self.sa,) = esp64.load_sas(args.sa)
        self.fast = args.path == "fast"
        self.receiver = receiver.Receiver(self.sa, args.window)
        self.family = genl.Family()
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
        self.sockets = {}
        with genl.namespace(args.to):
            for version, address in ((4, "10.2.0.2"), (6, "fd02::2")):
                family = socket.AF_INET if version == 4 else socket.AF_INET6
                self.sockets[version] = socket.socket(family, socket.SOCK_DGRAM)
                self.sockets[version].bind((address, PORT))
        self.inner4 = inject.inner_maker(f"udp:10.1.0.2:{PORT}:10.2.0.2:{PORT}:23")
        self.inner6 = inject.inner_maker(f"udp:[fd01::2]:{PORT}:[fd02::2]:{PORT}:24")
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
        return moved

    def delivered(self, wait):
        """Every datagram that has come to the application."""
        while True:
            ready, _, _ = select.select(list(self.sockets.values()), [], [], wait)
            if not ready:
                return
            for sock in ready:
                yield sock.recv(65536)
            wait = 0

    def send(self, what, packet):
        """One packet there; compare what came of it. Returns the verdict."""
        esp = packet[20 if self.sa.version == 4 else 40 :]
        verdict = self.receiver.judge(esp)
        expected = expected_counters(verdict, len(esp), self.fast)
        wanted = []
        if verdict.payload is not None and len(verdict.payload) >= (
            esp64.inner_length(verdict.payload)
        ):
            head = 28 if verdict.payload[0] >> 4 == 4 else 48
            wanted = [verdict.payload[head : esp64.inner_length(verdict.payload)]]
        self.sender.send([packet])
        got = list(self.delivered(TIMEOUT if wanted else 0))
        moved = self.moved()
        end = time.monotonic() + TIMEOUT
        while moved < expected and time.monotonic() < end:
            time.sleep(0.005)
            moved += self.moved()
        if moved != expected:
            self.wrong(f"{what}: {dict(moved)}, want {dict(expected)}: {esp.hex()}")
        if got != wanted:
            self.wrong(f"{what}: delivered {got}, want {wanted}: {esp.hex()}")
        return verdict.counter

    def batch(self, name, packets):
        """(what, packet) pairs; then the windows, and that nothing comes late."""
        verdicts = Counter(self.send(f"{name}: {what}", p) for what, p in packets)
        late = self.moved()
        if late or list(self.delivered(0)):
            self.wrong(f"{name}: something came late: {dict(late)}")
        self.windows(name)
        text = " ".join(f"{k} {v}" for k, v in sorted(verdicts.items()))
        print(f"# {name}: {sum(verdicts.values())} packets: {text}", flush=True)

    def windows(self, name):
        """Compare every subspace with the model's."""
        got = self.subspaces()
        want = {
            number: {
                "highest": s.highest,
                "packets": len(s.seen),
                "replays": s.replays,
                "too-old": s.too_old,
                "backtrack": s.backtrack,
            }
            for number, s in self.receiver.subspaces.items()
        }
        for number in sorted(got.keys() | want.keys()):
            if got.get(number) != want.get(number) and number not in self.odd:
                self.odd.add(number)
                self.wrong(
                    f"{name}: subspace {number}: {got.get(number)}, want {want.get(number)}"
                )

    def case(self, name, subspace, sn, inner=None, **options):
        """(what, packet) pairs of one of inject.py's cases."""
        packets = inject.make(self.sa, inner or self.inner4, name, subspace, sn, **options)
        what = " ".join([name, str(subspace), str(sn)] + [f"{k}={v}" for k, v in options.items()])
        return [(f"{what} [{i}]", packet) for i, packet in enumerate(packets)]


def numbers(bench):
    """IDs and sequence numbers at the edges of what is allowed."""
    n, window = bench.sa.subspaces, bench.receiver.window
    for subspace in (0, n - 1, n, n + 1, 0x7FFF, 0x8000, 0xFFFF):
        yield from bench.case("valid", subspace, 1)
    for subspace in (0, 1, n - 1):
        yield from bench.case("valid", subspace, 0)
    # In order, doubled, then a jump and what is left of the window
    yield from bench.case("valid", 2, 1, count=3)
    yield from bench.case("replay", 2, 4)
    for sn in (3, 2, 1, window, 5, 1000, 1000, 1001 - window, 1000 - window, 1,
               1001 - window, 999, 1002 - window, 1001, 1001 - window):
        yield from bench.case("valid", 2, sn)
    # A jump by a multiple of the ring must not leave old bits behind
    for sn in (1000 + 2 * window, 1000 + 2 * window, 1000 + 4 * window, 1001 + 2 * window,
               1000 + 3 * window, 1001 + 3 * window, 1 << 32, (1 << 32) - 1, (1 << 32) + 1,
               esp64.SN_MAX - 1, esp64.SN_MAX, esp64.SN_MAX, esp64.SN_MAX - window,
               esp64.SN_MAX - window + 1, 1):
        yield from bench.case("valid", 2, sn)
    # Another subspace knows nothing of it
    yield from bench.case("valid", 1, 1)


def walk(bench):
    """Numbers at random about a moving middle."""
    rng = random.Random(4303)
    window, middle = bench.receiver.window, 2 * bench.receiver.window
    for _ in range(150):
        middle += rng.choice((0, 1, 1, 2, window // 2))
        yield from bench.case("valid", 3, middle + rng.randint(-window - 20, 3))


def flips(bench):
    """Every octet of a packet that would be accepted with a bit inverted; in the
    header, every bit."""
    # A window that the flipped numbers can fall into, left of or right of
    yield from bench.case("valid", 4, 0x1000)
    yield from bench.case("valid", 4, 0x1010)
    yield from bench.case("valid", 5, 0x100000)
    for offset in range(esp64.HEADER_LEN):
        for bit in range(8):
            yield from bench.case("flip", 4, 0x1012, offset=offset, bit=bit)
    (_, whole), = bench.case("valid", 4, 0x1012)
    length = len(esp64.unwrap(bench.sa, whole))
    for offset in range(esp64.HEADER_LEN, length):
        yield from bench.case("flip", 4, 0x1012, offset=offset, bit=offset % 8)
    # One bit away from 0, from the window's left edge, from what was seen
    for sn, bit in ((1 << 3, 3), (0x1011, 0), (0x1014, 2)):
        yield from bench.case("flip", 4, sn, offset=11, bit=bit)
    # After all that, the packet itself is as welcome as ever
    yield "valid 4 0x1012", whole
    yield "valid 4 0x1012 again", whole


def lengths(bench):
    """Cut off at every length, and longer than it was."""
    yield from bench.case("truncate-all", 0, 100)
    (_, whole), = bench.case("valid", 0, 100)
    esp = esp64.unwrap(bench.sa, whole)
    for more in range(1, 9):
        yield f"{more} octets more", esp64.wrap(bench.sa, esp + bytes(more))
    yield "whole", whole


def insides(bench):
    """Authentic, and yet..."""
    sn = 200
    for name, options in (
        ("wrong-key", {}), ("wrong-salt", {}), ("other-iv", {}), ("padding", {}),
        ("tfc", {}), ("tfc", {"length": 255}), ("valid", {"pad_extra": 4}),
        ("valid", {"pad_extra": 248}), ("dummy", {}), ("swapped-family", {}),
        *(("next-header", {"value": v}) for v in (0, 1, 6, 17, 43, 50, 58, 59, 60, 255)),
        *(("inner-version", {"value": v}) for v in (0, 1, 5, 6, 7, 15)),
        *(("short-plain", {"length": v}) for v in (0, 4, 8, 20, 24)),
        *(("short-inner", {"length": v}) for v in (0, 1, 2, 19)),
    ):
        sn += 1
        yield from bench.case(name, 0, sn, **options)
    for length in (0, 1, 19, 20, 39):
        sn += 1
        yield from bench.case("short-inner", 0, sn, bench.inner6, length=length)
    for name in ("valid", "swapped-family", "tfc", "dummy"):
        sn += 1
        yield from bench.case(name, 0, sn, bench.inner6)
    # Pad Length up to the last octet that there is, and one more
    room = len(esp64.plaintext(bench.inner4(0, sn), esp64.PROTO_IPIP)) - 2
    for value in (255, room + 1, room, room - 1, room - 19, room - 20):
        sn += 1
        yield from bench.case("pad-length", 0, sn, value=value)
    yield from bench.case("valid", 0, sn + 1)


def truncated_inside(bench):
    """An inner packet shorter than it says is the IP stack's to drop."""
    yield from bench.case("short-inner", 0, 300, length=20)
    yield from bench.case("short-inner", 0, 301, bench.inner6, length=40)


def ip_truncated():
    """How many packets the IP stack found too short."""
    with open("/proc/self/net/netstat", encoding="ascii") as f:
        rows = [line.split() for line in f if line.startswith("IpExt:")]
    number = int(dict(zip(*rows))["InTruncatedPkts"])
    with open("/proc/self/net/snmp6", encoding="ascii") as f:
        return number + int(dict(line.split() for line in f)["Ip6InTruncatedPkts"])


def cases(bench):
    """Every batch."""
    bench.batch("numbers", numbers(bench))
    bench.batch("random walk", walk(bench))
    bench.batch("flipped", flips(bench))
    bench.batch("truncated", lengths(bench))
    bench.batch("inside", insides(bench))
    before = ip_truncated()
    bench.batch("truncated inside", truncated_inside(bench))
    if ip_truncated() - before != 2:
        bench.wrong("truncated inside: not counted by the IP stack")


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


def forge(bench):
    """Somebody who knows the SPI and not the key."""
    rng = random.Random(4303)
    count = 2000 // int(os.environ.get("TIME_FACTOR", "1"))
    stat = "XfrmInStateProtoError"

    def forged(subspace, sn):
        head = bench.sa.spi.to_bytes(4, "big") + esp64.number(subspace, sn).to_bytes(8, "big")
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
    bench.batch("valid", bench.case("valid", 7, 1000))
    flood = [forged(7, rng.randint(1001, esp64.SN_MAX)) for _ in range(count)]
    pour(bench, "forged", flood, Counter({"rx-icv": count, stat: count}))
    windows({7: 1000})
    bench.batch("valid", bench.case("valid", 7, 1001) + bench.case("valid", 7, 999))
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
    if real < len(ids) * bench.receiver.window // 8 or grown * 4 > real:
        bench.wrong(f"memory: {grown} octets for forged packets, {real} for authentic ones")


def main():
    """The command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("cases", "forge"))
    parser.add_argument("--sa", required=True)
    parser.add_argument("--window", type=int, required=True)
    parser.add_argument("--path", choices=("fast", "slow"), required=True)
    parser.add_argument("--from", required=True)
    parser.add_argument("--to", required=True)
    args = parser.parse_args()
    bench = Bench(args)
    {"cases": cases, "forge": forge}[args.what](bench)
    for problem in bench.problems[:SHOWN_PROBLEMS]:
        print(problem)
    if bench.problems:
        sys.exit(f"{len(bench.problems)} problems")


if __name__ == "__main__":
    main()
