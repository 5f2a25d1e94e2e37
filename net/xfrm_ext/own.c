// SPDX-License-Identifier: GPL-2.0-only
/*
 * Packets of an SA's own: dummy packets (RFC 4303 section 2.6), with Next Header 59 and
 * zeros inside, which hide from who looks on how much there is to say; when and how long
 * is for user space, which asks for one at a time. And those of ESP Echo, see echo.c.
 *
 * Nobody has sent them, so there is no bundle: they take the route that there is
 * to the SA's destination, under the SA's output mark, and what a policy says of
 * the addresses outside is not asked.
 */
#include <net/ip.h>
#include <net/ip6_route.h>

#include "packet.h"

static struct dst_entry *xe_own_route4(const struct xe_sa *sa)
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

static struct dst_entry *xe_own_route6(const struct xe_sa *sa)
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
static int xe_own_fits(const struct xe_sa *sa, const struct dst_entry *dst,
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

/* Zeros, and room for all there is of headers */
static struct sk_buff *xe_own_alloc(const struct xe_sa *sa,
				    struct dst_entry *dst, unsigned int len,
				    gfp_t gfp)
{
	unsigned int head = sizeof(struct ipv6hdr) + xe_esp_len(sa), tail;
	struct sk_buff *skb;

	/* A route does not keep its device */
	rcu_read_lock();
	head += LL_RESERVED_SPACE(dst->dev);
	tail = sa->cipher.align + 2 + sa->cipher.icv_len +
	       dst->dev->needed_tailroom;
	rcu_read_unlock();
	skb = alloc_skb(head + len + tail, gfp);
	if (!skb)
		return NULL;
	skb_reserve(skb, head);
	skb_put_zero(skb, len);
	skb->mark = xfrm_smark_get(0, sa->x);
	return skb;
}

/* Why none can be sent, whatever it is */
static int xe_own_refused(const struct xe_sa *sa, struct netlink_ext_ack *extack)
{
	if (!sa->params.tx_subspaces) {
		xe_extack(extack, "the SA is for receiving only");
		return -EINVAL;
	}
	if (sa->params.trailer == XFRM_EXT_TRAILER_OMIT) {
		xe_extack(extack,
			  "trailer omit (%u) has no Next Header: such a packet could not be told from others",
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
	return 0;
}

/**
 * xe_own_make - begin a packet of an SA's own
 * @sa: SA; who calls keeps it and its namespace alive
 * @len: octets of payload, any number
 * @gfp: how to allocate
 * @extack: for the reason of a refusal, or NULL
 *
 * Context: process, or BH with GFP_ATOMIC and without @extack.
 * Return: a packet with so many zeros, data at the first, for xe_own_send() or
 *         kfree_skb(); or a negative errno as a pointer.
 */
struct sk_buff *xe_own_make(struct xe_sa *sa, unsigned int len, gfp_t gfp,
			    struct netlink_ext_ack *extack)
{
	struct dst_entry *dst;
	struct sk_buff *skb;
	int err;

	err = xe_own_refused(sa, extack);
	if (err)
		return ERR_PTR(err);
	dst = sa->id.family == AF_INET ? xe_own_route4(sa) : xe_own_route6(sa);
	if (IS_ERR(dst)) {
		err = PTR_ERR(dst);
		xe_extack(extack, "no route to the SA's destination: %d", err);
		return ERR_PTR(err);
	}
	err = xe_own_fits(sa, dst, len, extack);
	if (err)
		goto err;
	err = -ENOMEM;
	skb = xe_own_alloc(sa, dst, len, gfp);
	if (!skb) {
		xe_extack(extack, "no memory for the packet");
		goto err;
	}
	skb_dst_set(skb, dst);
	return skb;

err:
	dst_release(dst);
	return ERR_PTR(err);
}

/*
 * A packet is encrypted, data at the outer header, or, if @err, will never be; consumed.
 * References to the SA's state and namespace are given up. BH off. Returns 0 or a negative
 * errno.
 */
static int xe_own_sent(struct xe_sa *sa, struct sk_buff *skb, int err)
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
 * xe_own_send - send a packet of an SA's own
 * @sa: SA, and its namespace: who calls keeps that alive
 * @skb: from xe_own_make(); consumed
 * @next_header: of the payload
 * @place: subspace it takes, by its place in the SA's range
 *
 * Where the SA has TFC padding it is padded as any other.
 *
 * Context: process or BH.
 * Return: 0 or a negative errno; -ENOENT: the SA is going. It may still be lost later,
 *         as any packet.
 */
int xe_own_send(struct xe_sa *sa, struct sk_buff *skb, u8 next_header, u32 place)
{
	int err;

	/*
	 * Neither is kept by a bundle. An SA can be found for a moment when its last
	 * reference has gone.
	 */
	if (!refcount_inc_not_zero(&sa->x->refcnt)) {
		kfree_skb(skb);
		return -ENOENT;
	}
	get_net(xs_net(sa->x));
	rcu_read_lock();
	xe_tunnel_header(sa, skb, IPPROTO_IPIP, 0, htons(IP_DF), 0);
	rcu_read_unlock();

	local_bh_disable();
	err = xe_output_own(sa, skb, next_header, place, xe_own_sent);
	/* Else the cipher's completion goes on */
	if (err != -EINPROGRESS)
		err = xe_own_sent(sa, skb, err);
	else
		err = 0;
	local_bh_enable();
	return err;
}

/**
 * xe_own_told - say what has become of a packet that somebody has asked for
 * @err: what xe_own_send() has returned
 * @what: what it was
 * @extack: for the reason
 *
 * Return: @err.
 */
int xe_own_told(int err, const char *what, struct netlink_ext_ack *extack)
{
	if (err == -ENOENT)
		xe_extack(extack, "the SA is being deleted");
	else if (err)
		xe_extack(extack,
			  "the %s was dropped: %d, by the SA (see its counters) or behind it",
			  what, err);
	return err;
}

/**
 * xe_dummy_send - send a dummy packet through an SA
 * @sa: SA
 * @place: subspace it takes, by its place in the SA's range
 * @len: octets of nothing
 * @extack: for the reason of a refusal
 *
 * Context: process, may sleep; the namespace's lock is held.
 * Return: as xe_own_send(), or why there is none.
 */
int xe_dummy_send(struct xe_sa *sa, u32 place, unsigned int len,
		  struct netlink_ext_ack *extack)
{
	struct sk_buff *skb = xe_own_make(sa, len, GFP_KERNEL, extack);

	if (IS_ERR(skb))
		return PTR_ERR(skb);
	return xe_own_told(xe_own_send(sa, skb, IPPROTO_NONE, place),
			   "dummy packet", extack);
}
