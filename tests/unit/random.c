// SPDX-License-Identifier: GPL-2.0
/*
 * Random operations on engine and model.
 *
 * usage: model [SEED [OPERATIONS [BLOCKS]]]
 * A failure prints the seed; the same seed replays it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <daxcow/format.h>
#include "model.h"

static uint64_t seed, state;
static unsigned long left;

__u64 model_choose(__u64 n)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state % n;
}

int model_more(void)
{
	return left && left--;
}

const char *model_name(void)
{
	static char name[32];

	snprintf(name, sizeof(name), "seed %" PRIu64, seed);
	return name;
}

static void run(unsigned long nr, __u64 blocks)
{
	const struct model_params p = { .blocks = blocks, .check_every = 200 };

	state = seed * 0x9e3779b97f4a7c15ULL + 1;
	left = nr;
	model_run(&p);
	printf("seed %" PRIu64 ": %lu operations, %" PRIu64
	       " merged blocks so far, nodes of %u: equal\n", seed, nr,
	       (uint64_t)model_merged, DAXCOW_NODE_ENTRIES);
}

/* Without arguments: some seeds that do not change, and one that does. */
int main(int argc, char **argv)
{
	const __u64 blocks = DAXCOW_CHUNK_BLOCKS * 40 + 3;
	const unsigned long nr = DAXCOW_NODE_SHIFT < 9 ? 5000 : 700;
	uint64_t seeds = DAXCOW_NODE_SHIFT < 9 ? 30 : 3, i;

	if (argc > 1) {
		seed = strtoull(argv[1], NULL, 0);
		run(argc > 2 ? strtoul(argv[2], NULL, 0) : nr,
		    argc > 3 ? strtoull(argv[3], NULL, 0) : blocks);
		return 0;
	}
	for (i = 1; i <= seeds; i++) {
		seed = i < seeds ? i : (uint64_t)time(NULL);
		run(nr, blocks);
	}
	/* else it is no test of merges */
	return !model_merged;
}
