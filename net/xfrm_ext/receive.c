// SPDX-License-Identifier: GPL-2.0-only
/*
 * Packets in, on our own path: an ESP handler that is asked before esp4's and
 * esp6's takes what belongs to an extended SA, without xfrm_state::lock, and
 * delivers the inner packet (input.c).
 *
 * Nothing here has a reference to the state: who deletes an SA waits for those
 * who are at it, see xe_life_end(). What the packet takes along is in standin.c.
 */
#include <linux/udp.h>
#include <net/ip.h>
#include <net/ipv6.h>

#include "packet.h"

static const struct xe_seq xe_seq_none;

/*
 * In transport mode the kernel goes on with what it knows to be for itself, and
 * looks at policy only behind the last. So shall it be. It counts and checks
 * what is left for it; only the limits it has looked at before.
 */
static bool xe_fast_continues(const struct xe_sa *sa, int next_header)
{
	return sa->mode == &xe_mode_transport &&
	       (next_header == IPPROTO_ESP || next_header == IPPROTO_AH ||
		next_header == IPPROTO_COMP);
}

static bool xe_input_within(struct xe_sa *sa)
{
	struct xfrm_state *x = sa->x;
	bool ok;

	spin_lock_bh(&x->lock);
	ok = x->km.state == XFRM_STATE_VALID && !xfrm_state_check_expire(x);
	spin_unlock_bh(&x->lock);
	if (!ok)
		xe_drop(sa, XFRM_EXT_STAT_RX_EXPIRED, xe_seq_none, true);
	return ok;
}

/* The kernel goes on, in transport mode, and lets go of the device */
static void xe_fast_continue(struct xe_sa *sa, struct sk_buff *skb,
			     int next_header)
{
	dev_hold(skb->dev);
	skb->mark = xfrm_smark_get(skb->mark, sa->x);
	XFRM_SKB_CB(skb)->seq.input.low = 0;
	XFRM_SKB_CB(skb)->seq.input.hi = 0;
	xfrm_input_resume(skb, next_header);
}

/* Behind the cipher on the fast path, BH off and under RCU. Consumes. */
static void xe_fast_deliver(struct xe_sa *sa, struct sk_buff *skb,
			    int next_header)
{
	struct xfrm_state *x;
	struct sec_path *sp;
	bool continues;

	if (next_header < 0)
		goto drop;
	continues = xe_fast_continues(sa, next_header);
	if (continues ? !xe_input_within(sa) : !xe_input_use(sa, skb, true))
		goto drop;
	sp = secpath_set(skb);
	if (!sp || sp->len == XFRM_MAX_DEPTH) {
		xe_drop(sa, XFRM_EXT_STAT_RX_NOMEM, xe_seq_none, true);
		goto drop;
	}
	/* The inbound policy check needs to know; the reference moves here */
	x = xe_standin_get(sa, skb, next_header, continues);
	if (!x) {
		xe_drop(sa, XFRM_EXT_STAT_RX_NOT_READY, xe_seq_none, true);
		goto drop;
	}
	sp->xvec[sp->len++] = x;
	if (continues)
		xe_fast_continue(sa, skb, next_header);
	else
		xe_deliver(sa, skb, next_header, true);
	return;

drop:
	kfree_skb(skb);
}

/*
 * A cipher that may wait keeps packets beyond the RCU section that we found the
 * SA in: xe_life_end() waits for those that have been started and not
 * finished. Each CPU counts for itself.
 */
static void xe_fast_started(struct xe_sa *sa, struct sk_buff *skb)
{
	this_cpu_inc(sa->cpu->started);
	if (sa->mode == &xe_mode_transport)
		skb_dst_force(skb);
	dev_hold(skb->dev);
}

/* The SA may be gone when this returns */
static void xe_fast_finished(struct xe_sa *sa, struct net_device *dev)
{
	dev_put(dev);
	/* Pairs with the barrier in xe_life_receives() */
	smp_mb();
	this_cpu_inc(sa->cpu->finished);
}

XE_CRYPTO_DONE(xe_fast_done)
{
	struct xe_op *op = data;
	struct sk_buff *skb = op->skb;
	struct xe_sa *sa = op->sa;
	struct net_device *dev;

	if (err == -EINPROGRESS)
		return;
	dev = skb->dev;
	local_bh_disable();
	rcu_read_lock();
	xe_op_finish(op);
	err = xe_accept_done(sa, skb, op->seq, &op->frame, true, err);
	xe_op_free(op);
	xe_fast_deliver(sa, skb, err);
	xe_fast_finished(sa, dev);
	rcu_read_unlock();
	local_bh_enable();
}

