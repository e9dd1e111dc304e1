/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The daxcow engine: volumes that share the blocks of a pool.
 *
 * Units: a block is 4 KiB; "vblk" is a block of a volume, "block" one of the
 * pool. Errors are negative errnos; the same for many causes:
 *
 *   -ENOMEM  no memory; nothing has changed
 *   -ENOSPC  no free block; nothing has changed
 *   -EROFS   the pool is read-only
 *   -EIO     a memory error while copying, or on the way to a block, see
 *            daxcow_bad_add(); nothing has changed
 *   -EUCLEAN a table turned out damaged while in use; nothing has changed
 *
 * Locks. The engine has one, the pool's mutex, taken inside of each function
 * that changes something and never held while the host is called, but for
 * host->busy, mapped, wake and progress, which must not call back. It is not held while
 * a new block is filled, see fill.c. Whoever
 * calls may hold file system locks (direct_access runs under them), so on
 * Linux all functions that may run from there must be called with
 * memalloc_noio_save().
 *
 * Readers take no lock. daxcow_lookup() and the memory that it names are
 * valid inside of a *read section*, which the host defines (dax_read_lock,
 * SRCU, nothing in a single-threaded program). daxcow_reclaim_prepare() and
 * daxcow_reclaim_run() with a grace period between them free what nobody can
 * see any more.
 *
 * Invariants (tests and daxcow_verify() check them):
 *  I1  A block with more than one owner is written by nobody.
 *  I2  A block is reused, or written in place by its last owner, only when no
 *      former owner can still see it: a grace period has passed since the last one
 *      left, and host->busy() was false after that, and for a block without an owner
 *      host->mapped().
 *  I3  Every durable change is published by one 8-byte store, after all that
 *      it points to is durable.
 *  I4  The reverse map is exactly the transpose of the tables.
 *  I5  A block given to a volume never shows another volume's old bytes.
 */
#ifndef DAXCOW_CORE_H
#define DAXCOW_CORE_H

#include <daxcow/format.h>
#include <daxcow/check.h>

struct daxcow_pool;
struct daxcow_volume;

/**
 * struct daxcow_host - what the engine asks of its surroundings
 * @busy:	somebody outside holds a reference to one of @nr blocks from
 *		@block on, such as DMA; may be NULL
 * @mapped:	asked of blocks that have no owner: a file system still knows one
 *		of them, as its device was taken from below it; may be NULL
 * @wake:	reclaim has become worth running; may be NULL
 * @progress:	the tables are being walked, and @blocks have been found in use so
 *		far; may be NULL
 * @ctx:	passed to all
 * @bad:	blocks that are known to be bad when the pool is loaded; not used
 *		after that
 * @nr_bad:	their number
 * @held:	blocks of which @busy was true before the pool is loaded: until it is false
 *		none of them is given to anybody, nor written in place; not used after
 *		that
 * @nr_held:	their number
 */
struct daxcow_host {
	bool (*busy)(void *ctx, u64 block, u64 nr);
	bool (*mapped)(void *ctx, u64 block, u64 nr);
	void (*wake)(void *ctx);
	void (*progress)(void *ctx, u64 blocks);
	void *ctx;
	const u64 *bad;
	size_t nr_bad;
	const u64 *held;
	size_t nr_held;
};

/**
 * struct daxcow_params - how to make a pool
 * @uuid:	of the pool
 * @label:	may be NULL
 * @created:	seconds since 1970
 * @chunk_offset: first chunk-aligned block, see struct daxcow_super
 */
struct daxcow_params {
	const u8 *uuid;
	const char *label;
	u64 created;
	u64 chunk_offset;
};

/* Smallest pool: superblock, zero chunk, backup and a little to work with. */
#define DAXCOW_MIN_BLOCKS	(8ULL * DAXCOW_CHUNK_BLOCKS)

