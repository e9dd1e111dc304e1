// SPDX-License-Identifier: GPL-2.0
/*
 * The devices of a pool's volumes: which there are, and what killed runs left.
 *
 * A device that was created has no table before it is resumed. Such a one goes, and
 * a table that waits, or one that is shorter than the volume, is the rest of a
 * resize, which is finished. Only with the lock: else they may be those of a run
 * that goes on. A device that is suspended and has no table that waits is left so:
 * that was somebody else.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <libdevmapper.h>
#include "pool.h"

/* Without udev the library makes nodes, after the device is there. */
static void make_node(const char *name)
{
	char path[DM_NAME_SIZE + 64];

	snprintf(path, sizeof(path), "%s/%s", dm_dir(), name);
	if (access(path, F_OK))
		dm_node(name);
}

static int finish(const struct volume *v, const struct dm_dev *dev)
{
	struct dm_dev longer = *dev;

	make_node(dev->name);
	if (dev->pending)
		return dm_resume(dev->name);
	if (dev->suspended || dev->length >= v->size >> 9)
		return 0;
	longer.length = v->size >> 9;
	return dm_reload(&longer);
}

/* @dev has the uuid that the tool has given it, or not. */
static int take_device(const struct pool *pool, struct volume *v,
		       const struct dm_dev *dev, bool is_ours)
{
	if (dev->live)
		memcpy(v->device, dev->name, sizeof(v->device));
	if (!is_ours || !pool->tidy)
		return 0;
	return dev->live ? finish(v, dev) : dm_remove(dev->name);
}

static bool volume_uuid(const struct pool *pool, const struct volume *v,
			char uuid[DM_ID_SIZE])
{
	snprintf(uuid, DM_ID_SIZE, DM_UUID_PREFIX "%s-%s", pool->uuid, v->uuid);
	return pool->uuid[0];
}

static int by_id(const void *a, const void *b)
{
	const struct volume *v = a, *w = b;

	return v->id < w->id ? -1 : v->id > w->id;
}

/* Also finds those that were activated with dmsetup. */
static struct volume *of_table(struct pool *pool, const struct dm_dev *dev)
{
	unsigned int major, minor;
	struct volume key;

	if (strcmp(dev->target, DM_VOLUME_TARGET) ||
	    sscanf(dev->params, "%u:%u %u", &major, &minor, &key.id) != 3 ||
	    major != pool->dm.major || minor != pool->dm.minor)
		return NULL;
	return bsearch(&key, pool->volume, pool->volumes, sizeof(key), by_id);
}

/* Those without a table can only be told by their uuid. */
static bool is_of_pool(const struct pool *pool, const struct dm_dev *dev)
{
	char prefix[sizeof(DM_UUID_PREFIX) + UUID_TEXT];
	int n;

	n = snprintf(prefix, sizeof(prefix), DM_UUID_PREFIX "%s-", pool->uuid);
	return pool->uuid[0] && !strncmp(dev->uuid, prefix, n);
}

static int note_device(const struct dm_dev *dev, void *arg)
{
	struct pool *pool = arg;
	char uuid[DM_ID_SIZE];
	struct volume *v;

	/* also when its volume is no more */
	if (!dev->live)
		return pool->tidy && is_of_pool(pool, dev) ?
		       dm_remove(dev->name) : 0;
	v = of_table(pool, dev);
	if (!v)
		return 0;
	return take_device(pool, v, dev, volume_uuid(pool, v, uuid) &&
			   !strcmp(dev->uuid, uuid));
}

static int failed(const struct pool *pool, int err)
{
	return fail_errno(-err, pool->tidy ?
			  "%s: cannot tidy up after a run that was interrupted" :
			  "%s: cannot list the devices", pool->dm.name);
}

int pool_devices(struct pool *pool)
{
	int err = dm_each(NULL, note_device, pool);

	return err ? failed(pool, err) : EXIT_DONE;
}

int volume_find_device(struct pool *pool, struct volume *v)
{
	char uuid[DM_ID_SIZE];
	struct dm_dev dev;
	int err = -ENXIO;

	if (v->device[0])
		return EXIT_DONE;
	if (volume_uuid(pool, v, uuid))
		err = dm_table_of_uuid(uuid, &dev);
	if (!err)
		err = take_device(pool, v, &dev, true);
	else if (err == -ENXIO)
		/* by what name it was activated with dmsetup only its table tells */
		return v->open ? pool_devices(pool) : EXIT_DONE;
	return err ? failed(pool, err) : EXIT_DONE;
}
