# SPDX-License-Identifier: GPL-2.0-only
"""What protects an ESP packet, by the names that `ip xfrm state` has: AEADs (RFC 4106,
4309, 4543, 7634) and pairs of encryption and integrity (RFC 2404, 2410, 3566, 3602, 3686,
4494, 4868), with the primitives of the system's crypto library.

Each suite has seal() and open(), which take

    header   the ESP header as sent
    aad      what an AEAD takes for it: with ESN all of the number
    high     with ESN the number's upper half, of which a pair's ICV is, too; else nothing
    iv       the IV, be it sent or not
    plain, sealed   what is between IV and ICV
"""

import hmac
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESCCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.cmac import CMAC

from errors import BadIcv


class Around(NamedTuple):
    """What is before the IV, and goes into the ICV."""

    header: bytes
    aad: bytes
    high: bytes


class Suite:
    """key: all of the key material, salt and all; icv in octets."""

    # Octets of IV, and what the plaintext is a multiple of
    iv_len, align = 8, 4
    # Is the IV the number?
    counted = True
    # May it be left out (RFC 8750)?
    implicit = True
    key_lens, salt_len, icvs = (16, 24, 32), 4, (8, 12, 16)

    def __init__(self, key, icv):
        if len(key) - self.salt_len not in self.key_lens:
            raise ValueError(f"key is {len(key)} octets, not"
                             f" {', '.join(str(n + self.salt_len) for n in self.key_lens)}")
        if icv not in self.icvs:
            raise ValueError(f"ICV is {icv} octets, not {', '.join(map(str, self.icvs))}")
        self.key, self.icv = key[: len(key) - self.salt_len], icv
        self.salt = key[len(self.key) :]


class Gcm(Suite):
    """RFC 4106."""

    def context(self, iv, tag=None):
        """A GCM of the library's."""
        mode = modes.GCM(self.salt + iv, tag, min_tag_length=8)
        return Cipher(algorithms.AES(self.key), mode)

    def seal(self, around, iv, plain):
        """C and ICV."""
        gcm = self.context(iv).encryptor()
        gcm.authenticate_additional_data(around.aad)
        sealed = gcm.update(plain) + gcm.finalize()
        return sealed + gcm.tag[: self.icv]

    def open(self, around, iv, sealed):
        """P."""
        gcm = self.context(iv, sealed[-self.icv :]).decryptor()
        gcm.authenticate_additional_data(around.aad)
        plain = gcm.update(sealed[: -self.icv])
        try:
            gcm.finalize()
        except InvalidTag:
            raise BadIcv() from None
        return plain


class Gmac(Gcm):
    """RFC 4543: all of it is AAD."""

    implicit = False
    icvs = (16,)

    def seal(self, around, iv, plain):
        whole = Around(b"", around.aad + iv + plain, b"")
        return plain + super().seal(whole, iv, b"")

    def open(self, around, iv, sealed):
        plain = sealed[: -self.icv]
        whole = Around(b"", around.aad + iv + plain, b"")
        super().open(whole, iv, sealed[-self.icv :])
        return plain


class Library(Suite):
    """One that the library has whole."""

    def seal(self, around, iv, plain):
        """C and ICV."""
        return self.aead().encrypt(self.salt + iv, plain, around.aad)

    def open(self, around, iv, sealed):
        """P."""
        try:
            return self.aead().decrypt(self.salt + iv, sealed, around.aad)
        except InvalidTag:
            raise BadIcv() from None


class Ccm(Library):
    """RFC 4309: a nonce of 11 octets leaves four for the length."""

    salt_len = 3

    def aead(self):
        """Of the library."""
        return AESCCM(self.key, self.icv)


class ChaCha(Library):
    """RFC 7634."""

    key_lens, icvs = (32,), (16,)

    def aead(self):
        """Of the library."""
        return ChaCha20Poly1305(self.key)


# --- pairs ------------------------------------------------------------------


def xcbc(key, data):
    """AES-XCBC-MAC (RFC 3566), of which the library has nothing."""
    def aes(key):
        return Cipher(algorithms.AES(key), modes.ECB()).encryptor().update

    k1, k2, k3 = (aes(key)(bytes((n,)) * 16) for n in (1, 2, 3))
    blocks = [data[i : i + 16] for i in range(0, len(data), 16)] or [b""]
    whole = len(blocks[-1]) == 16
    last = blocks[-1] if whole else (blocks[-1] + b"\x80").ljust(16, b"\0")
    blocks[-1] = bytes(a ^ b for a, b in zip(last, k2 if whole else k3))
    mac, encrypt = bytes(16), aes(k1)
    for block in blocks:
        mac = encrypt(bytes(a ^ b for a, b in zip(mac, block)))
    return mac


def cmac(key, data):
    """RFC 4494."""
    mac = CMAC(algorithms.AES(key))
    mac.update(data)
    return mac.finalize()


MACS = {
    "hmac(sha1)": lambda key, data: hmac.digest(key, data, "sha1"),
    "hmac(sha256)": lambda key, data: hmac.digest(key, data, "sha256"),
    "hmac(sha384)": lambda key, data: hmac.digest(key, data, "sha384"),
    "hmac(sha512)": lambda key, data: hmac.digest(key, data, "sha512"),
    "xcbc(aes)": xcbc,
    "cmac(aes)": cmac,
}


class Pair(Suite):
    """Encrypt, then a MAC of everything."""

    counted = implicit = False
    icvs = range(8, 65, 4)

    def __init__(self, key, icv, auth, auth_key):
        super().__init__(key, icv)
        self.auth, self.auth_key = MACS[auth], auth_key

    def mac(self, around, iv, sealed):
        """ICV."""
        data = around.header + iv + sealed + around.high
        return self.auth(self.auth_key, data)[: self.icv]

    def seal(self, around, iv, plain):
        """C and ICV."""
        context = self.context(iv)
        sealed = context.encryptor().update(plain) if context else plain
        return sealed + self.mac(around, iv, sealed)

    def open(self, around, iv, sealed):
        """P."""
        sealed, icv = sealed[: -self.icv], sealed[-self.icv :]
        if self.mac(around, iv, sealed) != icv:
            raise BadIcv()
        context = self.context(iv)
        return context.decryptor().update(sealed) if context else sealed


class Cbc(Pair):
    """RFC 3602."""

    iv_len = align = 16
    salt_len = 0

    def context(self, iv):
        """A cipher of the library's."""
        return Cipher(algorithms.AES(self.key), modes.CBC(iv))


class Ctr(Pair):
    """RFC 3686: the counter begins at 1."""

    counted = True

    def context(self, iv):
        """A cipher of the library's."""
        block = self.salt + iv + b"\0\0\0\1"
        return Cipher(algorithms.AES(self.key), modes.CTR(block))


class Null(Pair):
    """RFC 2410."""

    iv_len = 0
    key_lens, salt_len = (0,), 0

    def context(self, _):
        """There is none."""
        return None


AEADS = {
    "rfc4106(gcm(aes))": Gcm,
    "rfc4543(gcm(aes))": Gmac,
    "rfc4309(ccm(aes))": Ccm,
    "rfc7539esp(chacha20,poly1305)": ChaCha,
}
ENCS = {"cbc(aes)": Cbc, "rfc3686(ctr(aes))": Ctr, "ecb(cipher_null)": Null}


def suite(key, icv, aead, enc=None, auth=None, auth_key=b""):
    """The suite of these names."""
    if enc is None:
        return AEADS[aead](key, icv)
    return ENCS[enc](key, icv, auth, auth_key)
