// SPDX-License-Identifier: GPL-2.0-only
/*
 * Rules: what SAs shall be that nobody announces. A key manager that has never heard
 * of extended SAs makes its states as always; the gate holds each against the rules of
 * the namespace, in their order, and the first that matches decides.
 *
 * Rules hold no keys. They are about states that are made from now on: none that is
 * there changes with them.
 */
#include <linux/slab.h>
#include <net/genetlink.h>

#include "control.h"

#define XE_RULE_STEP	10

/**
 * struct xe_rule - one of them
 * @list: xe_net::rules, by @pref
 * @pref: its place, 1 and up
 * @flags: enum xfrm_ext_rule_flags
 * @family: AF_INET, AF_INET6, or 0 for both
 * @has_reqid: @reqid is asked for
 * @has_if_id: @if_id is
 * @has_mark: @mark is; what its mask leaves of an SA's
 * @reqid: of the SA
 * @if_id: of the SA
 * @mark: of the SA
 * @src: outer source address
 * @dst: outer destination address
 * @src_len: bits of @src; 0: any
 * @dst_len: bits of @dst
 * @params: what an SA shall be, in both directions; nothing with
 *          XFRM_EXT_RULE_F_PLAIN
 * @hits: SAs that it has made extended ones
 * @refused: SAs that it has refused
 * @plain: SAs that it has left plain
 * @sas: those that it has made extended ones and that are there, by xe_sa::rule_list
 * @n_sas: how many
 * @past: what those have counted that are no more, by enum xfrm_ext_stat
 */
struct xe_rule {
	struct list_head list;
	u32 pref;
	u32 flags;
	u16 family;
	bool has_reqid;
	bool has_if_id;
	bool has_mark;
	u32 reqid;
	u32 if_id;
	struct xfrm_mark mark;
	xfrm_address_t src;
	xfrm_address_t dst;
	u32 src_len;
	u32 dst_len;
	struct xe_params params;
	u64 hits;
	u64 refused;
	u64 plain;
	struct list_head sas;
	unsigned int n_sas;
	u64 past[XFRM_EXT_STAT_MAX + 1];
};

const struct nla_policy xe_rule_policy[XE_RULE_MAXATTR + 1] = {
	XE_PARAMS_POLICY,
	/* Of one SA, not of many */
	[XFRM_EXT_A_DADDR]		= {
		.type		= NLA_REJECT,
		.reject_message	= "xfrm_ext: daddr in a rule: see rule-dst",
	},
	[XFRM_EXT_A_SPI]		= {
		.type		= NLA_REJECT,
		.reject_message	= "xfrm_ext: spi in a rule: whoever makes its SAs chooses that",
	},
	[XFRM_EXT_A_TX_START]		= {
		.type		= NLA_REJECT,
		.reject_message	= "xfrm_ext: tx-start in a rule: that is a key's, not a rule's",
	},
	[XFRM_EXT_A_RULE_PREF]		= { .type = NLA_U32 },
	[XFRM_EXT_A_RULE_FLAGS]		= { .type = NLA_U32 },
	[XFRM_EXT_A_RULE_REQID]		= { .type = NLA_U32 },
	[XFRM_EXT_A_RULE_IF_ID]		= { .type = NLA_U32 },
	[XFRM_EXT_A_RULE_SRC]		= { .type = NLA_BINARY, .len = 16 },
	[XFRM_EXT_A_RULE_SRC_LEN]	= { .type = NLA_U32 },
	[XFRM_EXT_A_RULE_DST]		= { .type = NLA_BINARY, .len = 16 },
	[XFRM_EXT_A_RULE_DST_LEN]	= { .type = NLA_U32 },
};

static struct xe_rule *xe_rule_find(struct xe_net *xn, u32 pref)
{
	struct xe_rule *r;

	lockdep_assert_held(&xn->lock);
	list_for_each_entry(r, &xn->rules, list)
		if (r->pref == pref)
			return r;
	return NULL;
}

/* --- what a request says --------------------------------------------------- */

static int xe_rule_parse_family(struct genl_info *info, struct xe_rule *r)
{
	const struct nlattr *attr = info->attrs[XFRM_EXT_A_FAMILY];

	if (!attr)
		return 0;
	r->family = nla_get_u16(attr);
	if (r->family != AF_INET && r->family != AF_INET6)
		return xe_refuse_attr(info, XFRM_EXT_A_FAMILY,
				      "family %u: must be %u (IPv4) or %u (IPv6)",
				      r->family, AF_INET, AF_INET6);
	return 0;
}

