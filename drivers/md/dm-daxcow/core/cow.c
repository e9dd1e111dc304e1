// SPDX-License-Identifier: GPL-2.0
/*
 * Blocks that are a volume's own: to be written in place, overwritten, or zeroed. See
 * change.c for how sharing is broken, and fill.c for what is copied.
 *
 * A chunk that is mapped by one entry is copied as a whole when the write covers it
 * and space is plentiful.
 */
#include "internal.h"

/* So often something is copied without the lock, and then with it. */
#define APART_TRIES	3

/* @vol: whose tree @t is, in a read section; or NULL */
static long provision(struct daxcow_pool *pool, struct tree *t,
		      struct daxcow_volume *vol, u64 vblk, u64 nr, u64 *block)
{
	struct change c;
	int tries, ret;
	u64 n;

	for (tries = APART_TRIES;; tries--) {
		if (pool->read_only)
			return -EROFS;
		if (vol)
			*t = volume_tree(vol);
		c = (struct change) { .t = t, .vblk = vblk };
		ret = change_find_to_map(pool, t, vblk, &c.at);
		if (ret)
			return ret;
		n = own_run(pool, &c.at, vblk, nr, block);
		if (n) {
			space_touch(pool, *block, n);
			if (vol)
				WRITE_ONCE(vol->in_vain, 0);
			return n;
		}
		ret = change_target(pool, &c, nr);
		if (!ret)
			ret = change_data(pool, &c, NULL, tries > 0 ? vol : NULL);
		if (ret != CHANGE_AGAIN)
			break;
	}
	*block = c.new.block;
	return ret ? ret : (long)level_span(c.target);
}

long daxcow_provision(struct daxcow_volume *vol, u64 vblk, u64 nr, u64 *block)
{
	struct daxcow_pool *pool = vol->pool;
	struct tree t;
	long ret;

	if (!range_ok(vblk, nr))
		return -EINVAL;
	ret = own_granted(vol, vblk, nr, block);
	if (ret)
		return ret;
	pool_lock(pool);
	ret = provision(pool, &t, vol, vblk, nr, block);
	pool_unlock(pool);
	return ret;
}

/*
 * Give an unpublished snapshot its own copy of @vblk, if it is mapped. The
 * origin is the only owner of the block when this returns: the snapshot's
 * owners need not wait for readers, since it never had any.
 */
int cow_copy(struct daxcow_pool *pool, struct tree *t, u64 vblk)
{
	struct place p;
	u64 block;
	long ret;

	ret = tree_find(pool, t->root_slot, vblk, 0, &p);
	if (ret || p.e.type == DAXCOW_ENTRY_NONE)
		return ret;
	ret = provision(pool, t, NULL, vblk, 1, &block);
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
static int overwrite(struct daxcow_volume *vol, u64 vblk, const struct write *w,
		     bool apart)
{
	struct daxcow_pool *pool = vol->pool;
	struct tree t = volume_tree(vol);
	struct change c = { .t = &t, .vblk = vblk };
	u64 block;
	int ret;

	ret = change_find_to_map(pool, &t, vblk, &c.at);
	if (ret)
		return ret;
	c.own = own_run(pool, &c.at, vblk, 1, &block);
	if (c.own && reclaim_busy(pool, block, 1))
		ret = -ENOSPC;
	else
		ret = change_data(pool, &c, w, apart && (w->whole || !c.own) ? vol : NULL);
	/* it may be another one than before the lock was dropped */
	if (c.own && (ret == -ENOSPC || ret == -ENOMEM) &&
	    own_run(pool, &c.at, vblk, 1, &block)) {
		space_touch(pool, block, 1);
		ret = w->fill(w->arg, pool_addr(pool, block));
	}
	return ret;
}

int daxcow_overwrite(struct daxcow_volume *vol, u64 vblk, bool whole,
		     daxcow_fill_fn fill, void *arg)
{
	struct write w = { .fill = fill, .arg = arg, .whole = whole };
	struct daxcow_pool *pool = vol->pool;
	int tries = APART_TRIES, ret;

	if (!range_ok(vblk, 1))
		return -EINVAL;
	pool_lock(pool);
	do {
		ret = pool->read_only ? -EROFS : overwrite(vol, vblk, &w, tries-- > 0);
	} while (ret == CHANGE_AGAIN);
	pool_unlock(pool);
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
	pool_lock(pool);
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
	pool_unlock(pool);
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
