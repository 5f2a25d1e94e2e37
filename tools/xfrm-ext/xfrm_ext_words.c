// SPDX-License-Identifier: GPL-2.0-only
/*
 * xfrm_ext_words.c	The words that say what an SA shall be, parsed and printed
 */

#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xfrm_ext_host.h"
#include "xfrm_ext.h"

#define EXT_DSCP_SIZE	(XFRM_EXT_DSCPS * sizeof(__u16))

static const char * const format_names[] = {
	[XFRM_EXT_FORMAT_ESP64] = "esp64",
	[XFRM_EXT_FORMAT_ESP] = "esp",
	[XFRM_EXT_FORMAT_EESP] = "eesp",
	NULL
};

static const char * const trailer_names[] = {
	[XFRM_EXT_TRAILER_END] = "end",
	[XFRM_EXT_TRAILER_FRONT] = "front",
	[XFRM_EXT_TRAILER_OMIT] = "omit",
	NULL
};

static const char * const iv_names[] = {
	[XFRM_EXT_IV_EXPLICIT] = "explicit",
	[XFRM_EXT_IV_IMPLICIT] = "implicit",
	NULL
};

static const char * const select_names[] = {
	[XFRM_EXT_SELECT_CPU] = "cpu",
	[XFRM_EXT_SELECT_DSCP] = "dscp",
	[XFRM_EXT_SELECT_MARK] = "mark",
	[XFRM_EXT_SELECT_FLOW] = "flow",
	NULL
};

/* The name of what is as always comes first */
static const char * const on_names[] = { "on", "off", NULL };
static const char * const off_names[] = { "off", "on", NULL };

/*
 * A word takes one of the names, if it has some, or a number of that size, or,
 * if that is the size of the table, classes of code points. With flag: the
 * second name sets the flag. What has the default is not shown, if there is
 * one (a flag has); -1 for none.
 */
static const struct ext_word {
	const char *word;
	enum xfrm_ext_attr attr;
	int size;
	const char * const *names;
	__u32 flag;
	__u64 def;
} ext_words[] = {
	{ "format", XFRM_EXT_A_FORMAT, 4, format_names, 0, -1 },
	{ "trailer", XFRM_EXT_A_TRAILER, 4, trailer_names, 0, -1 },
	{ "iv", XFRM_EXT_A_IV, 4, iv_names, 0, -1 },
	{ "esn", XFRM_EXT_A_FLAGS, 4, off_names, XFRM_EXT_SA_F_ESN },
	{ "tx-subspaces", XFRM_EXT_A_TX_SUBSPACES, 4, NULL, 0, -1 },
	{ "tx-base", XFRM_EXT_A_TX_BASE, 4, NULL, 0, 0 },
	{ "select", XFRM_EXT_A_SELECT, 4, select_names, 0, -1 },
	{ "select-cpus", XFRM_EXT_A_SELECT_CPUS, 4, NULL, 0, 1 },
	{ "select-dscp", XFRM_EXT_A_SELECT_DSCP, EXT_DSCP_SIZE, NULL, 0, -1 },
	{ "select-mask", XFRM_EXT_A_SELECT_MASK, 4, NULL, 0, UINT32_MAX },
	{ "select-shift", XFRM_EXT_A_SELECT_SHIFT, 4, NULL, 0, 0 },
	{ "tx-start", XFRM_EXT_A_TX_START, 8, NULL, 0, 1 },
	{ "tx-warn", XFRM_EXT_A_TX_WARN, 8, NULL, 0,
	  XFRM_EXT_TX_WARN_DEFAULT },
	{ "rx-subspaces", XFRM_EXT_A_RX_SUBSPACES, 4, NULL, 0, -1 },
	{ "window", XFRM_EXT_A_WINDOW, 4, NULL, 0, -1 },
	{ "replay-protection", XFRM_EXT_A_FLAGS, 4, on_names,
	  XFRM_EXT_SA_F_NO_REPLAY_PROTECTION },
	{ "memory-max", XFRM_EXT_A_MEMORY_MAX, 8, NULL, 0,
	  XFRM_EXT_MEMORY_MAX_DEFAULT },
	{ "hold", XFRM_EXT_A_FLAGS, 4, off_names, XFRM_EXT_SA_F_HOLD },
	{ "fastpath", XFRM_EXT_A_FLAGS, 4, on_names,
	  XFRM_EXT_SA_F_NO_FASTPATH },
	{ "spread", XFRM_EXT_A_FLAGS, 4, off_names, XFRM_EXT_SA_F_SPREAD },
	{ "beet-frag", XFRM_EXT_A_FLAGS, 4, off_names,
	  XFRM_EXT_SA_F_BEET_FRAG },
	{ "echo", XFRM_EXT_A_FLAGS, 4, off_names, XFRM_EXT_SA_F_ECHO },
	{ "sub-key", XFRM_EXT_A_SUB_KEY, 4, NULL, 0, -1 },
	{ "tx-crypt-offset", XFRM_EXT_A_TX_CRYPT_OFFSET, 4, NULL, 0, -1 },
	{ "rx-crypt-offset", XFRM_EXT_A_RX_CRYPT_OFFSET, 4, NULL, 0, -1 },
};

