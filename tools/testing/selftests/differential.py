#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Two topologies side by side, one with stock SAs, one with extended SAs of format esp: random
sequences of traffic and changes, and nobody may see a difference.

    differential.py SEED SEQUENCES STEPS [WITHOUT...]

What sequence N of SEED does depends on nothing but SEED + N, STEPS and on what the kernel has:
SEED=<seed + n> SEQUENCES=1 does it again. After every step the same must have been delivered,
sent on the wire (where ESP differs in nothing but IV and ciphertext), answered to those who sent
and who changed something, and counted. If it was not, what is not needed for the difference is left
out of the sequence, and what remains is printed. A difference that is not there when the same is done again, in
new topologies, is printed and no failure: a packet was still on its way on a busy machine.
"""

import itertools
import os
import socket
import subprocess
import sys
import time
from collections import Counter

from genl import namespace
from twin import ANSWERS, GATEWAYS, SILENT, WAYS, Twin, addresses, difference, shown as packet_shown
from twinchanges import AEADS, DEVICES, NEW_KEY, Sequence, host, net, shown

FACTOR = int(os.environ.get("TIME_FACTOR", "1"))
# Two topologies serve so many sequences; then conntrack and routes begin anew
ROUND = 25
# What is counted otherwise, and why. Nothing else may differ.
# The kernel's ESP adds trailer and ICV behind the place where octets are counted, where esp4_offload
# is there: a transmitting device's queue does it. OutTransmits is compared.
LEGITIMATE = {"IpExt OutOctets", "Ip6OutOctets",
              # A packet that the device behind has dropped is one of so many octets for VTI as the
              # code says that it has got for it: NET_XMIT_DROP, 1; from a hook, see xe_stolen(), 15
              "vti tx bytes", "vti6 tx bytes"}
# On the kernel's own path (fastpath off, xfrm interfaces, VTI) the kernel counts most of what the module
# refuses as XfrmInStateProtoError (Documentation/counters.rst). And of a packet that is wrong in two
# ways, cut and a replay, each sees another first. So then their sum is compared.
REFUSALS = {"XfrmInError", "XfrmInHdrError", "XfrmInStateProtoError", "XfrmInStateModeError",
            "XfrmInStateSeqError", "XfrmInStateInvalid", "XfrmInStateExpired"}
# IPv6 says once more which groups a device is in, at some time in the next weeks
TIMER = "Icmp6OutType131"
FASTPATH = "/sys/module/xfrm_ext/parameters/fastpath"


class Barrier:
    """Waits until all that has been sent is where it ends. On each CPU a datagram passes
    through the queue in which received packets wait, and what is in the kernel's work queues
    is done (for vm.stat_refresh each CPU does such a work); if no other packet was received by
    anybody meanwhile, no packet is on its way."""

    def __init__(self):
        self.cpus = sorted(os.sched_getaffinity(0))
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.stat = os.open("/proc/net/softnet_stat", os.O_RDONLY)
        self.cpu = self.cpus[0]

    def received(self):
        """By all CPUs, ever."""
        return sum(int(line.split()[0], 16) for line in os.pread(self.stat, 1 << 16, 0).splitlines())

    def once(self):
        """True if nothing was on its way."""
        before = self.received()
        if os.path.exists("/proc/sys/vm/stat_refresh"):
            with open("/proc/sys/vm/stat_refresh", "w", encoding="ascii") as file:
                file.write("1")
        for cpu in self.cpus:
            os.sched_setaffinity(0, {cpu})
            self.sock.sendto(b"x", self.sock.getsockname())
            self.sock.recv(1)
        os.sched_setaffinity(0, {self.cpu})
        return (self.received() - before) & 0xFFFFFFFF == len(self.cpus)

    def wait(self):
        """Not for ever: somebody else's packets do not end a test."""
        quiet = 0
        for _ in range(1000):
            quiet = quiet + 1 if self.once() else 0
            if quiet == 2:
                return


