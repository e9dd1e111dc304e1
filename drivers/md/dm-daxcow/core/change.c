// SPDX-License-Identifier: GPL-2.0
/*
 * Break sharing.
 *
 * A volume may write a block when the block, and each node on the way to it,
 * has one owner and no pending ones. The walk for a write goes down as long
 * as that holds. Where it ends, at an entry that is empty, or names something
 * that is not this volume's own, the change is made:
 *
 *   1. Allocate the new block and one new node for each level from there down.
 *   2. Fill the block (copy, zero, or the caller's bytes) and the nodes: all
 *      children of the old node, but for the one on the way. The children
 *      that both nodes name gain an owner, which is to be counted only (owners.c).
 *   3. Fence (P1). Store the entry, flush, fence (P2). That is the change.
 *   4. The old block or node loses this owner, for whom a grace period is waited
 *      for (I2).
 *
 * Crash: before the store in 3 nothing of this can be reached and the old
 * tree stands; after it, the new one. Memory: all that can fail (allocation,
 * a damaged old node, a poisoned old block) comes before the store; then 1 and 2 are
 * taken back.
 *
 * Concurrency: writers hold the pool's lock, but for when the block is filled (fill.c).
 * A reader without it sees the old block or the new one, with equal content until the
 * writer writes.
 *
 * Downside: the first write after a snapshot copies up to four nodes, and counts the
 * 512 children of each.
 *
 * A chunk that is mapped by one entry is replaced as a whole, or its entry by a node
 * with an entry for each of its blocks, of which one is another.
 */
#include "internal.h"

/* Blocks of a chunk entry, seen as level 0 entries. */
static struct entry chunk_part(struct entry e, unsigned int i)
{
	return (struct entry) {
		.type = DAXCOW_ENTRY_DATA,
		.block = e.block + i,
	};
}

/* The entry itself turns from a chunk to a node: its owner stays the same. */
static bool splits_in_place(const struct change *c)
{
	return is_chunk(c->at.e) && c->target == 0;
}

/* Entry @i of the new node at @level, whose old counterpart is @from. */
static int child_load(struct daxcow_pool *pool, struct entry from, int level,
		      unsigned int i, struct entry *e)
{
	*e = (struct entry) { .type = DAXCOW_ENTRY_NONE };
	if (from.type == DAXCOW_ENTRY_NODE)
		return tree_load(pool, slot_of(from.block, i), level, e);
	if (is_chunk(from))
		*e = chunk_part(from, i);
	return 0;
}

/* Take owners of a new node's children back, up to index @end. */
static void node_undo(struct daxcow_pool *pool, const struct change *c,
		      int level, unsigned int end)
{
	unsigned int i, skip = level_index(c->vblk, level);
	struct entry e;

	for (i = 0; i < end; i++) {
		e = entry_decode(le64_to_cpu(pool->scratch[i]));
		if (i != skip && e.type != DAXCOW_ENTRY_NONE)
			owner_del(pool, slot_of(c->node[level], i), e);
	}
}

/* A node is going to be copied: both are of one family. Returns 0 or -ENOMEM. */
static int node_inherit(struct daxcow_pool *pool, struct node *node, u64 from)
{
	struct node *old = desc_node(space_desc(pool, from));
	int ret = family_need(pool, old);

	if (!ret)
		family_join(pool, node, old->family);
	return ret;
}

/* What the change does to what is mapped. */
static void delta_of(struct daxcow_pool *pool, struct change *c)
{
	struct usage_delta *d = &c->delta;
	const struct node *gone = NULL;

	*d = (struct usage_delta) { .known = true };
	if (c->new.type == DAXCOW_ENTRY_DATA) {
		d->mapped += level_span(c->target);
		d->huge += c->target;
	}
	if (c->old.type == DAXCOW_ENTRY_DATA) {
		d->mapped -= level_span(c->target);
		d->huge -= c->old.level;
	} else if (c->old.type == DAXCOW_ENTRY_NODE) {
		gone = desc_node(space_desc(pool, c->old.block));
		d->known = gone->known;
		d->mapped -= gone->mapped;
		d->huge -= gone->huge;
	}
}

/* A new node, where @mapped blocks were mapped before. */
static void usage_begin(const struct change *c, struct node *node, u64 mapped)
{
	node->mapped = mapped;
	node->known = true;
	usage_node_add(node, &c->delta);
	if (mapped)
		node->huge = 0;
}

