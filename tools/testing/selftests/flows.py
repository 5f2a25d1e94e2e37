#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Two gateways twice, one pair with its caches of flows on: nobody may see a difference.

    flows.py rows [NAME...]     what invalidates flows, one after the other, each while flows
                                are in the cache
    flows.py random SEED N      N sequences of random changes and traffic; prints what was done
                                if there is a difference
    flows.py load N             one pair, with caches: nothing is lost, nothing goes in clear, and
                                nothing through an SA that has a successor, over N rekeys, policy swaps
                                and route flaps

        a ------- g1 ===== wan ===== g2 ------- b
    10.1.0.2                                 10.2.0.2

Both pairs get the same packets and the same changes. Compared are the packets that come
out at b and a, octet by octet and in order within a flow, what is on the wire between the
gateways, and the gateways' counters.
"""

import itertools
import os
import random
import select
import socket
import struct
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict

from genl import namespace

FACTOR = int(os.environ.get("TIME_FACTOR", "1"))
QUIET = 0.03 * FACTOR
ETH_P_ALL, PACKET_OUTGOING = 3, 4
MACS = {("a", "lan"): "02:00:00:00:01:02", ("g1", "lan"): "02:00:00:00:01:01",
        ("g1", "wan"): "02:00:00:00:00:01", ("g2", "wan"): "02:00:00:00:00:02",
        ("g2", "lan"): "02:00:00:00:02:01", ("b", "lan"): "02:00:00:00:02:02"}
LINKS = (("a", "lan", "10.1.0.2", "fd01::2", "g1", "lan", "10.1.0.1", "fd01::1"),
         ("g1", "wan", "10.0.0.1", "fd00::1", "g2", "wan", "10.0.0.2", "fd00::2"),
         ("g2", "lan", "10.2.0.1", "fd02::1", "b", "lan", "10.2.0.2", "fd02::2"))
MIBS = ("ForwDatagrams InHdrErrors InAddrErrors InDiscards OutNoRoutes FragOKs FragFails"
        " OutDestUnreachs OutTimeExcds IPReversePathFilter Ip6OutForwDatagrams Ip6InHdrErrors"
        " Ip6InTooBigErrors Ip6InNoRoutes Ip6InAddrErrors Ip6InDiscards Ip6FragFails"
        " Icmp6OutDestUnreachs Icmp6OutTimeExcds Icmp6OutPktTooBigs").split()
KEY = "0x" + "".join(f"{n:02x}" for n in range(20))


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
        # What has queued up is received as a list
        if lists:
            run("ip", "netns", "exec", self.ns["g1"], "ethtool", "-K", "lan", "gro", "on")
            run("ip", "netns", "exec", self.ns["a"], "tc", "qdisc", "add", "dev", "lan", "root",
                "netem", "delay", "3ms")
        self.spi = 0x100
        self.sas(0x100)
        self.sockets = {}
        for name, dev in (("a", "lan"), ("b", "lan"), ("g2", "wan")):
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
        """No trace of it."""
        for n in self.ns.values():
            run("ip", "netns", "del", n)

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

    def sas(self, spi):
        """Both directions at both ends."""
        one = "xfrm state add src 10.0.0.{} dst 10.0.0.{} proto esp spi {} reqid {} mode tunnel" \
            f" flag af-unspec aead rfc4106(gcm(aes)) {KEY} 128 ext"
        there = one.format(1, 2, spi, 1)
        back = one.format(2, 1, spi + 1, 2)
        self.ip("g2", f"{there} rx-subspaces 8\n{back} tx-subspaces 8")
        self.ip("g1", f"{back} rx-subspaces 8\n{there} tx-subspaces 8")
        self.spi = spi

    def gone(self, spi, ends=("g1", "g2")):
        """SAs deleted."""
        for n in ends:
            self.ip(n, f"xfrm state delete src 10.0.0.1 dst 10.0.0.2 proto esp spi {spi}\n"
                    f"xfrm state delete src 10.0.0.2 dst 10.0.0.1 proto esp spi {spi + 1}", False)

    def send(self, packets):
        """Packets from a, and what comes of them."""
        mac = bytes.fromhex((MACS["g1", "lan"] + MACS["a", "lan"]).replace(":", ""))
        for data in packets:
            kind = b"\x86\xdd" if data[0] >> 4 == 6 else b"\x08\x00"
            self.sockets["a"].send(mac + kind + data)
        return self.outcome()

    def outcome(self):
        """What has come, until nothing comes any more."""
        out = {n: [] for n in self.sockets}
        by = {s.fileno(): n for n, s in self.sockets.items()}
        while ready := select.select(list(by), [], [], QUIET)[0]:
            for fd in ready:
                data, where = self.sockets[by[fd]].recvfrom(65536)
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
    """Whether a packet is about what was sent: no neighbour discovery and the like."""
    if data[0] >> 4 == 6:
        return data[24] != 0xFF and not (data[6] == 58 and 133 <= data[40] <= 137)
    return data[0] >> 4 == 4


def plain(data):
    """Without what a sender chooses as it likes: IPv4's Identification, of what a host sent."""
    if data[0] >> 4 == 6:
        return data
    return data[:4] + b"\0\0" + data[6:10] + b"\0\0" + data[12:]


