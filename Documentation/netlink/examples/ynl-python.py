# SPDX-License-Identifier: GPL-2.0-only
"""Extended SAs, by ynl's Python library and the specification: what ynl-c.c does in C.

    PYTHONPATH=LINUX/tools/net/ynl python3 ynl-python.py [--spec FILE] COMMAND

    caps                        what module and kernel can do
    announce DST SPI NUMBER     the SA of this name shall send in NUMBER subspaces
    withdraw DST SPI            or not
    show                        what extended SAs there are
    rule-flush                  take all rules away
    events NUMBER               wait for that many

Needs python3-yaml. The module must be loaded: this library does not ask for the family by its name, which would load it.
"""

import argparse
import ipaddress
import pathlib
import sys

from pyynl.lib import NlError, YnlException, YnlFamily

SPEC = pathlib.Path(__file__).resolve().parent.parent / "specs/xfrm_ext.yaml"


def identity(dst, spi):
    """What names an SA, but for its mark."""
    daddr = ipaddress.ip_address(dst)
    return {
        "family": 2 if daddr.version == 4 else 10,
        "daddr": daddr.packed,
        "spi": int(spi, 0),
    }


def named(sa):
    """The other way round, to be printed."""
    return f"{ipaddress.ip_address(sa['daddr'])} 0x{sa['spi']:08x}"


def caps(ynl):
    """Sets of values are sets of names here."""
    found = ynl.do("caps", {})
    for name in found["cap-formats"]:
        print("format", name)
    for name in found["cap-algorithm"]:
        print("algorithm", name)
    print("window-max", found["cap-window-max"])


def announce(ynl, dst, spi, number):
    """Attributes have the names, and enums the words, of the specification."""
    ynl.do("announce", identity(dst, spi) | {"format": "esp64", "tx-subspaces": int(number, 0)})


def withdraw(ynl, dst, spi):
    """Take the announcement back."""
    ynl.do("withdraw", identity(dst, spi))


def show(ynl):
    """An SA of many subspaces comes in several messages: the first has all the rest."""
    for sa in ynl.dump("get", {}):
        if "state" in sa:
            stats = sa["stats"]
            print("sa", named(sa), "format", sa["format"], "state", sa["state"],
                  "tx-packets", stats["tx-packets"], "rx-packets", stats["rx-packets"])
        for way in ("tx", "rx"):
            for subspace in sa.get(f"{way}-subspace", []):
                print("subspace", named(sa), way, subspace["id"], "highest", subspace["highest"])


def rule_flush(ynl):
    """Take all rules away."""
    ynl.do("rule-flush", {})


def events(ynl, number):
    """Those that the specification calls events; the library says so of others, and goes on."""
    ynl.ntf_subscribe("events")
    left = int(number, 0)
    for event in ynl.poll_ntf():
        line = ["event", event["name"]]
        if event["name"] == "first-use":
            sa = event["msg"]
            way = "tx" if "tx-subspace" in sa else "rx"
            line += [named(sa), way, str(sa[f"{way}-subspace"][0]["id"])]
        print(*line, flush=True)
        left -= 1
        if not left:
            break


COMMANDS = {
    "caps": caps,
    "announce": announce,
    "withdraw": withdraw,
    "show": show,
    "rule-flush": rule_flush,
    "events": events,
}


def main():
    """Do what is asked for; what the module says to it is what the user reads."""
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--spec", default=SPEC)
    p.add_argument("command", choices=COMMANDS)
    p.add_argument("word", nargs="*")
    args = p.parse_args()
    try:
        # Without a schema, which is for whoever writes a specification; and an attribute that
        # a newer module tells is no error
        with YnlFamily(str(args.spec), schema="", process_unknown=True) as ynl:
            COMMANDS[args.command](ynl, *args.word)
    except (NlError, YnlException) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