/**
 * daxcow_format() - write an empty pool
 * @base: the memory, @nr_blocks blocks
 *
 * What was there is not looked at. The superblock is written last, so that an
 * interrupted format leaves no pool. Returns 0, -EINVAL for a bad size or
 * offset (below DAXCOW_MIN_BLOCKS), -ENOMEM.
 */
int daxcow_format(void *base, u64 nr_blocks, const struct daxcow_params *p);

/* Flags of daxcow_load(). */
#define DAXCOW_LOAD_RO	0x1	/* nothing may be changed */

/**
 * daxcow_load() - validate a pool and build what is kept in memory
 * @poolp:	set on success
 * @base:	the memory; @nr_blocks may exceed the pool's size
 * @flags:	DAXCOW_LOAD_*
 * @host:	copied; may be NULL
 * @report:	set when the pool is refused; may be NULL
 *
 * Only reads the pool. Every entry that can be reached is checked. Returns 0,
 * -EMEDIUMTYPE (not a pool), -EPROTONOSUPPORT (foreign version or feature),
 * -EUCLEAN (damaged), -ENOMEM. Time and memory grow with the mapped size.
 */
int daxcow_load(struct daxcow_pool **poolp, void *base, u64 nr_blocks,
		unsigned int flags, const struct daxcow_host *host,
		struct daxcow_report *report);

/* No volume may be open and nobody in a read section. */
void daxcow_unload(struct daxcow_pool *pool);

/**
 * struct daxcow_pool_info - figures of a pool, in blocks
 * @nr_blocks:	size
 * @nr_free:	free now, those that wait for readers not included
 * @nr_pending:	blocks, chunks and tables that nobody owns any more, and that wait for a
 *		grace period or for who holds them
 * @settling:	some have left what others own, and a grace period for these is to come
 * @nr_meta:	superblocks, nodes and records
 * @nr_data:	data blocks, however many owners each has
 * @nr_chunks_free: whole free chunks
 * @reserve:	free blocks that data may not take
 * @nr_volumes:	volumes
 * @copies:	blocks copied to break sharing, since load
 * @provisions:	blocks given to unmapped places, since load
 * @merged:	blocks whose owners got another, equal one, since load
 * @unmapped:	blocks of zeroes that were unmapped by a merge, since load
 * @nr_bad:	blocks whose memory failed
 * @nr_retired:	those of them, or of former ones, that nobody owns and that are
 *		not used
 * @read_only:	nothing can be changed
 * @unknown:	that is so as long as there are volumes with tables that were bad when
 *		the pool was loaded; volumes can be deleted
 */
struct daxcow_pool_info {
	u64 nr_blocks, nr_free, nr_pending, nr_meta, nr_data;
	u64 nr_chunks_free, reserve, nr_volumes, copies, provisions;
	u64 merged, unmapped;
	u64 nr_bad, nr_retired;
	u64 trans, zero_block, chunk_offset, created;
	u64 dram_bytes;
	u8 uuid[DAXCOW_UUID_SIZE];
	char label[DAXCOW_NAME_SIZE];
	bool read_only, unknown, settling;
};

void daxcow_pool_info(struct daxcow_pool *pool, struct daxcow_pool_info *info);

/* Free blocks that data may take. Takes no lock: a hint. */
u64 daxcow_room(struct daxcow_pool *pool);

/*
 * Use more of the device: @nr_blocks blocks, the new ones neither busy nor mapped.
 * -EINVAL to shrink.
 */
int daxcow_grow(struct daxcow_pool *pool, u64 nr_blocks);

/* Swap user space's transaction id. -ESTALE when it is not @old. */
int daxcow_set_trans(struct daxcow_pool *pool, u64 old, u64 new);

/* ---- volumes by id; all or nothing, also across a crash ---- */

