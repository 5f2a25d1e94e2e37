// SPDX-License-Identifier: GPL-2.0-only
/*
 * BEET's pseudo header against an oracle that shares nothing with the code
 * under test: the set of all well-formed ones, made by counting through what a
 * sender may have to say (Documentation/wire-formats.rst). All input stands in
 * memory of its own of exactly its length, so that KASAN sees one octet more.
 */
#include <linux/sched.h>
#include <linux/slab.h>

#include "beet.h"
#include "suites.h"

static int beet_init(struct kunit *test)
{
	struct beet_bench *b = kunit_kzalloc(test, sizeof(*b), GFP_KERNEL);
	unsigned int fragment, options, need, whole, n = 0, len;

	if (!b)
		return -ENOMEM;
	test->priv = b;
	for (fragment = 0; fragment <= 1; fragment++) {
		for (options = 0; options <= OPTIONS_MAX; options += 4) {
			struct shape *s = &b->shapes[n];

			if (!fragment && !options)
				continue;
			need = 4 + 2 * fragment + options;
			for (whole = 8; whole < need; whole += 8)
				;
			s->f = !fragment ? F_OPTIONS :
			       options ? F_BOTH : F_FRAGMENT;
			s->header_len = whole / 8 - 1;
			s->pad_len = whole - need;
			s->options = options;
			b->by_field[s->f][s->header_len][s->pad_len] =
				options + 1;
			n++;
		}
	}
	KUNIT_ASSERT_EQ(test, n, SHAPES);
	for (len = 0; len <= INPUT_MAX; len++) {
		b->exact[len] = kunit_kmalloc(test, len, GFP_KERNEL);
		if (!b->exact[len])
			return -ENOMEM;
	}
	return 0;
}

/* From the end: is it all well from here on? */
bool beet_oracle_options(const u8 *options, unsigned int len)
{
	bool well[OPTIONS_MAX + 1];
	int i;

	well[len] = true;
	for (i = (int)len - 1; i >= 0; i--) {
		unsigned int left = len - i;

		if (options[i] == 0)
			well[i] = true;
		else if (options[i] == 1)
			well[i] = well[i + 1];
		else
			well[i] = left >= 2 && options[i + 1] >= 2 &&
				  options[i + 1] <= left &&
				  well[i + options[i + 1]];
	}
	return well[0];
}

/* Is this one of the shapes, read with this F, and filled in as it must be? */
static bool oracle_takes(const struct beet_bench *b, const u8 *at,
			 unsigned int len, unsigned int f,
			 struct xe_beet_ph *ph)
{
	unsigned int end, options;

	if (len < 8 || f >= F_UNKNOWN || at[1] > 5 || at[2] > 7 ||
	    !b->by_field[f][at[1]][at[2]])
		return false;
	options = b->by_field[f][at[1]][at[2]] - 1;
	end = 8 * at[1] + 8;
	if (end > len || at[0] == PROTO_BEETPH)
		return false;
	if (f != F_OPTIONS && !(at[4] & 0x3f) && !at[5])
		return false;
	ph->next_header = at[0];
	ph->fragment = f != F_OPTIONS;
	ph->frag_off = htons(ph->fragment ? at[4] << 8 | at[5] : 0);
	ph->options = options;
	return beet_oracle_options(at + end - options, options);
}

static enum xe_beet_verdict oracle(const struct beet_bench *b, const u8 *at,
				   unsigned int len, bool fragments,
				   struct xe_beet_ph *ph)
{
	unsigned int f = len < 4 ? F_UNKNOWN : at[3] >> 6;
	bool says_fragment = f == F_FRAGMENT || f == F_BOTH;

	/* No shape is both */
	if (oracle_takes(b, at, len, F_OPTIONS, ph))
		return OK;
	if (says_fragment && oracle_takes(b, at, len, f, ph))
		return fragments ? OK : FRAGMENT;
	return MALFORMED;
}

bool beet_ph_same(const struct xe_beet_ph *a, const struct xe_beet_ph *b)
{
	return a->next_header == b->next_header &&
	       a->fragment == b->fragment && a->options == b->options &&
	       (!a->fragment || a->frag_off == b->frag_off);
}

