// SPDX-License-Identifier: GPL-2.0
/*
 * Volumes that are told of memory failures, and when.
 *
 * Whoever is told by memory_failure() has all others of the machine wait for its
 * answer. A file system on a volume that is suspended would give none before it is
 * resumed, since it reads its reverse map by bios. So that one is told at that time,
 * and the volume is not suspended while its file system is being told.
 */
#include <linux/bsearch.h>
#include <linux/mm.h>

#include "target.h"

static struct workqueue_struct *tell_wq;

/**
 * struct volume_dax - what is told of failures for a volume
 * @ref:	the volume has one, and each failure that is being told
 * @dev:	of its mapped device; NULL while the volume has no DAX
 * @begin:	where the volume begins on that, in blocks
 * @telling:	held for reading while it is told
 * @suspended:	under @telling
 * @later_lock:	of @later
 * @later:	what it is to be told when it is resumed
 * @later_work:	does that
 */
struct volume_dax {
	struct kref ref;
	struct dax_device *dev;
	u64 begin;
	struct rw_semaphore telling;
	bool suspended;
	spinlock_t later_lock;
	struct list_head later;
	struct work_struct later_work;
};

/**
 * struct later - a failure that a volume has not been told of yet
 * @list:	in the volume's
 * @start:	first block of the volume
 * @nr:		number of blocks
 */
struct later {
	struct list_head list;
	u64 start, nr;
};

static void volume_dax_free(struct kref *ref)
{
	struct volume_dax *d = container_of(ref, struct volume_dax, ref);
	struct later *l, *next;

	list_for_each_entry_safe(l, next, &d->later, list)
		kfree(l);
	if (d->dev)
		put_dax(d->dev);
	kfree(d);
}

static int dax_notify(const struct volume_dax *d, u64 start, u64 nr, int mf_flags)
{
	return dax_holder_notify_failure(d->dev, (d->begin + start) << PAGE_SHIFT,
					 nr << PAGE_SHIFT, mf_flags);
}

static void tell_later(struct work_struct *ws)
{
	struct volume_dax *d = container_of(ws, struct volume_dax, later_work);
	struct later *l, *next;
	LIST_HEAD(list);

	spin_lock(&d->later_lock);
	list_splice_init(&d->later, &list);
	spin_unlock(&d->later_lock);
	list_for_each_entry_safe(l, next, &list, list) {
		/* nobody waits for it who has touched the page */
		dax_notify(d, l->start, l->nr, 0);
		kfree(l);
	}
	kref_put(&d->ref, volume_dax_free);
}

/* Returns -EINPROGRESS, or -ENOMEM. */
static int note_later(struct volume_dax *d, u64 start, u64 nr)
{
	struct later *l, *new = kmalloc(sizeof(*new), GFP_NOIO);

	if (!new)
		return -ENOMEM;
	new->start = start;
	new->nr = nr;
	spin_lock(&d->later_lock);
	/* as often as it is touched */
	list_for_each_entry(l, &d->later, list)
		if (l->start == start && l->nr == nr)
			break;
	if (list_entry_is_head(l, &d->later, list)) {
		list_add_tail(&new->list, &d->later);
		new = NULL;
	}
	spin_unlock(&d->later_lock);
	kfree(new);
	return -EINPROGRESS;
}

/**
 * volume_tell() - tell the file system on a volume that blocks of it have failed
 * @d:		of the volume
 * @start:	first block of the volume
 * @nr:		number of blocks
 * @mf_flags:	of memory_failure()
 *
 * Return: 0: it has seen to it; -EINPROGRESS: it will be told; -EOPNOTSUPP: there is
 * none, or one that does not take failures; or what it returns.
 */
int volume_tell(struct volume_dax *d, u64 start, u64 nr, int mf_flags)
{
	int ret;

	down_read(&d->telling);
	if (d->suspended)
		ret = note_later(d, start, nr);
	else
		ret = dax_notify(d, start, nr, mf_flags);
	up_read(&d->telling);
	return ret;
}

