// SPDX-License-Identifier: GPL-2.0-only
/*
 * xfrm_ext_save.c	"save": the numbers of all SAs, for another machine
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xfrm_ext_host.h"
#include "xfrm_ext.h"

/* Subspaces in one line of "save": as many as "set" takes; MAX_ARGS in words */
#define EXT_SAVE_MAX	XFRM_EXT_SET_MAX

_Static_assert(12 + 4 * EXT_SAVE_MAX < MAX_ARGS,
	       "\"ip -batch\" does not take such a line");

/* The SA that "save" is at: one of many subspaces comes in several messages */
struct ext_save {
	char id[128];
	int count;		/* subspaces in this line, so far */
	__u64 next;		/* transmit subspaces below are done */
	__u64 end;		/* behind the last one; 0: name used ones only */
	__u64 start;		/* tx-start */
	bool used;		/* a transmit subspace was */
};

static void save_subspace(struct ext_save *save, const char *word, __u32 id,
			  __u64 highest)
{
	if (save->count == EXT_SAVE_MAX) {
		printf("\n");
		save->count = 0;
	}
	if (save->count++ == 0)
		printf("xfrm ext set%s", save->id);
	printf(" %s %u highest %llu", word, id, (unsigned long long)highest);
}

/*
 * Transmit subspaces below that one that were not used. Those that "set" is not
 * told of may begin as low as behind the gap; so if the SA does not begin with
 * 1, all are named.
 */
static void save_unused(struct ext_save *save, __u64 id)
{
	if (save->start > 1)
		while (save->next < id && save->next < save->end)
			save_subspace(save, "tx-subspace", save->next++,
				      save->start - 1);
}

/*
 * There are no more transmit subspaces. An SA that has sent in none has its
 * first one named: that says so, where no line might be one that is missing.
 */
static void save_tx_end(struct ext_save *save)
{
	if (!save->end)
		return;

	save_unused(save, save->end);
	if (!save->used && save->start <= 1)
		save_subspace(save, "tx-subspace", save->next, 0);
	save->end = 0;
}

static void save_end(struct ext_save *save)
{
	save_tx_end(save);
	if (save->count)
		printf("\n");
	save->count = 0;
}

static void save_begin(struct ext_save *save, struct rtattr *tb[])
{
	save_end(save);
	memset(save, 0, sizeof(*save));
	xfrm_ext_format_id(save->id, sizeof(save->id), tb);

	/* What a held SA has not been told is not known here */
	if (!tb[XFRM_EXT_A_TX_SUBSPACES] ||
	    rta_getattr_u32(tb[XFRM_EXT_A_STATE]) != XFRM_EXT_STATE_READY)
		return;

	if (tb[XFRM_EXT_A_TX_BASE])
		save->next = rta_getattr_u32(tb[XFRM_EXT_A_TX_BASE]);
	save->end = save->next + rta_getattr_u32(tb[XFRM_EXT_A_TX_SUBSPACES]);
	if (tb[XFRM_EXT_A_TX_START])
		save->start = rta_getattr_u64(tb[XFRM_EXT_A_TX_START]);
}

/* Lines for "ip -batch"; transmit subspaces come first, in order */
static int ext_save_one(struct nlmsghdr *n, void *arg)
{
	struct rtattr *tb[XFRM_EXT_A_MAX + 1];
	int len = XFRM_EXT_PAYLOAD(n);
	struct ext_save *save = arg;
	struct rtattr *rta;

	xfrm_ext_attrs(n, tb);
	if (tb[XFRM_EXT_A_STATE])
		save_begin(save, tb);

	for (rta = XFRM_EXT_RTA(n); RTA_OK(rta, len); rta = RTA_NEXT(rta, len)) {
		int type = rta->rta_type & NLA_TYPE_MASK;
		__u64 highest;
		__u32 id;

		if ((type != XFRM_EXT_A_TX_SUBSPACE &&
		     type != XFRM_EXT_A_RX_SUBSPACE) ||
		    xfrm_ext_read_subspace(rta, &id, &highest) < 0)
			continue;
		if (type == XFRM_EXT_A_RX_SUBSPACE) {
			save_tx_end(save);
			save_subspace(save, "rx-subspace", id, highest);
			continue;
		}
		save_unused(save, id);
		save_subspace(save, "tx-subspace", id, highest);
		save->next = (__u64)id + 1;
		save->used = true;
	}

	return 0;
}

int xfrm_ext_save(void)
{
	struct ext_save save = {};
	int ret = xfrm_ext_dump(XFRM_EXT_CMD_GET, ext_save_one, &save);

	save_end(&save);

	/* Half a file is none */
	if (fflush(stdout) || ferror(stdout)) {
		perror("xfrm_ext: cannot write");
		ret = -2;
	}

	return ret;
}
