// SPDX-License-Identifier: GPL-2.0-only
/*
 * "metrics": counters of extended SAs for node_exporter's textfile collector. Labels are what
 * stays over a rekey; no counter goes back when an SA goes.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "metrics_state.h"

#define STATE_DIR	"/run/xfrm-ext"

static void head(const char *name, const char *type, const char *help)
{
	printf("# HELP xfrm_ext_%s %s\n# TYPE xfrm_ext_%s %s\n", name, help, name, type);
}

/* --- sums over SAs --------------------------------------------------------------- */

static void labels_of(struct labels *labels, const struct tool_sa *sa)
{
	memset(labels, 0, sizeof(*labels));
	labels->reqid = sa->info.reqid;
	labels->if_id = sa->if_id;
	strcpy(labels->peer, sas_addr(sa, sas_peer(sa)));
}

/* Up to where numbers go, in each transmit subspace */
static double numbers_used(const struct xfrm_ext_sa *ext)
{
	bool small = ext->params.val[XFRM_EXT_A_FORMAT] == XFRM_EXT_FORMAT_ESP &&
		     !(ext->params.val[XFRM_EXT_A_FLAGS] & XFRM_EXT_SA_F_ESN);
	double most = small ? UINT32_MAX : XFRM_EXT_SN_MAX, used = 0;
	size_t i;

	for (i = 0; i < ext->n_subspaces; i++)
		if (ext->subspaces[i].tx &&
		    ext->subspaces[i].val[XFRM_EXT_SUBSPACE_HIGHEST] / most > used)
			used = ext->subspaces[i].val[XFRM_EXT_SUBSPACE_HIGHEST] / most;
	return used;
}

static void group_add(struct group *group, const struct xfrm_ext_sa *ext)
{
	double used = numbers_used(ext);
	size_t i;

	group->n_sas++;
	if (ext->state <= XFRM_EXT_STATE_HELD)
		group->sas[ext->state]++;
	group->unauthentic += xfrm_ext_no_packet_authentic(ext);
	if (used > group->used)
		group->used = used;
	for (i = 0; i < ext->n_subspaces; i++)
		if (ext->subspaces[i].val[XFRM_EXT_SUBSPACE_BACKTRACK] > group->backtrack)
			group->backtrack = ext->subspaces[i].val[XFRM_EXT_SUBSPACE_BACKTRACK];
}

static void stats_add(__u64 *sums, const __u64 *stats)
{
	int i;

	for (i = 0; i <= XFRM_EXT_STAT_MAX; i++)
		sums[i] += stats[i];
}

/* The SAs that there are; those that were, and are not, are added to their sums */
static size_t sas_take(struct metrics_state *state, const struct tool_sa *sas, size_t n,
		       struct known_sa *now)
{
	struct known_sa *old;
	size_t i, n_now = 0;

	for (i = 0; i < n; i++) {
		struct known_sa *sa = &now[n_now];

		if (!sas[i].ext)
			continue;
		memset(sa, 0, sizeof(*sa));
		sa->key = sas[i].ext->key;
		sa->add_time = sas[i].info.curlft.add_time;
		memcpy(sa->stats, sas[i].ext->stats, sizeof(sa->stats));
		labels_of(&sa->labels, &sas[i]);
		old = metrics_known(state, &sa->key, sa->add_time, sa->stats);
		if (old) {
			old->there = true;
			/* Whose address is whose may look otherwise by now */
			sa->labels = old->labels;
		}
		group_add(metrics_group(state, &sa->labels), sas[i].ext);
		n_now++;
	}
	for (i = 0; i < state->n_sas; i++)
		if (!state->sas[i].there)
			stats_add(metrics_group(state, &state->sas[i].labels)->stats,
				  state->sas[i].stats);
	return n_now;
}

/* --- what is printed -------------------------------------------------------------- */

