// SPDX-License-Identifier: GPL-2.0
/*
 * What is done under the lock at once does not grow with what there is.
 */
#define BLOCKS	(CHUNK * 64)
#include <unistd.h>
#include "rig.h"
#include "internal.h"

/* A chunk of volume 0, each block of which only one of @nr clones has by itself. */
static u64 far_apart(struct rig *r, u32 nr)
{
	u64 p, block, i, at = CHUNK * 4;
	struct daxcow_volume *vol;
	u32 id;

	assert_int_equal(daxcow_provision(r->vol[0], at, CHUNK, &p), CHUNK);
	for (id = 1; id <= nr; id++) {
		make(r, 0, id);
		assert_int_equal(daxcow_open(r->pool, id, &vol), 0);
		assert_int_equal(daxcow_provision(vol, at, 1, &block), 1);
		for (i = 1; i < CHUNK; i++)
			if (i % nr + 1 != id)
				assert_int_equal(daxcow_discard(vol, at + i, 1), 0);
		daxcow_close(vol);
		drain(r);
	}
	drain(r);
	return p;
}

static int chunk_merge(struct rig *r, u64 keep, u64 drop)
{
	struct daxcow_merge m = {
		.keep = keep, .drop = drop, .nr = CHUNK, .split = true,
	};

	assert_int_equal(daxcow_generation_begin(r->pool, &m.before), 0);
	return daxcow_merge(r->pool, &m);
}

/* The lock is not held for more than so many steps: what was found is found at once. */
static void merge_is_bounded(void **state)
{
	u32 nr = 2 * DAXCOW_MERGE_STEPS / CHUNK, tries = 0;
	struct rig *r = *state;
	u64 p = far_apart(r, nr), q;
	int ret;

	assert_int_equal(daxcow_provision(r->vol[0], CHUNK * 6, CHUNK, &q), CHUNK);
	memset(daxcow_block_addr(r->pool, p), 0x66, CHUNK * DAXCOW_BLOCK_SIZE);
	memset(daxcow_block_addr(r->pool, q), 0x66, CHUNK * DAXCOW_BLOCK_SIZE);
	assert_int_equal(chunk_merge(r, q, p), -EMLINK);
	do {
		ret = chunk_merge(r, q, p);
	} while (ret == -EMLINK && ++tries < CHUNK);
	assert_int_equal(ret, 0);
}

static void make_first(struct rig *r, u32 id)
{
	struct daxcow_volume_desc d = { .id = id };

	assert_int_equal(daxcow_create(r->pool, &d), 0);
}

#define REGIONS	64

/* A block in each 2 MiB, which is not the first: there is a table for each. */
static void scatter(struct rig *r)
{
	u64 i;

	for (i = 0; i < REGIONS; i++)
		own(r, 0, i * CHUNK + 7 + i);
}

/* Nothing is left but the record, however often; and few things wait for it. */
static void discard_of_all(void **state)
{
	struct rig *r = *state;
	u64 free = info_of(r).nr_free;
	int round;

	for (round = 0; round < 4; round++) {
		scatter(r);
		assert_int_equal(daxcow_discard(r->vol[0], 0, CHUNK * CHUNK), 0);
		assert_int_equal(info_of(r).nr_pending, 1);
		drain(r);
		assert_int_equal(info_of(r).nr_free, free);
	}
}

/* The same of a volume with a size, whose end no table ends at. */
static void discard_to_the_end(void **state)
{
	u64 size = REGIONS * CHUNK - 5, free;
	struct rig *r = *state;

	assert_int_equal(daxcow_resize(r->pool, 0, size), 0);
	drain(r);
	free = info_of(r).nr_free;
	scatter(r);
	assert_int_equal(daxcow_discard(r->vol[0], 0, size), 0);
	assert_int_equal(info_of(r).nr_pending, REGIONS);
	drain(r);
	assert_int_equal(info_of(r).nr_free, free);
}

/* A large range in the middle is a few entries, and not one for each block. */
static void discard_of_a_range(void **state)
{
	struct rig *r = *state;
	u64 i, pending;

	for (i = 0; i < 8 * CHUNK; i++)
		own(r, 0, i);
	pending = info_of(r).nr_pending;
	assert_int_equal(daxcow_discard(r->vol[0], CHUNK - 3, 6 * CHUNK + 5), 0);
	assert_int_equal(info_of(r).nr_pending - pending, 3 + 6 + 2);
	drain(r);
	assert_int_equal(info_of(r).nr_data, 2 * CHUNK - 5);
}

/* Whichever entry goes last, also of tables that a snapshot shares. */
static void last_entry(struct rig *r, u64 step)
{
	u64 free = info_of(r).nr_free, i;

	scatter(r);
	make(r, 0, 1);
	for (i = 0; i < REGIONS; i++) {
		u64 at = i * step % REGIONS;

		assert_int_equal(daxcow_discard(r->vol[0], at * CHUNK + 7 + at, 1), 0);
	}
	drain(r);
	/* of volume 0 there is no table any more */
	assert_int_equal(daxcow_delete(r->pool, 1), 0);
	drain(r);
	assert_int_equal(info_of(r).nr_free, free);
}

static void last_entry_in_any_order(void **state)
{
	last_entry(*state, 1);
	last_entry(*state, REGIONS - 1);
	last_entry(*state, 27);
}

