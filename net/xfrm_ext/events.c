// SPDX-License-Identifier: GPL-2.0-only
/*
 * Events: what a daemon or an operator should hear of without asking.
 *
 * Those that an authenticated packet or our own sending causes come once for
 * each subspace. Those that anybody can cause who can send to us come once in
 * ten seconds for each SA, however hard he tries; and so does what a peer does with each
 * of its packets.
 *
 * All are best effort: without memory nobody hears of it, but the counters
 * tell.
 */
#include <linux/jiffies.h>
#include <linux/log2.h>
#include <net/genetlink.h>

#include "state.h"

#define XE_EVENT_REST	(10 * HZ)
#define XE_DROPS_ALARM	1000	/* packets within XE_EVENT_REST */
#define XE_FORGED_ALARM	16	/* packets */

typedef int xe_put(struct sk_buff *skb, const struct xe_sa *sa, u32 place);

static void xe_event(const struct xe_sa *sa, enum xfrm_ext_cmd cmd,
		     xe_put *put, u32 place)
{
	struct sk_buff *msg;
	void *hdr;

	msg = xe_message_event(cmd, &hdr);
	if (!msg)
		return;
	if (xe_message_put_id(msg, &sa->id) || put(msg, sa, place)) {
		nlmsg_free(msg);
		return;
	}
	genlmsg_end(msg, hdr);
	xe_message_multicast(msg, xs_net(sa->x), XE_MCGRP_EVENTS);
}

static int xe_put_forged(struct sk_buff *skb, const struct xe_sa *sa, u32 n)
{
	if (sa->rule && nla_put_u32(skb, XFRM_EXT_A_RULE_PREF, sa->rule))
		return -EMSGSIZE;
	return nla_put_u64_64bit(skb, XFRM_EXT_A_UNAUTHENTIC, n, XFRM_EXT_A_PAD);
}

static int xe_put_out_of_range(struct sk_buff *skb, const struct xe_sa *sa,
			       u32 subspace)
{
	return nla_put_u32(skb, XFRM_EXT_A_OUT_OF_RANGE, subspace);
}

static int xe_put_reassembled(struct sk_buff *skb, const struct xe_sa *sa,
			      u32 fragment)
{
	return nla_put_u32(skb, XFRM_EXT_A_FRAGMENT_MAX, fragment);
}

/* Subspace, and from bit 16 on octets in clear */
static int xe_put_crypt_offset(struct sk_buff *skb, const struct xe_sa *sa,
			       u32 what)
{
	return xe_message_put_rx(skb, sa, what & 0xffff) ?:
	       nla_put_u32(skb, XFRM_EXT_A_EXPOSED, what >> 16);
}

/* Has there been no such event for a while? Then there is one now. */
static bool xe_event_due(unsigned long *next)
{
	unsigned long due = READ_ONCE(*next), now = jiffies;

	if (due && time_before(now, due))
		return false;
	return cmpxchg(next, due, (now + XE_EVENT_REST) | 1) == due;
}

/**
 * xe_event_tx - tell everybody about a transmit subspace
 * @sa: SA
 * @cmd: what has happened to it
 * @place: in the SA's range; its counter exists
 *
 * Context: any.
 */
void xe_event_tx(struct xe_sa *sa, enum xfrm_ext_cmd cmd, u32 place)
{
	xe_event(sa, cmd, xe_message_put_tx, place);
}

/**
 * xe_event_rx - tell everybody about a receive subspace
 * @sa: SA
 * @cmd: what has happened to it
 * @subspace: its window exists
 *
 * Context: any.
 */
void xe_event_rx(struct xe_sa *sa, enum xfrm_ext_cmd cmd, u32 subspace)
{
	xe_event(sa, cmd, xe_message_put_rx, subspace);
}

/**
 * xe_event_window_drops - windows have refused packets
 * @sa: SA
 * @subspace: of the last one
 * @n: how many of xe_alarm::drops are new
 *
 * Context: any.
 */
void xe_event_window_drops(struct xe_sa *sa, u32 subspace, unsigned int n)
{
	struct xe_alarm *a = &sa->alarm;
	unsigned long since = READ_ONCE(a->since), now = jiffies;
	unsigned int drops = atomic_read(&a->drops);

	if (time_after(now, since + XE_EVENT_REST) &&
	    cmpxchg(&a->since, since, now) == since)
		WRITE_ONCE(a->drops_since, drops - n);
	if (drops - READ_ONCE(a->drops_since) >= XE_DROPS_ALARM &&
	    xe_event_due(&a->drops_next))
		xe_event_rx(sa, XFRM_EXT_CMD_WINDOW_DROPS, subspace);
}

