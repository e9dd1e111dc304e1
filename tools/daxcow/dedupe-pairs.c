// SPDX-License-Identifier: GPL-2.0
/*
 * Pairs of blocks on the way to the kernel, and what becomes of its answers.
 *
 * The index is a hint. When a pair cannot be merged because of the block that should
 * be kept, the next one of that hash is tried; when there is none, what should have
 * been dropped is the one to keep for those to come. What is mapped by several files
 * can be kept, but not dropped: then the two change places.
 */
#include <stdlib.h>
#include <string.h>
#include "dedupe.h"

/* Blocks to keep that are tried for one: more only when hashes have few bits. */
#define MAX_TRIES 256

int batch_init(struct batch *b, struct index *x, unsigned int nr)
{
	*b = (struct batch) {
		.x = x,
		.pair = calloc(nr, sizeof(*b->pair)),
		.more = calloc(nr, sizeof(*b->more)),
	};
	return b->pair && b->more ? EXIT_DONE :
				    fail(EXIT_FAILED, "out of memory");
}

void batch_free(struct batch *b)
{
	free(b->pair);
	free(b->more);
	*b = (struct batch) { };
}

int leave(struct dedupe *d, u64 block, u64 nr)
{
	if (ranges_add(&d->store.next, block, nr))
		return fail(EXIT_FAILED, "out of memory");
	return EXIT_DONE;
}

u64 pairs_find(const struct index *x, const struct index_key *key, u64 block)
{
	u64 found = index_find(x, key, 0);

	return found == block ? index_find(x, key, block) : found;
}

void pairs_keep(struct dedupe *d, struct index *x, const struct index_key *key,
		u64 block)
{
	if (!index_has(x, key, block) && index_insert(x, key, block))
		d->restart = true;
}

/* Whether a block is still data that has not changed since the run began. */
static int is_quiet(struct dedupe *d, u64 block, bool *quiet)
{
	struct daxcow_run page[PAGE_RUNS];
	struct daxcow_ioc_blocks x;
	int rc;

	rc = scan_list(d, &x, block, block + 1, 0, page);
	*quiet = !rc && x.nr && page[0].generation < d->store.s.generation &&
		 !(page[0].flags & DAXCOW_RUN_BAD);
	return rc;
}

/* Whether the block still has the hash that it was found by. */
static int has_hash(struct dedupe *d, const struct candidate *c, u64 block,
		    u32 nr, bool *has)
{
	struct index_key key[CHUNK_BLOCKS];
	bool bad = false;
	u32 i;
	int rc;

	for (i = 0; i < nr; i++) {
		rc = scan_read(d, d->probe, block + i, 1, &bad);
		if (rc)
			return rc;
		key[i] = hash_block(&d->hasher, d->probe, c->domain);
	}
	if (nr > 1)
		key[0] = hash_keys(&d->hasher, key, nr);
	*has = !bad && key[0].hi == c->key.hi && key[0].lo == c->key.lo;
	return EXIT_DONE;
}

/*
 * With the next block to keep. One that was removed has no next: all those that are
 * left come into question, for each of which there is a try.
 */
static bool next_keep(struct dedupe *d, struct batch *b, unsigned int i)
{
	struct daxcow_merge_pair *p = &b->pair[i];
	struct candidate *c = &b->more[i];
	u64 keep = p->keep;

	if (p->keep == DAXCOW_MERGE_ZERO || !index_has(b->x, &c->key, keep))
		keep = 0;
	keep = index_find(b->x, &c->key, keep);
	if (keep == p->drop)
		keep = index_find(b->x, &c->key, keep);
	if (keep && ++c->tries < MAX_TRIES) {
		p->keep = keep;
		return true;
	}
	/* with so many that are not equal, one more is of no use */
	if (c->tries < MAX_TRIES)
		pairs_keep(d, b->x, &c->key, p->drop);
	return false;
}

/* One of the two is not what it was. */
static int differs(struct dedupe *d, struct batch *b, unsigned int i,
		   bool *again)
{
	struct daxcow_merge_pair *p = &b->pair[i];
	struct candidate *c = &b->more[i];
	bool drop, keep = true;
	int rc;

	rc = has_hash(d, c, p->drop, p->nr, &drop);
	if (!rc && p->keep != DAXCOW_MERGE_ZERO)
		rc = has_hash(d, c, p->keep, p->nr, &keep);
	if (rc)
		return rc;
	if (!keep) {
		index_remove(b->x, &c->key, p->keep);
		rc = leave(d, p->keep, p->nr);
		if (rc)
			return rc;
	}
	if (!drop || p->keep == DAXCOW_MERGE_ZERO) {
		c->wait = true;
		return leave(d, p->drop, p->nr);
	}
	*again = next_keep(d, b, i);
	return EXIT_DONE;
}

