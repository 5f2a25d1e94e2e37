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
 * Nothing here has a reference to the state: who deletes an SA waits for those
 * who are at it, see xe_sa_destructor(). What the packet takes along is in
 * standin.c.
 *
 * Nothing is believed before the ICV is good: until then the packet has cost
 * its sender a look at a window, and us one pass of the cipher, no more.
 */
#include <crypto/aead.h>
#include <linux/udp.h>
#include <net/gro_cells.h>
#include <net/ip.h>
#include <net/ipv6.h>

#include "packet.h"

static const struct xe_seq xe_seq_none;

static struct net_device *xe_gro_dev;
static struct gro_cells xe_gro_cells;

static int xe_refuse(const struct xe_sa *sa, enum xfrm_ext_stat stat,
		     struct xe_seq seq, bool fast, int err)
{
	xe_drop(sa, stat, seq, fast);
	return err;
}

static int xe_refuse_number(struct xe_sa *sa, const struct sk_buff *skb,
			    struct xe_window *w, enum xe_verdict verdict,
			    struct xe_seq seq, bool fast)
{
	if (w)
		xe_window_refused(w, verdict);
	xe_audit_replay(sa, skb, seq);
	xe_event_window_drop(sa, seq.subspace);
	return xe_refuse(sa, verdict == XE_REPLAY ? XFRM_EXT_STAT_RX_REPLAY :
						    XFRM_EXT_STAT_RX_TOO_OLD,
			 seq, fast, -EINVAL);
}

/* The decision about an authenticated packet: 0, or a negative errno, counted */
static int xe_accept_number(struct xe_sa *sa, const struct sk_buff *skb,
			    struct xe_seq seq, bool fast)
{
	enum xe_verdict verdict;
	struct xe_window *w;
	bool first;

	if (sa->params.flags & XFRM_EXT_SA_F_NO_REPLAY_PROTECTION)
		return 0;
	w = xe_window_get(sa, seq.subspace, XE_GFP_PACKET, &first);
	if (!w)
		return xe_refuse(sa, XFRM_EXT_STAT_RX_NOMEM_WINDOW, seq, fast,
				 -ENOMEM);
	verdict = xe_window_update(w, seq.sn);
	if (verdict != XE_FRESH)
		return xe_refuse_number(sa, skb, w, verdict, seq, fast);
	if (unlikely(first))
		xe_event_rx(sa, XFRM_EXT_CMD_FIRST_USE, seq.subspace);
	return 0;
}

/* Find the payload in a plaintext: 0, or the counter to drop the packet for */
static enum xfrm_ext_stat xe_accept_trailer(const struct xe_sa *sa,
					    struct sk_buff *skb,
					    unsigned int at, unsigned int len,
					    struct xe_inside *inside)
{
	u8 first[XE_TRAILER_LOOK] = {}, room[2];
	u32 trailer = sa->params.trailer;
	const u8 *last;

	if (likely(trailer == XFRM_EXT_TRAILER_END)) {
		last = skb_header_pointer(skb, at + len - sizeof(room),
					  sizeof(room), room);
		if (!last)
			return XFRM_EXT_STAT_RX_TRAILER;
		return xe_trailer_parse(trailer, NULL, last, len, inside);
	}
	if (skb_copy_bits(skb, at, first,
			  min_t(unsigned int, len, sizeof(first))))
		return XFRM_EXT_STAT_RX_TRAILER;
	return xe_trailer_parse(trailer, first, NULL, len, inside);
}

/*
 * What the cipher said. Window, trailer, inner header; BH is off. Return the Next
 * Header with data at the inner packet, or a negative errno, counted.
 */
static int xe_accept_done(struct xe_sa *sa, struct sk_buff *skb,
			  struct xe_seq seq, bool fast, int err)
{
	unsigned int hdr_len = sa->format->hdr_len + sa->cipher.iv_len;
	int outer_len = skb_network_header_len(skb) - sa->encap_len;
	struct xe_cpu *cpu = this_cpu_ptr(sa->cpu);
	struct xe_inside inside;
	enum xfrm_ext_stat stat;

	if (err == -EBADMSG) {
		xe_audit_icv(sa, skb, seq);
		/*
		 * With -EBADMSG the kernel's own path would write a record, too,
		 * with what it takes for the number
		 */
		return xe_refuse(sa, XFRM_EXT_STAT_RX_ICV, seq, fast, -EINVAL);
	}
	if (err)
		return xe_refuse(sa, XFRM_EXT_STAT_RX_CRYPTO, seq, fast, err);

	err = xe_accept_number(sa, skb, seq, fast);
	if (err)
		return err;

