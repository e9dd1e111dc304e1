// SPDX-License-Identifier: GPL-2.0
#define LIVE_LATE
#include "../live.h"
#include "../gen/fs/xfs/xfs_iomap.c"

/* Of what is new here all is called by these, see dax_iomap_rw(). */
extern typeof(xfs_dax_rw_iomap_ops) xfs_dax_rw_iomap_ops __visible;
extern typeof(xfs_dax_write_iomap_ops) xfs_dax_write_iomap_ops __visible;