/* The device is about to be removed, which waits for what is suspended. */
void volume_tell_removal(struct volume_dax *d, int mf_flags)
{
	dax_holder_notify_failure(d->dev, 0, U64_MAX, mf_flags);
}

/**
 * volume_dax_suspend() - the volume's device is about to take no more bios
 * @vol:	the volume
 *
 * Context: waits while its file system is told, for which that needs bios.
 */
void volume_dax_suspend(struct volume *vol)
{
	down_write(&vol->dax->telling);
	vol->dax->suspended = true;
	up_write(&vol->dax->telling);
}

/* -ENOMEM */
int volume_dax_init(struct volume *vol)
{
	vol->dax = kzalloc(sizeof(*vol->dax), GFP_KERNEL);
	if (!vol->dax)
		return -ENOMEM;
	kref_init(&vol->dax->ref);
	init_rwsem(&vol->dax->telling);
	spin_lock_init(&vol->dax->later_lock);
	INIT_LIST_HEAD(&vol->dax->later);
	INIT_WORK(&vol->dax->later_work, tell_later);
	return 0;
}

/* Nobody finds the volume any more. */
void volume_dax_exit(struct volume *vol)
{
	kref_put(&vol->dax->ref, volume_dax_free);
}

/* What is to be told waits for the bios, which go on when the target has been resumed. */
static void volume_dax_resume(struct volume_dax *d)
{
	down_write(&d->telling);
	d->suspended = false;
	up_write(&d->telling);
	kref_get(&d->ref);
	if (list_empty_careful(&d->later) || !queue_work(tell_wq, &d->later_work))
		kref_put(&d->ref, volume_dax_free);
}

/**
 * volume_dax_live() - the volume's device is live, and has DAX or not
 * @vol:	the volume
 * @ti:		its live target
 *
 * The first time that is before it is used: nobody can have mapped anything of it.
 */
void volume_dax_live(struct volume *vol, struct dm_target *ti)
{
	struct volume_dax *d = vol->dax;
	struct dax_device *dev;
	u64 offset;

	volume_dax_resume(d);
	if (d->dev)
		return;
	d->begin = ti->begin >> BLOCK_SECTORS_SHIFT;
	dev = fs_dax_get_by_bdev(dm_disk(vol->md)->part0, &offset, NULL, NULL);
	/* pairs with told_volumes() */
	smp_store_release(&d->dev, dev);
}

static int told_cmp(const void *a, const void *b)
{
	const struct told *x = a, *y = b;

	return x->id < y->id ? -1 : x->id > y->id;
}

const struct told *told_find(const struct told *told, size_t nr, u32 id)
{
	const struct told key = { .id = id };

	return bsearch(&key, told, nr, sizeof(*told), told_cmp);
}

/* The active volumes by id, each with a reference. NULL, *@nr is 0: no memory. */
struct told *told_volumes(struct pool *pool, size_t *nr)
{
	struct told *told;
	struct volume *vol;
	unsigned long id;
	size_t room = 0;

	*nr = 0;
	xa_for_each(&pool->volumes, id, vol)
		room++;
	/* one that becomes active now does not get a bad block */
	told = kvcalloc(room ?: 1, sizeof(*told), GFP_NOIO);
	if (!told)
		return NULL;
	/* what is in the list is not freed before it is taken out */
	xa_lock(&pool->volumes);
	xa_for_each(&pool->volumes, id, vol) {
		if (*nr == room)
			break;
		if (!smp_load_acquire(&vol->dax->dev))
			continue;
		kref_get(&vol->dax->ref);
		told[(*nr)++] = (struct told) { vol->id, vol->dax };
	}
	xa_unlock(&pool->volumes);
	return told;
}

void told_free(struct told *told, size_t nr)
{
	while (nr-- > 0)
		kref_put(&told[nr].dax->ref, volume_dax_free);
	kvfree(told);
}

/* A file system can take its time. */
int told_init(void)
{
	tell_wq = alloc_workqueue("daxcow-told", WQ_UNBOUND, 0);
	return tell_wq ? 0 : -ENOMEM;
}

/* No volume is there any more; what was queued holds what it needs. */
void told_exit(void)
{
	destroy_workqueue(tell_wq);
}
