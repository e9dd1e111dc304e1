// SPDX-License-Identifier: GPL-2.0
/*
 * dax-skip FILE SECONDS
 *
 * Store to a page, fsync, store again: the second store has to take a fault, as
 * fsync has flushed the page and write-protected it. Meanwhile another thread
 * takes one read fault after the other on that page. Where fsync leaves out an entry
 * that a fault has locked, what was stored is not durable when it returns, and the
 * page is still writable.
 *
 * Exit code: 0 as it should be, 1 not, 2 could not be tried.
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096

static int fd;
static atomic_bool end;
static atomic_ulong reads;

static volatile char *map(int prot)
{
	char *p = mmap(NULL, PAGE, prot, MAP_SHARED, fd, 0);

	if (p == MAP_FAILED)
		err(2, "mmap");
	return p;
}

static void *reader(void *arg __attribute__((unused)))
{
	volatile char *p = map(PROT_READ);

	while (!end) {
		madvise((void *)p, PAGE, MADV_DONTNEED);
		(void)*p;
		reads++;
	}
	return NULL;
}

static long faults(void)
{
	struct rusage u;

	getrusage(RUSAGE_THREAD, &u);
	return u.ru_minflt + u.ru_majflt;
}

int main(int argc, char **argv)
{
	unsigned long rounds = 0, skipped = 0;
	volatile char *p;
	pthread_t t;
	time_t stop;

	if (argc != 3)
		errx(2, "usage: dax-skip FILE SECONDS");
	fd = open(argv[1], O_RDWR | O_CREAT, 0600);
	if (fd < 0 || ftruncate(fd, PAGE) || pwrite(fd, argv[0], 1, 0) != 1)
		err(2, "%s", argv[1]);
	p = map(PROT_READ | PROT_WRITE);
	if (pthread_create(&t, NULL, reader, NULL))
		errx(2, "no thread");
	/* there and back: rusage and the loop do not fault after this */
	faults();
	stop = time(NULL) + atoi(argv[2]);
	while (time(NULL) < stop && skipped < 3) {
		long before;

		*p = rounds;
		if (fsync(fd))
			err(2, "fsync");
		before = faults();
		*p = rounds + 1;
		if (faults() == before)
			skipped++;
		rounds++;
	}
	end = true;
	pthread_join(t, NULL);
	printf("%lu rounds beside %lu reads, fsync left the page out in %lu\n",
	       rounds, (unsigned long)reads, skipped);
	if (!rounds || !reads)
		return 2;
	return skipped ? 1 : 0;
}
