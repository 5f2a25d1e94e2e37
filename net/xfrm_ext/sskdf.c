// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sub SA Key Derivation Function: a key for each Sub SA of EESP
 * (draft-ietf-ipsecme-eesp section 5, draft-ietf-ipsecme-eesp-ikev2 section 4):
 * HKDF-Expand (RFC 5869 section 2.3) of the SA's root key. Which hash it is the
 * length of that key says, which is the hash's.
 */
#include <crypto/hash.h>
#include <crypto/sha2.h>
#include <linux/err.h>
#include <linux/minmax.h>
#include <linux/string.h>

#include "sskdf.h"

static const char *sskdf_name(unsigned int len)
{
	switch (len) {
	case SHA256_DIGEST_SIZE:
		return "hmac(sha256)";
	case SHA384_DIGEST_SIZE:
		return "hmac(sha384)";
	case SHA512_DIGEST_SIZE:
		return "hmac(sha512)";
	default:
		return NULL;
	}
}

/**
 * xe_sskdf_root - is a key of this length a root key?
 * @len: octets
 *
 * No AEAD that there is takes key and salt of such a length.
 */
bool xe_sskdf_root(unsigned int len)
{
	return sskdf_name(len);
}

/**
 * xe_sskdf_alloc - be ready to derive keys
 * @root: root key
 * @len: octets, of which xe_sskdf_root() is true
 *
 * Context: process, may sleep.
 * Return: for xe_sskdf_free(), or an error pointer.
 */
struct crypto_shash *xe_sskdf_alloc(const u8 *root, unsigned int len)
{
	const char *name = sskdf_name(len);
	struct crypto_shash *hmac;
	int err;

	if (!name)
		return ERR_PTR(-EINVAL);
	hmac = crypto_alloc_shash(name, 0, 0);
	if (IS_ERR(hmac))
		return hmac;
	err = crypto_shash_setkey(hmac, root, len);
	if (err) {
		crypto_free_shash(hmac);
		return ERR_PTR(err);
	}
	return hmac;
}

/**
 * xe_sskdf_expand - HKDF-Expand
 * @hmac: from xe_sskdf_alloc()
 * @info: of a Sub SA, its Session ID
 * @info_len: octets
 * @okm: key material
 * @len: octets of it, 255 times the hash's at most
 *
 * Context: process.
 * Return: 0 or a negative errno.
 */
int xe_sskdf_expand(struct crypto_shash *hmac, const u8 *info,
		    unsigned int info_len, u8 *okm, unsigned int len)
{
	unsigned int size = crypto_shash_digestsize(hmac), some, had = 0;
	SHASH_DESC_ON_STACK(desc, hmac);
	u8 t[SHA512_DIGEST_SIZE], i = 0;
	int err = 0;

	desc->tfm = hmac;
	for (; len && !err; okm += some, len -= some) {
		i++;
		err = crypto_shash_init(desc) ?:
		      crypto_shash_update(desc, t, had) ?:
		      crypto_shash_update(desc, info, info_len) ?:
		      crypto_shash_finup(desc, &i, 1, t);
		some = min(len, size);
		if (!err)
			memcpy(okm, t, some);
		had = size;
	}
	memzero_explicit(t, sizeof(t));
	shash_desc_zero(desc);
	return err;
}

/**
 * xe_sskdf_free - forget the root key
 * @hmac: from xe_sskdf_alloc()
 */
void xe_sskdf_free(struct crypto_shash *hmac)
{
	crypto_free_shash(hmac);
}