def seen(outcome):
    """An outcome, to be compared: by flow, in order."""
    found = {}
    for n in ("a", "b"):
        flows = defaultdict(list)
        for data in filter(ours, outcome[n]):
            at = 40 if data[0] >> 4 == 6 else (data[0] & 15) * 4
            who = data[8:40] if data[0] >> 4 == 6 else data[12:20]
            flows[who + data[at:at + 4]].append(plain(data))
        found[n] = dict(flows)
    # The SPI of what is ESP, and not a later fragment of it
    found["wan"] = Counter((data[0] >> 4, len(data), data[20:24] if data[9] == 50 and not
                            struct.unpack_from("!H", data, 6)[0] & 0x1FFF else data[9:10])
                           for data in filter(ours, outcome["g2"]))
    return found


def both(lines, n="g1", undo=()):
    """A change that is lines of ip -batch; how it is taken back."""
    return (lambda p: p.ip(n, lines)), (lambda p: p.ip(n, "\n".join(undo)))


def set_to(n, new, old):
    """A change of sysctls."""
    return (lambda p: p.sysctl(n, new)), (lambda p: p.sysctl(n, old))


def rules(n, text):
    """A change of netfilter."""
    return (lambda p: p.nft(n, text)), (lambda p: p.nft(n, "flush ruleset"))


def rekey(p):
    """New SAs, then the old ones go."""
    old = p.spi
    p.sas(old + 2)
    p.gone(old)


def rekeyed(p):
    """New SAs, and the old ones stay."""
    p.sas(p.spi + 2)


def clean(p):
    """All but the youngest are gone."""
    for spi in range(0x100, p.spi, 2):
        p.gone(spi)


def route_back(p):
    """What goes with a link that is down."""
    p.ip("g1", "addr replace fd00::1/64 dev wan nodad\nroute replace 10.2.0.0/24 via 10.0.0.2\n"
         "route replace fd02::/64 via fd00::2\n"
         f"neigh replace 10.0.0.2 lladdr {MACS['g2', 'wan']} dev wan nud permanent\n"
         f"neigh replace fd00::2 lladdr {MACS['g2', 'wan']} dev wan nud permanent")
    p.ip("g2", f"neigh replace 10.0.0.1 lladdr {MACS['g1', 'wan']} dev wan nud permanent\n"
         f"neigh replace fd00::1 lladdr {MACS['g1', 'wan']} dev wan nud permanent\n"
         "route replace 10.1.0.0/24 via 10.0.0.1\nroute replace fd01::/64 via fd00::1\n"
         "route replace 10.3.0.0/24 via 10.0.0.1")


def link_down(p):
    """And up again."""
    p.ip("g1", "link set wan down")


def link_up(p):
    """With all that went with it."""
    p.ip("g1", "link set wan up")
    time.sleep(0.05 * FACTOR)
    route_back(p)


def in_vrf(p):
    """lan becomes another table's."""
    p.ip("g1", "link add red type vrf table 10\nlink set red up\nlink set lan master red")


def out_of_vrf(p):
    """And comes back."""
    p.ip("g1", "link set lan nomaster\nlink del red\n"
         "addr replace fd01::1/64 dev lan nodad\n"
         f"neigh replace 10.1.0.2 lladdr {MACS['a', 'lan']} dev lan nud permanent\n"
         f"neigh replace fd01::2 lladdr {MACS['a', 'lan']} dev lan nud permanent")


