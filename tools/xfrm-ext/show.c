// SPDX-License-Identifier: GPL-2.0-only
/*
 * "show": extended SAs, in a line or a few
 */
#include <stdlib.h>

#include "tool.h"

static struct {
	inet_prefix src, dst;
	__u64 spi, reqid;
	bool by_spi, by_reqid;
} filter;

static bool is_other(const inet_prefix *want, const struct xfrm_usersa_info *info,
		     const xfrm_address_t *addr)
{
	return want->bytelen && (want->family != info->family ||
				 memcmp(want->data, addr, want->bytelen));
}

static int show_one(const struct xfrm_usersa_info *info, struct rtattr *tb[], void *arg)
{
	const char *mode = xfrm_ext_mode_name(info->mode);
	int len = info->family == AF_INET6 ? 16 : 4;
	struct xfrm_mark mark;
	int *shown = arg;

	if (!xfrm_ext_is_extended(tb) || is_other(&filter.src, info, &info->saddr) ||
	    is_other(&filter.dst, info, &info->id.daddr) ||
	    (filter.by_spi && filter.spi != ntohl(info->id.spi)) ||
	    (filter.by_reqid && filter.reqid != info->reqid))
		return 0;
	++*shown;
	if (json) {
		xfrm_ext_state_json(info, tb);
		return 0;
	}
	printf("src %s dst %s spi 0x%08x reqid %u mode %s",
	       rt_addr_n2a(info->family, len, &info->saddr),
	       rt_addr_n2a(info->family, len, &info->id.daddr), ntohl(info->id.spi), info->reqid,
	       mode ? mode : "?");
	xfrm_ext_mark_of(&mark, tb);
	if (mark.m)
		printf(" mark %#x mask %#x", mark.v, mark.m);
	if (tb[XFRMA_IF_ID])
		printf(" if_id %#x", rta_getattr_u32(tb[XFRMA_IF_ID]));
	printf("\n");
	xfrm_ext_show(info, tb, stdout, "\t");
	return 0;
}

static __u64 number_of(const char *word, const char *arg)
{
	__u64 val;

	if (xfrm_ext_number(&val, arg, 0, UINT32_MAX)) {
		fprintf(stderr, "Error: %s: \"%s\" is not a number of 32 bits\n", word, arg);
		exit(-1);
	}
	return val;
}

int tool_show(int argc, char **argv)
{
	int shown = 0, ret;

	memset(&filter, 0, sizeof(filter));
	for (; argc > 0; argc--, argv++) {
		if (strcmp(*argv, "src") == 0) {
			NEXT_ARG();
			get_addr(&filter.src, *argv, preferred_family);
		} else if (strcmp(*argv, "dst") == 0) {
			NEXT_ARG();
			get_addr(&filter.dst, *argv, preferred_family);
		} else if (strcmp(*argv, "spi") == 0) {
			NEXT_ARG();
			filter.spi = number_of("spi", *argv);
			filter.by_spi = true;
		} else if (strcmp(*argv, "reqid") == 0) {
			NEXT_ARG();
			filter.reqid = number_of("reqid", *argv);
			filter.by_reqid = true;
		} else {
			invarg("it is none of src, dst, spi, reqid", *argv);
		}
	}
	xfrm_ext_show_from(XFRM_EXT_SOURCE_DUMP);
	new_json_obj(json);
	ret = sas_each(show_one, &shown);
	delete_json_obj();
	return ret < 0 ? 2 : 0;
}
