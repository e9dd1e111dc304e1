// SPDX-License-Identifier: GPL-2.0
/*
 * Write access that was handed out through DAX, and whether it has ended.
 *
 * Before a block is shared by a snapshot nobody may be able to write to it without
 * asking again (I1). Who was given write access to a page has it by an address, for
 * as long as the dax_read_lock() section lasts in which it was given, or by a page
 * table entry, for as long as the DAX entry of a file stands behind that. So:
 *
 *   1. Each grant is noted, by chunk of the volume, before it is given, and counted.
 *   2. Who wants to share begins an epoch and remembers the count.
 *   3. Chunks that were granted to a file system on the volume's own device are
 *      that file system's business: it has been frozen through the device, which
 *      waits for writers and takes write permission from all page tables, or it has
 *      been unmounted, and has no files any more. But a freeze does not do so on a
 *      file system that is read-only, which it may have become under its writers
 *      (an emergency remount), nor does writeback on one that was shut down, by an
 *      error say. So the pages are looked at all the same: a page table entry that
 *      lets somebody write stands behind a DAX entry that is dirty.
 *      A page that several files have does not name its entries: those of a file
 *      system that is read-only are looked for in all its files.
 *   4. Other chunks were granted to a file system on another device above, which
 *      is not to be found from here. It may not even be on a device any more that
 *      leads here ("dmsetup remove --force"), and still have processes that write
 *      through their page tables. There the pages tell. After a grace period nobody
 *      has an address, and who has a page table entry is named by its page: no file
 *      has none, and a file's is write protected when its entry is clean, and stays so
 *      when its file system is frozen. What is said of one page is no answer for
 *      another, and a page that several files have gives none; only for blocks that
 *      are shared already does it not matter, as nobody can write to them.
 *   5. Blocks are shared under the engine's lock, if the count is what it was in 2.
 *      Who is given write access takes that lock after it was counted, or looks
 *      without it, and then sees that it is held, or is seen to have counted
 *      (daxcow_provision()). So it was given before 2, and 3 and 4 have seen it; or it is seen in 5; or it is given
 *      after that, to a block that is shared, which moves then.
 *   6. What was noted before 2 is forgotten. A note that comes late, with the epoch of
 *      before, is made again by who makes it, as the epoch is looked at once more after
 *      it was counted.
 *
 * Pages that something outside has a reference to (direct I/O into a mapping, RDMA)
 * may be written to by DMA whatever page tables say. They are collected on the way: the
 * snapshot gets copies, and their notes are made anew.
 *
 * The notes are kept by the volume's id, until it is deleted. When the volume is not
 * active any more 3 is over, but 4 is not, and neither is DMA: a process that has it
 * under way can unmap the file, which can be unmounted then. A pool that is started
 * again has no notes, so some are made of the pages that something holds.
 */
#include <linux/fs.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>

#include "target.h"

/* A chunk that others than the file system on the volume's device were given. */
#define GRANT_OTHER	XA_MARK_0
/* The same, in @all of struct grants. */
#define ALL_OTHER	1UL
#define ALL_SHIFT	1

/**
 * grants_get() - the notes of a volume that becomes active
 * @pool:	the pool
 * @id:		of the volume
 *
 * Context: under volumes_lock. Return: those that are there, or new ones; NULL: no
 * memory.
 */
struct grants *grants_get(struct pool *pool, u32 id)
{
	struct grants *g = xa_load(&pool->grants, id);

	lockdep_assert_held(&pool->volumes_lock);
	if (g)
		return g;
	g = kzalloc(sizeof(*g), GFP_KERNEL);
	if (!g)
		return NULL;
	xa_init(&g->regions);
	atomic_long_set(&g->epoch, 1);
	if (xa_err(xa_store(&pool->grants, id, g, GFP_KERNEL))) {
		kfree(g);
		return NULL;
	}
	return g;
}

static bool has_other(const struct grants *g)
{
	return READ_ONCE(g->all) & ALL_OTHER || xa_marked(&g->regions, GRANT_OTHER);
}

/* They belong to a volume that is not active, and is deleted or has new content. */
void grants_forget(struct pool *pool, u32 id)
{
	struct grants *g = xa_erase(&pool->grants, id);

	lockdep_assert_held(&pool->volumes_lock);
	if (!g)
		return;
	xa_destroy(&g->regions);
	/* a snapshot may be looking, see grants_unchanged() */
	kfree_rcu(g, rcu);
}

void grants_exit(struct pool *pool)
{
	struct grants *g;
	unsigned long id;

	xa_for_each(&pool->grants, id, g) {
		xa_destroy(&g->regions);
		kfree(g);
	}
	xa_destroy(&pool->grants);
}

