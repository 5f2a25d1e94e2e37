#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""The same inner packets for each path, and the comparison of what became of them.

    paths.py send DEV MAC NETWORK...   always the same packets out of DEV: to 10.2.N.2
                                       and fd02:N::2 for each number
    paths.py compare DIRECTORY         its fast.wan, slow.wan, stock.wan: the tunnel's
                                       packets; fast.lan, ...: what was delivered; fast.sas,
                                       slow.sas: the SAs, which have other keys
"""

import pathlib
import socket
import struct
import sys

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "reference"))

# pylint: disable=wrong-import-position
import esp64
import inject
import pcap

SHOWN_PROBLEMS = 10
PORT = 9
DF = 0x4000
# Of SPIs, in paths.sh: the numbers of networks, those that are changed in flight ten higher
CHANGED, NOPMTUDISC = 10, 0x104 % 10

# Every ECN codepoint alone and with a DSCP; DSCPs with every bit set and clear
DS_FIELDS = (0x00, 0x01, 0x02, 0x03, 0xB8, 0x89, 0x4A, 0xFF, 0x54, 0xA8)
FLOW_LABELS = (0, 1, 0x12345, 0xFFFFF)
# All lengths of padding; and IPv6's least MTU, on either side of which the outer
# header says something else
LENGTHS4 = (28, 29, 30, 31, 1279, 1280, 1281, 1400)
LENGTHS6 = (48, 49, 50, 51, 1279, 1280, 1281, 1400)
# More than the tunnel's MTU, to be cut behind ESP
LENGTH_CUT = 1480


def rewrite4(packet, tos=0, df=0, ident=0x1234, options=b""):
    """An IPv4 packet with other fields in its header."""
    head = bytearray(packet[:20] + options)
    head[0] = 0x40 | len(head) // 4
    head[1] = tos
    struct.pack_into("!HHH", head, 2, len(packet) + len(options), ident, df)
    head[10:12] = b"\0\0"
    struct.pack_into("!H", head, 10, esp64.checksum(head))
    return bytes(head) + packet[20:]


def rewrite6(packet, tclass=0, flow=0):
    """An IPv6 packet with other fields in its header."""
    return struct.pack("!I", 6 << 28 | tclass << 20 | flow) + packet[4:]


def inner_packets(network):
    """To one network, one of everything."""
    src, dst = "10.1.0.2", f"10.2.{network}.2"

    def make(src, dst, length):
        head = 28 if "." in src else 48
        return inject.udp_packet(src, PORT, dst, PORT, bytes(range(256))[:length - head]
                                 .ljust(length - head, b"."))

    for tos in DS_FIELDS:
        for df in (0, DF):
            yield rewrite4(make(src, dst, 64), tos, df)
    for length in LENGTHS4:
        for df in (0, DF):
            yield rewrite4(make(src, dst, length), df=df, ident=length)
    yield rewrite4(make(src, dst, 100), options=b"\x01\x01\x01\x00")
    yield rewrite4(make(src, dst, LENGTH_CUT))

    src, dst = "fd01::2", f"fd02:{network}::2"
    for tclass in DS_FIELDS:
        yield rewrite6(make(src, dst, 84), tclass)
    for flow in FLOW_LABELS:
        yield rewrite6(make(src, dst, 84), 0x2E, flow)
    for length in LENGTHS6:
        yield rewrite6(make(src, dst, length))


def send(dev, mac, networks):
    """All of them, by the link."""
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
    mac = bytes.fromhex(mac.replace(":", ""))
    count = 0
    for network in networks:
        for packet in inner_packets(network):
            proto = inject.ETH_P_IP if packet[0] >> 4 == 4 else inject.ETH_P_IPV6
            sock.sendto(packet, (dev, proto, 0, 0, mac))
            count += 1
    print(count)


def outer_header(packet):
    """The outer header without what is different in every packet.

    The Identification of an IPv4 packet that may be cut is another one each time, and the
    checksum depends on it: repeats() looks at these. Of one that may not be cut (DF) it
    is to be the same, as is everything else. That of an IPv6 fragment header is random.
    """
    head = bytearray(packet[: 20 if packet[0] >> 4 == 4 else 40])
    if len(head) == 20:
        if esp64.checksum(head):
            return b"checksum " + head
        head[10:12] = b"\0\0"
        if not int.from_bytes(head[6:8], "big") & DF:
            head[4:6] = b"\0\0"
    elif head[6] == 44:
        head += packet[40:44]
    return bytes(head)


def repeats(packets):
    """How many IPv4 packets that may be cut have the Identification of one before.

    Packets, not fragments of one. And not where both families inside come without DF: the
    kernel draws for either on its own, so that some are the same by chance.
    """
    seen = [
        p[4:6] for p in packets
        if p[0] >> 4 == 4 and not int.from_bytes(p[6:8], "big") & (DF | 0x1FFF)
        and int.from_bytes(p[20:24], "big") % CHANGED != NOPMTUDISC
    ]
    return len(seen) - len(set(seen)), len(seen)


def body(packet):
    """What is behind the outer header."""
    if packet[0] >> 4 == 4:
        return packet[20:]
    return packet[48:] if packet[6] == 44 else packet[40:]


def opened(packets, sas):
    """ESP without its key, of fragments of one packet together."""
    by_spi = {sa.spi.to_bytes(4, "big"): sa for sa in sas}
    esp = b""
    for packet in packets:
        if packet[0] >> 4 == 4:
            word = int.from_bytes(packet[6:8], "big")
            at, more = (word & 0x1FFF) * 8, word & 0x2000
        else:
            word = int.from_bytes(packet[42:44], "big") if packet[6] == 44 else 0
            at, more = word & ~7, word & 1
        if at != len(esp):
            sys.exit(f"a fragment at {at}, behind {len(esp)} octets")
        esp += body(packet)
        if not more:
            yield esp64.opened(by_spi[esp[:4]], esp)
            esp = b""


def without_length(head):
    """An outer header but for its length: stock ESP's is four octets shorter."""
    if head[0] >> 4 == 4:
        return head[:2] + head[4:]
    return head[:4] + head[6:]


