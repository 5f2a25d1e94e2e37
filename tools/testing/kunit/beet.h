/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef XFRM_EXT_KUNIT_BEET_H
#define XFRM_EXT_KUNIT_BEET_H

#include <kunit/test.h>
#include <linux/prandom.h>

#include "../../../net/xfrm_ext/beet_ph.h"

#define INPUT_MAX	64
#define OPTIONS_MAX	40
#define PROTO_BEETPH	94

/* F, as the documentation has it */
enum { F_OPTIONS, F_FRAGMENT, F_BOTH, F_UNKNOWN };

/* Verdicts, in tables */
#define OK		XE_BEET_OK
#define MALFORMED	XE_BEET_MALFORMED
#define FRAGMENT	XE_BEET_FRAGMENT

/**
 * struct shape - one of all kinds of pseudo headers
 * @f: F
 * @header_len: Header Len
 * @pad_len: Pad Len
 * @options: octets of options
 */
struct shape {
	u8 f, header_len, pad_len, options;
};

#define SHAPES	21	/* ten of options, a fragment, ten of both */

/**
 * struct beet_bench - what a test works with
 * @shapes: all there are
 * @by_field: octets of options and one, by F, Header Len and Pad Len; 0 where
 *	no shape is
 * @exact: for each length, so much memory
 * @rnd: random numbers
 * @input: what the fuzzer is making
 * @len: octets of it
 * @last: what it made before, to cut pieces out of
 * @last_len: octets of that
 */
struct beet_bench {
	struct shape shapes[SHAPES];
	u8 by_field[F_UNKNOWN][6][8];
	u8 *exact[INPUT_MAX + 1];
	struct rnd_state rnd;
	u8 input[INPUT_MAX];
	unsigned int len;
	u8 last[INPUT_MAX];
	unsigned int last_len;
};

/* beet.c APIs: the oracle */
bool beet_oracle_options(const u8 *options, unsigned int len);
bool beet_ph_same(const struct xe_beet_ph *a, const struct xe_beet_ph *b);
const char *beet_judge(const struct beet_bench *b, const u8 *at,
		       unsigned int len, bool fragments,
		       struct xe_beet_ph *got, enum xe_beet_verdict *verdict);

/* beet_fuzz.c APIs: cases of beet.c's suite */
void beet_fuzz(struct kunit *test);
void beet_options_every(struct kunit *test);
void beet_options_fuzz(struct kunit *test);

#endif /* XFRM_EXT_KUNIT_BEET_H */
