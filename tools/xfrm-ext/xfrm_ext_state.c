// SPDX-License-Identifier: GPL-2.0-only
/*
 * xfrm_ext_state.c	A state of the kernel's, extended or not, as a JSON object, in the
 *			words of "ip xfrm state". Its keys are never shown.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xfrm_ext_host.h"
#include "xfrm_ext.h"

struct bit_name {
	__u32 bit;
	const char *name;
};

static const struct bit_name flag_names[] = {
	{ XFRM_STATE_NOECN, "noecn" },
	{ XFRM_STATE_DECAP_DSCP, "decap-dscp" },
	{ XFRM_STATE_NOPMTUDISC, "nopmtudisc" },
	{ XFRM_STATE_WILDRECV, "wildrecv" },
	{ XFRM_STATE_ICMP, "icmp" },
	{ XFRM_STATE_AF_UNSPEC, "af-unspec" },
	{ XFRM_STATE_ALIGN4, "align4" },
	{ XFRM_STATE_ESN, "esn" },
	{}
};

static const struct bit_name extra_flag_names[] = {
	{ XFRM_SA_XFLAG_DONT_ENCAP_DSCP, "dont-encap-dscp" },
	{ XFRM_SA_XFLAG_OSEQ_MAY_WRAP, "oseq-may-wrap" },
	{}
};

static void json_bits(const char *key, const struct bit_name *names, __u32 bits)
{
	if (!bits)
		return;

	open_json_array(PRINT_JSON, key);
	for (; names->bit; names++) {
		if (bits & names->bit)
			print_string(PRINT_JSON, NULL, NULL, names->name);
		bits &= ~names->bit;
	}
	if (bits)
		print_uint(PRINT_JSON, NULL, NULL, bits);
	close_json_array(PRINT_JSON, NULL);
}

static void json_addr(const char *key, int family, const void *addr)
{
	print_string(PRINT_JSON, key, NULL,
		     rt_addr_n2a(family, family == AF_INET6 ? 16 : 4, addr));
}

static void json_proto(const char *key, int proto)
{
	switch (proto) {
	case IPPROTO_ESP:
		print_string(PRINT_JSON, key, NULL, "esp");
		break;
	case IPPROTO_AH:
		print_string(PRINT_JSON, key, NULL, "ah");
		break;
	case IPPROTO_COMP:
		print_string(PRINT_JSON, key, NULL, "comp");
		break;
	case IPPROTO_ROUTING:
		print_string(PRINT_JSON, key, NULL, "route2");
		break;
	case IPPROTO_DSTOPTS:
		print_string(PRINT_JSON, key, NULL, "hao");
		break;
	default:
		print_uint(PRINT_JSON, key, NULL, proto);
	}
}

static void json_mode(__u32 mode)
{
	const char *name = xfrm_ext_mode_name(mode);

	if (!name && mode == XFRM_MODE_ROUTEOPTIMIZATION)
		name = "ro";
	if (!name && mode == XFRM_MODE_IN_TRIGGER)
		name = "in_trigger";
	if (name)
		print_string(PRINT_JSON, "mode", NULL, name);
	else
		print_uint(PRINT_JSON, "mode", NULL, mode);
}

/* Names and lengths in bits, and nothing of what is behind them */
static void json_algorithm(const char *word, const char *name, __u32 key_len,
			   int icv_len)
{
	open_json_object(word);
	print_string(PRINT_JSON, "name", NULL, name);
	print_uint(PRINT_JSON, "key-len", NULL, key_len);
	if (icv_len >= 0)
		print_uint(PRINT_JSON, "icv-len", NULL, icv_len);
	close_json_object();
}

static void json_algorithms(struct rtattr *tb[])
{
	const struct xfrm_algo_auth *trunc;
	const struct xfrm_algo_aead *aead;
	const struct xfrm_algo *algo;

	if (tb[XFRMA_ALG_AUTH_TRUNC]) {
		trunc = RTA_DATA(tb[XFRMA_ALG_AUTH_TRUNC]);
		json_algorithm("auth-trunc", trunc->alg_name, trunc->alg_key_len,
			       trunc->alg_trunc_len);
	} else if (tb[XFRMA_ALG_AUTH]) {
		algo = RTA_DATA(tb[XFRMA_ALG_AUTH]);
		json_algorithm("auth", algo->alg_name, algo->alg_key_len, -1);
	}
	if (tb[XFRMA_ALG_AEAD]) {
		aead = RTA_DATA(tb[XFRMA_ALG_AEAD]);
		json_algorithm("aead", aead->alg_name, aead->alg_key_len,
			       aead->alg_icv_len);
	}
	if (tb[XFRMA_ALG_CRYPT]) {
		algo = RTA_DATA(tb[XFRMA_ALG_CRYPT]);
		json_algorithm("enc", algo->alg_name, algo->alg_key_len, -1);
	}
	if (tb[XFRMA_ALG_COMP]) {
		algo = RTA_DATA(tb[XFRMA_ALG_COMP]);
		json_algorithm("comp", algo->alg_name, algo->alg_key_len, -1);
	}
}

