// SPDX-License-Identifier: GPL-2.0-only
/*
 * Of which class is a packet? By its DSCP, its mark or its flow: what is looked at
 * is here, what becomes of it is in select.h.
 */
#include <net/dsfield.h>
#include <net/flow_dissector.h>
#include <net/ip.h>

#include "packet.h"

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

/**
 * xe_classify - of which class is a packet that is sent?
 * @sa: SA
 * @skb: outer header in place, data at the payload
 * @next_header: of the payload
 *
 * Context: BH off.
 * Return: the class, for xe_select_place().
 */
u32 xe_classify(const struct xe_sa *sa, const struct sk_buff *skb,
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
	return xe_select_class(s, value);
}
