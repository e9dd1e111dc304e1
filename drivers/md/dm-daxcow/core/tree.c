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

static bool entry_legal(struct entry e, int level)
{
	if (e.type == DAXCOW_ENTRY_NODE)
		return level == ROOT_LEVEL ? e.level <= DAXCOW_MAX_LEVEL :
					     e.level == level - 1;
	return e.type == DAXCOW_ENTRY_DATA && e.level == level && level <= 1;
}

/* Whether an entry whose check is right may be in a node of @level. */
bool tree_legal(const struct daxcow_pool *pool, u64 raw, int level)
{
	struct entry e = entry_decode(raw);

	return !(raw & DAXCOW_ENTRY_RSVD_MASK) && entry_legal(e, level) &&
	       e.block && e.block < READ_ONCE(pool->nr_blocks);
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
	return entry_check(&pool->crc, slot, raw) && tree_legal(pool, raw, level) ?
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

/*
 * Blocks mapped by what @e names, without what is below a node that is bad.
 * Under the lock. Returns 0 or -EUCLEAN.
 */
int tree_mapped(struct daxcow_pool *pool, struct entry e, u64 *mapped)
{
	struct {
		u64 block;
		unsigned int index;
	} stack[DAXCOW_MAX_LEVEL + 1];
	int top = e.level, level = e.level, ret;

	*mapped = 0;
	if (e.type == DAXCOW_ENTRY_DATA)
		*mapped = level_span(e.level);
	if (e.type != DAXCOW_ENTRY_NODE)
		return 0;
	stack[level].block = e.block;
	stack[level].index = 0;
	while (level <= top) {
		if (stack[level].index == DAXCOW_NODE_ENTRIES) {
			level++;
			continue;
		}
		ret = tree_load(pool, slot_of(stack[level].block,
					      stack[level].index++), level, &e);
		if (ret == -EIO) {
			level++;
			continue;
		}
		if (ret)
			return ret;
		if (e.type == DAXCOW_ENTRY_DATA) {
			*mapped += level_span(e.level);
		} else if (e.type == DAXCOW_ENTRY_NODE) {
			level--;
			stack[level].block = e.block;
			stack[level].index = 0;
		}
	}
	return 0;
}

/* Add up one level 1 entry, or what stands in its place. */
static int usage_step(struct daxcow_pool *pool, u64 root_slot, u64 *vblk,
		      struct daxcow_usage *u)
{
	u64 base, n = 0;
	struct place p;
	int ret;

	ret = tree_find(pool, root_slot, *vblk, 1, &p);
	if (ret && ret != -EIO)
		return ret;
	if (ret && p.level != ROOT_LEVEL) {
		/* past all that is below a node that is bad */
		*vblk = (*vblk | (level_span(p.level + 1) - 1)) + 1;
		return 0;
	}
	if (p.level == ROOT_LEVEL) {
		*vblk = DAXCOW_MAX_VOLUME_BLOCKS;
		return 0;
	}
	base = *vblk & ~(level_span(p.level) - 1);
	*vblk = base + level_span(p.level);
	if (p.e.type == DAXCOW_ENTRY_DATA) {
		u->mapped += DAXCOW_CHUNK_BLOCKS;
		u->huge += DAXCOW_CHUNK_BLOCKS;
		u->highest = *vblk - 1;
		for (; n < DAXCOW_CHUNK_BLOCKS && !p.shared; n++)
			u->exclusive += block_own(pool, p.e.block + n);
	} else if (p.e.type == DAXCOW_ENTRY_NODE) {
		u64 node = p.e.block;

		p.shared |= !node_own(pool, desc_node(space_desc(pool, node)));
		u->nodes += !p.shared;
		for (; n < DAXCOW_NODE_ENTRIES; n++) {
			ret = tree_load(pool, slot_of(node, n), 0, &p.e);
			if (ret)
				return ret == -EIO ? 0 : ret;
			if (p.e.type == DAXCOW_ENTRY_NONE)
				continue;
			u->mapped++;
			u->highest = base + n;
			u->exclusive += !p.shared &&
					block_own(pool, p.e.block);
		}
	}
	return 0;
}

int daxcow_usage(struct daxcow_pool *pool, u32 id, struct daxcow_usage *u)
{
	u64 vblk = 0, slot, record;
	int ret = 0;

	memset(u, 0, sizeof(*u));
	u->highest = ~0ULL;
	while (!ret && vblk < DAXCOW_MAX_VOLUME_BLOCKS) {
		mutex_lock(&pool->lock);
		ret = dir_find(pool, id, &slot, &record);
		if (!ret)
			ret = usage_step(pool, slot_of(record,
						       DAXCOW_SLOT_ROOT),
					 &vblk, u);
		mutex_unlock(&pool->lock);
		cond_resched();
	}
	return ret;
}

/* The highest mapped vblk, or ~0; from the end, past nodes that are empty. */
static u64 tree_highest(struct daxcow_pool *pool, u64 root_slot)
{
	u64 node[DAXCOW_MAX_LEVEL + 1], vblk = 0;
	int index[DAXCOW_MAX_LEVEL + 1], level, top;
	struct entry e;

	if (tree_load(pool, root_slot, ROOT_LEVEL, &e) ||
	    e.type == DAXCOW_ENTRY_NONE)
		return ~0ULL;
	level = e.level;
	top = e.level;
	node[level] = e.block;
	index[level] = DAXCOW_NODE_ENTRIES;
	while (level <= top) {
		if (index[level]-- == 0) {
			level++;
			continue;
		}
		if (tree_load(pool, slot_of(node[level], index[level]), level,
			      &e))
			return ~0ULL;
		if (e.type == DAXCOW_ENTRY_NODE) {
			level--;
			node[level] = e.block;
			index[level] = DAXCOW_NODE_ENTRIES;
		} else if (e.type == DAXCOW_ENTRY_DATA) {
			for (; level <= top; level++)
				vblk += index[level] * level_span(level);
			return vblk + level_span(e.level) - 1;
		}
	}
	return ~0ULL;
}

void daxcow_volume_mapped(struct daxcow_volume *vol, u64 *mapped, u64 *highest)
{
	mutex_lock(&vol->pool->lock);
	*mapped = vol->mapped;
	*highest = vol->mapped ? tree_highest(vol->pool, vol->root_slot) : ~0ULL;
	mutex_unlock(&vol->pool->lock);
}
