/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the parts of the test of holders share. See holders.c.
 */
#ifndef DAXCOW_TESTS_HOLDERS_H
#define DAXCOW_TESTS_HOLDERS_H

#include <inttypes.h>
#include <stdio.h>
#include "internal.h"

/* A tag for each block that a volume may have is few in small nodes only. */
_Static_assert(DAXCOW_NODE_SHIFT <= 3, "needs small nodes");

#define CHUNK		((u64)DAXCOW_CHUNK_BLOCKS)
#define START_BLOCKS	(CHUNK * 64)
#define MAX_BLOCKS	(START_BLOCKS + CHUNK * 16)
#define NR_VOLUMES	12
#define NR_HOLDS	24
#define NR_BAD		6
#define NOBODY		(~0U)

/**
 * struct volume - what a volume ought to be
 * @open:	the engine's, or NULL
 * @tag:	of each block, which is that word all over; 0 is also a hole
 */
struct volume {
	struct daxcow_volume *open;
	bool exists;
	u64 size;
	u32 domain;
	u32 tag[DAXCOW_MAX_VOLUME_BLOCKS];
};

/* How somebody holds a block, see holders.c. */
enum hold_kind { HOLD_NONE, HOLD_READ, HOLD_PIN, HOLD_DMA, HOLD_MAPPED };

/**
 * struct hold - somebody holds a block
 * @volume:	he came to it there, at @vblk, and it is there still; or NOBODY
 * @tag:	what the block shows
 * @epoch:	of a reader, in which it began
 * @may_move:	of DMA: it is being unmapped
 */
struct hold {
	enum hold_kind kind;
	u32 volume;
	u64 vblk, block, tag, epoch;
	bool may_move;
};

/* What has to happen in a run, or it has tested nothing. */
enum event {
	MERGES, ZERO_MERGES, CHUNK_MERGES, COPIES_HELD, WRITES_HELD, DMA_WRITES,
	STRANGERS, REMEMBERED, SNAPSHOTS, DMA_SNAPSHOTS, REFUSALS, DELETES, ROLLBACKS,
	SHRINKS, GROWS, GRACE_PERIODS, RELOADS, HELD_RELOADS, BAD_BLOCKS, BAD_TABLES,
	BAD_RECORDS, NO_MEMORY, VERIFIES, NR_EVENTS
};

/**
 * struct test - the engine, and what it ought to be
 * @chunks:	mode: mostly whole chunks, at few places
 * @bad:	mode: memory fails
 * @next_tag:	one that has not been used
 * @woken:	the host was asked to reclaim
 * @prepared:	a grace period is being waited for, of @closed and the epochs before it
 */
struct test {
	struct daxcow_pool *pool;
	void *base;
	u64 nr_blocks;
	bool chunks, bad;
	u64 seed, step;
	struct volume volume[NR_VOLUMES];
	struct hold hold[NR_HOLDS];
	u64 bad_block[NR_BAD];
	u32 nr_bad, next_tag;
	bool woken, prepared;
	u64 epoch, closed;
};

extern struct test t;

u64 choose(u64 n);
void happened(enum event e);
void fail_begin(const char *file, int line);
_Noreturn void fail_end(void);

#define CHECK(cond, ...) do {						\
	if (!(cond)) {							\
		fail_begin(__FILE__, __LINE__);				\
		fprintf(stderr, __VA_ARGS__);				\
		fail_end();						\
	}								\
} while (0)

/*
 * A call of the engine. One in two meets a lack of memory: the first allocation fails,
 * then the second, and so on, until it can be done, or is given up.
 */
#define TRY(call) ({							\
	long at_ = choose(2) ? -1 : 0, ret_;				\
									\
	do {								\
		plat_fail_alloc(at_++);					\
		ret_ = (call);						\
		plat_fail_alloc(-1);					\
	} while (ret_ == -ENOMEM && choose(4));				\
	ret_;								\
})

/* ---- volumes (holders-volumes.c) ---- */

bool refused(long ret);
u64 block_tag(u64 block);
void block_fill(u64 block, u32 tag);
u32 new_tag(void);
struct daxcow_volume *volume_open(u32 id);
void volume_close(u32 id);
u32 volume_any(bool exists);
void volume_gone(u32 id);
bool volume_lookup(u32 id, u64 vblk, u64 *block);
u64 volume_give(u32 id, u64 vblk, u64 nr, u64 *block);
bool has_owner(u64 block);
void op_create(u32 id, u64 vblk);
void op_write(u32 id, u64 vblk);
void op_write_run(u32 id, u64 vblk);
void op_overwrite(u32 id, u64 vblk);
void op_zero(u32 id, u64 vblk);
void owners_leave(u64 block, u64 nr);
void op_discard(u32 id, u64 vblk);
void op_snapshot(u32 id, u64 vblk);
void op_delete(u32 id, u64 vblk);
void op_rollback(u32 id, u64 vblk);
void op_resize(u32 id, u64 vblk);

/* ---- who holds blocks (holders-holds.c) ---- */

extern const struct daxcow_host holds_host;

bool holds_of(u64 block, u64 nr, enum hold_kind kind);
bool holds_any(u64 block);
bool holds_dma_in(u32 id);
u32 holds_pinned(u32 id, u64 *vblk);
void holds_may_move(u32 id, u64 vblk, u64 nr);
void holds_written(u32 id, u64 vblk, u64 block, u64 tag);
void holds_estrange(u32 id);
void holds_settle(void);
void holds_check(void);
void holds_let_go(void);
u32 holds_outlive(u64 *block);
void grace_drain(void);
void op_hold(u32 id, u64 vblk);
void op_dma(u32 id, u64 vblk);
void op_release(u32 id, u64 vblk);
void op_remember(u32 id, u64 vblk);
void op_prepare(u32 id, u64 vblk);
void op_grace(u32 id, u64 vblk);

/* ---- the pool (holders-pool.c) ---- */

void pool_start(void);
void pool_finish(void);
void pool_check(void);
void op_merge(u32 id, u64 vblk);
void op_bad(u32 id, u64 vblk);
void op_bad_record(u32 id, u64 vblk);
void op_grow(u32 id, u64 vblk);
void op_reload(u32 id, u64 vblk);

#endif /* DAXCOW_TESTS_HOLDERS_H */
