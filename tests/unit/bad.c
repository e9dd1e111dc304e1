// SPDX-License-Identifier: GPL-2.0
/*
 * Memory that failed: who still gets a bad block, and when it is used again.
 */
#include "rig.h"
#include "internal.h"

static void must_fail(struct rig *r, int v, u64 vblk)
{
	u64 block;

	assert_int_equal(daxcow_provision(r->vol[v], vblk, 1, &block), -EIO);
}

static int stop(void *arg, const struct daxcow_owner *o)
{
	++*(u64 *)arg;
	return 0;
}

static u64 owners(struct rig *r, u64 block, enum daxcow_use *use)
{
	u64 nr = 0;

	daxcow_owners(r->pool, block, use, stop, NULL, &nr);
	return nr;
}

/* Take all that is left. */
static u64 take_all_of(struct rig *r, int v, u64 vblk, u64 except)
{
	u64 block, nr = 0;

	while (daxcow_provision(r->vol[v], vblk++, 1, &block) == 1) {
		assert_int_not_equal(block, except);
		nr++;
	}
	return nr;
}

static u64 take_all(struct rig *r, u64 vblk, u64 except)
{
	return take_all_of(r, 0, vblk, except);
}

static void free_block_is_not_used(void **state)
{
	struct rig *r = *state;
	u64 p = own(r, 0, 5);
	struct daxcow_pool_info before;

	assert_int_equal(daxcow_discard(r->vol[0], 5, 1), 0);
	drain(r);
	before = info_of(r);
	assert_int_equal(daxcow_bad_add(r->pool, p), 0);
	assert_int_equal(daxcow_bad_add(r->pool, p), -EEXIST);
	assert_int_equal(daxcow_bad_add(r->pool, BLOCKS), -ERANGE);
	assert_int_equal(info_of(r).nr_free, before.nr_free - 1);
	assert_int_equal(info_of(r).nr_retired, 1);
	assert_int_equal(daxcow_verify(r->pool, NULL), 0);
	take_all(r, 0, p);
	assert_int_equal(daxcow_bad_clear(r->pool, p), 0);
	assert_int_equal(daxcow_bad_clear(r->pool, p), -ENOENT);
	assert_int_equal(info_of(r).nr_retired, 0);
	assert_int_equal(info_of(r).nr_bad, 0);
}

/* Nor one in the middle of a free chunk, which is no whole chunk any more. */
static void free_chunk_is_not_used(void **state)
{
	struct rig *r = *state;
	u64 chunks = info_of(r).nr_chunks_free;
	u64 p = CHUNK * 20 + 3;

	assert_int_equal(daxcow_bad_add(r->pool, p), 0);
	assert_int_equal(info_of(r).nr_chunks_free, chunks - 1);
	take_all(r, 0, p);
	daxcow_discard(r->vol[0], 0, BLOCKS);
	drain(r);
	chunks = info_of(r).nr_chunks_free;
	daxcow_bad_clear(r->pool, p);
	assert_int_equal(info_of(r).nr_chunks_free, chunks + 1);
}

/* The owners stay; each is healed by what replaces all of the block. */
static void shared_block_heals_one_by_one(void **state)
{
	static char bytes[DAXCOW_BLOCK_SIZE];
	enum daxcow_use use;
	struct rig *r = *state;
	u64 p = own(r, 0, 5);

	own(r, 0, 6);
	snapshot(r, 0, 1);
	snapshot(r, 0, 2);
	assert_int_equal(daxcow_bad_add(r->pool, p), 0);
	assert_int_equal(owners(r, p, NULL), 3);
	assert_int_equal(where(r, 0, 5), p);
	must_fail(r, 0, 5);
	assert_int_equal(daxcow_overwrite(r->vol[0], 5, false, fill, bytes),
			 -EIO);
	/* its neighbour can be copied */
	own(r, 1, 6);

	overwrite(r, 0, 5);
	assert_int_not_equal(where(r, 0, 5), p);
	assert_int_equal(own(r, 0, 5), where(r, 0, 5));
	assert_int_equal(daxcow_zero(r->vol[1], 5), 0);
	assert_int_equal(where(r, 1, 5), DAXCOW_HOLE);
	must_fail(r, 2, 5);
	drain(r);
	/* the last owner does not write it either */
	must_fail(r, 2, 5);
	assert_int_equal(info_of(r).nr_retired, 0);
	assert_int_equal(daxcow_discard(r->vol[2], 5, 1), 0);
	own(r, 2, 5);
	drain(r);
	assert_int_equal(info_of(r).nr_retired, 1);
	owners(r, p, &use);
	assert_int_equal(use, DAXCOW_BLOCK_RETIRED);
	assert_int_equal(daxcow_verify(r->pool, NULL), 0);
	daxcow_bad_clear(r->pool, p);
	owners(r, p, &use);
	assert_int_equal(use, DAXCOW_BLOCK_FREE);
}

