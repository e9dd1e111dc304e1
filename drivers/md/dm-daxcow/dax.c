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
 * that a MAP_SYNC store may be flushed by its owner and be done. Who finds
 * what another one has published, with the engine's lock or without it, finds
 * it durable.
 */
#include <linux/io.h>
#include <linux/sched/mm.h>
#include <linux/uio.h>

#include "platform.h"
#include <daxcow/pmem.h>
#include "target.h"

/* One page of zeroes is as good as another; without any it is an error. */
static u64 good_zero_block(const struct pool *pool)
{
	u64 i = 0;

	while (i < DAXCOW_CHUNK_BLOCKS - 1 &&
	       !daxcow_bad_find(pool->core, pool->zero_block + i, 1))
		i++;
	return pool->zero_block + i;
}

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
		if (!daxcow_bad_find(vol->pool->core, *block, 1)) {
			*block = good_zero_block(vol->pool);
			n = 1;
		}
	}
	return n;
}

static long access_write(struct volume *vol, u64 vblk, u64 nr, u64 *block)
{
	unsigned int noio = memalloc_noio_save();
	long n;

	/* before the grant: a snapshot that misses it must not be possible */
	grants_note(vol, vblk, min_t(u64, nr, DAXCOW_CHUNK_BLOCKS));
	n = daxcow_provision(vol->core, vblk, nr, block);
	memalloc_noio_restore(noio);
	if (n == -ENOSPC)
		pool_no_space(vol->pool);
	pool_check_low_water(vol->pool);
	return n;
}

/*
 * A recovery write is done by volume_recovery_write(), whatever address it is given.
 * For a block that is bad, which may be shared with others, that is one of a page that
 * is good for nothing, so that nobody can keep the block's. As a page frame it is
 * different from the block's, so who has that mapped is taken it away.
 */
static long access_sink(struct pool *pool, void **kaddr, pfn_t *pfn)
{
	if (kaddr)
		*kaddr = pool->sink;
	if (pfn)
		*pfn = phys_to_pfn_t(virt_to_phys(pool->sink), PFN_DEV);
	return 1;
}

/* Not so when a live patch has been taken back, by force: see series.c. */
static bool volume_has_dax(const struct volume_table *vt)
{
	return vt->series && vt->series->ready();
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

	if (!volume_has_dax(vt))
		return -EIO;
	if (mode != DAX_ACCESS && vt->read_only)
		return -EROFS;
	if (mode == DAX_ACCESS)
		n = access_read(vt->vol, vblk, nr_pages, &block);
	else
		n = access_write(vt->vol, vblk, nr_pages, &block);
	if (n > 0)
		n = daxcow_bad_find(pool->core, block, n) ?: -EIO;
	/* a copy, or a table: to whoever waits it is memory that failed */
	if (n == -EIO)
		return mode == DAX_RECOVERY_WRITE ?
		       access_sink(pool, kaddr, pfn) : -EHWPOISON;
	if (n < 0)
		return n;
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
	int ret = vt->read_only ? -EROFS : 0;

	if (!volume_has_dax(vt))
		ret = -EIO;

	for (; nr_pages && !ret; nr_pages--)
		ret = daxcow_zero(vt->vol->core, vblk++);
	memalloc_noio_restore(noio);
	return ret;
}

static int fill_block(void *arg, void *dst)
{
	pm_write(dst, arg, DAXCOW_BLOCK_SIZE);
	return 0;
}

/* All of a block is written: this volume gets a good one instead of its bad one. */
static int recover_block(struct volume *vol, u64 vblk, void *buffer,
			 struct iov_iter *i)
{
	size_t n = copy_from_iter(buffer, DAXCOW_BLOCK_SIZE, i);
	int ret = -EFAULT;

	if (n == DAXCOW_BLOCK_SIZE)
		ret = daxcow_overwrite(vol->core, vblk, true, fill_block,
				       buffer);
	if (ret)
		iov_iter_revert(i, n);
	return ret;
}

/**
 * volume_recovery_write() - write over blocks that are bad
 * @ti:		the target
 * @pgoff:	of the first block
 * @addr:	as direct_access() said: where in the first block it begins
 * @bytes:	to be written
 * @i:		from here
 *
 * Blocks of which a part is written cannot be helped, as what is in the rest of them
 * is not known. The bytes go through a buffer: to copy them from user space can
 * fault, which must not happen under the engine's lock.
 *
 * Return: bytes written, which may be less.
 */
size_t volume_recovery_write(struct dm_target *ti, pgoff_t pgoff, void *addr,
			     size_t bytes, struct iov_iter *i)
{
	struct volume_table *vt = ti->private;
	struct pool *pool = vt->vol->pool;
	unsigned int noio = memalloc_noio_save();
	u64 vblk = target_vblk(ti, pgoff);
	size_t done = 0;
	int ret = -EIO;
	void *buffer;

	buffer = (void *)__get_free_page(GFP_KERNEL);
	while (buffer && volume_has_dax(vt) && !vt->read_only && !offset_in_page(addr) &&
	       bytes - done >= DAXCOW_BLOCK_SIZE) {
		ret = recover_block(vt->vol, vblk++, buffer, i);
		if (ret)
			break;
		done += DAXCOW_BLOCK_SIZE;
	}
	free_page((unsigned long)buffer);
	daxcow_fence(pool->core);
	memalloc_noio_restore(noio);
	if (ret == -ENOSPC)
		pool_no_space(pool);
	pool_check_low_water(pool);
	return done;
}
