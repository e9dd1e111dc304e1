// SPDX-License-Identifier: GPL-2.0
#define LIVE_LATE
#include "../live.h"
#include "../gen/drivers/md/dm-table.c"

bool live_refuses(const struct dm_target *ti, const struct dm_dev *dev)
{
	if (strcmp(ti->type->name, "writecache") || !dev->dax_dev ||
	    !dax_remaps(dev->dax_dev))
		return false;
	DMERR("%s: %s moves its blocks, and cannot be used by dm-writecache",
	      dm_device_name(ti->table->md), dev->name);
	return true;
}

struct klp_func live_dm_table[] __visible = {
	LIVE(dm_get_device),
	LIVE(dm_table_set_restrictions),
	{ }
};
