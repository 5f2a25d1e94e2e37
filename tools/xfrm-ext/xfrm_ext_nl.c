// SPDX-License-Identifier: GPL-2.0-only
/*
 * xfrm_ext_nl.c	The xfrm_ext kernel module: found, asked, and what its answers mean;
 *			an extended SA made
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xfrm_ext_host.h"
#include "xfrm_ext.h"

#define EXT_BUF_SIZE	1024
#define EXT_ANSWER_SIZE	32768

/* The attributes of an answer; for those that come many times, the first */
void xfrm_ext_attrs(struct nlmsghdr *n, struct rtattr *tb[])
{
	parse_rtattr_flags(tb, XFRM_EXT_A_MAX, XFRM_EXT_RTA(n),
			   XFRM_EXT_PAYLOAD(n), NLA_F_NESTED);
}

static int ext_family_id(struct nlmsghdr *n)
{
	struct rtattr *tb[CTRL_ATTR_MAX + 1];

	if (n->nlmsg_type != GENL_ID_CTRL)
		return -1;

	parse_rtattr(tb, CTRL_ATTR_MAX, XFRM_EXT_RTA(n), XFRM_EXT_PAYLOAD(n));
	if (!tb[CTRL_ATTR_FAMILY_ID] || !tb[CTRL_ATTR_FAMILY_NAME] ||
	    strcmp(rta_getattr_str(tb[CTRL_ATTR_FAMILY_NAME]),
		   XFRM_EXT_GENL_NAME))
		return -1;

	return rta_getattr_u16(tb[CTRL_ATTR_FAMILY_ID]);
}

static int ext_family_match(struct nlmsghdr *n, void *arg)
{
	int *family = arg;

	if (*family < 0)
		*family = ext_family_id(n);

	return 0;
}

/*
 * Open a generic netlink socket and find the family, if it is there. Asking
 * for it by name would load the module; a listing has no business doing that.
 */
int xfrm_ext_open_if_loaded(struct rtnl_handle *grth)
{
	GENL_REQUEST(req, 0, GENL_ID_CTRL, 0, 0, CTRL_CMD_GETFAMILY, 0);
	int family = -1;

	if (rtnl_open_byproto(grth, 0, NETLINK_GENERIC) < 0)
		return -1;

	if (rtnl_dump_request_n(grth, &req.n) < 0)
		perror("Cannot send dump request");
	else if (rtnl_dump_filter(grth, ext_family_match, &family) < 0)
		family = -1;

	if (family < 0)
		rtnl_close(grth);

	return family;
}

/*
 * The same for those that need the family: the kernel loads the module.
 * Not genl_resolve_family(), which speaks of "RTNETLINK" if that fails.
 */
int xfrm_ext_open(struct rtnl_handle *grth)
{
	GENL_REQUEST(req, EXT_BUF_SIZE, GENL_ID_CTRL, 0, 0, CTRL_CMD_GETFAMILY,
		     NLM_F_REQUEST);
	struct nlmsghdr *answer;
	int family = -1;

	if (rtnl_open_byproto(grth, 0, NETLINK_GENERIC) < 0)
		return -1;

	addattrstrz(&req.n, sizeof(req), CTRL_ATTR_FAMILY_NAME,
		    XFRM_EXT_GENL_NAME);

	if (xfrm_ext_talk(grth, &req.n, &answer, true) == 0) {
		family = ext_family_id(answer);
		free(answer);
	} else if (errno != ENOENT) {
		fprintf(stderr, "xfrm_ext: %s\n", strerror(errno));
		rtnl_close(grth);
		return -1;
	}

	if (family < 0) {
		fprintf(stderr,
			"xfrm_ext: kernel module not loaded (modprobe xfrm_ext)\n");
		rtnl_close(grth);
	}

	return family;
}

static void ext_no_command(int cmd)
{
	fprintf(stderr,
		"Error: xfrm_ext: the kernel's module is older than this program, and has no command \"%s\": load the module of this version.\n",
		xfrm_ext_cmd_name(cmd));
}