/* Alone, and not as part of a run: the blocks around it can be written. */
static void own_block_ends_a_run(void **state)
{
	struct rig *r = *state;
	u64 block, p;

	assert_int_equal(daxcow_provision(r->vol[0], CHUNK, CHUNK, &block),
			 CHUNK);
	p = block + 3;
	assert_int_equal(daxcow_bad_add(r->pool, p), 0);
	assert_int_equal(daxcow_bad_find(r->pool, block, CHUNK), 3);
	assert_int_equal(daxcow_bad_find(r->pool, p, CHUNK), 0);
	assert_int_equal(daxcow_bad_find(r->pool, p + 1, CHUNK), CHUNK);
	assert_int_equal(daxcow_provision(r->vol[0], CHUNK, CHUNK, &block), 3);
	must_fail(r, 0, CHUNK + 3);
	assert_int_equal(daxcow_provision(r->vol[0], CHUNK + 4, CHUNK, &block),
			 CHUNK - 4);
	/* all of it is written anew */
	overwrite(r, 0, CHUNK + 3);
	assert_int_not_equal(where(r, 0, CHUNK + 3), p);
	drain(r);
	assert_int_equal(info_of(r).nr_retired, 1);
}

static void shared_chunk_is_copied_around_it(void **state)
{
	struct rig *r = *state;
	u64 block, p;

	assert_int_equal(daxcow_provision(r->vol[0], CHUNK, CHUNK, &block),
			 CHUNK);
	p = block + 3;
	snapshot(r, 0, 1);
	/* now the chunk is what is shared, and not the node above it */
	own(r, 1, 0);
	assert_int_equal(daxcow_bad_add(r->pool, p), 0);
	assert_int_equal(daxcow_provision(r->vol[0], CHUNK, CHUNK, &block), 1);
	must_fail(r, 0, CHUNK + 3);
	must_fail(r, 1, CHUNK + 3);
	overwrite(r, 1, CHUNK + 3);
	assert_int_equal(where(r, 0, CHUNK + 3), p);
}

/* The block of the node that maps @vblk, found as its only other owner is. */
static u64 table_of(struct rig *r, u64 vblk)
{
	enum daxcow_use use;
	u64 b;

	for (b = 0; b < BLOCKS; b++) {
		u64 nr = owners(r, b, &use);

		if (use == DAXCOW_BLOCK_TABLE && nr && where(r, 0, vblk) != b) {
			struct daxcow_volume *v = r->vol[0];
			u64 block;

			daxcow_bad_add(r->pool, b);
			if (daxcow_lookup(v, vblk, 1, &block) == -EIO &&
			    daxcow_lookup(v, 0, 1, &block) > 0)
				return b;
			daxcow_bad_clear(r->pool, b);
		}
	}
	fail();
	return 0;
}

/* What is below it cannot be found, all else can, and nothing is given away. */
static void table_hides_what_is_below(void **state)
{
	u64 vblk = CHUNK * 3, block, p, table, free;
	struct daxcow_volume_info v;
	struct rig *r = *state;

	own(r, 0, 0);
	p = own(r, 0, vblk);
	snapshot(r, 0, 1);
	table = table_of(r, vblk);
	must_fail(r, 0, vblk);
	must_fail(r, 1, vblk + 1);
	assert_int_equal(daxcow_lookup(r->vol[1], vblk, 1, &block), -EIO);
	own(r, 1, 0);
	own(r, 1, CHUNK * 4);
	assert_int_equal(owners(r, p, NULL), 2);
	assert_int_equal(owners(r, table, NULL), 2);
	drain(r);
	assert_int_equal(daxcow_verify(r->pool, NULL), -EIO);
	/* it can be opened, left, and taken apart */
	rig_close(r);
	assert_int_equal(daxcow_open(r->pool, 0, &r->vol[0]), 0);
	assert_int_equal(daxcow_discard(r->vol[0], vblk, CHUNK), 0);
	own(r, 0, vblk);
	assert_int_equal(daxcow_delete(r->pool, 1), 0);
	drain(r);
	assert_int_equal(daxcow_next_volume(r->pool, 1, &v), -ENOENT);
	/* nobody can tell that it was in the table: it is lost until a load */
	daxcow_bad_clear(r->pool, table);
	take_all(r, CHUNK * 8, p);
	rig_close(r);
	free = info_of(r).nr_free;
	daxcow_unload(r->pool);
	rig_load(r);
	assert_int_equal(info_of(r).nr_free, free + 2);
}

