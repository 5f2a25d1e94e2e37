// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where Pad Length and Next Header stand: Documentation/wire-formats.rst.
 * Plain values in and out: KUnit and fuzzers need no network.
 */
#include <linux/align.h>
#include <linux/in.h>
#include <linux/string.h>

#include "compat/compat.h"
#include "trailer.h"

#define XE_PAD_MAX	255

/**
 * xe_trailer_len - octets behind a payload
 * @trailer: enum xfrm_ext_trailer
 * @payload_len: octets to be protected, TFC padding included
 * @align: what the plaintext's length is a multiple of, a power of two from 4 on
 *
 * Return: padding, and of trailer "end" Pad Length and Next Header: 2 at least.
 */
unsigned int xe_trailer_len(u32 trailer, unsigned int payload_len,
			    unsigned int align)
{
	unsigned int fixed = trailer == XFRM_EXT_TRAILER_END ?
			     2 : xe_trailer_front(trailer);
	unsigned int pad = ALIGN(payload_len + fixed, align) -
			   (payload_len + fixed);

	return trailer == XFRM_EXT_TRAILER_END ? pad + 2 : pad;
}

/**
 * xe_trailer_build - write all of the plaintext but the payload
 * @trailer: enum xfrm_ext_trailer
 * @front: xe_trailer_front() octets
 * @tail: @len octets
 * @len: from xe_trailer_len()
 * @next_header: protocol of the payload
 */
void xe_trailer_build(u32 trailer, u8 *front, u8 *tail, unsigned int len,
		      u8 next_header)
{
	unsigned int i;

	switch (trailer) {
	case XFRM_EXT_TRAILER_END:
		for (i = 0; i < len - 2; i++)
			tail[i] = i + 1;
		tail[len - 2] = len - 2;
		tail[len - 1] = next_header;
		return;
	case XFRM_EXT_TRAILER_FRONT:
		front[0] = 0;
		front[1] = 0;
		front[2] = next_header;
		front[3] = len;
		break;
	}
	memset(tail, 0, len);
}

static enum xfrm_ext_stat trailer_parse_omit(const u8 *first, unsigned int len,
					     struct xe_inside *inside)
{
	inside->at = 0;
	switch (first[0] >> 4) {
	case 4:
		inside->next_header = IPPROTO_IPIP;
		inside->len = get_unaligned_be16(first + 2);
		break;
	case 6:
		inside->next_header = IPPROTO_IPV6;
		inside->len = 40 + get_unaligned_be16(first + 4);
		break;
	default:
		return XFRM_EXT_STAT_RX_NEXT_HEADER;
	}
	if (inside->len > len || len - inside->len > XE_PAD_MAX)
		return XFRM_EXT_STAT_RX_TRAILER;
	return 0;
}

/**
 * xe_trailer_parse - find the payload in an authenticated plaintext
 * @trailer: enum xfrm_ext_trailer
 * @first: the plaintext's first XE_TRAILER_LOOK octets, zeros for what is not
 *         there; not looked at for trailer "end"
 * @last: its last two; looked at for trailer "end" only
 * @len: octets of plaintext, 4 at least
 * @inside: what was found
 *
 * Padding is not looked at: a good ICV vouches for it.
 *
 * Return: 0, or the enum xfrm_ext_stat to drop the packet for.
 */
enum xfrm_ext_stat xe_trailer_parse(u32 trailer, const u8 *first,
				    const u8 *last, unsigned int len,
				    struct xe_inside *inside)
{
	unsigned int pad;

	switch (trailer) {
	case XFRM_EXT_TRAILER_END:
		pad = last[0] + 2;
		inside->next_header = last[1];
		inside->at = 0;
		break;
	case XFRM_EXT_TRAILER_FRONT:
		/* Something else than an info word, an IP header perhaps */
		if (first[0] >> 4)
			return XFRM_EXT_STAT_RX_TRAILER;
		pad = first[3];
		inside->next_header = first[2];
		inside->at = XE_INFO_LEN;
		break;
	default:
		return trailer_parse_omit(first, len, inside);
	}
	if (pad > len - inside->at)
		return XFRM_EXT_STAT_RX_TRAILER;
	inside->len = len - inside->at - pad;
	return 0;
}
