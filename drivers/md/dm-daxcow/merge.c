// SPDX-License-Identifier: GPL-2.0
/*
 * Merging blocks that are in use.
 *
 * User space says which blocks it found equal. The engine can give all owners of
 * one the other (core/merge.c), when nobody writes to either from before they are
 * compared until then. For a batch of pairs:
 *
 *   1. What can be told beforehand is: pairs that are stale, in different domains
 *      and so on are answered. Write access to blocks that are hot is taken back
 *      when the caller wants that: their files are written back.
 *   2. A generation begins, and one grace period is waited for. Who was given
 *      write access before has ended then: write(2), and faults, whose page table
 *      entry stands and whose DAX entry is dirty. Who is given it from now on raises
 *      the generation of the block, and the engine sees that at the end.
 *   3. For each pair:
 *      a. The files that have the pages are found by page->mapping. With their
 *         invalidate_locks held it is seen that no entry is dirty, that is, no
 *         page table entry allows to write, and that nobody has a reference to
 *         the page, which DMA could write by.
 *      b. The bytes are compared, with no lock held.
 *      c. With the locks held again, the engine is asked to merge, and the entries
 *         for what was dropped are taken out of the files. The next fault finds
 *         the block that was kept.
 *
 * Why a needs the invalidate_lock: a MAP_SYNC fault asks for write access, has the
 * file system commit what it has, and puts up the page table entry after that.
 * The grace period does not cover it, as it is no read section in between, and the
 * DAX entry is clean. But it holds the invalidate_lock from one end to the other. So
 * at a there is none; one that comes later asks after 2. The lock is only tried:
 * who holds it for long has a reason.
 *
 * Why c needs it: a fault that was told of the dropped block before it was merged
 * must not put it up again after its entry was taken out. When the page had no
 * file at that time a fault can bring one: it shows the right bytes, read-only,
 * until somebody asks for write access, and is taken out after the grace period of
 * the next batch (left).
 *
 * A block that is shared already is written by nobody (I1), whoever has it mapped,
 * nor is one that has become its owner's alone and was not written since: it can
 * always be kept. But its page names no file when several have it, so it can be
 * dropped only when none or one has. A page that two files of one file system share
 * (reflink) can be neither: one of them may be about to become the only one.
 *
 * A writer waits for an invalidate_lock as long as it takes to publish one pair, and
 * for no compare. Of the locks of a file system only its s_umount is held, for
 * reading, while it is asked to write back: for as long as one of its files is held.
 */
#include <linux/delay.h>
#include <linux/fs.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>

#include "platform.h"
#include <daxcow/pmem.h>
#include "target.h"

/* For the lock of a file. */
#define LOCK_TRIES	50
/* Files that the pages of a chunk may be of; with more it is left alone. */
#define FILES_MAX	16

/**
 * struct files - those that have pages of a pair
 * @inode:	held
 * @nr:		their number
 */
struct files {
	struct inode *inode[FILES_MAX];
	unsigned int nr;
};

/**
 * struct batch - pairs, while they are merged
 * @pool:	of all of them
 * @a:		a page to compare in
 * @b:		another one
 * @gen:	the generation that began for it
 * @rest:	blocks that may still be made to rest
 * @left:	what was dropped
 * @nr_left:	blocks of that
 */
struct batch {
	struct pool *pool;
	void *a, *b;
	u32 gen;
	u32 rest;
	u64 *left;
	size_t nr_left;
};

static bool is_zero(const struct daxcow_merge_pair *p)
{
	return p->keep == DAXCOW_MERGE_ZERO;
}

/* What the engine said, for user space; or an error of the whole call. */
static int status_of(int ret)
{
	switch (ret) {
	case 0:
		return DAXCOW_MERGE_MERGED;
	case -EALREADY:
		return DAXCOW_MERGE_SAME;
	case -ESTALE:
		return DAXCOW_MERGE_STALE;
	case -EBUSY:
		return DAXCOW_MERGE_PINNED;
	case -EMLINK:
		return DAXCOW_MERGE_CAP;
	case -EIO:
		return DAXCOW_MERGE_BAD;
	case -EXDEV:
		return DAXCOW_MERGE_DOMAIN;
	case -EFBIG:
		return DAXCOW_MERGE_HUGE;
	case -ENOMEM:
	case -ENOSPC:
		return DAXCOW_MERGE_NO_MEMORY;
	default:
		return ret;
	}
}

static struct daxcow_merge merge_of(const struct daxcow_merge_pair *p, u32 gen)
{
	return (struct daxcow_merge) {
		.keep = is_zero(p) ? DAXCOW_KEEP_ZERO : p->keep,
		.drop = p->drop,
		.nr = p->nr,
		.before = min(p->generation, gen),
		.split = p->flags & DAXCOW_PAIR_SPLIT,
	};
}