/**
 * xe_event_out_of_range - a Subspace ID has come that is none of the SA's
 * @sa: SA
 * @subspace: not authenticated
 *
 * Context: any.
 */
void xe_event_out_of_range(struct xe_sa *sa, u32 subspace)
{
	if (!READ_ONCE(sa->out_of_range))
		cmpxchg(&sa->out_of_range, 0, subspace + 1);
	if (xe_event_due(&sa->alarm.range_next))
		xe_event(sa, XFRM_EXT_CMD_OUT_OF_RANGE, xe_put_out_of_range,
			 subspace);
}

/**
 * xe_event_crypt_offset - an authentic packet says more in clear than its SA accepts
 * @sa: SA in eesp
 * @subspace: of the packet; its window exists
 * @exposed: octets in clear
 *
 * A key manager may end the SA: draft-ietf-ipsecme-eesp section 3.1.2.
 *
 * Context: any.
 */
void xe_event_crypt_offset(struct xe_sa *sa, u32 subspace, u8 exposed)
{
	if (xe_event_due(&sa->alarm.crypt_next))
		xe_event(sa, XFRM_EXT_CMD_CRYPT_OFFSET, xe_put_crypt_offset,
			 (u32)exposed << 16 | subspace);
}

/* Whether there was an authentic packet; it may have been dropped for what is in it */
static bool xe_event_authentic(const struct xe_sa *sa)
{
	static const u8 behind_icv[] = {
		XFRM_EXT_STAT_RX_PACKETS,
		XFRM_EXT_STAT_RX_TRAILER,
		XFRM_EXT_STAT_RX_NEXT_HEADER,
		XFRM_EXT_STAT_RX_DUMMY,
		XFRM_EXT_STAT_RX_PSEUDO_HEADER,
		XFRM_EXT_STAT_RX_FRAGMENT,
		XFRM_EXT_STAT_RX_INNER,
		XFRM_EXT_STAT_RX_NOMEM_WINDOW,
		XFRM_EXT_STAT_RX_CRYPT_OFFSET,
		XFRM_EXT_STAT_RX_ECHO,
		XFRM_EXT_STAT_RX_ECHO_REFUSED,
	};
	int i;

	for (i = 0; i < ARRAY_SIZE(behind_icv); i++)
		if (xe_stat_sum(sa, behind_icv[i]))
			return true;
	return false;
}

/**
 * xe_event_forged - the authentication of a packet has failed
 * @sa: SA
 *
 * If that is so of all that have come since the SA was made, keys or format are not the
 * peer's: somebody should know. Anybody can cause it, but each time it takes him as many
 * packets as all before.
 *
 * Context: any.
 */
void xe_event_forged(struct xe_sa *sa)
{
	struct xe_alarm *a = &sa->alarm;
	u32 n;

	/* From then on nothing is written that another CPU may have */
	if (READ_ONCE(a->authentic))
		return;
	n = atomic_inc_return(&a->forged);
	if (n < XE_FORGED_ALARM || !is_power_of_2(n))
		return;
	if (xe_event_authentic(sa))
		WRITE_ONCE(a->authentic, true);
	else
		xe_event(sa, XFRM_EXT_CMD_NONE_AUTHENTIC, xe_put_forged, n);
}

/**
 * xe_event_reassembled - an authentic packet has come as fragments
 * @sa: SA
 * @fragment: octets of the largest of these, with its IP header
 *
 * The first time somebody is told: the sender knows nothing of a path that cuts its packets,
 * and each of them is lost with any of its fragments.
 *
 * Context: BH off.
 */
void xe_event_reassembled(struct xe_sa *sa, u32 fragment)
{
	u32 max = READ_ONCE(sa->fragment_max);

	xe_count(&this_cpu_ptr(sa->cpu)->reassembled, 1);
	if (!max && !cmpxchg(&sa->fragment_max, 0, fragment))
		xe_event(sa, XFRM_EXT_CMD_REASSEMBLED, xe_put_reassembled,
			 fragment);
	max = READ_ONCE(sa->fragment_max);
	while (fragment > max && !try_cmpxchg(&sa->fragment_max, &max, fragment))
		;
}
