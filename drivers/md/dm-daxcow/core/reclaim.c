// SPDX-License-Identifier: GPL-2.0
/*
 * Owners that leave a block.
 *
 * When a volume stops using a block (it wrote, discarded, was deleted), the
 * entry is gone from the tables and from the reverse map at once. But a reader
 * that looked the entry up before may still hold the address: a read(2) that
 * copies, a page fault that is about to insert the page, DMA. If the block were
 * freed then, its next user's bytes would show up there. And if one other owner is
 * left and now wrote in place, *its* new bytes would show up there, in another
 * volume's file; counting owners alone misses that (I2). Two things are waited for:
 *
 * 1. Readers, by a grace period. These are global and come one after the other, so
 *    it is enough to know of a block in which *epoch* the last one left: as long as
 *    that has not ended the block is neither free nor anybody's own. There is nothing
 *    to count, and however many leave, the next one can.
 *
 * 2. What holds the page beyond that (host->busy): a DMA pin, a page in a pipe. While
 *    a block is shared nobody is given write access to it, so who has it pinned may
 *    only read it. When it is its last owner's own again, a write would show there.
 *    So a block that has been shared is open: before it is written in place for
 *    the first time somebody looks whether it is held. If it is, it is copied, as
 *    for a block with two owners. If not it is claimed: who holds it from now on does
 *    so for its owner, and who writes by DMA has asked for write access before. Then
 *    it stays where it is.
 *
 * That a block has been shared is seen by the state of its descriptor when an entry
 * that names it has gone. Above it, a node that loses all owners but one is marked
 * stale: all that is below it was shared. The mark sinks, when the next walk for a
 * write comes through the node, to its children: one level, 512 of them. So a delete
 * does not have to look for what is held, and who writes looks at what he writes.
 *
 * What has lost its last owner waits in a list, in the order in which it came:
 * "incoming" until daxcow_reclaim_prepare() closes the epoch, "ready" after that. When
 * the host has waited for a grace period, daxcow_reclaim_run() frees it, unless
 * something still holds it, or a file system remembers it (host->mapped): one that
 * lost its device while mounted. Then it waits for another one. The lists go through
 * the descriptors, so that there is always room.
 *
 * A node among them is taken apart, so that deleting a volume is one store, and the
 * rest happens in bounded steps. Its children need no second grace period: who
 * reached them through the node did so before it was left, and the volume that the
 * node belonged to either is deleted, or still owns the child through a copy of it.
 *
 * A crash forgets all this, which is right: nothing that waits can be reached from
 * the superblock. So does an unload, after which something outside may still hold a
 * block: after a load all blocks are open, and load is told of those that are held
 * (reclaim_hold()), as some may look free.
 */
#include "internal.h"

/*
 * Children, blocks of chunks, and descriptors that are looked at under the lock at once. With
 * 10,000 snapshots each is elsewhere in memory, and takes 200 ns.
 */
#define STEP_WORK	2048

/* In how many batches all descriptors are visited, well before an epoch comes back. */
#define FORGET_BATCHES	2048

#define WAIT_CHUNK	(1ULL << 63)

/* Somebody who came through an entry that named it, or its chunk, may still look. */
static bool block_left(struct daxcow_pool *pool, u64 block)
{
	const struct chunk *chunk = &pool->chunks[chunk_of(pool, block)];

	return state_left(pool->epoch, pool->ended, desc_state(&chunk->desc)) ||
	       state_left(pool->epoch, pool->ended,
			  desc_state(space_desc(pool, block)));
}

/* As node_own(), for a block of data. It may still be held. */
bool block_own(struct daxcow_pool *pool, u64 block)
{
	return block_owners(pool, block) == 1 && !block_left(pool, block);
}

/* Whether something outside holds one of these blocks: DMA. */
bool reclaim_busy(struct daxcow_pool *pool, u64 block, u64 nr)
{
	return pool->host.busy && pool->host.busy(pool->host.ctx, block, nr);
}

