// SPDX-License-Identifier: GPL-2.0-only
/*
 * The first of a module's objects: what gcov has to say of the others lies
 * between this and the last, end.c. gcov.c looks for them by name.
 */
#include <linux/compiler.h>

static void *xe_gcov_begin __used __section("gcov_info");
