// SPDX-License-Identifier: GPL-2.0-only
/*
 * xfrm_ext_names.c	The names of Documentation/netlink/specs/xfrm_ext.yaml, and
 *			attributes as JSON under these. A new attribute is a line here.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xfrm_ext_host.h"
#include "xfrm_ext.h"

enum ext_kind {
	EXT_UNKNOWN,
	EXT_U16,
	EXT_U32,
	EXT_U64,
	EXT_BE32,
	EXT_FAMILY,	/* u16 */
	EXT_ADDR,	/* 4 or 16 octets */
	EXT_ENUM,	/* u32, a name of the attribute of */
	EXT_BITS,	/* u32, a bit per such name */
	EXT_FLAGS,	/* u32, names of the table */
	EXT_MODES,	/* u32, a bit per XFRM_MODE_ */
	EXT_CLASSES,	/* 64 u16 */
	EXT_STRING,
	EXT_OCTETS,	/* as hex digits */
	EXT_STRINGS,	/* comes many times */
	EXT_STATS,
	EXT_SUBSPACES,	/* comes many times */
	EXT_FLAG,	/* no value */
};

static const char * const sa_flag_names[] = {
	"no-fastpath", "no-replay-protection", "hold", "beet-frag", "esn", "spread", "echo", NULL
};

static const char * const rule_flag_names[] = { "or-plain", "plain", NULL };

