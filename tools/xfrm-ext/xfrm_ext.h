/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Extended SAs, for "ip xfrm" and for xfrm-ext: the files xfrm_ext*.[ch] are compiled into
 * both. What they need of iproute2 comes by xfrm_ext_host.h, of which each program has
 * its own.
 */
#ifndef XFRM_EXT_H
#define XFRM_EXT_H

#include <stdbool.h>
#include <stdio.h>
#include <linux/genetlink.h>
#include <linux/xfrm.h>
#include <linux/xfrm_ext.h>

struct rtattr;
struct rtnl_handle;

#define XFRM_EXT_RTA(n)	((struct rtattr *)(((char *)NLMSG_DATA(n)) + GENL_HDRLEN))
#define XFRM_EXT_PAYLOAD(n)	NLMSG_PAYLOAD(n, GENL_HDRLEN)

#define XFRM_EXT_DSCPS	64

/* For a mode: what is printed is of a rule, whose SAs may have any */
#define XFRM_EXT_MODE_ANY	XFRM_MODE_MAX

/* What the words after "ext" say, or what the kernel says of an extended SA */
struct xfrm_ext_params {
	__u32 words;		/* bit per word that was given */
	bool set[XFRM_EXT_A_MAX + 1];
	__u64 val[XFRM_EXT_A_MAX + 1];
	__u16 dscp[XFRM_EXT_DSCPS];
};

/* xfrm_ext_words.c: the words */
void xfrm_ext_usage(FILE *fp);
int xfrm_ext_number(__u64 *val, const char *arg, int base, __u64 max);
bool xfrm_ext_parse_word(struct xfrm_ext_params *params, int *argcp,
			 char ***argvp);
void xfrm_ext_check(const struct xfrm_ext_params *params);
void xfrm_ext_parse(struct xfrm_ext_params *params, int *argcp, char ***argvp);
void xfrm_ext_ask_defaults(struct xfrm_ext_params *params);
void xfrm_ext_params_read(struct xfrm_ext_params *params, struct rtattr *tb[]);
void xfrm_ext_params_print(FILE *fp, const struct xfrm_ext_params *params,
			   __u8 mode);
void xfrm_ext_params_put(struct nlmsghdr *n, int maxlen,
			 const struct xfrm_ext_params *params);
const char *xfrm_ext_name(enum xfrm_ext_attr attr, __u32 val);

/* xfrm_ext_names.c: the spec's names, and attributes as JSON under these */
const char *xfrm_ext_attr_name(int attr);
const char *xfrm_ext_stat_name(int stat);
const char *xfrm_ext_cmd_name(int cmd);
bool xfrm_ext_stat_is_drop(int stat);
const char *xfrm_ext_mode_name(__u32 mode);
void xfrm_ext_json(const void *attrs, int len, bool counts);
void xfrm_ext_json_message(struct nlmsghdr *n);

/* xfrm_ext_nl.c: the module asked; an extended SA made */
void xfrm_ext_attrs(struct nlmsghdr *n, struct rtattr *tb[]);
void xfrm_ext_put_id(struct nlmsghdr *n, int maxlen,
		     const struct xfrm_usersa_info *xsinfo,
		     const struct xfrm_mark *mark);
int xfrm_ext_open(struct rtnl_handle *grth);
int xfrm_ext_open_if_loaded(struct rtnl_handle *grth);
int xfrm_ext_talk(struct rtnl_handle *rth, struct nlmsghdr *n,
		  struct nlmsghdr **answer, bool quiet);
int xfrm_ext_request(struct nlmsghdr *n);
int xfrm_ext_dump(int cmd, int (*each)(struct nlmsghdr *n, void *arg),
		  void *arg);
int xfrm_ext_make(struct rtnl_handle *rth, struct nlmsghdr *n,
		  const struct xfrm_ext_params *ext,
		  const struct xfrm_usersa_info *xsinfo,
		  const struct xfrm_mark *mark);

/* What distinguishes SAs, laid out without holes for memcmp() */
struct xfrm_ext_key {
	__u32 family;
	__u32 daddr[4];
	__u32 spi;		/* network byte order */
	__u32 mark;
	__u32 mask;
};

struct xfrm_ext_counter {
	bool tx;
	__u32 id;
	__u64 val[XFRM_EXT_SUBSPACE_MAX + 1];
};

