// SPDX-License-Identifier: GPL-2.0
/*
 * Cases of the engine that random operations meet too rarely, or whose
 * outcome the model does not see: who may write in place, and when.
 */
#include "rig.h"

/* The last owner must not write in place while a former one can look (I2). */
static void last_owner_waits(void **state)
{
	struct rig *r = *state;
	u64 p = own(r, 0, 5);

	snapshot(r, 0, 1);
	assert_int_not_equal(own(r, 0, 5), p);
	assert_int_equal(where(r, 1, 5), p);
	/* volume 0 left, but its readers have not */
	assert_int_not_equal(own(r, 1, 5), p);
}

static void last_owner_stays_after_grace(void **state)
{
	struct rig *r = *state;
	u64 p = own(r, 0, 5);

	snapshot(r, 0, 1);
	own(r, 0, 5);
	drain(r);
	/* the snapshot's nodes are its own again as well */
	assert_int_equal(own(r, 1, 5), p);
}

/*
 * Nor while something holds the page for a former one, long after a grace
 * period: who left by a copy of the nodes above it, ...
 */
static void held_block_left_by_write(void **state)
{
	struct rig *r = *state;
	u64 p = own(r, 0, 5), next;

	snapshot(r, 0, 1);
	r->busy = p;
	own(r, 0, 5);
	drain(r);
	next = own(r, 1, 5);
	assert_int_not_equal(next, p);
	/* only this one */
	assert_int_equal(own(r, 1, 5), next);
	r->busy = ~0ULL;
	drain(r);
}

/* ... by a discard of one of these nodes, ... */
static void held_block_left_by_discard(void **state)
{
	u64 p, q, vblk = CHUNK * CHUNK * 2;
	struct rig *r = *state;

	own(r, 0, 0);
	p = own(r, 0, vblk + 5);
	q = own(r, 0, vblk + CHUNK + 5);
	snapshot(r, 0, 1);
	r->busy = p;
	assert_int_equal(daxcow_discard(r->vol[0], vblk, CHUNK * CHUNK), 0);
	assert_int_equal(where(r, 0, vblk + 5), DAXCOW_HOLE);
	drain(r);
	assert_int_not_equal(own(r, 1, vblk + 5), p);
	assert_int_equal(own(r, 1, vblk + CHUNK + 5), q);
}

/*
 * Volume 0 and then its snapshot 1 go, snapshot 2 is the last one, while block
 * @i of the first node or of a chunk is held.
 */
static void held_below_deleted(struct rig *r, u64 vblk, u64 i)
{
	u64 q = own(r, 0, CHUNK * CHUNK), p, first;
	int v;

	own(r, 0, 0);
	own(r, 0, 5);
	own(r, 0, 6);
	assert_int_equal(daxcow_provision(r->vol[0], CHUNK, CHUNK, &first),
			 CHUNK);
	p = where(r, 0, vblk + i);
	first = where(r, 0, vblk);
	snapshot(r, 0, 1);
	snapshot(r, 0, 2);
	r->busy = p;
	for (v = 0; v < 2; v++) {
		daxcow_close(r->vol[v]);
		r->vol[v] = NULL;
		assert_int_equal(daxcow_delete(r->pool, v), 0);
		drain(r);
	}
	assert_int_not_equal(own(r, 2, vblk + i), p);
	assert_int_equal(own(r, 2, CHUNK * CHUNK), q);
	r->busy = ~0ULL;
	drain(r);
	assert_int_equal(own(r, 2, vblk), first);
}

/* ... or by going away as a whole ... */
static void held_block_left_by_delete(void **state)
{
	held_below_deleted(*state, 0, 5);
}

/* ... with the chunk that it is in. */
static void held_chunk_left_by_delete(void **state)
{
	held_below_deleted(*state, CHUNK, 6);
}

