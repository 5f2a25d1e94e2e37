/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Ground: an extended SA, and what of it is counted, limited, kept and told. What it
 * may do and who finds it: state.h.
 */
#ifndef XFRM_EXT_SA_H
#define XFRM_EXT_SA_H

#include <linux/jump_label.h>
#include <linux/refcount.h>
#include <linux/rhashtable-types.h>
#include <linux/skbuff.h>
#include <net/xfrm.h>

#include "../../include/uapi/linux/xfrm_ext.h"
#include "counter.h"
#include "format.h"
#include "net.h"
#include "select.h"
#include "window.h"

struct crypto_aead;
struct genl_family;
struct netlink_ext_ack;
struct xe_gate;
struct xe_mode;
struct xe_rule;

#define XE_FLAGS	(XFRM_EXT_SA_F_NO_FASTPATH | \
			 XFRM_EXT_SA_F_NO_REPLAY_PROTECTION | \
			 XFRM_EXT_SA_F_HOLD | \
			 XFRM_EXT_SA_F_BEET_FRAG | \
			 XFRM_EXT_SA_F_ESN | \
			 XFRM_EXT_SA_F_SPREAD | \
			 XFRM_EXT_SA_F_ECHO)

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
 * @sub_key: bits of key that each Sub SA of eesp has; of what else there is, not used
 * @tx_crypt_offset: 1 + octets of each packet that are sent in clear; 0: no such option
 * @rx_crypt_offset: 1 + the most octets that are accepted so; 0: none
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
	u32 sub_key;
	u32 tx_crypt_offset;
	u32 rx_crypt_offset;
};

/**
 * struct xe_numbers - the counters and windows that belong to a key
 * @node: xe_net::numbers
 * @list: xe_net::idle, if @users is 0
 * @digest: of the key, keyed
 * @spi: of the SAs that have it, network byte order
 * @users: SAs
 * @expires: jiffies; forgotten then, if @users is 0
 * @keep: also if none has been used: who makes an SA again that nobody announced
 *        does not know
 * @rule: xe_rule::pref of the rule that the first of these SAs was made by, or 0
 * @held: and is to wait until its counters have been set; under no lock
 * @stripped: @tx and @rx are gone, for want of memory: no SA can have the key
 * @xn: namespace's part; an SA or the namespace itself keeps it alive
 * @params: what the first of these SAs was, and when one has gone, that; tx_start moves on
 *          when it is released
 * @floor: received numbers up to this one are refused: another kind of SA has had
 *         them
 * @floors: the same of each subspace; NULL: they had windows for as long as there is an SA
 * @tx: params.tx_subspaces counters, each NULL until the first packet; set once
 * @rx: params.rx_subspaces windows, each NULL until the first authenticated
 *      packet; set once
 * @memory: octets that @floors, @tx, @rx and what they point to take; in xe_net::memory, too
 * @memcg: memory cgroup of the process that made the first SA, with a reference, or
 *         NULL
 *
 * The first ten under xe_net::numbers_lock. Whoever has the key again goes on with
 * these, so no number comes twice under a key: numbers.c.
 */
struct xe_numbers {
	struct hlist_node node;
	struct list_head list;
	u64 digest[2];
	__be32 spi;
	unsigned int users;
	unsigned long expires;
	u32 rule;
	bool keep;
	bool held;
	bool stripped;
	struct xe_net *xn;
	struct xe_params params;
	u64 floor;
	u64 *floors;
	struct xe_counter **tx;
	struct xe_window **rx;
	atomic64_t memory;
	struct mem_cgroup *memcg;
};

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
 * @reassembled: packets that have come as fragments
 * @refused: what windows have refused here and not counted yet, see
 *           xe_subspace_refused()
 * @folded_packets: how much of @packets is in xfrm_state::curlft already
 * @folded_bytes: how much of @bytes is
 *
 * @stat is written by the owning CPU in any context, the next ten with BH off;
 * @refused by anyone; the last two by anyone who holds xfrm_state::lock.
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
	u64 reassembled;
	atomic64_t refused;
	u64 folded_packets;
	u64 folded_bytes;
};

