// SPDX-License-Identifier: GPL-2.0
/*
 * Snapshots of volumes that are in use.
 *
 * A snapshot shares all blocks of its origin, so at that moment nobody may
 * have write access to one of them (I1). Bios are no concern: each block is
 * written under the engine's lock. What was handed out through DAX is: page
 * table entries, and addresses that a write(2) is copying to.
 *
 *   1. The origin's file system is frozen through its block device. That
 *      waits for write(2) and for write faults under way, and writes back
 *      all dirty DAX entries, which takes write permission from all page
 *      tables. Freezes nest, so a user's own dmsetup suspend or xfs_freeze
 *      does no harm; and whatever happens here, it is thawed again.
 *   2. The file system may sit on another dm device above the volume. Then 1
 *      does not reach it. Its pages tell: a page with a write grant belongs
 *      to a mapping, the mapping to a super block, and that must be frozen
 *      (the user suspends the upper device). When nothing can be told the
 *      snapshot is refused.
 *   3. Pages that DMA is writing to (direct I/O into a mapping, started
 *      before the freeze) are found by their reference count among the pages
 *      granted since the last snapshot. The snapshot gets copies of them, the
 *      origin keeps the pages.
 *   4. The snapshot is one store. Then, still frozen, the notes of grants
 *      are dropped: whoever wants to write has to ask again. DMA that is
 *      under way does not ask, so its notes stay for the next snapshot.
 *
 * Somebody with the right to could thaw the file system in between (FITHAW
 * takes any freeze back). So 2 is looked at again afterwards, and a snapshot
 * that may have seen a write is deleted.
 *
 * The message goes to the pool: a message to the volume would hold what its
 * suspend waits for. pools_lock is held from end to end, so that no volume
 * becomes active meanwhile; the freeze writes to the volume, which needs the
 * engine's lock and no other. But in a full pool it waits for space, and the pool
 * cannot grow as long as a message is under way. So there are no snapshots of a
 * full pool.
 */
#include <linux/fs.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>
#include <linux/sort.h>

#include "target.h"

/**
 * struct origin - a volume while a snapshot of it is taken
 * @vol:	the volume; NULL when it is not active
 * @bdev:	of the active volume
 * @frozen:	bdev_freeze() was done
 * @seen_frozen: a page's file system, above another device, was found frozen
 * @pinned:	vblks of pages that something outside holds
 * @nr_pinned:	their number
 * @cap_pinned:	room for them
 */
struct origin {
	struct volume *vol;
	struct block_device *bdev;
	bool frozen;
	bool seen_frozen;
	u64 *pinned;
	size_t nr_pinned, cap_pinned;
};

/*
 * Note that write access was handed out. A snapshot looks there for pages that
 * DMA is writing to. Without memory for the note it looks everywhere.
 */
void volume_note_grant(struct volume *vol, u64 vblk, u64 nr)
{
	u64 r = vblk / DAXCOW_CHUNK_BLOCKS;
	u64 last = (vblk + nr - 1) / DAXCOW_CHUNK_BLOCKS;

	for (; r <= last; r++) {
		if (xa_load(&vol->granted, r))
			continue;
		if (xa_err(xa_store(&vol->granted, r, xa_mk_value(1),
				    GFP_NOIO | __GFP_NOWARN)))
			WRITE_ONCE(vol->granted_all, true);
	}
}

static bool has_grants(struct volume *vol)
{
	return READ_ONCE(vol->granted_all) || !xa_empty(&vol->granted);
}

/* The super block on the volume's own device, when there is one. */
static struct super_block *own_super(struct block_device *bdev)
{
	struct super_block *sb = NULL;

	mutex_lock(&bdev->bd_holder_lock);
	if (bdev->bd_holder_ops == &fs_holder_ops)
		sb = bdev->bd_holder;
	mutex_unlock(&bdev->bd_holder_lock);
	return sb;
}

