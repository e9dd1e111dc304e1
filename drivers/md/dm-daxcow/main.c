// SPDX-License-Identifier: GPL-2.0
/*
 * The module: registers the targets and /dev/daxcow.
 */
#include <linux/module.h>

#include "target.h"

static int __init daxcow_init(void)
{
	int ret;

	ret = told_init();
	if (ret)
		return ret;
	ret = snapshots_init();
	if (ret)
		goto out_told;
	ret = dm_register_target(&pool_target);
	if (ret)
		goto out_snapshots;
	ret = dm_register_target(&volume_target);
	if (ret)
		goto out_pool;
	ret = control_init();
	if (ret)
		goto out_volume;
	if (series_there())
		DMINFO("loaded");
	else
		DMINFO("loaded; volumes are plain block devices without DAX until the live patch dm-daxcow-dax is there, or with a kernel that has daxcow's patches");
	return 0;

out_volume:
	dm_unregister_target(&volume_target);
out_pool:
	dm_unregister_target(&pool_target);
out_snapshots:
	snapshots_exit();
out_told:
	told_exit();
	return ret;
}

static void __exit daxcow_exit(void)
{
	control_exit();
	dm_unregister_target(&volume_target);
	dm_unregister_target(&pool_target);
	snapshots_exit();
	volumes_exit();
	told_exit();
}

module_init(daxcow_init);
module_exit(daxcow_exit);

module_param_named(no_space_timeout, no_space_timeout_secs, uint, 0644);
MODULE_PARM_DESC(no_space_timeout, "Out of space queue IO timeout in seconds; 0 waits for ever");

MODULE_DESCRIPTION("Device-mapper volumes that share persistent memory under DAX");
MODULE_LICENSE("GPL");
MODULE_ALIAS("dm-daxcow-pool");
