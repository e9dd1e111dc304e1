// SPDX-License-Identifier: GPL-2.0
/*
 * Power cuts. Operations run on the real engine over a recorder; before each
 * fence, and when the operation has returned, all states that memory may be
 * in are loaded with the real loader and compared with plain arrays: an
 * operation in flight is there or not, all others are.
 *
 * usage: crash			all of these, in the size of make check
 *	  crash format
 *	  crash sequences N	all sequences of up to N operations
 *	  crash random SEED N	N random operations
 *	  crash replay START I,I,...
 *	  crash threads N [I]	one operation (the I-th) beside up to N, 1 or 2
 *	  crash threads START I I,I [SCHEDULE]
 *
 * Only the last operation of a sequence is looked at: the one before it is
 * the last of a shorter sequence. Exit status: 0 all legal, 1 not.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include "check.h"
#include "persist.h"

#define MAX_SEQUENCE	100000

struct totals totals;
void (*explain)(void);
static char *mem;
static unsigned int start;
static struct world start_world, before, after, seen;
static const struct op *running;
static bool done, full;
static unsigned int *sequence, length;

void fail(const char *fmt, ...)
{
	va_list ap;

	if (explain)
		explain();
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	exit(1);
}

/* ---- where sequences begin ---- */

static const struct op shared[] = {
	{ OP_CREATE, 0, 0, 0 },
	{ OP_WRITE, 0, 0, 0 }, { OP_WRITE, 0, 0, 1 },
	{ OP_WRITE, 0, 0, 3 }, { OP_WRITE, 0, 0, 4 },
	{ OP_SNAPSHOT, 0, 1, 0 },
};

static const struct op chunk[] = {
	{ OP_CREATE, 0, 0, 0 }, { OP_HUGE, 0, 0, 2 }, { OP_STORE, 0, 0, 2 },
	{ OP_WRITE, 0, 0, 0 }, { OP_SNAPSHOT, 0, 1, 0 },
	{ OP_WRITE, 1, 0, 0 }, { OP_RECLAIM, 0, 0, 0 },
};

/* Blocks and chunks that are equal, and that have many owners; and zeroes. */
static const struct op equal[] = {
	{ OP_CREATE, 0, 0, 0 }, { OP_CREATE, 1, 0, 0 },
	{ OP_FILL, 0, 0, 0 }, { OP_FILL, 0, 0, 1 }, { OP_ZERO, 0, 0, 1 },
	{ OP_HUGE, 0, 0, 2 }, { OP_FILL, 0, 0, 2 }, { OP_WRITE, 0, 0, 3 },
	{ OP_FILL, 1, 0, 0 }, { OP_FILL, 1, 0, 1 }, { OP_STORE, 1, 0, 1 },
	{ OP_HUGE, 1, 0, 2 }, { OP_FILL, 1, 0, 2 },
	{ OP_SNAPSHOT, 1, 2, 0 }, { OP_WRITE, 2, 0, 1 },
	{ OP_RECLAIM, 0, 0, 0 },
};

static int do_all(struct daxcow_pool *pool, struct world *w,
		  const struct op *op, unsigned int nr)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; i < nr && !ret; i++) {
		world_apply(w, &op[i], i + 1);
		ret = op_do(pool, &op[i], i + 1);
	}
	return ret;
}

/* No block is left that data could have. */
static void fill_up(struct daxcow_pool *pool)
{
	struct daxcow_volume *vol;
	u64 v = 1024, block;

	daxcow_open(pool, 0, &vol);
	while (daxcow_provision(vol, v, 1, &block) > 0)
		v++;
	daxcow_close(vol);
}

char *start_set(unsigned int nr)
{
	struct daxcow_params p = { .uuid = (const u8 *)"crashcrashcrash" };
	struct daxcow_pool *pool;
	int ret = 0;

	start = nr;
	memset(&start_world, 0, sizeof(start_world));
	start_world.blocks = POOL_BLOCKS;
	if (!mem)
		mem = aligned_alloc(4096, POOL_BYTES_MAX);
	else
		persist_stop();
	memset(mem, 0x5a, POOL_BYTES_MAX);
	if (daxcow_format(mem, POOL_BLOCKS, &p) ||
	    daxcow_load(&pool, mem, POOL_BLOCKS_MAX, 0, NULL, NULL))
		abort();
	if (nr == 1 || nr == START_FULL)
		ret = do_all(pool, &start_world, shared, ARRAY_SIZE(shared));
	else if (nr == START_CHUNK)
		ret = do_all(pool, &start_world, chunk, ARRAY_SIZE(chunk));
	else if (nr == START_EQUAL)
		ret = do_all(pool, &start_world, equal, ARRAY_SIZE(equal));
	if (nr == START_FULL)
		fill_up(pool);
	if (ret)
		abort();
	daxcow_unload(pool);
	persist_start(mem, POOL_BYTES_MAX);
	return mem;
}

