/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef XFRM_EXT_GCOV_H
#define XFRM_EXT_GCOV_H

#include <linux/types.h>

/* What gcc's code refers to; it is never called */
void __gcov_merge_add(s64 *values, unsigned int num);

#endif /* XFRM_EXT_GCOV_H */
