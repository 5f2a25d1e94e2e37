// SPDX-License-Identifier: GPL-2.0-only
/*
 * Requests of the generic netlink family. What each command and attribute means:
 * Documentation/netlink/specs/xfrm_ext.yaml and the uapi header.
 */
#include <net/genetlink.h>

#include "control.h"

/* For requests that take none: strict validation then refuses any */
static const struct nla_policy xe_policy_none[] = {
	[XFRM_EXT_A_PAD]	= { .type = NLA_REJECT },
};

/* What the counters of a subspace shall be */
static const struct nla_policy xe_policy_subspace[] = {
	[XFRM_EXT_SUBSPACE_ID]		= { .type = NLA_U32 },
	[XFRM_EXT_SUBSPACE_HIGHEST]	= { .type = NLA_U64 },
};

static const struct nla_policy xe_policy_set[] = {
	[XFRM_EXT_A_FAMILY]	= { .type = NLA_U16 },
	[XFRM_EXT_A_DADDR]	= { .type = NLA_BINARY, .len = 16 },
	[XFRM_EXT_A_SPI]	= { .type = NLA_U32 },
	[XFRM_EXT_A_MARK]	= { .type = NLA_U32 },
	[XFRM_EXT_A_MARK_MASK]	= { .type = NLA_U32 },
	[XFRM_EXT_A_TX_SUBSPACE] = NLA_POLICY_NESTED(xe_policy_subspace),
	[XFRM_EXT_A_RX_SUBSPACE] = NLA_POLICY_NESTED(xe_policy_subspace),
	[XFRM_EXT_A_GAP]	= { .type = NLA_U64 },
	[XFRM_EXT_A_RELEASE]	= { .type = NLA_FLAG },
};

static const struct nla_policy xe_policy_id[] = {
	[XFRM_EXT_A_FAMILY]	= { .type = NLA_U16 },
	[XFRM_EXT_A_DADDR]	= { .type = NLA_BINARY, .len = 16 },
	[XFRM_EXT_A_SPI]	= { .type = NLA_U32 },
	[XFRM_EXT_A_MARK]	= { .type = NLA_U32 },
	[XFRM_EXT_A_MARK_MASK]	= { .type = NLA_U32 },
};

static const struct nla_policy xe_policy_pref[] = {
	[XFRM_EXT_A_RULE_PREF]	= { .type = NLA_U32 },
};

static const struct nla_policy xe_policy_dummy[] = {
	[XFRM_EXT_A_FAMILY]	= { .type = NLA_U16 },
	[XFRM_EXT_A_DADDR]	= { .type = NLA_BINARY, .len = 16 },
	[XFRM_EXT_A_SPI]	= { .type = NLA_U32 },
	[XFRM_EXT_A_MARK]	= { .type = NLA_U32 },
	[XFRM_EXT_A_MARK_MASK]	= { .type = NLA_U32 },
	[XFRM_EXT_A_DUMMY_LEN]	= { .type = NLA_U32 },
	[XFRM_EXT_A_DUMMY_SUBSPACE] = { .type = NLA_U32 },
};

static const struct nla_policy xe_policy_echo[] = {
	[XFRM_EXT_A_FAMILY]	= { .type = NLA_U16 },
	[XFRM_EXT_A_DADDR]	= { .type = NLA_BINARY, .len = 16 },
	[XFRM_EXT_A_SPI]	= { .type = NLA_U32 },
	[XFRM_EXT_A_MARK]	= { .type = NLA_U32 },
	[XFRM_EXT_A_MARK_MASK]	= { .type = NLA_U32 },
	[XFRM_EXT_A_ECHO_ID]	= { .type = NLA_U16 },
	[XFRM_EXT_A_ECHO_SEQ]	= { .type = NLA_U16 },
	[XFRM_EXT_A_ECHO_REPLY_SPI] = { .type = NLA_U32 },
	[XFRM_EXT_A_ECHO_SUBSPACE] = { .type = NLA_U32 },
	[XFRM_EXT_A_ECHO_LEN]	= { .type = NLA_U32 },
	[XFRM_EXT_A_ECHO_DATA]	= { .type = NLA_BINARY,
				    .len = XFRM_EXT_ECHO_DATA_MAX },
};

