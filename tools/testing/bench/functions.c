// SPDX-License-Identifier: GPL-2.0-only
/*
 * A plugin of QEMU's that counts how often each instruction runs between the
 * marks of datapath.h: exactly, whatever else this machine does. functions.py
 * makes functions of them. On the machine that QEMU runs on; "out=FILE" says
 * where to.
 */
#include <stdio.h>
#include <stdlib.h>

#include "plugin.h"

EXPORT int qemu_plugin_version = 4;

/* The same address again each time it is translated */
#define PLACES		(1u << 22)

static struct place {
	uint64_t address;
	uint64_t count;
} *places;

static unsigned int n_places;
static uint64_t order, batches;
static bool counting;
static FILE *out;

static void count(unsigned int vcpu, void *data)
{
	struct place *p = data;

	p->count += counting;
}

static void begin(unsigned int vcpu, void *data)
{
	counting = true;
	batches++;
}

static void end(unsigned int vcpu, void *data)
{
	counting = false;
}

/* "order N batches N", and "ADDRESS COUNT" for each that has run */
static void dump(void)
{
	unsigned int i;

	fprintf(out, "order %llu batches %llu\n", (unsigned long long)order,
		(unsigned long long)batches);
	for (i = 0; i < n_places; i++) {
		struct place *p = &places[i];

		if (p->count)
			fprintf(out, "%llx %llu\n", (unsigned long long)p->address,
				(unsigned long long)p->count);
		p->count = 0;
	}
	batches = 0;
}

static void next(unsigned int vcpu, void *data)
{
	dump();
	order++;
}

static const insn_cb marks[] = { begin, end, next };

static void translated(plugin_id id, struct qemu_plugin_tb *tb)
{
	size_t i, n = qemu_plugin_tb_n_insns(tb);

	for (i = 0; i < n && n_places < PLACES; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
		struct place *p = &places[n_places++];
		int mark = mark_of(insn);

		if (mark >= 0 && mark < 3)
			qemu_plugin_register_vcpu_insn_exec_cb(insn, marks[mark], NO_REGS, NULL);
		p->address = qemu_plugin_insn_vaddr(insn);
		qemu_plugin_register_vcpu_insn_exec_cb(insn, count, NO_REGS, p);
	}
}

static void ended(plugin_id id, void *data)
{
	dump();
	if (n_places == PLACES)
		fprintf(out, "full\n");
	fclose(out);
}

EXPORT int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv)
{
	if (argc != 1 || strncmp(argv[0], "out=", 4))
		return 1;
	out = fopen(argv[0] + 4, "w");
	places = calloc(PLACES, sizeof(*places));
	if (!out || !places)
		return 1;
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	qemu_plugin_register_atexit_cb(id, ended, NULL);
	return 0;
}
