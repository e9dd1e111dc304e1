// SPDX-License-Identifier: GPL-2.0
/*
 * dax-freeze shared|sync FILE
 *
 * Store to a page of FILE through a mapping, freeze the file system, store
 * again from another thread.  The second store has to wait for the thaw.
 *
 * The mapping is MAP_SHARED, or MAP_SYNC with "sync".  It must be a thread: a
 * child has no page table entries for a shared mapping and would always fault.
 *
 * Exit code: 0 it waited, 1 it did not, 2 could not be tried.
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

static volatile char *page;
static atomic_int go, done;

static void *store(void *arg)
{
	while (!go)
		usleep(1000);
	page[0] = 2;
	done = 1;
	return arg;
}

int main(int argc, char **argv)
{
	int flags = MAP_SHARED, fd, early, i;
	pthread_t thread;

	if (argc != 3)
		errx(2, "usage: dax-freeze shared|sync FILE");
	if (!strcmp(argv[1], "sync"))
		flags = MAP_SHARED_VALIDATE | MAP_SYNC;
	fd = open(argv[2], O_RDWR | O_CREAT | O_TRUNC, 0600);
	if (fd < 0 || fallocate(fd, 0, 0, 4096))
		err(2, "%s", argv[2]);
	/* So that the fault below is the only thing that dirties the inode */
	if (syncfs(fd))
		err(2, "sync");
	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, flags, fd, 0);
	if (page == MAP_FAILED)
		err(2, "mmap");
	if (pthread_create(&thread, NULL, store, NULL))
		errx(2, "no thread");
	page[0] = 1;

	if (ioctl(fd, FIFREEZE, 0))
		err(2, "freeze");
	go = 1;
	for (i = 0; i < 300 && !done; i++)
		usleep(10000);
	early = done;
	if (ioctl(fd, FITHAW, 0))
		err(2, "thaw");
	pthread_join(thread, NULL);
	if (page[0] != 2)
		errx(2, "the store is lost");
	printf("%s: the store %s\n", argv[1],
	       early ? "went through the freeze" : "waited for the thaw");
	return early;
}
