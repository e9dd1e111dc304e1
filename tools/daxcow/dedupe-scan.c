// SPDX-License-Identifier: GPL-2.0
/*
 * The way of daxcow dedupe through a pool.
 *
 * Step by step, each of them a walk through what is listed: whole chunks of 2 MiB
 * first, then the other blocks, then those that may be written to. When the index has
 * several parts these three are done for each, with the blocks whose hash belongs to
 * the part. A chunk is worth being split when many of its blocks are somewhere else
 * as well; with several parts this is known after the last of them only, and each is
 * mapped once more for the chunks that are to be split.
 *
 * All of it can be done twice: a block that finds itself in the index stays as it is.
 * So a run goes on after a kill from where it was a few seconds before.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "dedupe.h"

enum walk {
	CHUNKS,
	REST,
	HOT,
	NR_WALKS,
	SPLIT = NR_WALKS,
};

/* Hashed before the first of them is looked up. */
#define AHEAD		64
/* Seconds between two saves. */
#define SAVE_EVERY	3

int scan_list(const struct dedupe *d, struct daxcow_ioc_blocks *x, u64 start,
	      u64 end, u32 since, struct daxcow_run *page)
{
	int err;

	*x = (struct daxcow_ioc_blocks) {
		.start = start,
		.end = end,
		.since = since,
		.nr = PAGE_RUNS,
		.runs = (uintptr_t)page,
	};
	err = kernel_blocks(&d->kernel, x);
	return err ? fail_errno(-err, "%s: cannot list its blocks",
				d->pool->dm.name) : EXIT_DONE;
}

u32 scan_piece(const struct dedupe *d)
{
	double most = d->rate.rate / DAXCOW_BLOCK_SIZE / 8;

	if (!d->rate.rate || most > PIECE_BLOCKS)
		return PIECE_BLOCKS;
	return most < 1 ? 1 : most;
}

int scan_read(struct dedupe *d, void *buf, u64 block, u32 nr, bool *bad)
{
	int err = kernel_read(&d->kernel, buf, block, nr);
	u32 i;

	memset(bad, 0, nr * sizeof(*bad));
	for (i = 0; err == -EIO && nr > 1 && i < nr; i++) {
		char *to = (char *)buf + ((size_t)i << DAXCOW_BLOCK_SHIFT);
		int e = kernel_read(&d->kernel, to, block + i, 1);

		bad[i] = e == -EIO;
		if (e && e != -EIO)
			err = e;
	}
	if (err == -EIO && nr == 1)
		bad[0] = true;
	if (err && err != -EIO)
		return fail_errno(-err, "%s: cannot read block %llu",
				  d->pool->dm.name, (unsigned long long)block);
	d->store.s.counts.read += nr;
	pace_wait(&d->rate, (double)nr * DAXCOW_BLOCK_SIZE);
	pace_cpu(&d->cpu);
	return EXIT_DONE;
}

void scan_show(struct dedupe *d)
{
	const struct state *s = &d->store.s;
	u64 all = s->counts.listed * s->parts, done = min(s->counts.read, all);
	double t = now() - d->began, rate;
	char text[SIZE_TEXT], speed[SIZE_TEXT];

	if (now() - d->shown_at < 0.2)
		return;
	d->shown_at = now();
	rate = (s->counts.read - d->read_before) / t;
	progress("%s of %s, %s/s, %.0f s left, %llu blocks freed",
		 size_format(text, done << DAXCOW_BLOCK_SHIFT), d->total,
		 size_format(speed, (u64)rate << DAXCOW_BLOCK_SHIFT),
		 rate > 0 ? (all - done) / rate : 0,
		 (unsigned long long)s->counts.freed);
}

/* All that lies before the cursor has to be done when that is saved. */
static int checkpoint(struct dedupe *d, u64 cursor)
{
	int rc;

	d->store.s.cursor = cursor;
	scan_show(d);
	if (now() - d->saved_at < SAVE_EVERY)
		return EXIT_DONE;
	rc = pairs_flush(d);
	if (!rc)
		rc = store_save(&d->store);
	d->saved_at = now();
	return rc;
}

static bool stopping(const struct dedupe *d)
{
	return stop_signal || d->restart;
}

/* Look one block up; @zero when it is known to be. */
static int take(struct dedupe *d, const struct daxcow_run *run, u64 block,
		const struct index_key *key, bool zero, u32 flags)
{
	u64 keep;

	if (zero)
		return d->index.part ? EXIT_DONE :
			pairs_add(d, key, DAXCOW_MERGE_ZERO, block, run->domain,
				  flags);
	if (index_part(&d->index, key) != d->index.part)
		return EXIT_DONE;
	keep = pairs_find(&d->index, key, block);
	if (keep)
		return pairs_add(d, key, keep, block, run->domain, flags);
	if (!flags)
		pairs_keep(d, &d->index, key, block);
	return EXIT_DONE;
}

