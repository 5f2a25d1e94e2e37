#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Packets by chance to extended SAs, through a tap device of this namespace, and the reference
to judge what becomes of them.

    fuzzpackets.py SEED ROUNDS PACKETS [SECONDS]

Round N of SEED has an SA of its own, or one in another, of a format, mode, trailer and
algorithm by chance, and PACKETS packets of mutants.py: SEED=<seed + n> ROUNDS=1 does it
again. With SECONDS it goes on with further rounds until so many are over. How packets come, too, is by
chance: one by one, by NAPI with GRO, out of pages; steered to another CPU or not; on the
module's own path or the kernel's.

After every batch exactly what the reference says must have been counted by the SA and by the
kernel (Documentation/counters.rst) and delivered, to the octet; after every round its
windows, and in the end what the namespace has counted in all, must be as it says, too. BATCH=1 in
the environment compares behind each packet, which tells which it was. FORMAT=eesp there: SAs of
that format.
"""

import contextlib
import fcntl
import os
import pathlib
import random
import socket
import struct
import subprocess
import sys
import time
from collections import Counter

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "reference"))

# pylint: disable=wrong-import-position
import esp64
import genl
import mutants
import mutants_eesp
from ears import Raw
from verdicts import STATS, SUBSPACE, XFRM_STAT, expected_counters, nest

FACTOR = int(os.environ.get("TIME_FACTOR", "1"))
TIMEOUT = int(os.environ.get("WAIT", "60")) * FACTOR
BATCH = int(os.environ.get("BATCH", "48"))
EESP = os.environ.get("FORMAT") == "eesp"
SHOWN = 10
PROBLEMS = 5

DEV = "wan"
TUNSETIFF, IFF_TAP, IFF_NAPI, IFF_NAPI_FRAGS, IFF_NO_PI = 0x400454CA, 2, 0x10, 0x20, 0x1000
ETH_P_ALL, SO_ATTACH_FILTER, SO_RCVBUFFORCE, UDP_ENCAP, UDP_ENCAP_ESPINUDP = 3, 26, 33, 100, 2
SOL_PACKET, PACKET_STATISTICS = 263, 6
# What an SA delivers carries its mark: the first has this one
MARK = 0x77
# Of BPF: where mark and type of a packet are found
AD_PKTTYPE, AD_MARK = 0xFFFFF004, 0xFFFFF014
# The address of ours, 128 bits of it
LOCAL = "fd000000000000000000000000000002 80 "
FASTPATH = "/sys/module/xfrm_ext/parameters/fastpath"
RPS = f"/sys/class/net/{DEV}/queues/rx-0/rps_cpus"
MIBS = {name for name in XFRM_STAT.values() if name} - {"XfrmInHdrError"}

AEADS = (
    ("rfc4106(gcm(aes))", 20, 128), ("rfc4106(gcm(aes))", 20, 64), ("rfc4106(gcm(aes))", 36, 96),
    ("rfc4543(gcm(aes))", 20, 128), ("rfc4309(ccm(aes))", 19, 64), ("rfc4309(ccm(aes))", 35, 128),
    ("rfc7539esp(chacha20,poly1305)", 36, 128),
)
PAIRS = (
    ("cbc(aes)", 16, "hmac(sha256)", 32, 128), ("cbc(aes)", 32, "hmac(sha512)", 64, 256),
    ("cbc(aes)", 16, "hmac(sha1)", 20, 96), ("rfc3686(ctr(aes))", 20, "hmac(sha256)", 32, 128),
    ("ecb(cipher_null)", 0, "hmac(sha256)", 32, 128), ("cbc(aes)", 16, "cmac(aes)", 16, 96),
)


def inside(rng, fields, words, ext):
    """What goes with the mode."""
    if fields["mode"] == "tunnel":
        words.append("flag af-unspec")
    elif fields["mode"] == "beet":
        inner6 = rng.random() < 0.4
        fields["inner"] = ("fd01::1", "fd02::1") if inner6 else ("10.1.0.1", "10.2.0.1")
        words.append("sel src {} dst {}".format(*fields["inner"]))
        if not inner6 and rng.random() < 0.6:
            fields["beet_frag"] = True
            ext.append("beet-frag on")


class Config:
    """An SA by chance: for the reference, and as `ip` has it."""

    def __init__(self, rng, secret, number, mode=None):
        self.number, self.mark = number, MARK + number
        spi = 0x100 * (1 + number)
        mode = mode or rng.choice(("tunnel", "tunnel", "transport", "beet"))
        v6 = rng.random() < 0.4
        src, dst = ("fd00::1", "fd00::2") if v6 else ("10.0.0.1", "10.0.0.2")
        fields = {"spi": spi, "src": src, "dst": dst, "mode": mode}
        words = [f"src {src} dst {dst} proto esp spi {spi} reqid 1 mode {mode}"]
        aead = rng.random() < 0.8
        if aead:
            name, size, icv = rng.choice(AEADS) if rng.random() < 0.5 else AEADS[0]
            key = secret(size)
            words.append(f"aead {name} 0x{key.hex()} {icv}")
            fields |= {"aead": name, "key": key, "icv": icv // 8}
        else:
            enc, size, auth, auth_size, icv = rng.choice(PAIRS)
            key, auth_key = secret(size), secret(auth_size)
            shown = f"0x{key.hex()}" if key else '""'
            words.append(f"enc {enc} {shown} auth-trunc {auth} 0x{auth_key.hex()} {icv}")
            fields |= {"enc": enc, "auth": auth, "key": key, "auth_key": auth_key, "icv": icv // 8}
        ext = self.extension(rng, fields)
        # (What is in UDP and came out of an SA, a socket without policies gets none of)
        if rng.random() < 0.3 and mode != "transport" and not number:
            fields["encap"] = mutants.PORTS
            words.append(f"encap espinudp {mutants.PORTS[0]} {mutants.PORTS[1]} 0.0.0.0")
        inside(rng, fields, words, ext)
        words.append(f"output-mark {self.mark} mask 0xffffffff")
        self.sa = esp64.SA(**fields)
        self.line = "xfrm state add " + " ".join(words + ["ext"] + ext)

    def extension(self, rng, fields):
        """Its words."""
        form = rng.choice(("esp64", "esp64", "esp", "esn"))
        fields["format"] = form.replace("esn", "esp")
        fields["subspaces"] = rng.choice((1, 2, 4, 16)) if form == "esp64" else 1
        fields["esn"] = form == "esn"
        fields["trailer"] = rng.choice(("end", "end", "front", "omit"))
        if fields["mode"] != "tunnel" and fields["trailer"] == "omit":
            fields["trailer"] = "front"
        implicit = fields.get("aead", "rfc4543(gcm(aes))") != "rfc4543(gcm(aes))"
        fields["iv"] = "implicit" if implicit and rng.random() < 0.3 else "explicit"
        self.window = rng.choice((64, 128, 1024))
        self.protected = form == "esn" or rng.random() < 0.9
        ext = [f"format {fields['format']} trailer {fields['trailer']} iv {fields['iv']}",
               f"rx-subspaces {fields['subspaces']}"]
        if form == "esn":
            ext.append("esn on")
        if self.protected and fields["trailer"] != "omit" and rng.random() < 0.3:
            ext.append("echo on")
        ext.append(f"window {self.window}" if self.protected else "replay-protection off")
        return ext


class ConfigEesp:
    """The same of format eesp."""

    def __init__(self, rng, secret, number, mode=None):
        self.number, self.mark, self.protected = number, MARK + number, True
        mode = mode or rng.choice(("tunnel", "tunnel", "transport", "beet"))
        src, dst = rng.choice((("fd00::1", "fd00::2"), ("10.0.0.1", "10.0.0.2")))
        # Spoilt, one is not the other
        fields = {"spi": 0x11223344 * (1 + 2 * number), "src": src, "dst": dst, "mode": mode,
                  "proto": mutants_eesp.PROTO}
        name, size, icv = rng.choice(AEADS) if rng.random() < 0.5 else AEADS[0]
        salt = 3 if "ccm" in name else 4
        subs = rng.choice((1, 2, 4, 16))
        ext = [f"format eesp rx-subspaces {subs}"]
        if subs > 1 or rng.random() < 0.5:
            root = rng.choice((256, 384, 512))
            fields |= {"sskdf": f"hkdf-sha{root}", "cipher_key": size - salt, "max_sub_sa": subs - 1}
            ext.append(f"sub-key {8 * (size - salt)}")
            size = root // 8
        key = secret(size)
        fields |= {"aead": name, "key": key, "icv": icv // 8}
        if name != "rfc4543(gcm(aes))" and rng.random() < 0.3:
            fields["iv"] = "implicit"
        if rng.random() < 0.6:
            most = rng.choice((0, 1, 2, 8, 63))
            fields |= {"crypt_offset": rng.randrange(most + 1) if rng.random() < 0.7 else None,
                       "max_crypt_offset": most}
            ext.append(f"rx-crypt-offset {4 * most}")
        self.window = rng.choice((64, 128, 1024))
        ext.append(f"iv {fields.get('iv', 'explicit')} window {self.window}")
        words = [f"src {src} dst {dst} proto esp spi {fields['spi']} reqid 1 mode {mode} "
                 f"aead {name} 0x{key.hex()} {icv}"]
        inside(rng, fields, words, ext)
        words.append(f"output-mark {self.mark} mask 0xffffffff")
        self.sa = mutants_eesp.Sa(**fields)
        self.line = "xfrm state add " + " ".join(words + ["ext"] + ext)


class State:
    """What an SA counts."""

    def __init__(self, family, sa):
        self.family = family
        self.identity = b"".join(
            genl.attr(genl.NUMBERS[name], genl.encode(name, value))
            for name, value in (("family", "2" if sa.version == 4 else "10"), ("daddr", sa.dst),
                                ("spi", hex(sa.spi))))
        self.before = self.counters()

    def get(self):
        """(name, octets) of every attribute that is answered."""
        body = struct.pack("=BBH", genl.COMMANDS["get"], 1, 0) + self.identity
        for answer in self.family.netlink.request(self.family.id, body):
            for kind, data in genl.attrs(answer[4:]):
                yield genl.NAMES.get(kind), data

    def counters(self):
        """Each, since it was made."""
        (stats,) = (data for name, data in self.get() if name == "stats")
        return Counter(nest(stats, STATS))

    def moved(self):
        """Each, since it was asked for."""
        now = self.counters()
        moved = now - self.before
        self.before = now
        return moved

    def windows(self):
        """By subspace: with the SA itself they are not told."""
        found = {}
        body = struct.pack("=BBH", genl.COMMANDS["get"], 1, 0)
        for answer in self.family.netlink.request(self.family.id, body, genl.NLM_F_DUMP):
            attributes = [(genl.NAMES.get(kind), data) for kind, data in genl.attrs(answer[4:])]
            if not self.is_mine(attributes):
                continue
            for name, data in attributes:
                if name == "rx-subspace":
                    one = nest(data, SUBSPACE)
                    found[one.pop("id")] = one
        return found

    def is_mine(self, attributes):
        """Whether an answer is about this one."""
        return genl.attr(genl.NUMBERS["spi"], dict(attributes)["spi"]) in self.identity


class Tap:
    """The device that packets come from, in one of its shapes."""

    SHAPES = {"plain": 0, "napi": IFF_NAPI, "pages": IFF_NAPI | IFF_NAPI_FRAGS}

    def __init__(self, rng, shape):
        self.rng, self.shape = rng, shape
        self.fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        flags = IFF_TAP | IFF_NO_PI | self.SHAPES[shape]
        fcntl.ioctl(self.fd, TUNSETIFF, struct.pack("16sH22x", DEV.encode(), flags))
        mac = bytes.fromhex("020000000002")
        ip(f"link set {DEV} address 02:00:00:00:00:02 mtu 65000 up\n"
           f"addr add 10.0.0.2/24 dev {DEV}\naddr add fd00::2/64 dev {DEV} nodad\n"
           f"neigh replace 10.0.0.1 lladdr 02:00:00:00:00:01 dev {DEV} nud permanent\n"
           f"neigh replace fd00::1 lladdr 02:00:00:00:00:01 dev {DEV} nud permanent\n")
        # IPv6 sees to its routes later
        end = time.monotonic() + TIMEOUT
        while LOCAL not in pathlib.Path("/proc/self/net/ipv6_route").read_text(encoding="ascii"):
            if time.monotonic() > end:
                raise OSError("no local route")
            time.sleep(0.001)
        self.heads = {4: mac + bytes.fromhex("020000000001" "0800"),
                      6: mac + bytes.fromhex("020000000001" "86dd")}

    def send(self, frame, version):
        """One packet. Out of pages: its headers in one piece, the rest cut anywhere."""
        head = self.heads[version]
        if self.shape != "pages":
            os.write(self.fd, head + frame)
            return
        rng, data = self.rng, head + frame
        at = min(len(data), 14 + (rng.choice((20, 28, 36, 60)) if version == 4 else rng.choice((40, 48, 80))))
        parts = [data[:at]]
        # (So many pages a packet may have)
        while at < len(data):
            most = 4096 if len(data) - at > 2000 else rng.randrange(1, 700)
            if len(parts) > 12:
                most = 4096
            parts.append(data[at : at + most])
            at += most
        os.writev(self.fd, parts)

    def close(self):
        """Gone, with its addresses."""
        os.close(self.fd)


def ip(lines):
    """ip -batch."""
    subprocess.run(["ip", "-batch", "-"], input=lines, text=True, check=True)


def write(path, text):
    """A file of the kernel's."""
    pathlib.Path(path).write_text(text, encoding="ascii")


