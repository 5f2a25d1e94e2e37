/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Modes: what the payload is, and what stands before ESP.
 */
#ifndef XFRM_EXT_MODE_H
#define XFRM_EXT_MODE_H

#include <linux/ipv6.h>
#include <net/ip.h>
#include <net/ip6_route.h>

#include "sa.h"
#include "trailer.h"

/**
 * struct xe_mode - what the payload is, and what stands before ESP
 * @refuse: may a packet go out? data at its IP header, before anything has been
 *          done to it: 0, or the enum xfrm_ext_stat to drop it for; NULL: any may
 * @encap: write the outer header, as the kernel's own mode does. On entry data
 *         is at the IP header, on exit at the payload, the network header at
 *         the outer header, the transport header where UDP or ESP goes, and the
 *         MAC header at the octet that names it. The headroom is writable and
 *         large enough. Return the Next Header, or a negative errno
 * @check: is a received payload, at data, whole and writable, well-formed? 0, or
 *         the enum xfrm_ext_stat to drop it for; NULL: any is
 * @decap: make the inner packet the packet. On entry data is at the payload,
 *         which @check has passed, the network header at the outer header, and
 *         the transport header where kept headers move to, in modes that keep
 *         any. On exit network header and data are at the inner header.
 *         Return 0 or a negative errno
 *
 * None of them sleeps.
 */
struct xe_mode {
	enum xfrm_ext_stat (*refuse)(const struct xe_sa *sa,
				     struct sk_buff *skb);
	int (*encap)(const struct xe_sa *sa, struct sk_buff *skb);
	enum xfrm_ext_stat (*check)(const struct xe_sa *sa,
				    struct sk_buff *skb, int next_header);
	int (*decap)(const struct xe_sa *sa, struct sk_buff *skb,
		     int next_header);
};

/* outer.c APIs: any context */
void xe_outer_gone(struct sk_buff *skb);
bool xe_outer_ipv4_ok(struct sk_buff *skb);
bool xe_outer_fragments(const struct sk_buff *skb);

/* Octets from outer header to payload */
static inline unsigned int xe_esp_len(const struct xe_sa *sa)
{
	return sa->encap_len + sa->format->hdr_len + sa->cipher.iv_len +
	       xe_trailer_front(sa->params.trailer);
}

/**
 * xe_outer_max - how long can an SA's packets be?
 * @sa: SA of any mode
 *
 * IPv4's Total Length counts the header, IPv6's Payload Length does not.
 *
 * Return: octets, with the outer header.
 */
static inline unsigned int xe_outer_max(const struct xe_sa *sa)
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
static inline void xe_outer_make(const struct xe_sa *sa, struct sk_buff *skb)
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

/* tunnel.c APIs: any context */
extern const struct xe_mode xe_mode_tunnel;
void xe_tunnel_header(const struct xe_sa *sa, struct sk_buff *skb, u8 protocol,
		      u8 inner_ds, __be16 df, __be32 flow_label);

/* transport.c APIs: BH off, under RCU */
extern const struct xe_mode xe_mode_transport;
void xe_transport_deliver(struct sk_buff *skb);
bool xe_transport_fragment(const struct xe_sa *sa, const struct sk_buff *skb,
			   u8 next_header);

/* beet.c APIs: no sleeping */
extern const struct xe_mode xe_mode_beet;
void xe_beet_mend(const struct xe_sa *sa, struct sk_buff *skb, u8 next_header);
bool xe_beet_is_fragment(const struct xe_sa *sa, const struct sk_buff *skb,
			 int next_header);

/* spread.c APIs: no sleeping */
int xe_spread_check(const struct xfrm_state *x, const struct xe_params *p,
		    struct netlink_ext_ack *extack);
bool xe_spread_ports(const struct xe_sa *sa);
__be16 xe_spread_port(const struct xe_sa *sa, u16 subspace);
void xe_spread_label(const struct xe_sa *sa, struct sk_buff *skb, u16 subspace);

/* udp.c APIs: no sleeping */
int xe_udp_check(const struct xfrm_state *x, struct netlink_ext_ack *extack);
void xe_udp_build(const struct xe_sa *sa, struct sk_buff *skb, u16 subspace);
void xe_udp_checksum(const struct xe_sa *sa, struct sk_buff *skb);
void xe_udp_received(struct xe_sa *sa, struct sk_buff *skb, u16 subspace);

/* mode.c APIs: any context */
const struct xe_mode *xe_mode_get(const struct xfrm_state *x,
				  const struct xe_params *params,
				  struct netlink_ext_ack *extack);

#endif /* XFRM_EXT_MODE_H */
