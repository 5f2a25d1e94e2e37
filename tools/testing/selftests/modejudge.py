# SPDX-License-Identifier: GPL-2.0-only
"""What the reference says of the packets that modes.py has seen."""

import contextlib
import io
import json
import pathlib
import sys
import tempfile

# Before this folder, which has an eesp.py, too
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "reference"))

# pylint: disable=wrong-import-position
import check_capture
import eesp_capture
import pcap


class Wrong(Exception):
    """What the reference finds."""


def judge(sas, captures):
    """Words of SAs, all of one format or all of the others; a list of packets for each machine that
    has sent some. Nothing else may be among them, and no number may be missing."""
    eesp = sas[0].get("format") == "eesp"
    with tempfile.TemporaryDirectory() as directory:
        args = ["judge", "--unordered", "--only"] + ["--complete"] * eesp
        for n, words in enumerate(sas):
            if eesp:
                words = {name: value for name, value in words.items() if name != "format"}
            args += ["--sa", f"{directory}/{n}.json"]
            pathlib.Path(args[-1]).write_text(json.dumps(words), encoding="ascii")
        for n, packets in enumerate(captures):
            pcap.write(f"{directory}/{n}.pcap", packets)
            args.append(f"{directory}/{n}.pcap")
        out, argv = io.StringIO(), sys.argv
        try:
            sys.argv = args
            with contextlib.redirect_stdout(out):
                verdict = (eesp_capture if eesp else check_capture).main()
        finally:
            sys.argv = argv
    if verdict:
        raise Wrong(out.getvalue())
    for line in out.getvalue().splitlines():
        if line.startswith("# spi"):
            print(line)