static const struct ext_attr {
	const char *name;
	enum ext_kind kind;
	enum xfrm_ext_attr of;
	const char * const *flags;
} ext_attrs[] = {
	[XFRM_EXT_A_FAMILY]		= { "family", EXT_FAMILY },
	[XFRM_EXT_A_DADDR]		= { "daddr", EXT_ADDR },
	[XFRM_EXT_A_SPI]		= { "spi", EXT_BE32 },
	[XFRM_EXT_A_MARK]		= { "mark", EXT_U32 },
	[XFRM_EXT_A_MARK_MASK]		= { "mark-mask", EXT_U32 },
	[XFRM_EXT_A_FORMAT]		= { "format", EXT_ENUM, XFRM_EXT_A_FORMAT },
	[XFRM_EXT_A_TRAILER]		= { "trailer", EXT_ENUM, XFRM_EXT_A_TRAILER },
	[XFRM_EXT_A_IV]			= { "iv", EXT_ENUM, XFRM_EXT_A_IV },
	[XFRM_EXT_A_TX_SUBSPACES]	= { "tx-subspaces", EXT_U32 },
	[XFRM_EXT_A_TX_BASE]		= { "tx-base", EXT_U32 },
	[XFRM_EXT_A_SELECT]		= { "select", EXT_ENUM, XFRM_EXT_A_SELECT },
	[XFRM_EXT_A_SELECT_CPUS]	= { "select-cpus", EXT_U32 },
	[XFRM_EXT_A_SELECT_DSCP]	= { "select-dscp", EXT_CLASSES },
	[XFRM_EXT_A_SELECT_MASK]	= { "select-mask", EXT_U32 },
	[XFRM_EXT_A_SELECT_SHIFT]	= { "select-shift", EXT_U32 },
	[XFRM_EXT_A_TX_START]		= { "tx-start", EXT_U64 },
	[XFRM_EXT_A_TX_WARN]		= { "tx-warn", EXT_U64 },
	[XFRM_EXT_A_RX_SUBSPACES]	= { "rx-subspaces", EXT_U32 },
	[XFRM_EXT_A_WINDOW]		= { "window", EXT_U32 },
	[XFRM_EXT_A_MEMORY_MAX]		= { "memory-max", EXT_U64 },
	[XFRM_EXT_A_FLAGS]		= { "flags", EXT_FLAGS, 0, sa_flag_names },
	[XFRM_EXT_A_STATE]		= { "state", EXT_ENUM, XFRM_EXT_A_STATE },
	[XFRM_EXT_A_REASON]		= { "reason", EXT_STRING },
	[XFRM_EXT_A_STATS]		= { "stats", EXT_STATS },
	[XFRM_EXT_A_TX_SUBSPACE]	= { "tx-subspace", EXT_SUBSPACES },
	[XFRM_EXT_A_RX_SUBSPACE]	= { "rx-subspace", EXT_SUBSPACES },
	[XFRM_EXT_A_MEMORY]		= { "memory", EXT_U64 },
	[XFRM_EXT_A_OUT_OF_RANGE]	= { "out-of-range", EXT_U32 },
	[XFRM_EXT_A_GAP]		= { "gap", EXT_U64 },
	[XFRM_EXT_A_RELEASE]		= { "release", EXT_FLAG },
	[XFRM_EXT_A_DUMMY_LEN]		= { "dummy-len", EXT_U32 },
	[XFRM_EXT_A_DUMMY_SUBSPACE]	= { "dummy-subspace", EXT_U32 },
	[XFRM_EXT_A_CAP_FORMATS]	= { "cap-formats", EXT_BITS, XFRM_EXT_A_FORMAT },
	[XFRM_EXT_A_CAP_TRAILERS]	= { "cap-trailers", EXT_BITS, XFRM_EXT_A_TRAILER },
	[XFRM_EXT_A_CAP_IVS]		= { "cap-ivs", EXT_BITS, XFRM_EXT_A_IV },
	[XFRM_EXT_A_CAP_SELECTS]	= { "cap-selects", EXT_BITS, XFRM_EXT_A_SELECT },
	[XFRM_EXT_A_CAP_MODES]		= { "cap-modes", EXT_MODES },
	[XFRM_EXT_A_CAP_FLAGS]		= { "cap-flags", EXT_FLAGS, 0, sa_flag_names },
	[XFRM_EXT_A_CAP_SUBSPACES_MAX]	= { "cap-subspaces-max", EXT_U32 },
	[XFRM_EXT_A_CAP_WINDOW_MIN]	= { "cap-window-min", EXT_U32 },
	[XFRM_EXT_A_CAP_WINDOW_MAX]	= { "cap-window-max", EXT_U32 },
	[XFRM_EXT_A_CAP_ALGORITHM]	= { "cap-algorithm", EXT_STRINGS },
	[XFRM_EXT_A_CAP_ANNOUNCE_TTL]	= { "cap-announce-ttl", EXT_U32 },
	[XFRM_EXT_A_CAP_NETNS_MEMORY]	= { "cap-netns-memory", EXT_U64 },
	[XFRM_EXT_A_CAP_NETNS_MEMORY_MAX] = { "cap-netns-memory-max", EXT_U64 },
	[XFRM_EXT_A_RULE_PREF]		= { "rule-pref", EXT_U32 },
	[XFRM_EXT_A_RULE_FLAGS]		= { "rule-flags", EXT_FLAGS, 0, rule_flag_names },
	[XFRM_EXT_A_RULE_REQID]		= { "rule-reqid", EXT_U32 },
	[XFRM_EXT_A_RULE_IF_ID]		= { "rule-if-id", EXT_U32 },
	[XFRM_EXT_A_RULE_SRC]		= { "rule-src", EXT_ADDR },
	[XFRM_EXT_A_RULE_SRC_LEN]	= { "rule-src-len", EXT_U32 },
	[XFRM_EXT_A_RULE_DST]		= { "rule-dst", EXT_ADDR },
	[XFRM_EXT_A_RULE_DST_LEN]	= { "rule-dst-len", EXT_U32 },
	[XFRM_EXT_A_RULE_HITS]		= { "rule-hits", EXT_U64 },
	[XFRM_EXT_A_RULE_REFUSED]	= { "rule-refused", EXT_U64 },
	[XFRM_EXT_A_RULE_PLAIN]		= { "rule-plain", EXT_U64 },
	[XFRM_EXT_A_UNAUTHENTIC]	= { "unauthentic", EXT_U64 },
	[XFRM_EXT_A_CAP_RULES_MAX]	= { "cap-rules-max", EXT_U32 },
	[XFRM_EXT_A_CAP_NETNS_KEYS]	= { "cap-netns-keys", EXT_U32 },
	[XFRM_EXT_A_CAP_NETNS_KEYS_MEMORY] = { "cap-netns-keys-memory", EXT_U64 },
	[XFRM_EXT_A_SAS]		= { "sas", EXT_U32 },
	[XFRM_EXT_A_SUB_KEY]		= { "sub-key", EXT_U32 },
	[XFRM_EXT_A_TX_CRYPT_OFFSET]	= { "tx-crypt-offset", EXT_U32 },
	[XFRM_EXT_A_RX_CRYPT_OFFSET]	= { "rx-crypt-offset", EXT_U32 },
	[XFRM_EXT_A_CAP_EESP_PROTOCOL]	= { "cap-eesp-protocol", EXT_U32 },
	[XFRM_EXT_A_CAP_SUB_SAS_MAX]	= { "cap-sub-sas-max", EXT_U32 },
	[XFRM_EXT_A_ECHO_ID]		= { "echo-id", EXT_U16 },
	[XFRM_EXT_A_ECHO_SEQ]		= { "echo-seq", EXT_U16 },
	[XFRM_EXT_A_ECHO_REPLY_SPI]	= { "echo-reply-spi", EXT_BE32 },
	[XFRM_EXT_A_ECHO_SUBSPACE]	= { "echo-subspace", EXT_U32 },
	[XFRM_EXT_A_ECHO_LEN]		= { "echo-len", EXT_U32 },
	[XFRM_EXT_A_ECHO_DATA]		= { "echo-data", EXT_OCTETS },
	[XFRM_EXT_A_REASSEMBLED]	= { "reassembled", EXT_U64 },
	[XFRM_EXT_A_FRAGMENT_MAX]	= { "fragment-max", EXT_U32 },
	[XFRM_EXT_A_EXPOSED]		= { "exposed", EXT_U32 },
};

