// SPDX-License-Identifier: GPL-2.0
/*
 * What those who look for equal blocks are told: which blocks are in use, since
 * when, and who may be writing to them.
 */
#include "internal.h"
#include "merge.h"

#define ROOM	((size_t)BLOCKS)

static struct daxcow_used list[BLOCKS];
static u64 hot_block, asked_of_shared;

static bool is_hot(void *ctx, u64 block, u64 nr)
{
	struct rig *r = ctx;
	u64 i, own = 0;

	/* who is asked does not hold the lock: this takes it */
	info_of(r);
	for (i = 0; i < nr; i++)
		own += block_owners(r->pool, block + i) == 1;
	asked_of_shared += !own;
	return hot_block >= block && hot_block < block + nr;
}

/* All of it, @room runs at a time; *@nr of them. */
static size_t list_from(struct rig *r, u64 start, u64 end, u32 since,
			size_t room)
{
	size_t nr = 0, got;

	while (start < end) {
		u64 was = start;

		got = daxcow_used(r->pool, &start, end, since, is_hot, r,
				  list + nr, min(room, ROOM - nr));
		assert_true(got || start > was);
		assert_true(got <= room);
		nr += got;
	}
	return nr;
}

static struct daxcow_used *find(size_t nr, u64 block)
{
	size_t i;

	for (i = 0; i < nr; i++)
		if (block >= list[i].block && block - list[i].block < list[i].nr)
			return &list[i];
	return NULL;
}

/* What there is of @block; its absence is a failure. */
static struct daxcow_used *used(struct rig *r, u64 block, u32 since)
{
	struct daxcow_used *u = find(list_from(r, 0, BLOCKS, since, ROOM), block);

	assert_non_null(u);
	return u;
}

static bool is_used(struct rig *r, u64 block, u32 since)
{
	return find(list_from(r, 0, BLOCKS, since, ROOM), block);
}

static u64 chunk(struct rig *r, int v, u64 vblk)
{
	u64 block;

	assert_int_equal(daxcow_provision(r->vol[v], vblk, CHUNK, &block), CHUNK);
	return block;
}

static bool all_are_apart(size_t nr)
{
	size_t i;

	for (i = 1; i < nr; i++)
		if (list[i - 1].block + list[i - 1].nr > list[i].block)
			return false;
	return true;
}

/* A bit of everything. */
static void populate(struct rig *r, u64 *whole, u64 *split)
{
	u64 i;

	for (i = 0; i < 20; i++)
		own(r, 0, i);
	*whole = chunk(r, 0, CHUNK * 4);
	*split = chunk(r, 0, CHUNK * 6);
	snapshot(r, 0, 1);
	daxcow_set_cow(r->pool, DAXCOW_COW_4K);
	own(r, 1, CHUNK * 6 + 3);
	daxcow_set_cow(r->pool, DAXCOW_COW_AUTO);
	assert_int_equal(daxcow_discard(r->vol[1], 3, 1), 0);
	own(r, 1, 9);
	drain(r);
}

/* ---- what is listed ---- */

/* Each data block once, and nothing else; whatever the room. */
static void all_data_is_listed(void **state)
{
	u64 whole, split, b, seen;
	struct rig *r = *state;
	enum daxcow_use use;
	size_t room, nr;

	populate(r, &whole, &split);
	for (room = 1; room < 9; room++) {
		nr = list_from(r, 0, BLOCKS, 0, room);
		assert_true(all_are_apart(nr));
		for (b = 0, seen = 0; b < BLOCKS; b++) {
			owners_use(r, b, &use);
			assert_int_equal(use == DAXCOW_BLOCK_DATA,
					 !!find(nr, b));
			seen += use == DAXCOW_BLOCK_DATA;
		}
		assert_int_equal(seen, info_of(r).nr_data);
	}
	assert_int_equal(asked_of_shared, 0);
}

static void runs_are_alike(void **state)
{
	u64 whole, split, i;
	struct daxcow_used *u;
	struct rig *r = *state;
	size_t nr;

	populate(r, &whole, &split);
	nr = list_from(r, 0, BLOCKS, 0, ROOM);
	/* there are fewer of them than blocks */
	assert_true(nr < info_of(r).nr_data / 2);
	for (i = 0; i < nr; i++) {
		u64 b;

		for (b = list[i].block; b < list[i].block + list[i].nr; b++) {
			if (list[i].chunk) {
				assert_true(list[i].owners >= block_owners(r->pool, b));
				continue;
			}
			assert_int_equal(list[i].owners, block_owners(r->pool, b));
			assert_int_equal(list[i].generation, space_gen(r->pool, b));
		}
	}
	u = used(r, whole, 0);
	assert_true(u->chunk);
	assert_int_equal(u->block, whole);
	assert_int_equal(u->nr, CHUNK);
	/* one that is also mapped by its blocks is a chunk to somebody */
	u = used(r, split + 3, 0);
	assert_true(u->chunk);
	assert_int_equal(u->block, split);
	assert_int_equal(u->owners, 2);
}

