// SPDX-License-Identifier: GPL-2.0
/*
 * Changing volumes: daxcow create, snapshot, clone, rollback, remove, resize.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <libdevmapper.h>
#include <uuid/uuid.h>
#include "pool.h"
#include <daxcow/core.h>

static int with_pool(const struct args *a,
		     int (*fn)(const struct args *a, struct pool *pool))
{
	struct pool pool;
	int rc;

	rc = pool_open_locked(&pool, a->word[0]);
	if (rc)
		return rc;
	rc = fn(a, &pool);
	pool_close(&pool);
	return rc;
}

/* Ids and names for new volumes, so that none is given twice. */
static int new_volume(struct pool *pool, const char *name, u32 id,
		      struct volume *v)
{
	size_t i;
	int rc;

	rc = name_check("volume", name);
	if (rc)
		return rc;
	for (i = 0; i < pool->volumes; i++)
		if (!strcmp(pool->volume[i].name, name))
			return fail(EXIT_EXISTS, "%s: there is a volume \"%s\" already",
				    pool->dm.name, name);
	if (pool_name_reserved(pool, name))
		return fail(EXIT_BUSY, "%s: a snapshot that is to be \"%s\" is being taken",
			    pool->dm.name, name);
	if (id > DAXCOW_MAX_ID)
		return fail(EXIT_NO_SPACE, "%s: all ids are in use",
			    pool->dm.name);
	memset(v, 0, sizeof(*v));
	v->id = id;
	snprintf(v->name, sizeof(v->name), "%s", name);
	return EXIT_DONE;
}

static int create_volume(const struct args *a, struct pool *pool)
{
	struct volume v, *made = &v;
	uuid_t uuid;
	size_t i;
	int rc;

	for (i = 0; i < pool->volumes; i++)
		if (pool->volume[i].id == a->id)
			return fail(EXIT_EXISTS, "%s: there is a volume with id %u already",
				    pool->dm.name, (u32)a->id);
	if (a->id != NOT_GIVEN && pool_id_reserved(pool, a->id))
		return fail(EXIT_BUSY, "%s: a snapshot with id %u, or of it, is being taken",
			    pool->dm.name, (u32)a->id);
	rc = new_volume(pool, a->word[1], a->id != NOT_GIVEN ? a->id :
			pool_free_id(pool, 0), &v);
	if (rc)
		return rc;
	uuid_generate(uuid);
	uuid_unparse_lower(uuid, v.uuid);
	rc = pool_message(pool, "cannot create the volume",
			  "create_thin %u %llu %s %s %u", v.id,
			  (unsigned long long)a->size >> 9, v.name, v.uuid,
			  (u32)a->domain);
	return rc ? rc : print_volumes(a, pool, &made, 1);
}

#define TOO_LARGE "a volume has at most %llu TiB", DAXCOW_MAX_VOLUME_BLOCKS >> 28

int cmd_create(const struct args *a)
{
	if (!a->size)
		return fail(EXIT_USAGE, "create needs --size");
	if (a->size >> DAXCOW_BLOCK_SHIFT > DAXCOW_MAX_VOLUME_BLOCKS)
		return fail(EXIT_USAGE, TOO_LARGE);
	return with_pool(a, create_volume);
}

/**
 * struct shots - snapshots to take in one step
 */
struct shots {
	size_t nr;
	u32 *origin;
	struct volume *v;
	struct volume **made;
};

static int shots_alloc(struct shots *s, size_t nr)
{
	s->nr = nr;
	s->origin = calloc(nr, sizeof(*s->origin));
	s->v = calloc(nr, sizeof(*s->v));
	s->made = calloc(nr, sizeof(*s->made));
	if (!s->origin || !s->v || !s->made)
		return fail(EXIT_FAILED, "out of memory");
	return EXIT_DONE;
}

static void shots_free(struct shots *s)
{
	free(s->origin);
	free(s->v);
	free(s->made);
}

