// SPDX-License-Identifier: GPL-2.0
/*
 * Snapshots of volumes that are in use.
 *
 * A snapshot shares all blocks of its origin, so at that moment nobody may
 * have write access to one of them (I1). Bios are no concern: each block is
 * published, or written in place, under the engine's lock. What was handed out through
 * DAX is.
 *
 *   1. The origin's file system is frozen through its block device. That
 *      waits for write(2) and for write faults under way, and writes back
 *      all dirty DAX entries, which takes write permission from all page
 *      tables. Freezes nest, so a user's own dmsetup suspend or fsfreeze
 *      does no harm; and whatever happens here, it is thawed again.
 *   2. The pages agree that nobody can write: see grants.c. A file system on
 *      another dm device above the volume is not frozen by 1, so when its files
 *      may have a page for writing the snapshot is refused, until the user
 *      has suspended that device.
 *   3. The snapshot is one store, if nobody was given write access since 2 began.
 *      Else it is tried again: somebody thawed the file system (FITHAW takes any
 *      freeze back), or an inactive origin was activated.
 *
 * A freeze waits for the users of a volume, and they for whatever they like: for
 * space in the pool, for a device that is suspended, for a page of their own that does
 * not come. So none of this is done by the message, which holds up whoever
 * suspends or grows the pool, nor with a lock held that others need. A worker does it,
 * and the message waits, for it or for a reason to give up: a signal that kills, a
 * pool that has become full, or is to be suspended. What was given up ends by itself
 * when the freeze does: the worker thaws and takes no snapshot.
 *
 * The worker holds the pool, the module, and for each origin the volume and its mapped
 * device, so that no table and no removal takes them away; the latter waits.
 */
#include <linux/delay.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/sched/mm.h>

#include "target.h"

/* As often it is tried while somebody is given write access in between. */
#define SNAPSHOT_TRIES	8
/* As often pages are looked at while one is still being written back. */
#define SNAPSHOT_LOOKS	7

static struct workqueue_struct *snapshot_wq;

/**
 * enum snapshot_state - who decides
 * @SNAPSHOT_WAITING: the message can give up
 * @SNAPSHOT_TAKING: it cannot any more
 * @SNAPSHOT_DONE: the result is there
 * @SNAPSHOT_GIVEN_UP: the worker ends without one
 */
enum snapshot_state {
	SNAPSHOT_WAITING,
	SNAPSHOT_TAKING,
	SNAPSHOT_DONE,
	SNAPSHOT_GIVEN_UP,
};

/**
 * struct origin - a volume while a snapshot of it is taken
 * @id:		of the volume
 * @vol:	held; NULL when it is not active
 * @frozen:	bdev_freeze() was done
 * @look:	at its grants
 */
struct origin {
	u32 id;
	struct volume *vol;
	bool frozen;
	struct grants_look look;
};

/**
 * struct snapshot - snapshots of one or more volumes, while they are taken
 * @work:	does it
 * @ref:	of the message and the worker
 * @list:	in the pool's
 * @state:	under pool->lock
 * @pool:	held, with its mapped device
 * @nr:		how many
 * @d:		what they are to be
 * @names:	of @d, and their uuids
 * @o:		their origins, each once
 * @nr_origins:	how many
 * @ret:	the result
 */
struct snapshot {
	struct work_struct work;
	struct kref ref;
	struct list_head list;
	enum snapshot_state state;
	struct pool *pool;
	unsigned int nr;
	struct daxcow_volume_desc *d;
	struct snapshot_name {
		char name[DAXCOW_NAME_SIZE];
		u8 uuid[DAXCOW_UUID_SIZE];
	} *names;
	struct origin *o;
	unsigned int nr_origins;
	int ret;
};

/* Looked at again, under the lock, before it matters. */
static bool given_up(const struct snapshot *s)
{
	return READ_ONCE(s->state) == SNAPSHOT_GIVEN_UP;
}

/* ---- one origin ---- */

/* -EAGAIN: it is being removed, and not active any more when that is over. */
static int origin_hold(struct snapshot *s, struct origin *o)
{
	struct pool *pool = s->pool;
	struct volume *vol;
	int ret = 0;

	mutex_lock(&pool->volumes_lock);
	volumes_release_orphans(pool);
	vol = volume_find(pool, o->id);
	if (vol && vol->orphan) {
		DMERR("%s: snapshot refused: volume %u is still in use by what was on its device when that was removed by force: unmount it",
		      dm_device_name(pool->md), o->id);
		ret = -EBUSY;
	} else if (vol && dm_hold(vol->md)) {
		ret = -EAGAIN;
	} else if (vol) {
		vol->users++;
		o->vol = vol;
	}
	mutex_unlock(&pool->volumes_lock);
	return ret;
}

