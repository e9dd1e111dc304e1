// SPDX-License-Identifier: GPL-2.0
/*
 * Who holds blocks, and grace periods. See holders.c.
 *
 * Whoever holds a block came to it at a place of a volume. As long as it is there what
 * the volume writes to it is meant for him, too. When there is another one, or none, he
 * is a stranger to the block, and what he sees must not change any more.
 */
#include "holders.h"

#define for_each_hold(h) \
	for ((h) = t.hold; (h) < t.hold + NR_HOLDS; (h)++) \
		if ((h)->kind != HOLD_NONE)

/* ---- what the engine asks ---- */

bool holds_of(u64 block, u64 nr, enum hold_kind kind)
{
	const struct hold *h;

	for_each_hold(h)
		if (h->kind == kind && h->block >= block && h->block - block < nr)
			return true;
	return false;
}

static bool host_busy(void *ctx, u64 block, u64 nr)
{
	return holds_of(block, nr, HOLD_PIN) || holds_of(block, nr, HOLD_DMA);
}

static bool host_mapped(void *ctx, u64 block, u64 nr)
{
	return holds_of(block, nr, HOLD_MAPPED);
}

static void host_wake(void *ctx)
{
	t.woken = true;
}

const struct daxcow_host holds_host = {
	.busy = host_busy,
	.mapped = host_mapped,
	.wake = host_wake,
};

/* ---- what the test asks ---- */

bool holds_any(u64 block)
{
	const struct hold *h;

	for_each_hold(h)
		if (h->block == block)
			return true;
	return false;
}

bool holds_dma_in(u32 id)
{
	const struct hold *h;

	for_each_hold(h)
		if (h->kind == HOLD_DMA && h->volume == id)
			return true;
	return false;
}

/* Where DMA writes to a volume: sorted, without duplicates. Returns how many. */
u32 holds_pinned(u32 id, u64 *vblk)
{
	const struct hold *h, *first;
	u64 from = 0;
	u32 nr = 0;

	for (;;) {
		first = NULL;
		for_each_hold(h)
			if (h->kind == HOLD_DMA && h->volume == id &&
			    h->vblk >= from && (!first || h->vblk < first->vblk))
				first = h;
		if (!first)
			return nr;
		vblk[nr++] = first->vblk;
		from = first->vblk + 1;
	}
}

/* A part of a volume is going to be unmapped, whoever writes to it. */
void holds_may_move(u32 id, u64 vblk, u64 nr)
{
	struct hold *h;

	for_each_hold(h)
		if (h->volume == id && h->vblk >= vblk && h->vblk - vblk < nr)
			h->may_move = true;
}

/* ---- what must hold ---- */

static void hold_print(const struct hold *h)
{
	static const char * const name[] = {
		[HOLD_READ] = "a reader", [HOLD_PIN] = "a pin", [HOLD_DMA] = "DMA",
		[HOLD_MAPPED] = "a file system",
	};

	fprintf(stderr, "%s at block %" PRIu64 ", ", name[h->kind], h->block);
	if (h->volume == NOBODY)
		fprintf(stderr, "a stranger there");
	else
		fprintf(stderr, "through volume %u vblk %" PRIu64, h->volume, h->vblk);
	fprintf(stderr, ", since epoch %" PRIu64 " (now %" PRIu64 "): ", h->epoch,
		t.epoch);
}

#define CHECK_HOLD(h, cond, ...) do {					\
	if (!(cond)) {							\
		fail_begin(__FILE__, __LINE__);				\
		hold_print(h);						\
		fprintf(stderr, __VA_ARGS__);				\
		fail_end();						\
	}								\
} while (0)

/*
 * Volume @id writes to @block, which it has at @vblk. Nobody is to see that who has not
 * come to it there.
 */
void holds_written(u32 id, u64 vblk, u64 block, u64 tag)
{
	struct hold *h;

	for_each_hold(h) {
		if (h->block != block)
			continue;
		CHECK_HOLD(h, h->volume == id && h->vblk == vblk,
			   "volume %u writes to it, at vblk %" PRIu64, id, vblk);
		h->tag = tag;
	}
}

static void hold_estrange(struct hold *h)
{
	h->volume = NOBODY;
	happened(STRANGERS);
}

/* The volume has gone, or has another's content. */
void holds_estrange(u32 id)
{
	struct hold *h;

	for_each_hold(h)
		if (h->volume == id)
			hold_estrange(h);
}

/* Something has changed: who is a stranger now? */
void holds_settle(void)
{
	struct hold *h;
	u64 block;

	for_each_hold(h) {
		bool may_move = h->may_move;

		h->may_move = false;
		if (h->volume == NOBODY ||
		    !volume_lookup(h->volume, h->vblk, &block) || block == h->block)
			continue;
		CHECK_HOLD(h, h->kind != HOLD_DMA || may_move,
			   "block %" PRIu64 " is there instead", block);
		hold_estrange(h);
	}
}

/* Nobody may write to it; and of what is written to behind the tables, have it (I2). */
static void check_stranger(const struct hold *h)
{
	bool owner = has_owner(h->block);

	if (h->kind == HOLD_DMA || h->kind == HOLD_MAPPED)
		CHECK_HOLD(h, !owner, "it has an owner");
	else
		CHECK_HOLD(h, !owner || daxcow_shared(t.pool, h->block),
			   "it has an owner who may write to it");
}