static void ext_no_attribute(const char *name)
{
	fprintf(stderr,
		"Error: xfrm_ext: the kernel's module is older than this program, and does not know \"%s\": load the module of this version.\n",
		name ? name : "an attribute");
}

/*
 * Is it a value that the module does not know? It has what has been said by name, or
 * a flag; so who can say it is newer than the module.
 */
static bool ext_no_value(int attr, const char *text)
{
	switch (attr) {
	case XFRM_EXT_A_FORMAT:
	case XFRM_EXT_A_TRAILER:
	case XFRM_EXT_A_IV:
	case XFRM_EXT_A_SELECT:
		return strstr(text, ": must be 0 to ");
	case XFRM_EXT_A_FLAGS:
	case XFRM_EXT_A_RULE_FLAGS:
		return strstr(text, " are known");
	default:
		return false;
	}
}

/* What the kernel says with a refusal, and the name of the attribute at fault */
static const char *ext_refusal_text(const struct nlmsghdr *h, int *attr)
{
	const struct nlmsgerr *err = NLMSG_DATA(h);
	const char *end = (const char *)h + h->nlmsg_len;
	const struct rtattr *rta, *at;
	const char *text = NULL;
	size_t skip = sizeof(*err);
	__u32 off;
	int len;

	if (!(h->nlmsg_flags & NLM_F_ACK_TLVS))
		return NULL;

	if (!(h->nlmsg_flags & NLM_F_CAPPED))
		skip += err->msg.nlmsg_len - NLMSG_HDRLEN;
	rta = (const void *)((const char *)err + NLMSG_ALIGN(skip));
	len = end - (const char *)rta;
	for (; RTA_OK(rta, len); rta = RTA_NEXT(rta, len)) {
		if (rta->rta_type == NLMSGERR_ATTR_MSG)
			text = rta_getattr_str(rta);
		if (rta->rta_type != NLMSGERR_ATTR_OFFS ||
		    h->nlmsg_flags & NLM_F_CAPPED)
			continue;
		off = rta_getattr_u32(rta);
		if (off + sizeof(*at) > err->msg.nlmsg_len)
			continue;
		at = (const void *)((const char *)&err->msg + off);
		*attr = at->rta_type & NLA_TYPE_MASK;
	}

	return text && *text ? text : NULL;
}

/* Say why; of a module that is an old one, the kernel's own words say too little */
static void ext_refused(struct rtnl_handle *rth, const struct nlmsghdr *n,
			const struct nlmsghdr *h)
{
	const struct genlmsghdr *ghdr = NLMSG_DATA(n);
	const struct nlmsgerr *err = NLMSG_DATA(h);
	int attr = -1;
	const char *text = ext_refusal_text(h, &attr);
	bool ours = rth->proto == NETLINK_GENERIC;

	if (ours && text && strcmp(text, "Unknown attribute type") == 0)
		ext_no_attribute(xfrm_ext_attr_name(attr));
	else if (ours && text && ext_no_value(attr, text))
		fprintf(stderr,
			"Error: %s. The kernel's module is older than this program: load the module of this version.\n",
			text);
	else if (text)
		fprintf(stderr, "Error: %s%s\n", text,
			text[strlen(text) - 1] == '.' ? "" : ".");
	else if (ours && err->error == -EOPNOTSUPP)
		ext_no_command(ghdr->cmd);
	else if (err->error == -EPERM)
		fprintf(stderr,
			"Error: %s: this needs root, or CAP_NET_ADMIN.\n",
			strerror(EPERM));
	else
		fprintf(stderr, "RTNETLINK answers: %s\n",
			strerror(-err->error));
}

/*
 * A request, and what is answered, if somebody wants to know: free() it. -1: the
 * kernel has refused, and errno says why, and a text unless quiet. -2: there is no
 * answer.
 */
