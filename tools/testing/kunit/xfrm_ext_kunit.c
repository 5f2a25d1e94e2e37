// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unit tests of the parts of xfrm_ext that take plain values: anti-replay
 * windows, counters, layouts. A module of its own, with its own copies of the
 * objects under test; `make kunit` runs it.
 */
#include <kunit/test.h>
#include <linux/module.h>
#include <linux/prandom.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "../../../net/xfrm_ext/counter.h"
#include "../../../net/xfrm_ext/format.h"
#include "../../../net/xfrm_ext/window.h"
#include "suites.h"

unsigned long xe_kunit_seed = 0xbee7;
module_param_named(seed, xe_kunit_seed, ulong, 0444);
MODULE_PARM_DESC(seed, "of the fuzzers");

/* Smallest, two of the usual, largest */
static const u32 window_sizes[] = { 64, 128, 1024, 65536 };

static void window_size_desc(const u32 *size, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "window %u", *size);
}

KUNIT_ARRAY_PARAM(window_size, window_sizes, window_size_desc);

static struct xe_window *window_new(struct kunit *test, u32 size)
{
	struct xe_window *w = xe_window_alloc(size, GFP_KERNEL);

	test->priv = w;
	KUNIT_ASSERT_NOT_NULL(test, w);
	return w;
}

static void window_exit(struct kunit *test)
{
	xe_window_free(test->priv);
}

/* The look must say what the decision then is */
static enum xe_verdict window_try(struct kunit *test, struct xe_window *w,
				  u64 sn)
{
	enum xe_verdict look = xe_window_check(w, sn);
	enum xe_verdict verdict = xe_window_update(w, sn);

	KUNIT_EXPECT_EQ_MSG(test, look, verdict, "check of %llu", sn);
	if (verdict != XE_FRESH)
		xe_window_refused(w, verdict == XE_REPLAY,
				  verdict == XE_TOO_OLD);
	return verdict;
}

static void window_expect(struct kunit *test, struct xe_window *w, u64 sn,
			  enum xe_verdict verdict)
{
	KUNIT_EXPECT_EQ_MSG(test, window_try(test, w, sn), verdict,
			    "number %llu, window %u, top %llu", sn, w->size,
			    xe_window_top(w));
}

/* Numbers at and around each edge, in this order on one window of L packets */
static void window_boundaries(struct kunit *test)
{
	u64 L = *(const u32 *)test->param_value;
	const struct {
		u64 sn;
		enum xe_verdict verdict;
	} cases[] = {
		{ 1, XE_FRESH },
		{ 1, XE_REPLAY },
		{ 9, XE_FRESH },
		{ 8, XE_FRESH },
		{ 7, XE_FRESH },
		{ 7, XE_REPLAY },
		{ L, XE_FRESH },
		{ L - 1, XE_FRESH },
		{ L - 1, XE_REPLAY },
		{ L - 2, XE_FRESH },
		{ 2, XE_FRESH },
		{ 2, XE_REPLAY },
		{ L + 16, XE_FRESH },
		{ 3, XE_TOO_OLD },
		{ 16, XE_TOO_OLD },
		{ 17, XE_FRESH },
		{ L + 16, XE_REPLAY },
		{ L * 4, XE_FRESH },
		{ L * 4 - (L - 1), XE_FRESH },
		{ L * 4 - L, XE_TOO_OLD },
		{ L * 4 - (L + 1), XE_TOO_OLD },
		{ 10, XE_TOO_OLD },
		{ L * 4 - (L - 2), XE_FRESH },
		{ L * 4 + 1 - L, XE_REPLAY },
		{ L * 4 + 1, XE_FRESH },
		{ L * 4 + 1 - L, XE_TOO_OLD },
		{ L * 4 + 2 - L, XE_REPLAY },
		/* a jump by exactly the ring, by the ring plus one */
		{ L * 6 + 1, XE_FRESH },
		{ L * 5 + 2, XE_FRESH },
		{ L * 8 + 2, XE_FRESH },
		{ L * 7 + 3, XE_FRESH },
		/* by half of it: bits of the old half still count */
		{ L * 9 + 1, XE_FRESH },
		{ L * 8 + 2, XE_REPLAY },
		{ L * 8 + 1, XE_TOO_OLD },
		/* the end of the 48 bits */
		{ XE_SN_MAX - 1, XE_FRESH },
		{ XE_SN_MAX, XE_FRESH },
		{ XE_SN_MAX, XE_REPLAY },
		{ XE_SN_MAX - 1, XE_REPLAY },
		{ XE_SN_MAX - 2, XE_FRESH },
		{ XE_SN_MAX - (L - 1), XE_FRESH },
		{ XE_SN_MAX - (L - 1), XE_REPLAY },
		{ XE_SN_MAX - L, XE_TOO_OLD },
		{ 1, XE_TOO_OLD },
	};
	struct xe_window *w = window_new(test, L);
	int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++)
		window_expect(test, w, cases[i].sn, cases[i].verdict);
}

