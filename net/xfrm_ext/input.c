// SPDX-License-Identifier: GPL-2.0-only
/*
 * Packets in: RFC 4303 section 3.4.
 *
 * Two ways lead to xe_accept(). The fast one: receive.c. The kernel's own: through
 * xfrm_type::input(), for what needs the kernel's callbacks (xfrm interfaces,
 * VTI), what GRO found first, and for all when fastpath is off. Either has put
 * fragments together (section 3.4.1) and found the SA (3.4.2).
 *
 * Nothing is believed before the ICV is good: until then a packet has cost us a
 * look at a window, perhaps a copy, and one pass of the cipher, no more.
 */
#include <crypto/aead.h>
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
			    enum xe_verdict verdict, struct xe_seq seq,
			    bool fast)
{
	unsigned int n = xe_subspace_refused(sa, seq.subspace, verdict);

	if (unlikely(n))
		xe_event_window_drops(sa, seq.subspace, n);
	xe_audit_replay(sa, skb, seq);
	return xe_refuse(sa, verdict == XE_REPLAY ? XFRM_EXT_STAT_RX_REPLAY :
						    XFRM_EXT_STAT_RX_TOO_OLD,
			 seq, fast, -EINVAL);
}

/* Section 3.4.3, the decision about an authenticated packet: 0, or a negative errno, counted */
static int xe_sn_verify(struct xe_sa *sa, const struct sk_buff *skb,
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
		return xe_refuse_number(sa, skb, verdict, seq, fast);
	if (unlikely(first))
		xe_event_rx(sa, XFRM_EXT_CMD_FIRST_USE, seq.subspace);
	return 0;
}

/*
 * Of eesp in tunnel mode, a packet says itself whether it has a Payload Info Header: by
 * a Crypt Offset option, or, if there may be some, by its first four bits
 */
static u32 xe_eesp_trailer(const struct xe_sa *sa, const struct xe_frame *frame,
			   const struct sk_buff *skb, unsigned int at)
{
	u8 first;

	if (sa->mode != &xe_mode_tunnel || frame->crypt)
		return XFRM_EXT_TRAILER_FRONT;
	if (sa->params.rx_crypt_offset &&
	    !skb_copy_bits(skb, at, &first, sizeof(first)) && !(first >> 4))
		return XFRM_EXT_TRAILER_FRONT;
	return XFRM_EXT_TRAILER_OMIT;
}

/* There is no TFC padding: what is behind the inner packet would be nobody's */
static bool xe_eesp_inner_ok(const struct sk_buff *skb, unsigned int at,
			     const struct xe_inside *inside)
{
	struct xe_inside inner;
	u8 first[XE_TRAILER_LOOK];

	return !skb_copy_bits(skb, at + inside->at, first,
			      min_t(unsigned int, inside->len,
				    sizeof(first))) &&
	       !xe_trailer_parse(XFRM_EXT_TRAILER_OMIT, first, NULL,
				 inside->len, &inner) &&
	       inner.len == inside->len;
}

