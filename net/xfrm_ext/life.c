// SPDX-License-Identifier: GPL-2.0-only
/*
 * How an extended SA comes to be and ends: xfrm asks the gate for a new state,
 * tells the key managers, of whom we are one, that it is in place, and calls its
 * type's destructor when nobody has it any more.
 */
#include <crypto/aead.h>
#include <linux/delay.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "control.h"

/* As the kernel's own type of the family, but for what we are here for */
static void xe_life_type(struct xfrm_type *type, const struct xfrm_type *orig)
{
	*type = *orig;
	type->owner = THIS_MODULE;
	/* The kernel leaves sequence numbers alone */
	type->flags &= ~XFRM_TYPE_REPLAY_PROT;
	type->destructor = xe_sa_destructor;
	type->input = xe_input;
	type->output = xe_output;
}

/* Everything about the state that can be checked before it is in place */
static int xe_life_check(const struct xfrm_state *x,
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
static int xe_life_check_free(struct xfrm_state *x,
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

static void xe_life_free(struct xe_sa *sa)
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
static struct xe_sa *xe_life_alloc(struct xe_net *xn,
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
	xe_life_free(sa);
	return NULL;
}

/* Into the namespace's list; the first SA brings the hooks */
static int xe_life_enlist(struct xe_sa *sa, struct netlink_ext_ack *extack)
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

static void xe_life_delist(struct xe_sa *sa)
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
 * xe_life_claim - make a state that is being created an extended SA
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
int xe_life_claim(struct xfrm_state *x, const struct xe_gate *gate,
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
	err = xe_life_check(x, params, extack);
	if (!err)
		err = xe_life_check_free(x, extack);
	if (err)
		return err;
	sa = xe_life_alloc(xn, params, extack);
	if (!sa)
		return -ENOMEM;
	xe_life_type(&sa->type, gate->orig);
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
	err = xe_life_enlist(sa, extack);
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
	xe_life_delist(sa);
err_free:
	xe_life_free(sa);
	return err;
}

/* Are received packets with a cipher? Asked when no more can come. */
static bool xe_life_receives(const struct xe_sa *sa)
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
 * xe_life_end - xe_gate::end
 * @sa: SA; the last reference to its state is gone
 *
 * Context: process, may sleep.
 */
void xe_life_end(struct xe_sa *sa)
{
	const struct xe_gate *gate = sa->gate;
	struct xfrm_state *x = sa->x;
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
	while (xe_life_receives(sa))
		usleep_range(1000, 20000);
	xe_standin_exit(sa);
	xe_life_delist(sa);

	xe_mtu_exit(sa, x);
	gate->orig->destructor(x);
	/* xfrm drops the reference to this module through it */
	WRITE_ONCE(x->type, &gate->type);
	xe_life_free(sa);
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

/**
 * xe_life_init - be told of states
 */
void xe_life_init(void)
{
	xfrm_register_km(&xe_km);
}

/**
 * xe_life_exit - no more
 */
void xe_life_exit(void)
{
	xfrm_unregister_km(&xe_km);
}
