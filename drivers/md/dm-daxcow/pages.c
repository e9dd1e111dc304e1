// SPDX-License-Identifier: GPL-2.0
/*
 * What the kernel's struct pages say about the pool's blocks.
 */
#include <linux/fs.h>
#include <linux/pagemap.h>

#include "target.h"

/*
 * Whether somebody has a reference to one of the pages beyond the one that
 * all pages of a device have: direct I/O into or from a mapping.
 */
bool pool_block_busy(void *ctx, u64 block, u64 nr)
{
	struct pool *pool = ctx;
	u64 i;

	for (i = 0; i < nr; i++)
		if (page_ref_count(pfn_t_to_page(pool_pfn(pool, block + i))) > 1)
			return true;
	return false;
}

/*
 * Whether a file system has one of the pages in a mapping, of blocks without an
 * owner. On a device above a volume it may still, when it lost that device
 * ("dmsetup remove --force"): the volume's own device is closed then, and
 * nothing there tells.
 */
bool pool_block_mapped(void *ctx, u64 block, u64 nr)
{
	struct pool *pool = ctx;
	u64 i;

	for (i = 0; i < nr; i++)
		if (READ_ONCE(pfn_t_to_page(pool_pfn(pool, block + i))->mapping))
			return true;
	return false;
}

/* Looks at the entry only if one of the file's has the mark. */
static bool entry_marked(struct address_space *mapping, pgoff_t index, xa_mark_t mark)
{
	return mapping_tagged(mapping, mark) &&
	       xa_get_mark(&mapping->i_pages, index, mark);
}

/* Whether the file that a page names may have it mapped for writing. */
static bool page_hot(struct page *page)
{
	struct address_space *mapping;
	bool hot = false;

	rcu_read_lock();
	mapping = READ_ONCE(page->mapping);
	if (mapping && !((unsigned long)mapping & PAGE_MAPPING_FLAGS)) {
		pgoff_t index = READ_ONCE(page->index);

		hot = entry_marked(mapping, index, PAGECACHE_TAG_DIRTY) ||
		      entry_marked(mapping, index, PAGECACHE_TAG_TOWRITE);
	}
	rcu_read_unlock();
	return hot;
}

/*
 * Whether a process may be writing to one of the pages through its page tables: its
 * file has an entry for it that is dirty, which is what writeback, and a freeze,
 * take write access back from. Of a page that several files have nothing is known.
 */
bool pool_block_hot(void *ctx, u64 block, u64 nr)
{
	struct pool *pool = ctx;
	u64 i;

	for (i = 0; i < nr; i++)
		if (page_hot(pfn_t_to_page(pool_pfn(pool, block + i))))
			return true;
	return false;
}

/* The file system on a device, which stays until deactivate_super(). */
static struct super_block *bdev_sb_get(struct block_device *bdev)
{
	struct super_block *sb = NULL;

	mutex_lock(&bdev->bd_holder_lock);
	if (bdev->bd_holder_ops == &fs_holder_ops) {
		sb = bdev->bd_holder;
		if (!atomic_inc_not_zero(&sb->s_active))
			sb = NULL;
	}
	mutex_unlock(&bdev->bd_holder_lock);
	return sb;
}

/*
 * Without the lock for a moment. The inode that is held has its place in the list, and
 * the one before it may be the last one's to hold.
 */
static void give_way(struct super_block *sb, struct inode *inode,
		     struct inode **held)
{
	struct inode *old = *held;

	if (!igrab(inode))
		return;
	*held = inode;
	spin_unlock(&sb->s_inode_list_lock);
	iput(old);
	cond_resched();
	spin_lock(&sb->s_inode_list_lock);
}

/**
 * bdev_files_quiet() - whether no process can write to a file through its page tables
 * @bdev:	the device that the file system is on
 *
 * An entry that lets somebody write is dirty, and stays so until writeback has taken
 * that back. Who makes one while this looks has to ask for the page before, which is
 * counted (see grants.c).
 *
 * Context: after a grace period; may put the file system, so no lock is held. The time
 * that it takes grows with the inodes in memory.
 * Return: false also when the file system is about to go.
 */