/* It stays where it is, and the volume's own. */
static void check_dma(const struct hold *h)
{
	u64 block;

	if (volume_lookup(h->volume, h->vblk, &block) &&
	    !bad_test(t.pool, h->block))
		CHECK_HOLD(h, !daxcow_shared(t.pool, h->block), "it is shared");
}

void holds_check(void)
{
	const struct hold *h;

	for_each_hold(h) {
		CHECK_HOLD(h, block_tag(h->block) == h->tag,
			   "it shows %" PRIu64 ", and has been %" PRIu64,
			   block_tag(h->block), h->tag);
		if (h->volume == NOBODY)
			check_stranger(h);
		else if (h->kind == HOLD_DMA)
			check_dma(h);
	}
}

/* ---- to hold, and to let go ---- */

static struct hold *hold_unused(void)
{
	struct hold *h;

	for (h = t.hold; h < t.hold + NR_HOLDS; h++)
		if (h->kind == HOLD_NONE)
			return h;
	return NULL;
}

/* One of them, or a place for one. */
static struct hold *hold_random(void)
{
	return &t.hold[choose(NR_HOLDS)];
}

/* Write access was given to what nobody else holds. */
static void check_alone_at(u32 id, u64 vblk, u64 block)
{
	const struct hold *h;

	for_each_hold(h)
		CHECK_HOLD(h, h->block != block || (h->volume == id && h->vblk == vblk),
			   "DMA may write to it, for volume %u vblk %" PRIu64, id, vblk);
}

/* To read, or to hold it with a pin, or to write by DMA; or somebody else ends. */
void op_hold(u32 id, u64 vblk)
{
	enum hold_kind kind = choose(2) ? HOLD_READ : choose(2) ? HOLD_PIN : HOLD_DMA;
	struct hold *h = hold_unused();
	u64 block;

	if (!h) {
		hold_random()->kind = HOLD_NONE;
		return;
	}
	if (!volume_lookup(id, vblk, &block) || block == DAXCOW_HOLE ||
	    bad_test(t.pool, block))
		return;
	if (kind == HOLD_DMA) {
		if (!volume_give(id, vblk, 1, &block))
			return;
		check_alone_at(id, vblk, block);
	}
	*h = (struct hold) {
		.kind = kind,
		.volume = id,
		.vblk = vblk,
		.block = block,
		.tag = block_tag(block),
		.epoch = t.epoch,
	};
}

/* Also to what is unmapped: the device does not know. */
void op_dma(u32 id, u64 vblk)
{
	const struct hold *h = hold_random();
	u32 tag = new_tag();

	if (h->kind != HOLD_DMA)
		return;
	holds_written(h->volume, h->vblk, h->block, tag);
	block_fill(h->block, tag);
	if (h->volume != NOBODY)
		t.volume[h->volume].tag[h->vblk] = tag;
	happened(DMA_WRITES);
}

/* Readers end with the grace period. */
void op_release(u32 id, u64 vblk)
{
	struct hold *h = hold_random();

	if (h->kind != HOLD_READ)
		h->kind = HOLD_NONE;
}

/*
 * What nobody has: its device is gone, and the file system that was on it is not. With a
 * table that is bad it is not known that nobody has it.
 */
void op_remember(u32 id, u64 vblk)
{
	struct hold *h;

	if (bad_tables(t.pool))
		return;
	for_each_hold(h) {
		if (h->kind != HOLD_PIN || h->volume != NOBODY ||
		    has_owner(h->block) || choose(2))
			continue;
		h->kind = HOLD_MAPPED;
		happened(REMEMBERED);
	}
}

/* All but DMA to what is still mapped, which keeps nothing from being freed. */
void holds_let_go(void)
{
	struct hold *h;

	for_each_hold(h)
		if (h->kind != HOLD_DMA || h->volume == NOBODY)
			h->kind = HOLD_NONE;
}

/*
 * The pool is going to be unloaded. What is still held after that, by whom nobody
 * knows; of DMA, which must have ended for that, only what is unmapped.
 */
u32 holds_outlive(u64 *block)
{
	struct hold *h;
	u32 nr = 0;

	for_each_hold(h) {
		if (h->kind == HOLD_READ || h->kind == HOLD_MAPPED ||
		    (h->kind == HOLD_DMA && h->volume != NOBODY)) {
			h->kind = HOLD_NONE;
			continue;
		}
		h->volume = NOBODY;
		block[nr++] = h->block;
	}
	return nr;
}

/* ---- grace periods ---- */

static bool prepare(void)
{
	bool any = daxcow_reclaim_prepare(t.pool);

	CHECK(!any || t.woken || t.prepared, "there is work, and nobody was told");
	t.woken = false;
	if (any) {
		t.prepared = true;
		t.closed = t.epoch++;
	}
	return any;
}

/* All have ended who may have begun before it was prepared for. */
static void grace(void)
{
	struct hold *h;

	for_each_hold(h)
		if (h->kind == HOLD_READ && h->epoch <= t.closed)
			h->kind = HOLD_NONE;
	while (daxcow_reclaim_run(t.pool))
		;
	t.prepared = false;
	happened(GRACE_PERIODS);
}

/* Also when another is being waited for, which then has to begin anew. */
void op_prepare(u32 id, u64 vblk)
{
	if (!t.prepared || !choose(3))
		prepare();
}

void op_grace(u32 id, u64 vblk)
{
	if (t.prepared)
		grace();
}

/* A table among what waits may have others below it, and so on. */
void grace_drain(void)
{
	int i;

	for (i = 0; i < 8 && (prepare() || t.prepared); i++)
		grace();
}
