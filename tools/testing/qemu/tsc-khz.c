// SPDX-License-Identifier: GPL-2.0-only
/*
 * Print how fast this machine's time stamp counter runs, in kHz. An emulated
 * guest reads the same counter; on a busy host its own calibration can be off
 * by any factor, and then so are its clock and all its timeouts.
 */
#include <stdio.h>
#include <time.h>
#include <x86intrin.h>

static long long now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

int main(void)
{
	const struct timespec wait = { .tv_nsec = 300000000 };
	unsigned long long tsc0 = __rdtsc(), tsc1;
	long long t0 = now_ns(), t1;

	nanosleep(&wait, NULL);
	t1 = now_ns();
	tsc1 = __rdtsc();
	printf("%.0f\n", (double)(tsc1 - tsc0) * 1e6 / (double)(t1 - t0));
	return 0;
}
