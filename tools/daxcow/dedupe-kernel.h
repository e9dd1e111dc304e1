/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What daxcow dedupe asks of the kernel. Tests have another one.
 */
#ifndef DAXCOW_TOOL_DEDUPE_KERNEL_H
#define DAXCOW_TOOL_DEDUPE_KERNEL_H

#include <linux/dm-daxcow.h>
#include "pool.h"

/**
 * struct kernel - a pool that is in use
 * @control:	file of the ioctls
 * @device:	file of the pool, for reading
 * @blocks:	the pool's size
 */
struct kernel {
	int control, device;
	u32 major, minor;
	u64 blocks;
};

/* Says what is wrong and returns an exit code. */
int kernel_open(struct kernel *k, const struct pool *pool);
void kernel_close(struct kernel *k);

/*
 * These return 0 or a negative errno and print nothing. The size of the structure and
 * the number of the pool are filled in.
 */
int kernel_blocks(const struct kernel *k, struct daxcow_ioc_blocks *x);
int kernel_merge(const struct kernel *k, struct daxcow_ioc_merge *x);
/* Both in whole blocks, and @buf aligned to one. */
int kernel_read(const struct kernel *k, void *buf, u64 block, u32 nr);

#endif /* DAXCOW_TOOL_DEDUPE_KERNEL_H */
