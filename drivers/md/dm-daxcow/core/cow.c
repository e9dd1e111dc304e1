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
 *      that both nodes name gain an owner.
 *   3. Fence (P1). Store the entry, flush, fence (P2). That is the change.
 *   4. The old block or node loses this owner, who is pending for a grace
 *      period (I2).
 *
 * Crash: before the store in 3 nothing of this can be reached and the old
 * tree stands; after it, the new one. Memory: all that can fail (allocation,
 * owners that need an array, a damaged old node, a poisoned old block) comes
 * before the store; then 1 and 2 are taken back.
 *
 * Concurrency: writers hold the pool's lock. A reader without it sees the old
 * block or the new one, with equal content until the writer writes.
 *
 * Downside: the first write after a snapshot copies up to four nodes, and
 * gives 512 children each another owner.
 *
 * A chunk that is mapped by one entry is copied as a whole when the write
 * covers it and space is plentiful. Else its entry is replaced by a node with
 * an entry for each of its blocks, and one block is copied.
 */
#include "internal.h"

/**
 * struct change - one replacement, from the walk to the publish
 * @at:		entry to publish at
 * @vblk:	what is replaced
 * @target:	level of the new entry: 0 a block, 1 a chunk
 * @old:	what is mapped there now, at level @target or above
 * @new:	what will be
 * @node:	new nodes, by level, @target .. @at.level - 1
 * @built:	levels from @at.level - 1 down to this one have been filled
 * @unseen:	the tree is not published: no reader can have come through it
 * @own:	what is mapped now is this volume's own already
 */
struct change {
	struct place at;
	u64 vblk;
	int target;
	struct entry old;
	struct entry new;
	u64 node[DAXCOW_MAX_LEVEL + 1];
	int built;
	bool unseen;
	bool own;
};

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

/* Children gain, or lose again, the new node as an owner. */
static int child_own(struct daxcow_pool *pool, u64 slot, struct entry e)
{
	u32 c = chunk_of(pool, e.block), i;
	int ret;

	if (!is_chunk(e) || !pool->chunks[c].split)
		return desc_owner_add(space_desc(pool, e.block), slot);
	for (i = 0; i < DAXCOW_CHUNK_BLOCKS; i++) {
		ret = desc_owner_add(&pool->chunks[c].split->desc[i], slot);
		if (ret)
			goto out_undo;
	}
	return 0;

out_undo:
	while (i-- > 0)
		desc_owner_del(&pool->chunks[c].split->desc[i], slot);
	return ret;
}

static void child_disown(struct daxcow_pool *pool, u64 slot, struct entry e)
{
	u32 c = chunk_of(pool, e.block), i;

	if (!is_chunk(e) || !pool->chunks[c].split) {
		desc_owner_del(space_desc(pool, e.block), slot);
		return;
	}
	for (i = 0; i < DAXCOW_CHUNK_BLOCKS; i++)
		desc_owner_del(&pool->chunks[c].split->desc[i], slot);
}

/* Take owners of a new node's children back, up to index @end. */
static void node_undo(struct daxcow_pool *pool, const struct change *c,
		      int level, unsigned int end)
{
	unsigned int i, skip = level_index(c->vblk, level);
	struct entry e;

	if (splits_in_place(c))
		return;
	for (i = 0; i < end; i++) {
		u64 slot = slot_of(c->node[level], i);

		e = entry_decode(le64_to_cpu(pool->scratch[i]));
		if (i != skip && e.type != DAXCOW_ENTRY_NONE)
			child_disown(pool, slot, e);
	}
}

/* Fill the new node at @level from @from. The children gain an owner. */
static int node_build(struct daxcow_pool *pool, struct change *c, int level,
		      struct entry from)
{
	unsigned int i, skip = level_index(c->vblk, level);
	u64 node = c->node[level];
	struct entry e;
	int ret;

