/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the peers tell each other: the notify that goes with a CHILD_SA, as offer
 * of the initiator and as answer of the responder; and what is configured.
 */

#ifndef XFRM_EXT_OFFER_H_
#define XFRM_EXT_OFFER_H_

#include "xfrm_ext_kernel.h"

#include <sa/child_sa.h>

/**
 * Status notify of the private range. Its data begin with a name, so that
 * somebody else's notify of this number is none of ours.
 */
#define XFRM_EXT_NOTIFY 41001

typedef struct xfrm_ext_config_t xfrm_ext_config_t;
typedef struct xfrm_ext_offer_t xfrm_ext_offer_t;

/**
 * What strongswan.conf says of a child.
 */
struct xfrm_ext_config_t {

	/** subspaces to accept, and most to send in; 0: stock SAs */
	uint32_t subspaces;

	/** enum xfrm_ext_trailer, if the peer wants the same; end otherwise */
	uint32_t trailer;

	/** enum xfrm_ext_iv, if the peer wants the same; explicit otherwise */
	uint32_t iv;

	/** packets in each window */
	uint32_t window;

	/** extended SAs or none */
	bool require;
};

/**
 * In an offer all that is possible; in an answer one bit of each.
 */
struct xfrm_ext_offer_t {

	/** bit for each enum xfrm_ext_format */
	uint8_t formats;

	/** bit for each enum xfrm_ext_trailer */
	uint8_t trailers;

	/** bit for each enum xfrm_ext_iv */
	uint8_t ivs;

	/** subspaces that the sender of the notify accepts */
	uint32_t subspaces;
};

/**
 * Read the configuration of a child.
 *
 * @param config		receives it
 * @param name			of the child
 */
void xfrm_ext_config_get(xfrm_ext_config_t *config, char *name);

/**
 * Make a notify's data.
 *
 * @param offer			offer or answer
 * @return				data, allocated
 */
chunk_t xfrm_ext_offer_encode(xfrm_ext_offer_t *offer);

/**
 * Read a notify's data.
 *
 * @param data			data
 * @param offer			receives offer or answer
 * @return				FALSE if it is nothing that is known here
 */
bool xfrm_ext_offer_decode(chunk_t data, xfrm_ext_offer_t *offer);

/**
 * What can be offered for a child, if anything?
 *
 * @param config		its configuration
 * @param child_sa		CHILD_SA to come
 * @param offer			receives the offer
 * @return				NULL, or why not
 */
char *xfrm_ext_offer_make(xfrm_ext_config_t *config, child_sa_t *child_sa,
						  xfrm_ext_offer_t *offer);

/**
 * Take an offer, as responder. Both ends come to the same from the same two
 * configurations, whoever is the initiator.
 *
 * @param own			what could be offered
 * @param config		own configuration
 * @param child_sa		CHILD_SA to come, its proposal chosen
 * @param peer			the peer's offer
 * @param answer		receives what to answer
 * @return				NULL, or why not
 */
char *xfrm_ext_offer_take(xfrm_ext_offer_t *own, xfrm_ext_config_t *config,
						  child_sa_t *child_sa, xfrm_ext_offer_t *peer,
						  xfrm_ext_offer_t *answer);

/**
 * Does an answer fit what was offered?
 *
 * @param offer			offer
 * @param answer		answer
 * @return				FALSE if it takes what was not offered
 */
bool xfrm_ext_offer_fits(xfrm_ext_offer_t *offer, xfrm_ext_offer_t *answer);

/**
 * What an answer makes of the SAs.
 *
 * @param config		own configuration
 * @param answer		answer, the peer's or our own
 * @param peer			what the peer has sent
 * @param params		receives it
 */
void xfrm_ext_offer_params(xfrm_ext_config_t *config, xfrm_ext_offer_t *answer,
						   xfrm_ext_offer_t *peer, xfrm_ext_params_t *params);

/**
 * Words for trailer and IV, as in strongswan.conf.
 */
extern char *xfrm_ext_trailer_names[];
extern char *xfrm_ext_iv_names[];

#endif /** XFRM_EXT_OFFER_H_ */
