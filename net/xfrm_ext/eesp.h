/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef XFRM_EXT_EESP_H
#define XFRM_EXT_EESP_H

#include "format.h"

/* The fixed base header, and all of a header without options */
#define XE_EESP_BASE_LEN	8
#define XE_EESP_LEN		16
/* Of the first octet: what tells it from ESP in UDP; a version stands behind it */
#define XE_EESP_NOT_ESP		0x80
#define XE_EESP_VERSION_MAX	15
/* Of the option, in words; six bits each */
#define XE_EESP_WORDS_MAX	63

/**
 * struct xe_eesp_numbers - what the draft numbers, and IANA may number otherwise
 * @first: the first octet: XE_EESP_NOT_ESP, version, reserved bits 0
 * @pad1: type of the option of one octet
 * @padn: of the one with as many as it says
 * @crypt_offset: of Crypt Offset
 */
struct xe_eesp_numbers {
	u8 first;
	u8 pad1;
	u8 padn;
	u8 crypt_offset;
};

/* eesp.c: does not change once there can be packets */
extern struct xe_eesp_numbers xe_eesp_numbers;

/**
 * struct xe_eesp_options - what the options of a header come to
 * @crypt: there is a Crypt Offset
 * @payload_at: words from the header's beginning to the payload, as it says
 * @exposed: words from there on that are not encrypted
 */
struct xe_eesp_options {
	bool crypt;
	u8 payload_at;
	u8 exposed;
};

/* eesp.c APIs: any context */
const struct xe_format *xe_eesp_format(bool sub_sas, bool crypt, bool padded);
bool xe_eesp_options(const u8 *options, unsigned int len,
		     struct xe_eesp_options *o);
void xe_eesp_crypt_build(u8 *header, unsigned int payload_at,
			 unsigned int exposed);

static inline __be32 xe_eesp_spi(const u8 *header)
{
	return *(const __be32 *)(header + 4);
}

static inline unsigned int xe_eesp_options_len(const u8 *header)
{
	return header[1];
}

#endif /* XFRM_EXT_EESP_H */
