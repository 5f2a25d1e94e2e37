// SPDX-License-Identifier: GPL-2.0-only
/*
 * xfrm_ext_event.c	Events, a line each
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "xfrm_ext_host.h"
#include "xfrm_ext.h"

/* An SA as "set" takes it */
void xfrm_ext_format_id(char *buf, size_t size, struct rtattr *tb[])
{
	int n = 0;

	*buf = '\0';
	if (tb[XFRM_EXT_A_FAMILY] && tb[XFRM_EXT_A_DADDR])
		n += snprintf(buf + n, size - n, " dst %s",
			      rt_addr_n2a_rta(rta_getattr_u16(tb[XFRM_EXT_A_FAMILY]),
					      tb[XFRM_EXT_A_DADDR]));
	if (tb[XFRM_EXT_A_SPI])
		n += snprintf(buf + n, size - n, " spi 0x%08x",
			      ntohl(rta_getattr_u32(tb[XFRM_EXT_A_SPI])));
	if (tb[XFRM_EXT_A_MARK] && tb[XFRM_EXT_A_MARK_MASK] &&
	    rta_getattr_u32(tb[XFRM_EXT_A_MARK_MASK]))
		snprintf(buf + n, size - n, " mark %#x mask %#x",
			 rta_getattr_u32(tb[XFRM_EXT_A_MARK]),
			 rta_getattr_u32(tb[XFRM_EXT_A_MARK_MASK]));
}

int xfrm_ext_read_subspace(const struct rtattr *nest, __u32 *id, __u64 *highest)
{
	struct rtattr *tb[XFRM_EXT_SUBSPACE_MAX + 1];

	parse_rtattr_nested(tb, XFRM_EXT_SUBSPACE_MAX, nest);
	if (!tb[XFRM_EXT_SUBSPACE_ID] || !tb[XFRM_EXT_SUBSPACE_HIGHEST])
		return -1;

	*id = rta_getattr_u32(tb[XFRM_EXT_SUBSPACE_ID]);
	*highest = rta_getattr_u64(tb[XFRM_EXT_SUBSPACE_HIGHEST]);

	return 0;
}

static void print_subspace(FILE *fp, const char *word, const struct rtattr *nest)
{
	__u64 highest;
	__u32 id;

	if (nest && xfrm_ext_read_subspace(nest, &id, &highest) == 0)
		fprintf(fp, " %s %u highest %llu", word, id,
			(unsigned long long)highest);
}

/* What an event of an SA tells beside the SA */
static void print_event(FILE *fp, __u8 cmd, struct rtattr *tb[])
{
	const struct rtattr *flags = tb[XFRM_EXT_A_RULE_FLAGS];
	bool plain = flags &&
		     rta_getattr_u32(flags) & XFRM_EXT_RULE_F_OR_PLAIN;

	print_subspace(fp, "tx-subspace", tb[XFRM_EXT_A_TX_SUBSPACE]);
	print_subspace(fp, "rx-subspace", tb[XFRM_EXT_A_RX_SUBSPACE]);
	if (tb[XFRM_EXT_A_OUT_OF_RANGE])
		fprintf(fp, " id %u",
			rta_getattr_u32(tb[XFRM_EXT_A_OUT_OF_RANGE]));
	if (cmd == XFRM_EXT_CMD_REASSEMBLED && tb[XFRM_EXT_A_FRAGMENT_MAX])
		fprintf(fp, ": a packet came as fragments, the largest of %u octets",
			rta_getattr_u32(tb[XFRM_EXT_A_FRAGMENT_MAX]));
	if (tb[XFRM_EXT_A_EXPOSED])
		fprintf(fp, ": authentic, with %u octets in clear",
			rta_getattr_u32(tb[XFRM_EXT_A_EXPOSED]));
	if (tb[XFRM_EXT_A_RULE_PREF])
		fprintf(fp, " rule %u",
			rta_getattr_u32(tb[XFRM_EXT_A_RULE_PREF]));
	if (cmd == XFRM_EXT_CMD_RULE_REFUSED)
		fprintf(fp, " %s: %s", plain ? "plain now" : "refused",
			tb[XFRM_EXT_A_REASON] ?
			rta_getattr_str(tb[XFRM_EXT_A_REASON]) :
			"no reason given");
	if (tb[XFRM_EXT_A_UNAUTHENTIC]) {
		fprintf(fp, ": ");
		xfrm_ext_none_authentic(fp,
					rta_getattr_u64(tb[XFRM_EXT_A_UNAUTHENTIC]),
					tb[XFRM_EXT_A_RULE_PREF]);
	}
}

static void ext_event_text(FILE *fp, int cmd, struct rtattr *tb[])
{
	const char *name = xfrm_ext_cmd_name(cmd);
	char id[128];

	if (timestamp)
		print_timestamp(fp);

	if (name)
		fprintf(fp, "%s", name);
	else
		fprintf(fp, "event %u", cmd);

	if (cmd == XFRM_EXT_CMD_RULE_ADD || cmd == XFRM_EXT_CMD_RULE_DEL) {
		fprintf(fp, " ");
		xfrm_ext_rule_print(fp, tb);
	} else {
		xfrm_ext_format_id(id, sizeof(id), tb);
		fprintf(fp, "%s", id);
		print_event(fp, cmd, tb);
	}
	fprintf(fp, "\n");
}

static void ext_event_json(int cmd, struct nlmsghdr *n)
{
	const char *name = xfrm_ext_cmd_name(cmd);
	struct timespec now;

	new_json_obj_plain(json);
	open_json_object(NULL);
	if (timestamp && clock_gettime(CLOCK_REALTIME, &now) == 0)
		print_u64(PRINT_JSON, "time-ns", NULL,
			  now.tv_sec * 1000000000ULL + now.tv_nsec);
	if (name)
		print_string(PRINT_JSON, "event", NULL, name);
	else
		print_uint(PRINT_JSON, "event", NULL, cmd);
	xfrm_ext_json_message(n);
	close_json_object();
	delete_json_obj_plain();
}

static int ext_event(struct rtnl_ctrl_data *ctrl, struct nlmsghdr *n, void *arg)
{
	const struct genlmsghdr *ghdr = NLMSG_DATA(n);
	struct rtattr *tb[XFRM_EXT_A_MAX + 1];

	if (n->nlmsg_len < NLMSG_LENGTH(GENL_HDRLEN) ||
	    n->nlmsg_type < NLMSG_MIN_TYPE)
		return 0;

	if (json) {
		ext_event_json(ghdr->cmd, n);
	} else {
		xfrm_ext_attrs(n, tb);
		ext_event_text(stdout, ghdr->cmd, tb);
	}
	fflush(stdout);

	/* Who read them has gone */
	return ferror(stdout) ? -1 : 0;
}

int xfrm_ext_monitor(void)
{
	struct rtnl_handle grth;
	int family = xfrm_ext_open(&grth);
	int ret;

	if (family < 0)
		return -2;

	if (genl_add_mcast_grp(&grth, family, XFRM_EXT_MCGRP_EVENTS) < 0) {
		fprintf(stderr, "xfrm_ext: cannot listen to events\n");
		rtnl_close(&grth);
		return -2;
	}
	ret = rtnl_listen(&grth, ext_event, NULL);
	rtnl_close(&grth);

	return ret < 0 ? -2 : 0;
}
