/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef XFRM_EXT_FORMAT_H
#define XFRM_EXT_FORMAT_H

#include <linux/types.h>

#include "window.h"

#define XE_IV_LEN	8
#define XE_SALT_LEN	4
#define XE_NONCE_LEN	(XE_SALT_LEN + XE_IV_LEN)
#define XE_HDR_MAX	12

/**
 * struct xe_seq - what names a packet within its SA
 * @subspace: Subspace ID, 0 .. 65535
 * @sn: sequence number in that subspace
 */
struct xe_seq {
	u32 subspace;
	u64 sn;
};

/**
 * struct xe_format - a layout on the wire
 * @hdr_len: octets before the IV; all of them are authenticated (AAD)
 * @build: write the header; @hdr has hdr_len octets; @spi in network order
 * @parse: read the numbers of a received header, not authenticated yet
 * @iv: write the eight octets of the IV that the sender uses for @seq; no two
 *      @seq of one SA may give the same
 *
 * Plain values in and out: KUnit and fuzzers need no network.
 */
struct xe_format {
	unsigned int hdr_len;
	void (*build)(u8 *hdr, __be32 spi, struct xe_seq seq);
	struct xe_seq (*parse)(const u8 *hdr);
	void (*iv)(u8 *iv, struct xe_seq seq);
};

extern const struct xe_format xe_format_esp64;

/* format.c APIs: any context */
void xe_nonce(u8 *nonce, const u8 *salt, const u8 *iv);
unsigned int xe_trailer_len(unsigned int payload_len);
void xe_trailer_build(u8 *trailer, unsigned int len, u8 next_header);

#endif /* XFRM_EXT_FORMAT_H */
