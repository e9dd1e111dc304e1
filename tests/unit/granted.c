// SPDX-License-Identifier: GPL-2.0
/*
 * Write access that has been given before is given again without the pool's lock: see
 * sharing.c. Here somebody else comes before each word that is looked at for it, and does
 * all that he can do.
 */
#define BLOCKS	(CHUNK * 64)
#include "rig.h"
#include "internal.h"

/* In the tree: so that there are tables above its table. */
#define VBLK	(CHUNK * CHUNK + 1)

void (*before_load)(void);

static struct rig *rig;
static void (*somebody)(void);
static unsigned int nr_loads, when;

static void loads(void)
{
	/* nobody comes to who has the lock */
	if (rig->pool->seq.sequence & 1 || nr_loads++ != when)
		return;
	before_load = NULL;
	somebody();
}

/* @fn is done before word @k. */
static void interrupt(struct rig *r, unsigned int k, void (*fn)(void))
{
	rig = r;
	somebody = fn;
	nr_loads = 0;
	when = k;
	before_load = loads;
}

/* Provision @vblk, while @fn is done before word @k; false: there are not so many. */
static bool meanwhile(struct rig *r, u64 vblk, unsigned int k, void (*fn)(void), u64 *block)
{
	long n;

	interrupt(r, k, fn);
	n = daxcow_provision(r->vol[0], vblk, 1, block);
	if (before_load) {
		before_load = NULL;
		return false;
	}
	assert_int_equal(n, 1);
	return true;
}

/* A block that has been given, in a tree of some levels. */
static u64 given(struct rig *r)
{
	u64 block;

	own(r, 0, 0);
	block = own(r, 0, VBLK);
	/* the pool may have told that all are open */
	assert_int_equal(own(r, 0, VBLK), block);
	return block;
}

static u64 turns(struct rig *r)
{
	return r->pool->turns;
}

/* One lock for the first time, none after that. */
static void takes_no_lock(void **state)
{
	struct rig *r = *state;
	u64 block = given(r), was = turns(r), got, i;
	long n = 0, most = 0, k;

	for (i = 0; i < 10; i++)
		assert_int_equal(own(r, 0, VBLK), block);
	assert_int_equal(turns(r), was);
	/* neighbours, as many as there are in a row */
	for (i = 0; i < 5; i++)
		own(r, 0, CHUNK * 3 + i);
	own(r, 0, CHUNK * 3);
	was = turns(r);
	for (i = 0; i < 5; i += n, most = max(most, n)) {
		n = daxcow_provision(r->vol[0], CHUNK * 3 + i, CHUNK, &got);
		assert_true(n > 0 && i + n <= 5);
		for (k = 0; k < n; k++)
			assert_int_equal(got + k, where(r, 0, CHUNK * 3 + i + k));
	}
	assert_true(most > 1);
	assert_int_equal(turns(r), was);
	/* beyond the tree, and empty */
	assert_int_equal(daxcow_lookup(r->vol[0], CHUNK * 3 + 5, 1, &got), 1);
	assert_int_equal(got, DAXCOW_HOLE);
	own(r, 0, CHUNK * 3 + 5);
	assert_true(turns(r) > was);
}

static void of_a_chunk(void **state)
{
	struct rig *r = *state;
	u64 block, got, was;

	assert_int_equal(daxcow_provision(r->vol[0], 0, CHUNK, &block), CHUNK);
	own(r, 0, 0);
	was = turns(r);
	assert_int_equal(daxcow_provision(r->vol[0], 2, CHUNK, &got), CHUNK - 2);
	assert_int_equal(got, block + 2);
	assert_int_equal(turns(r), was);
	/* with descriptors block by block, and mapped as a whole all the same */
	pool_lock(r->pool);
	assert_int_equal(space_split(r->pool, chunk_of(r->pool, block)), 0);
	pool_unlock(r->pool);
	was = turns(r);
	assert_int_equal(daxcow_provision(r->vol[0], 2, CHUNK, &got), CHUNK - 2);
	assert_int_equal(got, block + 2);
	assert_int_equal(turns(r), was);
}