static int add_shot(struct pool *pool, struct shots *s, size_t i,
		    const char *origin, const char *name)
{
	const struct volume *from;
	int rc = EXIT_DONE;
	u32 id;
	size_t k;

	from = pool_volume(pool, origin, &rc);
	if (!from)
		return rc;
	for (k = 0; k < i; k++)
		if (!strcmp(s->v[k].name, name))
			return fail(EXIT_USAGE, "\"%s\" is given twice", name);
	id = pool_free_id(pool, i ? s->v[i - 1].id + 1 : 0);
	s->origin[i] = from->id;
	s->made[i] = &s->v[i];
	return new_volume(pool, name, id, &s->v[i]);
}

/* "ORIGIN=NAME" */
static int add_pair(struct pool *pool, struct shots *s, size_t i,
		    const char *word)
{
	const char *equals = strchr(word, '=');
	char *origin;
	int rc;

	if (!equals)
		return fail(EXIT_USAGE, "\"%s\": expected ORIGIN=NAME", word);
	origin = strndup(word, equals - word);
	if (!origin)
		return fail(EXIT_FAILED, "out of memory");
	rc = add_shot(pool, s, i, origin, equals + 1);
	free(origin);
	return rc;
}

static int parse_shots(const struct args *a, struct pool *pool,
		       struct shots *s)
{
	bool pairs = a->words == 2 || strchr(a->word[1], '=');
	size_t i;
	int rc;

	if (!pairs && a->words != 3)
		return fail(EXIT_USAGE, "several snapshots at once are given as ORIGIN=NAME...");
	if (a->words - 1 > DAXCOW_SNAPSHOT_MAX)
		return fail(EXIT_USAGE, "at most %d snapshots are taken at once",
			    DAXCOW_SNAPSHOT_MAX);
	rc = shots_alloc(s, pairs ? a->words - 1 : 1);
	if (!pairs && !rc)
		return add_shot(pool, s, 0, a->word[1], a->word[2]);
	for (i = 0; i < s->nr && !rc; i++)
		rc = add_pair(pool, s, i, a->word[i + 1]);
	return rc;
}

/* Tries, PAUSE_NS apart, while the pool is suspended: a table being loaded takes less. */
#define TRIES		100
#define PAUSE_NS	100000000

/*
 * One that the pool's suspension ended may still be on its way when the pool is resumed,
 * and the next one is told that it is in the way.
 */
static int send_shots(const struct pool *pool, const char *text)
{
	int err = dm_message(pool->dm.name, text, NULL), i;

	if (err != -EAGAIN)
		return err;
	for (i = 1; i < TRIES && (err == -EAGAIN || err == -EBUSY); i++) {
		progress("%s: the pool is suspended", pool->dm.name);
		nanosleep(&(struct timespec) { .tv_nsec = PAUSE_NS }, NULL);
		err = dm_message(pool->dm.name, text, NULL);
	}
	progress_end();
	return err;
}

/* It waits for file systems to freeze, and other commands shall not. */
static int send_shots_unlocked(const struct pool *pool, const struct shots *s,
			       const char *text)
{
	size_t i;
	int err;

	for (i = 0; i < s->nr; i++) {
		pool_reserve_id(pool, s->origin[i]);
		pool_reserve_id(pool, s->v[i].id);
		pool_reserve_name(pool, s->v[i].name);
	}
	pool_lend_lock(pool);
	err = send_shots(pool, text);
	pool_take_lock(pool);
	return err;
}