static int xe_rule_parse_prefix(struct genl_info *info, struct xe_rule *r,
				int attr, const char *name,
				xfrm_address_t *addr, u32 *bits)
{
	const struct nlattr *a = info->attrs[attr], *l = info->attrs[attr + 1];
	u16 family;

	if (!a) {
		if (!l)
			return 0;
		return xe_refuse_attr(info, attr + 1,
				      "%s-len %u without %s", name,
				      nla_get_u32(l), name);
	}
	if (nla_len(a) != 4 && nla_len(a) != 16)
		return xe_refuse_attr(info, attr,
				      "%s of %d octets: must have 4 or 16",
				      name, nla_len(a));
	family = nla_len(a) == 4 ? AF_INET : AF_INET6;
	if (r->family && r->family != family)
		return xe_refuse_attr(info, attr,
				      "%s of family %u in a rule for family %u",
				      name, family, r->family);
	r->family = family;
	memcpy(addr, nla_data(a), nla_len(a));
	*bits = l ? nla_get_u32(l) : nla_len(a) * 8;
	if (*bits > nla_len(a) * 8)
		return xe_refuse_attr(info, attr + 1,
				      "%s-len %u: must be 0 to %d", name, *bits,
				      nla_len(a) * 8);
	return 0;
}

static int xe_rule_parse_match(struct genl_info *info, struct xe_rule *r)
{
	struct nlattr **attrs = info->attrs;
	int err;

	err = xe_rule_parse_family(info, r);
	if (!err)
		err = xe_rule_parse_prefix(info, r, XFRM_EXT_A_RULE_SRC,
					   "rule-src", &r->src, &r->src_len);
	if (!err)
		err = xe_rule_parse_prefix(info, r, XFRM_EXT_A_RULE_DST,
					   "rule-dst", &r->dst, &r->dst_len);
	if (err)
		return err;
	if (attrs[XFRM_EXT_A_RULE_REQID]) {
		r->has_reqid = true;
		r->reqid = nla_get_u32(attrs[XFRM_EXT_A_RULE_REQID]);
	}
	if (attrs[XFRM_EXT_A_RULE_IF_ID]) {
		r->has_if_id = true;
		r->if_id = nla_get_u32(attrs[XFRM_EXT_A_RULE_IF_ID]);
	}
	if (attrs[XFRM_EXT_A_MARK_MASK] && !attrs[XFRM_EXT_A_MARK])
		return xe_refuse_attr(info, XFRM_EXT_A_MARK_MASK,
				      "mark-mask 0x%x without mark",
				      nla_get_u32(attrs[XFRM_EXT_A_MARK_MASK]));
	if (attrs[XFRM_EXT_A_MARK]) {
		r->has_mark = true;
		r->mark.v = nla_get_u32(attrs[XFRM_EXT_A_MARK]);
		r->mark.m = U32_MAX;
		if (attrs[XFRM_EXT_A_MARK_MASK])
			r->mark.m = nla_get_u32(attrs[XFRM_EXT_A_MARK_MASK]);
		if (r->mark.v & ~r->mark.m)
			return xe_refuse_attr(info, XFRM_EXT_A_MARK,
					      "mark 0x%x has bits outside of its mask 0x%x: no SA would match",
					      r->mark.v, r->mark.m);
	}
	return 0;
}

static int xe_rule_parse_plain(struct genl_info *info)
{
	int attr;

	for (attr = XFRM_EXT_A_FORMAT; attr <= XE_PARAMS_MAXATTR; attr++)
		if (info->attrs[attr] && (attr <= XFRM_EXT_A_FLAGS ||
					  attr >= XFRM_EXT_A_SUB_KEY))
			return xe_refuse_attr(info, attr,
					      "attribute %d says what an SA shall be, and the rule that it shall be plain",
					      attr);
	return 0;
}