static void note_all(struct grants *g, unsigned long epoch, bool other)
{
	unsigned long old = READ_ONCE(g->all), new;

	do {
		new = max(old >> ALL_SHIFT, epoch) << ALL_SHIFT |
		      (old & ALL_OTHER) | (other ? ALL_OTHER : 0);
	} while (!try_cmpxchg(&g->all, &old, new));
}

static void note_region(struct grants *g, unsigned long region,
			unsigned long epoch, bool other)
{
	void *seen, *old = xa_load(&g->regions, region);

	/* a later epoch stays: it is somebody's whom a snapshot has not seen yet */
	while (!old || xa_to_value(old) < epoch) {
		seen = xa_cmpxchg(&g->regions, region, old, xa_mk_value(epoch),
				  GFP_NOIO | __GFP_NOWARN);
		if (xa_err(seen)) {
			note_all(g, epoch, other);
			return;
		}
		if (seen == old)
			break;
		old = seen;
	}
	if (other && !xa_get_mark(&g->regions, region, GRANT_OTHER))
		xa_set_mark(&g->regions, region, GRANT_OTHER);
}

/*
 * Who asks is the one who holds the device, or above that. That does not change while
 * it asks: a file system that gives the device up has no users any more, and neither
 * has a table of device mapper.
 */
static bool is_own(const struct volume *vol)
{
	return READ_ONCE(dm_disk(vol->md)->part0->bd_holder_ops) == &fs_holder_ops;
}

/**
 * grants_note() - write access is going to be handed out
 * @vol:	the volume
 * @vblk:	first block
 * @nr:		number of blocks
 *
 * Without memory for the note it is one about the whole volume.
 *
 * Context: dax_read_lock(); before the engine is asked. Does no I/O.
 */
void grants_note(struct volume *vol, u64 vblk, u64 nr)
{
	u64 first = vblk / DAXCOW_CHUNK_BLOCKS;
	u64 last = (vblk + nr - 1) / DAXCOW_CHUNK_BLOCKS, r;
	struct grants *g = vol->grants;
	bool other = !is_own(vol);
	long epoch;

	do {
		epoch = atomic_long_read(&g->epoch);
		for (r = first; r <= last; r++)
			note_region(g, r, epoch, other);
		atomic_long_inc(&g->count);
		/* pairs with the one in grants_begin() */
		smp_mb__after_atomic();
	} while (atomic_long_read(&g->epoch) != epoch);
}

/**
 * grants_note_held() - something has held a page since before the pool was started
 * @pool:	the pool
 * @id:		of the volume that the page is in
 * @vblk:	where
 *
 * Return: 0 or -ENOMEM.
 */
int grants_note_held(struct pool *pool, u32 id, u64 vblk)
{
	struct grants *g;

	mutex_lock(&pool->volumes_lock);
	g = grants_get(pool, id);
	if (g)
		note_region(g, vblk / DAXCOW_CHUNK_BLOCKS,
			    atomic_long_read(&g->epoch), false);
	mutex_unlock(&pool->volumes_lock);
	return g ? 0 : -ENOMEM;
}

/* Step 2. */
static void grants_begin(struct grants_look *l)
{
	l->epoch = atomic_long_inc_return(&l->grants->epoch) - 1;
	smp_mb__after_atomic();
	l->count = atomic_long_read(&l->grants->count);
}

typedef int (*page_fn)(struct grants_look *l, u64 vblk, u64 block);

/* Call @fn for all mapped blocks of a range, until it returns something. */
static int range_each(struct grants_look *l, u64 vblk, u64 nr, page_fn fn)
{
	u64 block, end = vblk + nr;
	long n, i;
	int idx, ret = 0;

	while (vblk < end && !ret) {
		idx = srcu_read_lock(&l->pool->srcu);
		n = daxcow_lookup(l->core, vblk, end - vblk, &block);
		if (n < 0)
			ret = n;
		for (i = 0; i < n && block != DAXCOW_HOLE && !ret; i++)
			ret = fn(l, vblk + i, block + i);
		srcu_read_unlock(&l->pool->srcu, idx);
		vblk += max(n, 1L);
		cond_resched();
	}
	return ret;
}

static int region_each(struct grants_look *l, unsigned long region, page_fn fn)
{
	return range_each(l, (u64)region * DAXCOW_CHUNK_BLOCKS,
			  DAXCOW_CHUNK_BLOCKS, fn);
}

bool sb_is_frozen(const struct super_block *sb)
{
	return READ_ONCE(sb->s_writers.frozen) == SB_FREEZE_COMPLETE;
}

/*
 * Step 4, after the grace period: whether nobody can write to the page, if @frozen is
 * what is known of the file system of several files that have it. Inode and super block
 * are freed by RCU.
 */
