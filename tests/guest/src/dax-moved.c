// SPDX-License-Identifier: GPL-2.0
/*
 * dax-moved make FILE
 * dax-moved steps FILE COPY
 * dax-moved stress FILE COPY SECONDS
 *
 * FILE and COPY are the same file in two file systems whose volumes share their
 * blocks.  Write to FILE in every way there is, with the pages mapped: each
 * mapping of FILE sees it, and COPY does not change.  The content is the number
 * of each page, all over it, until something is written.
 *
 * Exit code: 0 as it should be, 1 not, 2 could not be tried.
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PMD (2UL << 20)
#define PAGES 1024U
#define WORDS 1024
#define SIZE (PAGES * 4096UL)
#define NEW 0x10000

static int bad;

static int open_file(const char *name)
{
	int fd = open(name, O_RDWR | O_CREAT, 0600);

	if (fd < 0)
		err(2, "%s", name);
	return fd;
}

static volatile uint32_t *map(int fd, int prot, int flags)
{
	char *p = mmap(NULL, SIZE + PMD, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
		       -1, 0);

	if (p == MAP_FAILED)
		err(2, "mmap");
	p = (char *)(((uintptr_t)p + PMD - 1) & ~(PMD - 1));
	p = mmap(p, SIZE, prot, flags | MAP_FIXED, fd, 0);
	if (p == MAP_FAILED)
		err(2, "mmap");
	return (volatile uint32_t *)p;
}

static uint64_t pfn(volatile uint32_t *p)
{
	static int fd = -1;
	uint64_t entry;

	if (fd < 0)
		fd = open("/proc/self/pagemap", O_RDONLY);
	if (pread(fd, &entry, 8, (uintptr_t)p / 4096 * 8) != 8)
		err(2, "pagemap");
	return entry >> 63 ? entry & ((1ULL << 55) - 1) : 0;
}

static void is(const char *what, volatile uint32_t *m, unsigned int page,
	       unsigned int word, uint32_t want)
{
	uint32_t got = m[page * WORDS + word];

	if (got == want)
		return;
	printf("%s: page %u word %u is %#x and not %#x\n", what, page, word,
	       got, want);
	bad = 1;
}

static void make(const char *name)
{
	uint32_t *buf = malloc(PMD);
	unsigned int i, n;
	int fd = open_file(name);

	/* In pieces that a device can give 2 MiB of memory to */
	if (!buf || fallocate(fd, 0, 0, SIZE))
		err(2, "%s", name);
	for (n = 0; n < PAGES; n += PMD / 4096) {
		for (i = 0; i < PMD / 4; i++)
			buf[i] = n + i / WORDS;
		if (pwrite(fd, buf, PMD, n * 4096L) != (ssize_t)PMD)
			err(2, "write");
	}
	if (fsync(fd))
		err(2, "fsync");
	free(buf);
}

static void put(int fd, unsigned int page, unsigned int words, unsigned int at)
{
	uint32_t *buf = malloc(words * 4);
	unsigned int i;

	for (i = 0; i < words; i++)
		buf[i] = NEW;
	if (pwrite(fd, buf, words * 4, page * 4096L + at * 4) != words * 4)
		err(2, "write");
	free(buf);
}