/* Only compared with a constant; the super block is held by the freeze. */
static bool sb_frozen(const struct super_block *sb)
{
	return READ_ONCE(sb->s_writers.frozen) == SB_FREEZE_COMPLETE;
}

/*
 * Whether a page's file system is frozen: 1 yes, 0 no, -1 the page does not
 * tell. Inode and super block are freed by RCU.
 */
static int page_frozen(struct page *page)
{
	struct address_space *mapping;
	int ret = -1;

	rcu_read_lock();
	mapping = READ_ONCE(page->mapping);
	if (mapping && !((unsigned long)mapping & PAGE_MAPPING_FLAGS) &&
	    mapping->host)
		ret = sb_frozen(mapping->host->i_sb);
	rcu_read_unlock();
	return ret;
}

typedef int (*grant_fn)(struct origin *o, u64 vblk, u64 block);

/* Call @fn for all mapped blocks of a region. Returns what it returned. */
static int region_each(struct origin *o, u64 vblk, u64 nr, grant_fn fn)
{
	u64 block, end = vblk + nr;
	long n, i;
	int idx, ret = 0;

	idx = srcu_read_lock(&o->vol->pool->srcu);
	while (vblk < end && !ret) {
		n = daxcow_lookup(o->vol->core, vblk, end - vblk, &block);
		if (n < 0)
			ret = n;
		for (i = 0; i < n && block != DAXCOW_HOLE && !ret; i++)
			ret = fn(o, vblk + i, block + i);
		vblk += max(n, 1L);
		cond_resched();
	}
	srcu_read_unlock(&o->vol->pool->srcu, idx);
	return ret;
}

static int grants_each(struct origin *o, grant_fn fn)
{
	unsigned long region;
	void *entry;
	int ret;

	if (READ_ONCE(o->vol->granted_all))
		return region_each(o, 0, DAXCOW_MAX_VOLUME_BLOCKS, fn);
	xa_for_each(&o->vol->granted, region, entry) {
		ret = region_each(o, (u64)region * DAXCOW_CHUNK_BLOCKS,
				  DAXCOW_CHUNK_BLOCKS, fn);
		if (ret)
			return ret;
	}
	return 0;
}

static int grant_frozen(struct origin *o, u64 vblk, u64 block)
{
	int frozen = page_frozen(pfn_t_to_page(pool_pfn(o->vol->pool, block)));

	if (frozen > 0)
		o->seen_frozen = true;
	return frozen ? 0 : -EBUSY;
}

/* 0 when nobody can write to what the origin has mapped, else -EBUSY. */
static int check_quiet(struct origin *o)
{
	struct super_block *sb = own_super(o->bdev);
	int ret;

	if (sb)
		return sb_frozen(sb) ? 0 : -EBUSY;
	/* with nothing on it, what was granted has ended */
	if (!has_grants(o->vol) || !READ_ONCE(o->bdev->bd_holder))
		return 0;
	o->seen_frozen = false;
	ret = grants_each(o, grant_frozen);
	if (!ret && !o->seen_frozen)
		ret = -EBUSY;
	return ret;
}

static int grant_pinned(struct origin *o, u64 vblk, u64 block)
{
	if (!pool_block_busy(o->vol->pool, block, 1))
		return 0;
	if (o->nr_pinned == o->cap_pinned) {
		size_t cap = max_t(size_t, 64, o->cap_pinned * 2);
		u64 *more = kvcalloc(cap, sizeof(*more), GFP_KERNEL);

		if (!more)
			return -ENOMEM;
		if (o->nr_pinned)
			memcpy(more, o->pinned, o->nr_pinned * sizeof(*more));
		kvfree(o->pinned);
		o->pinned = more;
		o->cap_pinned = cap;
	}
	o->pinned[o->nr_pinned++] = vblk;
	return 0;
}