static void json_encap(const struct rtattr *rta, int family)
{
	const struct xfrm_encap_tmpl *e = RTA_DATA(rta);

	if (RTA_PAYLOAD(rta) < sizeof(*e))
		return;

	open_json_object("encap");
	switch (e->encap_type) {
	case 1:
		print_string(PRINT_JSON, "type", NULL, "espinudp-nonike");
		break;
	case 2:
		print_string(PRINT_JSON, "type", NULL, "espinudp");
		break;
	case 7:
		print_string(PRINT_JSON, "type", NULL, "espintcp");
		break;
	default:
		print_uint(PRINT_JSON, "type", NULL, e->encap_type);
	}
	print_uint(PRINT_JSON, "sport", NULL, ntohs(e->encap_sport));
	print_uint(PRINT_JSON, "dport", NULL, ntohs(e->encap_dport));
	json_addr("addr", family, &e->encap_oa);
	close_json_object();
}

static void json_u32(const char *key, const struct rtattr *rta)
{
	if (rta)
		print_uint(PRINT_JSON, key, NULL, rta_getattr_u32(rta));
}

static void json_marks(struct rtattr *tb[])
{
	struct xfrm_mark mark;

	xfrm_ext_mark_of(&mark, tb);
	if (tb[XFRMA_MARK]) {
		print_uint(PRINT_JSON, "mark", NULL, mark.v);
		print_uint(PRINT_JSON, "mark-mask", NULL, mark.m);
	}
	json_u32("output-mark", tb[XFRMA_SET_MARK]);
	json_u32("output-mark-mask", tb[XFRMA_SET_MARK_MASK]);
}

static void json_replay(struct rtattr *tb[])
{
	const struct xfrm_replay_state_esn *esn;
	const struct xfrm_replay_state *replay;

	if (!tb[XFRMA_REPLAY_VAL] && !tb[XFRMA_REPLAY_ESN_VAL])
		return;

	open_json_object("anti-replay");
	if (tb[XFRMA_REPLAY_ESN_VAL]) {
		esn = RTA_DATA(tb[XFRMA_REPLAY_ESN_VAL]);
		print_u64(PRINT_JSON, "seq", NULL, (__u64)esn->seq_hi << 32 | esn->seq);
		print_u64(PRINT_JSON, "oseq", NULL,
			  (__u64)esn->oseq_hi << 32 | esn->oseq);
		print_uint(PRINT_JSON, "replay-window", NULL, esn->replay_window);
	} else {
		replay = RTA_DATA(tb[XFRMA_REPLAY_VAL]);
		print_uint(PRINT_JSON, "seq", NULL, replay->seq);
		print_uint(PRINT_JSON, "oseq", NULL, replay->oseq);
	}
	close_json_object();
}

static void json_offload(const struct rtattr *rta)
{
	const struct xfrm_user_offload *offload;
	char name[IF_NAMESIZE];

	if (!rta)
		return;

	offload = RTA_DATA(rta);
	open_json_object("offload");
	if (if_indextoname(offload->ifindex, name))
		print_string(PRINT_JSON, "dev", NULL, name);
	print_string(PRINT_JSON, "dir", NULL,
		     offload->flags & XFRM_OFFLOAD_INBOUND ? "in" : "out");
	close_json_object();
}

/* What is all zero matches everything */
static void json_selector(const struct xfrm_selector *sel, int family)
{
	static const struct xfrm_selector none;
	struct xfrm_selector copy = *sel;
	char name[IF_NAMESIZE], prefix[64];

	copy.family = 0;
	if (memcmp(&copy, &none, sizeof(none)) == 0)
		return;
	if (sel->family)
		family = sel->family;

	open_json_object("sel");
	snprintf(prefix, sizeof(prefix), "%s/%u",
		 rt_addr_n2a(family, family == AF_INET6 ? 16 : 4, &sel->saddr),
		 sel->prefixlen_s);
	print_string(PRINT_JSON, "src", NULL, prefix);
	snprintf(prefix, sizeof(prefix), "%s/%u",
		 rt_addr_n2a(family, family == AF_INET6 ? 16 : 4, &sel->daddr),
		 sel->prefixlen_d);
	print_string(PRINT_JSON, "dst", NULL, prefix);
	if (sel->proto)
		print_uint(PRINT_JSON, "proto", NULL, sel->proto);
	if (sel->sport_mask)
		print_uint(PRINT_JSON, "sport", NULL, ntohs(sel->sport));
	if (sel->dport_mask)
		print_uint(PRINT_JSON, "dport", NULL, ntohs(sel->dport));
	if (sel->ifindex && if_indextoname(sel->ifindex, name))
		print_string(PRINT_JSON, "dev", NULL, name);
	close_json_object();
}

