// SPDX-License-Identifier: GPL-2.0-only
/*
 * Packets out, on our own path: a netfilter hook at the last priority of
 * POST_ROUTING takes a packet before the kernel does, spares it
 * xfrm_state::lock and hands it back behind ESP (output.c).
 *
 * What needs more than ESP is left to the kernel's own path: a PMTU error, an
 * unconfirmed conntrack entry, the second SA of a policy in transport mode.
 */
#include <linux/netfilter_ipv4.h>
#include <linux/netfilter_ipv6.h>
#include <net/dst.h>
#include <net/icmp.h>
#include <net/ip.h>
#include <net/netfilter/nf_conntrack.h>
#include <net/netfilter/nf_conntrack_extend.h>
#include <net/tcp.h>

#include "packet.h"

static const struct xe_seq xe_seq_none;

/*
 * As the kernel's xfrm_skb_check_space(), and writable, with room for a trailer,
 * so that a packet is copied once if it must be. The kernel reserves eight octets
 * for BEET's pseudo header; a fragment's may take twelve.
 */
static int xe_fast_space(const struct xe_sa *sa, struct sk_buff *skb)
{
	const struct dst_entry *dst = skb_dst(skb);
	int nhead = dst->header_len + LL_RESERVED_SPACE(dst->dev) -
		    skb_headroom(skb) +
		    (sa->params.flags & XFRM_EXT_SA_F_BEET_FRAG ? 4 : 0);
	unsigned int tail = dst->dev->needed_tailroom;
	int ntail;

	if (!skb_is_nonlinear(skb))
		tail = max(tail, sa->cipher.align + 1 + sa->cipher.icv_len);
	ntail = (int)tail - skb_tailroom(skb);
	if (nhead <= 0 && ntail <= 0 && !skb_header_cloned(skb))
		return 0;
	return pskb_expand_head(skb, max(nhead, 0), max(ntail, 0), GFP_ATOMIC);
}

/*
 * Resolve CHECKSUM_PARTIAL, be it the Internet's or the CRC32c of SCTP; never let
 * it write into the IP header
 */
static int xe_fast_checksum(struct sk_buff *skb)
{
	if (skb->ip_summed != CHECKSUM_PARTIAL)
		return 0;
	if (skb->protocol == htons(ETH_P_IP) &&
	    skb->csum_start < skb->network_header + ip_hdrlen(skb))
		return -EINVAL;
	return skb_csum_hwoffload_help(skb, 0);
}

/*
 * What xfrm_output_resume() does, without counting references to a route that
 * all CPUs share: the bundle has one, and who frees the bundle waits for RCU,
 * and so for us, as for packets that are forwarded. What keeps the packet
 * for longer takes a reference of its own. If there is more to do than to send,
 * the kernel does it.
 */
static int xe_fast_out(struct sock *sk, struct sk_buff *skb)
{
	struct dst_entry *child = xfrm_dst_child(skb_dst(skb));
	/* Not the device's: that may have gone, and left another in its place */
	struct net *net = xs_net(skb_dst(skb)->xfrm);

	if (!child || child->xfrm)
		return xfrm_output_resume(sk, skb, 0);
	skb_dst_drop(skb);
	skb_dst_set_noref(skb, child);
	nf_reset_ct(skb);
	return xe_local_out(net, sk, skb);
}

/*
 * One packet that needs no segmentation; consumed in any case. BH is off, so
 * that packets leave in the order of their numbers. Returns what the kernel's
 * own path does: 0, a queue's NET_XMIT_*, or a negative errno.
 */