/* The same for one who left before, and whose grace period is not over. */
static void failed_snapshot_frees_only_its_own(void **state)
{
	struct rig *r = *state;
	u64 p = own(r, 0, 5), vblk = 6;
	struct daxcow_volume_desc d = {
		.id = 2,
		.pinned = &vblk,
		.nr_pinned = 1,
	};
	long n;
	int ret;

	own(r, 0, 6);
	snapshot(r, 0, 1);
	own(r, 0, 5);
	assert_true(daxcow_reclaim_prepare(r->pool));
	for (n = 0, ret = -ENOMEM; ret; n++) {
		plat_fail_alloc(n);
		ret = daxcow_snapshot(r->pool, &d, 1);
		plat_fail_alloc(-1);
		if (ret) {
			assert_int_equal(ret, -ENOMEM);
			assert_int_equal(where(r, 1, 5), p);
			d.id = 2;
		}
	}
	assert_true(n > 1);
	assert_int_not_equal(own(r, 1, 5), p);
}

/* A page that DMA holds is not given back, however long it takes. */
static void busy_block_is_kept(void **state)
{
	struct daxcow_pool_info before, info;
	struct rig *r = *state;
	u64 p = own(r, 0, 5);

	own(r, 0, 6);
	r->busy = p;
	assert_int_equal(daxcow_discard(r->vol[0], 5, 1), 0);
	daxcow_pool_info(r->pool, &before);
	drain(r);
	daxcow_pool_info(r->pool, &info);
	assert_int_equal(info.nr_pending, 1);
	assert_int_equal(info.nr_free, before.nr_free);
	r->busy = ~0ULL;
	drain(r);
	daxcow_pool_info(r->pool, &info);
	assert_int_equal(info.nr_free, before.nr_free + 1);
}

static void reload(struct rig *r)
{
	rig_close(r);
	daxcow_unload(r->pool);
	rig_load(r);
	assert_int_equal(daxcow_open(r->pool, 0, &r->vol[0]), 0);
}

/* Take all there is; none of it may be block @not. */
static void fill_pool(struct rig *r, u64 not)
{
	u64 vblk, block;
	long n;

	for (vblk = 100; ; vblk += n) {
		n = daxcow_provision(r->vol[0], vblk, 1, &block);
		if (n < 0)
			break;
		assert_int_not_equal(block, not);
	}
	assert_int_equal(n, -ENOSPC);
}

/* Nor when the pool is loaded again meanwhile, by which it was forgotten. */
static void busy_block_is_kept_over_a_load(void **state)
{
	struct daxcow_pool_info before, info;
	struct rig *r = *state;
	u64 p = own(r, 0, 5);

	r->busy = p;
	assert_int_equal(daxcow_discard(r->vol[0], 5, 1), 0);
	reload(r);
	daxcow_pool_info(r->pool, &before);
	assert_int_equal(before.nr_pending, 1);
	drain(r);
	fill_pool(r, p);
	drain(r);
	daxcow_pool_info(r->pool, &before);
	assert_int_equal(before.nr_pending, 1);
	r->busy = ~0ULL;
	drain(r);
	daxcow_pool_info(r->pool, &info);
	assert_int_equal(info.nr_free, before.nr_free + 1);
	assert_int_equal(info.nr_pending, 0);
}

/* Who has it may have been an owner: the one that there is does not write in place. */
static void held_block_of_one_over_a_load(void **state)
{
	struct rig *r = *state;
	u64 p = own(r, 0, 5), q = own(r, 0, 6), chunk, again;

	assert_int_equal(daxcow_provision(r->vol[0], CHUNK, CHUNK, &chunk), CHUNK);
	r->busy = p;
	reload(r);
	drain(r);
	assert_int_equal(where(r, 0, 5), p);
	assert_int_not_equal(own(r, 0, 5), p);
	assert_int_equal(own(r, 0, 6), q);
	r->busy = chunk + 7;
	reload(r);
	drain(r);
	assert_int_equal(where(r, 0, CHUNK + 7), chunk + 7);
	assert_int_not_equal(own(r, 0, CHUNK + 7), chunk + 7);
	r->busy = ~0ULL;
	drain(r);
	again = own(r, 0, 5);
	reload(r);
	assert_int_equal(own(r, 0, 5), again);
}

