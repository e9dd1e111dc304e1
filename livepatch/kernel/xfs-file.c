// SPDX-License-Identifier: GPL-2.0
#define LIVE_LATE
#include "../live.h"
#include "../gen/fs/xfs/xfs_file.c"

/*
 * Not the functions that call it: with O_DIRECT they leave functions of theirs in I/O
 * that is under way, which would be ours.
 */
struct klp_func live_xfs_file[] __visible = {
	LIVE(xfs_file_dax_write),
	{ }
};
