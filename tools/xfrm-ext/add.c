// SPDX-License-Identifier: GPL-2.0-only
/*
 * "add": an extended SA. Announced to the module, made by XFRM_MSG_NEWSA, and looked at; if it
 * is not what it should be, it is deleted.
 */
#include <stdlib.h>

#include "tool.h"

static const struct {
	const char *word;
	__u8 mode;
} modes[] = {
	{ "transport", XFRM_MODE_TRANSPORT },
	{ "tunnel", XFRM_MODE_TUNNEL },
	{ "beet", XFRM_MODE_BEET },
};

static const struct {
	const char *word;
	__u8 flag;
} flags[] = {
	{ "noecn", XFRM_STATE_NOECN },
	{ "decap-dscp", XFRM_STATE_DECAP_DSCP },
	{ "nopmtudisc", XFRM_STATE_NOPMTUDISC },
	{ "wildrecv", XFRM_STATE_WILDRECV },
	{ "icmp", XFRM_STATE_ICMP },
	{ "af-unspec", XFRM_STATE_AF_UNSPEC },
	{ "align4", XFRM_STATE_ALIGN4 },
	{ "esn", XFRM_STATE_ESN },
};

/* Words that take a number, each of which is an attribute */
static const struct {
	const char *word;
	int attr;
} numbers[] = {
	{ "if_id", XFRMA_IF_ID },
	{ "tfcpad", XFRMA_TFCPAD },
	{ "output-mark", XFRMA_SET_MARK },
	{ "output-mark-mask", XFRMA_SET_MARK_MASK },
};

enum { KEYS = 2 };

/* What the command line says, so far */
static struct {
	struct {
		struct nlmsghdr n;
		struct xfrm_usersa_info info;
		char buf[2048];
	} req;
	struct xfrm_ext_params ext;
	struct xfrm_mark mark;
	struct xfrm_encap_tmpl encap;
	inet_prefix src, dst, sel_src, sel_dst;
	const char *aead, *enc, *auth, *key_file;
	__u32 aead_icv, auth_trunc;
	__u32 seen[ARRAY_SIZE(numbers)];
	bool mode, spi;
} add;

void tool_add_usage(FILE *fp)
{
	fprintf(fp,
		"       xfrm-ext add src ADDR dst ADDR spi SPI [ mode { transport | tunnel | beet } ]\n"
		"                ALGO [ key-file FILE ] [ reqid REQID ] [ mark MARK [ mask MASK ] ]\n"
		"                [ if_id IF_ID ] [ flag FLAG ]... [ dont-encap-dscp ]\n"
		"                [ encap espinudp SPORT DPORT ] [ tfcpad OCTETS ]\n"
		"                [ output-mark MARK [ output-mark-mask MASK ] ]\n"
		"                [ sel-src PREFIX ] [ sel-dst PREFIX ] [ ext ] EXT-LIST\n"
		"ALGO := aead NAME ICV-BITS | enc NAME [ auth-trunc NAME BITS ]\n"
		"Keys are hex digits: a line with that of aead, or enc, then one with that of auth-trunc,\n"
		"in FILE, or on standard input (\"-\", or nothing said). Never on the command line.\n");
}

static __u64 number_of(const char *word, const char *arg, __u64 max)
{
	__u64 val;

	if (xfrm_ext_number(&val, arg, 0, max)) {
		fprintf(stderr, "Error: %s: \"%s\" is not a number up to %llu\n", word, arg,
			(unsigned long long)max);
		exit(-1);
	}
	return val;
}

static void once(bool already, const char *word, const char *arg)
{
	if (already)
		duparg(word, arg);
}

