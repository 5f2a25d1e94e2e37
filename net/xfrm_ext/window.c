// SPDX-License-Identifier: GPL-2.0-only
/*
 * Anti-replay windows (RFC 4303 section 3.4.3) that any number of CPUs use at
 * once without a lock: Documentation/windows.rst has the algorithm, what
 * exactly it guarantees, and why; tools/testing/model/window.pml is the same
 * for a model checker and is to be changed along with this file.
 *
 * Takes plain numbers only, so that KUnit and fuzzers drive it without a
 * network.
 */
#include <linux/bitops.h>
#include <linux/build_bug.h>
#include <linux/log2.h>
#include <linux/minmax.h>
#include <linux/slab.h>

#include "window.h"

/*
 * A block is XE_WORD_NUMBERS numbers in a row. Block b lives in word b modulo
 * the ring's words, with b divided by the ring's words, its turn, in the upper
 * bits of that word, and a bit for each of its numbers in the lower ones.
 */
#define XE_WORD_TURN_BITS	(64 - XE_WORD_NUMBERS)
#define XE_WORDS_MIN		8	/* a cache line to itself */

/* No two blocks of a word are in the same turn */
static_assert(XE_SN_MAX / XE_WORD_NUMBERS / XE_WORDS_MIN <
	      1ULL << XE_WORD_TURN_BITS);

static u32 xe_window_words(u32 size)
{
	/*
	 * 23 / 16 of the window, so that two numbers of different blocks in one
	 * word, at least (words - 1) * XE_WORD_NUMBERS + 1 apart, are never in
	 * the window together.
	 */
	return max_t(u32, size / 16, XE_WORDS_MIN);
}

/**
 * xe_window_bytes - memory that a window takes
 * @size: packets, a power of two from 64 on
 *
 * Return: octets, all of them: both allocations are powers of two.
 */
size_t xe_window_bytes(u32 size)
{
	return sizeof(struct xe_window) +
	       xe_window_words(size) * sizeof(atomic64_t);
}

/**
 * xe_window_alloc - make a window that has seen nothing
 * @size: packets, a power of two from 64 on
 * @gfp: how to allocate
 *
 * Return: the window, or NULL.
 */
struct xe_window *xe_window_alloc(u32 size, gfp_t gfp)
{
	u32 words = xe_window_words(size);
	struct xe_window *w;

	w = kzalloc(sizeof(*w), gfp);
	if (!w)
		return NULL;
	w->ring = kcalloc(words, sizeof(*w->ring), gfp);
	if (!w->ring) {
		kfree(w);
		return NULL;
	}
	w->size = size;
	w->order = ilog2(words);
	return w;
}

/**
 * xe_window_free - free a window that nobody uses any more
 * @w: window or NULL
 */
void xe_window_free(struct xe_window *w)
{
	if (!w)
		return;
	kfree(w->ring);
	kfree(w);
}

static u64 xe_window_slot(const struct xe_window *w, u64 block)
{
	return block & ((1ULL << w->order) - 1);
}

/* The word of a block with no number seen */
static u64 xe_word_empty(const struct xe_window *w, u64 block)
{
	return block >> w->order << XE_WORD_NUMBERS;
}

static u64 xe_word_bit(u64 sn)
{
	return 1ULL << sn % XE_WORD_NUMBERS;
}

static u64 xe_word_bits(u64 word)
{
	return word & ((1ULL << XE_WORD_NUMBERS) - 1);
}

/*
 * The highest number accepted, or a higher one that is being accepted now.
 * @newest was read with acquire, so its word is of that block or, if the ring
 * has come round meanwhile, of a newer one.
 */
static u64 xe_window_highest(const struct xe_window *w, u64 newest)
{
	u64 slot = xe_window_slot(w, newest);
	u64 word = atomic64_read(&w->ring[slot]);
	u64 block = (word >> XE_WORD_NUMBERS << w->order) + slot;

	/* Number 0 does not exist: its bit stands for none */
	return block * XE_WORD_NUMBERS + __fls(xe_word_bits(word) | 1);
}

/* Is a number left of the window? */
static bool xe_window_left(const struct xe_window *w, u64 newest, u64 sn)
{
	u64 first = newest * XE_WORD_NUMBERS;

	if (unlikely(sn <= (u64)atomic64_read(&w->floor)))
		return true;
	/* The edge itself is looked at only where it decides */
	if (likely(sn + w->size >= first + XE_WORD_NUMBERS))
		return false;
	if (sn + w->size <= first)
		return true;
	return sn + w->size <= xe_window_highest(w, newest);
}

static enum xe_verdict xe_window_look(const struct xe_window *w, u64 sn,
				      u64 word)
{
	u64 empty = xe_word_empty(w, sn / XE_WORD_NUMBERS);

	/* A newer block took the word: it is beyond the window's width */
	if (word >= empty + (1ULL << XE_WORD_NUMBERS))
		return XE_TOO_OLD;
	if (word >= empty && word & xe_word_bit(sn))
		return XE_REPLAY;
	return XE_FRESH;
}

/**
 * xe_window_check - would this number be accepted now?
 * @w: window
 * @sn: number as received, not authenticated, 1 .. XE_SN_MAX
 *
 * A look, to spare replays the cipher. It changes nothing and decides nothing:
 * only xe_window_update() accepts. It refuses only what that would, too.
 *
 * Return: the verdict at some moment during the call.
 */