/**
 * struct daxcow_volume_desc - a volume to make
 * @id:		0 .. DAXCOW_MAX_ID
 * @origin:	volume to take a snapshot of; not used by daxcow_create()
 * @size:	in blocks, 0 to leave it to the table. Snapshots have their
 *		origin's.
 * @domain:	share domain, see daxcow_merge(). Snapshots have their origin's, and
 *		it never changes: blocks are shared inside of one domain only
 * @created:	seconds since 1970
 * @uuid:	unique
 * @name:	may be NULL
 * @pinned:	blocks of the origin that are being written behind the
 *		tables (DMA): the snapshot gets copies of them at once and the
 *		origin keeps the blocks. Sorted, without duplicates.
 * @nr_pinned:	their number
 * @ready:	asked under the pool's lock when all but the publishing is done:
 *		whether the origin may still be shared. Anything but 0 is what
 *		daxcow_snapshot() returns, and there is no snapshot. Nobody gets write
 *		access between a yes and the snapshot but who had noted before that
 *		it is asked, and is seen here: see daxcow_provision(). Must not call
 *		back; may be NULL
 * @arg:	for @ready
 */
struct daxcow_volume_desc {
	u32 id, origin;
	u64 size, created;
	u32 domain;
	const u8 *uuid;
	const char *name;
	const u64 *pinned;
	size_t nr_pinned;
	int (*ready)(void *arg);
	void *arg;
};

/* -EEXIST when the id is taken, -EINVAL for a bad id, size or name. */
int daxcow_create(struct daxcow_pool *pool, const struct daxcow_volume_desc *d);

/* Volumes in one atomic snapshot. */
#define DAXCOW_SNAPSHOT_MAX	64

/**
 * daxcow_snapshot() - writable snapshots of one or more volumes
 *
 * All of them or none: one store publishes all. The caller has made sure, at the
 * latest in @ready, that no write to the origins is under way or granted (I1).
 * Cost does not depend on the origins' sizes. Returns 0, -ENOENT (no such origin),
 * -EEXIST, -EINVAL, -ENOSPC, ..., or what @ready returned.
 */
int daxcow_snapshot(struct daxcow_pool *pool,
		    const struct daxcow_volume_desc *d, unsigned int nr);

/*
 * -ENOENT, -EBUSY when it is open. Space comes back through reclaim. Of a volume whose
 * record is bad, too: if that was so when the pool was loaded the pool has been
 * read-only, and can be changed again when reclaim is done with the last such volume.
 */
int daxcow_delete(struct daxcow_pool *pool, u32 id);

/*
 * Give @id the content and size that @from has. -EBUSY when one is open, -EXDEV when
 * they are in different domains.
 */
int daxcow_rollback(struct daxcow_pool *pool, u32 id, u32 from);

/**
 * daxcow_resize() - change a volume's recorded size
 *
 * Shrinking unmaps what is beyond. The volume may be open when it grows, else
 * -EBUSY.
 */
int daxcow_resize(struct daxcow_pool *pool, u32 id, u64 size);

/**
 * struct daxcow_volume_info - figures of a volume, in blocks
 * @open:	number of openers
 * @level:	of its root node, -1 when nothing is mapped
 */
struct daxcow_volume_info {
	u32 id, origin;
	u64 size, created;
	u32 domain;
	u8 uuid[DAXCOW_UUID_SIZE];
	char name[DAXCOW_NAME_SIZE];
	u32 open;
	int level;
};

/*
 * The volume with the smallest id >= @id. -ENOENT when there is none. Of one whose
 * record is bad only the id is known.
 */
int daxcow_next_volume(struct daxcow_pool *pool, u32 id,
		       struct daxcow_volume_info *info);

/**
 * struct daxcow_usage - what a volume maps, in blocks
 * @mapped:	all
 * @exclusive:	those with one owner, which is this volume: freed when it is deleted.
 *		What a merge has joined inside of the volume is not counted
 * @huge:	those mapped by whole chunks
 * @nodes:	exclusive nodes
 * @highest:	highest mapped vblk, ~0 when nothing is mapped
 */
struct daxcow_usage {
	u64 mapped, exclusive, huge, nodes, highest;
};

