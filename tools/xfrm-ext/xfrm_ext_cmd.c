// SPDX-License-Identifier: GPL-2.0-only
/*
 * xfrm_ext_cmd.c	The module's abilities, and requests about an SA
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <netdb.h>

#include "xfrm_ext_host.h"
#include "xfrm_ext.h"

/* Behind the program's own */
void xfrm_ext_cmd_usage(FILE *fp)
{
	fprintf(fp,
		"       " XFRM_EXT_PROG " capabilities\n"
		"       " XFRM_EXT_PROG " totals\n"
		"       " XFRM_EXT_PROG " monitor\n"
		"       " XFRM_EXT_PROG " save\n"
		"       " XFRM_EXT_PROG " set dst ADDR spi SPI [ mark MARK [ mask MASK ] ] [ SET-LIST ]\n"
		"                       [ gap NUMBER ] [ release ]\n"
		"       " XFRM_EXT_PROG " dummy dst ADDR spi SPI [ mark MARK [ mask MASK ] ]\n"
		"                       [ len OCTETS ] [ tx-subspace ID ]\n");
	xfrm_ext_rule_usage(fp);
	fprintf(fp,
		"SET-LIST := [ SET-LIST ] { tx-subspace | rx-subspace } ID highest NUMBER\n"
		"Sending goes on behind highest + gap (default 2^32). With \"release\", transmit\n"
		"subspaces that were never set begin behind the gap, as if set to highest 0; if\n"
		"none was set, \"release\" needs \"gap\".\n"
		"To restore: " XFRM_EXT_BATCH " SAVED && " XFRM_EXT_PROG " set ... release\n");
}

static void print_set(const char *title, const struct rtattr *rta,
		      enum xfrm_ext_attr attr)
{
	__u32 bits;
	int i;

	if (!rta)
		return;

	bits = rta_getattr_u32(rta);
	printf("%s", title);
	for (i = 0; i < 32; i++) {
		const char *name;

		if (!(bits & (1u << i)))
			continue;
		name = attr ? xfrm_ext_name(attr, i) : xfrm_ext_mode_name(i);
		if (name)
			printf(" %s", name);
		else
			printf(" %d", i);
	}
	printf("\n");
}

static void print_number(const char *title, const struct rtattr *rta)
{
	if (rta)
		printf("%s %llu\n", title, RTA_PAYLOAD(rta) == 8 ?
		       (unsigned long long)rta_getattr_u64(rta) :
		       rta_getattr_u32(rta));
}

static void print_algorithms(struct nlmsghdr *n)
{
	int len = XFRM_EXT_PAYLOAD(n);
	struct rtattr *rta;

	for (rta = XFRM_EXT_RTA(n); RTA_OK(rta, len); rta = RTA_NEXT(rta, len))
		if ((rta->rta_type & NLA_TYPE_MASK) ==
		    XFRM_EXT_A_CAP_ALGORITHM)
			printf("algorithm %s\n", rta_getattr_str(rta));
}

static void print_capabilities(struct nlmsghdr *answer)
{
	struct rtattr *tb[XFRM_EXT_A_MAX + 1];

	xfrm_ext_attrs(answer, tb);
	print_set("format", tb[XFRM_EXT_A_CAP_FORMATS], XFRM_EXT_A_FORMAT);
	print_set("trailer", tb[XFRM_EXT_A_CAP_TRAILERS], XFRM_EXT_A_TRAILER);
	print_set("iv", tb[XFRM_EXT_A_CAP_IVS], XFRM_EXT_A_IV);
	print_set("select", tb[XFRM_EXT_A_CAP_SELECTS], XFRM_EXT_A_SELECT);
	print_set("mode", tb[XFRM_EXT_A_CAP_MODES], XFRM_EXT_A_UNSPEC);
	print_set("flags", tb[XFRM_EXT_A_CAP_FLAGS], XFRM_EXT_A_FLAGS);
	print_number("subspaces-max", tb[XFRM_EXT_A_CAP_SUBSPACES_MAX]);
	print_number("sub-sas-max", tb[XFRM_EXT_A_CAP_SUB_SAS_MAX]);
	print_number("eesp-protocol", tb[XFRM_EXT_A_CAP_EESP_PROTOCOL]);
	print_number("window-min", tb[XFRM_EXT_A_CAP_WINDOW_MIN]);
	print_number("window-max", tb[XFRM_EXT_A_CAP_WINDOW_MAX]);
	print_number("announce-ttl", tb[XFRM_EXT_A_CAP_ANNOUNCE_TTL]);
	print_number("netns-memory", tb[XFRM_EXT_A_CAP_NETNS_MEMORY]);
	print_number("netns-memory-max",
		     tb[XFRM_EXT_A_CAP_NETNS_MEMORY_MAX]);
	print_number("netns-keys", tb[XFRM_EXT_A_CAP_NETNS_KEYS]);
	print_number("netns-keys-memory",
		     tb[XFRM_EXT_A_CAP_NETNS_KEYS_MEMORY]);
	print_number("rules-max", tb[XFRM_EXT_A_CAP_RULES_MAX]);
	print_algorithms(answer);
}

