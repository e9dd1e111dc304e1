// SPDX-License-Identifier: GPL-2.0
/*
 * Bios to a volume: what is read and written without DAX, which for a DAX
 * file system is its metadata, its log, and the zeroing of new blocks.
 *
 * Pool memory is at hand, so data is copied here and not sent to the data
 * device: a block is written before it is published, sub-page bios need no
 * more care than others, and no bio is under way at the data device when a
 * snapshot is taken. Each block is published under the engine's lock; a
 * snapshot of a volume that nobody has frozen is a cut between two of these.
 *
 * A block that is written goes to a new place, so that after a power cut it is
 * as before or as after. Who writes to it directly at that time would not
 * find it there any more. File systems do not mix the two: a block is a
 * file's, or metadata, and one that changes sides is not in use meanwhile.
 */
#include <linux/highmem.h>
#include <linux/sched/mm.h>

#include "platform.h"
#include <daxcow/pmem.h>
#include "target.h"

/**
 * struct piece - the part of a bio that lies in one block
 * @bio:	the bio
 * @iter:	begins at the part
 * @off:	in the block
 * @len:	in bytes
 */
struct piece {
	struct bio *bio;
	struct bvec_iter iter;
	unsigned int off;
	unsigned int len;
};

static int piece_fill(void *arg, void *dst)
{
	const struct piece *p = arg;
	struct bvec_iter iter = p->iter;
	unsigned int done = 0;

	while (done < p->len) {
		struct bio_vec bv = bio_iter_iovec(p->bio, iter);
		unsigned int n = min(bv.bv_len, p->len - done);
		void *src = bvec_kmap_local(&bv);

		pm_write(dst + p->off + done, src, n);
		kunmap_local(src);
		bio_advance_iter_single(p->bio, &iter, n);
		done += n;
	}
	return 0;
}

/*
 * Zeroes come as ZERO_PAGE(0): pmem has no write zeroes, so none can be
 * offered, and blkdev_issue_zeroout() writes that page.
 */
static bool piece_is_zero(const struct piece *p)
{
	struct bvec_iter iter = p->iter;
	unsigned int done = 0;

	if (likely(bio_iter_page(p->bio, iter) != ZERO_PAGE(0)))
		return false;
	while (done < p->len) {
		struct bio_vec bv = bio_iter_iovec(p->bio, iter);
		unsigned int n = min(bv.bv_len, p->len - done);

		if (bv.bv_page != ZERO_PAGE(0))
			return false;
		bio_advance_iter_single(p->bio, &iter, n);
		done += n;
	}
	return true;
}

static void piece_next(struct piece *p)
{
	p->off = (p->iter.bi_sector << SECTOR_SHIFT) & (DAXCOW_BLOCK_SIZE - 1);
	p->len = min(DAXCOW_BLOCK_SIZE - p->off, p->iter.bi_size);
}

static u64 piece_vblk(const struct piece *p)
{
	return p->iter.bi_sector >> BLOCK_SECTORS_SHIFT;
}

/* Whole blocks of zeroes from here on; unmapped together. */
static int write_zeroes(struct volume *vol, struct piece *p)
{
	u64 vblk = piece_vblk(p), nr = 0;

	while (p->iter.bi_size) {
		piece_next(p);
		if (p->len != DAXCOW_BLOCK_SIZE || !piece_is_zero(p))
			break;
		bio_advance_iter(p->bio, &p->iter, p->len);
		nr++;
	}
	return daxcow_discard(vol->core, vblk, nr);
}

/*
 * What waits for space goes on where it was. To write the first part again would move
 * it again, into the space that there is for the rest, and give back what it was in as
 * space for the next try, for ever.
 */
static int bio_write(struct volume *vol, struct bio *bio)
{
	struct piece p = { .bio = bio, .iter = bio->bi_iter };
	struct bvec_iter at;
	int ret = 0;

	while (p.iter.bi_size && !ret) {
		bool whole;

		at = p.iter;
		piece_next(&p);
		whole = p.len == DAXCOW_BLOCK_SIZE;
		if (whole && piece_is_zero(&p)) {
			ret = write_zeroes(vol, &p);
			continue;
		}
		ret = daxcow_overwrite(vol->core, piece_vblk(&p), whole,
				       piece_fill, &p);
		bio_advance_iter(bio, &p.iter, p.len);
		cond_resched();
	}
	if (ret == -ENOSPC)
		bio->bi_iter = at;
	daxcow_fence(vol->pool->core);
	return ret;
}