_Static_assert(ARRAY_SIZE(ext_words) <= 32,
	       "more words than xfrm_ext_params.words has bits");

static void print_names(FILE *fp, const char * const *names)
{
	int i;

	for (i = 0; names[i]; i++)
		fprintf(fp, "%s%s", i ? " | " : "", names[i]);
}

void xfrm_ext_usage(FILE *fp)
{
	int i;

	fprintf(fp,
		"EXT-LIST := [ EXT-LIST ] EXT (tx-subspaces, rx-subspaces or both must be there)\n"
		"EXT := ");
	for (i = 0; i < ARRAY_SIZE(ext_words); i++) {
		const struct ext_word *w = &ext_words[i];

		fprintf(fp, "%s%s ", i ? " |\n       " : "", w->word);
		if (w->names) {
			fprintf(fp, "{ ");
			print_names(fp, w->names);
			fprintf(fp, " }");
		} else if (w->size == EXT_DSCP_SIZE) {
			fprintf(fp, "DSCP[-DSCP]:CLASS[,...]");
		} else {
			fprintf(fp, "NUMBER");
		}
	}
	fprintf(fp, "\n");
}

static const struct ext_word *ext_word_find(const char *arg)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(ext_words); i++)
		if (strcmp(arg, ext_words[i].word) == 0)
			return &ext_words[i];

	return NULL;
}

static __u64 ext_name_parse(const struct ext_word *w, const char *arg)
{
	int i;

	for (i = 0; w->names[i]; i++)
		if (strcmp(arg, w->names[i]) == 0)
			return i;

	fprintf(stderr, "Error: %s: \"%s\" is not one of: ", w->word, arg);
	print_names(stderr, w->names);
	fprintf(stderr, "\n");
	exit(-1);
}

/* Not get_u64(), which takes "-1" for the highest number */
int xfrm_ext_number(__u64 *val, const char *arg, int base, __u64 max)
{
	char *end;

	if (!isdigit((unsigned char)*arg))
		return -1;

	errno = 0;
	*val = strtoull(arg, &end, base);

	return errno || *end || *val > max ? -1 : 0;
}

static __u64 ext_number_parse(const struct ext_word *w, const char *arg)
{
	__u64 val;

	if (xfrm_ext_number(&val, arg, 0,
			    w->size == 4 ? UINT32_MAX : UINT64_MAX)) {
		fprintf(stderr, "Error: %s: \"%s\" is not a number of %d bits\n",
			w->word, arg, w->size * 8);
		exit(-1);
	}

	return val;
}

/* FROM[-TO]:CLASS */
static int ext_dscp_range(char *range, __u64 *from, __u64 *to, __u64 *class)
{
	char *last, *first = strsep(&range, ":");

	if (!range)
		return -1;
	last = strchr(first, '-');
	if (last)
		*last++ = '\0';

	if (xfrm_ext_number(from, first, 10, XFRM_EXT_DSCPS - 1) ||
	    xfrm_ext_number(to, last ? : first, 10, XFRM_EXT_DSCPS - 1) ||
	    xfrm_ext_number(class, range, 10, UINT16_MAX))
		return -1;

	return *from > *to ? -1 : 0;
}

/* Ranges with commas between; code points that are not named have class 0 */
static void ext_dscp_parse(const struct ext_word *w, __u16 *dscp,
			   const char *arg)
{
	bool named[XFRM_EXT_DSCPS] = {};
	char *copy, *rest, *range;
	__u64 from, to, class, i;
	const char *pos = arg;

	copy = strdup(arg);
	rest = copy;
	if (!copy) {
		perror("xfrm_ext");
		exit(1);
	}
	while ((range = strsep(&rest, ","))) {
		int len = strlen(range);

		if (ext_dscp_range(range, &from, &to, &class)) {
			fprintf(stderr,
				"Error: %s: \"%.*s\" is not DSCP:CLASS or DSCP-DSCP:CLASS, DSCP from 0 to 63\n",
				w->word, len, pos);
			exit(-1);
		}
		pos += len + 1;
		for (i = from; i <= to; i++) {
			if (named[i]) {
				fprintf(stderr,
					"Error: %s: DSCP %llu has two classes\n",
					w->word, (unsigned long long)i);
				exit(-1);
			}
			named[i] = true;
			dscp[i] = class;
		}
	}
	free(copy);
}

