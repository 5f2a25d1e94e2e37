# SPDX-License-Identifier: GPL-2.0-only
"""What differential.py does: sequences made by chance from a seed, as lists of operations that
are nothing but words, so that they can be shown, left out and done again.
"""

import random

from twin import ANSWERS, GATEWAYS, NOBODY, SILENT, WAYS
from twinpackets import ACK, FIN, GRE, PSH, RST, SYN, echo, packets, tcp, udp

AEADS = {"rfc4106(gcm(aes))": 20, "rfc4309(ccm(aes))": 19, "rfc7539esp(chacha20,poly1305)": 36}
# Kinds of SAs: last octets of the addresses outside, reqids, mode, what policies have beside
# their selectors, what SAs have
KINDS = {
    "tunnel": (1, 1, "tunnel", "", "flag af-unspec"),
    "vti": (21, 3, "tunnel", "mark 9", "flag af-unspec mark 9"),
    "vti6": (21, 5, "tunnel", "mark 9", "flag af-unspec mark 9"),
    "xi": (1, 7, "tunnel", "if_id 7", "flag af-unspec if_id 7"),
    "vxlan": (11, 9, "transport", "", ""),
    "beet4": (1, 11, "beet", "", "sel src 10.8.0.{0} dst 10.8.0.{1}"),
    "beet6": (1, 13, "beet", "", "sel src fd08::{0} dst fd08::{1}"),
}
OTHER = {"g1": "g2", "g2": "g1"}
# In keys, for octets that are others whenever a sequence is played
NEW_KEY = "NEWKEY" * 4
DEVICES = {"vti": ["vti", "vti6"], "xi": ["xi"], "vxlan": ["vx"]}


def net(way, end, family):
    """Of g1's end, 0, or g2's, 1."""
    n = WAYS[way][end]
    return f"10.{n}.0.0/24" if family == 4 else f"fd{n:02d}::/64"


def host(way, end, family, number):
    """In that net."""
    n = WAYS[way][end]
    return f"10.{n}.0.{number}" if family == 4 else f"fd{n:02d}::{number}"


