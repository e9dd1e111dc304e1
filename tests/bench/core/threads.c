// SPDX-License-Identifier: GPL-2.0
/*
 * Two volumes, each written by a thread of its own, beside one.
 */
#include <pthread.h>
#include "core.h"

#define BLOCKS	16384ULL
#define ROUNDS	8

struct work {
	struct daxcow_volume *vol;
	pthread_barrier_t *begin;
	double took;
};

static void *write_all(void *arg)
{
	struct work *w = arg;
	u64 v;

	pthread_barrier_wait(w->begin);
	w->took = now();
	for (v = 0; v < BLOCKS; v++)
		write_block(w->vol, v * 37 % BLOCKS);
	w->took = now() - w->took;
	return NULL;
}

/* Returns writes in a second of @nr threads. */
static double rate(struct daxcow_volume **vol, unsigned int nr)
{
	pthread_barrier_t begin;
	struct work work[2];
	pthread_t thread[2];
	double took = 0;
	unsigned int i;

	pthread_barrier_init(&begin, NULL, nr);
	for (i = 0; i < nr; i++) {
		work[i] = (struct work) { .vol = vol[i], .begin = &begin };
		must(-pthread_create(&thread[i], NULL, write_all, &work[i]), "thread");
	}
	for (i = 0; i < nr; i++) {
		pthread_join(thread[i], NULL);
		took = max(took, work[i].took);
	}
	pthread_barrier_destroy(&begin);
	return nr * BLOCKS / took * 1e9;
}

static void best(double *of, double one)
{
	*of = max(*of, one);
}

void bench_threads(void)
{
	struct daxcow_volume *vol[2];
	double own[2] = { }, cow[2] = { };
	u32 id = 2, round;
	unsigned int nr;

	pool_begin();
	vol[0] = image(BLOCKS);
	snapshot(1);
	vol[1] = volume_open(1);
	for (round = 0; round < ROUNDS; round++) {
		for (nr = 1; nr <= 2; nr++) {
			struct daxcow_volume_desc d[2] = {
				{ .id = id, .origin = 0 },
				{ .id = id + 1, .origin = 1 },
			};

			must(daxcow_snapshot(pool, d, 2), "snapshot");
			id += 2;
			best(&cow[nr - 1], rate(vol, nr));
			best(&own[nr - 1], rate(vol, nr));
		}
		for (; id > 2; id--)
			must(daxcow_delete(pool, id - 1), "delete");
		drain();
	}
	printf("{\"what\":\"threads\",\"own\":[%.0f,%.0f],\"cow\":[%.0f,%.0f]}\n", own[0],
	       own[1], cow[0], cow[1]);
	daxcow_close(vol[0]);
	daxcow_close(vol[1]);
	pool_end();
}
