#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Requests by chance to the family xfrm_ext, made of its specification.

    fuzznetlink.py SEED MESSAGES THREADS [SECONDS]

Each thread has sockets, requests and a random.Random of its own, and they race for the same few
SAs and rules of this namespace: announced, made (by NEWSA), set, deleted. Requests are as the
specification says (Documentation/netlink/specs/xfrm_ext.yaml), or have one thing in them that it
forbids, or are spoilt, cut, doubled, in another order. With one thread a seed does the same each time.

What must hold of every answer: a request with something in it that the specification
forbids is refused; what is refused with EINVAL or ERANGE says why, or where; no other errno
comes than the specification, or the kernel before the family is asked, has.
"""

import errno
import os
import pathlib
import random
import re
import socket
import struct
import subprocess
import sys
import threading
import time
from collections import Counter

import genl
import xfrm

SPEC = pathlib.Path(__file__).resolve().parents[3] / "Documentation/netlink/specs/xfrm_ext.yaml"
WIDTHS = {"u16": 2, "u32": 4, "u64": 8}
TIMEOUT = 60 * int(os.environ.get("TIME_FACTOR", "1"))
NLMSGERR_ATTR_OFFS = 2
# Of the kernel, before anybody of the family is asked
GENERAL = {"EINVAL", "ERANGE", "EOPNOTSUPP", "EPERM", "EMSGSIZE", "ENOMEM", "ENOBUFS", "EBUSY", "EAGAIN"}
# What an SA can be made with here: of few, so that threads meet
ADDRESSES = {2: (bytes((10, 9, 0, 1)), bytes((10, 9, 0, 2))),
             10: (bytes.fromhex("fd09") + bytes(13) + b"\1", bytes.fromhex("fd09") + bytes(13) + b"\2")}
SPIS = range(0x100, 0x108)
MARKS = (0, 0, 0, 1)
# Without which a request means nothing
ESSENTIAL = ("family", "daddr", "spi", "rx-subspaces", "tx-subspaces", "rule-pref")


class Spec:
    """As much of it as this needs; a reader of all of YAML is not there."""

    def __init__(self, text):
        self.attributes, self.requests, self.errors, self.dumps = {}, {}, {}, set()
        self.constants = {name: int(value, 0) for name, value in re.findall(
            r"- name: ([\w-]+)\n    type: const\n    value: (\w+)", text)}
        self.enums = {}
        for name, body in re.findall(r"  - name: ([\w-]+)\n    enum-name: .*\n((?:    .*\n)+)", text):
            self.enums[name] = len(re.findall(r"^      - name:", body, re.M))
        start = text.index("- name: main\n")
        main = text[start : text.index("\n  - name: ", start)]
        for one in re.split(r"\n      - name: ", main)[1:]:
            name = one.split("\n", 1)[0]
            fields = dict(re.findall(r"^ +(type|enum|min|max|min-len|max-len|exact-len|flags-mask): (.*)$", one, re.M))
            self.attributes[name] = fields
        operations = text[text.index("\noperations:") :]
        for one in re.split(r"\n    - name: ", operations)[1:]:
            name = one.split("\n", 1)[0]
            found = re.search(r"      do:\n        request:\n          attributes: \[(.*?)\]", one, re.S)
            self.requests[name] = re.findall(r"[\w-]+", found.group(1)) if found else []
            self.errors[name] = set(re.findall(r"\bE[A-Z]{3,}\b", one))
            if "\n      dump:" in one:
                self.dumps.add(name)
            if "\n      do:" not in one:
                self.requests.pop(name)

    def limit(self, text):
        """A number, or one by name."""
        return self.constants[text] if text in self.constants else int(text, 0)

    def range(self, name):
        """Least and greatest of a number, and which flags there are."""
        fields = self.attributes[name]
        least, most = 0, (1 << 8 * WIDTHS[fields["type"]]) - 1
        if "enum" in fields:
            most = self.enums[fields["enum"]] - 1
        if "flags-mask" in fields:
            most = (1 << self.enums[fields["flags-mask"]]) - 1
        if "min" in fields:
            least = self.limit(fields["min"])
        if "max" in fields:
            most = self.limit(fields["max"])
        return least, most


class Maker:
    """Requests by chance."""

    def __init__(self, rng, spec):
        self.rng, self.spec = rng, spec

    def identity(self):
        """Of an SA that somebody may have made."""
        family = self.rng.choice((2, 2, 10))
        return {"family": struct.pack("=H", family), "daddr": ADDRESSES[family][1],
                "spi": struct.pack("!I", self.rng.choice(SPIS))}

    def value(self, name):
        """Octets of an attribute as the specification has it."""
        rng, fields = self.rng, self.spec.attributes[name]
        kind = fields["type"]
        if kind in WIDTHS:
            least, most = self.spec.range(name)
            number = rng.choice((least, most, rng.randint(least, most), min(most, least + rng.randrange(8))))
            if name in ("tx-subspaces", "rx-subspaces", "select-cpus"):
                number = rng.choice((1, 1, 2, 4, 8, number))
            if name == "window":
                number = 1 << rng.randrange(6, 17)
            if name in ("mark", "mark-mask"):
                number = rng.choice(MARKS)
            if name == "rule-pref":
                number = 1 + rng.randrange(12)
            return struct.pack({2: "=H", 4: "=I", 8: "=Q"}[WIDTHS[kind]], number)
        if kind == "flag":
            return b""
        if kind == "nest":
            parts = genl.attr(2, struct.pack("=I", rng.randrange(5)))
            return parts + genl.attr(3, struct.pack("=Q", rng.choice((0, 1, rng.randrange(1 << 20), 1 << 47))))
        if name == "select-dscp":
            return struct.pack("=64H", *(rng.randrange(3) for _ in range(64)))
        return ADDRESSES[rng.choice((2, 10))][rng.randrange(2)]

    def number(self, name, value=0):
        """Of an attribute, with what its type asks for."""
        return genl.NUMBERS[name] | (0x8000 if self.spec.attributes[name]["type"] == "nest" else 0) | value

    def request(self):
        """(command, dump, [(attribute, octets)], whether the specification forbids it)."""
        rng, spec = self.rng, self.spec
        names = [n for n in spec.requests if n in genl.COMMANDS]
        name = rng.choice(names + ["announce", "set", "rule-add"] * 2)
        dump = name in spec.dumps and (rng.random() < 0.3 or name == "rule-get")
        known = spec.requests[name]
        wanted = {}
        if "daddr" in known:
            wanted |= self.identity()
        for one in known:
            if one not in wanted and rng.random() < 0.2:
                wanted[one] = self.value(one)
        if name == "announce" and rng.random() < 0.9:
            wanted.setdefault("rx-subspaces", struct.pack("=I", 1 + rng.randrange(4)))
        if name == "rule-add" and rng.random() < 0.9:
            wanted.setdefault("rx-subspaces", struct.pack("=I", 2))
            wanted.setdefault("tx-subspaces", struct.pack("=I", 2))
        attributes = [] if dump else [(self.number(n), v) for n, v in wanted.items()]
        forbidden = False
        if rng.random() < 0.25:
            forbidden = self.forbid(known, attributes, dump)
        return name, dump, attributes, forbidden

    def forbid(self, known, attributes, dump):
        """Put one thing in that the specification forbids; False if it is none."""
        rng, spec = self.rng, self.spec
        how = rng.randrange(3)
        foreign = [n for n in spec.attributes if n not in known and n in genl.NUMBERS and n not in ("unspec", "pad")]
        if how == 0 or dump:
            # What does not belong to the command, or is unknown
            if dump or rng.random() < 0.7:
                name = rng.choice(foreign if not dump else known or foreign)
                attributes.append((self.number(name), rng.randbytes(4)))
            else:
                attributes.append((rng.randrange(len(genl.NAMES), 0x3FFF), rng.randbytes(rng.randrange(12))))
            return True
        numbers = [n for n in known if spec.attributes[n]["type"] in WIDTHS]
        if not numbers:
            return False
        name = rng.choice(numbers)
        width = WIDTHS[spec.attributes[name]["type"]]
        # Mostly nothing else is there for which it would be refused as well
        alone = rng.random() < 0.7
        attributes[:] = [a for a in attributes if a[0] != self.number(name) and
                         (not alone or genl.NAMES[a[0] & 0x3FFF] in ESSENTIAL)]
        if how == 1:
            # Of another length
            attributes.append((self.number(name), rng.randbytes(rng.choice([n for n in range(12) if n != width]))))
            return True
        least, most = spec.range(name)
        # Half and twice: what must be a power of two is one still
        outside = [n for n in (least - 1, least // 2, most + 1, 2 * most, (1 << 8 * width) - 1)
                   if 0 <= n < 1 << 8 * width and not least <= n <= most]
        if not outside:
            return False
        value = rng.choice(outside)
        form = "!I" if name == "spi" else {2: "=H", 4: "=I", 8: "=Q"}[width]
        attributes.append((self.number(name), struct.pack(form, value)))
        return True

    def octets(self, attributes):
        """Of a message, and whether it was spoilt."""
        rng = self.rng
        attributes = list(attributes)
        if rng.random() < 0.3:
            rng.shuffle(attributes)
        body = b"".join(genl.attr(kind, value) for kind, value in attributes)
        if rng.random() > 0.15 or not body:
            return body, False
        data = bytearray(body)
        for _ in range(1 + rng.randrange(3)):
            how, at = rng.randrange(4), rng.randrange(len(data)) if data else 0
            if how == 0 and data:
                data[at] = rng.choice((0, 1, 4, 0x40, 0x80, 0xFF, data[at] ^ 1))
            elif how == 1:
                del data[at:]
            elif how == 2:
                data += data[: rng.randrange(1, 64)]
            else:
                data[at:at] = rng.randbytes(rng.randrange(9))
        return bytes(data), True


class Talker:
    """A thread's socket, and what it finds wrong."""

    def __init__(self, rng, spec):
        self.rng, self.spec, self.maker = rng, spec, Maker(rng, spec)
        self.family = genl.Family()
        self.netlink = self.family.netlink
        self.xfrm = genl.Netlink(xfrm.NETLINK_XFRM)
        for link in (self.netlink, self.xfrm):
            link.sock.settimeout(TIMEOUT)
        self.answers, self.problems, self.sent = Counter(), [], 0

    def ask(self, name, dump, body):
        """(errno or 0, text, whether a place was told)."""
        link = self.netlink
        flags = genl.NLM_F_DUMP if dump else genl.NLM_F_ACK
        link.send(self.family.id, [struct.pack("=BBH", genl.COMMANDS[name], 1, 0) + body], flags | genl.NLM_F_REQUEST)
        self.sent += 1
        while True:
            data = link.sock.recv(1 << 18)
            while data:
                length, kind, flags, seq, _ = struct.unpack_from("=IHHII", data)
                message, data = data[16:length], data[(length + 3) & ~3 :]
                if seq != link.seq or kind not in (genl.NLMSG_ERROR, genl.NLMSG_DONE):
                    continue
                (code,) = struct.unpack_from("=i", message)
                told = {}
                if flags & genl.NLM_F_ACK_TLVS:
                    told = dict(genl.attrs(message[4 if kind == genl.NLMSG_DONE else 20 :]))
                return -code, told.get(genl.NLMSGERR_ATTR_MSG, b"").rstrip(b"\0").decode(), NLMSGERR_ATTR_OFFS in told

    def once(self):
        """One request."""
        if self.rng.random() < 0.25:
            return self.state()
        name, dump, attributes, forbidden = self.maker.request()
        body, spoilt = self.maker.octets(attributes)
        code, text, place = self.ask(name, dump, body)
        said = errno.errorcode.get(code, str(code)) if code else "ok"
        self.answers[f"{name} {said}"] += 1
        what = f"{name}{' dump' if dump else ''} {body.hex()}: {said} {text!r}"
        if forbidden and not spoilt and not code:
            self.problems.append(f"not refused: {what}")
        if code in (errno.EINVAL, errno.ERANGE) and not text and not place:
            self.problems.append(f"says nothing: {what}")
        if code and said not in GENERAL | self.spec.errors[name]:
            self.problems.append(f"an errno that the specification does not have: {what}")
        return None

    def state(self):
        """An SA made or deleted, as extended or plain as it happens."""
        rng = self.rng
        family = rng.choice((2, 2, 10))
        spi = rng.choice(SPIS)
        src, dst = (socket.inet_ntop(socket.AF_INET if family == 2 else socket.AF_INET6, a) for a in ADDRESSES[family])
        self.sent += 1
        try:
            if rng.random() < 0.4:
                xfrm.delete(self.xfrm, dst, str(spi))
                self.answers["DELSA ok"] += 1
            else:
                xfrm.extended(self.xfrm, src, dst, str(spi), f"key={rng.randbytes(20).hex()}")
                self.answers["NEWSA ok"] += 1
        except genl.Refused as e:
            said, _, text = str(e).partition(" ")
            self.answers[f"SA {said}"] += 1
            if said in ("EINVAL", "ERANGE") and not text:
                self.problems.append(f"NEWSA of {spi:#x} says nothing: {said}")


