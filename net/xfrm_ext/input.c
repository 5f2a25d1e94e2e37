// SPDX-License-Identifier: GPL-2.0-only
/*
 * Packets in: RFC 4303 section 3.4.
 *
 * Two ways lead to xe_accept(). The fast one: an ESP handler that is asked
 * before esp4's and esp6's takes what belongs to an extended SA, without
 * xfrm_state::lock, and delivers the inner packet itself. The kernel's own:
 * through xfrm_type::input(), for what needs the kernel's callbacks (xfrm
 * interfaces, VTI), what GRO found first, and for all when fastpath is off.
 *
 * Nothing is believed before the ICV is good: until then the packet has cost
 * its sender a look at a window, and us one pass of the cipher, no more.
 */
#include <crypto/aead.h>
#include <net/gro_cells.h>
#include <net/ip.h>
#include <net/ipv6.h>

#include "xfrm_ext.h"

static const struct xe_seq xe_seq_none;

static struct net_device *xe_gro_dev;
static struct gro_cells xe_gro_cells;

static int xe_refuse(const struct xe_sa *sa, enum xfrm_ext_stat stat,
		     struct xe_seq seq, bool fast, int err)
{
	xe_drop(sa, stat, seq, fast);
	return err;
}

static int xe_refuse_number(struct xe_sa *sa, struct xe_window *w,
			    enum xe_verdict verdict, struct xe_seq seq,
			    bool fast)
{
	xe_window_refused(w, verdict);
	xe_event_window_drop(sa, seq.subspace);
	return xe_refuse(sa, verdict == XE_REPLAY ? XFRM_EXT_STAT_RX_REPLAY :
						    XFRM_EXT_STAT_RX_TOO_OLD,
			 seq, fast, -EINVAL);
}

/* The decision about an authenticated packet: 0, or a negative errno, counted */
static int xe_accept_number(struct xe_sa *sa, struct xe_seq seq, bool fast)
{
	enum xe_verdict verdict;
	struct xe_window *w;
	bool first;

	if (sa->params.flags & XFRM_EXT_SA_F_NO_REPLAY_PROTECTION)
		return 0;
	w = xe_window_get(sa, seq.subspace, GFP_ATOMIC | __GFP_NOWARN, &first);
	if (!w)
		return xe_refuse(sa, XFRM_EXT_STAT_RX_NOMEM_WINDOW, seq, fast,
				 -ENOMEM);
	verdict = xe_window_update(w, seq.sn);
	if (verdict != XE_FRESH)
		return xe_refuse_number(sa, w, verdict, seq, fast);
	if (unlikely(first))
		xe_event_rx(sa, XFRM_EXT_CMD_FIRST_USE, seq.subspace);
	return 0;
}

/*
 * What the cipher said. Window, trailer, inner header. Return the Next Header
 * with data at the inner packet, or a negative errno, counted.
 */
static int xe_accept_done(struct xe_sa *sa, struct sk_buff *skb,
			  struct xe_seq seq, bool fast, int err)
{
	unsigned int hdr_len = sa->format->hdr_len + XE_IV_LEN;
	unsigned int len;
	u8 trailer[2];

	if (err == -EBADMSG) {
		/* On its own path the kernel does */
		if (fast)
			xfrm_audit_state_icvfail(sa->x, skb, IPPROTO_ESP);
		return xe_refuse(sa, XFRM_EXT_STAT_RX_ICV, seq, fast, err);
	}
	if (err)
		return xe_refuse(sa, XFRM_EXT_STAT_RX_CRYPTO, seq, fast, err);

	err = xe_accept_number(sa, seq, fast);
	if (err)
		return err;

	len = skb->len - hdr_len - sa->icv_len;
	if (skb_copy_bits(skb, hdr_len + len - 2, trailer, 2) ||
	    trailer[0] + 2 > len)
		return xe_refuse(sa, XFRM_EXT_STAT_RX_TRAILER, seq, fast,
				 -EINVAL);
	/* RFC 4303 section 2.6 */
	if (trailer[1] == IPPROTO_NONE)
		return xe_refuse(sa, XFRM_EXT_STAT_RX_DUMMY, seq, fast,
				 -EINVAL);
	if (trailer[1] != IPPROTO_IPIP && trailer[1] != IPPROTO_IPV6)
		return xe_refuse(sa, XFRM_EXT_STAT_RX_NEXT_HEADER, seq, fast,
				 -EINVAL);
	if (pskb_trim(skb, skb->len - sa->icv_len - 2 - trailer[0]))
		return xe_refuse(sa, XFRM_EXT_STAT_RX_NOMEM, seq, fast,
				 -ENOMEM);
	__skb_pull(skb, hdr_len);
	skb_reset_transport_header(skb);
	if (!xe_tunnel_inner_ok(skb, trailer[1]))
		return xe_refuse(sa, XFRM_EXT_STAT_RX_INNER, seq, fast,
				 -EINVAL);

