// SPDX-License-Identifier: GPL-2.0-only
/*
 * UDP encapsulation (RFC 3948): a UDP header before ESP, so that NAT lets it
 * through. What listens on the port, and keepalives, are the kernel's.
 */
#include <linux/udp.h>
#include <net/ip6_checksum.h>

#include "mode.h"

/**
 * xe_udp_check - can an SA be encapsulated as it asks?
 * @x: state that is being made
 * @extack: for the reason of a refusal
 *
 * Return: octets of header, 0 for none, or -EINVAL.
 */
int xe_udp_check(const struct xfrm_state *x, struct netlink_ext_ack *extack)
{
	if (!x->encap)
		return 0;
	if (x->encap->encap_type != UDP_ENCAP_ESPINUDP) {
		xe_extack(extack,
			  "encap type %u not supported; must be espinudp (%u)",
			  x->encap->encap_type, UDP_ENCAP_ESPINUDP);
		return -EINVAL;
	}
	return sizeof(struct udphdr);
}

/**
 * xe_udp_build - write the header
 * @sa: SA with encapsulation
 * @skb: data at the ESP header, trailer and room for the ICV in place; on exit
 *       at the UDP header
 * @subspace: Subspace ID that the packet has
 */
void xe_udp_build(const struct xe_sa *sa, struct sk_buff *skb, u16 subspace)
{
	/* UPDSA may write these two at this moment: one packet to one of both */
	const struct xfrm_encap_tmpl *encap = sa->x->encap;
	struct udphdr *uh = __skb_push(skb, sizeof(*uh));

	uh->source = xe_spread_ports(sa) ? xe_spread_port(sa, subspace) :
					   READ_ONCE(encap->encap_sport);
	uh->dest = READ_ONCE(encap->encap_dport);
	uh->len = htons(skb->len);
	uh->check = 0;
}

/**
 * xe_udp_checksum - complete the header of an encrypted packet
 * @sa: SA
 * @skb: data at the outer header, transport header at the UDP header if there is one
 *
 * IPv6 wants a checksum; over IPv4 it should be 0.
 */
void xe_udp_checksum(const struct xe_sa *sa, struct sk_buff *skb)
{
	int offset = skb_transport_offset(skb);
	const struct ipv6hdr *ip6;
	struct udphdr *uh;
	__wsum sum;

	if (!sa->encap_len || sa->id.family != AF_INET6)
		return;
	ip6 = ipv6_hdr(skb);
	uh = udp_hdr(skb);
	sum = skb_checksum(skb, offset, skb->len - offset, 0);
	uh->check = csum_ipv6_magic(&ip6->saddr, &ip6->daddr,
				    skb->len - offset, IPPROTO_UDP, sum);
	if (!uh->check)
		uh->check = CSUM_MANGLED_0;
}

/**
 * xe_udp_received - an authenticated packet has come
 * @sa: SA with encapsulation
 * @skb: data at the ESP header; everything before it is in place
 * @subspace: Subspace ID that it has
 *
 * If its sender has moved, key managers are told. If his subspaces have ports of
 * their own only subspace 0 tells: its port is the one that IKE's packets have,
 * and NAT may do anything with the others. Behind NAT the checksum of what
 * transport mode carries is of addresses that it does not have any more.
 */
void xe_udp_received(struct xe_sa *sa, struct sk_buff *skb, u16 subspace)
{
	const struct udphdr *uh = (const void *)(skb->data - sizeof(*uh));
	struct xfrm_state *x = sa->x;
	xfrm_address_t source = {};

	if (sa->id.family == AF_INET)
		source.a4 = ip_hdr(skb)->saddr;
	else
		source.in6 = ipv6_hdr(skb)->saddr;
	if ((!xfrm_addr_equal(&source, &x->props.saddr, sa->id.family) ||
	     uh->source != READ_ONCE(x->encap->encap_sport)) &&
	    !(subspace && xe_spread_ports(sa)))
		km_new_mapping(x, &source, uh->source);
	if (x->props.mode == XFRM_MODE_TRANSPORT)
		skb->ip_summed = CHECKSUM_UNNECESSARY;
}
