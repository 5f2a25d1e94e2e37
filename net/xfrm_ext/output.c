// SPDX-License-Identifier: GPL-2.0-only
/*
 * Packets out: RFC 4303 section 3.3.
 *
 * Two ways lead to xe_protect(). The fast one: a netfilter hook at the last
 * priority of POST_ROUTING takes the packet before the kernel does, spares it
 * xfrm_state::lock and hands it back behind ESP. The kernel's own: through
 * xfrm_type::output(), for everything that the fast one does not take - what
 * needs a PMTU error, an unconfirmed conntrack entry, the second SA of a policy
 * in transport mode - and for all when fastpath is off.
 */
#include <crypto/aead.h>
#include <linux/netfilter_ipv4.h>
#include <linux/netfilter_ipv6.h>
#include <net/netfilter/nf_conntrack.h>
#include <net/netfilter/nf_conntrack_extend.h>
#include <net/dsfield.h>
#include <net/dst.h>
#include <net/flow_dissector.h>
#include <net/icmp.h>
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
 * The flow hash of the packet inside: the same on both paths. A socket has
 * given it one already; what a device computed may be of the addresses only.
 * Of a header that is not in one piece with the payload any more, its
 * addresses and the ports.
 */
static u32 xe_flow_hash(const struct xe_sa *sa, const struct sk_buff *skb,
			u8 next_header)
{
	struct flow_keys keys;
	int ports;

	if (skb->l4_hash || skb->sw_hash)
		return skb->hash;
	/* What is between the members is hashed, too */
	memset(&keys, 0, sizeof(keys));
	if (sa->mode == &xe_mode_tunnel) {
		__skb_flow_dissect(xs_net(sa->x), skb, &flow_keys_dissector,
				   &keys, skb->data,
				   next_header == IPPROTO_IPV6 ?
				   htons(ETH_P_IPV6) : htons(ETH_P_IP),
				   0, skb_headlen(skb), 0);
		return flow_hash_from_keys(&keys);
	}
	if (sa->id.family == AF_INET) {
		keys.control.addr_type = FLOW_DISSECTOR_KEY_IPV4_ADDRS;
		keys.addrs.v4addrs.src = ip_hdr(skb)->saddr;
		keys.addrs.v4addrs.dst = ip_hdr(skb)->daddr;
	} else {
		keys.control.addr_type = FLOW_DISSECTOR_KEY_IPV6_ADDRS;
		keys.addrs.v6addrs.src = ipv6_hdr(skb)->saddr;
		keys.addrs.v6addrs.dst = ipv6_hdr(skb)->daddr;
	}
	keys.basic.ip_proto = next_header;
	ports = proto_ports_offset(next_header);
	if (ports >= 0)
		skb_copy_bits(skb, ports, &keys.ports, sizeof(keys.ports));
	return flow_hash_from_keys(&keys);
}

/* Modes that write no DSCP of their own have the inner one outside */
static u8 xe_dscp(const struct xe_sa *sa, const struct sk_buff *skb)
{
	const void *header = sa->mode == &xe_mode_tunnel ?
			     skb->data : skb_network_header(skb);
	const struct iphdr *iph = header;

	return (iph->version == 6 ? ipv6_get_dsfield(header) :
				    ipv4_get_dsfield(iph)) >> 2;
}

/* Which subspace does a packet take? Its place in the SA's range */
static u32 xe_select(const struct xe_sa *sa, const struct sk_buff *skb,
		     u8 next_header)
{
	const struct xe_select *s = &sa->params.select;
	u32 value = 0;

	switch (s->by) {
	case XFRM_EXT_SELECT_DSCP:
		value = xe_dscp(sa, skb);
		break;
	case XFRM_EXT_SELECT_MARK:
		value = skb->mark;
		break;
	case XFRM_EXT_SELECT_FLOW:
		value = xe_flow_hash(sa, skb, next_header);
		break;
	}
	return xe_select_place(s, xe_select_class(s, value),
			       raw_smp_processor_id());
}

/*
 * Take a number. Nobody else gets the same: a subspace has one counter, made
 * once, and each draw is one atomic step. The outer header's addresses are
 * in place. False: dropped for @stat.
 */