static void group_print(const char *name, const struct group *group, const char *more)
{
	printf("xfrm_ext_%s{reqid=\"%u\",if_id=\"%u\",peer=\"%s\"%s} ", name,
	       group->labels.reqid, group->labels.if_id, group->labels.peer, more);
}

static const struct {
	int stat;
	const char *name, *help;
} totals[] = {
	{ XFRM_EXT_STAT_TX_PACKETS, "tx_packets_total", "Packets sent." },
	{ XFRM_EXT_STAT_TX_BYTES, "tx_bytes_total",
	  "Octets of these packets, inner header and on." },
	{ XFRM_EXT_STAT_RX_PACKETS, "rx_packets_total", "Packets accepted, authentic and new." },
	{ XFRM_EXT_STAT_RX_BYTES, "rx_bytes_total",
	  "Octets of these packets, inner header and on." },
};

static void groups_counters(const struct metrics_state *state)
{
	char reason[64];
	size_t i, k;
	int stat;

	for (k = 0; k < ARRAY_SIZE(totals); k++) {
		head(totals[k].name, "counter", totals[k].help);
		for (i = 0; i < state->n_groups; i++) {
			group_print(totals[k].name, &state->groups[i], "");
			printf("%llu\n",
			       (unsigned long long)state->groups[i].stats[totals[k].stat]);
		}
	}
	head("drops_total", "counter", "Packets dropped, by reason.");
	for (i = 0; i < state->n_groups; i++)
		for (stat = 0; stat <= XFRM_EXT_STAT_MAX; stat++) {
			if (!xfrm_ext_stat_is_drop(stat))
				continue;
			snprintf(reason, sizeof(reason), ",reason=\"%s\"",
				 xfrm_ext_stat_name(stat));
			group_print("drops_total", &state->groups[i], reason);
			printf("%llu\n", (unsigned long long)state->groups[i].stats[stat]);
		}
}

static void groups_gauges(const struct metrics_state *state)
{
	static const char * const states[] = { "claimed", "ready", "failed", "held" };
	const struct group *group;
	char text[64];
	size_t i, k;

	head("sas", "gauge", "Extended SAs, by state.");
	for (i = 0; i < state->n_groups; i++)
		for (k = 0; k < ARRAY_SIZE(states); k++) {
			snprintf(text, sizeof(text), ",state=\"%s\"", states[k]);
			group_print("sas", &state->groups[i], text);
			printf("%u\n", state->groups[i].sas[k]);
		}
	head("sas_none_authentic", "gauge",
	     "SAs for which packets have come, none of them authentic.");
	for (group = state->groups; group < state->groups + state->n_groups; group++) {
		group_print("sas_none_authentic", group, "");
		printf("%u\n", group->unauthentic);
	}
	head("numbers_used_ratio", "gauge",
	     "Part of the sequence numbers used, of the subspace with the fewest left.");
	for (group = state->groups; group < state->groups + state->n_groups; group++) {
		group_print("numbers_used_ratio", group, "");
		printf("%.9f\n", group->used);
	}
	head("backtrack_packets", "gauge",
	     "How far behind the highest number an accepted packet has been at most.");
	for (group = state->groups; group < state->groups + state->n_groups; group++) {
		group_print("backtrack_packets", group, "");
		printf("%llu\n", (unsigned long long)group->backtrack);
	}
}

/*
 * Counters that the kernel itself keeps over the end of SAs: in a nest of stats, of a rule or
 * of the namespace. There are none from a module that does not. One of totals at a time, or
 * the drops: samples of one name stand together.
 */
#define DROPS	ARRAY_SIZE(totals)

struct kernel_totals {
	const char *of;
	size_t which;
	bool begun;
};

static void kernel_head(struct kernel_totals *kt, const char *name)
{
	char full[64];

	if (kt->begun)
		return;
	kt->begun = true;
	snprintf(full, sizeof(full), "%s_%s", kt->of, name);
	head(full, "counter", kt->which == DROPS ? "Packets dropped, by reason." :
	     totals[kt->which].help);
}

