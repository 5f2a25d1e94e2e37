/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef XFRM_EXT_KUNIT_SUITES_H
#define XFRM_EXT_KUNIT_SUITES_H

#include <kunit/test.h>

/* How much of what takes time: the module's parameter ops */
extern unsigned long xe_kunit_ops;
/* Where the fuzzers' random numbers begin: the module's parameter seed */
extern unsigned long xe_kunit_seed;

extern struct kunit_suite beet_suite;
extern struct kunit_suite concurrent_suite;
extern struct kunit_suite eesp_suite;
extern struct kunit_suite formats_suite;
extern struct kunit_suite golden_suite;
extern struct kunit_suite inner_suite;
extern struct kunit_suite sender_suite;
extern struct kunit_suite texts_suite;

#endif /* XFRM_EXT_KUNIT_SUITES_H */