static int xe_parse_id(struct genl_info *info, struct xe_id *id)
{
	struct nlattr **attrs = info->attrs;
	int len;

	memset(id, 0, sizeof(*id));
	if (!attrs[XFRM_EXT_A_FAMILY] || !attrs[XFRM_EXT_A_DADDR] ||
	    !attrs[XFRM_EXT_A_SPI]) {
		xe_extack(info->extack,
			  "family, daddr and spi are all needed; %s is missing",
			  !attrs[XFRM_EXT_A_FAMILY] ? "family" :
			  !attrs[XFRM_EXT_A_DADDR] ? "daddr" : "spi");
		return -EINVAL;
	}
	id->family = nla_get_u16(attrs[XFRM_EXT_A_FAMILY]);
	if (id->family != AF_INET && id->family != AF_INET6)
		return xe_refuse_attr(info, XFRM_EXT_A_FAMILY,
				      "family %u: must be %u (IPv4) or %u (IPv6)",
				      id->family, AF_INET, AF_INET6);
	len = id->family == AF_INET ? 4 : 16;
	if (nla_len(attrs[XFRM_EXT_A_DADDR]) != len)
		return xe_refuse_attr(info, XFRM_EXT_A_DADDR,
				      "daddr of %d octets: must have %d",
				      nla_len(attrs[XFRM_EXT_A_DADDR]), len);
	memcpy(&id->daddr, nla_data(attrs[XFRM_EXT_A_DADDR]), len);
	id->spi = nla_get_be32(attrs[XFRM_EXT_A_SPI]);
	if (!id->spi)
		return xe_refuse_attr(info, XFRM_EXT_A_SPI,
				      "spi 0: must be 1 or more");
	if (attrs[XFRM_EXT_A_MARK])
		id->mark.v = nla_get_u32(attrs[XFRM_EXT_A_MARK]);
	if (attrs[XFRM_EXT_A_MARK_MASK])
		id->mark.m = nla_get_u32(attrs[XFRM_EXT_A_MARK_MASK]);
	id->mark = xe_mark(&id->mark);
	return 0;
}

static int xe_nl_announce(struct sk_buff *skb, struct genl_info *info)
{
	struct xe_params params;
	struct xe_id id;
	int err;

	err = xe_parse_id(info, &id);
	if (!err)
		err = xe_params_parse(info, &params, false);
	if (err)
		return err;
	if (!xe_gate_family(id.family)) {
		xe_extack(info->extack, "this kernel has no ESP for family %u",
			  id.family);
		return -EAFNOSUPPORT;
	}
	return xe_announce(xe_net(genl_info_net(info)), &id, &params,
			   info->extack);
}

static int xe_nl_withdraw(struct sk_buff *skb, struct genl_info *info)
{
	struct xe_id id;
	int err;

	err = xe_parse_id(info, &id);
	if (err)
		return err;
	return xe_announce_withdraw(xe_net(genl_info_net(info)), &id,
				    info->extack);
}

static int xe_put_state(struct sk_buff *skb, const struct xe_sa *sa)
{
	/* Pairs with the release in xe_sa_publish(): the reason is set */
	u32 state = smp_load_acquire(&sa->state);
	u32 out_of_range = READ_ONCE(sa->out_of_range);
	u32 fragment_max = READ_ONCE(sa->fragment_max);
	u64 sum[XFRM_EXT_STAT_MAX + 1] = {};

	xe_stats_add_up(sa, sum);
	if (nla_put_u32(skb, XFRM_EXT_A_STATE, state) ||
	    (sa->reason && nla_put_string(skb, XFRM_EXT_A_REASON, sa->reason)) ||
	    xe_message_put_stats(skb, sum) ||
	    nla_put_u64_64bit(skb, XFRM_EXT_A_MEMORY,
			      atomic64_read(&sa->numbers->memory) +
			      xe_subspaces_subs(&sa->params),
			      XFRM_EXT_A_PAD) ||
	    (out_of_range &&
	     nla_put_u32(skb, XFRM_EXT_A_OUT_OF_RANGE, out_of_range - 1)) ||
	    (fragment_max &&
	     (nla_put_u64_64bit(skb, XFRM_EXT_A_REASSEMBLED,
				xe_stats_reassembled(sa), XFRM_EXT_A_PAD) ||
	      nla_put_u32(skb, XFRM_EXT_A_FRAGMENT_MAX, fragment_max))) ||
	    (sa->rule && nla_put_u32(skb, XFRM_EXT_A_RULE_PREF, sa->rule)))
		return -EMSGSIZE;
	return 0;
}

