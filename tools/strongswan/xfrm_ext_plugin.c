// SPDX-License-Identifier: GPL-2.0-only
/*
 * Has the listener negotiate, and the kernel be told before an SA is installed.
 *
 * No event of the daemon's tells of an SA with all that identifies it, just before
 * it is made, and can prevent it. So a method of the daemon's kernel interface is
 * replaced by one that does what must be done and then calls it.
 */

#include "xfrm_ext_plugin.h"
#include "xfrm_ext_kernel.h"
#include "xfrm_ext_listener.h"

#include <daemon.h>

typedef struct private_xfrm_ext_plugin_t private_xfrm_ext_plugin_t;

/**
 * Private data
 */
struct private_xfrm_ext_plugin_t {

	/**
	 * Public interface
	 */
	xfrm_ext_plugin_t public;

	/**
	 * Negotiates
	 */
	xfrm_ext_listener_t *listener;

	/**
	 * The daemon's own method
	 */
	status_t (*add_sa)(kernel_interface_t *kernel, kernel_ipsec_sa_id_t *id,
					   kernel_ipsec_add_sa_t *data);
};

/**
 * The plugin, for a method that is called without it
 */
static private_xfrm_ext_plugin_t *instance;

/**
 * Make an SA that is extended, or none.
 */
static status_t add_extended(kernel_interface_t *kernel,
							 kernel_ipsec_sa_id_t *id,
							 kernel_ipsec_add_sa_t *data,
							 xfrm_ext_params_t *params)
{
	kernel_ipsec_del_sa_t del = {
		.cpi = data->cpi,
	};
	status_t status;

	if (!xfrm_ext_kernel_announce(id, data->inbound, params))
	{
		return FAILED;
	}
	status = instance->add_sa(kernel, id, data);
	if (status == SUCCESS && !xfrm_ext_kernel_ready(id))
	{
		kernel->del_sa(kernel, id, &del);
		status = FAILED;
	}
	if (status != SUCCESS)
	{
		xfrm_ext_kernel_withdraw(id);
	}
	return status;
}

/**
 * Replaces kernel_interface_t.add_sa
 */
static status_t add_sa(kernel_interface_t *kernel, kernel_ipsec_sa_id_t *id,
					   kernel_ipsec_add_sa_t *data)
{
	xfrm_ext_params_t params;

	switch (instance->listener->get_result(instance->listener, id,
										   data->inbound, &params))
	{
		case XFRM_EXT_REFUSED:
			return FAILED;
		case XFRM_EXT_EXTENDED:
			return add_extended(kernel, id, data, &params);
		default:
			return instance->add_sa(kernel, id, data);
	}
}

METHOD(plugin_t, get_name, char*,
	private_xfrm_ext_plugin_t *this)
{
	return "xfrm-ext";
}

/**
 * Begin and end
 */
static bool plugin_cb(private_xfrm_ext_plugin_t *this,
					  plugin_feature_t *feature, bool reg, void *cb_data)
{
	if (reg)
	{
		instance = this;
		this->add_sa = charon->kernel->add_sa;
		charon->kernel->add_sa = add_sa;
		charon->bus->add_listener(charon->bus, &this->listener->listener);
	}
	else
	{
		charon->bus->remove_listener(charon->bus, &this->listener->listener);
		charon->kernel->add_sa = this->add_sa;
	}
	return TRUE;
}

METHOD(plugin_t, get_features, int,
	private_xfrm_ext_plugin_t *this, plugin_feature_t *features[])
{
	static plugin_feature_t f[] = {
		PLUGIN_CALLBACK((plugin_feature_callback_t)plugin_cb, NULL),
			PLUGIN_PROVIDE(CUSTOM, "xfrm-ext"),
				PLUGIN_DEPENDS(CUSTOM, "kernel-ipsec"),
	};
	*features = f;
	return countof(f);
}

METHOD(plugin_t, destroy, void,
	private_xfrm_ext_plugin_t *this)
{
	this->listener->destroy(this->listener);
	free(this);
}

/* From 6.0.3 on it carries the version of the daemon that it is made for */
#ifdef PLUGIN_DEFINE
PLUGIN_DEFINE(xfrm_ext)
#else
plugin_t *xfrm_ext_plugin_create()
#endif
{
	private_xfrm_ext_plugin_t *this;

	INIT(this,
		.public = {
			.plugin = {
				.get_name = _get_name,
				.get_features = _get_features,
				.destroy = _destroy,
			},
		},
		.listener = xfrm_ext_listener_create(),
	);

	return &this->public.plugin;
}
