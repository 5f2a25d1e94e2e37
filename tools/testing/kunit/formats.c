// SPDX-License-Identifier: GPL-2.0-only
/*
 * The formats' and trailers' pure parts, against the rules spelled out once more
 * in another way: Documentation/wire-formats.rst, RFC 4303 appendix A.
 */
#include <linux/in.h>
#include <linux/random.h>
#include <linux/slab.h>

#include "../../../net/xfrm_ext/format.h"
#include "../../../net/xfrm_ext/trailer.h"
#include "suites.h"

/*
 * RFC 4303 appendix A2.2, as its pseudo code has it: two halves, and the two
 * cases of a window that lies in one subspace of 2^32 numbers, or in two.
 */
static bool appendix_a(u32 th, u32 tl, u32 w, u32 seql, u64 *whole)
{
	u32 seqh;

	if (tl >= w - 1) {
		seqh = seql >= tl - w + 1 ? th : th + 1;
	} else {
		if (seql >= tl - w + 1) {
			if (!th)
				return false;
			seqh = th - 1;
		} else {
			seqh = th;
		}
	}
	*whole = (u64)seqh << 32 | seql;
	return true;
}

static void esn_compare(struct kunit *test, u64 top, u32 window, u32 low)
{
	u64 want = 0, got = low;
	bool ok = appendix_a(top >> 32, top, window, low, &want);

	KUNIT_EXPECT_EQ_MSG(test, xe_esn_number(top, window, &got), ok,
			    "top %llx window %u low %x", top, window, low);
	if (ok)
		KUNIT_EXPECT_EQ_MSG(test, got, want,
				    "top %llx window %u low %x", top, window,
				    low);
}

static void esn_appendix_a(struct kunit *test)
{
	static const u64 bases[] = {
		0, 1ULL << 31, 1ULL << 32, 2ULL << 32, 0x123ULL << 32,
		0xffffULL << 32, 1ULL << 47,
	};
	static const u32 windows[] = { 64, 128, 1024, 65536 };
	int b, w, i, j;
	u64 top;

	for (b = 0; b < ARRAY_SIZE(bases); b++)
		for (w = 0; w < ARRAY_SIZE(windows); w++)
			for (i = -130; i <= 130; i++) {
				top = bases[b] + i;
				if (i < 0 && !bases[b])
					continue;
				for (j = -3; j <= 3; j++) {
					esn_compare(test, top, windows[w],
						    top + j);
					esn_compare(test, top, windows[w],
						    top + j - windows[w]);
					esn_compare(test, top, windows[w],
						    top + j + (1U << 31));
					esn_compare(test, top, windows[w], j);
				}
			}
	for (i = 0; i < 1000000; i++)
		esn_compare(test, get_random_u64() >> 16,
			    64U << (get_random_u32() % 11), get_random_u32());
}

/* By hand, one of each kind */
static void esn_examples(struct kunit *test)
{
	static const struct {
		u64 top;
		u32 window, low;
		s64 whole;
	} cases[] = {
		{ 0, 64, 1, 1 },
		{ 0, 64, 0, 0 },
		/* Left of number 0 */
		{ 0, 64, 0xffffffff, -1 },
		{ 62, 64, 0xffffffff, -1 },
		/* The window is full: no room left of 0, so it is beyond */
		{ 63, 64, 0xffffffff, 0xffffffff },
		{ 0xffffffff, 64, 0xffffffff, 0xffffffff },
		{ 0xffffffff, 64, 0, 0x100000000 },
		{ 0xffffffff, 64, 0xffffffc0, 0xffffffc0 },
		/* One left of the window is the same in the next 2^32 */
		{ 0xffffffff, 64, 0xffffffbf, 0x1ffffffbf },
		{ 0x100000000, 64, 0xffffffc1, 0xffffffc1 },
		{ 0x100000000, 64, 0xffffffc0, 0x1ffffffc0 },
		{ 0x500000005, 1024, 0x6, 0x500000006 },
	};
	u64 sn;
	int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		sn = cases[i].low;
		if (!xe_esn_number(cases[i].top, cases[i].window, &sn))
			sn = -1;
		KUNIT_EXPECT_EQ_MSG(test, sn, cases[i].whole, "case %d", i);
	}
}

