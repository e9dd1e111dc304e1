// SPDX-License-Identifier: GPL-2.0
/*
 * Merge of chunks, and of single blocks out of chunks: with one descriptor or
 * with one for each block, mapped by one entry, by many, or by both.
 */
#include "merge.h"

/* Block i of it is all @byte + i. */
static u64 put_chunk(struct rig *r, int v, u64 vblk, int byte)
{
	u64 block, i;

	assert_int_equal(daxcow_provision(r->vol[v], vblk, CHUNK, &block), CHUNK);
	for (i = 0; i < CHUNK; i++)
		memset(daxcow_block_addr(r->pool, block + i), byte + i,
		       DAXCOW_BLOCK_SIZE);
	return block;
}

static void chunk_is(struct rig *r, int v, u64 vblk, u64 block, u64 except)
{
	u64 i;

	for (i = 0; i < CHUNK; i++)
		if (i != except)
			assert_int_equal(where(r, v, vblk + i), block + i);
}

static int merge_chunk(struct rig *r, u64 keep, u64 drop)
{
	struct daxcow_merge m = {
		.keep = keep,
		.drop = drop,
		.nr = CHUNK,
		.before = generation(r),
	};

	return daxcow_merge(r->pool, &m);
}

static int merge_part(struct rig *r, u64 keep, u64 drop)
{
	struct daxcow_merge m = {
		.keep = keep,
		.drop = drop,
		.nr = 1,
		.before = generation(r),
		.split = true,
	};

	return daxcow_merge(r->pool, &m);
}

static struct daxcow_usage usage_of(struct rig *r, u32 id)
{
	struct daxcow_usage u;

	assert_int_equal(daxcow_usage(r->pool, id, &u), 0);
	return u;
}

/* The volume has a table of its own for what is near vblk 0. */
static void part_ways(struct rig *r, int v)
{
	own(r, v, 0);
}

/* Volume @v writes block 3 of what it has at @vblk, and nothing else moves. */
static u64 split_at_3(struct rig *r, int v, u64 vblk)
{
	u64 block;

	daxcow_set_cow(r->pool, DAXCOW_COW_4K);
	block = own(r, v, vblk + 3);
	daxcow_set_cow(r->pool, DAXCOW_COW_AUTO);
	return block;
}

/* ---- chunk with chunk ---- */

static void whole_with_whole(void **state)
{
	struct rig *r = *state;
	u64 keep = put_chunk(r, 0, CHUNK, 'a');
	u64 drop = put_chunk(r, 0, CHUNK * 2, 'a'), free;

	snapshot(r, 0, 1);
	own(r, 0, 0);
	free = info_of(r).nr_chunks_free;
	assert_int_equal(merge_chunk(r, keep, drop), 0);
	chunk_is(r, 0, CHUNK * 2, keep, ~0ULL);
	chunk_is(r, 1, CHUNK * 2, keep, ~0ULL);
	assert_int_equal(owners(r, keep + 5), 4);
	assert_int_equal(owners(r, drop + 5), 0);
	/* as large pages as before */
	assert_int_equal(usage_of(r, 0).huge, CHUNK * 2);
	assert_int_equal(info_of(r).merged, CHUNK);
	/* waits as a whole */
	assert_int_equal(info_of(r).nr_chunks_free, free);
	r->busy = drop + 5;
	drain(r);
	assert_int_equal(info_of(r).nr_chunks_free, free);
	r->busy = ~0ULL;
	drain(r);
	assert_int_equal(info_of(r).nr_chunks_free, free + 1);
	reload(r);
	chunk_is(r, 1, CHUNK * 2, keep, ~0ULL);
}

