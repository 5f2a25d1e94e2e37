// SPDX-License-Identifier: GPL-2.0-only
/*
 * Texts of refusals: a task's stays as it is until that task has the next one, whatever
 * others are refused meanwhile.
 */
#include <linux/completion.h>
#include <linux/kthread.h>
#include <linux/string.h>

#include "../../../net/xfrm_ext/compat/compat.h"
#include "suites.h"

#define OTHERS	200	/* more than there is room for */

struct texts {
	struct completion made;
	struct completion go;
	struct completion done;
	atomic_t next;
	atomic_t good;
	atomic_t bare;
};

static int other_task(void *data)
{
	struct texts *t = data;
	int n = atomic_inc_return(&t->next);
	const char *text;
	char want[64];

	text = xe_extack_text("window %d: %s", n,
			      "a text that is longer than that of the first");
	snprintf(want, sizeof(want), "window %d: %s", n,
		 "a text that is longer than that of the first");
	complete(&t->made);
	wait_for_completion(&t->go);
	if (!strcmp(text, want))
		atomic_inc(&t->good);
	else if (!strcmp(text, "window %d: %s"))
		atomic_inc(&t->bare);
	/* Nothing of this module runs behind that */
	kthread_complete_and_exit(&t->done, 0);
}

static void texts_stay(struct kunit *test)
{
	struct texts *t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);
	const char *text, *again;
	struct task_struct *task;
	int i;

	KUNIT_ASSERT_NOT_NULL(test, t);
	init_completion(&t->made);
	init_completion(&t->go);
	init_completion(&t->done);
	text = xe_extack_text("spi %d", 7);
	KUNIT_EXPECT_STREQ(test, text, "spi 7");
	for (i = 0; i < OTHERS; i++) {
		task = kthread_run(other_task, t, "xe_texts/%d", i);
		if (IS_ERR(task)) {
			KUNIT_FAIL(test, "thread %d: %ld", i, PTR_ERR(task));
			break;
		}
		wait_for_completion(&t->made);
	}
	KUNIT_EXPECT_STREQ(test, text, "spi 7");
	again = xe_extack_text("spi %d", 8);
	KUNIT_EXPECT_STREQ(test, again, "spi 8");
	complete_all(&t->go);
	while (i--)
		wait_for_completion(&t->done);
	/* Who finds no room has the text without its values, and never another's */
	KUNIT_EXPECT_EQ(test, atomic_read(&t->good) + atomic_read(&t->bare),
			OTHERS);
	KUNIT_EXPECT_GE(test, atomic_read(&t->good), 32);
	xe_extack_exit();
}

static struct kunit_case texts_cases[] = {
	KUNIT_CASE(texts_stay),
	{}
};

struct kunit_suite texts_suite = {
	.name = "xfrm_ext_texts",
	.test_cases = texts_cases,
};
