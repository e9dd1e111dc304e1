// SPDX-License-Identifier: GPL-2.0
#include "../live.h"
#include "../gen/drivers/dax/super.c"

struct klp_func live_dax_super[] __visible = {
	LIVE(alloc_dax),
	LIVE(dax_holder_notify_failure),
	LIVE(fs_put_dax),
	LIVE(kill_dax),
	{ }
};

/* The lower half of flags is the kernel's, see live_holder_calls(). */
static_assert(DAXDEV_REMAPS < 32);

void live_forget_devices(void)
{
	struct super_block *sb = dax_superblock;
	struct inode *inode;

	spin_lock(&sb->s_inode_list_lock);
	list_for_each_entry(inode, &sb->s_inodes, i_sb_list)
		clear_bit(DAXDEV_REMAPS, &to_dax_dev(inode)->flags);
	spin_unlock(&sb->s_inode_list_lock);
}

extern typeof(live_forget_devices) live_forget_devices __visible;
extern typeof(dax_holder_shared) dax_holder_shared __visible;
extern typeof(dax_remaps) dax_remaps __visible;
extern typeof(dax_synchronize) dax_synchronize __visible;
extern typeof(set_dax_remaps) set_dax_remaps __visible;
