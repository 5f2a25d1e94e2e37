// SPDX-License-Identifier: GPL-2.0-only
/*
 * The gate: every ESP state of the kernel is initialised through us.
 *
 * xfrm calls the init_state() of a state's type before the state can be seen
 * by anybody, in process context, with room for an error text. So our type is
 * registered in the place of esp4's and esp6's. A state gets the type inside a
 * struct xe_sa of its own if it was announced, if an extended SA had its key - it is
 * a clone that MIGRATE makes, or one that a daemon makes again for another address -
 * or if a rule is about it. If it has the mark of an extended SA and is none of
 * these it is refused. Any other gets the original type there and then, and costs
 * nothing more from then on.
 *
 * An announcement is not used up by a state that never comes to be in place: the next
 * one of the kind, as a daemon sends that was refused and asks for less, is no plain
 * one for it. So there is no moment at which an extended SA is a plain one, and none
 * at which two states count from one counter's start under one key.
 */
#include <net/xfrm.h>

#include "control.h"

static int xe_gate_init_state(struct xfrm_state *x,
			      struct netlink_ext_ack *extack);
static void xe_gate_destructor(struct xfrm_state *x);
static int xe_gate_refuse(struct xfrm_state *x, struct sk_buff *skb);

#define XE_GATE {						\
	.used	= xe_announce_used,				\
	.end	= xe_life_end,					\
	.type = {						\
		.owner		= THIS_MODULE,			\
		.proto		= IPPROTO_ESP,			\
		.init_state	= xe_gate_init_state,		\
		.destructor	= xe_gate_destructor,		\
		.input		= xe_gate_refuse,		\
		.output		= xe_gate_refuse,		\
	},							\
}

static struct xe_gate xe_gate4 = XE_GATE;
static struct xe_gate xe_gate6 = XE_GATE;

/* A state whose initialisation failed, on its way to be freed */
static void xe_gate_destructor(struct xfrm_state *x)
{
	const struct xe_gate *gate = container_of(x->type, struct xe_gate,
						  type);

	gate->orig->destructor(x);
}

/* Unreachable: no state that has the gate's own type is ever inserted */
static int xe_gate_refuse(struct xfrm_state *x, struct sk_buff *skb)
{
	return -EINVAL;
}

/* It has nothing to do with us from now on */
static int xe_gate_plain(struct xfrm_state *x, const struct xe_gate *gate)
{
	/*
	 * The original's module is held for as long as the gate stands; the state
	 * needs a reference of its own.
	 */
	__module_get(gate->orig->owner);
	x->type = gate->orig;
	/*
	 * xfrm took this reference for the gate. It may have been the last:
	 * xe_gate_exit() waits for us to get out of here.
	 */
	module_put(THIS_MODULE);
	return 0;
}

/*
 * What a state is whose key others have had. What MIGRATE copies is what it was, whatever
 * another SA with its key has been since; of an SA that is gone the last one counts.
 */
static void xe_gate_known(struct xe_net *xn, const struct xe_id *id,
			  struct xe_claim *claim, bool clone)
{
	const struct xe_sa *sa = NULL;

	mutex_lock(&xn->lock);
	if (clone)
		sa = xe_sa_find(xn, id);
	if (sa && sa->numbers == claim->known)
		claim->params = sa->params;
	else
		xe_numbers_params(claim->known, &claim->params);
	mutex_unlock(&xn->lock);
	claim->params.flags &= ~XFRM_EXT_SA_F_HOLD;
	/* Whoever has to set them has not done so */
	if (READ_ONCE(claim->known->held))
		claim->params.flags |= XFRM_EXT_SA_F_HOLD;
}

/* What shall a new state be? 0, -ENOENT: nobody says anything, or why it cannot be */
static int xe_gate_ask(struct xfrm_state *x, struct xe_net *xn,
		       const struct xe_id *id, struct xe_claim *claim,
		       struct netlink_ext_ack *extack)
{
	/* MIGRATE copies everything, also that the state is valid */
	bool clone = x->km.state != XFRM_STATE_VOID;
	int err = -ENOENT;