static void from_the_middle(void **state)
{
	u64 whole, split, at;
	struct daxcow_used one;
	struct rig *r = *state;

	populate(r, &whole, &split);
	at = whole + 5;
	assert_int_equal(daxcow_used(r->pool, &at, at + 1, 0, NULL, NULL, &one, 1), 1);
	assert_int_equal(one.block, whole);
	assert_int_equal(one.nr, CHUNK);
	assert_int_equal(at, whole + CHUNK);
	/* no room: it is still there */
	at = whole + 5;
	assert_int_equal(daxcow_used(r->pool, &at, BLOCKS, 0, NULL, NULL, &one, 0), 0);
	assert_int_equal(at, whole + 5);
	/* single blocks begin where they are asked for, and end there */
	at = where(r, 0, 1);
	assert_int_equal(daxcow_used(r->pool, &at, at + 1, 0, NULL, NULL, &one, 1), 1);
	assert_int_equal(one.block, where(r, 0, 1));
	assert_int_equal(one.nr, 1);
	at = BLOCKS;
	assert_int_equal(daxcow_used(r->pool, &at, ~0ULL, 0, NULL, NULL, &one, 1), 0);
	assert_int_equal(at, BLOCKS);
	at = ~0ULL;
	assert_int_equal(daxcow_used(r->pool, &at, ~0ULL, 0, NULL, NULL, &one, 1), 0);
	assert_int_equal(at, ~0ULL);
}

/* The first chunk begins before block 0, the last one ends after the pool. */
static void chunks_at_the_edges(void **state)
{
	struct daxcow_params p = { .uuid = (const u8 *)"edgeedgeedgeedge" };
	struct daxcow_volume_desc d = { .id = 0 };
	struct rig *r = *state;
	u64 start, b;
	enum daxcow_use use;
	size_t nr;

	for (p.chunk_offset = 0; p.chunk_offset < CHUNK; p.chunk_offset++) {
		rig_close(r);
		daxcow_unload(r->pool);
		assert_int_equal(daxcow_format(r->mem, BLOCKS, &p), 0);
		rig_load(r);
		assert_int_equal(daxcow_create(r->pool, &d), 0);
		assert_int_equal(daxcow_open(r->pool, 0, &r->vol[0]), 0);
		chunk(r, 0, CHUNK);
		take_all_but(r, CHUNK * CHUNK, ~0ULL);
		for (start = 0; start < CHUNK * 2; start++) {
			nr = list_from(r, start, BLOCKS, 0, ROOM);
			assert_true(all_are_apart(nr));
			for (b = start; b < BLOCKS; b++) {
				owners_use(r, b, &use);
				assert_int_equal(use == DAXCOW_BLOCK_DATA,
						 !!find(nr, b));
			}
		}
	}
}

static void domains_and_bad_blocks(void **state)
{
	struct daxcow_volume_desc d = { .id = 1, .domain = 7 };
	struct rig *r = *state;
	u64 first, i, block;

	assert_int_equal(daxcow_create(r->pool, &d), 0);
	assert_int_equal(daxcow_open(r->pool, 1, &r->vol[1]), 0);
	own(r, 1, 7);
	own(r, 0, 7);
	for (i = 0; i < 6; i++)
		own(r, i / 3, i);
	first = where(r, 0, 0);
	assert_int_equal(used(r, first, 0)->nr, 3);
	assert_int_equal(used(r, first, 0)->domain, 0);
	block = where(r, 1, 3);
	assert_int_equal(used(r, block, 0)->domain, 7);
	assert_int_equal(used(r, block, 0)->nr, 3);
	assert_int_equal(daxcow_bad_add(r->pool, first + 1), 0);
	assert_false(used(r, first, 0)->bad);
	assert_true(used(r, first + 1, 0)->bad);
	assert_int_equal(used(r, first + 1, 0)->nr, 1);
	block = chunk(r, 1, CHUNK * 4);
	assert_int_equal(used(r, block, 0)->domain, 7);
	assert_false(used(r, block, 0)->bad);
	assert_int_equal(daxcow_bad_add(r->pool, block + 7), 0);
	assert_true(used(r, block, 0)->bad);
}

