// SPDX-License-Identifier: GPL-2.0
/*
 * Power cuts: random operations on the real engine over a recorder. Before
 * each fence, states that memory could be in are loaded with the real loader
 * and compared: an operation that changes one thing must be there or not; one
 * that has returned must be there. Then the same with flushes and fences left
 * out, to see that the checker notices.
 *
 * usage: crash [SEED [OPERATIONS]]     a failure prints both
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "platform.h"
#include "persist.h"
#include <daxcow/core.h>
#include <daxcow/pmem.h>

#define NR_VOLUMES	4
#define NR_PLACES	10
#define BLOCKS		(DAXCOW_CHUNK_BLOCKS * 24ULL)
#define SIZE		(BLOCKS * DAXCOW_BLOCK_SIZE)
#define STATES		4

struct state {
	bool exists[NR_VOLUMES];
	u64 tag[NR_VOLUMES][NR_PLACES];
};

static const u64 place[NR_PLACES] = {
	0, 1, DAXCOW_CHUNK_BLOCKS - 1, DAXCOW_CHUNK_BLOCKS,
	DAXCOW_CHUNK_BLOCKS * 2, DAXCOW_CHUNK_BLOCKS * 2 + 3,
	DAXCOW_CHUNK_BLOCKS * DAXCOW_CHUNK_BLOCKS,
	DAXCOW_CHUNK_BLOCKS * DAXCOW_CHUNK_BLOCKS + 1,
	DAXCOW_CHUNK_BLOCKS * DAXCOW_CHUNK_BLOCKS * DAXCOW_CHUNK_BLOCKS,
	DAXCOW_CHUNK_BLOCKS * DAXCOW_CHUNK_BLOCKS * DAXCOW_CHUNK_BLOCKS + 9,
};

static struct state before, after;
static bool done;		/* the operation has returned */
static bool piecewise;		/* each place is old or new on its own */
static u64 rng, images, next_tag;
static char *mem, *image;
static struct daxcow_pool *pool;
static char why[200];
static jmp_buf failed;

static u64 rnd(u64 n)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return rng % n;
}

static u64 none(u64 n)
{
	(void)n;
	return 0;
}

#define FAIL(...) do {							\
	snprintf(why, sizeof(why), __VA_ARGS__);			\
	longjmp(failed, 1);						\
} while (0)

static int fill(void *arg, void *dst)
{
	u64 buf[512], i;

	for (i = 0; i < 512; i++)
		buf[i] = *(u64 *)arg;
	pm_write(dst, buf, sizeof(buf));
	return 0;
}

/* What an image shows. Returns false, with a reason, when it is bad. */
static bool look(struct daxcow_pool *p, struct state *s)
{
	struct daxcow_volume *vol;
	u64 block, j;
	int v, i;

	memset(s, 0, sizeof(*s));
	for (v = 0; v < NR_VOLUMES; v++) {
		if (daxcow_open(p, v, &vol))
			continue;
		s->exists[v] = true;
		for (i = 0; i < NR_PLACES; i++) {
			const u64 *d;

			if (daxcow_lookup(vol, place[i], 1, &block) != 1) {
				snprintf(why, sizeof(why), "lookup");
				return false;
			}
			if (block == DAXCOW_HOLE)
				continue;
			d = daxcow_block_addr(p, block);
			for (j = 1; j < 512; j++) {
				if (d[j] == d[0])
					continue;
				snprintf(why, sizeof(why), "volume %d vblk %"
					 PRIu64 " is torn", v, place[i]);
				return false;
			}
			s->tag[v][i] = d[0];
		}
		daxcow_close(vol);
	}
	return true;
}

static bool legal(const struct state *s)
{
	int v, i;

	if (!memcmp(s, &after, sizeof(*s)))
		return true;
	if (done)
		return false;
	if (!memcmp(s, &before, sizeof(*s)))
		return true;
	if (!piecewise || memcmp(s->exists, before.exists, sizeof(s->exists)))
		return false;
	for (v = 0; v < NR_VOLUMES; v++)
		for (i = 0; i < NR_PLACES; i++)
			if (s->tag[v][i] != before.tag[v][i] &&
			    s->tag[v][i] != after.tag[v][i])
				return false;
	return true;
}

