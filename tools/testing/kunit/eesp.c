// SPDX-License-Identifier: GPL-2.0-only
/*
 * EESP's pure parts: keys against RFC 5869's examples and values that another
 * implementation has made, headers octet by octet, options whole and malformed.
 */
#include <linux/err.h>
#include <linux/prandom.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "../../../net/xfrm_ext/eesp.h"
#include "../../../net/xfrm_ext/sskdf.h"
#include "../../../net/xfrm_ext/trailer.h"
#include "golden_eesp.h"
#include "suites.h"

static void expand_is(struct kunit *test, const u8 *root, unsigned int root_len,
		      const u8 *info, unsigned int info_len, const u8 *want,
		      unsigned int len)
{
	struct crypto_shash *hmac;
	u8 okm[64];

	KUNIT_ASSERT_LE(test, len, (unsigned int)sizeof(okm));
	hmac = xe_sskdf_alloc(root, root_len);
	KUNIT_ASSERT_FALSE(test, IS_ERR(hmac));
	KUNIT_EXPECT_EQ(test, xe_sskdf_expand(hmac, info, info_len, okm, len),
			0);
	KUNIT_EXPECT_EQ(test, memcmp(okm, want, len), 0);
	/* Once more: nothing of the first time is left */
	KUNIT_EXPECT_EQ(test, xe_sskdf_expand(hmac, info, info_len, okm, len),
			0);
	KUNIT_EXPECT_EQ(test, memcmp(okm, want, len), 0);
	xe_sskdf_free(hmac);
}

/* RFC 5869 appendix A.1, its second step */
static void expand_rfc5869(struct kunit *test)
{
	static const u8 prk[] = {
		0x07, 0x77, 0x09, 0x36, 0x2c, 0x2e, 0x32, 0xdf,
		0x0d, 0xdc, 0x3f, 0x0d, 0xc4, 0x7b, 0xba, 0x63,
		0x90, 0xb6, 0xc7, 0x3b, 0xb5, 0x0f, 0x9c, 0x31,
		0x22, 0xec, 0x84, 0x4a, 0xd7, 0xc2, 0xb3, 0xe5,
	};
	static const u8 info[] = {
		0xf0, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9,
	};
	static const u8 okm[] = {
		0x3c, 0xb2, 0x5f, 0x25, 0xfa, 0xac, 0xd5, 0x7a,
		0x90, 0x43, 0x4f, 0x64, 0xd0, 0x36, 0x2f, 0x2a,
		0x2d, 0x2d, 0x0a, 0x90, 0xcf, 0x1a, 0x5a, 0x4c,
		0x5d, 0xb0, 0x2d, 0x56, 0xec, 0xc4, 0xc5, 0xbf,
		0x34, 0x00, 0x72, 0x08, 0xd5, 0xb8, 0x87, 0x18,
		0x58, 0x65,
	};

	expand_is(test, prk, sizeof(prk), info, sizeof(info), okm, sizeof(okm));
}

