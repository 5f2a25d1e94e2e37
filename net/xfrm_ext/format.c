// SPDX-License-Identifier: GPL-2.0-only
/*
 * Layouts on the wire: Documentation/wire-formats.rst.
 */
#include <linux/align.h>
#include <linux/string.h>

#include "compat/compat.h"
#include "format.h"

static u64 esp64_number(struct xe_seq seq)
{
	return (u64)seq.subspace << 48 | seq.sn;
}

static void esp64_build(u8 *hdr, __be32 spi, struct xe_seq seq)
{
	put_unaligned(spi, (__be32 *)hdr);
	put_unaligned_be64(esp64_number(seq), hdr + 4);
}

static struct xe_seq esp64_parse(const u8 *hdr)
{
	u64 n = get_unaligned_be64(hdr + 4);

	return (struct xe_seq){ .subspace = n >> 48, .sn = n & XE_SN_MAX };
}

static void esp64_iv(u8 *iv, struct xe_seq seq)
{
	put_unaligned_be64(esp64_number(seq), iv);
}

/* draft-ponchon-ipsecme-anti-replay-subspaces: all 64 bits on the wire */
const struct xe_format xe_format_esp64 = {
	.hdr_len	= 12,
	.build		= esp64_build,
	.parse		= esp64_parse,
	.iv		= esp64_iv,
};

/**
 * xe_nonce - the nonce of AES-GCM in ESP (RFC 4106 section 4)
 * @nonce: XE_NONCE_LEN octets
 * @salt: the last XE_SALT_LEN octets of the SA's key material
 * @iv: XE_IV_LEN octets, as on the wire
 */
void xe_nonce(u8 *nonce, const u8 *salt, const u8 *iv)
{
	memcpy(nonce, salt, XE_SALT_LEN);
	memcpy(nonce + XE_SALT_LEN, iv, XE_IV_LEN);
}

/**
 * xe_trailer_len - length of the ESP trailer (RFC 4303 section 2.4)
 * @payload_len: octets to be protected
 *
 * Return: octets of padding, Pad Length and Next Header that follow a payload
 *         so that it ends on a multiple of four: 2 .. 5.
 */
unsigned int xe_trailer_len(unsigned int payload_len)
{
	return ALIGN(payload_len + 2, 4) - payload_len;
}

/**
 * xe_trailer_build - write the ESP trailer
 * @trailer: @len octets
 * @len: from xe_trailer_len(), at least 2
 * @next_header: protocol of the payload
 */
void xe_trailer_build(u8 *trailer, unsigned int len, u8 next_header)
{
	unsigned int i;

	for (i = 0; i < len - 2; i++)
		trailer[i] = i + 1;
	trailer[len - 2] = len - 2;
	trailer[len - 1] = next_header;
}
