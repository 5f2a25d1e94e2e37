// SPDX-License-Identifier: GPL-2.0-only
/*
 * Packets out: RFC 4303 section 3.3.
 *
 * Two ways lead to xe_protect(). The fast one: a netfilter hook at the last
 * priority of POST_ROUTING takes the packet before the kernel does, spares it
 * xfrm_state::lock and hands it back behind ESP. The kernel's own: through
 * xfrm_type::output(), for everything that the fast one lets pass - what needs
 * a PMTU error, an unconfirmed conntrack entry, a rerouted packet - and for
 * all when fastpath is off.
 */
#include <crypto/aead.h>
#include <linux/netfilter_ipv4.h>
#include <linux/netfilter_ipv6.h>
#include <net/netfilter/nf_conntrack.h>
#include <net/netfilter/nf_conntrack_extend.h>
#include <net/dsfield.h>
#include <net/dst.h>
#include <net/flow_dissector.h>
#include <net/ip.h>

#include "xfrm_ext.h"

static const struct xe_seq xe_seq_none;

XE_CRYPTO_DONE(xe_output_done)
{
	struct xe_op *op = data;
	struct sk_buff *skb = op->skb;

	if (err == -EINPROGRESS)
		return;
	if (err)
		xe_drop(op->sa, XFRM_EXT_STAT_TX_CRYPTO, op->seq, false);
	xe_op_free(op);
	/* Counts and frees on error, both ways; may end the SA's life */
	xfrm_output_resume(skb_to_full_sk(skb), skb, err);
}

/*
 * The flow hash of the packet inside: the same on both paths. A socket has
 * given it one already; what a device computed may be of the addresses only.
 */
static u32 xe_flow_hash(struct net *net, const struct sk_buff *skb,
			__be16 proto)
{
	struct flow_keys keys;

	if (skb->l4_hash || skb->sw_hash)
		return skb->hash;
	memset(&keys, 0, sizeof(keys));
	__skb_flow_dissect(net, skb, &flow_keys_dissector, &keys, skb->data,
			   proto, 0, skb_headlen(skb), 0);
	return flow_hash_from_keys(&keys);
}

/* Which subspace does a packet take? Its place in the SA's range */
static u32 xe_select(const struct xe_sa *sa, const struct sk_buff *skb)
{
	const struct xe_select *s = &sa->params.select;
	const struct iphdr *inner = (const void *)skb->data;
	bool ipv6 = inner->version == 6;
	u32 value = 0;

	switch (s->by) {
	case XFRM_EXT_SELECT_DSCP:
		value = (ipv6 ? ipv6_get_dsfield((const void *)inner) :
				ipv4_get_dsfield(inner)) >> 2;
		break;
	case XFRM_EXT_SELECT_MARK:
		value = skb->mark;
		break;
	case XFRM_EXT_SELECT_FLOW:
		value = xe_flow_hash(xs_net(sa->x), skb,
				     htons(ipv6 ? ETH_P_IPV6 : ETH_P_IP));
		break;
	}
	return xe_select_place(s, xe_select_class(s, value),
			       raw_smp_processor_id());
}

/*
 * Take a number. Nobody else gets the same: a subspace has one counter, made
 * once, and each draw is one atomic step. False: dropped for @stat.
 */
static bool xe_number(struct xe_sa *sa, const struct sk_buff *skb,
		      struct xe_seq *seq, enum xfrm_ext_stat *stat)
{
	u32 place = xe_select(sa, skb);
	bool first_use, first_refused;
	struct xe_counter *c;

