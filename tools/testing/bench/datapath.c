// SPDX-License-Identifier: GPL-2.0-only
/*
 * xfrm_ext_bench.ko: what a packet costs in the kernel. For guests, see
 * Documentation/bench.rst; it knows nothing of xfrm_ext, and how a namespace
 * sends and receives is configured with ip.
 *
 * A command is written to /proc/xfrm_ext_bench by a process in the namespace
 * it is for, and is done when the write returns; reading gives its result.
 *
 *   send    dev=D src=A dst=A len=N packets=N [cpus=N [scale=1]]
 *           [gso=N] [proto=N]
 *   keep    the same [pages=1] [xdp=1]: what D was given is kept, CPU by CPU, for
 *           receivers; but for the headers in pages, or with room for XDP in front
 *   receive dev=D packets=N [cpus=N [scale=1]] [out=D] [gro=1]
 *           [spoil=spi|icv|id|replay|options]
 *   inject  dev=D packets=N queued=N: of what all CPUs have kept, a packet of each in
 *           turn, so many leave by D, whose other end is a receiver's; no more than
 *           queued are on their way
 *   cipher  alg=NAME keylen=N assoc=N len=N packets=N [decrypt=1]
 *   hold    alg=NAME keylen=N packets=N: have so many transforms, until the next
 *   cheap   from now on AES-GCM does nothing
 *
 * The result is a line "cpus=N packets=N arrived=N alone=N pps=N each=N.NN": pps
 * is the sum of what each CPU did in its time, but for batches that took three
 * times the median; alone what one of them did, on average, while the others
 * waited, if they took turns (scale=1); each the nanoseconds per packet in the
 * median of all batches.
 */
#include <linux/inet.h>
#include <linux/ip.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/nsproxy.h>
#include <linux/proc_fs.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/uaccess.h>
#include <linux/udp.h>
#include <net/net_namespace.h>

#include "datapath.h"

/* Batches that a CPU does until it is another's turn */
#define TURN		8

/* Times the median; see bench_rate() */
#define INTERRUPTED	3

static DEFINE_MUTEX(bench_lock);
static char bench_result[160];
static atomic_t bench_arrivals;

/* All of a run's workers have come here, this time */
static void bench_meet(const struct bench_worker *w)
{
	int all = (w->step + 1) * w->run->cpus;

	bench_mark(BENCH_MARK_JOIN);
	atomic_inc(&bench_arrivals);
	while (atomic_read(&bench_arrivals) < all) {
		cpu_relax();
		cond_resched();
	}
}

/**
 * bench_turn - wait until a worker may go on
 * @w: worker
 *
 * In turns that are short, whatever makes the machine faster or slower meanwhile
 * is the same for one CPU and for all of them. Those that wait are awake.
 *
 * Return: how many batches; 0: it is done.
 */
unsigned int bench_turn(struct bench_worker *w)
{
	const struct bench_run *run = w->run;
	unsigned int batches = run->packets / BATCH, turns, whose;

	w->when = BENCH_TOGETHER;
	if (!run->scale) {
		if (w->step) {
			bench_mark(BENCH_MARK_LEAVE);
			return 0;
		}
		bench_meet(w);
		w->step++;
		return batches;
	}
	turns = batches / (2 * TURN) * (run->cpus + 1);
	while (w->step < turns) {
		whose = w->step % (run->cpus + 1);
		bench_meet(w);
		w->step++;
		if (whose == w->cpu)
			w->when = BENCH_ALONE;
		if (whose == w->cpu || whose == run->cpus)
			return TURN;
	}
	return 0;
}

/**
 * bench_batch_done - count a batch
 * @w: worker
 * @ns: what it took
 */
void bench_batch_done(struct bench_worker *w, u64 ns)
{
	struct bench_tally *t = &w->tally[w->when];

	t->ns[t->n++] = min_t(u64, ns, U32_MAX);
	w->packets += BATCH;
	cond_resched();
}

/**
 * struct bench_verb - a command
 * @name: its first word
 * @work: what each worker does
 * @keep: and the packets are kept
 */
struct bench_verb {
	const char *name;
	int (*work)(struct bench_worker *w);
	bool keep;
};

