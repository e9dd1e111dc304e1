// SPDX-License-Identifier: GPL-2.0
/*
 * A loaded pool: its life, and what happens in the background. Its memory is in
 * memory.c.
 *
 * A pool is made by the first table of its device and shared by all tables
 * that come while the device exists, as in dm-thin: a reload must not load
 * the pool a second time while the first is in use.
 */
#include <linux/delay.h>
#include <linux/random.h>
#include <linux/sched/mm.h>
#include <linux/vmalloc.h>

#include "target.h"

static DEFINE_SPINLOCK(pools_lock);
static LIST_HEAD(pools);
static u64 pools_nr;
/* How often a pool has been loaded, or gone; somebody may wait for the next time. */
static u64 pools_changed;
static DECLARE_WAIT_QUEUE_HEAD(pools_wait);

/* As dm-thin's, in seconds; 0 waits for ever. */
unsigned int no_space_timeout_secs = 60;

/*
 * What a write of one block needs at most, with its nodes: with less the pool is
 * still full, or what waits would find that again and again.
 */
#define ROOM_TO_GO_ON	(DAXCOW_MAX_LEVEL + 2)

/* Busy blocks (DMA) are looked at again after this. */
#define BUSY_RETRY	msecs_to_jiffies(100)

/* The pool of a mapped device, to be put; or NULL. */
struct pool *pool_find(struct mapped_device *md)
{
	struct pool *pool, *found = NULL;

	spin_lock(&pools_lock);
	list_for_each_entry(pool, &pools, list)
		if (pool->md == md && pool->state == POOL_LIVE)
			found = pool;
	if (found)
		refcount_inc(&found->users);
	spin_unlock(&pools_lock);
	return found;
}

/* The pool after number @nr, to be put; or NULL: for a walk over all, from 0 on. */
struct pool *pool_next(u64 nr)
{
	struct pool *pool, *next = NULL;

	spin_lock(&pools_lock);
	list_for_each_entry(pool, &pools, list)
		if (pool->state == POOL_LIVE && pool->nr > nr &&
		    (!next || pool->nr < next->nr))
			next = pool;
	if (next)
		refcount_inc(&next->users);
	spin_unlock(&pools_lock);
	return next;
}

bool pool_is_live(const struct pool *pool)
{
	bool live;

	spin_lock(&pools_lock);
	live = pool->state == POOL_LIVE;
	spin_unlock(&pools_lock);
	return live;
}

/* For pools_wait_change(), before a look at the pools. */
u64 pools_changes(void)
{
	u64 n;

	spin_lock(&pools_lock);
	n = pools_changed;
	spin_unlock(&pools_lock);
	return n;
}