void scan_hash(const struct dedupe *d, const char *data, u32 nr, u32 domain,
	       struct index_key *key)
{
	u32 i;

	for (i = 0; i < nr; i++) {
		key[i] = hash_block(&d->hasher, data +
				    ((size_t)i << DAXCOW_BLOCK_SHIFT), domain);
		if (index_part(&d->index, &key[i]) == d->index.part)
			index_prefetch(&d->index, &key[i]);
	}
}

static int take_piece(struct dedupe *d, const struct daxcow_run *run, u64 block,
		      u32 nr, const bool *bad, u32 flags)
{
	struct index_key key[AHEAD];
	const char *data = d->piece;
	u32 at, i, n;
	int rc = EXIT_DONE;

	for (at = 0; at < nr; at += n) {
		n = min(nr - at, (u32)AHEAD);
		scan_hash(d, data, n, run->domain, key);
		for (i = 0; !rc && i < n; i++, data += DAXCOW_BLOCK_SIZE) {
			if (!bad[at + i])
				rc = take(d, run, block + at + i, &key[i],
					  is_zero(data), flags);
			else if (!d->index.part)
				d->store.s.counts.unreadable++;
			d->partial |= bad[at + i];
		}
		if (rc)
			break;
	}
	return rc;
}

static int blocks_run(struct dedupe *d, const struct daxcow_run *run, u32 flags)
{
	bool bad[PIECE_BLOCKS];
	u32 at, n;
	int rc;

	for (at = 0; at < run->nr && !stopping(d); at += n) {
		n = min(run->nr - at, scan_piece(d));
		rc = scan_read(d, d->piece, run->block + at, n, bad);
		if (!rc)
			rc = take_piece(d, run, run->block + at, n, bad, flags);
		if (!rc)
			rc = checkpoint(d, run->block + at + n);
		if (rc)
			return rc;
	}
	return EXIT_DONE;
}

/*
 * Blocks, as far as something is to be done with those of their chunk: in the end
 * those that are to be split, before that those that were not just split.
 */
static int loose_run(struct dedupe *d, const struct daxcow_run *run,
		     bool split)
{
	struct daxcow_run part = *run;
	u64 end = run->block + run->nr, next;
	int rc = EXIT_DONE;

	for (; !rc && part.block < end && !stopping(d); part.block = next) {
		next = part.block + CHUNK_BLOCKS -
		       (part.block + CHUNK_BLOCKS - d->store.s.align) %
		       CHUNK_BLOCKS;
		part.nr = min(next, end) - part.block;
		if (split ? chunk_to_split(d, part.block) :
			    !chunk_settled(d, part.block))
			rc = blocks_run(d, &part, split ? DAXCOW_PAIR_SPLIT : 0);
	}
	return rc;
}

/* ---- walks ---- */

/* Those of the last run that are left are tried now; others when told to. */
static bool may_rest(const struct dedupe *d)
{
	return d->rest.rate &&
	       (d->a->rest != NOT_GIVEN || d->store.s.segment);
}

static bool is_wanted(const struct dedupe *d, enum walk kind,
		      const struct daxcow_run *run)
{
	bool chunk = run->flags & DAXCOW_RUN_CHUNK;

	/* known to be bad, or written since we began: for the next run */
	if (run->flags & DAXCOW_RUN_BAD ||
	    run->generation >= d->store.s.generation)
		return false;
	if (kind == SPLIT)
		return !(run->flags & DAXCOW_RUN_HOT);
	/* the kernel tells a chunk as a whole; what is not one is let alone */
	if (chunk && run->nr != CHUNK_BLOCKS)
		return false;
	if (run->flags & DAXCOW_RUN_HOT)
		return kind == HOT && may_rest(d);
	return kind == (chunk ? CHUNKS : REST);
}

/* What is listed in any case is not looked at twice. */
static bool is_told(const struct dedupe *d, const struct daxcow_run *run)
{
	return d->store.s.segment && run->generation >= d->store.s.since;
}

static int note(struct dedupe *d, const struct daxcow_run *run)
{
	struct counts *n = &d->store.s.counts;

	if (run->flags & DAXCOW_RUN_BAD) {
		d->partial = true;
		if (!d->store.s.step)
			n->unreadable += run->nr;
		return EXIT_DONE;
	}
	if (!(run->flags & DAXCOW_RUN_HOT))
		return EXIT_DONE;
	if (!d->store.s.step)
		n->hot += run->nr;
	return leave(d, run->block, run->nr);
}

