# SPDX-License-Identifier: GPL-2.0-only
"""One of the two topologies of differential.py: set up, changes and packets into it, what comes
of them.

        a ------- g1 ===== wan ===== g2 ------- b
    10.1.0.2                                 10.2.0.2

Nothing in it waits for a timer, and nobody asks for neighbours: what is not an answer to a
packet or a change does not happen.
"""

import atexit
import contextlib
import errno
import itertools
import os
import socket
import struct
import subprocess

from genl import NLM_F_DUMP, Family, Netlink, namespace
from twinpackets import checksum, describe, is_esp, number, on_wire, ours, plain

ETH_P_ALL, PACKET_OUTGOING = 3, 4
NETLINK_XFRM, NETLINK_NETFILTER = 6, 12
XFRM_MSG_GETSA, XFRM_MSG_GETPOLICY = 0x12, 0x15
GATEWAYS = ("g1", "g2")
HOSTS = ("a", *GATEWAYS, "b")
MACS = {("a", "lan"): "02:00:00:00:01:02", ("g1", "lan"): "02:00:00:00:01:01",
        ("g1", "wan"): "02:00:00:00:00:01", ("g2", "wan"): "02:00:00:00:00:02",
        ("g2", "lan"): "02:00:00:00:02:01", ("b", "lan"): "02:00:00:00:02:02"}
LINKS = (("a", "g1", "lan"), ("g1", "g2", "wan"), ("b", "g2", "lan"))
# The nets of each way: through the tunnel of the policies for the lans, through VTIs, xfrm
# interfaces, VXLAN, by BEET. The second number is that of g1's end, the third of g2's
WAYS = {"tunnel": (1, 2), "vti": (11, 12), "xi": (21, 22), "vxlan": (31, 32)}
# Of each net: .1 is the gateway, .2 a host that answers, .3 one that does not, but whose
# packets are sent; .9 is nobody, for NAT
ANSWERS, SILENT, NOBODY = 2, 3, 9
# Before any device of a namespace
SYSCTLS = """net/ipv4/ip_forward=1 net/ipv4/conf/all/rp_filter=0 net/ipv4/conf/default/rp_filter=0
net/ipv4/icmp_ratelimit=0 net/ipv4/icmp_ratemask=0 net/ipv6/icmp/ratelimit=0
net/ipv4/icmp_msgs_per_sec=1000000 net/ipv4/icmp_msgs_burst=1000000 net/ipv4/route/error_cost=0
net/ipv4/conf/all/send_redirects=0 net/ipv4/conf/default/send_redirects=0
net/ipv4/ipfrag_time=3600 net/ipv6/ip6frag_time=3600
net/ipv6/conf/all/forwarding=1 net/ipv6/conf/default/accept_dad=0 net/ipv6/conf/default/dad_transmits=0
net/ipv6/conf/default/accept_ra=0 net/ipv6/conf/default/router_solicitations=0
net/ipv6/conf/default/addr_gen_mode=1 net/ipv6/conf/default/force_mld_version=1
net/ipv6/conf/default/mldv1_unsolicited_report_interval=2000000000
net/ipv4/conf/default/igmpv3_unsolicited_report_interval=2000000000
net/ipv4/conf/default/igmpv2_unsolicited_report_interval=2000000000""".split()
# When conntrack is there
TIMEOUTS = [f"net/netfilter/nf_{n}=36000" for n in (
    "conntrack_generic_timeout", "conntrack_icmp_timeout", "conntrack_icmpv6_timeout",
    "conntrack_udp_timeout", "conntrack_udp_timeout_stream", "conntrack_gre_timeout",
    "conntrack_frag6_timeout", "conntrack_tcp_timeout_syn_sent",
    "conntrack_tcp_timeout_syn_recv", "conntrack_tcp_timeout_close",
    "conntrack_tcp_timeout_fin_wait", "conntrack_tcp_timeout_last_ack",
    "conntrack_tcp_timeout_time_wait", "conntrack_tcp_timeout_unacknowledged",
    "flowtable_tcp_timeout", "flowtable_udp_timeout")]
FILES = ("snmp", "netstat", "snmp6", "xfrm_stat", "dev")


class Ip:
    """An `ip -batch` that stays: starting one for each change costs more than the change."""

    def __init__(self, name):
        self.name, self.process = name, None
        self.start()

    def start(self):
        """Again."""
        with namespace(self.name):
            self.process = subprocess.Popen(
                ["ip", "-force", "-batch", "-"], stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1 << 16)

    def __call__(self, lines):
        """Lines; what was said, mostly what was refused."""
        said = []
        # `ip xfrm` exits when something is refused, and would take the next lines with it
        for xfrm, some in itertools.groupby(lines.splitlines(), lambda line: line.startswith("xfrm")):
            for text in some if xfrm else ["\n".join(some)]:
                said += self.some(text)
        return said

    def some(self, text):
        """A line, or more that do not make it exit."""
        # The last one's output is flushed, and it is the sign that all before is done
        self.process.stdin.write(text + "\nlink show dev lo\n")
        self.process.stdin.flush()
        said = []
        while line := self.process.stdout.readline():
            if "link/loopback" in line:
                break
            said.append(line.rstrip())
        else:
            self.close()
            self.start()
        return [s for s in said if ": lo:" not in s and not s.startswith("Command failed")]

    def close(self):
        """And wait for it."""
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()