def network(packet):
    """The number of the network that an inner packet goes to."""
    return packet[18] if packet[0] >> 4 == 4 else int(packet[26:28].hex())


def congestion(packet):
    """Whether an inner packet carries CE."""
    tos = packet[1] if packet[0] >> 4 == 4 else int.from_bytes(packet[:2], "big") >> 4
    return tos & 3 == 3


def compare(directory):
    """Yield what is not as it should be."""
    got = {
        name: list(pcap.read(directory / name))
        for name in ("fast.wan", "slow.wan", "stock.wan", "fast.lan", "slow.lan", "stock.lan")
    }
    for link in ("wan", "lan"):
        counts = {path: len(got[f"{path}.{link}"]) for path in ("fast", "slow", "stock")}
        if len(set(counts.values())) != 1 or not counts["fast"]:
            yield f"packets in {link}: {counts}"
            return
    # By the three one after the other no more than by any of them
    drawn = {name: repeats(got[f"{name}.wan"]) for name in ("fast", "slow", "stock")}
    drawn["all"] = repeats(sum((got[f"{name}.wan"] for name in ("fast", "slow", "stock")), []))
    for name, (again, total) in drawn.items():
        if again:
            yield f"{name}: {again} of {total} Identifications have been there before"
    if got["fast.wan"][0][0] >> 4 == 4 and not all(total for _, total in drawn.values()):
        yield "no packet that may be cut"
    for i, (fast, slow, stock) in enumerate(zip(*(got[f"{p}.wan"] for p in ("fast", "slow", "stock")))):
        heads = [outer_header(p) for p in (fast, slow, stock)]
        if heads[0] != heads[1]:
            yield f"wan {i}: outer header {heads[0].hex()} fast, {heads[1].hex()} slow"
        if without_length(heads[0]) != without_length(heads[2]):
            yield f"wan {i}: outer header {heads[0].hex()}, {heads[2].hex()} with stock ESP"
        if len(fast) != len(slow):
            yield f"wan {i}: {len(fast)} octets fast, {len(slow)} slow"
    fast, slow = (list(opened(got[f"{p}.wan"], esp64.load_sas(directory / f"{p}.sas")))
                  for p in ("fast", "slow"))
    for i, (one, other) in enumerate(zip(fast, slow)):
        if one != other:
            yield f"wan {i}: ESP {one.hex()} fast, {other.hex()} slow"
    if len(fast) != len(slow):
        yield f"{len(fast)} ESP packets fast, {len(slow)} slow"
    for i, (fast, slow, stock) in enumerate(zip(*(got[f"{p}.lan"] for p in ("fast", "slow", "stock")))):
        if fast != slow:
            yield f"lan {i}: {fast.hex()} fast, {slow.hex()} slow"
        if fast != stock:
            yield f"lan {i}: {fast.hex()}, {stock.hex()} with stock ESP"
    # Three kinds of packets, or the comparison has shown nothing
    longer = sum(map(len, got["fast.wan"])) - sum(map(len, got["stock.wan"]))
    if longer != 4 * len(got["fast.lan"]):
        yield f"{longer} octets more than stock ESP for {len(got['fast.lan'])} packets"
    marked = {n: sum(congestion(p) for p in got["fast.lan"] if network(p) == n) for n in (1, 11)}
    if marked[11] <= marked[1]:
        yield f"CE put on in flight has not come through: {marked}"
    heads = {without_length(outer_header(p)) for p in got["fast.wan"]}
    print(f"# {len(got['fast.wan'])} packets with {len(heads)} different outer headers,"
          f" {len(got['fast.lan'])} delivered")


def main():
    """The command line."""
    if sys.argv[1:2] == ["send"] and len(sys.argv) > 4:
        send(sys.argv[2], sys.argv[3], sys.argv[4:])
    elif sys.argv[1:2] == ["compare"] and len(sys.argv) == 3:
        problems = list(compare(pathlib.Path(sys.argv[2])))
        for problem in problems[:SHOWN_PROBLEMS]:
            print(problem)
        if problems:
            sys.exit(f"{len(problems)} problems")
    else:
        sys.exit(__doc__)


main()
