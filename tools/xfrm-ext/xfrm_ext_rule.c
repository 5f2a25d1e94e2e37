// SPDX-License-Identifier: GPL-2.0-only
/*
 * xfrm_ext_rule.c	Rules: what SAs shall be that nobody announces
 */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xfrm_ext_host.h"
#include "xfrm_ext.h"

#define RULE_BUF_SIZE	1024

/* Words that take a number */
static const struct rule_word {
	const char *word;
	enum xfrm_ext_attr attr;
	bool hex;
} rule_words[] = {
	{ "pref", XFRM_EXT_A_RULE_PREF, false },
	{ "reqid", XFRM_EXT_A_RULE_REQID, false },
	{ "if_id", XFRM_EXT_A_RULE_IF_ID, true },
};

/* Words that take a prefix */
static const struct rule_end {
	const char *word;
	enum xfrm_ext_attr attr, len_attr;
} rule_ends[] = {
	{ "src", XFRM_EXT_A_RULE_SRC, XFRM_EXT_A_RULE_SRC_LEN },
	{ "dst", XFRM_EXT_A_RULE_DST, XFRM_EXT_A_RULE_DST_LEN },
};

static void usage(void) __attribute__((noreturn));

void xfrm_ext_rule_usage(FILE *fp)
{
	fprintf(fp,
		"       " XFRM_EXT_PROG " rule [ list ]\n"
		"       " XFRM_EXT_PROG " rule add [ pref NUMBER ] [ RULE-MATCH ]\n"
		"                       { EXT-LIST [ or plain ] | plain }\n"
		"       " XFRM_EXT_PROG " rule delete pref NUMBER\n"
		"       " XFRM_EXT_PROG " rule flush\n"
		"RULE-MATCH := [ family { inet | inet6 } ] [ reqid REQID ] [ if_id IF_ID ]\n"
		"              [ mark MARK [ mask MASK ] ] [ src PREFIX ] [ dst PREFIX ]\n"
		"EXT-LIST is that of \"" XFRM_EXT_HELP "\", without esn, hold and tx-start. With\n"
		"format esp neither tx-subspaces nor rx-subspaces need be there, else both.\n");
}

static void usage(void)
{
	fprintf(stderr,
		"Usage: " XFRM_EXT_PROG " rule { add | delete | list | flush | help }\n");
	xfrm_ext_rule_usage(stderr);
	exit(-1);
}

static __u32 rule_number(const char *word, const char *arg)
{
	char msg[64];
	__u64 val;

	if (xfrm_ext_number(&val, arg, 0, UINT32_MAX)) {
		snprintf(msg, sizeof(msg), "value after \"%s\" is invalid",
			 word);
		invarg(msg, arg);
	}

	return val;
}

static __u8 rule_family(const char *arg)
{
	int family = read_family(arg);

	if (family != AF_INET && family != AF_INET6)
		invarg("value after \"family\" is invalid", arg);

	return family;
}

/* What an SA must be like; the prefixes wait until the family is known */
struct rule_match {
	bool set[ARRAY_SIZE(rule_words)];
	__u32 val[ARRAY_SIZE(rule_words)];
	char *ends[ARRAY_SIZE(rule_ends)];
	bool mark_set;
	struct xfrm_mark mark;
	__u8 family;
};

static bool rule_match_parse(struct rule_match *match, int *argcp,
			     char ***argvp)
{
	int argc = *argcp;
	char **argv = *argvp;
	int i;

	for (i = 0; i < ARRAY_SIZE(rule_words); i++) {
		if (strcmp(*argv, rule_words[i].word))
			continue;
		if (match->set[i])
			duparg(rule_words[i].word, *argv);
		match->set[i] = true;
		NEXT_ARG();
		match->val[i] = rule_number(rule_words[i].word, *argv);
		goto done;
	}

	for (i = 0; i < ARRAY_SIZE(rule_ends); i++) {
		if (strcmp(*argv, rule_ends[i].word))
			continue;
		if (match->ends[i])
			duparg(rule_ends[i].word, *argv);
		NEXT_ARG();
		match->ends[i] = *argv;
		goto done;
	}

	if (strcmp(*argv, "mark") == 0) {
		if (match->mark_set)
			duparg("mark", *argv);
		match->mark_set = true;
		xfrm_parse_mark(&match->mark, &argc, &argv);
	} else if (strcmp(*argv, "family") == 0) {
		if (match->family)
			duparg("family", *argv);
		NEXT_ARG();
		match->family = rule_family(*argv);
	} else {
		return false;
	}

done:
	*argcp = argc;
	*argvp = argv;

	return true;
}

