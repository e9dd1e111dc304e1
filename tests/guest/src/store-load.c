// SPDX-License-Identifier: GPL-2.0
/*
 * store-load WRITERS MILLISECONDS DIRECTORY
 *
 * Each of WRITERS processes has a file of its own in DIRECTORY, stores to random
 * pages of it through a mapping, and now and then writes a page by write(2). Prints
 * for all of them together: how many pages were written in that time, page faults,
 * how often one slept, nanoseconds of the processor for a page, and milliseconds of
 * the longest time that one needed for 16 of them.
 */
#include <err.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE	4096
#define PAGES	1024

struct result {
	unsigned long pages, faults, sleeps;
	uint64_t ns, longest;
};

static uint64_t now(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

static void work(const char *dir, int who, uint64_t ns, struct result *r)
{
	uint64_t rng = who * 2 + 1, end, t, last;
	static char page[PAGE];
	struct rusage before, after;
	char path[200], *map;
	int fd;

	snprintf(path, sizeof(path), "%s/writer%d", dir, who);
	fd = open(path, O_RDWR | O_CREAT, 0600);
	if (fd < 0 || ftruncate(fd, PAGES * PAGE))
		err(2, "%s", path);
	map = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		err(2, "%s", path);
	for (int i = 0; i < PAGES; i++)
		memset(map + i * PAGE, who + 1, PAGE);
	getrusage(RUSAGE_SELF, &before);
	r->ns = now(CLOCK_PROCESS_CPUTIME_ID);
	last = now(CLOCK_MONOTONIC);
	for (end = last + ns; (t = now(CLOCK_MONOTONIC)) < end; last = t) {
		if (r->longest < t - last)
			r->longest = t - last;
		for (int i = 0; i < 16; i++) {
			rng = rng * 6364136223846793005ULL + 1442695040888963407ULL;
			memset(page, rng >> 60, PAGE);
			if (i == 7 && pwrite(fd, page, PAGE,
					     (rng >> 33) % PAGES * PAGE) != PAGE)
				err(2, "write");
			else
				memcpy(map + (rng >> 33) % PAGES * PAGE, page, PAGE);
		}
		r->pages += 16;
	}
	r->ns = now(CLOCK_PROCESS_CPUTIME_ID) - r->ns;
	getrusage(RUSAGE_SELF, &after);
	r->sleeps = after.ru_nvcsw - before.ru_nvcsw;
	r->faults = after.ru_minflt - before.ru_minflt;
}

int main(int argc, char **argv)
{
	struct result *r, sum = { 0 };
	int n, i, status, bad = 0;

	if (argc != 4)
		errx(2, "usage: store-load WRITERS MILLISECONDS DIRECTORY");
	n = atoi(argv[1]);
	r = mmap(NULL, n * sizeof(*r), PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (n < 1 || r == MAP_FAILED)
		errx(2, "%s writers", argv[1]);
	for (i = 0; i < n; i++) {
		if (fork())
			continue;
		work(argv[3], i, strtoull(argv[2], NULL, 0) * 1000000, &r[i]);
		_exit(0);
	}
	while (wait(&status) > 0)
		bad |= status;
	for (i = 0; i < n; i++) {
		sum.pages += r[i].pages;
		sum.faults += r[i].faults;
		sum.sleeps += r[i].sleeps;
		sum.ns += r[i].ns;
		if (sum.longest < r[i].longest)
			sum.longest = r[i].longest;
	}
	printf("%lu %lu %lu %llu %llu\n", sum.pages, sum.faults, sum.sleeps,
	       (unsigned long long)(sum.ns / (sum.pages ? sum.pages : 1)),
	       (unsigned long long)sum.longest / 1000000);
	return bad ? 2 : 0;
}
