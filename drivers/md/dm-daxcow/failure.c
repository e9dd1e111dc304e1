// SPDX-License-Identifier: GPL-2.0
/*
 * Memory failure: who has to know that a page is lost.
 *
 * The kernel asks the holder of the dax device that the page belongs to, which is
 * the pool. struct page names one file at most; the reverse map names all owners:
 *
 *   1. The blocks are marked bad. From now on none of them is handed out any more,
 *      copied, or written, on behalf of anybody.
 *   2. Their owners are collected, under the engine's lock.
 *   3. The dax device of each volume that is active is told, for its own offsets,
 *      without a lock of ours. The file system on it is the holder there; XFS finds
 *      the files in its own reverse map, and kills the processes that map them.
 *   4. Owners are collected again. Who has become one meanwhile is told as well.
 *
 * Nobody is missed: a fault that was given the page before 1 holds the lock of its
 * DAX entry until its page table entry stands, and 3 waits for that lock. An owner
 * leaves the page only by writing over all of it, or by a discard: there are no
 * copies of it after 1.
 *
 * Nobody is hit in place of another: who has left the page between 2 and 3 can have
 * a good one there already, and so can another file. mf_dax_kill_procs() spares what
 * does not have PG_hwpoison, which is set first of all.
 *
 * Why without a lock: the file system reads its reverse map through bios, waits
 * for DAX entries, and those who hold one wait for the engine's lock. The volumes
 * that are told are kept by references to their dax devices, so that one can go
 * away meanwhile; the pool by @failing.
 *
 * An owner that is not active has nobody to tell. It reads an error.
 *
 * Was somebody not told, or is to be told later (see told.c), or the answer was an
 * error, then a process that had the page mapped may still have it: "not recovered" is
 * what is returned then, which makes the kernel kill the one that has touched it. Else
 * it would run into the same machine check again, for ever.
 *
 * A table that failed has no process either: what is below it is not lost, but
 * cannot be found any more, so whoever has it mapped goes on, and whoever asks
 * gets an error. The log says which volumes and ranges that is.
 *
 * A block is good again when neither its page nor the device below says that it is
 * bad: the driver takes that back when it has cleared the poison. Nobody tells, so
 * it is looked at from time to time, and so is what the device has found out by
 * itself (a scrub).
 */
#include <linux/delay.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/sort.h>
#include <linux/vmalloc.h>

#include "target.h"

/* Deferrable: a machine that is idle is not woken. */
#define LOOK_INTERVAL	(10 * HZ)
/* Blocks that are dealt with at once, of a failure of many. */
#define BATCH		DAXCOW_CHUNK_BLOCKS
/* For a file that cannot be held, 10 ms after another. */
#define FILE_TRIES	20
/* Lines in the log about one table. */
#define TABLE_LINES	16

/*
 * Two pools can be on one dax device, in partitions of a pmem device, which has one
 * holder. So that is the module, and the list says for whom.
 */
static DEFINE_MUTEX(holders_lock);
static LIST_HEAD(holders);
/* Who becomes the holder of a device, or leaves it for another pool on it. */
static DEFINE_MUTEX(claim_lock);
static struct holder {
	const char *name;
} holder = { DM_MSG_PREFIX };

/* ---- places: where blocks are in volumes ---- */

struct place {
	u32 volume;
	u64 start, nr;
};

/**
 * struct places - those of some blocks
 * @at:		the places
 * @nr:		how many
 * @from:	the first of those that are being added
 * @room:	how many fit in @at
 * @told:	only of these volumes, sorted by id; NULL: of all
 * @nr_told:	how many are in @told
 */
struct places {
	struct place *at;
	size_t nr, from, room;
	const struct told *told;
	size_t nr_told;
};

static int place_note(void *arg, const struct daxcow_owner *o)
{
	struct places *p = arg;

	if (p->told && !told_find(p->told, p->nr_told, o->volume))
		return 0;
	if (p->nr == p->room)
		return -ENOBUFS;
	p->at[p->nr++] = (struct place) {
		.volume = o->volume,
		.start = o->vblk,
		.nr = o->nr,
	};
	return 0;
}

static void place_again(void *arg)
{
	struct places *p = arg;

	p->nr = p->from;
}

