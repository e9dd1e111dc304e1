/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Finding equal blocks: what the parts of daxcow dedupe share.
 *
 * A run lists the blocks that may have changed since the last one, reads each of
 * them once, and looks its hash up in an index that lives in a file. Two of one hash
 * are a pair, which the kernel compares and merges. See the files for how.
 */
#ifndef DAXCOW_TOOL_DEDUPE_H
#define DAXCOW_TOOL_DEDUPE_H

#include "dedupe-hash.h"
#include "dedupe-kernel.h"

#define CHUNK_BLOCKS	DAXCOW_CHUNK_BLOCKS
/* Read at once, at most. */
#define PIECE_BLOCKS	256
/* Pairs of one call, at most. */
#define BATCH_PAIRS	1024
#define NR_STATUS	(DAXCOW_MERGE_NO_MEMORY + 1)
/* Blocks with 1, 2 and 3, 4 to 7 and so on owners. */
#define OWNER_CLASSES	32

/* ---- dedupe-state.c: what the next run has to know ---- */

/**
 * struct ranges - places of the pool, which may overlap
 */
struct ranges {
	struct range {
		u64 start, nr;
	} *range;
	size_t nr;
};

/* 0 or -ENOMEM. What follows the last one is joined with it. */
int ranges_add(struct ranges *r, u64 start, u64 nr);
/* In order, each block once, and not so many of them that they cost much. */
void ranges_tidy(struct ranges *r);
void ranges_clear(struct ranges *r);

/**
 * struct counts - what a run has done; in blocks where nothing else is said
 * @listed:	that it has to look at
 * @read:	that it has read, as often as it did
 * @merged_4k:	pairs
 * @merged_2m:	pairs of chunks
 * @zeroes:	that were zero, and are unmapped
 * @freed:	that have no owner any more, as the kernel says
 * @rested:	whose write access was taken back
 * @status:	answers of the kernel, per pair, DAXCOW_MERGE_*
 * @unreadable:	that could not be read, or are known to be bad
 * @hot:	that may be written to, and are left for the next run
 * @usec:	time
 * @owners:	blocks by the power of two of their number of owners
 */
struct counts {
	u64 listed, read, merged_4k, merged_2m, zeroes, freed, rested;
	u64 status[NR_STATUS];
	u64 unreadable, hot, usec;
	u64 owners[OWNER_CLASSES];
};

/**
 * struct state - what is kept in the file; the lists of ranges follow it
 * @crc:	of all that follows
 * @seed:	of the hash
 * @instance:	load of the pool that generations belong to
 * @since:	generation of the last run that ended; 0 before the first
 * @generation:	of the run that goes on
 * @running:	it was not ended yet
 * @parts:	of the index
 * @step:	what has to be done now: see dedupe-scan.c
 * @split:	of --split, as a run with a smaller one finds more
 * @segment:	0 for the pool, or one more than the range of the last run
 * @cursor:	block to go on with
 * @buckets:	of each part of the index
 * @chunk_buckets: of the index of chunks
 * @align:	first block of any chunk, modulo a chunk's size
 * @base:	data blocks when the index was begun
 * @saved:	blocks freed since
 * @last:	ranges that the last run has left
 * @next:	ranges that this one leaves
 */
struct state {
	char magic[8];
	u32 version, crc;
	u64 seed, instance;
	u32 since, generation;
	u32 running, parts, step, split;
	u64 segment, cursor;
	u64 buckets, chunk_buckets, align;
	u64 base, saved;
	struct counts counts;
	u64 nr_last, nr_next;
};

/**
 * struct store - the state of one pool, which is locked
 * @dir:	directory
 * @name:	what its files begin with
 */
struct store {
	const char *dir, *name;
	int lock;
	struct state s;
	struct ranges last, next;
};

#define STORE_PATH 4096
const char *store_path(const struct store *st, const char *suffix,
		       char path[STORE_PATH]);
/* Says what is wrong; EXIT_BUSY when another one works on that pool. */
int store_open(struct store *st, const char *dir, const char *name);
void store_close(struct store *st);
/* Forget what is known: a new seed, and no run before. Says what is wrong. */
int store_reset(struct store *st);
/* A kill at any time leaves the old one or the new one. Says what is wrong. */
int store_save(struct store *st);

/* ---- dedupe-throttle.c ---- */

/**
 * struct pace - something that has a rate
 * @rate:	per second; 0 for no limit
 * @next:	when the next one is due
 */
struct pace {
	double rate, next;
};

double now(void);
/* After @n of them: wait until the rate is kept. A signal ends it. */
void pace_wait(struct pace *p, double n);
/* After some work: wait until no more than that share of a processor was used. */
void pace_cpu(struct pace *p);
/* Wait for @seconds, or a signal. */
void wait_for(double seconds);
/* Set by SIGINT and SIGTERM: what there is to save is saved, then we end. */
extern volatile int stop_signal;
void catch_signals(void);
void be_nice(void);

/* ---- dedupe-pairs.c ---- */

/**
 * struct candidate - what is known of a pair beside the pair
 * @key:	hash of both
 * @domain:	of both
 * @tries:	how often it was changed and tried again
 * @wait:	it is left for the next run
 * @swapped:	tried the other way round, as what should be dropped is pinned
 */
struct candidate {
	struct index_key key;
	u32 domain;
	u16 tries;
	bool wait, swapped;
};

