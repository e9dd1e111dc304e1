/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which block has the content with a hash: a table in a file that is mapped.
 *
 * A hint, not a fact: blocks change, and only part of the hash is kept. Who uses an
 * answer has to compare. A process that is killed loses nothing: each store leaves a
 * table that can be used.
 *
 * Where memory is short the table has several parts, of which one is mapped at a
 * time. A key belongs to one of them.
 */
#ifndef DAXCOW_INDEX_H
#define DAXCOW_INDEX_H

#include "platform.h"

/* A bucket is a cache line with five entries of 12 bytes. */
#define INDEX_BUCKET	64
#define INDEX_ENTRIES	5
/* Blocks have 40 bits. Block 0 is the pool's superblock: it stands for none. */
#define INDEX_MAX_BLOCK	((1ULL << 40) - 1)

/**
 * struct index_key - what an entry is found by
 * @hi:	selects the part and the bucket
 * @lo:	its upper 56 bits are kept
 */
struct index_key {
	u64 hi, lo;
};

struct index_bucket;

/**
 * struct index - a table
 * @head:	entries of the part, and the buckets behind it
 * @bucket:	those of the part that is mapped, or NULL
 * @buckets:	of each part
 * @parts:	how many there are
 * @part:	the one that is mapped
 * @fd:		the file
 */
struct index {
	u64 *head;
	struct index_bucket *bucket;
	u64 buckets;
	unsigned int parts, part;
	int fd;
};

/* How many buckets @parts need each, for @blocks in all: 15.4 bytes a block. */
u64 index_buckets(u64 blocks, unsigned int parts);
/* Bytes of one part. */
size_t index_part_size(u64 buckets);

/**
 * index_open() - open or make the file of a table; no part is mapped yet
 * @fresh:	make it empty
 *
 * Space in the file system is taken for all of it. Returns 0, -ENOENT when there is
 * no such file or it has another size, or another errno.
 */
int index_open(struct index *x, const char *path, u64 buckets,
	       unsigned int parts, bool fresh);
void index_close(struct index *x);
/* Map a part in place of the one that was mapped. 0 or an errno. */
int index_map(struct index *x, unsigned int part);

/* The part of a key. */
static inline unsigned int index_part(const struct index *x,
				      const struct index_key *key)
{
	return (__uint128_t)key->hi * x->parts >> 64;
}

/* In good time before one of those below, which then does not wait for memory. */
void index_prefetch(const struct index *x, const struct index_key *key);

/**
 * index_find() - a block that was inserted with that key
 * @after:	0 for the first one, or the one before
 *
 * Returns 0 when there is no more.
 */
u64 index_find(const struct index *x, const struct index_key *key, u64 after);
bool index_has(const struct index *x, const struct index_key *key, u64 block);
/* 0, or -ENOSPC when so many more have come that the table is slow. */
int index_insert(struct index *x, const struct index_key *key, u64 block);
/* Nothing is done when there is no such entry. */
void index_remove(struct index *x, const struct index_key *key, u64 block);
/* Entries of the part that is mapped. */
u64 index_entries(const struct index *x);

#endif /* DAXCOW_INDEX_H */
