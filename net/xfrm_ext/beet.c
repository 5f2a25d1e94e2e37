// SPDX-License-Identifier: GPL-2.0-only
/*
 * BEET mode (draft-nikander-esp-beet-mode-09, RFC 7402 Appendix B,
 * draft-antony-ipsecme-beet-mode-00): transport mode's layout under the outer
 * addresses; the inner ones are the SA's selector.
 *
 * The same header fields as the kernel's own BEET, and what it does not have:
 * fragments, and a receiver that believes no length.
 */
#include <net/dsfield.h>
#include <net/ip.h>
#include <net/ipv6.h>

#include "beet_ph.h"
#include "mode.h"

/* What inner and outer header have in common */
struct beet_fields {
	u8 ds;
	u8 ttl;
	u8 next_header;
	__be16 id;
	__be16 frag_off;
	__be32 flow_label;
};

static void beet_read4(struct beet_fields *f, const struct iphdr *iph)
{
	f->ds = iph->tos;
	f->ttl = iph->ttl;
	f->next_header = iph->protocol;
	f->id = iph->id;
	f->frag_off = iph->frag_off;
	f->flow_label = 0;
}

static void beet_read6(struct beet_fields *f, const struct ipv6hdr *iph)
{
	f->ds = ipv6_get_dsfield(iph);
	f->ttl = iph->hop_limit;
	f->next_header = iph->nexthdr;
	f->id = 0;
	f->frag_off = htons(IP_DF);
	f->flow_label = ip6_flowlabel(iph);
}

/* All but lengths, addresses and checksum */
static void beet_write4(const struct beet_fields *f, struct iphdr *iph)
{
	iph->version = 4;
	iph->ihl = 5;
	iph->tos = f->ds;
	iph->id = f->id;
	iph->frag_off = f->frag_off;
	iph->ttl = f->ttl;
	iph->protocol = f->next_header;
}

static void beet_write6(const struct beet_fields *f, struct ipv6hdr *iph)
{
	ip6_flow_hdr(iph, f->ds, f->flow_label);
	iph->hop_limit = f->ttl;
	iph->nexthdr = f->next_header;
}

/*
 * The kernel has asked the selector already, about the flow that it made the
 * route for. The packet may have another header: a raw socket's, a rewritten
 * one, that of an SA before.
 */
static enum xfrm_ext_stat beet_refuse(const struct xe_sa *sa,
				      struct sk_buff *skb)
{
	const struct xfrm_selector *sel = &sa->x->sel;
	const struct ipv6hdr *ip6;
	const struct iphdr *ip4;

	if (sel->family == AF_INET6) {
		if (skb->protocol != htons(ETH_P_IPV6) ||
		    !pskb_may_pull(skb, sizeof(*ip6)))
			return XFRM_EXT_STAT_TX_INNER;
		ip6 = ipv6_hdr(skb);
		return ipv6_addr_equal(&ip6->saddr, &sel->saddr.in6) &&
		       ipv6_addr_equal(&ip6->daddr, &sel->daddr.in6) ?
		       0 : XFRM_EXT_STAT_TX_INNER;
	}
	if (skb->protocol != htons(ETH_P_IP) || !xe_outer_ipv4_ok(skb))
		return XFRM_EXT_STAT_TX_INNER;
	ip4 = ip_hdr(skb);
	if (ip4->saddr != sel->saddr.a4 || ip4->daddr != sel->daddr.a4)
		return XFRM_EXT_STAT_TX_INNER;
	/* Would be taken for a pseudo header */
	if (ip4->protocol == IPPROTO_BEETPH)
		return XFRM_EXT_STAT_TX_INNER;
	if (!xe_beet_options_ok((const u8 *)(ip4 + 1),
				ip4->ihl * 4 - sizeof(*ip4)))
		return XFRM_EXT_STAT_TX_INNER;
	if (xe_outer_fragments(skb) &&
	    !(sa->params.flags & XFRM_EXT_SA_F_BEET_FRAG))
		return XFRM_EXT_STAT_TX_FRAGMENT;
	return 0;
}

static int beet_encap(const struct xe_sa *sa, struct sk_buff *skb)
{
	const struct xfrm_state *x = sa->x;
	struct xe_beet_ph ph = {};
	struct beet_fields f;
	unsigned int ph_len;
	int next_header;

	if (x->sel.family == AF_INET) {
		const struct iphdr *iph = ip_hdr(skb);

		beet_read4(&f, iph);
		ph.next_header = f.next_header;
		ph.options = iph->ihl * 4 - sizeof(*iph);
		ph.fragment = ip_is_fragment(iph);
		if (ph.fragment) {
			ph.frag_off = f.frag_off;
			f.frag_off &= htons(IP_DF);
			/* The outer header has no other place for it */
			f.flow_label = htonl(ntohs(f.id));
		}
		__skb_pull(skb, sizeof(*iph) + ph.options);
	} else {
		beet_read6(&f, ipv6_hdr(skb));
		__skb_pull(skb, sizeof(struct ipv6hdr));
	}
	next_header = f.next_header;
	ph_len = xe_beet_ph_len(&ph);
	if (unlikely(ph_len)) {
		/* The options stand where they stood */
		xe_beet_ph_build(__skb_push(skb, ph_len), &ph);
		next_header = IPPROTO_BEETPH;
	}

	xe_outer_make(sa, skb);
	if (sa->id.family == AF_INET) {
		beet_write4(&f, ip_hdr(skb));
		ip_hdr(skb)->saddr = x->props.saddr.a4;
		ip_hdr(skb)->daddr = x->id.daddr.a4;
	} else {
		beet_write6(&f, ipv6_hdr(skb));
		ipv6_hdr(skb)->saddr = x->props.saddr.in6;
		ipv6_hdr(skb)->daddr = x->id.daddr.in6;
	}
	return next_header;
}

