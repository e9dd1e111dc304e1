/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A file that is there as a whole or not at all.
 */
#ifndef DAXCOW_TOOL_NEWFILE_H
#define DAXCOW_TOOL_NEWFILE_H

#include "daxcow.h"

/**
 * struct newfile - a file that is being written
 * @path:	where it will be
 * @temp:	its name until then; empty as long as it has none
 * @replace:	what is there
 * @direct:	@path is no file but a pipe or a terminal: it is written at once
 */
struct newfile {
	char *path, *temp;
	int fd;
	bool replace, direct;
};

/*
 * Begin a file; without @replace there must not be one. Nothing is seen at
 * @path before newfile_commit(), which makes it durable. newfile_close() is
 * called after either, and drops what was not committed. These say what is
 * wrong and return exit codes.
 */
int newfile_create(struct newfile *n, const char *path, bool replace);
int newfile_commit(struct newfile *n);
void newfile_close(struct newfile *n);

#endif /* DAXCOW_TOOL_NEWFILE_H */
