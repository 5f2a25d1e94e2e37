// SPDX-License-Identifier: GPL-2.0-only
/*
 * xfrm_ext_sa.c	What the module says of its SAs
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xfrm_ext_host.h"
#include "xfrm_ext.h"

#define EXT_HASH_SIZE	1024

static struct xfrm_ext_sa *ext_sas[EXT_HASH_SIZE];

static struct xfrm_ext_sa **ext_bucket(const struct xfrm_ext_key *key)
{
	return &ext_sas[ntohl(key->spi) % EXT_HASH_SIZE];
}

struct xfrm_ext_sa *xfrm_ext_find(const struct xfrm_ext_key *key)
{
	struct xfrm_ext_sa *sa;

	for (sa = *ext_bucket(key); sa; sa = sa->next)
		if (memcmp(&sa->key, key, sizeof(*key)) == 0)
			return sa;

	return NULL;
}

void xfrm_ext_forget(void)
{
	struct xfrm_ext_sa *sa;
	int i;

	for (i = 0; i < EXT_HASH_SIZE; i++)
		while ((sa = ext_sas[i])) {
			ext_sas[i] = sa->next;
			free(sa->reason);
			free(sa->subspaces);
			free(sa->attrs);
			free(sa);
		}
}

void *xfrm_ext_alloc(void *old, size_t size)
{
	void *p = realloc(old, size);

	if (!p) {
		perror("xfrm_ext");
		exit(1);
	}

	return p;
}

static void ext_values_read(__u64 *val, int max, const struct rtattr *nest)
{
	struct rtattr *tb[max + 1];
	int i;

	parse_rtattr_nested(tb, max, nest);
	for (i = 0; i <= max; i++)
		if (tb[i] && RTA_PAYLOAD(tb[i]) == sizeof(__u64))
			val[i] = rta_getattr_u64(tb[i]);
}

void xfrm_ext_stats_read(__u64 *stats, const struct rtattr *nest)
{
	ext_values_read(stats, XFRM_EXT_STAT_MAX, nest);
}

static void ext_subspace_read(struct xfrm_ext_sa *sa, const struct rtattr *nest,
			      bool tx)
{
	size_t n = sa->n_subspaces;
	struct xfrm_ext_counter *s;
	struct rtattr *id;

	/* room for a power of two, doubled whenever it is full */
	if ((n & (n - 1)) == 0)
		sa->subspaces = xfrm_ext_alloc(sa->subspaces,
					       (n ? 2 * n : 1) * sizeof(*s));
	s = &sa->subspaces[sa->n_subspaces++];
	memset(s, 0, sizeof(*s));
	s->tx = tx;
	ext_values_read(s->val, XFRM_EXT_SUBSPACE_MAX, nest);
	id = parse_rtattr_one_nested(XFRM_EXT_SUBSPACE_ID, nest);
	if (id)
		s->id = rta_getattr_u32(id);
}

static int ext_key_read(struct xfrm_ext_key *key, struct rtattr *tb[])
{
	if (!tb[XFRM_EXT_A_FAMILY] || !tb[XFRM_EXT_A_DADDR] ||
	    !tb[XFRM_EXT_A_SPI] ||
	    RTA_PAYLOAD(tb[XFRM_EXT_A_DADDR]) > sizeof(key->daddr))
		return -1;

	memset(key, 0, sizeof(*key));
	key->family = rta_getattr_u16(tb[XFRM_EXT_A_FAMILY]);
	memcpy(key->daddr, RTA_DATA(tb[XFRM_EXT_A_DADDR]),
	       RTA_PAYLOAD(tb[XFRM_EXT_A_DADDR]));
	key->spi = rta_getattr_u32(tb[XFRM_EXT_A_SPI]);
	if (tb[XFRM_EXT_A_MARK])
		key->mark = rta_getattr_u32(tb[XFRM_EXT_A_MARK]);
	if (tb[XFRM_EXT_A_MARK_MASK])
		key->mask = rta_getattr_u32(tb[XFRM_EXT_A_MARK_MASK]);

	return 0;
}

