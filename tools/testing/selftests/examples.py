#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""What xfrm-ext's JSON says, in the lines of Documentation/netlink/examples, for examples.sh.

    examples.py caps|show <JSON
    examples.py cli <JSON           of ynl's own program
"""

import json
import sys


def caps(found):
    for name in found["cap-formats"]:
        print("format", name)
    for name in found["cap-algorithm"]:
        print("algorithm", name)
    print("window-max", found["cap-window-max"])


def show(sas):
    for sa in sas:
        ext = sa["ext"]
        name = f"{sa['dst']} 0x{sa['spi']:08x}"
        stats = ext["stats"]
        print(f"sa {name} format {ext['format']} state {ext['state']}",
              f"tx-packets {stats['tx-packets']} rx-packets {stats['rx-packets']}")
        for way in "tx", "rx":
            for sub in ext.get(f"{way}-subspace", []):
                print(f"subspace {name} {way} {sub['id']} highest {sub['highest']}")


def cli(sas):
    for sa in sorted(sas, key=lambda sa: sa["spi"]):
        (sub,) = sa.get("tx-subspace", []) + sa.get("rx-subspace", [])
        print(sa["spi"], sa["format"], sa["state"], sub["highest"])


{"caps": caps, "show": show, "cli": cli}[sys.argv[1]](json.load(sys.stdin))