static void ext_dscp_print(FILE *fp, const __u16 *dscp)
{
	bool any = false;
	int i, from;

	for (from = 0; from < XFRM_EXT_DSCPS; from = i) {
		for (i = from; i < XFRM_EXT_DSCPS && dscp[i] == dscp[from]; i++)
			;
		if (!dscp[from] && !(from == 0 && i == XFRM_EXT_DSCPS))
			continue;
		fprintf(fp, any ? ",%d" : "%d", from);
		if (i - 1 > from)
			fprintf(fp, "-%d", i - 1);
		fprintf(fp, ":%u", dscp[from]);
		any = true;
	}
}

static void ext_need(const struct xfrm_ext_params *params,
		     enum xfrm_ext_attr attr, enum xfrm_ext_attr other,
		     const char *word, const char *other_word)
{
	if (!params->set[attr] || params->set[other])
		return;

	fprintf(stderr, "Error: ext: \"%s\" is of no use without \"%s\"\n",
		word, other_word);
	exit(-1);
}

static void ext_value_parse(struct xfrm_ext_params *params,
			    const struct ext_word *w, const char *arg)
{
	if (w->flag) {
		if (ext_name_parse(w, arg)) {
			params->val[w->attr] |= w->flag;
			params->set[w->attr] = true;
		}
		return;
	}

	params->set[w->attr] = true;
	if (w->size == EXT_DSCP_SIZE)
		ext_dscp_parse(w, params->dscp, arg);
	else
		params->val[w->attr] = w->names ? ext_name_parse(w, arg) :
						  ext_number_parse(w, arg);
}

/* The word at hand and its value, or false, if it is none of these words */
bool xfrm_ext_parse_word(struct xfrm_ext_params *params, int *argcp,
			 char ***argvp)
{
	int argc = *argcp;
	char **argv = *argvp;
	const struct ext_word *w = ext_word_find(*argv);
	__u32 bit;

	if (!w)
		return false;

	bit = 1u << (w - ext_words);
	if (params->words & bit)
		duparg(w->word, *argv);
	params->words |= bit;
	NEXT_ARG();
	ext_value_parse(params, w, *argv);

	*argcp = argc;
	*argvp = argv;

	return true;
}

/* Ask for the defaults by name: an SA is what the command says */
void xfrm_ext_ask_defaults(struct xfrm_ext_params *params)
{
	params->set[XFRM_EXT_A_FORMAT] = true;
	/* With eesp it is the mode's to say */
	if (params->val[XFRM_EXT_A_FORMAT] != XFRM_EXT_FORMAT_EESP)
		params->set[XFRM_EXT_A_TRAILER] = true;
	params->set[XFRM_EXT_A_IV] = true;
	if (params->set[XFRM_EXT_A_TX_SUBSPACES])
		params->set[XFRM_EXT_A_SELECT] = true;
}

/* Of an SA: that the words make sense together */
void xfrm_ext_check(const struct xfrm_ext_params *params)
{
	if (!params->set[XFRM_EXT_A_TX_SUBSPACES] &&
	    !params->set[XFRM_EXT_A_RX_SUBSPACES]) {
		fprintf(stderr,
			"Error: ext: \"tx-subspaces\", \"rx-subspaces\" or both are required\n");
		exit(-1);
	}
	ext_need(params, XFRM_EXT_A_WINDOW, XFRM_EXT_A_RX_SUBSPACES,
		 "window", "rx-subspaces");
	ext_need(params, XFRM_EXT_A_TX_START, XFRM_EXT_A_TX_SUBSPACES,
		 "tx-start", "tx-subspaces");
}

void xfrm_ext_parse(struct xfrm_ext_params *params, int *argcp, char ***argvp)
{
	int argc = *argcp;
	char **argv = *argvp;

	while (NEXT_ARG_OK() && ext_word_find(argv[1])) {
		NEXT_ARG();
		xfrm_ext_parse_word(params, &argc, &argv);
	}

	xfrm_ext_check(params);
	xfrm_ext_ask_defaults(params);

	*argcp = argc;
	*argvp = argv;
}

void xfrm_ext_params_read(struct xfrm_ext_params *params, struct rtattr *tb[])
{
	int i;

	for (i = 0; i < ARRAY_SIZE(ext_words); i++) {
		const struct ext_word *w = &ext_words[i];

		if (!tb[w->attr])
			continue;
		if (w->size == EXT_DSCP_SIZE) {
			if (RTA_PAYLOAD(tb[w->attr]) != EXT_DSCP_SIZE)
				continue;
			memcpy(params->dscp, RTA_DATA(tb[w->attr]),
			       EXT_DSCP_SIZE);
			params->set[w->attr] = true;
			continue;
		}
		params->val[w->attr] = w->size == 8 ?
				       rta_getattr_u64(tb[w->attr]) :
				       rta_getattr_u32(tb[w->attr]);
		params->set[w->attr] = true;
	}
}

