// SPDX-License-Identifier: GPL-2.0
/*
 * What is mounted where, as this process sees it, and as those in other mount
 * namespaces do: a container's volume is mounted nowhere else.
 *
 * Not in other user namespaces: what is mounted there by whoever has one may be a FUSE
 * with one of our file systems inside, and who walks to that waits for as long as he
 * likes. A file system on a device was mounted by root.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include "mounts.h"

/**
 * struct view - what can be seen of a mount namespace from somewhere
 * @ns:		its inode number
 * @root:	where the process has its root: a chroot hides what is not below it
 */
struct view {
	ino_t ns;
	char root[PATH_MAX];
};

/**
 * struct reader - reads one view after the other
 * @user:	inode number of the user namespace
 */
struct reader {
	struct mounts *mounts;
	struct view *seen;
	size_t nr;
	ino_t user;
};

static bool is_octal(char c)
{
	return c >= '0' && c <= '7';
}

/* In place: the kernel writes blanks, newlines and backslashes as \ooo. */
static void unescape(char *text)
{
	char *to = text;

	for (; *text; text++) {
		if (text[0] == '\\' && is_octal(text[1]) && is_octal(text[2]) &&
		    is_octal(text[3])) {
			*to++ = (text[1] - '0') << 6 | (text[2] - '0') << 3 |
				(text[3] - '0');
			text += 3;
		} else {
			*to++ = *text;
		}
	}
	*to = 0;
}

static void mount_free(struct mount *m)
{
	free(m->path);
	free(m->type);
	free(m->options);
}

/* After the " - ": type, source, which may be empty, and options; a blank between them. */
static bool read_rest(struct mount *m, const char *rest)
{
	const char *source, *options;

	if (!rest || sscanf(rest, " - %m[^ ]", &m->type) != 1)
		return false;
	source = strchr(rest + strlen(" - "), ' ');
	options = source ? strchr(source + 1, ' ') : NULL;
	return options && sscanf(options, " %m[^\n]", &m->options) == 1;
}

static const struct mount *find_id(const struct mounts *m, u64 id)
{
	size_t i;

	for (i = 0; i < m->nr; i++)
		if (m->mount[i].id == id)
			return &m->mount[i];
	return NULL;
}

/* @at: what the paths in @line begin at */
static int add_line(struct mounts *m, const char *line, const char *at)
{
	struct mount *room, new = { };
	unsigned int major, minor;
	char *root = NULL;
	int err = -EINVAL;

	if (sscanf(line, "%llu %llu %u:%u %m[^ ] %m[^ ]", &new.id, &new.parent, &major,
		   &minor, &root, &new.path) != 6 || !read_rest(&new, strstr(line, " - ")))
		goto out_free;
	err = -ENOMEM;
	room = array_room(m->mount, m->nr, sizeof(*room));
	if (!room)
		goto out_free;
	unescape(new.path);
	if (*at) {
		char *path = new.path;

		if (asprintf(&new.path, "%s%s", at, path) < 0)
			new.path = NULL;
		free(path);
		if (!new.path)
			goto out_free;
		new.root = strlen(at);
	}
	new.dev = makedev(major, minor);
	new.whole = !strcmp(root, "/");
	m->mount = room;
	m->mount[m->nr++] = new;
	free(root);
	return 0;

out_free:
	free(root);
	mount_free(&new);
	return err;
}

/*
 * Of @process, "self" or a number. One that is gone by now has no mounts. @again: what
 * there is of them is not added twice. Returns how many it has.
 */
static int read_process(struct mounts *m, const char *process, bool again)
{
	char at[32 + NAME_MAX] = "", path[32 + NAME_MAX], *line = NULL;
	size_t size = 0;
	int err = 0, nr;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%s/mountinfo", process);
	if (strcmp(process, "self"))
		snprintf(at, sizeof(at), "/proc/%s/root", process);
	f = fopen(path, "re");
	if (!f)
		return *at ? 0 : -errno;
	for (nr = 0; !err && getline(&line, &size, f) > 0; nr++)
		if (!again || !find_id(m, strtoull(line, NULL, 10)))
			err = add_line(m, line, at);
	if (!err && ferror(f) && !*at)
		err = -EIO;
	free(line);
	fclose(f);
	return err ?: nr;
}

/* 0: there is none, or it cannot be looked at */
static ino_t namespace_of(const char *process, const char *kind)
{
	char path[64 + NAME_MAX];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%s/ns/%s", process, kind);
	return stat(path, &st) ? 0 : st.st_ino;
}

