/* SPDX-License-Identifier: GPL-2.0-only */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM xfrm_ext

#if !defined(XFRM_EXT_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define XFRM_EXT_TRACE_H

#include <linux/tracepoint.h>

#include "sa.h"

/*
 * A packet is dropped. reason: enum xfrm_ext_stat; top: the highest number
 * accepted in the subspace, 0 if none, if unknown, or if it was to be sent.
 */
TRACE_EVENT(xfrm_ext_drop,
	TP_PROTO(const struct xe_sa *sa, int reason, u32 subspace, u64 sn),
	TP_ARGS(sa, reason, subspace, sn),
	TP_STRUCT__entry(
		__field(u32, spi)
		__field(int, reason)
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
		__entry->spi = be32_to_cpu(sa->id.spi);
		__entry->reason = reason;
		__entry->subspace = subspace;
		__entry->sn = sn;
		__entry->top = w ? xe_window_top(w) : 0;
		__entry->window = sa->params.window;
	),
	TP_printk("spi=0x%08x reason=%d subspace=%u sn=%llu top=%llu window=%u",
		  __entry->spi, __entry->reason, __entry->subspace,
		  __entry->sn, __entry->top, __entry->window)
);

#endif /* XFRM_EXT_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
