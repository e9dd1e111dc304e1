// SPDX-License-Identifier: GPL-2.0
/*
 * Merge of single blocks: who owns what afterwards, who may write, what ends a
 * merge, and what is left when it fails. Chunks are in merge-chunk.c.
 */
#include <sys/mman.h>
#include "merge.h"
#include "internal.h"

static void read_is(struct rig *r, int v, u64 vblk, int byte)
{
	static char want[DAXCOW_BLOCK_SIZE];

	memset(want, byte, sizeof(want));
	assert_memory_equal(daxcow_block_addr(r->pool, where(r, v, vblk)), want,
			    sizeof(want));
}

/* ---- who owns what ---- */

static void owners_move(void **state)
{
	struct rig *r = *state;
	u64 keep = put(r, 0, 5, 'a'), drop = put(r, 0, 9, 'a');
	struct daxcow_pool_info before;

	put(r, 0, 6, 'b');
	before = info_of(r);
	assert_int_equal(merge(r, keep, drop), 0);
	assert_int_equal(where(r, 0, 5), keep);
	assert_int_equal(where(r, 0, 9), keep);
	assert_true(owned(r, keep, 0, 5));
	assert_true(owned(r, keep, 0, 9));
	assert_int_equal(owners(r, keep), 2);
	assert_int_equal(owners(r, drop), 0);
	assert_int_equal(info_of(r).merged, 1);
	assert_int_equal(info_of(r).nr_free, before.nr_free);
	drain(r);
	assert_int_equal(info_of(r).nr_free, before.nr_free + 1);
	assert_int_equal(info_of(r).nr_data, before.nr_data - 1);
	read_is(r, 0, 9, 'a');
	read_is(r, 0, 6, 'b');
}

/* Through tables of their own and through one that they share. */
static void owners_of_all_volumes_move(void **state)
{
	u64 far = CHUNK * CHUNK * 2, keep, drop;
	struct rig *r = *state;

	drop = put(r, 0, 5, 'a');
	keep = put(r, 0, far, 'a');
	snapshot(r, 0, 1);
	snapshot(r, 0, 2);
	put(r, 1, 6, 'b');
	assert_int_equal(owners(r, drop), 3);
	assert_int_equal(merge(r, keep, drop), 0);
	assert_int_equal(owners(r, keep), 6);
	assert_int_equal(where(r, 0, 5), keep);
	assert_int_equal(where(r, 1, 5), keep);
	assert_int_equal(where(r, 2, 5), keep);
	assert_true(owned(r, keep, 1, 5));
	assert_true(owned(r, keep, 2, far));
	/* it is what is stored, too */
	reload(r);
	assert_int_equal(where(r, 1, 5), keep);
	assert_int_equal(owners(r, keep), 6);
}

/* All of a volume's duplicates, and then all volumes, leave nothing behind. */
static void all_of_it_is_freed(void **state)
{
	struct daxcow_pool_info before, after;
	struct rig *r = *state;
	u64 i, keep;

	drain(r);
	before = info_of(r);
	keep = put(r, 0, 0, 'a');
	for (i = 1; i < 40; i++)
		assert_int_equal(merge(r, keep, put(r, 0, i * 5, 'a')), 0);
	snapshot(r, 0, 1);
	assert_int_equal(owners(r, keep), 80);
	own(r, 1, 10);
	assert_int_equal(daxcow_discard(r->vol[0], 0, CHUNK * CHUNK), 0);
	rig_close(r);
	assert_int_equal(daxcow_delete(r->pool, 1), 0);
	assert_int_equal(daxcow_open(r->pool, 0, &r->vol[0]), 0);
	assert_int_equal(daxcow_discard(r->vol[0], 0, DAXCOW_MAX_VOLUME_BLOCKS), 0);
	drain(r);
	after = info_of(r);
	assert_int_equal(after.nr_data, before.nr_data);
	assert_int_equal(owners(r, keep), 0);
}

/* ---- who may write (I1), and when the block is free (I2) ---- */

static void shared_block_is_copied(void **state)
{
	struct rig *r = *state;
	u64 keep = put(r, 0, 5, 'a'), drop = put(r, 0, 9, 'a');

	assert_int_equal(merge(r, keep, drop), 0);
	assert_int_not_equal(own(r, 0, 5), keep);
	read_is(r, 0, 5, 'a');
	assert_int_equal(where(r, 0, 9), keep);
	/* who was keep's owner has left, and its readers have not */
	assert_int_not_equal(own(r, 0, 9), keep);
}

