// SPDX-License-Identifier: GPL-2.0
/*
 * Blocks that are a volume's own: to be written in place, overwritten, or zeroed. See
 * change.c for how sharing is broken.
 *
 * A chunk that is mapped by one entry is copied as a whole when the write covers it
 * and space is plentiful.
 */
#include "internal.h"

/**
 * struct write - bytes that a new block gets beside what was there
 * @fill:	writes them
 * @arg:	for @fill
 * @whole:	they are all of it
 */
struct write {
	daxcow_fill_fn fill;
	void *arg;
	bool whole;
};

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

/* Give @c->vblk a new block or chunk, as c->target says. */
static int change_data(struct daxcow_pool *pool, struct change *c,
		       const struct write *w)
{
	u64 need = level_span(c->target) + c->at.level - c->target;
	int ret;

	if (!space_room(pool, need))
		return -ENOSPC;
	ret = change_find_old(pool, c);
	if (ret)
		return ret;
	c->new.type = DAXCOW_ENTRY_DATA;
	c->new.level = c->target;
	if (c->target)
		ret = space_alloc_chunk(pool, &c->new.block);
	else
		ret = space_alloc(pool, KIND_DATA, &c->new.block);
	if (ret)
		return ret;
	ret = content_write(pool, c, w);
	if (!ret)
		ret = change_apply(pool, c);
	if (ret) {
		if (c->target)
			space_free_chunk(pool, c->new.block);
		else
			space_free(pool, c->new.block);
		return ret;
	}
	if (c->old.type == DAXCOW_ENTRY_NONE)
		pool->provisions += level_span(c->target);
	else if (!c->own)
		pool->copies += level_span(c->target);
	return 0;
}

/*
 * From @p on, how many blocks are this volume's own, good, contiguous, and held by
 * nobody who may not see what is written.
 */
static u64 own_run(struct daxcow_pool *pool, const struct place *p, u64 vblk,
		   u64 nr, u64 *block)
{
	u64 off = vblk & (level_span(p->level) - 1), n;
	struct entry e;

	if (p->e.type != DAXCOW_ENTRY_DATA)
		return 0;
	*block = p->e.block + off;
	if (p->level == 1)
		nr = min(nr, DAXCOW_CHUNK_BLOCKS - off);
	else
		nr = min(nr, (u64)DAXCOW_NODE_ENTRIES - slot_index(p->slot));
	/* in one chunk */
	nr = min(nr, (u64)DAXCOW_CHUNK_BLOCKS - chunk_index(pool, *block));
	for (n = 0; n < nr; n++) {
		if (p->level == 0 && n) {
			if (tree_load(pool, p->slot + n, 0, &e) ||
			    e.type != DAXCOW_ENTRY_DATA ||
			    e.block != *block + n)
				break;
		}
		if (!block_own(pool, *block + n))
			break;
		if (!pool->chunks[chunk_of(pool, *block)].split)
			n = nr - 1;
	}
	n = daxcow_bad_find(pool, *block, n);
	return n ? reclaim_claim(pool, *block, n) : 0;
}

/*
 * Blocks of a chunk that have one owner stay where they are: it may be this
 * volume, and DMA may be under way to them (those that were pinned when a
 * snapshot was taken are not shared).
 */
static bool chunk_partly_own(struct daxcow_pool *pool, u64 block)
{
	struct split *s = pool->chunks[chunk_of(pool, block)].split;
	u32 i;

	for (i = 0; s && i < DAXCOW_CHUNK_BLOCKS; i++)
		if (block_owners(pool, block + i) == 1)
			return true;
	return false;
}

/* Whether a write of the chunk at @c->vblk should replace all of it. */
static bool want_chunk(struct daxcow_pool *pool, const struct change *c)
{
	u64 keep;

	if (c->at.level < 1 || c->vblk % DAXCOW_CHUNK_BLOCKS ||
	    pool->free_chunks == NO_CHUNK)
		return false;
	if (c->old.type == DAXCOW_ENTRY_NODE)
		return false;
	if (c->old.type == DAXCOW_ENTRY_DATA &&
	    (chunk_partly_own(pool, c->old.block) ||
	     daxcow_bad_find(pool, c->old.block, DAXCOW_CHUNK_BLOCKS) <
	     DAXCOW_CHUNK_BLOCKS))
		return false;
	if (c->old.type == DAXCOW_ENTRY_DATA && pool->cow != DAXCOW_COW_AUTO)
		return pool->cow == DAXCOW_COW_2M;
	/* a copy of a chunk for one store is a luxury of pools with space */
	keep = pool->nr_chunks / (c->old.type == DAXCOW_ENTRY_DATA ? 8 : 16);
	return pool->nr_chunks_free > keep &&
	       space_room(pool, DAXCOW_CHUNK_BLOCKS + DAXCOW_MAX_LEVEL + 1);
}

