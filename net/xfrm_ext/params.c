// SPDX-License-Identifier: GPL-2.0-only
/*
 * What an SA shall be, out of a request and into an answer.
 */
#include <linux/log2.h>
#include <net/genetlink.h>

#include "control.h"

const struct nla_policy xe_params_policy[XE_PARAMS_MAXATTR + 1] = {
	XE_PARAMS_POLICY,
	[XFRM_EXT_A_DADDR]		= { .type = NLA_BINARY, .len = 16 },
	[XFRM_EXT_A_SPI]		= { .type = NLA_U32 },
	[XFRM_EXT_A_TX_START]		= { .type = NLA_U64 },
};

static bool xe_params_eesp(const struct xe_params *p)
{
	return p->format == XFRM_EXT_FORMAT_EESP;
}

/* Take a number that is there and in range; leave *value if it is absent */
static int xe_parse_u32(struct genl_info *info, int attr, const char *name,
			u32 min, u32 max, u32 *value)
{
	if (!info->attrs[attr])
		return 0;
	*value = nla_get_u32(info->attrs[attr]);
	if (*value < min || *value > max)
		return xe_refuse_attr(info, attr, "%s %u: must be %u to %u",
				      name, *value, min, max);
	return 0;
}

static int xe_parse_u64(struct genl_info *info, int attr, const char *name,
			u64 min, u64 max, u64 *value)
{
	if (!info->attrs[attr])
		return 0;
	*value = nla_get_u64(info->attrs[attr]);
	if (*value < min || *value > max)
		return xe_refuse_attr(info, attr,
				      "%s %llu: must be %llu to %llu", name,
				      *value, min, max);
	return 0;
}

/**
 * xe_params_format - the layout that an SA has
 * @p: what it is; format and flags are looked at
 *
 * Return: the format; of eesp, where mode and key matter as well, one of its formats.
 */
const struct xe_format *xe_params_format(const struct xe_params *p)
{
	if (p->format == XFRM_EXT_FORMAT_ESP64)
		return &xe_format_esp64;
	if (p->format == XFRM_EXT_FORMAT_EESP)
		return xe_eesp_format(true, false, false);
	return p->flags & XFRM_EXT_SA_F_ESN ? &xe_format_esn : &xe_format_esp;
}

static u64 xe_number_of(const struct genl_info *info, int attr)
{
	const struct nlattr *nla = info->attrs[attr];

	return nla_len(nla) == 8 ? nla_get_u64(nla) : nla_get_u32(nla);
}

/* What says something of a direction that the SA does not have */
static int xe_parse_strays(struct genl_info *info, const struct xe_params *p)
{
	static const struct {
		int attr;
		const char *name;
		bool tx;
	} of[] = {
		{ XFRM_EXT_A_TX_BASE, "tx-base", true },
		{ XFRM_EXT_A_SELECT, "select", true },
		{ XFRM_EXT_A_TX_START, "tx-start", true },
		{ XFRM_EXT_A_TX_WARN, "tx-warn", true },
		{ XFRM_EXT_A_WINDOW, "window", false },
		{ XFRM_EXT_A_TX_CRYPT_OFFSET, "tx-crypt-offset", true },
		{ XFRM_EXT_A_RX_CRYPT_OFFSET, "rx-crypt-offset", false },
	};
	int i;

	if (!p->tx_subspaces && !p->rx_subspaces) {
		xe_extack(info->extack,
			  "neither tx-subspaces nor rx-subspaces given: the SA could do nothing");
		return -EINVAL;
	}
	for (i = 0; i < ARRAY_SIZE(of); i++) {
		if (!info->attrs[of[i].attr])
			continue;
		if (of[i].tx && !p->tx_subspaces)
			return xe_refuse_attr(info, of[i].attr,
					      "%s %llu without tx-subspaces: the SA would not send",
					      of[i].name,
					      xe_number_of(info, of[i].attr));
		if (!of[i].tx && !p->rx_subspaces)
			return xe_refuse_attr(info, of[i].attr,
					      "%s %llu without rx-subspaces: the SA would not receive",
					      of[i].name,
					      xe_number_of(info, of[i].attr));
	}
	return 0;
}

