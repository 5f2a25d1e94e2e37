/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef XFRM_EXT_SELECT_H
#define XFRM_EXT_SELECT_H

#include <linux/kernel.h>
#include <linux/types.h>

#include "../../include/uapi/linux/xfrm_ext.h"

#define XE_DSCPS	64

/**
 * struct xe_select - which transmit subspace a packet takes
 * @by: enum xfrm_ext_select: what makes its class
 * @classes: number of classes, at least 1; 1 if @by is the CPU alone
 * @cpus: subspaces of each class, among which the CPU decides, at least 1
 * @mask: bits of skb->mark, if @by is the mark
 * @shift: how far these are shifted right
 * @dscp: class of each code point, if @by is the DSCP; all below @classes
 *
 * The subspace's place in the SA's range is class * @cpus + CPU % @cpus.
 */
struct xe_select {
	u32 by;
	u32 classes;
	u32 cpus;
	u32 mask;
	u32 shift;
	u16 dscp[XE_DSCPS];
};

/**
 * xe_select_dscp_default - a class for each code point, or for neighbours
 * @s: @classes is set
 *
 * With 64 classes or more every code point has its own; with fewer, code
 * points next to each other share one: with 8, those of one Class Selector
 * (RFC 2474 section 4.2.2).
 */
static inline void xe_select_dscp_default(struct xe_select *s)
{
	u32 classes = min_t(u32, s->classes, XE_DSCPS);
	u32 i;

	for (i = 0; i < XE_DSCPS; i++)
		s->dscp[i] = i * classes / XE_DSCPS;
}

/**
 * xe_select_class - the class of a packet
 * @s: rule
 * @value: DSCP (0 .. 63), mark or flow hash, as @s->by says
 *
 * Return: below @s->classes.
 */
static inline u32 xe_select_class(const struct xe_select *s, u32 value)
{
	switch (s->by) {
	case XFRM_EXT_SELECT_DSCP:
		return s->dscp[value % XE_DSCPS];
	case XFRM_EXT_SELECT_MARK:
		return ((value & s->mask) >> s->shift) % s->classes;
	case XFRM_EXT_SELECT_FLOW:
		return reciprocal_scale(value, s->classes);
	default:
		return 0;
	}
}

/**
 * xe_select_place - a packet's place in the SA's range of subspaces
 * @s: rule
 * @class: from xe_select_class()
 * @cpu: that sends it
 *
 * Any answer is safe: counters are exact whoever draws from them.
 *
 * Return: below @s->classes * @s->cpus.
 */
static inline u32 xe_select_place(const struct xe_select *s, u32 class,
				  u32 cpu)
{
	return class * s->cpus + (cpu < s->cpus ? cpu : cpu % s->cpus);
}

#endif /* XFRM_EXT_SELECT_H */
