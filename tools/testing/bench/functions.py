#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Instructions per packet of each function, as functions.c has counted them.

usage: functions.py RESULTS INSNS KALLSYMS

RESULTS has the lines "= ..." of datapath.sh, each with the order that it is the result of;
INSNS is what the plugin has written; KALLSYMS is the guest's.
"""

import bisect
import sys
from collections import Counter

from profile import symbols

BATCH = 64
SHOWN = 70
VARIANTS = ("clear", "stock", "esp64", "esp", "eesp", "clear-flowtable", "stock-flowtable",
            "esp64-flowtable", "stock-offload", "clear-gro", "clear-gro-offload", "stock-gro-offload",
            "esp64-gro", "esp64-gro-offload",
            "clear-pages-offload", "stock-pages-offload", "esp64-pages", "esp64-pages-offload",
            "cipher")


def counted(path, addresses, names):
    """Instructions per packet by order and function."""
    found, counts, batches = {}, Counter(), 0
    with open(path, encoding="utf-8") as file:
        for line in file:
            words = line.split()
            if words[0] == "full":
                sys.exit("the plugin had no room for all")
            if words[0] == "order":
                batches = int(words[3])
                counts = found[int(words[1])] = Counter()
                continue
            at = bisect.bisect(addresses, int(words[0], 16)) - 1
            counts[names[at] if at >= 0 else "(elsewhere)"] += int(words[1]) / (batches * BATCH)
    return found


def main():
    addresses, names = symbols(sys.argv[3])
    orders = counted(sys.argv[2], addresses, names)
    columns = {}
    with open(sys.argv[1], encoding="utf-8") as file:
        for line in file:
            r = dict(word.split("=", 1) for word in line.split()[1:])
            # Of the cipher, what we call and not what stock ESP does; small packets if there
            # are large ones, too
            if (r["variant"] != "cipher" or r["alg"] == "gcm(aes)") and \
                    (r["len"] == "64" or "-gro" not in r["variant"]):
                columns.setdefault(r["dir"], {})[r["variant"]] = orders[int(r["order"])]
    for way, cells in columns.items():
        variants = [v for v in VARIANTS if v in cells]
        print(f"{way + ', instructions per packet':45}" + "".join(f"{v[:11]:>12}" for v in variants))
        print(f"{'all':45}" + "".join(f"{sum(cells[v].values()):12.0f}" for v in variants))
        modules = {v: Counter() for v in variants}
        for v in variants:
            for name, n in cells[v].items():
                modules[v][name.partition(" ")[2] or "the kernel itself"] += n
        for name in sorted(set().union(*modules.values())):
            print(f"{'  ' + name:45}" + "".join(f"{modules[v][name]:12.0f}" for v in variants))
        most = Counter({name: max(cells[v][name] for v in variants)
                        for v in variants for name in cells[v]})
        for name, _ in most.most_common(SHOWN):
            print(f"{name[:44]:45}" + "".join(f"{cells[v][name]:12.0f}" for v in variants))
        print()


if __name__ == "__main__":
    main()
