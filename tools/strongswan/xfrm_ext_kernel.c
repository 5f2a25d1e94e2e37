// SPDX-License-Identifier: GPL-2.0-only
/*
 * Requests to the generic netlink family xfrm_ext.
 *
 * Each has a socket of its own: there are few of them, and several threads.
 */

#include "xfrm_ext_kernel.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <linux/xfrm_ext.h>

#include <daemon.h>

#ifndef SOL_NETLINK
#define SOL_NETLINK 270
#endif

/**
 * A request, room for all that is sent here.
 */
typedef union {
	struct nlmsghdr hdr;
	uint8_t bytes[512];
} request_t;

/**
 * What is kept of answers.
 */
typedef struct {

	/** attributes of the reply, by type */
	chunk_t attrs[XFRM_EXT_A_MAX + 1];

	/** errno, 0 if all is well */
	int error;

	/** the kernel's text on it, or empty */
	char text[256];

	/** what the chunks point into */
	union {
		struct nlmsghdr hdr;
		uint8_t bytes[16384];
	} buf;
} answer_t;

/**
 * Begin a request.
 */
static void request_init(request_t *req, uint16_t type, uint8_t cmd)
{
	struct genlmsghdr *genl = NLMSG_DATA(&req->hdr);

	memset(req, 0, sizeof(*req));
	req->hdr.nlmsg_len = NLMSG_LENGTH(GENL_HDRLEN);
	req->hdr.nlmsg_type = type;
	req->hdr.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	req->hdr.nlmsg_seq = 1;
	genl->cmd = cmd;
	genl->version = XFRM_EXT_GENL_VERSION;
}

/**
 * Add an attribute.
 */
static void request_add(request_t *req, uint16_t type, const void *data,
						size_t len)
{
	struct nlattr *attr;

	attr = (struct nlattr*)(req->bytes + req->hdr.nlmsg_len);
	attr->nla_type = type;
	attr->nla_len = NLA_HDRLEN + len;
	memcpy(attr + 1, data, len);
	req->hdr.nlmsg_len += NLA_ALIGN(attr->nla_len);
}

static void request_u32(request_t *req, uint16_t type, uint32_t value)
{
	request_add(req, type, &value, sizeof(value));
}

/**
 * Find attributes; those that are not known here are left out.
 */
static void parse_attrs(uint8_t *pos, size_t len, chunk_t attrs[], int max)
{
	struct nlattr *attr;

	while (len >= NLA_HDRLEN)
	{
		attr = (struct nlattr*)pos;
		if (attr->nla_len < NLA_HDRLEN || attr->nla_len > len)
		{
			return;
		}
		if ((attr->nla_type & NLA_TYPE_MASK) <= max)
		{
			attrs[attr->nla_type & NLA_TYPE_MASK] = chunk_create(
						pos + NLA_HDRLEN, attr->nla_len - NLA_HDRLEN);
		}
		if (NLA_ALIGN(attr->nla_len) >= len)
		{
			return;
		}
		pos += NLA_ALIGN(attr->nla_len);
		len -= NLA_ALIGN(attr->nla_len);
	}
}

static uint32_t attr_u32(chunk_t attr)
{
	uint32_t value = 0;

	if (attr.len == sizeof(value))
	{
		memcpy(&value, attr.ptr, sizeof(value));
	}
	return value;
}

/**
 * The acknowledgement, with the kernel's text if there is one.
 */
