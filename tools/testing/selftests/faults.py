# SPDX-License-Identifier: GPL-2.0-only
"""The n-th thing that can fail does, for n = 1, 2, ... until none is left: what faultscenarios.py
and faultpackets.py share.

A scenario is a function of an attempt, which it calls with what shall be attempted, and which
then says what came of it; the scenario looks at what there is then. Two kinds of faults:

    calls           what the module calls of the kernel (faults.c); that one, or all from there on,
                    and in several ways; "call" for one alone, and in one way
    allocations     in what the kernel does for this process (Documentation/fault-injection,
                    fail-nth), where the kernel can: before and behind the module, too
"""

import collections
import errno
import itertools
import os
import pathlib
import re
import sys

from genl import Refused

PARAMETERS = pathlib.Path("/sys/module/xfrm_ext_faults/parameters")
FAIL_NTH = "/proc/thread-self/fail-nth"
MOST = 5000
PATIENCE = 60 * int(os.environ.get("TIME_FACTOR", "1"))


class Wrong(Exception):
    """What must not be."""


def need(truth, text):
    if not truth:
        raise Wrong(text)


class Attempt:
    """What comes of something, with a fault in it."""

    answered = True  # what is refused is not there: the answer cannot get lost

    def __init__(self, n):
        self.n = n
        self.said, self.hit = None, None

    def __call__(self, action):
        self.begin()
        try:
            action()
            self.said = "ok"
        except Refused as e:
            self.said = str(e).split()[0]
        except OSError as e:
            self.said = errno.errorcode.get(e.errno, str(e.errno))
        finally:
            self.hit = self.end()
        return self.said

    @property
    def good(self):
        return self.said == "ok"


class Call(Attempt):
    """A call of the module's fails, from any context."""

    def __init__(self, n, lasting, error):
        super().__init__(n)
        self.lasting, self.error = lasting, error

    def begin(self):
        (PARAMETERS / "error").write_text(str(self.error))
        (PARAMETERS / "lasting").write_text("NY"[self.lasting])
        (PARAMETERS / "nth").write_text(str(self.n))

    def end(self):
        """Where it was; nothing if it did not come to that."""
        left = int((PARAMETERS / "nth").read_text())
        (PARAMETERS / "nth").write_text("0")
        return "" if left else self.where()

    @staticmethod
    def where():
        name, _, caller = (PARAMETERS / "hit").read_text().strip().partition(" ")
        return f"{re.split('[.+]', caller)[0]} {name}"

    @staticmethod
    def happened():
        return int((PARAMETERS / "nth").read_text()) == 0


class Allocation(Attempt):
    """An allocation of this thread's fails."""

    answered = False
    file = None

    def begin(self):
        self.file = os.open(FAIL_NTH, os.O_RDWR)
        os.write(self.file, b"%d\n" % self.n)

    def end(self):
        left = os.pread(self.file, 20, 0).strip(b"\0\n ")
        os.write(self.file, b"0\n")
        os.close(self.file)
        return "an allocation" if left == b"0" else ""


# What an SA's set-up calls fails for want of memory, or because the kernel has not what it asks for,
# which is what the kernel says of a cipher if memory was short in between
CALLS = {"one": (False, errno.ENOMEM), "all behind it": (True, errno.ENOMEM),
         "one, not there": (False, errno.ENOENT)}


def kinds(which):
    """Names of kinds of faults, and how to make an attempt."""
    if "calls" in which or "call" in which:
        for name, (lasting, error) in list(CALLS.items())[:None if "calls" in which else 1]:
            yield f"calls, {name}", lambda n, a=lasting, b=error: Call(n, a, b)
    if "allocations" in which:
        if not os.path.exists(FAIL_NTH):
            raise Wrong("the kernel has no faults of its own")
        yield "allocations", Allocation


def hits_to(places):
    """For the end of all: where something has failed."""
    if path := os.environ.get("HITS"):
        with open(path, "a", encoding="ascii") as file:
            file.writelines(f"{place}\n" for place in places)


def sweep(name, which, scenario, step=1):
    """Each in turn; prints how often it was well, how often not. With a step only every so
    many."""
    for kind, make in kinds(which):
        results, places = collections.Counter(), set()
        for n in itertools.count(1, step):
            attempt = make(n)
            try:
                scenario(attempt)
            except (Wrong, Refused, OSError) as e:
                sys.exit(f"{name}: {kind}, the {n}th, {attempt.hit or 'none hit'}: said"
                         f" {attempt.said}: {type(e).__name__}: {e}")
            results[attempt.said] += 1
            if not attempt.hit:
                break
            places.add(attempt.hit)
            if n > MOST:
                sys.exit(f"{name}: {kind}: there is no end to it")
        if not attempt.good:
            sys.exit(f"{name}: {kind}: without a fault it said {attempt.said}")
        # Else nothing was shown
        if not places:
            sys.exit(f"{name}: {kind}: nothing failed")
        hits_to(places if kind != "allocations" else ())
        print(f"# {name}: {kind}: {sum(results.values()) - 1} faults: "
              + ", ".join(f"{said} {count}" for said, count in sorted(results.items())), flush=True)