	memset(pool->scratch, 0, DAXCOW_BLOCK_SIZE);
	for (i = 0; i < DAXCOW_NODE_ENTRIES; i++) {
		u64 slot = slot_of(node, i), raw;

		if (i == skip) {
			e = level == c->target ? c->new : (struct entry) {
				.type = DAXCOW_ENTRY_NODE,
				.level = level - 1,
				.block = c->node[level - 1],
			};
		} else {
			ret = child_load(pool, from, level, i, &e);
			if (!ret && e.type != DAXCOW_ENTRY_NONE &&
			    !splits_in_place(c))
				ret = child_own(pool, slot, e);
			if (ret)
				goto out_undo;
		}
		raw = e.type == DAXCOW_ENTRY_NONE ? 0 :
		      entry_encode(&pool->crc, slot, e);
		pool->scratch[i] = cpu_to_le64(raw);
	}
	pm_write(pool_addr(pool, node), pool->scratch, DAXCOW_BLOCK_SIZE);
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
			ret = node_build(pool, c, level, from);
		if (!ret)
			c->built = level;
		from = next;
	}
	if (ret)
		nodes_undo(pool, c);
	return ret;
}

/* The entry that maps c->vblk now: at the target's level, or a chunk above. */
static int find_old(struct daxcow_pool *pool, struct change *c)
{
	struct place p = c->at;
	int ret = 0;

	while (!ret && p.level > c->target && p.e.type == DAXCOW_ENTRY_NODE)
		ret = tree_step(pool, &p, c->vblk);
	c->old = p.e;
	return ret;
}

static void own_new(struct daxcow_pool *pool, struct change *c)
{
	u64 slot = c->at.slot;
	int level;

	/* the first two owners fit without memory: these cannot fail */
	for (level = c->at.level - 1; level >= c->target; level--) {
		desc_owner_add(space_desc(pool, c->node[level]), slot);
		slot = slot_of(c->node[level], level_index(c->vblk, level));
	}
	if (c->new.type == DAXCOW_ENTRY_DATA)
		desc_owner_add(space_desc(pool, c->new.block), slot);
}

/* What this volume does not use any more: of a chunk, one block. */
static struct entry left_by(const struct change *c)
{
	if (is_chunk(c->old) && c->target == 0)
		return chunk_part(c->old, level_index(c->vblk, 0));
	return c->old;
}

static void disown_old(struct daxcow_pool *pool, struct change *c)
{
	unsigned int i, skip = level_index(c->vblk, 0);
	struct entry e = c->at.e;

	if (splits_in_place(c)) {
		for (i = 0; i < DAXCOW_CHUNK_BLOCKS; i++)
			if (i != skip)
				desc_owner_move(space_desc(pool, e.block + i),
						c->at.slot,
						slot_of(c->node[0], i));
		e = left_by(c);
	}
	if (c->unseen) {
		reclaim_put_now(pool, c->at.slot, e);
	} else if (c->at.level > c->target && e.type == DAXCOW_ENTRY_NODE) {
		reclaim_put_copied(pool, c->at.slot, e);
		reclaim_leave(pool, left_by(c));
	} else {
		reclaim_put(pool, c->at.slot, e);
	}
}

/*
 * Publish c->new (its content is written, but not fenced), or an empty entry.
 * Returns 0, or an error with nothing changed; c->new.block is then still the
 * caller's.
 */
static int change_apply(struct daxcow_pool *pool, struct change *c)
{
	struct entry e = c->new;
	u64 raw;
	int ret;

	ret = reclaim_reserve(pool, c->unseen ? DAXCOW_CHUNK_BLOCKS : 2);
	if (ret)
		return ret;
	if (!reclaim_can_put(pool, c->at.e) || !reclaim_can_put(pool, c->old))
		return -EBUSY;
	ret = nodes_alloc(pool, c);
	if (ret)
		return ret;
	ret = nodes_build(pool, c);
	if (ret)
		return ret;
	if (c->at.level > c->target)
		e = (struct entry) {
			.type = DAXCOW_ENTRY_NODE,
			.level = c->at.level - 1,
			.block = c->node[c->at.level - 1],
		};
	raw = e.type == DAXCOW_ENTRY_NONE ? 0 :
	      entry_encode(&pool->crc, c->at.slot, e);
	pm_fence();					/* P1 */
	pm_publish(slot_word(pool, c->at.slot), raw);
	pm_fence();					/* P2 */
	own_new(pool, c);
	disown_old(pool, c);
	return 0;
}

