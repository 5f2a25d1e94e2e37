/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of the module share, by the file that defines it. The way of
 * a packet and of a request through them: Documentation/architecture.rst.
 */
#ifndef XFRM_EXT_H
#define XFRM_EXT_H

#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/refcount.h>
#include <linux/rhashtable-types.h>
#include <linux/skbuff.h>
#include <linux/workqueue.h>
#include <net/netns/generic.h>
#include <net/xfrm.h>

#include "../../include/uapi/linux/xfrm_ext.h"
#include "compat/compat.h"
#include "counter.h"
#include "format.h"
#include "select.h"
#include "window.h"

struct crypto_aead;
struct genl_info;
struct nf_hook_ops;

/**
 * struct xe_id - which SA: what the kernel's own lookup takes
 * @family: of the outer addresses, AF_INET or AF_INET6
 * @spi: network byte order
 * @daddr: outer destination address; unused octets zero
 * @mark: value and mask, as in xfrm_state::mark
 */
struct xe_id {
	u16 family;
	__be32 spi;
	xfrm_address_t daddr;
	struct xfrm_mark mark;
};

/**
 * struct xe_params - what an extended SA shall be; validated
 * @format: enum xfrm_ext_format
 * @trailer: enum xfrm_ext_trailer
 * @iv: enum xfrm_ext_iv
 * @tx_subspaces: how many subspaces are sent in; 0: the SA cannot send
 * @tx_base: Subspace ID of the first; the others follow
 * @select: which of them a packet takes
 * @rx_subspaces: subspaces 0 .. n-1 are accepted; 0: it cannot receive
 * @window: packets, a power of two
 * @flags: enum xfrm_ext_sa_flags
 * @tx_start: first number of each transmit subspace, 1 .. XE_SN_MAX; when it
 *            has been released, XE_SN_MAX + 1 if none is left
 * @tx_warn: number from which on its end is near
 * @memory_max: octets; what all subspaces in use take is no more
 */
struct xe_params {
	u32 format;
	u32 trailer;
	u32 iv;
	u32 tx_subspaces;
	u32 tx_base;
	struct xe_select select;
	u32 rx_subspaces;
	u32 window;
	u32 flags;
	u64 tx_start;
	u64 tx_warn;
	u64 memory_max;
};

/**
 * struct xe_net - a network namespace's part
 * @net: the namespace; not to be touched once @dead
 * @refs: the namespace and each SA hold one
 * @lock: protects everything below; taken in process context, under the
 *        configuration locks of xfrm, generic netlink and namespaces
 * @announced: announcements that no SA has claimed yet, oldest first
 * @n_announced: how many
 * @age: drops announcements that are too old
 * @sas: extended SAs, in the order of xe_sa::serial
 * @n_sas: how many; the netfilter hooks are registered while there are any
 * @serial: the last xe_sa::serial given out
 * @dead: the namespace is going or gone
 */
struct xe_net {
	struct net *net;
	refcount_t refs;
	struct mutex lock; /* protects everything below */
	struct list_head announced;
	unsigned int n_announced;
	struct delayed_work age;
	struct list_head sas;
	unsigned int n_sas;
	u64 serial;
	bool dead;
};

/**
 * struct xe_cpu - one CPU's part of an SA
 * @stat: enum xfrm_ext_stat
 * @packets: packets that passed on credit, ever
 * @bytes: octets, the same
 * @credit_packets: how many more may pass before the limits are looked at
 * @credit_bytes: the same in octets
 * @stamp: jiffies when the credit was given
 * @folded_packets: how much of @packets is in xfrm_state::curlft already
 * @folded_bytes: how much of @bytes is
 *
 * @stat is written by the owning CPU in any context, the next five with BH off;
 * the last two by anyone who holds xfrm_state::lock.
 */
struct xe_cpu {
	u64 stat[XFRM_EXT_STAT_MAX + 1];
	u64 packets;
	u64 bytes;
	unsigned int credit_packets;
	unsigned int credit_bytes;
	unsigned long stamp;
	u64 folded_packets;
	u64 folded_bytes;
};

/**
 * struct xe_alarm - keeps events rare that somebody without the key can cause
 * @since: jiffies when the ten seconds began that @drops is of
 * @drops: packets that windows have refused in it
 * @drops_next: jiffies before which no such event is sent again; 0: none was
 * @range_next: the same for Subspace IDs out of range
 */
struct xe_alarm {
	unsigned long since;
	atomic_t drops;
	unsigned long drops_next;
	unsigned long range_next;
};

