// SPDX-License-Identifier: GPL-2.0-only
/*
 * Netlink, by libmnl, under the names that iproute2 has
 */
#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <libmnl/libmnl.h>

#include "xfrm_ext_host.h"
#include "../xfrm_ext.h"

#define BUFFER	65536

int rtnl_open_byproto(struct rtnl_handle *rth, unsigned int groups, int proto)
{
	int on = 1;

	memset(rth, 0, sizeof(*rth));
	rth->nl = mnl_socket_open2(proto, SOCK_CLOEXEC);
	if (!rth->nl || mnl_socket_bind(rth->nl, groups, MNL_SOCKET_AUTOPID) < 0) {
		perror("xfrm-ext: cannot open a netlink socket");
		if (rth->nl)
			mnl_socket_close(rth->nl);
		return -1;
	}
	mnl_socket_setsockopt(rth->nl, NETLINK_EXT_ACK, &on, sizeof(on));
	rth->fd = mnl_socket_get_fd(rth->nl);
	rth->proto = proto;
	rth->seq = time(NULL);
	return 0;
}

void rtnl_close(struct rtnl_handle *rth)
{
	mnl_socket_close(rth->nl);
	memset(rth, 0, sizeof(*rth));
}

int rtnl_dump_request_n(struct rtnl_handle *rth, struct nlmsghdr *n)
{
	n->nlmsg_seq = ++rth->seq;
	n->nlmsg_flags |= NLM_F_REQUEST | NLM_F_DUMP;
	return mnl_socket_sendto(rth->nl, n, n->nlmsg_len) < 0 ? -1 : 0;
}

/* 1: go on; 0: the end; -1: an error */
static int dump_message(struct rtnl_handle *rth, struct nlmsghdr *h,
			int (*each)(struct nlmsghdr *n, void *arg), void *arg)
{
	const struct nlmsgerr *err;

	if (h->nlmsg_seq != rth->seq)
		return 1;
	if (h->nlmsg_flags & NLM_F_DUMP_INTR)
		fprintf(stderr, "xfrm-ext: SAs have changed meanwhile, some may be missing\n");
	if (h->nlmsg_type == NLMSG_DONE) {
		errno = -*(int *)NLMSG_DATA(h);
		return errno > 0 ? -1 : 0;
	}
	if (h->nlmsg_type == NLMSG_ERROR) {
		err = NLMSG_DATA(h);
		errno = -err->error;
		if (errno && errno != EOPNOTSUPP)
			fprintf(stderr, "xfrm-ext: %s%s\n", strerror(errno),
				errno == EPERM ? ": this needs root, or CAP_NET_ADMIN" : "");
		return errno ? -1 : 0;
	}
	return each(h, arg) < 0 ? -1 : 1;
}

int rtnl_dump_filter(struct rtnl_handle *rth,
		     int (*each)(struct nlmsghdr *n, void *arg), void *arg)
{
	char *buf = xfrm_ext_alloc(NULL, BUFFER);
	int len, saved, ret = 1;
	struct nlmsghdr *h;

	while (ret > 0) {
		len = mnl_socket_recvfrom(rth->nl, buf, BUFFER);
		if (len < 0 && errno == EINTR)
			continue;
		if (len <= 0) {
			perror("xfrm-ext: the kernel does not answer");
			ret = -1;
			break;
		}
		for (h = (struct nlmsghdr *)buf; ret > 0 && mnl_nlmsg_ok(h, len);
		     h = mnl_nlmsg_next(h, &len))
			ret = dump_message(rth, h, each, arg);
	}
	/* There have been keys in it */
	saved = errno;
	explicit_bzero(buf, BUFFER);
	free(buf);
	errno = saved;
	return ret;
}

int rtnl_listen(struct rtnl_handle *rth,
		int (*each)(struct rtnl_ctrl_data *ctrl, struct nlmsghdr *n, void *arg),
		void *arg)
{
	char *buf = xfrm_ext_alloc(NULL, BUFFER);
	struct nlmsghdr *h;
	int len, ret = 0;

	while (ret >= 0) {
		len = mnl_socket_recvfrom(rth->nl, buf, BUFFER);
		if (len < 0 && errno == ENOBUFS) {
			fprintf(stderr, "xfrm-ext: more events than could be read: some are lost\n");
			continue;
		}
		if (len < 0 && errno == EINTR)
			continue;
		if (len <= 0) {
			perror("xfrm-ext: cannot listen");
			ret = -1;
			break;
		}
		for (h = (struct nlmsghdr *)buf; ret >= 0 && mnl_nlmsg_ok(h, len);
		     h = mnl_nlmsg_next(h, &len))
			ret = each(NULL, h, arg);
	}
	free(buf);
	return ret;
}

