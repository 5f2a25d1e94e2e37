// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who knows what when, as initiator (i) and as responder (r) of an exchange that
 * makes a CHILD_SA, be it the first one or one that takes another's place:
 *
 *	i	narrow		the child's name and our SPI: what we can offer
 *	i	message out	the request takes the offer along
 *	r	message in	the peer's SPI and its offer, if there is one
 *	r	narrow		the child's name, our SPI, the algorithms: what we take
 *	r	add_sa		both SAs, see xfrm_ext_plugin.c
 *	r	message out	the response takes the answer along
 *	i	message in	the peer's SPI, and its answer if there is one
 *	i	add_sa		both SAs
 *
 * A CHILD_SA is known by the IKE_SA and the SPI, so exchanges that collide do not
 * meet here: each has its offer, its answer and its result.
 */

#include "xfrm_ext_listener.h"
#include "xfrm_ext_offer.h"

#include <linux/xfrm_ext.h>

#include <daemon.h>
#include <collections/linked_list.h>
#include <encoding/payloads/notify_payload.h>
#include <encoding/payloads/sa_payload.h>
#include <threading/mutex.h>

typedef struct private_xfrm_ext_listener_t private_xfrm_ext_listener_t;
typedef struct entry_t entry_t;

/**
 * Private data
 */
struct private_xfrm_ext_listener_t {

	/**
	 * Public interface
	 */
	xfrm_ext_listener_t public;

	/**
	 * entry_t, of CHILD_SAs that are there and that are being negotiated
	 */
	linked_list_t *entries;

	/**
	 * Mutex for entries
	 */
	mutex_t *mutex;
};

/**
 * A CHILD_SA, or a request for one
 */
struct entry_t {

	/** unique ID of the IKE_SA */
	uint32_t ike;

	/** unique ID of the CHILD_SA, 0 if it is not there yet */
	uint32_t child;

	/** did we ask for it? */
	bool initiator;

	/** SPIs, in network order, 0 if not known yet */
	uint32_t spi_in;
	uint32_t spi_out;

	/** what is configured for the child */
	xfrm_ext_config_t config;

	/** what we offer or could offer, and why we do not, or NULL */
	xfrm_ext_offer_t own;
	char *why;

	/** what the peer has sent, if it has */
	xfrm_ext_offer_t peer;
	bool heard;

	/** what we answer */
	xfrm_ext_offer_t answer;

	/** is this known: what the SAs shall be? */
	bool decided;
	xfrm_ext_result_t result;
	xfrm_ext_params_t params;
};

/**
 * The SPI of ESP in a message's SA payload, 0 if there is none or more than one:
 * nobody tells which proposal's it is that the daemon takes
 */
static uint32_t get_spi(message_t *message)
{
	enumerator_t *enumerator;
	linked_list_t *proposals;
	sa_payload_t *payload;
	proposal_t *proposal;
	uint32_t spi = 0;
	bool same = TRUE;

	payload = (sa_payload_t*)message->get_payload(message,
												  PLV2_SECURITY_ASSOCIATION);
	if (!payload)
	{
		return 0;
	}
	proposals = payload->get_proposals(payload);
	enumerator = proposals->create_enumerator(proposals);
	while (enumerator->enumerate(enumerator, &proposal))
	{
		if (proposal->get_protocol(proposal) == PROTO_ESP)
		{
			same &= !spi || proposal->get_spi(proposal) == spi;
			spi = proposal->get_spi(proposal);
		}
	}
	enumerator->destroy(enumerator);
	proposals->destroy_offset(proposals, offsetof(proposal_t, destroy));
	return same ? spi : 0;
}

/**
 * Find an entry of an IKE_SA by role, and by our SPI, which is 0 for requests of
 * the peer's that have no CHILD_SA yet
 */