/*
 * As many subspaces as fit, from *next on (transmit first). Return 0 when all
 * are out.
 */
static int xe_put_subspaces(struct sk_buff *skb, const struct xe_sa *sa,
			    unsigned long *next)
{
	u32 n_tx = sa->params.tx_subspaces;

	for (; *next < n_tx; ++*next)
		if (xe_message_put_tx(skb, sa, *next))
			return -EMSGSIZE;
	for (; *next < n_tx + sa->params.rx_subspaces; ++*next)
		if (xe_message_put_rx(skb, sa, *next - n_tx))
			return -EMSGSIZE;
	return 0;
}

static int xe_nl_get(struct sk_buff *skb, struct genl_info *info)
{
	struct xe_net *xn = xe_net(genl_info_net(info));
	struct sk_buff *msg;
	struct xe_sa *sa;
	struct xe_id id;
	int err;
	void *hdr;

	err = xe_parse_id(info, &id);
	if (err)
		return err;
	msg = genlmsg_new(GENLMSG_DEFAULT_SIZE, GFP_KERNEL);
	if (!msg)
		return -ENOMEM;

	mutex_lock(&xn->lock);
	sa = xe_sa_find(xn, &id);
	if (!sa) {
		xe_extack(info->extack,
			  "no extended SA with this daddr, spi and mark");
		err = -ENOENT;
		goto err_unlock;
	}
	xe_life_visit(sa);
	err = -EMSGSIZE;
	hdr = genlmsg_put_reply(msg, info, &xe_family, 0, XFRM_EXT_CMD_GET);
	if (!hdr || xe_message_put_id(msg, &sa->id) ||
	    xe_params_put(msg, &sa->params) || xe_put_state(msg, sa))
		goto err_unlock;
	mutex_unlock(&xn->lock);
	genlmsg_end(msg, hdr);
	return genlmsg_reply(msg, info);

err_unlock:
	mutex_unlock(&xn->lock);
	nlmsg_free(msg);
	return err;
}

/*
 * cb->args: serial of the SA to go on with; 0, or one more than its next
 * subspace if its head is out
 */
static int xe_nl_dump(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct xe_net *xn = xe_net(sock_net(skb->sk));
	struct xe_sa *sa;
	unsigned long next;
	int err = 0;
	void *hdr;

	/* Better no answer than one that ignores the question */
	if (nlmsg_attrlen(cb->nlh, GENL_HDRLEN)) {
		xe_extack(cb->extack,
			  "a dump is of all SAs: it takes no attributes");
		return -EINVAL;
	}

	mutex_lock(&xn->lock);
	list_for_each_entry(sa, &xn->sas, list) {
		if (sa->serial < cb->args[0] ||
		    READ_ONCE(sa->x->km.state) == XFRM_STATE_DEAD)
			continue;
		if (sa->serial > cb->args[0]) {
			cb->args[0] = sa->serial;
			cb->args[1] = 0;
		}
		if (!cb->args[1])
			xe_life_visit(sa);

		hdr = genlmsg_put(skb, NETLINK_CB(cb->skb).portid,
				  cb->nlh->nlmsg_seq, &xe_family, NLM_F_MULTI,
				  XFRM_EXT_CMD_GET);
		if (!hdr || xe_message_put_id(skb, &sa->id) ||
		    (!cb->args[1] && (xe_params_put(skb, &sa->params) ||
				      xe_put_state(skb, sa)))) {
			if (hdr)
				genlmsg_cancel(skb, hdr);
			err = -EMSGSIZE;
			break;
		}
		next = cb->args[1] ? cb->args[1] - 1 : 0;
		err = xe_put_subspaces(skb, sa, &next);
		cb->args[1] = next + 1;
		genlmsg_end(skb, hdr);
		if (err)
			break;
		cb->args[0]++;
		cb->args[1] = 0;
	}
	mutex_unlock(&xn->lock);
	return skb->len ?: err;
}

