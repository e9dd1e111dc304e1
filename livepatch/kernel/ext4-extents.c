// SPDX-License-Identifier: GPL-2.0
#define LIVE_LATE
#include "../live.h"
#include "../gen/fs/ext4/extents.c"

struct klp_func live_ext4_extents[] __visible = {
	LIVE(ext4_fallocate),
	{ }
};
