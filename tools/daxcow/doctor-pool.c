// SPDX-License-Identifier: GPL-2.0
/*
 * daxcow doctor: pools, their volumes, what is stacked on these, and file systems.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include "doctor.h"
#include "mounts.h"
#include "pool.h"

#define STACK_LIMIT	16

/**
 * struct examination - of all pools
 * @suspended:	a pool is; who reads from a volume may have to wait
 */
struct examination {
	struct doctor *d;
	struct mounts mounts;
	bool suspended;
};

/* ---- file systems ---- */

/* @option stands in a list with commas between. */
static bool has_option(const char *options, const char *option)
{
	size_t n = strlen(option);
	const char *p = options;

	while ((p = strstr(p, option))) {
		if ((p == options || p[-1] == ',') && (!p[n] || p[n] == ','))
			return true;
		p += n;
	}
	return false;
}

/* Whether blocks are not those of a page. */
static bool look_at_block_size(struct examination *e, const struct mount *m)
{
	const char *path;
	struct statfs fs;
	int fd, err;

	fd = mounts_open(&e->mounts, m->dev, &path);
	if (fd < 0)
		return false;
	err = fstatfs(fd, &fs);
	close(fd);
	if (err || fs.f_bsize == sysconf(_SC_PAGESIZE))
		return false;
	doctor_found(e->d, SEVERITY_PROBLEM, "fs-block-size", m->path,
		     "make the file system anew, with mkfs.ext4 -b 4096 or mkfs.xfs -b size=4096",
		     "its blocks are of %ld bytes, and DAX needs those of a page",
		     (long)fs.f_bsize);
	return true;
}

static void look_at_options(struct doctor *d, const struct mount *m)
{
	bool xfs = !strcmp(m->type, "xfs");

	if (has_option(m->options, "data=journal"))
		doctor_found(d, SEVERITY_PROBLEM, "fs-data-journal", m->path,
			     "mount it without data=journal", "data=journal and DAX exclude each other");
	if (has_option(m->options, "dax=always") || has_option(m->options, "dax"))
		return;
	if (has_option(m->options, "dax=never"))
		doctor_found(d, SEVERITY_PROBLEM, "fs-dax-never", m->path,
			     "see to what else was found, unmount it, and mount it with -o dax=always",
			     "it is mounted without DAX%s", xfs ?
			     ": because of the option dax=never, or as its device had none then" : "");
	else
		doctor_found(d, SEVERITY_WARNING, "fs-dax-inode", m->path,
			     "mount it with -o dax=always, or set the flag (xfs_io -c 'chattr +x')",
			     "only files that have the flag for it are on DAX");
}

static void look_at_mount(struct examination *e, const struct mount *m)
{
	if (strcmp(m->type, "xfs") && strcmp(m->type, "ext4") && strcmp(m->type, "ext2")) {
		doctor_found(e->d, SEVERITY_PROBLEM, "fs-type", m->path, "use XFS or ext4",
			     "%s has no DAX, or none that was tested here", m->type);
		return;
	}
	/* with other blocks XFS has made dax=never of what it was mounted with */
	if (!look_at_block_size(e, m))
		look_at_options(e->d, m);
}