/* A bad one is retired when it is let go. */
static void held_block_over_a_load(void **state)
{
	struct daxcow_pool_info info;
	struct rig *r = *state;
	u64 p = own(r, 0, 5);

	r->busy = p;
	assert_int_equal(daxcow_discard(r->vol[0], 5, 1), 0);
	reload(r);
	assert_int_equal(daxcow_bad_add(r->pool, p), 0);
	drain(r);
	daxcow_pool_info(r->pool, &info);
	assert_int_equal(info.nr_pending, 1);
	assert_int_equal(info.nr_retired, 0);
	r->busy = ~0ULL;
	drain(r);
	daxcow_pool_info(r->pool, &info);
	assert_int_equal(info.nr_pending, 0);
	assert_int_equal(info.nr_retired, 1);
}

/* Loading without the memory to remember it fails, and is no load that forgets. */
static void held_block_without_memory(void **state)
{
	struct rig *r = *state;
	struct daxcow_host host = {
		.busy = rig_busy, .ctx = r, .held = &r->busy, .nr_held = 1,
	};
	struct daxcow_pool_info info;
	u64 p = own(r, 0, 5);
	int ret = -ENOMEM;
	long n;

	r->busy = p;
	assert_int_equal(daxcow_discard(r->vol[0], 5, 1), 0);
	rig_close(r);
	daxcow_unload(r->pool);
	for (n = 0; ret; n++) {
		plat_fail_alloc(n);
		ret = daxcow_load(&r->pool, r->mem, BLOCKS, 0, &host, NULL);
		plat_fail_alloc(-1);
		assert_true(!ret || ret == -ENOMEM);
	}
	assert_true(n > 1);
	daxcow_pool_info(r->pool, &info);
	assert_int_equal(info.nr_pending, 1);
}

/* What a file system still knows is of no matter to owners, but not free. */
static void mapped_block_is_kept(void **state)
{
	struct daxcow_volume_desc d = { .id = 1, .uuid = (const u8 *)"snapsnapsnapsnap" };
	struct daxcow_pool_info before, info;
	struct rig *r = *state;
	u64 p = own(r, 0, 5);

	r->mapped = p;
	assert_int_equal(daxcow_snapshot(r->pool, &d, 1), 0);
	assert_int_not_equal(own(r, 0, 5), p);
	drain(r);
	daxcow_pool_info(r->pool, &info);
	assert_int_equal(info.nr_pending, 0);
	assert_int_equal(daxcow_delete(r->pool, 1), 0);
	drain(r);
	daxcow_pool_info(r->pool, &info);
	assert_int_equal(info.nr_pending, 1);
	r->mapped = ~0ULL;
	before = info;
	drain(r);
	daxcow_pool_info(r->pool, &info);
	assert_int_equal(info.nr_pending, 0);
	assert_int_equal(info.nr_free, before.nr_free + 1);
}

/* DMA into the origin: it keeps the page, and may go on at once. */
static void pinned_page_stays_with_origin(void **state)
{
	struct rig *r = *state;
	u64 p = own(r, 0, 5), vblk = 5;
	struct daxcow_volume_desc d = {
		.id = 1,
		.pinned = &vblk,
		.nr_pinned = 1,
	};

	own(r, 0, 6);
	assert_int_equal(daxcow_snapshot(r->pool, &d, 1), 0);
	assert_int_equal(daxcow_open(r->pool, 1, &r->vol[1]), 0);
	assert_int_not_equal(where(r, 1, 5), p);
	assert_int_equal(where(r, 1, 6), where(r, 0, 6));
	assert_int_equal(own(r, 0, 5), p);
}