static void last_owner_keeps_it(void **state)
{
	struct rig *r = *state;
	u64 keep = put(r, 0, 5, 'a'), drop = put(r, 0, 9, 'a');

	assert_int_equal(merge(r, keep, drop), 0);
	own(r, 0, 5);
	drain(r);
	assert_int_equal(own(r, 0, 9), keep);
}

static void drop_waits(void **state)
{
	struct rig *r = *state;
	u64 keep = put(r, 0, 5, 'a'), drop = put(r, 0, 9, 'a'), free;

	assert_int_equal(merge(r, keep, drop), 0);
	assert_int_equal(info_of(r).nr_pending, 1);
	assert_true(daxcow_reclaim_prepare(r->pool));
	take_all_but(r, 64, drop);
	free = info_of(r).nr_free;
	while (daxcow_reclaim_run(r->pool))
		;
	assert_int_equal(info_of(r).nr_pending, 0);
	assert_int_equal(info_of(r).nr_free, free + 1);
	/* there is a table already for this one */
	assert_int_equal(own(r, 0, 10), drop);
}

/* Not even after a grace period: DMA out of it, a mapping of it, ... */
static void held_drop_is_kept(void **state)
{
	struct rig *r = *state;
	u64 keep = put(r, 0, 5, 'a'), drop = put(r, 0, 9, 'a');
	u64 free;

	r->busy = drop;
	assert_int_equal(merge(r, keep, drop), 0);
	free = info_of(r).nr_free;
	drain(r);
	assert_int_equal(info_of(r).nr_pending, 1);
	r->busy = ~0ULL;
	r->mapped = drop;
	drain(r);
	assert_int_equal(info_of(r).nr_pending, 1);
	assert_int_equal(info_of(r).nr_free, free);
	r->mapped = ~0ULL;
	drain(r);
	assert_int_equal(info_of(r).nr_free, free + 1);
}

/* ... and one who left it before. */
static void drop_with_pending_owners(void **state)
{
	struct rig *r = *state;
	u64 keep = put(r, 0, 5, 'a'), drop = put(r, 0, 9, 'a');

	snapshot(r, 0, 1);
	own(r, 1, 9);
	assert_true(daxcow_reclaim_prepare(r->pool));
	assert_int_equal(merge(r, keep, drop), 0);
	while (daxcow_reclaim_run(r->pool))
		;
	/* the first batch does not free it: readers of volume 0 came later */
	assert_int_equal(info_of(r).nr_pending, 1);
	assert_int_equal(owners(r, drop), 0);
	take_all_but(r, 64, drop);
}

/* The last of the others is gone for good only when its readers are. */
static void keep_with_pending_owners(void **state)
{
	struct rig *r = *state;
	u64 keep = put(r, 0, 5, 'a'), drop = put(r, 0, 9, 'a');

	snapshot(r, 0, 1);
	own(r, 1, 5);
	/* one owner, and one that is pending */
	assert_int_equal(merge(r, keep, drop), 0);
	assert_int_equal(daxcow_discard(r->vol[0], 5, 1), 0);
	assert_int_equal(daxcow_discard(r->vol[1], 9, 1), 0);
	assert_int_equal(owners(r, keep), 1);
	assert_int_not_equal(own(r, 0, 9), keep);
	drain(r);
	assert_int_equal(owners(r, keep), 0);
}

static void keep_that_a_reader_holds(void **state)
{
	struct rig *r = *state;
	u64 keep = put(r, 0, 5, 'a'), drop = put(r, 0, 9, 'a');

	assert_int_equal(merge(r, keep, drop), 0);
	r->busy = keep;
	assert_int_equal(daxcow_discard(r->vol[0], 5, 1), 0);
	drain(r);
	assert_int_not_equal(own(r, 0, 9), keep);
	r->busy = ~0ULL;
}

/* ---- what ends a merge ---- */

static void by_provision(struct rig *r, u64 vblk, u64 block)
{
	assert_int_equal(own(r, 0, vblk), block);
}

/* As part of a run that begins before it. */
static void by_run(struct rig *r, u64 vblk, u64 block)
{
	u64 first;
	long n;

	n = daxcow_provision(r->vol[0], vblk - 1, 2, &first);
	assert_int_equal(n, 2);
	assert_int_equal(first + 1, block);
}

