// SPDX-License-Identifier: GPL-2.0
/*
 * A large volume of which little is mapped, but everywhere: a block in each 2 MiB, so that
 * there are as many tables as data. What is asked of it, and what a discard of all takes.
 */
#include "core.h"

void bench_large(u64 regions)
{
	struct daxcow_volume_desc d = { .id = 0, .size = regions * REGION };
	double open, cold, warm, discard, reclaim;
	u64 mapped, highest, i, free;
	struct daxcow_volume *vol;

	pool_begin();
	must(daxcow_create(pool, &d), "create");
	free = info().nr_free;
	vol = volume_open(0);
	for (i = 0; i < regions; i++)
		write_block(vol, i * REGION + 1 + any(REGION - 1));
	daxcow_close(vol);
	pool_load_again();
	hold_take();
	open = now();
	vol = volume_open(0);
	open = now() - open;
	cold = now();
	daxcow_volume_mapped(vol, &mapped, &highest);
	cold = now() - cold;
	warm = now();
	daxcow_volume_mapped(vol, &mapped, &highest);
	warm = now() - warm;
	discard = now();
	must(daxcow_discard(vol, 0, regions * REGION), "discard");
	discard = now() - discard;
	reclaim = now();
	drain();
	reclaim = now() - reclaim;
	daxcow_close(vol);
	if (mapped != regions || info().nr_free != free)
		must(-EUCLEAN, "large");
	printf("{\"what\":\"large\",\"n\":%" PRIu64 ",\"open\":%.0f,\"status_first\":%.0f,\"status\":%.0f,\"discard\":%.0f,\"reclaim\":%.0f,\"hold\":%" PRIu64 "}\n",
	       regions, open, cold, warm, discard, reclaim, hold_take());
	fflush(stdout);
	pool_end();
}
