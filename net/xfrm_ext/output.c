// SPDX-License-Identifier: GPL-2.0-only
/*
 * Packets out: RFC 4303 section 3.3.
 *
 * Two ways lead to xe_protect(). The fast one: hook.c. The kernel's own: through
 * xfrm_type::output(), for everything that the fast one does not take, and for
 * all when fastpath is off. Which SA it is, section 3.3.1, the kernel's policies
 * have said on either.
 */
#include <crypto/aead.h>
#include <net/dst.h>
#include <net/ip.h>

#include "packet.h"

static const struct xe_seq xe_seq_none;

XE_CRYPTO_DONE(xe_output_done)
{
	struct xe_op *op = data;
	struct sk_buff *skb = op->skb;
	struct xe_sa *sa = op->sa;
	xe_op_sent *sent = op->sent;

	if (err == -EINPROGRESS)
		return;
	local_bh_disable();
	xe_op_finish(op);
	if (err)
		xe_drop(sa, XFRM_EXT_STAT_TX_CRYPTO, op->seq, sent);
	else
		xe_udp_checksum(sa, skb);
	xe_op_free(op);
	/* Each counts and frees on error, too, and may end the SA's life */
	if (sent)
		sent(sa, skb, err);
	else
		xfrm_output_resume(skb_to_full_sk(skb), skb, err);
	local_bh_enable();
}

/*
 * Section 3.3.3, Sequence Number Generation. Nobody else gets the same: a
 * subspace has one counter, made once, and each draw is one atomic step. The
 * outer header's addresses are in place. False: dropped for @stat.
 */
static bool xe_sn_generate(struct xe_sa *sa, struct sk_buff *skb, u32 place,
			   struct xe_seq *seq, enum xfrm_ext_stat *stat)
{
	bool first_use, first_refused;
	struct xe_counter *c;

	*stat = XFRM_EXT_STAT_TX_NOMEM;
	c = xe_counter_get(sa, place, XE_GFP_PACKET, &first_use);
	if (!c)
		return false;
	seq->subspace = sa->params.tx_base + place;
	if (unlikely(!xe_counter_next(c, &seq->sn, &first_refused))) {
		if (first_refused)
			xe_event_tx(sa, XFRM_EXT_CMD_EXHAUSTED, place);
		/* Each, as the kernel does: the audit system has its own limits */
		xfrm_audit_state_replay_overflow(sa->x, skb);
		*stat = XFRM_EXT_STAT_TX_EXHAUSTED;
		return false;
	}
	if (unlikely(first_use))
		xe_event_tx(sa, XFRM_EXT_CMD_FIRST_USE, place);
	if (xe_counter_warn(c, seq->sn, sa->params.tx_warn)) {
		xe_event_tx(sa, XFRM_EXT_CMD_NEAR_END, place);
		xe_lifetime_soft(sa);
	}
	return true;
}

/*
 * How many octets of nothing a packet gets (RFC 4303 section 2.7): up to what
 * the SA says, but not beyond the MTU
 */
static unsigned int xe_tfc_len(const struct xe_sa *sa,
			       const struct sk_buff *skb)
{
	const struct dst_entry *dst = skb_dst(skb);
	u32 pad_to = READ_ONCE(sa->x->tfcpad);
	u32 mtu;

	if (likely(!pad_to))
		return 0;
	/* A packet of the SA's own has no bundle */
	mtu = dst->xfrm ? ((const struct xfrm_dst *)dst)->child_mtu_cached :
			  dst_mtu(dst);
	/* Of a tiny MTU some kernels make 2^32, nearly */
	pad_to = min3(pad_to, xfrm_state_mtu(sa->x, mtu), IP_MAX_MTU);
	return skb->len < pad_to ? pad_to - skb->len : 0;
}

/* Without a trailer the receiver has the inner header's word for the length */
static noinline bool xe_length_told(const struct sk_buff *skb)
{
	struct xe_inside inside;
	u8 first[XE_TRAILER_LOOK];

	return !skb_copy_bits(skb, 0, first, sizeof(first)) &&
	       !xe_trailer_parse(XFRM_EXT_TRAILER_OMIT, first, NULL, skb->len,
				 &inside) && inside.len == skb->len;
}