	*stat = XFRM_EXT_STAT_TX_NOMEM;
	c = xe_counter_get(sa, place, GFP_ATOMIC | __GFP_NOWARN, &first_use);
	if (!c)
		return false;
	seq->subspace = sa->params.tx_base + place;
	if (unlikely(!xe_counter_next(c, &seq->sn, &first_refused))) {
		if (first_refused)
			xe_event_tx(sa, XFRM_EXT_CMD_EXHAUSTED, place);
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
 * Put ESP around the payload at skb->data: trailer, number, header, IV,
 * cipher. On entry the transport header stands where the ESP header goes,
 * hdr_len and the IV before the payload. On success, and when the cipher
 * finishes later, data is at the network header.
 *
 * The number is taken last: a packet that fails earlier leaves no hole, and
 * one that fails later takes its number with it.
 */
static int xe_protect(struct xe_sa *sa, struct sk_buff *skb, u8 next_header,
		      bool fast)
{
	unsigned int hdr_len = sa->format->hdr_len;
	unsigned int plen = xe_trailer_len(skb->len);
	unsigned int tail = plen + sa->icv_len;
	struct xe_seq seq = xe_seq_none;
	struct sk_buff *trailer;
	enum xfrm_ext_stat stat;
	int nfrags, outer_len, err;
	struct xe_op *op;
	u8 *iv;

	/*
	 * That the state is valid has been asked before its lifetime was used;
	 * a packet that was still within the limits goes out.
	 */
	if (!xe_sa_set_up(sa)) {
		stat = XFRM_EXT_STAT_TX_NOT_READY;
		err = -EINVAL;
		goto drop;
	}
	if (!sa->params.tx_subspaces) {
		stat = XFRM_EXT_STAT_TX_NO_SUBSPACES;
		err = -EINVAL;
		goto drop;
	}
	if (skb->len + sa->x->props.header_len + tail > IP_MAX_MTU) {
		stat = XFRM_EXT_STAT_TX_TOO_BIG;
		err = -EMSGSIZE;
		goto drop;
	}

	stat = XFRM_EXT_STAT_TX_NOMEM;
	err = -ENOMEM;
	nfrags = skb_cow_data(skb, tail, &trailer);
	if (nfrags < 0)
		goto drop;
	op = xe_op_alloc(sa, nfrags, xe_output_done, skb);
	if (!op)
		goto drop;

	if (!xe_number(sa, skb, &seq, &stat)) {
		err = stat == XFRM_EXT_STAT_TX_NOMEM ? -ENOMEM : -EOVERFLOW;
		goto drop_op;
	}
	op->seq = seq;
	op->fast = fast;

	xe_stat_add(sa, XFRM_EXT_STAT_TX_PACKETS, 1);
	xe_stat_add(sa, XFRM_EXT_STAT_TX_BYTES, skb->len);

	xe_trailer_build(pskb_put(skb, trailer, tail), plen, next_header);
	iv = __skb_push(skb, XE_IV_LEN);
	sa->format->iv(iv, seq);
	__skb_push(skb, hdr_len);
	sa->format->build(skb->data, sa->id.spi, seq);
	/* Before the cipher: a packet that it finishes later goes on at once */
	outer_len = -skb_network_offset(skb);
	__skb_push(skb, outer_len);
	err = xe_op_run(op, outer_len, iv, true);
	if (err == -EINPROGRESS)
		return err;
	stat = XFRM_EXT_STAT_TX_CRYPTO;
	if (err)
		goto drop_op;
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
	u8 *next_header = skb_mac_header(skb);
	u8 proto = *next_header;

	*next_header = IPPROTO_ESP;
	return xe_protect(sa, skb, proto, false);
}

/* As the kernel's xfrm_skb_check_space(), and writable */
static int xe_fast_space(struct sk_buff *skb)
{
	const struct dst_entry *dst = skb_dst(skb);
	int nhead = dst->header_len + LL_RESERVED_SPACE(dst->dev) -
		    skb_headroom(skb);
	int ntail = dst->dev->needed_tailroom - skb_tailroom(skb);

	if (nhead <= 0 && ntail <= 0 && !skb_header_cloned(skb))
		return 0;
	return pskb_expand_head(skb, max(nhead, 0), max(ntail, 0), GFP_ATOMIC);
}

/* Resolve CHECKSUM_PARTIAL; never let it write into the IP header */
static int xe_fast_checksum(struct sk_buff *skb)
{
	if (skb->ip_summed != CHECKSUM_PARTIAL)
		return 0;
	if (skb->protocol == htons(ETH_P_IP) &&
	    skb->csum_start < skb->network_header + ip_hdrlen(skb))
		return -EINVAL;
	return skb_checksum_help(skb);
}

/*
 * One packet that needs no segmentation; consumed in any case. BH is off, so
 * that packets leave in the order of their numbers.
 */
static void xe_fast_one(struct xe_sa *sa, struct sock *sk, struct sk_buff *skb)
{
	struct xfrm_state *x = sa->x;
	enum xfrm_ext_stat stat;
	int next_header;

	stat = XFRM_EXT_STAT_TX_SEGMENT;
	if (xe_fast_checksum(skb))
		goto drop;
	stat = XFRM_EXT_STAT_TX_NOMEM;
	if (xe_fast_space(skb))
		goto drop;

	stat = XFRM_EXT_STAT_TX_NOT_READY;
	if (!xe_sa_ready(sa))
		goto drop;
	stat = XFRM_EXT_STAT_TX_EXPIRED;
	if (!xe_lifetime_use(sa, skb->len))
		goto drop;

	skb->mark = xfrm_smark_get(skb->mark, x);
	skb->encapsulation = 0;
	next_header = xe_tunnel_encap(x, skb);
	stat = XFRM_EXT_STAT_TX_SEGMENT;
	if (next_header < 0)
		goto drop;
	switch (xe_protect(sa, skb, next_header, true)) {
	case 0:
		xfrm_output_resume(sk, skb, 0);
		break;
	case -EINPROGRESS:
		break;
	default:
		kfree_skb(skb);
		break;
	}
	return;

drop:
	xe_drop(sa, stat, xe_seq_none, true);
	kfree_skb(skb);
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
	struct sk_buff *segs, *next;
	struct xe_sa *sa;

	if (!x)
		return NF_ACCEPT;
	sa = xe_sa_of(x);
	if (!sa)
		return NF_ACCEPT;
	/* Nor on the kernel's own path: see xe_sa_publish() */
	if (!xe_sa_set_up(sa)) {
		xe_drop(sa, XFRM_EXT_STAT_TX_NOT_READY, xe_seq_none, true);
		return NF_DROP;
	}
	/* A VRF shows the packet once more, with the real device, later */
	if (netif_is_l3_master(state->out))
		return NF_ACCEPT;
	if (!xe_fast_fits(sa, skb))
		return NF_ACCEPT;
	if (!skb_dst_force(skb)) {
		/* The bundle is being freed: its SA is on the way out */
		xe_drop(sa, XFRM_EXT_STAT_TX_NOT_READY, xe_seq_none, true);
		return NF_DROP;
	}
	secpath_reset(skb);

	if (!skb_is_gso(skb)) {
		local_bh_disable();
		xe_fast_one(sa, state->sk, skb);
		local_bh_enable();
		return NF_STOLEN;
	}
	segs = skb_gso_segment(skb, 0);
	if (IS_ERR_OR_NULL(segs)) {
		xe_drop(sa, XFRM_EXT_STAT_TX_SEGMENT, xe_seq_none, true);
		return NF_DROP;
	}
	consume_skb(skb);
	local_bh_disable();
	skb_list_walk_safe(segs, segs, next) {
		skb_mark_not_on_list(segs);
		xe_fast_one(sa, state->sk, segs);
	}
	local_bh_enable();
	return NF_STOLEN;
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
