/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Private to the module: what its targets know about pools and volumes. The
 * engine's structures are not visible here.
 *
 * Locks, outer to inner:
 *
 *   bdev_freeze()	of a volume: waits for its users, and they for whatever they
 *			like. None of the locks below is held over it, see snapshot.c
 *     pool->volumes_lock	which volumes are active, and who may have write access to
 *			those that are not. May be held for a grace period
 *       pool->srcu	read section of a bio; the DAX paths' is dax_read_lock
 *         engine lock	taken inside of daxcow_*()
 *   claim_lock		the module becomes or ceases to be the holder of a device
 *     holders_lock	who is told of memory failures, see failure.c
 *   pool->merge_lock	one batch of merges at a time, see merge.c
 *     s_umount		of file systems, for reading, tried only
 *     invalidate_lock	of files, tried only
 *       engine lock
 *   memory_lock	which memory is which pool's, see memory.c
 *     pools_lock		the list of pools; spinlock
 *   pool->lock		deferred bios and mode; spinlock, innermost
 *
 * What works on one pool waits for no other one: a pool is loaded, and taken apart,
 * with no lock held, and whoever wants the same device, or memory, meanwhile waits for
 * that.
 */
#ifndef DM_DAXCOW_TARGET_H
#define DM_DAXCOW_TARGET_H

#include <linux/blkdev.h>
#include <linux/dax.h>
#include <linux/device-mapper.h>
#include <linux/pfn_t.h>
#include <linux/refcount.h>
#include <linux/rwsem.h>
#include <linux/srcu.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>
#include <uapi/linux/dm-daxcow.h>

#include <daxcow/core.h>

#include "args.h"

#define DM_MSG_PREFIX "daxcow"

#define BLOCK_SECTORS_SHIFT	(DAXCOW_BLOCK_SHIFT - SECTOR_SHIFT)
#define BLOCK_SECTORS		(1U << BLOCK_SECTORS_SHIFT)

enum pool_mode {
	POOL_WRITE,
	POOL_OUT_OF_SPACE,
	POOL_READ_ONLY,
};

/**
 * struct segment - a physically contiguous part of the pool's device
 * @block:	first block of the pool
 * @pfn:	of that block
 * @pgmap:	what its pages are part of: a reference keeps the memory where it
 *		is, also when its driver is to be unbound
 */
struct segment {
	u64 block;
	pfn_t pfn;
	struct dev_pagemap *pgmap;
};

/**
 * enum pool_state - whether a pool can be found
 * @POOL_LOADING: not yet
 * @POOL_LIVE:	it can
 * @POOL_DYING:	not any more; its device is not free yet
 */
enum pool_state {
	POOL_LOADING,
	POOL_LIVE,
	POOL_DYING,
};

/**
 * struct pool - a loaded pool; outlives the tables that refer to it
 * @list:	in the list of pools
 * @nr:		position in that, ascending, and never used again
 * @state:	under pools_lock
 * @md:		its mapped device, what volumes find it by
 * @users:	its tables, volumes, and whoever works on it
 * @core:	the engine's
 * @file:	data device, which is open for as long as this exists
 * @bdev:	of it
 * @dax_dev:	of it
 * @dax_pgoff:	of block 0 in @dax_dev
 * @holder:	in the list of those that are told of memory failures
 * @holds:	it is this pool for which the module is the holder of @dax_dev
 * @listens:	it has an engine, which can be told of failures and asked for pages
 * @late:	failures before that
 * @failing:	held for reading while a failure is told, or a page asked for
 * @segments:	where its memory lies, sorted
 * @by_pfn:	their indexes, sorted by where they lie
 * @claim:	in the list of those that have memory
 * @nr_claimed:	blocks of it that no other pool gets; more than @nr_blocks only while
 *		it grows
 * @vaddr:	vmap of the segments when there are several
 * @nr_blocks:	of the device that are mapped
 * @sink:	a page that is nobody's: what a recovery write is given for a block
 *		that is bad, see dax.c
 * @srcu:	read sections of bios
 * @wq:		reclaim and deferred bios
 * @reclaim:	frees what owners have left
 * @no_space_timeout: fails bios that waited too long
 * @no_space_until: not before that
 * @no_space_expired: they fail at once now, until there is space
 * @look:	for blocks that have become bad, or good again
 * @ti:		the live table's target
 * @lock:	mode, deferred, low water
 * @deferred:	bios that wait for space
 * @low_water:	free blocks below which an event is sent
 * @low_water_sent: it was, since the last resume
 * @volumes_lock: of the next two
 * @volumes:	active ones, by id; those with VOLUME_ORPHAN see volume.c
 * @grants:	write access to volumes that are, or were, active, by id: see
 *		snapshot.c
 * @snapshots:	that are being taken; under @lock
 * @snapshot_wait: for one of them, or for what is in its way
 * @suspending:	the pool's device is, or is about to be, suspended
 * @instance:	a random number of this load
 * @merge_lock:	of what follows
 * @left:	blocks that the last batch of merges took from their owners
 * @nr_left:	their number
 * @held:	while it is being started: blocks that something outside holds
 * @nr_held:	their number
 * @room_held:	how many fit
 */