static const struct bench_verb bench_verbs[] = {
	{ "send", bench_send },
	{ "keep", bench_send, true },
	{ "receive", bench_receive },
	{ "inject", bench_inject },
	{ "cipher", bench_cipher },
};

/**
 * struct bench_team - the workers of a run
 * @verb: what they do
 * @left: how many are not done yet
 * @done: none
 * @workers: run->cpus of them
 */
struct bench_team {
	const struct bench_verb *verb;
	atomic_t left;
	struct completion done;
	struct bench_worker workers[BENCH_CPUS];
};

static struct bench_team bench_team;

/* So that lines.c can tell interrupts from what they interrupt */
static noinline __aligned(64) void bench_show_interrupts(void)
{
	static const unsigned long mask = HARDIRQ_MASK;

	bench_mark(BENCH_MARK_COUNT);
	__preempt_count_add(1);
	bench_mark(BENCH_MARK_MASK);
	(void)READ_ONCE(mask);
	__preempt_count_sub(1);
}

static int bench_thread(void *data)
{
	struct bench_worker *w = data;

	bench_show_interrupts();
	w->err = bench_team.verb->work(w);
	if (atomic_dec_and_test(&bench_team.left))
		complete(&bench_team.done);
	return 0;
}

static int by_value(const void *a, const void *b)
{
	u32 x = *(const u32 *)a, y = *(const u32 *)b;

	return x < y ? -1 : x > y;
}

/* Nanoseconds of the median of all of a team's batches */
static u32 bench_median(const struct bench_run *run, enum bench_when when)
{
	unsigned int n = 0, i;
	u32 *all, median = 0;

	for (i = 0; i < run->cpus; i++)
		n += bench_team.workers[i].tally[when].n;
	all = kvmalloc_array(n + 1, sizeof(*all), GFP_KERNEL);
	if (!n || !all)
		goto out;
	for (n = 0, i = 0; i < run->cpus; i++) {
		const struct bench_tally *t =
			&bench_team.workers[i].tally[when];

		memcpy(all + n, t->ns, t->n * sizeof(*all));
		n += t->n;
	}
	sort(all, n, sizeof(*all), by_value, NULL);
	median = all[n / 2];
out:
	kvfree(all);
	return median;
}

/*
 * What one CPU did in a second. A batch that took much longer than others was
 * interrupted by somebody who runs on the same machine as this guest.
 */
static u64 bench_rate(const struct bench_worker *w, enum bench_when when,
		      u64 median)
{
	const struct bench_tally *t = &w->tally[when];
	u64 packets = 0, ns = 0;
	unsigned int i;

	if (w->ns)
		return when == BENCH_TOGETHER ?
		       w->arrived * NSEC_PER_SEC / w->ns : 0;
	for (i = 0; i < t->n; i++) {
		if (t->ns[i] > INTERRUPTED * median)
			continue;
		packets += BATCH;
		ns += t->ns[i];
	}
	if (!ns)
		return 0;
	/* A receiver is not paid for what it drops */
	if (w->arrived)
		packets = packets * w->arrived / w->packets;
	return packets * NSEC_PER_SEC / ns;
}

static void bench_report(const struct bench_run *run, u64 arrived)
{
	u32 median[BENCH_WHENS] = {
		bench_median(run, BENCH_ALONE),
		bench_median(run, BENCH_TOGETHER),
	};
	u64 packets = 0, pps = 0, alone = 0, each;
	unsigned int i;

	for (i = 0; i < run->cpus; i++) {
		const struct bench_worker *w = &bench_team.workers[i];

		packets += w->packets;
		alone += bench_rate(w, BENCH_ALONE, median[BENCH_ALONE]);
		pps += bench_rate(w, BENCH_TOGETHER, median[BENCH_TOGETHER]);
		arrived += w->arrived;
	}
	/* Hundredths */
	each = (u64)median[BENCH_TOGETHER] * 100 / BATCH;
	snprintf(bench_result, sizeof(bench_result),
		 "cpus=%u packets=%llu arrived=%llu alone=%llu pps=%llu each=%llu.%02llu\n",
		 run->cpus, packets, arrived, alone / run->cpus, pps,
		 each / 100, each % 100);
}

