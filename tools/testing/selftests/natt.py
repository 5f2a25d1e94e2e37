#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""What a key manager has besides SAs when there is NAT, and what an attacker has.

    natt.py end [--gro] PORT...  sockets for ESP in UDP on these ports, for IPv4 and IPv6, as
                                 IKE daemons have them: policies do not apply to them. Runs
                                 until killed, and prints "ready", then what happens:
                                   ike ADDRESS PORT OCTETS   what the sockets are left with
                                   mapping SPI OLD-ADDRESS OLD-PORT NEW-ADDRESS NEW-PORT
                                                             as the kernel tells key managers
                                 A line "ADDRESS PORT OCTETS" from standard input is sent
                                 from the first port.
    natt.py packets SA INNER     packets of the SA that the file describes, of the
                                 reference implementation, from standard input, one a line:
                                   SOURCE PORT SUBSPACE SN [flip]
                                 with UDP's source port, or - for ESP without UDP; flip: the
                                 ICV is wrong. INNER as inject.py takes it. "sent" each time.
                                 After a line "again" the file is another one.
    natt.py checksums PCAP PORT  UDP packets of that port in a capture: 0 over IPv4, right over
                                 IPv6. Prints how many.
    natt.py keepalive SRC DST SPI SPORT DPORT SECONDS
                                 XFRM_MSG_NEWSA of an announced tunnel SA, reqid 10, for
                                 sending, with NAT keepalives
