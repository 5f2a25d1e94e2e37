// SPDX-License-Identifier: GPL-2.0-only
/*
 * One key, one set of numbers. Counters and windows belong to a key, not to an SA:
 * a key manager that deletes an SA and makes it again (for another address, say,
 * RFC 4555), MIGRATE, which copies it, or somebody who types it in a second time,
 * goes on where the first one was. So no nonce comes twice under a key, and no packet
 * is accepted twice.
 *
 * Keys are known by a keyed digest, by namespace. A key is remembered as long as an
 * SA has it, and for some minutes more if it was used. If memory is short before that,
 * its counters and windows go and it is refused for the rest of the time.
 */
#include <linux/memcontrol.h>
#include <linux/once.h>
#include <linux/random.h>
#include <linux/sched/mm.h>
#include <linux/siphash.h>
#include <linux/slab.h>

#include "sa.h"

#define XE_NUMBERS_KEEP		300	/* seconds */
#define XE_NUMBERS_IDLE_MAX	4096	/* keys of a namespace that no SA has */
#define XE_NUMBERS_BULK		65536	/* octets of windows that wait for an SA */

/*
 * What nonces are made with: the key of the encryption, with its salt. Where there is
 * none, that of the integrity.
 */
static void xe_numbers_digest(const struct xfrm_state *x, u64 *digest)
{
	static siphash_key_t secret[2] __read_mostly;
	const void *key = NULL;
	unsigned int bits = 0;
	int i;

	net_get_random_once(secret, sizeof(secret));
	if (x->aead) {
		key = x->aead->alg_key;
		bits = x->aead->alg_key_len;
	} else if (x->ealg && x->ealg->alg_key_len) {
		key = x->ealg->alg_key;
		bits = x->ealg->alg_key_len;
	} else if (x->aalg) {
		key = x->aalg->alg_key;
		bits = x->aalg->alg_key_len;
	}
	for (i = 0; i < 2; i++)
		digest[i] = siphash(key, DIV_ROUND_UP(bits, 8), &secret[i]);
}

static struct hlist_head *xe_numbers_slot(struct xe_net *xn, const u64 *digest)
{
	return &xn->numbers[digest[0] % XE_KEY_SLOTS];
}

/* The numbers of a key that SAs of this SPI have, or of any other one */
static struct xe_numbers *xe_numbers_of(struct xe_net *xn, const u64 *digest,
					__be32 spi, bool same)
{
	struct xe_numbers *n;

	lockdep_assert_held(&xn->numbers_lock);
	hlist_for_each_entry(n, xe_numbers_slot(xn, digest), node) {
		bool equal = n->spi == spi;

		if (n->digest[0] == digest[0] && n->digest[1] == digest[1] &&
		    equal == same)
			return n;
	}
	return NULL;
}

static unsigned int xe_numbers_left(const struct xe_numbers *n)
{
	long left = n->users ? XE_NUMBERS_KEEP * HZ :
			       (long)(n->expires - jiffies);

	return DIV_ROUND_UP(max(left, 0L), HZ);
}

static u64 xe_numbers_octets(const struct xe_numbers *n)
{
	return sizeof(*n) + atomic64_read(&n->memory);
}

/**
 * xe_numbers_memory - what numbers take before any is used
 * @p: what their SA shall be
 *
 * Return: octets.
 */
u64 xe_numbers_memory(const struct xe_params *p)
{
	return sizeof(struct xe_numbers) + xe_subspaces_idle(p);
}

static void xe_numbers_free(struct xe_numbers *n)
{
	xe_subspaces_exit(n);
	mem_cgroup_put(n->memcg);
	xe_memory_give(n->xn, xe_numbers_octets(n));
	kfree_sensitive(n);
}

static void xe_numbers_unlink(struct xe_numbers *n)
{
	lockdep_assert_held(&n->xn->numbers_lock);
	hlist_del(&n->node);
	WRITE_ONCE(n->xn->n_numbers, n->xn->n_numbers - 1);
}

static void xe_numbers_idle(struct xe_net *xn, int count, s64 octets)
{
	lockdep_assert_held(&xn->numbers_lock);
	WRITE_ONCE(xn->n_idle, xn->n_idle + count);
	WRITE_ONCE(xn->idle_memory, xn->idle_memory + octets);
}

