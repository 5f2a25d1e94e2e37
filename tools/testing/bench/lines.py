#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Cache lines that CPUs take from each other, per packet, as lines.c has counted them.

usage: lines.py RESULTS LINES KALLSYMS DIRECTORY

RESULTS has the lines "= ..." of datapath.sh, each with the order that it is the result of;
LINES is what the plugin has written; KALLSYMS is the guest's. Prints a table by function
and the figures DIR.lines.VARIANT; of several numbers of CPUs DIR.lines.VARIANT.CPUS, and
how they rise is to see in DIRECTORY/lines-KERNEL.svg.
"""

import bisect
import pathlib
import sys
from collections import Counter

import plot
from profile import symbols

BATCH = 64
SHOWN = 25
NAMES = {"clear": "clear", "stock": "stock", "pcpu": "pcpu", "esp": "esp", "esp64": "ext"}
# Of several numbers of CPUs: per-CPU SAs are there on 7.3 only
SUFFIX = {"7.3-bench": "", "6.1-cloud": ".6.1"}


def counted(path, addresses, names):
    """Per packet, by order: stores and loads, each by function."""
    found, stores, loads, packets = {}, Counter(), Counter(), 0
    with open(path, encoding="utf-8") as file:
        for line in file:
            words = line.split()
            if words[0] in ("full", "blind"):
                sys.exit(f"the plugin was {words[0]}")
            if words[0] == "waited":
                print(f"# a CPU has waited for another one in vain {words[1]} times")
                continue
            if words[0] == "order":
                packets = int(words[3]) * BATCH
                stores, loads = found[int(words[1])] = Counter(), Counter()
                continue
            at = bisect.bisect(addresses, int(words[0], 16)) - 1
            name = names[at] if at >= 0 else "(elsewhere)"
            stores[name] += int(words[1]) / packets
            loads[name] += int(words[2]) / packets
    return found


def by_function(way, columns):
    """Tables of one direction; columns: a heading, and what counted() has found."""
    for kind, what in enumerate(("stores to lines that another CPU has had since",
                                 "loads of lines that another CPU has written")):
        print(f"{way}, per packet: {what}")
        print(f"{'':45}" + "".join(f"{name:>9}" for name, _ in columns))
        print(f"{'all':45}" + "".join(f"{sum(c[kind].values()):9.3f}" for _, c in columns))
        most = Counter()
        for _, c in columns:
            for name, n in c[kind].items():
                most[name] = max(most[name], n)
        for name, n in most.most_common(SHOWN):
            if n >= 0.0005:
                print(f"{name[:44]:45}" + "".join(f"{c[kind][name]:9.3f}" for _, c in columns))
        print()


def draw(cells, kernel, directory):
    """Stores, against the number of CPUs."""
    variants = sorted({v for _, v, _ in cells}, key=list(NAMES).index)
    groups = [(f"{way} {cpus}", [sum(cells[way, v, cpus][0].values()) for v in variants])
              for way in ("tx", "rx") for cpus in sorted({c for _, _, c in cells})]
    (pathlib.Path(directory) / f"lines-{kernel}.svg").write_text(
        plot.bars(f"One SA on n CPUs, AES-128-GCM, 64 octets, {kernel}", groups,
                  [NAMES[v] for v in variants], "stores per packet to lines of other CPUs"),
        encoding="utf-8")


def main():
    addresses, names = symbols(sys.argv[3])
    orders = counted(sys.argv[2], addresses, names)
    cells, kernel = {}, ""
    with open(sys.argv[1], encoding="utf-8") as file:
        for line in file:
            r = dict(word.split("=", 1) for word in line.split()[1:])
            kernel = r["kernel"]
            cells[r["dir"], r["variant"], int(r["cpus"])] = orders[int(r["order"])]
            if r["arrived"] != r["packets"]:
                print(f"# {r['dir']} {r['variant']}, {r['cpus']} CPUs: "
                      f"{r['arrived']} of {r['packets']} packets arrived")
    counts = sorted({cpus for _, _, cpus in cells})
    for way in [w for w in ("tx", "rx", "flood-replay") if any(w == c[0] for c in cells)]:
        by_function(way, [(f"{v} {cpus}" if len(counts) > 1 else v, c)
                          for (w, v, cpus), c in sorted(cells.items(), key=lambda x: (
                              list(NAMES).index(x[0][1]), x[0][2]))
                          if w == way and cpus in (counts[0], counts[-1])])
    for (way, variant, cpus), c in cells.items():
        more = f".{cpus}{SUFFIX[kernel]}" if len(counts) > 1 else ""
        # Ours is format esp, which has one window
        name = "flood.replay.lines" + f".{variant}" * (variant == "stock") if "flood" in way else \
            f"{way}.lines.{NAMES[variant]}"
        print(f"{name}{more} {sum(c[0].values()):.3f}")
    if len(counts) > 1:
        draw(cells, kernel, sys.argv[4])


if __name__ == "__main__":
    main()