/**
 * struct xe_alarm - keeps events rare that others can cause as often as they like
 * @since: jiffies when the ten seconds began that @drops_since is of
 * @drops: packets that windows have refused, but for xe_cpu::refused
 * @drops_since: @drops of then
 * @drops_next: jiffies before which no such event is sent again; 0: none was
 * @range_next: the same for Subspace IDs out of range
 * @crypt_next: the same for packets with too much in clear
 * @forged: packets with a bad ICV before somebody saw that there was a good one
 * @authentic: that somebody
 * @echo_since: jiffies when the second began that @echoes is of
 * @echoes: packets of ESP Echo that have come in it
 */
struct xe_alarm {
	unsigned long since;
	atomic_t drops;
	unsigned int drops_since;
	unsigned long drops_next;
	unsigned long range_next;
	unsigned long crypt_next;
	atomic_t forged;
	bool authentic;
	unsigned long echo_since;
	atomic_t echoes;
};

/**
 * struct xe_cipher - how an SA's packets are protected
 * @aead: transform, keyed; in eesp, where each Sub SA has its own, without a key
 * @align: what the length of a plaintext is a multiple of, a power of two from 4
 *         on
 * @icv_len: octets
 * @iv_len: octets of IV that are sent
 * @iv_random: it must not be foreseen, and is not made of the number
 * @iv_none: there is none, sent or not
 * @iv_in_aad: it is authenticated as the header is
 * @mac_only: so is the plaintext, which is not encrypted
 * @may_wait: it may finish a packet later
 * @key_len: octets of key without salt
 * @salt: of the nonce; in eesp each Sub SA has its own
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
	unsigned int key_len;
	struct xe_salt salt;
	unsigned int req_at;
	unsigned int sg_at;
};

/**
 * struct xe_sub - what a Sub SA of eesp has for itself
 * @aead: transform, with its key
 * @salt: of its nonces
 *
 * Lengths and blocks are those of xe_sa::cipher.
 */
struct xe_sub {
	struct crypto_aead *aead;
	struct xe_salt salt;
};

/**
 * struct xe_sa - an extended SA
 * @type: what xfrm_state::type points to; the way back from state to SA
 * @gate: our type that the state was created through; holds the original
 * @x: the state; it outlives this structure
 * @xn: namespace's part, with a reference
 * @id: what it was claimed as
 * @params: what was announced, or a rule says, or an earlier SA of the key was;
 *          tx_start moves on when it is released
 * @rule: xe_rule::pref of the rule that it was made by, or 0
 * @announced: it was announced; numbers that the kernel knows of contradict that
 * @clone: MIGRATE has made the state of another one: nobody tells that it is in
 *         place
 * @format: the layout
 * @mode: what it is put around
 * @encap_len: octets of UDP header between outer header and ESP
 * @encap_type: what the kernel says of packets of this SA that come to who takes ESP;
 *              XE_ENCAP_OWN: they come to somebody else
 * @protocol: IP protocol number, of what stands behind the outer header
 * @cipher: how packets are protected
 * @subs: in eesp, what each Sub SA has: see xe_sub_of(); else NULL
 * @n_subs: how many
 * @sub_gap: between the last Subspace ID of those received and the first of those only
 *           sent
 * @listens: it holds what takes packets of eesp's protocol
 * @exact: near a limit: no credit, see lifetime.c; under xfrm_state::lock
 * @state: enum xfrm_ext_state; packets pass in XFRM_EXT_STATE_READY only,
 *         read with acquire
 * @reason: why it is XFRM_EXT_STATE_FAILED, else NULL
 * @tx_set: a transmit subspace has been set; under xe_net::lock
 * @numbers: what counters and windows belong to, with a reference
 * @tx: xe_numbers::tx
 * @rx: xe_numbers::rx
 * @out_of_range: 1 + the first Subspace ID that was none of ours; 0: none was
 * @fragment_max: octets of the largest fragment that an authentic packet came in; 0: none
 *                came as fragments
 * @cpu: counters and credit
 * @home: the CPU whose packets have @x itself in their secpath; -1: none yet
 * @lock: protects @state, @reason, @hashed and changes of the receive table
 * @hashed: is in the receive table
 * @rcu: RCU state when it was taken out of the receive table
 * @node: receive table, by (spi, daddr, family, namespace)
 * @list: xe_net::sas
 * @serial: order in that list
 * @made_by: the rule whose totals it counts for, or NULL; under xe_net::lock
 * @rule_list: its place among the SAs of that
 * @alarm: when events were sent last; on lines of its own, for somebody without the key has
 *         us write there, and packets that are accepted need the others
 */
