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

/* Whether the file that a page names may have it mapped for writing. */
static bool page_hot(struct page *page)
{
	struct address_space *mapping;
	bool hot = false;

	rcu_read_lock();
	mapping = READ_ONCE(page->mapping);
	if (mapping && !((unsigned long)mapping & PAGE_MAPPING_FLAGS)) {
		pgoff_t index = READ_ONCE(page->index);

		hot = xa_get_mark(&mapping->i_pages, index,
				  PAGECACHE_TAG_DIRTY) ||
		      xa_get_mark(&mapping->i_pages, index,
				  PAGECACHE_TAG_TOWRITE);
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
