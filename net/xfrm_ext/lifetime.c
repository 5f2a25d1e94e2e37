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
 * So xfrm_state::curlft lags by at most XE_CREDIT_PACKETS packets and
 * XE_CREDIT_BYTES octets per CPU; asking the module for the SA folds all. The
 * kernel, when it looks at a limit for a packet on its own path, sees the
 * lagging figures.
 */
#include <linux/jiffies.h>

#include "xfrm_ext.h"

#define XE_CREDIT_PACKETS	64u
#define XE_CREDIT_BYTES		(128u * 1024)

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

static bool xe_lifetime_use_slow(struct xe_sa *sa, struct xe_cpu *c,
				 unsigned int len)
{
	struct xfrm_state *x = sa->x;
	bool ok;

	c->credit_packets = 0;
	c->credit_bytes = 0;

	spin_lock(&x->lock);
	xe_lifetime_fold_cpu(x, c);
	WRITE_ONCE(sa->exact, !xe_lifetime_credit(x));
	if (sa->exact)
		xe_lifetime_fold_all(sa);
	ok = x->km.state == XFRM_STATE_VALID && !xfrm_state_check_expire(x);
	if (ok) {
		x->curlft.packets++;
		x->curlft.bytes += len;
		WRITE_ONCE(x->lastused, ktime_get_real_seconds());
		if (!sa->exact) {
			c->credit_packets = XE_CREDIT_PACKETS;
			c->credit_bytes = XE_CREDIT_BYTES;
			WRITE_ONCE(c->stamp, jiffies);
		}
	}
	spin_unlock(&x->lock);
	return ok;
}

/**
 * xe_lifetime_use - account a packet, if the SA may still carry it
 * @sa: SA
 * @len: octets, as the kernel counts them: the inner packet's length
 *
 * Sends the kernel's soft EXPIRE when a soft limit is reached; starts the
 * kernel's hard expiry when a hard limit is.
 *
 * Context: BH off; takes xfrm_state::lock now and then.
 * Return: false if a hard limit is reached: drop the packet.
 */
bool xe_lifetime_use(struct xe_sa *sa, unsigned int len)
{
	struct xe_cpu *c = this_cpu_ptr(sa->cpu);

	if (unlikely(!c->credit_packets || c->credit_bytes < len ||
		     READ_ONCE(sa->exact) ||
		     time_after(jiffies, c->stamp + HZ)))
		return xe_lifetime_use_slow(sa, c, len);

	c->credit_packets--;
	c->credit_bytes -= len;
	WRITE_ONCE(c->bytes, c->bytes + len);
	WRITE_ONCE(c->packets, c->packets + 1);
	return true;
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
