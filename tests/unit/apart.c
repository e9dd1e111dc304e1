// SPDX-License-Identifier: GPL-2.0
/*
 * What happens while a new block is filled without the lock: see fill.c. The engine has
 * given the lock away when it calls plat_resched.
 */
#define BLOCKS	(CHUNK * 64)
#include "rig.h"
#include "internal.h"

static struct rig *rig;
static void (*meanwhile)(void);
static unsigned int times;

/* So often, and not in what it does itself. */
static void resched(void)
{
	void (*fn)(void) = meanwhile;

	if (!fn || !rig->pool->nr_apart)
		return;
	meanwhile = NULL;
	fn();
	if (times && --times)
		meanwhile = fn;
}

static void begin(struct rig *r, void (*fn)(void), unsigned int nr)
{
	rig = r;
	meanwhile = fn;
	times = nr;
	plat_resched = resched;
	/* it would be done under the lock */
	r->pool->crowded = ~0U;
}

static void done(void)
{
	assert_null(meanwhile);
	assert_int_equal(rig->pool->nr_apart, 0);
}

static int fill_with(void *arg, void *dst)
{
	char bytes[DAXCOW_BLOCK_SIZE];

	memset(bytes, *(char *)arg, sizeof(bytes));
	pm_write(dst, bytes, sizeof(bytes));
	return 0;
}

static int fill_end(void *arg, void *dst)
{
	pm_write(dst + DAXCOW_BLOCK_SIZE - 1, arg, 1);
	return 0;
}

static int put(struct rig *r, int v, u64 vblk, char c)
{
	return daxcow_overwrite(r->vol[v], vblk, true, fill_with, &c);
}

static int put_end(struct rig *r, int v, u64 vblk, char c)
{
	return daxcow_overwrite(r->vol[v], vblk, false, fill_end, &c);
}

static const char *at(struct rig *r, u64 block)
{
	return daxcow_block_addr(r->pool, block);
}

static char first(struct rig *r, int v, u64 vblk)
{
	return *at(r, where(r, v, vblk));
}

static char last(struct rig *r, int v, u64 vblk)
{
	return at(r, where(r, v, vblk))[DAXCOW_BLOCK_SIZE - 1];
}

/* Of a DAX mapping that has been given it. */
static void store(struct rig *r, u64 block, char c)
{
	fill_with(&c, daxcow_block_addr(r->pool, block));
}

/* 'a' in block 0 of volumes 0 and 1 */
static void shared(struct rig *r)
{
	assert_int_equal(put(r, 0, 0, 'a'), 0);
	snapshot(r, 0, 1);
}

/* The first block that is neither free nor anything else: the one that is filled. */
static u64 unowned(struct rig *r)
{
	u64 block = 0;

	while (block < r->pool->nr_blocks &&
	       desc_kind(space_desc(r->pool, block)) != KIND_GONE)
		block++;
	return block;
}

static void write_b(void)
{
	assert_int_equal(put(rig, 0, 0, 'b'), 0);
}

/* Another one writes the place: what was copied is not what it has. */
static void place_changes(void **state)
{
	struct rig *r = *state;

	shared(r);
	begin(r, write_b, 1);
	own(r, 0, 0);
	done();
	assert_int_equal(first(r, 0, 0), 'b');
	assert_int_equal(first(r, 1, 0), 'a');
	/* the same, by a part of it */
	snapshot(r, 0, 2);
	begin(r, write_b, 1);
	assert_int_equal(put_end(r, 0, 0, 'c'), 0);
	done();
	assert_int_equal(first(r, 0, 0), 'b');
	assert_int_equal(last(r, 0, 0), 'c');
}

static void unmap(void)
{
	assert_int_equal(daxcow_discard(rig->vol[0], 0, 1), 0);
}

static void place_is_emptied(void **state)
{
	struct rig *r = *state;

	shared(r);
	begin(r, unmap, 1);
	own(r, 0, 0);
	done();
	assert_int_equal(first(r, 0, 0), 0);
}

