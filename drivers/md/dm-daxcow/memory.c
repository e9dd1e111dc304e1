// SPDX-License-Identifier: GPL-2.0
/*
 * Where a pool's memory is: the pieces of its data device, their page frames, and the
 * one range of addresses that the engine works on.
 */
#include <linux/file.h>
#include <linux/memremap.h>
#include <linux/sort.h>
#include <linux/vmalloc.h>

#include "target.h"

/*
 * Two pools on the same memory would destroy each other, and no device tells: there can
 * be any number of them over one memory. So page frames are compared. A pool claims its
 * own before it looks at what is in them, and has them until nothing of it writes any
 * more: of two that are loaded at the same time the second one finds the first.
 *
 * The lock is of the list, which has all pools with a claim, whatever their state, and
 * of their nr_claimed. Their segments do not change while they are in it. Nobody
 * allocates or waits with the lock held, as a pool takes it while its device is
 * suspended.
 */
static DEFINE_MUTEX(memory_lock);
static LIST_HEAD(claims);

static unsigned int segment_find(const struct pool *pool, u64 block)
{
	unsigned int lo = 0, hi = pool->nr_segments;

	while (hi - lo > 1) {
		unsigned int mid = lo + (hi - lo) / 2;

		if (pool->segments[mid].block <= block)
			lo = mid;
		else
			hi = mid;
	}
	return lo;
}

/* The first block after a segment. */
static u64 segment_end(const struct pool *pool, const struct segment *s)
{
	bool last = s == &pool->segments[pool->nr_segments - 1];

	return last ? pool->nr_blocks : s[1].block;
}

/* The pfn of a block, with the flags that the data device gave it. */
pfn_t pool_pfn(const struct pool *pool, u64 block)
{
	const struct segment *s = &pool->segments[segment_find(pool, block)];

	return (pfn_t) { .val = s->pfn.val + (block - s->block) };
}

/* The block of a page frame. -ERANGE: it is not one of the pool's. */
int pool_block_of(const struct pool *pool, u64 pfn, u64 *block)
{
	unsigned int lo = 0, hi = pool->nr_segments;
	const struct segment *s;
	u64 end;

	while (hi - lo > 1) {
		unsigned int mid = lo + (hi - lo) / 2;

		s = &pool->segments[pool->by_pfn[mid]];
		if (pfn_t_to_pfn(s->pfn) <= pfn)
			lo = mid;
		else
			hi = mid;
	}
	s = &pool->segments[pool->by_pfn[lo]];
	end = segment_end(pool, s);
	if (pfn < pfn_t_to_pfn(s->pfn) ||
	    pfn - pfn_t_to_pfn(s->pfn) >= end - s->block)
		return -ERANGE;
	*block = s->block + pfn - pfn_t_to_pfn(s->pfn);
	return 0;
}

static struct segment *last_segment(struct pool *pool)
{
	return pool->nr_segments ? &pool->segments[pool->nr_segments - 1] : NULL;
}

/* Whether what begins at @block is the continuation of @s. */
static bool segment_goes_on(const struct segment *s, u64 block, pfn_t pfn,
			    const struct dev_pagemap *pgmap)
{
	return s && s->pgmap == pgmap &&
	       s->pfn.val + (block - s->block) == pfn.val;
}

/* Room for one segment more. Returns 0, -ENOMEM, -E2BIG. */
static int segments_room(struct pool *pool)
{
	size_t room = max_t(size_t, 16, 2 * (size_t)pool->room_segments);
	struct segment *more;

	if (pool->nr_segments < pool->room_segments)
		return 0;
	if (room > U32_MAX)
		return -E2BIG;
	more = vcalloc(room, sizeof(*more));
	if (!more)
		return -ENOMEM;
	if (pool->nr_segments)
		memcpy(more, pool->segments,
		       pool->nr_segments * sizeof(*more));
	vfree(pool->segments);
	pool->segments = more;
	pool->room_segments = room;
	return 0;
}

