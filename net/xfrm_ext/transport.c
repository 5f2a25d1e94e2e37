// SPDX-License-Identifier: GPL-2.0-only
/*
 * Transport mode (RFC 4303 section 3.1.1): ESP between the packet's own header
 * and what it carries.
 */
#include <linux/netfilter_ipv4.h>
#include <linux/netfilter_ipv6.h>
#include <net/dst.h>
#include <net/ip.h>
#include <net/ip6_route.h>
#include <net/ipv6.h>
#include <net/route.h>

#include "mode.h"
#include "state.h"

/* Only whole datagrams: a fragment's header would be that of an ESP fragment */
static enum xfrm_ext_stat transport_refuse(const struct xe_sa *sa,
					   struct sk_buff *skb)
{
	u8 *next_header;

	if (sa->id.family == AF_INET ? !xe_outer_ipv4_ok(skb) :
	    ip6_find_1stfragopt(skb, &next_header) < 0)
		return XFRM_EXT_STAT_TX_INNER;
	if (xe_outer_fragments(skb) || (sa->id.family == AF_INET6 &&
					*next_header == NEXTHDR_FRAGMENT))
		return XFRM_EXT_STAT_TX_FRAGMENT;
	return 0;
}

/**
 * xe_transport_fragment - is a packet a fragment, which must not go out?
 * @sa: SA in transport mode
 * @skb: network header at the outer header, data at the payload
 * @next_header: of the payload
 *
 * For the kernel's own path, where no hook has been asked when this SA is the
 * second of a policy.
 */
bool xe_transport_fragment(const struct xe_sa *sa, const struct sk_buff *skb,
			   u8 next_header)
{
	return sa->id.family == AF_INET ? ip_is_fragment(ip_hdr(skb)) :
					  next_header == NEXTHDR_FRAGMENT;
}

static int transport_encap(const struct xe_sa *sa, struct sk_buff *skb)
{
	int room = xe_esp_len(sa);
	u8 *next_header;
	int len;

	if (sa->id.family == AF_INET) {
		if (skb->protocol != htons(ETH_P_IP))
			return -EAFNOSUPPORT;
		len = ip_hdrlen(skb);
		next_header = &ip_hdr(skb)->protocol;
		memset(IPCB(skb), 0, sizeof(*IPCB(skb)));
		IPCB(skb)->flags = IPSKB_XFRM_TRANSFORMED;
	} else {
		if (skb->protocol != htons(ETH_P_IPV6))
			return -EAFNOSUPPORT;
		len = ip6_find_1stfragopt(skb, &next_header);
		if (len < 0)
			return len;
		memset(IP6CB(skb), 0, sizeof(*IP6CB(skb)));
		IP6CB(skb)->flags = IP6SKB_XFRM_TRANSFORMED;
	}
	skb_set_inner_transport_header(skb, skb_transport_offset(skb));
	skb_set_mac_header(skb, next_header - room - skb->data);
	memmove(skb->data - room, skb->data, len);
	skb_set_network_header(skb, -room);
	__skb_pull(skb, len);
	skb_set_transport_header(skb, -room);
	return *skb_mac_header(skb);
}

static int transport_decap(const struct xe_sa *sa, struct sk_buff *skb,
			   int next_header)
{
	int len = -skb_transport_offset(skb);

	memmove(skb->data - len, skb_network_header(skb), len);
	skb_reset_transport_header(skb);
	__skb_push(skb, len);
	skb_reset_network_header(skb);
	if (sa->id.family == AF_INET) {
		ip_hdr(skb)->protocol = next_header;
		ip_hdr(skb)->tot_len = htons(skb->len);
		ip_send_check(ip_hdr(skb));
	} else {
		skb->data[IP6CB(skb)->nhoff] = next_header;
		ipv6_hdr(skb)->payload_len = htons(skb->len -
						   sizeof(struct ipv6hdr));
	}
	return 0;
}

/* Whatever is inside: the stack refuses what it does not know */
const struct xe_mode xe_mode_transport = {
	.refuse	= transport_refuse,
	.encap	= transport_encap,
	.decap	= transport_decap,
};

