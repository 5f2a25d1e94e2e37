// SPDX-License-Identifier: GPL-2.0-only
/*
 * "doctor": what SAs tell. A sentence for each SA, and one for each peer.
 */
#include <dirent.h>
#include <stdlib.h>
#include <unistd.h>

#include "tool.h"

/* Fewer may be chance */
#define PACKETS_MIN	16

static const char *name(const struct tool_sa *sa)
{
	static char text[160];

	snprintf(text, sizeof(text), "SA %s > %s spi 0x%08x reqid %u",
		 sas_addr(sa, &sa->info.saddr), sas_addr(sa, &sa->info.id.daddr),
		 ntohl(sa->info.id.spi), sa->info.reqid);
	return text;
}

static __u64 stat_of(const struct tool_sa *sa, int stat)
{
	return sa->ext ? sa->ext->stats[stat] : 0;
}

/* --- one SA ------------------------------------------------------------------------- */

static void check_state(const struct tool_sa *sa)
{
	if (!sa->ext) {
		doctor_problem("%s is extended, and the module does not know it: delete it, and make it again.",
			       name(sa));
		return;
	}
	switch (sa->ext->state) {
	case XFRM_EXT_STATE_FAILED:
		doctor_problem("%s cannot be used (%s): delete it, and make one that can.",
			       name(sa),
			       sa->ext->reason ? sa->ext->reason : "no reason given");
		break;
	case XFRM_EXT_STATE_HELD:
		doctor_hint("%s is held, and drops all packets: \"xfrm-ext set dst %s spi 0x%x ... release\" when its numbers have been set.",
			    name(sa), sas_addr(sa, &sa->info.id.daddr), ntohl(sa->info.id.spi));
		break;
	}
}

static __u64 power_of_two(__u64 above)
{
	__u64 val = XFRM_EXT_WINDOW_MIN;

	while (val <= above && val < XFRM_EXT_WINDOW_MAX)
		val *= 2;
	return val;
}

static void check_window(const struct tool_sa *sa)
{
	__u64 old = stat_of(sa, XFRM_EXT_STAT_RX_TOO_OLD);
	__u64 window = sa->ext->params.val[XFRM_EXT_A_WINDOW];
	__u64 packets = stat_of(sa, XFRM_EXT_STAT_RX_PACKETS);

	/* One in a thousand */
	if (old < PACKETS_MIN || old < packets / 1000)
		return;
	if (window < XFRM_EXT_WINDOW_MAX)
		doctor_problem("%s has dropped %llu packets as too old for its window of %llu: \"window %llu\" when it is made anew (in the rule, if one makes it), or a subspace for each path.",
			       name(sa), (unsigned long long)old, (unsigned long long)window,
			       (unsigned long long)power_of_two(window));
	else
		doctor_problem("%s has dropped %llu packets as too old for the widest window there is: a subspace for each path, or \"replay-protection off\" if that may be.",
			       name(sa), (unsigned long long)old);
}

static void check_numbers(const struct tool_sa *sa)
{
	__u64 warn = sa->ext->params.val[XFRM_EXT_A_TX_WARN];
	const struct xfrm_ext_counter *s;
	size_t i;

	if (stat_of(sa, XFRM_EXT_STAT_TX_EXHAUSTED)) {
		doctor_problem("%s has sent its last number in a subspace, and drops: it needs a successor with a new key now.",
			       name(sa));
		return;
	}
	for (i = 0; warn && i < sa->ext->n_subspaces; i++) {
		s = &sa->ext->subspaces[i];
		if (s->tx && s->val[XFRM_EXT_SUBSPACE_HIGHEST] >= warn) {
			doctor_problem("%s is near its last number in subspace %u: it needs a successor with a new key soon.",
				       name(sa), s->id);
			return;
		}
	}
}

