/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Included before each file of the engine: how long its lock is held, in processor
 * time, so that it does not matter what else runs.
 */
#include <time.h>
#include "platform.h"

extern u64 hold_longest;

static inline u64 hold_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

static __thread u64 hold_start __attribute__((unused));

static inline bool hold_try(struct mutex *m)
{
	if (pthread_mutex_trylock(&m->m))
		return false;
	hold_start = hold_now();
	return true;
}

static inline void hold_begin(struct mutex *m)
{
	pthread_mutex_lock(&m->m);
	hold_start = hold_now();
}

static inline void hold_end(struct mutex *m)
{
	u64 t = hold_now() - hold_start;

	if (t > hold_longest)
		hold_longest = t;
	pthread_mutex_unlock(&m->m);
}

#undef mutex_lock
#undef mutex_trylock
#undef mutex_unlock
#define mutex_lock(m)	hold_begin(m)
#define mutex_trylock(m)	hold_try(m)
#define mutex_unlock(m)	hold_end(m)
