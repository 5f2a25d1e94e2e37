// SPDX-License-Identifier: GPL-2.0-only
/*
 * "ping": ESP Echo through an SA, and how each of its subspaces fares
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tool.h"

#define COOKIE		8	/* octets of data by which replies to us are known */
#define SEQS		65536
#define ANSWER_SIZE	8192
#define PACE		20	/* milliseconds: a peer answers 100 in a second */

struct lane {
	__u32 id;
	__u32 sent, received;
	double min, max, sum;	/* milliseconds */
};

/* A request on its way */
struct request {
	struct lane *lane;	/* NULL: none, or answered */
	struct timespec at;
};

struct ping {
	struct xfrm_usersa_info info;
	struct xfrm_mark mark;
	__u32 reply_spi;	/* network byte order */
	__u32 size;
	struct lane *lanes;
	size_t n_lanes;
	bool any_lane;		/* the one that the SA chooses */
	struct rtnl_handle ask, hear;
	int family;
	unsigned char cookie[COOKIE];
	__u16 id, seq;
	struct request requests[SEQS];
	bool json;
};

void tool_ping_usage(FILE *fp)
{
	fprintf(fp,
		"       xfrm-ext ping dst ADDR spi SPI [ mark MARK [ mask MASK ] ] [ reply-spi SPI ]\n"
		"                     [ tx-subspace { ID | all } ] [ count NUMBER ] [ interval SECONDS ]\n"
		"                     [ timeout SECONDS ] [ size OCTETS ]\n");
}

static double since(const struct timespec *then)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec - then->tv_sec) * 1e3 + (now.tv_nsec - then->tv_nsec) / 1e6;
}

/* --- which SAs ----------------------------------------------------------------------- */

static const struct tool_sa *sa_out(const struct ping *p, const struct tool_sa *sas, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (sas[i].extended && sas[i].info.family == p->info.family &&
		    sas[i].info.id.spi == p->info.id.spi && sas[i].mark.v == p->mark.v &&
		    sas[i].mark.m == p->mark.m &&
		    sas_same_addr(&sas[i], &sas[i].info.id.daddr, &p->info.id.daddr))
			return &sas[i];
	return NULL;
}

/* What comes back by: the newest from there to here, of the same reqid if there is one */
static const struct tool_sa *sa_back(const struct tool_sa *out, const struct tool_sa *sas,
				     size_t n)
{
	const struct tool_sa *best = NULL;
	bool reqid, best_reqid = false;
	size_t i;

	for (i = 0; i < n; i++) {
		const struct tool_sa *sa = &sas[i];

		if (sa == out || !sa->ext || sa->ext->state != XFRM_EXT_STATE_READY ||
		    !sa->ext->params.set[XFRM_EXT_A_RX_SUBSPACES] ||
		    sa->info.family != out->info.family || sa->if_id != out->if_id ||
		    !sas_same_addr(sa, &sa->info.saddr, &out->info.id.daddr) ||
		    !sas_same_addr(sa, &sa->info.id.daddr, &out->info.saddr))
			continue;
		reqid = sa->info.reqid == out->info.reqid;
		if (best && (reqid < best_reqid ||
			     (reqid == best_reqid &&
			      sa->info.curlft.add_time < best->info.curlft.add_time)))
			continue;
		best = sa;
		best_reqid = reqid;
	}
	return best;
}

static void lanes_make(struct ping *p, __u32 first, __u32 n)
{
	__u32 i;

	p->lanes = xfrm_ext_alloc(NULL, n * sizeof(*p->lanes));
	memset(p->lanes, 0, n * sizeof(*p->lanes));
	p->n_lanes = n;
	for (i = 0; i < n; i++)
		p->lanes[i].id = first + i;
}