/* The same for blocks without an owner: nobody may see them at all. */
static bool still_seen(struct daxcow_pool *pool, u64 block, u64 nr)
{
	return reclaim_busy(pool, block, nr) ||
	       (pool->host.mapped &&
		pool->host.mapped(pool->host.ctx, block, nr));
}

/* ---- claims ---- */

static void desc_open(struct desc *d)
{
	if (desc_state(d) == STATE_CLAIMED)
		desc_set_state(d, STATE_OPEN);
}

/* Blocks that others name by themselves keep their claims. */
static void chunk_open(struct chunk *chunk, bool all)
{
	u32 i;

	desc_open(&chunk->desc);
	for (i = 0; chunk->split && i < DAXCOW_CHUNK_BLOCKS; i++)
		if (all || !desc_count(&chunk->split->desc[i]))
			desc_open(&chunk->split->desc[i]);
}

/*
 * Write access is going to be given to blocks that are one volume's own, all in one
 * chunk. Returns to how many of them it may be.
 */
u64 reclaim_claim(struct daxcow_pool *pool, u64 block, u64 nr)
{
	u32 c = chunk_of(pool, block), first = chunk_index(pool, block), i;
	struct chunk *chunk = &pool->chunks[c];

	if (!chunk->split) {
		if (desc_state(&chunk->desc) == STATE_CLAIMED)
			return nr;
		if (!reclaim_busy(pool, block - first, DAXCOW_CHUNK_BLOCKS)) {
			desc_set_state(&chunk->desc, STATE_CLAIMED);
			return nr;
		}
		if (space_split(pool, c))
			return 0;
	}
	/* who names the chunk: his claims are valid when that of the chunk is */
	if (desc_count(&chunk->desc) &&
	    desc_state(&chunk->desc) != STATE_CLAIMED) {
		chunk_open(chunk, false);
		desc_set_state(&chunk->desc, STATE_CLAIMED);
	}
	for (i = 0; i < nr; i++) {
		struct desc *d = &chunk->split->desc[first + i];

		if (desc_state(d) == STATE_CLAIMED)
			continue;
		if (reclaim_busy(pool, block + i, 1))
			break;
		desc_set_state(d, STATE_CLAIMED);
	}
	return i;
}

bool reclaim_claimed(struct daxcow_pool *pool, u64 block)
{
	const struct chunk *chunk = &pool->chunks[chunk_of(pool, block)];

	return desc_state(space_desc(pool, block)) == STATE_CLAIMED &&
	       (!desc_count(&chunk->desc) ||
		desc_state(&chunk->desc) == STATE_CLAIMED);
}

/* A node is one volume's own, and was not: nothing below it is claimed. */
int reclaim_refresh(struct daxcow_pool *pool, struct node *node)
{
	int level = desc_kind(space_desc(pool, node->block)) - KIND_NODE, ret;
	struct node *child;
	struct entry e;
	unsigned int i;

	for (i = 0; node->stale && i < DAXCOW_NODE_ENTRIES; i++) {
		ret = tree_load(pool, slot_of(node->block, i), level, &e);
		if (ret == -EIO)
			return ret;
		/* who comes to an entry that is damaged is told so */
		if (ret || e.type == DAXCOW_ENTRY_NONE)
			continue;
		child = desc_node(space_desc(pool, e.block));
		if (child)
			child->stale = true;
		else
			desc_open(entry_desc(pool, e));
	}
	node->stale = false;
	return 0;
}

/* ---- what waits ---- */

static struct entry wait_entry(const struct daxcow_pool *pool, u64 item)
{
	return item & WAIT_CHUNK ? entry_chunk(item & ~WAIT_CHUNK) : entry_data(item);
}

static u64 wait_item(struct entry e)
{
	return e.block | (is_chunk(e) ? WAIT_CHUNK : 0);
}

/* Nobody names it, so there is room in its descriptor. */
static void wait_set_next(struct daxcow_pool *pool, u64 item, u64 next)
{
	struct desc *d = entry_desc(pool, wait_entry(pool, item));

	d->a &= ((1ULL << DESC_REF_SHIFT) - 1) & ~DESC_EXACT;
	d->a |= (next & ~WAIT_CHUNK) << DESC_REF_SHIFT;
	if (next & WAIT_CHUNK)
		d->a |= DESC_EXACT;
}