/**
 * struct write - bytes that a new block gets beside what was there
 * @fill:	writes them
 * @arg:	for @fill
 * @whole:	they are all of it
 */
struct write {
	daxcow_fill_fn fill;
	void *arg;
	bool whole;
};

static int copy_good(struct daxcow_pool *pool, void *dst, u64 block, size_t len)
{
	u64 nr = len >> DAXCOW_BLOCK_SHIFT;

	if (daxcow_bad_find(pool, block, nr) < nr)
		return -EIO;
	return pm_copy(dst, pool_addr(pool, block), len);
}

/* Write the content of a new block or chunk. */
static int content_write(struct daxcow_pool *pool, struct change *c,
			 const struct write *w)
{
	u64 off = c->vblk & (level_span(c->old.level) - 1);
	size_t len = level_span(c->target) << DAXCOW_BLOCK_SHIFT;
	void *dst = pool_addr(pool, c->new.block);
	int ret = 0;

	if (!w || !w->whole) {
		if (c->old.type == DAXCOW_ENTRY_DATA)
			ret = copy_good(pool, dst, c->old.block + off, len);
		else
			pm_zero(dst, len);
	}
	return w && !ret ? w->fill(w->arg, dst) : ret;
}

/* Give @c->vblk a new block or chunk, as c->target says. */
static int change_data(struct daxcow_pool *pool, struct tree *t,
		       struct change *c, const struct write *w)
{
	u64 need = level_span(c->target) + c->at.level - c->target;
	int ret;

	if (!space_room(pool, need))
		return -ENOSPC;
	ret = find_old(pool, c);
	if (ret)
		return ret;
	c->new.type = DAXCOW_ENTRY_DATA;
	c->new.level = c->target;
	if (c->target)
		ret = space_alloc_chunk(pool, &c->new.block);
	else
		ret = space_alloc(pool, KIND_DATA, &c->new.block);
	if (ret)
		return ret;
	ret = content_write(pool, c, w);
	if (!ret)
		ret = change_apply(pool, c);
	if (ret) {
		if (c->target)
			space_free_chunk(pool, c->new.block);
		else
			space_free(pool, c->new.block);
		return ret;
	}
	if (c->old.type == DAXCOW_ENTRY_NONE) {
		t->mapped += level_span(c->target);
		pool->provisions += level_span(c->target);
	} else if (!c->own) {
		pool->copies += level_span(c->target);
	}
	return 0;
}

/*
 * Put nodes above the root until the tree reaches @vblk. Each is published on
 * its own. The old root keeps its owner, under a new address.
 */
static int raise_root(struct daxcow_pool *pool, struct tree *t, u64 vblk)
{
	struct entry e, up = { .type = DAXCOW_ENTRY_NODE };
	u64 slot;
	int ret;

	for (;;) {
		ret = tree_load(pool, t->root_slot, ROOT_LEVEL, &e);
		if (ret || e.type == DAXCOW_ENTRY_NONE ||
		    vblk < level_span(e.level + 1))
			return ret;
		up.level = e.level + 1;
		ret = space_alloc(pool, KIND_NODE + up.level, &up.block);
		if (ret)
			return ret;
		slot = slot_of(up.block, 0);
		memset(pool->scratch, 0, DAXCOW_BLOCK_SIZE);
		pool->scratch[0] = cpu_to_le64(entry_encode(&pool->crc, slot, e));
		pm_write(pool_addr(pool, up.block), pool->scratch,
			 DAXCOW_BLOCK_SIZE);
		pm_fence();				/* P1 */
		pm_publish(slot_word(pool, t->root_slot),
			   entry_encode(&pool->crc, t->root_slot, up));
		pm_fence();				/* P2 */
		desc_owner_add(space_desc(pool, up.block), t->root_slot);
		desc_owner_move(space_desc(pool, e.block), t->root_slot, slot);
	}
}

/*
 * Walk down for a write: to the leaf, or to the first entry that names
 * something that is not only this volume's. What the tree does not reach is
 * unmapped, at ROOT_LEVEL.
 */
static int find_for_write(struct daxcow_pool *pool, struct tree *t, u64 vblk,
			  struct place *p)
{
	u64 last = vblk;
	int ret;

