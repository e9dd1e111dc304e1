// SPDX-License-Identifier: GPL-2.0
/*
 * Space: which blocks are free, and the descriptors of those that are not.
 *
 * The pool is divided into chunks. A chunk is free, or mapped as a whole by
 * level 1 entries (one descriptor), or split (a descriptor and a bit per
 * block). Single blocks come from split chunks as long as these have some, so
 * that whole chunks stay whole for 2 MiB mappings; a split chunk becomes
 * whole again when its last block is freed. Chunks at the edges that are cut
 * off by the pool's bounds are split for ever.
 *
 * Each block has the generation in which write access to it was given last: who
 * has looked at it without the lock can tell afterwards that nobody has written. It
 * is 0 when that was not since the pool was loaded, or since a merge, which found
 * that nobody could write to it any more.
 *
 * Nothing of this is stored: load rebuilds it.
 */
#include "internal.h"

static u32 *chunk_list(struct daxcow_pool *pool, bool partial)
{
	return partial ? &pool->partial_chunks : &pool->free_chunks;
}

static void chunk_list_add(struct daxcow_pool *pool, u32 c, bool partial)
{
	u32 *head = chunk_list(pool, partial);
	struct chunk *chunk = &pool->chunks[c];

	chunk->prev = NO_CHUNK;
	chunk->next = *head;
	if (*head != NO_CHUNK)
		pool->chunks[*head].prev = c;
	*head = c;
}

static void chunk_list_del(struct daxcow_pool *pool, u32 c, bool partial)
{
	struct chunk *chunk = &pool->chunks[c];

	if (chunk->prev != NO_CHUNK)
		pool->chunks[chunk->prev].next = chunk->next;
	else
		*chunk_list(pool, partial) = chunk->next;
	if (chunk->next != NO_CHUNK)
		pool->chunks[chunk->next].prev = chunk->prev;
}

static bool chunk_is_free(const struct chunk *chunk)
{
	return !chunk->split && desc_kind(&chunk->desc) == KIND_FREE;
}

static void chunk_free_add(struct daxcow_pool *pool, u32 c)
{
	chunk_list_add(pool, c, false);
	pool->nr_chunks_free++;
}

static void chunk_free_del(struct daxcow_pool *pool, u32 c)
{
	chunk_list_del(pool, c, false);
	pool->nr_chunks_free--;
}

static struct split *split_alloc(struct daxcow_pool *pool)
{
	struct split *s = kvzalloc(sizeof(*s), GFP_KERNEL);

	if (!s)
		return NULL;
	/* two pages, and nothing that is lost to rounding */
	s->desc = kvcalloc(DAXCOW_CHUNK_BLOCKS, sizeof(*s->desc), GFP_KERNEL);
	if (!s->desc) {
		kvfree(s);
		return NULL;
	}
	pool->nr_splits++;
	return s;
}

static void split_free(struct daxcow_pool *pool, struct split *s)
{
	/* a walk may stand at one of these */
	pool->moves++;
	kvfree(s->desc);
	kvfree(s);
	pool->nr_splits--;
}

/* What is free has no owners, and no more than its kind. */
static void desc_clear(struct daxcow_pool *pool, struct desc *d, struct entry e)
{
	struct node *node = desc_node(d);

	owner_drop(pool, e);
	if (node)
		node_free(pool, node);
	memset(d, 0, sizeof(*d));
}

/* ---- splits ---- */

static void split_set_free(struct split *s, u32 i)
{
	s->free[i / 64] |= 1ULL << (i % 64);
	s->nr_free++;
}

static void split_clear_free(struct split *s, u32 i)
{
	s->free[i / 64] &= ~(1ULL << (i % 64));
	s->nr_free--;
}

/*
 * Give each block of a chunk its own descriptor. Entries that name the whole are
 * counted there as before. Returns 0, -ENOMEM.
 */
