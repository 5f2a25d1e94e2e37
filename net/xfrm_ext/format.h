/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef XFRM_EXT_FORMAT_H
#define XFRM_EXT_FORMAT_H

#include <linux/types.h>

#include "window.h"

#define XE_HDR_MAX	20
#define XE_AAD_MAX	12
#define XE_IV_MAX	16
#define XE_NONCE_LEN	16

/**
 * struct xe_seq - what names a packet within its SA
 * @subspace: Subspace ID, 0 .. 65535; 0 in formats that have none
 * @sn: sequence number in that subspace
 */
struct xe_seq {
	u32 subspace;
	u64 sn;
};

/**
 * struct xe_frame - how one packet is laid out
 * @hdr_len: octets before the IV
 * @aad_len: octets that authenticate the header, XE_AAD_MAX at most
 * @trailer: enum xfrm_ext_trailer: where Pad Length and Next Header stand
 * @exposed: in eesp: octets of the plaintext that are sent as they are
 * @crypt: in eesp: it says so, if it has been received
 * @number: 64 bits that no two packets under one key share; IV and nonce are
 *          made of it
 */
struct xe_frame {
	unsigned int hdr_len;
	unsigned int aad_len;
	u32 trailer;
	u16 exposed;
	bool crypt;
	u64 number;
};

/**
 * struct xe_format - a layout on the wire
 * @hdr_min: octets that @parse and @frame may look at; in eesp, options besides
 * @hdr_len: octets before the IV, of a packet that is sent
 * @aad_len: octets that authenticate the header of such a packet, if @aad is there
 * @sn_max: the last sequence number that is sent or accepted, XE_SN_MAX at most
 * @high_half: only the lower 32 bits of a number are sent: see xe_esn_number()
 * @build: write the header; @hdr has hdr_len octets; @spi in network order
 * @parse: read what stands in a received header, not authenticated yet
 * @frame: if packets differ: correct what xe_format_frame() has taken from above. @hdr
 *         is the packet's header if it has been received, NULL if it is sent; @seq
 *         is the whole of its number
 * @aad: write what authenticates the header of a packet with that number, the
 *       whole number; @aad has xe_frame::aad_len octets. NULL: header, IV and
 *       what is exposed do that as they stand in the packet
 *
 * Plain values in and out: KUnit and fuzzers need no network.
 */
struct xe_format {
	unsigned int hdr_min;
	unsigned int hdr_len;
	unsigned int aad_len;
	u64 sn_max;
	bool high_half;
	void (*build)(u8 *hdr, __be32 spi, struct xe_seq seq);
	struct xe_seq (*parse)(const u8 *hdr);
	void (*frame)(struct xe_frame *frame, const u8 *hdr,
		      struct xe_seq seq);
	void (*aad)(u8 *aad, __be32 spi, struct xe_seq seq);
};

/**
 * struct xe_salt - the part of a nonce that is not on the wire
 * @at: where in the nonce it stands; before it, CCM's octet of flags
 * @len: octets
 * @octets: the last of the SA's key material
 */
struct xe_salt {
	u8 at;
	u8 len;
	u8 octets[4];
};

extern const struct xe_format xe_format_esp64;
extern const struct xe_format xe_format_esp;
extern const struct xe_format xe_format_esn;

/**
 * xe_number - N, the 64 bits that no two packets of an SA share
 * @seq: number of a packet
 *
 * IVs and nonces are made of it.
 */
static inline u64 xe_number(struct xe_seq seq)
{
	return (u64)seq.subspace << 48 | seq.sn;
}

/**
 * xe_format_frame - how a packet is laid out
 * @format: of its SA
 * @frame: to be filled in
 * @hdr: the header of a received packet, xe_format::hdr_min octets; NULL: it is sent
 * @trailer: enum xfrm_ext_trailer, of its SA
 * @seq: its number, the whole of it
 *
 * Context: any.
 */
static inline void xe_format_frame(const struct xe_format *format,
				   struct xe_frame *frame, const u8 *hdr,
				   u32 trailer, struct xe_seq seq)
{
	frame->hdr_len = format->hdr_len;
	frame->aad_len = format->aad_len;
	frame->trailer = trailer;
	frame->number = xe_number(seq);
	if (format->frame)
		format->frame(frame, hdr, seq);
}

/* format.c APIs: any context */
bool xe_esn_number(u64 top, u32 window, u64 *sn);
void xe_nonce(u8 *nonce, const struct xe_salt *salt, const u8 *iv,
	      unsigned int len);

#endif /* XFRM_EXT_FORMAT_H */
