// SPDX-License-Identifier: GPL-2.0
/*
 * Device-mapper as the tool sees it, without a kernel: devices are files in
 * the directory $FAKE_DM, and the pool target's messages are carried out by
 * the engine on the pool's device. Linked in place of tools/daxcow/dm.c, so
 * that all of the tool but its ioctls can be tested anywhere.
 *
 * A device is open while there is a file NAME.open. With FAKE_DM_KILL=N the tool
 * is killed at the N-th place that is before or behind a request to the kernel.
 * With FAKE_DM_FREEZE=FILE a snapshot makes FILE, and waits until it is gone. With
 * FAKE_DM_NODES=DIR the nodes are looked for in DIR/mapper; when that is $FAKE_DM
 * there are some, and runs lock each other out.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <dirent.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <libdevmapper.h>
#include <uuid/uuid.h>
#include "dm.h"
#include <daxcow/core.h>

#define FAKE_MAJOR 254

static const char *path_of(const char *name, const char *suffix)
{
	static char path[4096];

	snprintf(path, sizeof(path), "%s/%s%s", getenv("FAKE_DM"), name,
		 suffix);
	return path;
}

/* Before and after each request that changes something. */
static void step(void)
{
	static int steps;

	if (getenv("FAKE_DM_KILL") && ++steps == atoi(getenv("FAKE_DM_KILL")))
		raise(SIGKILL);
}

void dm_init(bool verbose)
{
	(void)verbose;
	if (getenv("FAKE_DM_NODES"))
		dm_set_dev_dir(getenv("FAKE_DM_NODES"));
}

bool dm_target_known(const char *target)
{
	(void)target;
	return !getenv("FAKE_DM_NO_TARGET");
}

static int dm_save(const struct dm_dev *dev)
{
	FILE *f = fopen(path_of(dev->name, ""), "w");

	if (!f)
		return -ENXIO;
	fwrite(dev, sizeof(*dev), 1, f);
	fclose(f);
	return 0;
}

static int count_user(const struct dm_dev *dev, void *arg)
{
	struct dm_dev *pool = arg;
	unsigned int maj, min;

	if ((dev->live || dev->pending) &&
	    !strcmp(dev->target, DM_VOLUME_TARGET) &&
	    sscanf(dev->params, "%u:%u", &maj, &min) == 2 &&
	    maj == pool->major && min == pool->minor)
		pool->open_count++;
	return 0;
}

static int dm_load(const char *name, struct dm_dev *dev)
{
	FILE *f = fopen(path_of(name, ""), "r");
	bool ok;

	if (!f)
		return -ENXIO;
	ok = fread(dev, sizeof(*dev), 1, f) == 1;
	fclose(f);
	return ok ? 0 : -ENXIO;
}

/* Also what is loaded only, as the kernel sees it. */
static int each_loaded(int (*fn)(const struct dm_dev *dev, void *arg), void *arg)
{
	DIR *dir = opendir(getenv("FAKE_DM"));
	struct dirent *d;
	struct dm_dev dev;
	int rc = 0;

	if (!dir)
		return -ENOPKG;
	while (!rc && (d = readdir(dir)))
		if (d->d_name[0] != '.' && !strstr(d->d_name, ".open") &&
		    !dm_load(d->d_name, &dev))
			rc = fn(&dev, arg);
	closedir(dir);
	return rc;
}

int dm_table(const char *name, struct dm_dev *dev)
{
	int err = dm_load(name, dev);

	if (err)
		return err;
	dev->open_count = !access(path_of(name, ".open"), F_OK);
	if (!strcmp(dev->target, DM_POOL_TARGET))
		each_loaded(count_user, dev);
	/* what is loaded only is not shown */
	if (!dev->live) {
		dev->target[0] = 0;
		dev->params[0] = 0;
	}
	return 0;
}

/**
 * struct wanted - devices that are looked for
 * @found:	with that uuid
 */
struct wanted {
	const char *target, *uuid;
	int (*fn)(const struct dm_dev *dev, void *arg);
	void *arg;
	struct dm_dev found;
};

static int has_uuid(const struct dm_dev *dev, void *arg)
{
	struct wanted *w = arg;

	return strcmp(dev->uuid, w->uuid) ? 0 : !dm_table(dev->name, &w->found);
}