/* mode and flag */
static void name_parse(const char *word, const char *arg)
{
	size_t i;

	if (strcmp(word, "mode") == 0) {
		for (i = 0; i < ARRAY_SIZE(modes); i++)
			if (strcmp(arg, modes[i].word) == 0) {
				add.req.info.mode = modes[i].mode;
				return;
			}
	} else {
		for (i = 0; i < ARRAY_SIZE(flags); i++)
			if (strcmp(arg, flags[i].word) == 0) {
				add.req.info.flags |= flags[i].flag;
				return;
			}
	}
	fprintf(stderr, "Error: %s: \"%s\" is not one of:", word, arg);
	if (strcmp(word, "mode") == 0)
		for (i = 0; i < ARRAY_SIZE(modes); i++)
			fprintf(stderr, " %s", modes[i].word);
	else
		for (i = 0; i < ARRAY_SIZE(flags); i++)
			fprintf(stderr, " %s", flags[i].word);
	fprintf(stderr, "\n");
	exit(-1);
}

static bool number_parse(int *argcp, char ***argvp)
{
	char **argv = *argvp;
	int argc = *argcp;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(numbers); i++) {
		if (strcmp(*argv, numbers[i].word))
			continue;
		once(add.seen[i]++, numbers[i].word, *argv);
		NEXT_ARG();
		addattr32(&add.req.n, sizeof(add.req), numbers[i].attr,
			  number_of(numbers[i].word, *argv, UINT32_MAX));
		*argcp = argc;
		*argvp = argv;
		return true;
	}
	return false;
}

static bool algorithm_parse(int *argcp, char ***argvp)
{
	char **argv = *argvp;
	int argc = *argcp;

	if (strcmp(*argv, "aead") == 0) {
		once(add.aead, "aead", *argv);
		NEXT_ARG();
		add.aead = *argv;
		NEXT_ARG();
		add.aead_icv = number_of("bits of the ICV behind aead", *argv, 512);
	} else if (strcmp(*argv, "enc") == 0) {
		once(add.enc, "enc", *argv);
		NEXT_ARG();
		add.enc = *argv;
	} else if (strcmp(*argv, "auth-trunc") == 0) {
		once(add.auth, "auth-trunc", *argv);
		NEXT_ARG();
		add.auth = *argv;
		NEXT_ARG();
		add.auth_trunc = number_of("bits behind auth-trunc", *argv, 512);
	} else {
		return false;
	}
	*argcp = argc;
	*argvp = argv;
	return true;
}

static bool address_parse(int *argcp, char ***argvp)
{
	char **argv = *argvp;
	int argc = *argcp;

	if (strcmp(*argv, "src") == 0) {
		once(add.src.family, "src", *argv);
		NEXT_ARG();
		get_addr(&add.src, *argv, add.dst.family ? : preferred_family);
	} else if (strcmp(*argv, "dst") == 0) {
		once(add.dst.family, "dst", *argv);
		NEXT_ARG();
		get_addr(&add.dst, *argv, add.src.family ? : preferred_family);
	} else if (strcmp(*argv, "sel-src") == 0) {
		once(add.sel_src.bytelen, "sel-src", *argv);
		NEXT_ARG();
		get_prefix(&add.sel_src, *argv, add.sel_dst.family);
	} else if (strcmp(*argv, "sel-dst") == 0) {
		once(add.sel_dst.bytelen, "sel-dst", *argv);
		NEXT_ARG();
		get_prefix(&add.sel_dst, *argv, add.sel_src.family);
	} else {
		return false;
	}
	*argcp = argc;
	*argvp = argv;
	return true;
}

static void encap_parse(int *argcp, char ***argvp)
{
	char **argv = *argvp;
	int argc = *argcp;

	NEXT_ARG();
	if (strcmp(*argv, "espinudp"))
		invarg("the only encapsulation is espinudp", *argv);
	add.encap.encap_type = 2;
	NEXT_ARG();
	add.encap.encap_sport = htons(number_of("source port", *argv, UINT16_MAX));
	NEXT_ARG();
	add.encap.encap_dport = htons(number_of("destination port", *argv, UINT16_MAX));
	*argcp = argc;
	*argvp = argv;
}

