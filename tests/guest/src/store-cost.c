// SPDX-License-Identifier: GPL-2.0
/*
 * store-cost FILE FIRST COUNT STEP
 *
 * What the first store to a page costs: map FILE, read COUNT pages of it, from page
 * FIRST on, each STEP pages further, then store to each. Prints the median in
 * nanoseconds, which are instructions in a guest with --icount.
 */
#include <err.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

#define PAGE 4096

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

int main(int argc, char **argv)
{
	unsigned long first, count, step, i;
	volatile char *map;
	uint64_t *cost;
	struct stat st;
	int fd;

	if (argc != 5)
		errx(2, "usage: store-cost FILE FIRST COUNT STEP");
	first = strtoul(argv[2], NULL, 0);
	count = strtoul(argv[3], NULL, 0);
	step = strtoul(argv[4], NULL, 0);
	fd = open(argv[1], O_RDWR);
	if (fd < 0 || fstat(fd, &st))
		err(2, "%s", argv[1]);
	map = mmap(NULL, st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	cost = calloc(count, sizeof(*cost));
	if (map == MAP_FAILED || !cost || !count)
		errx(2, "%s: cannot map", argv[1]);
	for (i = 0; i < count; i++)
		(void)map[(first + i * step) * PAGE];
	for (i = 0; i < count; i++) {
		volatile char *p = map + (first + i * step) * PAGE;

		cost[i] = now();
		*p = *p + 1;
		cost[i] = now() - cost[i];
	}
	qsort(cost, count, sizeof(*cost), by_value);
	printf("%llu\n", (unsigned long long)cost[count / 2]);
	return 0;
}