/* RFC 4303 has one counter, and no place for a Subspace ID */
static int xe_parse_one_counter(struct genl_info *info,
				const struct xe_params *p)
{
	static const struct {
		int attr;
		const char *name;
		u32 must;
	} of[] = {
		{ XFRM_EXT_A_TX_SUBSPACES, "tx-subspaces", 1 },
		{ XFRM_EXT_A_RX_SUBSPACES, "rx-subspaces", 1 },
		{ XFRM_EXT_A_TX_BASE, "tx-base", 0 },
		{ XFRM_EXT_A_SELECT, "select", XFRM_EXT_SELECT_CPU },
	};
	int i;

	if (p->format != XFRM_EXT_FORMAT_ESP)
		return 0;
	for (i = 0; i < ARRAY_SIZE(of); i++)
		if (info->attrs[of[i].attr] &&
		    nla_get_u32(info->attrs[of[i].attr]) != of[i].must)
			return xe_refuse_attr(info, of[i].attr,
					      "%s %u with format esp (%u), which has one counter: must be %u",
					      of[i].name,
					      nla_get_u32(info->attrs[of[i].attr]),
					      XFRM_EXT_FORMAT_ESP, of[i].must);
	return 0;
}

static int xe_parse_flags(struct genl_info *info, struct xe_params *p)
{
	if (!info->attrs[XFRM_EXT_A_FLAGS])
		return 0;
	p->flags = nla_get_u32(info->attrs[XFRM_EXT_A_FLAGS]);
	if (p->flags & ~XE_FLAGS)
		return xe_refuse_attr(info, XFRM_EXT_A_FLAGS,
				      "flags 0x%x: only 0x%x are known",
				      p->flags, XE_FLAGS);
	if (p->flags & XFRM_EXT_SA_F_SPREAD && p->format == XFRM_EXT_FORMAT_ESP)
		return xe_refuse_attr(info, XFRM_EXT_A_FLAGS,
				      "spread on with format esp (%u), which has one counter: must be esp64 (%u) or eesp (%u)",
				      XFRM_EXT_FORMAT_ESP,
				      XFRM_EXT_FORMAT_ESP64,
				      XFRM_EXT_FORMAT_EESP);
	/* Off, the draft has packets without numbers, for which both ends must be told */
	if (p->flags & XFRM_EXT_SA_F_NO_REPLAY_PROTECTION && xe_params_eesp(p))
		return xe_refuse_attr(info, XFRM_EXT_A_FLAGS,
				      "replay protection off with format eesp (%u): packets without numbers are not supported",
				      XFRM_EXT_FORMAT_EESP);
	if (p->flags & XFRM_EXT_SA_F_ECHO && p->trailer == XFRM_EXT_TRAILER_OMIT)
		return xe_refuse_attr(info, XFRM_EXT_A_FLAGS,
				      "echo on with trailer omit (%u), which has no Next Header: no request could be told from others",
				      XFRM_EXT_TRAILER_OMIT);
	/* Else whoever has recorded one could have it answered as often as he likes */
	if (p->flags & XFRM_EXT_SA_F_ECHO &&
	    p->flags & XFRM_EXT_SA_F_NO_REPLAY_PROTECTION)
		return xe_refuse_attr(info, XFRM_EXT_A_FLAGS,
				      "echo on with replay protection off: a request that is sent again would be answered again");
	if (!(p->flags & XFRM_EXT_SA_F_ESN))
		return 0;
	if (p->format != XFRM_EXT_FORMAT_ESP)
		return xe_refuse_attr(info, XFRM_EXT_A_FLAGS,
				      "esn on with format %u, which sends all of its numbers: must be esp (%u)",
				      p->format, XFRM_EXT_FORMAT_ESP);
	/* RFC 4303 section 3.4.3: the high half comes from the window */
	if (p->flags & XFRM_EXT_SA_F_NO_REPLAY_PROTECTION)
		return xe_refuse_attr(info, XFRM_EXT_A_FLAGS,
				      "esn on with replay protection off: there is no window to tell the high half from");
	return 0;
}