/* Where nothing is mounted: a file system that refuses dax=always says it in the log only. */
static void look_at_content(struct doctor *d, const struct block *b)
{
	unsigned char super[2048] = { };
	char path[80];
	unsigned int block;
	int fd;

	snprintf(path, sizeof(path), "/dev/%s", b->name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	/* XFS: "XFSB", and the size of blocks at 4, high byte first */
	if (pread(fd, super, sizeof(super), 0) == sizeof(super) && !memcmp(super, "XFSB", 4)) {
		block = super[4] << 24 | super[5] << 16 | super[6] << 8 | super[7];
		if (block != sysconf(_SC_PAGESIZE))
			doctor_found(d, SEVERITY_PROBLEM, "fs-block-size", b->dm_name,
				     "make the file system anew, with mkfs.xfs -b size=4096",
				     "the blocks of the XFS on it are of %u bytes, and DAX needs those of a page",
				     block);
	}
	/* ext4: magic at 1080, log2 of blocks of 1 KiB at 1048, features at 1120 */
	if (pread(fd, super, sizeof(super), 0) == sizeof(super) && super[1080] == 0x53 &&
	    super[1081] == 0xef) {
		block = super[1048] < 7 ? 1024u << super[1048] : 0;
		if (block != sysconf(_SC_PAGESIZE))
			doctor_found(d, SEVERITY_PROBLEM, "fs-block-size", b->dm_name,
				     "make the file system anew, with mkfs.ext4 -b 4096",
				     "the blocks of the ext4 on it are of %u bytes, and DAX needs those of a page",
				     block);
		if (super[1121] & 0x80)
			doctor_found(d, SEVERITY_PROBLEM, "fs-inline-data", b->dm_name,
				     "make the file system anew, without the feature inline_data",
				     "the ext4 on it may have data in its inodes, which cannot be mapped");
	}
	close(fd);
}

/* Once for each file system: a container may have a directory of it only. */
static bool look_at_mounts(struct examination *e, const struct block *b)
{
	const struct mount *found = NULL;
	size_t i;

	for (i = 0; i < e->mounts.nr; i++) {
		const struct mount *m = &e->mounts.mount[i];

		if (m->dev == b->dev && (!found || (m->whole && !found->whole)))
			found = m;
	}
	if (found)
		look_at_mount(e, found);
	return found;
}

/* ---- what is on a volume ---- */

/**
 * struct above - a search for what is on a device
 * @waits:	something below, or the device itself, is suspended
 * @nr:		how many were found
 */
struct above {
	struct examination *e;
	const struct block *below;
	unsigned int depth, nr;
	bool waits;
};

static int look_above(const char *name, void *arg);

static void look_at_users(struct examination *e, const struct block *b, unsigned int depth,
			  bool waits)
{
	struct above above = {
		.e = e, .below = b, .depth = depth, .waits = waits || b->suspended,
	};
	char dir[PATH_MAX];

	snprintf(dir, sizeof(dir), "/sys/class/block/%s/holders", b->name);
	if (depth < STACK_LIMIT)
		doctor_each(dir, look_above, &above);
	/* what has DAX is memory, or mapped to it, and does not wait for anything else */
	if (!look_at_mounts(e, b) && !above.nr && !e->suspended && !above.waits && b->dax)
		look_at_content(e->d, b);
}

static int look_above(const char *name, void *arg)
{
	struct above *a = arg;
	struct block b;

	if (doctor_block(name, &b))
		return 0;
	a->nr++;
	/* one that has no DAX below is none the better for it */
	if (a->below->dax && !b.dax)
		doctor_found(a->e->d, SEVERITY_PROBLEM, "stack-above",
			     b.dm_name[0] ? b.dm_name : b.name,
			     "mount the volume itself, or put dm-linear or dm-stripe between",
			     "it is stacked on %s, and of a kind that has no DAX",
			     a->below->dm_name);
	look_at_users(a->e, &b, a->depth + 1, a->waits);
	return 0;
}

/* ---- volumes ---- */

static void look_at_no_dax(struct doctor *d, const struct dm_dev *dev)
{
	if (strstr(dev->params, " no_dax"))
		doctor_found(d, SEVERITY_PROBLEM, "volume-no-dax", dev->name,
			     "deactivate it, and activate it without --no-dax",
			     "the volume was activated with --no-dax");
	else if (d->kernel_can)
		doctor_found(d, SEVERITY_PROBLEM, "volume-before", dev->name,
			     "unmount it, deactivate it, and activate it again",
			     "the volume was activated before the kernel could do DAX on it");
	else
		doctor_found(d, SEVERITY_PROBLEM, "volume-plain", dev->name,
			     "see to the kernel first", "the volume is a plain block device");
}

static int look_at_volume(const struct dm_dev *dev, void *arg)
{
	struct examination *e = arg;
	char name[32];
	struct block b;

	snprintf(name, sizeof(name), "dm-%u", dev->minor);
	if (!dev->live || doctor_block(name, &b))
		return 0;
	if (!b.dax)
		look_at_no_dax(e->d, dev);
	if (b.suspended)
		doctor_found(e->d, SEVERITY_WARNING, "volume-suspended", dev->name,
			     "dmsetup resume, when whoever has suspended it is done",
			     "the volume is suspended: what writes to it waits");
	look_at_users(e, &b, 0, false);
	return 0;
}

/* ---- pools ---- */

/* "key value" a line; 0 when it is not there. */
static u64 stat_of(const char *stats, const char *key)
{
	size_t n = strlen(key);
	const char *p = stats;

	for (; p; p = strchr(p, '\n') ? strchr(p, '\n') + 1 : NULL)
		if (!strncmp(p, key, n) && p[n] == ' ')
			return strtoull(p + n, NULL, 10);
	return 0;
}

static void look_at_space(struct doctor *d, const struct dm_dev *dev, const char *stats)
{
	u64 blocks = stat_of(stats, "blocks"), free = stat_of(stats, "free");
	char left[SIZE_TEXT], mark[SIZE_TEXT];
	unsigned long long low = 0;

	/* "MAJOR:MINOR LOW-WATER ..."; one that was started without a mark has ours */
	if (sscanf(dev->params, "%*s %llu", &low) != 1 || !low)
		low = blocks / 20;

	if (strstr(stats, "\nmode ro\n") && strstr(dev->params, " read_only"))
		doctor_found(d, SEVERITY_NOTE, "pool-read-only", dev->name, NULL,
			     "the pool was started with --readonly");
	else if (strstr(stats, "\nmode ro\n"))
		doctor_found(d, SEVERITY_PROBLEM, "pool-read-only", dev->name,
			     "stop it, see what daxcow check says, and start it again",
			     "the pool is read-only: stores are SIGBUS");
	else if (strstr(stats, "\nmode out_of_data_space\n"))
		doctor_found(d, SEVERITY_PROBLEM, "pool-full", dev->name,
			     "delete volumes or files (fstrim), or make its device larger and tell the pool (daxcow grow)",
			     "the pool is full: stores to what is shared or new are SIGBUS");
	else if (free < low)
		doctor_found(d, SEVERITY_WARNING, "pool-nearly-full", dev->name,
			     "delete volumes or files (fstrim), or make its device larger and tell the pool (daxcow grow)",
			     "%s are free, less than its low water mark of %s",
			     size_format(left, free << DAXCOW_BLOCK_SHIFT),
			     size_format(mark, low << DAXCOW_BLOCK_SHIFT));
	if (stat_of(stats, "bad"))
		doctor_found(d, SEVERITY_WARNING, "pool-bad", dev->name,
			     "daxcow list shows which volumes have them; write over them",
			     "%llu blocks in use are of memory that has failed",
			     (unsigned long long)stat_of(stats, "bad"));
}

static int look_at_pool(const struct dm_dev *dev, void *arg)
{
	struct examination *e = arg;
	struct pool pool = { .lock = -1 };
	char *stats;

	if (dev->suspended) {
		e->suspended = true;
		doctor_found(e->d, SEVERITY_WARNING, "pool-suspended", dev->name,
			     "dmsetup resume, when whoever has suspended it is done; daxcow grow, when that was one that was killed",
			     "the pool is suspended: no volume can be activated");
		return 0;
	}
	pool.dm = *dev;
	if (pool_ask(&pool, &stats, "stats"))
		return 0;
	look_at_space(e->d, dev, stats);
	free(stats);
	return 0;
}

int doctor_pools(struct doctor *d)
{
	struct examination e = { .d = d };
	int rc, err;

	rc = mounts_read(&e.mounts);
	if (rc)
		return rc;
	err = dm_each(DM_POOL_TARGET, look_at_pool, &e);
	if (!err)
		err = dm_each(DM_VOLUME_TARGET, look_at_volume, &e);
	mounts_free(&e.mounts);
	/* without device-mapper there are none, which was said before */
	if (err && err != -ENOPKG)
		return fail_errno(-err, "cannot list the devices");
	return EXIT_DONE;
}