/**
 * xe_protect - put ESP around a payload
 * @sa: SA
 * @skb: data at the payload. The transport header stands where the ESP header, or
 *       that of UDP before it, goes, xe_esp_len() before the payload, and the
 *       MAC header at the octet that names what stands there. On success, and
 *       when the cipher finishes later, data is at the network header
 * @next_header: of the payload
 * @place: of the subspace that the packet takes, in the SA's range; NULL: of the one
 *         that is selected
 * @sent: goes on with it if the cipher finishes later; NULL: the kernel
 * @fast: on our own path
 *
 * Trailer, number, header, IV, cipher. The number is taken last: a packet that
 * fails earlier leaves no hole, and one that fails later takes its number with
 * it. Counts what is dropped, and frees nothing.
 *
 * Context: BH off.
 * Return: 0, -EINPROGRESS or a negative errno.
 */
int xe_protect(struct xe_sa *sa, struct sk_buff *skb, u8 next_header,
	       const u32 *place, xe_op_sent *sent, bool fast)
{
	unsigned int payload_len = skb->len, tfc, plen, tail;
	u32 placement = sa->params.trailer;
	struct xe_cpu *cpu = this_cpu_ptr(sa->cpu);
	struct xe_seq seq = xe_seq_none;
	struct sk_buff *trailer;
	enum xfrm_ext_stat stat;
	int nfrags, outer_len, err;
	u8 *header, *iv, *behind;
	struct xe_op *op;

	xe_assert_bh_off();
	/*
	 * That the state is valid has been asked before its lifetime was used;
	 * a packet that was still within the limits goes out.
	 */
	if (unlikely(!xe_sa_set_up(sa)) && !xe_sa_in_place(sa)) {
		stat = XFRM_EXT_STAT_TX_NOT_READY;
		err = -EINVAL;
		goto drop;
	}
	if (!sa->params.tx_subspaces) {
		stat = XFRM_EXT_STAT_TX_NO_SUBSPACES;
		err = -EINVAL;
		goto drop;
	}
	stat = XFRM_EXT_STAT_TX_INNER;
	err = -EINVAL;
	if (unlikely(placement == XFRM_EXT_TRAILER_OMIT) &&
	    !xe_length_told(skb))
		goto drop;
	tfc = xe_tfc_len(sa, skb);
	plen = xe_trailer_len(placement, payload_len + tfc, sa->cipher.align);
	tail = tfc + plen + sa->cipher.icv_len;
	if (skb->len - skb_network_offset(skb) + tail > xe_outer_max(sa)) {
		stat = XFRM_EXT_STAT_TX_TOO_BIG;
		err = -EMSGSIZE;
		goto drop;
	}

	stat = XFRM_EXT_STAT_TX_NOMEM;
	err = -ENOMEM;
	nfrags = xe_op_writable(skb, tail, &trailer);
	if (nfrags < 0)
		goto drop;
	op = xe_op_alloc(sa, nfrags, xe_output_done, skb);
	if (!op)
		goto drop;

	if (!xe_sn_generate(sa, skb, place ? *place :
				xe_select(sa, skb, next_header), &seq, &stat)) {
		err = stat == XFRM_EXT_STAT_TX_NOMEM ? -ENOMEM : -EOVERFLOW;
		goto drop_op;
	}
	op->seq = seq;
	xe_format_frame(sa->format, &op->frame, NULL, placement, seq);
	op->fast = fast;
	op->sent = sent;

	xe_count(&cpu->stat[XFRM_EXT_STAT_TX_PACKETS], 1);
	xe_count(&cpu->stat[XFRM_EXT_STAT_TX_BYTES], payload_len);

	behind = likely(trailer == skb) ? __skb_put(skb, tail) :
					  pskb_put(skb, trailer, tail);
	if (unlikely(tfc))
		memset(behind, 0, tfc);
	header = __skb_push(skb, op->frame.hdr_len + sa->cipher.iv_len +
				 xe_trailer_front(placement));
	iv = header + op->frame.hdr_len;
	xe_trailer_build(placement, iv + sa->cipher.iv_len, behind + tfc, plen,
			 next_header);
	xe_iv_build(sa, iv, op->frame.number);
	sa->format->build(header, sa->id.spi, seq);
	if (xe_is_eesp(sa) && sa->params.tx_crypt_offset) {
		op->frame.exposed = xe_exposed(sa, payload_len);
		xe_eesp_crypt_build(header, xe_crypt_at(sa) / 4,
				    op->frame.exposed / 4);
	}
	if (sa->encap_len)
		xe_udp_build(sa, skb, seq.subspace);
	if (unlikely(sa->params.flags & XFRM_EXT_SA_F_SPREAD))
		xe_spread_label(sa, skb, seq.subspace);
	*skb_mac_header(skb) = sa->protocol;
	/* Before the cipher: a packet that it finishes later goes on at once */
	outer_len = -skb_network_offset(skb);
	__skb_push(skb, outer_len);
	err = xe_op_run(op, outer_len + sa->encap_len, true);
	if (err == -EINPROGRESS)
		return err;
	stat = XFRM_EXT_STAT_TX_CRYPTO;
	if (err)
		goto drop_op;
	if (sa->encap_len)
		xe_udp_checksum(sa, skb);
	xe_op_free(op);
	return 0;

drop_op:
	xe_op_free(op);
drop:
	xe_drop(sa, stat, seq, fast);
	return err;
}

