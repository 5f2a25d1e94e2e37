#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""SAs, requests and the module itself come to be with the n-th thing failing: see faults.py.

    faultscenarios.py NETNS FAULTS NAME...     scenarios, of which SCENARIOS at the end lists the
                                               names, in a namespace that has 10.0.0.1 and a way to
                                               10.0.0.2; FAULTS is calls, allocations or both
    faultscenarios.py NETNS FAULTS load FILE   the module FILE is loaded again and again

Prints how often it went well and how often not; exit status 1 if something is left that must not
be, or is another thing than was asked for.
"""

import ctypes
import errno
import os
import struct
import subprocess
import sys
import time
from pathlib import Path

from faults import PATIENCE, Wrong, need, sweep
from genl import CLONE_NEWNET, NLM_F_DUMP, NUMBERS, Family, Netlink, Refused, attrs, namespace
from xfrm import (NETLINK_XFRM, XFRM_EXT_SA_XFLAG, XFRM_MSG_UPDSA, delete, extended, larval,
                  migrate, states)

SRC, DST, MOVED, OTHER = "10.0.0.1", "10.0.0.2", "10.0.0.11", "10.0.0.9"
SRC6, DST6 = "fd00::1", "fd00::2"
REFCNT = "/sys/module/xfrm_ext/refcnt"
FINIT_MODULE, DELETE_MODULE = 313, 176
READY, FAILED, HELD = 1, 2, 3
GAP = 10000
EXTENDED = f"extra={XFRM_EXT_SA_XFLAG:#x}"

libc = ctypes.CDLL(None, use_errno=True)


class Here:
    """What there is in the namespace, and how to change it."""

    def __init__(self, name):
        self.name = name
        self.spi = 0x700
        self.open()

    def open(self):
        """Again: an answer that could not be made would be taken for the next one's."""
        with namespace(self.name):
            self.xfrm = Netlink(NETLINK_XFRM)
            self.module = Family() if os.path.exists(REFCNT) else None
            self.ears = None
            if self.module:
                # Somebody listens: what is told unasked is made
                self.ears = Family()
                self.ears.join("events")
        for netlink in [self.xfrm, *([self.module.netlink] if self.module else [])]:
            netlink.sock.settimeout(PATIENCE)

    def close(self):
        """What would keep the module."""
        self.module = self.ears = None

    def ask(self, *words):
        return list(self.module.request(list(words)))

    def tries(self, *words):
        """Whether it was there."""
        try:
            self.ask(*words)
        except Refused as e:
            need(str(e).startswith("ENOENT"), f"{words[0]}: {e}")

    def id(self, dst=DST):
        return [f"family={10 if ':' in dst else 2}", f"daddr={dst}", f"spi={self.spi}"]

    def there(self):
        return [state for state in states(self.xfrm) if f"spi=0x{self.spi:08x} " in state]

    def known(self, dst=DST):
        (answer,) = self.ask("get", *self.id(dst))
        return answer

    def numbers(self, way):
        """The highest number of each subspace of the SA."""
        found, which = {}, NUMBERS[f"{way}-subspace"]
        for answer in self.module.netlink.request(
                self.module.id, self.module.message(["dump"]), NLM_F_DUMP):
            said = list(attrs(answer[4:]))
            if dict(said)[NUMBERS["spi"]] != struct.pack("!I", self.spi):
                continue
            for kind, value in said:
                if kind == which:
                    one = dict(attrs(value))
                    found[int.from_bytes(one[2], sys.byteorder)] = int.from_bytes(
                        one[3], sys.byteorder)
        return found

    def gone(self):
        """All SAs, and no announcement is left."""
        need(until(lambda: Path(REFCNT).read_text().strip() == "0"),
             f"{Path(REFCNT).read_text().strip()} references to the module are left")

    def account(self):
        """What SAs take, but for keys that are remembered."""
        (caps,) = self.ask("caps")
        return caps["cap-netns-memory"] - caps["cap-netns-keys-memory"]


def until(true):
    end = time.monotonic() + PATIENCE
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(0.002)
    return True


# --- an SA is made -----------------------------------------------------------------

def judge(here, attempt, plain=False):
    """What was asked for, or nothing: never a plain SA in its place."""
    there = here.there()
    need(len(there) < 2, f"{len(there)} SAs")
    # A daemon's, which has its SPI only
    made = [state for state in there if " keys=1" in state]
    if attempt.good:
        need(made, "made, but not there")
    elif attempt.answered:
        need(not made, "refused, but there")
    for state in made:
        need(plain or EXTENDED in state, f"a plain SA: {state}")
    return bool(made)


