// SPDX-License-Identifier: GPL-2.0
/*
 * Many owners: what they cost, that they are found, and what a table is for that is
 * damaged.
 */
#define BLOCKS	(CHUNK * 4096)
#include "rig.h"
#include "internal.h"

#define CLONES	300

/* A write to volume @id, which is not open. */
static void write_to(struct rig *r, u32 id, u64 vblk)
{
	struct daxcow_volume *vol;
	u64 block;

	assert_int_equal(daxcow_open(r->pool, id, &vol), 0);
	assert_int_equal(daxcow_provision(vol, vblk, 1, &block), 1);
	daxcow_close(vol);
}

struct seen {
	u8 volume[CLONES + 1];
	u64 vblk, nr;
};

static int note(void *arg, const struct daxcow_owner *o)
{
	struct seen *s = arg;

	assert_true(o->volume <= CLONES);
	assert_int_equal(o->vblk, s->vblk);
	s->volume[o->volume]++;
	s->nr++;
	return 0;
}

/* Each volume but @not is an owner, once. */
static void owned_by_all_but(struct rig *r, u64 block, u64 vblk, u32 not)
{
	struct seen s = { .vblk = vblk };
	u32 id;

	assert_int_equal(daxcow_owners(r->pool, block, NULL, note, NULL, &s), 0);
	for (id = 0; id <= CLONES; id++)
		assert_int_equal(s.volume[id], id != not);
}

static void image(struct rig *r, u64 nr)
{
	u64 vblk;

	for (vblk = 0; vblk < nr; vblk++)
		own(r, 0, vblk);
}

/* Their memory is that of their tables, and all of them are found. */
static void clones_take_their_tables(void **state)
{
	u64 regions = 32, at, first = 0, second;
	struct rig *r = *state;
	u32 id;

	image(r, regions * CHUNK);
	for (id = 1; id <= CLONES; id++) {
		make(r, 0, id);
		for (at = 0; at < regions; at++)
			write_to(r, id, at * CHUNK + 1);
		if (id == CLONES / 2)
			first = info_of(r).dram_bytes;
	}
	second = info_of(r).dram_bytes;
	print_message("%.1f bytes for each table of a clone\n",
		      (double)(second - first) / ((CLONES / 2) * regions));
	assert_in_range(second - first, 0,
			(CLONES / 2) * regions * 120);
	owned_by_all_but(r, where(r, 0, 2), 2, ~0U);
	owned_by_all_but(r, where(r, 0, 5 * CHUNK + 7), 5 * CHUNK + 7, ~0U);
	write_to(r, 17, 2);
	owned_by_all_but(r, where(r, 0, 2), 2, 17);
	assert_int_equal(daxcow_delete(r->pool, 100), 0);
	drain(r);
	make(r, 0, 100);
	owned_by_all_but(r, where(r, 0, 2), 2, 17);
	assert_int_equal(daxcow_verify(r->pool, NULL), 0);
}

static void reload(struct rig *r)
{
	drain(r);
	rig_close(r);
	daxcow_unload(r->pool);
	rig_load(r);
	assert_int_equal(daxcow_open(r->pool, 0, &r->vol[0]), 0);
}

/* Load finds the families, and needs no more memory for them. */
static void families_are_found_again(void **state)
{
	u64 regions = 8, at, before;
	struct rig *r = *state;
	u32 id;

	image(r, regions * CHUNK);
	for (id = 1; id <= CLONES; id++) {
		/* of the one before, so that none shares with all */
		make(r, id - 1, id);
		for (at = 0; at < regions; at++)
			write_to(r, id, at * CHUNK + id % CHUNK);
	}
	drain(r);
	before = info_of(r).dram_bytes;
	reload(r);
	assert_in_range(info_of(r).dram_bytes, 0, before * 11 / 10);
	assert_int_equal(daxcow_verify(r->pool, NULL), 0);
	for (id = 1; id <= CLONES; id++)
		assert_int_equal(daxcow_delete(r->pool, id), 0);
	drain(r);
	reload(r);
	assert_int_equal(info_of(r).nr_volumes, 1);
}