static int not_ready(void *arg)
{
	int *asked = arg;

	return --*asked ? 0 : -EAGAIN;
}

/* Whoever is asked last before a snapshot is published can say no. */
static void snapshot_is_refused_at_last(void **state)
{
	struct rig *r = *state;
	u64 p = own(r, 0, 5), vblk = 5;
	int asked = 2;
	struct daxcow_volume_desc d[2] = {
		{ .id = 1, .pinned = &vblk, .nr_pinned = 1,
		  .ready = not_ready, .arg = &asked },
		{ .id = 2, .ready = not_ready, .arg = &asked },
	};
	struct daxcow_pool_info before, info;

	drain(r);
	daxcow_pool_info(r->pool, &before);
	assert_int_equal(daxcow_snapshot(r->pool, d, 2), -EAGAIN);
	assert_int_equal(asked, 0);
	drain(r);
	daxcow_pool_info(r->pool, &info);
	assert_int_equal(info.nr_volumes, before.nr_volumes);
	assert_int_equal(info.nr_free, before.nr_free);
	assert_int_equal(own(r, 0, 5), p);
	asked = 3;
	assert_int_equal(daxcow_snapshot(r->pool, d, 2), 0);
	assert_int_equal(asked, 1);
}

/* Write access to all of a chunk must not move what DMA goes to. */
static void pinned_page_stays_in_chunk(void **state)
{
	struct rig *r = *state;
	u64 block, again, vblk = CHUNK + 5;
	struct daxcow_volume_desc d = {
		.id = 1,
		.pinned = &vblk,
		.nr_pinned = 1,
	};

	assert_int_equal(daxcow_provision(r->vol[0], CHUNK, CHUNK, &block),
			 CHUNK);
	assert_int_equal(daxcow_snapshot(r->pool, &d, 1), 0);
	daxcow_set_cow(r->pool, DAXCOW_COW_2M);
	assert_int_equal(daxcow_provision(r->vol[0], CHUNK, CHUNK, &again), 1);
	assert_int_not_equal(again, block);
	assert_int_equal(where(r, 0, vblk), block + 5);
	assert_int_equal(where(r, 0, CHUNK + 1), block + 1);
}

/* A bio may not move it either. */
static void pinned_page_is_overwritten_in_place(void **state)
{
	struct rig *r = *state;
	u64 p = own(r, 0, 5);

	r->busy = p;
	overwrite(r, 0, 5);
	assert_int_equal(where(r, 0, 5), p);
	r->busy = ~0ULL;
	overwrite(r, 0, 5);
	assert_int_not_equal(where(r, 0, 5), p);
}

static void chunk_is_mapped_whole(void **state)
{
	struct rig *r = *state;
	struct daxcow_usage u;
	u64 block;

	assert_int_equal(daxcow_provision(r->vol[0], CHUNK * 2, CHUNK, &block),
			 CHUNK);
	assert_int_equal(daxcow_usage(r->pool, 0, &u), 0);
	assert_int_equal(u.huge, CHUNK);
	assert_int_equal(u.exclusive, CHUNK);
	assert_int_equal(u.highest, CHUNK * 3 - 1);
}

static void chunk_copy(void **state)
{
	struct rig *r = *state;
	u64 block, again;

	assert_int_equal(daxcow_provision(r->vol[0], 0, CHUNK, &block), CHUNK);
	memset(daxcow_block_addr(r->pool, block + 3), 7, DAXCOW_BLOCK_SIZE);
	snapshot(r, 0, 1);
	daxcow_set_cow(r->pool, DAXCOW_COW_2M);
	assert_int_equal(daxcow_provision(r->vol[1], 0, CHUNK, &again), CHUNK);
	assert_int_not_equal(block, again);
	assert_memory_equal(daxcow_block_addr(r->pool, block),
			    daxcow_block_addr(r->pool, again),
			    CHUNK * DAXCOW_BLOCK_SIZE);
}

