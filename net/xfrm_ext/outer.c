// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the modes that write an outer header share.
 */
#include <net/ip.h>
#include <net/ip6_route.h>
#include <net/ipv6.h>

#include "mode.h"

/**
 * xe_outer_ipv4_ok - is there an IPv4 header, all of it?
 * @skb: data at it
 *
 * A rule of nftables or a program may have written into it, any octet.
 *
 * Return: whether its length can be believed; it is linear then.
 */
bool xe_outer_ipv4_ok(struct sk_buff *skb)
{
	return pskb_may_pull(skb, sizeof(struct iphdr)) &&
	       ip_hdr(skb)->ihl >= 5 && pskb_may_pull(skb, ip_hdrlen(skb));
}

/**
 * xe_outer_fragments - is a packet a fragment, or will it become some?
 * @skb: IPv4 packet; of an IPv6 packet it tells the second only
 *
 * Return: true also for a datagram that GSO cuts into fragments (UFO, from a
 *         guest or tun).
 */
bool xe_outer_fragments(const struct sk_buff *skb)
{
	if (skb_is_gso(skb) && skb_shinfo(skb)->gso_type & SKB_GSO_UDP)
		return true;
	return skb->protocol == htons(ETH_P_IP) && ip_is_fragment(ip_hdr(skb));
}

/**
 * xe_outer_max - how long can an SA's packets be?
 * @sa: SA of any mode
 *
 * IPv4's Total Length counts the header, IPv6's Payload Length does not.
 *
 * Return: octets, with the outer header.
 */
unsigned int xe_outer_max(const struct xe_sa *sa)
{
	return sa->id.family == AF_INET ? IP_MAX_MTU : IP6_MAX_MTU;
}

/**
 * xe_outer_make - make room for an outer header
 * @sa: SA
 * @skb: data at the payload; headroom for all that comes before it
 *
 * Sets headers as xe_mode::encap() shall leave them, and what the kernel keeps
 * with the packet; what is in the outer header is for the caller to write.
 */
void xe_outer_make(const struct xe_sa *sa, struct sk_buff *skb)
{
	if (sa->id.family == AF_INET) {
		skb_set_transport_header(skb, -(int)xe_esp_len(sa));
		skb->network_header = skb->transport_header -
				      sizeof(struct iphdr);
		skb->mac_header = skb->network_header +
				  offsetof(struct iphdr, protocol);
		skb->protocol = htons(ETH_P_IP);
		memset(IPCB(skb), 0, sizeof(*IPCB(skb)));
		IPCB(skb)->flags = IPSKB_XFRM_TRANSFORMED |
				   IPSKB_XFRM_TUNNEL_SIZE;
	} else {
		skb_set_transport_header(skb, -(int)xe_esp_len(sa));
		skb->network_header = skb->transport_header -
				      sizeof(struct ipv6hdr);
		skb->mac_header = skb->network_header +
				  offsetof(struct ipv6hdr, nexthdr);
		skb->protocol = htons(ETH_P_IPV6);
		memset(IP6CB(skb), 0, sizeof(*IP6CB(skb)));
		IP6CB(skb)->flags = IP6SKB_XFRM_TRANSFORMED;
		skb->ignore_df = 1;
	}
}

/**
 * xe_outer_gone - the link's header before a network header that has moved
 * @skb: network header and protocol are the inner packet's
 */
void xe_outer_gone(struct sk_buff *skb)
{
	skb_mac_header_rebuild(skb);
	if (skb->mac_len)
		eth_hdr(skb)->h_proto = skb->protocol;
}