/* Whoever sends a packet again has no line written that those need who send new ones */
static void window_quiet(struct kunit *test)
{
	u32 L = 64;
	struct xe_window *w = window_new(test, L);
	u64 line = offsetof(struct xe_window, newest) / SMP_CACHE_BYTES;
	struct xe_window was;
	u64 at;

	static_assert(offsetof(struct xe_window, ring) / SMP_CACHE_BYTES ==
		      offsetof(struct xe_window, newest) / SMP_CACHE_BYTES);
	KUNIT_EXPECT_EQ(test, (unsigned long)w % SMP_CACHE_BYTES, 0);
	window_expect(test, w, 2 * L, XE_FRESH);
	was = *w;
	window_expect(test, w, 2 * L, XE_REPLAY);
	window_expect(test, w, L, XE_TOO_OLD);
	for (at = 0; at < sizeof(*w); at++)
		if (((u8 *)w)[at] != ((u8 *)&was)[at])
			KUNIT_EXPECT_NE(test, at / SMP_CACHE_BYTES, line);
	KUNIT_EXPECT_EQ(test, atomic64_read(&w->replays), 1);
	KUNIT_EXPECT_EQ(test, atomic64_read(&w->too_old), 1);
}

/* Every number once in order, once more, then a whole window backwards */
static void window_runs(struct kunit *test)
{
	u32 L = *(const u32 *)test->param_value;
	struct xe_window *w = window_new(test, L);
	u64 sn, base = 3 * L;

	for (sn = 1; sn <= base; sn++)
		window_expect(test, w, sn, XE_FRESH);
	KUNIT_EXPECT_EQ(test, atomic64_read(&w->backtrack), 0);
	for (sn = 1; sn <= base; sn++)
		window_expect(test, w, sn,
			      sn + L > base ? XE_REPLAY : XE_TOO_OLD);
	KUNIT_EXPECT_EQ(test, xe_window_packets(w), base);
	KUNIT_EXPECT_EQ(test, atomic64_read(&w->replays), L);
	KUNIT_EXPECT_EQ(test, atomic64_read(&w->too_old), base - L);

	for (sn = base + L; sn > base; sn--)
		window_expect(test, w, sn, XE_FRESH);
	KUNIT_EXPECT_EQ(test, atomic64_read(&w->backtrack), L - 1);
	for (sn = base + L; sn > base; sn--)
		window_expect(test, w, sn, XE_REPLAY);
	window_expect(test, w, base, XE_TOO_OLD);
}

/* A first number beyond the window: nothing before it was seen */
static void window_first_jump(struct kunit *test)
{
	u32 L = *(const u32 *)test->param_value;
	struct xe_window *w = window_new(test, L);

	window_expect(test, w, 10 * L, XE_FRESH);
	window_expect(test, w, 9 * L + 1, XE_FRESH);
	window_expect(test, w, 9 * L, XE_TOO_OLD);
	window_expect(test, w, 9 * L + 1, XE_REPLAY);
}

/*
 * Numbers that are in the same place of the same word, from one turn of the
 * ring apart to as many as 48 bits allow: none is taken for another.
 */
static void window_turns(struct kunit *test)
{
	u32 L = *(const u32 *)test->param_value;
	struct xe_window *w = window_new(test, L);
	u64 turn = XE_WORD_NUMBERS << w->order;
	u64 sn, last = XE_SN_MAX % turn;

	window_expect(test, w, last, XE_FRESH);
	for (sn = last + turn; sn < XE_SN_MAX / 2; sn = 2 * sn - last) {
		window_expect(test, w, sn, XE_FRESH);
		window_expect(test, w, sn, XE_REPLAY);
		window_expect(test, w, last, XE_TOO_OLD);
		window_expect(test, w, sn - turn, XE_TOO_OLD);
	}
	window_expect(test, w, XE_SN_MAX - turn, XE_FRESH);
	window_expect(test, w, XE_SN_MAX, XE_FRESH);
	window_expect(test, w, XE_SN_MAX, XE_REPLAY);
	window_expect(test, w, XE_SN_MAX - turn, XE_TOO_OLD);
	/* One at a time, while all words but one are of other turns */
	for (sn = XE_SN_MAX - L + 1; sn < XE_SN_MAX; sn++)
		window_expect(test, w, sn, XE_FRESH);
	KUNIT_EXPECT_EQ(test, atomic64_read(&w->backtrack), L - 1);
}

#define WALK_STEPS	40000
#define WALK_SPAN	(1 << 21)

