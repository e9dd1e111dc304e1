// SPDX-License-Identifier: GPL-2.0
/*
 * A loaded pool: its memory, its life, and what happens in the background.
 *
 * A pool is made by the first table of its device and shared by all tables
 * that come while the device exists, as in dm-thin: a reload must not load
 * the pool a second time while the first is in use.
 */
#include <linux/delay.h>
#include <linux/file.h>
#include <linux/memremap.h>
#include <linux/random.h>
#include <linux/sched/mm.h>
#include <linux/vmalloc.h>

#include "target.h"

DEFINE_MUTEX(pools_lock);
static LIST_HEAD(pools);

/* As dm-thin's, in seconds; 0 waits for ever. */
unsigned int no_space_timeout_secs = 60;

/* Busy blocks (DMA) are looked at again after this. */
#define BUSY_RETRY	msecs_to_jiffies(100)

struct pool *pool_find(struct mapped_device *md)
{
	struct pool *pool;

	lockdep_assert_held(&pools_lock);
	list_for_each_entry(pool, &pools, list)
		if (pool->md == md)
			return pool;
	return NULL;
}

static unsigned int segment_find(const struct pool *pool, u64 block)
{
	unsigned int lo = 0, hi = pool->nr_segments;

	while (hi - lo > 1) {
		unsigned int mid = lo + (hi - lo) / 2;

		if (pool->segments[mid].block <= block)
			lo = mid;
		else
			hi = mid;
	}
	return lo;
}

/* The pfn of a block, with the flags that the data device gave it. */
pfn_t pool_pfn(const struct pool *pool, u64 block)
{
	const struct segment *s = &pool->segments[segment_find(pool, block)];

	return (pfn_t) { .val = s->pfn.val + (block - s->block) };
}

/* The block of a page frame. -ERANGE: it is not one of the pool's. */
int pool_block_of(const struct pool *pool, u64 pfn, u64 *block)
{
	unsigned int i;

	for (i = 0; i < pool->nr_segments; i++) {
		const struct segment *s = &pool->segments[i];
		u64 end = i + 1 < pool->nr_segments ? s[1].block :
						      pool->nr_blocks;
		u64 first = pfn_t_to_pfn(s->pfn);

		if (pfn >= first && pfn - first < end - s->block) {
			*block = s->block + pfn - first;
			return 0;
		}
	}
	return -ERANGE;
}

static struct segment *last_segment(struct pool *pool)
{
	return pool->nr_segments ? &pool->segments[pool->nr_segments - 1] : NULL;
}

/* Whether what begins at @block is the continuation of @s. */
static bool segment_goes_on(const struct segment *s, u64 block, pfn_t pfn,
			    const struct dev_pagemap *pgmap)
{
	return s && s->pgmap == pgmap &&
	       s->pfn.val + (block - s->block) == pfn.val;
}

static int segment_add(struct pool *pool, u64 block, pfn_t pfn)
{
	struct segment *last = last_segment(pool), *more;
	struct dev_pagemap *pgmap;

	pgmap = get_dev_pagemap(pfn_t_to_pfn(pfn), NULL);
	if (!pgmap)
		return -ENXIO;
	if (segment_goes_on(last, block, pfn, pgmap)) {
		put_dev_pagemap(pgmap);
		return 0;
	}
	more = kvcalloc(pool->nr_segments + 1, sizeof(*more), GFP_KERNEL);
	if (!more) {
		put_dev_pagemap(pgmap);
		return -ENOMEM;
	}
	if (last)
		memcpy(more, pool->segments,
		       pool->nr_segments * sizeof(*more));
	kvfree(pool->segments);
	pool->segments = more;
	more[pool->nr_segments++] = (struct segment) {
		.block = block,
		.pfn = pfn,
		.pgmap = pgmap,
	};
	return 0;
}

/* Ask the data device where its pages are, the bad ones included. */
static int pool_segments(struct pool *pool, char **error)
{
	u64 block = 0;
	int id, ret = 0;

	id = dax_read_lock();
	while (block < pool->nr_blocks && !ret) {
		void *kaddr;
		pfn_t pfn;
		long n;

		n = dax_direct_access(pool->dax_dev, pool->dax_pgoff + block,
				      pool->nr_blocks - block,
				      DAX_RECOVERY_WRITE, &kaddr, &pfn);
		if (n <= 0) {
			*error = "Cannot access the data device's memory";
			ret = n ? n : -EIO;
		} else if (!pfn_t_has_page(pfn)) {
			*error = "Data device has no struct pages: make the namespace with ndctl create-namespace -m fsdax";
			ret = -EOPNOTSUPP;
		} else {
			if (!block)
				pool->base = kaddr;
			ret = segment_add(pool, block, pfn);
			if (ret == -ENXIO)
				*error = "Data device is being removed";
			block += n;
		}
	}
	dax_read_unlock(id);
	return ret;
}

