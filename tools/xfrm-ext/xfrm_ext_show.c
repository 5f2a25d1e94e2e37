// SPDX-License-Identifier: GPL-2.0-only
/*
 * xfrm_ext_show.c	Extended SAs: what a listing of states says of them
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xfrm_ext_host.h"
#include "xfrm_ext.h"

static enum xfrm_ext_source ext_source;
static bool ext_dumped;

static void ext_dump(void)
{
	xfrm_ext_read_all();
	ext_dumped = true;
}

void xfrm_ext_show_from(enum xfrm_ext_source source)
{
	ext_source = source;
	xfrm_ext_forget();
	ext_dumped = false;
	/*
	 * The dump makes the module bring the kernel's own byte and packet
	 * counts up to date: before the kernel is asked for them.
	 */
	if (source == XFRM_EXT_SOURCE_DUMP && show_stats)
		ext_dump();
}

/* Of an SA for which so many packets came, and no good one */
void xfrm_ext_none_authentic(FILE *fp, __u64 packets, bool by_rule)
{
	fprintf(fp, "%llu packets, none authentic since the SA was made: %s?",
		(unsigned long long)packets,
		by_rule ? "does the peer have the rule" :
			  "are keys and format the peer's");
}

void xfrm_ext_traffic_print(FILE *fp, const char *prefix, const __u64 *stats)
{
	fprintf(fp, "%s  tx-packets %llu tx-bytes %llu rx-packets %llu rx-bytes %llu%s",
		prefix,
		(unsigned long long)stats[XFRM_EXT_STAT_TX_PACKETS],
		(unsigned long long)stats[XFRM_EXT_STAT_TX_BYTES],
		(unsigned long long)stats[XFRM_EXT_STAT_RX_PACKETS],
		(unsigned long long)stats[XFRM_EXT_STAT_RX_BYTES], _SL_);
}

/* Those that are not 0, or all with details */
void xfrm_ext_drops_print(FILE *fp, const char *prefix, const __u64 *stats)
{
	bool any = false;
	int i;

	fprintf(fp, "%s  drops", prefix);
	for (i = 0; i <= XFRM_EXT_STAT_MAX; i++) {
		if (!xfrm_ext_stat_is_drop(i) || (!stats[i] && !show_details))
			continue;
		any = true;
		fprintf(fp, " %s %llu", xfrm_ext_stat_name(i),
			(unsigned long long)stats[i]);
	}
	fprintf(fp, "%s%s", any ? "" : " none", _SL_);
}

/* What SAs have counted together, those that are gone as well */
void xfrm_ext_totals_print(FILE *fp, const char *prefix, struct rtattr *tb[])
{
	__u64 stats[XFRM_EXT_STAT_MAX + 1] = {};

	if (!tb[XFRM_EXT_A_STATS])
		return;

	xfrm_ext_stats_read(stats, tb[XFRM_EXT_A_STATS]);
	if (tb[XFRM_EXT_A_SAS])
		fprintf(fp, "%s  sas %u%s", prefix,
			rta_getattr_u32(tb[XFRM_EXT_A_SAS]), _SL_);
	xfrm_ext_traffic_print(fp, prefix, stats);
	xfrm_ext_drops_print(fp, prefix, stats);
}