static void shared_chunk_is_copied(void **state)
{
	struct rig *r = *state;
	u64 keep = put_chunk(r, 0, CHUNK, 'a');
	u64 drop = put_chunk(r, 0, CHUNK * 2, 'a'), block;

	assert_int_equal(merge_chunk(r, keep, drop), 0);
	daxcow_set_cow(r->pool, DAXCOW_COW_2M);
	assert_int_equal(daxcow_provision(r->vol[0], CHUNK, CHUNK, &block), CHUNK);
	assert_int_not_equal(block, keep);
	assert_memory_equal(daxcow_block_addr(r->pool, block),
			    daxcow_block_addr(r->pool, keep),
			    CHUNK * DAXCOW_BLOCK_SIZE);
	assert_int_not_equal(split_at_3(r, 0, CHUNK * 2), keep + 3);
	chunk_is(r, 0, CHUNK * 2, keep, 3);
}

/* A snapshot has written one block: owners by the chunk, and by its blocks. */
static void drop_is_split(void **state)
{
	struct rig *r = *state;
	u64 drop = put_chunk(r, 0, CHUNK, 'a');
	u64 keep = put_chunk(r, 0, CHUNK * 2, 'a'), other;

	snapshot(r, 0, 1);
	other = split_at_3(r, 1, CHUNK);
	drain(r);
	assert_int_equal(owners(r, drop + 3), 1);
	assert_int_equal(owners(r, drop + 4), 2);
	assert_int_equal(merge_chunk(r, keep, drop), 0);
	chunk_is(r, 0, CHUNK, keep, ~0ULL);
	chunk_is(r, 1, CHUNK, keep, 3);
	assert_int_equal(where(r, 1, CHUNK + 3), other);
	assert_int_equal(owners(r, keep + 3), 3);
	assert_int_equal(owners(r, keep + 4), 4);
	assert_int_equal(usage_of(r, 0).huge, CHUNK * 2);
	assert_int_equal(usage_of(r, 1).huge, CHUNK);
	drain(r);
	assert_int_equal(daxcow_verify(r->pool, NULL), 0);
	reload(r);
	chunk_is(r, 1, CHUNK, keep, 3);
}

static void keep_is_split(void **state)
{
	struct rig *r = *state;
	u64 keep = put_chunk(r, 0, CHUNK, 'a');
	u64 drop = put_chunk(r, 0, CHUNK * 2, 'a');

	snapshot(r, 0, 1);
	split_at_3(r, 1, CHUNK);
	part_ways(r, 1);
	assert_int_equal(merge_chunk(r, keep, drop), 0);
	chunk_is(r, 0, CHUNK * 2, keep, ~0ULL);
	chunk_is(r, 1, CHUNK * 2, keep, ~0ULL);
	assert_int_equal(owners(r, keep + 3), 3);
	assert_int_equal(owners(r, keep + 4), 4);
}

static void both_are_split(void **state)
{
	struct rig *r = *state;
	u64 keep = put_chunk(r, 0, CHUNK, 'a');
	u64 drop = put_chunk(r, 0, CHUNK * 2, 'a');

	snapshot(r, 0, 1);
	split_at_3(r, 1, CHUNK);
	split_at_3(r, 1, CHUNK * 2);
	assert_int_equal(merge_chunk(r, keep, drop), 0);
	chunk_is(r, 0, CHUNK * 2, keep, ~0ULL);
	chunk_is(r, 1, CHUNK * 2, keep, 3);
	assert_int_equal(owners(r, keep + 3), 2);
	assert_int_equal(owners(r, keep + 4), 4);
}

/* Nobody maps the chunk as a whole, and now somebody does. */
static void keep_is_mapped_by_blocks(void **state)
{
	struct rig *r = *state;
	u64 keep = put_chunk(r, 0, CHUNK, 'a');
	u64 drop = put_chunk(r, 0, CHUNK * 2, 'a'), other;

	snapshot(r, 0, 1);
	other = split_at_3(r, 1, CHUNK);
	assert_int_equal(merge(r, keep + 3, other), 0);
	assert_int_equal(daxcow_discard(r->vol[0], CHUNK, CHUNK), 0);
	drain(r);
	assert_int_equal(owners(r, keep + 3), 1);
	assert_int_equal(merge_chunk(r, keep, drop), 0);
	chunk_is(r, 0, CHUNK * 2, keep, ~0ULL);
	chunk_is(r, 1, CHUNK * 2, keep, ~0ULL);
	chunk_is(r, 1, CHUNK, keep, ~0ULL);
	assert_int_equal(usage_of(r, 0).huge, CHUNK);
	reload(r);
	chunk_is(r, 0, CHUNK * 2, keep, ~0ULL);
	assert_int_equal(daxcow_discard(r->vol[1], CHUNK, 4), 0);
	own(r, 1, CHUNK + 5);
	drain(r);
	chunk_is(r, 0, CHUNK * 2, keep, ~0ULL);
}