int space_split(struct daxcow_pool *pool, u32 c)
{
	struct chunk *chunk = &pool->chunks[c];
	struct split *s;
	u32 i;

	if (chunk->split)
		return 0;
	s = split_alloc(pool);
	if (!s)
		return -ENOMEM;
	if (chunk_is_free(chunk)) {
		for (i = 0; i < DAXCOW_CHUNK_BLOCKS; i++)
			split_set_free(s, i);
		chunk_free_del(pool, c);
		chunk_list_add(pool, c, true);
	}
	for (i = 0; i < DAXCOW_CHUNK_BLOCKS; i++) {
		struct desc *d = &s->desc[i];

		if (chunk_is_free(chunk))
			continue;
		/* one that waits as a whole goes on to do so, see reclaim.c */
		desc_set_kind(d, desc_kind(&chunk->desc) == KIND_GONE ?
				 KIND_DATA : desc_kind(&chunk->desc));
		desc_set_state(d, desc_state(&chunk->desc));
		d->gen = chunk->desc.gen;
	}
	/* for own_granted() */
	smp_store_release(&chunk->split, s);
	return 0;
}

/* Make a chunk at an edge: blocks outside of [first, end) do not exist. */
static int chunk_trim(struct daxcow_pool *pool, u32 c, u64 end)
{
	struct split *s;
	u32 i;
	int ret;

	ret = space_split(pool, c);
	if (ret)
		return ret;
	s = pool->chunks[c].split;
	for (i = 0; i < DAXCOW_CHUNK_BLOCKS; i++) {
		u64 pos = (u64)c * DAXCOW_CHUNK_BLOCKS + i;

		if (pos >= pool->pad && pos < end + pool->pad)
			continue;
		if (desc_kind(&s->desc[i]) != KIND_FREE)
			continue;
		split_clear_free(s, i);
		desc_set_kind(&s->desc[i], KIND_RESERVED);
		pool->nr_free--;
	}
	if (!s->nr_free)
		chunk_list_del(pool, c, true);
	return 0;
}

/* Prepare descriptors for @nr_blocks blocks, all free. */
int space_init(struct daxcow_pool *pool, u64 nr_blocks)
{
	u64 span = nr_blocks + pool->pad;
	u64 nr = (span + DAXCOW_CHUNK_BLOCKS - 1) / DAXCOW_CHUNK_BLOCKS;
	u32 c;
	int ret = 0;

	if (nr >= NO_CHUNK)
		return -EINVAL;
	/* of 102 TiB it is more than kvcalloc() gives */
	pool->chunks = vcalloc(nr, sizeof(*pool->chunks));
	if (!pool->chunks)
		return -ENOMEM;
	pool->nr_chunks = nr;
	pool->free_chunks = NO_CHUNK;
	pool->partial_chunks = NO_CHUNK;
	for (c = nr; c-- > 0;)
		chunk_free_add(pool, c);
	pool->nr_free = nr * DAXCOW_CHUNK_BLOCKS;
	if (pool->pad)
		ret = chunk_trim(pool, 0, nr_blocks);
	if (!ret && span % DAXCOW_CHUNK_BLOCKS && (nr > 1 || !pool->pad))
		ret = chunk_trim(pool, nr - 1, nr_blocks);
	return ret;
}

void space_exit(struct daxcow_pool *pool)
{
	u32 c, i;

	for (c = 0; c < pool->nr_chunks && pool->chunks; c++) {
		struct split *s = pool->chunks[c].split;

		for (i = 0; s && i < DAXCOW_CHUNK_BLOCKS; i++)
			kvfree(desc_node(&s->desc[i]));
		if (s)
			split_free(pool, s);
	}
	vfree(pool->chunks);
	pool->ended = pool->epoch;
	space_forget_chunks(pool);
	nodes_exit(pool);
}

/* Nobody looks at former ones any more. */
void space_forget_chunks(struct daxcow_pool *pool)
{
	struct older_chunks **p = &pool->older, *old;

	while ((old = *p)) {
		if (old->epoch > pool->ended) {
			p = &old->next;
			continue;
		}
		*p = old->next;
		vfree(old->chunks);
		kvfree(old);
	}
}