static int xe_rule_parse_params(struct genl_info *info, struct xe_rule *r)
{
	struct xe_params *p = &r->params;
	int err;

	err = xe_params_parse(info, p, true);
	if (err)
		return err;
	/* A daemon says nothing of direction, or before Linux 6.10 cannot */
	if (!p->tx_subspaces || !p->rx_subspaces) {
		xe_extack(info->extack,
			  "a rule is for SAs of both directions: tx-subspaces and rx-subspaces are both needed; %s is missing",
			  p->tx_subspaces ? "rx-subspaces" : "tx-subspaces");
		return -EINVAL;
	}
	if (p->flags & XFRM_EXT_SA_F_HOLD)
		return xe_refuse_attr(info, XFRM_EXT_A_FLAGS,
				      "hold in a rule: whoever makes its SAs would not release them");
	if (p->flags & XFRM_EXT_SA_F_ESN)
		return xe_refuse_attr(info, XFRM_EXT_A_FLAGS,
				      "esn in a rule: each SA has it or not, as its own flag esn says");
	return 0;
}

static int xe_rule_parse(struct genl_info *info, struct xe_rule *r)
{
	const u32 known = XFRM_EXT_RULE_F_OR_PLAIN | XFRM_EXT_RULE_F_PLAIN;
	int err;

	if (info->attrs[XFRM_EXT_A_RULE_PREF]) {
		r->pref = nla_get_u32(info->attrs[XFRM_EXT_A_RULE_PREF]);
		if (!r->pref)
			return xe_refuse_attr(info, XFRM_EXT_A_RULE_PREF,
					      "rule-pref 0: must be 1 or more");
	}
	if (info->attrs[XFRM_EXT_A_RULE_FLAGS])
		r->flags = nla_get_u32(info->attrs[XFRM_EXT_A_RULE_FLAGS]);
	if (r->flags & ~known)
		return xe_refuse_attr(info, XFRM_EXT_A_RULE_FLAGS,
				      "rule-flags 0x%x: only 0x%x are known",
				      r->flags, known);
	if (r->flags == known)
		return xe_refuse_attr(info, XFRM_EXT_A_RULE_FLAGS,
				      "rule-flags 0x%x: or-plain and plain exclude each other",
				      r->flags);
	err = xe_rule_parse_match(info, r);
	if (err)
		return err;
	return r->flags & XFRM_EXT_RULE_F_PLAIN ?
	       xe_rule_parse_plain(info) : xe_rule_parse_params(info, r);
}

/* --- what is told ----------------------------------------------------------- */

static int xe_rule_put_match(struct sk_buff *skb, const struct xe_rule *r)
{
	unsigned int len = r->family == AF_INET ? 4 : 16;

	if (r->family && nla_put_u16(skb, XFRM_EXT_A_FAMILY, r->family))
		return -EMSGSIZE;
	if (r->has_reqid && nla_put_u32(skb, XFRM_EXT_A_RULE_REQID, r->reqid))
		return -EMSGSIZE;
	if (r->has_if_id && nla_put_u32(skb, XFRM_EXT_A_RULE_IF_ID, r->if_id))
		return -EMSGSIZE;
	if (r->has_mark &&
	    (nla_put_u32(skb, XFRM_EXT_A_MARK, r->mark.v) ||
	     nla_put_u32(skb, XFRM_EXT_A_MARK_MASK, r->mark.m)))
		return -EMSGSIZE;
	if (r->src_len && (nla_put(skb, XFRM_EXT_A_RULE_SRC, len, &r->src) ||
			   nla_put_u32(skb, XFRM_EXT_A_RULE_SRC_LEN,
				       r->src_len)))
		return -EMSGSIZE;
	if (r->dst_len && (nla_put(skb, XFRM_EXT_A_RULE_DST, len, &r->dst) ||
			   nla_put_u32(skb, XFRM_EXT_A_RULE_DST_LEN,
				       r->dst_len)))
		return -EMSGSIZE;
	return 0;
}

static int xe_rule_put_totals(struct sk_buff *skb, const struct xe_rule *r)
{
	u64 sum[XFRM_EXT_STAT_MAX + 1];
	const struct xe_sa *sa;

	memcpy(sum, r->past, sizeof(sum));
	list_for_each_entry(sa, &r->sas, rule_list) {
		xe_stats_add_up(sa, sum);
		cond_resched();
	}
	if (nla_put_u32(skb, XFRM_EXT_A_SAS, r->n_sas))
		return -EMSGSIZE;
	return xe_message_put_stats(skb, sum);
}

