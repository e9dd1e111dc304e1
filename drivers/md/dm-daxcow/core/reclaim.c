// SPDX-License-Identifier: GPL-2.0
/*
 * Owners that leave a block.
 *
 * When a volume stops using a block (it wrote, discarded, was deleted), the
 * entry is gone from the tables and its slot from the reverse map at once.
 * But a reader that looked the entry up before may still hold the address:
 * a read(2) that sleeps while it copies, a page fault that is about to insert
 * the page, DMA. If the block were freed then, its next user's bytes would
 * show up there. And if one other owner is left and now wrote in place,
 * *its* new bytes would show up there, in another volume's file; counting
 * owners alone misses that. So an owner that leaves stays counted as pending:
 * a block with pending owners is neither free nor exclusive (I2).
 *
 *   1. The entry is unpublished; pending + 1; the block goes to "incoming".
 *   2. daxcow_reclaim_prepare() moves incoming to "ready".
 *   3. The host waits until all read sections that began before have ended.
 *      File system entries are gone too by then: whoever moves a block of a
 *      mapped file drops them inside of its own read section.
 *   4. daxcow_reclaim_run(): a block that something outside still holds
 *      (host->busy: a DMA pin, a page in a pipe) goes back to incoming; else
 *      pending - 1. With no owner left the block is freed, unless a file system
 *      remembers it (host->mapped): one that lost its device while mounted.
 *
 * A volume that leaves a node has left all that is below it, and what is held
 * there on its behalf must not become somebody else's own either. So in step 4
 * the pending owner sinks: children that are nodes become pending in turn, data
 * only where it is held, then the node is done. In all that time nothing below
 * is exclusive to anybody, since an ancestor or it itself is pending. No new
 * grace period is needed: who left the node left the children with it. That
 * is for QUEUE_LEFT; a node that was replaced by a copy of it needs the grace
 * period for itself only, as the copy owns the children, but for one, which is
 * put separately (cow.c).
 *
 * A node that loses its last owner is taken apart in step 4, so that deleting
 * a volume is one store, and the rest happens in bounded steps. Its children
 * need no second grace period: who reached them through the node did so
 * before 1, and the volume that the node belonged to either is deleted, or
 * still owns the child through a copy of the node.
 *
 * A crash forgets the queues, which is right: nothing that waits can be
 * reached from the superblock. So does an unload, after which something outside may
 * still hold a block: load is told, and queues it again (reclaim_hold()).
 */
#include "internal.h"

/* Children, and blocks of chunks, that are looked at under the lock at once. */
#define STEP_WORK	8192

/* Room that is always left, for records that are taken back after an error. */
#define SLACK		DAXCOW_SNAPSHOT_MAX

static int queue_room(struct queue *q, size_t nr)
{
	size_t cap = q->cap ? q->cap : 64;
	u64 *item;

	if (q->nr + nr <= q->cap)
		return 0;
	while (cap < q->nr + nr)
		cap *= 2;
	item = vcalloc(cap, sizeof(*item));
	if (!item)
		return -ENOMEM;
	if (q->nr)
		memcpy(item, q->item, q->nr * sizeof(*item));
	vfree(q->item);
	q->item = item;
	q->cap = cap;
	return 0;
}

/*
 * Before a change that puts up to @nr entries. Items that are ready can come
 * back, so there must be room for them too. Returns 0 or -ENOMEM.
 */
int reclaim_reserve(struct daxcow_pool *pool, size_t nr)
{
	int ret = queue_room(&pool->ready, nr + SLACK);

	return ret ? ret : queue_room(&pool->incoming,
				      pool->ready.nr + nr + SLACK);
}

static void push(struct queue *q, u64 item)
{
	q->item[q->nr++] = item;
}

static void push_incoming(struct daxcow_pool *pool, u64 item)
{
	push(&pool->incoming, item);
	if (pool->incoming.nr == 1 && pool->host.wake)
		pool->host.wake(pool->host.ctx);
}

/* Whether one more owner can wait on what @e names. */
bool reclaim_can_put(struct daxcow_pool *pool, struct entry e)
{
	struct split *s;
	u32 i;

	if (e.type == DAXCOW_ENTRY_NONE)
		return true;
	s = pool->chunks[chunk_of(pool, e.block)].split;
	if (!is_chunk(e) || !s)
		return desc_pending(space_desc(pool, e.block)) <
		       DESC_PENDING_MAX;
	for (i = 0; i < DAXCOW_CHUNK_BLOCKS; i++)
		if (desc_pending(&s->desc[i]) == DESC_PENDING_MAX)
			return false;
	return true;
}