static int xe_fast_one(struct xe_sa *sa, struct sock *sk, struct sk_buff *skb)
{
	struct xfrm_state *x = sa->x;
	enum xfrm_ext_stat stat;
	int next_header, err;

	stat = XFRM_EXT_STAT_TX_SEGMENT;
	err = xe_fast_checksum(skb);
	if (err)
		goto drop;
	stat = XFRM_EXT_STAT_TX_NOMEM;
	err = xe_fast_space(sa, skb);
	if (err)
		goto drop;

	/* Its set-up has been completed, which stays so: see xe_post_routing() */
	stat = XFRM_EXT_STAT_TX_NOT_READY;
	err = -EINVAL;
	if (READ_ONCE(x->km.state) != XFRM_STATE_VALID)
		goto drop;

	skb->mark = xfrm_smark_get(skb->mark, x);
	skb->encapsulation = 0;
	next_header = sa->mode->encap(sa, skb);
	stat = XFRM_EXT_STAT_TX_SEGMENT;
	err = next_header;
	if (next_header < 0)
		goto drop;
	/* As xfrm_state_check_expire() */
	stat = XFRM_EXT_STAT_TX_EXPIRED;
	err = -EINVAL;
	if (!xe_lifetime_use(sa, skb->len))
		goto drop;
	err = xe_protect(sa, skb, next_header, NULL, NULL, true);
	if (likely(!err))
		return xe_fast_out(sk, skb);
	/* The cipher goes on with it; what becomes of it, nobody can be told */
	if (err == -EINPROGRESS)
		return 0;
	kfree_skb(skb);
	return err;

drop:
	xe_drop(sa, stat, xe_seq_none, true);
	kfree_skb(skb);
	return err;
}

/*
 * The segments of one packet; consumed. Returns the first result that is not 0, as
 * the kernel does. But it frees those behind a segment that is refused, and counts
 * them nowhere. That is right only if it is the first, and @own_tcp, which sends all of
 * them again for being told. Told so of a packet of which some have left, it would
 * ignore what comes back for them; so then it hears of congestion, and
 * finds out what is missing as ever. What is forwarded nobody sends again.
 */
static int xe_fast_segments(struct xe_sa *sa, struct sock *sk,
			    struct sk_buff *segs, bool own_tcp)
{
	struct sk_buff *next;
	bool left = false;
	int err, ret = 0;

	skb_list_walk_safe(segs, segs, next) {
		skb_mark_not_on_list(segs);
		err = xe_fast_one(sa, sk, segs);
		if (likely(!net_xmit_eval(err))) {
			left = true;
		} else if (own_tcp && !left) {
			kfree_skb_list(next);
			return err;
		}
		if (unlikely(err && !ret))
			ret = err;
	}
	return own_tcp && ret ? NET_XMIT_CN : ret;
}

/* A packet of this machine's own TCP, by the route of its connection */
static bool xe_own_tcp(const struct sk_buff *skb)
{
	const struct sock *sk = skb->sk;

	return sk && sk_fullsock(sk) && sk_is_tcp(sk) &&
	       rcu_access_pointer(sk->sk_dst_cache) == skb_dst(skb);
}

/*
 * A socket makes packets of many segments if somebody behind its route makes
 * segments of them; of an SA sk_setup_caps() believes that only if it has a
 * type_offload, with which the kernel would also send stock ESP for it
 * (xe_sa_unset_offload()). So the socket is told here, in the same words, and as
 * there not if another SA follows. It forgets with the route.
 *
 * While few segments are under way a full queue is told of each by itself, and
 * nothing is lost: of a larger packet a part may be.
 *
 * TCP sends with the socket locked. If another hook had the packet in a queue in
 * between, then what is written here can be late: at worst the socket makes large
 * packets for another route, whose kernel cuts them.
 */
static void xe_own_tcp_gso(struct sk_buff *skb)
{
	const struct dst_entry *dst = skb_dst(skb);
	u32 max_size, max_segs = 1;
	struct sock *sk = skb->sk;

	if (sk->sk_gso_disabled || !xfrm_dst_child(dst) ||
	    xfrm_dst_child(dst)->xfrm)
		return;
	if (tcp_snd_cwnd(tcp_sk(sk)) > TCP_INIT_CWND)
		max_segs = max_t(u32, READ_ONCE(dst->dev->gso_max_segs), 1);
	if (sk->sk_gso_max_segs != max_segs)
		WRITE_ONCE(sk->sk_gso_max_segs, max_segs);
	if (likely(sk_can_gso(sk)))
		return;
	max_size = min_t(u32, READ_ONCE(dst->dev->gso_max_size),
			 GSO_LEGACY_MAX_SIZE);
	if (max_size <= MAX_TCP_HEADER + 1)
		return;
	WRITE_ONCE(sk->sk_gso_max_size, max_size - (MAX_TCP_HEADER + 1));
	WRITE_ONCE(sk->sk_route_caps,
		   sk->sk_route_caps | NETIF_F_GSO_SOFTWARE | NETIF_F_SG |
		   NETIF_F_HW_CSUM);
}

