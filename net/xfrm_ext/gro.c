// SPDX-License-Identifier: GPL-2.0-only
/*
 * Packets in, as early as GRO: what a device's NAPI gives to the stack is taken
 * before the outer packet is routed, if nobody on its way would look at it.
 *
 * For each protocol there is one who is asked, in a table of the kernel's. Where
 * esp4_offload or esp6_offload is, we stand before it, and what is not ours is
 * its as before. It takes packets past netfilter: whoever has it wants that. Where it
 * is not, we are there if we shall (a plain SA's packets would be asked about in
 * vain), and a packet is ours if netfilter has nothing to say about it.
 *
 * EESP, which has a protocol of its own, has a place of its own in the table, and is taken
 * when ESP would be; in UDP it comes with ESP.
 */
#include <linux/if_vlan.h>
#include <linux/module.h>
#include <linux/netfilter.h>
#include <net/gro.h>
#include <net/ip.h>
#include <net/ipv6.h>
#include <net/protocol.h>

#include "packet.h"

static bool xe_gro_alone;
module_param_named(gro, xe_gro_alone, bool, 0444);
MODULE_PARM_DESC(gro, "Take packets at GRO where esp4_offload or esp6_offload is not there, too (default N)");

/**
 * struct xe_gro - our place in one of the kernel's tables
 * @family: whose
 * @place: of who is asked about ESP
 * @offload: us
 * @next: who stood there before, whom we ask in turn; NULL: nobody
 * @module: name of who may want to stand there
 * @coming: it is being loaded; under xe_gro_lock
 */
struct xe_gro {
	u16 family;
	const struct net_offload __rcu **place;
	struct net_offload offload;
	const struct net_offload __rcu *next;
	const char *module;
	bool coming;
};

/* Notifiers are called at the same time as others, and as we go */
static DEFINE_MUTEX(xe_gro_lock);
static bool xe_gro_leaving;

/* Would netfilter see an ESP packet for this machine? */
static bool xe_gro_filtered(const struct net_device *dev, u16 family)
{
#ifdef CONFIG_NETFILTER
	const struct netns_nf *nf = &dev_net(dev)->nf;
	struct nf_hook_entries __rcu * const *hooks = nf->hooks_ipv4;

	if (family == AF_INET6)
		hooks = nf->hooks_ipv6;
	if (rcu_access_pointer(hooks[NF_INET_PRE_ROUTING]) ||
	    rcu_access_pointer(hooks[NF_INET_LOCAL_IN]))
		return true;
#endif
#ifdef CONFIG_NETFILTER_INGRESS
	if (rcu_access_pointer(dev->nf_hooks_ingress))
		return true;
#endif
	return false;
}

/* Would RPS give it to another CPU? */
static bool xe_gro_has_rps(const struct sk_buff *skb)
{
#ifdef CONFIG_RPS
	const struct net_device *dev = skb->dev;
	u16 queue = skb_rx_queue_recorded(skb) ? skb_get_rx_queue(skb) : 0;

	return queue < dev->real_num_rx_queues &&
	       rcu_access_pointer(dev->_rx[queue].rps_map);
#else
	return false;
#endif
}

/*
 * Would somebody miss it whom GRO comes before? What uses dev->rx_handler may
 * know that it is for another machine, and in a VRF the same address may be
 * another's. Generic XDP has seen to itself: with that there is no GRO.
 */
static bool xe_gro_missed(const struct sk_buff *skb)
{
	const struct net_device *dev = skb->dev;

	return skb_vlan_tag_present(skb) ||
	       rcu_access_pointer(dev->rx_handler) ||
	       netif_is_l3_slave(dev) || netif_has_l3_rx_handler(dev) ||
	       xe_dev_has_ingress(dev) || xe_gro_has_rps(skb);
}

/* Not all drivers have said by now for whom a frame is */
static bool xe_gro_for_us(const struct sk_buff *skb)
{
	return skb->pkt_type == PACKET_HOST &&
	       (skb->dev->type != ARPHRD_ETHER ||
		ether_addr_equal(eth_hdr(skb)->h_dest, skb->dev->dev_addr));
}

static unsigned int xe_gro_ip_len(u16 family)
{
	return family == AF_INET ? sizeof(struct iphdr) :
				   sizeof(struct ipv6hdr);
}

