// SPDX-License-Identifier: GPL-2.0-only
/*
 * Windows under fire: threads on all CPUs deliver one subspace's numbers, in
 * order and not, each at least once and many often, into the window, at its left
 * edge and beyond. An oracle that shares nothing with the window but the
 * verdicts then says whether each was right.
 *
 * What may be asked of a verdict while others are at work (see
 * Documentation/windows.rst): with A the highest number that had been accepted
 * for certain before the call, and B the highest that can have been delivered by
 * its end,
 *	accepted	no call accepts this number again, and it is right of
 *			A - size
 *	replay		some call accepts it
 *	too old		it is not right of B - size
 */
#include <linux/bitmap.h>
#include <linux/completion.h>
#include <linux/cpumask.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/prandom.h>
#include <linux/sched.h>
#include <linux/vmalloc.h>

#include "../../../net/xfrm_ext/window.h"
#include "suites.h"

unsigned long xe_kunit_ops = 10000000;
module_param_named(ops, xe_kunit_ops, ulong, 0444);
MODULE_PARM_DESC(ops, "deliveries in the concurrent tests; fuzzers take up to a tenth of it");

#define ROUND		(1 << 19)	/* numbers, all the oracle remembers */
#define BATCH		256		/* deliveries between looks around */

/**
 * struct stream - what the threads of a test share
 * @w: window under test
 * @base: what a number of this round is relative to
 * @limit: deliveries in this round
 * @head: the latest number handed out
 * @shuffle: aligned runs of so many numbers and one are delivered backwards
 * @delivered: deliveries begun, in batches
 * @accepted: numbers accepted
 * @replayed: numbers refused as seen before
 * @twice: numbers accepted more than once
 * @late: accepted though left of the window for certain
 * @early: refused as too old though inside for certain
 * @contradicted: refused by a look, accepted all the same
 */
struct stream {
	struct xe_window *w;
	u64 base;
	u64 limit;
	atomic64_t head;
	u64 shuffle;
	atomic64_t delivered;
	unsigned long *accepted;
	unsigned long *replayed;
	atomic64_t twice;
	atomic64_t late;
	atomic64_t early;
	atomic64_t contradicted;
};

/**
 * struct deliverer - a thread
 * @stream: what it takes part in
 * @rnd: its random numbers
 * @top: the highest number that it has had accepted
 * @sum: verdicts
 * @done: it is
 */
struct deliverer {
	struct stream *stream;
	struct rnd_state rnd;
	u64 top;
	u64 sum[XE_TOO_OLD + 1];
	struct completion done;
};

/* The next number to deliver; 0 for none */
static u64 deliver_pick(struct deliverer *d)
{
	struct stream *s = d->stream;
	u32 r = prandom_u32_state(&d->rnd);
	u32 size = s->w->size, back = r >> 16;
	u64 head;

	switch (r % 64) {
	case 0 ... 31:		/* each number once */
		return atomic64_inc_return(&s->head) ^ s->shuffle;
	case 32:		/* sometimes far ahead */
		if (back % 512 == 0) {
			back = prandom_u32_state(&d->rnd) % (3 * size);
			return atomic64_add_return(1 + back, &s->head);
		}
		fallthrough;
	case 33 ... 35:		/* far behind */
		back %= 4 * size;
		break;
	case 36 ... 41:		/* at the left edge */
		back = size + back % 32 - 16;
		break;
	case 42 ... 47:		/* anywhere in the window */
		back %= size;
		break;
	default:		/* where the others are */
		back %= 32;
		break;
	}
	head = atomic64_read(&s->head);
	return head > back ? head - back : 0;
}

static void deliver_one(struct deliverer *d, u64 n)
{
	struct stream *s = d->stream;
	u64 sn = s->base + n, highest;
	enum xe_verdict look = xe_window_check(s->w, sn);
	enum xe_verdict verdict = xe_window_update(s->w, sn);

	d->sum[verdict]++;
	switch (verdict) {
	case XE_FRESH:
		if (test_and_set_bit(n, s->accepted))
			atomic64_inc(&s->twice);
		if (sn + s->w->size <= d->top)
			atomic64_inc(&s->late);
		if (look != XE_FRESH)
			atomic64_inc(&s->contradicted);
		d->top = max(d->top, sn);
		break;
	case XE_REPLAY:
		set_bit(n, s->replayed);
		break;
	case XE_TOO_OLD:
		/* Nothing above this has been handed out */
		highest = s->base + (atomic64_read(&s->head) | s->shuffle);
		if (sn + s->w->size > highest)
			atomic64_inc(&s->early);
		break;
	}
	if (verdict != XE_FRESH)
		xe_window_refused(s->w, verdict == XE_REPLAY,
				  verdict == XE_TOO_OLD);
}

static int deliver(void *data)
{
	struct deliverer *d = data;
	struct stream *s = d->stream;
	u64 n = 0;
	int i;

	while (n < ROUND &&
	       atomic64_add_return(BATCH, &s->delivered) <= s->limit) {
		for (i = 0; i < BATCH; i++) {
			n = deliver_pick(d);
			if (n >= ROUND)
				break;
			if (n)
				deliver_one(d, n);
		}
		cond_resched();
	}
	kthread_complete_and_exit(&d->done, 0);
}

/* Everybody delivers, and everybody has finished. Return the deliveries */
static u64 deliver_all(struct kunit *test, struct stream *s,
		       struct deliverer *d, int threads, u64 *sum)
{
	int i, verdict, cpu = -1, started = 0;
	struct task_struct *task;
	u64 total = 0;

