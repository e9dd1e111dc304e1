// SPDX-License-Identifier: GPL-2.0
/*
 * pfns FILE [PAGE...]
 * pfns -p PID
 *
 * Say which physical pages are behind a file.
 *
 * Of FILE map and touch the pages with these numbers, or all of them, and print
 * "PAGE PFN" for each.  Of a process print "NAME PAGE PFN" for each page that
 * it has in its page tables of a mapping from which it executes code, where
 * NAME is the last part of the file's path and PAGE the place in the file.
 *
 * Exit code: 0 done, 2 could not be done.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE_SIZE	4096ul
#define PM_PRESENT	(1ull << 63)
#define PM_PFN		((1ull << 55) - 1)

static int pagemap;

static void open_pagemap(const char *pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%s/pagemap", pid);
	pagemap = open(path, O_RDONLY);
	if (pagemap < 0)
		err(2, "%s", path);
}

/* 0: there is no page, or we may not know which */
static uint64_t pfn_of(uintptr_t address)
{
	uint64_t entry;

	if (pread(pagemap, &entry, sizeof(entry), address / PAGE_SIZE *
		  sizeof(entry)) != sizeof(entry))
		err(2, "pagemap");
	return entry & PM_PRESENT ? entry & PM_PFN : 0;
}

static void show_page(char *map, unsigned long page)
{
	volatile char *p = map + page * PAGE_SIZE;
	uint64_t pfn;

	(void)*p;
	pfn = pfn_of((uintptr_t)p);
	if (!pfn)
		errx(2, "page %lu: no pfn", page);
	printf("%lu %llu\n", page, (unsigned long long)pfn);
}

static unsigned long page_number(const char *text, unsigned long pages)
{
	unsigned long page;
	char *end;

	errno = 0;
	page = strtoul(text, &end, 0);
	if (errno || end == text || *end || page >= pages)
		errx(2, "not a page of the file: %s", text);
	return page;
}

static void show_file(char **argv)
{
	unsigned long page, pages;
	struct stat st;
	char *map;
	int i, fd = open(argv[0], O_RDONLY);

	if (fd < 0 || fstat(fd, &st))
		err(2, "%s", argv[0]);
	pages = (st.st_size + PAGE_SIZE - 1) / PAGE_SIZE;
	map = mmap(NULL, pages * PAGE_SIZE, PROT_READ, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		err(2, "%s: mmap", argv[0]);
	open_pagemap("self");
	for (i = 1; argv[i]; i++)
		show_page(map, page_number(argv[i], pages));
	for (page = 0; i == 1 && page < pages; page++)
		show_page(map, page);
}

static void show_process(const char *pid)
{
	unsigned long start, end, offset, a;
	char path[64], line[4352], flags[8], name[4096], *base;
	uint64_t pfn;
	FILE *f;

	open_pagemap(pid);
	snprintf(path, sizeof(path), "/proc/%s/maps", pid);
	f = fopen(path, "r");
	if (!f)
		err(2, "%s", path);
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx %7s %lx %*s %*s %4095[^\n]", &start,
			   &end, flags, &offset, name) != 5 ||
		    flags[1] == 'w' || flags[2] != 'x' || name[0] != '/')
			continue;
		base = strrchr(name, '/') + 1;
		for (a = start; a < end; a += PAGE_SIZE) {
			pfn = pfn_of(a);
			if (pfn)
				printf("%s %lu %llu\n", base,
				       (offset + a - start) / PAGE_SIZE,
				       (unsigned long long)pfn);
		}
	}
	fclose(f);
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "-p"))
		show_process(argv[2]);
	else if (argc > 1 && argv[1][0] != '-')
		show_file(argv + 1);
	else
		errx(2, "usage: pfns FILE [PAGE...] | pfns -p PID");
	return 0;
}