static int xe_nl_caps(struct sk_buff *skb, struct genl_info *info)
{
	const struct xe_net *xn = xe_net(genl_info_net(info));
	struct sk_buff *msg;
	const char *name;
	void *hdr;
	int i;

	msg = genlmsg_new(GENLMSG_DEFAULT_SIZE, GFP_KERNEL);
	if (!msg)
		return -ENOMEM;
	hdr = genlmsg_put_reply(msg, info, &xe_family, 0, XFRM_EXT_CMD_CAPS);
	if (!hdr ||
	    nla_put_u32(msg, XFRM_EXT_A_CAP_FORMATS,
			BIT(XFRM_EXT_FORMAT_ESP64) |
			BIT(XFRM_EXT_FORMAT_ESP) |
			BIT(XFRM_EXT_FORMAT_EESP)) ||
	    nla_put_u32(msg, XFRM_EXT_A_CAP_TRAILERS,
			BIT(XFRM_EXT_TRAILER_END) |
			BIT(XFRM_EXT_TRAILER_FRONT) |
			BIT(XFRM_EXT_TRAILER_OMIT)) ||
	    nla_put_u32(msg, XFRM_EXT_A_CAP_IVS,
			BIT(XFRM_EXT_IV_EXPLICIT) |
			BIT(XFRM_EXT_IV_IMPLICIT)) ||
	    nla_put_u32(msg, XFRM_EXT_A_CAP_SELECTS,
			BIT(XFRM_EXT_SELECT_CPU) | BIT(XFRM_EXT_SELECT_DSCP) |
			BIT(XFRM_EXT_SELECT_MARK) |
			BIT(XFRM_EXT_SELECT_FLOW)) ||
	    nla_put_u32(msg, XFRM_EXT_A_CAP_MODES,
			BIT(XFRM_MODE_TRANSPORT) | BIT(XFRM_MODE_TUNNEL) |
			BIT(XFRM_MODE_BEET)) ||
	    nla_put_u32(msg, XFRM_EXT_A_CAP_FLAGS, XE_FLAGS) ||
	    nla_put_u32(msg, XFRM_EXT_A_CAP_SUBSPACES_MAX,
			XFRM_EXT_SUBSPACES_MAX) ||
	    nla_put_u32(msg, XFRM_EXT_A_CAP_WINDOW_MIN, XFRM_EXT_WINDOW_MIN) ||
	    nla_put_u32(msg, XFRM_EXT_A_CAP_WINDOW_MAX, XFRM_EXT_WINDOW_MAX) ||
	    nla_put_u32(msg, XFRM_EXT_A_CAP_ANNOUNCE_TTL, XE_ANNOUNCE_TTL) ||
	    nla_put_u64_64bit(msg, XFRM_EXT_A_CAP_NETNS_MEMORY,
			      atomic64_read(&xn->memory), XFRM_EXT_A_PAD) ||
	    nla_put_u64_64bit(msg, XFRM_EXT_A_CAP_NETNS_MEMORY_MAX,
			      xe_memory_max_of(xn), XFRM_EXT_A_PAD) ||
	    nla_put_u32(msg, XFRM_EXT_A_CAP_RULES_MAX, XE_RULES_MAX) ||
	    nla_put_u32(msg, XFRM_EXT_A_CAP_NETNS_KEYS,
			READ_ONCE(xn->n_idle)) ||
	    nla_put_u64_64bit(msg, XFRM_EXT_A_CAP_NETNS_KEYS_MEMORY,
			      READ_ONCE(xn->idle_memory), XFRM_EXT_A_PAD) ||
	    nla_put_u32(msg, XFRM_EXT_A_CAP_EESP_PROTOCOL,
			xe_listen_protocol()) ||
	    nla_put_u32(msg, XFRM_EXT_A_CAP_SUB_SAS_MAX, XFRM_EXT_SUB_SAS_MAX))
		goto err;
	for (i = 0; (name = xe_suite_name(i)); i++)
		if (nla_put_string(msg, XFRM_EXT_A_CAP_ALGORITHM, name))
			goto err;
	genlmsg_end(msg, hdr);
	return genlmsg_reply(msg, info);

err:
	nlmsg_free(msg);
	return -EMSGSIZE;
}

