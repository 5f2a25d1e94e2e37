#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Report what the guests of the bench have measured.

usage: report.py DIR

Reads DIR/*.results: lines "= key=value ..." of datapath.sh, forward.sh and sabytes.sh.
Prints tables, and behind them a line "name value" for each figure; writes the same to
DIR/report.json, and what there is to see to DIR/*.svg. Documentation/bench.rst says what
the names mean.
"""

import json
import pathlib
import statistics
import sys
from collections import defaultdict

import plot

VARIANTS = ("clear", "stock", "esp", "esp64")
ALGS = ("aes128", "aes256", "chacha", "cheap")
SIZES = ("64", "576", "1420", "9000", "gso")
WAYS = ("tx", "rx")
# The suffix of a figure's name says where it is from, if not from the first of these
INSN = {"6.1-cloud": "", "7.3-bench": ".7.3"}
PPS = {"7.3-uml": "", "6.1-cloud": ".tcg"}
FLOODS = ("spi", "icv", "id", "replay")
STEER = {"7.3-uml-bench": "", "6.1-cloud": ".tcg"}


class Bench:
    """All results, by what they are of; each the list of its rounds."""

    def __init__(self, directory):
        self.cells = defaultdict(list)
        for path in sorted(directory.glob("*.results")):
            for line in path.read_text(encoding="utf-8").splitlines():
                r = dict(word.split("=", 1) for word in line.split()[1:])
                key = tuple(r[k] for k in ("kernel", "meter", "dir", "variant", "alg", "len", "cpus"))
                self.cells[key].append(r)

    def rounds(self, *key, what="value"):
        """A value of each round; none if it was not measured."""
        return [float(r[what]) for r in self.cells.get(tuple(map(str, key)), ())]

    def get(self, *key, what="value"):
        """The median of all rounds, or None."""
        values = self.rounds(*key, what=what)
        return statistics.median(values) if values else None

    def insn(self, kernel, way, variant, alg="aes128", size="64"):
        """Instructions per packet; clear ones have no algorithm."""
        if variant == "clear":
            alg = "cheap" if alg == "cheap" else "aes128"
            other = self.get(kernel, "insn", way, variant, "aes128", size, 1)
            return self.get(kernel, "insn", way, variant, alg, size, 1) or other
        return self.get(kernel, "insn", way, variant, alg, size, 1)

    def over_clear(self, kernel, way, variant, alg="aes128", size="64"):
        """What ESP adds."""
        both = [self.insn(kernel, way, v, alg, size) for v in (variant, "clear")]
        return None if None in both else both[0] - both[1]

    def ratio(self, kernel, way, variant="esp64", alg="aes128", size="64"):
        """That of ours by that of stock ESP."""
        both = [self.over_clear(kernel, way, v, alg, size) for v in (variant, "stock")]
        return None if None in both or not both[1] else both[0] / both[1]

    def flowtable_ratio(self, kernel, way):
        """The same of gateways under a flowtable, over clear packets under one."""
        clear, stock, ours = (self.insn(kernel, way, f"{v}-flowtable")
                              for v in ("clear", "stock", "esp64"))
        return None if None in (clear, stock, ours) else (ours - clear) / (stock - clear)

    def offload_ratio(self, kernel, way, more):
        """That of gateways with esp4_offload; stock at its best."""
        clear, ours = self.insn(kernel, way, "clear" + more), \
            self.insn(kernel, way, f"esp64{more}-offload")
        stock = [self.insn(kernel, way, f"stock{more}{offload}") for offload in ("", "-offload")]
        return (ours - clear) / (min(stock) - clear) if all([clear, ours] + stock) else None

    def gro_ratio(self, kernel, way, size):
        """The same of what comes by GRO, with esp4_offload; stock at its best."""
        clear = self.insn(kernel, "rx", f"clear-{way}", size=size) or \
            self.insn(kernel, "rx", f"clear-{way}-offload", size=size)
        stock = [self.insn(kernel, "rx", f"stock-{way}{more}", size=size)
                 for more in ("", "-offload")]
        stock = min((value for value in stock if value), default=None)
        ours = self.insn(kernel, "rx", f"esp64-{way}-offload", size=size)
        return None if None in (clear, stock, ours) else (ours - clear) / (stock - clear)

    def tcp_ratio(self, kernel):
        """What ESP adds to an octet of TCP, with esp4_offload; stock at its best."""
        clear, stock, ours = ([x for x in (self.get(kernel, "insn", "tcp", v + more, "aes128", 0, 1)
                                           for more in ("", "-offload")) if x]
                              for v in ("clear", "stock", "esp64"))
        return (ours[-1] - clear[-1]) / (min(stock) - clear[-1]) if clear and stock and ours else None

    def steer_scale(self, kernel, size):
        """What two CPUs could do, of what one does without steering: the first one receives and
        steers all packets, and carries half of them."""
        queue, steered, steering = (self.insn(kernel, "rx", f"esp64-{v}", size=size)
                                    for v in ("queue", "steered", "steering"))
        if None in (queue, steered, steering):
            return None
        return queue / (steering + (steered - steering) / 2)

    def again_ratio(self, kernel):
        """Segments of local TCP sent again, by our path and by the kernel's, of one SA; there
        may be none."""
        own, other = (self.rounds(kernel, "insn", "retrans", path, "aes128", 0, 1)
                      for path in ("own", "kernel"))
        return (sum(own) + 1) / (sum(other) + 1) if own and other else None

    def gro_plain(self, kernel):
        """Plain ESP that comes by GRO, beside an extended SA, by that without the module."""
        both = [self.insn(kernel, "rx", f"stock-gro-offload{more}") for more in ("-beside", "")]
        return both[0] / both[1] if all(both) else None

    def flood(self, kernel, kind, variant):
        """Instructions per packet of a flood."""
        return self.insn(kernel, f"flood-{kind}", variant)

    def flood_ratio(self, kernel, kind, variant):
        """Ours by that of stock ESP; of what stock ESP has not, by a wrong ICV."""
        both = [self.flood(kernel, kind, variant),
                self.flood(kernel, "icv" if kind == "options" else kind, "stock")]
        return both[0] / both[1] if all(both) else None

    def flood_share(self, kernel, kind, variant):
        """Of a receiver that is never idle, under as many packets of a flood as others: how many
        of the others it does, by how many with stock ESP."""
        costs = [(self.insn(kernel, "rx", v),
                  self.flood(kernel, "icv" if (v, kind) == ("stock", "options") else kind, v))
                 for v in ("stock", variant)]
        return sum(costs[0]) / sum(costs[1]) if all(map(all, costs)) else None

    def flood_share_worst(self, kernel, *variants):
        """Of all floods."""
        shares = [self.flood_share(kernel, kind, v) for v in variants
                  for kind in FLOODS + ("options",) * (v == "eesp")]
        return None if None in shares else min(shares)

    def scales(self, kernel, way, variant, alg="aes128", size="64"):
        """All CPUs over one, round by round."""
        for key, rounds in self.cells.items():
            if key[:6] == (kernel, "pps", way, variant, alg, size) and key[6] != "1":
                return [float(r["value"]) / float(r["alone"]) for r in rounds]
        return []

    def pps_cpus(self, kernel):
        """How many CPUs there were."""
        return max((int(k[6]) for k in self.cells if k[0] == kernel and k[1] == "pps"), default=1)


def paired(ours, stock):
    """Median of the rounds' ratios; both are of the same rounds."""
    return statistics.median(a / b for a, b in zip(ours, stock)) if ours and stock else None


def figures(b):
    """Names and values, those that there are."""
    out = {}
    for kernel, suffix in INSN.items():
        for way in WAYS:
            out[f"{way}.insn.ratio{suffix}"] = b.ratio(kernel, way)
            out[f"{way}.esp.insn.ratio{suffix}"] = b.ratio(kernel, way, "esp")
            out[f"{way}.eesp.insn.ratio{suffix}"] = b.ratio(kernel, way, "eesp")
            out[f"{way}.cheap.insn.ratio{suffix}"] = b.ratio(kernel, way, alg="cheap")
        out[f"fwd.insn.ratio{suffix}"] = b.ratio(kernel, "out")
        out[f"fwd.in.insn.ratio{suffix}"] = b.ratio(kernel, "in")
        out[f"fwd.ft.insn.ratio{suffix}"] = b.flowtable_ratio(kernel, "out")
        out[f"fwd.ft.in.insn.ratio{suffix}"] = b.flowtable_ratio(kernel, "in")
        for way, name in (("out", ""), ("in", ".in")):
            out[f"fwd{name}.offload.insn.ratio{suffix}"] = b.offload_ratio(kernel, way, "")
            out[f"fwd.ft{name}.offload.insn.ratio{suffix}"] = \
                b.offload_ratio(kernel, way, "-flowtable")
        out[f"rx.gro.insn.ratio{suffix}"] = b.gro_ratio(kernel, "gro", "64")
        out[f"rx.gro.pages.insn.ratio{suffix}"] = b.gro_ratio(kernel, "pages", "1420")
        for kind in FLOODS:
            out[f"flood.{kind}.insn.ratio{suffix}"] = b.flood_ratio(kernel, kind, "esp64")
            for variant in ("esp", "eesp"):
                out[f"flood.{variant}.{kind}.insn.ratio{suffix}"] = \
                    b.flood_ratio(kernel, kind, variant)
        out[f"flood.eesp.options.insn.ratio{suffix}"] = b.flood_ratio(kernel, "options", "eesp")
        out[f"flood.share.ratio{suffix}"] = b.flood_share_worst(kernel, "esp64", "esp")
        out[f"flood.eesp.share.ratio{suffix}"] = b.flood_share_worst(kernel, "eesp")
        out[f"plain.gro.insn.ratio{suffix}"] = b.gro_plain(kernel)
        out[f"cipher.insn{suffix}"] = b.insn(kernel, "tx", "cipher", "gcm(aes)")
        for name, variant in (("plain", "stock"), ("clear", "clear")):
            for more, word in (("loaded", ""), ("beside", ".beside")):
                pairs = [(b.insn(kernel, way, f"{variant}-{more}"), b.insn(kernel, way, variant))
                         for way in WAYS]
                if all(all(pair) for pair in pairs):
                    out[f"{name}{word}.insn.ratio{suffix}"] = max(x / y for x, y in pairs)
    for kernel, suffix in PPS.items():
        out[f"fwd.pps.ratio{suffix}"] = paired(*(
            b.rounds(kernel, "pps", "fwd", v, "aes128", 64, 1) for v in ("esp64", "stock")))
        for way in WAYS:
            for name, variant in (("ext", "esp64"), ("stock", "stock"), ("clear", "clear")):
                scales = b.scales(kernel, way, variant)
                out[f"{way}.scale.{name}{suffix}"] = statistics.median(scales) if scales else None
    for kernel, suffix in INSN.items():
        out[f"tcp.insn.ratio{suffix}"] = b.tcp_ratio(kernel)
        out[f"tcp.retrans.ratio{suffix}"] = b.again_ratio(kernel)
    for size, more in (("64", ""), ("1420", ".1420")):
        out[f"rx.steer.insn.scale{more}"] = b.steer_scale("6.1-cloud", size)
    for kernel, suffix in STEER.items():
        for size, more in (("64", ""), ("1420", ".1420")):
            out[f"rx.steer.scale{more}{suffix}"] = paired(*(
                b.rounds(kernel, "pps", "rx", f"esp64-{v}", "aes128", size, 2)
                for v in ("steered", "queue")))
    sa = {v: b.get("6.1-cloud", "octets", "rx", v, "aes128", 0, 2)
          for v in ("idle", "windows", "transform", "plain")}
    if None not in sa.values():
        out["sa.bytes"] = sa["idle"] + sa["windows"] - sa["transform"]
        out["sa.more.bytes"] = sa["idle"] + sa["windows"] - sa["plain"]
    return {name: round(value, 4) for name, value in out.items() if value is not None}


def cell(value, form):
    """Right-aligned, or a dash."""
    return f"{'-':>10}" if value is None else f"{value:>10{form}}"


def insn_table(b, kernel):
    """Instructions per packet, and what ours adds by what stock ESP adds."""
    rows = []
    for way in WAYS:
        for alg in ALGS:
            for size in SIZES:
                values = [b.insn(kernel, way, v, alg, size) for v in VARIANTS]
                if values[1] is None:
                    continue
                rows.append(f"{way:4}{alg:8}{size:>6}" +
                            "".join(cell(v, ".0f") for v in values) +
                            "".join(cell(b.ratio(kernel, way, v, alg, size), ".3f")
                                    for v in VARIANTS[2:]))
    for way, size in (("gro", "64"), ("gro", "1420"), ("pages", "1420")):
        values = [(v, b.insn(kernel, "rx", v.replace("-", f"-{way}-", 1).rstrip("-"), size=size))
                  for v in ("clear-", "clear-offload", "stock-", "stock-offload", "esp64-",
                            "esp64-offload", "stock-offload-beside")]
        if any(value for _, value in values):
            rows.append(f"rx by {way}, {size}: " + ", ".join(
                f"{v.rstrip('-')} {value:.0f}" for v, value in values if value))
    head = f"{'':18}" + "".join(f"{v:>10}" for v in VARIANTS) + "  esp ratio     esp64"
    for way, what in (("out", "encrypting"), ("in", "decrypting")):
        variants = [v + more for more in ("", "-flowtable", "-offload", "-flowtable-offload")
                    for v in ("clear", "stock", "esp64")]
        variants = [v for v in variants if b.insn(kernel, way, v)]
        values = [b.insn(kernel, way, v) for v in variants]
        if values:
            rows.append(f"{what} gateway: " + ", ".join(
                f"{v} {value:.0f}" for v, value in zip(variants, values)))
    for kind in FLOODS + ("options",):
        values = [(v, b.flood(kernel, kind, v)) for v in ("stock", "esp64", "esp", "eesp")]
        if any(value for _, value in values):
            rows.append(f"flood of {kind}: " + ", ".join(
                f"{v} {value:.0f}" for v, value in values if value))
    for way, what in (("tcp", "instructions for 1,000 octets"), ("retrans", "segments sent again")):
        values = [(k[3], b.get(*k)) for k in b.cells if k[:3] == (kernel, "insn", way)]
        if values:
            rows.append(f"TCP, {what}: " + ", ".join(f"{v} {value:.0f}" for v, value in values))
    for size in SIZES:
        values = [(v, b.insn(kernel, "rx", f"esp64-{v}", size=size))
                  for v in ("queue", "steered", "steering")]
        if any(value for _, value in values):
            rows.append(f"rx by one queue, {size}: " + ", ".join(
                f"{v} {value:.0f}" for v, value in values if value))
    for way in WAYS:
        for name in ("gcm(aes)", "rfc4106(gcm(aes))"):
            values = [b.get(kernel, "insn", way, "cipher", name, size, 1) for size in SIZES[:4]]
            if values[0] is not None:
                rows.append(f"{way:4}{name}, " + ", ".join(
                    f"{size}: {value:.0f}" for size, value in zip(SIZES, values) if value))
    return [f"Instructions per packet, {kernel}", head] + rows + [""] if rows else []


def pps_table(b, kernel):
    """Packets per second: one CPU, and all of them by that: median, least and most."""
    rows = []
    for way in WAYS:
        for alg in ALGS:
            for size in SIZES:
                for v in VARIANTS:
                    scales = b.scales(kernel, way, v, alg, size)
                    if not scales:
                        continue
                    key = kernel, "pps", way, v, alg, size, b.pps_cpus(kernel)
                    alone = b.rounds(*key, what="alone")
                    lost = 1 - sum(b.rounds(*key, what="arrived")) / sum(b.rounds(*key, what="packets"))
                    rows.append(f"{way:4}{alg:8}{size:>6} {v:6}{statistics.median(alone):>10.0f}"
                                f" ({min(alone):.0f}-{max(alone):.0f})".ljust(53) +
                                f"{statistics.median(scales):.3f} ({min(scales):.2f}-{max(scales):.2f})"
                                + (f", {100 * lost:.1f} % lost" if lost > 0.0005 else ""))
    for v in VARIANTS:
        for cpus in range(1, b.pps_cpus(kernel) + 1):
            rounds = b.rounds(kernel, "pps", "fwd", v, "aes128", 64, cpus)
            if rounds:
                rows.append(f"fwd aes128      64 {v:6}{statistics.median(rounds):>10.0f}"
                            f" ({min(rounds):.0f}-{max(rounds):.0f}) on {cpus}")
    head = f"{'':25}{'one CPU':>10}{'':18}{b.pps_cpus(kernel)} CPUs over one"
    return [f"Packets per second, {kernel}", head] + rows + [""] if rows else []


def draw(b, directory):
    """Cost per size, and scaling."""
    for kernel in INSN:
        groups = [(f"{way} {size}", [b.over_clear(kernel, way, v, size=size) for v in VARIANTS[1:]])
                  for way in WAYS for size in SIZES[:4]]
        if any(v for _, values in groups for v in values):
            (directory / f"cost-{kernel}.svg").write_text(
                plot.bars(f"What ESP adds to a packet, AES-128-GCM, {kernel}", groups,
                          VARIANTS[1:], "instructions per packet over clear"), encoding="utf-8")
    for kernel in PPS:
        groups, cpus = [], b.pps_cpus(kernel)
        for way in WAYS:
            for v in VARIANTS:
                key = kernel, "pps", way, v, "aes128", "64", cpus
                values = [b.get(*key, what="alone"), b.get(*key)]
                groups.append((f"{way} {v}", [x and x / 1000 for x in values]))
        if any(v for _, values in groups for v in values):
            (directory / f"scale-{kernel}.svg").write_text(
                plot.bars(f"One SA on 1 and {cpus} CPUs, AES-128-GCM, 64 octets, {kernel}", groups,
                          ("1 CPU", f"{cpus} CPUs"), "thousand packets per second"),
                encoding="utf-8")


def main():
    directory = pathlib.Path(sys.argv[1])
    b = Bench(directory)
    for kernel in INSN:
        print("".join(line + "\n" for line in insn_table(b, kernel)), end="")
    for kernel in PPS:
        print("".join(line + "\n" for line in pps_table(b, kernel)), end="")
    values = figures(b)
    for name, value in values.items():
        print(name, f"{value:g}" if value < 1000 else f"{value:.0f}")
    cells = [{"of": dict(zip(("kernel", "meter", "dir", "variant", "alg", "len", "cpus"), key)),
              "rounds": [{k: float(r[k]) for k in ("value", "alone", "packets", "arrived") if k in r}
                         for r in rounds]} for key, rounds in b.cells.items()]
    (directory / "report.json").write_text(
        json.dumps({"figures": values, "cells": cells}, indent=1) + "\n", encoding="utf-8")
    draw(b, directory)


if __name__ == "__main__":
    main()