/* All that there is to be said, and it is written as the oracle counted it */
static void beet_shapes(struct kunit *test)
{
	struct beet_bench *b = test->priv;
	struct xe_beet_ph got, ph = { .next_header = 17 };
	u8 expected[XE_BEET_PH_MAX];
	int i;

	KUNIT_EXPECT_EQ(test, xe_beet_ph_len(&ph), 0);
	for (i = 0; i < SHAPES; i++) {
		const struct shape *s = &b->shapes[i];
		unsigned int len = 8 * s->header_len + 8;
		u8 *at = b->exact[len];

		ph.fragment = s->f != F_OPTIONS;
		ph.frag_off = htons(0xa123);
		ph.options = s->options;
		KUNIT_ASSERT_EQ(test, xe_beet_ph_len(&ph), len);

		/* One option, unlike any padding */
		memset(at, 0xa5, len);
		if (s->options)
			at[len - s->options + 1] = s->options;
		memcpy(expected, at, len);
		expected[0] = 17;
		expected[1] = s->header_len;
		expected[2] = s->pad_len;
		expected[3] = s->f << 6;
		if (ph.fragment) {
			expected[4] = 0xa1;
			expected[5] = 0x23;
		}
		memset(expected + len - s->options - s->pad_len,
		       ph.fragment ? 0 : 1, s->pad_len);
		xe_beet_ph_build(at, &ph);
		KUNIT_EXPECT_EQ_MSG(test, memcmp(at, expected, len), 0,
				    "built %*ph, not %*ph", len, at, len,
				    expected);
		KUNIT_EXPECT_EQ(test, xe_beet_ph_parse(at, len, true, &got),
				XE_BEET_OK);
		KUNIT_EXPECT_TRUE(test, beet_ph_same(&got, &ph));
	}
}