/* The same for what is dropped: nothing is left of it. */
static void drop_is_mapped_by_blocks(void **state)
{
	struct rig *r = *state;
	u64 drop = put_chunk(r, 0, CHUNK, 'a');
	u64 keep = put_chunk(r, 0, CHUNK * 2, 'a'), other, free;

	snapshot(r, 0, 1);
	other = split_at_3(r, 1, CHUNK);
	assert_int_equal(merge(r, drop + 3, other), 0);
	assert_int_equal(daxcow_discard(r->vol[0], CHUNK, CHUNK), 0);
	drain(r);
	free = info_of(r).nr_chunks_free;
	assert_int_equal(merge_chunk(r, keep, drop), 0);
	chunk_is(r, 1, CHUNK, keep, ~0ULL);
	assert_int_equal(usage_of(r, 1).huge, CHUNK);
	r->busy = drop + 3;
	drain(r);
	assert_int_equal(info_of(r).nr_chunks_free, free);
	assert_int_equal(info_of(r).nr_pending, 1);
	r->busy = ~0ULL;
	drain(r);
	assert_int_equal(info_of(r).nr_chunks_free, free + 1);
}

static void chunk_with_a_free_block(void **state)
{
	struct rig *r = *state;
	u64 keep = put_chunk(r, 0, CHUNK, 'a');
	u64 drop = put_chunk(r, 0, CHUNK * 2, 'a');

	own(r, 0, CHUNK * 3);
	snapshot(r, 0, 1);
	split_at_3(r, 1, CHUNK);
	assert_int_equal(daxcow_discard(r->vol[0], CHUNK, CHUNK), 0);
	drain(r);
	/* it is block 3 */
	assert_int_equal(owners(r, keep + 2), 1);
	assert_int_equal(merge_chunk(r, keep, drop), -ESTALE);
	assert_int_equal(merge_chunk(r, drop, keep), -ESTALE);
	/* half of two chunks, a chunk of tables */
	assert_int_equal(merge_chunk(r, keep + 1, drop), -EINVAL);
	assert_int_equal(merge_chunk(r, where(r, 0, CHUNK * 3) & ~(CHUNK - 1),
				     drop), -ESTALE);
}

/* Write access to one block ends it, ... */
static void one_stale_block(void **state)
{
	struct rig *r = *state;
	u64 keep = put_chunk(r, 0, CHUNK, 'a');
	u64 drop = put_chunk(r, 0, CHUNK * 2, 'a');
	struct daxcow_merge m = { .keep = keep, .drop = drop, .nr = CHUNK };
	int i;

	for (i = 1; i <= 2; i++) {
		m.before = generation(r);
		own(r, 0, CHUNK * i + 6);
		assert_int_equal(daxcow_merge(r->pool, &m), -ESTALE);
	}
	/* ... in a chunk that has a descriptor for each too, ... */
	snapshot(r, 0, 1);
	split_at_3(r, 1, CHUNK);
	assert_int_equal(daxcow_discard(r->vol[1], 0, CHUNK * CHUNK), 0);
	drain(r);
	m.before = generation(r);
	assert_int_equal(own(r, 0, CHUNK + 6), keep + 6);
	assert_int_equal(daxcow_merge(r->pool, &m), -ESTALE);
	/* ... where one block stays the only one that is stale */
	m.nr = 1;
	m.split = true;
	m.keep = keep + 6;
	m.drop = drop + 6;
	assert_int_equal(daxcow_merge(r->pool, &m), -ESTALE);
	m.keep = keep + 5;
	m.drop = drop + 5;
	assert_int_equal(daxcow_merge(r->pool, &m), 0);
}

