/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a pool is to those who use it, as plain arrays, and the operations on
 * it: what each does to the arrays, and how it is done to a real pool.
 *
 * Only some blocks of each volume are looked at: the places. Each holds three
 * tags: one in its first half, one in its second, one in a word between them,
 * so that parts can be written.
 */
#ifndef TESTS_WORLD_H
#define TESTS_WORLD_H

#include "platform.h"
#include <daxcow/core.h>

#define NR_VOLUMES	4
#define NR_PLACES	5
#define POOL_BLOCKS	(12ULL * DAXCOW_CHUNK_BLOCKS)
#define POOL_BYTES	(POOL_BLOCKS * DAXCOW_BLOCK_SIZE)
/* the pool can grow by this much */
#define POOL_BLOCKS_MAX	(13ULL * DAXCOW_CHUNK_BLOCKS)
#define POOL_BYTES_MAX	(POOL_BLOCKS_MAX * DAXCOW_BLOCK_SIZE)

struct content {
	u64 first, word, second;
};

struct world {
	struct {
		bool exists;
		u64 size;
		struct content at[NR_PLACES];
	} volume[NR_VOLUMES];
	u64 trans, blocks;
};

enum op_kind {
	OP_CREATE,
	OP_WRITE,	/* a whole block */
	OP_PART,	/* the second half of a block */
	OP_STORE,	/* one word, as an owner with MAP_SYNC does */
	OP_FILL,	/* a whole block in the same way, with what others have too */
	OP_HUGE,	/* ask for write access to a chunk; nothing is written */
	OP_ZERO,
	OP_DISCARD,	/* one place */
	OP_DISCARD_ALL,
	OP_SNAPSHOT,	/* of volume, as other */
	OP_SNAPSHOT_PINNED,	/* the same while place is held by DMA */
	OP_SNAPSHOT_PAIR,	/* of 0 and 1, as 2 and 3 */
	OP_DELETE,
	OP_ROLLBACK,	/* of volume, to other */
	OP_SHRINK,
	OP_GROW,
	OP_RECLAIM,
	OP_TRANS,
	OP_GROW_POOL,
	OP_READ,	/* look a place up, and at its content later */
	OP_MERGE,	/* the place's block, with one of other that is equal */
	OP_MERGE_STORED,	/* the same; it becomes equal by a store not flushed */
	OP_MERGE_CHUNK,	/* the place's chunk, with that of other */
	OP_MERGE_ZERO,	/* unmap the place's block if it is all zero */
	OP_MERGE_ZERO_CHUNK,
	NR_OPS
};

struct op {
	enum op_kind kind;
	u32 volume, other, place;
};

/* All operations that sequences are made of. */
extern const struct op op_list[];
extern const unsigned int nr_op_list;

/* Those for two threads at a time. */
extern const struct op op_list_threads[];
extern const unsigned int nr_op_list_threads;

/*
 * What the kernel does around the engine, in threads.c. Direct writers keep a
 * snapshot of their volume waiting, and are kept waiting by one. A file system
 * has a block written directly or by bios, and does not mix them. And those
 * who look at blocks, whose end a grace period waits for.
 */
void writer_begin(const struct op *op);
void writer_end(const struct op *op);
void bio_begin(const struct op *op);
void bio_end(const struct op *op);
void freeze(u32 volume);
void thaw(u32 volume);
void reader_begin(void);
void reader_end(void);
void grace_period(void);
/* Until those have ended who write directly. */
void rest(void);
/* Nobody else runs in between: what tests do, and hosts do not. */
void in_one_go(bool on);
bool alone(void);
/* A word of the pool's tables is about to be loaded, by a reader or not. */
void before_load(void);
/* A read section, as daxcow/core.h has it: for any use of an open volume. */
void section_begin(void);
void section_end(void);
/* Others may run here. */
void switch_threads(void);

/* As text: a static buffer. */
const char *op_name(const struct op *op);

/**
 * world_apply() - what an operation does when it succeeds
 * @tag: written by this operation, where it writes
 * Returns false when it is bound to fail and to change nothing.
 */
bool world_apply(struct world *w, const struct op *op, u64 tag);

/*
 * Do it. 0 or an error. All that it must make durable has been when it
 * returns.
 */
int op_do(struct daxcow_pool *pool, const struct op *op, u64 tag);

/* The word in the middle of a block, and the one after it. */
#define WORD		(DAXCOW_NODE_SLOTS / 2 - 1)
#define HALF		(DAXCOW_NODE_SLOTS / 2)

/* The vblk of each place. */
extern const u64 place[NR_PLACES];

/* ---- merge.c ---- */

/**
 * struct merges - what became of merges
 * @tried:	pairs
 * @blocks:	single blocks that were merged
 * @chunks:	whole ones
 * @zero:	pieces that were unmapped
 * @splits:	tables made for chunks that lost a block
 * @stale:	ended by a writer
 */
struct merges {
	u64 tried, blocks, chunks, zero, splits, stale;
};

extern struct merges merges;

bool op_merges(const struct op *op);
/* As world_apply() and op_do(), for these. */
bool merge_apply(struct world *w, const struct op *op);
int merge_do(struct daxcow_pool *pool, const struct op *op);

/*
 * OP_READ: what was seen. A content that nothing has when it is torn.
 */
extern struct content op_read;

/* Whether its effect on different blocks comes bit by bit. */
bool op_piecewise(const struct op *op);

/*
 * Load the state after a power cut that is in the recorder's shadow and see
 * what there is. The content of volume and place of @in_place, if that is not
 * NULL, is being written in place: it is not looked at, and taken from @old.
 * Returns NULL, or what is wrong with the state.
 */
const char *world_recover(struct world *w, const struct op *in_place,
			  const struct world *old);

bool world_equal(const struct world *a, const struct world *b);

/* Whether each place is as in @a or as in @b, and all else as in both. */
bool world_between(const struct world *w, const struct world *a,
		   const struct world *b);

/* On stderr, where @w differs from @from. */
void world_print(const char *title, const struct world *w,
		 const struct world *from);

#endif
