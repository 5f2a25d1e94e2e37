# SPDX-License-Identifier: GPL-2.0-only
"""Two hosts behind two gateways, for flows.py: set up, packets into it, what comes of them.

        a ------- g1 ===== wan ===== g2 ------- b
    10.1.0.2                                 10.2.0.2
"""

import atexit
import errno
import itertools
import os
import select
import socket
import struct
import subprocess
import sys
from collections import Counter, defaultdict

from genl import NLM_F_DUMP, Netlink, namespace

FACTOR = int(os.environ.get("TIME_FACTOR", "1"))
# Seconds: until what has been sent has come, mostly; and of whom more is expected
QUIET, LATE = 0.006 * FACTOR, 0.3 * FACTOR
ETH_P_ALL, PACKET_OUTGOING = 3, 4
NETLINK_XFRM, XFRM_MSG_DELSA, XFRM_MSG_GETSA = 6, 0x11, 0x12
MACS = {("a", "lan"): "02:00:00:00:01:02", ("g1", "lan"): "02:00:00:00:01:01",
        ("g1", "wan"): "02:00:00:00:00:01", ("g2", "wan"): "02:00:00:00:00:02",
        ("g2", "lan"): "02:00:00:00:02:01", ("b", "lan"): "02:00:00:00:02:02"}
LINKS = (("a", "lan", "10.1.0.2", "fd01::2", "g1", "lan", "10.1.0.1", "fd01::1"),
         ("g1", "wan", "10.0.0.1", "fd00::1", "g2", "wan", "10.0.0.2", "fd00::2"),
         ("g2", "lan", "10.2.0.1", "fd02::1", "b", "lan", "10.2.0.2", "fd02::2"))
# Not Ip6InNoRoutes: what hosts say of themselves, of groups that they are in, counts there, too
MIBS = ("ForwDatagrams InHdrErrors InAddrErrors InDiscards OutNoRoutes FragOKs FragFails"
        " OutDestUnreachs OutTimeExcds IPReversePathFilter Ip6OutForwDatagrams Ip6InHdrErrors"
        " Ip6InTooBigErrors Ip6InAddrErrors Ip6InDiscards Ip6FragFails"
        " Icmp6OutDestUnreachs Icmp6OutTimeExcds Icmp6OutPktTooBigs").split()
KEY = "0x" + "".join(f"{n:02x}" for n in range(20))
SA = "src 10.0.0.{} dst 10.0.0.{} proto esp spi {} reqid {} mode tunnel flag af-unspec" \
    f" aead rfc4106(gcm(aes)) {KEY} 128"


def run(*words, text=None, check=True):
    """A program; its output."""
    done = subprocess.run(words, input=text, text=True, capture_output=True, check=False)
    if check and done.returncode:
        sys.exit(f"{' '.join(words)}: {done.stderr}\n{text or ''}")
    return done.stdout


def checksum(data):
    """RFC 1071."""
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ip4(src, dst, proto, payload, *, tos=0, ttl=64, df=True, options=b"", ident=1):
    """An IPv4 packet."""
    head = struct.pack("!BBHHHBBH4s4s", 0x45 + len(options) // 4, tos,
                       20 + len(options) + len(payload), ident, 0x4000 * df, ttl, proto, 0,
                       socket.inet_aton(src), socket.inet_aton(dst)) + options
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload


def ip6(src, dst, proto, payload, *, tos=0, ttl=64, label=0):
    """An IPv6 packet."""
    return struct.pack("!IHBB", 6 << 28 | tos << 20 | label, len(payload), proto, ttl) + \
        socket.inet_pton(socket.AF_INET6, src) + socket.inet_pton(socket.AF_INET6, dst) + payload


def upper(src, dst, proto, payload, at):
    """An upper-layer header's checksum, with its pseudo header, put in."""
    family = socket.AF_INET6 if ":" in src else socket.AF_INET
    pseudo = socket.inet_pton(family, src) + socket.inet_pton(family, dst) + \
        (struct.pack("!II", len(payload), proto) if ":" in src else
         struct.pack("!HH", proto, len(payload)))
    return payload[:at] + struct.pack("!H", checksum(pseudo + payload) or 0xFFFF) + payload[at + 2:]