static entry_t *find(private_xfrm_ext_listener_t *this, ike_sa_t *ike_sa,
					 bool initiator, uint32_t spi_in)
{
	enumerator_t *enumerator;
	entry_t *entry, *found = NULL;
	uint32_t ike = ike_sa->get_unique_id(ike_sa);

	enumerator = this->entries->create_enumerator(this->entries);
	while (!found && enumerator->enumerate(enumerator, &entry))
	{
		if (entry->ike == ike && entry->initiator == initiator &&
			entry->spi_in == spi_in)
		{
			found = entry;
		}
	}
	enumerator->destroy(enumerator);
	return found;
}

/**
 * Find our request that has no answer yet: there is one exchange at a time
 */
static entry_t *find_asked(private_xfrm_ext_listener_t *this, ike_sa_t *ike_sa)
{
	enumerator_t *enumerator;
	entry_t *entry, *found = NULL;
	uint32_t ike = ike_sa->get_unique_id(ike_sa);

	enumerator = this->entries->create_enumerator(this->entries);
	while (!found && enumerator->enumerate(enumerator, &entry))
	{
		if (entry->ike == ike && entry->initiator && !entry->decided)
		{
			found = entry;
		}
	}
	enumerator->destroy(enumerator);
	return found;
}

/**
 * Forget CHILD_SA child, or if that is 0 what has become of none in an IKE_SA
 */
static void forget(private_xfrm_ext_listener_t *this, uint32_t ike,
				   uint32_t child)
{
	enumerator_t *enumerator;
	entry_t *entry;

	enumerator = this->entries->create_enumerator(this->entries);
	while (enumerator->enumerate(enumerator, &entry))
	{
		if (entry->child == child && (child || entry->ike == ike))
		{
			this->entries->remove_at(this->entries, enumerator);
			free(entry);
		}
	}
	enumerator->destroy(enumerator);
}

static entry_t *add(private_xfrm_ext_listener_t *this, ike_sa_t *ike_sa,
					bool initiator)
{
	entry_t *entry;

	INIT(entry,
		.ike = ike_sa->get_unique_id(ike_sa),
		.initiator = initiator,
	);
	this->entries->insert_last(this->entries, entry);
	return entry;
}

/**
 * It is going to be this CHILD_SA
 */
static void set_child(entry_t *entry, child_sa_t *child_sa)
{
	entry->child = child_sa->get_unique_id(child_sa);
	entry->spi_in = child_sa->get_spi(child_sa, TRUE);
	xfrm_ext_config_get(&entry->config, child_sa->get_name(child_sa));
	entry->why = xfrm_ext_offer_make(&entry->config, child_sa, &entry->own);
}

static void decide_extended(entry_t *entry, xfrm_ext_offer_t *answer)
{
	xfrm_ext_params_t *params = &entry->params;

	xfrm_ext_offer_params(&entry->config, answer, &entry->peer, params);
	entry->decided = TRUE;
	entry->result = XFRM_EXT_EXTENDED;
	DBG1(DBG_CHD, "CHILD_SA {%u} extended: esp64, %u subspaces out, %u in, "
		 "window %u, trailer %s, IV %s", entry->child, params->tx_subspaces,
		 params->rx_subspaces, params->window,
		 xfrm_ext_trailer_names[params->trailer],
		 xfrm_ext_iv_names[params->iv]);
}

static void decide_stock(entry_t *entry, char *why)
{
	entry->decided = TRUE;
	entry->result = entry->config.require ? XFRM_EXT_REFUSED : XFRM_EXT_STOCK;
	DBG1(DBG_CHD, "CHILD_SA {%u} %s: %s", entry->child,
		 entry->config.require ? "refused, must be extended" : "stock", why);
}

/**
 * As responder, all is known
 */
static void decide_as_responder(entry_t *entry, child_sa_t *child_sa)
{
	char *why;

	if (entry->why)
	{
		why = entry->why;
	}
	else if (!entry->heard)
	{
		why = "peer does not know extended SAs";
	}
	else
	{
		why = xfrm_ext_offer_take(&entry->own, &entry->config, child_sa,
								  &entry->peer, &entry->answer);
	}
	if (why)
	{
		decide_stock(entry, why);
	}
	else
	{
		decide_extended(entry, &entry->answer);
	}
}

/**
 * As initiator, all is known
 */