static void parse_error(struct nlmsghdr *hdr, answer_t *answer)
{
	chunk_t attrs[NLMSGERR_ATTR_MSG + 1] = {}, text;
	struct nlmsgerr *err = NLMSG_DATA(hdr);
	size_t len = NLMSG_ALIGN(sizeof(*err));

	answer->error = EPROTO;
	if (hdr->nlmsg_len < NLMSG_LENGTH(sizeof(*err)))
	{
		return;
	}
	answer->error = -err->error;
	if ((hdr->nlmsg_flags & NLM_F_ACK_TLVS) &&
		(hdr->nlmsg_flags & NLM_F_CAPPED) && hdr->nlmsg_len > NLMSG_LENGTH(len))
	{
		parse_attrs((uint8_t*)err + len, hdr->nlmsg_len - NLMSG_LENGTH(len),
					attrs, NLMSGERR_ATTR_MSG);
	}
	text = attrs[NLMSGERR_ATTR_MSG];
	snprintf(answer->text, sizeof(answer->text), "%.*s", (int)text.len,
			 text.ptr ? (char*)text.ptr : "");
}

/**
 * Read up to the acknowledgement. The reply, if there is one, comes in a
 * datagram before it and stays in the buffer.
 */
static bool receive(int fd, answer_t *answer)
{
	uint8_t *pos = answer->buf.bytes;
	struct nlmsghdr *hdr;
	ssize_t len;
	size_t room;

	while (TRUE)
	{
		room = answer->buf.bytes + sizeof(answer->buf) - pos;
		len = recv(fd, pos, room, MSG_TRUNC);
		if (len < 0 && errno == EINTR)
		{
			continue;
		}
		if (len < 0 || len > room)
		{
			return FALSE;
		}
		for (hdr = (struct nlmsghdr*)pos; NLMSG_OK(hdr, len);
			 hdr = NLMSG_NEXT(hdr, len))
		{
			if (hdr->nlmsg_type == NLMSG_ERROR)
			{
				parse_error(hdr, answer);
				return TRUE;
			}
			if (hdr->nlmsg_len >= NLMSG_LENGTH(GENL_HDRLEN))
			{
				parse_attrs((uint8_t*)NLMSG_DATA(hdr) + GENL_HDRLEN,
							hdr->nlmsg_len - NLMSG_LENGTH(GENL_HDRLEN),
							answer->attrs, XFRM_EXT_A_MAX);
			}
			pos = (uint8_t*)hdr + NLMSG_ALIGN(hdr->nlmsg_len);
		}
	}
}

/**
 * Send a request and wait for what the kernel says.
 */
static void transact(request_t *req, answer_t *answer)
{
	struct sockaddr_nl kernel = {
		.nl_family = AF_NETLINK,
	};
	struct timeval patience = {
		.tv_sec = 10,
	};
	int fd, on = 1;

	memset(answer, 0, offsetof(answer_t, buf));
	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);
	if (fd < 0)
	{
		answer->error = errno;
		return;
	}
	setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
	setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (sendto(fd, req, req->hdr.nlmsg_len, 0, (struct sockaddr*)&kernel,
			   sizeof(kernel)) < 0 || !receive(fd, answer))
	{
		answer->error = errno ?: EPROTO;
	}
	close(fd);
}

/**
 * The number that the family has; it changes when the module is loaded anew.
 */
static uint16_t find_family()
{
	request_t req;
	answer_t answer;
	uint16_t id = 0;

	request_init(&req, GENL_ID_CTRL, CTRL_CMD_GETFAMILY);
	request_add(&req, CTRL_ATTR_FAMILY_NAME, XFRM_EXT_GENL_NAME,
				sizeof(XFRM_EXT_GENL_NAME));
	transact(&req, &answer);
	if (!answer.error && answer.attrs[CTRL_ATTR_FAMILY_ID].len == sizeof(id))
	{
		memcpy(&id, answer.attrs[CTRL_ATTR_FAMILY_ID].ptr, sizeof(id));
	}
	return id;
}

/**
 * Begin a request about an SA.
 */
