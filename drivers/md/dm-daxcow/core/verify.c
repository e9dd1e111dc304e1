// SPDX-License-Identifier: GPL-2.0
/*
 * Questions to the reverse map: who owns a block, and is the map right?
 */
#include "internal.h"

/* A block on the way up, and which of its owners comes next. */
struct up {
	u64 block;
	u32 next;
	u64 vblk;
};

#define UP_DEPTH	(DAXCOW_MAX_LEVEL + 3)

static bool is_node(enum kind kind)
{
	return kind >= KIND_NODE && kind < KIND_DIR;
}

/* What one owner slot adds to the vblk. */
static u64 slot_vblk(struct daxcow_pool *pool, u64 slot, u64 block,
		     enum kind kind)
{
	enum kind above = desc_kind(space_desc(pool, slot_block(slot)));
	u64 vblk;

	if (!is_node(above))
		return 0;
	vblk = slot_index(slot) * level_span(above - KIND_NODE);
	/* a block that is mapped as part of its chunk */
	if (kind == KIND_DATA && above == KIND_NODE + 1)
		vblk += chunk_index(pool, block);
	return vblk;
}

static enum daxcow_use use_of(enum kind kind)
{
	if (kind == KIND_FREE)
		return DAXCOW_BLOCK_FREE;
	if (kind == KIND_BAD)
		return DAXCOW_BLOCK_RETIRED;
	if (kind == KIND_DATA)
		return DAXCOW_BLOCK_DATA;
	if (is_node(kind))
		return DAXCOW_BLOCK_TABLE;
	return kind == KIND_RECORD ? DAXCOW_BLOCK_RECORD : DAXCOW_BLOCK_POOL;
}

/* How much of a volume is found through a block. */
static u64 covers(enum kind kind)
{
	if (kind == KIND_DATA)
		return 1;
	return is_node(kind) ? level_span(kind - KIND_NODE + 1) :
			       DAXCOW_MAX_VOLUME_BLOCKS;
}

/* The id under which the directory has a record: it cannot fail as memory can. */
u32 record_volume(struct daxcow_pool *pool, u64 block)
{
	u64 id = 0;
	int level;

	for (level = 0; level <= DAXCOW_DIR_LEVEL; level++) {
		u64 slot = desc_owner(space_desc(pool, block), 0);

		id += slot_index(slot) * level_span(level);
		block = slot_block(slot);
	}
	return id;
}

/*
 * The map is a graph whose paths to the top end in records; each path is an
 * owner. Depth is bounded by the levels. A path that ends in a node without
 * owners is one that is being taken apart: not an owner. Under the lock. Returns
 * what @fn did when that is not 0, or -ENOENT when there is none.
 */
int paths_each(struct daxcow_pool *pool, u64 block,
	       int (*fn)(void *arg, struct daxcow_pool *pool,
			 const struct way_up *p),
	       void *arg)
{
	struct up up[UP_DEPTH] = { { .block = block } };
	int depth = 1, ret = 0;
	bool any = false;

	while (depth && !ret) {
		struct up *u = &up[depth - 1];
		struct desc *d = space_desc(pool, u->block);

		if (desc_kind(d) == KIND_RECORD) {
			struct way_up p = { .record = u->block, .vblk = u->vblk };

			depth--;
			if (!desc_owners(d))
				continue;
			any = true;
			ret = fn(arg, pool, &p);
		} else if (u->next == desc_owners(d) || depth == UP_DEPTH) {
			depth--;
		} else {
			u64 slot = desc_owner(d, u->next++);

			up[depth++] = (struct up) {
				.block = slot_block(slot),
				.vblk = u->vblk + slot_vblk(pool, slot, u->block,
							    desc_kind(d)),
			};
		}
	}
	return ret || any ? ret : -ENOENT;
}

struct tell {
	int (*fn)(void *arg, const struct daxcow_owner *o);
	void *arg;
	u64 nr;
};

static int tell_owner(void *arg, struct daxcow_pool *pool, const struct way_up *p)
{
	const struct tell *t = arg;
	struct daxcow_owner o = {
		.volume = record_volume(pool, p->record),
		.vblk = p->vblk,
		.nr = t->nr,
	};

	return t->fn(t->arg, &o);
}

int daxcow_owners(struct daxcow_pool *pool, u64 block, enum daxcow_use *use,
		  int (*fn)(void *arg, const struct daxcow_owner *o), void *arg)
{
	struct tell t = { .fn = fn, .arg = arg };
	enum kind kind;
	int ret;

	mutex_lock(&pool->lock);
	if (block >= pool->nr_blocks) {
		ret = -ERANGE;
		goto out_unlock;
	}
	kind = desc_kind(space_desc(pool, block));
	if (use)
		*use = use_of(kind);
	t.nr = covers(kind);
	if (kind == KIND_DATA || is_node(kind) || kind == KIND_RECORD)
		ret = paths_each(pool, block, tell_owner, &t);
	else
		ret = -ENOENT;
out_unlock:
	mutex_unlock(&pool->lock);
	return ret;
}

/* Same purpose, same owners. */
static bool desc_same(const struct desc *a, const struct desc *b)
{
	u32 i;

	if (desc_kind(a) != desc_kind(b) || desc_owners(a) != desc_owners(b) ||
	    desc_pending(a) != desc_pending(b))
		return false;
	for (i = 0; i < desc_owners(a); i++)
		if (!desc_owner_has(b, desc_owner(a, i)))
			return false;
	return true;
}

static int compare(struct daxcow_pool *pool, struct daxcow_pool *again,
		   struct daxcow_report *report)
{
	u64 block;

	for (block = 0; block < pool->nr_blocks; block++) {
		if (desc_same(space_desc(pool, block),
			      space_desc(again, block)))
			continue;
		*report = (struct daxcow_report) {
			.bad = DAXCOW_BAD_OWNERS,
			.level = -1,
			.block = block,
			.volume = ~0U,
			.value = desc_owners(space_desc(pool, block)),
		};
		return -EUCLEAN;
	}
	if (pool->nr_free == again->nr_free &&
	    pool->nr_data == again->nr_data &&
	    pool->nr_meta == again->nr_meta &&
	    pool->nr_retired == again->nr_retired &&
	    pool->nr_volumes == again->nr_volumes)
		return 0;
	*report = (struct daxcow_report) {
		.bad = DAXCOW_BAD_SPACE,
		.level = -1,
		.volume = ~0U,
		.value = pool->nr_free,
	};
	return -EUCLEAN;
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
	mutex_lock(&pool->lock);
	bad = bad_list(pool, &host.nr_bad);
	host.bad = bad;
	if (pool->incoming.nr || pool->ready.nr)
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
	mutex_unlock(&pool->lock);
	vfree(bad);
	return ret;
}