/* What all SAs of the namespace have counted, also those that are no more */
static int xe_nl_totals(struct sk_buff *skb, struct genl_info *info)
{
	struct xe_net *xn = xe_net(genl_info_net(info));
	u64 sum[XFRM_EXT_STAT_MAX + 1];
	const struct xe_sa *sa;
	struct sk_buff *msg;
	u32 n_sas;
	void *hdr;

	msg = genlmsg_new(GENLMSG_DEFAULT_SIZE, GFP_KERNEL);
	if (!msg)
		return -ENOMEM;
	mutex_lock(&xn->lock);
	memcpy(sum, xn->past, sizeof(sum));
	list_for_each_entry(sa, &xn->sas, list) {
		xe_stats_add_up(sa, sum);
		cond_resched();
	}
	n_sas = xn->n_sas;
	mutex_unlock(&xn->lock);
	hdr = genlmsg_put_reply(msg, info, &xe_family, 0, XFRM_EXT_CMD_TOTALS);
	if (!hdr || nla_put_u32(msg, XFRM_EXT_A_SAS, n_sas) ||
	    xe_message_put_stats(msg, sum)) {
		nlmsg_free(msg);
		return -EMSGSIZE;
	}
	genlmsg_end(msg, hdr);
	return genlmsg_reply(msg, info);
}

/* Apply an entry of XFRM_EXT_CMD_SET, or only see whether that would do */
typedef int xe_set_one(struct xe_sa *sa, u32 id, u64 highest, u64 gap,
		       struct genl_info *info);

static int xe_tx_check(const struct xe_sa *sa, u32 id, struct genl_info *info)
{
	const struct xe_params *p = &sa->params;

	if (id >= p->tx_base && id - p->tx_base < p->tx_subspaces)
		return 0;
	xe_extack(info->extack,
		  "tx-subspace %u: the SA sends in %u subspaces from %u on", id,
		  p->tx_subspaces, p->tx_base);
	return -EINVAL;
}

static int xe_set_tx_check(struct xe_sa *sa, u32 id, u64 highest, u64 gap,
			   struct genl_info *info)
{
	const struct xe_counter *c;
	int err;

	err = xe_tx_check(sa, id, info);
	if (err)
		return err;
	c = xe_counter_seen(sa, id - sa->params.tx_base);
	/* A held SA has sent nothing: it is set again, and not backward */
	if (c && xe_counter_last(c) > highest && !xe_sa_held(sa)) {
		xe_extack(info->extack,
			  "tx-subspace %u: highest %llu is behind %llu, which it has sent",
			  id, highest, xe_counter_last(c));
		return -EINVAL;
	}
	return 0;
}

static int xe_set_tx(struct xe_sa *sa, u32 id, u64 highest, u64 gap,
		     struct genl_info *info)
{
	struct xe_counter *c;
	bool first;

	c = xe_counter_get(sa, id - sa->params.tx_base, GFP_KERNEL_ACCOUNT,
			   &first);
	if (!c)
		return xe_memory_refused(sa->xn, "a counter", sizeof(*c),
					 info->extack);
	WRITE_ONCE(c->set, true);
	/* If it has come farther meanwhile that is as well */
	xe_counter_forward(c, min(c->max, highest + min(gap, c->max)));
	return 0;
}

static int xe_set_rx_check(struct xe_sa *sa, u32 id, u64 highest, u64 gap,
			   struct genl_info *info)
{
	if (id >= sa->params.rx_subspaces) {
		xe_extack(info->extack,
			  "rx-subspace %u: the SA receives in %u subspaces from 0 on",
			  id, sa->params.rx_subspaces);
		return -EINVAL;
	}
	if (sa->params.flags & XFRM_EXT_SA_F_NO_REPLAY_PROTECTION) {
		xe_extack(info->extack,
			  "rx-subspace %u: replay protection is off, there is no window to set",
			  id);
		return -EINVAL;
	}
	return 0;
}

static int xe_set_rx(struct xe_sa *sa, u32 id, u64 highest, u64 gap,
		     struct genl_info *info)
{
	struct xe_window *w;
	bool first;

	w = xe_window_get(sa, id, GFP_KERNEL_ACCOUNT, &first);
	if (!w)
		return xe_memory_refused(sa->xn, "a window",
					 xe_window_bytes(sa->params.window),
					 info->extack);
	xe_window_forward(w, highest);
	return 0;
}

