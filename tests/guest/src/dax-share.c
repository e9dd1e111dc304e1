// SPDX-License-Identifier: GPL-2.0
/*
 * dax-share FILE THREADS SECONDS
 * dax-share FILE
 *
 * Let threads map the blocks of FILE and let go of them again, each through a
 * clone of its own and with a lock of its own.  What is left in the end is
 * FILE, which nobody maps.
 *
 * A clone is made over again from a second clone of that thread: it is this
 * that removes its entries for the pages.  With FILE alone only map that.
 *
 * Exit code: 0 done, 2 could not be done.
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const char *file;
static off_t size;
static time_t end;
static unsigned long rounds;

static int clone_of(int from, const char *name)
{
	int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);

	if (fd < 0 || ioctl(fd, FICLONE, from))
		err(2, "%s", name);
	unlink(name);
	return fd;
}

static void touch(int fd)
{
	volatile char *p = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
	off_t i;

	if (p == MAP_FAILED)
		err(2, "mmap");
	for (i = 0; i < size; i += 4096)
		(void)p[i];
	munmap((void *)p, size);
}

static void *work(void *arg)
{
	char name[4096];
	int from, to, base = open(file, O_RDONLY);

	if (base < 0)
		err(2, "%s", file);
	snprintf(name, sizeof(name), "%s.%lu", file, (unsigned long)arg);
	from = clone_of(base, name);
	to = clone_of(base, name);
	close(base);
	while (time(NULL) < end) {
		if (ioctl(to, FICLONE, from))
			err(2, "clone");
		touch(to);
		__atomic_add_fetch(&rounds, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	unsigned long n, threads;
	pthread_t *thread;
	struct stat st;

	if (argc != 2 && argc != 4)
		errx(2, "usage: dax-share FILE [THREADS SECONDS]");
	file = argv[1];
	if (stat(file, &st))
		err(2, "%s", file);
	size = st.st_size;
	if (argc == 2) {
		touch(open(file, O_RDONLY));
		return 0;
	}
	threads = strtoul(argv[2], NULL, 0);
	end = time(NULL) + strtoul(argv[3], NULL, 0);
	thread = calloc(threads, sizeof(*thread));
	for (n = 0; n < threads; n++)
		if (pthread_create(&thread[n], NULL, work, (void *)n))
			errx(2, "no thread");
	for (n = 0; n < threads; n++)
		pthread_join(thread[n], NULL);
	printf("%lu threads: %lu rounds\n", threads, rounds);
	return 0;
}
