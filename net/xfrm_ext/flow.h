/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Flows and ways: what flow.c and way.c have in common.
 */
#ifndef XFRM_EXT_FLOW_H
#define XFRM_EXT_FLOW_H

#include <linux/netfilter.h>

#include "xfrm_ext.h"

#define XE_FLOWS	4096	/* of each CPU */
#define XE_WAYS		1024
#define XE_PLACES	4	/* where a flow, or a way, may be */

/**
 * struct xe_flow_key - all of a packet that routing and policy look at
 * @words: of it, XE_KEY_WORDS of its family
 * @ports: ports, SPI, key of GRE, type and Identifier of an ICMP echo
 * @mark: of the packet
 * @info: TOS; or traffic class and flow label
 * @ifindex: interface it came in on
 * @sa: serial of the SA it came out of; 0: of none
 * @family: AF_INET or AF_INET6
 * @proto: upper-layer protocol
 * @saddr: IPv4 address
 * @daddr: the same
 * @saddr6: IPv6 address
 * @daddr6: the same
 */
struct xe_flow_key {
	union {
		u64 words[7];
		struct {
			__be32 ports;
			u32 mark;
			__be32 info;
			int ifindex;
			u32 sa;
			u16 family;
			u16 proto;
			union {
				struct {
					__be32 saddr;
					__be32 daddr;
				};
				struct {
					struct in6_addr saddr6;
					struct in6_addr daddr6;
				};
			};
		};
	};
};

#define XE_KEY_WORDS(family)						\
	((family) == AF_INET ?						\
	 offsetofend(struct xe_flow_key, daddr) / sizeof(u64) :		\
	 sizeof(struct xe_flow_key) / sizeof(u64))

/**
 * struct xe_flow - what a CPU knows of a flow
 * @key: flow
 * @hash: of the key
 * @second: when it was learnt
 * @way: which of xe_flow_table::ways it takes
 * @serial: and that of the way
 */
struct xe_flow {
	struct xe_flow_key key;
	u32 hash;
	u32 second;
	u32 way;
	u32 serial;
};

/**
 * struct xe_way - where flows go
 * @dst: destination entry that nobody else has, or NULL; whoever takes it away
 *       releases it, on any CPU
 * @orig: the route that it is a copy of, or NULL: it is a bundle
 * @cookie: for dst_check() of @orig
 * @serial: another each time
 * @second: when it was last found the same
 * @conf: xe_flow_conf() when it was learnt
 * @ifindex: interface that packets came in on
 * @dying: whether the SA wanted replacing
 */
struct xe_way {
	struct dst_entry *dst;
	struct dst_entry *orig;
	u32 cookie;
	u32 serial;
	u32 second;
	u32 conf;
	int ifindex;
	bool dying;
};

/**
 * struct xe_flow_table - a CPU's flows and ways
 * @flows: sets of XE_PLACES, by hash
 * @ways: the same
 * @next: of those to be freed
 */
struct xe_flow_table {
	struct xe_flow flows[XE_FLOWS];
	struct xe_way ways[XE_WAYS];
	struct xe_flow_table *next;
};

/**
 * struct xe_flow_cpu - a CPU's part
 * @table: flows and ways; NULL while the switch is off, and for at most a second
 *         after a CPU has come
 * @used: there may be ways; cleared by whoever takes all away
 * @gen: xe_flows::gen when a packet was last looked at
 * @second: and when that was
 * @serial: of ways, the last
 * @stat: enum xfrm_ext_flow_stat
 *
 * All but @table and @used are the CPU's own, with BH off.
 */
struct xe_flow_cpu {
	struct xe_flow_table __rcu *table;
	int used;
	int gen;
	u32 second;
	u32 serial;
	u64 stat[XFRM_EXT_FLOW_STAT_MAX + 1];
};

/**
 * struct xe_flows - a namespace's part, from the first use of the switch on
 * @cpu: of each CPU
 * @gen: how often all ways have been taken away
 * @seed: of hashes: as many words as the longest key has, and one
 * @net: namespace
 * @spis: xe_net::spis
 * @hooks: where packets are looked at; each has this structure
 * @on: the switch; under xe_net::lock
 * @age: takes ways away that no packet has gone for a second, makes tables of CPUs
 *       that have come
 */
struct xe_flows {
	struct xe_flow_cpu __percpu *cpu;
	const struct net *net;
	const atomic_t *spis;
	struct nf_hook_ops hooks[4];
	atomic_t gen;
	u64 seed[8];
	bool on;
	struct delayed_work age;
};

static_assert(sizeof(struct xe_flow) <= 128);

static inline void xe_flow_count(struct xe_flow_cpu *c,
				 enum xfrm_ext_flow_stat stat)
{
	xe_count(&c->stat[stat], 1);
}

/* way.c APIs: under RCU, BH off */
u32 xe_flow_multipath(const struct net *net, u16 family);
struct dst_entry *xe_way_dst(const struct nf_hook_state *state,
			     const struct xe_way *way);
struct xe_way *xe_way_learn(struct xe_flows *f, struct xe_flow_cpu *c,
			    struct xe_flow_table *t, const struct sk_buff *skb,
			    const struct nf_hook_state *state);

/* flow.c APIs: process context */
int xe_flow_hooks_register(struct net *net, struct xe_flows *f);
void xe_flow_hooks_unregister(struct net *net, struct xe_flows *f);

#endif /* XFRM_EXT_FLOW_H */