/* What it is, what it has done and, if it makes extended SAs, what they have counted */
static int xe_rule_put(struct sk_buff *skb, const struct xe_rule *r)
{
	if (nla_put_u32(skb, XFRM_EXT_A_RULE_PREF, r->pref) ||
	    nla_put_u32(skb, XFRM_EXT_A_RULE_FLAGS, r->flags) ||
	    xe_rule_put_match(skb, r))
		return -EMSGSIZE;
	if (!(r->flags & XFRM_EXT_RULE_F_PLAIN) &&
	    (xe_params_put(skb, &r->params) || xe_rule_put_totals(skb, r)))
		return -EMSGSIZE;
	if (nla_put_u64_64bit(skb, XFRM_EXT_A_RULE_HITS, r->hits,
			      XFRM_EXT_A_PAD) ||
	    nla_put_u64_64bit(skb, XFRM_EXT_A_RULE_REFUSED, r->refused,
			      XFRM_EXT_A_PAD) ||
	    nla_put_u64_64bit(skb, XFRM_EXT_A_RULE_PLAIN, r->plain,
			      XFRM_EXT_A_PAD))
		return -EMSGSIZE;
	return 0;
}

static void xe_rule_event(struct xe_net *xn, enum xfrm_ext_cmd cmd,
			  const struct xe_rule *r)
{
	struct sk_buff *msg;
	void *hdr;

	msg = xe_message_event(cmd, &hdr);
	if (!msg)
		return;
	if (xe_rule_put(msg, r)) {
		nlmsg_free(msg);
		return;
	}
	genlmsg_end(msg, hdr);
	xe_message_multicast(msg, xn->net, XE_MCGRP_EVENTS);
}

static void xe_rule_refused_event(struct xe_net *xn, const struct xe_id *id,
				  const struct xe_rule *r, bool plain,
				  const char *reason)
{
	u32 flags = r->flags & ~XFRM_EXT_RULE_F_OR_PLAIN;
	struct sk_buff *msg;
	void *hdr;

	msg = xe_message_event(XFRM_EXT_CMD_RULE_REFUSED, &hdr);
	if (!msg)
		return;
	if (xe_message_put_id(msg, id) ||
	    nla_put_u32(msg, XFRM_EXT_A_RULE_PREF, r->pref) ||
	    nla_put_u32(msg, XFRM_EXT_A_RULE_FLAGS,
			flags | (plain ? XFRM_EXT_RULE_F_OR_PLAIN : 0)) ||
	    (reason && nla_put_string(msg, XFRM_EXT_A_REASON, reason))) {
		nlmsg_free(msg);
		return;
	}
	genlmsg_end(msg, hdr);
	xe_message_multicast(msg, xn->net, XE_MCGRP_EVENTS);
}

/* --- requests ---------------------------------------------------------------- */

static int xe_rule_insert(struct xe_net *xn, struct xe_rule *r,
			  struct netlink_ext_ack *extack)
{
	struct xe_rule *next;
	u32 last = 0;

	lockdep_assert_held(&xn->lock);
	if (xn->dead) {
		xe_extack(extack, "namespace is going away");
		return -ENODEV;
	}
	if (xn->n_rules >= XE_RULES_MAX) {
		xe_extack(extack, "%u rules already; no more than %u",
			  xn->n_rules, XE_RULES_MAX);
		return -ENOSPC;
	}
	if (!list_empty(&xn->rules))
		last = list_last_entry(&xn->rules, struct xe_rule, list)->pref;
	if (!r->pref) {
		if (last > U32_MAX - XE_RULE_STEP) {
			xe_extack(extack,
				  "no rule-pref left behind %u; say which", last);
			return -ENOSPC;
		}
		r->pref = last + XE_RULE_STEP;
	}
	list_for_each_entry(next, &xn->rules, list) {
		if (next->pref == r->pref) {
			xe_extack(extack,
				  "rule-pref %u is taken; delete that rule first, or take another",
				  r->pref);
			return -EEXIST;
		}
		if (next->pref > r->pref)
			break;
	}
	list_add_tail(&r->list, &next->list);
	xn->n_rules++;
	return 0;
}

/**
 * xe_rule_add - XFRM_EXT_CMD_RULE_ADD
 * @info: request; xe_rule_policy[] has been applied
 *
 * Return: 0 or a negative errno.
 */