static void origin_release(struct origin *o, struct pool *pool)
{
	struct mapped_device *md;

	if (!o->vol)
		return;
	md = o->vol->md;
	mutex_lock(&pool->volumes_lock);
	volume_put(o->vol);
	mutex_unlock(&pool->volumes_lock);
	dm_put(md);
	o->vol = NULL;
}

static struct block_device *origin_bdev(const struct origin *o)
{
	return dm_disk(o->vol->md)->part0;
}

/*
 * While the file system is being mounted or unmounted there is none that could be
 * frozen (-EINVAL), and none either that has given all up: wait until it is the one or
 * the other.
 */
static int origin_freeze(struct snapshot *s, struct origin *o)
{
	int ret;

	for (;;) {
		ret = bdev_freeze(origin_bdev(o));
		if (ret != -EINVAL)
			break;
		if (given_up(s))
			return -EINTR;
		msleep(20);
	}
	o->frozen = !ret;
	if (ret == -EBUSY)
		DMERR("%s: snapshot refused: the kernel has frozen the file system for a purpose of its own: try again later",
		      dm_device_name(o->vol->md));
	else if (ret)
		DMERR("%s: snapshot refused: the file system cannot be frozen (%d). When it has shut down, see the kernel log above, unmount it.",
		      dm_device_name(o->vol->md), ret);
	return ret;
}

/*
 * The file system on the volume's own device, if there is one, is frozen. One that is
 * read-only (@writers is false) is called so too, and has not waited for anybody.
 */
static bool own_frozen(struct block_device *bdev, bool *writers)
{
	bool frozen = true;

	*writers = true;
	mutex_lock(&bdev->bd_holder_lock);
	if (bdev->bd_holder_ops == &fs_holder_ops) {
		frozen = sb_is_frozen(bdev->bd_holder);
		*writers = !sb_rdonly(bdev->bd_holder);
	}
	mutex_unlock(&bdev->bd_holder_lock);
	return frozen;
}

/*
 * A freeze writes all dirty pages back, but it does not wait for one that an fsync has
 * begun with before it: dax_writeback_one() takes the mark that the other one goes by. Its
 * page tables may let somebody write until that is done.
 */
static int look_frozen(struct snapshot *s, struct grants_look *l)
{
	int looks, ret;

	for (looks = 0; looks < SNAPSHOT_LOOKS; looks++) {
		if (looks)
			msleep(1 << looks);
		ret = grants_look(l);
		if (ret != -ETXTBSY || given_up(s))
			break;
	}
	return ret;
}

static int look_active(struct snapshot *s, struct origin *o)
{
	bool writers;
	int ret;

	o->look.pool = s->pool;
	o->look.core = o->vol->core;
	o->look.grants = o->vol->grants;
	o->look.frozen = own_frozen(origin_bdev(o), &writers) && writers;
	if (!writers)
		o->look.read_only = origin_bdev(o);
	ret = look_frozen(s, &o->look);
	/* after the count was taken: see step 2 in grants.c */
	if ((!ret || ret == -ETXTBSY) && !own_frozen(origin_bdev(o), &writers))
		return -EAGAIN;
	if (ret == -ETXTBSY) {
		DMERR("%s: snapshot refused: the file system was frozen, but processes can still write through their mappings: it has been shut down by an error, or made read-only by an emergency remount: unmount it",
		      dm_device_name(o->vol->md));
		ret = -EBUSY;
	} else if (ret == -EBUSY) {
		DMERR("%s: snapshot refused: a file system above that is not frozen could write to it. It is on another device-mapper device: suspend that one (dmsetup suspend), or unmount it.",
		      dm_device_name(o->vol->md));
	}
	return ret;
}