/*
 * A random walk, compared with a model that remembers every number it has ever
 * seen: steps of all sizes, forward and back, so that each edge is crossed
 * often.
 */
static void window_walk(struct kunit *test)
{
	u32 L = *(const u32 *)test->param_value;
	struct xe_window *w = window_new(test, L);
	u64 packets = 0, replays = 0, too_old = 0, backtrack = 0;
	u64 top = 0, base = 0, sn;
	struct rnd_state rnd;
	bool *seen;
	int i;

	seen = vzalloc(WALK_SPAN);
	KUNIT_ASSERT_NOT_NULL(test, seen);
	prandom_seed_state(&rnd, 0x9611 + L);

	for (i = 0; i < WALK_STEPS; i++) {
		u32 r = prandom_u32_state(&rnd);
		u32 step = prandom_u32_state(&rnd);
		enum xe_verdict expected, got;

		switch (r % 16) {
		case 0:		/* far ahead */
			sn = top + 1 + step % (3 * L);
			break;
		case 1 ... 6:	/* a little ahead */
			sn = top + 1 + step % 70;
			break;
		case 7 ... 9:	/* near the left edge */
			sn = top + 3 - L + step % 6 - 3;
			break;
		case 10:	/* anywhere behind */
			sn = top - step % (2 * L);
			break;
		default:	/* somewhere in the window */
			sn = top - step % L;
			break;
		}
		if ((s64)(sn - base) <= 0)
			sn = base + 1;
		if (sn - base >= WALK_SPAN) {
			/* Move the model on; the window must forget as well */
			memset(seen, 0, WALK_SPAN);
			base = top + 2 * L;
			sn = base + 1;
		}

		if (sn > top)
			expected = XE_FRESH;
		else if (top - sn >= L)
			expected = XE_TOO_OLD;
		else if (seen[sn - base])
			expected = XE_REPLAY;
		else
			expected = XE_FRESH;
		got = window_try(test, w, sn);
		if (got != expected) {
			KUNIT_FAIL(test,
				   "step %d: number %llu, top %llu: %d, not %d",
				   i, sn, top, got, expected);
			break;
		}
		switch (expected) {
		case XE_FRESH:
			seen[sn - base] = true;
			packets++;
			if (sn < top)
				backtrack = max(backtrack, top - sn);
			top = max(top, sn);
			break;
		case XE_REPLAY:
			replays++;
			break;
		case XE_TOO_OLD:
			too_old++;
			break;
		}
	}
	KUNIT_EXPECT_EQ(test, xe_window_top(w), top);
	KUNIT_EXPECT_EQ(test, xe_window_packets(w), packets);
	KUNIT_EXPECT_EQ(test, atomic64_read(&w->replays), replays);
	KUNIT_EXPECT_EQ(test, atomic64_read(&w->too_old), too_old);
	KUNIT_EXPECT_EQ(test, atomic64_read(&w->backtrack), backtrack);
	/* The walk must have been where it is meant to lead */
	KUNIT_EXPECT_GT(test, packets, WALK_STEPS / 4);
	KUNIT_EXPECT_GT(test, replays, WALK_STEPS / 100);
	KUNIT_EXPECT_GT(test, too_old, WALK_STEPS / 100);
	vfree(seen);
}

/* Documentation/windows.rst gives the memory of a window; nothing is wasted */
static void window_memory(struct kunit *test)
{
	u32 L = *(const u32 *)test->param_value;
	struct xe_window *w = window_new(test, L);
	size_t ring = L < 128 ? 64 : L / 2;

	KUNIT_EXPECT_EQ(test, xe_window_bytes(L), 128 + ring);
	KUNIT_EXPECT_EQ(test, ksize(w), 128);
	KUNIT_EXPECT_EQ(test, ksize(w->ring), ring);
}

static void counter_counts(struct kunit *test)
{
	struct xe_counter c = { .max = XE_SN_MAX };
	bool first;
	u64 sn, i;

	KUNIT_EXPECT_EQ(test, xe_counter_last(&c), 0);
	for (i = 1; i <= 1000; i++) {
		KUNIT_EXPECT_TRUE(test, xe_counter_next(&c, &sn, &first));
		KUNIT_EXPECT_EQ(test, sn, i);
		KUNIT_EXPECT_FALSE(test, first);
	}
	KUNIT_EXPECT_EQ(test, xe_counter_last(&c), 1000);
}

