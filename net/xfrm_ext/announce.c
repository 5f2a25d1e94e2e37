// SPDX-License-Identifier: GPL-2.0-only
/*
 * Announcements: what an SA that does not exist yet shall be.
 *
 * Each holds the module: while one is pending, the SA it speaks of cannot come
 * to be with nobody there to claim it.
 */
#include <linux/jiffies.h>
#include <linux/slab.h>

#include "xfrm_ext.h"

#define XE_ANNOUNCE_MAX		1024	/* pending, per namespace */

/**
 * struct xe_announcement - one of xe_net::announced
 * @list: there
 * @id: of the SA to come
 * @params: what it shall be
 * @expires: jiffies
 */
struct xe_announcement {
	struct list_head list;
	struct xe_id id;
	struct xe_params params;
	unsigned long expires;
};

static struct xe_announcement *xe_announce_find(struct xe_net *xn,
						const struct xe_id *id)
{
	struct xe_announcement *a;

	lockdep_assert_held(&xn->lock);
	list_for_each_entry(a, &xn->announced, list)
		if (a->id.spi == id->spi && a->id.family == id->family &&
		    a->id.mark.v == id->mark.v && a->id.mark.m == id->mark.m &&
		    xfrm_addr_equal(&a->id.daddr, &id->daddr, id->family))
			return a;
	return NULL;
}

static void xe_announce_free(struct xe_net *xn, struct xe_announcement *a)
{
	lockdep_assert_held(&xn->lock);
	list_del(&a->list);
	xn->n_announced--;
	kfree(a);
	module_put(THIS_MODULE);
}

static void xe_announce_schedule(struct xe_net *xn)
{
	struct xe_announcement *a;
	unsigned long now = jiffies;

	a = list_first_entry_or_null(&xn->announced, struct xe_announcement,
				     list);
	if (a)
		mod_delayed_work(system_wq, &xn->age,
				 time_after(a->expires, now) ?
				 a->expires - now : 0);
}

static void xe_announce_age(struct work_struct *work)
{
	struct xe_net *xn = container_of(to_delayed_work(work), struct xe_net,
					 age);
	struct xe_announcement *a, *next;

	mutex_lock(&xn->lock);
	list_for_each_entry_safe(a, next, &xn->announced, list) {
		if (time_before(jiffies, a->expires))
			break;
		xe_announce_free(xn, a);
	}
	xe_announce_schedule(xn);
	mutex_unlock(&xn->lock);
}

/**
 * xe_announce - note what an SA shall be
 * @xn: namespace
 * @id: which
 * @params: what; validated
 * @extack: for the reason of a refusal
 *
 * Replaces an earlier announcement for the same SA.
 *
 * Return: 0, -EBUSY (too many pending), -ENODEV (module or namespace going),
 *         -ENOMEM.
 */
int xe_announce(struct xe_net *xn, const struct xe_id *id,
		const struct xe_params *params, struct netlink_ext_ack *extack)
{
	struct xe_announcement *a, *old;
	int err;

	a = kmalloc(sizeof(*a), GFP_KERNEL_ACCOUNT);
	if (!a)
		return -ENOMEM;
	a->id = *id;
	a->params = *params;
	a->expires = jiffies + XE_ANNOUNCE_TTL * HZ;

	mutex_lock(&xn->lock);
	old = xe_announce_find(xn, id);
	err = -EBUSY;
	if (!old && xn->n_announced >= XE_ANNOUNCE_MAX) {
		xe_extack(extack,
			  "%u announcements pending; no more than %u, each ages out after %u s",
			  xn->n_announced, XE_ANNOUNCE_MAX, XE_ANNOUNCE_TTL);
		goto err_unlock;
	}
	err = -ENODEV;
	if (xn->dead || !try_module_get(THIS_MODULE)) {
		xe_extack(extack, "module or namespace is going away");
		goto err_unlock;
	}
	if (old)
		xe_announce_free(xn, old);
	list_add_tail(&a->list, &xn->announced);
	xn->n_announced++;
	xe_announce_schedule(xn);
	mutex_unlock(&xn->lock);
	return 0;

err_unlock:
	mutex_unlock(&xn->lock);
	kfree(a);
	return err;
}

/**
 * xe_announce_take - take an announcement, for use or to forget it
 * @xn: namespace
 * @id: which SA
 * @params: where to copy what it shall be, or NULL
 *
 * Return: 0, or -ENOENT if there is none.
 */
int xe_announce_take(struct xe_net *xn, const struct xe_id *id,
		     struct xe_params *params)
{
	struct xe_announcement *a;
	int err = -ENOENT;

	mutex_lock(&xn->lock);
	a = xe_announce_find(xn, id);
	if (a && time_before(jiffies, a->expires)) {
		if (params)
			*params = a->params;
		err = 0;
	}
	if (a)
		xe_announce_free(xn, a);
	mutex_unlock(&xn->lock);
	return err;
}

/**
 * xe_announce_init_net - a namespace begins
 * @xn: its part, not visible to others yet
 */
void xe_announce_init_net(struct xe_net *xn)
{
	INIT_LIST_HEAD(&xn->announced);
	INIT_DELAYED_WORK(&xn->age, xe_announce_age);
}

/**
 * xe_announce_exit_net - a namespace ends
 * @xn: its part, marked dead: no new announcement comes
 */
void xe_announce_exit_net(struct xe_net *xn)
{
	struct xe_announcement *a, *next;

	mutex_lock(&xn->lock);
	list_for_each_entry_safe(a, next, &xn->announced, list)
		xe_announce_free(xn, a);
	mutex_unlock(&xn->lock);
	cancel_delayed_work_sync(&xn->age);
}