/* What the module says of an SA, of all its messages */
struct xfrm_ext_sa {
	struct xfrm_ext_sa *next;
	struct xfrm_ext_key key;
	struct xfrm_ext_params params;
	__u32 state;
	char *reason;
	__u64 memory;
	__u32 rule;		/* that made it, 0 if none did */
	bool out_of_range;
	__u32 out_of_range_id;
	__u64 reassembled;
	__u32 fragment_max;
	__u64 stats[XFRM_EXT_STAT_MAX + 1];
	struct xfrm_ext_counter *subspaces;
	size_t n_subspaces;
	char *attrs;		/* as they came */
	size_t attrs_len;
};

/* xfrm_ext_sa.c: all SAs of the module, or one */
void *xfrm_ext_alloc(void *old, size_t size);
void xfrm_ext_key_of(struct xfrm_ext_key *key,
		     const struct xfrm_usersa_info *xsinfo,
		     struct rtattr *tb[]);
struct xfrm_ext_sa *xfrm_ext_find(const struct xfrm_ext_key *key);
void xfrm_ext_forget(void);
int xfrm_ext_read_all(void);
void xfrm_ext_ask(const struct xfrm_usersa_info *xsinfo,
		  const struct xfrm_mark *mark);
void xfrm_ext_mark_of(struct xfrm_mark *mark, struct rtattr *tb[]);
bool xfrm_ext_is_extended(struct rtattr *tb[]);
bool xfrm_ext_no_packet_authentic(const struct xfrm_ext_sa *sa);
void xfrm_ext_stats_read(__u64 *stats, const struct rtattr *nest);

/* Where the lines about an extended SA come from */
enum xfrm_ext_source {
	XFRM_EXT_SOURCE_DUMP,	/* one dump of all, when first needed */
	XFRM_EXT_SOURCE_ASK,	/* the module, anew for every SA */
	XFRM_EXT_SOURCE_NONE,	/* the SA is gone, or elsewhere */
};

/* xfrm_ext_show.c: an SA in a listing */
void xfrm_ext_show_from(enum xfrm_ext_source source);
void xfrm_ext_show(const struct xfrm_usersa_info *xsinfo, struct rtattr *tb[],
		   FILE *fp, const char *prefix);
void xfrm_ext_show_json(const struct xfrm_usersa_info *xsinfo,
			struct rtattr *tb[]);
void xfrm_ext_traffic_print(FILE *fp, const char *prefix, const __u64 *stats);
void xfrm_ext_drops_print(FILE *fp, const char *prefix, const __u64 *stats);
void xfrm_ext_totals_print(FILE *fp, const char *prefix, struct rtattr *tb[]);
void xfrm_ext_none_authentic(FILE *fp, __u64 packets, bool by_rule);

/* xfrm_ext_state.c: a state of the kernel's as JSON; its keys are not shown */
void xfrm_ext_state_json(const struct xfrm_usersa_info *xsinfo,
			 struct rtattr *tb[]);

/* xfrm_ext_event.c, xfrm_ext_save.c, xfrm_ext_rule.c, xfrm_ext_cmd.c: the commands */
#define XFRM_EXT_SET_MAX	64	/* subspaces in one request */

int xfrm_ext_monitor(void);
void xfrm_ext_format_id(char *buf, size_t size, struct rtattr *tb[]);
int xfrm_ext_read_subspace(const struct rtattr *nest, __u32 *id,
			   __u64 *highest);
int xfrm_ext_save(void);
void xfrm_ext_rule_usage(FILE *fp);
void xfrm_ext_rule_print(FILE *fp, struct rtattr *tb[]);
int do_xfrm_ext_rule(int argc, char **argv);
void xfrm_ext_cmd_usage(FILE *fp);
bool xfrm_ext_id_word(struct xfrm_usersa_info *xsinfo, struct xfrm_mark *mark,
		      int *argcp, char ***argvp);
void xfrm_ext_id_check(const struct xfrm_usersa_info *xsinfo);
__u64 xfrm_ext_number_of(const char *word, const char *arg, __u64 max);
/* Of each program its own */
void xfrm_ext_help(void) __attribute__((noreturn));
int do_xfrm_ext(int argc, char **argv);

#endif