struct xe_sa {
	struct xfrm_type type;
	const struct xe_gate *gate;
	struct xfrm_state *x;
	struct xe_net *xn;
	struct xe_id id;
	struct xe_params params;
	u32 rule;
	bool announced;
	bool clone;
	const struct xe_format *format;
	const struct xe_mode *mode;
	unsigned int encap_len;
	int encap_type;
	u8 protocol;
	struct xe_cipher cipher;
	struct xe_sub *subs;
	u32 n_subs;
	u32 sub_gap;
	bool listens;
	bool exact;
	int state;
	const char *reason;
	bool tx_set;
	struct xe_numbers *numbers;
	struct xe_counter **tx;
	struct xe_window **rx;
	u32 out_of_range;
	u32 fragment_max;
	struct xe_cpu __percpu *cpu;
	int home;
	spinlock_t lock; /* protects state, reason, hashed, table changes */
	bool hashed;
	unsigned long rcu;
	struct rhlist_head node;
	struct list_head list;
	u64 serial;
	struct xe_rule *made_by;
	struct list_head rule_list;
	struct xe_alarm alarm ____cacheline_aligned_in_smp;
};

/* No packet comes so: see xe_sa::encap_type */
#define XE_ENCAP_OWN	(-1)

/* There are SAs in eesp; where there are none, nobody pays for asking */
DECLARE_STATIC_KEY_FALSE(xe_eesp_used);

/* Is it one of them? Context: any, from when it can carry packets on */
static inline bool xe_is_eesp(const struct xe_sa *sa)
{
	return static_branch_unlikely(&xe_eesp_used) && sa->subs;
}

/**
 * xe_sub_of - what a Sub SA has for itself
 * @sa: SA in eesp
 * @subspace: Subspace ID, one that it sends or receives in
 *
 * Those it receives in, from 0 on, and behind them what it only sends in.
 *
 * Return: the Sub SA.
 */
static inline const struct xe_sub *xe_sub_of(const struct xe_sa *sa,
					     u32 subspace)
{
	return &sa->subs[subspace < sa->params.rx_subspaces ?
			 subspace : subspace - sa->sub_gap];
}

/* Count what this CPU alone counts, and with BH off only */
static inline void xe_count(u64 *counter, u64 n)
{
	WRITE_ONCE(*counter, *counter + n);
}

/* stats.c APIs: any context */
void xe_stat_add(const struct xe_sa *sa, enum xfrm_ext_stat stat, u64 n);
u64 xe_stat_sum(const struct xe_sa *sa, enum xfrm_ext_stat stat);
void xe_stats_add_up(const struct xe_sa *sa, u64 sum[XFRM_EXT_STAT_MAX + 1]);
u64 xe_stats_reassembled(const struct xe_sa *sa);
void xe_drop(const struct xe_sa *sa, enum xfrm_ext_stat stat,
	     struct xe_seq seq, bool fast);
void xe_drop_unknown(struct net *net, enum xfrm_ext_stat stat);

/* audit.c APIs: any context */
void xe_audit_replay(const struct xe_sa *sa, const struct sk_buff *skb,
		     struct xe_seq seq);
void xe_audit_icv(const struct xe_sa *sa, const struct sk_buff *skb,
		  struct xe_seq seq);
