// SPDX-License-Identifier: GPL-2.0
/*
 * Damaged pools. An input is a list of changes to the tables of a good pool; it
 * is then loaded. When it is not refused it has to be consistent, every volume
 * can be read, twenty operations work, and what is there afterwards loads, too.
 * Refused or not, what can be saved of it is a pool.
 * See damage.c for what an input is.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "platform.h"
#include <daxcow/core.h>
#include "damage.h"
#include "options.h"
#include "salvage.h"

#define CHUNK		((u64)DAXCOW_CHUNK_BLOCKS)
#define BLOCKS		(CHUNK * 16)
#define BYTES		(BLOCKS * DAXCOW_BLOCK_SIZE)
#define NR_VOLUMES	6

static char *good, *mem, *target;
static struct damage_tables tables;

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "FAILED: %s\n", what);
	abort();
}

/* ---- a good pool ---- */

static void provision(struct daxcow_pool *pool, u32 id, u64 vblk, u64 nr)
{
	struct daxcow_volume *vol;
	u64 block;

	must(!daxcow_open(pool, id, &vol), "open");
	must(daxcow_provision(vol, vblk, nr, &block) > 0, "provision");
	daxcow_close(vol);
}

static void make_good(void)
{
	struct daxcow_params p = { .uuid = (const u8 *)"fuzzfuzzfuzzfuzz" };
	struct daxcow_volume_desc d = { .name = "base", .size = 4000 };
	struct daxcow_pool *pool;
	u64 i;

	good = aligned_alloc(4096, BYTES);
	mem = aligned_alloc(4096, BYTES);
	target = aligned_alloc(4096, BYTES);
	must(good && mem && target, "memory");
	memset(good, 0x5a, BYTES);
	must(!daxcow_format(good, BLOCKS, &p), "format");
	must(!daxcow_load(&pool, good, BLOCKS, 0, NULL, NULL), "load");
	must(!daxcow_create(pool, &d), "create");
	provision(pool, 0, CHUNK * 2, CHUNK);
	for (i = 0; i < 10; i++)
		provision(pool, 0, i * i * i, 1);
	for (i = 1; i < NR_VOLUMES; i++) {
		d.id = i;
		d.origin = i / 2;
		must(!daxcow_snapshot(pool, &d, 1), "snapshot");
		provision(pool, i, i * 9, 1);
	}
	while (daxcow_reclaim_prepare(pool))
		while (daxcow_reclaim_run(pool))
			;
	daxcow_unload(pool);
	must(!damage_tables(&tables, good, BLOCKS), "room for all tables");
}

/* ---- what has to hold ---- */

static u64 read_volume(struct daxcow_pool *pool, u32 id)
{
	struct daxcow_volume *vol;
	u64 v = 0, block, sum = 0;
	long n;

	if (daxcow_open(pool, id, &vol))
		return 0;
	while (v < DAXCOW_MAX_VOLUME_BLOCKS) {
		n = daxcow_lookup(vol, v, DAXCOW_MAX_VOLUME_BLOCKS - v, &block);
		must(n > 0, "a lookup in a pool that was accepted");
		if (block != DAXCOW_HOLE) {
			must(block + n <= BLOCKS, "a block of the pool");
			sum += *(u64 *)daxcow_block_addr(pool, block + n - 1);
		}
		v += n;
	}
	daxcow_close(vol);
	return sum;
}

static void operate(struct daxcow_pool *pool, u64 rng)
{
	struct daxcow_volume_desc d = { .name = "new" };
	struct daxcow_volume *vol;
	u64 block;
	int i;

	for (i = 0; i < 20; i++) {
		rng = rng * 6364136223846793005ULL + 1442695040888963407ULL;
		d.id = rng >> 33 & 7;
		d.origin = rng >> 40 & 7;
		switch (rng >> 60 & 3) {
		case 0:
			daxcow_snapshot(pool, &d, 1);
			break;
		case 1:
			daxcow_delete(pool, d.id);
			break;
		default:
			if (daxcow_open(pool, d.id, &vol))
				break;
			if (rng >> 59 & 1)
				daxcow_provision(vol, rng >> 20 & 63, 1, &block);
			else
				daxcow_discard(vol, rng >> 20 & 63, 8);
			daxcow_close(vol);
		}
		if (rng >> 50 & 1 && daxcow_reclaim_prepare(pool))
			while (daxcow_reclaim_run(pool))
				;
	}
	while (daxcow_reclaim_prepare(pool))
		while (daxcow_reclaim_run(pool))
			;
}

static void load(u64 seed)
{
	struct daxcow_report report;
	struct daxcow_pool *pool;
	u32 id;
	int ret;

	ret = daxcow_load(&pool, mem, BLOCKS, 0, NULL, &report);
	if (ret) {
		must(report.bad, "a reason why it was refused");
		return;
	}
	must(!daxcow_verify(pool, &report), "owners of a pool that was accepted");
	for (id = 0; id < 8; id++)
		read_volume(pool, id);
	operate(pool, seed);
	must(!daxcow_verify(pool, &report), "owners after some operations");
	daxcow_unload(pool);
	must(!daxcow_load(&pool, mem, BLOCKS, 0, NULL, &report),
	     "to load it again");
	daxcow_unload(pool);
}

static int read_sector(void *ctx, u64 block, unsigned int sector, void *buf)
{
	memcpy(buf, (char *)ctx + block * DAXCOW_BLOCK_SIZE + sector * 512, 512);
	return 0;
}

static int put_node(void *ctx, const struct salvage_node *n)
{
	memcpy(target + n->block * DAXCOW_BLOCK_SIZE, n->content,
	       DAXCOW_BLOCK_SIZE);
	return 0;
}

static void save(void)
{
	static const struct salvage_ops ops = { .node = put_node };
	struct salvage_source src = {
		.read = read_sector, .ctx = mem, .nr_blocks = BLOCKS,
	};
	struct daxcow_report report;
	struct daxcow_pool *pool;
	struct daxcow_super super;
	struct salvage *s;

	if (salvage_open(&s, &src, &report))
		return;
	must(!salvage_walk(s, &ops, NULL), "to save it");
	super = *salvage_super(s);
	salvage_close(s);
	memset(target + (le64_to_cpu(super.chunk_offset) + CHUNK) * DAXCOW_BLOCK_SIZE,
	       0, CHUNK * DAXCOW_BLOCK_SIZE);
	memcpy(target, &super, sizeof(super));
	memset((char *)&super + DAXCOW_SUPER_FIXED + 4, 0,
	       sizeof(super) - DAXCOW_SUPER_FIXED - 4);
	memcpy(target + DAXCOW_BACKUP_BLOCK * DAXCOW_BLOCK_SIZE, &super,
	       sizeof(super));
	if (daxcow_load(&pool, target, BLOCKS, 0, NULL, &report)) {
		fprintf(stderr, "%s, block %llu, word %u, value %#llx\n",
			daxcow_bad_text(report.bad), report.block, report.index,
			report.value);
		must(false, "to load what was saved");
	}
	daxcow_unload(pool);
}

static void change(void *ctx, u64 word, u64 value)
{
	((u64 *)mem)[word] = value;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	u64 seed = size;

	if (!good)
		make_good();
	memcpy(mem, good, BYTES);
	damage(&tables, data, size, change, NULL);
	save();
	if (size)
		seed += data[size - 1] * 257ULL + data[0];
	load(seed);
	return 0;
}
