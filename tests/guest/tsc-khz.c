// SPDX-License-Identifier: GPL-2.0
/*
 * Print how many times in a millisecond this machine's TSC counts.
 *
 * QEMU without KVM gives the guest this TSC. Guests find out its rate with
 * timers that QEMU emulates, and on a busy host are wrong by a factor of ten:
 * clocks that run ahead report stalls that are none.
 */
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <x86intrin.h>

struct instant {
	uint64_t tsc, ns;
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_RAW, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

/* Of several attempts the one that was not interrupted. */
static struct instant now(void)
{
	struct instant best = {0}, this;
	uint64_t shortest = -1, before, after;
	int i;

	for (i = 0; i < 100; i++) {
		before = __rdtsc();
		this.ns = now_ns();
		after = __rdtsc();
		this.tsc = before + (after - before) / 2;
		if (after - before < shortest) {
			shortest = after - before;
			best = this;
		}
	}
	return best;
}

int main(void)
{
	struct timespec pause = {.tv_nsec = 50000000};
	struct instant start = now(), end;

	nanosleep(&pause, NULL);
	end = now();
	printf("%.0f\n", (end.tsc - start.tsc) * 1e6 / (end.ns - start.ns));
	return 0;
}
