// SPDX-License-Identifier: GPL-2.0-only
/*
 * Octet by octet what the reference implementation has, which shares no code
 * with the module.
 */
#include <linux/slab.h>

#include "../../../net/xfrm_ext/beet_ph.h"
#include "../../../net/xfrm_ext/format.h"
#include "golden.h"
#include "suites.h"

static void golden_desc(const struct xfrm_ext_golden *g, char *desc)
{
	strscpy(desc, g->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(golden, xfrm_ext_golden, golden_desc);

/* Header, IV, nonce and AAD, built and read */
static void esp64_golden(struct kunit *test)
{
	const struct xfrm_ext_golden *g = test->param_value;
	struct xe_seq seq = { .subspace = g->subspace, .sn = g->sn };
	u8 hdr[XE_HDR_MAX], aad[XE_AAD_MAX], nonce[XE_NONCE_LEN];
	struct xe_salt salt = { .len = sizeof(g->salt) };
	struct xe_frame frame;
	__be64 iv;

	KUNIT_ASSERT_EQ(test, xe_format_esp64.hdr_len, sizeof(g->header));
	xe_format_esp64.build(hdr, cpu_to_be32(g->spi), seq);
	KUNIT_EXPECT_EQ(test, memcmp(hdr, g->header, sizeof(g->header)), 0);
	xe_format_frame(&xe_format_esp64, &frame, NULL, 0, seq);
	KUNIT_ASSERT_EQ(test, frame.hdr_len, sizeof(g->header));
	KUNIT_ASSERT_EQ(test, frame.aad_len, sizeof(g->aad));
	xe_format_esp64.aad(aad, cpu_to_be32(g->spi), seq);
	KUNIT_EXPECT_EQ(test, memcmp(aad, g->aad, sizeof(g->aad)), 0);
	iv = cpu_to_be64(frame.number);
	KUNIT_EXPECT_EQ(test, memcmp(&iv, g->iv, sizeof(g->iv)), 0);
	memcpy(salt.octets, g->salt, sizeof(g->salt));
	xe_nonce(nonce, &salt, g->iv, sizeof(g->iv));
	KUNIT_EXPECT_EQ(test, memcmp(nonce, g->nonce, sizeof(g->nonce)), 0);

	seq = xe_format_esp64.parse(g->header);
	KUNIT_EXPECT_EQ(test, seq.subspace, g->subspace);
	KUNIT_EXPECT_EQ(test, seq.sn, g->sn);
}

static void golden_beet_desc(const struct xfrm_ext_golden_beet *g, char *desc)
{
	strscpy(desc, g->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(golden_beet, xfrm_ext_golden_beet, golden_beet_desc);

/* A pseudo header of BEET, built and read */
static void beet_golden(struct kunit *test)
{
	const struct xfrm_ext_golden_beet *g = test->param_value;
	const struct xe_beet_ph ph = {
		.next_header = g->next_header,
		.fragment = g->fragment,
		.frag_off = htons(g->frag_off),
		.options = g->options_len,
	};
	struct xe_beet_ph got;
	u8 *at;

	KUNIT_ASSERT_EQ(test, xe_beet_ph_len(&ph), g->len);
	if (!g->len)
		return;
	/* So that KASAN sees one octet more */
	at = kunit_kmalloc(test, g->len, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, at);
	memset(at, 0xa5, g->len);
	memcpy(at + g->len - g->options_len, g->options, g->options_len);
	xe_beet_ph_build(at, &ph);
	KUNIT_EXPECT_EQ_MSG(test, memcmp(at, g->ph, g->len), 0,
			    "built %*ph, not %*ph", g->len, at, g->len, g->ph);

	memcpy(at, g->ph, g->len);
	KUNIT_ASSERT_EQ(test, xe_beet_ph_parse(at, g->len, true, &got),
			XE_BEET_OK);
	KUNIT_EXPECT_EQ(test, got.next_header, ph.next_header);
	KUNIT_EXPECT_EQ(test, got.fragment, ph.fragment);
	KUNIT_EXPECT_EQ(test, got.options, ph.options);
	if (ph.fragment)
		KUNIT_EXPECT_EQ(test, ntohs(got.frag_off), g->frag_off);
	KUNIT_EXPECT_EQ(test, xe_beet_ph_parse(at, g->len, false, &got),
			g->fragment ? XE_BEET_FRAGMENT : XE_BEET_OK);
}

static struct kunit_case golden_cases[] = {
	KUNIT_CASE_PARAM(esp64_golden, golden_gen_params),
	KUNIT_CASE_PARAM(beet_golden, golden_beet_gen_params),
	{}
};

struct kunit_suite golden_suite = {
	.name = "xfrm_ext_golden",
	.test_cases = golden_cases,
};