	stat = xe_accept_trailer(sa, skb, hdr_len,
				 skb->len - hdr_len - sa->cipher.icv_len,
				 &inside);
	if (stat)
		return xe_refuse(sa, stat, seq, fast, -EINVAL);
	/* RFC 4303 section 2.6 */
	if (inside.next_header == IPPROTO_NONE)
		return xe_refuse(sa, XFRM_EXT_STAT_RX_DUMMY, seq, fast,
				 -EINVAL);
	if (pskb_trim(skb, hdr_len + inside.at + inside.len))
		return xe_refuse(sa, XFRM_EXT_STAT_RX_NOMEM, seq, fast,
				 -ENOMEM);
	if (sa->encap_len)
		xe_udp_received(sa, skb);
	__skb_pull(skb, hdr_len + inside.at);
	/* As the kernel's own modes expect it, and so do ours */
	if (sa->mode == &xe_mode_tunnel)
		skb_reset_transport_header(skb);
	else
		skb_set_transport_header(skb, -outer_len);
	stat = sa->mode->check ?
	       sa->mode->check(sa, skb, inside.next_header) : 0;
	if (stat)
		return xe_refuse(sa, stat, seq, fast, -EINVAL);

	/* Of the ESP packet: whoever spreads flows by it would see one in all */
	skb_clear_hash(skb);
	xe_count(&cpu->stat[XFRM_EXT_STAT_RX_PACKETS], 1);
	xe_count(&cpu->stat[XFRM_EXT_STAT_RX_BYTES], skb->len);
	return inside.next_header;
}

/*
 * The number of a received packet, the whole of it; not authenticated yet.
 * False if it is left of all windows, or beyond all numbers.
 */
static bool xe_accept_parse(const struct xe_sa *sa, const struct sk_buff *skb,
			    struct xe_seq *seq)
{
	const struct xe_format *format = sa->format;
	const struct xe_window *w;

	*seq = format->parse(skb->data);
	if (!format->high_half)
		return true;
	w = xe_window_seen(sa, 0);
	return xe_esn_number(w ? xe_window_top(w) : 0, sa->params.window,
			     &seq->sn) && seq->sn <= format->sn_max;
}

/*
 * Check, decrypt. data is at the ESP header. Return what xe_accept_done()
 * does, or -EINPROGRESS: then @done does the rest, and the packet is its.
 */
static int xe_accept(struct xe_sa *sa, struct sk_buff *skb,
		     crypto_completion_t done, bool fast)
{
	unsigned int hdr_len = sa->format->hdr_len + sa->cipher.iv_len;
	unsigned int icv_len = sa->cipher.icv_len;
	struct xe_seq seq = xe_seq_none;
	enum xe_verdict verdict;
	struct sk_buff *trailer;
	struct xe_window *w;
	struct xe_op *op;
	int nfrags, err;
	bool whole;

	if (unlikely(!xe_sa_ready(sa)) &&
	    !(xe_sa_in_place(sa) && xe_sa_ready(sa)))
		return xe_refuse(sa, XFRM_EXT_STAT_RX_NOT_READY, seq, fast,
				 -EINVAL);
	if (!sa->params.rx_subspaces)
		return xe_refuse(sa, XFRM_EXT_STAT_RX_NO_SUBSPACES, seq, fast,
				 -EINVAL);
	/* The cipher's part is whole words, or blocks, and one at least */
	if (skb->len < hdr_len + sa->cipher.align + icv_len ||
	    (skb->len - hdr_len - icv_len) % sa->cipher.align ||
	    !pskb_may_pull(skb, hdr_len +
				xe_trailer_front(sa->params.trailer)))
		return xe_refuse(sa, XFRM_EXT_STAT_RX_TRUNCATED, seq, fast,
				 -EINVAL);

	whole = xe_accept_parse(sa, skb, &seq);
	if (seq.subspace >= sa->params.rx_subspaces) {
		xe_event_out_of_range(sa, seq.subspace);
		return xe_refuse(sa, XFRM_EXT_STAT_RX_SUBSPACE, seq, fast,
				 -EINVAL);
	}
	w = xe_window_seen(sa, seq.subspace);
	if (unlikely(!whole))
		return xe_refuse_number(sa, skb, w, XE_TOO_OLD, seq, fast);
	if (!seq.sn) {
		xe_audit_replay(sa, skb, seq);
		return xe_refuse(sa, XFRM_EXT_STAT_RX_ZERO, seq, fast,
				 -EINVAL);
	}
	if (w) {
		verdict = xe_window_check(w, seq.sn);
		if (verdict != XE_FRESH)
			return xe_refuse_number(sa, skb, w, verdict, seq,
						fast);
	}

	nfrags = xe_op_writable(skb, 0, &trailer);
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

	err = xe_op_run(op, 0, false);
	if (err == -EINPROGRESS)
		return err;
	xe_op_free(op);
	return xe_accept_done(sa, skb, seq, fast, err);
}

