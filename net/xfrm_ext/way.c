// SPDX-License-Identifier: GPL-2.0-only
/*
 * Ways that flows take, see flow.c: what they are, when they are no longer good,
 * and the switch.
 *
 * A way holds references to a destination entry, and so to routes, devices,
 * policies and SAs. Nobody waits for those longer than for a packet that is on
 * its way: what ends their time calls xe_flows_forget(); and of itself a way
 * goes after two seconds without a packet.
 */
#include <linux/inetdevice.h>
#include <linux/jhash.h>
#include <linux/netfilter.h>
#include <net/addrconf.h>
#include <net/genetlink.h>

#include "flow.h"

/* Also where another CPU may do the same: one of the two has each pointer */
static void xe_way_clear(struct xe_way *way)
{
	dst_release(xchg(&way->dst, NULL));
	dst_release(xchg(&way->orig, NULL));
}

static void xe_ways_clear(struct xe_flow_table *t)
{
	unsigned int i;

	for (i = 0; i < XE_WAYS; i++)
		if (READ_ONCE(t->ways[i].dst) || READ_ONCE(t->ways[i].orig))
			xe_way_clear(&t->ways[i]);
}

/* None if the switch has not been used yet, or the namespace ends; under RCU */
static struct xe_flows *xe_flows_of(const struct net *net)
{
	struct xe_net *xn = READ_ONCE(*(struct xe_net **)
				      net_generic(net, xe_net_id));

	return xn ? READ_ONCE(xn->flows) : NULL;
}

/**
 * xe_flows_forget - something has changed that flows depend on
 * @net: namespace
 *
 * On return no packet takes a way that was learnt before, but those that are
 * on it.
 *
 * Context: any.
 */
void xe_flows_forget(const struct net *net)
{
	struct xe_flow_table *t;
	struct xe_flow_cpu *c;
	struct xe_flows *f;
	int cpu;

	rcu_read_lock();
	f = xe_flows_of(net);
	if (!f)
		goto out;
	/*
	 * Pairs with xe_way_learn(): a CPU that learns at this moment sees
	 * the new number behind its way, or we see its way.
	 */
	atomic_inc_return(&f->gen);
	for_each_possible_cpu(cpu) {
		c = per_cpu_ptr(f->cpu, cpu);
		if (!READ_ONCE(c->used) || !xchg(&c->used, 0))
			continue;
		t = rcu_dereference(c->table);
		if (t)
			xe_ways_clear(t);
	}
out:
	rcu_read_unlock();
}

/* Of all CPUs that there are; under the namespace's lock or in its work */
static int xe_tables_alloc(struct xe_flows *f)
{
	struct xe_flow_table *t;
	struct xe_flow_cpu *c;
	int cpu;

	for_each_online_cpu(cpu) {
		c = per_cpu_ptr(f->cpu, cpu);
		if (rcu_access_pointer(c->table))
			continue;
		t = kvzalloc(sizeof(*t), GFP_KERNEL_ACCOUNT);
		if (!t)
			return -ENOMEM;
		/* The switch and the work may both be at it */
		if (cmpxchg((__force struct xe_flow_table **)&c->table, NULL, t))
			kvfree(t);
	}
	return 0;
}

static void xe_flows_age(struct work_struct *work)
{
	struct xe_flows *f = container_of(to_delayed_work(work),
					  struct xe_flows, age);
	u32 now = ktime_get_real_seconds();
	struct xe_flow_table *t;
	unsigned int i;
	int cpu;

	rcu_read_lock();
	for_each_possible_cpu(cpu) {
		t = rcu_dereference(per_cpu_ptr(f->cpu, cpu)->table);
		if (!t || !READ_ONCE(per_cpu_ptr(f->cpu, cpu)->used))
			continue;
		for (i = 0; i < XE_WAYS; i++)
			if (READ_ONCE(t->ways[i].dst) &&
			    now - READ_ONCE(t->ways[i].second) > 1)
				xe_way_clear(&t->ways[i]);
	}
	rcu_read_unlock();
	/* CPUs that have come since. Without memory: once more in a second */
	xe_tables_alloc(f);
	schedule_delayed_work(&f->age, HZ);
}

