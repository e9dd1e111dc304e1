// SPDX-License-Identifier: GPL-2.0
/*
 * Operations on the engine, chosen byte by byte by the input, against the model
 * of ../unit/model.c.
 */
#include <daxcow/format.h>
#include "model.h"
#include "options.h"

/* at most: what an input can do has an end though each byte may be little */
#define MAX_OPERATIONS	64

static const __u8 *next, *end;
static unsigned int left;

__u64 model_choose(__u64 n)
{
	__u64 v = 0, reach;

	/* as many bytes as it takes to reach all of them; 0 when there are none */
	for (reach = 1; reach < n && next < end; reach <<= 8)
		v = v << 8 | *next++;
	return v % n;
}

int model_more(void)
{
	return next < end && left && left--;
}

const char *model_name(void)
{
	return "input";
}

int LLVMFuzzerTestOneInput(const __u8 *data, __SIZE_TYPE__ size)
{
	static const struct model_params p = {
		.blocks = DAXCOW_CHUNK_BLOCKS * 20 + 3,
		.check_every = 40,
	};

	next = data;
	end = data + size;
	left = MAX_OPERATIONS;
	model_run(&p);
	return 0;
}