/* Find the payload in a plaintext: 0, or the counter to drop the packet for */
static __always_inline enum xfrm_ext_stat
xe_accept_trailer(u32 trailer, struct sk_buff *skb, unsigned int at,
		  unsigned int len, struct xe_inside *inside)
{
	u8 first[XE_TRAILER_LOOK] = {}, room[2];
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

/* The same of eesp, behind the ICV */
static noinline enum xfrm_ext_stat
xe_eesp_inside(struct xe_sa *sa, struct sk_buff *skb, struct xe_seq seq,
	       const struct xe_frame *frame, struct xe_inside *inside)
{
	unsigned int at = frame->hdr_len + sa->cipher.iv_len;
	enum xfrm_ext_stat stat;
	u32 trailer;

	/* Its sender says in clear what it should not: draft, section 3.1.2 */
	if (frame->crypt && frame->exposed + 1 > sa->params.rx_crypt_offset) {
		xe_audit_crypt_offset(sa, skb, seq);
		xe_event_crypt_offset(sa, seq.subspace, frame->exposed);
		return XFRM_EXT_STAT_RX_CRYPT_OFFSET;
	}
	trailer = xe_eesp_trailer(sa, frame, skb, at);
	stat = xe_accept_trailer(trailer, skb, at,
				 skb->len - at - sa->cipher.icv_len, inside);
	if (stat || trailer != XFRM_EXT_TRAILER_FRONT ||
	    sa->mode != &xe_mode_tunnel || inside->next_header == IPPROTO_NONE ||
	    inside->next_header == XE_NEXT_HEADER_ECHO)
		return stat;
	return xe_eesp_inner_ok(skb, at, inside) ? 0 : XFRM_EXT_STAT_RX_INNER;
}

/*
 * Octets of the largest fragment that a packet has come in, or 0. What the kernel's GRO has
 * taken came in one piece, and has GRO's own notes where that would stand.
 */
static u32 xe_fragment_of(const struct xe_sa *sa, const struct sk_buff *skb)
{
	const struct sec_path *sp = skb_sec_path(skb);

	if (sp && sp->olen)
		return 0;
	return sa->id.family == AF_INET ? IPCB(skb)->frag_max_size :
					  IP6CB(skb)->frag_max_size;
}

/**
 * xe_accept_done - the cipher has had its say about a received packet
 * @sa: SA
 * @skb: decrypted, data at the ESP header
 * @seq: its number
 * @frame: how it is laid out
 * @fast: on our own path
 * @err: what the cipher said
 *
 * ICV (section 3.4.4), window, trailer, inner header. Frees nothing.
 *
 * Context: BH off.
 * Return: the Next Header with data at the inner packet, or a negative errno,
 *         counted.
 */
int xe_accept_done(struct xe_sa *sa, struct sk_buff *skb, struct xe_seq seq,
		   const struct xe_frame *frame, bool fast, int err)
{
	unsigned int hdr_len = frame->hdr_len + sa->cipher.iv_len;
	int outer_len = skb_network_header_len(skb) - sa->encap_len;
	struct xe_cpu *cpu = this_cpu_ptr(sa->cpu);
	struct xe_inside inside;
	enum xfrm_ext_stat stat;
	u32 fragment;

	if (err == -EBADMSG) {
		xe_audit_icv(sa, skb, seq);
		xe_event_forged(sa);
		/*
		 * With -EBADMSG the kernel's own path would write a record, too,
		 * with what it takes for the number
		 */
		return xe_refuse(sa, XFRM_EXT_STAT_RX_ICV, seq, fast, -EINVAL);
	}
	if (err)
		return xe_refuse(sa, XFRM_EXT_STAT_RX_CRYPTO, seq, fast, err);

	err = xe_sn_verify(sa, skb, seq, fast);
	if (err)
		return err;
	if (sa->encap_len)
		xe_udp_received(sa, skb, seq.subspace);
	fragment = xe_fragment_of(sa, skb);
	if (unlikely(fragment))
		xe_event_reassembled(sa, fragment);

	if (xe_is_eesp(sa))
		stat = xe_eesp_inside(sa, skb, seq, frame, &inside);
	else
		stat = xe_accept_trailer(frame->trailer, skb, hdr_len,
					 skb->len - hdr_len -
					 sa->cipher.icv_len, &inside);
	if (stat)
		return xe_refuse(sa, stat, seq, fast, -EINVAL);
	/* RFC 4303 section 2.6 */
	if (inside.next_header == IPPROTO_NONE)
		return xe_refuse(sa, XFRM_EXT_STAT_RX_DUMMY, seq, fast,
				 -EINVAL);
	if (unlikely(inside.next_header == XE_NEXT_HEADER_ECHO)) {
		stat = xe_echo_received(sa, skb, hdr_len + inside.at,
					inside.len, seq.subspace);
		if (stat)
			return xe_refuse(sa, stat, seq, fast, -EINVAL);
	}
	if (pskb_trim(skb, hdr_len + inside.at + inside.len))
		return xe_refuse(sa, XFRM_EXT_STAT_RX_NOMEM, seq, fast,
				 -ENOMEM);
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
static bool xe_sn_parse(const struct xe_sa *sa, const struct sk_buff *skb,
			struct xe_seq *seq)
{
	const struct xe_format *format = sa->format;
	const struct xe_window *w;

	*seq = format->parse(skb->data);
	if (!format->high_half)
		return true;
	w = xe_window_seen(sa, 0);
	return xe_esn_number(w ? xe_window_top(w) :
				 xe_numbers_seen(sa->numbers, 0),
			     sa->params.window, &seq->sn) &&
	       seq->sn <= format->sn_max;
}

/* The IP protocol number of a packet, where its own headers say it */
static u8 xe_eesp_protocol(const struct xe_sa *sa, const struct sk_buff *skb)
{
	return sa->id.family == AF_INET ? ip_hdr(skb)->protocol :
	       skb_network_header(skb)[IP6CB(skb)->nhoff];
}

/*
 * What is before Sequence Number and IV in eesp, and whether they have come as they
 * shall. An SA of it takes no other format, whatever the kernel has found it for. Returns
 * the octets of options, all of the header linear, and what they come to, or minus the
 * counter to drop the packet for.
 */
static noinline int xe_eesp_header(const struct xe_sa *sa, struct sk_buff *skb,
				   struct xe_seq *seq,
				   struct xe_eesp_options *o)
{
	unsigned int icv_len = sa->cipher.icv_len, at, len;

	if (!pskb_may_pull(skb, XE_EESP_LEN))
		return -XFRM_EXT_STAT_RX_TRUNCATED;
	if (skb->data[0] != xe_eesp_numbers.first ||
	    xe_eesp_spi(skb->data) != sa->id.spi ||
	    (!sa->encap_len && xe_eesp_protocol(sa, skb) != sa->protocol))
		return -XFRM_EXT_STAT_RX_HEADER;
	len = xe_eesp_options_len(skb->data);
	at = XE_EESP_LEN + len + sa->cipher.iv_len;
	if (skb->len < at + icv_len || !pskb_may_pull(skb, at))
		return -XFRM_EXT_STAT_RX_TRUNCATED;
	if (!xe_eesp_options(skb->data + XE_EESP_BASE_LEN, len, o))
		return -XFRM_EXT_STAT_RX_HEADER;
	if (o->crypt && (o->payload_at * 4 != at ||
			 at + o->exposed * 4 > skb->len - icv_len))
		return -XFRM_EXT_STAT_RX_HEADER;
	*seq = sa->format->parse(skb->data);
	/* Beyond what windows remember, and what a sender of ours ever sends */
	if (seq->sn > sa->format->sn_max) {
		xe_audit_replay(sa, skb, *seq);
		return -XFRM_EXT_STAT_RX_TOO_OLD;
	}
	return len;
}

/**
 * xe_accept - check a received packet and decrypt it
 * @sa: SA
 * @skb: data at the ESP header
 * @done: goes on with it if the cipher finishes later, its data the op
 * @private: its pages are nobody else's, and may be written to
 * @fast: on our own path
 *
 * Sequence Number Verification (section 3.4.3) first, the ICV (3.4.4) behind it.
 * Frees nothing.
 *
 * Context: BH off.
 * Return: as xe_accept_done(), or -EINPROGRESS: the packet is @done's.
 */
int xe_accept(struct xe_sa *sa, struct sk_buff *skb, crypto_completion_t done,
	      bool private, bool fast)
{
	unsigned int hdr_len = sa->format->hdr_min + sa->cipher.iv_len;
	unsigned int icv_len = sa->cipher.icv_len;
	struct xe_seq seq = xe_seq_none;
	struct xe_frame frame;
	enum xe_verdict verdict;
	struct sk_buff *trailer;
	struct xe_window *w;
	struct xe_op *op;
	int nfrags, err, options = 0;
	struct xe_eesp_options o;
	bool whole;

	if (unlikely(!xe_sa_ready(sa)) &&
	    !(xe_sa_in_place(sa) && xe_sa_ready(sa)))
		return xe_refuse(sa, XFRM_EXT_STAT_RX_NOT_READY, seq, fast,
				 -EINVAL);
	if (!sa->params.rx_subspaces)
		return xe_refuse(sa, XFRM_EXT_STAT_RX_NO_SUBSPACES, seq, fast,
				 -EINVAL);
	if (xe_is_eesp(sa)) {
		options = xe_eesp_header(sa, skb, &seq, &o);
		if (options < 0)
			return xe_refuse(sa, -options, seq, fast, -EINVAL);
		hdr_len += options;
	}
	/* The cipher's part is whole words, or blocks, and one at least */
	if (skb->len < hdr_len + sa->cipher.align + icv_len ||
	    (skb->len - hdr_len - icv_len) % sa->cipher.align ||
	    !pskb_may_pull(skb, hdr_len +
				xe_trailer_front(sa->params.trailer)))
		return xe_refuse(sa, XFRM_EXT_STAT_RX_TRUNCATED, seq, fast,
				 -EINVAL);

	whole = xe_sn_parse(sa, skb, &seq);
	if (seq.subspace >= sa->params.rx_subspaces) {
		xe_audit_subspace(sa, skb, seq);
		xe_event_out_of_range(sa, seq.subspace);
		return xe_refuse(sa, XFRM_EXT_STAT_RX_SUBSPACE, seq, fast,
				 -EINVAL);
	}
	w = xe_window_seen(sa, seq.subspace);
	if (unlikely(!whole))
		return xe_refuse_number(sa, skb, XE_TOO_OLD, seq, fast);
	if (!seq.sn) {
		xe_audit_replay(sa, skb, seq);
		return xe_refuse(sa, XFRM_EXT_STAT_RX_ZERO, seq, fast,
				 -EINVAL);
	}
	if (w) {
		verdict = xe_window_check(w, seq.sn);
		if (verdict != XE_FRESH)
			return xe_refuse_number(sa, skb, verdict, seq, fast);
	}

	nfrags = private ? skb_shinfo(skb)->nr_frags + 1 :
			   xe_op_writable(skb, 0, &trailer);
	if (nfrags < 0)
		return xe_refuse(sa, XFRM_EXT_STAT_RX_NOMEM, seq, fast,
				 -ENOMEM);
	op = xe_op_alloc(sa, nfrags, done, skb);
	if (!op)
		return xe_refuse(sa, XFRM_EXT_STAT_RX_NOMEM, seq, fast,
				 -ENOMEM);
	/* Options are read once: anybody can send as many as there is room for */
	xe_format_frame(sa->format, &frame, options ? NULL : skb->data,
			sa->params.trailer, seq);
	if (unlikely(options)) {
		frame.hdr_len = hdr_len - sa->cipher.iv_len;
		frame.crypt = o.crypt;
		frame.exposed = o.exposed * 4;
	}
	op->seq = seq;
	op->frame = frame;
	op->fast = fast;
	skb->ip_summed = CHECKSUM_NONE;

	err = xe_op_run(op, 0, false);
	if (err == -EINPROGRESS)
		return err;
	xe_op_free(op);
	return xe_accept_done(sa, skb, seq, &frame, fast, err);
}

/**
 * xe_deliver - give an inner packet to the stack
 * @sa: SA
 * @skb: data at the inner packet; its secpath has been seen to; consumed
 * @next_header: what it is
 * @fast: on our own path
 *
 * Context: BH off.
 */
void xe_deliver(struct xe_sa *sa, struct sk_buff *skb, int next_header,
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

/**
 * xe_input_use - account a received packet, if the SA may still carry it
 * @sa: SA
 * @skb: data at the inner packet
 * @fast: on our own path
 *
 * Context: BH off.
 * Return: false if not, and counted.
 */
bool xe_input_use(struct xe_sa *sa, const struct sk_buff *skb, bool fast)
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
	err = xe_accept_done(sa, skb, op->seq, &op->frame, false, err);
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
			    xe_accept(sa, skb, xe_input_done, false, false));
}

/**
 * xe_input_init - be able to deliver
 *
 * Return: 0 or a negative errno.
 */
int xe_input_init(void)
{
	int err;

	xe_gro_dev = xe_dummy_netdev_alloc();
	if (!xe_gro_dev)
		return -ENOMEM;
	err = gro_cells_init(&xe_gro_cells, xe_gro_dev);
	if (err)
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
	gro_cells_destroy(&xe_gro_cells);
	xe_dummy_netdev_free(xe_gro_dev);
}
