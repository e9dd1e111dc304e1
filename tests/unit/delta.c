// SPDX-License-Identifier: GPL-2.0
/*
 * Random volumes that share, and where they differ: what delta_volumes() tells is
 * compared with a look at each block of both.
 *
 * usage: delta [SEED [ROUNDS]]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "platform.h"
#include <daxcow/core.h>
#include "delta.h"

#define CHUNK		((u64)DAXCOW_CHUNK_BLOCKS)
#define BLOCKS		(CHUNK * 200)
#define NR_VOLUMES	5
/* of which each block is looked at */
#define SPAN		(CHUNK * CHUNK * CHUNK * 2)

static u64 rng;
static struct daxcow_pool *pool;
static unsigned char kind_at[SPAN];
static u64 ranges, blocks;

static u64 rnd(u64 n)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return rng % n;
}

static void die(const char *what)
{
	printf("FAILED: %s\n", what);
	exit(1);
}

static int note(void *arg, enum delta_kind kind, u64 vblk, u64 nr)
{
	u64 *end = arg;

	if (!nr || vblk < *end || vblk + nr > SPAN)
		die("ranges overlap, or are out of order, or out of range");
	*end = vblk + nr;
	memset(kind_at + vblk, kind + 1, nr);
	ranges++;
	blocks += nr;
	return 0;
}

static u64 block_of(struct daxcow_volume *vol, u64 vblk)
{
	u64 block;

	if (daxcow_lookup(vol, vblk, 1, &block) != 1)
		die("lookup");
	return block;
}

static void compare(u32 left, u32 right)
{
	struct daxcow_volume *a, *b;
	u64 v, end = 0;

	memset(kind_at, 0, sizeof(kind_at));
	if (delta_volumes(pool, left, right, note, &end))
		die("delta");
	if (daxcow_open(pool, left, &a) || daxcow_open(pool, right, &b))
		die("open");
	for (v = 0; v < SPAN; v++) {
		u64 x = block_of(a, v), y = block_of(b, v);
		int want = x == y ? 0 : y == DAXCOW_HOLE ? DELTA_LEFT + 1 :
			   x == DAXCOW_HOLE ? DELTA_RIGHT + 1 : DELTA_DIFFER + 1;

		if (kind_at[v] != want)
			die("a block is told wrong");
	}
	daxcow_close(a);
	daxcow_close(b);
}

static void change(u32 id)
{
	struct daxcow_volume *vol;
	u64 block, vblk, nr = rnd(4) ? 1 : CHUNK;

	vblk = rnd(3) ? rnd(CHUNK * CHUNK) : rnd(SPAN);
	if (nr == CHUNK)
		vblk -= vblk % CHUNK;
	if (daxcow_open(pool, id, &vol))
		die("open");
	if (rnd(5))
		daxcow_provision(vol, vblk, nr, &block);
	else
		daxcow_discard(vol, vblk, rnd(3) ? nr : CHUNK * CHUNK);
	daxcow_close(vol);
}

static void round_of_changes(void)
{
	struct daxcow_volume_desc d = { .id = rnd(NR_VOLUMES) };
	int i;

	for (i = rnd(12); i > 0; i--)
		change(rnd(NR_VOLUMES));
	/* another one becomes a snapshot of one */
	do {
		d.origin = rnd(NR_VOLUMES);
	} while (d.origin == d.id);
	if (!rnd(3) && (daxcow_delete(pool, d.id) ||
			daxcow_snapshot(pool, &d, 1)))
		die("snapshot");
	while (daxcow_reclaim_prepare(pool))
		while (daxcow_reclaim_run(pool))
			;
	compare(rnd(NR_VOLUMES), rnd(NR_VOLUMES));
}

int main(int argc, char **argv)
{
	struct daxcow_params p = { .uuid = (const u8 *)"deltadeltadeltad" };
	u64 seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
	u64 rounds = argc > 2 ? strtoull(argv[2], NULL, 0) : 2000, i;
	struct daxcow_volume_desc d = { 0 };
	char *mem = aligned_alloc(4096, BLOCKS * DAXCOW_BLOCK_SIZE);

	rng = seed * 0x9e3779b97f4a7c15ULL + 1;
	if (!mem || daxcow_format(mem, BLOCKS, &p) ||
	    daxcow_load(&pool, mem, BLOCKS, 0, NULL, NULL))
		die("a new pool");
	for (d.id = 0; d.id < NR_VOLUMES; d.id++)
		if (daxcow_create(pool, &d))
			die("create");
	for (i = 0; i < rounds; i++)
		round_of_changes();
	daxcow_unload(pool);
	free(mem);
	printf("seed %llu: %llu comparisons, %llu ranges, %llu blocks differ: as told\n",
	       (unsigned long long)seed, (unsigned long long)rounds,
	       (unsigned long long)ranges, (unsigned long long)blocks);
	return ranges < rounds;
}
