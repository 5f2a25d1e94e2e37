// SPDX-License-Identifier: GPL-2.0-only
/*
 * Words of the command line, and addresses
 */
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

#include "xfrm_ext_host.h"
#include "../xfrm_ext.h"

void incomplete_command(void)
{
	fprintf(stderr, "Error: something is missing at the end: see \"xfrm-ext help\".\n");
	exit(-1);
}

void missarg(const char *word)
{
	fprintf(stderr, "Error: argument \"%s\" is required\n", word);
	exit(-1);
}

void invarg(const char *text, const char *arg)
{
	fprintf(stderr, "Error: argument \"%s\" is wrong: %s\n", arg, text);
	exit(-1);
}

void duparg(const char *word, const char *arg)
{
	fprintf(stderr, "Error: duplicate \"%s\": \"%s\" is the second value.\n", word, arg);
	exit(-1);
}

/* True if it does not, as with strcmp() */
bool matches(const char *prefix, const char *word)
{
	return !*prefix || strncmp(prefix, word, strlen(prefix)) != 0;
}

static int addr_parse(inet_prefix *dst, const char *arg, int family)
{
	memset(dst, 0, sizeof(*dst));
	if (family != AF_INET6 && inet_pton(AF_INET, arg, dst->data) == 1) {
		dst->family = AF_INET;
		dst->bytelen = 4;
	} else if (family != AF_INET && inet_pton(AF_INET6, arg, dst->data) == 1) {
		dst->family = AF_INET6;
		dst->bytelen = 16;
	} else {
		return -1;
	}
	dst->bitlen = 8 * dst->bytelen;
	return 0;
}

static const char *kind(int family)
{
	return family == AF_INET ? "IPv4" : family == AF_INET6 ? "IPv6" : "IP";
}

int get_addr(inet_prefix *dst, const char *arg, int family)
{
	if (addr_parse(dst, arg, family)) {
		fprintf(stderr, "Error: \"%s\" is no %s address.\n", arg, kind(family));
		exit(-1);
	}
	return 0;
}

int get_prefix(inet_prefix *dst, char *arg, int family)
{
	char *slash = strchr(arg, '/');
	__u64 len;
	int err;

	if (strcmp(arg, "any") == 0 || strcmp(arg, "all") == 0 || strcmp(arg, "default") == 0) {
		memset(dst, 0, sizeof(*dst));
		dst->family = family;
		return 0;
	}
	if (slash)
		*slash = '\0';
	err = addr_parse(dst, arg, family);
	if (slash)
		*slash = '/';
	if (!err && slash) {
		err = xfrm_ext_number(&len, slash + 1, 10, 8 * dst->bytelen);
		dst->bitlen = len;
	}
	if (err) {
		fprintf(stderr, "Error: \"%s\" is no %s prefix, such as %s.\n", arg, kind(family),
			family == AF_INET6 ? "fd00::/64" : "10.0.0.0/8");
		exit(-1);
	}
	return 0;
}

int read_family(const char *name)
{
	if (strcmp(name, "inet") == 0)
		return AF_INET;
	return strcmp(name, "inet6") == 0 ? AF_INET6 : AF_UNSPEC;
}

const char *family_name(int family)
{
	return family == AF_INET ? "inet" : family == AF_INET6 ? "inet6" : "???";
}

/* Good until the third call from here */
const char *rt_addr_n2a(int family, int len, const void *addr)
{
	static char text[3][INET6_ADDRSTRLEN];
	static int next;

	next = (next + 1) % 3;
	if (!inet_ntop(family, addr, text[next], sizeof(text[next])))
		return "???";
	return text[next];
}

static __u32 mark_number(const char *word, const char *arg)
{
	__u64 val;

	if (xfrm_ext_number(&val, arg, 0, UINT32_MAX)) {
		fprintf(stderr, "Error: %s: \"%s\" is not a number of 32 bits\n", word, arg);
		exit(-1);
	}
	return val;
}

int xfrm_parse_mark(struct xfrm_mark *mark, int *argcp, char ***argvp)
{
	char **argv = *argvp;
	int argc = *argcp;

	NEXT_ARG();
	mark->v = mark_number("mark", *argv);
	mark->m = UINT32_MAX;
	if (NEXT_ARG_OK() && strcmp(argv[1], "mask") == 0) {
		NEXT_ARG();
		NEXT_ARG();
		mark->m = mark_number("mask", *argv);
	}
	*argcp = argc;
	*argvp = argv;
	return 0;
}

int print_timestamp(FILE *fp)
{
	struct timeval now;
	struct tm tm;
	char text[32];

	gettimeofday(&now, NULL);
	localtime_r(&now.tv_sec, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	return fprintf(fp, "[%s.%06ld] ", text, (long)now.tv_usec);
}
