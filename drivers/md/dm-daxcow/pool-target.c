// SPDX-License-Identifier: GPL-2.0
/*
 * The target "daxcow-pool": table, status, resume.
 *
 *   daxcow-pool <data dev> <low water mark (blocks)>
 *               [<number of feature args> [<arg>]*]
 *
 * The device itself carries no data of users: it is read for blkid and the
 * like, not written.
 */
#include <linux/sched/mm.h>

#include "target.h"

/**
 * struct pool_table - one table line of a pool
 * @pool:	shared with the device's other tables
 * @dev:	data device
 * @ti:		the target
 * @features:	as given
 * @low_water:	in blocks
 * @nr_blocks:	length of the table
 */
struct pool_table {
	struct pool *pool;
	struct dm_dev *dev;
	struct dm_target *ti;
	struct features features;
	u64 low_water;
	u64 nr_blocks;
};

static int open_device(struct pool_table *pt, struct dm_target *ti,
		       unsigned int argc, char **argv)
{
	struct pool_args a = { .device = NULL };

	if (pool_args_parse(&a, argc, argv, &ti->error))
		return -EINVAL;
	pt->low_water = a.low_water;
	pt->features = a.features;
	if (dm_get_device(ti, a.device, dm_table_get_mode(ti->table), &pt->dev)) {
		ti->error = "Cannot open the data device";
		return -ENODEV;
	}
	return 0;
}

static int check_size(struct pool_table *pt, struct dm_target *ti)
{
	sector_t size = bdev_nr_sectors(pt->dev->bdev);

	if (ti->begin) {
		ti->error = "A pool is the only target of its device";
		return -EINVAL;
	}
	if (ti->len > size) {
		ti->error = "Table is longer than the data device";
		return -EINVAL;
	}
	pt->nr_blocks = ti->len >> BLOCK_SECTORS_SHIFT;
	if (pt->nr_blocks < DAXCOW_MIN_BLOCKS) {
		ti->error = "Data device is too small: a pool needs 16 MiB";
		return -EINVAL;
	}
	return 0;
}

static int pool_ctr(struct dm_target *ti, unsigned int argc, char **argv)
{
	struct features features;
	struct pool_table *pt;
	struct pool *pool;
	int ret;

	pt = kzalloc(sizeof(*pt), GFP_KERNEL);
	if (!pt) {
		ti->error = "Not enough memory";
		return -ENOMEM;
	}
	pt->ti = ti;
	ret = open_device(pt, ti, argc, argv);
	if (ret)
		goto out_free;
	ret = check_size(pt, ti);
	if (ret)
		goto out_put_device;
	features = pt->features;
	/* the memory below can be written to whatever is said of the device */
	features.read_only |= bdev_read_only(pt->dev->bdev);
	pool = pool_get(ti, pt->dev, pt->nr_blocks, &features);
	if (IS_ERR(pool)) {
		ret = PTR_ERR(pool);
		goto out_put_device;
	}
	pt->pool = pool;
	ti->private = pt;
	ti->num_flush_bios = 1;
	ti->flush_supported = true;
	return 0;

out_put_device:
	dm_put_device(ti, pt->dev);
out_free:
	kfree(pt);
	return ret;
}

static void pool_dtr(struct dm_target *ti)
{
	struct pool_table *pt = ti->private;

	pool_unbind(pt->pool, ti);
	pool_put(pt->pool);
	dm_put_device(ti, pt->dev);
	kfree(pt);
}

static int pool_map_bio(struct dm_target *ti, struct bio *bio)
{
	struct pool_table *pt = ti->private;

	if (bio_sectors(bio) && bio_op(bio) != REQ_OP_READ)
		return DM_MAPIO_KILL;
	bio_set_dev(bio, pt->dev->bdev);
	return DM_MAPIO_REMAPPED;
}

static int pool_iterate_devices(struct dm_target *ti,
				iterate_devices_callout_fn fn, void *data)
{
	struct pool_table *pt = ti->private;

	return fn(ti, pt->dev, 0, ti->len, data);
}

/*
 * There is nothing to access. But volumes find DAX support through their
 * pool's device, so it has to have some.
 */
static long pool_direct_access(struct dm_target *ti, pgoff_t pgoff,
			       long nr_pages, enum dax_access_mode mode,
			       void **kaddr, pfn_t *pfn)
{
	return -EIO;
}

static int pool_zero_page_range(struct dm_target *ti, pgoff_t pgoff,
				size_t nr_pages)
{
	return -EIO;
}

