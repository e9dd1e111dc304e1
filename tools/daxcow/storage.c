// SPDX-License-Identifier: GPL-2.0
/*
 * What devices and files are made of: whether two of them have blocks in common.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include <dirent.h>
#include <linux/loop.h>
#include "dm.h"
#include "storage.h"

/* Deeper stacks do not exist. */
#define MAX_DEPTH 16

/**
 * struct span - a part of a device that has nothing below it, or of a file
 * @dev:	the device, or that of the file system
 * @ino:	of a file, else 0
 * @start:	in bytes
 * @end:	behind it
 */
struct span {
	dev_t dev;
	ino_t ino;
	u64 start, end;
};

/**
 * struct spans - what something is made of
 * @below:	for a list of segments: the part that is looked for
 * @depth:	of its device
 */
struct spans {
	struct span *span;
	size_t nr;
	struct span below;
	int depth;
};

static void sysfs_path(char path[128], dev_t dev, const char *name)
{
	snprintf(path, 128, "/sys/dev/block/%u:%u/%s", major(dev), minor(dev),
		 name);
}

bool sysfs_number(dev_t dev, const char *name, u64 *number)
{
	long long value;
	char path[128];
	bool ok;
	FILE *f;

	sysfs_path(path, dev, name);
	f = fopen(path, "re");
	if (!f)
		return false;
	/* %lli also reads what begins with 0x */
	ok = fscanf(f, "%lli", &value) == 1;
	fclose(f);
	*number = ok ? value : 0;
	return ok;
}

static bool sysfs_dev(const char *path, dev_t *dev)
{
	unsigned int maj, min;
	FILE *f = fopen(path, "re");
	bool ok;

	if (!f)
		return false;
	ok = fscanf(f, "%u:%u", &maj, &min) == 2;
	fclose(f);
	*dev = makedev(maj, min);
	return ok;
}

bool sysfs_parent(dev_t dev, dev_t *parent)
{
	char path[128];

	sysfs_path(path, dev, "../dev");
	return sysfs_dev(path, parent);
}

bool sysfs_dm_name(dev_t dev, char *name, size_t size)
{
	char path[128], *end;
	bool ok;
	FILE *f;

	sysfs_path(path, dev, "dm/name");
	f = fopen(path, "re");
	if (!f)
		return false;
	ok = fgets(name, size, f);
	fclose(f);
	end = ok ? strchr(name, '\n') : NULL;
	if (end)
		*end = 0;
	return ok;
}

static int add_span(struct spans *s, struct span span)
{
	struct span *room = array_room(s->span, s->nr, sizeof(*room));

	if (!room)
		return -ENOMEM;
	s->span = room;
	s->span[s->nr++] = span;
	return 0;
}

static u64 add_offset(u64 a, u64 b)
{
	return a + b < a ? UINT64_MAX : a + b;
}

static int add_device(struct spans *s, struct span d, int depth);

/* A part of a device that begins at @offset of @dev. */
static int add_below(struct spans *s, struct span d, dev_t dev, u64 offset,
		     int depth)
{
	d.dev = dev;
	d.start = add_offset(d.start, offset);
	d.end = add_offset(d.end, offset);
	return add_device(s, d, depth + 1);
}

/* ---- loop devices ---- */

static int open_node(dev_t dev)
{
	char path[128], line[128], name[100];
	int fd = -1;
	FILE *f;

	sysfs_path(path, dev, "uevent");
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "DEVNAME=%99s", name) == 1) {
			snprintf(path, sizeof(path), "/dev/%s", name);
			fd = open(path, O_RDONLY | O_CLOEXEC);
		}
	if (f)
		fclose(f);
	return fd;
}

static bool loop_info(dev_t dev, struct loop_info64 *info)
{
	u64 offset;
	int fd;
	bool ok;

	if (!sysfs_number(dev, "loop/offset", &offset))
		return false;
	fd = open_node(dev);
	if (fd < 0)
		return false;
	ok = !ioctl(fd, LOOP_GET_STATUS64, info);
	close(fd);
	return ok;
}

static int add_loop(struct spans *s, struct span d, const struct loop_info64 *l,
		    int depth)
{
	if (l->lo_rdevice)
		return add_below(s, d, l->lo_rdevice, l->lo_offset, depth);
	return add_span(s, (struct span) {
		.dev = l->lo_device,
		.ino = l->lo_inode,
		.start = add_offset(d.start, l->lo_offset),
		.end = add_offset(d.end, l->lo_offset),
	});
}

/* ---- device-mapper, and whatever else is on other devices ---- */

