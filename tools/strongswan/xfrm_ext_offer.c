// SPDX-License-Identifier: GPL-2.0-only
/*
 * Offers and answers.
 */

#include "xfrm_ext_offer.h"

#include <unistd.h>
#include <linux/xfrm_ext.h>

#include <daemon.h>

#define BIT(n) (1 << (n))

/**
 * Of the notify's data. Another version is another notify: who does not know it,
 * does not answer.
 */
#define VERSION_1 1

/**
 * The notify's data.
 */
typedef struct __attribute__((packed)) {
	char name[8];
	uint8_t version;
	uint8_t formats;
	uint8_t trailers;
	uint8_t ivs;
	uint32_t subspaces;
} data_t;

static const char name[8] = "xfrm_ext";

char *xfrm_ext_trailer_names[] = {
	[XFRM_EXT_TRAILER_END] = "end",
	[XFRM_EXT_TRAILER_FRONT] = "front",
	[XFRM_EXT_TRAILER_OMIT] = "omit",
};

char *xfrm_ext_iv_names[] = {
	[XFRM_EXT_IV_EXPLICIT] = "explicit",
	[XFRM_EXT_IV_IMPLICIT] = "implicit",
};

/**
 * The child's setting, or that for all.
 */
static uint32_t get_int(char *child, char *key, uint32_t def)
{
	def = lib->settings->get_int(lib->settings, "%s.plugins.xfrm-ext.%s", def,
								 lib->ns, key);
	return lib->settings->get_int(lib->settings,
								  "%s.plugins.xfrm-ext.children.%s.%s", def,
								  lib->ns, child, key);
}

/**
 * The same, one of some words; the first if it is none of them.
 */
static uint32_t get_word(char *child, char *key, char *words[], int count)
{
	char *word;
	int i;

	word = lib->settings->get_str(lib->settings, "%s.plugins.xfrm-ext.%s",
								  words[0], lib->ns, key);
	word = lib->settings->get_str(lib->settings,
								  "%s.plugins.xfrm-ext.children.%s.%s", word,
								  lib->ns, child, key);
	for (i = 0; i < count; i++)
	{
		if (streq(word, words[i]))
		{
			return i;
		}
	}
	DBG1(DBG_CFG, "xfrm-ext: '%s' is not known as %s, using %s", word, key,
		 words[0]);
	return 0;
}

/*
 * See header
 */
void xfrm_ext_config_get(xfrm_ext_config_t *config, char *child)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	bool require;

	require = lib->settings->get_bool(lib->settings,
									  "%s.plugins.xfrm-ext.require", FALSE,
									  lib->ns);
	*config = (xfrm_ext_config_t){
		.subspaces = get_int(child, "subspaces", cpus > 0 ? cpus : 1),
		.trailer = get_word(child, "trailer", xfrm_ext_trailer_names,
							countof(xfrm_ext_trailer_names)),
		.iv = get_word(child, "iv", xfrm_ext_iv_names,
					   countof(xfrm_ext_iv_names)),
		.window = get_int(child, "window", XFRM_EXT_WINDOW_DEFAULT),
		.require = lib->settings->get_bool(lib->settings,
							"%s.plugins.xfrm-ext.children.%s.require", require,
							lib->ns, child),
	};
	if (config->subspaces > XFRM_EXT_SUBSPACES_MAX)
	{
		DBG1(DBG_CFG, "xfrm-ext: %u subspaces: no more than %u are possible",
			 config->subspaces, XFRM_EXT_SUBSPACES_MAX);
		config->subspaces = XFRM_EXT_SUBSPACES_MAX;
	}
}

/*
 * See header
 */
chunk_t xfrm_ext_offer_encode(xfrm_ext_offer_t *offer)
{
	data_t data = {
		.version = VERSION_1,
		.formats = offer->formats,
		.trailers = offer->trailers,
		.ivs = offer->ivs,
		.subspaces = htonl(offer->subspaces),
	};

	memcpy(data.name, name, sizeof(name));
	return chunk_clone(chunk_from_thing(data));
}

/*
 * See header
 */
bool xfrm_ext_offer_decode(chunk_t chunk, xfrm_ext_offer_t *offer)
{
	data_t data;

	if (chunk.len != sizeof(data))
	{
		return FALSE;
	}
	memcpy(&data, chunk.ptr, sizeof(data));
	*offer = (xfrm_ext_offer_t){
		.formats = data.formats,
		.trailers = data.trailers,
		.ivs = data.ivs,
		.subspaces = ntohl(data.subspaces),
	};
	return memeq(data.name, name, sizeof(name)) && data.version == VERSION_1 &&
		   offer->subspaces && offer->subspaces <= XFRM_EXT_SUBSPACES_MAX;
}

/*
 * See header
 */