def insn(code, jt, jf, k):
    """One of BPF's."""
    return struct.pack("=HBBI", code, jt, jf, k)


class Marked:
    """All that an SA delivers passes the device once more, with the SA's mark."""

    def __init__(self, stack, mark):
        program = [insn(0x20, 0, 0, AD_MARK), insn(0x15, 0, 3, mark), insn(0x20, 0, 0, AD_PKTTYPE),
                   insn(0x15, 0, 1, 0), insn(6, 0, 0, 1 << 18), insn(6, 0, 0, 0)]
        text = b"".join(program)
        self.sock = stack.enter_context(socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0))
        self.sock.setblocking(False)
        self.sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
        import ctypes  # only here
        memory = ctypes.create_string_buffer(text)
        self.sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER,
                             struct.pack("@HL", len(program), ctypes.addressof(memory)))
        self.sock.bind((DEV, ETH_P_ALL))

    def heard(self):
        """What has come."""
        with contextlib.suppress(BlockingIOError):
            while True:
                yield self.sock.recv(1 << 17)
        _, missed = struct.unpack("=II", self.sock.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))
        if missed:
            raise OSError(f"the tap missed {missed} packets")

    @staticmethod
    def expects(packet):
        """All of it."""
        return packet


class Told:
    """Transport mode: raw sockets of a few protocols."""

    def __init__(self, stack, sa):
        self.raw = Raw(stack, sa, mutants.PROTOS)

    def heard(self):
        """What has come."""
        for sock in self.raw.sockets:
            yield from self.raw.heard(sock)

    def expects(self, packet):
        """Nothing else is heard of."""
        return packet if packet[9 if packet[0] >> 4 == 4 else 6] in mutants.PROTOS else None