/* Root key 00 01 02 ..., as Python's hmac has it */
static void expand_sessions(struct kunit *test)
{
	static const struct {
		unsigned int root;
		u8 info[2];
		u8 okm[36];
	} of[] = {
		{ 32, { 0x00, 0x00 }, {
			0x47, 0x2a, 0x55, 0x7f, 0x71, 0xf0, 0x1e, 0x8d,
			0x12, 0x5d, 0xa0, 0x3e, 0xc2, 0x1f, 0x6b, 0x77,
			0x0f, 0x62, 0xb3, 0x6f, 0x2d, 0x79, 0x38, 0xdf,
			0x3f, 0xb5, 0x5a, 0xb3, 0x96, 0x07, 0x95, 0x16,
			0x6e, 0x16, 0x53, 0x2b } },
		{ 32, { 0x12, 0x34 }, {
			0x6d, 0x24, 0x1a, 0x8e, 0xfb, 0x1d, 0xf3, 0xc0,
			0xd7, 0xd5, 0xc3, 0xe3, 0xd8, 0xf5, 0x1d, 0x78,
			0xd4, 0xf4, 0x83, 0x42, 0xdc, 0xa2, 0x47, 0x9c,
			0x24, 0x83, 0xe3, 0xd7, 0xeb, 0x74, 0xa3, 0x33,
			0x38, 0xee, 0xef, 0x45 } },
		{ 48, { 0x00, 0x01 }, {
			0xbc, 0x43, 0x54, 0x72, 0xe3, 0xa6, 0x5f, 0x44,
			0x5e, 0x39, 0xed, 0x59, 0x60, 0xb0, 0xf5, 0xc1,
			0xf3, 0xa2, 0xe8, 0x39, 0x94, 0x59, 0x2b, 0x3a,
			0x52, 0xd3, 0xcc, 0x86, 0x0f, 0x9e, 0x6c, 0x42,
			0x58, 0xd7, 0x41, 0x11 } },
		{ 64, { 0x00, 0x01 }, {
			0x98, 0x8a, 0x26, 0xee, 0xb4, 0xc6, 0x9d, 0xfd,
			0x78, 0x29, 0xf4, 0x54, 0xd6, 0x3e, 0x66, 0x91,
			0x3b, 0xc6, 0x05, 0x77, 0xa1, 0x3f, 0x33, 0xb9,
			0x1e, 0x65, 0x88, 0x62, 0x36, 0x73, 0x9c, 0x0a,
			0x91, 0x34, 0xf5, 0x58 } },
	};
	u8 root[64];
	int i;

	for (i = 0; i < sizeof(root); i++)
		root[i] = i;
	for (i = 0; i < ARRAY_SIZE(of); i++)
		expand_is(test, root, of[i].root, of[i].info, 2, of[i].okm, 36);
	for (i = 0; i <= 64; i++)
		KUNIT_EXPECT_EQ(test, xe_sskdf_root(i),
				i == 32 || i == 48 || i == 64);
}

static void headers(struct kunit *test)
{
	static const u8 bare[] = {
		0x80, 0, 0x12, 0x34, 0x11, 0x22, 0x33, 0x44,
		0, 0, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06,
	};
	static const u8 padded[] = {
		0x80, 4, 0x12, 0x34, 0x11, 0x22, 0x33, 0x44, 1, 2, 0, 0,
		0, 0, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06,
	};
	/* Figure 19 of the draft: payload at 28 octets, 32 of it in clear */
	static const u8 crypt[] = {
		0x80, 4, 0x12, 0x34, 0x11, 0x22, 0x33, 0x44, 2, 2, 0x1c, 0x80,
		0, 0, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06,
	};
	static const struct {
		const u8 *hdr;
		unsigned int len;
		bool crypt;
		bool padded;
	} of[] = {
		{ bare, sizeof(bare), false, false },
		{ padded, sizeof(padded), false, true },
		{ crypt, sizeof(crypt), true, false },
		{ crypt, sizeof(crypt), true, true },
	};
	const struct xe_seq seq = { .subspace = 0x1234, .sn = 0x010203040506 };
	const struct xe_format *f, *one;
	struct xe_frame frame;
	u8 hdr[XE_HDR_MAX];
	int i;

	for (i = 0; i < ARRAY_SIZE(of); i++) {
		f = xe_eesp_format(true, of[i].crypt, of[i].padded);
		one = xe_eesp_format(false, of[i].crypt, of[i].padded);
		KUNIT_ASSERT_EQ(test, f->hdr_len, of[i].len);
		memset(hdr, 0xff, sizeof(hdr));
		f->build(hdr, cpu_to_be32(0x11223344), seq);
		if (of[i].crypt)
			xe_eesp_crypt_build(hdr, 7, 8);
		KUNIT_EXPECT_EQ(test, memcmp(hdr, of[i].hdr, of[i].len), 0);
		KUNIT_EXPECT_EQ(test, f->parse(hdr).subspace, 0x1234U);
		KUNIT_EXPECT_EQ(test, f->parse(hdr).sn, seq.sn);
		KUNIT_EXPECT_EQ(test, one->parse(hdr).subspace, 0U);
		KUNIT_EXPECT_EQ(test, one->parse(hdr).sn, seq.sn);
		KUNIT_EXPECT_EQ(test, xe_eesp_spi(hdr),
				cpu_to_be32(0x11223344));

		/* Any of the formats reads it */
		xe_format_frame(xe_eesp_format(true, false, false), &frame,
				hdr, XFRM_EXT_TRAILER_OMIT, seq);
		KUNIT_EXPECT_EQ(test, frame.hdr_len, of[i].len);
		KUNIT_EXPECT_EQ(test, frame.number, seq.sn);
		KUNIT_EXPECT_EQ(test, frame.crypt, of[i].crypt);
		KUNIT_EXPECT_EQ(test, frame.exposed, of[i].crypt ? 32U : 0U);
	}
}

