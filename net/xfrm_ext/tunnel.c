// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tunnel mode (RFC 4301 section 5.1.2), IPv4 and IPv6 inside and outside.
 *
 * The same header fields as the kernel's own tunnel mode writes and reads;
 * selftests/paths.sh compares the two.
 */
#include <net/dsfield.h>
#include <net/inet_ecn.h>
#include <net/ip.h>
#include <net/ip6_route.h>
#include <net/ipv6.h>

#include "mode.h"

static u8 tunnel_dsfield(const struct xfrm_state *x, u8 inner)
{
	u8 outer = x->props.extra_flags & XFRM_SA_XFLAG_DONT_ENCAP_DSCP ?
		   0 : inner;

	outer = INET_ECN_encapsulate(outer, inner);
	if (x->props.flags & XFRM_STATE_NOECN)
		outer &= ~INET_ECN_MASK;
	return outer;
}

/* What a bundle leads to; a packet of the SA's own has that and no bundle */
static struct dst_entry *tunnel_route(const struct sk_buff *skb)
{
	struct dst_entry *dst = skb_dst(skb);

	return dst->xfrm ? xfrm_dst_child(dst) : dst;
}

static __always_inline void tunnel_encap4(const struct xfrm_state *x,
					  struct sk_buff *skb, u8 protocol,
					  u8 inner_ds, __be16 df)
{
	struct dst_entry *dst = tunnel_route(skb);
	struct iphdr *iph = ip_hdr(skb);

	iph->version = 4;
	iph->ihl = 5;
	/* ESP takes its place; until then it is what the kernel's path has there */
	iph->protocol = protocol;
	iph->tos = tunnel_dsfield(x, inner_ds);
	iph->frag_off = x->props.flags & XFRM_STATE_NOPMTUDISC ? 0 : df;
	iph->ttl = ip4_dst_hoplimit(dst);
	iph->saddr = x->props.saddr.a4;
	iph->daddr = x->id.daddr.a4;
	/*
	 * The length and checksum come from __ip_local_out(). Identifications are
	 * counted by addresses and protocol, which must stand there by now: with
	 * the kernel's path, that takes what ours does not, we share one count.
	 */
	ip_select_ident(dev_net(dst->dev), skb, NULL);
}

static void tunnel_encap6(const struct xfrm_state *x, struct sk_buff *skb,
			  u8 inner_ds, __be32 flow_label)
{
	struct ipv6hdr *iph = ipv6_hdr(skb);

	ip6_flow_hdr(iph, tunnel_dsfield(x, inner_ds), flow_label);
	iph->hop_limit = ip6_dst_hoplimit(tunnel_route(skb));
	iph->saddr = x->props.saddr.in6;
	iph->daddr = x->id.daddr.in6;
}

static __always_inline void tunnel_header(const struct xe_sa *sa,
					  struct sk_buff *skb, u8 protocol,
					  u8 inner_ds, __be16 df,
					  __be32 flow_label)
{
	xe_outer_make(sa, skb);
	if (sa->id.family == AF_INET)
		tunnel_encap4(sa->x, skb, protocol, inner_ds, df);
	else
		tunnel_encap6(sa->x, skb, inner_ds, flow_label);
}

/**
 * xe_tunnel_header - write the outer header
 * @sa: SA of any mode
 * @skb: data at the payload; headroom for all that comes before it
 * @protocol: of what is inside, 4 or 41
 * @inner_ds: TOS or traffic class of what is inside
 * @df: Don't Fragment, or 0; for IPv4
 * @flow_label: for IPv6
 *
 * Headers are then as xe_mode::encap() shall leave them.
 */
void xe_tunnel_header(const struct xe_sa *sa, struct sk_buff *skb, u8 protocol,
		      u8 inner_ds, __be16 df, __be32 flow_label)
{
	tunnel_header(sa, skb, protocol, inner_ds, df, flow_label);
}

static int tunnel_encap(const struct xe_sa *sa, struct sk_buff *skb)
{
	__be32 flow_label = 0;
	int next_header;
	__be16 df = 0;
	u8 ds;

	switch (skb->protocol) {
	case htons(ETH_P_IP):
		next_header = IPPROTO_IPIP;
		ds = ip_hdr(skb)->tos;
		df = ip_hdr(skb)->frag_off & htons(IP_DF);
		break;
	case htons(ETH_P_IPV6):
		next_header = IPPROTO_IPV6;
		ds = ipv6_get_dsfield(ipv6_hdr(skb));
		flow_label = ip6_flowlabel(ipv6_hdr(skb));
		/*
		 * Of small packets, too: xfrm4_tunnel_encap_add() would spare
		 * them, but by then skb->protocol is the outer one.
		 */
		df = htons(IP_DF);
		break;
	default:
		return -EAFNOSUPPORT;
	}

	skb_set_inner_network_header(skb, skb_network_offset(skb));
	skb_set_inner_transport_header(skb, skb_transport_offset(skb));
	tunnel_header(sa, skb, next_header, ds, df, flow_label);
	return next_header;
}

/* Is there a header of that version, all of it linear? */
static bool tunnel_inner_ok(struct sk_buff *skb, int next_header)
{
	unsigned int len = next_header == IPPROTO_IPIP ?
			   sizeof(struct iphdr) : sizeof(struct ipv6hdr);

	return pskb_may_pull(skb, len) &&
	       skb->data[0] >> 4 == (next_header == IPPROTO_IPIP ? 4 : 6);
}

static enum xfrm_ext_stat tunnel_check(const struct xe_sa *sa,
				       struct sk_buff *skb, int next_header)
{
	if (next_header != IPPROTO_IPIP && next_header != IPPROTO_IPV6)
		return XFRM_EXT_STAT_RX_NEXT_HEADER;
	return tunnel_inner_ok(skb, next_header) ? 0 : XFRM_EXT_STAT_RX_INNER;
}

static int tunnel_decap(const struct xe_sa *sa, struct sk_buff *skb,
			int next_header)
{
	const struct xfrm_state *x = sa->x;
	u8 outer = x->props.family == AF_INET ?
		   ip_hdr(skb)->tos : ipv6_get_dsfield(ipv6_hdr(skb));
	bool ce = !(x->props.flags & XFRM_STATE_NOECN) &&
		  INET_ECN_is_ce(outer);
	bool dscp = x->props.flags & XFRM_STATE_DECAP_DSCP;

	skb_reset_network_header(skb);
	skb_reset_transport_header(skb);
	if (next_header == IPPROTO_IPIP) {
		skb->protocol = htons(ETH_P_IP);
		if (dscp)
			ipv4_copy_dscp(outer, ip_hdr(skb));
		if (ce)
			IP_ECN_set_ce(ip_hdr(skb));
	} else {
		skb->protocol = htons(ETH_P_IPV6);
		if (dscp)
			ipv6_copy_dscp(outer, ipv6_hdr(skb));
		if (ce)
			IP6_ECN_set_ce(skb, ipv6_hdr(skb));
	}
	xe_outer_gone(skb);
	return 0;
}

/* Either family in either */
const struct xe_mode xe_mode_tunnel = {
	.encap	= tunnel_encap,
	.check	= tunnel_check,
	.decap	= tunnel_decap,
};
