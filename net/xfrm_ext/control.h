/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Control: what an SA shall be, how it comes to be, and requests.
 */
#ifndef XFRM_EXT_CONTROL_H
#define XFRM_EXT_CONTROL_H

#include <net/genetlink.h>

#include "eesp.h"
#include "packet.h"

/* Refuse an attribute: name it, its value and its limit, and point at it */
#define xe_refuse_attr(info, attr, fmt, ...) ({				\
	struct genl_info *__info = (info);				\
									\
	NL_SET_BAD_ATTR(__info->extack, __info->attrs[attr]);		\
	xe_extack(__info->extack, fmt, ##__VA_ARGS__);			\
	-EINVAL;							\
})

/* params.c APIs: process context */
#define XE_PARAMS_MAXATTR	XFRM_EXT_A_RX_CRYPT_OFFSET
/* What an announcement and a rule have in common */
#define XE_PARAMS_POLICY						\
	[XFRM_EXT_A_FAMILY]		= { .type = NLA_U16 },		\
	[XFRM_EXT_A_MARK]		= { .type = NLA_U32 },		\
	[XFRM_EXT_A_MARK_MASK]		= { .type = NLA_U32 },		\
	[XFRM_EXT_A_FORMAT]		= { .type = NLA_U32 },		\
	[XFRM_EXT_A_TRAILER]		= { .type = NLA_U32 },		\
	[XFRM_EXT_A_IV]			= { .type = NLA_U32 },		\
	[XFRM_EXT_A_TX_SUBSPACES]	= { .type = NLA_U32 },		\
	[XFRM_EXT_A_TX_BASE]		= { .type = NLA_U32 },		\
	[XFRM_EXT_A_SELECT]		= { .type = NLA_U32 },		\
	[XFRM_EXT_A_SELECT_CPUS]	= { .type = NLA_U32 },		\
	[XFRM_EXT_A_SELECT_DSCP]	= { .type = NLA_BINARY,		\
					    .len = XE_DSCPS * sizeof(u16) }, \
	[XFRM_EXT_A_SELECT_MASK]	= { .type = NLA_U32 },		\
	[XFRM_EXT_A_SELECT_SHIFT]	= { .type = NLA_U32 },		\
	[XFRM_EXT_A_TX_WARN]		= { .type = NLA_U64 },		\
	[XFRM_EXT_A_RX_SUBSPACES]	= { .type = NLA_U32 },		\
	[XFRM_EXT_A_WINDOW]		= { .type = NLA_U32 },		\
	[XFRM_EXT_A_MEMORY_MAX]		= { .type = NLA_U64 },		\
	[XFRM_EXT_A_FLAGS]		= { .type = NLA_U32 },		\
	[XFRM_EXT_A_SUB_KEY]		= { .type = NLA_U32 },		\
	[XFRM_EXT_A_TX_CRYPT_OFFSET]	= { .type = NLA_U32 },		\
	[XFRM_EXT_A_RX_CRYPT_OFFSET]	= { .type = NLA_U32 }
extern const struct nla_policy xe_params_policy[XE_PARAMS_MAXATTR + 1];
int xe_params_parse(struct genl_info *info, struct xe_params *p, bool both);
int xe_params_put(struct sk_buff *skb, const struct xe_params *p);
const struct xe_format *xe_params_format(const struct xe_params *p);

/* announce.c APIs: process context, but for xe_announce_used() */
#define XE_ANNOUNCE_TTL		30	/* seconds */
int xe_announce(struct xe_net *xn, const struct xe_id *id,
		const struct xe_params *params, struct netlink_ext_ack *extack);
int xe_announce_claim(struct xe_net *xn, const struct xe_id *id,
		      const struct xfrm_state *x, struct xe_params *params,
		      struct netlink_ext_ack *extack);
void xe_announce_used(struct xe_net *xn, const struct xfrm_state *x);
void xe_announce_release(struct xe_net *xn, const struct xfrm_state *x);
int xe_announce_withdraw(struct xe_net *xn, const struct xe_id *id,
			 struct netlink_ext_ack *extack);
void xe_announce_init_net(struct xe_net *xn);
void xe_announce_exit_net(struct xe_net *xn);

/**
 * struct xe_claim - what a new state shall be, and who says so
 * @params: what
 * @known: numbers that belong to its key, or NULL; whoever claims holds them
 * @announced: somebody has announced this SA
 * @rule: xe_rule::pref of the rule that says so, or 0. If it is neither, an earlier
 *        SA with its key was so
 */
struct xe_claim {
	struct xe_params params;
	struct xe_numbers *known;
	bool announced;
	u32 rule;
};

/* rule.c APIs: process context */
#define XE_RULES_MAX		1024	/* of a namespace */
#define XE_RULE_MAXATTR		XE_PARAMS_MAXATTR
extern const struct nla_policy xe_rule_policy[XE_RULE_MAXATTR + 1];
enum xe_rule_verdict {
	XE_RULE_NONE,
	XE_RULE_PLAIN,
	XE_RULE_EXTEND,
};

int xe_rule_add(struct genl_info *info);
int xe_rule_del(struct genl_info *info);
int xe_rule_dump(struct sk_buff *skb, struct netlink_callback *cb);
void xe_rule_flush(struct xe_net *xn);
enum xe_rule_verdict xe_rule_match(struct xe_net *xn,
				   const struct xfrm_state *x,
				   struct xe_claim *claim);
bool xe_rule_failed(struct xe_net *xn, const struct xe_id *id, u32 pref,
		    const char *reason, bool may);
void xe_rule_join(struct xe_sa *sa);
void xe_rule_leave(struct xe_sa *sa);
void xe_rule_hit(struct xe_net *xn, u32 pref);
void xe_rule_init_net(struct xe_net *xn);

/* life.c APIs: process context */
int xe_life_claim(struct xfrm_state *x, const struct xe_gate *gate,
		  struct xe_net *xn, const struct xe_claim *claim,
		  struct netlink_ext_ack *extack);
void xe_life_visit(struct xe_sa *sa);
void xe_life_end(struct xe_sa *sa);
void xe_life_init_net(struct xe_net *xn);
void xe_life_exit_net(struct xe_net *xn);
void xe_life_init(void);
void xe_life_exit(void);

/* gate.c APIs: process context */
int xe_gate_init(void);
void xe_gate_exit(void);
bool xe_gate_family(u16 family);

/* netlink.c APIs: process context */
int xe_netlink_init(void);
void xe_netlink_exit(void);

#endif /* XFRM_EXT_CONTROL_H */
