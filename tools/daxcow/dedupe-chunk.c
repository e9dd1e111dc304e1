// SPDX-License-Identifier: GPL-2.0
/*
 * Chunks that are mapped as a whole, in daxcow dedupe.
 *
 * A chunk that another one is equal to is dropped as a whole, and both stay mapped by
 * 2 MiB. Of others, single blocks may be dropped when there are enough of them to be
 * worth a split. A chunk that is not split has its blocks in the index nevertheless:
 * they can be kept for others.
 */
#include <stdlib.h>
#include "dedupe.h"

/* In struct dedupe's counted: nothing is to be done with the blocks of a chunk. */
#define SETTLED		0xffff0000U

static u32 *counted_of(const struct dedupe *d, u64 block)
{
	return &d->counted[(block + CHUNK_BLOCKS - d->store.s.align) /
			   CHUNK_BLOCKS];
}

/* Once for each part, also when we come here twice. */
static void count(struct dedupe *d, u64 block, u32 found)
{
	u32 *counted = counted_of(d, block);
	u32 mark = (d->index.part + 1) << 16;

	if (*counted >> 16 < mark >> 16)
		*counted = ((*counted & 0xffff) + found) | mark;
}

bool chunk_settled(const struct dedupe *d, u64 block)
{
	return *counted_of(d, block) >= SETTLED;
}

bool chunk_to_split(const struct dedupe *d, u64 block)
{
	u32 counted = *counted_of(d, block);

	return counted < SETTLED && (counted & 0xffff) >= d->store.s.split;
}

/* *@good is false when some of it cannot be read. */
static int read_chunk(struct dedupe *d, const struct daxcow_run *run,
		      bool *good)
{
	bool bad[PIECE_BLOCKS];
	u32 at, n, i;
	int rc;

	*good = true;
	for (at = 0; at < CHUNK_BLOCKS; at += n) {
		n = min(CHUNK_BLOCKS - at, scan_piece(d));
		rc = scan_read(d, (char *)d->chunk +
			       ((size_t)at << DAXCOW_BLOCK_SHIFT),
			       run->block + at, n, bad);
		if (rc)
			return rc;
		for (i = 0; i < n; i++) {
			*good &= !bad[i];
			if (bad[i] && !d->index.part)
				d->store.s.counts.unreadable++;
		}
	}
	d->partial |= !*good;
	return EXIT_DONE;
}

static int whole_chunk(struct dedupe *d, const struct daxcow_run *run,
		       const struct index_key *key, u32 zeroes, bool *gone)
{
	struct index_key all = hash_keys(&d->hasher, key, CHUNK_BLOCKS);
	u64 keep = pairs_find(&d->chunks, &all, run->block);

	*gone = false;
	if (zeroes == CHUNK_BLOCKS)
		keep = DAXCOW_MERGE_ZERO;
	if (keep)
		return pairs_chunk(d, &all, keep, run->block, run->domain,
				   gone);
	pairs_keep(d, &d->chunks, &all, run->block);
	return EXIT_DONE;
}

/* Those that others have too are dropped when there are enough of them. */
static int parts_of_chunk(struct dedupe *d, const struct daxcow_run *run,
			  const struct index_key *key, const bool *zero)
{
	u64 keep[CHUNK_BLOCKS] = { }, split = d->store.s.split;
	u32 i, found = 0;
	int rc = EXIT_DONE;

	for (i = 0; i < CHUNK_BLOCKS; i++) {
		u64 block = run->block + i;

		if (zero[i]) {
			keep[i] = d->index.part ? 0 : DAXCOW_MERGE_ZERO;
		} else if (index_part(&d->index, &key[i]) == d->index.part) {
			keep[i] = pairs_find(&d->index, &key[i], block);
			if (!keep[i])
				pairs_keep(d, &d->index, &key[i], block);
		}
		found += !!keep[i];
	}
	if (d->store.s.parts > 1) {
		count(d, run->block, found);
		return EXIT_DONE;
	}
	if (!split || found < split)
		return EXIT_DONE;
	/* what is left of it will be listed as blocks, which were read by now */
	*counted_of(d, run->block) = SETTLED;
	for (i = 0; !rc && i < CHUNK_BLOCKS; i++)
		if (keep[i])
			rc = pairs_add(d, &key[i], keep[i], run->block + i,
				       run->domain, DAXCOW_PAIR_SPLIT);
	return rc;
}

int chunk_take(struct dedupe *d, const struct daxcow_run *run)
{
	struct index_key key[CHUNK_BLOCKS];
	bool zero[CHUNK_BLOCKS], good, gone = false;
	const char *data = d->chunk;
	u32 i, zeroes = 0;
	int rc;

	d->store.s.align = run->block % CHUNK_BLOCKS;
	if (d->index.part && chunk_settled(d, run->block))
		return EXIT_DONE;
	rc = read_chunk(d, run, &good);
	if (rc || !good)
		return rc;
	scan_hash(d, data, CHUNK_BLOCKS, run->domain, key);
	for (i = 0; i < CHUNK_BLOCKS; i++, data += DAXCOW_BLOCK_SIZE) {
		zero[i] = is_zero(data);
		zeroes += zero[i];
	}
	if (!d->index.part)
		rc = whole_chunk(d, run, key, zeroes, &gone);
	if (!rc && !gone)
		return parts_of_chunk(d, run, key, zero);
	if (!rc)
		*counted_of(d, run->block) = SETTLED;
	return rc;
}
