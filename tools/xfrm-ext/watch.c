// SPDX-License-Identifier: GPL-2.0-only
/*
 * "watch": what extended SAs do, as it changes
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "tool.h"

/* An SA as it was, or is */
struct view {
	struct tool_sa sa;
	struct xfrm_ext_key key;
	__u64 stats[XFRM_EXT_STAT_MAX + 1];
	struct xfrm_ext_counter *subspaces;
	size_t n_subspaces;
	__u64 window;
};

struct screen {
	struct view *views;
	size_t n;
	struct timespec at;
};

static void screen_free(struct screen *s)
{
	size_t i;

	for (i = 0; i < s->n; i++)
		free(s->views[i].subspaces);
	free(s->views);
	memset(s, 0, sizeof(*s));
}

static int screen_read(struct screen *s)
{
	struct tool_sa *sas;
	struct view *view;
	size_t i, n;

	if (sas_read(&sas, &n) < 0)
		return -1;
	clock_gettime(CLOCK_MONOTONIC, &s->at);
	s->views = xfrm_ext_alloc(NULL, (n + 1) * sizeof(*s->views));
	s->n = 0;
	for (i = 0; i < n; i++) {
		const struct xfrm_ext_sa *ext = sas[i].ext;

		if (!ext)
			continue;
		view = &s->views[s->n++];
		view->sa = sas[i];
		view->key = ext->key;
		view->window = ext->params.val[XFRM_EXT_A_WINDOW];
		memcpy(view->stats, ext->stats, sizeof(view->stats));
		view->n_subspaces = ext->n_subspaces;
		view->subspaces = xfrm_ext_alloc(NULL, (ext->n_subspaces + 1) *
						 sizeof(*view->subspaces));
		if (ext->n_subspaces)
			memcpy(view->subspaces, ext->subspaces,
			       ext->n_subspaces * sizeof(*view->subspaces));
	}
	free(sas);
	return 0;
}

static const struct view *before(const struct screen *old, const struct view *view)
{
	size_t i;

	for (i = 0; i < old->n; i++)
		if (memcmp(&old->views[i].key, &view->key, sizeof(view->key)) == 0 &&
		    old->views[i].sa.info.curlft.add_time == view->sa.info.curlft.add_time)
			return &old->views[i];
	return NULL;
}

static const struct xfrm_ext_counter *subspace_before(const struct view *old,
						      const struct xfrm_ext_counter *s)
{
	size_t i;

	for (i = 0; old && i < old->n_subspaces; i++)
		if (old->subspaces[i].tx == s->tx && old->subspaces[i].id == s->id)
			return &old->subspaces[i];
	return NULL;
}

/* What cannot be said, as with an SA that is new, is 0 */
static double rate(__u64 now, bool known, __u64 then, double seconds)
{
	return known && now > then && seconds > 0 ? (now - then) / seconds : 0;
}

/* --- lines ------------------------------------------------------------------------- */

static int rows, row;

/* As many as there is room for */
static bool line(void)
{
	if (rows && row >= rows - 1)
		return false;
	row++;
	return true;
}

static void subspace_line(const struct view *view, const struct view *old,
			  const struct xfrm_ext_counter *s, double seconds)
{
	const struct xfrm_ext_counter *was = subspace_before(old, s);
	static const __u64 zero[XFRM_EXT_SUBSPACE_MAX + 1];
	/* One that was not there had counted nothing, if the SA was */
	const __u64 *then = was ? was->val : zero;
	bool known = old;

	if (!line())
		return;
	if (s->tx) {
		printf("  tx-subspace %-5u %12.0f/s  highest %llu\n", s->id,
		       rate(s->val[XFRM_EXT_SUBSPACE_HIGHEST], known && was,
			    then[XFRM_EXT_SUBSPACE_HIGHEST], seconds),
		       (unsigned long long)s->val[XFRM_EXT_SUBSPACE_HIGHEST]);
		return;
	}
	printf("  rx-subspace %-5u %12.0f/s  replays %.0f/s  too-old %.0f/s  backtrack %llu of %llu\n",
	       s->id,
	       rate(s->val[XFRM_EXT_SUBSPACE_PACKETS], known, then[XFRM_EXT_SUBSPACE_PACKETS],
		    seconds),
	       rate(s->val[XFRM_EXT_SUBSPACE_REPLAYS], known, then[XFRM_EXT_SUBSPACE_REPLAYS],
		    seconds),
	       rate(s->val[XFRM_EXT_SUBSPACE_TOO_OLD], known, then[XFRM_EXT_SUBSPACE_TOO_OLD],
		    seconds),
	       (unsigned long long)s->val[XFRM_EXT_SUBSPACE_BACKTRACK],
	       (unsigned long long)view->window);
}

