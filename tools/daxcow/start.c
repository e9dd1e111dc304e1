// SPDX-License-Identifier: GPL-2.0
/*
 * A pool's device: daxcow start, stop.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <json-c/json.h>
#include <libdevmapper.h>
#include <uuid/uuid.h>
#include "media.h"
#include "pool.h"

/* Feature words and their number, as the table wants them. */
static void describe_features(const struct args *a, char *params, size_t size)
{
	const char *word[4];
	int i, nr = 0;

	if (a->error_if_no_space)
		word[nr++] = "error_if_no_space";
	if (a->readonly)
		word[nr++] = "read_only";
	if (a->ignore_discard)
		word[nr++] = "ignore_discard";
	if (a->cow && strcmp(a->cow, "auto"))
		word[nr++] = strcmp(a->cow, "4k") ? "cow_2m" : "cow_4k";
	if (nr)
		snprintf(params, size, " %d", nr);
	for (i = 0; i < nr; i++) {
		size_t used = strlen(params);

		snprintf(params + used, size - used, " %s", word[i]);
	}
}

void pool_uuid(const struct daxcow_super *super, char uuid[DM_ID_SIZE])
{
	char text[UUID_STR_LEN];

	uuid_unparse_lower(super->uuid, text);
	snprintf(uuid, DM_ID_SIZE, DM_UUID_PREFIX "%s", text);
}

static void describe_pool(const struct args *a, const struct media *m,
			  const char *name, const struct daxcow_super *super,
			  struct dm_dev *dev)
{
	u64 low_water = m->size / 20, blocks;
	int used;

	if (a->low_water != NOT_GIVEN)
		low_water = a->low_water;
	blocks = low_water >> DAXCOW_BLOCK_SHIFT;
	memset(dev, 0, sizeof(*dev));
	snprintf(dev->name, sizeof(dev->name), "%s", name);
	pool_uuid(super, dev->uuid);
	snprintf(dev->target, sizeof(dev->target), DM_POOL_TARGET);
	used = snprintf(dev->params, sizeof(dev->params), "%u:%u %llu",
			major(m->dev), minor(m->dev),
			(unsigned long long)blocks);
	describe_features(a, dev->params + used, sizeof(dev->params) - used);
	dev->length = m->size >> 9;
}

static int explain_start(int err, const struct media *m,
			 const struct dm_dev *dev)
{
	struct dm_dev other;

	if (err == -ENOPKG || err == -EPERM || err == -EACCES)
		return fail_errno(-err, "cannot start the pool");
	if (!dm_table(dev->name, &other))
		return fail(EXIT_EXISTS, "there is a device \"%s\" already",
			    dev->name);
	if (!dm_target_known(DM_POOL_TARGET))
		return fail(EXIT_NO_KERNEL,
			    "the kernel does not know the target %s: load it with \"modprobe dm-daxcow\"",
			    DM_POOL_TARGET);
	if (err == -EBUSY)
		return fail(EXIT_BUSY,
			    "%s: in use, or pages of it still are (see dmesg)",
			    m->path);
	if (err == -EOPNOTSUPP)
		return fail(EXIT_FAILED,
			    "%s: not persistent memory that can be used with DAX; \"ndctl create-namespace -m fsdax\" makes such a device",
			    m->path);
	if (err == -EUCLEAN)
		return fail(EXIT_DAMAGED,
			    "%s: the pool is damaged; \"daxcow check %s\" says where, --readonly may still start it",
			    m->path, m->path);
	return fail_errno(-err, "%s: cannot start the pool", m->path);
}

/* All that can be; each that cannot says why. */
static int activate_all(const struct args *a, struct pool *pool)
{
	size_t i, failed = 0;

	for (i = 0; i < pool->volumes; i++) {
		progress("%zu of %zu", i + 1, pool->volumes);
		failed += !!volume_activate(a, pool, &pool->volume[i]);
	}
	progress_end();
	if (!failed)
		return EXIT_DONE;
	return fail(EXIT_PARTIAL, "%s: started, but %zu of %zu volumes are not active; start it again to try these again",
		    pool->dm.name, failed, pool->volumes);
}

/* Volumes that are activated now say it themselves. */
static void point_to_doctor(const struct args *a, const struct pool *pool)
{
	char *stats;

	if (a->activate || pool_ask(pool, &stats, "stats"))
		return;
	if (strstr(stats, "\ndax no\n"))
		fail(EXIT_DONE, "%s: its volumes will be without DAX; \"daxcow doctor\" says why",
		     pool->dm.name);
	free(stats);
}

static int started(const struct args *a, const char *name)
{
	struct json_object *o;
	struct pool pool;
	int rc;

	rc = a->activate ? pool_open_locked(&pool, name) :
			   pool_open(&pool, name);
	if (rc)
		return rc;
	if (a->activate)
		rc = pool_devices(&pool);
	if (a->activate && !rc)
		rc = activate_all(a, &pool);
	point_to_doctor(a, &pool);
	if (a->json) {
		o = json_object_new_object();
		json_set_text(o, "name", pool.dm.name);
		json_set_text(o, "uuid", pool.uuid);
		json_set_number(o, "volumes", pool.volumes);
		print_record(a, "pool", o, NULL);
	} else {
		puts(pool.dm.name);
	}
	pool_close(&pool);
	return rc;
}

/**
 * struct present - what there is of a pool that is to be started
 * @new:	the device that it would get
 * @name:	of the one that it has
 * @copy:	that one is on another device
 */
struct present {
	const struct dm_dev *new;
	char name[DM_NAME_SIZE];
	bool copy;
};