/*
 * Is this an outer header of such an SA, all of it and of nothing else? GRO has looked
 * at options, fragments and checksums, but for one that is not there.
 */
static bool xe_gro_outer(const struct sk_buff *skb, u16 family,
			 unsigned int encap_len, u8 protocol,
			 const void *header, unsigned int len)
{
	const struct udphdr *uh = header + xe_gro_ip_len(family);
	unsigned int all = len + skb_gro_len(skb);
	const struct ipv6hdr *ip6 = header;
	const struct iphdr *iph = header;

	if (encap_len)
		protocol = IPPROTO_UDP;
	if (len != xe_gro_ip_len(family) + encap_len)
		return false;
	/* UDP marks what it gives to a socket, and refuses what had a mark */
	if (NAPI_GRO_CB(skb)->encap_mark != !!encap_len ||
	    NAPI_GRO_CB(skb)->is_fou)
		return false;
	if (encap_len &&
	    (ntohs(uh->len) != skb_gro_len(skb) + encap_len ||
	     (family == AF_INET6 && !uh->check)))
		return false;
	if (family == AF_INET)
		return iph->protocol == protocol && ntohs(iph->tot_len) == all;
	return ip6->version == 6 && ip6->nexthdr == protocol &&
	       ntohs(ip6->payload_len) + sizeof(*ip6) == all;
}

/*
 * The first packet of an SA goes the way of all packets, and by that shows that the SA's
 * destination is this machine: of an SA for what we send, or of another
 * machine's ESP, GRO must not take anything.
 */
static bool xe_gro_takes(const struct xe_gro *g, const struct xe_sa *sa,
			 const struct sk_buff *skb, const void *header,
			 unsigned int len, const struct net_offload *next)
{
	__be16 protocol = g->family == AF_INET ? htons(ETH_P_IP) :
						 htons(ETH_P_IPV6);

	return READ_ONCE(sa->home) >= 0 && sa->mode != &xe_mode_transport &&
	       skb->protocol == protocol && !skb_is_gso(skb) &&
	       !skb_sec_path(skb) &&
	       xe_gro_outer(skb, g->family, sa->encap_len, sa->protocol, header,
			    len) &&
	       xe_gro_for_us(skb) && !xe_gro_missed(skb) &&
	       (next || !xe_gro_filtered(skb->dev, g->family));
}

/*
 * May what is in a packet's pages be decrypted there? Of those only the ones that
 * come out of a page pool are surely memory that no process sees: others may be
 * what somebody in another namespace sends from, who could read there what we
 * decrypt, or change what we have authenticated. With one reference to a page
 * it is in no copy of the packet either, as nft's dup makes them.
 */
static bool xe_gro_private(const struct sk_buff *skb)
{
#ifdef CONFIG_PAGE_POOL
	int i;

	if (!skb->pp_recycle || skb_cloned(skb) || skb_has_frag_list(skb) ||
	    skb_has_shared_frag(skb) || !xe_frags_readable(skb))
		return false;
	for (i = 0; i < skb_shinfo(skb)->nr_frags; i++)
		if (page_count(skb_frag_page(&skb_shinfo(skb)->frags[i])) != 1)
			return false;
	return true;
#else
	return false;
#endif
}

static struct sk_buff *xe_gro_decline(struct sk_buff *skb)
{
	NAPI_GRO_CB(skb)->same_flow = 0;
	NAPI_GRO_CB(skb)->flush = 1;
	return NULL;
}

/* What is not ours */
static struct sk_buff *xe_gro_pass(const struct net_offload *next,
				   struct list_head *head, struct sk_buff *skb)
{
	if (next && next->callbacks.gro_receive)
		return next->callbacks.gro_receive(head, skb);
	return xe_gro_decline(skb);
}

/* The outer header of what GRO has got to; NULL: there is none that we know */
static const void *xe_gro_header(const struct xe_gro *g, struct sk_buff *skb,
				 unsigned int need)
{
	unsigned int at = skb_gro_offset(skb);
	unsigned int len = at - skb_network_offset(skb);

	if (len > at || len < xe_gro_ip_len(g->family))
		return NULL;
	return skb_gro_header(skb, at + need, at - len);
}