static void check_drops(const struct tool_sa *sa)
{
	if (sa->ext->out_of_range && stat_of(sa, XFRM_EXT_STAT_RX_SUBSPACE) >= PACKETS_MIN)
		doctor_problem("%s has got packets of subspace %u, and has %llu: the same number of tx-subspaces at the peer and rx-subspaces here (unless somebody forges packets).",
			       name(sa), sa->ext->out_of_range_id,
			       (unsigned long long)sa->ext->params.val[XFRM_EXT_A_RX_SUBSPACES]);
	if (stat_of(sa, XFRM_EXT_STAT_RX_NOMEM_WINDOW))
		doctor_problem("%s has had no memory for windows: smaller windows, fewer subspaces, or more memory-max.",
			       name(sa));
	if (stat_of(sa, XFRM_EXT_STAT_TX_NO_SUBSPACES))
		doctor_problem("%s is for receiving only, and a policy wants to send by it: it needs tx-subspaces.",
			       name(sa));
	if (stat_of(sa, XFRM_EXT_STAT_RX_NO_SUBSPACES))
		doctor_problem("%s is for sending only, and packets come for it: it needs rx-subspaces.",
			       name(sa));
}

/* --- peers that do not answer --------------------------------------------------------- */

static bool is_way(const struct tool_sa *sa, int family, const xfrm_address_t *from,
		   const xfrm_address_t *to)
{
	int len = family == AF_INET6 ? 16 : 4;

	return sa->info.family == family && memcmp(&sa->info.saddr, from, len) == 0 &&
	       memcmp(&sa->info.id.daddr, to, len) == 0;
}

struct way {
	__u64 sent, received, unauthentic;
	unsigned int sas;
	bool by_rule;
};

/* All SAs from one to the other, old and new; of plain ones the kernel's count */
static void way_sum(struct way *way, const struct tool_sa *sas, size_t n, int family,
		    const xfrm_address_t *from, const xfrm_address_t *to)
{
	size_t i;

	memset(way, 0, sizeof(*way));
	for (i = 0; i < n; i++) {
		if (!is_way(&sas[i], family, from, to))
			continue;
		way->sas++;
		if (!sas[i].extended) {
			way->sent += sas[i].info.curlft.packets;
			way->received += sas[i].info.curlft.packets;
			way->unauthentic += sas[i].info.stats.integrity_failed;
			continue;
		}
		way->sent += stat_of(&sas[i], XFRM_EXT_STAT_TX_PACKETS);
		way->received += stat_of(&sas[i], XFRM_EXT_STAT_RX_PACKETS) +
				 stat_of(&sas[i], XFRM_EXT_STAT_RX_DUMMY) +
				 stat_of(&sas[i], XFRM_EXT_STAT_RX_ECHO) +
				 stat_of(&sas[i], XFRM_EXT_STAT_RX_ECHO_REFUSED);
		way->unauthentic += stat_of(&sas[i], XFRM_EXT_STAT_RX_ICV);
		way->by_rule |= sas[i].ext && sas[i].ext->rule;
	}
}

static void check_answers(const struct tool_sa *sas, size_t n, size_t at)
{
	const struct tool_sa *sa = &sas[at];
	const xfrm_address_t *here = &sa->info.saddr, *there = &sa->info.id.daddr;
	int family = sa->info.family;
	struct way out, back;
	size_t i;

	/* Once for each peer */
	for (i = 0; i < at; i++)
		if (sas[i].extended && is_way(&sas[i], family, here, there))
			return;
	way_sum(&out, sas, n, family, here, there);
	way_sum(&back, sas, n, family, there, here);
	if (out.sent < PACKETS_MIN || back.received)
		return;
	if (!back.sas)
		doctor_problem("%llu packets have been sent to %s, and there is no SA for the way back: make one.",
			       (unsigned long long)out.sent, sas_addr(sa, there));
	else if (back.unauthentic)
		doctor_problem("%llu packets have been sent to %s, and of the %llu that came back none was authentic: keys, algorithm and format must be the peer's%s.",
			       (unsigned long long)out.sent, sas_addr(sa, there),
			       (unsigned long long)back.unauthentic,
			       back.by_rule ? ", which needs the same rule" : "");
	else
		doctor_problem("%llu packets have been sent to %s, and nothing has come back: does %s have the SAs, does it get these packets (\"xfrm-ext -s show\" there), and does every firewall between let %s pass?",
			       (unsigned long long)out.sent, sas_addr(sa, there),
			       sas_addr(sa, there),
			       sa->encap ? "UDP port 4500" : "protocol 50 (ESP)");
}

