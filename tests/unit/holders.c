// SPDX-License-Identifier: GPL-2.0
/*
 * Blocks that somebody holds.
 *
 * Who has looked a block up may look at it after its owner has left it. If it were
 * somebody else's by then, or another owner's alone who writes in place, he would see
 * what he must not (I2, I5). When the block may be used again depends on who holds it:
 *
 *   a reader		is in a read section, and ends with a grace period
 *   a pin		holds the page, to read it, for as long as it likes (host->busy)
 *   DMA		has been given write access, and writes behind the tables
 *   a file system	remembers a block that nobody owns (host->mapped)
 *
 * Here they are modelled beside the volumes, each of which is a tag for each of its
 * blocks. Random operations are done with the engine and with the model: all that
 * changes volumes, merges, loads, memory that fails, allocations that fail. Grace
 * periods begin and end at random moments. A third of all operations go to where something
 * is held, through any of its owners: a block that is left by one of them, and written
 * by another before the readers have ended, would else be rare.
 *
 * After each operation:
 *  - what is held shows what it did, but for what its own volume has written;
 *  - who is a stranger to what he holds, as the place where he found it has another
 *    block now, sees one that nobody has, or that nobody may write to;
 *  - DMA writes to the block that the volume has there, and to no other volume's.
 * Whenever blocks are given to a volume it is their only owner, they are good, and show
 * what it had before. From time to time all that volumes show is compared, the owners of
 * each block that the engine tells with the places that have it, and the engine's memory
 * with the tables; and when all have let go, all that nobody has must be free, and what
 * has one owner that one's own.
 *
 * A run has a seed, which says what is done, and whether memory fails, and whether it is
 * mostly about whole chunks.
 *
 * usage: holders-small [SEED [COUNT [STEPS]]]
 * A failure prints the seed and the step; "holders-small SEED 1" replays it. Without
 * arguments all kinds of what is counted must have happened, or nothing was tested.
 */
#include <signal.h>
#include "holders.h"

#define DEFAULT_RUNS	132
#define DEFAULT_STEPS	4000

struct test t;

static u64 state;
static u64 events[NR_EVENTS];

static const char * const event_name[NR_EVENTS] = {
	[MERGES] = "merges",
	[ZERO_MERGES] = "zero merges",
	[CHUNK_MERGES] = "chunk merges",
	[COPIES_HELD] = "copies under a holder",
	[WRITES_HELD] = "writes under a holder",
	[DMA_WRITES] = "DMA writes",
	[STRANGERS] = "strangers",
	[REMEMBERED] = "remembered blocks",
	[SNAPSHOTS] = "snapshots",
	[DMA_SNAPSHOTS] = "snapshots under DMA",
	[REFUSALS] = "refused snapshots",
	[DELETES] = "deletes",
	[ROLLBACKS] = "rollbacks",
	[SHRINKS] = "shrinks",
	[GROWS] = "grows",
	[GRACE_PERIODS] = "grace periods",
	[RELOADS] = "reloads",
	[HELD_RELOADS] = "reloads with held blocks",
	[BAD_BLOCKS] = "bad blocks",
	[BAD_TABLES] = "bad tables",
	[BAD_RECORDS] = "bad records",
	[NO_MEMORY] = "failed allocations",
	[VERIFIES] = "verifies",
};

u64 choose(u64 n)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (state * 0x2545f4914f6cdd1dULL >> 16) % n;
}

void happened(enum event e)
{
	events[e]++;
}

void fail_begin(const char *file, int line)
{
	fprintf(stderr, "%s:%d: seed %" PRIu64 " step %" PRIu64 ": ", file, line, t.seed,
		t.step);
}

_Noreturn void fail_end(void)
{
	fprintf(stderr, "\n");
	abort();
}

/* Sanitizers are to come here, too: they do not know of seeds. */
const char *__asan_default_options(void)
{
	return "abort_on_error=1";
}

const char *__ubsan_default_options(void)
{
	return "abort_on_error=1";
}

static void aborted(int sig)
{
	fprintf(stderr, "step %" PRIu64 " of: holders-small %" PRIu64 " 1\n", t.step,
		t.seed);
}