/* Whether nobody can write to a volume that is not active. */
static int look_inactive(struct pool *pool, u32 id, struct grants_look *l)
{
	int ret;

	lockdep_assert_held(&pool->volumes_lock);
	l->pool = pool;
	l->grants = xa_load(&pool->grants, id);
	l->frozen = true;
	if (!l->grants)
		return 0;
	ret = daxcow_open(pool->core, id, &l->core);
	if (ret)
		return ret;
	ret = grants_look(l);
	daxcow_close(l->core);
	if (ret == -ETXTBSY)
		ret = -EBUSY;
	if (ret == -EBUSY)
		DMERR("%s: refused: volume %u is not active, but a file system that lost its device (dmsetup remove --force) has processes that can write to it: unmount it",
		      dm_device_name(pool->md), id);
	return ret;
}

static int origin_look(struct snapshot *s, struct origin *o)
{
	int ret;

	if (o->vol)
		return look_active(s, o);
	mutex_lock(&s->pool->volumes_lock);
	ret = volume_find(s->pool, o->id) ? -EAGAIN :
	      look_inactive(s->pool, o->id, &o->look);
	mutex_unlock(&s->pool->volumes_lock);
	return ret;
}

/* Under the engine's lock, last before the snapshot is published. */
static int origin_ready(void *arg)
{
	struct origin *o = arg;

	if (!o->vol && xa_load(&o->look.pool->volumes, o->id))
		return -EAGAIN;
	return grants_unchanged(&o->look, o->id) ? 0 : -EAGAIN;
}

/* ---- all of them ---- */

static struct origin *origin_find(struct snapshot *s, u32 id)
{
	unsigned int i;

	for (i = 0; i < s->nr_origins; i++)
		if (s->o[i].id == id)
			return &s->o[i];
	return NULL;
}

static int origins_freeze(struct snapshot *s)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; i < s->nr_origins && !ret; i++) {
		ret = given_up(s) ? -EINTR : origin_hold(s, &s->o[i]);
		if (!ret && s->o[i].vol)
			ret = origin_freeze(s, &s->o[i]);
	}
	return ret;
}

/*
 * Somebody else may have thawed the file system meanwhile (FITHAW), or it is gone. Then
 * bdev_thaw() fails and counts the freeze as one that goes on: nothing could be mounted
 * there any more, and what is mounted would never be frozen again, as the next freeze is
 * taken for a second one.
 */
static void origin_thaw(struct block_device *bdev)
{
	int ret = bdev_thaw(bdev);

	if (!ret)
		return;
	mutex_lock(&bdev->bd_fsfreeze_mutex);
	atomic_dec_if_positive(&bdev->bd_fsfreeze_count);
	mutex_unlock(&bdev->bd_fsfreeze_mutex);
	DMWARN("%pg: the file system was not frozen any more (%d): did something else thaw it?",
	       bdev, ret);
}

static void origins_thaw(struct snapshot *s)
{
	unsigned int i;

	for (i = s->nr_origins; i-- > 0;) {
		struct origin *o = &s->o[i];

		if (o->frozen)
			origin_thaw(origin_bdev(o));
		o->frozen = false;
		origin_release(o, s->pool);
		kvfree(o->look.pinned);
		memset(&o->look, 0, sizeof(o->look));
	}
}

/* From here on the message waits for the result. */
static bool begin_taking(struct snapshot *s)
{
	bool ret;

	spin_lock(&s->pool->lock);
	ret = s->state != SNAPSHOT_GIVEN_UP;
	if (ret)
		s->state = SNAPSHOT_TAKING;
	spin_unlock(&s->pool->lock);
	return ret;
}

static void end_taking(struct snapshot *s)
{
	spin_lock(&s->pool->lock);
	s->state = SNAPSHOT_WAITING;
	spin_unlock(&s->pool->lock);
	wake_up_all(&s->pool->snapshot_wait);
}

/* All are frozen. */
static int snapshot_frozen(struct snapshot *s)
{
	unsigned int i, noio;
	int ret = 0;

	for (i = 0; i < s->nr_origins && !ret; i++)
		ret = origin_look(s, &s->o[i]);
	if (ret)
		return ret;
	for (i = 0; i < s->nr; i++) {
		struct origin *o = origin_find(s, s->d[i].origin);

		/* two snapshots of one origin have its pinned pages copied each */
		s->d[i].pinned = o->look.pinned;
		s->d[i].nr_pinned = o->look.nr_pinned;
		s->d[i].ready = origin_ready;
		s->d[i].arg = o;
	}
	if (!begin_taking(s))
		return -EINTR;
	noio = memalloc_noio_save();
	ret = daxcow_snapshot(s->pool->core, s->d, s->nr);
	memalloc_noio_restore(noio);
	for (i = 0; i < s->nr_origins && !ret; i++)
		if (s->o[i].look.grants)
			grants_drop(&s->o[i].look);
	if (ret)
		end_taking(s);
	return ret;
}

