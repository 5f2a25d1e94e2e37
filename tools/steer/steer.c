// SPDX-License-Identifier: GPL-2.0-only
/*
 * xfrm-ext-steer: received packets of extended SAs, each subspace to a CPU of its
 * own. Loads the program of steer.bpf.c, and tells it which SAs and CPUs there are
 * for as long as it runs. When it ends, however it ends, the program is gone.
 */
#include <errno.h>
#include <getopt.h>
#include <linux/genetlink.h>
#include <linux/if_link.h>
#include <linux/xfrm.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <libmnl/libmnl.h>

#include "../../include/uapi/linux/xfrm_ext.h"
#include "steer.h"

#define PINNED		"/sys/fs/bpf/xfrm-ext-steer"
#define DEVS_MAX	64
#define SETTLE_MS	20
#define QUEUE_DEFAULT	2048
#define QUEUE_MAX	16384	/* the kernel's own */

#define say(fmt, ...) fprintf(stderr, "xfrm-ext-steer: " fmt "\n", ##__VA_ARGS__)

struct cpus {
	bool has[STEER_CPUS_MAX];
};

static struct {
	const char *dev[DEVS_MAX];
	int n_devs;
	__u32 mode;		/* XDP_FLAGS_*, or 0: whichever the device has */
	__u32 queue;
	struct cpus allowed;
} options = { .queue = QUEUE_DEFAULT };

static struct {
	int sas, targets, cpus, counts, config;
} map;

/* What the kernel has been told */
static struct steer_sa *known;
static size_t n_known;
static struct cpus used;
static struct steer_config config;

static void help(void)
{
	fputs("usage: xfrm-ext-steer [--mode native|generic] [--cpus LIST]\n"
	      "                      [--queue PACKETS] DEV...\n"
	      "       xfrm-ext-steer --stats DEV\n"
	      "Sends received packets of extended SAs to a CPU for each subspace, until it is ended.\n"
	      "  --mode     run in the driver, or in front of it; whichever it has if not said\n"
	      "  --cpus     these only, as in 0-3,8; all that are online if not said\n"
	      "  --queue    packets that wait for a CPU at most, 2048 if not said\n"
	      "  --stats    what has become of packets since it runs on that device\n",
	      stderr);
	exit(2);
}

/* A list as the kernel writes it, "0-3,8"; false if it is none */
static bool cpus_parse(const char *text, struct cpus *cpus)
{
	unsigned long first, last;
	char *end;

	memset(cpus, 0, sizeof(*cpus));
	do {
		if (*text < '0' || *text > '9')
			return false;
		first = strtoul(text, &end, 10);
		last = first;
		if (*end == '-') {
			if (end[1] < '0' || end[1] > '9')
				return false;
			last = strtoul(end + 1, &end, 10);
		}
		if (first > last || last >= STEER_CPUS_MAX)
			return false;
		for (; first <= last; first++)
			cpus->has[first] = true;
		text = end + 1;
	} while (*end == ',');
	return *end == '\0' || *end == '\n';
}

static bool cpus_online(struct cpus *cpus)
{
	FILE *file = fopen("/sys/devices/system/cpu/online", "re");
	char line[4096] = "";
	bool ok;

	if (!file)
		return false;
	ok = fgets(line, sizeof(line), file) && cpus_parse(line, cpus);
	fclose(file);
	return ok;
}

static const char *pinned(const char *dev, const char *name)
{
	static char path[sizeof(PINNED) + IF_NAMESIZE + 16];

	snprintf(path, sizeof(path), PINNED "/%s%s", dev, name);
	return path;
}

static void unpin(const char *dev)
{
	unlink(pinned(dev, "/counts"));
	unlink(pinned(dev, "/config"));
	rmdir(pinned(dev, ""));
}

static bool pin(const char *dev)
{
	/* Of one that was killed */
	unpin(dev);
	mkdir(PINNED, 0755);
	mkdir(pinned(dev, ""), 0755);
	return !bpf_obj_pin(map.counts, pinned(dev, "/counts")) &&
	       !bpf_obj_pin(map.config, pinned(dev, "/config"));
}

/* --- which CPUs ----------------------------------------------------------------- */

static bool config_write(void)
{
	__u32 first = 0;

	return !bpf_map_update_elem(map.config, &first, &config, BPF_ANY);
}

/*
 * To those that are online and allowed. One that goes is no longer chosen before
 * its queue is taken away; for a moment packets may go the usual way.
 */
