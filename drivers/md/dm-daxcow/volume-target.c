// SPDX-License-Identifier: GPL-2.0
/*
 * The target "daxcow": a volume of a pool.
 *
 *   daxcow <pool dev> <dev id> [<number of feature args> [no_dax]]
 *
 * It reports the pool's device as the one below, so that it has DAX when the
 * pool has been resumed before its own table is loaded. Without what the kernel has to
 * do for it (see series.c), or with no_dax, it is a plain block device.
 */
#include "target.h"

static int check_size(struct volume_table *vt, struct dm_target *ti)
{
	u64 size = daxcow_volume_size(vt->vol->core);

	if ((ti->begin | ti->len) & (BLOCK_SECTORS - 1)) {
		ti->error = "Start and length must be multiples of 4 KiB (8 sectors)";
		return -EINVAL;
	}
	if (!size)
		size = DAXCOW_MAX_VOLUME_BLOCKS;
	if (ti->len >> BLOCK_SECTORS_SHIFT > size) {
		ti->error = "Table is longer than the volume: resize it first (daxcow resize, or message resize)";
		return -EINVAL;
	}
	return 0;
}

static int volume_bind(struct volume_table *vt, struct dm_target *ti, u32 id)
{
	struct pool *pool;
	struct mapped_device *pool_md;
	int ret = 0;

	pool_md = dm_get_md(vt->pool_dev->bdev->bd_dev);
	if (!pool_md) {
		ti->error = "Not an active daxcow pool: name the pool's device, not the one that it is on";
		return -EINVAL;
	}
	pool = pool_find(pool_md);
	if (!pool) {
		ti->error = "Not an active daxcow pool: start it first (daxcow start)";
		ret = -EINVAL;
		goto out_put_md;
	}
	mutex_lock(&pool->volumes_lock);
	if (pool_is_suspended(pool)) {
		ti->error = "Unable to activate volume while its pool is suspended";
		ret = -EINVAL;
	} else {
		vt->vol = volume_get(ti, pool, vt->pool_dev, id);
		if (IS_ERR(vt->vol))
			ret = PTR_ERR(vt->vol);
	}
	if (!ret) {
		ret = check_size(vt, ti);
		if (ret)
			volume_put(vt->vol);
	}
	mutex_unlock(&pool->volumes_lock);
	pool_put(pool);
out_put_md:
	dm_put(pool_md);
	return ret;
}

static void set_limits(struct volume_table *vt, struct dm_target *ti)
{
	ti->private = vt;
	ti->num_flush_bios = 1;
	ti->flush_supported = true;
	ti->num_discard_bios = 1;
	ti->discards_supported = true;
	ti->limit_swap_bios = true;
	ti->accounts_remapped_io = false;
	ti->per_io_data_size = sizeof(struct volume *);
}

static int volume_ctr(struct dm_target *ti, unsigned int argc, char **argv)
{
	struct volume_args a = { .pool = NULL };
	struct volume_table *vt;
	int ret;

	ret = volume_args_parse(&a, argc, argv, &ti->error);
	if (ret)
		return ret;
	vt = kzalloc(sizeof(*vt), GFP_KERNEL);
	if (!vt) {
		ti->error = "Not enough memory";
		return -ENOMEM;
	}
	vt->ti = ti;
	vt->no_dax = a.no_dax;
	vt->read_only = !(dm_table_get_mode(ti->table) & BLK_OPEN_WRITE);
	ret = dm_get_device(ti, a.pool, dm_table_get_mode(ti->table),
			    &vt->pool_dev);
	if (ret) {
		ti->error = "Cannot open the pool's device";
		goto out_free;
	}
	ret = volume_bind(vt, ti, a.id);
	if (ret)
		goto out_put_device;
	if (!vt->no_dax)
		vt->series = series_get();
	set_limits(vt, ti);
	return 0;

out_put_device:
	dm_put_device(ti, vt->pool_dev);
out_free:
	kfree(vt);
	return ret;
}

static void volume_dtr(struct dm_target *ti)
{
	struct volume_table *vt = ti->private;
	struct pool *pool = vt->vol->pool;

	refcount_inc(&pool->users);
	mutex_lock(&pool->volumes_lock);
	volume_put(vt->vol);
	mutex_unlock(&pool->volumes_lock);
	pool_put(pool);
	dm_put_device(ti, vt->pool_dev);
	if (vt->series) {
		/* for those who have an address by this table */
		vt->series->synchronize();
		series_put();
	}
	kfree(vt);
}