class Echo:
    """What ANSWERS of both hosts says at port 7."""

    def __init__(self, twin):
        self.socks = []
        for n, end in (("a", 0), ("b", 1)):
            with namespace(twin.ns[n]):
                for way, family in itertools.product(WAYS, (4, 6)):
                    s = socket.socket(socket.AF_INET if family == 4 else socket.AF_INET6, socket.SOCK_DGRAM)
                    s.bind((host(way, end, family, ANSWERS), 7))
                    s.setblocking(False)
                    self.socks.append(s)

    def answer(self):
        """How many."""
        count = 0
        for s in self.socks:
            while True:
                try:
                    data, where = s.recvfrom(65536)
                    count += 1
                    s.sendto(data, where)
                except BlockingIOError:
                    break
                except OSError:
                    # An ICMP error, or there is no way to who has asked
                    pass
        return count

    def close(self):
        """All."""
        for s in self.socks:
            s.close()


class Twins:
    """The two."""

    def __init__(self, have):
        self.have, self.new_key = have, None
        self.twins = [Twin(tag, "queue" in have) for tag in ("s", "x")]
        self.echoes = [Echo(t) for t in self.twins]
        self.barrier = Barrier()
        self.clean = addresses()
        # What sequences do to routes
        self.unroute = {n: "".join(
            f"route del unreachable {net('tunnel', far, f)}\nroute del {net('tunnel', far, f)}\n" + "".join(
                f"route del prohibit {host('tunnel', far, f, m)}\n" for m in (ANSWERS, SILENT))
            + f"route del unreachable {'10.0.0.' if f == 4 else 'fd00::'}{far + 1}\n"
            for f in (4, 6)) for n, far in (("g1", 1), ("g2", 0))}

    def close(self):
        """Both."""
        for one in (*self.echoes, *self.twins):
            one.close()

    def reset(self):
        """As it was at first."""
        for t in self.twins:
            for n in GATEWAYS:
                t.nft(n, "flush ruleset")
                if n in t.queues:
                    t.queues[n].release()
                lines = "xfrm state flush\nxfrm policy flush\n" + "".join(
                    f"link del {dev}\n" for devs in DEVICES.values() for dev in devs)
                lines += "".join(f"xfrm policy setdefault {d} accept\n" for d in ("in", "fwd", "out"))
                lines += "link set wan mtu 1500\n"
                lines += self.unroute[n]
                t.ip(n, lines)
                for family, name in itertools.product((4, 6), ("disable_policy", "disable_xfrm")):
                    t.sysctl(n, f"net/ipv{family}/conf/wan/{name}=0")
                for words in ("net/ipv4/conf/lan/rp_filter=0", "net/ipv4/conf/wan/rp_filter=0",
                              "net/ipv4/ip_forward_use_pmtu=0"):
                    t.sysctl(n, words)
                if "rps" in self.have:
                    for dev in ("lan", "wan"):
                        if (n, dev) in t.steered:
                            t.rps(n, dev, 0)
                t.steered = set()
                t.ip(n, self.clean[n] + "\nroute flush cache\n")

    def settle(self):
        """Until nothing is on its way and nothing waits for an answer."""
        self.barrier.wait()
        while sum([e.answer() for e in self.echoes]):
            self.barrier.wait()

    def release(self):
        """What waits in queues."""
        for t in self.twins:
            for q in t.queues.values():
                q.release()

    def apply(self, op, number):
        """Of one twin; what was said to it."""
        t = self.twins[number]
        verb, *words = op
        if verb == "ip":
            return t.ip(*words)
        if verb == "sas":
            return t.ip(words[0], "\n".join(words[1][number]).replace(NEW_KEY, self.new_key))
        if verb == "nft":
            return t.nft(*words)
        if verb == "sysctl":
            return t.sysctl(*words)
        if verb == "rps":
            t.steered.add(tuple(words[:2]))
            return t.rps(*words)
        if verb == "packet":
            return t.inject(*words)
        if verb == "local":
            return t.local(*words)
        if verb == "again":
            return t.again(*words)
        if verb == "release":
            for q in t.queues.values():
                q.release()
        return None

    def play(self, sequence, ops):
        """None, or lines of what differs and at which operation."""
        self.reset()
        # A key is one SA's, once: the namespaces have had the same SPIs before
        self.new_key = os.urandom(len(NEW_KEY) // 2).hex()
        if os.path.exists(FASTPATH):
            with open(FASTPATH, "w", encoding="ascii") as file:
                file.write("NY"[sequence.fastpath])
        self.barrier.cpu = self.barrier.cpus[sequence.cpu % len(self.barrier.cpus)]
        os.sched_setaffinity(0, {self.barrier.cpu})
        self.settle()
        for t in self.twins:
            t.forget()
            t.rebase()
        exact = sequence.fastpath and not {"xi", "vti"} & set(sequence.kinds)
        for at, op in enumerate(ops):
            exact = exact and op[:2] != ("again", "cut")
            if op[0] == "check":
                self.settle()
                lines = self.compare(exact)
            else:
                answers = [self.apply(op, n) for n in (0, 1)]
                lines = [] if answers[0] == answers[1] else [
                    f"answers: stock {answers[0]}, extended {answers[1]}"]
                # Whatever was set off by a change
                if op[0] in ("ip", "nft", "again") or lines:
                    self.settle()
            if lines:
                return at, lines
        return None

    def compare(self, exact):
        """Lines of what differs; exact: of refusals by SAs, each reason."""
        for t in self.twins:
            t.collect()
        packets = [Counter(t.got) for t in self.twins]
        lines = []
        for k in set(packets[0]) | set(packets[1]):
            if packets[0][k] != packets[1][k]:
                lines.append(f"stock {packets[0][k]}, extended {packets[1][k]} times {packet_shown(*k)}")
        lines.sort()
        counted = [{k: v for k, v in t.counters().items() if k.split(" ", 1)[1] not in LEGITIMATE}
                   for t in self.twins]
        accounts = [t.accounts() for t in self.twins]
        if not exact:
            for found, account in zip(counted, accounts):
                for name in [k for k in found if k.split()[1] in REFUSALS]:
                    total = f"{name.split()[0]} refused by SAs"
                    found[total] = found.get(total, 0) + found.pop(name)
                for name, value in account.items():
                    if " SA " in name:
                        account[name] = value[:2]
        return lines + difference(*counted) + difference(*accounts)


def shrunk(twins, sequence, ops, patience):
    """The same difference, or another, with fewer operations."""
    end = time.monotonic() + patience
    size = len(ops) // 2
    while size:
        at = 0
        while at < len(ops):
            if time.monotonic() > end:
                return ops
            fewer = ops[:at] + ops[at + size:]
            found = twins.play(sequence, fewer)
            if found:
                ops = fewer[:found[0] + 1]
            else:
                at += size
        size //= 2
    return ops


def available():
    """What this kernel has, of what may be left out; what it has not."""
    have, without = {"rps", "beet"}, []
    name = f"probe-{os.getpid()}"
    subprocess.run(["ip", "netns", "add", name], check=True)

    def works(*words, text=None):
        with namespace(name):
            return not subprocess.run(words, input=text, text=True, check=False, capture_output=True).returncode

    tests = {
        "vti": lambda: works("ip", "link", "add", "v", "type", "vti", "local", "10.0.0.1", "remote", "10.0.0.2",
                             "key", "9") and works("ip", "link", "add", "w", "type", "vti6", "local", "fd00::1",
                                                   "remote", "fd00::2", "key", "9"),
        "xi": lambda: works("ip", "link", "add", "x", "type", "xfrm", "dev", "lo", "if_id", "9"),
        "vxlan": lambda: works("ip", "link", "add", "y", "type", "vxlan", "id", "5", "dstport", "4789",
                               "remote", "10.0.0.9", "dev", "lo"),
        "flowtable": lambda: works("nft", "-f", "-", text="table inet t { flowtable f { hook ingress priority 0;"
                                   " devices = { lo }; }\n chain c { type filter hook forward priority 0;"
                                   " meta l4proto udp flow add @f; }\n}"),
        "queue": lambda: works("nft", "-f", "-", text="table inet u { chain c { type filter hook forward"
                               " priority 0; queue num 5; }\n}"),
    }
    for aead, size in AEADS.items():
        tests[aead] = lambda aead=aead, size=size: works(
            "ip", "xfrm", "state", "add", "src", "10.0.0.1", "dst", "10.0.0.2", "proto", "esp", "spi",
            str(0x1000 + size), "mode", "tunnel", "aead", aead, "0x" + "07" * size, "128")
    if os.path.exists(FASTPATH):
        have.add("fastpath")
    for what, test in tests.items():
        if test():
            have.add(what)
        else:
            without.append(what)
    subprocess.run(["ip", "netns", "del", name], check=True)
    return have, without


def main():
    seed, sequences, steps = map(int, sys.argv[1:4])
    have, without = available()
    print(f"# without: {' '.join(without + sys.argv[4:]) or 'nothing'}")
    have -= set(sys.argv[4:])
    twins, used, failed, checks, void, once, begin = None, 0, 0, 0, 0, 0, time.monotonic()
    for n in range(sequences):
        sequence = Sequence(seed + n, steps, have)
        for _ in range(10):
            if not twins:
                twins, used = Twins(have), 0
            used += 1
            found = twins.play(sequence, sequence.ops)
            if not found or not any(TIMER in line for line in found[1]):
                break
            # It happened to run out. Do it again, elsewhere
            void += 1
            twins.close()
            twins = None
        checks += sum(op[0] == "check" for op in sequence.ops)
        for _ in range(2):
            if found:
                first = found
                twins.close()
                twins, used = Twins(have), 1
                found = twins.play(sequence, sequence.ops)
                if not found:
                    once += 1
                    print(f"# SEED={sequence.seed}: once, and not again, at operation {first[0]}:")
                    for line in first[1][:10]:
                        print(f"#   {line}", flush=True)
        if found:
            failed += 1
            report(twins, sequence, found, failed <= int(os.environ.get("SHRINK", "3")))
        if twins and (found or used >= ROUND):
            twins.close()
            twins = None
        if failed >= int(os.environ.get("FAILURES", "10")):
            break
        if n % 100 == 99:
            print(f"# {n + 1} sequences, {failed} with a difference", flush=True)
    if twins:
        twins.close()
    print(f"# seed {seed}: {n + 1} sequences, {checks} comparisons, {failed} with a difference;"
          f" {once} once and not again; {void} done again; {time.monotonic() - begin:.1f} s")
    sys.exit(bool(failed))


def report(twins, sequence, found, shrink):
    """A difference, and what it takes."""
    at, lines = found
    print(f"# SEED={sequence.seed} SEQUENCES=1 STEPS={sequence.steps}: extended at {' '.join(sequence.ends)},"
          f" fastpath {'off on'.split()[sequence.fastpath]}, operation {at}: {shown(sequence.ops[at])[:300]}")
    for line in lines[:40]:
        print(f"#   {line}", flush=True)
    if not shrink:
        return
    ops = shrunk(twins, sequence, sequence.ops[:at + 1], 120 * FACTOR)
    print("# what is left of it:")
    for op in ops:
        print(f"#   {shown(op)}")
    found = twins.play(sequence, ops)
    for line in found[1] if found else ["(not again)"]:
        print(f"#   {line}", flush=True)


if __name__ == "__main__":
    main()
