/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * SAs: who finds them, what they may do, and what is told unasked.
 */
#ifndef XFRM_EXT_STATE_H
#define XFRM_EXT_STATE_H

#include "sa.h"

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

/* sa.c APIs: process context */
int xe_sa_init(void);
void xe_sa_exit(void);
void xe_sa_destructor(struct xfrm_state *x);
void xe_sa_unset_offload(struct xfrm_state *x);
void xe_sa_unhash_dead(struct xe_net *xn);
/* Any context, under RCU: */
struct xe_sa *xe_sa_find(struct xe_net *xn, const struct xe_id *id);
bool xe_sa_has_eesp(struct net *net, u16 family, const void *daddr, __be32 spi);
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

/* events.c APIs: any context */
void xe_event_tx(struct xe_sa *sa, enum xfrm_ext_cmd cmd, u32 place);
void xe_event_rx(struct xe_sa *sa, enum xfrm_ext_cmd cmd, u32 subspace);
void xe_event_window_drops(struct xe_sa *sa, u32 subspace, unsigned int n);
void xe_event_forged(struct xe_sa *sa);
void xe_event_out_of_range(struct xe_sa *sa, u32 subspace);
/* BH off: */
void xe_event_crypt_offset(struct xe_sa *sa, u32 subspace, u8 exposed);
void xe_event_reassembled(struct xe_sa *sa, u32 fragment);

#endif /* XFRM_EXT_STATE_H */