static void lost_by_load(void **state)
{
	struct rig *r = *state;
	u64 block = given(r), was;

	rig_close(r);
	daxcow_unload(r->pool);
	rig_load(r);
	assert_int_equal(daxcow_open(r->pool, 0, &r->vol[0]), 0);
	was = turns(r);
	assert_int_equal(own(r, 0, VBLK), block);
	assert_true(turns(r) > was);
	was = turns(r);
	assert_int_equal(own(r, 0, VBLK), block);
	assert_int_equal(turns(r), was);
}

/* Who may not have it without the lock. */
static void asks_with_the_lock(void **state)
{
	struct rig *r = *state;
	u64 block = given(r), was = turns(r);
	u32 gen;

	/* a merge wants to know of all who write from now on */
	assert_int_equal(daxcow_generation_begin(r->pool, &gen), 0);
	was = turns(r);
	own(r, 0, VBLK);
	assert_true(turns(r) > was);
	assert_int_equal(space_gen(r->pool, block), gen);
	/* shared */
	snapshot(r, 0, 1);
	assert_int_not_equal(own(r, 0, VBLK), block);
	/* shared, by the way to it only */
	snapshot(r, 0, 2);
	assert_int_not_equal(own(r, 0, 0), where(r, 2, 0));
	assert_int_not_equal(own(r, 0, VBLK), where(r, 2, VBLK));
}

/* The other one has left, and somebody may still look; then DMA is under way. */
static void own_again(void **state)
{
	struct rig *r = *state;
	u64 block = given(r);

	snapshot(r, 0, 1);
	daxcow_close(r->vol[1]);
	r->vol[1] = NULL;
	assert_int_equal(daxcow_delete(r->pool, 1), 0);
	assert_int_not_equal(own(r, 0, VBLK), block);
	block = where(r, 0, VBLK);
	snapshot(r, 0, 1);
	daxcow_close(r->vol[1]);
	r->vol[1] = NULL;
	assert_int_equal(daxcow_delete(r->pool, 1), 0);
	drain(r);
	/* held by whoever got it while it was shared: the node is stale */
	r->busy = block;
	assert_int_not_equal(own(r, 0, VBLK), block);
	r->busy = ~0ULL;
}

/* Its table is the volume's own, and found to be so by a neighbour; the block is not. */
static void neighbour_first(void **state)
{
	struct rig *r = *state;
	u64 block = given(r);

	own(r, 0, VBLK + 1);
	snapshot(r, 0, 1);
	/* a copy, found, and looked at */
	own(r, 0, VBLK + 1);
	own(r, 0, VBLK + 1);
	own(r, 0, VBLK + 1);
	assert_int_equal(r->vol[0]->in_vain, 0);
	assert_int_not_equal(own(r, 0, VBLK), block);
	/* nobody else has it any more, but DMA */
	block = where(r, 0, VBLK);
	snapshot(r, 0, 2);
	daxcow_close(r->vol[2]);
	r->vol[2] = NULL;
	assert_int_equal(daxcow_delete(r->pool, 2), 0);
	drain(r);
	own(r, 0, VBLK + 1);
	r->busy = block;
	assert_int_not_equal(own(r, 0, VBLK), block);
	r->busy = ~0ULL;
}

static void of_bad_memory(void **state)
{
	struct rig *r = *state;
	u64 block = given(r), got;

	assert_int_equal(daxcow_bad_add(r->pool, block), 0);
	assert_int_equal(daxcow_provision(r->vol[0], VBLK, 1, &got), -EIO);
	assert_int_equal(daxcow_discard(r->vol[0], VBLK, 1), 0);
	drain(r);
	assert_int_equal(daxcow_bad_clear(r->pool, block), 0);
}

/* Who has had the chunk as a whole may still look; or it is to be claimed anew. */
static void of_what_was_a_chunk(void **state)
{
	struct rig *r = *state;
	u64 block = given(r), was;
	struct chunk *chunk = chunk_at(r->pool, block);

	desc_set_state(&chunk->desc, state_of_epoch(r->pool->epoch));
	r->pool->left = true;
	assert_int_not_equal(own(r, 0, VBLK), block);
	drain(r);
	assert_int_equal(daxcow_provision(r->vol[0], CHUNK, CHUNK, &block), CHUNK);
	own(r, 0, CHUNK);
	pool_lock(r->pool);
	assert_int_equal(space_split(r->pool, chunk_of(r->pool, block)), 0);
	desc_set_state(&chunk_at(r->pool, block)->desc, STATE_OPEN);
	pool_unlock(r->pool);
	was = turns(r);
	assert_int_equal(own(r, 0, CHUNK), block);
	assert_true(turns(r) > was);
}