static void load_how(struct rig *r, u64 bad, unsigned int flags, int want)
{
	struct daxcow_host host = { .bad = &bad, .nr_bad = 1 };

	rig_close(r);
	daxcow_unload(r->pool);
	assert_int_equal(daxcow_load(&r->pool, r->mem, BLOCKS, flags, &host,
				     NULL), want);
	if (want)
		rig_load(r);
}

static void load_with(struct rig *r, u64 bad, int want)
{
	load_how(r, bad, 0, want);
}

/* What is bad when the pool is loaded is not looked at. */
/* What is in a bad table is not known, and so not whether a hole is all that it has. */
static void hole_below_bad_table(void **state)
{
	struct rig *r = *state;
	struct place p;
	u64 block, was;

	rig_close(r);
	assert_int_equal(daxcow_resize(r->pool, 0, CHUNK), 0);
	assert_int_equal(daxcow_open(r->pool, 0, &r->vol[0]), 0);
	was = own(r, 0, 2);
	assert_int_equal(tree_find(r->pool, r->vol[0]->root_slot, 2, 0, &p), 0);
	assert_int_equal(daxcow_bad_add(r->pool, slot_block(p.slot)), 0);
	assert_int_equal(daxcow_discard(r->vol[0], 5, 1), -EIO);
	assert_int_equal(daxcow_lookup(r->vol[0], 2, 1, &block), -EIO);
	daxcow_close(r->vol[0]);
	assert_int_equal(daxcow_resize(r->pool, 0, 5), -EIO);
	assert_int_equal(daxcow_open(r->pool, 0, &r->vol[0]), 0);
	assert_int_equal(daxcow_bad_clear(r->pool, slot_block(p.slot)), 0);
	assert_int_equal(where(r, 0, 2), was);
	/* all of it goes */
	assert_int_equal(daxcow_bad_add(r->pool, slot_block(p.slot)), 0);
	assert_int_equal(daxcow_discard(r->vol[0], 0, CHUNK), 0);
	assert_int_equal(where(r, 0, 2), DAXCOW_HOLE);
	assert_int_equal(daxcow_bad_clear(r->pool, slot_block(p.slot)), 0);
}

static void known_at_load(void **state)
{
	u64 vblk = CHUNK * 3, p, q, table, block;
	struct daxcow_volume_info v;
	struct rig *r = *state;

	own(r, 0, 0);
	p = own(r, 0, vblk);
	q = own(r, 0, 1);
	daxcow_discard(r->vol[0], 1, 1);
	drain(r);
	table = table_of(r, vblk);
	daxcow_bad_clear(r->pool, table);

	load_with(r, p, 0);
	assert_int_equal(daxcow_open(r->pool, 0, &r->vol[0]), 0);
	must_fail(r, 0, vblk);
	own(r, 0, 0);
	assert_int_equal(daxcow_verify(r->pool, NULL), 0);

	load_with(r, q, 0);
	assert_int_equal(info_of(r).nr_retired, 1);
	assert_int_equal(daxcow_verify(r->pool, NULL), 0);

	memset((char *)r->mem + table * DAXCOW_BLOCK_SIZE, 0x5a,
	       DAXCOW_BLOCK_SIZE);
	load_with(r, table, 0);
	assert_true(info_of(r).read_only);
	assert_int_equal(daxcow_next_volume(r->pool, 0, &v), 0);
	assert_int_equal(daxcow_open(r->pool, 0, &r->vol[0]), 0);
	assert_int_equal(daxcow_lookup(r->vol[0], vblk, 1, &block), -EIO);
	assert_int_equal(daxcow_lookup(r->vol[0], 0, 1, &block), 1);
	assert_int_equal(daxcow_provision(r->vol[0], 0, 1, &block), -EROFS);
	memset((char *)r->mem + table * DAXCOW_BLOCK_SIZE, 0, DAXCOW_BLOCK_SIZE);
	load_with(r, DAXCOW_SUPER_BLOCK, -EUCLEAN);
}