static void xe_numbers_busy(struct xe_numbers *n)
{
	lockdep_assert_held(&n->xn->numbers_lock);
	if (n->users++)
		return;
	list_del(&n->list);
	xe_numbers_idle(n->xn, -1, -xe_numbers_octets(n));
}

/* The one that is to be forgotten first; for xe_numbers_free() */
static struct xe_numbers *xe_numbers_take_idle(struct xe_net *xn)
{
	struct xe_numbers *n;

	lockdep_assert_held(&xn->numbers_lock);
	n = list_first_entry_or_null(&xn->idle, struct xe_numbers, list);
	if (n) {
		list_del(&n->list);
		xe_numbers_idle(xn, -1, -xe_numbers_octets(n));
		xe_numbers_unlink(n);
	}
	return n;
}

/*
 * The key stays, and is refused, but what it has used is not known any more. @rest takes
 * that, for xe_subspaces_exit() and xe_memory_give().
 */
static void xe_numbers_empty(struct xe_numbers *n, struct xe_numbers *rest)
{
	lockdep_assert_held(&n->xn->numbers_lock);
	rest->params = n->params;
	rest->tx = n->tx;
	rest->rx = n->rx;
	rest->floors = n->floors;
	atomic64_set(&rest->memory, atomic64_read(&n->memory));
	n->stripped = true;
	n->tx = NULL;
	n->rx = NULL;
	n->floors = NULL;
	atomic64_set(&n->memory, 0);
}

/* So with the one that is to be forgotten first. False if there is none that has any */
static bool xe_numbers_strip(struct xe_net *xn)
{
	struct xe_numbers *n, rest = {};

	spin_lock(&xn->numbers_lock);
	list_for_each_entry(n, &xn->idle, list) {
		if (n->stripped)
			continue;
		xe_numbers_empty(n, &rest);
		xe_numbers_idle(xn, 0, -atomic64_read(&rest.memory));
		break;
	}
	spin_unlock(&xn->numbers_lock);
	if (!rest.tx && !rest.rx)
		return false;
	xe_subspaces_exit(&rest);
	xe_memory_give(xn, atomic64_read(&rest.memory));
	return true;
}

/**
 * xe_numbers_make_room - take memory, if need be from keys that no SA has
 * @xn: namespace's part
 * @octets: how much, for xe_memory_give()
 *
 * Nothing is taken from them if that would not do.
 *
 * Context: process.
 * Return: false if there is not so much.
 */
bool xe_numbers_make_room(struct xe_net *xn, u64 octets)
{
	while (!xe_memory_take(xn, octets)) {
		/* But for what stays of the keys themselves */
		u64 spare = READ_ONCE(xn->idle_memory) -
			    READ_ONCE(xn->n_idle) * sizeof(struct xe_numbers);
		u64 used = atomic64_read(&xn->memory);

		if (used + octets > xe_memory_max_of(xn) + spare ||
		    !xe_numbers_strip(xn))
			return false;
	}
	return true;
}

static void xe_numbers_forget(struct work_struct *work)
{
	struct xe_net *xn = container_of(to_delayed_work(work), struct xe_net,
					 forget);
	struct xe_numbers *n, *next;
	LIST_HEAD(old);

	spin_lock(&xn->numbers_lock);
	while ((n = list_first_entry_or_null(&xn->idle, struct xe_numbers, list)) &&
	       time_after_eq(jiffies, n->expires)) {
		xe_numbers_take_idle(xn);
		list_add_tail(&n->list, &old);
	}
	if (n)
		queue_delayed_work(system_power_efficient_wq, &xn->forget,
				   n->expires - jiffies);
	spin_unlock(&xn->numbers_lock);
	list_for_each_entry_safe(n, next, &old, list)
		xe_numbers_free(n);
}

static int xe_numbers_refuse(const struct xe_numbers *n,
			     struct netlink_ext_ack *extack)
{
	if (n->users)
		xe_extack(extack,
			  "key is that of extended SA spi 0x%08x; a key is for one SA: make new ones",
			  ntohl(n->spi));
	else
		xe_extack(extack,
			  "key was that of extended SA spi 0x%08x; a key is for one SA: make new ones (remembered for %u s)",
			  ntohl(n->spi), xe_numbers_left(n));
	return -EEXIST;
}