/* What all SAs of the namespace have counted, those that are gone as well */
static void print_totals(struct nlmsghdr *answer)
{
	struct rtattr *tb[XFRM_EXT_A_MAX + 1];

	xfrm_ext_attrs(answer, tb);
	xfrm_ext_totals_print(stdout, "", tb);
}

/* A request without attributes, and its one answer */
static int ext_tell(int cmd, void (*print)(struct nlmsghdr *answer))
{
	GENL_REQUEST(req, 0, 0, 0, XFRM_EXT_GENL_VERSION, cmd, NLM_F_REQUEST);
	struct nlmsghdr *answer;
	struct rtnl_handle grth;
	int family = xfrm_ext_open(&grth);

	if (family < 0)
		return -2;

	req.n.nlmsg_type = family;
	if (xfrm_ext_talk(&grth, &req.n, &answer, false) < 0) {
		rtnl_close(&grth);
		return -2;
	}

	if (json) {
		new_json_obj_plain(json);
		open_json_object(NULL);
		xfrm_ext_json_message(answer);
		close_json_object();
		delete_json_obj_plain();
	} else {
		print(answer);
	}

	free(answer);
	rtnl_close(&grth);

	return 0;
}

__u64 xfrm_ext_number_of(const char *word, const char *arg, __u64 max)
{
	__u64 val;

	if (xfrm_ext_number(&val, arg, 0, max)) {
		fprintf(stderr, "Error: %s: \"%s\" is not a number up to %llu\n",
			word, arg, (unsigned long long)max);
		exit(-1);
	}

	return val;
}

/* The word at hand and its value say which SA; or false, if it is none of these words */
bool xfrm_ext_id_word(struct xfrm_usersa_info *xsinfo, struct xfrm_mark *mark,
		      int *argcp, char ***argvp)
{
	inet_prefix dst = {};
	char **argv = *argvp;
	int argc = *argcp;

	if (strcmp(*argv, "dst") == 0) {
		NEXT_ARG();
		get_addr(&dst, *argv, preferred_family);
		xsinfo->family = dst.family;
		memcpy(&xsinfo->id.daddr, dst.data, dst.bytelen);
	} else if (strcmp(*argv, "spi") == 0) {
		NEXT_ARG();
		xsinfo->id.spi = htonl(xfrm_ext_number_of("spi", *argv, UINT32_MAX));
	} else if (strcmp(*argv, "mark") == 0) {
		xfrm_parse_mark(mark, &argc, &argv);
	} else {
		return false;
	}
	*argcp = argc;
	*argvp = argv;

	return true;
}

void xfrm_ext_id_check(const struct xfrm_usersa_info *xsinfo)
{
	if (!xsinfo->family)
		missarg("dst");
	if (!xsinfo->id.spi)
		missarg("spi");
}

/* Of which SA: the first words; what is behind them makes the request */
static void ext_id(struct nlmsghdr *n, int maxlen, int *argcp, char ***argvp)
{
	struct xfrm_usersa_info xsinfo = {};
	struct xfrm_mark mark = {};
	char **argv = *argvp;
	int argc = *argcp;

	while (argc > 0 && xfrm_ext_id_word(&xsinfo, &mark, &argc, &argv)) {
		argc--; argv++;
	}
	xfrm_ext_id_check(&xsinfo);
	xfrm_ext_put_id(n, maxlen, &xsinfo, &mark);
	*argcp = argc;
	*argvp = argv;
}

#define EXT_SET_SIZE	4096

