// SPDX-License-Identifier: GPL-2.0
/*
 * A started pool and its volumes, as the kernel describes them.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include <libdevmapper.h>
#include "pool.h"

#define CONTROL "/dev/daxcow"
/* Long enough for every request that people type. */
#define MESSAGE_SIZE 4096

static int ask(const struct pool *pool, char **answer, const char *fmt,
	       va_list ap)
{
	char text[MESSAGE_SIZE];

	if (vsnprintf(text, sizeof(text), fmt, ap) >= (int)sizeof(text))
		return -E2BIG;
	return dm_message(pool->dm.name, text, answer);
}

int pool_message(const struct pool *pool, const char *what,
		 const char *fmt, ...)
{
	va_list ap;
	int err;

	va_start(ap, fmt);
	err = ask(pool, NULL, fmt, ap);
	va_end(ap);
	return err ? fail_errno(-err, "%s: %s", pool->dm.name, what) :
		     EXIT_DONE;
}

int pool_ask(const struct pool *pool, char **answer, const char *fmt, ...)
{
	va_list ap;
	int err;

	va_start(ap, fmt);
	err = ask(pool, answer, fmt, ap);
	va_end(ap);
	if (!err && !*answer)
		*answer = strdup("");
	if (!err && !*answer)
		err = -ENOMEM;
	return err ? fail_errno(-err, "%s: cannot ask the kernel",
				pool->dm.name) : EXIT_DONE;
}

const char *volume_text(const struct volume *v, char text[VOLUME_TEXT])
{
	if (v->name[0])
		snprintf(text, VOLUME_TEXT, "%s", v->name);
	else
		snprintf(text, VOLUME_TEXT, "id:%u", v->id);
	return text;
}

/* One line of the message "list". */
static bool parse_volume(const char *line, struct volume *v)
{
	char origin[12], name[DAXCOW_NAME_SIZE];
	unsigned long long sectors, created;

	memset(v, 0, sizeof(*v));
	if (sscanf(line, "%u %11s %llu %llu %u %36s %63s %u", &v->id, origin,
		   &sectors, &created, &v->open, v->uuid, name,
		   &v->domain) < 7)
		return false;
	v->created = created;
	v->size = sectors << 9;
	v->origin = strcmp(origin, "-") ? strtoul(origin, NULL, 10) :
					  DAXCOW_NO_ORIGIN;
	if (strcmp(name, "-"))
		memcpy(v->name, name, sizeof(name));
	return true;
}

static int add_volume(struct pool *pool, const struct volume *v)
{
	struct volume *more = array_room(pool->volume, pool->volumes,
					 sizeof(*more));

	if (!more)
		return -ENOMEM;
	pool->volume = more;
	pool->volume[pool->volumes++] = *v;
	return 0;
}

/* Adds what one answer of "list" says; *@next is set behind the last. */
static int add_answer(struct pool *pool, char *answer, u32 *next)
{
	struct volume v;
	char *line, *rest = answer;

	while ((line = strsep(&rest, "\n"))) {
		if (!*line)
			continue;
		if (!parse_volume(line, &v))
			return fail(EXIT_FAILED,
				    "%s: the kernel said \"%s\", which this version of the tool does not understand",
				    pool->dm.name, line);
		if (v.id < *next || add_volume(pool, &v))
			return fail(EXIT_FAILED, "%s: cannot list the volumes",
				    pool->dm.name);
		*next = v.id + 1;
	}
	return EXIT_DONE;
}

static int read_volumes(struct pool *pool)
{
	u32 next = 0, from;
	char *answer;
	int rc;

	do {
		from = next;
		rc = pool_ask(pool, &answer, "list %u", from);
		if (rc)
			return rc;
		rc = add_answer(pool, answer, &next);
		free(answer);
	} while (!rc && next > from && next <= DAXCOW_MAX_ID);
	return rc;
}

