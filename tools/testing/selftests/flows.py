#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Two gateways twice, one pair with its caches of flows on: nobody may see a difference.

    flows.py rows [NAME...]     what invalidates flows, one after the other, each while flows
                                are in the cache
    flows.py hints              packets of flows that are known, and of others to the same address, for
                                which policy has something else, are received as one list
    flows.py random SEED N      N sequences of random changes and traffic; prints what was done
                                if there is a difference
    flows.py load N [off]       one pair, with caches (or without): nothing is lost, nothing goes in
                                clear, and nothing through an SA that has a successor, over N rekeys,
                                policy swaps and route flaps

        a ------- g1 ===== wan ===== g2 ------- b
    10.1.0.2                                 10.2.0.2

Both pairs get the same packets and the same changes. Compared are the packets that come
out at b and a, octet by octet and in order within a flow, what is on the wire between the
gateways, and the gateways' counters.
"""

import itertools
import os
import random
import select
import socket
import struct
import subprocess
import sys
import threading
import time

from flowchanges import CHANGES, NEEDS, OUT4, TMPL, UNSEEN
from flowpair import FACTOR, LATE, MACS, PACKET_OUTGOING, Pair, ip4, ip6, run, seen, segment

SO_TIMESTAMPNS = 35


def flows(rng=None):
    """(packet maker) of each flow; all of them, or some at random."""
    kinds = [("10.1.0.2", "10.2.0.2", k, n) for k in ("udp", "tcp", "echo", "gre", "esp", "sctp")
             for n in (0, 1)]
    kinds += [("fd01::2", "fd02::2", k, n) for k in ("udp", "tcp", "echo", "gre", "esp", "sctp")
              for n in (0, 1)]
    kinds += [("10.3.0.2", "10.2.0.2", "udp", 0)]
    if rng:
        kinds = rng.sample(kinds, rng.randint(1, 6))
    return kinds


class Twins:
    """The two pairs."""

    def __init__(self, lists):
        # Or packets of one flow may overtake each other on their ways over two CPUs
        os.sched_setaffinity(0, {random.randrange(os.cpu_count())})
        self.lists = lists
        self.pairs = [Pair("x", False, lists), Pair("y", True, lists)]
        self.tag = itertools.count(1)
        self.done, self.last = [], None
        time.sleep(0.2 * FACTOR)
        for p in self.pairs:
            p.outcome(LATE)
        self.base = [p.counters() for p in self.pairs]

    def close(self):
        """Both."""
        for p in self.pairs:
            p.close()

    def change(self, name, back=False):
        """A change, in both."""
        self.done.append(("undo " if back else "") + name)
        for p in self.pairs:
            CHANGES[name][back](p)

    def traffic(self, packets):
        """The same packets into both; true if the same comes of them."""
        outcomes = [p.send(packets) for p in self.pairs]
        one, other = (seen(o) for o in outcomes)
        if one != other:
            # One of the two may only be late
            for p, outcome in zip(self.pairs, outcomes):
                for n, more in p.outcome(LATE).items():
                    outcome[n] += more
            one, other = (seen(o) for o in outcomes)
        self.last = [sorted(len(v) for v in one[n].values()) for n in ("a", "b")], one["to g2"]
        if one == other:
            return True
        for where in one:
            x, y = one[where], other[where]
            for flow in {f for f in (*x, *y) if x.get(f) != y.get(f)}:
                print(f"# {where} {show(flow)} without {show(x.get(flow))} with {show(y.get(flow))}")
        return False

    def packets(self, kinds, rng=None):
        """One of each kind; odd ones, too, if they are random."""
        made = []
        for src, dst, kind, number in kinds:
            # One that an MTU decides about
            size, more = 1350 if (kind, number) == ("udp", 1) else 20, {"tos": 0x10 * (number == 1)}
            if rng:
                size = rng.choice((0, 20, 20, 20, 1380, 1430))
                more = {"tos": rng.choice((0, 0, 0x10, 0xB8)), "ttl": rng.choice((64, 64, 64, 2, 1))}
            proto, data = segment(src, dst, kind, number, size, next(self.tag))
            if ":" in src:
                made.append(ip6(src, dst, proto, data, **more))
                continue
            if rng:
                more["df"] = rng.random() < 0.7
                more["options"] = rng.choice((b"",) * 9 + (b"\x01\x01\x01\x01",))
            made.append(ip4(src, dst, proto, data, **more))
        return made

    def counters(self):
        """True if they count the same."""
        now = [p.counters() for p in self.pairs]
        got = [{k: v - base.get(k, 0) for k, v in n.items() if v != base.get(k, 0)}
               for n, base in zip(now, self.base)]
        if got[0] == got[1]:
            return True
        for k in sorted(set(got[0]) | set(got[1])):
            if got[0].get(k) != got[1].get(k):
                print(f"# {k}: without {got[0].get(k, 0)}, with {got[1].get(k, 0)}")
        return False

    def accounts(self):
        """True if SAs have carried the same."""
        got = [p.accounts() for p in self.pairs]
        if got[0] == got[1]:
            return True
        print(f"# without {got[0]}\n# with    {got[1]}")
        return False


def show(found):
    """Packets, or how many there are, shortly."""
    if isinstance(found, list):
        return [data.hex()[:120] for data in found]
    return found.hex() if isinstance(found, bytes) else found


def row(twins, name):
    """A change while flows are known, in one second with the packets before and behind."""
    kinds = flows()
    for _ in range(20):
        for need in NEEDS.get(name, ()):
            twins.change(need)
        time.sleep(1 - time.time() % 1)
        start = int(time.time())
        before = twins.pairs[1].hits()
        good = all([twins.traffic(twins.packets(kinds)) for _ in range(2)])
        normal = twins.last
        twins.change(name)
        good = all([twins.traffic(twins.packets(kinds)) for _ in range(2)]) and good
        effect = twins.last != normal
        in_time = int(time.time()) == start
        known = [now - then for now, then in zip(twins.pairs[1].hits(), before)]
        twins.change(name, True)
        good = all([twins.traffic(twins.packets(kinds)) for _ in range(2)]) and good
        for need in NEEDS.get(name, ()):
            twins.change(need, True)
        good = twins.traffic(twins.packets(kinds)) and good
        if not good or not twins.counters():
            return "a difference"
        if not effect and name not in UNSEEN:
            return "no effect"
        # A slow machine does not get all of it into one
        if (in_time or FACTOR > 1) and all(known):
            return None
    return "not within a second" if not in_time else f"hits: {known}"


def rows(names):
    """Each change."""
    twins, failed = Twins("-uml" not in os.environ.get("KERNEL_NAME", "")), 0
    for name in names or CHANGES:
        why = row(twins, name)
        print(f"{'FAILED' if why else 'good  '} {name}{': ' + why if why else ''}", flush=True)
        failed += bool(why)
    failed += not twins.accounts()
    twins.close()
    return failed


def hints():
    """The route of one packet of a list is the kernel's hint for the next."""
    twins, good = Twins(True), True
    twins.change("policy bypass out")
    rounds = 20 if FACTOR == 1 else 3
    for n in range(rounds):
        for pair in (("10.1.0.2", "10.2.0.2"), ("fd01::2", "fd02::2")):
            known = (*pair, "tcp", 0)
            good = twins.traffic(twins.packets([known])) and good
            # UDP goes in clear: new flows, each behind one that does not
            good = twins.traffic(twins.packets([k for m in range(4) for k in (
                known, (*pair, "udp", 10 + 4 * n + m))])) and good
    hits = twins.pairs[1].hits()
    good = twins.counters() and good
    # One that is not valid may pass behind one that is; the next one does not
    twins.change("rp_filter")
    spoofed = ("10.3.0.2", "10.2.0.2", "udp", 0)
    behind = 0
    for _ in range(rounds):
        for p in twins.pairs:
            made = twins.packets([("10.1.0.2", "10.2.0.2", "udp", 0), spoofed])
            behind += any(data[12:16] == bytes((10, 3, 0, 2)) for data in p.send(made)["b"])
        good = twins.traffic(twins.packets([spoofed])) and good
    print(f"# hits {hits}; {behind} passed behind others")
    twins.close()
    return not good or not all(hits) or FACTOR == 1 and not behind


