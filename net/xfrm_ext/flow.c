// SPDX-License-Identifier: GPL-2.0-only
/*
 * Forwarded packets: a flow finds its way once.
 *
 * What the kernel finds out anew for each packet that it forwards - the route,
 * whether policy lets it pass, what policy wants with it, the bundle - is kept
 * for the next packets of the same flow, if they go into an extended SA or
 * come out of one. A hook at the first priority of FORWARD learns, where all
 * that has just been done; one at the last priority of PRE_ROUTING gives a
 * packet of a known flow the same destination entry, marked as one that policy
 * need not be asked about. From there on all is the kernel's: it sees a packet
 * that has its route already, and does everything else that it does with a
 * packet to be forwarded, from TTL and MTU to the hooks of FORWARD.
 *
 * A flow (struct xe_flow) is all that routing and policy may look at, and says
 * which way it takes; a way (struct xe_way) is a destination entry with what it
 * must be compared with. Many flows take the same way. Both are a CPU's own. A
 * way is good as long as dst_check() says so of all routes in it, the SAs are
 * what they were, and nobody has called xe_flows_forget(), which takes ways
 * away: on any change of policies, SAs and devices. A flow is good within the
 * second in which it was learnt: the first packet in each goes the long way,
 * which notes when policies were used (they count seconds), and puts a bound to
 * whatever is not noticed otherwise. Documentation/architecture.rst has the
 * table of what is noticed how.
 */
#include <linux/icmp.h>
#include <linux/icmpv6.h>
#include <linux/inetdevice.h>
#include <linux/netfilter_ipv4.h>
#include <linux/netfilter_ipv6.h>
#include <net/gre.h>
#include <net/ipv6.h>
#include <net/l3mdev.h>

#include "flow.h"

/* The part of an upper-layer header that tells flows apart; false: none */
static bool xe_flow_ports(const struct xe_flows *f, const struct sk_buff *skb,
			  int at, struct xe_flow_key *key)
{
	const struct gre_base_hdr *gre;
	const struct icmphdr *icmp;
	const __be32 *word;
	__be32 buf[4];

	switch (key->proto) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_SCTP:
	case IPPROTO_DCCP:
	case IPPROTO_UDPLITE:
		word = skb_header_pointer(skb, at, 4, buf);
		break;
	case IPPROTO_ESP:
		/* Most likely for an SA of ours, and not to be forwarded */
		word = skb_header_pointer(skb, at, 4, buf);
		if (word && atomic_read(&f->spis[xe_spi_slot(*word)]))
			return false;
		break;
	case IPPROTO_AH:
		word = skb_header_pointer(skb, at + 4, 4, buf);
		break;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		icmp = skb_header_pointer(skb, at, sizeof(*icmp), buf);
		if (!icmp || icmp->code ||
		    !(key->proto == IPPROTO_ICMP ?
		      icmp->type == ICMP_ECHO || icmp->type == ICMP_ECHOREPLY :
		      icmp->type == ICMPV6_ECHO_REQUEST ||
		      icmp->type == ICMPV6_ECHO_REPLY))
			return false;
		key->ports = htonl(icmp->type << 16 | ntohs(icmp->un.echo.id));
		return true;
	case IPPROTO_GRE:
		gre = skb_header_pointer(skb, at, sizeof(*gre), buf);
		if (!gre || gre->flags & GRE_VERSION ||
		    (xe_flow_multipath(f->net, key->family) & 7) >= 2)
			return false;
		key->ports = 0;
		if (!(gre->flags & GRE_KEY))
			return true;
		at += sizeof(*gre) + (gre->flags & GRE_CSUM ? 4 : 0);
		word = skb_header_pointer(skb, at, 4, buf);
		break;
	default:
		return false;
	}
	if (!word)
		return false;
	key->ports = *word;
	return true;
}

/* Serial of the SA that a packet came out of; false: not one of ours alone */
static bool xe_flow_sa(const struct sk_buff *skb, u32 *serial)
{
	const struct sec_path *sp = skb_sec_path(skb);

	*serial = 0;
	if (!sp || !sp->len)
		return true;
	if (sp->len == 1)
		*serial = xe_standin_serial(sp->xvec[0]);
	return *serial;
}

