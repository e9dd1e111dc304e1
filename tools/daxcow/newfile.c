// SPDX-License-Identifier: GPL-2.0
/*
 * A file that is there as a whole or not at all: it has no name, or a temporary
 * one beside the old file, until all of it is on the disk.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "newfile.h"

/* Beside @path, as "/dir/.name.XXXXXX". */
static char *temp_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *base = slash ? slash + 1 : path;
	char *temp;

	if (asprintf(&temp, "%.*s.%s.XXXXXX", (int)(base - path), path,
		     base) < 0)
		return NULL;
	return temp;
}

/* A file without a name goes with us, however we end. */
static int open_temp(struct newfile *n)
{
	char *copy = strdup(n->path);

	if (!copy)
		return -ENOMEM;
	n->fd = open(dirname(copy), O_TMPFILE | O_RDWR | O_CLOEXEC, 0644);
	free(copy);
	if (n->fd >= 0)
		return 0;
	/* not every file system can do that */
	n->temp = temp_name(n->path);
	if (!n->temp)
		return -ENOMEM;
	n->fd = mkostemp(n->temp, O_CLOEXEC);
	if (n->fd >= 0)
		return fchmod(n->fd, 0644) ? -errno : 0;
	free(n->temp);
	n->temp = NULL;
	return -errno;
}

static int open_direct(struct newfile *n)
{
	n->direct = true;
	n->fd = open(n->path, O_WRONLY | O_CLOEXEC);
	return n->fd < 0 ? -errno : 0;
}

int newfile_create(struct newfile *n, const char *path, bool replace)
{
	struct stat st;
	bool there = !stat(path, &st);
	int err;

	*n = (struct newfile) { .fd = -1, .replace = replace };
	if (there && S_ISBLK(st.st_mode))
		return fail(EXIT_FAILED, "%s: a block device; give a file", path);
	if (there && !replace)
		return fail_errno(EEXIST, "%s", path);
	/* a link stays one */
	n->path = there ? realpath(path, NULL) : strdup(path);
	if (!n->path)
		return fail_errno(errno, "%s", path);
	if (there && !S_ISREG(st.st_mode))
		err = open_direct(n);
	else
		err = open_temp(n);
	if (!err && there && !n->direct) {
		/* as far as we may */
		if (fchown(n->fd, st.st_uid, st.st_gid))
			errno = 0;
		err = fchmod(n->fd, st.st_mode & 07777) ? -errno : 0;
	}
	if (!err)
		return EXIT_DONE;
	newfile_close(n);
	return fail_errno(-err, "%s", path);
}

/* Give a name to a file that has none. */
static int link_temp(struct newfile *n)
{
	char self[64];
	int tries;

	snprintf(self, sizeof(self), "/proc/self/fd/%d", n->fd);
	if (!n->replace)
		return linkat(AT_FDCWD, self, AT_FDCWD, n->path,
			      AT_SYMLINK_FOLLOW) ? -errno : 0;
	for (tries = 0; tries < 100; tries++) {
		n->temp = temp_name(n->path);
		if (!n->temp)
			return -ENOMEM;
		snprintf(n->temp + strlen(n->temp) - 6, 7, "%04x%02x",
			 (unsigned int)getpid() & 0xffff, tries);
		if (!linkat(AT_FDCWD, self, AT_FDCWD, n->temp,
			    AT_SYMLINK_FOLLOW))
			return 0;
		free(n->temp);
		n->temp = NULL;
		if (errno != EEXIST)
			break;
	}
	return -errno;
}

static int publish(struct newfile *n)
{
	int err = 0;

	if (!n->temp)
		err = link_temp(n);
	if (err || !n->temp)
		return err;
	if (n->replace ? rename(n->temp, n->path) : link(n->temp, n->path))
		return -errno;
	if (!n->replace)
		unlink(n->temp);
	free(n->temp);
	n->temp = NULL;
	return 0;
}

static int sync_dir(const struct newfile *n)
{
	char *copy = strdup(n->path);
	int fd, err = 0;

	if (!copy)
		return -ENOMEM;
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	free(copy);
	if (fd < 0)
		return -errno;
	if (fsync(fd) && errno != EINVAL)
		err = -errno;
	close(fd);
	return err;
}

int newfile_commit(struct newfile *n)
{
	int err = 0;

	if (n->direct)
		return EXIT_DONE;
	if (fsync(n->fd))
		err = -errno;
	if (!err)
		err = publish(n);
	if (!err)
		err = sync_dir(n);
	return err ? fail_errno(-err, "%s: cannot write", n->path) : EXIT_DONE;
}

void newfile_close(struct newfile *n)
{
	if (n->fd >= 0)
		close(n->fd);
	n->fd = -1;
	if (n->temp)
		unlink(n->temp);
	free(n->temp);
	free(n->path);
	n->temp = NULL;
	n->path = NULL;
}
