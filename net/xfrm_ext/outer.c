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
 * xe_outer_gone - the link's header before a network header that has moved
 * @skb: network header and protocol are the inner packet's
 */
void xe_outer_gone(struct sk_buff *skb)
{
	skb_mac_header_rebuild(skb);
	if (skb->mac_len)
		eth_hdr(skb)->h_proto = skb->protocol;
}