static void hot_blocks(void **state)
{
	struct rig *r = *state;
	u64 whole, split, first;

	own(r, 0, 7);
	own(r, 0, 0);
	own(r, 0, 1);
	own(r, 0, 2);
	first = where(r, 0, 0);
	whole = chunk(r, 0, CHUNK);
	split = chunk(r, 0, CHUNK * 2);
	hot_block = first + 1;
	assert_false(used(r, first, 0)->hot);
	assert_true(used(r, first + 1, 0)->hot);
	assert_int_equal(used(r, first + 1, 0)->nr, 1);
	hot_block = whole + 5;
	assert_true(used(r, whole, 0)->hot);
	assert_false(used(r, split, 0)->hot);
	/* who shares cannot write */
	snapshot(r, 0, 1);
	own(r, 1, 0);
	assert_false(used(r, whole, 0)->hot);
	/* one block of a chunk is shared, and the others are not */
	assert_int_equal(daxcow_discard(r->vol[1], CHUNK, CHUNK * 2), 0);
	drain(r);
	assert_int_equal(own(r, 0, CHUNK * 2 + 6), split + 6);
	assert_int_equal(merge(r, split + 2, own(r, 1, 5)), 0);
	assert_int_equal(own(r, 0, CHUNK * 2 + 6), split + 6);
	hot_block = split + 6;
	assert_true(used(r, split, 0)->hot);
}

static bool write_ahead(void *ctx, u64 block, u64 nr)
{
	static bool done;

	if (!done)
		own(ctx, 0, 90);
	done = true;
	return false;
}

/* Who wants to write while a long list is made need not wait for its end. */
static void writers_come_between(void **state)
{
	struct rig *r = *state;
	u64 i, last, start = 0;
	size_t nr;
	u32 gen;

	for (i = 0; i <= 90; i++)
		own(r, 0, i);
	last = where(r, 0, 90);
	gen = generation(r);
	nr = daxcow_used(r->pool, &start, BLOCKS, 0, write_ahead, r, list, ROOM);
	assert_non_null(find(nr, last));
	assert_int_equal(find(nr, last)->generation, gen);
}

/* ---- generations ---- */

static void generations_begin(void **state)
{
	struct rig *r = *state;
	u32 gen = generation(r);

	/* none is given out in vain */
	assert_int_equal(generation(r), gen);
	assert_int_equal(daxcow_generation(r->pool), gen);
	own(r, 0, 5);
	assert_int_equal(daxcow_generation(r->pool), gen);
	assert_int_equal(generation(r), gen + 1);
	assert_int_equal(generation(r), gen + 1);
	assert_int_equal(daxcow_zero(r->vol[0], 5), 0);
	assert_int_equal(generation(r), gen + 2);
	/* nothing is given to anybody by these */
	snapshot(r, 0, 1);
	assert_int_equal(daxcow_discard(r->vol[1], 5, 1), 0);
	where(r, 0, 5);
	drain(r);
	assert_int_equal(generation(r), gen + 2);
	reload(r);
	assert_int_equal(generation(r), generation(r));
}

static void since_a_generation(void **state)
{
	u64 p, q, whole, old;
	struct rig *r = *state;
	u32 gen;

	p = own(r, 0, 5);
	q = own(r, 0, 6);
	whole = chunk(r, 0, CHUNK);
	old = chunk(r, 0, CHUNK * 2);
	gen = generation(r);
	assert_int_equal(list_from(r, 0, BLOCKS, gen, ROOM), 0);
	assert_true(used(r, p, 0)->generation < gen);
	own(r, 0, 6);
	own(r, 0, CHUNK + 3);
	assert_false(is_used(r, p, gen));
	assert_int_equal(used(r, q, gen)->generation, gen);
	assert_int_equal(used(r, q, gen)->nr, 1);
	assert_int_equal(used(r, whole, gen)->generation, gen);
	assert_int_equal(used(r, whole, gen)->nr, CHUNK);
	assert_false(is_used(r, old, gen));
	/* one that has descriptors by the block is as young as the youngest */
	snapshot(r, 0, 1);
	daxcow_set_cow(r->pool, DAXCOW_COW_4K);
	own(r, 1, CHUNK * 2 + 3);
	assert_int_equal(daxcow_discard(r->vol[1], CHUNK * 2, CHUNK), 0);
	drain(r);
	gen = generation(r);
	assert_int_equal(own(r, 0, CHUNK * 2 + 4), old + 4);
	assert_int_equal(used(r, old, gen)->generation, gen);
	assert_false(is_used(r, whole, gen));
	/* all is older than what a pool that was just loaded knows */
	reload(r);
	gen = generation(r);
	assert_false(is_used(r, p, gen));
	assert_true(is_used(r, p, 0));
}