BLOCK4, BLOCK6 = "src 10.1.0.2/32 dst 10.2.0.2/32", "src fd01::2/128 dst fd02::2/128"
OUT4 = "src 10.0.0.0/8 dst 10.2.0.0/24 dir out"
IN4 = "src 10.0.0.0/8 dst 10.2.0.0/24 dir fwd"
TMPL = "tmpl src 10.0.0.1 dst 10.0.0.2 proto esp reqid {} mode tunnel"
# By name: how a change is made, and how it is taken back
CHANGES = {
    "route gone": both("route del 10.2.0.0/24\nroute del fd02::/64", undo=[
        "route add 10.2.0.0/24 via 10.0.0.2", "route add fd02::/64 via fd00::2"]),
    "route blackhole": both("route replace blackhole 10.2.0.0/24", undo=[
        "route replace 10.2.0.0/24 via 10.0.0.2"]),
    "route more specific": both("route add unreachable 10.2.0.2/32\nroute add unreachable fd02::2/128",
                                undo=["route del unreachable 10.2.0.2/32",
                                      "route del unreachable fd02::2/128"]),
    "route behind decryption": both("route add prohibit 10.2.0.2/32\nroute add prohibit fd02::2/128",
                                    "g2", ["route del prohibit 10.2.0.2/32",
                                           "route del prohibit fd02::2/128"]),
    "route MTU": both("route replace 10.2.0.0/24 via 10.0.0.2 mtu lock 1300", undo=[
        "route replace 10.2.0.0/24 via 10.0.0.2"]),
    "route to the peer": both("route add unreachable 10.0.0.2/32", undo=[
        "route del unreachable 10.0.0.2/32"]),
    "rule by TOS": both("rule add tos 0x10 prio 100 prohibit", undo=["rule del prio 100"]),
    "rule by interface": both("rule add dev lan prio 101 unreachable\n-6 rule add dev lan prio 101 unreachable",
                              undo=["rule del prio 101", "-6 rule del prio 101"]),
    "rule by port": both("rule add ipproto udp sport 1001 prio 102 prohibit", undo=[
        "rule del prio 102"]),
    "rule by mark": both("rule add fwmark 1 prio 103 unreachable", undo=["rule del prio 103"]),
    "policy block out": both(f"xfrm policy add {BLOCK4} dir out action block priority 10\n"
                             f"xfrm policy add {BLOCK6} dir out action block priority 10", undo=[
                                 f"xfrm policy delete {BLOCK4} dir out",
                                 f"xfrm policy delete {BLOCK6} dir out"]),
    "policy bypass out": both(f"xfrm policy add {BLOCK4} proto udp dir out action allow priority 10",
                              undo=[f"xfrm policy delete {BLOCK4} proto udp dir out"]),
    "policy gone out": both(f"xfrm policy delete {OUT4}", undo=[
        f"xfrm policy add {OUT4} priority 100 {TMPL.format(1)}"]),
    "policy updated": both(f"xfrm policy update {OUT4} priority 100 {TMPL.format(7)}", undo=[
        f"xfrm policy update {OUT4} priority 100 {TMPL.format(1)}"]),
    "policy fwd of clear packets": both(f"xfrm policy add {BLOCK4} dir fwd action block priority 10\n"
                                        f"xfrm policy add {BLOCK6} dir fwd action block priority 10",
                                        undo=[f"xfrm policy delete {BLOCK4} dir fwd",
                                              f"xfrm policy delete {BLOCK6} dir fwd"]),
    "policy fwd block": both(f"xfrm policy add {BLOCK4} dir fwd action block priority 10\n"
                             f"xfrm policy add {BLOCK6} dir fwd action block priority 10", "g2",
                             [f"xfrm policy delete {BLOCK4} dir fwd",
                              f"xfrm policy delete {BLOCK6} dir fwd"]),
    "policy fwd gone": both(f"xfrm policy delete {IN4}", "g2", [
        f"xfrm policy add {IN4} priority 100 {TMPL.format(1)}"]),
    "policy fwd updated": both(f"xfrm policy update {IN4} priority 100 {TMPL.format(7)}", "g2", [
        f"xfrm policy update {IN4} priority 100 {TMPL.format(1)}"]),
    "policy out behind decryption": both(f"xfrm policy add {BLOCK4} dir out action block\n"
                                         f"xfrm policy add {BLOCK6} dir out action block", "g2",
                                         [f"xfrm policy delete {BLOCK4} dir out",
                                          f"xfrm policy delete {BLOCK6} dir out"]),
    "default policy": ((lambda p: p.ip("g1", "xfrm policy setdefault fwd block")),
                       (lambda p: p.ip("g1", "xfrm policy setdefault fwd accept"))),
    "rekey": (rekey, clean),
    "second SA": (rekeyed, clean),
    "SA gone out": ((lambda p: p.gone(p.spi, ["g1"])), (lambda p: (p.gone(p.spi), p.sas(p.spi + 2)))),
    "SA gone in": ((lambda p: p.gone(p.spi, ["g2"])), (lambda p: (p.gone(p.spi), p.sas(p.spi + 2)))),
    "SAs flushed": ((lambda p: p.ip("g1", "xfrm state flush")),
                    (lambda p: (p.gone(p.spi), p.sas(p.spi + 2)))),
    "link down": (link_down, link_up),
    "link MTU": both("link set wan mtu 1300", undo=["link set wan mtu 1500"]),
    "VRF": (in_vrf, out_of_vrf),
    "address": both("addr add 10.2.0.2/32 dev lo\naddr add fd02::2/128 dev lo nodad", undo=[
        "addr del 10.2.0.2/32 dev lo", "addr del fd02::2/128 dev lo"]),
    "ip_forward": set_to("g1", "net.ipv4.ip_forward=0", "net.ipv4.ip_forward=1"),
    "forwarding, IPv6": set_to("g1", "net.ipv6.conf.all.forwarding=0", "net.ipv6.conf.all.forwarding=1"),
    "forwarding of an interface": set_to("g1", "net.ipv4.conf.lan.forwarding=0",
                                         "net.ipv4.conf.lan.forwarding=1"),
    "rp_filter": set_to("g1", "net.ipv4.conf.lan.rp_filter=1", "net.ipv4.conf.lan.rp_filter=0"),
    "rp_filter of all": set_to("g1", "net.ipv4.conf.all.rp_filter=1", "net.ipv4.conf.all.rp_filter=0"),
    "disable_xfrm": set_to("g1", "net.ipv4.conf.wan.disable_xfrm=1", "net.ipv4.conf.wan.disable_xfrm=0"),
    "disable_policy": set_to("g2", "net.ipv4.conf.wan.disable_policy=1 net.ipv6.conf.wan.disable_policy=1",
                             "net.ipv4.conf.wan.disable_policy=0 net.ipv6.conf.wan.disable_policy=0"),
    "netfilter FORWARD": rules("g1", "table inet t { chain c { type filter hook forward priority 0;"
                               " udp sport 1001 drop; meta l4proto icmp counter; }\n}"),
    "netfilter mark": rules("g1", "table inet t { chain c { type filter hook prerouting priority 0;"
                            " udp sport 1001 meta mark set 1; }\n}"),
    "netfilter NAT": rules("g1", "table ip t { chain c { type nat hook prerouting priority -100;"
                           " udp sport 1000 dnat to 10.2.0.1; }\n}"),
}
# What must be there before, for a change to be seen
NEEDS = {"rule by mark": ["netfilter mark"], "netfilter mark": ["rule by mark"]}


