// SPDX-License-Identifier: GPL-2.0
/*
 * Direct access to a volume.
 *
 * The file system holds dax_read_lock() from here until it has used the
 * address, or until the page table entry stands; that is the engine's read
 * section. direct_access runs under mmap, inode and DAX entry locks, on ext4
 * inside of a transaction: it never calls into a file system, never waits for
 * a grace period, and allocates without I/O. It is called on a suspended
 * device too.
 *
 * A write makes the range this volume's own, durably, before it returns, so
 * that a MAP_SYNC store may be flushed by its owner and be done. All write
 * intents go through the engine's lock; a second one that finds what the
 * first has published finds it durable.
 */
#include <linux/sched/mm.h>

#include "target.h"

/*
 * Where a read looks. Unmapped blocks are seen as a part of the zero chunk
 * with the same position in the chunk, so that a hole can be mapped by a PMD.
 */
static long access_read(struct volume *vol, u64 vblk, u64 nr, u64 *block)
{
	u64 in_chunk = vblk % DAXCOW_CHUNK_BLOCKS;
	long n;

	n = daxcow_lookup(vol->core, vblk, nr, block);
	if (n > 0 && *block == DAXCOW_HOLE) {
		*block = vol->pool->zero_block + in_chunk;
		n = min_t(u64, n, DAXCOW_CHUNK_BLOCKS - in_chunk);
	}
	return n;
}

static long access_write(struct volume *vol, u64 vblk, u64 nr, u64 *block)
{
	unsigned int noio = memalloc_noio_save();
	long n;

	/* before the grant: a snapshot that misses it must not be possible */
	volume_note_grant(vol, vblk, min_t(u64, nr, DAXCOW_CHUNK_BLOCKS));
	n = daxcow_provision(vol->core, vblk, nr, block);
	memalloc_noio_restore(noio);
	if (n == -ENOSPC)
		pool_no_space(vol->pool);
	pool_check_low_water(vol->pool);
	return n;
}

static u64 target_vblk(struct dm_target *ti, pgoff_t pgoff)
{
	return pgoff - (ti->begin >> BLOCK_SECTORS_SHIFT);
}

long volume_direct_access(struct dm_target *ti, pgoff_t pgoff, long nr_pages,
			  enum dax_access_mode mode, void **kaddr, pfn_t *pfn)
{
	struct volume_table *vt = ti->private;
	struct pool *pool = vt->vol->pool;
	u64 vblk = target_vblk(ti, pgoff), block;
	long n, there;

	if (mode == DAX_ACCESS)
		n = access_read(vt->vol, vblk, nr_pages, &block);
	else
		n = access_write(vt->vol, vblk, nr_pages, &block);
	if (n < 0)
		return n;
	/* the data device knows about bad blocks */
	there = dax_direct_access(pool->dax_dev, pool->dax_pgoff + block, n,
				  mode, kaddr, pfn);
	return min(n, there);
}

int volume_zero_page_range(struct dm_target *ti, pgoff_t pgoff,
			   size_t nr_pages)
{
	struct volume_table *vt = ti->private;
	unsigned int noio = memalloc_noio_save();
	u64 vblk = target_vblk(ti, pgoff);
	int ret = 0;

	for (; nr_pages && !ret; nr_pages--)
		ret = daxcow_zero(vt->vol->core, vblk++);
	memalloc_noio_restore(noio);
	return ret;
}

/* After direct_access with DAX_RECOVERY_WRITE: the block is this volume's. */
size_t volume_recovery_write(struct dm_target *ti, pgoff_t pgoff, void *addr,
			     size_t bytes, struct iov_iter *i)
{
	struct volume_table *vt = ti->private;
	struct pool *pool = vt->vol->pool;
	u64 block;
	long n;

	n = daxcow_lookup(vt->vol->core, target_vblk(ti, pgoff),
			  DIV_ROUND_UP(bytes, PAGE_SIZE), &block);
	if (n <= 0 || block == DAXCOW_HOLE)
		return 0;
	return dax_recovery_write(pool->dax_dev, pool->dax_pgoff + block, addr,
				  min_t(size_t, bytes, n * PAGE_SIZE), i);
}
