#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""What xfrm-ext and "ip -j" print, for tool.sh.

    tool.py made|listed|plain|got|rules|events <OUTPUT
    tool.py metrics tx=N,rx=N,sas=N <OUTPUT
    tool.py terminal
"""

import json
import os
import pty
import re
import select
import signal
import sys


def fail(text):
    sys.exit(f"tool.py: {text}")


def want(what, got, wanted):
    if got != wanted:
        fail(f"{what}: got {got!r}, want {wanted!r}")


def has(what, got, wanted):
    """Got has what is wanted, and may have more."""
    for key, value in wanted.items():
        if isinstance(value, dict):
            has(f"{what}.{key}", got.get(key, {}), value)
        else:
            want(f"{what}.{key}", got.get(key), value)


GCM = {"name": "rfc4106(gcm(aes))", "key-len": 160, "icv-len": 128}


def made(text):
    """An SA with nearly all words that there are."""
    (sa,) = json.loads(text)
    has(
        "sa",
        sa,
        {
            "src": "10.0.0.1",
            "dst": "10.0.0.9",
            "proto": "esp",
            "spi": 0x300,
            "reqid": 7,
            "mode": "beet",
            "mark": 5,
            "mark-mask": 0xFF,
            "if_id": 9,
            "aead": GCM,
            "encap": {"type": "espinudp", "sport": 4500, "dport": 4501},
            "output-mark": 3,
            "extra-flag": ["dont-encap-dscp"],
            "sel": {"src": "10.1.0.1/32", "dst": "10.2.0.1/32"},
            "ext": {
                "family": "inet",
                "daddr": "10.0.0.9",
                "spi": 0x300,
                "mark": 5,
                "mark-mask": 0xFF,
                "format": "esp64",
                "trailer": "end",
                "iv": "explicit",
                "tx-subspaces": 2,
                "select": "cpu",
                "state": "ready",
            },
        },
    )
    for key in ("stats", "tx-subspace", "memory"):
        if key in sa["ext"]:
            fail(f"{key} without -s")


def listed(text):
    """Two SAs, after ten packets either way."""
    sas = {sa["spi"]: sa for sa in json.loads(text)}
    want("SPIs", sorted(sas), [0x100, 0x200])
    for spi, way, other in (0x100, "tx", "rx"), (0x200, "rx", "tx"):
        ext = sas[spi]["ext"]
        stats = ext["stats"]
        want(f"{way}-packets", stats[f"{way}-packets"], 10)
        # An echo request of 56 octets
        want(f"{way}-bytes", stats[f"{way}-bytes"], 840)
        want("counters", sum(stats.values()), 850)
        want("sub", [s["id"] for s in ext[f"{way}-subspace"]], [0])
        want("highest", ext[f"{way}-subspace"][0]["highest"], 10)
        if f"{other}-subspace" in ext or f"{other}-subspaces" in ext:
            fail("both ways")
        want("lifetime", sas[spi]["lifetime"]["packets"], 10)
    want("aead", sas[0x100]["aead"], GCM)
    want("flag", sas[0x100]["flag"], ["af-unspec"])
    receive = sas[0x200]["ext"]
    want(
        "receive subspace",
        receive["rx-subspace"],
        [{"id": 0, "highest": 10, "packets": 10, "replays": 0, "too-old": 0, "backtrack": 0}],
    )
    want("window", receive["window"], 1024)


def plain(text):
    """Three, one of them not extended, without -s."""
    sas = {sa["spi"]: sa for sa in json.loads(text)}
    want("SPIs", sorted(sas), [0x100, 0x200, 0x999])
    want("extended", sorted(spi for spi in sas if "ext" in sas[spi]), [0x100, 0x200])
    if any("lifetime" in sa or "stats" in sa.get("ext", {}) for sa in sas.values()):
        fail("counters without -s")


def got(text):
    """One that is not extended."""
    (sa,) = json.loads(text)
    has("sa", sa, {"src": "10.0.0.1", "dst": "10.0.0.2", "spi": 0x999, "mode": "transport"})
    want("extended", "ext" in sa, False)


COUNTS = {"rule-hits": 0, "rule-refused": 0, "rule-plain": 0}


def rules(text):
    """The three of the test."""
    plain_rule, esp, esp64 = json.loads(text)
    want(
        "plain",
        plain_rule,
        {
            "rule-pref": 5,
            "rule-if-id": 42,
            "mark": 5,
            "mark-mask": 255,
            "rule-flags": ["plain"],
            **COUNTS,
        },
    )
    has(
        "esp",
        esp,
        {
            "rule-pref": 10,
            "rule-reqid": 7,
            "rule-src": "10.0.0.0",
            "rule-src-len": 8,
            "rule-dst": "10.1.0.0",
            "rule-dst-len": 16,
            "rule-flags": ["or-plain"],
            "format": "esp",
            "window": 4096,
            **COUNTS,
        },
    )
    has(
        "esp64",
        esp64,
        {
            "rule-pref": 20,
            "family": "inet6",
            "format": "esp64",
            "select": "flow",
            "tx-subspaces": 8,
            "rx-subspaces": 4,
            **COUNTS,
        },
    )


def events(text):
    """A line each."""
    heard = [json.loads(line) for line in text.splitlines()]
    want(
        "events",
        [event["event"] for event in heard],
        ["first-use", "first-use", "rule-add", "rule-del"],
    )
    has(
        "first",
        heard[0],
        {"family": "inet", "daddr": "10.0.0.2", "spi": 0x100},
    )
    want("subspace", heard[0]["tx-subspace"], [{"id": 0, "highest": 1}])
    want("subspace", heard[1]["rx-subspace"][0]["id"], 0)
    has("rule", heard[2], {"rule-pref": 9, "format": "esp"})
    want("rule", heard[3]["rule-pref"], 9)


SAMPLE = re.compile(r"^([a-z_:][a-z0-9_:]*)(?:\{(.*)\})? (\S+)$")
LABEL = re.compile(r'([a-z_][a-z0-9_]*)="((?:[^"\\]|\\.)*)"(?:,|$)')


def exposition(text):
    """{(name, labels): value}; the rules of Prometheus' text format are checked."""
    samples, types, helps, last = {}, {}, set(), None
    for line in text.splitlines():
        if line.startswith("# HELP "):
            helps.add(line.split()[2])
            continue
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split()
            if name in types or kind not in ("counter", "gauge"):
                fail(f"TYPE again, or none: {line}")
            types[name] = kind
            last = name
            continue
        match = SAMPLE.match(line)
        if not match:
            fail(f"no sample: {line}")
        name, labels, value = match.groups()
        # All of a name stand together, behind what says what they are
        want("sample in its place", name, last)
        if types[name] == "counter" and not name.endswith("_total"):
            fail(f"{name}: counters end in _total")
        labels = labels or ""
        if LABEL.sub("", labels):
            fail(f"labels: {line}")
        key = (name, frozenset(LABEL.findall(labels)))
        if key in samples:
            fail(f"twice: {line}")
        samples[key] = float(value)
    want("helps", helps, set(types))
    return samples


