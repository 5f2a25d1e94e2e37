// SPDX-License-Identifier: GPL-2.0-only
/*
 * An AEAD that does nothing, under the names of AES-GCM: what is left of a
 * packet's cost is the datapath's. Both ends must have it, and nobody who has
 * something to hide; it is for a guest that measures. Stock ESP asks for the
 * one name, xfrm_ext for the other.
 */
#include <crypto/aead.h>
#include <crypto/internal/aead.h>
#include <crypto/scatterwalk.h>
#include <linux/module.h>

#include "datapath.h"

static int cheap_setkey(struct crypto_aead *tfm, const u8 *key,
			unsigned int len)
{
	return 0;
}

static int cheap_setauthsize(struct crypto_aead *tfm, unsigned int authsize)
{
	return 0;
}

/* Stock ESP has packets in several pieces enciphered into other memory */
static void cheap_copy(struct aead_request *req, unsigned int len)
{
	unsigned int at, n;
	u8 buf[128];

	if (req->src == req->dst)
		return;
	for (at = 0; at < len; at += n) {
		n = min_t(unsigned int, len - at, sizeof(buf));
		scatterwalk_map_and_copy(buf, req->src, at, n, 0);
		scatterwalk_map_and_copy(buf, req->dst, at, n, 1);
	}
}

static int cheap_encrypt(struct aead_request *req)
{
	static u8 icv[16];

	cheap_copy(req, req->assoclen + req->cryptlen);
	scatterwalk_map_and_copy(icv, req->dst, req->assoclen + req->cryptlen,
				 crypto_aead_authsize(crypto_aead_reqtfm(req)),
				 1);
	return 0;
}

static int cheap_decrypt(struct aead_request *req)
{
	cheap_copy(req, req->assoclen + req->cryptlen -
			crypto_aead_authsize(crypto_aead_reqtfm(req)));
	return 0;
}

#define CHEAP_AEAD(name, driver, iv_len) {				\
	.setkey		= cheap_setkey,					\
	.setauthsize	= cheap_setauthsize,				\
	.encrypt	= cheap_encrypt,				\
	.decrypt	= cheap_decrypt,				\
	.ivsize		= (iv_len),					\
	.maxauthsize	= 16,						\
	.base		= {						\
		.cra_name		= name,				\
		.cra_driver_name	= driver,			\
		.cra_priority		= 100000,			\
		.cra_blocksize		= 1,				\
		.cra_module		= THIS_MODULE,			\
	},								\
}

static struct aead_alg cheap_algs[] = {
	CHEAP_AEAD("gcm(aes)", "gcm-bench-nothing", 12),
	CHEAP_AEAD("rfc4106(gcm(aes))", "rfc4106-bench-nothing", 8),
};

static bool cheap_registered;

/**
 * bench_cheap_init - from now on new SAs with AES-GCM have the cheap one
 *
 * Needs a kernel that does not test it (cryptomgr.notests=1).
 *
 * Return: 0 or a negative errno.
 */
int bench_cheap_init(void)
{
	int err;

	if (cheap_registered)
		return 0;
	err = crypto_register_aeads(cheap_algs, ARRAY_SIZE(cheap_algs));
	cheap_registered = !err;
	return err;
}

/* No SA has it any more, or the module would not go */
void bench_cheap_exit(void)
{
	if (cheap_registered)
		crypto_unregister_aeads(cheap_algs, ARRAY_SIZE(cheap_algs));
}
