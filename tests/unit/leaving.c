// SPDX-License-Identifier: GPL-2.0
/*
 * Owners that leave: nobody waits for them, and nobody writes where they may still look.
 */
#define BLOCKS	(CHUNK * 4096)
#include "rig.h"

static int no_owner(void *arg, const struct daxcow_owner *o)
{
	return 1;
}

static void close_and_delete(struct rig *r, u32 id)
{
	daxcow_close(r->vol[id]);
	r->vol[id] = NULL;
	assert_int_equal(daxcow_delete(r->pool, id), 0);
}

/* What volume @v is given next, many times, is not @block. */
static void not_given(struct rig *r, int v, u64 block)
{
	u64 i;

	for (i = 0; i < CHUNK * 5; i++)
		assert_int_not_equal(own(r, v, CHUNK * 5 + i), block);
}

/* Those who leave are not counted: the next can, and nobody else waits for them. */
static void deletes_in_a_row(void **state)
{
	struct daxcow_pool_info before;
	struct rig *r = *state;
	u64 block, vblk;
	u32 i;

	for (vblk = 0; vblk < CHUNK; vblk++)
		own(r, 0, vblk);
	for (i = 0; i < 20000; i++) {
		make(r, 0, 1 + i % 8);
		assert_int_equal(daxcow_delete(r->pool, 1 + i % 8), 0);
		if (i % 1000 == 999)
			daxcow_reclaim_prepare(r->pool);
	}
	for (vblk = 0; vblk < CHUNK; vblk++)
		assert_int_equal(daxcow_provision(r->vol[0], vblk, 1, &block), 1);
	overwrite(r, 0, 3);
	assert_int_equal(daxcow_discard(r->vol[0], 4, 1), 0);
	drain(r);
	before = info_of(r);
	assert_int_equal(before.nr_pending, 0);
	assert_int_equal(before.nr_data, CHUNK - 1);
}

/* An epoch comes back, and is not taken for the one in which somebody left. */
static void epochs_come_back(void **state)
{
	struct rig *r = *state;
	u64 p = own(r, 0, 5), q;
	u32 i;

	own(r, 0, 6);
	make(r, 0, 1);
	/* each has a leaf of its own then, and both name p */
	own(r, 0, 6);
	q = own(r, 0, 5);
	drain(r);
	/* now p is volume 1's own: who left did so in this epoch */
	for (i = 0; i < 3 * 8192; i++) {
		own(r, 0, 6);
		make(r, 0, 2);
		assert_int_equal(daxcow_delete(r->pool, 2), 0);
		assert_true(daxcow_reclaim_prepare(r->pool));
		while (daxcow_reclaim_run(r->pool))
			;
		assert_false(daxcow_shared(r->pool, p));
	}
	assert_int_equal(where(r, 0, 5), q);
	assert_int_equal(daxcow_open(r->pool, 1, &r->vol[1]), 0);
	assert_int_equal(own(r, 1, 5), p);
}

/*
 * Somebody holds a page that he has come to through a snapshot which is gone: the origin
 * does not write where he looks. Once it has been seen that nobody does, it is claimed:
 * then who holds it is the origin's own DMA, and the block stays.
 */
static void held(struct rig *r, u64 vblk, u64 len)
{
	u64 p, q, block;

	assert_int_equal(daxcow_provision(r->vol[0], vblk, len, &p), len);
	q = own(r, 0, vblk + len);
	make(r, 0, 1);
	r->busy = p;
	assert_int_equal(daxcow_delete(r->pool, 1), 0);
	drain(r);
	assert_true(daxcow_shared(r->pool, p));
	assert_true(daxcow_provision(r->vol[0], vblk, len, &block) > 0);
	assert_int_not_equal(block, p);
	assert_int_equal(own(r, 0, vblk + len), q);
	/* it was claimed, and is held now */
	r->busy = q;
	assert_false(daxcow_shared(r->pool, q));
	assert_int_equal(own(r, 0, vblk + len), q);
	/* as it is when another volume has come and gone without it */
	make(r, 0, 2);
	r->busy = ~0ULL;
	assert_int_equal(daxcow_delete(r->pool, 2), 0);
	drain(r);
	assert_int_equal(own(r, 0, vblk + len), q);
	drain(r);
}

static void held_block(void **state)
{
	held(*state, 5, 1);
}

static void held_chunk(void **state)
{
	held(*state, CHUNK * 8, CHUNK);
}

/* One block of a chunk that is mapped as a whole. */
static void held_part(void **state)
{
	struct rig *r = *state;
	u64 p, block;

	assert_int_equal(daxcow_provision(r->vol[0], CHUNK, CHUNK, &p), CHUNK);
	make(r, 0, 1);
	assert_int_equal(daxcow_delete(r->pool, 1), 0);
	drain(r);
	r->busy = p + 3;
	assert_int_equal(daxcow_provision(r->vol[0], CHUNK, CHUNK, &block), 3);
	assert_int_equal(block, p);
	assert_int_not_equal(own(r, 0, CHUNK + 3), p + 3);
	assert_int_equal(own(r, 0, CHUNK + 4), p + 4);
	/* claimed, each by itself */
	r->busy = p + 4;
	assert_int_equal(own(r, 0, CHUNK + 4), p + 4);
	r->busy = ~0ULL;
	drain(r);
}

/* The mark of a node sinks as far as it has to, and not beyond. */
static void stale_marks_sink(void **state)
{
	u64 far = CHUNK * CHUNK * 3, p, q;
	struct rig *r = *state;

	p = own(r, 0, far);
	q = own(r, 0, 5);
	make(r, 0, 1);
	assert_int_equal(daxcow_delete(r->pool, 1), 0);
	drain(r);
	/* elsewhere in the tree first */
	r->busy = p;
	assert_int_equal(own(r, 0, 5), q);
	assert_int_not_equal(own(r, 0, far), p);
	r->busy = ~0ULL;
	drain(r);
	p = own(r, 0, far);
	r->busy = p;
	assert_int_equal(own(r, 0, far), p);
	r->busy = ~0ULL;
}

