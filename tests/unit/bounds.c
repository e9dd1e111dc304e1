// SPDX-License-Identifier: GPL-2.0
/*
 * What is done under the lock at once does not grow with what there is.
 */
#include "rig.h"

static void make(struct rig *r, u32 origin, u32 id)
{
	struct daxcow_volume_desc d = { .id = id, .origin = origin };

	assert_int_equal(daxcow_snapshot(r->pool, &d, 1), 0);
}

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(merge_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
