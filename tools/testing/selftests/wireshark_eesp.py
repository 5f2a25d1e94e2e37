#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""What tools/wireshark/xfrm_ext_eesp.lua should show of EESP, from the reference, and whether it
does. For wireshark.sh.

    fields              those that tshark is to print, a line each
    make SEED IV PCAP   packets of SAs of every mode, with IVs of so many octets: with options and
                        without, with something in clear, in UDP to port 4500; some left out, some
                        twice, some late. Behind them such as a receiver drops: of other versions,
                        with options that are no options
    judge SEED IV PCAP  tshark's lines of these, on standard input
    cut SEED IV PCAP    a packet of each SA in every length, and 2,000 with octets changed
"""

import pathlib
import random
import sys

# Before this folder, which has an eesp.py, too
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "reference"))

# pylint: disable=wrong-import-position
import eesp
import eesp_options
import eesp_random
import outer
import pcap

NAMES = ("version", "opt_len", "session", "spi", "option", "payload_offset", "crypt_offset", "sn", "iv",
         "info", "next_header", "pad_len", "clear", "ciphertext", "icv", "number_zero", "bad_header",
         "short", "analysis.expected", "analysis.gap", "analysis.late", "analysis.duplicate_of",
         "analysis.previous")
FIELDS = ["frame.number"] + [f"xfrm_ext_eesp.{name}" for name in NAMES]
OCTETS = {"iv", "info", "clear", "ciphertext", "icv"}
ICV = 16


def sas_of(rng, iv_len):
    """Of all modes, with what makes their headers differ."""
    for mode in eesp.MODES:
        for crypt in (None, 0, 1, 5, 63):
            for encap in (None, (4500, 4500)):
                outside, inside = rng.choice((eesp_random.V4, eesp_random.V6)), eesp_random.V4
                numbers = eesp_options.Numbers()
                options = tuple(eesp_options.Option(kind, rng.randbytes(rng.randrange(9)))
                                for kind in rng.sample(range(3, 256), rng.randrange(3)))
                yield eesp.SA(
                    spi=rng.getrandbits(32), key=rng.randbytes(32), src=outside[0][0], dst=outside[0][1],
                    icv=ICV, iv="explicit" if iv_len else "implicit", sskdf="hkdf-sha256", cipher_key=16,
                    max_sub_sa=3, mode=mode, inner=inside[1] if mode == "beet" else None, encap=encap,
                    crypt_offset=crypt, max_crypt_offset=crypt, options=options, numbers=numbers)


def packets(seed, iv_len):
    """(SA, outer packet, whether a receiver takes the header), in the order of the capture."""
    rng = random.Random(f"{seed} {iv_len}")
    sent = []
    for sa in sas_of(rng, iv_len):
        for _ in range(rng.randrange(6, 14)):
            session, sn = rng.randrange(4), rng.choice((1, 2, 3, 4, 5, 9, 1 << 33, (1 << 48) - 1))
            packet = eesp.encode(sa, session, sn, eesp_random.random_inner(rng, sa))
            sent.append((sa, packet, True))
    rng.shuffle(sent)
    bad = []
    for sa, packet, _ in rng.sample(sent, 60):
        head, inside = eesp.split_outer(sa, packet)
        data = bytearray(inside)
        at = eesp.BASE_LEN + data[1]
        how = rng.randrange(4)
        if how == 0:
            data[0] = 0x80 | rng.randrange(1, 128)
        elif how == 1:
            # Longer than there are octets of options
            data[eesp.BASE_LEN : at] = bytes((7, 200)) + bytes(2)
            data[1] = 4
        elif how == 2:
            # Two of a kind that there is one of; one that says too little
            data[eesp.BASE_LEN : at] = rng.choice((bytes((2, 2, 0, 0)) * 2, bytes((2, 1, 0, 0))))
            data[1] = 8 if data[eesp.BASE_LEN + 1] == 2 else 4
        else:
            # A payload that begins elsewhere
            data[eesp.BASE_LEN : at] = bytes((2, 2, 0xFC, 0))
            data[1] = 4
        bad.append((sa, outer.wrap(sa, bytes(data), head), False))
    return sent + bad


class Analysis:
    """By brute force."""

    def __init__(self):
        self.seen = {}

    def of(self, frame, key, sn):
        """What is to be said of a packet."""
        before = self.seen.setdefault(key, [])
        said = {}
        if before:
            said["analysis.previous"] = before[-1][0]
            highest = max(n for _, n in before)
            same = [at for at, n in before if n == sn]
            if same:
                said["analysis.duplicate_of"] = same[0]
            elif sn < highest:
                said["analysis.late"] = highest - sn
            elif sn > highest + 1:
                said |= {"analysis.expected": highest + 1, "analysis.gap": sn - highest - 1}
        before.append((frame, sn))
        return said


def wanted(analysis, frame, sa, packet, good):
    """What should be shown."""
    _, inside = outer.split(sa, packet)
    said = {"version": inside[0] >> 3 & 15, "opt_len": inside[1],
            "session": int.from_bytes(inside[2:4], "big"), "spi": sa.spi}
    if inside[0] != 0x80:
        return said | {"bad_header": 1}
    at = eesp.BASE_LEN + inside[1]
    said["sn"] = int.from_bytes(inside[at : at + 8], "big")
    said |= analysis.of(frame, (sa.spi, sa.dst, said["session"]), said["sn"])
    if not good:
        # What of the options can be told is not looked into
        return said | {"bad_header": 1}
    parts = eesp.parse(sa, inside)
    if parts.options:
        said["option"] = [option.kind for option in parts.options]
    if sa.iv_len:
        said["iv"] = parts.iv
    body, crypt = inside[parts.header_len : -ICV], 0
    if parts.crypt:
        crypt = 4 * parts.crypt.crypt
        said |= {"payload_offset": parts.header_len, "crypt_offset": crypt}
        if crypt:
            said |= {"info": body[:4], "next_header": body[2], "pad_len": body[3]}
            if body[4:crypt]:
                said["clear"] = body[4:crypt]
    if body[crypt:]:
        said["ciphertext"] = body[crypt:]
    return said | {"icv": inside[-ICV:]}


def shown(line):
    """The fields of a line that are there."""
    values = line.rstrip("\n").split("\t")
    assert len(values) == len(FIELDS), line
    said = {}
    for name, value in zip(NAMES, values[1:]):
        if not value:
            continue
        if name in OCTETS:
            said[name] = bytes.fromhex(value.replace(":", ""))
        elif name == "option":
            said[name] = [int(one, 0) for one in value.split(",")]
        elif name in ("number_zero", "bad_header", "short"):
            said[name] = 1
        else:
            said[name] = int(value, 0)
    return int(values[0]), said


def judge(seed, iv_len, path):
    """Each packet's fields."""
    analysis, problems, count = Analysis(), 0, 0
    made = packets(seed, iv_len)
    assert [p for _, p, _ in made] == list(pcap.read(path))
    for line, (sa, packet, good) in zip(sys.stdin, made):
        count += 1
        frame, got = shown(line)
        want = wanted(analysis, frame, sa, packet, good)
        if not good:
            for name in ("option", "payload_offset", "crypt_offset"):
                got.pop(name, None)
        if got != want:
            problems += 1
            for name in sorted(got.keys() | want.keys()):
                if got.get(name) != want.get(name) and problems < 10:
                    print(f"packet {frame}: {name}: shown {got.get(name)!r}, should be {want.get(name)!r}")
    if problems or count != len(made):
        sys.exit(f"{problems} of {count} packets, of {len(made)}, are shown wrongly")
    print(f"# {count} packets")


def cut(seed, iv_len, path):
    """Spoilt."""
    rng, made, spoilt = random.Random(seed), packets(seed, iv_len), []
    for sa in {sa.spi: sa for sa, _, _ in made}.values():
        head, inside = eesp.split_outer(sa, next(p for s, p, good in made if s is sa and good))
        spoilt += [outer.wrap(sa, inside[:n], head) for n in range(min(len(inside), 80))]
    for _ in range(2000):
        sa, packet, _ = rng.choice(made)
        head, inside = eesp.split_outer(sa, packet)
        data = bytearray(inside)
        for _ in range(rng.randrange(1, 4)):
            data[rng.randrange(min(24, len(data)))] = rng.randrange(256)
        spoilt.append(outer.wrap(sa, bytes(data), head))
    pcap.write(path, spoilt)


def main():
    """The command line."""
    if sys.argv[1:] == ["fields"]:
        print("\n".join(FIELDS))
        return
    verb, seed, iv_len, path = sys.argv[1:]
    if verb == "make":
        pcap.write(path, [packet for _, packet, _ in packets(int(seed), int(iv_len))])
    elif verb == "judge":
        judge(int(seed), int(iv_len), path)
    else:
        cut(int(seed), int(iv_len), path)


main()
