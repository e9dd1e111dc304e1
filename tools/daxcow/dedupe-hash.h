/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Hashes of blocks.
 */
#ifndef DAXCOW_TOOL_DEDUPE_HASH_H
#define DAXCOW_TOOL_DEDUPE_HASH_H

#include "index.h"

/**
 * struct hasher - how to hash
 * @seed:	secret, so that nobody can make blocks whose hashes are equal
 * @bits:	how much of the hash is kept; fewer than 64 only in tests
 */
struct hasher {
	u64 seed;
	unsigned int bits;
};

/*
 * The environment variable DAXCOW_TEST_HASH_BITS is a hook for tests: it leaves so
 * few bits of each hash that blocks which differ look equal.
 */
void hash_init(struct hasher *h, u64 seed);
/* Of a block. Blocks of two share domains never have the same key. */
struct index_key hash_block(const struct hasher *h, const void *data,
			    u32 domain);
/* Of a chunk: a hash of the hashes of its blocks. */
struct index_key hash_keys(const struct hasher *h, const struct index_key *key,
			   unsigned int nr);
/* Whether a block is all zero. */
bool is_zero(const void *data);

#endif /* DAXCOW_TOOL_DEDUPE_HASH_H */
