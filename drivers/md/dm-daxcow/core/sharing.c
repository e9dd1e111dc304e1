// SPDX-License-Identifier: GPL-2.0
/*
 * Is a block one volume's alone? Its own owners tell, and those of each table on the way
 * up.
 *
 * Write access is asked for again and again: by each write(2), by each fault. Mostly it
 * has been given before, and nothing has to be changed. So that those who ask do not wait
 * for one another, own_granted() looks without the pool's lock, in a read section: whether
 * each node on the way is the volume's own and not stale, and the block too, and claimed,
 * and of the current generation. That is what own_run() would find, and leave as it is.
 *
 * It is right if it was so at one instant. Those who change any of it hold the lock, and
 * pool->seq is odd then, and another number after that: when it was even before the first
 * look and is the same after the last, nobody had the lock meanwhile, and the answer is
 * the same as with it. Else the lock is taken. So it cannot come between the steps of
 * others:
 *
 * - a snapshot, a merge, a path copy, memory that fails, a delete, a resize: each is one
 *   turn, or several of which each leaves what an asker with the lock may see;
 *
 * - what they do after their turn, because of what was given before: a merge raises the
 *   generation and waits for a grace period. Who has seen the former generation is in a
 *   read section that this waits for;
 *
 * - what they do in their turn, because of what was noted before: the caller has noted
 *   that he asks, and a snapshot asks daxcow_volume_desc.ready() whether anybody has.
 *   Either it sees the note, or pool->seq is seen to be odd, as there is a full barrier
 *   between the two on both sides.
 *
 * The way to the last table is not walked again while it is known that nothing has changed
 * there: see leaf.c.
 *
 * What is looked at meanwhile may be changing, and what is found makes no sense then, but
 * it is there: who comes to a table or a block through entries is in a read section, and
 * its descriptors stay until it is freed, after that; pool->chunks does, too. A table that
 * is new was complete before an entry named it, and so were a chunk's descriptors before
 * chunk->split.
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
		pool_unlock(pool);
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
	pool_unlock(pool);
	return ret;
}

/* ---- without the lock ---- */

/* It may be changing. */
static __no_kcsan struct desc desc_glance(const struct desc *d)
{
	return (struct desc) {
		.a = READ_ONCE(d->a),
		.count = READ_ONCE(d->count),
		.gen = READ_ONCE(d->gen),
	};
}

/* Bounds are those of an array that has all of the blocks. */
static __no_kcsan struct chunk *chunk_glance(struct daxcow_pool *pool, u64 block)
{
	if (block >= smp_load_acquire(&pool->nr_blocks))
		return NULL;
	return &READ_ONCE(pool->chunks)[chunk_of(pool, block)];
}

/*
 * As node_own(), and nothing below it has to be opened. One that is not stale was found to
 * be its volume's own after the last one had left.
 */
static __no_kcsan bool node_granted(struct daxcow_pool *pool, u64 block)
{
	const struct chunk *chunk = chunk_glance(pool, block);
	struct split *s = chunk ? smp_load_acquire(&chunk->split) : NULL;
	const struct desc *at;
	const struct node *node;
	struct desc d;

	if (!s)
		return false;
	at = &s->desc[chunk_index(pool, block)];
	d.a = READ_ONCE(at->a);
	if (!desc_is_node(&d))
		return false;
	node = READ_ONCE(at->node);
	return READ_ONCE(node->count) == 1 && !READ_ONCE(node->stale);
}

/* As block_own() and reclaim_claimed(), and of the current generation. */
static __no_kcsan bool block_granted(struct daxcow_pool *pool, const struct desc *chunk,
				     const struct desc *d)
{
	u32 nr = chunk->count + (d == chunk ? 0 : d->count);

	return nr == 1 && desc_state(d) == STATE_CLAIMED && d->gen == READ_ONCE(pool->gen) &&
	       (!chunk->count || desc_state(chunk) == STATE_CLAIMED) &&
	       !state_left(READ_ONCE(pool->epoch), READ_ONCE(pool->ended),
			   desc_state(chunk));
}