/**
 * xe_flow_multipath - how nexthops of multipath routes are chosen
 * @net: namespace
 * @family: address family of the packets
 *
 * Return: in the lower three bits the policy of hashes: 2 and more look into
 *         tunnels.
 */
u32 xe_flow_multipath(const struct net *net, u16 family)
{
#ifdef CONFIG_IP_ROUTE_MULTIPATH
	if (family == AF_INET)
		return READ_ONCE(net->ipv4.sysctl_fib_multipath_hash_policy) |
		       READ_ONCE(net->ipv4.sysctl_fib_multipath_use_neigh) << 3;
#endif
#if IS_ENABLED(CONFIG_IPV6)
	if (family == AF_INET6)
		return ip6_multipath_hash_policy(net);
#endif
	return 0;
}

/* Settings that the full path looks at and that no route is told about */
static __always_inline u32
xe_flow_conf(const struct net *net, const struct net_device *in, u16 family)
{
	u32 conf = xe_flow_multipath(net, family);

	if (family == AF_INET) {
		struct in_device *in_dev = __in_dev_get_rcu(in);

		if (!in_dev)
			return U32_MAX;
		conf |= IN_DEV_RPFILTER(in_dev) << 4;
		conf |= IN_DEV_ACCEPT_LOCAL(in_dev) ? 1 << 8 : 0;
		conf |= IN_DEV_SRC_VMARK(in_dev) ? 1 << 9 : 0;
	}
#if IS_ENABLED(CONFIG_IPV6)
	if (family == AF_INET6) {
		const struct inet6_dev *idev = __in6_dev_get(in);

		if (!idev)
			return U32_MAX;
		conf |= READ_ONCE(idev->cnf.disable_policy) ? 1 << 8 : 0;
		conf |= READ_ONCE(net->ipv6.devconf_all->disable_policy) ?
			1 << 9 : 0;
	}
#endif
	return conf;
}

static __always_inline bool xe_dst_good(struct dst_entry *dst, u32 cookie)
{
	return !READ_ONCE(dst->obsolete) || dst->ops->check(dst, cookie);
}

/**
 * xe_way_dst - where a way leads
 * @state: of the hook that a packet is at
 * @way: way
 *
 * Context: under RCU, BH off.
 * Return: its destination entry, without a reference, if it is still what the
 *         kernel would find; otherwise NULL.
 */
struct dst_entry *xe_way_dst(const struct nf_hook_state *state,
			     const struct xe_way *way)
{
	struct dst_entry *dst = READ_ONCE(way->dst), *orig;

	if (!dst ||
	    way->conf != xe_flow_conf(state->net, state->in, state->pf))
		return NULL;
	if (dst->xfrm)
		return dst->xfrm->km.dying == way->dying &&
		       xe_dst_good(dst, 0) ? dst : NULL;
	orig = READ_ONCE(way->orig);
	return orig && netif_running(orig->dev) &&
	       xe_dst_good(orig, way->cookie) ? dst : NULL;
}

/* Would a packet that goes one way be treated the same on the other? */
static bool xe_bundle_same(const struct dst_entry *a, const struct dst_entry *b)
{
	const struct xfrm_dst *x = (const struct xfrm_dst *)a;
	const struct xfrm_dst *y = (const struct xfrm_dst *)b;
	int i;

	if (x->path != y->path || x->num_xfrms != y->num_xfrms ||
	    x->num_pols != y->num_pols || x->policy_genid != y->policy_genid)
		return false;
	for (i = 0; i < x->num_pols; i++)
		if (x->pols[i] != y->pols[i])
			return false;
	while (a->xfrm && a->xfrm == b->xfrm) {
		x = (const struct xfrm_dst *)a;
		y = (const struct xfrm_dst *)b;
		if (x->route != y->route)
			return false;
		a = x->child;
		b = y->child;
	}
	return a == b;
}

