/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A pool that is written block by block, as another one was.
 */
#ifndef DAXCOW_TOOL_NEWPOOL_H
#define DAXCOW_TOOL_NEWPOOL_H

#include "media.h"
#include "newfile.h"

struct json_object;

/**
 * struct newpool - what is written to
 * @media:	the device or file
 * @file:	that it will be, if it is a file
 * @nr_blocks:	of the pool
 * @force:	what is there may be destroyed
 * @blocks:	written
 */
struct newpool {
	struct media media;
	struct newfile file;
	u64 nr_blocks;
	bool force;
	u64 blocks;
};

/*
 * newpool_open() looks whether a pool of @nr_blocks may be made at @path, and
 * changes nothing: the rest of the input is read before newpool_begin(). From
 * there on a device has no pool until newpool_finish(), and a file is what it
 * was; with @keep what it was is what it begins with. These return exit codes.
 */
int newpool_open(struct newpool *n, const char *path, u64 nr_blocks, bool force);
int newpool_begin(struct newpool *n, bool keep);
void newpool_write(struct newpool *n, u64 block, const void *content);

/* The superblock, its backup and the zero chunk: the last that is written. */
void newpool_super(void *base, const struct daxcow_super *super);
/* Make it a pool, and put its figures into @o. */
int newpool_finish(struct newpool *n, const struct daxcow_super *super,
		   struct json_object *o);
void newpool_close(struct newpool *n);

#endif /* DAXCOW_TOOL_NEWPOOL_H */
