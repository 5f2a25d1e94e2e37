// SPDX-License-Identifier: GPL-2.0-only
/*
 * A plugin of QEMU's that watches which CPU's cache each line of memory would
 * be in, if caches were without end: between the marks of datapath.h it counts
 * stores to lines that another CPU has had since, and loads of lines that
 * another CPU has written since, by instruction. lines.py makes functions of
 * them. What interrupts do in between is left out.
 *
 * On the machine that QEMU runs on; "out=FILE" says where to, "mem=MIB" how
 * much memory the guest has. With "ahead=N" no CPU of a run gets further than N
 * accesses ahead of the last one: as if each ran on a core of its own, however few
 * cores there are and whatever else they do.
 */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "plugin.h"

EXPORT int qemu_plugin_version = 4;

/* The same address again each time it is translated */
#define PLACES		(1u << 22)
#define CPUS		16
#define LINE		6

/* What a line is: a bit for each CPU that has it, and whether it was written since */
#define WRITTEN		(1u << CPUS)

/* Accesses from one look at the others to the next */
#define STEP		64

/* Whom a CPU waits for may itself wait for it, in QEMU: then it does not wait longer */
#define PATIENCE_NS	200000000ull

static struct place {
	uint64_t address;
	uint64_t stores;
	uint64_t loads;
} *places;

/* None on a line of another's, for QEMU's sake */
static struct cpu {
	uint64_t count_at;
	uint64_t batches;
	uint64_t done;
	uint64_t look_at;
	bool counting;
	bool interrupted;
	bool runs;
	uint64_t unused[8];
} cpus[CPUS];

static unsigned int n_places;
static uint64_t order, interrupts, n_lines, ahead, in_vain;
static uint32_t *lines;
static FILE *out;

static void count(uint64_t *n)
{
	__atomic_fetch_add(n, 1, __ATOMIC_RELAXED);
}

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

/* What the last one of those that run has done, or, without any, what the caller has */
static uint64_t least(uint64_t done)
{
	unsigned int i;

	for (i = 0; i < CPUS; i++) {
		uint64_t others = __atomic_load_n(&cpus[i].done, __ATOMIC_RELAXED);

		if (__atomic_load_n(&cpus[i].runs, __ATOMIC_RELAXED) && others < done)
			done = others;
	}
	return done;
}

/* Not too far ahead of the others. Whoever is last goes on, so that somebody always does */
static void keep_pace(struct cpu *c)
{
	uint64_t done = c->done + 1, last, before, since;

	__atomic_store_n(&c->done, done, __ATOMIC_RELAXED);
	if (done < c->look_at)
		return;
	c->look_at = done + STEP;
	before = least(done);
	if (done - before <= ahead)
		return;
	since = now();
	do {
		sched_yield();
		last = least(done);
		if (last != before) {
			before = last;
			since = now();
		} else if (now() - since > PATIENCE_NS) {
			count(&in_vain);
			break;
		}
	} while (done - last > ahead);
}