/* What is done, and how often: of single blocks mostly, and of whole chunks. */
static const struct op {
	void (*fn)(u32 id, u64 vblk);
	u32 weight[2];
} ops[] = {
	{ op_create,		{ 6, 10 } },
	{ op_write,		{ 70, 30 } },
	{ op_write_run,		{ 30, 60 } },
	{ op_overwrite,		{ 30, 10 } },
	{ op_zero,		{ 6, 2 } },
	{ op_discard,		{ 10, 10 } },
	{ op_snapshot,		{ 40, 15 } },
	{ op_delete,		{ 4, 4 } },
	{ op_rollback,		{ 3, 3 } },
	{ op_resize,		{ 2, 2 } },
	{ op_prepare,		{ 30, 40 } },
	{ op_grace,		{ 24, 24 } },
	{ op_hold,		{ 66, 60 } },
	{ op_dma,		{ 24, 20 } },
	{ op_release,		{ 18, 18 } },
	{ op_remember,		{ 6, 6 } },
	{ op_merge,		{ 60, 100 } },
	{ op_bad,		{ 3, 3 } },
	{ op_bad_record,	{ 1, 1 } },
	{ op_grow,		{ 4, 4 } },
	{ op_reload,		{ 1, 1 } },
};

static const struct op *choose_op(void)
{
	u32 sum = 0, i;
	u64 at;

	for (i = 0; i < ARRAY_SIZE(ops); i++)
		sum += ops[i].weight[t.chunks];
	at = choose(sum);
	for (i = 0; at >= ops[i].weight[t.chunks]; i++)
		at -= ops[i].weight[t.chunks];
	return &ops[i];
}

struct chosen {
	u32 id, nr;
	u64 vblk;
};

/* One of the owners, each as likely as the others. */
static int choose_owner(void *arg, const struct daxcow_owner *o)
{
	struct chosen *c = arg;

	/* of a table it is all that is below it */
	if (o->nr > 1)
		return 1;
	if (!choose(++c->nr)) {
		c->id = o->volume;
		c->vblk = o->vblk;
	}
	return 0;
}

/* Near the beginning, or far away, so that there are tables of all levels. */
static u64 choose_vblk(void)
{
	if (t.chunks)
		return choose(CHUNK * 8);
	return choose(5) ? choose(CHUNK * 16) : choose(16) << 8 | choose(4);
}

/* One that has what somebody holds, or that has any block, or any. */
static struct chosen choose_place(void)
{
	u64 kind = choose(6), i;
	struct chosen c = {
		.id = volume_any(true),
		.vblk = choose_vblk(),
	};

	for (i = 0; i < NR_HOLDS && !c.nr && kind > 1; i++) {
		const struct hold *h = &t.hold[choose(NR_HOLDS)];
		u64 block = choose(t.nr_blocks);

		if (h->kind != HOLD_NONE && kind > 3)
			block = h->block;
		daxcow_owners(t.pool, block, NULL, choose_owner, NULL, &c);
	}
	return c;
}

static void step(void)
{
	struct chosen c = choose_place();

	if (c.id == NOBODY)
		op_create(c.id, c.vblk);
	else
		choose_op()->fn(c.id, c.vblk);
	holds_settle();
	holds_check();
	if (!choose(80))
		pool_check();
}

static void run(u64 seed, u64 steps)
{
	t = (struct test) {
		.base = t.base,
		.seed = seed,
		.chunks = seed & 1,
		.bad = seed & 2,
		.next_tag = 100,
	};
	state = seed * 0x9e3779b97f4a7c15ULL + 88172645463325252ULL;
	pool_start();
	for (; t.step < steps; t.step++)
		step();
	pool_finish();
}

static void summary(u64 first, u64 nr)
{
	int i;

	printf("seeds %" PRIu64 "..%" PRIu64, first, first + nr - 1);
	for (i = 0; i < NR_EVENTS; i++)
		printf("%s %" PRIu64 " %s", i ? "," : ":", events[i], event_name[i]);
	printf("\n");
}

/* What has not happened has not been tested. */
static int missing(void)
{
	int i, nr = 0;

	for (i = 0; i < NR_EVENTS; i++) {
		if (events[i])
			continue;
		fprintf(stderr, "FAIL: no %s\n", event_name[i]);
		nr++;
	}
	return nr;
}

int main(int argc, char **argv)
{
	u64 first = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
	u64 nr = argc > 2 ? strtoull(argv[2], NULL, 0) : DEFAULT_RUNS, i;
	u64 steps = argc > 3 ? strtoull(argv[3], NULL, 0) : DEFAULT_STEPS;

	t.base = aligned_alloc(DAXCOW_BLOCK_SIZE, MAX_BLOCKS << DAXCOW_BLOCK_SHIFT);
	if (!t.base)
		return 1;
	signal(SIGABRT, aborted);
	for (i = first; i < first + nr; i++)
		run(i, steps);
	summary(first, nr);
	free(t.base);
	/* a few seeds need not do all */
	return argc == 1 && missing();
}