	xe_stat_add(sa, XFRM_EXT_STAT_RX_PACKETS, 1);
	xe_stat_add(sa, XFRM_EXT_STAT_RX_BYTES, skb->len);
	return trailer[1];
}

/*
 * Check, decrypt. data is at the ESP header. Return what xe_accept_done()
 * does, or -EINPROGRESS: then @done does the rest, and the packet is its.
 */
static int xe_accept(struct xe_sa *sa, struct sk_buff *skb,
		     crypto_completion_t done, bool fast)
{
	unsigned int hdr_len = sa->format->hdr_len + XE_IV_LEN;
	struct xe_seq seq = xe_seq_none;
	enum xe_verdict verdict;
	struct sk_buff *trailer;
	struct xe_window *w;
	struct xe_op *op;
	int nfrags, err;

	if (!xe_sa_ready(sa))
		return xe_refuse(sa, XFRM_EXT_STAT_RX_NOT_READY, seq, fast,
				 -EINVAL);
	if (!sa->params.rx_subspaces)
		return xe_refuse(sa, XFRM_EXT_STAT_RX_NO_SUBSPACES, seq, fast,
				 -EINVAL);
	/* The cipher's part is whole words, with Pad Length and Next Header */
	if (skb->len < hdr_len + 4 + sa->icv_len ||
	    (skb->len - hdr_len - sa->icv_len) % 4 ||
	    !pskb_may_pull(skb, hdr_len))
		return xe_refuse(sa, XFRM_EXT_STAT_RX_TRUNCATED, seq, fast,
				 -EINVAL);

	seq = sa->format->parse(skb->data);
	if (seq.subspace >= sa->params.rx_subspaces) {
		xe_event_out_of_range(sa, seq.subspace);
		return xe_refuse(sa, XFRM_EXT_STAT_RX_SUBSPACE, seq, fast,
				 -EINVAL);
	}
	if (!seq.sn)
		return xe_refuse(sa, XFRM_EXT_STAT_RX_ZERO, seq, fast,
				 -EINVAL);
	w = xe_window_seen(sa, seq.subspace);
	if (w) {
		verdict = xe_window_check(w, seq.sn);
		if (verdict != XE_FRESH)
			return xe_refuse_number(sa, w, verdict, seq, fast);
	}

	nfrags = skb_cow_data(skb, 0, &trailer);
	if (nfrags < 0)
		return xe_refuse(sa, XFRM_EXT_STAT_RX_NOMEM, seq, fast,
				 -ENOMEM);
	op = xe_op_alloc(sa, nfrags, done, skb);
	if (!op)
		return xe_refuse(sa, XFRM_EXT_STAT_RX_NOMEM, seq, fast,
				 -ENOMEM);
	op->seq = seq;
	op->fast = fast;
	skb->ip_summed = CHECKSUM_NONE;

	err = xe_op_run(op, 0, skb->data + sa->format->hdr_len, false);
	if (err == -EINPROGRESS)
		return err;
	xe_op_free(op);
	return xe_accept_done(sa, skb, seq, fast, err);
}

XE_CRYPTO_DONE(xe_input_done)
{
	struct xe_op *op = data;
	struct sk_buff *skb = op->skb;

	if (err == -EINPROGRESS)
		return;
	err = xe_accept_done(op->sa, skb, op->seq, false, err);
	xe_op_free(op);
	/* Drops the packet if negative */
	xfrm_input_resume(skb, err);
}

/**
 * xe_input - xfrm_type::input of an extended SA: the kernel's own path
 * @x: state; the packet's secpath holds it
 * @skb: data at the ESP header
 *
 * Context: BH off.
 * Return: the Next Header with data at the inner packet, -EINPROGRESS, or a
 *         negative errno: the caller frees the packet.
 */
int xe_input(struct xfrm_state *x, struct sk_buff *skb)
{
	return xe_accept(xe_sa_of(x), skb, xe_input_done, false);
}

/* Behind the cipher on the fast path: the packet and its reference to x end */
static void xe_fast_deliver(struct xe_sa *sa, struct sk_buff *skb,
			    int next_header)
{
	struct xfrm_state *x = sa->x;
	struct sec_path *sp;
	bool ok;

	if (next_header < 0)
		goto err;
	local_bh_disable();
	ok = xe_lifetime_use(sa, skb->len);
	local_bh_enable();
	if (!ok) {
		xe_drop(sa, XFRM_EXT_STAT_RX_EXPIRED, xe_seq_none, true);
		goto err;
	}
	sp = secpath_set(skb);
	if (!sp || sp->len == XFRM_MAX_DEPTH) {
		xe_drop(sa, XFRM_EXT_STAT_RX_NOMEM, xe_seq_none, true);
		goto err;
	}
	/* The inbound policy check needs to know; the reference moves here */
	sp->xvec[sp->len++] = x;
	sp->olen = 0;

	skb->mark = xfrm_smark_get(skb->mark, x);
	xe_tunnel_decap(x, skb, next_header);
	nf_reset_ct(skb);
	gro_cells_receive(&xe_gro_cells, skb);
	return;

err:
	kfree_skb(skb);
	xfrm_state_put(x);
}

