/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Negotiates extended SAs, and remembers for each CHILD_SA what has come of it.
 */

#ifndef XFRM_EXT_LISTENER_H_
#define XFRM_EXT_LISTENER_H_

#include "xfrm_ext_kernel.h"

#include <bus/listeners/listener.h>

typedef enum xfrm_ext_result_t xfrm_ext_result_t;
typedef struct xfrm_ext_listener_t xfrm_ext_listener_t;

/**
 * What an SA shall be.
 */
enum xfrm_ext_result_t {

	/** as if there were no plugin */
	XFRM_EXT_STOCK,

	/** extended */
	XFRM_EXT_EXTENDED,

	/** there must be none */
	XFRM_EXT_REFUSED,
};

/**
 * Listener for messages and CHILD_SAs.
 */
struct xfrm_ext_listener_t {

	/** implements listener_t */
	listener_t listener;

	/**
	 * What shall an SA be that is about to be installed?
	 *
	 * @param id			the SA
	 * @param inbound		TRUE if it receives
	 * @param params		receives what it shall be if it is to be extended
	 * @return				what it shall be
	 */
	xfrm_ext_result_t (*get_result)(xfrm_ext_listener_t *this,
									kernel_ipsec_sa_id_t *id, bool inbound,
									xfrm_ext_params_t *params);

	/**
	 * Destroy a xfrm_ext_listener_t.
	 */
	void (*destroy)(xfrm_ext_listener_t *this);
};

/**
 * Create a xfrm_ext_listener_t.
 *
 * @return				listener
 */
xfrm_ext_listener_t *xfrm_ext_listener_create();

#endif /** XFRM_EXT_LISTENER_H_ */
