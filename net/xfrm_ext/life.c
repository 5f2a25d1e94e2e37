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

/*
 * What key managers ask of the kernel that is ours to do: extended sequence numbers,
 * and a window. Of two widths the larger one holds.
 */
static int xe_life_adopt(const struct xfrm_state *x, struct xe_params *p,
			 struct netlink_ext_ack *extack)
{
	u64 sn_max = xe_params_format(p)->sn_max;
	bool windows = p->rx_subspaces &&
		       !(p->flags & XFRM_EXT_SA_F_NO_REPLAY_PROTECTION);

	if (x->props.flags & XFRM_STATE_ESN &&
	    p->format == XFRM_EXT_FORMAT_ESP) {
		/* RFC 4303 section 3.4.3: the high half comes from the window */
		if (p->rx_subspaces && !windows) {
			xe_extack(extack,
				  "flag esn contradicts replay protection off: there is no window to tell the high half from");
			return -EINVAL;
		}
		p->flags |= XFRM_EXT_SA_F_ESN;
		/* Unless somebody has said otherwise */
		if (p->tx_warn == sn_max - sn_max / 16) {
			sn_max = xe_params_format(p)->sn_max;
			p->tx_warn = sn_max - sn_max / 16;
		}
	}
	if (windows && x->props.replay_window > p->window) {
		struct xe_params wide = *p;

		wide.window = roundup_pow_of_two(x->props.replay_window);
		if (xe_subspaces_memory(&wide) <= p->memory_max)
			p->window = wide.window;
	}
	return 0;
}

/*
 * In eesp the mode says whether there is a Payload Info Header, which is what trailer
 * front is, or none, which is omit (draft-ietf-ipsecme-eesp section 2.8); but whoever
 * sends something in clear says what it is (section 3.1.2)
 */
static int xe_life_eesp(const struct xfrm_state *x, struct xe_params *p,
			struct netlink_ext_ack *extack)
{
	u32 trailer = x->props.mode == XFRM_MODE_TUNNEL && !p->tx_crypt_offset ?
		      XFRM_EXT_TRAILER_OMIT : XFRM_EXT_TRAILER_FRONT;

	if (p->format != XFRM_EXT_FORMAT_EESP)
		return 0;
	if (p->trailer != XFRM_EXT_TRAILER_END && p->trailer != trailer) {
		xe_extack(extack,
			  "trailer %u with format eesp (%u) and mode %u: must be absent, or what the mode has, %u",
			  p->trailer, p->format, x->props.mode, trailer);
		return -EINVAL;
	}
	p->trailer = trailer;
	/* Section 1: IP-TFS has */
	if (x->tfcpad) {
		xe_extack(extack,
			  "tfcpad %u with format eesp (%u), which has none; must be 0",
			  x->tfcpad, p->format);
		return -EINVAL;
	}
	return 0;
}

/* Everything about the state that can be checked before it is in place */
static int xe_life_check(const struct xfrm_state *x,
			 const struct xe_params *params,
			 struct netlink_ext_ack *extack)
{
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
	if (sa->listens)
		xe_listen_put();
	/* Nobody has seen it if it was never set up, and then there is nothing */
	xe_subspaces_settle(sa);
	/* If packets could be carried by it, it is what others knew it as */
	xe_numbers_put(sa->numbers, xe_sa_set_up(sa) || xe_sa_held(sa) ?
				    &sa->params : NULL);
	free_percpu(sa->cpu);
	xe_crypto_exit(sa);
	xe_memory_give(sa->xn, xe_memory_of_sa());
	xe_net_put(sa->xn);
	kfree(sa);
}

/* All memory but that of counters and windows. Takes the numbers if it succeeds. */
static struct xe_sa *xe_life_alloc(struct xe_net *xn,
				   const struct xe_params *params,
				   struct xe_numbers *numbers)
{
	struct xe_sa *sa;

	if (!xe_numbers_make_room(xn, xe_memory_of_sa()))
		return NULL;
	sa = kzalloc(sizeof(*sa), GFP_KERNEL_ACCOUNT);
	if (!sa)
		goto err;
	sa->cpu = alloc_percpu_gfp(struct xe_cpu, GFP_KERNEL_ACCOUNT);
	if (!sa->cpu) {
		kfree(sa);
		goto err;
	}
	sa->xn = xe_net_get(xn);
	sa->params = *params;
	sa->params.tx_start = READ_ONCE(numbers->params.tx_start);
	sa->params.window = READ_ONCE(numbers->params.window);
	sa->numbers = numbers;
	sa->tx = numbers->tx;
	sa->rx = numbers->rx;
	sa->home = -1;
	spin_lock_init(&sa->lock);
	return sa;
err:
	xe_memory_give(xn, xe_memory_of_sa());
	return NULL;
}