def sequence(rng, twins, steps):
    """Changes, taken back in any order, and traffic in between; true if there was no difference."""
    made = []
    twins.done.clear()
    for step in range(steps):
        if rng.random() < 0.5:
            if made and (len(made) > 2 or rng.random() < 0.5):
                twins.change(made.pop(rng.randrange(len(made))), True)
            else:
                # Two that are about the same thing would be in each other's way
                free = [n for n in CHANGES if n.split()[0] not in {m.split()[0] for m in made}]
                # Of a packet that is behind another to the same address in a list, the kernel
                # does not validate the source; what is one list is a matter of moments
                if twins.lists:
                    free = [n for n in free if not n.startswith("rp_filter")]
                made.append(rng.choice(free))
                twins.change(made[-1])
        kinds = flows(rng)
        good = all([twins.traffic(twins.packets(kinds, rng if rng.random() < 0.4 else None))
                    for _ in range(rng.randint(1, 4))])
        if step == steps - 1 or not good:
            good = twins.counters() and twins.accounts() and good
        if not good:
            print(f"# step {step}: {'; '.join(twins.done)}")
            return False
    while made:
        twins.change(made.pop(rng.randrange(len(made))), True)
    return True


def randomly(seed, sequences):
    """So many sequences, of 20 steps each; ten in the same two pairs."""
    rng, known, twins = random.Random(seed), 0, None
    steps = 20 if FACTOR == 1 else 6
    for n in range(sequences):
        if n % 10 == 0:
            twins = Twins((n // 10 + seed) % 2 == 0)
            for p in twins.pairs:
                p.strict = False
        if not sequence(rng, twins, steps):
            print(f"# seed {seed}, sequence {n}")
            return True
        if n % 10 == 9 or n == sequences - 1:
            known += sum(twins.pairs[1].hits())
            twins.close()
    print(f"# seed {seed}: {sequences} sequences, {known} packets took a way that was known")
    return not known


class Load(threading.Thread):
    """Packets into a pair, at any time, until it is over; which have come, and what was seen."""

    def __init__(self, pair):
        super().__init__()
        self.pair, self.over, self.sent, self.come, self.clear = pair, False, 0, set(), 0
        # By SPI, when the last packet of it was sent
        self.last = {}

    def run(self):
        mac = bytes.fromhex((MACS["g1", "lan"] + MACS["a", "lan"]).replace(":", ""))
        while not self.over:
            for number in range(4):
                self.sent += 1
                _, data = segment("10.1.0.2", "10.2.0.2", "udp", number, 20, self.sent)
                packet = ip4("10.1.0.2", "10.2.0.2", 17, data)
                self.pair.sockets["a"].send(mac + b"\x08\x00" + packet)
            self.drain(0.002)
        self.drain(1 * FACTOR)

    def drain(self, patience):
        """What has come."""
        b, wan = self.pair.sockets["b"], self.pair.sockets["g1"]
        while ready := select.select([b, wan], [], [], patience)[0]:
            for s in ready:
                data, more, _, where = s.recvmsg(65536, 64)
                data = data[14:]
                if data[0] != 0x45:
                    continue
                if s is b and data[9] == 17:
                    self.come.add(struct.unpack_from("!I", data, 28)[0])
                elif s is wan and where[2] == PACKET_OUTGOING:
                    self.clear += data[9] != 50
                    seconds, rest = struct.unpack("qq", more[0][2])
                    self.last[struct.unpack_from("!I", data, 20)[0]] = seconds + rest / 1e9


def load(times, cache):
    """Rekeys, policy swaps and route flaps, while packets pass."""
    p = Pair("z", cache)
    time.sleep(0.2 * FACTOR)
    p.outcome(LATE)
    p.sockets["g1"].setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    traffic, base, successor = Load(p), p.counters(), {}
    # It says who sent nothing
    p.nft("b", "table ip t { chain c { type filter hook input priority 0; udp dport 9 drop; }\n}")
    traffic.start()
    for n in range(times):
        old = p.spi
        p.sas(old + 2)
        # What is on its way now may still use the other
        successor[old] = time.time() + 0.01 * FACTOR
        other = "10.2.0.0/24 via 10.0.0.2 mtu " + str(1400 + n % 50)
        p.ip("g1", f"xfrm policy update {OUT4} priority {101 + n % 2} {TMPL.format(1)}\n"
             f"route replace {other}\nxfrm policy update {OUT4} priority 100 {TMPL.format(1)}")
        time.sleep(0.02 * FACTOR)
        p.gone(old)
    traffic.over = True
    traffic.join()
    hits = p.hits()
    wrong = sum(traffic.last.get(spi, 0) > then for spi, then in successor.items())
    why = {k: v - base.get(k, 0) for k, v in p.counters().items()
           if v != base.get(k, 0) and "Forw" not in k[1]}
    p.close()
    lost = traffic.sent - len(traffic.come)
    print(f"# {times} times: {traffic.sent} packets, {lost} lost, {traffic.clear} in clear,"
          f" {wrong} times an SA that had a successor; hits {hits}; {why}")
    return lost or traffic.clear or wrong or cache and not all(hits)


def main():
    # As many errors as there are packets, also for those that have no route
    run("sysctl", "-qw", "net.ipv4.route.error_cost=0")
    for name, kind in (("VRF", ("vrf", "table", "10")), ("bridge", ("bridge",))):
        made = subprocess.run(["ip", "link", "add", "red", "type", *kind], text=True,
                              capture_output=True, check=False)
        if "Unknown device type" in made.stderr:
            print(f"no {name} in this kernel")
            del CHANGES[name]
        else:
            run("ip", "link", "del", "red")
    if sys.argv[1] == "rows":
        sys.exit(bool(rows(sys.argv[2:])))
    if sys.argv[1] == "hints":
        sys.exit(bool(hints()))
    if sys.argv[1] == "load":
        sys.exit(bool(load(int(sys.argv[2]), "off" not in sys.argv)))
    sys.exit(randomly(int(sys.argv[2]), int(sys.argv[3])))


if __name__ == "__main__":
    main()