static void by_overwrite(struct rig *r, u64 vblk, u64 block)
{
	overwrite(r, 0, vblk);
	assert_int_not_equal(where(r, 0, vblk), block);
}

static void by_overwrite_in_place(struct rig *r, u64 vblk, u64 block)
{
	r->busy = block;
	overwrite(r, 0, vblk);
	r->busy = ~0ULL;
	assert_int_equal(where(r, 0, vblk), block);
}

static void by_overwrite_of_part(struct rig *r, u64 vblk, u64 block)
{
	static char bytes[DAXCOW_BLOCK_SIZE];

	take_all_but(r, 64, ~0ULL);
	assert_int_equal(daxcow_overwrite(r->vol[0], vblk, false, fill, bytes), 0);
	assert_int_equal(where(r, 0, vblk), block);
}

static void by_zero(struct rig *r, u64 vblk, u64 block)
{
	assert_int_equal(daxcow_zero(r->vol[0], vblk), 0);
	assert_int_equal(where(r, 0, vblk), block);
}

static void by_discard(struct rig *r, u64 vblk, u64 block)
{
	assert_int_equal(daxcow_discard(r->vol[0], vblk, 1), 0);
}

/* It is somebody's again, with the same bytes. */
static void by_reuse(struct rig *r, u64 vblk, u64 block)
{
	static char bytes[DAXCOW_BLOCK_SIZE];
	u64 v = 0;

	memcpy(bytes, daxcow_block_addr(r->pool, block), sizeof(bytes));
	assert_int_equal(daxcow_discard(r->vol[0], vblk, 1), 0);
	drain(r);
	/* where there is a table, or that may take it */
	while (own(r, 0, v) != block)
		v = v == 3 ? 11 : v + 1;
	assert_true(v < 16);
	memcpy(daxcow_block_addr(r->pool, block), bytes, sizeof(bytes));
}

static void (*const access_by[])(struct rig *r, u64 vblk, u64 block) = {
	by_provision, by_run, by_overwrite, by_overwrite_in_place, by_zero,
	by_discard, by_reuse, by_overwrite_of_part,
};

/* Two equal ones, each with a neighbour before it that lies there in the pool, too. */
static void fill_pair(struct rig *r, u64 at[2])
{
	u64 v;
	int i;

	for (i = 0; i < 2; i++) {
		v = 5 + 4 * i;
		/* so that there is a table */
		put(r, 0, v + 1, 'x');
		put(r, 0, v - 1, 'x');
		at[i] = put(r, 0, v, 'a');
	}
}

/* Each, to either of the two: after the compare, and before it began. */
static void write_access_ends_it(void **state)
{
	struct rig *r = *state;
	unsigned int i;
	u64 at[2];
	int which;

	for (i = 0; i < ARRAY_SIZE(access_by); i++) {
		for (which = 0; which < 2; which++) {
			struct daxcow_merge m = { .nr = 1 };

			fill_pair(r, at);
			m.keep = at[0];
			m.drop = at[1];
			m.before = generation(r);
			assert_int_equal(daxcow_merge_check(r->pool, &m), 0);
			access_by[i](r, which ? 9 : 5, at[which]);
			assert_int_equal(daxcow_merge_check(r->pool, &m), -ESTALE);
			assert_int_equal(daxcow_merge(r->pool, &m), -ESTALE);
			drain(r);
			assert_int_equal(daxcow_verify(r->pool, NULL), 0);
			daxcow_discard(r->vol[0], 0, DAXCOW_MAX_VOLUME_BLOCKS);
			drain(r);
		}
	}
}

/* Who had access before the generation began is not of its concern. */
static void older_access_does_not(void **state)
{
	struct rig *r = *state;
	u64 at[2];

	fill_pair(r, at);
	by_provision(r, 5, at[0]);
	by_run(r, 5, at[0]);
	by_overwrite_in_place(r, 9, at[1]);
	by_overwrite_in_place(r, 5, at[0]);
	assert_int_equal(merge(r, at[0], at[1]), 0);
}

/* What others do is of no concern either: a look, a snapshot, a copy of it. */
static void other_changes_do_not(void **state)
{
	struct rig *r = *state;
	struct daxcow_merge m = { .nr = 1 };

	m.keep = put(r, 0, 5, 'a');
	m.drop = put(r, 0, 9, 'a');
	m.before = generation(r);
	where(r, 0, 5);
	snapshot(r, 0, 1);
	own(r, 1, 5);
	put(r, 0, 6, 'b');
	assert_int_equal(daxcow_merge(r->pool, &m), 0);
	assert_int_equal(where(r, 1, 9), m.keep);
}