/**
 * xe_beet_mend - make of what the kernel's own path has built what we build
 * @sa: SA in BEET mode
 * @skb: outer header in place, data at the payload
 * @next_header: of the payload
 *
 * In the pseudo header it does not set an octet.
 */
void xe_beet_mend(const struct xe_sa *sa, struct sk_buff *skb, u8 next_header)
{
	if (sa->x->sel.family == AF_INET && next_header == IPPROTO_BEETPH)
		skb->data[3] = 0;
}

static enum xe_beet_verdict beet_parse(const struct xe_sa *sa,
				       const struct sk_buff *skb,
				       struct xe_beet_ph *ph)
{
	return xe_beet_ph_parse(skb->data,
				min_t(unsigned int, skb_headlen(skb),
				      XE_BEET_PH_MAX),
				sa->params.flags & XFRM_EXT_SA_F_BEET_FRAG,
				ph);
}

static enum xfrm_ext_stat beet_check(const struct xe_sa *sa,
				     struct sk_buff *skb, int next_header)
{
	struct xe_beet_ph ph;

	if (sa->x->sel.family != AF_INET || next_header != IPPROTO_BEETPH)
		return 0;
	if (!pskb_may_pull(skb, min_t(unsigned int, skb->len, XE_BEET_PH_MAX)))
		return XFRM_EXT_STAT_RX_NOMEM;
	switch (beet_parse(sa, skb, &ph)) {
	case XE_BEET_OK:
		return 0;
	case XE_BEET_FRAGMENT:
		return XFRM_EXT_STAT_RX_FRAGMENT;
	default:
		return XFRM_EXT_STAT_RX_PSEUDO_HEADER;
	}
}

/**
 * xe_beet_is_fragment - is a payload part of an inner IPv4 fragment?
 * @sa: SA of any mode
 * @skb: data at the payload, which xe_mode::check() has passed
 * @next_header: of the payload
 *
 * Return: whether it is something that the kernel's own BEET cannot restore.
 */
bool xe_beet_is_fragment(const struct xe_sa *sa, const struct sk_buff *skb,
			 int next_header)
{
	struct xe_beet_ph ph;

	return sa->params.flags & XFRM_EXT_SA_F_BEET_FRAG &&
	       next_header == IPPROTO_BEETPH &&
	       beet_parse(sa, skb, &ph) == XE_BEET_OK && ph.fragment;
}

static int beet_decap4(const struct xe_sa *sa, struct sk_buff *skb,
		       struct beet_fields *f)
{
	const struct xfrm_selector *sel = &sa->x->sel;
	struct xe_beet_ph ph = {};
	struct iphdr *iph;

	if (f->next_header == IPPROTO_BEETPH) {
		if (beet_parse(sa, skb, &ph) != XE_BEET_OK)
			return -EINVAL;
		f->next_header = ph.next_header;
		if (ph.fragment) {
			f->frag_off = ph.frag_off;
			if (sa->id.family == AF_INET6)
				f->id = htons(ntohl(f->flow_label));
		}
		__skb_pull(skb, xe_beet_ph_len(&ph) - ph.options);
	}
	/* ESP and outer header have been here */
	iph = __skb_push(skb, sizeof(*iph));
	beet_write4(f, iph);
	iph->ihl += ph.options / 4;
	iph->tot_len = htons(skb->len);
	iph->saddr = sel->saddr.a4;
	iph->daddr = sel->daddr.a4;
	ip_send_check(iph);
	skb->protocol = htons(ETH_P_IP);
	return 0;
}

static int beet_decap6(const struct xe_sa *sa, struct sk_buff *skb,
		       const struct beet_fields *f)
{
	const struct xfrm_selector *sel = &sa->x->sel;
	struct ipv6hdr *iph;
	int err;

	err = skb_cow_head(skb, sizeof(*iph) + skb->mac_len);
	if (err)
		return err;
	iph = __skb_push(skb, sizeof(*iph));
	beet_write6(f, iph);
	iph->payload_len = htons(skb->len - sizeof(*iph));
	iph->saddr = sel->saddr.in6;
	iph->daddr = sel->daddr.in6;
	skb->protocol = htons(ETH_P_IPV6);
	return 0;
}

static int beet_decap(const struct xe_sa *sa, struct sk_buff *skb,
		      int next_header)
{
	struct beet_fields f;
	int err;

	/* Before the inner header is written over the outer one */
	if (sa->id.family == AF_INET)
		beet_read4(&f, ip_hdr(skb));
	else
		beet_read6(&f, ipv6_hdr(skb));
	f.next_header = next_header;
	err = sa->x->sel.family == AF_INET ? beet_decap4(sa, skb, &f) :
					     beet_decap6(sa, skb, &f);
	if (err)
		return err;
	skb_reset_network_header(skb);
	skb_reset_transport_header(skb);
	xe_outer_gone(skb);
	return 0;
}

/* Either family in either */
const struct xe_mode xe_mode_beet = {
	.refuse	= beet_refuse,
	.encap	= beet_encap,
	.check	= beet_check,
	.decap	= beet_decap,
};