/* ---- files ---- */

static bool files_have(const struct files *f, const struct address_space *mapping)
{
	unsigned int i;

	for (i = 0; i < f->nr; i++)
		if (f->inode[i]->i_mapping == mapping)
			return true;
	return false;
}

static void files_put(struct files *f)
{
	while (f->nr)
		pool_file_put(f->inode[--f->nr]);
}

static struct page *block_page(struct pool *pool, u64 block)
{
	return pfn_t_to_page(pool_pfn(pool, block));
}

/* Returns 0, -EBUSY when it cannot be told who has a page, or -EAGAIN. */
static int files_add(struct files *f, struct pool *pool, u64 block, u64 nr)
{
	struct inode *inode;
	pgoff_t index;
	int ret = 0;
	u64 i;

	for (i = 0; i < nr && !ret; i++) {
		if (files_have(f, READ_ONCE(block_page(pool, block + i)->mapping)))
			continue;
		ret = pool_block_file(pool, block + i, &inode, &index);
		if (!inode)
			continue;
		if (f->nr < FILES_MAX) {
			f->inode[f->nr++] = inode;
		} else {
			pool_file_put(inode);
			ret = -EBUSY;
		}
	}
	return ret;
}

static void files_unlock(struct files *f, unsigned int nr)
{
	while (nr)
		filemap_invalidate_unlock(f->inode[--nr]->i_mapping);
}

/* Tried only, in any order. A mapping is in @f once. */
static bool files_trylock(struct files *f)
{
	unsigned int i;

	for (i = 0; i < f->nr; i++) {
		if (!down_write_trylock(&f->inode[i]->i_mapping->invalidate_lock)) {
			files_unlock(f, i);
			return false;
		}
	}
	return true;
}

/*
 * A program that runs from a file has faults all the time, each of which holds the
 * lock for a moment.
 */
static bool files_lock(struct files *f)
{
	int tries;

	for (tries = 0; tries < LOCK_TRIES; tries++) {
		if (files_trylock(f))
			return true;
		usleep_range(20, 100);
	}
	return false;
}

/*
 * Whether nobody can write to the pages but by asking for it. The locks are held.
 * Dirty entries first: with none no more references to write by can be taken.
 */
static int files_quiet(const struct files *f, struct pool *pool, u64 block,
		       u64 nr)
{
	u64 i;

	for (i = 0; i < nr; i++) {
		struct address_space *m;

		m = READ_ONCE(block_page(pool, block + i)->mapping);
		/* somebody has just come */
		if (m && !files_have(f, m))
			return DAXCOW_MERGE_HOT;
	}
	if (pool_block_hot(pool, block, nr))
		return DAXCOW_MERGE_HOT;
	return pool_block_busy(pool, block, nr) ? DAXCOW_MERGE_PINNED : 0;
}

/*
 * Find and lock the files that have the pages of a pair. Returns 0 when nobody can
 * write to them but by asking, else DAXCOW_MERGE_*, with nothing locked. Which files
 * have what is kept does not matter when it was given to no writer. DMA may have been
 * under way to it since before the pool was loaded, which knows of no writers.
 */
static int pair_lock(struct pool *pool, const struct daxcow_merge_pair *p,
		     struct files *f)
{
	bool both = !is_zero(p) && daxcow_exclusive(pool->core, p->keep, p->nr);
	int ret;

	f->nr = 0;
	if (!is_zero(p) && pool_block_busy(pool, p->keep, p->nr))
		return DAXCOW_MERGE_PINNED;
	ret = files_add(f, pool, p->drop, p->nr);
	if (!ret && both)
		ret = files_add(f, pool, p->keep, p->nr);
	if (!ret && !files_lock(f))
		ret = -EAGAIN;
	if (ret) {
		files_put(f);
		return ret == -EAGAIN ? DAXCOW_MERGE_HOT : DAXCOW_MERGE_PINNED;
	}
	ret = files_quiet(f, pool, p->drop, p->nr);
	if (!ret && both)
		ret = files_quiet(f, pool, p->keep, p->nr);
	if (ret) {
		files_unlock(f, f->nr);
		files_put(f);
	}
	return ret;
}

static void pair_unlock(struct files *f)
{
	files_unlock(f, f->nr);
	files_put(f);
}

/*
 * Take a page out of a file, with all that one entry of it stands for: whoever has
 * it mapped faults, and is told of another one. The file is locked.
 */