/* A tree that grows above a root that others share: they are of one family, too. */
static void trees_grow_apart(void **state)
{
	struct rig *r = *state;
	u64 p = own(r, 0, 3), before;
	u32 id;

	for (id = 1; id <= CLONES; id++)
		make(r, 0, id);
	write_to(r, 1, CHUNK * CHUNK);
	before = info_of(r).dram_bytes;
	for (id = 2; id <= CLONES; id++)
		write_to(r, id, CHUNK * CHUNK);
	assert_in_range(info_of(r).dram_bytes - before, 0, CLONES * 4 * (16 + 64 + 16));
	owned_by_all_but(r, p, 3, ~0U);
	reload(r);
	owned_by_all_but(r, p, 3, ~0U);
}

/* Records are found that name a root, and not looked at for those that they had. */
static void records_leave(void **state)
{
	struct owner_walk w = { .steps = 0 };
	u64 slot, record, found = 0;
	struct rig *r = *state;
	u32 id;

	own(r, 0, 3);
	for (id = 1; id <= CLONES; id += 2) {
		make(r, 0, id);
		make(r, 0, id + 1);
		/* volume 0 has another root then */
		own(r, 0, 4);
	}
	assert_int_equal(dir_find(r->pool, 1, &slot, &record), 0);
	owner_walk(&w, r->pool, entry_decode(pm_load(slot_word(r->pool, root_slot(record)))));
	while (owner_next(&w))
		found++;
	assert_int_equal(found, 2);
	assert_in_range(w.steps, 2, 2);
}

/* The table that the only entry for @block is in. */
static u64 table_of(struct rig *r, u64 block)
{
	const struct desc *d = space_desc(r->pool, block);

	assert_true(d->a & DESC_EXACT);
	return desc_ref(d);
}

/* A table that could not be read has gone, and what it named has not: it has no owner. */
static void table_gone(struct rig *r, bool damaged)
{
	u64 p, table, i, block;

	snapshot(r, 0, 1);
	p = own(r, 1, CHUNK * 2 + 1);
	table = table_of(r, p);
	if (damaged)
		*slot_word(r->pool, slot_of(table, 1)) ^= cpu_to_le64(1);
	else
		assert_int_equal(daxcow_bad_add(r->pool, table), 0);
	daxcow_close(r->vol[1]);
	r->vol[1] = NULL;
	assert_int_equal(daxcow_delete(r->pool, 1), 0);
	drain(r);
	/* one that is not bad gets another to name */
	for (i = 2; damaged && desc_kind(space_desc(r->pool, table)) == KIND_FREE; i++)
		own(r, 0, CHUNK * i + 1);
	if (damaged)
		assert_int_equal(table_of(r, where(r, 0, CHUNK * (i - 1) + 1)), table);
	assert_int_equal(daxcow_owners(r->pool, p, NULL, note, NULL, NULL), -ENOENT);
	assert_false(daxcow_exclusive(r->pool, p, 1));
	assert_true(daxcow_shared(r->pool, p));
	/* and is found again, as free, after a load */
	rig_close(r);
	daxcow_unload(r->pool);
	rig_load(r);
	assert_int_equal(daxcow_open(r->pool, 0, &r->vol[0]), 0);
	assert_int_equal(daxcow_provision(r->vol[0], 0, 1, &block), 1);
}

static void table_retired(void **state)
{
	table_gone(*state, false);
}

static void table_damaged(void **state)
{
	table_gone(*state, true);
}

/* Blocks of a chunk that somebody else maps as a whole: they are as they were for him. */
static void table_of_parts_gone(void **state)
{
	struct rig *r = *state;
	u64 p, table, block;

	assert_int_equal(daxcow_provision(r->vol[0], CHUNK, CHUNK, &p), CHUNK);
	snapshot(r, 0, 1);
	table = table_of(r, own(r, 1, CHUNK + 3));
	assert_int_equal(daxcow_bad_add(r->pool, table), 0);
	daxcow_close(r->vol[1]);
	r->vol[1] = NULL;
	assert_int_equal(daxcow_delete(r->pool, 1), 0);
	drain(r);
	assert_int_equal(daxcow_provision(r->vol[0], CHUNK + 5, 1, &block), 1);
	overwrite(r, 0, CHUNK + 6);
	assert_int_equal(daxcow_discard(r->vol[0], CHUNK + 7, 1), 0);
	drain(r);
	reload(r);
	assert_int_equal(where(r, 0, CHUNK + 7), DAXCOW_HOLE);
}