/* One block of a shared chunk is written: the others stay where they are. */
static void chunk_split(void **state)
{
	struct rig *r = *state;
	u64 block, i;

	assert_int_equal(daxcow_provision(r->vol[0], 0, CHUNK, &block), CHUNK);
	snapshot(r, 0, 1);
	daxcow_set_cow(r->pool, DAXCOW_COW_4K);
	assert_int_not_equal(own(r, 1, 3), block + 3);
	for (i = 0; i < CHUNK; i++) {
		assert_int_equal(where(r, 0, i), block + i);
		if (i != 3)
			assert_int_equal(where(r, 1, i), block + i);
	}
	drain(r);
	assert_int_equal(own(r, 0, 3), block + 3);
	assert_int_not_equal(own(r, 0, 4), block + 4);
}

/* What a pool held before is never seen (I5). */
/* A bio to a part of an own chunk is all or nothing, so that block moves. */
static void chunk_written_through_block_layer(void **state)
{
	struct rig *r = *state;
	u64 block;

	assert_int_equal(daxcow_provision(r->vol[0], CHUNK, CHUNK, &block),
			 CHUNK);
	overwrite(r, 0, CHUNK + 3);
	assert_int_not_equal(where(r, 0, CHUNK + 3), block + 3);
	assert_int_equal(where(r, 0, CHUNK + 2), block + 2);
	assert_int_equal(where(r, 0, CHUNK + 4), block + 4);
	/* a store through a mapping does not move it */
	assert_int_equal(own(r, 0, CHUNK + 4), block + 4);
}

static void new_blocks_are_zero(void **state)
{
	static const char zero[DAXCOW_BLOCK_SIZE];
	struct rig *r = *state;
	u64 i;

	for (i = 0; i < 20; i++)
		assert_memory_equal(daxcow_block_addr(r->pool, own(r, 0, i)),
				    zero, sizeof(zero));
}

static void full_pool_can_be_emptied(void **state)
{
	struct daxcow_volume_desc d = { .id = 2 };
	struct rig *r = *state;
	u64 block, i;
	long ret;

	for (i = 0;; i++) {
		ret = daxcow_provision(r->vol[0], i, 1, &block);
		if (ret < 0)
			break;
	}
	assert_int_equal(ret, -ENOSPC);
	assert_true(i > BLOCKS / 2);
	/* a snapshot would take what is needed to make room */
	assert_int_equal(daxcow_snapshot(r->pool, &d, 1), -ENOSPC);
	assert_int_equal(daxcow_discard(r->vol[0], 0, 8), 0);
	drain(r);
	assert_int_equal(daxcow_snapshot(r->pool, &d, 1), 0);
	assert_int_equal(daxcow_delete(r->pool, 2), 0);
	drain(r);
	assert_true(daxcow_provision(r->vol[0], 0, 1, &block) > 0);
}

/* What is refused as there is no space leaves what there is for those who make some. */
static void refused_write_takes_nothing(void **state)
{
	struct daxcow_volume_desc d[2] = { { .id = 2 }, { .id = 3 } };
	struct rig *r = *state;
	u64 block, i, was;

	for (i = 2; i < 4; i++) {
		assert_int_equal(daxcow_create(r->pool, &d[i - 2]), 0);
		assert_int_equal(daxcow_open(r->pool, i, &r->vol[i]), 0);
		own(r, i, 0);
	}
	for (i = 0; daxcow_provision(r->vol[0], i, 1, &block) > 0; i++)
		;
	was = info_of(r).nr_free;
	for (i = 2; i < 4; i++)
		assert_int_equal(daxcow_provision(r->vol[i], DAXCOW_MAX_VOLUME_BLOCKS - 1, 1, &block),
				 -ENOSPC);
	assert_int_equal(info_of(r).nr_free, was);
	assert_int_equal(daxcow_discard(r->vol[0], 0, 8), 0);
}