/* One that is a copy of @old. */
static void usage_inherit(const struct change *c, struct node *node,
			  const struct node *old)
{
	node->mapped = old->mapped;
	node->huge = old->huge;
	node->known = old->known;
	usage_node_add(node, &c->delta);
}

/* What the new node at @level has on the way. */
static struct entry child_new(const struct change *c, int level)
{
	return level == c->target ? c->new : (struct entry) {
		.type = DAXCOW_ENTRY_NODE,
		.level = level - 1,
		.block = c->node[level - 1],
	};
}

/* What an entry is, and not which. */
#define FORM_MASK	(DAXCOW_ENTRY_VALUE_MASK & ~DAXCOW_ENTRY_BLOCK_MASK)

/* Read the node at @block, and see that all of it is right. */
static int node_read(struct daxcow_pool *pool, u64 block, int level)
{
	const __le64 *word = slot_word(pool, slot_of(block, 0));
	u64 sum = 0, raw, form = 0, nr_blocks = pool->nr_blocks;
	unsigned int i, index = 0, nr = 0;

	if (bad_test(pool, block))
		return -EIO;
	for (i = 0; i < DAXCOW_NODE_ENTRIES; i++) {
		raw = pm_load(word + i);
		pool->scratch[i] = cpu_to_le64(raw);
		if (!raw)
			continue;
		/* mostly of one kind */
		if ((raw & FORM_MASK) != form || !(raw & DAXCOW_ENTRY_BLOCK_MASK) ||
		    (raw & DAXCOW_ENTRY_BLOCK_MASK) >= nr_blocks) {
			if (!tree_legal(pool, raw, level))
				return -EUCLEAN;
			form = raw & FORM_MASK;
		}
		sum ^= raw;
		index ^= i;
		nr++;
	}
	return entries_check(&pool->crc, block, sum, index, nr & 1) ? 0 : -EUCLEAN;
}

/* Fill the new node at @level with what @from has. The children gain an owner. */
static int node_copy(struct daxcow_pool *pool, struct change *c, int level, u64 from)
{
	unsigned int i, skip = level_index(c->vblk, level);
	u64 block = c->node[level], raw, moved;
	struct node *node = desc_node(space_desc(pool, block));
	struct entry e = child_new(c, level);
	int ret;

	ret = node_read(pool, from, level);
	if (!ret)
		ret = node_inherit(pool, node, from);
	if (ret)
		return ret;
	usage_inherit(c, node, desc_node(space_desc(pool, from)));
	moved = entry_moved(&pool->crc, slot_of(from, 0), slot_of(block, 0));
	raw = e.type == DAXCOW_ENTRY_NONE ? 0 :
	      entry_encode(&pool->crc, slot_of(block, skip), e);
	pool->scratch[skip] = 0;
	/* damage that the sum does not show is seen here */
	i = owner_add_copies(pool, node, from, pool->scratch, moved);
	if (i < DAXCOW_NODE_ENTRIES) {
		node_undo(pool, c, level, i);
		return -EUCLEAN;
	}
	pool->scratch[skip] = cpu_to_le64(raw);
	node->used += !!raw;
	pm_write(pool_addr(pool, block), pool->scratch, DAXCOW_BLOCK_SIZE);
	return 0;
}

/* Fill the new node at @level where there was none. The children gain an owner. */
static int node_build(struct daxcow_pool *pool, struct change *c, int level,
		      struct entry from)
{
	unsigned int i, skip = level_index(c->vblk, level);
	u64 block = c->node[level];
	struct node *node = desc_node(space_desc(pool, block));
	struct entry e;
	int ret;

	usage_begin(c, node, is_chunk(from) ? DAXCOW_CHUNK_BLOCKS : 0);
	memset(pool->scratch, 0, DAXCOW_BLOCK_SIZE);
	for (i = 0; i < DAXCOW_NODE_ENTRIES; i++) {
		u64 slot = slot_of(block, i), raw;

		e = is_chunk(from) ? chunk_part(from, i) :
				     (struct entry) { .type = DAXCOW_ENTRY_NONE };
		if (i == skip) {
			e = child_new(c, level);
		} else if (e.type != DAXCOW_ENTRY_NONE) {
			ret = owner_add(pool, slot, e);
			if (ret)
				goto out_undo;
		}
		raw = e.type == DAXCOW_ENTRY_NONE ? 0 :
		      entry_encode(&pool->crc, slot, e);
		pool->scratch[i] = cpu_to_le64(raw);
		node->used += !!raw;
	}
	pm_write(pool_addr(pool, block), pool->scratch, DAXCOW_BLOCK_SIZE);
	return 0;

out_undo:
	node_undo(pool, c, level, i);
	return ret;
}