static int xe_set_all(struct xe_sa *sa, struct genl_info *info, int type,
		      xe_set_one *one, u64 gap)
{
	struct nlattr *tb[ARRAY_SIZE(xe_policy_subspace)], *attr;
	int rem, err;
	u64 highest;

	nlmsg_for_each_attr(attr, info->nlhdr, GENL_HDRLEN, rem) {
		if (nla_type(attr) != type)
			continue;
		err = nla_parse_nested(tb, ARRAY_SIZE(tb) - 1, attr,
				       xe_policy_subspace, info->extack);
		if (err)
			return err;
		if (!tb[XFRM_EXT_SUBSPACE_ID] ||
		    !tb[XFRM_EXT_SUBSPACE_HIGHEST]) {
			NL_SET_BAD_ATTR(info->extack, attr);
			xe_extack(info->extack,
				  "a subspace needs id and highest; %s is missing",
				  tb[XFRM_EXT_SUBSPACE_ID] ? "highest" : "id");
			return -EINVAL;
		}
		highest = nla_get_u64(tb[XFRM_EXT_SUBSPACE_HIGHEST]);
		if (highest > sa->format->sn_max) {
			NL_SET_BAD_ATTR(info->extack,
					tb[XFRM_EXT_SUBSPACE_HIGHEST]);
			xe_extack(info->extack,
				  "highest %llu: must be 0 to %llu", highest,
				  sa->format->sn_max);
			return -EINVAL;
		}
		err = one(sa, nla_get_u32(tb[XFRM_EXT_SUBSPACE_ID]), highest,
			  gap, info);
		if (err)
			return err;
	}
	return 0;
}

/*
 * Somebody may have forgotten, or failed, to say which numbers have been used:
 * to start over then would use them again.
 */
static int xe_release_check(const struct xe_sa *sa, struct genl_info *info)
{
	if (!xe_sa_held(sa) || !sa->params.tx_subspaces || sa->tx_set ||
	    info->attrs[XFRM_EXT_A_TX_SUBSPACE] || info->attrs[XFRM_EXT_A_GAP])
		return 0;
	return xe_refuse_attr(info, XFRM_EXT_A_RELEASE,
			      "release: no tx-subspace has been set; name one or give gap");
}

static int xe_set(struct xe_sa *sa, struct genl_info *info)
{
	struct nlattr *attr = info->attrs[XFRM_EXT_A_GAP];
	u64 gap, gap_max = sa->format->sn_max;
	int err;

	if (attr)
		gap = nla_get_u64(attr);
	else if (sa->params.format == XFRM_EXT_FORMAT_ESP)
		gap = XFRM_EXT_GAP_DEFAULT_ESP;
	else
		gap = XFRM_EXT_GAP_DEFAULT;
	if (gap > gap_max)
		return xe_refuse_attr(info, XFRM_EXT_A_GAP,
				      "gap %llu: must be 0 to %llu", gap,
				      gap_max);
	err = xe_set_all(sa, info, XFRM_EXT_A_TX_SUBSPACE, xe_set_tx_check,
			 gap);
	if (!err)
		err = xe_set_all(sa, info, XFRM_EXT_A_RX_SUBSPACE,
				 xe_set_rx_check, gap);
	if (!err && info->attrs[XFRM_EXT_A_RELEASE])
		err = xe_release_check(sa, info);
	if (!err)
		err = xe_set_all(sa, info, XFRM_EXT_A_TX_SUBSPACE, xe_set_tx,
				 gap);
	/* All of them: without memory for one, say so again at release */
	if (!err && info->attrs[XFRM_EXT_A_TX_SUBSPACE])
		sa->tx_set = true;
	if (!err)
		err = xe_set_all(sa, info, XFRM_EXT_A_RX_SUBSPACE, xe_set_rx,
				 gap);
	if (!err && info->attrs[XFRM_EXT_A_RELEASE])
		xe_sa_release(sa, gap);
	return err;
}

/* With the SA that a request is of */
static int xe_nl_with_sa(struct genl_info *info,
			 int (*act)(struct xe_sa *sa, struct genl_info *info))
{
	struct xe_net *xn = xe_net(genl_info_net(info));
	struct xe_sa *sa;
	struct xe_id id;
	int err;

	err = xe_parse_id(info, &id);
	if (err)
		return err;
	mutex_lock(&xn->lock);
	sa = xe_sa_find(xn, &id);
	if (sa) {
		xe_life_visit(sa);
		err = act(sa, info);
	} else {
		xe_extack(info->extack,
			  "no extended SA with this daddr, spi and mark");
		err = -ENOENT;
	}
	mutex_unlock(&xn->lock);
	return err;
}