	ret = tree_load(pool, t->root_slot, ROOT_LEVEL, &p->e);
	if (ret)
		return ret;
	p->slot = t->root_slot;
	p->shared = false;
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
	while (!ret && p->e.type == DAXCOW_ENTRY_NODE &&
	       desc_exclusive(space_desc(pool, p->e.block)))
		ret = tree_step(pool, p, vblk);
	return ret;
}

/* The same, for a block that is going to be mapped. */
static int find_to_map(struct daxcow_pool *pool, struct tree *t, u64 vblk,
		       struct place *p)
{
	int ret = find_for_write(pool, t, vblk, p);

	if (ret || p->level != ROOT_LEVEL)
		return ret;
	ret = raise_root(pool, t, vblk);
	return ret ? ret : find_for_write(pool, t, vblk, p);
}

/* From @p on, how many blocks are this volume's own, good, and contiguous. */
static u64 own_run(struct daxcow_pool *pool, const struct place *p, u64 vblk,
		   u64 nr, u64 *block)
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
	if (p->level == 1 && !pool->chunks[chunk_of(pool, *block)].split)
		return desc_exclusive(space_desc(pool, *block)) ?
		       daxcow_bad_find(pool, *block, nr) : 0;
	for (n = 0; n < nr; n++) {
		if (p->level == 0 && n) {
			if (tree_load(pool, p->slot + n, 0, &e) ||
			    e.type != DAXCOW_ENTRY_DATA ||
			    e.block != *block + n)
				break;
		}
		if (!desc_exclusive(space_desc(pool, *block + n)))
			break;
	}
	return daxcow_bad_find(pool, *block, n);
}

/*
 * Blocks of a chunk that have one owner stay where they are: it may be this
 * volume, and DMA may be under way to them (those that were pinned when a
 * snapshot was taken are not shared).
 */
static bool chunk_partly_own(struct daxcow_pool *pool, u64 block)
{
	struct split *s = pool->chunks[chunk_of(pool, block)].split;
	u32 i;

	for (i = 0; s && i < DAXCOW_CHUNK_BLOCKS; i++)
		if (desc_owners(&s->desc[i]) == 1)
			return true;
	return false;
}

/* Whether a write of the chunk at @c->vblk should replace all of it. */
static bool want_chunk(struct daxcow_pool *pool, const struct change *c)
{
	u64 keep;

	if (c->at.level < 1 || c->vblk % DAXCOW_CHUNK_BLOCKS ||
	    pool->free_chunks == NO_CHUNK)
		return false;
	if (c->old.type == DAXCOW_ENTRY_NODE)
		return false;
	if (c->old.type == DAXCOW_ENTRY_DATA &&
	    (chunk_partly_own(pool, c->old.block) ||
	     daxcow_bad_find(pool, c->old.block, DAXCOW_CHUNK_BLOCKS) <
	     DAXCOW_CHUNK_BLOCKS))
		return false;
	if (c->old.type == DAXCOW_ENTRY_DATA && pool->cow != DAXCOW_COW_AUTO)
		return pool->cow == DAXCOW_COW_2M;
	/* a copy of a chunk for one store is a luxury of pools with space */
	keep = pool->nr_chunks / (c->old.type == DAXCOW_ENTRY_DATA ? 8 : 16);
	return pool->nr_chunks_free > keep &&
	       space_room(pool, DAXCOW_CHUNK_BLOCKS + DAXCOW_MAX_LEVEL + 1);
}

static int choose_target(struct daxcow_pool *pool, struct change *c, u64 nr)
{
	int ret;

	c->target = 0;
	if (nr < DAXCOW_CHUNK_BLOCKS || c->at.level < 1)
		return 0;
	c->target = 1;
	ret = find_old(pool, c);
	if (ret)
		return ret;
	if (!want_chunk(pool, c))
		c->target = 0;
	return 0;
}