static void word_parse(int *argcp, char ***argvp)
{
	char **argv = *argvp;
	int argc = *argcp;

	if (strcmp(*argv, "spi") == 0) {
		once(add.spi, "spi", *argv);
		add.spi = true;
		NEXT_ARG();
		add.req.info.id.spi = htonl(number_of("spi", *argv, UINT32_MAX));
	} else if (strcmp(*argv, "reqid") == 0) {
		once(add.req.info.reqid, "reqid", *argv);
		NEXT_ARG();
		add.req.info.reqid = number_of("reqid", *argv, UINT32_MAX);
	} else if (strcmp(*argv, "mode") == 0) {
		once(add.mode, "mode", *argv);
		add.mode = true;
		NEXT_ARG();
		name_parse("mode", *argv);
	} else if (strcmp(*argv, "flag") == 0) {
		NEXT_ARG();
		name_parse("flag", *argv);
	} else if (strcmp(*argv, "mark") == 0) {
		once(add.mark.m, "mark", *argv);
		xfrm_parse_mark(&add.mark, &argc, &argv);
	} else if (strcmp(*argv, "encap") == 0) {
		once(add.encap.encap_type, "encap", *argv);
		encap_parse(&argc, &argv);
	} else if (strcmp(*argv, "key-file") == 0) {
		once(add.key_file, "key-file", *argv);
		NEXT_ARG();
		add.key_file = *argv;
	} else if (strcmp(*argv, "proto") == 0) {
		NEXT_ARG();
		if (strcmp(*argv, "esp"))
			invarg("an extended SA is one of esp", *argv);
	} else if (strcmp(*argv, "key") == 0 || strncmp(*argv, "0x", 2) == 0) {
		fprintf(stderr,
			"Error: no keys on the command line, where everybody can read them: \"key-file FILE\", or standard input.\n");
		exit(-1);
	} else {
		fprintf(stderr, "Error: what is \"%s\"? See \"xfrm-ext add help\".\n", *argv);
		exit(-1);
	}
	*argcp = argc;
	*argvp = argv;
}

static void need(bool there, const char *word)
{
	if (!there)
		missarg(word);
}

static void check(void)
{
	need(add.src.family, "src");
	need(add.dst.family, "dst");
	need(add.req.info.id.spi, "spi");
	need(add.aead || add.enc, "aead\" or \"enc");
	if (add.aead && (add.enc || add.auth)) {
		fprintf(stderr, "Error: aead does what enc and auth-trunc do: one or the others.\n");
		exit(-1);
	}
	xfrm_ext_check(&add.ext);
}

/* Behind a name, as long as the kernel's structures have it */
static void algorithm_name(char *to, const char *name)
{
	if (strlen(name) > 63) {
		fprintf(stderr, "Error: \"%s\" is longer than any algorithm's name.\n", name);
		exit(-1);
	}
	strcpy(to, name);
}

static void algorithms_put(const struct tool_key *keys)
{
	union {
		struct xfrm_algo_aead aead;
		struct xfrm_algo_auth auth;
		struct xfrm_algo enc;
		char space[sizeof(struct xfrm_algo_aead) + KEY_MAX];
	} algo = {};

	if (add.aead) {
		algorithm_name(algo.aead.alg_name, add.aead);
		algo.aead.alg_key_len = 8 * keys[0].len;
		algo.aead.alg_icv_len = add.aead_icv;
		memcpy(algo.space + sizeof(algo.aead), keys[0].octets, keys[0].len);
		addattr_l(&add.req.n, sizeof(add.req), XFRMA_ALG_AEAD, &algo,
			  sizeof(algo.aead) + keys[0].len);
	} else {
		algorithm_name(algo.enc.alg_name, add.enc);
		algo.enc.alg_key_len = 8 * keys[0].len;
		memcpy(algo.space + sizeof(algo.enc), keys[0].octets, keys[0].len);
		addattr_l(&add.req.n, sizeof(add.req), XFRMA_ALG_CRYPT, &algo,
			  sizeof(algo.enc) + keys[0].len);
	}
	if (add.auth) {
		explicit_bzero(&algo, sizeof(algo));
		algorithm_name(algo.auth.alg_name, add.auth);
		algo.auth.alg_key_len = 8 * keys[1].len;
		algo.auth.alg_trunc_len = add.auth_trunc;
		memcpy(algo.space + sizeof(algo.auth), keys[1].octets, keys[1].len);
		addattr_l(&add.req.n, sizeof(add.req), XFRMA_ALG_AUTH_TRUNC, &algo,
			  sizeof(algo.auth) + keys[1].len);
	}
	explicit_bzero(&algo, sizeof(algo));
}

