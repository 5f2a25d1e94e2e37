// SPDX-License-Identifier: GPL-2.0-only
/*
 * "doctor": what is missing on this machine, each in a sentence that says what to do
 */
#include <dirent.h>
#include <errno.h>
#include <net/if_arp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include "tool.h"

/* The oldest that the module is for */
#define KERNEL_MAJOR	6
#define KERNEL_MINOR	1

static unsigned int problems, hints;

static void told(const char *kind, const char *fmt, va_list args)
{
	printf("%s: ", kind);
	vprintf(fmt, args);
	printf("\n");
}

/* Something does not work */
void doctor_problem(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	told("problem", fmt, args);
	va_end(args);
	problems++;
}

/* Something could be better, or may be meant so */
void doctor_hint(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	told("hint", fmt, args);
	va_end(args);
	hints++;
}

/* --- files -------------------------------------------------------------------------- */

static bool first_line(char *line, size_t size, const char *name)
{
	FILE *fp = fopen(name, "re");
	bool ok;

	if (!fp)
		return false;
	ok = fgets(line, size, fp);
	fclose(fp);
	if (ok)
		line[strcspn(line, "\n")] = '\0';
	return ok;
}

/* Also "Y" is 1 */
static int flag_of(const char *name)
{
	char line[64];

	if (!first_line(line, sizeof(line), name))
		return -1;
	return *line == 'Y' ? 1 : atoi(line);
}

static bool file_has(const char *name, const char *text)
{
	FILE *fp = fopen(name, "re");
	char *line = NULL;
	bool found = false;
	size_t size = 0;

	if (!fp)
		return false;
	while (!found && getline(&line, &size, fp) > 0)
		found = strstr(line, text);
	free(line);
	fclose(fp);
	return found;
}

/* Not uname(): a container or a test may show another one */
static const char *release(void)
{
	static char text[128];

	if (!*text && !first_line(text, sizeof(text), "/proc/sys/kernel/osrelease"))
		strcpy(text, "?");
	return text;
}

/* --- the kernel ---------------------------------------------------------------------- */

static void check_version(void)
{
	unsigned int major, minor;

	if (sscanf(release(), "%u.%u", &major, &minor) != 2) {
		doctor_hint("cannot see which kernel this is: mount /proc.");
		return;
	}
	if (major < KERNEL_MAJOR || (major == KERNEL_MAJOR && minor < KERNEL_MINOR))
		doctor_problem("this kernel is %s, and the module needs %d.%d or later: install a newer kernel.",
			       release(), KERNEL_MAJOR, KERNEL_MINOR);
	if (flag_of("/sys/kernel/realtime") > 0)
		doctor_problem("this kernel has PREEMPT_RT, with which the module does not run: boot one without.");
}

/* The running kernel's, wherever the distribution keeps it */
static const char *config_file(void)
{
	static const char * const places[] = {
		"/boot/config-%s", "/lib/modules/%s/config", "/lib/modules/%s/build/.config",
		"/usr/lib/modules/%s/config", "/usr/lib/kernel/config-%s",
	};
	static char name[256];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(places); i++) {
		snprintf(name, sizeof(name), places[i], release());
		if (access(name, R_OK) == 0)
			return name;
	}
	return NULL;
}

/* Those of scripts/check-config.sh */
static void check_options(void)
{
	static const char * const options[] = {
		"64BIT", "MODULES", "NET", "INET", "IPV6", "NETFILTER", "XFRM", "XFRM_USER",
		"INET_ESP", "INET6_ESP", "CRYPTO_AES", "CRYPTO_GCM",
	};
	const char *name = config_file();
	char built_in[64], module[64];
	size_t i;

	if (!name) {
		doctor_hint("cannot see the kernel's options: no /boot/config-%s or the like.",
			    release());
		return;
	}
	for (i = 0; i < ARRAY_SIZE(options); i++) {
		snprintf(built_in, sizeof(built_in), "CONFIG_%s=y", options[i]);
		snprintf(module, sizeof(module), "CONFIG_%s=m", options[i]);
		if (!file_has(name, built_in) && !file_has(name, module))
			doctor_problem("the kernel lacks CONFIG_%s (%s): install or build one that has it.",
				       options[i], name);
	}
	if (file_has(name, "CONFIG_PREEMPT_RT=y") && flag_of("/sys/kernel/realtime") <= 0)
		doctor_problem("this kernel has PREEMPT_RT, with which the module does not run: boot one without.");
}

