// SPDX-License-Identifier: GPL-2.0
/*
 * many-snapshots POOL FILE NUMBER
 *
 * Take NUMBER snapshots of volume 0 of POOL, and delete them in random order, while FILE,
 * which is in it, is written, stored to, punched, read, and synced all the time. Each
 * byte of FILE is what was written last.
 *
 * Exit status: 0 all is as it must be, 1 something is not, 2 could not run.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "dm.h"

#define SIZE	(8U << 20)
#define MOST	(64U << 10)

struct shared {
	atomic_bool over;
	atomic_ulong operations, syncs;
};

static struct shared *shared;
static unsigned char *model, *map;
static int fd;

/* Anywhere, and often at its begin, where there is a page fault for each snapshot. */
static void range(unsigned int *at, unsigned int *len)
{
	*at = rand() % (rand() % 4 ? SIZE : MOST);
	*len = 1 + rand() % (rand() % 4 ? 512 : MOST);
	if (*len > SIZE - *at)
		*len = SIZE - *at;
}

static void write_range(unsigned int at, unsigned int len)
{
	if (pwrite(fd, model + at, len, at) != (ssize_t)len)
		err(1, "pwrite");
}

static void one(void)
{
	unsigned int at, len;

	range(&at, &len);
	switch (rand() % 6) {
	case 0:
		memset(model + at, rand(), len);
		write_range(at, len);
		break;
	case 1 ... 2:
		memset(model + at, rand(), len);
		memcpy(map + at, model + at, len);
		break;
	case 3:
		memset(model + at, 0, len);
		if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, len))
			err(1, "fallocate");
		break;
	case 4:
		if (fsync(fd))
			err(1, "fsync");
		atomic_fetch_add(&shared->syncs, 1);
		break;
	default:
		if (memcmp(map + at, model + at, len))
			errx(1, "%u bytes at %u are not what was written", len, at);
		break;
	}
	atomic_fetch_add(&shared->operations, 1);
}

static void load(const char *path)
{
	unsigned int i;

	fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	model = malloc(SIZE);
	if (fd < 0 || !model)
		err(2, "%s", path);
	for (i = 0; i < SIZE; i++)
		model[i] = i >> 9;
	write_range(0, SIZE);
	map = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		err(2, "mmap");
	while (!atomic_load(&shared->over))
		one();
	if (fsync(fd))
		err(1, "fsync");
	if (memcmp(map, model, SIZE))
		errx(1, "the file is not what was written");
	exit(0);
}

static void message(const char *pool, const char *what, unsigned int id,
		    const char *rest)
{
	char text[64];
	int ret;

	snprintf(text, sizeof(text), "%s %u%s", what, id, rest);
	ret = dm_message(pool, text);
	if (ret)
		errx(1, "%s: %s", text, strerror(ret));
}

static void snapshots(const char *pool, unsigned int nr)
{
	unsigned int *id = calloc(nr, sizeof(*id)), i;

	for (i = 0; i < nr; i++) {
		id[i] = i + 1;
		message(pool, "create_snap", id[i], " 0");
		if (i % 1000 == 999)
			printf("%u snapshots\n", i + 1);
	}
	for (i = nr; i > 0; i--) {
		unsigned int at = rand() % i;

		message(pool, "delete", id[at], "");
		id[at] = id[i - 1];
		if (i % 1000 == 1)
			printf("%u are left\n", i - 1);
	}
	free(id);
}

int main(int argc, char **argv)
{
	pid_t child;
	int status;

	if (argc != 4)
		errx(2, "usage: many-snapshots POOL FILE NUMBER");
	setlinebuf(stdout);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		err(2, "mmap");
	child = fork();
	if (child < 0)
		err(2, "fork");
	if (!child)
		load(argv[2]);
	while (!atomic_load(&shared->operations) && !waitpid(child, &status, WNOHANG))
		usleep(1000);
	snapshots(argv[1], atoi(argv[3]));
	atomic_store(&shared->over, true);
	if (waitpid(child, &status, 0) != child || status)
		errx(1, "the load has ended with status %#x", status);
	printf("%lu operations, %lu of them fsync\n", atomic_load(&shared->operations),
	       atomic_load(&shared->syncs));
	return atomic_load(&shared->syncs) ? 0 : 2;
}
