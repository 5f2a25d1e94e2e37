// SPDX-License-Identifier: GPL-2.0-only
/*
 * What net/xfrm_ext/trailer.c costs per packet with the trailer in each of its
 * places: compiled together with it, run by trailer.sh, which says what the
 * columns are.
 */
#include <sched.h>
#include <stdio.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "../../../net/xfrm_ext/trailer.h"

#define ROUNDS	301		/* of each, the variants taking turns */
#define BURST	64		/* packets in a round */
#define HDR	16		/* ESP header and IV */
#define ICV	16
#define FAR	16		/* packets that "ahead" is ahead */
#define LINE	64
#define HEADERS	(HDR + XE_INFO_LEN + 40)

enum { NONE = XFRM_EXT_TRAILER_OMIT + 1, AHEAD, VARIANTS };
enum role { RECEIVE, SEND, ROLES };
enum mode { CHAIN, STREAM, MODES };
enum state { HOT, LLC, COLD, STATES };

static const unsigned int payloads[] = { 64, 256, 576, 1400, 1401, 9000 };
static const char * const role_names[] = { "receive", "send" };
static const char * const mode_names[] = { "chain", "stream" };

static struct {
	u8 *at;
	size_t len;
	size_t stride;
	u32 packets;
	u32 random;
	u8 *sweep;		/* displaces all but the last-level cache */
	size_t sweep_len;
} pool;

static u8 *burst[BURST];

/* Done, as far as the compiler knows */
static inline void use(unsigned int value)
{
	__asm__ volatile("" : : "r" (value) : "memory");
}

static u64 now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

static void fence(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
#if defined(__x86_64__)
	__builtin_ia32_mfence();
#endif
}

static u32 draw(void)
{
	pool.random ^= pool.random << 13;
	pool.random ^= pool.random >> 17;
	pool.random ^= pool.random << 5;
	return pool.random;
}

static void touch(const u8 *from, const u8 *to)
{
	const u8 *line;

	for (line = (u8 *)((uintptr_t)from & ~(LINE - 1UL)); line < to;
	     line += LINE)
		use(READ_ONCE(*line));
}

/*
 * Elsewhere than on x86-64 a packet is cold because nobody has been there for
 * as long as it takes to go through the pool
 */
static void evict(const u8 *from, const u8 *to)
{
#if defined(__x86_64__)
	const u8 *line;

	for (line = (u8 *)((uintptr_t)from & ~(LINE - 1UL)); line < to;
	     line += LINE)
		__builtin_ia32_clflush(line);
#endif
}

/* As it comes from the wire, without the ICV; its length */
static unsigned int prepare(u8 *p, u32 trailer, enum role role,
			    unsigned int payload)
{
	unsigned int front = xe_trailer_front(trailer), len;
	u8 *inner = p + HDR + front;

	len = xe_trailer_len(trailer, payload, 4);
	inner[0] = 0x45;
	inner[2] = payload >> 8;
	inner[3] = payload;
	if (role == RECEIVE)
		xe_trailer_build(trailer, p + HDR, inner + payload, len,
				 IPPROTO_IPIP);
	return front + payload + len;
}

/* Put the burst's packets where they shall be, all variants the same way */
static void place(enum state state, unsigned int len)
{
	u8 *end;
	int i;

	for (i = 0; i < BURST; i++) {
		evict(burst[i], burst[i] + HEADERS);
		end = burst[i] + HDR + len;
		evict(end - LINE, end);
	}
	fence();
	if (state != COLD)
		for (i = 0; i < BURST; i++) {
			end = burst[i] + HDR + len;
			touch(end - LINE, end);
		}
	if (state == LLC)
		touch(pool.sweep, pool.sweep + pool.sweep_len);
	for (i = 0; i < BURST; i++)
		touch(burst[i], burst[i] + HEADERS);
	if (state == HOT)
		for (i = 0; i < BURST; i++) {
			end = burst[i] + HDR + len;
			touch(end - LINE, end);
		}
	fence();
}

/* As xe_accept_trailer() */
static inline unsigned int find(u32 trailer, const u8 *p, unsigned int len)
{
	u8 first[XE_TRAILER_LOOK] = {}, last[2] = {};
	struct xe_inside inside = {};

	if (trailer == NONE)
		return READ_ONCE(*p) & 1;
	if (trailer == XFRM_EXT_TRAILER_END)
		memcpy(last, p + HDR + len - sizeof(last), sizeof(last));
	else
		memcpy(first, p + HDR, sizeof(first));
	if (xe_trailer_parse(trailer, first, last, len, &inside))
		abort();
	return inside.len;
}

/* What a driver can do that knows how long its packets are */
static inline void look_ahead(int i, unsigned int len, enum role role)
{
	const u8 *last;

	if (i >= BURST)
		return;
	last = burst[i] + HDR + len - 1;
	/* Next Header and Pad Length seldom are in two lines */
	if (role == SEND)
		__builtin_prefetch(last, 1);
	else
		__builtin_prefetch(last, 0);
	/* Without it the compiler finds that this does nothing */
	__asm__ volatile("");
}

static void receive_all(u32 trailer, enum mode mode, unsigned int len)
{
	bool ahead = trailer == AHEAD;
	unsigned int got = 0, no = 0;
	int i;

	if (ahead) {
		trailer = XFRM_EXT_TRAILER_END;
		for (i = 0; i < FAR; i++)
			look_ahead(i, len, RECEIVE);
	}

	if (mode == STREAM) {
		for (i = 0; i < BURST; i++) {
			if (ahead)
				look_ahead(i + FAR, len, RECEIVE);
			use(find(trailer, burst[i], len));
		}
		return;
	}
	/* It stays 0, and the compiler does not know */
	__asm__ volatile("" : "+r" (no));
	/* What is found decides where the next packet is */
	for (i = 0; i < BURST; i++) {
		if (ahead)
			look_ahead(i + FAR, len, RECEIVE);
		got = find(trailer, burst[i + (got & no)], len);
		use(got);
	}
}

