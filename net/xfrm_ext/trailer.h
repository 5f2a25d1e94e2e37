/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef XFRM_EXT_TRAILER_H
#define XFRM_EXT_TRAILER_H

#include <linux/types.h>

#include "../../include/uapi/linux/xfrm_ext.h"

/* Octets of the info word, which trailer "front" has before the payload */
#define XE_INFO_LEN	4
/* What xe_trailer_parse() wants to see of the plaintext's beginning */
#define XE_TRAILER_LOOK	6

/**
 * struct xe_inside - where the payload is in a plaintext
 * @next_header: protocol of the payload
 * @at: offset of its first octet
 * @len: octets; TFC padding, where there is any, belongs to them
 */
struct xe_inside {
	u8 next_header;
	unsigned int at;
	unsigned int len;
};

/* trailer.c APIs: any context */
unsigned int xe_trailer_len(u32 trailer, unsigned int payload_len,
			    unsigned int align);
void xe_trailer_build(u32 trailer, u8 *front, u8 *tail, unsigned int len,
		      u8 next_header);
enum xfrm_ext_stat xe_trailer_parse(u32 trailer, const u8 *first,
				    const u8 *last, unsigned int len,
				    struct xe_inside *inside);

/* Octets that stand in the plaintext before the payload */
static inline unsigned int xe_trailer_front(u32 trailer)
{
	return trailer == XFRM_EXT_TRAILER_FRONT ? XE_INFO_LEN : 0;
}

#endif /* XFRM_EXT_TRAILER_H */