class Queue:
    """NFQUEUE: what is in it waits until release()."""

    NUMBER = 5

    def __init__(self, name):
        with namespace(name):
            self.sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
        self.sock.bind((0, 0))
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 21)
        # Bound, with whole packets
        self.send(2, self.attr(1, struct.pack("!BxH", 1, 0)))
        self.send(2, self.attr(2, struct.pack("!IB", 65535, 2)))
        self.sock.setblocking(False)

    @staticmethod
    def attr(kind, data):
        """Padded."""
        return struct.pack("=HH", len(data) + 4, kind) + data + bytes(-len(data) % 4)

    def send(self, kind, body):
        """struct nlmsghdr, struct nfgenmsg."""
        body = struct.pack("!BBH", 0, 0, self.NUMBER) + body
        self.sock.send(struct.pack("=IHHII", len(body) + 16, 3 << 8 | kind, 1, 0, 0) + body)

    def release(self):
        """How many packets went on."""
        count = 0
        while True:
            try:
                data = self.sock.recv(1 << 17)
            except BlockingIOError:
                return count
            kind, = struct.unpack_from("=H", data, 4)
            at = 20
            while kind == 3 << 8 and at + 4 <= len(data):
                length, number = struct.unpack_from("=HH", data, at)
                if number & 0x3FFF == 1:
                    # NFQA_PACKET_HDR; NF_ACCEPT
                    self.send(1, self.attr(2, struct.pack("!I", 1) + data[at + 4:at + 8]))
                    count += 1
                at += (length + 3) & ~3