def segment(src, dst, kind, number, size, tag):
    """Protocol and payload of a packet of flow NUMBER of a kind."""
    fill = struct.pack("!I", tag) + bytes(size)
    if kind == "udp":
        data = struct.pack("!HHHH", 1000 + number, 9, 8 + len(fill), 0) + fill
        return 17, upper(src, dst, 17, data, 6)
    if kind == "tcp":
        data = struct.pack("!HHIIBBHHH", 2000 + number, 80, tag, 0, 0x50, 2, 100, 0, 0) + fill
        return 6, upper(src, dst, 6, data, 16)
    if kind == "echo":
        if ":" in src:
            data = struct.pack("!BBHHH", 128, 0, 0, number, tag & 0xFFFF) + fill
            return 58, upper(src, dst, 58, data, 2)
        data = struct.pack("!BBHHH", 8, 0, 0, number, tag & 0xFFFF) + fill
        return 1, data[:2] + struct.pack("!H", checksum(data)) + data[4:]
    if kind == "gre":
        return 47, struct.pack("!HHI", 0x2000, 0x0800, number) + fill
    if kind == "esp":
        return 50, struct.pack("!II", 0x5000 + number, tag) + fill
    return 132, struct.pack("!HHII", 3000 + number, 9, 0, 0) + fill