/**
 * xe_numbers_find - what belongs to the key of a new state
 * @xn: namespace's part
 * @x: state, with its keys
 * @extack: for the reason of a refusal
 *
 * Context: process.
 * Return: numbers that an SA of the same SPI had, for xe_numbers_put(), NULL, or an
 *         error pointer: -EEXIST if nobody knows any more which of them were used.
 */
struct xe_numbers *xe_numbers_find(struct xe_net *xn,
				   const struct xfrm_state *x,
				   struct netlink_ext_ack *extack)
{
	struct xe_numbers *n;
	u64 digest[2];

	/* Plain SAs pay this where there never was an extended one */
	if (!READ_ONCE(xn->n_numbers))
		return NULL;
	xe_numbers_digest(x, digest);
	spin_lock(&xn->numbers_lock);
	n = xe_numbers_of(xn, digest, x->id.spi, true);
	if (n && n->stripped)
		n = ERR_PTR(xe_numbers_refuse(n, extack));
	else if (n)
		xe_numbers_busy(n);
	spin_unlock(&xn->numbers_lock);
	return n;
}

/**
 * xe_numbers_check_plain - may a plain SA have its key?
 * @xn: namespace's part
 * @x: state that is being made; xe_numbers_find() finds nothing
 * @extack: for the reason of a refusal
 *
 * Its numbers begin at 1, and some of the kernel's ciphers make nonces of them as we do.
 *
 * Context: process.
 * Return: 0, or -EEXIST if an extended SA has the key or has had it.
 */
int xe_numbers_check_plain(struct xe_net *xn, const struct xfrm_state *x,
			   struct netlink_ext_ack *extack)
{
	const struct xe_numbers *n;
	u64 digest[2];
	int err = 0;

	if (!READ_ONCE(xn->n_numbers))
		return 0;
	xe_numbers_digest(x, digest);
	spin_lock(&xn->numbers_lock);
	n = xe_numbers_of(xn, digest, x->id.spi, false) ?:
	    xe_numbers_of(xn, digest, x->id.spi, true);
	if (n)
		err = xe_numbers_refuse(n, extack);
	spin_unlock(&xn->numbers_lock);
	return err;
}

/* Do counters and windows of the one do for the other? A wider window does. */
static bool xe_numbers_fit(const struct xe_params *a, const struct xe_params *b)
{
	const u32 flags = XFRM_EXT_SA_F_ESN | XFRM_EXT_SA_F_NO_REPLAY_PROTECTION;

	return a->format == b->format && !((a->flags ^ b->flags) & flags) &&
	       a->tx_subspaces == b->tx_subspaces && a->tx_base == b->tx_base &&
	       a->rx_subspaces == b->rx_subspaces &&
	       (!a->rx_subspaces || a->window >= b->window);
}

static struct xe_numbers *xe_numbers_alloc(struct xe_net *xn,
					   const struct xe_params *params)
{
	u64 octets = xe_numbers_memory(params);
	struct xe_numbers *n;

	if (!xe_numbers_make_room(xn, octets))
		return NULL;
	n = kzalloc(sizeof(*n), GFP_KERNEL_ACCOUNT);
	if (!n) {
		xe_memory_give(xn, octets);
		return NULL;
	}
	n->xn = xn;
	n->users = 1;
	n->params = *params;
	n->held = params->flags & XFRM_EXT_SA_F_HOLD;
	n->memcg = get_mem_cgroup_from_mm(current->mm);
	atomic64_set(&n->memory, xe_subspaces_idle(params));
	if (!xe_subspaces_init(n))
		return n;
	xe_numbers_free(n);
	return NULL;
}

/* Never backward, whoever does the same at that moment; false: it is there already */
static bool xe_numbers_raise(u64 *value, u64 to)
{
	u64 now = READ_ONCE(*value);

	do {
		if (now >= to)
			return false;
	} while (!try_cmpxchg(value, &now, to));
	return true;
}

/**
 * xe_numbers_start - numbers below this have been used
 * @n: numbers
 * @start: first that has not been; xe_format::sn_max + 1 if none is left
 *
 * Context: any.
 */
