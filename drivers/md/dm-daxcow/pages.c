// SPDX-License-Identifier: GPL-2.0
/*
 * What the kernel's struct pages say about the pool's blocks.
 */
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