XE_CRYPTO_DONE(xe_fast_done)
{
	struct xe_op *op = data;
	struct net_device *dev = op->skb->dev;
	struct sk_buff *skb = op->skb;
	struct xe_sa *sa = op->sa;

	if (err == -EINPROGRESS)
		return;
	err = xe_accept_done(sa, skb, op->seq, true, err);
	xe_op_free(op);
	xe_fast_deliver(sa, skb, err);
	dev_put(dev);
}

static int xe_rcv(struct sk_buff *skb, u16 family, const void *daddr)
{
	struct net_device *dev = skb->dev;
	struct net *net = dev_net(dev);
	struct xe_sa *sa;
	__be32 spi;
	int err;

	if (!READ_ONCE(xe_net(net)->n_sas) || !READ_ONCE(xe_fastpath) ||
	    !pskb_may_pull(skb, sizeof(spi)))
		return -EINVAL;
	spi = *(__be32 *)skb->data;
	sa = xe_sa_lookup(net, family, daddr, spi, skb->mark);
	if (!sa || sa->params.flags & XFRM_EXT_SA_F_NO_FASTPATH ||
	    sa->x->if_id)
		return -EINVAL;
	/* Deleted a moment ago? Then the kernel will say so. */
	if (!refcount_inc_not_zero(&sa->x->refcnt))
		return -EINVAL;

	/* From here on the packet is ours, and may outlive this RCU section */
	skb_dst_drop(skb);
	dev_hold(dev);
	err = xe_accept(sa, skb, xe_fast_done, true);
	if (err != -EINPROGRESS) {
		xe_fast_deliver(sa, skb, err);
		dev_put(dev);
	}
	return 0;
}

static int xe_rcv4(struct sk_buff *skb)
{
	__be32 daddr = ip_hdr(skb)->daddr;

	return xe_rcv(skb, AF_INET, &daddr);
}

static int xe_rcv6(struct sk_buff *skb)
{
	struct in6_addr daddr = ipv6_hdr(skb)->daddr;

	return xe_rcv(skb, AF_INET6, &daddr);
}

/* UDP encapsulation and GRO: the kernel's own path */
static int xe_rcv_encap(struct sk_buff *skb, int nexthdr, __be32 spi,
			int encap_type)
{
	return -EINVAL;
}

/* Positive: ask the next one, too, or xfrm interfaces go unasked */
static int xe_rcv_cb(struct sk_buff *skb, int err)
{
	return 1;
}

/* esp4 and esp6 learn the PMTU; the SPI stands where they look for it */
static int xe_err4(struct sk_buff *skb, u32 info)
{
	return -ENOENT;
}

static int xe_err6(struct sk_buff *skb, struct inet6_skb_parm *opt, u8 type,
		   u8 code, int offset, __be32 info)
{
	return -ENOENT;
}

/*
 * Behind VTI (100), which has to mark the packets of its tunnels first, and
 * before xfrm interfaces (10) and esp4 (0), which do not pass anything on.
 */
#define XE_PRIORITY	50

static struct xfrm4_protocol xe_protocol4 = {
	.handler	= xe_rcv4,
	.input_handler	= xe_rcv_encap,
	.cb_handler	= xe_rcv_cb,
	.err_handler	= xe_err4,
	.priority	= XE_PRIORITY,
};

static struct xfrm6_protocol xe_protocol6 = {
	.handler	= xe_rcv6,
	.input_handler	= xe_rcv_encap,
	.cb_handler	= xe_rcv_cb,
	.err_handler	= xe_err6,
	.priority	= XE_PRIORITY,
};

/**
 * xe_input_init - take part in the reception of ESP
 *
 * Return: 0 or a negative errno.
 */
int xe_input_init(void)
{
	int err = -ENOMEM;

	xe_gro_dev = xe_dummy_netdev_alloc();
	if (!xe_gro_dev)
		return err;
	err = gro_cells_init(&xe_gro_cells, xe_gro_dev);
	if (err)
		goto err_dev;
	err = xfrm4_protocol_register(&xe_protocol4, IPPROTO_ESP);
	if (err)
		goto err_cells;
	err = xfrm6_protocol_register(&xe_protocol6, IPPROTO_ESP);
	if (err)
		goto err_protocol4;
	return 0;

err_protocol4:
	xfrm4_protocol_deregister(&xe_protocol4, IPPROTO_ESP);
err_cells:
	gro_cells_destroy(&xe_gro_cells);
err_dev:
	xe_dummy_netdev_free(xe_gro_dev);
	return err;
}

/**
 * xe_input_exit - no more
 *
 * Context: module unload. Returns when no packet is with us any more.
 */
void xe_input_exit(void)
{
	xfrm6_protocol_deregister(&xe_protocol6, IPPROTO_ESP);
	xfrm4_protocol_deregister(&xe_protocol4, IPPROTO_ESP);
	gro_cells_destroy(&xe_gro_cells);
	xe_dummy_netdev_free(xe_gro_dev);
}