/* Damage that does not show in the sum of the entries: nothing is copied from it. */
static void damage_that_cancels(void **state)
{
	struct rig *r = *state;
	u64 p = own(r, 0, 0), i, block;
	__le64 *word;

	for (i = 1; i < CHUNK; i++)
		own(r, 0, i);
	word = slot_word(r->pool, slot_of(table_of(r, p), 0));
	make(r, 0, 1);
	word[2] ^= cpu_to_le64(0x40);
	word[3] ^= cpu_to_le64(0x40);
	assert_int_equal(daxcow_provision(r->vol[0], 6, 1, &block), -EUCLEAN);
	for (i = 2; i < 4; i++) {
		struct entry e = entry_decode(le64_to_cpu(word[i]));

		assert_int_equal(desc_count(entry_desc(r->pool, e)), 0);
	}
	word[2] ^= cpu_to_le64(0x40);
	word[3] ^= cpu_to_le64(0x40);
	assert_int_equal(daxcow_provision(r->vol[0], 6, 1, &block), 1);
}

/* ---- while the map changes ---- */

/* What happens the @at-th time that a walk gives the lock away. */
static struct {
	struct rig *r;
	unsigned int nr, at;
	u32 id;
	void (*change)(struct rig *r, u32 id);
} between;

static void change_between(void)
{
	if (between.nr++ == between.at)
		between.change(between.r, between.id);
}

/* Those found, by volume */
struct tally {
	u32 of[CLONES + 10];
	u64 nr;
};

static int count_one(void *arg, const struct daxcow_owner *o)
{
	struct tally *t = arg;

	assert_in_range(o->volume, 0, ARRAY_SIZE(t->of) - 1);
	t->of[o->volume]++;
	t->nr++;
	return 0;
}

static void count_again(void *arg)
{
	memset(arg, 0, sizeof(struct tally));
}

/* Returns how often the lock was given away. */
static unsigned int found_beside(struct rig *r, u64 block, unsigned int at, u32 id,
				 void (*change)(struct rig *r, u32 id))
{
	struct tally found = { .nr = 0 }, want = { .nr = 0 };

	between.r = r;
	between.nr = 0;
	between.at = at;
	between.id = id;
	between.change = change;
	plat_resched = change_between;
	assert_int_equal(daxcow_owners(r->pool, block, NULL, count_one, count_again,
				       &found), 0);
	plat_resched = NULL;
	/* in one go */
	assert_int_equal(daxcow_owners(r->pool, block, NULL, count_one, NULL, &want), 0);
	assert_memory_equal(&found, &want, sizeof(found));
	return between.nr;
}

static void deletes_it(struct rig *r, u32 id)
{
	assert_int_equal(daxcow_delete(r->pool, id), 0);
	drain(r);
}

/* They and those next to them are not looked at any more. */
static void deletes_some(struct rig *r, u32 id)
{
	u32 i;

	for (i = 0; i < 10; i++)
		deletes_it(r, (id + i) % CLONES + 1);
}

/* Another one that has its tables. */
static void makes_one(struct rig *r, u32 id)
{
	make(r, id, CLONES + 1);
}

static void make_apart(struct rig *r, u32 id)
{
	make(r, 0, id);
	write_to(r, id, 1);
}

/* Tables that lead to it are copied: the owner goes from one to another. */
static void writes_near(struct rig *r, u32 id)
{
	make(r, id, CLONES + 1);
	write_to(r, id, 3);
}

/* What it has as a part of a chunk it has as a block after that. */
static void splits_it(struct rig *r, u32 id)
{
	write_to(r, id, CHUNK * 2 + 1);
}

