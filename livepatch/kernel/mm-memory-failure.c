// SPDX-License-Identifier: GPL-2.0
#include "../live.h"
#undef pr_fmt
#include "../gen/mm/memory-failure.c"

struct klp_func live_mm_memory_failure[] __visible = {
	LIVE(memory_failure),
	LIVE(mf_dax_kill_procs),
	{ }
};