static int segment_add(struct pool *pool, u64 block, pfn_t pfn)
{
	struct segment *last = last_segment(pool);
	struct dev_pagemap *pgmap;
	int ret;

	pgmap = get_dev_pagemap(pfn_t_to_pfn(pfn), NULL);
	if (!pgmap)
		return -ENXIO;
	if (segment_goes_on(last, block, pfn, pgmap)) {
		put_dev_pagemap(pgmap);
		return 0;
	}
	ret = segments_room(pool);
	if (ret) {
		put_dev_pagemap(pgmap);
		return ret;
	}
	pool->segments[pool->nr_segments++] = (struct segment) {
		.block = block,
		.pfn = pfn,
		.pgmap = pgmap,
	};
	return 0;
}

/*
 * Note where block @block is, and what follows it there. The reference to its
 * memory is taken before the section ends. Returns the number of blocks.
 */
static long segment_ask(struct pool *pool, u64 block, char **error)
{
	void *kaddr;
	pfn_t pfn;
	int id, ret = 0;
	long n;

	id = dax_read_lock();
	n = dax_direct_access(pool->dax_dev, pool->dax_pgoff + block,
			      pool->nr_blocks - block, DAX_RECOVERY_WRITE,
			      &kaddr, &pfn);
	if (n <= 0) {
		*error = "Cannot access the data device's memory";
		ret = n ? n : -EIO;
	} else if (!pfn_t_has_page(pfn)) {
		*error = "Data device has no struct pages: make the namespace with ndctl create-namespace -m fsdax";
		ret = -EOPNOTSUPP;
	} else {
		if (!block)
			pool->base = kaddr;
		ret = segment_add(pool, block, pfn);
		if (ret == -ENXIO)
			*error = "Data device is being removed";
		else if (ret == -E2BIG)
			*error = "Data device's memory is in too many pieces: use larger stripes or extents";
	}
	dax_read_unlock(id);
	return ret ? ret : n;
}

static int by_pfn_cmp(const void *a, const void *b, const void *priv)
{
	const struct segment *s = priv;
	u64 x = pfn_t_to_pfn(s[*(const u32 *)a].pfn);
	u64 y = pfn_t_to_pfn(s[*(const u32 *)b].pfn);

	return x < y ? -1 : x > y;
}

/*
 * The segments in the order of their page frames. A table below may have put the
 * same memory in two places, where a block would be two.
 */
static int pool_sort(struct pool *pool, char **error)
{
	unsigned int i;

	pool->by_pfn = vmalloc_array(pool->nr_segments, sizeof(*pool->by_pfn));
	if (!pool->by_pfn)
		return -ENOMEM;
	for (i = 0; i < pool->nr_segments; i++)
		pool->by_pfn[i] = i;
	sort_r(pool->by_pfn, pool->nr_segments, sizeof(*pool->by_pfn),
	       by_pfn_cmp, NULL, pool->segments);
	for (i = 1; i < pool->nr_segments; i++) {
		const struct segment *s = &pool->segments[pool->by_pfn[i - 1]];
		const struct segment *next = &pool->segments[pool->by_pfn[i]];

		if (pfn_t_to_pfn(next->pfn) - pfn_t_to_pfn(s->pfn) <
		    segment_end(pool, s) - s->block) {
			*error = "Data device has the same memory in two places";
			return -EINVAL;
		}
	}
	return 0;
}

/*
 * Ask the data device where its pages are, the bad ones included. It may have as
 * many pieces as blocks: others must get the processor and a grace period.
 */
static int pool_segments(struct pool *pool, char **error)
{
	u64 block = 0;
	long n;

	while (block < pool->nr_blocks) {
		n = segment_ask(pool, block, error);
		if (n < 0)
			return n;
		block += n;
		cond_resched();
	}
	return pool_sort(pool, error);
}

/* The first page frame after what is claimed of segment @s. */
static u64 claim_end(const struct pool *pool, const struct segment *s)
{
	bool last = s == &pool->segments[pool->nr_segments - 1];
	u64 end = last ? pool->nr_claimed : s[1].block;

	return pfn_t_to_pfn(s->pfn) + (end - s->block);
}

/* Whether two pools claim a page frame in common: one walk along both. */
static bool claims_overlap(const struct pool *a, const struct pool *b)
{
	unsigned int i = 0, j = 0;

	while (i < a->nr_segments && j < b->nr_segments) {
		const struct segment *s = &a->segments[a->by_pfn[i]];
		const struct segment *t = &b->segments[b->by_pfn[j]];

		if (claim_end(a, s) <= pfn_t_to_pfn(t->pfn))
			i++;
		else if (claim_end(b, t) <= pfn_t_to_pfn(s->pfn))
			j++;
		else
			return true;
	}
	return false;
}

