/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Control: what an SA shall be, how it comes to be, and requests.
 */
#ifndef XFRM_EXT_CONTROL_H
#define XFRM_EXT_CONTROL_H

#include <net/genetlink.h>

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
#define XE_PARAMS_MAXATTR	XFRM_EXT_A_FLAGS
extern const struct nla_policy xe_params_policy[XE_PARAMS_MAXATTR + 1];
int xe_params_parse(struct genl_info *info, struct xe_params *p);
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

/* life.c APIs: process context */
int xe_life_claim(struct xfrm_state *x, const struct xe_gate *gate,
		  struct xe_net *xn, const struct xe_params *params,
		  struct netlink_ext_ack *extack);
void xe_life_end(struct xe_sa *sa);
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