/* Each field at its limits stays out of its neighbours */
static void esp64_limits(struct kunit *test)
{
	static const u8 all_id[12] = {
		0xff, 0xff, 0xff, 0xfe, 0xff, 0xff, 0, 0, 0, 0, 0, 1
	};
	static const u8 all_sn[12] = {
		0, 0, 0, 1, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff
	};
	struct xe_seq seq = { .subspace = 65535, .sn = 1 };
	u8 hdr[12];

	xe_format_esp64.build(hdr, htonl(0xfffffffe), seq);
	KUNIT_EXPECT_EQ(test, memcmp(hdr, all_id, 12), 0);
	seq = xe_format_esp64.parse(all_id);
	KUNIT_EXPECT_EQ(test, seq.subspace, 65535);
	KUNIT_EXPECT_EQ(test, seq.sn, 1);

	seq = (struct xe_seq){ .subspace = 0, .sn = XE_SN_MAX };
	xe_format_esp64.build(hdr, htonl(1), seq);
	KUNIT_EXPECT_EQ(test, memcmp(hdr, all_sn, 12), 0);
	seq = xe_format_esp64.parse(all_sn);
	KUNIT_EXPECT_EQ(test, seq.subspace, 0);
	KUNIT_EXPECT_EQ(test, seq.sn, 0xffffffffffffULL);
}

/* The same of every packet, received or sent; the trailer stands where the SA says */
static void frame_is(struct kunit *test, const struct xe_format *format,
		     unsigned int hdr_len, unsigned int aad_len)
{
	const u8 hdr[XE_HDR_MAX] = {};
	struct xe_frame frame;
	u32 trailer;

	for (trailer = 0; trailer < 6; trailer++) {
		xe_format_frame(format, &frame, trailer & 1 ? hdr : NULL,
				trailer / 2,
				(struct xe_seq){ .sn = 0x123456 + trailer });
		KUNIT_EXPECT_EQ(test, frame.hdr_len, hdr_len);
		KUNIT_EXPECT_EQ(test, frame.aad_len, aad_len);
		KUNIT_EXPECT_EQ(test, frame.trailer, trailer / 2);
		KUNIT_EXPECT_EQ(test, frame.number, 0x123456ULL + trailer);
	}
}

/* Twice the length with a bit set; without the trailer; a number of its own */
static void odd_frame(struct xe_frame *frame, const u8 *hdr, struct xe_seq seq)
{
	if (hdr && hdr[0] & 0x80)
		frame->hdr_len *= 2;
	frame->trailer = XFRM_EXT_TRAILER_OMIT;
	frame->number = seq.sn;
}

/* A format whose packets differ has the last word */
static void frames(struct kunit *test)
{
	static const u8 hdr[2] = { 0x80, 0x7f };
	struct xe_format format = {
		.hdr_min = 1, .hdr_len = 4, .aad_len = 8, .frame = odd_frame,
	};
	struct xe_seq seq = { .subspace = 7, .sn = 9 };
	struct xe_frame frame;
	int i;

	for (i = 0; i < 3; i++) {
		xe_format_frame(&format, &frame, i < 2 ? &hdr[i] : NULL,
				XFRM_EXT_TRAILER_END, seq);
		KUNIT_EXPECT_EQ(test, frame.hdr_len, i ? 4 : 8);
		KUNIT_EXPECT_EQ(test, frame.aad_len, 8);
		KUNIT_EXPECT_EQ(test, frame.trailer, XFRM_EXT_TRAILER_OMIT);
		KUNIT_EXPECT_EQ(test, frame.number, 9);
	}
}

static void esp_headers(struct kunit *test)
{
	static const u8 hdr[8] = { 0xfe, 0xdc, 0xba, 0x98, 0x89, 0xab, 0xcd, 0xef };
	static const u8 aad[12] = {
		0xfe, 0xdc, 0xba, 0x98, 0, 0, 0x12, 0x34, 0x89, 0xab, 0xcd, 0xef
	};
	struct xe_seq seq = { .sn = 0x123489abcdefULL };
	u8 got[XE_AAD_MAX];

	KUNIT_EXPECT_EQ(test, xe_format_esn.hdr_len, 8);
	frame_is(test, &xe_format_esn, 8, 12);
	KUNIT_EXPECT_EQ(test, xe_format_esn.sn_max, 0xffffffffffffULL);
	xe_format_esn.build(got, htonl(0xfedcba98), seq);
	KUNIT_EXPECT_EQ(test, memcmp(got, hdr, 8), 0);
	xe_format_esn.aad(got, htonl(0xfedcba98), seq);
	KUNIT_EXPECT_EQ(test, memcmp(got, aad, 12), 0);
	seq = xe_format_esn.parse(hdr);
	KUNIT_EXPECT_EQ(test, seq.subspace, 0);
	KUNIT_EXPECT_EQ(test, seq.sn, 0x89abcdefULL);

	KUNIT_EXPECT_EQ(test, xe_format_esp.hdr_len, 8);
	frame_is(test, &xe_format_esp, 8, 8);
	KUNIT_EXPECT_EQ(test, xe_format_esp.sn_max, 0xffffffffULL);
	xe_format_esp.build(got, htonl(0xfedcba98), seq);
	KUNIT_EXPECT_EQ(test, memcmp(got, hdr, 8), 0);
	xe_format_esp.aad(got, htonl(0xfedcba98), seq);
	KUNIT_EXPECT_EQ(test, memcmp(got, hdr, 8), 0);
	seq = xe_format_esp.parse(hdr);
	KUNIT_EXPECT_EQ(test, seq.sn, 0x89abcdefULL);
}