static bool same_device(const struct dm_dev *a, const struct dm_dev *b)
{
	unsigned int a_major, a_minor, b_major, b_minor;

	return sscanf(a->params, "%u:%u", &a_major, &a_minor) == 2 &&
	       sscanf(b->params, "%u:%u", &b_major, &b_minor) == 2 &&
	       a_major == b_major && a_minor == b_minor;
}

/* Started already, or begun by a start that was killed: that is taken back. */
static int look_at_present(const struct dm_dev *dev, void *arg)
{
	struct present *p = arg;

	if (strcmp(dev->uuid, p->new->uuid))
		return 0;
	if (!dev->live)
		return dm_remove(dev->name);
	snprintf(p->name, sizeof(p->name), "%s", dev->name);
	p->copy = !same_device(dev, p->new);
	return 0;
}

static int create(const struct args *a, const struct media *m,
		  const struct dm_dev *dev)
{
	struct present p = { .new = dev };
	int err;

	/* or the device that another run is making would be taken for a rest */
	flock(m->fd, LOCK_EX);
	err = dm_each(NULL, look_at_present, &p);
	if (!err && p.copy)
		return fail(EXIT_BUSY, "%s: this is a copy of the pool \"%s\", which is started from another device; stop that one first",
			    m->path, p.name);
	if (!err && p.name[0]) {
		if (a->words < 2 || !strcmp(p.name, dev->name))
			return started(a, p.name);
		return fail(EXIT_BUSY, "%s: its pool is started as \"%s\" already",
			    m->path, p.name);
	}
	if (!err)
		err = dm_create(dev, true);
	return err ? explain_start(err, m, dev) : started(a, dev->name);
}

static int start(const struct args *a, const struct media *m)
{
	struct daxcow_super super;
	struct dm_dev dev;
	const char *name;
	int rc, err;

	if (!m->block_device)
		return fail(EXIT_FAILED, "%s: only block devices can be started, files cannot",
			    m->path);
	err = media_super(m, &super);
	if (err)
		return fail_errno(-err, "%s", m->path);
	rc = media_must_be_whole(m, &super);
	if (rc)
		return rc;
	name = a->words > 1 ? a->word[1] : (char *)super.label;
	if (!*name)
		return fail(EXIT_USAGE, "%s: the pool has no label; give it a name",
			    m->path);
	rc = name_check(a->words > 1 ? "pool" : "label", name);
	if (rc)
		return rc;
	describe_pool(a, m, name, &super, &dev);
	return create(a, m, &dev);
}

int cmd_start(const struct args *a)
{
	struct media m;
	int rc;

	/* the target claims the device: looking at it needs no claim */
	rc = media_open(&m, a->word[0], MEDIA_SHARED);
	if (rc)
		return rc;
	rc = start(a, &m);
	media_close(&m);
	return rc;
}

/* Rather nothing than half of it: look before the first is removed. */
static int must_be_unused(const struct pool *pool)
{
	struct dm_dev dev;
	size_t i;

	for (i = 0; i < pool->volumes; i++) {
		const char *device = pool->volume[i].device;

		if (device[0] && !dm_table(device, &dev) && dev.open_count)
			return fail(EXIT_BUSY,
				    "%s/%s is in use; unmount it, or remove what is stacked on it (a file system that was unmounted during a snapshot is there until that ends)",
				    dm_dir(), device);
	}
	return EXIT_DONE;
}

/* The pool's device, which has no table: by its name, or by the pool that is on @path. */
static int find_unfinished(const char *path, const struct media *m,
			   struct dm_dev *dev)
{
	size_t dir = strlen(dm_dir());
	struct daxcow_super super;
	char uuid[DM_ID_SIZE];
	int err;

	if (m) {
		err = media_super(m, &super);
		pool_uuid(&super, uuid);
		if (!err)
			err = dm_table_of_uuid(uuid, dev);
	} else {
		if (!strncmp(path, dm_dir(), dir) && path[dir] == '/')
			path += dir + 1;
		err = dm_table(path, dev);
	}
	return err ? err : pool_unfinished(dev) ? 0 : -ENXIO;
}

static bool drop_found(const char *path, const struct media *m, int *rc)
{
	struct dm_dev dev;
	int err;

	if (find_unfinished(path, m, &dev))
		return false;
	err = dm_remove(dev.name);
	*rc = err ? fail_errno(-err, "%s: cannot stop the pool", dev.name) :
		    EXIT_DONE;
	return true;
}

/* What a killed start has left: there is nothing on it that could be stopped. */
static bool drop_unfinished(const char *path, int *rc)
{
	struct media m;
	struct stat st;
	bool done;

	if (drop_found(path, NULL, rc))
		return true;
	if (path[0] != '/' || stat(path, &st) || !S_ISBLK(st.st_mode))
		return false;
	*rc = media_open(&m, path, MEDIA_SHARED);
	if (*rc)
		return true;
	/* one that another run is making is none */
	flock(m.fd, LOCK_EX);
	done = drop_found(path, &m, rc);
	media_close(&m);
	return done;
}

int cmd_stop(const struct args *a)
{
	struct pool pool;
	int rc, err;
	size_t i;

	if (drop_unfinished(a->word[0], &rc))
		return rc;
	rc = pool_open_locked(&pool, a->word[0]);
	if (rc)
		return rc;
	rc = pool_devices(&pool);
	if (!rc)
		rc = must_be_unused(&pool);
	for (i = 0; i < pool.volumes && !rc; i++)
		rc = volume_deactivate(&pool, &pool.volume[i]);
	/* it keeps the device open */
	pool_unlock(&pool);
	err = rc ? 0 : dm_remove(pool.dm.name);
	if (err)
		rc = fail_errno(-err, "%s: cannot stop the pool", pool.dm.name);
	pool_close(&pool);
	return rc;
}