/* Each rule of the documentation; @on and @off: with and without beet-frag */
static const struct rule {
	const char *name;
	enum xe_beet_verdict on, off;
	u8 len;
	u8 octets[INPUT_MAX];
} rules[] = {
	{ "options, 4", OK, OK, 8, { 6, 0, 0, 0, 0x94, 4, 0, 0 } },
	{ "options, 8", OK, OK, 16,
	  { 6, 1, 4, 0, [4 ... 7] = 1, 0x94, 4, 0, 0, [12 ... 15] = 1 } },
	{ "options, 12", OK, OK, 16,
	  { 6, 1, 0, 0, 0x94, 4, 0, 0, 0x94, 4, 0, 0, 0x94, 4, 0, 0 } },
	{ "options, 36", OK, OK, 40, { 6, 4, 0, 0, [4 ... 39] = 1 } },
	{ "options, 40", OK, OK, 48,
	  { 6, 5, 4, 0, [4 ... 7] = 1, 7, 39, 4, [47] = 0 } },
	{ "payload behind", OK, OK, 20,
	  { 6, 0, 0, 0, 0x94, 4, 0, 0, 0xff, 0xff, 0xff } },
	{ "protocol 0", OK, OK, 8, { 0, 0, 0, 0, 0x94, 4, 0, 0 } },
	{ "protocol 255", OK, OK, 8, { 255, 0, 0, 0, 0x94, 4, 0, 0 } },
	{ "first fragment", OK, FRAGMENT, 8, { 17, 0, 2, 0x40, 0x20 } },
	{ "middle fragment", OK, FRAGMENT, 8, { 17, 0, 2, 0x40, 0x20, 185 } },
	{ "last fragment", OK, FRAGMENT, 8, { 17, 0, 2, 0x40, 0, 185 } },
	{ "highest offset", OK, FRAGMENT, 8, { 17, 0, 2, 0x40, 0x1f, 0xff } },
	{ "offset 256", OK, FRAGMENT, 8, { 17, 0, 2, 0x40, 0x01, 0 } },
	{ "fragment with R and D", OK, FRAGMENT, 8, { 17, 0, 2, 0x40, 0xe0 } },
	{ "fragment, options, 4", OK, FRAGMENT, 16,
	  { 6, 1, 6, 0x80, 0x20, [12] = 0x94, 4, 0, 0 } },
	{ "fragment, options, 8", OK, FRAGMENT, 16,
	  { 6, 1, 2, 0x80, 0x20, [8] = 0x94, 4, 0, 0, 0x94, 4, 0, 0 } },
	{ "fragment, options, 36", OK, FRAGMENT, 48,
	  { 6, 5, 6, 0x80, 0, 1, [12 ... 47] = 1 } },
	{ "fragment, options, 40", OK, FRAGMENT, 48,
	  { 6, 5, 2, 0x80, 0, 1, [8] = 7, 40, 4 } },

	/* Not looked at */
	{ "reserved bits", OK, OK, 8, { 6, 0, 0, 0x3f, 0x94, 4, 0, 0 } },
	{ "reserved bits, fragment", OK, FRAGMENT, 8,
	  { 17, 0, 2, 0x7f, 0x20 } },
	{ "reserved bits, both", OK, FRAGMENT, 16,
	  { 6, 1, 6, 0xbf, 0x20, [12] = 0x94, 4, 0, 0 } },
	{ "padding not NOP", OK, OK, 16,
	  { 6, 1, 4, 0, 0x94, 0, 0xff, 0x94, 0x94, 4, 0, 0, 0x94, 4, 0, 0 } },
	{ "padding not zeros", OK, FRAGMENT, 8,
	  { 17, 0, 2, 0x40, 0x20, 0, 0xff, 0x94 } },
	{ "Linux: F 01", OK, OK, 8, { 6, 0, 0, 0x40, 0x94, 4, 0, 0 } },
	{ "Linux: F 10", OK, OK, 16,
	  { 6, 1, 4, 0x80, [4 ... 7] = 1, 0x94, 4, 0, 0, 0x94, 4, 0, 0 } },
	{ "Linux: F 11", OK, OK, 8, { 6, 0, 0, 0xff, 0x94, 4, 0, 0 } },
	{ "Linux: what would be a fragment word", OK, OK, 8,
	  { 6, 0, 0, 0x41, 0x20, 2, 1, 1 } },
	{ "Linux: 40 octets, F 01", OK, OK, 48,
	  { 6, 5, 4, 0x41, [4 ... 7] = 1, 7, 39, 4, [47] = 0 } },

	/* Header Len */
	{ "nothing", MALFORMED, MALFORMED, 0 },
	{ "cut in the fixed part", MALFORMED, MALFORMED, 3, { 6, 0, 0 } },
	{ "cut behind it", MALFORMED, MALFORMED, 4, { 6, 0, 0, 0 } },
	{ "cut by one", MALFORMED, MALFORMED, 7, { 6, 0, 0, 0, 1, 1, 1 } },
	{ "fragment cut by one", MALFORMED, MALFORMED, 7, { 17, 0, 2, 0x40, 0x20 } },
	{ "beyond the payload", MALFORMED, MALFORMED, 15,
	  { 6, 1, 4, 0, [4 ... 7] = 1, 0x94, 4, 0, 0, 1, 1, 1 } },
	{ "far beyond it", MALFORMED, MALFORMED, 48,
	  { 6, 255, 0, 0, [4 ... 43] = 1 } },
	{ "44 octets of options", MALFORMED, MALFORMED, 48,
	  { 6, 5, 0, 0, [4 ... 47] = 1 } },
	{ "48 of them", MALFORMED, MALFORMED, 56,
	  { 6, 6, 4, 0, [4 ... 55] = 1 } },
	{ "fragment with 44", MALFORMED, MALFORMED, 56,
	  { 6, 6, 6, 0x80, 0x20, [12 ... 55] = 1 } },

	/* Pad Len */
	{ "no options", MALFORMED, MALFORMED, 8,
	  { 6, 0, 4, 0, [4 ... 7] = 1 } },
	{ "8 of padding for 0", MALFORMED, MALFORMED, 16,
	  { 6, 1, 8, 0, [4 ... 11] = 1, 0x94, 4, 0, 0 } },
	{ "12 of padding for 4", MALFORMED, MALFORMED, 24,
	  { 6, 2, 12, 0, [4 ... 15] = 1, 0x94, 4, 0, 0, 0x94, 4, 0, 0 } },
	{ "only padding", MALFORMED, MALFORMED, 16,
	  { 6, 1, 12, 0, [4 ... 15] = 1 } },
	{ "padding beyond the end", MALFORMED, MALFORMED, 8,
	  { 6, 0, 8, 0, [4 ... 7] = 1 } },
	{ "255 of padding", MALFORMED, MALFORMED, 48,
	  { 6, 5, 255, 0, [4 ... 47] = 1 } },
	{ "options, 3", MALFORMED, MALFORMED, 8,
	  { 6, 0, 1, 0, [4 ... 7] = 1 } },
	{ "options, 2", MALFORMED, MALFORMED, 8,
	  { 6, 0, 2, 0, [4 ... 7] = 1 } },
	{ "options, 6", MALFORMED, MALFORMED, 16,
	  { 6, 1, 6, 0, [4 ... 15] = 1 } },
	{ "fragment, no padding", MALFORMED, MALFORMED, 8,
	  { 17, 0, 0, 0x40, 0x20 } },
	{ "fragment, padding 1", MALFORMED, MALFORMED, 8, { 17, 0, 1, 0x40, 0x20 } },
	{ "fragment, padding beyond the end", MALFORMED, MALFORMED, 8,
	  { 17, 0, 6, 0x40, 0x20 } },
	{ "fragment, 10 of padding for 2", MALFORMED, MALFORMED, 16,
	  { 17, 1, 10, 0x40, 0x20 } },
	{ "both, 14 of padding for 6", MALFORMED, MALFORMED, 24,
	  { 17, 2, 14, 0x80, 0x20, [20] = 0x94, 4, 0, 0 } },
	{ "F 10, Pad Len of options", OK, OK, 16,
	  { 17, 1, 4, 0x80, 0x20, [10] = 1, 1, 0x94, 4, 0, 0 } },

	/* F */
	{ "F 11, as a fragment", MALFORMED, MALFORMED, 8,
	  { 17, 0, 2, 0xc0, 0x20 } },
	{ "F 11, as both", MALFORMED, MALFORMED, 16,
	  { 6, 1, 6, 0xc0, 0x20, [12] = 0x94, 4, 0, 0 } },
	{ "F 01, but options", MALFORMED, MALFORMED, 16,
	  { 6, 1, 6, 0x40, 0x20, [12] = 0x94, 4, 0, 0 } },
	{ "F 10, no options", MALFORMED, MALFORMED, 8, { 17, 0, 2, 0x80, 0x20 } },
	{ "F 00, but a fragment", MALFORMED, MALFORMED, 8,
	  { 17, 0, 2, 0, 0x20 } },

	/* Fragment word */
	{ "word 0", MALFORMED, MALFORMED, 8, { 17, 0, 2, 0x40 } },
	{ "word D", MALFORMED, MALFORMED, 8, { 17, 0, 2, 0x40, 0x40 } },
	{ "word R", MALFORMED, MALFORMED, 8, { 17, 0, 2, 0x40, 0x80 } },
	{ "word RD, options", MALFORMED, MALFORMED, 16,
	  { 6, 1, 6, 0x80, 0xc0, [12] = 0x94, 4, 0, 0 } },

	/* Next Header */
	{ "94", MALFORMED, MALFORMED, 8, { 94, 0, 0, 0, 0x94, 4, 0, 0 } },
	{ "94 in a fragment", MALFORMED, MALFORMED, 8, { 94, 0, 2, 0x40, 0x20 } },

	/* Options */
	{ "end of list", OK, OK, 8, { 6, 0, 0, 0, 0, 0xff, 0xff, 0xff } },
	{ "end of list behind", OK, OK, 8, { 6, 0, 0, 0, 0x94, 2, 0, 0x94 } },
	{ "length 2", OK, OK, 8, { 6, 0, 0, 0, 0x94, 2, 0x94, 2 } },
	{ "length 0", MALFORMED, MALFORMED, 8, { 6, 0, 0, 0, 0x94, 0, 1, 1 } },
	{ "length 1", MALFORMED, MALFORMED, 8, { 6, 0, 0, 0, 0x94, 1, 1, 1 } },
	{ "one too long", MALFORMED, MALFORMED, 8,
	  { 6, 0, 0, 0, 0x94, 5, 1, 1 } },
	{ "fits the payload only", MALFORMED, MALFORMED, 12,
	  { 6, 0, 0, 0, 0x94, 8, 1, 1, [8 ... 11] = 1 } },
	{ "length 255", MALFORMED, MALFORMED, 8,
	  { 6, 0, 0, 0, 0x94, 255, 1, 1 } },
	{ "no room for a length", MALFORMED, MALFORMED, 8,
	  { 6, 0, 0, 0, 1, 1, 1, 0x94 } },
	{ "length in the payload", MALFORMED, MALFORMED, 12,
	  { 6, 0, 0, 0, 1, 1, 1, 0x94, 2, 1, 1, 1 } },
	{ "second too long", MALFORMED, MALFORMED, 16,
	  { 6, 1, 4, 0, [4 ... 7] = 1, 0x94, 4, 0, 0, 7, 5, 4, 0 } },
	{ "fragment, length 1", MALFORMED, MALFORMED, 16,
	  { 6, 1, 6, 0x80, 0x20, [12] = 0x94, 1, 1, 1 } },
};