/**
 * struct xe_sa - an extended SA
 * @type: what xfrm_state::type points to; the way back from state to SA
 * @gate: our type that the state was created through; holds the original
 * @x: the state; it outlives this structure
 * @xn: namespace's part, with a reference
 * @id: what it was claimed as
 * @params: what was announced; tx_start moves on when it is released
 * @format: the layout
 * @aead: transform, keyed
 * @salt: the last octets of the key material
 * @icv_len: octets
 * @exact: near a limit: no credit, see lifetime.c; under xfrm_state::lock
 * @state: enum xfrm_ext_state; packets pass in XFRM_EXT_STATE_READY only,
 *         read with acquire
 * @reason: why it is XFRM_EXT_STATE_FAILED, else NULL
 * @tx_set: a transmit subspace has been set; under xe_net::lock
 * @tx: params.tx_subspaces counters, each NULL until the first packet; set
 *      once, freed with the SA
 * @rx: params.rx_subspaces windows, each NULL until the first authenticated
 *      packet; set once, freed with the SA
 * @memory: octets that @tx, @rx and what they point to take
 * @out_of_range: 1 + the first Subspace ID that was none of ours; 0: none was
 * @alarm: when events were sent last
 * @cpu: counters and credit
 * @lock: protects @state, @reason, @hashed and changes of the receive table
 * @hashed: is in the receive table
 * @rcu: RCU state when it was taken out of the receive table
 * @node: receive table, by (spi, daddr, family, namespace)
 * @list: xe_net::sas
 * @serial: order in that list
 */
struct xe_sa {
	struct xfrm_type type;
	const struct xe_gate *gate;
	struct xfrm_state *x;
	struct xe_net *xn;
	struct xe_id id;
	struct xe_params params;
	const struct xe_format *format;
	struct crypto_aead *aead;
	u8 salt[XE_SALT_LEN];
	unsigned int icv_len;
	bool exact;
	int state;
	const char *reason;
	bool tx_set;
	struct xe_counter **tx;
	struct xe_window **rx;
	atomic64_t memory;
	u32 out_of_range;
	struct xe_alarm alarm;
	struct xe_cpu __percpu *cpu;
	spinlock_t lock; /* protects state, reason, hashed, table changes */
	bool hashed;
	unsigned long rcu;
	struct rhlist_head node;
	struct list_head list;
	u64 serial;
};

/**
 * struct xe_gate - stands in for the kernel's ESP type of one family
 * @type: what is registered with xfrm
 * @orig: esp4's or esp6's own type; its module is held
 * @open: stands
 */
struct xe_gate {
	struct xfrm_type type;
	const struct xfrm_type *orig;
	bool open;
};

/* main.c APIs: */
extern bool xe_fastpath;
extern unsigned int xe_net_id;

static inline struct xe_net *xe_net(const struct net *net)
{
	return *(struct xe_net **)net_generic(net, xe_net_id);
}

struct xe_net *xe_net_get(struct xe_net *xn);
void xe_net_put(struct xe_net *xn);

/* Refuse an attribute: name it, its value and its limit, and point at it */
#define xe_refuse_attr(info, attr, fmt, ...) ({				\
	struct genl_info *__info = (info);				\
									\
	NL_SET_BAD_ATTR(__info->extack, __info->attrs[attr]);		\
	xe_extack(__info->extack, fmt, ##__VA_ARGS__);			\
	-EINVAL;							\
})

/* netlink.c APIs: process context */
int xe_netlink_init(void);
void xe_netlink_exit(void);
/* Any context: */
int xe_netlink_put_id(struct sk_buff *skb, const struct xe_id *id);
int xe_netlink_put_tx(struct sk_buff *skb, const struct xe_sa *sa, u32 place);
int xe_netlink_put_rx(struct sk_buff *skb, const struct xe_sa *sa, u32 place);
void xe_netlink_multicast(struct sk_buff *msg, struct net *net);
struct sk_buff *xe_netlink_event(enum xfrm_ext_cmd cmd, void **hdr);

/* params.c APIs: process context */
#define XE_PARAMS_MAXATTR	XFRM_EXT_A_FLAGS
extern const struct nla_policy xe_params_policy[XE_PARAMS_MAXATTR + 1];
int xe_params_parse(struct genl_info *info, struct xe_params *p);
int xe_params_put(struct sk_buff *skb, const struct xe_params *p);

/* events.c APIs: any context */
void xe_event_tx(struct xe_sa *sa, enum xfrm_ext_cmd cmd, u32 place);
void xe_event_rx(struct xe_sa *sa, enum xfrm_ext_cmd cmd, u32 subspace);
void xe_event_window_drop(struct xe_sa *sa, u32 subspace);
void xe_event_out_of_range(struct xe_sa *sa, u32 subspace);

/* subspace.c APIs: any context, as long as the state is alive */
int xe_subspaces_init(struct xe_sa *sa);
void xe_subspaces_exit(struct xe_sa *sa);
u64 xe_subspaces_memory(const struct xe_params *p);
struct xe_counter *xe_counter_get(struct xe_sa *sa, u32 place, gfp_t gfp,
				  bool *first);
