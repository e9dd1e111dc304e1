// SPDX-License-Identifier: GPL-2.0
/*
 * Questions to the reverse map: who owns a block?
 */
#include "internal.h"

/* Something on the way up, and which of its owners comes next. */
struct up {
	struct owner_walk w;
	u64 block;
	u64 vblk;
	enum kind kind;
	bool chunk;
};

#define UP_DEPTH	(DAXCOW_MAX_LEVEL + 3)

/* What one owner slot adds to the vblk. */
static u64 slot_vblk(struct daxcow_pool *pool, u64 slot, u64 block,
		     enum kind kind)
{
	enum kind above = desc_kind(space_desc(pool, slot_block(slot)));
	u64 vblk;

	if (!kind_is_node(above))
		return 0;
	vblk = slot_index(slot) * level_span(above - KIND_NODE);
	/* a block that is mapped as part of its chunk */
	if (kind == KIND_DATA && above == KIND_NODE + 1)
		vblk += chunk_index(pool, block);
	return vblk;
}

static enum daxcow_use use_of(enum kind kind)
{
	if (kind == KIND_FREE || kind == KIND_GONE)
		return DAXCOW_BLOCK_FREE;
	if (kind == KIND_BAD)
		return DAXCOW_BLOCK_RETIRED;
	if (kind == KIND_DATA)
		return DAXCOW_BLOCK_DATA;
	if (kind_is_node(kind))
		return DAXCOW_BLOCK_TABLE;
	return kind == KIND_RECORD ? DAXCOW_BLOCK_RECORD : DAXCOW_BLOCK_POOL;
}

/* How much of a volume is found through a block. */
static u64 covers(enum kind kind)
{
	if (kind == KIND_DATA)
		return 1;
	return kind_is_node(kind) ? level_span(kind - KIND_NODE + 1) :
			       DAXCOW_MAX_VOLUME_BLOCKS;
}

/* The id under which the directory has a record: it cannot fail as memory can. */
u32 record_volume(struct daxcow_pool *pool, u64 block)
{
	u64 id = 0;
	int level;

	for (level = 0; level <= DAXCOW_DIR_LEVEL; level++) {
		const struct desc *d = space_desc(pool, block);
		u64 slot = slot_of(desc_ref(d), desc_index(d));

		id += slot_index(slot) * level_span(level);
		block = slot_block(slot);
	}
	return id;
}

static void up_begin(struct daxcow_pool *pool, struct up *u, u64 block, u64 vblk)
{
	struct entry e = entry_data(block);

	*u = (struct up) { .block = block, .vblk = vblk };
	u->kind = desc_kind(space_desc(pool, block));
	if (kind_is_node(u->kind)) {
		e.type = DAXCOW_ENTRY_NODE;
		e.level = u->kind - KIND_NODE;
	} else if (u->kind == KIND_DATA &&
		   !pool->chunks[chunk_of(pool, block)].split) {
		e = entry_chunk(block - chunk_index(pool, block));
		u->chunk = true;
	}
	owner_walk(&u->w, pool, e);
}

/* Data has those who name it, and after these those who name its chunk. */
static bool up_next(struct up *u)
{
	struct daxcow_pool *pool = u->w.pool;

	if (owner_next(&u->w))
		return true;
	if (u->kind != KIND_DATA || u->chunk)
		return false;
	u->chunk = true;
	owner_walk(&u->w, pool, entry_chunk(u->block - chunk_index(pool, u->block)));
	return owner_next(&u->w);
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
	struct up up[UP_DEPTH];
	int depth = 1, ret = 0;
	bool any = false;

	up_begin(pool, &up[0], block, 0);
	while (depth && !ret) {
		struct up *u = &up[depth - 1];

		if (u->kind == KIND_RECORD) {
			struct way_up p = { .record = u->block, .vblk = u->vblk };

			depth--;
			if (!desc_count(space_desc(pool, u->block)))
				continue;
			any = true;
			ret = fn(arg, pool, &p);
		} else if (depth == UP_DEPTH || !up_next(u)) {
			depth--;
		} else {
			up_begin(pool, &up[depth++], slot_block(u->w.slot),
				 u->vblk + slot_vblk(pool, u->w.slot, u->block,
						     u->kind));
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
	if (kind == KIND_DATA || kind_is_node(kind) || kind == KIND_RECORD)
		ret = paths_each(pool, block, tell_owner, &t);
	else
		ret = -ENOENT;
out_unlock:
	mutex_unlock(&pool->lock);
	return ret;
}