static int origin_freeze(struct origin *o)
{
	int ret;

	if (volume_is_orphan(o->vol)) {
		DMERR("%s: snapshot refused: volume %u is still in use by what was on its device when that was removed by force: unmount it",
		      dm_device_name(o->vol->pool->md), o->vol->id);
		return -EBUSY;
	}
	o->bdev = dm_disk(o->vol->md)->part0;
	ret = bdev_freeze(o->bdev);
	if (ret) {
		DMERR("%s: cannot freeze: %d", dm_device_name(o->vol->md), ret);
		return ret;
	}
	o->frozen = true;
	ret = check_quiet(o);
	if (ret) {
		DMERR("%s: snapshot refused: the file system above is not frozen and could write to it. It is on another device-mapper device: suspend that one (dmsetup suspend), or unmount it.",
		      dm_device_name(o->vol->md));
		return ret;
	}
	return grants_each(o, grant_pinned);
}

static void origin_thaw(struct origin *o)
{
	if (o->frozen)
		bdev_thaw(o->bdev);
	kvfree(o->pinned);
}

static void drop_grants(struct origin *o)
{
	size_t i;

	WRITE_ONCE(o->vol->granted_all, false);
	xa_destroy(&o->vol->granted);
	for (i = 0; i < o->nr_pinned; i++)
		volume_note_grant(o->vol, o->pinned[i], 1);
}

/* All are frozen. Take the snapshots, then see that they stayed frozen. */
static int snapshot_frozen(struct pool *pool, struct origin *o,
			   struct daxcow_volume_desc *d, unsigned int nr)
{
	unsigned int i, noio;
	int ret;

	for (i = 0; i < nr; i++) {
		d[i].pinned = o[i].pinned;
		d[i].nr_pinned = o[i].nr_pinned;
	}
	noio = memalloc_noio_save();
	ret = daxcow_snapshot(pool->core, d, nr);
	memalloc_noio_restore(noio);
	if (ret)
		return ret;
	for (i = 0; i < nr && !ret; i++)
		if (o[i].vol)
			ret = check_quiet(&o[i]);
	if (ret) {
		DMERR("%s: thawed while a snapshot was taken; it was deleted",
		      dm_device_name(pool->md));
		for (i = 0; i < nr; i++)
			daxcow_delete(pool->core, d[i].id);
		return ret;
	}
	for (i = 0; i < nr; i++)
		if (o[i].vol)
			drop_grants(&o[i]);
	return 0;
}

static bool seen_before(const struct origin *o, unsigned int nr,
			const struct volume *vol)
{
	while (nr-- > 0)
		if (o[nr].vol == vol)
			return true;
	return false;
}

/**
 * pool_snapshot() - snapshots of one or more volumes at one point in time
 * @pool:	the pool
 * @d:		the snapshots; their pinned blocks are filled in here
 * @nr:		number of snapshots
 *
 * Context: may sleep for as long as the file systems take to freeze.
 * Return: 0, -EBUSY when a file system cannot be kept from writing, -ENOSPC, or
 * what daxcow_snapshot() and bdev_freeze() return.
 */
int pool_snapshot(struct pool *pool, struct daxcow_volume_desc *d,
		  unsigned int nr)
{
	struct origin *o;
	unsigned int i;
	int ret = 0;

	if (READ_ONCE(pool->mode) == POOL_OUT_OF_SPACE)
		return -ENOSPC;
	o = kvcalloc(nr, sizeof(*o), GFP_KERNEL);
	if (!o)
		return -ENOMEM;
	mutex_lock(&pools_lock);
	volumes_release_orphans();
	for (i = 0; i < nr && !ret; i++) {
		struct volume *vol = volume_find(pool, d[i].origin);

		/* two snapshots of one origin: its first place does the work */
		if (!vol || seen_before(o, i, vol))
			continue;
		o[i].vol = vol;
		ret = origin_freeze(&o[i]);
	}
	if (!ret)
		ret = snapshot_frozen(pool, o, d, nr);
	for (i = nr; i-- > 0;)
		origin_thaw(&o[i]);
	mutex_unlock(&pools_lock);
	kvfree(o);
	return ret;
}