static int xe_nl_set(struct sk_buff *skb, struct genl_info *info)
{
	return xe_nl_with_sa(info, xe_set);
}

/* The subspace that an attribute names, or class 0's of this CPU: its place */
static int xe_own_place(const struct xe_sa *sa, struct genl_info *info, int which,
			u32 *place)
{
	const struct xe_params *p = &sa->params;
	struct nlattr *attr = info->attrs[which];
	u32 id;
	int err;

	if (!p->tx_subspaces) {
		xe_extack(info->extack, "the SA is for receiving only");
		return -EINVAL;
	}
	*place = xe_select_place(&p->select, 0, raw_smp_processor_id());
	if (!attr)
		return 0;
	id = nla_get_u32(attr);
	err = xe_tx_check(sa, id, info);
	if (err) {
		NL_SET_BAD_ATTR(info->extack, attr);
		return err;
	}
	*place = id - p->tx_base;
	return 0;
}

static int xe_dummy(struct xe_sa *sa, struct genl_info *info)
{
	struct nlattr *len = info->attrs[XFRM_EXT_A_DUMMY_LEN];
	u32 place;
	int err;

	err = xe_own_place(sa, info, XFRM_EXT_A_DUMMY_SUBSPACE, &place);
	if (err)
		return err;
	return xe_dummy_send(sa, place, len ? nla_get_u32(len) : 0,
			     info->extack);
}

static int xe_echo(struct xe_sa *sa, struct genl_info *info)
{
	struct nlattr **attrs = info->attrs;
	struct xe_echo_request what = {};
	u32 place, len;
	int err;

	err = xe_own_place(sa, info, XFRM_EXT_A_ECHO_SUBSPACE, &place);
	if (err)
		return err;
	if (attrs[XFRM_EXT_A_ECHO_ID])
		what.id = nla_get_u16(attrs[XFRM_EXT_A_ECHO_ID]);
	if (attrs[XFRM_EXT_A_ECHO_SEQ])
		what.seq = nla_get_u16(attrs[XFRM_EXT_A_ECHO_SEQ]);
	if (attrs[XFRM_EXT_A_ECHO_REPLY_SPI]) {
		what.reply_spi = nla_get_be32(attrs[XFRM_EXT_A_ECHO_REPLY_SPI]);
		if (!what.reply_spi)
			return xe_refuse_attr(info, XFRM_EXT_A_ECHO_REPLY_SPI,
					      "echo-reply-spi 0: must be 1 or more, or absent");
	}
	if (attrs[XFRM_EXT_A_ECHO_DATA]) {
		what.data = nla_data(attrs[XFRM_EXT_A_ECHO_DATA]);
		what.data_len = nla_len(attrs[XFRM_EXT_A_ECHO_DATA]);
	}
	what.len = what.data_len;
	if (attrs[XFRM_EXT_A_ECHO_LEN]) {
		len = nla_get_u32(attrs[XFRM_EXT_A_ECHO_LEN]);
		if (len < what.data_len || len > U16_MAX)
			return xe_refuse_attr(info, XFRM_EXT_A_ECHO_LEN,
					      "echo-len %u: must be %u, which echo-data has, to %u",
					      len, what.data_len, U16_MAX);
		what.len = len;
	}
	return xe_echo_send(sa, place, &what, info->extack);
}

static int xe_nl_echo(struct sk_buff *skb, struct genl_info *info)
{
	return xe_nl_with_sa(info, xe_echo);
}

static int xe_nl_dummy(struct sk_buff *skb, struct genl_info *info)
{
	return xe_nl_with_sa(info, xe_dummy);
}

static int xe_nl_rule_add(struct sk_buff *skb, struct genl_info *info)
{
	return xe_rule_add(info);
}

static int xe_nl_rule_del(struct sk_buff *skb, struct genl_info *info)
{
	return xe_rule_del(info);
}