/* The last number is 2^48 - 1; then it stops, for good, and says so once */
static void counter_stops(struct kunit *test)
{
	struct xe_counter c = {
		.last = ATOMIC64_INIT((1LL << 48) - 3),
		.max = XE_SN_MAX,
	};
	bool first;
	u64 sn;
	int i;

	KUNIT_EXPECT_TRUE(test, xe_counter_next(&c, &sn, &first));
	KUNIT_EXPECT_EQ(test, sn, 0xfffffffffffeULL);
	KUNIT_EXPECT_TRUE(test, xe_counter_next(&c, &sn, &first));
	KUNIT_EXPECT_EQ(test, sn, 0xffffffffffffULL);
	KUNIT_EXPECT_FALSE(test, first);

	KUNIT_EXPECT_FALSE(test, xe_counter_next(&c, &sn, &first));
	KUNIT_EXPECT_TRUE(test, first);
	for (i = 0; i < 100000; i++) {
		if (xe_counter_next(&c, &sn, &first) || first) {
			KUNIT_FAIL(test, "refusal %d: sn %llu first %d", i, sn,
				   first);
			break;
		}
	}
	KUNIT_EXPECT_EQ(test, xe_counter_last(&c), 0xffffffffffffULL);

	/* Of RFC 4303 without ESN it is 2^32 - 1 */
	c = (struct xe_counter){
		.last = ATOMIC64_INIT(0xfffffffe),
		.max = U32_MAX,
	};
	KUNIT_EXPECT_TRUE(test, xe_counter_next(&c, &sn, &first));
	KUNIT_EXPECT_EQ(test, sn, 0xffffffffULL);
	KUNIT_EXPECT_FALSE(test, xe_counter_next(&c, &sn, &first));
	KUNIT_EXPECT_TRUE(test, first);
	KUNIT_EXPECT_FALSE(test, xe_counter_next(&c, &sn, &first));
	KUNIT_EXPECT_FALSE(test, first);
	KUNIT_EXPECT_EQ(test, xe_counter_last(&c), 0xffffffffULL);
}

/* What is set counts as seen; all else is as ever */
static void window_set(struct kunit *test)
{
	struct xe_window *w = xe_window_alloc(64, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, w);
	KUNIT_EXPECT_EQ(test, xe_window_update(w, 50), XE_FRESH);
	xe_window_forward(w, 1000);
	KUNIT_EXPECT_EQ(test, xe_window_top(w), 1000);
	KUNIT_EXPECT_EQ(test, xe_window_check(w, 51), XE_TOO_OLD);
	KUNIT_EXPECT_EQ(test, xe_window_update(w, 51), XE_TOO_OLD);
	KUNIT_EXPECT_EQ(test, xe_window_check(w, 1000), XE_TOO_OLD);
	KUNIT_EXPECT_EQ(test, xe_window_update(w, 1000), XE_TOO_OLD);
	KUNIT_EXPECT_EQ(test, xe_window_update(w, 1002), XE_FRESH);
	KUNIT_EXPECT_EQ(test, xe_window_update(w, 1001), XE_FRESH);
	KUNIT_EXPECT_EQ(test, xe_window_update(w, 1001), XE_REPLAY);
	KUNIT_EXPECT_EQ(test, xe_window_update(w, 1000), XE_TOO_OLD);
	/* Never backward */
	xe_window_forward(w, 999);
	KUNIT_EXPECT_EQ(test, xe_window_update(w, 1000), XE_TOO_OLD);
	KUNIT_EXPECT_EQ(test, xe_window_top(w), 1002);
	KUNIT_EXPECT_EQ(test, xe_window_packets(w), 3);
	xe_window_forward(w, XE_SN_MAX);
	KUNIT_EXPECT_EQ(test, xe_window_update(w, XE_SN_MAX), XE_TOO_OLD);
	xe_window_free(w);
}

static struct kunit_case window_cases[] = {
	KUNIT_CASE_PARAM(window_boundaries, window_size_gen_params),
	KUNIT_CASE_PARAM(window_runs, window_size_gen_params),
	KUNIT_CASE_PARAM(window_first_jump, window_size_gen_params),
	KUNIT_CASE_PARAM(window_turns, window_size_gen_params),
	KUNIT_CASE_PARAM(window_walk, window_size_gen_params),
	KUNIT_CASE_PARAM(window_memory, window_size_gen_params),
	KUNIT_CASE(window_quiet),
	KUNIT_CASE(window_set),
	{}
};

static struct kunit_suite window_suite = {
	.name = "xfrm_ext_window",
	.exit = window_exit,
	.test_cases = window_cases,
};

static struct kunit_case counter_cases[] = {
	KUNIT_CASE(counter_counts),
	KUNIT_CASE(counter_stops),
	{}
};

static struct kunit_suite counter_suite = {
	.name = "xfrm_ext_counter",
	.test_cases = counter_cases,
};

kunit_test_suites(&window_suite, &concurrent_suite, &counter_suite,
		  &sender_suite, &formats_suite, &golden_suite,
		  &beet_suite, &inner_suite, &texts_suite, &eesp_suite);

MODULE_DESCRIPTION("Unit tests of xfrm_ext");
MODULE_LICENSE("GPL");