/*
 * The verdict about a packet that the hook has consumed: nf_hook() returns @ret,
 * and whoever sent the packet hears of it, as on the kernel's own path. But
 * for 1, NET_XMIT_DROP: by that its caller would know that the packet has passed,
 * and go on with it. All who ask tell only NET_XMIT_CN from the other codes.
 */
static unsigned int xe_stolen(int ret)
{
	if (ret == NET_XMIT_DROP)
		ret = NET_XMIT_MASK;
	return NF_STOLEN | (u32)-ret << NF_VERDICT_QBITS;
}

/*
 * Conntrack has a hook at this very priority, which may come behind ours. It
 * confirms new entries, runs helpers, adjusts TCP sequence numbers and sends
 * events: a packet that needs any of these must get there.
 */
static bool xe_conntrack_waits(const struct sk_buff *skb)
{
#if IS_ENABLED(CONFIG_NF_CONNTRACK)
	enum ip_conntrack_info ctinfo;
	const struct nf_conn *ct = nf_ct_get(skb, &ctinfo);

	if (!ct)
		return false;
	if (!nf_ct_is_confirmed(ct) ||
	    test_bit(IPS_SEQ_ADJUST_BIT, &ct->status) ||
	    nf_ct_ext_exist(ct, NF_CT_EXT_HELPER))
		return true;
#ifdef CONFIG_NF_CONNTRACK_EVENTS
	if (nf_ct_ext_exist(ct, NF_CT_EXT_ECACHE))
		return true;
#endif
#endif
	return false;
}

/*
 * BEET's fragments are ours on either path: the kernel's own drops them. One
 * that is too long is answered, as the kernel does with other packets, or is
 * cut behind ESP.
 */
static bool xe_fast_fragment(const struct xe_sa *sa, const struct sk_buff *skb)
{
	return sa->params.flags & XFRM_EXT_SA_F_BEET_FRAG &&
	       xe_outer_fragments(skb);
}

static bool xe_fragment_fits(struct sk_buff *skb)
{
	unsigned int mtu = dst_mtu(skb_dst(skb));
	const struct iphdr *iph = ip_hdr(skb);

	/* The MTU is of eight octets more; with an odd number of option words it is twelve */
	if (skb_is_gso(skb) || !(iph->frag_off & htons(IP_DF)) ||
	    skb->len + (iph->ihl & 1 ? 0 : 4) <= mtu)
		return true;
	if (skb->sk && sk_fullsock(skb->sk))
		xfrm_local_error(skb, mtu);
	else
		icmp_send(skb, ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED,
			  htonl(mtu));
	return false;
}

/* Does the packet need more than ESP? Then the kernel's own path has it. */
static bool xe_fast_fits(const struct xe_sa *sa, struct sk_buff *skb)
{
	const struct dst_entry *dst = skb_dst(skb);
	unsigned int mtu = dst_mtu(dst);

	if (!READ_ONCE(xe_fastpath) ||
	    sa->params.flags & XFRM_EXT_SA_F_NO_FASTPATH)
		return false;
	/* PMTU errors and fragmentation are the kernel's */
	if (skb_is_gso(skb) ? !skb_gso_validate_network_len(skb, mtu) :
			      skb->len > mtu)
		return false;
	return !xe_conntrack_waits(skb);
}