void xe_numbers_start(struct xe_numbers *n, u64 start)
{
	struct xe_counter *c;
	u32 i;

	/* A barrier: who makes a counter now sees it, or we see the counter */
	if (!xe_numbers_raise(&n->params.tx_start, start))
		return;
	for (i = 0; i < n->params.tx_subspaces; i++) {
		/* Pairs with the cmpxchg() in xe_counter_make() */
		c = smp_load_acquire(&n->tx[i]);
		if (c)
			xe_counter_forward(c, start - 1);
	}
}

/**
 * xe_numbers_floor - received numbers up to this one have been seen
 * @n: numbers
 * @seq: the last of them
 *
 * Context: any.
 */
void xe_numbers_floor(struct xe_numbers *n, u64 seq)
{
	struct xe_window *w;
	u32 i;

	/* A barrier, as above */
	if (!xe_numbers_raise(&n->floor, seq))
		return;
	for (i = 0; i < n->params.rx_subspaces; i++) {
		/* Pairs with the cmpxchg() in xe_window_make() */
		w = smp_load_acquire(&n->rx[i]);
		if (w)
			xe_window_forward(w, seq);
	}
}

/**
 * xe_numbers_hold - what another machine may have used is not known: somebody will say it
 * @n: numbers of an SA that is being put into place, and is held
 *
 * Not before: an SA that comes to nothing leaves those alone that have its key.
 *
 * Context: any.
 */
void xe_numbers_hold(struct xe_numbers *n)
{
	struct xe_counter *c;
	u32 i;

	WRITE_ONCE(n->held, true);
	for (i = 0; i < n->params.tx_subspaces; i++) {
		/* Pairs with the cmpxchg() in xe_counter_make() */
		c = smp_load_acquire(&n->tx[i]);
		if (c)
			WRITE_ONCE(c->set, false);
	}
}

/**
 * xe_numbers_release - it has been said
 * @n: numbers of a held SA
 * @gap: transmit subspaces that were not set leave out so many numbers
 * @sn_max: the last number
 *
 * Context: any.
 */
void xe_numbers_release(struct xe_numbers *n, u64 gap, u64 sn_max)
{
	struct xe_counter *c;
	u32 i;

	/* GET tells it, so that the next to take over knows */
	xe_numbers_raise(&n->params.tx_start,
			 min(READ_ONCE(n->params.tx_start) + gap, sn_max + 1));
	/* Those that this machine used before the other one did */
	for (i = 0; i < n->params.tx_subspaces; i++) {
		/* Pairs with the cmpxchg() in xe_counter_make() */
		c = smp_load_acquire(&n->tx[i]);
		if (c && !READ_ONCE(c->set))
			xe_counter_forward(c, min(xe_counter_last(c) + gap,
						  sn_max));
	}
	WRITE_ONCE(n->held, false);
}

/* An SA goes on with them, if it is of the same kind */
static struct xe_numbers *xe_numbers_share(struct xe_numbers *n,
					   const struct xe_params *params,
					   struct netlink_ext_ack *extack)
{
	lockdep_assert_held(&n->xn->numbers_lock);
	if (!xe_numbers_fit(&n->params, params)) {
		xe_extack(extack,
			  "key was that of an SA with format %u, tx-subspaces %u, tx-base %u, rx-subspaces %u, window %u, flags 0x%x: be the same, or make new keys (remembered for %u s)",
			  n->params.format, n->params.tx_subspaces,
			  n->params.tx_base, n->params.rx_subspaces,
			  n->params.window, n->params.flags,
			  xe_numbers_left(n));
		return ERR_PTR(-EEXIST);
	}
	if (READ_ONCE(n->held) && !(params->flags & XFRM_EXT_SA_F_HOLD)) {
		xe_extack(extack,
			  "key is that of a held SA, whose counters nobody has set: hold on, set, release");
		return ERR_PTR(-EEXIST);
	}
	xe_numbers_busy(n);
	xe_numbers_start(n, params->tx_start);
	return n;
}

/**
 * xe_numbers_get - numbers for an SA that is to be made
 * @xn: namespace's part
 * @x: its state, with its keys
 * @known: from xe_numbers_find(); stays the caller's
 * @params: what it shall be
 * @extack: for the reason of a refusal
 *
 * Those of its key, if there are; else new ones.
 *
 * Context: process, may sleep.
 * Return: numbers, for xe_numbers_put(), or an error pointer: -EEXIST if the key has
 *         been used in another way, -ENOMEM.
 */