static long provision(struct daxcow_pool *pool, struct tree *t, u64 vblk,
		      u64 nr, u64 *block)
{
	struct change c = { .vblk = vblk, .unseen = t->unseen };
	u64 n;
	int ret;

	ret = find_to_map(pool, t, vblk, &c.at);
	if (ret)
		return ret;
	n = own_run(pool, &c.at, vblk, nr, block);
	if (n) {
		space_touch(pool, *block, n);
		return n;
	}
	ret = choose_target(pool, &c, nr);
	if (!ret)
		ret = change_data(pool, t, &c, NULL);
	if (ret)
		return ret;
	*block = c.new.block;
	return level_span(c.target);
}

static struct tree volume_tree(const struct daxcow_volume *vol)
{
	return (struct tree) {
		.root_slot = vol->root_slot,
		.size = vol->size,
		.mapped = vol->mapped,
	};
}

static bool range_ok(u64 vblk, u64 nr)
{
	return nr && nr <= DAXCOW_MAX_VOLUME_BLOCKS &&
	       vblk <= DAXCOW_MAX_VOLUME_BLOCKS - nr;
}

long daxcow_provision(struct daxcow_volume *vol, u64 vblk, u64 nr, u64 *block)
{
	struct daxcow_pool *pool = vol->pool;
	struct tree t;
	long ret;

	if (!range_ok(vblk, nr))
		return -EINVAL;
	if (pool->read_only)
		return -EROFS;
	mutex_lock(&pool->lock);
	t = volume_tree(vol);
	ret = provision(pool, &t, vblk, nr, block);
	vol->mapped = t.mapped;
	mutex_unlock(&pool->lock);
	return ret;
}

/*
 * Give an unpublished snapshot its own copy of @vblk, if it is mapped. The
 * origin is the only owner of the block when this returns: the snapshot's
 * owners need not wait for readers, since it never had any.
 */
int cow_copy(struct daxcow_pool *pool, struct tree *t, u64 vblk)
{
	struct place p;
	u64 block;
	long ret;

	ret = tree_find(pool, t->root_slot, vblk, 0, &p);
	if (ret || p.e.type == DAXCOW_ENTRY_NONE)
		return ret;
	ret = provision(pool, t, vblk, 1, &block);
	return ret < 0 ? ret : 0;
}

/*
 * All of the block or nothing, should the power fail: the bytes go to a new
 * block, also when nobody else owns the old one. They are written in place
 * only without a free block, or under DMA.
 *
 * Of a chunk, too, which is split for it. To keep it whole means to write in place,
 * and 4 KiB are not one store; or to copy 2 MiB for each 4 KiB. What file systems do
 * on DAX hardly meets that: chunks come from direct access to large files, and bios
 * bring metadata, which is elsewhere.
 */
int daxcow_overwrite(struct daxcow_volume *vol, u64 vblk, bool whole,
		     daxcow_fill_fn fill, void *arg)
{
	struct daxcow_pool *pool = vol->pool;
	struct write w = { .fill = fill, .arg = arg, .whole = whole };
	struct change c = { .vblk = vblk };
	struct tree t;
	u64 block;
	long ret;

	if (!range_ok(vblk, 1))
		return -EINVAL;
	if (pool->read_only)
		return -EROFS;
	mutex_lock(&pool->lock);
	t = volume_tree(vol);
	ret = find_to_map(pool, &t, vblk, &c.at);
	if (ret)
		goto out_unlock;
	c.own = own_run(pool, &c.at, vblk, 1, &block);
	if (c.own && reclaim_busy(pool, block, 1))
		ret = -ENOSPC;
	else
		ret = change_data(pool, &t, &c, &w);
	if (c.own && (ret == -ENOSPC || ret == -ENOMEM)) {
		space_touch(pool, block, 1);
		ret = fill(arg, pool_addr(pool, block));
	}
out_unlock:
	vol->mapped = t.mapped;
	mutex_unlock(&pool->lock);
	return ret;
}

