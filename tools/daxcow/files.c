// SPDX-License-Identifier: GPL-2.0
/*
 * Which files of the mounted file systems on volumes own a place.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <fts.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include <json-c/json.h>
#include <linux/fsmap.h>
#include "files.h"

/* Records in one answer. */
#define RECORDS 32

/**
 * struct use - a part of an inode that lies in a block that was asked for
 * @found:	paths
 * @files:	where they are wanted
 */
struct use {
	u64 inode, offset, found;
	const char *part;
	struct json_object *files;
};

/**
 * struct fs - a mounted file system
 * @path:	where
 * @device:	the name of its device
 * @use:	sorted by inode when it is walked
 * @left:	inodes not all of whose paths are found
 */
struct fs {
	dev_t dev;
	const char *path, *device;
	struct use *use;
	size_t nr, left;
};

/* A block may have owners of several kinds; the last of these wins. */
enum state { STATE_UNKNOWN, STATE_FREE, STATE_METADATA, STATE_OK };

static const char * const state_names[] = {
	"unknown", "free", "metadata", "ok",
};

/* XFS and ext4 agree on the numbers that both have. */
static const struct {
	u64 owner;
	const char *name;
} kinds[] = {
	{ FMR_OWNER('X', 1), "superblock or headers" },
	{ FMR_OWNER('X', 2), "log" },
	{ FMR_OWNER('X', 3), "trees of free space and owners" },
	{ FMR_OWNER('X', 4), "tree of inodes" },
	{ FMR_OWNER('X', 5), "inodes" },
	{ FMR_OWNER('X', 6), "tree of reference counts" },
	{ FMR_OWNER('X', 7), "copy on write under way" },
	{ FMR_OWNER('X', 8), "bad blocks" },
	{ FMR_OWNER('f', 1), "group descriptors" },
	{ FMR_OWNER('f', 2), "reserved for group descriptors" },
	{ FMR_OWNER('f', 3), "bitmap of blocks" },
	{ FMR_OWNER('f', 4), "bitmap of inodes" },
};

int files_open(struct files *f)
{
	*f = (struct files) { };
	return mounts_read(&f->mounts);
}

void files_close(struct files *f)
{
	size_t i;

	for (i = 0; i < f->nr; i++)
		free(f->fs[i].use);
	free(f->fs);
	mounts_free(&f->mounts);
}

void files_set_state(struct json_object *row, const char *state)
{
	json_set_text(row, "state", state);
	json_object_object_add(row, "files", json_object_new_array());
}

/* ---- what the file system says ---- */

static void add_metadata(struct json_object *row, u64 owner)
{
	const char *kind = "other";
	size_t i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		if (kinds[i].owner == owner)
			kind = kinds[i].name;
	json_set_text(row, "kind", kind);
}

static int add_use(struct fs *fs, const struct fsmap *r, u64 skipped,
		   struct json_object *files)
{
	struct use *room = array_room(fs->use, fs->nr, sizeof(*room));

	if (!room)
		return -ENOMEM;
	fs->use = room;
	fs->use[fs->nr++] = (struct use) {
		.inode = r->fmr_owner,
		.offset = r->fmr_offset + skipped,
		.part = r->fmr_flags & FMR_OF_EXTENT_MAP ? "extent map" :
			r->fmr_flags & FMR_OF_ATTR_FORK ? "attributes" : "data",
		.files = files,
	};
	return 0;
}

/* A record may begin before the block at @offset, and end behind it. */
static int add_record(struct fs *fs, const struct fsmap *r, u64 offset,
		      struct json_object *row, enum state *state)
{
	u64 from = r->fmr_physical, skipped = from < offset ? offset - from : 0;
	enum state is = STATE_OK;
	int err = 0;

	if (skipped >= r->fmr_length || from >= offset + DAXCOW_BLOCK_SIZE)
		return 0;
	if (!(r->fmr_flags & FMR_OF_SPECIAL_OWNER)) {
		err = add_use(fs, r, skipped,
			      json_object_object_get(row, "files"));
	} else if (r->fmr_owner == FMR_OWN_FREE) {
		is = STATE_FREE;
	} else if (r->fmr_owner == FMR_OWN_UNKNOWN) {
		is = STATE_UNKNOWN;
	} else {
		is = STATE_METADATA;
		add_metadata(row, r->fmr_owner);
	}
	*state = max(*state, is);
	return err;
}

/* 0 or a negative errno. */
static int ask(struct fs *fs, int fd, u64 offset, struct json_object *row,
	       enum state *state)
{
	struct fsmap_head *q = calloc(1, fsmap_sizeof(RECORDS));
	u32 i, flags = 0;
	int err = 0;

	if (!q)
		return -ENOMEM;
	q->fmh_count = RECORDS;
	memset(&q->fmh_keys[1], 0xff, offsetof(struct fsmap, fmr_reserved));
	q->fmh_keys[0].fmr_device = fs->dev;
	q->fmh_keys[1].fmr_device = fs->dev;
	q->fmh_keys[0].fmr_physical = offset;
	q->fmh_keys[1].fmr_physical = offset + DAXCOW_BLOCK_SIZE - 1;
	q->fmh_keys[1].fmr_length = 0;
	do {
		if (ioctl(fd, FS_IOC_GETFSMAP, q)) {
			err = -errno;
			break;
		}
		for (i = 0; i < q->fmh_entries && !err; i++)
			err = add_record(fs, &q->fmh_recs[i], offset, row,
					 state);
		if (!q->fmh_entries)
			break;
		flags = q->fmh_recs[q->fmh_entries - 1].fmr_flags;
		fsmap_advance(q);
	} while (!err && !(flags & FMR_OF_LAST));
	free(q);
	/* it has no such call */
	return err == -ENOTTY || err == -EOPNOTSUPP ? 0 : err;
}

