/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Ground: what there is of a network namespace, and whose memory SAs take.
 */
#ifndef XFRM_EXT_NET_H
#define XFRM_EXT_NET_H

#include <linux/hash.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/refcount.h>
#include <linux/workqueue.h>
#include <net/net_debug.h>
#include <net/netns/generic.h>

#include "../../include/uapi/linux/xfrm_ext.h"
#include "compat/compat.h"

struct netlink_ext_ack;

#define XE_SPI_SLOTS	256
#define XE_KEY_SLOTS	64

/**
 * struct xe_net - a network namespace's part
 * @net: the namespace; not to be touched once @dead
 * @refs: the namespace and each SA hold one
 * @lock: protects everything below but announcements; taken in process context, under the
 *        configuration locks of xfrm, generic netlink and namespaces
 * @announce_lock: protects the next three; any context, inside @lock
 * @announced: announcements of which no SA is in place yet, oldest first
 * @n_announced: how many
 * @age: drops announcements that are too old
 * @rules: what SAs shall be that nobody announces, by xe_rule::pref
 * @n_rules: how many
 * @sas: extended SAs, in the order of xe_sa::serial
 * @n_sas: how many; the netfilter hooks are registered, and @fold runs, while there
 *         are any
 * @past: what SAs have counted that are no more, by enum xfrm_ext_stat
 * @fold: tells the kernel what SAs have used, for who asks it and not us
 * @serial: the last xe_sa::serial given out
 * @dead: the namespace is going or gone
 * @guest: it belongs to another user namespace than the initial one
 * @numbers_lock: protects the next five; process context, inside @lock
 * @numbers: counters and windows, by key
 * @idle: those of which no SA is left, the first to be forgotten first
 * @n_idle: how many
 * @idle_memory: octets that these take
 * @forget: frees what has been idle for long enough
 * @n_numbers: all of @numbers; read without a lock, written with @numbers_lock
 * @memory: octets that its SAs take, see memory.c; not under @lock
 * @rcu: for kfree_rcu()
 * @spis: how many SAs in the receive table have an SPI of each slot, see
 *        xe_spi_slot(); not under @lock
 */
struct xe_net {
	struct net *net;
	refcount_t refs;
	struct mutex lock; /* protects everything below but announcements */
	spinlock_t announce_lock; /* protects the next three */
	struct list_head announced;
	unsigned int n_announced;
	struct delayed_work age;
	struct list_head rules;
	unsigned int n_rules;
	struct list_head sas;
	unsigned int n_sas;
	u64 past[XFRM_EXT_STAT_MAX + 1];
	struct delayed_work fold;
	u64 serial;
	bool dead;
	bool guest;
	spinlock_t numbers_lock; /* protects the next five */
	struct hlist_head numbers[XE_KEY_SLOTS];
	struct list_head idle;
	unsigned int n_idle;
	u64 idle_memory;
	struct delayed_work forget;
	unsigned int n_numbers;
	atomic64_t memory;
	struct rcu_head rcu;
	atomic_t spis[XE_SPI_SLOTS];
};

/* What plain packets are told by, most of them, before the receive table is asked */
static inline u32 xe_spi_slot(__be32 spi)
{
	return hash_32((__force u32)spi, ilog2(XE_SPI_SLOTS));
}

/*
 * What a hook or a callback relies on, said where it begins. Kernels that look
 * for bugs check it: CONFIG_DEBUG_NET, CONFIG_PROVE_RCU.
 */
#define xe_assert_bh_off()	DEBUG_NET_WARN_ON_ONCE(!in_softirq())
#define xe_assert_rcu()							\
	RCU_LOCKDEP_WARN(!rcu_read_lock_any_held(), "xfrm_ext: no RCU")

/* net.c APIs: */
extern bool xe_fastpath;
extern unsigned int xe_net_id;

static inline struct xe_net *xe_net(const struct net *net)
{
	return *(struct xe_net **)net_generic(net, xe_net_id);
}

static inline void xe_net_set(struct net *net, struct xe_net *xn)
{
	WRITE_ONCE(*(struct xe_net **)net_generic(net, xe_net_id), xn);
}

struct xe_net *xe_net_alloc(struct net *net);
struct xe_net *xe_net_get(struct xe_net *xn);
void xe_net_put(struct xe_net *xn);

/* memory.c APIs: any context */
void xe_memory_init_net(struct xe_net *xn);
u64 xe_memory_max_of(const struct xe_net *xn);
bool xe_memory_take(struct xe_net *xn, u64 octets);
void xe_memory_give(struct xe_net *xn, u64 octets);
u64 xe_memory_of_sa(void);
int xe_memory_refused(const struct xe_net *xn, const char *what, u64 octets,
		      struct netlink_ext_ack *extack);

/*
 * For what a packet causes to be kept. GFP_ATOMIC passes the limit of a memory
 * cgroup, whoever that is; this does not.
 */
#define XE_GFP_PACKET	(GFP_NOWAIT | __GFP_NOWARN | __GFP_ACCOUNT)

#endif /* XFRM_EXT_NET_H */
