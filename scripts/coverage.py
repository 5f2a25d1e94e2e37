#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""What the compiler has counted in several guests, put together.

    coverage.py --list FILE --all FILE BUILD=COUNTED...

Each COUNTED is what one guest has brought back (tools/testing/gcov/gcov.c), BUILD where its
module was built. A line, and each way out of a branch, is reached if any guest took it in any of
the functions and objects that it is in. What is not reached, and not in --list, is printed; all
of it goes to --all. --list has

    FILE: TEXT OF THE LINE                        # REASON

(white space as it comes), for lines and for branches: text of lines stays where it belongs
when the files change. What is listed and not there any more, or is reached, is said as well.
"""

import argparse
import collections
import json
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile

OURS = "net/xfrm_ext/"
# Of the file format
GCDA, TAG_FUNCTION, TAG_ARCS = 0x67636461, 0x01000000, 0x01A10000


class File:
    """What is known of one source."""

    def __init__(self):
        self.lines = collections.Counter()
        # (line, function, object): ways taken, one number each
        self.branches = {}

    def add(self, number, entry, where):
        """What gcov says of a line, of one function of one object."""
        self.lines[number] += entry["count"]
        ways = [b["count"] for b in entry["branches"]]
        if not ways:
            return
        key = number, entry.get("function_name", ""), where
        known = self.branches.get(key, [0] * len(ways))
        self.branches[key] = [a + b for a, b in zip(known, ways)]

    def ways(self):
        """Per line, the ways out of it: those of an inline function are the same wherever it
        is. The compiler may have made something else of it somewhere: then what most have."""
        found = {}
        for (number, _, _), ways in self.branches.items():
            found.setdefault(number, []).append(ways)
        for number, several in sorted(found.items()):
            size = collections.Counter(map(len, several)).most_common(1)[0][0]
            yield number, [sum(w) for w in zip(*(s for s in several if len(s) == size))]


def counted(path):
    """(name, octets) of .gcda files, as gcc 12 has them, out of what a guest has told."""
    name, parts = None, []
    for line in path.read_text(encoding="ascii").splitlines():
        kind, *rest = line.split()
        if kind == "file":
            if name:
                yield name, b"".join(parts)
            name = rest[0]
            parts = [struct.pack("=IIII", GCDA, *map(int, rest[1:]))]
            continue
        numbers = list(map(int, rest))
        parts.append(struct.pack("=IIIII", TAG_FUNCTION, 12, *numbers[:3]))
        parts.append(struct.pack("=II", TAG_ARCS, 8 * len(numbers[3:])))
        parts.append(struct.pack(f"={len(numbers[3:])}q", *numbers[3:]))
    if name:
        yield name, b"".join(parts)


def gcov(build, path, files):
    """One guest's figures, into files: a File each."""
    with tempfile.TemporaryDirectory() as tmp:
        names = []
        for name, octets in counted(path):
            if OURS not in name:
                continue
            target = pathlib.Path(tmp) / name[name.index(OURS) + len(OURS):]
            target.parent.mkdir(exist_ok=True)
            # A module of its own has copies of some
            while target.exists():
                target = target.parent / "more" / target.name
                target.parent.mkdir(exist_ok=True)
            target.write_bytes(octets)
            shutil.copy(pathlib.Path(name).with_suffix(".gcno"), target.parent)
            names.append(str(target))
        done = subprocess.run(["gcov", "--json-format", "--branch-probabilities", "--stdout", *names],
                              cwd=build, capture_output=True, text=True, check=True)
    if "mismatch" in done.stderr:
        sys.exit(f"{path}: {done.stderr}: the module was built anew since")
    for line in done.stdout.splitlines():
        data = json.loads(line)
        for one in data["files"]:
            name = os.path.realpath(os.path.join(data["current_working_directory"], one["file"]))
            if not name.startswith(f"{build}/{OURS}"):
                continue
            name = name[len(f"{build}/{OURS}"):]
            for entry in one["lines"]:
                files[name].add(entry["line_number"], entry, (str(build), data["data_file"]))


def words(text):
    """A line without what may change in it."""
    return " ".join(text.split())


def listed(path):
    """(file, text) of what is listed."""
    found = set()
    for line in pathlib.Path(path).read_text(encoding="utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            where, reason = line.rsplit(" # ", 1)
            name, text = where.split(":", 1)
            if not reason.strip():
                sys.exit(f"{path}: no reason: {line}")
            found.add((name, words(text)))
    return found


def main():
    """All of it; exit status 1 if the list says what is not so."""
    p = argparse.ArgumentParser()
    p.add_argument("--list", required=True)
    p.add_argument("--all", required=True)
    p.add_argument("guests", nargs="+", metavar="BUILD=COUNTED")
    args = p.parse_args()
    files = collections.defaultdict(File)
    for build, path in (word.split("=", 1) for word in args.guests):
        build = pathlib.Path(build).resolve()
        gcov(build, pathlib.Path(path), files)
    known, unused = listed(args.list), listed(args.list)
    total, everything, new = collections.Counter(), [], 0
    for name in sorted(files):
        source = (build / OURS / name).read_text(encoding="utf-8").splitlines()
        file, count, missed = files[name], collections.Counter(), []
        for number, times in sorted(file.lines.items()):
            count["lines"] += 1
            count["lines reached"] += bool(times)
            if not times:
                missed.append((number, "line"))
        for number, ways in file.ways():
            count["branches"] += len(ways)
            count["branches reached"] += sum(map(bool, ways))
            # (That of a line that is not reached is said)
            if not all(ways) and file.lines[number]:
                missed.append((number, f"branch {''.join('+-'[not w] for w in ways)}"))
        total += count
        shown = []
        for number, what in sorted(missed):
            text = words(source[number - 1])
            everything.append(f"{name}:{number}: {what}: {text}")
            unused.discard((name, text))
            if (name, text) not in known:
                shown.append(f"    {number}: {what}: {text}")
        new += len(shown)
        print(f"{name}: " + ", ".join(f"{count[k + ' reached']} of {count[k]} {k}" for k in ("lines", "branches")))
        print("".join(f"{line}\n" for line in shown), end="")
    pathlib.Path(args.all).write_text("".join(f"{line}\n" for line in everything), encoding="utf-8")
    for name, text in sorted(unused):
        print(f"listed, and reached or not there: {name}: {text}")
    print(f"{new} not reached and not listed; with those that are: {args.all}")
    for kind in ("lines", "branches"):
        print(f"coverage.{kind} {100 * total[kind + ' reached'] / total[kind]:.1f}")
    sys.exit(bool(unused))


if __name__ == "__main__":
    main()