/* A device of several pieces (a logical volume) gets one address range. */
static int pool_vmap(struct pool *pool)
{
	struct page **pages;
	u64 block;

	if (pool->nr_segments == 1)
		return 0;
	pages = kvmalloc_array(pool->nr_blocks, sizeof(*pages), GFP_KERNEL);
	if (!pages)
		return -ENOMEM;
	for (block = 0; block < pool->nr_blocks; block++)
		pages[block] = pfn_t_to_page(pool_pfn(pool, block));
	pool->vaddr = vmap(pages, pool->nr_blocks, VM_MAP, PAGE_KERNEL);
	kvfree(pages);
	pool->base = pool->vaddr;
	return pool->vaddr ? 0 : -ENOMEM;
}

/* Not a reference: one that goes on is covered by the segment's. */
static bool memory_goes_on(struct pool *pool, u64 block, pfn_t pfn)
{
	struct dev_pagemap *pgmap = get_dev_pagemap(pfn_t_to_pfn(pfn), NULL);
	bool ret = segment_goes_on(last_segment(pool), block, pfn, pgmap);

	put_dev_pagemap(pgmap);
	return ret;
}

/*
 * The data device has grown. Addresses that are in use must stay what they
 * are, so the new part has to follow the old one in memory.
 */
int pool_extend(struct pool *pool, u64 nr_blocks)
{
	u64 block = pool->nr_blocks;
	int id, ret = 0;
	pfn_t pfn;
	long n;

	id = dax_read_lock();
	while (block < nr_blocks && !ret) {
		n = dax_direct_access(pool->dax_dev, pool->dax_pgoff + block,
				      nr_blocks - block, DAX_RECOVERY_WRITE,
				      NULL, &pfn);
		if (n <= 0)
			ret = n ? n : -EIO;
		else if (pool->vaddr || !memory_goes_on(pool, block, pfn))
			ret = -EBUSY;
		block += max(n, 0L);
	}
	dax_read_unlock(id);
	if (ret)
		DMERR("%s: the data device's new part does not follow the old one in memory: deactivate the pool to grow it (%d)",
		      dm_device_name(pool->md), ret);
	else
		pool->nr_blocks = nr_blocks;
	return ret;
}

/*
 * A volume may go on when the table of its pool is gone ("dmsetup remove
 * --force"), so the pool does not use what is the table's.
 */
static int pool_map(struct pool *pool, struct dm_dev *dev, char **error)
{
	u64 start = get_start_sect(dev->bdev);
	int ret;

	pool->file = get_file(dev->bdev_file);
	pool->bdev = dev->bdev;
	pool->dax_pgoff = start >> BLOCK_SECTORS_SHIFT;
	ret = pool_claim(pool);
	if (ret) {
		*error = "Data device does not support DAX: use persistent memory in fsdax mode";
		return ret;
	}
	if (start & (BLOCK_SECTORS - 1)) {
		*error = "Data device does not start at a multiple of 4 KiB";
		return -EINVAL;
	}
	ret = pool_segments(pool, error);
	if (ret)
		return ret;
	ret = pool_vmap(pool);
	if (ret)
		*error = "Cannot map the data device's memory";
	return ret;
}

static void pool_unmap(struct pool *pool)
{
	unsigned int i;

	pool_unclaim(pool);
	vunmap(pool->vaddr);
	for (i = 0; i < pool->nr_segments; i++)
		put_dev_pagemap(pool->segments[i].pgmap);
	kvfree(pool->segments);
	if (pool->file)
		__fput_sync(pool->file);
}

const char *pool_mode_name(const struct pool *pool)
{
	switch (READ_ONCE(pool->mode)) {
	case POOL_WRITE:
		return "rw";
	case POOL_OUT_OF_SPACE:
		return "out_of_data_space";
	default:
		return "ro";
	}
}

static void set_mode(struct pool *pool, enum pool_mode mode)
{
	static const char * const names[] = {
		[POOL_WRITE] = "write",
		[POOL_OUT_OF_SPACE] = "out-of-data-space",
		[POOL_READ_ONLY] = "read-only",
	};
	const char *how = "";

	lockdep_assert_held(&pool->lock);
	if (pool->mode == mode)
		return;
	if (mode == POOL_OUT_OF_SPACE)
		how = pool->features.error_if_no_space ? " (error IO)" :
							 " (queue IO)";
	pool->mode = mode;
	pool->event_due = true;
	DMINFO("%s: switching pool to %s%s mode", dm_device_name(pool->md),
	       names[mode], how);
}