static bool xe_take_number(struct xe_sa *sa, struct sk_buff *skb, u32 place,
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
	/* A dummy packet has no bundle */
	mtu = dst->xfrm ? ((const struct xfrm_dst *)dst)->child_mtu_cached :
			  dst_mtu(dst);
	/* Of a tiny MTU some kernels make 2^32, nearly */
	pad_to = min3(pad_to, xfrm_state_mtu(sa->x, mtu), IP_MAX_MTU);
	return skb->len < pad_to ? pad_to - skb->len : 0;
}

/* Without a trailer the receiver has the inner header's word for the length */
static bool xe_length_told(const struct xe_sa *sa, const struct sk_buff *skb)
{
	struct xe_inside inside;
	u8 first[XE_TRAILER_LOOK];

	return likely(sa->params.trailer != XFRM_EXT_TRAILER_OMIT) ||
	       (!skb_copy_bits(skb, 0, first, sizeof(first)) &&
		!xe_trailer_parse(XFRM_EXT_TRAILER_OMIT, first, NULL, skb->len,
				  &inside) && inside.len == skb->len);
}

/*
 * Put ESP around the payload at skb->data: trailer, number, header, IV,
 * cipher. On entry the transport header stands where the ESP header, or that of
 * UDP before it, goes, xe_esp_len() before the payload, and the MAC header at
 * the octet that names what stands there. On success, and when the cipher
 * finishes later, data is at the network header.
 *
 * The number is taken last: a packet that fails earlier leaves no hole, and
 * one that fails later takes its number with it.
 *
 * @place is the subspace that the packet takes, in the SA's range; NULL: the one that
 * is selected. @sent goes on with it
 * if the cipher finishes later; NULL: the kernel. BH is off.
 */