/**
 * xe_output - xfrm_type::output of an extended SA: the kernel's own path
 * @x: state
 * @skb: outer header in place, data at the payload
 *
 * Context: process or BH, no locks.
 * Return: 0, -EINPROGRESS or a negative errno; the caller frees the packet on
 *         error.
 */
int xe_output(struct xfrm_state *x, struct sk_buff *skb)
{
	struct xe_sa *sa = xe_sa_of(x);
	u8 next_header = *skb_mac_header(skb);
	int err;

	if (sa->mode == &xe_mode_transport &&
	    xe_transport_fragment(sa, skb, next_header)) {
		xe_drop(sa, XFRM_EXT_STAT_TX_FRAGMENT, xe_seq_none, false);
		return -EINVAL;
	}
	if (sa->mode == &xe_mode_beet)
		xe_beet_mend(sa, skb, next_header);
	local_bh_disable();
	err = xe_protect(sa, skb, next_header, NULL, NULL, false);
	local_bh_enable();
	return err;
}

/**
 * xe_output_own - account and protect a packet of an SA's own
 * @sa: SA, ready
 * @skb: as xe_mode::encap() leaves a packet
 * @next_header: of what is inside
 * @place: of the subspace that it takes, in the SA's range
 * @sent: goes on with it if the cipher finishes later
 *
 * Counts what is dropped, and frees nothing.
 *
 * Context: BH off.
 * Return: 0, data at the outer header; -EINPROGRESS: @sent will be called; or a
 *         negative errno.
 */
int xe_output_own(struct xe_sa *sa, struct sk_buff *skb, u8 next_header,
		  u32 place, xe_op_sent *sent)
{
	if (xe_lifetime_use(sa, skb->len))
		return xe_protect(sa, skb, next_header, &place, sent, true);
	xe_drop(sa, XFRM_EXT_STAT_TX_EXPIRED, xe_seq_none, true);
	return -EKEYEXPIRED;
}

/**
 * xe_local_out - send a packet that is finished
 * @net: namespace
 * @sk: who sends it, or NULL
 * @skb: data at the outer header, the route to its destination set; consumed
 *
 * Context: BH off.
 * Return: as dst_output().
 */
int xe_local_out(struct net *net, struct sock *sk, struct sk_buff *skb)
{
	int err = skb_dst(skb)->ops->local_out(net, sk, skb);

	return err == 1 ? dst_output(net, sk, skb) : err;
}