/* The map of bad blocks reaches what the pool has grown by. */
static void grown_pool(void **state)
{
	struct rig *r = *state;
	u64 half = BLOCKS / 2, p = BLOCKS - CHUNK / 2;
	struct daxcow_params params = { .uuid = (const u8 *)"grownpoolgrownpo" };

	rig_close(r);
	daxcow_unload(r->pool);
	assert_int_equal(daxcow_format(r->mem, half, &params), 0);
	rig_load(r);
	assert_int_equal(daxcow_bad_add(r->pool, half - CHUNK - 1), 0);
	assert_int_equal(daxcow_bad_add(r->pool, p), -ERANGE);
	assert_int_equal(daxcow_grow(r->pool, BLOCKS), 0);
	assert_int_equal(daxcow_bad_find(r->pool, 0, BLOCKS), half - CHUNK - 1);
	assert_int_equal(daxcow_bad_find(r->pool, half, half), half);
	assert_int_equal(daxcow_bad_add(r->pool, p), 0);
	assert_int_equal(daxcow_bad_find(r->pool, half, half), p - half);
	assert_int_equal(daxcow_bad_find(r->pool, 0, BLOCKS), half - CHUNK - 1);
	assert_int_equal(info_of(r).nr_retired, 2);
}

static void record_hides_one_volume(void **state)
{
	static char saved[DAXCOW_BLOCK_SIZE];
	struct daxcow_volume_info v;
	enum daxcow_use use;
	struct rig *r = *state;
	u64 b;

	own(r, 0, 5);
	snapshot(r, 0, 1);
	rig_close(r);
	for (b = 0; b < BLOCKS; b++) {
		owners(r, b, &use);
		if (use == DAXCOW_BLOCK_RECORD)
			break;
	}
	assert_int_equal(daxcow_bad_add(r->pool, b), 0);
	memcpy(saved, (char *)r->mem + b * DAXCOW_BLOCK_SIZE, sizeof(saved));
	memset((char *)r->mem + b * DAXCOW_BLOCK_SIZE, 0x5a, sizeof(saved));
	assert_int_equal(owners(r, b, NULL), 1);
	assert_int_equal(daxcow_next_volume(r->pool, 0, &v), 0);
	assert_int_equal(v.id, 0);
	assert_int_equal(daxcow_next_volume(r->pool, 1, &v), 0);
	assert_int_equal(v.id, 1);
	assert_int_equal(daxcow_open(r->pool, 0, &r->vol[0]), -EIO);
	r->vol[0] = NULL;
	assert_int_equal(daxcow_open(r->pool, 1, &r->vol[1]), 0);
	own(r, 1, 5);
	memcpy((char *)r->mem + b * DAXCOW_BLOCK_SIZE, saved, sizeof(saved));
	daxcow_bad_clear(r->pool, b);
	assert_int_equal(daxcow_open(r->pool, 0, &r->vol[0]), 0);
}

static int volume_of(void *arg, const struct daxcow_owner *o)
{
	*(u32 *)arg = o->volume;
	return 0;
}

/* The block of a volume's record, which is destroyed. */
static u64 lose_record(struct rig *r, u32 id)
{
	u32 volume = ~0U;
	enum daxcow_use use;
	u64 b;

	for (b = 0; b < BLOCKS; b++) {
		daxcow_owners(r->pool, b, &use, volume_of, NULL, &volume);
		if (use == DAXCOW_BLOCK_RECORD && volume == id)
			break;
	}
	assert_true(b < BLOCKS);
	memset((char *)r->mem + b * DAXCOW_BLOCK_SIZE, 0x5a, DAXCOW_BLOCK_SIZE);
	return b;
}