/*
 * Walks the volume's tables: slow for large ones; gives way to others. What is below
 * a table that is bad is not counted.
 */
int daxcow_usage(struct daxcow_pool *pool, u32 id, struct daxcow_usage *u);

/* ---- an open volume ---- */

/* Opening again gives the same volume. -ENOENT, -ENOMEM. */
int daxcow_open(struct daxcow_pool *pool, u32 id, struct daxcow_volume **volp);
void daxcow_close(struct daxcow_volume *vol);

u64 daxcow_volume_size(const struct daxcow_volume *vol);
/* Blocks mapped and the highest mapped vblk (~0: none), as dm-thin shows. */
void daxcow_volume_mapped(struct daxcow_volume *vol, u64 *mapped, u64 *highest);

#define DAXCOW_HOLE	(~0ULL)

/**
 * daxcow_lookup() - where a range lies, for reading
 * @block:	first block of the pool, or DAXCOW_HOLE: reads as zero
 *
 * Context: read section; takes no lock.
 * Return: how many blocks from @vblk on lie contiguously (or are unmapped),
 * at least 1 and at most @nr; -EUCLEAN, -EIO. Some of them may be bad: see
 * daxcow_bad_find().
 */
long daxcow_lookup(struct daxcow_volume *vol, u64 vblk, u64 nr, u64 *block);

/**
 * daxcow_provision() - make a range this volume's own, for writing
 * @block:	first block of the pool
 *
 * Breaks sharing and allocates. When it returns n, blocks [@vblk, @vblk + n)
 * lie contiguously at *@block, nobody else owns them, and the tables say so
 * durably. No block outside of that range has moved. A whole chunk is
 * copied or allocated at once when the range covers it, there is a free one,
 * and the pool's policy allows it.
 *
 * Context: read section. Takes the pool's lock, unless the range had been given before and
 * nothing that matters has changed since. What the caller stored before is seen by
 * daxcow_volume_desc.ready(), or the snapshot is seen here: there is a full barrier, or
 * the lock.
 * Return: 1 .. @nr, or -ENOSPC, -EROFS, -ENOMEM, -EIO, -EUCLEAN.
 */
long daxcow_provision(struct daxcow_volume *vol, u64 vblk, u64 nr, u64 *block);

/* Writes to a block; returns 0 or a negative errno, which is handed on. */
typedef int (*daxcow_fill_fn)(void *arg, void *dst);

/**
 * daxcow_overwrite() - write a block, or a part of one
 * @whole:	@fill writes all of it
 *
 * @fill uses the functions of pmem.h on the block that it is given: a new one,
 * which is published when it is durable. After a power cut the block is as
 * before or as after, and never in between; unless it had to be written in
 * place, because there is no free block, or DMA is under way to it. When all
 * of it is written nothing looks at the old content. The caller fences
 * (daxcow_fence()) before it acknowledges.
 *
 * Context: read section; takes the pool's lock. @fill runs without it, or with it, and
 * is called again when something else has happened meanwhile.
 * Return: as daxcow_provision(), or what @fill returned.
 */
int daxcow_overwrite(struct daxcow_volume *vol, u64 vblk, bool whole,
		     daxcow_fill_fn fill, void *arg);

/* Unmap a range: it reads as zero. Durable on return. */
int daxcow_discard(struct daxcow_volume *vol, u64 vblk, u64 nr);

/*
 * Zero one block: in place when it is this volume's own, else it is unmapped.
 * Durable on return.
 */
int daxcow_zero(struct daxcow_volume *vol, u64 vblk);

void *daxcow_block_addr(struct daxcow_pool *pool, u64 block);
void daxcow_fence(struct daxcow_pool *pool);

/* How a whole shared chunk is written (see daxcow_provision()). */
enum daxcow_cow { DAXCOW_COW_AUTO, DAXCOW_COW_4K, DAXCOW_COW_2M };
void daxcow_set_cow(struct daxcow_pool *pool, enum daxcow_cow cow);

