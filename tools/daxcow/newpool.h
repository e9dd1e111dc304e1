/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A pool that is written block by block, as another one was.
 */
#ifndef DAXCOW_TOOL_NEWPOOL_H
#define DAXCOW_TOOL_NEWPOOL_H

#include "media.h"

struct json_object;

/**
 * struct newpool - what is written to
 * @media:	the device or file
 * @blocks:	written
 */
struct newpool {
	struct media media;
	u64 blocks;
};

/*
 * For a pool of @nr_blocks. What is there is destroyed only with @force; until
 * newpool_finish() it is no pool. These return exit codes.
 */
int newpool_open(struct newpool *n, const char *path, u64 nr_blocks, bool force);
void newpool_write(struct newpool *n, u64 block, const void *content);

/* Make it a pool, and put its figures into @o. */
int newpool_finish(struct newpool *n, const struct daxcow_super *super,
		   struct json_object *o);
void newpool_close(struct newpool *n);

#endif /* DAXCOW_TOOL_NEWPOOL_H */