# What lets pass what passed before
UNSEEN = {"disable_policy"}


def flows(rng=None):
    """(packet maker) of each flow; all of them, or some at random."""
    kinds = [("10.1.0.2", "10.2.0.2", k, n) for k in ("udp", "tcp", "echo", "gre", "esp", "sctp")
             for n in (0, 1)]
    kinds += [("fd01::2", "fd02::2", k, n) for k in ("udp", "tcp", "echo", "gre", "esp", "sctp")
              for n in (0, 1)]
    kinds += [("10.3.0.2", "10.2.0.2", "udp", 0)]
    if rng:
        kinds = rng.sample(kinds, rng.randint(1, 6))
    return kinds


class Twins:
    """The two pairs."""

    def __init__(self, lists):
        self.pairs = [Pair("x", False, lists), Pair("y", True, lists)]
        self.tag = itertools.count(1)
        self.done, self.last = [], None
        time.sleep(0.2 * FACTOR)
        for p in self.pairs:
            p.outcome()
        self.base = [p.counters() for p in self.pairs]

    def close(self):
        """Both."""
        for p in self.pairs:
            p.close()

    def change(self, name, back=False):
        """A change, in both."""
        self.done.append(("undo " if back else "") + name)
        for p in self.pairs:
            CHANGES[name][back](p)

    def traffic(self, packets):
        """The same packets into both; true if the same comes of them."""
        one, other = (seen(p.send(packets)) for p in self.pairs)
        self.last = [sorted(len(v) for v in one[n].values()) for n in ("a", "b")], one["wan"]
        if one == other:
            return True
        for where, (x, y) in {n: (one[n], other[n]) for n in one}.items():
            if x != y:
                print(f"# {where}, without: {show(x)}")
                print(f"# {where}, with:    {show(y)}")
        return False

    def packets(self, kinds, rng=None):
        """One of each kind; odd ones, too, if they are random."""
        made = []
        for src, dst, kind, number in kinds:
            # One that an MTU decides about
            size, more = 1350 if (kind, number) == ("udp", 1) else 20, {"tos": 0x10 * number}
            if rng:
                size = rng.choice((0, 20, 20, 20, 1380, 1430))
                more = {"tos": rng.choice((0, 0, 0x10, 0xB8)), "ttl": rng.choice((64, 64, 64, 2, 1))}
            proto, data = segment(src, dst, kind, number, size, next(self.tag))
            if ":" in src:
                made.append(ip6(src, dst, proto, data, **more))
                continue
            if rng:
                more["df"] = rng.random() < 0.7
                more["options"] = rng.choice((b"",) * 9 + (b"\x01\x01\x01\x01",))
            made.append(ip4(src, dst, proto, data, **more))
        return made

    def counters(self):
        """True if they count the same."""
        now = [p.counters() for p in self.pairs]
        got = [{k: v - base.get(k, 0) for k, v in n.items() if v != base.get(k, 0)}
               for n, base in zip(now, self.base)]
        if got[0] == got[1]:
            return True
        for k in sorted(set(got[0]) | set(got[1])):
            if got[0].get(k) != got[1].get(k):
                print(f"# {k}: without {got[0].get(k, 0)}, with {got[1].get(k, 0)}")
        return False

    def accounts(self):
        """True if SAs have carried the same."""
        got = [p.accounts() for p in self.pairs]
        if got[0] == got[1]:
            return True
        print(f"# without {got[0]}\n# with    {got[1]}")
        return False