static int xe_parse_crypt_offset(struct genl_info *info, int attr,
				 const char *name, u32 *value)
{
	u32 octets = 0;
	int err;

	if (!info->attrs[attr])
		return 0;
	err = xe_parse_u32(info, attr, name, 0, XFRM_EXT_CRYPT_OFFSET_MAX,
			   &octets);
	if (err)
		return err;
	if (octets % 4)
		return xe_refuse_attr(info, attr,
				      "%s %u: must be a multiple of 4", name,
				      octets);
	*value = octets + 1;
	return 0;
}

/* What only eesp has, and what it leaves to the mode */
static int xe_parse_eesp(struct genl_info *info, struct xe_params *p)
{
	static const struct {
		int attr;
		const char *name;
	} of[] = {
		{ XFRM_EXT_A_SUB_KEY, "sub-key" },
		{ XFRM_EXT_A_TX_CRYPT_OFFSET, "tx-crypt-offset" },
		{ XFRM_EXT_A_RX_CRYPT_OFFSET, "rx-crypt-offset" },
	};
	int i, err;

	for (i = 0; i < ARRAY_SIZE(of) && !xe_params_eesp(p); i++)
		if (info->attrs[of[i].attr])
			return xe_refuse_attr(info, of[i].attr,
					      "%s %u with format %u, which has none: must be eesp (%u)",
					      of[i].name,
					      nla_get_u32(info->attrs[of[i].attr]),
					      p->format, XFRM_EXT_FORMAT_EESP);
	if (!xe_params_eesp(p))
		return 0;
	if (info->attrs[XFRM_EXT_A_TRAILER] &&
	    p->trailer == XFRM_EXT_TRAILER_END)
		return xe_refuse_attr(info, XFRM_EXT_A_TRAILER,
				      "trailer end (%u) with format eesp (%u), which has none at the end: must be absent, as its mode says where that stands",
				      XFRM_EXT_TRAILER_END,
				      XFRM_EXT_FORMAT_EESP);
	err = xe_parse_u32(info, XFRM_EXT_A_SUB_KEY, "sub-key", 128, 256,
			   &p->sub_key);
	if (!err)
		err = xe_parse_crypt_offset(info, XFRM_EXT_A_TX_CRYPT_OFFSET,
					    "tx-crypt-offset",
					    &p->tx_crypt_offset);
	if (!err)
		err = xe_parse_crypt_offset(info, XFRM_EXT_A_RX_CRYPT_OFFSET,
					    "rx-crypt-offset",
					    &p->rx_crypt_offset);
	return err;
}

/* Subspaces of a direction, no more than the format has */
static int xe_parse_subspaces(struct genl_info *info, int attr,
			      const char *name, const struct xe_params *p,
			      u32 *value)
{
	return xe_parse_u32(info, attr, name, 1,
			    xe_params_eesp(p) ? XFRM_EXT_SUB_SAS_MAX :
						XFRM_EXT_SUBSPACES_MAX, value);
}

static int xe_parse_dscp(struct genl_info *info, struct xe_select *s)
{
	const struct nlattr *attr = info->attrs[XFRM_EXT_A_SELECT_DSCP];
	int i;

	if (!attr) {
		xe_select_dscp_default(s);
		return 0;
	}
	if (nla_len(attr) != sizeof(s->dscp))
		return xe_refuse_attr(info, XFRM_EXT_A_SELECT_DSCP,
				      "select-dscp of %d octets: must have %zu, two for each code point",
				      nla_len(attr), sizeof(s->dscp));
	memcpy(s->dscp, nla_data(attr), sizeof(s->dscp));
	for (i = 0; i < XE_DSCPS; i++)
		if (s->dscp[i] >= s->classes)
			return xe_refuse_attr(info, XFRM_EXT_A_SELECT_DSCP,
					      "select-dscp: class %u of DSCP %d: tx-subspaces has room for classes 0 to %u",
					      s->dscp[i], i, s->classes - 1);
	return 0;
}

