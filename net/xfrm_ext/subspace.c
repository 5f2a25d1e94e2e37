// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where counters and windows are kept: a pointer for each subspace of a key,
 * and behind it memory from its first packet on. And how many numbers windows refuse.
 */
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "sa.h"

/**
 * xe_subspaces_idle - what an SA's subspaces take before any is used
 * @p: what it shall be
 *
 * Return: octets.
 */
u64 xe_subspaces_idle(const struct xe_params *p)
{
	return p->tx_subspaces * (u64)sizeof(struct xe_counter *) +
	       p->rx_subspaces * (u64)sizeof(struct xe_window *);
}

/*
 * What the kernel allocates for a transform and does not tell the size of: an estimate,
 * of GCM with the tables that it has without help of the CPU, rounded up
 */
#define XE_SUB_KERNEL	8192

/**
 * xe_subspaces_subs - what the transforms of an SA's Sub SAs take
 * @p: what it is; with another format it has none
 *
 * They are the SA's, not those of the numbers that other SAs may have as well.
 *
 * Return: octets.
 */
u64 xe_subspaces_subs(const struct xe_params *p)
{
	u32 end = p->tx_subspaces ? p->tx_base + p->tx_subspaces : 0;
	u32 start = max(p->tx_base, p->rx_subspaces);
	u64 n = p->rx_subspaces + (end > start ? end - start : 0);

	if (p->format != XFRM_EXT_FORMAT_EESP)
		return 0;
	return n * (sizeof(struct xe_sub) + XE_SUB_KERNEL);
}

/**
 * xe_subspaces_memory - the most that an SA's subspaces can take
 * @p: what it shall be
 *
 * Return: octets, when each has been used.
 */
u64 xe_subspaces_memory(const struct xe_params *p)
{
	u64 rx = 0;

	if (!(p->flags & XFRM_EXT_SA_F_NO_REPLAY_PROTECTION))
		rx = xe_window_bytes(p->window);
	return xe_subspaces_idle(p) + xe_subspaces_subs(p) +
	       p->rx_subspaces * rx +
	       p->tx_subspaces * (u64)sizeof(struct xe_counter);
}

/**
 * xe_subspaces_init - the pointers
 * @n: numbers, zeroed but for parameters and account, xe_subspaces_idle()
 *
 * Context: process, may sleep.
 * Return: 0 or -ENOMEM: call xe_subspaces_exit().
 */
int xe_subspaces_init(struct xe_numbers *n)
{
	const struct xe_params *p = &n->params;

	if (p->tx_subspaces) {
		n->tx = kvcalloc(p->tx_subspaces, sizeof(*n->tx),
				 GFP_KERNEL_ACCOUNT);
		if (!n->tx)
			return -ENOMEM;
	}
	if (p->rx_subspaces) {
		n->rx = kvcalloc(p->rx_subspaces, sizeof(*n->rx),
				 GFP_KERNEL_ACCOUNT);
		if (!n->rx)
			return -ENOMEM;
	}
	return 0;
}

/**
 * xe_subspaces_exit - free all
 * @n: numbers; nobody else has them
 *
 * Context: process.
 */
void xe_subspaces_exit(struct xe_numbers *n)
{
	u32 i;

	for (i = 0; n->rx && i < n->params.rx_subspaces; i++) {
		xe_window_free(n->rx[i]);
		cond_resched();
	}
	for (i = 0; n->tx && i < n->params.tx_subspaces; i++) {
		kfree(n->tx[i]);
		cond_resched();
	}
	kvfree(n->rx);
	kvfree(n->tx);
	kvfree(n->floors);
}

/**
 * xe_subspaces_octets - what those take that are in use
 * @n: numbers
 *
 * Context: any.
 */
u64 xe_subspaces_octets(const struct xe_numbers *n)
{
	return atomic64_read(&n->memory) - xe_subspaces_idle(&n->params);
}

/**
 * xe_subspaces_used - has any been used?
 * @n: numbers
 *
 * Context: any.
 */
bool xe_subspaces_used(const struct xe_numbers *n)
{
	/* Nothing but the pointers otherwise */
	return xe_subspaces_octets(n);
}

/**
 * xe_counter_make - the counter of a transmit subspace that may have none
 * @sa: SA
 * @place: in the SA's range, below params.tx_subspaces
 * @gfp: how to allocate
 * @first: set if it has been made by this call
 *
 * All who ask for one get the same, whoever was first: numbers come from
 * nowhere else, and it stays until the key is forgotten.
 *
 * Return: the counter, or NULL without memory, or beyond a bound of it.
 */
struct xe_counter *xe_counter_make(struct xe_sa *sa, u32 place, gfp_t gfp,
				   bool *first)
{
	struct xe_numbers *n = sa->numbers;
	struct xe_counter *old, *c;
	struct mem_cgroup *memcg;

	*first = false;
	if (!xe_memory_take(sa->xn, sizeof(*c)))
		return NULL;
	memcg = set_active_memcg(n->memcg);
	c = kzalloc(sizeof(*c), gfp);
	set_active_memcg(memcg);
	if (!c)
		goto out;
	c->max = sa->format->sn_max;
	atomic64_set(&c->last, READ_ONCE(n->params.tx_start) - 1);
	old = cmpxchg(&sa->tx[place], NULL, c);
	if (old) {
		kfree(c);
		c = old;
		goto out;
	}
	/* Pairs with the barrier in xe_numbers_start() */
	xe_counter_forward(c, READ_ONCE(n->params.tx_start) - 1);
	atomic64_add(sizeof(*c), &n->memory);
	*first = true;
	return c;

out:
	xe_memory_give(sa->xn, sizeof(*c));
	return c;
}

