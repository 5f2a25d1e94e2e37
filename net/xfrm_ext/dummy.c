// SPDX-License-Identifier: GPL-2.0-only
/*
 * Dummy packets (RFC 4303 section 2.6): Next Header 59, and zeros inside. They
 * hide from who looks on how much there is to say. When and how long is for
 * user space, which asks for one at a time.
 *
 * Nobody has sent them, so there is no bundle: they take the route that there is
 * to the SA's destination, under the SA's output mark, and what a policy says of
 * the addresses outside is not asked.
 */
#include <net/ip.h>
#include <net/ip6_route.h>

#include "packet.h"

static struct dst_entry *xe_dummy_route4(const struct xe_sa *sa)
{
	struct xfrm_state *x = sa->x;
	struct flowi4 fl4 = {
		.flowi4_mark	= xfrm_smark_get(0, x),
		.flowi4_proto	= sa->protocol,
		.saddr		= x->props.saddr.a4,
		.daddr		= x->id.daddr.a4,
	};
	struct rtable *rt;

	/* As the kernel looks for the route of what the SA carries */
	if (x->encap) {
		fl4.fl4_sport = READ_ONCE(x->encap->encap_sport);
		fl4.fl4_dport = READ_ONCE(x->encap->encap_dport);
	}
	rt = __ip_route_output_key(xs_net(x), &fl4);
	return IS_ERR(rt) ? ERR_CAST(rt) : &rt->dst;
}

static struct dst_entry *xe_dummy_route6(const struct xe_sa *sa)
{
	struct xfrm_state *x = sa->x;
	struct flowi6 fl6 = {
		.flowi6_mark	= xfrm_smark_get(0, x),
		.flowi6_proto	= sa->protocol,
		.saddr		= x->props.saddr.in6,
		.daddr		= x->id.daddr.in6,
	};
	struct dst_entry *dst;
	int err;

	if (x->encap) {
		fl6.fl6_sport = READ_ONCE(x->encap->encap_sport);
		fl6.fl6_dport = READ_ONCE(x->encap->encap_dport);
	}
	dst = ip6_route_output(xs_net(x), NULL, &fl6);
	err = dst->error;
	if (!err)
		return dst;
	dst_release(dst);
	return ERR_PTR(err);
}

/* What its length comes to, and whether the path takes that */
static int xe_dummy_fits(const struct xe_sa *sa, const struct dst_entry *dst,
			 unsigned int len, struct netlink_ext_ack *extack)
{
	unsigned int mtu = min(dst_mtu(dst), xe_outer_max(sa));
	u64 all = (sa->id.family == AF_INET ? sizeof(struct iphdr) :
					      sizeof(struct ipv6hdr)) +
		  (u64)xe_esp_len(sa) + sa->cipher.icv_len + len;

	/* Before it is added to: len is any number */
	if (all <= mtu)
		all += xe_trailer_len(sa->params.trailer, len,
				      sa->cipher.align);
	if (all <= mtu)
		return 0;
	xe_extack(extack, "len %u: too much for the path, which takes packets of %u octets",
		  len, mtu);
	return -EMSGSIZE;
}

/* Zeros, and all there is of headers but the outer one's last words */
static struct sk_buff *xe_dummy_make(const struct xe_sa *sa,
				     struct dst_entry *dst, unsigned int len)
{
	unsigned int head = sizeof(struct ipv6hdr) + xe_esp_len(sa), tail;
	struct sk_buff *skb;

	/* A route does not keep its device */
	rcu_read_lock();
	head += LL_RESERVED_SPACE(dst->dev);
	tail = sa->cipher.align + 2 + sa->cipher.icv_len +
	       dst->dev->needed_tailroom;
	rcu_read_unlock();
	skb = alloc_skb(head + len + tail, GFP_KERNEL);
	if (!skb)
		return NULL;
	skb_reserve(skb, head);
	skb_put_zero(skb, len);
	skb->mark = xfrm_smark_get(0, sa->x);
	skb_dst_set(skb, dst_clone(dst));
	rcu_read_lock();
	xe_tunnel_header(sa, skb, IPPROTO_IPIP, 0, htons(IP_DF), 0);
	rcu_read_unlock();
	return skb;
}

/*
 * A dummy packet is encrypted, data at the outer header, or, if @err, will never
 * be; consumed. References to the SA's state and namespace are given up. BH off.
 * Returns 0 or a negative errno.
 */
static int xe_dummy_sent(struct xe_sa *sa, struct sk_buff *skb, int err)
{
	struct xfrm_state *x = sa->x;
	struct net *net = xs_net(x);

	if (err)
		kfree_skb(skb);
	else
		err = xe_local_out(net, NULL, skb);
	/* Who unloads the module then waits for RCU, and so for this function */
	xfrm_state_put(x);
	put_net(net);
	return err > 0 ? net_xmit_errno(err) : err;
}

/**
 * xe_dummy_send - send a dummy packet through an SA
 * @sa: SA
 * @place: subspace it takes, by its place in the SA's range
 * @len: octets of nothing; where the SA has TFC padding it is padded as any other
 * @extack: for the reason of a refusal
 *
 * Context: process, may sleep; the namespace's lock is held.
 * Return: 0 or a negative errno. It may still be lost later, as any packet.
 */
int xe_dummy_send(struct xe_sa *sa, u32 place, unsigned int len,
		  struct netlink_ext_ack *extack)
{
	struct dst_entry *dst;
	struct sk_buff *skb;
	int err;

	if (sa->params.trailer == XFRM_EXT_TRAILER_OMIT) {
		xe_extack(extack,
			  "trailer omit (%u) has no Next Header: a dummy packet could not be told from others",
			  XFRM_EXT_TRAILER_OMIT);
		return -EINVAL;
	}
	if (!xe_sa_ready(sa)) {
		xe_extack(extack, "the SA is not ready: claimed, held, failed or expired");
		return -EAGAIN;
	}
	if (xfrm_addr_any(&sa->x->props.saddr, sa->id.family)) {
		xe_extack(extack, "the SA has no source address for a packet of its own");
		return -EADDRNOTAVAIL;
	}
	dst = sa->id.family == AF_INET ? xe_dummy_route4(sa) :
					 xe_dummy_route6(sa);
	if (IS_ERR(dst)) {
		err = PTR_ERR(dst);
		xe_extack(extack, "no route to the SA's destination: %d", err);
		return err;
	}
	err = xe_dummy_fits(sa, dst, len, extack);
	if (err)
		goto out;
	err = -ENOMEM;
	skb = xe_dummy_make(sa, dst, len);
	if (!skb) {
		xe_extack(extack, "no memory for the packet");
		goto out;
	}
	/*
	 * Neither is kept by a bundle; the namespace is whoever's who asks. An SA
	 * can be found for a moment when its last reference has gone.
	 */
	if (!refcount_inc_not_zero(&sa->x->refcnt)) {
		kfree_skb(skb);
		xe_extack(extack, "the SA is being deleted");
		err = -ENOENT;
		goto out;
	}
	get_net(xs_net(sa->x));

	local_bh_disable();
	err = xe_output_dummy(sa, skb, place, xe_dummy_sent);
	/* Else the cipher's completion goes on */
	if (err != -EINPROGRESS)
		err = xe_dummy_sent(sa, skb, err);
	else
		err = 0;
	local_bh_enable();
	if (err)
		xe_extack(extack,
			  "the dummy packet was dropped: %d, by the SA (see its counters) or behind it",
			  err);
out:
	dst_release(dst);
	return err;
}