/* An SA of many subspaces comes in several messages */
static int ext_read(struct nlmsghdr *n, void *arg)
{
	struct rtattr *tb[XFRM_EXT_A_MAX + 1];
	int len = XFRM_EXT_PAYLOAD(n);
	struct rtattr *rta;
	struct xfrm_ext_sa *sa;
	struct xfrm_ext_key key;

	xfrm_ext_attrs(n, tb);
	if (ext_key_read(&key, tb) < 0)
		return 0;

	sa = xfrm_ext_find(&key);
	if (!sa) {
		sa = xfrm_ext_alloc(NULL, sizeof(*sa));
		memset(sa, 0, sizeof(*sa));
		sa->key = key;
		sa->next = *ext_bucket(&key);
		*ext_bucket(&key) = sa;
	}

	sa->attrs = xfrm_ext_alloc(sa->attrs, sa->attrs_len + len);
	memcpy(sa->attrs + sa->attrs_len, XFRM_EXT_RTA(n), len);
	sa->attrs_len += len;

	xfrm_ext_params_read(&sa->params, tb);
	if (tb[XFRM_EXT_A_STATE])
		sa->state = rta_getattr_u32(tb[XFRM_EXT_A_STATE]);
	if (tb[XFRM_EXT_A_REASON]) {
		free(sa->reason);
		sa->reason = strdup(rta_getattr_str(tb[XFRM_EXT_A_REASON]));
	}
	if (tb[XFRM_EXT_A_RULE_PREF])
		sa->rule = rta_getattr_u32(tb[XFRM_EXT_A_RULE_PREF]);
	if (tb[XFRM_EXT_A_MEMORY])
		sa->memory = rta_getattr_u64(tb[XFRM_EXT_A_MEMORY]);
	if (tb[XFRM_EXT_A_OUT_OF_RANGE]) {
		sa->out_of_range = true;
		sa->out_of_range_id =
			rta_getattr_u32(tb[XFRM_EXT_A_OUT_OF_RANGE]);
	}
	if (tb[XFRM_EXT_A_REASSEMBLED])
		sa->reassembled = rta_getattr_u64(tb[XFRM_EXT_A_REASSEMBLED]);
	if (tb[XFRM_EXT_A_FRAGMENT_MAX])
		sa->fragment_max = rta_getattr_u32(tb[XFRM_EXT_A_FRAGMENT_MAX]);
	if (tb[XFRM_EXT_A_STATS])
		xfrm_ext_stats_read(sa->stats, tb[XFRM_EXT_A_STATS]);

	for (rta = XFRM_EXT_RTA(n); RTA_OK(rta, len); rta = RTA_NEXT(rta, len)) {
		int type = rta->rta_type & NLA_TYPE_MASK;

		if (type == XFRM_EXT_A_TX_SUBSPACE ||
		    type == XFRM_EXT_A_RX_SUBSPACE)
			ext_subspace_read(sa, rta,
					  type == XFRM_EXT_A_TX_SUBSPACE);
	}

	return 0;
}

/* All of them; -1 if the module is not there, or stops answering */
int xfrm_ext_read_all(void)
{
	GENL_REQUEST(req, 0, 0, 0, XFRM_EXT_GENL_VERSION, XFRM_EXT_CMD_GET, 0);
	struct rtnl_handle grth;
	int ret = 0;
	int family = xfrm_ext_open_if_loaded(&grth);

	xfrm_ext_forget();
	if (family < 0)
		return -1;

	req.n.nlmsg_type = family;
	if (rtnl_dump_request_n(&grth, &req.n) < 0) {
		perror("Cannot send dump request");
		ret = -1;
	} else if (rtnl_dump_filter(&grth, ext_read, NULL) < 0) {
		fprintf(stderr, "xfrm_ext: dump terminated\n");
		ret = -1;
	}
	rtnl_close(&grth);

	return ret;
}

/* The family that was found last, and a socket to ask it on */
static struct rtnl_handle ext_rth;
static int ext_family = -1;

