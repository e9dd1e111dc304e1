// SPDX-License-Identifier: GPL-2.0
/*
 * Memory that failed.
 *
 * A bad block keeps its owners, and nobody reads it any more: a lookup still
 * names it, since the host has to know which block it is that cannot be read,
 * but it is not copied, not written in place, and not given to anybody. So all
 * that makes an owner leave it, a discard or a write of the whole block, heals
 * that owner, and when the last one has left the block is retired. It is free
 * again after the host has said that it is good.
 *
 * A table that is bad is not read. What is below it is not found (-EIO), and
 * keeps the owners that memory knows of: none of it becomes free or exclusive
 * that was not. When such a table is taken apart its children cannot be told
 * (@stale), so blocks that are retired stay so until the pool is loaded again.
 *
 * Lookups ask without a lock, so there is one bit for each block, in a map
 * that is made when the first one fails and replaced when the pool has grown;
 * the old one stays, as somebody may look at it.
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

/* A map that has a bit for @block. Returns 0 or -ENOMEM. */
static int map_reach(struct daxcow_pool *pool, u64 block)
{
	struct bad_map *old = pool->bad, *map;

	if (old && block < old->nr_blocks)
		return 0;
	map = map_alloc(pool->nr_blocks);
	if (!map)
		return -ENOMEM;
	if (old)
		memcpy(map->bits, old->bits,
		       (old->nr_blocks + BITS - 1) / BITS * sizeof(u64));
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

static void bit_change(struct daxcow_pool *pool, u64 block, bool set)
{
	struct bad_map *map = pool->bad;
	u64 bit = 1ULL << (block % BITS), word = map->bits[block / BITS];

	WRITE_ONCE(map->bits[block / BITS], set ? word | bit : word & ~bit);
	pool->nr_bad += set ? 1 : -1;
}

/* What is bad and free is taken out. Returns 0 or -ENOMEM. */
static int retire(struct daxcow_pool *pool, u64 block)
{
	u32 c = chunk_of(pool, block);
	int ret;

	/* so that the others of its chunk can be used, and freed, without it */
	ret = space_split(pool, c);
	if (!ret && desc_kind(space_desc(pool, block)) == KIND_FREE)
		ret = space_take(pool, block, KIND_BAD);
	return ret;
}

/* Without the directory, or the superblock, nothing can be published. */
static bool must_not_change(const struct daxcow_pool *pool, u64 block,
			    enum kind kind)
{
	return block == DAXCOW_SUPER_BLOCK ||
	       (kind >= KIND_DIR && kind < KIND_RECORD);
}

int daxcow_bad_add(struct daxcow_pool *pool, u64 block)
{
	int ret;

	mutex_lock(&pool->lock);
	if (block >= pool->nr_blocks)
		ret = -ERANGE;
	else if (bad_test(pool, block))
		ret = -EEXIST;
	else
		ret = map_reach(pool, block);
	if (ret)
		goto out_unlock;
	bit_change(pool, block, true);
	ret = retire(pool, block);
	if (ret || must_not_change(pool, block,
				   desc_kind(space_desc(pool, block))))
		WRITE_ONCE(pool->read_only, true);
out_unlock:
	mutex_unlock(&pool->lock);
	return ret;
}

int daxcow_bad_clear(struct daxcow_pool *pool, u64 block)
{
	int ret = 0;

	mutex_lock(&pool->lock);
	if (block >= pool->nr_blocks)
		ret = -ERANGE;
	else if (!bad_test(pool, block))
		ret = -ENOENT;
	if (ret)
		goto out_unlock;
	bit_change(pool, block, false);
	if (!pool->stale && desc_kind(space_desc(pool, block)) == KIND_BAD)
		space_free(pool, block);
out_unlock:
	mutex_unlock(&pool->lock);
	return ret;
}

/* Load: what the host knows to be bad. Returns 0 or -ENOMEM. */
int bad_init(struct daxcow_pool *pool, const u64 *block, size_t nr)
{
	size_t i;
	int ret = 0;

	for (i = 0; i < nr && !ret; i++) {
		if (block[i] >= pool->nr_blocks || bad_test(pool, block[i]))
			continue;
		ret = map_reach(pool, block[i]);
		if (!ret)
			bit_change(pool, block[i], true);
	}
	return ret;
}

/* Load: the tables have been walked, and what is free is known. */
int bad_retire(struct daxcow_pool *pool)
{
	u64 at = 0;
	int ret = 0;

	while (!ret) {
		at += daxcow_bad_find(pool, at, pool->nr_blocks - at);
		if (at >= pool->nr_blocks)
			break;
		ret = retire(pool, at++);
	}
	return ret;
}

/* Whether something that cannot be read may name blocks. */
bool bad_tables(struct daxcow_pool *pool)
{
	u64 at = 0;

	while (!pool->stale) {
		enum kind kind;

		at += daxcow_bad_find(pool, at, pool->nr_blocks - at);
		if (at >= pool->nr_blocks)
			return false;
		kind = desc_kind(space_desc(pool, at++));
		if (kind >= KIND_NODE && kind < KIND_RESERVED)
			break;
	}
	return true;
}

void bad_exit(struct daxcow_pool *pool)
{
	struct bad_map *map = pool->bad;

	while (map) {
		struct bad_map *older = map->older;

		vfree(map);
		map = older;
	}
}
