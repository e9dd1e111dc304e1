// SPDX-License-Identifier: GPL-2.0
/*
 * A pool of 104 TiB. From 64 TiB on the map of bad blocks is larger than what kvmalloc()
 * gives, and from 102 TiB on what is kept for each chunk, which takes 2 GiB here. The
 * pool's memory is addresses, most of which nobody ever touches.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include "platform.h"
#include <cmocka.h>
#include <daxcow/core.h>

#define TIB	(1ULL << (40 - DAXCOW_BLOCK_SHIFT))

static void *memory;

/* Both can be made, grown to and used, up to the last block. */
static void used_to_the_end(u64 first)
{
	struct daxcow_params params = { .uuid = (const u8 *)"hugehugehugehuge" };
	struct daxcow_volume_desc d = { .id = 0, .size = 16 };
	struct daxcow_pool_info info;
	struct daxcow_volume *vol;
	struct daxcow_pool *pool;
	u64 last = 104 * TIB - 1, block;

	assert_int_equal(daxcow_format(memory, first, &params), 0);
	assert_int_equal(daxcow_load(&pool, memory, 104 * TIB, 0, NULL, NULL), 0);
	assert_int_equal(daxcow_create(pool, &d), 0);
	assert_int_equal(daxcow_open(pool, 0, &vol), 0);
	assert_int_equal(daxcow_bad_add(pool, first - 1), 0);
	assert_int_equal(daxcow_grow(pool, 104 * TIB), 0);
	assert_int_equal(daxcow_provision(vol, 0, 1, &block), 1);
	assert_true(block <= last);
	assert_int_equal(daxcow_bad_find(pool, last - 9, 10), first - 1 == last ? 9 : 10);
	if (first - 1 != last)
		assert_int_equal(daxcow_bad_add(pool, last), 0);
	assert_int_equal(daxcow_bad_find(pool, last - 9, 10), 9);
	assert_int_equal(daxcow_bad_clear(pool, last), 0);
	assert_int_equal(daxcow_bad_find(pool, last - 9, 10), 10);
	daxcow_pool_info(pool, &info);
	assert_int_equal(info.nr_blocks, 104 * TIB);
	assert_true(info.nr_free > 103 * TIB);
	daxcow_close(vol);
	daxcow_unload(pool);
}

static void made_so(void **state)
{
	used_to_the_end(104 * TIB);
}

static void grown(void **state)
{
	used_to_the_end(TIB);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(made_so),
		cmocka_unit_test(grown),
	};

	memory = mmap(NULL, 104 * TIB << DAXCOW_BLOCK_SHIFT, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory == MAP_FAILED) {
		perror("no 104 TiB of addresses");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
