// SPDX-License-Identifier: GPL-2.0-only
/*
 * Each subspace a flow of its own, to who spreads packets by outer headers: NICs
 * among their queues, routers among their links, Linux (RPS) among its CPUs. None
 * of them sees a Subspace ID, and few an SPI. IPv6 has a flow label for it (RFC 6437,
 * RFC 6438), UDP over IPv4 a source port. Not over IPv6: when a router says of a
 * packet that it was too big, udpv6_err() of older kernels looks for a socket that
 * has its port, and ports that are a subspace's have none.
 */
#include <linux/jhash.h>
#include <linux/once.h>
#include <net/dsfield.h>
#include <net/ipv6.h>

#include "mode.h"

/* Dynamic ports, RFC 6335 section 6: nobody is assigned one */
#define XE_SPREAD_PORT_MIN	49152
#define XE_SPREAD_PORTS		16384
/* 0 says that there is none */
#define XE_SPREAD_LABELS	0xfffff

/*
 * Not where the receiver wants another one back: transport mode has no other
 * header, BEET makes the inner one of it.
 */
static bool spread_has_label(const struct xfrm_state *x,
			     const struct xe_params *p)
{
	if (x->props.family != AF_INET6)
		return false;
	if (x->props.mode == XFRM_MODE_BEET)
		return x->sel.family == AF_INET &&
		       !(p->flags & XFRM_EXT_SA_F_BEET_FRAG);
	return x->props.mode == XFRM_MODE_TUNNEL;
}

static bool spread_has_port(const struct xfrm_state *x)
{
	return x->encap && x->props.family == AF_INET;
}

/**
 * xe_spread_check - have an SA's outer headers a place for its subspaces?
 * @x: state that is being made
 * @p: what it shall be, with XFRM_EXT_SA_F_SPREAD
 * @extack: for the reason of a refusal
 *
 * Return: 0 or -EINVAL.
 */
int xe_spread_check(const struct xfrm_state *x, const struct xe_params *p,
		    struct netlink_ext_ack *extack)
{
	if (spread_has_port(x) || spread_has_label(x, p))
		return 0;
	xe_extack(extack,
		  "spread on with mode %u and outer family %u: the outer header has no place for it; must be encap over IPv4 (%u), or a tunnel over IPv6 (%u)",
		  x->props.mode, x->props.family, AF_INET, AF_INET6);
	return -EINVAL;
}

/* Where the flows of an SA begin: those of others may be the same */
static u32 spread_base(const struct xe_sa *sa)
{
	static u32 secret __read_mostly;

	net_get_random_once(&secret, sizeof(secret));
	return jhash_1word((__force u32)sa->id.spi, secret) >> 1;
}

/**
 * xe_spread_ports - have subspaces source ports of their own?
 * @sa: SA with encapsulation
 *
 * Return: whether, at the sender and so at the receiver.
 */
bool xe_spread_ports(const struct xe_sa *sa)
{
	return sa->params.flags & XFRM_EXT_SA_F_SPREAD &&
	       spread_has_port(sa->x);
}

/**
 * xe_spread_port - the UDP source port of a subspace
 * @sa: SA of which xe_spread_ports() is true
 * @subspace: Subspace ID
 *
 * Subspace 0 has the SA's own one, which NAT and the peer's IKE know.
 *
 * Return: port, network byte order.
 */
__be16 xe_spread_port(const struct xe_sa *sa, u16 subspace)
{
	if (!subspace)
		return READ_ONCE(sa->x->encap->encap_sport);
	return htons(XE_SPREAD_PORT_MIN +
		     (spread_base(sa) + subspace) % XE_SPREAD_PORTS);
}

/**
 * xe_spread_label - write the flow label of a subspace
 * @sa: SA with XFRM_EXT_SA_F_SPREAD
 * @skb: its outer header is in place
 * @subspace: Subspace ID
 *
 * Nothing where there is no place for it. In tunnel mode the inner flow label,
 * otherwise copied, stays inside.
 */
void xe_spread_label(const struct xe_sa *sa, struct sk_buff *skb, u16 subspace)
{
	struct ipv6hdr *iph = ipv6_hdr(skb);
	u32 label;

	if (!spread_has_label(sa->x, &sa->params))
		return;
	label = (spread_base(sa) + subspace) % XE_SPREAD_LABELS + 1;
	ip6_flow_hdr(iph, ipv6_get_dsfield(iph), htonl(label));
}