static int snapshot_try(struct snapshot *s)
{
	int ret = origins_freeze(s);

	if (!ret)
		ret = snapshot_frozen(s);
	origins_thaw(s);
	return ret;
}

static void snapshot_free(struct kref *ref)
{
	struct snapshot *s = container_of(ref, struct snapshot, ref);

	kfree(s->o);
	kfree(s->names);
	kfree(s->d);
	kfree(s);
}

static void do_snapshot(struct work_struct *ws)
{
	struct snapshot *s = container_of(ws, struct snapshot, work);
	struct pool *pool = s->pool;
	struct mapped_device *md = pool->md;
	int tries = 0, ret;

	do {
		if (tries)
			msleep(1 << tries);
		ret = snapshot_try(s);
	} while (ret == -EAGAIN && ++tries < SNAPSHOT_TRIES && !given_up(s));
	if (ret == -EAGAIN) {
		DMERR("%s: snapshot refused: what is above an origin goes on to write to it though it was frozen, or could not be: suspend (dmsetup suspend) or unmount it",
		      dm_device_name(md));
		ret = -EBUSY;
	}
	spin_lock(&pool->lock);
	list_del(&s->list);
	s->ret = ret;
	if (s->state != SNAPSHOT_GIVEN_UP)
		s->state = SNAPSHOT_DONE;
	spin_unlock(&pool->lock);
	wake_up_all(&pool->snapshot_wait);
	kref_put(&s->ref, snapshot_free);
	pool_put(pool);
	dm_put(md);
	/* its exit waits for this to return */
	module_put(THIS_MODULE);
}

/* ---- the message ---- */

static bool snapshot_is(struct snapshot *s, enum snapshot_state state)
{
	return READ_ONCE(s->state) == state;
}

/* Why to wait no longer; 0: go on. */
static int pool_in_the_way(struct pool *pool)
{
	if (READ_ONCE(pool->suspending))
		return -EAGAIN;
	switch (READ_ONCE(pool->mode)) {
	case POOL_OUT_OF_SPACE:
		return -ENOSPC;
	case POOL_READ_ONLY:
		return -EROFS;
	default:
		return 0;
	}
}

/* For the reason @why, unless it is too late, or there is none. */
static bool snapshot_give_up(struct snapshot *s, int why)
{
	bool ret;

	spin_lock(&s->pool->lock);
	ret = why && s->state == SNAPSHOT_WAITING;
	if (ret)
		s->state = SNAPSHOT_GIVEN_UP;
	spin_unlock(&s->pool->lock);
	return ret;
}

/* The message's part: wait for the result, or give up. */
static int snapshot_wait(struct snapshot *s)
{
	struct pool *pool = s->pool;
	int ret, why;

	for (;;) {
		ret = wait_event_killable(pool->snapshot_wait,
					  snapshot_is(s, SNAPSHOT_DONE) ||
					  pool_in_the_way(pool));
		why = ret ? -EINTR : pool_in_the_way(pool);
		if (snapshot_give_up(s, why))
			return why;
		if (snapshot_is(s, SNAPSHOT_DONE))
			return s->ret;
		/* takes as long as the engine does */
		wait_event(pool->snapshot_wait, !snapshot_is(s, SNAPSHOT_TAKING));
	}
}

static void origins_init(struct snapshot *s)
{
	unsigned int i;

	for (i = 0; i < s->nr; i++)
		if (!origin_find(s, s->d[i].origin))
			s->o[s->nr_origins++].id = s->d[i].origin;
}

static struct snapshot *snapshot_new(struct pool *pool,
				     const struct daxcow_volume_desc *d,
				     unsigned int nr)
{
	struct snapshot *s = kzalloc(sizeof(*s), GFP_KERNEL);
	unsigned int i;

	if (!s)
		return NULL;
	kref_init(&s->ref);
	INIT_WORK(&s->work, do_snapshot);
	s->pool = pool;
	s->nr = nr;
	s->d = kmemdup_array(d, nr, sizeof(*d), GFP_KERNEL);
	s->names = kcalloc(nr, sizeof(*s->names), GFP_KERNEL);
	s->o = kcalloc(nr, sizeof(*s->o), GFP_KERNEL);
	if (!s->d || !s->names || !s->o) {
		kref_put(&s->ref, snapshot_free);
		return NULL;
	}
	for (i = 0; i < nr; i++) {
		memcpy(s->names[i].uuid, d[i].uuid, DAXCOW_UUID_SIZE);
		s->d[i].uuid = s->names[i].uuid;
		if (d[i].name) {
			strscpy(s->names[i].name, d[i].name, DAXCOW_NAME_SIZE);
			s->d[i].name = s->names[i].name;
		}
	}
	origins_init(s);
	return s;
}