struct xe_numbers *xe_numbers_get(struct xe_net *xn, const struct xfrm_state *x,
				  struct xe_numbers *known,
				  const struct xe_params *params,
				  struct netlink_ext_ack *extack)
{
	struct xe_numbers *n, *other, *made = NULL;
	u64 digest[2];

	xe_numbers_digest(x, digest);
	if (!known) {
		made = xe_numbers_alloc(xn, params);
		if (!made)
			return ERR_PTR(-ENOMEM);
		made->spi = x->id.spi;
		memcpy(made->digest, digest, sizeof(digest));
	}

	spin_lock(&xn->numbers_lock);
	/* Somebody else may have been faster, and be gone already */
	n = known ?: xe_numbers_of(xn, digest, x->id.spi, true);
	other = xe_numbers_of(xn, digest, x->id.spi, false);
	if (n && n->stripped) {
		n = ERR_PTR(xe_numbers_refuse(n, extack));
	} else if (n) {
		n = xe_numbers_share(n, params, extack);
	} else if (other && (other->params.tx_subspaces || params->tx_subspaces)) {
		/* Who only receives uses no number; the sender knows its own */
		n = ERR_PTR(xe_numbers_refuse(other, extack));
	} else {
		hlist_add_head(&made->node, xe_numbers_slot(xn, digest));
		WRITE_ONCE(xn->n_numbers, xn->n_numbers + 1);
		n = made;
	}
	spin_unlock(&xn->numbers_lock);
	if (made && n != made)
		xe_numbers_free(made);
	return n;
}

/*
 * What windows remember beside their highest number is of use for as long as packets are
 * on their way. Many windows do not wait for that in somebody's memory.
 */
static u64 xe_numbers_bulk(const struct xe_numbers *n)
{
	u64 octets = 0;
	u32 i;

	for (i = 0; i < n->params.rx_subspaces; i++)
		if (n->rx[i])
			octets += xe_window_bytes(n->rx[i]->size);
	return octets;
}

/* @rest: with room for what is to be kept; takes what is not */
static void xe_numbers_shrink(struct xe_numbers *n, struct xe_numbers *rest,
			      u64 bulk)
{
	u64 floors = n->params.rx_subspaces * sizeof(*n->floors);
	u32 i;

	lockdep_assert_held(&n->xn->numbers_lock);
	for (i = 0; i < n->params.rx_subspaces; i++)
		rest->floors[i] = n->rx[i] ? xe_window_top(n->rx[i]) :
					     xe_numbers_seen(n, i);
	/* If it has done so before, there is an account of them already */
	if (n->floors)
		floors = 0;
	atomic64_sub(bulk - floors, &n->memory);
	atomic64_set(&rest->memory, bulk - floors);
	swap(n->rx, rest->rx);
	swap(n->floors, rest->floors);
}

/*
 * Charged to whoever made the SA, not to who happens to free it, and nobody is killed if
 * there is no more.
 */
static void xe_numbers_prepare(const struct xe_numbers *n, u64 **floors,
			       struct xe_window ***rx)
{
	const gfp_t gfp = GFP_KERNEL_ACCOUNT | __GFP_NORETRY | __GFP_NOWARN;
	struct mem_cgroup *memcg = set_active_memcg(n->memcg);

	*floors = kvcalloc(n->params.rx_subspaces, sizeof(**floors), gfp);
	*rx = kvcalloc(n->params.rx_subspaces, sizeof(**rx), gfp);
	set_active_memcg(memcg);
}

/* Many windows go; their highest numbers stay if there is room for these */
static void xe_numbers_condense(struct xe_numbers *n, u64 **floors,
				struct xe_window ***rx, struct xe_numbers *rest)
{
	u64 bulk = xe_numbers_bulk(n);

	if (bulk <= XE_NUMBERS_BULK ||
	    bulk <= n->params.rx_subspaces * sizeof(**floors))
		return;
	if (!*floors || !*rx) {
		xe_numbers_empty(n, rest);
		return;
	}
	rest->params.rx_subspaces = n->params.rx_subspaces;
	swap(rest->floors, *floors);
	swap(rest->rx, *rx);
	xe_numbers_shrink(n, rest, bulk);
}