/* --- the module --------------------------------------------------------------------- */

static void module_missing(void)
{
	char name[256], line[256];

	snprintf(name, sizeof(name), "/lib/modules/%s/modules.dep", release());
	if (!file_has(name, "/xfrm_ext.ko")) {
		doctor_problem("the module xfrm_ext is not installed for kernel %s: \"make && make install\" in its source, or the package xfrm-ext-dkms.",
			       release());
		return;
	}
	if (first_line(line, sizeof(line), "/sys/kernel/security/lockdown") &&
	    !strstr(line, "[none]"))
		doctor_problem("the module xfrm_ext is installed, but not loaded, and the kernel is locked down: \"modprobe xfrm_ext\"; if that is refused, sign the module with a key that the machine knows (Debian: MOK).");
	else
		doctor_problem("the module xfrm_ext is installed, but not loaded: \"modprobe xfrm_ext\"; for every boot, a line \"xfrm_ext\" in /etc/modules-load.d/xfrm_ext.conf.");
}

static void module_older(const char *what, const char *name)
{
	doctor_problem("the module that is loaded is older than this program (it does not know \"%s%s\"): load the one of this version: delete the extended SAs, \"modprobe -r xfrm_ext && modprobe xfrm_ext\".",
		       what, name);
}

/* What this program can ask for, and the module does not know: one is enough */
static void module_age(struct rtattr *tb[])
{
	static const enum xfrm_ext_attr needed[] = {
		XFRM_EXT_A_CAP_RULES_MAX, XFRM_EXT_A_CAP_NETNS_KEYS,
		XFRM_EXT_A_CAP_EESP_PROTOCOL, XFRM_EXT_A_CAP_SUB_SAS_MAX,
	};
	static const struct {
		enum xfrm_ext_attr known, of;
		const char *what;
	} values[] = {
		{ XFRM_EXT_A_CAP_FORMATS, XFRM_EXT_A_FORMAT, "format " },
		{ XFRM_EXT_A_CAP_TRAILERS, XFRM_EXT_A_TRAILER, "trailer " },
		{ XFRM_EXT_A_CAP_IVS, XFRM_EXT_A_IV, "iv " },
		{ XFRM_EXT_A_CAP_SELECTS, XFRM_EXT_A_SELECT, "select " },
		{ XFRM_EXT_A_CAP_FLAGS, XFRM_EXT_A_FLAGS, "" },
	};
	const char *name;
	__u32 known;
	size_t i;
	int bit;

	for (i = 0; i < ARRAY_SIZE(values); i++) {
		known = tb[values[i].known] ? rta_getattr_u32(tb[values[i].known]) : 0;
		for (bit = 0; bit < 32; bit++) {
			name = xfrm_ext_name(values[i].of, bit);
			if (name && !(known & (1u << bit))) {
				module_older(values[i].what, name);
				return;
			}
		}
	}
	for (i = 0; i < ARRAY_SIZE(needed); i++)
		if (!tb[needed[i]]) {
			module_older("", xfrm_ext_attr_name(needed[i]));
			return;
		}
}

static void module_memory(struct rtattr *tb[])
{
	__u64 now, most;

	if (!tb[XFRM_EXT_A_CAP_NETNS_MEMORY] || !tb[XFRM_EXT_A_CAP_NETNS_MEMORY_MAX])
		return;
	now = rta_getattr_u64(tb[XFRM_EXT_A_CAP_NETNS_MEMORY]);
	most = rta_getattr_u64(tb[XFRM_EXT_A_CAP_NETNS_MEMORY_MAX]);
	if (now >= most - most / 10)
		doctor_problem("extended SAs take %llu of the %llu octets that they may, and new ones will be refused: fewer subspaces, or smaller windows.",
			       (unsigned long long)now, (unsigned long long)most);
}