static int xe_protect(struct xe_sa *sa, struct sk_buff *skb, u8 next_header,
		      const u32 *place, xe_op_sent *sent, bool fast)
{
	unsigned int payload_len = skb->len, tfc, plen, tail;
	u32 placement = sa->params.trailer;
	struct xe_cpu *cpu = this_cpu_ptr(sa->cpu);
	struct xe_seq seq = xe_seq_none;
	struct sk_buff *trailer;
	enum xfrm_ext_stat stat;
	int nfrags, outer_len, err;
	u8 *front, *behind;
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
	if (!xe_length_told(sa, skb))
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

	if (!xe_take_number(sa, skb, place ? *place :
				xe_select(sa, skb, next_header), &seq, &stat)) {
		err = stat == XFRM_EXT_STAT_TX_NOMEM ? -ENOMEM : -EOVERFLOW;
		goto drop_op;
	}
	op->seq = seq;
	op->fast = fast;
	op->sent = sent;

	xe_count(&cpu->stat[XFRM_EXT_STAT_TX_PACKETS], 1);
	xe_count(&cpu->stat[XFRM_EXT_STAT_TX_BYTES], payload_len);

	behind = likely(trailer == skb) ? __skb_put(skb, tail) :
					  pskb_put(skb, trailer, tail);
	if (unlikely(tfc))
		memset(behind, 0, tfc);
	front = __skb_push(skb, xe_trailer_front(placement));
	xe_trailer_build(placement, front, behind + tfc, plen, next_header);
	xe_iv_build(sa, __skb_push(skb, sa->cipher.iv_len), seq);
	__skb_push(skb, sa->format->hdr_len);
	sa->format->build(skb->data, sa->id.spi, seq);
	if (sa->encap_len)
		xe_udp_build(sa, skb);
	*skb_mac_header(skb) = sa->encap_len ? IPPROTO_UDP : IPPROTO_ESP;
	/* Before the cipher: a packet that it finishes later goes on at once */
	outer_len = -skb_network_offset(skb);
	__skb_push(skb, outer_len);
	err = xe_op_run(op, outer_len + sa->encap_len, true);
	if (err == -EINPROGRESS)
		return err;
	stat = XFRM_EXT_STAT_TX_CRYPTO;
	if (err)
		goto drop_op;
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
 * xe_output_dummy - account and protect a dummy packet
 * @sa: SA, ready
 * @skb: as xe_mode::encap() leaves a packet
 * @place: of the subspace that it takes, in the SA's range
 * @sent: goes on with it if the cipher finishes later
 *
 * Counts what is dropped, and frees nothing.
 *
 * Context: BH off.
 * Return: 0, data at the outer header; -EINPROGRESS: @sent will be called; or a
 *         negative errno.
 */
int xe_output_dummy(struct xe_sa *sa, struct sk_buff *skb, u32 place,
		    xe_op_sent *sent)
{
	if (xe_lifetime_use(sa, skb->len))
		return xe_protect(sa, skb, IPPROTO_NONE, &place, sent, true);
	xe_drop(sa, XFRM_EXT_STAT_TX_EXPIRED, xe_seq_none, true);
	return -EKEYEXPIRED;
}

/*
 * As the kernel's xfrm_skb_check_space(), and writable, with room for a trailer,
 * so that a packet is copied once if it must be. The kernel reserves eight octets
 * for BEET's pseudo header; a fragment's may take twelve.
 */
static int xe_fast_space(const struct xe_sa *sa, struct sk_buff *skb)
{
	const struct dst_entry *dst = skb_dst(skb);
	int nhead = dst->header_len + LL_RESERVED_SPACE(dst->dev) -
		    skb_headroom(skb) +
		    (sa->params.flags & XFRM_EXT_SA_F_BEET_FRAG ? 4 : 0);
	unsigned int tail = dst->dev->needed_tailroom;
	int ntail;

	if (!skb_is_nonlinear(skb))
		tail = max(tail, sa->cipher.align + 1 + sa->cipher.icv_len);
	ntail = (int)tail - skb_tailroom(skb);
	if (nhead <= 0 && ntail <= 0 && !skb_header_cloned(skb))
		return 0;
	return pskb_expand_head(skb, max(nhead, 0), max(ntail, 0), GFP_ATOMIC);
}

/*
 * Resolve CHECKSUM_PARTIAL, be it the Internet's or the CRC32c of SCTP; never let
 * it write into the IP header
 */
static int xe_fast_checksum(struct sk_buff *skb)
{
	if (skb->ip_summed != CHECKSUM_PARTIAL)
		return 0;
	if (skb->protocol == htons(ETH_P_IP) &&
	    skb->csum_start < skb->network_header + ip_hdrlen(skb))
		return -EINVAL;
	return skb_csum_hwoffload_help(skb, 0);
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

/*
 * What xfrm_output_resume() does, without counting references to a route that
 * all CPUs share: the bundle has one, and who frees the bundle waits for RCU,
 * and so for us, as for packets that are forwarded. What keeps the packet
 * for longer takes a reference of its own. If there is more to do than to send,
 * the kernel does it.
 */
static int xe_fast_out(struct sock *sk, struct sk_buff *skb)
{
	struct dst_entry *child = xfrm_dst_child(skb_dst(skb));
	/* Not the device's: that may have gone, and left another in its place */
	struct net *net = xs_net(skb_dst(skb)->xfrm);

	if (!child || child->xfrm)
		return xfrm_output_resume(sk, skb, 0);
	skb_dst_drop(skb);
	skb_dst_set_noref(skb, child);
	nf_reset_ct(skb);
	return xe_local_out(net, sk, skb);
}

/*
 * One packet that needs no segmentation; consumed in any case. BH is off, so
 * that packets leave in the order of their numbers. Returns what the kernel's
 * own path does: 0, a queue's NET_XMIT_*, or a negative errno.
 */
static int xe_fast_one(struct xe_sa *sa, struct sock *sk, struct sk_buff *skb)
{
	struct xfrm_state *x = sa->x;
	enum xfrm_ext_stat stat;
	int next_header, err;

	stat = XFRM_EXT_STAT_TX_SEGMENT;
	err = xe_fast_checksum(skb);
	if (err)
		goto drop;
	stat = XFRM_EXT_STAT_TX_NOMEM;
	err = xe_fast_space(sa, skb);
	if (err)
		goto drop;

	/* Its set-up has been completed, which stays so: see xe_post_routing() */
	stat = XFRM_EXT_STAT_TX_NOT_READY;
	err = -EINVAL;
	if (READ_ONCE(x->km.state) != XFRM_STATE_VALID)
		goto drop;

	skb->mark = xfrm_smark_get(skb->mark, x);
	skb->encapsulation = 0;
	next_header = sa->mode->encap(sa, skb);
	stat = XFRM_EXT_STAT_TX_SEGMENT;
	err = next_header;
	if (next_header < 0)
		goto drop;
	/* As xfrm_state_check_expire() */
	stat = XFRM_EXT_STAT_TX_EXPIRED;
	err = -EINVAL;
	if (!xe_lifetime_use(sa, skb->len))
		goto drop;
	err = xe_protect(sa, skb, next_header, NULL, NULL, true);
	if (likely(!err))
		return xe_fast_out(sk, skb);
	/* The cipher goes on with it; what becomes of it, nobody can be told */
	if (err == -EINPROGRESS)
		return 0;
	kfree_skb(skb);
	return err;

drop:
	xe_drop(sa, stat, xe_seq_none, true);
	kfree_skb(skb);
	return err;
}

/*
 * The segments of one packet; consumed. Returns the first result that is not 0, as
 * the kernel does. But it frees those behind it, and counts them nowhere. Local
 * TCP makes no such packets where there is a bundle: they are forwarded, or of
 * a tunnel's device, and nobody sends the rest again for being told.
 */
static int xe_fast_segments(struct xe_sa *sa, struct sock *sk,
			    struct sk_buff *segs)
{
	struct sk_buff *next;
	int err, ret = 0;

	skb_list_walk_safe(segs, segs, next) {
		skb_mark_not_on_list(segs);
		err = xe_fast_one(sa, sk, segs);
		if (unlikely(err && !ret))
			ret = err;
	}
	return ret;
}

/*
 * The verdict about a packet that the hook has consumed: nf_hook() returns @ret,
 * and whoever sent the packet hears of it, as on the kernel's own path. But
 * for 1, NET_XMIT_DROP: by that its caller would know that the packet has passed,
 * and go on with it. All who ask tell only NET_XMIT_CN from the other codes.
 */
static unsigned int xe_stolen(int ret)
{
	if (ret == NET_XMIT_DROP)
		ret = NET_XMIT_MASK;
	return NF_STOLEN | (u32)-ret << NF_VERDICT_QBITS;
}

/*
 * Conntrack has a hook at this very priority, which may come behind ours. It
 * confirms new entries, runs helpers, adjusts TCP sequence numbers and sends
 * events: a packet that needs any of these must get there.
 */
static bool xe_conntrack_waits(const struct sk_buff *skb)
{
#if IS_ENABLED(CONFIG_NF_CONNTRACK)
	enum ip_conntrack_info ctinfo;
	const struct nf_conn *ct = nf_ct_get(skb, &ctinfo);

	if (!ct)
		return false;
	if (!nf_ct_is_confirmed(ct) ||
	    test_bit(IPS_SEQ_ADJUST_BIT, &ct->status) ||
	    nf_ct_ext_exist(ct, NF_CT_EXT_HELPER))
		return true;
#ifdef CONFIG_NF_CONNTRACK_EVENTS
	if (nf_ct_ext_exist(ct, NF_CT_EXT_ECACHE))
		return true;
#endif
#endif
	return false;
}

/*
 * BEET's fragments are ours on either path: the kernel's own drops them. One
 * that is too long is answered, as the kernel does with other packets, or is
 * cut behind ESP.
 */
static bool xe_fast_fragment(const struct xe_sa *sa, const struct sk_buff *skb)
{
	return sa->params.flags & XFRM_EXT_SA_F_BEET_FRAG &&
	       xe_outer_fragments(skb);
}

static bool xe_fragment_fits(struct sk_buff *skb)
{
	unsigned int mtu = dst_mtu(skb_dst(skb));
	const struct iphdr *iph = ip_hdr(skb);

	/* The MTU is of eight octets more; with an odd number of option words it is twelve */
	if (skb_is_gso(skb) || !(iph->frag_off & htons(IP_DF)) ||
	    skb->len + (iph->ihl & 1 ? 0 : 4) <= mtu)
		return true;
	if (skb->sk && sk_fullsock(skb->sk))
		xfrm_local_error(skb, mtu);
	else
		icmp_send(skb, ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED,
			  htonl(mtu));
	return false;
}

/* Does the packet need more than ESP? Then the kernel's own path has it. */
static bool xe_fast_fits(const struct xe_sa *sa, struct sk_buff *skb)
{
	const struct dst_entry *dst = skb_dst(skb);
	unsigned int mtu = dst_mtu(dst);

	if (!READ_ONCE(xe_fastpath) ||
	    sa->params.flags & XFRM_EXT_SA_F_NO_FASTPATH)
		return false;
	/* PMTU errors and fragmentation are the kernel's */
	if (skb_is_gso(skb) ? !skb_gso_validate_network_len(skb, mtu) :
			      skb->len > mtu)
		return false;
	return !xe_conntrack_waits(skb);
}

static unsigned int xe_post_routing(void *priv, struct sk_buff *skb,
				    const struct nf_hook_state *state)
{
	struct dst_entry *dst = skb_dst(skb);
	struct xfrm_state *x = dst ? dst->xfrm : NULL;
	enum xfrm_ext_stat stat;
	struct sk_buff *segs;
	struct xe_sa *sa;
	int err;

	/* BH is on or off: another hook may have had the packet in a queue */
	xe_assert_rcu();
	if (!x)
		return NF_ACCEPT;
	sa = xe_sa_of(x);
	if (!sa)
		return NF_ACCEPT;
	/* Nor on the kernel's own path: see xe_sa_publish() */
	if (unlikely(!xe_sa_set_up(sa)) && !xe_sa_in_place(sa)) {
		xe_drop(sa, XFRM_EXT_STAT_TX_NOT_READY, xe_seq_none, true);
		return NF_DROP_ERR(-EINVAL);
	}
	/* A VRF shows the packet once more, with the real device, later */
	if (netif_is_l3_master(state->out))
		return NF_ACCEPT;
	/* What the mode cannot carry goes on neither path */
	stat = sa->mode->refuse ? sa->mode->refuse(sa, skb) : 0;
	if (stat) {
		xe_drop(sa, stat, xe_seq_none, true);
		return NF_DROP_ERR(-EINVAL);
	}
	/*
	 * The kernel's own path takes any checksum for the Internet's: here is
	 * the last one who can do better
	 */
	if (unlikely(skb_csum_is_sctp(skb)) && !skb_is_gso(skb)) {
		err = xe_fast_checksum(skb);
		if (err) {
			xe_drop(sa, XFRM_EXT_STAT_TX_SEGMENT, xe_seq_none,
				true);
			return NF_DROP_ERR(err);
		}
	}
	if (xe_fast_fragment(sa, skb)) {
		if (!xe_fragment_fits(skb)) {
			xe_drop(sa, XFRM_EXT_STAT_TX_TOO_BIG, xe_seq_none,
				true);
			return NF_DROP_ERR(-EMSGSIZE);
		}
	} else if (!xe_fast_fits(sa, skb)) {
		return NF_ACCEPT;
	}
	if (sa->cipher.may_wait && !skb_dst_force(skb)) {
		/* The bundle is being freed: its SA is on the way out */
		xe_drop(sa, XFRM_EXT_STAT_TX_NOT_READY, xe_seq_none, true);
		return NF_DROP_ERR(-EHOSTUNREACH);
	}
	secpath_reset(skb);

	if (!skb_is_gso(skb)) {
		local_bh_disable();
		err = xe_fast_one(sa, state->sk, skb);
		local_bh_enable();
		return xe_stolen(err);
	}
	segs = skb_gso_segment(skb, 0);
	if (IS_ERR_OR_NULL(segs)) {
		xe_drop(sa, XFRM_EXT_STAT_TX_SEGMENT, xe_seq_none, true);
		err = segs ? PTR_ERR(segs) : -EINVAL;
		return NF_DROP_ERR(err);
	}
	consume_skb(skb);
	local_bh_disable();
	err = xe_fast_segments(sa, state->sk, segs);
	local_bh_enable();
	return xe_stolen(err);
}

static const struct nf_hook_ops xe_hooks[] = {
	{
		.hook		= xe_post_routing,
		.pf		= NFPROTO_IPV4,
		.hooknum	= NF_INET_POST_ROUTING,
		.priority	= INT_MAX,
	},
	{
		.hook		= xe_post_routing,
		.pf		= NFPROTO_IPV6,
		.hooknum	= NF_INET_POST_ROUTING,
		.priority	= INT_MAX,
	},
};

/**
 * xe_hooks_register - take packets in a namespace
 * @net: namespace
 *
 * Context: process, may sleep.
 * Return: 0 or a negative errno.
 */
int xe_hooks_register(struct net *net)
{
	return nf_register_net_hooks(net, xe_hooks, ARRAY_SIZE(xe_hooks));
}

/**
 * xe_hooks_unregister - take no more
 * @net: namespace
 *
 * Context: process, may sleep.
 */
void xe_hooks_unregister(struct net *net)
{
	nf_unregister_net_hooks(net, xe_hooks, ARRAY_SIZE(xe_hooks));
}
