/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files that xfrm-ext has in common with "ip xfrm" (../xfrm_ext*.c) want of iproute2,
 * under the names that it has there, here on top of libmnl. xfrm-ext's own files use it as well.
 */
#ifndef XFRM_EXT_HOST_H
#define XFRM_EXT_HOST_H

#include <arpa/inet.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/xfrm.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct mnl_socket;

/* In texts */
#define XFRM_EXT_PROG	"xfrm-ext"
#define XFRM_EXT_BATCH	"xfrm-ext -batch"
#define XFRM_EXT_HELP	"xfrm-ext add help"

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define MAX_ARGS	512	/* words in a line of a batch */
#define NLMSG_TAIL(n)	((struct rtattr *)((char *)(n) + NLMSG_ALIGN((n)->nlmsg_len)))
#define _SL_		"\n"

/* main.c: what the options say */
extern int preferred_family, show_stats, show_details, json, timestamp;

/* nl.c: netlink */
struct rtnl_handle {
	int fd;
	int proto;
	__u32 seq;
	struct mnl_socket *nl;
};

struct rtnl_ctrl_data;

#define GENL_REQUEST(_req, _size, _type, _hdr, _version, _cmd, _flags)	\
struct {								\
	struct nlmsghdr n;						\
	struct genlmsghdr g;						\
	char buf[NLMSG_ALIGN(_hdr) + (_size)];				\
} _req = {								\
	.n.nlmsg_len = NLMSG_LENGTH(GENL_HDRLEN + (_hdr)),		\
	.n.nlmsg_type = (_type),					\
	.n.nlmsg_flags = (_flags),					\
	.g.cmd = (_cmd),						\
	.g.version = (_version),					\
}

int rtnl_open_byproto(struct rtnl_handle *rth, unsigned int groups, int proto);
void rtnl_close(struct rtnl_handle *rth);
int rtnl_dump_request_n(struct rtnl_handle *rth, struct nlmsghdr *n);
int rtnl_dump_filter(struct rtnl_handle *rth,
		     int (*each)(struct nlmsghdr *n, void *arg), void *arg);
int rtnl_listen(struct rtnl_handle *rth,
		int (*each)(struct rtnl_ctrl_data *ctrl, struct nlmsghdr *n, void *arg),
		void *arg);
int genl_add_mcast_grp(struct rtnl_handle *rth, __u16 family, const char *group);

int addattr(struct nlmsghdr *n, int maxlen, int type);
int addattr16(struct nlmsghdr *n, int maxlen, int type, __u16 val);
int addattr32(struct nlmsghdr *n, int maxlen, int type, __u32 val);
int addattr64(struct nlmsghdr *n, int maxlen, int type, __u64 val);
int addattr_l(struct nlmsghdr *n, int maxlen, int type, const void *data, int len);
int addattrstrz(struct nlmsghdr *n, int maxlen, int type, const char *text);
struct rtattr *addattr_nest(struct nlmsghdr *n, int maxlen, int type);
int addattr_nest_end(struct nlmsghdr *n, struct rtattr *nest);

int parse_rtattr_flags(struct rtattr *tb[], int max, struct rtattr *rta, int len,
		       unsigned short flags);
struct rtattr *parse_rtattr_one(int type, struct rtattr *rta, int len);

#define parse_rtattr(tb, max, rta, len)	parse_rtattr_flags(tb, max, rta, len, 0)
#define parse_rtattr_nested(tb, max, rta) \
	parse_rtattr_flags(tb, max, RTA_DATA(rta), RTA_PAYLOAD(rta), NLA_F_NESTED)
#define parse_rtattr_one_nested(type, rta) \
	parse_rtattr_one(type, RTA_DATA(rta), RTA_PAYLOAD(rta))

/* Attributes are aligned to 4 octets */
static inline __u16 rta_getattr_u16(const struct rtattr *rta)
{
	__u16 val;

	memcpy(&val, RTA_DATA(rta), sizeof(val));
	return val;
}

static inline __u32 rta_getattr_u32(const struct rtattr *rta)
{
	__u32 val;

	memcpy(&val, RTA_DATA(rta), sizeof(val));
	return val;
}

static inline __u64 rta_getattr_u64(const struct rtattr *rta)
{
	__u64 val;

	memcpy(&val, RTA_DATA(rta), sizeof(val));
	return val;
}

static inline const char *rta_getattr_str(const struct rtattr *rta)
{
	return RTA_DATA(rta);
}

#define XFRMS_RTA(x)	((struct rtattr *)((char *)(x) + \
			 NLMSG_ALIGN(sizeof(struct xfrm_usersa_info))))
#define XFRMS_PAYLOAD(n)	NLMSG_PAYLOAD(n, sizeof(struct xfrm_usersa_info))

/* words.c: words of the command line, and addresses */
#define NEXT_ARG() do { argv++; if (--argc <= 0) incomplete_command(); } while (0)
#define NEXT_ARG_OK()	(argc - 1 > 0)

typedef struct {
	__u16 bytelen;
	__s16 bitlen;
	__u16 family;
	__u32 data[4];
} inet_prefix;

void incomplete_command(void) __attribute__((noreturn));
void missarg(const char *word) __attribute__((noreturn));
void invarg(const char *text, const char *arg) __attribute__((noreturn));
void duparg(const char *word, const char *arg) __attribute__((noreturn));
bool matches(const char *prefix, const char *word);
int get_addr(inet_prefix *dst, const char *arg, int family);
int get_prefix(inet_prefix *dst, char *arg, int family);
int read_family(const char *name);
const char *family_name(int family);
const char *rt_addr_n2a(int family, int len, const void *addr);
int xfrm_parse_mark(struct xfrm_mark *mark, int *argcp, char ***argvp);
int print_timestamp(FILE *fp);

#define rt_addr_n2a_rta(family, rta) \
	rt_addr_n2a(family, RTA_PAYLOAD(rta), RTA_DATA(rta))

/* json.c: one document at a time, on standard output. There is no format for text. */
enum output_type { PRINT_JSON = 2 };

void new_json_obj(int json);
void delete_json_obj(void);
void new_json_obj_plain(int json);
void delete_json_obj_plain(void);
bool is_json_context(void);
void open_json_object(const char *key);
void close_json_object(void);
void open_json_array(enum output_type type, const char *key);
void close_json_array(enum output_type type, const char *key);
int print_string(enum output_type type, const char *key, const char *fmt, const char *val);
int print_uint(enum output_type type, const char *key, const char *fmt, unsigned int val);
int print_u64(enum output_type type, const char *key, const char *fmt, uint64_t val);
int print_bool(enum output_type type, const char *key, const char *fmt, bool val);

#endif