/* Attributes of another rule than the one chosen */
static int xe_parse_select_strays(struct genl_info *info,
				  const struct xe_select *s)
{
	static const struct {
		int attr;
		const char *name;
		u32 by;
	} of[] = {
		{ XFRM_EXT_A_SELECT_DSCP, "select-dscp", XFRM_EXT_SELECT_DSCP },
		{ XFRM_EXT_A_SELECT_MASK, "select-mask", XFRM_EXT_SELECT_MARK },
		{ XFRM_EXT_A_SELECT_SHIFT, "select-shift",
		  XFRM_EXT_SELECT_MARK },
	};
	int i;

	for (i = 0; i < ARRAY_SIZE(of); i++)
		if (info->attrs[of[i].attr] && s->by != of[i].by)
			return xe_refuse_attr(info, of[i].attr,
					      "%s belongs to select %u; this is %u",
					      of[i].name, of[i].by, s->by);
	if (info->attrs[XFRM_EXT_A_SELECT_CPUS] && s->by == XFRM_EXT_SELECT_CPU)
		return xe_refuse_attr(info, XFRM_EXT_A_SELECT_CPUS,
				      "select-cpus belongs to a rule with classes; select %u has none",
				      s->by);
	return 0;
}

static int xe_parse_select(struct genl_info *info, struct xe_params *p)
{
	struct xe_select *s = &p->select;
	int err;

	err = xe_parse_u32(info, XFRM_EXT_A_SELECT, "select", 0,
			   XFRM_EXT_SELECT_FLOW, &s->by);
	if (!err)
		err = xe_parse_select_strays(info, s);
	if (err || !p->tx_subspaces)
		return err;

	s->cpus = s->by == XFRM_EXT_SELECT_CPU ? p->tx_subspaces : 1;
	err = xe_parse_u32(info, XFRM_EXT_A_SELECT_CPUS, "select-cpus", 1,
			   p->tx_subspaces, &s->cpus);
	if (err)
		return err;
	if (p->tx_subspaces % s->cpus)
		return xe_refuse_attr(info, XFRM_EXT_A_SELECT_CPUS,
				      "select-cpus %u: tx-subspaces %u is no multiple of it",
				      s->cpus, p->tx_subspaces);
	s->classes = p->tx_subspaces / s->cpus;

	if (s->by == XFRM_EXT_SELECT_DSCP)
		return xe_parse_dscp(info, s);
	if (s->by == XFRM_EXT_SELECT_MARK) {
		s->mask = U32_MAX;
		err = xe_parse_u32(info, XFRM_EXT_A_SELECT_MASK, "select-mask",
				   1, U32_MAX, &s->mask);
		if (!err)
			err = xe_parse_u32(info, XFRM_EXT_A_SELECT_SHIFT,
					   "select-shift", 0, 31, &s->shift);
		if (!err && !(s->mask >> s->shift))
			return xe_refuse_attr(info, XFRM_EXT_A_SELECT_SHIFT,
					      "select-shift %u: leaves nothing of select-mask 0x%x",
					      s->shift, s->mask);
	}
	return err;
}

static int xe_parse_window(struct genl_info *info, struct xe_params *p)
{
	const struct nlattr *attr = info->attrs[XFRM_EXT_A_WINDOW];

	if (p->flags & XFRM_EXT_SA_F_ECHO && !p->rx_subspaces)
		return xe_refuse_attr(info, XFRM_EXT_A_FLAGS,
				      "echo on without rx-subspaces: the SA would not receive");
	if (p->flags & XFRM_EXT_SA_F_NO_REPLAY_PROTECTION) {
		if (!p->rx_subspaces)
			return xe_refuse_attr(info, XFRM_EXT_A_FLAGS,
					      "replay protection off without rx-subspaces: the SA would not receive");
		if (attr)
			return xe_refuse_attr(info, XFRM_EXT_A_WINDOW,
					      "window %u with replay protection off: there is none",
					      nla_get_u32(attr));
		return 0;
	}
	if (!attr)
		return 0;
	p->window = nla_get_u32(attr);
	if (!is_power_of_2(p->window) || p->window < XFRM_EXT_WINDOW_MIN ||
	    p->window > XFRM_EXT_WINDOW_MAX)
		return xe_refuse_attr(info, XFRM_EXT_A_WINDOW,
				      "window %u: must be a power of two, %u to %u",
				      p->window, XFRM_EXT_WINDOW_MIN,
				      XFRM_EXT_WINDOW_MAX);
	return 0;
}