enum xe_verdict xe_window_check(const struct xe_window *w, u64 sn)
{
	u64 slot = xe_window_slot(w, sn / XE_WORD_NUMBERS);

	/* Pairs with the release in xe_window_advance() */
	if (xe_window_left(w, atomic64_read_acquire(&w->newest), sn))
		return XE_TOO_OLD;
	return xe_window_look(w, sn, atomic64_read(&w->ring[slot]));
}

/* newest is at least this block from now on */
static void xe_window_advance(struct xe_window *w, u64 block)
{
	s64 newest = atomic64_read(&w->newest);

	/*
	 * Release: who sees this block as the newest sees the number that made
	 * it so. Pairs with the acquires of newest.
	 */
	while (newest < block)
		if (atomic64_try_cmpxchg_release(&w->newest, &newest, block))
			break;
}

/* A number was accepted behind the highest */
static void xe_window_behind(struct xe_window *w, u64 newest, u64 sn)
{
	s64 depth, deepest = atomic64_read(&w->backtrack);
	u64 last = (newest + 1) * XE_WORD_NUMBERS - 1;

	if (likely(last <= sn + deepest))
		return;
	/*
	 * Others may have moved the window meanwhile; the number was in it when
	 * it was looked at.
	 */
	depth = xe_window_highest(w, newest) - sn;
	depth = min_t(s64, depth, w->size - 1);
	while (deepest < depth)
		if (atomic64_try_cmpxchg_relaxed(&w->backtrack, &deepest,
						 depth))
			break;
}

/**
 * xe_window_update - accept a number once
 * @w: window
 * @sn: number of a packet whose ICV is good, 1 .. XE_SN_MAX
 *
 * Return: XE_FRESH exactly once for each number, whoever calls and how often;
 *         the reason of the refusal otherwise.
 */
enum xe_verdict xe_window_update(struct xe_window *w, u64 sn)
{
	u64 block = sn / XE_WORD_NUMBERS;
	u64 empty = xe_word_empty(w, block);
	u64 bit = xe_word_bit(sn);
	enum xe_verdict verdict;
	atomic64_t *word;
	u64 newest;
	s64 was;

	/* Pairs with the release in xe_window_advance() */
	newest = atomic64_read_acquire(&w->newest);
	if (xe_window_left(w, newest, sn))
		return XE_TOO_OLD;

	word = &w->ring[xe_window_slot(w, block)];
	was = atomic64_read(word);
	do {
		verdict = xe_window_look(w, sn, was);
		if (verdict != XE_FRESH)
			return verdict;
		/*
		 * Here it is decided. Relaxed: that a number is accepted once
		 * is a matter of this word alone.
		 */
	} while (!atomic64_try_cmpxchg_relaxed(word, &was,
					       max_t(u64, was, empty) | bit));

	if ((u64)was < empty)
		atomic64_add(hweight32(xe_word_bits(was)), &w->gone);
	if (block > newest)
		xe_window_advance(w, block);
	else if (block < newest || xe_word_bits(was) > bit)
		xe_window_behind(w, newest, sn);
	return XE_FRESH;
}

/**
 * xe_window_forward - take numbers for seen
 * @w: window
 * @sn: all up to this one, at most XE_SN_MAX; never backward
 *
 * For a window that goes on where another one was. An update that runs at the
 * same time may still accept one of them.
 */
void xe_window_forward(struct xe_window *w, u64 sn)
{
	s64 floor = atomic64_read(&w->floor);

	while ((u64)floor < sn)
		if (atomic64_try_cmpxchg(&w->floor, &floor, sn))
			break;
}

/**
 * xe_window_refused - count packets that a verdict has refused
 * @w: window
 * @replays: how many by XE_REPLAY, of a look or of the decision
 * @too_old: the same by XE_TOO_OLD
 */
void xe_window_refused(struct xe_window *w, u64 replays, u64 too_old)
{
	if (replays)
		atomic64_add(replays, &w->replays);
	if (too_old)
		atomic64_add(too_old, &w->too_old);
}

/**
 * xe_window_top - the highest number accepted, or taken for it
 * @w: window
 *
 * Return: 0 before the first.
 */
u64 xe_window_top(const struct xe_window *w)
{
	/* Pairs with the release in xe_window_advance() */
	u64 newest = atomic64_read_acquire(&w->newest);

	return max_t(u64, xe_window_highest(w, newest),
		     atomic64_read(&w->floor));
}

/**
 * xe_window_packets - how many numbers were accepted
 * @w: window
 *
 * Counts the bits in the ring: for dumps, not for packets. Exact when no other
 * CPU is at work on the window, otherwise off by what they do during the call
 * and, for each of them, XE_WORD_NUMBERS.
 *
 * Return: the number of calls of xe_window_update() that said XE_FRESH.
 */
u64 xe_window_packets(const struct xe_window *w)
{
	u64 i, n = atomic64_read(&w->gone);

	for (i = 0; i < 1ULL << w->order; i++)
		n += hweight32(xe_word_bits(atomic64_read(&w->ring[i])));
	return n;
}