static void send_all(u32 trailer, enum mode mode, unsigned int payload,
		     unsigned int all)
{
	bool ahead = trailer == AHEAD;
	unsigned int front, len;
	int i;

	if (ahead) {
		trailer = XFRM_EXT_TRAILER_END;
		for (i = 0; i < FAR; i++)
			look_ahead(i, all, SEND);
	}
	for (i = 0; i < BURST; i++) {
		if (ahead)
			look_ahead(i + FAR, all, SEND);
		if (trailer == NONE) {
			use(READ_ONCE(*burst[i]));
		} else {
			front = xe_trailer_front(trailer);
			len = xe_trailer_len(trailer, payload, 4);
			xe_trailer_build(trailer, burst[i] + HDR,
					 burst[i] + HDR + front + payload, len,
					 IPPROTO_IPIP);
		}
		if (mode == CHAIN)
			fence();
	}
	fence();
}

static double one_round(enum role role, enum mode mode, u32 trailer,
			enum state state, unsigned int payload)
{
	u32 real = trailer == NONE ? XFRM_EXT_TRAILER_OMIT :
		   trailer == AHEAD ? XFRM_EXT_TRAILER_END : trailer;
	unsigned int len = 0;
	u64 begin;
	int i;

	for (i = 0; i < BURST; i++) {
		burst[i] = pool.at + draw() % pool.packets * pool.stride;
		len = prepare(burst[i], real, role, payload);
	}
	place(state, len);
	begin = now();
	if (role == RECEIVE)
		receive_all(trailer, mode, len);
	else
		send_all(trailer, mode, payload, len);
	return (double)(now() - begin) / BURST;
}

static int by_value(const void *a, const void *b)
{
	double d = *(const double *)a - *(const double *)b;

	return (d > 0) - (d < 0);
}

static void bench(enum role role, enum mode mode, unsigned int payload)
{
	static const int order[VARIANTS] = {
		NONE, XFRM_EXT_TRAILER_END, AHEAD, XFRM_EXT_TRAILER_FRONT,
		XFRM_EXT_TRAILER_OMIT
	};
	static double ns[STATES][VARIANTS][ROUNDS];
	int i, v, state;

	pool.stride = ((HDR + XE_INFO_LEN + payload + 5 + ICV) / LINE + 1) * LINE;
	/* An odd number of lines: no set of a cache has more than its share */
	pool.stride |= LINE;
	pool.packets = pool.len / pool.stride;
	for (i = 0; i < ROUNDS; i++)
		for (state = 0; state < STATES; state++)
			for (v = 0; v < VARIANTS; v++)
				ns[state][v][i] = one_round(role, mode, v, state,
							    payload);
	printf("%-8s %-7s %6u", role_names[role], mode_names[mode], payload);
	for (state = 0; state < STATES; state++) {
		printf("  ");
		for (v = 0; v < VARIANTS; v++) {
			qsort(ns[state][order[v]], ROUNDS, sizeof(double),
			      by_value);
			if (state == LLC && !pool.sweep_len)
				printf(" %6s", "-");
			else
				printf(" %6.1f", ns[state][order[v]][ROUNDS / 2]);
		}
	}
	printf("\n");
	fflush(stdout);
}

static void pool_init(size_t mib)
{
	long l2 = sysconf(_SC_LEVEL2_CACHE_SIZE);
	long l3 = sysconf(_SC_LEVEL3_CACHE_SIZE);

	l2 = l2 > 0 ? l2 : 0;
	l3 = l3 > 0 ? l3 : 0;
	if (!mib) {
		mib = 512;
		if (l3 >> 18 > (long)mib)
			mib = l3 >> 18;
	}
	pool.random = 1;
	pool.len = mib << 20;
	/* Twice the size of what it is to displace, if there is room for both */
	if (l2 && l3 >= 4 * l2)
		pool.sweep_len = 2 * l2;
	pool.at = mmap(NULL, pool.len + pool.sweep_len, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (pool.at == MAP_FAILED) {
		perror("trailer: no memory");
		exit(1);
	}
	/* The kernel sees its memory through large pages, too, if it can */
	madvise(pool.at, pool.len + pool.sweep_len, MADV_HUGEPAGE);
	memset(pool.at, 0xa5, pool.len + pool.sweep_len);
	pool.sweep = pool.at + pool.len;
}

int main(int argc, char **argv)
{
	struct sched_param param = { .sched_priority = 1 };
	enum role role;
	enum mode mode;
	unsigned int i;
	cpu_set_t set;

	pool_init(argc > 1 ? atoi(argv[1]) : 0);
	CPU_ZERO(&set);
	CPU_SET(0, &set);
	sched_setaffinity(0, sizeof(set), &set);
	/* Undisturbed, if we may */
	sched_setscheduler(0, SCHED_FIFO, &param);
	printf("# packets in %zu MiB\n", pool.len >> 20);
	printf("%-23s   %-34s   %-34s   %s\n", "", " hot", " llc", " cold");
	printf("%-8s %-7s %6s", "", "", "octets");
	for (i = 0; i < STATES; i++)
		printf("   %6s %6s %6s %6s %6s", "none", "end", "ahead",
		       "front", "omit");
	printf("\n");
	for (role = 0; role < ROLES; role++)
		for (mode = 0; mode < MODES; mode++)
			for (i = 0; i < sizeof(payloads) / sizeof(*payloads); i++)
				bench(role, mode, payloads[i]);
	return 0;
}