int xe_rule_add(struct genl_info *info)
{
	struct xe_net *xn = xe_net(genl_info_net(info));
	struct xe_rule *r;
	int err;

	r = kzalloc(sizeof(*r), GFP_KERNEL_ACCOUNT);
	if (!r)
		return -ENOMEM;
	INIT_LIST_HEAD(&r->sas);
	err = xe_rule_parse(info, r);
	if (err)
		goto err_free;
	mutex_lock(&xn->lock);
	err = xe_rule_insert(xn, r, info->extack);
	if (!err)
		xe_rule_event(xn, XFRM_EXT_CMD_RULE_ADD, r);
	mutex_unlock(&xn->lock);
	if (!err)
		return 0;
err_free:
	kfree(r);
	return err;
}

static void xe_rule_remove(struct xe_net *xn, struct xe_rule *r)
{
	struct xe_sa *sa, *next;

	lockdep_assert_held(&xn->lock);
	list_del(&r->list);
	xn->n_rules--;
	if (!xn->dead)
		xe_rule_event(xn, XFRM_EXT_CMD_RULE_DEL, r);
	/* Of a rule that comes in its place they are not */
	list_for_each_entry_safe(sa, next, &r->sas, rule_list) {
		list_del(&sa->rule_list);
		sa->made_by = NULL;
	}
	kfree(r);
}

/**
 * xe_rule_del - XFRM_EXT_CMD_RULE_DEL
 * @info: request
 *
 * Return: 0 or a negative errno.
 */
int xe_rule_del(struct genl_info *info)
{
	struct xe_net *xn = xe_net(genl_info_net(info));
	struct xe_rule *r;
	u32 pref;

	if (!info->attrs[XFRM_EXT_A_RULE_PREF]) {
		xe_extack(info->extack, "rule-pref is needed: which rule?");
		return -EINVAL;
	}
	pref = nla_get_u32(info->attrs[XFRM_EXT_A_RULE_PREF]);
	mutex_lock(&xn->lock);
	r = xe_rule_find(xn, pref);
	if (r)
		xe_rule_remove(xn, r);
	mutex_unlock(&xn->lock);
	if (r)
		return 0;
	xe_extack(info->extack, "no rule with rule-pref %u", pref);
	return -ENOENT;
}

/**
 * xe_rule_flush - no more rules
 * @xn: namespace's part
 *
 * Context: process, may sleep.
 */
void xe_rule_flush(struct xe_net *xn)
{
	struct xe_rule *r, *next;

	mutex_lock(&xn->lock);
	list_for_each_entry_safe(r, next, &xn->rules, list)
		xe_rule_remove(xn, r);
	mutex_unlock(&xn->lock);
}

/**
 * xe_rule_dump - XFRM_EXT_CMD_RULE_GET
 * @skb: answer
 * @cb: of the dump; args[0] is the rule-pref that is out
 *
 * Return: as genl_ops::dumpit.
 */
int xe_rule_dump(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct xe_net *xn = xe_net(sock_net(skb->sk));
	const struct xe_rule *r;
	int err = 0;
	void *hdr;

	if (nlmsg_attrlen(cb->nlh, GENL_HDRLEN)) {
		xe_extack(cb->extack,
			  "a dump is of all rules: it takes no attributes");
		return -EINVAL;
	}
	mutex_lock(&xn->lock);
	list_for_each_entry(r, &xn->rules, list) {
		if (r->pref <= cb->args[0])
			continue;
		hdr = genlmsg_put(skb, NETLINK_CB(cb->skb).portid,
				  cb->nlh->nlmsg_seq, &xe_family, NLM_F_MULTI,
				  XFRM_EXT_CMD_RULE_GET);
		if (!hdr || xe_rule_put(skb, r)) {
			if (hdr)
				genlmsg_cancel(skb, hdr);
			err = -EMSGSIZE;
			break;
		}
		genlmsg_end(skb, hdr);
		cb->args[0] = r->pref;
	}
	mutex_unlock(&xn->lock);
	return skb->len ?: err;
}

/* --- states ------------------------------------------------------------------ */

static bool xe_rule_matches(const struct xe_rule *r, const struct xfrm_state *x)
{
	return (!r->family || r->family == x->props.family) &&
	       (!r->has_reqid || r->reqid == x->props.reqid) &&
	       (!r->has_if_id || r->if_id == x->if_id) &&
	       (!r->has_mark || (x->mark.v & r->mark.m) == r->mark.v) &&
	       addr_match(&x->props.saddr, &r->src, r->src_len) &&
	       addr_match(&x->id.daddr, &r->dst, r->dst_len);
}