static void empty_place_is_written(void **state)
{
	struct rig *r = *state;

	begin(r, write_b, 1);
	own(r, 0, 0);
	done();
	assert_int_equal(first(r, 0, 0), 'b');
}

/* All of it is written, whatever is there. */
static void last_one_wins(void **state)
{
	struct rig *r = *state;

	shared(r);
	begin(r, write_b, 1);
	assert_int_equal(put(r, 0, 0, 'c'), 0);
	done();
	assert_int_equal(first(r, 0, 0), 'c');
	assert_int_equal(r->pool->nr_data, 3);
}

static u64 block_was;

static void epoch_ends(void)
{
	while (daxcow_reclaim_run(rig->pool))
		;
}

static void becomes_own(void)
{
	epoch_ends();
	assert_int_equal(own(rig, 0, 0), block_was);
	store(rig, block_was, 'd');
}

static void snapshot_it(void)
{
	make(rig, 0, 3);
}

static void becomes_own_and_shared(void)
{
	becomes_own();
	snapshot_it();
}

/* The other owner has left, and a grace period is about to end. */
static void nearly_own(struct rig *r)
{
	shared(r);
	daxcow_close(r->vol[1]);
	r->vol[1] = NULL;
	assert_int_equal(daxcow_delete(r->pool, 1), 0);
	drain(r);
	/* a block, of which the table is the volume's own */
	own(r, 0, 0);
	make(r, 0, 2);
	assert_int_equal(daxcow_delete(r->pool, 2), 0);
	assert_true(daxcow_reclaim_prepare(r->pool));
	block_was = where(r, 0, 0);
}

static void own_meanwhile(void **state)
{
	struct rig *r = *state;

	nearly_own(r);
	begin(r, becomes_own, 1);
	assert_int_equal(own(r, 0, 0), block_was);
	done();
	assert_int_equal(first(r, 0, 0), 'd');
	/* ... and all of it is written, to a new block */
	nearly_own(r);
	begin(r, becomes_own, 1);
	assert_int_equal(put(r, 0, 0, 'e'), 0);
	done();
	assert_int_equal(first(r, 0, 0), 'e');
	assert_int_not_equal(where(r, 0, 0), block_was);
}

static void own_and_shared_again(void **state)
{
	struct rig *r = *state;

	nearly_own(r);
	begin(r, becomes_own_and_shared, 1);
	assert_int_not_equal(own(r, 0, 0), block_was);
	done();
	assert_int_equal(first(r, 0, 0), 'd');
}

/* DMA begins when the block is own: it must not move. */
static void own_and_busy(void)
{
	becomes_own();
	rig->busy = block_was;
}

static void own_and_busy_meanwhile(void **state)
{
	struct rig *r = *state;

	nearly_own(r);
	begin(r, own_and_busy, 1);
	assert_int_equal(put(r, 0, 0, 'f'), 0);
	done();
	assert_int_equal(where(r, 0, 0), block_was);
	assert_int_equal(first(r, 0, 0), 'f');
}

static void make_snapshot(void)
{
	snapshot(rig, 0, 2);
}

/* It has what was there before the write, which had not been published. */
static void snapshot_meanwhile(void **state)
{
	struct rig *r = *state;

	shared(r);
	begin(r, make_snapshot, 1);
	assert_int_equal(put(r, 0, 0, 'g'), 0);
	done();
	assert_int_equal(first(r, 0, 0), 'g');
	assert_int_equal(first(r, 1, 0), 'a');
	assert_int_equal(first(r, 2, 0), 'a');
}

static void new_is_bad(void)
{
	assert_int_equal(daxcow_bad_add(rig->pool, unowned(rig)), 0);
}

