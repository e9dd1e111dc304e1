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

static bool has_id(const struct mounts *m, int id)
{
	size_t i;

	for (i = 0; i < m->nr; i++)
		if (m->mount[i].id == id)
			return true;
	return false;
}

/* @at: what the paths in @line begin at */
static int add_line(struct mounts *m, const char *line, const char *at)
{
	struct mount *room, new = { };
	unsigned int major, minor;
	char *root = NULL;
	int err = -EINVAL;

	if (sscanf(line, "%d %*d %u:%u %m[^ ] %m[^ ]", &new.id, &major, &minor, &root,
		   &new.path) != 5 || !read_rest(&new, strstr(line, " - ")))
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
		if (!again || !has_id(m, atoi(line)))
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

/* Another file system may be mounted over it. */
static int open_mount(const struct mount *m)
{
	int fd = open(m->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return -errno;
	if (!fstat(fd, &st) && st.st_dev == m->dev)
		return fd;
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
		fd = open_mount(&m->mount[i]);
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