static void drops_line(const struct view *view, const struct view *old, double seconds)
{
	bool any = false;
	double drops;
	int i;

	for (i = 0; i <= XFRM_EXT_STAT_MAX; i++) {
		if (!xfrm_ext_stat_is_drop(i) || !view->stats[i])
			continue;
		if (!any && !line())
			return;
		drops = rate(view->stats[i], old, old ? old->stats[i] : 0, seconds);
		printf("%s%s %llu", any ? "  " : "  drops  ", xfrm_ext_stat_name(i),
		       (unsigned long long)view->stats[i]);
		if (drops > 0)
			printf(" (%.0f/s)", drops);
		any = true;
	}
	if (any)
		printf("\n");
}

static void view_print(const struct view *view, const struct screen *old, double seconds)
{
	const struct view *was = before(old, view);
	const __u64 *stats = view->stats;
	size_t i;

	if (!line())
		return;
	printf("%s > %s  spi 0x%08x  reqid %u", sas_addr(&view->sa, &view->sa.info.saddr),
	       sas_addr(&view->sa, &view->sa.info.id.daddr), ntohl(view->sa.info.id.spi),
	       view->sa.info.reqid);
	for (i = 0; i < 2; i++) {
		int packets = i ? XFRM_EXT_STAT_RX_PACKETS : XFRM_EXT_STAT_TX_PACKETS;
		int bytes = i ? XFRM_EXT_STAT_RX_BYTES : XFRM_EXT_STAT_TX_BYTES;

		if (!stats[packets])
			continue;
		printf("  %s %.0f/s %.1f Mbit/s", i ? "rx" : "tx",
		       rate(stats[packets], was, was ? was->stats[packets] : 0, seconds),
		       rate(stats[bytes], was, was ? was->stats[bytes] : 0, seconds) * 8 / 1e6);
	}
	printf("\n");
	for (i = 0; i < view->n_subspaces; i++)
		subspace_line(view, was, &view->subspaces[i], seconds);
	drops_line(view, was, seconds);
}

static void screen_print(const struct screen *now, const struct screen *old, bool tty)
{
	double seconds = now->at.tv_sec - old->at.tv_sec +
			 (now->at.tv_nsec - old->at.tv_nsec) / 1e9;
	struct winsize size;
	char text[32];
	struct tm tm;
	time_t t;
	size_t i;

	rows = tty && !ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) ? size.ws_row : 0;
	row = 0;
	t = time(NULL);
	strftime(text, sizeof(text), "%H:%M:%S", localtime_r(&t, &tm));
	if (tty)
		printf("\033[H\033[2J");
	if (line())
		printf("%s  %zu extended SA%s%s\n", text, now->n, now->n == 1 ? "" : "s",
		       tty ? "; end with Ctrl-C" : "");
	for (i = 0; i < now->n; i++)
		view_print(&now->views[i], old, seconds);
	if (rows && row >= rows - 1)
		printf("... and more than fits on the screen");
	fflush(stdout);
}

/* --- the command -------------------------------------------------------------------- */

double seconds_parse(const char *word, const char *arg)
{
	char *endp;
	double val = strtod(arg, &endp);

	/* Also what is not a number */
	if (endp == arg || *endp || !(val >= 0.1 && val <= 86400)) {
		fprintf(stderr, "Error: %s: \"%s\" is not seconds from 0.1 to 86400\n", word, arg);
		exit(-1);
	}
	return val;
}

int tool_watch(int argc, char **argv)
{
	struct screen old = {}, now = {};
	bool tty = isatty(STDOUT_FILENO);
	struct pollfd signals = { .events = POLLIN };
	sigset_t ends;
	double interval = 1;
	__u64 count = 0, shown = 0;
	int ret = 0;

	for (; argc > 0; argc--, argv++) {
		if (strcmp(*argv, "interval") == 0) {
			NEXT_ARG();
			interval = seconds_parse("interval", *argv);
		} else if (strcmp(*argv, "count") == 0) {
			NEXT_ARG();
			if (xfrm_ext_number(&count, *argv, 10, UINT32_MAX) || !count) {
				fprintf(stderr, "Error: count: \"%s\" is not a number from 1 on\n",
					*argv);
				return 255;
			}
		} else {
			invarg("it is none of interval, count", *argv);
		}
	}
	sigemptyset(&ends);
	sigaddset(&ends, SIGINT);
	sigaddset(&ends, SIGTERM);
	sigprocmask(SIG_BLOCK, &ends, NULL);
	signals.fd = signalfd(-1, &ends, SFD_CLOEXEC);
	if (signals.fd < 0) {
		perror("xfrm-ext: cannot wait for signals");
		return 2;
	}
	if (screen_read(&old) < 0)
		return 2;
	/* Another screen, without a cursor; the one before comes back in the end */
	if (tty)
		printf("\033[?1049h\033[?25l");
	while (!count || shown < count) {
		if (poll(&signals, 1, shown || !tty ? interval * 1000 : 0) > 0)
			break;
		if (screen_read(&now) < 0) {
			ret = 2;
			break;
		}
		screen_print(&now, &old, tty);
		shown++;
		screen_free(&old);
		old = now;
		memset(&now, 0, sizeof(now));
		if (ferror(stdout))
			break;
	}
	if (tty) {
		printf("\033[?25h\033[?1049l");
		fflush(stdout);
	}
	screen_free(&old);
	return ret;
}