/* Out of the kernel's queue; not all kernels have been there under RCU */
static int transport_input(struct net *net, struct sock *sk,
			   struct sk_buff *skb)
{
	struct net_device *dev = skb->dev;
	int err;

	xe_assert_bh_off();
	rcu_read_lock();
	err = dst_input(skb);
	dev_put(dev);
	rcu_read_unlock();
	return err;
}

/* It has one from before it was decrypted, unless that is gone, or a hook did NAT */
static bool transport_route(struct net *net, struct sk_buff *skb)
{
	const struct ipv6hdr *ip6;
	struct flowi6 fl6;

	if (skb_dst(skb))
		return true;
	if (skb->protocol == htons(ETH_P_IP))
		return !xe_route_input(skb);
	ip6 = ipv6_hdr(skb);
	fl6 = (struct flowi6) {
		.flowi6_iif	= skb->dev->ifindex,
		.daddr		= ip6->daddr,
		.saddr		= ip6->saddr,
		.flowlabel	= ip6_flowinfo(ip6),
		.flowi6_mark	= skb->mark,
		.flowi6_proto	= ip6->nexthdr,
	};
	skb_dst_set(skb, ip6_route_input_lookup(net, skb->dev, &fl6, skb,
						RT6_LOOKUP_F_HAS_SADDR));
	return true;
}

/*
 * Count a packet that was lost behind PRE_ROUTING. What it carries is the SA's
 * own state or a stand-in, which leads to no SA; and a queue of netfilter's may
 * have kept the packet until the SA was gone. So look the SA up once more by
 * what either has a copy of. Without one the kernel's counter alone moves.
 */
static void transport_drop(struct net *net, const struct sk_buff *skb,
			   enum xfrm_ext_stat stat)
{
	const struct sec_path *sp = skb_sec_path(skb);
	const struct xfrm_state *x;
	struct xe_sa *sa = NULL;

	rcu_read_lock();
	if (sp && sp->len) {
		x = sp->xvec[sp->len - 1];
		sa = xe_sa_lookup(net, x->props.family, &x->id.daddr, x->id.spi,
				  x->mark.v);
	}
	if (sa)
		xe_drop(sa, stat, (struct xe_seq){}, true);
	else
		xe_drop_unknown(net, stat);
	rcu_read_unlock();
}

/*
 * From softirq, or, behind netfilter's queue, from whoever gave the verdict:
 * nf_reinject() turns BH off for us, and is under RCU
 */
static int transport_finish(struct net *net, struct sock *sk,
			    struct sk_buff *skb)
{
	const struct sec_path *sp = skb_sec_path(skb);
	struct net_device *dev = skb->dev;
	enum xfrm_ext_stat stat;

	xe_assert_bh_off();
	xe_assert_rcu();
	stat = XFRM_EXT_STAT_RX_INNER;
	if (!transport_route(net, skb))
		goto drop;
	/* Out of another SA: who nests packets does not choose how deep our stack is */
	if (sp && sp->len == 1)
		return dst_input(skb);
	/*
	 * In the queue it is under no RCU, and not all kernels take references
	 * for a packet there
	 */
	if (!skb_dst_force(skb))
		goto drop;
	stat = XFRM_EXT_STAT_RX_NOMEM;
	dev_hold(dev);
	if (!xfrm_trans_queue(skb, transport_input))
		return 0;
	dev_put(dev);
drop:
	transport_drop(net, skb, stat);
	kfree_skb(skb);
	return NET_RX_DROP;
}

/**
 * xe_transport_deliver - give a packet to the stack once more
 * @skb: decapsulated; data at its IP header, which the stack has been through:
 *       it goes on behind it. Consumed
 *
 * As the kernel's transport mode does: it passes PRE_ROUTING again, and is not
 * received by the device again.
 */
void xe_transport_deliver(struct sk_buff *skb)
{
	struct net *net = dev_net(skb->dev);

	if (skb->protocol == htons(ETH_P_IP))
		NF_HOOK(NFPROTO_IPV4, NF_INET_PRE_ROUTING, net, NULL, skb,
			skb->dev, NULL, transport_finish);
	else
		NF_HOOK(NFPROTO_IPV6, NF_INET_PRE_ROUTING, net, NULL, skb,
			skb->dev, NULL, transport_finish);
}
