/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of the module share, by the file that defines it. The way of
 * a packet and of a request through them: Documentation/architecture.rst.
 */
#ifndef XFRM_EXT_H
#define XFRM_EXT_H

#include <linux/hash.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/refcount.h>
#include <linux/rhashtable-types.h>
#include <linux/skbuff.h>
#include <linux/workqueue.h>
#include <net/net_debug.h>
#include <net/netns/generic.h>
#include <net/xfrm.h>

#include "../../include/uapi/linux/xfrm_ext.h"
#include "compat/compat.h"
#include "counter.h"
#include "format.h"
#include "select.h"
#include "trailer.h"
#include "window.h"

struct crypto_aead;
struct genl_family;
struct genl_info;
struct nf_hook_ops;
struct xe_sa;

/**
 * struct xe_mode - what the payload is, and what stands before ESP
 * @refuse: may a packet go out? data at its IP header, before anything has been
 *          done to it: 0, or the enum xfrm_ext_stat to drop it for; NULL: any may
 * @encap: write the outer header, as the kernel's own mode does. On entry data
 *         is at the IP header, on exit at the payload, the network header at
 *         the outer header, the transport header where UDP or ESP goes, and the
 *         MAC header at the octet that names it. The headroom is writable and
 *         large enough. Return the Next Header, or a negative errno
 * @check: is a received payload, at data, whole and writable, well-formed? 0, or
 *         the enum xfrm_ext_stat to drop it for; NULL: any is
 * @decap: make the inner packet the packet. On entry data is at the payload,
 *         which @check has passed, the network header at the outer header, and
 *         the transport header where kept headers move to, in modes that keep
 *         any. On exit network header and data are at the inner header.
 *         Return 0 or a negative errno
 *
 * None of them sleeps.
 */
struct xe_mode {
	enum xfrm_ext_stat (*refuse)(const struct xe_sa *sa,
				     struct sk_buff *skb);
	int (*encap)(const struct xe_sa *sa, struct sk_buff *skb);
	enum xfrm_ext_stat (*check)(const struct xe_sa *sa,
				    struct sk_buff *skb, int next_header);
	int (*decap)(const struct xe_sa *sa, struct sk_buff *skb,
		     int next_header);
};

#define XE_FLAGS	(XFRM_EXT_SA_F_NO_FASTPATH | \
			 XFRM_EXT_SA_F_NO_REPLAY_PROTECTION | \
			 XFRM_EXT_SA_F_HOLD | \
			 XFRM_EXT_SA_F_BEET_FRAG | \
			 XFRM_EXT_SA_F_ESN)

/**
 * struct xe_id - which SA: what the kernel's own lookup takes
 * @family: of the outer addresses, AF_INET or AF_INET6
 * @spi: network byte order
 * @daddr: outer destination address; unused octets zero
 * @mark: value and mask, as in xfrm_state::mark of a state in place: xe_mark()
 */
struct xe_id {
	u16 family;
	__be32 spi;
	xfrm_address_t daddr;
	struct xfrm_mark mark;
};

/* The kernel compares what the mask leaves, and forgets the rest when a state is in place */
static inline struct xfrm_mark xe_mark(const struct xfrm_mark *mark)
{
	return (struct xfrm_mark){ .v = mark->v & mark->m, .m = mark->m };
}

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
 * @tx_start: first number of each transmit subspace, 1 .. xe_format::sn_max; when
 *            it has been released, one more if none is left
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

#define XE_SPI_SLOTS	256

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
 * @sas: extended SAs, in the order of xe_sa::serial
 * @n_sas: how many; the netfilter hooks are registered while there are any
 * @serial: the last xe_sa::serial given out
 * @dead: the namespace is going or gone
 * @guest: it belongs to another user namespace than the initial one
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
	struct list_head sas;
	unsigned int n_sas;
	u64 serial;
	bool dead;
	bool guest;
	atomic64_t memory;
	struct rcu_head rcu;
	atomic_t spis[XE_SPI_SLOTS];
};

