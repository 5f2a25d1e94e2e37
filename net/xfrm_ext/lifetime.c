// SPDX-License-Identifier: GPL-2.0-only
/*
 * An SA's lifetime in packets, octets and use time (RFC 4301 section
 * 4.4.2.1), without a shared lock per packet.
 *
 * The kernel keeps the counts in xfrm_state::curlft, under xfrm_state::lock,
 * and acts on them in xfrm_state_check_expire(). Here each CPU gets a credit
 * of packets and octets, good for a second at most; only when it is used up
 * are the counts brought over ("folded") and the limits looked at. Near a
 * limit no credit is given or honoured: every packet folds what all CPUs have
 * used and looks, so that limits are kept to the packet, but for one packet
 * on each other CPU that was past the question already.
 *
 * So xfrm_state::curlft lags by at most a credit per CPU; asking the module for
 * the SA folds all. The kernel, when it looks at a limit for a packet on its own
 * path, sees the lagging figures. An SA without such limits has only that lag to
 * keep small: a CPU that has used its credit up within a second gets twice as
 * much, so that a fast one takes the lock once in XE_CREDIT_MAX packets and the
 * lag of a slow one stays what it is.
 */
#include <linux/jiffies.h>

#include "sa.h"

#define XE_CREDIT_PACKETS	64u
#define XE_CREDIT_MAX		4096u
#define XE_CREDIT_OCTETS	2048u	/* for each packet of a credit */
#define XE_CREDIT_BYTES		(XE_CREDIT_PACKETS * XE_CREDIT_OCTETS)

static void xe_lifetime_fold_cpu(struct xfrm_state *x, struct xe_cpu *c)
{
	u64 packets = READ_ONCE(c->packets);
	u64 bytes = READ_ONCE(c->bytes);
	time64_t used;

	lockdep_assert_held(&x->lock);
	if (packets == c->folded_packets)
		return;
	x->curlft.packets += packets - c->folded_packets;
	x->curlft.bytes += bytes - c->folded_bytes;
	c->folded_packets = packets;
	c->folded_bytes = bytes;
	/* They passed within a second from when the credit was given */
	used = ktime_get_real_seconds() -
	       (jiffies - READ_ONCE(c->stamp)) / HZ;
	if (used > x->lastused)
		WRITE_ONCE(x->lastused, used);
}

static void xe_lifetime_fold_all(struct xe_sa *sa)
{
	int cpu;

	for_each_possible_cpu(cpu)
		xe_lifetime_fold_cpu(sa->x, per_cpu_ptr(sa->cpu, cpu));
}

/* Is there room below the limit for two full credits of every CPU? */
static bool xe_lifetime_far(u64 limit, u64 now, u64 credit)
{
	return limit == XFRM_INF ||
	       (now < limit && limit - now >= 2 * credit * num_possible_cpus());
}

static bool xe_lifetime_credit(const struct xfrm_state *x)
{
	const struct xfrm_lifetime_cur *cur = &x->curlft;
	const struct xfrm_lifetime_cfg *lft = &x->lft;

	if (!xe_lifetime_far(lft->hard_packet_limit, cur->packets,
			     XE_CREDIT_PACKETS) ||
	    !xe_lifetime_far(lft->hard_byte_limit, cur->bytes,
			     XE_CREDIT_BYTES))
		return false;
	/* A soft limit is announced once */
	return x->km.dying ||
	       (xe_lifetime_far(lft->soft_packet_limit, cur->packets,
				XE_CREDIT_PACKETS) &&
		xe_lifetime_far(lft->soft_byte_limit, cur->bytes,
				XE_CREDIT_BYTES));
}

static bool xe_lifetime_unlimited(const struct xfrm_lifetime_cfg *lft)
{
	return lft->soft_packet_limit == XFRM_INF &&
	       lft->hard_packet_limit == XFRM_INF &&
	       lft->soft_byte_limit == XFRM_INF &&
	       lft->hard_byte_limit == XFRM_INF;
}

static void xe_lifetime_grant(const struct xfrm_state *x, struct xe_cpu *c)
{
	bool soon = c->granted && time_before_eq(jiffies, c->stamp + HZ);

	c->granted = soon && xe_lifetime_unlimited(&x->lft) ?
		     min(2 * c->granted, XE_CREDIT_MAX) : XE_CREDIT_PACKETS;
	c->credit_packets = c->granted;
	c->credit_bytes = c->granted * XE_CREDIT_OCTETS;
	WRITE_ONCE(c->stamp, jiffies);
}

