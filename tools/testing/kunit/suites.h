/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef XFRM_EXT_KUNIT_SUITES_H
#define XFRM_EXT_KUNIT_SUITES_H

#include <kunit/test.h>

extern struct kunit_suite concurrent_suite;
extern struct kunit_suite sender_suite;

#endif /* XFRM_EXT_KUNIT_SUITES_H */