/* The blocks of the last chunk that now exist. */
static void chunk_untrim(struct daxcow_pool *pool, u32 c, u64 from, u64 end)
{
	struct split *s = pool->chunks[c].split;
	u32 i, had = s->nr_free;

	for (i = 0; i < DAXCOW_CHUNK_BLOCKS; i++) {
		u64 pos = (u64)c * DAXCOW_CHUNK_BLOCKS + i;

		if (pos < from + pool->pad || pos >= end + pool->pad)
			continue;
		desc_set_kind(&s->desc[i], KIND_FREE);
		split_set_free(s, i);
		pool->nr_free++;
	}
	if (!had && s->nr_free)
		chunk_list_add(pool, c, true);
}

/* Somebody may be looking at the former ones, without the lock. */
static void chunks_replace(struct daxcow_pool *pool, struct chunk *chunks,
			   struct older_chunks *older)
{
	older->chunks = pool->chunks;
	older->epoch = reclaim_left(pool);
	older->next = pool->older;
	pool->older = older;
	/* with what is in them */
	smp_store_release(&pool->chunks, chunks);
}

/* Add blocks; pool->nr_blocks is set by this. Returns 0, -ENOMEM. */
int space_grow(struct daxcow_pool *pool, u64 nr_blocks)
{
	u64 span = nr_blocks + pool->pad;
	u64 nr = (span + DAXCOW_CHUNK_BLOCKS - 1) / DAXCOW_CHUNK_BLOCKS;
	u32 old = pool->nr_chunks, c;
	struct chunk *chunks;
	struct older_chunks *older;
	struct split *edge = NULL;

	if (nr >= NO_CHUNK)
		return -EINVAL;
	chunks = vcalloc(nr, sizeof(*chunks));
	older = kvzalloc(sizeof(*older), GFP_KERNEL);
	if (chunks && older && span % DAXCOW_CHUNK_BLOCKS && nr > old)
		edge = split_alloc(pool);
	if (!chunks || !older || (span % DAXCOW_CHUNK_BLOCKS && nr > old && !edge)) {
		kvfree(older);
		vfree(chunks);
		return -ENOMEM;
	}
	memcpy(chunks, pool->chunks, old * sizeof(*chunks));
	/* as in split_free() */
	pool->moves++;
	chunks_replace(pool, chunks, older);
	if ((pool->nr_blocks + pool->pad) % DAXCOW_CHUNK_BLOCKS)
		chunk_untrim(pool, old - 1, pool->nr_blocks, nr_blocks);
	pool->nr_chunks = nr;
	for (c = nr; c-- > old;) {
		if (edge && c == nr - 1) {
			u32 i;

			pool->chunks[c].split = edge;
			for (i = 0; i < DAXCOW_CHUNK_BLOCKS; i++)
				desc_set_kind(&edge->desc[i], KIND_RESERVED);
			chunk_untrim(pool, c, chunk_block(pool, c), nr_blocks);
		} else {
			chunk_free_add(pool, c);
			pool->nr_free += DAXCOW_CHUNK_BLOCKS;
		}
	}
	/* who sees that there are more sees the descriptors of all of them: own_granted() */
	smp_store_release(&pool->nr_blocks, nr_blocks);
	return 0;
}

static void count_kind(struct daxcow_pool *pool, enum kind kind, s64 nr)
{
	pool->nr_free -= nr;
	if (kind == KIND_DATA || kind == KIND_GONE)
		pool->nr_data += nr;
	else if (kind == KIND_BAD)
		pool->nr_retired += nr;
	else
		pool->nr_meta += nr;
}

/* Returns 0, or -ENOMEM for a node. */
static int block_take(struct daxcow_pool *pool, u32 c, u32 i, enum kind kind)
{
	struct split *s = pool->chunks[c].split;
	struct node *node = NULL;

	if (kind_has_node(kind)) {
		node = node_alloc(pool, chunk_block(pool, c) + i);
		if (!node)
			return -ENOMEM;
	}
	split_clear_free(s, i);
	if (!s->nr_free)
		chunk_list_del(pool, c, true);
	desc_set_kind(&s->desc[i], kind);
	if (node)
		s->desc[i].node = node;
	count_kind(pool, kind, 1);
	return 0;
}

