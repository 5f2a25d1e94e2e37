// SPDX-License-Identifier: GPL-2.0-only
/*
 * Extended SAs: how packets and requests find them, and what they may do.
 *
 *	claimed	  by xe_life_claim(), before the state can be seen; every packet
 *		  is dropped and counted
 *	ready	  by xe_sa_publish(), when the kernel says that the state is in
 *		  place, or a packet has found it there, and nothing in it
 *		  contradicts; or failed, for good; or held, if that was asked
 *		  for, until xe_sa_release()
 *	gone	  by xe_life_end(), when the last reference to the state is
 *		  gone
 */
#include <linux/jhash.h>
#include <linux/rhashtable.h>

#include "state.h"

static struct rhltable xe_sa_table;

struct xe_sa_key {
	const struct net *net;
	const void *daddr;
	__be32 spi;
	u16 family;
};

static __always_inline u32
xe_sa_hash(const struct net *net, u16 family, const void *daddr, __be32 spi,
	   u32 seed)
{
	u32 where = family == AF_INET ?
		    *(const u32 *)daddr : jhash2(daddr, 4, seed);

	return jhash_3words((__force u32)spi, where,
			    (u32)(unsigned long)net ^ family, seed);
}

static u32 xe_sa_hash_key(const void *data, u32 len, u32 seed)
{
	const struct xe_sa_key *key = data;

	return xe_sa_hash(key->net, key->family, key->daddr, key->spi, seed);
}

static u32 xe_sa_hash_obj(const void *data, u32 len, u32 seed)
{
	const struct xe_sa *sa = data;

	return xe_sa_hash(xs_net(sa->x), sa->id.family, &sa->id.daddr,
			  sa->id.spi, seed);
}

static int xe_sa_cmp(struct rhashtable_compare_arg *arg, const void *obj)
{
	const struct xe_sa_key *key = arg->key;
	const struct xe_sa *sa = obj;

	return !(sa->id.spi == key->spi && sa->id.family == key->family &&
		 xs_net(sa->x) == key->net &&
		 xfrm_addr_equal(&sa->id.daddr, key->daddr, key->family));
}

static const struct rhashtable_params xe_sa_table_params = {
	.head_offset		= offsetof(struct xe_sa, node),
	.key_len		= sizeof(struct xe_sa_key),
	.hashfn			= xe_sa_hash_key,
	.obj_hashfn		= xe_sa_hash_obj,
	.obj_cmpfn		= xe_sa_cmp,
	.automatic_shrinking	= true,
};

/**
 * xe_sa_lookup - which extended SA does a received packet belong to?
 * @net: namespace
 * @family: of the outer header
 * @daddr: its destination address
 * @spi: network byte order
 * @mark: of the packet
 *
 * Context: under RCU, BH off.
 * Return: an SA that is in place, without a reference, or NULL.
 */
struct xe_sa *xe_sa_lookup(struct net *net, u16 family, const void *daddr,
			   __be32 spi, u32 mark)
{
	const struct xe_sa_key key = {
		.net = net, .daddr = daddr, .spi = spi, .family = family,
	};
	struct rhlist_head *list, *pos;
	struct xe_sa *sa;

	list = rhltable_lookup(&xe_sa_table, &key, xe_sa_table_params);
	/*
	 * One that a flush has deleted, of which we are not told, is in here
	 * until its last packet has gone: it must not hide its successor.
	 */
	rhl_for_each_entry_rcu(sa, pos, list, node)
		if ((mark & sa->id.mark.m) == sa->id.mark.v &&
		    READ_ONCE(sa->x->km.state) != XFRM_STATE_DEAD)
			return sa;
	return NULL;
}

/**
 * xe_sa_has_eesp - is there an SA of eesp with that SPI and destination?
 * @net: namespace
 * @family: of the outer header
 * @daddr: its destination address
 * @spi: network byte order
 *
 * Whatever mark it asks for: who has yet to see the packet, VTI, may give it one.
 *
 * Context: under RCU, BH off.
 */