/* A longer table for a data device that has grown. */
static int maybe_grow(struct pool_table *pt)
{
	struct pool *pool = pt->pool;
	struct daxcow_pool_info info;
	unsigned int noio;
	int ret;

	daxcow_pool_info(pool->core, &info);
	if (pt->nr_blocks == info.nr_blocks || info.read_only)
		return 0;
	if (pt->nr_blocks < info.nr_blocks) {
		DMERR("%s: cannot shrink the pool from %llu to %llu blocks",
		      dm_device_name(pool->md), info.nr_blocks, pt->nr_blocks);
		return -EINVAL;
	}
	if (pt->nr_blocks > pool->nr_blocks) {
		ret = pool_extend(pool, pt->nr_blocks);
		if (ret)
			return ret;
	}
	ret = pool_new_part_held(pool, info.nr_blocks, pt->nr_blocks);
	/* a pool that is being started is not to fail for what it can do without */
	if (ret)
		return READ_ONCE(pool->ti) ? ret : 0;
	noio = memalloc_noio_save();
	ret = daxcow_grow(pool->core, pt->nr_blocks);
	memalloc_noio_restore(noio);
	if (ret)
		DMERR("%s: cannot grow the pool: %d", dm_device_name(pool->md),
		      ret);
	else
		DMINFO("%s: pool has grown from %llu to %llu blocks",
		       dm_device_name(pool->md), info.nr_blocks, pt->nr_blocks);
	return ret;
}

/*
 * What suspends the pool waits for its messages, and a snapshot may wait for as long
 * as a user of a volume likes.
 */
static void pool_presuspend(struct dm_target *ti)
{
	struct pool_table *pt = ti->private;

	WRITE_ONCE(pt->pool->suspending, true);
	wake_up_all(&pt->pool->snapshot_wait);
}

static void pool_presuspend_undo(struct dm_target *ti)
{
	struct pool_table *pt = ti->private;

	WRITE_ONCE(pt->pool->suspending, false);
}

static int pool_preresume(struct dm_target *ti)
{
	struct pool_table *pt = ti->private;

	return maybe_grow(pt);
}

static void pool_resume(struct dm_target *ti)
{
	struct pool_table *pt = ti->private;
	struct pool *pool = pt->pool;

	spin_lock(&pool->lock);
	pool->ti = ti;
	pool->features.ignore_discard = pt->features.ignore_discard;
	pool->low_water = pt->low_water;
	pool->low_water_sent = false;
	spin_unlock(&pool->lock);
	pool_set_no_space(pool, pt->features.error_if_no_space);
	daxcow_set_cow(pool->core, pt->features.cow);
	WRITE_ONCE(pool->suspending, false);
	pool_wake(pool);
}

static void status_info(struct pool *pool, char *result, unsigned int maxlen)
{
	struct daxcow_pool_info info;
	unsigned int sz = 0;

	daxcow_pool_info(pool->core, &info);
	DMEMIT("%llu %llu/%llu %llu/%llu - %s %s %s - %u ", info.trans,
	       info.nr_meta, info.nr_blocks, info.nr_data, info.nr_blocks,
	       pool_mode_name(pool),
	       pool->features.ignore_discard ? "ignore_discard" :
					       "no_discard_passdown",
	       pool_fails_without_space(pool) ? "error_if_no_space" :
						"queue_if_no_space", 0);
}

static void status_table(struct pool_table *pt, char *result,
			 unsigned int maxlen)
{
	const struct features *f = &pt->features;
	unsigned int sz = 0;

	DMEMIT("%s %llu %u", pt->dev->name, pt->low_water,
	       f->error_if_no_space + f->read_only + f->ignore_discard +
	       (f->cow != DAXCOW_COW_AUTO));
	if (f->error_if_no_space)
		DMEMIT(" error_if_no_space");
	if (f->read_only)
		DMEMIT(" read_only");
	if (f->ignore_discard)
		DMEMIT(" ignore_discard");
	if (f->cow != DAXCOW_COW_AUTO)
		DMEMIT(" %s", f->cow == DAXCOW_COW_4K ? "cow_4k" : "cow_2m");
}

static void pool_status(struct dm_target *ti, status_type_t type,
			unsigned int flags, char *result, unsigned int maxlen)
{
	struct pool_table *pt = ti->private;

	switch (type) {
	case STATUSTYPE_INFO:
		status_info(pt->pool, result, maxlen);
		break;
	case STATUSTYPE_TABLE:
		status_table(pt, result, maxlen);
		break;
	case STATUSTYPE_IMA:
		*result = '\0';
		break;
	}
}

static int pool_message_target(struct dm_target *ti, unsigned int argc,
			       char **argv, char *result, unsigned int maxlen)
{
	struct pool_table *pt = ti->private;

	return pool_message(pt->pool, argc, argv, result, maxlen);
}

struct target_type pool_target = {
	.name = "daxcow-pool",
	.features = DM_TARGET_SINGLETON | DM_TARGET_ALWAYS_WRITEABLE |
		    DM_TARGET_IMMUTABLE,
	.version = {1, 0, 0},
	.module = THIS_MODULE,
	.ctr = pool_ctr,
	.dtr = pool_dtr,
	.map = pool_map_bio,
	.presuspend = pool_presuspend,
	.presuspend_undo = pool_presuspend_undo,
	.preresume = pool_preresume,
	.resume = pool_resume,
	.status = pool_status,
	.message = pool_message_target,
	.iterate_devices = pool_iterate_devices,
	.direct_access = pool_direct_access,
	.dax_zero_page_range = pool_zero_page_range,
};