static int shots_failed(const struct pool *pool, int err)
{
	if (err == -EAGAIN)
		return fail(EXIT_BUSY, "%s: the pool is suspended: no snapshot before it is resumed (dmsetup resume)",
			    pool->dm.name);
	if (err == -EBUSY)
		return fail(EXIT_BUSY,
			    "%s: a file system on an origin could not be frozen: is it mounted through another device above, or being unmounted? Suspend that device (dmsetup suspend) or unmount the file system, and try again; dmesg tells which",
			    pool->dm.name);
	if (err == -EIO)
		return fail(EXIT_FAILED,
			    "%s: cannot take the snapshot: has a file system on an origin been shut down by an error? Unmount it; dmesg tells which",
			    pool->dm.name);
	return fail_errno(-err, "%s: cannot take the snapshot", pool->dm.name);
}

/* The message makes all of them with one step, or none. */
static int take_shots(const struct pool *pool, const struct shots *s)
{
	char *text = NULL;
	size_t size, i;
	int err;
	FILE *f;

	f = open_memstream(&text, &size);
	if (!f)
		return fail(EXIT_FAILED, "out of memory");
	fputs("create_snaps", f);
	for (i = 0; i < s->nr; i++)
		fprintf(f, " %u %u %s", s->v[i].id,
			s->origin[i], s->v[i].name);
	if (fclose(f)) {
		free(text);
		return fail(EXIT_FAILED, "out of memory");
	}
	err = send_shots_unlocked(pool, s, text);
	free(text);
	return err ? shots_failed(pool, err) : EXIT_DONE;
}

/* The kernel has made up their uuids and sizes. */
static int read_back(struct pool *pool, struct shots *s)
{
	const struct volume *found;
	char id[16];
	size_t i;
	int rc;

	rc = pool_reread(pool);
	for (i = 0; i < s->nr && !rc; i++) {
		snprintf(id, sizeof(id), "id:%u", s->v[i].id);
		found = pool_volume(pool, id, &rc);
		if (found)
			s->v[i] = *found;
	}
	return rc;
}

/* A clone is there with its device, or not at all. */
static int activate_clone(const struct args *a, struct pool *pool,
			  struct volume *v)
{
	int rc = volume_activate(a, pool, v);

	if (rc)
		pool_message(pool, "cannot take back the clone", "delete %u",
			     v->id);
	return rc;
}

static int snapshot(const struct args *a, struct pool *pool, bool activate)
{
	struct shots s = { };
	int rc;

	rc = parse_shots(a, pool, &s);
	if (!rc)
		rc = take_shots(pool, &s);
	if (!rc && (activate || a->json))
		rc = read_back(pool, &s);
	if (!rc && activate)
		rc = activate_clone(a, pool, &s.v[0]);
	if (!rc)
		rc = print_volumes(a, pool, s.made, s.nr);
	shots_free(&s);
	return rc;
}

static int take(const struct args *a, struct pool *pool)
{
	return snapshot(a, pool, false);
}

static int take_and_activate(const struct args *a, struct pool *pool)
{
	return snapshot(a, pool, true);
}

int cmd_snapshot(const struct args *a)
{
	return with_pool(a, take);
}

int cmd_clone(const struct args *a)
{
	return with_pool(a, take_and_activate);
}

/* Refuse early, with the device's name: the kernel only knows that it is open. */
static int must_be_inactive(struct pool *pool, struct volume *v)
{
	int rc = volume_find_device(pool, v);
	char text[VOLUME_TEXT];

	if (rc || !v->device[0])
		return rc;
	return fail(EXIT_BUSY, "%s is active as %s/%s; deactivate it first",
		    volume_text(v, text), dm_dir(), v->device);
}

static int roll_back(const struct args *a, struct pool *pool)
{
	struct volume *v, *from = NULL;
	int rc = EXIT_DONE;

	v = pool_volume(pool, a->word[1], &rc);
	if (v)
		from = pool_volume(pool, a->word[2], &rc);
	if (!from)
		return rc;
	rc = must_be_inactive(pool, v);
	/* what its writers have been granted would show up in both */
	if (!rc)
		rc = must_be_inactive(pool, from);
	if (!rc && from->size > v->size)
		rc = fail(EXIT_FAILED, "%s is larger than %s; resize %s first",
			  a->word[2], a->word[1], a->word[1]);
	return rc ? rc : pool_message(pool, "cannot roll the volume back",
				      "rollback %u %u", v->id,
				      from->id);
}

