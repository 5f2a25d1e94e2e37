/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * xfrm-ext's own files; what it has in common with "ip xfrm" is in xfrm_ext.h
 */
#ifndef TOOL_H
#define TOOL_H

#include "xfrm_ext_host.h"
#include "xfrm_ext.h"

#define say(fmt, ...) fprintf(stderr, "xfrm-ext: " fmt "\n", ##__VA_ARGS__)

enum tool_dir { DIR_UNKNOWN, DIR_OUT, DIR_IN };

/* An SA of the kernel's, without its keys */
struct tool_sa {
	struct xfrm_usersa_info info;
	struct xfrm_mark mark;
	__u32 if_id;
	enum tool_dir dir;
	bool encap;		/* in UDP */
	bool extended;
	const struct xfrm_ext_sa *ext;	/* NULL if the module gives no answer */
};

typedef int (*sas_each_fn)(const struct xfrm_usersa_info *info, struct rtattr *tb[],
			   void *arg);

/* sas.c: ESP SAs, extended or not */
int sas_each(sas_each_fn each, void *arg);
int sas_read(struct tool_sa **sas, size_t *n);
const xfrm_address_t *sas_peer(const struct tool_sa *sa);
const char *sas_addr(const struct tool_sa *sa, const xfrm_address_t *addr);
bool sas_same_addr(const struct tool_sa *sa, const xfrm_address_t *a, const xfrm_address_t *b);

/* watch.c: seconds, in fractions, or an error that names the word */
double seconds_parse(const char *word, const char *arg);

/* The commands: words behind their own. What they return is main()'s status */
int tool_add(int argc, char **argv);		/* add.c */
void tool_add_usage(FILE *fp);
int tool_show(int argc, char **argv);		/* show.c */
int tool_metrics(int argc, char **argv);	/* metrics.c */
int tool_watch(int argc, char **argv);		/* watch.c */
int tool_ping(int argc, char **argv);		/* ping.c */
void tool_ping_usage(FILE *fp);
int tool_doctor(int argc, char **argv);		/* doctor.c */

/* key.c: lines of hex digits from a file or standard input */
#define KEY_MAX		128	/* octets */

struct tool_key {
	unsigned char octets[KEY_MAX];
	size_t len;
};

void keys_read(const char *file, struct tool_key *keys, int n);
void keys_wipe(struct tool_key *keys, int n);

/* doctor.c */
void doctor_problem(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void doctor_hint(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* doctor_sas.c */
void doctor_sas(void);

#endif
