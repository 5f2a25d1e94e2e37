/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef XFRM_EXT_WINDOW_H
#define XFRM_EXT_WINDOW_H

#include <linux/atomic.h>
#include <linux/cache.h>
#include <linux/types.h>

/* The last sequence number of a subspace: 48 bits on the wire */
#define XE_SN_MAX	((1ULL << 48) - 1)

/* How many numbers in a row a word of a window's ring remembers */
#define XE_WORD_NUMBERS	23

/**
 * enum xe_verdict - what a window says of a sequence number
 * @XE_FRESH: never seen, inside the window or right of it
 * @XE_REPLAY: seen before
 * @XE_TOO_OLD: left of the window: nobody knows
 */
enum xe_verdict {
	XE_FRESH,
	XE_REPLAY,
	XE_TOO_OLD,
};

/**
 * struct xe_window - the anti-replay window of one subspace
 * @ring: 1 << @order words; Documentation/windows.rst describes them
 * @size: packets that the window spans, from the highest accepted one back
 * @order: binary logarithm of the number of words
 * @newest: the block that the highest number accepted belongs to
 * @floor: numbers up to this one count as seen, by decree
 * @gone: how many of the numbers accepted are no longer in @ring
 * @backtrack: largest distance from the highest number at which one was accepted
 * @replays: numbers refused because seen before
 * @too_old: numbers refused because left of the window
 *
 * Nothing here is written for a packet that arrives in order, but by one in
 * XE_WORD_NUMBERS: CPUs that share the window read this line and fight over
 * the words of the ring only. What is refused, which anybody can send as often
 * as he likes, is counted on a line of its own.
 */
struct xe_window {
	atomic64_t	*ring;
	u32		size;
	u32		order;
	atomic64_t	newest;
	atomic64_t	floor;
	atomic64_t	gone;
	atomic64_t	backtrack;
	atomic64_t	replays ____cacheline_aligned_in_smp;
	atomic64_t	too_old;
} ____cacheline_aligned_in_smp;

/* window.c APIs: any context, no locks, no sleeping but for what gfp allows */
struct xe_window *xe_window_alloc(u32 size, gfp_t gfp);
void xe_window_free(struct xe_window *w);
size_t xe_window_bytes(u32 size);
enum xe_verdict xe_window_check(const struct xe_window *w, u64 sn);
enum xe_verdict xe_window_update(struct xe_window *w, u64 sn);
void xe_window_forward(struct xe_window *w, u64 sn);
void xe_window_refused(struct xe_window *w, u64 replays, u64 too_old);
u64 xe_window_top(const struct xe_window *w);
u64 xe_window_packets(const struct xe_window *w);

#endif /* XFRM_EXT_WINDOW_H */