/* An SA that receives nothing but what is not authentic, whether we send or not */
static void check_authentic(const struct tool_sa *sa)
{
	if (xfrm_ext_no_packet_authentic(sa->ext))
		doctor_problem("%s has got %llu packets, none authentic: keys, algorithm and format must be the peer's%s.",
			       name(sa), (unsigned long long)stat_of(sa, XFRM_EXT_STAT_RX_ICV),
			       sa->ext->rule ? ", which needs the same rule" : "");
}

/* --- CPUs and GRO --------------------------------------------------------------------- */

static bool directory_used(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	bool used = false;

	while (dir && (entry = readdir(dir)))
		used |= *entry->d_name != '.';
	if (dir)
		closedir(dir);
	return used;
}

static bool module_is_there(const char *module)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/module/%s", module);
	return access(path, F_OK) == 0;
}

static bool gro_without_offload(void)
{
	FILE *fp = fopen("/sys/module/xfrm_ext/parameters/gro", "re");
	int c = fp ? fgetc(fp) : EOF;

	if (fp)
		fclose(fp);
	return c == '1' || c == 'Y';
}

static void check_steering(const struct tool_sa *sas, size_t n)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	const struct xfrm_ext_sa *ext;
	size_t i;

	if (cpus < 2 || directory_used("/sys/fs/bpf/xfrm-ext-steer"))
		return;
	for (i = 0; i < n; i++) {
		ext = sas[i].ext;
		if (!ext || sas[i].dir == DIR_OUT ||
		    ext->params.val[XFRM_EXT_A_RX_SUBSPACES] < 2 ||
		    ext->params.val[XFRM_EXT_A_FLAGS] & XFRM_EXT_SA_F_SPREAD)
			continue;
		doctor_hint("%s has %llu receive subspaces, but a network card brings all its packets to one of %ld CPUs: \"xfrm-ext-steer DEV\", or \"spread on\" at the peer (if they are not there for paths or classes).",
			    name(&sas[i]),
			    (unsigned long long)ext->params.val[XFRM_EXT_A_RX_SUBSPACES], cpus);
		return;
	}
}

static void check_gro(const struct tool_sa *sas, size_t n, int family, const char *module)
{
	size_t i;

	if (module_is_there(module) || gro_without_offload())
		return;
	for (i = 0; i < n; i++)
		if (sas[i].ext && sas[i].info.family == family && sas[i].dir != DIR_OUT &&
		    sas[i].info.mode != XFRM_MODE_TRANSPORT) {
			doctor_hint("%s would cost less to receive at GRO: \"modprobe %s\" (packets are then not seen by netfilter before they are decrypted; Documentation/gro.rst).",
				    name(&sas[i]), module);
			return;
		}
}

void doctor_sas(void)
{
	struct tool_sa *sas;
	size_t i, n;

	if (sas_read(&sas, &n) < 0) {
		doctor_problem("the SAs cannot be read.");
		return;
	}
	for (i = 0; i < n; i++) {
		if (!sas[i].extended)
			continue;
		check_state(&sas[i]);
		if (!sas[i].ext)
			continue;
		check_window(&sas[i]);
		check_numbers(&sas[i]);
		check_drops(&sas[i]);
		check_authentic(&sas[i]);
		check_answers(sas, n, i);
	}
	check_steering(sas, n);
	check_gro(sas, n, AF_INET, "esp4_offload");
	check_gro(sas, n, AF_INET6, "esp6_offload");
	free(sas);
}