def metrics(text, wanted):
    """Sums of reqid 1 and 2, to and from the one peer."""
    wanted = {k: int(v) for k, v in (pair.split("=") for pair in wanted.split(","))}
    samples = exposition(text)
    for _, labels in samples:
        if {name for name, _ in labels} - {"reqid", "if_id", "peer", "reason", "state", "rule", "result"}:
            fail(f"labels: {labels}")
    if re.search("spi", text, re.I):
        fail("an SPI")

    def value(name, reqid, **more):
        labels = {"reqid": reqid, "if_id": "0", "peer": "10.0.0.2", **more}
        return samples.get((f"xfrm_ext_{name}", frozenset(labels.items())))

    want("up", samples[("xfrm_ext_up", frozenset())], 1)
    want("tx packets", value("tx_packets_total", "1"), wanted["tx"])
    want("tx bytes", value("tx_bytes_total", "1"), 84 * wanted["tx"])
    want("rx packets", value("rx_packets_total", "2"), wanted["rx"])
    want("rx bytes", value("rx_bytes_total", "2"), 84 * wanted["rx"])
    for reqid in "1", "2":
        want("sas", value("sas", reqid, state="ready"), wanted["sas"])
        want("drops", value("drops_total", reqid, reason="rx-icv"), 0)
    reasons = {dict(k[1])["reason"] for k in samples if k[0] == "xfrm_ext_drops_total"}
    if not {"rx-replay", "rx-too-old", "tx-exhausted"} <= reasons or "rx-packets" in reasons:
        fail(f"reasons: {reasons}")


def terminal():
    """watch on a terminal: another screen, and back when it is interrupted."""
    pid, fd = pty.fork()
    if not pid:
        os.execlp("xfrm-ext", "xfrm-ext", "watch", "interval", "0.2")
    out = b""
    interrupted = False
    while select.select([fd], [], [], 120)[0]:
        try:
            data = os.read(fd, 4096)
        except OSError:
            break
        if not data:
            break
        out += data
        if not interrupted and out.count(b"extended SAs") >= 2:
            interrupted = True
            os.kill(pid, signal.SIGINT)
    _, status = os.waitpid(pid, 0)
    want("exit status", os.waitstatus_to_exitcode(status), 0)
    want("begins", out[:14], b"\x1b[?1049h\x1b[?25l")
    want("ends", out[-14:], b"\x1b[?25h\x1b[?1049l")
    if b"tx-subspace 0" not in out:
        fail(f"no subspace: {out}")


def main():
    what = sys.argv[1]
    if what == "terminal":
        terminal()
    else:
        globals()[what](sys.stdin.read(), *sys.argv[2:])


main()
