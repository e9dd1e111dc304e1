/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What soak knows about each block of each file, in memory that outlives the
 * machine.
 *
 * Every word of a block says what it is: the stamp of the write that it is of,
 * and a few bits that depend on stamp, file, block and word. Stamps only grow. So
 * of any word that is read one can say which write it is from, and no two words of
 * all files and times are alike; but all blocks that one write with an odd stamp
 * writes are, so that there is something to merge.
 *
 * The ledger has three stamps for each block. A write of stamp s notes "begun s",
 * writes, and when all of it is there to stay notes "durable s". At any moment
 * each word of the block is of a write from durable to begun; mostly they are the
 * same. A hole that is punched lets words be 0 until the next write is durable.
 *
 * The ledger is in a file on persistent memory beside the pool, mapped with DAX: a
 * note is there once the instruction is done, and in the order of instructions,
 * also when the machine is killed.
 */
#ifndef DAXCOW_GUEST_SOAK_H
#define DAXCOW_GUEST_SOAK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define PAGE	4096UL
#define WORDS	(PAGE / 8)
#define SLOTS	8	/* volumes */
#define WORKERS	3	/* each with a file of its own in each volume */
#define BLOCKS	128UL	/* of each file */
#define SIZE	(BLOCKS * PAGE)
#define MAGIC	0x64617863736f616bULL
#define UNKNOWN	(~0ULL)

struct cell {
	_Atomic uint64_t durable, begun, hole;
};

/* What is being done to a volume, and has to be found as done or as not done. */
enum state { FREE, CREATING, LIVE, DELETING, ROLLING };

struct slot {
	_Atomic enum state state;
	uint32_t from;		/* slot, of CREATING and ROLLING */
	char name[24];
	struct cell now[WORKERS][BLOCKS];
	struct cell next[WORKERS][BLOCKS];	/* of ROLLING */
};

enum count {
	OPS, STORES, SYNC_STORES, WRITES, DIRECT_WRITES, PUNCHES, READS, FSYNCS,
	REFUSED, SNAPSHOTS, DELETES, ROLLBACKS, REMOUNTS, RELOADS, TRIMS, FILLS,
	FULL_POOL, BOOTS, VERIFIED, BYTES, COUNTS
};

static const char * const count_names[COUNTS] = {
	[OPS] = "operations on files", [STORES] = "stores",
	[SYNC_STORES] = "MAP_SYNC stores", [WRITES] = "write",
	[DIRECT_WRITES] = "write with O_DIRECT", [PUNCHES] = "punched holes",
	[READS] = "reads", [FSYNCS] = "fsync", [REFUSED] = "writes refused, pool full",
	[SNAPSHOTS] = "snapshots", [DELETES] = "deletes",
	[ROLLBACKS] = "rollbacks", [REMOUNTS] = "remounts",
	[RELOADS] = "suspends and reloads", [TRIMS] = "fstrim",
	[FILLS] = "pool filled", [FULL_POOL] = "volumes refused, pool full",
	[BOOTS] = "boots", [VERIFIED] = "volumes verified whole",
	[BYTES] = "bytes compared",
};

struct ledger {
	_Atomic uint64_t magic, stamp, names;
	_Atomic uint64_t count[COUNTS];
	struct slot slot[SLOTS];
};

static inline uint64_t word(unsigned int file, uint64_t block, unsigned int i,
			    uint64_t stamp)
{
	uint64_t place = stamp % 2 ? 0 : block;
	uint64_t tag = (stamp * 1000003 + file * 7919 + place * 104729 + i) *
		       0x9e3779b97f4a7c15ULL;

	return stamp << 16 | tag >> 48;
}

static inline void fill_block(uint64_t *p, unsigned int file, uint64_t block,
			      uint64_t stamp)
{
	unsigned int i;

	for (i = 0; i < WORDS; i++)
		p[i] = word(file, block, i, stamp);
}

/*
 * Compare a block with what is known of it. Returns -1 when all is as it may be,
 * else the first word that is not. *@stamp is that of all words, UNKNOWN when they
 * are of several.
 */
static inline int check_block(const volatile uint64_t *p, unsigned int file,
			      uint64_t block, const struct cell *c, uint64_t *stamp)
{
	uint64_t w, s, first = p[0] >> 16;
	unsigned int i;

	*stamp = first;
	for (i = 0; i < WORDS; i++) {
		w = p[i];
		s = w >> 16;
		if (s != first)
			*stamp = UNKNOWN;
		if (!w && c->hole > c->durable)
			continue;
		if (s < c->durable || s > c->begun || w != word(file, block, i, s))
			return i;
	}
	return -1;
}

static inline void settle(struct cell *c, uint64_t stamp)
{
	c->begun = stamp;
	c->durable = stamp;
	c->hole = 0;
}

#endif /* DAXCOW_GUEST_SOAK_H */