/**
 * xe_receive - take a packet
 * @sa: SA that it is for
 * @skb: data at the ESP header; consumed
 * @private: its pages are nobody else's; without pages it does not matter
 *
 * Context: BH off, under RCU.
 */
void xe_receive(struct xe_sa *sa, struct sk_buff *skb, bool private)
{
	struct net_device *dev = skb->dev;
	bool may_wait;
	int err;

	if (sa->mode != &xe_mode_transport)
		skb_dst_drop(skb);
	may_wait = sa->cipher.may_wait;
	if (may_wait)
		xe_fast_started(sa, skb);
	err = xe_accept(sa, skb, xe_fast_done, private, true);
	if (err == -EINPROGRESS)
		return;
	xe_fast_deliver(sa, skb, err);
	if (may_wait)
		xe_fast_finished(sa, dev);
}

static int xe_rcv(struct sk_buff *skb, u16 family, const void *daddr,
		  int encap_type)
{
	struct net *net = dev_net(skb->dev);
	struct xe_sa *sa;
	__be32 spi;

	xe_assert_bh_off();
	xe_assert_rcu();
	if (!READ_ONCE(xe_fastpath) || !pskb_may_pull(skb, sizeof(spi)))
		return -EINVAL;
	spi = *(__be32 *)skb->data;
	if (!atomic_read(&xe_net(net)->spis[xe_spi_slot(spi)]))
		return -EINVAL;
	sa = xe_sa_lookup(net, family, daddr, spi, skb->mark);
	if (!sa || sa->params.flags & XFRM_EXT_SA_F_NO_FASTPATH ||
	    sa->x->if_id)
		return -EINVAL;
	/* Encapsulated, and should not be, or the reverse: the kernel counts */
	if (encap_type != sa->encap_type)
		return -EINVAL;

	xe_receive(sa, skb, false);
	return 0;
}

static int xe_rcv4(struct sk_buff *skb)
{
	__be32 daddr = ip_hdr(skb)->daddr;

	return xe_rcv(skb, AF_INET, &daddr, 0);
}

static int xe_rcv6(struct sk_buff *skb)
{
	struct in6_addr daddr = ipv6_hdr(skb)->daddr;

	return xe_rcv(skb, AF_INET6, &daddr, 0);
}

/* Behind UDP. With an SPI it is listen.c that has the kernel go on with an SA of eesp */
static int xe_rcv4_encap(struct sk_buff *skb, int nexthdr, __be32 spi,
			 int encap_type)
{
	__be32 daddr = ip_hdr(skb)->daddr;

	if (spi)
		return -EINVAL;
	return xe_rcv(skb, AF_INET, &daddr, encap_type);
}

static int xe_rcv6_encap(struct sk_buff *skb, int nexthdr, __be32 spi,
			 int encap_type)
{
	struct in6_addr daddr = ipv6_hdr(skb)->daddr;

	if (spi)
		return -EINVAL;
	return xe_rcv(skb, AF_INET6, &daddr, encap_type);
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
	.input_handler	= xe_rcv4_encap,
	.cb_handler	= xe_rcv_cb,
	.err_handler	= xe_err4,
	.priority	= XE_PRIORITY,
};

static struct xfrm6_protocol xe_protocol6 = {
	.handler	= xe_rcv6,
	.input_handler	= xe_rcv6_encap,
	.cb_handler	= xe_rcv_cb,
	.err_handler	= xe_err6,
	.priority	= XE_PRIORITY,
};

/**
 * xe_receive_init - take part in the reception of ESP
 *
 * Return: 0 or a negative errno.
 */
int xe_receive_init(void)
{
	int err;

	err = xfrm4_protocol_register(&xe_protocol4, IPPROTO_ESP);
	if (err)
		return err;
	err = xfrm6_protocol_register(&xe_protocol6, IPPROTO_ESP);
	if (err)
		xfrm4_protocol_deregister(&xe_protocol4, IPPROTO_ESP);
	return err;
}

/**
 * xe_receive_exit - no more
 *
 * Context: module unload.
 */
void xe_receive_exit(void)
{
	xfrm6_protocol_deregister(&xe_protocol6, IPPROTO_ESP);
	xfrm4_protocol_deregister(&xe_protocol4, IPPROTO_ESP);
}
