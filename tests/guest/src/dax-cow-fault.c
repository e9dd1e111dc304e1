// SPDX-License-Identifier: GPL-2.0
/*
 * dax-cow-fault fall FILE CLONE
 * dax-cow-fault race SECONDS FILE CLONE
 *
 * write(2) to shared blocks of FILE, of which others take page faults meanwhile.
 *
 * fall	a write of 64 KiB is half done when somebody stores one byte through
 *	a mapping for which a PMD would do, and then goes on
 * race	a thread shares the file anew and writes all of it, others store to it and
 *	read it through mappings. Who stores keeps to some bytes of each
 *	page, which write(2) leaves as they are by writing what lies
 *	between; so each knows what is to be there
 *
 * Exit status: 0 as it should be, 1 not, 2 could not be tried.
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define PAGE	4096UL
#define PMD	(2UL << 20)
#define LEN	(64UL << 10)

#define must(x) do { if (!(x)) err(2, "line %d: %s", __LINE__, #x); } while (0)

static volatile char *map;
static char *buf;
static int fd, clone_fd;
static ssize_t ret;

static void open_files(char **argv)
{
	char *p = mmap(NULL, 3 * PMD, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
		       -1, 0);

	fd = open(argv[0], O_RDWR);
	clone_fd = open(argv[1], O_RDWR | O_CREAT, 0600);
	must(fd >= 0 && clone_fd >= 0 && p != MAP_FAILED);
	p = (char *)(((uintptr_t)p + PMD - 1) & ~(PMD - 1));
	map = mmap(p, PMD, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd,
		   0);
	must(map != MAP_FAILED && !ioctl(clone_fd, FICLONE, fd));
}

/* ---- one fault ---- */

static void *write_it(void *arg)
{
	ret = pwrite(fd, buf, LEN, 0);
	return arg;
}

static int fall(char **argv)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	struct pollfd p = { .events = POLLIN };
	static char rest[LEN / 2], got[LEN];
	struct uffdio_copy copy;
	pthread_t thread;
	size_t i, old = 0;

	open_files(argv);
	buf = mmap(NULL, LEN, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	must(buf != MAP_FAILED && !madvise(buf, LEN, MADV_NOHUGEPAGE));
	memset(buf, 'n', LEN / 2);
	memset(rest, 'n', LEN / 2);
	p.fd = syscall(__NR_userfaultfd, O_CLOEXEC);
	reg.range.start = (uintptr_t)buf + LEN / 2;
	reg.range.len = LEN / 2;
	must(p.fd >= 0 && !ioctl(p.fd, UFFDIO_API, &api) &&
	     !ioctl(p.fd, UFFDIO_REGISTER, &reg));
	must(!pthread_create(&thread, NULL, write_it, NULL));
	must(poll(&p, 1, 60000) == 1);
	map[0] = 's';
	copy = (struct uffdio_copy){
		.dst = reg.range.start, .src = (uintptr_t)rest, .len = LEN / 2,
	};
	must(!ioctl(p.fd, UFFDIO_COPY, &copy));
	must(!pthread_join(thread, NULL));
	must(pread(fd, got, LEN, 0) == (ssize_t)LEN);
	for (i = 1; i < LEN; i++)
		old += got[i] != 'n';
	printf("the write returned %zd, %zu bytes are old\n", ret, old);
	if (got[0] != 's' && got[0] != 'n')
		printf("the first byte is %#x\n", got[0]);
	return ret != (ssize_t)LEN || old || (got[0] != 's' && got[0] != 'n');
}

/* ---- many ---- */

/*
 * Of each page the first half is written, by write(2); the second half is stored to.
 * Each writer puts a number there that grows.
 */
#define PAGES	(LEN / PAGE)
#define HALF	(PAGE / 2)

static atomic_bool stop;
static atomic_uint wrong;

static volatile uint32_t *word(size_t page, size_t at)
{
	return (volatile uint32_t *)(map + page * PAGE + at);
}

static void is(const char *what, size_t page, uint32_t is, uint32_t least)
{
	if ((int32_t)(is - least) >= 0)
		return;
	if (!wrong++)
		printf("%s of page %zu: %u after %u\n", what, page, is, least);
	stop = true;
}

/* What has been stored is there, and stays there. */
static void *store(void *arg)
{
	uint32_t n = 0, last[PAGES] = { 0 };
	size_t i;

	while (!stop) {
		for (n++, i = 0; i < PAGES; i++) {
			is("a store", i, *word(i, HALF), last[i]);
			*word(i, HALF) = n;
			last[i] = n;
		}
	}
	return arg;
}

/* Nothing goes back to what it was. */
static void *look(void *arg)
{
	uint32_t last[PAGES][2] = { { 0 } }, n;
	size_t i, j;

	while (!stop) {
		for (i = 0; i < PAGES; i++) {
			for (j = 0; j < 2; j++) {
				n = *word(i, j * HALF);
				is("a look", i, n, last[i][j]);
				last[i][j] = n;
			}
		}
	}
	return arg;
}

/* What was written can be seen in the file, and in the mapping. */
static void *write_all(void *arg)
{
	static uint32_t page[HALF / 4];
	uint32_t n, got;
	size_t i;

	for (n = 1; !stop; n++) {
		must(!ioctl(clone_fd, FICLONE, fd));
		memset(page, 0, sizeof(page));
		page[0] = n;
		for (i = 0; i < PAGES; i++) {
			must(pwrite(fd, page, HALF, i * PAGE) == (ssize_t)HALF);
			must(pread(fd, &got, 4, i * PAGE) == 4);
			is("a read", i, got, n);
			is("a mapping", i, *word(i, 0), n);
		}
	}
	printf("%u rounds\n", n);
	return arg;
}

static int race(char **argv)
{
	void *(*work[])(void *) = { write_all, store, look };
	pthread_t thread[3];
	time_t end = time(NULL) + atoi(argv[0]);
	size_t i;

	open_files(argv + 1);
	for (i = 0; i < PAGES; i++)
		*word(i, 0) = *word(i, HALF) = 0;
	for (i = 0; i < 3; i++)
		must(!pthread_create(&thread[i], NULL, work[i], NULL));
	while (!stop && time(NULL) < end)
		usleep(100000);
	stop = true;
	for (i = 0; i < 3; i++)
		must(!pthread_join(thread[i], NULL));
	return wrong != 0;
}

int main(int argc, char **argv)
{
	if (argc == 4 && !strcmp(argv[1], "fall"))
		return fall(argv + 2);
	if (argc == 5 && !strcmp(argv[1], "race"))
		return race(argv + 2);
	errx(2, "usage: dax-cow-fault fall FILE CLONE | race SECONDS FILE CLONE");
}