class Pair:
    """Hosts and gateways; with caches or without."""

    # What is done at random may not go; in neither pair
    strict = True

    def __init__(self, tag, cache, lists=False):
        self.ns = {n: f"{n}{tag}-{os.getpid()}" for n in ("a", "g1", "g2", "b")}
        atexit.register(self.close)
        for n in self.ns.values():
            run("ip", "netns", "add", n)
            run("ip", "-n", n, "link", "set", "lo", "up")
        for one in LINKS:
            run("ip", "link", "add", one[1], "netns", self.ns[one[0]], "type", "veth", "peer",
                "name", one[5], "netns", self.ns[one[4]])
        for n in self.ns:
            self.sysctl(n, "net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1"
                        " net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0"
                        " net.ipv4.conf.lan.rp_filter=0 net.ipv4.icmp_ratelimit=0"
                        " net.ipv4.icmp_msgs_per_sec=100000 net.ipv4.icmp_msgs_burst=100000"
                        " net.ipv6.icmp.ratelimit=0 net.ipv6.conf.lan.accept_dad=0"
                        " net.ipv4.conf.all.send_redirects=0")
        for one in LINKS:
            self.end(*one[:4], *one[4:])
            self.end(*one[4:], *one[:4])
        self.ip("a", "route add default via 10.1.0.1\nroute add default via fd01::1")
        self.ip("b", "route add default via 10.2.0.1\nroute add default via fd02::1")
        self.ip("g1", "route add 10.2.0.0/24 via 10.0.0.2\nroute add fd02::/64 via fd00::2")
        self.ip("g2", "route add 10.1.0.0/24 via 10.0.0.1\nroute add fd01::/64 via fd00::1\n"
                "route add 10.3.0.0/24 via 10.0.0.1")
        self.policies("g1", "10.0.0.0/8", "10.2.0.0/24", "10.0.0.1", "10.0.0.2", 1)
        self.policies("g1", "fd01::/64", "fd02::/64", "10.0.0.1", "10.0.0.2", 1)
        self.policies("g2", "10.2.0.0/24", "10.0.0.0/8", "10.0.0.2", "10.0.0.1", 2)
        self.policies("g2", "fd02::/64", "fd01::/64", "10.0.0.2", "10.0.0.1", 2)
        # What has queued up is received as a list; veth does so of a sender that has no TSO
        self.patience = 3 * QUIET if lists else QUIET
        if lists:
            run("ip", "netns", "exec", self.ns["g1"], "ethtool", "-K", "lan", "gro", "on")
            run("ip", "netns", "exec", self.ns["a"], "ethtool", "-K", "lan", "tso", "off")
            run("ip", "netns", "exec", self.ns["a"], "tc", "qdisc", "add", "dev", "lan", "root",
                "netem", "delay", "3ms")
        self.spi = 0x100
        self.sas(0x100)
        self.sockets = {}
        for name, dev in (("a", "lan"), ("b", "lan"), ("g1", "wan"), ("g2", "wan")):
            self.listen(name, dev)
        self.switch("on" if cache else "off")

    def listen(self, name, dev):
        """To what passes a device."""
        with namespace(self.ns[name]):
            s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        s.bind((dev, ETH_P_ALL))
        self.sockets[name] = s

    def end(self, n, dev, four, six, peer, peer_dev, peer_four, peer_six):
        """One end of a link; who is at the other is known."""
        self.ip(n, f"link set {dev} address {MACS[n, dev]}\nlink set {dev} up\n"
                f"addr add {four}/24 dev {dev}\naddr add {six}/64 dev {dev} nodad\n"
                f"neigh replace {peer_four} lladdr {MACS[peer, peer_dev]} dev {dev} nud permanent\n"
                f"neigh replace {peer_six} lladdr {MACS[peer, peer_dev]} dev {dev} nud permanent")

    def close(self):
        """No trace of it; whoever does not get here does it at the end."""
        atexit.unregister(self.close)
        for n in self.ns.values():
            run("ip", "netns", "del", n, check=False)

    def ip(self, n, lines, check=True):
        """Lines of ip -batch; with -6 in front, of ip -6."""
        out = ""
        for six, some in itertools.groupby(lines.splitlines(), lambda line: line.startswith("-6 ")):
            text = "".join(line.removeprefix("-6 ") + "\n" for line in some)
            out += run("ip", *["-6"] * six, "-n", self.ns[n], "-force", "-batch", "-", text=text,
                       check=check and self.strict)
        return out

    def sysctl(self, n, words):
        """NAME=VALUE ..."""
        run("ip", "netns", "exec", self.ns[n], "sysctl", "-qw", *words.split())

    def nft(self, n, text):
        """Rules."""
        run("ip", "netns", "exec", self.ns[n], "nft", "-f", "-", text=text)

    def switch(self, word):
        """The caches."""
        for n in ("g1", "g2"):
            run("ip", "-n", self.ns[n], "xfrm", "ext", "flows", word)

    def hits(self):
        """Of both gateways."""
        words = [run("ip", "-n", self.ns[n], "xfrm", "ext", "flows").split() for n in ("g1", "g2")]
        return [int(w[w.index("hits") + 1]) for w in words]

    def policies(self, n, here, there, outer_here, outer_there, reqid):
        """Of one gateway and family."""
        tmpl = "tmpl src {} dst {} proto esp reqid {} mode tunnel"
        back = tmpl.format(outer_there, outer_here, 3 - reqid)
        self.ip(n, f"xfrm policy add src {here} dst {there} dir out priority 100 "
                + tmpl.format(outer_here, outer_there, reqid)
                + f"\nxfrm policy add src {there} dst {here} dir in priority 100 {back}"
                + f"\nxfrm policy add src {there} dst {here} dir fwd priority 100 {back}")

    def sas(self, spi, at_g2=""):
        """Both directions at both ends; with words for what is received at g2."""
        there = "xfrm state add " + SA.format(1, 2, spi, 1)
        back = "xfrm state add " + SA.format(2, 1, spi + 1, 2)
        self.ip("g2", f"{there} {at_g2} ext rx-subspaces 8\n{back} ext tx-subspaces 8")
        self.ip("g1", f"{back} ext rx-subspaces 8\n{there} ext tx-subspaces 8")
        self.spi = spi

    def gone(self, *spis, ends=("g1", "g2")):
        """SAs deleted, as many of them as there are; ip would stop at the first that is not."""
        numbers = {struct.pack("!I", n) for spi in spis for n in (spi, spi + 1)}
        for n in ends:
            with namespace(self.ns[n]):
                netlink = Netlink(NETLINK_XFRM)
            for found in netlink.request(XFRM_MSG_GETSA, b"", NLM_F_DUMP):
                if found[72:76] in numbers:
                    # struct xfrm_usersa_id
                    netlink.request(XFRM_MSG_DELSA, found[56:76] + found[212:214] + b"\x32\0")
            netlink.sock.close()

    def send(self, packets):
        """Packets from a, and what comes of them."""
        mac = bytes.fromhex((MACS["g1", "lan"] + MACS["a", "lan"]).replace(":", ""))
        for data in packets:
            kind = b"\x86\xdd" if data[0] >> 4 == 6 else b"\x08\x00"
            self.sockets["a"].send(mac + kind + data)
        return self.outcome()

    def outcome(self, patience=None):
        """What has come, until nothing comes any more."""
        patience = patience or self.patience
        out = {n: [] for n in self.sockets}
        by = {s.fileno(): n for n, s in self.sockets.items()}
        while ready := select.select(list(by), [], [], patience)[0]:
            for fd in ready:
                try:
                    data, where = self.sockets[by[fd]].recvfrom(65536)
                except OSError as e:
                    # Said once, of a device that has been set down
                    if e.errno != errno.ENETDOWN:
                        raise
                    continue
                if where[2] != PACKET_OUTGOING:
                    out[by[fd]].append(data[14:])
        return out

    def counters(self):
        """Of both gateways."""
        out = {}
        for n in ("g1", "g2"):
            text = run("ip", "netns", "exec", self.ns[n], "sh", "-c",
                       "cat /proc/net/snmp /proc/net/netstat /proc/net/snmp6 /proc/net/xfrm_stat")
            lines = text.splitlines()
            for names, values in zip(lines, lines[1:]):
                if names.split()[0] == values.split()[0] and names.startswith(("Ip", "Icmp:", "Tcp")):
                    pairs = zip(names.split()[1:], values.split()[1:])
                    out |= {(n, k): int(v) for k, v in pairs if k in MIBS}
            for line in lines:
                words = line.split()
                if len(words) == 2 and (words[0] in MIBS or words[0].startswith("Xfrm")):
                    out[n, words[0]] = int(words[1])
        return out

    def accounts(self):
        """What SAs and policies have carried."""
        found = []
        for n in ("g1", "g2"):
            words = run("ip", "-n", self.ns[n], "-s", "xfrm", "state").replace(",", " ").split()
            found.append((n, [w for w in words if w.endswith(("(bytes)", "(packets)"))]))
            text = run("ip", "-n", self.ns[n], "-s", "xfrm", "policy")
            found.append((n, [line.split()[-1] == "-" for line in text.splitlines()
                              if line.split()[:1] == ["add"]]))
        return found