/* The same chunk, given away anew, with the same bytes. */
static void reused_chunk(void **state)
{
	struct rig *r = *state;
	u64 keep = put_chunk(r, 0, CHUNK, 'a');
	u64 drop = put_chunk(r, 0, CHUNK * 2, 'a');
	struct daxcow_merge m = { .keep = keep, .drop = drop, .nr = CHUNK };

	m.before = generation(r);
	assert_int_equal(daxcow_merge_check(r->pool, &m), 0);
	assert_int_equal(daxcow_discard(r->vol[0], CHUNK * 2, CHUNK), 0);
	drain(r);
	assert_int_equal(put_chunk(r, 0, CHUNK * 3, 'a'), drop);
	assert_int_equal(daxcow_merge(r->pool, &m), -ESTALE);
}

/* A chunk that gets descriptors by the block keeps its generation. */
static void split_does_not_age(void **state)
{
	struct rig *r = *state;
	u64 keep = put_chunk(r, 0, CHUNK, 'a');
	u64 drop = put_chunk(r, 0, CHUNK * 2, 'a');
	struct daxcow_merge m = {
		.keep = keep + 1, .drop = drop + 1, .nr = 1, .split = true,
	};

	m.before = generation(r);
	own(r, 0, CHUNK);
	snapshot(r, 0, 1);
	split_at_3(r, 1, CHUNK);
	assert_int_equal(daxcow_merge(r->pool, &m), -ESTALE);
	m.before = generation(r);
	split_at_3(r, 1, CHUNK * 2);
	assert_int_equal(daxcow_merge(r->pool, &m), 0);
}

static void zero_chunk_is_unmapped(void **state)
{
	struct rig *r = *state;
	u64 mapped, highest, drop = put_chunk(r, 0, CHUNK, 0);
	int v;

	memset(daxcow_block_addr(r->pool, drop), 0, CHUNK * DAXCOW_BLOCK_SIZE);
	snapshot(r, 0, 1);
	snapshot(r, 0, 2);
	split_at_3(r, 1, CHUNK);
	part_ways(r, 2);
	assert_int_equal(merge_chunk(r, DAXCOW_KEEP_ZERO, drop), 0);
	for (v = 0; v < 3; v++) {
		assert_int_equal(where(r, v, CHUNK + 5), DAXCOW_HOLE);
		daxcow_volume_mapped(r->vol[v], &mapped, &highest);
		assert_int_equal(mapped, usage_of(r, v).mapped);
		assert_int_equal(highest, usage_of(r, v).highest);
		assert_int_equal(mapped, v ? 1 : 0);
	}
	assert_int_equal(info_of(r).unmapped, CHUNK);
	assert_int_equal(owners(r, drop), 0);
}

static void zero_chunk_with_one_descriptor(void **state)
{
	struct rig *r = *state;
	u64 mapped, highest, drop = put_chunk(r, 0, CHUNK, 0);

	own(r, 0, 3);
	snapshot(r, 0, 1);
	snapshot(r, 0, 2);
	part_ways(r, 1);
	assert_int_equal(merge_chunk(r, DAXCOW_KEEP_ZERO, drop), 0);
	daxcow_volume_mapped(r->vol[0], &mapped, &highest);
	assert_int_equal(mapped, 1);
	assert_int_equal(highest, 3);
	daxcow_volume_mapped(r->vol[1], &mapped, &highest);
	assert_int_equal(mapped, 2);
	daxcow_volume_mapped(r->vol[2], &mapped, &highest);
	assert_int_equal(mapped, 1);
}

/* ---- one block out of a chunk ---- */

