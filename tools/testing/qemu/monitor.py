#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Start a guest, follow what it reports, judge it.

usage: monitor.py --kernel NAME --token WORD --out DIR [--raw] [--native] [--timeout S]
                  [--results FILE] [--expect NAME]... -- COMMAND ARGUMENTS...

The command's standard output is the port xfrm_ext.out of init.sh. Prints a line for each
test, and all that a failing script printed; with --raw what the scripts print and
nothing else. Appends to FILE, for each test: ok, FAILED or SKIP; kernel; name;
seconds, separated by tabs. Whatever --expect names must have run. With --native the
command is no emulator but the kernel itself: how it ends is its own doing.

Exit status: 0 all is well, 1 a test failed, 2 the guest could not be started, 3 the
emulator has killed it, or init.sh found that it, or User-mode Linux, does not run what it
should: what is in FILE says nothing.
"""

import argparse
import os
import re
import select
import signal
import subprocess
import sys
import time

BOOT_LIMIT = 900
GRACE = 60          # past a script's own limit, which the guest itself watches

POINT = re.compile(r"^( *)(ok|not ok)\b(?: +(\d+))? *(?:- )? *([^#]*?) *(?:# *(.*))?$")
PLAN = re.compile(r"^( *)1\.\.(\d+)\b *(?:# *(.*))?$")
SUBTEST = re.compile(r"^( *)# Subtest: *(.*)$")


class Level:
    """The results of one indentation: a script's, or a subtest's."""

    def __init__(self):
        self.name = ""
        self.plan = None
        self.points = 0
        self.leaves = 0
        self.failed = False


class Ktap:
    """Reads KTAP line by line; report(status, name, why) for each result."""

    def __init__(self, report):
        self.report = report
        self.levels = {}
        self.failed = False
        self.bailed = ""

    def level(self, depth):
        return self.levels.setdefault(depth, Level())

    def full_name(self, depth, name):
        names = [self.levels[d].name for d in sorted(self.levels) if d <= depth]
        return ".".join([n for n in names if n] + [name])

    def feed(self, line):
        if match := SUBTEST.match(line):
            self.level(len(match[1])).name = match[2]
        elif match := PLAN.match(line):
            level = self.level(len(match[1]))
            level.plan = int(match[2])
            if level.plan == 0 and len(match[1]) == 0:
                self.report("SKIP", "all", (match[3] or "").removeprefix("SKIP").strip())
        elif line.startswith("Bail out!"):
            self.bailed = line
        elif match := POINT.match(line):
            self.point(len(match[1]), match[2] == "ok", match[3], match[4], match[5] or "")

    def point(self, depth, good, number, name, directive):
        name = name or number or "unnamed"
        children = [self.levels.pop(d) for d in sorted(self.levels) if d > depth]
        level = self.level(depth)
        level.points += 1
        if directive.upper().startswith("SKIP"):
            status, good = "SKIP", True
        else:
            status = "ok" if good else "FAILED"
        if not any(c.points for c in children):
            level.leaves += 1
            self.report(status, self.full_name(depth, name), directive)
            self.failed |= not good
            level.failed |= not good
            return
        # A subtest's own line counts only for what its parts did not say.
        short = [c for c in children if c.plan is not None and c.plan != c.points]
        if short:
            self.report("FAILED", self.full_name(depth, name),
                        f"{short[0].points} results of {short[0].plan}")
        elif not good and not any(c.failed for c in children):
            self.report("FAILED", self.full_name(depth, name), "")
        bad = bool(short) or not good or any(c.failed for c in children)
        self.failed |= bad
        level.failed |= bad

    def finish(self, code):
        """What is wrong with the script as a whole, or an empty text."""
        top = self.levels.get(0, Level())
        if self.bailed:
            return self.bailed
        if code == "timeout":
            return "took longer than it may"
        if top.plan is None and not top.points:
            return f"no results (exit status {code})"
        if top.plan is None and top.leaves:
            return "no plan"
        if top.plan is not None and top.plan != top.points:
            return f"{top.points} results of {top.plan} (exit status {code})"
        if any(d > 0 and level.points for d, level in self.levels.items()):
            return "a subtest has no end"
        if code != "0" and not self.failed:
            return f"exit status {code}"
        return ""


def stale_breakpoint(console):
    """Whether the kernel died of a breakpoint where, as it says itself, there is none."""
    with open(console, encoding="utf-8", errors="replace") as file:
        text = file.read()
    oops = re.search(r"int3: 0000 .*?\bCode:[0-9a-f ]*\b([0-9a-f]{2}) <", text, re.S)
    return bool(oops) and oops.group(1) != "cc"


class Monitor:
    def __init__(self, args):
        self.args = args
        self.failures = 0
        self.done = set()
        self.script = None
        self.verdict = False
        self.flaw = ""
        self.raw = False
        self.last = time.monotonic()
        self.deadline = self.last + BOOT_LIMIT
        self.lines = []

    # -- results

    def report(self, status, name, why=""):
        now = time.monotonic()
        seconds = now - self.last
        self.last = now
        self.failures += status == "FAILED"
        if not self.args.raw or status == "FAILED":
            text = f"{status:7}{self.args.kernel} {name} ({seconds:.1f} s)"
            print(text + (f": {why}" if why else ""), flush=True)
        if self.args.results:
            with open(self.args.results, "a", encoding="utf-8") as file:
                file.write(f"{status}\t{self.args.kernel}\t{name}\t{seconds:.1f}\n")

    def begin(self, name, limit):
        self.script = name
        self.raw = self.args.raw and name != "guest"
        self.lines = []
        self.last = time.monotonic()
        self.deadline = self.last + int(limit) + GRACE
        self.ktap = Ktap(lambda status, what, why: self.report(status, f"{name}: {what}", why))
        self.before = self.failures

    def end(self, code):
        name, self.script = self.script, None
        self.done.add(name)
        self.deadline = time.monotonic() + GRACE
        if self.raw:
            if code != "0":
                self.report("FAILED", name, f"exit status {code}")
            return
        if wrong := self.ktap.finish(code):
            self.report("FAILED", f"{name}: script", wrong)
        if self.failures > self.before:
            self.show(f"what {name} printed", self.lines)

    def show(self, title, lines):
        # In one piece, and with a name: other guests may print at the same time.
        mark = f"  {self.args.kernel}"
        text = [f"{mark} --- {title}"] + [f"{mark} | {line}" for line in lines]
        print("\n".join(text), flush=True)

    # -- the stream

    def text(self, data):
        if not data:
            return
        if self.raw:
            sys.stdout.write(data)
            sys.stdout.flush()
            return
        for line in data.splitlines():
            line = line.rstrip("\r")
            self.lines.append(line)
            if self.script:
                self.ktap.feed(line)

    def marker(self, line):
        word, *rest = line.split()
        if word == "begin":
            self.begin(*rest)
        elif word == "end" and self.script == rest[0]:
            self.end(rest[1])
        elif word == "verdict":
            self.verdict = True
        elif word == "flaw":
            self.flaw = " ".join(rest)

    def feed(self, buffer):
        """Take what is complete off the buffer; return the rest."""
        mark = "\x1e" + self.args.token + " "
        while True:
            at = buffer.find(mark)
            if at >= 0:
                end = buffer.find("\n", at)
                if end < 0:
                    return buffer
                self.text(buffer[:at])
                self.marker(buffer[at + len(mark):end])
                buffer = buffer[end + 1:]
                continue
            # No whole marker: keep the start of one, and of a line.
            cut = buffer.find("\x1e") if self.raw else buffer.rfind("\n") + 1
            if cut < 0:
                cut = len(buffer)
            self.text(buffer[:cut])
            return buffer[cut:]

    def follow(self, guest):
        buffer = ""
        fd = guest.stdout.fileno()
        while True:
            left = min(self.deadline, self.args.end) - time.monotonic()
            if left <= 0:
                return "the guest hangs"
            if not select.select([fd], [], [], left)[0]:
                continue
            data = os.read(fd, 65536)
            if not data:
                self.text(self.feed(buffer))
                return ""
            buffer = self.feed(buffer + data.decode("utf-8", "replace"))
            if self.flaw:
                return self.flaw

    def run(self):
        # The guest does not outlive this process, however that ends.
        command = ["setpriv", "--pdeathsig", "KILL", "--"] + self.args.command
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as guest:
            try:
                why = self.follow(guest)
            finally:
                # It says all it has to say before it powers off.
                if self.verdict:
                    try:
                        guest.wait(20)
                    except subprocess.TimeoutExpired:
                        pass
                guest.kill()
            code = guest.wait()
        console = os.path.join(self.args.out, "console.log")
        if code > 0 and not os.path.getsize(console):
            print(f"the guest cannot run (status {code})", file=sys.stderr)
            return 2
        if not self.verdict:
            why = self.flaw or why or "the guest died"
            flaw = (self.flaw if self.flaw
                    else "" if self.args.native
                    else "the emulator ran a breakpoint that was gone" if stale_breakpoint(console)
                    else "the emulator aborted" if code == -signal.SIGABRT else "")
            if flaw:
                print(f"  {self.args.kernel} --- {flaw}: nothing of this run counts", flush=True)
                return 3
            if self.script:
                self.report("FAILED", f"{self.script}: script", f"{why} while it ran")
                self.done.add(self.script)
                self.show(f"what {self.script} printed", self.lines)
            else:
                self.report("FAILED", "guest: verdict", why)
            with open(console, encoding="utf-8", errors="replace") as file:
                self.show("end of the console", file.read().splitlines()[-60:])
        for name in self.args.expect:
            if name not in self.done:
                self.report("FAILED", f"{name}: script", "did not run")
        return 1 if self.failures else 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--kernel", required=True)
    parser.add_argument("--token", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--raw", action="store_true")
    parser.add_argument("--native", action="store_true")
    parser.add_argument("--timeout", type=int, default=0)
    parser.add_argument("--results")
    parser.add_argument("--expect", action="append", default=[])
    parser.add_argument("command", nargs="+")
    args = parser.parse_args()
    args.end = time.monotonic() + args.timeout if args.timeout else float("inf")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(2))
    try:
        sys.exit(Monitor(args).run())
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
