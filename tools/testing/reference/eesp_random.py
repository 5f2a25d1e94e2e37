#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Random EESP packets, there and back: every option and mode, in any combination.

    eesp_random.py [--packets N] [--seed S]
    eesp_random.py --sa FILE --wire PCAP --inner PCAP [--packets N] [--seed S]

The second writes packets of the SAs in a JSON file, and what is to come out of them, for another
implementation to receive. The first tries this one:

Each packet is made by a sender, taken apart strictly, and received; then what one SA's packets
say is wrong for others is tried: a changed octet, a lost one, one too many, the packet again.
A failure prints the seed and the packet's number.
"""

import argparse
import random
import sys
from collections import Counter

import eesp
import eesp_keys
import eesp_peer
import iphdr
import pcap
from eesp_options import Numbers, Option
from errors import DecodeError

V4 = ("192.0.2.1", "192.0.2.2"), ("10.1.0.1", "10.2.0.1")
V6 = ("2001:db8::1", "2001:db8::2"), ("fd01::1", "fd02::1")
PACKETS_PER_SA = 4
# Octets that IPv4 options may be
V4_OPTIONS = (b"", b"\x94\x04\0\0", b"\x94\x04\0\0\1\1\1\1", b"\x07\x0b\x08" + bytes(8) + b"\0")


def random_sa(rng):
    """Any SA."""
    outside, inside = rng.choice((V4, V6)), rng.choice((V4, V6))
    kind = rng.choice(list(eesp_keys.AEADS))
    aead = eesp_keys.AEADS[kind]
    key_len, sskdf = rng.choice(aead.key_lens), rng.choice((None, *eesp_keys.SSKDFS))
    iv = rng.choice(("explicit", "implicit")) if aead.implicit else "explicit"
    sn = "64" if iv == "implicit" else rng.choice(("64", "64", "64", "none"))
    mode = rng.choice(eesp.MODES)
    most = rng.choice((None, 0, 1, 2, 7, 63, rng.randrange(64)))
    numbers = Numbers() if rng.random() < .8 else Numbers(*rng.sample(range(256), 3))
    free = [n for n in range(256) if n not in numbers]
    options = () if rng.random() < .7 else tuple(
        Option(rng.choice(free), rng.randbytes(rng.randrange(12)))
        for _ in range(rng.randrange(1, 5)))
    size = eesp_keys.root_key_len(sskdf) if sskdf else key_len + aead.salt_len
    return eesp.SA(
        spi=rng.getrandbits(32), key=rng.randbytes(size), src=outside[0][0], dst=outside[0][1],
        icv=rng.choice(aead.icvs), aead=kind, iv=iv, sn=sn, sskdf=sskdf,
        cipher_key=key_len if sskdf else 0,
        max_sub_sa=rng.choice((0, 1, 7, 255, 65535)) if sskdf else eesp.SESSION_MAX,
        mode=mode, inner=inside[1] if mode == "beet" else None,
        beet_frag=mode == "beet" and rng.random() < .5,
        encap=(rng.randrange(1, 65536), 4500) if rng.random() < .3 else None,
        crypt_offset=None if most is None or rng.random() < .2 else rng.randrange(most + 1),
        max_crypt_offset=most, options=options,
        version_number=0 if rng.random() < .9 else rng.randrange(16), numbers=numbers,
        proto=rng.choice((253, 253, 254, 49)))


def random_inner(rng, sa):
    """A packet that this SA carries, and that comes back as it was."""
    body = rng.randbytes(rng.choice((0, 1, 2, 3, rng.randrange(80), rng.randrange(1400))))
    if sa.mode == "tunnel":
        addresses = rng.choice((rng.randbytes(8), rng.randbytes(32)))
    else:
        addresses = sa.addresses if sa.mode == "transport" else sa.inner_addresses
    v4 = len(addresses) == 8
    proto = rng.choice([n for n in range(256) if n not in (
        iphdr.PROTO_HOPOPTS, iphdr.PROTO_ROUTING, iphdr.PROTO_FRAGMENT, iphdr.PROTO_DSTOPTS,
        iphdr.PROTO_BEETPH, iphdr.PROTO_NONE)])
    fields = {"tos": rng.getrandbits(8), "ttl": rng.getrandbits(8)}
    if v4:
        fields |= {"options": rng.choice(V4_OPTIONS), "ident": rng.getrandbits(16),
                   "frag": rng.choice((0, iphdr.IP_DF))}
        if sa.mode == "tunnel":
            # Also a fragment
            fields["frag"] = rng.getrandbits(16)
        elif sa.mode == "beet" and sa.beet_frag and rng.random() < .3:
            fields["frag"] = rng.choice((0x2000, 0x2001, 0x4064, 0x1FFF))
        elif sa.mode == "beet" and sa.version == 6:
            # The outer header has no place for these
            fields |= {"ident": 0, "frag": iphdr.IP_DF}
    else:
        fields["label"] = rng.getrandbits(20)
    if sa.mode == "beet" and v4 != (sa.version == 4) and not v4:
        fields["label"] = 0
    return iphdr.Header(addresses, proto, **fields).octets(len(body)) + body


class Failure(Exception):
    """Something is wrong with the reference."""


def want(what, truth):
    """Fail if it is not so."""
    if not truth:
        raise Failure(what)


def refused(what, how):
    """The name of the error with which it is refused."""
    try:
        how()
    except DecodeError as e:
        return type(e).__name__
    raise Failure(f"{what}: accepted")


class Run:
    """SAs and packets, counted by what they are."""

    def __init__(self, seed):
        self.rng, self.kinds, self.errors = random.Random(seed), Counter(), Counter()

    def one_sa(self, packets):
        """Some packets of an SA."""
        rng = self.rng
        sa = random_sa(rng)
        sender = eesp_peer.Sender(sa, sa.max_sub_sa, sa.max_crypt_offset)
        receiver = eesp_peer.Receiver(sa, rng.choice((64, 128, 4096)))
        host = eesp_peer.Host([receiver])
        for _ in range(packets):
            most = sa.max_sub_sa if sa.sskdf else 0
            session = rng.choice((0, most, rng.randint(0, most)))
            self.one_packet(sa, sender, receiver, host, session)
        self.kinds[f"mode {sa.mode}"] += packets
        self.kinds[f"{sa.aead} {len(sa.key) if not sa.sskdf else sa.cipher_key}"] += packets
        for name in ("iv", "sn", "sskdf", "crypt_offset", "encap", "options"):
            value = getattr(sa, name)
            if name in ("encap", "options"):
                value = bool(value)
            elif name == "crypt_offset":
                value = value is not None
            self.kinds[f"{name} {value}"] += packets

    def one_packet(self, sa, sender, receiver, host, session):
        """One packet there and back, and what must be refused of it."""
        rng = self.rng
        inner = random_inner(rng, sa)
        # Far ahead at times: numbers have 64 bits
        ahead = rng.choice((1, 1, 1, 2, 70, 1 << 33))
        ports = (rng.randrange(1, 65536), sa.encap[1]) if sa.encap and session else None
        how = {} if rng.random() < .8 else {"pad_extra": 4 * rng.randrange(63)}
        if sa.iv == "explicit" and rng.random() < .2:
            how["iv"] = rng.randbytes(8)
        sn = sender.next(session, ahead)
        packet = eesp.encode(sa, session, sn, inner, ports=ports, **how)
        strict = eesp.decode(sa, packet)
        want("inner", strict.inner == inner)
        want("SN", strict.parts.sn == (sn if sa.sn == "64" else None))
        want("Session ID", strict.parts.session == session)
        want("options", [o for o in strict.parts.options if o.kind not in sa.numbers]
             == list(sa.options))
        whole = eesp.split_outer(sa, packet)[1]
        self.refusals(sa, receiver, host, packet, whole)
        got = host.receive(packet)
        want("received", got == strict)
        if sa.sn == "64":
            self.errors[refused("again", lambda: host.receive(packet))] += 1
            want("event", host.events[-1].name == "Replayed" and host.events[-1].sn == sn)
            want("window", receiver.windows[session].highest == sn)
        else:
            want("again", host.receive(packet) == got)

    def refusals(self, sa, receiver, host, packet, whole):
        """A packet that is changed in any way, before the good one."""
        rng = self.rng
        changed = bytearray(whole)
        changed[rng.randrange(len(whole))] ^= 1 << rng.randrange(8)
        before = {n: (w.highest, w.seen) for n, w in receiver.windows.items()}
        for what, bad in (("a bit", bytes(changed)), ("cut", whole[: rng.randrange(len(whole))]),
                          ("longer", whole + rng.randbytes(rng.randrange(1, 9)))):
            self.errors[refused(what, lambda bad=bad: receiver.receive(bad))] += 1
        want("windows", before == {n: (w.highest, w.seen) for n, w in receiver.windows.items()})
        if rng.random() < .1:
            stranger = eesp.SA(sa.spi ^ 1, bytes(20), sa.src, sa.dst)
            name = refused("stranger", lambda: eesp_peer.Host(
                [eesp_peer.Receiver(stranger)]).receive(packet))
            want("NoSa", name == "NoSa")
            self.errors[name] += 1
        want("events", all(e.spi is not None for e in host.events))


def run(packets, seed):
    """So many packets. A Failure says which."""
    made = Run(seed)
    done = 0
    while done < packets:
        try:
            made.one_sa(min(PACKETS_PER_SA, packets - done))
        except Exception as e:
            raise Failure(f"seed {seed}, SA from packet {done}: {e!r}") from e
        done += PACKETS_PER_SA
    return made


def write(sas, packets, seed, wire, inner):
    """Packets of these SAs, in turn, as they are sent and as they are delivered."""
    rng, sent, delivered = random.Random(seed), [], []
    senders = [eesp_peer.Sender(sa, sa.max_sub_sa, sa.max_crypt_offset) for sa in sas]
    for n in range(packets):
        sender = senders[n % len(senders)]
        session = rng.randint(0, sender.sa.max_sub_sa) if sender.sa.sskdf else 0
        delivered.append(random_inner(rng, sender.sa))
        sent.append(sender.send(delivered[-1], session))
    pcap.write(wire, sent)
    pcap.write(inner, delivered)


def main():
    """Run, and say what there was."""
    p = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--packets", type=int, default=100000)
    p.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(32))
    p.add_argument("--sa", metavar="FILE", help="JSON: an SA or a list of SAs")
    p.add_argument("--wire", metavar="PCAP", help="what is sent")
    p.add_argument("--inner", metavar="PCAP", help="what is delivered")
    args = p.parse_args()
    if len({bool(args.sa), bool(args.wire), bool(args.inner)}) > 1:
        p.error("--sa, --wire and --inner go together")
    if args.sa:
        write(eesp.load_sas(args.sa), args.packets, args.seed, args.wire, args.inner)
        print(f"{args.packets} packets, seed {args.seed}")
        return 0
    made = run(args.packets, args.seed)
    for of in (made.kinds, made.errors):
        print(", ".join(f"{name}: {count}" for name, count in sorted(of.items())))
    print(f"{args.packets} packets, seed {args.seed}: pass")
    return 0


if __name__ == "__main__":
    sys.exit(main())