/* A clone that may be in place, or will be at once */
static bool xe_life_awaits(const struct xe_sa *sa)
{
	return sa->clone && xe_sa_pending(sa);
}

/**
 * xe_life_visit - somebody wants to know how an SA fares
 * @sa: SA
 *
 * Brings the kernel's figures up to date. Nobody tells when MIGRATE has put a state
 * into place; until a packet of it finds out, this does. (Not every packet can: the
 * kernel's own windows may come before us.)
 *
 * Context: process; the namespace's lock is held.
 */
void xe_life_visit(struct xe_sa *sa)
{
	struct xfrm_state *x = sa->x, *found;

	if (xe_life_awaits(sa)) {
		found = xfrm_state_lookup(xs_net(x), x->mark.v & x->mark.m,
					  &x->id.daddr, x->id.spi, x->id.proto,
					  x->props.family);
		if (found == x)
			xe_sa_publish(sa);
		if (found)
			xfrm_state_put(found);
	}
	xe_lifetime_fold(sa);
}

/*
 * Daemons ask the kernel what an SA has carried, and when, to see whether the peer is
 * alive; the figures of a CPU's last credit are not there yet.
 */
static void xe_life_fold(struct work_struct *work)
{
	struct xe_net *xn = container_of(to_delayed_work(work), struct xe_net,
					 fold);
	bool awaits = false;
	struct xe_sa *sa;

	mutex_lock(&xn->lock);
	list_for_each_entry(sa, &xn->sas, list) {
		if (xe_life_awaits(sa)) {
			xe_life_visit(sa);
			awaits |= xe_life_awaits(sa);
		} else if (xe_lifetime_lags(sa)) {
			xe_lifetime_fold(sa);
		}
	}
	if (xn->n_sas && !xn->dead)
		queue_delayed_work(system_power_efficient_wq, &xn->fold,
				   awaits ? 1 : HZ);
	mutex_unlock(&xn->lock);
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
	/* Whoever comes does not put off what others wait for */
	if (sa->clone)
		mod_delayed_work(system_power_efficient_wq, &xn->fold, 1);
	else
		queue_delayed_work(system_power_efficient_wq, &xn->fold, HZ);
	sa->serial = ++xn->serial;
	list_add_tail(&sa->list, &xn->sas);
	xe_rule_join(sa);
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
	/* It counts no more */
	xe_stats_add_up(sa, xn->past);
	xe_rule_leave(sa);
	WRITE_ONCE(xn->n_sas, xn->n_sas - 1);
	if (!xn->n_sas && !xn->dead)
		xe_hooks_unregister(xn->net);
	mutex_unlock(&xn->lock);
}

/*
 * Section 2.5 of the draft: what is behind all headers is at a multiple of eight
 * octets where there is IPv6, inside or outside
 */
static const struct xe_format *xe_life_eesp_format(const struct xfrm_state *x,
						   const struct xe_params *p)
{
	bool padded = p->trailer == XFRM_EXT_TRAILER_FRONT &&
		      (x->props.family == AF_INET6 ||
		       (x->props.mode == XFRM_MODE_BEET &&
			x->sel.family == AF_INET6));

	return xe_eesp_format(xe_suite_has_root(x, p), p->tx_crypt_offset,
			      padded);
}

/* What its packets are on the wire, and who takes them there */
static int xe_life_wire(struct xe_sa *sa, struct netlink_ext_ack *extack)
{
	int err;

	if (sa->params.format != XFRM_EXT_FORMAT_EESP) {
		sa->format = xe_params_format(&sa->params);
		sa->protocol = sa->encap_len ? IPPROTO_UDP : IPPROTO_ESP;
		sa->encap_type = sa->encap_len ? UDP_ENCAP_ESPINUDP : 0;
		return 0;
	}
	err = xe_listen_get(extack);
	if (err)
		return err;
	sa->listens = true;
	sa->format = xe_life_eesp_format(sa->x, &sa->params);
	sa->protocol = sa->encap_len ? IPPROTO_UDP : xe_listen_protocol();
	sa->encap_type = XE_ENCAP_OWN;
	return 0;
}

