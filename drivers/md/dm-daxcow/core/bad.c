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
 * A volume whose record is bad can be deleted: who its root node is, memory knows.
 *
 * A failure is not forgotten for want of memory: what is needed to note one is there
 * from the beginning, and a chunk that cannot be split is retired as a whole.
 *
 * Lookups ask without a lock, so there is one bit for each block, in a map that is
 * used from the first failure on and replaced when the pool has grown; the old one
 * stays, as somebody may look at it.
 *
 * When the pool is loaded memory knows nothing yet, and what a bad table, or the
 * tree of a bad record, names cannot be found (@unknown). It could be any block. One
 * that looks free may be named there: given to somebody else, it would be in two
 * volumes as soon as the table can be read again, and a page that only the kernel
 * calls bad can, after a boot; the former owner would see the bytes of the new one
 * (I5), and the next load refuse the pool. One that looks like one volume's own may
 * be shared with what is lost (I1). One that others free meanwhile may be, too. So
 * nothing can be written or given away, in the whole pool, as long as the directory
 * leads to such a table. What ends that without another device is to delete each
 * volume that it is part of, which takes one store and no block: then nothing names
 * what was not found, and what is not reachable is free, as always.
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
}

static bool is_table(enum kind kind)
{
	return kind >= KIND_NODE && kind < KIND_RESERVED;
}

/* Without the directory, or the superblock, nothing can be published. */
static bool must_not_change(u64 block, enum kind kind)
{
	return block == DAXCOW_SUPER_BLOCK ||
	       (kind >= KIND_DIR && kind < KIND_RECORD);
}

int daxcow_bad_add(struct daxcow_pool *pool, u64 block)
{
	enum kind kind;
	int ret = 0;

	mutex_lock(&pool->lock);
	if (block >= pool->nr_blocks)
		ret = -ERANGE;
	else if (bad_test(pool, block))
		ret = -EEXIST;
	if (ret)
		goto out_unlock;
	bit_change(pool, block, true);
	space_retire(pool, block);
	kind = desc_kind(space_desc(pool, block));
	if (must_not_change(block, kind)) {
		WRITE_ONCE(pool->read_only, true);
		pool->unknown = false;
	}
	/* one whose children are known, among those whose are not */
	if (pool->unknown && is_table(kind))
		pool->stale = true;
out_unlock:
	mutex_unlock(&pool->lock);
	return ret;
}

int daxcow_bad_clear(struct daxcow_pool *pool, u64 block)
{
	enum kind kind;
	int ret = 0;

	mutex_lock(&pool->lock);
	if (block >= pool->nr_blocks)
		ret = -ERANGE;
	else if (!bad_test(pool, block))
		ret = -ENOENT;
	if (ret)
		goto out_unlock;
	bit_change(pool, block, false);
	kind = desc_kind(space_desc(pool, block));
	/* what it names was not walked: it takes a load */
	if (pool->unknown && is_table(kind))
		pool->stale = true;
	if (kind == KIND_BAD && !pool->chunks[chunk_of(pool, block)].split)
		space_settle(pool, chunk_of(pool, block));
	else if (kind == KIND_BAD && !pool->stale)
		space_free(pool, block);
out_unlock:
	mutex_unlock(&pool->lock);
	return ret;
}

/* Load: what the host knows to be bad. Returns 0 or -ENOMEM. */
int bad_init(struct daxcow_pool *pool, const u64 *block, size_t nr)
{
	size_t i;
	int ret = bad_reserve(pool, pool->nr_blocks);

	for (i = 0; i < nr && !ret; i++)
		if (block[i] < pool->nr_blocks && !bad_test(pool, block[i]))
			bit_change(pool, block[i], true);
	return ret;
}

/* The first bad block from @at on; none is the end of the pool. */
static u64 bad_next(struct daxcow_pool *pool, u64 at)
{
	return at + daxcow_bad_find(pool, at, pool->nr_blocks - at);
}

/* Load: the tables have been walked, and what is free is known. */
void bad_retire(struct daxcow_pool *pool)
{
	u64 at = 0;

	while ((at = bad_next(pool, at)) < pool->nr_blocks)
		space_retire(pool, at++);
}

/* Whether no more is retired than is bad, if there is memory for that. */
bool bad_settle(struct daxcow_pool *pool)
{
	u64 at = 0;

	while ((at = bad_next(pool, at)) < pool->nr_blocks) {
		const struct chunk *chunk = &pool->chunks[chunk_of(pool, at)];

		space_settle(pool, chunk_of(pool, at++));
		if (!chunk->split && desc_kind(&chunk->desc) == KIND_BAD)
			return false;
	}
	return true;
}

/* Whether something that cannot be read may name blocks. */
bool bad_tables(struct daxcow_pool *pool)
{
	u64 at = 0;

	if (pool->stale)
		return true;
	while ((at = bad_next(pool, at)) < pool->nr_blocks)
		if (is_table(desc_kind(space_desc(pool, at++))))
			return true;
	return false;
}

/* Reclaim is done: the last volume with a table that load did not walk may be gone. */
void bad_known(struct daxcow_pool *pool)
{
	if (!pool->unknown || bad_tables(pool))
		return;
	pool->unknown = false;
	WRITE_ONCE(pool->read_only, false);
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