static bool page_is_quiet(struct pool *pool, u64 block, bool frozen)
{
	struct page *page = pfn_t_to_page(pool_pfn(pool, block));
	struct address_space *mapping;

	rcu_read_lock();
	mapping = READ_ONCE(page->mapping);
	if (mapping && !((unsigned long)mapping & PAGE_MAPPING_FLAGS))
		frozen |= sb_is_frozen(mapping->host->i_sb);
	rcu_read_unlock();
	return !mapping || (frozen && !pool_block_hot(pool, block, 1)) ||
	       !daxcow_exclusive(pool->core, block, 1);
}

static int page_quiet(struct grants_look *l, u64 vblk, u64 block)
{
	return page_is_quiet(l->pool, block, false) ? 0 : -EBUSY;
}

static int others_quiet(struct grants_look *l)
{
	struct grants *g = l->grants;
	unsigned long region;
	void *entry;
	int ret = 0;

	if (!has_other(g))
		return 0;
	if (READ_ONCE(g->all) & ALL_OTHER)
		return range_each(l, 0, DAXCOW_MAX_VOLUME_BLOCKS, page_quiet);
	xa_for_each_marked(&g->regions, region, entry, GRANT_OTHER) {
		ret = region_each(l, region, page_quiet);
		if (ret)
			break;
	}
	return ret;
}

/* Step 3, and what is pinned. */
static int page_own(struct grants_look *l, u64 vblk, u64 block)
{
	if (!page_is_quiet(l->pool, block, l->frozen))
		return -ETXTBSY;
	if (!pool_block_busy(l->pool, block, 1))
		return 0;
	if (l->nr_pinned == l->cap_pinned) {
		size_t cap = max_t(size_t, 64, l->cap_pinned * 2);
		u64 *more = kvcalloc(cap, sizeof(*more), GFP_KERNEL);

		if (!more)
			return -ENOMEM;
		if (l->nr_pinned)
			memcpy(more, l->pinned, l->nr_pinned * sizeof(*more));
		kvfree(l->pinned);
		l->pinned = more;
		l->cap_pinned = cap;
	}
	l->pinned[l->nr_pinned++] = vblk;
	return 0;
}

static int own_quiet(struct grants_look *l)
{
	struct grants *g = l->grants;
	unsigned long region;
	void *entry;
	int ret = 0;

	if (READ_ONCE(g->all))
		return range_each(l, 0, DAXCOW_MAX_VOLUME_BLOCKS, page_own);
	xa_for_each(&g->regions, region, entry) {
		ret = region_each(l, region, page_own);
		if (ret)
			break;
	}
	return ret;
}

/**
 * grants_look() - whether nobody can write to a volume but by asking again
 * @l:		with pool, core, grants, frozen and read_only; its pinned are set, to be
 *		freed with kvfree(). It may look again
 *
 * Context: sleeps for a grace period; not in a read section, no lock of the engine.
 * Return: 0; -EBUSY: somebody above another device may be able to; -ETXTBSY: somebody
 * through the file system on the volume's device; -ENOMEM, -EUCLEAN, -EIO.
 */
int grants_look(struct grants_look *l)
{
	int ret;

	l->nr_pinned = 0;
	grants_begin(l);
	/* a freeze has waited for all of its own */
	if (!l->frozen || has_other(l->grants))
		pool_grace_period(l->pool);
	if (l->read_only)
		l->frozen = bdev_files_quiet(l->read_only);
	ret = others_quiet(l);
	return ret ? ret : own_quiet(l);
}

/**
 * grants_unchanged() - whether nobody has asked since grants_look()
 * @l:		the look; a volume without grants at that time has no @grants
 * @id:		of the volume
 *
 * Context: under the engine's lock.
 */
bool grants_unchanged(const struct grants_look *l, u32 id)
{
	struct grants *g;
	bool same;

	rcu_read_lock();
	g = xa_load(&l->pool->grants, id);
	same = g == l->grants && (!g || atomic_long_read(&g->count) == l->count);
	rcu_read_unlock();
	return same;
}

/**
 * grants_drop() - who wants to write has to ask from now on
 * @l:		the look
 *
 * DMA that is under way does not ask, so what is pinned is noted again.
 */
void grants_drop(const struct grants_look *l)
{
	struct grants *g = l->grants;
	unsigned long region, all = READ_ONCE(g->all);
	void *entry;
	size_t i;

	if (all && all >> ALL_SHIFT <= l->epoch)
		cmpxchg(&g->all, all, 0);
	xa_for_each(&g->regions, region, entry)
		if (xa_to_value(entry) <= l->epoch)
			xa_cmpxchg(&g->regions, region, entry, NULL, 0);
	for (i = 0; i < l->nr_pinned; i++)
		note_region(g, l->pinned[i] / DAXCOW_CHUNK_BLOCKS,
			    atomic_long_read(&g->epoch), false);
}
