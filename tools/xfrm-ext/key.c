// SPDX-License-Identifier: GPL-2.0-only
/*
 * Keys, from a file or standard input: a command line can be read by everybody, and stays in
 * the shell's history
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tool.h"

static const char *source;

static void bad(int line, const char *what) __attribute__((noreturn));

/* Not what it is that is bad: that may be most of a key */
static void bad(int line, const char *what)
{
	fprintf(stderr, "Error: %s, line %d: %s.\n", source, line, what);
	exit(-1);
}

static int digit(int c)
{
	return isdigit(c) ? c - '0' : tolower(c) - 'a' + 10;
}

static void key_parse(struct tool_key *key, const char *text, int line)
{
	size_t digits;

	if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X'))
		text += 2;
	digits = strspn(text, "0123456789abcdefABCDEF");
	if (text[digits])
		bad(line, "a key is hex digits, with or without 0x before them");
	if (digits % 2)
		bad(line, "an odd number of hex digits: one is missing");
	if (digits / 2 > sizeof(key->octets))
		bad(line, "longer than any key");
	for (key->len = 0; key->len < digits / 2; key->len++, text += 2)
		key->octets[key->len] = digit(text[0]) << 4 | digit(text[1]);
}

void keys_wipe(struct tool_key *keys, int n)
{
	explicit_bzero(keys, n * sizeof(*keys));
}

/* Each in a line of its own; empty lines, and comments, do not count */
void keys_read(const char *file, struct tool_key *keys, int n)
{
	bool in = strcmp(file, "-") == 0;
	char text[4 * KEY_MAX], *start;
	int line = 0, got = 0;
	struct stat st;
	FILE *fp;

	source = in ? "standard input" : file;
	if (in && isatty(STDIN_FILENO)) {
		fprintf(stderr,
			"Error: the key comes from standard input, and that is a terminal, which would show it: \"xfrm-ext add ... key-file FILE\", or \"xfrm-ext add ... <FILE\".\n");
		exit(-1);
	}
	fp = in ? stdin : fopen(file, "re");
	if (!fp) {
		fprintf(stderr, "Error: cannot read the key from %s: %s.\n", file, strerror(errno));
		exit(-1);
	}
	/* What is read is wiped below, and not copied before */
	setvbuf(fp, NULL, _IONBF, 0);
	if (!in && !fstat(fileno(fp), &st) && S_ISREG(st.st_mode) && st.st_mode & 0077)
		say("%s can be read by others than its owner: chmod 600 %s", file, file);
	while (fgets(text, sizeof(text), fp)) {
		line++;
		start = text + strspn(text, " \t");
		start[strcspn(start, " \t\r\n")] = '\0';
		if (!*start || *start == '#')
			continue;
		if (got == n)
			bad(line, "one key more than the SA has: a line for each, that of enc first");
		key_parse(&keys[got++], start, line);
	}
	explicit_bzero(text, sizeof(text));
	if (!in)
		fclose(fp);
	if (got < n)
		bad(line, n == 1 ? "there is no key" :
		    "too few keys: a line for each, that of enc first, then that of auth");
}