/* Another pool that has some of what @pool wants to claim, or NULL. */
static struct pool *claim_conflict(const struct pool *pool)
{
	struct pool *other;

	lockdep_assert_held(&memory_lock);
	list_for_each_entry(other, &claims, claim)
		if (other != pool && claims_overlap(pool, other))
			return other;
	return NULL;
}

/* Not by the name of its device, which may be gone before it is. */
static void log_conflict(const struct pool *pool, const struct pool *other)
{
	DMERR("%s: %pg has memory in common with %pg, which another pool is on: stop that one first",
	      dm_device_name(pool->md), pool->bdev, other->bdev);
}

/*
 * Nobody else gets the memory from now on. One that is being taken apart is waited
 * for, as is done for one on the same device, and so is one that is being loaded, which
 * may fail. Who waits has claimed nothing, so nobody waits for him here.
 */
static int memory_claim(struct pool *pool, char **error)
{
	struct pool *other;
	bool live;
	u64 seen;
	int ret;

	do {
		seen = pools_changes();
		mutex_lock(&memory_lock);
		pool->nr_claimed = pool->nr_blocks;
		other = claim_conflict(pool);
		live = other && pool_is_live(other);
		if (live)
			log_conflict(pool, other);
		else if (!other)
			list_add(&pool->claim, &claims);
		mutex_unlock(&memory_lock);
		if (!other)
			return 0;
		if (live) {
			*error = "Data device's memory is in use by another pool: see the kernel log";
			return -EBUSY;
		}
		ret = pools_wait_change(seen);
	} while (!ret);
	*error = "Interrupted while another pool was using the data device's memory";
	return ret;
}

/* The same, of a pool that is live. Does not wait: its device is suspended. */
static int memory_claim_more(struct pool *pool, u64 nr_blocks)
{
	struct pool *other;

	mutex_lock(&memory_lock);
	pool->nr_claimed = nr_blocks;
	other = claim_conflict(pool);
	if (other) {
		log_conflict(pool, other);
		pool->nr_claimed = pool->nr_blocks;
	}
	mutex_unlock(&memory_lock);
	return other ? -EBUSY : 0;
}

/* What was not needed of that, or all of it. */
static void memory_release(struct pool *pool, u64 nr_blocks)
{
	mutex_lock(&memory_lock);
	pool->nr_claimed = nr_blocks;
	if (!nr_blocks)
		list_del_init(&pool->claim);
	mutex_unlock(&memory_lock);
}

/*
 * A device of several pieces (a logical volume) gets one address range, page by
 * page: vmap() takes no more pages than the machine has memory besides, and their
 * number as an int.
 */
static int pool_vmap(struct pool *pool, char **error)
{
	struct page **pages;
	unsigned int i;
	u64 block = 0;

	if (pool->nr_segments == 1)
		return 0;
	if (pool->nr_blocks > min_t(u64, totalram_pages(), U32_MAX)) {
		*error = "Data device's memory is in several pieces, and larger than the machine's other memory or than 16 TiB: use one that is contiguous";
		return -EFBIG;
	}
	*error = "Not enough memory to map a data device of several pieces";
	pages = vmalloc_array(pool->nr_blocks, sizeof(*pages));
	if (!pages)
		return -ENOMEM;
	for (i = 0; i < pool->nr_segments; i++) {
		const struct segment *s = &pool->segments[i];
		struct page *page = pfn_t_to_page(s->pfn);

		while (block < segment_end(pool, s))
			pages[block++] = page++;
		cond_resched();
	}
	pool->vaddr = vmap(pages, pool->nr_blocks, VM_MAP, PAGE_KERNEL);
	vfree(pages);
	pool->base = pool->vaddr;
	return pool->vaddr ? 0 : -ENOMEM;
}

/* Not a reference: one that goes on is covered by the segment's. */
static bool memory_goes_on(struct pool *pool, u64 block, pfn_t pfn)
{
	struct dev_pagemap *pgmap = get_dev_pagemap(pfn_t_to_pfn(pfn), NULL);
	bool ret = segment_goes_on(last_segment(pool), block, pfn, pgmap);

	put_dev_pagemap(pgmap);
	return ret;
}