static void kernel_counters(struct kernel_totals *kt, const char *label,
			    const struct rtattr *nest)
{
	struct rtattr *tb[XFRM_EXT_STAT_MAX + 1];
	int i;

	parse_rtattr_nested(tb, XFRM_EXT_STAT_MAX, nest);
	for (i = 0; i <= XFRM_EXT_STAT_MAX; i++) {
		if (!tb[i])
			continue;
		if (kt->which == DROPS && xfrm_ext_stat_is_drop(i)) {
			kernel_head(kt, "drops_total");
			printf("xfrm_ext_%s_drops_total{%s%sreason=\"%s\"} %llu\n", kt->of, label,
			       *label ? "," : "", xfrm_ext_stat_name(i),
			       (unsigned long long)rta_getattr_u64(tb[i]));
		} else if (kt->which < DROPS && totals[kt->which].stat == i) {
			kernel_head(kt, totals[kt->which].name);
			printf("xfrm_ext_%s_%s{%s} %llu\n", kt->of, totals[kt->which].name, label,
			       (unsigned long long)rta_getattr_u64(tb[i]));
		}
	}
}

static int rule_print(struct nlmsghdr *n, void *arg)
{
	static const struct {
		enum xfrm_ext_attr attr;
		const char *what;
	} counts[] = {
		{ XFRM_EXT_A_RULE_HITS, "extended" },
		{ XFRM_EXT_A_RULE_REFUSED, "refused" },
		{ XFRM_EXT_A_RULE_PLAIN, "plain" },
	};
	struct rtattr *tb[XFRM_EXT_A_MAX + 1];
	struct kernel_totals *kt = arg;
	char label[32];
	size_t i;

	xfrm_ext_attrs(n, tb);
	if (!tb[XFRM_EXT_A_RULE_PREF])
		return 0;
	snprintf(label, sizeof(label), "rule=\"%u\"", rta_getattr_u32(tb[XFRM_EXT_A_RULE_PREF]));
	if (kt) {
		if (tb[XFRM_EXT_A_STATS])
			kernel_counters(kt, label, tb[XFRM_EXT_A_STATS]);
		return 0;
	}
	for (i = 0; i < ARRAY_SIZE(counts); i++)
		if (tb[counts[i].attr])
			printf("xfrm_ext_rule_sas_total{%s,result=\"%s\"} %llu\n", label,
			       counts[i].what,
			       (unsigned long long)rta_getattr_u64(tb[counts[i].attr]));
	return 0;
}

static int rules_print(void)
{
	struct kernel_totals kt = { .of = "rule" };
	int ret;

	head("rule_sas_total", "counter", "What rules have made of SAs.");
	ret = xfrm_ext_dump(XFRM_EXT_CMD_RULE_GET, rule_print, NULL);
	for (; !ret && kt.which <= DROPS; kt.which++) {
		kt.begun = false;
		ret = xfrm_ext_dump(XFRM_EXT_CMD_RULE_GET, rule_print, &kt);
	}
	return ret;
}

