/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the parts of xfrm_ext_bench.ko know of each other.
 */
#ifndef XFRM_EXT_BENCH_H
#define XFRM_EXT_BENCH_H

#include <linux/netdevice.h>
#include <linux/skbuff.h>

/* What NAPI takes from a device at a time, and so do we */
#define BATCH		64

/* For experiments (RFC 3692): nobody else's inner packets are of it */
#define BENCH_PROTO	253
/* What EESP has meanwhile: the module's parameter */
#define BENCH_PROTO_EESP	252

/* As many may take part */
#define BENCH_CPUS	64

/*
 * A NOP that functions.c and lines.c know, if one of them is there: a batch
 * begins, a batch has ended, a command is next; the next instruction accesses
 * this CPU's preempt_count(), the next one reads what in that is for interrupts;
 * from now on this CPU keeps pace with others, and no more
 */
enum bench_marks {
	BENCH_MARK_BEGIN, BENCH_MARK_END, BENCH_MARK_ORDER,
	BENCH_MARK_COUNT, BENCH_MARK_MASK,
	BENCH_MARK_JOIN, BENCH_MARK_LEAVE,
};

static __always_inline void bench_mark(const enum bench_marks n)
{
	asm volatile(".byte 0x0f, 0x1f, 0x80, 'X', 'E', 'B', %c0"
		     : : "i" (n) : "memory");
}

/* Nothing; SPI of no SA; a bit of the ICV; ID of no subspace; the same packet again; options */
enum bench_spoil {
	BENCH_SPOIL_NOT, BENCH_SPOIL_SPI, BENCH_SPOIL_ICV, BENCH_SPOIL_ID,
	BENCH_SPOIL_REPLAY, BENCH_SPOIL_OPTIONS,
};

/**
 * struct bench_run - a command, parsed
 * @net: namespace of whoever gave it
 * @dev: sink of what is sent, source of what is received; held
 * @src: inner source address
 * @dst: inner destination address of CPU 0; CPU n has the nth behind
 * @len: octets of the inner packet; of a cipher's plaintext
 * @cpus: CPUs 0 .. n-1 take part
 * @packets: each of them, a multiple of %BATCH
 * @scale: CPUs take turns, and carry some together
 * @out: what is received there is forwarded to this device; held, or NULL
 * @proto: of the inner packets
 * @gro: received by a NAPI and GRO
 * @pages: kept in pages, but for the headers
 * @xdp: kept with room for XDP in front
 * @queued: of what is injected so many packets are on their way at most
 * @gso: TCP to be cut into segments of so many octets of payload; 0: no
 * @alg: cipher's name
 * @keylen: octets
 * @assoc: octets of associated data
 * @decrypt: and not encrypt
 * @spoil: what is wrong with what is received
 */
struct bench_run {
	struct net *net;
	struct net_device *dev;
	struct net_device *out;
	__be32 src;
	__be32 dst;
	unsigned int len;
	unsigned int cpus;
	unsigned int packets;
	bool scale;
	unsigned int proto;
	bool gro;
	bool pages;
	bool xdp;
	unsigned int queued;
	unsigned int gso;
	char alg[64];
	unsigned int keylen;
	unsigned int assoc;
	bool decrypt;
	enum bench_spoil spoil;
};

/* When a batch was carried: while the other CPUs waited, or did the same */
enum bench_when { BENCH_ALONE, BENCH_TOGETHER, BENCH_WHENS };

/**
 * struct bench_tally - what a CPU's batches took
 * @ns: of each, by the kernel's clock
 * @n: how many there are
 */
struct bench_tally {
	u32 *ns;
	unsigned int n;
};

/**
 * struct bench_worker - what one CPU does in a run
 * @run: of all of them
 * @task: its thread, bound to @cpu
 * @cpu: CPU
 * @step: of bench_turn()
 * @when: what the next batch counts as
 * @tally: batches
 * @packets: how many it has carried
 * @arrived: how many of them reached the end
 * @ns: what all of it took, if it is not the sum of batches
 * @err: 0, or why it carried no more
 */
struct bench_worker {
	const struct bench_run *run;
	struct task_struct *task;
	unsigned int cpu;
	unsigned int step;
	enum bench_when when;
	struct bench_tally tally[BENCH_WHENS];
	unsigned int packets;
	u64 arrived;
	u64 ns;
	int err;
};

/* datapath.c APIs: */
unsigned int bench_turn(struct bench_worker *w);
void bench_batch_done(struct bench_worker *w, u64 ns);

/* flows.c APIs: a worker's part, on its CPU */
int bench_send(struct bench_worker *w);
int bench_receive(struct bench_worker *w);
int bench_inject(struct bench_worker *w);
int bench_cipher(struct bench_worker *w);
/* Process context: */
int bench_keep_begin(const struct bench_run *run);
void bench_keep_end(void);
void bench_forget(void);
int bench_flows_init(void);
void bench_flows_exit(void);

/* flood.c APIs: process context, on the CPU that will receive */
int bench_flood(struct sk_buff_head *kept, enum bench_spoil how);

/* hold.c APIs: process context */
int bench_hold(const struct bench_run *run);
void bench_release(void);

/* cheap.c APIs: process context */
int bench_cheap_init(void);
void bench_cheap_exit(void);

#endif /* XFRM_EXT_BENCH_H */
