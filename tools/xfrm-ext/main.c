// SPDX-License-Identifier: GPL-2.0-only
/*
 * xfrm-ext: extended SAs, beside the system's own ip. What it has in common with the patched
 * "ip xfrm" is in xfrm_ext*.c.
 */
#include <errno.h>
#include <stdlib.h>

#include "tool.h"

int preferred_family, show_stats, show_details, json, timestamp;

static void usage(FILE *fp)
{
	fprintf(fp,
		"Usage: xfrm-ext [ OPTIONS ] { COMMAND | help }\n"
		"       xfrm-ext [ -j ] -batch FILE\n"
		"       xfrm-ext show [ src ADDR ] [ dst ADDR ] [ spi SPI ] [ reqid REQID ]\n");
	tool_add_usage(fp);
	fprintf(fp,
		"       xfrm-ext metrics [ state FILE ]\n"
		"       xfrm-ext watch [ interval SECONDS ] [ count NUMBER ]\n"
		"       xfrm-ext doctor\n");
	tool_ping_usage(fp);
	xfrm_ext_cmd_usage(fp);
	fprintf(fp,
		"OPTIONS := { -j[son] | -s[tatistics] | -d[etails] | -t[imestamp] | -4 | -6 }\n");
	xfrm_ext_usage(fp);
}

void xfrm_ext_help(void)
{
	usage(stderr);
	exit(-1);
}

static const struct command {
	const char *word;
	int (*run)(int argc, char **argv);
} commands[] = {
	{ "show", tool_show },
	{ "list", tool_show },
	{ "add", tool_add },
	{ "metrics", tool_metrics },
	{ "watch", tool_watch },
	{ "ping", tool_ping },
	{ "doctor", tool_doctor },
};

static int run(int argc, char **argv)
{
	size_t i;
	int ret;

	if (argc < 1)
		xfrm_ext_help();
	if (strcmp(*argv, "help") == 0) {
		usage(stdout);
		return 0;
	}
	for (i = 0; i < ARRAY_SIZE(commands); i++)
		if (strcmp(*argv, commands[i].word) == 0)
			return commands[i].run(argc - 1, argv + 1);
	ret = do_xfrm_ext(argc, argv);
	return ret < 0 ? 2 : ret;
}

/* As in "ip -batch": a command in each line, with "xfrm ext" before it or without */
static int batch(const char *name)
{
	FILE *fp = strcmp(name, "-") == 0 ? stdin : fopen(name, "re");
	char *words[MAX_ARGS], *line = NULL, *save, *word;
	int n, first, number = 0, ret = 0;
	size_t size = 0;

	if (!fp) {
		say("cannot open %s: %s", name, strerror(errno));
		return 1;
	}
	while (!ret && getline(&line, &size, fp) > 0) {
		number++;
		n = 0;
		for (word = strtok_r(line, " \t\r\n", &save); word && *word != '#';
		     word = strtok_r(NULL, " \t\r\n", &save)) {
			if (n == MAX_ARGS) {
				say("%s, line %d: more than %d words", name, number, MAX_ARGS);
				ret = 1;
				break;
			}
			words[n++] = word;
		}
		first = n >= 2 && strcmp(words[0], "xfrm") == 0 &&
			strcmp(words[1], "ext") == 0 ? 2 : 0;
		if (ret || n == first)
			continue;
		ret = run(n - first, words + first);
		if (ret)
			say("%s, line %d: that was it", name, number);
	}
	free(line);
	if (fp != stdin)
		fclose(fp);
	return ret;
}

static bool option(const char *arg)
{
	static const struct {
		const char *word;
		int *value;
	} options[] = {
		{ "json", &json },
		{ "statistics", &show_stats },
		{ "stats", &show_stats },
		{ "details", &show_details },
		{ "timestamp", &timestamp },
	};
	size_t i;

	if (strcmp(arg, "-4") == 0)
		preferred_family = AF_INET;
	else if (strcmp(arg, "-6") == 0)
		preferred_family = AF_INET6;
	else
		for (i = 0; ; i++) {
			if (i == ARRAY_SIZE(options))
				return false;
			if (!matches(arg + 1 + (arg[1] == '-'), options[i].word)) {
				++*options[i].value;
				break;
			}
		}
	return true;
}

/* Options stand before the command or behind it */
int main(int argc, char **argv)
{
	char *words[argc + 1];
	const char *file = NULL;
	int i, n = 0, ret;

	for (i = 1; i < argc; i++) {
		if (argv[i][0] != '-' || !argv[i][1]) {
			words[n++] = argv[i];
		} else if (strcmp(argv[i], "-b") == 0 || strcmp(argv[i], "-batch") == 0) {
			if (++i == argc) {
				say("which file? -batch FILE");
				return 255;
			}
			file = argv[i];
		} else if (strcmp(argv[i], "-h") == 0 || strcmp(argv[i], "--help") == 0) {
			usage(stdout);
			return 0;
		} else if (!option(argv[i])) {
			say("what is \"%s\"? See \"xfrm-ext help\"", argv[i]);
			return 255;
		}
	}
	words[n] = NULL;
	ret = file ? batch(file) : run(n, words);
	if (fflush(stdout) || ferror(stdout)) {
		perror("xfrm-ext: cannot write");
		return 1;
	}
	return ret;
}