class Deaf:
    """What came out of another SA, sockets without policies get none of; and with esp4_offload the
    second SA's packets are the first's for a while, and marked so: that is counted only."""

    @staticmethod
    def heard():
        """Nothing."""
        return ()

    @staticmethod
    def expects(_):
        """Nothing."""
        return None


def mibs():
    """Of the namespace."""
    with open("/proc/self/net/xfrm_stat", encoding="ascii") as f:
        found = Counter({name: int(value) for name, value in map(str.split, f)})
    return Counter({name: found[name] for name in MIBS})


def totals(family):
    """What all SAs of the namespace have counted, those that are gone, too."""
    body = struct.pack("=BBH", genl.COMMANDS["totals"], 1, 0)
    (answer,) = family.netlink.request(family.id, body)
    (stats,) = (data for kind, data in genl.attrs(answer[4:]) if genl.NAMES.get(kind) == "stats")
    found = nest(stats, STATS)
    return Counter({k: v for k, v in found.items() if k.startswith("rx-") and k != "rx-bytes"})


class Round:
    """SAs, packets for them, and what came of it."""

    def __init__(self, stack, seed, attempt):
        self.seed, self.rng, self.stack = seed, random.Random(seed), stack
        rng = self.rng
        # A key is one SA's, once; also if this round is done again
        keys = random.Random(f"{seed} {attempt} {time.time_ns()}")
        nested = rng.random() < 0.2
        modes = ("tunnel", rng.choice(("tunnel", "transport", "beet"))) if nested else (None,)
        config, mutator = (ConfigEesp, mutants_eesp.Mutator) if EESP else (Config, mutants.Mutator)
        self.configs = [config(rng, keys.randbytes, n, mode) for n, mode in enumerate(modes)]
        self.fast = rng.random() < 0.75
        # On its own path the kernel's xfrm interfaces ask for a policy between one SA and the other
        # (of ESP esp4_offload's GRO has been faster)
        self.fast |= EESP and nested
        self.shape = rng.choice(list(Tap.SHAPES))
        # What esp4_offload takes is not steered, what it does not take is: they overtake each other
        self.steered = rng.random() < 0.3 and (self.fast or self.shape == "plain")
        # The first SA's inner packets go through GRO, too
        trims = self.fast or self.shape == "plain" and not nested
        self.line = mutants.Line(
            rng, [mutator(rng, c.sa, c.window, c.protected, trims) for c in self.configs], trims)
        self.problems, self.verdicts, self.counted = [], Counter(), Counter()

    def describe(self):
        """What it was."""
        return (f"SEED={self.seed} ROUNDS=1: {self.shape}, {'steered, ' if self.steered else ''}"
                f"fastpath {'on' if self.fast else 'off'}: "
                + "; ".join(c.line.removeprefix("xfrm state add ") for c in self.configs))

    def run(self, family, packets):
        """Returns how many were sent."""
        write(FASTPATH, "Y" if self.fast else "N")
        tap = Tap(random.Random(f"{self.seed} pages"), self.shape)
        self.stack.callback(tap.close)
        if self.steered:
            write(RPS, "2")
        self.stack.callback(ip, "xfrm state flush\n")
        ip("".join(c.line + "\n" for c in self.configs))
        states = [State(family, c.sa) for c in self.configs]
        ears = [self.ear(c) for c in self.configs]
        self.mibs = mibs()
        # Where they are sent from shall not change what is sent
        sent, cpus = 0, random.Random(f"{self.seed} cpus")
        while sent < packets and len(self.problems) < PROBLEMS:
            os.sched_setaffinity(0, {cpus.choice((0, 0, 0, 0, 1))})
            batch = [self.line.next() for _ in range(min(BATCH, packets - sent))]
            self.batch(tap, states, ears, batch)
            sent += len(batch)
        self.windows(states)
        return sent

    def ear(self, config):
        """Who hears what an SA delivers."""
        nested = len(self.configs) > 1
        if nested and (config.sa.mode == "transport" or not self.fast):
            return Deaf()
        return Told(self.stack, config.sa) if config.sa.mode == "transport" else Marked(self.stack, config.mark)

    def batch(self, tap, states, ears, batch):
        """Send them, and compare."""
        want, heard = [Counter() for _ in states], [Counter() for _ in states]
        for s in batch:
            for n, verdict, size in s.judged:
                moved = expected_counters(verdict, size, self.fast)
                self.verdicts[verdict.counter] += 1
                for name, value in moved.items():
                    want[n if name in STATS.values() else 0][name] += value
            for n, packet in s.delivered:
                packet = ears[n].expects(packet)
                if packet is not None:
                    heard[n][packet] += 1
        version = self.configs[0].sa.version
        for s in batch:
            for frame in s.frames:
                tap.send(frame, version)
        mib = Counter({k: v for k, v in want[0].items() if k in MIBS})
        want = [Counter({k: v for k, v in w.items() if k in STATS.values()}) for w in want]
        for one in want:
            self.counted += one
        got, came, moved = [Counter() for _ in states], [Counter() for _ in states], Counter()
        end = time.monotonic() + TIMEOUT
        while True:
            for n, state in enumerate(states):
                got[n] += state.moved()
                came[n] += Counter(ears[n].heard())
            now = mibs()
            moved += now - self.mibs
            self.mibs = now
            missing = mib - moved or any(w - g for w, g in zip(want, got))
            if not (missing or any(h - c for h, c in zip(heard, came))) or time.monotonic() > end:
                break
            time.sleep(0.001)
        if got == want and came == heard and moved == mib:
            return
        for n, _ in enumerate(states):
            if got[n] != want[n]:
                self.problems.append(f"SA {n} counted {dict(got[n] - want[n])}, and not {dict(want[n] - got[n])}")
            for packet in came[n] - heard[n]:
                self.problems.append(f"SA {n} delivered {packet.hex()}")
            for packet in heard[n] - came[n]:
                self.problems.append(f"SA {n} did not deliver {packet.hex()}")
        if moved != mib:
            self.problems.append(f"the kernel counted {dict(moved - mib)}, and not {dict(mib - moved)}")
        # Of one it is certain (BATCH=1); of many nobody would see which
        for s in batch if len(batch) == 1 else ():
            verdicts, frames = [v.counter for _, v, _ in s.judged], [f.hex() for f in s.frames]
            self.problems.append(f"of {s.what}: {verdicts}: {frames}")

    def windows(self, states):
        """As the reference has them."""
        for config, state, mutator in zip(self.configs, states, self.line.mutators):
            want = {number: {"highest": s.highest, "packets": len(s.seen), "replays": s.replays,
                             "too-old": s.too_old, "backtrack": s.backtrack}
                    for number, s in mutator.receiver.subspaces.items()}
            got = state.windows()
            if got != want:
                self.problems.append(f"windows of SA {config.number}: {got}, want {want}")


