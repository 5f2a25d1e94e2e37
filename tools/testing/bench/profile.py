#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Where the time goes, by function: User-mode Linux under perf.

usage: profile.py WINDOWS KALLSYMS < SAMPLES

WINDOWS has the lines "= window ..." of datapath.sh; KALLSYMS is the guest's; SAMPLES is
`perf script -F time,ip` of the same run, by the real-time clock. Prints nanoseconds per
packet of each function, those first that take most with ESP.
"""

import bisect
import sys
from collections import Counter, defaultdict

SHOWN = 45


def symbols(path):
    """Addresses and names of functions, in order."""
    found = []
    with open(path, encoding="utf-8") as file:
        for line in file:
            address, kind, name = line.split()[:3]
            if kind in "tTwW":
                module = line.split()[3] if len(line.split()) > 3 else ""
                found.append((int(address, 16), f"{name} {module}".strip()))
    found.sort()
    return [a for a, _ in found], [n for _, n in found]


def windows(path):
    """What was measured when: (start, end, (dir, variant), ns per packet), in order."""
    found = []
    with open(path, encoding="utf-8") as file:
        for line in file:
            if line.startswith("= window"):
                r = dict(word.split("=", 1) for word in line.split()[2:])
                found.append((float(r["start"]), float(r["end"]), (r["dir"], r["variant"]),
                              float(r["each"])))
    return sorted(found)


def main():
    addresses, names = symbols(sys.argv[2])
    spans = windows(sys.argv[1])
    starts = [s[0] for s in spans]
    counts, each = defaultdict(Counter), defaultdict(list)
    for _, _, what, ns in spans:
        each[what].append(ns)
    for line in sys.stdin:
        words = line.split()
        if len(words) < 2:
            continue
        when, ip = float(words[0].rstrip(":")), int(words[1], 16)
        i = bisect.bisect(starts, when) - 1
        if i < 0 or when > spans[i][1]:
            continue
        at = bisect.bisect(addresses, ip) - 1
        # Far behind the last function there is only what is not the kernel's: libc
        known = 0 <= at and ip - addresses[at] < 65536
        counts[spans[i][2]][names[at] if known else "(elsewhere)"] += 1
    for way in ("tx", "rx"):
        variants = [v for v in ("clear", "stock", "esp64") if (way, v) in each]
        ns = {v: Counter() for v in variants}
        for v in variants:
            total = sum(counts[way, v].values()) or 1
            mean = sum(each[way, v]) / len(each[way, v])
            for name, n in counts[way, v].items():
                ns[v][name] = n / total * mean
            print(f"{way} {v}: {mean:.0f} ns per packet, {total} samples")
        print(f"{'':42}" + "".join(f"{v:>9}" for v in variants))
        rank = Counter()
        for v in variants[1:]:
            for name, value in ns[v].items():
                rank[name] = max(rank[name], value)
        for name, _ in rank.most_common(SHOWN):
            print(f"{name[:41]:42}" + "".join(f"{ns[v][name]:9.1f}" for v in variants))
        print()


if __name__ == "__main__":
    main()