struct pool {
	struct list_head list;
	u64 nr;
	enum pool_state state;
	struct mapped_device *md;
	refcount_t users;
	struct daxcow_pool *core;
	struct file *file;
	struct block_device *bdev;
	struct dax_device *dax_dev;
	pgoff_t dax_pgoff;
	struct list_head holder;
	bool holds;
	bool listens;
	struct list_head late;
	struct rw_semaphore failing;
	struct segment *segments;
	unsigned int nr_segments, room_segments;
	u32 *by_pfn;
	struct list_head claim;
	u64 nr_claimed;
	void *base;
	void *vaddr;
	u64 nr_blocks;
	void *sink;
	u64 zero_block;
	struct srcu_struct srcu;
	struct workqueue_struct *wq;
	struct delayed_work reclaim;
	struct delayed_work no_space_timeout;
	unsigned long no_space_until;
	bool no_space_expired;
	struct delayed_work look;
	struct dm_target *ti;
	struct features features;
	spinlock_t lock;
	enum pool_mode mode;
	struct bio_list deferred;
	u64 low_water;
	bool low_water_sent;
	bool event_due;
	struct mutex volumes_lock;
	struct xarray volumes;
	struct xarray grants;
	struct list_head snapshots;
	wait_queue_head_t snapshot_wait;
	bool suspending;
	u64 instance;
	struct mutex merge_lock;
	u64 *left;
	size_t nr_left;
	u64 *held;
	size_t nr_held, room_held;
};

/* A volume's mark in its pool's list: see volume.c. */
#define VOLUME_ORPHAN	XA_MARK_0

/**
 * struct grants - write access to a volume that was handed out through DAX
 * @regions:	chunks of the volume, each with the epoch of its last grant and
 *		GRANT_OTHER
 * @all:	the same, of grants that could not be noted; 0: none
 * @epoch:	the current one; each try to take a snapshot begins another one
 * @count:	of grants, ever
 */
struct grants {
	struct xarray regions;
	unsigned long all;
	atomic_long_t epoch;
	atomic_long_t count;
	struct rcu_head rcu;
};

/**
 * struct grants_look - a look at the write access to a volume, see grants_look()
 * @pool:	the pool
 * @core:	the volume, opened
 * @grants:	of the volume
 * @frozen:	the file system on the volume's own device is, or there is none: it has
 *		no fault and no write(2) under way
 * @read_only:	that device, when its file system is said to be frozen because it is
 *		read-only: who could write before has not been waited for
 * @epoch:	the last one that was looked at
 * @count:	of grants before
 * @pinned:	vblks of pages that something outside holds, ascending
 * @nr_pinned:	their number
 * @cap_pinned:	room for them
 */
struct grants_look {
	struct pool *pool;
	struct daxcow_volume *core;
	struct grants *grants;
	bool frozen;
	struct block_device *read_only;
	long epoch;
	long count;
	u64 *pinned;
	size_t nr_pinned, cap_pinned;
};