void xe_audit_crypt_offset(const struct xe_sa *sa, const struct sk_buff *skb,
			   struct xe_seq seq);
void xe_audit_subspace(const struct xe_sa *sa, const struct sk_buff *skb,
		       struct xe_seq seq);

/* subspace.c APIs: any context, as long as the state is alive */
int xe_subspaces_init(struct xe_numbers *n);
void xe_subspaces_exit(struct xe_numbers *n);
u64 xe_subspaces_octets(const struct xe_numbers *n);
bool xe_subspaces_used(const struct xe_numbers *n);

/* Received numbers of a subspace without a window up to this one are refused */
static inline u64 xe_numbers_seen(const struct xe_numbers *n, u32 subspace)
{
	u64 floor = READ_ONCE(n->floor);

	return n->floors ? max(floor, n->floors[subspace]) : floor;
}

u64 xe_subspaces_idle(const struct xe_params *p);
u64 xe_subspaces_subs(const struct xe_params *p);
u64 xe_subspaces_memory(const struct xe_params *p);
struct xe_counter *xe_counter_make(struct xe_sa *sa, u32 place, gfp_t gfp,
				   bool *first);
struct xe_window *xe_window_make(struct xe_sa *sa, u32 subspace, gfp_t gfp,
				 bool *first);
void xe_subspaces_settle(const struct xe_sa *sa);
/* BH off: */
unsigned int xe_subspace_refused(struct xe_sa *sa, u32 subspace,
				 enum xe_verdict verdict);

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

/* numbers.c APIs: process context */
struct xe_numbers *xe_numbers_find(struct xe_net *xn,
				   const struct xfrm_state *x,
				   struct netlink_ext_ack *extack);
int xe_numbers_check_plain(struct xe_net *xn, const struct xfrm_state *x,
			   struct netlink_ext_ack *extack);
struct xe_numbers *xe_numbers_get(struct xe_net *xn, const struct xfrm_state *x,
				  struct xe_numbers *known,
				  const struct xe_params *params,
				  struct netlink_ext_ack *extack);
u64 xe_numbers_memory(const struct xe_params *p);
void xe_numbers_start(struct xe_numbers *n, u64 start);
void xe_numbers_floor(struct xe_numbers *n, u64 seq);
void xe_numbers_put(struct xe_numbers *n, const struct xe_params *last);
void xe_numbers_params(const struct xe_numbers *n, struct xe_params *params);
void xe_numbers_hold(struct xe_numbers *n);
void xe_numbers_release(struct xe_numbers *n, u64 gap, u64 sn_max);
bool xe_numbers_make_room(struct xe_net *xn, u64 octets);
void xe_numbers_init_net(struct xe_net *xn);
void xe_numbers_exit_net(struct xe_net *xn);

/* lifetime.c APIs: xe_lifetime_use_slow() with BH off, the others in any context */
bool xe_lifetime_use_slow(struct xe_sa *sa, struct xe_cpu *c, unsigned int len);
void xe_lifetime_changed(struct xe_sa *sa);
void xe_lifetime_soft(struct xe_sa *sa);
void xe_lifetime_fold(struct xe_sa *sa);
bool xe_lifetime_lags(const struct xe_sa *sa);

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

/* message.c APIs: any context */
extern struct genl_family xe_family;

enum xe_mcgrp {
	XE_MCGRP_EVENTS,
	XE_MCGRP_ECHO,
};

int xe_message_put_id(struct sk_buff *skb, const struct xe_id *id);
int xe_message_put_stats(struct sk_buff *skb,
			 const u64 sum[XFRM_EXT_STAT_MAX + 1]);
int xe_message_put_tx(struct sk_buff *skb, const struct xe_sa *sa, u32 place);
int xe_message_put_rx(struct sk_buff *skb, const struct xe_sa *sa, u32 place);
void xe_message_multicast(struct sk_buff *msg, struct net *net,
			  enum xe_mcgrp group);
struct sk_buff *xe_message_event(enum xfrm_ext_cmd cmd, void **hdr);

#endif /* XFRM_EXT_SA_H */
