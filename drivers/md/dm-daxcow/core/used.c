// SPDX-License-Identifier: GPL-2.0
/*
 * What is used, and when write access to it was given: for those who look for
 * equal blocks.
 */
#include "internal.h"

/* Blocks that are looked at under the lock at once. */
#define STEP	8192

int daxcow_generation_begin(struct daxcow_pool *pool, u32 *gen)
{
	int ret = 0;

	mutex_lock(&pool->lock);
	/* with nobody in the current one it is as good as a new one */
	if (pool->gen_used && pool->gen == ~0U) {
		ret = -EOVERFLOW;
	} else if (pool->gen_used) {
		pool->gen++;
		pool->gen_used = false;
	}
	*gen = pool->gen;
	mutex_unlock(&pool->lock);
	return ret;
}

u32 daxcow_generation(struct daxcow_pool *pool)
{
	return READ_ONCE(pool->gen);
}

/* Runs, while they are collected. The owners of @node are in @domain. */
struct list {
	struct daxcow_pool *pool;
	struct daxcow_used *at;
	size_t nr, room;
	bool (*hot)(void *ctx, u64 block, u64 nr);
	void *ctx;
	u64 node;
	u32 domain;
};

static int first_path(void *arg, struct daxcow_pool *pool, const struct way_up *p)
{
	const struct daxcow_record *r = pool_addr(pool, p->record);
	__le32 domain = 0;

	if (!bad_test(pool, p->record))
		pm_read(&domain, &r->domain, sizeof(domain));
	*(u32 *)arg = le32_to_cpu(domain);
	return 1;
}

static u32 domain_of(struct list *l, u64 block, const struct desc *d)
{
	u64 node = slot_block(desc_owner(d, 0));

	if (node != l->node) {
		l->domain = 0;
		paths_each(l->pool, block, first_path, &l->domain);
		l->node = node;
	}
	return l->domain;
}

static bool alike(const struct daxcow_used *a, const struct daxcow_used *b)
{
	return a->block + a->nr == b->block && a->owners == b->owners &&
	       a->generation == b->generation && a->domain == b->domain &&
	       !a->chunk && !b->chunk && a->hot == b->hot && a->bad == b->bad;
}

/* @own: a block of it has one owner. False when there is no room. */
static bool run_add(struct list *l, struct daxcow_used *u, const struct desc *d,
		    bool own)
{
	struct daxcow_used *last = l->nr ? &l->at[l->nr - 1] : NULL;

	u->domain = domain_of(l, u->block, d);
	u->bad = daxcow_bad_find(l->pool, u->block, u->nr) < u->nr;
	u->hot = l->hot && own && l->hot(l->ctx, u->block, u->nr);
	if (last && alike(last, u)) {
		last->nr += u->nr;
		return true;
	}
	if (l->nr == l->room)
		return false;
	l->at[l->nr++] = *u;
	return true;
}

static bool mapped_whole(struct daxcow_pool *pool, const struct desc *d)
{
	u32 i;

	if (desc_kind(d) != KIND_DATA)
		return false;
	for (i = 0; i < desc_owners(d); i++)
		if (slot_level(pool, desc_owner(d, i)) == 1)
			return true;
	return false;
}

/* A chunk that somebody maps as a whole, at @block. */
static bool chunk_add(struct list *l, u64 block, u32 since)
{
	struct daxcow_used u = {
		.block = block,
		.nr = DAXCOW_CHUNK_BLOCKS,
		.chunk = true,
	};
	bool own = false;
	u32 i, owners;

	for (i = 0; i < DAXCOW_CHUNK_BLOCKS; i++) {
		owners = desc_owners(space_desc(l->pool, block + i));
		u.owners = max(u.owners, owners);
		u.generation = max(u.generation, space_gen(l->pool, block + i));
		own |= owners == 1;
	}
	return u.generation < since ||
	       run_add(l, &u, space_desc(l->pool, block), own);
}

static bool block_add(struct list *l, u64 block, u32 since)
{
	const struct desc *d = space_desc(l->pool, block);
	struct daxcow_used u = {
		.block = block,
		.nr = 1,
		.owners = desc_owners(d),
		.generation = space_gen(l->pool, block),
	};

	return desc_kind(d) != KIND_DATA || !u.owners ||
	       u.generation < since || run_add(l, &u, d, u.owners == 1);
}

size_t daxcow_used(struct daxcow_pool *pool, u64 *start, u64 end, u32 since,
		   bool (*hot)(void *ctx, u64 block, u64 nr), void *ctx,
		   struct daxcow_used *at, size_t room)
{
	struct list l = {
		.pool = pool,
		.at = at,
		.room = room,
		.hot = hot,
		.ctx = ctx,
		.node = ~0ULL,
	};
	u64 block = *start, stop;

	mutex_lock(&pool->lock);
	end = min(end, pool->nr_blocks);
	stop = min(end, block + STEP);
	while (block < stop) {
		u32 i = chunk_index(pool, block);
		u64 first = block >= i ? block - i : 0;
		struct chunk *chunk = &pool->chunks[chunk_of(pool, block)];
		bool whole = mapped_whole(pool, chunk->split ?
					  &chunk->split->desc[0] : &chunk->desc);

		if (whole ? !chunk_add(&l, first, since) :
			    chunk->split && !block_add(&l, block, since))
			break;
		block = whole || !chunk->split ?
			first + DAXCOW_CHUNK_BLOCKS : block + 1;
	}
	mutex_unlock(&pool->lock);
	*start = max(block, *start);
	return l.nr;
}