	for (i = 0; i < threads; i++) {
		d[i].stream = s;
		memset(d[i].sum, 0, sizeof(d[i].sum));
		init_completion(&d[i].done);
		task = kthread_create(deliver, &d[i], "xe_deliver/%d", i);
		if (IS_ERR(task))
			break;
		cpu = cpumask_next(cpu, cpu_online_mask);
		if (cpu >= nr_cpu_ids)
			cpu = cpumask_first(cpu_online_mask);
		kthread_bind(task, cpu);
		wake_up_process(task);
		started++;
	}
	KUNIT_EXPECT_EQ(test, started, threads);
	for (i = 0; i < started; i++) {
		wait_for_completion(&d[i].done);
		for (verdict = 0; verdict <= XE_TOO_OLD; verdict++) {
			sum[verdict] += d[i].sum[verdict];
			total += d[i].sum[verdict];
		}
	}
	return total;
}

static void stream_judge(struct kunit *test, struct stream *s, const u64 *sum)
{
	u64 last = find_last_bit(s->accepted, ROUND);

	KUNIT_EXPECT_EQ(test, atomic64_read(&s->twice), 0);
	KUNIT_EXPECT_EQ(test, atomic64_read(&s->late), 0);
	KUNIT_EXPECT_EQ(test, atomic64_read(&s->early), 0);
	KUNIT_EXPECT_EQ(test, atomic64_read(&s->contradicted), 0);
	KUNIT_EXPECT_TRUE(test, bitmap_subset(s->replayed, s->accepted, ROUND));

	KUNIT_EXPECT_EQ(test, xe_window_top(s->w), s->base + last);
	KUNIT_EXPECT_EQ(test, xe_window_packets(s->w), sum[XE_FRESH]);
	KUNIT_EXPECT_EQ(test, atomic64_read(&s->w->replays), sum[XE_REPLAY]);
	KUNIT_EXPECT_EQ(test, atomic64_read(&s->w->too_old), sum[XE_TOO_OLD]);
	KUNIT_EXPECT_LT(test, atomic64_read(&s->w->backtrack), s->w->size);
}

static const u32 window_sizes[] = { 64, 1024, 65536 };

static void window_size_desc(const u32 *size, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "window %u", *size);
}

KUNIT_ARRAY_PARAM(window_size, window_sizes, window_size_desc);

static void window_concurrent(struct kunit *test)
{
	u64 goal = xe_kunit_ops / ARRAY_SIZE(window_sizes);
	int i, threads = max_t(int, num_online_cpus(), 2);
	u32 size = *(const u32 *)test->param_value;
	struct stream *s = test->priv;
	struct deliverer *d;
	u64 sum[XE_TOO_OLD + 1] = {};
	u64 total = 0;
	u32 round;

	s->w = xe_window_alloc(size, GFP_KERNEL);
	s->accepted = vzalloc(ROUND / BITS_PER_BYTE);
	s->replayed = vzalloc(ROUND / BITS_PER_BYTE);
	d = kunit_kcalloc(test, threads, sizeof(*d), GFP_KERNEL);
	KUNIT_ASSERT_TRUE(test, s->w && s->accepted && s->replayed && d);
	for (i = 0; i < threads; i++)
		prandom_seed_state(&d[i].rnd, size + i);

	for (round = 0; total < goal; round++) {
		s->base = (u64)round * ROUND;
		s->limit = goal - total + BATCH;
		/* In order, then backwards in runs of 8, 64, of half a window */
		s->shuffle = round % 4 == 0 ? 0 :
			     round % 4 == 1 ? 7 :
			     round % 4 == 2 ? 63 : size / 2 - 1;
		atomic64_set(&s->head, 0);
		atomic64_set(&s->delivered, 0);
		bitmap_zero(s->accepted, ROUND);
		bitmap_zero(s->replayed, ROUND);

		total += deliver_all(test, s, d, threads, sum);
		stream_judge(test, s, sum);
		if (test->status == KUNIT_FAILURE)
			break;
	}
	kunit_info(test,
		   "%d threads, %llu deliveries: %llu accepted, %llu replays, %llu too old, backtrack %lld\n",
		   threads, total, sum[XE_FRESH], sum[XE_REPLAY],
		   sum[XE_TOO_OLD], atomic64_read(&s->w->backtrack));
	/* All that can happen has happened */
	KUNIT_EXPECT_GT(test, sum[XE_FRESH], goal / 8);
	KUNIT_EXPECT_GT(test, sum[XE_REPLAY], goal / 8);
	KUNIT_EXPECT_GT(test, sum[XE_TOO_OLD], goal / 64);
}

static int concurrent_init(struct kunit *test)
{
	test->priv = kunit_kzalloc(test, sizeof(struct stream), GFP_KERNEL);
	return test->priv ? 0 : -ENOMEM;
}

static void concurrent_exit(struct kunit *test)
{
	struct stream *s = test->priv;

	if (!s)
		return;
	xe_window_free(s->w);
	vfree(s->accepted);
	vfree(s->replayed);
}

static struct kunit_case concurrent_cases[] = {
	KUNIT_CASE_PARAM(window_concurrent, window_size_gen_params),
	{}
};

struct kunit_suite concurrent_suite = {
	.name = "xfrm_ext_concurrent",
	.init = concurrent_init,
	.exit = concurrent_exit,
	.test_cases = concurrent_cases,
};