static int places_enlarge(struct places *p)
{
	size_t room = p->room ? p->room * 2 : 64;
	struct place *at = kvcalloc(room, sizeof(*at), GFP_NOIO);

	if (!at)
		return -ENOMEM;
	if (p->nr)
		memcpy(at, p->at, p->nr * sizeof(*at));
	kvfree(p->at);
	p->at = at;
	p->room = room;
	return 0;
}

/* Add the owners of a block. Returns 0 or -ENOMEM. */
static int places_add(struct pool *pool, u64 block, struct places *p)
{
	int ret;

	p->from = p->nr;
	for (;;) {
		ret = daxcow_owners(pool->core, block, NULL, place_note, place_again, p);
		if (ret != -ENOBUFS)
			return ret == -ENOENT ? 0 : ret;
		p->nr = p->from;
		ret = places_enlarge(p);
		if (ret)
			return ret;
	}
}

static int one_is_enough(void *arg, const struct daxcow_owner *o)
{
	return 1;
}

static enum daxcow_use use_of(struct pool *pool, u64 block)
{
	enum daxcow_use use;

	daxcow_owners(pool->core, block, &use, one_is_enough, NULL, NULL);
	return use;
}

static int place_cmp(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	if (x->volume != y->volume)
		return x->volume < y->volume ? -1 : 1;
	return x->start < y->start ? -1 : x->start > y->start;
}

/* Sort, and join what follows each other: file systems are told ranges. */
static void places_join(struct places *p)
{
	size_t i, n = 0;

	sort(p->at, p->nr, sizeof(*p->at), place_cmp, NULL);
	for (i = 0; i < p->nr; i++) {
		struct place *last = n ? &p->at[n - 1] : NULL;

		if (last && last->volume == p->at[i].volume &&
		    last->start + last->nr >= p->at[i].start)
			last->nr = max(last->start + last->nr, p->at[i].start +
				       p->at[i].nr) - last->start;
		else
			p->at[n++] = p->at[i];
	}
	p->nr = n;
}