static pgoff_t entry_drop(struct address_space *mapping, pgoff_t index)
{
	pgoff_t nr = 1UL << xa_get_order(&mapping->i_pages, index);
	pgoff_t first = round_down(index, nr);

	/* first: an entry is there for as long as the page is mapped */
	unmap_mapping_pages(mapping, first, nr, false);
	invalidate_inode_pages2_range(mapping, index, index);
	return first + nr;
}

static void files_drop(const struct files *f, struct pool *pool, u64 block,
		       u64 nr)
{
	struct address_space *mapping = NULL;
	pgoff_t done = 0;
	u64 i;

	for (i = 0; i < nr; i++) {
		struct page *page = block_page(pool, block + i);
		struct address_space *m = READ_ONCE(page->mapping);
		pgoff_t index = READ_ONCE(page->index);

		if (!m || !files_have(f, m) || (m == mapping && index < done))
			continue;
		mapping = m;
		done = entry_drop(m, index);
	}
}

/* ---- what stays behind ---- */

static int no_owner(void *arg, const struct daxcow_owner *o)
{
	return 1;
}

/* A fault had been told of the block, and came after it was merged. */
static void left_drop(struct pool *pool, u64 block)
{
	struct files f = { .nr = 0 };

	if (!READ_ONCE(block_page(pool, block)->mapping) ||
	    daxcow_owners(pool->core, block, NULL, no_owner, NULL, NULL) != -ENOENT)
		return;
	if (!files_add(&f, pool, block, 1) && files_lock(&f)) {
		files_drop(&f, pool, block, 1);
		files_unlock(&f, f.nr);
	}
	files_put(&f);
}

/* After a grace period: nobody comes any more who was told of them. */
static void left_finish(struct pool *pool)
{
	size_t i;

	for (i = 0; i < pool->nr_left; i++) {
		left_drop(pool, pool->left[i]);
		cond_resched();
	}
	kvfree(pool->left);
	pool->left = NULL;
	pool->nr_left = 0;
}

/* ---- one pair ---- */

/* Take write access back by writing the file back. */
static void block_rest(struct batch *b, u64 block)
{
	struct inode *inode;
	pgoff_t index;
	loff_t pos;

	if (!b->rest || !pool_block_hot(b->pool, block, 1) ||
	    pool_block_file(b->pool, block, &inode, &index) || !inode)
		return;
	b->rest--;
	pos = (loff_t)index << PAGE_SHIFT;
	filemap_write_and_wait_range(inode->i_mapping, pos, pos + PAGE_SIZE - 1);
	pool_file_put(inode);
}

static bool piece_hot(struct batch *b, u64 block, u64 nr)
{
	u64 i;

	for (i = 0; i < nr && b->rest; i++)
		block_rest(b, block + i);
	return pool_block_hot(b->pool, block, nr);
}

/* What can be told before the grace period. 0: go on with it. */
static int pair_first(struct batch *b, const struct daxcow_merge_pair *p)
{
	struct daxcow_merge m = merge_of(p, ~0U);
	int ret;

	if (p->flags & ~DAXCOW_PAIR_SPLIT)
		return -EINVAL;
	ret = daxcow_merge_check(b->pool->core, &m);
	if (ret)
		return status_of(ret);
	if (piece_hot(b, p->drop, p->nr) ||
	    (!is_zero(p) && piece_hot(b, p->keep, p->nr)))
		return DAXCOW_MERGE_HOT;
	return 0;
}

static int page_compare(struct batch *b, u64 keep, u64 drop)
{
	struct daxcow_pool *core = b->pool->core;

	if (pm_read(b->a, daxcow_block_addr(core, drop), PAGE_SIZE))
		return DAXCOW_MERGE_BAD;
	if (keep == DAXCOW_MERGE_ZERO)
		return memchr_inv(b->a, 0, PAGE_SIZE) ? DAXCOW_MERGE_DIFFERS : 0;
	if (pm_read(b->b, daxcow_block_addr(core, keep), PAGE_SIZE))
		return DAXCOW_MERGE_BAD;
	return memcmp(b->a, b->b, PAGE_SIZE) ? DAXCOW_MERGE_DIFFERS : 0;
}

static int pair_compare(struct batch *b, const struct daxcow_merge_pair *p)
{
	int ret = 0;
	u32 i;

	for (i = 0; i < p->nr && !ret; i++) {
		ret = page_compare(b, is_zero(p) ? p->keep : p->keep + i,
				   p->drop + i);
		cond_resched();
	}
	return ret;
}