/**
 * xe_lifetime_use_slow - account a packet that has no credit
 * @sa: SA
 * @c: this CPU's part
 * @len: octets
 *
 * Context: BH off.
 * Return: false if a hard limit is reached: drop the packet.
 */
bool xe_lifetime_use_slow(struct xe_sa *sa, struct xe_cpu *c, unsigned int len)
{
	struct xfrm_state *x = sa->x;
	bool ok, exact;

	xe_assert_bh_off();
	c->credit_packets = 0;
	c->credit_bytes = 0;

	spin_lock(&x->lock);
	xe_lifetime_fold_cpu(x, c);
	exact = !xe_lifetime_credit(x);
	/* All CPUs read it all the time */
	if (exact != sa->exact)
		WRITE_ONCE(sa->exact, exact);
	if (exact)
		xe_lifetime_fold_all(sa);
	ok = x->km.state == XFRM_STATE_VALID && !xfrm_state_check_expire(x);
	if (ok) {
		x->curlft.packets++;
		x->curlft.bytes += len;
		WRITE_ONCE(x->lastused, ktime_get_real_seconds());
		if (!exact)
			xe_lifetime_grant(x, c);
	}
	spin_unlock(&x->lock);
	return ok;
}

/**
 * xe_lifetime_changed - an SA has other limits than before
 * @sa: SA
 *
 * Each CPU's next packet asks for another credit. The kernel has looked at the
 * new limits, but did not know of all that was used.
 *
 * Context: any; takes xfrm_state::lock.
 */
void xe_lifetime_changed(struct xe_sa *sa)
{
	struct xfrm_state *x = sa->x;
	int cpu;

	spin_lock_bh(&x->lock);
	xe_lifetime_fold_all(sa);
	/* Of each CPU: one that asks says nothing about what others have left */
	for_each_possible_cpu(cpu)
		WRITE_ONCE(per_cpu_ptr(sa->cpu, cpu)->stamp, jiffies - HZ - 1);
	/* Asked of an SA not in use, it would take this for its first packet */
	if (x->km.state == XFRM_STATE_VALID && x->curlft.use_time)
		xfrm_state_check_expire(x);
	spin_unlock_bh(&x->lock);
}

/**
 * xe_lifetime_soft - tell key managers that the SA wants replacing
 * @sa: SA
 *
 * The kernel's soft EXPIRE, once in an SA's life whatever the reason.
 *
 * Context: any; takes xfrm_state::lock.
 */
void xe_lifetime_soft(struct xe_sa *sa)
{
	struct xfrm_state *x = sa->x;

	spin_lock_bh(&x->lock);
	if (!x->km.dying) {
		x->km.dying = 1;
		km_state_expired(x, 0, 0);
	}
	spin_unlock_bh(&x->lock);
}

/**
 * xe_lifetime_fold - bring the kernel's own figures of an SA up to date
 * @sa: SA
 *
 * Bytes, packets and time of last use, and the three failure counters that
 * `ip -s xfrm state` shows.
 *
 * Context: process or BH; takes xfrm_state::lock.
 */
void xe_lifetime_fold(struct xe_sa *sa)
{
	struct xfrm_state *x = sa->x;

	spin_lock_bh(&x->lock);
	xe_lifetime_fold_all(sa);
	x->stats.replay_window = xe_stat_sum(sa, XFRM_EXT_STAT_RX_TOO_OLD);
	x->stats.replay = xe_stat_sum(sa, XFRM_EXT_STAT_RX_REPLAY);
	x->stats.integrity_failed = xe_stat_sum(sa, XFRM_EXT_STAT_RX_ICV);
	spin_unlock_bh(&x->lock);
}

/**
 * xe_lifetime_lags - has an SA used more than the kernel knows of?
 * @sa: SA
 *
 * Context: any, as long as the state is alive. No lock: packets may come meanwhile.
 */
bool xe_lifetime_lags(const struct xe_sa *sa)
{
	int cpu;

	for_each_possible_cpu(cpu) {
		const struct xe_cpu *c = per_cpu_ptr(sa->cpu, cpu);

		if (READ_ONCE(c->packets) != READ_ONCE(c->folded_packets))
			return true;
	}
	return false;
}