int xfrm_ext_talk(struct rtnl_handle *rth, struct nlmsghdr *n,
		  struct nlmsghdr **answer, bool quiet)
{
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	struct iovec iov = { n, n->nlmsg_len };
	struct msghdr msg = {
		.msg_name = &kernel,
		.msg_namelen = sizeof(kernel),
		.msg_iov = &iov,
		.msg_iovlen = 1,
	};
	struct nlmsghdr *h, *got = NULL;
	const struct nlmsgerr *err;
	int len, ret = -2;
	char *buf;

	n->nlmsg_seq = ++rth->seq;
	n->nlmsg_flags |= NLM_F_ACK;
	/* The tests find requests by this call */
	if (sendmsg(rth->fd, &msg, 0) < 0) {
		if (!quiet)
			perror("Cannot talk to the kernel");
		return -2;
	}

	buf = xfrm_ext_alloc(NULL, EXT_ANSWER_SIZE);
	for (;;) {
		len = recv(rth->fd, buf, EXT_ANSWER_SIZE, 0);
		if (len < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (len <= 0) {
			if (!quiet)
				perror("The kernel does not answer");
			break;
		}
		for (h = (struct nlmsghdr *)buf; NLMSG_OK(h, len);
		     h = NLMSG_NEXT(h, len)) {
			if (h->nlmsg_seq != n->nlmsg_seq)
				continue;
			if (h->nlmsg_type != NLMSG_ERROR) {
				free(got);
				got = xfrm_ext_alloc(NULL, h->nlmsg_len);
				memcpy(got, h, h->nlmsg_len);
				continue;
			}
			err = NLMSG_DATA(h);
			ret = err->error ? -1 : 0;
			if (ret && !quiet)
				ext_refused(rth, n, h);
			errno = -err->error;
			goto done;
		}
	}

done:
	free(buf);
	if (!ret && answer)
		*answer = got;
	else
		free(got);

	return ret;
}

int xfrm_ext_request(struct nlmsghdr *n)
{
	struct rtnl_handle grth;
	int ret = xfrm_ext_open(&grth);

	if (ret < 0)
		return -2;
	n->nlmsg_type = ret;
	ret = xfrm_ext_talk(&grth, n, NULL, false);
	rtnl_close(&grth);

	return ret < 0 ? -2 : 0;
}

/* All that there is of something */
int xfrm_ext_dump(int cmd, int (*each)(struct nlmsghdr *n, void *arg),
		  void *arg)
{
	GENL_REQUEST(req, 0, 0, 0, XFRM_EXT_GENL_VERSION, cmd, 0);
	struct rtnl_handle grth;
	int family = xfrm_ext_open(&grth);
	int ret = 0;

	if (family < 0)
		return -2;

	req.n.nlmsg_type = family;
	errno = 0;
	if (rtnl_dump_request_n(&grth, &req.n) < 0 ||
	    rtnl_dump_filter(&grth, each, arg) < 0) {
		if (errno == EOPNOTSUPP)
			ext_no_command(cmd);
		else
			fprintf(stderr, "xfrm_ext: dump terminated\n");
		ret = -2;
	}
	rtnl_close(&grth);

	return ret;
}

void xfrm_ext_put_id(struct nlmsghdr *n, int maxlen,
		     const struct xfrm_usersa_info *xsinfo,
		     const struct xfrm_mark *mark)
{
	addattr16(n, maxlen, XFRM_EXT_A_FAMILY, xsinfo->family);
	addattr_l(n, maxlen, XFRM_EXT_A_DADDR, &xsinfo->id.daddr,
		  xsinfo->family == AF_INET6 ? 16 : 4);
	addattr32(n, maxlen, XFRM_EXT_A_SPI, xsinfo->id.spi);
	if (mark->m) {
		addattr32(n, maxlen, XFRM_EXT_A_MARK, mark->v);
		addattr32(n, maxlen, XFRM_EXT_A_MARK_MASK, mark->m);
	}
}

static int ext_announce(const struct xfrm_ext_params *params,
			const struct xfrm_usersa_info *xsinfo,
			const struct xfrm_mark *mark)
{
	GENL_REQUEST(req, EXT_BUF_SIZE, 0, 0, XFRM_EXT_GENL_VERSION,
		     XFRM_EXT_CMD_ANNOUNCE, NLM_F_REQUEST);
	struct rtnl_handle grth;
	int ret;

	ret = xfrm_ext_open(&grth);
	if (ret < 0)
		return -1;

	req.n.nlmsg_type = ret;
	xfrm_ext_put_id(&req.n, sizeof(req), xsinfo, mark);
	xfrm_ext_params_put(&req.n, sizeof(req), params);

	ret = xfrm_ext_talk(&grth, &req.n, NULL, false);
	rtnl_close(&grth);

	return ret < 0 ? -1 : 0;
}

/* The kernel may have dropped the announcement itself: that is no error */
static void ext_withdraw(const struct xfrm_usersa_info *xsinfo,
			 const struct xfrm_mark *mark)
{
	GENL_REQUEST(req, EXT_BUF_SIZE, 0, 0, XFRM_EXT_GENL_VERSION,
		     XFRM_EXT_CMD_WITHDRAW, NLM_F_REQUEST);
	struct rtnl_handle grth;
	int family = xfrm_ext_open_if_loaded(&grth);

	if (family < 0)
		return;

	req.n.nlmsg_type = family;
	xfrm_ext_put_id(&req.n, sizeof(req), xsinfo, mark);
	if (xfrm_ext_talk(&grth, &req.n, NULL, true) < 0 &&
	    errno != ENOENT)
		fprintf(stderr,
			"xfrm_ext: announcement not withdrawn (%s): it will age out\n",
			strerror(errno));
	rtnl_close(&grth);
}

static int ext_check_ready(struct nlmsghdr *n)
{
	struct rtattr *tb[XFRM_EXT_A_MAX + 1];
	const char *reason = "it never became ready";

	xfrm_ext_attrs(n, tb);
	if (tb[XFRM_EXT_A_STATE] &&
	    (rta_getattr_u32(tb[XFRM_EXT_A_STATE]) == XFRM_EXT_STATE_READY ||
	     rta_getattr_u32(tb[XFRM_EXT_A_STATE]) == XFRM_EXT_STATE_HELD))
		return 0;

	if (tb[XFRM_EXT_A_REASON])
		reason = rta_getattr_str(tb[XFRM_EXT_A_REASON]);
	fprintf(stderr, "xfrm_ext: the SA cannot be used and is deleted: %s\n",
		reason);

	return -1;
}

/*
 * The SA exists: is it the extended one that was announced? If not, the caller
 * deletes it; the texts say so.
 */
static int ext_verify(const struct xfrm_usersa_info *xsinfo,
		      const struct xfrm_mark *mark)
{
	GENL_REQUEST(req, EXT_BUF_SIZE, 0, 0, XFRM_EXT_GENL_VERSION,
		     XFRM_EXT_CMD_GET, NLM_F_REQUEST);
	struct nlmsghdr *answer;
	struct rtnl_handle grth;
	int ret = xfrm_ext_open(&grth);

	if (ret < 0)
		return -1;

	req.n.nlmsg_type = ret;
	xfrm_ext_put_id(&req.n, sizeof(req), xsinfo, mark);
	ret = xfrm_ext_talk(&grth, &req.n, &answer, false);
	if (ret == 0) {
		ret = ext_check_ready(answer);
		free(answer);
	} else {
		fprintf(stderr,
			"xfrm_ext: the module does not have the SA: it is deleted\n");
	}
	rtnl_close(&grth);

	return ret < 0 ? -1 : 0;
}

/* Take back an SA that was made but is not what was asked for */
static void ext_remove(struct rtnl_handle *rth,
		       const struct xfrm_usersa_info *xsinfo,
		       const struct xfrm_mark *mark)
{
	struct {
		struct nlmsghdr	n;
		struct xfrm_usersa_id	xsid;
		char			buf[64];
	} req = {
		.n.nlmsg_len = NLMSG_LENGTH(sizeof(req.xsid)),
		.n.nlmsg_flags = NLM_F_REQUEST,
		.n.nlmsg_type = XFRM_MSG_DELSA,
		.xsid.daddr = xsinfo->id.daddr,
		.xsid.spi = xsinfo->id.spi,
		.xsid.family = xsinfo->family,
		.xsid.proto = xsinfo->id.proto,
	};

	if (mark->m)
		addattr_l(&req.n, sizeof(req), XFRMA_MARK,
			  mark, sizeof(*mark));

	if (xfrm_ext_talk(rth, &req.n, NULL, true) < 0 &&
	    errno != ESRCH)
		fprintf(stderr, "The SA could not be deleted: %s\n",
			strerror(errno));
}

/* Is there such an SA, and is it marked as extended? */
static bool ext_marked(struct rtnl_handle *rth,
		       const struct xfrm_usersa_info *xsinfo,
		       const struct xfrm_mark *mark)
{
	struct {
		struct nlmsghdr	n;
		struct xfrm_usersa_id	xsid;
		char			buf[64];
	} req = {
		.n.nlmsg_len = NLMSG_LENGTH(sizeof(req.xsid)),
		.n.nlmsg_flags = NLM_F_REQUEST,
		.n.nlmsg_type = XFRM_MSG_GETSA,
		.xsid.daddr = xsinfo->id.daddr,
		.xsid.spi = xsinfo->id.spi,
		.xsid.family = xsinfo->family,
		.xsid.proto = xsinfo->id.proto,
	};
	struct nlmsghdr *answer;
	struct rtattr *flags;
	bool marked;

	if (mark->m)
		addattr_l(&req.n, sizeof(req), XFRMA_MARK,
			  mark, sizeof(*mark));

	if (xfrm_ext_talk(rth, &req.n, &answer, true) < 0)
		return false;

	flags = parse_rtattr_one(XFRMA_SA_EXTRA_FLAGS,
				 XFRMS_RTA(NLMSG_DATA(answer)),
				 XFRMS_PAYLOAD(answer));
	marked = flags && rta_getattr_u32(flags) & XFRM_EXT_SA_XFLAG;
	free(answer);

	return marked;
}

/*
 * Nobody has said whether the SA was made. What is marked as extended stays
 * only if the module runs it; what is not marked is none of ours.
 */
static void ext_settle(const struct xfrm_usersa_info *xsinfo,
		       const struct xfrm_mark *mark)
{
	struct rtnl_handle rth;

	/* Not the old socket, where the answer may still come */
	if (rtnl_open_byproto(&rth, 0, NETLINK_XFRM) < 0)
		return;

	if (ext_marked(&rth, xsinfo, mark)) {
		if (ext_verify(xsinfo, mark) < 0)
			ext_remove(&rth, xsinfo, mark);
		else
			fprintf(stderr,
				"xfrm_ext: no answer, but there is such an SA\n");
	}
	rtnl_close(&rth);
}

/* Announce an extended SA, make it, and see what has become of it */
int xfrm_ext_make(struct rtnl_handle *rth, struct nlmsghdr *n,
		  const struct xfrm_ext_params *ext,
		  const struct xfrm_usersa_info *xsinfo,
		  const struct xfrm_mark *mark)
{
	int ret;

	if (ext_announce(ext, xsinfo, mark) < 0)
		return -1;

	ret = xfrm_ext_talk(rth, n, NULL, false);
	if (ret < 0) {
		ext_withdraw(xsinfo, mark);
		/* -1 is the kernel's no, what is below an answer that was lost */
		if (ret < -1)
			ext_settle(xsinfo, mark);
		return -1;
	}

	if (ext_verify(xsinfo, mark) < 0) {
		ext_remove(rth, xsinfo, mark);
		/* Of an SA that failed it is left for another try */
		ext_withdraw(xsinfo, mark);
		return -1;
	}

	return 0;
}