/**
 * struct batch - pairs on the way to the kernel
 * @x:		index that they come from
 * @last:	status of the one that was settled last
 */
struct batch {
	struct index *x;
	struct daxcow_merge_pair *pair;
	struct candidate *more;
	unsigned int nr;
	u32 last;
};

/**
 * struct dedupe - a run
 * @before:	what was done before the index was full
 * @index:	of blocks
 * @chunks:	of chunks
 * @counted:	for each chunk, how many of its blocks others have too, or that
 *		nothing more is to be done with them. See dedupe-chunk.c
 * @batch:	pairs of blocks
 * @one:	a pair of chunks
 * @resting:	write access may be taken back now
 * @restart:	the index is full: begin again
 * @partial:	less was covered than was asked for
 * @resumed:	the run before was ended by a signal or a kill
 * @whole:	of all blocks, not of those that have changed
 * @mem:	limit, in bytes
 * @began:	when
 * @read_before: blocks that were read by then
 * @total:	what there is to read, for people
 */
struct dedupe {
	const struct args *a;
	struct pool *pool;
	struct kernel kernel;
	struct store store;
	struct counts before;
	struct hasher hasher;
	struct index index, chunks;
	u32 *counted;
	size_t nr_counted;
	struct batch batch, one;
	struct pace rate, cpu, merges, rest;
	void *piece, *probe, *chunk;
	u64 mem;
	bool resting, restart, partial, resumed, whole;
	double began, saved_at, shown_at;
	u64 read_before;
	char total[SIZE_TEXT];
};

int batch_init(struct batch *b, struct index *x, unsigned int nr);
void batch_free(struct batch *b);

/*
 * All of these say what is wrong and return an exit code. A pair may be tried with
 * several blocks to keep until one is merged, or what should be dropped gets into
 * the index itself.
 */
int pairs_add(struct dedupe *d, const struct index_key *key, u64 keep, u64 drop,
	      u32 domain, u32 flags);
int pairs_flush(struct dedupe *d);
/* A chunk; *@gone when nothing is to be done with its blocks in this run. */
int pairs_chunk(struct dedupe *d, const struct index_key *key, u64 keep,
		u64 drop, u32 domain, bool *gone);
/* A block with that key, but not @block, which may be in the index as well. */
u64 pairs_find(const struct index *x, const struct index_key *key, u64 block);
/* Put a block into the index, where it may be already. */
void pairs_keep(struct dedupe *d, struct index *x, const struct index_key *key,
		u64 block);
/* Let the kernel end what was left, and add what that frees. */
int pairs_finish(struct dedupe *d);
/* Remember for the next run. */
int leave(struct dedupe *d, u64 block, u64 nr);

/* ---- dedupe-scan.c ---- */

/* Read with EIO taken for bad blocks, of which @bad is set. 0 or an exit code. */
int scan_read(struct dedupe *d, void *buf, u64 block, u32 nr, bool *bad);
/* Largest piece that is read at once at the rate that is allowed. */
u32 scan_piece(const struct dedupe *d);
int scan_count(struct dedupe *d);
void scan_show(struct dedupe *d);
int scan(struct dedupe *d);
/* Ask for a page of runs; says what is wrong. */
int scan_list(const struct dedupe *d, struct daxcow_ioc_blocks *x, u64 start,
	      u64 end, u32 since, struct daxcow_run *page);
#define PAGE_RUNS 1024
/* Hashes of what was read; those of the part that is mapped are looked for. */
void scan_hash(const struct dedupe *d, const char *data, u32 nr, u32 domain,
	       struct index_key *key);

/* ---- dedupe-chunk.c ---- */

int chunk_take(struct dedupe *d, const struct daxcow_run *run);
/* Of the chunk of a block: nothing is to be done with its blocks. */
bool chunk_settled(const struct dedupe *d, u64 block);
/* So many of its blocks are elsewhere that it is worth it. */
bool chunk_to_split(const struct dedupe *d, u64 block);

/* ---- dedupe-index.c: files of the index ---- */

/* A new one with room for @blocks, in as many parts as the limit of memory takes. */
int index_files_make(struct dedupe *d, u64 blocks);
/* Whether the one that is there can be used, and is opened. */
bool index_files_reuse(struct dedupe *d);
/* For the run: what is known of chunks. */
int index_files_counted(struct dedupe *d, bool fresh);
void index_files_close(struct dedupe *d);
/* Of the program, its buffers and lists, beside the index. */
#define OWN_MEM		(20ULL << 20)
#define MIN_MEM		(64ULL << 20)

static inline u64 given(u64 value, u64 otherwise)
{
	return value == NOT_GIVEN ? otherwise : value;
}

/* Blocks that are worth a split, unless something else is asked for. */
#define SPLIT_DEFAULT	64

/* ---- dedupe-estimate.c, dedupe-report.c ---- */

/**
 * struct estimate - what could be freed, in blocks
 * @error:	twice the standard error of @free, 0 when that is exact
 */
struct estimate {
	double free, free_2m, error;
};

int estimate(struct dedupe *d, struct estimate *e);
/* @e is NULL when it was not an estimate. */
int report(struct dedupe *d, const struct estimate *e);
/* For a log. */
void report_line(const struct dedupe *d);

#endif /* DAXCOW_TOOL_DEDUPE_H */
