// SPDX-License-Identifier: GPL-2.0
/*
 * Unmap: entries are emptied, at the highest level at which one stands for nothing but
 * what is to be unmapped.
 */
#include "internal.h"

/* Empty the entry for @vblk at level @target, or find that it is. */
static int remove_at(struct daxcow_pool *pool, struct tree *t, u64 vblk,
		     int target, u64 *skip)
{
	struct change c = {
		.vblk = vblk,
		.target = target,
		.unseen = t->unseen,
	};
	u64 gone;
	int ret;

	ret = change_find(pool, t, vblk, &c.at);
	if (ret && (ret != -EIO || !target))
		return ret;
	/*
	 * The walk may have gone below the target, into a node of its own, or
	 * have come to one that is bad.
	 */
	if (ret || c.at.level < target) {
		ret = tree_find(pool, t->root_slot, vblk, target, &c.at);
		if (ret)
			return ret;
	}
	ret = change_find_old(pool, &c);
	if (!ret)
		ret = tree_mapped(pool, c.old, &gone);
	if (ret)
		return ret;
	*skip = level_span(target);
	if (c.old.type == DAXCOW_ENTRY_NONE)
		return 0;
	ret = change_apply(pool, &c);
	if (!ret)
		t->mapped -= c.old.level > target ? level_span(target) : gone;
	return ret;
}

/* The largest piece from @vblk on that one entry can stand for. */
static int piece_level(const struct place *root, u64 vblk, u64 nr)
{
	int level = 0;

	while (level + 1 <= root->e.level &&
	       !(vblk & (level_span(level + 1) - 1)) &&
	       nr >= level_span(level + 1))
		level++;
	return level;
}

int cow_discard(struct daxcow_pool *pool, struct tree *t, u64 vblk, u64 nr)
{
	struct place root, p;
	u64 n, end = vblk + nr;
	int ret;

	while (vblk < end) {
		ret = tree_find(pool, t->root_slot, vblk, ROOT_LEVEL, &root);
		if (ret)
			return ret;
		if (root.e.type == DAXCOW_ENTRY_NONE)
			return 0;
		ret = tree_find(pool, t->root_slot, vblk, 0, &p);
		/* a table that is bad can only be left with all that it covers */
		if (ret && ret != -EIO)
			return ret;
		n = level_span(p.level) - (vblk & (level_span(p.level) - 1));
		if (ret || p.e.type != DAXCOW_ENTRY_NONE) {
			int level = piece_level(&root, vblk, end - vblk);

			ret = remove_at(pool, t, vblk, level, &n);
			if (ret)
				return ret;
		}
		vblk += n;
	}
	return 0;
}

int daxcow_discard(struct daxcow_volume *vol, u64 vblk, u64 nr)
{
	struct daxcow_pool *pool = vol->pool;
	int ret = 0;

	if (!range_ok(vblk, nr))
		return -EINVAL;
	if (pool->read_only)
		return -EROFS;
	/* in steps, so that others get the lock in between */
	while (nr && !ret) {
		u64 n = min(nr, DAXCOW_CHUNK_BLOCKS * 64ULL -
				vblk % (DAXCOW_CHUNK_BLOCKS * 64ULL));
		struct tree t;

		if (!(vblk & (level_span(2) - 1)) && nr >= level_span(2))
			n = level_span(2);
		mutex_lock(&pool->lock);
		t = volume_tree(vol);
		ret = cow_discard(pool, &t, vblk, n);
		vol->mapped = t.mapped;
		mutex_unlock(&pool->lock);
		vblk += n;
		nr -= n;
		cond_resched();
	}
	return ret;
}