static unsigned int xe_post_routing(void *priv, struct sk_buff *skb,
				    const struct nf_hook_state *state)
{
	struct dst_entry *dst = skb_dst(skb);
	struct xfrm_state *x = dst ? dst->xfrm : NULL;
	enum xfrm_ext_stat stat;
	struct sk_buff *segs;
	struct xe_sa *sa;
	bool own_tcp;
	int err;

	/* BH is on or off: another hook may have had the packet in a queue */
	xe_assert_rcu();
	if (!x)
		return NF_ACCEPT;
	sa = xe_sa_of(x);
	if (!sa)
		return NF_ACCEPT;
	/* Nor on the kernel's own path: see xe_sa_publish() */
	if (unlikely(!xe_sa_set_up(sa)) && !xe_sa_in_place(sa)) {
		xe_drop(sa, XFRM_EXT_STAT_TX_NOT_READY, xe_seq_none, true);
		return NF_DROP_ERR(-EINVAL);
	}
	/* A VRF shows the packet once more, with the real device, later */
	if (netif_is_l3_master(state->out))
		return NF_ACCEPT;
	/* What the mode cannot carry goes on neither path */
	stat = sa->mode->refuse ? sa->mode->refuse(sa, skb) : 0;
	if (stat) {
		xe_drop(sa, stat, xe_seq_none, true);
		return NF_DROP_ERR(-EINVAL);
	}
	/*
	 * The kernel's own path takes any checksum for the Internet's: here is
	 * the last one who can do better
	 */
	if (unlikely(skb_csum_is_sctp(skb)) && !skb_is_gso(skb)) {
		err = xe_fast_checksum(skb);
		if (err) {
			xe_drop(sa, XFRM_EXT_STAT_TX_SEGMENT, xe_seq_none,
				true);
			return NF_DROP_ERR(err);
		}
	}
	if (xe_fast_fragment(sa, skb)) {
		if (!xe_fragment_fits(skb)) {
			xe_drop(sa, XFRM_EXT_STAT_TX_TOO_BIG, xe_seq_none,
				true);
			return NF_DROP_ERR(-EMSGSIZE);
		}
	} else if (!xe_fast_fits(sa, skb)) {
		return NF_ACCEPT;
	}
	if (sa->cipher.may_wait && !skb_dst_force(skb)) {
		/* The bundle is being freed: its SA is on the way out */
		xe_drop(sa, XFRM_EXT_STAT_TX_NOT_READY, xe_seq_none, true);
		return NF_DROP_ERR(-EHOSTUNREACH);
	}
	secpath_reset(skb);
	own_tcp = xe_own_tcp(skb);
	if (own_tcp)
		xe_own_tcp_gso(skb);

	if (!skb_is_gso(skb)) {
		local_bh_disable();
		err = xe_fast_one(sa, state->sk, skb);
		local_bh_enable();
		return xe_stolen(err);
	}
	segs = skb_gso_segment(skb, 0);
	if (IS_ERR_OR_NULL(segs)) {
		xe_drop(sa, XFRM_EXT_STAT_TX_SEGMENT, xe_seq_none, true);
		err = segs ? PTR_ERR(segs) : -EINVAL;
		return NF_DROP_ERR(err);
	}
	consume_skb(skb);
	local_bh_disable();
	err = xe_fast_segments(sa, state->sk, segs, own_tcp);
	local_bh_enable();
	return xe_stolen(err);
}

static const struct nf_hook_ops xe_hooks[] = {
	{
		.hook		= xe_post_routing,
		.pf		= NFPROTO_IPV4,
		.hooknum	= NF_INET_POST_ROUTING,
		.priority	= INT_MAX,
	},
	{
		.hook		= xe_post_routing,
		.pf		= NFPROTO_IPV6,
		.hooknum	= NF_INET_POST_ROUTING,
		.priority	= INT_MAX,
	},
};

/**
 * xe_hooks_register - take packets in a namespace
 * @net: namespace
 *
 * Context: process, may sleep.
 * Return: 0 or a negative errno.
 */
int xe_hooks_register(struct net *net)
{
	return nf_register_net_hooks(net, xe_hooks, ARRAY_SIZE(xe_hooks));
}

/**
 * xe_hooks_unregister - take no more
 * @net: namespace
 *
 * Context: process, may sleep.
 */
void xe_hooks_unregister(struct net *net)
{
	nf_unregister_net_hooks(net, xe_hooks, ARRAY_SIZE(xe_hooks));
}