static void steps(const char *name, const char *other)
{
	int fd = open_file(name), fd2 = open_file(other);
	volatile uint32_t *a, *b, *ro, *sync, *priv;
	unsigned char vec[PAGES] = { 0 };
	unsigned int n, same = 0;

	a = map(fd, PROT_READ | PROT_WRITE, MAP_SHARED);
	/* What is mapped with one page touched is mapped by a PMD */
	is("at first", a, 0, 5, 0);
	if (mincore((void *)a, SIZE, vec))
		err(2, "mincore");
	for (n = 0; n < PAGES; n++)
		same += vec[n] & 1;
	printf("%u pages mapped by one fault\n", same);
	same = 0;
	ro = map(fd, PROT_READ, MAP_SHARED);
	sync = map(fd, PROT_READ | PROT_WRITE, MAP_SHARED_VALIDATE | MAP_SYNC);
	priv = map(fd, PROT_READ, MAP_PRIVATE);
	b = map(fd2, PROT_READ, MAP_SHARED);
	for (n = 0; n < PAGES; n++) {
		is("at first", a, n, 5, n);
		is("at first", ro, n, 5, n);
		is("at first", sync, n, 5, n);
		is("at first", priv, n, 5, n);
		is("at first", b, n, 5, n);
		same += pfn(a + n * WORDS) &&
			pfn(a + n * WORDS) == pfn(b + n * WORDS);
	}
	printf("%u of %u pages shared\n", same, PAGES);
	if (same < PAGES / 2)
		errx(2, "nothing is shared, so nothing is tried");

	a[0] = NEW;				/* a store */
	is("store", a, 0, 0, NEW);
	is("store", ro, 0, 0, NEW);
	is("store", sync, 0, 0, NEW);
	is("store", priv, 0, 0, NEW);
	is("store", a, 0, 1, 0);
	if (pfn(a) == pfn(b)) {
		puts("a store did not move the page");
		bad = 1;
	}

	put(fd, 1, WORDS, 0);			/* write, a page */
	put(fd, 3, 2 * WORDS, 10);		/* and parts of some */
	for (n = 0; n < WORDS; n++)
		is("write", ro, 1, n, NEW);
	is("write", a, 1, 1, NEW);
	is("write", sync, 1, 1, NEW);
	is("write", priv, 1, 1, NEW);
	is("write", ro, 3, 9, 3);
	is("write", ro, 3, 10, NEW);
	is("write", ro, 4, 10, NEW);
	is("write", ro, 5, 9, NEW);
	is("write", ro, 5, 10, 5);

	sync[7 * WORDS] = NEW;			/* a synchronous store */
	is("sync", ro, 7, 0, NEW);
	is("sync", a, 7, 0, NEW);
	is("sync", ro, 7, 1, 7);

	if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		      9 * 4096 + 400, 800))	/* zero a part */
		err(2, "punch");
	is("punch", ro, 9, 99, 9);
	is("punch", ro, 9, 100, 0);
	is("punch", a, 9, 299, 0);
	is("punch", a, 9, 300, 9);

	if (fallocate(fd, FALLOC_FL_ZERO_RANGE, 11 * 4096, 3 * 4096))
		err(2, "zero");
	is("zero", ro, 10, 1023, 10);
	is("zero", ro, 11, 0, 0);
	is("zero", ro, 13, 1023, 0);
	is("zero", a, 14, 0, 14);

	if (ftruncate(fd, SIZE - 4000))		/* zero behind the end */
		err(2, "truncate");
	is("truncate", ro, PAGES - 1, 23, PAGES - 1);
	is("truncate", ro, PAGES - 1, 24, 0);
	if (ftruncate(fd, SIZE))
		err(2, "truncate");
	is("truncate", a, PAGES - 1, 1023, 0);

	if (!fork()) {				/* another process */
		a[20 * WORDS] = NEW;
		_exit(0);
	}
	wait(NULL);
	is("child", ro, 20, 0, NEW);
	is("child", sync, 20, 0, NEW);

	/* far away, where there may still be a PMD: one page and then a run */
	a[(PAGES / 2 + 100) * WORDS] = NEW;
	put(fd, PAGES / 2 + 50, 100 * WORDS, 0);
	is("far", ro, PAGES / 2 + 100, 0, NEW);
	is("far", sync, PAGES / 2 + 149, 0, NEW);
	is("far", sync, PAGES / 2 + 150, 0, PAGES / 2 + 150);

	for (n = 0; n < PAGES; n++) {
		is("copy", b, n, 0, n);
		is("copy", b, n, 512, n);
	}
	if (fsync(fd))
		err(2, "fsync");
	is("after fsync", a, 0, 0, NEW);
	a[0] = NEW + 1;
	is("after fsync", ro, 0, 0, NEW + 1);
}

