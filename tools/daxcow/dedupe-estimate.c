// SPDX-License-Identifier: GPL-2.0
/*
 * What could be freed, without freeing it: daxcow dedupe --estimate.
 *
 * All blocks are read. Of their hashes only those are kept that end with some zero
 * bits, as many as it takes for the table to stay small; with none it is exact. What
 * is kept is a sample of contents, not of blocks: all blocks of a content are in it or
 * none.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "dedupe.h"

/**
 * struct content - blocks that are equal
 * @tag:	their hash, 0 for none
 * @blocks:	how many
 * @keeps:	how many of them have to stay, as owners of one are limited
 * @owners:	of the last of these, when all others are merged
 */
struct content {
	u64 tag;
	u32 blocks;
	u32 keeps : 20, owners : 12;
};

_Static_assert(sizeof(struct content) == 16, "more than 16 bytes");

/**
 * struct sample - contents
 * @slots:	of the table, a power of two
 * @nr:		of them in use
 * @bits:	zero bits of the hashes that are kept
 * @seen:	blocks, also of contents that are not kept
 */
struct sample {
	struct content *table;
	u64 slots, nr, seen;
	unsigned int bits;
};

static int sample_init(struct sample *s, u64 contents, size_t bytes)
{
	*s = (struct sample) { .slots = 64 };
	while (s->slots < contents / 3 * 4 &&
	       2 * s->slots * sizeof(*s->table) <= bytes)
		s->slots *= 2;
	s->table = calloc(s->slots, sizeof(*s->table));
	return s->table ? EXIT_DONE : fail(EXIT_FAILED, "out of memory");
}

/* Where a content is, or is to be. The lower bits say whether it is kept. */
static struct content *find(const struct sample *s, u64 tag)
{
	u64 i = tag >> 20 & (s->slots - 1);

	while (s->table[i].tag && s->table[i].tag != tag)
		i = (i + 1) & (s->slots - 1);
	return &s->table[i];
}

/* Half of them, in a new table. */
static int thin_out(struct sample *s)
{
	struct content *old = s->table;
	u64 i, mask = (1ULL << ++s->bits) - 1;

	s->table = calloc(s->slots, sizeof(*s->table));
	if (!s->table) {
		s->table = old;
		return fail(EXIT_FAILED, "out of memory");
	}
	s->nr = 0;
	for (i = 0; i < s->slots; i++) {
		if (!old[i].tag || old[i].tag & mask)
			continue;
		*find(s, old[i].tag) = old[i];
		s->nr++;
	}
	free(old);
	return EXIT_DONE;
}

static int sample_add(struct sample *s, const struct index_key *key, u32 owners)
{
	const u32 most = DAXCOW_OWNER_CAP;
	u64 tag = key->hi ^ key->lo;
	struct content *c;

	s->seen++;
	if (tag & ((1ULL << s->bits) - 1))
		return EXIT_DONE;
	/* 0 stands for none */
	tag = tag ? tag : 1ULL << 63;
	owners = min(owners, most);
	c = find(s, tag);
	s->nr += !c->tag;
	c->tag = tag;
	c->blocks++;
	if (!c->keeps || c->owners + owners > most) {
		c->keeps++;
		c->owners = 0;
	}
	c->owners += owners;
	return s->nr > s->slots / 4 * 3 ? thin_out(s) : EXIT_DONE;
}

/* In proportion to the blocks; *@variance of the result. */
static double sample_free(const struct sample *s, double *variance)
{
	double kept = 0, blocks = 0, share, scale = 1ULL << s->bits, off;
	u64 i;

	for (i = 0; i < s->slots; i++) {
		blocks += s->table[i].blocks;
		kept += s->table[i].keeps;
	}
	*variance = 0;
	if (!blocks)
		return 0;
	share = 1 - kept / blocks;
	for (i = 0; i < s->slots; i++) {
		off = (double)s->table[i].blocks - s->table[i].keeps -
		      share * s->table[i].blocks;
		*variance += scale * (scale - 1) * off * off;
	}
	return share * s->seen;
}