/* What is sent, or forwarded, arrives at a device */
static u64 bench_sent(const struct bench_run *run)
{
	struct net_device *dev = run->out ?: run->dev;
	struct rtnl_link_stats64 stats;

	return dev ? dev_get_stats(dev, &stats)->tx_packets : 0;
}

static int bench_member(struct bench_worker *w)
{
	unsigned int batches = w->run->packets / BATCH;
	int i;

	for (i = 0; i < BENCH_WHENS; i++) {
		w->tally[i].ns = kvmalloc_array(batches, sizeof(u32),
						GFP_KERNEL);
		if (!w->tally[i].ns)
			return -ENOMEM;
	}
	w->task = kthread_create_on_cpu(bench_thread, w, w->cpu, "bench/%u");
	return PTR_ERR_OR_ZERO(w->task);
}

static void bench_disband(const struct bench_run *run, bool started)
{
	unsigned int i;
	int when;

	for (i = 0; i < run->cpus; i++) {
		struct bench_worker *w = &bench_team.workers[i];

		if (!started && !IS_ERR_OR_NULL(w->task))
			kthread_stop(w->task);
		for (when = 0; when < BENCH_WHENS; when++)
			kvfree(w->tally[when].ns);
	}
}

static int bench_run(const struct bench_run *run, const struct bench_verb *verb)
{
	u64 sent = bench_sent(run);
	unsigned int i;
	int err = 0;

	memset(&bench_team, 0, sizeof(bench_team));
	bench_team.verb = verb;
	init_completion(&bench_team.done);
	atomic_set(&bench_team.left, run->cpus);
	atomic_set(&bench_arrivals, 0);
	for (i = 0; i < run->cpus && !err; i++) {
		bench_team.workers[i].run = run;
		bench_team.workers[i].cpu = i;
		err = bench_member(&bench_team.workers[i]);
	}
	if (err) {
		bench_disband(run, false);
		return err;
	}
	for (i = 0; i < run->cpus; i++)
		wake_up_process(bench_team.workers[i].task);
	wait_for_completion(&bench_team.done);
	for (i = 0; i < run->cpus && !err; i++)
		err = bench_team.workers[i].err;
	if (!err)
		bench_report(run, verb->work == bench_send || run->out ?
				  bench_sent(run) - sent : 0);
	bench_disband(run, true);
	return err;
}

static int bench_address(const char *value, __be32 *addr)
{
	return in4_pton(value, -1, (u8 *)addr, -1, NULL) ? 0 : -EINVAL;
}

static int bench_word(struct bench_run *run, const char *key, const char *value)
{
	if (!strcmp(key, "dev")) {
		run->dev = dev_get_by_name(run->net, value);
		return run->dev ? 0 : -ENODEV;
	}
	if (!strcmp(key, "out")) {
		run->out = dev_get_by_name(run->net, value);
		return run->out ? 0 : -ENODEV;
	}
	if (!strcmp(key, "proto"))
		return kstrtouint(value, 0, &run->proto);
	if (!strcmp(key, "src"))
		return bench_address(value, &run->src);
	if (!strcmp(key, "dst"))
		return bench_address(value, &run->dst);
	if (!strcmp(key, "alg"))
		return strscpy(run->alg, value, sizeof(run->alg)) < 0 ?
		       -EINVAL : 0;
	if (!strcmp(key, "len"))
		return kstrtouint(value, 0, &run->len);
	if (!strcmp(key, "scale"))
		return kstrtobool(value, &run->scale);
	if (!strcmp(key, "cpus"))
		return kstrtouint(value, 0, &run->cpus);
	if (!strcmp(key, "packets"))
		return kstrtouint(value, 0, &run->packets);
	if (!strcmp(key, "spoil")) {
		static const char * const ways[] = {
			"not", "spi", "icv", "id", "replay", "options",
		};
		int way = match_string(ways, ARRAY_SIZE(ways), value);

		run->spoil = max(way, 0);
		return min(way, 0);
	}
	if (!strcmp(key, "gro"))
		return kstrtobool(value, &run->gro);
	if (!strcmp(key, "pages"))
		return kstrtobool(value, &run->pages);
	if (!strcmp(key, "xdp"))
		return kstrtobool(value, &run->xdp);
	if (!strcmp(key, "queued"))
		return kstrtouint(value, 0, &run->queued);
	if (!strcmp(key, "gso"))
		return kstrtouint(value, 0, &run->gso);
	if (!strcmp(key, "keylen"))
		return kstrtouint(value, 0, &run->keylen);
	if (!strcmp(key, "assoc"))
		return kstrtouint(value, 0, &run->assoc);
	if (!strcmp(key, "decrypt"))
		return kstrtobool(value, &run->decrypt);
	return -EINVAL;
}

