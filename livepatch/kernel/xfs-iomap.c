// SPDX-License-Identifier: GPL-2.0
#define LIVE_LATE
#include "../live.h"
#include "../gen/fs/xfs/xfs_iomap.c"

extern typeof(xfs_dax_rw_iomap_ops) xfs_dax_rw_iomap_ops __visible;

struct klp_func live_xfs_iomap[] __visible = {
	LIVE(xfs_dax_write_iomap_end),
	{ }
};