/* Something that user space waits for has happened. */
void pool_event(struct pool *pool)
{
	spin_lock(&pool->lock);
	pool->event_due = true;
	spin_unlock(&pool->lock);
	pool_wake(pool);
}

/* Tables that failed can have made the engine read-only. */
void pool_check_mode(struct pool *pool)
{
	struct daxcow_pool_info info;

	daxcow_pool_info(pool->core, &info);
	if (!info.read_only)
		return;
	spin_lock(&pool->lock);
	set_mode(pool, POOL_READ_ONLY);
	spin_unlock(&pool->lock);
}

void pool_wake(struct pool *pool)
{
	queue_delayed_work(pool->wq, &pool->reclaim, 1);
}

static void host_wake(void *ctx)
{
	pool_wake(ctx);
}

/* A write found no space. What waits for readers may give some back soon. */
void pool_no_space(struct pool *pool)
{
	spin_lock(&pool->lock);
	if (pool->mode == POOL_WRITE) {
		set_mode(pool, POOL_OUT_OF_SPACE);
		if (no_space_timeout_secs && !pool->features.error_if_no_space)
			queue_delayed_work(pool->wq, &pool->no_space_timeout,
					   no_space_timeout_secs * HZ);
	}
	spin_unlock(&pool->lock);
	pool_wake(pool);
}

/* One event each time that free space falls below the mark, as in dm-thin. */
void pool_check_low_water(struct pool *pool)
{
	if (READ_ONCE(pool->low_water_sent) ||
	    daxcow_room(pool->core) > pool->low_water)
		return;
	spin_lock(&pool->lock);
	if (!pool->low_water_sent) {
		pool->low_water_sent = true;
		pool->event_due = true;
		DMWARN("%s: reached low water mark for data device: sending event.",
		       dm_device_name(pool->md));
	}
	spin_unlock(&pool->lock);
	pool_wake(pool);
}

static struct volume **bio_volume(struct bio *bio)
{
	return dm_per_bio_data(bio, sizeof(struct volume *));
}

/* Keep a bio until there is space. False when it is to fail instead. */
bool pool_defer(struct volume *vol, struct bio *bio)
{
	struct pool *pool = vol->pool;
	bool keep, requeue;

	spin_lock(&pool->lock);
	requeue = vol->requeue;
	keep = requeue || (!pool->features.error_if_no_space &&
			   pool->mode != POOL_READ_ONLY);
	if (keep && !requeue)
		bio_list_add(&pool->deferred, bio);
	spin_unlock(&pool->lock);
	if (requeue) {
		bio->bi_status = BLK_STS_DM_REQUEUE;
		bio_endio(bio);
	}
	return keep;
}

/*
 * A volume is suspended without a flush: what waits for space must not hold
 * that up. dm keeps these bios until the volume is resumed.
 */
void pool_requeue(struct volume *vol)
{
	struct pool *pool = vol->pool;
	struct bio_list all, mine;
	struct bio *bio;

	bio_list_init(&all);
	bio_list_init(&mine);
	spin_lock(&pool->lock);
	vol->requeue = true;
	bio_list_merge(&all, &pool->deferred);
	bio_list_init(&pool->deferred);
	while ((bio = bio_list_pop(&all)))
		bio_list_add(*bio_volume(bio) == vol ? &mine : &pool->deferred,
			     bio);
	spin_unlock(&pool->lock);
	while ((bio = bio_list_pop(&mine))) {
		bio->bi_status = BLK_STS_DM_REQUEUE;
		bio_endio(bio);
	}
}

static void take_deferred(struct pool *pool, struct bio_list *bios)
{
	bio_list_init(bios);
	spin_lock(&pool->lock);
	bio_list_merge(bios, &pool->deferred);
	bio_list_init(&pool->deferred);
	spin_unlock(&pool->lock);
}

static void fail_deferred(struct pool *pool)
{
	struct bio_list bios;
	struct bio *bio;

	take_deferred(pool, &bios);
	while ((bio = bio_list_pop(&bios))) {
		bio->bi_status = BLK_STS_NOSPC;
		bio_endio(bio);
	}
}