_Static_assert(ARRAY_SIZE(ext_attrs) == XFRM_EXT_A_MAX + 1,
	       "an attribute of linux/xfrm_ext.h has no name here");

static const char * const stat_names[] = {
	[XFRM_EXT_STAT_TX_PACKETS]	= "tx-packets",
	[XFRM_EXT_STAT_TX_BYTES]	= "tx-bytes",
	[XFRM_EXT_STAT_RX_PACKETS]	= "rx-packets",
	[XFRM_EXT_STAT_RX_BYTES]	= "rx-bytes",
	[XFRM_EXT_STAT_TX_NOT_READY]	= "tx-not-ready",
	[XFRM_EXT_STAT_TX_NO_SUBSPACES]	= "tx-no-subspaces",
	[XFRM_EXT_STAT_TX_EXPIRED]	= "tx-expired",
	[XFRM_EXT_STAT_TX_EXHAUSTED]	= "tx-exhausted",
	[XFRM_EXT_STAT_TX_INNER]	= "tx-inner",
	[XFRM_EXT_STAT_TX_FRAGMENT]	= "tx-fragment",
	[XFRM_EXT_STAT_TX_TOO_BIG]	= "tx-too-big",
	[XFRM_EXT_STAT_TX_SEGMENT]	= "tx-segment",
	[XFRM_EXT_STAT_TX_NOMEM]	= "tx-nomem",
	[XFRM_EXT_STAT_TX_CRYPTO]	= "tx-crypto",
	[XFRM_EXT_STAT_RX_NOT_READY]	= "rx-not-ready",
	[XFRM_EXT_STAT_RX_NO_SUBSPACES]	= "rx-no-subspaces",
	[XFRM_EXT_STAT_RX_EXPIRED]	= "rx-expired",
	[XFRM_EXT_STAT_RX_TRUNCATED]	= "rx-truncated",
	[XFRM_EXT_STAT_RX_SUBSPACE]	= "rx-subspace",
	[XFRM_EXT_STAT_RX_ZERO]		= "rx-zero",
	[XFRM_EXT_STAT_RX_REPLAY]	= "rx-replay",
	[XFRM_EXT_STAT_RX_TOO_OLD]	= "rx-too-old",
	[XFRM_EXT_STAT_RX_ICV]		= "rx-icv",
	[XFRM_EXT_STAT_RX_TRAILER]	= "rx-trailer",
	[XFRM_EXT_STAT_RX_NEXT_HEADER]	= "rx-next-header",
	[XFRM_EXT_STAT_RX_DUMMY]	= "rx-dummy",
	[XFRM_EXT_STAT_RX_PSEUDO_HEADER] = "rx-pseudo-header",
	[XFRM_EXT_STAT_RX_FRAGMENT]	= "rx-fragment",
	[XFRM_EXT_STAT_RX_INNER]	= "rx-inner",
	[XFRM_EXT_STAT_RX_NOMEM]	= "rx-nomem",
	[XFRM_EXT_STAT_RX_NOMEM_WINDOW]	= "rx-nomem-window",
	[XFRM_EXT_STAT_RX_CRYPTO]	= "rx-crypto",
	[XFRM_EXT_STAT_RX_HEADER]	= "rx-header",
	[XFRM_EXT_STAT_RX_CRYPT_OFFSET]	= "rx-crypt-offset",
	[XFRM_EXT_STAT_RX_ECHO]		= "rx-echo",
	[XFRM_EXT_STAT_RX_ECHO_REFUSED]	= "rx-echo-refused",
};