/*
 * An empty flush goes on to the data device: what was written is in its
 * persistence domain, but that may have buffers in front of the media.
 */
static int volume_map(struct dm_target *ti, struct bio *bio)
{
	struct volume_table *vt = ti->private;

	if (!bio_sectors(bio)) {
		bio_set_dev(bio, vt->vol->pool->bdev);
		return DM_MAPIO_REMAPPED;
	}
	if (vt->read_only && op_is_write(bio_op(bio)))
		return DM_MAPIO_KILL;
	bio->bi_iter.bi_sector = dm_target_offset(ti, bio->bi_iter.bi_sector);
	*(struct volume **)dm_per_bio_data(bio, sizeof(vt->vol)) = vt->vol;
	return volume_bio(vt->vol, bio);
}

static void volume_presuspend(struct dm_target *ti)
{
	struct volume_table *vt = ti->private;

	volume_dax_suspend(vt->vol);
	if (dm_noflush_suspending(ti))
		pool_requeue(vt->vol);
}

static void volume_resume(struct dm_target *ti)
{
	struct volume_table *vt = ti->private;

	WRITE_ONCE(vt->vol->requeue, false);
	WRITE_ONCE(vt->vol->live, true);
	if (vt->series)
		volume_dax_live(vt->vol, ti);
}

static int volume_iterate_devices(struct dm_target *ti,
				  iterate_devices_callout_fn fn, void *data)
{
	struct volume_table *vt = ti->private;
	struct dm_dev plain = *vt->pool_dev;

	/* how dm is told that there is no DAX below */
	if (!vt->series)
		plain.dax_dev = NULL;
	return fn(ti, &plain, 0, bdev_nr_sectors(plain.bdev), data);
}

static void volume_io_hints(struct dm_target *ti, struct queue_limits *limits)
{
	const unsigned int chunk = DAXCOW_CHUNK_BLOCKS * DAXCOW_BLOCK_SIZE;

	limits->physical_block_size = DAXCOW_BLOCK_SIZE;
	/*
	 * mkfs takes these for stripe unit and width, and allocates large
	 * files in aligned chunks, which PMD mappings need. It ignores a unit
	 * of one block.
	 */
	limits->io_min = chunk;
	limits->io_opt = chunk;
	limits->discard_granularity = DAXCOW_BLOCK_SIZE;
	limits->max_hw_discard_sectors = 1U << (30 - SECTOR_SHIFT);
}

static void volume_status(struct dm_target *ti, status_type_t type,
			  unsigned int flags, char *result, unsigned int maxlen)
{
	struct volume_table *vt = ti->private;
	unsigned int sz = 0;
	u64 mapped, highest;

	switch (type) {
	case STATUSTYPE_INFO:
		daxcow_volume_mapped(vt->vol->core, &mapped, &highest);
		DMEMIT("%llu ", mapped << BLOCK_SECTORS_SHIFT);
		if (mapped)
			DMEMIT("%llu", ((highest + 1) << BLOCK_SECTORS_SHIFT) - 1);
		else
			DMEMIT("-");
		break;
	case STATUSTYPE_TABLE:
		DMEMIT("%s %u", vt->pool_dev->name, vt->vol->id);
		if (vt->no_dax)
			DMEMIT(" 1 no_dax");
		break;
	case STATUSTYPE_IMA:
		*result = '\0';
		break;
	}
}

struct target_type volume_target = {
	.name = "daxcow",
	.version = {1, 0, 0},
	.module = THIS_MODULE,
	.features = TARGET_DAX_REMAPS,
	.ctr = volume_ctr,
	.dtr = volume_dtr,
	.map = volume_map,
	.presuspend = volume_presuspend,
	.presuspend_undo = volume_resume,
	.resume = volume_resume,
	.status = volume_status,
	.iterate_devices = volume_iterate_devices,
	.io_hints = volume_io_hints,
	.direct_access = volume_direct_access,
	.dax_zero_page_range = volume_zero_page_range,
	.dax_recovery_write = volume_recovery_write,
};