def work(talker, messages, end, stop):
    """One thread's."""
    n = 0
    try:
        while (n < messages or end and time.monotonic() < end) and not stop.is_set():
            talker.once()
            n += 1
            if len(talker.problems) > 10:
                break
    except (OSError, struct.error) as e:
        talker.problems.append(f"{type(e).__name__}: {e}, after {n} requests")
    if talker.problems:
        stop.set()


def left_over(family):
    """Octets that the namespace's SAs still take when all are gone."""
    subprocess.run(["ip", "xfrm", "state", "flush"], check=True)
    list(family.request(["rule-flush"]))
    end = time.monotonic() + TIMEOUT
    while True:
        (caps,) = family.request(["caps"])
        left = caps["cap-netns-memory"] - caps["cap-netns-keys-memory"]
        if not left or time.monotonic() > end:
            return left
        time.sleep(0.05)


def main():
    """The command line."""
    seed, messages, threads = map(int, sys.argv[1:4])
    end = time.monotonic() + float(sys.argv[4]) if len(sys.argv) > 4 else None
    spec = Spec(SPEC.read_text(encoding="utf-8"))
    talkers = [Talker(random.Random(f"{seed} {n}"), spec) for n in range(threads)]
    stop = threading.Event()
    running = [threading.Thread(target=work, args=(t, messages // threads, end, stop)) for t in talkers]
    for one in running:
        one.start()
    for one in running:
        one.join()
    answers, problems = Counter(), []
    for t in talkers:
        answers += t.answers
        problems += t.problems
    left = left_over(talkers[0].family)
    if left:
        problems.append(f"{left} octets have not come back")
    for problem in problems[:20]:
        print(f"# {problem}"[:1500])
    print(f"# seed {seed}: {sum(t.sent for t in talkers)} requests of {threads} threads: "
          + ", ".join(f"{k} {v}" for k, v in sorted(answers.items())))
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