static int find_sas(struct ping *p, bool all)
{
	const struct tool_sa *out, *back;
	const struct xfrm_ext_params *ext;
	struct tool_sa *sas;
	int ret = 2;
	size_t n;

	if (sas_read(&sas, &n) < 0)
		return 2;
	out = sa_out(p, sas, n);
	if (!out || !out->ext) {
		say("there is no extended SA with this dst, spi and mark");
		goto out;
	}
	ext = &out->ext->params;
	if (!ext->set[XFRM_EXT_A_TX_SUBSPACES]) {
		say("the SA is for receiving only: ping by the one to the peer");
		goto out;
	}
	if (!p->reply_spi) {
		back = sa_back(out, sas, n);
		if (!back) {
			say("no extended SA that is ready comes back from %s: which SPI does the peer send to? reply-spi SPI",
			    sas_addr(out, &out->info.id.daddr));
			goto out;
		}
		p->reply_spi = back->info.id.spi;
	}
	if (all)
		lanes_make(p, ext->val[XFRM_EXT_A_TX_BASE], ext->val[XFRM_EXT_A_TX_SUBSPACES]);
	ret = 0;
out:
	free(sas);
	return ret;
}

/* --- there and back ------------------------------------------------------------------ */

static int request_send(struct ping *p, struct lane *lane)
{
	GENL_REQUEST(req, 256, p->family, 0, XFRM_EXT_GENL_VERSION, XFRM_EXT_CMD_ECHO,
		     NLM_F_REQUEST);
	struct request *r = &p->requests[++p->seq];

	xfrm_ext_put_id(&req.n, sizeof(req), &p->info, &p->mark);
	addattr16(&req.n, sizeof(req), XFRM_EXT_A_ECHO_ID, p->id);
	addattr16(&req.n, sizeof(req), XFRM_EXT_A_ECHO_SEQ, p->seq);
	addattr32(&req.n, sizeof(req), XFRM_EXT_A_ECHO_REPLY_SPI, p->reply_spi);
	addattr32(&req.n, sizeof(req), XFRM_EXT_A_ECHO_LEN, p->size);
	addattr_l(&req.n, sizeof(req), XFRM_EXT_A_ECHO_DATA, p->cookie, COOKIE);
	if (!p->any_lane)
		addattr32(&req.n, sizeof(req), XFRM_EXT_A_ECHO_SUBSPACE, lane->id);
	r->lane = lane;
	lane->sent++;
	clock_gettime(CLOCK_MONOTONIC, &r->at);
	if (xfrm_ext_talk(&p->ask, &req.n, NULL, false) == 0)
		return 0;
	/* What a queue or a cipher drops is lost like any other; it may go better next time */
	if (errno == ENOBUFS || errno == ENOSPC || errno == ENOMEM)
		return 0;
	lane->sent--;
	r->lane = NULL;
	return -1;
}

static void reply_take(struct ping *p, struct nlmsghdr *n)
{
	const struct genlmsghdr *ghdr = NLMSG_DATA(n);
	struct rtattr *tb[XFRM_EXT_A_MAX + 1];
	struct request *r;
	double ms;

	if (n->nlmsg_type != p->family || n->nlmsg_len < NLMSG_LENGTH(GENL_HDRLEN) ||
	    ghdr->cmd != XFRM_EXT_CMD_ECHO_REPLY)
		return;
	xfrm_ext_attrs(n, tb);
	if (!tb[XFRM_EXT_A_ECHO_ID] || !tb[XFRM_EXT_A_ECHO_SEQ] || !tb[XFRM_EXT_A_ECHO_DATA] ||
	    !tb[XFRM_EXT_A_SPI] || !tb[XFRM_EXT_A_ECHO_LEN] || !tb[XFRM_EXT_A_ECHO_SUBSPACE] ||
	    rta_getattr_u16(tb[XFRM_EXT_A_ECHO_ID]) != p->id ||
	    RTA_PAYLOAD(tb[XFRM_EXT_A_ECHO_DATA]) < COOKIE ||
	    memcmp(RTA_DATA(tb[XFRM_EXT_A_ECHO_DATA]), p->cookie, COOKIE) != 0)
		return;
	r = &p->requests[rta_getattr_u16(tb[XFRM_EXT_A_ECHO_SEQ])];
	/* Twice, or late */
	if (!r->lane)
		return;
	ms = since(&r->at);
	if (!r->lane->received || ms < r->lane->min)
		r->lane->min = ms;
	if (!r->lane->received || ms > r->lane->max)
		r->lane->max = ms;
	r->lane->sum += ms;
	r->lane->received++;
	if (!p->json) {
		if (!p->any_lane)
			printf("tx-subspace %u: ", r->lane->id);
		printf("%u octets by spi 0x%08x rx-subspace %u seq %u: %.3f ms\n",
		       rta_getattr_u32(tb[XFRM_EXT_A_ECHO_LEN]),
		       ntohl(rta_getattr_u32(tb[XFRM_EXT_A_SPI])),
		       rta_getattr_u32(tb[XFRM_EXT_A_ECHO_SUBSPACE]),
		       rta_getattr_u16(tb[XFRM_EXT_A_ECHO_SEQ]), ms);
		fflush(stdout);
	}
	r->lane = NULL;
}