static void rule_match_put(struct nlmsghdr *n, int maxlen,
			   const struct rule_match *match)
{
	int family = match->family ? : preferred_family;
	int i;

	for (i = 0; i < ARRAY_SIZE(rule_words); i++)
		if (match->set[i])
			addattr32(n, maxlen, rule_words[i].attr, match->val[i]);
	if (match->mark_set) {
		addattr32(n, maxlen, XFRM_EXT_A_MARK, match->mark.v);
		addattr32(n, maxlen, XFRM_EXT_A_MARK_MASK, match->mark.m);
	}
	if (family != AF_UNSPEC)
		addattr16(n, maxlen, XFRM_EXT_A_FAMILY, family);

	for (i = 0; i < ARRAY_SIZE(rule_ends); i++) {
		inet_prefix prefix;

		if (!match->ends[i])
			continue;
		get_prefix(&prefix, match->ends[i], family);
		/* "any", of any family: so is what is not said */
		if (!prefix.bytelen)
			continue;
		addattr_l(n, maxlen, rule_ends[i].attr, prefix.data,
			  prefix.bytelen);
		addattr32(n, maxlen, rule_ends[i].len_attr, prefix.bitlen);
		/* The other one is of this family, too */
		family = prefix.family;
	}
}

static int rule_add(int argc, char **argv)
{
	GENL_REQUEST(req, RULE_BUF_SIZE, 0, 0, XFRM_EXT_GENL_VERSION,
		     XFRM_EXT_CMD_RULE_ADD, NLM_F_REQUEST);
	struct xfrm_ext_params params = {};
	struct rule_match match = {};
	__u32 flags = 0, flag;

	for (; argc > 0; argc--, argv++) {
		if (rule_match_parse(&match, &argc, &argv) ||
		    xfrm_ext_parse_word(&params, &argc, &argv))
			continue;
		if (strcmp(*argv, "plain") == 0) {
			flag = XFRM_EXT_RULE_F_PLAIN;
		} else if (strcmp(*argv, "or") == 0) {
			NEXT_ARG();
			if (strcmp(*argv, "plain"))
				invarg("\"plain\" is expected after \"or\"",
				       *argv);
			flag = XFRM_EXT_RULE_F_OR_PLAIN;
		} else {
			invarg("unknown", *argv);
		}
		if (flags & flag)
			duparg(flag == XFRM_EXT_RULE_F_PLAIN ? "plain" :
							       "or plain",
			       *argv);
		flags |= flag;
	}
	if (!params.words && !(flags & XFRM_EXT_RULE_F_PLAIN)) {
		fprintf(stderr,
			"Error: rule: what SAs shall be is required, such as \"format esp\", or \"plain\"\n");
		exit(-1);
	}

	if (params.words)
		xfrm_ext_ask_defaults(&params);
	rule_match_put(&req.n, sizeof(req), &match);
	xfrm_ext_params_put(&req.n, sizeof(req), &params);
	if (flags)
		addattr32(&req.n, sizeof(req), XFRM_EXT_A_RULE_FLAGS, flags);

	return xfrm_ext_request(&req.n);
}

static int rule_delete(int argc, char **argv)
{
	GENL_REQUEST(req, 64, 0, 0, XFRM_EXT_GENL_VERSION,
		     XFRM_EXT_CMD_RULE_DEL, NLM_F_REQUEST);
	bool set = false;

	for (; argc > 0; argc--, argv++) {
		if (strcmp(*argv, "pref"))
			invarg("unknown", *argv);
		if (set)
			duparg("pref", *argv);
		set = true;
		NEXT_ARG();
		addattr32(&req.n, sizeof(req), XFRM_EXT_A_RULE_PREF,
			  rule_number("pref", *argv));
	}
	if (!set)
		missarg("pref");

	return xfrm_ext_request(&req.n);
}

static int rule_flush(void)
{
	GENL_REQUEST(req, 0, 0, 0, XFRM_EXT_GENL_VERSION,
		     XFRM_EXT_CMD_RULE_FLUSH, NLM_F_REQUEST);

	return xfrm_ext_request(&req.n);
}

static void rule_end_print(FILE *fp, const struct rule_end *end,
			   struct rtattr *tb[])
{
	const struct rtattr *rta = tb[end->attr];
	int len = rta ? RTA_PAYLOAD(rta) : 0;

	if (len != 4 && len != 16)
		return;
	fprintf(fp, " %s %s/%u", end->word,
		rt_addr_n2a(len == 4 ? AF_INET : AF_INET6, len, RTA_DATA(rta)),
		tb[end->len_attr] ? rta_getattr_u32(tb[end->len_attr]) :
				    8 * len);
}