static int stale(struct dedupe *d, struct batch *b, unsigned int i,
		 bool *again)
{
	struct daxcow_merge_pair *p = &b->pair[i];
	bool drop, keep = true;
	int rc;

	rc = is_quiet(d, p->drop, &drop);
	if (!rc && p->keep != DAXCOW_MERGE_ZERO)
		rc = is_quiet(d, p->keep, &keep);
	if (rc)
		return rc;
	if (!keep)
		index_remove(b->x, &b->more[i].key, p->keep);
	if (drop && !keep) {
		*again = next_keep(d, b, i);
		return EXIT_DONE;
	}
	/* what has changed is listed in the next run */
	b->more[i].wait = true;
	return drop ? leave(d, p->drop, p->nr) : EXIT_DONE;
}

static void merged(struct dedupe *d, struct batch *b, unsigned int i)
{
	const struct daxcow_merge_pair *p = &b->pair[i];
	struct counts *n = &d->store.s.counts;

	if (p->keep == DAXCOW_MERGE_ZERO)
		n->zeroes += p->nr;
	else if (p->nr > 1)
		n->merged_2m++;
	else
		n->merged_4k++;
	index_remove(b->x, &b->more[i].key, p->drop);
	if (b->more[i].swapped)
		pairs_keep(d, b->x, &b->more[i].key, p->keep);
}

static void swap(struct daxcow_merge_pair *p, struct candidate *c)
{
	u64 keep = p->keep;

	p->keep = p->drop;
	p->drop = keep;
	c->swapped = !c->swapped;
}

/*
 * The other way round first, unless a chunk would be split for it that may not be.
 * Returns whether that is to be tried.
 */
static bool pinned(struct daxcow_merge_pair *p, struct candidate *c)
{
	/* which of them is hot is not told: others may find the second one */
	c->wait = true;
	if (c->swapped) {
		swap(p, c);
		return false;
	}
	if (p->status != DAXCOW_MERGE_PINNED || p->keep == DAXCOW_MERGE_ZERO ||
	    p->flags)
		return false;
	swap(p, c);
	return true;
}

/* For now. */
static int give_up(struct dedupe *d, const struct daxcow_merge_pair *p,
		   struct candidate *c)
{
	d->partial = true;
	c->wait = true;
	return leave(d, p->drop, p->nr);
}

/* *@again when it is to be tried with another block. */
static int settle(struct dedupe *d, struct batch *b, unsigned int i,
		  bool *again)
{
	struct daxcow_merge_pair *p = &b->pair[i];
	struct candidate *c = &b->more[i];

	*again = false;
	b->last = p->status;
	if (p->status < NR_STATUS)
		d->store.s.counts.status[p->status]++;
	/* all other answers are to the pair as it was */
	switch (c->swapped && p->status != DAXCOW_MERGE_MERGED ?
		DAXCOW_MERGE_PINNED : p->status) {
	case DAXCOW_MERGE_MERGED:
		merged(d, b, i);
		return EXIT_DONE;
	case DAXCOW_MERGE_SAME:
	case DAXCOW_MERGE_HUGE:
		return EXIT_DONE;
	case DAXCOW_MERGE_DIFFERS:
		return differs(d, b, i, again);
	case DAXCOW_MERGE_STALE:
	case DAXCOW_MERGE_BAD:
		return stale(d, b, i, again);
	case DAXCOW_MERGE_CAP:
		index_remove(b->x, &c->key, p->keep);
		break;
	case DAXCOW_MERGE_HOT:
	case DAXCOW_MERGE_PINNED:
		*again = pinned(p, c);
		if (*again)
			return EXIT_DONE;
		break;
	case DAXCOW_MERGE_NOT_TRIED:
		*again = ++c->tries < MAX_TRIES;
		return *again ? EXIT_DONE : give_up(d, p, c);
	case DAXCOW_MERGE_NO_MEMORY:
		return give_up(d, p, c);
	}
	if (p->keep != DAXCOW_MERGE_ZERO)
		*again = next_keep(d, b, i);
	return c->wait && !*again ? leave(d, p->drop, p->nr) : EXIT_DONE;
}

/* How many pairs a call may have. */
static unsigned int slice(const struct dedupe *d, unsigned int nr)
{
	double most = BATCH_PAIRS;

	/* not more in a call than what is allowed in a fifth of a second */
	if (d->merges.rate)
		most = d->merges.rate / 5;
	if (d->resting && most > d->rest.rate / 10)
		most = d->rest.rate / 10;
	return most < 1 ? 1 : most < nr ? most : nr;
}