def main():
    """The command line."""
    seed, rounds, packets = map(int, sys.argv[1:4])
    end = time.monotonic() + float(sys.argv[4]) if len(sys.argv) > 4 else None
    for dev, address in (("lo", "10.2.0.1/24"), ("lo", "fd02::1/64")):
        subprocess.run(["ip", "addr", "replace", address, "dev", dev], check=True)
    encap = []
    for kind, address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
        sock = socket.socket(kind, socket.SOCK_DGRAM)
        if kind == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((address, mutants.PORTS[1]))
        sock.setsockopt(socket.IPPROTO_UDP, UDP_ENCAP, UDP_ENCAP_ESPINUDP)
        encap.append(sock)
    family, sent, bad, verdicts, counted, n = genl.Family(), 0, 0, Counter(), Counter(), 0
    before = totals(family)
    while n < rounds or end and time.monotonic() < end:
        with contextlib.ExitStack() as stack:
            one = Round(stack, seed + n, 0)
            sent += one.run(family, packets)
        verdicts += one.verdicts
        counted += one.counted
        if one.problems:
            bad += 1
            print(f"# {one.describe()}")
            for problem in one.problems[:SHOWN]:
                print(f"#   {problem}"[:2000], flush=True)
        n += 1
        if bad >= PROBLEMS:
            break
        if n % 100 == 0:
            print(f"# {n} rounds, {sent} packets", flush=True)
    del counted["rx-bytes"]
    if not bad and totals(family) - before != counted:
        bad += 1
        print(f"# totals: {dict(totals(family) - before)}, want {dict(counted)}")
    text = " ".join(f"{k} {v}" for k, v in sorted(verdicts.items()))
    print(f"# seed {seed}: {n} rounds, {sent} packets: {text}")
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