bool bdev_files_quiet(struct block_device *bdev)
{
	struct super_block *sb = bdev_sb_get(bdev);
	struct inode *inode, *held = NULL;
	bool quiet = true;

	if (!sb)
		return false;
	spin_lock(&sb->s_inode_list_lock);
	list_for_each_entry(inode, &sb->s_inodes, i_sb_list) {
		quiet = !mapping_tagged(&inode->i_data, PAGECACHE_TAG_DIRTY) &&
			!mapping_tagged(&inode->i_data, PAGECACHE_TAG_TOWRITE);
		if (!quiet)
			break;
		if (need_resched())
			give_way(sb, inode, &held);
	}
	spin_unlock(&sb->s_inode_list_lock);
	iput(held);
	deactivate_super(sb);
	return quiet;
}

/*
 * Hold a file, and with it that its file system is not unmounted, which would find
 * that it is busy. Nor is it frozen: to put the file may be to delete it, which would
 * wait for the thaw, and that for the lock that is held here.
 */
static struct inode *inode_hold(struct inode *inode)
{
	struct super_block *sb = inode->i_sb;

	if (!down_read_trylock(&sb->s_umount))
		return NULL;
	if (READ_ONCE(sb->s_flags) & SB_ACTIVE &&
	    READ_ONCE(sb->s_writers.frozen) == SB_UNFROZEN && igrab(inode))
		return inode;
	up_read(&sb->s_umount);
	return NULL;
}

/**
 * pool_block_file() - the file that has a block's page
 * @pool:	the pool
 * @block:	the block
 * @inode:	the file, to be put with pool_file_put(); NULL when there is none
 * @index:	of the page in it
 *
 * Context: the file system's s_umount is held for reading until it is put.
 * Return: 0, -EBUSY when there are several, which the page does not name, -EAGAIN when
 * it cannot be held now: the file is about to go, or its file system to be unmounted
 * or frozen.
 */
int pool_block_file(struct pool *pool, u64 block, struct inode **inode,
		    pgoff_t *index)
{
	struct page *page = pfn_t_to_page(pool_pfn(pool, block));
	struct address_space *mapping;
	int ret = 0;

	*inode = NULL;
	rcu_read_lock();
	mapping = READ_ONCE(page->mapping);
	if ((unsigned long)mapping & PAGE_MAPPING_FLAGS) {
		ret = -EBUSY;
	} else if (mapping) {
		/* inode and super block are freed by RCU */
		*inode = inode_hold(mapping->host);
		*index = READ_ONCE(page->index);
		ret = *inode ? 0 : -EAGAIN;
	}
	rcu_read_unlock();
	return ret;
}

void pool_file_put(struct inode *inode)
{
	struct super_block *sb = inode->i_sb;

	iput(inode);
	up_read(&sb->s_umount);
}

/* ---- what was held before the pool was started ---- */

static int held_add(struct pool *pool, u64 block)
{
	size_t room = max_t(size_t, 64, pool->room_held * 2);
	u64 *more;

	if (pool->nr_held == pool->room_held) {
		more = kvcalloc(room, sizeof(*more), GFP_KERNEL);
		if (!more)
			return -ENOMEM;
		if (pool->nr_held)
			memcpy(more, pool->held, pool->nr_held * sizeof(*more));
		kvfree(pool->held);
		pool->held = more;
		pool->room_held = room;
	}
	pool->held[pool->nr_held++] = block;
	return 0;
}

void pool_forget_held(struct pool *pool)
{
	kvfree(pool->held);
	pool->held = NULL;
	pool->nr_held = 0;
	pool->room_held = 0;
}

/**
 * pool_find_held() - who still has pages of blocks that become the pool's
 * @pool:	its nr_held and held are set, to be freed with pool_forget_held()
 * @block:	the first block
 * @end:	after the last one
 *
 * Blocks that the tables call free are given to others, and those of a volume to its
 * snapshots, and whoever has a page of one in a mapping, or a reference to it, would see
 * that or write to it (I1, I2). A file system that lost its device ("dmsetup remove
 * --force") outlives the pool that had been keeping its pages for it, and what its files
 * map is not known: as long as it is mounted there is no other pool. A reference anybody
 * can have, who was a volume's tenant and put a page into a pipe, and keep it for as
 * long as they like. Such blocks are left alone, see pool_note_held().
 *
 * Return: 0, -EBUSY: a file system has one, -ENOMEM.
 */