/**
 * xe_rule_match - what do the rules say of a new state?
 * @xn: namespace's part
 * @x: state
 * @claim: with XE_RULE_EXTEND, what it shall be; xe_rule_hit() or xe_rule_failed() is
 *         due
 *
 * Context: process, may sleep.
 * Return: which way the first rule goes that matches.
 */
enum xe_rule_verdict xe_rule_match(struct xe_net *xn,
				   const struct xfrm_state *x,
				   struct xe_claim *claim)
{
	enum xe_rule_verdict verdict = XE_RULE_NONE;
	struct xe_rule *r;

	/* Plain SAs pay this, and for modes that cannot be extended all do */
	if (list_empty_careful(&xn->rules) ||
	    (x->props.mode != XFRM_MODE_TUNNEL &&
	     x->props.mode != XFRM_MODE_TRANSPORT &&
	     x->props.mode != XFRM_MODE_BEET))
		return XE_RULE_NONE;
	mutex_lock(&xn->lock);
	list_for_each_entry(r, &xn->rules, list) {
		if (!xe_rule_matches(r, x))
			continue;
		if (r->flags & XFRM_EXT_RULE_F_PLAIN) {
			r->plain++;
			verdict = XE_RULE_PLAIN;
			break;
		}
		claim->params = r->params;
		claim->rule = r->pref;
		if (xe_state_dir(x) == XFRM_SA_DIR_OUT) {
			claim->params.rx_subspaces = 0;
			/* And what is said of receiving only */
			claim->params.flags &= ~(XFRM_EXT_SA_F_ECHO |
						 XFRM_EXT_SA_F_NO_REPLAY_PROTECTION);
		}
		if (xe_state_dir(x) == XFRM_SA_DIR_IN)
			claim->params.tx_subspaces = 0;
		verdict = XE_RULE_EXTEND;
		break;
	}
	mutex_unlock(&xn->lock);
	return verdict;
}

/**
 * xe_rule_join - an SA counts for the rule that it was made by, if that is there
 * @sa: SA, in the namespace's list
 *
 * Context: process; the namespace's lock is held.
 */
void xe_rule_join(struct xe_sa *sa)
{
	struct xe_rule *r = sa->rule ? xe_rule_find(sa->xn, sa->rule) : NULL;

	if (!r || r->flags & XFRM_EXT_RULE_F_PLAIN)
		return;
	sa->made_by = r;
	list_add_tail(&sa->rule_list, &r->sas);
	r->n_sas++;
}

/**
 * xe_rule_leave - an SA counts no more; what it has counted stays
 * @sa: SA
 *
 * Context: process; the namespace's lock is held.
 */
void xe_rule_leave(struct xe_sa *sa)
{
	struct xe_rule *r = sa->made_by;

	if (!r)
		return;
	xe_stats_add_up(sa, r->past);
	list_del(&sa->rule_list);
	r->n_sas--;
	sa->made_by = NULL;
}

/**
 * xe_rule_hit - a state is what a rule says
 * @xn: namespace's part
 * @pref: which
 *
 * Context: process, may sleep.
 */
void xe_rule_hit(struct xe_net *xn, u32 pref)
{
	struct xe_rule *r;

	mutex_lock(&xn->lock);
	r = xe_rule_find(xn, pref);
	if (r)
		r->hits++;
	mutex_unlock(&xn->lock);
}

/**
 * xe_rule_failed - a state cannot be what a rule says
 * @xn: namespace's part
 * @id: of the state
 * @pref: which rule
 * @reason: why, or NULL
 * @may: it may be a plain one, if the rule says so
 *
 * Context: process, may sleep.
 * Return: true: let it be a plain one. False: refuse it.
 */
bool xe_rule_failed(struct xe_net *xn, const struct xe_id *id, u32 pref,
		    const char *reason, bool may)
{
	struct xe_rule *r;
	bool plain = false;

	mutex_lock(&xn->lock);
	r = xe_rule_find(xn, pref);
	if (r) {
		plain = may && r->flags & XFRM_EXT_RULE_F_OR_PLAIN;
		plain ? r->plain++ : r->refused++;
		xe_rule_refused_event(xn, id, r, plain, reason);
	}
	mutex_unlock(&xn->lock);
	return plain;
}

/**
 * xe_rule_init_net - a namespace begins
 * @xn: its part, not visible to others yet
 */
void xe_rule_init_net(struct xe_net *xn)
{
	INIT_LIST_HEAD(&xn->rules);
}
