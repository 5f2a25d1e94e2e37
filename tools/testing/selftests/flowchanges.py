# SPDX-License-Identifier: GPL-2.0-only
"""What flows.py changes under flows, and how it is taken back."""

import socket
import struct
import time

from flowpair import FACTOR, MACS, NETLINK_XFRM, SA, XFRM_MSG_GETSA
from genl import NLM_F_DUMP, Netlink, attr, attrs, namespace

POLICY_OUT, POLICY_FWD, XFRMA_IF_ID = 1, 2, 31
XFRM_MSG_GETPOLICY, XFRM_MSG_EXPIRE, XFRM_MSG_POLEXPIRE = 0x15, 0x18, 0x1B


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
    p.gone(*range(0x100, p.spi, 2))


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


def in_bridge(p):
    """lan becomes a bridge's, and no packet is for g1."""
    p.ip("g1", "link add br0 type bridge\nlink set br0 up\nlink set lan master br0")


def out_of_bridge(p):
    """And comes back."""
    p.ip("g1", "link set lan nomaster\nlink del br0")


def expire(p, n, dump, kind, size, which):
    """What a hard limit in time does, at once: all that the filter takes."""
    with namespace(p.ns[n]):
        netlink = Netlink(NETLINK_XFRM)
    for found in netlink.request(dump, b"", NLM_F_DUMP):
        if which(found):
            netlink.request(kind, found[:size] + struct.pack("B7x", 1) + b"".join(
                attr(number, data) for number, data in attrs(found[size:]) if number == XFRMA_IF_ID))
    netlink.sock.close()


def expire_policy(p, n, direction):
    """All of 10.2.0.0/24."""
    expire(p, n, XFRM_MSG_GETPOLICY, XFRM_MSG_POLEXPIRE, 168, lambda found: (
        found[:4] == socket.inet_aton("10.2.0.0") and found[160] == direction))


def expire_sa(p, n):
    """To g2."""
    expire(p, n, XFRM_MSG_GETSA, XFRM_MSG_EXPIRE, 224, lambda found: (
        found[72:76] == struct.pack("!I", p.spi)))


def soft_limit(p):
    """The younger SA has reached it."""
    p.ip("g1", f"xfrm state update {SA.format(1, 2, p.spi, 1)} limit packet-soft 1")


def renewed(p):
    """New SAs, and the last ones go."""
    p.gone(p.spi)
    p.sas(p.spi + 2)


def by_interface(p):
    """What g2 receives comes through an xfrm interface."""
    old = p.spi
    p.ip("g2", "link add xi type xfrm dev wan if_id 9\nlink set xi up\n"
         f"xfrm policy add {IN4} if_id 9 priority 100 {TMPL.format(1)}\n"
         f"xfrm policy add {IN6} if_id 9 priority 100 {TMPL.format(1)}")
    p.sas(old + 2, "if_id 9")
    p.gone(old)


def by_none(p):
    """And not any more."""
    renewed(p)
    p.ip("g2", f"xfrm policy delete {IN4} if_id 9\nxfrm policy delete {IN6} if_id 9\nlink del xi")


BLOCK4, BLOCK6 = "src 10.1.0.2/32 dst 10.2.0.2/32", "src fd01::2/128 dst fd02::2/128"
OUT4 = "src 10.0.0.0/8 dst 10.2.0.0/24 dir out"
IN4 = "src 10.0.0.0/8 dst 10.2.0.0/24 dir fwd"
IN6 = "src fd01::/64 dst fd02::/64 dir fwd"
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
    "policy bypass out": both(f"xfrm policy add {BLOCK4} proto udp dir out action allow priority 10\n"
                              f"xfrm policy add {BLOCK6} proto udp dir out action allow priority 10",
                              undo=[f"xfrm policy delete {BLOCK4} proto udp dir out",
                                    f"xfrm policy delete {BLOCK6} proto udp dir out"]),
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
    "SA gone out": ((lambda p: p.gone(p.spi, ends=["g1"])), renewed),
    "SA gone in": ((lambda p: p.gone(p.spi, ends=["g2"])), renewed),
    "SAs flushed": ((lambda p: p.ip("g1", "xfrm state flush")), renewed),
    "SA expires": ((lambda p: expire_sa(p, "g1")), renewed),
    "SA expires in": ((lambda p: expire_sa(p, "g2")), renewed),
    "SA soft limit": (soft_limit, renewed),
    "policy expires": ((lambda p: expire_policy(p, "g1", POLICY_OUT)), (lambda p: p.ip(
        "g1", f"xfrm policy add {OUT4} priority 100 {TMPL.format(1)}"))),
    "policy fwd expires": ((lambda p: expire_policy(p, "g2", POLICY_FWD)), (lambda p: p.ip(
        "g2", f"xfrm policy add {IN4} priority 100 {TMPL.format(1)}"))),
    "policies hashed otherwise": both("xfrm policy set hthresh4 16 16 hthresh6 32 32", undo=[
        "xfrm policy set hthresh4 32 32 hthresh6 128 128"]),
    "neighbour": both("neigh replace 10.0.0.2 lladdr 02:00:00:00:00:99 dev wan nud permanent", undo=[
        f"neigh replace 10.0.0.2 lladdr {MACS['g2', 'wan']} dev wan nud permanent"]),
    "interface": (by_interface, by_none),
    "bridge": (in_bridge, out_of_bridge),
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
NEEDS = {"SA soft limit": ["second SA"], "rule by mark": ["netfilter mark"], "netfilter mark": ["rule by mark"]}


# What lets pass what passed before
UNSEEN = {"disable_policy", "policies hashed otherwise", "interface", "bridge"}
