// SPDX-License-Identifier: GPL-2.0
#define LIVE_LATE
#include "../live.h"
#include "../gen/drivers/md/dm.c"

extern typeof(dm_set_dax_remaps) dm_set_dax_remaps __visible;