static void options(struct kunit *test)
{
	static const struct {
		u8 octets[16];
		unsigned int len;
		bool ok;
		bool crypt;
		u8 at;
		u8 exposed;
	} of[] = {
		{ {}, 0, true },
		{ { 0, 0, 0 }, 3, true },
		{ { 1, 0 }, 2, true },
		{ { 1, 3, 9, 9, 9, 0 }, 6, true },
		{ { 0xff, 2, 1, 1, 3, 0 }, 6, true },
		{ { 1 }, 1, false },
		{ { 0, 0, 7 }, 3, false },
		{ { 7, 1 }, 2, false },
		{ { 7, 255, 0, 0 }, 4, false },
		{ { 2, 2, 0xff, 0xff }, 4, true, true, 63, 63 },
		{ { 2, 2, 0x18, 0x1f, 9, 0 }, 6, true, true, 6, 1 },
		{ { 0, 2, 2, 0x04, 0x00 }, 5, true, true, 1, 0 },
		{ { 2, 1, 0 }, 3, false },
		{ { 2, 3, 0, 0, 0 }, 5, false },
		{ { 2, 0 }, 2, false },
		{ { 2, 2, 0 }, 3, false },
		{ { 2, 2, 0, 0, 2, 2, 0, 0 }, 8, false },
	};
	struct xe_eesp_options o;
	int i;

	for (i = 0; i < ARRAY_SIZE(of); i++) {
		KUNIT_EXPECT_EQ_MSG(test,
				    xe_eesp_options(of[i].octets, of[i].len,
						    &o),
				    of[i].ok, "case %d", i);
		if (!of[i].ok)
			continue;
		KUNIT_EXPECT_EQ_MSG(test, o.crypt, of[i].crypt, "case %d", i);
		KUNIT_EXPECT_EQ_MSG(test, o.payload_at, of[i].at, "case %d", i);
		KUNIT_EXPECT_EQ_MSG(test, o.exposed, of[i].exposed, "case %d", i);
	}
}

/* Whatever it is, it is read within its length: each has memory of its own */
static void options_random(struct kunit *test)
{
	struct xe_eesp_options o;
	struct rnd_state rnd;
	unsigned long i;
	u8 *octets;
	u32 len;

	prandom_seed_state(&rnd, xe_kunit_seed);
	for (i = 0; i < 20000; i++) {
		len = prandom_u32_state(&rnd) % 24;
		octets = kmalloc(len ?: 1, GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, octets);
		prandom_bytes_state(&rnd, octets, len);
		/* Short ones, or hardly any would be whole */
		for (u32 at = 0; at < len; at++)
			octets[at] &= prandom_u32_state(&rnd) & 1 ? 3 : 0xff;
		if (xe_eesp_options(octets, len, &o) && o.crypt)
			KUNIT_EXPECT_LE(test, o.exposed, XE_EESP_WORDS_MAX);
		kfree(octets);
	}
}