static void nobodys_and_others_blocks(void **state)
{
	struct rig *r = *state;
	u64 p = put(r, 0, 5, 'a'), q = put(r, 0, 9, 'a'), b;
	struct daxcow_merge m = { .keep = p, .drop = q, .nr = 2 };

	m.before = generation(r);
	assert_int_equal(daxcow_merge(r->pool, &m), -EINVAL);
	m.nr = 0;
	assert_int_equal(daxcow_merge(r->pool, &m), -EINVAL);
	m.nr = CHUNK;
	m.keep = CHUNK * 4 + 1;
	m.drop = CHUNK * 5;
	assert_int_equal(daxcow_merge(r->pool, &m), -EINVAL);
	assert_int_equal(merge(r, p, BLOCKS), -EINVAL);
	assert_int_equal(merge(r, BLOCKS, p), -EINVAL);
	assert_int_equal(merge(r, p, ~0ULL), -EINVAL);
	assert_int_equal(merge(r, p, p), -EALREADY);
	/* tables, records, the superblock, the zero chunk, free blocks */
	for (b = 0; b < BLOCKS; b++) {
		if (b == p || b == q)
			continue;
		assert_int_equal(merge(r, p, b), -ESTALE);
		assert_int_equal(merge(r, b, p), -ESTALE);
		assert_int_equal(merge(r, DAXCOW_KEEP_ZERO, b), -ESTALE);
	}
	assert_int_equal(merge(r, p, q), 0);
}

static void read_only_pool(void **state)
{
	struct rig *r = *state;
	u64 keep = put(r, 0, 5, 'a'), drop = put(r, 0, 9, 'a');
	struct daxcow_pool *pool = r->pool;

	assert_int_equal(daxcow_load(&r->pool, r->mem, BLOCKS, DAXCOW_LOAD_RO,
				     NULL, NULL), 0);
	assert_int_equal(merge(r, keep, drop), -EROFS);
	daxcow_unload(r->pool);
	r->pool = pool;
	assert_int_equal(merge(r, keep, drop), 0);
}

/* ---- the cap ---- */

/* As a scanner does it: what has enough owners is left, and the next one is kept. */
static void a_thousand_equal_blocks(void **state)
{
	static u64 block[1000];
	struct rig *r = *state;
	u64 keep, i, left = 1, data = info_of(r).nr_data;
	int ret;

	for (i = 0; i < 1000; i++)
		block[i] = put(r, 0, i, 'a');
	keep = block[0];
	for (i = 1; i < 1000; i++) {
		ret = merge(r, keep, block[i]);
		if (!ret)
			continue;
		assert_int_equal(ret, -EMLINK);
		assert_int_equal(owners(r, keep), DAXCOW_MERGE_OWNERS);
		keep = block[i];
		left++;
	}
	assert_int_equal(left, 4);
	drain(r);
	assert_int_equal(info_of(r).nr_data - data, 4);
	/* two halves that are too many together */
	for (i = 0; i < 130; i++)
		own(r, 0, i);
	drain(r);
	keep = where(r, 0, 200);
	assert_int_equal(owners(r, keep), DAXCOW_MERGE_OWNERS - 130);
	assert_int_equal(merge(r, keep, where(r, 0, 300)), -EMLINK);
	assert_int_equal(merge(r, keep, where(r, 0, 0)), 0);
}

/* ---- blocks of zeroes ---- */

static void mapped_is_right(struct rig *r, int v)
{
	u64 mapped, highest;
	struct daxcow_usage u;

	daxcow_volume_mapped(r->vol[v], &mapped, &highest);
	assert_int_equal(daxcow_usage(r->pool, v, &u), 0);
	assert_int_equal(mapped, u.mapped);
	assert_int_equal(highest, u.highest);
}

