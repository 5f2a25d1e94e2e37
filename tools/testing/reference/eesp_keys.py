# SPDX-License-Identifier: GPL-2.0-only
"""Keys and ciphers of EESP: section 5 of the draft, and section 3.1.1 of its IKEv2 part.

    KEYMAT_sub = SSKDF(KEY_root, Session ID, L)
    SSKDF_HKDF_SHA2_*(K, S, L) = HKDF-Expand(K, info = S, L)     RFC 5869, section 2.3

S is the Session ID's field as it is sent, two octets. Root keys are as long as the hash.
Ciphers get the packet up to what is encrypted as AAD, the IV included (section 4.2).
"""

import ciphers
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

SSKDFS = {
    "hkdf-sha256": hashes.SHA256,
    "hkdf-sha384": hashes.SHA384,
    "hkdf-sha512": hashes.SHA512,
}


def root_key_len(sskdf):
    """Octets of root key."""
    return SSKDFS[sskdf].digest_size


def expand(sskdf, key, info, length):
    """HKDF-Expand."""
    return HKDFExpand(SSKDFS[sskdf](), length, info).derive(key)


def derive(sskdf, root, session, length):
    """Key and salt of a Sub SA."""
    if len(root) != root_key_len(sskdf):
        raise ValueError(f"root key is {len(root)} octets, not {root_key_len(sskdf)}")
    return expand(sskdf, root, session.to_bytes(2, "big"), length)


class Gmac(ciphers.Gcm):
    """RFC 4543: all but the ICV is AAD, in which the IV stands already."""

    implicit = False
    icvs = (16,)

    def seal(self, around, iv, plain):
        """Nothing is encrypted."""
        return plain + super().seal(ciphers.Around(b"", around.aad + plain, b""), iv, b"")

    def open(self, around, iv, sealed):
        """P, which was never C."""
        plain = sealed[: -self.icv]
        super().open(ciphers.Around(b"", around.aad + plain, b""), iv, sealed[-self.icv :])
        return plain


AEADS = {
    "rfc4106(gcm(aes))": ciphers.Gcm,
    "rfc4543(gcm(aes))": Gmac,
    "rfc4309(ccm(aes))": ciphers.Ccm,
    "rfc7539esp(chacha20,poly1305)": ciphers.ChaCha,
}
