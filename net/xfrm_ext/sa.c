// SPDX-License-Identifier: GPL-2.0-only
/*
 * Extended SAs: from the claim to the grave.
 *
 *	claimed	  by xe_sa_claim(), before the state can be seen; every packet
 *		  is dropped and counted
 *	ready	  by xe_sa_publish(), when the kernel says that the state is in
 *		  place, or a packet has found it there, and nothing in it
 *		  contradicts; or failed, for good; or held, if that was asked
 *		  for, until xe_sa_release()
 *	gone	  by xe_sa_destructor(), when the last reference to the state
 *		  is gone
 */
#include <crypto/aead.h>
#include <linux/delay.h>
#include <linux/jhash.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/rhashtable.h>
#include <linux/slab.h>

#include "xfrm_ext.h"

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

/* Not XFRM_TYPE_REPLAY_PROT: the kernel leaves sequence numbers alone */
static const struct xfrm_type xe_sa_type = {
	.owner		= THIS_MODULE,
	.proto		= IPPROTO_ESP,
	.destructor	= xe_sa_destructor,
	.input		= xe_input,
	.output		= xe_output,
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

static void xe_sa_unhash(struct xe_sa *sa)
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

/* All at once, so that one grace period does for all */
static void xe_sa_unhash_dead(struct xe_net *xn)
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
		    xfrm_addr_equal(&sa->id.daddr, &id->daddr, id->family) &&
		    READ_ONCE(sa->x->km.state) != XFRM_STATE_DEAD)
			return sa;
	return NULL;
}

/* What only shows after init_state(): return the reason why it cannot be */
static const char *xe_sa_contradiction(const struct xe_sa *sa)
{
	const struct xfrm_state *x = sa->x;

	if (x->replay_esn)
		return "kernel's replay-window or ESN set; an extended SA has its own windows";
	/* Somebody restores an SA; starting at 1 would repeat its numbers */
	if (x->replay.seq || x->replay.oseq || x->replay.bitmap)
		return "kernel's replay-seq or replay-oseq set; see the extension's tx-start";
	if (x->xso.dev)
		return "hardware offload set";
	return NULL;
}

/*
 * With its software offload the kernel would build stock ESP without asking
 * the type; it also refuses hardware offload without it. Which comes first,
 * this or init_state(), depends on the kernel.
 */
static void xe_sa_unset_offload(struct xfrm_state *x)
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
		/* GET tells it, so that the next to take over knows */
		sa->params.tx_start = min(sa->params.tx_start + gap,
					  sa->format->sn_max + 1);
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

