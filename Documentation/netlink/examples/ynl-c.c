// SPDX-License-Identifier: GPL-2.0-only
/*
 * ynl-c.c	Extended SAs, by the C code that ynl makes of the specification
 *
 *	ynl-c caps			what module and kernel can do
 *	ynl-c announce DST SPI NUMBER	the SA of this name shall send in NUMBER subspaces
 *	ynl-c withdraw DST SPI		or not
 *	ynl-c show			what extended SAs there are
 *	ynl-c rule-flush		take all rules away
 *	ynl-c events NUMBER		wait for that many
 *
 * An IKE daemon asks for caps before it offers anything to its peer, announces an SA before it
 * makes it (XFRM_MSG_NEWSA with XFRM_EXT_SA_XFLAG in XFRMA_SA_EXTRA_FLAGS), and gets it
 * afterwards, to see that it is ready. ynl-python.py is the same in Python.
 */

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ynl.h>

#include "xfrm_ext-user.h"

/* What names an SA, but for its mark */
struct identity {
	__u16 family;
	unsigned char daddr[16];
	size_t len;
	__u32 spi;
};

static bool identity_read(struct identity *id, char **words)
{
	char *end;

	if (inet_pton(AF_INET, words[0], id->daddr) == 1) {
		id->family = AF_INET;
		id->len = 4;
	} else if (inet_pton(AF_INET6, words[0], id->daddr) == 1) {
		id->family = AF_INET6;
		id->len = 16;
	} else {
		fprintf(stderr, "\"%s\" is no IP address\n", words[0]);
		return false;
	}

	id->spi = htonl(strtoul(words[1], &end, 0));
	if (end == words[1] || *end) {
		fprintf(stderr, "\"%s\" is no SPI\n", words[1]);
		return false;
	}

	return true;
}

static void identity_print(const char *what, __u16 family, const void *daddr, __u32 spi)
{
	char text[INET6_ADDRSTRLEN];

	printf("%s %s 0x%08x", what, inet_ntop(family, daddr, text, sizeof(text)), ntohl(spi));
}

/* In the words of the module, which name the attribute and its limit */
static int failed(struct ynl_sock *ys)
{
	fprintf(stderr, "%s\n", ys->err.msg);
	return 1;
}

static int caps(struct ynl_sock *ys)
{
	struct xfrm_ext_caps_rsp *rsp = xfrm_ext_caps(ys);
	unsigned int i;

	if (!rsp)
		return failed(ys);

	/* A bit for each value of the enum, also for those that only a newer module has */
	for (i = 0; i < 32; i++)
		if (rsp->cap_formats & (1U << i) && xfrm_ext_format_str(i))
			printf("format %s\n", xfrm_ext_format_str(i));
	for (i = 0; i < rsp->_count.cap_algorithm; i++)
		printf("algorithm %s\n", rsp->cap_algorithm[i]->str);
	printf("window-max %u\n", rsp->cap_window_max);
	xfrm_ext_caps_rsp_free(rsp);

	return 0;
}

static int announce(struct ynl_sock *ys, char **words)
{
	struct xfrm_ext_announce_req *req;
	struct identity id;
	int ret;

	if (!identity_read(&id, words))
		return 1;

	req = xfrm_ext_announce_req_alloc();
	xfrm_ext_announce_req_set_family(req, id.family);
	xfrm_ext_announce_req_set_daddr(req, id.daddr, id.len);
	xfrm_ext_announce_req_set_spi(req, id.spi);
	xfrm_ext_announce_req_set_format(req, XFRM_EXT_FORMAT_ESP64);
	xfrm_ext_announce_req_set_tx_subspaces(req, strtoul(words[2], NULL, 0));
	ret = xfrm_ext_announce(ys, req);
	xfrm_ext_announce_req_free(req);

	return ret < 0 ? failed(ys) : 0;
}

static int withdraw(struct ynl_sock *ys, char **words)
{
	struct xfrm_ext_withdraw_req *req;
	struct identity id;
	int ret;

	if (!identity_read(&id, words))
		return 1;

	req = xfrm_ext_withdraw_req_alloc();
	xfrm_ext_withdraw_req_set_family(req, id.family);
	xfrm_ext_withdraw_req_set_daddr(req, id.daddr, id.len);
	xfrm_ext_withdraw_req_set_spi(req, id.spi);
	ret = xfrm_ext_withdraw(ys, req);
	xfrm_ext_withdraw_req_free(req);

	return ret < 0 ? failed(ys) : 0;
}