/* ---- reclaim: one caller at a time ---- */

/**
 * daxcow_reclaim_prepare() - close a batch of what waits for readers
 * Return: whether there is any. The caller then waits for a grace period and
 * calls daxcow_reclaim_run() until it returns false.
 */
bool daxcow_reclaim_prepare(struct daxcow_pool *pool);
/* A bounded step, under the lock. Blocks that are busy wait for another batch. */
bool daxcow_reclaim_run(struct daxcow_pool *pool);

/* ---- owners ---- */

/**
 * enum daxcow_use - what a block of the pool is used for
 */
enum daxcow_use {
	DAXCOW_BLOCK_FREE,	/* or it waits until nobody sees it any more */
	DAXCOW_BLOCK_DATA,
	DAXCOW_BLOCK_TABLE,	/* of volumes */
	DAXCOW_BLOCK_RECORD,	/* of a volume */
	DAXCOW_BLOCK_POOL,	/* superblocks, directory, zero chunk */
	DAXCOW_BLOCK_RETIRED,	/* bad, and nobody's */
};

/**
 * struct daxcow_owner - one place where a block is mapped
 * @nr: blocks of the volume from @vblk on that are found through it: 1 for
 *	data, what a table or a record covers
 */
struct daxcow_owner {
	u32 volume;
	u64 vblk;
	u64 nr;
};

/**
 * daxcow_owners() - all volumes and places that a block belongs to
 * @block: data, a table or a record
 * @use: what it is; may be NULL
 * @fn: called for each, under the pool's lock; anything but 0 stops the walk, and is
 *	positive, or an error that the engine does not return
 * @again: what @fn was told of is not to be counted, it is called for all once more; as
 *	@fn. Without it the lock is held from the first to the last: for who stops soon
 *
 * Time grows with the number of owners, and the lock is given away now and then; unless
 * the map changes all the time, then it is kept in the end. Return: 0, what @fn returned, -ENOENT for
 * a block that no volume has, -ERANGE for one that is not in the pool.
 */
int daxcow_owners(struct daxcow_pool *pool, u64 block, enum daxcow_use *use,
		  int (*fn)(void *arg, const struct daxcow_owner *o),
		  void (*again)(void *arg), void *arg);

/* ---- merge ---- */

/**
 * daxcow_generation_begin() - tell what is written from now on from what was before
 * @gen:	the current generation
 *
 * A block that is given to a writer is of the current generation; all others are
 * below it when this returns. Return: 0, -EOVERFLOW: there are no more, until the
 * pool is loaded again.
 */
int daxcow_generation_begin(struct daxcow_pool *pool, u32 *gen);

/* The current one. */
u32 daxcow_generation(struct daxcow_pool *pool);

/**
 * struct daxcow_used - data blocks that lie in a row and are alike
 * @owners:	entries that name each of them
 * @generation:	of each of them
 * @chunk:	one chunk, mapped as a whole by somebody; of its blocks @owners and
 *		@generation are the highest
 */
struct daxcow_used {
	u64 block;
	u32 nr, owners, generation, domain;
	bool chunk, hot, bad;
};

/**
 * daxcow_used() - list the data blocks
 * @start:	from here on, or from the beginning of a chunk that it is in; moved
 *		to where to go on, which may be before @end although there is room
 * @since:	without those of older generations
 * @hot:	whether somebody may be writing to one of @nr blocks, asked of those
 *		that have one owner, without the pool's lock
 * @at:		gets up to @room runs
 *
 * Return: how many.
 */
size_t daxcow_used(struct daxcow_pool *pool, u64 *start, u64 end, u32 since,
		   bool (*hot)(void *ctx, u64 block, u64 nr), void *ctx,
		   struct daxcow_used *at, size_t room);

/*
 * A merge leaves a block with owners of no more families than this, so that walks are
 * short. Volumes that have it as they are clones of one another are of one.
 */