/* A change is being made, or was made while he looked. */
static void while_it_is_held(void **state)
{
	struct rig *r = *state;
	u64 block = given(r), got, n;

	assert_int_equal(own_granted(r->vol[0], VBLK, 1, &got), 1);
	assert_int_equal(got, block);
	pool_lock(r->pool);
	n = own_granted(r->vol[0], VBLK, 1, &got);
	pool_unlock(r->pool);
	assert_int_equal(n, 0);
	assert_int_equal(own_granted(r->vol[0], VBLK, 1, &got), 1);
	r->pool->read_only = true;
	assert_int_equal(own_granted(r->vol[0], VBLK, 1, &got), 0);
	r->pool->read_only = false;
}

static void count_loads(void)
{
	nr_loads++;
}

static unsigned int loads_of(struct rig *r, u64 vblk)
{
	u64 block;

	before_load = count_loads;
	nr_loads = 0;
	assert_int_equal(daxcow_provision(r->vol[0], vblk, 1, &block), 1);
	before_load = NULL;
	assert_int_equal(block, where(r, 0, vblk));
	return nr_loads;
}

/* It has to be walked to. */
static void forget(struct rig *r)
{
	memset(r->vol[0]->leaf, 0, sizeof(r->vol[0]->leaf));
}

/* The way to a leaf is walked once, until somebody may have come between. */
static void leaf_is_remembered(void **state)
{
	static char bytes[DAXCOW_BLOCK_SIZE];
	struct rig *r = *state;
	u64 block = given(r), was, got;
	struct place p;

	forget(r);
	assert_true(loads_of(r, VBLK) > 1);
	assert_int_equal(loads_of(r, VBLK), 1);
	assert_true(leaves_right(r->pool));
	/* who has the lock goes by it, too, and remembers it */
	assert_true(leaf_place(r->vol[0], VBLK, &p));
	assert_int_equal(p.top, level_for(VBLK));
	assert_int_equal(p.way[0]->block, slot_block(p.slot));
	assert_int_equal(p.way[p.top]->count, 1);
	forget(r);
	assert_int_equal(daxcow_overwrite(r->vol[0], VBLK, true, fill, bytes), 0);
	assert_true(leaf_place(r->vol[0], VBLK, &p));
	assert_true(leaves_right(r->pool));
	drain(r);
	/* the same place of the list, and other blocks */
	own(r, 0, VBLK + CHUNK * LEAVES);
	own(r, 0, VBLK + CHUNK * LEAVES);
	own(r, 0, VBLK + CHUNK * LEAVES);
	assert_true(loads_of(r, VBLK) > 1);
	assert_int_equal(loads_of(r, VBLK), 1);
	/* another volume's new tables do not matter, but for its root */
	assert_int_equal(daxcow_create(r->pool, &(struct daxcow_volume_desc) { .id = 1 }), 0);
	assert_int_equal(daxcow_open(r->pool, 1, &r->vol[1]), 0);
	own(r, 1, VBLK);
	own(r, 0, VBLK);
	own(r, 1, 0);
	own(r, 1, VBLK * 2);
	assert_int_equal(loads_of(r, VBLK), 1);
	/* a table above it fails */
	block = slot_block(r->vol[0]->root_slot);
	was = desc_node(space_desc(r->pool, block))->root;
	assert_int_equal(daxcow_bad_add(r->pool, was), 0);
	assert_int_equal(daxcow_provision(r->vol[0], VBLK, 1, &got), -EIO);
	assert_int_equal(daxcow_bad_clear(r->pool, was), 0);
	assert_true(loads_of(r, VBLK) > 1);
	/* a snapshot shares the root, not the leaf */
	own(r, 0, VBLK);
	assert_int_equal(loads_of(r, VBLK), 1);
	snapshot(r, 0, 2);
	assert_true(leaves_right(r->pool));
	assert_true(loads_of(r, VBLK) > 1);
	assert_int_not_equal(where(r, 0, VBLK), where(r, 2, VBLK));
}

