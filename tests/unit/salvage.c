// SPDX-License-Identifier: GPL-2.0
/*
 * What is saved of a damaged pool: nothing is lost without a word. For each kind
 * of damage, at each place that can be reached, the pool is written to another
 * place, which has to load, and every block of every volume has to be as it was
 * or to be among those that were told lost.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "platform.h"
#include <cmocka.h>
#include <daxcow/core.h>
#include <daxcow/pmem.h>
#include "salvage.h"

#define CHUNK		((u64)DAXCOW_CHUNK_BLOCKS)
#define BLOCKS		(CHUNK * 16)
#define BYTES		(BLOCKS * DAXCOW_BLOCK_SIZE)
#define NR_VOLUMES	10
#define NR_PLACES	40
#define MAX_LOST	4000

struct lost {
	u32 volume;
	u64 vblk, nr;
};

static char *mem, *target;
static u64 place[NR_PLACES];
static u64 want[NR_VOLUMES][NR_PLACES];	/* first word of the block, 0: hole */
static bool exists[NR_VOLUMES];

static u64 node[BLOCKS], data[BLOCKS];
static unsigned int nr_nodes, nr_data;

static struct lost lost[MAX_LOST];
static unsigned int nr_lost, nr_fixed;
static bool lost_volume[NR_VOLUMES];
static u64 bad_block, bad_sectors;

/* ---- a pool ---- */

static void write_tag(struct daxcow_pool *pool, u32 id, int i, u64 tag)
{
	struct daxcow_volume *vol;
	u64 block, w;

	assert_int_equal(daxcow_open(pool, id, &vol), 0);
	assert_int_equal(daxcow_provision(vol, place[i], 1, &block), 1);
	for (w = 0; w < DAXCOW_NODE_SLOTS; w++)
		((u64 *)daxcow_block_addr(pool, block))[w] = tag;
	daxcow_close(vol);
	want[id][i] = tag;
}

static void snapshot(struct daxcow_pool *pool, u32 origin, u32 id)
{
	struct daxcow_volume_desc d = {
		.id = id, .origin = origin, .name = "snapshot",
	};

	assert_int_equal(daxcow_snapshot(pool, &d, 1), 0);
	memcpy(want[id], want[origin], sizeof(want[id]));
	exists[id] = true;
}

/* Neighbours, a chunk, and places that are far apart. */
static void choose_places(void)
{
	int i, n = 0;

	for (i = 0; i < 6; i++)
		place[n++] = i;
	for (i = 0; i < (int)CHUNK && i < 8; i++)
		place[n++] = CHUNK * 3 + i;
	for (i = 0; n < NR_PLACES; i++)
		place[n++] = CHUNK * CHUNK * (i % 5 + 1) + CHUNK * (i / 5) + i % 3;
}

static int setup(void **state)
{
	struct daxcow_params p = { .uuid = (const u8 *)"salvagesalvagesa" };
	struct daxcow_volume_desc d = { .name = "base", .size = 1000 };
	struct daxcow_volume *vol;
	struct daxcow_pool *pool;
	u64 block;
	int i;

	mem = aligned_alloc(4096, BYTES);
	target = aligned_alloc(4096, BYTES);
	memset(mem, 0x77, BYTES);
	choose_places();
	assert_int_equal(daxcow_format(mem, BLOCKS, &p), 0);
	assert_int_equal(daxcow_load(&pool, mem, BLOCKS, 0, NULL, NULL), 0);
	assert_int_equal(daxcow_create(pool, &d), 0);
	exists[0] = true;
	assert_int_equal(daxcow_open(pool, 0, &vol), 0);
	assert_int_equal(daxcow_provision(vol, CHUNK * 3, CHUNK, &block), CHUNK);
	daxcow_close(vol);
	for (i = 0; i < 24; i++)
		write_tag(pool, 0, i, 1000 + i);
	snapshot(pool, 0, 1);
	write_tag(pool, 1, 2, 2002);
	write_tag(pool, 1, 8, 2008);
	snapshot(pool, 1, NR_VOLUMES - 1);
	for (i = 3; i < 30; i += 7)
		write_tag(pool, NR_VOLUMES - 1, i, 3000 + i);
	d.id = 4;
	d.name = NULL;
	assert_int_equal(daxcow_create(pool, &d), 0);
	exists[4] = true;
	for (i = 0; i < 4 && daxcow_reclaim_prepare(pool); i++)
		while (daxcow_reclaim_run(pool))
			;
	daxcow_unload(pool);
	return 0;
}

static int teardown(void **state)
{
	free(mem);
	free(target);
	return 0;
}

/* ---- saving it ---- */

static int read_sector(void *ctx, u64 block, unsigned int sector, void *buf)
{
	if (block == bad_block && bad_sectors & 1 << sector)
		return -EIO;
	memcpy(buf, mem + block * DAXCOW_BLOCK_SIZE + sector * 512, 512);
	return 0;
}

static int put(void *ctx, u64 block, const void *content)
{
	memcpy(target + block * DAXCOW_BLOCK_SIZE, content, DAXCOW_BLOCK_SIZE);
	return 0;
}

