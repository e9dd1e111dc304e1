/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * What programs ask of daxcow beside device-mapper's messages: the ioctls of
 * /dev/daxcow. They need CAP_SYS_ADMIN.
 *
 * Each structure begins with its size, as the caller knows it. A kernel that knows
 * less takes a longer one when all of the rest is zero, and refuses it with E2BIG
 * otherwise; one that knows more takes what is missing for zero. Reserved members
 * and unknown flags must be zero (EINVAL).
 *
 * A pool is named by the device number of its mapped device (ENXIO when there is
 * none of that number, or it is not a pool). Units are blocks of 4 KiB.
 *
 * Answers with many elements are paged: the caller says from which one on, and for
 * how many it has room. Pages of a pool that changes meanwhile may overlap or miss
 * what has changed.
 */
#ifndef _UAPI_LINUX_DM_DAXCOW_H
#define _UAPI_LINUX_DM_DAXCOW_H

#include <linux/ioctl.h>
#include <linux/types.h>

/* What a block of the pool is used for. */
#define DAXCOW_USE_FREE		0	/* or it waits until nobody sees it */
#define DAXCOW_USE_DATA		1
#define DAXCOW_USE_TABLE	2	/* of volumes */
#define DAXCOW_USE_RECORD	3	/* of one volume */
#define DAXCOW_USE_POOL		4	/* superblocks, directory, zero chunk */
#define DAXCOW_USE_RETIRED	5	/* its memory failed, and nobody has it */

/**
 * struct daxcow_owner_range - one place where a block is mapped
 * @volume:	id
 * @pad:	0
 * @start:	block of the volume
 * @nr:		blocks: 1 for data, what a table or a record covers
 */
struct daxcow_owner_range {
	__u32 volume;
	__u32 pad;
	__u64 start;
	__u64 nr;
};

/**
 * struct daxcow_ioc_owners - DAXCOW_IOC_OWNERS: who owns a block
 * @size:	of this structure
 * @flags:	DAXCOW_OWNERS_PFN: @block is a page frame number
 * @major:	of the pool's device
 * @minor:	of the pool's device
 * @block:	of the pool; with DAXCOW_OWNERS_PFN it is replaced by that
 * @first:	in: the first owner that is wanted, from 0
 * @total:	out: owners
 * @nr:		in: room; out: owners written
 * @use:	out: DAXCOW_USE_*
 * @owners:	address of an array of struct daxcow_owner_range
 *
 * ERANGE: the block is not one of the pool's.
 */
struct daxcow_ioc_owners {
	__u32 size;
	__u32 flags;
	__u32 major;
	__u32 minor;
	__u64 block;
	__u64 first;
	__u64 total;
	__u32 nr;
	__u32 use;
	__u64 owners;
};

#define DAXCOW_OWNERS_PFN	0x1

/**
 * struct daxcow_extent - blocks of a volume that lie in a row
 * @start:	block of the volume
 * @block:	of the pool
 * @nr:		blocks
 */
struct daxcow_extent {
	__u64 start;
	__u64 block;
	__u64 nr;
};

/**
 * struct daxcow_ioc_map - DAXCOW_IOC_MAP: where a volume's blocks lie
 * @size:	of this structure
 * @flags:	0
 * @major:	of the pool's device
 * @minor:	of the pool's device
 * @volume:	id (ENOENT)
 * @nr:		in: room; out: extents written
 * @start:	in: from this block of the volume on; out: where to go on, @end or
 *		more when all is told
 * @end:	up to this block of the volume, which is not included
 * @extents:	address of an array of struct daxcow_extent. What is unmapped, and
 *		reads as zero, is left out.
 */
struct daxcow_ioc_map {
	__u32 size;
	__u32 flags;
	__u32 major;
	__u32 minor;
	__u32 volume;
	__u32 nr;
	__u64 start;
	__u64 end;
	__u64 extents;
};

/* The size in the number is that of the first version. */
#define DAXCOW_IOC_MAGIC	0xdc
#define DAXCOW_IOC_OWNERS	_IOWR(DAXCOW_IOC_MAGIC, 1, struct daxcow_ioc_owners)
#define DAXCOW_IOC_MAP		_IOWR(DAXCOW_IOC_MAGIC, 2, struct daxcow_ioc_map)

#endif /* _UAPI_LINUX_DM_DAXCOW_H */