/* The number of a group, in what the kernel says of a family */
static int group_number(struct nlmsghdr *answer, const char *name)
{
	struct rtattr *tb[CTRL_ATTR_MAX + 1], *group[CTRL_ATTR_MCAST_GRP_MAX + 1];
	struct rtattr *rta;
	int len;

	parse_rtattr(tb, CTRL_ATTR_MAX, XFRM_EXT_RTA(answer), XFRM_EXT_PAYLOAD(answer));
	if (!tb[CTRL_ATTR_MCAST_GROUPS])
		return -1;
	rta = RTA_DATA(tb[CTRL_ATTR_MCAST_GROUPS]);
	len = RTA_PAYLOAD(tb[CTRL_ATTR_MCAST_GROUPS]);
	for (; RTA_OK(rta, len); rta = RTA_NEXT(rta, len)) {
		parse_rtattr_nested(group, CTRL_ATTR_MCAST_GRP_MAX, rta);
		if (group[CTRL_ATTR_MCAST_GRP_NAME] && group[CTRL_ATTR_MCAST_GRP_ID] &&
		    strcmp(rta_getattr_str(group[CTRL_ATTR_MCAST_GRP_NAME]), name) == 0)
			return rta_getattr_u32(group[CTRL_ATTR_MCAST_GRP_ID]);
	}
	return -1;
}

int genl_add_mcast_grp(struct rtnl_handle *rth, __u16 family, const char *group)
{
	GENL_REQUEST(req, 64, GENL_ID_CTRL, 0, 0, CTRL_CMD_GETFAMILY, NLM_F_REQUEST);
	struct nlmsghdr *answer;
	int number;

	addattr16(&req.n, sizeof(req), CTRL_ATTR_FAMILY_ID, family);
	if (xfrm_ext_talk(rth, &req.n, &answer, false) < 0)
		return -1;
	number = group_number(answer, group);
	free(answer);
	if (number < 0)
		return -1;
	if (mnl_socket_setsockopt(rth->nl, NETLINK_ADD_MEMBERSHIP, &number, sizeof(number)) < 0) {
		if (errno == EPERM)
			fprintf(stderr, "xfrm-ext: this needs root, or CAP_NET_ADMIN\n");
		return -1;
	}
	return 0;
}

/* --- attributes ----------------------------------------------------------------- */

int addattr(struct nlmsghdr *n, int maxlen, int type)
{
	return addattr_l(n, maxlen, type, NULL, 0);
}

int addattr16(struct nlmsghdr *n, int maxlen, int type, __u16 val)
{
	return addattr_l(n, maxlen, type, &val, sizeof(val));
}

int addattr32(struct nlmsghdr *n, int maxlen, int type, __u32 val)
{
	return addattr_l(n, maxlen, type, &val, sizeof(val));
}

int addattr64(struct nlmsghdr *n, int maxlen, int type, __u64 val)
{
	return addattr_l(n, maxlen, type, &val, sizeof(val));
}

/* A message that is too long would be half a request */
int addattr_l(struct nlmsghdr *n, int maxlen, int type, const void *data, int len)
{
	if (!mnl_attr_put_check(n, maxlen, type, len, data ? data : "")) {
		fprintf(stderr, "xfrm-ext: more than fits into one request\n");
		exit(1);
	}
	return 0;
}

int addattrstrz(struct nlmsghdr *n, int maxlen, int type, const char *text)
{
	return addattr_l(n, maxlen, type, text, strlen(text) + 1);
}

struct rtattr *addattr_nest(struct nlmsghdr *n, int maxlen, int type)
{
	struct rtattr *nest = NLMSG_TAIL(n);

	addattr_l(n, maxlen, type, NULL, 0);
	return nest;
}

int addattr_nest_end(struct nlmsghdr *n, struct rtattr *nest)
{
	nest->rta_len = (char *)NLMSG_TAIL(n) - (char *)nest;
	return n->nlmsg_len;
}

/* Of those that come many times, the first */
int parse_rtattr_flags(struct rtattr *tb[], int max, struct rtattr *rta, int len,
		       unsigned short flags)
{
	int type;

	memset(tb, 0, sizeof(*tb) * (max + 1));
	for (; RTA_OK(rta, len); rta = RTA_NEXT(rta, len)) {
		type = rta->rta_type & ~flags;
		if (type <= max && !tb[type])
			tb[type] = rta;
	}
	return 0;
}

struct rtattr *parse_rtattr_one(int type, struct rtattr *rta, int len)
{
	for (; RTA_OK(rta, len); rta = RTA_NEXT(rta, len))
		if (rta->rta_type == type)
			return rta;
	return NULL;
}