/* Ours carry it in the device's uuid, those of dmsetup do not. */
static void read_uuid(struct pool *pool)
{
	size_t prefix = strlen(DM_UUID_PREFIX);
	char *answer, *line;

	if (!strncmp(pool->dm.uuid, DM_UUID_PREFIX, prefix)) {
		snprintf(pool->uuid, sizeof(pool->uuid), "%.36s",
			 pool->dm.uuid + prefix);
		return;
	}
	if (dm_message(pool->dm.name, "stats", &answer) || !answer)
		return;
	line = strstr(answer, "uuid ");
	if (line)
		sscanf(line, "uuid %36s", pool->uuid);
	free(answer);
}

/**
 * struct search - for a pool by the device that it is on
 */
struct search {
	struct pool *pool;
	dev_t dev;
};

static int is_on_device(const struct dm_dev *dev, void *arg)
{
	struct search *search = arg;
	unsigned int major, minor;

	if (sscanf(dev->params, "%u:%u", &major, &minor) == 2 &&
	    makedev(major, minor) == search->dev)
		search->pool->dm = *dev;
	return 0;
}

static int find_on_device(struct pool *pool, const char *path)
{
	struct search search = { .pool = pool };
	struct stat st;
	int err;

	if (stat(path, &st) || !S_ISBLK(st.st_mode))
		return -ENXIO;
	search.dev = st.st_rdev;
	err = dm_each(DM_POOL_TARGET, is_on_device, &search);
	return err ? err : pool->dm.name[0] ? 0 : -ENXIO;
}

bool pool_unfinished(const struct dm_dev *dev)
{
	return !dev->live &&
	       !strncmp(dev->uuid, DM_UUID_PREFIX, strlen(DM_UUID_PREFIX)) &&
	       strlen(dev->uuid) == strlen(DM_UUID_PREFIX) + UUID_TEXT - 1;
}

bool pool_read_only(const struct pool *pool)
{
	struct dm_dev status;

	return !dm_status(pool->dm.name, &status) &&
	       strstr(status.params, " - ro ");
}

/* Its name, its node, or the device that it is on, which may be one of dm as well. */
static int find(struct pool *pool, const char *path, const char *name)
{
	struct dm_dev below;
	int err = name[0] == '/' ? -ENXIO : dm_table(name, &pool->dm);

	if (path[0] != '/' || (err && err != -ENXIO))
		return err;
	if (!err && (pool_unfinished(&pool->dm) ||
		     !strcmp(pool->dm.target, DM_POOL_TARGET)))
		return 0;
	below = pool->dm;
	memset(&pool->dm, 0, sizeof(pool->dm));
	if (!find_on_device(pool, path))
		return 0;
	pool->dm = below;
	return err;
}

int pool_find(struct pool *pool, const char *name)
{
	size_t dir = strlen(dm_dir());
	const char *path = name;
	int err;

	*pool = (struct pool) { .lock = -1 };
	/* what completion and copying give */
	if (!strncmp(name, dm_dir(), dir) && name[dir] == '/')
		name += dir + 1;
	err = find(pool, path, name);
	if (err == -ENXIO)
		return fail(EXIT_NOT_FOUND,
			    "there is no pool \"%s\"; \"daxcow status\" shows those that are started",
			    name);
	if (err)
		return fail_errno(-err, "%s", name);
	if (pool_unfinished(&pool->dm))
		return fail(EXIT_NOT_FOUND, "the start of \"%s\" was interrupted; start it again, or \"daxcow stop %s\"",
			    name, name);
	if (strcmp(pool->dm.target, DM_POOL_TARGET))
		return fail(EXIT_NOT_FOUND, "\"%s\" is a device, but not a daxcow pool",
			    name);
	return EXIT_DONE;
}

int pool_reread(struct pool *pool)
{
	free(pool->volume);
	pool->volume = NULL;
	pool->volumes = 0;
	return read_volumes(pool);
}

