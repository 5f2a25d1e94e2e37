// SPDX-License-Identifier: GPL-2.0-only
/*
 * Counters: one for each reason to drop a packet, per CPU, added up when
 * somebody asks. Documentation/counters.rst explains each.
 */
#include <net/snmp.h>

#include "sa.h"

/* As long as the longest name, and its end */
#define XE_REASON_LEN	20

/**
 * struct xe_reason - what is counted
 * @name: as users see it
 * @mib: which of the kernel's own counters moves along on our own path; 0: none
 */
struct xe_reason {
	char name[XE_REASON_LEN];
	u8 mib;
};

/*
 * The one table of it. scripts/check-uapi.py holds it against the uapi header, the
 * specification, counters.rst and what prints names.
 */
static const struct xe_reason xe_reasons[XFRM_EXT_STAT_MAX + 1] = {
	[XFRM_EXT_STAT_TX_PACKETS] = { "tx-packets" },
	[XFRM_EXT_STAT_TX_BYTES] = { "tx-bytes" },
	[XFRM_EXT_STAT_RX_PACKETS] = { "rx-packets" },
	[XFRM_EXT_STAT_RX_BYTES] = { "rx-bytes" },
	[XFRM_EXT_STAT_TX_NOT_READY] = { "tx-not-ready", LINUX_MIB_XFRMOUTSTATEINVALID },
	[XFRM_EXT_STAT_TX_NO_SUBSPACES] = { "tx-no-subspaces", LINUX_MIB_XFRMOUTSTATEINVALID },
	[XFRM_EXT_STAT_TX_EXPIRED] = { "tx-expired", LINUX_MIB_XFRMOUTSTATEEXPIRED },
	[XFRM_EXT_STAT_TX_EXHAUSTED] = { "tx-exhausted", LINUX_MIB_XFRMOUTSTATESEQERROR },
	[XFRM_EXT_STAT_TX_INNER] = { "tx-inner", LINUX_MIB_XFRMOUTSTATEMODEERROR },
	[XFRM_EXT_STAT_TX_FRAGMENT] = { "tx-fragment", LINUX_MIB_XFRMOUTSTATEMODEERROR },
	[XFRM_EXT_STAT_TX_TOO_BIG] = { "tx-too-big", LINUX_MIB_XFRMOUTERROR },
	[XFRM_EXT_STAT_TX_SEGMENT] = { "tx-segment", LINUX_MIB_XFRMOUTERROR },
	[XFRM_EXT_STAT_TX_NOMEM] = { "tx-nomem", LINUX_MIB_XFRMOUTERROR },
	[XFRM_EXT_STAT_TX_CRYPTO] = { "tx-crypto", LINUX_MIB_XFRMOUTSTATEPROTOERROR },
	[XFRM_EXT_STAT_RX_NOT_READY] = { "rx-not-ready", LINUX_MIB_XFRMINSTATEINVALID },
	[XFRM_EXT_STAT_RX_NO_SUBSPACES] = { "rx-no-subspaces", LINUX_MIB_XFRMINSTATEINVALID },
	[XFRM_EXT_STAT_RX_EXPIRED] = { "rx-expired", LINUX_MIB_XFRMINSTATEEXPIRED },
	[XFRM_EXT_STAT_RX_TRUNCATED] = { "rx-truncated", LINUX_MIB_XFRMINHDRERROR },
	[XFRM_EXT_STAT_RX_SUBSPACE] = { "rx-subspace", LINUX_MIB_XFRMINSTATESEQERROR },
	[XFRM_EXT_STAT_RX_ZERO] = { "rx-zero", LINUX_MIB_XFRMINSTATESEQERROR },
	[XFRM_EXT_STAT_RX_REPLAY] = { "rx-replay", LINUX_MIB_XFRMINSTATESEQERROR },
	[XFRM_EXT_STAT_RX_TOO_OLD] = { "rx-too-old", LINUX_MIB_XFRMINSTATESEQERROR },
	[XFRM_EXT_STAT_RX_ICV] = { "rx-icv", LINUX_MIB_XFRMINSTATEPROTOERROR },
	[XFRM_EXT_STAT_RX_TRAILER] = { "rx-trailer", LINUX_MIB_XFRMINSTATEPROTOERROR },
	[XFRM_EXT_STAT_RX_NEXT_HEADER] = { "rx-next-header", LINUX_MIB_XFRMINSTATEMODEERROR },
	[XFRM_EXT_STAT_RX_DUMMY] = { "rx-dummy" },
	[XFRM_EXT_STAT_RX_PSEUDO_HEADER] = { "rx-pseudo-header", LINUX_MIB_XFRMINSTATEMODEERROR },
	[XFRM_EXT_STAT_RX_FRAGMENT] = { "rx-fragment", LINUX_MIB_XFRMINSTATEMODEERROR },
	[XFRM_EXT_STAT_RX_INNER] = { "rx-inner", LINUX_MIB_XFRMINSTATEMODEERROR },
	[XFRM_EXT_STAT_RX_NOMEM] = { "rx-nomem", LINUX_MIB_XFRMINERROR },
	[XFRM_EXT_STAT_RX_NOMEM_WINDOW] = { "rx-nomem-window", LINUX_MIB_XFRMINERROR },
	[XFRM_EXT_STAT_RX_CRYPTO] = { "rx-crypto", LINUX_MIB_XFRMINSTATEPROTOERROR },
	[XFRM_EXT_STAT_RX_HEADER] = { "rx-header", LINUX_MIB_XFRMINHDRERROR },
	[XFRM_EXT_STAT_RX_CRYPT_OFFSET] = { "rx-crypt-offset", LINUX_MIB_XFRMINSTATEPROTOERROR },
	[XFRM_EXT_STAT_RX_ECHO] = { "rx-echo" },
	[XFRM_EXT_STAT_RX_ECHO_REFUSED] = { "rx-echo-refused", LINUX_MIB_XFRMINSTATEMODEERROR },
};

static void __maybe_unused xe_trace_address(u8 *to, u16 family,
					    const xfrm_address_t *addr)
{
	struct sockaddr_in6 *sin6 = (void *)to;
	struct sockaddr_in *sin = (void *)to;

	memset(to, 0, sizeof(*sin6));
	if (family == AF_INET) {
		sin->sin_family = AF_INET;
		sin->sin_addr.s_addr = addr->a4;
	} else {
		sin6->sin6_family = AF_INET6;
		sin6->sin6_addr = addr->in6;
	}
}

#define CREATE_TRACE_POINTS
#include "trace.h"

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
 * xe_stats_add_up - add what an SA has counted to what others have
 * @sa: SA
 * @sum: by enum xfrm_ext_stat
 *
 * Context: any.
 */
void xe_stats_add_up(const struct xe_sa *sa, u64 sum[XFRM_EXT_STAT_MAX + 1])
{
	int i;

	for (i = XFRM_EXT_STAT_PAD + 1; i <= XFRM_EXT_STAT_MAX; i++)
		sum[i] += xe_stat_sum(sa, i);
}

/**
 * xe_stats_reassembled - how many packets have come as fragments?
 * @sa: SA
 *
 * Context: any.
 * Return: the sum over all CPUs.
 */
u64 xe_stats_reassembled(const struct xe_sa *sa)
{
	u64 sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(per_cpu_ptr(sa->cpu, cpu)->reassembled);
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
	if (fast && xe_reasons[stat].mib)
		XFRM_INC_STATS(xs_net(sa->x), xe_reasons[stat].mib);
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
	if (xe_reasons[stat].mib)
		XFRM_INC_STATS(net, xe_reasons[stat].mib);
}