static void dump(const struct state *s)
{
	int v, i;

	for (v = 0; v < NR_VOLUMES; v++)
		for (i = 0; i < NR_PLACES; i++)
			fprintf(stderr, "volume %d place %d: %" PRIu64
				" before %" PRIu64 " after %" PRIu64 "\n", v, i,
				s->tag[v][i], before.tag[v][i], after.tag[v][i]);
	for (v = 0; v < NR_VOLUMES; v++)
		fprintf(stderr, "volume %d: %d before %d after %d\n", v,
			s->exists[v], before.exists[v], after.exists[v]);
}

static void check_image(u64 (*random)(u64 n))
{
	struct daxcow_report report;
	struct daxcow_pool *p;
	struct state s;
	bool ok;
	int ret;

	images++;
	persist_image(image, random);
	ret = daxcow_load(&p, image, BLOCKS, 0, NULL, &report);
	if (ret)
		FAIL("load: %d, %s at block %llu word %u", ret,
		     daxcow_bad_text(report.bad), report.block, report.index);
	ok = look(p, &s);
	daxcow_unload(p);
	if (!ok)
		longjmp(failed, 1);
	if (!legal(&s) && getenv("DAXCOW_CRASH_DUMP"))
		dump(&s);
	if (!legal(&s))
		FAIL("neither the state before nor the one after");
}

static void check_images(void)
{
	int i;

	check_image(none);
	for (i = 1; i < STATES; i++)
		check_image(rnd);
}

static void op_write(u32 v, bool whole)
{
	int i = rnd(NR_PLACES);
	u64 tag = next_tag++, block;
	struct daxcow_volume *vol;

	/* in place, a block may be torn: that is a store, not an operation */
	daxcow_open(pool, v, &vol);
	if (whole) {
		after.tag[v][i] = 0;
		daxcow_discard(vol, place[i], 1);
		memset(&before, 0, sizeof(before));
		look(pool, &before);
		after = before;
		after.tag[v][i] = tag;
		if (daxcow_overwrite(vol, place[i], true, fill, &tag))
			after = before;
	} else {
		/* nothing that a reader sees changes, hole or not */
		daxcow_provision(vol, place[i],
				 rnd(2) ? 1 : DAXCOW_CHUNK_BLOCKS, &block);
	}
	daxcow_close(vol);
}

static void op_discard(u32 v)
{
	u64 from = place[rnd(NR_PLACES)], nr = 1 + rnd(DAXCOW_CHUNK_BLOCKS * 70);
	struct daxcow_volume *vol;
	int i;

	for (i = 0; i < NR_PLACES; i++)
		if (place[i] >= from && place[i] - from < nr)
			after.tag[v][i] = 0;
	piecewise = true;
	daxcow_open(pool, v, &vol);
	if (daxcow_discard(vol, from, nr))
		look(pool, &after);
	daxcow_close(vol);
}

static void op_snapshot(u32 v)
{
	struct daxcow_volume_desc d[2] = { 0 };
	unsigned int n = 0;
	u32 i, want = 1 + rnd(2);

	for (i = 0; i < NR_VOLUMES && n < want; i++) {
		if (before.exists[i])
			continue;
		after.exists[i] = true;
		memcpy(after.tag[i], before.tag[v], sizeof(after.tag[v]));
		d[n].id = i;
		d[n++].origin = v;
	}
	if (n && daxcow_snapshot(pool, d, n))
		after = before;
}

static void op_delete(u32 v)
{
	after.exists[v] = false;
	memset(after.tag[v], 0, sizeof(after.tag[v]));
	if (daxcow_delete(pool, v))
		after = before;
}

static void op_rollback(u32 v)
{
	u32 from = rnd(NR_VOLUMES);

	if (!before.exists[from] || from == v)
		return;
	memcpy(after.tag[v], before.tag[from], sizeof(after.tag[v]));
	if (daxcow_rollback(pool, v, from))
		after = before;
}