static bool request_sa(request_t *req, uint8_t cmd, kernel_ipsec_sa_id_t *id)
{
	uint16_t type = find_family(), family = id->dst->get_family(id->dst);
	chunk_t daddr = id->dst->get_address(id->dst);

	if (!type)
	{
		return FALSE;
	}
	request_init(req, type, cmd);
	request_add(req, XFRM_EXT_A_FAMILY, &family, sizeof(family));
	request_add(req, XFRM_EXT_A_DADDR, daddr.ptr, daddr.len);
	request_add(req, XFRM_EXT_A_SPI, &id->spi, sizeof(id->spi));
	if (id->mark.value | id->mark.mask)
	{
		request_u32(req, XFRM_EXT_A_MARK, id->mark.value);
		request_u32(req, XFRM_EXT_A_MARK_MASK, id->mark.mask);
	}
	return TRUE;
}

static void log_error(const char *what, kernel_ipsec_sa_id_t *id,
					  answer_t *answer)
{
	DBG1(DBG_KNL, "%s SA with SPI %.8x: %s%s%s", what, ntohl(id->spi),
		 strerror(answer->error), *answer->text ? ": " : "", answer->text);
}

/*
 * See header
 */
bool xfrm_ext_kernel_caps(xfrm_ext_caps_t *caps)
{
	request_t req;
	answer_t answer;
	uint16_t type = find_family();

	if (!type)
	{
		return FALSE;
	}
	request_init(&req, type, XFRM_EXT_CMD_CAPS);
	transact(&req, &answer);
	*caps = (xfrm_ext_caps_t){
		.formats = attr_u32(answer.attrs[XFRM_EXT_A_CAP_FORMATS]),
		.trailers = attr_u32(answer.attrs[XFRM_EXT_A_CAP_TRAILERS]),
		.ivs = attr_u32(answer.attrs[XFRM_EXT_A_CAP_IVS]),
	};
	return !answer.error;
}

/*
 * See header
 */
bool xfrm_ext_kernel_announce(kernel_ipsec_sa_id_t *id, bool inbound,
							  xfrm_ext_params_t *params)
{
	request_t req;
	answer_t answer = {
		.error = ENOENT,
	};

	if (request_sa(&req, XFRM_EXT_CMD_ANNOUNCE, id))
	{
		request_u32(&req, XFRM_EXT_A_FORMAT, XFRM_EXT_FORMAT_ESP64);
		request_u32(&req, XFRM_EXT_A_TRAILER, params->trailer);
		request_u32(&req, XFRM_EXT_A_IV, params->iv);
		if (inbound)
		{
			request_u32(&req, XFRM_EXT_A_RX_SUBSPACES, params->rx_subspaces);
			request_u32(&req, XFRM_EXT_A_WINDOW, params->window);
		}
		else
		{
			request_u32(&req, XFRM_EXT_A_TX_SUBSPACES, params->tx_subspaces);
		}
		transact(&req, &answer);
	}
	if (answer.error)
	{
		log_error("cannot announce extended", id, &answer);
	}
	return !answer.error;
}

/*
 * See header
 */
void xfrm_ext_kernel_withdraw(kernel_ipsec_sa_id_t *id)
{
	request_t req;
	answer_t answer;

	if (request_sa(&req, XFRM_EXT_CMD_WITHDRAW, id))
	{
		transact(&req, &answer);
	}
}

/*
 * See header
 */
bool xfrm_ext_kernel_ready(kernel_ipsec_sa_id_t *id)
{
	request_t req;
	chunk_t reason, state;
	answer_t answer = {
		.error = ENOENT,
	};

	if (request_sa(&req, XFRM_EXT_CMD_GET, id))
	{
		transact(&req, &answer);
	}
	if (answer.error)
	{
		log_error("no extended", id, &answer);
		return FALSE;
	}
	state = answer.attrs[XFRM_EXT_A_STATE];
	reason = answer.attrs[XFRM_EXT_A_REASON];
	if (state.len == sizeof(uint32_t) && attr_u32(state) == XFRM_EXT_STATE_READY)
	{
		return TRUE;
	}
	DBG1(DBG_KNL, "extended SA with SPI %.8x is not ready: %.*s",
		 ntohl(id->spi), (int)reason.len, reason.ptr ? (char*)reason.ptr : "");
	return FALSE;
}