static bool xe_way_same(const struct nf_hook_state *state,
			const struct xe_way *way, const struct dst_entry *dst)
{
	const struct dst_entry *old = xe_way_dst(state, way);

	if (!old || way->ifindex != state->in->ifindex)
		return false;
	if (!dst->xfrm)
		return READ_ONCE(way->orig) == dst;
	return old->xfrm && xe_bundle_same(old, dst);
}

/* Of a route of any family, @size octets with what is the family's; not references */
static void xe_dst_copy(struct dst_entry *to, const struct dst_entry *from,
			size_t size)
{
	struct dst_metrics *metrics = (struct dst_metrics *)DST_METRICS_PTR(from);

	memcpy(to + 1, from + 1, size - sizeof(*to));
	to->_metrics = from->_metrics;
	if (from->_metrics & DST_METRICS_REFCOUNTED)
		refcount_inc(&metrics->refcnt);
	to->input = from->input;
	to->output = from->output;
	to->error = from->error;
	to->expires = from->expires;
	to->lastuse = jiffies;
}

static struct dst_entry *xe_rtable_clone(const struct dst_entry *dst)
{
	struct rtable *own = xe_dst_alloc(dst);

	if (!own)
		return NULL;
	xe_dst_copy(&own->dst, dst, sizeof(*own));
	xe_rtable_init(own);
	return &own->dst;
}

#if IS_ENABLED(CONFIG_IPV6)
static struct dst_entry *xe_rt6_clone(const struct dst_entry *dst)
{
	const struct rt6_info *rt = (const struct rt6_info *)dst;
	struct fib6_info *from = rcu_dereference(rt->from);
	struct rt6_info *own;

	if (!from || !fib6_info_hold_safe(from))
		return NULL;
	own = xe_dst_alloc(dst);
	if (!own) {
		fib6_info_release(from);
		return NULL;
	}
	xe_dst_copy(&own->dst, dst, sizeof(*own));
	RCU_INIT_POINTER(own->from, from);
	if (own->rt6i_idev)
		in6_dev_hold(own->rt6i_idev);
	xe_rt6_init(own);
	return &own->dst;
}
#endif

static struct dst_entry *xe_dst_clone(const struct dst_entry *dst, u16 family)
{
#if IS_ENABLED(CONFIG_IPV6)
	if (family == AF_INET6)
		return xe_rt6_clone(dst);
#endif
	return xe_rtable_clone(dst);
}

static u32 xe_dst_cookie(const struct dst_entry *dst, u16 family)
{
#if IS_ENABLED(CONFIG_IPV6)
	if (family == AF_INET6 && !dst->xfrm)
		return rt6_get_cookie((const struct rt6_info *)dst);
#endif
	return 0;
}

/*
 * What the kernel has given to a packet is its own, if it is a bundle, and the
 * next one's if it is a route: of that, a copy.
 */
static struct dst_entry *xe_way_make(struct dst_entry *dst, u16 family)
{
	struct dst_entry *own = dst;

	if (dst->xfrm) {
		dst_hold(dst);
		own->input = ((struct xfrm_dst *)dst)->route->input;
	} else {
		own = xe_dst_clone(dst, family);
		if (!own)
			return NULL;
	}
	own->flags |= DST_NOXFRM | DST_NOPOLICY;
	return own;
}

/* In the place of nothing, or of the one that nobody has gone for longest */
static struct xe_way *xe_way_place(struct xe_way *set, u32 now)
{
	struct xe_way *best = set, *way;

	for (way = set; way < set + XE_PLACES; way++) {
		if (!READ_ONCE(way->dst))
			return way;
		if (now - way->second > now - best->second)
			best = way;
	}
	return best;
}

/**
 * xe_way_learn - the way that a packet is on
 * @f: namespace's part
 * @c: this CPU's part
 * @t: and its table
 * @skb: packet, with the destination entry that the kernel has found
 * @state: of the hook that it is at
 *
 * Whoever forgets all ways at this moment sees it, or it is taken away again
 * here.
 *
 * Context: under RCU, BH off.
 * Return: a way, or NULL: without memory, or too late.
 */
