/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Plugin for strongSwan's IKE daemon that negotiates extended SAs.
 */

#ifndef XFRM_EXT_PLUGIN_H_
#define XFRM_EXT_PLUGIN_H_

#include <plugins/plugin.h>

typedef struct xfrm_ext_plugin_t xfrm_ext_plugin_t;

/**
 * Plugin xfrm-ext.
 */
struct xfrm_ext_plugin_t {

	/** implements plugin interface */
	plugin_t plugin;
};

#endif /** XFRM_EXT_PLUGIN_H_ */