	if (!clone)
		err = xe_announce_claim(xn, id, x, &claim->params, extack);
	if (err != -ENOENT) {
		claim->announced = !err;
		return err;
	}
	/* Numbers have been used with its key; whoever has it goes on with them */
	if (claim->known) {
		xe_gate_known(xn, id, claim, clone);
		return 0;
	}
	if (x->props.extra_flags & XFRM_EXT_SA_XFLAG) {
		xe_extack(extack,
			  "SA is marked as extended, but no announcement fits its daddr, spi and mark");
		return -ENOKEY;
	}
	/* A clone of a plain one has numbers of its own */
	if (!clone && xe_rule_match(xn, x, claim) == XE_RULE_EXTEND)
		return 0;
	if (!clone)
		err = xe_numbers_check_plain(xn, x, extack);
	return err ?: -ENOENT;
}

/*
 * Does what the SA is say so, and not the moment? Then it is of a kind that may be plain.
 * -ENOENT is none of it: the kernel says that of a cipher also if memory was short while
 * it was made. And it has the cipher: the original type has taken the SA.
 */
static bool xe_gate_for_good(int err)
{
	return err == -EINVAL || err == -EOPNOTSUPP || err == -ENAMETOOLONG;
}

static int xe_gate_claim(struct xfrm_state *x, const struct xe_gate *gate,
			 struct xe_net *xn, const struct xe_id *id,
			 const struct xe_claim *claim,
			 struct netlink_ext_ack *extack)
{
	/* Some who make states do not want to hear why not; listeners do */
	struct netlink_ext_ack why = {};
	int err;

	err = xe_life_claim(x, gate, xn, claim, &why);
	if (err && extack)
		*extack = why;
	if (claim->announced && err)
		xe_announce_release(xn, x);
	if (!claim->rule)
		return err;
	/* With a root key the original type has made something that must not be used */
	if (!err)
		xe_rule_hit(xn, claim->rule);
	else if (xe_rule_failed(xn, id, claim->rule, why._msg,
				xe_gate_for_good(err) &&
				!xe_suite_has_root(x, &claim->params) &&
				!xe_numbers_check_plain(xn, x, extack)))
		err = xe_gate_plain(x, gate);
	return err;
}

/*
 * The original type's part, for a state that shall be an extended one. It would
 * refuse a root key, which is none of the cipher's: so it is shown another one.
 */
static int xe_gate_init_orig(struct xfrm_state *x, const struct xe_gate *gate,
			     const struct xe_claim *claim,
			     struct netlink_ext_ack *extack)
{
	struct xfrm_algo_aead *root = x->aead, *standin;
	int err;

	if (!xe_suite_has_root(x, &claim->params))
		return gate->orig->init_state(x, extack);
	standin = xe_suite_standin(x);
	if (!standin)
		return -ENOMEM;
	x->aead = standin;
	err = gate->orig->init_state(x, extack);
	x->aead = root;
	kfree(standin);
	return err;
}

static int xe_gate_init_state(struct xfrm_state *x,
			      struct netlink_ext_ack *extack)
{
	const struct xe_gate *gate = container_of(x->type, struct xe_gate,
						  type);
	struct xe_net *xn = xe_net(xs_net(x));
	struct xe_id id = {
		.family	= x->props.family,
		.spi	= x->id.spi,
		.mark	= xe_mark(&x->mark),
		.daddr	= x->id.daddr,
	};
	struct xe_claim claim = {};
	int err;

	might_sleep();
	claim.known = xe_numbers_find(xn, x, extack);
	if (IS_ERR(claim.known)) {
		err = PTR_ERR(claim.known);
		claim.known = NULL;
	} else {
		err = xe_gate_ask(x, xn, &id, &claim, extack);
	}
	if (err == -ENOENT) {
		err = gate->orig->init_state(x, extack);
		if (!err)
			err = xe_gate_plain(x, gate);
	} else if (!err) {
		err = xe_gate_init_orig(x, gate, &claim, extack);
		if (!err)
			err = xe_gate_claim(x, gate, xn, &id, &claim, extack);
		else if (claim.announced)
			xe_announce_release(xn, x);
	}
	/* xfrm frees a clone that is refused at once and wants it dead */
	if (err && x->km.state != XFRM_STATE_VOID)
		x->km.state = XFRM_STATE_DEAD;
	if (claim.known)
		xe_numbers_put(claim.known, NULL);
	return err;
}