/**
 * struct volume - an active volume; shared by the tables that name it
 * @pool_file:	the pool's device, which is open for as long as this exists
 * @users:	tables
 * @md:		the mapped device whose tables name it
 * @devt:	its number
 * @live:	one of the tables has been its live one
 * @orphan:	its table was taken from below what uses it, see volume.c
 * @dax:	what is told of memory failures
 * @grants:	of its id, which outlive it
 * @requeue:	being suspended without a flush: bios go back to dm
 */
struct volume {
	struct pool *pool;
	struct file *pool_file;
	struct daxcow_volume *core;
	unsigned int users;
	u32 id;
	struct mapped_device *md;
	dev_t devt;
	bool live;
	bool orphan;
	struct volume_dax *dax;
	struct grants *grants;
	bool requeue;
};

/**
 * struct series_ops - struct dax_remaps_ops, in a kernel that has it
 * @synchronize:	waits for all dax_read_lock() sections
 * @remaps:		whether a device moves its blocks under DAX
 * @ready:		whether that is still allowed: a live patch can be taken back
 */
struct series_ops {
	void (*synchronize)(void);
	bool (*remaps)(struct dax_device *dax_dev);
	bool (*ready)(void);
};

/* DM_TARGET_DAX_REMAPS of a kernel that has it; nothing to one that has not */
#define TARGET_DAX_REMAPS	0x00000800

/**
 * struct volume_table - one table line of a volume
 * @no_dax:	was asked for
 * @series:	what the kernel does for DAX; NULL: without DAX
 * @read_only:	nothing is written through it. The block layer only warns of bios to a
 *		device that is read-only, and of direct access it knows nothing, when
 *		another device-mapper device is on top
 */
struct volume_table {
	struct volume *vol;
	struct dm_dev *pool_dev;
	struct dm_target *ti;
	const struct series_ops *series;
	bool no_dax;
	bool read_only;
};

extern unsigned int no_space_timeout_secs;

/* memory.c */
int pool_map(struct pool *pool, struct dm_dev *dev, char **error);
void pool_unmap(struct pool *pool);
int pool_extend(struct pool *pool, u64 nr_blocks);
pfn_t pool_pfn(const struct pool *pool, u64 block);
int pool_block_of(const struct pool *pool, u64 pfn, u64 *block);

/* pool.c */
struct pool *pool_find(struct mapped_device *md);
struct pool *pool_next(u64 nr);
struct pool *pool_get(struct dm_target *ti, struct dm_dev *dev, u64 nr_blocks,
		      const struct features *features);
void pool_put(struct pool *pool);
bool pool_is_live(const struct pool *pool);
u64 pools_changes(void);
int pools_wait_change(u64 seen);
void pool_unbind(struct pool *pool, struct dm_target *ti);
bool pool_is_suspended(struct pool *pool);
void pool_wake(struct pool *pool);
void pool_no_space(struct pool *pool);
void pool_check_low_water(struct pool *pool);
const char *pool_mode_name(const struct pool *pool);
bool pool_fails_without_space(const struct pool *pool);
void pool_set_no_space(struct pool *pool, bool error);
bool pool_defer(struct volume *vol, struct bio *bio);
void pool_requeue(struct volume *vol);
bool pool_drain(struct pool *pool);

void pool_grace_period(struct pool *pool);
void pool_event(struct pool *pool);
void pool_check_mode(struct pool *pool);

/* told.c */

/**
 * struct told - a volume that can be told of failures
 * @id:		of the volume
 * @dax:	a reference
 */
struct told {
	u32 id;
	struct volume_dax *dax;
};

int told_init(void);
void told_exit(void);
struct told *told_volumes(struct pool *pool, size_t *nr);
const struct told *told_find(const struct told *told, size_t nr, u32 id);
void told_free(struct told *told, size_t nr);
int volume_tell(struct volume_dax *d, u64 start, u64 nr, int mf_flags);
void volume_tell_removal(struct volume_dax *d, int mf_flags);
int volume_dax_init(struct volume *vol);
void volume_dax_exit(struct volume *vol);
void volume_dax_live(struct volume *vol, struct dm_target *ti);
void volume_dax_suspend(struct volume *vol);

