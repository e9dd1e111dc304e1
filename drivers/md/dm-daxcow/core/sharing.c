// SPDX-License-Identifier: GPL-2.0
/*
 * Is a block one volume's alone? Its own owners tell, and those of each table on the way
 * up.
 */
#include "internal.h"

/*
 * From @p on, how many blocks are this volume's own, good, contiguous, and held by
 * nobody who may not see what is written.
 */
u64 own_run(struct daxcow_pool *pool, const struct place *p, u64 vblk, u64 nr,
	    u64 *block)
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
bool chunk_partly_own(struct daxcow_pool *pool, u64 block)
{
	struct split *s = pool->chunks[chunk_of(pool, block)].split;
	u32 i;

	for (i = 0; s && i < DAXCOW_CHUNK_BLOCKS; i++)
		if (block_owners(pool, block + i) == 1)
			return true;
	return false;
}

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
		pool_lock(pool);
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

	pool_lock(pool);
	if (in_pool(pool, block, 1) &&
	    desc_kind(space_desc(pool, block)) == KIND_DATA)
		ret = !block_own(pool, block) ||
		      !path_own(pool, block, &open, &near) ||
		      (open && reclaim_busy(pool, block, 1));
	mutex_unlock(&pool->lock);
	return ret;
}