/**
 * xe_life_claim - make a state that is being created an extended SA
 * @x: state; its original type's init_state() has succeeded
 * @gate: our type it was created through; x->type points to it
 * @xn: namespace
 * @claim: what it shall be, and who says so
 * @extack: for the reason of a refusal
 *
 * On success x->type is the SA's own, which has taken over the reference to
 * this module that came with the gate's. On error the state is as before, for
 * xfrm to destroy or for a plain SA: nothing can have seen it.
 *
 * Return: 0 or a negative errno.
 */
int xe_life_claim(struct xfrm_state *x, const struct xe_gate *gate,
		  struct xe_net *xn, const struct xe_claim *claim,
		  struct netlink_ext_ack *extack)
{
	struct xe_params params = claim->params;
	struct xe_numbers *numbers;
	const struct xe_mode *mode;
	int encap_len, err;
	struct xe_sa *sa;

	err = xe_life_eesp(x, &params, extack);
	if (err)
		return err;
	mode = xe_mode_get(x, &params, extack);
	if (!mode)
		return -EINVAL;
	encap_len = xe_udp_check(x, extack);
	if (encap_len < 0)
		return encap_len;
	/* A rule is for SAs of any kind, and one that moves may come to have UDP */
	if (claim->announced && params.flags & XFRM_EXT_SA_F_SPREAD) {
		err = xe_spread_check(x, &params, extack);
		if (err)
			return err;
	}
	/* Who has the key again is what he was */
	if (claim->announced || !claim->known)
		err = xe_life_adopt(x, &params, extack);
	if (!err)
		err = xe_life_check(x, &params, extack);
	if (!err && claim->announced)
		err = xe_life_check_free(x, extack);
	if (err)
		return err;
	numbers = xe_numbers_get(xn, x, claim->known, &params, extack);
	if (PTR_ERR(numbers) == -ENOMEM)
		goto nomem;
	if (IS_ERR(numbers))
		return PTR_ERR(numbers);
	sa = xe_life_alloc(xn, &params, numbers);
	if (!sa) {
		xe_numbers_put(numbers, NULL);
		goto nomem;
	}
	if (claim->rule)
		WRITE_ONCE(numbers->rule, claim->rule);
	if (!claim->announced)
		sa->rule = READ_ONCE(numbers->rule);
	sa->announced = claim->announced;
	sa->clone = x->km.state != XFRM_STATE_VOID;
	xe_life_type(&sa->type, gate->orig);
	sa->gate = gate;
	sa->x = x;
	sa->id = (struct xe_id){
		.family	= x->props.family,
		.spi	= x->id.spi,
		.daddr	= x->id.daddr,
		.mark	= xe_mark(&x->mark),
	};
	sa->mode = mode;
	sa->encap_len = encap_len;
	sa->state = XFRM_EXT_STATE_CLAIMED;

	err = xe_life_wire(sa, extack);
	if (err)
		goto err_free;
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
	/* The kernel has none to look at */
	x->props.replay_window = 0;
	if (!claim->announced)
		WRITE_ONCE(numbers->keep, true);
	/* Whoever asks for the same announcement meanwhile looks at the SA */
	smp_store_release(&x->type, &sa->type);
	return 0;

err_list:
	xe_life_delist(sa);
err_free:
	xe_life_free(sa);
	return err;

nomem:
	return xe_memory_refused(xn, "an SA", xe_memory_of_sa() +
				 xe_numbers_memory(&params), extack);
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

	/* Of one in place, a state that is thrown away is what it was to become */
	if (x && c->event == XFRM_MSG_UPDSA &&
	    (!sa || x->km.state == XFRM_STATE_DEAD)) {
		xe_sa_updated(x);
		return 0;
	}
	if (!sa)
		return 0;
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
 * xe_life_init_net - a namespace begins
 * @xn: its part, not visible to others yet
 */
void xe_life_init_net(struct xe_net *xn)
{
	INIT_DELAYED_WORK(&xn->fold, xe_life_fold);
}

/**
 * xe_life_exit_net - a namespace ends
 * @xn: its part, marked dead: no SA comes any more
 */
void xe_life_exit_net(struct xe_net *xn)
{
	cancel_delayed_work_sync(&xn->fold);
}

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