/* Give the inner packet to the stack, BH off; its secpath has been seen to. Consumes. */
static void xe_deliver(struct xe_sa *sa, struct sk_buff *skb, int next_header,
		       bool fast)
{
	xe_assert_bh_off();
	skb->mark = xfrm_smark_get(skb->mark, sa->x);
	if (sa->mode->decap(sa, skb, next_header)) {
		xe_drop(sa, XFRM_EXT_STAT_RX_NOMEM, xe_seq_none, fast);
		kfree_skb(skb);
		return;
	}
	nf_reset_ct(skb);
	if (sa->mode == &xe_mode_transport) {
		rcu_read_lock();
		xe_transport_deliver(skb);
		rcu_read_unlock();
		return;
	}
	skb_sec_path(skb)->olen = 0;
	skb_dst_drop(skb);
	gro_cells_receive(&xe_gro_cells, skb);
}

static bool xe_input_use(struct xe_sa *sa, const struct sk_buff *skb, bool fast)
{
	if (likely(xe_lifetime_use(sa, skb->len)))
		return true;
	xe_drop(sa, XFRM_EXT_STAT_RX_EXPIRED, xe_seq_none, fast);
	return false;
}

/*
 * On the kernel's own path: what it cannot restore itself, a fragment in BEET,
 * is delivered here, unless an interface wants to know of it (UPDSA may have
 * given the SA one); nor out of another SA: 6.1 looks at the packet once more
 * if that one's cipher finished later. Return next_header, a negative errno, or
 * -EINPROGRESS: then the packet is gone.
 */
static int xe_input_own(struct xe_sa *sa, struct sk_buff *skb, int next_header)
{
	struct net_device *dev = skb->dev;

	if (next_header < 0 || !xe_beet_is_fragment(sa, skb, next_header))
		return next_header;
	if (XFRM_TUNNEL_SKB_CB(skb)->tunnel.ip4 || READ_ONCE(sa->x->if_id) ||
	    skb_sec_path(skb)->len > 1)
		return xe_refuse(sa, XFRM_EXT_STAT_RX_FRAGMENT, xe_seq_none,
				 false, -EINVAL);
	if (!xe_input_use(sa, skb, false))
		return -EINVAL;
	xe_deliver(sa, skb, next_header, false);
	/* The kernel's, for a cipher that finishes later */
	dev_put(dev);
	return -EINPROGRESS;
}

XE_CRYPTO_DONE(xe_input_done)
{
	struct xe_op *op = data;
	struct sk_buff *skb = op->skb;
	struct xe_sa *sa = op->sa;

	if (err == -EINPROGRESS)
		return;
	local_bh_disable();
	xe_op_finish(op);
	err = xe_accept_done(sa, skb, op->seq, false, err);
	xe_op_free(op);
	err = xe_input_own(sa, skb, err);
	/* Drops the packet if negative */
	if (err != -EINPROGRESS)
		xfrm_input_resume(skb, err);
	local_bh_enable();
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
	struct xe_sa *sa = xe_sa_of(x);

	xe_assert_bh_off();
	return xe_input_own(sa, skb,
			    xe_accept(sa, skb, xe_input_done, false));
}

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
 * SA in: xe_sa_destructor() waits for those that have been started and not
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
	err = xe_accept_done(sa, skb, op->seq, true, err);
	xe_op_free(op);
	xe_fast_deliver(sa, skb, err);
	xe_fast_finished(sa, dev);
	rcu_read_unlock();
	local_bh_enable();
}

static int xe_rcv(struct sk_buff *skb, u16 family, const void *daddr,
		  int encap_type)
{
	struct net_device *dev = skb->dev;
	struct net *net = dev_net(dev);
	struct xe_sa *sa;
	bool may_wait;
	__be32 spi;
	int err;

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
	if (encap_type != (sa->encap_len ? UDP_ENCAP_ESPINUDP : 0))
		return -EINVAL;

	/* From here on the packet is ours */
	if (sa->mode != &xe_mode_transport)
		skb_dst_drop(skb);
	may_wait = sa->cipher.may_wait;
	if (may_wait)
		xe_fast_started(sa, skb);
	err = xe_accept(sa, skb, xe_fast_done, true);
	if (err == -EINPROGRESS)
		return 0;
	xe_fast_deliver(sa, skb, err);
	if (may_wait)
		xe_fast_finished(sa, dev);
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

/* Behind UDP */
static int xe_rcv4_encap(struct sk_buff *skb, int nexthdr, __be32 spi,
			 int encap_type)
{
	__be32 daddr = ip_hdr(skb)->daddr;

	return xe_rcv(skb, AF_INET, &daddr, encap_type);
}

static int xe_rcv6_encap(struct sk_buff *skb, int nexthdr, __be32 spi,
			 int encap_type)
{
	struct in6_addr daddr = ipv6_hdr(skb)->daddr;

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