static void new_block_fails(void **state)
{
	struct rig *r = *state;

	shared(r);
	begin(r, new_is_bad, 1);
	own(r, 0, 0);
	done();
	assert_int_equal(daxcow_bad_find(r->pool, where(r, 0, 0), 1), 1);
	assert_int_equal(r->pool->nr_retired, 1);
	assert_int_equal(first(r, 0, 0), 'a');
}

static void new_was_bad(void)
{
	u64 block = unowned(rig);

	new_is_bad();
	/* whatever it contains */
	memset(daxcow_block_addr(rig->pool, block), 0, DAXCOW_BLOCK_SIZE);
	assert_int_equal(daxcow_bad_clear(rig->pool, block), 0);
}

static void new_block_fails_and_is_good(void **state)
{
	struct rig *r = *state;

	shared(r);
	begin(r, new_was_bad, 1);
	assert_int_equal(put(r, 0, 0, 'p'), 0);
	done();
	assert_int_equal(first(r, 0, 0), 'p');
	assert_int_equal(last(r, 0, 0), 'p');
}

static void old_is_bad(void)
{
	assert_int_equal(daxcow_bad_add(rig->pool, where(rig, 0, 0)), 0);
}

static void old_block_fails(void **state)
{
	struct rig *r = *state;
	u64 block, nr;

	shared(r);
	nr = r->pool->nr_free;
	begin(r, old_is_bad, 1);
	assert_int_equal(daxcow_provision(r->vol[0], 0, 1, &block), -EIO);
	done();
	assert_int_equal(r->pool->nr_free, nr);
	/* what is written as a whole needs no old one */
	assert_int_equal(put(r, 0, 0, 'h'), 0);
}

static void moves_and_fails(void)
{
	u64 block = where(rig, 0, 0);

	assert_int_equal(put(rig, 0, 0, 'q'), 0);
	assert_int_equal(daxcow_bad_add(rig->pool, block), 0);
}

static int copy_fails(void *arg, void *dst)
{
	moves_and_fails();
	return -EIO;
}

static int fill_or_fail(void *arg, void *dst)
{
	unsigned int *nr = arg;

	return (*nr)++ ? fill_end("r", dst) : copy_fails(NULL, NULL);
}

/* It could not be copied, and is not what the place has. */
static void old_block_moves_and_fails(void **state)
{
	unsigned int nr = 0;
	struct rig *r = *state;

	shared(r);
	begin(r, NULL, 0);
	assert_int_equal(daxcow_overwrite(r->vol[0], 0, false, fill_or_fail, &nr), 0);
	assert_int_equal(first(r, 0, 0), 'q');
	assert_int_equal(last(r, 0, 0), 'r');
}

/* The directory: nothing can be published. */
static void directory_fails(void)
{
	assert_int_equal(daxcow_bad_add(rig->pool, DAXCOW_SUPER_BLOCK), 0);
}

static void read_only_meanwhile(void **state)
{
	struct rig *r = *state;
	u64 block, was;

	shared(r);
	was = where(r, 0, 0);
	begin(r, directory_fails, 1);
	assert_int_equal(daxcow_provision(r->vol[0], 0, 1, &block), -EROFS);
	done();
	assert_int_equal(where(r, 0, 0), was);
	assert_int_equal(daxcow_bad_clear(r->pool, DAXCOW_SUPER_BLOCK), 0);
	r->pool->read_only = false;
}

/* A chunk: one of its blocks fails, for which it may have to be split. */
static void new_chunk_fails(void **state)
{
	struct rig *r = *state;
	u64 block;

	daxcow_set_cow(r->pool, DAXCOW_COW_2M);
	assert_int_equal(daxcow_provision(r->vol[0], 0, CHUNK, &block), CHUNK);
	store(r, block, 'i');
	snapshot(r, 0, 1);
	begin(r, new_is_bad, 1);
	/* also when nobody waits */
	r->pool->crowded = 0;
	assert_int_equal(daxcow_provision(r->vol[0], 0, CHUNK, &block), CHUNK);
	done();
	assert_int_equal(daxcow_bad_find(r->pool, block, CHUNK), CHUNK);
	assert_int_equal(*at(r, block), 'i');
	assert_int_equal(r->pool->nr_retired, 1);
}