static void decide_as_initiator(entry_t *entry)
{
	if (entry->why)
	{
		decide_stock(entry, entry->why);
	}
	else if (!entry->heard)
	{
		decide_stock(entry, "peer does not know extended SAs, or cannot now");
	}
	else if (!xfrm_ext_offer_fits(&entry->own, &entry->peer))
	{
		/* It has made SAs of a kind that we do not know */
		entry->decided = TRUE;
		entry->result = XFRM_EXT_REFUSED;
		DBG1(DBG_CHD, "CHILD_SA {%u} refused: peer takes what was not offered",
			 entry->child);
	}
	else
	{
		decide_extended(entry, &entry->peer);
	}
}

/**
 * A request or a response of the peer's
 */
static void received(private_xfrm_ext_listener_t *this, ike_sa_t *ike_sa,
					 message_t *message)
{
	notify_payload_t *notify;
	entry_t *entry;
	uint32_t spi = get_spi(message);

	if (!spi)
	{
		return;
	}
	if (message->get_request(message))
	{
		forget(this, ike_sa->get_unique_id(ike_sa), 0);
		entry = add(this, ike_sa, FALSE);
	}
	else
	{
		entry = find_asked(this, ike_sa);
	}
	if (!entry)
	{
		return;
	}
	entry->spi_out = spi;
	notify = message->get_notify(message, XFRM_EXT_NOTIFY);
	if (notify)
	{
		entry->heard = xfrm_ext_offer_decode(
						notify->get_notification_data(notify), &entry->peer);
	}
	if (entry->initiator)
	{
		decide_as_initiator(entry);
	}
}

/**
 * Our request or response, about to be encrypted
 */
static void sending(private_xfrm_ext_listener_t *this, ike_sa_t *ike_sa,
					message_t *message)
{
	bool initiator = message->get_request(message);
	xfrm_ext_offer_t *offer;
	entry_t *entry;
	chunk_t data;
	uint32_t spi = get_spi(message);

	if (!spi)
	{
		return;
	}
	entry = find(this, ike_sa, initiator, spi);
	if (!entry || (initiator ? entry->why != NULL :
				   entry->result != XFRM_EXT_EXTENDED))
	{
		return;
	}
	offer = initiator ? &entry->own : &entry->answer;
	data = xfrm_ext_offer_encode(offer);
	message->add_notify(message, FALSE, XFRM_EXT_NOTIFY, data);
	chunk_free(&data);
}

METHOD(listener_t, message, bool,
	private_xfrm_ext_listener_t *this, ike_sa_t *ike_sa, message_t *message,
	bool incoming, bool plain)
{
	if (!plain || !ike_sa || ike_sa->get_version(ike_sa) != IKEV2 ||
		(message->get_exchange_type(message) != IKE_AUTH &&
		 message->get_exchange_type(message) != CREATE_CHILD_SA))
	{
		return TRUE;
	}
	this->mutex->lock(this->mutex);
	if (incoming)
	{
		received(this, ike_sa, message);
	}
	else
	{
		sending(this, ike_sa, message);
	}
	this->mutex->unlock(this->mutex);
	return TRUE;
}

METHOD(listener_t, narrow, bool,
	private_xfrm_ext_listener_t *this, ike_sa_t *ike_sa, child_sa_t *child_sa,
	narrow_hook_t type, linked_list_t *local, linked_list_t *remote)
{
	entry_t *entry;

	if (ike_sa->get_version(ike_sa) != IKEV2)
	{
		return TRUE;
	}
	this->mutex->lock(this->mutex);
	switch (type)
	{
		case NARROW_INITIATOR_PRE_NOAUTH:
		case NARROW_INITIATOR_PRE_AUTH:
			entry = add(this, ike_sa, TRUE);
			set_child(entry, child_sa);
			break;
		case NARROW_RESPONDER:
			entry = find(this, ike_sa, FALSE, 0);
			if (entry)
			{
				set_child(entry, child_sa);
				decide_as_responder(entry, child_sa);
			}
			break;
		default:
			break;
	}
	this->mutex->unlock(this->mutex);
	return TRUE;
}

