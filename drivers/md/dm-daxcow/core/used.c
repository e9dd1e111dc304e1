// SPDX-License-Identifier: GPL-2.0
/*
 * What is used, and when write access to it was given: for those who look for
 * equal blocks.
 */
#include "internal.h"

/*
 * Blocks that are looked at under the lock at once, and chunks without any. Every
 * writer needs the lock, and may have to wait for so long each time that it does. A
 * chunk that is mapped as a whole is one step, however many descriptors it has.
 */
#define STEP	64
/* Of these in one call. */
#define STEPS	128

int daxcow_generation_begin(struct daxcow_pool *pool, u32 *gen)
{
	int ret = 0;

	pool_lock(pool);
	/* with nobody in the current one it is as good as a new one */
	if (pool->gen_used && pool->gen == ~0U) {
		ret = -EOVERFLOW;
	} else if (pool->gen_used) {
		pool->gen++;
		pool->gen_used = false;
	}
	*gen = pool->gen;
	pool_unlock(pool);
	return ret;
}

u32 daxcow_generation(struct daxcow_pool *pool)
{
	return READ_ONCE(pool->gen);
}

/*
 * Runs, while they are collected: @nr are complete, what was found since then follows
 * as single blocks and chunks, up to @found. The owners on @line are in @domain.
 */
struct list {
	struct daxcow_pool *pool;
	struct daxcow_used *at;
	size_t nr, found, room;
	u32 since, domain;
	u64 line;
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

static u32 domain_of(struct list *l, u64 block)
{
	u64 line = owner_line(l->pool, block);

	if (line != l->line) {
		l->domain = 0;
		paths_each(l->pool, block, first_path, &l->domain);
		l->line = line;
	}
	return l->domain;
}

/* @own: a block of it has one owner, who may be writing. */
static void found(struct list *l, struct daxcow_used *u, bool own)
{
	if (u->generation < l->since)
		return;
	u->domain = domain_of(l, u->block);
	u->bad = daxcow_bad_find(l->pool, u->block, u->nr) < u->nr;
	u->hot = own;
	l->at[l->found++] = *u;
}

/* A chunk that somebody maps as a whole, at @block. */
static void find_chunk(struct list *l, const struct chunk *chunk, u64 block)
{
	const struct desc *d = chunk->split ? chunk->split->desc : &chunk->desc;
	u32 i, n = chunk->split ? DAXCOW_CHUNK_BLOCKS : 1, owners;
	struct daxcow_used u = {
		.block = block,
		.nr = DAXCOW_CHUNK_BLOCKS,
		.chunk = true,
	};
	bool own = false;

	for (i = 0; i < n; i++) {
		owners = block_owners(l->pool, block + i);
		u.owners = max(u.owners, owners);
		u.generation = max(u.generation, d[i].gen);
		own |= owners == 1;
	}
	found(l, &u, own);
}

/* @nr blocks of it that begin at @block, or as many as there is room for. */
static u32 find_blocks(struct list *l, const struct split *split, u64 block,
		       u32 nr)
{
	u32 first = chunk_index(l->pool, block), i;

	for (i = 0; i < nr && l->found < l->room; i++) {
		const struct desc *d = &split->desc[first + i];
		struct daxcow_used u = { .block = block + i, .nr = 1 };

		if (desc_kind(d) != KIND_DATA)
			continue;
		u.owners = desc_count(d);
		u.generation = d->gen;
		if (u.owners)
			found(l, &u, u.owners == 1);
	}
	return i;
}

/* From @block on, as far as there is room and the lock may be held. */
static u64 step(struct list *l, u64 block, u64 end)
{
	u32 left = STEP, n;

	while (block < end && left && l->found < l->room) {
		const struct chunk *chunk =
			&l->pool->chunks[chunk_of(l->pool, block)];
		u32 i = chunk_index(l->pool, block), rest = DAXCOW_CHUNK_BLOCKS - i;

		if (desc_count(&chunk->desc)) {
			find_chunk(l, chunk, block - i);
			n = DAXCOW_CHUNK_BLOCKS;
			block += rest;
		} else if (!chunk->split) {
			n = 1;
			block += rest;
		} else {
			n = find_blocks(l, chunk->split, block,
					min((u64)min(rest, left), end - block));
			block += n;
		}
		left -= min(left, n);
	}
	return block;
}

static bool alike(const struct daxcow_used *a, const struct daxcow_used *b)
{
	return a->block + a->nr == b->block && a->owners == b->owners &&
	       a->generation == b->generation && a->domain == b->domain &&
	       !a->chunk && !b->chunk && a->hot == b->hot && a->bad == b->bad;
}

/* A run never gets behind what it is made of. */
static void join(struct list *l, bool (*hot)(void *ctx, u64 block, u64 nr),
		 void *ctx)
{
	size_t i;

	for (i = l->nr; i < l->found; i++) {
		struct daxcow_used u = l->at[i];

		u.hot = u.hot && hot && hot(ctx, u.block, u.nr);
		if (l->nr && alike(&l->at[l->nr - 1], &u))
			l->at[l->nr - 1].nr += u.nr;
		else
			l->at[l->nr++] = u;
	}
	l->found = l->nr;
}

size_t daxcow_used(struct daxcow_pool *pool, u64 *start, u64 end, u32 since,
		   bool (*hot)(void *ctx, u64 block, u64 nr), void *ctx,
		   struct daxcow_used *at, size_t room)
{
	struct list l = {
		.pool = pool,
		.at = at,
		.room = room,
		.since = since,
		.line = ~0ULL,
	};
	u32 i;

	end = min(end, READ_ONCE(pool->nr_blocks));
	for (i = 0; i < STEPS && *start < end && l.nr < room; i++) {
		pool_lock(pool);
		*start = step(&l, *start, end);
		/* nodes can become others' without it */
		l.line = ~0ULL;
		pool_unlock(pool);
		join(&l, hot, ctx);
	}
	return l.nr;
}
