// SPDX-License-Identifier: GPL-2.0-only
/*
 * The header of EESP (draft-ietf-ipsecme-eesp sections 2 and 3): base header,
 * options, Sequence Number. What of the draft is open, and what is done here:
 * Documentation/wire-formats.rst. Plain values in and out: KUnit and fuzzers need
 * no network.
 */
#include <linux/string.h>

#include "compat/compat.h"
#include "eesp.h"
#include "trailer.h"

/* As the draft has them; module parameters in listen.c */
struct xe_eesp_numbers xe_eesp_numbers __read_mostly = {
	.first		= XE_EESP_NOT_ESP,
	.pad1		= 0,
	.padn		= 1,
	.crypt_offset	= 2,
};

static void eesp_base(u8 *hdr, __be32 spi, u16 session, u8 options_len)
{
	hdr[0] = xe_eesp_numbers.first;
	hdr[1] = options_len;
	put_unaligned_be16(session, hdr + 2);
	put_unaligned(spi, (__be32 *)(hdr + 4));
}

static void eesp_build(u8 *hdr, __be32 spi, struct xe_seq seq)
{
	eesp_base(hdr, spi, seq.subspace, 0);
	put_unaligned_be64(seq.sn, hdr + XE_EESP_BASE_LEN);
}

/* So that with an IV of eight octets or none what follows is at a multiple of eight */
static void eesp_build_padded(u8 *hdr, __be32 spi, struct xe_seq seq)
{
	eesp_base(hdr, spi, seq.subspace, 4);
	hdr[8] = xe_eesp_numbers.padn;
	hdr[9] = 2;
	hdr[10] = 0;
	hdr[11] = 0;
	put_unaligned_be64(seq.sn, hdr + XE_EESP_BASE_LEN + 4);
}

/* What it says is for xe_eesp_crypt_build() */
static void eesp_build_crypt(u8 *hdr, __be32 spi, struct xe_seq seq)
{
	eesp_build_padded(hdr, spi, seq);
	hdr[8] = xe_eesp_numbers.crypt_offset;
}

static struct xe_seq eesp_parse(const u8 *hdr)
{
	const u8 *sn = hdr + XE_EESP_BASE_LEN + xe_eesp_options_len(hdr);

	return (struct xe_seq){
		.subspace = get_unaligned_be16(hdr + 2),
		.sn = get_unaligned_be64(sn),
	};
}

/* Without Sub SAs nobody has said what the Session ID means */
static struct xe_seq eesp_parse_one(const u8 *hdr)
{
	struct xe_seq seq = eesp_parse(hdr);

	seq.subspace = 0;
	return seq;
}

/* Each Sub SA has a key, and so the whole of the 64 bits */
static void eesp_frame(struct xe_frame *frame, const u8 *hdr,
		       struct xe_seq seq)
{
	struct xe_eesp_options o;

	frame->number = seq.sn;
	frame->crypt = false;
	frame->exposed = 0;
	if (!hdr)
		return;
	frame->hdr_len = XE_EESP_LEN + xe_eesp_options_len(hdr);
	if (likely(!xe_eesp_options_len(hdr)))
		return;
	/* Whoever has received it has been told if they are malformed */
	if (xe_eesp_options(hdr + XE_EESP_BASE_LEN, xe_eesp_options_len(hdr),
			    &o) && o.crypt) {
		frame->crypt = true;
		frame->exposed = o.exposed * 4;
	}
}

/* Windows, and so counters, end after 48 bits: a sender may stop as early as it likes */
#define XE_FORMAT_EESP(_build, _len, _parse) {				\
	.hdr_min	= XE_EESP_LEN,					\
	.hdr_len	= _len,						\
	.sn_max		= XE_SN_MAX,					\
	.build		= _build,					\
	.parse		= _parse,					\
	.frame		= eesp_frame,					\
}

enum { EESP_BARE, EESP_PADDED, EESP_CRYPT };

static const struct xe_format eesp_formats[][2] = {
	[EESP_BARE] = {
		XE_FORMAT_EESP(eesp_build, 16, eesp_parse_one),
		XE_FORMAT_EESP(eesp_build, 16, eesp_parse),
	},
	[EESP_PADDED] = {
		XE_FORMAT_EESP(eesp_build_padded, 20, eesp_parse_one),
		XE_FORMAT_EESP(eesp_build_padded, 20, eesp_parse),
	},
	[EESP_CRYPT] = {
		XE_FORMAT_EESP(eesp_build_crypt, 20, eesp_parse_one),
		XE_FORMAT_EESP(eesp_build_crypt, 20, eesp_parse),
	},
};

/**
 * xe_eesp_format - the header that an SA's packets are sent with
 * @sub_sas: it has Sub SAs
 * @crypt: with a Crypt Offset option, which has the length of what @padded asks for
 * @padded: what follows header, IV and Payload Info Header must be at a multiple
 *          of eight octets
 *
 * Any of them reads what another one has written, but for @sub_sas.
 *
 * Return: the format.
 */
const struct xe_format *xe_eesp_format(bool sub_sas, bool crypt, bool padded)
{
	return &eesp_formats[crypt ? EESP_CRYPT :
			     padded ? EESP_PADDED : EESP_BARE][sub_sas];
}

/**
 * xe_eesp_options - read the options of a header
 * @options: the first of them
 * @len: octets of all, 0 to 255
 * @o: what they come to
 *
 * Options that nobody here knows are skipped: the draft says nothing of them, and
 * the ICV covers them.
 *
 * Return: false if they are malformed.
 */
bool xe_eesp_options(const u8 *options, unsigned int len,
		     struct xe_eesp_options *o)
{
	unsigned int this;
	u16 word;

	*o = (struct xe_eesp_options){};
	for (; len; options += this, len -= this) {
		if (*options == xe_eesp_numbers.pad1) {
			this = 1;
			continue;
		}
		if (len < 2 || options[1] > len - 2)
			return false;
		this = 2 + options[1];
		if (*options != xe_eesp_numbers.crypt_offset)
			continue;
		if (options[1] != 2 || o->crypt)
			return false;
		word = get_unaligned_be16(options + 2);
		o->crypt = true;
		o->payload_at = word >> 10;
		o->exposed = word >> 4 & XE_EESP_WORDS_MAX;
	}
	return true;
}

/**
 * xe_eesp_crypt_build - fill in the Crypt Offset option of a header
 * @header: of a packet that is sent, as its format has built it
 * @payload_at: words from @header to the payload, XE_EESP_WORDS_MAX at most
 * @exposed: words from there on that are not encrypted, the same
 */
void xe_eesp_crypt_build(u8 *header, unsigned int payload_at,
			 unsigned int exposed)
{
	put_unaligned_be16(payload_at << 10 | exposed << 4,
			   header + XE_EESP_BASE_LEN + 2);
}