static int put_node(void *ctx, const struct salvage_node *n)
{
	if (ctx)
		node[nr_nodes++] = n->block;
	return put(NULL, n->block, n->content);
}

static int put_data(void *ctx, u64 block, const void *content)
{
	if (ctx)
		data[nr_data++] = block;
	return put(NULL, block, content);
}

static int note_fixed(void *ctx, const struct daxcow_report *r)
{
	nr_fixed++;
	return 0;
}

static int note_lost(void *ctx, const struct daxcow_report *r, u64 vblk, u64 nr)
{
	assert_true(nr_lost < MAX_LOST);
	lost[nr_lost++] = (struct lost) { r->volume, vblk, nr };
	return 0;
}

static int note_lost_volumes(void *ctx, const struct daxcow_report *r, u32 id,
			     u64 nr)
{
	u64 i;

	for (i = id; i < id + nr && i < NR_VOLUMES; i++)
		lost_volume[i] = true;
	nr_lost++;
	return 0;
}

static int save(bool collect)
{
	static const struct salvage_ops ops = {
		put_node, put_data, note_fixed, note_lost, note_lost_volumes,
	};
	struct salvage_source src = { .read = read_sector, .nr_blocks = BLOCKS };
	struct daxcow_report report;
	struct daxcow_super super;
	struct salvage *s;
	int ret;

	nr_lost = 0;
	nr_fixed = 0;
	memset(lost_volume, 0, sizeof(lost_volume));
	memset(target, 0x33, BYTES);
	ret = salvage_open(&s, &src, &report);
	if (ret)
		return ret;
	assert_int_equal(salvage_walk(s, &ops, collect ? s : NULL), 0);
	super = *salvage_super(s);
	memset(target + CHUNK * DAXCOW_BLOCK_SIZE, 0, CHUNK * DAXCOW_BLOCK_SIZE);
	put(NULL, DAXCOW_SUPER_BLOCK, &super);
	memset((char *)&super + DAXCOW_SUPER_FIXED + 4, 0,
	       sizeof(super) - DAXCOW_SUPER_FIXED - 4);
	put(NULL, DAXCOW_BACKUP_BLOCK, &super);
	salvage_close(s);
	return 0;
}

static bool is_lost(u32 id, u64 vblk)
{
	unsigned int i;

	for (i = 0; i < nr_lost; i++)
		if (lost[i].volume == id && vblk - lost[i].vblk < lost[i].nr)
			return true;
	return false;
}

static void check_volume(struct daxcow_pool *pool, u32 id)
{
	struct daxcow_volume *vol;
	u64 block, got;
	int i;

	if (daxcow_open(pool, id, &vol)) {
		if (exists[id] && !lost_volume[id])
			fail_msg("volume %u is not there", id);
		return;
	}
	assert_true(exists[id]);
	for (i = 0; i < NR_PLACES; i++) {
		assert_int_equal(daxcow_lookup(vol, place[i], 1, &block), 1);
		got = block == DAXCOW_HOLE ? 0 :
		      *(u64 *)daxcow_block_addr(pool, block);
		if (is_lost(id, place[i]) ? !got || got == want[id][i] :
					    got == want[id][i])
			continue;
		fail_msg("volume %u block %llu is %llu, not %llu", id,
			 (unsigned long long)place[i], (unsigned long long)got,
			 (unsigned long long)want[id][i]);
	}
	daxcow_close(vol);
}

static void check_target(void)
{
	struct daxcow_report report;
	struct daxcow_pool *pool;
	u32 id;

	if (daxcow_load(&pool, target, BLOCKS, 0, NULL, &report))
		fail_msg("what was saved does not load: %s at block %llu",
			 daxcow_bad_text(report.bad),
			 (unsigned long long)report.block);
	for (id = 0; id < NR_VOLUMES; id++)
		check_volume(pool, id);
	daxcow_unload(pool);
}

/* ---- cases ---- */

static void find_blocks(void)
{
	bad_block = DAXCOW_HOLE;
	nr_nodes = 0;
	nr_data = 0;
	assert_int_equal(save(true), 0);
	assert_int_equal(nr_lost + nr_fixed, 0);
	check_target();
	node[nr_nodes++] = DAXCOW_SUPER_BLOCK;
	assert_true(nr_nodes > 15 && nr_data > 20);
}

/* Words that are read of a block of the tables. */
static bool is_read(const char *block, unsigned int word)
{
	if (!memcmp(block, "DAXCWREC", 8))
		return word <= 32;
	if (block == mem)
		return word < 32 || (word >= 64 && word < 67);
	return word < DAXCOW_NODE_ENTRIES;
}

static void whole_pool_is_whole(void **state)
{
	find_blocks();
}

