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

#include "xfrm_ext.h"

static u8 tunnel_dsfield(const struct xfrm_state *x, u8 inner)
{
	u8 outer = x->props.extra_flags & XFRM_SA_XFLAG_DONT_ENCAP_DSCP ?
		   0 : inner;

	outer = INET_ECN_encapsulate(outer, inner);
	if (x->props.flags & XFRM_STATE_NOECN)
		outer &= ~INET_ECN_MASK;
	return outer;
}

static void tunnel_encap4(const struct xfrm_state *x, struct sk_buff *skb,
			  u8 inner_ds, __be16 df)
{
	struct dst_entry *dst = skb_dst(skb);
	struct iphdr *iph = ip_hdr(skb);

	iph->version = 4;
	iph->ihl = 5;
	iph->tos = tunnel_dsfield(x, inner_ds);
	iph->frag_off = x->props.flags & XFRM_STATE_NOPMTUDISC ? 0 : df;
	iph->ttl = ip4_dst_hoplimit(xfrm_dst_child(dst));
	iph->protocol = IPPROTO_ESP;
	iph->saddr = x->props.saddr.a4;
	iph->daddr = x->id.daddr.a4;
	/* The length and checksum come from __ip_local_out() */
	ip_select_ident(dev_net(dst->dev), skb, NULL);

	memset(IPCB(skb), 0, sizeof(*IPCB(skb)));
	IPCB(skb)->flags = IPSKB_XFRM_TRANSFORMED | IPSKB_XFRM_TUNNEL_SIZE;
}

static void tunnel_encap6(const struct xfrm_state *x, struct sk_buff *skb,
			  u8 inner_ds, __be32 flow_label)
{
	struct ipv6hdr *iph = ipv6_hdr(skb);

	ip6_flow_hdr(iph, tunnel_dsfield(x, inner_ds), flow_label);
	iph->nexthdr = IPPROTO_ESP;
	iph->hop_limit = ip6_dst_hoplimit(xfrm_dst_child(skb_dst(skb)));
	iph->saddr = x->props.saddr.in6;
	iph->daddr = x->id.daddr.in6;

	memset(IP6CB(skb), 0, sizeof(*IP6CB(skb)));
	IP6CB(skb)->flags = IP6SKB_XFRM_TRANSFORMED;
	skb->ignore_df = 1;
}

/**
 * xe_tunnel_encap - write the outer header
 * @x: state, tunnel mode
 * @skb: a whole inner packet, headroom writable and large enough for
 *       x->props.header_len; its dst is the bundle
 *
 * Leaves things as xfrm_type::output() expects them: network header at the
 * outer header, transport header where ESP goes, data at the payload.
 *
 * Return: the ESP Next Header, or -EAFNOSUPPORT.
 */
int xe_tunnel_encap(const struct xfrm_state *x, struct sk_buff *skb)
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
	skb_set_network_header(skb, -(int)x->props.header_len);
	if (x->props.family == AF_INET) {
		skb_set_transport_header(skb, skb_network_offset(skb) +
					 (int)sizeof(struct iphdr));
		skb->mac_header = skb->network_header +
				  offsetof(struct iphdr, protocol);
		skb->protocol = htons(ETH_P_IP);
		tunnel_encap4(x, skb, ds, df);
	} else {
		skb_set_transport_header(skb, skb_network_offset(skb) +
					 (int)sizeof(struct ipv6hdr));
		skb->mac_header = skb->network_header +
				  offsetof(struct ipv6hdr, nexthdr);
		skb->protocol = htons(ETH_P_IPV6);
		tunnel_encap6(x, skb, ds, flow_label);
	}
	return next_header;
}

/**
 * xe_tunnel_inner_ok - does what was protected look like its Next Header?
 * @skb: data at the inner header, writable
 * @next_header: from the trailer, IPPROTO_IPIP or IPPROTO_IPV6
 *
 * Return: whether there is a header of that version, all of it linear.
 */
bool xe_tunnel_inner_ok(struct sk_buff *skb, int next_header)
{
	unsigned int len = next_header == IPPROTO_IPIP ?
			   sizeof(struct iphdr) : sizeof(struct ipv6hdr);

	return pskb_may_pull(skb, len) &&
	       skb->data[0] >> 4 == (next_header == IPPROTO_IPIP ? 4 : 6);
}

/**
 * xe_tunnel_decap - make the inner packet the packet
 * @x: state
 * @skb: data at the inner header, checked and writable; network header still
 *       at the outer one
 * @next_header: IPPROTO_IPIP or IPPROTO_IPV6
 */
void xe_tunnel_decap(const struct xfrm_state *x, struct sk_buff *skb,
		     int next_header)
{
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
	skb_mac_header_rebuild(skb);
	if (skb->mac_len)
		eth_hdr(skb)->h_proto = skb->protocol;
}