/* Without a look at the file system, which may be one that does not answer. */
static bool get_view(const char *process, struct view *view)
{
	char path[64 + NAME_MAX];
	ssize_t len;

	*view = (struct view) { .ns = namespace_of(process, "mnt") };
	snprintf(path, sizeof(path), "/proc/%s/root", process);
	len = readlink(path, view->root, sizeof(view->root) - 1);
	return view->ns && len > 0;
}

static bool same_view(const struct view *a, const struct view *b)
{
	return a->ns == b->ns && !strcmp(a->root, b->root);
}

/* Many processes have one view; only its first is read. */
static int read_view(struct reader *r, const char *process)
{
	struct view view, *room;
	bool again = false;
	size_t i;
	int nr;

	if (!get_view(process, &view) || namespace_of(process, "user") != r->user)
		return 0;
	for (i = r->nr; i > 0; i--) {
		if (same_view(&r->seen[i - 1], &view))
			return 0;
		again |= r->seen[i - 1].ns == view.ns;
	}
	nr = read_process(r->mounts, process, again);
	/* who has gone has told nothing, and another one may be there */
	if (nr <= 0)
		return nr;
	room = array_room(r->seen, r->nr, sizeof(*room));
	if (!room)
		return -ENOMEM;
	r->seen = room;
	r->seen[r->nr++] = view;
	return 0;
}

int mounts_read(struct mounts *m)
{
	struct reader r = { .mounts = m, .user = namespace_of("self", "user") };
	struct dirent *entry;
	DIR *dir;
	int err;

	*m = (struct mounts) { };
	err = read_view(&r, "self");
	/* not without a /proc that can be read */
	if (!err && !r.nr)
		err = -ENOENT;
	dir = opendir("/proc");
	while (!err && dir && (entry = readdir(dir)))
		if (isdigit((unsigned char)entry->d_name[0]))
			err = read_view(&r, entry->d_name);
	if (dir)
		closedir(dir);
	free(r.seen);
	if (!err)
		return EXIT_DONE;
	mounts_free(m);
	return fail(EXIT_FAILED, "cannot read what is mounted: %s", strerror(-err));
}

void mounts_free(struct mounts *m)
{
	size_t i;

	for (i = 0; i < m->nr; i++)
		mount_free(&m->mount[i]);
	free(m->mount);
	*m = (struct mounts) { };
}

/* Whether @mount is the one with that id, or somewhere on it. Ids may be of two times. */
static bool stands_on(const struct mounts *m, const struct mount *mount, u64 id)
{
	size_t i;

	for (i = 0; mount && i < m->nr; i++) {
		if (mount->id == id)
			return true;
		mount = find_id(m, mount->parent);
	}
	return false;
}

/*
 * Sets *@dir to @name in it, if what is mounted there is on the way to @mount, which is
 * told without asking the file system.
 */
static int go_on(const struct mounts *m, const struct mount *mount, int *dir,
		 const char *name)
{
	int err, fd = openat(*dir, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct statx st;

	err = fd < 0 ? -errno : 0;
	if (*dir >= 0)
		close(*dir);
	*dir = fd;
	if (!err && statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_MNT_ID, &st))
		err = -errno;
	if (!err && st.stx_mask & STATX_MNT_ID && !stands_on(m, mount, st.stx_mnt_id))
		err = -ENOENT;
	return err;
}

/*
 * Another file system may be mounted over @mount, or over a directory above it by now. If
 * that is a FUSE whose server does not answer, who asks it for anything waits forever.
 */
static int walk_to(const struct mounts *m, const struct mount *mount)
{
	char *path = strdup(mount->path), *rest = path + mount->root, *name;
	int err, fd = -1, dir = -1;
	struct stat st;

	if (!path)
		return -ENOMEM;
	*rest++ = 0;
	err = go_on(m, mount, &dir, mount->root ? path : "/");
	while (!err && (name = strsep(&rest, "/")))
		if (*name)
			err = go_on(m, mount, &dir, name);
	if (!err)
		fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir >= 0)
		close(dir);
	free(path);
	if (fd < 0 || (!fstat(fd, &st) && st.st_dev == mount->dev))
		return fd < 0 ? -ENOENT : fd;
	close(fd);
	return -ENOENT;
}

static int open_first(const struct mounts *m, dev_t dev, bool whole,
		      const char **path)
{
	size_t i;
	int fd;

	for (i = 0; i < m->nr; i++) {
		if (m->mount[i].dev != dev || m->mount[i].whole != whole)
			continue;
		*path = m->mount[i].path;
		fd = walk_to(m, &m->mount[i]);
		if (fd >= 0)
			return fd;
	}
	return -ENOENT;
}

int mounts_open(const struct mounts *m, dev_t dev, const char **path)
{
	int fd = open_first(m, dev, true, path);

	return fd >= 0 ? fd : open_first(m, dev, false, path);
}
