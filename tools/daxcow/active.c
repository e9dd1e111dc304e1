// SPDX-License-Identifier: GPL-2.0
/*
 * The block devices of volumes: daxcow activate, deactivate.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <libdevmapper.h>
#include <json-c/json.h>
#include "doctor.h"
#include "pool.h"

static int describe_device(const struct args *a, const struct pool *pool,
			   const struct volume *v, struct dm_dev *dev)
{
	char text[VOLUME_TEXT];

	volume_text(v, text);
	if (!v->size)
		return fail(EXIT_FAILED,
			    "%s: %s has no recorded size; give it one with \"daxcow resize %s %s SIZE\"",
			    pool->dm.name, text, pool->dm.name, text);
	memset(dev, 0, sizeof(*dev));
	/* a name that nobody gave with this tool */
	if (name_fault(text))
		snprintf(text, sizeof(text), "id:%u", v->id);
	if (snprintf(dev->name, sizeof(dev->name), "%s-%s", pool->dm.name,
		     text) >= (int)sizeof(dev->name))
		return fail(EXIT_FAILED, "%s: %s: the name of its device would be too long",
			    pool->dm.name, text);
	if (pool->uuid[0])
		snprintf(dev->uuid, sizeof(dev->uuid), DM_UUID_PREFIX "%s-%s",
			 pool->uuid, v->uuid);
	snprintf(dev->target, sizeof(dev->target), DM_VOLUME_TARGET);
	snprintf(dev->params, sizeof(dev->params), "%u:%u %u%s",
		 pool->dm.major, pool->dm.minor, v->id,
		 a->no_dax ? " 1 no_dax" : "");
	dev->length = v->size >> 9;
	dev->readonly = a->readonly || pool_read_only(pool);
	return EXIT_DONE;
}

/* Whether it can be told of a volume's device that it has DAX, or has not. */
static bool dax_is(const char *name, const char *state)
{
	char path[DM_NAME_SIZE + 64], dax[8];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", dm_dir(), name);
	return !stat(path, &st) &&
	       doctor_read(dax, sizeof(dax), "/sys/dev/block/%u:%u/queue/dax",
			   major(st.st_rdev), minor(st.st_rdev)) && !strcmp(dax, state);
}

/* Once, of however many there are. */
static void point_to_doctor(const struct args *a, const char *name)
{
	static bool said;

	if (said || a->no_dax || !dax_is(name, "0"))
		return;
	said = true;
	fail(EXIT_DONE, "%s: a plain block device, without DAX; \"daxcow doctor\" says why",
	     name);
}

int volume_activate(const struct args *a, const struct pool *pool,
		    struct volume *v)
{
	struct dm_dev dev;
	int rc, err;

	if (v->device[0])
		return EXIT_DONE;
	rc = describe_device(a, pool, v, &dev);
	if (rc)
		return rc;
	/* what is activated before it is there has no DAX */
	if (!a->no_dax)
		doctor_wait_for_live_patch();
	err = dm_create(&dev, false);
	/* that is how the kernel says that the name is taken */
	if (err == -EBUSY || err == -EEXIST)
		return fail(EXIT_EXISTS, "there is another device called %s",
			    dev.name);
	if (err)
		return fail_errno(-err, "%s: cannot activate", dev.name);
	memcpy(v->device, dev.name, sizeof(v->device));
	point_to_doctor(a, dev.name);
	return EXIT_DONE;
}

int volume_deactivate(const struct pool *pool, struct volume *v)
{
	int err;

	if (!v->device[0])
		return EXIT_DONE;
	err = dm_remove(v->device);
	if (err == -EBUSY)
		return fail(EXIT_BUSY,
			    "%s/%s is in use; unmount it, or remove what is stacked on it (a file system that was unmounted during a snapshot is there until that ends)",
			    dm_dir(), v->device);
	if (err && err != -ENXIO)
		return fail_errno(-err, "%s: cannot deactivate %s",
				  pool->dm.name, v->device);
	v->device[0] = 0;
	return EXIT_DONE;
}

/* Names of the command line to volumes, all before the first is touched. */
static int select_volumes(const struct args *a, struct pool *pool,
			  struct volume **selected, size_t *nr)
{
	int rc = EXIT_DONE;
	size_t i;

	if (a->all ? a->words > 1 : a->words == 1)
		return fail(EXIT_USAGE, "give either names of volumes or --all");
	*nr = a->all ? pool->volumes : (size_t)a->words - 1;
	if (a->all)
		rc = pool_devices(pool);
	for (i = 0; i < *nr && !rc; i++)
		selected[i] = a->all ? &pool->volume[i] :
				       pool_volume(pool, a->word[i + 1], &rc);
	for (i = 0; i < *nr && !rc && !a->all; i++)
		rc = volume_find_device(pool, selected[i]);
	return rc;
}

/* Scripts read the standard output: what is said to people goes elsewhere. */
static void say_options(const char *path, const char *options)
{
	if (options)
		fprintf(stderr, "to mount it: mount -o %s %s DIRECTORY\n", options, path);
}

int print_volumes(const struct args *a, const struct pool *pool,
		  struct volume *const *v, size_t nr)
{
	struct json_object *rows, *row;
	bool readonly = a->readonly || pool_read_only(pool);
	char path[DM_NAME_SIZE + 64];
	const char *options;
	size_t i;

	rows = a->json ? json_object_new_array() : NULL;
	for (i = 0; i < nr; i++) {
		snprintf(path, sizeof(path), "%s/%s", dm_dir(), v[i]->device);
		options = readonly && v[i]->device[0] ?
			  content_mount_options(path, dax_is(v[i]->device, "1")) : NULL;
		if (!rows) {
			if (v[i]->device[0])
				puts(path);
			say_options(path, options);
			continue;
		}
		row = json_object_new_object();
		json_set_text(row, "pool", pool->dm.name);
		json_set_number(row, "id", v[i]->id);
		json_set_text(row, "name", v[i]->name);
		json_set_text(row, "uuid", v[i]->uuid);
		json_set_text(row, "device", v[i]->device[0] ? path : NULL);
		if (options)
			json_set_text(row, "mount_options", options);
		json_object_array_add(rows, row);
	}
	return rows ? print_rows(a, "volumes", rows, NULL) : EXIT_DONE;
}

/* Goes on after a failure and reports the first one's code. */
static int each_volume(const struct args *a, bool activate)
{
	struct volume **selected;
	int rc, one, first = EXIT_DONE;
	struct pool pool;
	size_t i, nr = 0;

	rc = pool_open_locked(&pool, a->word[0]);
	if (rc)
		return rc;
	selected = calloc(pool.volumes + a->words, sizeof(*selected));
	if (!selected)
		rc = fail(EXIT_FAILED, "out of memory");
	else
		rc = select_volumes(a, &pool, selected, &nr);
	for (i = 0; !rc && i < nr; i++) {
		progress("%zu of %zu", i + 1, nr);
		one = activate ? volume_activate(a, &pool, selected[i]) :
				 volume_deactivate(&pool, selected[i]);
		if (!first)
			first = one;
	}
	progress_end();
	if (!rc && (activate || a->json))
		rc = print_volumes(a, &pool, selected, nr);
	free(selected);
	pool_close(&pool);
	return first ? first : rc;
}

int cmd_activate(const struct args *a)
{
	return each_volume(a, true);
}

int cmd_deactivate(const struct args *a)
{
	return each_volume(a, false);
}