static bool cpus_sync(void)
{
	struct bpf_cpumap_val queue = { .qsize = options.queue };
	struct cpus online, gone = used;
	static bool said;
	__u32 cpu, n = 0;

	if (!cpus_online(&online)) {
		say("cannot tell which CPUs are online");
		return false;
	}
	for (cpu = 0; cpu < STEER_CPUS_MAX; cpu++) {
		if (!online.has[cpu] || !options.allowed.has[cpu])
			continue;
		gone.has[cpu] = false;
		if (!used.has[cpu] &&
		    bpf_map_update_elem(map.cpus, &cpu, &queue, BPF_ANY)) {
			say("cannot have a queue of %u packets for CPU %u: %s",
			    options.queue, cpu, strerror(errno));
			continue;
		}
		used.has[cpu] = true;
		if (bpf_map_update_elem(map.targets, &n, &cpu, BPF_ANY))
			return false;
		n++;
	}
	if (n != config.targets) {
		config.targets = n;
		if (!config_write())
			return false;
		say("%u CPUs", n);
	} else if (!n && !said) {
		say("none of the allowed CPUs is online: packets go the usual way");
		said = true;
	}
	for (cpu = 0; cpu < STEER_CPUS_MAX; cpu++) {
		if (!gone.has[cpu])
			continue;
		used.has[cpu] = false;
		bpf_map_delete_elem(map.cpus, &cpu);
	}
	return true;
}

/* --- which SAs ------------------------------------------------------------------ */

struct found {
	struct steer_sa *sas;
	size_t n, room;
	bool failed;
};

static int attr_of(const struct nlattr *attr, void *data)
{
	const struct nlattr **attrs = data;

	if (mnl_attr_get_type(attr) <= XFRM_EXT_A_MAX)
		attrs[mnl_attr_get_type(attr)] = attr;
	return MNL_CB_OK;
}

static int sa_of(const struct nlmsghdr *nlh, void *data)
{
	const struct nlattr *attrs[XFRM_EXT_A_MAX + 1] = {};
	const struct nlattr *daddr, *spi, *rx, *format;
	struct found *found = data;
	struct steer_sa *more;

	mnl_attr_parse(nlh, sizeof(struct genlmsghdr), attr_of, attrs);
	daddr = attrs[XFRM_EXT_A_DADDR];
	spi = attrs[XFRM_EXT_A_SPI];
	rx = attrs[XFRM_EXT_A_RX_SUBSPACES];
	format = attrs[XFRM_EXT_A_FORMAT];
	if (!daddr || !spi || !rx || !format ||
	    mnl_attr_get_payload_len(daddr) > sizeof(more->daddr) ||
	    mnl_attr_get_u32(format) != XFRM_EXT_FORMAT_ESP64 ||
	    mnl_attr_get_u32(rx) < 2 || found->n == STEER_SAS_MAX)
		return MNL_CB_OK;
	if (found->n == found->room) {
		size_t room = found->room ? 2 * found->room : 64;

		more = realloc(found->sas, room * sizeof(*more));
		if (!more) {
			found->failed = true;
			return MNL_CB_OK;
		}
		found->sas = more;
		found->room = room;
	}
	more = &found->sas[found->n++];
	memset(more, 0, sizeof(*more));
	more->spi = mnl_attr_get_u32(spi);
	memcpy(more->daddr, mnl_attr_get_payload(daddr),
	       mnl_attr_get_payload_len(daddr));
	return MNL_CB_OK;
}

static int family_of(const struct nlmsghdr *nlh, void *data)
{
	const struct nlattr *attr;

	mnl_attr_for_each(attr, nlh, sizeof(struct genlmsghdr))
		if (mnl_attr_get_type(attr) == CTRL_ATTR_FAMILY_ID)
			*(__u16 *)data = mnl_attr_get_u16(attr);
	return MNL_CB_OK;
}

/* 0, or the negative errno that the kernel answers with */
static int ask(struct mnl_socket *sock, struct nlmsghdr *nlh, mnl_cb_t answer,
	       void *data)
{
	static unsigned int seq;
	char buf[32768];
	int n;

	nlh->nlmsg_seq = ++seq;
	if (mnl_socket_sendto(sock, nlh, nlh->nlmsg_len) < 0)
		return -errno;
	do {
		n = mnl_socket_recvfrom(sock, buf, sizeof(buf));
		if (n < 0)
			return -errno;
		n = mnl_cb_run(buf, n, seq, mnl_socket_get_portid(sock), answer,
			       data);
	} while (n > MNL_CB_STOP);
	return n < 0 ? -errno : 0;
}

static struct nlmsghdr *request(char *buf, __u16 type, __u16 flags, __u8 cmd,
				__u8 version)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct genlmsghdr *genl;

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_REQUEST | flags;
	genl = mnl_nlmsg_put_extra_header(nlh, sizeof(*genl));
	genl->cmd = cmd;
	genl->version = version;
	return nlh;
}

static int by_value(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct steer_sa));
}