static struct fs *fs_of(struct files *f, dev_t dev, const char *path,
			const struct volume *v)
{
	struct fs *room;
	size_t i;

	for (i = 0; i < f->nr; i++)
		if (f->fs[i].dev == dev)
			return &f->fs[i];
	room = array_room(f->fs, f->nr, sizeof(*room));
	if (!room)
		return NULL;
	f->fs = room;
	f->fs[f->nr] = (struct fs) {
		.dev = dev, .path = path, .device = v->device,
	};
	return &f->fs[f->nr++];
}

void files_ask(struct files *f, const struct volume *v, u64 offset,
	       struct json_object *row)
{
	enum state state = STATE_UNKNOWN;
	const char *path;
	struct dm_dev dm;
	struct fs *fs;
	dev_t dev;
	int fd, err;

	files_set_state(row, "inactive");
	if (!v || !v->device[0] || dm_table(v->device, &dm))
		return;
	dev = makedev(dm.major, dm.minor);
	fd = mounts_open(&f->mounts, dev, &path);
	json_set_text(row, "state", "unmounted");
	if (fd < 0)
		return;
	fs = fs_of(f, dev, path, v);
	err = fs ? ask(fs, fd, offset, row, &state) : -ENOMEM;
	close(fd);
	json_set_text(row, "mount", path);
	json_set_text(row, "state", state_names[state]);
	if (err)
		f->rc = fail(EXIT_FAILED, "%s: cannot ask the file system for the owner: %s",
			     v->device, strerror(-err));
}

/* ---- paths ---- */

static void add_file(struct use *use, const char *path)
{
	struct json_object *file = json_object_new_object();

	json_set_number(file, "inode", use->inode);
	json_set_text(file, "part", use->part);
	if (strcmp(use->part, "extent map"))
		json_set_number(file, "offset", use->offset);
	json_set_path(file, "path", path);
	json_object_array_add(use->files, file);
	use->found++;
}

static int by_inode(const void *a, const void *b)
{
	const struct use *u = a, *v = b;

	return u->inode < v->inode ? -1 : u->inode > v->inode;
}

/* @below: where the file is, from the root that was walked from */
static void look_at(struct fs *fs, const FTSENT *e, const char *below)
{
	const struct stat *st = e->fts_statp;
	struct use key = { .inode = st->st_ino }, *use;
	char *path;

	if (st->st_dev != fs->dev)
		return;
	use = bsearch(&key, fs->use, fs->nr, sizeof(key), by_inode);
	if (!use)
		return;
	while (use > fs->use && use[-1].inode == key.inode)
		use--;
	if (asprintf(&path, "%s%s", strcmp(fs->path, "/") && strcmp(below, "/") ?
		     fs->path : "", strcmp(below, "/") ? below : fs->path) < 0)
		return;
	if (use->found + 1 == (S_ISDIR(st->st_mode) ? 1 : st->st_nlink))
		fs->left--;
	for (; use < fs->use + fs->nr && use->inode == key.inode; use++)
		add_file(use, path);
	free(path);
}

/*
 * The file system alone, without what others have mounted on its directories: that may be
 * a FUSE that does not answer, and hides files. A descriptor, or -errno.
 */
static int open_alone(const struct files *f, const struct fs *fs)
{
	const char *path;
	int fd, tree;

	fd = mounts_open(&f->mounts, fs->dev, &path);
	if (fd < 0)
		return fd;
	tree = open_tree(fd, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (tree < 0)
		tree = -errno;
	close(fd);
	return tree;
}

/* Until all is found: goes on after what cannot be read, and returns its errno. */
static int walk_from(struct files *f, struct fs *fs, int fd)
{
	char root[40], * const roots[] = { root, NULL };
	int err = 0, from;
	FTSENT *e;
	FTS *fts;

	from = snprintf(root, sizeof(root), "/proc/self/fd/%d/", fd) - 1;
	fts = fts_open(roots, FTS_PHYSICAL | FTS_XDEV, NULL);
	if (!fts)
		return errno;
	while (fs->left) {
		errno = 0;
		e = fts_read(fts);
		if (!e) {
			err = errno ? errno : err;
			break;
		}
		if (e->fts_info == FTS_DNR && e->fts_errno != ENOENT)
			err = e->fts_errno;
		/* also what fts has seen before, or knows nothing of */
		if (e->fts_info == FTS_DNR || e->fts_info == FTS_DP ||
		    e->fts_info == FTS_ERR || e->fts_info == FTS_NS)
			continue;
		look_at(fs, e, e->fts_path + from);
		if (!(f->seen++ & 1023))
			progress("%s: %llu files", fs->device,
				 (unsigned long long)f->seen);
	}
	fts_close(fts);
	return err;
}

static int walk(struct files *f, struct fs *fs)
{
	int fd = open_alone(f, fs), err;

	if (fd < 0)
		return -fd;
	err = walk_from(f, fs, fd);
	close(fd);
	return err;
}

int files_find(struct files *f)
{
	struct fs *fs;
	size_t i;
	int err;

	for (fs = f->fs; fs < f->fs + f->nr; fs++) {
		qsort(fs->use, fs->nr, sizeof(*fs->use), by_inode);
		for (i = 0; i < fs->nr; i++)
			if (!i || fs->use[i].inode != fs->use[i - 1].inode)
				fs->left++;
		err = walk(f, fs);
		for (i = 0; i < fs->nr; i++)
			if (!fs->use[i].found)
				add_file(&fs->use[i], NULL);
		if (err)
			f->rc = fail(EXIT_FAILED, "%s: not all of its directories can be read, so paths may be missing: %s",
				     fs->device, strerror(err));
	}
	return f->rc;
}