/* Who breaks sharing again and again does not look in vain each time. */
static void not_in_vain(void **state)
{
	struct rig *r = *state;
	unsigned int first, i;
	u64 was;

	for (i = 0; i < CHUNK; i++)
		own(r, 0, VBLK - 1 + i);
	own(r, 0, VBLK - 1);
	snapshot(r, 0, 1);
	own(r, 0, VBLK - 1);
	own(r, 0, VBLK - 1);
	before_load = count_loads;
	nr_loads = 0;
	own(r, 0, VBLK);
	first = nr_loads;
	nr_loads = 0;
	own(r, 0, VBLK + 1);
	assert_true(nr_loads < first);
	before_load = NULL;
	/* and looks again when he has found what was his, or after some times */
	own(r, 0, VBLK);
	was = turns(r);
	own(r, 0, VBLK);
	assert_int_equal(turns(r), was);
	own(r, 0, CHUNK * 9);
	r->vol[0]->in_vain = 3;
	for (i = 0; i < 3; i++)
		own_granted(r->vol[0], VBLK, 1, &was);
	assert_int_equal(own_granted(r->vol[0], VBLK, 1, &was), 1);
}

/* ---- somebody else comes ---- */

static void snapshot_comes(void)
{
	make(rig, 0, 3);
}

/* Before each word, until there are no more of them. */
static unsigned int each_word(struct rig *r, bool walk, void (*fn)(void),
			      void (*check)(struct rig *, u64 was, u64 got))
{
	u64 was, got;
	unsigned int k;

	for (k = 0;; k++) {
		was = given(r);
		own(r, 0, VBLK);
		if (walk)
			forget(r);
		if (!meanwhile(r, VBLK, k, fn, &got))
			return k;
		assert_int_equal(got, where(r, 0, VBLK));
		assert_false(daxcow_shared(r->pool, got));
		check(r, was, got);
	}
}

static void each(struct rig *r, void (*fn)(void), void (*check)(struct rig *, u64 was, u64 got))
{
	/* the root, a node for each level, and the one that was not there */
	assert_true(each_word(r, true, fn, check) >= 4);
	/* where the leaf is known, its entry */
	assert_int_equal(each_word(r, false, fn, check), 1);
}

static void gone(struct rig *r)
{
	assert_int_equal(daxcow_delete(r->pool, 3), 0);
	drain(r);
}

/* The snapshot has the block that he had, and he has another one. */
static void is_copy(struct rig *r, u64 was, u64 got)
{
	u64 there;

	assert_int_not_equal(was, got);
	assert_int_equal(daxcow_open(r->pool, 3, &r->vol[3]), 0);
	there = where(r, 3, VBLK);
	assert_int_equal(there, was);
	daxcow_close(r->vol[3]);
	r->vol[3] = NULL;
	gone(r);
}

static void snapshot_between(void **state)
{
	each(*state, snapshot_comes, is_copy);
}

static u32 generation;

static void merge_comes(void)
{
	assert_int_equal(daxcow_generation_begin(rig->pool, &generation), 0);
}

static void is_of_it(struct rig *r, u64 was, u64 got)
{
	assert_int_equal(was, got);
	assert_int_equal(space_gen(r->pool, got), generation);
}

static void merge_between(void **state)
{
	each(*state, merge_comes, is_of_it);
}

static void unmap_comes(void)
{
	assert_int_equal(daxcow_discard(rig->vol[0], VBLK, 1), 0);
}

static void is_new(struct rig *r, u64 was, u64 got)
{
	assert_int_not_equal(was, got);
	drain(r);
}

static void discard_between(void **state)
{
	each(*state, unmap_comes, is_new);
}

/* All of it, to another block. */
static void write_comes(void)
{
	static char bytes[DAXCOW_BLOCK_SIZE];

	assert_int_equal(daxcow_overwrite(rig->vol[0], VBLK, true, fill, bytes), 0);
}

static void write_between(void **state)
{
	each(*state, write_comes, is_new);
}

static u64 size = CHUNK * CHUNK * 2;