static int ext_find_family(void)
{
	if (ext_family >= 0)
		rtnl_close(&ext_rth);
	memset(&ext_rth, 0, sizeof(ext_rth));
	ext_family = xfrm_ext_open_if_loaded(&ext_rth);

	return ext_family;
}

static int ext_ask_family(const struct xfrm_usersa_info *xsinfo,
			  const struct xfrm_mark *mark)
{
	GENL_REQUEST(req, 256, ext_family, 0, XFRM_EXT_GENL_VERSION,
		     XFRM_EXT_CMD_GET, NLM_F_REQUEST);
	struct nlmsghdr *answer;

	xfrm_ext_put_id(&req.n, sizeof(req), xsinfo, mark);
	if (xfrm_ext_talk(&ext_rth, &req.n, &answer, true) < 0)
		return -1;

	ext_read(answer, NULL);
	free(answer);

	return 0;
}

void xfrm_ext_ask(const struct xfrm_usersa_info *xsinfo,
		  const struct xfrm_mark *mark)
{
	int old = ext_family;

	xfrm_ext_forget();
	if (old >= 0 && ext_ask_family(xsinfo, mark) == 0)
		return;

	/*
	 * The module does not have the SA, or has been unloaded since: loaded
	 * again it has another number.
	 */
	if (ext_find_family() >= 0 && ext_family != old)
		ext_ask_family(xsinfo, mark);
}

/* As with the event; fewer may be anybody's */
#define EXT_NONE_AUTHENTIC_MIN	16

/* Packets have come, more than anybody's few, and none was authentic */
bool xfrm_ext_no_packet_authentic(const struct xfrm_ext_sa *sa)
{
	/* What is found only in a packet that is authentic */
	static const enum xfrm_ext_stat authentic[] = {
		XFRM_EXT_STAT_RX_PACKETS, XFRM_EXT_STAT_RX_TRAILER,
		XFRM_EXT_STAT_RX_NEXT_HEADER, XFRM_EXT_STAT_RX_DUMMY,
		XFRM_EXT_STAT_RX_PSEUDO_HEADER, XFRM_EXT_STAT_RX_FRAGMENT,
		XFRM_EXT_STAT_RX_INNER, XFRM_EXT_STAT_RX_NOMEM_WINDOW,
		XFRM_EXT_STAT_RX_CRYPT_OFFSET, XFRM_EXT_STAT_RX_ECHO,
		XFRM_EXT_STAT_RX_ECHO_REFUSED,
	};
	int i;

	for (i = 0; i < ARRAY_SIZE(authentic); i++)
		if (sa->stats[authentic[i]])
			return false;

	return sa->stats[XFRM_EXT_STAT_RX_ICV] >= EXT_NONE_AUTHENTIC_MIN;
}

bool xfrm_ext_is_extended(struct rtattr *tb[])
{
	return tb[XFRMA_SA_EXTRA_FLAGS] &&
	       rta_getattr_u32(tb[XFRMA_SA_EXTRA_FLAGS]) & XFRM_EXT_SA_XFLAG;
}

void xfrm_ext_mark_of(struct xfrm_mark *mark, struct rtattr *tb[])
{
	memset(mark, 0, sizeof(*mark));
	if (tb[XFRMA_MARK])
		memcpy(mark, RTA_DATA(tb[XFRMA_MARK]), sizeof(*mark));
}

/* As the module knows a state of the kernel's */
void xfrm_ext_key_of(struct xfrm_ext_key *key,
		     const struct xfrm_usersa_info *xsinfo,
		     struct rtattr *tb[])
{
	struct xfrm_mark mark;

	xfrm_ext_mark_of(&mark, tb);
	memset(key, 0, sizeof(*key));
	key->family = xsinfo->family;
	memcpy(key->daddr, &xsinfo->id.daddr,
	       xsinfo->family == AF_INET6 ? 16 : 4);
	key->spi = xsinfo->id.spi;
	key->mark = mark.v;
	key->mask = mark.m;
}