/* What is kept for a failure is there before: in a free chunk, ... */
static void free_chunk_without_memory(void **state)
{
	struct rig *r = *state;
	struct daxcow_pool_info before = info_of(r);
	u64 p = CHUNK * 20 + 3;

	plat_fail_alloc(0);
	assert_int_equal(daxcow_bad_add(r->pool, p), 0);
	plat_fail_alloc(0);
	assert_int_equal(daxcow_bad_add(r->pool, p + 2), 0);
	plat_fail_alloc(-1);
	assert_false(info_of(r).read_only);
	assert_int_equal(daxcow_bad_find(r->pool, p - 1, 2), 1);
	assert_int_equal(info_of(r).nr_bad, 2);
	assert_int_equal(info_of(r).nr_retired, CHUNK);
	assert_int_equal(info_of(r).nr_free, before.nr_free - CHUNK);
	/* the rest of the chunk as soon as there is memory */
	assert_int_equal(daxcow_verify(r->pool, NULL), 0);
	assert_int_equal(info_of(r).nr_retired, 2);
	take_all(r, 0, p);
	assert_int_equal(daxcow_discard(r->vol[0], 0, BLOCKS), 0);
	drain(r);
	assert_int_equal(daxcow_bad_clear(r->pool, p), 0);
	assert_int_equal(daxcow_bad_clear(r->pool, p + 2), 0);
	before = info_of(r);
	plat_fail_alloc(0);
	assert_int_equal(daxcow_bad_add(r->pool, p), 0);
	assert_int_equal(info_of(r).nr_retired, CHUNK);
	plat_fail_alloc(0);
	assert_int_equal(daxcow_bad_clear(r->pool, p), 0);
	plat_fail_alloc(-1);
	assert_int_equal(info_of(r).nr_chunks_free, before.nr_chunks_free);
	assert_int_equal(info_of(r).nr_free, before.nr_free);
}

/* ... and in one that is mapped as a whole: it is retired when it becomes free. */
static void whole_chunk_without_memory(void **state)
{
	struct rig *r = *state;
	u64 block, p;

	own(r, 0, 0);
	assert_int_equal(daxcow_provision(r->vol[0], CHUNK, CHUNK, &block),
			 CHUNK);
	p = block + 3;
	plat_fail_alloc(0);
	assert_int_equal(daxcow_bad_add(r->pool, p), 0);
	plat_fail_alloc(0);
	assert_int_equal(daxcow_bad_add(r->pool, p + 2), 0);
	plat_fail_alloc(-1);
	assert_int_equal(daxcow_provision(r->vol[0], CHUNK, CHUNK, &block), 3);
	must_fail(r, 0, CHUNK + 3);
	assert_int_equal(daxcow_discard(r->vol[0], CHUNK, CHUNK), 0);
	drain(r);
	assert_int_equal(info_of(r).nr_retired, 2);
	take_all(r, CHUNK * 2, p);
}

/* A volume is deleted without its record, with all that only it had. */
static void delete_without_record(void **state)
{
	struct daxcow_volume_info v;
	struct rig *r = *state;
	u64 free, p, lost;

	own(r, 0, 5);
	free = info_of(r).nr_free;
	snapshot(r, 0, 1);
	own(r, 0, CHUNK * 3);
	own(r, 0, 5);
	p = where(r, 1, 5);
	lost = lose_record(r, 0);
	assert_int_equal(daxcow_bad_add(r->pool, lost), 0);
	assert_int_equal(daxcow_delete(r->pool, 0), -EBUSY);
	rig_close(r);
	assert_int_equal(daxcow_delete(r->pool, 0), 0);
	assert_int_equal(daxcow_delete(r->pool, 0), -ENOENT);
	drain(r);
	assert_int_equal(daxcow_verify(r->pool, NULL), 0);
	/* the snapshot has what the origin had, and a record instead of it */
	assert_int_equal(info_of(r).nr_free, free - 1);
	assert_int_equal(info_of(r).nr_retired, 1);
	assert_int_equal(daxcow_next_volume(r->pool, 0, &v), 0);
	assert_int_equal(v.id, 1);
	load_with(r, lost, 0);
	assert_false(info_of(r).read_only);
	assert_int_equal(daxcow_open(r->pool, 1, &r->vol[1]), 0);
	assert_int_equal(where(r, 1, 5), p);
	own(r, 1, 5);
}

/* Of an empty one there is no root node to find. */
static void delete_empty_without_record(void **state)
{
	struct rig *r = *state;

	rig_close(r);
	assert_int_equal(daxcow_bad_add(r->pool, lose_record(r, 0)), 0);
	assert_int_equal(daxcow_delete(r->pool, 0), 0);
	drain(r);
	assert_int_equal(daxcow_verify(r->pool, NULL), 0);
	assert_int_equal(info_of(r).nr_meta, info_of(r).nr_blocks -
			 info_of(r).nr_free - info_of(r).nr_retired);
}

