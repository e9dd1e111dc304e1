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
 *      (host->busy: a DMA pin) goes back to incoming; else pending - 1. With
 *      no owner left the block is freed.
 *
 * A node that loses its last owner is taken apart in step 4, so that deleting
 * a volume is one store, and the rest happens in bounded steps. Its children
 * need no second grace period: who reached them through the node did so
 * before 1, and the volume that the node belonged to either is deleted, or
 * still owns the child through a copy of the node.
 *
 * A crash forgets the queues, which is right: nothing that waits can be
 * reached from the superblock.
 */
#include "internal.h"

#define STEP_ITEMS	64

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
	item = kvcalloc(cap, sizeof(*item), GFP_KERNEL);
	if (!item)
		return -ENOMEM;
	if (q->nr)
		memcpy(item, q->item, q->nr * sizeof(*item));
	kvfree(q->item);
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

static bool is_chunk(struct entry e)
{
	return e.type == DAXCOW_ENTRY_DATA && e.level == 1;
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

/*
 * @slot names @e no more. The caller has reserved a place and asked
 * reclaim_can_put().
 */
void reclaim_put(struct daxcow_pool *pool, u64 slot, struct entry e)
{
	struct split *s = pool->chunks[chunk_of(pool, e.block)].split;
	struct desc *d = space_desc(pool, e.block);
	u32 i;

	if (e.type == DAXCOW_ENTRY_NONE)
		return;
	if (!is_chunk(e) || !s) {
		desc_owner_del(d, slot);
		desc_pending_add(d);
		push_incoming(pool, e.block | (is_chunk(e) ? QUEUE_CHUNK : 0));
		return;
	}
	for (i = 0; i < DAXCOW_CHUNK_BLOCKS; i++) {
		desc_owner_del(&s->desc[i], slot);
		desc_pending_add(&s->desc[i]);
	}
	push_incoming(pool, e.block | QUEUE_CHUNK);
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

static void block_gone(struct daxcow_pool *pool, u64 block, struct desc *d)
{
	bool node = desc_kind(d) >= KIND_NODE && desc_kind(d) < KIND_DIR;

	if (node || (desc_kind(d) == KIND_DATA && reclaim_busy(pool, block, 1))) {
		desc_pending_add(d);
		if (node)
			push(&pool->ready, block);
		else
			push_incoming(pool, block);
	} else {
		space_free(pool, block);
	}
}

static void chunk_gone(struct daxcow_pool *pool, u64 block, struct desc *d)
{
	if (reclaim_busy(pool, block, DAXCOW_CHUNK_BLOCKS)) {
		desc_pending_add(d);
		push_incoming(pool, block | QUEUE_CHUNK);
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
 * Take a node apart that has no owner. Returns 0, or -ENOMEM: then it can be
 * done again.
 */
static int dismantle(struct daxcow_pool *pool, u64 block)
{
	unsigned int i;

	for (i = 0; i < DAXCOW_NODE_ENTRIES; i++) {
		u64 slot = slot_of(block, i);
		struct entry e = entry_decode(pm_load(slot_word(pool, slot)));
		size_t room = is_chunk(e) ? DAXCOW_CHUNK_BLOCKS : 1;

		if (e.type == DAXCOW_ENTRY_NONE)
			continue;
		/* +1: the node itself goes back when there is no memory */
		if (reclaim_reserve(pool, room + 1))
			return -ENOMEM;
		/* does nothing for those that an earlier try has dealt with */
		reclaim_put_now(pool, slot, e);
	}
	return 0;
}

static int finish_block(struct daxcow_pool *pool, u64 block)
{
	struct desc *d = space_desc(pool, block);

	if (desc_kind(d) == KIND_DATA && reclaim_busy(pool, block, 1)) {
		push_incoming(pool, block);
		return 0;
	}
	if (desc_pending(d) == 1 && !desc_owners(d) &&
	    desc_kind(d) >= KIND_NODE && desc_kind(d) < KIND_DIR &&
	    dismantle(pool, block)) {
		push(&pool->ready, block);
		return -ENOMEM;
	}
	desc_pending_del(d);
	if (unused(d))
		space_free(pool, block);
	return 0;
}

static int finish_chunk(struct daxcow_pool *pool, u64 block)
{
	struct chunk *chunk = &pool->chunks[chunk_of(pool, block)];
	u32 i;

	if (!chunk->split) {
		if (reclaim_busy(pool, block, DAXCOW_CHUNK_BLOCKS)) {
			push_incoming(pool, block | QUEUE_CHUNK);
			return 0;
		}
		desc_pending_del(&chunk->desc);
		if (unused(&chunk->desc))
			space_free_chunk(pool, block);
		return 0;
	}
	if (reclaim_reserve(pool, DAXCOW_CHUNK_BLOCKS)) {
		push(&pool->ready, block | QUEUE_CHUNK);
		return -ENOMEM;
	}
	for (i = 0; i < DAXCOW_CHUNK_BLOCKS && chunk->split; i++)
		finish_block(pool, block + i);
	return 0;
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
static int run_one(struct daxcow_pool *pool)
{
	u64 item;
	int ret = reclaim_reserve(pool, 1);

	if (ret)
		return ret;
	item = pool->ready.item[--pool->ready.nr];
	if (item & QUEUE_CHUNK)
		return finish_chunk(pool, item & ~QUEUE_CHUNK);
	return finish_block(pool, item);
}

bool daxcow_reclaim_run(struct daxcow_pool *pool)
{
	unsigned int n;
	int ret = 0;
	bool more;

	mutex_lock(&pool->lock);
	for (n = 0; n < STEP_ITEMS && pool->ready.nr && !ret; n++)
		ret = run_one(pool);
	more = pool->ready.nr && !ret;
	mutex_unlock(&pool->lock);
	return more;
}

/* All that is ready, now. Under the lock; not bounded. */
void reclaim_flush(struct daxcow_pool *pool)
{
	while (pool->ready.nr && !run_one(pool))
		;
}

void reclaim_exit(struct daxcow_pool *pool)
{
	kvfree(pool->incoming.item);
	kvfree(pool->ready.item);
}