static u64 queue_item(struct entry e)
{
	return slot_of(e.block, 0) | (is_chunk(e) ? QUEUE_CHUNK : 0);
}

/*
 * A volume does not use @e any more, which it had reached through a node that
 * it left as well, or leaves now. The caller has reserved a place and asked
 * reclaim_can_put().
 */
void reclaim_leave(struct daxcow_pool *pool, struct entry e)
{
	struct split *s = pool->chunks[chunk_of(pool, e.block)].split;
	u32 i;

	if (e.type == DAXCOW_ENTRY_NONE)
		return;
	if (!is_chunk(e) || !s)
		desc_pending_add(space_desc(pool, e.block));
	else
		for (i = 0; i < DAXCOW_CHUNK_BLOCKS; i++)
			desc_pending_add(&s->desc[i]);
	push_incoming(pool, queue_item(e) | QUEUE_LEFT);
}

/* The same, and @slot, which named @e, does so no more. */
void reclaim_put(struct daxcow_pool *pool, u64 slot, struct entry e)
{
	struct split *s = pool->chunks[chunk_of(pool, e.block)].split;
	u32 i;

	if (e.type == DAXCOW_ENTRY_NONE)
		return;
	if (!is_chunk(e) || !s)
		desc_owner_del(space_desc(pool, e.block), slot);
	else
		for (i = 0; i < DAXCOW_CHUNK_BLOCKS; i++)
			desc_owner_del(&s->desc[i], slot);
	reclaim_leave(pool, e);
}

/* @slot names a copy now, and not the node @e; what @e names has two owners. */
void reclaim_put_copied(struct daxcow_pool *pool, u64 slot, struct entry e)
{
	struct desc *d = space_desc(pool, e.block);

	desc_owner_del(d, slot);
	desc_pending_add(d);
	push_incoming(pool, queue_item(e));
}