static void part_is_asked_for(void **state)
{
	struct rig *r = *state;
	u64 keep = put(r, 0, 5, 'a' + 2), drop = put_chunk(r, 0, CHUNK, 'a');
	u64 meta = info_of(r).nr_meta;

	assert_int_equal(merge(r, keep, drop + 2), -EFBIG);
	assert_int_equal(usage_of(r, 0).huge, CHUNK);
	assert_int_equal(merge(r, DAXCOW_KEEP_ZERO, drop + 2), -EFBIG);
	assert_int_equal(info_of(r).nr_meta, meta);
	assert_int_equal(merge_part(r, keep, drop + 2), 0);
	assert_int_equal(info_of(r).nr_meta, meta + 1);
	assert_int_equal(usage_of(r, 0).huge, 0);
	chunk_is(r, 0, CHUNK, drop, 2);
	assert_int_equal(where(r, 0, CHUNK + 2), keep);
	assert_int_equal(owners(r, keep), 2);
	/* the others can be written where they are */
	assert_int_equal(own(r, 0, CHUNK + 3), drop + 3);
	assert_int_not_equal(own(r, 0, CHUNK + 2), keep);
	assert_int_equal(merge(r, DAXCOW_KEEP_ZERO, drop + 4), 0);
	assert_int_equal(where(r, 0, CHUNK + 4), DAXCOW_HOLE);
	reload(r);
	assert_int_equal(where(r, 0, CHUNK + 7), drop + 7);
}

/* What is kept may be in a chunk that is mapped as a whole, and stays so. */
static void part_is_kept(void **state)
{
	struct rig *r = *state;
	u64 drop = put(r, 0, 5, 'a' + 2), keep = put_chunk(r, 0, CHUNK, 'a');
	u64 block;

	assert_int_equal(merge(r, keep + 2, drop), 0);
	assert_int_equal(where(r, 0, 5), keep + 2);
	assert_int_equal(usage_of(r, 0).huge, CHUNK);
	assert_int_equal(owners(r, keep + 2), 2);
	/* write access to all of it moves only what is shared */
	assert_int_equal(daxcow_provision(r->vol[0], CHUNK, CHUNK, &block), 2);
	assert_int_equal(block, keep);
	assert_int_not_equal(own(r, 0, CHUNK + 2), keep + 2);
	chunk_is(r, 0, CHUNK, keep, 2);
	drain(r);
	assert_int_equal(own(r, 0, 5), keep + 2);
}

static void parts_of_one_chunk(void **state)
{
	struct rig *r = *state;
	u64 p = put_chunk(r, 0, CHUNK, 'a');

	memset(daxcow_block_addr(r->pool, p + 6), 'a' + 2, DAXCOW_BLOCK_SIZE);
	snapshot(r, 0, 1);
	part_ways(r, 1);
	assert_int_equal(merge_part(r, p + 2, p + 6), 0);
	chunk_is(r, 0, CHUNK, p, 6);
	chunk_is(r, 1, CHUNK, p, 6);
	assert_int_equal(where(r, 1, CHUNK + 6), p + 2);
	assert_int_equal(owners(r, p + 2), 4);
	assert_int_equal(usage_of(r, 0).mapped, CHUNK);
}

/* Volumes with tables of their own: each maps the chunk, and then one new table. */
static void split_of_shared_chunk(void **state)
{
	struct rig *r = *state;
	u64 keep, drop, meta, i;
	int v;

	keep = put(r, 0, 5, 'a' + 2);
	drop = put_chunk(r, 0, CHUNK, 'a');
	for (v = 1; v < 4; v++) {
		snapshot(r, 0, v);
		part_ways(r, v);
	}
	/* one of them is by blocks already */
	split_at_3(r, 3, CHUNK);
	drain(r);
	meta = info_of(r).nr_meta;
	assert_int_equal(merge_part(r, keep, drop + 2), 0);
	assert_int_equal(info_of(r).nr_meta, meta + 1);
	for (v = 0; v < 4; v++) {
		for (i = 0; i < CHUNK; i++)
			if (i != 2 && (v != 3 || i != 3))
				assert_int_equal(where(r, v, CHUNK + i), drop + i);
		assert_int_equal(where(r, v, CHUNK + 2), keep);
		assert_int_equal(usage_of(r, v).huge, 0);
		assert_int_equal(usage_of(r, v).mapped, CHUNK + (v ? 2 : 1));
	}
	assert_int_equal(owners(r, drop + 4), 4);
	/* shared, though it has one entry: nobody writes it */
	assert_int_not_equal(own(r, 1, CHUNK + 4), drop + 4);
	assert_int_equal(where(r, 0, CHUNK + 4), drop + 4);
	assert_int_equal(where(r, 2, CHUNK + 4), drop + 4);
	reload(r);
	assert_int_equal(where(r, 2, CHUNK + 2), keep);
}

