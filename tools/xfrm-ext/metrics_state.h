/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What "metrics" remembers from one run to the next: an SA that is gone has counted, too
 */
#ifndef METRICS_STATE_H
#define METRICS_STATE_H

#include "tool.h"

/* What the counters are summed up by */
struct labels {
	__u32 reqid, if_id;
	char peer[INET6_ADDRSTRLEN];
};

struct group {
	struct labels labels;
	__u64 stats[XFRM_EXT_STAT_MAX + 1];
	/* Of the SAs that there are now */
	unsigned int sas[XFRM_EXT_STATE_HELD + 1];
	unsigned int n_sas, unauthentic;
	double used;		/* of the numbers, in the subspace with fewest left */
	__u64 backtrack;	/* deepest */
};

/* An SA at the last run */
struct known_sa {
	struct xfrm_ext_key key;
	__u64 add_time;
	struct labels labels;
	__u64 stats[XFRM_EXT_STAT_MAX + 1];
	bool there;		/* still, or again with the same counters */
};

struct metrics_state {
	struct group *groups;
	size_t n_groups;
	struct known_sa *sas;
	size_t n_sas;
};

struct group *metrics_group(struct metrics_state *state, const struct labels *labels);
struct known_sa *metrics_known(struct metrics_state *state, const struct xfrm_ext_key *key,
			       __u64 add_time, const __u64 *stats);
int metrics_load(struct metrics_state *state, const char *file);
int metrics_save(const struct metrics_state *state, const struct known_sa *now, size_t n,
		 const char *file);

#endif
