/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the tests of merges have in common: a rig with room for 1,000 blocks.
 */
#ifndef MERGE_H
#define MERGE_H

#define BLOCKS	(CHUNK * 320)
#include "rig.h"

/* A block of volume @v that is all @byte. */
static inline u64 put(struct rig *r, int v, u64 vblk, int byte)
{
	u64 block = own(r, v, vblk);

	memset(daxcow_block_addr(r->pool, block), byte, DAXCOW_BLOCK_SIZE);
	return block;
}

static inline u32 generation(struct rig *r)
{
	u32 gen;

	assert_int_equal(daxcow_generation_begin(r->pool, &gen), 0);
	return gen;
}

/* After a compare, before which nobody had write access. */
static inline int merge(struct rig *r, u64 keep, u64 drop)
{
	struct daxcow_merge m = {
		.keep = keep,
		.drop = drop,
		.nr = 1,
		.before = generation(r),
	};

	return daxcow_merge(r->pool, &m);
}

/* All that is left goes to volume 0, from @vblk on. Returns what is not mapped. */
static inline u64 take_all_but(struct rig *r, u64 vblk, u64 except)
{
	u64 block;

	while (daxcow_provision(r->vol[0], vblk, 1, &block) == 1) {
		assert_int_not_equal(block, except);
		vblk++;
	}
	return vblk;
}

static inline void reload(struct rig *r)
{
	u32 id;

	drain(r);
	assert_int_equal(daxcow_verify(r->pool, NULL), 0);
	for (id = 0; id < 4; id++)
		if (r->vol[id])
			daxcow_close(r->vol[id]);
	daxcow_unload(r->pool);
	rig_load(r);
	for (id = 0; id < 4; id++)
		if (r->vol[id])
			assert_int_equal(daxcow_open(r->pool, id, &r->vol[id]), 0);
}

/* Owners of a block; whether one of them is what is asked for. */
struct asked {
	u32 volume;
	u64 vblk, nr;
	bool found;
};

static inline int ask(void *arg, const struct daxcow_owner *o)
{
	struct asked *a = arg;

	a->nr++;
	a->found |= o->volume == a->volume && o->vblk == a->vblk;
	return 0;
}

static inline u64 owners_use(struct rig *r, u64 block, enum daxcow_use *use)
{
	struct asked a = { .nr = 0 };
	int ret = daxcow_owners(r->pool, block, use, ask, NULL, &a);

	assert_int_equal(ret, a.nr ? 0 : -ENOENT);
	return a.nr;
}

static inline u64 owners(struct rig *r, u64 block)
{
	return owners_use(r, block, NULL);
}

static inline bool owned(struct rig *r, u64 block, u32 volume, u64 vblk)
{
	struct asked a = { .volume = volume, .vblk = vblk };

	daxcow_owners(r->pool, block, NULL, ask, NULL, &a);
	return a.found;
}

#endif /* MERGE_H */