def show(found):
    """An outcome, shortly."""
    if isinstance(found, Counter):
        return dict(found)
    return {k[-4:].hex(): [d.hex()[:120] for d in v] for k, v in found.items()}


def row(twins, name):
    """A change while flows are known, in one second with the packets before and behind."""
    kinds = flows()
    for _ in range(20):
        for need in NEEDS.get(name, ()):
            twins.change(need)
        time.sleep(1 - time.time() % 1)
        start = int(time.time())
        before = twins.pairs[1].hits()
        good = all([twins.traffic(twins.packets(kinds)) for _ in range(2)])
        normal = twins.last
        twins.change(name)
        good = all([twins.traffic(twins.packets(kinds)) for _ in range(2)]) and good
        effect = twins.last != normal
        in_time = int(time.time()) == start
        known = [now - then for now, then in zip(twins.pairs[1].hits(), before)]
        twins.change(name, True)
        good = all([twins.traffic(twins.packets(kinds)) for _ in range(2)]) and good
        for need in NEEDS.get(name, ()):
            twins.change(need, True)
        good = twins.traffic(twins.packets(kinds)) and good
        if not good or not twins.counters():
            return "a difference"
        if not effect and name not in UNSEEN:
            return "no effect"
        if in_time and all(known):
            return None
    return "not within a second" if not in_time else f"hits: {known}"


def rows(names):
    """Each change."""
    twins, failed = Twins("-uml" not in os.environ.get("KERNEL_NAME", "")), 0
    for name in names or CHANGES:
        why = row(twins, name)
        print(f"{'FAILED' if why else 'good  '} {name}{': ' + why if why else ''}", flush=True)
        failed += bool(why)
    failed += not twins.accounts()
    twins.close()
    return failed


def sequence(rng, steps):
    """Changes, taken back in any order, and traffic in between: packets that took a known way.

    None if there was a difference.
    """
    twins, made = Twins(rng.random() < 0.5), []
    for p in twins.pairs:
        p.strict = False
    for step in range(steps):
        if rng.random() < 0.5:
            if made and (len(made) > 2 or rng.random() < 0.5):
                twins.change(made.pop(rng.randrange(len(made))), True)
            else:
                # Two that are about the same thing would be in each other's way
                free = [n for n in CHANGES if n.split()[0] not in {m.split()[0] for m in made}]
                made.append(rng.choice(free))
                twins.change(made[-1])
        kinds = flows(rng)
        good = all([twins.traffic(twins.packets(kinds, rng if rng.random() < 0.4 else None))
                    for _ in range(rng.randint(1, 4))])
        if step == steps - 1 or not good:
            good = twins.counters() and twins.accounts() and good
        if not good:
            print(f"# step {step}: {'; '.join(twins.done)}")
            return None
    hits = sum(twins.pairs[1].hits())
    twins.close()
    return hits


