/* SPDX-License-Identifier: GPL-2.0-only */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM xfrm_ext

#if !defined(XFRM_EXT_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define XFRM_EXT_TRACE_H

#include <linux/in.h>
#include <linux/in6.h>
#include <linux/tracepoint.h>

#include "sa.h"

/*
 * A packet is dropped. netns: the namespace's inode, as "ls -i /run/netns" and lsns have
 * it; saddr, daddr: the SA's, struct sockaddr_in or _in6; reason: enum xfrm_ext_stat;
 * name: the same as users see it; top: the highest number accepted in the subspace, 0 if
 * none, if unknown, or if it was to be sent.
 */
TRACE_EVENT(xfrm_ext_drop,
	TP_PROTO(const struct xe_sa *sa, int reason, u32 subspace, u64 sn),
	TP_ARGS(sa, reason, subspace, sn),
	TP_STRUCT__entry(
		__field(u32, netns)
		__array(__u8, saddr, sizeof(struct sockaddr_in6))
		__array(__u8, daddr, sizeof(struct sockaddr_in6))
		__field(u32, spi)
		__field(int, reason)
		__array(char, name, XE_REASON_LEN)
		__field(u32, subspace)
		__field(u64, sn)
		__field(u64, top)
		__field(u32, window)
	),
	TP_fast_assign(
		const struct xe_window *w = NULL;

		if (reason >= XFRM_EXT_STAT_RX_NOT_READY && sn &&
		    subspace < sa->params.rx_subspaces)
			w = READ_ONCE(sa->rx[subspace]);
		__entry->netns = xs_net(sa->x)->ns.inum;
		xe_trace_address(__entry->saddr, sa->id.family,
				 &sa->x->props.saddr);
		xe_trace_address(__entry->daddr, sa->id.family,
				 &sa->id.daddr);
		__entry->spi = be32_to_cpu(sa->id.spi);
		__entry->reason = reason;
		memcpy(__entry->name, xe_reasons[reason].name, XE_REASON_LEN);
		__entry->subspace = subspace;
		__entry->sn = sn;
		__entry->top = w ? xe_window_top(w) : 0;
		__entry->window = sa->params.window;
	),
	TP_printk("netns=%u saddr=%pISc daddr=%pISc spi=0x%08x reason=%s subspace=%u sn=%llu top=%llu window=%u",
		  __entry->netns, __entry->saddr, __entry->daddr, __entry->spi,
		  __entry->name, __entry->subspace, __entry->sn, __entry->top,
		  __entry->window)
);

#endif /* XFRM_EXT_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