static int xe_nl_rule_flush(struct sk_buff *skb, struct genl_info *info)
{
	xe_rule_flush(xe_net(genl_info_net(info)));
	return 0;
}

static const struct genl_ops xe_ops[] = {
	{
		.cmd		= XFRM_EXT_CMD_CAPS,
		.policy		= xe_policy_none,
		.maxattr	= ARRAY_SIZE(xe_policy_none) - 1,
		.doit		= xe_nl_caps,
	},
	{
		.cmd		= XFRM_EXT_CMD_ANNOUNCE,
		.flags		= GENL_UNS_ADMIN_PERM,
		.policy		= xe_params_policy,
		.maxattr	= XE_PARAMS_MAXATTR,
		.doit		= xe_nl_announce,
	},
	{
		.cmd		= XFRM_EXT_CMD_WITHDRAW,
		.flags		= GENL_UNS_ADMIN_PERM,
		.policy		= xe_policy_id,
		.maxattr	= ARRAY_SIZE(xe_policy_id) - 1,
		.doit		= xe_nl_withdraw,
	},
	{
		.cmd		= XFRM_EXT_CMD_GET,
		.flags		= GENL_UNS_ADMIN_PERM,
		.policy		= xe_policy_id,
		.maxattr	= ARRAY_SIZE(xe_policy_id) - 1,
		.doit		= xe_nl_get,
		.dumpit		= xe_nl_dump,
	},
	{
		.cmd		= XFRM_EXT_CMD_SET,
		.flags		= GENL_UNS_ADMIN_PERM,
		.policy		= xe_policy_set,
		.maxattr	= ARRAY_SIZE(xe_policy_set) - 1,
		.doit		= xe_nl_set,
	},
	{
		.cmd		= XFRM_EXT_CMD_DUMMY,
		.flags		= GENL_UNS_ADMIN_PERM,
		.policy		= xe_policy_dummy,
		.maxattr	= ARRAY_SIZE(xe_policy_dummy) - 1,
		.doit		= xe_nl_dummy,
	},
	{
		.cmd		= XFRM_EXT_CMD_ECHO,
		.flags		= GENL_UNS_ADMIN_PERM,
		.policy		= xe_policy_echo,
		.maxattr	= ARRAY_SIZE(xe_policy_echo) - 1,
		.doit		= xe_nl_echo,
	},
	{
		.cmd		= XFRM_EXT_CMD_RULE_ADD,
		.flags		= GENL_UNS_ADMIN_PERM,
		.policy		= xe_rule_policy,
		.maxattr	= XE_RULE_MAXATTR,
		.doit		= xe_nl_rule_add,
	},
	{
		.cmd		= XFRM_EXT_CMD_RULE_DEL,
		.flags		= GENL_UNS_ADMIN_PERM,
		.policy		= xe_policy_pref,
		.maxattr	= ARRAY_SIZE(xe_policy_pref) - 1,
		.doit		= xe_nl_rule_del,
	},
	{
		.cmd		= XFRM_EXT_CMD_RULE_FLUSH,
		.flags		= GENL_UNS_ADMIN_PERM,
		.policy		= xe_policy_none,
		.maxattr	= ARRAY_SIZE(xe_policy_none) - 1,
		.doit		= xe_nl_rule_flush,
	},
	{
		.cmd		= XFRM_EXT_CMD_RULE_GET,
		.flags		= GENL_UNS_ADMIN_PERM,
		.policy		= xe_policy_none,
		.maxattr	= ARRAY_SIZE(xe_policy_none) - 1,
		.dumpit		= xe_rule_dump,
	},
	{
		.cmd		= XFRM_EXT_CMD_TOTALS,
		.flags		= GENL_UNS_ADMIN_PERM,
		.policy		= xe_policy_none,
		.maxattr	= ARRAY_SIZE(xe_policy_none) - 1,
		.doit		= xe_nl_totals,
	},
};

/**
 * xe_netlink_init - be reachable
 *
 * Return: 0 or a negative errno.
 */
int __init xe_netlink_init(void)
{
	xe_family.ops = xe_ops;
	xe_family.n_ops = ARRAY_SIZE(xe_ops);
	return genl_register_family(&xe_family);
}

/**
 * xe_netlink_exit - be reachable no more
 */
void xe_netlink_exit(void)
{
	genl_unregister_family(&xe_family);
}