struct xe_window *xe_window_get(struct xe_sa *sa, u32 subspace, gfp_t gfp,
				bool *first);

static inline const struct xe_counter *xe_counter_seen(const struct xe_sa *sa,
						       u32 place)
{
	/* Pairs with the cmpxchg() in xe_counter_get() */
	return smp_load_acquire(&sa->tx[place]);
}

static inline struct xe_window *xe_window_seen(const struct xe_sa *sa,
					       u32 subspace)
{
	/* Pairs with the cmpxchg() in xe_window_get() */
	return smp_load_acquire(&sa->rx[subspace]);
}

/* announce.c APIs: process context, take xe_net::lock */
#define XE_ANNOUNCE_TTL		30	/* seconds */
int xe_announce(struct xe_net *xn, const struct xe_id *id,
		const struct xe_params *params, struct netlink_ext_ack *extack);
int xe_announce_take(struct xe_net *xn, const struct xe_id *id,
		     struct xe_params *params);
void xe_announce_init_net(struct xe_net *xn);
void xe_announce_exit_net(struct xe_net *xn);

/* gate.c APIs: process context */
int xe_gate_init(void);
void xe_gate_exit(void);
bool xe_gate_family(u16 family);

/* sa.c APIs: process context */
extern const char * const xe_algorithms[];
int xe_sa_claim(struct xfrm_state *x, const struct xe_gate *gate,
		struct xe_net *xn, const struct xe_params *params,
		struct netlink_ext_ack *extack);
int xe_sa_init(void);
void xe_sa_exit(void);
/* Any context, under RCU: */
struct xe_sa *xe_sa_of(const struct xfrm_state *x);
struct xe_sa *xe_sa_find(struct xe_net *xn, const struct xe_id *id);
struct xe_sa *xe_sa_lookup(struct net *net, u16 family, const void *daddr,
			   __be32 spi, u32 mark);
bool xe_sa_held(const struct xe_sa *sa);
void xe_sa_release(struct xe_sa *sa, u64 gap);
bool xe_sa_set_up(const struct xe_sa *sa);
bool xe_sa_ready(const struct xe_sa *sa);

/* stats.c APIs: any context */
void xe_stat_add(const struct xe_sa *sa, enum xfrm_ext_stat stat, u64 n);
u64 xe_stat_sum(const struct xe_sa *sa, enum xfrm_ext_stat stat);
void xe_drop(const struct xe_sa *sa, enum xfrm_ext_stat stat,
	     struct xe_seq seq, bool fast);

/* lifetime.c APIs: xe_lifetime_use() with BH off, the others in any context */
bool xe_lifetime_use(struct xe_sa *sa, unsigned int len);
void xe_lifetime_soft(struct xe_sa *sa);
void xe_lifetime_fold(struct xe_sa *sa);

/* crypto.c APIs: BH off or process context, no sleeping */
struct xe_op;
int xe_crypto_init(struct xe_sa *sa, struct netlink_ext_ack *extack);
void xe_crypto_exit(struct xe_sa *sa);
struct xe_op *xe_op_alloc(const struct xe_sa *sa, int nfrags,
			  crypto_completion_t done, struct sk_buff *skb);
void xe_op_free(struct xe_op *op);
int xe_op_run(struct xe_op *op, unsigned int at, const u8 *iv, bool encrypt);

/**
 * struct xe_op - one packet in the cipher's hands
 * @nonce: for the cipher; first, for its alignment
 * @skb: the packet
 * @sa: its SA; the packet keeps the state, and so this, alive
 * @seq: its number
 * @fast: on our own path, not the kernel's
 * @aad: copy of the authenticated header
 * @sg: scatter list, behind the request
 * @req: request, with room for the transform's own part behind
 */
struct xe_op {
	u8 nonce[XE_NONCE_LEN] __aligned(CRYPTO_MINALIGN);
	struct sk_buff *skb;
	struct xe_sa *sa;
	struct xe_seq seq;
	bool fast;
	u8 aad[XE_HDR_MAX];
	struct scatterlist *sg;
	struct aead_request *req;
};

/* output.c APIs: */
int xe_output(struct xfrm_state *x, struct sk_buff *skb);
int xe_hooks_register(struct net *net);
void xe_hooks_unregister(struct net *net);

/* input.c APIs: */
int xe_input(struct xfrm_state *x, struct sk_buff *skb);
int xe_input_init(void);
void xe_input_exit(void);

/* tunnel.c APIs: no sleeping */
int xe_tunnel_encap(const struct xfrm_state *x, struct sk_buff *skb);
void xe_tunnel_decap(const struct xfrm_state *x, struct sk_buff *skb,
		     int next_header);
bool xe_tunnel_inner_ok(struct sk_buff *skb, int next_header);

#endif /* XFRM_EXT_H */
