// SPDX-License-Identifier: GPL-2.0-only
/*
 * Layouts on the wire: Documentation/wire-formats.rst.
 */
#include <linux/string.h>

#include "compat/compat.h"
#include "format.h"

static void esp64_build(u8 *hdr, __be32 spi, struct xe_seq seq)
{
	put_unaligned(spi, (__be32 *)hdr);
	put_unaligned_be64(xe_number(seq), hdr + 4);
}

static struct xe_seq esp64_parse(const u8 *hdr)
{
	u64 n = get_unaligned_be64(hdr + 4);

	return (struct xe_seq){ .subspace = n >> 48, .sn = n & XE_SN_MAX };
}

/* draft-ponchon-ipsecme-anti-replay-subspaces: all 64 bits on the wire */
const struct xe_format xe_format_esp64 = {
	.hdr_min	= 12,
	.hdr_len	= 12,
	.aad_len	= 12,
	.sn_max		= XE_SN_MAX,
	.build		= esp64_build,
	.parse		= esp64_parse,
	.aad		= esp64_build,
};

static void esp_build(u8 *hdr, __be32 spi, struct xe_seq seq)
{
	put_unaligned(spi, (__be32 *)hdr);
	put_unaligned_be32(seq.sn, hdr + 4);
}

static struct xe_seq esp_parse(const u8 *hdr)
{
	return (struct xe_seq){ .sn = get_unaligned_be32(hdr + 4) };
}

/* RFC 4303 */
const struct xe_format xe_format_esp = {
	.hdr_min	= 8,
	.hdr_len	= 8,
	.aad_len	= 8,
	.sn_max		= U32_MAX,
	.build		= esp_build,
	.parse		= esp_parse,
	.aad		= esp_build,
};

/*
 * RFC 4303 section 2.2.1: extended sequence numbers. Here they end after 48
 * bits, as a window's do: a sender may stop as early as it likes.
 */
const struct xe_format xe_format_esn = {
	.hdr_min	= 8,
	.hdr_len	= 8,
	.aad_len	= 12,
	.sn_max		= XE_SN_MAX,
	.high_half	= true,
	.build		= esp_build,
	.parse		= esp_parse,
	/* RFC 4106 section 5: SPI, then all 64 bits, as it happens */
	.aad		= esp64_build,
};

/**
 * xe_esn_number - the whole of an extended sequence number (RFC 4303 appendix A)
 * @top: highest number accepted, 0 before the first
 * @window: packets that the window spans
 * @sn: in: its lower 32 bits, as received; out: all of it
 *
 * The number nearest to the window that has these lower bits: in it, or right
 * of it. Whether it is the right one only the ICV can say.
 *
 * Return: true, or false if it would be left of number 0.
 */
bool xe_esn_number(u64 top, u32 window, u64 *sn)
{
	/* The left edge; below 0 while the window is not full */
	s64 left = (s64)top - window + 1;
	u64 whole = ((u64)left & ~(u64)U32_MAX) | *sn;

	if ((s64)whole < left)
		whole += 1ULL << 32;
	*sn = whole;
	return (s64)whole >= 0;
}

/**
 * xe_nonce - the nonce of a packet
 * @nonce: XE_NONCE_LEN octets, of which a cipher takes as many as it has
 * @salt: the SA's
 * @iv: as it stands in the packet, or would stand there if it were sent
 * @len: octets of it
 *
 * RFC 4106 section 4, RFC 4543 section 3.2, RFC 4309 section 4, RFC 7634
 * section 2: salt, then IV. CCM's is told first how long its counter is. A pair
 * of encryption and integrity has no salt, and the IV is all.
 */
void xe_nonce(u8 *nonce, const struct xe_salt *salt, const u8 *iv,
	      unsigned int len)
{
	memset(nonce, 0, XE_NONCE_LEN);
	/* Most ciphers' */
	if (likely(salt->len == 4 && !salt->at && len == 8)) {
		memcpy(nonce, salt->octets, 4);
		memcpy(nonce + 4, iv, 8);
		return;
	}
	/* Four octets of counter, less one: RFC 3610 section 2.3 */
	if (salt->at)
		nonce[0] = 3;
	memcpy(nonce + salt->at, salt->octets, salt->len);
	memcpy(nonce + salt->at + salt->len, iv, len);
}