static void rule_match_print(FILE *fp, struct rtattr *tb[])
{
	int i;

	for (i = 0; i < ARRAY_SIZE(rule_words); i++) {
		const struct rule_word *w = &rule_words[i];

		if (tb[w->attr])
			fprintf(fp, w->hex ? "%s%s %#x" : "%s%s %u",
				i ? " " : "", w->word,
				rta_getattr_u32(tb[w->attr]));
	}
	if (tb[XFRM_EXT_A_MARK] || tb[XFRM_EXT_A_MARK_MASK])
		fprintf(fp, " mark %#x mask %#x",
			tb[XFRM_EXT_A_MARK] ?
			rta_getattr_u32(tb[XFRM_EXT_A_MARK]) : 0,
			tb[XFRM_EXT_A_MARK_MASK] ?
			rta_getattr_u32(tb[XFRM_EXT_A_MARK_MASK]) : 0);
	if (tb[XFRM_EXT_A_FAMILY] && !tb[XFRM_EXT_A_RULE_SRC] &&
	    !tb[XFRM_EXT_A_RULE_DST])
		fprintf(fp, " family %s",
			family_name(rta_getattr_u16(tb[XFRM_EXT_A_FAMILY])));
	for (i = 0; i < ARRAY_SIZE(rule_ends); i++)
		rule_end_print(fp, &rule_ends[i], tb);
}

/* In the words that would make such a rule again */
void xfrm_ext_rule_print(FILE *fp, struct rtattr *tb[])
{
	struct xfrm_ext_params params = {};
	__u32 flags = 0;

	if (tb[XFRM_EXT_A_RULE_FLAGS])
		flags = rta_getattr_u32(tb[XFRM_EXT_A_RULE_FLAGS]);

	rule_match_print(fp, tb);
	if (flags & XFRM_EXT_RULE_F_PLAIN) {
		fprintf(fp, " plain");
		return;
	}
	xfrm_ext_params_read(&params, tb);
	xfrm_ext_params_print(fp, &params, XFRM_EXT_MODE_ANY);
	if (flags & XFRM_EXT_RULE_F_OR_PLAIN)
		fprintf(fp, " or plain");
}

static __u64 rule_count(const struct rtattr *rta)
{
	return rta ? rta_getattr_u64(rta) : 0;
}

static int rule_list_one(struct nlmsghdr *n, void *arg)
{
	struct rtattr *tb[XFRM_EXT_A_MAX + 1];
	FILE *fp = arg;

	xfrm_ext_attrs(n, tb);
	if (!tb[XFRM_EXT_A_RULE_PREF])
		return 0;

	if (is_json_context()) {
		open_json_object(NULL);
		xfrm_ext_json_message(n);
		close_json_object();
		return 0;
	}

	xfrm_ext_rule_print(fp, tb);
	fprintf(fp, "%s\thits %llu refused %llu plain %llu\n", _SL_,
		(unsigned long long)rule_count(tb[XFRM_EXT_A_RULE_HITS]),
		(unsigned long long)rule_count(tb[XFRM_EXT_A_RULE_REFUSED]),
		(unsigned long long)rule_count(tb[XFRM_EXT_A_RULE_PLAIN]));
	if (show_stats) {
		xfrm_ext_totals_print(fp, "\t", tb);
		/* Lines, with -o as well */
		if (*_SL_ != '\n' && tb[XFRM_EXT_A_STATS])
			fprintf(fp, "\n");
	}

	return 0;
}

static int rule_list(void)
{
	int ret;

	new_json_obj(json);
	ret = xfrm_ext_dump(XFRM_EXT_CMD_RULE_GET, rule_list_one, stdout);
	delete_json_obj();

	return ret;
}

int do_xfrm_ext_rule(int argc, char **argv)
{
	if (argc < 1)
		return rule_list();

	if (matches(*argv, "add") == 0)
		return rule_add(argc - 1, argv + 1);
	if (matches(*argv, "delete") == 0)
		return rule_delete(argc - 1, argv + 1);
	if (matches(*argv, "help") == 0)
		usage();
	if (argc > 1)
		invarg("unknown", argv[1]);
	if (matches(*argv, "list") == 0 || matches(*argv, "show") == 0 ||
	    matches(*argv, "lst") == 0)
		return rule_list();
	if (matches(*argv, "flush") == 0)
		return rule_flush();

	fprintf(stderr,
		"Command \"%s\" is unknown, try \"" XFRM_EXT_PROG " rule help\".\n",
		*argv);
	exit(-1);
}
