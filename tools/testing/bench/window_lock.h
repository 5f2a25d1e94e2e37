/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What window.c is compared with: the ring of RFC 6479 under a spinlock, with
 * everything that an accepted packet writes in the lock's own cache line.
 */

/* First come, first served, as the kernel's */
struct bench_lock {
	u32 next;
	u32 serving;
};

static inline void bench_lock(struct bench_lock *l)
{
	u32 me = __atomic_fetch_add(&l->next, 1, __ATOMIC_RELAXED);

	while (__atomic_load_n(&l->serving, __ATOMIC_ACQUIRE) != me)
		__builtin_ia32_pause();
}

static inline void bench_unlock(struct bench_lock *l)
{
	__atomic_store_n(&l->serving, l->serving + 1, __ATOMIC_RELEASE);
}

struct locked_window {
	struct bench_lock lock;
	u32 size;
	u32 mask;
	u64 top;
	u64 packets;
	u64 backtrack;
	u64 ring[] ____cacheline_aligned_in_smp;
} ____cacheline_aligned_in_smp;

static inline struct locked_window *locked_alloc(u32 size)
{
	u32 words = 2 * size / 64;
	struct locked_window *w = kzalloc(sizeof(*w) + words * 8, 0);

	w->size = size;
	w->mask = words - 1;
	return w;
}

static enum xe_verdict locked_look(const struct locked_window *w, u64 top,
				   u64 sn)
{
	if (sn > top)
		return XE_FRESH;
	if (top - sn >= w->size)
		return XE_TOO_OLD;
	if (READ_ONCE(w->ring[sn / 64 & w->mask]) & 1ULL << sn % 64)
		return XE_REPLAY;
	return XE_FRESH;
}

static enum xe_verdict locked_check(const struct locked_window *w, u64 sn)
{
	return locked_look(w, __atomic_load_n(&w->top, __ATOMIC_ACQUIRE), sn);
}

static enum xe_verdict locked_update(struct locked_window *w, u64 sn)
{
	enum xe_verdict verdict;
	u64 *word, top;

	bench_lock(&w->lock);
	top = w->top;
	verdict = locked_look(w, top, sn);
	if (verdict != XE_FRESH)
		goto out;
	if (sn > top) {
		u64 last = sn / 64, i = top / 64;

		if (last - i > w->mask)
			i = last - w->mask - 1;
		while (i < last)
			WRITE_ONCE(w->ring[++i & w->mask], 0);
		__atomic_store_n(&w->top, sn, __ATOMIC_RELEASE);
	} else {
		WRITE_ONCE(w->backtrack, max_t(u64, w->backtrack, top - sn));
	}
	word = &w->ring[sn / 64 & w->mask];
	WRITE_ONCE(*word, *word | 1ULL << sn % 64);
	WRITE_ONCE(w->packets, w->packets + 1);
out:
	bench_unlock(&w->lock);
	return verdict;
}
