// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a received packet has in its secpath.
 *
 * The secpath is there for inbound policy, which compares the states in it with
 * its templates, and has a reference to each: two writes per packet to a cache
 * line that all CPUs share. So each CPU has a state of its own that is like the
 * SA's in all that anybody looks at there, and is in none of xfrm's tables: it
 * cannot be found, carries no packet and holds no key. The first CPU on which a
 * packet arrives needs none: while it is the only one, nobody shares with it.
 *
 * These states are the same as long as an SA lives: UPDSA changes nothing of
 * what is copied here of an SA of ours, and MIGRATE makes another SA. The last packet
 * may outlive the SA, and so may they. The kernel charges no memory cgroup for
 * states: they are in the namespace's account as long as they are there.
 */
#include <net/ipv6.h>

#include "packet.h"

/*
 * Is it a piece of something? Later kernels put together only what came through
 * the very same states, and the pieces may arrive on several CPUs.
 */
static bool xe_standin_piece(const struct xe_sa *sa, const struct sk_buff *skb,
			     int next_header)
{
	if (sa->mode == &xe_mode_tunnel) {
		if (next_header == IPPROTO_IPIP)
			return ip_is_fragment((const struct iphdr *)skb->data);
		next_header = ((const struct ipv6hdr *)skb->data)->nexthdr;
	} else if (xe_beet_is_fragment(sa, skb, next_header)) {
		return true;
	}
	/* A fragment header may stand behind others */
	return ipv6_ext_hdr(next_header);
}

/* All that was allocated for it is xfrm's, which frees it right after this */
static void xe_standin_destructor(struct xfrm_state *s)
{
	struct xe_net *xn = s->data;

	xe_memory_give(xn, sizeof(*s));
	xe_net_put(xn);
}

/* Whoever is refused by policy has its type asked whether it minds */
static const struct xfrm_type xe_standin_type = {
	.owner		= THIS_MODULE,
	.proto		= IPPROTO_ESP,
	.destructor	= xe_standin_destructor,
};

static struct xfrm_state *xe_standin_make(const struct xe_sa *sa,
					  struct xe_cpu *c)
{
	struct xfrm_state *x = sa->x;
	struct xfrm_state *s, *old;

	if (!xe_memory_take(sa->xn, sizeof(*s)))
		return NULL;
	s = xfrm_state_alloc(xs_net(x));
	if (!s) {
		xe_memory_give(sa->xn, sizeof(*s));
		return NULL;
	}
	s->data = xe_net_get(sa->xn);
	/* Never alive: nothing but the last reference ends it */
	s->km.state = XFRM_STATE_DEAD;
	/* The SA holds this module, too; xfrm lets go of it with the state */
	__module_get(THIS_MODULE);
	s->type = &xe_standin_type;
	s->id = x->id;
	s->sel = x->sel;
	s->mark = x->mark;
	s->props = x->props;
	xe_state_copy_dir(s, x);
	/* With PREEMPT_RT another task may have come in between */
	old = cmpxchg(&c->standin, NULL, s);
	if (!old)
		return s;
	xfrm_state_put(s);
	return old;
}

/**
 * xe_standin_get - the state for a received packet's secpath
 * @sa: SA
 * @skb: data at what was inside
 * @next_header: of it
 * @itself: not a stand-in: the kernel goes on with the state
 *
 * Context: BH off, under RCU.
 * Return: a state with a reference for the packet, or NULL if the SA's own is
 *         wanted and its last reference has gone.
 */
struct xfrm_state *xe_standin_get(struct xe_sa *sa, const struct sk_buff *skb,
				  int next_header, bool itself)
{
	struct xe_cpu *c = this_cpu_ptr(sa->cpu);
	int home, cpu = smp_processor_id();
	struct xfrm_state *x = sa->x;

	xe_assert_bh_off();
	xe_assert_rcu();
	home = READ_ONCE(sa->home);
	if (unlikely(home < 0)) {
		home = cmpxchg(&sa->home, -1, cpu);
		if (home < 0)
			home = cpu;
	}
	/* Labels compare more than can be copied */
	if (home != cpu && !itself && !x->security &&
	    !xe_standin_piece(sa, skb, next_header)) {
		struct xfrm_state *s = READ_ONCE(c->standin);

		if (unlikely(!s))
			s = xe_standin_make(sa, c);
		if (likely(s)) {
			xfrm_state_hold(s);
			return s;
		}
	}
	return refcount_inc_not_zero(&x->refcnt) ? x : NULL;
}

/**
 * xe_standin_exit - let go of an SA's
 * @sa: SA; it receives no more
 *
 * Context: process.
 */
void xe_standin_exit(struct xe_sa *sa)
{
	int cpu;

	for_each_possible_cpu(cpu) {
		struct xe_cpu *c = per_cpu_ptr(sa->cpu, cpu);

		if (c->standin)
			xfrm_state_put(c->standin);
	}
}