static void replies_take(struct ping *p)
{
	char buf[ANSWER_SIZE] __attribute__((aligned(NLMSG_ALIGNTO)));
	struct nlmsghdr *n;
	int len;

	while ((len = recv(p->hear.fd, buf, sizeof(buf), MSG_DONTWAIT)) > 0)
		for (n = (struct nlmsghdr *)buf; NLMSG_OK(n, len); n = NLMSG_NEXT(n, len))
			reply_take(p, n);
}

static bool all_are_back(const struct ping *p)
{
	size_t i;

	for (i = 0; i < p->n_lanes; i++)
		if (p->lanes[i].received != p->lanes[i].sent)
			return false;
	return true;
}

/* Take what comes for so long, or until all is back; false if somebody has ended us */
static bool wait_replies(struct ping *p, int signals, double ms, bool all)
{
	struct pollfd fds[] = {
		{ .fd = p->hear.fd, .events = POLLIN },
		{ .fd = signals, .events = POLLIN },
	};
	struct signalfd_siginfo signal;
	struct timespec start;
	double left;

	clock_gettime(CLOCK_MONOTONIC, &start);
	while (!(all && all_are_back(p)) && (left = ms - since(&start)) > 0) {
		if (poll(fds, ARRAY_SIZE(fds), left < 1 ? 1 : (int)left) < 0 && errno != EINTR)
			break;
		if (fds[1].revents) {
			/* It is done with: the sums come, and in a batch the next line */
			if (read(signals, &signal, sizeof(signal)) < 0)
				perror("xfrm-ext: signal");
			return false;
		}
		replies_take(p);
	}
	return true;
}

/* --- what it comes to ------------------------------------------------------------------ */

/* There are no fractions in this JSON */
static __u64 microseconds(double ms)
{
	return ms * 1e3 + 0.5;
}

static void lane_json(const struct ping *p, const struct lane *lane)
{
	open_json_object(NULL);
	if (!p->any_lane)
		print_uint(PRINT_JSON, "tx-subspace", NULL, lane->id);
	print_uint(PRINT_JSON, "sent", NULL, lane->sent);
	print_uint(PRINT_JSON, "received", NULL, lane->received);
	if (lane->received) {
		print_u64(PRINT_JSON, "min-us", NULL, microseconds(lane->min));
		print_u64(PRINT_JSON, "avg-us", NULL, microseconds(lane->sum / lane->received));
		print_u64(PRINT_JSON, "max-us", NULL, microseconds(lane->max));
	}
	close_json_object();
}

static void lane_print(const struct ping *p, const struct lane *lane)
{
	if (!p->any_lane)
		printf("tx-subspace %u: ", lane->id);
	printf("%u sent, %u received, %u %% lost", lane->sent, lane->received,
	       (unsigned int)((lane->sent - lane->received) * 100ULL / (lane->sent ? : 1)));
	if (lane->received)
		printf(", min %.3f avg %.3f max %.3f ms", lane->min, lane->sum / lane->received,
		       lane->max);
	printf("\n");
}

/* 1 if nothing has come back */
static int summary(const struct ping *p)
{
	bool any = false;
	size_t i;

	if (p->json) {
		new_json_obj_plain(json);
		open_json_object(NULL);
		print_uint(PRINT_JSON, "spi", NULL, ntohl(p->info.id.spi));
		print_uint(PRINT_JSON, "reply-spi", NULL, ntohl(p->reply_spi));
		open_json_array(PRINT_JSON, "subspaces");
	}
	for (i = 0; i < p->n_lanes; i++) {
		any |= p->lanes[i].received;
		if (p->json)
			lane_json(p, &p->lanes[i]);
		else
			lane_print(p, &p->lanes[i]);
	}
	if (p->json) {
		close_json_array(PRINT_JSON, NULL);
		close_json_object();
		delete_json_obj_plain();
	} else if (!any) {
		printf("Nothing has come back. Does the peer know ESP Echo, and has its SA \"echo on\"? Its counters rx-echo and rx-echo-refused tell.\n");
	}
	return any ? 0 : 1;
}

