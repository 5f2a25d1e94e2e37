#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Format eesp against the reference, whose author has read the draft and not the module.

    eesp_reference.py read PCAP SA SUBS        every packet of a capture that the module has sent
    eesp_reference.py send SA SUBS N SEED DEV MAC INNER
                          puts N packets on the link behind DEV, with anything inside; writes
                          to the capture INNER what is to come out
    eesp_reference.py came PCAP INNER          is all of INNER in the capture?
    eesp_reference.py echoes PCAP SA SUBS 1|2  is it an echo request of 50 octets in each Sub SA,
                          which asks for a reply by SPI 0x200, and nothing else; or replies to these?

SA is a file as eesp.py has it, SUBS how many Sub SAs there are.
"""

import json
import pathlib
import sys
from collections import Counter

REFERENCE = pathlib.Path(__file__).resolve().parents[1] / "reference"
# Before this folder, which has an eesp.py, too
sys.path.insert(0, str(REFERENCE))

# pylint: disable=wrong-import-position
import echo
import eesp
import eesp_capture
import eesp_random
import inject
import outer
import pcap

INNER = {4: ["10.1.0.1", "10.2.0.1"], 6: ["fd01::1", "fd02::1"]}


def words_of(path, subs):
    """An SA in the reference's words."""
    with open(path, encoding="utf-8") as f:
        sa = json.load(f)
    words = {name: sa[name] for name in ("spi", "key", "src", "dst", "icv", "aead", "mode")}
    words["iv"] = sa.get("iv", "explicit")
    root = len(sa["key"].removeprefix("0x")) * 4
    if root in (256, 384, 512):
        words |= {"sskdf": f"hkdf-sha{root}", "cipher_key": sa.get("sub_key", 256), "max_sub_sa": subs - 1}
    words |= {name: sa[name] for name in ("version_number", "numbers") if name in sa}
    if sa["mode"] == "beet":
        inner = INNER[sa["inner"]]
        words["inner"] = inner if int(sa["spi"], 0) == 0x100 else inner[::-1]
    if sa.get("udp"):
        words["encap"] = [4500, 4500]
    if "crypt" in sa:
        words |= {"crypt_offset": sa["crypt"] // 4, "max_crypt_offset": sa["crypt"] // 4}
    return words


def read(capture, path, subs):
    """As eesp_capture.py judges, which prints what is wrong."""
    words = path + ".reference"
    with open(words, "w", encoding="utf-8") as f:
        json.dump(words_of(path, int(subs)), f)
    sys.argv = ["eesp_capture.py", "--sa", words, "--unordered", capture]
    return eesp_capture.main()


def send(path, subs, packets, seed, dev, mac, inner):
    """By the link, past the stack."""
    words = path + ".reference"
    with open(words, "w", encoding="utf-8") as f:
        json.dump(words_of(path, int(subs)), f)
    sas = eesp.load_sas(words)
    eesp_random.write(sas, int(packets), int(seed), path + ".wire", inner)
    sender = inject.Sender(sas[0], dev, mac)
    print(sender.send(list(pcap.read(path + ".wire"))))
    return 0


def came(capture, inner):
    """Each as often as it was sent."""
    missing = Counter(pcap.read(inner)) - Counter(pcap.read(capture))
    for packet in list(missing)[:5]:
        print(f"not delivered: {packet.hex()}")
    return 1 if missing else 0


def echoes(capture, path, subs, which):
    """In the order of the Sub SAs; the reference has no Next Header 144 in tunnel mode."""
    sa = eesp.SA.from_dict(words_of(path, int(subs)))
    kind, flags, spi = {"1": (echo.REQUEST, echo.R, 0x200), "2": (echo.REPLY, 0, 0)}[which]
    want = [(n, echo.Echo(kind, flags, 0, n, spi, bytes(50))) for n in range(int(subs))]
    found = []
    for packet in pcap.read(capture):
        _, inside = outer.split(sa, packet)
        parts = eesp.parse(sa, inside)
        plain = eesp.open_packet(sa, inside, parts)
        # Padding, Next Header: the Payload Info Header's third octet, and its last
        if plain[2] == echo.PROTO_AGGFRAG:
            found.append((parts.session, echo.parse(plain[4 : len(plain) - plain[3]])))
    for got in found:
        print(got)
    return 0 if found == want else 1


def main():
    """The command line."""
    verbs = {"read": (read, 3), "echoes": (echoes, 4), "send": (send, 7), "came": (came, 2)}
    function, words = verbs.get(sys.argv[1] if sys.argv[1:] else "", (None, -1))
    if len(sys.argv) - 2 != words:
        sys.exit(__doc__)
    return function(*sys.argv[2:])


sys.exit(main())
