/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef XFRM_EXT_COUNTER_H
#define XFRM_EXT_COUNTER_H

#include <linux/atomic.h>
#include <linux/cache.h>
#include <linux/minmax.h>

#include "window.h"

/**
 * struct xe_counter - the sequence number counter of one transmit subspace
 * @last: the last number given out; runs past @max when exhausted
 * @max: the last number that may be, XE_SN_MAX at most; never changes
 * @warned: somebody has been told that the end is near
 * @set: it was set forward since its SA has been held
 *
 * Alone on its cache line: CPUs that send in different subspaces share no
 * writes.
 */
struct xe_counter {
	atomic64_t last;
	u64 max;
	u32 warned;
	bool set;
} ____cacheline_aligned_in_smp;

/**
 * xe_counter_next - take the next sequence number
 * @c: counter
 * @sn: where the number goes, 1 .. xe_counter::max
 * @first: set if this call is the first that found the counter exhausted
 *
 * The IV is made of this number (and the Subspace ID), so it must never come
 * twice. That holds by itself: one atomic step gives each caller a number of
 * its own, on any CPU, in any context, migrated or not; and a 64-bit counter
 * that passes 2^48-1, or less, is far from wrapping when it starts to refuse.
 *
 * Context: any.
 * Return: true, or false when the subspace has sent its last number.
 */
static inline bool xe_counter_next(struct xe_counter *c, u64 *sn, bool *first)
{
	u64 n = atomic64_inc_return(&c->last);

	*first = n == c->max + 1;
	*sn = n;
	return likely(n <= c->max);
}

/**
 * xe_counter_last - the last number given out
 * @c: counter
 *
 * Return: 0 .. xe_counter::max.
 */
static inline u64 xe_counter_last(const struct xe_counter *c)
{
	return min_t(u64, atomic64_read(&c->last), c->max);
}

/**
 * xe_counter_forward - skip numbers
 * @c: counter
 * @last: what shall be the last number given out, at most xe_counter::max
 *
 * Never backward, whatever else happens to the counter at that moment.
 *
 * Context: any.
 * Return: true, or false if that number has been passed already: unchanged.
 */
static inline bool xe_counter_forward(struct xe_counter *c, u64 last)
{
	s64 now = atomic64_read(&c->last);

	do {
		if ((u64)now > last)
			return false;
	} while (!atomic64_try_cmpxchg(&c->last, &now, last));
	return true;
}

/**
 * xe_counter_warn - is it the time to say that the end is near?
 * @c: counter
 * @sn: number just given out
 * @from: the number from which on to warn
 *
 * Context: any.
 * Return: true once.
 */
static inline bool xe_counter_warn(struct xe_counter *c, u64 sn, u64 from)
{
	return unlikely(sn >= from) && !READ_ONCE(c->warned) &&
	       !xchg(&c->warned, 1);
}

#endif /* XFRM_EXT_COUNTER_H */