static void every_flipped_bit_is_put_right(void **state)
{
	unsigned int n, w, bit, flips = 0, unsure = 0;

	find_blocks();
	for (n = 0; n < nr_nodes; n++) {
		char *block = mem + node[n] * DAXCOW_BLOCK_SIZE;

		for (w = 0; w < DAXCOW_NODE_SLOTS; w++) {
			u64 *word = (u64 *)block + w;

			if (!is_read(block, w))
				continue;
			for (bit = 0; bit < 64; bit++) {
				*word ^= 1ULL << bit;
				assert_int_equal(save(false), 0);
				*word ^= 1ULL << bit;
				check_target();
				assert_true(nr_lost || nr_fixed);
				flips++;
				if (nr_lost && *word)
					fail_msg("block %llu word %u bit %u is lost",
						 (unsigned long long)node[n], w, bit);
				unsure += nr_lost;
			}
		}
	}
	print_message("%u bits flipped, one at a time, and %u put right; %u times an unused entry was taken for a lost one\n",
		      flips, flips - unsure, unsure);
	assert_true(unsure * 100 < flips);
}

/* Two bits cannot be put right. */
static void more_bits_are_told(void **state)
{
	unsigned int n, w, bit, told = 0, all = 0;

	find_blocks();
	for (n = 0; n < nr_nodes; n++) {
		for (w = 0; w < DAXCOW_NODE_ENTRIES; w++) {
			u64 *word = (u64 *)(mem + node[n] * DAXCOW_BLOCK_SIZE) + w;
			u64 was = *word;

			if (!was || node[n] == DAXCOW_SUPER_BLOCK ||
			    !memcmp(word - w, "DAXCWREC", 8))
				continue;
			for (bit = 0; bit + 9 < 64; bit += 3) {
				*word = was ^ 0x201ULL << bit;
				assert_int_equal(save(false), 0);
				check_target();
				told += !!nr_lost;
				all++;
			}
			*word = was;
		}
	}
	print_message("%u of %u entries with two flipped bits told\n", told, all);
	assert_int_equal(told, all);
}

static void every_sector_can_be_unreadable(void **state)
{
	unsigned int n, sector, opened = 0;

	find_blocks();
	for (n = 0; n < nr_nodes + nr_data; n++) {
		bad_block = n < nr_nodes ? node[n] : data[n - nr_nodes];
		for (sector = 0; sector <= 8; sector++) {
			bad_sectors = sector < 8 ? 1 << sector : 0xff;
			if (save(false)) {
				/* without a superblock the backup has no root */
				fail_msg("block %llu: nothing was saved",
					 (unsigned long long)bad_block);
			}
			check_target();
			opened++;
			if (n >= nr_nodes)
				assert_true(nr_lost);
		}
	}
	bad_block = DAXCOW_HOLE;
	print_message("%u unreadable places\n", opened);
}

/* The backup is as good. */
static void superblock_is_replaced(void **state)
{
	char was[DAXCOW_SUPER_FIXED];

	find_blocks();
	memcpy(was, mem, sizeof(was));
	memset(mem, 0xaa, sizeof(was));
	assert_int_equal(save(false), 0);
	check_target();
	assert_int_equal(nr_lost, 0);
	memcpy(mem, was, sizeof(was));
}

static u64 rnd(u64 *rng, u64 n)
{
	*rng ^= *rng << 13;
	*rng ^= *rng >> 7;
	*rng ^= *rng << 17;
	return *rng % n;
}

/*
 * Bytes of other blocks, or any, all over the tables. An entry can be right by
 * chance, so what is there cannot be compared; it has to load.
 */
static void garbage_is_survived(void **state)
{
	char *good = malloc(BYTES);
	struct daxcow_pool *pool;
	unsigned int round, i, saved = 0;
	u64 rng = 77;

	find_blocks();
	memcpy(good, mem, BYTES);
	for (round = 0; round < 3000; round++) {
		memcpy(mem, good, BYTES);
		for (i = 0; i <= rnd(&rng, 6); i++) {
			u64 *at = (u64 *)(mem + node[rnd(&rng, nr_nodes)] *
					  DAXCOW_BLOCK_SIZE);
			u64 *from = (u64 *)(good + node[rnd(&rng, nr_nodes)] *
					    DAXCOW_BLOCK_SIZE);

			if (rnd(&rng, 2))
				at[rnd(&rng, 70)] = from[rnd(&rng, 70)];
			else if (rnd(&rng, 2))
				memcpy(at, from, DAXCOW_BLOCK_SIZE);
			else
				at[rnd(&rng, 70)] ^= rnd(&rng, ~0ULL);
		}
		if (save(false))
			continue;
		saved++;
		assert_int_equal(daxcow_load(&pool, target, BLOCKS, 0, NULL, NULL),
				 0);
		daxcow_unload(pool);
	}
	memcpy(mem, good, BYTES);
	free(good);
	print_message("%u of 3000 pools with garbage in them saved\n", saved);
	assert_true(saved > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_pool_is_whole),
		cmocka_unit_test(every_flipped_bit_is_put_right),
		cmocka_unit_test(more_bits_are_told),
		cmocka_unit_test(every_sector_can_be_unreadable),
		cmocka_unit_test(superblock_is_replaced),
		cmocka_unit_test(garbage_is_survived),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