static void zero_block_is_unmapped(void **state)
{
	u64 mapped, highest, drop;
	struct rig *r = *state;

	put(r, 0, 5, 'a');
	drop = own(r, 0, 70);
	snapshot(r, 0, 1);
	snapshot(r, 0, 2);
	own(r, 1, 6);
	assert_int_equal(merge(r, DAXCOW_KEEP_ZERO, drop), 0);
	assert_int_equal(where(r, 0, 70), DAXCOW_HOLE);
	assert_int_equal(where(r, 1, 70), DAXCOW_HOLE);
	assert_int_equal(where(r, 2, 70), DAXCOW_HOLE);
	mapped_is_right(r, 0);
	mapped_is_right(r, 1);
	mapped_is_right(r, 2);
	daxcow_volume_mapped(r->vol[0], &mapped, &highest);
	assert_int_equal(mapped, 1);
	assert_int_equal(highest, 5);
	assert_int_equal(info_of(r).unmapped, 1);
	assert_int_equal(info_of(r).merged, 0);
	assert_int_equal(merge(r, DAXCOW_KEEP_ZERO, drop), -ESTALE);
	reload(r);
	assert_int_equal(where(r, 2, 70), DAXCOW_HOLE);
	own(r, 2, 70);
	mapped_is_right(r, 2);
}

/* A volume that has it at two places, and one that is not open. */
static void zero_block_of_many_places(void **state)
{
	struct rig *r = *state;
	u64 p = own(r, 0, 5);

	assert_int_equal(merge(r, p, own(r, 0, 70)), 0);
	snapshot(r, 0, 1);
	snapshot(r, 0, 2);
	daxcow_close(r->vol[2]);
	own(r, 1, 70);
	assert_int_equal(merge(r, DAXCOW_KEEP_ZERO, p), 0);
	assert_int_equal(daxcow_open(r->pool, 2, &r->vol[2]), 0);
	mapped_is_right(r, 0);
	mapped_is_right(r, 1);
	mapped_is_right(r, 2);
	assert_int_equal(where(r, 1, 5), DAXCOW_HOLE);
	assert_int_not_equal(where(r, 1, 70), DAXCOW_HOLE);
}

/* Volumes that were deleted, and are being taken apart, count nowhere. */
static void zero_block_of_deleted_volume(void **state)
{
	struct rig *r = *state;
	u64 p = own(r, 0, 5), q = own(r, 0, 6);

	snapshot(r, 0, 1);
	own(r, 1, 7);
	daxcow_close(r->vol[1]);
	r->vol[1] = NULL;
	assert_int_equal(daxcow_delete(r->pool, 1), 0);
	assert_int_equal(merge(r, DAXCOW_KEEP_ZERO, p), 0);
	mapped_is_right(r, 0);
	rig_close(r);
	assert_int_equal(daxcow_delete(r->pool, 0), 0);
	assert_int_equal(merge(r, DAXCOW_KEEP_ZERO, q), 0);
	drain(r);
	assert_int_equal(info_of(r).nr_data, 0);
}

/* ---- domains ---- */

static u32 domain_of(struct rig *r, u32 id)
{
	struct daxcow_volume_info i;

	assert_int_equal(daxcow_next_volume(r->pool, id, &i), 0);
	assert_int_equal(i.id, id);
	return i.domain;
}

static void create(struct rig *r, u32 id, u32 domain)
{
	struct daxcow_volume_desc d = { .id = id, .domain = domain };

	assert_int_equal(daxcow_create(r->pool, &d), 0);
	assert_int_equal(daxcow_open(r->pool, id, &r->vol[id]), 0);
}

static void domains_do_not_share(void **state)
{
	u64 p, q, again;
	struct rig *r = *state;

	create(r, 1, 7);
	p = put(r, 0, 5, 'a');
	q = put(r, 1, 5, 'a');
	assert_int_equal(merge(r, p, q), -EXDEV);
	assert_int_equal(merge(r, q, p), -EXDEV);
	/* it has nobody else's bytes */
	assert_int_equal(merge(r, DAXCOW_KEEP_ZERO, own(r, 1, 6)), 0);

	snapshot(r, 1, 2);
	assert_int_equal(domain_of(r, 2), 7);
	own(r, 2, 5);
	again = put(r, 2, 9, 'a');
	assert_int_equal(merge(r, p, again), -EXDEV);
	assert_int_equal(merge(r, q, again), 0);
	/* shared by two of the domain it is still not the other one's */
	assert_int_equal(merge(r, p, q), -EXDEV);
	reload(r);
	assert_int_equal(domain_of(r, 0), 0);
	assert_int_equal(domain_of(r, 1), 7);
	assert_int_equal(domain_of(r, 2), 7);
	assert_int_equal(merge(r, p, q), -EXDEV);
}