/* Nor do several snapshots together, of which each by itself would do. */
static void snapshots_leave_the_reserve(void **state)
{
	struct daxcow_volume_desc d[8] = { };
	struct rig *r = *state;
	u64 block, i;

	own(r, 0, 0);
	own(r, 0, 1);
	for (i = 1; daxcow_room(r->pool) > DAXCOW_DIR_LEVEL + 12; i++)
		daxcow_provision(r->vol[0], i, 1, &block);
	for (i = 0; i < 8; i++)
		d[i].id = 5 + i * (DAXCOW_MAX_ID / 8);
	assert_int_equal(daxcow_snapshot(r->pool, d, 8), -ENOSPC);
	/* there is room for those that are in one table */
	for (i = 0; i < 7; i++)
		d[i].id = 8 + i;
	assert_int_equal(daxcow_snapshot(r->pool, d, 7), 0);
	assert_true(info_of(r).nr_free >= info_of(r).reserve);
	/* what is wrong is told, and not that there would be no space for it */
	while (daxcow_room(r->pool))
		assert_int_equal(daxcow_provision(r->vol[0], i++, 1, &block), 1);
	assert_int_equal(daxcow_snapshot(r->pool, d, 2), -EEXIST);
	d[0] = (struct daxcow_volume_desc) { .id = 20, .origin = 99 };
	assert_int_equal(daxcow_snapshot(r->pool, d, 1), -ENOENT);
}

/* There is a free chunk, which has to be left; a block is written instead. */
static void chunk_without_room(void **state)
{
	struct rig *r = *state;
	u64 block, i;

	daxcow_set_cow(r->pool, DAXCOW_COW_2M);
	assert_int_equal(daxcow_provision(r->vol[0], 0, CHUNK, &block), CHUNK);
	snapshot(r, 0, 1);
	for (i = CHUNK; daxcow_room(r->pool) > CHUNK + 2; i++)
		daxcow_provision(r->vol[0], i, 1, &block);
	assert_true(info_of(r).nr_chunks_free > 0);
	assert_int_equal(daxcow_provision(r->vol[0], 0, CHUNK, &block), 1);
}

static int count(void *arg, const struct daxcow_owner *o)
{
	u64 *seen = arg;

	assert_int_equal(o->vblk, 9);
	*seen |= 1ULL << o->volume;
	return 0;
}

/* Those of all levels that are the volume's own. */
static void usage_counts_tables(void **state)
{
	struct rig *r = *state;
	struct daxcow_usage u;
	u64 meta = info_of(r).nr_meta;

	own(r, 0, 0);
	own(r, 0, CHUNK * CHUNK * CHUNK);
	own(r, 0, CHUNK * CHUNK + 5);
	drain(r);
	assert_int_equal(daxcow_usage(r->pool, 0, &u), 0);
	assert_int_equal(u.nodes, info_of(r).nr_meta - meta);
	assert_true(u.nodes > 6);
	snapshot(r, 0, 1);
	assert_int_equal(daxcow_usage(r->pool, 0, &u), 0);
	assert_int_equal(u.nodes, 0);
	own(r, 0, 1);
	assert_int_equal(daxcow_usage(r->pool, 0, &u), 0);
	assert_int_equal(u.nodes, 4);
}

static void all_owners_are_found(void **state)
{
	struct rig *r = *state;
	u64 p = own(r, 0, 9), seen = 0;
	u32 i;

	for (i = 1; i < 40; i++) {
		struct daxcow_volume_desc d = { .id = i, .origin = i / 2 };

		assert_int_equal(daxcow_snapshot(r->pool, &d, 1), 0);
	}
	own(r, 0, 9);
	assert_int_equal(daxcow_owners(r->pool, p, NULL, count, NULL, &seen), 0);
	assert_int_equal(seen, (1ULL << 40) - 2);
	assert_int_equal(daxcow_owners(r->pool, BLOCKS - 1, NULL, count, NULL, &seen),
			 -ENOENT);
}

