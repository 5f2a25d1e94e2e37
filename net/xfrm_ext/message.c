// SPDX-License-Identifier: GPL-2.0-only
/*
 * Messages of the generic netlink family: what of an SA is told in answers
 * (netlink.c) and in events (events.c) alike.
 */
#include <net/genetlink.h>

#include "sa.h"

static const struct genl_multicast_group xe_mcgrps[] = {
	[XE_MCGRP_EVENTS] = {
		.name	= XFRM_EXT_MCGRP_EVENTS,
		.flags	= GENL_MCAST_CAP_NET_ADMIN,
	},
	[XE_MCGRP_ECHO] = {
		.name	= XFRM_EXT_MCGRP_ECHO,
		.flags	= GENL_MCAST_CAP_NET_ADMIN,
	},
};

/* What it is asked for, netlink.c says */
struct genl_family xe_family __ro_after_init = {
	.name		= XFRM_EXT_GENL_NAME,
	.version	= XFRM_EXT_GENL_VERSION,
	.netnsok	= true,
	.module		= THIS_MODULE,
	.mcgrps		= xe_mcgrps,
	.n_mcgrps	= ARRAY_SIZE(xe_mcgrps),
};

/**
 * xe_message_put_id - say which SA
 * @skb: message
 * @id: which
 *
 * Context: any.
 * Return: 0 or -EMSGSIZE.
 */
int xe_message_put_id(struct sk_buff *skb, const struct xe_id *id)
{
	if (nla_put_u16(skb, XFRM_EXT_A_FAMILY, id->family) ||
	    nla_put(skb, XFRM_EXT_A_DADDR, id->family == AF_INET ? 4 : 16,
		    &id->daddr) ||
	    nla_put_be32(skb, XFRM_EXT_A_SPI, id->spi) ||
	    nla_put_u32(skb, XFRM_EXT_A_MARK, id->mark.v) ||
	    nla_put_u32(skb, XFRM_EXT_A_MARK_MASK, id->mark.m))
		return -EMSGSIZE;
	return 0;
}

/**
 * xe_message_put_stats - say what has been counted
 * @skb: message
 * @sum: by enum xfrm_ext_stat
 *
 * Context: any.
 * Return: 0 or -EMSGSIZE.
 */
int xe_message_put_stats(struct sk_buff *skb,
			 const u64 sum[XFRM_EXT_STAT_MAX + 1])
{
	struct nlattr *nest = nla_nest_start(skb, XFRM_EXT_A_STATS);
	int i;

	if (!nest)
		return -EMSGSIZE;
	for (i = XFRM_EXT_STAT_PAD + 1; i <= XFRM_EXT_STAT_MAX; i++)
		if (nla_put_u64_64bit(skb, i, sum[i], XFRM_EXT_STAT_PAD))
			return -EMSGSIZE;
	nla_nest_end(skb, nest);
	return 0;
}

/**
 * xe_message_put_tx - say how a transmit subspace fares, if it has been used
 * @skb: message
 * @sa: SA
 * @place: in the SA's range
 *
 * Context: any.
 * Return: 0 or -EMSGSIZE.
 */
int xe_message_put_tx(struct sk_buff *skb, const struct xe_sa *sa, u32 place)
{
	const struct xe_counter *c = xe_counter_seen(sa, place);
	u32 id = sa->params.tx_base + place;
	struct nlattr *nest;

	if (!c)
		return 0;
	nest = nla_nest_start(skb, XFRM_EXT_A_TX_SUBSPACE);
	if (!nest || nla_put_u32(skb, XFRM_EXT_SUBSPACE_ID, id) ||
	    nla_put_u64_64bit(skb, XFRM_EXT_SUBSPACE_HIGHEST,
			      xe_counter_last(c), XFRM_EXT_SUBSPACE_PAD)) {
		nla_nest_cancel(skb, nest);
		return -EMSGSIZE;
	}
	nla_nest_end(skb, nest);
	return 0;
}

/**
 * xe_message_put_rx - say how a receive subspace fares, if it has been used
 * @skb: message
 * @sa: SA
 * @id: its Subspace ID
 *
 * Context: any.
 * Return: 0 or -EMSGSIZE.
 */
int xe_message_put_rx(struct sk_buff *skb, const struct xe_sa *sa, u32 id)
{
	const struct xe_window *w = xe_window_seen(sa, id);
	struct nlattr *nest;

	if (!w)
		return 0;
	xe_subspaces_settle(sa);
	nest = nla_nest_start(skb, XFRM_EXT_A_RX_SUBSPACE);
	if (!nest || nla_put_u32(skb, XFRM_EXT_SUBSPACE_ID, id) ||
	    nla_put_u64_64bit(skb, XFRM_EXT_SUBSPACE_HIGHEST,
			      xe_window_top(w), XFRM_EXT_SUBSPACE_PAD) ||
	    nla_put_u64_64bit(skb, XFRM_EXT_SUBSPACE_PACKETS,
			      xe_window_packets(w), XFRM_EXT_SUBSPACE_PAD) ||
	    nla_put_u64_64bit(skb, XFRM_EXT_SUBSPACE_REPLAYS,
			      atomic64_read(&w->replays), XFRM_EXT_SUBSPACE_PAD) ||
	    nla_put_u64_64bit(skb, XFRM_EXT_SUBSPACE_TOO_OLD,
			      atomic64_read(&w->too_old), XFRM_EXT_SUBSPACE_PAD) ||
	    nla_put_u64_64bit(skb, XFRM_EXT_SUBSPACE_BACKTRACK,
			      atomic64_read(&w->backtrack), XFRM_EXT_SUBSPACE_PAD)) {
		nla_nest_cancel(skb, nest);
		return -EMSGSIZE;
	}
	nla_nest_end(skb, nest);
	return 0;
}

/**
 * xe_message_event - begin an event
 * @cmd: which
 * @hdr: for genlmsg_end()
 *
 * Context: any.
 * Return: a message, or NULL without memory.
 */
struct sk_buff *xe_message_event(enum xfrm_ext_cmd cmd, void **hdr)
{
	struct sk_buff *msg = genlmsg_new(NLMSG_DEFAULT_SIZE, GFP_ATOMIC);

	if (!msg)
		return NULL;
	*hdr = genlmsg_put(msg, 0, 0, &xe_family, 0, cmd);
	if (*hdr)
		return msg;
	nlmsg_free(msg);
	return NULL;
}

/**
 * xe_message_multicast - send an event to all who listen
 * @msg: event, complete; consumed
 * @net: namespace it is of
 * @group: who these are
 *
 * Context: any.
 */
void xe_message_multicast(struct sk_buff *msg, struct net *net,
			  enum xe_mcgrp group)
{
	genlmsg_multicast_netns(&xe_family, net, msg, 0, group, GFP_ATOMIC);
}