/* Can there be ESP over IPv6? Not if the machine does without IPv6 */
static bool xe_gate_ipv6(void)
{
	bool ipsec;

	rcu_read_lock();
	ipsec = xfrm_state_afinfo_get_rcu(AF_INET6);
	rcu_read_unlock();
	return ipsec && IS_ENABLED(CONFIG_INET6_ESP);
}

/*
 * The kernel's own type of a family, with its module held. There is no call
 * that names it, but a state that cannot be initialised for want of a key has
 * it all the same.
 */
static int xe_gate_find(struct xe_gate *gate, u16 family)
{
	const struct xfrm_type *type;
	struct xfrm_state *x;

	x = xfrm_state_alloc(&init_net);
	if (!x)
		return -ENOMEM;
	x->id.proto = IPPROTO_ESP;
	x->props.family = family;
	x->props.mode = XFRM_MODE_TUNNEL;
	x->sel.family = family;
	xe_state_init(x);
	type = x->type;
	if (type && try_module_get(type->owner))
		gate->orig = type;
	x->km.state = XFRM_STATE_DEAD;
	xfrm_state_put(x);
	return gate->orig ? 0 : -EPROTONOSUPPORT;
}

static int xe_gate_open(struct xe_gate *gate, u16 family)
{
	int err;

	/*
	 * A state made between these two finds no type; xfrm then asks for
	 * the module, which takes longer than this, and looks again.
	 */
	xfrm_unregister_type(gate->orig, family);
	err = xfrm_register_type(&gate->type, family);
	if (err) {
		xfrm_register_type(gate->orig, family);
		return err;
	}
	WRITE_ONCE(gate->open, true);
	return 0;
}

static void xe_gate_forget(struct xe_gate *gate)
{
	if (gate->orig)
		module_put(gate->orig->owner);
	gate->orig = NULL;
}

static void xe_gate_close(struct xe_gate *gate, u16 family)
{
	if (!gate->open)
		return;
	xfrm_unregister_type(&gate->type, family);
	xfrm_register_type(gate->orig, family);
}

/**
 * xe_gate_family - can SAs of this outer family be extended?
 * @family: AF_INET or AF_INET6
 *
 * Return: false if this kernel has no ESP for the family.
 */
bool xe_gate_family(u16 family)
{
	return (family == AF_INET && READ_ONCE(xe_gate4.open)) ||
	       (family == AF_INET6 && READ_ONCE(xe_gate6.open));
}

/**
 * xe_gate_init - put the gate into place
 *
 * Context: module load. Loads esp4 and esp6 if need be.
 * Return: 0 or a negative errno: nothing has been through the gate. A kernel without
 *         IPv6 is no error.
 */
int xe_gate_init(void)
{
	int err;

	/*
	 * Both before either stands: what has gone through one cannot be called back. And we
	 * do not go on without one that may yet come, to have its place to itself and make
	 * plain SAs of what rules say.
	 */
	err = xe_gate_find(&xe_gate4, AF_INET);
	if (!err && xe_gate_ipv6())
		err = xe_gate_find(&xe_gate6, AF_INET6);
	if (err) {
		pr_err("cannot find the kernel's own ESP: %d\n", err);
		goto err_forget;
	}
	err = xe_gate_open(&xe_gate4, AF_INET);
	if (err)
		goto err_forget;
	/* Its place is empty at that moment: this cannot fail */
	if (!xe_gate6.orig || xe_gate_open(&xe_gate6, AF_INET6))
		pr_info("no ESP for IPv6 in this kernel: IPv4 SAs only\n");
	return 0;

err_forget:
	xe_gate_forget(&xe_gate6);
	xe_gate_forget(&xe_gate4);
	return err;
}

/**
 * xe_gate_exit - take the gate away
 *
 * Context: module unload; no state has our types any more.
 */
void xe_gate_exit(void)
{
	xe_gate_close(&xe_gate6, AF_INET6);
	xe_gate_close(&xe_gate4, AF_INET);
	/* Somebody may still be between our last module_put() and its return */
	synchronize_rcu_tasks();
	synchronize_rcu();
	xe_gate_forget(&xe_gate6);
	xe_gate_forget(&xe_gate4);
}