class Twin:
    """Two hosts and two gateways."""

    def __init__(self, tag, with_queues):
        self.tag = tag
        self.ns = {n: f"{n}{tag}-{os.getpid()}" for n in HOSTS}
        self.ips, self.queues, self.files, self.netlink, self.taps = {}, {}, {}, {}, {}
        self.families = {}
        atexit.register(self.close)
        for n, name in self.ns.items():
            subprocess.run(["ip", "netns", "add", name], check=True)
            self.ips[n] = Ip(name)
            for words in SYSCTLS:
                self.sysctl(n, words)
        for n in ("a", "b"):
            self.sysctl(n, "net/ipv4/ip_forward=0")
            self.sysctl(n, "net/ipv6/conf/all/forwarding=0")
        for n, other, dev in LINKS:
            self.ip(n, f"link add {dev} address {MACS[n, dev]} type veth peer name {dev}"
                    f" address {MACS[other, dev]} netns {self.ns[other]}")
        for n, lines in addresses().items():
            self.ip(n, "link set lo up\n" + lines)
        for n, dev in (("a", "lan"), ("b", "lan"), ("g1", "wan"), ("g2", "wan")):
            with namespace(self.ns[n]):
                s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
            s.setsockopt(socket.SOL_SOCKET, 33, 1 << 22)  # SO_RCVBUFFORCE
            s.bind((dev, ETH_P_ALL))
            s.setblocking(False)
            self.taps[n] = s
        for n in GATEWAYS:
            with namespace(self.ns[n]):
                self.files[n] = [os.open(f"/proc/thread-self/net/{f}", os.O_RDONLY) for f in FILES]
                self.netlink[n] = Netlink(NETLINK_XFRM)
                self.families[n] = Family()
                self.nft(n, "table ip warm { chain c { type filter hook input priority 0;"
                         " ct state new counter; }\n}")
            for words in TIMEOUTS:
                self.sysctl(n, words)
            if with_queues:
                self.queues[n] = Queue(self.ns[n])
            self.nft(n, "flush ruleset")
        self.esp, self.base, self.got, self.steered = [], {}, [], set()
        self.socks, self.injected, self.numbers = [], [], set()

    def close(self):
        """No trace of it; whoever does not get here does it at the end."""
        atexit.unregister(self.close)
        for some in (self.ips, self.queues):
            for one in some.values():
                getattr(one, "sock", one).close()
        for fds in self.files.values():
            for fd in fds:
                os.close(fd)
        for one in self.netlink.values():
            one.sock.close()
        for one in self.families.values():
            one.netlink.sock.close()
        for one in self.taps.values():
            one.close()
        for n in self.ns.values():
            subprocess.run(["ip", "netns", "del", n], check=False)

    # --- changes ---

    def ip(self, n, lines):
        """Lines of ip -batch; what was refused."""
        return self.ips[n](lines)

    def sysctl(self, n, words):
        """PATH=VALUE; false if there is none."""
        path, value = words.split("=")
        with namespace(self.ns[n]):
            try:
                with open("/proc/sys/" + path, "w", encoding="ascii") as file:
                    file.write(value)
            except FileNotFoundError:
                return False
        return True

    def nft(self, n, text):
        """Rules; what was refused."""
        with namespace(self.ns[n]):
            done = subprocess.run(["nft", "-f", "-"], input=text, text=True, check=False,
                                  capture_output=True)
        return done.stderr.splitlines()[:1]

    def rps(self, n, dev, mask):
        """By which CPUs a device's packets are received. (Of sysfs each namespace has its own.)"""
        subprocess.run(["ip", "netns", "exec", self.ns[n], "sh", "-c",
                        f"echo {mask:x} >/sys/class/net/{dev}/queues/rx-0/rps_cpus"], check=True)

    # --- packets ---

    def inject(self, n, data):
        """Into the net as if a host behind it had sent it; why not."""
        dev, peer = ("wan", {"g1": "g2", "g2": "g1"}[n]) if n in GATEWAYS else ("lan", {
            "a": "g1", "b": "g2"}[n])
        kind = b"\x86\xdd" if data[0] >> 4 == 6 else b"\x08\x00"
        mac = bytes.fromhex((MACS[peer, dev] + MACS[n, dev]).replace(":", ""))
        try:
            self.taps[n].send(mac + kind + data)
        except OSError as e:
            # Longer than a device's MTU is now
            return errno.errorcode.get(e.errno, str(e.errno))
        return None

    def local(self, n, src, dst, sport, dport, size, mark):
        """A datagram of the gateway's own; what the call says."""
        with namespace(self.ns[n]):
            s = socket.socket(socket.AF_INET6 if ":" in src else socket.AF_INET, socket.SOCK_DGRAM)
        # An ICMP error finds it, or does not, and that is counted
        self.socks.append(s)
        try:
            if mark:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, mark)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind((src, sport))
            s.sendto(bytes(size), (dst, dport))
        except OSError as e:
            return errno.errorcode.get(e.errno, str(e.errno))
        return "sent"

    def again(self, how, which):
        """Something like ESP that has come to g2, once more."""
        if not self.esp:
            return None
        # The same of both, in whatever order they have come
        some = sorted(self.esp, key=lambda d: (len(d), on_wire(d)))
        data = bytearray(some[which % len(some)])
        at = 40 if data[0] >> 4 == 6 else (data[0] & 15) * 4
        if how == "flip":
            data[-1 - which % 16] ^= 1
        elif how == "spi":
            data[at + 1] ^= 0xFF
        elif how == "cut":
            size = which % (len(data) - at)
            data = data[:len(data) - size]
            if data[0] >> 4 == 6:
                data[4:6] = struct.pack("!H", len(data) - 40)
            else:
                data[2:4] = struct.pack("!H", len(data))
                data[10:12] = b"\0\0"
                data[10:12] = struct.pack("!H", checksum(bytes(data[:at])))
        self.injected.append(bytes(data))
        return self.inject("g1", bytes(data))

    def collect(self):
        """What has come since the last time; nothing is on its way."""
        while self.socks:
            self.socks.pop().close()
        for n, s in self.taps.items():
            while True:
                try:
                    data, where = s.recvfrom(65536)
                except BlockingIOError:
                    break
                except OSError as e:
                    # Said once, of a device that has been set down
                    if e.errno != errno.ENETDOWN:
                        raise
                    continue
                data = data[14:]
                if where[2] == PACKET_OUTGOING or not data or not ours(data):
                    continue
                if n == "g2" and data in self.injected:
                    # Not what has been sent
                    self.injected.remove(data)
                elif n in GATEWAYS:
                    self.got.append((f"wire to {n}", *on_wire(data)))
                    if is_esp(data):
                        self.judge(n, data)
                else:
                    self.got.append((f"to {n}", plain(data), len(data)))

    def judge(self, n, data):
        """No number twice: of ESP that has come to a gateway."""
        if number(data) in self.numbers:
            self.got.append((f"a number twice, to {n}", number(data), 8))
        self.numbers.add(number(data))
        if n == "g2":
            self.esp.append(data)

    def forget(self):
        """What has come so far."""
        self.collect()
        self.got, self.esp, self.injected, self.numbers = [], [], [], set()

    # --- what is counted ---

    def read(self, n):
        """All counters of a gateway."""
        found = {}
        for fd, name in zip(self.files[n], FILES):
            text, at = b"", 0
            while part := os.pread(fd, 1 << 16, at):
                text += part
                at += len(part)
            lines = text.decode().splitlines()
            if name in ("snmp", "netstat"):
                for names, values in zip(lines[::2], lines[1::2]):
                    kind = names.split(":")[0]
                    for k, v in zip(names.split()[1:], values.split()[1:]):
                        found[f"{n} {kind} {k}"] = int(v)
            elif name == "dev":
                for line in lines[2:]:
                    dev, values = line.split(":")
                    for k, v in zip(("rx bytes", "rx packets", "rx errs", "rx drop", *("", ) * 4, "tx bytes",
                                     "tx packets", "tx errs", "tx drop"), values.split()):
                        if k:
                            found[f"{n} {dev.strip()} {k}"] = int(v)
            else:
                for line in lines:
                    k, v = line.split()
                    found[f"{n} {k}"] = int(v)
        return found

    def counters(self):
        """Since the base, where it is not zero."""
        now = self.read("g1") | self.read("g2")
        return {k: v - self.base.get(k, 0) for k, v in now.items() if v != self.base.get(k, 0)}

    def rebase(self):
        """From here on."""
        self.base = self.read("g1") | self.read("g2")

    def accounts(self):
        """Of SAs: octets, packets, drops for replay, window, ICV. Of policies: used or not."""
        found = {}
        for n in GATEWAYS:
            # Whoever asks the module has it bring the kernel's figures up to date
            list(self.families[n].request(["dump"]))
            for sa in self.netlink[n].request(XFRM_MSG_GETSA, b"", NLM_F_DUMP):
                number, packets = struct.unpack_from("=QQ", sa, 160)
                found[f"{n} SA {sa[72:76].hex()} {sa[56:72].hex()}"] = (
                    number, packets, *struct.unpack_from("=III", sa, 192))
            for p in self.netlink[n].request(XFRM_MSG_GETPOLICY, b"", NLM_F_DUMP):
                used, = struct.unpack_from("=Q", p, 144)
                found[f"{n} policy {p[:56].hex()} {p[152:164].hex()}"] = bool(used)
        return found


