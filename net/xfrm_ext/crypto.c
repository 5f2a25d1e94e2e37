// SPDX-License-Identifier: GPL-2.0-only
/*
 * The cipher of an SA, and a packet in its hands. The bare AEAD with a nonce and
 * AAD of our own making, because the kernel's wrappers for ESP take the header
 * of RFC 4303 only; which algorithms there are is in suites.c.
 */
#include <crypto/aead.h>
#include <linux/scatterlist.h>

#include "crypto.h"

/**
 * xe_crypto_init - make and key the transform of an SA
 * @sa: SA; x, params and format set, its keys still there
 * @extack: for the reason of a refusal
 *
 * Context: process, may sleep.
 * Return: 0 or a negative errno; on error nothing is left behind.
 */
int xe_crypto_init(struct xe_sa *sa, struct netlink_ext_ack *extack)
{
	char name[CRYPTO_MAX_ALG_NAME];
	struct xe_cipher *c = &sa->cipher;
	struct xe_key key = {};
	int err;

	err = xe_suite_get(sa, name, &key, extack);
	if (err)
		return err;
	c->aead = crypto_alloc_aead(name, 0, 0);
	if (IS_ERR(c->aead)) {
		err = PTR_ERR(c->aead);
		c->aead = NULL;
		xe_extack(extack, "kernel has no %s: %d", name, err);
		goto err;
	}
	/* Without Sub SAs it is one that stands for all subspaces */
	if (sa->params.format != XFRM_EXT_FORMAT_EESP)
		err = crypto_aead_setkey(c->aead, key.octets, key.len);
	if (!err)
		err = crypto_aead_setauthsize(c->aead, c->icv_len);
	if (err) {
		xe_extack(extack, "%s refuses the key: %d", name, err);
		goto err;
	}
	c->align = ALIGN(crypto_aead_blocksize(c->aead), 4);
	c->may_wait = crypto_aead_alg(c->aead)->base.cra_flags &
		      CRYPTO_ALG_ASYNC;
	c->req_at = ALIGN(sizeof(struct xe_op), crypto_tfm_ctx_alignment());
	c->sg_at = xe_op_size(c, c->aead);
	if (sa->params.format == XFRM_EXT_FORMAT_EESP) {
		err = xe_subs_init(sa, name, &key, extack);
		if (err)
			goto err;
	}
	xe_suite_forget(&key);
	return 0;

err:
	xe_suite_forget(&key);
	xe_crypto_exit(sa);
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
	xe_subs_exit(sa);
	if (sa->cipher.aead)
		crypto_free_aead(sa->cipher.aead);
	memzero_explicit(&sa->cipher, sizeof(sa->cipher));
}

/*
 * A CPU's op is used again for the next packet; only a cipher that finishes
 * later takes one away, and gives it to the CPU where it does.
 */
DEFINE_PER_CPU(struct xe_op *, xe_op_spare);

/* With room for what ciphers want and a packet in some pieces: not the next size up */
#define XE_OP_SIZE	1024u

/**
 * xe_op_make - have room for what a CPU has none for
 * @op: what it has kept, or NULL; not any more
 * @size: octets
 *
 * Context: BH off.
 * Return: the op, or NULL.
 */
struct xe_op *xe_op_make(struct xe_op *op, unsigned int size)
{
	kfree(op);
	size = max(size, XE_OP_SIZE);
	op = kmalloc(size, GFP_ATOMIC | __GFP_NOWARN);
	if (!op)
		return NULL;
	op->size = size;
	sg_init_table(&op->whole, 1);
	return op;
}

/* Of AAD, which is two words or three */
static_assert(XE_AAD_MAX == 12);

static __always_inline void xe_op_copy(u8 *to, const u8 *from,
				       unsigned int len)
{
	memcpy(to, from, 8);
	if (len > 8)
		memcpy(to + 8, from + 8, 4);
}

/**
 * xe_op_finish - the cipher is done with a packet
 * @op: op whose request is finished
 *
 * Puts back what stood where the AAD had to stand. Context: any.
 */
void xe_op_finish(struct xe_op *op)
{
	if (likely(op->covered_len))
		xe_op_copy(op->covered, op->aad, op->covered_len);
}

/**
 * xe_op_exit - let go of all that CPUs have kept
 *
 * Context: module unload; no packet is with us any more.
 */
void xe_op_exit(void)
{
	int cpu;

	for_each_possible_cpu(cpu)
		kfree(per_cpu(xe_op_spare, cpu));
}

/* An IV that is not sent is the number (RFC 8750 section 4) */
static void xe_op_nonce(struct xe_op *op, const struct xe_cipher *c,
			const struct xe_salt *salt, const u8 *iv)
{
	__be64 number;

	if (c->iv_len || c->iv_none) {
		xe_nonce(op->nonce, salt, iv, c->iv_len);
	} else {
		number = cpu_to_be64(op->frame.number);
		xe_nonce(op->nonce, salt, (const u8 *)&number,
			 sizeof(number));
	}
}

