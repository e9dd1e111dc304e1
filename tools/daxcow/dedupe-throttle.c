// SPDX-License-Identifier: GPL-2.0
/*
 * How fast daxcow dedupe may go, and when it has to stop.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <time.h>
#include "dedupe.h"

/* Seconds of what was not used that may be made up for: others may be in our way. */
#define CATCH_UP 0.25

volatile int stop_signal;

static double clock_of(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

double now(void)
{
	return clock_of(CLOCK_MONOTONIC);
}

/* In pieces: a signal may come just before the call. */
void wait_for(double seconds)
{
	double end = now() + seconds, left;

	while (!stop_signal && (left = end - now()) > 0) {
		left = left < 0.2 ? left : 0.2;
		nanosleep(&(struct timespec) { .tv_nsec = left * 1e9 }, NULL);
	}
}

void pace_wait(struct pace *p, double n)
{
	double t = now();

	if (!p->rate)
		return;
	if (p->next < t - CATCH_UP)
		p->next = p->next ? t - CATCH_UP : t;
	p->next += n / p->rate;
	if (p->next > t)
		wait_for(p->next - t);
}

void pace_cpu(struct pace *p)
{
	static double used;
	double u = clock_of(CLOCK_PROCESS_CPUTIME_ID);

	pace_wait(p, u - used);
	used = u;
}

static void on_signal(int sig)
{
	stop_signal = sig;
}

/* Calls are ended by it: waits, and merges. */
void catch_signals(void)
{
	struct sigaction sa = { .sa_handler = on_signal };

	sigemptyset(&sa.sa_mask);
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
}

/* But in calls of the kernel: see there. */
void be_nice(void)
{
	const struct sched_param none = { };

	sched_setscheduler(0, SCHED_IDLE, &none);
}