static void beet_rules(struct kunit *test)
{
	struct beet_bench *b = test->priv;
	struct xe_beet_ph ph, oracle_ph;
	int i;

	for (i = 0; i < ARRAY_SIZE(rules); i++) {
		const struct rule *r = &rules[i];
		u8 *at = b->exact[r->len];
		enum xe_beet_verdict on, off;

		memcpy(at, r->octets, r->len);
		on = xe_beet_ph_parse(at, r->len, true, &ph);
		off = xe_beet_ph_parse(at, r->len, false, &ph);
		KUNIT_EXPECT_EQ_MSG(test, r->on, on, "%s, fragments", r->name);
		KUNIT_EXPECT_EQ_MSG(test, r->off, off, "%s, no fragments",
				    r->name);
		/* The oracle has read the same documentation */
		KUNIT_EXPECT_EQ_MSG(test,
				    oracle(b, at, r->len, true, &oracle_ph),
				    r->on, "%s", r->name);
		KUNIT_EXPECT_EQ_MSG(test,
				    oracle(b, at, r->len, false, &oracle_ph),
				    r->off, "%s", r->name);
	}
}

/* Parse and compare. Return what is wrong, or NULL */
const char *beet_judge(const struct beet_bench *b, const u8 *at,
		       unsigned int len, bool fragments,
		       struct xe_beet_ph *got, enum xe_beet_verdict *verdict)
{
	struct xe_beet_ph expected, before;
	enum xe_beet_verdict wanted = oracle(b, at, len, fragments, &expected);

