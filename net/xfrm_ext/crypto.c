// SPDX-License-Identifier: GPL-2.0-only
/*
 * The cipher: the bare AEAD with a nonce and AAD of our own making, because
 * the rfc4106 wrapper takes the AAD of RFC 4303 headers only.
 */
#include <crypto/aead.h>
#include <linux/scatterlist.h>

#include "xfrm_ext.h"

/* Names as NEWSA has them, each followed by the bare algorithm's */
static const struct {
	const char *name;
	const char *bare;
} xe_aeads[] = {
	{ "rfc4106(gcm(aes))", "gcm(aes)" },
};

/* What capabilities lists */
const char * const xe_algorithms[] = { "rfc4106(gcm(aes))", NULL };

/**
 * xe_crypto_init - make and key the transform of an SA
 * @sa: SA; x set, its keys still there
 * @extack: for the reason of a refusal
 *
 * Context: process, may sleep.
 * Return: 0 or a negative errno; on error nothing is left behind.
 */
int xe_crypto_init(struct xe_sa *sa, struct netlink_ext_ack *extack)
{
	const struct xfrm_algo_aead *alg = sa->x->aead;
	unsigned int key_len;
	int i, err;

	if (!alg) {
		xe_extack(extack,
			  "algorithm is not an AEAD; supported: rfc4106(gcm(aes))");
		return -EINVAL;
	}
	for (i = 0; i < ARRAY_SIZE(xe_aeads); i++)
		if (!strcmp(alg->alg_name, xe_aeads[i].name))
			break;
	if (i == ARRAY_SIZE(xe_aeads)) {
		xe_extack(extack,
			  "aead %s not supported; supported: rfc4106(gcm(aes))",
			  alg->alg_name);
		return -EINVAL;
	}

	/* RFC 4106 section 8.1: the key, then four octets of salt */
	if (alg->alg_key_len != 160 && alg->alg_key_len != 224 &&
	    alg->alg_key_len != 288) {
		xe_extack(extack,
			  "aead key of %u bits; with the 32 bits of salt it must have 160, 224 or 288",
			  alg->alg_key_len);
		return -EINVAL;
	}
	if (alg->alg_icv_len != 64 && alg->alg_icv_len != 96 &&
	    alg->alg_icv_len != 128) {
		xe_extack(extack, "icv of %u bits; must be 64, 96 or 128",
			  alg->alg_icv_len);
		return -EINVAL;
	}

	sa->aead = crypto_alloc_aead(xe_aeads[i].bare, 0, 0);
	if (IS_ERR(sa->aead)) {
		err = PTR_ERR(sa->aead);
		sa->aead = NULL;
		xe_extack(extack, "kernel has no %s: %d", xe_aeads[i].bare,
			  err);
		return err;
	}
	sa->icv_len = alg->alg_icv_len / 8;
	key_len = alg->alg_key_len / 8 - XE_SALT_LEN;
	memcpy(sa->salt, alg->alg_key + key_len, XE_SALT_LEN);
	err = crypto_aead_setkey(sa->aead, alg->alg_key, key_len);
	if (!err)
		err = crypto_aead_setauthsize(sa->aead, sa->icv_len);
	if (err) {
		xe_extack(extack, "%s refuses the key: %d", xe_aeads[i].bare,
			  err);
		xe_crypto_exit(sa);
	}
	return err;
}

/**
 * xe_crypto_exit - free the transform and forget the salt
 * @sa: SA that carries no packet any more
 *
 * Context: process, may sleep.
 */
void xe_crypto_exit(struct xe_sa *sa)
{
	crypto_free_aead(sa->aead);
	sa->aead = NULL;
	memzero_explicit(sa->salt, sizeof(sa->salt));
}

/**
 * xe_op_alloc - room for one packet's request
 * @sa: SA
 * @nfrags: buffers the packet is in, from skb_cow_data()
 * @done: what to call when the cipher finishes later; its data is the op
 * @skb: the packet
 *
 * Context: any.
 * Return: the op, or NULL.
 */
struct xe_op *xe_op_alloc(const struct xe_sa *sa, int nfrags,
			  crypto_completion_t done, struct sk_buff *skb)
{
	size_t req = ALIGN(sizeof(struct xe_op), crypto_tfm_ctx_alignment());
	size_t sg = ALIGN(req + sizeof(struct aead_request) +
			  crypto_aead_reqsize(sa->aead),
			  __alignof__(struct scatterlist));
	struct xe_op *op;

	op = kmalloc(sg + sizeof(struct scatterlist) * (nfrags + 1),
		     GFP_ATOMIC | __GFP_NOWARN);
	if (!op)
		return NULL;
	op->skb = skb;
	op->sa = (struct xe_sa *)sa;
	op->req = (void *)op + req;
	op->sg = (void *)op + sg;
	sg_init_table(op->sg, nfrags + 1);
	aead_request_set_tfm(op->req, sa->aead);
	aead_request_set_callback(op->req, 0, done, op);
	return op;
}

/**
 * xe_op_free - give the room back
 * @op: op whose request is finished, or was never started
 */
void xe_op_free(struct xe_op *op)
{
	kfree(op);
}

/**
 * xe_op_run - encrypt or decrypt a packet in place
 * @op: op
 * @at: offset of the ESP header from the skb's data
 * @iv: the packet's IV
 * @encrypt: or decrypt
 *
 * The skb ends with the ICV (or the room for it) and must be writable.
 *
 * Context: any that the kernel's ESP runs in.
 * Return: 0, -EINPROGRESS (done will be called, @op is not the caller's any
 *         more), -EBADMSG (wrong ICV) or another errno.
 */
int xe_op_run(struct xe_op *op, unsigned int at, const u8 *iv, bool encrypt)
{
	const struct xe_sa *sa = op->sa;
	unsigned int hdr_len = sa->format->hdr_len;
	struct sk_buff *skb = op->skb;
	unsigned int len;
	int err;

	xe_nonce(op->nonce, sa->salt, iv);
	memcpy(op->aad, skb->data + at, hdr_len);
	sg_set_buf(op->sg, op->aad, hdr_len);
	at += hdr_len + XE_IV_LEN;
	len = skb->len - at;
	err = skb_to_sgvec(skb, op->sg + 1, at, len);
	if (unlikely(err < 0))
		return err;

	if (encrypt)
		len -= sa->icv_len;
	aead_request_set_ad(op->req, hdr_len);
	aead_request_set_crypt(op->req, op->sg, op->sg, len, op->nonce);
	err = encrypt ? crypto_aead_encrypt(op->req) :
			crypto_aead_decrypt(op->req);
	/* Without a backlog, busy is a refusal: it must not look like a start */
	return err == -EBUSY ? -ENOSPC : err;
}
