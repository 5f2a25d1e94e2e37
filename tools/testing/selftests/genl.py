#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Speak to xfrm_ext in generic netlink, nonsense too, without iproute2's help.

    genl.py COMMAND [ATTRIBUTE=VALUE]...
    genl.py batch       such requests, one a line, from standard input
    genl.py join        join the group of events, and leave again
    genl.py listen GROUP    what comes to a group, a line each: command and attributes

"many N" before a command makes N requests of it, each with an SPI one higher, a lot at a
time.

Command: caps, announce, withdraw, get, dump, set, dummy, echo, rule-add, rule-del, rule-flush,
rule-get, totals, or a number. Attributes by the name
that the uapi header gives them, in lower case with dashes (tx-subspaces), or by
number. Values: a number, an address, ID:HIGHEST of a subspace, nothing for a flag, or
hex:OCTETS for exactly these octets.

One line per request: "ok", then what was answered as NAME=VALUE (of several
answers, as to dump, each behind a ";"), or the errno's name and the kernel's
text. Without batch the exit status is 1 for the latter.
"""

import contextlib
import errno
import ipaddress
import itertools
import os
import pathlib
import re
import socket
import struct
import sys

NETLINK_GENERIC, GENL_ID_CTRL, CTRL_GETFAMILY = 16, 16, 3
NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP = 1, 4, 0x300
NLM_F_CAPPED, NLM_F_ACK_TLVS = 0x100, 0x200
NLMSG_ERROR, NLMSG_DONE, NLM_F_MULTI, NLMSGERR_ATTR_MSG = 2, 3, 2, 1
SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, NETLINK_CAP_ACK, NETLINK_EXT_ACK = 270, 1, 10, 11
CLONE_NEWNET = 0x40000000
MANY = 64  # requests at once

COMMANDS = {"caps": 1, "announce": 2, "withdraw": 3, "get": 4, "dump": 4,
            "set": 5, "dummy": 6, "rule-add": 12, "rule-del": 13, "rule-flush": 14,
            "rule-get": 15, "totals": 18, "echo": 19}
HEADER = pathlib.Path(__file__).resolve().parents[3] / "include/uapi/linux/xfrm_ext.h"


def names(enum, prefix):
    """Numbers and names of an enum of the uapi header."""
    body = re.search(rf"enum {enum} {{(.*?)}};", HEADER.read_text(), re.S).group(1)
    body = re.sub(r"/\*.*?\*/", "", body, flags=re.S)
    words = (word.strip().removeprefix(prefix) for word in body.split(","))
    return dict(enumerate(word.lower().replace("_", "-") for word in words))


@contextlib.contextmanager
def namespace(name):
    """Sockets that are opened within are another namespace's: of that name, or file."""
    import ctypes  # most do not need it, and it takes its time

    libc = ctypes.CDLL(None, use_errno=True)
    with open("/proc/self/ns/net") as here, open(os.path.join("/run/netns", name)) as there:
        if libc.setns(there.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), name)
        try:
            yield
        finally:
            libc.setns(here.fileno(), CLONE_NEWNET)


class Refused(Exception):
    """The kernel's answer is an error."""

    def __init__(self, number, text=""):
        super().__init__(f"{errno.errorcode.get(number, number)} {text}".rstrip())


def attr(kind, data):
    return struct.pack("=HH", len(data) + 4, kind) + data + b"\0" * (-len(data) % 4)


def attrs(data):
    """(kind, octets) of every attribute."""
    while len(data) >= 4:
        length, kind = struct.unpack_from("=HH", data)
        yield kind & 0x3FFF, data[4:length]
        data = data[(length + 3) & ~3 :]


class Netlink:
    """A netlink socket with full error texts."""

    def __init__(self, protocol):
        self.sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol)
        self.sock.setsockopt(SOL_NETLINK, NETLINK_EXT_ACK, 1)
        self.sock.setsockopt(SOL_NETLINK, NETLINK_CAP_ACK, 1)
        self.sock.bind((0, 0))
        self.seq = 0

    def send(self, kind, bodies, flags):
        """Several are done one after the other."""
        data = b""
        for body in bodies:
            self.seq += 1
            data += struct.pack("=IHHII", len(body) + 16, kind, flags, self.seq, 0) + body
        self.sock.send(data)

    def requests(self, kind, bodies):
        """What is only acknowledged, all at once."""
        self.send(kind, bodies, NLM_F_REQUEST | NLM_F_ACK)
        for _ in bodies:
            code, = struct.unpack_from("=i", self.sock.recv(1 << 16), 16)
            if code:
                raise Refused(-code)

    def request(self, kind, body, flags=0):
        """The bodies of what is answered, without their message headers."""
        self.send(kind, [body], flags | NLM_F_REQUEST | (0 if flags & NLM_F_DUMP else NLM_F_ACK))
        answers = []
        while True:
            data = self.sock.recv(1 << 18)
            while data:
                length, kind, flags, seq, _ = struct.unpack_from("=IHHII", data)
                message, data = data[16:length], data[(length + 3) & ~3 :]
                if seq != self.seq:
                    continue
                if kind not in (NLMSG_ERROR, NLMSG_DONE):
                    answers.append(message)
                    continue
                (code,) = struct.unpack_from("=i", message)
                if not code:
                    return answers
                text, at = "", 4 if kind == NLMSG_DONE else 20
                if flags & NLM_F_ACK_TLVS:
                    for number, value in attrs(message[at:]):
                        if number == NLMSGERR_ATTR_MSG:
                            text = value.rstrip(b"\0").decode()
                raise Refused(-code, text)


