// SPDX-License-Identifier: GPL-2.0-only
/*
 * For LD_PRELOAD: a program that makes network namespaces by unshare() finds in each what
 * a command has put there. For peers-kernel.sh, which has rules to put there: a program that
 * does not call ip would never have any.
 *
 *	PEERS_BEGIN	run in each new namespace, before unshare() returns
 *	PEERS_END	run in each of them when the program ends that has made them
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MAX_NAMESPACES 16

static int namespaces[MAX_NAMESPACES];
static int count;
static pid_t maker;

/* The command is an ordinary program, to which none of this applies */
static int run(const char *name)
{
	const char *command = getenv(name);
	char *line;
	int rc;

	if (!command)
		return -1;
	line = malloc(4096);
	if (!line)
		return -1;
	rc = snprintf(line, 4096, "unset LD_PRELOAD; %s", command);
	rc = rc < 4096 ? system(line) : -1;
	free(line);
	return rc;
}

int unshare(int flags)
{
	int rc = syscall(SYS_unshare, flags);

	if (rc || !(flags & CLONE_NEWNET))
		return rc;
	/* Without what it wants, a test would show nothing: better it ends */
	if (run("PEERS_BEGIN") || count == MAX_NAMESPACES)
		abort();
	maker = getpid();
	namespaces[count++] = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	return 0;
}

__attribute__((destructor)) static void end(void)
{
	int i;

	/* Its children end, too */
	if (getpid() != maker)
		return;
	for (i = 0; i < count; i++) {
		if (!setns(namespaces[i], CLONE_NEWNET))
			run("PEERS_END");
	}
}
