/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A pool's device, or a file in its place, without the kernel's target.
 */
#ifndef DAXCOW_TOOL_MEDIA_H
#define DAXCOW_TOOL_MEDIA_H

#include <sys/types.h>
#include "platform.h"
#include <daxcow/core.h>

/**
 * struct media - an open device or file
 * @base:	its memory, once mapped
 * @size:	in bytes, whole blocks
 */
struct media {
	const char *path;
	int fd;
	bool block_device;
	dev_t dev;
	u64 size;
	void *base;
};

/* Flags of media_open(). */
#define MEDIA_WRITE	0x1
#define MEDIA_SHARED	0x2	/* also when it is in use */

/* These say what is wrong and return an exit code. */
int media_open(struct media *m, const char *path, int flags);
int media_map(struct media *m, bool writable);

/*
 * Read the tables of what is mapped, to look at them; shows how far it is. Returns
 * what daxcow_load() does.
 */
int media_load(const struct media *m, struct daxcow_pool **poolp,
	       struct daxcow_report *report);

/* Make what was written durable, and seen by those who read past the cache. */
int media_sync(struct media *m);
void media_close(struct media *m);

/**
 * struct media_reader - reads without a mapping, which memory errors would end
 * @block:	in @content; start with DAXCOW_HOLE
 */
struct media_reader {
	const struct media *media;
	u64 block;
	char content[DAXCOW_BLOCK_SIZE];
};

/* For struct salvage_source; @reader is a struct media_reader. */
int media_read_sector(void *reader, u64 block, unsigned int sector, void *buf);

/* The superblock as it is, if it is one. 0, -EMEDIUMTYPE or another errno. */
int media_super(const struct media *m, struct daxcow_super *super);
/* EXIT_DONE, or EXIT_DAMAGED and a message: something else is on the device now. */
int media_must_be_whole(const struct media *m, const struct daxcow_super *super);

/*
 * Physical address of the device's first byte, or what is known of it: right
 * modulo DAXCOW_CHUNK_BLOCKS blocks in the usual cases, 0 when unknown.
 */
u64 media_address(const struct media *m);

/*
 * Refuse to destroy what is on a device, or with @force see that nobody will
 * find it any more. Returns an exit code.
 */
int content_make_way(const struct media *m, bool force);

#endif /* DAXCOW_TOOL_MEDIA_H */