static void write_part(void)
{
	assert_int_equal(put(rig, 0, 1, 'j'), 0);
}

/* One block of the chunk has been written: there is no chunk to replace. */
static void chunk_is_split(void **state)
{
	struct rig *r = *state;
	u64 block;

	daxcow_set_cow(r->pool, DAXCOW_COW_2M);
	assert_int_equal(daxcow_provision(r->vol[0], 0, CHUNK, &block), CHUNK);
	store(r, block, 'k');
	snapshot(r, 0, 1);
	begin(r, write_part, 1);
	assert_int_equal(daxcow_provision(r->vol[0], 0, CHUNK, &block), 1);
	done();
	assert_int_equal(first(r, 0, 0), 'k');
	assert_int_equal(first(r, 0, 1), 'j');
}

static u64 reserve_was;

static void take_all(void)
{
	u64 v = CHUNK, block;

	while (daxcow_provision(rig->vol[0], v++, 1, &block) > 0)
		;
}

static void other_writes_part(void)
{
	assert_int_equal(put(rig, 1, 1, 'j'), 0);
}

/* One block of it has one owner left, who may have it under DMA: it stays there. */
static void chunk_is_partly_own(void **state)
{
	struct rig *r = *state;
	u64 block, was;

	daxcow_set_cow(r->pool, DAXCOW_COW_2M);
	assert_int_equal(daxcow_provision(r->vol[0], 0, CHUNK, &was), CHUNK);
	store(r, was, 'k');
	snapshot(r, 0, 1);
	begin(r, other_writes_part, 1);
	assert_int_equal(daxcow_provision(r->vol[0], 0, CHUNK, &block), 1);
	done();
	assert_int_equal(where(r, 0, 1), was + 1);
	assert_int_equal(first(r, 0, 0), 'k');
}

static void ask_for_figures(void)
{
	info_of(rig);
}

/* The last free chunk is as good as another. */
static void last_chunk(void **state)
{
	struct rig *r = *state;
	u64 block, taken[BLOCKS / CHUNK];
	unsigned int nr = 0;

	/* there is nothing left for the tables */
	if (CHUNK < 512)
		skip();
	daxcow_set_cow(r->pool, DAXCOW_COW_2M);
	assert_int_equal(daxcow_provision(r->vol[0], 0, CHUNK, &block), CHUNK);
	snapshot(r, 0, 1);
	while (r->pool->nr_chunks_free > 1)
		assert_int_equal(space_alloc_chunk(r->pool, &taken[nr++]), 0);
	r->pool->reserve = 0;
	begin(r, ask_for_figures, 2);
	assert_int_equal(daxcow_provision(r->vol[0], 0, CHUNK, &block), CHUNK);
	/* not a second time */
	assert_int_equal(times, 1);
	while (nr)
		space_free_chunk(r->pool, taken[--nr]);
}

static unsigned int wakes;

static void wake(void *ctx)
{
	wakes++;
}

/* Others may have found no space meanwhile. */
static void given_back(void **state)
{
	struct rig *r = *state;

	shared(r);
	begin(r, write_b, 1);
	r->pool->host.wake = wake;
	drain(r);
	wakes = 0;
	/* it wakes the host itself, as an owner leaves */
	r->pool->left = true;
	own(r, 0, 0);
	done();
	assert_int_equal(wakes, 1);
	r->pool->host.wake = NULL;
}

static void reclaim_all(void)
{
	while (daxcow_reclaim_run(rig->pool))
		;
}

static bool has_free(struct rig *r, u64 chunk)
{
	u64 i;

	for (i = 0; i < CHUNK; i++)
		if (desc_kind(space_desc(r->pool, chunk + i)) == KIND_FREE)
			return true;
	return false;
}