static int ping_run(struct ping *p, __u32 count, double interval, double timeout)
{
	sigset_t ends, before;
	bool ended = false;
	int signals, ret = 0;
	__u32 round;
	size_t i;

	sigemptyset(&ends);
	sigaddset(&ends, SIGINT);
	sigaddset(&ends, SIGTERM);
	sigprocmask(SIG_BLOCK, &ends, &before);
	signals = signalfd(-1, &ends, SFD_CLOEXEC);
	if (signals < 0) {
		perror("xfrm-ext: cannot wait for signals");
		return 2;
	}
	for (round = 1; !count || round <= count; round++) {
		for (i = 0; i < p->n_lanes && !ret && !ended; i++) {
			ended = i && !wait_replies(p, signals, PACE, false);
			if (!ended && request_send(p, &p->lanes[i]) < 0)
				ret = 2;
		}
		if (ret || ended)
			break;
		if (!wait_replies(p, signals, (round == count ? timeout : interval) * 1e3,
				  round == count))
			break;
	}
	if (!ret || p->seq > 1)
		ret = summary(p) && !ret ? 1 : ret;
	fflush(stdout);
	close(signals);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return ret;
}

int tool_ping(int argc, char **argv)
{
	static struct ping ping;
	struct ping *p = &ping;
	double interval = 1, timeout = 1;
	bool all = false, one = false;
	__u32 count = 5, id = 0;
	int ret;

	memset(p, 0, sizeof(*p));
	p->size = COOKIE;
	p->json = json;
	if (argc > 0 && strcmp(*argv, "help") == 0) {
		tool_ping_usage(stdout);
		return 0;
	}
	for (; argc > 0; argc--, argv++) {
		if (xfrm_ext_id_word(&p->info, &p->mark, &argc, &argv))
			continue;
		if (strcmp(*argv, "reply-spi") == 0) {
			NEXT_ARG();
			p->reply_spi = htonl(xfrm_ext_number_of("reply-spi", *argv, UINT32_MAX));
		} else if (strcmp(*argv, "tx-subspace") == 0) {
			NEXT_ARG();
			all = strcmp(*argv, "all") == 0;
			one = !all;
			if (one)
				id = xfrm_ext_number_of("tx-subspace", *argv, UINT32_MAX);
		} else if (strcmp(*argv, "count") == 0) {
			NEXT_ARG();
			count = xfrm_ext_number_of("count", *argv, UINT32_MAX);
		} else if (strcmp(*argv, "interval") == 0) {
			NEXT_ARG();
			interval = seconds_parse("interval", *argv);
		} else if (strcmp(*argv, "timeout") == 0) {
			NEXT_ARG();
			timeout = seconds_parse("timeout", *argv);
		} else if (strcmp(*argv, "size") == 0) {
			NEXT_ARG();
			p->size = xfrm_ext_number_of("size", *argv, UINT16_MAX);
		} else {
			invarg("it is none of dst, spi, mark, reply-spi, tx-subspace, count, interval, timeout, size",
			       *argv);
		}
	}
	xfrm_ext_id_check(&p->info);
	if (p->size < COOKIE) {
		fprintf(stderr, "Error: size: %u is less than %u\n", p->size, COOKIE);
		return 255;
	}
	ret = find_sas(p, all);
	if (ret)
		return ret;
	if (!all)
		lanes_make(p, id, 1);
	p->any_lane = !all && !one;
	p->id = getpid();
	if (getrandom(p->cookie, COOKIE, 0) != COOKIE) {
		perror("xfrm-ext: no random octets");
		return 2;
	}
	p->family = xfrm_ext_open(&p->ask);
	if (p->family < 0)
		return 2;
	ret = 2;
	if (xfrm_ext_open(&p->hear) < 0)
		goto close_ask;
	if (genl_add_mcast_grp(&p->hear, p->family, XFRM_EXT_MCGRP_ECHO) < 0)
		say("cannot listen to replies: is the module as new as this program?");
	else
		ret = ping_run(p, count, interval, timeout);
	rtnl_close(&p->hear);
close_ask:
	rtnl_close(&p->ask);
	free(p->lanes);
	return ret;
}
