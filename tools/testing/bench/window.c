// SPDX-License-Identifier: GPL-2.0-only
/*
 * What net/xfrm_ext/window.c costs per packet, and what a spinlock would:
 * compiled together with it, run by window.sh, which says what the columns are.
 */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "../../../net/xfrm_ext/window.h"
#include "window_lock.h"

#define ROUNDS	101		/* of each, the variants taking turns */
#define PACKETS	8192		/* in a round, of all CPUs together; no more
				 * than the window that is sprayed into
				 */
#define BURST	64		/* what a CPU takes at a time: NAPI's budget */
#define CPUS	64

enum pattern { ORDER, REORDER, SPRAY };

static const char * const pattern_names[] = { "order", "reorder", "spray" };

static struct {
	enum pattern pattern;
	bool locked;
	bool counting;
	int work;
	int cpus;
	u64 base;
	struct xe_window *w;
	struct locked_window *l;
	atomic64_t packets ____cacheline_aligned_in_smp;
	atomic64_t bursts ____cacheline_aligned_in_smp;
	int waiting ____cacheline_aligned_in_smp;
	int turn;
} run;

struct cpu {
	u64 begin, end, packets, refused;
	long switches;
} ____cacheline_aligned_in_smp;

static struct cpu cpus[CPUS];

static u64 now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

static void wait_for_all(void)
{
	int turn = __atomic_load_n(&run.turn, __ATOMIC_ACQUIRE);

	if (__atomic_add_fetch(&run.waiting, 1, __ATOMIC_ACQ_REL) == run.cpus) {
		run.waiting = 0;
		__atomic_store_n(&run.turn, turn + 1, __ATOMIC_RELEASE);
	}
	while (__atomic_load_n(&run.turn, __ATOMIC_ACQUIRE) == turn)
		__builtin_ia32_pause();
}

static inline void packet(struct cpu *c, u64 sn)
{
	enum xe_verdict look, verdict;
	int i;

	look = run.locked ? locked_check(run.l, sn) :
			    xe_window_check(run.w, sn);
	/* A cipher that touches nobody's memory */
	for (i = 0; i < run.work; i++)
		__asm__ volatile("" ::: "memory");
	verdict = run.locked ? locked_update(run.l, sn) :
			       xe_window_update(run.w, sn);
	if (run.counting)
		atomic64_inc(&run.packets);
	c->packets++;
	c->refused += look != XE_FRESH || verdict != XE_FRESH;
}

static void deliver(struct cpu *c, int me)
{
	u64 i, from;

	if (run.pattern == SPRAY) {
		for (i = me; i < PACKETS; i += run.cpus)
			packet(c, run.base + i);
		return;
	}
	for (;;) {
		from = BURST * __atomic_fetch_add(&run.bursts.counter, 1,
						  __ATOMIC_RELAXED);
		if (from >= PACKETS)
			return;
		for (i = from; i < from + BURST; i++)
			packet(c, run.base +
				  (run.pattern == REORDER ? i ^ 0x155 : i));
	}
}

static long switches(void)
{
	struct rusage usage;

	getrusage(RUSAGE_THREAD, &usage);
	return usage.ru_nivcsw + usage.ru_nvcsw;
}

static void one_round(int me)
{
	struct cpu *c = &cpus[me];
	long before;

	wait_for_all();
	before = switches();
	wait_for_all();
	c->begin = now();
	deliver(c, me);
	c->end = now();
	c->switches = switches() - before;
	wait_for_all();
}

static void *other(void *arg)
{
	long me = (long)arg;
	int i;

	for (i = 0; i < 3 * ROUNDS; i++)
		one_round(me);
	return NULL;
}

/* ns per packet of a round that nobody disturbed, or a negative number */
static double judge(void)
{
	u64 begin = ~0ULL, end = 0, busy = 0, packets = 0;
	int i;

	for (i = 0; i < run.cpus; i++) {
		begin = min_t(u64, begin, cpus[i].begin);
		end = max_t(u64, end, cpus[i].end);
		busy += cpus[i].end - cpus[i].begin;
		packets += cpus[i].packets;
		if (cpus[i].switches)
			return -1;
	}
	/* All of them, all of the time */
	if (busy * 10 < (end - begin) * 9 * run.cpus)
		return -1;
	return (double)busy / packets;
}

static int by_value(const void *a, const void *b)
{
	double d = *(const double *)a - *(const double *)b;

	return (d > 0) - (d < 0);
}

static double median(double *v, int n)
{
	qsort(v, n, sizeof(*v), by_value);
	return n ? v[n / 2] : 0;
}

static void bench(enum pattern pattern, u32 size, int n, int work)
{
	static double ns[3][ROUNDS];
	pthread_t threads[CPUS];
	int variant, valid[3] = {};
	pthread_attr_t attr;
	cpu_set_t set;
	long i;
	u64 refused = 0;
	double t;

	pthread_attr_init(&attr);
	run.cpus = n;
	run.pattern = pattern;
	run.work = work;
	run.w = xe_window_alloc(size, 0);
	run.l = locked_alloc(size);
	for (i = 1; i < n; i++) {
		CPU_ZERO(&set);
		CPU_SET(i, &set);
		pthread_attr_setaffinity_np(&attr, sizeof(set), &set);
		if (pthread_create(&threads[i], &attr, other, (void *)i))
			abort();
	}
	for (i = 0; i < 3 * ROUNDS; i++) {
		variant = i % 3;
		run.locked = variant == 0;
		run.counting = variant == 2;
		/* Beyond all that any of the windows has seen */
		run.base = (i + 1ULL) * 2 * 65536;
		run.bursts.counter = 0;
		memset(cpus, 0, sizeof(cpus));
		one_round(0);
		t = judge();
		if (t >= 0)
			ns[variant][valid[variant]++] = t;
		for (int c = 0; c < n; c++)
			refused += cpus[c].refused;
	}
	for (i = 1; i < n; i++)
		pthread_join(threads[i], NULL);
	for (i = 0; i < 3; i++)
		ns[i][0] = median(ns[i], valid[i]);
	printf("%-8s %6u %4d %5d %8.1f %8.1f %8.1f %6.2f %6.2f   %d/%d/%d %llu\n",
	       pattern_names[pattern], size, n, work, ns[0][0], ns[1][0],
	       ns[2][0], ns[1][0] / ns[0][0], ns[2][0] / ns[0][0], valid[0],
	       valid[1], valid[2], (unsigned long long)refused);
	fflush(stdout);
	xe_window_free(run.w);
	free(run.l);
}

int main(int argc, char **argv)
{
	int max = argc > 1 ? atoi(argv[1]) : 2;
	struct sched_param param = { .sched_priority = 1 };
	cpu_set_t set;
	int n, work;

	CPU_ZERO(&set);
	CPU_SET(0, &set);
	sched_setaffinity(0, sizeof(set), &set);
	/* Undisturbed, if we may; the others inherit it */
	sched_setscheduler(0, SCHED_FIFO, &param);
	printf("%-8s %6s %4s %5s %8s %8s %8s %6s %6s   %s\n", "pattern",
	       "window", "CPUs", "work", "locked", "free", "counting", "free",
	       "count.", "rounds, refused");
	for (work = 0; work <= 400; work += 400) {
		for (n = 1; n <= max && n < CPUS; n *= 2) {
			bench(ORDER, 1024, n, work);
			bench(REORDER, 1024, n, work);
			bench(SPRAY, 65536, n, work);
		}
	}
	return 0;
}