"""

import ipaddress
import os
import pathlib
import socket
import struct
import sys

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "reference"))

# pylint: disable=wrong-import-position
import xfrm
from genl import Netlink, Refused, attr

UDP_ENCAP, UDP_GRO, UDP_ENCAP_ESPINUDP = 100, 104, 2
IP_XFRM_POLICY, IPV6_XFRM_POLICY = 17, 35
POLICY_IN, POLICY_OUT = 0, 1
XFRMNLGRP_MAPPING, XFRM_MSG_MAPPING = 8, 0x26
SOL_NETLINK, NETLINK_ADD_MEMBERSHIP = 270, 1
XFRMA_ENCAP, XFRM_SA_DIR_OUT = 4, 2


def socket_policy(sock, direction, *templates):
    """setsockopt IP_XFRM_POLICY: for whatever goes through it; without templates, in clear.
    A template is (source, destination, reqid, mode)."""
    v6 = sock.family == socket.AF_INET6
    data = bytes(40) + struct.pack("=H14x", sock.family)
    data += b"\xff" * 32 + bytes(32 + 32)
    data += struct.pack("=IIBBBB4x", 0, 0, direction, 0, 0, 0)
    for src, dst, reqid, mode in templates:
        data += xfrm.octets(dst) + struct.pack("!IBxxx", 0, xfrm.IPPROTO_ESP)
        data += struct.pack("=Hxx", sock.family) + xfrm.octets(src)
        data += struct.pack("=IBBBxIII", reqid, mode, 0, 0, *[0xFFFFFFFF] * 3)
    if v6:
        sock.setsockopt(socket.IPPROTO_IPV6, IPV6_XFRM_POLICY, data)
    else:
        sock.setsockopt(socket.IPPROTO_IP, IP_XFRM_POLICY, data)


def end_socket(family, port, gro):
    """One that takes ESP out of UDP."""
    sock = socket.socket(family, socket.SOCK_DGRAM)
    for direction in (POLICY_IN, POLICY_OUT):
        socket_policy(sock, direction)
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    if gro:
        sock.setsockopt(socket.IPPROTO_UDP, UDP_GRO, 1)
    sock.setsockopt(socket.IPPROTO_UDP, UDP_ENCAP, UDP_ENCAP_ESPINUDP)
    sock.bind(("", port))
    return sock


def mapping(message):
    """struct xfrm_user_mapping, as words."""
    of, = struct.unpack_from("=H", message, 20)
    size = 4 if of == socket.AF_INET else 16
    old, new = (ipaddress.ip_address(message[at : at + size]) for at in (28, 44))
    old_port, new_port = struct.unpack_from("!HH", message, 60)
    return f"mapping 0x{message[16:20].hex()} {old} {old_port} {new} {new_port}"


def end(gro, ports):
    import select

    events = Netlink(xfrm.NETLINK_XFRM).sock
    events.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, XFRMNLGRP_MAPPING)
    socks = [end_socket(family, port, gro) for port in ports
             for family in (socket.AF_INET, socket.AF_INET6)]
    by_family = {sock.family: sock for sock in socks[:2]}
    waiting = [events, *socks, sys.stdin]
    print("ready", flush=True)
    while True:
        for ready in select.select(waiting, [], [])[0]:
            if ready is events:
                data = events.recv(1 << 16)
                if struct.unpack_from("=H", data, 4)[0] == XFRM_MSG_MAPPING:
                    print(mapping(data[16:]), flush=True)
            elif ready is sys.stdin:
                # One at a time: what was read ahead would not wake select()
                line = b""
                while not line.endswith(b"\n"):
                    octet = os.read(0, 1)
                    if not octet:
                        waiting.remove(sys.stdin)
                        break
                    line += octet
                else:
                    address, port, octets = line.decode().split()
                    by_family[xfrm.family(address)].sendto(
                        bytes.fromhex(octets), (address, int(port)))
            else:
                data, peer = ready.recvfrom(1 << 16)
                print("ike", peer[0], peer[1], data.hex(), flush=True)


def packets(path, inner):
    from dataclasses import replace

    import esp64
    import inject
    import iphdr

    (sa,) = esp64.load_sas(path)
    make = inject.inner_maker(inner)
    raw = inject.Sender(sa)
    print("ready", flush=True)
    for line in sys.stdin:
        if line.strip() == "again":
            (sa,) = esp64.load_sas(path)
            print("sent", flush=True)
            continue
        src, port, subspace, sn, *flip = line.split()
        encap = None if port == "-" else (int(port), 4500)
        subspace, sn = int(subspace), int(sn)
        packet = bytearray(esp64.encode(replace(sa, src=src, encap=encap), subspace, sn,
                                        make(subspace, sn)))
        if flip:
            packet[-1] ^= 1
            if encap and sa.version == 6:
                # So that UDP's checksum is right, or ESP would not get it
                packet[46:48] = b"\0\0"
                packet[46:48] = iphdr.udp_sum(packet[8:40], packet[40:]).to_bytes(2, "big")
        raw.send([bytes(packet)])
        print("sent", flush=True)


def checksums(path, port):
    import iphdr
    import pcap

    count = {4: 0, 6: 0}
    for packet in pcap.read(path):
        version = packet[0] >> 4
        at = (packet[0] & 15) * 4 if version == 4 else 40
        fragment = version == 4 and struct.unpack_from("!H", packet, 6)[0] & 0x3FFF
        if packet[9 if version == 4 else 6] != socket.IPPROTO_UDP or fragment:
            continue
        sport, dport, length, check = struct.unpack_from("!HHHH", packet, at)
        if port not in (sport, dport):
            continue
        if length != len(packet) - at:
            sys.exit(f"UDP length {length} of {len(packet) - at}")
        if version == 4 and check:
            sys.exit(f"UDP checksum 0x{check:04x} over IPv4")
        if version == 6 and (not check or iphdr.udp_sum(packet[8:40], packet[40:])):
            sys.exit(f"UDP checksum 0x{check:04x} over IPv6 is wrong")
        if version == 4 and iphdr.checksum(packet[:at]):
            sys.exit("checksum of an IPv4 header is wrong")
        count[version] += 1
    print(f"# UDP checksums: {count[4]} over IPv4, {count[6]} over IPv6")
    if not sum(count.values()):
        sys.exit("no packets")


def keepalive(src, dst, spi, sport, dport, seconds):
    of = xfrm.family(dst)
    # A selector for all, of both families
    body = bytes(56) + xfrm.octets(dst)
    body += struct.pack("!IBxxx", int(spi, 0), xfrm.IPPROTO_ESP) + xfrm.octets(src)
    body += b"\xff" * 32 + bytes(32 + 32 + 12)
    body += struct.pack("=IIHBBB7x", 0, 10, of, xfrm.MODE_TUNNEL, 0, 32)
    body += attr(xfrm.XFRMA_ALG_AEAD, b"rfc4106(gcm(aes))".ljust(64, b"\0")
                 + struct.pack("=II", 160, 128) + os.urandom(20))
    body += attr(xfrm.XFRMA_SA_EXTRA_FLAGS, struct.pack("=I", xfrm.XFRM_EXT_SA_XFLAG))
    body += attr(XFRMA_ENCAP, struct.pack("=H", UDP_ENCAP_ESPINUDP)
                 + struct.pack("!HHxx", int(sport), int(dport)) + bytes(16))
    body += attr(xfrm.XFRMA_SA_DIR, struct.pack("=B", XFRM_SA_DIR_OUT))
    body += attr(xfrm.XFRMA_NAT_KEEPALIVE_INTERVAL, struct.pack("=I", int(seconds)))
    Netlink(xfrm.NETLINK_XFRM).request(xfrm.XFRM_MSG_NEWSA, body)


def main():
    verb, *rest = sys.argv[1:] or [None]
    if verb == "end":
        gro = rest[:1] == ["--gro"]
        end(gro, [int(port) for port in rest[gro:]])
    elif verb == "packets":
        packets(*rest)
    elif verb == "checksums":
        checksums(rest[0], int(rest[1]))
    elif verb == "keepalive":
        try:
            keepalive(*rest)
        except Refused as e:
            sys.exit(str(e))
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