/* False if there is no module to ask */
static bool check_module(void)
{
	GENL_REQUEST(req, 0, 0, 0, XFRM_EXT_GENL_VERSION, XFRM_EXT_CMD_CAPS, NLM_F_REQUEST);
	struct rtattr *tb[XFRM_EXT_A_MAX + 1];
	struct nlmsghdr *answer;
	struct rtnl_handle rth;
	int family = xfrm_ext_open_if_loaded(&rth);

	if (family < 0) {
		module_missing();
		return false;
	}
	req.n.nlmsg_type = family;
	if (xfrm_ext_talk(&rth, &req.n, &answer, true) == 0) {
		xfrm_ext_attrs(answer, tb);
		module_age(tb);
		module_memory(tb);
		free(answer);
	} else {
		doctor_problem("the module does not say what it can do: %s.", strerror(errno));
	}
	rtnl_close(&rth);
	return true;
}

static int rule_one(struct nlmsghdr *n, void *arg)
{
	struct rtattr *tb[XFRM_EXT_A_MAX + 1];

	xfrm_ext_attrs(n, tb);
	if (tb[XFRM_EXT_A_RULE_PREF] && tb[XFRM_EXT_A_RULE_REFUSED] &&
	    rta_getattr_u64(tb[XFRM_EXT_A_RULE_REFUSED]))
		doctor_hint("rule %u has refused %llu SAs that could not be what it says: \"xfrm-ext monitor\" says why when it happens again; \"or plain\" in the rule would make them plain ones.",
			    rta_getattr_u32(tb[XFRM_EXT_A_RULE_PREF]),
			    (unsigned long long)rta_getattr_u64(tb[XFRM_EXT_A_RULE_REFUSED]));
	return 0;
}

/* --- devices -------------------------------------------------------------------------- */

static int device_flag(const char *dev, const char *flag)
{
	char name[512];

	snprintf(name, sizeof(name), "/proc/sys/net/ipv4/conf/%s/%s", dev, flag);
	return flag_of(name);
}

/* Those that are made so */
static bool is_tunnel(const char *dev)
{
	char name[512];
	int type;

	snprintf(name, sizeof(name), "/sys/class/net/%s/type", dev);
	type = flag_of(name);
	return type == ARPHRD_TUNNEL || type == ARPHRD_TUNNEL6 || type == ARPHRD_LOOPBACK ||
	       type == ARPHRD_NONE;
}

static void check_devices(void)
{
	DIR *dir = opendir("/proc/sys/net/ipv4/conf");
	struct dirent *entry;

	if (!dir)
		return;
	while ((entry = readdir(dir))) {
		const char *dev = entry->d_name;

		if (*dev == '.' || strcmp(dev, "default") == 0 || is_tunnel(dev))
			continue;
		if (device_flag(dev, "disable_xfrm") > 0)
			doctor_problem("what leaves by %s is not encrypted, whatever the policies say: \"sysctl -w net.ipv4.conf.%s.disable_xfrm=0\".",
				       dev, dev);
		if (device_flag(dev, "disable_policy") > 0)
			doctor_problem("what comes in by %s need not have been encrypted, whatever the policies say: \"sysctl -w net.ipv4.conf.%s.disable_policy=0\".",
				       dev, dev);
	}
	closedir(dir);
}

int tool_doctor(int argc, char **argv)
{
	if (argc)
		invarg("doctor takes no words", *argv);
	problems = 0;
	hints = 0;
	check_version();
	check_options();
	check_devices();
	if (check_module()) {
		if (xfrm_ext_dump(XFRM_EXT_CMD_RULE_GET, rule_one, NULL) < 0)
			doctor_problem("the rules cannot be read.");
		doctor_sas();
	}
	if (!problems && !hints)
		printf("nothing is missing\n");
	return problems ? 1 : 0;
}