/* Neither a bridge's, nor a VRF's, nor anything that needs more than a look */
static bool xe_flow_plain(const struct sk_buff *skb,
			  const struct net_device *in)
{
	if (skb->pkt_type != PACKET_HOST || skb->sk ||
	    netif_is_l3_master(in) || netif_is_l3_slave(in))
		return false;
#if IS_ENABLED(CONFIG_BRIDGE_NETFILTER)
	if (skb_ext_exist(skb, SKB_EXT_BRIDGE_NF))
		return false;
#endif
#ifdef CONFIG_NETWORK_SECMARK
	if (skb->secmark)
		return false;
#endif
	return true;
}

static bool xe_flow_key4(const struct sk_buff *skb, struct xe_flow_key *key)
{
	const struct iphdr *iph = ip_hdr(skb);

	if (iph->ihl != 5 || ip_is_fragment(iph) ||
	    ipv4_is_multicast(iph->daddr))
		return false;
	key->saddr = iph->saddr;
	key->daddr = iph->daddr;
	key->info = (__force __be32)(u32)iph->tos;
	key->proto = iph->protocol;
	return true;
}

static bool xe_flow_key6(const struct sk_buff *skb, struct xe_flow_key *key)
{
	const struct ipv6hdr *ip6 = ipv6_hdr(skb);

	if (ipv6_addr_is_multicast(&ip6->daddr) ||
	    ipv6_addr_type(&ip6->saddr) & IPV6_ADDR_LINKLOCAL ||
	    ipv6_addr_type(&ip6->daddr) & IPV6_ADDR_LINKLOCAL)
		return false;
	key->saddr6 = ip6->saddr;
	key->daddr6 = ip6->daddr;
	key->info = ip6_flowinfo(ip6);
	key->proto = ip6->nexthdr;
	return true;
}

/* False: a packet that takes the long way */
static __always_inline bool
xe_flow_key(const struct xe_flows *f, const struct sk_buff *skb,
	    const struct net_device *in, const u16 family,
	    struct xe_flow_key *key)
{
	int at = skb_network_offset(skb) + (family == AF_INET ?
		 sizeof(struct iphdr) : sizeof(struct ipv6hdr));

	if (!xe_flow_plain(skb, in) || !xe_flow_sa(skb, &key->sa))
		return false;
	key->family = family;
	key->mark = skb->mark;
	key->ifindex = in->ifindex;
	if (!(family == AF_INET ? xe_flow_key4(skb, key) :
				  xe_flow_key6(skb, key)))
		return false;
	/* Most */
	if (likely(key->proto == IPPROTO_UDP || key->proto == IPPROTO_TCP) &&
	    skb_headlen(skb) >= at + sizeof(key->ports)) {
		key->ports = get_unaligned((__be32 *)(skb->data + at));
		return true;
	}
	return xe_flow_ports(f, skb, at, key);
}

/*
 * As UMAC's NH (RFC 4418): a multiplication for each two words, and nobody who
 * does not know the seed can tell which flows meet
 */
static __always_inline u32
xe_flow_hash(const struct xe_flows *f, const struct xe_flow_key *key,
	     const u16 family)
{
	const unsigned int n = XE_KEY_WORDS(family);
	const u64 *w = key->words, *k = f->seed;
	u64 h = n % 2 ? (w[n - 1] + k[n - 1]) * k[n] : 0;
	unsigned int i;

	for (i = 0; i + 1 < n; i += 2)
		h += (w[i] + k[i]) * (w[i + 1] + k[i + 1]);
	return h >> 32;
}

static __always_inline struct xe_flow *
xe_flow_find(struct xe_flow_table *t, u32 hash, const struct xe_flow_key *key,
	     const u16 family)
{
	struct xe_flow *flow = &t->flows[hash % XE_FLOWS & ~(XE_PLACES - 1)];
	unsigned int i, n;

	for (i = 0; i < XE_PLACES; i++, flow++) {
		if (flow->hash != hash)
			continue;
		n = 0;
		while (flow->key.words[n] == key->words[n])
			if (++n == XE_KEY_WORDS(family))
				return flow;
	}
	return NULL;
}

/* Errors are for who has the route, not what policy has made of it */
static bool xe_flow_lasts(const struct sk_buff *skb, u16 family)
{
	return family == AF_INET ? ip_hdr(skb)->ttl > 1 :
				   ipv6_hdr(skb)->hop_limit > 1;
}

/*
 * MULTIPATH: the next packet of a list is not to take this one's destination
 * for a hint. NOPOLICY is IPv4's way to say so; IPv6 asks the destination.
 */
