// SPDX-License-Identifier: GPL-2.0
/*
 * Formatting. A power cut leaves what was there before, or what is refused, or
 * an empty pool, on which nothing that was there before shows up.
 */
#include <stdlib.h>
#include <string.h>
#include "check.h"
#include "persist.h"

static const struct daxcow_params params = {
	.uuid = (const u8 *)"formatformatform",
};

static struct world old, empty;
static bool over_pool, finished;

/* The uuid tells which one it is, when there is one. */
static const char *look(struct world *w)
{
	struct daxcow_pool_info info;
	struct daxcow_pool *pool;
	const char *bad;

	if (daxcow_load(&pool, persist_shadow(), POOL_BLOCKS_MAX, 0, NULL, NULL))
		return finished ? "the new pool is refused" : NULL;
	daxcow_pool_info(pool, &info);
	daxcow_unload(pool);
	bad = world_recover(w, NULL, NULL);
	if (bad)
		return bad;
	if (!memcmp(info.uuid, params.uuid, DAXCOW_UUID_SIZE))
		return world_equal(w, &empty) ? NULL : "the new pool is not empty";
	if (!over_pool || finished)
		return "there is a pool that was not there before";
	return world_equal(w, &old) ? NULL : "the old pool has changed";
}

static void at_fence(void)
{
	struct world w;
	const char *bad;
	u64 n = 0;

	persist_first();
	do {
		n++;
		bad = look(&w);
		if (bad)
			fail("format %s: %s",
			     over_pool ? "over a pool" : "over something else",
			     bad);
	} while (persist_next());
	totals.fences++;
	totals.states += n;
	totals.few += n <= 2;
	totals.most = max(totals.most, n);
}

static void format_over(char *mem)
{
	persist_hook(at_fence);
	finished = false;
	if (daxcow_format(mem, POOL_BLOCKS, &params))
		fail("format fails");
	finished = true;
	at_fence();
	persist_hook(NULL);
	totals.sequences++;
}

void check_format(void)
{
	struct daxcow_pool *pool;
	char *mem;

	explain = NULL;
	memset(&totals, 0, sizeof(totals));
	memset(&empty, 0, sizeof(empty));
	empty.blocks = POOL_BLOCKS;

	mem = start_set(1);
	pool = start_again(&old);
	daxcow_unload(pool);
	over_pool = true;
	format_over(mem);

	start_set(0);
	persist_stop();
	memset(mem, 0x5a, POOL_BYTES_MAX);
	persist_start(mem, POOL_BYTES_MAX);
	over_pool = false;
	format_over(mem);
}