#define DAXCOW_MERGE_OWNERS	256
/* Nor gives another one to more entries at once. */
#define DAXCOW_MERGE_ENTRIES	1024
/* Nor looks at more tables for them: that is under the lock, some 50 ns for each. */
#define DAXCOW_MERGE_STEPS	16384
/* As the block to keep: the other is all zero, and is to be unmapped. */
#define DAXCOW_KEEP_ZERO	(~0ULL)

/**
 * struct daxcow_merge - two pieces with equal bytes
 * @keep:	first block of the one that stays, or DAXCOW_KEEP_ZERO
 * @drop:	first block of the one whose owners are to have @keep
 * @nr:		1, or DAXCOW_CHUNK_BLOCKS: both are chunks then
 * @before:	their bytes were compared in this generation, after all who had been
 *		given one of them in an older one had ended
 * @split:	a chunk that is mapped as a whole may be mapped by its blocks for it, which
 *		it is then also when there was no memory for the rest
 */
struct daxcow_merge {
	u64 keep, drop, nr;
	u32 before;
	bool split;
};

/**
 * daxcow_merge() - give all owners of one block another one with the same bytes
 *
 * Nobody needs to wait for it: a writer who gets one of the blocks after the compare
 * raises its generation, and then nothing is done. Until it is published the owners
 * can be told apart by nothing, so each gets it by a store of its own.
 *
 * Return: 0, -EALREADY (one block), -ESTALE (written since, or not data),
 * -EMLINK (too many owners), -EXDEV (different domains), -EFBIG (@split is
 * needed), -EIO (memory that failed), -EINVAL, -ENOMEM, -ENOSPC, -EUCLEAN, -EROFS.
 */
int daxcow_merge(struct daxcow_pool *pool, const struct daxcow_merge *m);

/* Whether it would be done: what can be told before the bytes are compared. */
int daxcow_merge_check(struct daxcow_pool *pool, const struct daxcow_merge *m);

/*
 * Whether one of the blocks has one owner, who was given write access since the pool
 * was loaded or the block merged, and may write without asking. If not nobody does
 * before the generation is raised.
 */
bool daxcow_exclusive(struct daxcow_pool *pool, u64 block, u64 nr);

/*
 * Whether a block has several owners, or the tables that lead to it have; or had, and
 * somebody may still see it (I2): as long as host->busy() is true of a block that is
 * shared it stays so, whoever leaves. Time is that of a lookup, and of a look at each
 * table of a family for one whose other owners have gone.
 */
bool daxcow_shared(struct daxcow_pool *pool, u64 block);

/* ---- memory that failed ---- */

/**
 * daxcow_bad_add() - nobody is to use a block any more
 *
 * It keeps its owners. What writes part of it, or would copy it, gets -EIO, and
 * what replaces or unmaps it does so. Nobody is given it, now or when the last
 * owner has left. What is below a table that is bad cannot be found (-EIO); without
 * the superblock or the directory the pool is read-only. Needs no memory that might
 * not be there.
 *
 * Return: 0, -EEXIST when it is bad already, -ERANGE.
 */
int daxcow_bad_add(struct daxcow_pool *pool, u64 block);

/* The block is good again, whatever it contains. -ENOENT, -ERANGE. */
int daxcow_bad_clear(struct daxcow_pool *pool, u64 block);

/* How many blocks from @block on are good, up to @nr. Takes no lock. */
u64 daxcow_bad_find(const struct daxcow_pool *pool, u64 block, u64 nr);

/**
 * daxcow_verify() - compare the tables with what is kept in memory (I4)
 *
 * Walks everything again into a second copy. Slow; for tests and check.
 * Return: 0, -EUCLEAN with @report set, -ENOMEM, -EBUSY while owners that
 * left wait to be reclaimed, or -EIO when a table cannot be read.
 */
int daxcow_verify(struct daxcow_pool *pool, struct daxcow_report *report);

#endif /* DAXCOW_CORE_H */