def randomly(seed, sequences):
    """So many sequences, of 20 steps each."""
    rng, known = random.Random(seed), 0
    for n in range(sequences):
        hits = sequence(rng, 20)
        if hits is None:
            print(f"# seed {seed}, sequence {n}")
            return True
        known += hits
    print(f"# seed {seed}: {sequences} sequences, {known} packets took a way that was known")
    return not known


class Load(threading.Thread):
    """Packets into a pair, at any time, until it is over; which have come, and what was seen."""

    def __init__(self, pair):
        super().__init__()
        self.pair, self.over, self.sent, self.come, self.clear, self.spis = pair, False, 0, set(), 0, set()

    def run(self):
        mac = bytes.fromhex((MACS["g1", "lan"] + MACS["a", "lan"]).replace(":", ""))
        while not self.over:
            for number in range(4):
                self.sent += 1
                _, data = segment("10.1.0.2", "10.2.0.2", "udp", number, 20, self.sent)
                packet = ip4("10.1.0.2", "10.2.0.2", 17, data)
                self.pair.sockets["a"].send(mac + b"\x08\x00" + packet)
            self.drain(0.002)
        self.drain(1 * FACTOR)

    def drain(self, patience):
        """What has come."""
        b, wan = self.pair.sockets["b"], self.pair.sockets["g1"]
        while ready := select.select([b, wan], [], [], patience)[0]:
            for s in ready:
                data, where = s.recvfrom(65536)
                data = data[14:]
                if data[0] != 0x45:
                    continue
                if s is b and data[9] == 17:
                    self.come.add(struct.unpack_from("!I", data, 28)[0])
                elif s is wan and where[2] == PACKET_OUTGOING:
                    self.clear += data[9] != 50
                    self.spis.add(struct.unpack_from("!I", data, 20)[0])


def load(times):
    """Rekeys, policy swaps and route flaps, while packets pass."""
    p = Pair("z", True)
    p.listen("g1", "wan")
    time.sleep(0.2 * FACTOR)
    p.outcome()
    traffic, wrong = Load(p), 0
    # It says who sent nothing
    p.nft("b", "table ip t { chain c { type filter hook input priority 0; udp dport 9 drop; }\n}")
    traffic.start()
    for n in range(times):
        old = p.spi
        p.sas(old + 2)
        # What was on its way has been seen by then
        time.sleep(0.01 * FACTOR)
        traffic.spis.clear()
        other = "10.2.0.0/24 via 10.0.0.2 mtu " + str(1400 + n % 50)
        p.ip("g1", f"xfrm policy update {OUT4} priority {101 + n % 2} {TMPL.format(1)}\n"
             f"route replace {other}\nxfrm policy update {OUT4} priority 100 {TMPL.format(1)}")
        time.sleep(0.004 * FACTOR)
        wrong += bool(traffic.spis - {old + 2})
        p.gone(old)
    traffic.over = True
    traffic.join()
    hits = p.hits()
    p.close()
    lost = traffic.sent - len(traffic.come)
    print(f"# {times} times: {traffic.sent} packets, {lost} lost, {traffic.clear} in clear,"
          f" {wrong} times an SA that had a successor; hits {hits}")
    return lost or traffic.clear or wrong or not all(hits)


def main():
    # As many errors as there are packets, also for those that have no route
    run("sysctl", "-qw", "net.ipv4.route.error_cost=0")
    if "Unknown device type" in subprocess.run(["ip", "link", "add", "red", "type", "vrf", "table", "10"],
                                               text=True, capture_output=True, check=False).stderr:
        print("no VRF in this kernel")
        del CHANGES["VRF"]
    else:
        run("ip", "link", "del", "red")
    if sys.argv[1] == "rows":
        sys.exit(bool(rows(sys.argv[2:])))
    if sys.argv[1] == "load":
        sys.exit(bool(load(int(sys.argv[2]))))
    sys.exit(randomly(int(sys.argv[2]), int(sys.argv[3])))


if __name__ == "__main__":
    main()