static struct xe_sa *xe_gro_sa(const struct xe_gro *g,
			       const struct sk_buff *skb, const void *header,
			       __be32 spi)
{
	if (!header)
		return NULL;
	return xe_sa_lookup(dev_net(skb->dev), g->family,
			    g->family == AF_INET ?
			    (const void *)&((const struct iphdr *)header)->daddr :
			    &((const struct ipv6hdr *)header)->daddr,
			    spi, skb->mark);
}

/* It is an SA's that is ours: here, or else where all packets go */
static struct sk_buff *xe_gro_take(const struct xe_gro *g,
				   const struct net_offload *next,
				   struct xe_sa *sa, struct sk_buff *skb,
				   const void *header)
{
	unsigned int at = skb_gro_offset(skb);
	unsigned int len = at - skb_network_offset(skb);

	if (!xe_gro_takes(g, sa, skb, header, len, next) ||
	    !pskb_may_pull(skb, at + xe_esp_len(sa) - sa->encap_len))
		return xe_gro_decline(skb);

	skb_pull(skb, at);
	skb_set_network_header(skb, -(int)len);
	skb_reset_transport_header(skb);
	if (g->family == AF_INET) {
		memset(IPCB(skb), 0, sizeof(*IPCB(skb)));
	} else {
		memset(IP6CB(skb), 0, sizeof(*IP6CB(skb)));
		/* There are no extension headers */
		IP6CB(skb)->nhoff = offsetof(struct ipv6hdr, nexthdr);
	}
	xe_receive(sa, skb, xe_gro_private(skb));
	return ERR_PTR(-EINPROGRESS);
}

static bool xe_gro_fast(const struct xe_sa *sa)
{
	return !(sa->params.flags & XFRM_EXT_SA_F_NO_FASTPATH) && !sa->x->if_id;
}

/* There is an SA of ours with an SPI like this one */
static noinline struct sk_buff *
xe_gro_ours(const struct xe_gro *g, const struct net_offload *next,
	    struct list_head *head, struct sk_buff *skb, __be32 spi)
{
	const void *header;
	struct xe_sa *sa;

	xe_assert_bh_off();
	header = xe_gro_header(g, skb, sizeof(spi));
	sa = xe_gro_sa(g, skb, header, spi);
	if (!sa || !xe_gro_fast(sa))
		return xe_gro_pass(next, head, skb);
	/* Of eesp what stands there is no SPI, and nobody else's either */
	if (sa->encap_type == XE_ENCAP_OWN)
		return xe_gro_decline(skb);
	return xe_gro_take(g, next, sa, skb, header);
}

/* The same of EESP; NULL: there is none, and who has asked goes on */
static noinline struct xe_sa *xe_gro_eesp_ours(const struct xe_gro *g,
					       struct sk_buff *skb,
					       const void **header)
{
	const struct xe_net *xn = xe_net(dev_net(skb->dev));
	unsigned int at = skb_gro_offset(skb);
	const u8 *base = skb_gro_header(skb, at + XE_EESP_BASE_LEN, at);
	struct xe_sa *sa;
	__be32 spi;

	xe_assert_bh_off();
	if (!base || !READ_ONCE(xe_fastpath))
		return NULL;
	spi = xe_eesp_spi(base);
	if (!atomic_read(&xn->spis[xe_spi_slot(spi)]))
		return NULL;
	*header = xe_gro_header(g, skb, XE_EESP_BASE_LEN);
	sa = xe_gro_sa(g, skb, *header, spi);
	return sa && sa->encap_type == XE_ENCAP_OWN && xe_gro_fast(sa) ?
	       sa : NULL;
}

/* In UDP, with ESP, from which the first bit tells it */
static bool xe_gro_may_be_eesp(const struct sk_buff *skb, const __be32 *first)
{
	return static_branch_unlikely(&xe_eesp_used) && first &&
	       NAPI_GRO_CB(skb)->encap_mark &&
	       *(const u8 *)first & XE_EESP_NOT_ESP;
}

static struct sk_buff *xe_gro_receive(const struct xe_gro *g,
				      struct list_head *head,
				      struct sk_buff *skb)
{
	const struct net_offload *next = rcu_dereference(g->next);
	const struct xe_net *xn = xe_net(dev_net(skb->dev));
	unsigned int at = skb_gro_offset(skb);
	const __be32 *spi = skb_gro_header(skb, at + sizeof(*spi), at);
	const void *header;
	struct xe_sa *sa;