struct daxcow_pool *start_again(struct world *w)
{
	struct daxcow_pool *pool;

	persist_hook(NULL);
	persist_restart();
	*w = start_world;
	if (daxcow_load(&pool, mem, POOL_BLOCKS_MAX, 0, NULL, NULL))
		abort();
	return pool;
}

/* ---- states ---- */

struct world check_states(bool (*legal)(const struct world *w),
			  const struct op *in_place, const struct world *old)
{
	struct world w;
	const char *bad;
	u64 n = 0;

	persist_first();
	do {
		n++;
		bad = world_recover(&w, in_place, old);
		if (bad)
			fail("%s", bad);
		if (!legal(&w)) {
			world_print("this state", &w, old);
			fail("neither the state before nor one after");
		}
	} while (persist_next());
	totals.fences++;
	totals.states += n;
	totals.few += n <= 2;
	totals.most = max(totals.most, n);
	return w;
}

/* ---- one operation after the other ---- */

static bool legal(const struct world *w)
{
	if (world_equal(w, &after))
		return true;
	if (done)
		return false;
	return world_equal(w, &before) ||
	       (op_piecewise(running) && world_between(w, &before, &after));
}

/* Zeroing and a fill are; and writing, without a block to write to instead. */
static bool in_place(const struct op *op)
{
	return op->kind == OP_ZERO || op->kind == OP_FILL ||
	       (full && (op->kind == OP_WRITE || op->kind == OP_PART));
}

static void at_fence(void)
{
	seen = check_states(legal, !done && in_place(running) ? running : NULL,
			    &before);
}

static void explain_sequence(void)
{
	unsigned int i;

	printf("crash replay %u ", start);
	for (i = 0; i < length; i++)
		printf("%s%u", i ? "," : "", sequence[i]);
	printf("\n");
	for (i = length > 6 ? length - 6 : 0; i < length; i++)
		printf("  %s\n", op_name(&op_list[sequence[i]]));
	world_print("before the last", &before, &start_world);
}

/* Returns 0, or the operation's error, which has then changed nothing. */
static int step(struct daxcow_pool *pool, struct world *w, unsigned int index,
		u64 tag, bool look)
{
	bool expected;
	int ret;

	running = &op_list[index];
	before = *w;
	after = *w;
	done = false;
	expected = world_apply(&after, running, tag);
	full = daxcow_room(pool) <= DAXCOW_MAX_LEVEL + 1;
	persist_hook(look ? at_fence : NULL);
	ret = op_do(pool, running, tag);
	if (!ret && !expected)
		fail("succeeds, which it cannot");
	if (ret && expected && ret != -ENOSPC)
		fail("fails with %d", ret);
	if (ret && !op_piecewise(running))
		after = before;
	done = !ret || !op_piecewise(running);
	if (look)
		at_fence();
	/* what failed half way has done some of it */
	*w = done || !look ? after : seen;
	return ret;
}

/* Returns how many operations it has come to. */
static unsigned int run_sequence(void)
{
	struct daxcow_pool *pool;
	struct world w;
	unsigned int i;
	int ret = 0;

	pool = start_again(&w);
	for (i = 0; i < length && !ret; i++)
		ret = step(pool, &w, sequence[i], 100 + i, i + 1 == length);
	/* what fails changes nothing: a shorter sequence has looked at it */
	if (!ret || i == length) {
		totals.sequences++;
		if (daxcow_verify(pool, NULL) == -EUCLEAN)
			fail("owners in memory are not those in the tables");
	}
	daxcow_unload(pool);
	return i;
}

/* Merges take place where there is something to merge, and nothing else does there. */
static bool worth_it(void)
{
	bool merge = false;
	unsigned int i;

	for (i = 0; i < length; i++)
		merge |= op_merges(&op_list[sequence[i]]);
	if (start == START_EQUAL)
		return merge;
	return !merge || start == START_CHUNK;
}

/* All sequences that are @length long, but for what would follow on a failure. */
static void run_all(void)
{
	unsigned int i;

	memset(sequence, 0, length * sizeof(*sequence));
	for (;;) {
		i = worth_it() ? run_sequence() : length;
		for (; i < length; i++)
			sequence[i] = nr_op_list - 1;
		for (i = length; i-- > 0 && ++sequence[i] == nr_op_list;)
			sequence[i] = 0;
		if (i == ~0U)
			return;
	}
}