/**
 * struct survey - an estimate on its way
 * @zeroes:	blocks that are zero
 * @zero_chunks: chunks that are
 */
struct survey {
	struct dedupe *d;
	struct sample blocks, chunks;
	u64 zeroes, zero_chunks;
};

static int add_blocks(struct survey *v, const struct daxcow_run *run, u32 nr,
		      const bool *bad, struct index_key *key, u32 *zeroes)
{
	struct dedupe *d = v->d;
	const char *data = d->piece;
	int rc = EXIT_DONE;
	u32 i;

	for (i = 0; !rc && i < nr; i++, data += DAXCOW_BLOCK_SIZE) {
		if (bad[i]) {
			d->store.s.counts.unreadable++;
			d->partial = true;
			continue;
		}
		key[i] = hash_block(&d->hasher, data, run->domain);
		if (is_zero(data))
			++*zeroes;
		else
			rc = sample_add(&v->blocks, &key[i], run->owners);
	}
	return rc;
}

static int add_run(struct survey *v, const struct daxcow_run *run)
{
	struct index_key key[CHUNK_BLOCKS], all;
	bool bad[PIECE_BLOCKS], chunk = run->flags & DAXCOW_RUN_CHUNK &&
		run->nr == CHUNK_BLOCKS;
	u32 at, n, zeroes = 0;
	int rc;

	for (at = 0; at < run->nr && !stop_signal; at += n) {
		n = min(run->nr - at, scan_piece(v->d));
		rc = scan_read(v->d, v->d->piece, run->block + at, n, bad);
		if (!rc)
			rc = add_blocks(v, run, n, bad,
					chunk ? key + at : key, &zeroes);
		if (rc)
			return rc;
		scan_show(v->d);
	}
	v->zeroes += zeroes;
	if (!chunk || stop_signal)
		return EXIT_DONE;
	if (zeroes == CHUNK_BLOCKS) {
		v->zero_chunks++;
		return EXIT_DONE;
	}
	all = hash_keys(&v->d->hasher, key, CHUNK_BLOCKS);
	return sample_add(&v->chunks, &all, run->owners);
}

static int survey(struct survey *v)
{
	static struct daxcow_run page[PAGE_RUNS];
	struct dedupe *d = v->d;
	struct daxcow_ioc_blocks x;
	u64 at = 0;
	int rc;
	u32 i;

	while (at < d->kernel.blocks && !stop_signal) {
		rc = scan_list(d, &x, at, d->kernel.blocks, 0, page);
		for (i = 0; !rc && i < x.nr; i++) {
			if (!(page[i].flags & DAXCOW_RUN_BAD)) {
				rc = add_run(v, &page[i]);
				continue;
			}
			d->store.s.counts.unreadable += page[i].nr;
			d->partial = true;
		}
		if (rc)
			return rc;
		at = max(x.start, at + 1);
	}
	return EXIT_DONE;
}

int estimate(struct dedupe *d, struct estimate *e)
{
	u64 listed = d->store.s.counts.listed;
	struct survey v = { .d = d };
	double variance, ignored;
	size_t bytes = d->mem;
	int rc;

	/* two of them while one is thinned out, and a quarter is for chunks */
	rc = sample_init(&v.blocks, listed, bytes / 2);
	if (!rc)
		rc = sample_init(&v.chunks, listed / CHUNK_BLOCKS, bytes / 8);
	if (!rc)
		rc = survey(&v);
	if (!rc) {
		e->free = v.zeroes + sample_free(&v.blocks, &variance);
		e->free_2m = (v.zero_chunks + sample_free(&v.chunks, &ignored)) *
			     CHUNK_BLOCKS;
		e->error = 2 * sqrt(variance);
	}
	free(v.blocks.table);
	free(v.chunks.table);
	return rc;
}
