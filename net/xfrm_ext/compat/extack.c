// SPDX-License-Identifier: GPL-2.0-only
#include <linux/pid.h>
#include <linux/sched.h>
#include <linux/spinlock.h>

#include "compat.h"

#define XE_EXTACK_SLOTS	64
#define XE_EXTACK_LEN	192

/*
 * The netlink core looks at a text twice, for its length and to copy it, and may sleep
 * in between for any time; if it got longer meanwhile, that is a warning of the
 * kernel's. So a text is its task's until that task has the next one, or has ended: a
 * task has one request at a time, and its answer is on the way before the next.
 */
static struct {
	struct pid *task;
	char text[XE_EXTACK_LEN];
} xe_extack_slots[XE_EXTACK_SLOTS];

/* Protects whose they are; a text is its task's own */
static DEFINE_SPINLOCK(xe_extack_lock);

/* The caller's own, or one that is nobody's; NULL if there is none */
static char *xe_extack_slot(void)
{
	struct pid *task = task_pid(current);
	char *text = NULL;
	int i, free = -1;

	spin_lock_bh(&xe_extack_lock);
	rcu_read_lock();
	for (i = 0; i < XE_EXTACK_SLOTS; i++) {
		if (xe_extack_slots[i].task == task)
			break;
		if (free < 0 && (!xe_extack_slots[i].task ||
				 !pid_task(xe_extack_slots[i].task,
					   PIDTYPE_PID)))
			free = i;
	}
	rcu_read_unlock();
	if (i == XE_EXTACK_SLOTS && free >= 0) {
		put_pid(xe_extack_slots[free].task);
		xe_extack_slots[free].task = get_pid(task);
		i = free;
	}
	if (i < XE_EXTACK_SLOTS)
		text = xe_extack_slots[i].text;
	spin_unlock_bh(&xe_extack_lock);
	return text;
}

/**
 * xe_extack_text - format a text for an extack
 * @fmt: printf format, a constant
 *
 * Context: process, with or without locks.
 * Return: the text, valid until the same task makes another; @fmt itself if 64 other
 *         tasks that have made one live.
 */
const char *xe_extack_text(const char *fmt, ...)
{
	char *text = xe_extack_slot();
	va_list args;

	if (!text)
		return fmt;
	va_start(args, fmt);
	vsnprintf(text, XE_EXTACK_LEN, fmt, args);
	va_end(args);
	return text;
}

/**
 * xe_extack_exit - let go of tasks
 *
 * Context: module unload; nobody asks any more.
 */
void xe_extack_exit(void)
{
	int i;

	for (i = 0; i < XE_EXTACK_SLOTS; i++) {
		put_pid(xe_extack_slots[i].task);
		xe_extack_slots[i].task = NULL;
	}
}
