// SPDX-License-Identifier: GPL-2.0-only
/*
 * The algorithms: AEADs, and pairs of encryption and integrity, by the names
 * that an SA has them under, with what each needs to know of key, salt and IV.
 */
#include <crypto/authenc.h>
#include <linux/rtnetlink.h>
#include <linux/slab.h>

#include "crypto.h"
#include "sskdf.h"

/**
 * struct xe_aead - an AEAD
 * @name: as NEWSA has it
 * @bare: what the kernel calls the algorithm without its wrapper for ESP
 * @key_lens: octets of key without salt; 0 ends
 * @icv_min: least bits of ICV; more are in steps of 32 up to 128
 * @salt_len: octets of salt, behind the key
 * @salt_at: where in the nonce it stands
 * @mac_only: authenticates and does not encrypt: the plaintext is AAD
 */
struct xe_aead {
	const char *name;
	const char *bare;
	u8 key_lens[4];
	u8 icv_min;
	u8 salt_len;
	u8 salt_at;
	bool mac_only;
};

static const struct xe_aead xe_aeads[] = {
	{ "rfc4106(gcm(aes))", "gcm(aes)", { 16, 24, 32 }, 64, 4, 0 },
	{ "rfc4543(gcm(aes))", "gcm(aes)", { 16, 24, 32 }, 128, 4, 0, true },
	{ "rfc4309(ccm(aes))", "ccm(aes)", { 16, 24, 32 }, 64, 3, 1 },
	{ "rfc7539esp(chacha20,poly1305)", "rfc7539(chacha20,poly1305)",
	  { 32 }, 128, 4, 0 },
};

/* Encryption of a pair; the IV is random, or the number, or there is none */
static const struct xe_enc {
	const char *name;
	u8 iv_len;
	bool iv_random;
} xe_encs[] = {
	{ "cbc(aes)", 16, true },		/* RFC 3602 */
	{ "rfc3686(ctr(aes))", 8, false },	/* RFC 3686 */
	{ "ecb(cipher_null)", 0, false },	/* RFC 2410 */
};

/* Integrity of a pair */
static const char * const xe_auths[] = {
	"hmac(sha1)", "hmac(sha256)", "hmac(sha384)", "hmac(sha512)",
	"xcbc(aes)", "cmac(aes)",
};

/**
 * xe_suite_name - what capabilities lists
 * @i: 0, 1, ...
 *
 * Return: an algorithm's name as NEWSA has it, or NULL behind the last.
 */
const char *xe_suite_name(unsigned int i)
{
	if (i < ARRAY_SIZE(xe_aeads))
		return xe_aeads[i].name;
	i -= ARRAY_SIZE(xe_aeads);
	if (i < ARRAY_SIZE(xe_encs))
		return xe_encs[i].name;
	i -= ARRAY_SIZE(xe_encs);
	return i < ARRAY_SIZE(xe_auths) ? xe_auths[i] : NULL;
}

static bool xe_auth_known(const char *name)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(xe_auths); i++)
		if (!strcmp(name, xe_auths[i]))
			return true;
	return false;
}

static int xe_key_alloc(struct xe_key *key, unsigned int len)
{
	key->octets = kzalloc(len, GFP_KERNEL);
	if (!key->octets)
		return -ENOMEM;
	key->len = len;
	return 0;
}

/**
 * xe_suite_forget - a key is in its transform
 * @key: from xe_suite_get()
 */
void xe_suite_forget(struct xe_key *key)
{
	kfree_sensitive(key->octets);
	key->octets = NULL;
}

static int xe_refuse_key(const struct xe_aead *a, unsigned int bits,
			 struct netlink_ext_ack *extack)
{
	if (a->key_lens[1])
		xe_extack(extack,
			  "aead key of %u bits; with the %u bits of salt it must have %u, %u or %u",
			  bits, a->salt_len * 8,
			  (a->key_lens[0] + a->salt_len) * 8,
			  (a->key_lens[1] + a->salt_len) * 8,
			  (a->key_lens[2] + a->salt_len) * 8);
	else
		xe_extack(extack,
			  "aead key of %u bits; with the %u bits of salt it must have %u",
			  bits, a->salt_len * 8,
			  (a->key_lens[0] + a->salt_len) * 8);
	return -EINVAL;
}

static const struct xe_aead *xe_suite_find(const char *name)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(xe_aeads); i++)
		if (!strcmp(name, xe_aeads[i].name))
			return &xe_aeads[i];
	return NULL;
}

/* Does a cipher take a key of so many octets? */
static bool xe_suite_takes(const struct xe_aead *a, unsigned int len)
{
	const u8 *l;

	for (l = a->key_lens; *l; l++)
		if (len == *l)
			return true;
	return false;
}

static unsigned int xe_suite_octets(const struct xfrm_state *x)
{
	return DIV_ROUND_UP(x->aead->alg_key_len, 8);
}

/**
 * xe_suite_has_root - is an SA's key one that those of its Sub SAs are derived from?
 * @x: state
 * @params: what it shall be
 *
 * Context: process.
 */
