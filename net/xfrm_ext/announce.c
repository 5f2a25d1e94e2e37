// SPDX-License-Identifier: GPL-2.0-only
/*
 * Announcements: what an SA that does not exist yet shall be.
 *
 * Each holds the module: while one is pending, the SA it speaks of cannot come
 * to be with nobody there to claim it.
 *
 * It is used up by an SA that is in place, and not before: a state that claims it
 * holds it, and if that state goes without ever having been ready, the next one
 * finds it again. So whoever has asked for an extended SA, was refused and asks
 * again, without the mark even, gets an extended SA or none. It goes to another
 * state only when the one before has been made to fail for good: of all states
 * that have held an announcement, no more than one ever uses a number.
 */
#include <linux/jiffies.h>
#include <linux/slab.h>

#include "control.h"

#define XE_ANNOUNCE_MAX		1024	/* pending, per namespace */
#define XE_ANNOUNCE_BUSY	"an SA is being made of this announcement"

/**
 * struct xe_announcement - one of xe_net::announced
 * @list: there
 * @id: of the SA to come
 * @params: what it shall be
 * @expires: jiffies
 * @x: the state that has claimed it last, alive; or NULL
 */
struct xe_announcement {
	struct list_head list;
	struct xe_id id;
	struct xe_params params;
	unsigned long expires;
	const struct xfrm_state *x;
};

static struct xe_announcement *xe_announce_find(struct xe_net *xn,
						const struct xe_id *id)
{
	struct xe_announcement *a;

	lockdep_assert_held(&xn->announce_lock);
	list_for_each_entry(a, &xn->announced, list)
		if (a->id.spi == id->spi && a->id.family == id->family &&
		    a->id.mark.v == id->mark.v && a->id.mark.m == id->mark.m &&
		    xfrm_addr_equal(&a->id.daddr, &id->daddr, id->family))
			return a;
	return NULL;
}

static struct xe_announcement *xe_announce_of(struct xe_net *xn,
					      const struct xfrm_state *x)
{
	struct xe_announcement *a;

	lockdep_assert_held(&xn->announce_lock);
	list_for_each_entry(a, &xn->announced, list)
		if (a->x == x)
			return a;
	return NULL;
}

/* Is an SA being made of it? Of one that is dead none will be. */
static bool xe_announce_busy(const struct xe_announcement *a)
{
	const struct xe_sa *sa;

	if (!a->x)
		return false;
	sa = xe_sa_of(a->x);
	return !sa || xe_sa_pending(sa);
}

static void xe_announce_free(struct xe_net *xn, struct xe_announcement *a)
{
	lockdep_assert_held(&xn->announce_lock);
	list_del(&a->list);
	xn->n_announced--;
	kfree(a);
	module_put(THIS_MODULE);
}

static void xe_announce_schedule(struct xe_net *xn)
{
	struct xe_announcement *a;
	unsigned long now = jiffies;

	list_for_each_entry(a, &xn->announced, list) {
		if (xe_announce_busy(a))
			continue;
		mod_delayed_work(system_power_efficient_wq, &xn->age,
				 time_after(a->expires, now) ?
				 a->expires - now : 0);
		break;
	}
}

static void xe_announce_age(struct work_struct *work)
{
	struct xe_net *xn = container_of(to_delayed_work(work), struct xe_net,
					 age);
	struct xe_announcement *a, *next;

	spin_lock_bh(&xn->announce_lock);
	list_for_each_entry_safe(a, next, &xn->announced, list) {
		if (time_before(jiffies, a->expires))
			break;
		if (!xe_announce_busy(a))
			xe_announce_free(xn, a);
	}
	xe_announce_schedule(xn);
	spin_unlock_bh(&xn->announce_lock);
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
 * Return: 0, -EBUSY (too many pending, or an SA is being made of the earlier
 *         one), -ENODEV (module or namespace going), -ENOMEM.
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
	a->x = NULL;

	spin_lock_bh(&xn->announce_lock);
	old = xe_announce_find(xn, id);
	err = -EBUSY;
	if (old && xe_announce_busy(old)) {
		xe_extack(extack, XE_ANNOUNCE_BUSY);
		goto err_unlock;
	}
	if (!old && xn->n_announced >= XE_ANNOUNCE_MAX) {
		xe_extack(extack,
			  "%u announcements pending; no more than %u, each ages out after %u s",
			  xn->n_announced, XE_ANNOUNCE_MAX, XE_ANNOUNCE_TTL);
		goto err_unlock;
	}
	err = -ENODEV;
	if (READ_ONCE(xn->dead) || !try_module_get(THIS_MODULE)) {
		xe_extack(extack, "module or namespace is going away");
		goto err_unlock;
	}
	if (old)
		xe_announce_free(xn, old);
	list_add_tail(&a->list, &xn->announced);
	xn->n_announced++;
	xe_announce_schedule(xn);
	spin_unlock_bh(&xn->announce_lock);
	return 0;

err_unlock:
	spin_unlock_bh(&xn->announce_lock);
	kfree(a);
	return err;
}