	memset(got, 0xa5, sizeof(*got));
	memcpy(&before, got, sizeof(before));
	*verdict = xe_beet_ph_parse(at, len, fragments, got);
	if (wanted != *verdict)
		return "wrong verdict";
	if (*verdict != XE_BEET_OK)
		return memcmp(got, &before, sizeof(before)) ?
		       "written though refused" : NULL;
	if (!beet_ph_same(got, &expected))
		return "wrong contents";
	if (xe_beet_ph_len(got) > len ||
	    xe_beet_ph_len(got) != 8 * at[1] + 8)
		return "wrong length";
	return NULL;
}

/*
 * Each Header Len, Pad Len and F there can be, in payloads shorter and longer.
 * All other octets are NOP or, read as a fragment word, an offset of 257.
 */
static void beet_every_value(struct kunit *test)
{
	static const unsigned int lens[] = { 7, 8, 31, 48, 2048 };
	struct beet_bench *b = test->priv;
	u64 sum[XE_BEET_FRAGMENT + 1] = {};
	enum xe_beet_verdict verdict;
	struct xe_beet_ph got;
	const char *mistake;
	int i;

	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		u8 *at = kunit_kmalloc(test, lens[i], GFP_KERNEL);
		u32 v;

		KUNIT_ASSERT_NOT_NULL(test, at);
		memset(at, 1, lens[i]);
		at[0] = 6;
		/* Header Len, Pad Len, F, fragments or not */
		for (v = 0; v < 1 << 19; v++) {
			at[1] = v >> 11;
			at[2] = v >> 3;
			at[3] = (v >> 1 & 3) << 6;
			mistake = beet_judge(b, at, lens[i], v & 1, &got,
					     &verdict);
			sum[verdict]++;
			if (mistake) {
				KUNIT_FAIL(test, "%*ph of %u, fragments %d: %s",
					   4, at, lens[i], v & 1, mistake);
				return;
			}
			if (v % 65536 == 0)
				cond_resched();
		}
	}
	kunit_info(test, "%llu taken, %llu malformed, %llu fragments\n",
		   sum[XE_BEET_OK], sum[XE_BEET_MALFORMED],
		   sum[XE_BEET_FRAGMENT]);
	/*
	 * 10 with options only fit into 48 octets, 5 into 31 and 1 into 8, with
	 * any F and either way; and as many of fragments, and one more that has
	 * no options, with the right F, if they are taken.
	 */
	KUNIT_EXPECT_EQ(test, sum[XE_BEET_OK],
			2 * 4 * (10 * 2 + 5 + 1) + 11 * 2 + 5 + 1);
	KUNIT_EXPECT_EQ(test, sum[XE_BEET_FRAGMENT], 11 * 2 + 5 + 1);
}

static struct kunit_case beet_cases[] = {
	KUNIT_CASE(beet_shapes),
	KUNIT_CASE(beet_rules),
	KUNIT_CASE(beet_every_value),
	KUNIT_CASE(beet_fuzz),
	KUNIT_CASE(beet_options_every),
	KUNIT_CASE(beet_options_fuzz),
	{}
};

struct kunit_suite beet_suite = {
	.name = "xfrm_ext_beet",
	.init = beet_init,
	.test_cases = beet_cases,
};
