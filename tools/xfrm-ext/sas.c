// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel's ESP SAs, and what the module says of those that are extended
 */
#include <errno.h>
#include <ifaddrs.h>
#include <stdlib.h>

#include "tool.h"

/* Later than the headers of Debian 12 */
#define SA_DIR		33
#define SA_DIR_IN	1
#define SA_DIR_OUT	2
#define ATTRS		(SA_DIR > XFRMA_MAX ? SA_DIR : XFRMA_MAX)

struct walk {
	sas_each_fn each;
	void *arg;
};

static int walk_one(struct nlmsghdr *n, void *arg)
{
	const struct walk *walk = arg;
	struct rtattr *tb[ATTRS + 1];
	struct xfrm_usersa_info *info = NLMSG_DATA(n);

	if (n->nlmsg_type != XFRM_MSG_NEWSA ||
	    n->nlmsg_len < NLMSG_LENGTH(sizeof(*info)) || info->id.proto != IPPROTO_ESP)
		return 0;
	parse_rtattr(tb, ATTRS, XFRMS_RTA(info), XFRMS_PAYLOAD(n));
	return walk->each(info, tb, walk->arg);
}

/*
 * Each ESP SA. The module is asked before: that brings the kernel's own counts of extended SAs
 * up to date, too. The keys are wiped when all have been seen.
 */
int sas_each(sas_each_fn each, void *arg)
{
	struct {
		struct nlmsghdr n;
		char buf[64];
	} req = {
		.n.nlmsg_len = NLMSG_HDRLEN,
		.n.nlmsg_type = XFRM_MSG_GETSA,
	};
	struct walk walk = { each, arg };
	struct rtnl_handle rth;
	int ret;

	if (rtnl_open_byproto(&rth, 0, NETLINK_XFRM) < 0)
		return -1;
	ret = rtnl_dump_request_n(&rth, &req.n);
	if (!ret)
		ret = rtnl_dump_filter(&rth, walk_one, &walk);
	if (ret < 0 && errno == EOPNOTSUPP)
		say("the kernel has no IPsec (CONFIG_XFRM_USER)");
	rtnl_close(&rth);
	return ret;
}

/* An address of this namespace's? */
static bool is_local(const struct ifaddrs *all, int family, const xfrm_address_t *addr)
{
	const struct ifaddrs *ifa;
	const void *have;

	for (ifa = all; ifa; ifa = ifa->ifa_next) {
		if (!ifa->ifa_addr || ifa->ifa_addr->sa_family != family)
			continue;
		if (family == AF_INET)
			have = &((struct sockaddr_in *)ifa->ifa_addr)->sin_addr;
		else
			have = &((struct sockaddr_in6 *)ifa->ifa_addr)->sin6_addr;
		if (memcmp(have, addr, family == AF_INET ? 4 : 16) == 0)
			return true;
	}
	return false;
}

/* The kernel may know; else what the SA can do; else whose addresses these are */
static enum tool_dir direction(const struct tool_sa *sa, const struct rtattr *dir,
			       const struct ifaddrs *all)
{
	const bool *set = sa->ext ? sa->ext->params.set : NULL;
	int family = sa->info.family;

	if (dir)
		return *(__u8 *)RTA_DATA(dir) == SA_DIR_IN ? DIR_IN : DIR_OUT;
	if (set && set[XFRM_EXT_A_TX_SUBSPACES] != set[XFRM_EXT_A_RX_SUBSPACES])
		return set[XFRM_EXT_A_TX_SUBSPACES] ? DIR_OUT : DIR_IN;
	if (is_local(all, family, &sa->info.saddr))
		return DIR_OUT;
	if (is_local(all, family, &sa->info.id.daddr))
		return DIR_IN;
	return DIR_UNKNOWN;
}

struct list {
	struct tool_sa *sas;
	size_t n;
	struct ifaddrs *all;
};

static int list_one(const struct xfrm_usersa_info *info, struct rtattr *tb[], void *arg)
{
	struct list *list = arg;
	struct xfrm_ext_key key;
	struct tool_sa *sa;

	/* room for a power of two, doubled whenever it is full */
	if ((list->n & (list->n - 1)) == 0)
		list->sas = xfrm_ext_alloc(list->sas,
					   (list->n ? 2 * list->n : 1) * sizeof(*sa));
	sa = &list->sas[list->n++];
	memset(sa, 0, sizeof(*sa));
	sa->info = *info;
	xfrm_ext_mark_of(&sa->mark, tb);
	if (tb[XFRMA_IF_ID])
		sa->if_id = rta_getattr_u32(tb[XFRMA_IF_ID]);
	sa->encap = tb[XFRMA_ENCAP];
	sa->extended = xfrm_ext_is_extended(tb);
	if (sa->extended) {
		xfrm_ext_key_of(&key, info, tb);
		sa->ext = xfrm_ext_find(&key);
	}
	sa->dir = direction(sa, tb[SA_DIR], list->all);
	return 0;
}

/* All at once; what the module says of them is good until it is asked again */
int sas_read(struct tool_sa **sas, size_t *n)
{
	struct list list = {};
	int ret;

	if (getifaddrs(&list.all) < 0)
		list.all = NULL;
	xfrm_ext_read_all();
	ret = sas_each(list_one, &list);
	freeifaddrs(list.all);
	*sas = list.sas;
	*n = list.n;
	return ret;
}

const xfrm_address_t *sas_peer(const struct tool_sa *sa)
{
	return sa->dir == DIR_IN ? &sa->info.saddr : &sa->info.id.daddr;
}

const char *sas_addr(const struct tool_sa *sa, const xfrm_address_t *addr)
{
	return rt_addr_n2a(sa->info.family, sa->info.family == AF_INET6 ? 16 : 4, addr);
}

bool sas_same_addr(const struct tool_sa *sa, const xfrm_address_t *a, const xfrm_address_t *b)
{
	return memcmp(a, b, sa->info.family == AF_INET6 ? 16 : 4) == 0;
}