static int bench_parse(struct bench_run *run, char *text)
{
	char *word, *value;
	unsigned int i;
	int err;

	while ((word = strsep(&text, "\n "))) {
		if (!*word)
			continue;
		value = strchr(word, '=');
		if (!value)
			return -EINVAL;
		*value++ = '\0';
		err = bench_word(run, word, value);
		if (err)
			return err;
	}
	run->packets = round_up(run->packets, BATCH);
	if (!run->cpus || run->cpus > BENCH_CPUS || !run->packets ||
	    run->packets > 1 << 24 || run->len > 65535)
		return -EINVAL;
	for (i = 0; i < run->cpus; i++)
		if (i >= nr_cpu_ids || !cpu_online(i))
			return -ENXIO;
	return 0;
}

static int bench_command(char *text)
{
	struct bench_run run = {
		.net = current->nsproxy->net_ns, .cpus = 1,
		.proto = BENCH_PROTO,
	};
	const char *name = strsep(&text, "\n ");
	const struct bench_verb *verb = bench_verbs;
	int err;

	if (!strcmp(name, "cheap"))
		return bench_cheap_init();
	if (!strcmp(name, "hold")) {
		err = bench_parse(&run, text) ?: bench_hold(&run);
		goto out;
	}
	while (strcmp(name, verb->name))
		if (++verb == bench_verbs + ARRAY_SIZE(bench_verbs))
			return -EINVAL;
	err = bench_parse(&run, text);
	/* Of a cipher it is the plaintext that is short */
	if (!err && verb->work == bench_send && !run.gso &&
	    run.len < sizeof(struct iphdr) +
		      (run.proto == IPPROTO_UDP ? sizeof(struct udphdr) : 0))
		err = -EINVAL;
	if (!err && verb->work != bench_cipher && !run.dev)
		err = -ENODEV;
	if (!err && verb->work == bench_inject &&
	    (run.queued < BATCH || run.cpus > 1))
		err = -EINVAL;
	if (err)
		goto out;
	if (verb->keep)
		err = bench_keep_begin(&run);
	if (err)
		goto out;
	err = bench_run(&run, verb);
	if (verb->keep)
		bench_keep_end();
out:
	dev_put(run.out);
	dev_put(run.dev);
	return err;
}

static ssize_t bench_write(struct file *file, const char __user *buf,
			   size_t len, loff_t *pos)
{
	char *text = memdup_user_nul(buf, min_t(size_t, len, PAGE_SIZE));
	int err;

	if (IS_ERR(text))
		return PTR_ERR(text);
	mutex_lock(&bench_lock);
	bench_mark(BENCH_MARK_ORDER);
	bench_result[0] = '\0';
	err = bench_command(text);
	mutex_unlock(&bench_lock);
	kfree(text);
	return err ?: len;
}

static ssize_t bench_read(struct file *file, char __user *buf, size_t len,
			  loff_t *pos)
{
	return simple_read_from_buffer(buf, len, pos, bench_result,
				       strlen(bench_result));
}

static const struct proc_ops bench_proc_ops = {
	.proc_read	= bench_read,
	.proc_write	= bench_write,
	.proc_lseek	= default_llseek,
};

static int __init bench_init(void)
{
	int err = bench_flows_init();

	if (err)
		return err;
	if (!proc_create("xfrm_ext_bench", 0600, NULL, &bench_proc_ops)) {
		bench_flows_exit();
		return -ENOMEM;
	}
	return 0;
}

static void __exit bench_exit(void)
{
	remove_proc_entry("xfrm_ext_bench", NULL);
	bench_flows_exit();
	bench_release();
	bench_cheap_exit();
}

module_init(bench_init);
module_exit(bench_exit);

MODULE_DESCRIPTION("What packets cost: drives the kernel's own paths, in guests");
MODULE_LICENSE("GPL");