/* Any of them may be anywhere on it. */
static int add_slaves(struct spans *s, struct span d, int depth)
{
	char path[128], dev_path[512];
	struct dirent *e;
	size_t nr = 0;
	int err = 0;
	dev_t dev;
	DIR *dir;

	sysfs_path(path, d.dev, "slaves");
	dir = opendir(path);
	while (dir && !err && (e = readdir(dir))) {
		snprintf(dev_path, sizeof(dev_path), "%s/%s/dev", path, e->d_name);
		if (e->d_name[0] == '.' || !sysfs_dev(dev_path, &dev))
			continue;
		err = add_device(s, (struct span) {
			.dev = dev, .end = UINT64_MAX,
		}, depth + 1);
		nr++;
	}
	if (dir)
		closedir(dir);
	return err || nr ? err : add_span(s, d);
}

/* Those share a device without sharing blocks that both may write. */
static bool has_own_blocks(const char *target)
{
	return !strcmp(target, DM_VOLUME_TARGET) || !strcmp(target, "thin");
}

static int add_segment(const struct dm_dev *seg, void *arg)
{
	struct spans *s = arg;
	unsigned long long sector;
	u64 start = seg->start << 9, end = start + (seg->length << 9);
	unsigned int maj, min;
	struct span d = s->below;

	if (start >= d.end || end <= d.start)
		return 0;
	if (has_own_blocks(seg->target))
		return add_span(s, d);
	if (strcmp(seg->target, "linear") ||
	    sscanf(seg->params, "%u:%u %llu", &maj, &min, &sector) != 3)
		return add_slaves(s, d, s->depth);
	d.start = max(d.start, start) - start;
	d.end = min(d.end, end) - start;
	return add_below(s, d, makedev(maj, min), sector << 9, s->depth);
}

/* The list of segments says where: the caller's place is put back after it. */
static int add_segments(struct spans *s, struct span d, const char *name,
			int depth)
{
	struct span below = s->below;
	int old = s->depth, err;

	s->below = d;
	s->depth = depth;
	err = dm_segments(name, add_segment, s);
	s->below = below;
	s->depth = old;
	/* without the right to ask, nobody may write it either */
	return err && err != -ENOMEM ? add_slaves(s, d, depth) : err;
}

static int add_device(struct spans *s, struct span d, int depth)
{
	struct loop_info64 loop;
	char name[DM_NAME_SIZE];
	u64 sectors;
	dev_t parent;

	if (depth > MAX_DEPTH)
		return -ELOOP;
	if (sysfs_number(d.dev, "partition", &sectors) &&
	    sysfs_number(d.dev, "start", &sectors) &&
	    sysfs_parent(d.dev, &parent))
		return add_below(s, d, parent, sectors << 9, depth);
	if (loop_info(d.dev, &loop))
		return add_loop(s, d, &loop, depth);
	if (sysfs_dm_name(d.dev, name, sizeof(name)))
		return add_segments(s, d, name, depth);
	return add_slaves(s, d, depth);
}

/* What is neither a file nor a device has no blocks that could be the same. */
static int add_stat(struct spans *s, const struct stat *st)
{
	struct span d = { .dev = st->st_rdev, .end = UINT64_MAX };
	u64 sectors;

	if (S_ISREG(st->st_mode))
		return add_span(s, (struct span) {
			.dev = st->st_dev, .ino = st->st_ino, .end = UINT64_MAX,
		});
	if (!S_ISBLK(st->st_mode))
		return 0;
	if (sysfs_number(d.dev, "size", &sectors))
		d.end = sectors << 9;
	return add_device(s, d, 0);
}

static bool overlap(const struct spans *s, const struct spans *t)
{
	size_t i, k;

	for (i = 0; i < s->nr; i++)
		for (k = 0; k < t->nr; k++)
			if (s->span[i].dev == t->span[k].dev &&
			    s->span[i].ino == t->span[k].ino &&
			    s->span[i].start < t->span[k].end &&
			    t->span[k].start < s->span[i].end)
				return true;
	return false;
}

static int distinct(const char *source, const struct stat *target,
		    const char *name)
{
	struct spans s = { }, t = { };
	struct stat st;
	int err, rc = EXIT_DONE;

	/* whoever opens it says what is wrong */
	if (stat(source, &st))
		return EXIT_DONE;
	err = add_stat(&s, &st);
	if (!err)
		err = add_stat(&t, target);
	if (err)
		rc = fail_errno(-err, "%s: cannot tell whether it is part of %s",
				source, name);
	else if (overlap(&s, &t))
		rc = fail(EXIT_USAGE, "%s and %s have blocks in common: writing one would destroy the other",
			  source, name);
	free(s.span);
	free(t.span);
	return rc;
}

int storage_distinct(const char *source, const char *target)
{
	struct stat st;

	return stat(target, &st) ? EXIT_DONE : distinct(source, &st, target);
}

int storage_distinct_stdout(const char *source)
{
	struct stat st;

	return fstat(STDOUT_FILENO, &st) ? EXIT_DONE :
	       distinct(source, &st, "the standard output");
}
