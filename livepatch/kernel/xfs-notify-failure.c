// SPDX-License-Identifier: GPL-2.0
#define LIVE_LATE
#include "../live.h"
#include "../gen/fs/xfs/xfs_notify_failure.c"

struct klp_func live_xfs_notify_failure[] __visible = {
	LIVE(xfs_dax_notify_failure),
	{ }
};
