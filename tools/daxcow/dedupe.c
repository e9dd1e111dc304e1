// SPDX-License-Identifier: GPL-2.0
/*
 * daxcow dedupe: find equal blocks, and have the kernel merge them.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "dedupe.h"

#define STATE_DIR	"/var/lib/daxcow"
#define ESTIMATE_MEM	(16ULL << 20)
/* Unless something else is asked for. */
#define RESTS		1000
#define INTERVAL	300

static int check_args(const struct args *a)
{
	if (a->mem && a->mem < MIN_MEM)
		return fail(EXIT_USAGE, "--mem: at least 64M is needed");
	if (a->estimate && a->follow)
		return fail(EXIT_USAGE, "either --estimate or --follow: an estimate is made once");
	if (a->interval != NOT_GIVEN && !a->follow)
		return fail(EXIT_USAGE, "--interval is for --follow");
	return EXIT_DONE;
}

static int out_of_memory(void)
{
	return fail(EXIT_FAILED, "out of memory");
}

static int prepare(struct dedupe *d)
{
	const struct args *a = d->a;
	int rc;

	d->rate.rate = a->rate;
	d->cpu.rate = given(a->cpu, 0) / 100.0;
	d->merges.rate = given(a->merges, 0);
	d->rest.rate = given(a->rest, RESTS);
	d->piece = aligned_alloc(DAXCOW_BLOCK_SIZE,
				 (size_t)PIECE_BLOCKS << DAXCOW_BLOCK_SHIFT);
	d->chunk = aligned_alloc(DAXCOW_BLOCK_SIZE,
				 (size_t)CHUNK_BLOCKS << DAXCOW_BLOCK_SHIFT);
	d->probe = aligned_alloc(DAXCOW_BLOCK_SIZE, DAXCOW_BLOCK_SIZE);
	if (!d->piece || !d->chunk || !d->probe)
		return out_of_memory();
	rc = batch_init(&d->batch, &d->index, BATCH_PAIRS);
	return rc ? rc : batch_init(&d->one, &d->chunks, 1);
}

static void release(struct dedupe *d)
{
	batch_free(&d->batch);
	batch_free(&d->one);
	free(d->piece);
	free(d->chunk);
	free(d->probe);
}

/* ---- a run ---- */

/* The load that the pool has; with @flags, a new generation of it. */
static int ask_generation(struct dedupe *d, u32 flags, u64 *instance,
			  u32 *generation)
{
	struct daxcow_run run;
	struct daxcow_ioc_blocks x = {
		.flags = flags,
		.end = 1,
		.nr = 1,
		.runs = (uintptr_t)&run,
	};
	int err = kernel_blocks(&d->kernel, &x);

	*instance = x.instance;
	*generation = x.generation;
	if (err == -EOVERFLOW)
		return fail(EXIT_FAILED, "%s: there are no more generations; stop and start the pool",
			    d->pool->dm.name);
	return err ? fail_errno(-err, "%s: cannot list its blocks",
				d->pool->dm.name) : EXIT_DONE;
}

/* Nothing is known of this load of the pool, or what is known is of no use. */
static int begin_again(struct dedupe *d, u64 instance, u32 generation)
{
	struct state *s = &d->store.s;
	int rc;

	index_files_close(d);
	rc = store_reset(&d->store);
	/* what was known goes before the index that it was known of */
	if (!rc)
		rc = store_save(&d->store);
	if (rc)
		return rc;
	s->instance = instance;
	s->generation = generation;
	s->split = given(d->a->split, SPLIT_DEFAULT);
	s->counts = d->before;
	rc = scan_count(d);
	if (rc)
		return rc;
	s->base = s->counts.listed;
	d->whole = true;
	return index_files_make(d, s->base);
}

static int begin_next(struct dedupe *d, u32 generation)
{
	struct state *s = &d->store.s;

	s->since = s->generation;
	s->generation = generation;
	s->split = given(d->a->split, SPLIT_DEFAULT);
	s->step = 0;
	s->segment = 0;
	s->cursor = 0;
	s->counts = (struct counts) { };
	ranges_clear(&d->store.last);
	d->store.last = d->store.next;
	d->store.next = (struct ranges) { };
	return scan_count(d);
}

static int begin(struct dedupe *d)
{
	struct state *s = &d->store.s;
	u64 instance, was = s->instance;
	u32 generation;
	bool known;
	int rc;

	d->whole = false;
	d->partial = false;
	d->resumed = false;
	rc = ask_generation(d, 0, &instance, &generation);
	if (rc)
		return rc;
	known = instance == was && index_files_reuse(d);
	d->resumed = known && s->running;
	if (!d->resumed) {
		rc = ask_generation(d, DAXCOW_BLOCKS_BEGIN, &instance,
				    &generation);
		if (!rc && known && instance == was)
			rc = begin_next(d, generation);
		else if (!rc)
			rc = begin_again(d, instance, generation);
	}
	if (rc)
		return rc;
	hash_init(&d->hasher, s->seed);
	d->whole |= !s->since;
	s->running = true;
	/* with one part it is known at once, and no more than a few chunks are lost */
	rc = index_files_counted(d, !d->resumed || s->parts == 1);
	return rc ? rc : store_save(&d->store);
}