int cmd_rollback(const struct args *a)
{
	return with_pool(a, roll_back);
}

/* All names are looked at before the first volume goes. */
static int remove_volumes(const struct args *a, struct pool *pool)
{
	char text[VOLUME_TEXT];
	int i, rc = EXIT_DONE;
	struct volume *v;

	for (i = 1; i < a->words && !rc; i++) {
		v = pool_volume(pool, a->word[i], &rc);
		if (v)
			rc = must_be_inactive(pool, v);
		if (!rc && v->chosen)
			rc = fail(EXIT_USAGE, "%s is given twice",
				  volume_text(v, text));
		if (!rc)
			v->chosen = true;
	}
	for (i = 1; i < a->words && !rc; i++) {
		progress("%d of %d", i, a->words - 1);
		v = pool_volume(pool, a->word[i], &rc);
		rc = pool_message(pool, "cannot remove the volume",
				  "delete %u", v->id);
	}
	return rc;
}

int cmd_remove(const struct args *a)
{
	return with_pool(a, remove_volumes);
}

/* By somebody else, who does not expect it to be resumed. */
static bool is_suspended(const struct volume *v)
{
	struct dm_dev dev;

	return v->device[0] && !dm_table(v->device, &dev) && dev.suspended;
}

/* Let an active device see the new size as well. */
static int resize_device(const struct volume *v, u64 size)
{
	struct dm_dev dev;
	int err;

	if (!v->device[0])
		return EXIT_DONE;
	err = dm_table(v->device, &dev);
	if (!err) {
		dev.length = size >> 9;
		err = dm_reload(&dev);
	}
	return err ? fail_errno(-err, "%s: the volume has its new size, its device has not",
				v->device) : EXIT_DONE;
}

static int resize_volume(const struct args *a, struct pool *pool)
{
	struct volume *v;
	int rc = EXIT_DONE;
	u64 size;

	v = pool_volume(pool, a->word[1], &rc);
	if (!v)
		return rc;
	size = a->word[2][0] == '+' ? v->size + a->size : a->size;
	if (size >> DAXCOW_BLOCK_SHIFT > DAXCOW_MAX_VOLUME_BLOCKS)
		return fail(EXIT_USAGE, TOO_LARGE);
	/* half of it would be done */
	if (pool->dm.suspended)
		return fail(EXIT_BUSY, "%s is suspended; resume it first (dmsetup resume)",
			    pool->dm.name);
	rc = volume_find_device(pool, v);
	if (!rc && is_suspended(v))
		rc = fail(EXIT_BUSY, "%s/%s is suspended; resume it first (dmsetup resume)",
			  dm_dir(), v->device);
	if (!rc && size < v->size) {
		rc = must_be_inactive(pool, v);
		if (!rc && !a->force)
			rc = fail(EXIT_USAGE,
				  "%s would become smaller and lose what is beyond; use --force if its file system ends before that",
				  a->word[1]);
	}
	if (!rc)
		rc = pool_message(pool, "cannot resize the volume",
				  "resize %u %llu", v->id,
				  (unsigned long long)size >> 9);
	return rc ? rc : resize_device(v, size);
}

int cmd_resize(const struct args *a)
{
	const char *text = a->word[2];
	struct args b = *a;

	if (size_parse(text + (*text == '+'), &b.size))
		return fail(EXIT_USAGE, "\"%s\" is not a size: " SIZE_HELP, text);
	if (b.size >> DAXCOW_BLOCK_SHIFT > DAXCOW_MAX_VOLUME_BLOCKS)
		return fail(EXIT_USAGE, TOO_LARGE);
	return with_pool(&b, resize_volume);
}