/* The kernel has put the state into place; any context */
static void xe_sa_publish(struct xe_sa *sa)
{
	const char *reason = xe_sa_contradiction(sa);
	bool used = false;

	xe_sa_stop_offload(sa->x);
	spin_lock_bh(&sa->lock);
	if (sa->state == XFRM_EXT_STATE_CLAIMED) {
		/* Until it is ready, the hooks let no packet of it pass */
		if (!sa->x->xso.dev)
			xe_sa_unset_offload(sa->x);
		if (!reason && sa->params.rx_subspaces) {
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
		xe_announce_used(sa->xn, sa->x);
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

/* @x is what an SA in place was to be like; the kernel is about to free it */
static void xe_sa_updated(struct xfrm_state *x)
{
	struct xfrm_state *old;
	struct xe_sa *sa;

	old = xfrm_state_lookup(xs_net(x), x->mark.v & x->mark.m, &x->id.daddr,
				x->id.spi, x->id.proto, x->props.family);
	if (!old)
		return;
	sa = xe_sa_of(old);
	if (sa)
		xe_lifetime_changed(sa);
	xfrm_state_put(old);
}

static int xe_km_notify(struct xfrm_state *x, const struct km_event *c)
{
	struct xe_sa *sa = x ? xe_sa_of(x) : NULL;

	if (!sa) {
		if (x && c->event == XFRM_MSG_UPDSA)
			xe_sa_updated(x);
		return 0;
	}
	switch (c->event) {
	case XFRM_MSG_NEWSA:
	case XFRM_MSG_UPDSA:
		if (x->km.state != XFRM_STATE_VALID)
			break;
		xe_sa_publish(sa);
		/*
		 * The request has succeeded, and nobody is asked any more. It
		 * stays where it is: deleted, it would leave its place to a
		 * plain SA.
		 */
		if (smp_load_acquire(&sa->state) == XFRM_EXT_STATE_FAILED)
			km_state_expired(x, 1, 0);
		break;
	case XFRM_MSG_DELSA:
	case XFRM_MSG_EXPIRE:
		if (x->km.state != XFRM_STATE_VALID)
			xe_sa_unhash(sa);
		break;
	}
	return 0;
}

static int xe_km_acquire(struct xfrm_state *x, struct xfrm_tmpl *t,
			 struct xfrm_policy *xp)
{
	return -EINVAL;
}

/* @dir keeps the answer of whoever was asked before */
static struct xfrm_policy *xe_km_compile_policy(struct sock *sk, int opt,
						u8 *data, int len, int *dir)
{
	return NULL;
}

static struct xfrm_mgr xe_km = {
	.notify		= xe_km_notify,
	.acquire	= xe_km_acquire,
	.compile_policy	= xe_km_compile_policy,
};

/* Everything about the state that can be checked before it is in place */
static int xe_sa_check(const struct xfrm_state *x,
		       const struct xe_params *params,
		       struct netlink_ext_ack *extack)
{
	if (x->props.flags & XFRM_STATE_ESN) {
		xe_extack(extack,
			  "flag esn contradicts the announcement; with format esp say esn on there, esp64 sends 48-bit numbers of its own");
		return -EINVAL;
	}
	if (x->props.replay_window) {
		xe_extack(extack,
			  "replay-window %u contradicts the announcement; use the extension's window and 0 here",
			  x->props.replay_window);
		return -EINVAL;
	}
	if (params->select.by == XFRM_EXT_SELECT_MARK &&
	    x->props.smark.m & params->select.mask) {
		xe_extack(extack,
			  "output-mark with mask 0x%x sets bits that select mark 0x%x is about",
			  x->props.smark.m, params->select.mask);
		return -EINVAL;
	}
	/* Numbers are what nonces are made of */
	if (x->props.extra_flags & XFRM_SA_XFLAG_OSEQ_MAY_WRAP) {
		xe_extack(extack,
			  "extra-flag oseq-may-wrap contradicts the announcement; an extended SA never uses a number twice");
		return -EINVAL;
	}
	/* The receiver takes what is behind the inner packet for padding */
	if (x->tfcpad && params->trailer == XFRM_EXT_TRAILER_OMIT) {
		xe_extack(extack,
			  "tfcpad %u contradicts trailer omit (%u), which has no room for it; must be 0",
			  x->tfcpad, XFRM_EXT_TRAILER_OMIT);
		return -EINVAL;
	}
	if (xe_state_dir(x) == XFRM_SA_DIR_OUT && params->rx_subspaces) {
		xe_extack(extack,
			  "dir out contradicts rx-subspaces %u; must be absent",
			  params->rx_subspaces);
		return -EINVAL;
	}
	if (xe_state_dir(x) == XFRM_SA_DIR_IN && params->tx_subspaces) {
		xe_extack(extack,
			  "dir in contradicts tx-subspaces %u; must be absent",
			  params->tx_subspaces);
		return -EINVAL;
	}
	if (xe_state_cpu(x) != U32_MAX) {
		xe_extack(extack,
			  "pcpu-num %u contradicts the announcement; an extended SA is for all CPUs",
			  xe_state_cpu(x));
		return -EINVAL;
	}
	return 0;
}

/*
 * UPDSA of a state in place takes limits and the like from the new one and
 * throws it away: what was asked for would silently not be.
 */
static int xe_sa_check_free(struct xfrm_state *x,
			    struct netlink_ext_ack *extack)
{
	struct xfrm_state *old;
	int err = 0;

	old = xfrm_state_lookup(xs_net(x), x->mark.v & x->mark.m, &x->id.daddr,
				x->id.spi, x->id.proto, x->props.family);
	if (!old)
		return 0;
	if (old->km.state != XFRM_STATE_ACQ) {
		xe_extack(extack,
			  "SA exists already; extensions are set when it is made, and only then");
		err = -EEXIST;
	}
	xfrm_state_put(old);
	return err;
}

static void xe_sa_free(struct xe_sa *sa)
{
	xe_subspaces_exit(sa);
	free_percpu(sa->cpu);
	xe_crypto_exit(sa);
	mem_cgroup_put(sa->memcg);
	xe_memory_give(sa->xn, xe_memory_of_sa() + atomic64_read(&sa->memory));
	xe_net_put(sa->xn);
	kfree(sa);
}

/*
 * All memory but that of counters and windows. They are charged to whoever is
 * charged here: set_active_memcg() with what we remember.
 */
static struct xe_sa *xe_sa_alloc(struct xe_net *xn,
				 const struct xe_params *params,
				 struct netlink_ext_ack *extack)
{
	u64 idle = xe_subspaces_idle(params), octets = xe_memory_of_sa() + idle;
	struct xe_sa *sa;

	if (!xe_memory_take(xn, octets)) {
		xe_memory_refused(xn, "an SA", octets, extack);
		return NULL;
	}
	sa = kzalloc(sizeof(*sa), GFP_KERNEL_ACCOUNT);
	if (!sa) {
		xe_memory_give(xn, octets);
		return NULL;
	}
	sa->xn = xe_net_get(xn);
	atomic64_set(&sa->memory, idle);
	sa->memcg = get_mem_cgroup_from_mm(current->mm);
	sa->params = *params;
	sa->home = -1;
	spin_lock_init(&sa->lock);
	sa->cpu = alloc_percpu_gfp(struct xe_cpu, GFP_KERNEL_ACCOUNT);
	if (!sa->cpu)
		goto err;
	if (xe_subspaces_init(sa))
		goto err;
	return sa;
err:
	xe_sa_free(sa);
	return NULL;
}

/* Into the namespace's list; the first SA brings the hooks */
static int xe_sa_enlist(struct xe_sa *sa, struct netlink_ext_ack *extack)
{
	struct xe_net *xn = sa->xn;
	int err = -ENODEV;

	mutex_lock(&xn->lock);
	if (xn->dead) {
		xe_extack(extack, "namespace is going away");
		goto out;
	}
	if (!xn->n_sas) {
		err = xe_hooks_register(xn->net);
		if (err) {
			xe_extack(extack, "cannot hook into netfilter: %d",
				  err);
			goto out;
		}
	}
	WRITE_ONCE(xn->n_sas, xn->n_sas + 1);
	sa->serial = ++xn->serial;
	list_add_tail(&sa->list, &xn->sas);
	err = 0;
out:
	mutex_unlock(&xn->lock);
	return err;
}

static void xe_sa_delist(struct xe_sa *sa)
{
	struct xe_net *xn = sa->xn;

	mutex_lock(&xn->lock);
	list_del(&sa->list);
	WRITE_ONCE(xn->n_sas, xn->n_sas - 1);
	if (!xn->n_sas && !xn->dead)
		xe_hooks_unregister(xn->net);
	mutex_unlock(&xn->lock);
}

/**
 * xe_sa_claim - make a state that is being created an extended SA
 * @x: state; its original type's init_state() has succeeded
 * @gate: our type it was created through; x->type points to it
 * @xn: namespace
 * @params: what it shall be
 * @extack: for the reason of a refusal
 *
 * On success x->type is the SA's own, which has taken over the reference to
 * this module that came with the gate's. On error the state is as before, for
 * xfrm to destroy: nothing can have seen it.
 *
 * Return: 0 or a negative errno.
 */
int xe_sa_claim(struct xfrm_state *x, const struct xe_gate *gate,
		struct xe_net *xn, const struct xe_params *params,
		struct netlink_ext_ack *extack)
{
	const struct xe_mode *mode = xe_mode_get(x, params, extack);
	int encap_len, err;
	struct xe_sa *sa;

	if (!mode)
		return -EINVAL;
	encap_len = xe_udp_check(x, extack);
	if (encap_len < 0)
		return encap_len;
	err = xe_sa_check(x, params, extack);
	if (!err)
		err = xe_sa_check_free(x, extack);
	if (err)
		return err;
	sa = xe_sa_alloc(xn, params, extack);
	if (!sa)
		return -ENOMEM;
	sa->type = xe_sa_type;
	sa->gate = gate;
	sa->x = x;
	sa->id = (struct xe_id){
		.family	= x->props.family,
		.spi	= x->id.spi,
		.daddr	= x->id.daddr,
		.mark	= xe_mark(&x->mark),
	};
	sa->format = xe_params_format(params);
	sa->mode = mode;
	sa->encap_len = encap_len;
	sa->state = XFRM_EXT_STATE_CLAIMED;

	err = xe_crypto_init(sa, extack);
	if (err)
		goto err_free;
	err = xe_sa_enlist(sa, extack);
	if (err)
		goto err_free;
	err = xe_mtu_init(sa, x);
	if (err)
		goto err_list;

	xe_sa_unset_offload(x);
	x->props.extra_flags |= XFRM_EXT_SA_XFLAG;
	/* Whoever asks for the same announcement meanwhile looks at the SA */
	smp_store_release(&x->type, &sa->type);
	return 0;

err_list:
	xe_sa_delist(sa);
err_free:
	xe_sa_free(sa);
	return err;
}

/* Are received packets with a cipher? Asked when no more can come. */
static bool xe_sa_receives(const struct xe_sa *sa)
{
	u64 started = 0, finished = 0;
	int cpu;

	for_each_possible_cpu(cpu) {
		const struct xe_cpu *c = per_cpu_ptr(sa->cpu, cpu);

		finished += READ_ONCE(c->finished);
		started += READ_ONCE(c->started);
	}
	/* Pairs with the barrier in xe_fast_finished() */
	smp_mb();
	return started != finished;
}

/**
 * xe_sa_destructor - xfrm_type::destructor of an extended SA
 * @x: state whose last reference is gone
 *
 * Context: process, may sleep.
 */
void xe_sa_destructor(struct xfrm_state *x)
{
	struct xe_sa *sa = xe_sa_of(x);
	const struct xe_gate *gate = sa->gate;
	unsigned long rcu;
	bool hashed;

	might_sleep();
	xe_announce_release(sa->xn, x);
	/*
	 * Receivers find us without a reference. If the kernel told us of the
	 * deletion, their time was over long ago and this does not wait; of
	 * the single states of a flush it does not.
	 */
	spin_lock_bh(&sa->lock);
	hashed = sa->hashed;
	spin_unlock_bh(&sa->lock);
	if (hashed)
		xe_sa_unhash_dead(sa->xn);
	spin_lock_bh(&sa->lock);
	rcu = sa->rcu;
	spin_unlock_bh(&sa->lock);
	cond_synchronize_rcu(rcu);
	/* Nor do their packets have one while a cipher has them */
	while (xe_sa_receives(sa))
		usleep_range(1000, 20000);
	xe_standin_exit(sa);
	xe_sa_delist(sa);

	xe_mtu_exit(sa, x);
	gate->orig->destructor(x);
	/* xfrm drops the reference to this module through it */
	WRITE_ONCE(x->type, &gate->type);
	xe_sa_free(sa);
}

/**
 * xe_sa_init - be ready for SAs
 *
 * Return: 0 or a negative errno.
 */
int xe_sa_init(void)
{
	int err = rhltable_init(&xe_sa_table, &xe_sa_table_params);

	if (!err)
		xfrm_register_km(&xe_km);
	return err;
}

/**
 * xe_sa_exit - no SA is left
 */
void xe_sa_exit(void)
{
	xfrm_unregister_km(&xe_km);
	rhltable_destroy(&xe_sa_table);
}