/* Better no SA than one that runs out of memory half-way */
static int xe_parse_memory(struct genl_info *info, struct xe_params *p)
{
	u64 need = xe_subspaces_memory(p);
	int err;

	err = xe_parse_u64(info, XFRM_EXT_A_MEMORY_MAX, "memory-max", 1,
			   U64_MAX, &p->memory_max);
	if (err || need <= p->memory_max)
		return err;
	xe_extack(info->extack,
		  "%u transmit and %u receive subspaces with window %u may take %llu octets; memory-max is %llu",
		  p->tx_subspaces, p->rx_subspaces, p->window, need,
		  p->memory_max);
	return -EINVAL;
}

/**
 * xe_params_parse - what does a request say that an SA shall be?
 * @info: request; XE_PARAMS_POLICY has been applied
 * @p: result
 * @both: it is of a rule, for both directions: with format esp there is one subspace
 *        each way without saying so
 *
 * Return: 0, or -EINVAL with the reason in the request's extack.
 */
int xe_params_parse(struct genl_info *info, struct xe_params *p, bool both)
{
	u64 sn_max;
	int err;

	*p = (struct xe_params){
		.window		= XFRM_EXT_WINDOW_DEFAULT,
		.tx_start	= 1,
		.memory_max	= XFRM_EXT_MEMORY_MAX_DEFAULT,
	};
	err = xe_parse_u32(info, XFRM_EXT_A_FORMAT, "format", 0,
			   XFRM_EXT_FORMAT_EESP, &p->format);
	if (!err)
		err = xe_parse_u32(info, XFRM_EXT_A_TRAILER, "trailer", 0,
				   XFRM_EXT_TRAILER_OMIT, &p->trailer);
	if (!err)
		err = xe_parse_u32(info, XFRM_EXT_A_IV, "iv", 0,
				   XFRM_EXT_IV_IMPLICIT, &p->iv);
	if (!err)
		err = xe_parse_flags(info, p);
	if (!err)
		err = xe_parse_eesp(info, p);
	if (!err)
		err = xe_parse_one_counter(info, p);
	if (both && p->format == XFRM_EXT_FORMAT_ESP) {
		p->tx_subspaces = 1;
		p->rx_subspaces = 1;
	}
	if (!err)
		err = xe_parse_subspaces(info, XFRM_EXT_A_TX_SUBSPACES,
					 "tx-subspaces", p, &p->tx_subspaces);
	if (!err)
		err = xe_parse_subspaces(info, XFRM_EXT_A_RX_SUBSPACES,
					 "rx-subspaces", p, &p->rx_subspaces);
	if (!err)
		err = xe_parse_strays(info, p);
	if (!err)
		err = xe_parse_u32(info, XFRM_EXT_A_TX_BASE, "tx-base", 0,
				   XFRM_EXT_SUBSPACES_MAX - p->tx_subspaces,
				   &p->tx_base);
	if (!err)
		err = xe_parse_select(info, p);
	if (err)
		return err;
	sn_max = xe_params_format(p)->sn_max;
	/* As far from the end as it is by default in esp64: a sixteenth */
	p->tx_warn = sn_max - sn_max / 16;
	err = xe_parse_u64(info, XFRM_EXT_A_TX_START, "tx-start", 1, sn_max,
			   &p->tx_start);
	if (!err)
		err = xe_parse_u64(info, XFRM_EXT_A_TX_WARN, "tx-warn", 1,
				   sn_max, &p->tx_warn);
	if (!err)
		err = xe_parse_window(info, p);
	if (!err)
		err = xe_parse_memory(info, p);
	return err;
}