/* One who left the chunk waits, and so do the blocks. */
static void split_of_pending_chunk(void **state)
{
	struct rig *r = *state;
	u64 keep = put(r, 0, 5, 'a' + 2), drop = put_chunk(r, 0, CHUNK, 'a');

	snapshot(r, 0, 1);
	part_ways(r, 1);
	assert_int_equal(daxcow_discard(r->vol[1], CHUNK, CHUNK), 0);
	assert_int_equal(merge_part(r, keep, drop + 2), 0);
	assert_int_not_equal(own(r, 0, CHUNK + 4), drop + 4);
	drain(r);
	assert_int_equal(own(r, 0, CHUNK + 5), drop + 5);
}

static void no_room_for_a_table(void **state)
{
	struct rig *r = *state;
	u64 keep = put(r, 0, 5, 'a' + 2), drop = put_chunk(r, 0, CHUNK, 'a');
	u64 v, end = take_all_but(r, CHUNK * CHUNK, ~0ULL);

	assert_int_equal(daxcow_discard(r->vol[0], end - 8, 8), 0);
	drain(r);
	snapshot(r, 0, 1);
	/* what a discard copies may take what data may not */
	for (v = CHUNK * CHUNK; v < end && info_of(r).nr_free; v += CHUNK)
		daxcow_discard(r->vol[1], v, 1);
	assert_int_equal(info_of(r).nr_free, 0);
	assert_int_equal(merge_part(r, keep, drop + 2), -ENOSPC);
	assert_int_equal(usage_of(r, 0).huge, CHUNK);
	/* what needs none goes on */
	assert_int_equal(merge(r, drop + 2, keep), 0);
	drain(r);
	assert_int_equal(daxcow_verify(r->pool, NULL), 0);
	assert_int_not_equal(info_of(r).nr_free, 0);
}

/* ---- what else can be wrong ---- */

static void bad_block_in_chunk(void **state)
{
	struct rig *r = *state;
	u64 p = put_chunk(r, 0, CHUNK, 'a'), q = put_chunk(r, 0, CHUNK * 2, 'a');

	assert_int_equal(daxcow_bad_add(r->pool, p + 7), 0);
	assert_int_equal(merge_chunk(r, p, q), -EIO);
	assert_int_equal(merge_chunk(r, q, p), -EIO);
	assert_int_equal(merge_chunk(r, DAXCOW_KEEP_ZERO, p), -EIO);
	assert_int_equal(merge_part(r, q + 6, p + 6), 0);
	assert_int_equal(where(r, 0, CHUNK + 6), q + 6);
	assert_int_equal(where(r, 0, CHUNK + 7), p + 7);
}

static void too_many_owners(void **state)
{
	struct rig *r = *state;
	u64 p = put_chunk(r, 0, CHUNK, 'a'), q = put_chunk(r, 0, CHUNK * 2, 'a');
	u64 i;

	/* one block of it has so many that not one more may come */
	for (i = 0; i < DAXCOW_MERGE_OWNERS - 1; i++)
		assert_int_equal(merge(r, p + 3, put(r, 0, CHUNK * 8 + i, 'a' + 3)), 0);
	assert_int_equal(owners(r, p + 3), DAXCOW_MERGE_OWNERS);
	assert_int_equal(merge_chunk(r, p, q), -EMLINK);
	assert_int_equal(merge_chunk(r, q, p), -EMLINK);
	assert_int_equal(merge_part(r, p + 4, q + 4), 0);
}

