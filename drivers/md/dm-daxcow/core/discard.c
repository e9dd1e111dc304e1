// SPDX-License-Identifier: GPL-2.0
/*
 * Unmap: entries are emptied, each at the highest level at which it stands for nothing
 * but what is to be unmapped. So a table that would become empty goes instead of its last
 * entry, and a large range is a few entries. What they named is taken apart later
 * (reclaim.c).
 */
#include "internal.h"

/* Entries that are emptied under the lock at once. */
#define STEP_ENTRIES	32

/*
 * The level of the highest entry below which nothing is mapped but what the one at
 * @level names. There is such a one.
 */
static int alone_level(struct daxcow_pool *pool, struct tree *t, u64 vblk, int level)
{
	struct place p;
	int alone, ret;

	ret = tree_find(pool, t->root_slot, vblk, ROOT_LEVEL, &p);
	alone = p.level;
	while (!ret && p.level > level && p.e.type == DAXCOW_ENTRY_NODE) {
		if (desc_node(space_desc(pool, p.e.block))->used != 1)
			alone = p.e.level;
		ret = tree_step(pool, &p, vblk);
	}
	/* part of a chunk is not alone; what is below a table that is bad is not known */
	return ret || p.level > level ? level : max(alone, level);
}

/* Empty the entry for @vblk at level @target, or a higher one. */
static int remove_at(struct daxcow_pool *pool, struct tree *t, u64 vblk, int target)
{
	struct change c = { .t = t, .vblk = vblk };
	int ret;

	c.target = alone_level(pool, t, vblk, target);
	ret = change_find(pool, t, vblk, &c.at);
	if (ret && (ret != -EIO || !c.target))
		return ret;
	/*
	 * The walk may have gone below the target, into a node of its own, or
	 * have come to one that is bad.
	 */
	if (ret || c.at.level < c.target) {
		ret = tree_find(pool, t->root_slot, vblk, c.target, &c.at);
		if (ret)
			return ret;
	}
	ret = change_find_old(pool, &c);
	if (ret || c.old.type == DAXCOW_ENTRY_NONE)
		return ret;
	return change_apply(pool, &c);
}

/* The largest piece from @vblk on that one entry can stand for, the root's too. */
static int piece_level(const struct place *root, u64 vblk, u64 nr)
{
	int level = 0;

	while (level <= root->e.level && !(vblk & (level_span(level + 1) - 1)) &&
	       nr >= level_span(level + 1))
		level++;
	return level;
}

/*
 * Unmap from *@vblk on, to @end or until @most entries have been looked at; *@vblk is
 * where to go on.
 */
int cow_discard(struct daxcow_pool *pool, struct tree *t, u64 *vblk, u64 end,
		unsigned int most)
{
	struct place root, p;
	int level, ret;
	u64 n;

	for (; *vblk < end && most; most--) {
		ret = tree_find(pool, t->root_slot, *vblk, ROOT_LEVEL, &root);
		if (ret)
			return ret;
		if (root.e.type == DAXCOW_ENTRY_NONE) {
			*vblk = end;
			return 0;
		}
		level = piece_level(&root, *vblk, end - *vblk);
		/* a table that is bad can only be left with all that it covers */
		ret = tree_find(pool, t->root_slot, *vblk, level, &p);
		if (ret && ret != -EIO)
			return ret;
		n = level_span(level);
		if (!ret && p.e.type == DAXCOW_ENTRY_NONE)
			n = level_span(p.level) - (*vblk & (level_span(p.level) - 1));
		else
			ret = remove_at(pool, t, *vblk, level);
		if (ret)
			return ret;
		*vblk += n;
	}
	return 0;
}

int daxcow_discard(struct daxcow_volume *vol, u64 vblk, u64 nr)
{
	struct daxcow_pool *pool = vol->pool;
	u64 end = vblk + nr;
	int ret = 0;

	if (!range_ok(vblk, nr))
		return -EINVAL;
	if (pool->read_only)
		return -EROFS;
	while (vblk < end && !ret) {
		struct tree t;

		pool_lock(pool);
		t = volume_tree(vol);
		ret = cow_discard(pool, &t, &vblk, end, STEP_ENTRIES);
		pool_unlock(pool);
		cond_resched();
	}
	return ret;
}