/* A root above the one it is found through. */
static void grows_it(struct rig *r, u32 id)
{
	write_to(r, id, CHUNK * CHUNK * 2);
}

static u64 block_of(struct rig *r, u32 id, u64 vblk)
{
	struct daxcow_volume *vol;
	u64 block;

	assert_int_equal(daxcow_open(r->pool, id, &vol), 0);
	assert_int_equal(daxcow_lookup(vol, vblk, 1, &block), 1);
	daxcow_close(vol);
	return block;
}

/* It had it, has another one, and gets it back. */
static void merges_it(struct rig *r, u32 id)
{
	struct daxcow_merge m = {
		.keep = where(r, 0, 2), .drop = block_of(r, id, 2), .nr = 1,
	};

	assert_int_equal(daxcow_generation_begin(r->pool, &m.before), 0);
	assert_int_equal(daxcow_merge(r->pool, &m), 0);
}

static void leaves_it(struct rig *r, u32 id)
{
	write_to(r, id, id);
}

static void owners_beside_changes(void **state)
{
	struct rig *r = *state;
	u64 block = own(r, 0, 2), chunk;
	unsigned int i, j;
	u32 id, far;

	assert_int_equal(daxcow_provision(r->vol[0], CHUNK * 2, CHUNK, &chunk), CHUNK);
	for (id = 1; id <= CLONES; id++)
		make_apart(r, id);
	assert_in_range(found_beside(r, block, ~0U, 0, NULL), CLONES / 4, CLONES);
	for (i = 0; i < 300; i++) {
		id = i * 7 % CLONES + 1;
		/* those that were made last are found first */
		far = (id + CLONES / 2) % CLONES + 1;
		found_beside(r, i & 1 ? block : chunk, i * 11 % 150, id, deletes_some);
		for (j = 0; j < 10 && between.nr > between.at; j++)
			make_apart(r, (id + j) % CLONES + 1);
		found_beside(r, block, i * 11 % 150, far, makes_one);
		if (between.nr > between.at)
			deletes_it(r, CLONES + 1);
		found_beside(r, block, i * 13 % 150, id, writes_near);
		if (between.nr > between.at)
			deletes_it(r, CLONES + 1);
		write_to(r, id, 2);
		found_beside(r, block, i * 17 % 150, id, merges_it);
		/* nobody else has its blocks by themselves */
		found_beside(r, chunk, i * 19 % 150, far, splits_it);
		deletes_it(r, far);
		make_apart(r, far);
		if (i % 10 == 0)
			found_beside(r, block, i * 23 % 150, id, grows_it);
	}
}

#define HALF	30

static void deletes_half(struct rig *r, u32 first)
{
	u32 id;

	for (id = first; id < first + HALF; id++)
		deletes_it(r, id);
}

/* The table that comes next goes, and all about it: nothing else tells of that. */
static void tables_go(struct rig *r, u64 block)
{
	u32 id, first;
	unsigned int at;

	for (at = 0; at < 40; at++) {
		first = at & 1 ? 1 : HALF + 1;
		found_beside(r, block, at / 2, first, deletes_half);
		for (id = first; id < first + HALF && between.nr > between.at; id++)
			make_apart(r, id);
	}
}

/* All leave what is in the chunk, with the tables that they have. */
static void leave_all(struct rig *r, u32 nr)
{
	struct daxcow_volume *vol;
	u64 i;
	u32 id;

	for (id = 0; id <= nr; id++) {
		assert_int_equal(daxcow_open(r->pool, id, &vol), 0);
		for (i = 0; i < CHUNK; i++)
			if (i != 1)
				assert_int_equal(daxcow_discard(vol, CHUNK * 2 + i, 1), 0);
		if (!id)
			assert_int_equal(daxcow_discard(vol, 100, 1), 0);
		daxcow_close(vol);
	}
	drain(r);
}

static void grow_pool(struct rig *r, u32 nr)
{
	assert_int_equal(daxcow_grow(r->pool, BLOCKS), 0);
}

static int none(void *arg, const struct daxcow_owner *o)
{
	return 0;
}

