#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Steps of rates by TRex, for Documentation/bench-hardware.rst.

UDP out of TRex's port 0, what comes back is counted at port 1. TRex runs already, as in
`./t-rex-64 -i`; this is run with its library:

    PYTHONPATH=/opt/trex/automation/trex_control_plane/interactive ./steps.py \\
        --flows 1-12 --runs 5 --pps 0.5M --pps 1M --pps 2M --frame-size 1518 --duration 10 \\
        --csvfile ext-1518.csv

A row for each run: flows, octets of a frame with its checksum, the rate asked, packets
sent, come back, per second of these, bits per second of these, and how many of 100 were lost.
"""

import argparse
import csv
import ipaddress
import sys

FIELDS = ("flows", "frame", "rate", "run", "sent", "received", "received-pps", "received-bps",
          "lost-percent")
CHECKSUM, HEADERS = 4, 14 + 20 + 8


def rate(text):
    """Packets per second, as in 2.5M."""
    factor = {"k": 1e3, "M": 1e6}.get(text[-1:], 1)
    value = float(text[:-1] if factor > 1 else text) * factor
    if not value >= 1:
        raise argparse.ArgumentTypeError(f"{text} is no rate")
    return round(value)


def span(text):
    """1-12, or 4."""
    first, _, last = text.partition("-")
    first, last = int(first), int(last or first)
    if not 1 <= first <= last <= 250:
        raise argparse.ArgumentTypeError(f"{text} is not within 1-250")
    return range(first, last + 1)


def frame(text):
    """Octets of a frame."""
    if not 64 <= int(text) <= 9018:
        raise argparse.ArgumentTypeError(f"{text} is not within 64-9018")
    return int(text)


def arguments(words):
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--server", default="127.0.0.1", help="where TRex runs")
    parser.add_argument("--flows", type=span, default=span("1"), help="as in 1-12")
    parser.add_argument("--pps", type=rate, action="append", required=True,
                        help="of all flows together, as in 2.5M; several times")
    parser.add_argument("--frame-size", type=frame, default=1518)
    parser.add_argument("--duration", type=int, default=10, help="seconds")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--csvfile", help="standard output if not said")
    return parser.parse_args(words)


def streams(api, flows, size, pps):
    """Each from an address and a port of its own: a NIC's hash tells them apart."""
    for n in range(flows):
        packet = (api.Ether()
                  / api.IP(src=str(ipaddress.ip_address("198.18.1.1") + n),
                           dst=str(ipaddress.ip_address("198.19.1.1") + n))
                  / api.UDP(sport=1024 + n, dport=9)
                  / (b"x" * (size - CHECKSUM - HEADERS)))
        yield api.STLStream(packet=api.STLPktBuilder(pkt=packet),
                            mode=api.STLTXCont(pps=pps / flows))


def measure(api, client, args, flows, pps):
    """What was sent and came back in one run."""
    client.reset(ports=[0, 1])
    client.add_streams(list(streams(api, flows, args.frame_size, pps)), ports=[0])
    client.clear_stats()
    client.start(ports=[0], duration=args.duration)
    # The last ones are on their way for a moment
    client.wait_on_traffic(ports=[0], rx_delay_ms=500)
    stats = client.get_stats()
    return stats[0]["opackets"], stats[1]["ipackets"]


def main():
    args = arguments(sys.argv[1:])
    try:
        import trex.stl.api as api
    except ImportError:
        sys.exit("PYTHONPATH must name TRex's automation/trex_control_plane/interactive")
    client = api.STLClient(server=args.server)
    client.connect()
    out = open(args.csvfile, "w", encoding="utf-8", newline="") if args.csvfile else sys.stdout
    try:
        table = csv.writer(out)
        table.writerow(FIELDS)
        for flows in args.flows:
            for pps in args.pps:
                for run in range(1, args.runs + 1):
                    sent, got = measure(api, client, args, flows, pps)
                    per_second = got / args.duration
                    table.writerow((flows, args.frame_size, pps, run, sent, got,
                                    round(per_second), round(per_second * args.frame_size * 8),
                                    round((sent - got) / sent * 100, 3) if sent else ""))
                    out.flush()
    finally:
        client.disconnect()
        if out is not sys.stdout:
            out.close()


if __name__ == "__main__":
    main()