/* What the blocks above a page are, and what of the volume they stand for. */
#define FAR_VBLK	(CHUNK * CHUNK + 3 * CHUNK + 1)

static int covers_far(void *arg, const struct daxcow_owner *o)
{
	u64 *nr = arg;

	assert_int_equal(o->volume, 0);
	assert_true(o->vblk <= FAR_VBLK && FAR_VBLK - o->vblk < o->nr);
	assert_int_equal(*nr, 0);
	*nr = o->nr;
	return 0;
}

static void owners_of_tables_are_found(void **state)
{
	unsigned int used[DAXCOW_BLOCK_POOL + 1] = { 0 };
	u64 b, nr, p, covered = 0;
	struct rig *r = *state;
	enum daxcow_use use;
	int ret;

	p = own(r, 0, FAR_VBLK);
	for (b = 0; b < BLOCKS; b++) {
		nr = 0;
		ret = daxcow_owners(r->pool, b, &use, covers_far, NULL, &nr);
		assert_int_equal(ret, nr ? 0 : -ENOENT);
		assert_int_equal(use == DAXCOW_BLOCK_DATA, b == p);
		assert_int_equal(nr == 0, use == DAXCOW_BLOCK_FREE ||
				 use == DAXCOW_BLOCK_POOL);
		assert_int_equal(nr == 1, use == DAXCOW_BLOCK_DATA);
		assert_int_equal(nr == DAXCOW_MAX_VOLUME_BLOCKS,
				 use == DAXCOW_BLOCK_RECORD);
		if (use == DAXCOW_BLOCK_TABLE)
			covered += nr;
		used[use]++;
	}
	assert_int_equal(used[DAXCOW_BLOCK_DATA], 1);
	assert_int_equal(used[DAXCOW_BLOCK_RECORD], 1);
	assert_int_equal(used[DAXCOW_BLOCK_TABLE], 3);
	assert_int_equal(covered, CHUNK + CHUNK * CHUNK + CHUNK * CHUNK * CHUNK);
	assert_int_equal(daxcow_owners(r->pool, BLOCKS, &use, covers_far, NULL, &nr),
			 -ERANGE);
}

/* A pool with a bit of everything, not loaded. */
static void fill_and_close(struct rig *r)
{
	u64 block;

	own(r, 0, 0);
	own(r, 0, CHUNK * CHUNK + 1);
	daxcow_provision(r->vol[0], CHUNK * 3, CHUNK, &block);
	snapshot(r, 0, 1);
	own(r, 1, 0);
	own(r, 1, CHUNK * 3 + 1);
	rig_close(r);
	drain(r);
	daxcow_unload(r->pool);
}

static int load_again(struct rig *r, struct daxcow_report *report)
{
	struct daxcow_pool *pool;
	int ret = daxcow_load(&pool, r->mem, BLOCKS, 0, NULL, report);

	if (!ret)
		daxcow_unload(pool);
	return ret;
}

/*
 * Walk as the loader does, by type and block of what looks like entries; each
 * bit of each must be missed by nobody.
 */
static void flip_word(struct rig *r, __le64 *word, unsigned long *flips)
{
	struct daxcow_report report;
	int bit;

	for (bit = 0; bit < 64; bit++) {
		*word ^= cpu_to_le64(1ULL << bit);
		if (!load_again(r, &report))
			fail_msg("bit %d of word %td is not seen", bit,
				 word - (__le64 *)r->mem);
		*word ^= cpu_to_le64(1ULL << bit);
		(*flips)++;
	}
}