static void op_shrink(u32 v)
{
	u64 size = place[1 + rnd(NR_PLACES - 1)];
	int i;

	/* a size above the recorded one cuts nothing */
	daxcow_resize(pool, v, DAXCOW_MAX_VOLUME_BLOCKS);
	for (i = 0; i < NR_PLACES; i++)
		if (place[i] >= size)
			after.tag[v][i] = 0;
	if (daxcow_resize(pool, v, size))
		after = before;
}

static void one(void)
{
	u32 v = rnd(NR_VOLUMES);
	int op = rnd(20);

	done = false;
	piecewise = false;
	if (getenv("DAXCOW_CRASH_DUMP"))
		fprintf(stderr, "op %d volume %u\n", op, v);
	look(pool, &before);
	after = before;
	if (!before.exists[v]) {
		struct daxcow_volume_desc d = { .id = v };

		after.exists[v] = true;
		if (daxcow_create(pool, &d))
			after = before;
	} else if (op < 6) {
		piecewise = true;
		op_write(v, true);
	} else if (op < 11) {
		op_write(v, false);
	} else if (op < 13) {
		op_discard(v);
	} else if (op < 16) {
		op_snapshot(v);
	} else if (op < 17) {
		op_delete(v);
	} else if (op < 18) {
		op_rollback(v);
	} else if (op < 19) {
		op_shrink(v);
	} else if (daxcow_reclaim_prepare(pool)) {
		while (daxcow_reclaim_run(pool))
			;
	}
	done = true;
	check_images();
}

/* 0 when all states were legal; else @why says what was not. */
static int run(u64 seed, unsigned long ops)
{
	struct daxcow_params p = { .uuid = (const u8 *)"crashcrashcrash" };
	volatile int ret = 0;
	unsigned long i;

	rng = seed * 0x9e3779b97f4a7c15ULL + 1;
	next_tag = 1;
	memset(mem, 0x5a, SIZE);
	daxcow_format(mem, BLOCKS, &p);
	if (daxcow_load(&pool, mem, BLOCKS, 0, NULL, NULL))
		return 1;
	persist_start(mem, SIZE, check_images);
	if (setjmp(failed))
		ret = 1;
	else
		for (i = 0; i < ops; i++)
			one();
	persist_stop();
	if (!ret)
		daxcow_unload(pool);
	return ret;
}

/* Leave out one after another; count those that no state shows. */
static int mutants(u64 seed, unsigned long ops, const char *what,
		   void (*drop)(long n), long nr)
{
	long n, found = 0;

	for (n = 0; n < nr; n++) {
		drop(n);
		found += run(seed, ops);
	}
	drop(-1);
	printf("%ld of %ld %s matter: leaving one out was noticed\n", found,
	       nr, what);
	/* some order nothing, such as the second of two in a row */
	return found * 2 < nr;
}

int main(int argc, char **argv)
{
	u64 seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 0;
	unsigned long ops = argc > 2 ? strtoul(argv[2], NULL, 0) : 150;
	u64 s, last = seed ? seed : 20;
	long flushes, fences;
	int ret;

	mem = aligned_alloc(4096, SIZE);
	image = aligned_alloc(4096, SIZE);
	for (s = seed ? seed : 1; s <= last; s++) {
		if (run(s, ops)) {
			printf("seed %" PRIu64 " operations %lu: %s\n", s, ops,
			       why);
			return 1;
		}
	}
	printf("%" PRIu64 " seeds, %lu operations each, %" PRIu64
	       " states after power cuts: all legal\n", last - (seed ? seed - 1 : 0),
	       ops, images);
	if (seed)
		return 0;
	run(3, 30);
	flushes = persist_flushes();
	fences = persist_fences();
	ret = mutants(3, 30, "flushes", persist_drop_flush, flushes);
	return mutants(3, 30, "fences", persist_drop_fence, fences) || ret;
}