static void xe_flow_mark(struct sk_buff *skb, u16 family)
{
	if (family == AF_INET)
		IPCB(skb)->flags |= IPSKB_NOPOLICY | IPSKB_MULTIPATH;
	else
		IP6CB(skb)->flags |= IP6SKB_MULTIPATH;
}

static __always_inline unsigned int
xe_flow_pre_routing(struct xe_flows *f, struct sk_buff *skb,
		    const struct nf_hook_state *state, const u16 family)
{
	struct xe_flow_cpu *c = this_cpu_ptr(f->cpu);
	struct xe_flow_table *t;
	struct xe_flow_key key;
	struct dst_entry *dst;
	struct xe_flow *flow;
	struct xe_way *way;

	/*
	 * What the kernel looks at from here on is no older than this. Pairs
	 * with the increment in xe_flows_forget().
	 */
	c->gen = atomic_read_acquire(&f->gen);
	c->second = ktime_get_real_seconds();
	t = rcu_dereference(c->table);
	if (!t || skb_dst(skb) ||
	    !xe_flow_key(f, skb, state->in, family, &key) ||
	    !xe_flow_lasts(skb, family))
		return NF_ACCEPT;
	flow = xe_flow_find(t, xe_flow_hash(f, &key, family), &key, family);
	if (!flow || flow->second != c->second)
		return NF_ACCEPT;
	way = &t->ways[flow->way];
	dst = way->serial == flow->serial ? xe_way_dst(state, way) : NULL;
	if (!dst) {
		xe_flow_count(c, XFRM_EXT_FLOW_STAT_STALE);
		flow->second--;
		return NF_ACCEPT;
	}
	xe_flow_count(c, XFRM_EXT_FLOW_STAT_HITS);
	xe_flow_mark(skb, family);
	skb_dst_set_noref(skb, dst);
	return NF_ACCEPT;
}

static unsigned int xe_flow_pre_routing4(void *priv, struct sk_buff *skb,
					 const struct nf_hook_state *state)
{
	return xe_flow_pre_routing(priv, skb, state, AF_INET);
}

static unsigned int xe_flow_pre_routing6(void *priv, struct sk_buff *skb,
					 const struct nf_hook_state *state)
{
	return xe_flow_pre_routing(priv, skb, state, AF_INET6);
}

/* Is it for policy to decide by more than is in the key? */
static bool xe_bundle_simple(const struct dst_entry *dst)
{
	const struct xfrm_dst *xdst = (const struct xfrm_dst *)dst;
	int i;

	if (dst->flags & DST_XFRM_QUEUE)
		return false;
	for (i = 0; i < xdst->num_pols; i++)
		if (xdst->pols[i]->security ||
		    xdst->pols[i]->flags & XE_POLICY_CPU_ACQUIRE)
			return false;
	for (; dst->xfrm; dst = xfrm_dst_child(dst))
		if (dst->xfrm->security)
			return false;
	return true;
}

/* May packets be told to go that way? */
static bool xe_route_simple(const struct sk_buff *skb,
			    const struct dst_entry *route, u16 family,
			    const struct net_device *in, bool from_sa)
{
	/* Redirects are sent by what routing has found */
	if (route->lwtstate || (route->dev == in && !from_sa))
		return false;
#ifdef CONFIG_IP_ROUTE_CLASSID
	if (route->tclassid)
		return false;
#endif
	return family != AF_INET ||
	       ((const struct rtable *)route)->rt_type == RTN_UNICAST;
}

static bool xe_flow_worth(const struct sk_buff *skb,
			  const struct nf_hook_state *state, bool from_sa)
{
	const struct dst_entry *dst = skb_dst(skb), *route = dst;

	if (dst->xfrm) {
		if ((!from_sa && !xe_sa_of(dst->xfrm)) ||
		    !xe_bundle_simple(dst))
			return false;
		route = ((const struct xfrm_dst *)dst)->route;
	} else if (!from_sa) {
		return false;
	}
	return xe_route_simple(skb, route, state->pf, state->in, from_sa);
}

/*
 * What is received in a list, behind a packet to the same address, takes that
 * one's route, and nobody looks at the source. The next packet of the flow may
 * come alone.
 */
static bool xe_flow_source(struct sk_buff *skb,
			   const struct nf_hook_state *state)
{
	struct in_device *in_dev;
	unsigned long dst = skb->_skb_refdst;
	int err;

	if (state->pf != AF_INET)
		return true;
	in_dev = __in_dev_get_rcu(state->in);
	if (!in_dev || !IN_DEV_RPFILTER(in_dev))
		return in_dev;
	skb->_skb_refdst = 0;
	err = xe_route_input(skb);
	skb_dst_drop(skb);
	skb->_skb_refdst = dst;
	return !err;
}