static int one_run(struct dedupe *d, enum walk kind,
		   const struct daxcow_run *run)
{
	int rc;

	if (is_told(d, run))
		return EXIT_DONE;
	rc = note(d, run);
	if (rc || !is_wanted(d, kind, run))
		return rc;
	if (kind != SPLIT && run->flags & DAXCOW_RUN_CHUNK)
		return chunk_take(d, run);
	return loose_run(d, run, kind == SPLIT);
}

/*
 * Neighbours that differ in what does not matter any more are read at once. Returns
 * how many are left.
 */
static u32 join_runs(const struct dedupe *d, struct daxcow_run *page, u32 nr)
{
	u32 i, left = 0;

	for (i = 0; i < nr; i++) {
		struct daxcow_run *r = &page[i], *last = &page[left - 1];

		if (left && !r->flags && !last->flags &&
		    r->domain == last->domain &&
		    r->block == last->block + last->nr &&
		    is_told(d, r) == is_told(d, last) &&
		    max(r->generation, last->generation) < d->store.s.generation)
			last->nr += r->nr;
		else
			page[left++] = *r;
	}
	return left;
}

/* From the cursor on to the end of the pool, or of a range. */
static int walk_segment(struct dedupe *d, enum walk kind, u64 end, u32 since)
{
	static struct daxcow_run page[PAGE_RUNS];
	struct daxcow_ioc_blocks x;
	u32 i, nr;
	u64 at;
	int rc;

	while (d->store.s.cursor < end && !stopping(d)) {
		at = d->store.s.cursor;
		rc = scan_list(d, &x, at, end, since, page);
		nr = rc ? 0 : join_runs(d, page, x.nr);
		for (i = 0; !rc && i < nr && !stopping(d); i++) {
			rc = one_run(d, kind, &page[i]);
			if (!rc && !stopping(d))
				rc = checkpoint(d, page[i].block + page[i].nr);
		}
		if (rc || stopping(d))
			return rc;
		d->store.s.cursor = max(x.start, at + 1);
	}
	return EXIT_DONE;
}

static int walk_all(struct dedupe *d, enum walk kind)
{
	struct state *s = &d->store.s;
	const struct ranges *last = &d->store.last;
	const struct range *r;
	int rc = EXIT_DONE;

	/* to list what is let alone anyway is work for nothing */
	if (kind == HOT && !may_rest(d)) {
		s->segment++;
		s->cursor = 0;
	}
	while (!rc && s->segment <= last->nr) {
		r = s->segment ? &last->range[s->segment - 1] : NULL;
		s->cursor = max(s->cursor, r ? r->start : 0);
		rc = walk_segment(d, kind, r ? r->start + r->nr :
				  d->kernel.blocks, r ? 0 : s->since);
		if (rc || stopping(d))
			break;
		s->segment++;
		s->cursor = 0;
	}
	return rc ? rc : pairs_flush(d);
}

int scan(struct dedupe *d)
{
	struct state *s = &d->store.s;
	u32 steps = s->parts * NR_WALKS + (s->parts > 1 && s->split ? s->parts : 0);
	int rc = EXIT_DONE, err;

	for (; s->step < steps && s->counts.listed; s->step++) {
		enum walk kind = s->step < s->parts * NR_WALKS ?
				   s->step % NR_WALKS : SPLIT;

		err = index_map(&d->index, kind == SPLIT ?
				s->step - s->parts * NR_WALKS :
				s->step / NR_WALKS);
		if (err)
			return fail_errno(-err, "cannot map the index");
		d->resting = kind == HOT;
		if (kind != HOT || d->rest.rate)
			rc = walk_all(d, kind);
		d->resting = false;
		if (rc || stopping(d))
			return rc;
		s->segment = 0;
		s->cursor = 0;
	}
	return EXIT_DONE;
}

static u32 owner_class(u32 owners)
{
	return owners ? 31 - __builtin_clz(owners) : 0;
}

/* How much there is to do, and how many owners it has. */
int scan_count(struct dedupe *d)
{
	static struct daxcow_run page[PAGE_RUNS];
	struct counts *n = &d->store.s.counts;
	struct daxcow_ioc_blocks x;
	u64 at = 0;
	size_t r;
	u32 i;
	int rc;

	while (at < d->kernel.blocks) {
		rc = scan_list(d, &x, at, d->kernel.blocks, d->store.s.since,
			       page);
		if (rc)
			return rc;
		for (i = 0; i < x.nr; i++) {
			n->listed += page[i].nr;
			n->owners[owner_class(page[i].owners)] += page[i].nr;
		}
		at = max(x.start, at + 1);
	}
	for (r = 0; r < d->store.last.nr; r++)
		n->listed += d->store.last.range[r].nr;
	return EXIT_DONE;
}
