/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A pool with volume 0 for cases of the engine; verified when a case ends.
 */
#ifndef RIG_H
#define RIG_H

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "platform.h"
#include <cmocka.h>
#include <daxcow/core.h>
#include <daxcow/pmem.h>

#define CHUNK	((u64)DAXCOW_CHUNK_BLOCKS)
#ifndef BLOCKS
#define BLOCKS	(CHUNK * 24)
#endif

struct rig {
	struct daxcow_pool *pool;
	struct daxcow_volume *vol[4];
	void *mem;
	u64 busy, mapped;
};

static inline bool rig_mapped(void *ctx, u64 block, u64 nr)
{
	struct rig *r = ctx;

	return r->mapped >= block && r->mapped < block + nr;
}

static inline bool rig_busy(void *ctx, u64 block, u64 nr)
{
	struct rig *r = ctx;

	return r->busy >= block && r->busy < block + nr;
}

static inline void rig_load(struct rig *r)
{
	struct daxcow_host host = {
		.busy = rig_busy, .mapped = rig_mapped, .ctx = r,
		.held = &r->busy, .nr_held = r->busy != ~0ULL,
	};

	assert_int_equal(daxcow_load(&r->pool, r->mem, BLOCKS, 0, &host, NULL),
			 0);
}

static inline int setup(void **state)
{
	struct daxcow_params p = { .uuid = (const u8 *)"engineengineengi" };
	struct daxcow_volume_desc d = { .id = 0 };
	struct rig *r = calloc(1, sizeof(*r));

	r->busy = ~0ULL;
	r->mapped = ~0ULL;
	r->mem = aligned_alloc(4096, BLOCKS * DAXCOW_BLOCK_SIZE);
	memset(r->mem, 0xee, BLOCKS * DAXCOW_BLOCK_SIZE);
	if (daxcow_format(r->mem, BLOCKS, &p))
		return -1;
	rig_load(r);
	if (daxcow_create(r->pool, &d) ||
	    daxcow_open(r->pool, 0, &r->vol[0]))
		return -1;
	*state = r;
	return 0;
}

static inline struct daxcow_pool_info info_of(struct rig *r)
{
	struct daxcow_pool_info i;

	daxcow_pool_info(r->pool, &i);
	return i;
}

static inline void make(struct rig *r, u32 origin, u32 id)
{
	struct daxcow_volume_desc d = { .id = id, .origin = origin };

	assert_int_equal(daxcow_snapshot(r->pool, &d, 1), 0);
}

static inline void rig_close(struct rig *r)
{
	int i;

	for (i = 0; i < 4; i++)
		if (r->vol[i])
			daxcow_close(r->vol[i]);
	memset(r->vol, 0, sizeof(r->vol));
}

static inline void drain(struct rig *r)
{
	int i;

	for (i = 0; i < 4 && daxcow_reclaim_prepare(r->pool); i++)
		while (daxcow_reclaim_run(r->pool))
			;
}

static inline int fill(void *arg, void *dst)
{
	pm_write(dst, arg, DAXCOW_BLOCK_SIZE);
	return 0;
}

static inline void overwrite(struct rig *r, int v, u64 vblk)
{
	static char bytes[DAXCOW_BLOCK_SIZE];

	assert_int_equal(daxcow_overwrite(r->vol[v], vblk, true, fill, bytes),
			 0);
}

static inline int teardown(void **state)
{
	struct rig *r = *state;
	struct daxcow_report report;
	int ret;

	plat_resched = NULL;
	r->busy = ~0ULL;
	drain(r);
	ret = daxcow_verify(r->pool, &report);
	rig_close(r);
	daxcow_unload(r->pool);
	free(r->mem);
	free(r);
	return ret;
}

static inline void snapshot(struct rig *r, u32 origin, u32 id)
{
	struct daxcow_volume_desc d = { .id = id, .origin = origin };

	assert_int_equal(daxcow_snapshot(r->pool, &d, 1), 0);
	assert_int_equal(daxcow_open(r->pool, id, &r->vol[id]), 0);
}

static inline u64 where(struct rig *r, int v, u64 vblk)
{
	u64 block;

	assert_true(daxcow_lookup(r->vol[v], vblk, 1, &block) > 0);
	return block;
}

static inline u64 own(struct rig *r, int v, u64 vblk)
{
	u64 block;

	assert_int_equal(daxcow_provision(r->vol[v], vblk, 1, &block), 1);
	assert_int_equal(block, where(r, v, vblk));
	return block;
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif /* RIG_H */