static void nodes_undo(struct daxcow_pool *pool, struct change *c)
{
	int level;

	for (level = c->at.level - 1; level >= c->target; level--) {
		if (level >= c->built) {
			pm_read(pool->scratch, pool_addr(pool, c->node[level]),
				DAXCOW_BLOCK_SIZE);
			node_undo(pool, c, level, DAXCOW_NODE_ENTRIES);
		}
		if (c->node[level])
			space_free(pool, c->node[level]);
	}
}

static int nodes_alloc(struct daxcow_pool *pool, struct change *c)
{
	int level, ret;

	c->built = c->at.level;
	for (level = c->at.level - 1; level >= c->target; level--) {
		ret = space_alloc(pool, KIND_NODE + level, &c->node[level]);
		if (ret) {
			c->node[level] = 0;
			nodes_undo(pool, c);
			return ret;
		}
	}
	return 0;
}

static int nodes_build(struct daxcow_pool *pool, struct change *c)
{
	struct entry from = c->at.e, next;
	int level, ret = 0;

	for (level = c->at.level - 1; level >= c->target && !ret; level--) {
		if (is_chunk(from))
			ret = space_split(pool, chunk_of(pool, from.block));
		if (!ret)
			ret = child_load(pool, from, level,
					 level_index(c->vblk, level), &next);
		if (!ret)
			ret = from.type == DAXCOW_ENTRY_NODE ?
			      node_copy(pool, c, level, from.block) :
			      node_build(pool, c, level, from);
		if (!ret)
			c->built = level;
		from = next;
	}
	if (ret)
		nodes_undo(pool, c);
	return ret;
}

/* The entry that maps c->vblk now: at the target's level, or a chunk above. */
int change_find_old(struct daxcow_pool *pool, struct change *c)
{
	struct place p;
	int ret = 0;

	c->old = c->at.e;
	if (c->at.level <= c->target || c->old.type != DAXCOW_ENTRY_NODE)
		return 0;
	p = c->at;
	while (!ret && p.level > c->target && p.e.type == DAXCOW_ENTRY_NODE)
		ret = tree_step(pool, &p, c->vblk);
	c->old = p.e;
	return ret;
}

static void own_new(struct daxcow_pool *pool, struct change *c)
{
	u64 slot = c->at.slot;
	int level;

	/* the first owner takes no memory: these cannot fail */
	for (level = c->at.level - 1; level >= c->target; level--) {
		owner_add(pool, slot, (struct entry) {
			.type = DAXCOW_ENTRY_NODE,
			.level = level,
			.block = c->node[level],
		});
		slot = slot_of(c->node[level], level_index(c->vblk, level));
	}
	if (c->new.type == DAXCOW_ENTRY_DATA)
		owner_add(pool, slot, c->new);
}

static void disown_old(struct daxcow_pool *pool, struct change *c)
{
	struct entry e = c->at.e;

	if (c->t->unseen && !splits_in_place(c))
		reclaim_put_unseen(pool, c->at.slot, e);
	else if (splits_in_place(c))
		reclaim_put_part(pool, c->at.slot, e, level_index(c->vblk, 0),
				 c->t->unseen);
	else
		reclaim_put(pool, c->at.slot, e);
}

/*
 * Publish c->new (its content is written, but not fenced), or an empty entry.
 * Returns 0, or an error with nothing changed; c->new.block is then still the
 * caller's.
 */
int change_apply(struct daxcow_pool *pool, struct change *c)
{
	struct entry e = c->new;
	struct node *node;
	u64 raw;
	int ret;

	delta_of(pool, c);
	if (c->at.level > c->target) {
		ret = nodes_alloc(pool, c);
		if (!ret)
			ret = nodes_build(pool, c);
		if (ret)
			return ret;
		e = (struct entry) {
			.type = DAXCOW_ENTRY_NODE,
			.level = c->at.level - 1,
			.block = c->node[c->at.level - 1],
		};
	}
	raw = e.type == DAXCOW_ENTRY_NONE ? 0 :
	      entry_encode(&pool->crc, c->at.slot, e);
	pm_fence();					/* P1 */
	pm_publish(slot_word(pool, c->at.slot), raw);
	pm_fence();					/* P2 */
	if (c->at.slot != c->t->root_slot) {
		node = desc_node(space_desc(pool, slot_block(c->at.slot)));
		node->used += !!raw - (c->at.e.type != DAXCOW_ENTRY_NONE);
	}
	usage_add(&c->at, &c->delta);
	own_new(pool, c);
	disown_old(pool, c);
	return 0;
}