static void generations_end(void **state)
{
	struct rig *r = *state;
	u64 p = own(r, 0, 5), q = own(r, 0, 9);
	u32 gen;

	r->pool->gen = ~0U - 1;
	assert_int_equal(generation(r), ~0U);
	assert_int_equal(own(r, 0, 5), p);
	assert_int_equal(daxcow_generation_begin(r->pool, &gen), -EOVERFLOW);
	assert_int_equal(own(r, 0, 9), q);
	/* the last one is as good as any other */
	assert_true(is_used(r, p, ~0U));
	reload(r);
	assert_int_equal(merge(r, p, q), 0);
}

/* ---- who may write without asking ---- */

static void exclusive_blocks(void **state)
{
	u64 p, q, whole, far = CHUNK * CHUNK;
	struct rig *r = *state;

	p = own(r, 0, 5);
	own(r, 0, 6);
	whole = chunk(r, 0, CHUNK);
	q = own(r, 0, far);
	assert_true(daxcow_exclusive(r->pool, p, 1));
	assert_true(daxcow_exclusive(r->pool, whole + 3, 1));
	assert_true(daxcow_exclusive(r->pool, whole, CHUNK));
	/* found behind what is not */
	assert_true(daxcow_exclusive(r->pool, p - 1, 2));
	assert_false(daxcow_exclusive(r->pool, 0, 1));
	assert_false(daxcow_exclusive(r->pool, BLOCKS - 1, 1));
	assert_false(daxcow_exclusive(r->pool, BLOCKS, CHUNK));
	assert_false(daxcow_shared(r->pool, p));
	assert_false(daxcow_shared(r->pool, whole + 3));
	assert_false(daxcow_shared(r->pool, BLOCKS - 1));
	assert_false(daxcow_shared(r->pool, BLOCKS));
	/* shared high above them */
	snapshot(r, 0, 1);
	assert_true(daxcow_shared(r->pool, p));
	assert_true(daxcow_shared(r->pool, whole + 3));
	assert_false(daxcow_exclusive(r->pool, p, 1));
	assert_false(daxcow_exclusive(r->pool, whole, CHUNK));
	assert_false(daxcow_exclusive(r->pool, q, 1));
	/* a copy of the tables, of which one leaf is still shared */
	own(r, 0, 5);
	assert_false(daxcow_exclusive(r->pool, q, 1));
	assert_false(daxcow_exclusive(r->pool, where(r, 0, 6), 1));
	assert_true(daxcow_exclusive(r->pool, where(r, 0, 5), 1));
	assert_true(daxcow_shared(r->pool, where(r, 0, 6)));
	assert_false(daxcow_shared(r->pool, where(r, 0, 5)));
	/* one is left, but who left may look on */
	assert_false(daxcow_exclusive(r->pool, p, 1));
	assert_true(daxcow_shared(r->pool, p));
	drain(r);
	assert_true(daxcow_exclusive(r->pool, p, 1));
	assert_false(daxcow_shared(r->pool, p));
	/* after a load nobody has been given anything */
	reload(r);
	assert_false(daxcow_exclusive(r->pool, p, 1));
	assert_int_equal(own(r, 1, 5), p);
	assert_true(daxcow_exclusive(r->pool, p, 1));
}

static void merged_blocks_are_not(void **state)
{
	struct rig *r = *state;
	u64 p = own(r, 0, 5), q = own(r, 0, 9), whole = chunk(r, 0, CHUNK * 2);
	struct daxcow_merge m = {
		.keep = p, .drop = whole + 3, .nr = 1, .split = true,
	};

	assert_int_equal(merge(r, p, q), 0);
	assert_false(daxcow_exclusive(r->pool, p, 1));
	assert_false(daxcow_exclusive(r->pool, q, 1));
	assert_true(daxcow_shared(r->pool, p));
	m.before = generation(r);
	assert_int_equal(daxcow_merge(r->pool, &m), 0);
	assert_false(daxcow_exclusive(r->pool, whole + 3, 1));
	/* the rest of the chunk is what it was */
	assert_true(daxcow_exclusive(r->pool, whole + 4, 1));
	assert_int_equal(daxcow_discard(r->vol[0], 5, 1), 0);
	assert_int_equal(daxcow_discard(r->vol[0], 9, 1), 0);
	drain(r);
	assert_int_equal(owners(r, p), 1);
	/* nobody has been given it since it was shared */
	assert_false(daxcow_exclusive(r->pool, p, 1));
	assert_int_equal(own(r, 0, CHUNK * 2 + 3), p);
	assert_true(daxcow_exclusive(r->pool, p, 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(all_data_is_listed),
		CASE(runs_are_alike),
		CASE(from_the_middle),
		CASE(chunks_at_the_edges),
		CASE(domains_and_bad_blocks),
		CASE(hot_blocks),
		CASE(writers_come_between),
		CASE(generations_begin),
		CASE(since_a_generation),
		CASE(generations_end),
		CASE(exclusive_blocks),
		CASE(merged_blocks_are_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
