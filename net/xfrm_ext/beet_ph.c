// SPDX-License-Identifier: GPL-2.0-only
/*
 * The pseudo header of BEET (draft-nikander-esp-beet-mode-09 section 5.7,
 * fragments draft-antony-ipsecme-beet-mode-00 section 9), which carries what
 * an inner IPv4 header has and an outer one must not: options, and where a
 * fragment belongs. Documentation/wire-formats.rst.
 *
 * Plain octets in and out, as in format.c.
 */
#include <linux/string.h>
#include <net/ip.h>

#include "beet_ph.h"

#define PH_LEN		4
#define FRAG_LEN	2

/* The upper two bits of a fragment's fourth octet */
enum {
	PH_OPTIONS,
	PH_FRAGMENT,
	PH_FRAGMENT_OPTIONS,
	PH_UNKNOWN,
};

static unsigned int ph_fixed(const struct xe_beet_ph *ph)
{
	return PH_LEN + (ph->fragment ? FRAG_LEN : 0);
}

/* Octets of padding: all of it is a multiple of eight */
static unsigned int ph_padding(const struct xe_beet_ph *ph)
{
	return -(ph_fixed(ph) + ph->options) & 7;
}

/**
 * xe_beet_ph_len - how long is a pseudo header?
 * @ph: what it shall say
 *
 * Return: octets, with padding and options; 0 if there is nothing to be said
 *         and no pseudo header to be sent.
 */
unsigned int xe_beet_ph_len(const struct xe_beet_ph *ph)
{
	if (!ph->fragment && !ph->options)
		return 0;
	return ph_fixed(ph) + ph_padding(ph) + ph->options;
}

/**
 * xe_beet_ph_build - write a pseudo header
 * @at: where it begins; the options, its last octets, are there already
 * @ph: what it shall say; xe_beet_ph_len() is not 0
 */
void xe_beet_ph_build(u8 *at, const struct xe_beet_ph *ph)
{
	unsigned int padding = ph_padding(ph);

	at[0] = ph->next_header;
	at[1] = xe_beet_ph_len(ph) / 8 - 1;
	at[2] = padding;
	if (ph->fragment) {
		at[3] = (ph->options ? PH_FRAGMENT_OPTIONS : PH_FRAGMENT) << 6;
		memcpy(at + PH_LEN, &ph->frag_off, FRAG_LEN);
		memset(at + PH_LEN + FRAG_LEN, 0, padding);
	} else {
		at[3] = PH_OPTIONS << 6;
		memset(at + PH_LEN, IPOPT_NOOP, padding);
	}
}

/**
 * xe_beet_options_ok - are these IPv4 options (RFC 791 section 3.1)?
 * @options: octets behind the IPv4 header's first 20
 * @len: how many
 *
 * Return: whether one follows another up to the end or an end-of-list.
 */
bool xe_beet_options_ok(const u8 *options, unsigned int len)
{
	unsigned int at = 0;

	while (at < len && options[at] != IPOPT_END) {
		if (options[at] == IPOPT_NOOP) {
			at++;
			continue;
		}
		if (len - at < 2 || options[at + 1] < 2 ||
		    options[at + 1] > len - at)
			return false;
		at += options[at + 1];
	}
	return true;
}

/* Of a header of that kind, all of which may be read: is it well-formed? */
static bool ph_read(const u8 *at, unsigned int total, unsigned int kind,
		    struct xe_beet_ph *ph)
{
	unsigned int padding = at[2];
	unsigned int fixed;

	*ph = (struct xe_beet_ph) {
		.next_header	= at[0],
		.fragment	= kind != PH_OPTIONS,
	};
	fixed = ph_fixed(ph);
	if (kind == PH_UNKNOWN || fixed + padding > total)
		return false;
	ph->options = total - fixed - padding;
	/* Neither more padding than need be, nor options of half a word */
	if (padding != ph_padding(ph) || ph->options % 4 ||
	    ph->options > MAX_IPOPTLEN)
		return false;
	if (ph->options ? kind == PH_FRAGMENT : kind != PH_FRAGMENT)
		return false;
	if (ph->fragment) {
		memcpy(&ph->frag_off, at + PH_LEN, FRAG_LEN);
		if (!(ph->frag_off & htons(IP_MF | IP_OFFSET)))
			return false;
	}
	/* A sender has none of these: it would be taken for one of its own */
	if (ph->next_header == IPPROTO_BEETPH)
		return false;
	return xe_beet_options_ok(at + total - ph->options, ph->options);
}

/**
 * xe_beet_ph_parse - read and check a pseudo header
 * @at: where it begins; authenticated
 * @len: octets that may be read: all there are, or XE_BEET_PH_MAX
 * @fragments: whether fragments are taken
 * @ph: result, only with XE_BEET_OK; its xe_beet_ph_len() is within @len, and
 *      the options are the last of that
 *
 * Pad Len tells options from fragments. In front of options the fourth octet
 * means nothing, whether fragments are taken or not: it is reserved in the
 * older texts, and the kernel's own BEET leaves there what it finds.
 *
 * Return: the verdict.
 */
enum xe_beet_verdict xe_beet_ph_parse(const u8 *at, unsigned int len,
				      bool fragments, struct xe_beet_ph *ph)
{
	unsigned int total, kind;
	struct xe_beet_ph got;

	if (len < 8)
		return XE_BEET_MALFORMED;
	total = (at[1] + 1) * 8;
	if (total > len || total > XE_BEET_PH_MAX)
		return XE_BEET_MALFORMED;
	/* Options are whole words: 0 or 4; with a fragment word 2 or 6 */
	kind = at[2] % 4 ? at[3] >> 6 : PH_OPTIONS;
	if (!ph_read(at, total, kind, &got))
		return XE_BEET_MALFORMED;
	if (got.fragment && !fragments)
		return XE_BEET_FRAGMENT;
	*ph = got;
	return XE_BEET_OK;
}
