// SPDX-License-Identifier: GPL-2.0
#include "../live.h"
#include "../gen/mm/truncate.c"

struct klp_func live_mm_truncate[] __visible = {
	LIVE(invalidate_inode_pages2_range),
	{ }
};