def ours(data):
    """Whether a packet is about what was sent: no neighbour discovery, IGMP and the like."""
    if data[0] >> 4 == 6:
        return data[24] != 0xFF and not (data[6] == 58 and 133 <= data[40] <= 137)
    return data[0] >> 4 == 4 and data[16] < 0xE0


def plain(data):
    """Without what a sender chooses as it likes: IPv4's Identification, of what a host sent.

    The same of what an ICMP error tells of; its checksum does not change with that.
    """
    if data[0] >> 4 == 6:
        return data
    data = data[:4] + b"\0\0" + data[6:10] + b"\0\0" + data[12:]
    if data[9] == 1 and data[20] in (3, 11, 12):
        return data[:28] + plain(data[28:])
    return data


def seen(outcome):
    """An outcome, to be compared: by flow, in order."""
    found = {}
    for n in ("a", "b"):
        flows = defaultdict(list)
        for data in filter(ours, outcome[n]):
            at = 40 if data[0] >> 4 == 6 else (data[0] & 15) * 4
            who = data[8:40] if data[0] >> 4 == 6 else data[12:20]
            # GRE has its key behind the first word
            proto = data[6] if data[0] >> 4 == 6 else data[9]
            flows[who + data[at:at + (8 if proto == 47 else 4)]].append(plain(data))
        found[n] = dict(flows)
    # The SPI of what is ESP, and not a later fragment of it
    for n in ("g1", "g2"):
        found[f"to {n}"] = Counter(
            (data[0] >> 4, len(data), data[20:24] if data[9] == 50 and not
             struct.unpack_from("!H", data, 6)[0] & 0x1FFF else data[9:10])
            for data in filter(ours, outcome[n]))
    return found