int dm_table_of_uuid(const char *uuid, struct dm_dev *dev)
{
	struct wanted w = { .uuid = uuid };
	int found = each_loaded(has_uuid, &w);

	*dev = w.found;
	return found > 0 ? 0 : found < 0 ? found : -ENXIO;
}

static int has_target(const struct dm_dev *loaded, void *arg)
{
	struct wanted *w = arg;
	struct dm_dev dev;

	if (dm_table(loaded->name, &dev) ||
	    (w->target && strcmp(dev.target, w->target)))
		return 0;
	return w->fn(&dev, w->arg);
}

int dm_each(const char *target, int (*fn)(const struct dm_dev *dev, void *arg),
	    void *arg)
{
	struct wanted w = { .target = target, .fn = fn, .arg = arg };

	return each_loaded(has_target, &w);
}

void dm_node(const char *name)
{
	(void)name;
}

int dm_segments(const char *name,
		int (*fn)(const struct dm_dev *segment, void *arg), void *arg)
{
	struct dm_dev dev;
	int err = dm_table(name, &dev);

	return err ? err : fn(&dev, arg);
}

/**
 * struct loaded - a pool for the time of one request
 */
struct loaded {
	struct daxcow_pool *pool;
	void *base;
	size_t size;
	int fd;
};

static int open_backing(const char *params)
{
	char path[128], line[128], name[100];
	unsigned int maj, min;
	int fd = -1;
	FILE *f;

	if (sscanf(params, "%u:%u", &maj, &min) != 2)
		return -1;
	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/uevent", maj, min);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "DEVNAME=%99s", name) == 1) {
			snprintf(path, sizeof(path), "/dev/%s", name);
			fd = open(path, O_RDWR);
		}
	if (f)
		fclose(f);
	return fd;
}

static int load(const struct dm_dev *dev, struct loaded *l)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	struct daxcow_report report;
	int err;

	l->size = dev->length << 9;
	l->fd = open_backing(dev->params);
	if (l->fd < 0)
		return -ENXIO;
	/* one request at a time, whatever runs there are */
	fcntl(l->fd, F_OFD_SETLKW, &lock);
	l->base = mmap(NULL, l->size, PROT_READ | PROT_WRITE, MAP_SHARED,
		       l->fd, 0);
	if (l->base == MAP_FAILED) {
		close(l->fd);
		return -ENOMEM;
	}
	err = daxcow_load(&l->pool, l->base, l->size >> DAXCOW_BLOCK_SHIFT, 0,
			  NULL, &report);
	/* as the kernel does when a longer table is resumed; -EINVAL for a shorter one */
	if (!err)
		daxcow_grow(l->pool, l->size >> DAXCOW_BLOCK_SHIFT);
	if (err) {
		munmap(l->base, l->size);
		close(l->fd);
	}
	return err;
}

static void unload(struct loaded *l)
{
	daxcow_unload(l->pool);
	munmap(l->base, l->size);
	close(l->fd);
}

static int same_uuid(const struct dm_dev *dev, void *arg)
{
	const struct dm_dev *new = arg;

	return new->uuid[0] && !strcmp(dev->uuid, new->uuid) ? -EBUSY : 0;
}

int dm_create(const struct dm_dev *dev, bool hidden)
{
	struct dm_dev new = *dev, old;
	struct loaded l;
	struct stat st;
	int err;

	(void)hidden;
	if (!dm_table(dev->name, &old))
		return -EBUSY;
	err = each_loaded(same_uuid, &new);
	if (err)
		return err;
	/* created: numbers that no other device has, and no table */
	step();
	new.major = FAKE_MAJOR;
	new.live = false;
	new.pending = false;
	if (!dm_save(&new) && !stat(path_of(dev->name, ""), &st))
		new.minor = st.st_ino;
	err = dm_save(&new);
	step();
	if (getenv("FAKE_DM_NO_TARGET"))
		err = -EINVAL;
	if (!err && !strcmp(dev->target, DM_POOL_TARGET)) {
		err = load(dev, &l);
		if (!err)
			unload(&l);
	}
	if (err) {
		unlink(path_of(dev->name, ""));
		return err;
	}
	step();
	new.pending = true;
	dm_save(&new);
	step();
	return dm_resume(dev->name);
}