static bool unused(const struct desc *d)
{
	return !desc_owners(d) && !desc_pending(d);
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

static void block_gone(struct daxcow_pool *pool, u64 block, struct desc *d)
{
	if (desc_is_node(d) ||
	    (desc_kind(d) == KIND_DATA && still_seen(pool, block, 1))) {
		desc_pending_add(d);
		if (desc_is_node(d))
			push(&pool->ready, slot_of(block, 0));
		else
			push_incoming(pool, slot_of(block, 0));
	} else {
		space_free(pool, block);
	}
}

static void chunk_gone(struct daxcow_pool *pool, u64 block, struct desc *d)
{
	if (still_seen(pool, block, DAXCOW_CHUNK_BLOCKS)) {
		desc_pending_add(d);
		push_incoming(pool, slot_of(block, 0) | QUEUE_CHUNK);
	} else {
		space_free_chunk(pool, block);
	}
}

/*
 * @slot names @e no more, and nobody can have seen it there for a grace
 * period, or ever. Needs room in both queues: one item, or one for each block
 * of a chunk.
 */
void reclaim_put_now(struct daxcow_pool *pool, u64 slot, struct entry e)
{
	struct chunk *chunk = &pool->chunks[chunk_of(pool, e.block)];
	struct desc *d = space_desc(pool, e.block);
	u32 i;

	if (!is_chunk(e)) {
		if (desc_owner_del(d, slot) && unused(d))
			block_gone(pool, e.block, d);
		return;
	}
	if (!chunk->split) {
		if (desc_owner_del(d, slot) && unused(d))
			chunk_gone(pool, e.block, d);
		return;
	}
	/* the split goes away with the last block that is freed */
	for (i = 0; i < DAXCOW_CHUNK_BLOCKS && chunk->split; i++) {
		d = &chunk->split->desc[i];
		if (desc_owner_del(d, slot) && unused(d))
			block_gone(pool, e.block + i, d);
	}
}

/*
 * Data that a leaving owner's node names. When it is pending already there is
 * an item for it in a queue, for which it will be asked again who holds it.
 */
static void sink_data(struct daxcow_pool *pool, struct entry e)
{
	struct desc *d = space_desc(pool, e.block);
	u64 nr = is_chunk(e) ? DAXCOW_CHUNK_BLOCKS : 1;

	if (desc_pending(d) || !reclaim_busy(pool, e.block, nr))
		return;
	desc_pending_add(d);
	push_incoming(pool, queue_item(e));
}

/* Who has left the node has left its child @e. */
static int sink(struct daxcow_pool *pool, u64 slot, struct entry e)
{
	struct desc *d = space_desc(pool, e.block);
	u32 i;

	if (e.type == DAXCOW_ENTRY_NODE) {
		if (desc_pending(d) == DESC_PENDING_MAX)
			return -EBUSY;
		desc_pending_add(d);
		push(&pool->ready, queue_item(e) | QUEUE_LEFT);
	} else if (is_chunk(e) && pool->chunks[chunk_of(pool, e.block)].split) {
		for (i = 0; i < DAXCOW_CHUNK_BLOCKS; i++)
			sink_data(pool, (struct entry) {
				.type = DAXCOW_ENTRY_DATA,
				.block = e.block + i,
			});
	} else {
		sink_data(pool, e);
	}
	return 0;
}

/* The node has no owner, and owns its child @e no more. */
static int dismantle(struct daxcow_pool *pool, u64 slot, struct entry e)
{
	reclaim_put_now(pool, slot, e);
	return 0;
}

/**
 * children_each() - call @fn for the children of a node, from @slot on
 * @pool:	the pool
 * @slot:	the first child; is moved on
 * @work:	how much may be done; is counted down
 * @fn:		may add to the queues one item, or one for each block of a chunk
 *
 * Return: 0 when all have been dealt with, -EAGAIN when there is more, -ENOMEM,
 * or what @fn returned. Then it can go on at @slot.
 */
static int children_each(struct daxcow_pool *pool, u64 *slot, long *work,
			 int (*fn)(struct daxcow_pool *, u64, struct entry))
{
	u64 block = slot_block(*slot);
	unsigned int i = slot_index(*slot);
	int level = desc_kind(space_desc(pool, block)) - KIND_NODE;
	struct entry e;
	int ret;

	for (; i < DAXCOW_NODE_ENTRIES; i++) {
		size_t room;

		*slot = slot_of(block, i);
		if (*work <= 0)
			return -EAGAIN;
		--*work;
		/* who is named by a damaged entry is not freed */
		ret = tree_load(pool, *slot, level, &e);
		/* if load has not read it either nobody is waiting to be told */
		if (ret == -EIO && !pool->unknown)
			pool->stale = true;
		if (ret || e.type == DAXCOW_ENTRY_NONE)
			continue;
		room = is_chunk(e) ? DAXCOW_CHUNK_BLOCKS : 1;
		*work -= room;
		/* + 1: the node itself may have to go back */
		ret = reclaim_reserve(pool, room + 1);
		if (!ret)
			ret = fn(pool, *slot, e);
		if (ret)
			return ret;
	}
	return 0;
}

static int finish_node(struct daxcow_pool *pool, u64 item, long *work)
{
	u64 slot = item & DESC_SLOT_MASK, block = slot_block(slot);
	struct desc *d = space_desc(pool, block);
	u64 left = item & QUEUE_LEFT;
	int ret;

	if (left) {
		ret = children_each(pool, &slot, work, sink);
		if (ret)
			goto out_again;
		left = 0;
		slot = slot_of(block, 0);
	}
	if (desc_pending(d) == 1 && !desc_owners(d)) {
		ret = children_each(pool, &slot, work, dismantle);
		if (ret)
			goto out_again;
	}
	desc_pending_del(d);
	if (unused(d))
		space_free(pool, block);
	return 0;

out_again:
	/* too many have left a child: some of these are dealt with first */
	if (ret == -EBUSY)
		push_incoming(pool, slot | left);
	else
		push(&pool->ready, slot | left);
	return ret == -ENOMEM ? ret : 0;
}

/* Whether an owner that left is to stay pending. */
static bool held(struct daxcow_pool *pool, u64 block, u64 nr,
		 const struct desc *d)
{
	return desc_owners(d) ? reclaim_busy(pool, block, nr) :
				still_seen(pool, block, nr);
}

static void finish_block(struct daxcow_pool *pool, u64 block)
{
	struct desc *d = space_desc(pool, block);

	if (desc_kind(d) == KIND_DATA && held(pool, block, 1, d)) {
		push_incoming(pool, slot_of(block, 0));
		return;
	}
	desc_pending_del(d);
	if (unused(d))
		space_free(pool, block);
}

static int finish_chunk(struct daxcow_pool *pool, u64 block)
{
	struct chunk *chunk = &pool->chunks[chunk_of(pool, block)];
	u32 i;

	if (!chunk->split) {
		if (held(pool, block, DAXCOW_CHUNK_BLOCKS, &chunk->desc)) {
			push_incoming(pool, slot_of(block, 0) | QUEUE_CHUNK);
			return 0;
		}
		desc_pending_del(&chunk->desc);
		if (unused(&chunk->desc))
			space_free_chunk(pool, block);
		return 0;
	}
	if (reclaim_reserve(pool, DAXCOW_CHUNK_BLOCKS)) {
		push(&pool->ready, slot_of(block, 0) | QUEUE_CHUNK);
		return -ENOMEM;
	}
	for (i = 0; i < DAXCOW_CHUNK_BLOCKS && chunk->split; i++)
		finish_block(pool, block + i);
	return 0;
}

static int hold(struct daxcow_pool *pool, u64 block)
{
	struct desc *d = space_desc(pool, block);
	u64 item = slot_of(block, 0);
	int ret = 0;

	if (desc_kind(d) == KIND_FREE)
		ret = space_take(pool, block, KIND_DATA);
	d = space_desc(pool, block);
	if (ret || desc_kind(d) != KIND_DATA || desc_pending(d))
		return ret;
	if (!pool->chunks[chunk_of(pool, block)].split)
		item = slot_of(block - chunk_index(pool, block), 0) | QUEUE_CHUNK;
	desc_pending_add(d);
	push(&pool->incoming, item);
	return 0;
}

/*
 * Load: these are held, by whom is not known. It may be somebody who was an owner, so it
 * is as if one had just left: those that are free are not used before that has ended,
 * and others not written in place. Does not wake the host, which has no pool yet.
 * Returns 0 or -ENOMEM.
 */
int reclaim_hold(struct daxcow_pool *pool, const u64 *block, size_t nr)
{
	size_t i;
	int ret = reclaim_reserve(pool, nr);

	for (i = 0; i < nr && !ret; i++)
		if (block[i] < pool->nr_blocks)
			ret = hold(pool, block[i]);
	return ret;
}

bool daxcow_reclaim_prepare(struct daxcow_pool *pool)
{
	bool any;

	mutex_lock(&pool->lock);
	if (pool->incoming.nr &&
	    !queue_room(&pool->ready, pool->incoming.nr)) {
		memcpy(pool->ready.item + pool->ready.nr, pool->incoming.item,
		       pool->incoming.nr * sizeof(u64));
		pool->ready.nr += pool->incoming.nr;
		pool->incoming.nr = 0;
	}
	any = pool->ready.nr;
	mutex_unlock(&pool->lock);
	return any;
}

/* Items move between the queues only while there is room for all. */
static int run_one(struct daxcow_pool *pool, long *work)
{
	u64 item, block;
	int ret = reclaim_reserve(pool, 1);

	if (ret)
		return ret;
	item = pool->ready.item[--pool->ready.nr];
	block = slot_block(item & DESC_SLOT_MASK);
	if (item & QUEUE_CHUNK) {
		*work -= DAXCOW_CHUNK_BLOCKS;
		return finish_chunk(pool, block);
	}
	if (desc_is_node(space_desc(pool, block)))
		return finish_node(pool, item, work);
	--*work;
	finish_block(pool, block);
	return 0;
}

bool daxcow_reclaim_run(struct daxcow_pool *pool)
{
	long work = STEP_WORK;
	int ret = 0;
	bool more;

	mutex_lock(&pool->lock);
	while (work > 0 && pool->ready.nr && !ret)
		ret = run_one(pool, &work);
	more = pool->ready.nr && !ret;
	if (!pool->ready.nr && !pool->incoming.nr)
		bad_known(pool);
	mutex_unlock(&pool->lock);
	return more;
}

/*
 * Finish what was added to ready since it had @nr items, which nobody can have
 * seen; the others may be in the middle of their grace period. Under the lock;
 * not bounded.
 */
void reclaim_flush(struct daxcow_pool *pool, size_t nr)
{
	long work = LONG_MAX;

	while (pool->ready.nr > nr && !run_one(pool, &work))
		;
}

void reclaim_exit(struct daxcow_pool *pool)
{
	vfree(pool->incoming.item);
	vfree(pool->ready.item);
}