/* How many blocks from @block on follow what is mapped in memory. */
static long pool_goes_on(struct pool *pool, u64 block, u64 nr)
{
	pfn_t pfn;
	long n;
	int id;

	id = dax_read_lock();
	n = dax_direct_access(pool->dax_dev, pool->dax_pgoff + block, nr,
			      DAX_RECOVERY_WRITE, NULL, &pfn);
	if (!n)
		n = -EIO;
	else if (n > 0 && (pool->vaddr || !memory_goes_on(pool, block, pfn)))
		n = -EBUSY;
	dax_read_unlock(id);
	return n;
}

/*
 * The data device has grown. Addresses that are in use must stay what they
 * are, so the new part has to follow the old one in memory.
 */
int pool_extend(struct pool *pool, u64 nr_blocks)
{
	u64 block = pool->nr_blocks;
	long n;

	while (block < nr_blocks) {
		n = pool_goes_on(pool, block, nr_blocks - block);
		if (n < 0) {
			DMERR("%s: the data device's new part does not follow the old one in memory: deactivate the pool to grow it (%ld)",
			      dm_device_name(pool->md), n);
			return n;
		}
		block += n;
		cond_resched();
	}
	if (memory_claim_more(pool, nr_blocks))
		return -EBUSY;
	pool->nr_blocks = nr_blocks;
	return 0;
}

/**
 * pool_map() - get hold of a pool's memory
 * @pool:	with its bdev and nr_blocks
 * @dev:	the data device, of the table
 * @error:	set when it fails
 *
 * A volume may go on when the table of its pool is gone ("dmsetup remove
 * --force"), so the pool does not use what is the table's. Whether it fails or
 * not, pool_unmap() gives back what was taken.
 *
 * Context: waits for another pool that is about to leave the memory.
 * Return: 0, -EOPNOTSUPP: no memory that could be used; -EBUSY: somebody uses pages of
 * it, or another pool has them; -EINTR, -EINVAL, -EFBIG, -E2BIG, -ENXIO, -ENOMEM.
 */
int pool_map(struct pool *pool, struct dm_dev *dev, char **error)
{
	u64 start = get_start_sect(dev->bdev);
	int ret;

	pool->file = get_file(dev->bdev_file);
	pool->dax_pgoff = start >> BLOCK_SECTORS_SHIFT;
	ret = pool_claim(pool);
	if (ret) {
		*error = "Data device does not support DAX: use persistent memory in fsdax mode";
		return ret;
	}
	/*
	 * What is below is in a host's page cache, and keeps stores when the host is
	 * asked to, by a request that waits for its disk. Fences of this processor
	 * order nothing there, and all that a pool promises is made of them.
	 */
	if (!dax_synchronous(pool->dax_dev)) {
		*error = "Data device is not synchronous (virtio-pmem): its host would not keep the order of stores. Use an NVDIMM, real or emulated";
		return -EOPNOTSUPP;
	}
	if (start & (BLOCK_SECTORS - 1)) {
		*error = "Data device does not start at a multiple of 4 KiB";
		return -EINVAL;
	}
	/* we write to the addresses that we get below for as long as we live */
	if (series_remaps(pool->dax_dev)) {
		*error = "Data device is, or is on, a volume of another pool, which moves its blocks: a pool cannot be there";
		return -EOPNOTSUPP;
	}
	ret = pool_segments(pool, error);
	if (!ret)
		ret = memory_claim(pool, error);
	if (ret)
		return ret;
	ret = pool_find_held(pool, 0, pool->nr_blocks);
	if (ret == -EBUSY)
		*error = "Pages of the data device are still in use: see the kernel log";
	if (ret)
		return ret;
	return pool_vmap(pool, error);
}

void pool_unmap(struct pool *pool)
{
	unsigned int i;

	pool_unclaim(pool);
	memory_release(pool, 0);
	vunmap(pool->vaddr);
	for (i = 0; i < pool->nr_segments; i++)
		put_dev_pagemap(pool->segments[i].pgmap);
	vfree(pool->by_pfn);
	vfree(pool->segments);
	if (pool->file)
		__fput_sync(pool->file);
}
