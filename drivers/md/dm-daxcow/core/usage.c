// SPDX-License-Identifier: GPL-2.0
/*
 * How much a volume maps.
 *
 * Each node knows it of what is below, once somebody has asked: then a change adds to
 * the nodes on its way, which are the volume's own. A merge changes tables that are
 * shared, and who asks next counts again what is below those that name them. What
 * has not been counted is not known for any node above either.
 *
 * A node is counted once, however many ways lead to it, and the lock is given to others
 * in between.
 */
#include "internal.h"

/* Entries that are looked at under the lock at once. */
#define STEP_ENTRIES	8192

/*
 * Count what is below a node, as far as *@work goes. What is below one that is bad, or
 * is named by a damaged entry, is not counted. Returns 0, or -EAGAIN: there is more.
 */
static int node_count(struct daxcow_pool *pool, u64 block, int level, long *work)
{
	struct node *node = desc_node(space_desc(pool, block));
	u64 mapped = 0;
	u32 huge = 0;
	unsigned int i;
	struct entry e;
	int ret;

	if (node->known)
		return 0;
	if (*work <= 0)
		return -EAGAIN;
	for (i = 0; i < DAXCOW_NODE_ENTRIES && !bad_test(pool, block); i++) {
		--*work;
		if (tree_load(pool, slot_of(block, i), level, &e))
			continue;
		if (e.type == DAXCOW_ENTRY_NODE) {
			const struct node *child;

			ret = node_count(pool, e.block, e.level, work);
			if (ret)
				return ret;
			child = desc_node(space_desc(pool, e.block));
			mapped += child->mapped;
			huge += child->huge;
		} else if (e.type == DAXCOW_ENTRY_DATA) {
			mapped += level_span(e.level);
			huge += is_chunk(e);
		}
	}
	node->mapped = mapped;
	node->huge = huge;
	node->known = true;
	return 0;
}

/* What is below a node has been changed from elsewhere. */
void usage_forget(struct daxcow_pool *pool, u64 block)
{
	const struct desc *d = space_desc(pool, block);
	struct owner_walk w;

	if (!desc_is_node(d) || !d->node->known)
		return;
	d->node->known = false;
	owner_walk(&w, pool, (struct entry) {
		.type = DAXCOW_ENTRY_NODE,
		.level = desc_kind(d) - KIND_NODE,
		.block = block,
	});
	while (owner_next(&w))
		usage_forget(pool, slot_block(w.slot));
}

/* The highest vblk that is mapped below a root node, which has been counted. */
static u64 tree_highest(struct daxcow_pool *pool, struct entry root)
{
	u64 node = root.block, vblk = 0;
	int level = root.level, i;
	struct entry e;

	for (i = DAXCOW_NODE_ENTRIES - 1; i >= 0; i--) {
		if (tree_load(pool, slot_of(node, i), level, &e))
			continue;
		if (e.type == DAXCOW_ENTRY_DATA)
			return vblk + (i + 1) * level_span(level) - 1;
		if (e.type != DAXCOW_ENTRY_NODE ||
		    !desc_node(space_desc(pool, e.block))->mapped)
			continue;
		vblk += i * level_span(level);
		node = e.block;
		level = e.level;
		i = DAXCOW_NODE_ENTRIES;
	}
	return ~0ULL;
}

/* Count a tree. @u->highest is set with the last step. Returns 0, -EAGAIN, or an error. */
static int tree_count(struct daxcow_pool *pool, u64 root_slot, struct daxcow_usage *u)
{
	long work = STEP_ENTRIES;
	const struct node *node;
	struct entry e;
	int ret;

	u->mapped = 0;
	u->highest = ~0ULL;
	ret = tree_load(pool, root_slot, ROOT_LEVEL, &e);
	if (ret || e.type == DAXCOW_ENTRY_NONE)
		return ret;
	ret = node_count(pool, e.block, e.level, &work);
	if (ret)
		return ret;
	node = desc_node(space_desc(pool, e.block));
	u->mapped = node->mapped;
	u->huge = (u64)node->huge * DAXCOW_CHUNK_BLOCKS;
	if (u->mapped)
		u->highest = tree_highest(pool, e);
	return 0;
}

