// SPDX-License-Identifier: GPL-2.0
/*
 * recover FILE PAGE
 *
 * PAGE of FILE has failed. Part of it cannot be written, all of it can, and then it is
 * there: for read(2), for a mapping that was there before, and for a new one, and it can
 * be stored to.
 *
 * Exit code: 0 it was so, 1 it was not, 2 could not be tried.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE_SIZE	4096

static void must(int ok, const char *what)
{
	if (!ok)
		errx(1, "%s", what);
}

static char *map(int fd, off_t at)
{
	char *p = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, at);

	if (p == MAP_FAILED)
		err(2, "mmap");
	return p;
}

int main(int argc, char **argv)
{
	static char bytes[PAGE_SIZE], back[PAGE_SIZE];
	volatile char *old, *new;
	off_t at;
	int fd;

	if (argc != 3)
		errx(2, "usage: recover FILE PAGE");
	at = atol(argv[2]) * PAGE_SIZE;
	fd = open(argv[1], O_RDWR);
	if (fd < 0)
		err(2, "%s", argv[1]);
	old = map(fd, at);
	memset(bytes, 0x77, sizeof(bytes));
	must(pread(fd, back, PAGE_SIZE, at) < 0, "it can be read");
	must(pwrite(fd, bytes, 100, at) < 0, "a part of it can be written");
	must(pwrite(fd, bytes, 100, at + PAGE_SIZE - 100) < 0,
	     "a part at its end can be written");
	must(pwrite(fd, bytes, PAGE_SIZE, at) == PAGE_SIZE,
	     "all of it cannot be written");
	must(pread(fd, back, PAGE_SIZE, at) == PAGE_SIZE &&
	     !memcmp(back, bytes, PAGE_SIZE), "it is not what was written");
	new = map(fd, at);
	must(old[7] == 0x77 && new[9] == 0x77, "a mapping shows something else");
	new[11] = 0x12;
	must(old[11] == 0x12, "a store is not seen by the other mapping");
	must(pread(fd, back, 1, at + 11) == 1 && back[0] == 0x12,
	     "a store is not seen by read");
	must(!fsync(fd), "fsync");
	return 0;
}