static bool places_have(const struct places *p, const struct place *x)
{
	size_t lo = 0, hi = p->nr;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		const struct place *m = &p->at[mid];

		if (m->volume == x->volume && m->start <= x->start &&
		    m->start + m->nr >= x->start + x->nr)
			return true;
		if (place_cmp(m, x) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return false;
}

/* ---- telling ---- */

/*
 * Nobody above a volume takes failures: a file system that cannot tell who uses a
 * block, or one on another device. When the page belongs to one file the page says
 * to which. An inode that is about to go has nothing mapped.
 */
static bool kill_by_page(struct pool *pool, u64 block, int mf_flags)
{
	struct inode *inode;
	pgoff_t index;
	int ret, tries;

	/* a freeze may be on its way */
	for (tries = 0; tries < FILE_TRIES; tries++) {
		ret = pool_block_file(pool, block, &inode, &index);
		if (ret != -EAGAIN)
			break;
		msleep(10);
	}
	if (!inode)
		return !ret;
	ret = mf_dax_kill_procs(inode->i_mapping, index, 1, mf_flags);
	pool_file_put(inode);
	return !ret;
}

/* Tell what is not in @before. True when somebody has not seen to it. */
static bool tell(const struct places *p, const struct places *before,
		 int mf_flags)
{
	bool deaf = false;
	size_t i;

	for (i = 0; i < p->nr; i++) {
		const struct place *x = &p->at[i];

		if (places_have(before, x))
			continue;
		/* -EOPNOTSUPP: no file system, or one that does not take failures */
		if (volume_tell(told_find(p->told, p->nr_told, x->volume)->dax,
				x->start, x->nr, mf_flags))
			deaf = true;
	}
	return deaf;
}

/* The device is about to be removed, with all that is on it. */
static void tell_all(struct pool *pool, int mf_flags)
{
	struct told *told;
	size_t i, nr;

	DMWARN("%s: the data device is being removed", dm_device_name(pool->md));
	told = told_volumes(pool, &nr);
	for (i = 0; i < nr; i++)
		volume_tell_removal(told[i].dax, mf_flags);
	if (told)
		told_free(told, nr);
}

/**
 * pool_log_table() - say what cannot be found, if a block that is bad is a table
 * @pool:	the pool
 * @block:	the block
 */
void pool_log_table(struct pool *pool, u64 block)
{
	struct places p = { .nr = 0 };
	enum daxcow_use use;
	size_t i;

	use = use_of(pool, block);
	if (use == DAXCOW_BLOCK_POOL)
		DMERR("%s: the memory of block %llu failed, which is the pool's own: see daxcow check",
		      dm_device_name(pool->md), block);
	if (use != DAXCOW_BLOCK_TABLE && use != DAXCOW_BLOCK_RECORD)
		return;
	if (places_add(pool, block, &p))
		goto out_free;
	DMERR("%s: the memory of block %llu failed, which is a table of %zu volumes",
	      dm_device_name(pool->md), block, p.nr);
	for (i = 0; i < p.nr && i < TABLE_LINES; i++)
		DMERR("%s: volume %u: blocks %llu to %llu cannot be found",
		      dm_device_name(pool->md), p.at[i].volume, p.at[i].start,
		      p.at[i].start + p.at[i].nr - 1);
out_free:
	kvfree(p.at);
}

static void page_set_bad(struct pool *pool, u64 block)
{
#ifdef CONFIG_MEMORY_FAILURE
	SetPageHWPoison(pfn_t_to_page(pool_pfn(pool, block)));
#endif
}

static bool page_is_bad(struct pool *pool, u64 block)
{
	return PageHWPoison(pfn_t_to_page(pool_pfn(pool, block)));
}

/* What failed is not used any more. */
static void mark(struct pool *pool, u64 block, u64 nr)
{
	u64 b;

	for (b = block; b < block + nr; b++)
		if (!daxcow_bad_add(pool->core, b))
			pool_log_table(pool, b);
	pool_check_mode(pool);
}

static int collect(struct pool *pool, u64 block, u64 nr, struct places *p)
{
	int ret = 0;
	u64 b;

	/* who maps what is below a table has not lost it */
	for (b = block; b < block + nr && !ret; b++)
		if (use_of(pool, b) == DAXCOW_BLOCK_DATA)
			ret = places_add(pool, b, p);
	places_join(p);
	return ret;
}

/*
 * Tell the owners that are active and were not in @before, which becomes what it
 * is now. Returns 0 when there was nobody more, 1, or -ENOMEM.
 */
static int tell_owners(struct pool *pool, u64 block, u64 nr, int mf_flags,
		       struct places *before, bool *deaf)
{
	struct places now = { .nr = 0 };
	struct told *told;
	int ret;

	told = told_volumes(pool, &now.nr_told);
	if (!told)
		return -ENOMEM;
	now.told = told;
	ret = collect(pool, block, nr, &now);
	if (!ret) {
		ret = now.nr != before->nr ||
		      (now.nr && memcmp(now.at, before->at,
					now.nr * sizeof(*now.at)));
		if (ret)
			*deaf |= tell(&now, before, mf_flags);
	}
	told_free(told, now.nr_told);
	kvfree(before->at);
	*before = now;
	return ret;
}

/*
 * Blocks of a pool have failed. Returns 0, -ENOMEM: some may not know, or -EIO: the
 * same, and it is not known who.
 */
static int pool_failed(struct pool *pool, u64 block, u64 nr, int mf_flags)
{
	struct places before = { .nr = 0 };
	bool deaf = false, killed = true;
	int ret, tries = 0;
	u64 b;

	for (b = block; b < block + nr; b++)
		page_set_bad(pool, b);
	mark(pool, block, nr);
	do {
		ret = tell_owners(pool, block, nr, mf_flags, &before, &deaf);
	} while (ret > 0 && ++tries < 3);
	kvfree(before.at);
	for (b = block; b < block + nr && deaf; b++)
		killed &= kill_by_page(pool, b, mf_flags);
	if (!killed)
		DMWARN_LIMIT("%s: block %llu failed: what is above one of its volumes does not take memory failures, or is suspended; processes that map it are killed when they touch it",
			     dm_device_name(pool->md), block);
	pool_event(pool);
	if (ret < 0)
		return ret;
	return killed ? 0 : -EIO;
}

static int pool_failed_range(struct pool *pool, u64 first, u64 nr, int mf_flags)
{
	u64 end = min(first + nr, pool->nr_blocks);
	int ret = 0, err;

	while (first < end) {
		u64 n = min_t(u64, end - first, BATCH);

		err = pool_failed(pool, first, n, mf_flags);
		if (err)
			ret = err;
		first += n;
		cond_resched();
	}
	return ret;
}

/* ---- holder ---- */

/*
 * The next pool on @dax_dev after number @last, which stays until it is put, with its
 * engine and the segments.
 */
static struct pool *holder_next(struct dax_device *dax_dev, u64 last)
{
	struct pool *pool, *next = NULL;

	mutex_lock(&holders_lock);
	list_for_each_entry(pool, &holders, holder)
		if (pool->dax_dev == dax_dev && pool->listens && pool->nr > last &&
		    (!next || next->nr > pool->nr))
			next = pool;
	if (next)
		down_read(&next->failing);
	mutex_unlock(&holders_lock);
	return next;
}

/**
 * struct late - what failed while the pool was being loaded
 * @list:	in the pool's
 * @first:	its first block
 * @nr:		how many; some may be behind the pool's end
 */
struct late {
	struct list_head list;
	u64 first, nr;
};

/* The part of a failure that lies in a pool. */
static struct late part_of(const struct pool *pool, u64 offset, u64 len)
{
	u64 from = offset >> PAGE_SHIFT, nr;
	struct late part = { .nr = 0 };

	nr = DIV_ROUND_UP_ULL(min(len, U64_MAX - offset) +
			      offset_in_page(offset), PAGE_SIZE);
	if (from > pool->dax_pgoff) {
		part.first = from - pool->dax_pgoff;
		part.nr = nr;
	} else if (from + nr > pool->dax_pgoff) {
		part.nr = from + nr - pool->dax_pgoff;
	}
	return part;
}

/*
 * Those of a pool without an engine wait for pool_listen(). Nobody has pages of it, but
 * who has touched the memory may be what loads it. Returns 0, -EIO, -ENOMEM.
 */
static int keep_for_later(struct dax_device *dax_dev, u64 offset, u64 len)
{
	struct pool *pool;
	struct late part, *late;
	int ret = 0;

	mutex_lock(&holders_lock);
	list_for_each_entry(pool, &holders, holder) {
		if (pool->dax_dev != dax_dev || pool->listens)
			continue;
		part = part_of(pool, offset, len);
		if (!part.nr || part.first >= pool->nr_blocks)
			continue;
		ret = -EIO;
		late = kmalloc(sizeof(*late), GFP_KERNEL);
		if (!late) {
			ret = -ENOMEM;
			break;
		}
		DMWARN("%pg: memory fails while its pool is being loaded, or taken apart: %llu blocks from %llu on",
		       pool->bdev, part.nr, part.first);
		*late = part;
		list_add_tail(&late->list, &pool->late);
	}
	mutex_unlock(&holders_lock);
	return ret;
}

static int notify_failure(struct dax_device *dax_dev, u64 offset, u64 len,
			  int mf_flags)
{
	unsigned int noio = memalloc_noio_save();
	int ret = 0, err = 0;
	struct pool *pool;
	struct late part;
	u64 last = 0;

	if (!(mf_flags & MF_MEM_PRE_REMOVE))
		ret = keep_for_later(dax_dev, offset, len);
	while ((pool = holder_next(dax_dev, last))) {
		last = pool->nr;
		part = part_of(pool, offset, len);
		if (mf_flags & MF_MEM_PRE_REMOVE)
			tell_all(pool, mf_flags);
		else if (part.nr)
			err = pool_failed_range(pool, part.first, part.nr, mf_flags);
		if (err)
			ret = err;
		up_read(&pool->failing);
	}
	memalloc_noio_restore(noio);
	return ret;
}

/*
 * A file system above is about to free a block, or to give its file another one, and
 * somebody has a reference to the page. It need not wait for that if the page is not
 * its own alone: neither is the block used again before the reference is gone, nor
 * written in place by its last owner: who is left looks whether the page is busy before
 * he writes (I2), also when others leave after this. And a
 * reference for writing is to a page that is not shared, and is not going to be: a
 * snapshot gets a copy of it, and a merge leaves it alone.
 *
 * Called with locks of the file system held, as direct_access() is.
 */
bool pool_page_shared(struct dax_device *dax_dev, u64 offset)
{
	unsigned int noio = memalloc_noio_save();
	bool shared = false;
	struct pool *pool;
	u64 last = 0;

	while (!shared && (pool = holder_next(dax_dev, last))) {
		u64 block = (offset >> PAGE_SHIFT) - pool->dax_pgoff;

		last = pool->nr;
		/* what holes read; one that begins behind the page wraps around */
		shared = (block >= pool->zero_block &&
			  block - pool->zero_block < DAXCOW_CHUNK_BLOCKS) ||
			 daxcow_shared(pool->core, block);
		up_read(&pool->failing);
	}
	memalloc_noio_restore(noio);
	return shared;
}

static const struct dax_holder_operations holder_ops = {
	.notify_failure = notify_failure,
#ifdef DAXCOW_HOLDER_SHARED
	.shared = pool_page_shared,
#endif
};

static bool is_held(const struct dax_device *dax_dev)
{
	struct pool *pool;

	lockdep_assert_held(&holders_lock);
	list_for_each_entry(pool, &holders, holder)
		if (pool->dax_dev == dax_dev && pool->holds)
			return true;
	return false;
}

static void log_stacked(struct pool *pool)
{
	struct mapped_device *below = dm_get_md(pool->bdev->bd_dev);

	if (!below)
		return;
	DMINFO("%s: memory failures end at %pg: device-mapper does not hand them up, so only the first file to use a page is told",
	       dm_device_name(pool->md), pool->bdev);
	dm_put(below);
}

/**
 * pool_claim() - get the data device's dax device, and be told of its failures
 * @pool:	its bdev and dax_pgoff are set; sets dax_dev. What fails before
 *		pool_listen() is dealt with then
 *
 * Return: 0, -EOPNOTSUPP: there is none.
 */
int pool_claim(struct pool *pool)
{
	struct dax_device *dax_dev;
	u64 offset;

	dax_dev = fs_dax_get_by_bdev(pool->bdev, &offset, NULL, NULL);
	if (!dax_dev)
		return -EOPNOTSUPP;
	mutex_lock(&claim_lock);
	mutex_lock(&holders_lock);
	pool->dax_dev = dax_dev;
	/* not tried when it must fail: it would leave a reference behind */
	if (!is_held(dax_dev))
		pool->holds = fs_dax_get_by_bdev(pool->bdev, &offset, &holder,
						 &holder_ops);
	if (pool->holds)
		put_dax(dax_dev);
	else if (!is_held(dax_dev))
		DMWARN("%s: %pg has another holder: memory failures are not reported",
		       dm_device_name(pool->md), pool->bdev);
	list_add(&pool->holder, &holders);
	mutex_unlock(&holders_lock);
	mutex_unlock(&claim_lock);
	log_stacked(pool);
	return 0;
}

/* Another pool in a partition of the same device is told from now on. */
static void holder_pass_on(struct pool *pool)
{
	struct pool *other;
	u64 offset;

	list_for_each_entry(other, &holders, holder) {
		if (other->dax_dev != pool->dax_dev)
			continue;
		other->holds = fs_dax_get_by_bdev(other->bdev, &offset, &holder,
						  &holder_ops);
		if (other->holds)
			put_dax(other->dax_dev);
		return;
	}
}

/**
 * pool_listen() - a pool that has been loaded takes memory failures
 * @pool:	the pool; nobody uses it yet
 */
void pool_listen(struct pool *pool)
{
	struct late *late, *next;
	LIST_HEAD(list);

	mutex_lock(&holders_lock);
	pool->listens = true;
	list_splice_init(&pool->late, &list);
	mutex_unlock(&holders_lock);
	list_for_each_entry_safe(late, next, &list, list) {
		pool_failed_range(pool, late->first, late->nr, 0);
		kfree(late);
	}
}

/**
 * pool_deafen() - a pool is going to be without an engine
 * @pool:	the pool; whether it listened or not
 *
 * Context: waits for those who are telling it.
 */
void pool_deafen(struct pool *pool)
{
	mutex_lock(&holders_lock);
	pool->listens = false;
	mutex_unlock(&holders_lock);
	down_write(&pool->failing);
	up_write(&pool->failing);
}

void pool_unclaim(struct pool *pool)
{
	struct late *late, *next;

	if (!pool->dax_dev)
		return;
	mutex_lock(&claim_lock);
	mutex_lock(&holders_lock);
	list_del(&pool->holder);
	mutex_unlock(&holders_lock);
	list_for_each_entry_safe(late, next, &pool->late, list)
		kfree(late);
	if (pool->holds) {
		/* waits for notify_failure(), which takes the lock */
		fs_put_dax(pool->dax_dev, &holder);
		mutex_lock(&holders_lock);
		holder_pass_on(pool);
		mutex_unlock(&holders_lock);
	} else {
		put_dax(pool->dax_dev);
	}
	mutex_unlock(&claim_lock);
}

/* ---- what the device knows by itself ---- */

/* The first block from @block on that the device calls bad, or @end. */
static u64 device_next_bad(struct pool *pool, u64 block, u64 end)
{
	u64 step = end - block;
	long n;
	int id;

	id = dax_read_lock();
	while (block < end) {
		n = dax_direct_access(pool->dax_dev, pool->dax_pgoff + block,
				      step, DAX_ACCESS, NULL, NULL);
		if (n > 0) {
			block += min_t(u64, n, step);
			step = end - block;
		} else if (n != -EHWPOISON && n != -EIO) {
			/* nothing can be asked of one that is being removed */
			block = end;
		} else if (step > 1) {
			step /= 2;
		} else {
			break;
		}
	}
	dax_read_unlock(id);
	return block;
}

/**
 * pool_device_bad() - what the device calls bad, for load
 * @pool:	with its dax_dev and nr_blocks
 * @host:	gets the list, which is to be freed with vfree()
 *
 * Return: 0 or -ENOMEM.
 */
int pool_device_bad(struct pool *pool, struct daxcow_host *host)
{
	u64 *list = NULL, *more, block = 0;
	size_t nr = 0, room = 0;

	while ((block = device_next_bad(pool, block, pool->nr_blocks)) <
	       pool->nr_blocks) {
		if (nr == room) {
			room = room ? room * 2 : 64;
			more = vcalloc(room, sizeof(*more));
			if (!more) {
				vfree(list);
				return -ENOMEM;
			}
			if (nr)
				memcpy(more, list, nr * sizeof(*list));
			vfree(list);
			list = more;
		}
		list[nr++] = block++;
	}
	if (nr)
		DMWARN("%s: %zu blocks of %pg are bad", dm_device_name(pool->md),
		       nr, pool->bdev);
	host->bad = list;
	host->nr_bad = nr;
	return 0;
}

static void look_for_new(struct pool *pool)
{
	u64 block = 0, end = READ_ONCE(pool->nr_blocks);

	while ((block = device_next_bad(pool, block, end)) < end) {
		if (daxcow_bad_find(pool->core, block, 1)) {
			DMWARN("%s: %pg says that block %llu is bad",
			       dm_device_name(pool->md), pool->bdev, block);
			mark(pool, block, 1);
			pool_event(pool);
		}
		block++;
		cond_resched();
	}
}

static void look_for_good(struct pool *pool)
{
	u64 block = 0, end = READ_ONCE(pool->nr_blocks);

	while ((block += daxcow_bad_find(pool->core, block, end - block)) < end) {
		if (!page_is_bad(pool, block) &&
		    device_next_bad(pool, block, block + 1) != block &&
		    !daxcow_bad_clear(pool->core, block)) {
			DMINFO("%s: block %llu is good again",
			       dm_device_name(pool->md), block);
			pool_wake(pool);
		}
		block++;
	}
}

static void do_look(struct work_struct *ws)
{
	struct pool *pool = container_of(to_delayed_work(ws), struct pool, look);
	unsigned int noio = memalloc_noio_save();

	look_for_new(pool);
	look_for_good(pool);
	memalloc_noio_restore(noio);
	queue_delayed_work(pool->wq, &pool->look, LOOK_INTERVAL);
}

void pool_look_init(struct pool *pool)
{
	INIT_DEFERRABLE_WORK(&pool->look, do_look);
	init_rwsem(&pool->failing);
	INIT_LIST_HEAD(&pool->late);
}

void pool_look_begin(struct pool *pool)
{
	queue_delayed_work(pool->wq, &pool->look, LOOK_INTERVAL);
}

/* ---- questions ---- */

struct bad_of {
	u32 volume;
	bool found;
};

static int is_of(void *arg, const struct daxcow_owner *o)
{
	struct bad_of *b = arg;

	b->found = o->volume == b->volume;
	return b->found;
}

static void not_yet(void *arg)
{
	struct bad_of *b = arg;

	b->found = false;
}

/* How many of a volume's blocks are bad, or cannot be found: the tables count. */
u64 pool_count_bad(struct pool *pool, u32 volume)
{
	u64 block = 0, end = READ_ONCE(pool->nr_blocks), nr = 0;

	while ((block += daxcow_bad_find(pool->core, block, end - block)) < end) {
		struct bad_of b = { .volume = volume };

		daxcow_owners(pool->core, block++, NULL, is_of, not_yet, &b);
		nr += b.found;
	}
	return nr;
}