int dm_resume(const char *name)
{
	struct dm_dev dev, after;
	int err = dm_load(name, &dev);
	FILE *f;

	if (err)
		return err;
	/* the table that dm_reload() has left waiting */
	f = fopen(path_of(name, ".pending.open"), "r");
	if (f && fread(&after, sizeof(after), 1, f) == 1)
		dev = after;
	if (f)
		fclose(f);
	dev.live = true;
	dev.pending = false;
	dev.suspended = false;
	step();
	unlink(path_of(name, ".pending.open"));
	err = dm_save(&dev);
	step();
	return err;
}

int dm_reload(const struct dm_dev *dev)
{
	struct dm_dev old;
	int err = dm_load(dev->name, &old);
	FILE *f;

	if (err)
		return err;
	step();
	f = fopen(path_of(dev->name, ".pending.open"), "w");
	if (!f)
		return -EIO;
	fwrite(dev, sizeof(*dev), 1, f);
	fclose(f);
	old.pending = true;
	dm_save(&old);
	step();
	old.suspended = true;
	dm_save(&old);
	step();
	return dm_resume(dev->name);
}

int dm_remove(const char *name)
{
	struct dm_dev dev;
	int err = dm_table(name, &dev);

	if (err)
		return err;
	if (dev.open_count)
		return -EBUSY;
	step();
	/* and the table that waits */
	unlink(path_of(name, ".pending.open"));
	err = unlink(path_of(name, "")) ? -errno : 0;
	step();
	return err;
}

/**
 * struct user - looks for the device of a volume
 */
struct user {
	struct dm_dev pool;
	unsigned int id;
	int users;
};

static int is_user(const struct dm_dev *dev, void *arg)
{
	struct user *u = arg;
	unsigned int maj, min, id;

	if (!strcmp(dev->target, DM_VOLUME_TARGET) &&
	    (dev->live || dev->pending) &&
	    sscanf(dev->params, "%u:%u %u", &maj, &min, &id) == 3 &&
	    maj == u->pool.major && min == u->pool.minor && id == u->id)
		u->users++;
	return 0;
}

static int users(const struct dm_dev *pool, unsigned int id)
{
	struct user u = { .pool = *pool, .id = id };

	each_loaded(is_user, &u);
	return u.users;
}

static char *add(char *text, const char *fmt, ...)
{
	char line[512], *more;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	more = realloc(text, (text ? strlen(text) : 0) + strlen(line) + 1);
	if (!text)
		more[0] = 0;
	return strcat(more, line);
}

/* As %*pE of the kernel's printf does. */
static const char *escaped(const char *text)
{
	static char to[4 * DAXCOW_NAME_SIZE + 1];
	char *p = to;

	for (; *text; text++)
		if (*text == '\n')
			p += sprintf(p, "\\n");
		else if ((u8)*text < ' ' || *text == 0x7f)
			p += sprintf(p, "\\%03o", (u8)*text);
		else
			*p++ = *text;
	*p = 0;
	return to;
}

/* A few at a time, so that the tool has to come again. */
static char *list(const struct dm_dev *dev, struct daxcow_pool *pool, u32 id)
{
	struct daxcow_volume_info v;
	char uuid[UUID_STR_LEN], origin[16], *text = NULL;
	int n;

	for (n = 0; n < 3 && !daxcow_next_volume(pool, id, &v); n++) {
		uuid_unparse_lower(v.uuid, uuid);
		snprintf(origin, sizeof(origin), "%u", v.origin);
		text = add(text, "%u %s %llu %llu %d %s %s", v.id,
			   v.origin == DAXCOW_NO_ORIGIN ? "-" : origin,
			   (unsigned long long)v.size << 3,
			   (unsigned long long)v.created, users(dev, v.id),
			   uuid, v.name[0] ? escaped(v.name) : "-");
		text = v.domain ? add(text, " %u\n", v.domain) : add(text, "\n");
		id = v.id + 1;
	}
	return text;
}

static int create_snaps(struct daxcow_pool *pool, char *text)
{
	struct daxcow_volume_desc d[16] = { };
	u8 uuid[16][DAXCOW_UUID_SIZE];
	char *word;
	int n = 0;

	for (word = strtok(text, " "); word && n < 16; n++) {
		d[n].id = atoi(word);
		d[n].origin = atoi(strtok(NULL, " ") ?: "0");
		d[n].name = strtok(NULL, " ");
		uuid_generate(uuid[n]);
		d[n].uuid = uuid[n];
		d[n].created = 1700000000;
		word = strtok(NULL, " ");
	}
	return daxcow_snapshot(pool, d, n);
}