/* The place of a flow, or one for it */
static struct xe_flow *xe_flow_place(struct xe_flow_cpu *c,
				     struct xe_flow_table *t, u32 hash,
				     const struct xe_flow_key *key)
{
	struct xe_flow *set = &t->flows[hash % XE_FLOWS & ~(XE_PLACES - 1)];
	struct xe_flow *flow = xe_flow_find(t, hash, key, key->family);

	if (flow)
		return flow;
	for (flow = set; flow < set + XE_PLACES; flow++)
		if (flow->second != c->second)
			return flow;
	xe_flow_count(c, XFRM_EXT_FLOW_STAT_EVICTED);
	return set + c->stat[XFRM_EXT_FLOW_STAT_EVICTED] % XE_PLACES;
}

static noinline void xe_flow_learn(struct xe_flows *f, struct sk_buff *skb,
				   const struct nf_hook_state *state)
{
	struct xe_flow_cpu *c = this_cpu_ptr(f->cpu);
	struct xe_flow_table *t = rcu_dereference(c->table);
	struct xe_flow_key key;
	struct xe_flow *flow;
	struct xe_way *way;
	u32 hash;

	if (!t || !xe_flow_key(f, skb, state->in, state->pf, &key) ||
	    !xe_flow_worth(skb, state, key.sa) ||
	    !xe_flow_source(skb, state) ||
	    c->gen != atomic_read(&f->gen))
		return;
	way = xe_way_learn(f, c, t, skb, state);
	if (!way)
		return;

	hash = xe_flow_hash(f, &key, key.family);
	flow = xe_flow_place(c, t, hash, &key);
	flow->key = key;
	flow->hash = hash;
	flow->way = way - t->ways;
	flow->serial = way->serial;
	flow->second = c->second;
	xe_flow_count(c, XFRM_EXT_FLOW_STAT_LEARNT);
}

static unsigned int xe_flow_forward(void *priv, struct sk_buff *skb,
				    const struct nf_hook_state *state)
{
	const struct dst_entry *dst = skb_dst(skb);

	/*
	 * Not what is nothing to us, is ours already, or is of a device that
	 * wants no policy
	 */
	if (dst && !(dst->flags & DST_NOXFRM) &&
	    (dst->xfrm || skb_sec_path(skb)))
		xe_flow_learn(priv, skb, state);
	return NF_ACCEPT;
}

static const struct nf_hook_ops xe_flow_hooks[] = {
	{
		.hook		= xe_flow_pre_routing4,
		.pf		= NFPROTO_IPV4,
		.hooknum	= NF_INET_PRE_ROUTING,
		.priority	= INT_MAX,
	},
	{
		.hook		= xe_flow_pre_routing6,
		.pf		= NFPROTO_IPV6,
		.hooknum	= NF_INET_PRE_ROUTING,
		.priority	= INT_MAX,
	},
	{
		.hook		= xe_flow_forward,
		.pf		= NFPROTO_IPV4,
		.hooknum	= NF_INET_FORWARD,
		.priority	= INT_MIN,
	},
	{
		.hook		= xe_flow_forward,
		.pf		= NFPROTO_IPV6,
		.hooknum	= NF_INET_FORWARD,
		.priority	= INT_MIN,
	},
};

/**
 * xe_flow_hooks_register - look at the packets that are forwarded
 * @net: namespace
 * @f: its part
 *
 * Context: process, may sleep.
 * Return: 0 or a negative errno.
 */
int xe_flow_hooks_register(struct net *net, struct xe_flows *f)
{
	unsigned int i;

	BUILD_BUG_ON(ARRAY_SIZE(f->hooks) != ARRAY_SIZE(xe_flow_hooks));
	for (i = 0; i < ARRAY_SIZE(xe_flow_hooks); i++) {
		f->hooks[i] = xe_flow_hooks[i];
		f->hooks[i].priv = f;
	}
	return nf_register_net_hooks(net, f->hooks, ARRAY_SIZE(f->hooks));
}

/**
 * xe_flow_hooks_unregister - look at no more
 * @net: namespace
 * @f: its part
 *
 * Context: process, may sleep.
 */
void xe_flow_hooks_unregister(struct net *net, struct xe_flows *f)
{
	nf_unregister_net_hooks(net, f->hooks, ARRAY_SIZE(f->hooks));
}
