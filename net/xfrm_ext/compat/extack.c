// SPDX-License-Identifier: GPL-2.0-only
#include "compat.h"

#define XE_EXTACK_SLOTS	64
#define XE_EXTACK_LEN	192

static char xe_extack_ring[XE_EXTACK_SLOTS][XE_EXTACK_LEN];
static atomic_t xe_extack_next = ATOMIC_INIT(-1);

/**
 * xe_extack_text - format a text for an extack
 * @fmt: printf format
 *
 * Context: any.
 * Return: the text, valid until XE_EXTACK_SLOTS others have been made; the
 *         netlink core copies it before the request ends.
 */
const char *xe_extack_text(const char *fmt, ...)
{
	unsigned int slot = (unsigned int)atomic_inc_return(&xe_extack_next);
	char *text = xe_extack_ring[slot % XE_EXTACK_SLOTS];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, XE_EXTACK_LEN, fmt, args);
	va_end(args);
	return text;
}