/* Whether @nr more blocks may be taken for data, the reserve kept. */
bool space_room(const struct daxcow_pool *pool, u64 nr)
{
	return pool->nr_free >= pool->reserve + nr;
}

/* Returns 0, -ENOSPC, -ENOMEM. The block's descriptor has no owner yet. */
int space_alloc(struct daxcow_pool *pool, enum kind kind, u64 *block)
{
	struct split *s;
	u32 c, w;
	int ret;

	if (pool->partial_chunks == NO_CHUNK) {
		if (pool->free_chunks == NO_CHUNK)
			return -ENOSPC;
		ret = space_split(pool, pool->free_chunks);
		if (ret)
			return ret;
	}
	c = pool->partial_chunks;
	s = pool->chunks[c].split;
	for (w = 0; !s->free[w]; w++)
		;
	w = w * 64 + __ffs64(s->free[w]);
	ret = block_take(pool, c, w, kind);
	if (ret)
		return ret;
	*block = chunk_block(pool, c) + w;
	if (kind == KIND_DATA) {
		pool->gen_used = true;
		s->desc[w].gen = pool->gen;
		desc_set_state(&s->desc[w], STATE_CLAIMED);
	}
	return 0;
}

/*
 * A chunk that is retired as a whole, since there was no memory to split it: what
 * is good of it is free again. Once more without memory it stays as it is.
 */
void space_settle(struct daxcow_pool *pool, u32 c)
{
	struct chunk *chunk = &pool->chunks[c];
	u64 block = chunk_block(pool, c);
	struct split *s;
	u32 i;

	if (chunk->split || desc_kind(&chunk->desc) != KIND_BAD)
		return;
	if (daxcow_bad_find(pool, block, DAXCOW_CHUNK_BLOCKS) ==
	    DAXCOW_CHUNK_BLOCKS) {
		desc_clear(pool, &chunk->desc, entry_chunk(block));
		count_kind(pool, KIND_BAD, -(s64)DAXCOW_CHUNK_BLOCKS);
		chunk_free_add(pool, c);
		return;
	}
	s = split_alloc(pool);
	if (!s)
		return;
	for (i = 0; i < DAXCOW_CHUNK_BLOCKS; i++) {
		if (bad_test(pool, block + i)) {
			desc_set_kind(&s->desc[i], KIND_BAD);
		} else {
			split_set_free(s, i);
			count_kind(pool, KIND_BAD, -1);
		}
	}
	desc_clear(pool, &chunk->desc, entry_chunk(block));
	smp_store_release(&chunk->split, s);
	if (s->nr_free)
		chunk_list_add(pool, c, true);
}

/*
 * A block is bad. When it is free it is not given to anybody. Cannot fail: without
 * memory for the descriptors of its chunk all of that is retired, at once if it is
 * free, or when it becomes free.
 */
void space_retire(struct daxcow_pool *pool, u64 block)
{
	u32 c = chunk_of(pool, block);
	struct chunk *chunk = &pool->chunks[c];

	if (!chunk->split && desc_kind(&chunk->desc) == KIND_BAD) {
		space_settle(pool, c);
	} else if (!space_split(pool, c)) {
		if (desc_kind(space_desc(pool, block)) == KIND_FREE)
			block_take(pool, c, chunk_index(pool, block), KIND_BAD);
	} else if (chunk_is_free(chunk)) {
		chunk_free_del(pool, c);
		desc_set_kind(&chunk->desc, KIND_BAD);
		count_kind(pool, KIND_BAD, DAXCOW_CHUNK_BLOCKS);
	}
}

/* A whole chunk for data. Returns 0 or -ENOSPC. */
int space_alloc_chunk(struct daxcow_pool *pool, u64 *block)
{
	u32 c = pool->free_chunks;

	if (c == NO_CHUNK)
		return -ENOSPC;
	chunk_free_del(pool, c);
	desc_set_kind(&pool->chunks[c].desc, KIND_DATA);
	desc_set_state(&pool->chunks[c].desc, STATE_CLAIMED);
	count_kind(pool, KIND_DATA, DAXCOW_CHUNK_BLOCKS);
	*block = chunk_block(pool, c);
	space_touch(pool, *block, DAXCOW_CHUNK_BLOCKS);
	return 0;
}

