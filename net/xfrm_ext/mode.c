// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which mode an SA has.
 */
#include "mode.h"

/* A selector that stands for one address on either side */
static bool xe_selector_single(const struct xfrm_selector *sel)
{
	u8 len = sel->family == AF_INET ? 32 : 128;

	return (sel->family == AF_INET || sel->family == AF_INET6) &&
	       sel->prefixlen_s == len && sel->prefixlen_d == len;
}

/**
 * xe_mode_get - the mode of an SA
 * @x: state that is being made
 * @params: what was announced for it
 * @extack: for the reason of a refusal
 *
 * Return: the mode, or NULL.
 */
const struct xe_mode *xe_mode_get(const struct xfrm_state *x,
				  const struct xe_params *params,
				  struct netlink_ext_ack *extack)
{
	bool beet_frag = params->flags & XFRM_EXT_SA_F_BEET_FRAG;
	const struct xfrm_selector *sel = &x->sel;

	/* What is inside must say by itself what it is, and how long */
	if (params->trailer == XFRM_EXT_TRAILER_OMIT &&
	    x->props.mode != XFRM_MODE_TUNNEL) {
		xe_extack(extack,
			  "trailer omit (%u) with mode %u: must be tunnel (%u)",
			  XFRM_EXT_TRAILER_OMIT, x->props.mode,
			  XFRM_MODE_TUNNEL);
		return NULL;
	}
	if (beet_frag && (x->props.mode != XFRM_MODE_BEET ||
			  sel->family != AF_INET)) {
		xe_extack(extack,
			  "beet-frag on with mode %u and a selector of family %u: must be beet (%u) and IPv4 (%u)",
			  x->props.mode, sel->family, XFRM_MODE_BEET, AF_INET);
		return NULL;
	}
	switch (x->props.mode) {
	case XFRM_MODE_TUNNEL:
		return &xe_mode_tunnel;
	case XFRM_MODE_TRANSPORT:
		return &xe_mode_transport;
	case XFRM_MODE_BEET:
		break;
	default:
		xe_extack(extack,
			  "mode %u not supported; must be transport (%u), tunnel (%u) or beet (%u)",
			  x->props.mode, XFRM_MODE_TRANSPORT, XFRM_MODE_TUNNEL,
			  XFRM_MODE_BEET);
		return NULL;
	}

	/* The inner addresses are not on the wire: they come from here */
	if (!xe_selector_single(sel)) {
		xe_extack(extack,
			  "mode beet with selector prefixes /%u and /%u: both must be one address, the inner ones",
			  sel->prefixlen_s, sel->prefixlen_d);
		return NULL;
	}
	/* The kernel delivers for xfrm interfaces, and knows no fragments */
	if (beet_frag && x->if_id && params->rx_subspaces) {
		xe_extack(extack,
			  "beet-frag on contradicts if_id 0x%x: xfrm interfaces receive no fragments; must be 0",
			  x->if_id);
		return NULL;
	}
	return &xe_mode_beet;
}