/*
 * A chunk waits as a whole, as one of its blocks is nobody's. Others of it are free
 * already, and one is being filled when reclaim comes to it.
 */
static void chunk_waits(void **state)
{
	struct rig *r = *state;
	u64 block, chunk = 0, i, nr = 2048 / CHUNK + 3;

	/* a step of reclaim takes it at once */
	if (CHUNK < 512)
		skip();
	daxcow_set_cow(r->pool, DAXCOW_COW_4K);
	for (i = 0; i <= nr; i++)
		assert_int_equal(daxcow_provision(r->vol[0], i * CHUNK, CHUNK, &chunk),
				 CHUNK);
	snapshot(r, 0, 1);
	for (i = 0; i <= nr; i++)
		own(r, 1, i * CHUNK);
	drain(r);
	daxcow_close(r->vol[1]);
	r->vol[1] = NULL;
	assert_int_equal(daxcow_delete(r->pool, 1), 0);
	assert_int_equal(daxcow_discard(r->vol[0], nr * CHUNK, CHUNK), 0);
	assert_true(daxcow_reclaim_prepare(r->pool));
	while (!has_free(r, chunk))
		assert_true(daxcow_reclaim_run(r->pool));
	begin(r, reclaim_all, 1);
	assert_int_equal(put(r, 0, 1, 's'), 0);
	done();
	block = where(r, 0, 1);
	assert_in_range(block, chunk, chunk + CHUNK - 1);
	assert_int_equal(desc_kind(space_desc(r->pool, block)), KIND_DATA);
}

/* The place was in a table that is shared now, and there is no room for another. */
static void share_and_take_all(void)
{
	make_snapshot();
	take_all();
	/* not one more */
	reserve_was = rig->pool->reserve;
	rig->pool->reserve = rig->pool->nr_free;
}

static void full_meanwhile(void **state)
{
	struct rig *r = *state;
	u64 block, nr;

	assert_int_equal(put(r, 0, 0, 'l'), 0);
	begin(r, share_and_take_all, 1);
	nr = r->pool->nr_data;
	assert_int_equal(put(r, 0, 1, 'm'), -ENOSPC);
	done();
	r->pool->reserve = reserve_was;
	drain(r);
	assert_int_equal(unowned(r), r->pool->nr_blocks);
	assert_true(r->pool->nr_data > nr);
	assert_int_equal(daxcow_lookup(r->vol[0], 1, 1, &block), 1);
	assert_int_equal(block, DAXCOW_HOLE);
}

static void resize(void)
{
	static u64 size = 4 * CHUNK;

	assert_int_equal(daxcow_resize(rig->pool, 0, size++), 0);
}

/* The volume has another record. */
static void record_moves(void **state)
{
	struct rig *r = *state;

	rig = r;
	daxcow_close(r->vol[0]);
	resize();
	assert_int_equal(daxcow_open(r->pool, 0, &r->vol[0]), 0);
	shared(r);
	begin(r, resize, 1);
	assert_int_equal(put(r, 0, 0, 'n'), 0);
	done();
	assert_int_equal(first(r, 0, 0), 'n');
	assert_int_equal(first(r, 1, 0), 'a');
}

static void write_o(void)
{
	static char c = 'o';

	assert_int_equal(put(rig, 0, 0, c++), 0);
	make(rig, 0, 2);
	assert_int_equal(daxcow_delete(rig->pool, 2), 0);
}

/* Somebody is always quicker: in the end it is done under the lock. */
static void ends(void **state)
{
	struct rig *r = *state;

	shared(r);
	begin(r, write_o, 100);
	own(r, 0, 0);
	meanwhile = NULL;
	assert_in_range(times, 90, 99);
	assert_int_equal(first(r, 0, 0), 'o' + 100 - times - 1);
}

static void verify_now(void)
{
	assert_int_equal(daxcow_verify(rig->pool, NULL), -EBUSY);
}

