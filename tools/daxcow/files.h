/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which files of the mounted file systems on volumes own a place.
 *
 * The file systems say the numbers of inodes. These have no way back to their
 * paths, so each file system is walked once for all that are wanted.
 */
#ifndef DAXCOW_TOOL_FILES_H
#define DAXCOW_TOOL_FILES_H

#include "mounts.h"
#include "pool.h"

struct fs;

/**
 * struct files - places that were asked for
 * @fs:		mounted file systems with inodes whose paths are wanted
 * @seen:	files, in all walks
 * @rc:		exit code, of a failure if there was one
 */
struct files {
	struct mounts mounts;
	struct fs *fs;
	size_t nr;
	u64 seen;
	int rc;
};

/* Says what is wrong and returns an exit code. */
int files_open(struct files *f);

/*
 * Ask the file system on @v, or on nothing if that is NULL, who owns the block at
 * @offset in bytes. Says what is wrong, and sets these members of @row:
 *
 *   "state"	"inactive", "unmounted", "unknown", "free", "metadata" or "ok"
 *   "mount"	where it is mounted
 *   "kind"	of metadata
 *   "files"	an array, which is empty but for "ok". It is filled by files_find().
 */
void files_ask(struct files *f, const struct volume *v, u64 offset,
	       struct json_object *row);

/*
 * Find the paths. Each element of "files" has "inode", "offset" in bytes, "part" (of
 * the inode: "data", "attributes" or "extent map", which has no offset), and
 * "path", which is null when there is none. A file with many paths has an element for
 * each. Says what is wrong, and returns the exit code, also of files_ask().
 */
int files_find(struct files *f);
void files_close(struct files *f);

/* Sets "state" and an empty "files". */
void files_set_state(struct json_object *row, const char *state);

#endif /* DAXCOW_TOOL_FILES_H */