void daxcow_volume_mapped(struct daxcow_volume *vol, u64 *mapped, u64 *highest)
{
	struct daxcow_pool *pool = vol->pool;
	struct daxcow_usage u;
	int ret;

	do {
		pool_lock(pool);
		ret = tree_count(pool, vol->root_slot, &u);
		pool_unlock(pool);
		cond_resched();
	} while (ret == -EAGAIN);
	*mapped = u.mapped;
	*highest = u.highest;
}

/* ---- what is a volume's own ---- */

/*
 * Go down as far as nodes are, and count those that begin at @vblk. Returns 0, or -EIO at
 * one that is bad, or another error.
 */
static int own_find(struct daxcow_pool *pool, u64 root_slot, u64 vblk, struct place *p,
		    struct daxcow_usage *u)
{
	int ret = tree_load(pool, root_slot, ROOT_LEVEL, &p->e);

	p->slot = root_slot;
	p->level = ROOT_LEVEL;
	p->shared = false;
	if (ret || p->e.type == DAXCOW_ENTRY_NONE || vblk >= level_span(p->e.level + 1))
		return ret;
	p->level = p->e.level + 1;
	while (!ret && p->level > 1 && p->e.type == DAXCOW_ENTRY_NODE) {
		p->shared = !node_own(pool, desc_node(space_desc(pool, p->e.block)));
		if (p->shared)
			break;
		u->nodes += !(vblk & (level_span(p->level) - 1));
		ret = tree_step(pool, p, vblk);
	}
	return ret;
}

static void own_leaf(struct daxcow_pool *pool, u64 block, struct daxcow_usage *u)
{
	unsigned int i;
	struct entry e;

	u->nodes++;
	for (i = 0; i < DAXCOW_NODE_ENTRIES; i++)
		if (!tree_load(pool, slot_of(block, i), 0, &e) &&
		    e.type != DAXCOW_ENTRY_NONE)
			u->exclusive += block_own(pool, e.block);
}

/* What is named by one entry, or by the table of it that is the volume's own. */
static int own_step(struct daxcow_pool *pool, u64 root_slot, u64 *vblk,
		    struct daxcow_usage *u)
{
	const struct node *node = NULL;
	struct place p;
	unsigned int i;
	int ret;

	ret = own_find(pool, root_slot, *vblk, &p, u);
	if (ret && ret != -EIO)
		return ret;
	if (p.level == ROOT_LEVEL) {
		*vblk = DAXCOW_MAX_VOLUME_BLOCKS;
		return 0;
	}
	/* past all that is below a node that is bad */
	*vblk = (*vblk | (level_span(p.level + !!ret) - 1)) + 1;
	if (ret)
		return 0;
	if (p.e.type == DAXCOW_ENTRY_NODE)
		node = desc_node(space_desc(pool, p.e.block));
	for (i = 0; i < DAXCOW_CHUNK_BLOCKS && is_chunk(p.e); i++)
		u->exclusive += block_own(pool, p.e.block + i);
	if (node && p.level == 1 && node_own(pool, node))
		own_leaf(pool, p.e.block, u);
	return 0;
}

/* All steps until there is something to look at, or the lock has been held for long. */
static int own_steps(struct daxcow_pool *pool, u64 root_slot, u64 *vblk,
		     struct daxcow_usage *u)
{
	int left = STEP_ENTRIES / DAXCOW_NODE_SLOTS, ret = 0;

	while (!ret && left-- && *vblk < DAXCOW_MAX_VOLUME_BLOCKS)
		ret = own_step(pool, root_slot, vblk, u);
	return ret;
}

int daxcow_usage(struct daxcow_pool *pool, u32 id, struct daxcow_usage *u)
{
	u64 vblk = 0, slot, record;
	int ret;

	memset(u, 0, sizeof(*u));
	do {
		pool_lock(pool);
		ret = dir_find(pool, id, &slot, &record);
		if (!ret && vblk < DAXCOW_MAX_VOLUME_BLOCKS)
			ret = own_steps(pool, root_slot(record), &vblk, u) ?: -EAGAIN;
		else if (!ret)
			ret = tree_count(pool, root_slot(record), u);
		pool_unlock(pool);
		cond_resched();
	} while (ret == -EAGAIN);
	return ret;
}