static void verify_waits(void **state)
{
	struct rig *r = *state;

	shared(r);
	drain(r);
	begin(r, verify_now, 1);
	own(r, 0, 0);
	done();
	drain(r);
	assert_int_equal(daxcow_verify(r->pool, NULL), 0);
}

/* A merge that begins while the block is filled does not take it for an old one. */
static u32 generation;

static void begin_generation(void)
{
	assert_int_equal(daxcow_generation_begin(rig->pool, &generation), 0);
}

static void merge_begins(void **state)
{
	struct rig *r = *state;

	shared(r);
	begin(r, begin_generation, 1);
	own(r, 0, 0);
	done();
	assert_true(space_gen(r->pool, where(r, 0, 0)) >= generation);
}

static u64 slack;

/* All that the volume has is unmapped meanwhile, its tree is a low one, and others write. */
static void tree_becomes_low(void)
{
	u64 block, i;

	assert_int_equal(daxcow_discard(rig->vol[0], 0, DAXCOW_MAX_VOLUME_BLOCKS), 0);
	write_b();
	for (i = 0; daxcow_room(rig->pool) > slack; i++)
		assert_int_equal(daxcow_provision(rig->vol[3], i, 1, &block), 1);
}

/* There is space for it, or there is not: what was taken for it is not in its way. */
static void tree_becomes_low_and_no_space(void **state)
{
	u64 high = DAXCOW_MAX_VOLUME_BLOCKS - 2;
	struct rig *r = *state;
	int ret;

	make(r, 0, 3);
	assert_int_equal(daxcow_open(r->pool, 3, &r->vol[3]), 0);
	for (slack = 0; slack < 3 * DAXCOW_MAX_LEVEL; slack++) {
		assert_int_equal(put(r, 0, high, 'a'), 0);
		begin(r, tree_becomes_low, 1);
		ret = put(r, 0, high + 1, 'c');
		done();
		assert_true(!ret || put(r, 0, high + 1, 'c') == ret);
		assert_int_equal(daxcow_discard(r->vol[0], 0, DAXCOW_MAX_VOLUME_BLOCKS), 0);
		assert_int_equal(daxcow_discard(r->vol[3], 0, DAXCOW_MAX_VOLUME_BLOCKS), 0);
		drain(r);
	}
}

/* Who writes fails once, and the block is shared by then. */
static unsigned int failed;

static int fill_fails(void *arg, void *dst)
{
	return failed++ ? fill_with(arg, dst) : -ENOMEM;
}

static void fill_is_refused(void **state)
{
	struct rig *r = *state;
	char b = 'b';

	assert_int_equal(put(r, 0, 0, 'a'), 0);
	failed = 0;
	begin(r, snapshot_it, 1);
	assert_int_equal(daxcow_overwrite(r->vol[0], 0, true, fill_fails, &b), 0);
	done();
	assert_int_equal(failed, 2);
	assert_int_equal(first(r, 0, 0), 'b');
	assert_int_equal(daxcow_open(r->pool, 3, &r->vol[3]), 0);
	assert_int_equal(first(r, 3, 0), 'a');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(place_changes),
		CASE(place_is_emptied),
		CASE(empty_place_is_written),
		CASE(last_one_wins),
		CASE(own_meanwhile),
		CASE(own_and_shared_again),
		CASE(own_and_busy_meanwhile),
		CASE(snapshot_meanwhile),
		CASE(new_block_fails),
		CASE(new_block_fails_and_is_good),
		CASE(old_block_fails),
		CASE(old_block_moves_and_fails),
		CASE(read_only_meanwhile),
		CASE(new_chunk_fails),
		CASE(chunk_is_split),
		CASE(chunk_is_partly_own),
		CASE(last_chunk),
		CASE(given_back),
		CASE(chunk_waits),
		CASE(full_meanwhile),
		CASE(record_moves),
		CASE(ends),
		CASE(verify_waits),
		CASE(merge_begins),
		CASE(fill_is_refused),
		CASE(tree_becomes_low_and_no_space),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
