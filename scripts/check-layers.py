#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Does each file of the module use only what stands before it in main.c's table of contents?

    check-layers.py [OBJECTS]

Includes are looked at in the sources; calls, and whatever else of another file is used, by the symbols
of the objects, in the directory OBJECTS (scripts/module.sh prints one). Documentation/architecture.rst
must show the same layers.
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "net/xfrm_ext"


def contents():
    """Layers in order: name, files; headers are named in a layer's own line."""
    layers = []
    for line in (SOURCE / "main.c").read_text().split("*/")[0].splitlines():
        if found := re.match(r" \* {2}(\w+): .*?((?:[\w/]+\.h,? ?)*)$", line):
            layers.append((found[1], re.findall(r"[\w/]+\.h", found[2])))
        elif found := re.match(r" \*\t([\w/]+\.[ch])(?:\t|$)", line):
            layers[-1][1].append(found[1])
    return layers


def includes(name):
    """Our own headers that a file includes, as they are named in the table."""
    here = (SOURCE / name).parent
    for found in re.findall(r'^#include "([^"]+)"', (SOURCE / name).read_text(), re.M):
        path = (here / found).resolve()
        if SOURCE in path.parents:
            yield str(path.relative_to(SOURCE))


def symbols(objects, name):
    """What an object defines for others, and what it wants from others."""
    done = subprocess.run(["nm", objects / "net/xfrm_ext" / name.replace(".c", ".o")], check=True,
                          capture_output=True, text=True)
    has, wants = set(), set()
    for line in done.stdout.splitlines():
        kind, symbol = line.split()[-2:]
        (wants if kind == "U" else has if kind.isupper() else set()).add(symbol)
    return has, wants


def main():
    bad = []
    layers = contents()
    order = [f for _, files in layers for f in files]
    there = {str(p.relative_to(SOURCE)) for p in SOURCE.rglob("*.[ch]") if not p.name.endswith(".mod.c")}
    bad += [f"{f}: not in main.c's table of contents" for f in sorted(there - set(order))]
    bad += [f"{f}: in main.c's table of contents, and nowhere else" for f in sorted(set(order) - there)]
    place = {f: n for n, f in enumerate(order)}
    for name in sorted(there & set(order)):
        for other in includes(name):
            if place.get(other, -1) > place[name]:
                bad.append(f"{name}: includes {other}, which stands behind it")
    if len(sys.argv) > 1:
        table = {f: symbols(Path(sys.argv[1]), f) for f in order if f.endswith(".c")}
        owner = {s: f for f, (has, _) in table.items() for s in has}
        for name, (_, wants) in table.items():
            for symbol in sorted(wants):
                if place.get(owner.get(symbol), -1) > place[name]:
                    bad.append(f"{name}: uses {symbol} of {owner[symbol]}, which stands behind it")
    shown = "".join(f"    {layer:<9}{' '.join(files)}\n" for layer, files in layers)
    if shown not in (ROOT / "Documentation/architecture.rst").read_text():
        bad.append("Documentation/architecture.rst does not show these layers:\n" + shown)
    for line in bad:
        print(line)
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
