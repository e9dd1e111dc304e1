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

static DECLARE_DELAYED_WORK(orphan_work, do_orphans);

struct volume *volume_find(struct pool *pool, u32 id)
{
	lockdep_assert_held(&pool->volumes_lock);
	return xa_load(&pool->volumes, id);
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

/* The caller has a reference to the pool that is not the volume's. */
static void volume_free(struct volume *vol)
{
	struct pool *pool = vol->pool;
	struct file *pool_file = vol->pool_file;

	lockdep_assert_held(&pool->volumes_lock);
	xa_erase(&pool->volumes, vol->id);
	volume_dax_exit(vol);
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
	vol->orphan = true;
	xa_set_mark(&vol->pool->volumes, vol->id, VOLUME_ORPHAN);
	schedule_delayed_work(&orphan_work, ORPHAN_INTERVAL);
}

/* The module's exit waits for the work that may call this. */
static void orphan_end(struct volume *vol)
{
	vol->orphan = false;
	xa_clear_mark(&vol->pool->volumes, vol->id, VOLUME_ORPHAN);
	module_put(THIS_MODULE);
}

/**
 * volumes_release_orphans() - close orphans whose devices nobody uses any more
 * @pool:	theirs
 *
 * For those that would be told that a volume is in use.
 *
 * Context: under volumes_lock, with a reference to the pool.
 */
void volumes_release_orphans(struct pool *pool)
{
	struct volume *vol;
	unsigned long id;

	lockdep_assert_held(&pool->volumes_lock);
	xa_for_each_marked(&pool->volumes, id, vol, VOLUME_ORPHAN) {
		if (device_is_open(vol))
			continue;
		DMINFO("volume %u is not in use any more", vol->id);
		orphan_end(vol);
		volume_free(vol);
	}
}

static void do_orphans(struct work_struct *ws)
{
	bool again = false;
	struct pool *pool;
	u64 nr = 0;

	while ((pool = pool_next(nr))) {
		nr = pool->nr;
		mutex_lock(&pool->volumes_lock);
		volumes_release_orphans(pool);
		again |= xa_marked(&pool->volumes, VOLUME_ORPHAN);
		mutex_unlock(&pool->volumes_lock);
		pool_put(pool);
	}
	if (again)
		schedule_delayed_work(&orphan_work, ORPHAN_INTERVAL);
}

/* What failed while it was not active. */
static void log_bad(const struct volume *vol)
{
	u64 nr = pool_count_bad(vol->pool, vol->id);

	if (nr)
		DMWARN("volume %u: %llu blocks of memory have failed: see daxcow status",
		       vol->id, nr);
}

static char *open_error(int err)
{
	switch (err) {
	case -ENOENT:
		return "No volume with this id: see dmsetup message <pool> 0 list 0";
	case -EIO:
		return "The memory of one of the volume's tables failed: see the kernel log";
	case -ENOMEM:
		return "Not enough memory";
	default:
		return "Cannot open the volume";
	}
}

static struct volume *volume_new(struct dm_target *ti, struct pool *pool,
				 struct dm_dev *pool_dev, u32 id)
{
	struct volume *vol;
	int ret = -ENOMEM;

	vol = kzalloc(sizeof(*vol), GFP_KERNEL);
	if (!vol)
		goto out;
	vol->pool = pool;
	vol->id = id;
	vol->md = dm_table_get_md(ti->table);
	vol->devt = disk_devt(dm_disk(vol->md));
	ret = daxcow_open(pool->core, id, &vol->core);
	if (ret)
		goto out_free;
	ret = volume_dax_init(vol);
	if (ret)
		goto out_close;
	vol->grants = grants_get(pool, id);
	ret = vol->grants ? 0 : -ENOMEM;
	if (ret)
		goto out_dax;
	/* from here on a snapshot knows that it is active */
	ret = xa_err(xa_store(&pool->volumes, id, vol, GFP_KERNEL));
	if (ret)
		goto out_dax;
	vol->pool_file = get_file(pool_dev->bdev_file);
	refcount_inc(&pool->users);
	log_bad(vol);
	return vol;

out_dax:
	volume_dax_exit(vol);
out_close:
	daxcow_close(vol->core);
out_free:
	kfree(vol);
out:
	ti->error = open_error(ret);
	return ERR_PTR(ret);
}

/**
 * volume_get() - the active volume for a table, which may be the first
 * @ti:		the table's target; its error is set on failure
 * @pool:	the pool
 * @pool_dev:	its device, as the table has it
 * @id:		of the volume
 *
 * Context: under volumes_lock, with a reference to the pool.
 * Return: the volume, -EBUSY when it is active under another name, or what
 * daxcow_open() returns.
 */
struct volume *volume_get(struct dm_target *ti, struct pool *pool,
			  struct dm_dev *pool_dev, u32 id)
{
	struct mapped_device *md = dm_table_get_md(ti->table);
	struct volume *vol;

	volumes_release_orphans(pool);
	vol = volume_find(pool, id);
	if (vol && vol->md != md) {
		ti->error = vol->orphan ? "Volume is still in use by what was on its device when that was removed by force: unmount it" :
					  "Volume is active under another name";
		return ERR_PTR(-EBUSY);
	}
	if (!vol)
		vol = volume_new(ti, pool, pool_dev, id);
	if (!IS_ERR(vol)) {
		if (vol->orphan)
			orphan_end(vol);
		vol->users++;
	}
	return vol;
}

/**
 * volume_put() - a table that named a volume goes away, or who worked on it is done
 * @vol:	the volume
 *
 * Context: under volumes_lock, with a reference to the pool.
 */
void volume_put(struct volume *vol)
{
	lockdep_assert_held(&vol->pool->volumes_lock);
	if (--vol->users)
		return;
	if (vol->live && device_is_open(vol))
		orphan_begin(vol);
	else
		volume_free(vol);
}

/**
 * pool_delete() - delete a volume
 * @pool:	the pool
 * @id:		of the volume
 *
 * Who may still write to its pages (see grants.c) keeps these from being used
 * again, and nothing else.
 *
 * Return: as daxcow_delete().
 */
int pool_delete(struct pool *pool, u32 id)
{
	int ret;

	mutex_lock(&pool->volumes_lock);
	volumes_release_orphans(pool);
	ret = daxcow_delete(pool->core, id);
	if (!ret)
		grants_forget(pool, id);
	mutex_unlock(&pool->volumes_lock);
	return ret;
}

void volumes_exit(void)
{
	cancel_delayed_work_sync(&orphan_work);
}