static int ext_set(int argc, char **argv)
{
	GENL_REQUEST(req, EXT_SET_SIZE, 0, 0, XFRM_EXT_GENL_VERSION,
		     XFRM_EXT_CMD_SET, NLM_F_REQUEST);
	int attr, subspaces = 0;
	struct rtattr *nest;
	bool gap_set = false;
	bool release = false;
	__u64 gap = 0;

	ext_id(&req.n, sizeof(req), &argc, &argv);
	for (; argc > 0; argc--, argv++) {
		if (strcmp(*argv, "gap") == 0) {
			if (gap_set)
				duparg("gap", *argv);
			NEXT_ARG();
			gap = xfrm_ext_number_of("gap", *argv, UINT64_MAX);
			gap_set = true;
			continue;
		}
		if (strcmp(*argv, "release") == 0) {
			release = true;
			continue;
		}
		if (strcmp(*argv, "tx-subspace") == 0)
			attr = XFRM_EXT_A_TX_SUBSPACE;
		else if (strcmp(*argv, "rx-subspace") == 0)
			attr = XFRM_EXT_A_RX_SUBSPACE;
		else
			invarg("unknown", *argv);
		if (++subspaces > XFRM_EXT_SET_MAX) {
			fprintf(stderr, "Error: more than %u subspaces at once\n",
				XFRM_EXT_SET_MAX);
			exit(-1);
		}
		NEXT_ARG();
		nest = addattr_nest(&req.n, sizeof(req), attr | NLA_F_NESTED);
		addattr32(&req.n, sizeof(req), XFRM_EXT_SUBSPACE_ID,
			  xfrm_ext_number_of("ID", *argv, UINT32_MAX));
		NEXT_ARG();
		if (strcmp(*argv, "highest"))
			invarg("\"highest\" is expected", *argv);
		NEXT_ARG();
		addattr64(&req.n, sizeof(req), XFRM_EXT_SUBSPACE_HIGHEST,
			  xfrm_ext_number_of("highest", *argv, UINT64_MAX));
		addattr_nest_end(&req.n, nest);
	}
	if (!subspaces && !release) {
		fprintf(stderr,
			"Error: \"tx-subspace\", \"rx-subspace\" or \"release\" is required\n");
		exit(-1);
	}
	if (gap_set)
		addattr64(&req.n, sizeof(req), XFRM_EXT_A_GAP, gap);
	if (release)
		addattr(&req.n, sizeof(req), XFRM_EXT_A_RELEASE);

	return xfrm_ext_request(&req.n);
}

static int ext_dummy(int argc, char **argv)
{
	GENL_REQUEST(req, 256, 0, 0, XFRM_EXT_GENL_VERSION, XFRM_EXT_CMD_DUMMY,
		     NLM_F_REQUEST);
	bool len = false, subspace = false;

	ext_id(&req.n, sizeof(req), &argc, &argv);

	for (; argc > 0; argc--, argv++) {
		if (strcmp(*argv, "len") == 0) {
			if (len)
				duparg("len", *argv);
			len = true;
			NEXT_ARG();
			addattr32(&req.n, sizeof(req), XFRM_EXT_A_DUMMY_LEN,
				  xfrm_ext_number_of("len", *argv, UINT32_MAX));
		} else if (strcmp(*argv, "tx-subspace") == 0) {
			if (subspace)
				duparg("tx-subspace", *argv);
			subspace = true;
			NEXT_ARG();
			addattr32(&req.n, sizeof(req),
				  XFRM_EXT_A_DUMMY_SUBSPACE,
				  xfrm_ext_number_of("ID", *argv, UINT32_MAX));
		} else {
			invarg("unknown", *argv);
		}
	}

	return xfrm_ext_request(&req.n);
}

int do_xfrm_ext(int argc, char **argv)
{
	if (argc < 1)
		xfrm_ext_help();

	if (strcmp(*argv, "set") == 0)
		return ext_set(argc - 1, argv + 1);
	if (strcmp(*argv, "dummy") == 0)
		return ext_dummy(argc - 1, argv + 1);
	if (strcmp(*argv, "rule") == 0)
		return do_xfrm_ext_rule(argc - 1, argv + 1);
	if (argc > 1)
		invarg("unknown", argv[1]);
	if (strcmp(*argv, "save") == 0)
		return xfrm_ext_save();
	if (strcmp(*argv, "totals") == 0)
		return ext_tell(XFRM_EXT_CMD_TOTALS, print_totals);
	if (matches(*argv, "capabilities") == 0)
		return ext_tell(XFRM_EXT_CMD_CAPS, print_capabilities);
	if (matches(*argv, "monitor") == 0)
		return xfrm_ext_monitor();
	if (matches(*argv, "help") == 0)
		xfrm_ext_help();

	fprintf(stderr,
		"Command \"%s\" is unknown, try \"" XFRM_EXT_PROG " help\".\n",
		*argv);
	exit(-1);
}
