/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What is mounted where, as this process sees it first, and then as those in other mount
 * namespaces do: paths there begin with /proc/PID/root.
 */
#ifndef DAXCOW_TOOL_MOUNTS_H
#define DAXCOW_TOOL_MOUNTS_H

#include <sys/types.h>
#include "daxcow.h"

/**
 * struct mount - one line of mountinfo
 * @id:		of no other mount, in no namespace
 * @parent:	id of the one that it stands on, which need not be in the list
 * @path:	that can be opened here, if nothing else is mounted over it
 * @root:	so many bytes of @path are the root directory of those who see it
 * @whole:	its root is that of the file system
 * @type:	of the file system
 * @options:	of the file system, with commas between
 */
struct mount {
	unsigned long long id, parent;
	dev_t dev;
	bool whole;
	size_t root;
	char *path, *type, *options;
};

struct mounts {
	struct mount *mount;
	size_t nr;
};

/* Says what is wrong and returns an exit code. */
int mounts_read(struct mounts *m);
void mounts_free(struct mounts *m);

/*
 * Open the directory that the file system on @dev is mounted on, the whole of it if
 * there is a choice; *@path is set to its path, as long as @m lives. A descriptor,
 * or -ENOENT when it is not mounted, or nowhere where it can be seen.
 */
int mounts_open(const struct mounts *m, dev_t dev, const char **path);

#endif /* DAXCOW_TOOL_MOUNTS_H */