/* What is there and was not, and the reverse; both lists are in order */
static void sas_change(const struct found *found)
{
	__u8 value = 1;
	size_t i = 0, k = 0;

	while (i < found->n || k < n_known) {
		int way = i == found->n ? 1 : k == n_known ? -1 :
			  by_value(&found->sas[i], &known[k]);

		if (way < 0 && bpf_map_update_elem(map.sas, &found->sas[i],
						   &value, BPF_ANY))
			say("SPI 0x%08x is not steered: %s",
			    __builtin_bswap32(found->sas[i].spi),
			    strerror(errno));
		if (way > 0)
			bpf_map_delete_elem(map.sas, &known[k]);
		i += way <= 0;
		k += way >= 0;
	}
}

/* Of a socket of their own: answers may be left in it */
static int sas_ask(struct found *found)
{
	struct mnl_socket *sock = mnl_socket_open2(NETLINK_GENERIC, SOCK_CLOEXEC);
	struct nlmsghdr *nlh;
	__u16 family = 0;
	char buf[256];
	int err;

	if (!sock)
		return -errno;
	if (mnl_socket_bind(sock, 0, MNL_SOCKET_AUTOPID)) {
		err = -errno;
		goto out;
	}
	nlh = request(buf, GENL_ID_CTRL, NLM_F_ACK, CTRL_CMD_GETFAMILY, 1);
	mnl_attr_put_strz(nlh, CTRL_ATTR_FAMILY_NAME, XFRM_EXT_GENL_NAME);
	err = ask(sock, nlh, family_of, &family);
	if (err)
		goto out;
	nlh = request(buf, family, NLM_F_DUMP, XFRM_EXT_CMD_GET,
		      XFRM_EXT_GENL_VERSION);
	err = ask(sock, nlh, sa_of, found);
	if (!err && found->failed)
		err = -ENOMEM;
out:
	mnl_socket_close(sock);
	return err;
}

/* Those that there are now. Without the module there are none. False: once more, soon */
static bool sas_sync(void)
{
	struct found found = {};
	int err = sas_ask(&found);

	if (err && err != -ENOENT) {
		free(found.sas);
		/* The list has changed while it was read */
		if (err != -EINTR)
			say("cannot read SAs, those known stay: %s",
			    strerror(-err));
		return err != -EINTR;
	}
	if (found.n)
		qsort(found.sas, found.n, sizeof(*found.sas), by_value);
	sas_change(&found);
	free(known);
	known = found.sas;
	n_known = found.n;
	config.sas = n_known;
	return config_write();
}

/* --- the program ---------------------------------------------------------------- */

static int quiet(enum libbpf_print_level level, const char *fmt, va_list args)
{
	return level == LIBBPF_WARN && getenv("XFRM_EXT_STEER_DEBUG") ?
	       vfprintf(stderr, fmt, args) : 0;
}

static bool load(struct bpf_object **object)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = "xfrm_ext_steer");
	struct bpf_map_info info = {};
	__u32 len = sizeof(info);
	struct bpf_object *o;
	int err;

	o = bpf_object__open_mem(steer_object, steer_object_end - steer_object,
				 &opts);
	err = o ? bpf_object__load(o) : -errno;
	if (err) {
		say("the kernel does not take the program: %s", strerror(-err));
		return false;
	}
	map.sas = bpf_object__find_map_fd_by_name(o, "sas");
	map.targets = bpf_object__find_map_fd_by_name(o, "targets");
	map.cpus = bpf_object__find_map_fd_by_name(o, "cpus");
	map.counts = bpf_object__find_map_fd_by_name(o, "counts");
	map.config = bpf_object__find_map_fd_by_name(o, "config");
	if (bpf_obj_get_info_by_fd(map.cpus, &info, &len))
		return false;
	config.cpus_id = info.id;
	*object = o;
	return config_write();
}

/* The link is this process's: the program goes with it */
static bool attach(struct bpf_object *object)
{
	const struct bpf_program *prog =
		bpf_object__find_program_by_name(object, "xfrm_ext_steer");
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = options.mode);
	unsigned int index;
	int i;

	for (i = 0; i < options.n_devs; i++) {
		index = if_nametoindex(options.dev[i]);
		if (!index) {
			say("no device %s", options.dev[i]);
			goto undo;
		}
		if (bpf_link_create(bpf_program__fd(prog), index, BPF_XDP,
				    &opts) < 0) {
			say("%s does not take the program%s: %s", options.dev[i],
			    options.mode == XDP_FLAGS_DRV_MODE ? " in its driver" : "",
			    errno == EBUSY ? "it has another one" : strerror(errno));
			goto undo;
		}
		if (!pin(options.dev[i]))
			say("no --stats %s: %s: %s", options.dev[i], PINNED,
			    strerror(errno));
	}
	prog = bpf_object__find_program_by_name(object, "xfrm_ext_steer_enqueue");
	if (!bpf_program__attach(prog))
		say("what full queues drop is not counted: no tracefs");
	return true;

