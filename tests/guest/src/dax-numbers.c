// SPDX-License-Identifier: GPL-2.0
/*
 * dax-numbers FILE
 *
 * Write FILE, 2 MiB and one page, with the number of each page in its first
 * four bytes.  It is one extent that begins at a multiple of 2 MiB, and what
 * follows on the device is not at one.
 *
 * Exit code: 0 done, 2 could not be done.
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define PMD (2UL << 20)
#define PAGES 513

/* Where all of the file is */
static unsigned long long place(int fd, size_t size)
{
	struct {
		struct fiemap map;
		struct fiemap_extent extent[1];
	} m = { .map = { .fm_length = ~0ULL, .fm_extent_count = 1 } };

	if (fsync(fd) || ioctl(fd, FS_IOC_FIEMAP, &m))
		err(2, "fiemap");
	if (m.extent[0].fe_length < size)
		errx(2, "not in one piece");
	return m.extent[0].fe_physical;
}

int main(int argc, char **argv)
{
	uint32_t page[1024] = { 0 }, n;
	unsigned long long at;
	int fd;

	if (argc != 2)
		errx(2, "usage: dax-numbers FILE");
	fd = open(argv[1], O_RDWR | O_CREAT | O_TRUNC, 0600);
	if (fd < 0 || fallocate(fd, 0, 0, 3 * PMD))
		err(2, "%s", argv[1]);
	/* Cut off what is in front of a multiple, and the rest behind */
	at = place(fd, 3 * PMD) % PMD;
	if (at && fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 0, PMD - at))
		err(2, "collapse");
	if (ftruncate(fd, PAGES * 4096L))
		err(2, "truncate");
	at = place(fd, PAGES * 4096L);
	if (at % PMD)
		errx(2, "at %llu", at);
	for (n = 0; n < PAGES; n++) {
		page[0] = n;
		if (write(fd, page, sizeof(page)) != sizeof(page))
			err(2, "write");
	}
	return fsync(fd) ? 2 : 0;
}