/**
 * xe_announce_claim - a state is what was announced
 * @xn: namespace
 * @id: which SA
 * @x: state that is being created
 * @params: where to copy what it shall be
 * @extack: for the reason of a refusal
 *
 * The announcement stays, and is @x's until xe_announce_used() or
 * xe_announce_release(); one of them is called before @x is freed.
 *
 * Return: 0, -ENOENT if there is none, or -EBUSY if another state has claimed it
 *         and may yet come to be.
 */
int xe_announce_claim(struct xe_net *xn, const struct xe_id *id,
		      const struct xfrm_state *x, struct xe_params *params,
		      struct netlink_ext_ack *extack)
{
	struct xe_announcement *a;
	int err = -ENOENT;

	spin_lock_bh(&xn->announce_lock);
	a = xe_announce_find(xn, id);
	if (!a)
		goto out;
	if (xe_announce_busy(a)) {
		xe_extack(extack, XE_ANNOUNCE_BUSY);
		err = -EBUSY;
		goto out;
	}
	/* The kernel frees a state that it has refused when it comes to it */
	if ((a->x && !xe_sa_abandon(xe_sa_of(a->x))) ||
	    time_after_eq(jiffies, a->expires)) {
		xe_announce_free(xn, a);
		goto out;
	}
	*params = a->params;
	a->x = x;
	err = 0;
out:
	spin_unlock_bh(&xn->announce_lock);
	return err;
}

/**
 * xe_announce_used - the SA that was announced is in place
 * @xn: namespace's part
 * @x: its state
 *
 * Context: any.
 */
void xe_announce_used(struct xe_net *xn, const struct xfrm_state *x)
{
	struct xe_announcement *a;

	spin_lock_bh(&xn->announce_lock);
	a = xe_announce_of(xn, x);
	if (a)
		xe_announce_free(xn, a);
	spin_unlock_bh(&xn->announce_lock);
}

/**
 * xe_announce_release - a state that has claimed an announcement goes
 * @xn: namespace's part
 * @x: state; if it is an SA of ours its last reference is gone
 *
 * If it never was ready, the announcement is there for the next one as long as it
 * would have been anyway.
 */
void xe_announce_release(struct xe_net *xn, const struct xfrm_state *x)
{
	struct xe_announcement *a;

	spin_lock_bh(&xn->announce_lock);
	a = xe_announce_of(xn, x);
	if (a) {
		a->x = NULL;
		/* It was left out while it was busy */
		xe_announce_schedule(xn);
	}
	spin_unlock_bh(&xn->announce_lock);
}

/**
 * xe_announce_withdraw - forget an announcement
 * @xn: namespace
 * @id: which SA
 * @extack: for the reason of a refusal
 *
 * Return: 0, -ENOENT if there is none, or -EBUSY if an SA is being made of it.
 */
int xe_announce_withdraw(struct xe_net *xn, const struct xe_id *id,
			 struct netlink_ext_ack *extack)
{
	struct xe_announcement *a;
	int err = -ENOENT;

	spin_lock_bh(&xn->announce_lock);
	a = xe_announce_find(xn, id);
	if (a && xe_announce_busy(a)) {
		xe_extack(extack, XE_ANNOUNCE_BUSY);
		err = -EBUSY;
	} else {
		if (a && time_before(jiffies, a->expires))
			err = 0;
		else
			xe_extack(extack,
				  "no announcement pending for this daddr, spi and mark");
		if (a)
			xe_announce_free(xn, a);
	}
	spin_unlock_bh(&xn->announce_lock);
	return err;
}

/**
 * xe_announce_init_net - a namespace begins
 * @xn: its part, not visible to others yet
 */
void xe_announce_init_net(struct xe_net *xn)
{
	spin_lock_init(&xn->announce_lock);
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

	spin_lock_bh(&xn->announce_lock);
	list_for_each_entry_safe(a, next, &xn->announced, list)
		xe_announce_free(xn, a);
	spin_unlock_bh(&xn->announce_lock);
	cancel_delayed_work_sync(&xn->age);
}