/* Take a certain free block (load). Returns 0, -ENOMEM. */
int space_take(struct daxcow_pool *pool, u64 block, enum kind kind)
{
	u32 c = chunk_of(pool, block);
	int ret = space_split(pool, c);

	return ret ? ret : block_take(pool, c, chunk_index(pool, block), kind);
}

/*
 * Take what is free of a certain chunk for data (load). Returns 0, or -EBUSY
 * when a block of it is something else.
 */
int space_take_chunk(struct daxcow_pool *pool, u64 block)
{
	u32 c = chunk_of(pool, block), i;
	struct chunk *chunk = &pool->chunks[c];

	if (chunk_is_free(chunk)) {
		chunk_free_del(pool, c);
		desc_set_kind(&chunk->desc, KIND_DATA);
		count_kind(pool, KIND_DATA, DAXCOW_CHUNK_BLOCKS);
		return 0;
	}
	if (!chunk->split)
		return desc_kind(&chunk->desc) == KIND_DATA ? 0 : -EBUSY;
	for (i = 0; i < DAXCOW_CHUNK_BLOCKS; i++) {
		enum kind kind = desc_kind(&chunk->split->desc[i]);

		if (kind == KIND_FREE)
			(void)block_take(pool, c, i, KIND_DATA);
		else if (kind != KIND_DATA)
			return -EBUSY;
	}
	return 0;
}

/* Nobody owns or sees the block any more. */
void space_free(struct daxcow_pool *pool, u64 block)
{
	u32 c = chunk_of(pool, block), i = chunk_index(pool, block);
	struct split *s = pool->chunks[c].split;

	count_kind(pool, desc_kind(&s->desc[i]), -1);
	desc_clear(pool, &s->desc[i], entry_data(block));
	if (bad_test(pool, block)) {
		desc_set_kind(&s->desc[i], KIND_BAD);
		count_kind(pool, KIND_BAD, 1);
		return;
	}
	split_set_free(s, i);
	if (s->nr_free == 1)
		chunk_list_add(pool, c, true);
	if (s->nr_free < DAXCOW_CHUNK_BLOCKS)
		return;
	chunk_list_del(pool, c, true);
	pool->chunks[c].split = NULL;
	split_free(pool, s);
	desc_clear(pool, &pool->chunks[c].desc, entry_chunk(chunk_block(pool, c)));
	chunk_free_add(pool, c);
}

void space_free_chunk(struct daxcow_pool *pool, u64 block)
{
	u64 end = block + DAXCOW_CHUNK_BLOCKS;
	u32 c = chunk_of(pool, block);

	desc_clear(pool, &pool->chunks[c].desc, entry_chunk(block));
	count_kind(pool, KIND_DATA, -(s64)DAXCOW_CHUNK_BLOCKS);
	chunk_free_add(pool, c);
	/* there was no memory to split it when they failed */
	while ((block += daxcow_bad_find(pool, block, end - block)) < end)
		space_retire(pool, block++);
}

/* Write access is given: the blocks are of the current generation. */
void space_touch(struct daxcow_pool *pool, u64 block, u64 nr)
{
	u64 end = block + nr;

	pool->gen_used = true;
	while (block < end) {
		struct chunk *chunk = &pool->chunks[chunk_of(pool, block)];
		u32 i = chunk_index(pool, block);

		if (!chunk->split) {
			chunk->desc.gen = pool->gen;
			block += DAXCOW_CHUNK_BLOCKS - i;
		} else {
			chunk->split->desc[i].gen = pool->gen;
			block++;
		}
	}
}

/* Nobody can be writing to the block, or to all of its chunk while that is whole. */
void space_rest(struct daxcow_pool *pool, u64 block)
{
	space_desc(pool, block)->gen = 0;
}

u32 space_gen(struct daxcow_pool *pool, u64 block)
{
	return space_desc(pool, block)->gen;
}
