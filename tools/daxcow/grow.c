// SPDX-License-Identifier: GPL-2.0
/*
 * A pool that is started gets all of its device: daxcow grow.
 *
 * The kernel takes a longer table when the pool is resumed, if it can. What it cannot take
 * is in place all the same, and the pool suspended: then the former one is loaded again. A
 * run that was killed in between has left the pool so, or with a longer table that waits.
 * The next run of grow puts that right, and no other command: it cannot be told from a
 * table that somebody is loading with dmsetup.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <json-c/json.h>
#include "pool.h"

#define BLOCK_SECTORS	(DAXCOW_BLOCK_SIZE >> 9)

/* Of the device that a table names, in sectors. */
static int length_of_device(const char *params, u64 *length)
{
	unsigned int major, minor;
	char path[64];
	FILE *f;
	int n;

	if (sscanf(params, "%u:%u", &major, &minor) != 2)
		return -EINVAL;
	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/size", major, minor);
	f = fopen(path, "re");
	if (!f)
		return -errno;
	n = fscanf(f, "%" SCNu64, length);
	fclose(f);
	*length -= n == 1 ? *length % BLOCK_SECTORS : 0;
	return n == 1 ? 0 : -EIO;
}

/* What the pool has, whatever its table says, in sectors. */
static int length_of_pool(const struct pool *pool, u64 *length)
{
	char *stats, *line;
	int rc = pool_ask(pool, &stats, "stats");

	if (rc)
		return rc;
	line = strstr(stats, "\nblocks ");
	if (!line || sscanf(line, "\nblocks %" SCNu64, length) != 1)
		rc = fail(EXIT_FAILED, "%s: the pool does not tell its size", pool->dm.name);
	free(stats);
	*length *= rc ? 0 : BLOCK_SECTORS;
	return rc;
}

static int load_table(const struct pool *pool, u64 length)
{
	struct dm_dev dev = pool->dm;

	dev.length = length;
	return dm_reload(&dev);
}

static int finish_killed(struct pool *pool)
{
	u64 length;
	int rc, err;

	if (!pool->dm.pending && !pool->dm.suspended)
		return EXIT_DONE;
	rc = length_of_pool(pool, &length);
	/* somebody else has suspended it */
	if (rc || (!pool->dm.pending && pool->dm.length <= length))
		return rc;
	err = load_table(pool, length);
	if (!err)
		err = dm_table(pool->dm.name, &pool->dm);
	return err ? fail_errno(-err, "%s: a run of grow was killed, and the pool cannot be resumed",
				pool->dm.name) : EXIT_DONE;
}

static int grow_to(const struct pool *pool, u64 length, u64 before)
{
	int err, err2;

	err = load_table(pool, length);
	if (!err)
		return EXIT_DONE;
	err2 = load_table(pool, before);
	if (err2)
		return fail_errno(-err2, "%s: the pool is suspended, and cannot be resumed",
				  pool->dm.name);
	return fail(exit_code_of(err),
		    "%s: the pool stays as it is: the new part of its device does not follow the old one in memory (then it grows when it is stopped and started again), or something is in use there; dmesg says which",
		    pool->dm.name);
}

static int grow(const struct args *a, const struct pool *pool)
{
	static const struct column columns[] = {
		{ "name", "Name", COLUMN_TEXT },
		{ "size", "Size", COLUMN_BYTES },
		{ "before", "Before", COLUMN_BYTES },
		{ }
	};
	u64 length, before, after;
	struct json_object *o;
	int err, rc;

	rc = length_of_pool(pool, &before);
	if (rc)
		return rc;
	err = length_of_device(pool->dm.params, &length);
	if (err)
		return fail_errno(-err, "%s: cannot find the size of its device",
				  pool->dm.name);
	if (length < before)
		return fail(EXIT_FAILED, "%s: its device is smaller than the pool: make it as large as it was before anything else",
			    pool->dm.name);
	rc = length > before ? grow_to(pool, length, before) : EXIT_DONE;
	if (!rc)
		rc = length_of_pool(pool, &after);
	if (rc)
		return rc;
	o = json_object_new_object();
	json_set_text(o, "name", pool->dm.name);
	json_set_number(o, "size", after << 9);
	json_set_number(o, "before", before << 9);
	rc = print_record(a, "pool", o, columns);
	if (!rc && after < length)
		rc = fail(EXIT_BUSY, "%s: the pool has not got all of its device; dmesg says why",
			  pool->dm.name);
	return rc;
}

int cmd_grow(const struct args *a)
{
	struct pool pool;
	int rc;

	rc = pool_open_locked(&pool, a->word[0]);
	if (rc)
		return rc;
	rc = finish_killed(&pool);
	if (!rc && pool.dm.suspended)
		rc = fail(EXIT_BUSY, "%s is suspended; resume it first (dmsetup resume)",
			  pool.dm.name);
	else if (!rc && pool_read_only(&pool))
		rc = fail(EXIT_FAILED, "%s is read-only, and does not grow", pool.dm.name);
	if (!rc)
		rc = grow(a, &pool);
	pool_close(&pool);
	return rc;
}