int pool_find_held(struct pool *pool, u64 block, u64 end)
{
	int ret = 0;

	for (; block < end && !ret; block++) {
		if (pool_block_mapped(pool, block, 1)) {
			DMERR("%s: the page of block %llu of %pg is still in use by a file system that lost its device, and is still mounted",
			      dm_device_name(pool->md), block, pool->bdev);
			ret = -EBUSY;
		} else if (pool_block_busy(pool, block, 1)) {
			ret = held_add(pool, block);
		}
		if (!(block % DAXCOW_CHUNK_BLOCKS))
			cond_resched();
	}
	return ret;
}

/**
 * pool_new_part_held() - whether something holds a part that the pool is to grow to
 * @pool:	the pool
 * @block:	the first block
 * @end:	after the last one
 *
 * What it grows to was somebody else's, and that can be waited for.
 *
 * Return: 0, -EBUSY, -ENOMEM.
 */
int pool_new_part_held(struct pool *pool, u64 block, u64 end)
{
	int ret = pool_find_held(pool, block, end);

	if (!ret && pool->nr_held) {
		DMERR("%s: block %llu of %pg, to which the pool is to grow, is still held by something, for direct I/O or in a pipe: load its table again when that has ended",
		      dm_device_name(pool->md), pool->held[0], pool->bdev);
		ret = -EBUSY;
	}
	pool_forget_held(pool);
	return ret;
}

struct sole {
	u32 volume;
	u64 vblk;
	unsigned int nr;
};

static int sole_owner(void *arg, const struct daxcow_owner *o)
{
	struct sole *s = arg;

	s->volume = o->volume;
	s->vblk = o->vblk;
	return ++s->nr > 1;
}

static int note_held(struct pool *pool, u64 block)
{
	struct sole sole = { };
	enum daxcow_use use;
	int ret;

	ret = daxcow_owners(pool->core, block, &use, sole_owner, NULL, &sole);
	/* in a part of the device that the pool has not grown to yet */
	if (ret == -ERANGE)
		return 0;
	if (use != DAXCOW_BLOCK_DATA && use != DAXCOW_BLOCK_FREE &&
	    use != DAXCOW_BLOCK_RETIRED)
		return -EBUSY;
	/* nobody can be writing to one that has several, or none */
	if (ret || !sole.nr)
		return 0;
	return grants_note_held(pool, sole.volume, sole.vblk);
}

/**
 * pool_note_held() - see that nobody is given what is held
 * @pool:	loaded, and not in use yet
 * @error:	set when it fails
 *
 * The engine gives nobody what is free, and writes nothing else in place. A block that
 * a volume has may be written to by DMA, so the next snapshot of it has to look, and a
 * merge does so anyway. A table cannot be left alone; it is one only
 * if somebody has made another pool here meanwhile.
 *
 * Return: 0, -EBUSY, -ENOMEM.
 */
int pool_note_held(struct pool *pool, char **error)
{
	int ret = 0;
	size_t i;

	for (i = 0; i < pool->nr_held && !ret; i++) {
		ret = note_held(pool, pool->held[i]);
		if (ret != -EBUSY)
			continue;
		DMERR("%s: block %llu of %pg is one of the pool's tables, and something still holds its page from before, for direct I/O or in a pipe",
		      dm_device_name(pool->md), pool->held[i], pool->bdev);
		*error = "Pages of the pool's tables are still in use: see the kernel log";
	}
	if (pool->nr_held && !ret) {
		DMWARN("%s: %zu blocks of %pg are still held from before, for direct I/O or in pipes, and left alone meanwhile",
		       dm_device_name(pool->md), pool->nr_held, pool->bdev);
		pool_wake(pool);
	}
	pool_forget_held(pool);
	return ret;
}

/*
 * For tests: when nothing is mounted, no page may remember a file. A page
 * that does would be taken for mapped by the next user of the block.
 */
int pool_pages(struct pool *pool, char *result, unsigned int maxlen)
{
	u64 block, mapped = 0, shared = 0, held = 0;
	unsigned int sz = 0;

	for (block = 0; block < pool->nr_blocks; block++) {
		struct page *page = pfn_t_to_page(pool_pfn(pool, block));

		mapped += !!page->mapping;
		shared += !!page->share;
		held += page_ref_count(page) > 1;
		cond_resched();
	}
	DMEMIT("pages %llu mapping %llu share %llu held %llu", pool->nr_blocks,
	       mapped, shared, held);
	return 1;
}