/* Nor does a volume change to another one by what replaces its record. */
static void domain_never_changes(void **state)
{
	struct rig *r = *state;

	create(r, 1, 7);
	put(r, 0, 5, 'a');
	put(r, 1, 5, 'a');
	snapshot(r, 1, 2);
	put(r, 2, 6, 'b');
	rig_close(r);
	assert_int_equal(daxcow_rollback(r->pool, 1, 0), -EXDEV);
	assert_int_equal(daxcow_rollback(r->pool, 0, 1), -EXDEV);
	assert_int_equal(daxcow_rollback(r->pool, 1, 2), 0);
	assert_int_equal(domain_of(r, 1), 7);
	assert_int_equal(daxcow_resize(r->pool, 1, 10), 0);
	assert_int_equal(domain_of(r, 1), 7);
	assert_int_equal(daxcow_resize(r->pool, 1, 20), 0);
	assert_int_equal(domain_of(r, 1), 7);
	assert_int_equal(domain_of(r, 0), 0);
}

/* ---- memory that failed ---- */

/* The entry that names @block, which has one owner, and the block that is in. */
static __le64 *entry_of(struct rig *r, u64 block, u64 *table)
{
	enum daxcow_use use;
	unsigned int i;

	for (*table = 0; *table < BLOCKS; ++*table) {
		__le64 *word = daxcow_block_addr(r->pool, *table);

		owners_use(r, *table, &use);
		for (i = 0; use == DAXCOW_BLOCK_TABLE && i < CHUNK; i++)
			if ((le64_to_cpu(word[i]) & DAXCOW_ENTRY_BLOCK_MASK) == block)
				return &word[i];
	}
	fail();
	return NULL;
}

static void bad_blocks_stay(void **state)
{
	struct rig *r = *state;
	u64 p = put(r, 0, 5, 'a'), q = put(r, 0, 9, 'a'), b;
	enum daxcow_use use;

	assert_int_equal(daxcow_bad_add(r->pool, p), 0);
	assert_int_equal(merge(r, p, q), -EIO);
	assert_int_equal(merge(r, q, p), -EIO);
	assert_int_equal(merge(r, DAXCOW_KEEP_ZERO, p), -EIO);
	daxcow_bad_clear(r->pool, p);
	/* nor what a bad table names, or a volume that has a bad record */
	entry_of(r, q, &b);
	daxcow_bad_add(r->pool, b);
	assert_int_equal(merge(r, p, q), -EIO);
	assert_int_equal(merge(r, DAXCOW_KEEP_ZERO, q), -EIO);
	daxcow_bad_clear(r->pool, b);
	for (b = 0, use = 0; use != DAXCOW_BLOCK_RECORD; b++)
		owners_use(r, b, &use);
	daxcow_bad_add(r->pool, b - 1);
	assert_int_equal(merge(r, p, q), -EIO);
	daxcow_bad_clear(r->pool, b - 1);
	assert_int_equal(owners(r, q), 1);
	assert_int_equal(merge(r, p, q), 0);
}

/* The table, or record, that the walk for @vblk finds @level in. */
static u64 table_of(struct rig *r, int v, u64 vblk, int level)
{
	struct place p;

	assert_int_equal(tree_find(r->pool, r->vol[v]->root_slot, vblk, level, &p), 0);
	return slot_block(p.slot);
}

/* It is bad, and who touches it is not there any more. */
static void fail_hard(struct rig *r, u64 block, bool bad)
{
	void *at = daxcow_block_addr(r->pool, block);

	assert_int_equal(mprotect(at, DAXCOW_BLOCK_SIZE, bad ? PROT_NONE :
				  PROT_READ | PROT_WRITE), 0);
	assert_int_equal(bad ? daxcow_bad_add(r->pool, block) :
			       daxcow_bad_clear(r->pool, block), 0);
}

static void bad_memory_is_not_touched(void **state)
{
	struct rig *r = *state;
	u64 p = put(r, 0, 5, 0), q = put(r, 0, 9, 0), table;
	int level;

	fail_hard(r, p, true);
	assert_int_equal(merge(r, p, q), -EIO);
	assert_int_equal(merge(r, q, p), -EIO);
	fail_hard(r, p, false);
	/* its leaf becomes empty, and the one above is bad; or the record is */
	for (level = 1; level <= ROOT_LEVEL; level += ROOT_LEVEL - 1) {
		q = put(r, 0, CHUNK * CHUNK, 0);
		assert_int_equal(daxcow_discard(r->vol[0], 0, CHUNK * CHUNK), 0);
		drain(r);
		table = table_of(r, 0, CHUNK * CHUNK, level);
		fail_hard(r, table, true);
		assert_int_equal(merge(r, DAXCOW_KEEP_ZERO, q), 0);
		fail_hard(r, table, false);
		drain(r);
		assert_int_equal(daxcow_verify(r->pool, NULL), 0);
		assert_int_equal(where(r, 0, CHUNK * CHUNK), DAXCOW_HOLE);
	}
}