	if (xe_gro_may_be_eesp(skb, spi)) {
		sa = xe_gro_eesp_ours(g, skb, &header);
		if (sa)
			return xe_gro_take(g, next, sa, skb, header);
		/* The header may have moved */
		spi = skb_gro_header(skb, at + sizeof(*spi), at);
	}
	if (likely(spi) && atomic_read(&xn->spis[xe_spi_slot(*spi)]) &&
	    READ_ONCE(xe_fastpath))
		return xe_gro_ours(g, next, head, skb, *spi);
	return xe_gro_pass(next, head, skb);
}

static struct sk_buff *xe_gro_receive4(struct list_head *head,
				       struct sk_buff *skb);
static struct sk_buff *xe_gro_receive6(struct list_head *head,
				       struct sk_buff *skb);

static struct xe_gro xe_gro4 = {
	.family	= AF_INET,
	.place	= &inet_offloads[IPPROTO_ESP],
	.offload.callbacks.gro_receive = xe_gro_receive4,
	.module	= "esp4_offload",
};

static struct xe_gro xe_gro6 = {
	.family	= AF_INET6,
	.place	= &inet6_offloads[IPPROTO_ESP],
	.offload.callbacks.gro_receive = xe_gro_receive6,
	.module	= "esp6_offload",
};

static struct sk_buff *xe_gro_receive4(struct list_head *head,
				       struct sk_buff *skb)
{
	return xe_gro_receive(&xe_gro4, head, skb);
}

static struct sk_buff *xe_gro_receive6(struct list_head *head,
				       struct sk_buff *skb)
{
	return xe_gro_receive(&xe_gro6, head, skb);
}

/* EESP by its own number is taken when ESP is, and else goes where all packets go */
static struct sk_buff *xe_gro_eesp(const struct xe_gro *g, struct sk_buff *skb)
{
	const struct net_offload *next = rcu_dereference(g->next);
	struct xe_sa *sa = NULL;
	const void *header;

	if (rcu_access_pointer(*g->place) == &g->offload &&
	    !NAPI_GRO_CB(skb)->encap_mark)
		sa = xe_gro_eesp_ours(g, skb, &header);
	return sa ? xe_gro_take(g, next, sa, skb, header) : xe_gro_decline(skb);
}

static struct sk_buff *xe_gro_eesp4(struct list_head *head, struct sk_buff *skb)
{
	return xe_gro_eesp(&xe_gro4, skb);
}

static struct sk_buff *xe_gro_eesp6(struct list_head *head, struct sk_buff *skb)
{
	return xe_gro_eesp(&xe_gro6, skb);
}

static const struct net_offload xe_gro_eesp_offload4 = {
	.callbacks.gro_receive = xe_gro_eesp4,
};

static const struct net_offload xe_gro_eesp_offload6 = {
	.callbacks.gro_receive = xe_gro_eesp6,
};

/**
 * xe_gro_eesp_begin - there are SAs of EESP
 * @protocol: its IP protocol number; if somebody has that at GRO, he keeps it
 *
 * Context: process, may sleep.
 */
void xe_gro_eesp_begin(u8 protocol)
{
	if (!IS_ENABLED(CONFIG_XFRM_OFFLOAD))
		return;
	inet_add_offload(&xe_gro_eesp_offload4, protocol);
	inet6_add_offload(&xe_gro_eesp_offload6, protocol);
}

/**
 * xe_gro_eesp_end - there are none any more
 * @protocol: the same
 *
 * Context: process, may sleep. No packet of it is with us when this returns.
 */
void xe_gro_eesp_end(u8 protocol)
{
	if (!IS_ENABLED(CONFIG_XFRM_OFFLOAD))
		return;
	inet6_del_offload(&xe_gro_eesp_offload6, protocol);
	inet_del_offload(&xe_gro_eesp_offload4, protocol);
}

/* What the module that may stand there has with xfrm, as long as it is there */
static const struct xfrm_type_offload *xe_gro_type(const struct xe_gro *g)
{
	const struct xfrm_type_offload *type = NULL;
	const struct xfrm_state_afinfo *afinfo;

	rcu_read_lock();
	afinfo = xfrm_state_afinfo_get_rcu(g->family);
	if (afinfo)
		type = READ_ONCE(afinfo->type_offload_esp);
	rcu_read_unlock();
	return type;
}

