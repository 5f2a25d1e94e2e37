// SPDX-License-Identifier: GPL-2.0-only
/*
 * JSON on standard output, in one line
 */
#include "xfrm_ext_host.h"

static struct {
	bool open;
	bool array;	/* around it all */
	bool comma;	/* before what comes next */
} doc;

static void text(const char *val)
{
	const unsigned char *c;

	putchar('"');
	for (c = (const unsigned char *)val; *c; c++) {
		if (*c == '"' || *c == '\\')
			printf("\\%c", *c);
		else if (*c < 0x20 || *c == 0x7f)
			printf("\\u%04x", *c);
		else
			putchar(*c);
	}
	putchar('"');
}

static void key(const char *name)
{
	if (doc.comma)
		putchar(',');
	doc.comma = true;
	if (name) {
		text(name);
		putchar(':');
	}
}

static void begin(const char *name, char bracket)
{
	if (!doc.open)
		return;
	key(name);
	putchar(bracket);
	doc.comma = false;
}

static void end(char bracket)
{
	if (!doc.open)
		return;
	putchar(bracket);
	doc.comma = true;
}

void new_json_obj(int json)
{
	new_json_obj_plain(json);
	doc.array = json;
	begin(NULL, '[');
}

void delete_json_obj(void)
{
	delete_json_obj_plain();
}

void new_json_obj_plain(int json)
{
	doc.open = json;
	doc.array = false;
	doc.comma = false;
}

void delete_json_obj_plain(void)
{
	if (!doc.open)
		return;
	if (doc.array)
		putchar(']');
	putchar('\n');
	fflush(stdout);
	doc.open = false;
}

bool is_json_context(void)
{
	return doc.open;
}

void open_json_object(const char *name)
{
	begin(name, '{');
}

void close_json_object(void)
{
	end('}');
}

void open_json_array(enum output_type type, const char *name)
{
	begin(name, '[');
}

void close_json_array(enum output_type type, const char *name)
{
	end(']');
}

int print_string(enum output_type type, const char *name, const char *fmt, const char *val)
{
	if (doc.open) {
		key(name);
		text(val);
	}
	return 0;
}

int print_uint(enum output_type type, const char *name, const char *fmt, unsigned int val)
{
	return print_u64(type, name, fmt, val);
}

int print_u64(enum output_type type, const char *name, const char *fmt, uint64_t val)
{
	if (doc.open) {
		key(name);
		printf("%llu", (unsigned long long)val);
	}
	return 0;
}

int print_bool(enum output_type type, const char *name, const char *fmt, bool val)
{
	if (doc.open) {
		key(name);
		fputs(val ? "true" : "false", stdout);
	}
	return 0;
}