class Sequence:
    """Its parameters, and what is done."""

    def __init__(self, seed, steps, have):
        self.rng = rng = random.Random(seed)
        self.seed, self.steps, self.have = seed, steps, have
        self.outer = rng.choice((4, 4, 6))
        self.ends = rng.choice((("g1", "g2"), ("g1", "g2"), ("g1",), ("g2",)))
        self.esn = rng.random() < 0.4
        self.aead = rng.choice([a for a in AEADS if a in have])
        self.window = rng.choice((64, 128, 256))
        self.fastpath = "fastpath" not in have or rng.random() < 0.85
        self.ways = ["tunnel"] + [w for w in ("vti", "xi", "vxlan") if w in have and rng.random() < 0.35]
        self.kinds = ["tunnel"]
        for way in self.ways[1:]:
            self.kinds += {"vti": ["vti", "vti6"]}.get(way, [way])
        self.kinds += [k for k in ("beet4", "beet6") if "beet" in have and rng.random() < 0.25]
        # Behind an SA in transport mode a packet may change its CPU only once that is safe
        self.cpu = rng.randrange(64)
        self.spi = {k: 0x1000 * (n + 1) for n, k in enumerate(self.kinds)}
        self.next = dict.fromkeys(self.kinds, 0)
        self.old = {k: [] for k in self.kinds}
        self.port = 1024
        self.flows, self.tables, self.policies = [], set(), []
        self.ops = []
        self.setup()
        self.packets(4)
        self.ops.append(("check",))
        for _ in range(steps):
            self.change()
            # Whatever is known of flows, each sees the change once
            for flow in self.flows[-6:]:
                self.more(flow)
            if "flowtable" in self.tables:
                # It ends flows in its own time
                self.flows = []
            self.packets(rng.randint(1, 6))
            self.ops.append(("check",))

    # --- SAs and policies ---

    def ips(self, n, *lines):
        """An operation."""
        self.ops.append(("ip", n, "\n".join(lines)))

    def ends_of(self, kind, forward):
        """Addresses outside, from g1 to g2 or the reverse."""
        first = KINDS[kind][0]
        family = {"vti": 4, "vti6": 6}.get(kind, self.outer)
        both = [f"10.0.0.{first + n}" if family == 4 else f"fd00::{first + n}" for n in (0, 1)]
        return both if forward else both[::-1]

    def sa_line(self, kind, forward, spi, n, extended):
        """Of one end; what is received and what is sent have other words."""
        src, dst = self.ends_of(kind, forward)
        _, reqid, mode, _, more = KINDS[kind]
        me = (1, 2) if forward else (2, 1)
        # One key is one SA's
        key = (NEW_KEY + f"{spi + (not forward):04x}" * 18)[:2 * AEADS[self.aead]]
        line = f"xfrm state add src {src} dst {dst} proto esp spi {spi + (not forward):#x}" \
            f" reqid {reqid + (not forward)} mode {mode} {more.format(*me)}" \
            f" aead {self.aead} 0x{key} 128"
        sends = (n == "g1") == forward
        if extended:
            line += " ext format esp" + " esn on" * self.esn
            line += " tx-subspaces 1" if sends else f" rx-subspaces 1 window {self.window}"
        else:
            line += " flag esn" * self.esn + f" replay-window {self.window}"
        return line

    def sas(self, kind, ends=GATEWAYS):
        """Both directions, new; older ones stay."""
        spi = self.spi[kind] + 2 * self.next[kind]
        self.next[kind] += 1
        self.old[kind].append(spi)
        for n in ends:
            self.ops.append(("sas", n, [
                [self.sa_line(kind, forward, spi, n, extended and n in self.ends)
                 for forward in (True, False)] for extended in (False, True)]))

    def gone(self, kind, spi, ends=GATEWAYS):
        """Both directions."""
        mark = "mark 9" if "vti" in kind else ""
        for n in ends:
            lines = []
            for forward in (True, False):
                src, dst = self.ends_of(kind, forward)
                lines.append(f"xfrm state delete src {src} dst {dst} proto esp"
                             f" spi {spi + (not forward):#x} {mark}")
            self.ips(n, *lines)

    def selectors(self, kind):
        """From g1's side to g2's."""
        if kind.startswith("beet"):
            return [(f"10.8.0.{m}/32" if kind == "beet4" else f"fd08::{m}/128") for m in (1, 2)],
        if kind == "vxlan":
            bits = 32 if self.outer == 4 else 128
            return [f"{a}/{bits}" for a in self.ends_of(kind, True)],
        if kind.startswith("vti"):
            family = 6 if kind == "vti6" else 4
            return [net("vti", end, family) for end in (0, 1)],
        return tuple([net(kind, end, family) for end in (0, 1)] for family in (4, 6))

    def policy_lines(self, kind, n, verb="add", reqid=None, level="required"):
        """Of one gateway."""
        _, first, mode, more, _ = KINDS[kind]
        lines = []
        for one, other in self.selectors(kind):
            for direction in ("out", "in", "fwd"):
                forward = (n == "g1") == (direction == "out")
                src, dst = (one, other) if forward else (other, one)
                o1, o2 = self.ends_of(kind, forward)
                used = reqid or first + (not forward)
                if direction == "fwd" and mode != "tunnel":
                    continue
                lines.append(f"xfrm policy {verb} src {src} dst {dst} dir {direction} priority 100"
                             f" {more} tmpl src {o1} dst {o2} proto esp reqid {used} mode {mode}"
                             f" level {level}")
        return lines

    def setup(self):
        """What is there at the beginning; nothing but addresses and routes was there before."""
        for n, me, other in (("g1", 1, 2), ("g2", 2, 1)):
            lines, far = [], 1 if n == "g1" else 0
            for kind in self.kinds:
                self.ips(n, *self.policy_lines(kind, n))
            if "vti" in self.ways:
                lines += [f"link add vti index 60 type vti local 10.0.0.{20 + me} remote 10.0.0.{20 + other} key 9",
                          f"link add vti6 index 61 type vti6 local fd00::{20 + me} remote fd00::{20 + other} key 9",
                          "link set vti mtu 1400 up", "link set vti6 mtu 1400 up",
                          f"route add {net('vti', far, 4)} dev vti", f"route add {net('vti', far, 6)} dev vti6"]
            if "xi" in self.ways:
                lines += ["link add xi index 62 type xfrm dev wan if_id 7", "link set xi mtu 1400 up",
                          f"route add {net('xi', far, 4)} dev xi", f"route add {net('xi', far, 6)} dev xi"]
            if "vxlan" in self.ways:
                o1, o2 = self.ends_of("vxlan", n == "g1")
                lines += [f"link add vx index 63 address 02:00:00:00:09:0{me} type vxlan id 5 local {o1}"
                          f" remote {o2} dstport 4789 srcport 5000 5001 dev wan nolearning",
                          "link set vx mtu 1300 up", f"addr add 10.9.0.{me}/24 dev vx",
                          f"addr add fd09::{me}/64 dev vx nodad",
                          f"neigh replace 10.9.0.{other} lladdr 02:00:00:00:09:0{other} dev vx nud permanent",
                          f"neigh replace fd09::{other} lladdr 02:00:00:00:09:0{other} dev vx nud permanent",
                          f"route add {net('vxlan', far, 4)} via 10.9.0.{other}",
                          f"route add {net('vxlan', far, 6)} via fd09::{other}"]
            if lines:
                self.ips(n, *lines)
        for kind in self.kinds:
            self.sas(kind)

    # --- changes ---

    def change(self):
        """One, or two that nobody sees the time between."""
        for _ in range(self.rng.choice((1, 1, 1, 2))):
            choices = [(4, self.of_policy), (4, self.of_sas), (2, self.of_routes), (1, self.of_sysctls),
                       (3, self.of_netfilter)]
            if len(self.ways) > 1:
                choices.append((1, self.of_devices))
            if "rps" in self.have and "vxlan" not in self.kinds:
                choices.append((1, self.of_rps))
            weights, functions = zip(*choices)
            self.rng.choices(functions, weights)[0]()

    def of_policy(self):
        """Blocked, allowed, gone, back, with other templates, for other packets."""
        rng = self.rng
        n, kind = rng.choice(GATEWAYS), rng.choice(self.kinds)
        direction = rng.choice(("out", "in", "fwd", "fwd"))
        what = rng.choice(("block", "block", "allow", "gone", "back", "other", "use", "default", "unblock"))
        if what in ("block", "allow"):
            one, other = rng.choice(self.selectors(kind))
            if kind in WAYS and rng.random() < 0.7:
                family = 6 if ":" in one else 4
                one, other = (f"{host(kind, end, family, rng.choice((ANSWERS, SILENT, NOBODY)))}"
                              for end in (0, 1)) if kind != "vxlan" else (one, other)
            if rng.random() < 0.5:
                one, other = other, one
            proto = rng.choice(("", "", " proto udp", " proto tcp"))
            words = f"src {one} dst {other}{proto} dir {direction}"
            more = rng.choice(("", KINDS[kind][3]))
            self.policies.append((n, words, more))
            self.ips(n, f"xfrm policy add {words} {more} action {what} priority {rng.choice((10, 100, 200))}")
        elif what == "unblock" and self.policies:
            n, words, more = self.policies.pop(rng.randrange(len(self.policies)))
            self.ips(n, f"xfrm policy delete {words} {more}")
        elif what in ("gone", "back", "other", "use"):
            if what == "gone":
                lines = [line.split(" priority ")[0].replace(" add ", " delete ") + " " + KINDS[kind][3]
                         for line in self.policy_lines(kind, n)]
            elif what == "other":
                lines = self.policy_lines(kind, n, "update", 99)
            else:
                lines = self.policy_lines(kind, n, "update", level="use" if what == "use" else "required")
            if rng.random() < 0.6:
                lines = [line for line in lines if f" dir {direction}" in line]
            self.ips(n, *lines)
        elif what == "default":
            self.ips(n, f"xfrm policy setdefault {direction} {rng.choice(('block', 'accept', 'accept'))}")

    def of_sas(self):
        """New ones, old ones gone, all gone, gone at one end only."""
        rng = self.rng
        kind = rng.choice(self.kinds)
        what = rng.choice(("rekey", "rekey", "second", "gone", "gone at", "flush", "new"))
        if what == "flush":
            self.ips(rng.choice(GATEWAYS), "xfrm state flush")
            return
        if what in ("rekey", "second", "new"):
            self.sas(kind)
        if what == "rekey":
            # What has gone with a flush is refused to be deleted, to both
            for spi in self.old[kind][:-1]:
                self.gone(kind, spi)
            self.old[kind] = self.old[kind][-1:]
        if what.startswith("gone"):
            spi = rng.choice(self.old[kind])
            self.gone(kind, spi, GATEWAYS if what == "gone" else [rng.choice(GATEWAYS)])

    def of_routes(self):
        """To where an SA's packets go, and its own."""
        rng = self.rng
        n = rng.choice(GATEWAYS)
        far, via = (1, 2) if n == "g1" else (0, 1)
        family = rng.choice((4, 6))
        there = net("tunnel", far, family)
        peer = f"10.0.0.{via}" if family == 4 else f"fd00::{via}"
        one = host("tunnel", far, family, rng.choice((ANSWERS, SILENT)))
        back = f"route replace {there} via {peer}"
        outside, bits = self.ends_of("tunnel", n == "g1")[1], 32 if self.outer == 4 else 128
        self.ips(n, *rng.choice((
            [f"route replace {there} via {peer} mtu lock 1300" if family == 4 else
             f"route replace {there} via {peer} mtu 1300"],
            [back], [back],
            [f"route del {there}", f"route add unreachable {there}"],
            [f"route del unreachable {there}", back],
            [f"route add prohibit {one}"], [f"route del prohibit {one}"],
            [f"route add unreachable {outside}/{bits}"], [f"route del unreachable {outside}/{bits}"],
            ["link set wan mtu 1400"], ["link set wan mtu 1500"],
        )))

    def of_sysctls(self):
        """Which decide about packets and policies."""
        n = self.rng.choice(GATEWAYS)
        names = ["net/ipv4/conf/wan/disable_policy", "net/ipv6/conf/wan/disable_policy",
                 "net/ipv4/conf/wan/disable_xfrm", "net/ipv6/conf/wan/disable_xfrm",
                 "net/ipv4/conf/lan/rp_filter", "net/ipv4/conf/wan/rp_filter",
                 "net/ipv4/xfrm4_gc_thresh", "net/ipv4/ip_forward_use_pmtu"]
        self.ops.append(("sysctl", n, f"{self.rng.choice(names)}={self.rng.randrange(2)}"))

    def of_netfilter(self):
        """NAT on either side of an SA, flowtables, queues, drops, marks."""
        rng = self.rng
        n = rng.choice(GATEWAYS)
        texts = {
            "drop": "table inet drop { chain c { type filter hook forward priority 0;"
                    f" udp sport & 3 == {rng.randrange(4)} drop; }}\n}}",
            "reject": "table inet reject { chain c { type filter hook forward priority 0;"
                      f" udp sport & 3 == {rng.randrange(4)} reject; }}\n}}",
            "mark": "table inet mark { chain c { type filter hook prerouting priority -150;"
                    f" meta l4proto udp meta mark set {rng.choice((1, 9))}; }}\n}}",
            "snat": "table ip snat { chain c { type nat hook postrouting priority 100;"
                    f" ip saddr {rng.choice(('10.1.0.3', '10.1.0.2', '10.2.0.3', '10.2.0.2', '10.21.0.2'))}"
                    f" snat to {rng.choice(('10.1.0.9', '10.2.0.9', '10.0.0.1', '10.0.0.2', '10.21.0.9', '10.77.0.1'))};"
                    " }\n}",
            "dnat": "table ip dnat { chain c { type nat hook prerouting priority -100;"
                    f" ip daddr {rng.choice(('10.2.0.9', '10.1.0.9', '10.2.0.3', '10.22.0.9'))}"
                    f" dnat to {rng.choice(('10.2.0.2', '10.1.0.2', '10.2.0.3', '10.12.0.2', '10.22.0.2'))};"
                    " }\n}",
            "masquerade": "table ip masquerade { chain c { type nat hook postrouting priority 100;"
                          f" oifname {rng.choice(('lan', 'wan', 'xi', 'vti', 'vx'))} masquerade; }}\n}}",
            "nat6": "table ip6 nat6 { chain c { type nat hook postrouting priority 100;"
                    f" ip6 saddr {rng.choice(('fd01::3', 'fd02::3', 'fd01::2'))}"
                    f" snat to {rng.choice(('fd01::9', 'fd02::9', 'fd77::1'))}; }}\n chain d {{"
                    " type nat hook prerouting priority -100; ip6 daddr fd02::9 dnat to fd02::2; }\n}",
        }
        if "queue" in self.have:
            texts["queue"] = "table inet queue { chain c { type filter hook" \
                f" {rng.choice(('forward', 'prerouting', 'postrouting', 'output', 'input'))} priority 0;" \
                f" udp sport & 1 == {rng.randrange(2)} queue num 5; }}\n}}"
        if "flowtable" in self.have:
            devices = rng.choice(("lan, wan", "lan, wan", "lan", "wan"))
            texts["flowtable"] = "table inet flowtable { flowtable f { hook ingress priority 0;" \
                f" devices = {{ {devices} }}; }}\n chain c {{ type filter hook forward priority 0;" \
                " meta l4proto { tcp, udp } flow add @f; }\n}"
        if self.tables and rng.random() < 0.3:
            self.tables.clear()
            for m in GATEWAYS:
                self.ops.append(("nft", m, "flush ruleset"))
            self.flows = []
            return
        name = rng.choice(sorted(texts))
        self.tables.add(name)
        family = texts[name].split()[1]
        self.ops.append(("nft", n, f"table {family} {name}\ndelete table {family} {name}\n{texts[name]}"))

    def of_devices(self):
        """Down, or up again with what went."""
        rng = self.rng
        n, way = rng.choice(GATEWAYS), rng.choice(self.ways[1:])
        dev = rng.choice(DEVICES[way])
        far = 1 if n == "g1" else 0
        lines = [f"link set {dev} {rng.choice(('down', 'up', 'up', 'mtu 1320', 'mtu 1400'))}"]
        if lines[0].endswith("up") and way != "vxlan":
            lines += [f"route replace {net(way, far, f)} dev {dev}" for f in (4, 6)
                      if (dev, f) not in (("vti", 6), ("vti6", 4))]
        self.ips(n, *lines)

    def of_rps(self):
        """Packets are received by other CPUs."""
        self.ops.append(("rps", self.rng.choice(GATEWAYS), self.rng.choice(("lan", "wan")),
                         self.rng.randrange(4)))

    # --- packets ---

    def packets(self, count):
        """Of new flows or old ones, of the gateways themselves, once more from the wire."""
        rng = self.rng
        for _ in range(count):
            what = rng.random()
            if what < 0.12:
                self.of_gateway()
            elif what < 0.22:
                self.ops.append(("again", rng.choice(("replay", "flip", "cut", "spi")), rng.randrange(1 << 16)))
            elif what < 0.5 and self.flows:
                self.more(rng.choice(self.flows))
            else:
                self.more(self.flow())
        if rng.random() < 0.5:
            self.ops.append(("release",))

    def of_gateway(self):
        """From its own addresses."""
        rng = self.rng
        n, family = rng.choice(GATEWAYS), rng.choice((4, 6))
        me, other = (1, 2) if n == "g1" else (2, 1)
        near, far = (0, 1) if n == "g1" else (1, 0)
        way = rng.choice(self.ways)
        pairs = [(host(way, near, family, 1), host(way, far, family, rng.choice((1, ANSWERS))))]
        for kind in self.kinds:
            if kind == f"beet{family}":
                pairs += [(f"10.8.0.{me}", f"10.8.0.{other}") if family == 4 else
                          (f"fd08::{me}", f"fd08::{other}")] * 2
            if kind == "vxlan":
                pairs.append(tuple(self.ends_of(kind, n == "g1")))
        src, dst = rng.choice(pairs)
        self.port += 1
        self.ops.append(("local", n, src, dst, self.port, rng.choice((7, 9)),
                         rng.choice((0, 20, 1000, 1380, 1440, 3000)), rng.choice((0, 0, 0, 1))))

    def flow(self):
        """A new one."""
        rng = self.rng
        self.port += 1
        way = rng.choice(self.ways)
        family = rng.choice((4, 4, 6))
        near = rng.choice((0, 0, 1))
        kind = rng.choice(("udp", "udp", "udp", "tcp", "tcp", "echo", "gre"))
        src = host(way, near, family, rng.choice((ANSWERS, SILENT)))
        dst = host(way, 1 - near, family, rng.choice(
            (SILENT,) if kind == "tcp" else (ANSWERS, ANSWERS, SILENT, NOBODY)))
        flow = {"kind": kind, "near": near, "src": src, "dst": dst, "port": self.port,
                "dport": rng.choice((7, 7, 9)), "sent": [1, 1], "turn": 0, "seq": 0}
        self.flows.append(flow)
        return flow

    def more(self, flow):
        """The next packet of a flow."""
        rng = self.rng
        src, dst, near = flow["src"], flow["dst"], flow["near"]
        number, six = flow["port"], ":" in flow["src"]
        fill = bytes(rng.choice((0, 8, 20, 20, 20, 200, 1300, 1372, 1420)))
        words = {"tos": rng.choice((0, 0, 0, 0x10, 0xB8, 1, 3)), "ttl": rng.choice((64,) * 8 + (2, 1)),
                 "ident": rng.randrange(1, 1 << 16)}
        if not six:
            words["df"] = rng.random() < 0.6
            if rng.random() < 0.1:
                words["options"] = b"\x01\x01\x01\x01"
        if flow["kind"] == "tcp":
            one, two = flow["sent"]
            turn, flags = flow["turn"], ACK
            back = turn % 2 == 1 and turn != 3
            if turn == 0:
                flags, fill = SYN, b""
            elif turn == 1:
                flags, fill = SYN | ACK, b""
            elif fill:
                flags |= PSH
            if turn > 3 and rng.random() < 0.1:
                flags |= rng.choice((FIN, RST))
                self.flows = [f for f in self.flows if f is not flow]
            length = len(fill) + (turn < 2)
            flow["turn"] += 1
            if back:
                proto, data = tcp(dst, src, 80, number, two, one, flags, fill)
                src, dst, near = dst, src, 1 - near
                flow["sent"] = [one, two + length]
            else:
                proto, data = tcp(src, dst, number, 80, one, two if turn else 0, flags, fill)
                flow["sent"] = [one + length, two]
        elif flow["kind"] == "udp":
            proto, data = udp(src, dst, number, flow["dport"], fill)
        elif flow["kind"] == "echo":
            flow["seq"] += 1
            proto, data = echo(src, dst, number, flow["seq"], fill)
        else:
            proto, data = GRE, bytes((0x20, 0, 8, 0)) + number.to_bytes(4, "big") + fill
        if rng.random() < 0.08:
            words["cut"] = rng.choice((64, 512, 1024))
            if words["cut"] >= len(data):
                del words["cut"]
            words["df"] = False
        for data in packets(src, dst, proto, data, **words):
            self.ops.append(("packet", "ab"[near], data))


def shown(op):
    """An operation, shortly."""
    if op[0] == "packet":
        from twinpackets import describe
        return f"packet from {op[1]}: {describe(op[2])}"
    if op[0] == "sas":
        return f"{op[1]}: " + "; ".join(op[2][1])
    if op[0] in ("ip", "nft", "sysctl"):
        return f"{op[1]} {op[0]}: " + "; ".join(op[2].splitlines())
    return " ".join(map(str, op))
