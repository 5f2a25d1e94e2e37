#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Cache lines that CPUs take from each other, per packet, as lines.c has counted them.

usage: lines.py RESULTS LINES KALLSYMS

RESULTS has the lines "= ..." of datapath.sh, each with the order that it is the result of;
LINES is what the plugin has written; KALLSYMS is the guest's. Prints a table by function
and the figures DIR.lines.VARIANT.
"""

import bisect
import sys
from collections import Counter

from profile import symbols

BATCH = 64
SHOWN = 25
NAMES = {"clear": "clear", "stock": "stock", "esp": "esp", "esp64": "ext"}


def counted(path, addresses, names):
    """Per packet, by order: stores and loads, each by function."""
    found, stores, loads, packets = {}, Counter(), Counter(), 0
    with open(path, encoding="utf-8") as file:
        for line in file:
            words = line.split()
            if words[0] in ("full", "blind"):
                sys.exit(f"the plugin was {words[0]}")
            if words[0] == "order":
                packets = int(words[3]) * BATCH
                stores, loads = found[int(words[1])] = Counter(), Counter()
                continue
            at = bisect.bisect(addresses, int(words[0], 16)) - 1
            name = names[at] if at >= 0 else "(elsewhere)"
            stores[name] += int(words[1]) / packets
            loads[name] += int(words[2]) / packets
    return found


def main():
    addresses, names = symbols(sys.argv[3])
    orders = counted(sys.argv[2], addresses, names)
    cells = {"tx": {}, "rx": {}}
    with open(sys.argv[1], encoding="utf-8") as file:
        for line in file:
            r = dict(word.split("=", 1) for word in line.split()[1:])
            cells[r["dir"]][r["variant"]] = orders[int(r["order"])]
    for way, variants in cells.items():
        for kind, what in enumerate(("stores to lines that another CPU has had since",
                                     "loads of lines that another CPU has written")):
            print(f"{way}, per packet: {what}")
            print(f"{'':45}" + "".join(f"{v:>9}" for v in variants))
            print(f"{'all':45}" + "".join(f"{sum(c[kind].values()):9.3f}"
                                          for c in variants.values()))
            most = Counter()
            for c in variants.values():
                for name, n in c[kind].items():
                    most[name] = max(most[name], n)
            for name, n in most.most_common(SHOWN):
                if n >= 0.0005:
                    print(f"{name[:44]:45}" + "".join(f"{c[kind][name]:9.3f}"
                                                      for c in variants.values()))
            print()
    for way, variants in cells.items():
        for variant, c in variants.items():
            print(f"{way}.lines.{NAMES[variant]} {sum(c[0].values()):.3f}")


if __name__ == "__main__":
    main()