def finish(here, dst=DST):
    """And the next one is none of this one's."""
    for _ in here.there():
        delete(here.xfrm, dst, str(here.spi))
    here.tries("withdraw", *here.id(dst))
    here.gone()
    here.spi += 1


def made(here, attempt, words, *more, src=SRC, dst=DST, announced=True):
    if announced:
        here.ask("announce", *here.id(dst), *words)
    attempt(lambda: extended(here.xfrm, src, dst, str(here.spi), *more))
    # An answer that could not be made is missed; what it was about is not
    here.open()
    if judge(here, attempt):
        state = here.known(dst)["state"]
        # Nobody has said of a state that it is in place: only a kernel's own fault can be why
        need(state == READY or not attempt.answered and state == FAILED, f"in state {state}")
    finish(here, dst)


def key(octets=20):
    return f"key={os.urandom(octets).hex()}"


ESP64 = ("tx-subspaces=4", "rx-subspaces=4")
EESP = ("format=2", "tx-subspaces=4", "rx-subspaces=2", "tx-base=1")


def announced(here, attempt):
    made(here, attempt, ESP64, key())


def announced6(here, attempt):
    made(here, attempt, ESP64, key(), src=SRC6, dst=DST6)


def announced_eesp(here, attempt):
    made(here, attempt, EESP, key(32))


# With blocks, and a trailer that the kernel does not know to be within them
def announced_cbc(here, attempt):
    made(here, attempt, (*ESP64, "trailer=1"), f"cbc={os.urandom(16).hex()}")


def ruled(here, attempt, flags=0):
    here.ask("rule-flush")
    here.ask("rule-add", f"rule-flags={flags}", *ESP64)
    made(here, attempt, (), key(), "marked=0", announced=False)
    here.ask("rule-flush")


# What cannot be extended is plain with that rule: but there is nothing that cannot be
def ruled_or_plain(here, attempt):
    ruled(here, attempt, flags=1)


# A daemon's, to receive by: it asks for an SPI, and says the rest later
def daemon(here, attempt):
    here.ask("rule-flush")
    here.ask("rule-add", *ESP64)
    larval(here.xfrm, DST, here.spi)
    attempt(lambda: extended(here.xfrm, SRC, DST, str(here.spi), key(), "marked=0",
                             kind=XFRM_MSG_UPDSA))
    here.open()
    if judge(here, attempt):
        need(here.known()["state"] in (READY, FAILED), "not ready")
    finish(here)
    here.ask("rule-flush")


# An SA is made with a key that was used, by who knows nothing of extensions
def again(here, attempt):
    which = key()
    here.ask("announce", *here.id(), *ESP64)
    extended(here.xfrm, SRC, DST, str(here.spi), which)
    here.ask("dummy", *here.id(), "dummy-subspace=0")
    here.ask("dummy", *here.id(), "dummy-subspace=0")
    delete(here.xfrm, DST, str(here.spi))
    attempt(lambda: extended(here.xfrm, SRC, DST, str(here.spi), which, "marked=0"))
    here.open()
    if not judge(here, attempt):
        extended(here.xfrm, SRC, DST, str(here.spi), which, "marked=0")
        need(EXTENDED in here.there()[0], "a plain SA has the key")
    here.ask("dummy", *here.id(), "dummy-subspace=0")
    need(here.numbers("tx")[0] == 3, f"numbers {here.numbers('tx')}")
    finish(here)


# Of an SA with large windows that goes the highest numbers stay, or the key is refused
def forgotten(here, attempt):
    which = key()
    words = ("rx-subspaces=4", "window=65536")
    here.ask("announce", *here.id(), *words)
    extended(here.xfrm, SRC, DST, str(here.spi), which)
    here.ask("set", *here.id(), *(f"rx-subspace={i}:{100 + i}" for i in range(4)))

    def act():
        delete(here.xfrm, DST, str(here.spi))
        here.gone()

    attempt(act)
    # Unless the kernel could not say that it has done so
    here.gone()
    try:
        here.ask("announce", *here.id(), *words)
        extended(here.xfrm, SRC, DST, str(here.spi), which)
    except Refused as e:
        need(str(e).startswith("EEXIST"), e)
        need(attempt.hit, "refused without a fault")
    else:
        here.ask("set", *here.id(), *(f"rx-subspace={i}:0" for i in range(4)))
        need(here.numbers("rx") == {i: 100 + i for i in range(4)}, here.numbers("rx"))
    finish(here)