char *xfrm_ext_offer_make(xfrm_ext_config_t *config, child_sa_t *child_sa,
						  xfrm_ext_offer_t *offer)
{
	child_cfg_t *cfg = child_sa->get_config(child_sa);
	xfrm_ext_caps_t caps;

	if (!config->subspaces)
	{
		return "not configured";
	}
	if (child_sa->get_protocol(child_sa) != PROTO_ESP)
	{
		return "not ESP";
	}
	if (cfg->get_mode(cfg) != MODE_TUNNEL &&
		cfg->get_mode(cfg) != MODE_TRANSPORT && cfg->get_mode(cfg) != MODE_BEET)
	{
		return "the kernel module does not have the mode";
	}
#ifdef CPU_ID_MAX
	if (cfg->has_option(cfg, OPT_PER_CPU_SAS))
	{
		return "SAs per CPU are configured";
	}
#endif
	if (cfg->has_option(cfg, OPT_IPCOMP))
	{
		return "IPComp is configured";
	}
	if (cfg->get_hw_offload(cfg) != HW_OFFLOAD_NO)
	{
		return "hardware offload is configured";
	}
	if (!xfrm_ext_kernel_caps(&caps) ||
		!(caps.formats & BIT(XFRM_EXT_FORMAT_ESP64)))
	{
		return "no kernel module xfrm_ext";
	}
	/* What everybody can do, and what is wanted beside it. Without trailer there
	 * is no padding that is longer than it must be, and one mode. */
	*offer = (xfrm_ext_offer_t){
		.formats = BIT(XFRM_EXT_FORMAT_ESP64),
		.trailers = BIT(XFRM_EXT_TRAILER_END),
		.ivs = BIT(XFRM_EXT_IV_EXPLICIT) | (BIT(config->iv) & caps.ivs),
		.subspaces = config->subspaces,
	};
	if (config->trailer != XFRM_EXT_TRAILER_OMIT ||
		(cfg->get_mode(cfg) == MODE_TUNNEL && !cfg->get_tfc(cfg)))
	{
		offer->trailers |= BIT(config->trailer) & caps.trailers;
	}
	return NULL;
}

/**
 * Can the module do a proposal's algorithms?
 *
 * @param implicit		receives whether the IV can be made from the number
 */
static bool algorithms_known(proposal_t *proposal, bool *implicit)
{
	uint16_t alg = ENCR_UNDEFINED;

	*implicit = FALSE;
	if (!proposal)
	{
		return FALSE;
	}
	proposal->get_algorithm(proposal, ENCRYPTION_ALGORITHM, &alg, NULL);
	switch (alg)
	{
		case ENCR_AES_GCM_ICV8:
		case ENCR_AES_GCM_ICV12:
		case ENCR_AES_GCM_ICV16:
		case ENCR_AES_CCM_ICV8:
		case ENCR_AES_CCM_ICV12:
		case ENCR_AES_CCM_ICV16:
		case ENCR_CHACHA20_POLY1305:
			*implicit = TRUE;
			return TRUE;
		case ENCR_NULL_AUTH_AES_GMAC:
			return TRUE;
		case ENCR_AES_CBC:
		case ENCR_AES_CTR:
		case ENCR_NULL:
			break;
		default:
			return FALSE;
	}
	alg = AUTH_UNDEFINED;
	proposal->get_algorithm(proposal, INTEGRITY_ALGORITHM, &alg, NULL);
	switch (alg)
	{
		case AUTH_HMAC_SHA1_96:
		case AUTH_HMAC_SHA1_160:
		case AUTH_HMAC_SHA2_256_128:
		case AUTH_HMAC_SHA2_384_192:
		case AUTH_HMAC_SHA2_512_256:
		case AUTH_AES_XCBC_96:
		case AUTH_AES_CMAC_96:
			return TRUE;
		default:
			return FALSE;
	}
}

/*
 * See header
 */
char *xfrm_ext_offer_take(xfrm_ext_offer_t *own, xfrm_ext_config_t *config,
						  child_sa_t *child_sa, xfrm_ext_offer_t *peer,
						  xfrm_ext_offer_t *answer)
{
	bool implicit;

	if (!algorithms_known(child_sa->get_proposal(child_sa), &implicit))
	{
		return "the kernel module does not have the algorithms";
	}
	*answer = (xfrm_ext_offer_t){
		.formats = own->formats & peer->formats & BIT(XFRM_EXT_FORMAT_ESP64),
		.trailers = own->trailers & peer->trailers,
		.ivs = own->ivs & peer->ivs,
		.subspaces = config->subspaces,
	};
	if (answer->trailers & ~BIT(XFRM_EXT_TRAILER_END))
	{
		answer->trailers &= ~BIT(XFRM_EXT_TRAILER_END);
	}
	if (!implicit)
	{
		answer->ivs &= ~BIT(XFRM_EXT_IV_IMPLICIT);
	}
	if (answer->ivs & BIT(XFRM_EXT_IV_IMPLICIT))
	{
		answer->ivs = BIT(XFRM_EXT_IV_IMPLICIT);
	}
	if (!answer->formats || !answer->trailers || !answer->ivs)
	{
		return "peer can do nothing that is known here";
	}
	return NULL;
}

/**
 * One bit, and one of those.
 */
static bool is_one_of(uint8_t bit, uint8_t bits)
{
	return bit && !(bit & (bit - 1)) && (bit & bits);
}

/*
 * See header
 */
bool xfrm_ext_offer_fits(xfrm_ext_offer_t *offer, xfrm_ext_offer_t *answer)
{
	return is_one_of(answer->formats, offer->formats) &&
		   is_one_of(answer->trailers, offer->trailers) &&
		   is_one_of(answer->ivs, offer->ivs);
}

/*
 * See header
 */
void xfrm_ext_offer_params(xfrm_ext_config_t *config, xfrm_ext_offer_t *answer,
						   xfrm_ext_offer_t *peer, xfrm_ext_params_t *params)
{
	*params = (xfrm_ext_params_t){
		.tx_subspaces = min(config->subspaces, peer->subspaces),
		.rx_subspaces = config->subspaces,
		.window = config->window,
		.trailer = __builtin_ctz(answer->trailers),
		.iv = __builtin_ctz(answer->ivs),
	};
}