/**
 * xe_window_make - the window of a receive subspace that may have none
 * @sa: SA
 * @subspace: below params.rx_subspaces, of an authenticated packet or set by
 *            the administrator
 * @gfp: how to allocate
 * @first: set if it has been made by this call
 *
 * Return: the window, or NULL without memory, or beyond a bound of it.
 */
struct xe_window *xe_window_make(struct xe_sa *sa, u32 subspace, gfp_t gfp,
				 bool *first)
{
	struct xe_numbers *n = sa->numbers;
	u32 size = READ_ONCE(n->params.window);
	u64 octets = xe_window_bytes(size);
	struct xe_window *old, *w;
	struct mem_cgroup *memcg;

	*first = false;
	if (!xe_memory_take(sa->xn, octets))
		return NULL;
	memcg = set_active_memcg(n->memcg);
	w = xe_window_alloc(size, gfp);
	set_active_memcg(memcg);
	if (!w)
		goto out;
	xe_window_forward(w, xe_numbers_seen(n, subspace));
	old = cmpxchg(&sa->rx[subspace], NULL, w);
	if (old) {
		xe_window_free(w);
		w = old;
		goto out;
	}
	/* Pairs with the barrier in xe_numbers_floor() */
	xe_window_forward(w, xe_numbers_seen(n, subspace));
	atomic64_add(octets, &n->memory);
	*first = true;
	return w;

out:
	xe_memory_give(sa->xn, octets);
	return w;
}

/*
 * What a CPU keeps of numbers that were refused: Subspace ID, replays, too old. Somebody
 * who sends the same packet again and again, to all CPUs, has none of them write what
 * others have, but once in so many.
 */
#define XE_REFUSED_MANY		16
#define XE_REFUSED_ID		48
#define XE_REFUSED_REPLAYS	24
#define XE_REFUSED_MASK		((1ULL << XE_REFUSED_REPLAYS) - 1)

static unsigned int refused_replays(u64 refused)
{
	return refused >> XE_REFUSED_REPLAYS & XE_REFUSED_MASK;
}

static unsigned int refused_too_old(u64 refused)
{
	return refused & XE_REFUSED_MASK;
}

/* Into the window's counts, if there is one, and the SA's; returns how many */
static unsigned int refused_settle(const struct xe_sa *sa, u64 refused)
{
	struct xe_window *w = xe_window_seen(sa, refused >> XE_REFUSED_ID);
	unsigned int replays = refused_replays(refused);
	unsigned int too_old = refused_too_old(refused);

	if (w)
		xe_window_refused(w, replays, too_old);
	atomic_add(replays + too_old, &((struct xe_sa *)sa)->alarm.drops);
	return replays + too_old;
}

/**
 * xe_subspace_refused - a number has been refused
 * @sa: SA
 * @subspace: below params.rx_subspaces
 * @verdict: XE_REPLAY or XE_TOO_OLD, of the window or because there would be none
 *
 * Context: BH off.
 * Return: how many are in the counts of window and SA that were not there before:
 *         none, mostly.
 */
unsigned int xe_subspace_refused(struct xe_sa *sa, u32 subspace,
				 enum xe_verdict verdict)
{
	atomic64_t *here = &this_cpu_ptr(sa->cpu)->refused;
	u64 one = (u64)subspace << XE_REFUSED_ID, now, settled;
	s64 was = atomic64_read(here);

	one += verdict == XE_REPLAY ? 1ULL << XE_REFUSED_REPLAYS : 1;
	/* Without a window it is none of a window's that comes to be later */
	if (unlikely(!xe_window_seen(sa, subspace)))
		return refused_settle(sa, one);
	do {
		settled = 0;
		if (!was) {
			now = one;
		} else if ((u64)was >> XE_REFUSED_ID == subspace) {
			now = was + (one & ~(~0ULL << XE_REFUSED_ID));
		} else {
			settled = was;
			now = one;
		}
		if (refused_replays(now) + refused_too_old(now) ==
		    XE_REFUSED_MANY) {
			settled = now;
			now = 0;
		}
	} while (!atomic64_try_cmpxchg_relaxed(here, &was, now));
	return settled ? refused_settle(sa, settled) : 0;
}

/**
 * xe_subspaces_settle - have windows count all that they have refused so far
 * @sa: SA
 *
 * For whoever asks how many; and counts do not fall.
 *
 * Context: any.
 */
void xe_subspaces_settle(const struct xe_sa *sa)
{
	int cpu;

	for_each_possible_cpu(cpu) {
		atomic64_t *there = &per_cpu_ptr(sa->cpu, cpu)->refused;

		if (atomic64_read(there))
			refused_settle(sa, atomic64_xchg(there, 0));
	}
}
