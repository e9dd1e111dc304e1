// SPDX-License-Identifier: GPL-2.0
/*
 * A new block, or chunk, for a place of a volume, and what is in it.
 *
 * To copy takes longer than all the rest of a change. So that writers of other volumes
 * need not wait for it, it is done without the pool's lock when they come (to a pool
 * that one writes it would be a loss), and for a chunk always: the block is taken, the
 * lock dropped, the block filled and fenced, and under the lock again it is published,
 * if all is still as it was. When nobody had the lock meanwhile it is, and pool->turns
 * tells. Else the walk is done again:
 *
 * - The place has another block, or none. What was copied is not its content.
 *
 * - It has become the volume's own: others have left, and a grace period that had begun
 *   before this read section has ended. It may have been written since, and is written
 *   in place.
 *
 * - It has become its own, was written, and is shared again. Then it looks as it did,
 *   but pool->sharings, which counts what makes blocks shared, does not. There is no
 *   other way for a block that was copied to change: nobody writes what is shared (I1),
 *   and it is not used for something else in this read section (I2).
 *
 * - Memory has failed, which pool->failures counts. Of a new block nobody else would be
 *   told, and one that is good again has lost what was written to it. What could not be
 *   copied may not be what the place has any more.
 *
 * - DMA has begun to a block that is the volume's own.
 *
 * In each of these cases all is begun anew; after some tries under the lock. Where all
 * of the block is written, so that nothing is copied, the content fits whatever is
 * there.
 *
 * A block between is KIND_GONE, as what waits to be freed, though it is in no list: no
 * entry names it, so nobody comes across it; reclaim frees of a chunk only what is
 * KIND_DATA and nobody's, and must not free it; daxcow_verify() sees by pool->nr_apart
 * that it would find too many. What is given back may be what others found no space for
 * meanwhile, so the host is told. The block's generation is that of when it was taken or
 * published: a merge that begins one between waits for this read section before it
 * compares.
 *
 * A part of a block that is the volume's own already is written under the lock all the
 * time. Otherwise two who write different parts could each copy what was there before
 * the other one, who writes in place when the pool is full.
 *
 * Without a read section, for a snapshot that is not published yet, the lock stays held.
 */
#include "internal.h"

static int copy_good(struct daxcow_pool *pool, void *dst, u64 block, size_t len)
{
	u64 nr = len >> DAXCOW_BLOCK_SHIFT;

	if (daxcow_bad_find(pool, block, nr) < nr)
		return -EIO;
	return pm_copy(dst, pool_addr(pool, block), len);
}

/* Write the content of a new block or chunk. */
static int content_write(struct daxcow_pool *pool, struct change *c,
			 const struct write *w)
{
	u64 off = c->vblk & (level_span(c->old.level) - 1);
	size_t len = level_span(c->target) << DAXCOW_BLOCK_SHIFT;
	void *dst = pool_addr(pool, c->new.block);
	int ret = 0;

	if (!w || !w->whole) {
		if (c->old.type == DAXCOW_ENTRY_DATA)
			ret = copy_good(pool, dst, c->old.block + off, len);
		else
			pm_zero(dst, len);
	}
	return w && !ret ? w->fill(w->arg, dst) : ret;
}

static int data_alloc(struct daxcow_pool *pool, struct change *c)
{
	c->new.type = DAXCOW_ENTRY_DATA;
	c->new.level = c->target;
	return c->target ? space_alloc_chunk(pool, &c->new.block) :
			   space_alloc(pool, KIND_DATA, &c->new.block);
}

/* It has not been seen. A chunk of which memory has failed since may be split. */
static void data_free(struct daxcow_pool *pool, const struct change *c)
{
	u64 block = c->new.block, i;

	if (c->target && !chunk_at(pool, block)->split) {
		space_free_chunk(pool, block);
		return;
	}
	for (i = 0; i < level_span(c->target); i++)
		space_free(pool, block + i);
}

/* Whether a write of the chunk at @c->vblk can replace all of it. */
static bool can_be_chunk(struct daxcow_pool *pool, const struct change *c)
{
	if (c->at.level < 1 || c->vblk % DAXCOW_CHUNK_BLOCKS)
		return false;
	if (c->old.type != DAXCOW_ENTRY_DATA)
		return c->old.type == DAXCOW_ENTRY_NONE;
	return !chunk_partly_own(pool, c->old.block) &&
	       daxcow_bad_find(pool, c->old.block, DAXCOW_CHUNK_BLOCKS) ==
	       DAXCOW_CHUNK_BLOCKS;
}

/* ... and should. */
static bool want_chunk(struct daxcow_pool *pool, const struct change *c)
{
	u64 keep;

	if (pool->free_chunks == NO_CHUNK || !can_be_chunk(pool, c) ||
	    !space_room(pool, DAXCOW_CHUNK_BLOCKS + DAXCOW_MAX_LEVEL + 1))
		return false;
	if (c->old.type == DAXCOW_ENTRY_DATA && pool->cow != DAXCOW_COW_AUTO)
		return pool->cow == DAXCOW_COW_2M;
	/* a copy of a chunk for one store is a luxury of pools with space */
	keep = pool->nr_chunks / (c->old.type == DAXCOW_ENTRY_DATA ? 8 : 16);
	return pool->nr_chunks_free > keep;
}