/* Blocks of one chunk that volumes of two domains got. */
static void chunk_of_two_domains(void **state)
{
	struct daxcow_volume_desc d = { .id = 1, .domain = 7 };
	struct rig *r = *state;
	u64 whole, first = 0, i, v;

	assert_int_equal(daxcow_create(r->pool, &d), 0);
	assert_int_equal(daxcow_open(r->pool, 1, &r->vol[1]), 0);
	whole = put_chunk(r, 0, 0, 'a');
	for (v = CHUNK; v < CHUNK * CHUNK && !first; v += CHUNK) {
		u64 last = 0, run = 0;

		for (i = 0; i < CHUNK * 2; i++) {
			u64 block = own(r, i % 2, v + i / 2);

			run = block == last + 1 && block % CHUNK ? run + 1 : 1;
			if (run == CHUNK)
				first = block + 1 - CHUNK;
			last = block;
		}
	}
	assert_int_not_equal(first, 0);
	assert_int_equal(merge_chunk(r, whole, first), -EXDEV);
	assert_int_equal(merge_chunk(r, first, whole), -EXDEV);
	assert_int_equal(merge_chunk(r, DAXCOW_KEEP_ZERO, first), 0);
}

/* ---- no memory ---- */

static void nothing_moved(struct rig *r, u64 a, u64 b, u64 single)
{
	int v;

	for (v = 0; v < 3; v++) {
		chunk_is(r, v, CHUNK, a, v == 1 ? 3 : ~0ULL);
		chunk_is(r, v, CHUNK * 2, b, ~0ULL);
		assert_int_equal(where(r, v, CHUNK * 3), single);
	}
	drain(r);
	assert_int_equal(daxcow_verify(r->pool, NULL), 0);
	assert_int_equal(info_of(r).merged + info_of(r).unmapped, 0);
}

/* Each allocation fails once; the last time none does. */
static void fails_at_each(struct rig *r, u64 keep, u64 drop, u64 nr,
			  u64 a, u64 b, u64 single)
{
	struct daxcow_merge m = {
		.keep = keep, .drop = drop, .nr = nr, .split = true,
	};
	int ret = -ENOMEM;
	long n;

	for (n = 0; ret; n++) {
		m.before = generation(r);
		plat_fail_alloc(n);
		ret = daxcow_merge(r->pool, &m);
		plat_fail_alloc(-1);
		if (ret) {
			assert_int_equal(ret, -ENOMEM);
			nothing_moved(r, a, b, single);
		}
	}
	/* what is in store may be enough for a table */
	assert_true(n > 1 || nr == 1);
	drain(r);
	assert_int_equal(daxcow_verify(r->pool, NULL), 0);
}

/*
 * A chunk with descriptors by the block, one without, and a block alone, of three
 * volumes. What is to be done to them is @which.
 */
static void no_memory(struct rig *r, int which)
{
	u64 a = put_chunk(r, 0, CHUNK, 'a'), b = put_chunk(r, 0, CHUNK * 2, 'a');
	u64 single = put(r, 0, CHUNK * 3, 'a' + 4);
	int v;

	for (v = 1; v < 3; v++) {
		snapshot(r, 0, v);
		part_ways(r, v);
	}
	split_at_3(r, 1, CHUNK);
	drain(r);
	switch (which) {
	case 0:
		fails_at_each(r, a, b, CHUNK, a, b, single);
		break;
	case 1:
		fails_at_each(r, b, a, CHUNK, a, b, single);
		break;
	case 2:
		fails_at_each(r, single, b + 4, 1, a, b, single);
		break;
	case 3:
		fails_at_each(r, b + 4, single, 1, a, b, single);
		break;
	case 4:
		fails_at_each(r, DAXCOW_KEEP_ZERO, b + 4, 1, a, b, single);
		break;
	default:
		fails_at_each(r, b + 4, a + 4, 1, a, b, single);
		break;
	}
}

static void no_memory_keep_split(void **state)
{
	no_memory(*state, 0);
}