static void nonces(struct kunit *test)
{
	static const u8 iv[16] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14,
				   15, 16 };
	static const struct {
		struct xe_salt salt;
		unsigned int len;
		u8 nonce[16];
	} cases[] = {
		/* RFC 4106 section 4, RFC 7634 section 2 */
		{ { 0, 4, { 0xa, 0xb, 0xc, 0xd } }, 8,
		  { 0xa, 0xb, 0xc, 0xd, 1, 2, 3, 4, 5, 6, 7, 8 } },
		/* RFC 4309 section 4 behind RFC 3610's octet of flags, L - 1 */
		{ { 1, 3, { 0xa, 0xb, 0xc } }, 8,
		  { 3, 0xa, 0xb, 0xc, 1, 2, 3, 4, 5, 6, 7, 8 } },
		/* The IV of a block cipher is all of it */
		{ { 0, 0 }, 16, { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14,
				  15, 16 } },
		{ { 0, 0 }, 0, { 0 } },
	};
	u8 got[XE_NONCE_LEN];
	int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		memset(got, 0xa5, sizeof(got));
		xe_nonce(got, &cases[i].salt, iv, cases[i].len);
		KUNIT_EXPECT_EQ_MSG(test, memcmp(got, cases[i].nonce, 16), 0,
				    "case %d: %*ph", i, 16, got);
	}
}

/* RFC 4303 section 2.4: payload length mod 4, then the trailer */
static void trailer_end(struct kunit *test)
{
	static const struct {
		unsigned int len;
		u8 trailer[5];
	} cases[4] = {
		{ 4, { 1, 2, 2, 41 } },
		{ 3, { 1, 1, 41 } },
		{ 2, { 0, 41 } },
		{ 5, { 1, 2, 3, 3, 41 } },
	};
	unsigned int payload;
	u8 trailer[6];

	for (payload = 0; payload < 2000; payload++) {
		const u8 *expected = cases[payload % 4].trailer;
		unsigned int len = cases[payload % 4].len;

		KUNIT_ASSERT_EQ(test,
				xe_trailer_len(XFRM_EXT_TRAILER_END, payload,
					       4), len);
		trailer[len] = 0xaa;
		xe_trailer_build(XFRM_EXT_TRAILER_END, NULL, trailer, len, 41);
		KUNIT_EXPECT_EQ(test, memcmp(trailer, expected, len), 0);
		KUNIT_EXPECT_EQ(test, trailer[len], 0xaa);
	}
}

/* What is built is found again, whole blocks or words */
static void trailer_round(struct kunit *test, u32 trailer, unsigned int align,
			  unsigned int payload)
{
	unsigned int front = xe_trailer_front(trailer), i, all, behind;
	unsigned int fixed = trailer == XFRM_EXT_TRAILER_OMIT ? 0 :
			     trailer == XFRM_EXT_TRAILER_FRONT ? 4 : 2;
	struct xe_inside inside;
	u8 first[XE_TRAILER_LOOK] = {};
	u8 *at;

	behind = xe_trailer_len(trailer, payload, align);
	all = front + payload + behind;
	KUNIT_ASSERT_EQ(test, all % align, 0);
	/* The least that does */
	KUNIT_ASSERT_LT(test, all, payload + fixed + align);
	KUNIT_ASSERT_GE(test, all, payload + fixed);
	/* So that KASAN sees one octet more */
	at = kmalloc(all, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, at);
	memset(at, 0xa5, all);
	if (trailer == XFRM_EXT_TRAILER_OMIT) {
		/* A header, as far as it matters */
		at[0] = 0x45;
		at[2] = payload >> 8;
		at[3] = payload;
	}
	xe_trailer_build(trailer, at, at + front + payload, behind,
			 IPPROTO_IPIP);
	memcpy(first, at, min_t(unsigned int, all, sizeof(first)));
	KUNIT_EXPECT_EQ(test, xe_trailer_parse(trailer, first, at + all - 2,
					       all, &inside), 0);
	KUNIT_EXPECT_EQ(test, inside.next_header, IPPROTO_IPIP);
	KUNIT_EXPECT_EQ(test, inside.at, front);
	KUNIT_EXPECT_EQ(test, inside.len, payload);
	for (i = front + payload; i < all; i++) {
		u8 want = 0;

		if (trailer == XFRM_EXT_TRAILER_END)
			want = i == all - 1 ? IPPROTO_IPIP :
			       i == all - 2 ? behind - 2 :
					      i - payload + 1;
		if (at[i] != want)
			KUNIT_FAIL(test, "trailer %u payload %u octet %u: %u",
				   trailer, payload, i, at[i]);
	}
	kfree(at);
}

