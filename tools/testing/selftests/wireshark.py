#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""What tools/wireshark/xfrm_ext.lua should show of a capture, from the reference and by brute
force, and whether it does. For wireshark.sh.

    fields                      those that tshark is to print, a line each; its lines are
                                on standard input below
    send                        packets of SAs, "mark mode source destination subspaces"
                                on standard input; prints how many
    packets PCAP SAS            every field as the reference has it
    guessed PCAP SAS            esp64 whose IV is its number is found, and nothing else
    disturb PCAP OUT            drops, doubles and mixes up
    numbers PCAP SAS once|twice what is missing, late and doubled
    table PCAP SAS              the same, as -z xfrm_ext sums it up
    keys SAS VERSION            lines of Wireshark's table of ESP SAs, as far as it can
    decrypted PCAP SAS          what it has decrypted itself
    others PCAP SAS OUT         packets that are not ours; others_are
    cut, changed PCAP SAS OUT   every length, and 3,000 with octets changed
    without PCAP SAS TSHARK TCPDUMP   what those say who do not know the formats
"""

import pathlib
import random
import re
import socket
import struct
import sys

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "reference"))

# pylint: disable=wrong-import-position
import beet
import esp64
import iphdr
import outer
import pcap
import trailer
from modepackets import ip4, ip6, udp

NATT = 4500
OURS = ("spi", "format", "trailer", "guessed", "subspace", "sn", "number", "iv", "implicit_iv",
        "ciphertext", "plaintext", "icv", "info_word", "next_header", "pad_len", "padding")
BEET = ("next_header", "header_len", "pad_len", "f", "fragment", "df", "mf", "offset", "padding",
        "options", "option")
ANALYSIS = ("expected", "gap", "missing", "late", "duplicate_of", "previous")
FIELDS = (["frame.number", "frame.protocols", "udp.length", "esp.spi", "esp.pad_len", "esp.protocol"]
          + [f"xfrm_ext.{name}" for name in OURS] + [f"xfrm_ext_beet.{name}" for name in BEET]
          + [f"xfrm_ext.analysis.{name}" for name in ANALYSIS])
BYTES = {"iv", "implicit_iv", "ciphertext", "plaintext", "icv", "info_word", "padding", "options"}
WORDS = {"format", "trailer"}


class NattPorts:
    """All pairs of ports with the one of ESP in UDP, for outer.find_esp()."""

    def __contains__(self, ports):
        return NATT in ports


def read(path, sas):
    """Of each packet: frame number, packet, SA or None, where ESP begins or None."""
    for frame, packet in enumerate(pcap.read(path), 1):
        at = outer.find_esp(packet, NattPorts())
        sa = None
        if at is not None:
            assert at >= 0, "a fragment of an ESP packet"
            sa = sas.get(int.from_bytes(packet[at : at + 4], "big"))
        yield frame, packet, sa, at


def load(path):
    return {sa.spi: sa for sa in esp64.load_sas(path)}


def shown():
    """What tshark has printed: a dictionary of what is there, for each packet."""
    for line in sys.stdin:
        values = line.rstrip("\n").split("\t")
        assert len(values) == len(FIELDS), line
        yield {name: value for name, value in zip(FIELDS, values) if value}


def ours(row):
    """Its fields of ours, as numbers, octets and words."""
    found = {}
    for name, value in row.items():
        proto, _, field = name.partition(".")
        if proto not in ("xfrm_ext", "xfrm_ext_beet"):
            continue
        values = []
        for one in value.split(","):
            if field in BYTES:
                values.append(bytes.fromhex(one.replace(":", "")))
            elif field in WORDS:
                values.append(one)
            else:
                values.append({"True": 1, "False": 0}.get(one) if one in ("True", "False")
                              else int(one, 0))
        found[name] = values if field == "option" else values[0]
        assert len(values) == 1 or field == "option", f"{name} {value}"
    return found


class Problems:
    """Some of them are shown."""

    def __init__(self):
        self.count = 0

    def differs(self, what, got, want):
        if got == want:
            return
        self.count += 1
        if self.count <= 10:
            print(f"{what}: shown {got!r}, should be {want!r}")

    def end(self, packets):
        if self.count or not packets:
            sys.exit(f"{self.count} differences in {packets} packets")
        print(f"# {packets} packets")


# --- sending ------------------------------------------------------------------------------


def datagram(src, dst, mark, length):
    return udp(src, dst, bytes(range(length)), port=40000 + mark % 1000)


def cell_packets(mark, mode, src, dst):
    """Of all lengths that padding may be of; of BEET with IPv4 inside options, and fragments."""
    many = 100 if mark % 20 == 1 else 5
    make = ip6 if ":" in src else ip4
    for length in range(many):
        yield make(src, dst, datagram(src, dst, mark, length % 23))
    if mode == "beet" and make is ip4:
        body = datagram(src, dst, mark, 24)
        route = bytes((7, 7, 4, 0, 0, 0, 0))
        yield ip4(src, dst, body, options=b"\x94\x04\0\0")
        yield ip4(src, dst, body, options=route + b"\0")
        yield ip4(src, dst, body[:16], ident=mark, frag=0x2000)
        yield ip4(src, dst, body[16:], ident=mark, frag=2, options=b"\x94\x04\0\0")


def send():
    sockets = {}
    sent = 0
    for family in (socket.AF_INET, socket.AF_INET6):
        sockets[family] = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_RAW)
    for line in sys.stdin:
        mark, mode, src, dst, subspaces = line.split()
        sock = sockets[socket.AF_INET6 if ":" in src else socket.AF_INET]
        for k, packet in enumerate(cell_packets(int(mark), mode, src, dst)):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_MARK,
                            int(mark) | k % int(subspaces) << 16)
            sock.sendto(packet, (dst, 0))
            sent += 1
    print(sent)


# --- every field ---------------------------------------------------------------------------


def is_clear(sa):
    return sa.enc == "ecb(cipher_null)" or sa.enc is None and sa.aead == "rfc4543(gcm(aes))"


def beet_fields(payload):
    """Of a pseudo header, and the Next Header behind it, or None before part of a packet."""
    head = beet.parse_pseudo_header(payload, True)
    kind = 0 if head.frag is None else 2 if head.options else 1
    want = {"next_header": payload[0], "header_len": payload[1], "pad_len": payload[2], "f": kind}
    at = 4
    if head.frag is not None:
        at = 6
        want.update(fragment=head.frag, df=head.frag >> 14 & 1, mf=head.frag >> 13 & 1,
                    offset=(head.frag & 0x1FFF) * 8)
    if payload[2]:
        want["padding"] = payload[at : at + payload[2]]
    if head.options:
        # Of those that are sent here
        want["options"] = head.options
        want["option"] = [148] if head.options[0] == 148 else [7, 0]
    return want, head.next_header if head.frag is None else None, payload[head.length :]


def inner_udp(next_header, payload):
    """The length of the UDP packet inside, or None if there is no whole one."""
    if next_header == iphdr.PROTO_BEETPH:
        _, next_header, payload = beet_fields(payload)
    if next_header in (iphdr.PROTO_IPIP, iphdr.PROTO_IPV6):
        header, at = iphdr.parse(payload)
        next_header, payload = header.proto, payload[at:]
    return int.from_bytes(payload[4:6], "big") if next_header == iphdr.PROTO_UDP else None


def opened(sa, packet, at, top):
    """Subspace, SN, the IV that is used, and the plaintext."""
    return esp64.unseal(sa, packet[at:], top.get(sa.spi, 0))


def wanted(sa, packet, at, top):
    """Every field of ours, and the length of the UDP packet inside, if it can be seen."""
    esp = packet[at:]
    subspace, sn, iv, plain = opened(sa, packet, at, top)
    top[sa.spi] = max(sn, top.get(sa.spi, 0))
    body, end = sa.header_len + sa.iv_len, len(esp) - sa.icv
    want = {"spi": sa.spi, "format": sa.format, "trailer": sa.trailer, "sn": sn,
            "number": subspace << 48 | sn, "icv": esp[end:]}
    if sa.format == "esp64":
        want["subspace"] = subspace
        if sa.iv == "implicit":
            want["implicit_iv"] = iv
    if sa.iv_len:
        want["iv"] = iv
    want["plaintext" if is_clear(sa) else "ciphertext"] = esp[body:end]
    told = {}
    length = None
    if is_clear(sa):
        next_header, payload, padding = trailer.find(sa, plain)
        if sa.trailer != "omit":
            want.update(next_header=next_header, pad_len=len(padding))
        if sa.trailer == "front":
            want["info_word"] = plain[:4]
        if padding:
            want["padding"] = padding
        length = inner_udp(next_header, payload)
        if next_header == iphdr.PROTO_BEETPH:
            told = beet_fields(payload)[0]
    return ({f"xfrm_ext.{name}": value for name, value in want.items()}
            | {f"xfrm_ext_beet.{name}": value for name, value in told.items()}), length


def innermost(row):
    """The length that the innermost UDP header says. The outer one is that of RFC 3948."""
    values = row.get("udp.length", "").split(",")
    if "xfrm_ext_udp" in row["frame.protocols"]:
        values = values[1:]
    return int(values[-1]) if values and values[-1] else None


def packets(path, sas):
    problems, top, count = Problems(), {}, 0
    kinds = set()
    for (frame, packet, sa, at), row in zip(read(path, sas), shown(), strict=True):
        want, length = wanted(sa, packet, at, top)
        got = {name: value for name, value in ours(row).items() if "analysis" not in name}
        what = f"frame {frame}, SPI {sa.spi:#x}"
        for name in sorted(set(want) | set(got)):
            problems.differs(f"{what}, {name}", got.get(name), want.get(name))
        problems.differs(f"{what}, inner UDP", innermost(row), length)
        in_udp = packet[at - 8 : at][2:4] == NATT.to_bytes(2, "big") and "udp" in row["frame.protocols"]
        kinds.add((sa.format, sa.trailer, sa.iv, sa.mode, is_clear(sa), in_udp))
        # All that was sent came in order, and whole
        for name in ("gap", "late", "duplicate_of"):
            problems.differs(f"{what}, {name}", row.get(f"xfrm_ext.analysis.{name}"), None)
        count += 1
    # Each of them, but that omit is tunnel mode's: encrypted; in clear not with implicit IVs
    problems.differs("kinds without UDP", len([k for k in kinds if not k[5]]),
                     2 * (2 * 3 + 1) * 2 + 2 * (2 * 3 + 1))
    problems.differs("kinds in UDP", len([k for k in kinds if k[5]]), 2 * 3 * 2)
    problems.end(count)


def has_number_for_iv(sa, packet, at):
    return (sa.format == "esp64" and sa.iv_len == 8
            and packet[at + 4 : at + 12] == packet[at + 12 : at + 20])


def guessed(path, sas):
    problems, count = Problems(), 0
    for (frame, packet, sa, at), row in zip(read(path, sas), shown(), strict=True):
        found = has_number_for_iv(sa, packet, at)
        count += found
        problems.differs(f"frame {frame}, SPI {sa.spi:#x}", ours(row).get("xfrm_ext.guessed", 0),
                         int(found))
        problems.differs(f"frame {frame}, plain ESP", "esp.spi" in row, not found)
        if found:
            problems.differs(f"frame {frame}, number", ours(row).get("xfrm_ext.number"),
                             int.from_bytes(packet[at + 4 : at + 12], "big"))
    problems.end(count)


# --- numbers ---------------------------------------------------------------------------------


def disturb(path, out):
    rng = random.Random(1)
    keyed = []
    for n, packet in enumerate(pcap.read(path)):
        kind = rng.random()
        if kind < 0.1:
            continue
        keyed.append((n + (rng.randrange(30) if kind < 0.4 else 0), packet))
        if kind > 0.93:
            keyed.append((n + rng.randrange(40), packet))
    keyed.sort(key=lambda pair: pair[0])
    pcap.write(out, [packet for _, packet in keyed])


def by_counter(path, sas):
    """Of each counter, frames and numbers in the order of the capture."""
    counters = {}
    for frame, packet, sa, at in read(path, sas):
        # With ESN the high half is 0 here
        subspace, sn = esp64.read_number(sa, packet[at:], 1 << 16)
        counters.setdefault((sa.spi, subspace), []).append((frame, sn))
    return counters


def judged(of):
    """What there is to say of each packet of a counter, from all before it."""
    everything = {sn for _, sn in of}
    for k, (frame, sn) in enumerate(of):
        before = of[:k]
        want = {}
        if before:
            want["previous"] = before[-1][0]
            top = max(n for _, n in before)
            same = [f for f, n in before if n == sn]
            if same:
                want["duplicate_of"] = same[0]
            elif sn < top:
                want["late"] = top - sn
            elif sn > top + 1:
                want.update(expected=top + 1, gap=sn - top - 1)
                want["missing"] = sum(n not in everything for n in range(top + 1, sn))
        yield frame, sn, want


def numbers(path, sas, reading):
    problems, rows = Problems(), {int(row["frame.number"]): row for row in shown()}
    kinds = dict.fromkeys(ANALYSIS, 0)
    for (spi, subspace), of in by_counter(path, sas).items():
        for frame, _, want in judged(of):
            if reading == "once":
                want.pop("missing", None)
            got = {name.rpartition(".")[2]: value for name, value in ours(rows.pop(frame)).items()
                   if "analysis" in name}
            problems.differs(f"frame {frame}, SPI {spi:#x}, subspace {subspace}", got, want)
            for name in want:
                kinds[name] += 1
    problems.differs("frames that nobody sent", len(rows), 0)
    print(f"# {kinds}")
    if min(n for name, n in kinds.items() if reading == "twice" or name != "missing") < 20:
        sys.exit("too few of a kind")
    problems.end(sum(len(of) for of in by_counter(path, sas).values()))


def table(path, sas):
    want = {}
    for (spi, subspace), of in by_counter(path, sas).items():
        all_sn = [sn for _, sn in of]
        late = [w["late"] for _, _, w in judged(of) if "late" in w]
        want[spi, subspace] = [
            sas[spi].dst, len(of), min(all_sn), max(all_sn),
            max(all_sn) - min(all_sn) + 1 - len(set(all_sn)), len(late), max(late, default=0),
            len(of) - len(set(all_sn)),
        ]
    got = {}
    for line in list(sys.stdin)[1:]:
        spi, dst, subspace, *values = line.split()
        got[int(spi, 0), int(subspace)] = [dst] + [int(value) for value in values]
    problems = Problems()
    for key in sorted(set(want) | set(got)):
        problems.differs(f"SPI {key[0]:#x}, subspace {key[1]}", got.get(key), want.get(key))
    problems.end(len(want))


# --- by Wireshark itself -------------------------------------------------------------------------


def their_names(sa):
    """Of its algorithms, or None if it lacks one."""
    if sa.trailer != "end" or is_clear(sa):
        return None
    if sa.enc is None and sa.aead == "rfc4106(gcm(aes))":
        return f"AES-GCM with {sa.icv} octet ICV [RFC4106]", "NULL"
    if sa.auth == "hmac(sha256)" and sa.enc == "cbc(aes)":
        return "AES-CBC [RFC3602]", "HMAC-SHA-256-128 [RFC4868]"
    if sa.auth == "hmac(sha256)" and sa.enc == "rfc3686(ctr(aes))":
        return "AES-CTR [RFC3686]", "HMAC-SHA-256-128 [RFC4868]"
    return None


def keys(sas, version):
    major, minor = map(int, re.search(r"(\d+)\.(\d+)\.", version).groups())
    more = ',"32-bit","0"' if (major, minor) > (4, 0) else ""
    for sa in sas.values():
        names = their_names(sa)
        if names:
            auth = f"0x{sa.auth_key.hex()}" if sa.auth_key else ""
            print(f'"IPv{sa.version}","*","*","{sa.spi:#010x}","{names[0]}","0x{sa.key.hex()}",'
                  f'"{names[1]}","{auth}"{more}')


def decrypted(path, sas):
    problems, top, count = Problems(), {}, 0
    kinds = set()
    for (frame, packet, sa, at), row in zip(read(path, sas), shown(), strict=True):
        what = f"frame {frame}, SPI {sa.spi:#x}"
        _, sn, _, plain = opened(sa, packet, at, top)
        top[sa.spi] = max(sn, top.get(sa.spi, 0))
        if not their_names(sa):
            # Nothing that is no trailer is taken for one
            problems.differs(f"{what}, Pad Length", row.get("esp.pad_len"), None)
            continue
        next_header, payload, padding = trailer.find(sa, plain)
        problems.differs(f"{what}, Pad Length", row.get("esp.pad_len"), str(len(padding)))
        problems.differs(f"{what}, Next Header", int(row.get("esp.protocol", "-1"), 0), next_header)
        problems.differs(f"{what}, inner UDP", innermost(row), inner_udp(next_header, payload))
        if next_header == iphdr.PROTO_BEETPH:
            want = beet_fields(payload)[0]
            got = {name.partition(".")[2]: value for name, value in ours(row).items()
                   if name.startswith("xfrm_ext_beet")}
            problems.differs(f"{what}, pseudo header", got, want)
        kinds.add((sa.format, sa.esn, sa.iv, sa.mode, next_header == iphdr.PROTO_BEETPH, sa.enc))
        count += 1
    # GCM in all modes, and with a pseudo header, of esp64, esp, ESN with either IV; CBC and CTR
    problems.differs("kinds", len([k for k in kinds if k[5] is None]), 3 * 2 * 4)
    problems.differs("pairs", {k[5] for k in kinds if k[5]}, {"cbc(aes)", "rfc3686(ctr(aes))"})
    problems.end(count)


# --- what is not ours, and what is damaged ---------------------------------------------------------


def others(path, sas, out):
    here, there = "10.0.0.1", "10.0.0.2"
    addresses = socket.inet_aton(here) + socket.inet_aton(there)
    plain = esp64.SA.from_dict({"spi": 0x77, "key": "11" * 20, "src": here, "dst": there,
                                "format": "esp"})
    inner = ip4("10.1.0.1", "10.2.0.1", datagram("10.1.0.1", "10.2.0.1", 1, 30))
    sent = next(packet for _, packet, sa, _ in read(path, sas) if sa.version == 4)
    icmp = struct.pack("!BBHHH", 3, 4, 0, 0, 1300) + sent[:60]
    icmp = icmp[:2] + esp64.checksum(icmp).to_bytes(2, "big") + icmp[4:]
    ike = bytes(4) + bytes(range(1, 17)) + bytes((0, 0x20, 37, 8)) + bytes(4) + (28).to_bytes(4, "big")
    pcap.write(out, [
        esp64.encode(plain, 0, 1, inner),
        ip4(here, there, iphdr.udp(addresses, (NATT, NATT), ike)),
        ip4(here, there, iphdr.udp(addresses, (NATT, NATT), b"\xff")),
        ip4(here, there, iphdr.udp(addresses, (NATT, NATT), esp64.seal(plain, 0, 2, inner))),
        sent,
        ip4(there, here, icmp, proto=1),
        ip4(here, there, b"\0\0\0", proto=50),
    ])


def others_are():
    rows = list(shown())
    problems = Problems()
    problems.differs("packets", len(rows), 7)
    for at, end in enumerate((":esp", ":isakmp", ":udpencap", ":esp")):
        proto = rows[at]["frame.protocols"]
        problems.differs(f"{at}, {proto}", proto.endswith(end) and not ours(rows[at]), True)
    for at in (4, 5):
        problems.differs(f"{at}, SPI", "xfrm_ext.spi" in rows[at], True)
        problems.differs(f"{at}, analysis", [name for name in rows[at] if "analysis" in name], [])
    problems.end(len(rows))


def some(path, sas):
    """A packet of every third SA, and what has a pseudo header to be seen."""
    known = set()
    for _, packet, sa, at in read(path, sas):
        key = sa.spi, len(packet) if is_clear(sa) and sa.mode == "beet" else 0
        if key not in known and (sa.spi % 3 == 0 or key[1]):
            known.add(key)
            yield packet, at


def shortened(packet, at, length):
    """With so many octets from ESP on, and headers that say so."""
    cut = bytearray(packet[: at + length])
    if cut[0] >> 4 == 4:
        cut[2:4] = len(cut).to_bytes(2, "big")
        proto, head = cut[9], (cut[0] & 15) * 4
        cut[10:12] = bytes(2)
        cut[10:12] = iphdr.checksum(bytes(cut[:head])).to_bytes(2, "big")
    else:
        cut[4:6] = (len(cut) - 40).to_bytes(2, "big")
        proto = cut[6]
    if proto == iphdr.PROTO_UDP:
        cut[at - 4 : at - 2] = (8 + length).to_bytes(2, "big")
    return bytes(cut)


def write_cut(out, records):
    """Records of octets that were captured, and how many there were."""
    with open(out, "wb") as f:
        f.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 0x40000, pcap.RAW))
        for octets, length in records:
            f.write(struct.pack("<IIII", 0, 0, len(octets), length) + octets)


def cut(path, sas, out):
    records = []
    for packet, at in some(path, sas):
        for length in range(len(packet) - at + 1):
            made = shortened(packet, at, length)
            records.append((made, len(made)))
            # By who captured it
            records.append((packet[: at + length], len(packet)))
    write_cut(out, records)


def changed(path, sas, out):
    rng = random.Random(2)
    of = list(read(path, sas))
    clear = [one for one in of if is_clear(one[2])]
    records = []
    for n in range(3000):
        _, packet, _, at = rng.choice(clear if n % 3 else of)
        made = bytearray(packet)
        for _ in range(rng.randrange(1, 5)):
            made[rng.randrange(at + 4, len(made))] = rng.choice((0, 255, rng.randrange(256)))
        records.append((bytes(made), len(made)))
    write_cut(out, records)


# --- those who do not know the formats -----------------------------------------------------------


def without(path, sas, tshark, tcpdump):
    problems, count, wrong = Problems(), 0, 0
    with open(tshark, encoding="utf-8") as f:
        rows = [line.rstrip("\n").split("\t") for line in f]
    with open(tcpdump, encoding="utf-8") as f:
        lines = list(f)
    for (frame, packet, sa, at), row, line in zip(read(path, sas), rows, lines, strict=True):
        if sa.format != "esp64":
            continue
        seq = int.from_bytes(packet[at + 4 : at + 6], "big") << 16 | int.from_bytes(
            packet[at + 6 : at + 8], "big")
        problems.differs(f"frame {frame}, tshark", int(row[1]), seq)
        said = re.search(r"seq=(0x[0-9a-f]+)", line)
        problems.differs(f"frame {frame}, tcpdump", said and int(said[1], 0), seq)
        wrong += bool(row[2])
        count += 1
    print(f"# {wrong} of {count} packets are out of order to tshark")
    if 2 * wrong < count:
        sys.exit("too few")
    problems.end(count)


def main(verb, *words):
    if verb == "fields":
        print("\n".join(FIELDS))
    elif verb == "keys":
        keys(load(words[0]), words[1])
    elif len(words) > 1 and verb != "disturb":
        globals()[verb](words[0], load(words[1]), *words[2:])
    else:
        globals()[verb](*words)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(*sys.argv[1:])