static void no_memory_drop_split(void **state)
{
	no_memory(*state, 1);
}

static void no_memory_for_table(void **state)
{
	no_memory(*state, 2);
}

static void no_memory_keep_part(void **state)
{
	no_memory(*state, 3);
}

static void no_memory_zero_part(void **state)
{
	no_memory(*state, 4);
}

static void no_memory_part_with_part(void **state)
{
	no_memory(*state, 5);
}

/*
 * Room that was made for owners who did not come, as memory ran out for the next
 * block: of those some lose what they have, others get more, others are copied.
 */
static void reserved_room_is_left(void **state)
{
	struct rig *r = *state;
	u64 keep = put_chunk(r, 0, CHUNK, 'a');
	u64 drop = put_chunk(r, 0, CHUNK * 2, 'a');
	struct daxcow_merge m = { .keep = keep, .drop = drop, .nr = CHUNK };
	u64 block;

	snapshot(r, 0, 1);
	split_at_3(r, 1, CHUNK);
	assert_int_equal(daxcow_discard(r->vol[1], CHUNK, CHUNK), 0);
	part_ways(r, 1);
	drain(r);
	split_at_3(r, 1, CHUNK * 2);
	drain(r);
	assert_int_equal(owners(r, keep), 1);
	assert_int_equal(owners(r, drop), 2);
	/* some blocks get it */
	m.before = generation(r);
	plat_fail_alloc(1);
	assert_int_equal(daxcow_merge(r->pool, &m), -ENOMEM);
	plat_fail_alloc(-1);
	/* an array with one owner: it writes, moves, leaves, and is joined */
	assert_int_equal(own(r, 0, CHUNK + 1), keep + 1);
	assert_int_equal(daxcow_provision(r->vol[0], CHUNK, CHUNK, &block), CHUNK);
	assert_int_equal(daxcow_discard(r->vol[0], CHUNK + 2, 1), 0);
	assert_int_equal(owners(r, keep + 2), 0);
	assert_int_equal(owners(r, keep + 3), 1);
	snapshot(r, 0, 2);
	own(r, 2, CHUNK + 3);
	assert_int_equal(owners(r, keep + 3), 1);
	assert_int_equal(owners(r, keep + 4), 2);
	snapshot(r, 0, 3);
	own(r, 3, CHUNK + 3);
	assert_int_equal(owners(r, keep + 4), 3);
	drain(r);
	assert_int_equal(daxcow_verify(r->pool, NULL), 0);
	assert_int_equal(daxcow_discard(r->vol[0], CHUNK, CHUNK), 0);
	assert_int_equal(daxcow_discard(r->vol[2], CHUNK, CHUNK), 0);
	assert_int_equal(owners(r, keep + 4), 1);
	drain(r);
	assert_int_equal(own(r, 3, CHUNK + 4), keep + 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(whole_with_whole),
		CASE(shared_chunk_is_copied),
		CASE(drop_is_split),
		CASE(keep_is_split),
		CASE(both_are_split),
		CASE(keep_is_mapped_by_blocks),
		CASE(drop_is_mapped_by_blocks),
		CASE(chunk_with_a_free_block),
		CASE(one_stale_block),
		CASE(reused_chunk),
		CASE(split_does_not_age),
		CASE(zero_chunk_is_unmapped),
		CASE(zero_chunk_with_one_descriptor),
		CASE(part_is_asked_for),
		CASE(part_is_kept),
		CASE(parts_of_one_chunk),
		CASE(split_of_shared_chunk),
		CASE(split_of_pending_chunk),
		CASE(no_room_for_a_table),
		CASE(bad_block_in_chunk),
		CASE(too_many_owners),
		CASE(chunk_of_two_domains),
		CASE(no_memory_keep_split),
		CASE(no_memory_drop_split),
		CASE(no_memory_for_table),
		CASE(no_memory_keep_part),
		CASE(no_memory_zero_part),
		CASE(no_memory_part_with_part),
		CASE(reserved_room_is_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
