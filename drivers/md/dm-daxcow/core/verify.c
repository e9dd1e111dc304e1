// SPDX-License-Identifier: GPL-2.0
/*
 * Is the reverse map right? The tables are loaded again, and compared with what
 * memory knows (I4): what each block is, how many entries name it, and that each of
 * these is among those that its descriptor tells of.
 */
#include "internal.h"

static int differs(struct daxcow_report *report, enum daxcow_bad what, u64 block,
		   u64 value)
{
	*report = (struct daxcow_report) {
		.bad = what,
		.level = -1,
		.block = block,
		.volume = ~0U,
		.value = value,
	};
	return -EUCLEAN;
}

/* Same purpose, as many owners. */
static bool block_same(struct daxcow_pool *a, struct daxcow_pool *b, u64 block)
{
	u32 c = chunk_of(a, block);

	return desc_kind(space_desc(a, block)) == desc_kind(space_desc(b, block)) &&
	       desc_count(&a->chunks[c].desc) == desc_count(&b->chunks[c].desc) &&
	       block_owners(a, block) == block_owners(b, block);
}

/*
 * Each entry of a node, or of a record, is among the owners of what it names. Of a node
 * their number is known, and one that somebody has left who may still look is marked, as
 * own_granted() relies on.
 */
static bool node_known(struct daxcow_pool *pool, u64 block, enum kind kind)
{
	const struct node *node = desc_node(space_desc(pool, block));
	unsigned int i = 0, end = DAXCOW_NODE_ENTRIES, used = 0;
	int level = kind - KIND_NODE;
	struct entry e;

	if (kind == KIND_RECORD) {
		i = DAXCOW_SLOT_ROOT;
		end = i + 1;
		level = ROOT_LEVEL;
	}
	for (; i < end; i++) {
		u64 slot = slot_of(block, i);

		if (tree_load(pool, slot, level, &e))
			return false;
		if (e.type == DAXCOW_ENTRY_NONE)
			continue;
		if (!owner_has(pool, slot, e))
			return false;
		used++;
	}
	return kind == KIND_RECORD ||
	       (used == node->used &&
		(node->count != 1 || node->left <= pool->ended || node->stale));
}

static int compare(struct daxcow_pool *pool, struct daxcow_pool *again,
		   struct daxcow_report *report)
{
	u64 block;

	for (block = 0; block < pool->nr_blocks; block++) {
		enum kind kind = desc_kind(space_desc(pool, block));

		if (!block_same(pool, again, block) ||
		    ((kind_is_node(kind) || kind == KIND_RECORD) &&
		     !node_known(pool, block, kind)))
			return differs(report, DAXCOW_BAD_OWNERS, block,
				       block_owners(pool, block));
	}
	if (!leaves_right(pool))
		return differs(report, DAXCOW_BAD_OWNERS, 0, 0);
	if (pool->nr_free == again->nr_free &&
	    pool->nr_data == again->nr_data &&
	    pool->nr_meta == again->nr_meta &&
	    pool->nr_retired == again->nr_retired &&
	    pool->nr_volumes == again->nr_volumes)
		return 0;
	return differs(report, DAXCOW_BAD_SPACE, 0, pool->nr_free);
}

/* All blocks that are bad, or NULL when there is none, or no memory. */
static u64 *bad_list(struct daxcow_pool *pool, size_t *nr)
{
	u64 *list = NULL, at = 0;

	*nr = 0;
	if (pool->nr_bad)
		list = vcalloc(pool->nr_bad, sizeof(*list));
	while (list && *nr < pool->nr_bad) {
		at += daxcow_bad_find(pool, at, pool->nr_blocks - at);
		list[(*nr)++] = at++;
	}
	return list;
}

int daxcow_verify(struct daxcow_pool *pool, struct daxcow_report *report)
{
	struct daxcow_host host = {
		.progress = pool->host.progress,
		.ctx = pool->host.ctx,
	};
	struct daxcow_report none;
	struct daxcow_pool *again;
	u64 *bad;
	int ret;

	if (!report)
		report = &none;
	pool_lock(pool);
	bad = bad_list(pool, &host.nr_bad);
	host.bad = bad;
	if (pool->incoming.nr || pool->ready.nr || pool->nr_apart)
		ret = -EBUSY;
	else if ((pool->nr_bad && !bad) || !bad_settle(pool))
		ret = -ENOMEM;
	else if (bad_tables(pool))
		ret = -EIO;
	else
		ret = daxcow_load(&again, pool->base, pool->dev_blocks,
				  DAXCOW_LOAD_RO, &host, report);
	if (!ret) {
		ret = compare(pool, again, report);
		daxcow_unload(again);
	}
	pool_unlock(pool);
	vfree(bad);
	return ret;
}