/**
 * xe_numbers_params - what the last SA was that has had them
 * @n: numbers; who calls holds them
 * @params: set to it
 *
 * Context: process.
 */
void xe_numbers_params(const struct xe_numbers *n, struct xe_params *params)
{
	spin_lock(&n->xn->numbers_lock);
	*params = n->params;
	spin_unlock(&n->xn->numbers_lock);
}

/* All but what counters and windows are made by, which is the same, and where they begin */
static void xe_numbers_was(struct xe_numbers *n, const struct xe_params *last)
{
	struct xe_params *p = &n->params;

	lockdep_assert_held(&n->xn->numbers_lock);
	p->trailer = last->trailer;
	p->iv = last->iv;
	p->select = last->select;
	p->flags = last->flags;
	p->tx_warn = last->tx_warn;
	p->memory_max = last->memory_max;
	p->sub_key = last->sub_key;
	p->tx_crypt_offset = last->tx_crypt_offset;
	p->rx_crypt_offset = last->rx_crypt_offset;
}

/**
 * xe_numbers_put - an SA does not need them any more
 * @n: numbers
 * @last: what it was, for who has the key next and does not say; NULL: it has never
 *        been in place
 *
 * If it was the last they are kept for a while, but for those of which none has
 * been used, and which are not to be kept then.
 *
 * Context: process, may sleep.
 */
void xe_numbers_put(struct xe_numbers *n, const struct xe_params *last)
{
	struct xe_numbers *next, rest = {};
	struct xe_window **rx = NULL;
	struct xe_net *xn = n->xn;
	u64 *floors = NULL;
	LIST_HEAD(old);

	if (xe_subspaces_octets(n) > XE_NUMBERS_BULK)
		xe_numbers_prepare(n, &floors, &rx);
	spin_lock(&xn->numbers_lock);
	if (last)
		xe_numbers_was(n, last);
	if (--n->users)
		goto out;
	if (READ_ONCE(xn->dead) || (!n->keep && !xe_subspaces_used(n))) {
		xe_numbers_unlink(n);
		list_add(&n->list, &old);
		goto out;
	}
	xe_numbers_condense(n, &floors, &rx, &rest);
	n->expires = jiffies + XE_NUMBERS_KEEP * HZ;
	list_add_tail(&n->list, &xn->idle);
	xe_numbers_idle(xn, 1, xe_numbers_octets(n));
	while (xn->n_idle > XE_NUMBERS_IDLE_MAX)
		list_add(&xe_numbers_take_idle(xn)->list, &old);
	queue_delayed_work(system_power_efficient_wq, &xn->forget,
			   XE_NUMBERS_KEEP * HZ);
out:
	spin_unlock(&xn->numbers_lock);
	xe_subspaces_exit(&rest);
	xe_memory_give(xn, atomic64_read(&rest.memory));
	kvfree(floors);
	kvfree(rx);
	list_for_each_entry_safe(n, next, &old, list)
		xe_numbers_free(n);
	/* They take a quarter of what there is at most */
	while (READ_ONCE(xn->idle_memory) > xe_memory_max_of(xn) / 4 &&
	       xe_numbers_strip(xn))
		;
}

/**
 * xe_numbers_init_net - a namespace begins
 * @xn: its part, not visible to others yet
 */
void xe_numbers_init_net(struct xe_net *xn)
{
	int i;

	spin_lock_init(&xn->numbers_lock);
	for (i = 0; i < XE_KEY_SLOTS; i++)
		INIT_HLIST_HEAD(&xn->numbers[i]);
	INIT_LIST_HEAD(&xn->idle);
	INIT_DELAYED_WORK(&xn->forget, xe_numbers_forget);
}

/**
 * xe_numbers_exit_net - a namespace ends
 * @xn: its part, marked dead: what SAs still have they free
 */
void xe_numbers_exit_net(struct xe_net *xn)
{
	struct xe_numbers *n;

	do {
		spin_lock(&xn->numbers_lock);
		n = xe_numbers_take_idle(xn);
		spin_unlock(&xn->numbers_lock);
		if (n)
			xe_numbers_free(n);
	} while (n);
	cancel_delayed_work_sync(&xn->forget);
}
