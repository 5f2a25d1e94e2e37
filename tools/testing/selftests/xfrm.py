#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's own configuration of SAs, as other programs than `ip` use it.

    xfrm.py states      one line per SA, straight from the kernel: nobody asks the
                        module first, as the patched `ip` does
    xfrm.py migrate SRC DST REQID OLD-SRC OLD-DST NEW-SRC NEW-DST [in]
                        XFRM_MSG_MIGRATE of the output policy from SRC to DST (nets),
                        or the input policy, and of the tunnel SA that it uses
    xfrm.py migrate-state DST SPI REQID NEW-SRC NEW-DST
                        XFRM_MSG_MIGRATE_STATE of an SA, for Linux 7.2 and later
    xfrm.py pfkey SRC DST SPI REQID
                        a tunnel SA, AES-CBC with HMAC-SHA-256, by PF_KEY
    xfrm.py extended SRC DST SPI [key=HEX] [cbc=HEX] [reqid=N] [marked=0] [dir=N] [keepalive=N]
                     [cpu=N] [offload=FLAGS] [window=N]
                        XFRM_MSG_NEWSA of an announced tunnel SA, with attributes that
                        `ip` does not know yet, or does not send so: an offload, and a
                        window in a bitmap of 32 bits without ESN; the key is a new one
                        if none is given. With cbc it is that of AES-CBC with HMAC-SHA-256

