// SPDX-License-Identifier: GPL-2.0-only
/*
 * A network namespace's part, and the one switch that is for all of them.
 */
#include <linux/module.h>
#include <linux/slab.h>

#include "net.h"

bool xe_fastpath = true;
module_param_named(fastpath, xe_fastpath, bool, 0644);
MODULE_PARM_DESC(fastpath, "Take packets before the kernel's own path does (default on; off for tests)");

unsigned int xe_net_id;

/**
 * xe_net_alloc - a namespace begins
 * @net: namespace
 *
 * Context: process, may sleep.
 * Return: its part with one reference, which xe_net() does not know yet, or NULL.
 */
struct xe_net *xe_net_alloc(struct net *net)
{
	struct xe_net *xn = kzalloc(sizeof(*xn), GFP_KERNEL_ACCOUNT);

	if (!xn)
		return NULL;
	xn->net = net;
	refcount_set(&xn->refs, 1);
	mutex_init(&xn->lock);
	INIT_LIST_HEAD(&xn->sas);
	xe_memory_init_net(xn);
	return xn;
}

/**
 * xe_net_get - hold a namespace's part
 * @xn: namespace's part
 *
 * Return: @xn.
 */
struct xe_net *xe_net_get(struct xe_net *xn)
{
	refcount_inc(&xn->refs);
	return xn;
}

/**
 * xe_net_put - let go of it
 * @xn: namespace's part
 */
void xe_net_put(struct xe_net *xn)
{
	if (refcount_dec_and_test(&xn->refs))
		kfree_rcu(xn, rcu);
}