static int create_thin(struct daxcow_pool *pool, const char *text)
{
	struct daxcow_volume_desc d = { .created = 1700000000 };
	char name[DAXCOW_NAME_SIZE] = "", uuid_text[UUID_STR_LEN] = "";
	unsigned long long sectors = 0;
	uuid_t uuid;

	if (sscanf(text, "%u %llu %63s %36s %u", &d.id, &sectors, name,
		   uuid_text, &d.domain) < 1)
		return -EINVAL;
	if (uuid_parse(uuid_text, uuid))
		uuid_generate(uuid);
	d.uuid = uuid;
	d.size = sectors >> 3;
	d.name = name;
	return daxcow_create(pool, &d);
}

static int answer_message(const struct dm_dev *dev, struct daxcow_pool *pool,
			  const char *text, char **answer)
{
	struct daxcow_pool_info info;
	struct daxcow_usage u;
	unsigned int id;
	int err;

	if (sscanf(text, "list %u", &id) == 1) {
		*answer = list(dev, pool, id);
		return 0;
	}
	if (sscanf(text, "usage %u", &id) == 1) {
		err = daxcow_usage(pool, id, &u);
		if (!err)
			*answer = add(NULL, "%llu %llu %llu %llu - 0\n",
				      (unsigned long long)u.mapped,
				      (unsigned long long)u.exclusive,
				      (unsigned long long)u.huge,
				      (unsigned long long)u.nodes);
		return err;
	}
	daxcow_pool_info(pool, &info);
	*answer = add(NULL, "label %s\nblocks %llu\nfree %llu\nchunks_free %llu\nvolumes %llu\nmode rw\ndax yes\nfigure_of_tomorrow 7\n",
		      info.label[0] ? escaped(info.label) : "-",
		      (unsigned long long)info.nr_blocks,
		      (unsigned long long)info.nr_free,
		      (unsigned long long)info.nr_chunks_free,
		      (unsigned long long)info.nr_volumes);
	return 0;
}

static int change_message(const struct dm_dev *dev, struct daxcow_pool *pool,
			  const char *text)
{
	unsigned int id, from;
	unsigned long long sectors;
	char copy[4096];

	if (!strncmp(text, "create_thin ", 12))
		return create_thin(pool, text + 12);
	if (!strncmp(text, "create_snaps ", 13)) {
		snprintf(copy, sizeof(copy), "%s", text + 13);
		return create_snaps(pool, copy);
	}
	if (sscanf(text, "delete %u", &id) == 1)
		return users(dev, id) ? -EBUSY : daxcow_delete(pool, id);
	if (sscanf(text, "rollback %u %u", &id, &from) == 2)
		return users(dev, id) ? -EBUSY : daxcow_rollback(pool, id, from);
	if (sscanf(text, "resize %u %llu", &id, &sectors) == 2)
		return daxcow_resize(pool, id, sectors >> 3);
	return -EINVAL;
}

static void freeze(void)
{
	const char *path = getenv("FAKE_DM_FREEZE");

	if (!path)
		return;
	close(open(path, O_CREAT | O_WRONLY, 0600));
	while (!access(path, F_OK))
		usleep(10000);
}

int dm_message(const char *name, const char *text, char **answer)
{
	struct dm_dev dev;
	struct loaded l;
	int err;

	if (!strncmp(text, "create_snaps ", 13))
		freeze();
	err = dm_table(name, &dev);
	if (!err)
		err = load(&dev, &l);
	if (err)
		return err;
	if (answer)
		*answer = NULL;
	if (answer) {
		err = answer_message(&dev, l.pool, text, answer);
	} else {
		step();
		err = change_message(&dev, l.pool, text);
		step();
	}
	unload(&l);
	return err;
}

int dm_status(const char *name, struct dm_dev *dev)
{
	struct daxcow_pool_info i;
	struct loaded l;
	int err;

	err = dm_table(name, dev);
	if (!err)
		err = load(dev, &l);
	if (err)
		return err;
	daxcow_pool_info(l.pool, &i);
	unload(&l);
	snprintf(dev->params, sizeof(dev->params),
		 "%llu %llu/%llu %llu/%llu - rw discard_passdown queue_if_no_space - 64 ",
		 (unsigned long long)i.trans, (unsigned long long)i.nr_meta,
		 (unsigned long long)i.nr_blocks, (unsigned long long)i.nr_data,
		 (unsigned long long)i.nr_blocks);
	return 0;
}
