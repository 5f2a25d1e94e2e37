/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef XFRM_EXT_BEET_PH_H
#define XFRM_EXT_BEET_PH_H

#include <linux/types.h>

/* All of it: four octets, fragment word, padding, 40 octets of options */
#define XE_BEET_PH_MAX	48

/**
 * struct xe_beet_ph - what a pseudo header says
 * @next_header: protocol of what stands behind it
 * @fragment: the inner packet is a fragment
 * @frag_off: flags and offset as in the IPv4 header, if @fragment
 * @options: octets of IPv4 options, 0 .. 40, a multiple of 4
 */
struct xe_beet_ph {
	u8 next_header;
	bool fragment;
	__be16 frag_off;
	unsigned int options;
};

/**
 * enum xe_beet_verdict - what a received pseudo header is
 * @XE_BEET_OK: well-formed
 * @XE_BEET_MALFORMED: not
 * @XE_BEET_FRAGMENT: of a fragment, which are not to be taken
 */
enum xe_beet_verdict {
	XE_BEET_OK,
	XE_BEET_MALFORMED,
	XE_BEET_FRAGMENT,
};

/* beet_ph.c APIs: any context */
unsigned int xe_beet_ph_len(const struct xe_beet_ph *ph);
void xe_beet_ph_build(u8 *at, const struct xe_beet_ph *ph);
enum xe_beet_verdict xe_beet_ph_parse(const u8 *at, unsigned int len,
				      bool fragments, struct xe_beet_ph *ph);
bool xe_beet_options_ok(const u8 *options, unsigned int len);

#endif /* XFRM_EXT_BEET_PH_H */