/*
 * Whoever stood there before us stands there again. If he is going he has looked
 * for himself, and found us: but first he has told xfrm.
 */
static void xe_gro_leave(struct xe_gro *g)
{
	const struct net_offload *next = rcu_dereference_protected(g->next, 1);
	const struct net_offload **place = (const struct net_offload **)g->place;

	if (cmpxchg(place, &g->offload, next) != &g->offload)
		return;
	if (next && !xe_gro_type(g))
		cmpxchg(place, next, NULL);
	synchronize_net();
	RCU_INIT_POINTER(g->next, NULL);
}

/* What else it does, it does as before: we are called for what GRO has */
static void xe_gro_enter(struct xe_gro *g)
{
	const struct net_offload **place = (const struct net_offload **)g->place;
	const struct net_offload *next = rcu_access_pointer(*g->place);

	if (next == &g->offload || xe_gro_leaving || g->coming ||
	    (!next && !xe_gro_alone))
		return;
	g->offload.callbacks.gso_segment = next ? next->callbacks.gso_segment :
						  NULL;
	g->offload.callbacks.gro_complete =
		next ? next->callbacks.gro_complete : NULL;
	g->offload.flags = next ? next->flags : 0;
	rcu_assign_pointer(g->next, next);
	if (cmpxchg(place, next, &g->offload) != next)
		RCU_INIT_POINTER(g->next, NULL);
}

/*
 * A module that finds its place taken does not load, and xfrm keeps what then
 * is no more. So it finds it empty, and we come back behind it. Was it about to
 * look when we came, we take from xfrm what it has left there.
 */
static void xe_gro_gone(struct xe_gro *g, const struct module *mod)
{
	const struct net_offload *next = rcu_dereference_protected(g->next, 1);
	const struct xfrm_type_offload *type = xe_gro_type(g);

	if (type && within_module((unsigned long)type, mod)) {
		xfrm_unregister_type_offload(type, g->family);
		synchronize_net();
	}
	/* It has not found itself there: nobody must ask it any more */
	if (next && within_module((unsigned long)next, mod)) {
		RCU_INIT_POINTER(g->next, NULL);
		xe_gro_leave(g);
	}
	xe_gro_enter(g);
}

static void xe_gro_module(struct xe_gro *g, const struct module *mod,
			  unsigned long state)
{
	/* Late: who was being loaded has his place by now; if not, xe_gro_gone() */
	if (mod == THIS_MODULE && state == MODULE_STATE_LIVE)
		xe_gro_enter(g);
	if (strcmp(mod->name, g->module))
		return;
	g->coming = state == MODULE_STATE_COMING;
	switch (state) {
	case MODULE_STATE_COMING:
		xe_gro_leave(g);
		break;
	case MODULE_STATE_LIVE:
		xe_gro_enter(g);
		break;
	case MODULE_STATE_GOING:
		xe_gro_gone(g, mod);
		break;
	}
}

static int xe_gro_notify(struct notifier_block *nb, unsigned long state,
			 void *mod)
{
	mutex_lock(&xe_gro_lock);
	xe_gro_module(&xe_gro4, mod, state);
	xe_gro_module(&xe_gro6, mod, state);
	mutex_unlock(&xe_gro_lock);
	return NOTIFY_OK;
}

static struct notifier_block xe_gro_notifier = {
	.notifier_call = xe_gro_notify,
};

/**
 * xe_gro_init - take part in GRO as soon as the module is there
 *
 * Without XFRM_OFFLOAD the kernel goes on with packets that were taken.
 *
 * Return: 0 or a negative errno.
 */
int xe_gro_init(void)
{
	if (!IS_ENABLED(CONFIG_XFRM_OFFLOAD))
		return 0;
	return register_module_notifier(&xe_gro_notifier);
}

/**
 * xe_gro_exit - no more
 *
 * Context: module unload. No packet is with us when this returns.
 */
void xe_gro_exit(void)
{
	if (!IS_ENABLED(CONFIG_XFRM_OFFLOAD))
		return;
	/* As long as we stand there we must know who comes */
	mutex_lock(&xe_gro_lock);
	xe_gro_leaving = true;
	xe_gro_leave(&xe_gro4);
	xe_gro_leave(&xe_gro6);
	mutex_unlock(&xe_gro_lock);
	unregister_module_notifier(&xe_gro_notifier);
}