static void do_no_space_timeout(struct work_struct *ws)
{
	struct pool *pool = container_of(to_delayed_work(ws), struct pool,
					 no_space_timeout);

	spin_lock(&pool->lock);
	if (pool->mode == POOL_OUT_OF_SPACE && !pool->features.error_if_no_space) {
		pool->features.error_if_no_space = true;
		DMWARN("%s: no space for %u s: switching to error IO. Delete snapshots or grow the pool.",
		       dm_device_name(pool->md), no_space_timeout_secs);
	}
	spin_unlock(&pool->lock);
	fail_deferred(pool);
}

/* Bios that found no space are tried again, by the worker. */
void pool_retry_deferred(struct pool *pool)
{
	struct bio_list bios;
	struct bio *bio;

	if (READ_ONCE(pool->mode) == POOL_OUT_OF_SPACE &&
	    daxcow_room(pool->core)) {
		spin_lock(&pool->lock);
		set_mode(pool, POOL_WRITE);
		spin_unlock(&pool->lock);
	}
	if (READ_ONCE(pool->mode) != POOL_WRITE)
		return;
	take_deferred(pool, &bios);
	while ((bio = bio_list_pop(&bios)))
		volume_bio(*bio_volume(bio), bio);
}

static void send_event(struct pool *pool)
{
	struct dm_target *ti;
	bool due;

	spin_lock(&pool->lock);
	due = pool->event_due;
	pool->event_due = false;
	ti = pool->ti;
	spin_unlock(&pool->lock);
	if (due && ti)
		dm_table_event(ti->table);
}

/*
 * The target goes away. The worker may be about to send an event to its table:
 * see that it is done.
 */
void pool_unbind(struct pool *pool, struct dm_target *ti)
{
	bool bound;

	spin_lock(&pool->lock);
	bound = pool->ti == ti;
	if (bound)
		pool->ti = NULL;
	spin_unlock(&pool->lock);
	if (bound)
		flush_delayed_work(&pool->reclaim);
}

/* All that could still see what owners have left, see core/reclaim.c. */
void pool_grace_period(struct pool *pool)
{
	synchronize_srcu(&pool->srcu);
#ifdef DAXCOW_SERIES
	dax_synchronize();
#endif
}

static void do_reclaim(struct work_struct *ws)
{
	struct pool *pool = container_of(to_delayed_work(ws), struct pool,
					 reclaim);
	unsigned int noio = memalloc_noio_save();
	struct daxcow_pool_info info;

	if (daxcow_reclaim_prepare(pool->core)) {
		pool_grace_period(pool);
		while (daxcow_reclaim_run(pool->core))
			cond_resched();
	}
	memalloc_noio_restore(noio);
	send_event(pool);
	pool_retry_deferred(pool);
	daxcow_pool_info(pool->core, &info);
	if (info.nr_pending)
		queue_delayed_work(pool->wq, &pool->reclaim, BUSY_RETRY);
}

/*
 * Finish what waits, for a message that wants to see the pool at rest. False
 * when something is still held, by DMA for example.
 */
bool pool_drain(struct pool *pool)
{
	struct daxcow_pool_info info;
	int tries;

	for (tries = 0; tries < 20; tries++) {
		daxcow_pool_info(pool->core, &info);
		if (!info.nr_pending)
			return true;
		mod_delayed_work(pool->wq, &pool->reclaim, 0);
		flush_delayed_work(&pool->reclaim);
		msleep(10);
	}
	return false;
}

static int pool_load(struct pool *pool, char **error)
{
	struct daxcow_host host = {
		.busy = pool_block_busy,
		.mapped = pool_block_mapped,
		.wake = host_wake,
		.ctx = pool,
	};
	struct daxcow_report report;
	struct daxcow_pool_info info;
	size_t i;
	int ret;

	ret = pool_device_bad(pool, &host);
	if (!ret)
		ret = daxcow_load(&pool->core, pool->base, pool->nr_blocks,
				  pool->features.read_only ? DAXCOW_LOAD_RO : 0,
				  &host, &report);
	for (i = 0; i < host.nr_bad && !ret; i++)
		pool_log_table(pool, host.bad[i]);
	kvfree(host.bad);
	switch (ret) {
	case 0:
		break;
	case -ENOMEM:
		*error = "Not enough memory for the pool's reverse map";
		return ret;
	case -EMEDIUMTYPE:
		*error = "Not a daxcow pool: make one with daxcow format";
		return ret;
	default:
		*error = ret == -EPROTONOSUPPORT ?
			 "Pool was made by another version of daxcow: see the kernel log" :
			 "Pool is damaged: see the kernel log, daxcow check, daxcow repair";
		DMERR("%pg: block %llu, word %u, level %d, volume %d: %s (%s, %#llx)",
		      pool->bdev, report.block, report.index, report.level,
		      (int)report.volume, daxcow_bad_text(report.bad),
		      daxcow_bad_name(report.bad), report.value);
		return ret;
	}
	daxcow_set_cow(pool->core, pool->features.cow);
	daxcow_pool_info(pool->core, &info);
	pool->zero_block = info.zero_block;
	if (info.read_only)
		pool->mode = POOL_READ_ONLY;
	return 0;
}