/*
 * What a record named that was bad at load is not known, so nothing is written or
 * given away until its volume is deleted.
 */
static void record_known_at_load(void **state)
{
	struct daxcow_volume_desc d = { .id = 3 };
	struct rig *r = *state;
	u64 block, lost, p;

	own(r, 0, 5);
	snapshot(r, 0, 1);
	snapshot(r, 0, 2);
	p = own(r, 1, 5);
	lost = lose_record(r, 0);
	load_how(r, lost, DAXCOW_LOAD_RO, 0);
	assert_false(info_of(r).unknown);
	assert_int_equal(daxcow_delete(r->pool, 0), -EROFS);
	load_with(r, lost, 0);
	assert_true(info_of(r).read_only);
	assert_true(info_of(r).unknown);
	assert_int_equal(daxcow_create(r->pool, &d), -EROFS);
	assert_int_equal(daxcow_open(r->pool, 1, &r->vol[1]), 0);
	assert_int_equal(daxcow_provision(r->vol[1], 5, 1, &block), -EROFS);
	/* another one does not end it */
	assert_int_equal(daxcow_delete(r->pool, 2), 0);
	drain(r);
	assert_true(info_of(r).read_only);
	assert_int_equal(daxcow_delete(r->pool, 0), 0);
	assert_int_equal(daxcow_provision(r->vol[1], 5, 1, &block), -EROFS);
	drain(r);
	assert_false(info_of(r).read_only);
	assert_false(info_of(r).unknown);
	assert_int_equal(daxcow_verify(r->pool, NULL), 0);
	assert_int_equal(own(r, 1, 5), p);
	take_all_of(r, 1, CHUNK * 8, lost);
}

/* The same of a node: all volumes that it is part of. */
static void table_known_at_load(void **state)
{
	u64 vblk = CHUNK * 3, table;
	struct rig *r = *state;

	own(r, 0, 0);
	own(r, 0, vblk);
	snapshot(r, 0, 1);
	snapshot(r, 0, 2);
	/* this one's is another */
	own(r, 2, vblk);
	table = table_of(r, vblk);
	daxcow_bad_clear(r->pool, table);
	assert_int_equal(owners(r, table, NULL), 2);
	load_with(r, table, 0);
	assert_true(info_of(r).unknown);
	assert_int_equal(daxcow_delete(r->pool, 0), 0);
	drain(r);
	assert_true(info_of(r).read_only);
	assert_int_equal(daxcow_delete(r->pool, 1), 0);
	drain(r);
	assert_false(info_of(r).read_only);
	assert_int_equal(daxcow_verify(r->pool, NULL), 0);
	assert_int_equal(daxcow_open(r->pool, 2, &r->vol[2]), 0);
	own(r, 2, vblk);
}

/* One that is good again was not walked: the pool has to be loaded for that. */
static void cleared_after_load(void **state)
{
	struct rig *r = *state;
	u64 lost;

	own(r, 0, 5);
	snapshot(r, 0, 1);
	lost = lose_record(r, 0);
	load_with(r, lost, 0);
	assert_int_equal(daxcow_bad_clear(r->pool, lost), 0);
	memset((char *)r->mem + lost * DAXCOW_BLOCK_SIZE, 0, DAXCOW_BLOCK_SIZE);
	assert_int_equal(daxcow_delete(r->pool, 0), 0);
	drain(r);
	assert_true(info_of(r).read_only);
	daxcow_unload(r->pool);
	rig_load(r);
	assert_false(info_of(r).read_only);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(free_block_is_not_used),
		CASE(free_chunk_is_not_used),
		CASE(shared_block_heals_one_by_one),
		CASE(own_block_ends_a_run),
		CASE(shared_chunk_is_copied_around_it),
		CASE(table_hides_what_is_below),
		CASE(hole_below_bad_table),
		CASE(known_at_load),
		CASE(grown_pool),
		CASE(record_hides_one_volume),
		CASE(free_chunk_without_memory),
		CASE(whole_chunk_without_memory),
		CASE(delete_without_record),
		CASE(delete_empty_without_record),
		CASE(record_known_at_load),
		CASE(table_known_at_load),
		CASE(cleared_after_load),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
