/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the plugin wants of the kernel module xfrm_ext: its generic netlink
 * family. See Documentation/netlink/specs/xfrm_ext.yaml.
 */

#ifndef XFRM_EXT_KERNEL_H_
#define XFRM_EXT_KERNEL_H_

#include <kernel/kernel_ipsec.h>

typedef struct xfrm_ext_caps_t xfrm_ext_caps_t;
typedef struct xfrm_ext_params_t xfrm_ext_params_t;

/**
 * What module and kernel can do.
 */
struct xfrm_ext_caps_t {

	/** bit for each enum xfrm_ext_format */
	uint32_t formats;

	/** bit for each enum xfrm_ext_trailer */
	uint32_t trailers;

	/** bit for each enum xfrm_ext_iv */
	uint32_t ivs;
};

/**
 * What the two SAs of a CHILD_SA shall be.
 */
struct xfrm_ext_params_t {

	/** subspaces to send in */
	uint32_t tx_subspaces;

	/** subspaces to accept */
	uint32_t rx_subspaces;

	/** packets in the window of each of these */
	uint32_t window;

	/** enum xfrm_ext_trailer */
	uint32_t trailer;

	/** enum xfrm_ext_iv */
	uint32_t iv;
};

/**
 * Ask what the module can do. Loads it if it is there to be loaded.
 *
 * @param caps			receives the answer
 * @return				FALSE if there is no module
 */
bool xfrm_ext_kernel_caps(xfrm_ext_caps_t *caps);

/**
 * Announce an SA that is about to be made.
 *
 * @param id			the SA
 * @param inbound		TRUE if it receives
 * @param params		what it shall be
 * @return				FALSE if the module refuses, which is logged
 */
bool xfrm_ext_kernel_announce(kernel_ipsec_sa_id_t *id, bool inbound,
							  xfrm_ext_params_t *params);

/**
 * Take an announcement back.
 *
 * @param id			the SA that was not made
 */
void xfrm_ext_kernel_withdraw(kernel_ipsec_sa_id_t *id);

/**
 * Is an SA that was made in use as an extended one?
 *
 * @param id			the SA
 * @return				FALSE if not, which is logged
 */
bool xfrm_ext_kernel_ready(kernel_ipsec_sa_id_t *id);

#endif /** XFRM_EXT_KERNEL_H_ */
