// SPDX-License-Identifier: GPL-2.0-only
/*
 * The sender's side: which subspace a packet takes, and counters that are
 * drawn from, set and warned about.
 */
#include <linux/completion.h>
#include <linux/cpumask.h>
#include <linux/kthread.h>
#include <linux/slab.h>

#include "../../../net/xfrm_ext/counter.h"
#include "../../../net/xfrm_ext/select.h"
#include "suites.h"

/* Documentation/subspaces.rst: class * select-cpus + CPU % select-cpus */
static void select_place(struct kunit *test)
{
	static const struct {
		u32 classes, cpus, class, cpu, place;
	} cases[] = {
		{ 1, 1, 0, 0, 0 },
		{ 1, 1, 0, 63, 0 },
		{ 1, 8, 0, 7, 7 },
		{ 1, 8, 0, 8, 0 },
		{ 1, 8, 0, 13, 5 },
		{ 1, 3, 0, 5, 2 },
		{ 8, 1, 7, 200, 7 },
		{ 2, 3, 1, 0, 3 },
		{ 2, 3, 1, 4, 4 },
		{ 16384, 4, 16383, 7, 65535 },
	};
	int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		struct xe_select s = {
			.classes = cases[i].classes, .cpus = cases[i].cpus,
		};

		KUNIT_EXPECT_EQ_MSG(test,
				    xe_select_place(&s, cases[i].class,
						    cases[i].cpu),
				    cases[i].place, "case %d", i);
	}
}

/* Eight classes are the Class Selectors, sixty-four the code points */
static void select_dscp(struct kunit *test)
{
	struct xe_select s = { .by = XFRM_EXT_SELECT_DSCP, .cpus = 1 };
	u32 d;

	s.classes = 8;
	xe_select_dscp_default(&s);
	for (d = 0; d < 64; d++)
		KUNIT_EXPECT_EQ(test, xe_select_class(&s, d), d / 8);
	for (s.classes = 64; s.classes <= 1024; s.classes *= 4) {
		xe_select_dscp_default(&s);
		for (d = 0; d < 64; d++)
			KUNIT_EXPECT_EQ(test, xe_select_class(&s, d), d);
	}
	/* As many neighbours each as there can be, none left out */
	s.classes = 3;
	xe_select_dscp_default(&s);
	KUNIT_EXPECT_EQ(test, xe_select_class(&s, 0), 0);
	KUNIT_EXPECT_EQ(test, xe_select_class(&s, 21), 0);
	KUNIT_EXPECT_EQ(test, xe_select_class(&s, 22), 1);
	KUNIT_EXPECT_EQ(test, xe_select_class(&s, 42), 1);
	KUNIT_EXPECT_EQ(test, xe_select_class(&s, 43), 2);
	KUNIT_EXPECT_EQ(test, xe_select_class(&s, 63), 2);
	s.classes = 1;
	xe_select_dscp_default(&s);
	for (d = 0; d < 64; d++)
		KUNIT_EXPECT_EQ(test, xe_select_class(&s, d), 0);
}

/* Whatever a packet has on it, its class is one of the SA's */
static void select_mark_flow(struct kunit *test)
{
	struct xe_select s = {
		.by = XFRM_EXT_SELECT_MARK, .classes = 5, .cpus = 1,
		.mask = 0xff00, .shift = 8,
	};
	u32 i, value = 12345, seen = 0;

	KUNIT_EXPECT_EQ(test, xe_select_class(&s, 0xabcd03ef), 3);
	KUNIT_EXPECT_EQ(test, xe_select_class(&s, 0x000005ff), 0);
	KUNIT_EXPECT_EQ(test, xe_select_class(&s, 0xffffffff), 0);
	KUNIT_EXPECT_EQ(test, xe_select_class(&s, 0x0000fe00), 4);

	s.by = XFRM_EXT_SELECT_FLOW;
	KUNIT_EXPECT_EQ(test, xe_select_class(&s, 0), 0);
	KUNIT_EXPECT_EQ(test, xe_select_class(&s, U32_MAX), 4);
	for (i = 0; i < 1000; i++) {
		value = value * 1664525 + 1013904223;
		KUNIT_ASSERT_LT(test, xe_select_class(&s, value), 5);
		seen |= 1 << xe_select_class(&s, value);
	}
	KUNIT_EXPECT_EQ(test, seen, 0x1f);

	s.by = XFRM_EXT_SELECT_CPU;
	KUNIT_EXPECT_EQ(test, xe_select_class(&s, U32_MAX), 0);
}