static void golden_desc(const struct xfrm_ext_golden_eesp *g, char *desc)
{
	strscpy(desc, g->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(golden_eesp, xfrm_ext_golden_eesp, golden_desc);

/* What is read of a header */
static void golden_reads(struct kunit *test, const struct xfrm_ext_golden_eesp *g)
{
	unsigned int len = g->header_len - g->iv_len;
	const struct xe_format *f = xe_eesp_format(true, false, false);
	struct xe_seq seq = f->parse(g->header);
	struct xe_eesp_options o;
	struct xe_frame frame;

	KUNIT_EXPECT_EQ(test, g->header[0], xe_eesp_numbers.first);
	KUNIT_EXPECT_EQ(test, xe_eesp_spi(g->header), cpu_to_be32(g->spi));
	KUNIT_EXPECT_EQ(test, seq.subspace, g->session);
	KUNIT_EXPECT_EQ(test, seq.sn, g->sn);
	xe_format_frame(f, &frame, g->header, XFRM_EXT_TRAILER_OMIT, seq);
	KUNIT_EXPECT_EQ(test, frame.hdr_len, len);
	KUNIT_EXPECT_EQ(test, frame.number, g->sn);
	KUNIT_EXPECT_EQ(test, frame.crypt, g->crypt);
	KUNIT_EXPECT_EQ(test, frame.exposed, g->clear);
	KUNIT_EXPECT_TRUE(test, xe_eesp_options(g->header + XE_EESP_BASE_LEN,
						xe_eesp_options_len(g->header),
						&o));
	if (g->crypt)
		KUNIT_EXPECT_EQ(test, o.payload_at * 4, g->header_len);
}

/* And what is written, if it has no options that we never send */
static void golden_writes(struct kunit *test, const struct xfrm_ext_golden_eesp *g)
{
	const struct xe_format *f;
	struct xe_seq seq = { .subspace = g->session, .sn = g->sn };
	u8 hdr[XE_HDR_MAX];

	if (g->others)
		return;
	f = xe_eesp_format(true, g->crypt, xe_eesp_options_len(g->header));
	KUNIT_ASSERT_EQ(test, f->hdr_len + g->iv_len, g->header_len);
	f->build(hdr, cpu_to_be32(g->spi), seq);
	if (g->crypt)
		xe_eesp_crypt_build(hdr, g->header_len / 4, g->clear / 4);
	KUNIT_EXPECT_EQ_MSG(test, memcmp(hdr, g->header, f->hdr_len), 0,
			    "built %*ph, not %*ph", f->hdr_len, hdr,
			    f->hdr_len, g->header);
}

static void eesp_golden(struct kunit *test)
{
	const struct xfrm_ext_golden_eesp *g = test->param_value;
	const struct xe_eesp_numbers usual = xe_eesp_numbers;
	const u8 info[] = { g->session >> 8, g->session };

	xe_eesp_numbers = (struct xe_eesp_numbers){
		.first = XE_EESP_NOT_ESP | g->version << 3,
		.pad1 = g->types[0],
		.padn = g->types[1],
		.crypt_offset = g->types[2],
	};
	golden_reads(test, g);
	golden_writes(test, g);
	xe_eesp_numbers = usual;
	if (g->root_len)
		expand_is(test, g->root, g->root_len, info, sizeof(info),
			  g->key, g->key_len);
}

static struct kunit_case eesp_cases[] = {
	KUNIT_CASE_PARAM(eesp_golden, golden_eesp_gen_params),
	KUNIT_CASE(expand_rfc5869),
	KUNIT_CASE(expand_sessions),
	KUNIT_CASE(headers),
	KUNIT_CASE(options),
	KUNIT_CASE(options_random),
	{}
};

struct kunit_suite eesp_suite = {
	.name = "xfrm_ext_eesp",
	.test_cases = eesp_cases,
};
