// SPDX-License-Identifier: GPL-2.0
#define LIVE_LATE
#include "../live.h"
#include "../gen/fs/ext4/inode.c"

extern typeof(ext4_dax_zero_tail) ext4_dax_zero_tail __visible;

struct klp_func live_ext4_inode[] __visible = {
	LIVE(ext4_setattr),
	{ }
};