METHOD(listener_t, child_state_change, bool,
	private_xfrm_ext_listener_t *this, ike_sa_t *ike_sa, child_sa_t *child_sa,
	child_sa_state_t state)
{
	enumerator_t *enumerator;
	entry_t *entry;
	uint32_t child = child_sa->get_unique_id(child_sa);
	bool known = FALSE;

	this->mutex->lock(this->mutex);
	if (state == CHILD_DESTROYING)
	{
		forget(this, 0, child);
	}
	else if (state == CHILD_INSTALLING && ike_sa)
	{
		/* What comes here by another way, as in IKEv1, must not pass by what
		 * is required */
		enumerator = this->entries->create_enumerator(this->entries);
		while (enumerator->enumerate(enumerator, &entry))
		{
			known |= entry->child == child && entry->decided;
		}
		enumerator->destroy(enumerator);
		if (!known)
		{
			forget(this, 0, child);
			entry = add(this, ike_sa, FALSE);
			set_child(entry, child_sa);
			decide_stock(entry, entry->why ?: "not negotiated");
		}
	}
	this->mutex->unlock(this->mutex);
	return TRUE;
}

METHOD(listener_t, ike_state_change, bool,
	private_xfrm_ext_listener_t *this, ike_sa_t *ike_sa, ike_sa_state_t state)
{
	if (state == IKE_DESTROYING)
	{
		this->mutex->lock(this->mutex);
		forget(this, ike_sa->get_unique_id(ike_sa), 0);
		this->mutex->unlock(this->mutex);
	}
	return TRUE;
}

METHOD(listener_t, ike_rekey, bool,
	private_xfrm_ext_listener_t *this, ike_sa_t *old, ike_sa_t *new)
{
	enumerator_t *enumerator;
	entry_t *entry;

	this->mutex->lock(this->mutex);
	enumerator = this->entries->create_enumerator(this->entries);
	while (enumerator->enumerate(enumerator, &entry))
	{
		if (entry->child && entry->ike == old->get_unique_id(old))
		{
			entry->ike = new->get_unique_id(new);
		}
	}
	enumerator->destroy(enumerator);
	this->mutex->unlock(this->mutex);
	return TRUE;
}

METHOD(xfrm_ext_listener_t, get_result, xfrm_ext_result_t,
	private_xfrm_ext_listener_t *this, kernel_ipsec_sa_id_t *id, bool inbound,
	xfrm_ext_params_t *params)
{
	enumerator_t *enumerator;
	entry_t *entry;
	ike_sa_t *ike_sa = charon->bus->get_sa(charon->bus);
	xfrm_ext_result_t result = XFRM_EXT_STOCK;

	if (!ike_sa || id->proto != IPPROTO_ESP)
	{
		return XFRM_EXT_STOCK;
	}
	this->mutex->lock(this->mutex);
	enumerator = this->entries->create_enumerator(this->entries);
	while (enumerator->enumerate(enumerator, &entry))
	{
		if (entry->ike == ike_sa->get_unique_id(ike_sa) && entry->decided &&
			(inbound ? entry->spi_in : entry->spi_out) == id->spi)
		{
			result = entry->result;
			*params = entry->params;
		}
	}
	enumerator->destroy(enumerator);
	this->mutex->unlock(this->mutex);
	return result;
}

METHOD(xfrm_ext_listener_t, destroy, void,
	private_xfrm_ext_listener_t *this)
{
	this->entries->destroy_function(this->entries, free);
	this->mutex->destroy(this->mutex);
	free(this);
}

/*
 * See header
 */
xfrm_ext_listener_t *xfrm_ext_listener_create()
{
	private_xfrm_ext_listener_t *this;

	INIT(this,
		.public = {
			.listener = {
				.message = _message,
				.narrow = _narrow,
				.child_state_change = _child_state_change,
				.ike_state_change = _ike_state_change,
				.ike_rekey = _ike_rekey,
			},
			.get_result = _get_result,
			.destroy = _destroy,
		},
		.entries = linked_list_create(),
		.mutex = mutex_create(MUTEX_TYPE_DEFAULT),
	);

	return &this->public;
}
