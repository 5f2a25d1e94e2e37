#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""What the kernel's own tests have said, for peers-kernel.sh.

    peers.py rows FILE...
        What has not passed, a line each; fails if nothing has.
    peers.py compare WAY TEST STOCK... -- HERE... < table
        What has passed in one of the files STOCK, and in none of HERE; and what has failed in
        all of HERE and in none of STOCK. A line of the table is "way test row | why"; ways, tests
        and rows are patterns. Prints what is in the table, with the reason, and what is not; fails if
        there is something that is not, or a line for this way and test that nothing is like.

A file is what a test has printed, and behind it "exit status N". A row that is there twice is
"row (2)" the second time.
"""

import collections
import fnmatch
import re
import sys

FORMS = [
    # kselftest's scripts, each in its own way; and TAP
    (re.compile(r" *TEST: (.*\S) +\[ *(\w+) *\]"), 2, 1),
    (re.compile(r"(PASS|FAIL|SKIP|XFAIL|ERROR): *(.*\S)"), 1, 2),
    (re.compile(r"(ok|not ok) \d+ +(?:- )?(.*\S)"), 1, 2),
]
VERDICTS = {"OK": "PASS", "PASS": "PASS", "ok": "PASS", "SKIP": "SKIP"}


def read(name):
    """Rows that have passed, failed, been skipped, each in order"""
    rows = {"PASS": [], "FAIL": [], "SKIP": []}
    seen = collections.Counter()
    with open(name, encoding="utf-8", errors="replace") as file:
        lines = file.read().splitlines()
    for line in lines[:-1]:
        for form, verdict, text in FORMS:
            match = form.match(line)
            if not match:
                continue
            text = re.sub(r"\s+", " ", match[text])
            # The namespace of that name, and what mktemp has put behind it
            text = re.sub(r"\b(ns\w*)-\w{6,8}\b", r"\1", text)
            seen[text] += 1
            if seen[text] > 1:
                text += f" ({seen[text]})"
            rows[VERDICTS.get(match[verdict], "FAIL")].append(text)
            break
    status = int(lines[-1].removeprefix("exit status "))
    rows[{0: "PASS", 4: "SKIP"}.get(status, "FAIL")].append("exit status")
    return rows


def union(files, verdict):
    return list(dict.fromkeys(row for file in files for row in file[verdict]))


def show_rows(names):
    files = [read(name) for name in names]
    passed = union(files, "PASS")
    for verdict in "FAIL", "SKIP":
        for row in union(files, verdict):
            if row not in passed:
                print(verdict, row)
    # What has no rows has its exit status only
    return bool(passed) and (passed != ["exit status"] or
                             not union(files, "FAIL") + union(files, "SKIP"))


def compare(way, test, stock, here):
    stock = [read(name) for name in stock]
    here = [read(name) for name in here]
    passed, fails = union(here, "PASS"), union(stock, "FAIL")
    lines = [f"not passed: {row}" for row in union(stock, "PASS") if row not in passed]
    lines += [f"failed: {row}" for row in here[0]["FAIL"]
              if f"not passed: {row}" not in lines and row not in fails and row not in passed
              and all(row in other["FAIL"] for other in here)]
    table = []
    for entry in sys.stdin.read().splitlines():
        if entry.strip():
            match, why = entry.split("|")
            ways, tests, row = match.split(None, 2)
            if fnmatch.fnmatchcase(way, ways) and fnmatch.fnmatchcase(test, tests):
                table.append((row.strip(), why.strip()))
    # If rows say why, it says nothing
    if len(lines) > 1:
        lines = [line for line in lines if not line.endswith(": exit status")]
    unused, well = dict(table), True
    like = collections.Counter()
    for line in lines:
        row = line.split(": ", 1)[1]
        for pattern, _ in table:
            if fnmatch.fnmatchcase(row, pattern):
                like[pattern] += 1
                unused.pop(pattern, None)
                break
        else:
            print(f"{line}: not in the table")
            well = False
    for pattern, why in table:
        if like[pattern]:
            print(f"# not passed, {like[pattern]} like {pattern}: {why}")
    for pattern in unused:
        print(f"in the table, and as on stock: {pattern}")
        well = False
    return well


def main(words):
    if words[0] == "rows":
        return show_rows(words[1:])
    middle = words.index("--")
    return compare(words[1], words[2], words[3:middle], words[middle + 1:])


if __name__ == "__main__":
    sys.exit(not main(sys.argv[1:]))