_Static_assert(ARRAY_SIZE(stat_names) == XFRM_EXT_STAT_MAX + 1,
	       "a counter of linux/xfrm_ext.h has no name here");

static const char * const cmd_names[] = {
	[XFRM_EXT_CMD_CAPS]		= "caps",
	[XFRM_EXT_CMD_ANNOUNCE]		= "announce",
	[XFRM_EXT_CMD_WITHDRAW]		= "withdraw",
	[XFRM_EXT_CMD_GET]		= "get",
	[XFRM_EXT_CMD_SET]		= "set",
	[XFRM_EXT_CMD_DUMMY]		= "dummy",
	[XFRM_EXT_CMD_FIRST_USE]	= "first-use",
	[XFRM_EXT_CMD_NEAR_END]		= "near-end",
	[XFRM_EXT_CMD_EXHAUSTED]	= "exhausted",
	[XFRM_EXT_CMD_WINDOW_DROPS]	= "window-drops",
	[XFRM_EXT_CMD_OUT_OF_RANGE]	= "out-of-range",
	[XFRM_EXT_CMD_RULE_ADD]		= "rule-add",
	[XFRM_EXT_CMD_RULE_DEL]		= "rule-del",
	[XFRM_EXT_CMD_RULE_FLUSH]	= "rule-flush",
	[XFRM_EXT_CMD_RULE_GET]		= "rule-get",
	[XFRM_EXT_CMD_RULE_REFUSED]	= "rule-refused",
	[XFRM_EXT_CMD_NONE_AUTHENTIC]	= "none-authentic",
	[XFRM_EXT_CMD_TOTALS]		= "totals",
	[XFRM_EXT_CMD_ECHO]		= "echo",
	[XFRM_EXT_CMD_ECHO_REPLY]	= "echo-reply",
	[XFRM_EXT_CMD_REASSEMBLED]	= "reassembled",
	[XFRM_EXT_CMD_CRYPT_OFFSET]	= "crypt-offset",
};

_Static_assert(ARRAY_SIZE(cmd_names) == XFRM_EXT_CMD_MAX + 1,
	       "a command of linux/xfrm_ext.h has no name here");

static const char * const subspace_names[] = {
	[XFRM_EXT_SUBSPACE_ID]		= "id",
	[XFRM_EXT_SUBSPACE_HIGHEST]	= "highest",
	[XFRM_EXT_SUBSPACE_PACKETS]	= "packets",
	[XFRM_EXT_SUBSPACE_REPLAYS]	= "replays",
	[XFRM_EXT_SUBSPACE_TOO_OLD]	= "too-old",
	[XFRM_EXT_SUBSPACE_BACKTRACK]	= "backtrack",
};

_Static_assert(ARRAY_SIZE(subspace_names) == XFRM_EXT_SUBSPACE_MAX + 1,
	       "a number of linux/xfrm_ext.h has no name here");

static const char * const state_names[] = { "claimed", "ready", "failed", "held" };