bool xe_suite_has_root(const struct xfrm_state *x,
		       const struct xe_params *params)
{
	return params->format == XFRM_EXT_FORMAT_EESP && x->aead &&
	       xe_sskdf_root(xe_suite_octets(x));
}

/**
 * xe_suite_standin - a key for the kernel's own type of an SA that has a root key
 * @x: state of which xe_suite_has_root() is true
 *
 * That type wants a key for the cipher, and makes a transform that no packet ever
 * comes to. It has zeros.
 *
 * Context: process, may sleep.
 * Return: for kfree(), or NULL.
 */
struct xfrm_algo_aead *xe_suite_standin(const struct xfrm_state *x)
{
	const struct xe_aead *a = xe_suite_find(x->aead->alg_name);
	/* One that we do not know is refused there or here */
	unsigned int len = a ? a->key_lens[0] + a->salt_len : 0;
	struct xfrm_algo_aead *alg;

	alg = kzalloc(sizeof(*alg) + len, GFP_KERNEL_ACCOUNT);
	if (!alg)
		return NULL;
	strscpy(alg->alg_name, x->aead->alg_name, sizeof(alg->alg_name));
	alg->alg_key_len = len * 8;
	alg->alg_icv_len = x->aead->alg_icv_len;
	return alg;
}

/* How long the keys of Sub SAs are: what was asked for, or the longest */
static int xe_suite_sub_key(struct xe_sa *sa, const struct xe_aead *a,
			    struct netlink_ext_ack *extack)
{
	const u8 *last = a->key_lens;
	u32 bits = sa->params.sub_key;

	while (last[1])
		last++;
	if (!bits) {
		sa->params.sub_key = *last * 8;
	} else if (bits % 8 || !xe_suite_takes(a, bits / 8)) {
		xe_extack(extack,
			  "sub-key %u with aead %s: must be %u to %u in steps of 64",
			  bits, a->name, a->key_lens[0] * 8, *last * 8);
		return -EINVAL;
	}
	sa->cipher.key_len = sa->params.sub_key / 8;
	return 0;
}

/* Of eesp: several Sub SAs need a root key, and one that has none takes it as it is */
static int xe_suite_key_of(struct xe_sa *sa, const struct xe_aead *a,
			   struct netlink_ext_ack *extack)
{
	const struct xfrm_algo_aead *alg = sa->x->aead;
	const struct xe_params *p = &sa->params;

	if (xe_suite_has_root(sa->x, p))
		return xe_suite_sub_key(sa, a, extack);
	if (alg->alg_key_len % 8 ||
	    alg->alg_key_len / 8 < a->salt_len ||
	    !xe_suite_takes(a, alg->alg_key_len / 8 - a->salt_len))
		return xe_refuse_key(a, alg->alg_key_len, extack);
	sa->cipher.key_len = alg->alg_key_len / 8 - a->salt_len;
	if (p->format != XFRM_EXT_FORMAT_EESP)
		return 0;
	if (p->sub_key) {
		xe_extack(extack,
			  "sub-key %u with a key of %u bits, which is no root key: must have 256, 384 or 512 bits",
			  p->sub_key, alg->alg_key_len);
		return -EINVAL;
	}
	if (p->tx_subspaces > 1 || p->rx_subspaces > 1 || p->tx_base) {
		xe_extack(extack,
			  "several Sub SAs with a key of %u bits, which is no root key to derive theirs from: must have 256, 384 or 512 bits",
			  alg->alg_key_len);
		return -EINVAL;
	}
	return 0;
}

static int xe_suite_aead(struct xe_sa *sa, char *name, struct xe_key *key,
			 struct netlink_ext_ack *extack)
{
	const struct xfrm_algo_aead *alg = sa->x->aead;
	const struct xe_aead *a = xe_suite_find(alg->alg_name);
	struct xe_cipher *c = &sa->cipher;
	bool root = xe_suite_has_root(sa->x, &sa->params);
	unsigned int len;
	int err;

	if (!a) {
		xe_extack(extack,
			  "aead %s not supported; ip xfrm ext capabilities lists those that are",
			  alg->alg_name);
		return -EINVAL;
	}
	err = xe_suite_key_of(sa, a, extack);
	if (err)
		return err;
	if (alg->alg_icv_len < a->icv_min || alg->alg_icv_len > 128 ||
	    alg->alg_icv_len % 32) {
		if (a->icv_min == 128)
			xe_extack(extack, "icv of %u bits; must be 128",
				  alg->alg_icv_len);
		else
			xe_extack(extack,
				  "icv of %u bits; must be 64, 96 or 128",
				  alg->alg_icv_len);
		return -EINVAL;
	}
	/* RFC 8750 section 2 has no implicit IV for RFC 4543 */
	if (a->mac_only && sa->params.iv == XFRM_EXT_IV_IMPLICIT) {
		xe_extack(extack,
			  "iv implicit (%u) contradicts aead %s, which has none; must be explicit (%u)",
			  XFRM_EXT_IV_IMPLICIT, alg->alg_name,
			  XFRM_EXT_IV_EXPLICIT);
		return -EINVAL;
	}