int pool_open(struct pool *pool, const char *name)
{
	int rc = pool_find(pool, name);

	if (rc)
		return rc;
	read_uuid(pool);
	rc = read_volumes(pool);
	if (rc)
		pool_close(pool);
	return rc;
}

/*
 * Two runs at once must not choose the same id or name. The lock is taken on
 * the pool's node, where no file is left behind; without a node there is none.
 */
int pool_open_locked(struct pool *pool, const char *name)
{
	char path[DM_NAME_SIZE + 64];
	int lock, rc;

	rc = pool_find(pool, name);
	if (rc)
		return rc;
	snprintf(path, sizeof(path), "%s/%s", dm_dir(), pool->dm.name);
	/* a start that was killed may have left it to us */
	if (access(path, F_OK))
		dm_node(pool->dm.name);
	lock = open(path, O_RDONLY | O_CLOEXEC);
	if (lock >= 0)
		flock(lock, LOCK_EX);
	rc = pool_open(pool, name);
	pool->lock = lock;
	pool->tidy = true;
	if (rc)
		pool_close(pool);
	return rc;
}

void pool_unlock(struct pool *pool)
{
	if (pool->lock >= 0)
		close(pool->lock);
	pool->lock = -1;
}

void pool_close(struct pool *pool)
{
	pool_unlock(pool);
	free(pool->volume);
	pool->volume = NULL;
	pool->volumes = 0;
}

struct volume *pool_volume(struct pool *pool, const char *name, int *rc)
{
	struct volume *found = NULL;
	u64 id = NOT_GIVEN;
	size_t i;

	if (!strncmp(name, "id:", 3) &&
	    number_parse(name + 3, DAXCOW_MAX_ID, &id)) {
		*rc = fail(EXIT_USAGE, "\"%s\": not a volume id", name);
		return NULL;
	}
	for (i = 0; i < pool->volumes; i++) {
		struct volume *v = &pool->volume[i];

		if (id == NOT_GIVEN ? strcmp(v->name, name) : v->id != id)
			continue;
		if (found) {
			*rc = fail(EXIT_USAGE,
				   "%s: both id:%u and id:%u are called \"%s\"; use the id",
				   pool->dm.name, found->id, v->id, name);
			return NULL;
		}
		found = v;
	}
	if (!found)
		*rc = fail(EXIT_NOT_FOUND,
			   "%s: there is no volume \"%s\"; \"daxcow list %s\" shows all",
			   pool->dm.name, name, pool->dm.name);
	return found;
}

static int by_number(const void *a, const void *b)
{
	const u32 *v = a, *w = b;

	return *v < *w ? -1 : *v > *w;
}

/*
 * The id of an origin that is gone is not given to another one, or snapshots would seem
 * to be of that.
 */
u32 pool_free_id(const struct pool *pool, u32 from)
{
	size_t nr = 0, i;
	u32 *used = calloc(pool->volumes + 1, 2 * sizeof(*used));

	for (i = 0; i < pool->volumes && used; i++) {
		used[nr++] = pool->volume[i].id;
		if (pool->volume[i].origin != DAXCOW_NO_ORIGIN)
			used[nr++] = pool->volume[i].origin;
	}
	if (used)
		qsort(used, nr, sizeof(*used), by_number);
	for (i = 0; i < nr || pool_id_reserved(pool, from);) {
		if (i < nr && used[i] < from) {
			i++;
		} else if ((i < nr && used[i] == from) ||
			   pool_id_reserved(pool, from)) {
			from++;
		} else {
			break;
		}
	}
	free(used);
	return from;
}

int control_open(int *fd)
{
	*fd = open(CONTROL, O_RDWR | O_CLOEXEC);
	if (*fd >= 0)
		return EXIT_DONE;
	if (errno == ENOENT)
		return fail(EXIT_NO_KERNEL, "%s is missing: is the module dm-daxcow loaded, and new enough?",
			    CONTROL);
	return fail_errno(errno, "%s", CONTROL);
}
