// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sub SAs of EESP: a key for each Session ID (draft-ietf-ipsecme-eesp sections 2.9
 * and 5). All transforms are made when the SA is, in process context: a packet
 * makes none, whatever Session ID it has, and so nobody without the key has us
 * derive one. The keys go with the SA.
 */
#include <crypto/aead.h>
#include <linux/mm.h>
#include <linux/sched.h>

#include "crypto.h"
#include "sskdf.h"

DEFINE_STATIC_KEY_FALSE(xe_eesp_used);

/* The longest key, and its salt */
#define XE_SUB_KEYMAT_MAX	36

static u32 sub_id(const struct xe_sa *sa, u32 i)
{
	return i < sa->params.rx_subspaces ? i : i + sa->sub_gap;
}

/* Key, then salt: of the SA itself if it has no root key */
static int sub_keymat(const struct xe_sa *sa, struct crypto_shash *hmac,
		      const struct xe_key *key, u32 id, u8 *keymat)
{
	const struct xe_cipher *c = &sa->cipher;
	__be16 info = cpu_to_be16(id);

	if (hmac)
		return xe_sskdf_expand(hmac, (const u8 *)&info, sizeof(info),
				       keymat, c->key_len + c->salt.len);
	memcpy(keymat, key->octets, c->key_len);
	memcpy(keymat + c->key_len, c->salt.octets, c->salt.len);
	return 0;
}

static int sub_init(struct xe_sa *sa, struct xe_sub *sub, const char *name,
		    const u8 *keymat)
{
	struct xe_cipher *c = &sa->cipher;
	int err;

	sub->aead = crypto_alloc_aead(name, 0, 0);
	if (IS_ERR(sub->aead)) {
		err = PTR_ERR(sub->aead);
		sub->aead = NULL;
		return err;
	}
	/* A better one may have come meanwhile, with more to keep, or slower to answer */
	c->sg_at = max(c->sg_at, xe_op_size(c, sub->aead));
	if (crypto_aead_alg(sub->aead)->base.cra_flags & CRYPTO_ALG_ASYNC)
		c->may_wait = true;
	sub->salt = c->salt;
	memcpy(sub->salt.octets, keymat + c->key_len, c->salt.len);
	return crypto_aead_setkey(sub->aead, keymat, c->key_len) ?:
	       crypto_aead_setauthsize(sub->aead, c->icv_len);
}

static int subs_derive(struct xe_sa *sa, const char *name,
		       const struct xe_key *key, struct crypto_shash *hmac)
{
	u8 keymat[XE_SUB_KEYMAT_MAX];
	int err = 0;
	u32 i;

	for (i = 0; i < sa->n_subs && !err; i++) {
		err = sub_keymat(sa, hmac, key, sub_id(sa, i), keymat) ?:
		      sub_init(sa, &sa->subs[i], name, keymat);
		cond_resched();
	}
	memzero_explicit(keymat, sizeof(keymat));
	return err;
}

/**
 * xe_subs_init - make the transforms of an SA's Sub SAs
 * @sa: SA in eesp; of its cipher all is set but what is a Sub SA's
 * @name: of the kernel's algorithm
 * @key: the SA's: the root key, or that of its only Sub SA
 * @extack: for the reason of a refusal
 *
 * Context: process, may sleep.
 * Return: 0 or a negative errno: xe_subs_exit() is due.
 */
int xe_subs_init(struct xe_sa *sa, const char *name, const struct xe_key *key,
		 struct netlink_ext_ack *extack)
{
	const struct xe_params *p = &sa->params;
	u64 octets = xe_subspaces_subs(p);
	struct crypto_shash *hmac = NULL;
	int err;

	if (sa->cipher.key_len + sa->cipher.salt.len > XE_SUB_KEYMAT_MAX)
		return -EINVAL;
	if (!xe_numbers_make_room(sa->xn, octets))
		return xe_memory_refused(sa->xn, "the keys of Sub SAs", octets,
					 extack);
	sa->sub_gap = max(p->tx_base, p->rx_subspaces) - p->rx_subspaces;
	sa->n_subs = p->rx_subspaces;
	if (p->tx_subspaces && p->tx_base + p->tx_subspaces > p->rx_subspaces)
		sa->n_subs = p->tx_base + p->tx_subspaces - sa->sub_gap;
	sa->subs = kvcalloc(sa->n_subs, sizeof(*sa->subs), GFP_KERNEL_ACCOUNT);
	if (!sa->subs) {
		xe_memory_give(sa->xn, octets);
		return -ENOMEM;
	}
	if (xe_suite_has_root(sa->x, p)) {
		hmac = xe_sskdf_alloc(key->octets, key->len);
		if (IS_ERR(hmac)) {
			xe_extack(extack,
				  "kernel has no HMAC for a root key of %u bits: %ld",
				  key->len * 8, PTR_ERR(hmac));
			return PTR_ERR(hmac);
		}
	}
	err = subs_derive(sa, name, key, hmac);
	if (hmac)
		xe_sskdf_free(hmac);
	if (err)
		xe_extack(extack, "no transform %s for each of %u Sub SAs: %d",
			  name, sa->n_subs, err);
	return err;
}

/**
 * xe_subs_exit - free them, and forget their keys
 * @sa: SA that carries no packet any more
 *
 * Context: process, may sleep.
 */
void xe_subs_exit(struct xe_sa *sa)
{
	u32 i;

	if (!sa->subs)
		return;
	for (i = 0; i < sa->n_subs; i++) {
		if (sa->subs[i].aead)
			crypto_free_aead(sa->subs[i].aead);
		memzero_explicit(&sa->subs[i], sizeof(sa->subs[i]));
		cond_resched();
	}
	kvfree(sa->subs);
	sa->subs = NULL;
	xe_memory_give(sa->xn, xe_subspaces_subs(&sa->params));
}
