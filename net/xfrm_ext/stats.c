// SPDX-License-Identifier: GPL-2.0-only
/*
 * Counters: one for each reason to drop a packet, per CPU, added up when
 * somebody asks. Documentation/counters.rst explains each.
 */
#include <net/snmp.h>

#include "sa.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

/* Which of the kernel's own counters moves along on our own path; 0: none */
static const u8 xe_stat_mib[XFRM_EXT_STAT_MAX + 1] = {
	[XFRM_EXT_STAT_TX_NOT_READY]	= LINUX_MIB_XFRMOUTSTATEINVALID,
	[XFRM_EXT_STAT_TX_NO_SUBSPACES]	= LINUX_MIB_XFRMOUTSTATEINVALID,
	[XFRM_EXT_STAT_TX_EXPIRED]	= LINUX_MIB_XFRMOUTSTATEEXPIRED,
	[XFRM_EXT_STAT_TX_EXHAUSTED]	= LINUX_MIB_XFRMOUTSTATESEQERROR,
	[XFRM_EXT_STAT_TX_INNER]	= LINUX_MIB_XFRMOUTSTATEMODEERROR,
	[XFRM_EXT_STAT_TX_FRAGMENT]	= LINUX_MIB_XFRMOUTSTATEMODEERROR,
	[XFRM_EXT_STAT_TX_TOO_BIG]	= LINUX_MIB_XFRMOUTERROR,
	[XFRM_EXT_STAT_TX_SEGMENT]	= LINUX_MIB_XFRMOUTERROR,
	[XFRM_EXT_STAT_TX_NOMEM]	= LINUX_MIB_XFRMOUTERROR,
	[XFRM_EXT_STAT_TX_CRYPTO]	= LINUX_MIB_XFRMOUTSTATEPROTOERROR,
	[XFRM_EXT_STAT_RX_NOT_READY]	= LINUX_MIB_XFRMINSTATEINVALID,
	[XFRM_EXT_STAT_RX_NO_SUBSPACES]	= LINUX_MIB_XFRMINSTATEINVALID,
	[XFRM_EXT_STAT_RX_EXPIRED]	= LINUX_MIB_XFRMINSTATEEXPIRED,
	[XFRM_EXT_STAT_RX_TRUNCATED]	= LINUX_MIB_XFRMINHDRERROR,
	[XFRM_EXT_STAT_RX_SUBSPACE]	= LINUX_MIB_XFRMINSTATESEQERROR,
	[XFRM_EXT_STAT_RX_ZERO]		= LINUX_MIB_XFRMINSTATESEQERROR,
	[XFRM_EXT_STAT_RX_REPLAY]	= LINUX_MIB_XFRMINSTATESEQERROR,
	[XFRM_EXT_STAT_RX_TOO_OLD]	= LINUX_MIB_XFRMINSTATESEQERROR,
	[XFRM_EXT_STAT_RX_ICV]		= LINUX_MIB_XFRMINSTATEPROTOERROR,
	[XFRM_EXT_STAT_RX_TRAILER]	= LINUX_MIB_XFRMINSTATEPROTOERROR,
	[XFRM_EXT_STAT_RX_NEXT_HEADER]	= LINUX_MIB_XFRMINSTATEMODEERROR,
	[XFRM_EXT_STAT_RX_PSEUDO_HEADER] = LINUX_MIB_XFRMINSTATEMODEERROR,
	[XFRM_EXT_STAT_RX_FRAGMENT]	= LINUX_MIB_XFRMINSTATEMODEERROR,
	[XFRM_EXT_STAT_RX_INNER]	= LINUX_MIB_XFRMINSTATEMODEERROR,
	[XFRM_EXT_STAT_RX_NOMEM]	= LINUX_MIB_XFRMINERROR,
	[XFRM_EXT_STAT_RX_NOMEM_WINDOW]	= LINUX_MIB_XFRMINERROR,
	[XFRM_EXT_STAT_RX_CRYPTO]	= LINUX_MIB_XFRMINSTATEPROTOERROR,
};

/**
 * xe_stat_add - count
 * @sa: SA
 * @stat: which counter
 * @n: how much
 *
 * Context: any.
 */
void xe_stat_add(const struct xe_sa *sa, enum xfrm_ext_stat stat, u64 n)
{
	this_cpu_add(sa->cpu->stat[stat], n);
}

/**
 * xe_stat_sum - read a counter
 * @sa: SA
 * @stat: which counter
 *
 * Context: any.
 * Return: the sum over all CPUs, off-line ones too.
 */
u64 xe_stat_sum(const struct xe_sa *sa, enum xfrm_ext_stat stat)
{
	u64 sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(per_cpu_ptr(sa->cpu, cpu)->stat[stat]);
	return sum;
}

/**
 * xe_drop - say that a packet is being dropped, and why
 * @sa: SA
 * @stat: the reason
 * @seq: the packet's number, as far as it is known; zero if not
 * @fast: on our own path: move the kernel's counter too. On the kernel's own
 *        path the kernel does that itself when it gets our error
 *
 * Does not free the packet. Context: any.
 */
void xe_drop(const struct xe_sa *sa, enum xfrm_ext_stat stat,
	     struct xe_seq seq, bool fast)
{
	xe_stat_add(sa, stat, 1);
	trace_xfrm_ext_drop(sa, stat, seq.subspace, seq.sn);
	if (fast && xe_stat_mib[stat])
		XFRM_INC_STATS(xs_net(sa->x), xe_stat_mib[stat]);
}

/**
 * xe_drop_unknown - the same for a packet whose SA is gone
 * @net: namespace
 * @stat: the reason
 *
 * Moves the kernel's counter. Does not free the packet. Context: any.
 */
void xe_drop_unknown(struct net *net, enum xfrm_ext_stat stat)
{
	if (xe_stat_mib[stat])
		XFRM_INC_STATS(net, xe_stat_mib[stat]);
}