static void counter_forward(struct kunit *test)
{
	struct xe_counter c = { .max = XE_SN_MAX };
	bool first;
	u64 sn;

	KUNIT_EXPECT_TRUE(test, xe_counter_forward(&c, 1000));
	KUNIT_EXPECT_EQ(test, xe_counter_last(&c), 1000);
	KUNIT_EXPECT_TRUE(test, xe_counter_next(&c, &sn, &first));
	KUNIT_EXPECT_EQ(test, sn, 1001);
	KUNIT_EXPECT_FALSE(test, xe_counter_forward(&c, 1000));
	KUNIT_EXPECT_EQ(test, xe_counter_last(&c), 1001);
	KUNIT_EXPECT_TRUE(test, xe_counter_forward(&c, 1001));
	KUNIT_EXPECT_TRUE(test, xe_counter_next(&c, &sn, &first));
	KUNIT_EXPECT_EQ(test, sn, 1002);

	/* To the end: nothing comes behind it, and it is told once */
	KUNIT_EXPECT_TRUE(test, xe_counter_forward(&c, XE_SN_MAX));
	KUNIT_EXPECT_FALSE(test, xe_counter_next(&c, &sn, &first));
	KUNIT_EXPECT_TRUE(test, first);
	KUNIT_EXPECT_FALSE(test, xe_counter_forward(&c, XE_SN_MAX));
	KUNIT_EXPECT_FALSE(test, xe_counter_next(&c, &sn, &first));
	KUNIT_EXPECT_FALSE(test, first);
}

static void counter_warns(struct kunit *test)
{
	struct xe_counter c = {};

	KUNIT_EXPECT_FALSE(test, xe_counter_warn(&c, 1, 100));
	KUNIT_EXPECT_FALSE(test, xe_counter_warn(&c, 99, 100));
	KUNIT_EXPECT_TRUE(test, xe_counter_warn(&c, 100, 100));
	KUNIT_EXPECT_FALSE(test, xe_counter_warn(&c, 100, 100));
	KUNIT_EXPECT_FALSE(test, xe_counter_warn(&c, XE_SN_MAX, 100));
	/* Also if the number itself was skipped */
	c = (struct xe_counter){};
	KUNIT_EXPECT_TRUE(test, xe_counter_warn(&c, 5000, 100));
	KUNIT_EXPECT_FALSE(test, xe_counter_warn(&c, 5001, 100));
}

#define DRAWS	100000u
#define THREADS	4

struct counter_race {
	struct xe_counter c;
	unsigned long *taken;
	atomic_t twice;
	atomic_t beyond;
	atomic_t refused;
	atomic_t told;
	struct completion done;
};

static int counter_racer(void *data)
{
	struct counter_race *r = data;
	bool first;
	u32 i;
	u64 sn;

	for (i = 0; i < DRAWS; i++) {
		if (!xe_counter_next(&r->c, &sn, &first)) {
			atomic_inc(&r->refused);
			if (first)
				atomic_inc(&r->told);
			continue;
		}
		sn -= XE_SN_MAX - 2 * DRAWS + 1;
		if (sn >= 2 * DRAWS)
			atomic_inc(&r->beyond);
		else if (test_and_set_bit(sn, r->taken))
			atomic_inc(&r->twice);
		if (i % 1024 == 0)
			cond_resched();
	}
	/* Nothing of this module runs behind that */
	kthread_complete_and_exit(&r->done, 0);
}

/* Four who draw 100,000 numbers each where 200,000 are left */
static void counter_shared(struct kunit *test)
{
	struct counter_race *r = kunit_kzalloc(test, sizeof(*r), GFP_KERNEL);
	struct task_struct *task[THREADS];
	int i;

	KUNIT_ASSERT_NOT_NULL(test, r);
	r->taken = kunit_kzalloc(test, BITS_TO_LONGS(2 * DRAWS) *
				 sizeof(long), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, r->taken);
	r->c.max = XE_SN_MAX;
	atomic64_set(&r->c.last, XE_SN_MAX - 2 * DRAWS);
	init_completion(&r->done);
	for (i = 0; i < THREADS; i++) {
		task[i] = kthread_create(counter_racer, r, "xe_counter/%d", i);
		KUNIT_ASSERT_FALSE(test, IS_ERR(task[i]));
		kthread_bind(task[i], i % num_online_cpus());
	}
	for (i = 0; i < THREADS; i++)
		wake_up_process(task[i]);
	for (i = 0; i < THREADS; i++)
		wait_for_completion(&r->done);

	KUNIT_EXPECT_EQ(test, atomic_read(&r->twice), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&r->beyond), 0);
	KUNIT_EXPECT_EQ(test, find_first_zero_bit(r->taken, 2 * DRAWS),
			2 * DRAWS);
	KUNIT_EXPECT_EQ(test, atomic_read(&r->refused),
			THREADS * DRAWS - 2 * DRAWS);
	KUNIT_EXPECT_EQ(test, atomic_read(&r->told), 1);
}

static struct kunit_case sender_cases[] = {
	KUNIT_CASE(select_place),
	KUNIT_CASE(select_dscp),
	KUNIT_CASE(select_mark_flow),
	KUNIT_CASE(counter_forward),
	KUNIT_CASE(counter_warns),
	KUNIT_CASE(counter_shared),
	{}
};

struct kunit_suite sender_suite = {
	.name = "xfrm_ext_sender",
	.test_cases = sender_cases,
};