static void trailer_rounds(struct kunit *test)
{
	unsigned int payload;
	u32 trailer;

	for (trailer = 0; trailer <= XFRM_EXT_TRAILER_OMIT; trailer++)
		for (payload = 0; payload < 1700; payload++) {
			/* A header is there in any case */
			if (trailer == XFRM_EXT_TRAILER_OMIT && payload < 20)
				continue;
			trailer_round(test, trailer, 4, payload);
			trailer_round(test, trailer, 16, payload);
		}
}

/* Every info word that a peer can send, and every Pad Length at the end */
static void trailer_pads(struct kunit *test)
{
	static const unsigned int lens[] = { 4, 8, 16, 20, 252, 256, 260, 1400 };
	struct xe_inside inside;
	unsigned int len, pad;
	int l, nibble;
	bool ok;

	for (l = 0; l < ARRAY_SIZE(lens); l++)
		for (pad = 0; pad < 256; pad++) {
			const u8 last[2] = { pad, 59 };

			len = lens[l];
			ok = pad + 2 <= len;
			KUNIT_EXPECT_EQ(test,
					xe_trailer_parse(XFRM_EXT_TRAILER_END,
							 NULL, last, len,
							 &inside),
					ok ? 0 : XFRM_EXT_STAT_RX_TRAILER);
			if (ok)
				KUNIT_EXPECT_EQ(test, inside.len,
						len - 2 - pad);
			for (nibble = 0; nibble < 16; nibble++) {
				/* All that is reserved is set */
				const u8 first[XE_TRAILER_LOOK] = {
					nibble << 4 | 15, 255, 59, pad
				};

				ok = !nibble && pad + 4 <= len;
				KUNIT_EXPECT_EQ(test,
						xe_trailer_parse(XFRM_EXT_TRAILER_FRONT,
								 first, NULL,
								 len, &inside),
						ok ? 0 :
						XFRM_EXT_STAT_RX_TRAILER);
				if (!ok)
					continue;
				KUNIT_EXPECT_EQ(test, inside.next_header, 59);
				KUNIT_EXPECT_EQ(test, inside.at, 4);
				KUNIT_EXPECT_EQ(test, inside.len,
						len - 4 - pad);
			}
		}
}

/* Every length that an inner header can tell, for some that there are */
static void trailer_lengths(struct kunit *test)
{
	static const unsigned int lens[] = { 4, 20, 40, 44, 256, 296, 1400, 65532 };
	struct xe_inside inside;
	unsigned int told, inner;
	int l, version, got;
	bool ok;

	for (l = 0; l < ARRAY_SIZE(lens); l++)
		for (version = 0; version < 16; version++)
			for (told = 0; told < 65536; told++) {
				u8 first[XE_TRAILER_LOOK] = { version << 4 };

				/* The other family's field is to lead astray */
				first[version == 4 ? 2 : 4] = told >> 8;
				first[version == 4 ? 3 : 5] = told;
				first[version == 4 ? 4 : 2] = ~told >> 8;
				got = xe_trailer_parse(XFRM_EXT_TRAILER_OMIT,
						       first, NULL, lens[l],
						       &inside);
				if (version != 4 && version != 6) {
					if (got == XFRM_EXT_STAT_RX_NEXT_HEADER)
						continue;
					KUNIT_FAIL(test, "version %d", version);
					return;
				}
				inner = version == 4 ? told : told + 40;
				ok = inner <= lens[l] &&
				     inner + 255 >= lens[l];
				if (got == (ok ? 0 : XFRM_EXT_STAT_RX_TRAILER) &&
				    (!ok || (inside.len == inner && !inside.at &&
					     inside.next_header ==
					     (version == 4 ? 4 : 41))))
					continue;
				KUNIT_FAIL(test, "version %d told %u of %u: %d",
					   version, told, lens[l], got);
				return;
			}
}

static struct kunit_case formats_cases[] = {
	KUNIT_CASE(esp64_limits),
	KUNIT_CASE(esp_headers),
	KUNIT_CASE(frames),
	KUNIT_CASE(esn_examples),
	KUNIT_CASE(esn_appendix_a),
	KUNIT_CASE(nonces),
	KUNIT_CASE(trailer_end),
	KUNIT_CASE(trailer_rounds),
	KUNIT_CASE(trailer_pads),
	KUNIT_CASE(trailer_lengths),
	{}
};

struct kunit_suite formats_suite = {
	.name = "xfrm_ext_formats",
	.test_cases = formats_cases,
};