static u64 wait_next(struct daxcow_pool *pool, u64 item)
{
	const struct desc *d = entry_desc(pool, wait_entry(pool, item));

	return desc_ref(d) | (d->a & DESC_EXACT ? WAIT_CHUNK : 0);
}

static void wait_add(struct daxcow_pool *pool, struct wait *w, u64 item)
{
	wait_set_next(pool, item, 0);
	if (w->nr++)
		wait_set_next(pool, w->last, item);
	else
		w->first = item;
	w->last = item;
}

static void wait_add_first(struct daxcow_pool *pool, struct wait *w, u64 item)
{
	wait_set_next(pool, item, w->nr ? w->first : 0);
	if (!w->nr++)
		w->last = item;
	w->first = item;
}

static u64 wait_take(struct daxcow_pool *pool, struct wait *w)
{
	u64 item = w->first;

	w->first = wait_next(pool, item);
	w->nr--;
	return item;
}

static void wait_append(struct daxcow_pool *pool, struct wait *to, struct wait *from)
{
	if (!from->nr)
		return;
	if (to->nr)
		wait_set_next(pool, to->last, from->first);
	else
		to->first = from->first;
	to->last = from->last;
	to->nr += from->nr;
	*from = (struct wait) { .nr = 0 };
}

static void wake(struct daxcow_pool *pool)
{
	if (!pool->left && !pool->incoming.nr && pool->host.wake)
		pool->host.wake(pool->host.ctx);
}

/*
 * Somebody may be looking at something that is no block. When the epoch that this
 * returns has ended nobody is.
 */
u64 reclaim_left(struct daxcow_pool *pool)
{
	wake(pool);
	pool->left = true;
	return pool->epoch;
}

/* Nobody owns it, and somebody may see it. */
void reclaim_gone(struct daxcow_pool *pool, struct entry e)
{
	bool parts = is_chunk(e) && pool->chunks[chunk_of(pool, e.block)].split;
	struct desc *d = entry_desc(pool, e);

	if (desc_kind(d) == KIND_DATA && !parts)
		desc_set_kind(d, KIND_GONE);
	wake(pool);
	wait_add(pool, &pool->incoming, wait_item(e));
}

/* ---- to leave ---- */

static void leave_now(struct daxcow_pool *pool, struct desc *d)
{
	struct node *node = desc_node(d);

	if (node)
		node->left = pool->epoch;
	else
		desc_set_state(d, state_of_epoch(pool->epoch));
	wake(pool);
	pool->left = true;
}

/* Whether one of the blocks of a split chunk is nobody's, now that the chunk is. */
static bool part_unowned(const struct chunk *chunk)
{
	u32 i;

	for (i = 0; i < DAXCOW_CHUNK_BLOCKS; i++)
		if (!desc_count(&chunk->split->desc[i]))
			return true;
	return false;
}

static void leave_chunk(struct daxcow_pool *pool, struct entry e)
{
	struct chunk *chunk = &pool->chunks[chunk_of(pool, e.block)];

	chunk_open(chunk, true);
	leave_now(pool, &chunk->desc);
	if (!desc_count(&chunk->desc) && (!chunk->split || part_unowned(chunk)))
		reclaim_gone(pool, e);
}

/* One owner less, or all: what @e names is not what somebody has seen there. */
void reclaim_leave(struct daxcow_pool *pool, struct entry e)
{
	struct node *node = desc_node(space_desc(pool, e.block));

	if (is_chunk(e)) {
		leave_chunk(pool, e);
		return;
	}
	leave_now(pool, space_desc(pool, e.block));
	if (node && node->count == 1)
		node->stale = true;
	if (node ? !node->count : !block_owners(pool, e.block))
		reclaim_gone(pool, e);
}

/* @slot, which named @e, does so no more. */
void reclaim_put(struct daxcow_pool *pool, u64 slot, struct entry e)
{
	if (e.type != DAXCOW_ENTRY_NONE && owner_del(pool, slot, e))
		reclaim_leave(pool, e);
}