static void ext_print_stats(FILE *fp, const char *prefix,
			    const struct xfrm_ext_sa *sa)
{
	int i;

	xfrm_ext_traffic_print(fp, prefix, sa->stats);
	fprintf(fp, "%s  memory %llu", prefix, (unsigned long long)sa->memory);
	if (sa->out_of_range)
		fprintf(fp, " out-of-range-first %u", sa->out_of_range_id);
	if (sa->fragment_max)
		fprintf(fp, " reassembled %llu fragment-max %u",
			(unsigned long long)sa->reassembled, sa->fragment_max);
	fprintf(fp, "%s", _SL_);

	for (i = 0; i < sa->n_subspaces; i++)
		if (sa->subspaces[i].tx)
			fprintf(fp, "%s  tx-subspace %u highest %llu%s", prefix,
				sa->subspaces[i].id,
				(unsigned long long)sa->subspaces[i].val[XFRM_EXT_SUBSPACE_HIGHEST],
				_SL_);

	for (i = 0; i < sa->n_subspaces; i++) {
		const __u64 *val = sa->subspaces[i].val;

		if (sa->subspaces[i].tx)
			continue;
		fprintf(fp, "%s  rx-subspace %u highest %llu packets %llu replays %llu too-old %llu backtrack %llu%s",
			prefix, sa->subspaces[i].id,
			(unsigned long long)val[XFRM_EXT_SUBSPACE_HIGHEST],
			(unsigned long long)val[XFRM_EXT_SUBSPACE_PACKETS],
			(unsigned long long)val[XFRM_EXT_SUBSPACE_REPLAYS],
			(unsigned long long)val[XFRM_EXT_SUBSPACE_TOO_OLD],
			(unsigned long long)val[XFRM_EXT_SUBSPACE_BACKTRACK],
			_SL_);
	}

	xfrm_ext_drops_print(fp, prefix, sa->stats);

	if (xfrm_ext_no_packet_authentic(sa)) {
		fprintf(fp, "%s  ", prefix);
		xfrm_ext_none_authentic(fp, sa->stats[XFRM_EXT_STAT_RX_ICV],
					sa->rule);
		fprintf(fp, "%s", _SL_);
	}
}

static void ext_print(FILE *fp, const char *prefix, const struct xfrm_ext_sa *sa,
		      __u8 mode)
{
	fprintf(fp, "%sext", prefix);
	xfrm_ext_params_print(fp, &sa->params, mode);
	if (sa->rule)
		fprintf(fp, " rule %u", sa->rule);
	if (sa->state == XFRM_EXT_STATE_CLAIMED)
		fprintf(fp, " state claimed");
	else if (sa->state == XFRM_EXT_STATE_HELD)
		fprintf(fp, " state held");
	else if (sa->state == XFRM_EXT_STATE_FAILED)
		fprintf(fp, " state failed (%s)",
			sa->reason ? sa->reason : "no reason given");
	else if (sa->state != XFRM_EXT_STATE_READY)
		fprintf(fp, " state %u", sa->state);
	fprintf(fp, "%s", _SL_);

	if (show_stats)
		ext_print_stats(fp, prefix, sa);
}

static const struct xfrm_ext_sa *
ext_sa_of(const struct xfrm_usersa_info *xsinfo, struct rtattr *tb[])
{
	struct xfrm_ext_key key;
	struct xfrm_mark mark;

	if (ext_source == XFRM_EXT_SOURCE_ASK) {
		xfrm_ext_mark_of(&mark, tb);
		xfrm_ext_ask(xsinfo, &mark);
	} else if (!ext_dumped) {
		ext_dump();
	}

	xfrm_ext_key_of(&key, xsinfo, tb);

	return xfrm_ext_find(&key);
}

void xfrm_ext_show(const struct xfrm_usersa_info *xsinfo, struct rtattr *tb[],
		   FILE *fp, const char *prefix)
{
	const struct xfrm_ext_sa *sa;

	if (!xfrm_ext_is_extended(tb))
		return;

	if (ext_source == XFRM_EXT_SOURCE_NONE) {
		fprintf(fp, "%sext%s", prefix, _SL_);
		return;
	}

	sa = ext_sa_of(xsinfo, tb);
	if (sa)
		ext_print(fp, prefix, sa, xsinfo->mode);
	else
		fprintf(fp, "%sext (unknown: module gives no answer)%s",
			prefix, _SL_);
}

/*
 * The same as an object "ext", in which is what the module says: its state, too,
 * so that one without is an SA of which it gives no answer.
 */
void xfrm_ext_show_json(const struct xfrm_usersa_info *xsinfo,
			struct rtattr *tb[])
{
	const struct xfrm_ext_sa *sa = NULL;

	if (!xfrm_ext_is_extended(tb))
		return;

	open_json_object("ext");
	if (ext_source != XFRM_EXT_SOURCE_NONE)
		sa = ext_sa_of(xsinfo, tb);
	if (sa)
		xfrm_ext_json(sa->attrs, sa->attrs_len, show_stats);
	close_json_object();
}