def enum(name):
    """The constants of an enum of the uapi header, by number."""
    body = re.search(rf"enum {name} {{(.*?)}};", HEADER.read_text(), re.S).group(1)
    body = re.sub(r"/\*.*?\*/", "", body, flags=re.S)
    prefix = "XFRM_EXT_A_"
    return dict(
        enumerate(
            word.strip().removeprefix(prefix).lower().replace("_", "-")
            for word in body.split(",")
        )
    )


NAMES = enum("xfrm_ext_attr")
STATS = names("xfrm_ext_stat", "XFRM_EXT_STAT_")
NUMBERS = {name: number for number, name in NAMES.items()}


class Family:
    """The family xfrm_ext."""

    def __init__(self):
        self.netlink = Netlink(NETLINK_GENERIC)
        body = struct.pack("=BBH", CTRL_GETFAMILY, 1, 0) + attr(2, b"xfrm_ext\0")
        (answer,) = self.netlink.request(GENL_ID_CTRL, body)
        about = dict(attrs(answer[4:]))
        (self.id,) = struct.unpack("=H", about[1])
        groups = (dict(attrs(group)) for _, group in attrs(about[7]))
        self.groups = {group[1].rstrip(b"\0").decode(): struct.unpack("=I", group[2])[0]
                       for group in groups}

    def join(self, group):
        try:
            self.netlink.sock.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, self.groups[group])
        except OSError as e:
            raise Refused(e.errno) from e

    def message(self, words):
        """The body of a request."""
        command, *rest = words
        number = COMMANDS[command] if command in COMMANDS else int(command, 0)
        body = struct.pack("=BBH", number, 1, 0)
        for word in rest:
            name, value = word.split("=", 1)
            kind = NUMBERS[name] if name in NUMBERS else int(name, 0)
            if name in ("tx-subspace", "rx-subspace"):
                kind |= 0x8000
            body += attr(kind, encode(name, value))
        return body

    def request(self, words):
        """One request; its answers, each a dictionary by attribute name."""
        flags = NLM_F_DUMP if words[0] in ("dump", "rule-get") else 0
        for answer in self.netlink.request(self.id, self.message(words), flags):
            yield {NAMES.get(kind, str(kind)): decode(kind, data)
                   for kind, data in attrs(answer[4:])}

    def many(self, count, words):
        """One request after the other, with growing SPI, nothing answered."""
        (at,) = (i for i, word in enumerate(words) if word.startswith("spi="))
        first = int(words[at].removeprefix("spi="), 0)
        bodies = (self.message([*words[:at], f"spi={first + n}", *words[at + 1:]])
                  for n in range(count))
        while some := list(itertools.islice(bodies, MANY)):
            self.netlink.requests(self.id, some)


def encode(name, value):
    if value.startswith("hex:"):
        return bytes.fromhex(value[4:])
    if name in ("daddr", "rule-src", "rule-dst"):
        return ipaddress.ip_address(value).packed
    if name in ("tx-subspace", "rx-subspace"):
        subspace, *highest = (int(n, 0) for n in value.split(":"))
        return attr(2, struct.pack("=I", subspace)) + b"".join(
            attr(3, struct.pack("=Q", n)) for n in highest)
    if not value:
        return b""
    number = int(value, 0)
    if name in ("spi", "echo-reply-spi"):
        return struct.pack("!I", number)
    if name in ("tx-start", "tx-warn", "memory-max", "gap"):
        return struct.pack("=Q", number)
    return struct.pack("=H" if name in ("family", "echo-id", "echo-seq") else "=I", number)


def decode(kind, data):
    name = NAMES.get(kind)
    if name in ("daddr", "rule-src", "rule-dst"):
        return str(ipaddress.ip_address(data))
    if name in ("reason", "cap-algorithm"):
        return data.rstrip(b"\0").decode()
    if name == "spi":
        return f"0x{data.hex()}"
    if name == "stats":  # those that are not 0
        stats = {STATS[kind]: int.from_bytes(value, sys.byteorder) for kind, value in attrs(data)
                 if STATS[kind] != "pad"}
        return ",".join(f"{stat}:{value}" for stat, value in stats.items() if value)
    if len(data) in (2, 4, 8) and name != "echo-data":
        return int.from_bytes(data, sys.byteorder)
    return f"hex:{data.hex()}"


def answer(family, words):
    if words == ["join"]:
        family.join("events")
        return "ok"
    if words[0] == "many":
        family.many(int(words[1], 0), words[2:])
        return "ok"
    lines = [" ".join(f"{k}={v}" for k, v in a.items() if not str(v).startswith("hex:"))
             for a in family.request(words)]
    return " ".join(["ok", " ; ".join(lines)]).rstrip()


def listen(family, group):
    family.join(group)
    print("listening", flush=True)
    while True:
        data = family.netlink.sock.recv(1 << 16)
        while data:
            length, = struct.unpack_from("=I", data)
            said = {NAMES.get(kind, str(kind)): decode(kind, value)
                    for kind, value in attrs(data[20:length])}
            print(data[16], *(f"{k}={v}" for k, v in said.items()), flush=True)
            data = data[(length + 3) & ~3 :]


def main():
    family = Family()
    if sys.argv[1] == "listen":
        listen(family, sys.argv[2])
    if sys.argv[1:] != ["batch"]:
        try:
            print(answer(family, sys.argv[1:]))
        except Refused as e:
            sys.exit(str(e))
        return
    for line in sys.stdin:
        try:
            print(answer(family, line.split()), flush=True)
        except Refused as e:
            print(e, flush=True)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main()