# What MIGRATE makes goes on with the numbers, or the first SA stays
def migrated(here, attempt):
    here.ask("announce", *here.id(), *ESP64)
    extended(here.xfrm, SRC, DST, str(here.spi), key(), f"reqid={here.spi}")
    here.ask("dummy", *here.id(), "dummy-subspace=0")
    nets = "10.1.0.0/24", "10.2.0.0/24"
    subprocess.run(["ip", "-n", here.name, "xfrm", "policy", "update", "src", nets[0], "dst",
                    nets[1], "dir", "out", "tmpl", "src", SRC, "dst", DST, "proto", "esp",
                    "reqid", str(here.spi), "mode", "tunnel"], check=True)
    attempt(lambda: migrate(here.xfrm, *nets, str(here.spi), SRC, DST, MOVED, DST))
    here.open()
    there = here.there()
    need(len(there) == 1 and EXTENDED in there[0], f"SAs: {there}")
    need(here.known()["state"] == READY, "not ready")
    here.ask("dummy", *here.id(), "dummy-subspace=0")
    need(here.numbers("tx")[0] == 2, f"numbers {here.numbers('tx')}")
    finish(here)


# A held SA stays held until it has all that it was told, and never goes back
def held(here, attempt):
    here.ask("announce", *here.id(), *ESP64, "flags=4")
    extended(here.xfrm, SRC, DST, str(here.spi), key())
    numbers = [f"{way}-subspace={i}:{100 + i}" for way in ("tx", "rx") for i in range(3)]
    say = ["set", *here.id(), *numbers, f"gap={GAP}", "release"]
    say[-1] += "="
    attempt(lambda: here.ask(*say))
    here.open()
    if here.known()["state"] == HELD:
        need(not attempt.good, "said to be released, and is held")
        here.ask(*say)
    need(here.known()["state"] == READY, "not released")
    for i in range(4):
        here.ask("dummy", *here.id(), f"dummy-subspace={i}")
    tx, rx = here.numbers("tx"), here.numbers("rx")
    need(all(tx[i] == 100 + i + GAP + 1 for i in range(3)) and tx[3] == GAP + 1, f"tx {tx}")
    need(rx == {i: 100 + i for i in range(3)}, f"rx {rx}")
    finish(here)


# Another SA with the key of one that is there, held until somebody sets its counters, cannot be
# made: the one that is there, and who makes that again, has nothing to wait for
def not_held(here, attempt):
    which = key()
    here.ask("announce", *here.id(), *ESP64)
    extended(here.xfrm, SRC, DST, str(here.spi), which)
    here.ask("dummy", *here.id(), "dummy-subspace=0")
    here.ask("announce", *here.id(OTHER), *ESP64, "flags=4")
    attempt(lambda: extended(here.xfrm, SRC, OTHER, str(here.spi), which))
    here.open()
    if len(here.there()) == 2:
        need(here.known(OTHER)["state"] == HELD, "not held")
        delete(here.xfrm, OTHER, str(here.spi))
    else:
        here.tries("withdraw", *here.id(OTHER))
        delete(here.xfrm, DST, str(here.spi))
        extended(here.xfrm, SRC, DST, str(here.spi), which, "marked=0")
        need(here.known()["state"] == READY, "what failed has left it held")
    here.tries("withdraw", *here.id(OTHER))
    finish(here)


# --- requests ------------------------------------------------------------------------

def rules_of(here):
    return [(rule["rule-pref"], rule["rule-reqid"]) for rule in here.ask("rule-get")]


RULE = ("rule-pref=5", "rule-reqid=7", "rule-src=10.0.0.0", "rule-src-len=24", "rule-dst=10.0.0.2",
        "mark=1", "mark-mask=1", *ESP64)


def rule_added(here, attempt):
    here.ask("rule-flush")
    attempt(lambda: here.ask("rule-add", *RULE))
    here.open()
    need(rules_of(here) == ([(5, 7)] if attempt.good else []) or not attempt.answered,
         f"rules {rules_of(here)}")
    here.ask("rule-flush")


def rule_deleted(here, attempt):
    here.ask("rule-flush")
    here.ask("rule-add", *RULE)
    attempt(lambda: here.ask("rule-del", "rule-pref=5"))
    here.open()
    need(rules_of(here) == ([] if attempt.good else [(5, 7)]) or not attempt.answered,
         f"rules {rules_of(here)}")
    here.ask("rule-flush")


def rules_told(here, attempt):
    here.ask("rule-flush")
    here.ask("rule-add", *RULE)
    attempt(lambda: need(len(here.ask("rule-get")) == 1, "half an answer"))
    here.open()
    here.ask("rule-flush")