static void subspaces_print(const struct xfrm_ext_get_rsp_dump *sa, const char *way,
			    const struct xfrm_ext_subspace_state *subspaces, unsigned int number)
{
	unsigned int i;

	for (i = 0; i < number; i++) {
		identity_print("subspace", sa->family, sa->daddr, sa->spi);
		printf(" %s %u highest %llu\n", way, subspaces[i].id, subspaces[i].highest);
	}
}

/* An SA of many subspaces comes in several messages: the first has all but the other subspaces */
static int show(struct ynl_sock *ys)
{
	struct xfrm_ext_get_rsp_list *sas = xfrm_ext_get_dump(ys);

	if (!sas)
		return failed(ys);

	ynl_dump_foreach(sas, sa) {
		if (sa->_present.state) {
			identity_print("sa", sa->family, sa->daddr, sa->spi);
			printf(" format %s state %s", xfrm_ext_format_str(sa->format),
			       xfrm_ext_state_str(sa->state));
			printf(" tx-packets %llu rx-packets %llu\n",
			       sa->stats.tx_packets, sa->stats.rx_packets);
		}
		subspaces_print(sa, "tx", sa->tx_subspace, sa->_count.tx_subspace);
		subspaces_print(sa, "rx", sa->rx_subspace, sa->_count.rx_subspace);
	}
	xfrm_ext_get_rsp_list_free(sas);

	return 0;
}

static int rule_flush(struct ynl_sock *ys)
{
	return xfrm_ext_rule_flush(ys) < 0 ? failed(ys) : 0;
}

/* Each event has a structure of its own; this shows one of them, and of the others the name */
static void event_print(const struct ynl_ntf_base_type *ntf)
{
	const struct xfrm_ext_first_use *event;

	if (ntf->cmd != XFRM_EXT_CMD_FIRST_USE) {
		printf("event %s\n", xfrm_ext_op_str(ntf->cmd));
		return;
	}

	event = (const void *)ntf;
	identity_print("event first-use", event->obj.family, event->obj.daddr, event->obj.spi);
	if (event->obj._count.tx_subspace)
		printf(" tx %u\n", event->obj.tx_subspace[0].id);
	else if (event->obj._count.rx_subspace)
		printf(" rx %u\n", event->obj.rx_subspace[0].id);
}

static int events(struct ynl_sock *ys, unsigned long number)
{
	struct pollfd fd = { .fd = ynl_socket_get_fd(ys), .events = POLLIN };
	struct ynl_ntf_base_type *ntf;

	if (ynl_subscribe(ys, XFRM_EXT_MCGRP_EVENTS) < 0)
		return failed(ys);

	while (number) {
		if (poll(&fd, 1, -1) < 0)
			return 1;
		/*
		 * ynl has no code for events that are commands as well, rule-add and
		 * rule-del: it fails at them without an error, and that is all.
		 */
		ys->err.code = YNL_ERROR_NONE;
		if (ynl_ntf_check(ys) < 0 && ys->err.code)
			return failed(ys);
		while (number && (ntf = ynl_ntf_dequeue(ys))) {
			event_print(ntf);
			ynl_ntf_free(ntf);
			number--;
		}
		fflush(stdout);
	}

	return 0;
}

static int run(struct ynl_sock *ys, int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";

	if (argc == 2 && !strcmp(verb, "caps"))
		return caps(ys);
	if (argc == 5 && !strcmp(verb, "announce"))
		return announce(ys, argv + 2);
	if (argc == 4 && !strcmp(verb, "withdraw"))
		return withdraw(ys, argv + 2);
	if (argc == 2 && !strcmp(verb, "show"))
		return show(ys);
	if (argc == 2 && !strcmp(verb, "rule-flush"))
		return rule_flush(ys);
	if (argc == 3 && !strcmp(verb, "events"))
		return events(ys, strtoul(argv[2], NULL, 0));

	fprintf(stderr,
		"usage: ynl-c caps | announce DST SPI NUMBER | withdraw DST SPI | show | rule-flush | events NUMBER\n");
	return 2;
}

int main(int argc, char **argv)
{
	struct ynl_error error;
	struct ynl_sock *ys;
	int ret;

	/* Asking for the family loads the module */
	ys = ynl_sock_create(&ynl_xfrm_ext_family, &error);
	if (!ys) {
		fprintf(stderr, "%s: is the module xfrm_ext installed?\n", error.msg);
		return 1;
	}
	ret = run(ys, argc, argv);
	ynl_sock_destroy(ys);

	return ret;
}
