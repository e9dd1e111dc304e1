/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Changes to the tables of a pool.
 */
#ifndef DAXCOW_FUZZ_DAMAGE_H
#define DAXCOW_FUZZ_DAMAGE_H

#include "internal.h"

#define DAMAGE_TABLES	128

/**
 * struct damage_tables - blocks of a good pool that hold tables
 * @good:	the pool, which stays as it is
 * @block:	superblocks, records and nodes
 * @crc:	for the check bits of entries
 */
struct damage_tables {
	const char *good;
	u64 block[DAMAGE_TABLES];
	unsigned int nr;
	struct entry_crc crc;
};

/* Returns 0 or -E2BIG, or -EINVAL when it is no good pool. */
int damage_tables(struct damage_tables *t, const char *good, u64 nr_blocks);

/*
 * Do what the input says: @fn is called for each change, with the number of the
 * 8-byte word in the pool and what it is now.
 */
void damage(const struct damage_tables *t, const u8 *data, size_t size,
	    void (*fn)(void *ctx, u64 word, u64 value), void *ctx);

#endif /* DAXCOW_FUZZ_DAMAGE_H */