/* Whether for a write of @nr blocks @c should be of a chunk. */
int change_target(struct daxcow_pool *pool, struct change *c, u64 nr)
{
	int ret;

	c->target = 0;
	if (nr < DAXCOW_CHUNK_BLOCKS || c->at.level < 1)
		return 0;
	c->target = 1;
	ret = change_find_old(pool, c);
	if (ret)
		return ret;
	if (!want_chunk(pool, c))
		c->target = 0;
	return 0;
}

/* What was copied is still what the place has. */
static bool still_valid(struct daxcow_pool *pool, const struct change *c,
			const struct entry *was, u64 sharings)
{
	if (c->old.type != was->type || c->old.block != was->block ||
	    c->old.level != was->level)
		return false;
	return c->old.type != DAXCOW_ENTRY_DATA || pool->sharings == sharings;
}

/* Somebody has had the lock. Returns 0, CHANGE_AGAIN, or an error. */
static int look_again(struct daxcow_pool *pool, struct change *c, bool whole,
		      struct daxcow_volume *vol, u64 sharings)
{
	struct entry was = c->old;
	u64 block;
	int ret;

	if (pool->read_only)
		return CHANGE_AGAIN;
	*c->t = volume_tree(vol);
	ret = change_find_to_map(pool, c->t, c->vblk, &c->at);
	/* what has been taken already may be what there is no space for */
	if (ret == -ENOSPC)
		return CHANGE_AGAIN;
	if (ret)
		return ret;
	if (c->at.level < c->target)
		return CHANGE_AGAIN;
	c->own = own_run(pool, &c->at, c->vblk, 1, &block);
	if (c->own && (!whole || reclaim_busy(pool, block, 1)))
		return CHANGE_AGAIN;
	ret = change_find_old(pool, c);
	if (ret)
		return ret;
	if ((!whole && !still_valid(pool, c, &was, sharings)) ||
	    (c->target && !can_be_chunk(pool, c)) ||
	    !space_room(pool, c->at.level - c->target))
		return CHANGE_AGAIN;
	space_touch(pool, c->new.block, level_span(c->target));
	return 0;
}

static void set_kind(struct daxcow_pool *pool, const struct change *c, enum kind kind)
{
	desc_set_kind(entry_desc(pool, c->new), kind);
}

/* DMA to what is there takes no lock. */
static bool is_busy(struct daxcow_pool *pool, const struct change *c)
{
	u64 off = c->vblk & (level_span(c->old.level) - 1);

	return c->own && reclaim_busy(pool, c->old.block + off, 1);
}

static int write_apart(struct daxcow_pool *pool, struct change *c,
		       const struct write *w, struct daxcow_volume *vol)
{
	u64 turns = pool->turns, sharings = pool->sharings, failures = pool->failures;
	int ret;

	pool->nr_apart++;
	set_kind(pool, c, KIND_GONE);
	pool_unlock(pool);
	ret = content_write(pool, c, w);
	/* so that P1 has nothing to wait for */
	pm_fence();
	cond_resched();
	pool_lock(pool);
	pool->nr_apart--;
	set_kind(pool, c, KIND_DATA);
	if (pool->turns == turns + 1)
		return ret || !is_busy(pool, c) ? ret : CHANGE_AGAIN;
	/* what has failed may not be what is there now, nor may @c->own be true any more */
	if (ret || pool->failures != failures)
		return CHANGE_AGAIN;
	return look_again(pool, c, w && w->whole, vol, sharings);
}

/**
 * change_data() - give @c->vblk a new block or chunk, as @c->target says
 * @pool:	the pool, locked
 * @c:		the change; found, but for what is mapped now
 * @w:		what is written; NULL when that is done later
 * @vol:	whose tree it is, in a read section: the lock may be dropped meanwhile.
 *		NULL: it is not
 *
 * Return: 0, an error, or, with @vol, CHANGE_AGAIN: nothing is as it was, and the walk
 * has to begin anew. Then and after an error nothing has changed.
 */
int change_data(struct daxcow_pool *pool, struct change *c, const struct write *w,
		struct daxcow_volume *vol)
{
	u64 need = level_span(c->target) + c->at.level - c->target;
	bool apart = vol && (c->target || pool->crowded);
	int ret;

	if (!space_room(pool, need))
		return -ENOSPC;
	ret = change_find_old(pool, c);
	if (!ret)
		ret = data_alloc(pool, c);
	if (ret)
		return ret;
	ret = apart ? write_apart(pool, c, w, vol) : content_write(pool, c, w);
	if (!ret)
		ret = change_apply(pool, c);
	if (ret) {
		data_free(pool, c);
		if (apart && pool->host.wake)
			pool->host.wake(pool->host.ctx);
		return ret;
	}
	if (c->old.type == DAXCOW_ENTRY_NONE)
		pool->provisions += level_span(c->target);
	else if (!c->own)
		pool->copies += level_span(c->target);
	return 0;
}