static void print_totals(const char *what)
{
	printf("%s: %" PRIu64 " sequences, %" PRIu64 " fences, %" PRIu64
	       " states recovered (%" PRIu64 " %% of fences have 1 or 2, the most is %"
	       PRIu64 "): all legal\n", what, totals.sequences, totals.fences,
	       totals.states, totals.few * 100 / max(totals.fences, 1UL),
	       totals.most);
	if (merges.tried)
		printf("  %" PRIu64 " merges: %" PRIu64 " of blocks, %" PRIu64
		       " of chunks, %" PRIu64 " with zero; %" PRIu64
		       " chunks split; %" PRIu64 " ended by a writer\n",
		       merges.tried, merges.blocks, merges.chunks, merges.zero,
		       merges.splits, merges.stale);
	memset(&merges, 0, sizeof(merges));
	fflush(stdout);
}

static void run_sequences(unsigned int most)
{
	char what[80];

	for (length = 1; length <= most; length++) {
		memset(&totals, 0, sizeof(totals));
		for (start = 0; start < NR_STARTS; start++) {
			start_set(start);
			run_all();
		}
		snprintf(what, sizeof(what), "all sequences of %u", length);
		print_totals(what);
		/* the median */
		if (totals.few * 2 < totals.fences)
			fail("more than two states at most fences");
	}
}

static u64 rnd(u64 *rng, u64 n)
{
	*rng ^= *rng << 13;
	*rng ^= *rng >> 7;
	*rng ^= *rng << 17;
	return *rng % n;
}

/* Fails of operations do not end it, and each one is looked at. */
static void run_random(u64 seed, unsigned int most)
{
	u64 rng = seed * 0x9e3779b97f4a7c15ULL + 1;
	struct daxcow_pool *pool;
	struct world w;

	start_set(rnd(&rng, NR_STARTS - 1));
	if (start == START_FULL)
		start_set(START_EQUAL);
	pool = start_again(&w);
	for (length = 0; length < most;) {
		sequence[length] = rnd(&rng, nr_op_list);
		length++;
		step(pool, &w, sequence[length - 1], 100 + length, true);
		if (!rnd(&rng, 20) && daxcow_verify(pool, NULL) == -EUCLEAN)
			fail("owners in memory are not those in the tables");
	}
	totals.sequences++;
	daxcow_unload(pool);
}

static void replay(unsigned int nr, char *text)
{
	char *p;

	start_set(nr);
	length = 0;
	for (p = strtok(text, ","); p; p = strtok(NULL, ","))
		sequence[length++] = strtoul(p, NULL, 0) % nr_op_list;
	run_sequence();
	print_totals("replayed");
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "all";
	u64 seed;

	sequence = calloc(MAX_SEQUENCE, sizeof(*sequence));
	explain = explain_sequence;
	if (argc == 1) {
		check_format();
		print_totals("format");
		explain = explain_sequence;
		run_sequences(3);
		memset(&totals, 0, sizeof(totals));
		for (seed = 1; seed <= 20; seed++)
			run_random(seed, 2000);
		print_totals("random sequences of 2000");
		check_threads(1, -1);
		print_totals("two threads");
	} else if (!strcmp(what, "sequences") && argc == 3) {
		run_sequences(strtoul(argv[2], NULL, 0));
	} else if (!strcmp(what, "random") && argc == 4) {
		run_random(strtoull(argv[2], NULL, 0),
			   min(strtoul(argv[3], NULL, 0), MAX_SEQUENCE + 0UL));
		print_totals("random");
	} else if (!strcmp(what, "format") && argc == 2) {
		check_format();
		print_totals("format");
	} else if (!strcmp(what, "threads") && (argc == 3 || argc == 4)) {
		check_threads(strtoul(argv[2], NULL, 0),
			      argc == 4 ? atoi(argv[3]) : -1);
		print_totals("two threads");
	} else if (!strcmp(what, "threads") && (argc == 5 || argc == 6)) {
		replay_threads(argv + 2);
		print_totals("replayed");
	} else if (!strcmp(what, "replay") && argc == 4) {
		replay(strtoul(argv[2], NULL, 0) % NR_STARTS, argv[3]);
	} else {
		fprintf(stderr, "usage: crash [format | sequences N | random SEED N | replay START I,I,... | threads N [I] | threads START I I,I [SCHEDULE]]\n");
		return 2;
	}
	return 0;
}