	len = root ? xe_suite_octets(sa->x) : c->key_len;
	err = xe_key_alloc(key, len);
	if (err)
		return err;
	memcpy(key->octets, alg->alg_key, len);
	strscpy(name, a->bare, CRYPTO_MAX_ALG_NAME);
	c->icv_len = alg->alg_icv_len / 8;
	c->iv_len = sa->params.iv == XFRM_EXT_IV_IMPLICIT ? 0 : 8;
	c->iv_in_aad = a->mac_only;
	c->mac_only = a->mac_only;
	c->salt.at = a->salt_at;
	c->salt.len = a->salt_len;
	/* Behind a root key there is none */
	if (!root)
		memcpy(c->salt.octets, alg->alg_key + len, a->salt_len);
	return 0;
}

/* As authenc() and authencesn() want it: how much of it is for the cipher */
static int xe_suite_key(const struct xfrm_state *x, struct xe_key *key)
{
	unsigned int auth = DIV_ROUND_UP(x->aalg->alg_key_len, 8);
	unsigned int enc = DIV_ROUND_UP(x->ealg->alg_key_len, 8);
	struct crypto_authenc_key_param *param;
	struct rtattr *rta;
	u8 *p;
	int err;

	err = xe_key_alloc(key, RTA_SPACE(sizeof(*param)) + auth + enc);
	if (err)
		return err;
	rta = (struct rtattr *)key->octets;
	rta->rta_type = CRYPTO_AUTHENC_KEYA_PARAM;
	rta->rta_len = RTA_LENGTH(sizeof(*param));
	param = RTA_DATA(rta);
	param->enckeylen = cpu_to_be32(enc);
	p = key->octets + RTA_SPACE(sizeof(*param));
	memcpy(p, x->aalg->alg_key, auth);
	memcpy(p + auth, x->ealg->alg_key, enc);
	return 0;
}

static int xe_suite_pair(struct xe_sa *sa, char *name, struct xe_key *key,
			 struct netlink_ext_ack *extack)
{
	const struct xfrm_state *x = sa->x;
	const struct xe_enc *e = xe_encs;
	struct xe_cipher *c = &sa->cipher;

	while (strcmp(x->ealg->alg_name, e->name))
		if (++e == xe_encs + ARRAY_SIZE(xe_encs)) {
			xe_extack(extack,
				  "enc %s not supported; ip xfrm ext capabilities lists those that are",
				  x->ealg->alg_name);
			return -EINVAL;
		}
	if (!x->aalg || !xe_auth_known(x->aalg->alg_name)) {
		xe_extack(extack,
			  "auth %s not supported: enc %s needs integrity beside it, see ip xfrm ext capabilities",
			  x->aalg ? x->aalg->alg_name : "(none)",
			  x->ealg->alg_name);
		return -EINVAL;
	}
	if (x->aalg->alg_trunc_len < 64 || x->aalg->alg_trunc_len % 32) {
		xe_extack(extack,
			  "auth %s truncated to %u bits; must be a multiple of 32, 64 or more",
			  x->aalg->alg_name, x->aalg->alg_trunc_len);
		return -EINVAL;
	}
	if (sa->params.iv == XFRM_EXT_IV_IMPLICIT) {
		xe_extack(extack,
			  "iv implicit (%u) contradicts enc %s, which has none; must be explicit (%u)",
			  XFRM_EXT_IV_IMPLICIT, e->name, XFRM_EXT_IV_EXPLICIT);
		return -EINVAL;
	}
	/* RFC 4303 section 2.2.1: the high half is the last that the ICV covers */
	if (snprintf(name, CRYPTO_MAX_ALG_NAME, "%s(%s,%s)",
		     sa->format->high_half ? "authencesn" : "authenc",
		     x->aalg->alg_name, e->name) >= CRYPTO_MAX_ALG_NAME)
		return -ENAMETOOLONG;
	c->icv_len = x->aalg->alg_trunc_len / 8;
	c->iv_len = e->iv_len;
	c->iv_random = e->iv_random;
	c->iv_none = !e->iv_len;
	c->iv_in_aad = true;
	return xe_suite_key(x, key);
}

/**
 * xe_suite_get - what an SA's algorithms come to
 * @sa: SA; x, params and format set. All of its cipher is set but transform
 *      and align
 * @name: of the kernel's algorithm; CRYPTO_MAX_ALG_NAME octets
 * @key: for that algorithm; on success xe_suite_forget() is due
 * @extack: for the reason of a refusal
 *
 * Context: process, may sleep.
 * Return: 0 or a negative errno.
 */
int xe_suite_get(struct xe_sa *sa, char *name, struct xe_key *key,
		 struct netlink_ext_ack *extack)
{
	/* draft-ietf-ipsecme-eesp section 4.3 */
	if (sa->params.format == XFRM_EXT_FORMAT_EESP && !sa->x->aead) {
		xe_extack(extack,
			  "format eesp (%u) with enc and auth: must be an aead",
			  XFRM_EXT_FORMAT_EESP);
		return -EINVAL;
	}
	/* The kernel's own type has seen to it that there is one of both */
	return sa->x->aead ? xe_suite_aead(sa, name, key, extack) :
			     xe_suite_pair(sa, name, key, extack);
}