static int xe_put_tx_params(struct sk_buff *skb, const struct xe_params *p)
{
	const struct xe_select *s = &p->select;

	if (nla_put_u32(skb, XFRM_EXT_A_TX_SUBSPACES, p->tx_subspaces) ||
	    nla_put_u32(skb, XFRM_EXT_A_TX_BASE, p->tx_base) ||
	    nla_put_u32(skb, XFRM_EXT_A_SELECT, s->by) ||
	    nla_put_u64_64bit(skb, XFRM_EXT_A_TX_START, p->tx_start,
			      XFRM_EXT_A_PAD) ||
	    nla_put_u64_64bit(skb, XFRM_EXT_A_TX_WARN, p->tx_warn,
			      XFRM_EXT_A_PAD))
		return -EMSGSIZE;
	if (s->by != XFRM_EXT_SELECT_CPU &&
	    nla_put_u32(skb, XFRM_EXT_A_SELECT_CPUS, s->cpus))
		return -EMSGSIZE;
	if (s->by == XFRM_EXT_SELECT_DSCP &&
	    nla_put(skb, XFRM_EXT_A_SELECT_DSCP, sizeof(s->dscp), s->dscp))
		return -EMSGSIZE;
	if (s->by == XFRM_EXT_SELECT_MARK &&
	    (nla_put_u32(skb, XFRM_EXT_A_SELECT_MASK, s->mask) ||
	     nla_put_u32(skb, XFRM_EXT_A_SELECT_SHIFT, s->shift)))
		return -EMSGSIZE;
	return 0;
}

/* Of what a rule says of eesp there is no more until an SA has a mode and a key */
static int xe_put_eesp_params(struct sk_buff *skb, const struct xe_params *p)
{
	if (p->trailer != XFRM_EXT_TRAILER_END &&
	    nla_put_u32(skb, XFRM_EXT_A_TRAILER, p->trailer))
		return -EMSGSIZE;
	if (p->sub_key && nla_put_u32(skb, XFRM_EXT_A_SUB_KEY, p->sub_key))
		return -EMSGSIZE;
	if (p->tx_crypt_offset &&
	    nla_put_u32(skb, XFRM_EXT_A_TX_CRYPT_OFFSET,
			p->tx_crypt_offset - 1))
		return -EMSGSIZE;
	if (p->rx_crypt_offset &&
	    nla_put_u32(skb, XFRM_EXT_A_RX_CRYPT_OFFSET,
			p->rx_crypt_offset - 1))
		return -EMSGSIZE;
	return 0;
}

/**
 * xe_params_put - say what an SA is
 * @skb: answer
 * @p: what it is
 *
 * Return: 0 or -EMSGSIZE.
 */
int xe_params_put(struct sk_buff *skb, const struct xe_params *p)
{
	if (nla_put_u32(skb, XFRM_EXT_A_FORMAT, p->format) ||
	    (xe_params_eesp(p) ? xe_put_eesp_params(skb, p) :
	     nla_put_u32(skb, XFRM_EXT_A_TRAILER, p->trailer)) ||
	    nla_put_u32(skb, XFRM_EXT_A_IV, p->iv) ||
	    nla_put_u64_64bit(skb, XFRM_EXT_A_MEMORY_MAX, p->memory_max,
			      XFRM_EXT_A_PAD) ||
	    nla_put_u32(skb, XFRM_EXT_A_FLAGS, p->flags))
		return -EMSGSIZE;
	if (p->tx_subspaces && xe_put_tx_params(skb, p))
		return -EMSGSIZE;
	if (p->rx_subspaces &&
	    nla_put_u32(skb, XFRM_EXT_A_RX_SUBSPACES, p->rx_subspaces))
		return -EMSGSIZE;
	if (p->rx_subspaces &&
	    !(p->flags & XFRM_EXT_SA_F_NO_REPLAY_PROTECTION) &&
	    nla_put_u32(skb, XFRM_EXT_A_WINDOW, p->window))
		return -EMSGSIZE;
	return 0;
}