struct xe_way *xe_way_learn(struct xe_flows *f, struct xe_flow_cpu *c,
			    struct xe_flow_table *t, const struct sk_buff *skb,
			    const struct nf_hook_state *state)
{
	struct dst_entry *dst = skb_dst(skb), *own;
	struct xe_way *set, *way;
	u32 hash;

	hash = jhash_3words((u32)(unsigned long)(dst->xfrm ?
				((struct xfrm_dst *)dst)->route : dst),
			    (u32)(unsigned long)dst->xfrm,
			    state->in->ifindex, f->seed[0]);
	set = &t->ways[hash % XE_WAYS & ~(XE_PLACES - 1)];
	for (way = set; way < set + XE_PLACES; way++) {
		if (!xe_way_same(state, way, dst))
			continue;
		WRITE_ONCE(way->second, c->second);
		return way;
	}
	if (!dst->xfrm && !dst_hold_safe(dst))
		return NULL;
	own = xe_way_make(dst, state->pf);
	if (!own) {
		dst_release(dst);
		return NULL;
	}
	way = xe_way_place(set, c->second);
	if (READ_ONCE(way->dst))
		xe_flow_count(c, XFRM_EXT_FLOW_STAT_EVICTED);
	xe_way_clear(way);
	way->serial = ++c->serial;
	way->ifindex = state->in->ifindex;
	way->conf = xe_flow_conf(state->net, state->in, state->pf);
	way->dying = dst->xfrm && dst->xfrm->km.dying;
	way->cookie = xe_dst_cookie(dst, state->pf);
	WRITE_ONCE(way->second, c->second);
	WRITE_ONCE(way->orig, dst->xfrm ? NULL : dst);
	WRITE_ONCE(c->used, 1);
	/* Full barriers, pair with those in xe_flows_forget() */
	xchg(&way->dst, own);
	if (c->gen == atomic_read(&f->gen))
		return way;
	xe_way_clear(way);
	return NULL;
}

static void xe_tables_free(struct xe_flows *f)
{
	struct xe_flow_table *t, *all = NULL;
	struct xe_flow_cpu *c;
	int cpu;

	for_each_possible_cpu(cpu) {
		c = per_cpu_ptr(f->cpu, cpu);
		t = rcu_dereference_protected(c->table, 1);
		if (!t)
			continue;
		RCU_INIT_POINTER(c->table, NULL);
		t->next = all;
		all = t;
	}
	if (!all)
		return;
	/* Packets, and whoever forgets, may be at work on them */
	synchronize_rcu();
	while ((t = all)) {
		all = t->next;
		xe_ways_clear(t);
		kvfree(t);
	}
}

static void xe_flows_off(struct xe_net *xn)
{
	struct xe_flows *f = xn->flows;

	if (f->on) {
		xe_flow_hooks_unregister(xn->net, f);
		cancel_delayed_work_sync(&f->age);
	}
	f->on = false;
	xe_tables_free(f);
}

static int xe_flows_on(struct xe_net *xn)
{
	struct xe_flows *f = xn->flows;
	int err = xe_tables_alloc(f);

	if (err || f->on)
		return err;
	err = xe_flow_hooks_register(xn->net, f);
	if (err)
		return err;
	f->on = true;
	schedule_delayed_work(&f->age, HZ);
	return 0;
}

static int xe_flows_make(struct xe_net *xn)
{
	struct xe_flows *f;

	if (xn->flows)
		return 0;
	f = kzalloc(sizeof(*f), GFP_KERNEL_ACCOUNT);
	if (!f)
		return -ENOMEM;
	f->cpu = alloc_percpu_gfp(struct xe_flow_cpu, GFP_KERNEL_ACCOUNT);
	if (!f->cpu) {
		kfree(f);
		return -ENOMEM;
	}
	f->net = xn->net;
	f->spis = xn->spis;
	get_random_bytes(f->seed, sizeof(f->seed));
	INIT_DELAYED_WORK(&f->age, xe_flows_age);
	/* Pairs with the address dependency of who reads it */
	smp_store_release(&xn->flows, f);
	return 0;
}

