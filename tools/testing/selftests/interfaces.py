#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""One datagram at a time between two hosts, and all that became of it.

    interfaces.py NETNS1 NETNS2

Requests from standard input, one a line, with NUMBER, 1 or 2, the host that sends; each
answered with "ok" or what is wrong:

    goes NUMBER SRC DST PORT esp|eesp|clear [OPTION=VALUE]...
        leaves like that, and is received
    stopped NUMBER SRC DST PORT COUNTER [OPTION=VALUE]...
        does not leave; the sender's counter of xfrm_stat says why ("none": an error does)
    refused NUMBER SRC DST PORT esp|eesp|clear COUNTER [OPTION=VALUE]...
        leaves like that, and the receiver's counter says why nobody receives it

No other counter of xfrm_stat moves at either host, nothing else leaves. And:

    figures             all SAs, by SPI and source, have dropped nothing, were used, and what
                        was sent has been accepted: how many packets
    device NAME         what it has received and sent at the first host, and at the second

    mark=M  length=N    the sender's SO_MARK; octets
    out=R  in=R         the sender or the receiver has a socket policy: transport mode with
                        that reqid, or "none": in clear
    times=N             how far the counter moves, if not by one
"""

import ctypes
import os
import select
import socket
import subprocess
import sys
import time

from genl import CLONE_NEWNET
from natt import POLICY_IN, POLICY_OUT, socket_policy

libc = ctypes.CDLL(None, use_errno=True)
PATIENCE = 60 * int(os.environ.get("TIME_FACTOR", "1"))
ETH_P_ALL, PACKET_OUTGOING = 3, 4
IP_MTU_DISCOVER, IP_PMTUDISC_DONT = 10, 0
IPPROTO_ESP, IPPROTO_EESP, IPPROTO_FRAGMENT, MODE_TRANSPORT = 50, 253, 44, 0
KINDS = {IPPROTO_ESP: "esp", IPPROTO_EESP: "eesp", socket.IPPROTO_UDP: "clear"}


class Host:
    def __init__(self, name):
        self.name = name
        self.netns = open(f"/run/netns/{name}")
        self.enter()
        self.wan = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL))
        self.wan.bind(("wan", ETH_P_ALL))
        self.wan.setblocking(False)

    def enter(self):
        if libc.setns(self.netns.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")

    def socket(self, address, port):
        self.enter()
        v6 = ":" in address
        sock = socket.socket(socket.AF_INET6 if v6 else socket.AF_INET, socket.SOCK_DGRAM)
        if not v6:
            sock.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT)
        sock.bind((address, port))
        return sock

    def counters(self):
        self.enter()
        with open("/proc/thread-self/net/xfrm_stat") as file:
            return {name: int(value) for name, value in map(str.split, file)}

    def device(self, name):
        self.enter()
        with open("/proc/thread-self/net/dev") as file:
            (words,) = (line.split()[1:] for line in file if line.strip().startswith(f"{name}:"))
        return words[1], words[9]

    def left(self):
        """What has left by the link since it was asked last."""
        kinds = []
        try:
            while True:
                packet, (_, _, way, *_) = self.wan.recvfrom(65536)
                if way != PACKET_OUTGOING:
                    continue
                protocol = packet[9] if packet[0] >> 4 == 4 else packet[6]
                if packet[0] >> 4 == 6 and protocol == IPPROTO_FRAGMENT:
                    protocol = packet[40]
                kinds += [KINDS[protocol]] if protocol in KINDS else []
        except BlockingIOError:
            return kinds


def received(sock, patience):
    if not select.select([sock], [], [], patience)[0]:
        return None
    return sock.recv(65536)


def moved(before, after):
    return {name: n - before[name] for name, n in after.items() if n != before[name]}


def policy(sock, direction, reqid, src, dst):
    templates = [] if reqid == "none" else [(src, dst, int(reqid), MODE_TRANSPORT)]
    socket_policy(sock, direction, *templates)


def datagram(hosts, verb, number, src, dst, port, *words):
    here, there = hosts if number == "1" else reversed(hosts)
    option = dict(word.split("=") for word in words if "=" in word)
    words = [word for word in words if "=" not in word]
    kind = None if verb == "stopped" else words.pop(0)
    want = [{}, {}]
    if verb != "goes" and words != ["none"]:
        want[verb == "refused"] = {words[0]: int(option.get("times", 1))}
    data = os.urandom(int(option.get("length", 100)))
    error, got = None, None

    with here.socket(src, int(port)) as tx, there.socket(dst, int(port)) as rx:
        tx.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, int(option.get("mark", "0"), 0))
        if "out" in option:
            policy(tx, POLICY_OUT, option["out"], src, dst)
        if "in" in option:
            policy(rx, POLICY_IN, option["in"], src, dst)
        here.left()
        before = [host.counters() for host in (here, there)]
        try:
            tx.sendto(data, (dst, int(port)))
        except OSError as e:
            error = e
        if verb == "goes":
            got = received(rx, 0 if error else PATIENCE)
        end = time.monotonic() + PATIENCE
        while True:
            now = [moved(b, h.counters()) for b, h in zip(before, (here, there))]
            if now == want or time.monotonic() > end:
                break
            time.sleep(0.01)
        if verb != "goes":
            got = received(rx, 0)
    left = here.left()

    wrong = []
    if now != want:
        wrong.append(f"counters that moved: {now}, wanted {want}")
    if error and verb != "stopped" or not error and words == ["none"]:
        wrong.append(f"sending: {error}")
    if set(left) != ({kind} if kind else set()) or len(left) > 1 and len(data) < 1400:
        wrong.append(f"left: {left}")
    if got != (data if verb == "goes" else None):
        wrong.append(f"received: {got and len(got)} octets, or others")
    return "; ".join(wrong) or "ok"


def figures(hosts):
    """Of each SA packets and octets sent and accepted, and what was dropped."""
    sas = {}
    for host in hosts:
        command = ["ip", "-n", host.name, "-s", "xfrm", "state"]
        for line in subprocess.run(command, check=True, capture_output=True,
                                   text=True).stdout.splitlines():
            word = line.split()
            if word[0] == "src":
                src = word[1]
            elif word[0] == "proto":
                sa = sas.setdefault((word[3], src), [0, 0, 0, 0, []])
            elif word[0] == "tx-packets":
                for i in range(4):
                    sa[i] += int(word[2 * i + 1])
            elif word[0] == "drops" and word[1] != "none":
                sa[4] += word[1:]
    return sas


def settled(hosts):
    end = time.monotonic() + PATIENCE
    while True:
        sas = figures(hosts)
        if sas and all(sa[0] and sa[:2] == sa[2:4] and not sa[4] for sa in sas.values()):
            return " ".join(str(sas[sa][0]) for sa in sorted(sas))
        if time.monotonic() > end:
            return f"sent, accepted, drops: {sas}"
        time.sleep(0.05)


def answer(hosts, verb, *words):
    if verb == "figures":
        return settled(hosts)
    if verb == "device":
        return " ".join(n for host in hosts for n in host.device(*words))
    return datagram(hosts, verb, *words)


def main():
    hosts = [Host(name) for name in sys.argv[1:]]
    for line in sys.stdin:
        try:
            print(answer(hosts, *line.split()), flush=True)
        except (OSError, ValueError, KeyError, subprocess.SubprocessError) as e:
            print(f"{type(e).__name__}: {e}", flush=True)


main()