/* The volume gets another record, and its root entry is there. */
static void resize_comes(void)
{
	assert_int_equal(daxcow_resize(rig->pool, 0, ++size), 0);
}

static void is_same(struct rig *r, u64 was, u64 got)
{
	assert_int_equal(was, got);
	drain(r);
}

static void resize_between(void **state)
{
	struct rig *r = *state;

	/* it has none that is recorded */
	rig_close(r);
	assert_int_equal(daxcow_resize(r->pool, 0, size), 0);
	assert_int_equal(daxcow_open(r->pool, 0, &r->vol[0]), 0);
	each(*state, resize_comes, is_same);
}

static u64 nr_blocks;

/* All descriptors of chunks are elsewhere. */
static void growth_comes(void)
{
	if (nr_blocks < BLOCKS)
		assert_int_equal(daxcow_grow(rig->pool, ++nr_blocks), 0);
}

static void growth_between(void **state)
{
	struct rig *r = *state;

	rig_close(r);
	daxcow_unload(r->pool);
	free(r->mem);
	free(r);
	/* one that has room */
	nr_blocks = BLOCKS - CHUNK * 4;
	r = calloc(1, sizeof(*r));
	r->busy = ~0ULL;
	r->mapped = ~0ULL;
	r->mem = aligned_alloc(4096, BLOCKS * DAXCOW_BLOCK_SIZE);
	assert_int_equal(daxcow_format(r->mem, nr_blocks, &(struct daxcow_params) {
		.uuid = (const u8 *)"engineengineengi" }), 0);
	assert_int_equal(daxcow_load(&r->pool, r->mem, nr_blocks, 0, &(struct daxcow_host) {
		.ctx = r }, NULL), 0);
	assert_int_equal(daxcow_create(r->pool, &(struct daxcow_volume_desc) { .id = 0 }), 0);
	assert_int_equal(daxcow_open(r->pool, 0, &r->vol[0]), 0);
	*state = r;
	each(r, growth_comes, is_same);
	/* former ones are kept as long as somebody may look, and no longer */
	growth_comes();
	assert_true(daxcow_reclaim_prepare(r->pool));
	growth_comes();
	while (daxcow_reclaim_run(r->pool))
		;
	assert_non_null(r->pool->older);
	assert_null(r->pool->older->next);
	drain(r);
	assert_null(r->pool->older);
}

/* One that has the tree, too, comes and goes: only its tables tell that it may look. */
static void snapshot_comes_and_goes(void)
{
	make(rig, 0, 3);
	assert_int_equal(daxcow_delete(rig->pool, 3), 0);
}

static void is_copy_of_it(struct rig *r, u64 was, u64 got)
{
	assert_int_not_equal(was, got);
	drain(r);
}

static void guest_between(void **state)
{
	each(*state, snapshot_comes_and_goes, is_copy_of_it);
}

/* Memory fails: nobody gets what is bad. */
static void bad_comes(void)
{
	assert_int_equal(daxcow_bad_add(rig->pool, where(rig, 0, VBLK)), 0);
}

static void failure_between(void **state)
{
	struct rig *r = *state;
	u64 was, got;
	unsigned int k;

	for (k = 0; k < 4; k++) {
		was = given(r);
		forget(r);
		interrupt(r, k, bad_comes);
		assert_int_equal(daxcow_provision(r->vol[0], VBLK, 1, &got), -EIO);
		assert_null(before_load);
		assert_int_equal(daxcow_discard(r->vol[0], VBLK, 1), 0);
		drain(r);
		assert_int_equal(daxcow_bad_clear(r->pool, was), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(takes_no_lock),
		CASE(of_a_chunk),
		CASE(lost_by_load),
		CASE(asks_with_the_lock),
		CASE(own_again),
		CASE(neighbour_first),
		CASE(of_bad_memory),
		CASE(of_what_was_a_chunk),
		CASE(while_it_is_held),
		CASE(not_in_vain),
		CASE(leaf_is_remembered),
		CASE(snapshot_between),
		CASE(merge_between),
		CASE(discard_between),
		CASE(write_between),
		CASE(resize_between),
		CASE(growth_between),
		CASE(guest_between),
		CASE(failure_between),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