static void selector_put(struct xfrm_selector *sel)
{
	if (add.sel_src.bytelen) {
		memcpy(&sel->saddr, add.sel_src.data, add.sel_src.bytelen);
		sel->prefixlen_s = add.sel_src.bitlen;
	}
	if (add.sel_dst.bytelen) {
		memcpy(&sel->daddr, add.sel_dst.data, add.sel_dst.bytelen);
		sel->prefixlen_d = add.sel_dst.bitlen;
	}
	if (add.sel_src.bytelen || add.sel_dst.bytelen)
		sel->family = add.sel_src.family ? : add.sel_dst.family;
}

static void request_put(const struct tool_key *keys, __u32 extra)
{
	struct xfrm_usersa_info *info = &add.req.info;

	info->family = add.dst.family;
	info->id.proto = IPPROTO_ESP;
	memcpy(&info->saddr, add.src.data, add.src.bytelen);
	memcpy(&info->id.daddr, add.dst.data, add.dst.bytelen);
	info->lft.soft_byte_limit = XFRM_INF;
	info->lft.hard_byte_limit = XFRM_INF;
	info->lft.soft_packet_limit = XFRM_INF;
	info->lft.hard_packet_limit = XFRM_INF;
	selector_put(&info->sel);
	addattr32(&add.req.n, sizeof(add.req), XFRMA_SA_EXTRA_FLAGS, XFRM_EXT_SA_XFLAG | extra);
	if (add.mark.m)
		addattr_l(&add.req.n, sizeof(add.req), XFRMA_MARK, &add.mark, sizeof(add.mark));
	if (add.encap.encap_type)
		addattr_l(&add.req.n, sizeof(add.req), XFRMA_ENCAP, &add.encap,
			  sizeof(add.encap));
	algorithms_put(keys);
}

int tool_add(int argc, char **argv)
{
	struct tool_key keys[KEYS] = {};
	struct rtnl_handle rth;
	__u32 extra = 0;
	int ret;

	memset(&add, 0, sizeof(add));
	add.req.n.nlmsg_len = NLMSG_LENGTH(sizeof(add.req.info));
	add.req.n.nlmsg_type = XFRM_MSG_NEWSA;
	add.req.n.nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL;
	for (; argc > 0; argc--, argv++) {
		if (strcmp(*argv, "help") == 0) {
			fprintf(stderr, "Usage:\n");
			tool_add_usage(stderr);
			xfrm_ext_usage(stderr);
			return 255;
		}
		if (strcmp(*argv, "dont-encap-dscp") == 0)
			extra |= XFRM_SA_XFLAG_DONT_ENCAP_DSCP;
		else if (strcmp(*argv, "ext") && !address_parse(&argc, &argv) &&
			 !algorithm_parse(&argc, &argv) && !number_parse(&argc, &argv) &&
			 !xfrm_ext_parse_word(&add.ext, &argc, &argv))
			word_parse(&argc, &argv);
	}
	check();
	xfrm_ext_ask_defaults(&add.ext);
	keys_read(add.key_file ? : "-", keys, add.auth ? 2 : 1);
	request_put(keys, extra);
	keys_wipe(keys, KEYS);
	ret = rtnl_open_byproto(&rth, 0, NETLINK_XFRM);
	if (!ret) {
		ret = xfrm_ext_make(&rth, &add.req.n, &add.ext, &add.req.info, &add.mark);
		rtnl_close(&rth);
	}
	explicit_bzero(&add.req, sizeof(add.req));
	return ret < 0 ? 2 : 0;
}