bool xe_sa_has_eesp(struct net *net, u16 family, const void *daddr, __be32 spi)
{
	const struct xe_sa_key key = {
		.net = net, .daddr = daddr, .spi = spi, .family = family,
	};
	struct rhlist_head *list, *pos;
	struct xe_sa *sa;

	list = rhltable_lookup(&xe_sa_table, &key, xe_sa_table_params);
	rhl_for_each_entry_rcu(sa, pos, list, node)
		if (sa->params.format == XFRM_EXT_FORMAT_EESP &&
		    READ_ONCE(sa->x->km.state) != XFRM_STATE_DEAD)
			return true;
	return false;
}

/**
 * xe_sa_unhash - no more packets for an SA
 * @sa: SA
 *
 * Those that have found it already have it until an RCU grace period is over.
 *
 * Context: any, as long as the state is alive.
 */
void xe_sa_unhash(struct xe_sa *sa)
{
	spin_lock_bh(&sa->lock);
	if (sa->hashed) {
		rhltable_remove(&xe_sa_table, &sa->node, xe_sa_table_params);
		atomic_dec(&sa->xn->spis[xe_spi_slot(sa->id.spi)]);
		sa->hashed = false;
		sa->rcu = get_state_synchronize_rcu();
	}
	spin_unlock_bh(&sa->lock);
}

/**
 * xe_sa_unhash_dead - the same of all SAs whose states are dead
 * @xn: namespace
 *
 * All at once, so that one grace period does for all.
 *
 * Context: process, may sleep.
 */
void xe_sa_unhash_dead(struct xe_net *xn)
{
	struct xe_sa *sa;

	mutex_lock(&xn->lock);
	list_for_each_entry(sa, &xn->sas, list)
		if (READ_ONCE(sa->x->km.state) == XFRM_STATE_DEAD)
			xe_sa_unhash(sa);
	mutex_unlock(&xn->lock);
}

/**
 * xe_sa_find - the extended SA that was claimed as this
 * @xn: namespace; its lock is held, and keeps the answer alive
 * @id: which
 *
 * Return: the SA, or NULL.
 */
struct xe_sa *xe_sa_find(struct xe_net *xn, const struct xe_id *id)
{
	struct xe_sa *sa;

	lockdep_assert_held(&xn->lock);
	list_for_each_entry(sa, &xn->sas, list)
		if (sa->id.spi == id->spi && sa->id.family == id->family &&
		    sa->id.mark.v == id->mark.v &&
		    sa->id.mark.m == id->mark.m &&
		    xfrm_addr_equal(&sa->x->id.daddr, &id->daddr, id->family) &&
		    READ_ONCE(sa->x->km.state) != XFRM_STATE_DEAD)
			return sa;
	return NULL;
}

/* What only shows after init_state(): return the reason why it cannot be */
static const char *xe_sa_contradiction(const struct xe_sa *sa)
{
	const struct xfrm_state *x = sa->x;
	const struct xfrm_replay_state_esn *esn = x->replay_esn;

	/* Whoever announces an SA says there where its numbers begin */
	if (sa->announced &&
	    (x->replay.seq || x->replay.oseq || x->replay.bitmap ||
	     (esn && (esn->seq || esn->seq_hi || esn->oseq || esn->oseq_hi))))
		return "kernel's replay-seq or replay-oseq set; see the extension's tx-start";
	if (x->xso.dev)
		return "hardware offload set";
	return NULL;
}

/* Between asking an SA for its numbers and deleting it somebody may go on sending */
#define XE_SA_ADOPT_GAP		(1U << 20)

/* Nobody has a window yet */
static void xe_sa_widen(struct xe_sa *sa, u32 window)
{
	struct xe_params wide = sa->params;

	wide.window = window;
	if (window > XFRM_EXT_WINDOW_MAX ||
	    xe_subspaces_memory(&wide) > wide.memory_max)
		return;
	WRITE_ONCE(sa->numbers->params.window, window);
	sa->params.window = window;
}

/*
 * What the key manager wanted of the kernel's replay protection is there for dumps;
 * nothing looks at it when packets come. Numbers that it restores count here: it
 * had a plain SA with this key.
 */