/* What is merged with a hole leaves no table either, however many share it. */
static void zeroes_leave_no_tables(void **state)
{
	struct daxcow_merge m = { .keep = DAXCOW_KEEP_ZERO, .nr = 1 };
	struct rig *r = *state;
	u64 free, i, block;
	u32 id;

	for (id = 1; id <= 100; id++)
		make(r, 0, id);
	drain(r);
	free = info_of(r).nr_free;
	for (id = 1; id <= 100; id++)
		assert_int_equal(daxcow_delete(r->pool, id), 0);
	scatter(r);
	for (i = 0; i < REGIONS; i++) {
		block = where(r, 0, i * CHUNK + 7 + i);
		memset(daxcow_block_addr(r->pool, block), 0, DAXCOW_BLOCK_SIZE);
	}
	for (id = 1; id <= 100; id++)
		make(r, 0, id);
	assert_int_equal(daxcow_generation_begin(r->pool, &m.before), 0);
	for (i = 0; i < REGIONS; i++) {
		m.drop = where(r, 0, i * CHUNK + 7 + i);
		assert_int_equal(daxcow_merge(r->pool, &m), 0);
	}
	drain(r);
	assert_int_equal(info_of(r).nr_free, free);
	assert_int_equal(where(r, 0, 7), DAXCOW_HOLE);
}

/* Nor does the directory keep tables for ids that are not there. */
static void ids_leave_no_tables(void **state)
{
	u64 step = DAXCOW_MAX_ID / 100, free, i;
	struct rig *r = *state;

	free = info_of(r).nr_free;
	for (i = 1; i <= 100; i++)
		make(r, 0, i * step);
	for (i = 1; i <= 100; i++)
		assert_int_equal(daxcow_delete(r->pool, i * 37 % 101 * step), 0);
	drain(r);
	assert_int_equal(info_of(r).nr_free, free);
	rig_close(r);
	assert_int_equal(daxcow_delete(r->pool, 0), 0);
	make_first(r, 5);
	assert_int_equal(daxcow_delete(r->pool, 5), 0);
	drain(r);
	/* not even a record */
	assert_int_equal(info_of(r).nr_free, free + 1 + DAXCOW_DIR_LEVEL + 1);
}

/* Snapshots do not take what a discard needs in a full pool. */
static void reserve_is_for_discards(void **state)
{
	struct daxcow_volume_desc d = { .id = 0 };
	struct rig *r = *state;
	u64 vblk, block;
	long ret;

	for (vblk = 0;; vblk++) {
		ret = daxcow_provision(r->vol[0], vblk, 1, &block);
		if (ret < 0)
			break;
		if (vblk == CHUNK * 3)
			make(r, 0, 1);
	}
	assert_int_equal(ret, -ENOSPC);
	while (!ret || d.id < 100) {
		d.id = d.id + 2;
		ret = daxcow_snapshot(r->pool, &d, 1);
	}
	assert_int_equal(ret, -ENOSPC);
	d.id++;
	assert_int_equal(daxcow_create(r->pool, &d), -ENOSPC);
	assert_true(info_of(r).nr_free >= info_of(r).reserve);
	/* of tables that the snapshot shares, too */
	for (vblk = 7; vblk < CHUNK * 6; vblk += CHUNK)
		assert_int_equal(daxcow_discard(r->vol[0], vblk, 1), 0);
	assert_int_equal(daxcow_delete(r->pool, 1), 0);
}

/* The entry at @slot names a node of @level. */
static void name_node(struct rig *r, u64 slot, int level, u64 block)
{
	struct entry e = {
		.type = DAXCOW_ENTRY_NODE, .level = level, .block = block,
	};

	pm_publish(slot_word(r->pool, slot), entry_encode(&r->pool->crc, slot, e));
}

/*
 * A pool that somebody has made: all entries of each table name the same one, so that a
 * few blocks are a volume of 2^39 bytes. What asks for it looks at tables, not at ways.
 */
static void tables_that_share_all(void **state)
{
	u64 far = CHUNK * CHUNK * CHUNK - 1, node[4], slot, p, mapped, highest;
	struct rig *r = *state;
	struct daxcow_usage u;
	struct entry e;
	unsigned int i;
	int level;

	p = own(r, 0, far);
	slot = r->vol[0]->root_slot;
	for (level = 3; level-- > 0; slot = slot_of(node[level], CHUNK - 1)) {
		e = entry_decode(pm_load(slot_word(r->pool, slot)));
		assert_int_equal(e.level, level);
		node[level] = e.block;
	}
	for (i = 0; i < DAXCOW_NODE_ENTRIES; i++) {
		name_node(r, slot_of(node[2], i), 1, node[1]);
		name_node(r, slot_of(node[1], i), 0, node[0]);
	}
	rig_close(r);
	daxcow_unload(r->pool);
	rig_load(r);
	alarm(60);
	assert_int_equal(daxcow_open(r->pool, 0, &r->vol[0]), 0);
	daxcow_volume_mapped(r->vol[0], &mapped, &highest);
	assert_int_equal(mapped, CHUNK * CHUNK);
	assert_int_equal(highest, far);
	assert_int_equal(daxcow_usage(r->pool, 0, &u), 0);
	assert_int_equal(u.mapped, mapped);
	assert_int_equal(u.highest, far);
	assert_int_equal(u.exclusive, 0);
	assert_int_equal(where(r, 0, far), p);
	rig_close(r);
	assert_int_equal(daxcow_delete(r->pool, 0), 0);
	drain(r);
	assert_int_equal(info_of(r).nr_data, 0);
	alarm(0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(merge_is_bounded),
		CASE(discard_of_all),
		CASE(discard_to_the_end),
		CASE(discard_of_a_range),
		CASE(last_entry_in_any_order),
		CASE(zeroes_leave_no_tables),
		CASE(ids_leave_no_tables),
		CASE(reserve_is_for_discards),
		CASE(tables_that_share_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