/* From @p on, as own_run(). */
static __no_kcsan u64 granted_run(struct daxcow_pool *pool, const struct place *p, u64 vblk,
				  u64 nr, u64 *block)
{
	u64 off = vblk & (level_span(p->level) - 1), n;
	unsigned int i;
	struct desc chunk, d;
	struct chunk *c;
	struct split *s;
	struct entry e;

	*block = p->e.block + off;
	c = chunk_glance(pool, *block);
	if (!c)
		return 0;
	i = chunk_index(pool, *block);
	nr = min(nr, (u64)DAXCOW_CHUNK_BLOCKS - i);
	if (!p->level)
		nr = min(nr, (u64)DAXCOW_NODE_ENTRIES - slot_index(p->slot));
	s = smp_load_acquire(&c->split);
	chunk = desc_glance(&c->desc);
	if (!s)
		return block_granted(pool, &chunk, &chunk) ? nr : 0;
	for (n = 0; n < nr; n++) {
		if (!p->level && n &&
		    (tree_load(pool, p->slot + n, 0, &e) ||
		     e.type != DAXCOW_ENTRY_DATA || e.block != *block + n))
			break;
		d = desc_glance(&s->desc[i + n]);
		if (!block_granted(pool, &chunk, &d))
			break;
	}
	return n;
}

/* Down to the entry for @vblk, through nodes that are the volume's own. */
static __no_kcsan bool granted_walk(struct daxcow_volume *vol, u64 vblk, struct place *p)
{
	struct daxcow_pool *pool = vol->pool;
	int ret;

	p->slot = READ_ONCE(vol->root_slot);
	ret = tree_load(pool, p->slot, ROOT_LEVEL, &p->e);
	if (ret || p->e.type != DAXCOW_ENTRY_NODE || vblk >= level_span(p->e.level + 1))
		return false;
	while (!ret && p->e.type == DAXCOW_ENTRY_NODE) {
		if (!node_granted(pool, p->e.block))
			return false;
		ret = tree_step(pool, p, vblk);
	}
	return !ret;
}

/* *@leaf: in, the leaf, or 0; out, which it was, or 0 */
static __no_kcsan u64 granted(struct daxcow_volume *vol, u64 vblk, u64 nr, u64 *block,
			      u64 *leaf)
{
	struct daxcow_pool *pool = vol->pool;
	struct place p;

	if (*leaf) {
		p.level = 0;
		p.slot = slot_of(*leaf, level_index(vblk, 0));
		if (tree_load(pool, p.slot, 0, &p.e))
			return 0;
	} else if (!granted_walk(vol, vblk, &p)) {
		return 0;
	}
	if (p.e.type != DAXCOW_ENTRY_DATA)
		return 0;
	*leaf = p.level ? 0 : slot_block(p.slot);
	nr = granted_run(pool, &p, vblk, nr, block);
	return daxcow_bad_find(pool, *block, nr);
}

/*
 * To look takes as long as to walk with the lock. Who breaks sharing, or writes what is new,
 * mostly does so again: then it is left for some times, or until own_run() finds something.
 */
#define IN_VAIN	16

static __no_kcsan bool looked_in_vain(struct daxcow_volume *vol)
{
	u32 left = READ_ONCE(vol->in_vain);

	if (!left)
		return false;
	WRITE_ONCE(vol->in_vain, left - 1);
	return true;
}

/**
 * own_granted() - see whether write access has been given already
 * @vol:	whose blocks
 * @vblk:	first of them
 * @nr:		most of them
 * @block:	where the first is
 *
 * Context: read section; takes no lock. A full memory barrier, unless it returns 0.
 * Return: how many blocks are contiguous, this volume's own, good, claimed, and of the
 * current generation, as own_run() would find and space_touch() leave them; 0 when that
 * has to be asked with the lock.
 */
__no_kcsan u64 own_granted(struct daxcow_volume *vol, u64 vblk, u64 nr, u64 *block)
{
	struct daxcow_pool *pool = vol->pool;
	u64 shape, known, leaf;
	unsigned int seq;

	if (looked_in_vain(vol))
		return 0;
	/* what the caller has noted before: see daxcow_volume_desc.ready() */
	smp_mb();
	seq = raw_read_seqcount(&pool->seq);
	if (seq & 1 || READ_ONCE(pool->read_only))
		return 0;
	shape = READ_ONCE(pool->shape);
	known = leaf_known(vol, vblk, shape);
	leaf = known;
	nr = granted(vol, vblk, nr, block, &leaf);
	if (!nr)
		WRITE_ONCE(vol->in_vain, IN_VAIN);
	if (read_seqcount_retry(&pool->seq, seq))
		return 0;
	if (nr && leaf != known)
		leaf_note(vol, vblk, leaf, shape);
	return nr;
}