static void xe_sa_adopt_replay(struct xe_sa *sa)
{
	const struct xfrm_replay_state_esn *esn = sa->x->replay_esn;
	struct xe_numbers *n = sa->numbers;
	u64 seq = sa->x->replay.seq, oseq = sa->x->replay.oseq;
	u32 window;

	if (esn) {
		seq = (u64)esn->seq_hi << 32 | esn->seq;
		oseq = (u64)esn->oseq_hi << 32 | esn->oseq;
		/* With this mode and no window the kernel lets every packet pass */
		WRITE_ONCE(sa->x->repl_mode, XFRM_REPLAY_MODE_LEGACY);
		window = roundup_pow_of_two(max(esn->replay_window, 1U));
		if (window > sa->params.window && !xe_subspaces_used(n))
			xe_sa_widen(sa, window);
	}
	if (oseq)
		xe_numbers_start(n, min(oseq + XE_SA_ADOPT_GAP,
					sa->format->sn_max) + 1);
	sa->params.tx_start = READ_ONCE(n->params.tx_start);
	/* Packets of another format are none that have been seen */
	if (sa->params.format == XFRM_EXT_FORMAT_ESP)
		xe_numbers_floor(n, min(seq, sa->format->sn_max));
}

/**
 * xe_sa_unset_offload - the kernel asks the type, and nobody else
 * @x: state
 *
 * With its software offload the kernel would build stock ESP without asking
 * the type; it also refuses hardware offload without it. Which comes first,
 * this or init_state(), depends on the kernel.
 */
void xe_sa_unset_offload(struct xfrm_state *x)
{
	if (x->type_offload) {
		module_put(x->type_offload->owner);
		x->type_offload = NULL;
	}
}

/**
 * xe_sa_held - does it wait for its counters to be set?
 * @sa: SA
 *
 * Context: process; the namespace's lock is held, so that a held SA stays so.
 */
bool xe_sa_held(const struct xe_sa *sa)
{
	return READ_ONCE(sa->state) == XFRM_EXT_STATE_HELD;
}

/**
 * xe_sa_release - the counters of an SA have been set: it may go
 * @sa: SA
 * @gap: transmit subspaces that were not set leave out so many numbers: the
 *       SA's predecessor may have come to use them after it was asked, 0 ..
 *       xe_format::sn_max
 *
 * Context: process; the namespace's lock is held.
 */
void xe_sa_release(struct xe_sa *sa, u64 gap)
{
	spin_lock_bh(&sa->lock);
	if (sa->state == XFRM_EXT_STATE_HELD) {
		xe_numbers_release(sa->numbers, gap, sa->format->sn_max);
		sa->params.tx_start = READ_ONCE(sa->numbers->params.tx_start);
		/* Pairs with the acquire in xe_sa_set_up() */
		smp_store_release(&sa->state, XFRM_EXT_STATE_READY);
	}
	spin_unlock_bh(&sa->lock);
}

/*
 * A device has the key and does ESP without asking us, and without
 * type_offload the kernel would call what is not there. It does neither of a
 * state that is not valid.
 */
static void xe_sa_stop_offload(struct xfrm_state *x)
{
	if (!x->xso.dev)
		return;
	spin_lock_bh(&x->lock);
	if (x->km.state == XFRM_STATE_VALID)
		x->km.state = XFRM_STATE_ERROR;
	spin_unlock_bh(&x->lock);
}

/**
 * xe_sa_pending - may it yet come to be in place?
 * @sa: SA
 *
 * Context: any, as long as the state is alive.
 * Return: false if it is in place, has failed, or the kernel has refused its
 *         state: xe_sa_abandon() tells which.
 */
bool xe_sa_pending(const struct xe_sa *sa)
{
	return READ_ONCE(sa->state) == XFRM_EXT_STATE_CLAIMED &&
	       READ_ONCE(sa->x->km.state) != XFRM_STATE_DEAD;
}

/**
 * xe_sa_abandon - see to it that an SA never is ready
 * @sa: SA
 *
 * Context: any, as long as the state is alive.
 * Return: false if it is, or was.
 */
bool xe_sa_abandon(struct xe_sa *sa)
{
	bool failed;

	spin_lock_bh(&sa->lock);
	if (sa->state == XFRM_EXT_STATE_CLAIMED) {
		sa->reason = "its announcement went to another state";
		/* Pairs with the acquires in xe_sa_set_up() and xe_put_state() */
		smp_store_release(&sa->state, XFRM_EXT_STATE_FAILED);
	}
	failed = sa->state == XFRM_EXT_STATE_FAILED;
	spin_unlock_bh(&sa->lock);
	return failed;
}

