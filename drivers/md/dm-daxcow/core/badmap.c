// SPDX-License-Identifier: GPL-2.0
/*
 * Which memory has failed: a bit for each block, as lookups ask without a lock. The map
 * is used from the first failure on, and replaced when the pool has grown; the old one
 * stays, as somebody may look at it. See bad.c for what is done about it.
 */
#include "internal.h"

#define BITS	64

static struct bad_map *map_alloc(u64 nr_blocks)
{
	struct bad_map *map;

	map = vzalloc(sizeof(*map) + (nr_blocks + BITS - 1) / BITS * sizeof(u64));
	if (map)
		map->nr_blocks = nr_blocks;
	return map;
}

/* See that all of @nr_blocks blocks can be noted. Returns 0 or -ENOMEM. */
int bad_reserve(struct daxcow_pool *pool, u64 nr_blocks)
{
	struct bad_map *old = pool->bad, *map = map_alloc(nr_blocks);

	if (!map)
		return -ENOMEM;
	if (!old) {
		vfree(pool->bad_spare);
		pool->bad_spare = map;
		return 0;
	}
	/* one that is larger is left over from a growth that failed */
	memcpy(map->bits, old->bits,
	       (min(old->nr_blocks, nr_blocks) + BITS - 1) / BITS * sizeof(u64));
	map->older = old;
	smp_store_release(&pool->bad, map);
	return 0;
}

bool bad_test(const struct daxcow_pool *pool, u64 block)
{
	const struct bad_map *map = smp_load_acquire(&pool->bad);

	return map && block < map->nr_blocks &&
	       READ_ONCE(map->bits[block / BITS]) >> (block % BITS) & 1;
}

u64 daxcow_bad_find(const struct daxcow_pool *pool, u64 block, u64 nr)
{
	const struct bad_map *map = smp_load_acquire(&pool->bad);
	u64 end, at = block;

	if (!map || block >= map->nr_blocks)
		return nr;
	end = min(block + nr, map->nr_blocks);
	while (at < end) {
		u64 word = READ_ONCE(map->bits[at / BITS]) >> (at % BITS);

		if (word)
			return min(at + __ffs64(word) - block, nr);
		at += BITS - at % BITS;
	}
	return nr;
}

void bad_change(struct daxcow_pool *pool, u64 block, bool set)
{
	u64 bit = 1ULL << (block % BITS), word;
	struct bad_map *map;

	if (!pool->bad) {
		smp_store_release(&pool->bad, pool->bad_spare);
		pool->bad_spare = NULL;
	}
	map = pool->bad;
	word = map->bits[block / BITS];
	WRITE_ONCE(map->bits[block / BITS], set ? word | bit : word & ~bit);
	pool->nr_bad += set ? 1 : -1;
	pool_reshape(pool);
}

/* Load: what the host knows to be bad. Returns 0 or -ENOMEM. */
int bad_init(struct daxcow_pool *pool, const u64 *block, size_t nr)
{
	size_t i;
	int ret = bad_reserve(pool, pool->nr_blocks);

	for (i = 0; i < nr && !ret; i++)
		if (block[i] < pool->nr_blocks && !bad_test(pool, block[i]))
			bad_change(pool, block[i], true);
	return ret;
}

/* The first bad block from @at on; none is the end of the pool. */
u64 bad_next(struct daxcow_pool *pool, u64 at)
{
	return at + daxcow_bad_find(pool, at, pool->nr_blocks - at);
}

void bad_exit(struct daxcow_pool *pool)
{
	struct bad_map *map = pool->bad;

	vfree(pool->bad_spare);
	while (map) {
		struct bad_map *older = map->older;

		vfree(map);
		map = older;
	}
}