/* Who named a split chunk names a node that names its blocks: their claims are theirs. */
void reclaim_parts(struct daxcow_pool *pool, struct entry chunk)
{
	struct chunk *c = &pool->chunks[chunk_of(pool, chunk.block)];

	if (desc_state(&c->desc) != STATE_CLAIMED)
		chunk_open(c, true);
}

/*
 * @slot named a chunk, and names a node that names all of its blocks but @i: that
 * one has been left, or, with @unseen, was never used. The chunk is split.
 */
void reclaim_put_part(struct daxcow_pool *pool, u64 slot, struct entry chunk,
		      unsigned int i, bool unseen)
{
	struct entry e = entry_data(chunk.block + i);

	owner_del(pool, slot, chunk);
	if (!unseen) {
		reclaim_parts(pool, chunk);
		leave_now(pool, space_desc(pool, e.block));
	}
	if (!block_owners(pool, e.block))
		reclaim_gone(pool, e);
}

/* ---- to be freed ---- */

static void block_free(struct daxcow_pool *pool, u64 block)
{
	if (block_left(pool, block) || still_seen(pool, block, 1))
		reclaim_gone(pool, entry_data(block));
	else
		space_free(pool, block);
}

/* Of a chunk that nobody names as a whole, what nobody names otherwise. */
static void parts_free(struct daxcow_pool *pool, struct entry e)
{
	struct chunk *chunk = &pool->chunks[chunk_of(pool, e.block)];
	u32 i;

	/* the split goes away with the last block that is freed */
	for (i = 0; i < DAXCOW_CHUNK_BLOCKS && chunk->split; i++) {
		const struct desc *d = &chunk->split->desc[i];

		if (desc_kind(d) == KIND_DATA && !desc_count(d))
			block_free(pool, e.block + i);
	}
}

static void chunk_free(struct daxcow_pool *pool, struct entry e)
{
	struct chunk *chunk = &pool->chunks[chunk_of(pool, e.block)];

	if (chunk->split)
		parts_free(pool, e);
	else if (state_left(pool->epoch, pool->ended, desc_state(&chunk->desc)) ||
		 still_seen(pool, e.block, DAXCOW_CHUNK_BLOCKS))
		reclaim_gone(pool, e);
	else
		space_free_chunk(pool, e.block);
}

/*
 * @slot names @e no more, and nobody can have seen it there for a grace period; with
 * @unseen, nobody ever has.
 */
static void put_now(struct daxcow_pool *pool, u64 slot, struct entry e, bool unseen)
{
	struct chunk *chunk = &pool->chunks[chunk_of(pool, e.block)];
	struct desc *d = entry_desc(pool, e);
	struct node *node = desc_node(d);

	if (e.type == DAXCOW_ENTRY_NONE || !owner_del(pool, slot, e))
		return;
	if (node) {
		if (node->count == 1 && !unseen)
			node->stale = true;
		if (!node->count && node->left > pool->ended)
			reclaim_gone(pool, e);
		else if (!node->count)
			wait_add_first(pool, &pool->ready, wait_item(e));
		return;
	}
	if (!unseen && is_chunk(e))
		chunk_open(chunk, true);
	else if (!unseen)
		desc_open(d);
	if (is_chunk(e) && !desc_count(d))
		chunk_free(pool, e);
	else if (!is_chunk(e) && !block_owners(pool, e.block))
		block_free(pool, e.block);
}

/**
 * node_dismantle() - take what it names from a node that nobody owns
 * @pool:	the pool
 * @node:	the node
 * @work:	how much may be done; is counted down
 * @unseen:	it was never published
 *
 * Return: whether all is done, else it can go on.
 */
