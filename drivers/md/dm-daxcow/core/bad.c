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

	pool_lock(pool);
	if (block >= pool->nr_blocks)
		ret = -ERANGE;
	else if (bad_test(pool, block))
		ret = -EEXIST;
	if (ret)
		goto out_unlock;
	pool->failures++;
	bad_change(pool, block, true);
	usage_forget(pool, block);
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
	pool_unlock(pool);
	return ret;
}

int daxcow_bad_clear(struct daxcow_pool *pool, u64 block)
{
	enum kind kind;
	int ret = 0;

	pool_lock(pool);
	if (block >= pool->nr_blocks)
		ret = -ERANGE;
	else if (!bad_test(pool, block))
		ret = -ENOENT;
	if (ret)
		goto out_unlock;
	bad_change(pool, block, false);
	usage_forget(pool, block);
	kind = desc_kind(space_desc(pool, block));
	/* what it names was not walked: it takes a load */
	if (pool->unknown && is_table(kind))
		pool->stale = true;
	if (kind == KIND_BAD && !pool->chunks[chunk_of(pool, block)].split)
		space_settle(pool, chunk_of(pool, block));
	else if (kind == KIND_BAD && !pool->stale)
		space_free(pool, block);
out_unlock:
	pool_unlock(pool);
	return ret;
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