static int piece_read(struct volume *vol, const struct piece *p, const void *src)
{
	struct bvec_iter iter = p->iter;
	unsigned int done = 0;
	int ret = 0;

	while (done < p->len && !ret) {
		struct bio_vec bv = bio_iter_iovec(p->bio, iter);
		unsigned int n = min(bv.bv_len, p->len - done);
		void *dst = bvec_kmap_local(&bv);

		if (src)
			ret = pm_read(dst, src + p->off + done, n);
		else
			memset(dst, 0, n);
		flush_dcache_page(bv.bv_page);
		kunmap_local(dst);
		bio_advance_iter_single(p->bio, &iter, n);
		done += n;
	}
	return ret;
}

static int bio_read(struct volume *vol, struct bio *bio)
{
	struct piece p = { .bio = bio, .iter = bio->bi_iter };
	u64 block;
	long ret;

	while (p.iter.bi_size) {
		piece_next(&p);
		ret = daxcow_lookup(vol->core, piece_vblk(&p), 1, &block);
		if (ret < 0)
			return ret;
		if (block != DAXCOW_HOLE &&
		    !daxcow_bad_find(vol->pool->core, block, 1))
			return -EIO;
		ret = piece_read(vol, &p, block == DAXCOW_HOLE ? NULL :
				 daxcow_block_addr(vol->pool->core, block));
		if (ret)
			return ret;
		bio_advance_iter(bio, &p.iter, p.len);
		cond_resched();
	}
	return 0;
}

/* Whole blocks only; what is left at the ends keeps its content. */
static int bio_discard(struct volume *vol, struct bio *bio)
{
	u64 from = DIV_ROUND_UP_ULL(bio->bi_iter.bi_sector, BLOCK_SECTORS);
	u64 to = bio_end_sector(bio) >> BLOCK_SECTORS_SHIFT;

	if (vol->pool->features.ignore_discard || from >= to)
		return 0;
	return daxcow_discard(vol->core, from, to - from);
}

static int bio_do(struct volume *vol, struct bio *bio)
{
	switch (bio_op(bio)) {
	case REQ_OP_READ:
		return bio_read(vol, bio);
	case REQ_OP_WRITE:
		return bio_write(vol, bio);
	case REQ_OP_DISCARD:
		return bio_discard(vol, bio);
	default:
		return -EOPNOTSUPP;
	}
}

/*
 * The data is in place, and as a flush the bio now goes on to the data device,
 * which may have buffers of its own in front of the media. dm counts by its other
 * flags.
 */
static void flush_below(struct volume *vol, struct bio *bio)
{
	bio->bi_opf = (bio->bi_opf & ~REQ_FUA) | REQ_PREFLUSH;
	bio->bi_iter.bi_sector = 0;
	bio->bi_iter.bi_size = 0;
	bio_set_dev(bio, vol->pool->bdev);
	submit_bio_noacct(bio);
}

/*
 * Do a bio and end it, or keep it until there is space. It may be kept after
 * part of it was written: then it is what is left. Takes a mutex: bio-based
 * targets are called where they may sleep.
 */
int volume_bio(struct volume *vol, struct bio *bio)
{
	struct pool *pool = vol->pool;
	unsigned int noio = memalloc_noio_save();
	int idx, ret;

	idx = srcu_read_lock(&pool->srcu);
	ret = bio_do(vol, bio);
	srcu_read_unlock(&pool->srcu, idx);
	memalloc_noio_restore(noio);

	if (op_is_write(bio_op(bio)))
		pool_check_low_water(pool);
	if (ret == -ENOSPC) {
		pool_no_space(pool);
		if (pool_defer(vol, bio))
			return DM_MAPIO_SUBMITTED;
	}
	if (!ret && bio->bi_opf & REQ_FUA) {
		flush_below(vol, bio);
		return DM_MAPIO_SUBMITTED;
	}
	bio->bi_status = errno_to_blk_status(ret);
	bio_endio(bio);
	return DM_MAPIO_SUBMITTED;
}
