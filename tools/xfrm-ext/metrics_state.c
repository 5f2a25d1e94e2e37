// SPDX-License-Identifier: GPL-2.0-only
/*
 * What "metrics" remembers from one run to the next, in a file of lines:
 *
 *	gone REQID IF_ID PEER NAME=VALUE...	the sums of SAs that are gone
 *	sa FAMILY DADDR SPI MARK MASK ADD-TIME REQID IF_ID PEER NAME=VALUE...
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "metrics_state.h"

#define FIRST_LINE	"xfrm-ext metrics 1\n"

/* Sums without an SA, of which the oldest are forgotten: labels may change without end */
#define GONE_MAX	4096

static void *more(void *array, size_t n, size_t size)
{
	if (n & (n - 1))
		return array;
	return xfrm_ext_alloc(array, (n ? 2 * n : 1) * size);
}

static bool same_labels(const struct labels *a, const struct labels *b)
{
	return a->reqid == b->reqid && a->if_id == b->if_id && strcmp(a->peer, b->peer) == 0;
}

struct group *metrics_group(struct metrics_state *state, const struct labels *labels)
{
	struct group *group;
	size_t i;

	for (i = 0; i < state->n_groups; i++)
		if (same_labels(&state->groups[i].labels, labels))
			return &state->groups[i];
	state->groups = more(state->groups, state->n_groups, sizeof(*group));
	group = &state->groups[state->n_groups++];
	memset(group, 0, sizeof(*group));
	group->labels = *labels;
	return group;
}

/* The same SA at the last run: one that was made again in between has counted from 0 */
struct known_sa *metrics_known(struct metrics_state *state, const struct xfrm_ext_key *key,
			       __u64 add_time, const __u64 *stats)
{
	struct known_sa *sa;
	size_t i;
	int k;

	for (i = 0; i < state->n_sas; i++) {
		sa = &state->sas[i];
		if (sa->there || sa->add_time != add_time || memcmp(&sa->key, key, sizeof(*key)))
			continue;
		for (k = 0; k <= XFRM_EXT_STAT_MAX && sa->stats[k] <= stats[k]; k++)
			;
		if (k > XFRM_EXT_STAT_MAX)
			return sa;
	}
	return NULL;
}

static void stats_load(__u64 *stats, char *text)
{
	char *save, *word, *value;
	int i;

	for (word = strtok_r(text, "\n ", &save); word; word = strtok_r(NULL, "\n ", &save)) {
		value = strchr(word, '=');
		if (!value)
			continue;
		*value++ = '\0';
		for (i = 0; i <= XFRM_EXT_STAT_MAX; i++)
			if (xfrm_ext_stat_name(i) && strcmp(xfrm_ext_stat_name(i), word) == 0)
				stats[i] = strtoull(value, NULL, 10);
	}
}

static bool gone_load(struct metrics_state *state, char *line)
{
	struct labels labels = {};
	int end = 0;

	if (sscanf(line, "gone %u %u %45s%n", &labels.reqid, &labels.if_id, labels.peer,
		   &end) != 3 || !end)
		return false;
	stats_load(metrics_group(state, &labels)->stats, line + end);
	return true;
}

static bool sa_load(struct metrics_state *state, char *line)
{
	char daddr[INET6_ADDRSTRLEN];
	struct known_sa sa = {};
	int end = 0;

	if (sscanf(line, "sa %u %45s %x %x %x %" SCNu64 " %u %u %45s%n", &sa.key.family, daddr,
		   &sa.key.spi, &sa.key.mark, &sa.key.mask, (uint64_t *)&sa.add_time,
		   &sa.labels.reqid, &sa.labels.if_id, sa.labels.peer, &end) != 9 || !end ||
	    inet_pton(sa.key.family, daddr, sa.key.daddr) != 1)
		return false;
	sa.key.spi = htonl(sa.key.spi);
	stats_load(sa.stats, line + end);
	state->sas = more(state->sas, state->n_sas, sizeof(sa));
	state->sas[state->n_sas++] = sa;
	return true;
}

/* No file is the first run. One that is none of ours is not written over. */
int metrics_load(struct metrics_state *state, const char *file)
{
	FILE *fp = fopen(file, "re");
	char *line = NULL;
	size_t size = 0;
	int ret = 0;

	if (!fp) {
		if (errno == ENOENT)
			return 0;
		say("cannot read %s: %s", file, strerror(errno));
		return -1;
	}
	if (getline(&line, &size, fp) > 0 && strcmp(line, FIRST_LINE)) {
		say("%s is not what \"xfrm-ext metrics\" has written: say another file, or remove it",
		    file);
		ret = -1;
	}
	while (!ret && getline(&line, &size, fp) > 0)
		if (!gone_load(state, line) && !sa_load(state, line)) {
			say("%s is damaged: remove it; counters begin at 0 again", file);
			ret = -1;
		}
	free(line);
	fclose(fp);
	return ret;
}

static void stats_save(FILE *fp, const __u64 *stats)
{
	int i;

	for (i = 0; i <= XFRM_EXT_STAT_MAX; i++)
		if (xfrm_ext_stat_name(i) && stats[i])
			fprintf(fp, " %s=%" PRIu64, xfrm_ext_stat_name(i), (uint64_t)stats[i]);
	fputc('\n', fp);
}

static void state_print(FILE *fp, const struct metrics_state *state, const struct known_sa *now,
			size_t n)
{
	size_t i, skip = 0, idle = 0;
	const struct group *group;

	for (i = 0; i < state->n_groups; i++)
		idle += !state->groups[i].n_sas;
	if (idle > GONE_MAX)
		skip = idle - GONE_MAX;
	fputs(FIRST_LINE, fp);
	for (i = 0; i < state->n_groups; i++) {
		group = &state->groups[i];
		if (!group->n_sas && skip) {
			skip--;
			continue;
		}
		fprintf(fp, "gone %u %u %s", group->labels.reqid, group->labels.if_id,
			group->labels.peer);
		stats_save(fp, group->stats);
	}
	for (i = 0; i < n; i++) {
		const struct xfrm_ext_key *key = &now[i].key;

		fprintf(fp, "sa %u %s %x %x %x %" PRIu64 " %u %u %s", key->family,
			rt_addr_n2a(key->family, key->family == AF_INET6 ? 16 : 4, key->daddr),
			ntohl(key->spi), key->mark, key->mask, (uint64_t)now[i].add_time,
			now[i].labels.reqid, now[i].labels.if_id, now[i].labels.peer);
		stats_save(fp, now[i].stats);
	}
}

/* All of it or nothing. The groups' sums are still those of SAs that are gone. */
int metrics_save(const struct metrics_state *state, const struct known_sa *now, size_t n,
		 const char *file)
{
	char name[4096];
	FILE *fp;
	int fd;

	if (snprintf(name, sizeof(name), "%s.new", file) >= (int)sizeof(name)) {
		say("%s: too long a name", file);
		return -1;
	}
	fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	fp = fd < 0 ? NULL : fdopen(fd, "w");
	if (!fp) {
		say("cannot write %s: %s", name, strerror(errno));
		return -1;
	}
	state_print(fp, state, now, n);
	if (fclose(fp) || rename(name, file)) {
		say("cannot write %s: %s", file, strerror(errno));
		unlink(name);
		return -1;
	}
	return 0;
}