/**
 * xe_flows_set - throw the switch of a namespace
 * @xn: namespace's part; its lock is held
 * @on: which way
 * @extack: for the reason of a refusal
 *
 * Context: process, may sleep.
 * Return: 0, -EOPNOTSUPP, -ENODEV, or -ENOMEM: then it is off.
 */
int xe_flows_set(struct xe_net *xn, bool on, struct netlink_ext_ack *extack)
{
	int err;

	lockdep_assert_held(&xn->lock);
	if (!on) {
		if (xn->flows)
			xe_flows_off(xn);
		return 0;
	}
	/* There BH off does not keep a CPU's packets apart */
	if (IS_ENABLED(CONFIG_PREEMPT_RT)) {
		xe_extack(extack, "flows: not with PREEMPT_RT");
		return -EOPNOTSUPP;
	}
	if (xn->dead) {
		xe_extack(extack, "namespace is going away");
		return -ENODEV;
	}
	err = xe_flows_make(xn);
	if (!err)
		err = xe_flows_on(xn);
	if (err && xn->flows)
		xe_flows_off(xn);
	return err;
}

/**
 * xe_flows_put - tell how a namespace's flows fare
 * @xn: namespace's part; its lock is held
 * @msg: answer
 *
 * Return: 0 or -EMSGSIZE.
 */
int xe_flows_put(struct xe_net *xn, struct sk_buff *msg)
{
	struct xe_flows *f = xn->flows;
	struct nlattr *nest;
	unsigned int i;
	u64 sum;
	int cpu;

	lockdep_assert_held(&xn->lock);
	if (nla_put_u32(msg, XFRM_EXT_A_FLOWS, f && f->on) ||
	    nla_put_u32(msg, XFRM_EXT_A_FLOWS_MAX, XE_FLOWS))
		return -EMSGSIZE;
	nest = nla_nest_start(msg, XFRM_EXT_A_FLOW_STATS);
	if (!nest)
		return -EMSGSIZE;
	for (i = XFRM_EXT_FLOW_STAT_PAD + 1; i <= XFRM_EXT_FLOW_STAT_MAX; i++) {
		sum = 0;
		if (f)
			for_each_possible_cpu(cpu)
				sum += READ_ONCE(per_cpu_ptr(f->cpu,
							     cpu)->stat[i]);
		if (nla_put_u64_64bit(msg, i, sum, XFRM_EXT_FLOW_STAT_PAD))
			return -EMSGSIZE;
	}
	nla_nest_end(msg, nest);
	return 0;
}

/**
 * xe_flows_exit_net - a namespace ends
 * @xn: its part, marked dead: the switch cannot be thrown any more
 *
 * Context: process, may sleep.
 */
void xe_flows_exit_net(struct xe_net *xn)
{
	struct xe_flows *f = xn->flows;

	if (!f)
		return;
	mutex_lock(&xn->lock);
	xe_flows_off(xn);
	WRITE_ONCE(xn->flows, NULL);
	mutex_unlock(&xn->lock);
	synchronize_rcu();
	free_percpu(f->cpu);
	kfree(f);
}

/* Names and addresses are nothing to a flow; addresses change routes */
static int xe_flows_device(struct notifier_block *nb, unsigned long event,
			   void *ptr)
{
	switch (event) {
	case NETDEV_UP:
	case NETDEV_DOWN:
	case NETDEV_CHANGE:
	case NETDEV_CHANGEMTU:
	case NETDEV_CHANGEUPPER:
	case NETDEV_UNREGISTER:
		xe_flows_forget(dev_net(netdev_notifier_info_to_dev(ptr)));
	}
	return NOTIFY_DONE;
}

static struct notifier_block xe_flows_notifier = {
	.notifier_call	= xe_flows_device,
};

/**
 * xe_flows_init - be told of devices
 *
 * Return: 0 or a negative errno.
 */
int xe_flows_init(void)
{
	return register_netdevice_notifier(&xe_flows_notifier);
}

/**
 * xe_flows_exit - be told no more
 */
void xe_flows_exit(void)
{
	unregister_netdevice_notifier(&xe_flows_notifier);
}