undo:
	while (i--)
		unpin(options.dev[i]);
	return false;
}

/* Readable when somebody wants us to end */
static int signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

static int run(void)
{
	const int group = XFRMNLGRP_SA;
	struct mnl_socket *told;
	struct bpf_object *object;
	struct pollfd fds[2] = { { .events = POLLIN }, { .events = POLLIN } };
	char buf[32768];
	int timeout, i;

	libbpf_set_print(quiet);
	told = mnl_socket_open2(NETLINK_XFRM, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (!told || mnl_socket_bind(told, 0, MNL_SOCKET_AUTOPID) ||
	    mnl_socket_setsockopt(told, NETLINK_ADD_MEMBERSHIP, (void *)&group,
				  sizeof(group))) {
		say("netlink: %s", strerror(errno));
		return 1;
	}
	if (!load(&object) || !cpus_sync() || !attach(object))
		return 1;
	fds[0].fd = signals();
	fds[1].fd = mnl_socket_get_fd(told);
	timeout = 0;
	/* SAs when the kernel tells of one; CPUs, and what was missed, by time */
	while (poll(fds, 2, timeout) >= 0 && !fds[0].revents) {
		/* Who makes one seldom makes no more */
		usleep(SETTLE_MS * 1000);
		/* ENOBUFS as well: something has been told */
		while (recv(fds[1].fd, buf, sizeof(buf), 0) >= 0 ||
		       errno == ENOBUFS)
			;
		timeout = sas_sync() ? 1000 : SETTLE_MS;
		cpus_sync();
	}
	for (i = 0; i < options.n_devs; i++)
		unpin(options.dev[i]);
	return 0;
}

static bool is_name(const char *dev)
{
	if (strlen(dev) < IF_NAMESIZE && !strchr(dev, '/'))
		return true;
	say("no device %s", dev);
	return false;
}

static int stats(const char *dev)
{
	int counts = bpf_obj_get(pinned(dev, "/counts"));
	int told = bpf_obj_get(pinned(dev, "/config"));
	int n = libbpf_num_possible_cpus(), i;
	struct steer_count *of = n > 0 ? calloc(n, sizeof(*of)) : NULL;
	struct steer_config now;
	__u32 cpu = 0;

	if (counts < 0 || told < 0 || !of ||
	    bpf_map_lookup_elem(told, &cpu, &now)) {
		say("nothing runs on %s: %s: %s", dev, pinned(dev, ""),
		    strerror(errno));
		return 1;
	}
	printf("sas %u cpus %u\n", now.sas, now.targets);
	for (; cpu < STEER_CPUS_MAX; cpu++) {
		struct steer_count all = {};

		if (bpf_map_lookup_elem(counts, &cpu, of))
			break;
		for (i = 0; i < n; i++) {
			all.steered += of[i].steered;
			all.dropped += of[i].dropped;
		}
		if (all.steered)
			printf("cpu %u steered %llu dropped %llu\n", cpu,
			       all.steered, all.dropped);
	}
	free(of);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "mode", required_argument, NULL, 'm' },
		{ "cpus", required_argument, NULL, 'c' },
		{ "queue", required_argument, NULL, 'q' },
		{ "stats", required_argument, NULL, 's' },
		{ "help", no_argument, NULL, 'h' },
		{}
	};
	char *rest;
	int c;

	memset(&options.allowed, true, sizeof(options.allowed));
	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (c) {
		case 'm':
			if (!strcmp(optarg, "native"))
				options.mode = XDP_FLAGS_DRV_MODE;
			else if (!strcmp(optarg, "generic"))
				options.mode = XDP_FLAGS_SKB_MODE;
			else
				help();
			break;
		case 'c':
			if (!cpus_parse(optarg, &options.allowed)) {
				say("--cpus %s: must be a list as in 0-3,8, of numbers below %d",
				    optarg, STEER_CPUS_MAX);
				return 2;
			}
			break;
		case 'q':
			options.queue = strtoul(optarg, &rest, 10);
			if (*rest || !options.queue || options.queue > QUEUE_MAX) {
				say("--queue %s: must be 1 to %d", optarg, QUEUE_MAX);
				return 2;
			}
			break;
		case 's':
			if (optind != argc)
				help();
			return is_name(optarg) ? stats(optarg) : 1;
		default:
			help();
		}
	}
	options.n_devs = argc - optind;
	if (!options.n_devs || options.n_devs > DEVS_MAX)
		help();
	memcpy(options.dev, argv + optind, options.n_devs * sizeof(*options.dev));
	for (c = 0; c < options.n_devs; c++)
		if (!is_name(options.dev[c]))
			return 1;
	return run();
}
