// SPDX-License-Identifier: GPL-2.0-only
/*
 * What fits: the kernel works it out in xfrm_state_mtu(), for routes, TCP and
 * PMTU errors, long before a packet comes to us. It takes x->props.header_len,
 * and from x->data, which it takes for a transform, the length of the ICV and the
 * unit of padding:
 *
 *	room for P = MTU - header_len - ICV, less what that leaves over
 *	payload    = room for P - 2
 *
 * The 2 is Pad Length and Next Header. So with trailer "end" it is exact. With
 * "front" and "omit", where a payload may be as long as the room for P, it
 * comes out 2 octets less than would fit: no value of what it takes gives more
 * without giving too much for other MTUs, since what is left after the rounding
 * is a multiple of four, less 2, always.
 */
#include <crypto/aead.h>
#include <linux/slab.h>
#include <net/esp.h>

#include "packet.h"

static struct crypto_alg xe_mtu_alg = {
	.cra_name	= "xfrm_ext_mtu",
	.cra_blocksize	= 4,
};

/**
 * xe_mtu_init - tell the kernel how long an SA's packets get
 * @sa: SA, its cipher set; x->data is the original type's transform
 * @x: its state, which nobody can see yet
 *
 * On success that transform, which no packet would ever come to, has been freed,
 * and ours, or what looks like one, stands in its place.
 *
 * Context: process, may sleep.
 * Return: 0 or -ENOMEM: @x is as before.
 */
int xe_mtu_init(struct xe_sa *sa, struct xfrm_state *x)
{
	struct crypto_aead *aead = sa->cipher.aead, *orig = x->data;

	if (sa->cipher.align <= 4 ||
	    (sa->params.trailer != XFRM_EXT_TRAILER_FRONT &&
	     (sa->mode != &xe_mode_beet || x->sel.family != AF_INET)))
		goto replace;
	/*
	 * The info word, and BEET's pseudo header, stand inside the blocks, and
	 * the kernel takes them for something before these. Asked for whole
	 * words, with room for the worst that whole blocks can cost, it says up
	 * to 14 octets less than would fit, and never more.
	 */
	aead = kzalloc(sizeof(*aead), GFP_KERNEL_ACCOUNT);
	if (!aead)
		return -ENOMEM;
	aead->authsize = sa->cipher.icv_len + sa->cipher.align - 4;
	aead->base.__crt_alg = &xe_mtu_alg;

replace:
	/* The kernel's own path also leaves that much room for us */
	x->props.header_len += xe_esp_len(sa) - sa->encap_len -
			       sizeof(struct ip_esp_hdr) -
			       crypto_aead_ivsize(orig);
	x->data = aead;
	crypto_free_aead(orig);
	return 0;
}

/**
 * xe_mtu_exit - leave nothing for the original type to free
 * @sa: SA, its cipher still there
 * @x: its state, which nobody uses any more
 */
void xe_mtu_exit(struct xe_sa *sa, struct xfrm_state *x)
{
	if (x->data != sa->cipher.aead)
		kfree(x->data);
	x->data = NULL;
}
