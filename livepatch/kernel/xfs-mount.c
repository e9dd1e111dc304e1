// SPDX-License-Identifier: GPL-2.0
#define LIVE_LATE
#include "../live.h"
#include "../gen/fs/xfs/xfs_mount.c"

struct klp_func live_xfs_mount[] __visible = {
	LIVE(xfs_unmount_flush_inodes),
	{ }
};