/* A table that becomes empty stays as long as one that cannot be read names it. */
static void empty_table_below_a_bad_one(void **state)
{
	struct rig *r = *state;
	u64 leaf, root, i;

	put(r, 0, 0, 0);
	put(r, 0, CHUNK, 'x');
	snapshot(r, 0, 1);
	put(r, 0, CHUNK, 'y');
	leaf = table_of(r, 0, 0, 0);
	root = table_of(r, 0, 0, 1);
	assert_int_equal(leaf, table_of(r, 1, 0, 0));
	assert_int_not_equal(root, table_of(r, 1, 0, 1));
	drain(r);
	assert_int_equal(daxcow_bad_add(r->pool, root), 0);
	assert_int_equal(merge(r, DAXCOW_KEEP_ZERO, where(r, 1, 0)), 0);
	drain(r);
	assert_int_equal(desc_kind(space_desc(r->pool, leaf)), KIND_NODE);
	for (i = 2; i < CHUNK; i++)
		put(r, 1, CHUNK * i, 's');
	assert_int_equal(daxcow_bad_clear(r->pool, root), 0);
	assert_int_equal(where(r, 0, 0), DAXCOW_HOLE);
	assert_int_equal(daxcow_verify(r->pool, NULL), 0);
	reload(r);
}

/* A table that was damaged since it was loaded is not written to. */
static void damaged_table(void **state)
{
	struct rig *r = *state;
	u64 p = put(r, 0, 5, 'a'), q = put(r, 0, 9, 'a'), b;
	__le64 *word = entry_of(r, q, &b), saved = *word;

	*word ^= cpu_to_le64(1ULL << 40);
	assert_int_equal(merge(r, p, q), -EUCLEAN);
	*word = saved;
	assert_int_equal(owners(r, q), 1);
	assert_int_equal(merge(r, p, q), 0);
}

/* ---- no memory ---- */

/* With two owners each: the four need an array, and a queue may have to grow. */
static void no_memory_changes_nothing(void **state)
{
	struct rig *r = *state;
	u64 p = put(r, 0, 5, 'a'), q = put(r, 0, 9, 'a');
	int ret = -ENOMEM;
	long n;

	snapshot(r, 0, 1);
	own(r, 1, 6);
	drain(r);
	for (n = 0; ret; n++) {
		plat_fail_alloc(n);
		ret = merge(r, p, q);
		plat_fail_alloc(-1);
		assert_int_equal(where(r, 0, 9), ret ? q : p);
		assert_int_equal(where(r, 1, 9), ret ? q : p);
		assert_int_equal(owners(r, p), ret ? 2 : 4);
		assert_true(!ret || ret == -ENOMEM);
		if (ret)
			assert_int_equal(daxcow_verify(r->pool, NULL), 0);
	}
	assert_true(n > 1);
	assert_int_equal(info_of(r).merged, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(owners_move),
		CASE(owners_of_all_volumes_move),
		CASE(all_of_it_is_freed),
		CASE(shared_block_is_copied),
		CASE(last_owner_keeps_it),
		CASE(drop_waits),
		CASE(held_drop_is_kept),
		CASE(drop_with_pending_owners),
		CASE(keep_with_pending_owners),
		CASE(keep_that_a_reader_holds),
		CASE(write_access_ends_it),
		CASE(older_access_does_not),
		CASE(other_changes_do_not),
		CASE(nobodys_and_others_blocks),
		CASE(read_only_pool),
		CASE(a_thousand_equal_blocks),
		CASE(zero_block_is_unmapped),
		CASE(zero_block_of_many_places),
		CASE(zero_block_of_deleted_volume),
		CASE(domains_do_not_share),
		CASE(domain_never_changes),
		CASE(bad_blocks_stay),
		CASE(bad_memory_is_not_touched),
		CASE(empty_table_below_a_bad_one),
		CASE(damaged_table),
		CASE(no_memory_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