/*
 * Put nodes above the root until the tree reaches @vblk. Each is published on
 * its own. The old root keeps its owner, under a new address.
 */
static int raise_root(struct daxcow_pool *pool, const struct tree *t, u64 vblk)
{
	struct entry e, up = { .type = DAXCOW_ENTRY_NODE };
	struct node *node, *old;
	int ret, top = level_for(vblk);
	u64 slot;

	for (;;) {
		ret = tree_load(pool, t->root_slot, ROOT_LEVEL, &e);
		if (ret || e.type == DAXCOW_ENTRY_NONE ||
		    vblk < level_span(e.level + 1))
			return ret;
		/* these, and what is to come below: or they would be left when it is refused */
		if (!space_room(pool, top - e.level + top + 1))
			return -ENOSPC;
		up.level = e.level + 1;
		ret = space_alloc(pool, KIND_NODE + up.level, &up.block);
		if (ret)
			return ret;
		slot = slot_of(up.block, 0);
		ret = owner_add(pool, slot, e);
		if (ret) {
			space_free(pool, up.block);
			return ret;
		}
		old = desc_node(space_desc(pool, e.block));
		node = desc_node(space_desc(pool, up.block));
		node->used = 1;
		node->mapped = old->mapped;
		node->huge = old->huge;
		node->known = old->known;
		memset(pool->scratch, 0, DAXCOW_BLOCK_SIZE);
		pool->scratch[0] = cpu_to_le64(entry_encode(&pool->crc, slot, e));
		pm_write(pool_addr(pool, up.block), pool->scratch,
			 DAXCOW_BLOCK_SIZE);
		pm_fence();				/* P1 */
		pm_publish(slot_word(pool, t->root_slot),
			   entry_encode(&pool->crc, t->root_slot, up));
		pm_fence();				/* P2 */
		owner_del(pool, t->root_slot, e);
		owner_add(pool, t->root_slot, up);
	}
}

/*
 * Walk down for a write: to the leaf, or to the first entry that names
 * something that is not only this volume's. What the tree does not reach is
 * unmapped, at ROOT_LEVEL.
 */
int change_find(struct daxcow_pool *pool, const struct tree *t, u64 vblk,
		struct place *p)
{
	u64 last = vblk;
	int ret;

	if (t->vol && leaf_place(t->vol, vblk, p))
		return tree_load(pool, p->slot, 0, &p->e);
	ret = tree_load(pool, t->root_slot, ROOT_LEVEL, &p->e);
	if (ret)
		return ret;
	p->slot = t->root_slot;
	p->shared = false;
	p->top = -1;
	if (p->e.type == DAXCOW_ENTRY_NONE) {
		if (t->size && t->size - 1 > last)
			last = t->size - 1;
		p->level = level_for(last) + 1;
		return 0;
	}
	p->level = p->e.level + 1;
	if (vblk >= level_span(p->level)) {
		p->e = (struct entry) { .type = DAXCOW_ENTRY_NONE };
		p->level = ROOT_LEVEL;
		return 0;
	}
	p->top = p->e.level;
	while (!ret && p->e.type == DAXCOW_ENTRY_NODE) {
		struct node *node = desc_node(space_desc(pool, p->e.block));

		if (!node_own(pool, node))
			break;
		p->way[p->e.level] = node;
		if (unlikely(node->stale))
			ret = reclaim_refresh(pool, node);
		if (!ret)
			ret = tree_step(pool, p, vblk);
	}
	if (!ret && !p->level && t->vol)
		leaf_note(t->vol, vblk, slot_block(p->slot), pool->shape);
	return ret;
}

/* The same, for a block that is going to be mapped. */
int change_find_to_map(struct daxcow_pool *pool, const struct tree *t, u64 vblk,
		       struct place *p)
{
	int ret = change_find(pool, t, vblk, p);

	if (ret || p->level != ROOT_LEVEL)
		return ret;
	ret = raise_root(pool, t, vblk);
	return ret ? ret : change_find(pool, t, vblk, p);
}
