// SPDX-License-Identifier: GPL-2.0
/*
 * Walks through a volume's tree. A walk without the lock sees each entry
 * before or after any change, and nodes that it can reach stay what they are
 * until its read section ends.
 */
#include "internal.h"

/*
 * Level of the smallest tree that reaches @vblk. Not 0, so that the root entry
 * never stands for a chunk.
 */
int level_for(u64 vblk)
{
	int level = 1;

	while (level < DAXCOW_MAX_LEVEL && vblk >= level_span(level + 1))
		level++;
	return level;
}

static inline bool entry_legal(const struct daxcow_pool *pool, u64 raw, struct entry e,
			       int level)
{
	if (raw & DAXCOW_ENTRY_RSVD_MASK || !e.block ||
	    e.block >= READ_ONCE(pool->nr_blocks))
		return false;
	if (e.type == DAXCOW_ENTRY_NODE)
		return level == ROOT_LEVEL ? e.level <= DAXCOW_MAX_LEVEL :
					     e.level == level - 1;
	return e.type == DAXCOW_ENTRY_DATA && e.level == level && level <= 1;
}

/* Whether an entry whose check is right may be in a node of @level. */
bool tree_legal(const struct daxcow_pool *pool, u64 raw, int level)
{
	return entry_legal(pool, raw, entry_decode(raw), level);
}

/*
 * Read and check the entry at @slot, which is in a node of @level, or
 * ROOT_LEVEL. Load has checked it once, but memory can fail since. Returns 0,
 * -EUCLEAN, or -EIO when the node is known to be bad.
 */
int tree_load(struct daxcow_pool *pool, u64 slot, int level, struct entry *e)
{
	u64 raw;

	*e = (struct entry) { .type = DAXCOW_ENTRY_NONE };
	if (unlikely(bad_test(pool, slot_block(slot))))
		return -EIO;
	raw = pm_load(slot_word(pool, slot));
	*e = entry_decode(raw);
	if (!raw)
		return 0;
	return entry_check(&pool->crc, slot, raw) && entry_legal(pool, raw, *e, level) ?
	       0 : -EUCLEAN;
}

/* From an entry that names a node to the one for @vblk inside of it. */
int tree_step(struct daxcow_pool *pool, struct place *p, u64 vblk)
{
	p->level = p->e.level;
	p->slot = slot_of(p->e.block, level_index(vblk, p->level));
	return tree_load(pool, p->slot, p->level, &p->e);
}

/*
 * Walk down to the entry for @vblk in a node of @level, or as near as there
 * are nodes. @p->shared is only right under the lock. A @vblk that the tree
 * does not reach is reported as unmapped at ROOT_LEVEL. Returns 0, -EUCLEAN.
 */
int tree_find(struct daxcow_pool *pool, u64 root_slot, u64 vblk, int level,
	      struct place *p)
{
	int ret;

	p->slot = root_slot;
	p->level = ROOT_LEVEL;
	p->shared = false;
	ret = tree_load(pool, root_slot, ROOT_LEVEL, &p->e);
	if (ret)
		return ret;
	if (p->e.type == DAXCOW_ENTRY_NONE)
		return 0;
	if (vblk >= level_span(p->e.level + 1)) {
		p->e = (struct entry) { .type = DAXCOW_ENTRY_NONE };
		return 0;
	}
	p->level = p->e.level + 1;
	while (p->level > level && p->e.type == DAXCOW_ENTRY_NODE) {
		if (!node_own(pool, desc_node(space_desc(pool, p->e.block))))
			p->shared = true;
		ret = tree_step(pool, p, vblk);
		if (ret)
			return ret;
	}
	return 0;
}

/* As tree_find() to the leaf, without a look at the owners. */
static int tree_find_leaf(struct daxcow_pool *pool, u64 root_slot, u64 vblk,
			  struct place *p)
{
	int ret;

	p->slot = root_slot;
	p->level = ROOT_LEVEL;
	ret = tree_load(pool, root_slot, ROOT_LEVEL, &p->e);
	if (ret || p->e.type == DAXCOW_ENTRY_NONE)
		return ret;
	if (vblk >= level_span(p->e.level + 1)) {
		p->e = (struct entry) { .type = DAXCOW_ENTRY_NONE };
		return 0;
	}
	while (!ret && p->e.type == DAXCOW_ENTRY_NODE)
		ret = tree_step(pool, p, vblk);
	return ret;
}

/* How far entries of a level 0 node go on as the first one began. */
static u64 leaf_run(struct daxcow_pool *pool, const struct place *p, u64 nr)
{
	unsigned int i = slot_index(p->slot);
	struct entry e;
	u64 n = 1;

	for (; n < nr && i + n < DAXCOW_NODE_ENTRIES; n++) {
		if (tree_load(pool, p->slot + n, 0, &e) ||
		    e.type != p->e.type)
			break;
		if (e.type == DAXCOW_ENTRY_DATA && e.block != p->e.block + n)
			break;
	}
	return n;
}

long daxcow_lookup(struct daxcow_volume *vol, u64 vblk, u64 nr, u64 *block)
{
	struct daxcow_pool *pool = vol->pool;
	struct place p;
	u64 left;
	int ret;

	ret = tree_find_leaf(pool, READ_ONCE(vol->root_slot), vblk, &p);
	if (ret)
		return ret;
	*block = DAXCOW_HOLE;
	if (p.level == ROOT_LEVEL)
		return nr;
	left = level_span(p.level) - (vblk & (level_span(p.level) - 1));
	if (p.e.type == DAXCOW_ENTRY_DATA)
		*block = p.e.block + (vblk & (level_span(p.level) - 1));
	if (p.level == 0)
		left = leaf_run(pool, &p, nr);
	return min(left, nr);
}
