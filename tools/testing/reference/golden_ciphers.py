# SPDX-License-Identifier: GPL-2.0-only
"""HKDF-Expand, CCM and ChaCha20-Poly1305, spelled out: the second route of golden_eesp.py, as
GCM is in golden.py. Only the AES block and the hash come from outside."""

import hmac
import struct

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes


def hkdf_expand(digest, prk, info, length):
    """RFC 5869, section 2.3."""
    okm = block = b""
    for n in range(1, 256):
        if len(okm) >= length:
            break
        block = hmac.digest(prk, block + info + bytes((n,)), digest)
        okm += block
    return okm[:length]


def ccm(key, nonce, aad, plain, icv):
    """RFC 3610: ciphertext and tag. AAD of less than 65280 octets."""
    aes = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
    size = 15 - len(nonce)

    def xor(a, b):
        return bytes(x ^ y for x, y in zip(a, b))

    def stream(n):
        return aes.update(bytes((size - 1,)) + nonce + n.to_bytes(size, "big"))

    flags = (64 if aad else 0) | (icv - 2) // 2 << 3 | size - 1
    blocks = bytes((flags,)) + nonce + len(plain).to_bytes(size, "big")
    if aad:
        told = struct.pack("!H", len(aad)) + aad
        blocks += told + bytes(-len(told) % 16)
    blocks += plain + bytes(-len(plain) % 16)
    mac = bytes(16)
    for at in range(0, len(blocks), 16):
        mac = aes.update(xor(mac, blocks[at : at + 16]))
    sealed = b"".join(xor(plain[at : at + 16], stream(1 + at // 16))
                      for at in range(0, len(plain), 16))
    return sealed, xor(mac, stream(0))[:icv]


def chacha20_block(key, counter, nonce):
    """RFC 8439, section 2.3."""
    start = (*struct.unpack("<4I", b"expand 32-byte k"), *struct.unpack("<8I", key), counter,
             *struct.unpack("<3I", nonce))
    x = list(start)

    def quarter(a, b, c, d):
        for add, mix, turn in ((b, d, 16), (d, b, 12), (b, d, 8), (d, b, 7)):
            to = a if add == b else c
            x[to] = (x[to] + x[add]) & 0xFFFFFFFF
            x[mix] ^= x[to]
            x[mix] = (x[mix] << turn | x[mix] >> 32 - turn) & 0xFFFFFFFF

    for _ in range(10):
        for n in range(4):
            quarter(n, n + 4, n + 8, n + 12)
        for n in range(4):
            quarter(n, 4 + (n + 1) % 4, 8 + (n + 2) % 4, 12 + (n + 3) % 4)
    return struct.pack("<16I", *((a + b) & 0xFFFFFFFF for a, b in zip(x, start)))


def poly1305(key, data):
    """RFC 8439, section 2.5."""
    r = int.from_bytes(key[:16], "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    a = 0
    for at in range(0, len(data), 16):
        a = (a + int.from_bytes(data[at : at + 16] + b"\1", "little")) * r % ((1 << 130) - 5)
    return (a + int.from_bytes(key[16:], "little") & (1 << 128) - 1).to_bytes(16, "little")


def chacha20_poly1305(key, nonce, aad, plain):
    """RFC 8439, section 2.8: ciphertext and tag."""
    sealed = b""
    for at in range(0, len(plain), 64):
        block = chacha20_block(key, 1 + at // 64, nonce)
        sealed += bytes(a ^ b for a, b in zip(plain[at : at + 64], block))
    data = aad + bytes(-len(aad) % 16) + sealed + bytes(-len(sealed) % 16)
    data += struct.pack("<QQ", len(aad), len(sealed))
    return sealed, poly1305(chacha20_block(key, 0, nonce)[:32], data)