static int call(struct dedupe *d, struct daxcow_merge_pair *pair,
		unsigned int nr)
{
	struct counts *n = &d->store.s.counts;
	struct daxcow_ioc_merge x = {
		.nr = nr,
		.pairs = (uintptr_t)pair,
	};
	u32 asked, i;
	int err;

	/* both of a pair may be hot */
	for (i = 0; d->resting && i < nr; i++)
		x.rest += 2 * pair[i].nr;
	asked = x.rest;
	err = kernel_merge(&d->kernel, &x);

	if (err == -EOVERFLOW)
		return fail(EXIT_FAILED, "%s: there are no more generations; stop and start the pool",
			    d->pool->dm.name);
	if (err && err != -EINTR)
		return fail_errno(-err, "%s: cannot merge", d->pool->dm.name);
	n->freed += x.freed;
	d->store.s.saved += x.freed;
	if (asked) {
		n->rested += x.rest;
		pace_wait(&d->rest, x.rest);
	}
	pace_wait(&d->merges, nr);
	pace_cpu(&d->cpu);
	return EXIT_DONE;
}

static int call_all(struct dedupe *d, struct batch *b)
{
	unsigned int done, nr, i;
	int rc = EXIT_DONE;

	for (i = 0; i < b->nr; i++) {
		b->pair[i].generation = d->store.s.generation;
		b->pair[i].status = DAXCOW_MERGE_NOT_TRIED;
	}
	for (done = 0; !rc && done < b->nr; done += nr) {
		nr = slice(d, b->nr - done);
		rc = call(d, b->pair + done, nr);
	}
	return rc;
}

/* Until each of them is settled; when we are to stop, the rest is left. */
static int flush(struct dedupe *d, struct batch *b)
{
	unsigned int i, nr;
	bool again;
	int rc;

	while (b->nr) {
		rc = call_all(d, b);
		for (i = nr = 0; !rc && i < b->nr; i++) {
			rc = settle(d, b, i, &again);
			if (rc || !again)
				continue;
			if (stop_signal) {
				rc = leave(d, b->more[i].swapped ?
					   b->pair[i].keep : b->pair[i].drop,
					   b->pair[i].nr);
				continue;
			}
			b->pair[nr] = b->pair[i];
			b->more[nr++] = b->more[i];
		}
		if (rc)
			return rc;
		b->nr = nr;
	}
	return EXIT_DONE;
}

int pairs_flush(struct dedupe *d)
{
	return flush(d, &d->batch);
}

static void add(struct batch *b, const struct index_key *key, u64 keep,
		u64 drop, u32 nr, u32 domain, u32 flags)
{
	b->pair[b->nr] = (struct daxcow_merge_pair) {
		.keep = keep,
		.drop = drop,
		.nr = nr,
		.flags = flags,
	};
	b->more[b->nr++] = (struct candidate) {
		.key = *key,
		.domain = domain,
	};
}

/* As many as are done in two seconds: nothing is saved before they are. */
static unsigned int batch_limit(const struct dedupe *d)
{
	double most = BATCH_PAIRS;

	if (d->merges.rate)
		most = min(most, 2 * d->merges.rate);
	if (d->resting)
		most = min(most, d->rest.rate);
	return most < 1 ? 1 : most;
}

int pairs_add(struct dedupe *d, const struct index_key *key, u64 keep, u64 drop,
	      u32 domain, u32 flags)
{
	add(&d->batch, key, keep, drop, 1, domain, flags);
	return d->batch.nr >= batch_limit(d) ? pairs_flush(d) : EXIT_DONE;
}

/* At once: what becomes of its blocks depends on it. */
int pairs_chunk(struct dedupe *d, const struct index_key *key, u64 keep,
		u64 drop, u32 domain, bool *gone)
{
	struct batch *b = &d->one;
	int rc;

	add(b, key, keep, drop, CHUNK_BLOCKS, domain, 0);
	rc = flush(d, b);
	/* the blocks one by one may have few enough owners */
	*gone = b->more[0].wait || b->last == DAXCOW_MERGE_MERGED ||
		b->last == DAXCOW_MERGE_SAME;
	return rc;
}

int pairs_finish(struct dedupe *d)
{
	struct daxcow_ioc_merge x = { };
	int err = kernel_merge(&d->kernel, &x);

	if (err && err != -EINTR)
		return fail_errno(-err, "%s: cannot finish merging",
				  d->pool->dm.name);
	d->store.s.counts.freed += x.freed;
	d->store.s.saved += x.freed;
	return EXIT_DONE;
}
