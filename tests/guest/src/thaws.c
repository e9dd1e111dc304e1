// SPDX-License-Identifier: GPL-2.0
/*
 * thaws DIR
 *
 * Thaws the file system at DIR whenever it is frozen, as fsfreeze -u does, until it is
 * killed. Prints a line each time.
 *
 * Exit status: 2 could not run.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/ioctl.h>

int main(int argc, char **argv)
{
	int fd;

	if (argc != 2)
		errx(2, "usage: thaws DIR");
	fd = open(argv[1], O_RDONLY | O_DIRECTORY);
	if (fd < 0)
		err(2, "%s", argv[1]);
	for (;;) {
		if (!ioctl(fd, FITHAW, 0)) {
			puts("thawed");
			fflush(stdout);
		} else if (errno != EINVAL) {
			err(2, "FITHAW");
		}
	}
}