static bool node_dismantle(struct daxcow_pool *pool, struct node *node, long *work,
			   bool unseen)
{
	int level = desc_kind(space_desc(pool, node->block)) - KIND_NODE, ret;
	struct entry e;

	for (; node->done < DAXCOW_NODE_ENTRIES; node->done++) {
		u64 slot = slot_of(node->block, node->done);

		if (*work <= 0)
			return false;
		--*work;
		/* who is named by a damaged entry is not freed */
		ret = tree_load(pool, slot, level, &e);
		/* if load has not read it either nobody is waiting to be told */
		if (ret == -EIO && !pool->unknown)
			pool->stale = true;
		if (ret || e.type == DAXCOW_ENTRY_NONE)
			continue;
		if (is_chunk(e))
			*work -= DAXCOW_CHUNK_BLOCKS;
		put_now(pool, slot, e, unseen);
	}
	return true;
}

/* One item that is ready. */
static void run_one(struct daxcow_pool *pool, long *work, bool unseen)
{
	u64 item = wait_take(pool, &pool->ready), block;
	struct entry e = wait_entry(pool, item);
	struct desc *d = entry_desc(pool, e);
	struct node *node = desc_node(d);

	block = e.block;
	--*work;
	if (is_chunk(e)) {
		*work -= DAXCOW_CHUNK_BLOCKS;
		if (desc_kind(d) == KIND_GONE)
			desc_set_kind(d, KIND_DATA);
		chunk_free(pool, e);
	} else if (node && desc_is_node(d)) {
		/* below it comes first, so there is never much that is half done */
		if (node_dismantle(pool, node, work, unseen))
			space_free(pool, block);
		else
			wait_add_first(pool, &pool->ready, item);
	} else if (node) {
		space_free(pool, block);
	} else {
		desc_set_kind(d, KIND_DATA);
		block_free(pool, block);
	}
}

/*
 * What was never published is taken back at once, with all that is below it: blocks
 * that DMA is writing to must be the origin's alone again when the lock is dropped.
 * Not bounded.
 */
void reclaim_put_unseen(struct daxcow_pool *pool, u64 slot, struct entry e)
{
	u64 nr = pool->ready.nr;
	long work = LONG_MAX;

	put_now(pool, slot, e, true);
	while (pool->ready.nr > nr)
		run_one(pool, &work, true);
}

static int hold(struct daxcow_pool *pool, u64 block)
{
	int ret;

	if (desc_kind(space_desc(pool, block)) != KIND_FREE)
		return 0;
	ret = space_take(pool, block, KIND_DATA);
	if (ret)
		return ret;
	desc_set_kind(space_desc(pool, block), KIND_GONE);
	wait_add(pool, &pool->incoming, block);
	return 0;
}

/*
 * Load: these are held, by whom is not known. Those that are free are not used before
 * that has ended; of others somebody sees that they are held before they are written in
 * place. Does not wake the host, which has no pool yet. Returns 0 or -ENOMEM.
 */
int reclaim_hold(struct daxcow_pool *pool, const u64 *block, size_t nr)
{
	size_t i;
	int ret = 0;

	for (i = 0; i < nr && !ret; i++)
		if (block[i] < pool->nr_blocks)
			ret = hold(pool, block[i]);
	return ret;
}

bool daxcow_reclaim_prepare(struct daxcow_pool *pool)
{
	bool any;

	pool_lock(pool);
	any = pool->left || pool->incoming.nr || pool->ready.nr;
	if (any) {
		wait_append(pool, &pool->ready, &pool->incoming);
		pool->closing = pool->epoch++;
		pool->left = false;
	}
	pool_unlock(pool);
	return any;
}

bool daxcow_reclaim_run(struct daxcow_pool *pool)
{
	long work = STEP_WORK;
	bool more;

	pool_lock(pool);
	if (pool->ended < pool->closing) {
		pool->ended = pool->closing;
		pool->nr_forget = pool->nr_chunks / FORGET_BATCHES + 1;
		space_forget_chunks(pool);
	}
	space_forget(pool, &work);
	while (work > 0 && pool->ready.nr)
		run_one(pool, &work, false);
	more = pool->ready.nr || pool->nr_forget;
	if (!pool->ready.nr && !pool->incoming.nr)
		bad_known(pool);
	pool_unlock(pool);
	return more;
}