static int choose_target(struct daxcow_pool *pool, struct change *c, u64 nr)
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

static long provision(struct daxcow_pool *pool, const struct tree *t, u64 vblk,
		      u64 nr, u64 *block)
{
	struct change c = { .t = t, .vblk = vblk };
	u64 n;
	int ret;

	ret = change_find_to_map(pool, t, vblk, &c.at);
	if (ret)
		return ret;
	n = own_run(pool, &c.at, vblk, nr, block);
	if (n) {
		space_touch(pool, *block, n);
		return n;
	}
	ret = choose_target(pool, &c, nr);
	if (!ret)
		ret = change_data(pool, &c, NULL);
	if (ret)
		return ret;
	*block = c.new.block;
	return level_span(c.target);
}

long daxcow_provision(struct daxcow_volume *vol, u64 vblk, u64 nr, u64 *block)
{
	struct daxcow_pool *pool = vol->pool;
	struct tree t;
	long ret;

	if (!range_ok(vblk, nr))
		return -EINVAL;
	if (pool->read_only)
		return -EROFS;
	mutex_lock(&pool->lock);
	t = volume_tree(vol);
	ret = provision(pool, &t, vblk, nr, block);
	mutex_unlock(&pool->lock);
	return ret;
}

/*
 * Give an unpublished snapshot its own copy of @vblk, if it is mapped. The
 * origin is the only owner of the block when this returns: the snapshot's
 * owners need not wait for readers, since it never had any.
 */
int cow_copy(struct daxcow_pool *pool, const struct tree *t, u64 vblk)
{
	struct place p;
	u64 block;
	long ret;

	ret = tree_find(pool, t->root_slot, vblk, 0, &p);
	if (ret || p.e.type == DAXCOW_ENTRY_NONE)
		return ret;
	ret = provision(pool, t, vblk, 1, &block);
	return ret < 0 ? ret : 0;
}

/*
 * All of the block or nothing, should the power fail: the bytes go to a new
 * block, also when nobody else owns the old one. They are written in place
 * only without a free block, or under DMA.
 *
 * Of a chunk, too, which is split for it. To keep it whole means to write in place,
 * and 4 KiB are not one store; or to copy 2 MiB for each 4 KiB. What file systems do
 * on DAX hardly meets that: chunks come from direct access to large files, and bios
 * bring metadata, which is elsewhere.
 */
int daxcow_overwrite(struct daxcow_volume *vol, u64 vblk, bool whole,
		     daxcow_fill_fn fill, void *arg)
{
	struct daxcow_pool *pool = vol->pool;
	struct write w = { .fill = fill, .arg = arg, .whole = whole };
	struct tree t;
	struct change c = { .t = &t, .vblk = vblk };
	u64 block;
	long ret;

	if (!range_ok(vblk, 1))
		return -EINVAL;
	if (pool->read_only)
		return -EROFS;
	mutex_lock(&pool->lock);
	t = volume_tree(vol);
	ret = change_find_to_map(pool, &t, vblk, &c.at);
	if (ret)
		goto out_unlock;
	c.own = own_run(pool, &c.at, vblk, 1, &block);
	if (c.own && reclaim_busy(pool, block, 1))
		ret = -ENOSPC;
	else
		ret = change_data(pool, &c, &w);
	if (c.own && (ret == -ENOSPC || ret == -ENOMEM)) {
		space_touch(pool, block, 1);
		ret = fill(arg, pool_addr(pool, block));
	}
out_unlock:
	mutex_unlock(&pool->lock);
	return ret;
}

int daxcow_zero(struct daxcow_volume *vol, u64 vblk)
{
	struct daxcow_pool *pool = vol->pool;
	u64 block, at = vblk;
	struct place p;
	struct tree t;
	int ret;

	if (!range_ok(vblk, 1))
		return -EINVAL;
	if (pool->read_only)
		return -EROFS;
	mutex_lock(&pool->lock);
	t = volume_tree(vol);
	ret = change_find(pool, &t, vblk, &p);
	if (!ret && p.e.type != DAXCOW_ENTRY_NONE) {
		if (own_run(pool, &p, vblk, 1, &block)) {
			space_touch(pool, block, 1);
			pm_zero(pool_addr(pool, block), DAXCOW_BLOCK_SIZE);
			pm_fence();
		} else {
			ret = cow_discard(pool, &t, &at, vblk + 1, 1);
		}
	}
	mutex_unlock(&pool->lock);
	return ret;
}

void daxcow_set_cow(struct daxcow_pool *pool, enum daxcow_cow cow)
{
	pool->cow = cow;
}

void *daxcow_block_addr(struct daxcow_pool *pool, u64 block)
{
	return pool_addr(pool, block);
}

void daxcow_fence(struct daxcow_pool *pool)
{
	pm_fence();
}