/* failure.c */
int pool_claim(struct pool *pool);
void pool_unclaim(struct pool *pool);
void pool_listen(struct pool *pool);
void pool_deafen(struct pool *pool);
int pool_device_bad(struct pool *pool, struct daxcow_host *host);
void pool_look_init(struct pool *pool);
void pool_look_begin(struct pool *pool);
void pool_log_table(struct pool *pool, u64 block);
u64 pool_count_bad(struct pool *pool, u32 volume);
bool pool_page_shared(struct dax_device *dax_dev, u64 offset);

/* series.c */
const struct series_ops *series_get(void);
void series_put(void);
void series_synchronize(void);
bool series_remaps(struct dax_device *dax_dev);
bool series_there(void);

/* pool-target.c, volume-target.c */
extern struct target_type pool_target;
extern struct target_type volume_target;

/* volume.c */
struct volume *volume_find(struct pool *pool, u32 id);
struct volume *volume_get(struct dm_target *ti, struct pool *pool,
			  struct dm_dev *pool_dev, u32 id);
void volume_put(struct volume *vol);
void volumes_release_orphans(struct pool *pool);
int pool_delete(struct pool *pool, u32 id);
void volumes_exit(void);

/* bio.c */
int volume_bio(struct volume *vol, struct bio *bio);

/* dax.c */
long volume_direct_access(struct dm_target *ti, pgoff_t pgoff, long nr_pages,
			  enum dax_access_mode mode, void **kaddr, pfn_t *pfn);
int volume_zero_page_range(struct dm_target *ti, pgoff_t pgoff,
			   size_t nr_pages);
size_t volume_recovery_write(struct dm_target *ti, pgoff_t pgoff, void *addr,
			     size_t bytes, struct iov_iter *i);

/* message.c */
int pool_message(struct pool *pool, unsigned int argc, char **argv,
		 char *result, unsigned int maxlen);

/* grants.c */
struct grants *grants_get(struct pool *pool, u32 id);
void grants_forget(struct pool *pool, u32 id);
void grants_exit(struct pool *pool);
void grants_note(struct volume *vol, u64 vblk, u64 nr);
int grants_note_held(struct pool *pool, u32 id, u64 vblk);
int grants_look(struct grants_look *l);
bool grants_unchanged(const struct grants_look *l, u32 id);
void grants_drop(const struct grants_look *l);
bool sb_is_frozen(const struct super_block *sb);

/* snapshot.c */
int snapshots_init(void);
void snapshots_exit(void);
int pool_snapshot(struct pool *pool, struct daxcow_volume_desc *d,
		  unsigned int nr);
int pool_rollback(struct pool *pool, u32 id, u32 from);

/* control.c */
int control_init(void);
void control_exit(void);

/* merge.c */
int pool_begin_generation(struct pool *pool, u32 *gen);
int pool_merge(struct pool *pool, struct daxcow_merge_pair *pair, u32 nr,
	       u32 *rest, u64 *freed);

/* pages.c */
int pool_find_held(struct pool *pool, u64 block, u64 end);
void pool_forget_held(struct pool *pool);
int pool_new_part_held(struct pool *pool, u64 block, u64 end);
int pool_note_held(struct pool *pool, char **error);
int pool_pages(struct pool *pool, char *result, unsigned int maxlen);
bool pool_block_busy(void *ctx, u64 block, u64 nr);
bool pool_block_mapped(void *ctx, u64 block, u64 nr);
bool pool_block_hot(void *ctx, u64 block, u64 nr);
bool bdev_files_quiet(struct block_device *bdev);
int pool_block_file(struct pool *pool, u64 block, struct inode **inode,
		    pgoff_t *index);
void pool_file_put(struct inode *inode);

#endif /* DM_DAXCOW_TARGET_H */