static int pair_publish(struct batch *b, const struct daxcow_merge_pair *p)
{
	struct daxcow_merge m = merge_of(p, b->gen);
	unsigned int noio;
	struct files f;
	int ret;
	u32 i;

	ret = pair_lock(b->pool, p, &f);
	if (ret)
		return ret;
	noio = memalloc_noio_save();
	ret = status_of(daxcow_merge(b->pool->core, &m));
	memalloc_noio_restore(noio);
	if (ret == DAXCOW_MERGE_MERGED) {
		files_drop(&f, b->pool, p->drop, p->nr);
		for (i = 0; i < p->nr; i++)
			b->left[b->nr_left++] = p->drop + i;
	}
	pair_unlock(&f);
	return ret;
}

/* Returns DAXCOW_MERGE_*, or an error of the whole call. */
static int pair_merge(struct batch *b, const struct daxcow_merge_pair *p)
{
	struct files f;
	int ret;

	ret = pair_lock(b->pool, p, &f);
	if (ret)
		return ret;
	pair_unlock(&f);
	ret = pair_compare(b, p);
	return ret ? ret : pair_publish(b, p);
}

/* ---- the batch ---- */

/**
 * pool_begin_generation() - tell what is written from now on from what was before
 * @pool:	the pool
 * @gen:	set to the current generation
 *
 * Context: not in a read section.
 * Return: 0 or -EOVERFLOW.
 */
int pool_begin_generation(struct pool *pool, u32 *gen)
{
	int ret = daxcow_generation_begin(pool->core, gen);

	if (ret)
		DMERR("%s: out of generations: load the pool again to go on with dedupe",
		      dm_device_name(pool->md));
	else
		pool_grace_period(pool);
	return ret;
}

static int batch_first(struct batch *b, struct daxcow_merge_pair *pair, u32 nr,
		       size_t *blocks)
{
	u32 i;
	int ret;

	*blocks = 0;
	for (i = 0; i < nr; i++) {
		ret = pair_first(b, &pair[i]);
		if (ret < 0)
			return ret;
		pair[i].status = ret;
		if (!ret)
			*blocks += pair[i].nr;
		cond_resched();
	}
	return 0;
}

static int batch_merge(struct batch *b, struct daxcow_merge_pair *pair, u32 nr,
		       u64 *freed)
{
	u32 i;
	int ret;

	for (i = 0; i < nr; i++) {
		if (pair[i].status)
			continue;
		if (fatal_signal_pending(current))
			return -EINTR;
		ret = pair_merge(b, &pair[i]);
		if (ret < 0)
			return ret;
		pair[i].status = ret;
		if (ret == DAXCOW_MERGE_MERGED)
			*freed += pair[i].nr;
		cond_resched();
	}
	return 0;
}

static int batch_run(struct batch *b, struct daxcow_merge_pair *pair, u32 nr,
		     u64 *freed)
{
	struct pool *pool = b->pool;
	size_t blocks;
	int ret;

	ret = batch_first(b, pair, nr, &blocks);
	if (ret)
		return ret;
	b->left = kvcalloc(blocks ?: 1, sizeof(*b->left), GFP_KERNEL);
	if (!b->left)
		return -ENOMEM;
	ret = pool_begin_generation(pool, &b->gen);
	if (ret) {
		kvfree(b->left);
		return ret;
	}
	left_finish(pool);
	ret = batch_merge(b, pair, nr, freed);
	pool->left = b->left;
	pool->nr_left = b->nr_left;
	return ret;
}

/**
 * pool_merge() - give owners of equal blocks one of them
 * @pool:	the pool
 * @pair:	which; their status is set
 * @nr:		number of pairs; with none what earlier calls have left is finished
 * @rest:	in: how many blocks may be made to rest; out: how many were
 * @freed:	blocks that have no owner any more
 *
 * Context: sleeps; no lock is held.
 * Return: 0; -EINTR, -EINVAL (what is no pair), -EROFS, -EOVERFLOW, -ENOMEM or
 * -EUCLEAN, with the status of those that come after it DAXCOW_MERGE_NOT_TRIED.
 */
int pool_merge(struct pool *pool, struct daxcow_merge_pair *pair, u32 nr,
	       u32 *rest, u64 *freed)
{
	struct batch b = { .pool = pool, .rest = *rest };
	u32 i;
	int ret = -ENOMEM;

	*freed = 0;
	for (i = 0; i < nr; i++)
		pair[i].status = DAXCOW_MERGE_NOT_TRIED;
	b.a = (void *)__get_free_page(GFP_KERNEL);
	b.b = (void *)__get_free_page(GFP_KERNEL);
	if (!b.a || !b.b)
		goto out_free;
	ret = mutex_lock_interruptible(&pool->merge_lock);
	if (ret)
		goto out_free;
	ret = batch_run(&b, pair, nr, freed);
	mutex_unlock(&pool->merge_lock);
	*rest -= b.rest;
out_free:
	free_page((unsigned long)b.a);
	free_page((unsigned long)b.b);
	return ret;
}