static void flip_below(struct rig *r, __le64 *word, int depth,
		       unsigned long *flips)
{
	u64 raw = le64_to_cpu(*word), block = raw & DAXCOW_ENTRY_BLOCK_MASK;
	int type = raw >> DAXCOW_ENTRY_TYPE_SHIFT & 7;
	__le64 *node = (__le64 *)r->mem + block * DAXCOW_NODE_SLOTS;
	unsigned int i;

	assert_true(depth < 12);
	if (!raw)
		return;
	flip_word(r, word, flips);
	if (type == DAXCOW_ENTRY_RECORD)
		flip_below(r, node + DAXCOW_SLOT_ROOT, depth + 1, flips);
	else if (type == DAXCOW_ENTRY_DIR || type == DAXCOW_ENTRY_NODE)
		for (i = 0; i < DAXCOW_NODE_ENTRIES; i++)
			flip_below(r, node + i, depth + 1, flips);
}

static void every_flipped_bit_is_seen(void **state)
{
	struct rig *r = *state;
	struct daxcow_super *s = r->mem;
	unsigned long flips = 0;

	fill_and_close(r);
	flip_below(r, &s->directory, 0, &flips);
	flip_word(r, &s->size, &flips);
	flip_word(r, &s->trans, &flips);
	flip_word(r, (__le64 *)&s->version, &flips);
	flip_word(r, &s->chunk_offset, &flips);
	flip_word(r, &s->incompat, &flips);
	printf("%lu flipped bits of entries, all refused\n", flips);
	rig_load(r);
}

static void refuses(struct rig *r, int ret, enum daxcow_bad bad)
{
	struct daxcow_report report;

	assert_int_equal(load_again(r, &report), ret);
	assert_int_equal(report.bad, bad);
}

static void reseal(struct daxcow_super *s)
{
	s->crc = cpu_to_le32(crc32c(~0U, s, DAXCOW_SUPER_FIXED));
}

static void foreign_pools_are_refused(void **state)
{
	struct rig *r = *state;
	struct daxcow_super *s = r->mem, saved;
	struct daxcow_report report;
	struct daxcow_pool *pool;

	fill_and_close(r);
	saved = *s;
	s->magic = 0;
	refuses(r, -EMEDIUMTYPE, DAXCOW_BAD_MAGIC);
	*s = saved;
	s->version = cpu_to_le32(2);
	reseal(s);
	refuses(r, -EPROTONOSUPPORT, DAXCOW_BAD_VERSION);
	*s = saved;
	s->incompat = cpu_to_le64(1);
	reseal(s);
	refuses(r, -EPROTONOSUPPORT, DAXCOW_BAD_FEATURE);
	*s = saved;
	assert_int_equal(daxcow_load(&pool, r->mem, BLOCKS - 1, 0, NULL,
				     &report), -EUCLEAN);
	assert_int_equal(report.bad, DAXCOW_BAD_TRUNCATED);
	rig_load(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(last_owner_waits),
		CASE(last_owner_stays_after_grace),
		CASE(held_block_left_by_write),
		CASE(held_block_left_by_discard),
		CASE(held_block_left_by_delete),
		CASE(held_chunk_left_by_delete),
		CASE(failed_snapshot_frees_only_its_own),
		CASE(busy_block_is_kept),
		CASE(busy_block_is_kept_over_a_load),
		CASE(held_block_of_one_over_a_load),
		CASE(held_block_over_a_load),
		CASE(held_block_without_memory),
		CASE(mapped_block_is_kept),
		CASE(pinned_page_stays_with_origin),
		CASE(snapshot_is_refused_at_last),
		CASE(pinned_page_stays_in_chunk),
		CASE(pinned_page_is_overwritten_in_place),
		CASE(chunk_is_mapped_whole),
		CASE(chunk_copy),
		CASE(chunk_split),
		CASE(chunk_written_through_block_layer),
		CASE(new_blocks_are_zero),
		CASE(full_pool_can_be_emptied),
		CASE(refused_write_takes_nothing),
		CASE(snapshots_leave_the_reserve),
		CASE(chunk_without_room),
		CASE(usage_counts_tables),
		CASE(all_owners_are_found),
		CASE(owners_of_tables_are_found),
		CASE(every_flipped_bit_is_seen),
		CASE(foreign_pools_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
