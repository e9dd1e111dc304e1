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

/**
 * struct daxcow_run - used blocks of the pool that lie in a row and are alike
 * @block:	the first one
 * @nr:		blocks
 * @owners:	places in the tables that name each of them; a table that snapshots
 *		share counts once
 * @generation:	in which write access to them was given last
 * @domain:	share domain of the volumes that own them
 * @flags:	DAXCOW_RUN_*
 * @pad:	0
 */
struct daxcow_run {
	__u64 block;
	__u32 nr;
	__u32 owners;
	__u32 generation;
	__u32 domain;
	__u32 flags;
	__u32 pad;
};

#define DAXCOW_RUN_CHUNK	0x1	/* one chunk of 2 MiB, mapped as a whole */
#define DAXCOW_RUN_HOT		0x2	/* a process may be writing to it now */
#define DAXCOW_RUN_BAD		0x4	/* its memory failed */

/**
 * struct daxcow_ioc_blocks - DAXCOW_IOC_BLOCKS: data blocks, and what has changed
 * @size:	of this structure
 * @flags:	DAXCOW_BLOCKS_BEGIN: begin a generation first
 * @major:	of the pool's device
 * @minor:	of the pool's device
 * @start:	in: from this block on; out: where to go on, @end or more when all is
 *		told
 * @end:	up to this block, which is not included
 * @since:	leave out what has an older generation
 * @generation:	out: the current one
 * @instance:	out: a number of this load of the pool: generations of another
 *		one mean nothing
 * @nr:		in: room; out: runs written
 * @pad:	0
 * @runs:	address of an array of struct daxcow_run
 *
 * Each block has the generation that was the current one when write access to it
 * was given last. DAXCOW_BLOCKS_BEGIN raises the current one and waits until all
 * write(2) that began before have ended: a block whose generation stays below
 * @generation, and which was not hot when it was told, has not changed since.
 * EOVERFLOW: no more generations, until the pool is loaded again.
 */
struct daxcow_ioc_blocks {
	__u32 size;
	__u32 flags;
	__u32 major;
	__u32 minor;
	__u64 start;
	__u64 end;
	__u32 since;
	__u32 generation;
	__u64 instance;
	__u32 nr;
	__u32 pad;
	__u64 runs;
};

#define DAXCOW_BLOCKS_BEGIN	0x1

/* What has become of a pair. */
#define DAXCOW_MERGE_NOT_TRIED	0	/* the call ended before */
#define DAXCOW_MERGE_MERGED	1	/* all owners of the one have the other */
#define DAXCOW_MERGE_SAME	2	/* they were one already */
#define DAXCOW_MERGE_DIFFERS	3
#define DAXCOW_MERGE_STALE	4	/* written since, or not data any more */
#define DAXCOW_MERGE_HOT	5	/* a process may be writing to one of them */
#define DAXCOW_MERGE_PINNED	6	/* held by DMA, or mapped by several files */
#define DAXCOW_MERGE_CAP	7	/* the one that is kept has enough owners */
#define DAXCOW_MERGE_BAD	8	/* memory failed */
#define DAXCOW_MERGE_DOMAIN	9	/* their volumes are in different domains */
#define DAXCOW_MERGE_HUGE	10	/* a 2 MiB page would have to be split */
#define DAXCOW_MERGE_NO_MEMORY	11	/* or no block for the tables */

/* Instead of a block to keep: what is dropped is all zero, and is unmapped. */
#define DAXCOW_MERGE_ZERO	(~0ULL)

/* A merge leaves a block with no more owners than this. */
#define DAXCOW_OWNER_CAP	256

/**
 * struct daxcow_merge_pair - two pieces that are thought to be equal
 * @keep:	first block of the one that stays, or DAXCOW_MERGE_ZERO
 * @drop:	of the one that is freed
 * @nr:		blocks: 1, or those of a chunk, of which both are the first
 * @generation:	a block of this generation, or of a later one, is stale
 * @flags:	DAXCOW_PAIR_*
 * @status:	out: DAXCOW_MERGE_*
 */
struct daxcow_merge_pair {
	__u64 keep;
	__u64 drop;
	__u32 nr;
	__u32 generation;
	__u32 flags;
	__u32 status;
};

#define DAXCOW_PAIR_SPLIT	0x1	/* a 2 MiB page may be split for it */

/**
 * struct daxcow_ioc_merge - DAXCOW_IOC_MERGE: one page for equal bytes
 * @size:	of this structure
 * @flags:	0
 * @major:	of the pool's device
 * @minor:	of the pool's device
 * @nr:		pairs, up to DAXCOW_MERGE_PAIRS
 * @rest:	in: from how many hot blocks write access may be taken back, so that
 *		they rest; out: from how many it was. A process that goes on writing
 *		takes a page fault more.
 * @freed:	out: blocks that have no owner any more
 * @pairs:	address of an array of struct daxcow_merge_pair
 *
 * The bytes are compared here. A writer does not wait for a merge, and ends it.
 * Without pairs the call finishes what earlier ones have left behind. EINTR: some
 * pairs were not tried.
 */
struct daxcow_ioc_merge {
	__u32 size;
	__u32 flags;
	__u32 major;
	__u32 minor;
	__u32 nr;
	__u32 rest;
	__u64 freed;
	__u64 pairs;
};

#define DAXCOW_MERGE_PAIRS	4096

/* The size in the number is that of the first version. */
#define DAXCOW_IOC_MAGIC	0xdc
#define DAXCOW_IOC_OWNERS	_IOWR(DAXCOW_IOC_MAGIC, 1, struct daxcow_ioc_owners)
#define DAXCOW_IOC_MAP		_IOWR(DAXCOW_IOC_MAGIC, 2, struct daxcow_ioc_map)
#define DAXCOW_IOC_BLOCKS	_IOWR(DAXCOW_IOC_MAGIC, 3, struct daxcow_ioc_blocks)
#define DAXCOW_IOC_MERGE	_IOWR(DAXCOW_IOC_MAGIC, 4, struct daxcow_ioc_merge)

#endif /* _UAPI_LINUX_DM_DAXCOW_H */