/* What plain packets are told by, most of them, before the receive table is asked */
static inline u32 xe_spi_slot(__be32 spi)
{
	return hash_32((__force u32)spi, ilog2(XE_SPI_SLOTS));
}

/**
 * struct xe_cpu - one CPU's part of an SA
 * @stat: enum xfrm_ext_stat
 * @packets: packets that passed on credit, ever
 * @bytes: octets, the same
 * @credit_packets: how many more may pass before the limits are looked at
 * @credit_bytes: the same in octets
 * @granted: packets of the last credit; 0: there was none
 * @stamp: jiffies when the credit was given, or long ago: it is no longer good
 * @started: received packets that were given to a cipher that may wait, ever
 * @finished: of all CPUs' packets, those that came back from it here
 * @standin: what received packets have in their secpath, or NULL
 * @folded_packets: how much of @packets is in xfrm_state::curlft already
 * @folded_bytes: how much of @bytes is
 *
 * @stat is written by the owning CPU in any context, the next nine with BH off;
 * the last two by anyone who holds xfrm_state::lock.
 */
struct xe_cpu {
	u64 stat[XFRM_EXT_STAT_MAX + 1];
	u64 packets;
	u64 bytes;
	unsigned int credit_packets;
	unsigned int credit_bytes;
	unsigned int granted;
	unsigned long stamp;
	u64 started;
	u64 finished;
	struct xfrm_state *standin;
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
 * struct xe_cipher - how an SA's packets are protected
 * @aead: transform, keyed
 * @align: what the length of a plaintext is a multiple of, a power of two from 4
 *         on
 * @icv_len: octets
 * @iv_len: octets of IV that are sent
 * @iv_random: it must not be foreseen, and is not made of the number
 * @iv_none: there is none, sent or not
 * @iv_in_aad: it is authenticated as the header is
 * @mac_only: so is the plaintext, which is not encrypted
 * @may_wait: it may finish a packet later
 * @salt: of the nonce
 * @req_at: octets from an op's beginning to its request
 * @sg_at: octets from an op's beginning to its scatter list
 */
struct xe_cipher {
	struct crypto_aead *aead;
	unsigned int align;
	unsigned int icv_len;
	unsigned int iv_len;
	bool iv_random;
	bool iv_none;
	bool iv_in_aad;
	bool mac_only;
	bool may_wait;
	struct xe_salt salt;
	unsigned int req_at;
	unsigned int sg_at;
};

/**
 * struct xe_key - key material in the form that an algorithm takes
 * @octets: key
 * @len: how many
 */
struct xe_key {
	u8 *octets;
	unsigned int len;
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
 * @mode: what it is put around
 * @encap_len: octets of UDP header between outer header and ESP
 * @cipher: how packets are protected
 * @exact: near a limit: no credit, see lifetime.c; under xfrm_state::lock
 * @state: enum xfrm_ext_state; packets pass in XFRM_EXT_STATE_READY only,
 *         read with acquire
 * @reason: why it is XFRM_EXT_STATE_FAILED, else NULL
 * @tx_set: a transmit subspace has been set; under xe_net::lock
 * @tx: params.tx_subspaces counters, each NULL until the first packet; set
 *      once, freed with the SA
 * @rx: params.rx_subspaces windows, each NULL until the first authenticated
 *      packet; set once, freed with the SA
 * @memory: octets that @tx, @rx and what they point to take; in xe_net::memory, too
 * @memcg: memory cgroup of the process that made it, with a reference, or NULL
 * @out_of_range: 1 + the first Subspace ID that was none of ours; 0: none was
 * @alarm: when events were sent last
 * @cpu: counters and credit
 * @home: the CPU whose packets have @x itself in their secpath; -1: none yet
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
	const struct xe_mode *mode;
	unsigned int encap_len;
	struct xe_cipher cipher;
	bool exact;
	int state;
	const char *reason;
	bool tx_set;
	struct xe_counter **tx;
	struct xe_window **rx;
	atomic64_t memory;
	struct mem_cgroup *memcg;
	u32 out_of_range;
	struct xe_alarm alarm;
	struct xe_cpu __percpu *cpu;
	int home;
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
 * @used: an SA is in place, and so its announcement used up; any context
 * @end: the last reference to an SA's state is gone; may sleep
 * @open: stands
 */
struct xe_gate {
	struct xfrm_type type;
	const struct xfrm_type *orig;
	void (*used)(struct xe_net *xn, const struct xfrm_state *x);
	void (*end)(struct xe_sa *sa);
	bool open;
};

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

/* Refuse an attribute: name it, its value and its limit, and point at it */
#define xe_refuse_attr(info, attr, fmt, ...) ({				\
	struct genl_info *__info = (info);				\
									\
	NL_SET_BAD_ATTR(__info->extack, __info->attrs[attr]);		\
	xe_extack(__info->extack, fmt, ##__VA_ARGS__);			\
	-EINVAL;							\
})

/* message.c APIs: any context */
extern struct genl_family xe_family;
int xe_message_put_id(struct sk_buff *skb, const struct xe_id *id);
int xe_message_put_tx(struct sk_buff *skb, const struct xe_sa *sa, u32 place);
int xe_message_put_rx(struct sk_buff *skb, const struct xe_sa *sa, u32 place);
void xe_message_multicast(struct sk_buff *msg, struct net *net);
struct sk_buff *xe_message_event(enum xfrm_ext_cmd cmd, void **hdr);

/* netlink.c APIs: process context */
int xe_netlink_init(void);
void xe_netlink_exit(void);

/* params.c APIs: process context */
#define XE_PARAMS_MAXATTR	XFRM_EXT_A_FLAGS
extern const struct nla_policy xe_params_policy[XE_PARAMS_MAXATTR + 1];
int xe_params_parse(struct genl_info *info, struct xe_params *p);
int xe_params_put(struct sk_buff *skb, const struct xe_params *p);
const struct xe_format *xe_params_format(const struct xe_params *p);

/* events.c APIs: any context */
void xe_event_tx(struct xe_sa *sa, enum xfrm_ext_cmd cmd, u32 place);
void xe_event_rx(struct xe_sa *sa, enum xfrm_ext_cmd cmd, u32 subspace);
void xe_event_window_drop(struct xe_sa *sa, u32 subspace);
void xe_event_out_of_range(struct xe_sa *sa, u32 subspace);

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

/* subspace.c APIs: any context, as long as the state is alive */
int xe_subspaces_init(struct xe_sa *sa);
void xe_subspaces_exit(struct xe_sa *sa);
u64 xe_subspaces_idle(const struct xe_params *p);
u64 xe_subspaces_memory(const struct xe_params *p);
struct xe_counter *xe_counter_make(struct xe_sa *sa, u32 place, gfp_t gfp,
				   bool *first);
struct xe_window *xe_window_make(struct xe_sa *sa, u32 subspace, gfp_t gfp,
				 bool *first);

static inline struct xe_counter *xe_counter_seen(const struct xe_sa *sa,
						 u32 place)
{
	/* Pairs with the cmpxchg() in xe_counter_make() */
	return smp_load_acquire(&sa->tx[place]);
}

static inline struct xe_window *xe_window_seen(const struct xe_sa *sa,
					       u32 subspace)
{
	/* Pairs with the cmpxchg() in xe_window_make() */
	return smp_load_acquire(&sa->rx[subspace]);
}

/* As xe_counter_make(), of one that is most likely there */
static inline struct xe_counter *xe_counter_get(struct xe_sa *sa, u32 place,
						gfp_t gfp, bool *first)
{
	struct xe_counter *c = xe_counter_seen(sa, place);

	*first = false;
	return likely(c) ? c : xe_counter_make(sa, place, gfp, first);
}

/* The same of windows */
static inline struct xe_window *xe_window_get(struct xe_sa *sa, u32 subspace,
					      gfp_t gfp, bool *first)
{
	struct xe_window *w = xe_window_seen(sa, subspace);

	*first = false;
	return likely(w) ? w : xe_window_make(sa, subspace, gfp, first);
}

/* announce.c APIs: process context, but for xe_announce_used() */
#define XE_ANNOUNCE_TTL		30	/* seconds */
int xe_announce(struct xe_net *xn, const struct xe_id *id,
		const struct xe_params *params, struct netlink_ext_ack *extack);
int xe_announce_claim(struct xe_net *xn, const struct xe_id *id,
		      const struct xfrm_state *x, struct xe_params *params,
		      struct netlink_ext_ack *extack);
void xe_announce_used(struct xe_net *xn, const struct xfrm_state *x);
void xe_announce_release(struct xe_net *xn, const struct xfrm_state *x);
int xe_announce_withdraw(struct xe_net *xn, const struct xe_id *id,
			 struct netlink_ext_ack *extack);
void xe_announce_init_net(struct xe_net *xn);
void xe_announce_exit_net(struct xe_net *xn);

/* gate.c APIs: process context */
int xe_gate_init(void);
void xe_gate_exit(void);
bool xe_gate_family(u16 family);

/* life.c APIs: process context */
int xe_life_claim(struct xfrm_state *x, const struct xe_gate *gate,
		  struct xe_net *xn, const struct xe_params *params,
		  struct netlink_ext_ack *extack);
void xe_life_end(struct xe_sa *sa);
void xe_life_init(void);
void xe_life_exit(void);

/* sa.c APIs: process context */
int xe_sa_init(void);
void xe_sa_exit(void);
void xe_sa_destructor(struct xfrm_state *x);
void xe_sa_unset_offload(struct xfrm_state *x);
void xe_sa_unhash_dead(struct xe_net *xn);
/* Any context, under RCU: */
struct xe_sa *xe_sa_find(struct xe_net *xn, const struct xe_id *id);
struct xe_sa *xe_sa_lookup(struct net *net, u16 family, const void *daddr,
			   __be32 spi, u32 mark);
void xe_sa_publish(struct xe_sa *sa);
void xe_sa_unhash(struct xe_sa *sa);
bool __cold xe_sa_in_place(struct xe_sa *sa);
bool xe_sa_held(const struct xe_sa *sa);
bool xe_sa_pending(const struct xe_sa *sa);
bool xe_sa_abandon(struct xe_sa *sa);
void xe_sa_release(struct xe_sa *sa, u64 gap);

/**
 * xe_sa_of - the extended SA of a state
 * @x: state; what a packet carries need not be one of ours
 *
 * Context: as long as @x is alive.
 * Return: the SA, or NULL for a plain one or a stand-in (standin.c).
 */
static inline struct xe_sa *xe_sa_of(const struct xfrm_state *x)
{
	const struct xfrm_type *type = READ_ONCE(x->type);

	if (!type || type->destructor != xe_sa_destructor)
		return NULL;
	return container_of((struct xfrm_type *)type, struct xe_sa, type);
}

/**
 * xe_sa_set_up - has its set-up been completed?
 * @sa: SA
 *
 * Context: any, as long as the state is alive.
 * Return: false while it is claimed only, and if it failed.
 */
static inline bool xe_sa_set_up(const struct xe_sa *sa)
{
	/* Pairs with the releases in xe_sa_publish() and xe_sa_release() */
	return smp_load_acquire(&sa->state) == XFRM_EXT_STATE_READY;
}

/**
 * xe_sa_ready - may packets pass?
 * @sa: SA
 *
 * Context: any, as long as the state is alive.
 * Return: false if it is not set up, expired or deleted.
 */
static inline bool xe_sa_ready(const struct xe_sa *sa)
{
	return xe_sa_set_up(sa) &&
	       READ_ONCE(sa->x->km.state) == XFRM_STATE_VALID;
}

/* standin.c APIs: BH off, under RCU */
struct xfrm_state *xe_standin_get(struct xe_sa *sa, const struct sk_buff *skb,
				  int next_header, bool itself);
/* Process context: */
void xe_standin_exit(struct xe_sa *sa);

/* Count what this CPU alone counts, and with BH off only */
static inline void xe_count(u64 *counter, u64 n)
{
	WRITE_ONCE(*counter, *counter + n);
}

/* stats.c APIs: any context */
void xe_stat_add(const struct xe_sa *sa, enum xfrm_ext_stat stat, u64 n);
u64 xe_stat_sum(const struct xe_sa *sa, enum xfrm_ext_stat stat);
void xe_drop(const struct xe_sa *sa, enum xfrm_ext_stat stat,
	     struct xe_seq seq, bool fast);
void xe_drop_unknown(struct net *net, enum xfrm_ext_stat stat);

/* audit.c APIs: any context */
void xe_audit_replay(const struct xe_sa *sa, const struct sk_buff *skb,
		     struct xe_seq seq);
void xe_audit_icv(const struct xe_sa *sa, const struct sk_buff *skb,
		  struct xe_seq seq);

/* lifetime.c APIs: xe_lifetime_use_slow() with BH off, the others in any context */
bool xe_lifetime_use_slow(struct xe_sa *sa, struct xe_cpu *c, unsigned int len);
void xe_lifetime_changed(struct xe_sa *sa);
void xe_lifetime_soft(struct xe_sa *sa);
void xe_lifetime_fold(struct xe_sa *sa);

/**
 * xe_lifetime_use - account a packet, if the SA may still carry it
 * @sa: SA
 * @len: octets, as the kernel counts them: the payload's length
 *
 * Sends the kernel's soft EXPIRE when a soft limit is reached; starts the
 * kernel's hard expiry when a hard limit is.
 *
 * Context: BH off; takes xfrm_state::lock now and then.
 * Return: false if a hard limit is reached: drop the packet.
 */
static inline bool xe_lifetime_use(struct xe_sa *sa, unsigned int len)
{
	struct xe_cpu *c = this_cpu_ptr(sa->cpu);

	if (unlikely(!c->credit_packets || c->credit_bytes < len ||
		     READ_ONCE(sa->exact) ||
		     time_after(jiffies, READ_ONCE(c->stamp) + HZ)))
		return xe_lifetime_use_slow(sa, c, len);

	c->credit_packets--;
	c->credit_bytes -= len;
	xe_count(&c->bytes, len);
	xe_count(&c->packets, 1);
	return true;
}

/* suites.c APIs: process context */
const char *xe_suite_name(unsigned int i);
int xe_suite_get(struct xe_sa *sa, char *name, struct xe_key *key,
		 struct netlink_ext_ack *extack);
void xe_suite_forget(struct xe_key *key);

/* mtu.c APIs: process context */
int xe_mtu_init(struct xe_sa *sa, struct xfrm_state *x);
void xe_mtu_exit(struct xe_sa *sa, struct xfrm_state *x);

/* crypto.c APIs: process context */
struct xe_op;
int xe_crypto_init(struct xe_sa *sa, struct netlink_ext_ack *extack);
void xe_crypto_exit(struct xe_sa *sa);
/* BH off: */
struct xe_op *xe_op_alloc(const struct xe_sa *sa, int nfrags,
			  crypto_completion_t done, struct sk_buff *skb);
void xe_op_free(struct xe_op *op);
/* Any context: */
void xe_iv_build(const struct xe_sa *sa, u8 *iv, struct xe_seq seq);
void xe_op_finish(struct xe_op *op);
void xe_op_exit(void);
int xe_op_run(struct xe_op *op, unsigned int at, bool encrypt);

/**
 * xe_op_writable - may a packet be changed in place?
 * @skb: packet
 * @tail: octets that will come behind it
 * @trailer: set to the buffer that has room for them
 *
 * As skb_cow_data(), which has its say unless there is nothing to do.
 *
 * Context: any.
 * Return: how many buffers the packet is in, or a negative errno.
 */
static inline int xe_op_writable(struct sk_buff *skb, int tail,
				 struct sk_buff **trailer)
{
	if (unlikely(skb_cloned(skb) || skb_is_nonlinear(skb) ||
		     skb_tailroom(skb) < tail))
		return skb_cow_data(skb, tail, trailer);
	*trailer = skb;
	return 1;
}

/* Goes on with a packet that is encrypted, or will never be: err; consumes */
typedef int xe_op_sent(struct xe_sa *sa, struct sk_buff *skb, int err);

/**
 * struct xe_op - one packet in the cipher's hands
 * @nonce: for the cipher; first, for its alignment
 * @skb: the packet
 * @sa: its SA; the packet keeps the state, and so this, alive, or if it is a dummy
 *      its sender does
 * @seq: its number
 * @fast: on our own path, not the kernel's
 * @sent: who goes on with it when it has been encrypted later; NULL: the kernel
 * @size: octets of all of it
 * @nfrags: buffers that the packet is in
 * @aad: what authenticates the header, and the IV where it belongs to that; while
 *       that stands in the packet, what stood there
 * @covered: where in the packet
 * @covered_len: octets; 0: nowhere
 * @whole: scatter list of a packet that is in one piece, AAD and all
 * @sg: scatter list of any other, behind the request
 * @req: request, with room for the transform's own part behind
 */
struct xe_op {
	u8 nonce[XE_NONCE_LEN] __aligned(CRYPTO_MINALIGN);
	struct sk_buff *skb;
	struct xe_sa *sa;
	struct xe_seq seq;
	bool fast;
	xe_op_sent *sent;
	unsigned int size;
	int nfrags;
	u8 *covered;
	unsigned int covered_len;
	u8 aad[XE_AAD_MAX + XE_IV_MAX];
	struct scatterlist whole;
	struct scatterlist *sg;
	struct aead_request *req;
};

/* output.c APIs: */
int xe_output(struct xfrm_state *x, struct sk_buff *skb);
int xe_output_dummy(struct xe_sa *sa, struct sk_buff *skb, u32 place,
		    xe_op_sent *sent);
int xe_local_out(struct net *net, struct sock *sk, struct sk_buff *skb);
int xe_hooks_register(struct net *net);
void xe_hooks_unregister(struct net *net);

/* dummy.c APIs: */
int xe_dummy_send(struct xe_sa *sa, u32 place, unsigned int len,
		  struct netlink_ext_ack *extack);

/* input.c APIs: */
int xe_input(struct xfrm_state *x, struct sk_buff *skb);
int xe_input_init(void);
void xe_input_exit(void);

/* mode.c APIs: any context */
const struct xe_mode *xe_mode_get(const struct xfrm_state *x,
				  const struct xe_params *params,
				  struct netlink_ext_ack *extack);

/* outer.c APIs: any context */
void xe_outer_make(const struct xe_sa *sa, struct sk_buff *skb);
void xe_outer_gone(struct sk_buff *skb);
bool xe_outer_ipv4_ok(struct sk_buff *skb);
bool xe_outer_fragments(const struct sk_buff *skb);
unsigned int xe_outer_max(const struct xe_sa *sa);

/* Octets from outer header to payload */
static inline unsigned int xe_esp_len(const struct xe_sa *sa)
{
	return sa->encap_len + sa->format->hdr_len + sa->cipher.iv_len +
	       xe_trailer_front(sa->params.trailer);
}

/* tunnel.c APIs: any context */
extern const struct xe_mode xe_mode_tunnel;
void xe_tunnel_header(const struct xe_sa *sa, struct sk_buff *skb, u8 protocol,
		      u8 inner_ds, __be16 df, __be32 flow_label);

/* transport.c APIs: BH off, under RCU */
extern const struct xe_mode xe_mode_transport;
void xe_transport_deliver(struct sk_buff *skb);
bool xe_transport_fragment(const struct xe_sa *sa, const struct sk_buff *skb,
			   u8 next_header);

/* beet.c APIs: no sleeping */
extern const struct xe_mode xe_mode_beet;
void xe_beet_mend(const struct xe_sa *sa, struct sk_buff *skb, u8 next_header);
bool xe_beet_is_fragment(const struct xe_sa *sa, const struct sk_buff *skb,
			 int next_header);

/* udp.c APIs: no sleeping */
int xe_udp_check(const struct xfrm_state *x, struct netlink_ext_ack *extack);
void xe_udp_build(const struct xe_sa *sa, struct sk_buff *skb);
void xe_udp_checksum(const struct xe_sa *sa, struct sk_buff *skb);
void xe_udp_received(struct xe_sa *sa, struct sk_buff *skb);

#endif /* XFRM_EXT_H */
