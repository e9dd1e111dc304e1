// SPDX-License-Identifier: GPL-2.0
/*
 * Is a block one volume's alone? Its own owners tell, and those of each table on the way
 * up.
 */
#include "internal.h"

/* The one node that names @e; *@near, or 0, may be it, and is it then. */
static struct desc *only_above(struct daxcow_pool *pool, struct entry *e, u64 *near)
{
	struct owner_walk w;
	struct desc *d;

	owner_walk(&w, pool, *e);
	w.near = *near;
	if (!owner_next(&w))
		return NULL;
	*near = slot_block(w.slot);
	d = space_desc(pool, *near);
	*e = (struct entry) {
		.type = DAXCOW_ENTRY_NODE,
		.level = desc_kind(d) - KIND_NODE,
		.block = slot_block(w.slot),
	};
	return d;
}

static struct entry data_named(struct daxcow_pool *pool, u64 block)
{
	return desc_count(&chunk_at(pool, block)->desc) ?
	       chunk_entry(pool, block) : entry_data(block);
}

/*
 * All of the way up is one volume's own. *@open: not all since it was claimed. *@near: as
 * for only_above().
 */
static bool path_own(struct daxcow_pool *pool, u64 block, bool *open, u64 *near)
{
	struct entry e = data_named(pool, block);
	const struct desc *d;
	u64 none = 0;

	*open = !reclaim_claimed(pool, block);
	for (d = only_above(pool, &e, near); d; d = only_above(pool, &e, &none)) {
		const struct node *node = desc_node(d);

		if (!node_own(pool, node))
			return false;
		*open |= node->stale;
		if (desc_kind(d) == KIND_RECORD)
			return true;
	}
	return false;
}

/* Neighbours have the same way up from their node, relatives have not: *@line. */
static bool block_exclusive(struct daxcow_pool *pool, u64 block, u64 *line, u64 *near)
{
	bool open;
	u64 last = *line;

	if (!in_pool(pool, block, 1) ||
	    desc_kind(space_desc(pool, block)) != KIND_DATA ||
	    !block_own(pool, block) || !space_gen(pool, block))
		return false;
	*line = owner_line(pool, block);
	if (*line == last && *line & LINE_EXACT)
		return false;
	return path_own(pool, block, &open, near);
}

bool daxcow_exclusive(struct daxcow_pool *pool, u64 block, u64 nr)
{
	u64 line = ~0ULL, near = 0, i;
	bool ret = false;

	for (i = 0; i < nr && !ret; i++) {
		mutex_lock(&pool->lock);
		ret = block_exclusive(pool, block + i, &line, &near);
		mutex_unlock(&pool->lock);
		cond_resched();
	}
	return ret;
}

bool daxcow_shared(struct daxcow_pool *pool, u64 block)
{
	bool ret = false, open;
	u64 near = 0;

	mutex_lock(&pool->lock);
	if (in_pool(pool, block, 1) &&
	    desc_kind(space_desc(pool, block)) == KIND_DATA)
		ret = !block_own(pool, block) ||
		      !path_own(pool, block, &open, &near) ||
		      (open && reclaim_busy(pool, block, 1));
	mutex_unlock(&pool->lock);
	return ret;
}
