// SPDX-License-Identifier: GPL-2.0
/*
 * What is mounted where, as this process sees it.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include "mounts.h"

#define MOUNTINFO "/proc/self/mountinfo"

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

static int add_line(struct mounts *m, const char *line)
{
	const char *rest = strstr(line, " - ");
	struct mount *room, new = { };
	unsigned int major, minor;
	char *root = NULL;
	int err = -EINVAL;

	if (sscanf(line, "%*d %*d %u:%u %ms %ms", &major, &minor, &root,
		   &new.path) != 4 || !rest ||
	    sscanf(rest, " - %ms %*s %ms", &new.type, &new.options) != 2)
		goto out_free;
	err = -ENOMEM;
	room = array_room(m->mount, m->nr, sizeof(*room));
	if (!room)
		goto out_free;
	unescape(new.path);
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

int mounts_read(struct mounts *m)
{
	FILE *f = fopen(MOUNTINFO, "re");
	char *line = NULL;
	size_t size = 0;
	int err = 0;

	*m = (struct mounts) { };
	if (!f)
		return fail_errno(errno, "%s", MOUNTINFO);
	while (!err && getline(&line, &size, f) > 0)
		err = add_line(m, line);
	if (!err && ferror(f))
		err = -EIO;
	free(line);
	fclose(f);
	if (!err)
		return EXIT_DONE;
	mounts_free(m);
	return fail(EXIT_FAILED, "cannot read %s: %s", MOUNTINFO,
		    strerror(-err));
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