/* NULL for what only a newer module knows, as in all that follow */
const char *xfrm_ext_attr_name(int attr)
{
	return attr >= 0 && attr < ARRAY_SIZE(ext_attrs) ? ext_attrs[attr].name : NULL;
}

const char *xfrm_ext_stat_name(int stat)
{
	return stat >= 0 && stat < ARRAY_SIZE(stat_names) ? stat_names[stat] : NULL;
}

/* Those in front are of packets that were not dropped */
bool xfrm_ext_stat_is_drop(int stat)
{
	return stat >= XFRM_EXT_STAT_TX_NOT_READY;
}

const char *xfrm_ext_cmd_name(int cmd)
{
	return cmd >= 0 && cmd < ARRAY_SIZE(cmd_names) ? cmd_names[cmd] : NULL;
}

const char *xfrm_ext_mode_name(__u32 mode)
{
	switch (mode) {
	case XFRM_MODE_TRANSPORT:
		return "transport";
	case XFRM_MODE_TUNNEL:
		return "tunnel";
	case XFRM_MODE_BEET:
		return "beet";
	default:
		return NULL;
	}
}

static const char *ext_value_name(const struct ext_attr *a, __u32 val)
{
	int i;

	if (a->kind == EXT_MODES)
		return xfrm_ext_mode_name(val);
	if (a->of == XFRM_EXT_A_STATE)
		return val < ARRAY_SIZE(state_names) ? state_names[val] : NULL;
	if (!a->flags)
		return xfrm_ext_name(a->of, val);

	for (i = 0; a->flags[i]; i++)
		if (i == val)
			return a->flags[i];

	return NULL;
}

/* A name, or the number of what has none here */
static void ext_json_value(const struct ext_attr *a, const char *key, __u32 val)
{
	const char *name = ext_value_name(a, val);

	if (name)
		print_string(PRINT_JSON, key, NULL, name);
	else
		print_uint(PRINT_JSON, key, NULL, val);
}

static void ext_json_bits(const struct ext_attr *a, __u32 bits)
{
	int i;

	open_json_array(PRINT_JSON, a->name);
	for (i = 0; i < 32; i++)
		if (bits & (1u << i))
			ext_json_value(a, NULL, i);
	close_json_array(PRINT_JSON, NULL);
}

static void ext_json_classes(const struct ext_attr *a, const struct rtattr *rta)
{
	__u16 class;
	int i;

	open_json_array(PRINT_JSON, a->name);
	for (i = 0; i < RTA_PAYLOAD(rta) / sizeof(class); i++) {
		memcpy(&class, (char *)RTA_DATA(rta) + i * sizeof(class), sizeof(class));
		print_uint(PRINT_JSON, NULL, NULL, class);
	}
	close_json_array(PRINT_JSON, NULL);
}

/* Numbers, each under its name */
static void ext_json_numbers(const char *key, const struct rtattr *nest,
			     const char * const *names, int n_names)
{
	const struct rtattr *rta = RTA_DATA(nest);
	int len = RTA_PAYLOAD(nest);

	open_json_object(key);
	for (; RTA_OK(rta, len); rta = RTA_NEXT(rta, len)) {
		int type = rta->rta_type & NLA_TYPE_MASK;

		if (type >= n_names || !names[type])
			continue;
		if (RTA_PAYLOAD(rta) == sizeof(__u64))
			print_u64(PRINT_JSON, names[type], NULL, rta_getattr_u64(rta));
		else if (RTA_PAYLOAD(rta) == sizeof(__u32))
			print_uint(PRINT_JSON, names[type], NULL, rta_getattr_u32(rta));
	}
	close_json_object();
}

static void ext_json_octets(const struct ext_attr *a, const struct rtattr *rta)
{
	const unsigned char *octets = RTA_DATA(rta);
	int i, n = RTA_PAYLOAD(rta);
	char hex[2 * n + 1];

	for (i = 0; i < n; i++)
		sprintf(hex + 2 * i, "%02x", octets[i]);
	hex[2 * n] = '\0';
	print_string(PRINT_JSON, a->name, NULL, hex);
}