def addresses():
    """Lines of ip for each host."""
    lines = {n: [] for n in HOSTS}
    for n, dev in MACS:
        lines[n].append(f"link set {dev} up")
    def known(n, dev, address, peer):
        lines[n].append(f"neigh replace {address} lladdr {MACS[peer, dev]} dev {dev} nud permanent")
    for end, (host, gateway, dev) in enumerate((LINKS[0], LINKS[2])):
        for numbers in WAYS.values():
            n = numbers[end]
            for four, six, size4, size6 in ((f"10.{n}.0.", f"fd{n:02d}::", 24, 64),):
                lines[gateway] += [f"addr add {four}1/{size4} dev {dev}",
                                   f"addr add {six}1/{size6} dev {dev} nodad"]
                lines[host] += [f"addr add {four}2/{size4} dev {dev}",
                                f"addr add {six}2/{size6} dev {dev} nodad"]
                for prefix in (four, six):
                    known(host, dev, f"{prefix}1", gateway)
                    for m in (ANSWERS, SILENT, NOBODY):
                        known(gateway, dev, f"{prefix}{m}", host)
        first = WAYS["tunnel"][end]
        lines[host] += [f"route add default via 10.{first}.0.1", f"route add default via fd{first:02d}::1"]
    for n, me, other in (("g1", 1, 2), ("g2", 2, 1)):
        for tens in (0, 10, 20):
            lines[n] += [f"addr add 10.0.0.{tens + me}/24 dev wan", f"addr add fd00::{tens + me}/64 dev wan nodad"]
            for prefix in ("10.0.0.", "fd00::"):
                known(n, "wan", f"{prefix}{tens + other}", "g2" if n == "g1" else "g1")
        far = WAYS["tunnel"][other - 1]
        lines[n] += [f"route add 10.{far}.0.0/24 via 10.0.0.{other}", f"route add fd{far:02d}::/64 via fd00::{other}",
                     f"addr add 10.8.0.{me}/32 dev lo", f"addr add fd08::{me}/128 dev lo nodad",
                     f"route add 10.8.0.{other}/32 via 10.0.0.{other} src 10.8.0.{me}",
                     f"route add fd08::{other}/128 via fd00::{other} src fd08::{me}"]
    return {n: "\n".join(some) for n, some in lines.items()}


def difference(one, other):
    """Lines of what one has and the other has not."""
    lines = []
    for name in sorted(set(one) | set(other)):
        if one.get(name) != other.get(name):
            lines.append(f"{name}: stock {one.get(name)}, extended {other.get(name)}")
    return lines


def shown(where, data, length):
    """A packet that has come."""
    return f"{where}: {describe(data) if len(data) >= 28 else data.hex()} ({length})"