static void json_context(const struct rtattr *rta)
{
	const struct xfrm_user_sec_ctx *ctx;
	char text[256];

	if (!rta || RTA_PAYLOAD(rta) < sizeof(*ctx))
		return;

	ctx = RTA_DATA(rta);
	if (ctx->ctx_len > RTA_PAYLOAD(rta) - sizeof(*ctx))
		return;
	snprintf(text, sizeof(text), "%.*s", ctx->ctx_len, (const char *)(ctx + 1));
	print_string(PRINT_JSON, "ctx", NULL, text);
}

/* A limit that is not set is left out */
static void json_limit(const char *key, __u64 val)
{
	if (val != XFRM_INF && val)
		print_u64(PRINT_JSON, key, NULL, val);
}

static void json_stats(const struct xfrm_usersa_info *xsinfo)
{
	open_json_object("limit");
	json_limit("byte-soft", xsinfo->lft.soft_byte_limit);
	json_limit("byte-hard", xsinfo->lft.hard_byte_limit);
	json_limit("packet-soft", xsinfo->lft.soft_packet_limit);
	json_limit("packet-hard", xsinfo->lft.hard_packet_limit);
	json_limit("time-soft", xsinfo->lft.soft_add_expires_seconds);
	json_limit("time-hard", xsinfo->lft.hard_add_expires_seconds);
	json_limit("time-use-soft", xsinfo->lft.soft_use_expires_seconds);
	json_limit("time-use-hard", xsinfo->lft.hard_use_expires_seconds);
	close_json_object();

	open_json_object("lifetime");
	print_u64(PRINT_JSON, "bytes", NULL, xsinfo->curlft.bytes);
	print_u64(PRINT_JSON, "packets", NULL, xsinfo->curlft.packets);
	print_u64(PRINT_JSON, "add-time", NULL, xsinfo->curlft.add_time);
	if (xsinfo->curlft.use_time)
		print_u64(PRINT_JSON, "use-time", NULL, xsinfo->curlft.use_time);
	close_json_object();

	open_json_object("stats");
	print_uint(PRINT_JSON, "replay-window", NULL, xsinfo->stats.replay_window);
	print_uint(PRINT_JSON, "replay", NULL, xsinfo->stats.replay);
	print_uint(PRINT_JSON, "failed", NULL, xsinfo->stats.integrity_failed);
	close_json_object();
}

void xfrm_ext_state_json(const struct xfrm_usersa_info *xsinfo,
			 struct rtattr *tb[])
{
	int family = xsinfo->family;
	__u32 extra = 0;

	if (tb[XFRMA_SA_EXTRA_FLAGS])
		extra = rta_getattr_u32(tb[XFRMA_SA_EXTRA_FLAGS]);

	open_json_object(NULL);
	json_addr("src", family, &xsinfo->saddr);
	json_addr("dst", family, &xsinfo->id.daddr);
	json_proto("proto", xsinfo->id.proto);
	print_uint(PRINT_JSON, "spi", NULL, ntohl(xsinfo->id.spi));
	print_uint(PRINT_JSON, "reqid", NULL, xsinfo->reqid);
	json_mode(xsinfo->mode);
	print_uint(PRINT_JSON, "replay-window", NULL, xsinfo->replay_window);
	if (xsinfo->seq)
		print_uint(PRINT_JSON, "seq", NULL, xsinfo->seq);
	json_bits("flag", flag_names, xsinfo->flags);
	json_bits("extra-flag", extra_flag_names, extra & ~XFRM_EXT_SA_XFLAG);
	json_marks(tb);
	json_u32("if_id", tb[XFRMA_IF_ID]);
	json_u32("tfcpad", tb[XFRMA_TFCPAD]);
	json_algorithms(tb);
	if (tb[XFRMA_ENCAP])
		json_encap(tb[XFRMA_ENCAP], family);
	if (tb[XFRMA_COADDR])
		json_addr("coa", family, RTA_DATA(tb[XFRMA_COADDR]));
	if (tb[XFRMA_LASTUSED])
		print_u64(PRINT_JSON, "lastused", NULL,
			  rta_getattr_u64(tb[XFRMA_LASTUSED]));
	json_replay(tb);
	json_offload(tb[XFRMA_OFFLOAD_DEV]);
	json_selector(&xsinfo->sel, family);
	json_context(tb[XFRMA_SEC_CTX]);
	if (show_stats)
		json_stats(xsinfo);
	xfrm_ext_show_json(xsinfo, tb);
	close_json_object();
}