static void nothing(void *arg)
{
}

static void search_beside(struct rig *r, u64 block, u32 nr, int ret,
			  void (*change)(struct rig *r, u32 id))
{
	between.r = r;
	between.id = nr;
	between.at = 0;
	between.nr = 0;
	between.change = change;
	plat_resched = change_between;
	assert_int_equal(daxcow_owners(r->pool, block, NULL, none, nothing, NULL), ret);
	plat_resched = NULL;
	assert_true(between.nr);
}

/* What memory knows of the block goes while its owners are looked for: its chunk is free, */
static void descriptors_go(void **state)
{
	struct rig *r = *state;
	u64 chunk;
	u32 id;

	assert_int_equal(daxcow_provision(r->vol[0], CHUNK * 2, CHUNK, &chunk), CHUNK);
	for (id = 1; id <= 2 * HALF; id++) {
		make(r, 0, id);
		write_to(r, id, CHUNK * 2 + 1);
	}
	own(r, 0, CHUNK * 2 + 1);
	drain(r);
	/* takes the block that has become free */
	own(r, 0, 100);
	search_beside(r, chunk + 2, 2 * HALF, -ENOENT, leave_all);
	assert_null(chunk_at(r->pool, chunk)->split);
}

/* or the pool has grown. */
static void descriptors_move(void **state)
{
	struct daxcow_params p = { .uuid = (const u8 *)"engineengineengi" };
	struct daxcow_volume_desc d = { .id = 0 };
	struct daxcow_host host = { .ctx = NULL };
	struct rig *r = *state;
	u64 chunk;
	u32 id;

	rig_close(r);
	daxcow_unload(r->pool);
	assert_int_equal(daxcow_format(r->mem, BLOCKS / 2, &p), 0);
	assert_int_equal(daxcow_load(&r->pool, r->mem, BLOCKS / 2, 0, &host, NULL), 0);
	assert_int_equal(daxcow_create(r->pool, &d), 0);
	assert_int_equal(daxcow_open(r->pool, 0, &r->vol[0]), 0);
	assert_int_equal(daxcow_provision(r->vol[0], CHUNK * 2, CHUNK, &chunk), CHUNK);
	for (id = 1; id <= 2 * HALF; id++) {
		make(r, 0, id);
		write_to(r, id, CHUNK + 1);
	}
	search_beside(r, chunk + 2, 0, 0, grow_pool);
}

/* In several families: who leaves takes the last of one along. */
static void owners_of_several_families(void **state)
{
	struct rig *r = *state;
	u64 block = own(r, 0, 2);
	struct daxcow_merge m = { .nr = 1 };
	u32 id, round;

	for (id = 1; id <= 2 * HALF; id++)
		make_apart(r, id);
	tables_go(r, block);
	for (round = 0; round < 60; round++) {
		for (id = CLONES; id < CLONES + 6; id++) {
			struct daxcow_volume_desc d = { .id = id };

			assert_int_equal(daxcow_create(r->pool, &d), 0);
			write_to(r, id, id);
			m.drop = block_of(r, id, id);
			/* the first pair is theirs, or one of these */
			if (id == CLONES) {
				m.keep = round & 1 ? m.drop : block;
				if (round & 1)
					continue;
			}
			assert_int_equal(daxcow_generation_begin(r->pool, &m.before), 0);
			assert_int_equal(daxcow_merge(r->pool, &m), 0);
		}
		found_beside(r, m.keep, round & 1 ? round / 2 % 4 : 20 + round / 2 % 15,
			     CLONES + (round & 1 ? 0 : round / 30 % 2), leaves_it);
		for (id = CLONES; id < CLONES + 6; id++)
			deletes_it(r, id);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(clones_take_their_tables),
		CASE(families_are_found_again),
		CASE(trees_grow_apart),
		CASE(records_leave),
		CASE(table_retired),
		CASE(table_damaged),
		CASE(table_of_parts_gone),
		CASE(damage_that_cancels),
		CASE(owners_beside_changes),
		CASE(owners_of_several_families),
		CASE(descriptors_go),
		CASE(descriptors_move),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