Prints what is wrong, and exit status 1, if the kernel refuses.
"""

import errno
import ipaddress
import os
import socket
import struct
import sys

from genl import NLM_F_DUMP, Netlink, Refused, attr, attrs

NETLINK_XFRM, XFRM_MSG_NEWSA, XFRM_MSG_DELSA = 6, 0x10, 0x11
XFRM_MSG_GETSA, XFRM_MSG_MIGRATE, XFRM_MSG_MIGRATE_STATE = 0x12, 0x21, 0x29
XFRM_MSG_ALLOCSPI, XFRM_MSG_UPDSA = 0x16, 0x1A
XFRMA_ALG_CRYPT, XFRMA_ALG_AUTH_TRUNC = 2, 20
XFRMA_MIGRATE, XFRMA_ALG_AEAD, XFRMA_MARK, XFRMA_SA_EXTRA_FLAGS = 17, 18, 21, 24
XFRMA_REPLAY_ESN_VAL, XFRMA_OFFLOAD_DEV = 23, 28
XFRMA_SA_DIR, XFRMA_NAT_KEEPALIVE_INTERVAL, XFRMA_SA_PCPU = 33, 34, 35
XFRM_EXT_SA_XFLAG = 0x80000000
IPPROTO_ESP, MODE_TUNNEL, POLICY_IN, POLICY_OUT = 50, 1, 0, 1

AF_KEY, PF_KEY_V2, SADB_ADD, SATYPE_ESP = 15, 2, 3, 3
AALG_SHA256, EALG_AES = 5, 12


def family(address):
    return socket.AF_INET if ipaddress.ip_address(address).version == 4 else socket.AF_INET6


def octets(address):
    return ipaddress.ip_address(address).packed.ljust(16, b"\0")


def states(netlink):
    """struct xfrm_usersa_info of every SA, as words."""
    for message in netlink.request(XFRM_MSG_GETSA, b"", NLM_F_DUMP):
        (proto,) = struct.unpack_from("B", message, 76)
        number, packets, _, used = struct.unpack_from("=QQQQ", message, 160)
        (of,) = struct.unpack_from("=H", message, 212)
        daddr = message[56 : 60 if of == socket.AF_INET else 72]
        rest = dict(attrs(message[224:]))
        extra = int.from_bytes(rest.get(XFRMA_SA_EXTRA_FLAGS, b""), sys.byteorder)
        mark = struct.unpack("=II", rest.get(XFRMA_MARK, bytes(8)))
        keys = int(XFRMA_ALG_AEAD in rest or XFRMA_ALG_CRYPT in rest)
        yield (f"spi=0x{message[72:76].hex()} proto={proto}"
               f" daddr={ipaddress.ip_address(daddr)} mark={mark[0]} mark-mask={mark[1]}"
               f" extra={extra:#x} packets={packets} bytes={number} used={used} keys={keys}")


def migrate(netlink, src, dst, reqid, old_src, old_dst, new_src, new_dst, way="out"):
    src, dst = ipaddress.ip_network(src), ipaddress.ip_network(dst)
    selector = octets(dst.network_address) + octets(src.network_address) + struct.pack(
        "=8xHBB4xII", family(src.network_address), dst.prefixlen, src.prefixlen, 0, 0)
    template = octets(old_dst) + octets(old_src) + octets(new_dst) + octets(new_src)
    template += struct.pack("=BBxxIHH", IPPROTO_ESP, MODE_TUNNEL, int(reqid),
                            family(old_dst), family(new_dst))
    body = selector + struct.pack("=IBxxx", 0, POLICY_IN if way == "in" else POLICY_OUT)
    netlink.request(XFRM_MSG_MIGRATE, body + attr(XFRMA_MIGRATE, template))


def migrate_state(netlink, dst, spi, reqid, new_src, new_dst):
    body = octets(dst) + struct.pack("!I", int(spi, 0))
    body += struct.pack("=HBx", family(dst), IPPROTO_ESP) + octets(new_dst) + octets(new_src)
    # Neither a mark nor a selector, no flags
    body += bytes(8 + 56) + struct.pack("=IIHxx", int(reqid), 0, family(new_dst))
    netlink.request(XFRM_MSG_MIGRATE_STATE, body)


def extension(kind, data):
    data += b"\0" * (-(len(data) + 4) % 8)
    return struct.pack("=HH", (len(data) + 4) // 8, kind) + data


def pfkey(src, dst, spi, reqid):
    def address(kind, value):
        sockaddr = struct.pack("=HH4s8x", socket.AF_INET, 0, ipaddress.ip_address(value).packed)
        return extension(kind, struct.pack("=BBxx", 0, 32) + sockaddr)

    body = extension(1, struct.pack("!I", int(spi, 0))
                     + struct.pack("=BBBBI", 0, 1, AALG_SHA256, EALG_AES, 0))
    body += address(5, src) + address(6, dst)
    body += extension(8, struct.pack("=Hxx", 256) + bytes(range(32)))
    body += extension(9, struct.pack("=Hxx", 128) + bytes(range(16)))
    body += extension(19, struct.pack("=BBHII", MODE_TUNNEL, 0, 0, 0, int(reqid)))
    head = struct.pack("=BBBBHHII", PF_KEY_V2, SADB_ADD, 0, SATYPE_ESP,
                       (len(body) + 16) // 8, 0, 1, 0)
    with socket.socket(AF_KEY, socket.SOCK_RAW, PF_KEY_V2) as sock:
        # An error is the answer to send(), success comes back to all
        sock.send(head + body)
        answer = sock.recv(4096)
        if answer[2]:
            raise Refused(answer[2])


def extended(netlink, src, dst, spi, *rest, kind=XFRM_MSG_NEWSA):
    body = bytes(40) + struct.pack("=H14x", family(dst)) + octets(dst)
    body += struct.pack("!IBxxx", int(spi, 0), IPPROTO_ESP) + octets(src)
    body += b"\xff" * 32 + bytes(32 + 32 + 12)
    rest = dict(word.split("=") for word in rest)
    reqid = int(rest.pop("reqid", 0))
    body += struct.pack("=IIHBBB7x", 0, reqid, family(dst), MODE_TUNNEL, 0, 0)
    key = bytes.fromhex(rest.pop("key", "")) or os.urandom(20)
    if cbc := bytes.fromhex(rest.pop("cbc", "")):
        body += attr(XFRMA_ALG_CRYPT, b"cbc(aes)".ljust(64, b"\0")
                     + struct.pack("=I", len(cbc) * 8) + cbc)
        body += attr(XFRMA_ALG_AUTH_TRUNC, b"hmac(sha256)".ljust(64, b"\0")
                     + struct.pack("=II", 256, 128) + bytes(32))
    else:
        body += attr(XFRMA_ALG_AEAD, b"rfc4106(gcm(aes))".ljust(64, b"\0")
                     + struct.pack("=II", len(key) * 8, 128) + key)
    if int(rest.pop("marked", 1)):
        body += attr(XFRMA_SA_EXTRA_FLAGS, struct.pack("=I", XFRM_EXT_SA_XFLAG))
    for name, value in rest.items():
        body += {
            "dir": lambda n: attr(XFRMA_SA_DIR, struct.pack("=B", n)),
            "keepalive": lambda n: attr(XFRMA_NAT_KEEPALIVE_INTERVAL, struct.pack("=I", n)),
            "cpu": lambda n: attr(XFRMA_SA_PCPU, struct.pack("=I", n)),
            "offload": lambda n: attr(XFRMA_OFFLOAD_DEV, struct.pack("=iBxxx", 0, n)),
            "window": lambda n: attr(XFRMA_REPLAY_ESN_VAL, struct.pack("=7I", 1, 0, 0, 0, 0, n, 0)),
        }[name](int(value))
    netlink.request(kind, body)


def larval(netlink, dst, spi):
    """The SPI that a daemon has for an SA which it is to receive by, before it has the keys."""
    body = bytes(56) + octets(dst) + struct.pack("!IBxxx", 0, IPPROTO_ESP) + bytes(16)
    body += bytes(64 + 32 + 12) + struct.pack("=IIHBBB7x", 0, 0, family(dst), MODE_TUNNEL, 0, 0)
    netlink.request(XFRM_MSG_ALLOCSPI, body + struct.pack("=II", spi, spi))


def delete(netlink, dst, spi):
    netlink.request(XFRM_MSG_DELSA, octets(dst) + struct.pack("!I", int(spi, 0))
                    + struct.pack("=HBx", family(dst), IPPROTO_ESP))


def main():
    verb, *rest = sys.argv[1:] or [None]
    try:
        if verb == "states":
            print(*states(Netlink(NETLINK_XFRM)), sep="\n")
        elif verb == "migrate":
            migrate(Netlink(NETLINK_XFRM), *rest)
        elif verb == "migrate-state":
            migrate_state(Netlink(NETLINK_XFRM), *rest)
        elif verb == "extended":
            extended(Netlink(NETLINK_XFRM), *rest)
        elif verb == "pfkey":
            pfkey(*rest)
        else:
            sys.exit(__doc__)
    except Refused as e:
        sys.exit(str(e))
    except OSError as e:
        sys.exit(f"{errno.errorcode.get(e.errno, e.errno)}")


if __name__ == "__main__":
    main()