/*
 * The same whatever the AAD is: encrypt or decrypt @len octets behind @aad_len ones, the ICV
 * behind them not counted. Returns as xe_op_run().
 */
static __always_inline int xe_op_start(struct xe_op *op,
				       const struct xe_cipher *c,
				       struct crypto_aead *aead,
				       struct scatterlist *sg,
				       unsigned int aad_len, unsigned int len,
				       bool encrypt)
{
	int err;

	if (c->mac_only) {
		aad_len += len;
		len = 0;
	}
	if (!encrypt)
		len += c->icv_len;
	aead_request_set_tfm(op->req, aead);
	aead_request_set_ad(op->req, aad_len);
	aead_request_set_crypt(op->req, sg, sg, len, op->nonce);
	err = encrypt ? crypto_aead_encrypt(op->req) :
			crypto_aead_decrypt(op->req);
	if (likely(err != -EINPROGRESS))
		xe_op_finish(op);
	/* Without a backlog, busy is a refusal: it must not look like a start */
	return err == -EBUSY ? -ENOSPC : err;
}

/*
 * EESP: a key for each Sub SA, and what is authenticated is all that stands before the
 * ciphertext, from the header on, as it stands there. Nothing has to be put anywhere.
 */
static noinline int xe_op_run_sub(struct xe_op *op, unsigned int at,
				  bool encrypt)
{
	const struct xe_sa *sa = op->sa;
	const struct xe_cipher *c = &sa->cipher;
	const struct xe_sub *sub = xe_sub_of(sa, op->seq.subspace);
	struct scatterlist *sg = &op->whole;
	struct sk_buff *skb = op->skb;
	unsigned int aad_len = op->frame.hdr_len + c->iv_len +
			       op->frame.exposed;
	unsigned int len = skb->len - at;
	int err;

	xe_op_nonce(op, c, &sub->salt, skb->data + at + op->frame.hdr_len);
	if (likely(!skb_is_nonlinear(skb))) {
		sg_set_buf(sg, skb->data + at, len);
	} else {
		sg = op->sg;
		sg_init_table(sg, op->nfrags + 1);
		err = skb_to_sgvec(skb, sg, at, len);
		if (unlikely(err < 0))
			return err;
	}
	return xe_op_start(op, c, sub->aead, sg, aad_len,
			   len - aad_len - c->icv_len, encrypt);
}

/**
 * xe_op_run - encrypt or decrypt a packet in place
 * @op: op; its number is the whole of it, its frame set
 * @at: offset of the ESP header from the skb's data; header and IV are linear
 * @encrypt: or decrypt
 *
 * The skb ends with the ICV (or the room for it) and must be writable.
 *
 * Context: any that the kernel's ESP runs in.
 * Return: 0, -EINPROGRESS (done will be called, @op is not the caller's any
 *         more), -EBADMSG (wrong ICV) or another errno.
 */
int xe_op_run(struct xe_op *op, unsigned int at, bool encrypt)
{
	const struct xe_sa *sa = op->sa;
	const struct xe_cipher *c = &sa->cipher;
	struct scatterlist *sg = &op->whole;
	struct sk_buff *skb = op->skb;
	unsigned int aad_len = op->frame.aad_len, len;
	u8 *aad, *iv, *text;
	int err;

	if (xe_is_eesp(sa))
		return xe_op_run_sub(op, at, encrypt);
	iv = skb->data + at + op->frame.hdr_len;
	text = iv + c->iv_len;
	at = text - skb->data;
	len = skb->len - at;
	xe_op_nonce(op, c, &c->salt, iv);
	/* Where the IV is authenticated with the header it is behind that already */
	if (c->iv_in_aad)
		aad_len += c->iv_len;
	aad = text - aad_len;
	if (likely(!skb_is_nonlinear(skb) && aad >= skb->head)) {
		/*
		 * All is one piece if the AAD is right before the text; what
		 * stands there, of ESP and perhaps of the outer header, is kept
		 * until the cipher is done
		 */
		op->covered = aad;
		op->covered_len = op->frame.aad_len;
		xe_op_copy(op->aad, aad, op->covered_len);
		sg_set_buf(sg, aad, aad_len + len);
	} else {
		aad = op->aad;
		if (c->iv_in_aad)
			memcpy(aad + op->frame.aad_len, iv, c->iv_len);
		sg = op->sg;
		sg_init_table(sg, op->nfrags + 1);
		sg_set_buf(sg, aad, aad_len);
		err = skb_to_sgvec(skb, sg + 1, at, len);
		if (unlikely(err < 0))
			return err;
	}
	sa->format->aad(aad, sa->id.spi, op->seq);

	return xe_op_start(op, c, c->aead, sg, aad_len, len - c->icv_len,
			   encrypt);
}