/**
 * xe_sa_publish - the kernel has put an SA's state into place
 * @sa: SA
 *
 * Once: it is ready, or held, or has failed. Its numbers are as good as new, or shared
 * with SAs that use them already.
 *
 * Context: any, as long as the state is alive.
 */
void xe_sa_publish(struct xe_sa *sa)
{
	const char *reason = xe_sa_contradiction(sa);
	bool used = false;

	xe_sa_stop_offload(sa->x);
	spin_lock_bh(&sa->lock);
	if (sa->state == XFRM_EXT_STATE_CLAIMED) {
		/* Until it is ready, the hooks let no packet of it pass */
		if (!sa->x->xso.dev)
			xe_sa_unset_offload(sa->x);
		if (!reason)
			xe_sa_adopt_replay(sa);
		/* What MIGRATE has copied gets its address after it was claimed */
		if (sa->clone)
			sa->id.daddr = sa->x->id.daddr;
		/* Of eesp listen.c looks here for what routers say of what was sent, too */
		if (!reason && (sa->params.rx_subspaces ||
				sa->params.format == XFRM_EXT_FORMAT_EESP)) {
			const struct xe_sa_key key = {
				.net	= xs_net(sa->x),
				.daddr	= &sa->id.daddr,
				.spi	= sa->id.spi,
				.family	= sa->id.family,
			};

			atomic_t *slot = &sa->xn->spis[xe_spi_slot(key.spi)];

			atomic_inc(slot);
			if (rhltable_insert_key(&xe_sa_table, &key, &sa->node,
						xe_sa_table_params)) {
				reason = "no memory for the receive table";
				atomic_dec(slot);
			} else {
				sa->hashed = true;
			}
		}
		sa->reason = reason;
		if (!reason && sa->params.flags & XFRM_EXT_SA_F_HOLD)
			xe_numbers_hold(sa->numbers);
		/* Pairs with the acquires in xe_sa_set_up() and xe_put_state() */
		smp_store_release(&sa->state,
				  reason ? XFRM_EXT_STATE_FAILED :
				  sa->params.flags & XFRM_EXT_SA_F_HOLD ?
					   XFRM_EXT_STATE_HELD :
					   XFRM_EXT_STATE_READY);
		used = !reason;
	}
	spin_unlock_bh(&sa->lock);
	if (used)
		sa->gate->used(sa->xn, sa->x);
}

/**
 * xe_sa_in_place - has a packet's SA been set up?
 * @sa: SA; the packet has come to it by its state
 *
 * The kernel tells of a new state after it can be found; a packet that has
 * found it meanwhile knows as much. (Whoever knows the SA only from
 * xe_sa_find() does not: the kernel may still refuse it.) Not with a device's
 * offload, which has to end first.
 *
 * Context: any, as long as the state is alive.
 * Return: as xe_sa_set_up().
 */
bool xe_sa_in_place(struct xe_sa *sa)
{
	if (READ_ONCE(sa->state) == XFRM_EXT_STATE_CLAIMED &&
	    READ_ONCE(sa->x->km.state) == XFRM_STATE_VALID && !sa->x->xso.dev)
		xe_sa_publish(sa);
	return xe_sa_set_up(sa);
}

/**
 * xe_sa_destructor - xfrm_type::destructor of an extended SA
 * @x: state whose last reference is gone
 *
 * By this xe_sa_of() knows them.
 *
 * Context: process, may sleep.
 */
void xe_sa_destructor(struct xfrm_state *x)
{
	struct xe_sa *sa = xe_sa_of(x);

	sa->gate->end(sa);
}

/**
 * xe_sa_init - be ready for SAs
 *
 * Return: 0 or a negative errno.
 */
int xe_sa_init(void)
{
	return rhltable_init(&xe_sa_table, &xe_sa_table_params);
}

/**
 * xe_sa_exit - no SA is left
 */
void xe_sa_exit(void)
{
	rhltable_destroy(&xe_sa_table);
}
