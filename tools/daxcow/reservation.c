// SPDX-License-Identifier: GPL-2.0
/*
 * Ids and names that a run of the tool goes on to use while others have the pool's lock.
 *
 * A snapshot waits for file systems to freeze, and these for their users, for as long as
 * they like. Commands for other volumes cannot wait for that, so the lock is not held;
 * but what the snapshots are to be called is settled by then, and nobody else may take
 * it. The id of an origin is reserved, too: were it removed, and another volume given its
 * id, the message would mean that one.
 *
 * Each is a read lock on a byte of the pool's node, far behind what is on the device.
 * The kernel drops it when the run ends. Read locks, as an origin can have several
 * users, and as the node is not opened for writing: udev would look at the device anew
 * each time that it is closed.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <xxhash.h>
#include "pool.h"

/* An id is its own offset; names are behind all ids. */
static off_t name_offset(const char *name)
{
	return 1ULL << 62 | XXH3_64bits(name, strlen(name)) >> 2;
}

static void reserve(const struct pool *pool, off_t offset)
{
	struct flock lock = {
		.l_type = F_RDLCK, .l_whence = SEEK_SET,
		.l_start = offset, .l_len = 1,
	};

	if (pool->lock >= 0)
		fcntl(pool->lock, F_OFD_SETLK, &lock);
}

/* What this run has reserved is not in its own way. */
static bool reserved(const struct pool *pool, off_t offset)
{
	struct flock lock = {
		.l_type = F_WRLCK, .l_whence = SEEK_SET,
		.l_start = offset, .l_len = 1,
	};

	return pool->lock >= 0 && !fcntl(pool->lock, F_OFD_GETLK, &lock) &&
	       lock.l_type != F_UNLCK;
}

void pool_reserve_id(const struct pool *pool, u32 id)
{
	reserve(pool, id);
}

void pool_reserve_name(const struct pool *pool, const char *name)
{
	reserve(pool, name_offset(name));
}

bool pool_id_reserved(const struct pool *pool, u32 id)
{
	return reserved(pool, id);
}

bool pool_name_reserved(const struct pool *pool, const char *name)
{
	return reserved(pool, name_offset(name));
}

void pool_lend_lock(const struct pool *pool)
{
	if (pool->lock >= 0)
		flock(pool->lock, LOCK_UN);
}

void pool_take_lock(const struct pool *pool)
{
	if (pool->lock >= 0)
		flock(pool->lock, LOCK_EX);
}
