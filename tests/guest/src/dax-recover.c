// SPDX-License-Identifier: GPL-2.0
/*
 * dax-recover FILE PMEM
 *
 * A write from memory of the kernel's, which is what splice(2) does, over a block that is
 * bad. It need not begin or end where a block does: only the bad one has to be written as
 * a whole, and is good after that. PMEM is the name of the device that FILE is on.
 *
 * Exit status: 0 all is written, 1 it is not, 2 could not be tried.
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define PAGE	4096L
#define BLOCKS	16
#define BAD	5
#define FROM	100
#define LEN	(8 * PAGE)
#define must(x)	do { if (!(x)) err(2, "line %d: %s", __LINE__, #x); } while (0)

static char buf[BLOCKS * PAGE], got[BLOCKS * PAGE];

static void make_bad(int fd, const char *pmem)
{
	struct { struct fiemap map; struct fiemap_extent extent; } f = {
		.map.fm_length = BLOCKS * PAGE,
		.map.fm_extent_count = 1,
	};
	char text[64];
	FILE *file;

	must(!ioctl(fd, FS_IOC_FIEMAP, &f));
	must(f.map.fm_mapped_extents == 1 && f.extent.fe_length >= BLOCKS * PAGE);
	snprintf(text, sizeof(text), "/sys/block/%s/badblocks", pmem);
	file = fopen(text, "w");
	must(file);
	must(fprintf(file, "%llu 8\n", (f.extent.fe_physical + BAD * PAGE) / 512) > 0);
	must(!fclose(file));
}

int main(int argc, char **argv)
{
	int fd, pipes[2], bad = 0;
	loff_t at = FROM;
	ssize_t n;

	if (argc != 3)
		errx(2, "usage: dax-recover FILE PMEM");
	fd = open(argv[1], O_RDWR | O_CREAT | O_TRUNC, 0600);
	must(fd >= 0);
	memset(buf, 'a', sizeof(buf));
	must(pwrite(fd, buf, sizeof(buf), 0) == sizeof(buf));
	must(!fsync(fd));
	make_bad(fd, argv[2]);
	must(pread(fd, got, 1, BAD * PAGE) < 0);

	memset(buf + FROM, 'n', LEN);
	must(!pipe(pipes));
	must(fcntl(pipes[1], F_SETPIPE_SZ, 1 << 20) > 0);
	must(write(pipes[1], buf + FROM, LEN) == LEN);
	n = splice(pipes[0], NULL, fd, &at, LEN, 0);
	if (n != LEN) {
		printf("splice of %ld bytes at %d, block %d is bad: %zd %m\n", LEN, FROM, BAD, n);
		bad = 1;
	} else if (pread(fd, got, sizeof(got), 0) != sizeof(got) ||
		   memcmp(buf, got, sizeof(got))) {
		puts("the file is not what was written");
		bad = 1;
	}
	return bad;
}
