/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Read what can be read of a pool that is damaged.
 *
 * Loading stops at the first thing that is wrong. This goes on: a single bit
 * that flipped in an entry, a record or the superblock is turned back, since the
 * checks tell which one it was; an entry that cannot be understood is left out,
 * with all that is below it, and what volumes lose by that is told.
 */
#ifndef DAXCOW_SALVAGE_H
#define DAXCOW_SALVAGE_H

#include "platform.h"
#include <daxcow/core.h>

struct salvage;

enum salvage_kind { SALVAGE_DIR, SALVAGE_RECORD, SALVAGE_NODE };

/**
 * struct salvage_node - a block of the tables
 * @block:	its number
 * @kind:	what it is
 * @level:	of a node or a directory node
 * @content:	as it should be: a block
 */
struct salvage_node {
	u64 block;
	enum salvage_kind kind;
	int level;
	const void *content;
};

/**
 * struct salvage_source - where blocks are read from
 * @read:	reads one of the eight 512 byte sectors of a block: 0 or -EIO
 * @ctx:	passed to @read
 * @nr_blocks:	of the device
 */
struct salvage_source {
	int (*read)(void *ctx, u64 block, unsigned int sector, void *buf);
	void *ctx;
	u64 nr_blocks;
};

/**
 * struct salvage_ops - who is told; all may be NULL, and return 0 or an errno,
 *			which ends the walk
 * @node:	a block of the tables; after those below it
 * @data:	a block that is mapped, once however many owners it has; what could
 *		not be read of it is zero
 * @fixed:	something that was wrong has been put right
 * @lost:	blocks [@vblk, @vblk + @nr) of a volume: of unmapped ones it
 *		is not known whether they were; of data blocks that could not be
 *		read, that
 * @lost_volumes: ids [@id, @id + @nr): it is not known which of them existed
 */
struct salvage_ops {
	int (*node)(void *ctx, const struct salvage_node *n);
	int (*data)(void *ctx, u64 block, const void *content);
	int (*fixed)(void *ctx, const struct daxcow_report *r);
	int (*lost)(void *ctx, const struct daxcow_report *r, u64 vblk, u64 nr);
	int (*lost_volumes)(void *ctx, const struct daxcow_report *r, u32 id,
			    u64 nr);
};

/**
 * salvage_open() - find the superblock
 * @report:	set when there is none that can be used
 *
 * A superblock whose fixed part is damaged is replaced by its backup. Returns 0,
 * -EMEDIUMTYPE, -EPROTONOSUPPORT or -EUCLEAN as daxcow_load(), -ENOMEM.
 */
int salvage_open(struct salvage **sp, const struct salvage_source *src,
		 struct daxcow_report *report);
void salvage_close(struct salvage *s);

/* As it should be, with its three entries. */
const struct daxcow_super *salvage_super(const struct salvage *s);

/* The pool's size in blocks: at most the device's. */
u64 salvage_blocks(const struct salvage *s);

/*
 * Go through all that can be reached: fixed(), data() and node() on the way, and
 * in the end lost() for each volume. Returns 0, -ENOMEM, or what a function of
 * @ops returned.
 */
int salvage_walk(struct salvage *s, const struct salvage_ops *ops, void *ctx);

#endif /* DAXCOW_SALVAGE_H */
