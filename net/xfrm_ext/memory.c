// SPDX-License-Identifier: GPL-2.0-only
/*
 * Whose memory SAs take, and how much: each namespace has an account of all that
 * its SAs take, and a bound. Beside it, what the memory cgroup can be charged for
 * is charged to that of whoever made the SA, also when a packet asks for it.
 */
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/user_namespace.h>

#include "sa.h"

/*
 * What the kernel allocates for an SA and does not tell the size of: the state
 * itself, the transform and its parts, a place in the receive table. An estimate.
 */
#define XE_MEMORY_KERNEL	4096

static unsigned long xe_netns_memory_max = 64UL << 20;
module_param_named(netns_memory_max, xe_netns_memory_max, ulong, 0644);
MODULE_PARM_DESC(netns_memory_max, "Octets that the SAs of a network namespace may take that belongs to another user namespace than the initial one (default 64 MiB)");

static unsigned long xe_memory_max;
module_param_named(memory_max, xe_memory_max, ulong, 0644);
MODULE_PARM_DESC(memory_max, "Octets that the SAs of any other network namespace may take (default 0: half of the machine's memory)");

/**
 * xe_memory_init_net - a namespace begins
 * @xn: its part, not visible to others yet
 */
void xe_memory_init_net(struct xe_net *xn)
{
	atomic64_set(&xn->memory, 0);
	xn->guest = xn->net->user_ns != &init_user_ns;
}

/**
 * xe_memory_max_of - how much may a namespace's SAs take?
 * @xn: namespace's part
 *
 * Context: any.
 * Return: octets, by now; the parameters may change.
 */
u64 xe_memory_max_of(const struct xe_net *xn)
{
	u64 max;

	if (xn->guest)
		return READ_ONCE(xe_netns_memory_max);
	max = READ_ONCE(xe_memory_max);
	return max ? max : (u64)totalram_pages() << (PAGE_SHIFT - 1);
}

/**
 * xe_memory_take - may a namespace's SAs take more?
 * @xn: namespace's part
 * @octets: how much
 *
 * Context: any.
 * Return: true: they have, until xe_memory_give(); false: not so much.
 */
bool xe_memory_take(struct xe_net *xn, u64 octets)
{
	u64 max = xe_memory_max_of(xn);
	s64 used = atomic64_read(&xn->memory);

	do {
		if (octets > max || used > max - octets)
			return false;
	} while (!atomic64_try_cmpxchg(&xn->memory, &used, used + octets));
	return true;
}

/**
 * xe_memory_give - it has been freed
 * @xn: namespace's part
 * @octets: as taken
 *
 * Context: any.
 */
void xe_memory_give(struct xe_net *xn, u64 octets)
{
	WARN_ON_ONCE(atomic64_sub_return(octets, &xn->memory) < 0);
}

/**
 * xe_memory_of_sa - what an SA takes that has neither sent nor received
 *
 * But for its subspaces, which have an account of their own: xe_sa::memory.
 *
 * Return: octets.
 */
u64 xe_memory_of_sa(void)
{
	return sizeof(struct xe_sa) + XE_MEMORY_KERNEL +
	       (u64)num_possible_cpus() * sizeof(struct xe_cpu);
}

/**
 * xe_memory_refused - say why there is no memory
 * @xn: namespace's part
 * @what: that was asked for
 * @octets: of it
 * @extack: where
 *
 * Return: -ENOMEM.
 */
int xe_memory_refused(const struct xe_net *xn, const char *what, u64 octets,
		      struct netlink_ext_ack *extack)
{
	xe_extack(extack,
		  "no memory for %s of %llu octets: the namespace's SAs take %lld of at most %llu (%s)",
		  what, octets, (s64)atomic64_read(&xn->memory),
		  xe_memory_max_of(xn),
		  xn->guest ? "netns_memory_max" : "memory_max");
	return -ENOMEM;
}