static const char *ext_name(const struct ext_word *w, __u64 val)
{
	int i;

	for (i = 0; w->names && w->names[i]; i++)
		if (i == val)
			return w->names[i];

	return NULL;
}

/*
 * The name of a value; for flags, the word that is about the bit of that
 * number. NULL for what only a newer module knows.
 */
const char *xfrm_ext_name(enum xfrm_ext_attr attr, __u32 val)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(ext_words); i++) {
		const struct ext_word *w = &ext_words[i];

		if (w->attr != attr)
			continue;
		if (!w->flag)
			return ext_name(w, val);
		if (w->flag == 1u << val)
			return w->word;
	}

	return NULL;
}

/* Words that say nothing of such an SA; esn and hold are not a rule's to say */
static bool ext_is_stray(const struct xfrm_ext_params *params, __u8 mode,
			 const struct ext_word *w)
{
	switch (w->flag) {
	case XFRM_EXT_SA_F_SPREAD:
		return params->val[XFRM_EXT_A_FORMAT] == XFRM_EXT_FORMAT_ESP;
	case XFRM_EXT_SA_F_NO_REPLAY_PROTECTION:
		return !params->set[XFRM_EXT_A_RX_SUBSPACES] ||
		       params->val[XFRM_EXT_A_FORMAT] == XFRM_EXT_FORMAT_EESP;
	case XFRM_EXT_SA_F_ECHO:
		return !params->set[XFRM_EXT_A_RX_SUBSPACES];
	case XFRM_EXT_SA_F_BEET_FRAG:
		return mode != XFRM_MODE_BEET && mode != XFRM_EXT_MODE_ANY;
	case XFRM_EXT_SA_F_ESN:
		return params->val[XFRM_EXT_A_FORMAT] != XFRM_EXT_FORMAT_ESP ||
		       mode == XFRM_EXT_MODE_ANY;
	case XFRM_EXT_SA_F_HOLD:
		return mode == XFRM_EXT_MODE_ANY;
	default:
		return false;
	}
}

static bool ext_is_default(const struct xfrm_ext_params *params,
			   const struct ext_word *w)
{
	__u64 val = params->val[w->attr];

	if (w->attr == XFRM_EXT_A_TX_WARN &&
	    params->val[XFRM_EXT_A_FORMAT] == XFRM_EXT_FORMAT_ESP &&
	    !(params->val[XFRM_EXT_A_FLAGS] & XFRM_EXT_SA_F_ESN))
		return val == XFRM_EXT_TX_WARN_DEFAULT_ESP;

	return w->flag ? !(val & w->flag) : val == w->def;
}

/*
 * In the words that would make such an SA again. What is as always needs none,
 * but -d wants to see it.
 */
void xfrm_ext_params_print(FILE *fp, const struct xfrm_ext_params *params,
			   __u8 mode)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(ext_words); i++) {
		const struct ext_word *w = &ext_words[i];
		__u64 val = params->val[w->attr];

		const char *name = ext_name(w, w->flag ? !!(val & w->flag) : val);

		if (!params->set[w->attr])
			continue;
		if (ext_is_default(params, w) &&
		    (!show_details || ext_is_stray(params, mode, w)))
			continue;
		if (w->size == EXT_DSCP_SIZE) {
			fprintf(fp, " %s ", w->word);
			ext_dscp_print(fp, params->dscp);
		} else if (w->attr == XFRM_EXT_A_SELECT_MASK) {
			fprintf(fp, " %s %#llx", w->word,
				(unsigned long long)val);
		} else if (name) {
			fprintf(fp, " %s %s", w->word, name);
		} else {
			fprintf(fp, " %s %llu", w->word,
				(unsigned long long)val);
		}
	}
}

void xfrm_ext_params_put(struct nlmsghdr *n, int maxlen,
			 const struct xfrm_ext_params *params)
{
	bool put[XFRM_EXT_A_MAX + 1] = {};
	int i;

	for (i = 0; i < ARRAY_SIZE(ext_words); i++) {
		const struct ext_word *w = &ext_words[i];

		/* The flags have many words */
		if (!params->set[w->attr] || put[w->attr])
			continue;
		put[w->attr] = true;
		if (w->size == EXT_DSCP_SIZE)
			addattr_l(n, maxlen, w->attr, params->dscp,
				  EXT_DSCP_SIZE);
		else if (w->size == 8)
			addattr64(n, maxlen, w->attr, params->val[w->attr]);
		else
			addattr32(n, maxlen, w->attr, params->val[w->attr]);
	}
}
