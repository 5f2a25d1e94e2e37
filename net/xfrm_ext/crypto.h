/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Ground: the cipher.
 */
#ifndef XFRM_EXT_CRYPTO_H
#define XFRM_EXT_CRYPTO_H

#include <crypto/aead.h>
#include <linux/random.h>
#include <linux/scatterlist.h>

#include "sa.h"

/**
 * struct xe_key - key material in the form that an algorithm takes
 * @octets: key
 * @len: how many
 */
struct xe_key {
	u8 *octets;
	unsigned int len;
};

/* suites.c APIs: process context */
const char *xe_suite_name(unsigned int i);
int xe_suite_get(struct xe_sa *sa, char *name, struct xe_key *key,
		 struct netlink_ext_ack *extack);
void xe_suite_forget(struct xe_key *key);
bool xe_suite_has_root(const struct xfrm_state *x,
		       const struct xe_params *params);
struct xfrm_algo_aead *xe_suite_standin(const struct xfrm_state *x);

/* sub.c APIs: process context */
int xe_subs_init(struct xe_sa *sa, const char *name, const struct xe_key *key,
		 struct netlink_ext_ack *extack);
void xe_subs_exit(struct xe_sa *sa);

/* crypto.c APIs: process context */
struct xe_op;
int xe_crypto_init(struct xe_sa *sa, struct netlink_ext_ack *extack);
void xe_crypto_exit(struct xe_sa *sa);
/* BH off: */
struct xe_op *xe_op_make(struct xe_op *op, unsigned int size);
/* Any context: */
void xe_op_finish(struct xe_op *op);
void xe_op_exit(void);
int xe_op_run(struct xe_op *op, unsigned int at, bool encrypt);

/**
 * xe_op_writable - may a packet be changed in place?
 * @skb: packet
 * @tail: octets that will come behind it
 * @trailer: set to the buffer that has room for them
 *
 * As skb_cow_data(), which has its say unless there is nothing to do.
 *
 * Context: any.
 * Return: how many buffers the packet is in, or a negative errno.
 */
static inline int xe_op_writable(struct sk_buff *skb, int tail,
				 struct sk_buff **trailer)
{
	if (unlikely(skb_cloned(skb) || skb_is_nonlinear(skb) ||
		     skb_tailroom(skb) < tail))
		return skb_cow_data(skb, tail, trailer);
	*trailer = skb;
	return 1;
}

/* Goes on with a packet that is encrypted, or will never be: err; consumes */
typedef int xe_op_sent(struct xe_sa *sa, struct sk_buff *skb, int err);

/**
 * struct xe_op - one packet in the cipher's hands
 * @nonce: for the cipher; first, for its alignment
 * @skb: the packet
 * @sa: its SA; the packet keeps the state, and so this, alive, or if it is the SA's
 *      own its sender does
 * @seq: its number
 * @frame: how it is laid out
 * @fast: on our own path, not the kernel's
 * @sent: who goes on with it when it has been encrypted later; NULL: the kernel
 * @size: octets of all of it
 * @nfrags: buffers that the packet is in
 * @aad: what authenticates the header, and the IV where it belongs to that; while
 *       that stands in the packet, what stood there
 * @covered: where in the packet
 * @covered_len: octets; 0: nowhere
 * @whole: scatter list of a packet that is in one piece, AAD and all
 * @sg: scatter list of any other, behind the request
 * @req: request, with room for the transform's own part behind
 */
struct xe_op {
	u8 nonce[XE_NONCE_LEN] __aligned(CRYPTO_MINALIGN);
	struct sk_buff *skb;
	struct xe_sa *sa;
	struct xe_seq seq;
	struct xe_frame frame;
	bool fast;
	xe_op_sent *sent;
	unsigned int size;
	int nfrags;
	u8 *covered;
	unsigned int covered_len;
	u8 aad[XE_AAD_MAX + XE_IV_MAX];
	struct scatterlist whole;
	struct scatterlist *sg;
	struct aead_request *req;
};

/**
 * xe_iv_build - write the IV of a packet that is sent
 * @sa: SA
 * @iv: as many octets as the SA has of IV
 * @number: xe_frame::number of the packet
 *
 * Context: any.
 */
static inline void xe_iv_build(const struct xe_sa *sa, u8 *iv, u64 number)
{
	if (!sa->cipher.iv_len)
		return;
	if (sa->cipher.iv_random)
		get_random_bytes(iv, sa->cipher.iv_len);
	else
		put_unaligned_be64(number, iv);
}

/* Octets of an op of a transform without scatter list, which stands behind it */
static inline unsigned int xe_op_size(const struct xe_cipher *c,
				      struct crypto_aead *aead)
{
	return ALIGN(c->req_at + sizeof(struct aead_request) +
		     crypto_aead_reqsize(aead),
		     __alignof__(struct scatterlist));
}

DECLARE_PER_CPU(struct xe_op *, xe_op_spare);

/* What a CPU keeps */
#define XE_OP_SIZE_KEPT	4096u

/**
 * xe_op_alloc - room for one packet's request
 * @sa: SA
 * @nfrags: buffers the packet is in, from xe_op_writable()
 * @done: what to call when the cipher finishes later; its data is the op
 * @skb: the packet
 *
 * Context: BH off.
 * Return: the op, or NULL.
 */
static inline struct xe_op *xe_op_alloc(const struct xe_sa *sa, int nfrags,
					crypto_completion_t done,
					struct sk_buff *skb)
{
	const struct xe_cipher *c = &sa->cipher;
	unsigned int size = c->sg_at +
			    sizeof(struct scatterlist) * (nfrags + 1);
	struct xe_op *op = __this_cpu_read(xe_op_spare);

	__this_cpu_write(xe_op_spare, NULL);
	if (unlikely(!op || op->size < size)) {
		op = xe_op_make(op, size);
		if (!op)
			return NULL;
	}
	op->skb = skb;
	op->sa = (struct xe_sa *)sa;
	op->covered_len = 0;
	op->req = (void *)op + c->req_at;
	op->sg = (void *)op + c->sg_at;
	op->nfrags = nfrags;
	aead_request_set_callback(op->req, 0, done, op);
	return op;
}

/**
 * xe_op_free - give the room back
 * @op: op whose request is finished, or was never started
 *
 * Context: BH off.
 */
static inline void xe_op_free(struct xe_op *op)
{
	struct xe_op *old = op;

	/* The salt is in it */
	memzero_explicit(op->nonce, sizeof(op->nonce));
	if (likely(op->size <= XE_OP_SIZE_KEPT)) {
		old = __this_cpu_read(xe_op_spare);
		__this_cpu_write(xe_op_spare, op);
	}
	if (unlikely(old))
		kfree(old);
}

#endif /* XFRM_EXT_CRYPTO_H */