# What a rule cannot make of an SA is refused, and somebody is told
def rule_refuses(here, attempt):
    here.ask("rule-flush")
    here.ask("rule-add", "iv=1", *ESP64)

    def act():
        try:
            extended(here.xfrm, SRC, DST, str(here.spi), f"cbc={os.urandom(16).hex()}", "marked=0")
        except Refused as e:
            need(not str(e).startswith("ok"), e)
        else:
            raise Wrong("not refused")

    attempt(act)
    here.open()
    need(not here.there(), "there all the same")
    here.ask("rule-flush")
    here.spi += 1


def announces(here, attempt):
    attempt(lambda: here.ask("announce", *here.id(), *ESP64))
    here.open()
    if attempt.good:
        here.ask("withdraw", *here.id())
    else:
        here.tries("withdraw", *here.id())


def withdraws(here, attempt):
    here.ask("announce", *here.id(), *ESP64)
    attempt(lambda: here.ask("withdraw", *here.id()))
    here.open()
    here.tries("withdraw", *here.id())


def asked(verb, *words, src=SRC, dst=DST):
    """A request that changes nothing, of an SA that has used what it has."""
    def scenario(here, attempt):
        if not here.there():
            here.ask("announce", *here.id(dst), *ESP64)
            extended(here.xfrm, src, dst, str(here.spi), key())
            here.ask("set", *here.id(dst), "tx-subspace=1:5", "rx-subspace=1:5")
        whose = here.id(dst) if verb in ("get", "dummy") else []
        attempt(lambda: here.ask(verb, *whose, *words))
        here.open()
        if not attempt.hit:
            finish(here, dst)
    return scenario


# --- what a namespace has ---------------------------------------------------------------

def namespaces(_, attempt):
    """Made, and gone again with an announcement in it."""
    def act():
        pid = os.fork()
        if not pid:
            code = 1
            try:
                if libc.unshare(CLONE_NEWNET):
                    code = ctypes.get_errno()
                else:
                    list(Family().request(["announce", "family=2", f"daddr={DST}", "spi=1",
                                           *ESP64]))
                    code = 0
            except Refused:
                code = errno.EIO
            finally:
                os._exit(code)
        _, status = os.waitpid(pid, 0)
        if code := os.waitstatus_to_exitcode(status):
            raise OSError(code, "namespace")

    attempt(act)


# --- the module --------------------------------------------------------------------------

def unload():
    need(until(lambda: not libc.syscall(DELETE_MODULE, b"xfrm_ext", os.O_NONBLOCK)),
         f"the module stays: {os.strerror(ctypes.get_errno())}")


def load(path):
    file = os.open(path, os.O_RDONLY)
    try:
        if libc.syscall(FINIT_MODULE, file, b"", 0):
            raise OSError(ctypes.get_errno(), path)
    finally:
        os.close(file)


# It is there, and extends SAs of both families, or it is not, and the kernel's own are there
def loaded(path):
    def scenario(here, attempt):
        attempt(lambda: load(path))
        here.open()
        there = os.path.exists(REFCNT)
        need(there == attempt.good, "it is " + ("there" if there else "not there"))
        if there:
            here.ask("rule-flush")
            here.ask("rule-add", *ESP64)
        for src, dst in ((SRC, DST), (SRC6, DST6)):
            extended(here.xfrm, src, dst, str(here.spi), key(), "marked=0")
            (state,) = here.there()
            need((EXTENDED in state) == there, f"an SA is {state}")
            delete(here.xfrm, dst, str(here.spi))
            here.spi += 1
        if there:
            here.gone()
            here.close()
            unload()
    return scenario


SCENARIOS = {
    "announced": announced, "announced6": announced6, "eesp": announced_eesp, "cbc": announced_cbc,
    "rule": ruled, "or-plain": ruled_or_plain, "daemon": daemon, "again": again,
    "forgotten": forgotten, "migrate": migrated, "held": held, "not-held": not_held, "rule-add": rule_added,
    "rule-del": rule_deleted, "rule-get": rules_told, "rule-refuses": rule_refuses,
    "announce": announces, "withdraw": withdraws, "get": asked("get"), "dump": asked("dump"),
    "caps": asked("caps"), "totals": asked("totals"), "dummy": asked("dummy", "dummy-subspace=2"),
    "dummy6": asked("dummy", "dummy-subspace=2", src=SRC6, dst=DST6), "netns": namespaces,
}


def main():
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    here, which = Here(sys.argv[1]), sys.argv[2].split(",")
    if sys.argv[3] == "load":
        sweep("load", which, lambda attempt: loaded(sys.argv[4])(here, attempt))
        return
    for name in sys.argv[3:]:
        sweep(name, which, lambda attempt, name=name: SCENARIOS[name](here, attempt))
        here.gone()
        if here.account():
            sys.exit(f"{name}: {here.account()} octets are left in the account")


main()
