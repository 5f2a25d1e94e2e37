// SPDX-License-Identifier: GPL-2.0-only
/* The last of a module's objects: see begin.c */
#include <linux/compiler.h>

static void *xe_gcov_end __used __section("gcov_info");