/* Until it is done or a signal comes; d->restart when the index was too small. */
static int run(struct dedupe *d)
{
	struct state *s = &d->store.s;
	int rc, saved;

	d->began = now();
	rc = begin(d);
	if (rc)
		return rc;
	d->saved_at = now();
	d->read_before = s->counts.read;
	size_format(d->total, s->counts.listed * s->parts << DAXCOW_BLOCK_SHIFT);
	rc = scan(d);
	if (!rc)
		rc = pairs_finish(d);
	s->counts.usec += (now() - d->began) * 1e6;
	if (!rc && d->restart)
		s->parts = 0;
	else if (!rc && !stop_signal)
		s->running = false;
	/* what was found out before an error is kept as well */
	saved = store_save(&d->store);
	return rc ? rc : saved;
}

static int run_once(struct dedupe *d)
{
	int rc;

	d->restart = false;
	d->before = (struct counts) { };
	rc = run(d);
	index_files_close(d);
	/* the new index has room for all blocks that there are */
	if (!rc && d->restart) {
		d->restart = false;
		d->before = d->store.s.counts;
		d->before.listed = 0;
		memset(d->before.owners, 0, sizeof(d->before.owners));
		rc = run(d);
		index_files_close(d);
	}
	return rc;
}

static int exit_code(const struct dedupe *d)
{
	if (stop_signal)
		return 128 + stop_signal;
	if (!d->partial)
		return EXIT_DONE;
	return fail(EXIT_PARTIAL, "%s: some blocks could not be read or merged",
		    d->pool->dm.name);
}

/* It is not held open meanwhile: it may be stopped, and be started again. */
static int rest_a_while(struct dedupe *d)
{
	int rc;

	kernel_close(&d->kernel);
	wait_for(given(d->a->interval, INTERVAL));
	if (stop_signal)
		return EXIT_DONE;
	pool_close(d->pool);
	rc = pool_find(d->pool, d->a->word[0]);
	return rc ? rc : kernel_open(&d->kernel, d->pool);
}

static int follow(struct dedupe *d)
{
	const struct counts *n = &d->store.s.counts;
	int rc;

	do {
		rc = run_once(d);
		progress_end();
		if (!rc && (n->read || n->freed)) {
			if (d->a->json)
				rc = report(d, NULL);
			else
				report_line(d);
		}
		fflush(stdout);
		if (!rc && !stop_signal)
			rc = rest_a_while(d);
	} while (!rc && !stop_signal);
	return rc ? rc : 128 + stop_signal;
}

static int run_and_report(struct dedupe *d)
{
	int rc = run_once(d);

	if (!rc)
		rc = report(d, NULL);
	return rc ? rc : exit_code(d);
}

static int dedupe(struct dedupe *d)
{
	const char *dir = d->a->state ? d->a->state : STATE_DIR;
	int rc;

	/* if that fails, to open it says why */
	if (!d->a->state)
		mkdir(STATE_DIR, 0755);
	rc = store_open(&d->store, dir, d->pool->dm.name);
	if (!rc && d->a->follow)
		rc = follow(d);
	else if (!rc)
		rc = run_and_report(d);
	store_close(&d->store);
	return rc;
}

/* DAXCOW_TEST_TABLE is a hook for tests: bytes of the table. */
static int make_estimate(struct dedupe *d)
{
	const char *test = getenv("DAXCOW_TEST_TABLE");
	struct estimate e = { };
	int rc;

	rc = store_reset(&d->store);
	if (rc)
		return rc;
	d->mem = d->a->mem ? d->a->mem - OWN_MEM : ESTIMATE_MEM;
	if (test)
		d->mem = strtoull(test, NULL, 0);
	d->store.s.parts = 1;
	d->whole = true;
	d->began = now();
	hash_init(&d->hasher, d->store.s.seed);
	rc = scan_count(d);
	size_format(d->total, d->store.s.counts.listed << DAXCOW_BLOCK_SHIFT);
	if (!rc)
		rc = estimate(d, &e);
	d->store.s.counts.usec = (now() - d->began) * 1e6;
	/* half of a pool says nothing */
	if (!rc && !stop_signal)
		rc = report(d, &e);
	return rc ? rc : exit_code(d);
}

int cmd_dedupe(const struct args *a)
{
	struct dedupe d = {
		.a = a,
		.index.fd = -1,
		.chunks.fd = -1,
		.kernel.control = -1,
		.kernel.device = -1,
		.store.lock = -1,
	};
	struct pool pool;
	int rc;

	rc = check_args(a);
	if (!rc)
		rc = pool_find(&pool, a->word[0]);
	if (rc)
		return rc;
	d.pool = &pool;
	rc = kernel_open(&d.kernel, &pool);
	if (rc)
		goto out_pool;
	if (!a->no_nice)
		be_nice();
	catch_signals();
	rc = prepare(&d);
	if (!rc)
		rc = a->estimate ? make_estimate(&d) : dedupe(&d);
	release(&d);
	kernel_close(&d.kernel);
out_pool:
	pool_close(&pool);
	return rc;
}