static void ext_json_one(const struct ext_attr *a, const struct rtattr *rta)
{
	int len = RTA_PAYLOAD(rta);

	switch (a->kind) {
	case EXT_U16:
		print_uint(PRINT_JSON, a->name, NULL, rta_getattr_u16(rta));
		break;
	case EXT_U32:
		print_uint(PRINT_JSON, a->name, NULL, rta_getattr_u32(rta));
		break;
	case EXT_U64:
		print_u64(PRINT_JSON, a->name, NULL, rta_getattr_u64(rta));
		break;
	case EXT_BE32:
		print_uint(PRINT_JSON, a->name, NULL, ntohl(rta_getattr_u32(rta)));
		break;
	case EXT_FAMILY:
		print_string(PRINT_JSON, a->name, NULL,
			     family_name(rta_getattr_u16(rta)));
		break;
	case EXT_ADDR:
		if (len == 4 || len == 16)
			print_string(PRINT_JSON, a->name, NULL,
				     rt_addr_n2a(len == 4 ? AF_INET : AF_INET6, len,
						 RTA_DATA(rta)));
		break;
	case EXT_ENUM:
		ext_json_value(a, a->name, rta_getattr_u32(rta));
		break;
	case EXT_BITS:
	case EXT_FLAGS:
	case EXT_MODES:
		ext_json_bits(a, rta_getattr_u32(rta));
		break;
	case EXT_CLASSES:
		ext_json_classes(a, rta);
		break;
	case EXT_STRING:
		print_string(PRINT_JSON, a->name, NULL, rta_getattr_str(rta));
		break;
	case EXT_OCTETS:
		ext_json_octets(a, rta);
		break;
	case EXT_STRINGS:
		print_string(PRINT_JSON, NULL, NULL, rta_getattr_str(rta));
		break;
	case EXT_STATS:
		ext_json_numbers(a->name, rta, stat_names, ARRAY_SIZE(stat_names));
		break;
	case EXT_SUBSPACES:
		ext_json_numbers(NULL, rta, subspace_names, ARRAY_SIZE(subspace_names));
		break;
	case EXT_FLAG:
		print_bool(PRINT_JSON, a->name, NULL, true);
		break;
	case EXT_UNKNOWN:
		break;
	}
}

static bool ext_is_count(int type)
{
	switch (type) {
	case XFRM_EXT_A_STATS:
	case XFRM_EXT_A_TX_SUBSPACE:
	case XFRM_EXT_A_RX_SUBSPACE:
	case XFRM_EXT_A_MEMORY:
	case XFRM_EXT_A_OUT_OF_RANGE:
	case XFRM_EXT_A_REASSEMBLED:
	case XFRM_EXT_A_FRAGMENT_MAX:
		return true;
	default:
		return false;
	}
}

/*
 * Each attribute under its name, those that come many times as an array; how
 * an SA fares only with counts
 */
void xfrm_ext_json(const void *attrs, int len, bool counts)
{
	const struct rtattr *rta = attrs, *more;
	bool done[XFRM_EXT_A_MAX + 1] = {};
	int left;

	for (; RTA_OK(rta, len); rta = RTA_NEXT(rta, len)) {
		int type = rta->rta_type & NLA_TYPE_MASK;
		const struct ext_attr *a;

		if (!xfrm_ext_attr_name(type) || done[type] ||
		    (!counts && ext_is_count(type)))
			continue;
		a = &ext_attrs[type];
		done[type] = true;
		if (a->kind != EXT_STRINGS && a->kind != EXT_SUBSPACES) {
			ext_json_one(a, rta);
			continue;
		}
		open_json_array(PRINT_JSON, a->name);
		left = len;
		for (more = rta; RTA_OK(more, left); more = RTA_NEXT(more, left))
			if ((more->rta_type & NLA_TYPE_MASK) == type)
				ext_json_one(a, more);
		close_json_array(PRINT_JSON, NULL);
	}
}

void xfrm_ext_json_message(struct nlmsghdr *n)
{
	xfrm_ext_json(XFRM_EXT_RTA(n), XFRM_EXT_PAYLOAD(n), true);
}