/* Whether a snapshot that was given up still waits for one of the origins. */
static bool still_freezing(struct pool *pool, struct snapshot *s)
{
	struct snapshot *other;
	unsigned int i;

	lockdep_assert_held(&pool->lock);
	list_for_each_entry(other, &pool->snapshots, list)
		for (i = 0; i < s->nr_origins; i++)
			if (other->state == SNAPSHOT_GIVEN_UP &&
			    origin_find(other, s->o[i].id))
				return true;
	return false;
}

static int snapshot_start(struct pool *pool, struct snapshot *s)
{
	bool busy;

	if (dm_hold(pool->md))
		return -ENXIO;
	spin_lock(&pool->lock);
	busy = still_freezing(pool, s);
	if (!busy)
		list_add(&s->list, &pool->snapshots);
	spin_unlock(&pool->lock);
	if (busy) {
		DMERR("%s: snapshot refused: an earlier one was given up, and still waits for the file system to freeze: see what its users wait for",
		      dm_device_name(pool->md));
		dm_put(pool->md);
		return -EBUSY;
	}
	refcount_inc(&pool->users);
	__module_get(THIS_MODULE);
	kref_get(&s->ref);
	queue_work(snapshot_wq, &s->work);
	return 0;
}

/**
 * pool_snapshot() - snapshots of one or more volumes at one point in time
 * @pool:	the pool
 * @d:		the snapshots
 * @nr:		number of snapshots
 *
 * Context: sleeps for as long as the file systems take to freeze; a signal that kills
 * ends that. No lock is held.
 * Return: 0, -EBUSY when a file system cannot be kept from writing, -ENOSPC, -EROFS,
 * -EAGAIN: the pool is suspended, or is about to be, -EINTR, or what daxcow_snapshot()
 * and bdev_freeze() return.
 */
int pool_snapshot(struct pool *pool, struct daxcow_volume_desc *d,
		  unsigned int nr)
{
	struct snapshot *s;
	int ret;

	ret = pool_in_the_way(pool);
	if (ret)
		return ret;
	s = snapshot_new(pool, d, nr);
	if (!s)
		return -ENOMEM;
	ret = snapshot_start(pool, s);
	if (!ret)
		ret = snapshot_wait(s);
	kref_put(&s->ref, snapshot_free);
	return ret;
}

/**
 * pool_rollback() - give a volume another one's content
 * @pool:	the pool
 * @id:		of the volume
 * @from:	of the other one
 *
 * That shares the other one's blocks, so nobody may be able to write to them. Who may
 * still write to what @id had before has pages that are not used again.
 *
 * Return: as daxcow_rollback(), or as grants_look().
 */
int pool_rollback(struct pool *pool, u32 id, u32 from)
{
	struct grants_look look = { .pool = pool };
	int ret;

	mutex_lock(&pool->volumes_lock);
	volumes_release_orphans(pool);
	/* one that is active is refused by the engine */
	if (!volume_find(pool, from))
		ret = look_inactive(pool, from, &look);
	else
		ret = -EBUSY;
	if (!ret && look.nr_pinned) {
		DMERR("%s: refused: something has references to pages of volume %u, and may write to them",
		      dm_device_name(pool->md), from);
		ret = -EBUSY;
	}
	if (!ret)
		ret = daxcow_rollback(pool->core, id, from);
	if (!ret)
		grants_forget(pool, id);
	mutex_unlock(&pool->volumes_lock);
	kvfree(look.pinned);
	return ret;
}

/* On a frozen file system each is a thread that waits: as many as it takes. */
int snapshots_init(void)
{
	snapshot_wq = alloc_workqueue("daxcow-snapshot", WQ_UNBOUND, 0);
	return snapshot_wq ? 0 : -ENOMEM;
}

void snapshots_exit(void)
{
	destroy_workqueue(snapshot_wq);
}