/* A claim of a block ends when its leaf has been copied, and the copy is the only one. */
static void claims_end_with_sharing(void **state)
{
	struct rig *r = *state;
	u64 p = own(r, 0, 5);

	own(r, 0, 6);
	make(r, 0, 1);
	own(r, 0, 6);
	r->busy = p;
	assert_int_equal(daxcow_delete(r->pool, 1), 0);
	drain(r);
	assert_int_equal(where(r, 0, 5), p);
	assert_int_not_equal(own(r, 0, 5), p);
	r->busy = ~0ULL;
	drain(r);
}

/* What waits is nobody's: it is as good as free to who asks. */
static void gone_is_free(void **state)
{
	struct rig *r = *state;
	u64 p = own(r, 0, 5);
	enum daxcow_use use;

	r->busy = p;
	assert_int_equal(daxcow_discard(r->vol[0], 5, 1), 0);
	drain(r);
	assert_int_equal(info_of(r).nr_pending, 1);
	assert_int_equal(daxcow_owners(r->pool, p, &use, no_owner, NULL, NULL), -ENOENT);
	assert_int_equal(use, DAXCOW_BLOCK_FREE);
	r->busy = ~0ULL;
	drain(r);
}

/* Who left may look until the grace period is over, not until it begins. */
static void grace_period_has_to_end(void **state)
{
	struct rig *r = *state;
	u64 p = own(r, 0, 5), q;

	q = own(r, 0, 6);
	snapshot(r, 0, 1);
	own(r, 0, 5);
	own(r, 0, 6);
	assert_true(info_of(r).settling);
	assert_true(daxcow_reclaim_prepare(r->pool));
	assert_true(info_of(r).settling);
	assert_true(daxcow_shared(r->pool, p));
	assert_int_not_equal(own(r, 1, 5), p);
	while (daxcow_reclaim_run(r->pool))
		;
	/* and then those of the tables that were copied meanwhile */
	drain(r);
	assert_false(info_of(r).settling);
	assert_int_equal(own(r, 1, 6), q);
}

/* DMA to a block that the snapshot did not get, and what it is copied with. */
static void pinned_stays_claimed(void **state)
{
	u64 vblk[2] = { 5, 6 }, p[2], i;
	struct daxcow_volume_desc d = {
		.id = 1, .pinned = vblk, .nr_pinned = 2,
	};
	struct rig *r = *state;

	own(r, 0, 4);
	p[0] = own(r, 0, 5);
	p[1] = own(r, 0, 6);
	assert_int_equal(daxcow_snapshot(r->pool, &d, 1), 0);
	for (i = 0; i < 2; i++) {
		r->busy = p[i];
		assert_int_equal(own(r, 0, vblk[i]), p[i]);
	}
	assert_int_equal(daxcow_delete(r->pool, 1), 0);
	drain(r);
	for (i = 0; i < 2; i++) {
		r->busy = p[i];
		assert_int_equal(own(r, 0, vblk[i]), p[i]);
	}
	r->busy = ~0ULL;
}

/*
 * A chunk that one volume maps as a whole and another one by its blocks. Who left it as
 * a whole may look at the blocks until his grace period is over, not until that of those
 * who left the blocks is.
 */
static void chunk_left_after_its_blocks(void **state)
{
	struct rig *r = *state;
	u64 p;

	assert_int_equal(daxcow_provision(r->vol[0], CHUNK, CHUNK, &p), CHUNK);
	own(r, 0, CHUNK * 2);
	snapshot(r, 0, 1);
	snapshot(r, 0, 2);
	own(r, 2, CHUNK + 3);
	own(r, 1, CHUNK * 2);
	own(r, 0, CHUNK * 2);
	drain(r);
	close_and_delete(r, 0);
	assert_true(daxcow_reclaim_prepare(r->pool));
	/* a reader of volume 1 comes, who is not waited for */
	assert_int_equal(where(r, 1, CHUNK + 3), p + 3);
	assert_int_equal(daxcow_discard(r->vol[1], CHUNK, CHUNK), 0);
	while (daxcow_reclaim_run(r->pool))
		;
	not_given(r, 2, p + 3);
}

/* The other way round: the blocks are left when their table is taken apart. */
static void chunk_left_before_its_table_goes(void **state)
{
	struct rig *r = *state;
	u64 p;

	assert_int_equal(daxcow_provision(r->vol[0], CHUNK, CHUNK, &p), CHUNK);
	own(r, 0, CHUNK * 2);
	snapshot(r, 0, 1);
	own(r, 1, CHUNK + 3);
	own(r, 0, CHUNK * 2);
	drain(r);
	close_and_delete(r, 1);
	assert_true(daxcow_reclaim_prepare(r->pool));
	assert_int_equal(where(r, 0, CHUNK + 5), p + 5);
	assert_int_equal(daxcow_discard(r->vol[0], CHUNK, CHUNK), 0);
	while (daxcow_reclaim_run(r->pool))
		;
	not_given(r, 0, p + 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(deletes_in_a_row),
		CASE(epochs_come_back),
		CASE(held_block),
		CASE(held_chunk),
		CASE(held_part),
		CASE(stale_marks_sink),
		CASE(claims_end_with_sharing),
		CASE(gone_is_free),
		CASE(grace_period_has_to_end),
		CASE(pinned_stays_claimed),
		CASE(chunk_left_after_its_blocks),
		CASE(chunk_left_before_its_table_goes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