static void pool_warn_alignment(struct pool *pool)
{
	struct daxcow_pool_info info;
	u64 pfn;

	daxcow_pool_info(pool->core, &info);
	pfn = pfn_t_to_pfn(pool_pfn(pool, info.chunk_offset));
	if (pfn % DAXCOW_CHUNK_BLOCKS)
		DMWARN("%s: chunks are not aligned in memory, so there are no 2 MiB mappings: format with --chunk-offset %llu",
		       dm_device_name(pool->md),
		       (info.chunk_offset + DAXCOW_CHUNK_BLOCKS -
			pfn % DAXCOW_CHUNK_BLOCKS) % DAXCOW_CHUNK_BLOCKS);
}

static void pool_destroy(struct pool *pool)
{
	if (pool->wq) {
		cancel_delayed_work_sync(&pool->look);
		cancel_delayed_work_sync(&pool->no_space_timeout);
		cancel_delayed_work_sync(&pool->reclaim);
		destroy_workqueue(pool->wq);
	}
	if (pool->core)
		daxcow_unload(pool->core);
	pool_unmap(pool);
	cleanup_srcu_struct(&pool->srcu);
	kvfree(pool->left);
	mutex_destroy(&pool->merge_lock);
	kfree(pool);
}

static struct pool *pool_create(struct dm_target *ti, struct dm_dev *dev,
				u64 nr_blocks, const struct features *features)
{
	struct pool *pool;
	int ret;

	pool = kzalloc(sizeof(*pool), GFP_KERNEL);
	if (!pool) {
		ti->error = "Not enough memory";
		return ERR_PTR(-ENOMEM);
	}
	ret = init_srcu_struct(&pool->srcu);
	if (ret) {
		kfree(pool);
		ti->error = "Not enough memory";
		return ERR_PTR(ret);
	}
	pool->md = dm_table_get_md(ti->table);
	pool->nr_blocks = nr_blocks;
	pool->features = *features;
	refcount_set(&pool->users, 1);
	spin_lock_init(&pool->lock);
	bio_list_init(&pool->deferred);
	INIT_LIST_HEAD(&pool->volumes);
	mutex_init(&pool->merge_lock);
	pool->instance = get_random_u64();
	pool_look_init(pool);
	INIT_DELAYED_WORK(&pool->reclaim, do_reclaim);
	INIT_DELAYED_WORK(&pool->no_space_timeout, do_no_space_timeout);
	pool->wq = alloc_workqueue("daxcow", WQ_MEM_RECLAIM | WQ_UNBOUND, 0);
	/* what stays when nothing below says more */
	ti->error = "Not enough memory";
	ret = -ENOMEM;
	if (!pool->wq)
		goto out_destroy;
	ret = pool_map(pool, dev, &ti->error);
	if (!ret)
		ret = pool_load(pool, &ti->error);
	if (ret)
		goto out_destroy;
	pool_warn_alignment(pool);
	pool_look_begin(pool);
	list_add(&pool->list, &pools);
	return pool;

out_destroy:
	pool_destroy(pool);
	return ERR_PTR(ret);
}

/*
 * The pool for a table of its device: the one that is there, or a new one.
 * Under pools_lock. Sets ti->error on failure.
 */
struct pool *pool_get(struct dm_target *ti, struct dm_dev *dev, u64 nr_blocks,
		      const struct features *features)
{
	struct pool *pool = pool_find(dm_table_get_md(ti->table));

	lockdep_assert_held(&pools_lock);
	if (pool) {
		if (pool->bdev != dev->bdev) {
			ti->error = "Pool is in use with another data device: deactivate its volumes and the pool first";
			return ERR_PTR(-EBUSY);
		}
		refcount_inc(&pool->users);
		return pool;
	}
	list_for_each_entry(pool, &pools, list) {
		if (pool->bdev == dev->bdev) {
			ti->error = "Data device is in use by another pool";
			return ERR_PTR(-EBUSY);
		}
	}
	return pool_create(ti, dev, nr_blocks, features);
}

/* Under pools_lock. */
void pool_put(struct pool *pool)
{
	lockdep_assert_held(&pools_lock);
	if (!refcount_dec_and_test(&pool->users))
		return;
	list_del(&pool->list);
	pool_destroy(pool);
}