/* A pool has been loaded, or is gone, since @seen. An error: a signal came first. */
int pools_wait_change(u64 seen)
{
	return wait_event_killable(pools_wait, pools_changes() != seen);
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

/* Whether who finds no space is told so, and does not wait. */
bool pool_fails_without_space(const struct pool *pool)
{
	return READ_ONCE(pool->features.error_if_no_space) ||
	       READ_ONCE(pool->no_space_expired);
}

/* The pool is full from now on, or what it does then has changed. */
static void no_space_begin(struct pool *pool)
{
	unsigned long wait = (unsigned long)no_space_timeout_secs * HZ;

	lockdep_assert_held(&pool->lock);
	pool->no_space_expired = false;
	pool->no_space_until = jiffies + wait;
	if (wait && !pool->features.error_if_no_space)
		mod_delayed_work(pool->wq, &pool->no_space_timeout, wait);
	else
		cancel_delayed_work(&pool->no_space_timeout);
}

/* It is not full any more: the next time it waits as long as the first time. */
static void no_space_end(struct pool *pool)
{
	lockdep_assert_held(&pool->lock);
	pool->no_space_expired = false;
	/* one that runs already looks at the mode, and at the time */
	cancel_delayed_work(&pool->no_space_timeout);
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
	if (pool->mode == POOL_OUT_OF_SPACE)
		no_space_end(pool);
	if (mode == POOL_OUT_OF_SPACE) {
		no_space_begin(pool);
		how = pool_fails_without_space(pool) ? " (error IO)" :
						       " (queue IO)";
	}
	pool->mode = mode;
	pool->event_due = true;
	/* a snapshot that waits for a file system gives up */
	wake_up_all(&pool->snapshot_wait);
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

/*
 * Tables that failed can have made the engine read-only. It is so no more when the
 * volumes with those that failed before a load have been deleted.
 */
void pool_check_mode(struct pool *pool)
{
	bool was = READ_ONCE(pool->mode) == POOL_READ_ONLY;
	struct daxcow_pool_info info;

	daxcow_pool_info(pool->core, &info);
	if (info.read_only == was)
		return;
	spin_lock(&pool->lock);
	set_mode(pool, was ? POOL_WRITE : POOL_READ_ONLY);
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
	if (pool->mode == POOL_WRITE)
		set_mode(pool, POOL_OUT_OF_SPACE);
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
	bool keep, requeue, wake;

	spin_lock(&pool->lock);
	requeue = vol->requeue;
	keep = requeue || (!pool_fails_without_space(pool) &&
			   pool->mode != POOL_READ_ONLY);
	if (keep && !requeue)
		bio_list_add(&pool->deferred, bio);
	wake = keep && pool->mode != POOL_OUT_OF_SPACE;
	spin_unlock(&pool->lock);
	/* space has come since the bio found none: nobody else will look for it */
	if (wake)
		pool_wake(pool);
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
	bool expired;

	spin_lock(&pool->lock);
	expired = pool->mode == POOL_OUT_OF_SPACE &&
		  !pool_fails_without_space(pool) &&
		  !time_before(jiffies, pool->no_space_until);
	if (expired) {
		pool->no_space_expired = true;
		DMWARN("%s: no space for %u s: switching to error IO. Delete snapshots or grow the pool.",
		       dm_device_name(pool->md), no_space_timeout_secs);
	}
	spin_unlock(&pool->lock);
	if (expired)
		fail_deferred(pool);
}

/**
 * pool_set_no_space() - what a table says that a full pool does
 * @pool:	the pool
 * @error:	fail writes, and do not let them wait
 *
 * If it is full now, that begins anew: the time in which space may be made, for
 * writes that wait, or their failing.
 */
void pool_set_no_space(struct pool *pool, bool error)
{
	spin_lock(&pool->lock);
	pool->features.error_if_no_space = error;
	if (pool->mode == POOL_OUT_OF_SPACE)
		no_space_begin(pool);
	spin_unlock(&pool->lock);
	if (error)
		fail_deferred(pool);
}

/* As soon as there is space the pool is as its table says. */
static void leave_no_space(struct pool *pool)
{
	if (READ_ONCE(pool->mode) != POOL_OUT_OF_SPACE ||
	    daxcow_room(pool->core) < ROOM_TO_GO_ON)
		return;
	spin_lock(&pool->lock);
	if (pool->mode == POOL_OUT_OF_SPACE)
		set_mode(pool, POOL_WRITE);
	spin_unlock(&pool->lock);
}

/*
 * Bios that found no space are tried again. They fail when the pool has become
 * read-only.
 */
static void retry_deferred(struct pool *pool)
{
	struct bio_list bios;
	struct bio *bio;

	if (READ_ONCE(pool->mode) == POOL_OUT_OF_SPACE)
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

/* Or without a table. */
bool pool_is_suspended(struct pool *pool)
{
	bool ret;

	/* the target goes after pool_unbind() */
	spin_lock(&pool->lock);
	ret = !pool->ti || dm_suspended(pool->ti);
	spin_unlock(&pool->lock);
	return ret;
}

/* All that could still see what owners have left, see core/reclaim.c. */
void pool_grace_period(struct pool *pool)
{
	synchronize_srcu(&pool->srcu);
	series_synchronize();
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
	pool_check_mode(pool);
	leave_no_space(pool);
	send_event(pool);
	retry_deferred(pool);
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
		if (!info.nr_pending && !info.settling)
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

	host.held = pool->held;
	host.nr_held = pool->nr_held;
	ret = pool_device_bad(pool, &host);
	if (!ret)
		ret = daxcow_load(&pool->core, pool->base, pool->nr_blocks,
				  pool->features.read_only ? DAXCOW_LOAD_RO : 0,
				  &host, &report);
	for (i = 0; i < host.nr_bad && !ret; i++)
		pool_log_table(pool, host.bad[i]);
	vfree(host.bad);
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
	if (info.unknown)
		DMWARN("%pg: pool is read-only, as the memory of tables has failed: delete the volumes that they are part of, or use daxcow repair",
		       pool->bdev);
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

/* All of it but its place in the list. */
static void pool_teardown(struct pool *pool)
{
	if (pool->wq) {
		cancel_delayed_work_sync(&pool->look);
		cancel_delayed_work_sync(&pool->no_space_timeout);
		cancel_delayed_work_sync(&pool->reclaim);
		destroy_workqueue(pool->wq);
	}
	pool_deafen(pool);
	if (pool->core)
		daxcow_unload(pool->core);
	pool_unmap(pool);
	free_page((unsigned long)pool->sink);
	grants_exit(pool);
	cleanup_srcu_struct(&pool->srcu);
	kvfree(pool->left);
	pool_forget_held(pool);
	mutex_destroy(&pool->merge_lock);
	mutex_destroy(&pool->volumes_lock);
}

/*
 * Until here the pool is in the list, so that nobody loads another one from a
 * device that it may still write to. Its memory it has given up by then: who waits
 * for that is told of it here.
 */
static void pool_destroy(struct pool *pool)
{
	pool_teardown(pool);
	spin_lock(&pools_lock);
	list_del(&pool->list);
	pools_changed++;
	spin_unlock(&pools_lock);
	wake_up_all(&pools_wait);
	kfree(pool);
}

static struct pool *pool_alloc(struct dm_target *ti, struct dm_dev *dev,
			       u64 nr_blocks, const struct features *features)
{
	struct pool *pool;

	pool = kzalloc(sizeof(*pool), GFP_KERNEL);
	if (!pool)
		return NULL;
	if (init_srcu_struct(&pool->srcu)) {
		kfree(pool);
		return NULL;
	}
	pool->md = dm_table_get_md(ti->table);
	pool->bdev = dev->bdev;
	pool->nr_blocks = nr_blocks;
	pool->features = *features;
	refcount_set(&pool->users, 1);
	INIT_LIST_HEAD(&pool->claim);
	spin_lock_init(&pool->lock);
	bio_list_init(&pool->deferred);
	mutex_init(&pool->volumes_lock);
	xa_init(&pool->volumes);
	xa_init(&pool->grants);
	INIT_LIST_HEAD(&pool->snapshots);
	init_waitqueue_head(&pool->snapshot_wait);
	mutex_init(&pool->merge_lock);
	pool->instance = get_random_u64();
	pool_look_init(pool);
	INIT_DELAYED_WORK(&pool->reclaim, do_reclaim);
	INIT_DELAYED_WORK(&pool->no_space_timeout, do_no_space_timeout);
	return pool;
}

static int pool_start(struct pool *pool, struct dm_dev *dev, char **error)
{
	int ret;

	/* what stays when nothing below says more */
	*error = "Not enough memory";
	pool->wq = alloc_workqueue("daxcow", WQ_MEM_RECLAIM | WQ_UNBOUND, 0);
	pool->sink = (void *)__get_free_page(GFP_KERNEL);
	if (!pool->wq || !pool->sink)
		return -ENOMEM;
	ret = pool_map(pool, dev, error);
	if (!ret)
		ret = pool_load(pool, error);
	if (!ret)
		ret = pool_note_held(pool, error);
	if (ret)
		return ret;
	pool_listen(pool);
	pool_warn_alignment(pool);
	pool_look_begin(pool);
	return 0;
}

/* The pool of a mapped device or of a data device, whatever its state; or NULL. */
static struct pool *pool_on(struct mapped_device *md, struct block_device *bdev)
{
	struct pool *pool;

	lockdep_assert_held(&pools_lock);
	list_for_each_entry(pool, &pools, list)
		if (pool->md == md || pool->bdev == bdev)
			return pool;
	return NULL;
}

/* Nobody else loads a pool from the device, or takes one apart. */
static bool device_settled(struct mapped_device *md, struct block_device *bdev)
{
	struct pool *pool;
	bool settled;

	spin_lock(&pools_lock);
	pool = pool_on(md, bdev);
	settled = !pool || pool->state == POOL_LIVE;
	spin_unlock(&pools_lock);
	return settled;
}

/*
 * Take a place in the list, or find a pool that is live; then @new is freed. When
 * there is one of another state, wait for it. Returns the one or the other, or an
 * error when the wait was ended by a signal.
 */
static struct pool *pool_register(struct pool *new)
{
	struct pool *pool;
	int ret;

	for (;;) {
		spin_lock(&pools_lock);
		pool = pool_on(new->md, new->bdev);
		if (!pool) {
			new->nr = ++pools_nr;
			list_add(&new->list, &pools);
			spin_unlock(&pools_lock);
			return new;
		}
		if (pool->state == POOL_LIVE) {
			refcount_inc(&pool->users);
			spin_unlock(&pools_lock);
			break;
		}
		spin_unlock(&pools_lock);
		ret = wait_event_killable(pools_wait,
					  device_settled(new->md, new->bdev));
		if (ret) {
			pool = ERR_PTR(ret);
			break;
		}
	}
	pool_teardown(new);
	kfree(new);
	return pool;
}

static const char *pool_conflict(const struct pool *pool,
				 struct mapped_device *md,
				 struct block_device *bdev)
{
	if (pool->md != md)
		return "Data device is in use by another pool";
	if (pool->bdev != bdev)
		return "Pool is in use with another data device: deactivate its volumes and the pool first";
	return NULL;
}

/**
 * pool_get() - the pool for a table of its device: the one that is there, or a new one
 * @ti:		the table's target; its error is set on failure
 * @dev:	the data device
 * @nr_blocks:	length of the table
 * @features:	of the table
 *
 * Context: sleeps; loading takes as long as the pool is large.
 * Return: the pool, to be put with pool_put(); -EBUSY, -ENOMEM, -EINTR, or what
 * mapping the device and daxcow_load() return.
 */
struct pool *pool_get(struct dm_target *ti, struct dm_dev *dev, u64 nr_blocks,
		      const struct features *features)
{
	struct mapped_device *md = dm_table_get_md(ti->table);
	struct pool *new, *pool;
	const char *why;
	int ret;

	ti->error = "Not enough memory";
	new = pool_alloc(ti, dev, nr_blocks, features);
	if (!new)
		return ERR_PTR(-ENOMEM);
	pool = pool_register(new);
	if (IS_ERR(pool)) {
		ti->error = "Interrupted while another pool was using the data device";
		return pool;
	}
	if (pool != new) {
		why = pool_conflict(pool, md, dev->bdev);
		if (!why)
			return pool;
		ti->error = (char *)why;
		pool_put(pool);
		return ERR_PTR(-EBUSY);
	}
	ret = pool_start(pool, dev, &ti->error);
	if (ret) {
		pool_destroy(pool);
		return ERR_PTR(ret);
	}
	spin_lock(&pools_lock);
	pool->state = POOL_LIVE;
	pools_changed++;
	spin_unlock(&pools_lock);
	wake_up_all(&pools_wait);
	return pool;
}

/**
 * pool_put() - give up what pool_get(), pool_find(), pool_next() or a refcount_inc() of
 *		its users gave
 * @pool:	the pool
 *
 * Context: sleeps when it is the last one. The caller holds none of the pool's locks,
 * unless it has another reference.
 */
void pool_put(struct pool *pool)
{
	bool last;

	if (refcount_dec_not_one(&pool->users))
		return;
	/* who finds it takes a reference under the lock */
	spin_lock(&pools_lock);
	last = refcount_dec_and_test(&pool->users);
	if (last)
		pool->state = POOL_DYING;
	spin_unlock(&pools_lock);
	if (last)
		pool_destroy(pool);
}
