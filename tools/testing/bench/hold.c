// SPDX-License-Identifier: GPL-2.0-only
/*
 * Transforms, keyed and held, for whoever wants to know what memory they take.
 */
#include <crypto/aead.h>
#include <linux/mm.h>

#include "datapath.h"

static struct crypto_aead **held;
static unsigned int n_held;

/**
 * bench_release - let go of transforms
 */
void bench_release(void)
{
	while (n_held)
		crypto_free_aead(held[--n_held]);
	kvfree(held);
	held = NULL;
}

/**
 * bench_hold - make transforms and keep them, in place of those before
 * @run: alg, keylen; packets is how many
 *
 * Return: 0 or a negative errno.
 */
int bench_hold(const struct bench_run *run)
{
	struct crypto_aead *aead;
	u8 key[64] = {};
	int err = 0;

	bench_release();
	held = kvcalloc(run->packets, sizeof(*held), GFP_KERNEL);
	if (!held)
		return -ENOMEM;
	while (!err && n_held < run->packets) {
		aead = crypto_alloc_aead(run->alg, 0, 0);
		if (IS_ERR(aead))
			return PTR_ERR(aead);
		held[n_held++] = aead;
		err = crypto_aead_setkey(aead, key,
					 min_t(size_t, run->keylen, sizeof(key)));
		if (!err)
			err = crypto_aead_setauthsize(aead, 16);
	}
	return err;
}