static void accessed(unsigned int vcpu, mem_info info, uint64_t vaddr, void *data)
{
	uint32_t self = 1u << vcpu, was, others;
	bool store = qemu_plugin_mem_is_store(info), counts;
	struct qemu_plugin_hwaddr *where;
	struct cpu *c = &cpus[vcpu];
	struct place *p = data;
	uint64_t line;

	if (c->runs)
		keep_pace(c);
	if (store && vaddr == c->count_at)
		c->interrupted = qemu_plugin_mem_get_value(info).data.u32 & interrupts;
	where = qemu_plugin_get_hwaddr(info, vaddr);
	if (!where || qemu_plugin_hwaddr_is_io(where))
		return;
	line = qemu_plugin_hwaddr_phys_addr(where) >> LINE;
	if (line >= n_lines)
		return;
	counts = c->counting && !c->interrupted;
	was = __atomic_load_n(&lines[line], __ATOMIC_RELAXED);
	if (was == (self | WRITTEN) || (!store && was & self))
		return;
	if (store) {
		was = __atomic_exchange_n(&lines[line], self | WRITTEN, __ATOMIC_RELAXED);
		others = was & ~(self | WRITTEN);
		if (others && counts)
			count(&p->stores);
		return;
	}
	/* Whoever reads what another has written has it from there; then both have it */
	do {
		others = was & ~(self | WRITTEN);
	} while (!__atomic_compare_exchange_n(&lines[line], &was, others | self, false,
					      __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	if (others && was & WRITTEN && counts)
		count(&p->loads);
}

static void counted_at(unsigned int vcpu, mem_info info, uint64_t vaddr, void *data)
{
	cpus[vcpu].count_at = vaddr;
}

static void mask_read(unsigned int vcpu, mem_info info, uint64_t vaddr, void *data)
{
	interrupts = qemu_plugin_mem_get_value(info).data.u32;
}

static void begin(unsigned int vcpu, void *data)
{
	cpus[vcpu].counting = true;
	cpus[vcpu].batches++;
}

static void end(unsigned int vcpu, void *data)
{
	cpus[vcpu].counting = false;
}

/* It begins where the others are */
static void join(unsigned int vcpu, void *data)
{
	struct cpu *c = &cpus[vcpu];
	unsigned int i;

	if (!ahead || c->runs)
		return;
	for (i = 0; i < CPUS; i++) {
		uint64_t others = __atomic_load_n(&cpus[i].done, __ATOMIC_RELAXED);

		if (__atomic_load_n(&cpus[i].runs, __ATOMIC_RELAXED) && others > c->done)
			__atomic_store_n(&c->done, others, __ATOMIC_RELAXED);
	}
	c->look_at = c->done;
	__atomic_store_n(&c->runs, true, __ATOMIC_RELEASE);
}

static void leave(unsigned int vcpu, void *data)
{
	__atomic_store_n(&cpus[vcpu].runs, false, __ATOMIC_RELEASE);
}

/* "order N batches N", and "ADDRESS STORES LOADS" for each that had to wait */
static void dump(void)
{
	uint64_t batches = 0;
	unsigned int i;

	for (i = 0; i < CPUS; i++) {
		batches += cpus[i].batches;
		cpus[i].batches = 0;
	}
	fprintf(out, "order %llu batches %llu\n", (unsigned long long)order,
		(unsigned long long)batches);
	for (i = 0; i < n_places; i++) {
		struct place *p = &places[i];

		if (p->stores || p->loads)
			fprintf(out, "%llx %llu %llu\n", (unsigned long long)p->address,
				(unsigned long long)p->stores, (unsigned long long)p->loads);
		p->stores = 0;
		p->loads = 0;
	}
}

static void next(unsigned int vcpu, void *data)
{
	dump();
	order++;
}

static void translated(plugin_id id, struct qemu_plugin_tb *tb)
{
	static const insn_cb marks[] = { begin, end, next, [5] = join, [6] = leave };
	static const mem_cb shown[] = { [3] = counted_at, [4] = mask_read };
	size_t i, n = qemu_plugin_tb_n_insns(tb);
	int mark = -1;

	for (i = 0; i < n && n_places < PLACES; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
		struct place *p = &places[n_places++];

		if (mark == 3 || mark == 4)
			qemu_plugin_register_vcpu_mem_cb(insn, shown[mark], NO_REGS, MEM_RW, NULL);
		mark = mark_of(insn);
		if (mark >= 0 && mark < 7 && marks[mark])
			qemu_plugin_register_vcpu_insn_exec_cb(insn, marks[mark], NO_REGS, NULL);
		p->address = qemu_plugin_insn_vaddr(insn);
		qemu_plugin_register_vcpu_mem_cb(insn, accessed, NO_REGS, MEM_RW, p);
	}
}

static void ended(plugin_id id, void *data)
{
	dump();
	if (in_vain)
		fprintf(out, "waited %llu\n", (unsigned long long)in_vain);
	if (n_places == PLACES)
		fprintf(out, "full\n");
	/* Without them what it says would be of interrupts, too */
	if (!interrupts || !cpus[0].count_at)
		fprintf(out, "blind\n");
	fclose(out);
}

EXPORT int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv)
{
	if (argc != 3 || strncmp(argv[0], "out=", 4) || strncmp(argv[1], "mem=", 4) ||
	    strncmp(argv[2], "ahead=", 6))
		return 1;
	ahead = strtoull(argv[2] + 6, NULL, 10);
	out = fopen(argv[0] + 4, "w");
	n_lines = (strtoull(argv[1] + 4, NULL, 10) << 20) >> LINE;
	lines = calloc(n_lines, sizeof(*lines));
	places = calloc(PLACES, sizeof(*places));
	if (!out || !lines || !places)
		return 1;
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	qemu_plugin_register_atexit_cb(id, ended, NULL);
	return 0;
}