static int netns_print(void)
{
	GENL_REQUEST(req, 0, 0, 0, XFRM_EXT_GENL_VERSION, XFRM_EXT_CMD_CAPS, NLM_F_REQUEST);
	static const struct {
		enum xfrm_ext_attr attr;
		const char *name, *help;
	} gauges[] = {
		{ XFRM_EXT_A_CAP_NETNS_MEMORY, "memory_bytes", "Octets that extended SAs take." },
		{ XFRM_EXT_A_CAP_NETNS_MEMORY_MAX, "memory_max_bytes",
		  "Octets that they may take." },
	};
	struct kernel_totals kt = { .of = "netns" };
	struct rtattr *tb[XFRM_EXT_A_MAX + 1];
	struct nlmsghdr *answer;
	struct rtnl_handle rth;
	int family, ret = -1;
	size_t i;

	family = xfrm_ext_open(&rth);
	if (family < 0)
		return -1;
	req.n.nlmsg_type = family;
	if (xfrm_ext_talk(&rth, &req.n, &answer, false) == 0) {
		xfrm_ext_attrs(answer, tb);
		for (i = 0; i < ARRAY_SIZE(gauges); i++) {
			if (!tb[gauges[i].attr])
				continue;
			head(gauges[i].name, "gauge", gauges[i].help);
			printf("xfrm_ext_%s %llu\n", gauges[i].name,
			       (unsigned long long)rta_getattr_u64(tb[gauges[i].attr]));
		}
		free(answer);
		ret = 0;
	}
	/* An older module keeps none */
	req.g.cmd = XFRM_EXT_CMD_TOTALS;
	if (!ret && xfrm_ext_talk(&rth, &req.n, &answer, true) == 0) {
		xfrm_ext_attrs(answer, tb);
		for (; tb[XFRM_EXT_A_STATS] && kt.which <= DROPS; kt.which++) {
			kt.begun = false;
			kernel_counters(&kt, "", tb[XFRM_EXT_A_STATS]);
		}
		free(answer);
	}
	rtnl_close(&rth);
	return ret;
}

/* --- the command -------------------------------------------------------------------- */

/* One file for each network namespace */
static const char *state_default(void)
{
	static char name[64];
	struct stat st;

	if (mkdir(STATE_DIR, 0700) && errno != EEXIST) {
		say("cannot make " STATE_DIR ", for what is to be remembered: %s; or say \"state FILE\"",
		    strerror(errno));
		return NULL;
	}
	if (stat("/proc/self/ns/net", &st)) {
		say("/proc/self/ns/net: %s: is /proc mounted?", strerror(errno));
		return NULL;
	}
	snprintf(name, sizeof(name), STATE_DIR "/metrics-%llu", (unsigned long long)st.st_ino);
	return name;
}

/* Held until the process ends */
static int state_lock(const char *file)
{
	char name[4096];
	int fd;

	snprintf(name, sizeof(name), "%s.lock", file);
	fd = open(name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0 || flock(fd, LOCK_EX)) {
		say("cannot lock %s: %s", name, strerror(errno));
		return -1;
	}
	return 0;
}

static int metrics_print(const char *file)
{
	struct metrics_state state = {};
	struct known_sa *now;
	struct tool_sa *sas;
	size_t n, i;

	if (state_lock(file) || metrics_load(&state, file) || sas_read(&sas, &n) < 0)
		return 2;
	now = xfrm_ext_alloc(NULL, (n + 1) * sizeof(*now));
	n = sas_take(&state, sas, n, now);
	if (metrics_save(&state, now, n, file))
		return 2;
	for (i = 0; i < n; i++)
		stats_add(metrics_group(&state, &now[i].labels)->stats, now[i].stats);
	groups_counters(&state);
	groups_gauges(&state);
	free(now);
	free(sas);
	free(state.groups);
	free(state.sas);
	return netns_print() || rules_print() ? 2 : 0;
}

int tool_metrics(int argc, char **argv)
{
	struct rtnl_handle rth;
	const char *file = NULL;
	bool up;

	for (; argc > 0; argc--, argv++) {
		if (strcmp(*argv, "state"))
			invarg("the only word is \"state FILE\"", *argv);
		NEXT_ARG();
		file = *argv;
	}
	/* A machine without the module has metrics, too; and looking does not load it */
	up = xfrm_ext_open_if_loaded(&rth) >= 0;
	if (up)
		rtnl_close(&rth);
	if (!file && up)
		file = state_default();
	if (up && !file)
		return 2;
	head("up", "gauge", "1 if the module is loaded.");
	printf("xfrm_ext_up %d\n", up);
	return up ? metrics_print(file) : 0;
}