/* Empty the entry for @vblk at level @target, or find that it is. */
static int remove_at(struct daxcow_pool *pool, struct tree *t, u64 vblk,
		     int target, u64 *skip)
{
	struct change c = {
		.vblk = vblk,
		.target = target,
		.unseen = t->unseen,
	};
	u64 gone;
	int ret;

	ret = find_for_write(pool, t, vblk, &c.at);
	if (ret && (ret != -EIO || !target))
		return ret;
	/*
	 * The walk may have gone below the target, into a node of its own, or
	 * have come to one that is bad.
	 */
	if (ret || c.at.level < target) {
		ret = tree_find(pool, t->root_slot, vblk, target, &c.at);
		if (ret)
			return ret;
	}
	ret = find_old(pool, &c);
	if (!ret)
		ret = tree_mapped(pool, c.old, &gone);
	if (ret)
		return ret;
	*skip = level_span(target);
	if (c.old.type == DAXCOW_ENTRY_NONE)
		return 0;
	ret = change_apply(pool, &c);
	if (!ret)
		t->mapped -= c.old.level > target ? level_span(target) : gone;
	return ret;
}

/* The largest piece from @vblk on that one entry can stand for. */
static int piece_level(const struct place *root, u64 vblk, u64 nr)
{
	int level = 0;

	while (level + 1 <= root->e.level &&
	       !(vblk & (level_span(level + 1) - 1)) &&
	       nr >= level_span(level + 1))
		level++;
	return level;
}

int cow_discard(struct daxcow_pool *pool, struct tree *t, u64 vblk, u64 nr)
{
	struct place root, p;
	u64 n, end = vblk + nr;
	int ret;

	while (vblk < end) {
		ret = tree_find(pool, t->root_slot, vblk, ROOT_LEVEL, &root);
		if (ret)
			return ret;
		if (root.e.type == DAXCOW_ENTRY_NONE)
			return 0;
		ret = tree_find(pool, t->root_slot, vblk, 0, &p);
		/* a table that is bad can only be left with all that it covers */
		if (ret && ret != -EIO)
			return ret;
		n = level_span(p.level) - (vblk & (level_span(p.level) - 1));
		if (ret || p.e.type != DAXCOW_ENTRY_NONE) {
			int level = piece_level(&root, vblk, end - vblk);

			ret = remove_at(pool, t, vblk, level, &n);
			if (ret)
				return ret;
		}
		vblk += n;
	}
	return 0;
}

int daxcow_discard(struct daxcow_volume *vol, u64 vblk, u64 nr)
{
	struct daxcow_pool *pool = vol->pool;
	int ret = 0;

	if (!range_ok(vblk, nr))
		return -EINVAL;
	if (pool->read_only)
		return -EROFS;
	/* in steps, so that others get the lock in between */
	while (nr && !ret) {
		u64 n = min(nr, DAXCOW_CHUNK_BLOCKS * 64ULL -
				vblk % (DAXCOW_CHUNK_BLOCKS * 64ULL));
		struct tree t;

		if (!(vblk & (level_span(2) - 1)) && nr >= level_span(2))
			n = level_span(2);
		mutex_lock(&pool->lock);
		t = volume_tree(vol);
		ret = cow_discard(pool, &t, vblk, n);
		vol->mapped = t.mapped;
		mutex_unlock(&pool->lock);
		vblk += n;
		nr -= n;
		cond_resched();
	}
	return ret;
}

int daxcow_zero(struct daxcow_volume *vol, u64 vblk)
{
	struct daxcow_pool *pool = vol->pool;
	struct place p;
	struct tree t;
	u64 block;
	int ret;

	if (!range_ok(vblk, 1))
		return -EINVAL;
	if (pool->read_only)
		return -EROFS;
	mutex_lock(&pool->lock);
	t = volume_tree(vol);
	ret = find_for_write(pool, &t, vblk, &p);
	if (!ret && p.e.type != DAXCOW_ENTRY_NONE) {
		if (own_run(pool, &p, vblk, 1, &block)) {
			space_touch(pool, block, 1);
			pm_zero(pool_addr(pool, block), DAXCOW_BLOCK_SIZE);
			pm_fence();
		} else {
			ret = cow_discard(pool, &t, vblk, 1);
		}
	}
	vol->mapped = t.mapped;
	mutex_unlock(&pool->lock);
	return ret;
}

void daxcow_set_cow(struct daxcow_pool *pool, enum daxcow_cow cow)
{
	pool->cow = cow;
}

void *daxcow_block_addr(struct daxcow_pool *pool, u64 block)
{
	return pool_addr(pool, block);
}

void daxcow_fence(struct daxcow_pool *pool)
{
	pm_fence();
}
