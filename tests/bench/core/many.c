// SPDX-License-Identifier: GPL-2.0
/*
 * Many snapshots of a volume that is written, and many clones that are: writes, memory,
 * owners, deletes, load.
 */
#include <string.h>
#include "core.h"

#define IMAGE		16384ULL	/* blocks: 64 MiB */
#define BETWEEN		64		/* writes between two snapshots */
#define AGO		100		/* of so many the times are shown */

struct sums {
	struct times first, others, own, bio;
};

static bool is_told(u32 n)
{
	while (n > 1 && !(n % 10))
		n /= 10;
	return n == 1;
}

static int count(void *arg, const struct daxcow_owner *o)
{
	++*(u64 *)arg;
	return 0;
}

static void again(void *arg)
{
	*(u64 *)arg = 0;
}

/* Of the last block of volume 0, for each of its owners. */
static double ask(struct daxcow_volume *vol, u64 *found)
{
	u64 block;
	double t;

	must(daxcow_lookup(vol, IMAGE - 1, 1, &block), "lookup");
	*found = 0;
	t = now();
	must(daxcow_owners(pool, block, NULL, count, again, found), "owners");
	return (now() - t) / *found;
}

static void tell(const char *what, u32 n, struct daxcow_volume *vol, struct sums *s)
{
	double asked, hold = hold_take();
	u64 found;

	asked = ask(vol, &found);
	printf("{\"what\":\"%s\",\"n\":%u,\"floor\":%.0f,\"first\":%.0f,\"others\":%.0f,\"own\":%.0f,\"bio\":%.0f,\"bytes\":%.1f,\"owners\":%" PRIu64 ",\"asked\":%.0f,\"hold\":%.0f,\"hold_asked\":%" PRIu64 "}\n",
	       what, n, floor_cost(), times_middle(&s->first), times_middle(&s->others),
	       times_middle(&s->own), times_middle(&s->bio), bytes_per_block(), found,
	       asked, hold, hold_take());
	fflush(stdout);
}

static void reset(struct sums *s)
{
	times_reset(&s->first);
	times_reset(&s->others);
	times_reset(&s->own);
	times_reset(&s->bio);
}

/* Random writes after one more snapshot; the last region is left alone. */
static void round_of(struct daxcow_volume *vol, struct sums *s)
{
	bool seen[IMAGE / DAXCOW_CHUNK_BLOCKS] = { };
	int i;

	for (i = 0; i < BETWEEN; i++) {
		u64 v = any(IMAGE - REGION);

		times_add(seen[v / REGION] ? &s->others : &s->first, write_block(vol, v));
		times_add(&s->own, write_block(vol, v));
		times_add(&s->bio, overwrite_block(vol, v));
		seen[v / REGION] = true;
	}
}

/* All but volume 0, in random order. */
static void delete_all(u32 nr, const char *what)
{
	u32 *id = calloc(nr, sizeof(*id)), i, j, swap;
	struct times s = { };
	double t;

	for (i = 0; i < nr; i++)
		id[i] = i + 1;
	for (i = nr; i > 1; i--) {
		j = any(i);
		swap = id[i - 1];
		id[i - 1] = id[j];
		id[j] = swap;
	}
	for (i = 0; i < nr; i++) {
		t = now();
		must(daxcow_delete(pool, id[i]), "delete");
		times_add(&s, now() - t);
	}
	t = now();
	drain();
	printf("{\"what\":\"%s\",\"n\":%u,\"delete\":%.0f,\"reclaim\":%.0f,\"hold\":%" PRIu64 "}\n",
	       what, nr, times_middle(&s), (now() - t) / nr, hold_take());
	fflush(stdout);
	times_reset(&s);
	free(id);
}

static void load_again(const char *what, u32 nr)
{
	double t = pool_load_again();

	printf("{\"what\":\"%s\",\"n\":%u,\"load\":%.1f,\"bytes\":%.1f}\n", what, nr, t,
	       bytes_per_block());
	fflush(stdout);
	hold_take();
}

static void snapshots(u32 nr)
{
	struct daxcow_volume *vol;
	struct sums s = { };
	u32 n;

	pool_begin();
	vol = image(IMAGE);
	hold_take();
	for (n = 1; n <= nr; n++) {
		snapshot(n);
		if (n % AGO == 1)
			reset(&s);
		round_of(vol, &s);
		if (n % 16 == 0)
			drain();
		if (is_told(n))
			tell("snapshots", n, vol, &s);
	}
	reset(&s);
	daxcow_close(vol);
	drain();
	load_again("load, snapshots", nr);
	delete_all(nr, "deletes of snapshots");
	pool_end();
}

/* Each writes a page of each 2 MiB of the image but the last. */
static void clones(u32 nr)
{
	struct daxcow_volume *vol, *clone;
	struct sums s = { };
	u64 v;
	u32 n;

	pool_begin();
	vol = image(IMAGE);
	hold_take();
	for (n = 1; n <= nr; n++) {
		snapshot(n);
		if (n % AGO == 1)
			reset(&s);
		clone = volume_open(n);
		for (v = 0; v < IMAGE - REGION; v += REGION) {
			u64 at = v + any(REGION);

			times_add(&s.first, write_block(clone, at));
			times_add(&s.own, write_block(clone, at));
		}
		times_add(&s.others, write_block(clone, any(IMAGE - REGION)));
		times_add(&s.bio, overwrite_block(clone, any(IMAGE - REGION)));
		daxcow_close(clone);
		if (n % 16 == 0)
			drain();
		if (is_told(n))
			tell("clones", n, vol, &s);
	}
	reset(&s);
	daxcow_close(vol);
	drain();
	load_again("load, clones", nr);
	delete_all(nr, "deletes of clones");
	pool_end();
}

void bench_many(u32 nr_snapshots, u32 nr_clones)
{
	snapshots(nr_snapshots);
	clones(nr_clones);
}
