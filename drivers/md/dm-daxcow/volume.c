// SPDX-License-Identifier: GPL-2.0
/*
 * Active volumes: from the first table that names one to the last, and a little
 * longer when a table is taken from below a file system.
 *
 * "dmsetup remove --force" does that: it puts an error target in the place of
 * a volume that is in use. The file system stays, and so do page table entries
 * that let processes see the volume's blocks, and maybe write to them: nothing
 * here can take them back. Were the volume closed with its last table, it could
 * be deleted and its blocks given to others (I2), or a snapshot be taken, which
 * those processes would then write to (I1). So it stays open, as an orphan, for
 * as long as its device is open. It cannot be deleted, rolled back or be the
 * origin of a snapshot, and it holds the pool's device open, and the module, which
 * the pool's table may not do any more either. When the device gets a table again
 * that names the volume, it is an orphan no more.
 *
 * Nobody tells when a device is closed, so it is looked at: every second, and
 * when somebody wants something that an orphan is in the way of.
 */
#include <linux/file.h>
#include <linux/module.h>

#include "target.h"

#define ORPHAN_INTERVAL	HZ

static void do_orphans(struct work_struct *ws);

/* Under pools_lock. */
static LIST_HEAD(orphans);
static DECLARE_DELAYED_WORK(orphan_work, do_orphans);

struct volume *volume_find(struct pool *pool, u32 id)
{
	struct volume *vol;

	lockdep_assert_held(&pools_lock);
	list_for_each_entry(vol, &pool->volumes, list)
		if (vol->id == id)
			return vol;
	return NULL;
}

/* Not so when it is being removed: then it is closed already. */
static bool device_is_open(const struct volume *vol)
{
	struct mapped_device *md = dm_get_md(vol->devt);
	bool open;

	if (!md)
		return false;
	open = md == vol->md && disk_openers(dm_disk(md));
	dm_put(md);
	return open;
}

static void volume_free(struct volume *vol)
{
	struct pool *pool = vol->pool;
	struct file *pool_file = vol->pool_file;

	spin_lock(&pool->lock);
	list_del(&vol->list);
	spin_unlock(&pool->lock);
	volume_dax_exit(vol);
	xa_destroy(&vol->granted);
	daxcow_close(vol->core);
	kfree(vol);
	pool_put(pool);
	__fput_sync(pool_file);
}

static void orphan_begin(struct volume *vol)
{
	DMWARN("volume %u was taken from below what uses it: it stays open until device %u:%u is closed",
	       vol->id, MAJOR(vol->devt), MINOR(vol->devt));
	__module_get(THIS_MODULE);
	list_add(&vol->orphan, &orphans);
	schedule_delayed_work(&orphan_work, ORPHAN_INTERVAL);
}

/* The module's exit waits for the work that may call this. */
static void orphan_end(struct volume *vol)
{
	list_del_init(&vol->orphan);
	module_put(THIS_MODULE);
}

/**
 * volumes_release_orphans() - close orphans whose devices nobody uses any more
 *
 * For those that would be told that a volume is in use.
 *
 * Context: under pools_lock.
 */
void volumes_release_orphans(void)
{
	struct volume *vol, *next;

	lockdep_assert_held(&pools_lock);
	list_for_each_entry_safe(vol, next, &orphans, orphan) {
		if (device_is_open(vol))
			continue;
		DMINFO("volume %u is not in use any more", vol->id);
		orphan_end(vol);
		volume_free(vol);
	}
}

static void do_orphans(struct work_struct *ws)
{
	mutex_lock(&pools_lock);
	volumes_release_orphans();
	if (!list_empty(&orphans))
		schedule_delayed_work(&orphan_work, ORPHAN_INTERVAL);
	mutex_unlock(&pools_lock);
}

/* What failed while it was not active. */
static void log_bad(const struct volume *vol)
{
	u64 nr = pool_count_bad(vol->pool, vol->id);

	if (nr)
		DMWARN("volume %u: %llu blocks of memory have failed: see daxcow status",
		       vol->id, nr);
}

static struct volume *volume_new(struct dm_target *ti, struct pool *pool,
				 struct dm_dev *pool_dev, u32 id)
{
	struct volume *vol;
	int ret;

	vol = kzalloc(sizeof(*vol), GFP_KERNEL);
	if (!vol) {
		ti->error = "Not enough memory";
		return ERR_PTR(-ENOMEM);
	}
	ret = daxcow_open(pool->core, id, &vol->core);
	if (ret) {
		ti->error = ret == -ENOENT ? "No volume with this id: see dmsetup message <pool> 0 list 0" :
			    ret == -EIO ? "The memory of one of the volume's tables failed: see the kernel log" :
					  "Cannot open the volume";
		goto out_free;
	}
	ret = volume_dax_init(vol);
	if (ret) {
		ti->error = "Not enough memory";
		goto out_close;
	}
	vol->pool = pool;
	vol->pool_file = get_file(pool_dev->bdev_file);
	vol->id = id;
	vol->md = dm_table_get_md(ti->table);
	vol->devt = disk_devt(dm_disk(vol->md));
	xa_init(&vol->granted);
	INIT_LIST_HEAD(&vol->orphan);
	spin_lock(&pool->lock);
	list_add(&vol->list, &pool->volumes);
	spin_unlock(&pool->lock);
	refcount_inc(&pool->users);
	log_bad(vol);
	return vol;

out_close:
	daxcow_close(vol->core);
out_free:
	kfree(vol);
	return ERR_PTR(ret);
}

/**
 * volume_get() - the active volume for a table, which may be the first
 * @ti:		the table's target; its error is set on failure
 * @pool:	the pool
 * @pool_dev:	its device, as the table has it
 * @id:		of the volume
 *
 * Context: under pools_lock.
 * Return: the volume, -EBUSY when it is active under another name, or what
 * daxcow_open() returns.
 */
struct volume *volume_get(struct dm_target *ti, struct pool *pool,
			  struct dm_dev *pool_dev, u32 id)
{
	struct mapped_device *md = dm_table_get_md(ti->table);
	struct volume *vol;

	volumes_release_orphans();
	vol = volume_find(pool, id);
	if (vol && vol->md != md) {
		ti->error = volume_is_orphan(vol) ? "Volume is still in use by what was on its device when that was removed by force: unmount it" :
					  "Volume is active under another name";
		return ERR_PTR(-EBUSY);
	}
	if (!vol)
		vol = volume_new(ti, pool, pool_dev, id);
	if (!IS_ERR(vol)) {
		if (volume_is_orphan(vol))
			orphan_end(vol);
		vol->users++;
	}
	return vol;
}

/**
 * volume_put() - a table that named a volume goes away
 * @vol:	the volume
 *
 * Context: under pools_lock.
 */
void volume_put(struct volume *vol)
{
	lockdep_assert_held(&pools_lock);
	if (--vol->users)
		return;
	if (vol->live && device_is_open(vol))
		orphan_begin(vol);
	else
		volume_free(vol);
}

void volumes_exit(void)
{
	cancel_delayed_work_sync(&orphan_work);
}