static const char *file, *copy;
static time_t end;
static atomic_uint count[PAGES];
static atomic_ulong writes, reads;
/* the page that is being written, or one of two */
static atomic_uint hot;

/* Each page has a lock for the sake of the test, so that it can be checked */
static pthread_mutex_t lock[PAGES];

static void *writer(void *arg)
{
	unsigned int seed = (uintptr_t)arg, n, c;
	int fd = open_file(file);
	volatile uint32_t *m[3] = {
		map(fd, PROT_READ | PROT_WRITE, MAP_SHARED),
		map(fd, PROT_READ | PROT_WRITE, MAP_SHARED_VALIDATE | MAP_SYNC),
		map(fd, PROT_READ, MAP_SHARED),
	};
	uint32_t word;

	while (time(NULL) < end && !bad) {
		n = rand_r(&seed) % PAGES;
		pthread_mutex_lock(&lock[n]);
		hot = n;
		c = count[n];
		is("stress", m[2], n, 0, c ? NEW + c : n);
		c = ++count[n];
		word = NEW + c;
		switch (rand_r(&seed) % 4) {
		case 0:
			m[0][n * WORDS] = word;
			break;
		case 1:
			m[1][n * WORDS] = word;
			break;
		case 2:
			if (pwrite(fd, &word, 4, n * 4096L) != 4)
				err(2, "write");
			break;
		case 3:
			if (fallocate(fd, FALLOC_FL_PUNCH_HOLE |
				      FALLOC_FL_KEEP_SIZE, n * 4096L + 64, 64))
				err(2, "punch");
			is("stress punch", m[2], n, 20, 0);
			m[0][n * WORDS] = word;
			break;
		}
		is("stress", m[0], n, 0, word);
		is("stress", m[1], n, 0, word);
		is("stress", m[2], n, 0, word);
		is("stress", m[2], n, 512, n);
		pthread_mutex_unlock(&lock[n]);
		if (writes++ % 64 == 0)
			fdatasync(fd);
		if (writes % 512 == 0)
			madvise((void *)m[2], SIZE, MADV_DONTNEED);
	}
	return NULL;
}

static void *reader(void *arg)
{
	unsigned int seed = (uintptr_t)arg, n;
	int fd = open_file(copy);
	volatile uint32_t *m = map(fd, PROT_READ, MAP_SHARED);
	/* write(2) has to wait for faults on what it writes, and they for it */
	volatile uint32_t *w = map(open_file(file), PROT_READ, MAP_SHARED);
	uint32_t word;

	while (time(NULL) < end && !bad) {
		n = rand_r(&seed) % PAGES;
		is("stress copy", m, n, 0, n);
		if (pread(fd, &word, 4, n * 4096L) != 4)
			err(2, "read");
		if (word != n) {
			printf("stress copy: page %u read as %#x\n", n, word);
			bad = 1;
		}
		if (reads++ % 4096 == 0)
			madvise((void *)m, SIZE, MADV_DONTNEED);
		n = hot;
		madvise((void *)(w + n * WORDS), 4096, MADV_DONTNEED);
		(void)w[n * WORDS];
	}
	return NULL;
}

static void stress(unsigned int seconds)
{
	pthread_t t[4];
	unsigned long n;

	end = time(NULL) + seconds;
	for (n = 0; n < PAGES; n++)
		pthread_mutex_init(&lock[n], NULL);
	for (n = 0; n < 4; n++)
		if (pthread_create(&t[n], NULL, n < 2 ? writer : reader,
				   (void *)(n + 1)))
			errx(2, "no thread");
	for (n = 0; n < 4; n++)
		pthread_join(t[n], NULL);
	printf("%lu writes, %lu reads\n", writes, reads);
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "make")) {
		make(argv[2]);
	} else if (argc == 4 && !strcmp(argv[1], "steps")) {
		steps(argv[2], argv[3]);
	} else if (argc != 5) {
		errx(2, "usage: dax-moved make|steps|stress FILE [COPY [SECONDS]]");
	} else {
		file = argv[2];
		copy = argv[3];
		stress(atoi(argv[4]));
	}
	return bad;
}
